/* SPDX-License-Identifier: BSD-3-Clause */
#include "cursor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define MAGIC "sekisho-cursor 1\n"

/* FNV-1a: it tells apart what differs by chance, and guards against nobody. */
uint64_t cursor_hash(const void *data, size_t len)
{
	const uint8_t *at = data;
	uint64_t hash = 0xcbf29ce484222325ull;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ at[i]) * 0x100000001b3ull;
	return hash;
}

int cursor_new(struct export_cursor *cursor, const char *path)
{
	uint8_t r[16];
	if (strlen(path) >= sizeof(cursor->path))
		return -ENAMETOOLONG;
	if (getrandom(r, sizeof(r), 0) != sizeof(r))
		return -EIO;
	memset(cursor, 0, sizeof(*cursor));
	memcpy(cursor->path, path, strlen(path));
	r[6] = (uint8_t)(0x40 | (r[6] & 0x0f));
	r[8] = (uint8_t)(0x80 | (r[8] & 0x3f));
	snprintf(cursor->stream, sizeof(cursor->stream),
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1], r[2], r[3], r[4],
		 r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14], r[15]);
	cursor->next = 1;
	return 0;
}

bool cursor_same_file(const struct file_id *a, const struct file_id *b)
{
	return a->device == b->device && a->inode == b->inode && a->head_len == b->head_len &&
	       a->head_hash == b->head_hash;
}

void cursor_add_done(struct export_cursor *cursor, const struct file_mark *mark)
{
	if (cursor->done_count == CURSOR_DONE_MAX) {
		memmove(cursor->done, cursor->done + 1, (CURSOR_DONE_MAX - 1) * sizeof(cursor->done[0]));
		cursor->done_count--;
	}
	cursor->done[cursor->done_count++] = *mark;
}

/* --- text -------------------------------------------------------------------------------------------------------------- */

static int put_mark(char *text, size_t size, const char *word, const struct file_mark *m)
{
	return snprintf(text, size, "%s %" PRIu64 " %" PRIu64 " %" PRIu32 " %016" PRIx64 " %" PRIu64, word,
			m->id.device, m->id.inode, m->id.head_len, m->id.head_hash, m->first);
}

size_t cursor_format(const struct export_cursor *cursor, char *text)
{
	size_t size = CURSOR_TEXT_MAX;
	size_t at = (size_t)snprintf(text, size, MAGIC "path %s\nstream %s\nnext %" PRIu64 "\nlost %" PRIu64 "\n",
				     cursor->path, cursor->stream, cursor->next, cursor->lost);
	for (unsigned i = 0; i < cursor->done_count; i++) {
		at += (size_t)put_mark(text + at, size - at, "done", &cursor->done[i]);
		text[at++] = '\n';
	}
	if (cursor->has_file) {
		at += (size_t)put_mark(text + at, size - at, "file", &cursor->file);
		at += (size_t)snprintf(text + at, size - at, " %" PRIu64 "\n", cursor->offset);
	}
	uint64_t sum = cursor_hash(text, at);
	at += (size_t)snprintf(text + at, size - at, "end %016" PRIx64 "\n", sum);
	return at;
}

/* Takes one piece after another; once something is wrong, all that follows is. */
struct scan {
	const char *at, *end;
	bool bad;
};

static void expect(struct scan *s, const char *word)
{
	size_t len = strlen(word);
	if (s->bad || (size_t)(s->end - s->at) < len || memcmp(s->at, word, len) != 0)
		s->bad = true;
	else
		s->at += len;
}

static uint64_t take_number(struct scan *s, unsigned base)
{
	uint64_t value = 0;
	const char *begin = s->at;
	for (; !s->bad && s->at < s->end; s->at++) {
		unsigned digit = *s->at >= '0' && *s->at <= '9'	  ? (unsigned)(*s->at - '0')
				 : *s->at >= 'a' && *s->at <= 'f' ? (unsigned)(*s->at - 'a') + 10
								  : 16;
		if (digit >= base)
			break;
		if (__builtin_mul_overflow(value, base, &value) || __builtin_add_overflow(value, digit, &value))
			s->bad = true;
	}
	if (s->at == begin)
		s->bad = true;
	return value;
}

static void take_text(struct scan *s, char *to, size_t size)
{
	const char *end = s->bad ? NULL : memchr(s->at, '\n', (size_t)(s->end - s->at));
	size_t len = end ? (size_t)(end - s->at) : 0;
	if (!end || len >= size || memchr(s->at, '\0', len)) {
		s->bad = true;
		return;
	}
	memcpy(to, s->at, len);
	to[len] = '\0';
	s->at = end;
}

static bool begins(const struct scan *s, const char *word)
{
	size_t len = strlen(word);
	return !s->bad && (size_t)(s->end - s->at) >= len && memcmp(s->at, word, len) == 0;
}

static void take_mark(struct scan *s, struct file_mark *m)
{
	m->id.device = take_number(s, 10);
	expect(s, " ");
	m->id.inode = take_number(s, 10);
	expect(s, " ");
	uint64_t len = take_number(s, 10);
	expect(s, " ");
	m->id.head_hash = take_number(s, 16);
	expect(s, " ");
	m->first = take_number(s, 10);
	if (len > CURSOR_HEAD_MAX)
		s->bad = true;
	m->id.head_len = (uint32_t)len;
}

static bool is_uuid(const char *text)
{
	if (strlen(text) != 36)
		return false;
	for (unsigned i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash ? text[i] != '-' : !strchr("0123456789abcdef", text[i]))
			return false;
	}
	return true;
}

static bool is_sound(const struct export_cursor *c)
{
	uint64_t before = 1;
	for (unsigned i = 0; i < c->done_count; i++) {
		if (c->done[i].first < before)
			return false;
		before = c->done[i].first;
	}
	if (c->has_file && (c->file.first < before || c->file.id.head_len > c->offset || c->offset > INT64_MAX))
		return false;
	return is_uuid(c->stream) && c->path[0] && c->next >= 1 && c->lost < c->next &&
	       (!c->has_file || c->file.first <= c->next);
}

int cursor_parse(struct export_cursor *cursor, const char *text, size_t len)
{
	struct scan s = {.at = text, .end = text + len};
	memset(cursor, 0, sizeof(*cursor));
	expect(&s, MAGIC "path ");
	take_text(&s, cursor->path, sizeof(cursor->path));
	expect(&s, "\nstream ");
	take_text(&s, cursor->stream, sizeof(cursor->stream));
	expect(&s, "\nnext ");
	cursor->next = take_number(&s, 10);
	expect(&s, "\nlost ");
	cursor->lost = take_number(&s, 10);
	expect(&s, "\n");
	while (begins(&s, "done ") && cursor->done_count < CURSOR_DONE_MAX) {
		expect(&s, "done ");
		take_mark(&s, &cursor->done[cursor->done_count++]);
		expect(&s, "\n");
	}
	if (begins(&s, "file ")) {
		cursor->has_file = true;
		expect(&s, "file ");
		take_mark(&s, &cursor->file);
		expect(&s, " ");
		cursor->offset = take_number(&s, 10);
		expect(&s, "\n");
	}
	uint64_t sum = s.bad ? 0 : cursor_hash(text, (size_t)(s.at - text));
	expect(&s, "end ");
	if (take_number(&s, 16) != sum)
		s.bad = true;
	expect(&s, "\n");
	return s.bad || s.at != s.end || !is_sound(cursor) ? -EINVAL : 0;
}

/* --- file -------------------------------------------------------------------------------------------------------------- */

static int load_one(struct export_cursor *cursor, int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? -ENOENT : -EINVAL;
	char *text = malloc(CURSOR_TEXT_MAX + 1);
	ssize_t n = text ? read(fd, text, CURSOR_TEXT_MAX + 1) : -1;
	int rc = n < 0 ? -EINVAL : cursor_parse(cursor, text, (size_t)n);
	free(text);
	close(fd);
	return rc;
}

int cursor_load(struct export_cursor *cursor, int dir_fd, const char *name, bool *old)
{
	char before[512];
	snprintf(before, sizeof(before), "%s.old", name);
	*old = false;
	int rc = load_one(cursor, dir_fd, name);
	if (rc == 0)
		return 0;
	*old = true;
	int older = load_one(cursor, dir_fd, before);
	return older == 0 ? 0 : rc == -ENOENT && older == -ENOENT ? -ENOENT : -EINVAL;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		text += n;
		len -= (size_t)n;
	}
	return fsync(fd) == 0 ? 0 : -errno;
}

int cursor_save(const struct export_cursor *cursor, int dir_fd, const char *name)
{
	char fresh[512], before[512];
	snprintf(fresh, sizeof(fresh), "%s.new", name);
	snprintf(before, sizeof(before), "%s.old", name);
	char *text = malloc(CURSOR_TEXT_MAX);
	if (!text)
		return -ENOMEM;
	size_t len = cursor_format(cursor, text);
	int fd = openat(dir_fd, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc = fd < 0 ? -errno : write_all(fd, text, len);
	free(text);
	if (fd >= 0)
		close(fd);
	/* between the two the one before is in force, under its other name */
	if (rc == 0 && renameat(dir_fd, name, dir_fd, before) != 0 && errno != ENOENT)
		rc = -errno;
	if (rc == 0 && renameat(dir_fd, fresh, dir_fd, name) != 0)
		rc = -errno;
	if (rc == 0 && fsync(dir_fd) != 0)
		rc = -errno;
	return rc;
}
