/* SPDX-License-Identifier: BSD-3-Clause */
#include "ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int ring_init(struct ring *ring, size_t bytes)
{
	size_t size = 4096;
	while (size < bytes)
		size <<= 1;
	memset(ring, 0, sizeof(*ring));
	ring->data = malloc(size);
	ring->size = size;
	return ring->data ? 0 : -ENOMEM;
}

void ring_free(struct ring *ring)
{
	free(ring->data);
	ring->data = NULL;
}

bool ring_put(struct ring *ring, const void *record, size_t len)
{
	size_t head = ring->writer.head;
	if (len > ring->size - (head - ring->writer.tail)) {
		ring->writer.tail = __atomic_load_n(&ring->reader.tail, __ATOMIC_ACQUIRE);
		if (len > ring->size - (head - ring->writer.tail)) {
			__atomic_store_n(&ring->writer.lost, ring->writer.lost + 1, __ATOMIC_RELAXED);
			return false;
		}
	}
	size_t at = head & (ring->size - 1), first = ring->size - at;
	if (first > len)
		first = len;
	memcpy(ring->data + at, record, first);
	memcpy(ring->data, (const uint8_t *)record + first, len - first);
	__atomic_store_n(&ring->writer.head, head + len, __ATOMIC_RELEASE);
	__atomic_store_n(&ring->writer.put, ring->writer.put + 1, __ATOMIC_RELAXED);
	return true;
}

size_t ring_peek(const struct ring *ring, struct iovec pieces[static 2])
{
	size_t head = __atomic_load_n(&ring->writer.head, __ATOMIC_ACQUIRE), tail = ring->reader.tail;
	size_t len = head - tail, at = tail & (ring->size - 1), first = ring->size - at;
	if (first > len)
		first = len;
	pieces[0] = (struct iovec){.iov_base = ring->data + at, .iov_len = first};
	pieces[1] = (struct iovec){.iov_base = ring->data, .iov_len = len - first};
	return len;
}

void ring_take(struct ring *ring, size_t len)
{
	__atomic_store_n(&ring->reader.tail, ring->reader.tail + len, __ATOMIC_RELEASE);
}

uint64_t ring_records(const struct ring *ring)
{
	return __atomic_load_n(&ring->writer.put, __ATOMIC_RELAXED);
}

uint64_t ring_lost(const struct ring *ring)
{
	return __atomic_load_n(&ring->writer.lost, __ATOMIC_RELAXED);
}
