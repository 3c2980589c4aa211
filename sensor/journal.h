/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The journal: one thread that takes records from a ring a worker and writes them to the record file, so that no worker
 * ever waits for a disk or a reader. What cannot be written stays in its ring until it can; a ring that is full loses the
 * records that come, and counts them. The file holds whole records only.
 *
 * The file may be a regular file (which can be rotated), a FIFO, a listening stream socket or a device.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ring.h"

/* Records reach the file at the latest after this, unless it refuses them. */
#define JOURNAL_LATENCY_NS 100000000

struct journal_config {
	const char *path;      /* copied */
	uint64_t rotate_bytes; /* a file that would grow beyond is put aside as PATH.1; 0: never */
	unsigned keep;	       /* files put aside that are kept: PATH.1 is the newest */
	unsigned rings;
	size_t ring_bytes;
};

struct journal_stats {
	uint64_t bytes; /* written */
	uint64_t lost;	/* records that found their ring full, or were left over at the end */
	uint64_t rotations;
	int error; /* why nothing can be written now, -errno; 0: all is well */
};

struct journal;

/* Opens (or goes on with) the file; what a crash left of a record at its end is cut off. NULL with a message in error (256 bytes). */
struct journal *journal_open(const struct journal_config *config, char *error);
/* The ring of writer `index`, for one thread. */
struct ring *journal_ring(struct journal *journal, unsigned index);
/* Starts the thread, which calls `confine` first, when not NULL. 0 or -errno. */
int journal_start(struct journal *journal, void (*confine)(void));

/* Any thread: the file is closed and opened anew (another program has moved it away), soon. */
void journal_reopen(struct journal *journal);
/* Any thread: other limits from now on. */
void journal_limits(struct journal *journal, uint64_t rotate_bytes, unsigned keep);
struct journal_stats journal_stats(const struct journal *journal);

/* Writes what is left (a file that refuses it is waited for a moment), stops the thread, frees. 0, or the error that kept
 * records from being written. *lost, when not NULL, is then the number of records lost in all. NULL is allowed. */
int journal_close(struct journal *journal, uint64_t *lost);
