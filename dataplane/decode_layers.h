/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What the decoder's files share. Each function decodes one layer that starts at the cursor and ends at the cursor's end,
 * and goes on to what it carries. Private to decode*.c.
 */

#include <dataplane/decode.h>

/* Packets of inner layers, datagrams and end-of-flow inspection between two recycles: a burst of 64 frames whose tunnels are
 * as deep as DECODE_LAYERS_MAX allows (an IP layer and what carries it count two), and as many again for the others. */
#define DECODE_POOL_PKTS 1024

struct decoder {
	struct decode_config config;
	struct counters *counters;
	unsigned layers;	  /* of the frame being decoded */
	bool vj;		  /* the next IP header's protocol field holds a connection number (RFC 1144) */
	bool skip_l4_check;	  /* the packet's transport checksum cannot be judged: bytes or addresses are missing */
	uint64_t udp_ports[1024]; /* bit set of ports that may carry a tunnel */
	unsigned used;		  /* packets of the pool */
	struct packet *pool;
};

enum inner_kind { INNER_IPV4, INNER_IPV6, INNER_ETHERNET, INNER_PPP, INNER_VLAN, INNER_ARP, INNER_MPLS, INNER_NSH };

/* An anomaly after which no more can be read. */
static inline void decode_invalid(struct packet *pkt, enum event event)
{
	packet_event(pkt, event);
	pkt->flags |= PACKET_INVALID;
}

/* Counts a layer; false when there are too many. */
static inline bool decode_enter(struct decoder *d, struct packet *pkt)
{
	if (__builtin_expect(++d->layers <= DECODE_LAYERS_MAX, 1))
		return true;
	count(d->counters, COUNTER_DECODER_TOO_MANY_LAYERS);
	decode_invalid(pkt, EVENT_TOO_MANY_LAYERS);
	return false;
}

/* The frame was cut by the capture, not by its sender. */
static inline bool decode_cut(const struct packet *pkt)
{
	return pkt->len < pkt->wire_len;
}

/* decode_link.c */
void decode_link(struct decoder *d, struct packet *pkt, struct cursor *c);
void decode_ethernet(struct decoder *d, struct packet *pkt, struct cursor *c);
/* By EtherType; false when that is unknown. */
bool decode_network(struct decoder *d, struct packet *pkt, struct cursor *c, uint16_t type);
void decode_vlan(struct decoder *d, struct packet *pkt, struct cursor *c);
void decode_mpls(struct decoder *d, struct packet *pkt, struct cursor *c);
void decode_ppp(struct decoder *d, struct packet *pkt, struct cursor *c);
void decode_pppoe_session(struct decoder *d, struct packet *pkt, struct cursor *c);
void decode_pppoe_discovery(struct decoder *d, struct packet *pkt, struct cursor *c);
void decode_arp(struct decoder *d, struct packet *pkt, struct cursor *c);

/* decode_ip.c */
void decode_ipv4(struct decoder *d, struct packet *pkt, struct cursor *c);
void decode_ipv6(struct decoder *d, struct packet *pkt, struct cursor *c);

/* decode_ipopt.c: IPv4 options and the options of IPv6 extension headers */
bool decode_ipv4_options(struct packet *pkt, struct cursor c);
void decode_ipv6_options(struct decoder *d, struct packet *pkt, struct cursor c, bool hop_by_hop);

/* decode_transport.c; the cursor ends where the IP header says */
void decode_tcp(struct decoder *d, struct packet *pkt, struct cursor *c);
void decode_udp(struct decoder *d, struct packet *pkt, struct cursor *c);
void decode_udplite(struct decoder *d, struct packet *pkt, struct cursor *c);
void decode_sctp(struct decoder *d, struct packet *pkt, struct cursor *c);
void decode_esp(struct decoder *d, struct packet *pkt, struct cursor *c);
void decode_igmp(struct decoder *d, struct packet *pkt, struct cursor *c);

/* decode_icmp.c */
void decode_icmpv4(struct decoder *d, struct packet *pkt, struct cursor *c);
void decode_icmpv6(struct decoder *d, struct packet *pkt, struct cursor *c);

/* decode_tunnel.c */
/* Decodes the rest of the cursor as a packet of its own within `outer`; that packet, or NULL when there are too many. */
struct packet *decode_inner(struct decoder *d, struct packet *outer, struct cursor *c, enum inner_kind kind,
			    enum packet_tunnel tunnel);
void decode_gre(struct decoder *d, struct packet *pkt, struct cursor *c);
void decode_nsh(struct decoder *d, struct packet *pkt, struct cursor *c);
/* VXLAN, Geneve and Teredo, by port and content. */
void decode_udp_tunnel(struct decoder *d, struct packet *pkt);

/* checksum.c: the pseudo header's sum */
uint32_t checksum_pseudo(const struct packet *pkt, uint8_t proto, uint32_t len);

/* Judges the transport checksum over the rest of the cursor when checksums are checked; `pseudo` for those that cover addresses. */
static inline void decode_check_l4(struct decoder *d, struct packet *pkt, const struct cursor *c, bool pseudo)
{
	if (!d->config.check_checksums || d->skip_l4_check)
		return;
	size_t len = (size_t)(c->end - c->at);
	uint32_t sum = pseudo ? checksum_pseudo(pkt, pkt->proto, (uint32_t)len) : 0;
	if (checksum_fold(checksum_add(sum, c->at, len)) != 0)
		pkt->flags |= PACKET_L4_CSUM_BAD;
}
