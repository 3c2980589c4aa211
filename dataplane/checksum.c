/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Internet checksums (RFC 1071): sums of big-endian 16-bit words, kept in host order.
 */
#include <netinet/in.h>
#include <string.h>

#include "decode_layers.h"

/* A one's-complement sum does not care how its words are grouped: 32-bit words into a 64-bit sum cannot overflow for
 * anything that fits in memory, and compilers make vector code of the loop. */
static uint64_t sum_words(const uint8_t *p, size_t len)
{
	uint64_t sum = 0;
	for (; len >= 64; p += 64, len -= 64) {
		uint32_t w[16];
		memcpy(w, p, sizeof(w));
		for (unsigned i = 0; i < 16; i++)
			sum += w[i];
	}
	for (; len >= 4; p += 4, len -= 4) {
		uint32_t w;
		memcpy(&w, p, sizeof(w));
		sum += w;
	}
	if (len > 0) {
		uint32_t w = 0;
		memcpy(&w, p, len);
		sum += w;
	}
	return sum;
}

static uint16_t fold64(uint64_t sum)
{
	sum = (sum & 0xffffffffu) + (sum >> 32);
	sum = (sum & 0xffffffffu) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

uint32_t checksum_add(uint32_t sum, const void *data, size_t len)
{
	uint16_t native = fold64(sum_words(data, len));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	native = __builtin_bswap16(native);
#endif
	return sum + native;
}

uint16_t checksum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

uint32_t checksum_pseudo(const struct packet *pkt, uint8_t proto, uint32_t len)
{
	uint32_t sum = proto + (len >> 16) + (len & 0xffff);
	size_t addr_len = pkt->family == 4 ? 4 : 16;
	sum = checksum_add(sum, pkt->src.bytes, addr_len);
	return checksum_add(sum, pkt->dst.bytes, addr_len);
}

/* Where the checksum stands in the header of a protocol; -1 when it is none of ours. */
static int checksum_offset(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return 16;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return 6;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
	case IPPROTO_IGMP:
		return 2;
	default:
		return -1;
	}
}

/* How many bytes of UDP-Lite the checksum covers (RFC 3828): 0 means all. */
static uint32_t coverage(const struct packet *pkt, const uint8_t *l4, uint32_t len)
{
	if (pkt->proto != IPPROTO_UDPLITE)
		return len;
	uint32_t covered = load_be16(l4 + 4);
	return covered >= 8 && covered <= len ? covered : len;
}

static void fix_l4(const struct packet *pkt, uint8_t *l4, uint32_t len)
{
	int at = checksum_offset(pkt->proto);
	if (at < 0 || len < (uint32_t)at + 2)
		return;
	bool udp = pkt->proto == IPPROTO_UDP;
	if (udp && len >= 8 && load_be16(l4 + 4) >= 8 && load_be16(l4 + 4) <= len)
		len = load_be16(l4 + 4);
	if (udp && pkt->family == 4 && load_be16(l4 + at) == 0)
		return; /* the sender chose none */
	uint32_t sum = 0;
	if (pkt->proto != IPPROTO_ICMP && pkt->proto != IPPROTO_IGMP)
		sum = checksum_pseudo(pkt, pkt->proto, len);
	store_be16(l4 + at, 0);
	uint16_t check = checksum_fold(checksum_add(sum, l4, coverage(pkt, l4, len)));
	if (check == 0 && (udp || pkt->proto == IPPROTO_UDPLITE))
		check = 0xffff;
	store_be16(l4 + at, check);
}

static void fix_gre(uint8_t *gre, uint32_t len)
{
	if (len < 8 || !(gre[0] & 0x80))
		return;
	store_be16(gre + 4, 0);
	store_be16(gre + 4, checksum_fold(checksum_add(0, gre, len)));
}

/* A layer's own pointers are const views; its bytes are reached through the writable `data`. */
static void fix_layer(struct packet *pkt)
{
	if (!pkt->l3 || !pkt->data || (pkt->family != 4 && pkt->family != 6))
		return;
	uint8_t *l3 = pkt->data + (pkt->l3 - pkt->data);
	if (pkt->family == 4) {
		store_be16(l3 + 10, 0);
		store_be16(l3 + 10, checksum_fold(checksum_add(0, l3, pkt->l3_header_len)));
	}
	if (!pkt->l4 || pkt->flags & PACKET_FRAGMENT)
		return;
	uint8_t *l4 = pkt->data + (pkt->l4 - pkt->data);
	uint32_t len = pkt->l3_len - pkt->l3_header_len;
	if (pkt->proto == IPPROTO_GRE)
		fix_gre(l4, len);
	else
		fix_l4(pkt, l4, len);
}

/* From the outermost layer that lies in the same bytes to the packet itself, fixed from the inside out: an outer checksum
 * covers the inner ones. */
void packet_fix_checksums(struct packet *pkt)
{
	struct packet *layers[DECODE_LAYERS_MAX];
	unsigned n = 0;
	struct packet *at = pkt->root ? pkt->root : pkt;
	for (; at && at != pkt && n < DECODE_LAYERS_MAX; at = at->inner)
		layers[n++] = at;
	fix_layer(pkt);
	if (at != pkt)
		return; /* a reassembled datagram: its bytes are not the frame's */
	while (n > 0)
		fix_layer(layers[--n]);
}
