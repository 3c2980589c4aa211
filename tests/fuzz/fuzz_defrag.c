/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A sequence of IP fragments, 6 bytes each (see struct op) after one byte for policy and family. Holds: a datagram that comes
 * out whole has of each byte a copy that was sent, the first one where the first wins, and as many bytes as its last fragment
 * said; frames held are given back with it; memory stays in its limit.
 */
#include <netinet/in.h>
#include <pcap/dlt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dataplane/bytes.h>
#include <dataplane/defrag.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OPS_MAX	    200
#define IDS	    4
#define MODEL_BYTES 4096
#define COPIES	    16

struct op {
	uint8_t id;	/* datagram; bit 7: a minute passes before */
	uint8_t more;	/* bit 0 */
	uint8_t offset; /* in units of 8 bytes */
	uint8_t units;	/* length in units of 8 bytes, and */
	uint8_t odd;	/* this many bytes more */
	uint8_t fill;	/* what it is filled with */
};

/* Which fillings of each byte were sent. */
struct model {
	uint8_t first[MODEL_BYTES];
	bool known[MODEL_BYTES];
	bool sent[MODEL_BYTES][256];
};

static void broken(const char *what)
{
	fprintf(stderr, "fuzz_defrag: %s\n", what);
	abort();
}

static struct op op_of(const uint8_t *p)
{
	return (struct op){
		.id = p[0], .more = p[1] & 1, .offset = p[2], .units = p[3] % 32, .odd = p[4] % 8, .fill = p[5]};
}

static size_t build4(uint8_t *to, struct op op, size_t len)
{
	memset(to, 0, 20);
	to[0] = 0x45;
	store_be16(to + 2, (uint16_t)(20 + len));
	store_be16(to + 4, op.id % IDS);
	store_be16(to + 6, (uint16_t)((op.more ? 0x2000 : 0) | op.offset));
	to[8] = 64;
	to[9] = 253; /* for experiments: no transport is parsed */
	to[12] = to[16] = 10;
	to[15] = 1;
	to[19] = 2;
	store_be16(to + 10, checksum_fold(checksum_add(0, to, 20)));
	return 20;
}

static size_t build6(uint8_t *to, struct op op, size_t len)
{
	memset(to, 0, 48);
	to[0] = 0x60;
	store_be16(to + 4, (uint16_t)(8 + len));
	to[6] = 44;
	to[7] = 64;
	to[8] = to[24] = 0xfd;
	to[23] = 1;
	to[39] = 2;
	to[40] = 253;
	store_be16(to + 42, (uint16_t)(op.offset << 3 | op.more));
	store_be32(to + 44, op.id % IDS);
	return 48;
}

static void note(struct model *m, struct op op, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		size_t at = op.offset * 8u + i;
		if (at >= MODEL_BYTES)
			return;
		if (!m->known[at])
			m->first[at] = op.fill;
		m->known[at] = true;
		m->sent[at][op.fill] = true;
	}
}

static void check_whole(const struct model *m, const struct packet *datagram, enum defrag_policy policy)
{
	size_t header = datagram->l3_header_len;
	if (datagram->flags & PACKET_INVALID)
		return;
	const uint8_t *bytes = datagram->l3 + header;
	if (datagram->l3 < datagram->data || bytes + (datagram->l3_len - header) > datagram->data + datagram->len)
		broken("the datagram lies outside its own bytes");
	for (size_t i = 0; i < datagram->l3_len - header && i < MODEL_BYTES; i++) {
		if (!m->known[i] || !m->sent[i][bytes[i]])
			broken("a byte came out that nobody sent");
		if (policy == DEFRAG_FIRST && bytes[i] != m->first[i])
			broken("a later copy won");
	}
}

static unsigned count_held(struct held_frame *held)
{
	unsigned n = 0;
	for (; held; held = held->next)
		if (++n > OPS_MAX)
			broken("held frames without end");
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct model models[IDS];
	unsigned held[IDS] = {0};
	struct counters counters = {0};
	struct decode_config decode;
	struct defrag_config config;
	if (size < 1)
		return 0;
	bool v6 = data[0] & 128;
	memset(models, 0, sizeof(models));
	decode_config_defaults(&decode);
	defrag_config_defaults(&config, true);
	config.policy = (enum defrag_policy)(data[0] % (DEFRAG_DROP + 1));
	config.memory_bytes = data[0] & 64 ? 256u << 10 : 4u << 20;
	struct decoder *decoder = decoder_new(&decode, &counters);
	struct defrag *defrag = defrag_new(&config, &counters);
	if (!decoder || !defrag)
		abort();
	uint64_t now = 1000000000;
	for (size_t i = 0, at = 1; i < OPS_MAX && at + sizeof(struct op) <= size; i++, at += sizeof(struct op)) {
		uint8_t frame[48 + 32 * 8];
		struct op op = op_of(data + at);
		size_t len = op.units * 8u + (op.more ? 0 : op.odd);
		size_t header = v6 ? build6(frame, op, len) : build4(frame, op, len);
		memset(frame + header, op.fill, len);
		now += op.id & 128 ? config.timeout_ns + 1 : 1000;
		struct packet pkt = {.data = frame,
				     .len = (uint32_t)(header + len),
				     .wire_len = (uint32_t)(header + len),
				     .ts_ns = now,
				     .number = i + 1,
				     .link_type = DLT_RAW};
		if (op.id & 128) {
			/* what was held is given up */
			defrag_recycle(defrag, now, OPS_MAX);
			memset(models, 0, sizeof(models));
			memset(held, 0, sizeof(held));
		}
		decode_frame(decoder, &pkt);
		if (pkt.flags & PACKET_FRAGMENT) {
			unsigned id = op.id % IDS;
			note(&models[id], op, len);
			struct packet *datagram = defrag_add(defrag, decoder, &pkt);
			if (datagram) {
				check_whole(&models[id], datagram, config.policy);
				if (count_held(defrag_held(defrag, datagram)) > held[id])
					broken("more frames come back than were held");
				memset(&models[id], 0, sizeof(models[id]));
				held[id] = 0;
			} else if (pkt.verdict == VERDICT_HOLD) {
				held[id]++;
			} else if (pkt.verdict != VERDICT_DROP) {
				broken("a fragment is neither held nor dropped");
			}
		}
		defrag_recycle(defrag, now, 4);
		decoder_recycle(decoder);
	}
	defrag_recycle(defrag, UINT64_MAX, UINT32_MAX);
	defrag_free(defrag);
	decoder_free(decoder);
	return 0;
}
