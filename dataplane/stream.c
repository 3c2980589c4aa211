/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine, its packets, and the readers of the reassembled bytes. */
#include "tcp_session.h"

#include <errno.h>
#include <stdlib.h>

void stream_config_defaults(struct stream_config *config, bool inline_mode)
{
	*config = (struct stream_config){
		.inline_mode = inline_mode,
		.drop_invalid = true,
		.midstream_policy = EXCEPTION_IGNORE,
		.memcap_policy = EXCEPTION_IGNORE,
		.urgent_policy = STREAM_URGENT_OOB,
		.session_memory_bytes = 64u << 20,
		.segment_memory_bytes = 256u << 20,
		.depth_bytes = 1u << 20,
		.raw_window_bytes = 8u << 10,
		.segments_max = 512,
		.overlap_checks_max = 128,
		.max_syn_queued = 10,
		.max_synack_queued = 5,
	};
}

struct stream_engine *stream_engine_new(const struct stream_config *config, struct counters *counters)
{
	struct stream_engine *engine = calloc(1, sizeof(*engine));
	if (!engine)
		return NULL;
	engine->config = *config;
	engine->counters = counters;
	engine->sessions = slab_new("tcp sessions", config->session_memory_bytes);
	if (!engine->sessions)
		goto err_engine;
	engine->segments = slab_new("tcp segments", config->segment_memory_bytes);
	if (!engine->segments)
		goto err_sessions;
	return engine;
err_sessions:
	slab_free_all(engine->sessions);
err_engine:
	free(engine);
	return NULL;
}

void stream_engine_configure(struct stream_engine *engine, const struct stream_config *config)
{
	struct stream_config *c = &engine->config;
	c->midstream = config->midstream;
	c->async_oneside = config->async_oneside;
	c->drop_invalid = config->drop_invalid;
	c->midstream_policy = config->midstream_policy;
	c->memcap_policy = config->memcap_policy;
	c->urgent_policy = config->urgent_policy;
}

void stream_engine_free(struct stream_engine *engine)
{
	if (!engine)
		return;
	slab_free_all(engine->segments);
	slab_free_all(engine->sessions);
	free(engine);
}

/* --- packets ------------------------------------------------------------------------------------------------------------- */

static void count_flags(struct stream_engine *engine, uint8_t flags)
{
	if (flags & TCP_SYN)
		count(engine->counters, flags & TCP_ACK ? COUNTER_TCP_SYNACK : COUNTER_TCP_SYN);
	if (flags & TCP_RST)
		count(engine->counters, COUNTER_TCP_RST);
}

/* The old connection of this tuple is over: its flow ends, and the packet begins a new one. */
static bool begin_anew(struct flow_table *table, struct packet *pkt)
{
	struct flow *old = pkt->flow;
	bool full;
	/* look-up counted the packet for the old flow */
	old->packets[pkt->dir]--;
	old->bytes[pkt->dir] -= pkt->wire_len ? pkt->wire_len : pkt->len;
	flow_remove(table, old, FLOW_END_CLOSED);
	pkt->flags &= ~(uint32_t)PACKET_ESTABLISHED;
	return flow_lookup(table, pkt, &full) != NULL;
}

static void bad_packet(struct stream_engine *engine, struct packet *pkt)
{
	pkt->flags |= PACKET_STREAM_BAD;
	/* the end of a connection that nobody follows passes as its data did */
	bool followed = pkt->flow->tcp != NULL;
	if (engine->config.inline_mode && engine->config.drop_invalid && followed)
		packet_drop(pkt, DROP_STREAM);
}

/* Urgent data that policy forbids, and bytes that the end host will not take. */
static bool refuse_early(struct stream_engine *engine, struct packet *pkt)
{
	bool inline_mode = engine->config.inline_mode;
	if (pkt->flags & PACKET_L4_CSUM_BAD) {
		count(engine->counters, COUNTER_TCP_INVALID_CHECKSUM);
		pkt->flags |= PACKET_STREAM_BAD;
		if (inline_mode)
			packet_drop(pkt, DROP_CHECKSUM);
		return true;
	}
	if (!(pkt->tcp.flags & TCP_URG) || !inline_mode)
		return false;
	if (engine->config.urgent_policy == STREAM_URGENT_DROP) {
		packet_drop(pkt, DROP_STREAM_URGENT);
		return true;
	}
	/* receivers differ in where an urgent byte goes: without its mark all see it where it stands */
	uint8_t *header = (uint8_t *)(uintptr_t)pkt->l4;
	header[13] &= (uint8_t)~TCP_URG;
	store_be16(header + 18, 0);
	tcp_packet_rewritten(pkt);
	return false;
}

static uint64_t available_both(const struct tcp_session *session)
{
	return tcp_available(session, &session->half[0]) + tcp_available(session, &session->half[1]);
}

void stream_packet(struct stream_engine *engine, struct flow_table *table, struct packet *pkt)
{
	if (!pkt->flow || !pkt->l4 || pkt->flags & PACKET_FLOW_END || pkt->flow->flags & FLOW_DROP)
		return;
	if (refuse_early(engine, pkt))
		return;
	count_flags(engine, pkt->tcp.flags);
	if (tcp_starts_anew(engine, pkt) && !begin_anew(table, pkt))
		return;
	struct tcp_session *session = pkt->flow->tcp;
	struct tcp_context c = {
		.engine = engine,
		.table = table,
		.pkt = pkt,
		.session = session,
		.snd = session ? &session->half[pkt->dir] : NULL,
		.rcv = session ? &session->half[1 - pkt->dir] : NULL,
		.seq = pkt->tcp.seq,
		.ack = pkt->tcp.ack,
		.len = pkt->payload_len,
		.flags = pkt->tcp.flags,
	};
	uint64_t before = session ? available_both(session) : 0;
	if (session)
		session->turn++;
	if (!tcp_track(&c))
		bad_packet(engine, pkt);
	if (!c.session)
		return;
	if (c.session->state >= TCP_ESTABLISHED)
		pkt->flags |= PACKET_ESTABLISHED;
	if (available_both(c.session) != before)
		pkt->flags |= PACKET_STREAM_NEW;
}

/* --- the end ------------------------------------------------------------------------------------------------------------- */

void stream_finish(struct stream_engine *engine, struct flow *flow)
{
	struct tcp_session *session = flow->tcp;
	if (!session)
		return;
	session->turn++;
	for (int d = 0; d < 2; d++) {
		struct tcp_half *half = &session->half[d];
		if (half->flags & HALF_FINISHED)
			continue;
		half->flags |= HALF_FINISHED;
		half->app_end = half->edge;
		if (half->raw == half->edge)
			tcp_skip_hole(engine, half);
	}
}

void stream_session_free(struct stream_engine *engine, struct flow *flow)
{
	struct tcp_session *session = flow->tcp;
	if (!session)
		return;
	tcp_queue_free(engine, session);
	tcp_half_free(engine, &session->half[0]);
	tcp_half_free(engine, &session->half[1]);
	slab_free(engine->sessions, session, sizeof(*session));
	flow->tcp = NULL;
}

enum tcp_state stream_state(const struct flow *flow)
{
	return flow->tcp ? (enum tcp_state)flow->tcp->state : TCP_NONE;
}

bool stream_closed_for_good(const struct flow *flow)
{
	const struct tcp_session *s = flow->tcp;
	if (!s || (s->half[0].flags | s->half[1].flags) & HALF_RESET_RECEIVED)
		return false; /* whoever sent that reset may go on as if it had not */
	if (s->flags & SESSION_RESET)
		return s->state == TCP_CLOSED;
	return (s->state == TCP_TIME_WAIT || s->state == TCP_CLOSED) &&
	       s->half[0].flags & s->half[1].flags & HALF_FIN &&
	       tcp_end_acknowledged(&s->half[0], s->half[0].last_ack) &&
	       tcp_end_acknowledged(&s->half[1], s->half[1].last_ack);
}

/* --- readers --------------------------------------------------------------------------------------------------------------- */

static bool at_eof(const struct tcp_session *session, const struct tcp_half *half, uint64_t offset)
{
	if (half->flags & HALF_FINISHED)
		return true;
	if (offset != half->edge || half->segments)
		return false;
	/* after a reset that its sender may go on to ignore, there may be more */
	bool closed = session->state == TCP_CLOSED &&
		      !((session->half[0].flags | session->half[1].flags) & HALF_RESET_RECEIVED);
	return half->flags & HALF_DEPTH || closed || (half->flags & HALF_FIN && half->edge_seq == half->fin_seq);
}

/* A closed session waits for its flow's end without its bytes, once all have been read. */
static void release_closed(struct stream_engine *engine, const struct tcp_session *session, struct tcp_half *half)
{
	if (session->state != TCP_CLOSED || half->segments || !half->buf || tcp_acked(half) < half->edge)
		return;
	if ((half->app == half->edge || half->flags & HALF_APP_OFF) &&
	    (half->raw == half->edge || half->flags & HALF_RAW_OFF))
		tcp_half_free(engine, half);
}

/* The first gap that begins at or after an offset; NULL when there is none. */
static const struct tcp_gap *gap_from(const struct tcp_half *half, uint64_t offset)
{
	for (unsigned i = 0; i < half->gap_count; i++)
		if (half->gaps[i].at + half->gaps[i].len > offset)
			return &half->gaps[i];
	return NULL;
}

/* Shows what lies from `offset` to the next gap, or behind that gap when all before it has been shown. */
static void view_from(const struct tcp_half *half, uint64_t offset, uint64_t shown, uint64_t limit,
		      struct stream_view *view)
{
	uint64_t end = limit, from = offset;
	if (from < half->base && half->base <= limit)
		from = half->base; /* not kept: too many gaps at once */
	const struct tcp_gap *gap = gap_from(half, from);
	if (gap && gap->at < limit) {
		if (shown < gap->at) {
			end = gap->at;
		} else {
			from = gap->at + gap->len;
			const struct tcp_gap *next = gap_from(half, from);
			if (next && next->at < limit)
				end = next->at;
			if (end < from)
				end = from;
		}
	}
	uint64_t run;
	const uint8_t *data = end > from ? tcp_bytes_at(half, from, &run) : NULL;
	*view = (struct stream_view){.data = data,
				     .len = data ? (uint32_t)(end - from) : 0,
				     .offset = from,
				     .gap = (uint32_t)(from - offset)};
}

void stream_swap(struct flow *flow)
{
	struct tcp_session *session = flow->tcp;
	struct tcp_half client;
	const uint32_t probes = SESSION_PROBE_TO_SERVER | SESSION_PROBE_TO_CLIENT;
	if (!session)
		return;
	client = session->half[TO_SERVER];
	session->half[TO_SERVER] = session->half[TO_CLIENT];
	session->half[TO_CLIENT] = client;
	if ((session->flags & probes) == SESSION_PROBE_TO_SERVER ||
	    (session->flags & probes) == SESSION_PROBE_TO_CLIENT)
		session->flags ^= probes;
}

bool stream_app_view(struct flow *flow, enum direction dir, struct stream_view *view)
{
	struct tcp_session *session = flow->tcp;
	if (!session)
		return false;
	struct tcp_half *half = &session->half[dir];
	if (half->flags & HALF_APP_OFF)
		return false;
	uint64_t limit = half->flags & HALF_FINISHED ? half->app_end : tcp_available(session, half);
	/* what was shown with an earlier packet and left is not waited for when only a gap follows */
	bool left = half->app_shown > half->app && half->app_shown_at != session->turn;
	view_from(half, half->app, left ? half->app_shown : half->app, limit, view);
	uint64_t end = view->offset + view->len;
	view->eof = end >= limit && at_eof(session, half, end);
	if (view->len == 0 && view->gap == 0 && (!view->eof || half->flags & HALF_EOF_SHOWN))
		return false;
	half->flags &= (uint16_t)~HALF_EOF_VIEW;
	if (view->eof)
		half->flags |= HALF_EOF_VIEW;
	if (end > half->app_shown) {
		half->app_shown = end;
		half->app_shown_at = session->turn;
	}
	half->app_view = view->offset;
	return true;
}

void stream_app_consume(struct stream_engine *engine, struct flow *flow, enum direction dir, uint32_t n)
{
	struct tcp_session *session = flow->tcp;
	if (!session)
		return;
	struct tcp_half *half = &session->half[dir];
	uint64_t to = half->app_view + n;
	if (to > half->app_shown)
		to = half->app_shown;
	if (to > half->app)
		half->app = to;
	if (half->flags & HALF_EOF_VIEW)
		half->flags |= HALF_EOF_SHOWN;
	if (half->segments && half->gap_count > 0)
		tcp_pass_gaps(engine, session, half);
	release_closed(engine, session, half);
}

void stream_app_disable(struct stream_engine *engine, struct flow *flow, enum direction dir)
{
	if (!flow->tcp)
		return;
	struct tcp_half *half = &flow->tcp->half[dir];
	half->flags |= HALF_APP_OFF;
	tcp_half_trim(engine, half);
}

bool stream_raw_view(struct flow *flow, enum direction dir, struct stream_view *view, uint32_t *fresh)
{
	struct tcp_session *session = flow->tcp;
	*fresh = 0;
	if (!session)
		return false;
	struct tcp_half *half = &session->half[dir];
	if (half->flags & HALF_RAW_OFF)
		return false;
	uint64_t limit = tcp_available(session, half);
	view_from(half, half->raw, half->raw, limit, view);
	if (view->len == 0)
		return false;
	/* behind a gap there is no past to look back at */
	uint64_t back = view->gap ? 0 : half->raw - half->base;
	if (back > session->config->raw_window_bytes)
		back = session->config->raw_window_bytes;
	for (unsigned i = 0; i < half->gap_count; i++) {
		uint64_t end = half->gaps[i].at + half->gaps[i].len;
		if (!view->gap && end <= half->raw && half->raw - end < back)
			back = half->raw - end;
	}
	half->raw_shown = view->offset + view->len;
	view->data -= back;
	view->len += (uint32_t)back;
	view->offset -= back;
	view->eof = half->raw_shown == limit && at_eof(session, half, half->raw_shown);
	*fresh = (uint32_t)back;
	return true;
}

void stream_raw_done(struct stream_engine *engine, struct flow *flow, enum direction dir)
{
	if (!flow->tcp)
		return;
	struct tcp_half *half = &flow->tcp->half[dir];
	if (half->raw_shown > half->raw)
		half->raw = half->raw_shown;
	if (half->raw == half->edge)
		tcp_skip_hole(engine, half);
	release_closed(engine, flow->tcp, half);
}

void stream_raw_disable(struct stream_engine *engine, struct flow *flow, enum direction dir)
{
	if (!flow->tcp)
		return;
	struct tcp_half *half = &flow->tcp->half[dir];
	half->flags |= HALF_RAW_OFF;
	tcp_half_trim(engine, half);
}

uint64_t stream_size(const struct flow *flow, enum direction dir)
{
	if (!flow->tcp)
		return 0;
	const struct tcp_half *half = &flow->tcp->half[dir];
	/* the keyword counts the SYN, and the server's FIN */
	return half->next_seq - half->isn - (dir == TO_SERVER && half->flags & HALF_FIN ? 1 : 0);
}

bool stream_has_gap(const struct flow *flow, enum direction dir)
{
	return flow->tcp && flow->tcp->half[dir].flags & HALF_GAP;
}

bool stream_depth_reached(const struct flow *flow, enum direction dir)
{
	return flow->tcp && flow->tcp->half[dir].flags & HALF_DEPTH;
}
