/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A sequence of TCP segments of one connection, both ways, coded in bytes (see struct op). Holds inline: bytes that are
 * forwarded never differ from those that readers were shown, nor from an earlier copy that was not acknowledged. In both
 * modes: views are contiguous, gaps add up, and nothing reads outside its memory.
 */
#include <stdint.h>
#include <stdio.h>

#include "../../dataplane/tcp_session.h"
#include "../unit/stream_testing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The model keeps this many bytes of each direction; what lies beyond is not checked. */
#define MODEL_BYTES 65536
#define OPS_MAX	    400

enum { UNKNOWN = -1 };

struct model {
	uint64_t flow_id;
	int16_t byte[2][MODEL_BYTES]; /* as first forwarded */
	uint64_t app[2], raw[2];
	uint32_t isn[2];
	bool ended[2];
};

static void broken(const char *what)
{
	fprintf(stderr, "fuzz_stream: %s\n", what);
	abort();
}

static void model_reset(struct model *m, uint64_t flow_id)
{
	memset(m, 0, sizeof(*m));
	m->flow_id = flow_id;
	for (int d = 0; d < 2; d++)
		for (unsigned i = 0; i < MODEL_BYTES; i++)
			m->byte[d][i] = UNKNOWN;
}

/* Another SYN may move the beginning of a direction. */
static void model_follow(struct model *m, const struct flow *flow)
{
	if (m->flow_id != flow->id)
		model_reset(m, flow->id);
	for (int d = 0; flow->tcp && d < 2; d++) {
		uint32_t isn = flow->tcp->half[d].isn;
		if (m->isn[d] == isn)
			continue;
		for (unsigned i = 0; i < MODEL_BYTES; i++)
			m->byte[d][i] = UNKNOWN;
		m->isn[d] = isn;
		m->app[d] = m->raw[d] = 0;
		m->ended[d] = false;
	}
}

static void model_forward(struct model *m, const struct packet *pkt)
{
	const struct tcp_session *session = pkt->flow->tcp;
	if (!session || pkt->verdict == VERDICT_DROP || session->flags & (SESSION_ASYNC | SESSION_MIDSTREAM) ||
	    pkt->tcp.flags & RST)
		return;
	const struct tcp_half *half = &session->half[pkt->dir];
	uint32_t seq = pkt->tcp.seq + (pkt->tcp.flags & SYN ? 1 : 0);
	for (uint32_t i = 0; i < pkt->payload_len; i++) {
		uint32_t at = seq + i - half->isn - 1;
		if (at >= MODEL_BYTES || seq_lt(seq + i, half->last_ack))
			continue;
		int16_t *known = &m->byte[pkt->dir][at];
		if (*known != UNKNOWN && *known != pkt->payload[i])
			broken("two different copies of a byte were forwarded");
		*known = pkt->payload[i];
	}
}

static void check_bytes(const struct model *m, enum direction dir, const struct stream_view *view, uint32_t from)
{
	for (uint32_t i = from; i < view->len; i++) {
		uint64_t at = view->offset + i;
		if (at < MODEL_BYTES && m->byte[dir][at] != UNKNOWN && m->byte[dir][at] != view->data[i])
			broken("a reader was shown what was not forwarded");
	}
}

static void read_app(struct bench *b, struct model *m, struct flow *flow, enum direction dir, uint8_t how)
{
	struct stream_view view;
	for (unsigned rounds = 0; stream_app_view(flow, dir, &view); rounds++) {
		if (rounds > 10000)
			broken("the application reader never comes to an end");
		if (view.offset - view.gap != m->app[dir] && view.gap)
			broken("a gap does not add up");
		if (!view.gap && view.offset != m->app[dir])
			broken("the application reader jumps");
		if (b->config.inline_mode)
			check_bytes(m, dir, &view, 0);
		uint32_t take = how & 1 ? view.len : view.len / 2;
		stream_app_consume(b->engine, flow, dir, take);
		m->app[dir] = view.offset + take;
		if (take == 0 && view.len > 0)
			break;
	}
}

static void read_raw(struct bench *b, struct model *m, struct flow *flow, enum direction dir)
{
	struct stream_view view;
	uint32_t fresh;
	for (unsigned rounds = 0; stream_raw_view(flow, dir, &view, &fresh); rounds++) {
		if (rounds > 10000)
			broken("the raw reader never comes to an end");
		if (fresh >= view.len || fresh > b->config.raw_window_bytes)
			broken("the raw window is wrong");
		if (view.offset + fresh < m->raw[dir])
			broken("the raw reader goes back");
		m->raw[dir] = view.offset + view.len;
		if (b->config.inline_mode)
			check_bytes(m, dir, &view, 0);
		stream_raw_done(b->engine, flow, dir);
	}
}

/* One packet: 8 bytes. */
struct op {
	uint8_t kind; /* bit 0 direction; 1 conflicting bytes; 2 fast open; 3 no reading; 4 half reading; 5 seq by isn */
	uint8_t flags; /* TCP flags */
	int16_t seq;   /* after the highest sent, or the beginning */
	int16_t ack;
	uint8_t len;
	uint8_t extra; /* window, urgent pointer, timestamp step */
};

static struct op op_of(const uint8_t *p)
{
	return (struct op){.kind = p[0],
			   .flags = p[1] & 0x3f,
			   .seq = (int16_t)load_be16(p + 2),
			   .ack = (int16_t)load_be16(p + 4),
			   .len = p[6],
			   .extra = p[7]};
}

static void run_op(struct bench *b, struct model *m, struct op op, uint32_t sent[static 2])
{
	uint8_t bytes[512];
	enum direction dir = (enum direction)(op.kind & 1);
	uint32_t base = op.kind & 32 ? b->isn[dir] : sent[dir];
	uint32_t seq = base + (uint32_t)op.seq, ack = sent[1 - dir] + (uint32_t)op.ack;
	uint32_t len = op.len * 2u;
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)((seq + i) * 5 ^ (op.kind & 2 ? 0xff : 0));
	b->fast_open = op.kind & 4;
	b->urgent = op.extra & 7;
	b->window = (uint16_t)(op.extra & 8 ? op.extra << 2 : 60000);
	if (b->ts[dir])
		b->ts[dir] += op.extra >> 4;
	if (!(op.flags & ACK))
		ack = 0;
	bench_build(b, dir, op.flags, seq, ack, bytes, len);
	bench_give(b);
	uint32_t end = seq + len + (op.flags & SYN ? 1 : 0) + (op.flags & FIN ? 1 : 0);
	if (b->pkt.verdict != VERDICT_DROP && seq_gt(end, sent[dir]))
		sent[dir] = end;
	struct flow *flow = b->pkt.flow;
	if (!flow)
		return;
	model_follow(m, flow);
	if (b->config.inline_mode)
		model_forward(m, &b->pkt);
	if (op.kind & 8)
		return;
	for (int d = 0; d < 2; d++) {
		read_app(b, m, flow, (enum direction)d, op.kind & 16 ? 0 : 1);
		if (d == (int)b->pkt.dir)
			read_raw(b, m, flow, (enum direction)d);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct model m;
	if (size < 2)
		return 0;
	struct bench *b = bench_prepare(data[0] & 1);
	b->config.midstream = data[0] & 2;
	b->config.async_oneside = data[0] & 4;
	b->config.depth_bytes = data[0] & 8 && !b->config.inline_mode ? 3000 : 0;
	b->config.segments_max = data[0] & 16 ? 4 : 64;
	b->config.segment_memory_bytes = data[0] & 32 ? 64u << 10 : 4u << 20;
	b->config.memcap_policy = EXCEPTION_DROP_PACKET;
	b->config.raw_window_bytes = data[0] & 64 ? 100 : 4096;
	b->config.urgent_policy = data[0] & 128 ? STREAM_URGENT_GAP : STREAM_URGENT_OOB;
	b->isn[0] = 0u - data[1] * 16u;
	b->isn[1] = 50000;
	b->ts[0] = data[1] & 1 ? 100 : 0;
	b->ts[1] = data[1] & 1 ? 100 : 0;
	b->wscale = data[1] & 2 ? 2 : -1;
	bench_open(b);
	model_reset(&m, 0);
	uint32_t sent[2] = {b->isn[0], b->isn[1]};
	if (data[1] & 4) {
		bench_handshake(b);
		sent[0]++, sent[1]++;
		model_follow(&m, b->pkt.flow);
	}
	for (size_t at = 2, n = 0; at + 8 <= size && n < OPS_MAX; at += 8, n++)
		run_op(b, &m, op_of(data + at), sent);
	if (b->pkt.flow) {
		struct flow *flow = b->pkt.flow;
		stream_finish(b->engine, flow);
		for (int d = 0; d < 2; d++) {
			read_app(b, &m, flow, (enum direction)d, 1);
			read_raw(b, &m, flow, (enum direction)d);
		}
	}
	bench_free(b);
	return 0;
}
