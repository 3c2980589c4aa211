/* SPDX-License-Identifier: BSD-3-Clause */
/* Incidents as the store and the API have them, and back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "incident_private.h"

/* --- out --- */

static json_t *time_json(int64_t us)
{
	char text[32];
	return json_string(time_text(us, text));
}

static json_t *stages_json(uint32_t bits)
{
	json_t *list = json_array();
	for (unsigned s = 0; s < STAGES; s++)
		if (bits & 1u << s)
			json_array_append_new(list, json_string(stage_name((enum stage)s)));
	return list;
}

static json_t *host_json(const struct incident_host *host)
{
	char address[ADDRESS_TEXT_MAX];
	json_t *worst = json_object();
	for (unsigned s = 0; s < STAGES; s++)
		if (host->severity[s])
			json_object_set_new(worst, stage_name((enum stage)s),
					    json_string(severity_name((enum severity)host->severity[s])));
	return json_pack("{s:s,s:s,s:s,s:o,s:o,s:o,s:s,s:o,s:o}", "address", address_text(&host->address, address),
			 "role", incident_role_name(host->role), "name", host->name, "stages",
			 stages_json(host->stages), "passed", stages_json(host->passed), "worst", worst, "chain",
			 severity_name((enum severity)host->chain), "first", time_json(host->first), "last",
			 time_json(host->last));
}

static int compare_hosts(const void *a, const void *b)
{
	const struct incident_host *left = *(const struct incident_host *const *)a;
	const struct incident_host *right = *(const struct incident_host *const *)b;
	if (left->role != right->role)
		return left->role > right->role ? -1 : 1;
	if (left->first != right->first)
		return left->first < right->first ? -1 : 1;
	return memcmp(&left->address, &right->address, sizeof(left->address));
}

/* The worst hosts first: a reader stops early. */
static json_t *hosts_json(const struct incident *incident)
{
	const struct incident_host *sorted[INCIDENT_HOSTS_MAX];
	json_t *list = json_array();
	for (unsigned i = 0; i < incident->host_count; i++)
		sorted[i] = &incident->hosts[i];
	qsort(sorted, incident->host_count, sizeof(sorted[0]), compare_hosts);
	for (unsigned i = 0; i < incident->host_count; i++)
		json_array_append_new(list, host_json(sorted[i]));
	return list;
}

static json_t *sketch_json(const struct incident *incident)
{
	char text[INCIDENT_SKETCH_BYTES * 2 + 1] = "";
	for (unsigned i = 0; incident->sketch && i < INCIDENT_SKETCH_BYTES; i++)
		snprintf(text + (size_t)2 * i, 3, "%02x", incident->sketch[i]);
	return json_string(text);
}

static json_t *keys_json(const struct incident *incident)
{
	json_t *list = json_array();
	for (const struct incident_key *key = incident->oldest_key; key; key = key->next) {
		char text[TRIAGE_KEY_MAX + 64];
		snprintf(text, sizeof(text), "%s", key->text);
		json_array_append_new(list, json_string(triage_clean(text)));
	}
	return list;
}

/* The sentences, the gravest first. */
static json_t *why_json(const struct incident *incident)
{
	json_t *en = json_array(), *ja = json_array(), *reason;
	size_t i;
	for (int severity = SEVERITIES - 1; severity >= 0; severity--)
		json_array_foreach(incident->reasons, i, reason)
		{
			const char *name = json_string_value(json_object_get(reason, "severity"));
			if (!name || severity_of(name) != severity)
				continue;
			json_array_append(en, json_object_get(reason, "en"));
			json_array_append(ja, json_object_get(reason, "ja"));
		}
	return json_pack("{s:o,s:o}", "en", en, "ja", ja);
}

static json_t *extent_json(const struct incident *incident)
{
	json_t *extent = json_pack("{s:I}", "hosts", (json_int_t)incident_host_count(incident));
	for (int role = 0; role < ROLES; role++)
		json_object_set_new(extent, incident_role_name((enum incident_role)role),
				    json_integer(incident_hosts_in(incident, (enum incident_role)role)));
	return extent;
}

static void add_evidence(const struct incident *incident, json_t *json)
{
	json_object_set_new(json, "hosts", hosts_json(incident));
	json_object_set_new(json, "host_count", json_integer((json_int_t)incident_host_count(incident)));
	json_object_set_new(json, "extent", extent_json(incident));
	json_object_set(json, "events", incident->events);
	json_object_set_new(json, "event_count", json_integer((json_int_t)incident->event_count));
	json_object_set_new(json, "record_count", json_integer((json_int_t)incident->record_count));
	json_object_set_new(json, "blocked", json_integer((json_int_t)incident->blocked));
	json_object_set_new(json, "passed",
			    json_integer((json_int_t)(incident->record_count > incident->blocked
							      ? incident->record_count - incident->blocked
							      : 0)));
	json_object_set(json, "signatures", incident->signatures);
	json_object_set_new(json, "keys", keys_json(incident));
	json_object_set(json, "rules", incident->rules);
	json_object_set_new(json, "rules_version", json_string(incident->rules_version));
	json_object_set(json, "reasons", incident->reasons);
	json_object_set(json, "merged_from", incident->merged_from);
	if (incident->sketch)
		json_object_set_new(json, "host_sketch", sketch_json(incident));
}

static void add_times(const struct incident *incident, json_t *json)
{
	json_object_set_new(json, "first", time_json(incident->first));
	json_object_set_new(json, "last", time_json(incident->last));
	json_object_set_new(json, "opened", time_json(incident->opened));
	json_object_set_new(json, "active", time_json(incident->active));
	json_object_set_new(json, "moved", time_json(incident->moved));
	json_object_set_new(json, "clock", time_json(incident_clock(incident)));
	json_object_set_new(json, "clock_low", time_json(incident->clock_low));
	json_object_set_new(json, "clock_high", time_json(incident->clock_high));
}

json_t *incident_to_json(const struct incident *incident)
{
	json_t *json =
		json_pack("{s:I,s:I,s:s,s:s,s:b,s:b,s:O,s:o,s:O,s:s,s:i}", "id", (json_int_t)incident->id, "customer",
			  (json_int_t)incident->customer, "severity", severity_name(incident->severity), "state",
			  incident_state_name(incident->state), "rated", incident->rated, "quiet", incident->quiet,
			  "title", incident->title, "why", why_json(incident), "measures", incident->measures,
			  "assignee", incident->assignee, "lines", (int)incident->lines);
	if (!json)
		return NULL;
	add_times(incident, json);
	add_evidence(incident, json);
	if (incident_merged_into(incident))
		json_object_set_new(json, "merged_into", json_integer((json_int_t)incident_merged_into(incident)));
	/* what it tells changes, what was told must not */
	json_t *copy = json_deep_copy(json);
	json_decref(json);
	return copy;
}

/* --- and back --- */

static bool read_time(const json_t *json, const char *name, int64_t *us)
{
	const char *text = json_string_value(json_object_get(json, name));
	return text && time_parse(text, us);
}

static bool read_count(const json_t *json, const char *name, uint64_t *count)
{
	const json_t *value = json_object_get(json, name);
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return false;
	*count = (uint64_t)json_integer_value(value);
	return true;
}

static int read_name(const json_t *json, const char *name, int (*of)(const char *))
{
	const char *text = json_string_value(json_object_get(json, name));
	return text ? of(text) : -1;
}

static bool read_text(const json_t *json, const char *name, char *into, size_t size)
{
	const char *text = json_string_value(json_object_get(json, name));
	if (!text || strlen(text) >= size)
		return false;
	memcpy(into, text, strlen(text) + 1);
	return true;
}

static uint32_t read_stages(const json_t *list)
{
	uint32_t bits = 0;
	size_t i;
	json_t *name;
	json_array_foreach(list, i, name)
	{
		int stage = json_is_string(name) ? stage_of(json_string_value(name)) : -1;
		if (stage >= 0)
			bits |= 1u << stage;
	}
	return bits;
}

static bool read_host(const json_t *json, struct incident_host *host)
{
	const char *address = json_string_value(json_object_get(json, "address")), *stage;
	int role = read_name(json, "role", incident_role_of), chain = read_name(json, "chain", severity_of);
	json_t *worst;
	if (!address || !address_parse(address, &host->address) || role < 0 || chain < 0)
		return false;
	host->role = (enum incident_role)role;
	host->chain = (uint8_t)chain;
	host->stages = read_stages(json_object_get(json, "stages"));
	host->passed = read_stages(json_object_get(json, "passed"));
	json_object_foreach(json_object_get(json, "worst"), stage, worst)
	{
		int s = stage_of(stage), severity = json_is_string(worst) ? severity_of(json_string_value(worst)) : -1;
		if (s >= 0 && severity >= 0)
			host->severity[s] = (uint8_t)severity;
	}
	return read_text(json, "name", host->name, sizeof(host->name)) && read_time(json, "first", &host->first) &&
	       read_time(json, "last", &host->last);
}

static int read_hosts(const json_t *list, struct incident *incident)
{
	size_t count = json_array_size(list);
	if (!json_is_array(list) || count > INCIDENT_HOSTS_MAX)
		return -EINVAL;
	incident->hosts = calloc(count + 1, sizeof(*incident->hosts));
	if (!incident->hosts)
		return -ENOMEM;
	incident->host_room = (unsigned)count + 1;
	for (size_t i = 0; i < count; i++)
		if (!read_host(json_array_get(list, i), &incident->hosts[incident->host_count++]))
			return -EINVAL;
	return 0;
}

static int read_sketch(const json_t *json, struct incident *incident)
{
	const char *text = json_string_value(json);
	if (!text)
		return 0;
	if (strlen(text) != (size_t)2 * INCIDENT_SKETCH_BYTES)
		return -EINVAL;
	incident->sketch = calloc(1, INCIDENT_SKETCH_BYTES);
	if (!incident->sketch)
		return -ENOMEM;
	for (unsigned i = 0; i < INCIDENT_SKETCH_BYTES; i++) {
		unsigned value;
		if (sscanf(text + (size_t)2 * i, "%2x", &value) != 1)
			return -EINVAL;
		incident->sketch[i] = (uint8_t)value;
	}
	return 0;
}

static bool only(const json_t *array, json_type type, size_t max)
{
	size_t i;
	json_t *value;
	if (!json_is_array(array) || json_array_size(array) > max)
		return false;
	json_array_foreach(array, i, value) if (json_typeof(value) != type) return false;
	return true;
}

static bool take(json_t **into, const json_t *from)
{
	json_t *copy = json_deep_copy(from);
	if (!copy)
		return false;
	json_decref(*into);
	*into = copy;
	return true;
}

static bool good_reasons(const json_t *reasons)
{
	size_t i;
	json_t *reason;
	if (!only(reasons, JSON_OBJECT, INCIDENT_REASONS_MAX))
		return false;
	json_array_foreach(reasons, i, reason) if (!json_is_string(json_object_get(reason, "id")) ||
						   !json_is_string(json_object_get(reason, "en")) ||
						   !json_is_string(json_object_get(reason, "ja")) ||
						   read_name(reason, "severity", severity_of) < 0) return false;
	return true;
}

static int read_lists(const json_t *json, struct incident *incident)
{
	const json_t *measures = json_object_get(json, "measures"), *title = json_object_get(json, "title");
	if (!only(json_object_get(measures, "en"), JSON_STRING, INCIDENT_MEASURES_MAX) ||
	    !only(json_object_get(measures, "ja"), JSON_STRING, INCIDENT_MEASURES_MAX) ||
	    !json_is_string(json_object_get(title, "en")) || !json_is_string(json_object_get(title, "ja")) ||
	    !json_is_string(json_object_get(title, "by")) || !good_reasons(json_object_get(json, "reasons")) ||
	    !only(json_object_get(json, "signatures"), JSON_OBJECT, INCIDENT_SIGNATURES_MAX) ||
	    !only(json_object_get(json, "events"), JSON_INTEGER, INCIDENT_EVENTS_MAX) ||
	    !only(json_object_get(json, "rules"), JSON_STRING, INCIDENT_REASONS_MAX) ||
	    !only(json_object_get(json, "merged_from"), JSON_INTEGER, INCIDENT_MERGED_MAX) ||
	    !only(json_object_get(json, "keys"), JSON_STRING, INCIDENT_KEYS_MAX))
		return -EINVAL;
	if (!take(&incident->measures, measures) || !take(&incident->title, title) ||
	    !take(&incident->reasons, json_object_get(json, "reasons")) ||
	    !take(&incident->signatures, json_object_get(json, "signatures")) ||
	    !take(&incident->events, json_object_get(json, "events")) ||
	    !take(&incident->merged_from, json_object_get(json, "merged_from")) ||
	    !take(&incident->rules, json_object_get(json, "rules")))
		return -ENOMEM;
	return 0;
}

static int read_scalars(const json_t *json, struct incident *incident)
{
	uint64_t lines;
	int severity = read_name(json, "severity", severity_of), state = read_name(json, "state", incident_state_of);
	if (severity < 0 || state < 0 || state == INCIDENT_MERGED)
		return -EINVAL;
	incident->severity = (enum severity)severity;
	incident->state = (enum incident_state)state;
	incident->rated = json_is_true(json_object_get(json, "rated"));
	incident->quiet = json_is_true(json_object_get(json, "quiet"));
	if (!read_time(json, "first", &incident->first) || !read_time(json, "last", &incident->last) ||
	    !read_time(json, "opened", &incident->opened) || !read_time(json, "active", &incident->active) ||
	    !read_time(json, "moved", &incident->moved) || !read_time(json, "clock_low", &incident->clock_low) ||
	    !read_time(json, "clock_high", &incident->clock_high) ||
	    !read_count(json, "event_count", &incident->event_count) ||
	    !read_count(json, "record_count", &incident->record_count) ||
	    !read_count(json, "blocked", &incident->blocked) || !read_count(json, "lines", &lines) ||
	    !read_text(json, "assignee", incident->assignee, sizeof(incident->assignee)) ||
	    !read_text(json, "rules_version", incident->rules_version, sizeof(incident->rules_version)))
		return -EINVAL;
	incident->lines = lines < INCIDENT_LINES_MAX ? (unsigned)lines : INCIDENT_LINES_MAX;
	return 0;
}

/* Keys that another one has taken meanwhile stay there. */
static int read_keys(const json_t *list, struct incident *incident)
{
	size_t i;
	json_t *key;
	json_array_foreach(list, i, key)
	{
		const char *text = json_string_value(key);
		if (incident_key_owner(incident->owner, incident->customer, text))
			continue;
		if (incident_claim(incident, text, false, incident->active) != 0)
			return -ENOMEM;
	}
	return 0;
}

/* The list goes by evidence; most come in any order at start. */
static void sort_in(struct incident *incident)
{
	struct incidents *owner = incident->owner;
	while (incident->older && incident->older->active > incident->active) {
		struct incident *older = incident->older, *newer = incident->newer, *oldest = older->older;
		older->newer = newer;
		older->older = incident;
		incident->newer = older;
		incident->older = oldest;
		if (newer)
			newer->older = older;
		else
			owner->newest = older;
		if (oldest)
			oldest->newer = incident;
		else
			owner->oldest = incident;
	}
}

int incidents_restore(struct incidents *incidents, const json_t *json)
{
	uint64_t id, customer;
	if (!read_count(json, "id", &id) || id == 0 || !read_count(json, "customer", &customer) ||
	    customer > UINT32_MAX)
		return -EINVAL;
	if (incidents_find(incidents, id))
		return 0;
	struct incident *incident = incident_new(incidents, (uint32_t)customer);
	if (!incident)
		return -ENOMEM;
	int rc = read_scalars(json, incident);
	rc = rc ? rc : read_lists(json, incident);
	rc = rc ? rc : read_hosts(json_object_get(json, "hosts"), incident);
	rc = rc ? rc : read_sketch(json_object_get(json, "host_sketch"), incident);
	rc = rc ? rc : read_keys(json_object_get(json, "keys"), incident);
	if (rc != 0) {
		incident_free(incident);
		return rc;
	}
	incident_set_id(incident, id);
	sort_in(incident);
	incident->dirty = incident->given = false;
	return 0;
}
