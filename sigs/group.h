/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Grouping while a rule set is compiled: group.c (packets, payload) and plan.c (transactions). */

#include "ruleset.h"

struct num_list {
	uint32_t *nums;
	uint32_t count, cap;
};

struct item {
	uint32_t sig, reach;
	struct bytes literal;
	bool nocase;
	bool near; /* may stand in a set of its own when it cannot reach far */
	union {
		const struct port_set *ports;
		const struct address_set *set;
	};
};

struct item_list {
	struct item *items;
	uint32_t count, cap;
};

struct payload_items {
	struct item_list any, by_dport, by_sport;
};

struct always_items {
	struct num_list any;
	struct item_list src, dst;
};

struct plan_items {
	struct plan_always *always;
	uint32_t always_count, always_cap;
	struct num_list *events; /* PLAN_EVENTS_MAX, or NULL */
	bool any;
};

struct grouping {
	struct sigs_ruleset *rs;
	struct mpse_builder *builder; /* for one set after the other */
	struct payload_items payload[PAYLOAD_CLASSES][2];
	struct always_items always[ALWAYS_CLASSES][2];
	struct always_items ip_only;
	struct num_list non_ip;
	struct num_list packet_events[EVENT_COUNT];
	struct plan_items plans[APP_ID_COUNT][2];
	struct mpse_builder **app[2]; /* by buffer id */
};

int list_keep(struct sig_list *out, struct num_list *list, struct arena *arena);
int group_list_add(struct num_list *list, uint32_t num);
int group_payload_add(struct grouping *g, uint32_t num, const struct fast_pattern *fast);
/* Builds what g->builder holds. */
int group_keep_set(struct grouping *g, const struct mpse **out);

int plan_begin(struct grouping *g);
int plan_add(struct grouping *g, uint32_t num, const struct fast_pattern *fast);
int plan_build(struct grouping *g);
void plan_free(struct grouping *g);
