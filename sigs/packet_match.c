/* SPDX-License-Identifier: BSD-3-Clause */
#include <dataplane/decode.h>

#include "matcher.h"

/* Matches of the packet's headers and of its flow. */

static bool flags_hold(uint8_t have, const struct match *match)
{
	uint8_t want = (uint8_t)match->number.a;
	if (match->flag != 4)
		have &= (uint8_t)~match->number.b;
	switch (match->flag) {
	case 0:
		return have == want;
	case 1:
		return (have & want) == want;
	case 2:
		return (have & want) != 0;
	case 4:
		return number_test_holds(&match->number, have);
	default:
		return (have & want) == 0 || (want == 0 && have != 0);
	}
}

static bool is_echo(const struct packet *pkt)
{
	if (pkt->proto == 1)
		return pkt->icmp.has_id;
	return pkt->proto == 58 && pkt->icmp.has_id;
}

static bool is_icmp(const struct packet *pkt)
{
	return (pkt->proto == 1 || pkt->proto == 58) && pkt->l4 != NULL;
}

static bool tcp_holds(const struct packet *pkt, const struct match *match)
{
	const struct number_test *n = &match->number;
	if (pkt->proto != 6 || pkt->l4 == NULL)
		return false;
	switch (match->type) {
	case MATCH_TCP_FLAGS:
		return match->flag == 4 ? number_test_holds(n, pkt->tcp.flags) : flags_hold(pkt->tcp.flags, match);
	case MATCH_TCP_SEQ:
		return number_test_holds(n, pkt->tcp.seq);
	case MATCH_TCP_ACK:
		return number_test_holds(n, pkt->tcp.ack);
	case MATCH_TCP_WINDOW:
		return number_test_holds(n, pkt->tcp.window);
	case MATCH_TCP_MSS:
		return pkt->tcp.mss != 0 && number_test_holds(n, pkt->tcp.mss);
	case MATCH_TCP_WSCALE:
		return pkt->tcp.window_scale >= 0 && number_test_holds(n, (uint64_t)pkt->tcp.window_scale);
	default:
		return false;
	}
}

static bool icmp_holds(const struct packet *pkt, const struct match *match)
{
	const struct number_test *n = &match->number;
	if (!is_icmp(pkt))
		return false;
	switch (match->type) {
	case MATCH_ITYPE:
		return number_test_holds(n, pkt->icmp.type);
	case MATCH_ICODE:
		return number_test_holds(n, pkt->icmp.code);
	case MATCH_ICMP_ID:
		return is_echo(pkt) && number_test_holds(n, pkt->icmp.id);
	case MATCH_ICMP_SEQ:
		return is_echo(pkt) && number_test_holds(n, pkt->icmp.seq);
	case MATCH_ICMPV6_MTU:
		/* packet too big: the MTU follows type, code and checksum */
		return pkt->proto == 58 && pkt->icmp.type == 2 && pkt->l3_len >= pkt->l3_header_len + 8u &&
		       number_test_holds(n, load_be32(pkt->l4 + 4));
	default:
		return false;
	}
}

static bool csum_holds(const struct packet *pkt, const struct match *match)
{
	static const struct {
		uint8_t type, family, proto;
	} of[] = {
		{MATCH_TCPV4_CSUM, 4, 6},  {MATCH_TCPV6_CSUM, 6, 6},  {MATCH_UDPV4_CSUM, 4, 17},
		{MATCH_UDPV6_CSUM, 6, 17}, {MATCH_ICMPV4_CSUM, 4, 1}, {MATCH_ICMPV6_CSUM, 6, 58},
	};
	bool want = match->flag != 0;
	if (match->type == MATCH_IPV4_CSUM)
		return pkt->family == 4 && !(pkt->flags & PACKET_IP_CSUM_BAD) == want;
	for (unsigned i = 0; i < sizeof(of) / sizeof(of[0]); i++)
		if (of[i].type == match->type)
			return pkt->family == of[i].family && pkt->proto == of[i].proto && pkt->l4 &&
			       !(pkt->flags & PACKET_L4_CSUM_BAD) == want;
	return false;
}

static bool vlan_holds(const struct packet *pkt, const struct match *match)
{
	if (match->type == MATCH_VLAN_LAYERS)
		return number_test_holds(&match->number, pkt->vlan_count);
	int layer = match->flag < PACKET_VLAN_MAX ? match->flag : (int)pkt->vlan_count + match->flag - 255;
	if (match->flag < PACKET_VLAN_MAX || (match->flag >= 252 && match->flag <= 254))
		return layer >= 0 && layer < pkt->vlan_count && number_test_holds(&match->number, pkt->vlan[layer]);
	unsigned held = 0;
	for (unsigned i = 0; i < pkt->vlan_count; i++)
		held += number_test_holds(&match->number, pkt->vlan[i]);
	return match->flag == 251 ? held > 0 && held == pkt->vlan_count : held > 0;
}

static bool ip_holds(const struct packet *pkt, const struct match *match)
{
	const struct number_test *n = &match->number;
	if (pkt->family == 0)
		return false;
	switch (match->type) {
	case MATCH_IP_PROTO:
		return number_test_holds(n, pkt->proto);
	case MATCH_TTL:
		return number_test_holds(n, pkt->ttl);
	case MATCH_TOS:
		return number_test_holds(n, pkt->tos);
	case MATCH_IP_ID:
		return pkt->family == 4 && number_test_holds(n, pkt->ip_id);
	case MATCH_FRAGBITS:
		return pkt->family == 4 && flags_hold(pkt->ip_flags, match);
	case MATCH_FRAGOFFSET:
		return number_test_holds(n, pkt->frag_offset / 8);
	case MATCH_IPOPTS:
		return pkt->family == 4 && (pkt->ip_options & n->a) != 0;
	case MATCH_SAMEIP:
		return memcmp(&pkt->src, &pkt->dst, sizeof(pkt->src)) == 0;
	default:
		return false;
	}
}

/* --- who --------------------------------------------------------------------------------------------------------------- */

static bool country_is(struct sigs_matcher *m, const union packet_addr *addr, struct bytes codes)
{
	char code[3];
	if (m->env.country == NULL || !m->env.country(m->env.user, addr, m->pkt->family, code))
		return false;
	for (size_t i = 0; i + 1 < codes.len; i++)
		if ((i == 0 || codes.data[i - 1] == ',') && memcmp(codes.data + i, code, 2) == 0 &&
		    (i + 2 == codes.len || codes.data[i + 2] == ','))
			return true;
	return false;
}

static bool geoip_holds(struct sigs_matcher *m, const struct match *match)
{
	struct bytes codes = match->var.text;
	bool src, dst;
	if (m->pkt->family == 0)
		return false;
	src = country_is(m, &m->pkt->src, codes) != match->negated;
	dst = country_is(m, &m->pkt->dst, codes) != match->negated;
	switch (match->flag) {
	case 1:
		return src;
	case 2:
		return dst;
	case 3:
		return src || dst;
	default:
		return src && dst;
	}
}

static bool reputed(struct sigs_matcher *m, const struct match *match, const union packet_addr *addr)
{
	int score = iprep_score(m->ruleset->parsed.iprep, addr, m->pkt->family, match->iprep.category);
	/* "isnotset" asks for the absence of a score. */
	if (match->negated)
		return score < 0;
	return score >= 0 && number_test_holds(&match->iprep.test, (uint64_t)score);
}

static bool iprep_holds(struct sigs_matcher *m, const struct match *match)
{
	const struct packet *pkt = m->pkt;
	if (pkt->family == 0 || m->ruleset->parsed.iprep == NULL)
		return false;
	switch (match->iprep.side) {
	case 1:
		return reputed(m, match, &pkt->src);
	case 2:
		return reputed(m, match, &pkt->dst);
	case 3:
		return reputed(m, match, &pkt->src) && reputed(m, match, &pkt->dst);
	default:
		return reputed(m, match, &pkt->src) || reputed(m, match, &pkt->dst);
	}
}

/* --- flow --------------------------------------------------------------------------------------------------------------- */

static bool stream_size_holds(const struct packet *pkt, const struct match_stream_size *match)
{
	if (pkt->flow == NULL || pkt->flow->tcp == NULL)
		return false;
	uint64_t client = stream_size(pkt->flow, TO_SERVER), server = stream_size(pkt->flow, TO_CLIENT);
	bool of_client = number_test_holds(&match->test, client), of_server = number_test_holds(&match->test, server);
	switch (match->side) {
	case STREAM_SIZE_SERVER:
		return of_server;
	case STREAM_SIZE_CLIENT:
		return of_client;
	case STREAM_SIZE_BOTH:
		return of_client && of_server;
	case STREAM_SIZE_EITHER:
		return of_client || of_server;
	}
	return false;
}

static bool flow_count_holds(const struct flow *flow, const struct match *match)
{
	const uint64_t *counts = match->type == MATCH_FLOW_PKTS ? flow->packets : flow->bytes;
	bool to_server = number_test_holds(&match->number, counts[TO_SERVER]);
	bool to_client = number_test_holds(&match->number, counts[TO_CLIENT]);
	switch (match->flag) {
	case 0:
		return to_server;
	case 1:
		return to_client;
	case 2:
		return number_test_holds(&match->number, counts[TO_SERVER] + counts[TO_CLIENT]);
	default:
		return to_server || to_client;
	}
}

/* While recognition is unsettled neither "is" nor "is not" is known. */
static bool app_is(const struct match *match, enum app_id have)
{
	if (have == APP_UNKNOWN)
		return false;
	return (have == (enum app_id)match->number.a) != match->negated;
}

static bool app_protocol_holds(const struct packet *pkt, const struct match *match)
{
	const struct flow *flow = pkt->flow;
	if (flow == NULL)
		return false;
	enum app_id to_server = app_id_of(flow, TO_SERVER), to_client = app_id_of(flow, TO_CLIENT);
	enum app_id final = (enum app_id)flow->app_proto;
	if (final == APP_UNKNOWN && app_failed(flow))
		final = to_server = to_client = APP_FAILED;
	switch (match->flag) {
	case 1:
		return app_is(match, to_server);
	case 2:
		return app_is(match, to_client);
	case 3:
		return app_is(match, to_server) && app_is(match, to_client);
	case 4:
		return app_is(match, to_server) || app_is(match, to_client);
	default:
		return app_is(match, final);
	}
}

static bool flow_holds(struct sigs_matcher *m, const struct match *match)
{
	const struct flow *flow = m->pkt->flow;
	if (flow == NULL)
		return false;
	switch (match->type) {
	case MATCH_FLOW_AGE:
		return number_test_holds(&match->number, (m->pkt->ts_ns - flow->first_ns) / 1000000000ull);
	case MATCH_FLOW_PKTS:
	case MATCH_FLOW_BYTES:
		return flow_count_holds(flow, match);
	default:
		return false;
	}
}

static bool text_within(const uint8_t *data, uint32_t len, struct bytes text)
{
	return content_find(data, len, text, false) != NULL;
}

static bool var_holds(const struct sigs_matcher *m, const struct match *match)
{
	if (match->type == MATCH_FLOWVAR) {
		const struct sig_flow_var *var = flow_var_get(m, match->var.name);
		return var && text_within(var->data, var->len, match->var.text) != match->negated;
	}
	const struct packet_var *var = packet_var_get(m, match->var.name);
	return var && text_within(var->data, var->len, match->var.text) != match->negated;
}

/* --- all ------------------------------------------------------------------------------------------------------------------ */

static bool dsize_holds(const struct packet *pkt, const struct match *match)
{
	if (pkt->flags & PACKET_FLOW_END || pkt->family == 0)
		return false;
	return number_test_holds(&match->number, pkt->payload ? pkt->payload_len : 0);
}

static bool match_holds(struct sigs_matcher *m, const struct match *match)
{
	const struct packet *pkt = m->pkt;
	switch (match->type) {
	case MATCH_DSIZE:
		return dsize_holds(pkt, match) != match->negated;
	case MATCH_IP_PROTO ... MATCH_SAMEIP:
		return pkt->family != 0 && ip_holds(pkt, match) != match->negated;
	case MATCH_TCP_FLAGS ... MATCH_TCP_WSCALE:
		return tcp_holds(pkt, match) != match->negated;
	case MATCH_ITYPE ... MATCH_ICMPV6_MTU:
		return icmp_holds(pkt, match) != match->negated;
	case MATCH_IPV4_CSUM ... MATCH_ICMPV6_CSUM:
		return csum_holds(pkt, match);
	case MATCH_PACKET_EVENT:
		return event_set_has(&pkt->events, match->event) != match->negated;
	case MATCH_VLAN_ID:
	case MATCH_VLAN_LAYERS:
		return vlan_holds(pkt, match) != match->negated;
	case MATCH_GEOIP:
		return geoip_holds(m, match);
	case MATCH_IPREP:
		return iprep_holds(m, match);
	case MATCH_BITS:
		return bits_match(m, match, NULL);
	case MATCH_FLOWINT:
		return flowint_match(m, &match->flowint);
	case MATCH_STREAM_SIZE:
		return stream_size_holds(pkt, &match->stream_size) != match->negated;
	case MATCH_FLOW_AGE ... MATCH_FLOW_BYTES:
		return flow_holds(m, match) != match->negated;
	case MATCH_APP_PROTOCOL:
		return app_protocol_holds(pkt, match);
	case MATCH_FLOWVAR:
	case MATCH_PKTVAR:
		return var_holds(m, match);
	default:
		return false;
	}
}

bool packet_matches(struct sigs_matcher *m, const struct signature *sig)
{
	for (unsigned i = 0; i < sig->packet_count; i++) {
		/* What expressions of this very signature capture is known only after its buffers. */
		if (sig->packet[i].type == MATCH_PKTVAR)
			continue;
		if (!match_holds(m, &sig->packet[i]))
			return false;
	}
	return true;
}
