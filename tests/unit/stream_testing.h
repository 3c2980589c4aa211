/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* A TCP connection for tests: both ends' numbers, and packets made by hand and given to flow table and stream engine. */

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <dataplane/decode.h>
#include <dataplane/flow.h>
#include <dataplane/stream.h>

#define FIN 1
#define SYN 2
#define RST 4
#define PSH 8
#define ACK 16
#define URG 32

struct bench {
	struct counters counters;
	struct stream_config config;
	struct flow_config flow_config;
	struct stream_engine *engine;
	struct flow_table *flows;
	uint64_t now_ns;
	unsigned ended;
	uint32_t isn[2]; /* client's, server's */
	uint32_t ts[2];	 /* timestamp option values; 0: none */
	int8_t wscale;	 /* option on SYN; -1 none */
	uint16_t window;
	uint16_t ports[2];
	uint16_t urgent; /* pointer of the next packet with URG */
	bool fast_open;	 /* option on the next packet */
	uint8_t frame[70000];
	struct packet pkt; /* the last one */
	/* what the application reader was given, by direction */
	uint8_t *got[2];
	size_t got_len[2];
	uint64_t gap[2];
	bool eof[2];
};

static inline void bench_end(void *user, struct flow *flow, enum flow_end why)
{
	struct bench *b = user;
	(void)why;
	b->ended++;
	stream_session_free(b->engine, flow);
}

static inline void bench_open(struct bench *b)
{
	b->engine = stream_engine_new(&b->config, &b->counters);
	b->flows = flow_table_new(&b->flow_config, &b->counters, bench_end, b);
	if (!b->engine || !b->flows)
		abort();
}

static inline struct bench *bench_prepare(bool inline_mode)
{
	struct bench *b = calloc(1, sizeof(*b));
	if (!b)
		abort();
	stream_config_defaults(&b->config, inline_mode);
	flow_config_defaults(&b->flow_config);
	b->flow_config.memory_bytes = 1u << 20;
	b->flow_config.buckets = 1024;
	b->config.session_memory_bytes = 1u << 20;
	b->config.segment_memory_bytes = 64u << 20;
	b->now_ns = 1000000000ull * 1000000;
	b->isn[0] = 1000;
	b->isn[1] = 5000;
	b->wscale = -1;
	b->window = 65535;
	b->ports[0] = 40000;
	b->ports[1] = 80;
	return b;
}

static inline struct bench *bench_new(bool inline_mode)
{
	struct bench *b = bench_prepare(inline_mode);
	bench_open(b);
	return b;
}

static inline void bench_free(struct bench *b)
{
	flow_table_free(b->flows);
	stream_engine_free(b->engine);
	free(b->got[0]);
	free(b->got[1]);
	free(b);
}

static inline void bench_keep(struct bench *b, enum direction dir, const uint8_t *data, size_t len)
{
	if (len == 0)
		return;
	uint8_t *grown = realloc(b->got[dir], b->got_len[dir] + len);
	if (!grown)
		abort();
	memcpy(grown + b->got_len[dir], data, len);
	b->got[dir] = grown;
	b->got_len[dir] += len;
}

/* Lets the application reader take all that is there. */
static inline void bench_read(struct bench *b, struct flow *flow)
{
	for (int d = 0; d < 2; d++) {
		struct stream_view view;
		while (stream_app_view(flow, (enum direction)d, &view)) {
			b->gap[d] += view.gap;
			b->eof[d] |= view.eof;
			bench_keep(b, (enum direction)d, view.data, view.len);
			stream_app_consume(b->engine, flow, (enum direction)d, view.len);
		}
	}
}

static inline void bench_build(struct bench *b, enum direction dir, uint8_t flags, uint32_t seq, uint32_t ack,
			       const void *data, size_t len)
{
	struct packet *pkt = &b->pkt;
	uint8_t *ip = b->frame, *tcp = ip + 20;
	memset(pkt, 0, sizeof(*pkt));
	memset(ip, 0, 40);
	ip[0] = 0x45;
	store_be16(ip + 2, (uint16_t)(40 + len));
	ip[8] = 64;
	ip[9] = 6;
	store_be32(ip + 12, dir == TO_SERVER ? 0x0a000001 : 0x0a000002);
	store_be32(ip + 16, dir == TO_SERVER ? 0x0a000002 : 0x0a000001);
	store_be16(tcp, b->ports[dir]);
	store_be16(tcp + 2, b->ports[1 - dir]);
	store_be32(tcp + 4, seq);
	store_be32(tcp + 8, ack);
	tcp[12] = 5 << 4;
	tcp[13] = flags;
	store_be16(tcp + 14, b->window);
	store_be16(tcp + 18, b->urgent);
	if (len)
		memcpy(tcp + 20, data, len);
	pkt->data = b->frame;
	pkt->len = pkt->wire_len = (uint32_t)(40 + len);
	pkt->ts_ns = b->now_ns;
	pkt->l3 = ip;
	pkt->l4 = tcp;
	pkt->payload = tcp + 20;
	pkt->payload_len = (uint16_t)len;
	pkt->l3_len = pkt->len;
	pkt->l3_header_len = 20;
	pkt->family = 4;
	pkt->proto = 6;
	pkt->ttl = 64;
	memcpy(pkt->src.bytes, ip + 12, 4);
	memcpy(pkt->dst.bytes, ip + 16, 4);
	pkt->sport = b->ports[dir];
	pkt->dport = b->ports[1 - dir];
	pkt->tcp = (struct packet_tcp){.seq = seq,
				       .ack = ack,
				       .window = b->window,
				       .urgent = b->urgent,
				       .flags = flags,
				       .header_len = 20,
				       .window_scale = flags & SYN ? b->wscale : -1,
				       .has_ts = b->ts[dir] != 0,
				       .ts_val = b->ts[dir],
				       .ts_ecr = flags & ACK ? b->ts[1 - dir] : 0,
				       .fast_open = b->fast_open};
	pkt->root = pkt;
	b->urgent = 0;
	b->fast_open = false;
}

static inline struct packet *bench_give(struct bench *b)
{
	bool full;
	b->now_ns += 1000000;
	if (flow_lookup(b->flows, &b->pkt, &full))
		stream_packet(b->engine, b->flows, &b->pkt);
	return &b->pkt;
}

/* A packet with numbers as they are on the wire. */
static inline struct packet *bench_raw(struct bench *b, enum direction dir, uint8_t flags, uint32_t seq, uint32_t ack,
				       const void *data, size_t len)
{
	bench_build(b, dir, flags, seq, ack, data, len);
	return bench_give(b);
}

/* A packet with numbers relative to the first byte of each side; then the reader reads. */
static inline struct packet *bench_send(struct bench *b, enum direction dir, uint8_t flags, int64_t offset,
					int64_t acked, const void *data, size_t len)
{
	bench_raw(b, dir, flags, b->isn[dir] + 1 + (uint32_t)offset, b->isn[1 - dir] + 1 + (uint32_t)acked, data, len);
	if (b->pkt.flow)
		bench_read(b, b->pkt.flow);
	return &b->pkt;
}

static inline struct packet *bench_text(struct bench *b, enum direction dir, int64_t offset, int64_t acked,
					const char *text)
{
	return bench_send(b, dir, ACK | PSH, offset, acked, text, strlen(text));
}

static inline struct packet *bench_ack(struct bench *b, enum direction dir, int64_t offset, int64_t acked)
{
	return bench_send(b, dir, ACK, offset, acked, NULL, 0);
}

static inline void bench_handshake(struct bench *b)
{
	bench_raw(b, TO_SERVER, SYN, b->isn[0], 0, NULL, 0);
	bench_raw(b, TO_CLIENT, SYN | ACK, b->isn[1], b->isn[0] + 1, NULL, 0);
	bench_raw(b, TO_SERVER, ACK, b->isn[0] + 1, b->isn[1] + 1, NULL, 0);
}

static inline bool bench_has(const struct bench *b, enum event event)
{
	return event_set_has(&b->pkt.events, event);
}

#define assert_got(b, dir, text)                                                                                       \
	do {                                                                                                           \
		assert_int_equal((b)->got_len[dir], strlen(text));                                                     \
		assert_memory_equal((b)->got[dir], text, strlen(text));                                                \
	} while (0)

static inline enum tcp_state state_of(const struct bench *b)
{
	return stream_state(b->pkt.flow);
}
