/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

/* A rule as a whole: what its parts imply, what contradicts, and its arrays. */

static bool has_tcp(const struct rule *rule)
{
	switch (rule->sig.proto) {
	case SIG_IP:
	case SIG_IPV4:
	case SIG_IPV6:
	case SIG_TCP:
	case SIG_TCP_PKT:
	case SIG_TCP_STREAM:
		return true;
	case SIG_APP: {
		const struct app_proto *proto = app_proto_by_id(rule->sig.app);
		return proto == NULL || proto->tcp;
	}
	default:
		return false;
	}
}

static int check_open_ends(struct rule *rule)
{
	if (rule->transform_count > 0)
		return rule_fail(rule, "no match follows the transform: add a content, pcre or other match after it");
	if ((rule->sticky || rule->sticky_base64) && rule->sticky_buffer < 0)
		return rule_fail(rule, "no match follows the buffer %s: add a content, pcre or other match after it",
				 rule->sticky ? rule->sticky->name : "base64_data");
	return 0;
}

static int check_packet_and_stream(struct rule *rule)
{
	if (rule->packet_required && rule->stream_required)
		return rule_fail(
			rule,
			"keywords of single packets cannot stand with tcp-stream or flow:only_stream: remove one");
	if (!rule->packet_required)
		return 0;
	for (int i = 0; i < rule->buffer_count; i++)
		if (rule->buffers[i].info->kind == BUFFER_APP)
			return rule_fail(
				rule,
				"keywords of single packets (dsize, flags, ttl ...) cannot stand with buffers of an "
				"application layer (%s): remove one",
				rule->buffers[i].info->name);
	return 0;
}

/* --- direction ---------------------------------------------------------------------------------------------------------- */

struct directions {
	unsigned server, client, either;
};

static void count_direction(struct directions *d, bool to_server, bool to_client)
{
	d->server += to_server && !to_client;
	d->client += to_client && !to_server;
	d->either += to_server && to_client;
}

static void buffer_directions(const struct rule *rule, struct directions *d)
{
	for (int i = 0; i < rule->buffer_count; i++) {
		const struct rule_buffer *b = &rule->buffers[i];
		if (b->info->kind != BUFFER_APP || b->info->waits_for)
			continue;
		bool has[2] = {false, false};
		for (unsigned app = 0; app < APP_ID_COUNT; app++)
			for (int dir = 0; dir < 2 && rule->app_mask >> app & 1; dir++)
				has[dir] |= b->ref->app[app][dir] != NULL;
		count_direction(d, has[TO_SERVER], has[TO_CLIENT]);
	}
}

static void value_directions(const struct rule *rule, struct directions *d)
{
	for (int i = 0; i < rule->match_count; i++) {
		const struct match *m = &rule->matches[i].match;
		bool has[2] = {false, false};
		if (m->type == MATCH_FILE && m->file.dirs)
			count_direction(d, m->file.dirs == 1, m->file.dirs == 2);
		if (m->type != MATCH_APP_VALUE)
			continue;
		for (unsigned app = 0; app < APP_ID_COUNT; app++)
			for (int dir = 0; dir < 2 && rule->app_mask >> app & 1; dir++)
				has[dir] |= m->value.app[app][dir] != NULL;
		count_direction(d, has[TO_SERVER], has[TO_CLIENT]);
	}
}

static int imply_direction(struct rule *rule, uint16_t wanted, uint16_t other)
{
	if (rule->sig.flow & other)
		return rule_fail(rule,
				 "the rule looks %s, but has buffers that only exist %s: change flow, or the buffers",
				 other == SIG_FLOW_TO_CLIENT ? "to the client" : "to the server",
				 other == SIG_FLOW_TO_CLIENT ? "to the server" : "to the client");
	rule->sig.flow |= wanted;
	return 0;
}

static int settle_direction(struct rule *rule)
{
	struct directions d = {0};
	buffer_directions(rule, &d);
	value_directions(rule, &d);
	if (rule->sig.flags & SIG_TRANSACTIONAL_BIDIR) {
		if (d.server == 0 || d.client == 0)
			return rule->waiting
				       ? 0
				       : rule_fail(rule,
						   "a rule with => looks at both directions: use -> or add keywords of "
						   "the other direction");
		if (d.either > 0)
			return rule_fail(rule, "a rule with => has a keyword that exists in both directions: write its "
					       "direction (\"file.data:to_server\")");
		return 0;
	}
	if (d.server > 0 && d.client > 0)
		return rule_fail(rule,
				 "the rule has buffers of both directions: use => between its addresses, or split it");
	if (d.server > 0)
		return imply_direction(rule, SIG_FLOW_TO_SERVER, SIG_FLOW_TO_CLIENT);
	if (d.client > 0)
		return imply_direction(rule, SIG_FLOW_TO_CLIENT, SIG_FLOW_TO_SERVER);
	return 0;
}

/* --- contents that cannot fit --------------------------------------------------------------------------------------- */

/* Bytes that the contents of a buffer need at least: those that follow each other add up, others overlap. */
static uint64_t bytes_needed(const struct rule *rule, int list)
{
	uint64_t needed = 0, chain = 0;
	for (int i = 0; i < rule->match_count; i++) {
		const struct match_content *c = &rule->matches[i].match.content;
		if (rule->matches[i].list != list || rule->matches[i].match.type != MATCH_CONTENT ||
		    c->flags & CONTENT_NEGATED)
			continue;
		bool follows = c->flags & CONTENT_DISTANCE && c->distance >= 0 && c->distance_var == SIG_VAR_NONE;
		uint64_t from = 0;
		if (follows)
			from = chain + (uint64_t)c->distance;
		else if (c->flags & CONTENT_OFFSET && c->offset_var == SIG_VAR_NONE)
			from = (uint64_t)c->offset;
		chain = from + c->pattern.len;
		if (chain > needed)
			needed = chain;
	}
	return needed;
}

/* The largest size that the test lets through; UINT64_MAX when it has no upper end. */
static uint64_t most_allowed(const struct number_test *test)
{
	switch (test->op) {
	case NUMBER_EQ:
	case NUMBER_LE:
		return test->a;
	case NUMBER_LT:
		return test->a - 1;
	case NUMBER_RANGE:
		return test->b - 1;
	case NUMBER_RANGE_IN:
		return test->b;
	default:
		return UINT64_MAX;
	}
}

static int check_sizes(struct rule *rule)
{
	for (int i = 0; i < rule->match_count; i++) {
		const struct rule_match *m = &rule->matches[i];
		int list = m->list;
		if (m->match.type == MATCH_DSIZE) {
			list = -1;
			for (int k = 0; k < rule->buffer_count; k++)
				if (rule->buffers[k].info->kind == BUFFER_PAYLOAD)
					list = k;
		} else if (m->match.type != MATCH_BSIZE) {
			continue;
		}
		uint64_t most = most_allowed(&m->match.number), needed = list < 0 ? 0 : bytes_needed(rule, list);
		if (needed > most)
			return rule_fail(rule, "can never match: the contents need %llu bytes, %s allows %llu",
					 (unsigned long long)needed, m->match.type == MATCH_DSIZE ? "dsize" : "bsize",
					 (unsigned long long)most);
	}
	return 0;
}

static int check_absent(struct rule *rule)
{
	for (int i = 0; i < rule->match_count; i++) {
		const struct rule_match *m = &rule->matches[i];
		if (m->match.type != MATCH_ABSENT)
			continue;
		unsigned count = rule->buffers[m->list].count;
		if (m->match.flag == 0 && count > 1)
			return rule_fail(
				rule,
				"absent stands alone in its buffer; for \"absent, or else\" write absent:or_else");
		if (m->match.flag != 0 && count == 1)
			return rule_fail(rule, "absent:or_else needs another match on the same buffer");
		for (int k = 0; k < rule->match_count; k++)
			if (rule->matches[k].list == m->list && rule->matches[k].match.type == MATCH_CONTENT &&
			    rule->matches[k].match.content.flags & CONTENT_FAST_PATTERN)
				return rule_fail(rule, "fast_pattern cannot stand on a buffer that may be absent");
	}
	return 0;
}

/* --- what kind of rule it is ------------------------------------------------------------------------------------------ */

static void settle_payload(struct rule *rule)
{
	bool payload = false, placed = false, stream_size = false;
	for (int i = 0; i < rule->match_count; i++) {
		const struct rule_match *m = &rule->matches[i];
		stream_size |= m->match.type == MATCH_STREAM_SIZE;
		if (m->list < 0 || rule->buffers[m->list].info->kind != BUFFER_PAYLOAD)
			continue;
		payload = true;
		placed |= m->match.type == MATCH_CONTENT && m->match.content.flags & (CONTENT_DEPTH | CONTENT_OFFSET);
	}
	bool packet = rule->packet_required, stream = rule->stream_required;
	if (payload && !packet && !stream) {
		stream = has_tcp(rule);
		packet = !stream || placed || stream_size;
	}
	rule->sig.flags |= (packet ? SIG_PACKET_PAYLOAD : 0) | (stream ? SIG_STREAM_PAYLOAD : 0);
}

static bool has_list(const struct rule *rule, int list)
{
	for (int i = 0; i < rule->match_count; i++)
		if (rule->matches[i].list == list)
			return true;
	return false;
}

static bool inspects_transactions(const struct rule *rule)
{
	for (int i = 0; i < rule->buffer_count; i++)
		if (rule->buffers[i].info->kind == BUFFER_APP)
			return true;
	return has_list(rule, LIST_TX) || (rule->sig.flags & SIG_HOOKED && !(rule->sig.flags & SIG_HOOK_FLOW_START));
}

static void settle_kind(struct rule *rule)
{
	struct signature *sig = &rule->sig;
	bool plain = sig->proto != SIG_APP && !rule->app_layer && rule->buffer_count == 0 && !has_list(rule, LIST_TX);
	bool directed = sig->flow & (SIG_FLOW_TO_SERVER | SIG_FLOW_TO_CLIENT);
	if (inspects_transactions(rule))
		sig->flags |= SIG_APP_INSPECT;
	if (rule->packet_required || has_list(rule, LIST_PACKET))
		sig->flags |= SIG_NEEDS_PACKET;
	if (rule->needs_flow || rule->app_layer)
		sig->flags |= SIG_NEEDS_FLOW;
	if (plain && !rule->not_ip_only && !directed && !rule->has_packet_event)
		sig->flags |= rule->negated_addresses || rule->ranges ? SIG_LIKE_IP_ONLY : SIG_IP_ONLY;
	else if (plain && !rule->not_decode_event && rule->has_packet_event)
		sig->flags |= SIG_DECODE_EVENT;
}

static uint8_t family_of_set(const struct address_set *set)
{
	if (set->any || (set->v4_count > 0 && set->v6_count > 0))
		return 0;
	return set->v4_count > 0 ? 4 : 6;
}

static void settle_family(struct rule *rule)
{
	struct signature *sig = &rule->sig;
	if (sig->proto == SIG_IPV4 || sig->proto == SIG_ICMPV4)
		sig->family = 4;
	if (sig->proto == SIG_IPV6 || sig->proto == SIG_ICMPV6)
		sig->family = 6;
	if (sig->family == 0)
		sig->family = family_of_set(sig->src);
	if (sig->family == 0)
		sig->family = family_of_set(sig->dst);
}

/* The protocols that have all that the rule looks at; one alone is the rule's. */
static void settle_apps(struct rule *rule)
{
	struct signature *sig = &rule->sig;
	if (!rule->app_layer || rule->waiting)
		return;
	uint32_t known = 0;
	for (const struct app_proto *const *p = app_protos(); *p; p++)
		known |= 1u << (*p)->id;
	sig->app_mask = rule->app_mask & known;
	if (sig->app_mask && (sig->app_mask & (sig->app_mask - 1)) == 0)
		sig->app = (enum app_id)__builtin_ctz(sig->app_mask);
}

static int check_kind(struct rule *rule)
{
	struct signature *sig = &rule->sig;
	if (sig->proto == SIG_PKTHDR && !(sig->flags & SIG_DECODE_EVENT))
		return rule_fail(rule,
				 "protocol pkthdr is for decode-event alone: use ip, or remove the other keywords");
	if (sig->flags & SIG_BIDIRECTIONAL && sig->src == sig->dst && sig->sport == sig->dport)
		sig->flags &= ~(uint32_t)SIG_BIDIRECTIONAL;
	return 0;
}

/* --- arrays ---------------------------------------------------------------------------------------------------------------- */

static int gather(struct rule *rule, int list, struct match **matches, unsigned *count)
{
	unsigned n = 0;
	for (int i = 0; i < rule->match_count; i++)
		n += rule->matches[i].list == list;
	*count = n;
	*matches = arena_alloc(rule->builder->arena, n * sizeof(**matches));
	if (*matches == NULL)
		return -ENOMEM;
	n = 0;
	for (int i = 0; i < rule->match_count; i++)
		if (rule->matches[i].list == list)
			(*matches)[n++] = rule->matches[i].match;
	return 0;
}

/* What is looked up costs more than what is compared. */
static int cost(enum match_type type)
{
	switch (type) {
	case MATCH_BITS:
	case MATCH_FLOWINT:
		return 2;
	case MATCH_FLOWVAR:
	case MATCH_PKTVAR:
	case MATCH_IPREP:
	case MATCH_GEOIP:
		return 3;
	default:
		return 1;
	}
}

/* Cheap ones first, else in the order written. */
static void sort_by_cost(struct match *matches, unsigned count)
{
	for (unsigned i = 1; i < count; i++) {
		struct match m = matches[i];
		unsigned k = i;
		for (; k > 0 && cost(matches[k - 1].type) > cost(m.type); k--)
			matches[k] = matches[k - 1];
		matches[k] = m;
	}
}

static int gather_buffers(struct rule *rule)
{
	struct signature *sig = &rule->sig;
	sig->buffers = arena_alloc(rule->builder->arena, rule->buffer_count * sizeof(*sig->buffers));
	if (sig->buffers == NULL)
		return -ENOMEM;
	sig->buffer_count = rule->buffer_count;
	for (int i = 0; i < rule->buffer_count; i++) {
		struct sig_buffer *b = &sig->buffers[i];
		b->ref = rule->buffers[i].ref;
		b->base64_of = rule->buffers[i].base64_of;
		if (gather(rule, i, &b->matches, &b->match_count) != 0)
			return -ENOMEM;
		for (unsigned k = 0; k < b->match_count; k++) {
			if (b->matches[k].type != MATCH_CONTENT ||
			    !(b->matches[k].content.flags & CONTENT_FAST_PATTERN))
				continue;
			sig->fast_buffer = (int16_t)i;
			sig->fast_match = (int16_t)k;
		}
	}
	return 0;
}

/* Buffers that a modifier emptied (its content moved on) are left out. */
static void drop_empty_buffers(struct rule *rule)
{
	int8_t moved[RULE_BUFFERS_MAX];
	uint16_t kept = 0;
	for (int i = 0; i < rule->buffer_count; i++) {
		moved[i] = (int8_t)kept;
		if (rule->buffers[i].count > 0)
			rule->buffers[kept++] = rule->buffers[i];
	}
	if (kept == rule->buffer_count)
		return;
	for (int i = 0; i < rule->match_count; i++)
		if (rule->matches[i].list >= 0)
			rule->matches[i].list = moved[rule->matches[i].list];
	for (int i = 0; i < kept; i++)
		if (rule->buffers[i].base64_of >= 0)
			rule->buffers[i].base64_of = moved[rule->buffers[i].base64_of];
	rule->buffer_count = kept;
}

int rule_finish(struct rule *rule)
{
	struct signature *sig = &rule->sig;
	if (check_open_ends(rule) != 0)
		return -EINVAL;
	drop_empty_buffers(rule);
	if (sig->proto == SIG_TCP_PKT)
		rule->packet_required = true;
	if (sig->proto == SIG_TCP_STREAM)
		rule->stream_required = true;
	if (check_packet_and_stream(rule) != 0 || settle_direction(rule) != 0 || check_sizes(rule) != 0 ||
	    check_absent(rule) != 0)
		return -EINVAL;
	settle_payload(rule);
	settle_kind(rule);
	settle_family(rule);
	settle_apps(rule);
	if (check_kind(rule) != 0)
		return -EINVAL;
	if (rule->waiting)
		return 0;
	if (!rule->priority_seen && sig->info.priority == 0)
		sig->info.priority = 3;
	if (gather(rule, LIST_PACKET, &sig->packet, &sig->packet_count) != 0 ||
	    gather(rule, LIST_TX, &sig->tx, &sig->tx_count) != 0 ||
	    gather(rule, LIST_POST, &sig->post, &sig->post_count) != 0 || gather_buffers(rule) != 0)
		return rule_fail(rule, "out of memory");
	sort_by_cost(sig->packet, sig->packet_count);
	return 0;
}
