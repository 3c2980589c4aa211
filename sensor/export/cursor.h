/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Where a stream stands, as a small text file that is replaced whole. The one before it is kept: an older cursor is as right as a newer
 * one, for it gives the same lines the same numbers, and the SOC skips what it has.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* First bytes of a file by which it is known again: a few records with their times. */
#define CURSOR_HEAD_MAX 1024
/* Finished files that are remembered, lest one be read twice, and to go back to: rotation keeps fewer. */
#define CURSOR_DONE_MAX 256
#define CURSOR_PATH_MAX 4096
/* A cursor with all of it. */
#define CURSOR_TEXT_MAX (CURSOR_PATH_MAX + 512 + (CURSOR_DONE_MAX + 1) * 128)

struct file_id {
	uint64_t device, inode;
	uint64_t head_hash; /* of the first head_len bytes, which are all among those that were read */
	uint32_t head_len;
};

struct file_mark {
	struct file_id id;
	uint64_t first; /* number of the file's first line */
};

struct export_cursor {
	char path[CURSOR_PATH_MAX];
	char stream[37]; /* UUID */
	uint64_t next;	 /* number of the line at `offset` */
	uint64_t lost;	 /* of the numbers before it, so many were given up and the SOC was not told yet */
	bool has_file;
	struct file_mark file; /* that is being read */
	uint64_t offset;
	struct file_mark done[CURSOR_DONE_MAX]; /* oldest first */
	unsigned done_count;
};

uint64_t cursor_hash(const void *data, size_t len);
/* A new stream at its first line. 0 or -errno. */
int cursor_new(struct export_cursor *cursor, const char *path);
void cursor_add_done(struct export_cursor *cursor, const struct file_mark *mark);
bool cursor_same_file(const struct file_id *a, const struct file_id *b);

/* Bytes written to text (CURSOR_TEXT_MAX). */
size_t cursor_format(const struct export_cursor *cursor, char *text);
/* 0, or -EINVAL for anything that cursor_format could not have written. */
int cursor_parse(struct export_cursor *cursor, const char *text, size_t len);

/* From `name` in the folder, or the one before it (*old then). 0, -ENOENT when there is none, -EINVAL when none can be read. */
int cursor_load(struct export_cursor *cursor, int dir_fd, const char *name, bool *old);
/* Durable when it returns 0; else -errno, and the one before is in force. */
int cursor_save(const struct export_cursor *cursor, int dir_fd, const char *name);
