/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"

/* Large enough that calloc maps it and the kernel clears it on first touch; 36,000 rules take some 60 of them. */
#define CHUNK_BYTES (1u << 20)
#define ALIGNMENT   16

struct chunk {
	struct chunk *next;
	size_t used, size;
	uint8_t pad[8]; /* keeps data aligned */
	uint8_t data[];
};
_Static_assert(offsetof(struct chunk, data) % ALIGNMENT == 0, "data must be aligned");

struct deferred {
	struct deferred *next;
	void (*free_fn)(void *);
	void *data;
};

struct arena {
	struct chunk *chunks;
	struct deferred *deferred;
	size_t used_bytes;
};

struct arena *arena_new(void)
{
	return calloc(1, sizeof(struct arena));
}

void arena_free(struct arena *arena)
{
	if (arena == NULL)
		return;
	for (struct deferred *d = arena->deferred; d; d = d->next)
		d->free_fn(d->data);
	for (struct chunk *c = arena->chunks, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	free(arena);
}

/* A new chunk is the current one, except when it was made for one large object: then the current one stays. */
static struct chunk *chunk_add(struct arena *arena, size_t size)
{
	size_t room = size > CHUNK_BYTES / 4 ? size : CHUNK_BYTES;
	struct chunk *chunk = calloc(1, sizeof(*chunk) + room);
	if (chunk == NULL)
		return NULL;
	chunk->size = room;
	if (room != CHUNK_BYTES && arena->chunks) {
		chunk->next = arena->chunks->next;
		arena->chunks->next = chunk;
	} else {
		chunk->next = arena->chunks;
		arena->chunks = chunk;
	}
	return chunk;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	struct chunk *chunk = arena->chunks;
	if (chunk == NULL || chunk->size - chunk->used < size) {
		chunk = chunk_add(arena, size);
		if (chunk == NULL)
			return NULL;
	}
	void *p = chunk->data + chunk->used;
	chunk->used += size;
	arena->used_bytes += size;
	return p;
}

char *arena_strndup(struct arena *arena, const char *s, size_t len)
{
	char *copy = arena_alloc(arena, len + 1);
	if (copy && len > 0)
		memcpy(copy, s, len);
	return copy;
}

size_t arena_used_bytes(const struct arena *arena)
{
	return arena->used_bytes;
}

int arena_defer(struct arena *arena, void (*free_fn)(void *), void *data)
{
	struct deferred *d = arena_alloc(arena, sizeof(*d));
	if (d == NULL)
		return -1;
	*d = (struct deferred){.next = arena->deferred, .free_fn = free_fn, .data = data};
	arena->deferred = d;
	return 0;
}
