/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A packet as the layers see it.
 *
 * One `struct packet` is one IP layer of one frame: a frame with tunnels is a chain, outermost first, linked by
 * `inner`; a reassembled datagram is a packet of its own whose `root` is the frame that completed it. Pointers point
 * into the frame (or the reassembled datagram) and live until the packet's verdict has been given.
 *
 * A packet belongs to the worker that received it.
 */

#include <stdbool.h>
#include <stdint.h>

#include <dataplane/bytes.h>
#include <dataplane/events.h>
#include <dataplane/verdict.h>

struct flow;

enum direction { TO_SERVER = 0, TO_CLIENT = 1 };

static inline enum direction direction_opposite(enum direction d)
{
	return (enum direction)(1 - (int)d);
}

#define PACKET_VLAN_MAX 3

/* IPv4 stands in the first four bytes, network order, the rest zero. */
union packet_addr {
	uint8_t bytes[16];
	uint32_t u32[4];
	uint64_t u64[2];
};

enum packet_flag {
	PACKET_IP_CSUM_BAD = 1 << 0, /* IPv4 header checksum is wrong (only when checksums are checked) */
	PACKET_L4_CSUM_BAD = 1 << 1, /* TCP, UDP or ICMP checksum is wrong (only when checked) */
	PACKET_FRAGMENT = 1 << 2,    /* one fragment: l4 is NULL */
	PACKET_REASSEMBLED = 1 << 3, /* built by defragmentation */
	PACKET_TUNNELLED = 1 << 4,   /* not the outermost layer */
	PACKET_FLOW_END = 1 << 5,    /* made by the worker when a flow ends, to inspect what is left; no bytes */
	PACKET_INVALID = 1 << 6,     /* an event of it makes the rest unreadable: no flow, only decode-event rules */
	PACKET_ESTABLISHED = 1 << 7, /* set by flow/stream: the flow had seen both sides before or with this packet */
	PACKET_STREAM_NEW = 1 << 8,  /* set by stream: reassembled data became available with this packet */
	PACKET_NO_INSPECT = 1 << 9,  /* policy: forward uninspected */
	PACKET_STREAM_BAD = 1 << 10, /* set by stream: not part of the session (out of window, bad reset ...) */
	PACKET_ICMP_ERROR = 1 << 11, /* ICMP(v6) error that quotes a packet; its tuple is in `quoted` */
	PACKET_FLOW_FIRST = 1 << 12, /* set by flow: the first packet of its flow */
	PACKET_PAYLOAD_IN_STREAM = 1 << 13, /* set by stream: the payload was taken by reassembly */
	PACKET_FIRST_TO_SERVER = 1 << 14,   /* set by flow: first packet in this direction */
	PACKET_FIRST_TO_CLIENT = 1 << 15,
	PACKET_FLOW_END_MORE = 1 << 16, /* with FLOW_END, again: data behind a hole, all else was judged already */
	PACKET_BYPASSED = 1 << 17,	/* a frame of a flow that is bypassed: forwarded without a look */
};

/* What carried a tunnelled packet, for records. */
enum packet_tunnel {
	TUNNEL_NONE,
	TUNNEL_IPIP,
	TUNNEL_6IN4,
	TUNNEL_4IN6,
	TUNNEL_6IN6,
	TUNNEL_GRE,
	TUNNEL_ERSPAN,
	TUNNEL_NVGRE,
	TUNNEL_VXLAN,
	TUNNEL_GENEVE,
	TUNNEL_TEREDO,
	TUNNEL_NSH,
};

/* TCP options and header fields; valid only when `proto` is 6 and `l4` is not NULL. */
struct packet_tcp {
	uint32_t seq;
	uint32_t ack;
	uint32_t ts_val;
	uint32_t ts_ecr;
	uint16_t window; /* not scaled */
	uint16_t urgent;
	uint16_t mss;  /* 0 without the option */
	uint8_t flags; /* FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128 */
	uint8_t header_len;
	int8_t window_scale; /* -1 without the option */
	bool has_ts;
	bool sack_ok;
	bool fast_open; /* TFO option, cookie or request */
	uint8_t fast_open_len;
	uint8_t sack_count; /* SACK blocks */
	bool signature;	    /* MD5 (RFC 2385) or AO (RFC 5925) option: only who has the key knows whether it is right */
};

struct packet_icmp {
	uint16_t id; /* echo and the like; 0 else */
	uint16_t seq;
	uint8_t type;
	uint8_t code;
	bool has_id;
};

/* The tuple that an ICMP error quotes. */
struct packet_quoted {
	union packet_addr src, dst;
	uint16_t sport, dport;
	uint8_t proto;
};

struct packet {
	/* the frame (or the datagram, when PACKET_REASSEMBLED) */
	uint8_t *data;
	uint32_t len;	    /* bytes here */
	uint32_t wire_len;  /* bytes on the wire, >= len */
	uint64_t ts_ns;	    /* since the epoch */
	uint64_t number;    /* serial number on its interface or in its capture, from 1; inner packets share it */
	uint16_t link_type; /* DLT_*; what `data` starts with */
	uint16_t port;	    /* interface number of the backend */
	/* the backend's: TCP, UDP and ICMP checksums are not there yet (the kernel or the NIC makes them), nobody can verify them */
	bool checksum_unready;

	/* the layers; NULL when absent. l2 is the Ethernet header. */
	const uint8_t *l2;
	const uint8_t *l3;
	const uint8_t *l4;
	/* of TCP and UDP; of ICMP past its header (8 bytes; 20 of timestamps; 4 of ICMPv6 but errors and echoes); of SCTP's
	 * first data chunk; else what follows l3's headers */
	const uint8_t *payload;
	uint32_t l3_len;	/* the whole datagram as its header says, header included, cut to what is here */
	uint16_t l3_header_len; /* IPv4 with options, IPv6 with all extension headers up to l4 */
	uint16_t payload_len;	/* of what is here; jumbograms above 65,535 are PACKET_INVALID */

	uint8_t family; /* 4, 6, or 0 when not IP */
	uint8_t proto;	/* final: IPPROTO_*; for IPv6 past all extension headers */
	uint8_t ttl;	/* or hop limit */
	uint8_t tos;	/* or traffic class */
	uint16_t ip_id; /* IPv4 */
	uint16_t ether_type;
	uint32_t frag_id;
	uint16_t frag_offset; /* bytes */
	uint8_t ip_flags;     /* IPv4: 4 reserved, 2 DF, 1 MF */
	bool more_fragments;
	uint32_t ip_options; /* bit set of IPv4 options seen: see decode.h */
	uint16_t vlan[PACKET_VLAN_MAX];
	uint8_t vlan_count;
	uint8_t tunnel; /* enum packet_tunnel: what carried this layer */
	uint8_t depth;	/* 0 outermost */

	uint16_t sport, dport; /* host order; 0 when not TCP, UDP, UDP-Lite or SCTP */
	union packet_addr src, dst;
	struct packet_tcp tcp;
	struct packet_icmp icmp;
	struct packet_quoted quoted;

	uint32_t flags; /* enum packet_flag */
	struct event_set events;

	struct packet *inner; /* next layer of the tunnel, or NULL */
	struct packet *root;  /* the frame: itself when outermost */

	/* set on the way */
	struct flow *flow;
	enum direction dir;
	enum verdict verdict;
	enum drop_reason drop_reason;

	uint64_t backend[4]; /* the backend's own; nobody else's. Of a live one the last is the steering layer's */
};

static inline void packet_event(struct packet *pkt, enum event event)
{
	event_set_add(&pkt->events, event);
}

/* Marks the packet and its frame as dropped; the first reason is kept. Clears nothing else. */
void packet_drop(struct packet *pkt, enum drop_reason reason);
