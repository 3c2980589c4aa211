/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Memory of a rule set: allocated piece by piece while it is built, freed as a whole. One thread. */

#include <stddef.h>

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *arena);
/* Cleared, 16-byte aligned; NULL when memory is out. */
void *arena_alloc(struct arena *arena, size_t size);
char *arena_strndup(struct arena *arena, const char *s, size_t len);
size_t arena_used_bytes(const struct arena *arena);
/* Calls free_fn(data) when the arena is freed (for what is not memory of its own: PCRE2 codes). -1 when memory is out. */
int arena_defer(struct arena *arena, void (*free_fn)(void *), void *data);
