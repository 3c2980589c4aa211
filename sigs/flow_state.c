/* SPDX-License-Identifier: BSD-3-Clause */
#include "matcher.h"

/* What signatures keep for a flow and for a transaction. */

static void direction_reset(struct sigs_matcher *m, struct sig_flow_dir *dir)
{
	slab_free(m->slab, dir->always, (dir->always_count + 1) * sizeof(*dir->always));
	dir->always = NULL;
	dir->always_count = 0;
	dir->pending_count = 0;
	dir->known = false;
}

/* Other signatures have not seen what is there already. */
static void direction_renew(struct sigs_matcher *m, struct sig_flow_dir *dir)
{
	direction_reset(m, dir);
	dir->search_anew = true;
	dir->ip_judged = false;
}

static void state_reset(struct sigs_matcher *m, struct sig_flow *state, const struct flow *flow)
{
	bool renewed = state->generation != m->ruleset->generation;
	for (unsigned i = 0; i < 2; i++)
		(renewed ? direction_renew : direction_reset)(m, &state->dir[i]);
	state->addr_known = false;
	state->generation = m->ruleset->generation;
	state->flags = flow->flags & FLOW_SWAPPED;
}

struct sig_flow *flow_state_get(struct sigs_matcher *m, struct flow *flow)
{
	struct sig_flow *state = flow->slot[FLOW_SLOT_SIGS];
	if (state == NULL) {
		state = slab_zalloc(m->slab, sizeof(*state));
		if (state == NULL)
			return NULL;
		flow->slot[FLOW_SLOT_SIGS] = state;
		state->generation = m->ruleset->generation;
		state->flags = flow->flags & FLOW_SWAPPED;
	} else if (state->generation != m->ruleset->generation || state->flags != (flow->flags & FLOW_SWAPPED)) {
		state_reset(m, state, flow);
	}
	return state;
}

void sigs_flow_free(struct sigs_matcher *m, struct flow *flow)
{
	struct sig_flow *state = flow->slot[FLOW_SLOT_SIGS];
	if (state == NULL)
		return;
	for (unsigned i = 0; i < 2; i++) {
		direction_reset(m, &state->dir[i]);
		slab_free(m->slab, state->dir[i].pending, PENDING_MAX * sizeof(struct pending));
	}
	for (unsigned i = 0; i < state->var_count; i++)
		slab_free(m->slab, state->vars[i].data, state->vars[i].len + 1);
	slab_free(m->slab, state->bits, state->bit_cap * sizeof(*state->bits));
	slab_free(m->slab, state->ints, state->int_cap * sizeof(*state->ints));
	slab_free(m->slab, state->vars, state->var_cap * sizeof(*state->vars));
	slab_free(m->slab, state->entropies, state->entropy_cap * sizeof(*state->entropies));
	slab_free(m->slab, state->tags, FLOW_TAGS_MAX * sizeof(*state->tags));
	slab_free(m->slab, state, sizeof(*state));
	flow->slot[FLOW_SLOT_SIGS] = NULL;
}

void sigs_tx_free(struct sigs_matcher *m, struct app_tx *tx)
{
	struct tx_state *state = tx->detect;
	if (state == NULL)
		return;
	slab_free(m->slab, state->entries, state->cap * sizeof(*state->entries));
	slab_free(m->slab, state, sizeof(*state));
	tx->detect = NULL;
}

struct tx_state *tx_state_get(struct sigs_matcher *m, struct app_tx *tx)
{
	struct tx_state *state = tx->detect;
	if (state && state->generation != m->ruleset->generation) {
		sigs_tx_free(m, tx); /* what other rules found means nothing now */
		state = NULL;
	}
	if (state == NULL) {
		state = slab_zalloc(m->slab, sizeof(*state));
		if (state == NULL)
			return NULL;
		state->generation = m->ruleset->generation;
		tx->detect = state;
	}
	return state;
}

void pending_add(struct sigs_matcher *m, struct sig_flow_dir *dir, uint32_t sig, uint64_t until, bool unmatched)
{
	if (dir->pending == NULL) {
		dir->pending = slab_alloc(m->slab, PENDING_MAX * sizeof(*dir->pending));
		if (dir->pending == NULL)
			return;
	}
	for (unsigned i = 0; i < dir->pending_count; i++) {
		if (dir->pending[i].sig == sig) {
			if (until > dir->pending[i].until)
				dir->pending[i].until = until;
			dir->pending[i].unmatched = unmatched;
			return;
		}
	}
	if (dir->pending_count == PENDING_MAX) {
		memmove(dir->pending, dir->pending + 1, (PENDING_MAX - 1) * sizeof(*dir->pending));
		dir->pending_count--;
	}
	dir->pending[dir->pending_count++] = (struct pending){.sig = sig, .until = until, .unmatched = unmatched};
}

bool pending_take(struct sig_flow_dir *dir, uint32_t sig)
{
	for (unsigned i = 0; i < dir->pending_count; i++) {
		if (dir->pending[i].sig == sig) {
			bool unmatched = dir->pending[i].unmatched;
			dir->pending[i].unmatched = false;
			return unmatched;
		}
	}
	return false;
}

/* --- for records -------------------------------------------------------------------------------------------------------- */

static const char *name_of(const struct sigs_matcher *m, enum name_space space, uint64_t id)
{
	for (uint32_t i = 0; i < m->ruleset->parsed.name_count[space]; i++)
		if (m->ruleset->names[space].ids[i] == id)
			return m->ruleset->parsed.names[space][i];
	return NULL;
}

static void bit_fields(const struct sigs_matcher *m, const struct sig_flow *state, struct field_sink *sink)
{
	bool open = false;
	for (unsigned i = 0; i < state->bit_count; i++) {
		const char *name = name_of(m, NAME_FLOWBIT, state->bits[i].id);
		if (name == NULL)
			continue;
		if (!open)
			sink->array(sink, "flowbits");
		open = true;
		field_text(sink, NULL, name);
	}
	if (open)
		sink->close(sink);
}

static void int_fields(const struct sigs_matcher *m, const struct sig_flow *state, struct field_sink *sink)
{
	bool open = false;
	for (unsigned i = 0; i < state->int_count; i++) {
		const char *name = name_of(m, NAME_FLOWINT, state->ints[i].id);
		if (name == NULL)
			continue;
		if (!open)
			sink->object(sink, "flowints");
		open = true;
		sink->number(sink, name, state->ints[i].value);
	}
	if (open)
		sink->close(sink);
}

static void entropy_fields(const struct sigs_matcher *m, const struct sig_flow *state, struct field_sink *sink)
{
	bool open = false;
	for (unsigned i = 0; i < state->entropy_count; i++) {
		const char *name = name_of(m, NAME_ENTROPY, state->entropies[i].id);
		if (name == NULL)
			continue;
		if (!open)
			sink->object(sink, "entropy");
		open = true;
		sink->fraction(sink, name, state->entropies[i].value);
	}
	if (open)
		sink->close(sink);
}

static void var_field(struct field_sink *sink, const char *list, bool *open, const char *name, const uint8_t *data,
		      uint32_t len)
{
	if (name == NULL)
		return;
	if (!*open)
		sink->array(sink, list);
	*open = true;
	sink->object(sink, NULL);
	sink->text(sink, name, (struct bytes){.data = data, .len = len});
	sink->close(sink);
}

void sigs_flow_fields(struct sigs_matcher *m, const struct packet *pkt, struct field_sink *sink)
{
	const struct sig_flow *state = pkt->flow ? pkt->flow->slot[FLOW_SLOT_SIGS] : NULL;
	bool open = false;
	if (state)
		bit_fields(m, state, sink);
	for (unsigned i = 0; state && i < state->var_count; i++)
		var_field(sink, "flowvars", &open, name_of(m, NAME_FLOWVAR, state->vars[i].id), state->vars[i].data,
			  state->vars[i].len);
	if (open)
		sink->close(sink);
	open = false;
	for (unsigned i = 0; pkt == m->pkt && i < m->packet_var_count; i++)
		var_field(sink, "pktvars", &open, name_of(m, NAME_PKTVAR, m->packet_vars[i].id), m->packet_vars[i].data,
			  m->packet_vars[i].len);
	if (open)
		sink->close(sink);
	if (state) {
		int_fields(m, state, sink);
		entropy_fields(m, state, sink);
	}
}
