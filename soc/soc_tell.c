/* SPDX-License-Identifier: BSD-3-Clause */
/* The writer's notices: made in the transaction of what they tell of, sent after it, and what became of them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "soc_inside.h"

#define SECOND_US 1000000ll
#define DAY_US	  (86400 * SECOND_US)
/* What was told of older incidents is not looked at: they take no evidence any more. */
#define REMEMBERED_US (30 * DAY_US)

/* --- from the store -------------------------------------------------------------------------------------------------------- */

static int load_contact(void *context, const struct document *document)
{
	struct soc *soc = context;
	struct contact contact;
	char error[NOTIFY_ERROR_MAX];
	json_t *json = json_loadb(document->body, document->len, 0, NULL);
	int rc = json ? contact_from_json(json, &contact, error) : -EINVAL;
	json_decref(json);
	if (rc != 0) {
		if (soc->config.say)
			soc->config.say(soc->config.user, true,
					"a contact in the store cannot be read; nobody is told there");
		return 0;
	}
	contact.id = document->id;
	contact.customer = document->customer;
	return notify_add_contact(soc->notify, &contact);
}

static int load_contacts(struct soc *soc)
{
	const struct document_query all = {.kind = DOCUMENT_CONTACT, .state = 0, .oldest_first = true};
	notify_forget_contacts(soc->notify);
	soc->contacts_changed = false;
	return soc->store->ops->documents(soc->store, &all, load_contact, soc);
}

static int load_notice(void *context, const struct document *document)
{
	struct soc *soc = context;
	struct notice notice;
	json_t *json = json_loadb(document->body, document->len, 0, NULL);
	int rc = json ? notice_from_json(json, &notice) : -EINVAL;
	json_decref(json);
	return rc == 0 ? notify_restore(soc->notify, &notice) : 0;
}

int soc_load_notices(struct soc *soc)
{
	int rc = 0;
	soc->notify = notify_new();
	if (!soc->notify || load_contacts(soc) != 0)
		return -ENOMEM;
	for (int state = NOTICE_WAITS; state <= NOTICE_GIVEN_UP && rc == 0; state++) {
		const struct document_query query = {.kind = DOCUMENT_NOTIFICATION,
						     .state = state,
						     .from = state == NOTICE_WAITS ? 0 : soc->now - REMEMBERED_US,
						     .oldest_first = true};
		rc = soc->store->ops->documents(soc->store, &query, load_notice, soc);
	}
	soc->tell_next = 1; /* escalation is looked at soon */
	return rc;
}

void soc_unload_notices(struct soc *soc)
{
	notify_free(soc->notify);
	soc->notify = NULL;
}

/* --- within the transaction ------------------------------------------------------------------------------------------------ */

static int put_notice(void *context, struct notice *notice)
{
	struct soc *soc = context;
	if (notice->id == 0)
		notice->id = soc_new_id(soc, DOCUMENT_NOTIFICATION);
	const struct document d = {.kind = DOCUMENT_NOTIFICATION,
				   .id = notice->id,
				   .customer = notice->customer,
				   .parent = notice->incident,
				   .state = notice->state,
				   .rank = (int)notice->severity,
				   .time = notice->made};
	return soc_put(soc, &d, notice_to_json(notice));
}

int soc_tell(struct soc *soc, struct incident *incident)
{
	enum incident_state state = incident_state(incident);
	const struct notify_incident now = {.id = incident_id(incident),
					    .customer = incident_customer(incident),
					    .severity = incident_severity(incident),
					    .acknowledged = state != INCIDENT_OPEN,
					    .over = state >= INCIDENT_CLOSED,
					    .clock = incident_clock(incident)};
	int64_t later = 0;
	/* what goes on as another incident is told of there */
	if (state == INCIDENT_MERGED)
		return 0;
	int rc = notify_consider(soc->notify, &now, soc->now, &later, put_notice, soc);
	if (later && (!soc->tell_next || later < soc->tell_next))
		soc->tell_next = later;
	return rc;
}

bool soc_time_to_tell(const struct soc *soc)
{
	return soc->tell_next && soc->now >= soc->tell_next;
}

static int tell_again(void *context, struct incident *incident)
{
	return soc_tell(context, incident);
}

int soc_tell_in_time(struct soc *soc)
{
	if (!soc_time_to_tell(soc))
		return 0;
	soc->tell_next = 0;
	return incidents_each(soc->incidents, tell_again, soc);
}

/* --- after it ---------------------------------------------------------------------------------------------------------------- */

struct outcome_of {
	uint64_t notice;
	int rc;
	char why[128];
};

static int note_outcome(struct soc *soc, void *context)
{
	const struct outcome_of *o = context;
	struct notice *notice = notify_done(soc->notify, o->notice, o->rc, o->why, soc->now);
	return notice ? put_notice(soc, notice) : 0;
}

static void free_outcome(void *context, int rc, uint64_t next)
{
	(void)rc;
	(void)next;
	free(context);
}

void soc_told(void *context, uint64_t notice, int rc, const char *why)
{
	struct outcome_of *o = calloc(1, sizeof(*o));
	if (!o) /* it stays as it is, and is told again after the next start */
		return;
	o->notice = notice;
	o->rc = rc;
	snprintf(o->why, sizeof(o->why), "%s", why);
	if (soc_do_always(context, note_outcome, free_outcome, o) != 0)
		free(o);
}

static int take_body(void *context, const struct document *document)
{
	*(json_t **)context = json_loadb(document->body, document->len, 0, NULL);
	return 0;
}

static json_t *incident_json(struct soc *soc, uint64_t id)
{
	json_t *json = NULL;
	const struct incident *incident = incidents_find(soc->incidents, id);
	if (incident)
		return incident_to_json(incident);
	soc->store->ops->document(soc->store, DOCUMENT_INCIDENT, id, NULL, take_body, &json);
	return json;
}

void soc_send_due(struct soc *soc)
{
	struct notice *notice;
	if (soc->contacts_changed && load_contacts(soc) != 0)
		soc->contacts_changed = true;
	while (soc->sender && (notice = notify_due(soc->notify, soc->now)) != NULL) {
		const struct contact *contact = notify_contact(soc->notify, notice->contact);
		json_t *json = contact ? incident_json(soc, notice->incident) : NULL;
		if (!json) {
			soc_told(soc, notice->id, -EPERM,
				 contact ? "the incident cannot be read" : "the contact is gone");
			continue;
		}
		char *text = contact->kind == CONTACT_MAIL ? notify_mail(notice, contact, json, soc->config.mail.from,
									 soc->config.name, soc->now)
							   : notify_json(notice, contact, json, soc->now);
		json_decref(json);
		if (sender_send(soc->sender, contact, notice->id, text) != 0) {
			notice->flying = false;
			return;
		}
	}
}
