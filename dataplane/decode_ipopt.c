/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Options: of IPv4, and of the IPv6 headers that hold some.
 */
#include "decode_layers.h"

enum {
	OPT_EOL = 0,
	OPT_NOP = 1,
	OPT_RR = 7,
	OPT_QS = 25,
	OPT_TS = 68,
	OPT_SEC = 130,
	OPT_LSRR = 131,
	OPT_ESEC = 133,
	OPT_CIPSO = 134,
	OPT_SATID = 136,
	OPT_SSRR = 137,
	OPT_RTRALT = 148,
};

/* Which bit tells of the option, and 0 for one that we do not know. */
static uint32_t option_bit(uint8_t type)
{
	switch (type) {
	case OPT_RR:
		return IP_OPTION_RR;
	case OPT_QS:
		return IP_OPTION_QS;
	case OPT_TS:
		return IP_OPTION_TS;
	case OPT_SEC:
		return IP_OPTION_SEC;
	case OPT_LSRR:
		return IP_OPTION_LSRR;
	case OPT_ESEC:
		return IP_OPTION_ESEC;
	case OPT_CIPSO:
		return IP_OPTION_CIPSO;
	case OPT_SATID:
		return IP_OPTION_SATID;
	case OPT_SSRR:
		return IP_OPTION_SSRR;
	case OPT_RTRALT:
		return IP_OPTION_RTRALT;
	default:
		return 0;
	}
}

/* The pointer counts from 1 and steps by whole addresses, past type, length and itself. */
static int check_route(const uint8_t *data, unsigned len)
{
	if (len < 3)
		return EVENT_IPV4_OPT_INVALID_LEN;
	unsigned pointer = data[0];
	return pointer < 4 || pointer % 4 || pointer > len + 1 ? (int)EVENT_IPV4_OPT_MALFORMED : -1;
}

/* Records are four bytes, or eight where addresses stand with the times. */
static int check_timestamp(const uint8_t *data, unsigned len)
{
	if (len < 5)
		return EVENT_IPV4_OPT_INVALID_LEN;
	unsigned pointer = data[0], flag = data[1] & 0x0f, record = flag == 1 || flag == 3 ? 8 : 4;
	return pointer < 5 || (pointer - 5) % record || pointer > len + 1 ? (int)EVENT_IPV4_OPT_MALFORMED : -1;
}

/* A domain of interpretation, then tags of type, length, alignment byte (not in type 7) and data. */
static int check_cipso(const uint8_t *data, unsigned len)
{
	if (len < 10)
		return EVENT_IPV4_OPT_INVALID_LEN;
	struct cursor c = cursor_of(data + 4, len - 6);
	while (cursor_left(&c) > 0) {
		uint8_t type = cursor_u8(&c), tag_len = cursor_u8(&c);
		bool known = type == 1 || type == 2 || type == 5 || type == 6 || type == 7;
		if (!known || tag_len < 4)
			return EVENT_IPV4_OPT_MALFORMED;
		const uint8_t *tag = cursor_take(&c, tag_len - 2u);
		if (!tag || (type != 7 && tag[0] != 0))
			return EVENT_IPV4_OPT_MALFORMED;
	}
	return c.failed ? (int)EVENT_IPV4_OPT_MALFORMED : -1;
}

/* The event of a malformed option, or -1. `len` counts type and length, `data` follows them. */
static int check_option(uint8_t type, const uint8_t *data, unsigned len)
{
	switch (type) {
	case OPT_RR:
	case OPT_LSRR:
	case OPT_SSRR:
		return check_route(data, len);
	case OPT_TS:
		return check_timestamp(data, len);
	case OPT_CIPSO:
		return check_cipso(data, len);
	case OPT_QS:
		return len < 8 ? (int)EVENT_IPV4_OPT_INVALID_LEN : -1;
	case OPT_SEC:
	case OPT_ESEC:
		return len < 3 ? (int)EVENT_IPV4_OPT_INVALID_LEN : -1;
	default: /* stream identifier, router alert */
		return len != 4 ? (int)EVENT_IPV4_OPT_INVALID_LEN : -1;
	}
}

/* One option that has a length; false when the list cannot be read on. */
static bool read_option(struct packet *pkt, struct cursor *c, uint8_t type)
{
	unsigned left = (unsigned)cursor_left(c) + 1;
	if (left < 2) {
		packet_event(pkt, EVENT_IPV4_OPT_EOL_REQUIRED);
		return true;
	}
	unsigned len = cursor_u8(c);
	if (len < 2 || len > left) {
		decode_invalid(pkt, EVENT_IPV4_OPT_INVALID_LEN);
		return false;
	}
	const uint8_t *data = cursor_take(c, len - 2);
	uint32_t bit = option_bit(type);
	if (bit == 0) {
		pkt->ip_options |= IP_OPTION_OTHER;
		packet_event(pkt, EVENT_IPV4_OPT_INVALID);
		return true;
	}
	if (pkt->ip_options & bit) {
		packet_event(pkt, EVENT_IPV4_OPT_DUPLICATE);
		return true;
	}
	int event = check_option(type, data, len);
	if (event >= 0)
		decode_invalid(pkt, (enum event)event);
	else
		pkt->ip_options |= bit;
	return true;
}

/* False when the header cannot be used. */
bool decode_ipv4_options(struct packet *pkt, struct cursor c)
{
	if (cursor_left(&c) % 8)
		packet_event(pkt, EVENT_IPV4_OPT_PAD_REQUIRED);
	while (cursor_left(&c) > 0) {
		uint8_t type = cursor_u8(&c);
		if (type == OPT_EOL) {
			pkt->ip_options |= IP_OPTION_EOL;
			break;
		}
		if (type == OPT_NOP)
			pkt->ip_options |= IP_OPTION_NOP;
		else if (!read_option(pkt, &c, type))
			return false;
	}
	return true;
}

/* Options of a hop-by-hop or destination header, past its first two bytes. */
void decode_ipv6_options(struct decoder *d, struct packet *pkt, struct cursor c, bool hop_by_hop)
{
	enum { PAD1 = 0, PADN = 1, ROUTER_ALERT = 5, JUMBO = 0xc2, HOME_ADDRESS = 0xc9 };
	unsigned padding = 0, others = 0;
	while (cursor_left(&c) > 0) {
		uint8_t type = cursor_u8(&c);
		if (type == PAD1) {
			padding++;
			continue;
		}
		uint8_t len = cursor_u8(&c);
		cursor_skip(&c, len);
		if (c.failed || (type == ROUTER_ALERT && len < 2) || (type == JUMBO && len < 4) ||
		    (type == HOME_ADDRESS && len < 16)) {
			decode_invalid(pkt, EVENT_IPV6_EXTHDR_INVALID_OPTLEN);
			break;
		}
		if (type == PADN) {
			padding++;
			if (len == 0)
				packet_event(pkt, EVENT_IPV6_ZERO_LEN_PADN);
			continue;
		}
		if (type == HOME_ADDRESS) /* the checksum covers the home address (RFC 6275) */
			d->skip_l4_check = true;
		else if (type != ROUTER_ALERT && type != JUMBO)
			packet_event(pkt, hop_by_hop ? EVENT_IPV6_HOPOPTS_UNKNOWN_OPT : EVENT_IPV6_DSTOPTS_UNKNOWN_OPT);
		others += type != JUMBO;
	}
	if (padding > 0 && others == 0)
		packet_event(pkt, hop_by_hop ? EVENT_IPV6_HOPOPTS_ONLY_PADDING : EVENT_IPV6_DSTOPTS_ONLY_PADDING);
}
