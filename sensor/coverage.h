/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Coverage: for each interval what share of the traffic was inspected, by which rules and policy. Each record holds the SHA-256 of the
 * one before it, so that a record that is missing or changed shows: `sekisho-soc verify`. One thread.
 */

#include <stdint.h>

#include "account.h"
#include "eve_stats.h"

#define COVERAGE_DIGEST_BYTES 32

struct coverage_counts {
	uint64_t seen;	    /* packets that came to the sensor's ports or queue, as far as anyone knows */
	uint64_t inspected; /* of them: judged (forwarded, dropped or held) */
	uint64_t bypassed;  /* forwarded without a look, by policy or because the sensor was not ready */
	uint64_t refused;   /* dropped without a look */
	uint64_t lost;	    /* by the kernel or the card, before the sensor */
	uint64_t forwarded, dropped;
	uint64_t bytes; /* that workers received */
};

struct coverage {
	char boot[37];	 /* UUID of this run */
	uint64_t number; /* of the last record; 0: none yet */
	uint64_t from_ns, started_ns, mono_ns;
	struct coverage_counts before;
	uint8_t previous[COVERAGE_DIGEST_BYTES]; /* of the last record's line */
};

/* What the interval was judged by. */
struct coverage_policy {
	uint64_t edition;
	uint64_t rules_loaded;
	const uint8_t *rules, *policy; /* SHA-256 of the rules' text, of the configuration in force */
};

/* The chain begins: now, by the wall's clock and the one that nobody sets. 0, or -EIO when there are no random numbers. */
int coverage_begin(struct coverage *coverage, uint64_t wall_ns, uint64_t mono_ns);
struct coverage_counts coverage_count(const struct account *account);
/* Writes the record of the interval since the last one; `last`: the sensor ends. */
void record_coverage(struct records *records, struct coverage *coverage, const struct coverage_counts *now,
		     const struct coverage_policy *policy, uint64_t wall_ns, uint64_t mono_ns, bool last);
