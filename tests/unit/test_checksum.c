/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pcap/dlt.h>
#include <stdlib.h>
#include <string.h>

#include <dataplane/bytes.h>
#include <dataplane/decode.h>

/* RFC 1071 word by word. */
static uint16_t reference(const uint8_t *data, size_t len)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? data[i] : data[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void every_length_and_alignment_sums_as_the_rfc_says(void **state)
{
	(void)state;
	uint8_t bytes[300];
	srandom(5);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)random();
	for (size_t from = 0; from < 8; from++)
		for (size_t len = 0; from + len <= sizeof(bytes); len++)
			assert_int_equal(checksum_fold(checksum_add(0, bytes + from, len)),
					 reference(bytes + from, len));
}

static void the_example_of_the_rfc(void **state)
{
	(void)state;
	static const uint8_t example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
	assert_int_equal(checksum_fold(checksum_add(0, example, sizeof(example))), (uint16_t)~0xddf2);
}

static void carries_never_get_lost(void **state)
{
	(void)state;
	uint8_t *ones = malloc(65535);
	assert_non_null(ones);
	memset(ones, 0xff, 65535);
	assert_int_equal(checksum_fold(checksum_add(0, ones, 65535)), reference(ones, 65535));
	assert_int_equal(checksum_fold(checksum_add(checksum_add(0, ones, 30000), ones, 35535)),
			 reference(ones, 65535));
	free(ones);
}

/* --- frames whose bytes were changed ------------------------------------------------------------------------------------ */

struct bench {
	struct counters counters;
	struct decoder *decoder;
	struct packet pkt;
};

static void decode(struct bench *b, uint8_t *frame, size_t len, uint16_t link_type)
{
	b->pkt = (struct packet){
		.data = frame, .len = (uint32_t)len, .wire_len = (uint32_t)len, .number = 1, .link_type = link_type};
	decoder_recycle(b->decoder);
	decode_frame(b->decoder, &b->pkt);
}

static struct packet *innermost(struct bench *b)
{
	struct packet *p = &b->pkt;
	while (p->inner)
		p = p->inner;
	return p;
}

static size_t build_ipv4(uint8_t *to, uint8_t proto, size_t payload)
{
	memset(to, 0, 20);
	to[0] = 0x45;
	store_be16(to + 2, (uint16_t)(20 + payload));
	to[8] = 64;
	to[9] = proto;
	store_be32(to + 12, 0x0a000001);
	store_be32(to + 16, 0x0a000002);
	return 20;
}

static void build_udp(uint8_t *to, uint16_t sport, uint16_t dport, size_t payload)
{
	store_be16(to, sport);
	store_be16(to + 2, dport);
	store_be16(to + 4, (uint16_t)(8 + payload));
	store_be16(to + 6, 0x1234); /* wrong, but not none */
}

/* Fixes what was decoded and decodes it again: no layer may then have a wrong checksum. */
static void assert_fixed(struct bench *b, uint8_t *frame, size_t len)
{
	const uint32_t bad = PACKET_IP_CSUM_BAD | PACKET_L4_CSUM_BAD;
	decode(b, frame, len, DLT_RAW);
	assert_true(innermost(b)->flags & bad);
	packet_fix_checksums(innermost(b));
	decode(b, frame, len, DLT_RAW);
	for (struct packet *p = &b->pkt; p; p = p->inner)
		assert_int_equal(p->flags & bad, 0);
}

static struct bench *bench_new(void)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct decode_config config;
	assert_non_null(b);
	decode_config_defaults(&config);
	b->decoder = decoder_new(&config, &b->counters);
	assert_non_null(b->decoder);
	return b;
}

static void bench_free(struct bench *b)
{
	decoder_free(b->decoder);
	free(b);
}

static void fixing_makes_every_layer_right(void **state)
{
	(void)state;
	struct bench *b = bench_new();
	uint8_t frame[256];
	for (size_t payload = 1; payload < 40; payload++) {
		/* UDP */
		memset(frame, 'x', sizeof(frame));
		build_udp(frame + build_ipv4(frame, 17, 8 + payload), 1024, 9999, payload);
		assert_fixed(b, frame, 28 + payload);
		/* TCP */
		memset(frame, 'x', sizeof(frame));
		uint8_t *tcp = frame + build_ipv4(frame, 6, 20 + payload);
		memset(tcp, 0, 20);
		tcp[12] = 0x50;
		assert_fixed(b, frame, 40 + payload);
		/* IP in IP */
		memset(frame, 'x', sizeof(frame));
		size_t at = build_ipv4(frame, 4, 28 + payload);
		build_udp(frame + at + build_ipv4(frame + at, 17, 8 + payload), 1024, 9999, payload);
		assert_fixed(b, frame, 48 + payload);
	}
	bench_free(b);
}

static void a_datagram_without_checksum_stays_without(void **state)
{
	(void)state;
	struct bench *b = bench_new();
	uint8_t frame[64];
	memset(frame, 'x', sizeof(frame));
	build_udp(frame + build_ipv4(frame, 17, 16), 1024, 9999, 8);
	store_be16(frame + 26, 0);
	decode(b, frame, 36, DLT_RAW);
	packet_fix_checksums(&b->pkt);
	assert_int_equal(load_be16(frame + 26), 0);
	bench_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_length_and_alignment_sums_as_the_rfc_says),
		cmocka_unit_test(the_example_of_the_rfc),
		cmocka_unit_test(carries_never_get_lost),
		cmocka_unit_test(fixing_makes_every_layer_right),
		cmocka_unit_test(a_datagram_without_checksum_stays_without),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
