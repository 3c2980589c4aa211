/* SPDX-License-Identifier: BSD-3-Clause */
/* Builds the answers of reject rules: TCP resets (RFC 9293, 3.10.7) and ICMP errors (RFC 792, RFC 4443). */
#include <netinet/in.h>
#include <pcap/dlt.h>
#include <string.h>

#include <dataplane/bytes.h>
#include <dataplane/decode.h>

#include "policy.h"

#define LINK_HEADER_MAX 64 /* Ethernet and some tags */
/* RFC 792 asks for the header and 8 bytes, RFC 1812 for as much as keeps the answer small. */
#define QUOTE_V4_MAX	    548
#define QUOTE_V6_MAX	    1232
#define TTL_OUT		    64
#define ICMP_UNREACH_ADMIN  13
#define ICMP6_UNREACH_ADMIN 1

/* Copies what stands before the IP header; turned round for an answer to the sender. 0 when that cannot be done. */
static bool link_header(const struct packet *pkt, bool back, uint8_t *frame, size_t *len)
{
	*len = 0;
	if (pkt->link_type == DLT_RAW || pkt->link_type == DLT_IPV4 || pkt->link_type == DLT_IPV6)
		return true;
	size_t n = (size_t)(pkt->l3 - pkt->data);
	if (pkt->l3 < pkt->data || n > LINK_HEADER_MAX || n > pkt->len)
		return false;
	if (pkt->link_type == DLT_NULL || pkt->link_type == DLT_LOOP) {
		memcpy(frame, pkt->data, n);
		*len = n;
		return true;
	}
	if (pkt->link_type != DLT_EN10MB || n < 14)
		return false;
	memcpy(frame, pkt->data, n);
	if (back) {
		memcpy(frame, pkt->data + 6, 6);
		memcpy(frame + 6, pkt->data, 6);
	}
	*len = n;
	return true;
}

static size_t addr_len(const struct packet *pkt)
{
	return pkt->family == 4 ? 4 : 16;
}

/* An IP header with room for `payload` bytes after it; from the packet's destination to its source when `back`. */
static size_t ip_header(const struct packet *pkt, bool back, uint8_t proto, size_t payload, uint8_t *at)
{
	const uint8_t *from = back ? pkt->dst.bytes : pkt->src.bytes, *to = back ? pkt->src.bytes : pkt->dst.bytes;
	if (pkt->family == 4) {
		memset(at, 0, 20);
		at[0] = 0x45;
		store_be16(at + 2, (uint16_t)(20 + payload));
		at[6] = 0x40; /* DF: nothing here may be fragmented, so the identification may be zero (RFC 6864) */
		at[8] = TTL_OUT;
		at[9] = proto;
		memcpy(at + 12, from, 4);
		memcpy(at + 16, to, 4);
		store_be16(at + 10, checksum_fold(checksum_add(0, at, 20)));
		return 20;
	}
	memset(at, 0, 40);
	at[0] = 0x60;
	store_be16(at + 4, (uint16_t)payload);
	at[6] = proto;
	at[7] = TTL_OUT;
	memcpy(at + 8, from, 16);
	memcpy(at + 24, to, 16);
	return 40;
}

/* The checksum over the pseudo header and the `len` bytes at l4. */
static uint16_t l4_checksum(const struct packet *pkt, uint8_t proto, const uint8_t *l4, size_t len)
{
	uint8_t pseudo[4] = {0, proto, (uint8_t)(len >> 8), (uint8_t)len};
	uint32_t sum = checksum_add(0, pkt->src.bytes, addr_len(pkt));
	sum = checksum_add(sum, pkt->dst.bytes, addr_len(pkt));
	sum = checksum_add(sum, pseudo, sizeof(pseudo));
	return checksum_fold(checksum_add(sum, l4, len));
}

static size_t build_reset(const struct packet *pkt, bool back, uint8_t *at)
{
	const struct packet_tcp *tcp = &pkt->tcp;
	if (tcp->flags & 0x04)
		return 0;
	size_t ip = ip_header(pkt, back, IPPROTO_TCP, 20, at);
	uint8_t *l4 = at + ip;
	/* what the segment occupies in sequence space: SYN and FIN count as one each */
	uint32_t next = tcp->seq + pkt->payload_len + !!(tcp->flags & 0x02) + !!(tcp->flags & 0x01);
	bool acked = tcp->flags & 0x10;
	memset(l4, 0, 20);
	store_be16(l4, back ? pkt->dport : pkt->sport);
	store_be16(l4 + 2, back ? pkt->sport : pkt->dport);
	if (back) {
		store_be32(l4 + 4, acked ? tcp->ack : 0);
		store_be32(l4 + 8, next);
		l4[13] = 0x14; /* RST, ACK */
	} else {
		store_be32(l4 + 4, tcp->seq);
		store_be32(l4 + 8, acked ? tcp->ack : 0);
		l4[13] = acked ? 0x14 : 0x04;
	}
	l4[12] = 0x50;
	store_be16(l4 + 16, l4_checksum(pkt, IPPROTO_TCP, l4, 20));
	return ip + 20;
}

static bool is_icmp_error(const struct packet *pkt)
{
	if (pkt->flags & PACKET_ICMP_ERROR)
		return true;
	return (pkt->proto == IPPROTO_ICMP && (pkt->icmp.type == 3 || pkt->icmp.type == 5 || pkt->icmp.type == 11)) ||
	       (pkt->proto == IPPROTO_ICMPV6 && pkt->icmp.type < 128);
}

static size_t build_unreachable(const struct packet *pkt, bool back, uint8_t *at)
{
	bool v4 = pkt->family == 4;
	if (is_icmp_error(pkt))
		return 0;
	size_t limit = v4 ? QUOTE_V4_MAX : QUOTE_V6_MAX;
	size_t quote = pkt->l3_len < limit ? pkt->l3_len : limit;
	uint8_t proto = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	size_t ip = ip_header(pkt, back, proto, 8 + quote, at);
	uint8_t *icmp = at + ip;
	memset(icmp, 0, 8);
	icmp[0] = v4 ? 3 : 1;
	icmp[1] = v4 ? ICMP_UNREACH_ADMIN : ICMP6_UNREACH_ADMIN;
	memcpy(icmp + 8, pkt->l3, quote);
	uint16_t sum = v4 ? checksum_fold(checksum_add(0, icmp, 8 + quote)) : l4_checksum(pkt, proto, icmp, 8 + quote);
	store_be16(icmp + 2, sum);
	return ip + 8 + quote;
}

static bool is_unicast(const struct packet *pkt)
{
	if (pkt->family == 4)
		return pkt->dst.bytes[0] < 224 && pkt->src.bytes[0] < 224 && pkt->src.u32[0] != 0;
	return pkt->dst.bytes[0] != 0xff && pkt->src.bytes[0] != 0xff;
}

size_t reject_build(const struct packet *pkt, bool back, uint8_t frame[static REJECT_FRAME_MAX])
{
	size_t link;
	if (pkt->root != pkt || pkt->depth > 0 || pkt->flags & (PACKET_INVALID | PACKET_FLOW_END) || !pkt->l3 ||
	    (pkt->family != 4 && pkt->family != 6) || !is_unicast(pkt) || !link_header(pkt, back, frame, &link))
		return 0;
	size_t ip = pkt->proto == IPPROTO_TCP && pkt->l4 ? build_reset(pkt, back, frame + link)
							 : build_unreachable(pkt, back, frame + link);
	return ip ? link + ip : 0;
}
