/* SPDX-License-Identifier: BSD-3-Clause */
#include <pcap/dlt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <dataplane/bytes.h>

#include "io/frame_hash.h"

#define SEED 0x123456789abcdefull

/* A frame that is put together from its front. */
struct frame {
	uint8_t bytes[256];
	size_t len;
};

static void put(struct frame *f, const void *bytes, size_t len)
{
	memcpy(f->bytes + f->len, bytes, len);
	f->len += len;
}

static void put_be16(struct frame *f, uint16_t v)
{
	uint8_t b[2];
	store_be16(b, v);
	put(f, b, 2);
}

static struct frame ethernet(uint16_t type)
{
	struct frame f = {.len = 12};
	put_be16(&f, type);
	return f;
}

static void put_ipv4(struct frame *f, uint32_t src, uint32_t dst, uint8_t proto, uint16_t fragment)
{
	uint8_t h[20] = {0x45, [8] = 64, [9] = proto};
	store_be16(h + 6, fragment);
	store_be32(h + 12, src);
	store_be32(h + 16, dst);
	put(f, h, sizeof(h));
}

static void put_ipv6(struct frame *f, uint8_t src, uint8_t dst, uint8_t next)
{
	uint8_t h[40] = {0x60, [6] = next, [7] = 64, [8] = 0x20, [23] = src, [24] = 0x20, [39] = dst};
	put(f, h, sizeof(h));
}

static void put_ports(struct frame *f, uint16_t sport, uint16_t dport)
{
	put_be16(f, sport);
	put_be16(f, dport);
	put(f, "\0\0\0\0", 4);
}

static uint32_t hash_of(const struct frame *f)
{
	uint32_t hash = 0;
	assert_true(frame_hash(f->bytes, f->len, DLT_EN10MB, SEED, &hash));
	return hash;
}

static struct frame udp(uint32_t src, uint32_t dst)
{
	struct frame f = ethernet(0x0800);
	put_ipv4(&f, src, dst, 17, 0);
	put_ports(&f, 1000, 53);
	return f;
}

static void both_directions_are_one(void **state)
{
	(void)state;
	struct frame there = udp(0x0a000001, 0xc0a80102), back = udp(0xc0a80102, 0x0a000001);
	assert_int_equal(hash_of(&there), hash_of(&back));
	struct frame there6 = ethernet(0x86dd), back6 = ethernet(0x86dd);
	put_ipv6(&there6, 1, 2, 6);
	put_ipv6(&back6, 2, 1, 6);
	back6.bytes[14 + 8] = back6.bytes[14 + 24] = 0x20;
	assert_int_equal(hash_of(&there6), hash_of(&back6));
}

static void fragments_go_with_their_datagram(void **state)
{
	(void)state;
	struct frame whole = udp(1, 2), first = ethernet(0x0800), later = ethernet(0x0800), ping = ethernet(0x0800);
	put_ipv4(&first, 1, 2, 17, 0x2000);
	put_ports(&first, 1000, 53);
	put_ipv4(&later, 1, 2, 17, 0x0010);
	put(&later, "later data", 10);
	assert_int_equal(hash_of(&first), hash_of(&whole));
	assert_int_equal(hash_of(&later), hash_of(&whole));
	/* the first fragment of an ICMP error does not go where its quotation says: the later ones could not */
	put_ipv4(&ping, 1, 2, 1, 0x2000);
	put(&ping, "\3\1\0\0\0\0\0\0", 8);
	put_ipv4(&ping, 7, 8, 6, 0);
	assert_int_equal(hash_of(&ping), hash_of(&whole));
}

static void tags_and_labels_change_nothing(void **state)
{
	(void)state;
	static const struct {
		uint16_t type;
		size_t len;
		const char *between;
	} ways[] = {
		{0x8100, 4, "\x00\x07\x08\x00"},
		{0x88a8, 8, "\x00\x07\x81\x00\x00\x08\x08\x00"},
		{0x8847, 8, "\x00\x10\x00\x40\x00\x20\x01\x40"},
		{0x8864, 8, "\x11\x00\x00\x01\x00\x1e\x00\x21"},
		{0x893f, 8, "\x00\x00\x00\x00\x00\x00\x08\x00"},
		{0x8926, 6, "\x00\x00\x00\x00\x08\x00"},
		{0x0060, 8, "\xaa\xaa\x03\x00\x00\x00\x08\x00"},
		{0x8847, 22, "\x00\x20\x01\x40\0\0\0\0\1\2\3\4\5\6\1\2\3\4\5\6\x08\x00"},
	};
	struct frame plain = udp(1, 2);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct frame f = ethernet(ways[i].type);
		put(&f, ways[i].between, ways[i].len);
		if (ways[i].type == 0x8847 && ways[i].len == 8)
			f.bytes[14 + 2] &= 0xfe, f.bytes[14 + 6] |= 1; /* bottom of stack */
		put_ipv4(&f, 1, 2, 17, 0);
		put_ports(&f, 1000, 53);
		assert_int_equal(hash_of(&f), hash_of(&plain));
	}
}

static void icmp_error_goes_where_its_cause_went(void **state)
{
	(void)state;
	struct frame cause = udp(1, 2), error = ethernet(0x0800), echo = ethernet(0x0800), outer = udp(9, 1);
	put_ipv4(&error, 9, 1, 1, 0);
	put(&error, "\3\1\0\0\0\0\0\0", 8);
	put_ipv4(&error, 1, 2, 17, 0);
	put_ports(&error, 1000, 53);
	assert_int_equal(hash_of(&error), hash_of(&cause));
	/* an echo quotes nothing, whatever its data look like */
	put_ipv4(&echo, 9, 1, 1, 0);
	put(&echo, "\x08\0\0\0\0\0\0\0", 8);
	put_ipv4(&echo, 1, 2, 17, 0);
	assert_int_equal(hash_of(&echo), hash_of(&outer));

	struct frame cause6 = ethernet(0x86dd), error6 = ethernet(0x86dd);
	put_ipv6(&cause6, 1, 2, 17);
	put_ipv6(&error6, 9, 1, 0);
	put(&error6, "\x3a\0\0\0\0\0\0\0", 8); /* hop-by-hop options before it */
	put(&error6, "\1\4\0\0\0\0\0\0", 8);
	put_ipv6(&error6, 1, 2, 17);
	assert_int_equal(hash_of(&error6), hash_of(&cause6));
}

static void tunnel_is_one_whatever_is_in_it(void **state)
{
	(void)state;
	struct frame a = ethernet(0x0800), b = ethernet(0x0800);
	put_ipv4(&a, 1, 2, 4, 0);
	put_ipv4(&a, 100, 101, 17, 0);
	put_ipv4(&b, 2, 1, 4, 0);
	put_ipv4(&b, 200, 201, 6, 0);
	assert_int_equal(hash_of(&a), hash_of(&b));
}

static void what_is_no_ip_has_no_hash(void **state)
{
	(void)state;
	uint32_t hash;
	struct frame arp = ethernet(0x0806), tags = ethernet(0x8100), ip = udp(1, 2);
	put(&arp, "\0\1\x08\0\6\4\0\1", 8);
	assert_false(frame_hash(arp.bytes, arp.len, DLT_EN10MB, SEED, &hash));
	while (tags.len + 4 <= sizeof(tags.bytes))
		put(&tags, "\0\1\x81\0", 4);
	assert_false(frame_hash(tags.bytes, tags.len, DLT_EN10MB, SEED, &hash));
	for (size_t len = 0; len < 14 + 20; len++)
		assert_false(frame_hash(ip.bytes, len, DLT_EN10MB, SEED, &hash));
	assert_true(frame_hash(ip.bytes + 14, ip.len - 14, DLT_RAW, SEED, &hash));
	assert_int_equal(hash, hash_of(&ip));
	assert_false(frame_hash(ip.bytes, ip.len, DLT_NULL, SEED, &hash));
}

static void addresses_spread_and_the_seed_moves_them(void **state)
{
	(void)state;
	enum { N = 20000, WORKERS = 8 };
	unsigned of[WORKERS] = {0}, moved = 0;
	for (uint32_t i = 0; i < N; i++) {
		struct frame f = udp(0x0a000000 + i, 0xc0a80001);
		uint32_t hash = hash_of(&f), other = 0;
		of[(uint64_t)hash * WORKERS >> 32]++;
		assert_true(frame_hash(f.bytes, f.len, DLT_EN10MB, SEED + 1, &other));
		moved += other != hash;
	}
	for (unsigned i = 0; i < WORKERS; i++)
		assert_in_range(of[i], N / WORKERS * 9 / 10, N / WORKERS * 11 / 10);
	assert_true(moved > N - 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_directions_are_one),
		cmocka_unit_test(fragments_go_with_their_datagram),
		cmocka_unit_test(tags_and_labels_change_nothing),
		cmocka_unit_test(icmp_error_goes_where_its_cause_went),
		cmocka_unit_test(tunnel_is_one_whatever_is_in_it),
		cmocka_unit_test(what_is_no_ip_has_no_hash),
		cmocka_unit_test(addresses_spread_and_the_seed_moves_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
