/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include "table.h"

#define SLOTS_MIN 64

static uint32_t hash_of(const char *key, size_t len)
{
	return (uint32_t)XXH3_64bits(key, len);
}

/* The slot of the key, or the free one where it belongs. The table is never full. */
static struct table_slot *slot_of(const struct table *table, const char *key, size_t len, uint32_t hash)
{
	for (uint32_t i = hash & table->mask;; i = (i + 1) & table->mask) {
		struct table_slot *slot = &table->slots[i];
		if (slot->key == NULL || (slot->hash == hash && slot->len == len && memcmp(slot->key, key, len) == 0))
			return slot;
	}
}

void table_free(struct table *table)
{
	free(table->slots);
	*table = (struct table){0};
}

void *table_find(const struct table *table, const char *key, size_t len)
{
	if (table->slots == NULL)
		return NULL;
	const struct table_slot *slot = slot_of(table, key, len, hash_of(key, len));
	return slot->key ? slot->value : NULL;
}

static int table_grow(struct table *table)
{
	uint32_t size = table->slots ? (table->mask + 1) * 2 : SLOTS_MIN;
	struct table grown = {.slots = calloc(size, sizeof(*grown.slots)), .mask = size - 1, .count = table->count};
	if (grown.slots == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; table->slots && i <= table->mask; i++) {
		const struct table_slot *old = &table->slots[i];
		if (old->key)
			*slot_of(&grown, old->key, old->len, old->hash) = *old;
	}
	free(table->slots);
	*table = grown;
	return 0;
}

int table_put(struct table *table, const char *key, size_t len, void *value)
{
	if (table->slots == NULL || table->count >= (table->mask + 1) / 2) {
		int err = table_grow(table);
		if (err)
			return err;
	}
	uint32_t hash = hash_of(key, len);
	struct table_slot *slot = slot_of(table, key, len, hash);
	if (slot->key == NULL)
		table->count++;
	*slot = (struct table_slot){.key = key, .len = (uint32_t)len, .hash = hash, .value = value};
	return 0;
}
