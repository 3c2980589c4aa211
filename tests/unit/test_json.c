/* SPDX-License-Identifier: BSD-3-Clause */
/* A record is valid JSON whatever bytes a capture holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "json.h"

static struct json json;

static int set_up(void **state)
{
	(void)state;
	assert_int_equal(jw_init(&json, 256 << 10), 0);
	jw_begin(&json);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	jw_free(&json);
	return 0;
}

static void expect(const char *text)
{
	assert_true(jw_end(&json));
	assert_int_equal(json.len, strlen(text) + 1);
	assert_memory_equal(json.buf, text, strlen(text));
	assert_int_equal(json.buf[json.len - 1], '\n');
}

static void text_of(const char *bytes, size_t len)
{
	jw_text(&json, "t", (struct bytes){.data = (const uint8_t *)bytes, .len = len});
}

static void commas_and_brackets_are_kept_by_the_writer(void **state)
{
	(void)state;
	jw_uint(&json, "a", 1);
	jw_array(&json, "b");
	jw_uint(&json, NULL, 2);
	jw_object(&json, NULL);
	jw_bool(&json, "c", true);
	jw_close(&json);
	jw_array(&json, NULL);
	jw_close(&json);
	jw_close(&json);
	jw_int(&json, "d", -5);
	expect("{\"a\":1,\"b\":[2,{\"c\":true},[]],\"d\":-5}");
}

static void what_is_left_open_is_closed_at_the_end(void **state)
{
	(void)state;
	jw_object(&json, "a");
	jw_array(&json, "b");
	expect("{\"a\":{\"b\":[]}}");
}

static void the_extremes_of_numbers_are_written_whole(void **state)
{
	(void)state;
	jw_uint(&json, "u", UINT64_MAX);
	jw_int(&json, "i", INT64_MIN);
	jw_number(&json, "n", 1.0 / 0.0);
	expect("{\"u\":18446744073709551615,\"i\":-9223372036854775808,\"n\":null}");
}

static void quotes_backslashes_and_controls_are_escaped(void **state)
{
	(void)state;
	text_of("a\"b\\c\n\r\t\0\x1f\x7f", 11);
	expect("{\"t\":\"a\\\"b\\\\c\\n\\r\\t\\u0000\\u001f\\u007f\"}");
}

static void a_name_is_escaped_too(void **state)
{
	(void)state;
	jw_uint(&json, "a\"", 1);
	expect("{\"a\\\"\":1}");
}

static void valid_utf8_passes(void **state)
{
	(void)state;
	text_of("\xe9\x96\xa2\xe6\x89\x80 \xc3\xa9 \xf0\x9f\x9a\xa7", 14);
	expect("{\"t\":\"\xe9\x96\xa2\xe6\x89\x80 \xc3\xa9 \xf0\x9f\x9a\xa7\"}");
}

/* Each of these breaks UTF-8 in another way; all come out as ASCII. */
static void broken_utf8_becomes_hexadecimal(void **state)
{
	(void)state;
	static const struct {
		const char *bytes, *json;
	} cases[] = {
		{"x\xff", "{\"t\":\"x\\\\xff\"}"},
		{"\xc3", "{\"t\":\"\\\\xc3\"}"},
		{"\xc0\xaf", "{\"t\":\"\\\\xc0\\\\xaf\"}"},			  /* overlong */
		{"\xe0\x80\x80", "{\"t\":\"\\\\xe0\\\\x80\\\\x80\"}"},		  /* overlong */
		{"\xed\xa0\x80", "{\"t\":\"\\\\xed\\\\xa0\\\\x80\"}"},		  /* a surrogate */
		{"\xf4\x90\x80\x80", "{\"t\":\"\\\\xf4\\\\x90\\\\x80\\\\x80\"}"}, /* beyond U+10FFFF */
		{"\x80\"\\", "{\"t\":\"\\\\x80\\\"\\\\\"}"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		jw_begin(&json);
		text_of(cases[i].bytes, strlen(cases[i].bytes));
		expect(cases[i].json);
	}
}

static void a_long_text_is_cut_between_characters(void **state)
{
	(void)state;
	char *text = malloc(JSON_TEXT_MAX + 10);
	memset(text, 'a', JSON_TEXT_MAX + 10);
	memcpy(text + JSON_TEXT_MAX - 1, "\xe9\x96\xa2", 3); /* stands across the cut */
	text_of(text, JSON_TEXT_MAX + 10);
	free(text);
	assert_true(jw_end(&json));
	assert_int_equal(json.len, strlen("{\"t\":\"") + JSON_TEXT_MAX - 1 + strlen("\"}\n"));
}

static void payloads_are_base64_hex_and_printable(void **state)
{
	(void)state;
	static const uint8_t data[] = {'a', '"', 0, '\n', 0xff};
	jw_base64(&json, "b", data, 5);
	jw_base64(&json, "c", data, 1);
	jw_base64(&json, "d", data, 0);
	jw_hex(&json, "h", data, 5);
	jw_printable(&json, "p", data, 5);
	expect("{\"b\":\"YSIACv8=\",\"c\":\"YQ==\",\"d\":\"\",\"h\":\"6122000aff\",\"p\":\"a\\\".\\n.\"}");
}

/* The C library says the same, on every day of four centuries. */
static void dates_are_those_of_the_calendar(void **state)
{
	(void)state;
	for (uint64_t day = 0; day < 160000; day++) {
		time_t seconds = (time_t)(day * 86400 + 86399);
		char expected[64];
		struct tm tm;
		assert_non_null(gmtime_r(&seconds, &tm));
		strftime(expected, sizeof(expected), "{\"t\":\"%Y-%m-%dT%H:%M:%S.000000+0000\"}\n", &tm);
		jw_begin(&json);
		jw_time(&json, "t", (uint64_t)seconds * 1000000000u);
		assert_true(jw_end(&json));
		assert_int_equal(json.len, strlen(expected));
		assert_memory_equal(json.buf, expected, json.len);
	}
}

static void times_are_utc_with_microseconds(void **state)
{
	(void)state;
	jw_time(&json, "t", 1700000000123456789ull);
	expect("{\"t\":\"2023-11-14T22:13:20.123456+0000\"}");
}

static void what_does_not_fit_is_told(void **state)
{
	(void)state;
	struct json small;
	assert_int_equal(jw_init(&small, 16), 0);
	jw_begin(&small);
	jw_string(&small, "name", "does not fit in sixteen bytes");
	assert_false(jw_end(&small));
	jw_begin(&small);
	jw_uint(&small, "a", 1);
	assert_true(jw_end(&small));
	jw_free(&small);
}

static void nesting_without_end_is_told(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		jw_object(&json, "a");
	assert_false(jw_end(&json));
}

static void the_sink_writes_through(void **state)
{
	(void)state;
	struct json_sink sink;
	jw_sink_init(&sink, &json);
	sink.sink.object(&sink.sink, "o");
	field_text(&sink.sink, "t", "x");
	sink.sink.number(&sink.sink, "n", -1);
	sink.sink.boolean(&sink.sink, "b", false);
	sink.sink.close(&sink.sink);
	sink.sink.array(&sink.sink, "a");
	field_text(&sink.sink, NULL, "y");
	sink.sink.close(&sink.sink);
	expect("{\"o\":{\"t\":\"x\",\"n\":-1,\"b\":false},\"a\":[\"y\"]}");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(commas_and_brackets_are_kept_by_the_writer),
		TEST(what_is_left_open_is_closed_at_the_end),
		TEST(the_extremes_of_numbers_are_written_whole),
		TEST(quotes_backslashes_and_controls_are_escaped),
		TEST(a_name_is_escaped_too),
		TEST(valid_utf8_passes),
		TEST(broken_utf8_becomes_hexadecimal),
		TEST(a_long_text_is_cut_between_characters),
		TEST(payloads_are_base64_hex_and_printable),
		TEST(times_are_utc_with_microseconds),
		TEST(dates_are_those_of_the_calendar),
		TEST(what_does_not_fit_is_told),
		TEST(nesting_without_end_is_told),
		TEST(the_sink_writes_through),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
