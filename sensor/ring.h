/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A bounded ring of bytes from one thread to one other: records on their way from a worker to the writer. A record goes in
 * whole or not at all, and neither side ever waits for the other.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct ring {
	uint8_t *data;
	size_t size; /* a power of two */
	struct {
		size_t head; /* bytes ever put in */
		size_t tail; /* of the other side, as last seen */
		uint64_t put, lost;
	} writer __attribute__((aligned(64)));
	struct {
		size_t tail; /* bytes ever taken out */
	} reader __attribute__((aligned(64)));
};

/* A ring of at least `bytes`. 0 or -ENOMEM. */
int ring_init(struct ring *ring, size_t bytes);
void ring_free(struct ring *ring);

/* The one writer: false when there is no room; then the record is lost, and counted. */
bool ring_put(struct ring *ring, const void *record, size_t len);
/* The one reader: what is there, in at most two pieces; returns how many bytes. They stay until ring_take. */
size_t ring_peek(const struct ring *ring, struct iovec pieces[static 2]);
void ring_take(struct ring *ring, size_t len);
/* Records put in, and lost. Any thread. */
uint64_t ring_records(const struct ring *ring);
uint64_t ring_lost(const struct ring *ring);
