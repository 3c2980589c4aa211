/* SPDX-License-Identifier: BSD-3-Clause */
/* Stored events through changed rules. */
#include "simulate.h"

#include "soc_incidents.h"

struct shelf {
	json_t *events;
	size_t at;
	const struct assets *assets;
};

static json_t *next(void *context)
{
	struct shelf *shelf = context;
	return json_incref(json_array_get(shelf->events, shelf->at++));
}

static const struct assets *assets_for(void *context, uint32_t customer)
{
	struct shelf *shelf = context;
	return customer == 1 ? shelf->assets : NULL;
}

static void put(struct soc *soc, struct shelf *shelf, struct said said)
{
	struct event *event = hear(soc->events, &said);
	event->id = ++soc->next_event;
	json_array_append_new(shelf->events, event_to_json(event));
}

static json_int_t count_at(const json_t *json, const char *side, const char *severity)
{
	return json_integer_value(json_object_get(json_object_get(json_object_get(json, "incidents"), side), severity));
}

static struct shelf fill(struct soc *soc)
{
	struct shelf shelf = {json_array(), 0, soc->assets};
	put(soc, &shelf, (struct said){SCAN, "45.0.0.1", "203.0.113.80"});
	put(soc, &shelf, (struct said){SCAN, "45.0.0.2", "203.0.113.80", .at = 1});
	put(soc, &shelf, (struct said){C2, "10.0.0.7", "198.51.100.60", .at = 2});
	put(soc, &shelf, (struct said){C2, "10.0.0.8", "198.51.100.61", .at = 3});
	put(soc, &shelf, (struct said){TROJAN, "10.0.0.8", "198.51.100.60", .at = 4});
	put(soc, &shelf, (struct said){MISC, "45.0.0.1", "203.0.113.80", .at = 5});
	json_array_append_new(shelf.events, json_pack("{s:s}", "class", "broken"));
	return shelf;
}

static void same_rules_make_no_difference(void **state)
{
	struct soc *soc = *state;
	struct shelf shelf = fill(soc);
	json_t *json = simulate(soc->rules, soc->rules, &(struct simulate_source){next, assets_for, &shelf});
	assert_int_equal(json_integer_value(json_object_get(json, "events")), 6);
	assert_int_equal(json_integer_value(json_object_get(json, "unreadable")), 1);
	assert_int_equal(json_integer_value(json_object_get(json, "changed")), 0);
	assert_int_equal(count_at(json, "before", "informational"), 1);
	assert_int_equal(count_at(json, "before", "critical"), 0); /* both hosts called one server: merged, and worse */
	assert_int_equal(count_at(json, "after", "emergency"), 1);
	json_decref(json);
	json_decref(shelf.events);
}

static void other_rules_show_what_they_change(void **state)
{
	static const char text[] = "version: 2\nrules:\n"
				   "- {id: scan, when: {class: '*Network Scan'}, severity: none}\n"
				   "- {id: c2, when: {class: 'Malware*'}, severity: warning, stage: callback, about: "
				   "source, keys: ['host:%{source}'], title: {en: t, ja: t}, why: {en: w, ja: w}}\n";
	struct soc *soc = *state;
	struct shelf shelf = fill(soc);
	char error[TRIAGE_ERROR_MAX];
	struct triage_rules *other = triage_rules_read(text, sizeof(text) - 1, "o.yaml", error);
	assert_non_null(other);
	json_t *json = simulate(soc->rules, other, &(struct simulate_source){next, assets_for, &shelf});
	assert_int_equal(json_integer_value(json_object_get(json, "changed")), 6);
	assert_int_equal(count_at(json, "before", "emergency"), 1);
	assert_int_equal(count_at(json, "after", "emergency"), 0);
	assert_int_equal(count_at(json, "after", "warning"), 2);
	assert_int_equal(count_at(json, "after", "informational"), 0);
	const json_t *change = json_array_get(json_object_get(json, "changes"), 2);
	assert_int_equal(json_integer_value(json_object_get(change, "event")), 3);
	assert_string_equal(json_string_value(json_object_get(change, "source")), "10.0.0.7");
	assert_string_equal(json_string_value(json_object_get(json_object_get(change, "before"), "rule")), "callback");
	assert_string_equal(json_string_value(json_object_get(json_object_get(change, "after"), "severity")),
			    "warning");
	const json_t *rule = json_object_get(json_object_get(json, "rules"), "scan-outside");
	assert_int_equal(json_integer_value(json_object_get(rule, "before")), 2);
	assert_int_equal(json_integer_value(json_object_get(rule, "after")), 0);
	assert_string_equal(json_string_value(json_object_get(json_object_get(json, "versions"), "after")),
			    triage_rules_version(other));
	json_decref(json);
	json_decref(shelf.events);
	triage_rules_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SOC(same_rules_make_no_difference),
		SOC(other_rules_show_what_they_change),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
