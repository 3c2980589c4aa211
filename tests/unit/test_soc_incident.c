/* SPDX-License-Identifier: BSD-3-Clause */
/* From a flood of events to a handful of incidents, by the rules that come with the program. */
#include "soc_incidents.h"

static void attempt_success_callback_spread_is_one(void **state)
{
	struct soc *soc = *state;
	struct incident *i =
		feed(soc, (struct said){ADMIN, "198.51.100.7", "10.0.0.20", .port = 445, .outcome = OUTCOME_ATTEMPT});
	assert_int_equal(incident_severity(i), SEVERITY_WARNING);
	assert_ptr_equal(i, feed(soc, (struct said){"Successful Administrator Privilege Gain", "198.51.100.7",
						    "10.0.0.20", .port = 445, .outcome = OUTCOME_SUCCESS, .at = 60}));
	assert_int_equal(incident_severity(i), SEVERITY_EMERGENCY);
	assert_ptr_equal(i, feed(soc, (struct said){C2, "10.0.0.20", "198.51.100.99", .port = 443, .at = 120}));
	for (int n = 30; n < 60; n++) {
		char target[32];
		snprintf(target, sizeof(target), "10.0.0.%d", n);
		assert_ptr_equal(i, feed(soc, (struct said){ADMIN, "10.0.0.20", target, .port = 445, .at = 180}));
	}
	/* one of those attacked calls back as well */
	assert_ptr_equal(i, feed(soc, (struct said){C2, "10.0.0.35", "198.51.100.98", .port = 443, .at = 240}));
	assert_int_equal(count_incidents(soc), 1);
	json_t *json = incident_to_json(i);
	assert_string_equal(role_in(json, "10.0.0.20"), "infected");
	assert_string_equal(role_in(json, "10.0.0.35"), "infected");
	assert_string_equal(role_in(json, "10.0.0.40"), "target");
	assert_string_equal(role_in(json, "198.51.100.7"), "attacker");
	assert_string_equal(role_in(json, "198.51.100.99"), "attacker");
	assert_true(says(json, "en", "10.0.0.20 was taken over") ||
		    says(json, "en", "An attack on 10.0.0.20 succeeded"));
	assert_true(says(json, "en", "attacked 30 hosts"));
	assert_true(says(json, "en", "the infection has spread"));
	assert_true(says(json, "ja", "感染が広がっています"));
	assert_true(json_array_size(json_object_get(json_object_get(json, "measures"), "en")) > 3);
	assert_int_equal(json_integer_value(json_object_get(json, "record_count")), 34);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(json, "extent"), "infected")), 2);
	json_decref(json);
	assert_int_equal(lines_of(i, "opened"), 1);
	assert_int_equal(lines_of(i, "raised"), 1);
	assert_true(lines_of(i, "chain") >= 3);
}

static void it_rises_step_by_step_and_says_why(void **state)
{
	struct soc *soc = *state;
	struct incident *i =
		feed(soc, (struct said){SUSFILE, "10.0.0.7", "198.51.100.50", .port = 143, .outcome = OUTCOME_ATTEMPT});
	assert_int_equal(incident_severity(i), SEVERITY_WARNING);
	assert_ptr_equal(i, feed(soc, (struct said){C2, "10.0.0.7", "198.51.100.99", .at = 300}));
	/* mail, then call-back: more than a call-back alone */
	assert_int_equal(incident_severity(i), SEVERITY_EMERGENCY);
	json_t *json = incident_to_json(i);
	const char *title = json_string_value(json_object_get(json_object_get(json, "title"), "en"));
	assert_string_equal(title, "10.0.0.7 opened something malicious and is infected");
	assert_true(says(json, "en", "what came was opened"));
	json_decref(json);
	const json_t *raised = line_of(i, "raised", 0);
	assert_string_equal(json_string_value(json_object_get(raised, "from")), "warning");
	assert_string_equal(json_string_value(json_object_get(raised, "to")), "emergency");
	/* the clock runs since the record that made it grave */
	assert_int_equal(incident_clock(i), MORNING_US + 301 * SECOND_US);
}

static void blocked_evidence_makes_no_chain(void **state)
{
	struct soc *soc = *state;
	feed(soc, (struct said){SUSFILE, "10.0.0.7", "198.51.100.50", .verdict = VERDICT_BLOCKED});
	struct incident *i = feed(soc, (struct said){C2, "10.0.0.7", "198.51.100.99", .verdict = VERDICT_BLOCKED});
	assert_int_equal(incident_severity(i), SEVERITY_CRITICAL);
}

static void noise_stays_low_and_few(void **state)
{
	struct soc *soc = *state;
	for (int n = 0; n < 20000; n++) {
		static const char *const classes[] = {SCAN, ADMIN, WEB, MISC, TROJAN};
		char source[32];
		snprintf(source, sizeof(source), "45.%d.%d.%d", n >> 16, n >> 8 & 255, n & 255);
		feed(soc,
		     (struct said){classes[n % 5], source, "203.0.113.80", .verdict = VERDICT_BLOCKED, .at = n / 100});
	}
	assert_int_equal(count_incidents(soc), 2); /* scans, and attacks that were blocked */
	for (unsigned n = 1; n <= soc->next_id; n++) {
		struct incident *i = incidents_find(soc->incidents, n);
		if (!i)
			continue;
		assert_int_equal(incident_severity(i), SEVERITY_INFORMATIONAL);
		assert_true(json_array_size(incident_entries(i)) < 10);
		json_t *json = incident_to_json(i);
		json_int_t hosts = json_integer_value(json_object_get(json, "host_count"));
		bool scans = json_integer_value(json_object_get(json, "record_count")) == 4000;
		assert_in_range(hosts, scans ? 3800 : 11400, scans ? 4200 : 12600);
		assert_int_equal(json_array_size(json_object_get(json, "hosts")), INCIDENT_HOSTS_MAX);
		json_decref(json);
	}
}

static void background_that_becomes_grave_leaves_the_background(void **state)
{
	struct soc *soc = *state;
	feed(soc, (struct said){WEB, "45.0.0.1", "203.0.113.80", .verdict = VERDICT_BLOCKED});
	struct incident *background =
		feed(soc, (struct said){WEB, "45.0.0.2", "203.0.113.80", .verdict = VERDICT_BLOCKED, .times = 5});
	struct incident *grave =
		feed(soc, (struct said){WEB, "45.0.0.2", "203.0.113.80", .outcome = OUTCOME_SUCCESS, .at = 30});
	assert_ptr_not_equal(background, grave);
	assert_int_equal(incident_severity(background), SEVERITY_INFORMATIONAL);
	assert_int_equal(incident_severity(grave), SEVERITY_EMERGENCY);
	json_t *before = incident_to_json(background), *after = incident_to_json(grave);
	assert_int_equal(json_integer_value(json_object_get(before, "record_count")), 1);
	assert_int_equal(json_integer_value(json_object_get(after, "record_count")), 6);
	assert_int_equal(json_integer_value(json_object_get(after, "blocked")), 5);
	json_decref(before);
	json_decref(after);
	/* and stays there whatever comes */
	assert_ptr_equal(
		feed(soc, (struct said){WEB, "45.0.0.2", "203.0.113.80", .verdict = VERDICT_BLOCKED, .at = 40}), grave);
}

static void two_that_turn_out_as_one_are_merged(void **state)
{
	struct soc *soc = *state;
	struct incident *old = feed(soc, (struct said){C2, "10.0.0.7", "198.51.100.99"});
	soc->now += HOUR_US;
	struct incident *other = feed(soc, (struct said){C2, "10.0.0.8", "198.51.100.98", .at = 3600});
	assert_ptr_not_equal(old, other);
	uint64_t old_id = incident_id(old);
	/* both call the same server */
	struct incident *both = feed(soc, (struct said){C2, "10.0.0.8", "198.51.100.99", .at = 3660});
	assert_ptr_equal(both, old);
	assert_int_equal(incident_state(other), INCIDENT_MERGED);
	assert_int_equal(incident_merged_into(other), old_id);
	assert_int_equal(incident_severity(old), SEVERITY_EMERGENCY);
	assert_int_equal(lines_of(old, "merged"), 1);
	assert_int_equal(lines_of(other, "merged"), 1);
	json_t *json = incident_to_json(old);
	assert_int_equal(json_integer_value(json_object_get(json, "record_count")), 3);
	assert_int_equal(json_array_size(json_object_get(json, "events")), 2);
	assert_string_equal(role_in(json, "10.0.0.8"), "infected");
	json_decref(json);
	json = incident_to_json(other);
	assert_string_equal(json_string_value(json_object_get(json, "state")), "merged");
	assert_int_equal(json_integer_value(json_object_get(json, "merged_into")), old_id);
	json_decref(json);
	/* what is over is forgotten once it is stored */
	store_all(soc);
	assert_int_equal(count_incidents(soc), 1);
}

static void customers_are_apart(void **state)
{
	struct soc *soc = *state;
	struct record record = record_of(&(struct said){C2, "10.0.0.7", "198.51.100.99"});
	struct incident *mine = judge(soc, events_add(soc->events, 1, &record, 1, record.time));
	struct incident *other = judge(soc, events_add(soc->events, 2, &record, 2, record.time));
	assert_ptr_not_equal(mine, other);
	assert_int_equal(incident_customer(other), 2);
	assert_int_equal(incidents_merge(soc->incidents, mine, other, "ann", soc->now), -EINVAL);
}

static void quiet_incidents_take_no_more(void **state)
{
	struct soc *soc = *state;
	struct incident *old = feed(soc, (struct said){C2, "10.0.0.7", "198.51.100.99"});
	uint64_t id = incident_id(old);
	soc->now += 25 * HOUR_US;
	events_expire(soc->events, soc->now);
	events_settle(soc->events);
	struct incident *fresh = feed(soc, (struct said){C2, "10.0.0.7", "198.51.100.99", .at = 25 * 3600});
	assert_int_not_equal(incident_id(fresh), id);
	store_all(soc); /* it becomes quiet */
	assert_non_null(incidents_find(soc->incidents, id));
	store_all(soc); /* which is stored, and then it is forgotten */
	assert_int_equal(lines_stored(soc, "quiet"), 1);
	assert_null(incidents_find(soc->incidents, id));
	assert_non_null(incidents_find(soc->incidents, incident_id(fresh)));
}

static void too_many_are_bounded(void **state)
{
	struct soc *soc = *state;
	struct incident_config config = {.quiet = HOUR_US, .open_max = 10};
	incidents_free(soc->incidents);
	soc->incidents = incidents_open(&config, soc->rules);
	for (int n = 1; n <= 50; n++) {
		char source[32], target[32];
		snprintf(source, sizeof(source), "10.0.0.%d", n);
		snprintf(target, sizeof(target), "198.51.100.%d", n);
		feed(soc, (struct said){C2, source, target});
		store_all(soc);
		store_all(soc);
	}
	assert_int_equal(count_incidents(soc), 10);
	assert_int_equal(lines_stored(soc, "quiet"), 40);
}

static void silent_device(void **state)
{
	struct soc *soc = *state;
	int error;
	struct incident *i =
		incidents_raise(soc->incidents, 1, "device:s1", SEVERITY_WARNING, "Sensor s1 is silent",
				"センサー s1 が無応答", "Nothing for 30 s.", "30 秒間無応答。", soc->now, &error);
	assert_ptr_equal(i, incidents_raise(soc->incidents, 1, "device:s1", SEVERITY_CRITICAL, "Sensor s1 is dead",
					    "センサー s1 停止", "Nothing for 10 min.", "10 分間無応答。", soc->now,
					    &error));
	assert_int_equal(error, 0);
	assert_int_equal(incident_severity(i), SEVERITY_CRITICAL);
	json_t *json = incident_to_json(i);
	assert_true(says(json, "en", "Nothing for 10 min."));
	assert_string_equal(json_string_value(json_object_get(json_object_get(json, "title"), "en")),
			    "Sensor s1 is dead");
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SOC(attempt_success_callback_spread_is_one),
		SOC(it_rises_step_by_step_and_says_why),
		SOC(blocked_evidence_makes_no_chain),
		SOC(noise_stays_low_and_few),
		SOC(background_that_becomes_grave_leaves_the_background),
		SOC(two_that_turn_out_as_one_are_merged),
		SOC(customers_are_apart),
		SOC(quiet_incidents_take_no_more),
		SOC(too_many_are_bounded),
		SOC(silent_device),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
