/* SPDX-License-Identifier: BSD-3-Clause */
#include <time.h>

#include "matcher.h"

/* A packet against the rule set: which signatures may match (a candidate's literal, event or address was seen), and
 * which of those do. Transactions follow in tx_inspect.c. */

/* Passive: raw data is looked at once so much is new (or the peer is done): batches cost less than single segments. */
#define RAW_CHUNK 2560

/* --- the packet's facts -------------------------------------------------------------------------------------------- */

static uint8_t transport_named(const struct packet *pkt)
{
	switch (pkt->proto) {
	case 6:
		return SIG_TRANSPORT_TCP;
	case 17:
	case 136:
		return SIG_TRANSPORT_UDP;
	case 1:
		return SIG_TRANSPORT_ICMP4;
	case 58:
		return SIG_TRANSPORT_ICMP6;
	case 132:
		return SIG_TRANSPORT_SCTP;
	default:
		return SIG_TRANSPORT_OTHER;
	}
}

static uint8_t transport_of(const struct packet *pkt)
{
	return pkt->family == 0 || pkt->flags & PACKET_INVALID ? SIG_TRANSPORT_NON_IP : transport_named(pkt);
}

/* What the rule's protocol is compared with: a TCP header that is too short to be read is one of TCP all the same. */
static uint8_t header_transport_of(const struct packet *pkt)
{
	return transport_of(pkt) | (pkt->family ? transport_named(pkt) : 0);
}

static uint32_t facts_of(const struct packet *pkt)
{
	uint32_t facts = SIG_NEED_PAYLOAD;
	if (pkt->flow) {
		facts |= SIG_NEED_FLOW | (pkt->dir == TO_SERVER ? SIG_NEED_TO_SERVER : SIG_NEED_TO_CLIENT);
		facts |= pkt->flags & (PACKET_ESTABLISHED | PACKET_FLOW_END) ? SIG_NEED_ESTABLISHED
									     : SIG_NEED_NOT_ESTABLISHED;
	}
	if (pkt->flags & (PACKET_FLOW_FIRST | PACKET_FIRST_TO_SERVER | PACKET_FIRST_TO_CLIENT))
		facts |= SIG_NEED_FLOW_FIRST;
	facts |= pkt->flags & PACKET_FRAGMENT ? SIG_NEED_FRAGMENT : SIG_NEED_NO_FRAGMENT;
	if (!(pkt->flags & PACKET_FLOW_END))
		facts |= SIG_NEED_NOT_PSEUDO;
	return facts;
}

/* Which of the busiest address sets have the flow's ends; found out once a flow. */
static void know_addresses(struct sigs_matcher *m)
{
	const struct packet *pkt = m->pkt;
	struct sig_flow *state = m->state;
	unsigned src = (unsigned)pkt->dir; /* the end that the packet comes from */
	/* An error's addresses are not those of the flow that it quotes. */
	m->addr_known = state && !(pkt->flags & PACKET_ICMP_ERROR);
	if (!m->addr_known)
		return;
	if (!state->addr_known) {
		state->addr_has[0] = state->addr_has[1] = 0;
		for (uint32_t i = 0; i < m->ruleset->cached_count; i++) {
			const struct address_set *set = m->ruleset->cached_sets[i];
			if (address_set_has(set, &pkt->src, pkt->family))
				state->addr_has[src] |= 1ull << i;
			if (address_set_has(set, &pkt->dst, pkt->family))
				state->addr_has[1 - src] |= 1ull << i;
		}
		state->addr_known = true;
	}
	m->src_has = state->addr_has[src];
	m->dst_has = state->addr_has[1 - src];
}

static bool address_matches(const struct sigs_matcher *m, const struct address_set *set, uint8_t cached,
			    const union packet_addr *addr, uint64_t has)
{
	if (set == NULL)
		return true;
	if (m->addr_known && cached != ADDRESS_NOT_CACHED)
		return has >> cached & 1;
	return address_set_has(set, addr, m->pkt->family);
}

static bool addresses_match(const struct sigs_matcher *m, const struct sig_head *head, bool swapped)
{
	const struct packet *pkt = m->pkt;
	const union packet_addr *src = swapped ? &pkt->dst : &pkt->src, *dst = swapped ? &pkt->src : &pkt->dst;
	return address_matches(m, head->src, head->src_cached, src, swapped ? m->dst_has : m->src_has) &&
	       address_matches(m, head->dst, head->dst_cached, dst, swapped ? m->src_has : m->dst_has);
}

static bool sides_match(struct sigs_matcher *m, const struct sig_head *head, bool swapped)
{
	const struct packet *pkt = m->pkt;
	if (head->ports) {
		uint16_t sport = swapped ? pkt->dport : pkt->sport, dport = swapped ? pkt->sport : pkt->dport;
		if (!(m->transport & (SIG_TRANSPORT_TCP | SIG_TRANSPORT_UDP | SIG_TRANSPORT_SCTP)) ||
		    pkt->flags & PACKET_FRAGMENT)
			return false;
		if (head->dport && !port_set_has(head->dport, dport))
			return false;
		if (head->sport && !port_set_has(head->sport, sport))
			return false;
	}
	return (head->src == NULL && head->dst == NULL) || addresses_match(m, head, swapped);
}

static bool either_side_matches(struct sigs_matcher *m, const struct sig_head *head)
{
	if (head->bidirectional == SIG_SIDES_BY_DIRECTION)
		return sides_match(m, head, m->pkt->dir == TO_CLIENT);
	return sides_match(m, head, false) || (head->bidirectional && sides_match(m, head, true));
}

bool header_matches(struct sigs_matcher *m, const struct sig_head *head)
{
	if (head->needs & ~m->facts || !(head->transport & m->header_transport))
		return false;
	if (head->family && head->family != m->pkt->family)
		return false;
	return either_side_matches(m, head);
}

void signature_begin(struct sigs_matcher *m, const struct signature *sig)
{
	m->sig = sig;
	m->steps = m->ruleset->options.inspection_limit;
	m->capture_count = 0;
}

/* --- candidates ------------------------------------------------------------------------------------------------------ */

static enum always_class always_class_of(uint8_t transport)
{
	switch (transport) {
	case SIG_TRANSPORT_TCP:
		return ALWAYS_TCP;
	case SIG_TRANSPORT_UDP:
		return ALWAYS_UDP;
	case SIG_TRANSPORT_ICMP4:
	case SIG_TRANSPORT_ICMP6:
		return ALWAYS_ICMP;
	default:
		return ALWAYS_OTHER;
	}
}

/* What of a header cannot change while a flow lasts. */
static bool could_match(struct sigs_matcher *m, uint32_t num)
{
	const struct sig_head *head = &m->ruleset->heads[num];
	if (!(head->transport & m->transport) || (head->family && head->family != m->pkt->family))
		return false;
	return either_side_matches(m, head);
}

static void add_possible(struct sigs_matcher *m, const uint32_t *nums, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (could_match(m, nums[i]))
			candidates_add(&m->packet_candidates, nums[i]);
}

static void add_always(struct sigs_matcher *m, const struct always_list *list)
{
	const struct packet *pkt = m->pkt;
	uint32_t count;
	add_possible(m, list->any.nums, list->any.count);
	const uint32_t *nums = address_index_find(&list->src, &pkt->src, pkt->family, &count);
	add_possible(m, nums, count);
	nums = address_index_find(&list->dst, &pkt->dst, pkt->family, &count);
	add_possible(m, nums, count);
}

static void add_sets(struct payload_sets *out, const struct mpse *const sets[static REACHES])
{
	for (unsigned i = 0; i < REACHES; i++)
		if (sets[i])
			out->set[out->count++] = sets[i];
}

static void find_sets(const struct sigs_matcher *m, enum payload_class class, struct payload_sets *out)
{
	const struct port_sets *sets = &m->ruleset->payload[class][m->pkt->dir];
	const struct packet *pkt = m->pkt;
	out->count = 0;
	add_sets(out, sets->any);
	if (class == PAYLOAD_OTHER || pkt->flags & PACKET_FRAGMENT)
		return;
	if (sets->by_dport && sets->by_dport[pkt->dport])
		add_sets(out, sets->sets[sets->by_dport[pkt->dport]]);
	if (sets->by_sport && sets->by_sport[pkt->sport])
		add_sets(out, sets->sets[sets->by_sport[pkt->sport]]);
}

static void find_all_sets(const struct sigs_matcher *m, struct payload_sets out[static 2])
{
	bool tcp = m->transport == SIG_TRANSPORT_TCP;
	find_sets(m,
		  tcp				      ? PAYLOAD_TCP_STREAM
		  : m->transport == SIG_TRANSPORT_UDP ? PAYLOAD_UDP
						      : PAYLOAD_OTHER,
		  &out[0]);
	out[1].count = 0;
	if (tcp)
		find_sets(m, PAYLOAD_TCP_PACKET, &out[1]);
}

/* Once a flow and direction: its literal sets, and which signatures without a literal its ends and ports leave. */
static void direction_setup(struct sigs_matcher *m, struct sig_flow_dir *dir)
{
	const struct always_list *list = &m->ruleset->always[always_class_of(m->transport)][m->pkt->dir];
	struct candidates *c = &m->packet_candidates;
	find_all_sets(m, dir->sets);
	candidates_reset(c);
	add_always(m, list);
	dir->always = slab_alloc(m->slab, (c->count + 1) * sizeof(*dir->always));
	if (dir->always) {
		memcpy(dir->always, c->nums, c->count * sizeof(*dir->always));
		dir->always_count = c->count;
		dir->known = true;
	}
	candidates_reset(c);
}

static void collect_events(struct sigs_matcher *m)
{
	const struct event_set *events = &m->pkt->events;
	for (unsigned w = 0; w < EVENT_WORDS; w++) {
		for (uint64_t bits = events->bits[w]; bits; bits &= bits - 1) {
			unsigned event = w * 64 + (unsigned)__builtin_ctzll(bits);
			const struct sig_list *list = &m->ruleset->packet_events[event];
			for (uint32_t i = 0; event < EVENT_COUNT && i < list->count; i++)
				candidates_add(&m->packet_candidates, list->nums[i]);
		}
	}
}

static void collect_always(struct sigs_matcher *m, struct sig_flow_dir *dir)
{
	if (dir && dir->known) {
		for (uint32_t i = 0; i < dir->always_count; i++)
			candidates_add(&m->packet_candidates, dir->always[i]);
	} else if (m->transport != SIG_TRANSPORT_NON_IP) {
		add_always(m, &m->ruleset->always[always_class_of(m->transport)][m->pkt->dir]);
	} else {
		for (uint32_t i = 0; i < m->ruleset->non_ip.count; i++)
			candidates_add(&m->packet_candidates, m->ruleset->non_ip.nums[i]);
	}
}

/* Signatures that name addresses only are judged once for each direction of a flow. */
static void collect_ip_only(struct sigs_matcher *m, struct sig_flow_dir *dir)
{
	if (m->transport == SIG_TRANSPORT_NON_IP || m->pkt->flags & PACKET_FLOW_END || (dir && dir->ip_judged))
		return;
	if (dir)
		dir->ip_judged = true;
	add_always(m, &m->ruleset->ip_only);
}

/* `offset` is where data begins in its stream; what a literal cannot reach is not searched for it. */
static void scan_sets(struct sigs_matcher *m, const struct payload_sets *sets, const uint8_t *data, uint32_t len,
		      uint32_t fresh, uint64_t offset)
{
	for (unsigned i = 0; i < sets->count; i++) {
		const struct mpse *set = sets->set[i];
		uint32_t n = len;
		if (set->reach <= offset + fresh)
			continue;
		if (set->reach - offset < n)
			n = (uint32_t)(set->reach - offset);
		mpse_scan(m, set, data, n, fresh, &m->packet_candidates);
	}
}

static void collect_pending(struct sigs_matcher *m, struct sig_flow_dir *dir)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < dir->pending_count; i++) {
		if (dir->pending[i].until < m->stream.offset)
			continue; /* what was seen of it has left the window */
		dir->pending[kept++] = dir->pending[i];
		candidates_add(&m->packet_candidates, dir->pending[i].sig);
	}
	dir->pending_count = (uint16_t)kept;
}

static bool stream_is_ready(struct sigs_matcher *m, const struct stream_view *view, uint32_t fresh)
{
	const struct packet *pkt = m->pkt;
	if (m->ruleset->options.inline_mode || view->eof || pkt->flags & PACKET_FLOW_END)
		return true;
	/* what ends at a gap never grows to a chunk, and would hold all that follows */
	if (view->len - fresh >= RAW_CHUNK || stream_depth_reached(pkt->flow, pkt->dir) ||
	    stream_has_gap(pkt->flow, pkt->dir))
		return true;
	return stream_state(pkt->flow) >= TCP_FIN_WAIT1 || app_opaque(pkt->flow) || tx_flushes_stream(m);
}

static void collect_stream(struct sigs_matcher *m, const struct payload_sets *sets, struct sig_flow_dir *dir)
{
	struct stream_view view;
	uint32_t fresh;
	if (!stream_raw_view(m->pkt->flow, m->pkt->dir, &view, &fresh) || !stream_is_ready(m, &view, fresh))
		return;
	m->stream = (struct inspect_view){.data = view.data, .len = view.len, .offset = view.offset, .final = view.eof};
	m->fresh = fresh;
	m->stream_ready = true;
	if (m->pkt->flow->flags & FLOW_NO_PAYLOAD)
		m->stream.len = m->fresh = 0;
	bool anew = dir && dir->search_anew;
	scan_sets(m, sets, m->stream.data, m->stream.len, anew ? 0 : m->fresh, view.offset);
	if (dir) {
		dir->search_anew = false;
		collect_pending(m, dir);
	}
}

static bool payload_to_inspect(const struct packet *pkt)
{
	return pkt->payload && pkt->payload_len > 0 && !(pkt->flags & (PACKET_FLOW_END | PACKET_FRAGMENT)) &&
	       !(pkt->flow && pkt->flow->flags & FLOW_NO_PAYLOAD);
}

static void collect_payload(struct sigs_matcher *m, struct sig_flow_dir *dir)
{
	const struct packet *pkt = m->pkt;
	struct payload_sets found[2];
	bool tcp = m->transport == SIG_TRANSPORT_TCP;
	if (m->transport == SIG_TRANSPORT_NON_IP)
		return;
	if (dir == NULL || !dir->known)
		find_all_sets(m, found);
	const struct payload_sets *sets = dir && dir->known ? dir->sets : found;
	if (tcp && pkt->flow && pkt->flow->tcp)
		collect_stream(m, &sets[0], dir);
	if (!payload_to_inspect(pkt))
		return;
	/* What reassembly did not take (or does not know) is a stream of its own. */
	if (!tcp || !(pkt->flags & PACKET_PAYLOAD_IN_STREAM))
		scan_sets(m, &sets[0], pkt->payload, pkt->payload_len, 0, 0);
	if (tcp)
		scan_sets(m, &sets[1], pkt->payload, pkt->payload_len, 0, 0);
}

/* --- confirmation ---------------------------------------------------------------------------------------------------- */

static enum inspect_result buffers_match(struct sigs_matcher *m, const struct signature *sig,
					 const struct inspect_view *payload, uint32_t *end)
{
	*end = 0;
	for (unsigned i = 0; i < sig->buffer_count; i++) {
		const struct sig_buffer *buffer = &sig->buffers[i];
		struct inspect_view view;
		bool there = false;
		if (buffer->ref->kind == BUFFER_BASE64)
			continue; /* looked at where it is decoded */
		if (buffer->ref->kind == BUFFER_PACKET)
			there = buffer_of_packet(m, buffer->ref, &view);
		else if (buffer->ref->kind == BUFFER_PAYLOAD)
			there = payload && buffer_of_payload(m, buffer->ref, payload, &view);
		if (!there)
			return INSPECT_NO;
		enum inspect_result result = content_inspect(m, buffer, &view);
		if (result != INSPECT_MATCH)
			return result;
		if (buffer->ref->kind == BUFFER_PAYLOAD && m->match_end > *end)
			*end = m->match_end;
	}
	return INSPECT_MATCH;
}

/* In the raw stream. What lies wholly in bytes seen before was found before: then only the new bytes count. Unless the
 * last look found it nowhere: then what made it match (a number tested, a look ahead) lies behind where it ended. */
static enum inspect_result stream_matches(struct sigs_matcher *m, const struct signature *sig, bool *unmatched)
{
	uint32_t end;
	enum inspect_result result = buffers_match(m, sig, &m->stream, &end);
	*unmatched = result != INSPECT_MATCH;
	if (*unmatched)
		return result;
	bool anew = m->state && pending_take(&m->state->dir[m->pkt->dir], sig->num);
	if (anew || m->fresh == 0 || end == 0 || end > m->fresh)
		return result;
	struct inspect_view fresh = {.data = m->stream.data + m->fresh,
				     .len = m->stream.len - m->fresh,
				     .offset = m->stream.offset + m->fresh,
				     .final = m->stream.final};
	signature_begin(m, sig);
	return buffers_match(m, sig, &fresh, &end);
}

static bool has_payload(const struct signature *sig)
{
	for (unsigned i = 0; i < sig->buffer_count; i++)
		if (sig->buffers[i].ref->kind == BUFFER_PAYLOAD)
			return true;
	return false;
}

static bool payload_matches(struct sigs_matcher *m, const struct sig_head *head, uint8_t *flags)
{
	const struct packet *pkt = m->pkt;
	const struct signature *sig = head->sig;
	bool tcp = m->transport == SIG_TRANSPORT_TCP;
	uint32_t end;
	if (!has_payload(sig))
		return buffers_match(m, sig, NULL, &end) == INSPECT_MATCH;
	if (tcp && head->stream_payload && m->stream_ready && m->stream.len > 0) {
		bool unmatched;
		enum inspect_result result = stream_matches(m, sig, &unmatched);
		if (result == INSPECT_MATCH) {
			*flags |= ALERT_STREAM;
			return true;
		}
		if (result == INSPECT_MORE && m->state)
			pending_add(m, &m->state->dir[pkt->dir], sig->num, m->stream.offset + m->stream.len, unmatched);
	}
	if (!payload_to_inspect(pkt) || head->stream_only ||
	    (tcp && !head->packet_payload && pkt->flags & PACKET_PAYLOAD_IN_STREAM))
		return false;
	struct inspect_view payload = {.data = pkt->payload, .len = pkt->payload_len, .final = true};
	signature_begin(m, sig);
	return buffers_match(m, sig, &payload, &end) == INSPECT_MATCH;
}

bool packet_vars_hold(struct sigs_matcher *m, const struct signature *sig)
{
	for (unsigned i = 0; i < sig->packet_count; i++) {
		const struct match *match = &sig->packet[i];
		if (match->type != MATCH_PKTVAR)
			continue;
		const struct packet_var *var = packet_var_get(m, match->var.name);
		if (var == NULL ||
		    (content_find(var->data, var->len, match->var.text, false) != NULL) == match->negated)
			return false;
	}
	return true;
}

static bool candidate_matches(struct sigs_matcher *m, const struct sig_head *head, uint8_t *flags)
{
	const struct flow *flow = m->pkt->flow;
	if (!header_matches(m, head))
		return false;
	if (head->app && (flow == NULL || flow->app_proto != head->app))
		return false;
	/* Says that a protocol was recognised: once, not with every packet. */
	if (head->type == SIG_TYPE_PROTO_DETECT && !m->app_settled)
		return false;
	signature_begin(m, head->sig);
	if (!packet_matches(m, head->sig))
		return false;
	if (head->sig->buffer_count && !payload_matches(m, head, flags))
		return false;
	return packet_vars_hold(m, head->sig);
}

static uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

/* A datagram of a protocol is what its transaction came with: the record shows both. */
static void alert_with_tx(struct sigs_matcher *m, uint32_t num, const struct sig_head *head, uint8_t flags)
{
	const struct flow *flow = m->pkt->flow;
	const struct app_tx *tx = NULL;
	if (head->app && flow && flow->app && m->transport == SIG_TRANSPORT_UDP)
		for (tx = app_tx_first(flow); tx && tx->inspected[m->pkt->dir];)
			tx = tx->next;
	alert_add(m, num, tx ? flags | ALERT_TX : flags, tx, NULL);
}

static void judge_packet(struct sigs_matcher *m)
{
	struct candidates *c = &m->packet_candidates;
	candidates_sort(c);
	m->tx_wanted_count = 0;
	for (uint32_t i = 0; i < c->count; i++) {
		const struct sig_head *head = &m->ruleset->heads[c->nums[i]];
		uint8_t flags = 0;
		if (i + 4 < c->count)
			__builtin_prefetch(&m->ruleset->heads[c->nums[i + 4]]);
		if (head->type == SIG_TYPE_TX) {
			m->tx_wanted[m->tx_wanted_count++] = c->nums[i];
			continue;
		}
		uint64_t begun = m->profile ? now_ns() : 0;
		bool matches = candidate_matches(m, head, &flags);
		if (m->profile) {
			m->profile[c->nums[i]].checks++;
			m->profile[c->nums[i]].ns += now_ns() - begun;
		}
		if (!matches)
			continue;
		post_match(m, head->sig, NULL);
		alert_with_tx(m, c->nums[i], head, flags);
	}
}

/* --- all ---------------------------------------------------------------------------------------------------------------- */

static void begin(struct sigs_matcher *m, struct packet *pkt)
{
	m->pkt = pkt;
	m->state = pkt->flow ? flow_state_get(m, pkt->flow) : NULL;
	m->transport = transport_of(pkt);
	m->header_transport = header_transport_of(pkt);
	m->facts = facts_of(pkt);
	m->stream = (struct inspect_view){0};
	m->fresh = 0;
	m->stream_ready = false;
	m->app_settled = false;
	m->alert_count = m->alert_overflow = m->alerts_shown = m->context_count = 0;
	m->packet_var_count = m->transformed_count = 0;
	m->arena_used = 0;
	m->result.count = m->result.overflow = 0;
	m->result.pass = m->result.pass_flow = m->result.tagged = false;
	candidates_reset(&m->packet_candidates);
}

/* Whether recognition of this direction's protocol ended with this packet. */
static void note_app(struct sigs_matcher *m)
{
	if (m->state == NULL)
		return;
	uint8_t *seen = &m->state->app_seen[m->pkt->dir];
	enum app_id app = app_id_of(m->pkt->flow, m->pkt->dir);
	if (app == APP_UNKNOWN && app_failed(m->pkt->flow))
		app = APP_FAILED;
	m->app_settled = app != APP_UNKNOWN && *seen == APP_UNKNOWN;
	*seen = (uint8_t)app;
}

/* Nobody wants this packet judged; what waits for judgement must not wait for ever. */
static void release_uninspected(struct sigs_matcher *m, struct packet *pkt)
{
	struct flow *flow = pkt->flow;
	struct stream_view view;
	uint32_t fresh;
	if (flow == NULL)
		return;
	for (struct app_tx *tx = flow->app ? app_tx_first(flow) : NULL; tx; tx = tx->next)
		if (app_tx_complete(flow, tx, pkt->dir))
			tx->inspected[pkt->dir] = true;
	if (flow->tcp && m->streams && stream_raw_view(flow, pkt->dir, &view, &fresh))
		stream_raw_done(m->streams, flow, pkt->dir);
}

const struct sigs_result *sigs_inspect(struct sigs_matcher *m, struct packet *pkt)
{
	begin(m, pkt);
	if (pkt->flags & PACKET_NO_INSPECT || (pkt->flow && pkt->flow->flags & FLOW_PASS)) {
		release_uninspected(m, pkt);
		return &m->result;
	}
	struct sig_flow_dir *dir = m->state && !(pkt->flags & PACKET_ICMP_ERROR) ? &m->state->dir[pkt->dir] : NULL;
	know_addresses(m);
	if (dir && !dir->known && m->transport != SIG_TRANSPORT_NON_IP)
		direction_setup(m, dir);
	note_app(m);
	if (!(pkt->flags & PACKET_FLOW_END_MORE)) {
		collect_events(m);
		collect_always(m, dir);
		collect_ip_only(m, dir);
	}
	collect_payload(m, dir);
	judge_packet(m);
	if (pkt->flow && pkt->flow->app && !(pkt->flags & (PACKET_ICMP_ERROR | PACKET_FLOW_END_MORE)))
		tx_inspect(m);
	if (m->alert_count || (m->state && m->state->tag_count) || m->host_tag_count)
		alerts_finish(m);
	if (m->stream_ready && m->streams)
		stream_raw_done(m->streams, pkt->flow, pkt->dir);
	return &m->result;
}
