/* SPDX-License-Identifier: BSD-3-Clause */
/* The beginning of a session: handshakes of three, four and five packets, fast open, and sessions met in the middle. */
#include "tcp_session.h"

static uint32_t packet_s(const struct tcp_context *c)
{
	return (uint32_t)(c->pkt->ts_ns / 1000000000u);
}

void tcp_queue_free(struct stream_engine *engine, struct tcp_session *session)
{
	while (session->queue) {
		struct tcp_handshake *entry = session->queue;
		session->queue = entry->next;
		slab_free(engine->sessions, entry, sizeof(*entry));
	}
	session->queue_len = 0;
}

static struct tcp_handshake handshake_of(const struct tcp_context *c)
{
	const struct packet_tcp *tcp = &c->pkt->tcp;
	return (struct tcp_handshake){.seq = c->seq,
				      .ack = c->ack,
				      .ts = tcp->has_ts ? tcp->ts_val : 0,
				      .at_s = packet_s(c),
				      .window = tcp->window,
				      .wscale = tcp->window_scale,
				      .has_ts = tcp->has_ts};
}

/* --- a first packet ---------------------------------------------------------------------------------------------------- */

static bool session_new(struct tcp_context *c)
{
	struct tcp_session *session = slab_zalloc(c->engine->sessions, sizeof(*session));
	if (!session) {
		count(c->engine->counters, COUNTER_TCP_SSN_MEMCAP_DROP);
		tcp_apply_policy(c->engine, c->pkt, c->engine->config.memcap_policy, DROP_STREAM_MEMCAP);
		return false;
	}
	session->config = &c->engine->config;
	c->session = session;
	c->pkt->flow->tcp = session;
	c->snd = &session->half[c->pkt->dir];
	c->rcv = &session->half[1 - c->pkt->dir];
	c->snd->flags |= HALF_SEEN;
	count(c->engine->counters, COUNTER_TCP_SESSIONS);
	return true;
}

static void note_timestamp(struct tcp_context *c, struct tcp_half *half, uint32_t ts)
{
	half->last_ts = ts;
	half->last_ts_s = packet_s(c);
	half->flags |= HALF_TIMESTAMP;
	if (ts == 0)
		half->flags |= HALF_ZERO_TIMESTAMP;
}

/* Of a session met in the middle both timestamps are known from one packet. */
static void note_both_timestamps(struct tcp_context *c)
{
	const struct packet_tcp *tcp = &c->pkt->tcp;
	if (!tcp->has_ts)
		return;
	c->session->flags |= SESSION_TIMESTAMP;
	note_timestamp(c, c->snd, tcp->ts_val);
	c->rcv->last_ts = tcp->ts_ecr;
	if (tcp->ts_ecr == 0)
		c->rcv->flags |= HALF_ZERO_TIMESTAMP;
}

static void note_syn(struct tcp_context *c, const struct tcp_handshake *syn)
{
	struct tcp_session *session = c->session;
	struct tcp_half *client = &session->half[TO_SERVER], *server = &session->half[TO_CLIENT];
	if (!(client->flags & HALF_BEGUN) || client->isn != syn->seq) {
		tcp_half_free(c->engine, client);
		tcp_half_begin(client, syn->seq);
	}
	server->window = syn->window;
	if (syn->has_ts)
		note_timestamp(c, client, syn->ts);
	if (syn->wscale >= 0) {
		session->flags |= SESSION_WSCALE;
		server->wscale = (uint8_t)syn->wscale;
	} else {
		session->flags &= ~(uint32_t)SESSION_WSCALE;
		server->wscale = 0;
	}
}

/* Data on a SYN counts with fast open; inline it must be inspected whether the client asked for that or not. */
static bool syn_data(struct tcp_context *c)
{
	if (!c->pkt->tcp.fast_open && tcp_unread_data_ok(c))
		return true;
	c->session->flags |= SESSION_FAST_OPEN;
	if (c->len == 0)
		return true;
	c->pkt->flags |= PACKET_ESTABLISHED;
	c->seq++; /* data follows the SYN */
	tcp_update_next_seq(c, c->snd, c->seq + c->len);
	return tcp_reassemble(c);
}

static bool none_syn(struct tcp_context *c)
{
	if (!session_new(c))
		return false;
	struct tcp_handshake syn = handshake_of(c);
	tcp_set_state(c, TCP_SYN_SENT);
	if (c->engine->config.async_oneside)
		c->session->flags |= SESSION_ASYNC;
	note_syn(c, &syn);
	return syn_data(c);
}

static bool midstream_wanted(struct tcp_context *c, bool enabled)
{
	enum exception_policy policy = c->engine->config.midstream_policy;
	tcp_apply_policy(c->engine, c->pkt, policy, DROP_STREAM_MIDSTREAM);
	return enabled && (policy == EXCEPTION_IGNORE || policy == EXCEPTION_PASS_FLOW);
}

static bool midstream_new(struct tcp_context *c)
{
	if (!session_new(c))
		return false;
	count(c->engine->counters, COUNTER_TCP_MIDSTREAM_PICKUPS);
	c->pkt->flow->flags |= FLOW_MIDSTREAM;
	c->session->flags |= SESSION_MIDSTREAM;
	if (c->engine->config.async_oneside)
		c->session->flags |= SESSION_ASYNC;
	return true;
}

static void turn_round(struct tcp_context *c)
{
	flow_swap(c->pkt->flow);
	c->pkt->dir = direction_opposite(c->pkt->dir);
	struct tcp_half *t = c->snd;
	c->snd = c->rcv;
	c->rcv = t;
	c->rcv->flags &= (uint16_t)~HALF_SEEN;
	c->snd->flags |= HALF_SEEN;
	if (c->pkt->flags & (PACKET_FIRST_TO_SERVER | PACKET_FIRST_TO_CLIENT))
		c->pkt->flags ^= PACKET_FIRST_TO_SERVER | PACKET_FIRST_TO_CLIENT;
}

static bool none_syn_ack(struct tcp_context *c)
{
	const struct stream_config *config = &c->engine->config;
	if (!midstream_wanted(c, config->midstream || config->async_oneside))
		return true;
	if (!midstream_new(c))
		return false;
	if (c->pkt->dir == TO_SERVER)
		turn_round(c);
	struct tcp_half *server = c->snd, *client = c->rcv;
	tcp_set_state(c, TCP_SYN_RECV);
	c->session->flags |= SESSION_MIDSTREAM_SYNACK;
	tcp_half_begin(server, c->seq);
	tcp_half_begin(client, c->ack - 1);
	server->window = c->pkt->tcp.window;
	server->next_win = server->last_ack + server->window;
	client->window = c->pkt->tcp.window;
	client->next_win = client->last_ack + client->window;
	if (c->pkt->tcp.window_scale >= 0) {
		client->wscale = (uint8_t)c->pkt->tcp.window_scale;
		server->wscale = TCP_WSCALE_MAX;
	}
	note_both_timestamps(c);
	return true;
}

/* Of two hosts in the middle of a talk, who speaks from a well-known port to a high one is the server. */
static bool speaks_as_server(const struct packet *pkt)
{
	return pkt->sport < 1024 && pkt->dport >= 1024;
}

static bool none_data(struct tcp_context *c)
{
	if (!midstream_new(c))
		return false;
	if (c->pkt->dir == TO_SERVER && c->pkt->flags & PACKET_FLOW_FIRST && speaks_as_server(c->pkt))
		turn_round(c);
	struct tcp_half *snd = c->snd, *rcv = c->rcv;
	tcp_set_state(c, c->flags & TCP_FIN ? TCP_FIN_WAIT1 : TCP_ESTABLISHED);
	c->session->flags |= SESSION_MIDSTREAM_ESTABLISHED;
	snd->wscale = rcv->wscale = TCP_WSCALE_MAX;
	tcp_half_begin(snd, c->seq - 1);
	tcp_half_begin(rcv, c->ack - 1);
	snd->next_seq = c->seq + c->len + (c->flags & TCP_FIN ? 1 : 0);
	snd->window = (uint32_t)c->pkt->tcp.window << snd->wscale;
	snd->next_win = snd->last_ack + snd->window;
	rcv->next_win = rcv->last_ack;
	note_both_timestamps(c);
	tcp_update_next_seq(c, snd, snd->next_seq);
	if (c->flags & TCP_FIN) {
		snd->flags |= HALF_FIN;
		snd->fin_seq = c->seq + c->len;
	}
	return tcp_reassemble(c);
}

bool tcp_none(struct tcp_context *c)
{
	if (c->flags & TCP_RST) {
		packet_event(c->pkt, EVENT_STREAM_RST_BUT_NO_SESSION);
		return false;
	}
	if (c->flags & TCP_FIN) {
		if (midstream_wanted(c, c->engine->config.midstream && c->len > 0))
			return none_data(c);
		packet_event(c->pkt, EVENT_STREAM_FIN_BUT_NO_SESSION);
		return false;
	}
	switch (c->flags & (TCP_SYN | TCP_ACK)) {
	case TCP_SYN | TCP_ACK:
		return none_syn_ack(c);
	case TCP_SYN:
		return none_syn(c);
	case TCP_ACK:
		return !midstream_wanted(c, c->engine->config.midstream) || none_data(c);
	default:
		return true;
	}
}

/* --- SYN sent ---------------------------------------------------------------------------------------------------------- */

/* A server that echoes a timestamp must echo the client's. */
static bool echo_valid(const struct tcp_context *c)
{
	const struct packet_tcp *tcp = &c->pkt->tcp;
	const struct tcp_half *client = &c->session->half[TO_SERVER];
	if (c->pkt->dir == TO_SERVER || !tcp->has_ts || tcp->ts_ecr == 0)
		return true;
	if (client->flags & HALF_TIMESTAMP)
		return client->last_ts == 0 || tcp->ts_ecr == client->last_ts;
	return client->last_ts != 0;
}

/* The SYN, among those that were sent again with other numbers, that this SYN-ACK answers. */
static bool take_queued_syn(struct tcp_context *c)
{
	const struct packet_tcp *tcp = &c->pkt->tcp;
	for (const struct tcp_handshake *q = c->session->queue; q; q = q->next) {
		if (c->ack != q->seq + 1)
			continue;
		if (tcp->has_ts ? !q->has_ts || tcp->ts_ecr != q->ts : q->has_ts)
			continue;
		note_syn(c, q);
		return true;
	}
	return false;
}

static bool syn_ack_answers(struct tcp_context *c)
{
	struct tcp_session *session = c->session;
	struct tcp_half *client = c->rcv;
	bool echo = echo_valid(c), fast_open = session->flags & SESSION_FAST_OPEN || c->pkt->tcp.fast_open;
	bool plain = c->ack == client->isn + 1, with_data = fast_open && c->ack == client->next_seq;
	if (echo && with_data) {
		session->flags |= SESSION_FAST_OPEN;
		return true;
	}
	if (echo && plain) {
		if (fast_open) {
			/* the server took the SYN but not its data: it is sent again; inline it must be the same */
			bool had_data = client->next_seq != client->isn + 1;
			if (c->engine->config.inline_mode || client->app > 0 || client->raw > 0) {
				client->next_seq = client->isn + 1;
			} else {
				tcp_half_free(c->engine, client);
				tcp_half_begin(client, client->isn);
			}
			if (had_data)
				packet_event(c->pkt, EVENT_STREAM_3WHS_SYNACK_TFO_DATA_IGNORED);
			session->flags |= SESSION_FAST_OPEN | (had_data ? SESSION_FAST_OPEN_IGNORED : 0u);
		}
		return true;
	}
	if (take_queued_syn(c))
		return true;
	if (!plain && !with_data)
		packet_event(c->pkt, EVENT_STREAM_3WHS_SYNACK_WITH_WRONG_ACK);
	else
		packet_event(c->pkt, EVENT_STREAM_PKT_INVALID_TIMESTAMP);
	return false;
}

/* The server's side from a SYN-ACK: the packet's, or one that was queued. */
static void take_syn_ack(struct tcp_context *c, const struct tcp_handshake *q)
{
	struct tcp_session *session = c->session;
	struct tcp_half *client = &session->half[TO_SERVER], *server = &session->half[TO_CLIENT];
	tcp_set_state(c, TCP_SYN_RECV);
	tcp_half_begin(server, q->seq);
	client->window = q->window;
	if (q->has_ts && client->flags & HALF_TIMESTAMP) {
		session->flags |= SESSION_TIMESTAMP;
		note_timestamp(c, server, q->ts);
		server->last_ts_s = q->at_s;
	} else {
		client->last_ts = server->last_ts = 0;
		client->flags &= (uint16_t)~HALF_ZERO_TIMESTAMP;
	}
	/* Passive: data on the SYN counts once the server acknowledges it in an established session. */
	bool later = session->flags & SESSION_FAST_OPEN && !c->engine->config.inline_mode;
	client->last_ack = later ? client->isn + 1 : q->ack;
	client->wscale = session->flags & SESSION_WSCALE && q->wscale >= 0 ? (uint8_t)q->wscale : 0;
	if (q->wscale < 0)
		server->wscale = 0; /* scaling needs both */
	server->next_win = server->last_ack + server->window;
	client->next_win = client->last_ack + client->window;
	session->flags &= ~(uint32_t)SESSION_FOUR_WAY;
}

static bool four_way_syn_ack(struct tcp_context *c)
{
	struct tcp_session *session = c->session;
	struct tcp_half *client = c->snd, *server = c->rcv;
	if (!(session->flags & SESSION_FOUR_WAY)) {
		packet_event(c->pkt, EVENT_STREAM_3WHS_SYNACK_IN_WRONG_DIRECTION);
		return false;
	}
	if (c->ack != server->isn + 1) {
		packet_event(c->pkt, EVENT_STREAM_4WHS_SYNACK_WITH_WRONG_ACK);
		return false;
	}
	if (c->seq != client->isn) {
		packet_event(c->pkt, EVENT_STREAM_4WHS_SYNACK_WITH_WRONG_SYN);
		return false;
	}
	tcp_set_state(c, TCP_SYN_RECV);
	tcp_half_begin(client, c->seq);
	server->window = c->pkt->tcp.window;
	if (c->pkt->tcp.has_ts && server->flags & HALF_TIMESTAMP) {
		session->flags |= SESSION_TIMESTAMP;
		note_timestamp(c, client, c->pkt->tcp.ts_val);
	} else {
		client->last_ts = server->last_ts = 0;
		server->flags &= (uint16_t)~HALF_ZERO_TIMESTAMP;
	}
	server->last_ack = c->ack;
	bool scaled = session->flags & SESSION_WSCALE && c->pkt->tcp.window_scale >= 0;
	server->wscale = scaled ? (uint8_t)c->pkt->tcp.window_scale : 0;
	if (!scaled)
		client->wscale = 0;
	client->next_win = client->last_ack + client->window;
	server->next_win = server->last_ack + server->window;
	return tcp_unread_data_ok(c);
}

/* The server answers a SYN with a SYN of its own: the handshake takes four packets. */
static void syn_from_server(struct tcp_context *c)
{
	struct tcp_session *session = c->session;
	struct tcp_half *server = c->snd, *client = c->rcv;
	session->flags |= SESSION_FOUR_WAY;
	tcp_half_begin(server, c->seq);
	if (c->pkt->tcp.has_ts)
		note_timestamp(c, server, c->pkt->tcp.ts_val);
	client->window = c->pkt->tcp.window;
	if (c->pkt->tcp.window_scale >= 0) {
		session->flags |= SESSION_WSCALE;
		client->wscale = (uint8_t)c->pkt->tcp.window_scale;
	} else {
		session->flags &= ~(uint32_t)SESSION_WSCALE;
		client->wscale = 0;
	}
}

static bool same_syn(const struct tcp_handshake *a, const struct tcp_handshake *b)
{
	return a->seq == b->seq && a->window == b->window && a->wscale == b->wscale && a->has_ts == b->has_ts &&
	       a->ts == b->ts;
}

static struct tcp_handshake current_syn(const struct tcp_session *session)
{
	const struct tcp_half *client = &session->half[TO_SERVER], *server = &session->half[TO_CLIENT];
	return (struct tcp_handshake){.seq = client->isn,
				      .window = (uint16_t)server->window,
				      .wscale = session->flags & SESSION_WSCALE ? (int8_t)server->wscale : -1,
				      .has_ts = client->flags & HALF_TIMESTAMP,
				      .ts = client->flags & HALF_TIMESTAMP ? client->last_ts : 0,
				      .at_s = client->last_ts_s};
}

/* Appends to the queue; a full one loses its oldest entry. */
static void queue_syn(struct tcp_context *c, const struct tcp_handshake *syn)
{
	struct tcp_session *session = c->session;
	struct tcp_handshake **tail = &session->queue, *entry;
	for (; *tail; tail = &(*tail)->next)
		if (same_syn(*tail, syn))
			return;
	if (session->queue_len > 0 && session->queue_len >= c->engine->config.max_syn_queued) {
		packet_event(c->pkt, EVENT_STREAM_3WHS_SYN_FLOOD);
		entry = session->queue;
		session->queue = entry->next;
		session->queue_len--;
		tail = &session->queue;
		while (*tail)
			tail = &(*tail)->next;
	} else {
		entry = slab_alloc(c->engine->sessions, sizeof(*entry));
		if (!entry)
			return;
	}
	*entry = *syn;
	entry->next = NULL;
	*tail = entry;
	session->queue_len++;
}

/* A SYN sent again, perhaps with other numbers: the newest most likely counts, the older ones are kept. */
static void syn_again(struct tcp_context *c)
{
	struct tcp_handshake now = handshake_of(c), before = current_syn(c->session);
	if (same_syn(&now, &before))
		return;
	queue_syn(c, &before);
	note_syn(c, &now);
}

/* Only one side is seen: the SYN is followed by the client's own ACK. */
static bool syn_sent_async(struct tcp_context *c)
{
	struct tcp_session *session = c->session;
	struct tcp_half *client = c->snd, *server = c->rcv;
	if (c->seq != client->next_seq) {
		packet_event(c->pkt, EVENT_STREAM_3WHS_ASYNC_WRONG_SEQ);
		return false;
	}
	session->flags |= SESSION_ASYNC;
	count(c->engine->counters, COUNTER_TCP_ASYNC_SESSIONS);
	tcp_set_state(c, TCP_ESTABLISHED);
	tcp_queue_free(c->engine, session);
	client->window = c->pkt->tcp.window;
	client->last_ack = c->seq;
	client->next_win = client->last_ack + client->window;
	tcp_half_begin(server, c->ack - 1);
	server->next_win = server->last_ack;
	if (session->flags & SESSION_WSCALE)
		client->wscale = TCP_WSCALE_MAX;
	if (c->pkt->tcp.has_ts && client->flags & HALF_TIMESTAMP) {
		session->flags |= SESSION_TIMESTAMP;
		client->last_ts_s = packet_s(c);
	} else {
		client->last_ts = 0;
		client->flags &= (uint16_t)~HALF_ZERO_TIMESTAMP;
	}
	tcp_update_next_seq(c, client, c->seq + c->len);
	return tcp_reassemble(c);
}

static bool syn_sent_reset(struct tcp_context *c)
{
	if (!tcp_reset_valid(c))
		return false;
	if (c->pkt->dir == TO_SERVER)
		return true;
	/* a server that refuses does not answer afterwards: if it does, the reset was forged */
	c->rcv->flags |= HALF_RESET_RECEIVED;
	c->session->flags |= SESSION_RESET;
	tcp_set_state(c, TCP_CLOSED);
	tcp_queue_free(c->engine, c->session);
	return true;
}

bool tcp_syn_sent(struct tcp_context *c)
{
	if ((c->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == (TCP_SYN | TCP_ACK)) {
		if (c->pkt->dir == TO_SERVER)
			return four_way_syn_ack(c);
		if (!syn_ack_answers(c))
			return false;
		struct tcp_handshake q = handshake_of(c);
		tcp_queue_free(c->engine, c->session);
		take_syn_ack(c, &q);
		if (c->len == 0)
			return true;
		c->seq++; /* data follows the SYN */
		tcp_update_next_seq(c, c->snd, c->seq + c->len);
		return tcp_reassemble(c);
	}
	if (!echo_valid(c)) {
		packet_event(c->pkt, EVENT_STREAM_PKT_INVALID_TIMESTAMP);
		return false;
	}
	if (c->flags & TCP_RST)
		return syn_sent_reset(c);
	if (c->flags & TCP_FIN)
		return tcp_unread_data_ok(c);
	if (c->flags & TCP_SYN && c->pkt->dir == TO_CLIENT) {
		syn_from_server(c);
		return tcp_unread_data_ok(c);
	}
	if (c->flags & TCP_SYN) {
		syn_again(c);
		return syn_data(c);
	}
	if (c->flags & TCP_ACK && c->engine->config.async_oneside && c->pkt->dir == TO_SERVER)
		return syn_sent_async(c);
	return tcp_unread_data_ok(c);
}

/* --- SYN received ------------------------------------------------------------------------------------------------------ */

static bool queue_syn_ack(struct tcp_context *c)
{
	struct tcp_session *session = c->session;
	struct tcp_handshake q = handshake_of(c);
	for (const struct tcp_handshake *e = session->queue; e; e = e->next)
		if (e->ack == q.ack && same_syn(e, &q))
			return true;
	if (session->queue_len >= c->engine->config.max_synack_queued) {
		packet_event(c->pkt, EVENT_STREAM_3WHS_SYNACK_FLOOD);
		return false;
	}
	struct tcp_handshake *entry = slab_alloc(c->engine->sessions, sizeof(*entry));
	if (!entry)
		return false;
	*entry = q;
	entry->next = session->queue;
	session->queue = entry;
	session->queue_len++;
	return true;
}

static bool syn_recv_syn_ack(struct tcp_context *c)
{
	if (c->pkt->dir == TO_SERVER) {
		packet_event(c->pkt, EVENT_STREAM_3WHS_SYNACK_TOSERVER_ON_SYN_RECV);
		return false;
	}
	if (c->ack != c->rcv->last_ack) {
		packet_event(c->pkt, EVENT_STREAM_3WHS_SYNACK_RESEND_WITH_DIFF_ACK);
		return false;
	}
	if (!tcp_unread_data_ok(c))
		return false;
	return c->seq == c->snd->isn || queue_syn_ack(c);
}

static bool syn_recv_syn(struct tcp_context *c)
{
	if (c->pkt->dir == TO_CLIENT) {
		packet_event(c->pkt, EVENT_STREAM_3WHS_SYN_TOCLIENT_ON_SYN_RECV);
		return false;
	}
	if (c->seq != c->snd->isn) {
		packet_event(c->pkt, EVENT_STREAM_3WHS_SYN_RESEND_DIFF_SEQ_ON_SYN_RECV);
		return false;
	}
	return tcp_unread_data_ok(c);
}

static bool established_by(struct tcp_context *c)
{
	tcp_set_state(c, TCP_ESTABLISHED);
	tcp_queue_free(c->engine, c->session);
	if (c->len > 0)
		c->pkt->flags |= PACKET_ESTABLISHED;
	return tcp_reassemble(c);
}

/* The fourth packet of a four-way handshake is the server's ACK. */
static bool four_way_ack(struct tcp_context *c)
{
	if (c->seq != c->snd->next_seq) {
		packet_event(c->pkt, EVENT_STREAM_4WHS_WRONG_SEQ);
		return false;
	}
	if (!tcp_ack_valid(c)) {
		packet_event(c->pkt, EVENT_STREAM_4WHS_INVALID_ACK);
		return false;
	}
	tcp_timestamp_update(c);
	tcp_update_last_ack(c, c->rcv, c->ack);
	tcp_update_next_seq(c, c->snd, c->snd->next_seq + c->len);
	c->rcv->window = (uint32_t)c->pkt->tcp.window << c->rcv->wscale;
	c->rcv->next_win = c->rcv->last_ack + c->rcv->window;
	return established_by(c);
}

/* The third packet, as it should be, or with its data ahead of a lost one. */
static bool third_ack(struct tcp_context *c)
{
	struct tcp_session *session = c->session;
	tcp_timestamp_update(c);
	tcp_update_last_ack(c, c->rcv, c->ack);
	tcp_update_next_seq(c, c->snd, c->seq + c->len);
	c->rcv->window = (uint32_t)c->pkt->tcp.window << c->rcv->wscale;
	c->rcv->next_win = c->rcv->last_ack + c->rcv->window;
	if (session->flags & SESSION_MIDSTREAM) {
		c->snd->window = (uint32_t)c->pkt->tcp.window << c->snd->wscale;
		c->snd->next_win = c->snd->last_ack + c->snd->window;
		if (!(session->flags & SESSION_MIDSTREAM_SYNACK))
			c->snd->wscale = c->rcv->wscale = TCP_WSCALE_MAX;
	}
	return established_by(c);
}

/* The server goes on: the client's ACK was missed, or the session was opened fast, or one side is not seen. */
static bool server_goes_on(struct tcp_context *c, bool async)
{
	if (async) {
		c->session->flags |= SESSION_ASYNC;
		count(c->engine->counters, COUNTER_TCP_ASYNC_SESSIONS);
	}
	tcp_timestamp_update(c);
	tcp_update_last_ack(c, c->rcv, c->ack);
	tcp_update_next_seq(c, c->snd, c->seq + c->len);
	c->rcv->window = (uint32_t)c->pkt->tcp.window << c->rcv->wscale;
	c->rcv->next_win = c->rcv->last_ack + c->rcv->window;
	if (c->session->flags & SESSION_MIDSTREAM) {
		c->snd->window = (uint32_t)c->pkt->tcp.window << c->snd->wscale;
		c->snd->next_win = c->snd->last_ack + c->snd->window;
	}
	return established_by(c);
}

static bool syn_recv_ack_to_client(struct tcp_context *c)
{
	const struct tcp_session *session = c->session;
	const struct stream_config *config = &c->engine->config;
	bool expected = session->flags & (SESSION_MIDSTREAM_SYNACK | SESSION_FAST_OPEN);
	bool in_order = c->seq == c->snd->next_seq;
	if (!expected && config->inline_mode && !config->async_oneside) {
		packet_event(c->pkt, c->len > 0 && c->ack == c->rcv->last_ack && in_order
					     ? EVENT_STREAM_3WHS_ACK_DATA_INJECT
					     : EVENT_STREAM_3WHS_ACK_IN_WRONG_DIR);
		return false;
	}
	if (config->async_oneside && in_order)
		return server_goes_on(c, true);
	if (in_order && c->ack == c->rcv->last_ack)
		return server_goes_on(c, false);
	/* packets of both sides were missed */
	if (!config->inline_mode && seq_gt(c->seq, c->snd->isn) && seq_gt(c->ack, c->rcv->last_ack) && tcp_ack_valid(c))
		return server_goes_on(c, false);
	packet_event(c->pkt, EVENT_STREAM_3WHS_WRONG_SEQ_WRONG_ACK);
	return false;
}

static bool syn_recv_ack_to_server(struct tcp_context *c)
{
	const struct tcp_half *client = c->snd, *server = c->rcv;
	if (c->ack == server->next_seq &&
	    (c->seq == client->next_seq || (seq_gt(c->seq, client->next_seq) && seq_leq(c->seq, client->next_win))))
		return third_ack(c);
	packet_event(c->pkt, c->seq == client->next_seq ? EVENT_STREAM_3WHS_RIGHT_SEQ_WRONG_ACK_EVASION
							: EVENT_STREAM_3WHS_WRONG_SEQ_WRONG_ACK);
	return false;
}

/* One of several SYN-ACKs counted: the one that the client acknowledges. */
static void take_queued_syn_ack(struct tcp_context *c)
{
	for (struct tcp_handshake *q = c->session->queue; q; q = q->next) {
		if (c->ack == q->seq + 1 && c->seq == q->ack) {
			struct tcp_handshake chosen = *q;
			take_syn_ack(c, &chosen);
			return;
		}
	}
}

static bool syn_recv_ack(struct tcp_context *c)
{
	if (c->pkt->dir == TO_SERVER)
		take_queued_syn_ack(c);
	if (c->session->flags & SESSION_TIMESTAMP && !tcp_timestamp_valid(c))
		return false;
	if (c->pkt->dir == TO_SERVER)
		return syn_recv_ack_to_server(c);
	if (c->session->flags & SESSION_FOUR_WAY)
		return four_way_ack(c);
	return syn_recv_ack_to_client(c);
}

bool tcp_syn_recv(struct tcp_context *c)
{
	if (c->flags & TCP_RST) {
		if (!tcp_reset_valid(c))
			return false;
		c->session->flags |= SESSION_RESET;
		tcp_set_state(c, TCP_CLOSED);
		tcp_timestamp_update(c);
		return true;
	}
	if (c->flags & TCP_FIN) {
		if (c->session->flags & SESSION_TIMESTAMP && !tcp_timestamp_valid(c))
			return false;
		return tcp_fin(c);
	}
	switch (c->flags & (TCP_SYN | TCP_ACK)) {
	case TCP_SYN | TCP_ACK:
		return syn_recv_syn_ack(c);
	case TCP_SYN:
		return syn_recv_syn(c);
	case TCP_ACK:
		return syn_recv_ack(c);
	default:
		return tcp_unread_data_ok(c);
	}
}

/* --- reuse of a tuple ------------------------------------------------------------------------------------------------- */

static bool is_over(const struct tcp_session *session)
{
	return !session || session->state == TCP_NONE || session->state >= TCP_LAST_ACK;
}

bool tcp_starts_anew(const struct stream_engine *engine, const struct packet *pkt)
{
	const struct tcp_session *session = pkt->flow->tcp;
	uint8_t flags = pkt->tcp.flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN);
	if (pkt->flags & PACKET_FLOW_FIRST)
		return false;
	if (flags == TCP_SYN) {
		if (session && pkt->dir == TO_SERVER) {
			if (session->flags & SESSION_FAST_OPEN_IGNORED)
				return true;
			if (session->half[TO_SERVER].isn == pkt->tcp.seq)
				return false;
		}
		return is_over(session);
	}
	if (flags == (TCP_SYN | TCP_ACK) && (engine->config.midstream || engine->config.async_oneside)) {
		if (pkt->dir == TO_CLIENT && (!session || session->half[TO_CLIENT].isn == pkt->tcp.seq))
			return false;
		return is_over(session);
	}
	return false;
}
