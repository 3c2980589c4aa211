/* SPDX-License-Identifier: BSD-3-Clause */
/* The XDP program and the sensor mean the same flows, and the program does with a frame what the policy says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <pcap/dlt.h>

#include <dataplane/decode.h>

#include "io/afxdp.h"

#define LOOPBACK 1 /* an interface that is in every network namespace */
#define IDLE_NS	 1000000000ull
#define SYN	 0x02
#define ACK	 0x10

/* What stands in a frame. */
struct spec {
	bool v6, udp, back; /* back: the answer's direction */
	unsigned tags;
	uint8_t flags;
	uint16_t fragment; /* IPv4's flags and offset */
	uint8_t low;	   /* last byte of the client's address */
	uint16_t port;
};

static size_t put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
	return 2;
}

static size_t make_ip(uint8_t *at, const struct spec *s, size_t payload)
{
	static const uint8_t addresses[2][16] = {{10, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {10, 1, 2, 3, 4, 5, 6, 7, 8, 9}};
	size_t size = s->v6 ? 16 : 4;
	uint8_t *ends = at + (s->v6 ? 8 : 12);
	if (s->v6) {
		at[0] = 0x60;
		put16(at + 4, (uint16_t)payload);
		at[6] = s->udp ? 17 : 6;
		at[7] = 64;
	} else {
		at[0] = 0x45;
		put16(at + 2, (uint16_t)(20 + payload));
		put16(at + 6, s->fragment);
		at[8] = 64;
		at[9] = s->udp ? 17 : 6;
	}
	for (unsigned side = 0; side < 2; side++) {
		uint8_t *end = ends + (side ^ s->back) * size;
		memcpy(end, addresses[side], size);
		end[size - 1] = side == 0 ? s->low : 100;
	}
	return s->v6 ? 40 : 20;
}

static size_t make_frame(uint8_t frame[static 128], const struct spec *s)
{
	size_t at = 12;
	memset(frame, 0, 128);
	memset(frame, 2, 12);
	for (unsigned i = 0; i < s->tags; i++) {
		at += put16(frame + at, 0x8100);
		at += put16(frame + at, (uint16_t)(0xe000 | (7 + i))); /* a priority, which is no part of the key */
	}
	at += put16(frame + at, s->v6 ? 0x86dd : 0x0800);
	size_t payload = s->udp ? 8 + 4 : 20;
	at += make_ip(frame + at, s, payload);
	put16(frame + at + (s->back ? 2 : 0), s->port);
	put16(frame + at + (s->back ? 0 : 2), 443);
	if (s->udp) {
		put16(frame + at + 4, (uint16_t)payload);
	} else {
		frame[at + 12] = 5 << 4;
		frame[at + 13] = s->flags;
	}
	return at + payload;
}

static bool key_of(const struct spec *s, uint16_t port, struct xdp_flow *key)
{
	static struct counters counters;
	struct decode_config config;
	uint8_t frame[128];
	decode_config_defaults(&config);
	config.check_checksums = false;
	struct decoder *decoder = decoder_new(&config, &counters);
	struct packet pkt = {.data = frame, .link_type = DLT_EN10MB, .port = port};
	pkt.len = pkt.wire_len = (uint32_t)make_frame(frame, s);
	assert_non_null(decoder);
	decode_frame(decoder, &pkt);
	bool known = afxdp_flow_key(&pkt, key);
	decoder_free(decoder);
	return known;
}

/* --- the key alone -------------------------------------------------------------------------------------------------------- */

static const struct spec flows[] = {
	{.low = 5, .port = 40000},
	{.low = 200, .port = 40000}, /* the client's address is the higher one */
	{.low = 100, .port = 80},    /* one address with itself: ports decide */
	{.low = 100, .port = 40000}, /* and the other way round */
	{.low = 5, .port = 40000, .udp = true},
	{.low = 5, .port = 40000, .v6 = true},
	{.low = 200, .port = 5, .v6 = true, .udp = true},
	{.low = 5, .port = 40000, .tags = 1},
	{.low = 5, .port = 40000, .tags = 2, .v6 = true},
};
#define FLOWS (sizeof(flows) / sizeof(flows[0]))

static void both_directions_have_one_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < FLOWS; i++) {
		struct xdp_flow there, back;
		struct spec answer = flows[i];
		answer.back = true;
		assert_true(key_of(&flows[i], 0, &there));
		assert_true(key_of(&answer, 1, &back));
		assert_memory_equal(&there, &back, sizeof(there));
	}
}

static void different_flows_have_different_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < FLOWS; i++)
		for (size_t j = 0; j < FLOWS; j++) {
			struct xdp_flow a, b;
			assert_true(key_of(&flows[i], 0, &a) && key_of(&flows[j], 0, &b));
			assert_int_equal(memcmp(&a, &b, sizeof(a)) == 0, i == j);
		}
	/* the same addresses on another pair of ports are other hosts */
	struct xdp_flow first, second;
	assert_true(key_of(&flows[0], 0, &first) && key_of(&flows[0], 2, &second));
	assert_memory_not_equal(&first, &second, sizeof(first));
}

static void what_the_program_cannot_tell_has_no_key(void **state)
{
	(void)state;
	struct xdp_flow key;
	const struct spec tags = {.low = 5, .port = 40000, .tags = 3};
	const struct spec first = {.low = 5, .port = 40000, .fragment = 0x2000};
	const struct spec last = {.low = 5, .port = 40000, .fragment = 0x0010};
	assert_false(key_of(&tags, 0, &key));
	assert_false(key_of(&first, 0, &key));
	assert_false(key_of(&last, 0, &key));
}

/* --- the program ------------------------------------------------------------------------------------------------------------ */

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The program of two ports; skips the test where none can be loaded. */
static struct afxdp_program *load(bool fail_open)
{
	char error[IO_ERROR_MAX];
	const struct xdp_settings settings = {
		.stale_ns = IDLE_NS,
		.shunt_idle_ns = IDLE_NS,
		.workers = 1,
		.fail_open = fail_open,
	};
	const struct xdp_before before = {0};
	struct afxdp_program *program = afxdp_program_load(&settings, 2, error);
	if (!program) {
		print_message("%s\n", error);
		skip();
	}
	for (unsigned port = 0; port < 2; port++)
		assert_int_equal(afxdp_program_join(program, port, LOOPBACK, &before), 0);
	return program;
}

static int run(const struct afxdp_program *program, unsigned port, const struct spec *s)
{
	uint8_t frame[128];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .repeat = 1);
	opts.data_size_in = (uint32_t)make_frame(frame, s);
	assert_int_equal(bpf_prog_test_run_opts(afxdp_program_fd(program, port), &opts), 0);
	return (int)opts.retval;
}

static void shunt(const struct afxdp_program *program, const struct spec *s, uint64_t seen_ns)
{
	struct xdp_flow key;
	assert_true(key_of(s, 0, &key));
	assert_int_equal(bpf_map_update_elem(afxdp_program_shunts(program), &key, &seen_ns, BPF_ANY), 0);
	afxdp_program_control(program)->shunting = 1;
}

static bool is_shunted(const struct afxdp_program *program, const struct spec *s)
{
	struct xdp_flow key;
	uint64_t seen_ns;
	return key_of(s, 0, &key) && bpf_map_lookup_elem(afxdp_program_shunts(program), &key, &seen_ns) == 0;
}

static void without_a_worker_it_forwards_or_drops(void **state)
{
	(void)state;
	for (int open = 0; open < 2; open++) {
		struct afxdp_program *program = load(open);
		assert_int_equal(run(program, 0, &flows[0]), open ? XDP_REDIRECT : XDP_DROP);
		/* one that lives, and has no socket at this queue, is none */
		afxdp_program_control(program)->workers[0].beat_ns = now_ns();
		assert_int_equal(run(program, 0, &flows[0]), open ? XDP_REDIRECT : XDP_DROP);
		struct xdp_counts counts = afxdp_program_counts(program, 0);
		assert_int_equal(counts.bypassed, open ? 2 : 0);
		assert_int_equal(counts.refused, open ? 0 : 2);
		assert_int_equal(counts.to_worker, 0);
		counts = afxdp_program_counts(program, 1);
		assert_int_equal(counts.bypassed + counts.refused, 0);
		afxdp_program_free(program);
	}
}

static void shunted_flows_pass_in_both_directions(void **state)
{
	(void)state;
	struct afxdp_program *program = load(false);
	for (size_t i = 0; i < FLOWS; i++) {
		struct spec answer = flows[i];
		answer.back = true;
		answer.flags = ACK | SYN;
		shunt(program, &flows[i], now_ns());
		assert_int_equal(run(program, 0, &flows[i]), XDP_REDIRECT);
		assert_int_equal(run(program, 1, &answer), XDP_REDIRECT);
		for (size_t j = i + 1; j < FLOWS; j++)
			assert_int_equal(run(program, 0, &flows[j]), XDP_DROP);
	}
	assert_int_equal(afxdp_program_counts(program, 0).bypassed, FLOWS);
	assert_int_equal(afxdp_program_counts(program, 1).bypassed, FLOWS);
	afxdp_program_free(program);
}

static void fragments_of_a_shunted_flow_are_for_the_sensor(void **state)
{
	(void)state;
	struct afxdp_program *program = load(false);
	struct spec s = flows[0];
	shunt(program, &s, now_ns());
	s.fragment = 0x2000;
	assert_int_equal(run(program, 0, &s), XDP_DROP);
	s.fragment = 0x4000; /* may not be fragmented: whole */
	assert_int_equal(run(program, 0, &s), XDP_REDIRECT);
	afxdp_program_free(program);
}

static void a_new_connection_ends_the_shunt(void **state)
{
	(void)state;
	struct afxdp_program *program = load(false);
	struct spec s = flows[0];
	shunt(program, &s, now_ns());
	s.flags = SYN;
	assert_int_equal(run(program, 0, &s), XDP_DROP);
	assert_false(is_shunted(program, &s));
	s.flags = ACK;
	assert_int_equal(run(program, 0, &s), XDP_DROP);
	afxdp_program_free(program);
}

static void a_flow_that_was_silent_is_not_shunted_any_more(void **state)
{
	(void)state;
	struct afxdp_program *program = load(false);
	shunt(program, &flows[0], now_ns() - 2 * IDLE_NS);
	assert_int_equal(run(program, 0, &flows[0]), XDP_DROP);
	assert_false(is_shunted(program, &flows[0]));
	afxdp_program_free(program);
}

static void sweeping_leaves_what_is_in_use(void **state)
{
	(void)state;
	struct afxdp_program *program = load(false);
	uint64_t now = now_ns();
	shunt(program, &flows[0], now);
	for (uint16_t port = 1; port <= 3000; port++) {
		const struct spec old = {.low = 5, .port = port};
		shunt(program, &old, now - 2 * IDLE_NS);
	}
	afxdp_program_sweep(program, now);
	assert_true(is_shunted(program, &flows[0]));
	for (uint16_t port = 1; port <= 3000; port++) {
		const struct spec old = {.low = 5, .port = port};
		assert_false(is_shunted(program, &old));
	}
	assert_int_equal(afxdp_program_control(program)->shunting, 1);
	afxdp_program_sweep(program, now + 2 * IDLE_NS);
	assert_false(is_shunted(program, &flows[0]));
	assert_int_equal(afxdp_program_control(program)->shunting, 0);
	afxdp_program_free(program);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_directions_have_one_key),
		cmocka_unit_test(different_flows_have_different_keys),
		cmocka_unit_test(what_the_program_cannot_tell_has_no_key),
		cmocka_unit_test(without_a_worker_it_forwards_or_drops),
		cmocka_unit_test(shunted_flows_pass_in_both_directions),
		cmocka_unit_test(fragments_of_a_shunted_flow_are_for_the_sensor),
		cmocka_unit_test(a_new_connection_ends_the_shunt),
		cmocka_unit_test(a_flow_that_was_silent_is_not_shunted_any_more),
		cmocka_unit_test(sweeping_leaves_what_is_in_use),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
