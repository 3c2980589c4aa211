/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What other rules of triage would have made of the events that were: each stored event is judged by both sets of rules, and
 * each set makes its own incidents of them. Nothing is written. Any thread.
 */

#include <jansson.h>

#include "triage.h"

#define SIMULATE_CHANGES 1000 /* events of other decision that are listed; all are counted */

struct simulate_source {
	/* The next stored event as event_to_json writes it, a new reference, by the time that the SOC had them; NULL: no more. */
	json_t *(*next)(void *context);
	/* What is known of a customer's addresses; may be NULL. */
	const struct assets *(*assets)(void *context, uint32_t customer);
	void *context;
};

/*
 * {"versions": {before, after}, "events": judged, "unreadable": n, "changed": n,
 *  "changes": [{event, customer, class, source, before: {rule, severity, stage}, after: {...}}],
 *  "rules": {RULE: {before: events, after: events}},
 *  "incidents": {before: {emergency: n, ...}, after: {...}}}
 * A new reference; NULL when memory is short.
 */
json_t *simulate(const struct triage_rules *before, const struct triage_rules *after,
		 const struct simulate_source *source);
