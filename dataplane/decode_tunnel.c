/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets within packets: GRE and its kin, NSH, and the tunnels over UDP.
 */
#include <pcap/dlt.h>

#include "decode_layers.h"

#define ETHERNET_HEADER_LEN 14
#define IPV6_HEADER_LEN	    40

enum gre_proto {
	PROTO_IPV4 = 0x0800,
	PROTO_ARP = 0x0806,
	PROTO_ERSPAN_III = 0x22eb,
	PROTO_BRIDGE = 0x6558, /* a whole Ethernet frame */
	PROTO_VLAN = 0x8100,
	PROTO_IPV6 = 0x86dd,
	PROTO_MPLS = 0x8847,
	PROTO_MPLS_MULTICAST = 0x8848,
	PROTO_PPP = 0x880b,
	PROTO_ERSPAN = 0x88be,
	PROTO_NSH = 0x894f,
};

static void inner_decode(struct decoder *d, struct packet *pkt, struct cursor *c, enum inner_kind kind)
{
	switch (kind) {
	case INNER_IPV4:
		decode_ipv4(d, pkt, c);
		break;
	case INNER_IPV6:
		decode_ipv6(d, pkt, c);
		break;
	case INNER_ETHERNET:
		decode_ethernet(d, pkt, c);
		break;
	case INNER_PPP:
		decode_ppp(d, pkt, c);
		break;
	case INNER_VLAN:
		decode_vlan(d, pkt, c);
		break;
	case INNER_ARP:
		decode_arp(d, pkt, c);
		break;
	case INNER_MPLS:
		decode_mpls(d, pkt, c);
		break;
	case INNER_NSH:
		decode_nsh(d, pkt, c);
		break;
	}
}

struct packet *decode_inner(struct decoder *d, struct packet *outer, struct cursor *c, enum inner_kind kind,
			    enum packet_tunnel tunnel)
{
	struct packet *pkt = d->layers < DECODE_LAYERS_MAX ? decoder_packet(d) : NULL;
	if (!pkt) {
		count(d->counters, COUNTER_DECODER_TOO_MANY_LAYERS);
		decode_invalid(outer, EVENT_TOO_MANY_LAYERS);
		return NULL;
	}
	d->layers++;
	pkt->data = outer->data + (c->at - outer->data);
	pkt->len = (uint32_t)cursor_left(c);
	/* what the capture cut is missing here too */
	pkt->wire_len = pkt->len + (outer->wire_len > outer->len ? outer->wire_len - outer->len : 0);
	pkt->ts_ns = outer->ts_ns;
	pkt->number = outer->number;
	pkt->port = outer->port;
	pkt->link_type = kind == INNER_ETHERNET ? DLT_EN10MB : kind == INNER_PPP ? DLT_PPP : DLT_RAW;
	pkt->flags = PACKET_TUNNELLED;
	pkt->tunnel = (uint8_t)tunnel;
	pkt->depth = (uint8_t)(outer->depth + 1);
	pkt->root = outer->root;
	outer->inner = pkt;
	inner_decode(d, pkt, c, kind);
	return pkt;
}

/* Source routes of RFC 1701, up to the empty one; false when they do not fit. */
static bool skip_gre_routes(struct cursor *c)
{
	for (;;) {
		uint16_t family = cursor_be16(c);
		cursor_skip(c, 1);
		uint8_t len = cursor_u8(c);
		if (family == 0 && len == 0)
			return !c->failed;
		cursor_skip(c, len);
	}
}

#define GRE_CHECKSUM 0x8000
#define GRE_ROUTE    0x4000
#define GRE_KEY	     0x2000
#define GRE_SEQUENCE 0x1000
#define GRE_STRICT   0x0800
#define GRE_RECURSE  0x0700
#define GRE_ACK	     0x0080 /* version 1 */
#define GRE_RESERVED 0x0078

/* The optional fields of version 0; false when the packet cannot be read. Reserved bits are told, but receivers look past them. */
static bool gre_version0(struct packet *pkt, struct cursor *c, uint16_t flags)
{
	if (flags & GRE_RECURSE)
		packet_event(pkt, EVENT_GRE_VERSION0_RECUR);
	if (flags & GRE_RESERVED)
		packet_event(pkt, EVENT_GRE_VERSION0_FLAGS);
	size_t more = (flags & (GRE_CHECKSUM | GRE_ROUTE) ? 4 : 0) + (flags & GRE_KEY ? 4 : 0) +
		      (flags & GRE_SEQUENCE ? 4 : 0);
	cursor_skip(c, more);
	if (c->failed) {
		decode_invalid(pkt, EVENT_GRE_VERSION0_HDR_TOO_BIG);
		return false;
	}
	if (flags & GRE_ROUTE && !skip_gre_routes(c)) {
		decode_invalid(pkt, EVENT_GRE_VERSION0_MALFORMED_SRE_HDR);
		return false;
	}
	return true;
}

/* Which rule of PPTP's GRE (RFC 2637) the header breaks; -1 for none. */
static int gre_version1_fault(uint16_t flags, uint16_t proto)
{
	if (flags & GRE_CHECKSUM)
		return EVENT_GRE_VERSION1_CHKSUM;
	if (flags & GRE_ROUTE)
		return EVENT_GRE_VERSION1_ROUTE;
	if (flags & GRE_STRICT)
		return EVENT_GRE_VERSION1_SSR;
	if (flags & GRE_RECURSE)
		return EVENT_GRE_VERSION1_RECUR;
	if (flags & GRE_RESERVED)
		return EVENT_GRE_VERSION1_FLAGS;
	if (proto != PROTO_PPP)
		return EVENT_GRE_VERSION1_WRONG_PROTOCOL;
	return flags & GRE_KEY ? -1 : (int)EVENT_GRE_VERSION1_NO_KEY;
}

/* False when nothing can be read on; a payload length of zero is an acknowledgement without payload. */
static bool gre_version1(struct packet *pkt, struct cursor *c, uint16_t flags, uint16_t proto)
{
	int fault = gre_version1_fault(flags, proto);
	if (fault >= 0) {
		decode_invalid(pkt, (enum event)fault);
		return false;
	}
	uint16_t payload_len = cursor_be16(c);
	cursor_skip(c, 2 + (flags & GRE_SEQUENCE ? 4u : 0u) + (flags & GRE_ACK ? 4u : 0u));
	if (c->failed) {
		decode_invalid(pkt, EVENT_GRE_VERSION1_HDR_TOO_BIG);
		return false;
	}
	return payload_len != 0;
}

/* An ERSPAN header of type II or III, then the mirrored frame. Its VLAN is the mirrored packet's. */
static void decode_erspan(struct decoder *d, struct packet *outer, struct cursor *c, bool type3)
{
	count(d->counters, COUNTER_DECODER_ERSPAN);
	const uint8_t *h = cursor_take(c, type3 ? 12 : 8);
	if (!h) {
		packet_event(outer, EVENT_ERSPAN_HEADER_TOO_SMALL);
		return;
	}
	if (h[0] >> 4 != (type3 ? 2 : 1)) {
		packet_event(outer, EVENT_ERSPAN_UNSUPPORTED_VERSION);
		return;
	}
	if (type3 && h[11] & 1) {
		cursor_skip(c, 8); /* the platform's own */
		if (c->failed) {
			packet_event(outer, EVENT_ERSPAN_HEADER_TOO_SMALL);
			return;
		}
	}
	struct packet *pkt = decode_inner(d, outer, c, INNER_ETHERNET, TUNNEL_ERSPAN);
	uint16_t vlan = load_be16(h) & 0x0fff;
	if (!pkt || vlan == 0)
		return;
	if (pkt->vlan_count == PACKET_VLAN_MAX) {
		packet_event(pkt, EVENT_ERSPAN_TOO_MANY_VLAN_LAYERS);
		return;
	}
	for (unsigned i = pkt->vlan_count; i > 0; i--)
		pkt->vlan[i] = pkt->vlan[i - 1];
	pkt->vlan[0] = vlan;
	pkt->vlan_count++;
}

static void decode_gre_payload(struct decoder *d, struct packet *pkt, struct cursor *c, uint16_t flags, uint16_t proto)
{
	switch (proto) {
	case PROTO_IPV4:
		(void)decode_inner(d, pkt, c, INNER_IPV4, TUNNEL_GRE);
		break;
	case PROTO_IPV6:
		(void)decode_inner(d, pkt, c, INNER_IPV6, TUNNEL_GRE);
		break;
	case PROTO_PPP:
		(void)decode_inner(d, pkt, c, INNER_PPP, TUNNEL_GRE);
		break;
	case PROTO_VLAN:
		(void)decode_inner(d, pkt, c, INNER_VLAN, TUNNEL_GRE);
		break;
	case PROTO_BRIDGE:
		(void)decode_inner(d, pkt, c, INNER_ETHERNET, flags & GRE_KEY ? TUNNEL_NVGRE : TUNNEL_GRE);
		break;
	case PROTO_ERSPAN:
		if (flags & GRE_SEQUENCE) {
			decode_erspan(d, pkt, c, false);
			break;
		}
		/* type I has no header of its own */
		count(d->counters, COUNTER_DECODER_ERSPAN);
		(void)decode_inner(d, pkt, c, INNER_ETHERNET, TUNNEL_ERSPAN);
		break;
	case PROTO_ERSPAN_III:
		decode_erspan(d, pkt, c, true);
		break;
	case PROTO_ARP:
		(void)decode_inner(d, pkt, c, INNER_ARP, TUNNEL_GRE);
		break;
	case PROTO_MPLS:
	case PROTO_MPLS_MULTICAST:
		(void)decode_inner(d, pkt, c, INNER_MPLS, TUNNEL_GRE);
		break;
	case PROTO_NSH:
		(void)decode_inner(d, pkt, c, INNER_NSH, TUNNEL_GRE);
		break;
	default:
		break;
	}
}

void decode_gre(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	count(d->counters, COUNTER_DECODER_GRE);
	const uint8_t *h = cursor_take(c, 4);
	if (!h) {
		decode_invalid(pkt, EVENT_GRE_PKT_TOO_SMALL);
		return;
	}
	if (!decode_enter(d, pkt))
		return;
	pkt->l4 = h;
	uint16_t flags = load_be16(h), proto = load_be16(h + 2);
	bool readable = false;
	if ((flags & 7) == 0)
		readable = gre_version0(pkt, c, flags);
	else if ((flags & 7) == 1)
		readable = gre_version1(pkt, c, flags, proto);
	else
		decode_invalid(pkt, EVENT_GRE_WRONG_VERSION);
	if (c->failed)
		return;
	pkt->payload = c->at;
	pkt->payload_len = (uint16_t)(c->end - c->at);
	if (readable)
		decode_gre_payload(d, pkt, c, flags, proto);
}

/* The service header (RFC 8300) is read as part of the packet that it steers. */
void decode_nsh(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	enum { NEXT_IPV4 = 1, NEXT_IPV6 = 2, NEXT_ETHERNET = 3, NEXT_MPLS = 5, MD1_LEN = 24 };
	count(d->counters, COUNTER_DECODER_NSH);
	size_t whole = cursor_left(c);
	const uint8_t *h = cursor_take(c, 8);
	if (!h) {
		decode_invalid(pkt, EVENT_NSH_HEADER_TOO_SMALL);
		return;
	}
	if (!decode_enter(d, pkt))
		return;
	uint16_t first = load_be16(h);
	size_t len = (first & 0x3fu) * 4;
	uint8_t md_type = h[2] & 0x0f, next = h[3];
	if (first >> 14 != 0) {
		packet_event(pkt, EVENT_NSH_UNSUPPORTED_VERSION);
		return;
	}
	if (len >= whole || len < 8) {
		decode_invalid(pkt, EVENT_NSH_BAD_HEADER_LENGTH);
		return;
	}
	if (md_type == 0 || md_type == 15) {
		packet_event(pkt, EVENT_NSH_RESERVED_TYPE);
		return;
	}
	if (md_type == 1 && len != MD1_LEN) {
		decode_invalid(pkt, EVENT_NSH_BAD_HEADER_LENGTH);
		return;
	}
	if (md_type > 2) {
		packet_event(pkt, EVENT_NSH_UNSUPPORTED_TYPE);
		return;
	}
	cursor_skip(c, len - 8);
	pkt->tunnel = TUNNEL_NSH;
	if (next == NEXT_IPV4)
		decode_ipv4(d, pkt, c);
	else if (next == NEXT_IPV6)
		decode_ipv6(d, pkt, c);
	else if (next == NEXT_ETHERNET)
		decode_ethernet(d, pkt, c);
	else if (next == NEXT_MPLS)
		decode_mpls(d, pkt, c);
	else
		packet_event(pkt, EVENT_NSH_UNKNOWN_PAYLOAD);
}

static bool port_in(const uint16_t ports[static DECODE_PORTS_MAX], uint16_t port)
{
	for (unsigned i = 0; i < DECODE_PORTS_MAX && ports[i]; i++)
		if (ports[i] == port)
			return true;
	return false;
}

static void decode_vxlan(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	const uint8_t *h = cursor_take(c, 8);
	/* receivers drop a packet with other bits than the one that says that the network number is valid */
	if (!h || cursor_left(c) < ETHERNET_HEADER_LEN || h[0] != 0x08 || h[1] != 0 || load_be16(h + 2) != 0 ||
	    h[7] != 0)
		return;
	count(d->counters, COUNTER_DECODER_VXLAN);
	switch (load_be16(c->at + 12)) {
	case PROTO_ARP:
	case PROTO_IPV4:
	case PROTO_IPV6:
	case PROTO_VLAN:
	case 0x88a8:
	case 0x9100:
		(void)decode_inner(d, pkt, c, INNER_ETHERNET, TUNNEL_VXLAN);
		break;
	default:
		decode_invalid(pkt, EVENT_VXLAN_UNKNOWN_PAYLOAD_TYPE);
	}
}

/* The options must fill their room exactly. */
static bool geneve_options_ok(struct cursor c)
{
	while (cursor_left(&c) > 0) {
		cursor_skip(&c, 3);
		cursor_skip(&c, (cursor_u8(&c) & 0x1fu) * 4);
	}
	return !c.failed;
}

static bool decode_geneve(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	const uint8_t *h = cursor_take(c, 8);
	if (!h || h[0] >> 6 != 0 || h[1] & 0x3f || h[7] != 0)
		return false;
	struct bytes options = cursor_bytes(c, (h[0] & 0x3fu) * 4);
	if (c->failed || !geneve_options_ok(cursor_of(options.data, options.len)))
		return false;
	count(d->counters, COUNTER_DECODER_GENEVE);
	switch (load_be16(h + 2)) {
	case PROTO_IPV4:
		(void)decode_inner(d, pkt, c, INNER_IPV4, TUNNEL_GENEVE);
		break;
	case PROTO_IPV6:
		(void)decode_inner(d, pkt, c, INNER_IPV6, TUNNEL_GENEVE);
		break;
	case PROTO_BRIDGE:
		(void)decode_inner(d, pkt, c, INNER_ETHERNET, TUNNEL_GENEVE);
		break;
	case PROTO_ARP:
		break;
	default:
		decode_invalid(pkt, EVENT_GENEVE_UNKNOWN_PAYLOAD_TYPE);
	}
	return true;
}

/* Past the indications of authentication and origin (RFC 4380, 5.1.1). */
static void skip_teredo_indications(struct cursor *c)
{
	if (cursor_left(c) >= 4 && load_be16(c->at) == 0x0001) {
		const uint8_t *h = cursor_take(c, 4);
		cursor_skip(c, (size_t)h[2] + h[3] + 9); /* client, value, nonce and confirmation */
	}
	if (cursor_left(c) >= 8 && load_be16(c->at) == 0x0000)
		cursor_skip(c, 8);
}

/* Nothing marks Teredo but its port: it is one only when a right IPv6 packet fills the datagram to its end. */
static bool decode_teredo(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	skip_teredo_indications(c);
	if (cursor_left(c) < IPV6_HEADER_LEN || c->at[0] >> 4 != 6)
		return false;
	size_t payload = load_be16(c->at + 4);
	uint8_t next = c->at[6], hop_limit = c->at[7];
	if (cursor_left(c) != IPV6_HEADER_LEN + payload || hop_limit == 0 || (next == 0 && payload < 8))
		return false;
	unsigned used = d->used, layers = d->layers;
	struct packet *inner = decode_inner(d, pkt, c, INNER_IPV6, TUNNEL_TEREDO);
	if (!inner)
		return false;
	if (inner->flags & PACKET_INVALID) {
		pkt->inner = NULL;
		d->used = used;
		d->layers = layers;
		return false;
	}
	count(d->counters, COUNTER_DECODER_TEREDO);
	return true;
}

void decode_udp_tunnel(struct decoder *d, struct packet *pkt)
{
	const struct decode_config *config = &d->config;
	const struct cursor payload = cursor_of(pkt->payload, pkt->payload_len);
	struct cursor c = payload;
	if (config->teredo &&
	    (port_in(config->teredo_ports, pkt->sport) || port_in(config->teredo_ports, pkt->dport)) &&
	    decode_teredo(d, pkt, &c))
		return;
	c = payload;
	if (config->geneve &&
	    (port_in(config->geneve_ports, pkt->sport) || port_in(config->geneve_ports, pkt->dport)) &&
	    decode_geneve(d, pkt, &c))
		return;
	c = payload;
	if (config->vxlan && port_in(config->vxlan_ports, pkt->dport))
		decode_vxlan(d, pkt, &c);
}
