/* SPDX-License-Identifier: BSD-3-Clause */
#include "overload.h"

#include <string.h>

/* An interval of measuring: long beside a burst, short beside what a full queue holds. */
#define INTERVAL_NS 100000000u
/* How often the queue is looked at within it. */
#define SAMPLE_NS 10000000u
/* Too much: half of the queue is full; or a quarter, and hardly a pause. Where the queue cannot be seen, no pause at all. */
#define BACKLOG_HIGH	1000u / 2
#define BACKLOG_RISING	1000u / 4
#define BUSY_HIGH	950u
#define BUSY_BLIND_HIGH 995u
/* Little: a fifth of the time is free again, and the queue is short. */
#define BACKLOG_CALM 100u
#define BUSY_CALM    800u
/* From here on flows are weighed, so that the heaviest are known when they must be. */
#define BUSY_WATCH 700u
/* Intervals in a row before a step up, with and without a view of the queue, and before a step down. */
#define PATIENCE_UP	  2
#define PATIENCE_UP_BLIND 5
#define PATIENCE_DOWN	  15
/* Steps of each policy. Of OVERLOAD_HEAVY the first ones take flows with more than 1/8, 1/32, 1/128 of the bytes. */
#define HEAVY_STEPS 3
static const unsigned steps_of[] = {
	[OVERLOAD_HEAVY] = HEAVY_STEPS + 2,
	[OVERLOAD_NEW] = 2,
	[OVERLOAD_NONE] = 1,
};

const char *overload_policy_name(int policy)
{
	static const char *const names[] = {
		[OVERLOAD_HEAVY] = "heavy", [OVERLOAD_NEW] = "new", [OVERLOAD_NONE] = "none"};
	return names[policy];
}

void overload_init(struct overload *o, int policy, uint64_t now_ns)
{
	const struct overload_state before = o->state;
	memset(o, 0, sizeof(*o));
	o->state.steps_up = before.steps_up;
	o->state.steps_down = before.steps_down + before.step;
	o->state.flows = before.flows;
	o->policy = policy;
	o->mark_ns = o->began_ns = o->sampled_ns = now_ns;
}

void overload_waited(struct overload *o, uint64_t now_ns)
{
	o->idle_ns += now_ns - o->mark_ns;
	o->mark_ns = now_ns;
}

static void sample_backlog(struct overload *o, struct io *io)
{
	uint32_t waiting = 0, room = 0;
	if (io->ops->backlog)
		io->ops->backlog(io, &waiting, &room);
	if (room == 0)
		return;
	uint64_t permille = (uint64_t)waiting * 1000 / room;
	o->backlog_known = true;
	if (permille > o->backlog_permille)
		o->backlog_permille = permille < 1000 ? (unsigned)permille : 1000;
}

/* --- steps ------------------------------------------------------------------------------------------------------------- */

static bool is_high(const struct overload *o)
{
	const struct overload_state *s = &o->state;
	if (!o->backlog_known)
		return s->busy_permille >= BUSY_BLIND_HIGH;
	return s->backlog_permille >= BACKLOG_HIGH ||
	       (s->busy_permille >= BUSY_HIGH && s->backlog_permille >= BACKLOG_RISING);
}

static int decide(struct overload *o)
{
	struct overload_state *s = &o->state;
	bool calm = s->busy_permille < BUSY_CALM && s->backlog_permille < BACKLOG_CALM;
	o->high = is_high(o) ? o->high + 1 : 0;
	o->calm = calm ? o->calm + 1 : 0;
	if (o->high >= (o->backlog_known ? PATIENCE_UP : PATIENCE_UP_BLIND) && s->step < steps_of[o->policy]) {
		o->high = 0;
		s->step++;
		s->steps_up++;
		return 1;
	}
	if (o->calm >= PATIENCE_DOWN && s->step > 0) {
		o->calm = 0;
		s->step--;
		s->steps_down++;
		return -1;
	}
	return 0;
}

/* Which flows were too heavy in the interval; then all begin anew. */
static void choose_flows(struct overload *o)
{
	unsigned step = o->policy == OVERLOAD_HEAVY ? o->state.step : 0;
	uint64_t most = o->bytes >> (2 * (step < HEAVY_STEPS ? step : HEAVY_STEPS) + 1);
	for (unsigned i = 0; i < OVERLOAD_SLOTS; i++) {
		struct overload_slot *slot = &o->slots[i];
		slot->bypass = step > 0 && slot->bytes > most;
		slot->bytes = 0;
	}
	o->bytes = 0;
}

int overload_turned(struct overload *o, struct io *io, uint64_t now_ns)
{
	uint64_t length = now_ns - o->began_ns;
	o->mark_ns = now_ns;
	if (now_ns - o->sampled_ns >= SAMPLE_NS) {
		o->sampled_ns = now_ns;
		sample_backlog(o, io);
	}
	if (length < INTERVAL_NS)
		return 0;
	uint64_t idle = o->idle_ns < length ? o->idle_ns : length;
	o->state.busy_permille = (unsigned)(1000 - idle * 1000 / length);
	o->state.backlog_permille = o->backlog_permille;
	int change = decide(o);
	o->watching = o->state.step > 0 || o->state.busy_permille >= BUSY_WATCH;
	choose_flows(o);
	o->began_ns = now_ns;
	o->idle_ns = 0;
	o->backlog_permille = 0;
	return change;
}

/* --- flows ------------------------------------------------------------------------------------------------------------- */

/* Which share of new flows goes uninspected, in halves. */
static unsigned new_halves(const struct overload *o)
{
	unsigned step = o->state.step;
	if (o->policy == OVERLOAD_HEAVY)
		return step > HEAVY_STEPS ? step - HEAVY_STEPS : 0;
	return o->policy == OVERLOAD_NEW ? step : 0;
}

bool overload_weigh(struct overload *o, uint64_t flow, uint32_t hash, uint32_t bytes, bool fresh)
{
	unsigned halves = fresh ? new_halves(o) : 0;
	if (halves >= 2 || (halves == 1 && hash & 1)) {
		o->state.flows++;
		return true;
	}
	/* who brings most of a slot's bytes has it in the end (Boyer and Moore's majority vote) */
	struct overload_slot *slot = &o->slots[(hash >> 8) % OVERLOAD_SLOTS];
	o->bytes += bytes;
	if (slot->flow == flow) {
		slot->bytes += bytes;
		if (!slot->bypass)
			return false;
		slot->bypass = false;
		o->state.flows++;
		return true;
	}
	if (slot->bypass)
		return false; /* kept for the flow that was chosen */
	if (slot->bytes >= bytes) {
		slot->bytes -= bytes;
	} else {
		slot->flow = flow;
		slot->bytes = bytes - slot->bytes;
	}
	return false;
}
