/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "group.h"

/*
 * Files every signature where packets and transactions that can match it will find it: under a literal, an event, an
 * address, or, when nothing else is left, on a list.
 */

static int list_add(struct num_list *list, uint32_t num)
{
	if (list->count == list->cap) {
		uint32_t cap = list->cap ? list->cap * 2 : 16;
		uint32_t *nums = realloc(list->nums, cap * sizeof(*nums));
		if (nums == NULL)
			return -ENOMEM;
		list->nums = nums;
		list->cap = cap;
	}
	list->nums[list->count++] = num;
	return 0;
}

int list_keep(struct sig_list *out, struct num_list *list, struct arena *arena)
{
	out->nums = arena_alloc(arena, (list->count + 1) * sizeof(*out->nums));
	if (out->nums == NULL)
		return -ENOMEM;
	if (list->count > 0)
		memcpy(out->nums, list->nums, list->count * sizeof(*out->nums));
	out->count = list->count;
	free(list->nums);
	*list = (struct num_list){0};
	return 0;
}

/* --- address sets that a flow remembers --------------------------------------------------------------------------- */

struct set_use {
	const struct address_set *set;
	uint32_t uses;
};

static int set_use_by_set(const void *a, const void *b)
{
	const struct set_use *x = a, *y = b;
	return x->set < y->set ? -1 : x->set > y->set;
}

static int set_use_by_uses(const void *a, const void *b)
{
	const struct set_use *x = a, *y = b;
	return x->uses > y->uses ? -1 : x->uses < y->uses;
}

/* The most used sets get a number below ADDRESS_CACHE_SETS. */
static int number_sets(struct sigs_ruleset *rs)
{
	struct set_use *uses = calloc(2 * (size_t)rs->sig_count + 1, sizeof(*uses));
	uint32_t n = 0, kinds = 0;
	if (uses == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < rs->sig_count; i++) {
		if (rs->heads[i].src)
			uses[n++] = (struct set_use){rs->heads[i].src, 1};
		if (rs->heads[i].dst)
			uses[n++] = (struct set_use){rs->heads[i].dst, 1};
	}
	qsort(uses, n, sizeof(*uses), set_use_by_set);
	for (uint32_t i = 0; i < n; i++) {
		if (kinds > 0 && uses[kinds - 1].set == uses[i].set)
			uses[kinds - 1].uses++;
		else
			uses[kinds++] = uses[i];
	}
	qsort(uses, kinds, sizeof(*uses), set_use_by_uses);
	uint32_t numbered = kinds < ADDRESS_CACHE_SETS ? kinds : ADDRESS_CACHE_SETS;
	rs->cached_count = numbered;
	for (uint32_t k = 0; k < numbered; k++)
		rs->cached_sets[k] = uses[k].set;
	for (uint32_t i = 0; i < rs->sig_count; i++) {
		for (uint32_t k = 0; k < numbered; k++) {
			if (rs->heads[i].src == uses[k].set)
				rs->heads[i].src_cached = (uint8_t)k;
			if (rs->heads[i].dst == uses[k].set)
				rs->heads[i].dst_cached = (uint8_t)k;
		}
	}
	free(uses);
	return 0;
}

/* --- payload ------------------------------------------------------------------------------------------------------- */

static int items_add(struct item_list *list, struct item item)
{
	if (list->count == list->cap) {
		uint32_t cap = list->cap ? list->cap * 2 : 64;
		struct item *items = realloc(list->items, cap * sizeof(*items));
		if (items == NULL)
			return -ENOMEM;
		list->items = items;
		list->cap = cap;
	}
	list->items[list->count++] = item;
	return 0;
}

/* A signature that names at most this many ports stands in the sets of those ports, not in the one that all flows search. */
#define NARROW_PORTS 512

static bool ports_are_narrow(const struct port_set *set)
{
	uint32_t covered = 0;
	if (set == NULL)
		return false;
	for (uint32_t i = 0; i < set->count; i++)
		covered += set->ranges[i].last - set->ranges[i].first + 1u;
	return covered <= NARROW_PORTS;
}

static int payload_add_dir(struct grouping *g, enum payload_class class, unsigned dir, const struct sig_head *head,
			   struct item item)
{
	struct payload_items *items = &g->payload[class][dir];
	bool dport = ports_are_narrow(head->dport), sport = ports_are_narrow(head->sport);
	int error;
	/* Datagrams are short, and their literals few: a second search would cost more than it spares. */
	item.near = class == PAYLOAD_TCP_STREAM || class == PAYLOAD_TCP_PACKET;
	if (class == PAYLOAD_OTHER || (!dport && !sport))
		return items_add(&items->any, item);
	item.ports = dport ? head->dport : head->sport;
	error = items_add(dport ? &items->by_dport : &items->by_sport, item);
	if (!error && head->bidirectional)
		error = items_add(dport ? &items->by_sport : &items->by_dport, item);
	return error;
}

static int payload_add(struct grouping *g, uint32_t num, const struct fast_pattern *fast)
{
	const struct sig_head *head = &g->rs->heads[num];
	struct item item = {.sig = num, .literal = fast->literal, .nocase = fast->nocase, .reach = fast->reach};
	int error = 0;
	for (unsigned dir = 0; dir < 2 && !error; dir++) {
		if (head->needs & (dir == TO_SERVER ? SIG_NEED_TO_CLIENT : SIG_NEED_TO_SERVER))
			continue;
		if (head->transport & SIG_TRANSPORT_TCP && head->stream_payload) {
			error = payload_add_dir(g, PAYLOAD_TCP_STREAM, dir, head, item);
			if (error)
				break;
		}
		if (head->transport & SIG_TRANSPORT_TCP && head->packet_payload)
			error = payload_add_dir(g, PAYLOAD_TCP_PACKET, dir, head, item);
		if (!error && head->transport & SIG_TRANSPORT_UDP)
			error = payload_add_dir(g, PAYLOAD_UDP, dir, head, item);
		if (!error && head->transport & ~(SIG_TRANSPORT_TCP | SIG_TRANSPORT_UDP) && !head->ports)
			error = payload_add_dir(g, PAYLOAD_OTHER, dir, head, item);
	}
	return error;
}

static int keep_set(struct grouping *g, struct mpse_builder *builder, const struct mpse **out)
{
	*out = NULL;
	if (mpse_builder_empty(builder))
		return 0;
	struct mpse *set = mpse_build(builder);
	if (set == NULL)
		return -ENOMEM;
	struct sigs_ruleset *rs = g->rs;
	if (rs->all_count % 64 == 0) {
		struct mpse **all = realloc(rs->all_sets, (rs->all_count + 64) * sizeof(struct mpse *));
		if (all == NULL) {
			mpse_free(set);
			return -ENOMEM;
		}
		rs->all_sets = all;
	}
	rs->all_sets[rs->all_count++] = set;
	*out = set;
	return 0;
}

static int items_to_sets(struct grouping *g, const struct item_list *list, int port,
			 const struct mpse *out[static REACHES])
{
	int error = 0;
	for (unsigned reach = 0; reach < REACHES && !error; reach++) {
		for (uint32_t i = 0; i < list->count && !error; i++) {
			const struct item *item = &list->items[i];
			if ((item->near && item->reach <= REACH_NEAR_BYTES) != (reach == REACH_NEAR))
				continue;
			if (port < 0 || port_set_has(item->ports, (uint16_t)port))
				error = mpse_builder_add(g->builder, item->literal, item->nocase, item->reach,
							 item->sig);
		}
		if (!error)
			error = keep_set(g, g->builder, &out[reach]);
	}
	return error;
}

/* Ports that the same signatures name share a number; 0 is no signature at all. */
static uint32_t number_ports(const struct item_list *list, uint16_t *numbers, uint16_t *ports)
{
	uint64_t *sums = calloc(65536, sizeof(*sums));
	uint32_t kinds = 1;
	if (sums == NULL)
		return 0;
	for (uint32_t i = 0; i < list->count; i++) {
		const struct port_set *set = list->items[i].ports;
		for (uint32_t r = 0; r < set->count; r++)
			for (uint32_t p = set->ranges[r].first; p <= set->ranges[r].last; p++)
				sums[p] = XXH3_64bits_withSeed(&list->items[i].sig, sizeof(uint32_t), sums[p]);
	}
	for (uint32_t p = 0; p < 65536; p++) {
		uint32_t k = 1;
		if (sums[p] == 0)
			continue;
		while (k < kinds && sums[ports[k]] != sums[p])
			k++;
		if (k == UINT16_MAX)
			continue; /* cannot be: there are fewer signatures that name ports */
		if (k == kinds)
			ports[kinds++] = (uint16_t)p;
		numbers[p] = (uint16_t)k;
	}
	free(sums);
	return kinds;
}

static int build_ports(struct grouping *g, const struct item_list *list, struct port_sets *out, uint16_t **numbers)
{
	if (list->count == 0)
		return 0;
	uint16_t *ports = calloc(65536, sizeof(*ports));
	*numbers = arena_alloc(g->rs->arena, 65536 * sizeof(**numbers));
	int error = -ENOMEM;
	if (ports == NULL || *numbers == NULL)
		goto out;
	uint32_t kinds = number_ports(list, *numbers, ports);
	if (kinds == 0)
		goto out;
	const struct mpse *(*sets)[REACHES] = arena_alloc(g->rs->arena, (out->set_count + kinds) * sizeof(*sets));
	if (sets == NULL)
		goto out;
	if (out->set_count)
		memcpy(sets, out->sets, out->set_count * sizeof(*sets));
	uint32_t base = out->set_count ? out->set_count - 1 : 0;
	error = 0;
	for (uint32_t k = 1; k < kinds && !error; k++)
		error = items_to_sets(g, list, ports[k], sets[base + k]);
	for (uint32_t p = 0; p < 65536 && base; p++)
		if ((*numbers)[p])
			(*numbers)[p] = (uint16_t)((*numbers)[p] + base);
	out->sets = sets;
	out->set_count = base + kinds;
out:
	free(ports);
	return error;
}

static int build_payload(struct grouping *g)
{
	int error = 0;
	for (unsigned class = 0; class < PAYLOAD_CLASSES && !error; class ++) {
		for (unsigned dir = 0; dir < 2 && !error; dir++) {
			struct payload_items *items = &g->payload[class][dir];
			struct port_sets *out = &g->rs->payload[class][dir];
			error = items_to_sets(g, &items->any, -1, out->any);
			if (!error)
				error = build_ports(g, &items->by_dport, out, &out->by_dport);
			if (!error)
				error = build_ports(g, &items->by_sport, out, &out->by_sport);
		}
	}
	return error;
}

/* --- packets without prefilter ------------------------------------------------------------------------------------- */

static int always_add(struct always_items *items, const struct sig_head *head, uint32_t num)
{
	if (!head->bidirectional && address_set_is_narrow(head->src))
		return items_add(&items->src, (struct item){.sig = num, .set = head->src});
	if (!head->bidirectional && address_set_is_narrow(head->dst))
		return items_add(&items->dst, (struct item){.sig = num, .set = head->dst});
	return list_add(&items->any, num);
}

static int packet_add(struct grouping *g, uint32_t num)
{
	const struct sig_head *head = &g->rs->heads[num];
	static const struct {
		enum always_class class;
		uint8_t transport;
	} classes[] = {
		{ALWAYS_TCP, SIG_TRANSPORT_TCP},
		{ALWAYS_UDP, SIG_TRANSPORT_UDP},
		{ALWAYS_ICMP, SIG_TRANSPORT_ICMP4 | SIG_TRANSPORT_ICMP6},
		{ALWAYS_OTHER, SIG_TRANSPORT_SCTP | SIG_TRANSPORT_OTHER},
	};
	int error = 0;
	for (unsigned dir = 0; dir < 2 && !error; dir++) {
		if (head->needs & (dir == TO_SERVER ? SIG_NEED_TO_CLIENT : SIG_NEED_TO_SERVER))
			continue;
		for (unsigned i = 0; i < 4 && !error; i++)
			if (head->transport & classes[i].transport)
				error = always_add(&g->always[classes[i].class][dir], head, num);
	}
	if (!error && head->transport & SIG_TRANSPORT_NON_IP)
		error = list_add(&g->non_ip, num);
	return error;
}

/* Files a signature under an event of the packet that it cannot do without. False when it has none. */
static bool event_add(struct grouping *g, uint32_t num, int *error)
{
	const struct signature *sig = g->rs->sigs[num];
	for (unsigned i = 0; i < sig->packet_count; i++) {
		const struct match *match = &sig->packet[i];
		if (match->type != MATCH_PACKET_EVENT || match->negated || (unsigned)match->event >= EVENT_COUNT)
			continue;
		*error = list_add(&g->packet_events[match->event], num);
		return true;
	}
	return false;
}

static int always_keep(struct always_items *items, struct always_list *out, struct arena *arena)
{
	int error = list_keep(&out->any, &items->any, arena);
	for (int side = 0; side < 2 && !error; side++) {
		struct item_list *list = side ? &items->dst : &items->src;
		struct index_entry *entries = calloc(list->count + 1, sizeof(*entries));
		if (entries == NULL)
			return -ENOMEM;
		for (uint32_t i = 0; i < list->count; i++)
			entries[i] = (struct index_entry){.set = list->items[i].set, .sig = list->items[i].sig};
		error = address_index_build(side ? &out->dst : &out->src, arena, entries, list->count);
		free(entries);
	}
	return error;
}

static int keep_lists(struct grouping *g)
{
	struct sigs_ruleset *rs = g->rs;
	int error = always_keep(&g->ip_only, &rs->ip_only, rs->arena);
	for (unsigned class = 0; class < ALWAYS_CLASSES; class ++)
		for (unsigned dir = 0; dir < 2 && !error; dir++)
			error = always_keep(&g->always[class][dir], &rs->always[class][dir], rs->arena);
	if (!error)
		error = list_keep(&rs->non_ip, &g->non_ip, rs->arena);
	rs->packet_events = arena_alloc(rs->arena, EVENT_COUNT * sizeof(*rs->packet_events));
	if (rs->packet_events == NULL)
		error = -ENOMEM;
	for (unsigned i = 0; i < EVENT_COUNT && !error; i++)
		error = list_keep(&rs->packet_events[i], &g->packet_events[i], rs->arena);
	return error;
}

/* --- all ------------------------------------------------------------------------------------------------------------ */

static int sig_add(struct grouping *g, uint32_t num)
{
	const struct sig_head *head = &g->rs->heads[num];
	struct fast_pattern fast = fast_pattern_choose(head->sig);
	int error = 0;
	if (head->type == SIG_TYPE_TX)
		return plan_add(g, num, &fast);
	if (head->type == SIG_TYPE_IP_ONLY)
		return always_add(&g->ip_only, head, num);
	if (event_add(g, num, &error))
		return error;
	if (fast.buffer >= 0 && head->sig->buffers[fast.buffer].ref->kind == BUFFER_PAYLOAD)
		return payload_add(g, num, &fast);
	return packet_add(g, num);
}

int group_payload_add(struct grouping *g, uint32_t num, const struct fast_pattern *fast)
{
	return payload_add(g, num, fast);
}

int group_keep_set(struct grouping *g, const struct mpse **out)
{
	return keep_set(g, g->builder, out);
}

int group_list_add(struct num_list *list, uint32_t num)
{
	return list_add(list, num);
}

static void items_free(struct item_list *list)
{
	free(list->items);
}

static void always_free(struct always_items *items)
{
	free(items->any.nums);
	items_free(&items->src);
	items_free(&items->dst);
}

static void grouping_free(struct grouping *g)
{
	mpse_builder_free(g->builder);
	for (unsigned dir = 0; dir < 2; dir++) {
		for (unsigned class = 0; class < PAYLOAD_CLASSES; class ++) {
			items_free(&g->payload[class][dir].any);
			items_free(&g->payload[class][dir].by_dport);
			items_free(&g->payload[class][dir].by_sport);
		}
		for (unsigned class = 0; class < ALWAYS_CLASSES; class ++)
			always_free(&g->always[class][dir]);
	}
	always_free(&g->ip_only);
	free(g->non_ip.nums);
	for (unsigned i = 0; i < EVENT_COUNT; i++)
		free(g->packet_events[i].nums);
	plan_free(g);
	free(g);
}

int ruleset_group(struct sigs_ruleset *rs)
{
	struct grouping *g = calloc(1, sizeof(*g));
	int error = -ENOMEM;
	if (g == NULL)
		return -ENOMEM;
	g->rs = rs;
	g->builder = mpse_builder_new();
	if (g->builder == NULL || plan_begin(g) != 0)
		goto out;
	error = 0;
	for (uint32_t i = 0; i < rs->sig_count && !error; i++)
		error = ruleset_head(rs, i, &rs->heads[i]);
	if (!error)
		error = number_sets(rs);
	for (uint32_t i = 0; i < rs->sig_count && !error; i++)
		error = sig_add(g, i);
	if (!error)
		error = keep_lists(g);
	if (!error)
		error = build_payload(g);
	if (!error)
		error = plan_build(g);
out:
	grouping_free(g);
	return error;
}
