/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "record.h"

#define STAMP "\"timestamp\":\"2026-11-24T05:00:00.123456+0000\""

static struct record record;
static char reason[RECORD_REASON_MAX];

static int read_text(const char *line)
{
	return record_read_eve(line, strlen(line), &record, reason);
}

static void assert_address(const struct address *address, const char *expected)
{
	char text[ADDRESS_TEXT_MAX];
	assert_string_equal(address_text(address, text), expected);
}

static void alert_is_read_for_aggregation_and_triage(void **state)
{
	(void)state;
	assert_int_equal(
		read_text("{" STAMP ",\"event_type\":\"alert\",\"src_ip\":\"198.51.100.7\",\"src_port\":40000,"
			  "\"dest_ip\":\"192.0.2.10\",\"dest_port\":443,\"proto\":\"TCP\",\"alert\":{\"action\":"
			  "\"allowed\","
			  "\"signature_id\":9000053,\"signature\":\"a name\",\"category\":\"Web Application Attack\","
			  "\"severity\":1},\"jsig\":{\"outcome\":\"success\",\"severity\":\"emergency\","
			  "\"verdict\":\"drop\"}}"),
		0);
	assert_int_equal(record.type, RECORD_ALERT);
	assert_int_equal(record.time, 1795496400123456);
	assert_int_equal(record.signature, 9000053);
	assert_string_equal(record.class, "Web Application Attack");
	assert_string_equal(record.message, "a name");
	assert_int_equal(record.outcome, OUTCOME_SUCCESS);
	assert_int_equal(record.severity, SEVERITY_EMERGENCY);
	assert_int_equal(record.verdict, VERDICT_BLOCKED);
	assert_address(&record.source, "198.51.100.7");
	assert_address(&record.target, "192.0.2.10");
	assert_int_equal(record.source_port, 40000);
	assert_int_equal(record.target_port, 443);
	assert_int_equal(record.protocol, 6);
}

static void alert_on_an_answer_is_of_who_began(void **state)
{
	static const char *const who[] = {"\"flow\":{\"src_ip\":\"10.0.0.5\",\"dest_ip\":\"203.0.113.1\"}",
					  "\"direction\":\"to_client\""};
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		char line[512];
		snprintf(line, sizeof(line),
			 "{" STAMP ",\"event_type\":\"alert\",\"src_ip\":\"203.0.113.1\",\"src_port\":80,"
			 "\"dest_ip\":\"10.0.0.5\",\"dest_port\":40000,%s,\"alert\":{\"severity\":3}}",
			 who[i]);
		assert_int_equal(read_text(line), 0);
		assert_address(&record.source, "10.0.0.5");
		assert_int_equal(record.target_port, 80);
		assert_string_equal(record.class, "Unclassified");
		assert_int_equal(record.severity, SEVERITY_INFORMATIONAL);
	}
}

static void other_types_are_kept_for_search_and_are_of_no_event(void **state)
{
	static const struct {
		const char *line;
		enum record_type type;
		const char *message;
	} cases[] = {
		{"{" STAMP ",\"event_type\":\"dns\",\"dns\":{\"rrname\":\"a.example\"}}", RECORD_DNS, "a.example"},
		{"{" STAMP ",\"event_type\":\"http\",\"http\":{\"hostname\":\"b.example\",\"url\":\"/x\"}}",
		 RECORD_HTTP, "b.example/x"},
		{"{" STAMP ",\"event_type\":\"tls\",\"tls\":{\"sni\":\"c.example\"}}", RECORD_TLS, "c.example"},
		{"{" STAMP ",\"event_type\":\"drop\",\"drop\":{\"reason\":\"rules\"}}", RECORD_DROP, "rules"},
		{"{" STAMP ",\"event_type\":\"coverage\"}", RECORD_COVERAGE, ""},
		{"{" STAMP ",\"event_type\":\"of tomorrow\"}", RECORD_OTHER, ""},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(read_text(cases[i].line), 0);
		assert_int_equal(record.type, cases[i].type);
		assert_string_equal(record.message, cases[i].message);
		assert_string_equal(record.class, "");
	}
}

static void bad_lines_are_refused_with_the_reason(void **state)
{
	static const struct {
		const char *line, *reason;
	} cases[] = {
		{"", "at byte 0"},
		{"{\"a\":", "at byte"},
		{"[]", "no JSON object"},
		{"\"text\"", "at byte"},
		{"{\"event_type\":\"dns\"}", "no readable timestamp"},
		{"{\"timestamp\":5,\"event_type\":\"dns\"}", "no readable timestamp"},
		{"{" STAMP "}", "no event_type"},
		{"{" STAMP ",\"event_type\":\"alert\",\"alert\":[]}", "an alert without its object"},
		{"{" STAMP ",\"event_type\":\"dns\"} x", "at byte"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(read_text(cases[i].line) < 0);
		assert_non_null(strstr(reason, cases[i].reason));
	}
}

static void long_names_are_cut_between_characters(void **state)
{
	char line[1024], name[601] = "";
	(void)state;
	for (int i = 0; i < 200; i++)
		strcat(name, "\xe3\x81\x82");
	snprintf(line, sizeof(line), "{" STAMP ",\"event_type\":\"dns\",\"dns\":{\"rrname\":\"x%s\"}}", name);
	assert_int_equal(read_text(line), 0);
	assert_int_equal(strlen(record.message), 1 + 3 * 63);
	assert_int_equal(strncmp(record.message + 1, name, 3 * 63), 0);
}

static void times_are_read_as_written(void **state)
{
	static const struct {
		const char *text;
		int64_t us;
	} cases[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"2026-11-24T05:00:00.5Z", 1795496400500000},
		{"2026-11-24T14:00:00.123+09:00", 1795496400123000},
		{"2026-11-23T21:30:00-0730", 1795496400000000},
		{"2024-02-29 23:59:60Z", 1709251200000000},
	};
	static const char *const bad[] = {"",
					  "2026-11-24",
					  "2026-13-01T00:00:00Z",
					  "2026-02-29T00:00:00Z",
					  "2026-11-24T24:00:00Z",
					  "2026-11-24T05:00:00",
					  "2026-11-24T05:00:00.Z",
					  "1969-12-31T23:59:59Z",
					  "2026-11-24T05:00:00+9"};
	int64_t us;
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(time_parse(cases[i].text, &us));
		assert_int_equal(us, cases[i].us);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(time_parse(bad[i], &us));
	char text[32];
	assert_string_equal(time_text(1795496400123456, text), "2026-11-24T05:00:00.123Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alert_is_read_for_aggregation_and_triage),
		cmocka_unit_test(alert_on_an_answer_is_of_who_began),
		cmocka_unit_test(other_types_are_kept_for_search_and_are_of_no_event),
		cmocka_unit_test(bad_lines_are_refused_with_the_reason),
		cmocka_unit_test(long_names_are_cut_between_characters),
		cmocka_unit_test(times_are_read_as_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
