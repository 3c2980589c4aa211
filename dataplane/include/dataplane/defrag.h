/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * IP reassembly (RFC 791, RFC 8200, RFC 5722) with bounded memory. One per worker; time is packet time.
 */

#include <stdint.h>

#include <dataplane/counters.h>
#include <dataplane/decode.h>
#include <dataplane/packet.h>

/* Which copy of an overlapped byte wins; Novak and Sturges, "Target-Based TCP Stream Reassembly" (2007) and Paxson and
 * Shankar name them. An inline sensor should use DEFRAG_FIRST or DEFRAG_DROP. */
enum defrag_policy {
	DEFRAG_FIRST,
	DEFRAG_LAST,
	DEFRAG_BSD,
	DEFRAG_BSD_RIGHT,
	DEFRAG_LINUX,
	DEFRAG_SOLARIS,
	DEFRAG_WINDOWS,
	DEFRAG_DROP, /* any overlap drops the datagram */
};

struct defrag_config {
	size_t memory_bytes;		     /* default 32 MiB */
	uint32_t datagrams_max;		     /* default 65,536 incomplete datagrams */
	uint32_t fragments_per_datagram_max; /* default 256 */
	uint64_t timeout_ns;		     /* default 60 s */
	enum defrag_policy policy;	     /* default BSD when passive, FIRST when inline */
	enum exception_policy memcap_policy;
};

void defrag_config_defaults(struct defrag_config *config, bool inline_mode);

struct defrag;

struct defrag *defrag_new(const struct defrag_config *config, struct counters *counters);
/* Takes over what can change while datagrams wait: the memcap policy. */
void defrag_configure(struct defrag *defrag, const struct defrag_config *config);
void defrag_free(struct defrag *defrag);

/*
 * Takes a fragment (PACKET_FRAGMENT). Returns the reassembled datagram, decoded, when this one completes it: a packet of
 * the decoder's pool whose bytes live until the next call of defrag_recycle; otherwise NULL, and then
 * pkt->verdict is VERDICT_HOLD, or VERDICT_DROP with its reason (overlap, limit), and events are set on pkt.
 * When complete, held fragments of the datagram can be walked with defrag_held, so that the caller forwards or drops
 * them with the datagram's verdict.
 */
struct packet *defrag_add(struct defrag *defrag, struct decoder *decoder, struct packet *pkt);

/* A copy of a held frame: what an inline backend sends once the datagram is judged. Lives as the datagram does. */
struct held_frame {
	const uint8_t *data;
	uint32_t len;
	uint64_t ts_ns;
	uint64_t number;
	uint16_t port;
	uint16_t link_type;
	struct held_frame *next;
};
/* The frames that made up the datagram, in order of arrival, without the completing one. NULL when none. */
struct held_frame *defrag_held(struct defrag *defrag, const struct packet *datagram);

/* Frees datagrams that were given out and expires old ones (counted; their frames count as DROP_DEFRAG_TIMEOUT). At most
 * `budget` incomplete ones are looked at. */
void defrag_recycle(struct defrag *defrag, uint64_t now_ns, unsigned budget);
