/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Link layers and what stands between them and IP: tags, labels, PPP, and ARP.
 */
#include <pcap/dlt.h>

#include "decode_layers.h"

#define ETHERNET_HEADER_LEN 14
#define ETHERNET_TYPE_MIN   0x0600 /* smaller values are a length (IEEE 802.3) */
#define IPV4_HEADER_MIN	    20
#define IPV6_HEADER_LEN	    40

/* LINKTYPE numbers that <pcap/dlt.h> has no constant for, as they stand in files written elsewhere. */
#define LINK_RAW_OPENBSD 14
#define LINK_RAW_FILE	 101

enum ether_type {
	ETHER_IPV4 = 0x0800,
	ETHER_ARP = 0x0806,
	ETHER_VLAN = 0x8100,
	ETHER_IPV6 = 0x86dd,
	ETHER_MPLS = 0x8847,
	ETHER_MPLS_MULTICAST = 0x8848,
	ETHER_PPPOE_DISCOVERY = 0x8863,
	ETHER_PPPOE_SESSION = 0x8864,
	ETHER_8021AD = 0x88a8,
	ETHER_8021AH = 0x88e7,
	ETHER_DCE = 0x8903,
	ETHER_VNTAG = 0x8926,
	ETHER_ETAG = 0x893f,
	ETHER_NSH = 0x894f,
	ETHER_QINQ = 0x9100,
};

/* SNAP with the EtherTypes' own organisation (RFC 1042): some stacks take IP so. */
static bool skip_snap(struct cursor *c, uint16_t *type)
{
	static const uint8_t snap[6] = {0xaa, 0xaa, 0x03, 0, 0, 0};
	if (cursor_left(c) < 8 || memcmp(c->at, snap, sizeof(snap)) != 0)
		return false;
	cursor_skip(c, 6);
	*type = cursor_be16(c);
	return true;
}

void decode_ethernet(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	count(d->counters, COUNTER_DECODER_ETHERNET);
	const uint8_t *h = cursor_take(c, ETHERNET_HEADER_LEN);
	if (!h) {
		decode_invalid(pkt, EVENT_ETHERNET_PKT_TOO_SMALL);
		return;
	}
	if (!decode_enter(d, pkt))
		return;
	pkt->l2 = h;
	uint16_t type = load_be16(h + 12);
	if (type < ETHERNET_TYPE_MIN)
		(void)skip_snap(c, &type);
	(void)decode_network(d, pkt, c, type);
}

void decode_vlan(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	count(d->counters, pkt->vlan_count == 0 ? COUNTER_DECODER_VLAN : COUNTER_DECODER_VLAN_QINQ);
	uint16_t tag = cursor_be16(c), type = cursor_be16(c);
	if (c->failed) {
		decode_invalid(pkt, EVENT_VLAN_HEADER_TOO_SMALL);
		return;
	}
	if (!decode_enter(d, pkt))
		return;
	pkt->vlan[pkt->vlan_count++] = tag & 0x0fff;
	if (!decode_network(d, pkt, c, type))
		decode_invalid(pkt, EVENT_VLAN_UNKNOWN_TYPE);
}

/* Tags of fixed length whose last two bytes say what follows. */
static void skip_tag(struct decoder *d, struct packet *pkt, struct cursor *c, size_t len, enum event too_small,
		     int unknown)
{
	const uint8_t *h = cursor_take(c, len);
	if (!h) {
		decode_invalid(pkt, too_small);
		return;
	}
	if (!decode_enter(d, pkt))
		return;
	if (!decode_network(d, pkt, c, load_be16(h + len - 2)) && unknown >= 0)
		decode_invalid(pkt, (enum event)unknown);
}

static void decode_dce(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	if (cursor_left(c) < 2 + ETHERNET_HEADER_LEN) {
		decode_invalid(pkt, EVENT_DCE_PKT_TOO_SMALL);
		return;
	}
	cursor_skip(c, 2);
	decode_ethernet(d, pkt, c);
}

static bool decode_network_rare(struct decoder *d, struct packet *pkt, struct cursor *c, uint16_t type)
{
	switch (type) {
	case ETHER_MPLS:
	case ETHER_MPLS_MULTICAST:
		decode_mpls(d, pkt, c);
		return true;
	case ETHER_PPPOE_SESSION:
		decode_pppoe_session(d, pkt, c);
		return true;
	case ETHER_PPPOE_DISCOVERY:
		decode_pppoe_discovery(d, pkt, c);
		return true;
	case ETHER_8021AH:
		skip_tag(d, pkt, c, 18, EVENT_IEEE8021AH_HEADER_TOO_SMALL, -1);
		return true;
	case ETHER_VNTAG:
		skip_tag(d, pkt, c, 6, EVENT_VNTAG_HEADER_TOO_SMALL, EVENT_VNTAG_UNKNOWN_TYPE);
		return true;
	case ETHER_ETAG:
		skip_tag(d, pkt, c, 8, EVENT_ETAG_HEADER_TOO_SMALL, EVENT_ETAG_UNKNOWN_TYPE);
		return true;
	case ETHER_DCE:
		decode_dce(d, pkt, c);
		return true;
	case ETHER_NSH:
		decode_nsh(d, pkt, c);
		return true;
	default:
		count(d->counters, COUNTER_DECODER_UNKNOWN_ETHERTYPE);
		packet_event(pkt, EVENT_ETHERNET_UNKNOWN_ETHERTYPE);
		return false;
	}
}

bool decode_network(struct decoder *d, struct packet *pkt, struct cursor *c, uint16_t type)
{
	pkt->ether_type = type;
	switch (type) {
	case ETHER_IPV4:
		decode_ipv4(d, pkt, c);
		return true;
	case ETHER_IPV6:
		decode_ipv6(d, pkt, c);
		return true;
	case ETHER_VLAN:
	case ETHER_8021AD:
	case ETHER_QINQ:
		if (pkt->vlan_count < PACKET_VLAN_MAX)
			decode_vlan(d, pkt, c);
		else
			decode_invalid(pkt, EVENT_VLAN_TOO_MANY_LAYERS);
		return true;
	case ETHER_ARP:
		decode_arp(d, pkt, c);
		return true;
	default:
		return decode_network_rare(d, pkt, c, type);
	}
}

/* The label at the bottom says IPv4 or IPv6, or nothing: then the first nibble of what follows has to. */
static void decode_mpls_payload(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	if (cursor_left(c) < 4) {
		decode_invalid(pkt, EVENT_MPLS_PKT_TOO_SMALL);
		return;
	}
	switch (c->at[0] >> 4) {
	case 4:
		decode_ipv4(d, pkt, c);
		break;
	case 6:
		decode_ipv6(d, pkt, c);
		break;
	case 0: /* the control word of a pseudo wire (RFC 4385) */
		cursor_skip(c, 4);
		decode_ethernet(d, pkt, c);
		break;
	default:
		decode_invalid(pkt, EVENT_MPLS_UNKNOWN_PAYLOAD_TYPE);
	}
}

void decode_mpls(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	enum { LABEL_IPV4, LABEL_ROUTER_ALERT, LABEL_IPV6, LABEL_IMPLICIT_NULL, LABEL_RESERVED_MAX = 14 };
	count(d->counters, COUNTER_DECODER_MPLS);
	if (!decode_enter(d, pkt))
		return;
	uint32_t entry;
	do
		entry = cursor_be32(c);
	while (!c->failed && !(entry & 0x100));
	if (c->failed) {
		decode_invalid(pkt, EVENT_MPLS_HEADER_TOO_SMALL);
		return;
	}
	uint32_t label = entry >> 12;
	if (label == LABEL_IPV4)
		decode_ipv4(d, pkt, c);
	else if (label == LABEL_IPV6)
		decode_ipv6(d, pkt, c);
	else if (label == LABEL_ROUTER_ALERT)
		packet_event(pkt, EVENT_MPLS_BAD_LABEL_ROUTER_ALERT);
	else if (label == LABEL_IMPLICIT_NULL)
		packet_event(pkt, EVENT_MPLS_BAD_LABEL_IMPLICIT_NULL);
	else if (label <= LABEL_RESERVED_MAX)
		packet_event(pkt, EVENT_MPLS_BAD_LABEL_RESERVED);
	else
		decode_mpls_payload(d, pkt, c);
}

static void decode_ppp_ip(struct decoder *d, struct packet *pkt, struct cursor *c, bool v6, enum event too_small)
{
	if (cursor_left(c) < (v6 ? IPV6_HEADER_LEN : IPV4_HEADER_MIN))
		decode_invalid(pkt, too_small);
	else if (v6)
		decode_ipv6(d, pkt, c);
	else
		decode_ipv4(d, pkt, c);
}

/* Van Jacobson's uncompressed TCP/IP (RFC 1144): an IP packet with a connection number for its protocol. */
static void decode_ppp_vj(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	if (cursor_left(c) < IPV4_HEADER_MIN) {
		decode_invalid(pkt, EVENT_PPP_VJU_PKT_TOO_SMALL);
		return;
	}
	d->vj = true;
	decode_ipv4(d, pkt, c);
	d->vj = false;
}

static void decode_ppp_protocol(struct decoder *d, struct packet *pkt, struct cursor *c, uint16_t proto)
{
	switch (proto) {
	case 0x0021:
		decode_ppp_ip(d, pkt, c, false, EVENT_PPP_IP4_PKT_TOO_SMALL);
		break;
	case 0x0057:
		decode_ppp_ip(d, pkt, c, true, EVENT_PPP_IP6_PKT_TOO_SMALL);
		break;
	case 0x002f:
		decode_ppp_vj(d, pkt, c);
		break;
	case 0x8021: /* control protocols: IP, IPv6, CDP, link, password, link quality, handshake, compression, callback */
	case 0x8057:
	case 0x8207:
	case 0xc021:
	case 0xc023:
	case 0xc025:
	case 0xc223:
	case 0x80fd:
	case 0xc029:
	case 0x00fd: /* compressed datagram */
		break;
	case 0x0023: /* OSI, XNS, DECnet, AppleTalk, IPX, VJ compressed, bridging, ST-II, Vines */
	case 0x0025:
	case 0x0027:
	case 0x0029:
	case 0x002b:
	case 0x002d:
	case 0x0031:
	case 0x0033:
	case 0x0035:
	case 0x0201: /* 802.1D hello, Luxcom, SNS, MPLS */
	case 0x0231:
	case 0x0233:
	case 0x0281:
	case 0x0283:
	case 0x8023: /* and their control protocols */
	case 0x8025:
	case 0x8027:
	case 0x8029:
	case 0x802b:
	case 0x8033:
	case 0x8035:
	case 0x8281:
		packet_event(pkt, EVENT_PPP_UNSUP_PROTO);
		break;
	default:
		decode_invalid(pkt, EVENT_PPP_WRONG_TYPE);
	}
}

/* The protocol field is one byte when that is odd (RFC 1661, protocol field compression). */
static uint16_t take_ppp_protocol(struct cursor *c)
{
	uint16_t proto = cursor_u8(c);
	if (!(proto & 1))
		proto = (uint16_t)(proto << 8 | cursor_u8(c));
	return proto;
}

void decode_ppp(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	count(d->counters, COUNTER_DECODER_PPP);
	if (cursor_left(c) > 0 && c->at[0] == 0xff)
		cursor_skip(c, 2); /* address and control */
	uint16_t proto = take_ppp_protocol(c);
	if (c->failed) {
		decode_invalid(pkt, EVENT_PPP_PKT_TOO_SMALL);
		return;
	}
	if (decode_enter(d, pkt))
		decode_ppp_protocol(d, pkt, c, proto);
}

void decode_pppoe_session(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	count(d->counters, COUNTER_DECODER_PPPOE);
	cursor_skip(c, 4);
	uint16_t length = cursor_be16(c);
	if (c->failed || cursor_left(c) < 1) {
		decode_invalid(pkt, EVENT_PPPOE_PKT_TOO_SMALL);
		return;
	}
	if (length == 0 || !decode_enter(d, pkt))
		return;
	uint16_t proto = take_ppp_protocol(c);
	if (c->failed)
		decode_invalid(pkt, EVENT_PPPOE_PKT_TOO_SMALL);
	else
		decode_ppp_protocol(d, pkt, c, proto);
}

void decode_pppoe_discovery(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	enum { PADO = 0x07, PADI = 0x09, PADR = 0x19, PADS = 0x65, PADT = 0xa7 };
	count(d->counters, COUNTER_DECODER_PPPOE);
	const uint8_t *h = cursor_take(c, 6);
	if (!h) {
		decode_invalid(pkt, EVENT_PPPOE_PKT_TOO_SMALL);
		return;
	}
	uint8_t code = h[1];
	if (code != PADI && code != PADO && code != PADR && code != PADS && code != PADT)
		decode_invalid(pkt, EVENT_PPPOE_WRONG_CODE);
	else if (load_be16(h + 4) > cursor_left(c))
		decode_invalid(pkt, EVENT_PPPOE_MALFORMED_TAGS);
}

void decode_arp(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	enum { HARDWARE_ETHERNET = 1, OPCODE_MAX = 4 };
	count(d->counters, COUNTER_DECODER_ARP);
	const uint8_t *h = cursor_take(c, 8);
	if (!h) {
		decode_invalid(pkt, EVENT_ARP_PKT_TOO_SMALL);
		return;
	}
	if (!decode_enter(d, pkt))
		return;
	uint16_t opcode = load_be16(h + 6);
	if (load_be16(h) != HARDWARE_ETHERNET)
		decode_invalid(pkt, EVENT_ARP_UNSUPPORTED_HARDWARE);
	else if (load_be16(h + 2) != ETHER_IPV4)
		decode_invalid(pkt, EVENT_ARP_UNSUPPORTED_PROTOCOL);
	else if (cursor_left(c) < 20)
		decode_invalid(pkt, EVENT_ARP_INVALID_PKT);
	else if (h[4] != 6)
		decode_invalid(pkt, EVENT_ARP_INVALID_HARDWARE_SIZE);
	else if (h[5] != 4)
		decode_invalid(pkt, EVENT_ARP_INVALID_PROTOCOL_SIZE);
	else if (opcode == 0 || opcode > OPCODE_MAX)
		decode_invalid(pkt, EVENT_ARP_UNSUPPORTED_OPCODE);
}

static void decode_raw(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	count(d->counters, COUNTER_DECODER_RAW);
	if (cursor_left(c) < IPV4_HEADER_MIN)
		decode_invalid(pkt, EVENT_IPV4_PKT_TOO_SMALL);
	else if (c->at[0] >> 4 == 4)
		decode_ipv4(d, pkt, c);
	else if (c->at[0] >> 4 == 6)
		decode_ipv6(d, pkt, c);
	else
		decode_invalid(pkt, EVENT_IPRAW_INVALID_IP_VERSION);
}

/* The address family in the byte order of the machine that wrote it, or (LOOP) in the network's: small either way. */
static void decode_null(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	count(d->counters, COUNTER_DECODER_NULL);
	uint32_t family = cursor_be32(c);
	if (c->failed) {
		decode_invalid(pkt, EVENT_LTNULL_PKT_TOO_SMALL);
		return;
	}
	if (family > 0xffff)
		family = __builtin_bswap32(family);
	switch (family) {
	case 2:
		decode_ipv4(d, pkt, c);
		break;
	case 10: /* AF_INET6 of Linux, Winsock, the BSDs, Solaris, FreeBSD, Darwin */
	case 23:
	case 24:
	case 26:
	case 28:
	case 30:
		decode_ipv6(d, pkt, c);
		break;
	default:
		decode_invalid(pkt, EVENT_LTNULL_UNSUPPORTED_TYPE);
	}
}

/* Linux cooked captures and Cisco HDLC: a header that holds an EtherType. */
static void decode_cooked(struct decoder *d, struct packet *pkt, struct cursor *c, size_t len, size_t type_at,
			  enum event too_small)
{
	const uint8_t *h = cursor_take(c, len);
	if (!h)
		decode_invalid(pkt, too_small);
	else if (decode_enter(d, pkt))
		(void)decode_network(d, pkt, c, load_be16(h + type_at));
}

void decode_link(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	switch (pkt->link_type) {
	case DLT_EN10MB:
		decode_ethernet(d, pkt, c);
		break;
	case DLT_RAW:
	case LINK_RAW_OPENBSD:
	case LINK_RAW_FILE:
		decode_raw(d, pkt, c);
		break;
	case DLT_IPV4:
		decode_ipv4(d, pkt, c);
		break;
	case DLT_IPV6:
		decode_ipv6(d, pkt, c);
		break;
	case DLT_NULL:
	case DLT_LOOP:
		decode_null(d, pkt, c);
		break;
	case DLT_LINUX_SLL:
		count(d->counters, COUNTER_DECODER_SLL);
		decode_cooked(d, pkt, c, 16, 14, EVENT_SLL_PKT_TOO_SMALL);
		break;
	case DLT_LINUX_SLL2:
		count(d->counters, COUNTER_DECODER_SLL2);
		decode_cooked(d, pkt, c, 20, 0, EVENT_SLL2_PKT_TOO_SMALL);
		break;
	case DLT_C_HDLC:
		decode_cooked(d, pkt, c, 4, 2, EVENT_CHDLC_PKT_TOO_SMALL);
		break;
	case DLT_PPP:
	case DLT_PPP_SERIAL:
		decode_ppp(d, pkt, c);
		break;
	case DLT_PPP_ETHER:
		decode_pppoe_session(d, pkt, c);
		break;
	default:
		pkt->flags |= PACKET_INVALID;
	}
}
