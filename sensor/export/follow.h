/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Follows one stream's file through rotations by the stream's cursor, which only this changes. One thread.
 *
 * A file that is not the path's any more is read to its end, its last line too when nothing ends it; then the next is begun. Empty lines
 * are no lines. Everything that numbers lines depends on what the files hold alone, never on when it was looked at.
 */

#include "cursor.h"
#include "siblings.h"

/* A line that the SOC takes, without its end. */
#define FOLLOW_LINE_MAX ((1u << 20) - 1)

struct follow {
	struct export_cursor cursor;
	int fd;			/* of cursor.file; -1: none is there */
	uint64_t size;		/* as last seen */
	uint64_t looked_size;	/* up to there no line's end was found behind the offset */
	uint64_t rotated_ns;	/* when it was first seen to be no longer the path's; 0: it is */
	bool finishing;		/* what is left is its last line, whole or not */
	bool changed;		/* the cursor is to be saved */
	uint64_t vanished;	/* files that were gone before their end was read */
	uint64_t lost, skipped; /* lines, ever */
};

/* Lines at the cursor. */
struct follow_lines {
	char *data; /* `room` bytes; those of the lines, each with its end, nothing else */
	size_t room, len;
	uint32_t count;
	uint64_t offset_after;
};

void follow_init(struct follow *follow);
void follow_close(struct follow *follow);
/* Looks where the file is and how it stands; begins the next one when this one is finished. Calls for `now_ns` of CLOCK_MONOTONIC.
 * 0 or -errno. */
int follow_look(struct follow *follow, uint64_t now_ns);
/* Bytes behind the cursor in its file. */
uint64_t follow_waiting(const struct follow *follow);
/* Bytes behind the cursor in all files. */
uint64_t follow_unsent(const struct follow *follow);
/* Whole lines at the cursor, at most so many; count 0 when there are none. A line that is too long for the SOC is given up. 0 or -errno;
 * -EAGAIN: the file was changed meanwhile, look again. */
int follow_read(struct follow *follow, struct follow_lines *lines, size_t bytes, uint32_t records);
/* The SOC has all below `next`, which is among the lines' numbers or the one behind them. */
void follow_advance(struct follow *follow, const struct follow_lines *lines, uint64_t next);
/* The first line is given up. */
void follow_skip(struct follow *follow, const struct follow_lines *lines);
/* The SOC wants `next`, a number before the cursor's: goes back as far as files are there, and counts the rest as lost. */
void follow_back(struct follow *follow, uint64_t next);
/* Gives up the oldest lines until no more than so many bytes are unsent. Lines given up. */
uint64_t follow_give_up(struct follow *follow, uint64_t spool_max, uint64_t now_ns);
