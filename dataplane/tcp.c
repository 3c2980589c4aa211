/* SPDX-License-Identifier: BSD-3-Clause */
/* The session's state after its handshake, and what all states share. */
#include "tcp_session.h"

/* --- shared by all states ---------------------------------------------------------------------------------------------- */

void tcp_set_state(struct tcp_context *c, enum tcp_state state)
{
	struct tcp_session *session = c->session;
	if (session->state == state)
		return;
	session->previous_state = session->state;
	session->state = (uint8_t)state;
	switch (state) {
	case TCP_ESTABLISHED:
	case TCP_FIN_WAIT1:
	case TCP_FIN_WAIT2:
	case TCP_CLOSING:
	case TCP_CLOSE_WAIT:
		flow_set_state(c->table, c->pkt->flow, FLOW_ESTABLISHED);
		break;
	case TCP_LAST_ACK:
	case TCP_TIME_WAIT:
	case TCP_CLOSED:
		flow_set_state(c->table, c->pkt->flow, FLOW_CLOSED);
		break;
	default:
		break;
	}
}

void tcp_update_last_ack(const struct tcp_context *c, struct tcp_half *half, uint32_t ack)
{
	(void)c;
	if (seq_gt(ack, half->last_ack))
		half->last_ack = ack;
}

void tcp_update_next_seq(const struct tcp_context *c, struct tcp_half *half, uint32_t seq)
{
	half->next_seq = seq;
	/* nobody is seen to acknowledge: what is sent counts as received */
	if (c->session->flags & SESSION_ASYNC && seq_gt(seq, half->last_ack))
		half->last_ack = seq;
}

static void update_next_win(struct tcp_half *half)
{
	uint32_t win = half->last_ack + half->window;
	if (seq_gt(win, half->next_win))
		half->next_win = win;
}

static void set_window(const struct tcp_context *c)
{
	c->rcv->window = (uint32_t)c->pkt->tcp.window << c->rcv->wscale;
}

void tcp_apply_policy(struct stream_engine *engine, struct packet *pkt, enum exception_policy policy,
		      enum drop_reason reason)
{
	struct flow *flow = pkt->flow;
	(void)engine;
	switch (policy) {
	case EXCEPTION_IGNORE:
		break;
	case EXCEPTION_PASS_PACKET:
		pkt->flags |= PACKET_NO_INSPECT;
		break;
	case EXCEPTION_BYPASS:
		flow->flags |= FLOW_BYPASS | FLOW_PASS;
		pkt->flags |= PACKET_NO_INSPECT;
		break;
	case EXCEPTION_PASS_FLOW:
		flow->flags |= FLOW_PASS;
		pkt->flags |= PACKET_NO_INSPECT;
		break;
	case EXCEPTION_REJECT:
		flow->flags |= FLOW_REJECT;
		/* fall through */
	case EXCEPTION_DROP_FLOW:
		flow->flags |= FLOW_DROP;
		if (!flow->drop_reason)
			flow->drop_reason = (uint8_t)reason;
		/* fall through */
	case EXCEPTION_DROP_PACKET:
		packet_drop(pkt, reason);
		break;
	}
}

static bool timestamp_ok(const struct tcp_context *c)
{
	return !(c->session->flags & SESSION_TIMESTAMP) || tcp_timestamp_valid(c);
}

static bool refuse(const struct tcp_context *c, enum event event)
{
	packet_event(c->pkt, event);
	return false;
}

/* Sessions whose windows are not known for sure. */
static bool window_unknown(const struct tcp_context *c)
{
	return c->session->flags & (SESSION_MIDSTREAM | SESSION_ASYNC);
}

static bool within_window(const struct tcp_context *c)
{
	return seq_leq(c->seq + c->len, c->snd->next_win) || window_unknown(c);
}

/* The other side acknowledged what was not seen here. */
static void catch_up(const struct tcp_context *c)
{
	if (c->flags & TCP_ACK && seq_lt(c->rcv->next_seq, c->ack))
		c->rcv->next_seq = c->ack;
}

static void take_ack(const struct tcp_context *c)
{
	if (c->flags & TCP_ACK)
		tcp_update_last_ack(c, c->rcv, c->ack);
}

bool tcp_reset(struct tcp_context *c)
{
	if (!tcp_reset_valid(c))
		return false;
	c->session->flags |= SESSION_RESET;
	tcp_set_state(c, TCP_CLOSED);
	if (seq_gt(c->seq, c->snd->next_seq))
		c->snd->next_seq = c->seq;
	if (c->flags & TCP_ACK && tcp_ack_valid(c))
		tcp_update_last_ack(c, c->rcv, c->ack);
	/* who resets has nothing left to send: what it sent before counts as received */
	tcp_update_last_ack(c, c->snd, c->seq);
	tcp_timestamp_update(c);
	return tcp_reassemble(c);
}

static void note_fin(struct tcp_context *c)
{
	struct tcp_half *snd = c->snd;
	snd->flags |= HALF_FIN;
	snd->fin_seq = c->seq + c->len;
	snd->next_seq = snd->fin_seq + 1;
	if (c->session->flags & SESSION_ASYNC)
		tcp_update_last_ack(c, snd, snd->next_seq);
}

bool tcp_fin(struct tcp_context *c)
{
	if (!tcp_ack_valid(c))
		return refuse(c, EVENT_STREAM_FIN_INVALID_ACK);
	if ((seq_lt(c->seq, c->snd->last_ack) && !(c->session->flags & SESSION_ASYNC)) || !within_window(c))
		return refuse(c, EVENT_STREAM_FIN_OUT_OF_WINDOW);
	if (c->flags & TCP_SYN)
		return refuse(c, EVENT_STREAM_FIN_SYN);
	/* data was sent beyond: the receiver will not take this for the end */
	if (c->engine->config.inline_mode && seq_lt(c->seq + c->len, c->snd->next_seq))
		return refuse(c, EVENT_STREAM_FIN_OUT_OF_WINDOW);
	tcp_set_state(c, c->pkt->dir == TO_SERVER ? TCP_CLOSE_WAIT : TCP_FIN_WAIT1);
	tcp_timestamp_update(c);
	note_fin(c);
	set_window(c);
	catch_up(c);
	take_ack(c);
	update_next_win(c->rcv);
	return tcp_reassemble(c);
}

/* --- established --------------------------------------------------------------------------------------------------------- */

/* A segment whose end lies before what was acknowledged: mostly a retransmission that nobody needs. */
static bool before_last_ack(struct tcp_context *c)
{
	struct tcp_half *snd = c->snd;
	struct tcp_session *session = c->session;
	if (session->flags & SESSION_ASYNC) {
		tcp_update_last_ack(c, snd, c->seq);
		return true;
	}
	if (c->pkt->dir == TO_SERVER && c->engine->config.async_oneside && session->flags & SESSION_MIDSTREAM &&
	    (snd->next_seq == c->seq || snd->last_ack == snd->isn + 1)) {
		session->flags |= SESSION_ASYNC;
		return true;
	}
	/* acknowledged, but not seen here before: welcome */
	return seq_gt(snd->last_ack, snd->next_seq) && seq_gt(c->seq + c->len, snd->next_seq);
}

static bool established_ack_valid(struct tcp_context *c)
{
	uint32_t probe = c->pkt->dir == TO_SERVER ? SESSION_PROBE_TO_CLIENT : SESSION_PROBE_TO_SERVER;
	if (!(c->flags & TCP_ACK))
		return true;
	if (c->session->flags & probe && c->ack == c->rcv->next_seq + 1) {
		packet_event(c->pkt, EVENT_STREAM_EST_ACK_ZWP_DATA);
		return true;
	}
	return tcp_ack_valid(c) || refuse(c, EVENT_STREAM_EST_INVALID_ACK);
}

static bool established_data(struct tcp_context *c)
{
	struct tcp_half *snd = c->snd;
	struct tcp_session *session = c->session;
	uint32_t end = c->seq + c->len;
	if (!established_ack_valid(c))
		return false;
	if (c->pkt->dir == TO_CLIENT && session->flags & SESSION_MIDSTREAM_ESTABLISHED) {
		snd->window = (uint32_t)c->pkt->tcp.window << snd->wscale;
		snd->next_win = snd->last_ack + snd->window;
		session->flags &= ~(uint32_t)SESSION_MIDSTREAM_ESTABLISHED;
	}
	if (!(c->len <= 1 && c->seq == snd->next_seq - 1) && seq_lt(end, snd->last_ack) && !before_last_ack(c)) {
		packet_event(c->pkt, EVENT_STREAM_EST_PKT_BEFORE_LAST_ACK);
		/* the receiver has it already, and answers it with the ACK that its sender may have missed */
		c->pkt->flags |= PACKET_STREAM_BAD;
		return true;
	}
	if (c->len == 1 && c->seq == snd->next_seq && snd->window == 0) {
		session->flags |= c->pkt->dir == TO_SERVER ? SESSION_PROBE_TO_SERVER : SESSION_PROBE_TO_CLIENT;
		return tcp_reassemble(c);
	}
	if (!within_window(c))
		return refuse(c, EVENT_STREAM_EST_PACKET_OUT_OF_WINDOW);
	tcp_timestamp_update(c);
	if (seq_geq(end, snd->next_seq))
		tcp_update_next_seq(c, snd, end);
	set_window(c);
	take_ack(c);
	update_next_win(c->rcv);
	return tcp_reassemble(c);
}

static bool established_syn(struct tcp_context *c)
{
	const struct tcp_session *session = c->session;
	if (!(c->flags & TCP_ACK)) {
		if (c->pkt->dir == TO_CLIENT)
			return refuse(c, EVENT_STREAM_EST_SYN_TOCLIENT);
		return refuse(c, c->seq == c->snd->isn ? EVENT_STREAM_EST_SYN_RESEND
						       : EVENT_STREAM_EST_SYN_RESEND_DIFF_SEQ);
	}
	if (c->pkt->dir == TO_SERVER)
		return refuse(c, EVENT_STREAM_EST_SYNACK_TOSERVER);
	if (c->ack != c->rcv->last_ack)
		return refuse(c, EVENT_STREAM_EST_SYNACK_RESEND_WITH_DIFF_ACK);
	if (c->seq != c->snd->isn)
		return refuse(c, EVENT_STREAM_EST_SYNACK_RESEND_WITH_DIFF_SEQ);
	if (session->flags & SESSION_CONFIRMED)
		return refuse(c, EVENT_STREAM_EST_SYNACK_RESEND);
	return tcp_unread_data_ok(c); /* the client's ACK was lost behind us */
}

static bool established(struct tcp_context *c)
{
	if (c->flags & TCP_RST)
		return tcp_reset(c);
	if (c->flags & TCP_FIN)
		return timestamp_ok(c) && tcp_fin(c);
	if (c->flags & TCP_SYN)
		return established_syn(c);
	if (!(c->flags & TCP_ACK))
		return c->len == 0; /* every segment of an established session has ACK */
	if (!timestamp_ok(c))
		return false;
	if (c->pkt->dir == TO_CLIENT)
		c->session->flags |= SESSION_CONFIRMED;
	return established_data(c);
}

/* --- closing --------------------------------------------------------------------------------------------------------------- */

/* The events of one closing state. */
struct closing_events {
	enum event wrong_fin, wrong_ack, invalid_ack;
};

static bool fin_again(const struct tcp_context *c)
{
	return c->snd->flags & HALF_FIN && c->seq + c->len == c->snd->fin_seq;
}

static bool beyond_window(const struct tcp_context *c)
{
	return seq_gt(c->seq, c->snd->last_ack + c->snd->window) && !window_unknown(c);
}

/* With this packet's ACK, which is taken only later. */
static bool ends_acknowledged(const struct tcp_context *c)
{
	const struct tcp_half *rcv = c->rcv;
	uint32_t acked = c->flags & TCP_ACK && seq_gt(c->ack, rcv->last_ack) ? c->ack : rcv->last_ack;
	return tcp_end_acknowledged(rcv, acked) && tcp_end_acknowledged(c->snd, c->snd->last_ack);
}

static bool closing_finish(struct tcp_context *c, bool again)
{
	struct tcp_half *snd = c->snd;
	tcp_timestamp_update(c);
	if (!again) {
		set_window(c);
		if (c->flags & TCP_FIN && !(snd->flags & HALF_FIN))
			note_fin(c);
		else if (c->seq == snd->next_seq || seq_gt(c->seq + c->len, snd->next_seq))
			tcp_update_next_seq(c, snd, c->seq + c->len);
	}
	catch_up(c);
	take_ack(c);
	update_next_win(c->rcv);
	return tcp_reassemble(c);
}

/* A FIN of the other side, or the same one again. */
static bool closing_fin(struct tcp_context *c, enum tcp_state next, struct closing_events events)
{
	bool again = tcp_is_retransmission(c) || fin_again(c);
	if (!timestamp_ok(c))
		return false;
	if (!again && (seq_lt(c->seq, c->snd->next_seq) || beyond_window(c)))
		return refuse(c, events.wrong_fin);
	if (!tcp_ack_valid(c))
		return refuse(c, events.invalid_ack);
	if (!again)
		tcp_set_state(c, next);
	return closing_finish(c, again);
}

static bool fin_wait1_ack(struct tcp_context *c)
{
	bool again = tcp_is_retransmission(c);
	if (!tcp_ack_valid(c))
		return refuse(c, EVENT_STREAM_FIN1_INVALID_ACK);
	if (!again && !within_window(c))
		return refuse(c, EVENT_STREAM_FIN1_ACK_WRONG_SEQ);
	if (!again && c->pkt->dir == TO_SERVER && c->ack == c->rcv->next_seq && c->seq == c->snd->next_seq)
		tcp_set_state(c, TCP_FIN_WAIT2);
	return closing_finish(c, again);
}

static bool fin_wait2_ack(struct tcp_context *c)
{
	bool again = tcp_is_retransmission(c);
	if (!tcp_ack_valid(c))
		return refuse(c, EVENT_STREAM_FIN2_INVALID_ACK);
	if (!again && !within_window(c))
		return refuse(c, EVENT_STREAM_FIN2_ACK_WRONG_SEQ);
	return closing_finish(c, again);
}

static bool close_wait_ack(struct tcp_context *c)
{
	bool again = tcp_is_retransmission(c);
	if (c->len > 0 && seq_leq(c->seq + c->len, c->snd->last_ack)) {
		packet_event(c->pkt, EVENT_STREAM_CLOSEWAIT_PKT_BEFORE_LAST_ACK);
		c->pkt->flags |= PACKET_STREAM_BAD;
		return true;
	}
	if (beyond_window(c))
		return refuse(c, EVENT_STREAM_CLOSEWAIT_ACK_OUT_OF_WINDOW);
	if (!tcp_ack_valid(c))
		return refuse(c, EVENT_STREAM_CLOSEWAIT_INVALID_ACK);
	return closing_finish(c, again);
}

static bool closing_ack(struct tcp_context *c)
{
	bool again = tcp_is_retransmission(c);
	if (!again && c->seq != c->snd->next_seq)
		return refuse(c, EVENT_STREAM_CLOSING_ACK_WRONG_SEQ);
	if (!tcp_ack_valid(c))
		return refuse(c, EVENT_STREAM_CLOSING_INVALID_ACK);
	if (!again && ends_acknowledged(c))
		tcp_set_state(c, TCP_TIME_WAIT);
	return closing_finish(c, again);
}

static bool last_ack_ack(struct tcp_context *c)
{
	if (c->pkt->dir == TO_CLIENT) {
		if (c->flags & TCP_ACK && tcp_ack_valid(c))
			take_ack(c);
		if (ends_acknowledged(c) && seq_gt(c->snd->last_ack, c->snd->fin_seq))
			tcp_set_state(c, TCP_CLOSED); /* the client's last ACK came before what it had lost */
		return tcp_reassemble(c);
	}
	bool again = tcp_is_retransmission(c);
	if (!tcp_ack_valid(c))
		return refuse(c, EVENT_STREAM_LASTACK_INVALID_ACK);
	if (!again && seq_gt(c->seq, c->snd->next_seq))
		return refuse(c, EVENT_STREAM_LASTACK_ACK_WRONG_SEQ);
	if (!again && c->seq == c->snd->next_seq && ends_acknowledged(c))
		tcp_set_state(c, TCP_CLOSED);
	return closing_finish(c, true);
}

static bool time_wait_ack(struct tcp_context *c)
{
	bool again = tcp_is_retransmission(c);
	bool fits = c->seq == c->snd->next_seq || c->seq == c->snd->next_seq - 1;
	if (!again && !fits) {
		if (c->pkt->dir == TO_CLIENT && c->len > 0 && c->seq == c->snd->last_ack)
			return tcp_unread_data_ok(c);
		return refuse(c, EVENT_STREAM_TIMEWAIT_ACK_WRONG_SEQ);
	}
	if (!tcp_ack_valid(c))
		return refuse(c, EVENT_STREAM_TIMEWAIT_INVALID_ACK);
	if (!again && ends_acknowledged(c))
		tcp_set_state(c, TCP_CLOSED);
	return closing_finish(c, true);
}

static bool shutdown_fin(struct tcp_context *c)
{
	static const struct closing_events fin1 = {EVENT_STREAM_FIN1_FIN_WRONG_SEQ, 0, EVENT_STREAM_FIN1_INVALID_ACK};
	static const struct closing_events fin2 = {EVENT_STREAM_FIN2_FIN_WRONG_SEQ, 0, EVENT_STREAM_FIN2_INVALID_ACK};
	static const struct closing_events wait = {EVENT_STREAM_CLOSEWAIT_FIN_OUT_OF_WINDOW, 0,
						   EVENT_STREAM_CLOSEWAIT_INVALID_ACK};
	switch (c->session->state) {
	case TCP_FIN_WAIT1:
		return closing_fin(c, c->flags & TCP_ACK ? TCP_TIME_WAIT : TCP_CLOSING, fin1);
	case TCP_FIN_WAIT2:
		return closing_fin(c, TCP_TIME_WAIT, fin2);
	case TCP_CLOSE_WAIT:
		return closing_fin(c, c->pkt->dir == TO_CLIENT ? TCP_LAST_ACK : TCP_CLOSE_WAIT, wait);
	default:
		return tcp_reassemble(c); /* the same FIN again, perhaps with its data */
	}
}

static bool shutdown_ack(struct tcp_context *c)
{
	switch (c->session->state) {
	case TCP_FIN_WAIT1:
		return fin_wait1_ack(c);
	case TCP_FIN_WAIT2:
		return fin_wait2_ack(c);
	case TCP_CLOSE_WAIT:
		return close_wait_ack(c);
	case TCP_CLOSING:
		return closing_ack(c);
	case TCP_LAST_ACK:
		return last_ack_ack(c);
	case TCP_TIME_WAIT:
		return time_wait_ack(c);
	default:
		return true;
	}
}

static bool shutting_down(struct tcp_context *c)
{
	if (c->flags & TCP_RST)
		return tcp_reset(c);
	if (c->flags & TCP_SYN)
		return refuse(c, EVENT_STREAM_SHUTDOWN_SYN_RESEND);
	if (c->flags & TCP_FIN)
		return shutdown_fin(c);
	if (!(c->flags & TCP_ACK))
		return c->len == 0;
	return timestamp_ok(c) && shutdown_ack(c);
}

static bool dispatch(struct tcp_context *c, enum tcp_state state)
{
	switch (state) {
	case TCP_SYN_SENT:
		return tcp_syn_sent(c);
	case TCP_SYN_RECV:
		return tcp_syn_recv(c);
	case TCP_ESTABLISHED:
		return established(c);
	case TCP_FIN_WAIT1:
	case TCP_FIN_WAIT2:
	case TCP_TIME_WAIT:
	case TCP_LAST_ACK:
	case TCP_CLOSE_WAIT:
	case TCP_CLOSING:
		return shutting_down(c);
	default:
		return true;
	}
}

static bool closed(struct tcp_context *c)
{
	struct tcp_session *session = c->session;
	if (c->flags & TCP_RST)
		return true;
	/* a host that "refused" goes on as if it had not: the reset was not its own */
	if (c->rcv->flags & HALF_RESET_RECEIVED && !(c->snd->flags & HALF_RESET_RECEIVED)) {
		enum tcp_state before = session->previous_state;
		session->state = (uint8_t)before;
		return dispatch(c, before);
	}
	/* data after the end: nobody would inspect it */
	return c->len == 0 || seq_leq(c->seq + c->len, c->snd->last_ack);
}

static void check_after_reset(struct tcp_context *c)
{
	if (c->flags & TCP_RST || !(c->rcv->flags & HALF_RESET_RECEIVED))
		return;
	c->rcv->flags &= (uint16_t)~HALF_RESET_RECEIVED;
	c->session->flags &= ~(uint32_t)SESSION_RESET;
	packet_event(c->pkt, EVENT_STREAM_SUSPECTED_RST_INJECT);
}

/* A retransmission of nothing but acknowledged bytes. */
static bool is_spurious(const struct tcp_context *c)
{
	return c->len > 0 && seq_leq(c->seq + c->len, c->snd->last_ack);
}

bool tcp_track(struct tcp_context *c)
{
	struct tcp_session *session = c->session;
	if (!(c->flags & TCP_ACK) && c->ack != 0)
		packet_event(c->pkt, EVENT_STREAM_PKT_BROKEN_ACK);
	if (!session || session->state == TCP_NONE)
		return tcp_none(c);
	c->snd->flags |= HALF_SEEN;
	if (session->flags & SESSION_ASYNC && c->rcv->flags & HALF_SEEN)
		session->flags &= ~(uint32_t)SESSION_ASYNC;
	bool ok = true;
	if (tcp_is_bad_window_update(c)) {
		ok = tcp_unread_data_ok(c);
	} else if (!tcp_is_idle_chatter(c)) {
		if (is_spurious(c) && session->state > TCP_SYN_SENT)
			packet_event(c->pkt, EVENT_STREAM_PKT_SPURIOUS_RETRANSMISSION);
		ok = session->state == TCP_CLOSED ? closed(c) : dispatch(c, session->state);
	}
	if (ok)
		check_after_reset(c);
	return ok;
}
