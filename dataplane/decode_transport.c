/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP, UDP, UDP-Lite, SCTP, ESP and IGMP.
 */
#include <netinet/in.h>

#include "decode_layers.h"

#define TCP_HEADER_MIN 20
#define TCP_WSCALE_MAX 14 /* RFC 7323 */
#define UDP_HEADER_LEN 8

enum tcp_option {
	TCP_OPT_EOL = 0,
	TCP_OPT_NOP = 1,
	TCP_OPT_MSS = 2,
	TCP_OPT_WSCALE = 3,
	TCP_OPT_SACK_OK = 4,
	TCP_OPT_SACK = 5,
	TCP_OPT_TS = 8,
	TCP_OPT_MD5 = 19,
	TCP_OPT_AO = 29,
	TCP_OPT_FAST_OPEN = 34,
	TCP_OPT_EXPERIMENT1 = 253,
	TCP_OPT_EXPERIMENT2 = 254,
};

/* Options met so far: a second one of a kind is an anomaly and does not count. */
struct tcp_seen {
	bool wscale, mss, sack;
};

static void tcp_bad_option(struct packet *pkt)
{
	packet_event(pkt, EVENT_TCP_OPT_INVALID_LEN);
}

/* True when the option has a right length and is the first of its kind. */
static bool tcp_option_ok(struct packet *pkt, bool length_ok, bool seen)
{
	if (!length_ok)
		tcp_bad_option(pkt);
	else if (seen)
		packet_event(pkt, EVENT_TCP_OPT_DUPLICATE);
	return length_ok && !seen;
}

static void tcp_fast_open(struct packet *pkt, unsigned len, unsigned header)
{
	if (pkt->tcp.fast_open) {
		packet_event(pkt, EVENT_TCP_OPT_DUPLICATE);
		return;
	}
	pkt->tcp.fast_open = true;
	pkt->tcp.fast_open_len = (uint8_t)(len - header);
}

/* Options that carry less common facts. */
static void tcp_option_rare(struct packet *pkt, uint8_t kind, const uint8_t *data, unsigned len, struct tcp_seen *seen)
{
	switch (kind) {
	case TCP_OPT_SACK:
		if (len > 2 && tcp_option_ok(pkt, len >= 10 && len <= 34 && (len - 2) % 8 == 0, seen->sack)) {
			seen->sack = true;
			pkt->tcp.sack_count = (uint8_t)((len - 2) / 8);
		}
		break;
	case TCP_OPT_FAST_OPEN:
		if (len != 2 && (len < 4 || len > 18 || len % 2))
			tcp_bad_option(pkt);
		else
			tcp_fast_open(pkt, len, 2);
		break;
	case TCP_OPT_EXPERIMENT1:
	case TCP_OPT_EXPERIMENT2:
		if (len != 4 && len != 12)
			tcp_bad_option(pkt);
		else if (load_be16(data) == 0xf989) /* RFC 7413's experimental form */
			tcp_fast_open(pkt, len, 4);
		break;
	case TCP_OPT_MD5:
		if (len != 18)
			decode_invalid(pkt, EVENT_TCP_OPT_INVALID_LEN);
		else
			pkt->tcp.signature = true;
		break;
	case TCP_OPT_AO:
		if (len < 4)
			decode_invalid(pkt, EVENT_TCP_OPT_INVALID_LEN);
		else
			pkt->tcp.signature = true;
		break;
	default:
		break;
	}
}

static void tcp_option(struct packet *pkt, uint8_t kind, const uint8_t *data, unsigned len, struct tcp_seen *seen)
{
	struct packet_tcp *tcp = &pkt->tcp;
	switch (kind) {
	case TCP_OPT_MSS:
		if (tcp_option_ok(pkt, len == 4, seen->mss)) {
			seen->mss = true;
			tcp->mss = load_be16(data);
		}
		break;
	case TCP_OPT_WSCALE:
		if (tcp_option_ok(pkt, len == 3, seen->wscale)) {
			seen->wscale = true;
			tcp->window_scale = data[0] <= TCP_WSCALE_MAX ? (int8_t)data[0] : TCP_WSCALE_MAX;
		}
		break;
	case TCP_OPT_SACK_OK:
		if (tcp_option_ok(pkt, len == 2, tcp->sack_ok))
			tcp->sack_ok = true;
		break;
	case TCP_OPT_TS:
		if (tcp_option_ok(pkt, len == 10, tcp->has_ts)) {
			tcp->has_ts = true;
			tcp->ts_val = load_be32(data);
			tcp->ts_ecr = load_be32(data + 4);
		}
		break;
	default:
		tcp_option_rare(pkt, kind, data, len, seen);
	}
}

static void tcp_options(struct packet *pkt, struct cursor c)
{
	struct tcp_seen seen = {0};
	while (cursor_left(&c) > 0) {
		uint8_t kind = cursor_u8(&c);
		if (kind == TCP_OPT_EOL)
			break;
		if (kind == TCP_OPT_NOP)
			continue;
		if (cursor_left(&c) == 0)
			break;
		unsigned len = cursor_u8(&c);
		const uint8_t *data = len >= 2 ? cursor_take(&c, len - 2) : NULL;
		if (!data) {
			decode_invalid(pkt, EVENT_TCP_OPT_INVALID_LEN);
			return;
		}
		tcp_option(pkt, kind, data, len, &seen);
	}
}

/* The header of most segments of most connections: two fillers and a timestamp. */
static bool tcp_only_timestamp(struct packet *pkt, const uint8_t *h, unsigned header_len)
{
	if (header_len != 32 || load_be32(h + 20) != 0x0101080au)
		return false;
	pkt->tcp.has_ts = true;
	pkt->tcp.ts_val = load_be32(h + 24);
	pkt->tcp.ts_ecr = load_be32(h + 28);
	return true;
}

void decode_tcp(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	count(d->counters, COUNTER_DECODER_TCP);
	struct cursor whole = *c;
	const uint8_t *h = cursor_take(c, TCP_HEADER_MIN);
	if (!h) {
		decode_invalid(pkt, EVENT_TCP_PKT_TOO_SMALL);
		return;
	}
	unsigned header_len = (h[12] >> 4) * 4u;
	if (header_len > TCP_HEADER_MIN + cursor_left(c)) {
		decode_invalid(pkt, EVENT_TCP_HLEN_TOO_SMALL);
		return;
	}
	if (header_len < TCP_HEADER_MIN) {
		decode_invalid(pkt, EVENT_TCP_INVALID_OPTLEN);
		return;
	}
	pkt->l4 = h;
	pkt->sport = load_be16(h);
	pkt->dport = load_be16(h + 2);
	pkt->tcp = (struct packet_tcp){
		.seq = load_be32(h + 4),
		.ack = load_be32(h + 8),
		.window = load_be16(h + 14),
		.urgent = load_be16(h + 18),
		.flags = h[13],
		.header_len = (uint8_t)header_len,
		.window_scale = -1,
	};
	if (header_len > TCP_HEADER_MIN && !tcp_only_timestamp(pkt, h, header_len))
		tcp_options(pkt, cursor_of(c->at, header_len - TCP_HEADER_MIN));
	cursor_skip(c, header_len - TCP_HEADER_MIN);
	pkt->payload = c->at;
	pkt->payload_len = (uint16_t)(c->end - c->at);
	decode_check_l4(d, pkt, &whole, true);
}

static bool udp_carries_tunnel(const struct decoder *d, const struct packet *pkt)
{
	return (d->udp_ports[pkt->sport >> 6] >> (pkt->sport & 63) & 1) |
	       (d->udp_ports[pkt->dport >> 6] >> (pkt->dport & 63) & 1);
}

void decode_udp(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	count(d->counters, COUNTER_DECODER_UDP);
	size_t left = cursor_left(c);
	struct cursor whole = *c;
	const uint8_t *h = cursor_take(c, UDP_HEADER_LEN);
	if (!h) {
		decode_invalid(pkt, EVENT_UDP_HLEN_TOO_SMALL);
		return;
	}
	unsigned len = load_be16(h + 4);
	if (len > left) {
		if (!decode_cut(pkt)) {
			decode_invalid(pkt, EVENT_UDP_PKT_TOO_SMALL);
			return;
		}
		len = (unsigned)left; /* the capture cut it */
		d->skip_l4_check = true;
	}
	if (len < UDP_HEADER_LEN) {
		decode_invalid(pkt, EVENT_UDP_LEN_INVALID);
		return;
	}
	pkt->l4 = h;
	pkt->sport = load_be16(h);
	pkt->dport = load_be16(h + 2);
	c->end = whole.end = h + len;
	pkt->payload = c->at;
	pkt->payload_len = (uint16_t)(len - UDP_HEADER_LEN);
	bool tunnel = udp_carries_tunnel(d, pkt);
	/* without a checksum: as IPv4 allows, and IPv6 for tunnels (RFC 6935) */
	if (load_be16(h + 6) != 0 || (pkt->family == 6 && !tunnel))
		decode_check_l4(d, pkt, &whole, true);
	if (tunnel)
		decode_udp_tunnel(d, pkt);
}

void decode_udplite(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	size_t left = cursor_left(c);
	struct cursor covered = *c;
	const uint8_t *h = cursor_take(c, UDP_HEADER_LEN);
	if (!h) {
		decode_invalid(pkt, EVENT_UDP_HLEN_TOO_SMALL);
		return;
	}
	unsigned coverage = load_be16(h + 4);
	if (coverage != 0 && (coverage < UDP_HEADER_LEN || (coverage > left && !decode_cut(pkt)))) {
		decode_invalid(pkt, EVENT_UDP_LEN_INVALID);
		return;
	}
	pkt->l4 = h;
	pkt->sport = load_be16(h);
	pkt->dport = load_be16(h + 2);
	pkt->payload = c->at;
	pkt->payload_len = (uint16_t)(left - UDP_HEADER_LEN);
	if (!d->config.check_checksums || d->skip_l4_check)
		return;
	if (coverage != 0)
		covered.end = h + coverage;
	uint32_t sum = checksum_pseudo(pkt, IPPROTO_UDPLITE, (uint32_t)left);
	if (checksum_fold(checksum_add(sum, covered.at, (size_t)(covered.end - covered.at))) != 0)
		pkt->flags |= PACKET_L4_CSUM_BAD;
}

#define SCTP_CHUNKS_MAX 16 /* of all kinds, and of data; more are read on, and told as an anomaly */

struct sctp_seen {
	unsigned chunks, data_chunks;
	bool init;
};

static void sctp_chunk(struct packet *pkt, uint8_t type, struct bytes body, uint32_t tag, struct sctp_seen *seen)
{
	enum { CHUNK_DATA = 0, CHUNK_INIT = 1, CHUNK_INIT_ACK = 2, DATA_HEADER_LEN = 12 };
	if (type == CHUNK_INIT && tag != 0)
		packet_event(pkt, EVENT_SCTP_INIT_WITH_NON_ZERO_VTAG);
	if (type == CHUNK_INIT || type == CHUNK_INIT_ACK)
		seen->init = true;
	if (type != CHUNK_DATA)
		return;
	if (tag == 0)
		packet_event(pkt, EVENT_SCTP_DATA_WITH_ZERO_VTAG);
	if (body.len < DATA_HEADER_LEN)
		return;
	if (seen->data_chunks == SCTP_CHUNKS_MAX)
		packet_event(pkt, EVENT_SCTP_TOO_MANY_DATA_CHUNKS);
	else if (seen->data_chunks++ == 0) {
		pkt->payload = body.data + DATA_HEADER_LEN;
		pkt->payload_len = (uint16_t)(body.len - DATA_HEADER_LEN);
	}
}

/* False when the chunks cannot be read. */
static bool sctp_chunks(struct packet *pkt, struct cursor *c, uint32_t tag)
{
	struct sctp_seen seen = {0};
	while (cursor_left(c) > 0) {
		uint8_t type = cursor_u8(c);
		cursor_skip(c, 1);
		unsigned len = cursor_be16(c);
		if (c->failed) {
			decode_invalid(pkt, EVENT_SCTP_CHUNK_TOO_SMALL);
			return false;
		}
		struct bytes body = len >= 4 ? cursor_bytes(c, len - 4) : (struct bytes){0};
		if (len < 4 || c->failed) {
			decode_invalid(pkt, EVENT_SCTP_CHUNK_LEN_INVALID);
			return false;
		}
		size_t padding = -len & 3u;
		cursor_skip(c, padding < cursor_left(c) ? padding : cursor_left(c));
		if (seen.chunks++ == SCTP_CHUNKS_MAX)
			packet_event(pkt, EVENT_SCTP_TOO_MANY_CHUNKS);
		sctp_chunk(pkt, type, body, tag, &seen);
	}
	if (seen.init && seen.chunks > 1)
		packet_event(pkt, EVENT_SCTP_INIT_CHUNK_BUNDLED);
	return true;
}

void decode_sctp(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	count(d->counters, COUNTER_DECODER_SCTP);
	const uint8_t *h = cursor_take(c, 12);
	if (!h) {
		decode_invalid(pkt, EVENT_SCTP_PKT_TOO_SMALL);
		return;
	}
	pkt->l4 = h;
	pkt->sport = load_be16(h);
	pkt->dport = load_be16(h + 2);
	pkt->payload = c->at;
	pkt->payload_len = 0;
	if (!sctp_chunks(pkt, c, load_be32(h + 4)))
		pkt->l4 = NULL;
}

void decode_esp(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	count(d->counters, COUNTER_DECODER_ESP);
	if (!decode_enter(d, pkt))
		return;
	const uint8_t *h = cursor_take(c, 8);
	if (!h) {
		decode_invalid(pkt, EVENT_ESP_PKT_TOO_SMALL);
		return;
	}
	pkt->l4 = h;
	pkt->payload = c->at;
	pkt->payload_len = (uint16_t)(c->end - c->at);
}

/* The group records of a version 3 report. */
static void igmp_report(struct packet *pkt, struct cursor *c, unsigned records)
{
	while (records-- > 0) {
		cursor_skip(c, 1);
		unsigned aux_words = cursor_u8(c), sources = cursor_be16(c);
		cursor_skip(c, 4);
		if (c->failed) {
			decode_invalid(pkt, EVENT_IGMP_V3_PKT_TOO_SMALL);
			return;
		}
		cursor_skip(c, (size_t)aux_words * 4 + (size_t)sources * 4);
		if (c->failed) {
			decode_invalid(pkt, EVENT_IGMP_MALFORMED);
			return;
		}
	}
}

/* The source addresses of a version 3 query. */
static void igmp_query(struct packet *pkt, struct cursor *c)
{
	const unsigned sources_max = (65535 - 24 - 12) / 4; /* what one datagram with router alert holds */
	cursor_skip(c, 2);
	unsigned sources = cursor_be16(c);
	if (sources > sources_max) {
		decode_invalid(pkt, EVENT_IGMP_MALFORMED);
		return;
	}
	cursor_skip(c, (size_t)sources * 4);
	if (c->failed)
		decode_invalid(pkt, EVENT_IGMP_V3_PKT_TOO_SMALL);
}

void decode_igmp(struct decoder *d, struct packet *pkt, struct cursor *c)
{
	enum { MEMBERSHIP_QUERY = 0x11, MEMBERSHIP_REPORT_V3 = 0x22 };
	count(d->counters, COUNTER_DECODER_IGMP);
	const uint8_t *h = cursor_take(c, 8);
	if (!h) {
		decode_invalid(pkt, EVENT_IGMP_PKT_TOO_SMALL);
		return;
	}
	pkt->l4 = h;
	pkt->icmp.type = h[0]; /* IGMP has the same first bytes */
	if (h[0] == MEMBERSHIP_QUERY && cursor_left(c) >= 4)
		igmp_query(pkt, c);
	else if (h[0] == MEMBERSHIP_REPORT_V3)
		igmp_report(pkt, c, load_be16(h + 6));
	if (c->failed || pkt->flags & PACKET_INVALID)
		return;
	pkt->payload = c->at;
	pkt->payload_len = (uint16_t)(c->end - c->at);
}
