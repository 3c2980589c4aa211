/* SPDX-License-Identifier: BSD-3-Clause */
/* What a coverage chain shows: that it is whole, or what is missing from it, or was changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "chain.h"
#include "record.h"

#define LINES	   12
#define INTERVAL   10000000ll
#define MORNING_US 1795496400000000ll /* 2026-11-24 05:00:00 UTC */

static char lines[LINES][1024];

/* As a sensor writes them: 100 packets an interval, one of which was lost and four bypassed. */
static void write_run(const char *boot, int64_t begin, bool ended)
{
	unsigned char digest[32] = {0};
	for (int i = 0; i < LINES; i++) {
		char previous[65] = "", from[32], until[32];
		for (int b = 0; b < 32; b++)
			snprintf(previous + 2 * b, 3, "%02x", digest[b]);
		snprintf(lines[i], sizeof(lines[i]),
			 "{\"timestamp\":\"%s\",\"event_type\":\"coverage\",\"coverage\":{\"v\":1,\"boot\":\"%s\","
			 "\"number\":%d,\"previous\":\"%s\",\"from\":\"%s\",\"until\":\"%s\",\"since_start\":1,"
			 "\"length\":%lld,\"packets\":{\"seen\":100,\"inspected\":95,\"bypassed\":4,\"refused\":0,"
			 "\"lost\":1},\"bytes\":1}%s}",
			 time_text(begin + (i + 1) * INTERVAL, until), boot, i + 1, previous,
			 time_text(begin + i * INTERVAL, from), until, INTERVAL,
			 ended && i == LINES - 1 ? ",\"x\":1" : "");
		if (ended && i == LINES - 1) {
			char *end = strstr(lines[i], "},\"x\":1}");
			strcpy(end, ",\"last\":true}}");
		}
		EVP_Digest(lines[i], strlen(lines[i]), digest, NULL, EVP_sha256(), NULL);
	}
}

static struct chain *chain;

static int setup(void **state)
{
	(void)state;
	write_run("aaaa", MORNING_US, true);
	chain = chain_new();
	return chain ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	chain_free(chain);
	return 0;
}

static void add(int first, int last)
{
	for (int i = first; i <= last; i++)
		assert_int_equal(chain_add(chain, lines[i], strlen(lines[i])), 0);
}

static json_t *judge(bool whole, const char *kind, int number)
{
	json_t *json = chain_judge(chain, 0, 0);
	assert_non_null(json);
	if (json_is_true(json_object_get(json, "whole")) != whole)
		fail_msg("%s", json_dumps(json, 0));
	const json_t *problem = json_array_get(json_object_get(json, "problems"), 0);
	if (kind) {
		assert_string_equal(json_string_value(json_object_get(problem, "kind")), kind);
		assert_int_equal(json_integer_value(json_object_get(problem, "number")), number);
	} else {
		assert_null(problem);
	}
	return json;
}

static int64_t packets(const json_t *json, const char *name)
{
	return json_integer_value(json_object_get(json_object_get(json, "packets"), name));
}

static void whole_chain_in_any_order(void **state)
{
	(void)state;
	add(6, LINES - 1);
	add(0, 7); /* two are given twice: the same file under two names */
	assert_int_equal(chain_add(chain, "{\"event_type\":\"alert\"}", 22), 0);
	json_t *json = judge(true, NULL, 0);
	assert_int_equal(packets(json, "seen"), 100 * LINES);
	assert_int_equal(packets(json, "lost"), LINES);
	assert_float_equal(json_number_value(json_object_get(json, "inspected_share")), 0.95, 1e-9);
	assert_float_equal(json_number_value(json_object_get(json, "covered_share")), 1, 1e-9);
	json_decref(json);
}

static void a_missing_record_is_named(void **state)
{
	(void)state;
	add(0, 4);
	add(6, LINES - 1);
	json_decref(judge(false, "missing", 6));
}

static void a_missing_beginning_is_named(void **state)
{
	(void)state;
	add(3, LINES - 1);
	json_decref(judge(false, "missing", 1));
}

static void a_changed_record_is_named(void **state)
{
	(void)state;
	char *lost = strstr(lines[5], "\"inspected\":95,\"bypassed\":4");
	memcpy(lost, "\"inspected\":99,\"bypassed\":0", 27);
	add(0, LINES - 1);
	json_decref(judge(false, "changed", 6));
}

static void counts_must_add_up(void **state)
{
	(void)state;
	write_run("aaaa", MORNING_US, true);
	char *lost = strstr(lines[LINES - 1], "\"lost\":1");
	lost[7] = '0'; /* the last: nothing was written after it */
	add(0, LINES - 1);
	json_decref(judge(false, "sums", LINES));
}

static void a_run_that_was_cut_shows_when_another_follows(void **state)
{
	(void)state;
	add(0, LINES - 3);
	json_decref(judge(true, NULL, 0)); /* it may still run */
	write_run("0bbb", MORNING_US + 3600000000ll, true);
	add(0, LINES - 1);
	json_decref(judge(false, "cut", LINES - 2));
}

static void a_pause_between_runs_is_told_and_is_no_fault(void **state)
{
	(void)state;
	add(0, LINES - 1);
	write_run("0bbb", MORNING_US + 3 * LINES * INTERVAL, false);
	add(0, LINES - 1);
	json_t *json = judge(true, "off", LINES);
	assert_float_equal(json_number_value(json_object_get(json, "covered_share")), 0.5, 1e-9);
	json_decref(json);
}

static void a_span_counts_what_is_in_it(void **state)
{
	(void)state;
	add(0, LINES - 1);
	json_t *json = chain_judge(chain, MORNING_US + 2 * INTERVAL, MORNING_US + 1000 * INTERVAL);
	assert_float_equal(json_number_value(json_object_get(json, "covered_seconds")), 100, 1e-6);
	assert_float_equal(json_number_value(json_object_get(json, "covered_share")), 10.0 / 998, 1e-9);
	json_decref(json);
}

static void a_clock_that_was_set_is_told(void **state)
{
	(void)state;
	char *length = strstr(lines[LINES - 1], "\"length\":10000000");
	memcpy(length, "\"length\":20000000", 17);
	add(0, LINES - 1);
	json_decref(judge(true, "clock", LINES));
}

static void what_cannot_be_read_is_counted(void **state)
{
	static char huge_length[1024], huge_count[1024];
	static const char *const bad[] = {
		"{\"event_type\":\"coverage\"}",
		"{\"event_type\":\"coverage\",\"coverage\":{\"boot\":\"../x\",\"number\":1}}",
		"{\"event_type\":\"coverage\",\"coverage\":[",
		"{\"event_type\":\"coverage\",\"coverage\":{\"boot\":\"aa\",\"number\":-1}}",
		huge_length,
		huge_count,
	};
	(void)state;
	/* numbers that no interval can have, and that no sum may overflow by */
	const char *length = strstr(lines[3], "10000000,\"packets\""), *lost = strstr(lines[3], "1},\"bytes\"");
	snprintf(huge_length, sizeof(huge_length), "%.*s9223372036854775807%s", (int)(length - lines[3]), lines[3],
		 length + 8);
	snprintf(huge_count, sizeof(huge_count), "%.*s900000000001%s", (int)(lost - lines[3]), lines[3], lost + 1);
	add(0, LINES - 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(chain_add(chain, bad[i], strlen(bad[i])), -22);
	json_decref(judge(false, NULL, 0));
}

static void nothing_is_no_chain(void **state)
{
	(void)state;
	json_t *json = judge(true, NULL, 0);
	assert_true(json_is_null(json_object_get(json, "inspected_share")));
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(whole_chain_in_any_order, setup, teardown),
		cmocka_unit_test_setup_teardown(a_missing_record_is_named, setup, teardown),
		cmocka_unit_test_setup_teardown(a_missing_beginning_is_named, setup, teardown),
		cmocka_unit_test_setup_teardown(a_changed_record_is_named, setup, teardown),
		cmocka_unit_test_setup_teardown(counts_must_add_up, setup, teardown),
		cmocka_unit_test_setup_teardown(a_run_that_was_cut_shows_when_another_follows, setup, teardown),
		cmocka_unit_test_setup_teardown(a_pause_between_runs_is_told_and_is_no_fault, setup, teardown),
		cmocka_unit_test_setup_teardown(a_span_counts_what_is_in_it, setup, teardown),
		cmocka_unit_test_setup_teardown(a_clock_that_was_set_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_read_is_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_no_chain, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
