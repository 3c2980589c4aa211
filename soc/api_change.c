/* SPDX-License-Identifier: BSD-3-Clause */
/* What people change by the API. Each change is on the writer's thread, in the audit log, and answered when it is durable. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api_private.h"
#include "asset_json.h"
#include "enroll.h"
#include "suppress.h"

/* --- work on incidents --------------------------------------------------------------------------------------------------- */

/* NULL: there is none that he may see. */
static struct incident *find(struct call *call, struct soc *soc)
{
	struct incident *incident = soc_incident(soc, call->id);
	return incident && call_sees(call, incident_customer(incident)) ? incident : NULL;
}

static int refuse(struct call *call, int rc, const char *why)
{
	snprintf(call->reason, sizeof(call->reason), "%s", why);
	return rc;
}

static const char *member(const struct call *call, const char *name)
{
	const char *text = json_string_value(json_object_get(call->body, name));
	return text ? text : "";
}

static int audit(struct call *call, struct soc *soc, uint32_t customer, const char *what)
{
	return soc_audit(soc, call->user.name, customer, what,
			 json_pack("{s:I,s:O}", "incident", (json_int_t)call->id, "change", call->body));
}

static int comment(struct call *call, struct soc *soc)
{
	struct incident *i = find(call, soc);
	if (!i)
		return -ENOENT;
	if (incident_comment(i, call->user.name, user_role_name(call->user.role), member(call, "text"), soc_now(soc)))
		return refuse(call, -EINVAL, "it goes on as another incident: comment on that one");
	return audit(call, soc, incident_customer(i), "incident.comment");
}

void api_comment(struct call *call)
{
	const char *text;
	call->change = comment;
	if (call_id(call, &call->id) && call_text(call, "text", 4000, true, &text))
		call_change(call);
}

static int move(struct call *call, struct soc *soc)
{
	struct incident *i = find(call, soc);
	if (!i)
		return -ENOENT;
	if (incident_move(i, call->user.name, (enum incident_state)call->number, member(call, "reason"), soc_now(soc)))
		return refuse(call, -EINVAL,
			      "it is in that state already, goes on as another one, or the reason is missing");
	return audit(call, soc, incident_customer(i), "incident.state");
}

void api_state(struct call *call)
{
	const char *state, *reason;
	call->change = move;
	if (!call_id(call, &call->id) || !call_text(call, "state", 32, true, &state) ||
	    !call_text(call, "reason", 2000, false, &reason))
		return;
	call->number = incident_state_of(state);
	if (call->number < 0 || call->number == INCIDENT_MERGED)
		http_answer_error(call->request, 400,
				  "state must be open, acknowledged, working, closed or false_positive");
	else if (call->user.role == USER_CUSTOMER && call->number != INCIDENT_ACKNOWLEDGED)
		http_answer_error(call->request, 403, "a customer's user may acknowledge; ask by a comment for more");
	else
		call_change(call);
}

static int assign(struct call *call, struct soc *soc)
{
	struct incident *i = find(call, soc);
	struct user user;
	const char *who = member(call, "assignee");
	if (!i)
		return -ENOENT;
	if (*who && (!directory_user_by_name(soc_directory(soc), who, &user) || user.disabled))
		return refuse(call, -EINVAL, "there is no such user");
	if (incident_assign(i, call->user.name, who, soc_now(soc)) != 0)
		return refuse(call, -EINVAL, "it is his already, or goes on as another incident");
	return audit(call, soc, incident_customer(i), "incident.assign");
}

void api_assign(struct call *call)
{
	const char *who;
	call->change = assign;
	if (call_id(call, &call->id) && call_text(call, "assignee", 63, false, &who))
		call_change(call);
}

static int rate(struct call *call, struct soc *soc)
{
	struct incident *i = find(call, soc);
	if (!i)
		return -ENOENT;
	if (incident_rate(i, call->user.name, (enum severity)call->number, member(call, "reason"), soc_now(soc)) != 0)
		return refuse(call, -EINVAL, "it has that severity already, or goes on as another incident");
	return audit(call, soc, incident_customer(i), "incident.severity");
}

void api_severity(struct call *call)
{
	const char *severity, *reason;
	call->change = rate;
	if (!call_id(call, &call->id) || !call_text(call, "severity", 32, true, &severity) ||
	    !call_text(call, "reason", 2000, true, &reason))
		return;
	call->number = severity_of(severity);
	if (call->number <= SEVERITY_NONE)
		http_answer_error(call->request, 400, "severity must be informational, warning, critical or emergency");
	else
		call_change(call);
}

static int merge(struct call *call, struct soc *soc)
{
	struct incident *from = find(call, soc);
	struct incident *into = soc_incident(soc, (uint64_t)json_integer_value(json_object_get(call->body, "into")));
	if (!from || !into || !call_sees(call, incident_customer(into)))
		return -ENOENT;
	if (incidents_merge(soc_incidents(soc), into, from, call->user.name, soc_now(soc)) != 0)
		return refuse(call, -EINVAL, "the two are the same, of different customers, or one of them has ended");
	return audit(call, soc, incident_customer(into), "incident.merge");
}

void api_merge(struct call *call)
{
	call->change = merge;
	if (!call_id(call, &call->id))
		return;
	if (json_integer_value(json_object_get(call->body, "into")) <= 0)
		http_answer_error(call->request, 400, "into must be the number of the incident that it belongs to");
	else
		call_change(call);
}

/* --- customers, users, devices ------------------------------------------------------------------------------------------- */

static void answer_made(struct call *call, int rc, const char *error, json_t *json)
{
	if (rc == 0) {
		call_answer(call, 201, json);
		return;
	}
	json_decref(json);
	if (rc == -ENOENT)
		call_missing(call);
	else if (rc == -EINVAL)
		http_answer_error(call->request, 400, "%s", error);
	else if (rc == -EEXIST || rc == -EALREADY)
		http_answer_error(call->request, 409, "%s", error);
	else
		call_store_failed(call, rc);
}

/* The member "customer", by name; it may be missing where there is only one. */
static bool read_owner(struct call *call, uint32_t *id)
{
	const char *name;
	struct customer customer;
	struct directory *directory = soc_directory(call->api->config.soc);
	if (!call_text(call, "customer", DIRECTORY_NAME_MAX, false, &name))
		return false;
	bool found = name ? directory_customer_by_name(directory, name, &customer)
			  : !directory_customer(directory, 2, &customer) && directory_customer(directory, 1, &customer);
	if (!found) {
		http_answer_error(call->request, 400,
				  name ? "there is no customer of this name" : "say whose it is: customer");
		return false;
	}
	*id = customer.id;
	return true;
}

void api_enroll(struct call *call)
{
	const struct api_config *c = &call->api->config;
	const char *name;
	char *text = NULL, error[ENROLL_ERROR_MAX] = "";
	uint32_t customer;
	if (!call_text(call, "name", DIRECTORY_NAME_MAX, true, &name) || !read_owner(call, &customer))
		return;
	if (!c->authority) {
		http_answer_error(call->request, 409, "this SOC has no authority to enrol with");
		return;
	}
	int rc = enroll_device(c->soc, c->authority, call->user.name, name, customer, c->addresses, c->address_count,
			       &text, error);
	json_t *json = rc == 0 ? json_pack("{s:s,s:s}", "name", name, "configuration", text) : NULL;
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
	answer_made(call, rc, error, json);
}

void api_revoke(struct call *call)
{
	char error[ENROLL_ERROR_MAX];
	int rc = enroll_revoke(call->api->config.soc, call->user.name, call->word, error);
	answer_made(call, rc, error, json_object());
}

void api_add_customer(struct call *call)
{
	const char *name;
	char error[ENROLL_ERROR_MAX];
	uint32_t id;
	if (!call_text(call, "name", DIRECTORY_NAME_MAX, true, &name))
		return;
	int rc = enroll_customer(call->api->config.soc, call->user.name, name, &id, error);
	answer_made(call, rc, error, rc == 0 ? json_pack("{s:I,s:s}", "id", (json_int_t)id, "name", name) : NULL);
}

void api_add_user(struct call *call)
{
	const char *name, *role_name;
	char error[ENROLL_ERROR_MAX], token[ENROLL_TOKEN_MAX];
	uint32_t customer = 0;
	if (!call_text(call, "name", DIRECTORY_NAME_MAX, true, &name) || !call_text(call, "role", 32, true, &role_name))
		return;
	int role = user_role_of(role_name);
	if (role < 0 || (role != USER_CUSTOMER && json_object_get(call->body, "customer"))) {
		http_answer_error(call->request, 400,
				  "role must be customer (with the member customer), analyst or administrator");
		return;
	}
	if (role == USER_CUSTOMER && !read_owner(call, &customer))
		return;
	int rc =
		enroll_user(call->api->config.soc, call->user.name, name, (enum user_role)role, customer, token, error);
	answer_made(call, rc, error, rc == 0 ? json_pack("{s:s,s:s}", "name", name, "token", token) : NULL);
	explicit_bzero(token, sizeof(token));
}

static int disable_user(struct call *call, struct soc *soc)
{
	struct user user;
	if (!directory_user_by_name(soc_directory(soc), call->word, &user))
		return -ENOENT;
	if (user.id == call->user.id)
		return refuse(call, -EPERM, "nobody disables himself: another administrator may");
	user.disabled = true;
	int rc = soc_put_user(soc, &user);
	return rc ? rc
		  : soc_audit(soc, call->user.name, user.customer, "user.disable",
			      json_pack("{s:s}", "name", user.name));
}

void api_disable_user(struct call *call)
{
	call->change = disable_user;
	call_change(call);
}

/* --- assets -------------------------------------------------------------------------------------------------------------- */

static int note_id(void *context, const struct document *document)
{
	*(uint64_t *)context = document->id;
	return 0;
}

/* What the document of this kind and key has for an id, or a new one. */
static int id_of(struct soc *soc, enum document_kind kind, const char *key, uint64_t *id)
{
	struct store *store = soc_store(soc);
	int rc = store->ops->document(store, kind, 0, key, note_id, id);
	if (rc != 0 && rc != -ENOENT)
		return rc;
	if (*id == 0)
		*id = soc_new_id(soc, kind);
	return 0;
}

static int put_asset(struct call *call, struct soc *soc)
{
	struct asset asset;
	char error[ASSET_ERROR_MAX], prefix[ADDRESS_TEXT_MAX + 4], key[ADDRESS_TEXT_MAX + 32];
	if (asset_from_json(call->body, &asset, error) != 0)
		return refuse(call, -EINVAL, error);
	snprintf(key, sizeof(key), "%llu %s", (unsigned long long)call->id, prefix_text(&asset.prefix, prefix));
	struct document d = {.kind = DOCUMENT_ASSET, .customer = (uint32_t)call->id, .time = soc_now(soc), .key = key};
	int rc = id_of(soc, DOCUMENT_ASSET, key, &d.id);
	rc = rc ? rc : soc_put(soc, &d, asset_to_json(&asset));
	call->answer = json_pack("{s:I}", "id", (json_int_t)d.id);
	return rc ? rc : soc_audit(soc, call->user.name, d.customer, "asset.put", json_incref(call->body));
}

void api_put_asset(struct call *call)
{
	struct asset asset;
	uint32_t customer;
	char error[ASSET_ERROR_MAX];
	call->change = put_asset;
	if (!call_customer(call, &customer))
		return;
	call->id = customer;
	if (customer == 0)
		http_answer_error(call->request, 400, "say whose asset it is: ?customer=NAME");
	else if (asset_from_json(call->body, &asset, error) != 0)
		http_answer_error(call->request, 400, "%s", error);
	else
		call_change(call);
}

static int note_customer(void *context, const struct document *document)
{
	*(uint32_t *)context = document->customer;
	return 0;
}

static int remove_document(struct call *call, struct soc *soc)
{
	enum document_kind kind = (enum document_kind)call->number;
	struct store *store = soc_store(soc);
	uint32_t customer = 0;
	int rc = store->ops->document(store, kind, call->id, NULL, note_customer, &customer);
	if (rc == 0 && !call_sees(call, customer))
		rc = -ENOENT;
	rc = rc ? rc : soc_remove(soc, kind, call->id);
	return rc ? rc
		  : soc_audit(soc, call->user.name, customer,
			      kind == DOCUMENT_ASSET ? "asset.remove" : "contact.remove",
			      json_pack("{s:I}", "id", (json_int_t)call->id));
}

void api_remove_asset(struct call *call)
{
	call->change = remove_document;
	call->number = DOCUMENT_ASSET;
	if (call_id(call, &call->id))
		call_change(call);
}

/* --- contacts ------------------------------------------------------------------------------------------------------------ */

static int put_contact(struct call *call, struct soc *soc)
{
	struct contact contact;
	char error[NOTIFY_ERROR_MAX], key[NOTIFY_NAME_MAX + 32];
	if (contact_from_json(call->body, &contact, error) != 0)
		return refuse(call, -EINVAL, error);
	snprintf(key, sizeof(key), "%llu %s", (unsigned long long)call->id, contact.name);
	struct document d = {
		.kind = DOCUMENT_CONTACT, .customer = (uint32_t)call->id, .time = soc_now(soc), .key = key};
	int rc = id_of(soc, DOCUMENT_CONTACT, key, &d.id);
	rc = rc ? rc : soc_put(soc, &d, contact_to_json(&contact, true));
	call->answer = json_pack("{s:I}", "id", (json_int_t)d.id);
	return rc ? rc : soc_audit(soc, call->user.name, d.customer, "contact.put", contact_to_json(&contact, false));
}

void api_put_contact(struct call *call)
{
	struct contact contact;
	uint32_t customer;
	char error[NOTIFY_ERROR_MAX];
	call->change = put_contact;
	if (!call_customer(call, &customer))
		return;
	call->id = customer;
	if (customer == 0 && call->user.role != USER_ADMINISTRATOR)
		http_answer_error(call->request, 400, "say whose contact it is: ?customer=NAME");
	else if (contact_from_json(call->body, &contact, error) != 0)
		http_answer_error(call->request, 400, "%s", error);
	else
		call_change(call);
}

void api_remove_contact(struct call *call)
{
	call->change = remove_document;
	call->number = DOCUMENT_CONTACT;
	if (call_id(call, &call->id))
		call_change(call);
}

/* --- suppressions -------------------------------------------------------------------------------------------------------- */

static int put_suppression(struct soc *soc, const struct suppression *s)
{
	const struct document d = {
		.kind = DOCUMENT_SUPPRESSION, .id = s->id, .customer = s->customer, .time = s->until};
	return soc_put(soc, &d, suppression_to_json(s));
}

static int add_suppression(struct call *call, struct soc *soc)
{
	struct suppression s;
	char error[SUPPRESS_ERROR_MAX];
	if (suppression_from_json(call->body, soc_now(soc), &s, error) != 0)
		return refuse(call, -EINVAL, error);
	s.id = soc_new_id(soc, DOCUMENT_SUPPRESSION);
	s.customer = (uint32_t)call->id;
	snprintf(s.who, sizeof(s.who), "%s", call->user.name);
	int rc = put_suppression(soc, &s);
	call->answer = json_pack("{s:I}", "id", (json_int_t)s.id);
	return rc ? rc : soc_audit(soc, call->user.name, s.customer, "suppression.add", suppression_to_json(&s));
}

void api_add_suppression(struct call *call)
{
	struct suppression s;
	struct timespec now;
	char error[SUPPRESS_ERROR_MAX];
	uint32_t customer;
	call->change = add_suppression;
	if (!call_customer(call, &customer))
		return;
	call->id = customer;
	clock_gettime(CLOCK_REALTIME, &now);
	if (customer == 0)
		http_answer_error(call->request, 400, "say whose it is: ?customer=NAME");
	else if (suppression_from_json(call->body, now.tv_sec * 1000000ll, &s, error) != 0)
		http_answer_error(call->request, 400, "%s", error);
	else
		call_change(call);
}

static int read_suppression(void *context, const struct document *document)
{
	json_t *json = json_loadb(document->body, document->len, 0, NULL);
	int rc = json ? suppression_restore(json, context) : -EINVAL;
	json_decref(json);
	return rc;
}

/* It stays to be read, and holds no more. */
static int end_suppression(struct call *call, struct soc *soc)
{
	struct store *store = soc_store(soc);
	struct suppression s;
	int rc = store->ops->document(store, DOCUMENT_SUPPRESSION, call->id, NULL, read_suppression, &s);
	if (rc != 0)
		return rc;
	if (s.until <= soc_now(soc))
		return refuse(call, -EALREADY, "it is over already");
	s.until = soc_now(soc);
	rc = put_suppression(soc, &s);
	return rc ? rc
		  : soc_audit(soc, call->user.name, s.customer, "suppression.end",
			      json_pack("{s:I}", "id", (json_int_t)s.id));
}

void api_end_suppression(struct call *call)
{
	call->change = end_suppression;
	if (call_id(call, &call->id))
		call_change(call);
}
