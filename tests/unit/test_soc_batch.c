/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <zlib.h>

#include <cmocka.h>

#include "batch.h"

#define HEAD(count)                                                                                                    \
	"{\"v\":1,\"stream\":\"0a1b2c3d-0000-4000-8000-000000000001\",\"first\":11,\"count\":" #count                  \
	",\"kind\":\"eve\",\"name\":\"eve.json\"}\n"
#define LINE "{\"timestamp\":\"2026-11-24T05:00:00Z\",\"event_type\":\"dns\",\"dns\":{\"rrname\":\"a.example\"}}\n"

static char error[BATCH_REASON_MAX];

/* Fed in pieces of `piece` bytes. NULL: errno and `error`. */
static struct batch *read_text(const char *text, size_t piece)
{
	struct batch_reader *reader = batch_reader_new(1000);
	struct batch *batch = NULL;
	int rc = 0;
	for (size_t at = 0, len = strlen(text); at < len && rc == 0; at += piece)
		rc = batch_feed(reader, text + at, len - at < piece ? len - at : piece);
	if (rc == 0)
		batch = batch_end(reader);
	else
		errno = -rc;
	int saved = errno;
	snprintf(error, sizeof(error), "%s", batch_error(reader));
	batch_reader_free(reader);
	errno = saved;
	return batch;
}

static void lines_become_records_however_they_are_cut(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < 400; piece = piece * 3 + 1) {
		char text[1024];
		unsigned char lines[1024];
		uLongf len = sizeof(lines);
		struct batch *batch = read_text(HEAD(3) LINE LINE LINE, piece);
		assert_non_null(batch);
		assert_string_equal(batch->stream, "0a1b2c3d-0000-4000-8000-000000000001");
		assert_string_equal(batch->name, "eve.json");
		assert_int_equal(batch->record_count, 3);
		for (uint32_t i = 0; i < 3; i++) {
			assert_int_equal(batch->records[i].sequence, 11 + i);
			assert_int_equal(batch->records[i].position, i);
			assert_string_equal(batch->records[i].record.message, "a.example");
		}
		assert_int_equal(batch->chunk_count, 1);
		assert_int_equal(uncompress(lines, &len, batch->chunks[0].packed, batch->chunks[0].len), Z_OK);
		snprintf(text, sizeof(text), LINE LINE LINE);
		assert_int_equal(len, strlen(text));
		assert_memory_equal(lines, text, len);
		batch_free(batch);
	}
}

static void bad_line_goes_to_quarantine_and_the_rest_is_kept(void **state)
{
	(void)state;
	struct batch *batch = read_text(HEAD(4) LINE "{\"oops\n\n" LINE, 1000);
	assert_non_null(batch);
	assert_int_equal(batch->record_count, 2);
	assert_int_equal(batch->records[1].sequence, 14);
	assert_int_equal(batch->records[1].position, 1);
	assert_int_equal(batch->reject_count, 2);
	assert_int_equal(batch->rejects[0].sequence, 12);
	assert_string_equal(batch->rejects[0].line, "{\"oops");
	assert_int_equal(batch->rejects[1].len, 0);
	assert_true(batch->rejects[1].reason[0]);
	batch_free(batch);
}

static void unreadable_batches_are_refused_with_the_reason(void **state)
{
	static const struct {
		const char *text, *error;
		int number;
	} cases[] = {
		{"", "no first line", EINVAL},
		{"{\n", "the first line at byte", EINVAL},
		{"[]\n", "\"v\":1", EINVAL},
		{"{\"v\":2}\n", "\"v\":1", EINVAL},
		{"{\"v\":1,\"stream\":\"../../etc/passwd\"}\n", "UUID", EINVAL},
		{"{\"v\":1,\"stream\":\"00000000-1\",\"first\":0}\n", "first", EINVAL},
		{"{\"v\":1,\"stream\":\"00000000-1\",\"first\":1,\"count\":-1}\n", "count", EINVAL},
		{"{\"v\":1,\"stream\":\"00000000-1\",\"first\":1,\"count\":10001}\n", "more than 10000", E2BIG},
		{"{\"v\":1,\"stream\":\"00000000-1\",\"first\":1,\"count\":1,\"kind\":\"x\"}\n", "kind", EINVAL},
		{"{\"v\":1,\"stream\":\"00000000-1\",\"first\":1,\"count\":1,\"kind\":\"eve\",\"lost\":1}\n", "lost",
		 EINVAL},
		{HEAD(2) LINE, "1 lines came, 2 were announced", EINVAL},
		{HEAD(1) LINE LINE, "more lines came", EINVAL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_null(read_text(cases[i].text, 7));
		assert_int_equal(errno, cases[i].number);
		if (!strstr(error, cases[i].error))
			fail_msg("%s: %s", cases[i].text, error);
	}
}

static void lines_and_batches_have_limits(void **state)
{
	static char big[BATCH_BYTES_MAX + 100000];
	(void)state;
	size_t len = (size_t)sprintf(big, HEAD(1));
	memset(big + len, 'x', BATCH_LINE_MAX + 1);
	strcpy(big + len + BATCH_LINE_MAX + 1, "\n");
	for (size_t piece = 65536; piece <= sizeof(big); piece *= 256) {
		assert_null(read_text(big, piece));
		assert_int_equal(errno, E2BIG);
		assert_non_null(strstr(error, "a line is longer"));
	}
	memset(big, 0, sizeof(big));
	len = (size_t)sprintf(big, HEAD(10000));
	while (len <= BATCH_BYTES_MAX) {
		memset(big + len, 'x', 9999);
		big[len + 9999] = '\n';
		len += 10000;
	}
	assert_null(read_text(big, 65536));
	assert_int_equal(errno, E2BIG);
	assert_non_null(strstr(error, "bytes in a batch"));
}

static void long_batches_are_cut_into_chunks(void **state)
{
	static char text[2 << 20];
	(void)state;
	size_t len = (size_t)sprintf(text, HEAD(8000));
	for (int i = 0; i < 8000; i++, len += strlen(LINE))
		memcpy(text + len, LINE, strlen(LINE) + 1);
	struct batch *batch = read_text(text, 10000);
	assert_non_null(batch);
	assert_int_equal(batch->record_count, 8000);
	assert_in_range(batch->chunk_count, 2, 8);
	for (uint32_t i = 1; i < 8000; i++) {
		const struct batch_record *r = &batch->records[i];
		assert_true(r->chunk == r[-1].chunk ? r->position == r[-1].position + 1
						    : r->chunk == r[-1].chunk + 1 && r->position == 0);
	}
	batch_free(batch);
}

static void log_lines_need_be_no_json(void **state)
{
	(void)state;
	struct batch *batch =
		read_text("{\"v\":1,\"stream\":\"00000000-1\",\"first\":5,\"count\":2,\"kind\":\"log\",\"lost\":4}\n"
			  "<134>Nov 24 05:00:00 asa %ASA-4-106023: Deny tcp\n\n",
			  1000);
	assert_non_null(batch);
	assert_int_equal(batch->lost, 4);
	assert_int_equal(batch->record_count, 1);
	assert_int_equal(batch->records[0].record.type, RECORD_LOG);
	assert_int_equal(batch->records[0].record.time, 1000);
	assert_int_equal(batch->reject_count, 1);
	batch_free(batch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_become_records_however_they_are_cut),
		cmocka_unit_test(bad_line_goes_to_quarantine_and_the_rest_is_kept),
		cmocka_unit_test(unreadable_batches_are_refused_with_the_reason),
		cmocka_unit_test(lines_and_batches_have_limits),
		cmocka_unit_test(long_batches_are_cut_into_chunks),
		cmocka_unit_test(log_lines_need_be_no_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
