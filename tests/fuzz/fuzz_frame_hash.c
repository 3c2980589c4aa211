/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One frame: the first byte chooses the link type. Holds: what the decoder reads as IP has a hash, and the frame with its
 * addresses swapped has the same one.
 */
#include <netinet/in.h>
#include <pcap/dlt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dataplane/decode.h>

#include "../../dataplane/io/frame_hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SEED 42

static void broken(const char *what)
{
	fprintf(stderr, "fuzz_frame_hash: %s\n", what);
	abort();
}

static void swap(uint8_t *a, uint8_t *b, size_t len)
{
	uint8_t t[16];
	memcpy(t, a, len);
	memcpy(a, b, len);
	memcpy(b, t, len);
}

/* The first layer that is IP. */
static const struct packet *outermost(const struct packet *p)
{
	while (p && !p->family)
		p = p->inner;
	return p;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct counters counters;
	static struct decoder *decoder;
	if (size < 1)
		return 0;
	if (!decoder) {
		struct decode_config config;
		decode_config_defaults(&config);
		decoder = decoder_new(&config, &counters);
	}
	uint8_t *copy = malloc(size);
	if (!decoder || !copy)
		goto out;
	size_t len = size - 1;
	memcpy(copy, data + 1, len);
	uint32_t hash = 0, back = 0;
	uint16_t link_type = data[0] & 1 ? DLT_RAW : DLT_EN10MB;
	bool found = frame_hash(copy, len, link_type, SEED, &hash);
	struct packet frame = {.data = copy, .len = (uint32_t)len, .wire_len = (uint32_t)len, .link_type = link_type};
	decode_frame(decoder, &frame);
	const struct packet *ip = outermost(&frame);
	/* tunnels below IP (NSH) are no business of a switch's; else what is IP to the decoder is IP here */
	if (ip && ip == &frame && !(ip->flags & PACKET_INVALID) && !found)
		broken("the decoder finds IP, the hash does not");
	if (ip && ip == &frame && found && !(ip->flags & (PACKET_INVALID | PACKET_ICMP_ERROR))) {
		uint8_t *h = copy + (ip->l3 - copy);
		bool v4 = ip->family == 4;
		swap(h + (v4 ? 12 : 8), h + (v4 ? 16 : 24), v4 ? 4 : 16);
		if (!frame_hash(copy, len, link_type, SEED, &back) || back != hash)
			broken("both directions have not one hash");
	}
	decoder_recycle(decoder);
out:
	free(copy);
	return 0;
}
