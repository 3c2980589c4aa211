/* SPDX-License-Identifier: BSD-3-Clause */
#include "soc_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int restore_event(void *context, const struct document *document)
{
	struct soc *soc = context;
	struct event *event = malloc(sizeof(*event));
	json_t *json = event ? json_loadb(document->body, document->len, 0, NULL) : NULL;
	int rc = !event ? -ENOMEM : !json ? -EINVAL : event_from_json(json, event);
	if (rc == 0)
		rc = events_restore(soc->events, event);
	if (rc == 0) {
		soc_recall_event(soc, event);
	} else if (rc == -EINVAL && soc->config.say) {
		/* one that cannot be read costs its own growth, not the start */
		soc->config.say(soc->config.user, true, "an open event in the store cannot be read; it does not go on");
		rc = 0;
	}
	json_decref(json);
	free(event);
	return rc;
}

int soc_load(struct soc *soc)
{
	const struct document_query open = {.kind = DOCUMENT_EVENT, .state = 0, .oldest_first = true};
	int rc = soc->store->ops->last_row(soc->store, &soc->last_row);
	for (int kind = 1; kind < DOCUMENT_KINDS && rc == 0; kind++)
		rc = soc->store->ops->last_document(soc->store, (enum document_kind)kind, &soc->last_id[kind]);
	soc_unload(soc);
	if (rc == 0 && !(soc->events = events_open(&soc->config.events)))
		rc = -ENOMEM;
	if (rc == 0)
		rc = soc_load_judgement(soc);
	if (rc == 0)
		rc = soc_load_notices(soc);
	if (rc == 0)
		rc = soc->store->ops->documents(soc->store, &open, restore_event, soc);
	return rc;
}

void soc_unload(struct soc *soc)
{
	events_free(soc->events);
	soc->events = NULL;
	soc_unload_judgement(soc);
	soc_unload_notices(soc);
}

static int store_event(void *context, struct event *event)
{
	struct soc *soc = context;
	int rc = soc_judge_event(soc, event);
	if (rc != 0)
		return rc;
	const struct document document = {.kind = DOCUMENT_EVENT,
					  .id = event->id,
					  .customer = event->customer,
					  .parent = event->incident,
					  .state = event->closed,
					  .rank = (int)event->severity,
					  .time = event->last};
	json_t *json = event_to_json(event);
	return json ? soc_put(soc, &document, json) : -ENOMEM;
}

static int found(void *context, struct event *event)
{
	(void)context;
	(void)event;
	return 1;
}

bool soc_has_changes(struct soc *soc)
{
	events_expire(soc->events, soc->now);
	return events_dirty(soc->events, found, NULL) != 0 || soc_incidents_changed(soc) || soc_time_to_tell(soc);
}

int soc_flush(struct soc *soc)
{
	events_expire(soc->events, soc->now);
	int rc = events_dirty(soc->events, store_event, soc);
	rc = rc ? rc : soc_store_incidents(soc);
	return rc ? rc : soc_tell_in_time(soc);
}

void soc_settle(struct soc *soc)
{
	events_settle(soc->events);
	soc_settle_incidents(soc);
}

/* --- for changes ------------------------------------------------------------------------------------------------------- */

int64_t soc_now(const struct soc *soc)
{
	return soc->now;
}

uint64_t soc_new_id(struct soc *soc, enum document_kind kind)
{
	return ++soc->last_id[kind];
}

int soc_put(struct soc *soc, const struct document *document, json_t *body)
{
	struct document d = *document;
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	json_decref(body);
	if (!text)
		return -ENOMEM;
	d.body = text;
	d.len = strlen(text);
	soc->assets_changed |= d.kind == DOCUMENT_ASSET;
	soc->contacts_changed |= d.kind == DOCUMENT_CONTACT;
	soc->suppressions_changed |= d.kind == DOCUMENT_SUPPRESSION;
	int rc = soc->store->ops->document_put(soc->store, &d);
	free(text);
	return rc;
}

int soc_remove(struct soc *soc, enum document_kind kind, uint64_t id)
{
	soc->assets_changed |= kind == DOCUMENT_ASSET;
	soc->contacts_changed |= kind == DOCUMENT_CONTACT;
	return soc->store->ops->document_remove(soc->store, kind, id);
}

int soc_audit(struct soc *soc, const char *who, uint32_t customer, const char *what, json_t *detail)
{
	char time[32];
	const struct document d = {
		.kind = DOCUMENT_AUDIT, .id = soc_new_id(soc, DOCUMENT_AUDIT), .customer = customer, .time = soc->now};
	return soc_put(soc, &d,
		       json_pack("{s:I,s:s,s:s,s:I,s:s,s:o*}", "id", (json_int_t)d.id, "time",
				 time_text(soc->now, time), "who", who, "customer", (json_int_t)customer, "what", what,
				 "detail", detail));
}

/* A device of this name within the transaction, which the directory does not know yet. */
static bool is_pending_name(const struct soc *soc, const struct device *device)
{
	for (unsigned i = 0; i < soc->entry_count; i++)
		if (soc->entries[i].kind == DOCUMENT_DEVICE && soc->entries[i].device.id != device->id &&
		    strcmp(soc->entries[i].device.name, device->name) == 0)
			return true;
	return false;
}

static int put_entry(struct soc *soc, const struct pending_entry *entry, const struct document *document, json_t *body)
{
	if (soc->entry_count == GROUP_ENTRIES_MAX) {
		json_decref(body);
		return -ENOBUFS;
	}
	int rc = soc_put(soc, document, body);
	if (rc == 0)
		soc->entries[soc->entry_count++] = *entry;
	return rc;
}

int soc_put_device(struct soc *soc, const struct device *device)
{
	const struct pending_entry entry = {.kind = DOCUMENT_DEVICE, .device = *device};
	const struct document d = {.kind = DOCUMENT_DEVICE,
				   .id = device->id,
				   .customer = device->customer,
				   .state = device->revoked,
				   .time = soc->now,
				   .key = device->fingerprint};
	if (is_pending_name(soc, device))
		return -EEXIST;
	return put_entry(soc, &entry, &d, device_to_json(device));
}

int soc_put_user(struct soc *soc, const struct user *user)
{
	const struct pending_entry entry = {.kind = DOCUMENT_USER, .user = *user};
	const struct document d = {.kind = DOCUMENT_USER,
				   .id = user->id,
				   .customer = user->customer,
				   .state = user->disabled,
				   .time = soc->now,
				   .key = user->name};
	return put_entry(soc, &entry, &d, user_to_json(user));
}

int soc_put_customer(struct soc *soc, const struct customer *customer)
{
	const struct pending_entry entry = {.kind = DOCUMENT_CUSTOMER, .customer = *customer};
	const struct document d = {.kind = DOCUMENT_CUSTOMER,
				   .id = customer->id,
				   .customer = customer->id,
				   .time = soc->now,
				   .key = customer->name};
	return put_entry(soc, &entry, &d, customer_to_json(customer));
}
