/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * TCP: session tracking (RFC 9293, 7323, 7413) and reassembly in both directions. One engine a worker.
 *
 * Two modes. Inline: what a segment brings is available at once, the first copy of a byte wins, and a packet that the end
 * host must not act on is dropped or rewritten (verdict and drop reason are set on the packet). Passive: data becomes
 * available when the receiver acknowledged it, or the session ends; nothing is dropped.
 *
 * A direction's bytes have offsets from 0 (the byte after the SYN). Two readers follow each direction: the application
 * layer (stream_app_*) and raw inspection (stream_raw_*). Bytes are kept while either still needs them.
 */

#include <stdbool.h>
#include <stdint.h>

#include <dataplane/counters.h>
#include <dataplane/flow.h>
#include <dataplane/packet.h>

enum tcp_state {
	TCP_NONE,
	TCP_SYN_SENT,
	TCP_SYN_RECV,
	TCP_ESTABLISHED,
	TCP_FIN_WAIT1,
	TCP_FIN_WAIT2,
	TCP_TIME_WAIT,
	TCP_LAST_ACK,
	TCP_CLOSE_WAIT,
	TCP_CLOSING,
	TCP_CLOSED,
};

enum stream_urgent_policy { STREAM_URGENT_INLINE, STREAM_URGENT_OOB, STREAM_URGENT_GAP, STREAM_URGENT_DROP };

struct stream_config {
	bool inline_mode;
	bool midstream;				/* pick sessions up without their handshake; default false */
	bool async_oneside;			/* follow sessions of which one side is seen; default false */
	bool drop_invalid;			/* inline: drop packets that do not belong; default true */
	enum exception_policy midstream_policy; /* for sessions without handshake; default IGNORE */
	enum exception_policy memcap_policy;
	enum stream_urgent_policy urgent_policy; /* default OOB: the urgent byte is not part of the stream */
	size_t session_memory_bytes;		 /* default 64 MiB */
	size_t segment_memory_bytes;		 /* default 256 MiB */
	uint32_t depth_bytes;	     /* per direction; 0 unlimited; default 1 MiB. Beyond it raw data is not kept */
	uint32_t raw_window_bytes;   /* how much past data raw inspection still sees; default 8 KiB */
	uint32_t segments_max;	     /* out-of-order segments a direction; default 512 */
	uint32_t overlap_checks_max; /* default 128 */
	uint8_t max_syn_queued;	     /* default 10 */
	uint8_t max_synack_queued;   /* default 5 */
};

void stream_config_defaults(struct stream_config *config, bool inline_mode);

struct stream_engine;

struct stream_engine *stream_engine_new(const struct stream_config *config, struct counters *counters);
/* Takes over what can change while sessions are there: midstream, async-oneside, drop-invalid and the policies. Between two
 * packets. */
void stream_engine_configure(struct stream_engine *engine, const struct stream_config *config);
void stream_engine_free(struct stream_engine *engine);

/*
 * Takes a TCP packet of its flow: creates the session (flow->tcp), follows its state (flow_set_state through `table`),
 * stores its data, sets events, PACKET_ESTABLISHED, PACKET_STREAM_NEW, PACKET_STREAM_BAD, PACKET_PAYLOAD_IN_STREAM, and inline the
 * verdict. May turn the flow round (flow_swap); pkt->dir is right afterwards. A SYN on a closed session's tuple ends the
 * old flow first: pkt->flow is then the new one.
 */
void stream_packet(struct stream_engine *engine, struct flow_table *table, struct packet *pkt);

/* The end of a flow: everything received becomes available, both directions are at end of file. Then free. */
void stream_finish(struct stream_engine *engine, struct flow *flow);
void stream_session_free(struct stream_engine *engine, struct flow *flow);

/* Turns the two sides' streams round: with flow_swap, when content shows that the client was taken for the server. */
void stream_swap(struct flow *flow);

enum tcp_state stream_state(const struct flow *flow);
/* No byte will follow that an end host takes: both sides have ended their data in order and each end was acknowledged, or a
 * reset was obeyed. False after a reset that its receiver may have ignored (RFC 2385, RFC 5925): the session may go on. */
bool stream_closed_for_good(const struct flow *flow);

struct stream_view {
	const uint8_t *
		data; /* contiguous; valid until the next stream_* call on the flow that is not stream_raw_view/app_view */
	uint32_t len;
	uint64_t offset; /* of data[0] in the direction */
	uint32_t gap;	 /* bytes that are missing before data[0]: they will never come */
	bool eof;	 /* nothing follows data */
};

/* What the application layer has not consumed yet; the same again until it does, or more comes. False when there is
 * nothing (no data, no gap, no end of file that it was not told of). What it left of the bytes before a gap is given up
 * with the next packet: then they count as part of the gap. */
bool stream_app_view(struct flow *flow, enum direction dir, struct stream_view *view);
/* It took n bytes (and the gap before them, which is then over). */
void stream_app_consume(struct stream_engine *engine, struct flow *flow, enum direction dir, uint32_t n);
/* The application layer is done with this direction: it keeps no more bytes for it. */
void stream_app_disable(struct stream_engine *engine, struct flow *flow, enum direction dir);

/* The raw window: up to raw_window_bytes already inspected, then the new bytes; *fresh is the index in data of the first
 * new byte. False when nothing is new. */
bool stream_raw_view(struct flow *flow, enum direction dir, struct stream_view *view, uint32_t *fresh);
/* All that the last stream_raw_view showed is inspected. */
void stream_raw_done(struct stream_engine *engine, struct flow *flow, enum direction dir);
/* Nobody inspects this direction raw any more. */
void stream_raw_disable(struct stream_engine *engine, struct flow *flow, enum direction dir);

/* Calls back for each run of bytes that a direction still holds, oldest first, those beyond a hole included, until `run`
 * returns false: for records. Offsets tell where holes are; the first byte that could still be held is at stream_base. */
void stream_walk(const struct flow *flow, enum direction dir,
		 bool (*run)(void *user, uint64_t offset, const uint8_t *data, uint32_t len), void *user);
uint64_t stream_base(const struct flow *flow, enum direction dir);

/* Bytes in sequence seen so far in a direction (the `stream_size` keyword). */
uint64_t stream_size(const struct flow *flow, enum direction dir);
/* The direction lost bytes. */
bool stream_has_gap(const struct flow *flow, enum direction dir);
bool stream_depth_reached(const struct flow *flow, enum direction dir);
