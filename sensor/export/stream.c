/* SPDX-License-Identifier: BSD-3-Clause */
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>
#include <zlib.h>

/* Speed counts more than the last percent: records pack well. */
#define GZIP_LEVEL 3
/* The first line of a batch: a file's name is the longest part. */
#define HEADER_MAX 2048
/* Lines that are skipped one after another before somebody must look: a SOC that refuses all shall not empty the spool. */
#define SKIPS_MAX 16
/* Times in a row that the SOC sends a stream back. */
#define BACKS_MAX 3
/* What the SOC may ask to wait. */
#define WAIT_MAX_S 600
/* Between two looks at the spool's size, which reads a folder. */
#define TEND_NS 1000000000ull

__attribute__((format(printf, 3, 4))) static void tell(struct stream_tools *t, bool bad, const char *format, ...)
{
	char text[EXPORT_ERROR_MAX * 2];
	va_list args;
	if (!t->say)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	t->say(t->user, bad, text);
}

int stream_tools_init(struct stream_tools *t, const struct export_config *config)
{
	t->lines.room = config->batch_bytes + FOLLOW_LINE_MAX + 2;
	t->body_size = HEADER_MAX + t->lines.room;
	t->packed_size = compressBound(t->body_size) + 64;
	t->lines.data = malloc(t->lines.room);
	t->body = malloc(t->body_size);
	t->packed = malloc(t->packed_size);
	if (t->lines.data && t->body && t->packed)
		return 0;
	stream_tools_free(t);
	return -ENOMEM;
}

void stream_tools_free(struct stream_tools *t)
{
	free(t->lines.data);
	free(t->body);
	free(t->packed);
	t->lines.data = NULL;
	t->body = t->packed = NULL;
}

/* --- the cursor -------------------------------------------------------------------------------------------------------- */

void stream_name(const char *path, char *name, size_t size)
{
	const char *slash = strrchr(path, '/');
	char base[33] = "";
	snprintf(base, sizeof(base), "%.32s", slash ? slash + 1 : path);
	for (char *c = base; *c; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '.'))
			*c = '_';
	snprintf(name, size, "%s-%016" PRIx64 ".cursor", base, cursor_hash(path, strlen(path)));
}

/* An older cursor on disk costs nothing but sending some lines once more, so that work goes on when it cannot be written. Only a new
 * stream's must be there before its first number is given. */
static void save(struct stream *s, struct stream_tools *t)
{
	if (!s->follow.changed)
		return;
	int rc = cursor_save(&s->follow.cursor, t->dir_fd, s->name);
	if (rc != s->save_error && rc != 0)
		tell(t, true, "the cursor %s/%s cannot be written: %s", s->config->cursor_dir, s->name, strerror(-rc));
	if (rc != s->save_error && rc == 0)
		tell(t, false, "the cursor %s is written again", s->name);
	s->save_error = rc;
	if (rc == 0) {
		s->follow.changed = false;
		s->durable = true;
	}
}

int stream_open(struct stream *s, const struct export_config *config, const struct export_input *input,
		const char *path, struct stream_tools *t)
{
	bool old;
	memset(s, 0, sizeof(*s));
	follow_init(&s->follow);
	s->config = config;
	s->input = input;
	s->records_max = config->batch_records;
	stream_name(path, s->name, sizeof(s->name));
	int rc = cursor_load(&s->follow.cursor, t->dir_fd, s->name, &old);
	if (rc == 0 && strcmp(s->follow.cursor.path, path) == 0) {
		if (old)
			tell(t, true, "%s: the cursor is damaged; the one before it is in force", path);
		s->durable = true;
		return 0;
	}
	if (rc != -ENOENT) {
		char bad[128];
		tell(t, true, "%s: its cursor cannot be read: it begins as a new stream, and its lines go once more",
		     path);
		snprintf(bad, sizeof(bad), "%s.bad", s->name);
		renameat(t->dir_fd, s->name, t->dir_fd, bad);
	}
	s->follow.changed = true;
	return cursor_new(&s->follow.cursor, path);
}

void stream_close(struct stream *s, struct stream_tools *t)
{
	save(s, t);
	follow_close(&s->follow);
}

/* --- when -------------------------------------------------------------------------------------------------------------- */

static void tend_spool(struct stream *s, struct stream_tools *t, uint64_t now_ns)
{
	const struct export_config *config = s->config;
	s->unsent = follow_unsent(&s->follow);
	if (config->spool_max == 0 || s->unsent <= config->spool_max)
		return;
	uint64_t lines = follow_give_up(&s->follow, config->spool_max, now_ns);
	s->unsent = follow_unsent(&s->follow);
	if (lines > 0)
		tell(t, true, "%s: more than spool-max is unsent: the oldest %" PRIu64 " lines are given up",
		     s->follow.cursor.path, lines);
}

void stream_tend(struct stream *s, struct stream_tools *t, uint64_t now_ns)
{
	int rc = follow_look(&s->follow, now_ns);
	if (rc == 0 && now_ns >= s->tend_ns) {
		tend_spool(s, t, now_ns);
		s->tend_ns = now_ns + TEND_NS;
	}
	if (s->follow.vanished != s->vanished_told) {
		tell(t, true, "%s: it was gone, or emptied, before it was known to be read to its end",
		     s->follow.cursor.path);
		s->vanished_told = s->follow.vanished;
	}
	save(s, t);
}

bool stream_is_due(struct stream *s, uint64_t now_ns, bool at_once)
{
	uint64_t waiting = follow_waiting(&s->follow);
	if (waiting == 0) {
		s->due_ns = 0;
		return false;
	}
	if (s->due_ns == 0)
		s->due_ns = now_ns + s->config->interval_ns;
	return at_once || waiting >= s->config->batch_bytes || now_ns >= s->due_ns;
}

/* --- a batch ----------------------------------------------------------------------------------------------------------- */

static size_t put_header(const struct stream *s, const struct stream_tools *t, char *to)
{
	const struct export_cursor *c = &s->follow.cursor;
	const char *slash = strrchr(c->path, '/'), *name = s->input->name;
	json_t *j = json_pack("{s:i, s:s, s:I, s:I, s:s, s:s%}", "v", 1, "stream", c->stream, "first",
			      (json_int_t)c->next, "count", (json_int_t)t->lines.count, "kind",
			      s->input->kind == EXPORT_EVE ? "eve" : "log", "name",
			      name && name[0] ? name
			      : slash	      ? slash + 1
					      : c->path,
			      name && name[0] ? strnlen(name, 255)
			      : slash	      ? strlen(slash + 1)
					      : strlen(c->path));
	if (!j) /* a name that is no UTF-8 */
		j = json_pack("{s:i, s:s, s:I, s:I, s:s, s:s}", "v", 1, "stream", c->stream, "first",
			      (json_int_t)c->next, "count", (json_int_t)t->lines.count, "kind",
			      s->input->kind == EXPORT_EVE ? "eve" : "log", "name", "?");
	if (j && c->lost > 0)
		json_object_set_new(j, "lost", json_integer((json_int_t)c->lost));
	size_t len = j ? json_dumpb(j, to, HEADER_MAX - 1, JSON_COMPACT) : HEADER_MAX;
	json_decref(j);
	if (len >= HEADER_MAX)
		return 0;
	to[len] = '\n';
	return len + 1;
}

/* The packed batch's length; 0 when there is no memory. */
static size_t pack(struct stream_tools *t, size_t len)
{
	z_stream z = {0};
	if (deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return 0;
	z.next_in = t->body;
	z.avail_in = (uInt)len;
	z.next_out = t->packed;
	z.avail_out = (uInt)t->packed_size;
	int rc = deflate(&z, Z_FINISH);
	size_t packed = t->packed_size - z.avail_out;
	deflateEnd(&z);
	return rc == Z_STREAM_END ? packed : 0;
}

/* --- answers ----------------------------------------------------------------------------------------------------------- */

static enum stream_result fail(struct stream_tools *t, enum stream_result result, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static enum stream_result fail(struct stream_tools *t, enum stream_result result, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(t->why, sizeof(t->why), format, args);
	va_end(args);
	return result;
}

static enum stream_result go_back(struct stream *s, struct stream_tools *t, uint64_t next)
{
	struct export_cursor *c = &s->follow.cursor;
	uint64_t from = c->next;
	if (++s->backs_in_row > BACKS_MAX)
		return fail(t, STREAM_FAILED, "%s sends %s back to line %" PRIu64 " again and again",
			    link_address(t->link), c->path, next);
	follow_back(&s->follow, next);
	tell(t, true,
	     "%s: the SOC wants lines from %" PRIu64 " on: back from %" PRIu64 " to %" PRIu64 ", %" PRIu64 " lost",
	     c->path, next, from, c->next, c->lost);
	save(s, t);
	return STREAM_AGAIN;
}

static enum stream_result on_stored(struct stream *s, struct stream_tools *t, uint64_t next)
{
	uint64_t first = s->follow.cursor.next, end = first + t->lines.count;
	if (next < first)
		return go_back(s, t, next);
	if (next == first)
		return fail(t, STREAM_FAILED, "%s took a batch and stored nothing of it", link_address(t->link));
	next = next < end ? next : end;
	s->sent += next - first;
	s->bytes += t->lines.len;
	s->batches++;
	s->due_ns = 0;
	s->skipped_in_row = s->backs_in_row = 0;
	s->records_max = s->records_max * 2 < s->config->batch_records ? s->records_max * 2 : s->config->batch_records;
	follow_advance(&s->follow, &t->lines, next);
	save(s, t);
	return STREAM_SENT;
}

/* Half of it, until the line that is refused is alone; then it goes. */
static enum stream_result on_unreadable(struct stream *s, struct stream_tools *t, const char *why)
{
	if (t->lines.count > 1) {
		s->records_max = t->lines.count / 2;
		return STREAM_AGAIN;
	}
	if (s->skipped_in_row >= SKIPS_MAX) {
		/* one more now and then, so that a file of nothing else is not stuck for ever */
		s->skipped_in_row--;
		return fail(t, STREAM_REFUSED, "%s refuses line after line of %s: %s", link_address(t->link),
			    s->follow.cursor.path, why);
	}
	s->skipped_in_row++;
	tell(t, true, "%s: line %" PRIu64 " is skipped, the SOC refuses it: %s", s->follow.cursor.path,
	     s->follow.cursor.next, why);
	follow_skip(&s->follow, &t->lines);
	save(s, t);
	return STREAM_AGAIN;
}

static enum stream_result on_reply(struct stream *s, struct stream_tools *t, const struct link_reply *reply)
{
	struct answer answer;
	const char *address = link_address(t->link);
	bool ours = answer_parse(&answer, reply->body, reply->len) == 0;
	switch (reply->status) {
	case 200:
		if (ours && answer.has_next)
			return on_stored(s, t, answer.next);
		return fail(t, STREAM_FAILED, "%s: an answer that is not the SOC's", address);
	case 400:
		if (ours && answer.has_error)
			return on_unreadable(s, t, answer.error);
		return fail(t, STREAM_FAILED, "%s: 400 from somebody who is not the SOC", address);
	case 409:
		if (ours && answer.has_next && answer.next < s->follow.cursor.next)
			return go_back(s, t, answer.next);
		return fail(t, STREAM_FAILED, "%s: 409 without a line to go back to", address);
	case 413:
		return on_unreadable(s, t, "too large");
	case 429:
		t->wait_ns = (reply->retry_after_s < WAIT_MAX_S ? reply->retry_after_s : WAIT_MAX_S) * 1000000000ull;
		return fail(t, STREAM_WAIT, "%s: the SOC wants it slower", address);
	case 401:
	case 403:
		return fail(t, STREAM_REFUSED, "%s: the SOC does not take this certificate (%ld%s%s)", address,
			    reply->status, ours && answer.has_error ? ": " : "", answer.error);
	default:
		return fail(t, STREAM_FAILED, "%s: %ld%s%s", address, reply->status,
			    ours && answer.has_error ? ": " : "", answer.error);
	}
}

enum stream_result stream_send(struct stream *s, struct stream_tools *t)
{
	struct link_reply reply;
	int rc = follow_read(&s->follow, &t->lines, s->config->batch_bytes, s->records_max);
	if (rc != 0 && rc != -EAGAIN)
		return fail(t, STREAM_FAILED, "%s: %s", s->follow.cursor.path, strerror(-rc));
	save(s, t);
	if (rc != 0 || t->lines.count == 0)
		return STREAM_IDLE;
	if (!s->durable)
		return fail(t, STREAM_FAILED, "%s: nothing is sent before its cursor can be written",
			    s->follow.cursor.path);
	size_t head = put_header(s, t, (char *)t->body);
	memcpy(t->body + head, t->lines.data, t->lines.len);
	size_t len = head > 0 ? pack(t, head + t->lines.len) : 0;
	if (len == 0)
		return fail(t, STREAM_FAILED, "%s: %s", s->follow.cursor.path, strerror(ENOMEM));
	link_post(t->link, "/v1/batches", "application/x-ndjson", true, t->packed, len, &reply);
	if (reply.trouble == LINK_NONE)
		return on_reply(s, t, &reply);
	return fail(t, reply.trouble == LINK_REFUSED ? STREAM_REFUSED : STREAM_FAILED, "%s", reply.why);
}
