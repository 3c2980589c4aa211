/* SPDX-License-Identifier: BSD-3-Clause */
/* The way to the addresses is the decoder's (decode_link.c), without its judgement: what it reads as IP must be found here too. */
#include "frame_hash.h"

#include <netinet/in.h>
#include <netinet/ip6.h>
#include <pcap/dlt.h>
#include <string.h>
#include <xxhash.h>

#include <dataplane/bytes.h>

/* Tags and labels before IP that are followed, and IPv6 extension headers: as many as the decoder follows at all. */
#define LAYERS_MAX     16
#define EXTENSIONS_MAX 16

enum ether_type {
	ETHER_LENGTH_MAX = 0x05ff, /* up to here it is a length (IEEE 802.3) */
	ETHER_IPV4 = 0x0800,
	ETHER_VLAN = 0x8100,
	ETHER_IPV6 = 0x86dd,
	ETHER_MPLS = 0x8847,
	ETHER_MPLS_MULTICAST = 0x8848,
	ETHER_PPPOE_SESSION = 0x8864,
	ETHER_8021AD = 0x88a8,
	ETHER_8021AH = 0x88e7,
	ETHER_DCE = 0x8903,
	ETHER_VNTAG = 0x8926,
	ETHER_ETAG = 0x893f,
	ETHER_QINQ = 0x9100,
};

/* Smaller of the two addresses first: the same bytes for both directions. */
static uint32_t pair_hash(const uint8_t *a, const uint8_t *b, size_t len, uint64_t seed)
{
	uint8_t pair[32];
	bool swap = memcmp(a, b, len) > 0;
	memcpy(pair, swap ? b : a, len);
	memcpy(pair + len, swap ? a : b, len);
	return (uint32_t)(XXH3_64bits_withSeed(pair, 2 * len, seed) >> 32);
}

static bool icmpv4_is_error(uint8_t type)
{
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

static bool hash_ipv4(struct cursor c, uint64_t seed, uint32_t *hash)
{
	const uint8_t *h = cursor_take(&c, 20);
	if (!h || h[0] >> 4 != 4)
		return false;
	*hash = pair_hash(h + 12, h + 16, 4, seed);
	size_t header_len = (h[0] & 0x0fu) * 4u;
	/* a fragment has to go where those without the ICMP header go */
	if (h[9] != IPPROTO_ICMP || load_be16(h + 6) & 0x3fff || header_len < 20)
		return true;
	cursor_skip(&c, header_len - 20);
	const uint8_t *icmp = cursor_take(&c, 8), *quoted = cursor_take(&c, 20);
	if (quoted && icmpv4_is_error(icmp[0]) && quoted[0] >> 4 == 4)
		*hash = pair_hash(quoted + 12, quoted + 16, 4, seed);
	return true;
}

/* The cursor is behind the fixed header; leaves it at an ICMPv6 header of a whole packet, or says no. */
static bool find_icmpv6(struct cursor *c, uint8_t next)
{
	for (unsigned i = 0; i < EXTENSIONS_MAX; i++) {
		const uint8_t *h;
		switch (next) {
		case IPPROTO_ICMPV6:
			return true;
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			h = cursor_take(c, 2);
			if (!h)
				return false;
			next = h[0];
			cursor_skip(c, 6 + (size_t)h[1] * 8);
			break;
		default:
			return false;
		}
	}
	return false;
}

static bool hash_ipv6(struct cursor c, uint64_t seed, uint32_t *hash)
{
	const uint8_t *h = cursor_take(&c, 40);
	if (!h || h[0] >> 4 != 6)
		return false;
	*hash = pair_hash(h + 8, h + 24, 16, seed);
	if (!find_icmpv6(&c, h[6]))
		return true;
	const uint8_t *icmp = cursor_take(&c, 8), *quoted = cursor_take(&c, 40);
	if (quoted && !(icmp[0] & 0x80) && quoted[0] >> 4 == 6)
		*hash = pair_hash(quoted + 8, quoted + 24, 16, seed);
	return true;
}

static uint16_t take_ethernet(struct cursor *c)
{
	static const uint8_t snap[6] = {0xaa, 0xaa, 0x03, 0, 0, 0};
	cursor_skip(c, 12);
	uint16_t type = cursor_be16(c);
	if (type > ETHER_LENGTH_MAX || cursor_left(c) < 8 || memcmp(c->at, snap, sizeof(snap)) != 0)
		return type;
	cursor_skip(c, 6);
	return cursor_be16(c);
}

/* A tag of fixed length; its last two bytes say what follows. */
static uint16_t take_tag(struct cursor *c, size_t len)
{
	const uint8_t *h = cursor_take(c, len);
	return h ? load_be16(h + len - 2) : 0;
}

static uint16_t take_mpls(struct cursor *c)
{
	enum { LABEL_IPV4 = 0, LABEL_IPV6 = 2 };
	uint32_t entry;
	do
		entry = cursor_be32(c);
	while (!c->failed && !(entry & 0x100));
	if (cursor_left(c) < 4)
		return 0;
	if (entry >> 12 == LABEL_IPV4)
		return ETHER_IPV4;
	if (entry >> 12 == LABEL_IPV6)
		return ETHER_IPV6;
	switch (c->at[0] >> 4) {
	case 4:
		return ETHER_IPV4;
	case 6:
		return ETHER_IPV6;
	case 0: /* the control word of a pseudo wire */
		cursor_skip(c, 4);
		return take_ethernet(c);
	default:
		return 0;
	}
}

static uint16_t take_pppoe(struct cursor *c)
{
	cursor_skip(c, 6);
	uint16_t proto = cursor_u8(c);
	if (!(proto & 1)) /* else it is compressed to one byte */
		proto = (uint16_t)(proto << 8 | cursor_u8(c));
	return proto == 0x21 || proto == 0x2f ? ETHER_IPV4 : proto == 0x57 ? ETHER_IPV6 : 0;
}

/* Leaves the cursor at what follows a layer that is no IP; 0 when that cannot be said. */
static uint16_t take_layer(struct cursor *c, uint16_t type)
{
	switch (type) {
	case ETHER_VLAN:
	case ETHER_8021AD:
	case ETHER_QINQ:
		return take_tag(c, 4);
	case ETHER_8021AH:
		return take_tag(c, 18);
	case ETHER_VNTAG:
		return take_tag(c, 6);
	case ETHER_ETAG:
		return take_tag(c, 8);
	case ETHER_DCE:
		cursor_skip(c, 2);
		return take_ethernet(c);
	case ETHER_MPLS:
	case ETHER_MPLS_MULTICAST:
		return take_mpls(c);
	case ETHER_PPPOE_SESSION:
		return take_pppoe(c);
	default:
		return 0;
	}
}

bool frame_hash(const uint8_t *data, size_t len, uint16_t link_type, uint64_t seed, uint32_t *hash)
{
	struct cursor c = cursor_of(data, len);
	uint16_t type = 0;
	if (link_type == DLT_EN10MB)
		type = take_ethernet(&c);
	else if (link_type == DLT_RAW && len > 0)
		type = data[0] >> 4 == 6 ? ETHER_IPV6 : ETHER_IPV4;
	for (unsigned i = 0; i < LAYERS_MAX && type != ETHER_IPV4 && type != ETHER_IPV6 && type != 0; i++)
		type = take_layer(&c, type);
	if (c.failed)
		return false;
	if (type == ETHER_IPV4)
		return hash_ipv4(c, seed, hash);
	return type == ETHER_IPV6 && hash_ipv6(c, seed, hash);
}
