/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Rates of a signature's matches: `threshold`, `detection_filter`, and a configuration's suppress, threshold and
 * rate_filter lines. One table for all matchers of a sensor, locked while
 * one match is counted; time is packet time; memory is bounded: at the limit the entry that was
 * touched least recently makes room.
 */

#include <dataplane/packet.h>

#include "signature.h"

enum threshold_result {
	THRESHOLD_NONE,	  /* no match: neither alert nor action */
	THRESHOLD_ALERT,  /* a match */
	THRESHOLD_SILENT, /* carry out the action, write no alert */
};

struct threshold_table;

/* NULL and errno on failure. */
struct threshold_table *threshold_table_new(size_t memory_bytes, uint64_t hash_seed);
void threshold_table_free(struct threshold_table *table);

/*
 * Counts a match of the signature on the packet against all its thresholds. A rate filter that holds puts its action into
 * *action and sets *rate_filtered. Entries tracked by flow end with their age, not with the flow, whose id they carry.
 */
enum threshold_result threshold_check(struct threshold_table *table, const struct signature *sig,
				      const struct packet *pkt, enum sigs_action *action, bool *rate_filtered);

/* Entries held, and those that had to make room. */
uint32_t threshold_table_entries(const struct threshold_table *table);
uint64_t threshold_table_evictions(const struct threshold_table *table);
