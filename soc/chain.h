/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The coverage chain: what sensors say, interval by interval, of the traffic that they saw, inspected, let pass and lost (docs/records.md,
 * "coverage"). Each record holds the SHA-256 of the one before it: what is missing or was changed shows. What a chain cannot show is
 * that its end was cut off: ask for a span, and see which share of it is covered. One thread at a time.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Records of one look, of some 200 bytes each: a year of one every 10 seconds is 3.2 million. */
#define CHAIN_RECORDS_MAX 5000000
/* Problems that are listed; all are counted. */
#define CHAIN_PROBLEMS_MAX 1000

struct chain;

struct chain *chain_new(void);
void chain_free(struct chain *chain);
/* A line of EVE, without its newline, in any order; what is no coverage record is passed over. 0; -EINVAL: a coverage record that
 * cannot be read (it is counted, and will be missed); -E2BIG: more than CHAIN_RECORDS_MAX; -ENOMEM. */
int chain_add(struct chain *chain, const char *line, size_t len);
/*
 * What the records say of [from, until) (microseconds; 0, 0: of all that they cover):
 *  {"whole": bool, "records": n, "unreadable": n, "from", "until",
 *   "runs": [{"boot", "from", "until", "records", "ended": bool}],
 *   "problem_count": n, "problems": [{"kind", "boot", "number", "from", "until", "text"}],
 *   "packets": {"seen", "inspected", "bypassed", "refused", "lost"}, "inspected_share": 0..1 or null,
 *   "covered_seconds", "span_seconds", "covered_share": 0..1 or null}
 * Kinds: "missing" (numbers that are not there), "changed" (a record is not what its successor says), "sums" (counts that do not add up),
 * "cut" (a run ends without its last record, and another begins), "off" (no sensor ran), "clock" (the clock was set). Only the first four
 * make it not whole. A new reference; NULL: memory is short.
 */
json_t *chain_judge(struct chain *chain, int64_t from, int64_t until);
