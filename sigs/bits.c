/* SPDX-License-Identifier: BSD-3-Clause */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "matcher.h"

/*
 * What signatures remember: bits and numbers of a flow, bits of hosts and of pairs of hosts, values that expressions
 * captured. Names are their text's hash, so that they mean the same after the rules were changed.
 */

/* --- growing lists of a flow ---------------------------------------------------------------------------------------- */

/* Room for one more element; false at the limit, or when memory is refused. */
static bool list_room(struct slab *slab, void **list, size_t size, uint16_t count, uint16_t *cap, unsigned limit)
{
	if (count < *cap)
		return true;
	if (count >= limit)
		return false;
	unsigned more = *cap ? *cap * 2u : 4;
	if (more > limit)
		more = limit;
	void *bigger = slab_alloc(slab, more * size);
	if (bigger == NULL)
		return false;
	if (*list) {
		memcpy(bigger, *list, count * size);
		slab_free(slab, *list, *cap * size);
	}
	*list = bigger;
	*cap = (uint16_t)more;
	return true;
}

static bool flow_bit_has(const struct sig_flow *state, uint64_t id)
{
	for (unsigned i = 0; i < state->bit_count; i++)
		if (state->bits[i].id == id)
			return true;
	return false;
}

static void flow_bit_set(struct sigs_matcher *m, uint64_t id)
{
	struct sig_flow *state = m->state;
	void *list = state->bits;
	if (flow_bit_has(state, id))
		return;
	if (list_room(m->slab, &list, sizeof(*state->bits), state->bit_count, &state->bit_cap, FLOW_BITS_MAX)) {
		state->bits = list;
		state->bits[state->bit_count++].id = id;
	}
}

static void flow_bit_clear(struct sig_flow *state, uint64_t id)
{
	for (unsigned i = 0; i < state->bit_count; i++) {
		if (state->bits[i].id != id)
			continue;
		state->bits[i] = state->bits[--state->bit_count];
		return;
	}
}

/* --- bits of hosts and pairs ---------------------------------------------------------------------------------------- */

struct host_bit {
	uint64_t id;		/* of the name, the family and whether it is a pair */
	union packet_addr a, b; /* b zero for a host */
	uint64_t until_ns;
	uint32_t next;
	uint32_t used;
};

struct bits_table {
	pthread_mutex_t lock; /* a host is the same for all workers */
	struct host_bit *entries;
	uint32_t *buckets;
	uint32_t count, mask, free;
	uint32_t hand; /* where the search for an expired one goes on */
	uint64_t seed;
};

/* Buckets are looked through at most this far; the table is twice as wide as it is full. */
#define HOST_BIT_CHAIN_MAX 64
/* Entries looked at for an expired one before the one at hand gives way. */
#define HOST_BIT_SWEEP 32

struct bits_table *bits_table_new(size_t memory_bytes, uint64_t seed)
{
	struct bits_table *table = calloc(1, sizeof(*table));
	uint32_t count = 1024;
	if (table == NULL)
		return NULL;
	while ((size_t)count * 2 * (sizeof(struct host_bit) + 8) <= memory_bytes)
		count *= 2;
	table->count = count;
	table->mask = count * 2 - 1;
	table->seed = seed;
	pthread_mutex_init(&table->lock, NULL);
	table->entries = calloc(count + 1, sizeof(*table->entries)); /* [0] is "none" */
	table->buckets = calloc(count * 2, sizeof(*table->buckets));
	if (table->entries == NULL || table->buckets == NULL) {
		bits_table_free(table);
		errno = ENOMEM;
		return NULL;
	}
	return table;
}

void bits_table_free(struct bits_table *table)
{
	if (table == NULL)
		return;
	free(table->entries);
	free(table->buckets);
	pthread_mutex_destroy(&table->lock);
	free(table);
}

struct host_key {
	uint64_t id;
	union packet_addr a, b;
};

static uint32_t bucket_of(const struct bits_table *table, const struct host_key *key)
{
	return (uint32_t)XXH3_64bits_withSeed(key, sizeof(*key), table->seed) & table->mask;
}

static bool key_is(const struct host_bit *entry, const struct host_key *key)
{
	return entry->id == key->id && memcmp(&entry->a, &key->a, 16) == 0 && memcmp(&entry->b, &key->b, 16) == 0;
}

static uint32_t *host_find(struct bits_table *table, const struct host_key *key)
{
	uint32_t *link = &table->buckets[bucket_of(table, key)];
	for (unsigned i = 0; *link && i < HOST_BIT_CHAIN_MAX; i++) {
		if (key_is(&table->entries[*link], key))
			return link;
		link = &table->entries[*link].next;
	}
	return NULL;
}

static void host_remove(struct bits_table *table, uint32_t *link)
{
	struct host_bit *entry = &table->entries[*link];
	*link = entry->next;
	entry->used = 0;
}

/* A free entry: an unused or expired one near the hand, else the one under it gives way. */
static uint32_t host_take(struct bits_table *table, uint64_t now_ns)
{
	uint32_t pick = 0;
	for (unsigned i = 0; i < HOST_BIT_SWEEP && pick == 0; i++) {
		table->hand = table->hand % table->count + 1;
		const struct host_bit *entry = &table->entries[table->hand];
		if (!entry->used || entry->until_ns < now_ns)
			pick = table->hand;
	}
	if (pick == 0)
		pick = table->hand;
	struct host_bit *entry = &table->entries[pick];
	if (entry->used) {
		struct host_key key = {.id = entry->id, .a = entry->a, .b = entry->b};
		uint32_t *link = host_find(table, &key);
		if (link == NULL || *link != pick)
			return 0;
		host_remove(table, link);
	}
	return pick;
}

static bool host_has(struct bits_table *table, const struct host_key *key, uint64_t now_ns)
{
	uint32_t *link = host_find(table, key);
	if (link == NULL)
		return false;
	if (table->entries[*link].until_ns >= now_ns)
		return true;
	host_remove(table, link);
	return false;
}

static bool host_ask(struct bits_table *table, const struct host_key *key, uint64_t now_ns)
{
	pthread_mutex_lock(&table->lock);
	bool has = host_has(table, key, now_ns);
	pthread_mutex_unlock(&table->lock);
	return has;
}

static void host_set(struct bits_table *table, const struct host_key *key, uint64_t until_ns, uint64_t now_ns)
{
	uint32_t *link = host_find(table, key), at;
	if (link) {
		table->entries[*link].until_ns = until_ns;
		return;
	}
	at = host_take(table, now_ns);
	if (at == 0)
		return;
	uint32_t *bucket = &table->buckets[bucket_of(table, key)];
	table->entries[at] = (struct host_bit){
		.id = key->id, .a = key->a, .b = key->b, .until_ns = until_ns, .next = *bucket, .used = 1};
	*bucket = at;
}

/* --- the keywords ------------------------------------------------------------------------------------------------------ */

static uint64_t name_id(const struct sigs_matcher *m, enum name_space space, uint32_t number)
{
	return number < m->ruleset->parsed.name_count[space] ? m->ruleset->names[space].ids[number] : 0;
}

static enum name_space space_of(const struct match_bits *bits)
{
	return bits->scope == BITS_FLOW ? NAME_FLOWBIT : NAME_XBIT;
}

static struct host_key host_key_of(const struct sigs_matcher *m, enum bits_scope scope, uint64_t id)
{
	const struct packet *pkt = m->pkt;
	struct host_key key = {.id = id + pkt->family};
	if (scope == BITS_HOST_SRC) {
		key.a = pkt->src;
	} else if (scope == BITS_HOST_DST) {
		key.a = pkt->dst;
	} else {
		bool swap = memcmp(&pkt->src, &pkt->dst, sizeof(pkt->src)) > 0;
		key.a = swap ? pkt->dst : pkt->src;
		key.b = swap ? pkt->src : pkt->dst;
		key.id ^= 0x9e3779b97f4a7c15ull; /* pairs apart from hosts */
	}
	return key;
}

static uint64_t tx_bit(uint64_t id, const struct app_tx *tx)
{
	return tx ? id ^ (tx->id + 1) * 0x9e3779b97f4a7c15ull : id;
}

static bool bit_has(struct sigs_matcher *m, enum bits_scope scope, uint64_t id, const struct app_tx *tx)
{
	if (scope == BITS_FLOW || scope == BITS_TX)
		return m->state && flow_bit_has(m->state, scope == BITS_TX ? tx_bit(id, tx) : id);
	if (m->pkt->family == 0)
		return false;
	if (scope == BITS_HOST_BOTH) {
		struct host_key src = host_key_of(m, BITS_HOST_SRC, id), dst = host_key_of(m, BITS_HOST_DST, id);
		return host_ask(m->bits, &src, m->pkt->ts_ns) || host_ask(m->bits, &dst, m->pkt->ts_ns);
	}
	struct host_key key = host_key_of(m, scope, id);
	return host_ask(m->bits, &key, m->pkt->ts_ns);
}

static void bit_put(struct sigs_matcher *m, enum bits_scope scope, uint64_t id, const struct app_tx *tx, bool on,
		    uint32_t expire_s)
{
	if (scope == BITS_FLOW || scope == BITS_TX) {
		id = scope == BITS_TX ? tx_bit(id, tx) : id;
		if (m->state && on)
			flow_bit_set(m, id);
		else if (m->state)
			flow_bit_clear(m->state, id);
		return;
	}
	if (m->pkt->family == 0)
		return;
	if (scope == BITS_HOST_BOTH) {
		bit_put(m, BITS_HOST_SRC, id, tx, on, expire_s);
		bit_put(m, BITS_HOST_DST, id, tx, on, expire_s);
		return;
	}
	struct host_key key = host_key_of(m, scope, id);
	uint64_t now = m->pkt->ts_ns, until = expire_s ? now + expire_s * 1000000000ull : UINT64_MAX;
	pthread_mutex_lock(&m->bits->lock);
	if (on) {
		host_set(m->bits, &key, until, now);
	} else {
		uint32_t *link = host_find(m->bits, &key);
		if (link)
			host_remove(m->bits, link);
	}
	pthread_mutex_unlock(&m->bits->lock);
}

bool bits_match(struct sigs_matcher *m, const struct match *match, const struct app_tx *tx)
{
	const struct match_bits *bits = &match->bits;
	bool any = false;
	for (unsigned i = 0; i < bits->name_count && !any; i++) {
		bool has = bit_has(m, bits->scope, name_id(m, space_of(bits), bits->names[i]), tx);
		/* "not set" holds when one of those named is not set. */
		any = bits->op == BITS_ISNOTSET ? !has : has;
	}
	return any;
}

void bits_change(struct sigs_matcher *m, const struct match *match, const struct app_tx *tx)
{
	const struct match_bits *bits = &match->bits;
	for (unsigned i = 0; i < bits->name_count; i++) {
		uint64_t id = name_id(m, space_of(bits), bits->names[i]);
		bool on = bits->op == BITS_SET;
		if (bits->op == BITS_TOGGLE)
			on = !bit_has(m, bits->scope, id, tx);
		bit_put(m, bits->scope, id, tx, on, bits->expire_s);
	}
}

static struct sig_flow_int *int_find(const struct sig_flow *state, uint64_t id)
{
	for (unsigned i = 0; state && i < state->int_count; i++)
		if (state->ints[i].id == id)
			return &state->ints[i];
	return NULL;
}

static bool flowint_operand(const struct sigs_matcher *m, const struct match_flowint *match, uint32_t *value)
{
	*value = match->value;
	if (!match->by_name)
		return true;
	const struct sig_flow_int *other = int_find(m->state, name_id(m, NAME_FLOWINT, match->other));
	if (other)
		*value = other->value;
	return other != NULL;
}

bool flowint_match(struct sigs_matcher *m, const struct match_flowint *match)
{
	const struct sig_flow_int *own = int_find(m->state, name_id(m, NAME_FLOWINT, match->name));
	uint32_t with;
	if (m->state == NULL)
		return false;
	if (match->op == FLOWINT_ISSET)
		return own != NULL;
	if (match->op == FLOWINT_NOTSET)
		return own == NULL;
	if (!flowint_operand(m, match, &with))
		return false;
	uint32_t have = own ? own->value : 0;
	if (own == NULL)
		return false;
	switch (match->op) {
	case FLOWINT_LT:
		return have < with;
	case FLOWINT_LE:
		return have <= with;
	case FLOWINT_EQ:
		return have == with;
	case FLOWINT_NE:
		return have != with;
	case FLOWINT_GE:
		return have >= with;
	case FLOWINT_GT:
		return have > with;
	default:
		return true;
	}
}

void flowint_change(struct sigs_matcher *m, const struct match_flowint *match)
{
	uint32_t with;
	struct sig_flow *state = m->state;
	if (state == NULL || !flowint_operand(m, match, &with))
		return;
	uint64_t id = name_id(m, NAME_FLOWINT, match->name);
	struct sig_flow_int *own = int_find(state, id);
	if (own == NULL) {
		void *list = state->ints;
		if (!list_room(m->slab, &list, sizeof(*own), state->int_count, &state->int_cap, FLOW_INTS_MAX))
			return;
		state->ints = list;
		own = &state->ints[state->int_count++];
		*own = (struct sig_flow_int){.id = id};
	}
	if (match->op == FLOWINT_SET)
		own->value = with;
	else if (match->op == FLOWINT_ADD)
		own->value += with;
	else if (match->op == FLOWINT_SUB)
		own->value -= with;
}

void flow_var_set(struct sigs_matcher *m, uint32_t name, const uint8_t *data, uint32_t len)
{
	struct sig_flow *state = m->state;
	uint64_t id = name_id(m, NAME_FLOWVAR, name);
	struct sig_flow_var *var = NULL;
	if (state == NULL)
		return;
	if (len > FLOW_VAR_BYTES_MAX)
		len = FLOW_VAR_BYTES_MAX;
	uint8_t *copy = slab_alloc(m->slab, len + 1);
	if (copy == NULL)
		return;
	memcpy(copy, data, len);
	for (unsigned i = 0; i < state->var_count && var == NULL; i++)
		if (state->vars[i].id == id)
			var = &state->vars[i];
	if (var) {
		slab_free(m->slab, var->data, var->len + 1);
	} else {
		void *list = state->vars;
		if (!list_room(m->slab, &list, sizeof(*var), state->var_count, &state->var_cap, FLOW_VARS_MAX)) {
			slab_free(m->slab, copy, len + 1);
			return;
		}
		state->vars = list;
		var = &state->vars[state->var_count++];
	}
	*var = (struct sig_flow_var){.id = id, .len = len, .data = copy};
}

void flow_entropy_set(struct sigs_matcher *m, uint32_t name, double value)
{
	struct sig_flow *state = m->state;
	uint64_t id = name_id(m, NAME_ENTROPY, name);
	unsigned i = 0;
	if (state == NULL)
		return;
	while (i < state->entropy_count && state->entropies[i].id != id)
		i++;
	if (i == state->entropy_count) {
		void *list = state->entropies;
		if (!list_room(m->slab, &list, sizeof(*state->entropies), state->entropy_count, &state->entropy_cap,
			       FLOW_ENTROPIES_MAX))
			return;
		state->entropies = list;
		state->entropy_count++;
	}
	state->entropies[i] = (struct sig_flow_entropy){.id = id, .value = value};
}

const struct sig_flow_var *flow_var_get(const struct sigs_matcher *m, uint32_t name)
{
	uint64_t id = name_id(m, NAME_FLOWVAR, name);
	for (unsigned i = 0; m->state && i < m->state->var_count; i++)
		if (m->state->vars[i].id == id)
			return &m->state->vars[i];
	return NULL;
}

void packet_var_set(struct sigs_matcher *m, uint32_t name, const uint8_t *data, uint32_t len)
{
	if (m->packet_var_count < PACKET_VARS_MAX)
		m->packet_vars[m->packet_var_count++] =
			(struct packet_var){.id = name_id(m, NAME_PKTVAR, name), .len = len, .data = data};
}

const struct packet_var *packet_var_get(const struct sigs_matcher *m, uint32_t name)
{
	uint64_t id = name_id(m, NAME_PKTVAR, name);
	for (unsigned i = 0; i < m->packet_var_count; i++)
		if (m->packet_vars[i].id == id)
			return &m->packet_vars[i];
	return NULL;
}
