/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ICMP, ICMPv6, and the packet that their errors quote.
 */
#include <netinet/in.h>
#include <string.h>

#include "decode_layers.h"

#define ICMP_HEADER_LEN 8

static void set_payload_at(struct packet *pkt, const uint8_t *at, const struct cursor *c)
{
	pkt->payload = at;
	pkt->payload_len = (uint16_t)(c->end - at);
}

/* Ports are the first four bytes of every transport that has some. */
static void quoted_ports(struct packet_quoted *q, struct cursor *c)
{
	if (q->proto != IPPROTO_TCP && q->proto != IPPROTO_UDP && q->proto != IPPROTO_SCTP &&
	    q->proto != IPPROTO_UDPLITE)
		return;
	uint16_t sport = cursor_be16(c), dport = cursor_be16(c);
	if (!c->failed) {
		q->sport = sport;
		q->dport = dport;
	}
}

static void quoted_ipv4(struct packet *pkt, struct cursor c)
{
	const uint8_t *h = cursor_take(&c, 20);
	if (!h) {
		decode_invalid(pkt, EVENT_ICMPV4_IPV4_TRUNC_PKT);
		return;
	}
	if (h[0] >> 4 != 4) {
		decode_invalid(pkt, EVENT_ICMPV4_IPV4_UNKNOWN_VER);
		return;
	}
	struct packet_quoted *q = &pkt->quoted;
	*q = (struct packet_quoted){.proto = h[9]};
	memcpy(q->src.bytes, h + 12, 4);
	memcpy(q->dst.bytes, h + 16, 4);
	pkt->flags |= PACKET_ICMP_ERROR;
	unsigned header_len = (h[0] & 0x0fu) * 4;
	if (header_len < 20 || load_be16(h + 6) & 0x1fff)
		return; /* a later fragment: no ports */
	cursor_skip(&c, header_len - 20);
	quoted_ports(q, &c);
}

static void quoted_ipv6(struct packet *pkt, struct cursor c)
{
	const uint8_t *h = cursor_take(&c, 40);
	if (!h) {
		decode_invalid(pkt, EVENT_ICMPV6_IPV6_TRUNC_PKT);
		return;
	}
	if (h[0] >> 4 != 6) {
		decode_invalid(pkt, EVENT_ICMPV6_IPV6_UNKNOWN_VERSION);
		return;
	}
	struct packet_quoted *q = &pkt->quoted;
	*q = (struct packet_quoted){.proto = h[6]};
	memcpy(q->src.bytes, h + 8, 16);
	memcpy(q->dst.bytes, h + 24, 16);
	pkt->flags |= PACKET_ICMP_ERROR;
	while (q->proto == IPPROTO_HOPOPTS || q->proto == IPPROTO_ROUTING || q->proto == IPPROTO_DSTOPTS) {
		uint8_t next = cursor_u8(&c);
		unsigned len = cursor_u8(&c);
		cursor_skip(&c, 6 + (size_t)len * 8);
		if (c.failed)
			return;
		q->proto = next;
	}
	quoted_ports(q, &c);
}

static void take_id(struct packet *pkt, const uint8_t *h)
{
	pkt->icmp.has_id = true;
	pkt->icmp.id = load_be16(h + 4);
	pkt->icmp.seq = load_be16(h + 6);
}

/* The highest code that a type has; -1 for a type that we do not know. */
static int icmpv4_code_max(uint8_t type)
{
	switch (type) {
	case 3: /* unreachable */
		return 15;
	case 5: /* redirect */
		return 3;
	case 11: /* time exceeded */
		return 1;
	case 9: /* router advertisement: codes are its own */
		return 255;
	case 0: /* echo, quench, parameter problem, timestamp, information, address mask */
	case 4:
	case 8:
	case 12:
	case 13:
	case 14:
	case 15:
	case 16:
	case 17:
	case 18:
		return 0;
	default:
		return -1;
	}
}

/* How many bytes past the header belong to it; more than there are is an anomaly. */
static void icmpv4_body(struct packet *pkt, const uint8_t *h, struct cursor *c)
{
	enum { TIMESTAMP = 13, TIMESTAMP_REPLY = 14, ROUTER_ADVERTISEMENT = 9 };
	size_t more = 0;
	if (h[0] == TIMESTAMP || h[0] == TIMESTAMP_REPLY)
		more = 12;
	else if (h[0] == ROUTER_ADVERTISEMENT)
		more = (size_t)h[4] * h[5] * 4;
	if (more > cursor_left(c))
		packet_event(pkt, EVENT_ICMPV4_IPV4_TRUNC_PKT);
	else
		cursor_skip(c, more);
}

void decode_icmpv4(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	count(d->counters, COUNTER_DECODER_ICMPV4);
	struct cursor whole = *c;
	const uint8_t *h = cursor_take(c, ICMP_HEADER_LEN);
	if (!h) {
		decode_invalid(pkt, EVENT_ICMPV4_PKT_TOO_SMALL);
		return;
	}
	uint8_t type = h[0], code = h[1];
	pkt->l4 = h;
	pkt->icmp.type = type;
	pkt->icmp.code = code;
	decode_check_l4(d, pkt, &whole, false);
	int code_max = icmpv4_code_max(type);
	bool is_error = type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
	if (code_max < 0)
		packet_event(pkt, EVENT_ICMPV4_UNKNOWN_TYPE);
	else if (code > code_max)
		packet_event(pkt, EVENT_ICMPV4_UNKNOWN_CODE);
	else if (is_error && cursor_left(c) > 0)
		quoted_ipv4(pkt, *c);
	if (code_max >= 0 && !is_error && type != 9)
		take_id(pkt, h);
	icmpv4_body(pkt, h, c);
	set_payload_at(pkt, c->at, c);
}

/* Whether a known type has such a code. */
static bool icmpv6_code_known(uint8_t type, uint8_t code)
{
	switch (type) {
	case 1: /* unreachable */
		return code <= 6;
	case 3: /* time exceeded */
		return code <= 1;
	case 4:	  /* parameter problem */
	case 139: /* node information */
	case 140:
		return code <= 2;
	case 138: /* router renumbering */
		return code <= 2 || code == 255;
	case 150: /* experimental mobility, multicast routers: any */
	case 151:
	case 152:
	case 153:
		return true;
	case 155: /* RPL */
		return code <= 3 || (code >= 128 && code <= 132);
	default:
		return code == 0;
	}
}

static void icmpv6_unknown_type(struct packet *pkt, uint8_t type)
{
	if (type == 100 || type == 101 || type == 200 || type == 201)
		packet_event(pkt, EVENT_ICMPV6_EXPERIMENTATION_TYPE);
	else if (type == 0 || type == 127)
		packet_event(pkt, EVENT_ICMPV6_UNKNOWN_TYPE);
	else
		packet_event(pkt, EVENT_ICMPV6_UNASSIGNED_TYPE);
}

void decode_icmpv6(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	enum { ERROR_MIN = 1, ERROR_MAX = 4, KNOWN_MIN = 128, KNOWN_MAX = 159, ECHO = 128, ECHO_REPLY = 129 };
	count(d->counters, COUNTER_DECODER_ICMPV6);
	struct cursor whole = *c;
	const uint8_t *h = cursor_take(c, ICMP_HEADER_LEN);
	if (!h) {
		decode_invalid(pkt, EVENT_ICMPV6_PKT_TOO_SMALL);
		return;
	}
	uint8_t type = h[0], code = h[1];
	pkt->l4 = h;
	pkt->icmp.type = type;
	pkt->icmp.code = code;
	decode_check_l4(d, pkt, &whole, true);
	bool is_error = type >= ERROR_MIN && type <= ERROR_MAX, is_echo = type == ECHO || type == ECHO_REPLY;
	bool known = is_error || (type >= KNOWN_MIN && type <= KNOWN_MAX), code_known = false;
	if (!known)
		icmpv6_unknown_type(pkt, type);
	else if (!(code_known = icmpv6_code_known(type, code)))
		packet_event(pkt, EVENT_ICMPV6_UNKNOWN_CODE);
	else if (is_error)
		quoted_ipv6(pkt, *c);
	if (is_echo)
		take_id(pkt, h);
	/* multicast listener discovery is for the link alone (RFC 2710) */
	if (type >= 130 && type <= 132 && pkt->ttl != 1)
		packet_event(pkt, EVENT_ICMPV6_MLD_MESSAGE_WITH_INVALID_HL);
	/* errors and echoes have eight bytes of header, all others four */
	bool full = (is_error || is_echo) && code_known;
	set_payload_at(pkt, full ? c->at : h + 4, c);
}
