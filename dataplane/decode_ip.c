/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IPv4, IPv6 and its extension headers.
 */
#include <netinet/in.h>
#include <string.h>

#include "decode_layers.h"

#define IPV4_HEADER_MIN 20
#define IPV6_HEADER_LEN 40
#define IPPROTO_HIP	139
#define IPPROTO_SHIM6	140

#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_OFFSET_MASK    0x1fff

/* What stood wrong in the header makes the layer unusable: rules that look at addresses must not see half of them. */
static void ip_invalid(struct packet *pkt, enum event event)
{
	decode_invalid(pkt, event);
	pkt->l3 = NULL;
	pkt->family = 0;
}

/* What both versions carry alike; false when the protocol is none of them. */
static bool decode_transport(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	switch (pkt->proto) {
	case IPPROTO_TCP:
		decode_tcp(d, pkt, c);
		return true;
	case IPPROTO_UDP:
		decode_udp(d, pkt, c);
		return true;
	case IPPROTO_SCTP:
		decode_sctp(d, pkt, c);
		return true;
	case IPPROTO_GRE:
		decode_gre(d, pkt, c);
		return true;
	case IPPROTO_ESP:
		decode_esp(d, pkt, c);
		return true;
	case IPPROTO_UDPLITE:
		decode_udplite(d, pkt, c);
		return true;
	default:
		return false;
	}
}

static void decode_ipv4_payload(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	switch (pkt->proto) {
	case IPPROTO_ICMP:
		decode_icmpv4(d, pkt, c);
		break;
	case IPPROTO_IPV6:
		count(d->counters, COUNTER_DECODER_IPV6_IN_IPV4);
		(void)decode_inner(d, pkt, c, INNER_IPV6, TUNNEL_6IN4);
		break;
	case IPPROTO_IPIP:
		count(d->counters, COUNTER_DECODER_IPV4_IN_IPV4);
		(void)decode_inner(d, pkt, c, INNER_IPV4, TUNNEL_IPIP);
		break;
	case IPPROTO_IGMP:
		decode_igmp(d, pkt, c);
		break;
	case IPPROTO_ICMPV6:
		decode_invalid(pkt, EVENT_IPV4_ICMPV6);
		break;
	default:
		if (!decode_transport(d, pkt, c))
			packet_event(pkt, EVENT_IPV4_UNKNOWN_PROTOCOL);
	}
}

/* Takes the fixed header and bounds the cursor by the total length; NULL when there is no usable header. */
static const uint8_t *take_ipv4_header(struct packet *pkt, struct cursor *c)
{
	size_t left = cursor_left(c);
	const uint8_t *h = cursor_take(c, IPV4_HEADER_MIN);
	if (!h) {
		ip_invalid(pkt, EVENT_IPV4_PKT_TOO_SMALL);
		return NULL;
	}
	if (h[0] >> 4 != 4) {
		ip_invalid(pkt, EVENT_IPV4_WRONG_IP_VERSION);
		return NULL;
	}
	unsigned header_len = (h[0] & 0x0fu) * 4, total = load_be16(h + 2);
	if (header_len < IPV4_HEADER_MIN) {
		ip_invalid(pkt, EVENT_IPV4_HLEN_TOO_SMALL);
		return NULL;
	}
	if (total < header_len) {
		ip_invalid(pkt, EVENT_IPV4_IPLEN_SMALLER_THAN_HLEN);
		return NULL;
	}
	if (total > left) {
		/* the receiver of a frame that is too short throws it away; of one that the capture cut, the rest was there */
		if (!decode_cut(pkt) || header_len > left) {
			ip_invalid(pkt, EVENT_IPV4_TRUNC_PKT);
			return NULL;
		}
		packet_event(pkt, EVENT_IPV4_TRUNC_PKT);
		total = (unsigned)left;
	}
	pkt->l3_len = total;
	pkt->l3_header_len = (uint16_t)header_len;
	c->end = h + total;
	return h;
}

static void set_payload(struct packet *pkt, const struct cursor *c)
{
	pkt->payload = c->at;
	pkt->payload_len = (uint16_t)(c->end - c->at);
}

void decode_ipv4(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	count(d->counters, COUNTER_DECODER_IPV4);
	if (!decode_enter(d, pkt))
		return;
	const uint8_t *h = take_ipv4_header(pkt, c);
	if (!h)
		return;
	pkt->l3 = h;
	pkt->family = 4;
	memcpy(pkt->src.bytes, h + 12, 4);
	memcpy(pkt->dst.bytes, h + 16, 4);
	pkt->tos = h[1];
	pkt->ip_id = load_be16(h + 4);
	pkt->ttl = h[8];
	pkt->proto = d->vj ? IPPROTO_TCP : h[9];
	uint16_t fragment = load_be16(h + 6);
	pkt->ip_flags = (uint8_t)(fragment >> 13);
	if (pkt->l3_header_len > IPV4_HEADER_MIN) {
		struct cursor options = cursor_of(c->at, pkt->l3_header_len - IPV4_HEADER_MIN);
		if (!decode_ipv4_options(pkt, options)) {
			pkt->l3 = NULL;
			pkt->family = 0;
			return;
		}
		cursor_skip(c, pkt->l3_header_len - IPV4_HEADER_MIN);
	}
	if (d->config.check_checksums && !d->vj && checksum_fold(checksum_add(0, h, pkt->l3_header_len)) != 0)
		pkt->flags |= PACKET_IP_CSUM_BAD;
	set_payload(pkt, c);
	if (fragment & (IPV4_MORE_FRAGMENTS | IPV4_OFFSET_MASK)) {
		pkt->flags |= PACKET_FRAGMENT;
		pkt->frag_id = pkt->ip_id;
		pkt->frag_offset = (uint16_t)((fragment & IPV4_OFFSET_MASK) * 8);
		pkt->more_fragments = fragment & IPV4_MORE_FRAGMENTS;
		return;
	}
	d->skip_l4_check = pkt->root->checksum_unready || pkt->l3_len < load_be16(h + 2);
	decode_ipv4_payload(d, pkt, c);
}

/* Which extension headers were met already: a second one of a kind is an anomaly, but receivers read on, and so do we. */
struct ext_seen {
	bool hop_by_hop, routing, fragment, auth;
	uint8_t destination;
};

enum ext_result { EXT_NEXT, EXT_FINAL, EXT_STOP };

/* Takes `len` bytes of a header that starts at h; false when they are not here, or the headers are longer than their length
 * can be kept. */
static bool ext_take(struct packet *pkt, struct cursor *c, const uint8_t *h, size_t len)
{
	if ((size_t)(c->end - h) < len || (size_t)(h - pkt->l3) + len > UINT16_MAX) {
		decode_invalid(pkt, EVENT_IPV6_TRUNC_EXTHDR);
		return false;
	}
	c->at = h + len;
	return true;
}

static void ext_options(struct decoder *d, struct packet *pkt, const uint8_t *h, size_t len, struct ext_seen *seen)
{
	bool hop_by_hop = pkt->proto == IPPROTO_HOPOPTS;
	if (hop_by_hop && seen->hop_by_hop) {
		packet_event(pkt, EVENT_IPV6_EXTHDR_DUPL_HH);
		return;
	}
	/* one before and one after a routing header are usual */
	if (!hop_by_hop && seen->destination == 2) {
		packet_event(pkt, EVENT_IPV6_EXTHDR_DUPL_DH);
		return;
	}
	seen->hop_by_hop |= hop_by_hop;
	seen->destination = (uint8_t)(seen->destination + !hop_by_hop);
	decode_ipv6_options(d, pkt, cursor_of(h + 2, len - 2), hop_by_hop);
}

static void ext_routing(struct decoder *d, struct packet *pkt, const uint8_t *h, struct ext_seen *seen)
{
	if (seen->routing) {
		packet_event(pkt, EVENT_IPV6_EXTHDR_DUPL_RH);
		return;
	}
	seen->routing = true;
	if (h[2] == 0)
		packet_event(pkt, EVENT_IPV6_RH_TYPE_0);
	/* with segments left the checksum covers the last of them, not the address in the header */
	if (h[3] != 0)
		d->skip_l4_check = true;
}

static void ext_auth(struct packet *pkt, const uint8_t *h, struct ext_seen *seen)
{
	if (load_be16(h + 2) != 0)
		packet_event(pkt, EVENT_IPV6_EXTHDR_AH_RES_NOT_NULL);
	if (seen->auth)
		packet_event(pkt, EVENT_IPV6_EXTHDR_DUPL_AH);
	seen->auth = true;
}

/* The fragment header; EXT_NEXT for a fragment that is whole by itself (RFC 6946), which is read on as if it had none. */
static enum ext_result ext_fragment(struct packet *pkt, struct cursor *c, const uint8_t *h, struct ext_seen *seen)
{
	if (h[1] != 0)
		packet_event(pkt, EVENT_IPV6_FH_NON_ZERO_RESERVED_FIELD);
	if (seen->fragment)
		packet_event(pkt, EVENT_IPV6_EXTHDR_DUPL_FH);
	seen->fragment = true;
	uint16_t field = load_be16(h + 2);
	pkt->frag_id = load_be32(h + 4);
	pkt->frag_offset = field & 0xfff8;
	pkt->more_fragments = field & 1;
	if (pkt->frag_offset == 0 && !pkt->more_fragments) {
		packet_event(pkt, EVENT_IPV6_EXTHDR_USELESS_FH);
		return EXT_NEXT;
	}
	if (pkt->more_fragments && (c->end - c->at) % 8 != 0)
		packet_event(pkt, EVENT_IPV6_FRAG_INVALID_LENGTH);
	pkt->flags |= PACKET_FRAGMENT;
	return EXT_STOP;
}

/* One header of type pkt->proto; sets pkt->proto to what follows it. */
static enum ext_result ext_header(struct decoder *d, struct packet *pkt, struct cursor *c, struct ext_seen *seen)
{
	const uint8_t *h = c->at;
	enum ext_result result = EXT_NEXT;
	if (c->end - h < 2) {
		decode_invalid(pkt, EVENT_IPV6_TRUNC_EXTHDR);
		return EXT_STOP;
	}
	size_t len = 8 + (size_t)h[1] * 8;
	switch (pkt->proto) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_DSTOPTS:
		if (!ext_take(pkt, c, h, len))
			return EXT_STOP;
		ext_options(d, pkt, h, len, seen);
		break;
	case IPPROTO_ROUTING:
		if (!ext_take(pkt, c, h, len))
			return EXT_STOP;
		ext_routing(d, pkt, h, seen);
		break;
	case IPPROTO_FRAGMENT:
		if (!ext_take(pkt, c, h, 8))
			return EXT_STOP;
		result = ext_fragment(pkt, c, h, seen);
		break;
	case IPPROTO_AH:
		/* its length counts words of four bytes, less two; the fixed part alone has twelve bytes */
		if (!ext_take(pkt, c, h, h[1] > 0 ? (h[1] + 2u) * 4 : 12))
			return EXT_STOP;
		ext_auth(pkt, h, seen);
		break;
	case IPPROTO_MH:
	case IPPROTO_HIP:
	case IPPROTO_SHIM6:
		if (!ext_take(pkt, c, h, len))
			return EXT_STOP;
		break;
	default:
		return EXT_FINAL;
	}
	if (result == EXT_NEXT)
		pkt->proto = h[0];
	return result;
}

static bool is_ext_header(uint8_t proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_DSTOPTS || proto == IPPROTO_ROUTING ||
	       proto == IPPROTO_FRAGMENT || proto == IPPROTO_AH || proto == IPPROTO_MH || proto == IPPROTO_HIP ||
	       proto == IPPROTO_SHIM6;
}

/* Walks the extension headers; true when pkt->proto is then what the packet carries. The packet's length bounds the walk: each
 * header has eight bytes or more. */
static bool decode_ext_headers(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	struct ext_seen seen = {0};
	enum ext_result r;
	do
		r = ext_header(d, pkt, c, &seen);
	while (r == EXT_NEXT && pkt->proto != IPPROTO_NONE);
	pkt->l3_header_len = (uint16_t)(c->at - pkt->l3);
	set_payload(pkt, c);
	return r != EXT_STOP;
}

static void decode_ip_in_ipv6(struct decoder *d, struct packet *pkt, struct cursor *c, bool v6)
{
	if (cursor_left(c) < (v6 ? IPV6_HEADER_LEN : IPV4_HEADER_MIN))
		decode_invalid(pkt, v6 ? EVENT_IPV6_IPV6_IN_IPV6_TOO_SMALL : EVENT_IPV6_IPV4_IN_IPV6_TOO_SMALL);
	else if (c->at[0] >> 4 != (v6 ? 6 : 4))
		decode_invalid(pkt, v6 ? EVENT_IPV6_IPV6_IN_IPV6_WRONG_VERSION : EVENT_IPV6_IPV4_IN_IPV6_WRONG_VERSION);
	else {
		count(d->counters, v6 ? COUNTER_DECODER_IPV6_IN_IPV6 : COUNTER_DECODER_IPV4_IN_IPV6);
		(void)decode_inner(d, pkt, c, v6 ? INNER_IPV6 : INNER_IPV4, v6 ? TUNNEL_6IN6 : TUNNEL_4IN6);
	}
}

static void decode_ipv6_payload(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	switch (pkt->proto) {
	case IPPROTO_ICMPV6:
		decode_icmpv6(d, pkt, c);
		break;
	case IPPROTO_IPIP:
		decode_ip_in_ipv6(d, pkt, c, false);
		break;
	case IPPROTO_IPV6:
		decode_ip_in_ipv6(d, pkt, c, true);
		break;
	case IPPROTO_NONE:
		if (cursor_left(c) > 0)
			packet_event(pkt, EVENT_IPV6_DATA_AFTER_NONE_HEADER);
		break;
	case IPPROTO_ICMP:
		packet_event(pkt, EVENT_IPV6_ICMPV4);
		break;
	default:
		if (!decode_transport(d, pkt, c))
			packet_event(pkt, EVENT_IPV6_UNKNOWN_NEXT_HEADER);
	}
}

/* Takes the fixed header and bounds the cursor by the payload length; NULL when there is no usable header. */
static const uint8_t *take_ipv6_header(struct packet *pkt, struct cursor *c)
{
	const uint8_t *h = cursor_take(c, IPV6_HEADER_LEN);
	if (!h) {
		ip_invalid(pkt, EVENT_IPV6_PKT_TOO_SMALL);
		return NULL;
	}
	if (h[0] >> 4 != 6) {
		ip_invalid(pkt, EVENT_IPV6_WRONG_IP_VERSION);
		return NULL;
	}
	size_t payload = load_be16(h + 4), left = cursor_left(c);
	if (payload > left) {
		if (!decode_cut(pkt)) {
			ip_invalid(pkt, EVENT_IPV6_TRUNC_PKT);
			return NULL;
		}
		packet_event(pkt, EVENT_IPV6_TRUNC_PKT);
		payload = left;
	}
	pkt->l3_len = (uint32_t)(IPV6_HEADER_LEN + payload);
	pkt->l3_header_len = IPV6_HEADER_LEN;
	c->end = h + pkt->l3_len;
	return h;
}

void decode_ipv6(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	count(d->counters, COUNTER_DECODER_IPV6);
	if (!decode_enter(d, pkt))
		return;
	const uint8_t *h = take_ipv6_header(pkt, c);
	if (!h)
		return;
	pkt->l3 = h;
	pkt->family = 6;
	memcpy(pkt->src.bytes, h + 8, 16);
	memcpy(pkt->dst.bytes, h + 24, 16);
	pkt->tos = (uint8_t)(h[0] << 4 | h[1] >> 4);
	pkt->ttl = h[7];
	pkt->proto = h[6];
	set_payload(pkt, c);
	d->skip_l4_check = pkt->root->checksum_unready || pkt->l3_len < IPV6_HEADER_LEN + (uint32_t)load_be16(h + 4);
	if (is_ext_header(pkt->proto) && !decode_ext_headers(d, pkt, c))
		return;
	decode_ipv6_payload(d, pkt, c);
}
