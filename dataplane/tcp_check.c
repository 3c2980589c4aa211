/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether a packet's numbers fit the session: acknowledgment, timestamps (RFC 7323), resets (RFC 5961), probes. */
#include "tcp_session.h"

/* RFC 7323: a timestamp older than this says nothing. */
#define PAWS_IDLE_S (24u * 24 * 60 * 60)
/* By how much a window may shrink beyond what was acknowledged before it counts as an attack: seen on real networks. */
#define WINDOW_SLACK 32
#define WINDOW_SMALL 1024

static uint32_t packet_s(const struct tcp_context *c)
{
	return (uint32_t)(c->pkt->ts_ns / 1000000000u);
}

static bool ack_in_range(const struct tcp_context *c)
{
	const struct tcp_half *acked = c->rcv;
	const struct tcp_session *session = c->session;
	if (!(c->flags & TCP_ACK) || c->ack == acked->last_ack)
		return true;
	if (session->state == TCP_SYN_SENT)
		return seq_gt(c->ack, acked->isn) && seq_leq(c->ack, acked->next_seq);
	if (seq_lt(c->ack, acked->last_ack))
		return acked->window == 0 || seq_geq(c->ack, acked->last_ack - acked->window);
	if (session->flags & SESSION_ASYNC)
		return true;
	return seq_leq(c->ack, acked->next_win);
}

bool tcp_ack_valid(const struct tcp_context *c)
{
	if (ack_in_range(c))
		return true;
	packet_event(c->pkt, EVENT_STREAM_PKT_INVALID_ACK);
	return false;
}

/* How a timestamp stands to the last one: usable, or too old. */
static bool timestamp_fresh(const struct tcp_context *c)
{
	const struct tcp_half *snd = c->snd;
	uint32_t since_s = snd->last_ts_s, now_s = packet_s(c);
	if (since_s == 0 && c->session->flags & SESSION_MIDSTREAM)
		since_s = now_s;
	bool idle = now_s > since_s && now_s - since_s > PAWS_IDLE_S;
	if (seq_geq(c->pkt->tcp.ts_val, snd->last_ts) && !(snd->last_ts != 0 && idle))
		return true;
	return idle && c->seq == snd->next_seq;
}

/* The next byte that the receiver waits for, as far as is known here: inline, behind a hole, not the highest sent. */
static uint32_t awaited_seq(const struct tcp_context *c)
{
	const struct tcp_half *snd = c->snd;
	return c->engine->config.inline_mode && snd->segments ? snd->edge_seq : snd->next_seq;
}

/* Inline, what nobody reads any more is left to its receiver's own judgement. */
static bool is_unread(const struct tcp_context *c)
{
	const uint16_t off = HALF_APP_OFF | HALF_RAW_OFF;
	return c->engine->config.inline_mode && (c->snd->flags & HALF_DEPTH || (c->snd->flags & off) == off);
}

bool tcp_timestamp_valid(const struct tcp_context *c)
{
	const struct tcp_half *snd = c->snd;
	if (!c->pkt->tcp.has_ts || is_unread(c))
		return true;
	if (snd->flags & HALF_ZERO_TIMESTAMP && c->seq == snd->next_seq)
		return true;
	if (timestamp_fresh(c))
		return true;
	packet_event(c->pkt, EVENT_STREAM_PKT_INVALID_TIMESTAMP);
	return false;
}

void tcp_timestamp_update(const struct tcp_context *c)
{
	struct tcp_half *snd = c->snd;
	if (!(c->session->flags & SESSION_TIMESTAMP) || !c->pkt->tcp.has_ts)
		return;
	if (snd->flags & HALF_ZERO_TIMESTAMP) {
		snd->flags &= (uint16_t)~HALF_ZERO_TIMESTAMP;
		if (c->seq == snd->next_seq) {
			snd->last_ts = c->pkt->tcp.ts_val;
			return;
		}
	}
	if (!timestamp_fresh(c))
		return;
	/* RFC 7323, 4.3: a segment behind a hole does not count, so that the one that fills it may be older */
	if (c->seq == awaited_seq(c))
		snd->last_ts = c->pkt->tcp.ts_val;
	snd->last_ts_s = packet_s(c);
}

/* A receiver obeys a reset only at exactly the next byte that it expects: inline that is what we hold back for, which
 * behind a hole is not the highest sequence number seen. */
static bool reset_exact(const struct tcp_context *c)
{
	const struct tcp_half *snd = c->snd;
	if (c->session->flags & SESSION_ASYNC)
		return seq_geq(c->seq, snd->next_seq);
	if (c->engine->config.inline_mode && snd->segments)
		return c->seq == awaited_seq(c);
	return c->seq == snd->next_seq || (snd->flags & HALF_FIN && c->seq == snd->fin_seq);
}

bool tcp_reset_valid(const struct tcp_context *c)
{
	if (c->session->flags & SESSION_LOSSY && !c->engine->config.inline_mode)
		return true;
	/* RFC 7323, 5.2: a receiver obeys a reset whatever its timestamp; a passive sensor takes an old one for a forged one */
	if (c->session->flags & SESSION_TIMESTAMP && !c->engine->config.inline_mode && !tcp_timestamp_valid(c))
		return false;
	if (c->len > 0)
		packet_event(c->pkt, EVENT_STREAM_RST_WITH_DATA);
	if (c->flags & TCP_ACK && c->ack != 0 && !tcp_ack_valid(c)) {
		packet_event(c->pkt, EVENT_STREAM_RST_INVALID_ACK);
		return false;
	}
	/* whether the receiver obeys a signed reset cannot be known here: follow what its sender does afterwards */
	if (c->pkt->tcp.signature)
		c->rcv->flags |= HALF_RESET_RECEIVED;
	if (c->session->state == TCP_SYN_SENT)
		return true;
	return reset_exact(c);
}

bool tcp_is_retransmission(const struct tcp_context *c)
{
	uint32_t end = c->seq + c->len;
	if (c->len == 0)
		return false;
	if ((seq_lt(c->seq, c->snd->last_ack) && seq_gt(end, c->snd->last_ack)) || seq_leq(end, c->snd->last_ack) ||
	    seq_leq(end, c->snd->next_seq)) {
		packet_event(c->pkt, EVENT_STREAM_PKT_RETRANSMISSION);
		return true;
	}
	return false;
}

/* --- packets that say nothing new ------------------------------------------------------------------------------------ */

static bool is_keep_alive(const struct tcp_context *c)
{
	if (c->len > 1 || c->flags & (TCP_SYN | TCP_FIN | TCP_RST))
		return false;
	if (c->ack != c->rcv->last_ack || c->seq != c->snd->next_seq - 1)
		return false;
	/* a byte that the receiver may still want is data */
	if (c->len > 0 && !seq_lt(c->seq, c->snd->last_ack))
		return false;
	c->snd->flags |= HALF_KEEP_ALIVE;
	return true;
}

static uint32_t scaled_window(const struct tcp_context *c)
{
	return (uint32_t)c->pkt->tcp.window << c->rcv->wscale;
}

static bool is_keep_alive_ack(const struct tcp_context *c)
{
	struct tcp_half *rcv = c->rcv;
	if (c->len > 0 || c->flags & (TCP_SYN | TCP_FIN | TCP_RST) || c->pkt->tcp.window == 0)
		return false;
	if (scaled_window(c) != rcv->window || !(rcv->flags & HALF_KEEP_ALIVE))
		return false;
	if (c->ack != rcv->last_ack || c->seq != c->snd->next_seq)
		return false;
	rcv->flags &= (uint16_t)~HALF_KEEP_ALIVE;
	return true;
}

static bool is_pure_ack(const struct tcp_context *c)
{
	return c->len == 0 && (c->flags & (TCP_ACK | TCP_SYN | TCP_FIN | TCP_RST)) == TCP_ACK;
}

static bool is_probe_ack(const struct tcp_context *c)
{
	uint32_t probe = c->pkt->dir == TO_CLIENT ? SESSION_PROBE_TO_SERVER : SESSION_PROBE_TO_CLIENT;
	return c->session->state >= TCP_ESTABLISHED && is_pure_ack(c) && c->session->flags & probe &&
	       c->pkt->tcp.window == 0 && c->rcv->window == 0 && c->seq == c->snd->next_seq &&
	       c->ack == c->rcv->last_ack;
}

static bool is_last_ack(const struct tcp_context *c)
{
	uint8_t state = c->session->state;
	return (state == TCP_TIME_WAIT || state == TCP_CLOSE_WAIT || state == TCP_LAST_ACK) && c->flags == TCP_ACK &&
	       c->len == 0 && c->seq == c->snd->next_seq && c->ack == c->rcv->next_seq;
}

static bool is_window_update(const struct tcp_context *c)
{
	return c->session->state >= TCP_ESTABLISHED && c->len == 0 && !(c->flags & (TCP_SYN | TCP_FIN | TCP_RST)) &&
	       c->pkt->tcp.window != 0 && scaled_window(c) != c->rcv->window && c->ack == c->rcv->last_ack &&
	       c->seq == c->snd->next_seq;
}

/* An unexpected packet that would shrink the window until what is expected falls out of it. */
bool tcp_is_bad_window_update(const struct tcp_context *c)
{
	const struct tcp_half *rcv = c->rcv;
	uint8_t state = c->session->state;
	uint32_t window = scaled_window(c);
	if (is_last_ack(c) || is_window_update(c))
		return false;
	if (state < TCP_ESTABLISHED || state == TCP_CLOSED || c->flags & (TCP_SYN | TCP_FIN | TCP_RST) ||
	    window >= rcv->window)
		return false;
	uint32_t shrinks = rcv->window - window;
	if (shrinks <= c->len || !seq_gt(c->ack, rcv->next_seq) || !seq_gt(c->seq, c->snd->next_seq))
		return false;
	uint32_t acks = c->ack - rcv->last_ack;
	if (shrinks <= acks + (window > WINDOW_SMALL ? WINDOW_SLACK : 0))
		return false;
	packet_event(c->pkt, EVENT_STREAM_PKT_BAD_WINDOW_UPDATE);
	return true;
}

static bool is_outdated_ack(const struct tcp_context *c)
{
	return c->session->state >= TCP_ESTABLISHED && is_pure_ack(c) && c->seq == c->snd->next_seq &&
	       seq_lt(c->ack, c->rcv->last_ack) && c->pkt->tcp.sack_count == 0;
}

bool tcp_is_idle_chatter(const struct tcp_context *c)
{
	struct tcp_session *session = c->session;
	if (is_keep_alive(c))
		return true;
	bool answered = is_keep_alive_ack(c);
	c->snd->flags &= (uint16_t)~HALF_KEEP_ALIVE;
	if (answered)
		return true;
	bool probe_ack = is_probe_ack(c);
	session->flags &= ~(uint32_t)(c->pkt->dir == TO_CLIENT ? SESSION_PROBE_TO_SERVER : SESSION_PROBE_TO_CLIENT);
	if (probe_ack)
		return true;
	return !is_last_ack(c) && is_outdated_ack(c);
}
