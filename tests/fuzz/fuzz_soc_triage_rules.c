/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules of triage. Holds: they are refused with a message that names file and line, or they judge any event, and what
 * they say makes an incident that can be stored and read back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "incident.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void broken(const char *what, const char *more)
{
	fprintf(stderr, "fuzz_soc_triage_rules: %s: %s\n", what, more);
	abort();
}

static struct event event_of(const char *source, const char *target)
{
	struct event event = {.id = 1,
			      .customer = 1,
			      .class = "Web Application Attack",
			      .first = 1000000,
			      .last = 90000000,
			      .received = 2000000,
			      .count = 3,
			      .outcomes = {1, 1, 1},
			      .verdicts = {1, 1, 1},
			      .passed = {1, 1, 0},
			      .severity = SEVERITY_CRITICAL,
			      .signature_count = 1,
			      .target_count = 2,
			      .port_count = 1,
			      .ports = {445}};
	event.signatures[0].id = 9000001;
	strcpy(event.signatures[0].message, "SQL injection (CVE-2021-44228)");
	if (!address_parse(source, &event.source) || !address_parse(target, &event.targets[0].address) ||
	    !address_parse("2001:db8::1", &event.targets[1].address))
		abort();
	event.targets[0].passed[OUTCOME_SUCCESS] = 1;
	return event;
}

static void judge(struct incidents *incidents, struct event event, const struct assets *assets)
{
	int error;
	struct incident *incident = incidents_judge(incidents, &event, assets, 3000000, &error);
	if (error)
		abort();
	if (incident && incident_id(incident) == 0)
		incident_set_id(incident, 1000 + (uint64_t)(event.source.byte[15] + event.targets[0].address.byte[15]));
}

struct second {
	struct incidents *incidents;
};

static int restore(void *context, struct incident *incident)
{
	struct second *second = context;
	json_t *json = incident_to_json(incident);
	if (!json)
		abort();
	if (incident_state(incident) == INCIDENT_MERGED) {
		json_decref(json);
		return 0;
	}
	if (incidents_restore(second->incidents, json) != 0)
		broken("an incident cannot be restored", json_string_value(json_object_get(json, "state")));
	json_t *again = incident_to_json(incidents_find(second->incidents, incident_id(incident)));
	/* keys go to the first who claims them */
	json_object_del(json, "keys");
	json_object_del(again, "keys");
	if (!json_equal(json, again))
		broken("an incident is restored as another", json_string_value(json_object_get(json, "opened")));
	json_decref(json);
	json_decref(again);
	return 0;
}

static void use(const struct triage_rules *rules)
{
	struct incident_config config;
	struct assets *assets = assets_new();
	struct asset asset = {
		.name = "shop", .role = "web", .importance = 3, .exposed = {"CVE-2021-44228"}, .exposed_count = 1};
	incident_config_defaults(&config);
	struct second second = {incidents_open(&config, rules)};
	struct incidents *incidents = incidents_open(&config, rules);
	if (!assets || !incidents || !second.incidents || !prefix_parse("10.0.0.8", &asset.prefix) ||
	    assets_add(assets, &asset) != 0)
		abort();
	judge(incidents, event_of("10.0.0.1", "10.0.0.8"), assets);
	judge(incidents, event_of("198.51.100.16", "10.0.0.8"), assets);
	judge(incidents, event_of("10.0.0.8", "198.51.100.33"), assets);
	incidents_dirty(incidents, restore, &second);
	incidents_free(incidents);
	incidents_free(second.incidents);
	assets_free(assets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[TRIAGE_ERROR_MAX];
	struct triage_rules *rules = triage_rules_read((const char *)data, size, "rules", error);
	if (rules) {
		use(rules);
		triage_rules_free(rules);
		return 0;
	}
	unsigned line = 0;
	if (sscanf(error, "rules:%u: ", &line) != 1 || line == 0)
		broken("a message without file and line", error);
	return 0;
}
