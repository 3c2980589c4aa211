/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Bounded memory for one worker: size classes carved from one region that is reserved at the start.
 *
 * No call of malloc and no system call after slab_new (pages are touched as they are first used). A slab
 * belongs to one thread. What does not fit returns NULL, and the caller applies its exception policy. Built with
 * AddressSanitizer, free memory is poisoned and blocks carry red zones, so that overruns and use after free show.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slab;

/* The largest block that slab_alloc gives. */
#define SLAB_BLOCK_MAX (1u << 22)

/* A slab of at most limit_bytes; `name` (kept, not copied) appears in messages. NULL and errno on failure. */
struct slab *slab_new(const char *name, size_t limit_bytes);
void slab_free_all(struct slab *slab); /* NULL is allowed */

/* A block of at least `size` bytes, 16-byte aligned, not cleared; NULL when the limit is reached or size is above
 * SLAB_BLOCK_MAX. The caller frees it with the same size. */
void *slab_alloc(struct slab *slab, size_t size);
/* The same, cleared. */
void *slab_zalloc(struct slab *slab, size_t size);
void slab_free(struct slab *slab, void *block, size_t size); /* NULL is allowed */
/* What slab_alloc(size) really gives, so that a growable buffer can use all of it. */
size_t slab_usable(size_t size);

size_t slab_used_bytes(const struct slab *slab);
size_t slab_limit_bytes(const struct slab *slab);
uint64_t slab_refusals(const struct slab *slab);

/* A growable run of bytes from a slab. Zero-initialised is empty. */
struct slab_buf {
	uint8_t *data;
	uint32_t len;
	uint32_t cap;
};

/* Appends; false (and nothing changed) when memory is refused or the buffer would pass SLAB_BLOCK_MAX. */
bool slab_buf_append(struct slab *slab, struct slab_buf *buf, const void *data, size_t len);
/* Room for `more` further bytes, so that a following append of that many cannot fail. */
bool slab_buf_reserve(struct slab *slab, struct slab_buf *buf, size_t more);
/* Drops the first n bytes (n <= len). */
void slab_buf_shift(struct slab_buf *buf, size_t n);
void slab_buf_free(struct slab *slab, struct slab_buf *buf);
