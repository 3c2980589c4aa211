/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One packet through the layers: fragments, flow, stream, application, signatures, policy, records. And the last
 * inspection of a flow that ends.
 */
#include <netinet/in.h>
#include <pcap/dlt.h>
#include <string.h>

#include "worker.h"

/* Layers of one frame: what the decoder follows, and the same again inside a reassembled datagram. */
#define LAYERS_MAX (DECODE_LAYERS_MAX + 1)

/* Holes of a direction that ends, behind which data is still inspected: ordinary loss leaves a few; a sender that makes
 * hundreds costs no more than this. */
#define ENDING_HOLES_MAX 64

static void judge_chain(struct worker *w, struct packet *outermost);
static void judge_ending(struct worker *w, struct flow *flow, enum direction dir);
static void ending_packet(struct worker *w, struct flow *flow, enum direction dir);

static void count_events(struct worker *w, const struct packet *pkt)
{
	for (unsigned i = 0; i < EVENT_WORDS; i++)
		for (uint64_t bits = pkt->events.bits[i]; bits; bits &= bits - 1)
			w->counters->event[i * 64 + (unsigned)__builtin_ctzll(bits)]++;
}

static void send_rejects(struct worker *w, const struct packet *pkt, enum reject_target target)
{
	if (!w->c.io->ops->inject)
		return;
	for (int back = 1; back >= 0; back--) {
		if (target != REJECT_BOTH && target != (back ? REJECT_SOURCE : REJECT_DESTINATION))
			continue;
		size_t len = reject_build(pkt, back, w->reject_frame);
		if (len > 0 && w->c.io->ops->inject(w->c.io, w->reject_frame, len, pkt->ts_ns, pkt->port,
						    pkt->link_type, back) == 0) {
			w->tally.rejects++;
			count(w->counters, COUNTER_IPS_REJECTED);
		}
	}
}

/* --- layers ---------------------------------------------------------------------------------------------------------- */

/* The flow and what it has been told already. False when the packet needs no further look. */
static bool find_flow(struct worker *w, struct packet *pkt, struct judgement *judgement)
{
	bool full = false;
	struct flow *flow = flow_lookup(w->flows, pkt, &full);
	if (!flow)
		return !full ||
		       policy_apply_exception(pkt, w->c.config->flow.memcap_policy, DROP_FLOW_MEMCAP, judgement);
	if (flow->flags & FLOW_DROP) {
		packet_drop(pkt, DROP_FLOW_DROP);
		return false;
	}
	if (!(flow->flags & FLOW_BYPASS) && !w->overload.watching)
		return true;
	bool passed_by = bypass_packet(w, pkt, &full);
	if (full)
		return policy_apply_exception(pkt, w->c.config->flow.memcap_policy, DROP_FLOW_MEMCAP, judgement);
	return !passed_by;
}

/* Stream and application layer. False when the packet must not go to the signatures. */
static bool follow_flow(struct worker *w, struct packet *pkt, struct judgement *judgement)
{
	if (pkt->proto == IPPROTO_TCP && pkt->l4) {
		stream_packet(w->streams, w->flows, pkt);
		if (!pkt->flow || pkt->flow->flags & FLOW_DROP) {
			if (pkt->flow && pkt->flow->flags & FLOW_REJECT)
				judgement->reject = REJECT_SOURCE;
			return false;
		}
		if (pkt->flow->flags & FLOW_PASS)
			pkt->flags |= PACKET_NO_INSPECT;
		if (pkt->verdict == VERDICT_DROP)
			return true; /* stream events of a dropped packet can still be matched */
		if (pkt->flow->flags & FLOW_SETTLED)
			return true;
	} else if (pkt->proto != IPPROTO_UDP || !pkt->l4) {
		return true;
	}
	enum exception_policy policy = EXCEPTION_IGNORE;
	uint64_t memcaps = w->counters->value[COUNTER_APP_LAYER_MEMCAP];
	if (app_update(w->apps, w->streams, pkt, &policy))
		return true;
	bool memcap = w->counters->value[COUNTER_APP_LAYER_MEMCAP] != memcaps;
	if (policy_apply_exception(pkt, policy, memcap ? DROP_APPLAYER_MEMCAP : DROP_APPLAYER, judgement))
		return true;
	/* a packet that is dropped for what its protocol's parser met is still judged: the rules that name it say why */
	if (pkt->verdict == VERDICT_DROP)
		pkt->flags &= ~(uint32_t)PACKET_NO_INSPECT;
	return pkt->verdict == VERDICT_DROP;
}

static const struct sigs_result *inspect(struct worker *w, struct packet *pkt, struct judgement *judgement)
{
	const struct sigs_result *result = sigs_inspect(w->matcher, pkt);
	if (result->count > 0 || result->pass || result->pass_flow)
		policy_apply_matches(pkt, result, judgement);
	return result;
}

static void write_records(struct worker *w, struct packet *pkt, const struct sigs_result *result,
			  const struct judgement *judgement)
{
	if (result && (result->count > 0 || result->tagged)) {
		for (unsigned i = 0; i < result->count; i++)
			w->tally.alerts += !result->matches[i].filtered;
		record_alerts(w->c.records, pkt, result, judgement);
	}
	if (w->inline_mode && pkt->verdict == VERDICT_DROP)
		record_drop(w->c.records, pkt, result, judgement);
	if (event_set_any(&pkt->events)) {
		count_events(w, pkt);
		record_anomalies(w->c.records, pkt);
	}
	if (pkt->flow && pkt->flow->app) {
		record_transactions(w->c.records, pkt, false);
		app_reap(w->apps, pkt->flow);
	}
}

/* --- fragments -------------------------------------------------------------------------------------------------------- */

/* Sends the held fragments of a datagram on, or drops them with it. */
static void settle_held(struct worker *w, const struct packet *datagram, const struct packet *frame)
{
	for (struct held_frame *h = defrag_held(w->defrag, datagram); h; h = h->next) {
		if (w->tally.held > 0)
			w->tally.held--;
		bool sent = frame->verdict != VERDICT_DROP && w->c.io->ops->inject &&
			    w->c.io->ops->inject(w->c.io, h->data, h->len, h->ts_ns, h->port, h->link_type, false) == 0;
		if (sent) {
			w->tally.forwarded++;
			count(w->counters, COUNTER_IPS_ACCEPTED);
		} else {
			w->tally.dropped++;
			w->counters->drop[frame->verdict == VERDICT_DROP ? frame->drop_reason : DROP_BACKEND]++;
			count(w->counters, COUNTER_IPS_BLOCKED);
		}
	}
}

static void judge_fragment(struct worker *w, struct packet *pkt)
{
	worker_fragments_begin(w);
	struct packet *datagram = defrag_add(w->defrag, w->decoder, pkt);
	worker_fragments_end(w);
	if (!datagram)
		return;
	judge_chain(w, datagram);
	if (!w->inline_mode)
		return;
	/* the bytes of single fragments cannot be made to say what a rewritten datagram says */
	for (struct packet *p = datagram; p; p = p->inner)
		if (p->verdict == VERDICT_REPLACE)
			packet_drop(pkt, DROP_STREAM_REASSEMBLY);
	if (datagram->verdict == VERDICT_DROP)
		packet_drop(pkt, datagram->drop_reason);
	settle_held(w, datagram, pkt->root);
}

/* --- a packet, a frame ------------------------------------------------------------------------------------------------ */

/* What is left of a direction or both of a TCP session that ends: everything received counts, acknowledged or not. */
static void judge_rest(struct worker *w, struct flow *flow)
{
	stream_finish(w->streams, flow);
	judge_ending(w, flow, TO_SERVER);
	judge_ending(w, flow, TO_CLIENT);
	if (flow->app) {
		ending_packet(w, flow, TO_SERVER);
		record_transactions(w->c.records, &w->ending, true);
		app_session_free(w->apps, flow);
	}
}

/* A session that closed, in order or by a reset, is judged to its end at once: waiting for its timeout would keep the memory
 * of every closed connection, and touch it again when it has long left the caches. */
static void settle_if_closed(struct worker *w, struct flow *flow)
{
	if (flow->flags & (FLOW_SETTLED | FLOW_DROP | FLOW_BYPASS) || !stream_closed_for_good(flow))
		return;
	uint32_t ending = flow->flags & FLOW_ENDING;
	flow->flags |= FLOW_ENDING;
	judge_rest(w, flow);
	flow->flags = (flow->flags & ~FLOW_ENDING) | ending | FLOW_SETTLED;
	for (int d = 0; d < 2; d++) {
		stream_app_disable(w->streams, flow, (enum direction)d);
		stream_raw_disable(w->streams, flow, (enum direction)d);
	}
}

/* Whether nothing may come from its source or go to its destination. */
static bool is_blocked(const struct worker *w, struct packet *pkt)
{
	const struct blocklist *list = w->c.blocklist;
	if (!pkt->family || !list || !blocklist_any(list) ||
	    (!blocklist_has(list, &pkt->src, pkt->family) && !blocklist_has(list, &pkt->dst, pkt->family)))
		return false;
	packet_drop(pkt, DROP_BLOCKLIST);
	return true;
}

static void judge_packet(struct worker *w, struct packet *pkt)
{
	struct judgement judgement = {.inline_mode = w->inline_mode};
	const struct sigs_result *result = NULL;
	bool go_on = !is_blocked(w, pkt);
	if (!go_on)
		;
	else if (pkt->flags & PACKET_FRAGMENT)
		judge_fragment(w, pkt);
	else if (!(pkt->flags & PACKET_INVALID) && pkt->family)
		go_on = find_flow(w, pkt, &judgement);
	if (go_on && pkt->flow)
		go_on = follow_flow(w, pkt, &judgement);
	if (go_on)
		result = inspect(w, pkt, &judgement);
	write_records(w, pkt, result, &judgement);
	if (judgement.reject != REJECT_NONE)
		send_rejects(w, pkt, judgement.reject);
	if (pkt->flow && pkt->flow->flags & (FLOW_BYPASS | FLOW_NO_PAYLOAD))
		bypass_settle(w, pkt);
	if (pkt->flow && pkt->flow->tcp && pkt->flow->state == FLOW_CLOSED)
		settle_if_closed(w, pkt->flow);
}

/* The innermost layer first: a verdict on what a tunnel carries is one on the tunnel's packet as well. */
static void judge_chain(struct worker *w, struct packet *outermost)
{
	struct packet *layers[LAYERS_MAX];
	unsigned n = 0;
	for (struct packet *p = outermost; p && n < LAYERS_MAX; p = p->inner)
		layers[n++] = p;
	while (n-- > 0) {
		struct packet *p = layers[n];
		judge_packet(w, p);
		if (n == 0)
			break;
		if (p->verdict == VERDICT_DROP)
			packet_drop(outermost, DROP_INNER);
		else if (p->verdict == VERDICT_REPLACE && outermost->verdict == VERDICT_FORWARD)
			outermost->verdict = VERDICT_REPLACE;
	}
}

void judge_frame(struct worker *w, struct packet *frame)
{
	judge_chain(w, frame);
	if (!w->inline_mode)
		frame->verdict = VERDICT_FORWARD;
}

/* --- the end of a flow ------------------------------------------------------------------------------------------------ */

static void ending_packet(struct worker *w, struct flow *flow, enum direction dir)
{
	struct packet *pkt = &w->ending;
	int from = dir == TO_SERVER ? 0 : 1;
	memset(pkt, 0, sizeof(*pkt));
	pkt->flags = PACKET_FLOW_END | PACKET_ESTABLISHED;
	pkt->ts_ns = flow->last_ns;
	/* what is found only now is shown where a person should look: at the last packet that said something */
	pkt->number = flow->last_number[dir];
	pkt->link_type = DLT_RAW;
	pkt->port = flow->input_port;
	pkt->family = flow->key.family;
	pkt->proto = flow->key.proto;
	pkt->src = flow->key.addr[from];
	pkt->dst = flow->key.addr[1 - from];
	pkt->sport = flow->key.port[from];
	pkt->dport = flow->key.port[1 - from];
	pkt->tcp.window_scale = -1;
	for (unsigned i = 0; i < 2 && flow->key.vlan[i]; i++)
		pkt->vlan[pkt->vlan_count++] = flow->key.vlan[i];
	pkt->root = pkt;
	pkt->flow = flow;
	pkt->dir = dir;
}

/* Whether a direction has anything that signatures have not judged: only then is its end inspected, so that a rule that
 * asks for nothing but addresses does not match a flow once more because it ended. */
static bool has_uninspected(struct flow *flow, enum direction dir)
{
	struct stream_view view;
	uint32_t fresh;
	if (stream_app_view(flow, dir, &view) && (view.len > 0 || view.gap > 0))
		return true;
	if (stream_raw_view(flow, dir, &view, &fresh) && fresh < view.len)
		return true;
	for (struct app_tx *tx = app_tx_first(flow); tx; tx = tx->next)
		if (!tx->inspected[dir])
			return true;
	return false;
}

/* Data behind holes, a piece a hole: each becomes visible when the one before is judged. */
static void judge_behind_holes(struct worker *w, struct flow *flow, enum direction dir)
{
	struct stream_view view;
	uint32_t fresh;
	for (unsigned i = 0; i < ENDING_HOLES_MAX && stream_raw_view(flow, dir, &view, &fresh); i++) {
		struct judgement judgement = {.inline_mode = w->inline_mode};
		w->ending.flags |= PACKET_FLOW_END_MORE;
		const struct sigs_result *result = inspect(w, &w->ending, &judgement);
		write_records(w, &w->ending, result, &judgement);
	}
}

static void judge_ending(struct worker *w, struct flow *flow, enum direction dir)
{
	struct judgement judgement = {.inline_mode = w->inline_mode};
	const struct sigs_result *result = NULL;
	enum exception_policy policy;
	bool inspects = has_uninspected(flow, dir);
	ending_packet(w, flow, dir);
	if (flow->app || inspects)
		app_update(w->apps, w->streams, &w->ending, &policy);
	if (inspects || (flow->app && has_uninspected(flow, dir)))
		result = inspect(w, &w->ending, &judgement);
	write_records(w, &w->ending, result, &judgement);
	judge_behind_holes(w, flow, dir);
}

void judge_flow_end(void *user, struct flow *flow, enum flow_end why)
{
	struct worker *w = user;
	flow->flags |= FLOW_ENDING;
	if (flow->tcp && !(flow->flags & (FLOW_DROP | FLOW_BYPASS | FLOW_SETTLED))) {
		judge_rest(w, flow);
	} else if (flow->app) {
		ending_packet(w, flow, TO_SERVER);
		record_transactions(w->c.records, &w->ending, true);
	}
	record_flow(w->c.records, flow, why);
	if (flow->app)
		app_session_free(w->apps, flow);
	if (flow->tcp)
		stream_session_free(w->streams, flow);
	sigs_flow_free(w->matcher, flow);
}
