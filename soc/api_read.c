/* SPDX-License-Identifier: BSD-3-Clause */
/* What the API shows. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api_private.h"

#define HOUR_US 3600000000ll
/* Of an incident's history, the newest; the rest is there by its count. */
#define HISTORY_MAX 1000
/* Of hourly counts in one answer. */
#define COUNTERS_MAX 20000

static struct store *store_of(const struct call *call)
{
	return soc_store(call->api->config.soc);
}

/* --- lists of documents -------------------------------------------------------------------------------------------------- */

struct list {
	json_t *items;
	uint64_t limit, last;
	bool more;
	int hidden_state;	    /* that is not shown unless asked for; -1: none */
	const char *const *dropped; /* members that a list does not show */
	int rc;
};

static json_t *load(const struct document *document, const char *const *dropped)
{
	json_t *json = json_loadb(document->body, document->len, 0, NULL);
	if (!json)
		return json_pack("{s:I,s:s}", "id", (json_int_t)document->id, "error", "it cannot be read");
	json_object_set_new(json, "id", json_integer((json_int_t)document->id));
	for (; dropped && *dropped; dropped++)
		json_object_del(json, *dropped);
	return json;
}

static int gather(void *context, const struct document *document)
{
	struct list *list = context;
	if (document->state == list->hidden_state)
		return 0;
	if (json_array_size(list->items) == list->limit) {
		list->more = true;
		return 1;
	}
	list->last = document->id;
	return json_array_append_new(list->items, load(document, list->dropped)) == 0 ? 0 : -ENOMEM;
}

static void answer_list(struct call *call, const char *name, struct list *list, int rc)
{
	if (rc < 0) {
		json_decref(list->items);
		call_store_failed(call, rc);
		return;
	}
	json_t *json = json_pack("{s:o}", name, list->items);
	if (json && list->more)
		json_object_set_new(json, "next", json_integer((json_int_t)list->last));
	call_answer(call, 200, json);
}

/* customer, from, until, limit, before: what all lists have. */
static bool read_page(struct call *call, struct document_query *query, struct list *list)
{
	*list = (struct list){.limit = API_LIMIT, .hidden_state = -1};
	if (!call_customer(call, &query->customer) || !call_time(call, "from", &query->from) ||
	    !call_time(call, "until", &query->until) || !call_number(call, "limit", API_LIMIT_MAX, &list->limit) ||
	    !call_number(call, "before", INT64_MAX, &query->before))
		return false;
	list->items = json_array();
	return true;
}

static void answer_documents(struct call *call, const char *name, const struct document_query *query, struct list *list)
{
	struct store *store = store_of(call);
	answer_list(call, name, list, store->ops->documents(store, query, gather, list));
}

/* --- incidents and events ------------------------------------------------------------------------------------------------ */

static const char *const bulky_incident[] = {"keys", "hosts", "host_sketch", "events", "measures", "merged_from", NULL};
static const char *const inner_incident[] = {"keys", "host_sketch", NULL};
static const char *const bulky_event[] = {"sketch", "targets", "samples", "ports", "signatures", "arrived", NULL};
static const char *const inner_event[] = {"sketch", "arrived", NULL};

static int severity_word(const char *name)
{
	return severity_of(name);
}

void api_incidents(struct call *call)
{
	struct document_query query = {.kind = DOCUMENT_INCIDENT, .state = -1};
	struct list list;
	if (!call_name(call, "state", incident_state_of, &query.state) ||
	    !call_name(call, "severity", severity_word, &query.rank) || !read_page(call, &query, &list))
		return;
	list.dropped = bulky_incident;
	/* what goes on as another one is found by who asks for it */
	list.hidden_state = query.state < 0 ? (int)INCIDENT_MERGED : -1;
	answer_documents(call, "incidents", &query, &list);
}

struct one {
	const struct call *call;
	const char *const *dropped;
	json_t *json;
};

static int take_one(void *context, const struct document *document)
{
	struct one *one = context;
	if (call_sees(one->call, document->customer))
		one->json = load(document, one->dropped);
	return 0;
}

/* NULL: answered. */
static json_t *find_one(struct call *call, enum document_kind kind, const char *const *dropped)
{
	struct store *store = store_of(call);
	struct one one = {call, dropped, NULL};
	uint64_t id;
	if (!call_id(call, &id))
		return NULL;
	int rc = store->ops->document(store, kind, id, NULL, take_one, &one);
	if (rc < 0 && rc != -ENOENT)
		call_store_failed(call, rc);
	else if (!one.json)
		call_missing(call);
	return one.json;
}

/* The promise on an Emergency or Critical incident: until when, told when, kept or not (null: time is left). */
static json_t *promise_of(const json_t *incident, const json_t *notices)
{
	char due[32], told[32];
	const char *clock = json_string_value(json_object_get(incident, "clock"));
	int64_t begin = 0, first = 0;
	struct timespec now;
	size_t i;
	json_t *notice;
	if (severity_of(json_string_value(json_object_get(incident, "severity"))) < SEVERITY_CRITICAL || !clock ||
	    !time_parse(clock, &begin))
		return json_null();
	json_array_foreach(notices, i, notice)
	{
		int64_t sent = json_integer_value(json_object_get(notice, "sent"));
		const char *severity = json_string_value(json_object_get(notice, "severity"));
		if (sent > 0 && severity && severity_of(severity) >= SEVERITY_CRITICAL && (!first || sent < first))
			first = sent;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	int64_t end = begin + NOTIFY_PROMISE_US, passed = first ? first : now.tv_sec * 1000000ll;
	return json_pack("{s:s,s:s?,s:o}", "until", time_text(end, due), "told", first ? time_text(first, told) : NULL,
			 "kept",
			 passed > end ? json_false()
			 : first      ? json_true()
				      : json_null());
}

static int add_notices(struct call *call, json_t *incident, uint64_t id)
{
	struct store *store = store_of(call);
	const struct document_query query = {
		.kind = DOCUMENT_NOTIFICATION, .state = -1, .parent = id, .oldest_first = true};
	struct list list = {.items = json_array(), .limit = HISTORY_MAX, .hidden_state = -1};
	int rc = store->ops->documents(store, &query, gather, &list);
	json_object_set_new(incident, "notifications", list.items);
	json_object_set_new(incident, "promise", promise_of(incident, list.items));
	return rc;
}

void api_incident(struct call *call)
{
	struct store *store = store_of(call);
	json_t *json = find_one(call, DOCUMENT_INCIDENT, inner_incident);
	if (!json)
		return;
	const struct document_query lines = {.kind = DOCUMENT_HISTORY,
					     .state = -1,
					     .parent = (uint64_t)json_integer_value(json_object_get(json, "id"))};
	struct list list = {.items = json_array(), .limit = HISTORY_MAX, .hidden_state = -1};
	int rc = store->ops->documents(store, &lines, gather, &list);
	json_object_set_new(json, "history", list.items);
	json_object_set_new(json, "history_cut", json_boolean(list.more));
	if (rc >= 0)
		rc = add_notices(call, json, lines.parent);
	if (rc < 0) {
		json_decref(json);
		call_store_failed(call, rc);
		return;
	}
	call_answer(call, 200, json);
}

static int open_word(const char *name)
{
	return strcmp(name, "true") == 0 ? 0 : strcmp(name, "false") == 0 ? 1 : -1;
}

void api_events(struct call *call)
{
	struct document_query query = {.kind = DOCUMENT_EVENT, .state = -1};
	struct list list;
	if (!call_number(call, "incident", INT64_MAX, &query.parent) ||
	    !call_name(call, "open", open_word, &query.state) ||
	    !call_name(call, "severity", severity_word, &query.rank) || !read_page(call, &query, &list))
		return;
	list.dropped = bulky_event;
	answer_documents(call, "events", &query, &list);
}

void api_event(struct call *call)
{
	json_t *json = find_one(call, DOCUMENT_EVENT, inner_event);
	if (json)
		call_answer(call, 200, json);
}

/* --- records ------------------------------------------------------------------------------------------------------------- */

struct rows {
	struct call *call;
	json_t *items;
	uint64_t count, last;
	struct store_row row;
};

static json_t *row_to_json(const struct call *call, const struct store_row *row)
{
	const struct record *r = &row->record;
	char time[32], source[ADDRESS_TEXT_MAX], target[ADDRESS_TEXT_MAX];
	struct device device;
	bool known = directory_device_by_id(soc_directory(call->api->config.soc), row->device, &device);
	return json_pack(
		"{s:I,s:s,s:s,s:s,s:I,s:I,s:s,s:s,s:s,s:s,s:i,s:s,s:i,s:i,s:I,s:s,s:s}", "id", (json_int_t)row->id,
		"time", time_text(r->time, time), "device", known ? device.name : "", "type", record_type_name(r->type),
		"customer", (json_int_t)row->customer, "event", (json_int_t)row->event, "severity",
		severity_name(r->severity), "outcome", outcome_name(r->outcome), "verdict", verdict_name(r->verdict),
		"source", address_text(&r->source, source), "source_port", (int)r->source_port, "target",
		address_text(&r->target, target), "target_port", (int)r->target_port, "protocol", (int)r->protocol,
		"signature", (json_int_t)r->signature, "message", r->message, "class", r->class);
}

static int gather_row(void *context, const struct store_row *row)
{
	struct rows *rows = context;
	json_t *json = row_to_json(rows->call, row);
	if (!json) /* a text that was no UTF-8 */
		json = json_pack("{s:I,s:s}", "id", (json_int_t)row->id, "error", "it cannot be shown");
	rows->count++;
	rows->last = row->id;
	return json_array_append_new(rows->items, json) == 0 ? 0 : -ENOMEM;
}

static bool read_search(struct call *call, struct store_query *q, struct address address[3], uint64_t *limit)
{
	uint64_t signature = 0, device = 0;
	*limit = API_LIMIT;
	if (!call_customer(call, &q->customer) || !call_time(call, "from", &q->from) ||
	    !call_time(call, "until", &q->until) || !call_number(call, "limit", API_LIMIT_MAX, limit) ||
	    !call_number(call, "before", INT64_MAX, &q->before) || !call_number(call, "event", INT64_MAX, &q->event) ||
	    !call_number(call, "device", UINT32_MAX, &device) ||
	    !call_number(call, "signature", UINT32_MAX, &signature) ||
	    !call_address(call, "source", &address[0], &q->source) ||
	    !call_address(call, "target", &address[1], &q->target) ||
	    !call_address(call, "either", &address[2], &q->either) ||
	    !call_name(call, "type", record_type_of, &q->type) ||
	    !call_name(call, "verdict", verdict_of, &q->verdict) ||
	    !call_name(call, "severity", severity_word, &q->severity))
		return false;
	q->signature = (uint32_t)signature;
	q->device = (uint32_t)device;
	q->text = http_query(call->request, "text");
	q->limit = (unsigned)*limit;
	return true;
}

void api_records(struct call *call)
{
	struct store *store = store_of(call);
	struct store_query query = {.type = -1, .verdict = -1, .patience_ms = API_PATIENCE_MS};
	struct address address[3];
	struct rows rows = {.call = call};
	uint64_t limit, reached = 0;
	if (!read_search(call, &query, address, &limit))
		return;
	rows.items = json_array();
	int rc = limit ? store->ops->rows(store, &query, gather_row, &rows, &reached) : 0;
	if (rc < 0) {
		json_decref(rows.items);
		call_store_failed(call, rc);
		return;
	}
	json_t *json = json_pack("{s:o}", "records", rows.items);
	uint64_t next = rows.count == limit ? rows.last : reached;
	if (json && next > 1)
		json_object_set_new(json, "next", json_integer((json_int_t)next));
	call_answer(call, 200, json);
}

static int take_row(void *context, const struct store_row *row)
{
	((struct rows *)context)->row = *row;
	return 0;
}

void api_record(struct call *call)
{
	struct store *store = store_of(call);
	struct rows rows = {.call = call};
	uint64_t id;
	size_t len;
	if (!call_id(call, &id))
		return;
	const struct store_query query = {
		.customer = call->user.customer, .before = id + 1, .type = -1, .verdict = -1, .limit = 1};
	int rc = store->ops->rows(store, &query, take_row, &rows, NULL);
	if (rc < 0) {
		call_store_failed(call, rc);
		return;
	}
	if (rows.row.id != id) {
		call_missing(call);
		return;
	}
	char *line = store->ops->line(store, &rows.row, &len);
	json_t *json = row_to_json(call, &rows.row);
	json_t *text = line ? json_stringn(line, len) : NULL;
	if (json && text)
		json_object_set_new(json, "line", text);
	free(line);
	call_answer(call, 200, json);
}

static int gather_counter(void *context, const struct store_counter *c)
{
	struct rows *rows = context;
	char time[32];
	if (rows->count++ == COUNTERS_MAX)
		return 1;
	return json_array_append_new(
		rows->items, json_pack("{s:s,s:I,s:I,s:s,s:s,s:s,s:I}", "hour", time_text(c->hour * HOUR_US, time),
				       "customer", (json_int_t)c->customer, "device", (json_int_t)c->device, "type",
				       record_type_name(c->type), "severity", severity_name(c->severity), "verdict",
				       verdict_name(c->verdict), "count", (json_int_t)c->count));
}

void api_counters(struct call *call)
{
	struct store *store = store_of(call);
	struct rows rows = {.call = call};
	uint32_t customer;
	int64_t from = 0, until = INT64_MAX;
	if (!call_customer(call, &customer) || !call_time(call, "from", &from) || !call_time(call, "until", &until))
		return;
	rows.items = json_array();
	int rc = store->ops->counters(store, customer, from / HOUR_US, until / HOUR_US + (until % HOUR_US != 0),
				      gather_counter, &rows);
	if (rc < 0) {
		json_decref(rows.items);
		call_store_failed(call, rc);
		return;
	}
	call_answer(call, 200, json_pack("{s:o,s:b}", "counters", rows.items, "cut", rows.count > COUNTERS_MAX));
}

/* --- who and what there is ----------------------------------------------------------------------------------------------- */

void api_whoami(struct call *call)
{
	struct customer customer = {0};
	directory_customer(soc_directory(call->api->config.soc), call->user.customer, &customer);
	call_answer(call, 200,
		    json_pack("{s:s,s:s,s:I,s:s}", "name", call->user.name, "role", user_role_name(call->user.role),
			      "customer", (json_int_t)call->user.customer, "customer_name", customer.name));
}

void api_status(struct call *call)
{
	struct soc_stats s = soc_stats(call->api->config.soc);
	struct ingest_stats in = ingest_stats(call->api->config.ingest);
	struct store *store = store_of(call);
	struct store_size size = {0};
	char oldest[32];
	int rc = store->ops->size(store, &size);
	if (rc != 0) {
		call_store_failed(call, rc);
		return;
	}
	json_t *json = json_pack(
		"{s:s,s:{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:i,s:i},s:{s:I,s:I,s:I,s:I,s:I},s:{s:I,s:I,s:s}}",
		"version", SEKISHO_VERSION, "since_start", "batches", (json_int_t)s.batches, "records",
		(json_int_t)s.records, "duplicates", (json_int_t)s.duplicates, "quarantined", (json_int_t)s.quarantined,
		"lost", (json_int_t)s.lost, "events", (json_int_t)s.events, "incidents", (json_int_t)s.incidents,
		"commits", (json_int_t)s.commits, "failures", (json_int_t)s.failures, "queue_bytes",
		(json_int_t)s.queue_bytes, "open_events", (int)s.open_events, "open_incidents", (int)s.open_incidents,
		"ingest", "unknown", (json_int_t)in.refused_unknown, "rate", (json_int_t)in.refused_rate, "busy",
		(json_int_t)in.refused_busy, "bad", (json_int_t)in.refused_bad, "bytes", (json_int_t)in.bytes, "store",
		"records", (json_int_t)size.records, "bytes", (json_int_t)size.bytes, "oldest",
		size.oldest ? time_text(size.oldest, oldest) : "");
	call_answer(call, 200, json);
}

struct roll {
	struct call *call;
	json_t *items;
};

static int add_device(void *context, const struct device *device)
{
	struct roll *roll = context;
	struct store *store = store_of(roll->call);
	const struct document_query newest = {.kind = DOCUMENT_HEALTH, .parent = device->id, .state = -1, .limit = 1};
	struct list health = {.items = json_array(), .limit = 1, .hidden_state = -1};
	int64_t silence = soc_silence(roll->call->api->config.soc, device->id);
	json_t *json = device_to_json(device);
	int rc = store->ops->documents(store, &newest, gather, &health);
	if (json && json_array_size(health.items))
		json_object_set(json, "health", json_array_get(health.items, 0));
	if (json)
		json_object_set_new(json, "silent_seconds",
				    silence < 0 ? json_null() : json_real((double)silence / 1e6));
	json_decref(health.items);
	json_array_append_new(roll->items, json);
	return rc < 0 ? rc : 0;
}

void api_devices(struct call *call)
{
	struct roll roll = {call, NULL};
	uint32_t customer;
	if (!call_customer(call, &customer))
		return;
	roll.items = json_array();
	int rc = directory_devices(soc_directory(call->api->config.soc), customer, add_device, &roll);
	if (rc < 0) {
		json_decref(roll.items);
		call_store_failed(call, rc);
	} else {
		call_answer(call, 200, json_pack("{s:o}", "devices", roll.items));
	}
}

static int add_customer(void *context, const struct customer *customer)
{
	struct roll *roll = context;
	if (call_sees(roll->call, customer->id))
		json_array_append_new(roll->items, customer_to_json(customer));
	return 0;
}

void api_customers(struct call *call)
{
	struct roll roll = {call, json_array()};
	directory_customers(soc_directory(call->api->config.soc), add_customer, &roll);
	call_answer(call, 200, json_pack("{s:o}", "customers", roll.items));
}

static int add_user(void *context, const struct user *user)
{
	struct roll *roll = context;
	json_t *json = user_to_json(user);
	/* the digest of a long random token could be shown; who needs it? */
	json_object_del(json, "token");
	json_array_append_new(roll->items, json);
	return 0;
}

void api_users(struct call *call)
{
	struct roll roll = {call, NULL};
	uint32_t customer;
	if (!call_customer(call, &customer))
		return;
	roll.items = json_array();
	directory_users(soc_directory(call->api->config.soc), customer, add_user, &roll);
	call_answer(call, 200, json_pack("{s:o}", "users", roll.items));
}

void api_audit(struct call *call)
{
	struct document_query query = {.kind = DOCUMENT_AUDIT, .state = -1};
	struct list list;
	if (read_page(call, &query, &list))
		answer_documents(call, "audit", &query, &list);
}

void api_assets(struct call *call)
{
	struct document_query query = {.kind = DOCUMENT_ASSET, .state = -1, .oldest_first = true};
	struct list list = {.items = NULL, .limit = UINT32_MAX, .hidden_state = -1};
	if (!call_customer(call, &query.customer))
		return;
	list.items = json_array();
	answer_documents(call, "assets", &query, &list);
}

static const char *const secret_contact[] = {"secret", NULL};

void api_contacts(struct call *call)
{
	struct document_query query = {.kind = DOCUMENT_CONTACT, .state = -1, .oldest_first = true};
	struct list list = {.items = NULL, .limit = UINT32_MAX, .hidden_state = -1, .dropped = secret_contact};
	if (!call_customer(call, &query.customer))
		return;
	list.items = json_array();
	answer_documents(call, "contacts", &query, &list);
}

void api_notifications(struct call *call)
{
	struct document_query query = {.kind = DOCUMENT_NOTIFICATION, .state = -1};
	struct list list;
	if (call_number(call, "incident", INT64_MAX, &query.parent) && read_page(call, &query, &list))
		answer_documents(call, "notifications", &query, &list);
}

void api_suppressions(struct call *call)
{
	struct document_query query = {.kind = DOCUMENT_SUPPRESSION, .state = -1};
	struct list list;
	if (read_page(call, &query, &list))
		answer_documents(call, "suppressions", &query, &list);
}
