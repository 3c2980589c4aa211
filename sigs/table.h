/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* A hash table from text to a pointer, for what parsing looks up by name. Keys are not copied: they outlive the table. */

#include <stddef.h>
#include <stdint.h>

struct table {
	struct table_slot {
		const char *key; /* NULL: free */
		uint32_t len, hash;
		void *value;
	} * slots;
	uint32_t mask, count;
};

/* Frees what the table itself holds. */
void table_free(struct table *table);
/* The value, or NULL. */
void *table_find(const struct table *table, const char *key, size_t len);
/* Adds, or replaces the value of an equal key. 0 or -ENOMEM. */
int table_put(struct table *table, const char *key, size_t len, void *value);
