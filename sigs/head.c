/* SPDX-License-Identifier: BSD-3-Clause */
#include "ruleset.h"

/* What a signature's header comes to: the facts that are tested before anything else. */

static uint8_t transport_of(const struct signature *sig)
{
	switch (sig->proto) {
	case SIG_IP:
	case SIG_IPV4:
	case SIG_IPV6:
		return SIG_TRANSPORT_IP;
	case SIG_TCP:
	case SIG_TCP_PKT:
	case SIG_TCP_STREAM:
		return SIG_TRANSPORT_TCP;
	case SIG_UDP:
		return SIG_TRANSPORT_UDP;
	case SIG_ICMP:
		return SIG_TRANSPORT_ICMP4 | SIG_TRANSPORT_ICMP6;
	case SIG_ICMPV4:
		return SIG_TRANSPORT_ICMP4;
	case SIG_ICMPV6:
		return SIG_TRANSPORT_ICMP6;
	case SIG_SCTP:
		return SIG_TRANSPORT_SCTP;
	case SIG_PKTHDR:
		return SIG_TRANSPORT_ALL;
	case SIG_APP:
		break;
	}
	const struct app_proto *app = app_proto_by_id(sig->app);
	uint8_t transport = 0;
	if (app == NULL || app->tcp)
		transport |= SIG_TRANSPORT_TCP;
	if (app == NULL || app->udp)
		transport |= SIG_TRANSPORT_UDP;
	return transport;
}

static bool has_packet_match(const struct signature *sig, enum match_type type)
{
	for (unsigned i = 0; i < sig->packet_count; i++)
		if (sig->packet[i].type == type)
			return true;
	return false;
}

static bool has_payload_buffer(const struct signature *sig)
{
	for (unsigned i = 0; i < sig->buffer_count; i++)
		if (sig->buffers[i].ref->kind == BUFFER_PAYLOAD)
			return true;
	return false;
}

/* Only sets bits of the flow, if any: what a signature may do that is judged once a flow. */
static bool posts_are_plain(const struct signature *sig)
{
	for (unsigned i = 0; i < sig->post_count; i++) {
		const struct match *post = &sig->post[i];
		if (post->type == MATCH_FLOWINT)
			return false;
		if (post->type == MATCH_BITS && post->bits.scope == BITS_FLOW && post->bits.op != BITS_SET)
			return false;
	}
	return true;
}

/* Nothing that could differ between two packets of a flow's direction. */
static bool judged_once(const struct signature *sig)
{
	for (unsigned i = 0; i < sig->packet_count; i++) {
		const struct match *match = &sig->packet[i];
		if (match->type != MATCH_IPREP && (match->type != MATCH_BITS || match->bits.scope == BITS_FLOW))
			return false;
	}
	return sig->buffer_count == 0 && sig->tx_count == 0 && posts_are_plain(sig);
}

static bool only_detects_protocol(const struct signature *sig)
{
	bool detects = false;
	for (unsigned i = 0; i < sig->packet_count; i++) {
		if (sig->packet[i].type == MATCH_APP_PROTOCOL)
			detects = true;
		else if (sig->packet[i].type != MATCH_IPREP)
			return false;
	}
	return detects && sig->proto != SIG_APP && sig->buffer_count == 0 && sig->tx_count == 0 &&
	       !(sig->flow & ~(SIG_FLOW_TO_SERVER | SIG_FLOW_TO_CLIENT)) && posts_are_plain(sig);
}

static enum sig_type type_of(const struct signature *sig, bool packet, bool stream)
{
	if (sig->flags & SIG_DECODE_EVENT)
		return SIG_TYPE_DECODE_EVENT;
	if (sig->flags & SIG_APP_INSPECT)
		return SIG_TYPE_TX;
	if (sig->flags & SIG_IP_ONLY && judged_once(sig))
		return SIG_TYPE_IP_ONLY;
	if (sig->flags & SIG_LIKE_IP_ONLY && judged_once(sig))
		return SIG_TYPE_LIKE_IP_ONLY;
	if (only_detects_protocol(sig))
		return SIG_TYPE_PROTO_DETECT;
	if (has_payload_buffer(sig) && stream)
		return packet ? SIG_TYPE_PACKET_STREAM : SIG_TYPE_STREAM;
	if (sig->proto == SIG_APP && sig->packet_count == 0)
		return SIG_TYPE_APP;
	return SIG_TYPE_PACKET;
}

static uint16_t needs_of(const struct signature *sig)
{
	static const struct {
		uint16_t flow, need;
	} needs[] = {
		{SIG_FLOW_TO_SERVER, SIG_NEED_TO_SERVER | SIG_NEED_FLOW},
		{SIG_FLOW_TO_CLIENT, SIG_NEED_TO_CLIENT | SIG_NEED_FLOW},
		{SIG_FLOW_ESTABLISHED, SIG_NEED_ESTABLISHED | SIG_NEED_FLOW},
		{SIG_FLOW_NOT_ESTABLISHED, SIG_NEED_NOT_ESTABLISHED | SIG_NEED_FLOW},
		{SIG_FLOW_ONLY_FRAG, SIG_NEED_FRAGMENT},
		{SIG_FLOW_NO_FRAG, SIG_NEED_NO_FRAGMENT},
	};
	uint16_t need = 0;
	for (unsigned i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		if (sig->flow & needs[i].flow)
			need |= needs[i].need;
	if ((need & (SIG_NEED_TO_SERVER | SIG_NEED_TO_CLIENT)) == (SIG_NEED_TO_SERVER | SIG_NEED_TO_CLIENT))
		need &= (uint16_t) ~(SIG_NEED_TO_SERVER | SIG_NEED_TO_CLIENT);
	if (sig->flags & SIG_HOOK_FLOW_START)
		need |= SIG_NEED_FLOW_FIRST | SIG_NEED_FLOW;
	if (sig->flags & SIG_TRANSACTIONAL_BIDIR)
		need &= (uint16_t) ~(SIG_NEED_TO_SERVER | SIG_NEED_TO_CLIENT);
	if (has_packet_match(sig, MATCH_DSIZE))
		need |= SIG_NEED_NOT_PSEUDO;
	return need;
}

static const struct address_set *address_or_any(const struct address_set *set)
{
	return set == NULL || set->any ? NULL : set;
}

static const struct port_set *ports_or_any(const struct port_set *set)
{
	return set == NULL || set->any ? NULL : set;
}

/* The sizes that all dsize of a signature allow; those that no range can say are left to the match itself. */
static void dsize_range(const struct signature *sig, struct sig_head *head)
{
	head->dsize_min = 0;
	head->dsize_max = UINT16_MAX;
	for (unsigned i = 0; i < sig->packet_count; i++) {
		const struct number_test *n = &sig->packet[i].number;
		uint64_t low = 0, high = UINT16_MAX;
		if (sig->packet[i].type != MATCH_DSIZE || sig->packet[i].negated)
			continue;
		if (n->op == NUMBER_EQ)
			low = high = n->a;
		else if (n->op == NUMBER_GT || n->op == NUMBER_GE || n->op == NUMBER_RANGE || n->op == NUMBER_RANGE_IN)
			low = n->a;
		else if (n->op == NUMBER_LT || n->op == NUMBER_LE)
			high = n->a;
		if (n->op == NUMBER_RANGE || n->op == NUMBER_RANGE_IN)
			high = n->b;
		if (low > head->dsize_min)
			head->dsize_min = (uint16_t)(low < UINT16_MAX ? low : UINT16_MAX);
		if (high < head->dsize_max)
			head->dsize_max = (uint16_t)high;
	}
}

int ruleset_head(struct sigs_ruleset *ruleset, uint32_t num, struct sig_head *head)
{
	const struct signature *sig = ruleset->sigs[num];
	bool tcp_like = sig->proto == SIG_TCP || sig->proto == SIG_APP;
	bool packet = sig->flags & SIG_PACKET_PAYLOAD;
	bool stream = sig->flags & SIG_STREAM_PAYLOAD;
	if (has_payload_buffer(sig) && !packet && !stream) {
		packet = !tcp_like && sig->proto != SIG_TCP_STREAM;
		stream = !packet;
	}
	*head = (struct sig_head){
		.src = address_or_any(sig->src),
		.dst = address_or_any(sig->dst),
		.sport = ports_or_any(sig->sport),
		.dport = ports_or_any(sig->dport),
		.sig = sig,
		.needs = needs_of(sig),
		.transport = transport_of(sig),
		.family = sig->family		   ? sig->family
			  : sig->proto == SIG_IPV4 ? 4
			  : sig->proto == SIG_IPV6 ? 6
						   : 0,
		.src_cached = ADDRESS_NOT_CACHED,
		.dst_cached = ADDRESS_NOT_CACHED,
		.type = (uint8_t)type_of(sig, packet, stream),
		.app_mask = sig->app_mask,
		.bidirectional = sig->flags & SIG_TRANSACTIONAL_BIDIR ? SIG_SIDES_BY_DIRECTION
				 : sig->flags & SIG_BIDIRECTIONAL     ? SIG_SIDES_EITHER
								      : SIG_SIDES_AS_WRITTEN,
		.packet_payload = packet,
		.stream_payload = stream,
		.stream_only = sig->proto == SIG_TCP_STREAM || (sig->flow & SIG_FLOW_ONLY_STREAM) != 0,
	};
	dsize_range(sig, head);
	head->ports = head->sport != NULL || head->dport != NULL;
	if (head->type == SIG_TYPE_PACKET)
		head->needs |= SIG_NEED_NOT_PSEUDO;
	if (sig->proto == SIG_APP && head->type != SIG_TYPE_TX)
		head->app = (uint8_t)sig->app;
	return 0;
}
