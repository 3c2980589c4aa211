/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "group.h"

/* How transactions are judged: for each protocol and direction, which buffers are searched when, and which signatures are
 * looked at without a search. */

int plan_begin(struct grouping *g)
{
	for (unsigned dir = 0; dir < 2; dir++) {
		g->app[dir] = calloc(g->rs->parsed.buffer_count + 1, sizeof(*g->app[dir]));
		g->rs->app_sets[dir] =
			arena_alloc(g->rs->arena, (g->rs->parsed.buffer_count + 1) * sizeof(struct mpse *));
		if (g->app[dir] == NULL || g->rs->app_sets[dir] == NULL)
			return -ENOMEM;
	}
	return 0;
}

void plan_free(struct grouping *g)
{
	for (unsigned dir = 0; dir < 2; dir++) {
		for (uint32_t i = 0; g->app[dir] && i < g->rs->parsed.buffer_count; i++)
			mpse_builder_free(g->app[dir][i]);
		free(g->app[dir]);
		for (unsigned app = 0; app < APP_ID_COUNT; app++) {
			struct plan_items *items = &g->plans[app][dir];
			for (unsigned i = 0; items->events && i < PLAN_EVENTS_MAX; i++)
				free(items->events[i].nums);
			free(items->events);
			free(items->always);
		}
	}
}

static bool wants_direction(const struct sig_head *head, unsigned dir)
{
	return !(head->needs & (dir == TO_SERVER ? SIG_NEED_TO_CLIENT : SIG_NEED_TO_SERVER));
}

static bool both_directions(const struct signature *sig)
{
	return sig->flags & SIG_TRANSACTIONAL_BIDIR;
}

/* Progress in a direction at which all that a signature looks at there is known; -1: it cannot match there. */
static int due_of(const struct signature *sig, unsigned app, unsigned dir)
{
	int due = 0;
	for (unsigned i = 0; i < sig->buffer_count; i++) {
		const struct buffer_ref *ref = sig->buffers[i].ref;
		if (ref->kind != BUFFER_APP)
			continue;
		const struct app_buffer *buffer = ref->app[app][dir];
		if (buffer == NULL) {
			if (both_directions(sig) && ref->app[app][1 - dir])
				continue;
			return -1;
		}
		if (buffer->complete > due)
			due = buffer->complete;
	}
	for (unsigned i = 0; i < sig->tx_count; i++) {
		if (sig->tx[i].type != MATCH_APP_VALUE)
			continue;
		const struct app_value *value = sig->tx[i].value.app[app][dir];
		if (value == NULL) {
			if (both_directions(sig) && sig->tx[i].value.app[app][1 - dir])
				continue;
			return -1;
		}
		if (value->progress > due)
			due = value->progress;
	}
	if (sig->flags & SIG_HOOKED && sig->hook_dir == dir && sig->hook > due)
		due = sig->hook;
	return due;
}

static bool has_file_match(const struct signature *sig)
{
	for (unsigned i = 0; i < sig->tx_count; i++)
		if (sig->tx[i].type == MATCH_FILE)
			return true;
	return false;
}

/* The event of this protocol that a signature cannot do without; -1 for none. */
static int event_of(const struct signature *sig, unsigned app)
{
	for (unsigned i = 0; i < sig->tx_count; i++)
		if (sig->tx[i].type == MATCH_APP_EVENT && !sig->tx[i].negated && sig->tx[i].flag == app &&
		    sig->tx[i].number.a < PLAN_EVENTS_MAX)
			return (int)sig->tx[i].number.a;
	return -1;
}

static int always_append(struct plan_items *items, struct plan_always entry)
{
	if (items->always_count == items->always_cap) {
		uint32_t cap = items->always_cap ? items->always_cap * 2 : 16;
		struct plan_always *always = realloc(items->always, cap * sizeof(*always));
		if (always == NULL)
			return -ENOMEM;
		items->always = always;
		items->always_cap = cap;
	}
	items->always[items->always_count++] = entry;
	return 0;
}

static int add_without_literal(struct plan_items *items, const struct signature *sig, uint32_t num, unsigned app,
			       unsigned dir)
{
	int due = due_of(sig, app, dir), event = event_of(sig, app);
	if (due < 0)
		return 0;
	items->any = true;
	if (event < 0)
		return always_append(
			items, (struct plan_always){.sig = num, .due = (uint8_t)due, .every = has_file_match(sig)});
	if (items->events == NULL) {
		items->events = calloc(PLAN_EVENTS_MAX, sizeof(*items->events));
		if (items->events == NULL)
			return -ENOMEM;
	}
	return group_list_add(&items->events[event], num);
}

static int add_literal(struct grouping *g, const struct buffer_ref *ref, unsigned dir, uint32_t num,
		       const struct fast_pattern *fast)
{
	struct mpse_builder **builder = &g->app[dir][ref->id];
	if (*builder == NULL)
		*builder = mpse_builder_new();
	if (*builder == NULL)
		return -ENOMEM;
	return mpse_builder_add(*builder, fast->literal, fast->nocase, fast->reach, num);
}

/* The buffer that holds the literal: set for each direction in which some protocol of the signature has it. */
static int add_with_buffer(struct grouping *g, const struct sig_head *head, uint32_t num,
			   const struct fast_pattern *fast)
{
	const struct signature *sig = head->sig;
	const struct buffer_ref *ref = sig->buffers[fast->buffer].ref;
	for (unsigned dir = 0; dir < 2; dir++) {
		bool has = false;
		if (!wants_direction(head, dir) && !both_directions(sig))
			continue;
		for (unsigned app = 0; app < APP_ID_COUNT; app++) {
			if (!(head->app_mask >> app & 1) || ref->app[app][dir] == NULL)
				continue;
			g->plans[app][dir].any = true;
			has = true;
		}
		if (has) {
			int error = add_literal(g, ref, dir, num, fast);
			if (error)
				return error;
		}
	}
	return 0;
}

int plan_add(struct grouping *g, uint32_t num, const struct fast_pattern *fast)
{
	const struct sig_head *head = &g->rs->heads[num];
	const struct signature *sig = head->sig;
	int error = 0;
	if (fast->buffer >= 0 && sig->buffers[fast->buffer].ref->kind == BUFFER_APP)
		return add_with_buffer(g, head, num, fast);
	if (fast->buffer >= 0) {
		for (unsigned app = 0; app < APP_ID_COUNT; app++)
			for (unsigned dir = 0; dir < 2; dir++)
				if (head->app_mask >> app & 1 && wants_direction(head, dir))
					g->plans[app][dir].any = true;
		return group_payload_add(g, num, fast);
	}
	for (unsigned app = 0; app < APP_ID_COUNT && !error; app++)
		for (unsigned dir = 0; dir < 2 && !error; dir++)
			if (head->app_mask >> app & 1 && (wants_direction(head, dir) || both_directions(sig)))
				error = add_without_literal(&g->plans[app][dir], sig, num, app, dir);
	return error;
}

static int build_sets(struct grouping *g)
{
	for (unsigned dir = 0; dir < 2; dir++) {
		for (uint32_t i = 0; i < g->rs->parsed.buffer_count; i++) {
			if (g->app[dir][i] == NULL)
				continue;
			struct mpse_builder *mine = g->builder;
			const struct mpse *set = NULL;
			g->builder = g->app[dir][i];
			int error = group_keep_set(g, &set);
			g->builder = mine;
			if (error)
				return error;
			g->rs->app_sets[dir][i] = set ? g->rs->all_sets[g->rs->all_count - 1] : NULL;
		}
	}
	return 0;
}

static int entry_compare(const void *a, const void *b)
{
	const struct plan_entry *x = a, *y = b;
	if ((x->stream >= 0) != (y->stream >= 0))
		return x->stream >= 0 ? 1 : -1;
	if (x->due != y->due)
		return x->due < y->due ? -1 : 1;
	return x->ref->id < y->ref->id ? -1 : 1;
}

static int always_compare(const void *a, const void *b)
{
	const struct plan_always *x = a, *y = b;
	if (x->due != y->due)
		return x->due < y->due ? -1 : 1;
	return x->sig < y->sig ? -1 : 1;
}

static int plan_entries(struct grouping *g, struct app_plan *plan, unsigned app, unsigned dir)
{
	struct sigs_ruleset *rs = g->rs;
	int8_t streams = 0;
	plan->entries = arena_alloc(rs->arena, (rs->parsed.buffer_count + 1) * sizeof(*plan->entries));
	if (plan->entries == NULL)
		return -ENOMEM;
	for (const struct buffer_ref *ref = rs->parsed.buffers; ref; ref = ref->next) {
		const struct app_buffer *buffer = ref->kind == BUFFER_APP ? ref->app[app][dir] : NULL;
		if (buffer == NULL || rs->app_sets[dir][ref->id] == NULL)
			continue;
		struct plan_entry *entry = &plan->entries[plan->entry_count++];
		*entry = (struct plan_entry){
			.ref = ref, .buffer = buffer, .mpse = rs->app_sets[dir][ref->id], .stream = -1};
		/* What transforms make of half a buffer says nothing of the whole: such are looked at once. */
		if (buffer->flags & APP_BUFFER_STREAM && ref->transform_count == 0 && streams < PLAN_STREAMS_MAX) {
			entry->stream = streams++;
			entry->due = buffer->progress;
		} else {
			entry->due = buffer->flags & APP_BUFFER_STREAM ? buffer->complete : buffer->progress;
			plan->once_count++;
		}
	}
	qsort(plan->entries, plan->entry_count, sizeof(*plan->entries), entry_compare);
	return 0;
}

static int plan_lists(struct grouping *g, struct app_plan *plan, struct plan_items *items)
{
	plan->always = arena_alloc(g->rs->arena, (items->always_count + 1) * sizeof(*plan->always));
	if (plan->always == NULL)
		return -ENOMEM;
	if (items->always_count) {
		qsort(items->always, items->always_count, sizeof(*items->always), always_compare);
		memcpy(plan->always, items->always, items->always_count * sizeof(*plan->always));
	}
	plan->always_count = items->always_count;
	if (items->events == NULL)
		return 0;
	plan->events = arena_alloc(g->rs->arena, PLAN_EVENTS_MAX * sizeof(*plan->events));
	if (plan->events == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < PLAN_EVENTS_MAX; i++) {
		int error = list_keep(&plan->events[i], &items->events[i], g->rs->arena);
		if (error)
			return error;
	}
	return 0;
}

int plan_build(struct grouping *g)
{
	int error = build_sets(g);
	for (unsigned app = 0; app < APP_ID_COUNT && !error; app++) {
		for (unsigned dir = 0; dir < 2 && !error; dir++) {
			struct app_plan *plan = &g->rs->plans[app][dir];
			plan->any = g->plans[app][dir].any;
			error = plan_entries(g, plan, app, dir);
			if (!error)
				error = plan_lists(g, plan, &g->plans[app][dir]);
		}
	}
	return error;
}
