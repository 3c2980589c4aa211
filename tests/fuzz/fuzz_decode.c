/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One frame: the first byte chooses the link type, and with bit 7 whether the backend says that checksums are not there yet;
 * the rest is what came. Holds: every layer lies inside the frame, lengths fit in each other, and what is invalid has no
 * transport.
 */
#include <netinet/in.h>
#include <pcap/dlt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dataplane/decode.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint16_t link_types[] = {DLT_EN10MB, DLT_RAW, DLT_NULL, DLT_LOOP, DLT_LINUX_SLL, DLT_LINUX_SLL2, 250};
#define LINK_TYPES (sizeof(link_types) / sizeof(link_types[0]))

static void broken(const char *what)
{
	fprintf(stderr, "fuzz_decode: %s\n", what);
	abort();
}

/* NULL, or a place inside the frame with at least n bytes after it. */
static void inside(const struct packet *frame, const uint8_t *p, size_t n, const char *what)
{
	const uint8_t *end = frame->data + frame->len;
	if (p && (p < frame->data || p > end || (size_t)(end - p) < n))
		broken(what);
}

static void check_transport(const struct packet *frame, const struct packet *p)
{
	static const uint8_t header[] = {[IPPROTO_TCP] = 20, [IPPROTO_UDP] = 8, [IPPROTO_ICMP] = 4};
	if (p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP || p->proto == IPPROTO_ICMP)
		inside(frame, p->l4, header[p->proto], "a transport header is not all there");
	if (p->proto == IPPROTO_TCP && (p->tcp.header_len < 20 || p->tcp.header_len > 60))
		broken("a TCP header is as long as none can be");
	if (p->payload && p->payload < p->l4)
		broken("the payload begins before its header");
}

static void check_layer(const struct packet *frame, const struct packet *p)
{
	inside(frame, p->l2, 14, "l2 is outside");
	inside(frame, p->l3, p->family == 4 ? 20 : p->family == 6 ? 40 : 0, "l3 is outside");
	inside(frame, p->l4, 0, "l4 is outside");
	inside(frame, p->payload, p->payload_len, "the payload is outside");
	if (p->family != 0 && p->family != 4 && p->family != 6)
		broken("there is no such family");
	if (p->family && !(p->flags & PACKET_INVALID)) {
		inside(frame, p->l3, p->l3_len, "the datagram is outside");
		if (p->l3_header_len > p->l3_len)
			broken("the IP header is longer than the datagram");
	}
	if (p->l4 && p->flags & PACKET_FRAGMENT)
		broken("a fragment has a transport header");
	if (p->l4 && !(p->flags & PACKET_INVALID))
		check_transport(frame, p);
	if (p->vlan_count > PACKET_VLAN_MAX)
		broken("too many VLANs");
	if (p->root != frame)
		broken("an inner layer does not know its frame");
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
		if (!decoder)
			return 0;
	}
	/* the checksums of mutated frames are wrong; nothing else may depend on that */
	uint8_t *copy = malloc(size);
	if (!copy)
		return 0;
	memcpy(copy, data + 1, size - 1);
	struct packet frame;
	memset(&frame, 0xa5, sizeof(frame)); /* what the decoder leaves is seen */
	frame.data = copy;
	frame.len = frame.wire_len = (uint32_t)(size - 1);
	frame.ts_ns = 1;
	frame.number = 1;
	frame.port = 0;
	frame.link_type = link_types[(data[0] & 127) % LINK_TYPES];
	frame.checksum_unready = data[0] & 128;
	decode_frame(decoder, &frame);
	unsigned layers = 0;
	for (const struct packet *p = &frame; p; p = p->inner) {
		if (++layers > DECODE_LAYERS_MAX + 1)
			broken("layers without end");
		check_layer(&frame, p);
	}
	packet_fix_checksums(&frame);
	decoder_recycle(decoder);
	free(copy);
	return 0;
}
