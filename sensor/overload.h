/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Overload: when packets come faster than a worker can judge them, the policy says what goes uninspected, so that it is a
 * choice and not what a full queue happens to lose. The worker measures (busy share of its time, queue towards it); from that
 * a step is made up or down, each with patience, so that a burst does nothing and the end of one undoes nothing too soon.
 *
 * Part of a worker: its thread, no allocation, and the clock of the C library as the only call.
 */

#include <stdbool.h>
#include <stdint.h>

#include <dataplane/io.h>

enum overload_policy {
	OVERLOAD_HEAVY, /* the flows that bring most bytes, more of them with each step; then new flows */
	OVERLOAD_NEW,	/* new flows: half of them, then all */
	OVERLOAD_NONE,	/* nothing: the queue overflows, and what overflows is dropped or passed as the backend says */
};

/* The candidates for the heaviest flows. More bytes than 1 in OVERLOAD_SLOTS is needed to keep a place in the table. */
#define OVERLOAD_SLOTS 512

struct overload_slot {
	uint64_t flow; /* id */
	uint64_t bytes;
	bool bypass;
};

/* What others may know of it. */
struct overload_state {
	unsigned step, steps_up, steps_down;
	unsigned busy_permille, backlog_permille; /* of the last interval */
	uint64_t flows;				  /* that went uninspected for it */
};

struct overload {
	int policy;    /* enum overload_policy */
	bool watching; /* flows are weighed: the worker is busy, or overloaded */
	struct overload_state state;
	uint64_t mark_ns;  /* when the worker last turned from working to waiting or back */
	uint64_t began_ns; /* of the interval */
	uint64_t idle_ns;  /* in it */
	uint64_t sampled_ns;
	unsigned backlog_permille; /* the most in it */
	bool backlog_known;
	unsigned high, calm; /* intervals in a row */
	uint64_t bytes;	     /* weighed in the interval */
	struct overload_slot slots[OVERLOAD_SLOTS];
};

/* Begins to measure; what was counted before (in cleared memory: nothing) stays. */
void overload_init(struct overload *overload, int policy, uint64_t now_ns);

/* A receive has ended: it brought nothing, or it was ready to wait. */
void overload_waited(struct overload *overload, uint64_t now_ns);
/* A turn of the worker's loop has ended. Returns the change of the step: 1, -1, or 0. */
int overload_turned(struct overload *overload, struct io *io, uint64_t now_ns);

/* While `watching`: a packet of a flow; whether the flow is to be bypassed. `hash` is the flow's, `fresh` its first packet. */
bool overload_weigh(struct overload *overload, uint64_t flow, uint32_t hash, uint32_t bytes, bool fresh);

const char *overload_policy_name(int policy);
