/* SPDX-License-Identifier: BSD-3-Clause */
#include "matcher.h"

/*
 * Transactions of the packet's flow and direction. Each buffer is searched once, when it is whole (a body piece by
 * piece); signatures that then wait for another buffer, for the rest of a body or for the other direction keep their
 * state in the transaction.
 */

/* Passive: a body is looked at when so much of it is new, and at its end; batches cost less than single segments. */
#define BODY_CHUNK (32u << 10)
/* Instances of a buffer that are looked at; a peer may send any number of them. */
#define INSTANCES_MAX 1024
/* Progress that stands for "nothing more will come". */
#define PROGRESS_END 255

struct tx_ctx {
	struct sigs_matcher *m;
	const struct app_plan *plan;
	struct app_tx *tx;
	struct tx_state *state;
	enum direction dir;
	unsigned app;
	bool complete[2];
	bool grew; /* some body was searched anew */
	bool fed;  /* the protocol was given data of the direction */
};

static uint8_t progress_of(const struct tx_ctx *ctx, enum direction dir)
{
	return ctx->complete[dir] ? PROGRESS_END : ctx->tx->progress[dir];
}

bool tx_flushes_stream(struct sigs_matcher *m)
{
	struct flow *flow = m->pkt->flow;
	for (struct app_tx *tx = flow->app ? app_tx_first(flow) : NULL; tx; tx = tx->next)
		if (!tx->inspected[m->pkt->dir] && app_tx_complete(flow, tx, m->pkt->dir))
			return true;
	return false;
}

/* --- searching -------------------------------------------------------------------------------------------------------- */

static void scan_once(struct tx_ctx *ctx, const struct plan_entry *entry)
{
	struct inspect_view view;
	for (unsigned i = 0; i < INSTANCES_MAX; i++) {
		if (!buffer_get(ctx->m, entry->ref, entry->buffer, ctx->tx, ctx->dir, i, &view))
			break;
		uint32_t len = view.len < entry->mpse->reach ? view.len : entry->mpse->reach;
		if (view.len)
			mpse_scan(ctx->m, entry->mpse, view.data, len, 0, &ctx->m->tx_candidates);
		if (!(entry->buffer->flags & APP_BUFFER_MULTI))
			break;
	}
}

static bool body_is_ready(const struct tx_ctx *ctx, const struct inspect_view *view, uint64_t fresh)
{
	return ctx->m->ruleset->options.inline_mode || view->final || fresh >= BODY_CHUNK;
}

static void scan_stream(struct tx_ctx *ctx, const struct plan_entry *entry)
{
	struct tx_stream *at = &ctx->state->stream[ctx->dir][entry->stream];
	struct inspect_view view, after;
	bool multi = entry->buffer->flags & APP_BUFFER_MULTI;
	while (at->index < INSTANCES_MAX &&
	       buffer_get(ctx->m, entry->ref, entry->buffer, ctx->tx, ctx->dir, at->index, &view)) {
		uint64_t end = view.offset + view.len, from = at->offset > view.offset ? at->offset : view.offset;
		bool more = multi &&
			    buffer_get(ctx->m, entry->ref, entry->buffer, ctx->tx, ctx->dir, at->index + 1, &after);
		view.final |= more;
		if (end > from && body_is_ready(ctx, &view, end - from)) {
			mpse_scan(ctx->m, entry->mpse, view.data, view.len, (uint32_t)(from - view.offset),
				  &ctx->m->tx_candidates);
			at->offset = end;
			ctx->grew = true;
		}
		if (!more)
			return;
		at->index++;
		at->offset = 0;
	}
}

static void collect_buffers(struct tx_ctx *ctx)
{
	const struct app_plan *plan = ctx->plan;
	uint16_t *next = &ctx->state->next[ctx->dir];
	uint8_t progress = progress_of(ctx, ctx->dir);
	while (*next < plan->once_count && plan->entries[*next].due <= progress)
		scan_once(ctx, &plan->entries[(*next)++]);
	for (uint32_t i = plan->once_count; i < plan->entry_count; i++)
		if (plan->entries[i].due <= progress)
			scan_stream(ctx, &plan->entries[i]);
}

static void collect_lists(struct tx_ctx *ctx)
{
	const struct app_plan *plan = ctx->plan;
	struct sigs_matcher *m = ctx->m;
	uint16_t *next = &ctx->state->always_next[ctx->dir];
	uint8_t progress = progress_of(ctx, ctx->dir);
	while (*next < plan->always_count && plan->always[*next].due <= progress)
		candidates_add(&m->tx_candidates, plan->always[(*next)++].sig);
	for (unsigned w = 0; w < APP_EVENT_WORDS; w++) {
		uint64_t fresh = ctx->tx->events[w] & ~ctx->state->events_seen[ctx->dir][w];
		ctx->state->events_seen[ctx->dir][w] |= fresh;
		ctx->tx->events_inspected[w] |= fresh;
		for (; fresh && plan->events; fresh &= fresh - 1) {
			const struct sig_list *list = &plan->events[w * 64 + (unsigned)__builtin_ctzll(fresh)];
			for (uint32_t i = 0; i < list->count; i++)
				candidates_add(&m->tx_candidates, list->nums[i]);
		}
	}
	for (uint32_t i = 0; i < m->tx_wanted_count; i++)
		candidates_add(&m->tx_candidates, m->tx_wanted[i]);
}

static void collect_waiting(struct tx_ctx *ctx)
{
	struct tx_state *state = ctx->state;
	uint8_t progress = progress_of(ctx, ctx->dir);
	for (unsigned i = 0; state->open && i < state->count; i++) {
		const struct tx_entry *entry = &state->entries[i];
		if (entry->flags & TX_ENTRY_DONE || !(entry->dirs >> ctx->dir & 1))
			continue;
		if (entry->wait[ctx->dir] <= progress)
			candidates_add(&ctx->m->tx_candidates, entry->sig);
	}
}

/* --- confirmation ---------------------------------------------------------------------------------------------------- */

static bool asks_for_absence(const struct sig_buffer *buffer)
{
	for (unsigned i = 0; i < buffer->match_count; i++)
		if (buffer->matches[i].type == MATCH_ABSENT)
			return true;
	return false;
}

static enum inspect_result app_buffer_matches(struct tx_ctx *ctx, const struct sig_buffer *buffer,
					      const struct app_buffer *app, enum direction dir)
{
	struct inspect_view view;
	bool multi = app->flags & APP_BUFFER_MULTI, more = false, any = false;
	bool final = progress_of(ctx, dir) >= app->complete;
	for (unsigned i = 0; i < INSTANCES_MAX; i++) {
		if (!buffer_get(ctx->m, buffer->ref, app, ctx->tx, dir, i, &view))
			break;
		any = true;
		/* A little of a body proves no absence; it is looked at when there is some of it. */
		if (!view.final && !ctx->m->ruleset->options.inline_mode && view.offset + view.len < BODY_CHUNK) {
			more = true;
		} else {
			enum inspect_result result = content_inspect(ctx->m, buffer, &view);
			if (result == INSPECT_MATCH)
				return INSPECT_MATCH;
			more |= result == INSPECT_MORE;
		}
		if (!multi)
			break;
	}
	if (!any && final && asks_for_absence(buffer))
		return INSPECT_MATCH;
	if (final)
		return INSPECT_NO;
	return !any || multi || more ? INSPECT_MORE : INSPECT_NO;
}

static bool payload_buffer_matches(struct sigs_matcher *m, const struct sig_buffer *buffer)
{
	const struct packet *pkt = m->pkt;
	struct inspect_view view;
	if (m->stream_ready && m->stream.len > 0 && buffer_of_payload(m, buffer->ref, &m->stream, &view) &&
	    content_inspect(m, buffer, &view) == INSPECT_MATCH)
		return true;
	if (pkt->payload == NULL || pkt->payload_len == 0 || pkt->flags & (PACKET_PAYLOAD_IN_STREAM | PACKET_FLOW_END))
		return false;
	struct inspect_view payload = {.data = pkt->payload, .len = pkt->payload_len, .final = true};
	return buffer_of_payload(m, buffer->ref, &payload, &view) && content_inspect(m, buffer, &view) == INSPECT_MATCH;
}

static bool value_holds(const struct tx_ctx *ctx, const struct match_app_value *v, const struct app_value *value,
			enum direction dir)
{
	struct app_session *session = ctx->m->pkt->flow->app;
	bool multi = value->flags & APP_BUFFER_MULTI, any = false, all = true;
	uint64_t number;
	unsigned count = 0, limit = multi ? INSTANCES_MAX : 1;
	for (; count < limit && value->get(session, ctx->tx, dir, count, &number); count++) {
		bool holds = number_test_holds(&v->test, number);
		any |= holds;
		all &= holds;
	}
	if (v->index_mode == INDEX_COUNT)
		return number_test_holds(&v->test, count) != v->negated;
	if (count == 0)
		return false;
	if (!multi || v->index_mode == INDEX_ANY)
		return any != v->negated;
	if (v->index_mode == INDEX_ALL)
		return all != v->negated;
	int64_t index = v->index < 0 ? (int64_t)count + v->index : v->index;
	return index >= 0 && index < (int64_t)count && value->get(session, ctx->tx, dir, (unsigned)index, &number) &&
	       number_test_holds(&v->test, number) != v->negated;
}

static bool text_ends(struct bytes name, struct bytes end)
{
	if (end.len == 0 || name.len <= end.len || name.data[name.len - end.len - 1] != '.')
		return false;
	return content_find(name.data + name.len - end.len, end.len, end, true) != NULL;
}

static enum inspect_result file_hash_holds(const struct match_file *f, const struct app_file *file)
{
	struct bytes hash;
	if (file->state == APP_FILE_OPEN)
		return INSPECT_MORE;
	if (!file->hashed || f->hashes == NULL)
		return INSPECT_NO;
	if (f->what == FILE_MD5)
		hash = (struct bytes){file->md5, sizeof(file->md5)};
	else if (f->what == FILE_SHA1)
		hash = (struct bytes){file->sha1, sizeof(file->sha1)};
	else
		hash = (struct bytes){file->sha256, sizeof(file->sha256)};
	return dataset_has(f->hashes, hash, NULL) != f->negated ? INSPECT_MATCH : INSPECT_NO;
}

static enum inspect_result file_holds(const struct match_file *f, const struct app_file *file)
{
	bool holds;
	switch (f->what) {
	case FILE_NAME:
		if (file->name.len == 0)
			return INSPECT_NO;
		holds = content_find(file->name.data, file->name.len, f->text, true) != NULL;
		break;
	case FILE_EXT:
		holds = text_ends(file->name, f->text);
		break;
	case FILE_SIZE:
		if (file->state == APP_FILE_OPEN)
			return INSPECT_MORE;
		holds = number_test_holds(&f->size, file->size);
		break;
	case FILE_STORE:
		return INSPECT_MATCH;
	default:
		return file_hash_holds(f, file);
	}
	return holds != f->negated ? INSPECT_MATCH : INSPECT_NO;
}

static enum direction files_direction(const struct tx_ctx *ctx, const struct signature *sig)
{
	for (unsigned i = 0; i < sig->tx_count; i++)
		if (sig->tx[i].type == MATCH_FILE && sig->tx[i].file.dirs)
			return (enum direction)(sig->tx[i].file.dirs - 1);
	return ctx->dir;
}

/* All file matches of a signature speak of one file, behind the first `done` of the direction. */
static enum inspect_result files_match(const struct tx_ctx *ctx, const struct signature *sig, enum direction dir,
				       unsigned done, const struct app_file **matched)
{
	bool more = !ctx->complete[dir];
	for (const struct app_file *file = ctx->tx->files; file; file = file->next) {
		enum inspect_result result = INSPECT_MATCH;
		if (file->dir != dir)
			continue;
		if (done > 0) {
			done--;
			continue;
		}
		for (unsigned i = 0; i < sig->tx_count && result == INSPECT_MATCH; i++)
			if (sig->tx[i].type == MATCH_FILE)
				result = file_holds(&sig->tx[i].file, file);
		if (result == INSPECT_MATCH) {
			*matched = file;
			return INSPECT_MATCH;
		}
		more |= result == INSPECT_MORE;
	}
	return more ? INSPECT_MORE : INSPECT_NO;
}

static uint16_t files_count(const struct app_tx *tx, enum direction dir)
{
	uint16_t count = 0;
	for (const struct app_file *file = tx->files; file && count < UINT16_MAX; file = file->next)
		count += file->dir == dir;
	return count;
}

/* The progress of an evaluation. */
struct evaluation {
	bool files; /* the signature asks for files, and has seen those before */
	uint16_t files_done;
	const struct app_file *file; /* that matched */
	uint32_t matched;
	uint8_t dirs;	 /* that it waits for */
	uint8_t wait[2]; /* progress that it waits for */
	bool waits;
};

static void wait_for(struct evaluation *e, enum direction dir, uint8_t progress)
{
	if (!(e->dirs >> dir & 1) || progress < e->wait[dir])
		e->wait[dir] = progress;
	e->dirs |= (uint8_t)(1 << dir);
	e->waits = true;
}

/* One buffer; false when the signature can no longer match. */
static bool judge_buffer(struct tx_ctx *ctx, const struct signature *sig, unsigned index, struct evaluation *e)
{
	const struct sig_buffer *buffer = &sig->buffers[index];
	enum direction dir = ctx->dir;
	struct inspect_view view;
	if (buffer->ref->kind == BUFFER_PACKET) {
		if (!buffer_of_packet(ctx->m, buffer->ref, &view) ||
		    content_inspect(ctx->m, buffer, &view) != INSPECT_MATCH)
			return false;
		e->matched |= 1u << index;
		return true;
	}
	if (buffer->ref->kind == BUFFER_PAYLOAD) {
		if (payload_buffer_matches(ctx->m, buffer))
			e->matched |= 1u << index;
		else if (ctx->complete[dir])
			return false;
		else
			wait_for(e, dir, 0);
		return true;
	}
	const struct app_buffer *app = buffer->ref->app[ctx->app][dir];
	if (app == NULL && sig->flags & SIG_TRANSACTIONAL_BIDIR) {
		dir = direction_opposite(dir);
		app = buffer->ref->app[ctx->app][dir];
	}
	if (app == NULL)
		return false;
	if (progress_of(ctx, dir) < app->progress) {
		wait_for(e, dir, app->progress);
		return true;
	}
	enum inspect_result result = app_buffer_matches(ctx, buffer, app, dir);
	if (result == INSPECT_MATCH)
		e->matched |= 1u << index;
	else if (result == INSPECT_MORE)
		wait_for(e, dir, app->progress);
	return result != INSPECT_NO;
}

static bool judge_value(struct tx_ctx *ctx, const struct signature *sig, unsigned index, struct evaluation *e)
{
	const struct match *match = &sig->tx[index];
	uint32_t bit = 1u << (sig->buffer_count + index);
	enum direction dir = ctx->dir;
	if (match->type == MATCH_APP_EVENT) {
		unsigned event = (unsigned)match->number.a;
		bool has = event < PLAN_EVENTS_MAX && match->flag == ctx->app &&
			   ctx->tx->events[event >> 6] >> (event & 63) & 1;
		if (has == match->negated) {
			if (ctx->complete[dir])
				return false;
			wait_for(e, dir, 0);
			return true;
		}
		e->matched |= bit;
		return true;
	}
	if (match->type == MATCH_BITS) {
		if (!bits_match(ctx->m, match, ctx->tx))
			return false;
		e->matched |= bit;
		return true;
	}
	if (match->type != MATCH_APP_VALUE)
		return false;
	const struct app_value *value = match->value.app[ctx->app][dir];
	if (value == NULL && sig->flags & SIG_TRANSACTIONAL_BIDIR) {
		dir = direction_opposite(dir);
		value = match->value.app[ctx->app][dir];
	}
	if (value == NULL)
		return false;
	if (progress_of(ctx, dir) < value->progress) {
		wait_for(e, dir, value->progress);
		return true;
	}
	if (!value_holds(ctx, &match->value, value, dir))
		return false;
	e->matched |= bit;
	return true;
}

/* Matches that a signature may have: one bit each. */
#define TX_BITS 31

static enum inspect_result evaluate(struct tx_ctx *ctx, const struct signature *sig, struct evaluation *e)
{
	e->files = false;
	e->waits = false;
	e->dirs = 0;
	if (sig->buffer_count + sig->tx_count > TX_BITS)
		return INSPECT_NO;
	if (sig->flags & SIG_HOOKED && progress_of(ctx, (enum direction)sig->hook_dir) < sig->hook)
		wait_for(e, (enum direction)sig->hook_dir, sig->hook);
	for (unsigned i = 0; i < sig->tx_count; i++) {
		if (e->matched >> (sig->buffer_count + i) & 1)
			continue;
		if (sig->tx[i].type == MATCH_FILE)
			e->files = true;
		else if (!judge_value(ctx, sig, i, e))
			return INSPECT_NO;
	}
	for (unsigned i = 0; i < sig->buffer_count; i++) {
		if (e->matched >> i & 1 || sig->buffers[i].ref->kind == BUFFER_BASE64)
			continue;
		if (!judge_buffer(ctx, sig, i, e))
			return INSPECT_NO;
	}
	if (e->files) {
		enum direction dir = files_direction(ctx, sig);
		enum inspect_result result = files_match(ctx, sig, dir, e->files_done, &e->file);
		if (result == INSPECT_NO)
			return INSPECT_NO;
		if (result == INSPECT_MORE)
			wait_for(e, dir, 0);
	}
	return e->waits ? INSPECT_MORE : INSPECT_MATCH;
}

/* --- state ------------------------------------------------------------------------------------------------------------- */

static uint8_t side_of(const struct signature *sig, enum direction dir)
{
	return sig->flags & SIG_TRANSACTIONAL_BIDIR ? TX_BOTH_SIDES : (uint8_t)dir;
}

static struct tx_entry *entry_find(struct tx_state *state, uint32_t sig, uint8_t side)
{
	for (unsigned i = 0; i < state->count; i++)
		if (state->entries[i].sig == sig && state->entries[i].side == side)
			return &state->entries[i];
	return NULL;
}

static struct tx_entry *entry_new(struct sigs_matcher *m, struct tx_state *state, uint32_t sig, uint8_t side)
{
	if (state->count == state->cap) {
		unsigned cap = state->cap ? state->cap * 2u : 8;
		struct tx_entry *bigger;
		if (cap > TX_ENTRIES_MAX || (bigger = slab_alloc(m->slab, cap * sizeof(*bigger))) == NULL)
			return NULL;
		if (state->entries)
			memcpy(bigger, state->entries, state->count * sizeof(*bigger));
		slab_free(m->slab, state->entries, state->cap * sizeof(*bigger));
		state->entries = bigger;
		state->cap = (uint16_t)cap;
	}
	struct tx_entry *entry = &state->entries[state->count++];
	*entry = (struct tx_entry){.sig = sig, .side = side};
	state->open++;
	return entry;
}

static void entry_close(struct tx_state *state, struct tx_entry *entry)
{
	if (!(entry->flags & TX_ENTRY_DONE))
		state->open--;
	entry->flags |= TX_ENTRY_DONE;
}

static bool first_look(struct tx_ctx *ctx, const struct sig_head *head)
{
	if (!(head->app_mask >> ctx->app & 1))
		return false;
	return header_matches(ctx->m, head) && packet_matches(ctx->m, head->sig);
}

/* A rule that asks for nothing but where its transaction stands matches whenever data comes while it stands there. */
static bool is_bare_hook(const struct signature *sig)
{
	return sig->flags & SIG_HOOKED && sig->buffer_count == 0 && sig->tx_count == 0;
}

static bool stays_at_hook(const struct tx_ctx *ctx, const struct signature *sig)
{
	return is_bare_hook(sig) && sig->hook_dir == ctx->dir && progress_of(ctx, ctx->dir) == sig->hook;
}

/* An entry that a hook keeps alive: whether it is to be looked at again. */
static bool hook_again(struct tx_ctx *ctx, const struct signature *sig, struct tx_entry *entry)
{
	if (stays_at_hook(ctx, sig))
		return ctx->fed;
	ctx->state->hooks--;
	entry_close(ctx->state, entry);
	return false;
}

/* What is kept of a signature that was judged; an entry there was is given, or made when something is to be kept. */
static void keep_state(struct tx_ctx *ctx, const struct sig_head *head, uint32_t num, struct tx_entry *entry,
		       const struct evaluation *e, enum inspect_result result)
{
	const struct signature *sig = head->sig;
	if (entry == NULL && (result == INSPECT_NO || (result == INSPECT_MATCH && ctx->complete[ctx->dir])))
		return; /* nothing will bring it up again */
	if (entry == NULL)
		entry = entry_new(ctx->m, ctx->state, num, side_of(sig, ctx->dir));
	if (entry == NULL)
		return;
	entry->matched = e->matched;
	entry->dirs = e->dirs;
	memcpy(entry->wait, e->wait, sizeof(entry->wait));
	if (result == INSPECT_MATCH && stays_at_hook(ctx, sig)) {
		ctx->state->hooks += !(entry->flags & TX_ENTRY_HOOK);
		entry->flags |= TX_ENTRY_HOOK;
		entry->dirs = (uint8_t)(1 << ctx->dir);
	} else if (result == INSPECT_MATCH && e->files) {
		/* the rest of the signature holds for the next file of the transaction, too */
		enum direction dir = files_direction(ctx, sig);
		entry->files = files_count(ctx->tx, dir);
		entry->dirs = (uint8_t)(1 << dir);
		entry->wait[dir] = 0;
	} else if (result != INSPECT_MORE) {
		entry_close(ctx->state, entry);
	}
}

static void judge(struct tx_ctx *ctx, uint32_t num)
{
	struct sigs_matcher *m = ctx->m;
	const struct sig_head *head = &m->ruleset->heads[num];
	struct tx_entry *entry = entry_find(ctx->state, num, side_of(head->sig, ctx->dir));
	struct evaluation e = {0};
	if (entry && entry->flags & TX_ENTRY_DONE)
		return;
	if (entry && entry->flags & TX_ENTRY_HOOK && !hook_again(ctx, head->sig, entry))
		return;
	signature_begin(m, head->sig);
	if (entry) {
		e.matched = entry->matched;
		e.files_done = entry->files;
	} else if (!first_look(ctx, head)) {
		return;
	}
	enum inspect_result result = evaluate(ctx, head->sig, &e);
	if (result == INSPECT_MATCH && !packet_vars_hold(m, head->sig))
		result = INSPECT_NO;
	if (m->profile)
		m->profile[num].checks++;
	if (result == INSPECT_MATCH) {
		post_match(m, head->sig, ctx->tx);
		alert_add(m, num, ALERT_TX | ALERT_STATE, ctx->tx, e.file);
	}
	keep_state(ctx, head, num, entry, &e, result);
}

static uint32_t files_mark(const struct app_tx *tx)
{
	uint32_t mark = 0;
	for (const struct app_file *file = tx->files; file; file = file->next)
		mark = mark * 31 + 1 + (uint32_t)file->state;
	return mark;
}

/* Nothing that could matter has changed since the transaction was last looked at. */
static bool unchanged(const struct tx_ctx *ctx)
{
	const struct tx_state *state = ctx->state;
	enum direction dir = ctx->dir;
	if (!state->seen[dir] || ctx->grew || ctx->complete[dir] || ctx->m->tx_wanted_count)
		return false;
	if (state->progress[dir] != ctx->tx->progress[dir] || (state->hooks && ctx->fed))
		return false;
	for (unsigned w = 0; w < APP_EVENT_WORDS; w++)
		if (ctx->tx->events[w] & ~state->events_seen[dir][w])
			return false;
	return ctx->tx->files == NULL || files_mark(ctx->tx) == state->files_seen[dir];
}

static void judge_tx(struct tx_ctx *ctx)
{
	struct sigs_matcher *m = ctx->m;
	struct candidates *c = &m->tx_candidates;
	ctx->state = tx_state_get(m, ctx->tx);
	if (ctx->state == NULL)
		return;
	uint32_t feeds = app_feeds(m->pkt->flow, ctx->dir);
	ctx->fed = feeds != ctx->state->feeds_seen[ctx->dir];
	ctx->state->feeds_seen[ctx->dir] = feeds;
	candidates_reset(c);
	collect_buffers(ctx);
	if (unchanged(ctx))
		return;
	ctx->state->seen[ctx->dir] = true;
	ctx->state->progress[ctx->dir] = ctx->tx->progress[ctx->dir];
	ctx->state->files_seen[ctx->dir] = ctx->tx->files ? files_mark(ctx->tx) : 0;
	collect_lists(ctx);
	collect_waiting(ctx);
	candidates_sort(c);
	for (uint32_t i = 0; i < c->count; i++)
		judge(ctx, c->nums[i]);
}

void tx_inspect(struct sigs_matcher *m)
{
	struct flow *flow = m->pkt->flow;
	enum direction dir = m->pkt->dir;
	unsigned app = flow->app_proto;
	if (app >= APP_ID_COUNT)
		return;
	for (struct app_tx *tx = app_tx_first(flow); tx; tx = tx->next) {
		struct tx_ctx ctx = {.m = m, .plan = &m->ruleset->plans[app][dir], .tx = tx, .dir = dir, .app = app};
		if (tx->inspected[dir])
			continue;
		ctx.complete[dir] = app_tx_complete(flow, tx, dir);
		ctx.complete[1 - dir] = app_tx_complete(flow, tx, direction_opposite(dir));
		if (!tx->no_inspect && (ctx.plan->any || m->tx_wanted_count))
			judge_tx(&ctx);
		if (ctx.complete[dir])
			tx->inspected[dir] = true;
	}
}
