/* SPDX-License-Identifier: BSD-3-Clause */
/* Flows that are forwarded without a look: because a rule, a policy or their encryption says so, or for overload. */
#include <netinet/in.h>

#include "worker.h"

#define TCP_SYN 0x02
#define TCP_ACK 0x10
/* Packets of a bypassed flow that come to the sensor nevertheless, until the backend is asked again. */
#define SHUNT_AGAIN 64

static void ask_shunt(struct worker *w, const struct packet *pkt)
{
	/* what a tunnel carries is not for the backend to tell apart */
	if (pkt->root == pkt && w->c.io->ops->shunt && w->c.io->ops->shunt(w->c.io, pkt) == 0)
		count(w->counters, COUNTER_FLOW_BYPASSED_SHUNTED);
}

/* From here on the flow is forwarded as it comes: nothing of it is kept. */
static void begin_bypass(struct worker *w, struct packet *pkt)
{
	struct flow *flow = pkt->flow;
	count(w->counters, COUNTER_FLOW_BYPASSED_FLOWS);
	flow_set_state(w->flows, flow, FLOW_BYPASSED);
	for (int d = 0; d < 2 && flow->tcp; d++) {
		stream_app_disable(w->streams, flow, (enum direction)d);
		stream_raw_disable(w->streams, flow, (enum direction)d);
	}
	/* what overload took away comes back when it passes, and is not given to others */
	if (!(flow->flags & FLOW_OVERLOAD))
		ask_shunt(w, pkt);
}

/* Whether a bypassed flow is looked at again: another connection begins on its ports, or the overload is over and sessions may be
 * picked up where they are. */
static bool ends_bypass(const struct worker *w, const struct packet *pkt, const struct flow *flow)
{
	if (pkt->proto == IPPROTO_TCP && (pkt->tcp.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		return true;
	if (!(flow->flags & FLOW_OVERLOAD) || w->overload.state.step > 0)
		return false;
	enum exception_policy policy = w->c.config->stream.midstream_policy;
	return pkt->proto != IPPROTO_TCP || w->picks_up || w->c.config->stream.midstream || policy == EXCEPTION_IGNORE;
}

bool bypass_packet(struct worker *w, struct packet *pkt, bool *full)
{
	struct flow *flow = pkt->flow;
	if (flow->flags & FLOW_BYPASS && ends_bypass(w, pkt, flow)) {
		if (flow->flags & FLOW_OVERLOAD)
			count(w->counters, COUNTER_FLOW_BYPASSED_RESUMED);
		flow_remove(w->flows, flow, FLOW_END_CLOSED);
		flow = flow_lookup(w->flows, pkt, full);
		if (!flow)
			return false;
	}
	if (w->overload.watching && !(flow->flags & (FLOW_BYPASS | FLOW_DROP)) &&
	    overload_weigh(&w->overload, flow->id, flow->hash, pkt->wire_len, pkt->flags & PACKET_FLOW_FIRST)) {
		flow->flags |= FLOW_BYPASS | FLOW_OVERLOAD;
		count(w->counters, COUNTER_FLOW_BYPASSED_OVERLOAD);
		begin_bypass(w, pkt);
	}
	if (!(flow->flags & FLOW_BYPASS))
		return false;
	if (!(flow->flags & FLOW_OVERLOAD) && (flow->packets[0] + flow->packets[1]) % SHUNT_AGAIN == 0)
		ask_shunt(w, pkt);
	count(w->counters, COUNTER_FLOW_BYPASSED_PKTS);
	count_add(w->counters, COUNTER_FLOW_BYPASSED_BYTES, pkt->wire_len);
	pkt->flags |= PACKET_NO_INSPECT;
	pkt->root->flags |= PACKET_BYPASSED;
	return true;
}

void bypass_settle(struct worker *w, struct packet *pkt)
{
	struct flow *flow = pkt->flow;
	if (flow->flags & FLOW_NO_PAYLOAD && w->c.config->encryption_handling == ENCRYPTION_BYPASS)
		flow->flags |= FLOW_BYPASS;
	if (flow->flags & FLOW_BYPASS && !(flow->flags & FLOW_DROP) && flow->state != FLOW_BYPASSED)
		begin_bypass(w, pkt);
}
