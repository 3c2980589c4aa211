/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "event.h"

#define SECOND 1000000ll
#define BEGIN  (1800000000ll * SECOND)

static struct events *events;
static struct event_config config;

static int setup(void **state)
{
	(void)state;
	event_config_defaults(&config);
	events = events_open(&config);
	return events ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	events_free(events);
	return 0;
}

static struct record attack(const char *source, const char *target, int64_t time)
{
	struct record record = {.time = time, .type = RECORD_ALERT, .signature = 7, .target_port = 445};
	address_parse(source, &record.source);
	address_parse(target, &record.target);
	strcpy(record.class, "attack");
	strcpy(record.message, "seven");
	return record;
}

static struct event *add(const char *source, const char *target, int64_t time, uint64_t id)
{
	struct record record = attack(source, target, time);
	return events_add(events, 1, &record, id, time + SECOND);
}

static void same_class_and_source_is_one_event(void **state)
{
	(void)state;
	struct event *event = add("10.0.0.1", "192.0.2.1", BEGIN, 1);
	assert_ptr_equal(add("10.0.0.1", "192.0.2.2", BEGIN + 5 * SECOND, 2), event);
	assert_int_equal(event->count, 2);
	assert_int_equal(event->target_count, 2);
	assert_int_equal(event->first, BEGIN);
	assert_int_equal(event->last, BEGIN + 5 * SECOND);
	assert_int_equal(event->received, BEGIN + SECOND);
	assert_int_equal(event->port_count, 1);
}

static void other_source_class_or_customer_is_another_event(void **state)
{
	(void)state;
	struct record record = attack("10.0.0.1", "192.0.2.1", BEGIN);
	struct event *event = events_add(events, 1, &record, 1, BEGIN);
	assert_ptr_not_equal(events_add(events, 2, &record, 2, BEGIN), event);
	strcpy(record.class, "another");
	assert_ptr_not_equal(events_add(events, 1, &record, 3, BEGIN), event);
	assert_ptr_not_equal(add("10.0.0.2", "192.0.2.1", BEGIN, 4), event);
	assert_int_equal(events_count(events), 4);
	assert_int_equal(event->count, 1);
}

static void window_stays_open_while_records_come_and_closes_then(void **state)
{
	int64_t time = BEGIN;
	(void)state;
	struct event *event = add("10.0.0.1", "192.0.2.1", time, 1);
	for (int i = 2; i < 20; i++)
		assert_ptr_equal(add("10.0.0.1", "192.0.2.1", time += config.window, (uint64_t)i), event);
	struct event *next = add("10.0.0.1", "192.0.2.1", time + config.window + 1, 20);
	assert_ptr_not_equal(next, event);
	assert_true(event->closed);
	assert_int_equal(event->count, 19);
	assert_int_equal(next->count, 1);
}

static void event_does_not_grow_for_ever(void **state)
{
	(void)state;
	struct event *event = add("10.0.0.1", "192.0.2.1", BEGIN, 1);
	for (int64_t t = config.window; t <= config.longest; t += config.window)
		assert_ptr_equal(add("10.0.0.1", "192.0.2.1", BEGIN + t, 2), event);
	assert_ptr_not_equal(add("10.0.0.1", "192.0.2.1", BEGIN + config.longest + config.window, 3), event);
}

static unsigned closed, open_ones;

static int note(void *context, struct event *event)
{
	(void)context;
	*(event->closed ? &closed : &open_ones) += 1;
	return 0;
}

static void what_changed_is_told_once(void **state)
{
	(void)state;
	closed = open_ones = 0;
	add("10.0.0.1", "192.0.2.1", BEGIN, 1);
	add("10.0.0.1", "192.0.2.1", BEGIN, 2);
	add("10.0.0.2", "192.0.2.1", BEGIN, 3);
	events_dirty(events, note, NULL);
	assert_int_equal(open_ones, 2);
	events_settle(events);
	events_dirty(events, note, NULL);
	assert_int_equal(open_ones, 2);
	events_expire(events, BEGIN + 3 * config.window);
	events_dirty(events, note, NULL);
	assert_int_equal(closed, 2);
	events_settle(events);
	assert_int_equal(events_count(events), 0);
}

static void clock_that_runs_ahead_closes_nothing_of_others(void **state)
{
	(void)state;
	add("10.0.0.1", "192.0.2.1", BEGIN, 1);
	struct record record = attack("10.0.0.9", "192.0.2.1", BEGIN + 1000 * config.window);
	events_add(events, 1, &record, 2, BEGIN);
	events_expire(events, BEGIN + SECOND);
	assert_int_equal(events_count(events), 2);
}

static void open_events_are_bounded(void **state)
{
	struct event_config few = config;
	(void)state;
	few.open_max = 10;
	struct events *small = events_open(&few);
	assert_non_null(small);
	for (int i = 0; i < 100; i++) {
		char source[32];
		snprintf(source, sizeof(source), "10.0.1.%d", i);
		struct record record = attack(source, "192.0.2.1", BEGIN + i);
		assert_non_null(events_add(small, 1, &record, (uint64_t)i + 1, BEGIN + i));
		assert_true(events_count(small) <= 10);
	}
	closed = open_ones = 0;
	events_dirty(small, note, NULL);
	assert_int_equal(closed, 90);
	assert_int_equal(open_ones, 10);
	events_free(small);
}

static void many_targets_are_estimated(void **state)
{
	struct event *event = NULL;
	(void)state;
	for (int i = 0; i < 2000; i++) {
		char target[32];
		snprintf(target, sizeof(target), "172.16.%d.%d", i / 250, i % 250);
		event = add("10.0.0.1", target, BEGIN, (uint64_t)i + 1);
	}
	assert_int_equal(event->target_count, EVENT_TARGETS);
	assert_in_range(event_targets(event), 1900, 2100);
}

static void first_and_newest_samples_are_kept(void **state)
{
	static const uint64_t expected[EVENT_SAMPLES] = {1, 2, 3, 4, 97, 98, 99, 100};
	struct event *event = NULL;
	(void)state;
	for (uint64_t i = 1; i <= 100; i++)
		event = add("10.0.0.1", "192.0.2.1", BEGIN, i);
	assert_memory_equal(event->samples, expected, sizeof(expected));
}

static void blocked_and_passed_are_told_apart(void **state)
{
	struct record record = attack("10.0.0.1", "192.0.2.1", BEGIN);
	(void)state;
	record.outcome = OUTCOME_ATTEMPT;
	record.verdict = VERDICT_BLOCKED;
	events_add(events, 1, &record, 1, BEGIN);
	record.outcome = OUTCOME_SUCCESS;
	record.verdict = VERDICT_PASSED;
	struct event *event = events_add(events, 1, &record, 2, BEGIN);
	assert_int_equal(event->outcomes[OUTCOME_ATTEMPT], 1);
	assert_int_equal(event->passed[OUTCOME_ATTEMPT], 0);
	assert_int_equal(event->passed[OUTCOME_SUCCESS], 1);
	assert_int_equal(event->targets[0].passed[OUTCOME_SUCCESS], 1);
	assert_int_equal(event->verdicts[VERDICT_BLOCKED], 1);
}

static void stored_event_goes_on_where_it_was(void **state)
{
	struct event *event = NULL, back;
	(void)state;
	for (int i = 0; i < 300; i++) {
		char target[32];
		snprintf(target, sizeof(target), "172.16.%d.%d", i / 250, i % 250);
		event = add("10.0.0.1", target, BEGIN + i * 1000, (uint64_t)i + 1);
	}
	event->id = 5;
	event->incident = 9;
	json_t *json = event_to_json(event);
	assert_non_null(json);
	assert_int_equal(event_from_json(json, &back), 0);
	json_t *again = event_to_json(&back);
	assert_true(json_equal(json, again));
	json_decref(json);
	json_decref(again);
	struct events *later = events_open(&config);
	assert_int_equal(events_restore(later, &back), 0);
	struct record record = attack("10.0.0.1", "172.16.0.1", BEGIN + SECOND);
	struct event *more = events_add(later, 1, &record, 301, BEGIN + SECOND);
	assert_int_equal(more->id, 5);
	assert_int_equal(more->incident, 9);
	assert_int_equal(more->count, 301);
	assert_in_range(event_targets(more), 285, 315);
	events_free(later);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(same_class_and_source_is_one_event),
		TEST(other_source_class_or_customer_is_another_event),
		TEST(window_stays_open_while_records_come_and_closes_then),
		TEST(event_does_not_grow_for_ever),
		TEST(what_changed_is_told_once),
		TEST(clock_that_runs_ahead_closes_nothing_of_others),
		TEST(open_events_are_bounded),
		TEST(many_targets_are_estimated),
		TEST(first_and_newest_samples_are_kept),
		TEST(blocked_and_passed_are_told_apart),
		TEST(stored_event_goes_on_where_it_was),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
