/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Counters of one worker: single writer, summed by readers. X(identifier, "name"): the name is where records show it,
 * nested at each dot, as EVE's stats record has it.
 */

#include <stdint.h>

#include <dataplane/counter_list.h>
#include <dataplane/events.h>
#include <dataplane/verdict.h>

enum counter {
#define X(id, name) COUNTER_##id,
	COUNTER_LIST(X)
#undef X
		COUNTER_COUNT
};

struct counters {
	uint64_t value[COUNTER_COUNT];
	uint64_t event[EVENT_COUNT];	  /* packets that carried each event */
	uint64_t drop[DROP_REASON_COUNT]; /* packets dropped, by reason */
};

static inline void count(struct counters *c, enum counter id)
{
	c->value[id]++;
}

static inline void count_add(struct counters *c, enum counter id, uint64_t n)
{
	c->value[id] += n;
}

const char *counter_name(enum counter id);
