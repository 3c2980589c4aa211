/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "threshold.h"

static struct threshold_table *table;
static struct signature sig;
static struct packet pkt;
static struct flow flow;

static int setup(void **state)
{
	(void)state;
	table = threshold_table_new(1u << 16, 42);
	memset(&sig, 0, sizeof(sig));
	memset(&pkt, 0, sizeof(pkt));
	memset(&flow, 0, sizeof(flow));
	sig.info.sid = 1;
	sig.info.gid = 1;
	pkt.family = 4;
	pkt.src.u32[0] = 1;
	pkt.dst.u32[0] = 2;
	pkt.ts_ns = 1000000000ull * 1000000;
	flow.id = 7;
	pkt.flow = &flow;
	return table ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	threshold_table_free(table);
	return 0;
}

static enum threshold_result hit(void)
{
	enum sigs_action action = SIGS_ALERT;
	bool rate = false;
	return threshold_check(table, &sig, &pkt, &action, &rate);
}

/* The results of n matches, one letter each: a alert, s silent, - none. */
static void expect(struct threshold *th, const char *want)
{
	char got[64] = "";
	sig.thresholds = th;
	for (size_t i = 0; i < strlen(want); i++)
		got[i] = "-as"[hit()];
	assert_string_equal(got, want);
}

static void limit_lets_the_first_through_and_silences_the_rest(void **state)
{
	(void)state;
	struct threshold th = {.type = THRESHOLD_LIMIT, .track = TRACK_SRC, .count = 2, .seconds = 60};
	expect(&th, "aass");
	pkt.src.u32[0] = 9; /* another source has its own count */
	expect(&th, "aas");
	pkt.ts_ns += 61 * 1000000000ull;
	expect(&th, "aas");
}

static void threshold_alerts_each_nth(void **state)
{
	(void)state;
	struct threshold th = {.type = THRESHOLD_THRESHOLD, .track = TRACK_DST, .count = 3, .seconds = 60};
	expect(&th, "--a--a");
}

static void both_alerts_once_a_window(void **state)
{
	(void)state;
	struct threshold th = {.type = THRESHOLD_BOTH, .track = TRACK_RULE, .count = 3, .seconds = 60};
	expect(&th, "--ass");
	pkt.ts_ns += 61 * 1000000000ull;
	expect(&th, "--a");
}

static void detection_filter_alerts_on_all_after_the_count(void **state)
{
	(void)state;
	struct threshold th = {.type = THRESHOLD_DETECTION_FILTER, .track = TRACK_FLOW, .count = 2, .seconds = 60};
	expect(&th, "--aaa");
	flow.id = 8;
	expect(&th, "--a");
}

static void backoff_alerts_at_powers(void **state)
{
	(void)state;
	struct threshold th = {.type = THRESHOLD_BACKOFF, .track = TRACK_FLOW, .count = 1, .multiplier = 2};
	expect(&th, "aasasssa");
}

static void a_pair_is_the_same_both_ways(void **state)
{
	(void)state;
	struct threshold th = {.type = THRESHOLD_LIMIT, .track = TRACK_BOTH, .count = 1, .seconds = 60};
	expect(&th, "a");
	pkt.src.u32[0] = 2;
	pkt.dst.u32[0] = 1;
	expect(&th, "s");
	pkt.src.u32[0] = 3;
	expect(&th, "a");
}

static void a_rate_filter_changes_the_action_for_its_time(void **state)
{
	(void)state;
	struct threshold th = {.type = THRESHOLD_RATE,
			       .track = TRACK_SRC,
			       .count = 1,
			       .seconds = 60,
			       .timeout_s = 10,
			       .new_action = SIGS_DROP};
	sig.thresholds = &th;
	enum sigs_action want[] = {SIGS_ALERT, SIGS_DROP, SIGS_DROP};
	for (int i = 0; i < 3; i++) {
		enum sigs_action action = SIGS_ALERT;
		bool rate = false;
		assert_int_equal(threshold_check(table, &sig, &pkt, &action, &rate), THRESHOLD_ALERT);
		assert_int_equal(action, want[i]);
		assert_int_equal(rate, i > 0);
	}
	pkt.ts_ns += 12 * 1000000000ull;
	enum sigs_action action = SIGS_ALERT;
	bool rate = false;
	assert_int_equal(threshold_check(table, &sig, &pkt, &action, &rate), THRESHOLD_ALERT);
	assert_int_equal(action, SIGS_ALERT);
}

static void suppression_keeps_the_action_and_is_not_counted(void **state)
{
	(void)state;
	struct address_range4 one = {.first = 1, .last = 1};
	struct address_set set = {.v4_count = 1, .v4 = &one};
	struct threshold limit = {.type = THRESHOLD_LIMIT, .track = TRACK_RULE, .count = 1, .seconds = 60};
	struct threshold th = {.type = THRESHOLD_SUPPRESS, .track = TRACK_SRC, .addresses = &set, .next = &limit};
	pkt.src.u32[0] = __builtin_bswap32(1);
	expect(&th, "ss");
	assert_int_equal(threshold_table_entries(table), 0);
	pkt.src.u32[0] = __builtin_bswap32(2);
	expect(&th, "as");
}

static void a_full_table_gives_up_the_oldest(void **state)
{
	(void)state;
	struct threshold th = {.type = THRESHOLD_LIMIT, .track = TRACK_SRC, .count = 1, .seconds = 3600};
	sig.thresholds = &th;
	for (uint32_t i = 0; i < 100000; i++) {
		pkt.src.u32[0] = i;
		assert_int_equal(hit(), THRESHOLD_ALERT);
	}
	assert_in_range(threshold_table_entries(table), 16, 1000);
	assert_int_equal(threshold_table_entries(table) + threshold_table_evictions(table), 100000);
	assert_int_equal(hit(), THRESHOLD_SILENT); /* the newest is still known */
	pkt.src.u32[0] = 0;
	assert_int_equal(hit(), THRESHOLD_ALERT); /* the oldest is not */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(limit_lets_the_first_through_and_silences_the_rest, setup, teardown),
		cmocka_unit_test_setup_teardown(threshold_alerts_each_nth, setup, teardown),
		cmocka_unit_test_setup_teardown(both_alerts_once_a_window, setup, teardown),
		cmocka_unit_test_setup_teardown(detection_filter_alerts_on_all_after_the_count, setup, teardown),
		cmocka_unit_test_setup_teardown(backoff_alerts_at_powers, setup, teardown),
		cmocka_unit_test_setup_teardown(a_pair_is_the_same_both_ways, setup, teardown),
		cmocka_unit_test_setup_teardown(a_rate_filter_changes_the_action_for_its_time, setup, teardown),
		cmocka_unit_test_setup_teardown(suppression_keeps_the_action_and_is_not_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_table_gives_up_the_oldest, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
