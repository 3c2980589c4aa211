/* SPDX-License-Identifier: BSD-3-Clause */
#include "answers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Buckets of the flow table that one step looks at: some tens of microseconds. */
#define STEP_BUCKETS 2048

/* --- flows ------------------------------------------------------------------------------------------------------------- */

static uint64_t bytes_of(const struct top_flow *flow)
{
	return flow->bytes[0] + flow->bytes[1];
}

static void take_flow(void *user, struct flow *flow)
{
	struct top_flows *top = user;
	uint64_t bytes = flow->bytes[0] + flow->bytes[1];
	unsigned at = top->count < top->wanted ? top->count : top->wanted - 1;
	top->seen++;
	if (top->count == top->wanted && bytes <= bytes_of(&top->flows[at]))
		return;
	for (; at > 0 && bytes_of(&top->flows[at - 1]) < bytes; at--)
		top->flows[at] = top->flows[at - 1];
	top->flows[at] = (struct top_flow){
		.id = flow->id,
		.key = flow->key,
		.packets = {flow->packets[0], flow->packets[1]},
		.bytes = {flow->bytes[0], flow->bytes[1]},
		.first_ns = flow->first_ns,
		.last_ns = flow->last_ns,
		.flags = flow->flags,
		.state = flow->state,
		.app_proto = flow->app_proto,
		.port = flow->input_port,
	};
	if (top->count < top->wanted)
		top->count++;
}

static bool walk_flows(struct worker *w, struct worker_request *request)
{
	struct top_flows *top = (struct top_flows *)request;
	return !flow_walk(w->flows, &top->bucket, STEP_BUCKETS, take_flow, top);
}

void top_flows_init(struct top_flows *top, unsigned wanted)
{
	top->request.step = walk_flows;
	top->wanted = wanted < 1 ? 1 : wanted < TOP_FLOWS_MAX ? wanted : TOP_FLOWS_MAX;
	top->count = 0;
	top->seen = 0;
	top->bucket = 0;
}

/* --- rules ------------------------------------------------------------------------------------------------------------- */

static void take_rule(void *user, const struct sigs_info *info, uint64_t checks, uint64_t matches, uint64_t ns)
{
	struct top_rules *top = user;
	unsigned at = top->count < top->wanted ? top->count : top->wanted - 1;
	if (top->count == top->wanted && ns <= top->rules[at].ns)
		return;
	for (; at > 0 && top->rules[at - 1].ns < ns; at--)
		top->rules[at] = top->rules[at - 1];
	struct top_rule *rule = &top->rules[at];
	*rule = (struct top_rule){
		.gid = info->gid, .sid = info->sid, .rev = info->rev, .checks = checks, .matches = matches, .ns = ns};
	snprintf(rule->msg, sizeof(rule->msg), "%s", info->msg ? info->msg : "");
	if (top->count < top->wanted)
		top->count++;
}

static bool take_rules(struct worker *w, struct worker_request *request)
{
	sigs_profile(w->matcher, take_rule, (struct top_rules *)request);
	return true;
}

void top_rules_init(struct top_rules *top, unsigned wanted)
{
	top->request.step = take_rules;
	top->wanted = wanted < 1 ? 1 : wanted < TOP_RULES_MAX ? wanted : TOP_RULES_MAX;
	top->count = 0;
}

/* --- measuring --------------------------------------------------------------------------------------------------------- */

static bool switch_profile(struct worker *w, struct worker_request *request)
{
	struct profile_switch *change = (struct profile_switch *)request;
	if (w->c.ruleset != change->ruleset)
		return true;
	change->memory = sigs_profile_swap(w->matcher, change->memory);
	change->taken = true;
	return true;
}

int profile_switch_init(struct profile_switch *change, const struct sigs_ruleset *ruleset, bool on)
{
	*change = (struct profile_switch){.request = {.step = switch_profile}, .ruleset = ruleset};
	if (on)
		change->memory = calloc(1, sigs_profile_bytes(ruleset));
	return on && !change->memory ? -ENOMEM : 0;
}

void profile_switch_free(struct profile_switch *change)
{
	free(change->memory);
	change->memory = NULL;
}
