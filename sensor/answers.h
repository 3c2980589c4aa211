/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Questions that a worker answers between two bursts (worker_ask): which flows are the largest, which rules cost most. Each answer is
 * taken in short steps into memory of the asker.
 */

#include "worker.h"

/* What one answer can hold. */
#define TOP_FLOWS_MAX 128
#define TOP_RULES_MAX 256
#define TOP_TEXT_MAX  96

struct top_flow {
	uint64_t id;
	struct flow_key key;
	uint64_t packets[2], bytes[2]; /* to server, to client */
	uint64_t first_ns, last_ns;
	uint32_t flags;	    /* enum flow_flag */
	uint16_t state;	    /* enum flow_state */
	uint16_t app_proto; /* enum app_id */
	uint16_t port;	    /* that it came in by */
};

/* The largest flows by bytes, the largest first. */
struct top_flows {
	struct worker_request request; /* to be given to worker_ask */
	unsigned wanted;
	unsigned count;
	uint64_t seen; /* flows that were looked at */
	uint32_t bucket;
	struct top_flow flows[TOP_FLOWS_MAX];
};
/* Makes it ready to be asked for at most `wanted` flows. */
void top_flows_init(struct top_flows *top, unsigned wanted);

/* Text is copied: the rules may be gone when it is read. */
struct top_rule {
	uint32_t gid, sid, rev;
	char msg[TOP_TEXT_MAX];
	uint64_t checks, matches, ns;
};

/* The rules that took most time, the most first; none while the worker does not measure. */
struct top_rules {
	struct worker_request request;
	unsigned wanted;
	unsigned count;
	struct top_rule rules[TOP_RULES_MAX];
};
void top_rules_init(struct top_rules *top, unsigned wanted);

/* Turns the measuring of rules on or off: the worker is given cleared memory, and gives back what it had. */
struct profile_switch {
	struct worker_request request;
	const struct sigs_ruleset *ruleset; /* that the memory was made for: another one in use refuses it */
	void *memory;
	bool taken;
};
/* 0 or -ENOMEM. */
int profile_switch_init(struct profile_switch *change, const struct sigs_ruleset *ruleset, bool on);
/* After the worker answered, or refused to. */
void profile_switch_free(struct profile_switch *change);
