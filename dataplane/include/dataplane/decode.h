/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * From a frame to its layers: link layer, tags and labels, tunnels, IP and its extension headers, transport.
 *
 * A decoder belongs to one worker. It never allocates on the packet path: the packets of inner layers come from its own
 * pool. Malformed input sets events on the packet; nothing is trusted, nothing outside [data, data+len) is read.
 */

#include <stdint.h>

#include <dataplane/counters.h>
#include <dataplane/packet.h>

/* Layers (tunnels and tags together) that are followed in one frame; one more sets too_many_layers. */
#define DECODE_LAYERS_MAX 16
/* Ports that a decoder takes for one tunnel protocol. */
#define DECODE_PORTS_MAX 8

struct decode_config {
	uint16_t vxlan_ports[DECODE_PORTS_MAX];	 /* 0 ends the list; default 4789 */
	uint16_t geneve_ports[DECODE_PORTS_MAX]; /* default 6081 */
	uint16_t teredo_ports[DECODE_PORTS_MAX]; /* default 3544 */
	bool teredo;				 /* default true */
	bool vxlan;				 /* default true */
	bool geneve;				 /* default true */
	bool check_checksums;			 /* default true: sets PACKET_*_CSUM_BAD */
};

void decode_config_defaults(struct decode_config *config);

struct decoder;

/* NULL and errno on failure. The counters outlive the decoder. */
struct decoder *decoder_new(const struct decode_config *config, struct counters *counters);
void decoder_free(struct decoder *decoder);

/* Fills in a packet whose data, len, wire_len, ts_ns, number, link_type, port and checksum_unready are set (all else is
 * overwritten) and the chain of its inner packets. Events say what is malformed; PACKET_INVALID when no more can be read. */
void decode_frame(struct decoder *decoder, struct packet *pkt);

/* Decodes a reassembled IP datagram (from defrag): `pkt->data` starts with its IP header, `link_type` is DLT_RAW, `root` is the
 * frame that completed it; its inner layers are chained as decode_frame does. */
void decode_datagram(struct decoder *decoder, struct packet *pkt);

/* A cleared packet from the decoder's pool (for datagrams and end-of-flow inspection); NULL when the pool is empty. */
struct packet *decoder_packet(struct decoder *decoder);

/* Gives back every packet taken from the pool since the last call: once a burst, when its verdicts are given. */
void decoder_recycle(struct decoder *decoder);

/* IPv4 options in packet.ip_options. */
enum ip_option {
	IP_OPTION_EOL = 1 << 0,
	IP_OPTION_NOP = 1 << 1,
	IP_OPTION_RR = 1 << 2,
	IP_OPTION_TS = 1 << 3,
	IP_OPTION_SEC = 1 << 4,
	IP_OPTION_LSRR = 1 << 5,
	IP_OPTION_SSRR = 1 << 6,
	IP_OPTION_SATID = 1 << 7,
	IP_OPTION_ESEC = 1 << 8,
	IP_OPTION_CIPSO = 1 << 9,
	IP_OPTION_RTRALT = 1 << 10,
	IP_OPTION_QS = 1 << 11,
	IP_OPTION_OTHER = 1 << 12,
};

/* Internet checksum (RFC 1071) helpers, shared with whoever rewrites packets. A sum is of big-endian words in host order;
 * only the last run of bytes of a sum may have an odd length. */
uint32_t checksum_add(uint32_t sum, const void *data, size_t len);
/* The checksum, for store_be16: 0 over bytes that hold a right one. */
uint16_t checksum_fold(uint32_t sum);
/* Recomputes the IPv4 header and transport checksums of a packet whose bytes were changed, and of the layers around it. */
void packet_fix_checksums(struct packet *pkt);
