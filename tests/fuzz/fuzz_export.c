/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The exporter's cursor file (first byte c) and the SOC's answers (anything else). Holds: a cursor that is taken is written
 * as it was read; its sum is mended first, so that what it guards is reached. A number in an answer is a line's.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_cursor(const char *text, size_t len)
{
	struct export_cursor *cursor = malloc(sizeof(*cursor));
	char *again = malloc(CURSOR_TEXT_MAX);
	if (!cursor || !again)
		abort();
	if (cursor_parse(cursor, text, len) == 0) {
		size_t n = cursor_format(cursor, again);
		if (n > CURSOR_TEXT_MAX || cursor_parse(cursor, again, n) != 0)
			abort();
	}
	free(cursor);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct answer answer;
	if (size == 0 || size > 2 * CURSOR_TEXT_MAX)
		return 0;
	const char *text = (const char *)data + 1;
	size_t len = size - 1;
	if (data[0] != 'c') {
		if (answer_parse(&answer, text, len) == 0 && answer.has_next && answer.next == 0)
			abort();
		return 0;
	}
	try_cursor(text, len);
	static const char end[] = "end ";
	const char *sum = memmem(text, len, end, sizeof(end) - 1);
	if (!sum)
		return 0;
	size_t body = (size_t)(sum - text);
	char *mended = malloc(body + 32);
	if (!mended)
		abort();
	memcpy(mended, text, body);
	int n = snprintf(mended + body, 32, "end %016" PRIx64 "\n", cursor_hash(mended, body));
	try_cursor(mended, body + (size_t)n);
	free(mended);
	return 0;
}
