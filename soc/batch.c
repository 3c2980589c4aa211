/* SPDX-License-Identifier: BSD-3-Clause */
#include "batch.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#define HEADER_MAX 4096

struct batch_reader {
	struct batch *batch;
	int64_t now;
	size_t bytes;	/* that came */
	uint32_t lines; /* behind the header */
	bool headed;
	char *part; /* a line that has not come to its end */
	size_t part_len, part_size;
	char *open; /* lines of the chunk that is being filled */
	size_t open_len, open_size;
	uint32_t open_lines;
	char error[BATCH_REASON_MAX];
};

struct batch_reader *batch_reader_new(int64_t now)
{
	struct batch_reader *reader = calloc(1, sizeof(*reader));
	if (!reader)
		return NULL;
	reader->now = now;
	reader->batch = calloc(1, sizeof(*reader->batch));
	if (!reader->batch) {
		free(reader);
		return NULL;
	}
	return reader;
}

void batch_free(struct batch *batch)
{
	if (!batch)
		return;
	for (uint32_t i = 0; i < batch->chunk_count; i++)
		free(batch->chunks[i].packed);
	for (uint32_t i = 0; i < batch->reject_count; i++)
		free(batch->rejects[i].line);
	free(batch->records);
	free(batch->chunks);
	free(batch->rejects);
	free(batch);
}

void batch_reader_free(struct batch_reader *reader)
{
	if (!reader)
		return;
	batch_free(reader->batch);
	free(reader->part);
	free(reader->open);
	free(reader);
}

const char *batch_error(const struct batch_reader *reader)
{
	return reader->error;
}

__attribute__((format(printf, 3, 4))) static int refuse(struct batch_reader *reader, int rc, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(reader->error, sizeof(reader->error), format, args);
	va_end(args);
	return rc;
}

/* Room for `more` bytes behind `len`. */
static int reserve(struct batch_reader *reader, char **buffer, size_t *size, size_t len, size_t more)
{
	size_t want = *size ? *size : 4096;
	while (want < len + more)
		want *= 2;
	if (want == *size)
		return 0;
	char *bigger = realloc(*buffer, want);
	if (!bigger)
		return refuse(reader, -ENOMEM, "memory is short");
	*buffer = bigger;
	*size = want;
	return 0;
}

/* One more element of an array that grows by doubling. */
static int grow(struct batch_reader *reader, void **array, size_t element, uint32_t count)
{
	if (count & (count - 1)) /* full at powers of two only */
		return 0;
	void *bigger = realloc(*array, (count ? 2 * (size_t)count : 1) * element);
	if (!bigger)
		return refuse(reader, -ENOMEM, "memory is short");
	*array = bigger;
	return 0;
}

/* --- the header -------------------------------------------------------------------------------------------------------- */

static bool is_uuid(const char *text)
{
	size_t len = strlen(text);
	return len >= 8 && len < STORE_STREAM_MAX && strspn(text, "0123456789abcdef-") == len;
}

static bool whole(const json_t *json, const char *key, uint64_t max, uint64_t *value)
{
	const json_t *n = json_object_get(json, key);
	*value = (uint64_t)json_integer_value(n);
	return json_is_integer(n) && json_integer_value(n) >= 0 && *value <= max;
}

static int check_header(struct batch_reader *reader, const json_t *json)
{
	struct batch *batch = reader->batch;
	const char *stream = json_string_value(json_object_get(json, "stream"));
	const char *kind = json_string_value(json_object_get(json, "kind"));
	const char *name = json_string_value(json_object_get(json, "name"));
	uint64_t version, count;
	if (!whole(json, "v", 1000, &version) || version != 1)
		return refuse(reader, -EINVAL, "the first line has no \"v\":1");
	if (!stream || !is_uuid(stream))
		return refuse(reader, -EINVAL, "\"stream\" is no UUID");
	if (!whole(json, "first", INT64_MAX / 2, &batch->first) || batch->first == 0)
		return refuse(reader, -EINVAL, "\"first\" is no number from 1");
	if (!whole(json, "count", UINT32_MAX, &count))
		return refuse(reader, -EINVAL, "\"count\" is no number");
	if (count > BATCH_RECORDS_MAX)
		return refuse(reader, -E2BIG, "more than %d records in a batch", BATCH_RECORDS_MAX);
	if (!kind || (strcmp(kind, "eve") != 0 && strcmp(kind, "log") != 0))
		return refuse(reader, -EINVAL, "\"kind\" is neither \"eve\" nor \"log\"");
	if (json_object_get(json, "lost") &&
	    (!whole(json, "lost", INT64_MAX / 2, &batch->lost) || batch->lost >= batch->first))
		return refuse(reader, -EINVAL, "\"lost\" is no number below \"first\"");
	batch->count = (uint32_t)count;
	batch->log = kind[0] == 'l';
	strcpy(batch->stream, stream);
	snprintf(batch->name, sizeof(batch->name), "%s", name ? name : "");
	return 0;
}

static int take_header(struct batch_reader *reader, const char *line, size_t len)
{
	json_error_t error;
	if (len > HEADER_MAX)
		return refuse(reader, -EINVAL, "the first line is longer than %d bytes", HEADER_MAX);
	json_t *json = json_loadb(line, len, 0, &error);
	if (!json)
		return refuse(reader, -EINVAL, "the first line at byte %d: %.100s", error.position, error.text);
	int rc = check_header(reader, json);
	json_decref(json);
	reader->headed = true;
	return rc;
}

/* --- lines ------------------------------------------------------------------------------------------------------------- */

static int pack(struct batch_reader *reader)
{
	struct batch *batch = reader->batch;
	uLongf len = compressBound(reader->open_len);
	if (reader->open_len == 0)
		return 0;
	int rc = grow(reader, (void **)&batch->chunks, sizeof(batch->chunks[0]), batch->chunk_count);
	unsigned char *packed = rc == 0 ? malloc(len) : NULL;
	if (!packed || compress2(packed, &len, (const Bytef *)reader->open, reader->open_len, Z_BEST_SPEED) != Z_OK) {
		free(packed);
		return refuse(reader, -ENOMEM, "memory is short");
	}
	/* what is over is given back: it waits in a queue */
	unsigned char *fitting = realloc(packed, len);
	batch->chunks[batch->chunk_count++] =
		(struct batch_chunk){.packed = fitting ? fitting : packed, .len = len, .unpacked = reader->open_len};
	reader->open_len = 0;
	reader->open_lines = 0;
	return 0;
}

static int reject(struct batch_reader *reader, uint64_t sequence, const char *line, size_t len, const char *reason)
{
	struct batch *batch = reader->batch;
	int rc = grow(reader, (void **)&batch->rejects, sizeof(batch->rejects[0]), batch->reject_count);
	char *copy = rc == 0 ? malloc(len + 1) : NULL;
	if (!copy)
		return refuse(reader, -ENOMEM, "memory is short");
	memcpy(copy, line, len);
	copy[len] = '\0';
	struct batch_reject *r = &batch->rejects[batch->reject_count++];
	*r = (struct batch_reject){.sequence = sequence, .line = copy, .len = len};
	snprintf(r->reason, sizeof(r->reason), "%s", reason);
	return 0;
}

/* A line of another vendor's device, as its relay wrote it. */
static int read_log(struct batch_reader *reader, const char *line, size_t len, struct record *record, char *reason)
{
	memset(record, 0, sizeof(*record));
	record->time = reader->now;
	record->type = RECORD_LOG;
	if (len == 0 || memchr(line, '\0', len)) {
		snprintf(reason, RECORD_REASON_MAX, len ? "a NUL byte" : "an empty line");
		return -EINVAL;
	}
	size_t n = len < sizeof(record->message) ? len : sizeof(record->message) - 1;
	while (n < len && n > 0 && ((unsigned char)line[n] & 0xc0) == 0x80)
		n--;
	memcpy(record->message, line, n);
	return 0;
}

static int take_record(struct batch_reader *reader, const char *line, size_t len)
{
	struct batch *batch = reader->batch;
	char reason[RECORD_REASON_MAX];
	uint64_t sequence = batch->first + reader->lines++;
	if (reader->lines > batch->count)
		return refuse(reader, -EINVAL, "more lines came than the %" PRIu32 " announced", batch->count);
	int rc = grow(reader, (void **)&batch->records, sizeof(batch->records[0]), batch->record_count);
	if (rc != 0)
		return rc;
	struct batch_record *r = &batch->records[batch->record_count];
	rc = batch->log ? read_log(reader, line, len, &r->record, reason)
			: record_read_eve(line, len, &r->record, reason);
	if (rc != 0)
		return reject(reader, sequence, line, len, reason);
	rc = reserve(reader, &reader->open, &reader->open_size, reader->open_len, len + 1);
	if (rc != 0)
		return rc;
	memcpy(reader->open + reader->open_len, line, len);
	reader->open[reader->open_len + len] = '\n';
	reader->open_len += len + 1;
	r->sequence = sequence;
	r->chunk = batch->chunk_count;
	r->position = reader->open_lines++;
	batch->record_count++;
	return reader->open_len >= BATCH_CHUNK_BYTES ? pack(reader) : 0;
}

static int take_line(struct batch_reader *reader, const char *line, size_t len)
{
	return reader->headed ? take_record(reader, line, len) : take_header(reader, line, len);
}

/* The line that began in earlier bytes, with its rest. */
static int keep_part(struct batch_reader *reader, const char *data, size_t len)
{
	if (reader->part_len + len > BATCH_LINE_MAX)
		return refuse(reader, -E2BIG, "a line is longer than %u bytes", BATCH_LINE_MAX);
	int rc = reserve(reader, &reader->part, &reader->part_size, reader->part_len, len);
	if (rc != 0)
		return rc;
	memcpy(reader->part + reader->part_len, data, len);
	reader->part_len += len;
	return 0;
}

int batch_feed(struct batch_reader *reader, const void *data, size_t len)
{
	const char *at = data, *end = at + len;
	reader->bytes += len;
	if (reader->bytes > BATCH_BYTES_MAX)
		return refuse(reader, -E2BIG, "more than %u bytes in a batch", BATCH_BYTES_MAX);
	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		int rc;
		if (!newline)
			return keep_part(reader, at, (size_t)(end - at));
		if (reader->part_len > 0) {
			rc = keep_part(reader, at, (size_t)(newline - at));
			if (rc == 0)
				rc = take_line(reader, reader->part, reader->part_len);
			reader->part_len = 0;
		} else if (newline - at > (ptrdiff_t)BATCH_LINE_MAX) {
			rc = refuse(reader, -E2BIG, "a line is longer than %u bytes", BATCH_LINE_MAX);
		} else {
			rc = take_line(reader, at, (size_t)(newline - at));
		}
		if (rc != 0)
			return rc;
		at = newline + 1;
	}
	return 0;
}

struct batch *batch_end(struct batch_reader *reader)
{
	struct batch *batch = reader->batch;
	int rc = 0;
	if (reader->part_len > 0) /* the last line may lack its newline */
		rc = take_line(reader, reader->part, reader->part_len);
	if (rc == 0 && !reader->headed)
		rc = refuse(reader, -EINVAL, "there is no first line");
	if (rc == 0 && reader->lines != batch->count)
		rc = refuse(reader, -EINVAL, "%" PRIu32 " lines came, %" PRIu32 " were announced", reader->lines,
			    batch->count);
	if (rc == 0)
		rc = pack(reader);
	if (rc != 0) {
		errno = -rc;
		return NULL;
	}
	reader->batch = NULL;
	return batch;
}
