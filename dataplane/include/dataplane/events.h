/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Anomalies of packets and streams: one list. A rule names one by `decode-event:NAME`, `stream-event:NAME` or
 * `app-layer-event:NAME`; statistics count each.
 *
 * The list itself stands in event_list.h, X(identifier, class, "name").
 */

#include <stdbool.h>
#include <stdint.h>

#include <dataplane/event_list.h>

enum event_class { EVENT_CLASS_DECODE, EVENT_CLASS_STREAM, EVENT_CLASS_APPLAYER };

enum event {
#define X(id, class, name) EVENT_##id,
	EVENT_LIST(X)
#undef X
		EVENT_COUNT
};

#define EVENT_WORDS 5
_Static_assert(EVENT_COUNT <= EVENT_WORDS * 64, "raise EVENT_WORDS");

struct event_set {
	uint64_t bits[EVENT_WORDS];
};

static inline void event_set_add(struct event_set *set, enum event event)
{
	set->bits[event >> 6] |= 1ull << (event & 63);
}

static inline bool event_set_has(const struct event_set *set, enum event event)
{
	return set->bits[event >> 6] >> (event & 63) & 1;
}

static inline bool event_set_any(const struct event_set *set)
{
	uint64_t all = 0;
	for (int i = 0; i < EVENT_WORDS; i++)
		all |= set->bits[i];
	return all != 0;
}

/* The name as a rule writes it, e.g. "ipv4.trunc_pkt". Any thread. */
const char *event_name(enum event event);
enum event_class event_class_of(enum event event);
/* The event of that class and name; -1 when there is none. */
int event_find(enum event_class class, const char *name);
