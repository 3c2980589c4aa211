/* SPDX-License-Identifier: BSD-3-Clause */
/* The writer's triage: its rules and what is known of addresses, events into incidents, and those into the store. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "asset_json.h"
#include "soc_inside.h"

static void complain(struct soc *soc, const char *what)
{
	if (soc->config.say)
		soc->config.say(soc->config.user, true, what);
}

/* --- the rules --------------------------------------------------------------------------------------------------------- */

#define RULES_BYTES_MAX (1u << 20)

static char *read_file(const char *path, size_t *len)
{
	FILE *file = fopen(path, "re");
	char *text = file ? malloc(RULES_BYTES_MAX) : NULL;
	*len = text ? fread(text, 1, RULES_BYTES_MAX, file) : 0;
	if (text && (ferror(file) || *len == RULES_BYTES_MAX)) {
		errno = ferror(file) ? EIO : EFBIG;
		free(text);
		text = NULL;
	}
	if (file)
		fclose(file);
	return text;
}

int soc_read_rules(struct soc *soc, char error[static SOC_ERROR_MAX])
{
	const char *path = soc->config.triage_rules;
	char why[TRIAGE_ERROR_MAX] = "out of memory", *text = NULL;
	size_t len;
	if (path && !(text = read_file(path, &len))) {
		snprintf(error, SOC_ERROR_MAX, "%.200s: %s", path, strerror(errno));
		return -errno;
	}
	soc->own_rules = path ? triage_rules_read(text, len, path, why) : triage_rules_default();
	soc->rules = soc->own_rules;
	free(text);
	if (soc->rules)
		return 0;
	snprintf(error, SOC_ERROR_MAX, "%.500s", why);
	return -EINVAL;
}

/* --- what is known of addresses ---------------------------------------------------------------------------------------- */

static void free_assets(struct soc *soc)
{
	for (unsigned i = 0; i < soc->asset_room; i++)
		assets_free(soc->assets[i]);
	free(soc->assets);
	soc->assets = NULL;
	soc->asset_room = 0;
}

static struct assets *assets_to_fill(struct soc *soc, uint32_t customer)
{
	if (customer >= soc->asset_room) {
		unsigned room = customer + 16;
		struct assets **all = reallocarray(soc->assets, room, sizeof(*all));
		if (!all)
			return NULL;
		memset(all + soc->asset_room, 0, (room - soc->asset_room) * sizeof(*all));
		soc->assets = all;
		soc->asset_room = room;
	}
	if (!soc->assets[customer])
		soc->assets[customer] = assets_new();
	return soc->assets[customer];
}

static int load_asset(void *context, const struct document *document)
{
	struct soc *soc = context;
	struct customer customer;
	struct asset asset;
	char error[ASSET_ERROR_MAX];
	/* a number that no customer has would make a table of any size */
	if (!directory_customer(soc->directory, document->customer, &customer))
		return 0;
	json_t *json = json_loadb(document->body, document->len, 0, NULL);
	int rc = json ? asset_from_json(json, &asset, error) : -EINVAL;
	json_decref(json);
	if (rc != 0) {
		complain(soc, "an asset in the store cannot be read; it is not known to triage");
		return 0;
	}
	struct assets *assets = assets_to_fill(soc, document->customer);
	return assets ? assets_add(assets, &asset) : -ENOMEM;
}

static int load_assets(struct soc *soc)
{
	const struct document_query all = {.kind = DOCUMENT_ASSET, .state = 0, .oldest_first = true};
	free_assets(soc);
	soc->assets_changed = false;
	return soc->store->ops->documents(soc->store, &all, load_asset, soc);
}

static const struct assets *assets_of(const struct soc *soc, uint32_t customer)
{
	return customer < soc->asset_room ? soc->assets[customer] : NULL;
}

/* --- what is suppressed -------------------------------------------------------------------------------------------------- */

static int load_suppression(void *context, const struct document *document)
{
	struct soc *soc = context;
	struct suppression s;
	json_t *json = json_loadb(document->body, document->len, 0, NULL);
	int rc = json ? suppression_restore(json, &s) : -EINVAL;
	json_decref(json);
	if (rc != 0) {
		complain(soc, "a suppression in the store cannot be read; it does not hold");
		return 0;
	}
	struct suppression *all = reallocarray(soc->suppressions, soc->suppression_count + 1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	soc->suppressions = all;
	all[soc->suppression_count++] = s;
	return 0;
}

/* The documents' time is their end. */
static int load_suppressions(struct soc *soc)
{
	const struct document_query lasting = {
		.kind = DOCUMENT_SUPPRESSION, .state = -1, .from = soc->now, .oldest_first = true};
	soc->suppression_count = 0;
	soc->suppressions_changed = false;
	return soc->store->ops->documents(soc->store, &lasting, load_suppression, soc);
}

static bool is_suppressed(const struct soc *soc, const struct event *event)
{
	for (unsigned i = 0; i < soc->suppression_count; i++)
		if (suppression_holds(&soc->suppressions[i], event, soc->now))
			return true;
	return false;
}

/* --- from the store ---------------------------------------------------------------------------------------------------- */

static int restore_incident(void *context, const struct document *document)
{
	struct soc *soc = context;
	json_t *json = json_loadb(document->body, document->len, 0, NULL);
	int rc = json ? incidents_restore(soc->incidents, json) : -EINVAL;
	json_decref(json);
	if (rc == -EINVAL) {
		/* one that cannot be read costs its own growth, not the start */
		complain(soc, "an incident in the store cannot be read; it does not go on");
		rc = 0;
	}
	return rc;
}

/* Those that may still take evidence, and those that people ended so lately that evidence of them is still expected. */
static int load_incidents(struct soc *soc)
{
	struct document_query lately = {
		.kind = DOCUMENT_INCIDENT, .from = soc->now - 2 * soc->config.incidents.quiet, .oldest_first = true};
	int rc = 0;
	for (int state = 0; state < INCIDENT_MERGED && rc == 0; state++) {
		lately.state = state;
		rc = soc->store->ops->documents(soc->store, &lately, restore_incident, soc);
	}
	return rc;
}

int soc_load_judgement(struct soc *soc)
{
	int rc = load_assets(soc);
	rc = rc ? rc : load_suppressions(soc);
	if (rc == 0 && !(soc->incidents = incidents_open(&soc->config.incidents, soc->rules)))
		rc = -ENOMEM;
	return rc ? rc : load_incidents(soc);
}

void soc_recall_event(struct soc *soc, const struct event *event)
{
	incidents_recall(soc->incidents, event, assets_of(soc, event->customer));
}

void soc_unload_judgement(struct soc *soc)
{
	incidents_free(soc->incidents);
	soc->incidents = NULL;
	free(soc->suppressions);
	soc->suppressions = NULL;
	soc->suppression_count = 0;
	free_assets(soc);
}

struct incident *soc_incident(struct soc *soc, uint64_t id)
{
	struct incident *incident = incidents_find(soc->incidents, id);
	if (incident)
		return incident;
	int rc = soc->store->ops->document(soc->store, DOCUMENT_INCIDENT, id, NULL, restore_incident, soc);
	incident = incidents_find(soc->incidents, id);
	if (!incident)
		errno = rc < 0 ? -rc : EIO;
	return incident;
}

struct incidents *soc_incidents(struct soc *soc)
{
	return soc->incidents;
}

/* --- into the store ---------------------------------------------------------------------------------------------------- */

int soc_judge_event(struct soc *soc, struct event *event)
{
	int error;
	/* what has become an incident stays one: a person ends it */
	if (event->incident == 0 && is_suppressed(soc, event))
		return 0;
	struct incident *incident =
		incidents_judge(soc->incidents, event, assets_of(soc, event->customer), soc->now, &error);
	if (incident && incident_id(incident) == 0) {
		incident_set_id(incident, soc_new_id(soc, DOCUMENT_INCIDENT));
		soc->group.incidents++;
	}
	if (incident)
		event->incident = incident_id(incident);
	return error;
}

static int store_history(struct soc *soc, const struct incident *incident)
{
	size_t i;
	json_t *line;
	int rc = 0;
	json_array_foreach(incident_entries(incident), i, line)
	{
		const struct document document = {.kind = DOCUMENT_HISTORY,
						  .id = soc_new_id(soc, DOCUMENT_HISTORY),
						  .customer = incident_customer(incident),
						  .parent = incident_id(incident),
						  .time = soc->now};
		rc = soc_put(soc, &document, json_incref(line));
		if (rc != 0)
			return rc;
	}
	return rc;
}

static int store_incident(void *context, struct incident *incident)
{
	struct soc *soc = context;
	if (incident_id(incident) == 0) {
		incident_set_id(incident, soc_new_id(soc, DOCUMENT_INCIDENT));
		soc->group.incidents++;
	}
	const struct document document = {.kind = DOCUMENT_INCIDENT,
					  .id = incident_id(incident),
					  .customer = incident_customer(incident),
					  .parent = incident_merged_into(incident),
					  .state = incident_state(incident),
					  .rank = (int)incident_severity(incident),
					  .time = soc->now};
	json_t *json = incident_to_json(incident);
	int rc = json ? soc_put(soc, &document, json) : -ENOMEM;
	rc = rc ? rc : store_history(soc, incident);
	return rc ? rc : soc_tell(soc, incident);
}

static int found(void *context, struct incident *incident)
{
	(void)context;
	(void)incident;
	return 1;
}

bool soc_incidents_changed(struct soc *soc)
{
	return incidents_dirty(soc->incidents, found, NULL) != 0;
}

int soc_store_incidents(struct soc *soc)
{
	return incidents_dirty(soc->incidents, store_incident, soc);
}

void soc_settle_incidents(struct soc *soc)
{
	incidents_settle(soc->incidents, soc->now);
	if (soc->suppressions_changed && load_suppressions(soc) != 0) {
		soc->suppressions_changed = true;
		complain(soc, "the list of suppressions cannot be read; only a part of it holds");
	}
	if (soc->assets_changed && load_assets(soc) != 0) {
		soc->assets_changed = true;
		complain(soc, "the list of assets cannot be read; triage goes on with a part of it");
	}
}
