/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Datasets: sets of strings, hashes or addresses that rules ask, and that `dataset:set` adds to while running; with a
 * number for each entry (reputation) for `datarep`. dataset_load, for the language half, stands in signature.h.
 */

#include "signature.h"

/* Entries that `set` may add at run time when the rule names no memcap. */
#define DATASET_DYNAMIC_BYTES (16u << 20)

/* Whether the value is in the set. For hashes the value is the raw bytes of any buffer, which are hashed by the rule's own
 * transform before (a value of the hash's own length). *reputation may be NULL. Any thread that shares the set may call
 * these: a set that rules change is locked, the others are immutable. */
bool dataset_has(struct dataset *set, struct bytes value, uint16_t *reputation);
/* Adds; true when it was not there. False too when the set is full (its memcap). */
bool dataset_insert(struct dataset *set, struct bytes value);
/* Removes; true when it was there. */
bool dataset_remove(struct dataset *set, struct bytes value);
size_t dataset_count(const struct dataset *set);
/* Prepares an empty table, for sets without a file. 0 or -ENOMEM. */
int dataset_prepare(struct dataset *set, struct arena *arena);
