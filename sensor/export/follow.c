/* SPDX-License-Identifier: BSD-3-Clause */
#include "follow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Who writes may keep the old file open for a moment after it was renamed. */
#define SETTLE_NS 500000000ull
/* Reading without sending. */
#define CHUNK_BYTES (256u << 10)

/* --- files ------------------------------------------------------------------------------------------------------------- */

void follow_init(struct follow *f)
{
	memset(f, 0, sizeof(*f));
	f->fd = -1;
}

static void drop_file(struct follow *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	f->size = f->looked_size = f->rotated_ns = 0;
	f->finishing = false;
}

void follow_close(struct follow *f)
{
	drop_file(f);
}

/* All `len` bytes at `offset`. */
static bool read_at(int fd, void *data, size_t len, uint64_t offset)
{
	size_t at = 0;
	while (at < len) {
		ssize_t n = pread(fd, (char *)data + at, len - at, (off_t)(offset + at));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

static bool head_matches(int fd, const struct file_id *id)
{
	char head[CURSOR_HEAD_MAX];
	return read_at(fd, head, id->head_len, 0) && cursor_hash(head, id->head_len) == id->head_hash;
}

static int open_sibling(const struct follow *f, const struct sibling *s)
{
	char path[CURSOR_PATH_MAX + SIBLING_NAME_MAX];
	struct stat st;
	const char *slash = strrchr(f->cursor.path, '/');
	snprintf(path, sizeof(path), "%.*s%s", slash ? (int)(slash - f->cursor.path + 1) : 0, f->cursor.path, s->name);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -1;
	/* another may have taken its name since */
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_dev == s->device && st.st_ino == s->inode)
		return fd;
	close(fd);
	return -1;
}

static bool is_at(const struct sibling *s, const struct file_id *id)
{
	return s->device == id->device && s->inode == id->inode;
}

/* Whether this file was read to its end before. The number of an inode is used again, so its first bytes count as well. */
static bool is_done(const struct follow *f, const struct sibling *s)
{
	for (unsigned i = 0; i < f->cursor.done_count; i++) {
		const struct file_id *id = &f->cursor.done[i].id;
		if (!is_at(s, id) || s->size < id->head_len)
			continue;
		int fd = open_sibling(f, s);
		bool same = fd >= 0 && head_matches(fd, id);
		if (fd >= 0)
			close(fd);
		if (same)
			return true;
	}
	return false;
}

static void begin_file(struct follow *f, int fd, const struct sibling *s)
{
	drop_file(f);
	f->fd = fd;
	f->size = s->size;
	f->cursor.has_file = true;
	f->cursor.offset = 0;
	f->cursor.file = (struct file_mark){
		.id = {.device = s->device, .inode = s->inode, .head_hash = cursor_hash("", 0)},
		.first = f->cursor.next,
	};
	f->changed = true;
}

/* The oldest file from this one on that has something unread; the path itself also when it is empty. */
static const struct sibling *next_unread(const struct follow *f, const struct siblings *all, unsigned from)
{
	for (unsigned i = from; i < all->count; i++) {
		const struct sibling *s = &all->items[i];
		bool self = all->has_path && i + 1 == all->count;
		if ((self || s->size > 0) && !is_done(f, s))
			return s;
	}
	return NULL;
}

static int begin_next(struct follow *f, const struct siblings *all, unsigned from)
{
	const struct sibling *s = next_unread(f, all, from);
	int fd = s ? open_sibling(f, s) : -1;
	if (fd < 0)
		return s ? -EAGAIN : 0;
	begin_file(f, fd, s);
	return 0;
}

/* The file that the cursor names: by its number and first bytes. Or a copy of it, which is what copytruncate leaves: by its first
 * bytes, and then it may have fewer than were read. */
static bool find_file(struct follow *f, const struct siblings *all)
{
	struct export_cursor *c = &f->cursor;
	for (unsigned copy = 0; copy < 2; copy++) {
		for (unsigned i = 0; i < all->count; i++) {
			const struct sibling *s = &all->items[i];
			bool may = copy ? c->file.id.head_len > 0 && !is_at(s, &c->file.id)
					: is_at(s, &c->file.id) && s->size >= c->offset;
			int fd = may && s->size >= c->file.id.head_len ? open_sibling(f, s) : -1;
			if (fd < 0)
				continue;
			if (!head_matches(fd, &c->file.id) || (copy && is_done(f, s))) {
				close(fd);
				continue;
			}
			drop_file(f);
			f->fd = fd;
			f->size = s->size;
			if (copy) {
				c->file.id.device = s->device;
				c->file.id.inode = s->inode;
				c->offset = c->offset < s->size ? c->offset : s->size;
				f->changed = true;
			}
			return true;
		}
	}
	return false;
}

/* Finds the cursor's file again, or what comes after it. `known_rest`: whether something of it was surely unread. */
static int locate(struct follow *f, const struct siblings *all, bool known_rest)
{
	struct export_cursor *c = &f->cursor;
	if (c->has_file && find_file(f, all))
		return 0;
	if (c->has_file) {
		if (c->file.id.head_len > 0)
			cursor_add_done(c, &c->file);
		f->vanished += known_rest;
		c->has_file = false;
		f->changed = true;
	}
	drop_file(f);
	return begin_next(f, all, 0);
}

/* --- looking ----------------------------------------------------------------------------------------------------------- */

/* Whether the file still has what was read of it. */
static bool is_intact(struct follow *f)
{
	struct stat st;
	if (fstat(f->fd, &st) != 0)
		return false;
	f->size = (uint64_t)st.st_size;
	return f->size >= f->cursor.offset && head_matches(f->fd, &f->cursor.file.id);
}

/* It has been renamed or removed: once nothing more comes, what is left is its last line, and then the next is begun. */
static int look_past(struct follow *f, const struct siblings *all, uint64_t now_ns)
{
	unsigned at = 0;
	while (at < all->count && !is_at(&all->items[at], &f->cursor.file.id))
		at++;
	unsigned from = at < all->count ? at + 1 : 0;
	const struct sibling *next = next_unread(f, all, from);
	bool self = next && all->has_path && next == &all->items[all->count - 1];
	/* who writes has moved on when there is something in the new file */
	if (!next || next->size == 0) {
		f->rotated_ns = 0;
		return 0;
	}
	if (f->rotated_ns == 0)
		f->rotated_ns = now_ns;
	if (self && now_ns - f->rotated_ns < SETTLE_NS)
		return 0;
	struct stat st;
	if (fstat(f->fd, &st) != 0 || (uint64_t)st.st_size != f->size)
		return 0; /* it grew: next time */
	if (f->cursor.offset < f->size) {
		f->finishing = f->looked_size == f->size;
		return 0;
	}
	if (f->cursor.file.id.head_len > 0)
		cursor_add_done(&f->cursor, &f->cursor.file);
	return begin_next(f, all, from);
}

int follow_look(struct follow *f, uint64_t now_ns)
{
	struct stat st;
	bool known_rest = f->fd >= 0 && f->size > f->cursor.offset;
	if (f->fd >= 0 && is_intact(f)) {
		const struct file_id *id = &f->cursor.file.id;
		if (stat(f->cursor.path, &st) == 0 && st.st_dev == id->device && st.st_ino == id->inode) {
			f->rotated_ns = 0;
			f->finishing = false;
			return 0;
		}
		f->finishing = false;
		if (f->cursor.offset < f->size && f->looked_size != f->size)
			return 0; /* there are lines to read first */
	}
	struct siblings *all = malloc(sizeof(*all));
	if (!all)
		return -ENOMEM;
	int rc = siblings_list(f->cursor.path, all);
	if (rc == 0 && f->fd >= 0 && is_intact(f))
		rc = look_past(f, all, now_ns);
	else if (rc == 0)
		rc = locate(f, all, known_rest || (f->fd < 0 && f->cursor.has_file));
	free(all);
	return rc == -EAGAIN ? 0 : rc;
}

uint64_t follow_waiting(const struct follow *f)
{
	if (f->fd < 0 || f->size <= f->cursor.offset || (f->looked_size == f->size && !f->finishing))
		return 0;
	return f->size - f->cursor.offset;
}

uint64_t follow_unsent(const struct follow *f)
{
	uint64_t sum = f->fd >= 0 && f->size > f->cursor.offset ? f->size - f->cursor.offset : 0;
	struct siblings *all = malloc(sizeof(*all));
	if (all && siblings_list(f->cursor.path, all) == 0) {
		unsigned at = all->count;
		for (unsigned i = 0; f->cursor.has_file && i < all->count; i++)
			if (is_at(&all->items[i], &f->cursor.file.id))
				at = i;
		for (unsigned i = at < all->count ? at + 1 : 0; i < all->count; i++)
			if (!is_done(f, &all->items[i]))
				sum += all->items[i].size;
	}
	free(all);
	return sum;
}

/* --- reading ----------------------------------------------------------------------------------------------------------- */

/* The file's first bytes as far as they were read, when there are more of them now. */
static void learn_head(struct follow *f)
{
	char head[CURSOR_HEAD_MAX];
	struct file_id *id = &f->cursor.file.id;
	size_t len = f->cursor.offset < CURSOR_HEAD_MAX ? (size_t)f->cursor.offset : CURSOR_HEAD_MAX;
	if (len <= id->head_len || !read_at(f->fd, head, len, 0) || cursor_hash(head, id->head_len) != id->head_hash)
		return;
	id->head_len = (uint32_t)len;
	id->head_hash = cursor_hash(head, len);
}

static void move_to(struct follow *f, uint64_t offset, uint64_t next)
{
	f->cursor.offset = offset;
	f->cursor.next = next;
	f->looked_size = 0;
	f->changed = true;
	learn_head(f);
}

/* Where the line at `offset` ends, beyond its end of line; 0: it does not yet. */
static uint64_t find_end(struct follow *f, uint64_t offset)
{
	char *chunk = malloc(CHUNK_BYTES);
	uint64_t end = 0;
	while (chunk && end == 0 && offset < f->size) {
		size_t want = f->size - offset < CHUNK_BYTES ? (size_t)(f->size - offset) : CHUNK_BYTES;
		if (!read_at(f->fd, chunk, want, offset))
			break;
		const char *found = memchr(chunk, '\n', want);
		if (found)
			end = offset + (uint64_t)(found - chunk) + 1;
		offset += want;
	}
	free(chunk);
	return end == 0 && f->finishing ? f->size : end;
}

static void give_up_line(struct follow *f, uint64_t end)
{
	f->cursor.lost++;
	f->lost++;
	f->skipped++;
	move_to(f, end, f->cursor.next + 1);
}

/* Of `len` bytes read: lines are moved together, so that empty ones are left out. Returns the bytes that were used. */
static size_t take_lines(struct follow_lines *lines, size_t len, uint32_t records, bool last)
{
	size_t at = 0;
	lines->len = 0;
	lines->count = 0;
	while (at < len) {
		const char *end = memchr(lines->data + at, '\n', len - at);
		if (!end && !last)
			break;
		size_t line = end ? (size_t)(end - lines->data) - at : len - at;
		if (line > FOLLOW_LINE_MAX || (line > 0 && lines->count == records))
			break;
		if (line > 0) {
			memmove(lines->data + lines->len, lines->data + at, line);
			lines->len += line;
			lines->data[lines->len++] = '\n'; /* there is a byte more room than was read */
			lines->count++;
		}
		at += line + (end != NULL);
	}
	return at;
}

int follow_read(struct follow *f, struct follow_lines *lines, size_t bytes, uint32_t records)
{
	lines->len = lines->count = 0;
	if (follow_waiting(f) == 0)
		return 0;
	uint64_t waiting = f->size - f->cursor.offset;
	size_t room = lines->room - 1, want = bytes < FOLLOW_LINE_MAX + 1 ? FOLLOW_LINE_MAX + 1 : bytes;
	want = want < room ? want : room;
	want = waiting < want ? (size_t)waiting : want;
	if (!read_at(f->fd, lines->data, want, f->cursor.offset) || !is_intact(f))
		return -EAGAIN;
	bool whole = f->cursor.offset + want == f->size;
	/* a small batch is read with room for one long line, but holds no more than it may */
	size_t part = want;
	if (want > bytes) {
		const char *end = memrchr(lines->data, '\n', bytes);
		if (!end)
			end = memchr(lines->data + bytes, '\n', want - bytes);
		part = end ? (size_t)(end - lines->data) + 1 : want;
	}
	size_t used = take_lines(lines, part, records, f->finishing && whole && part == want);
	lines->offset_after = f->cursor.offset + used;
	if (lines->count > 0)
		return 0;
	if (used > 0) { /* nothing but empty lines */
		move_to(f, lines->offset_after, f->cursor.next);
		return 0;
	}
	uint64_t end = want > FOLLOW_LINE_MAX ? find_end(f, f->cursor.offset + want) : 0;
	const char *here = memchr(lines->data, '\n', want);
	if (here)
		end = f->cursor.offset + (uint64_t)(here - lines->data) + 1;
	if (end)
		give_up_line(f, end);
	else
		f->looked_size = f->size;
	return 0;
}

/* Where the line ends that is the n-th from `offset` in this file, n counting from 1; 0 when there are fewer, *found says how many. */
static uint64_t after_lines(int fd, uint64_t offset, uint64_t size, uint64_t n, uint64_t *found)
{
	char *chunk = malloc(CHUNK_BYTES);
	uint64_t result = 0;
	bool some = false; /* the line at hand has bytes */
	*found = 0;
	while (chunk && n > 0 && result == 0 && offset < size) {
		size_t want = size - offset < CHUNK_BYTES ? (size_t)(size - offset) : CHUNK_BYTES;
		if (!read_at(fd, chunk, want, offset))
			break;
		for (size_t at = 0; at < want && result == 0;) {
			const char *end = memchr(chunk + at, '\n', want - at);
			size_t line = end ? (size_t)(end - chunk) - at : want - at;
			some = some || line > 0;
			at += line + (end != NULL);
			if (end && some && ++*found == n)
				result = offset + at;
			some = end ? false : some;
		}
		offset += want;
	}
	if (result == 0 && some && n > 0 && ++*found == n)
		result = size; /* its last line has no end */
	free(chunk);
	return result;
}

void follow_advance(struct follow *f, const struct follow_lines *lines, uint64_t next)
{
	uint64_t n = next - f->cursor.next, found;
	uint64_t offset = lines->offset_after;
	if (n < lines->count)
		offset = after_lines(f->fd, f->cursor.offset, lines->offset_after, n, &found);
	f->cursor.lost = 0;
	if (offset == 0)
		return; /* the file is no longer what it was: they are sent once more */
	move_to(f, offset, next);
}

void follow_skip(struct follow *f, const struct follow_lines *lines)
{
	uint64_t found, end = after_lines(f->fd, f->cursor.offset, lines->offset_after, 1, &found);
	if (end > 0)
		give_up_line(f, end);
}

/* --- giving up and going back ------------------------------------------------------------------------------------------ */

/* Whether the file at hand is no longer the path's, so that nothing will be added to it. */
static bool is_rotated(const struct follow *f)
{
	struct stat st;
	const struct file_id *id = &f->cursor.file.id;
	return stat(f->cursor.path, &st) == 0 && st.st_size > 0 && (st.st_dev != id->device || st.st_ino != id->inode);
}

/* Passes whole lines until `bytes` are passed or none is left; their number. */
static uint64_t pass_lines(struct follow *f, uint64_t bytes)
{
	uint64_t end = 0, count;
	/* to the end of the line that the limit falls into, or of the last whole one */
	if (bytes < f->size - f->cursor.offset)
		end = find_end(f, f->cursor.offset + bytes - 1);
	else if (is_rotated(f))
		end = f->size;
	if (end == 0) {
		char last = 0;
		for (end = f->size; end > f->cursor.offset && last != '\n'; end -= last != '\n')
			if (!read_at(f->fd, &last, 1, end - 1))
				return 0;
	}
	if (end <= f->cursor.offset)
		return 0;
	after_lines(f->fd, f->cursor.offset, end, UINT64_MAX, &count);
	f->cursor.lost += count;
	f->lost += count;
	move_to(f, end, f->cursor.next + count);
	return count;
}

uint64_t follow_give_up(struct follow *f, uint64_t spool_max, uint64_t now_ns)
{
	uint64_t lines = 0, unsent = 0;
	/* each turn ends a file, or gives up what is too much of it */
	for (unsigned i = 0; i < SIBLINGS_MAX; i++) {
		if (f->fd < 0 || (unsent = follow_unsent(f)) <= spool_max)
			break;
		const struct file_id before = f->cursor.file.id;
		uint64_t passed = f->size > f->cursor.offset ? pass_lines(f, unsent - spool_max) : 0;
		lines += passed;
		if (follow_look(f, now_ns) != 0 || (passed == 0 && before.inode == f->cursor.file.id.inode &&
						    before.device == f->cursor.file.id.device))
			break;
	}
	return lines;
}

static int open_mark(struct follow *f, const struct siblings *all, const struct file_mark *m, uint64_t *size)
{
	for (unsigned i = 0; i < all->count; i++) {
		if (!is_at(&all->items[i], &m->id))
			continue;
		int fd = open_sibling(f, &all->items[i]);
		if (fd >= 0 && head_matches(fd, &m->id)) {
			*size = all->items[i].size;
			return fd;
		}
		if (fd >= 0)
			close(fd);
	}
	return -1;
}

/* Stands on the line `next` of the file that begins with `m`, whose numbers end before `end`. */
static bool stand_on(struct follow *f, int fd, uint64_t size, const struct file_mark *m, uint64_t next)
{
	uint64_t found, offset = 0;
	if (next > m->first)
		offset = after_lines(fd, 0, size, next - m->first, &found);
	if (next > m->first && offset == 0)
		return false;
	drop_file(f);
	f->fd = fd;
	f->size = size;
	f->cursor.has_file = true;
	f->cursor.file = *m;
	f->cursor.offset = offset;
	f->cursor.next = next;
	/* the first bytes are known as far as they were read; going back un-reads some */
	if (f->cursor.file.id.head_len > offset) {
		f->cursor.file.id.head_len = 0;
		f->cursor.file.id.head_hash = cursor_hash("", 0);
		learn_head(f);
	}
	return true;
}

/* The marks of finished files, and last that of the one at hand. */
static struct file_mark mark_at(const struct export_cursor *c, unsigned i)
{
	return i < c->done_count ? c->done[i] : c->file;
}

void follow_back(struct follow *f, uint64_t next)
{
	struct export_cursor *c = &f->cursor;
	struct siblings *all = malloc(sizeof(*all));
	bool listed = all && siblings_list(c->path, all) == 0;
	unsigned count = c->done_count + c->has_file;
	for (unsigned i = 0; listed && i < count; i++) {
		uint64_t size, end = i + 1 < count ? mark_at(c, i + 1).first : c->next;
		const struct file_mark mark = mark_at(c, i);
		int fd = end > next ? open_mark(f, all, &mark, &size) : -1;
		if (fd < 0)
			continue;
		if (stand_on(f, fd, size, &mark, next > mark.first ? next : mark.first)) {
			c->done_count = i < c->done_count ? i : c->done_count;
			break;
		}
		close(fd);
	}
	free(all);
	/* what cannot be had again is given up */
	c->lost = c->next - next;
	f->lost += c->lost;
	f->changed = true;
}
