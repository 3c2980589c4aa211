/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is told of an incident, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "notify.h"

#define MINUTE_US 60000000ll
#define HOUR_US	  (60 * MINUTE_US)
/* Tuesday, 2026-11-24 05:00:00 UTC: 14:00 in Japan */
#define NOW 1795496400000000ll

static struct notify *notify;
static unsigned put_count;
static uint64_t last_id;
static struct notice last;

static int setup(void **state)
{
	(void)state;
	notify = notify_new();
	put_count = 0;
	last_id = 0;
	return notify ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	notify_free(notify);
	return 0;
}

static void add(uint64_t id, const char *text)
{
	struct contact contact;
	char error[NOTIFY_ERROR_MAX];
	json_t *json = json_loads(text, 0, NULL);
	assert_non_null(json);
	if (contact_from_json(json, &contact, error) != 0)
		fail_msg("%s", error);
	json_decref(json);
	contact.id = id;
	assert_int_equal(notify_add_contact(notify, &contact), 0);
}

static int put(void *context, struct notice *notice)
{
	(void)context;
	put_count++;
	if (notice->id == 0)
		notice->id = ++last_id;
	last = *notice;
	return 0;
}

/* How many notices that asks for. */
static unsigned consider(enum severity severity, bool acknowledged, bool over, int64_t at, int64_t *later)
{
	const struct notify_incident incident = {
		.id = 7, .customer = 1, .severity = severity, .acknowledged = acknowledged, .over = over, .clock = NOW};
	unsigned before = put_count;
	int64_t ignored;
	assert_int_equal(notify_consider(notify, &incident, at, later ? later : &ignored, put, NULL), 0);
	return put_count - before;
}

static unsigned send_all(int64_t at)
{
	unsigned sent = 0;
	for (struct notice *n; (n = notify_due(notify, at)) != NULL; sent++)
		assert_non_null(notify_done(notify, n->id, 0, "", at));
	return sent;
}

#define DUTY "{\"name\":\"duty\",\"kind\":\"mail\",\"address\":\"duty@example.com\",\"severity\":\"warning\"}"
#define BOSS                                                                                                           \
	"{\"name\":\"boss\",\"kind\":\"webhook\",\"address\":\"https://example.com/x\",\"severity\":\"critical\","     \
	"\"after_minutes\":10}"

static void opening_rising_and_closing_are_told_once(void **state)
{
	(void)state;
	add(1, DUTY);
	assert_int_equal(consider(SEVERITY_INFORMATIONAL, false, false, NOW, NULL), 0);
	assert_int_equal(consider(SEVERITY_WARNING, false, false, NOW, NULL), 1);
	assert_int_equal(last.reason, NOTICE_OPENED);
	send_all(NOW);
	assert_int_equal(consider(SEVERITY_WARNING, false, false, NOW + 1, NULL), 0);
	assert_int_equal(consider(SEVERITY_EMERGENCY, false, false, NOW + 2, NULL), 1);
	assert_int_equal(last.reason, NOTICE_RAISED);
	send_all(NOW + 2);
	assert_int_equal(consider(SEVERITY_EMERGENCY, true, true, NOW + 3, NULL), 1);
	assert_int_equal(last.reason, NOTICE_CLOSED);
	send_all(NOW + 3);
	assert_int_equal(consider(SEVERITY_EMERGENCY, true, true, NOW + 4, NULL), 0);
}

static void what_has_not_gone_yet_says_it_all(void **state)
{
	(void)state;
	add(1, DUTY);
	consider(SEVERITY_WARNING, false, false, NOW, NULL);
	uint64_t id = last.id;
	assert_int_equal(consider(SEVERITY_EMERGENCY, false, false, NOW, NULL), 1);
	assert_int_equal(last.id, id);
	assert_int_equal(last.severity, SEVERITY_EMERGENCY);
	assert_int_equal(last.reason, NOTICE_OPENED);
	assert_non_null(notify_due(notify, NOW));
	assert_null(notify_due(notify, NOW));
}

static void nobody_acknowledges_and_the_next_is_told(void **state)
{
	int64_t later;
	(void)state;
	add(1, DUTY);
	add(2, BOSS);
	assert_int_equal(consider(SEVERITY_CRITICAL, false, false, NOW, &later), 1);
	assert_int_equal(last.contact, 1);
	assert_int_equal(later, NOW + 10 * MINUTE_US);
	assert_int_equal(consider(SEVERITY_CRITICAL, false, false, later - 1, &later), 0);
	assert_int_equal(consider(SEVERITY_CRITICAL, false, false, later, &later), 1);
	assert_int_equal(last.contact, 2);
	assert_int_equal(last.reason, NOTICE_ESCALATED);
	assert_int_equal(later, 0);
}

static void what_is_acknowledged_is_not_escalated(void **state)
{
	int64_t later;
	(void)state;
	add(2, BOSS);
	assert_int_equal(consider(SEVERITY_CRITICAL, true, false, NOW + HOUR_US, &later), 0);
	assert_int_equal(later, 0);
	assert_int_equal(consider(SEVERITY_WARNING, false, false, NOW + HOUR_US, &later), 0);
}

static void ups_and_downs_are_bounded_but_an_emergency_is_told(void **state)
{
	(void)state;
	add(1, DUTY);
	unsigned sent = 0;
	/* closed and opened again and again */
	for (int i = 0; i < 50; i++) {
		consider(SEVERITY_WARNING, false, i % 2, NOW + i * MINUTE_US / 10, NULL);
		sent += send_all(NOW + i * MINUTE_US / 10);
	}
	assert_in_range(sent, 2, NOTIFY_PER_HOUR);
	assert_int_equal(send_all(NOW + 10 * MINUTE_US), 0);
	consider(SEVERITY_EMERGENCY, false, false, NOW + 11 * MINUTE_US, NULL);
	assert_non_null(notify_due(notify, NOW + 11 * MINUTE_US));
}

static void tries_slow_down_and_end_after_a_day(void **state)
{
	(void)state;
	add(1, DUTY);
	consider(SEVERITY_CRITICAL, false, false, NOW, NULL);
	int64_t at = NOW, before = 0;
	unsigned tries = 0;
	for (struct notice *n; tries < 10000; tries++) {
		n = notify_due(notify, at);
		if (!n)
			break;
		notify_done(notify, n->id, -5, "refused", at);
		if (n->state == NOTICE_GIVEN_UP)
			break;
		assert_true(n->due > at && n->due <= at + 5 * MINUTE_US);
		if (tries == 3)
			before = n->due - at;
		if (tries == 5)
			assert_true(n->due - at > before);
		assert_null(notify_due(notify, n->due - 1));
		at = n->due;
	}
	assert_in_range(at - NOW, 23 * HOUR_US, 25 * HOUR_US);
	assert_in_range(tries, 280, 600);
}

static void hours_are_the_contacts_own(void **state)
{
	struct contact c = {.days = 1u << 1, .begin = 9 * 60, .end = 18 * 60, .zone = 540};
	(void)state;
	assert_int_equal(contact_hours(&c, NOW), NOW); /* Tuesday, 14:00 there */
	int64_t evening = NOW + 4 * HOUR_US;	       /* 18:00: the next is a week later, at 9:00 */
	assert_int_equal(contact_hours(&c, evening), NOW + 7 * 24 * HOUR_US - 5 * HOUR_US);
	c.days |= 1u << 2;
	assert_int_equal(contact_hours(&c, evening), NOW + 24 * HOUR_US - 5 * HOUR_US);
	int64_t night = NOW - 13 * HOUR_US; /* 01:00 on Tuesday there, Monday in UTC */
	assert_int_equal(contact_hours(&c, night), NOW - 5 * HOUR_US);
	c.days = 0;
	assert_int_equal(contact_hours(&c, evening), evening);
}

static void what_was_told_is_known_after_a_restart(void **state)
{
	struct notice read;
	(void)state;
	add(1, DUTY);
	consider(SEVERITY_CRITICAL, false, false, NOW, NULL);
	json_t *json = notice_to_json(&last);
	assert_int_equal(notice_from_json(json, &read), 0);
	assert_memory_equal(&read, &last, offsetof(struct notice, flying));
	json_decref(json);
	notify_free(notify);
	notify = notify_new();
	add(1, DUTY);
	assert_int_equal(notify_restore(notify, &read), 0);
	assert_int_equal(consider(SEVERITY_CRITICAL, false, false, NOW + 1, NULL), 0);
	assert_non_null(notify_due(notify, NOW + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(opening_rising_and_closing_are_told_once, setup, teardown),
		cmocka_unit_test_setup_teardown(what_has_not_gone_yet_says_it_all, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_acknowledges_and_the_next_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_acknowledged_is_not_escalated, setup, teardown),
		cmocka_unit_test_setup_teardown(ups_and_downs_are_bounded_but_an_emergency_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(tries_slow_down_and_end_after_a_day, setup, teardown),
		cmocka_unit_test_setup_teardown(hours_are_the_contacts_own, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_told_is_known_after_a_restart, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
