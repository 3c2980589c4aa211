/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* A SOC in memory for the tests of incidents: it judges, gives ids and stores as the program does. */

#include <errno.h>
#include <stdlib.h>

#include "incident.h"
#include "soc_events.h"

struct soc {
	struct events *events;
	struct assets *assets;
	struct triage_rules *rules;
	struct incidents *incidents;
	uint64_t next_id, next_event;
	int64_t now;
	json_t *lines;	/* of history, stored */
	json_t *stored; /* id: incident */
};

static int soc_open(void **state)
{
	static struct soc soc;
	struct incident_config config;
	soc = (struct soc){.events = events_new(), .assets = assets_new(), .rules = triage_rules_default()};
	incident_config_defaults(&config);
	soc.incidents = incidents_open(&config, soc.rules);
	soc.now = MORNING_US + SECOND_US;
	soc.lines = json_array();
	soc.stored = json_object();
	asset_new(soc.assets, "203.0.113.0/24", "public", 2, NULL);
	*state = &soc;
	return 0;
}

static int soc_close(void **state)
{
	struct soc *soc = *state;
	incidents_free(soc->incidents);
	events_free(soc->events);
	assets_free(soc->assets);
	triage_rules_free(soc->rules);
	json_decref(soc->lines);
	json_decref(soc->stored);
	return 0;
}

#define SOC(test) cmocka_unit_test_setup_teardown(test, soc_open, soc_close)

static inline struct incident *judge(struct soc *soc, struct event *event)
{
	int error;
	if (!event->id)
		event->id = ++soc->next_event;
	struct incident *incident = incidents_judge(soc->incidents, event, soc->assets, soc->now, &error);
	assert_int_equal(error, 0);
	if (incident && !incident_id(incident))
		incident_set_id(incident, ++soc->next_id);
	if (incident)
		event->incident = incident_id(incident);
	return incident;
}

static inline struct incident *feed(struct soc *soc, struct said said)
{
	return judge(soc, hear(soc->events, &said));
}

static inline int store_one(void *context, struct incident *incident)
{
	struct soc *soc = context;
	char id[32];
	json_t *entries = json_deep_copy(incident_entries(incident));
	snprintf(id, sizeof(id), "%llu", (unsigned long long)incident_id(incident));
	assert_string_not_equal(id, "0");
	json_array_extend(soc->lines, entries);
	json_decref(entries);
	json_object_set_new(soc->stored, id, incident_to_json(incident));
	return 0;
}

static inline void store_all(struct soc *soc)
{
	assert_int_equal(incidents_dirty(soc->incidents, store_one, soc), 0);
	incidents_settle(soc->incidents, soc->now);
}

/* Those in memory that were not merged. */
static inline unsigned count_incidents(struct soc *soc)
{
	unsigned count = 0;
	for (uint64_t id = 1; id <= soc->next_id; id++) {
		struct incident *incident = incidents_find(soc->incidents, id);
		count += incident && incident_state(incident) != INCIDENT_MERGED;
	}
	return count;
}

static inline const char *role_in(const json_t *incident, const char *address)
{
	size_t i;
	json_t *host;
	json_array_foreach(json_object_get(incident, "hosts"), i,
			   host) if (strcmp(json_string_value(json_object_get(host, "address")), address) ==
				     0) return json_string_value(json_object_get(host, "role"));
	return "";
}

static inline bool says(const json_t *incident, const char *language, const char *words)
{
	size_t i;
	json_t *sentence;
	json_array_foreach(json_object_get(json_object_get(incident, "why"), language), i,
			   sentence) if (strstr(json_string_value(sentence), words)) return true;
	return false;
}

static inline unsigned count_lines(const json_t *lines, const char *kind)
{
	unsigned count = 0;
	size_t i;
	json_t *line;
	json_array_foreach(lines, i, line) count += strcmp(json_string_value(json_object_get(line, "kind")), kind) == 0;
	return count;
}

static inline unsigned lines_of(const struct incident *incident, const char *kind)
{
	return count_lines(incident_entries(incident), kind);
}

static inline unsigned lines_stored(const struct soc *soc, const char *kind)
{
	return count_lines(soc->lines, kind);
}

static inline const json_t *line_of(const struct incident *incident, const char *kind, unsigned skip)
{
	size_t i;
	json_t *line;
	json_array_foreach(incident_entries(incident), i,
			   line) if (strcmp(json_string_value(json_object_get(line, "kind")), kind) == 0 &&
				     skip-- == 0) return line;
	fail_msg("there is no line %s", kind);
	return NULL;
}
