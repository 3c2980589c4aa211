/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Inside of the stream module: a TCP session, shared by stream.c (engine and readers), tcp*.c (state) and reassembly.c
 * (bytes). Not for others.
 */

#include <dataplane/slab.h>
#include <dataplane/stream.h>

#define TCP_FIN 1u
#define TCP_SYN 2u
#define TCP_RST 4u
#define TCP_ACK 16u
#define TCP_URG 32u

/* RFC 7323: the largest shift; what a session without its handshake is assumed to use. */
#define TCP_WSCALE_MAX 14

/* Gaps between what both readers have passed and the newest byte; one more makes the readers jump over the oldest. */
#define TCP_GAPS_MAX 8
/* Unacknowledged in-order segments whose starts are remembered for the overlap policy; older ones count as one. */
#define TCP_MARKS 16

static inline bool seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool seq_leq(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

static inline bool seq_gt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static inline bool seq_geq(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) >= 0;
}

/* A segment that lies beyond a hole. */
struct tcp_segment {
	struct tcp_segment *next;
	uint64_t offset;
	uint64_t sent_at; /* where the segment began as it was sent: the overlap policies ask */
	uint32_t len;
	int32_t urgent; /* index of a byte that is not part of the stream, or -1 */
	uint8_t data[];
};

struct tcp_gap {
	uint64_t at;
	uint64_t len;
};

enum tcp_half_flag {
	HALF_TIMESTAMP = 1 << 0,
	HALF_ZERO_TIMESTAMP = 1 << 1,
	HALF_RESET_RECEIVED = 1 << 2, /* a reset reached the sender of this half; what follows may prove it forged */
	HALF_KEEP_ALIVE = 1 << 3,
	HALF_GAP = 1 << 4,
	HALF_DEPTH = 1 << 5,
	HALF_APP_OFF = 1 << 6,
	HALF_RAW_OFF = 1 << 7,
	HALF_EOF_SHOWN = 1 << 8,
	HALF_FIN = 1 << 9, /* fin_seq is valid */
	HALF_SEEN = 1 << 10,
	HALF_FINISHED = 1 << 11, /* the flow ends: all that is here is available */
	HALF_BEGUN = 1 << 12,	 /* isn is known */
	HALF_EOF_VIEW = 1 << 13, /* the last view had the end of file */
};

/* What one side sends. */
struct tcp_half {
	uint32_t isn;
	uint32_t next_seq; /* after the highest byte sent, FIN counted */
	uint32_t last_ack; /* by the other side */
	uint32_t next_win; /* right edge of what the other side lets it send */
	uint32_t window;
	uint32_t last_ts;
	uint32_t last_ts_s; /* packet time of last_ts */
	uint32_t fin_seq;
	uint16_t flags; /* enum tcp_half_flag */
	uint8_t wscale;
	uint8_t gap_count;
	uint8_t mark_first, mark_count;

	/* bytes [base, edge) stand at buf + start, without the gaps */
	uint8_t *buf;
	uint32_t cap, start, len;
	uint32_t edge_seq; /* sequence number of offset `edge` */
	uint64_t base, edge;
	struct tcp_segment *segments, *segments_last; /* beyond a hole, by offset, without overlap */
	uint32_t segment_count;

	/* readers: consumed up to, shown up to, begin of the last view */
	uint64_t app, app_shown, app_view;
	uint32_t app_shown_at; /* session's turn when app_shown last grew */
	uint64_t raw, raw_shown;
	uint64_t app_end; /* when finished: what lies beyond is behind a hole */

	struct tcp_gap gaps[TCP_GAPS_MAX];
	uint64_t marks[TCP_MARKS];     /* where a segment's bytes begin in the run */
	uint16_t mark_back[TCP_MARKS]; /* how far before that it was sent from */
};

enum tcp_session_flag {
	SESSION_MIDSTREAM = 1 << 0,
	SESSION_MIDSTREAM_ESTABLISHED = 1 << 1, /* the server's window is not known yet */
	SESSION_MIDSTREAM_SYNACK = 1 << 2,
	SESSION_ASYNC = 1 << 3,
	SESSION_TIMESTAMP = 1 << 4,
	SESSION_WSCALE = 1 << 5, /* the SYN offered window scaling */
	SESSION_FAST_OPEN = 1 << 6,
	SESSION_FAST_OPEN_IGNORED = 1 << 7, /* the server did not take the SYN's data */
	SESSION_FOUR_WAY = 1 << 8,	    /* a SYN was answered by a SYN */
	SESSION_CONFIRMED = 1 << 9,	    /* the server answered after the handshake */
	SESSION_RESET = 1 << 10,
	SESSION_LOSSY = 1 << 11,	   /* bytes were missed: be liberal with resets */
	SESSION_PROBE_TO_SERVER = 1 << 12, /* zero window probe of the client */
	SESSION_PROBE_TO_CLIENT = 1 << 13,
};

/* A SYN or SYN-ACK that may turn out to be the one that counted. */
struct tcp_handshake {
	struct tcp_handshake *next;
	uint32_t seq, ack, ts, at_s;
	uint16_t window;
	int8_t wscale; /* -1 without the option */
	bool has_ts;
};

struct tcp_session {
	uint8_t state, previous_state; /* enum tcp_state */
	uint8_t queue_len;
	uint32_t flags; /* enum tcp_session_flag */
	uint32_t turn;	/* counts packets: what was shown in an earlier one and left there will not be taken */
	struct tcp_handshake *queue;
	const struct stream_config *config;
	struct tcp_half half[2]; /* by direction of its bytes: [TO_SERVER] is what the client sends */
};

struct stream_engine {
	struct stream_config config;
	struct counters *counters;
	struct slab *sessions;
	struct slab *segments;
};

/* What a packet is taken with, so that the state functions need few arguments. */
struct tcp_context {
	struct stream_engine *engine;
	struct flow_table *table;
	struct packet *pkt;
	struct tcp_session *session;
	struct tcp_half *snd, *rcv; /* who sent the packet, and the other side */
	uint32_t seq, ack, len;
	uint8_t flags;
};

/* --- tcp.c, tcp_handshake.c, tcp_check.c: false when the packet does not belong to the session ---------------------- */

bool tcp_track(struct tcp_context *c);
bool tcp_none(struct tcp_context *c);
bool tcp_syn_sent(struct tcp_context *c);
bool tcp_syn_recv(struct tcp_context *c);
void tcp_queue_free(struct stream_engine *engine, struct tcp_session *session);
/* Whether a SYN (or SYN-ACK) on this flow begins a new connection. */
bool tcp_starts_anew(const struct stream_engine *engine, const struct packet *pkt);

bool tcp_ack_valid(const struct tcp_context *c);
bool tcp_timestamp_valid(const struct tcp_context *c);
void tcp_timestamp_update(const struct tcp_context *c);
bool tcp_reset_valid(const struct tcp_context *c);
bool tcp_is_retransmission(const struct tcp_context *c);
/* Packets that say nothing new: they need no state handling. */
bool tcp_is_idle_chatter(const struct tcp_context *c);
bool tcp_is_bad_window_update(const struct tcp_context *c);
/* Inline, data that no state looks at must not pass. */
static inline bool tcp_unread_data_ok(const struct tcp_context *c)
{
	return c->len == 0 || !c->engine->config.inline_mode;
}

/* Whether an ACK of `ack` covers all that this side sends; also true when it has not ended. While a byte before the FIN is
 * missing, its sender will send it again: the session is not over. */
static inline bool tcp_end_acknowledged(const struct tcp_half *half, uint32_t ack)
{
	return !(half->flags & HALF_FIN) || (int32_t)(ack - half->fin_seq) >= 0;
}

void tcp_set_state(struct tcp_context *c, enum tcp_state state);
bool tcp_reset(struct tcp_context *c);
bool tcp_fin(struct tcp_context *c);
void tcp_update_last_ack(const struct tcp_context *c, struct tcp_half *half, uint32_t ack);
void tcp_update_next_seq(const struct tcp_context *c, struct tcp_half *half, uint32_t seq);
void tcp_apply_policy(struct stream_engine *engine, struct packet *pkt, enum exception_policy policy,
		      enum drop_reason reason);

/* --- reassembly.c ------------------------------------------------------------------------------------------------------ */

/* A packet whose bytes were changed goes out with right checksums; one that cannot be changed where it came from (in a
 * tunnel, in fragments) is dropped. */
void tcp_packet_rewritten(struct packet *pkt);
/* Where a half's bytes begin. */
void tcp_half_begin(struct tcp_half *half, uint32_t isn);
/* Takes the packet's data and what its ACK makes available. */
bool tcp_reassemble(struct tcp_context *c);
/* Up to which offset bytes may be read. */
uint64_t tcp_available(const struct tcp_session *session, const struct tcp_half *half);
uint64_t tcp_acked(const struct tcp_half *half);
/* The receiver acknowledged bytes that were never seen here, and newer ones have come: nobody will send them again, and
 * the edge moves on. Whether there was such a gap. */
bool tcp_pass_gaps(struct stream_engine *engine, struct tcp_session *session, struct tcp_half *half);
/* When finished: goes on behind the next hole, whoever acknowledged it. False when there is nothing more. */
bool tcp_skip_hole(struct stream_engine *engine, struct tcp_half *half);
/* The bytes at an offset and how many lie there in one piece. NULL when they are not (or no more) here. */
const uint8_t *tcp_bytes_at(const struct tcp_half *half, uint64_t offset, uint64_t *run);
void tcp_half_trim(struct stream_engine *engine, struct tcp_half *half);
void tcp_half_free(struct stream_engine *engine, struct tcp_half *half);
