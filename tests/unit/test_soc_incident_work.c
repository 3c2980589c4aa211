/* SPDX-License-Identifier: BSD-3-Clause */
/* People's work on incidents, and incidents that outlive the program. */
#include "soc_incidents.h"

static struct incident *callback(struct soc *soc, const char *host, int64_t at)
{
	return feed(soc, (struct said){C2, host, "198.51.100.99", .at = at});
}

static void every_step_stands_in_the_history(void **state)
{
	struct soc *soc = *state;
	struct incident *i = callback(soc, "10.0.0.7", 0);
	assert_int_equal(incident_assign(i, "ann", "bob", soc->now), 0);
	assert_int_equal(incident_assign(i, "ann", "bob", soc->now), -EINVAL);
	assert_int_equal(incident_move(i, "bob", INCIDENT_ACKNOWLEDGED, "", soc->now), 0);
	assert_int_equal(incident_move(i, "bob", INCIDENT_ACKNOWLEDGED, "", soc->now), -EINVAL);
	assert_int_equal(incident_move(i, "bob", INCIDENT_MERGED, "", soc->now), -EINVAL);
	assert_int_equal(incident_comment(i, "bob", "analyst", "再起動しないでください", soc->now), 0);
	assert_int_equal(incident_comment(i, "bob", "analyst", "", soc->now), -EINVAL);
	assert_int_equal(incident_comment(i, "bob", "analyst", "\xff", soc->now), -EINVAL);
	assert_int_equal(incident_comment(i, "", "analyst", "x", soc->now), -EINVAL);
	assert_int_equal(incident_move(i, "bob", INCIDENT_CLOSED, "cleaned", soc->now), 0);
	const json_t *comment = line_of(i, "comment", 0);
	assert_string_equal(json_string_value(json_object_get(comment, "who")), "bob");
	assert_string_equal(json_string_value(json_object_get(comment, "role")), "analyst");
	assert_string_equal(json_string_value(json_object_get(json_object_get(comment, "text"), "ja")),
			    "再起動しないでください");
	assert_string_equal(json_string_value(json_object_get(line_of(i, "state", 1), "to")), "closed");
	assert_int_equal(lines_of(i, "assigned"), 1);
	store_all(soc);
	assert_int_equal(json_array_size(incident_entries(i)), 0);
	assert_int_equal(lines_stored(soc, "state"), 2);
}

static void a_persons_severity_stands(void **state)
{
	struct soc *soc = *state;
	struct incident *i = callback(soc, "10.0.0.7", 0);
	assert_int_equal(incident_rate(i, "ann", SEVERITY_WARNING, "", soc->now), -EINVAL);
	assert_int_equal(incident_rate(i, "ann", SEVERITY_NONE, "no", soc->now), -EINVAL);
	assert_int_equal(incident_rate(i, "ann", SEVERITY_WARNING, "a test of ours", soc->now), 0);
	/* more of the same does not raise it */
	assert_ptr_equal(callback(soc, "10.0.0.7", 60), i);
	assert_ptr_equal(feed(soc, (struct said){TROJAN, "10.0.0.7", "198.51.100.99", .at = 60}), i);
	assert_int_equal(incident_severity(i), SEVERITY_WARNING);
	/* what is new and worse does */
	soc->now += 120 * SECOND_US;
	assert_ptr_equal(feed(soc, (struct said){ADMIN, "10.0.0.7", "10.0.0.9", .port = 445, .at = 120}), i);
	assert_int_equal(incident_severity(i), SEVERITY_EMERGENCY);
	assert_string_equal(json_string_value(json_object_get(line_of(i, "raised", 0), "from")), "warning");
}

static void a_persons_severity_starts_the_clock(void **state)
{
	struct soc *soc = *state;
	struct incident *i = feed(soc, (struct said){SCAN, "10.0.0.7", "10.0.0.8"});
	assert_int_equal(incident_severity(i), SEVERITY_WARNING);
	assert_int_equal(incident_clock(i), MORNING_US + SECOND_US);
	soc->now += HOUR_US;
	assert_int_equal(incident_rate(i, "ann", SEVERITY_EMERGENCY, "that is the vault", soc->now), 0);
	assert_int_equal(incident_clock(i), soc->now);
}

static void false_positives_stay_silent(void **state)
{
	struct soc *soc = *state;
	struct incident *i = callback(soc, "10.0.0.7", 0);
	uint64_t id = incident_id(i);
	assert_int_equal(incident_move(i, "ann", INCIDENT_FALSE_POSITIVE, "", soc->now), -EINVAL);
	assert_int_equal(incident_move(i, "ann", INCIDENT_FALSE_POSITIVE, "our own updater", soc->now), 0);
	store_all(soc);
	/* the same event goes on, and another like it begins */
	assert_ptr_equal(callback(soc, "10.0.0.7", 60), i);
	assert_ptr_equal(feed(soc, (struct said){TROJAN, "10.0.0.7", "198.51.100.97", .at = 90}), i);
	assert_int_equal(count_incidents(soc), 1);
	assert_int_equal(incident_state(i), INCIDENT_FALSE_POSITIVE);
	/* another thing on the same host is no such */
	struct incident *other = feed(soc, (struct said){ADMIN, "10.0.0.7", "10.0.0.9", .port = 445, .at = 120});
	assert_int_not_equal(incident_id(other), id);
	assert_int_equal(incident_severity(other), SEVERITY_CRITICAL);
}

static void the_mark_of_a_false_positive_expires(void **state)
{
	struct soc *soc = *state;
	struct incident *i = callback(soc, "10.0.0.7", 0);
	assert_int_equal(incident_move(i, "ann", INCIDENT_FALSE_POSITIVE, "our own updater", soc->now), 0);
	soc->now += 25 * HOUR_US;
	events_expire(soc->events, soc->now);
	events_settle(soc->events);
	assert_ptr_not_equal(callback(soc, "10.0.0.7", 25 * 3600), i);
}

static void closed_is_over_for_new_events_only(void **state)
{
	struct soc *soc = *state;
	struct incident *i = callback(soc, "10.0.0.7", 0);
	assert_int_equal(incident_move(i, "ann", INCIDENT_CLOSED, "set up anew", soc->now), 0);
	assert_ptr_equal(callback(soc, "10.0.0.7", 60), i); /* the same event: still that */
	assert_int_equal(incident_state(i), INCIDENT_CLOSED);
	struct incident *again = feed(soc, (struct said){TROJAN, "10.0.0.7", "198.51.100.99", .at = 120});
	assert_ptr_not_equal(again, i);
	/* opened again it has lost what the new one took, and both may be merged by hand */
	assert_int_equal(incident_move(i, "ann", INCIDENT_WORKING, "it is back", soc->now), 0);
	assert_int_equal(incidents_merge(soc->incidents, i, i, "ann", soc->now), -EINVAL);
	assert_int_equal(incidents_merge(soc->incidents, i, again, "ann", soc->now), 0);
	assert_int_equal(incidents_merge(soc->incidents, i, again, "ann", soc->now), -EINVAL);
	assert_int_equal(incident_merged_into(again), incident_id(i));
	assert_string_equal(json_string_value(json_object_get(line_of(again, "merged", 0), "who")), "ann");
	assert_int_equal(incident_comment(again, "ann", "analyst", "x", soc->now), -EINVAL);
	assert_ptr_equal(feed(soc, (struct said){TROJAN, "10.0.0.7", "198.51.100.99", .at = 180}), i);
}

/* --- restart --- */

static int keep_event(void *context, struct event *event)
{
	json_array_append_new(context, event_to_json(event));
	return 0;
}

/* The program ends and begins again with what the store has. */
static void restart(struct soc *soc)
{
	json_t *events = json_array(), *json;
	const char *id;
	size_t at;
	store_all(soc);
	assert_int_equal(events_dirty(soc->events, keep_event, events), 0);
	events_free(soc->events);
	incidents_free(soc->incidents);
	struct incident_config config;
	incident_config_defaults(&config);
	soc->events = events_new();
	soc->incidents = incidents_open(&config, soc->rules);
	json_object_foreach(soc->stored, id,
			    json) if (strcmp(json_string_value(json_object_get(json, "state")), "merged") != 0)
		assert_int_equal(incidents_restore(soc->incidents, json), 0);
	json_array_foreach(events, at, json)
	{
		struct event event;
		memset(&event, 0, sizeof(event));
		assert_int_equal(event_from_json(json, &event), 0);
		assert_int_equal(events_restore(soc->events, &event), 0);
		incidents_recall(soc->incidents, &event, soc->assets);
	}
	json_decref(events);
}

static void story(struct soc *soc, int from, int to)
{
	static const struct said story[] = {
		{SCAN, "45.0.0.1", "203.0.113.80", .verdict = VERDICT_BLOCKED},
		{ADMIN, "198.51.100.7", "10.0.0.20", .port = 445, .outcome = OUTCOME_ATTEMPT, .at = 10},
		{C2, "10.0.0.50", "198.51.100.60", .at = 20},
		{C2, "10.0.0.51", "198.51.100.61", .at = 30},
		{C2, "10.0.0.51", "198.51.100.60", .at = 40}, /* two become one */
		{ADMIN, "198.51.100.7", "10.0.0.20", .port = 445, .outcome = OUTCOME_SUCCESS, .at = 50, .times = 3},
		{SCAN, "45.0.0.1", "203.0.113.81", .verdict = VERDICT_BLOCKED, .at = 60, .times = 7},
		{C2, "10.0.0.20", "198.51.100.99", .at = 70},
		{ADMIN, "10.0.0.20", "10.0.0.21", .port = 445, .at = 80},
		{C2, "10.0.0.21", "198.51.100.98", .at = 90},
		{C2, "10.0.0.51", "198.51.100.61", .at = 100},
	};
	assert_int_equal(sizeof(story) / sizeof(story[0]), 11);
	for (int i = from; i < to; i++) {
		soc->now = MORNING_US + (story[i].at + 1) * SECOND_US;
		feed(soc, story[i]);
	}
	store_all(soc);
}

static void a_restart_changes_nothing(void **state)
{
	struct soc *soc = *state;
	story(soc, 0, 11);
	json_t *whole = json_incref(soc->stored);
	unsigned lines = (unsigned)json_array_size(soc->lines);
	assert_int_equal(json_object_size(whole), 4);
	for (int cut = 0; cut <= 11; cut++) {
		soc_close(state);
		soc_open(state);
		soc = *state;
		story(soc, 0, cut);
		restart(soc);
		story(soc, cut, 11);
		if (!json_equal(whole, soc->stored)) {
			char *expected = json_dumps(whole, JSON_INDENT(1)),
			     *got = json_dumps(soc->stored, JSON_INDENT(1));
			print_error("cut at %d\n%s\n%s\n", cut, expected, got);
			free(expected);
			free(got);
			fail();
		}
		assert_int_equal(json_array_size(soc->lines), lines);
	}
	json_decref(whole);
}

static void what_is_restored_is_checked(void **state)
{
	struct soc *soc = *state;
	struct incident *i = callback(soc, "10.0.0.7", 0);
	json_t *good = incident_to_json(i);
	const char *member;
	json_t *value;
	struct incident_config config;
	incident_config_defaults(&config);
	/* whatever is missing or of another kind is refused, not believed */
	static const char *const optional[] = {"why",	"host_count", "extent", "passed",
					       "clock", "rated",      "quiet",	"merged_into"};
	json_object_foreach(good, member, value)
	{
		bool skip = false;
		for (size_t n = 0; n < sizeof(optional) / sizeof(optional[0]); n++)
			skip |= strcmp(optional[n], member) == 0;
		if (skip)
			continue;
		struct incidents *other = incidents_open(&config, soc->rules);
		json_t *bad = json_deep_copy(good);
		json_object_del(bad, member);
		if (incidents_restore(other, bad) != -EINVAL)
			fail_msg("%s may be missing", member);
		json_object_set_new(bad, member, json_real(1.5));
		assert_int_equal(incidents_restore(other, bad), -EINVAL);
		json_decref(bad);
		assert_int_equal(incidents_restore(other, good), 0);
		assert_int_equal(incidents_restore(other, good), 0);
		json_t *again = incident_to_json(incidents_find(other, incident_id(i)));
		assert_true(json_equal(again, good));
		json_decref(again);
		incidents_free(other);
	}
	json_decref(good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SOC(every_step_stands_in_the_history),
		SOC(a_persons_severity_stands),
		SOC(a_persons_severity_starts_the_clock),
		SOC(false_positives_stay_silent),
		SOC(the_mark_of_a_false_positive_expires),
		SOC(closed_is_over_for_new_events_only),
		SOC(a_restart_changes_nothing),
		SOC(what_is_restored_is_checked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
