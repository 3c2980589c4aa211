/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pcap/dlt.h>
#include <stdlib.h>
#include <string.h>

#include <dataplane/bytes.h>
#include <dataplane/defrag.h>

#define SECOND_NS     1000000000ull
#define UNIT	      8
#define FRAME_MAX     2048
#define PROTO_TESTING 253 /* no transport is parsed (RFC 3692) */

struct bench {
	struct counters counters;
	struct defrag_config config;
	struct decoder *decoder;
	struct defrag *defrag;
	bool v6;
	uint64_t now_ns;
	uint64_t number;
	uint32_t id;
	uint8_t frame[FRAME_MAX];
	struct packet pkt;
};

static struct bench *bench_with(bool inline_mode, void (*change)(struct defrag_config *config))
{
	struct bench *b = calloc(1, sizeof(*b));
	struct decode_config decode;
	assert_non_null(b);
	decode_config_defaults(&decode);
	defrag_config_defaults(&b->config, inline_mode);
	if (change)
		change(&b->config);
	b->decoder = decoder_new(&decode, &b->counters);
	b->defrag = defrag_new(&b->config, &b->counters);
	assert_true(b->decoder && b->defrag);
	b->now_ns = 1000 * SECOND_NS;
	b->id = 7;
	return b;
}

static struct bench *bench_new(bool inline_mode)
{
	return bench_with(inline_mode, NULL);
}

static void bench_free(struct bench *b)
{
	defrag_free(b->defrag);
	decoder_free(b->decoder);
	free(b);
}

static void turn(struct bench *b)
{
	defrag_recycle(b->defrag, b->now_ns, 64);
	decoder_recycle(b->decoder);
}

/* Offers a fragment: `offset` in units, `text` its bytes. The datagram when it is whole. */
static struct packet *offer(struct bench *b, unsigned offset, bool more, const char *text, size_t len)
{
	uint8_t *h = b->frame;
	size_t header = b->v6 ? 48 : 20;
	turn(b);
	assert_true(header + len <= FRAME_MAX);
	memset(h, 0, header);
	if (b->v6) {
		h[0] = 0x60;
		store_be16(h + 4, (uint16_t)(8 + len));
		h[6] = 44;
		h[7] = 64;
		h[8] = h[24] = 0xfd;
		h[39] = 1;
		h[40] = PROTO_TESTING;
		store_be16(h + 42, (uint16_t)(offset << 3 | more));
		store_be32(h + 44, b->id);
	} else {
		h[0] = 0x45;
		store_be16(h + 2, (uint16_t)(20 + len));
		store_be16(h + 4, (uint16_t)b->id);
		store_be16(h + 6, (uint16_t)((more ? 0x2000 : 0) | offset));
		h[8] = 64;
		h[9] = PROTO_TESTING;
		h[12] = h[16] = 10;
		h[19] = 1;
		store_be16(h + 10, checksum_fold(checksum_add(0, h, 20)));
	}
	memcpy(h + header, text, len);
	b->pkt = (struct packet){.data = h,
				 .len = (uint32_t)(header + len),
				 .wire_len = (uint32_t)(header + len),
				 .ts_ns = b->now_ns,
				 .number = ++b->number,
				 .link_type = DLT_RAW};
	decode_frame(b->decoder, &b->pkt);
	assert_true(b->pkt.flags & PACKET_FRAGMENT);
	return defrag_add(b->defrag, b->decoder, &b->pkt);
}

/* A fragment of `units` times eight of one letter, as papers draw them. */
static struct packet *letters(struct bench *b, char letter, unsigned offset, unsigned units, bool more)
{
	char text[64 * UNIT];
	memset(text, letter, units * UNIT);
	return offer(b, offset, more, text, units * UNIT);
}

static void assert_payload(const struct packet *datagram, const char *text, size_t len)
{
	assert_non_null(datagram);
	assert_true(datagram->flags & PACKET_REASSEMBLED);
	assert_int_equal(datagram->payload_len, len);
	assert_memory_equal(datagram->payload, text, len);
}

/* What came out, a letter a unit. */
static void assert_letters(const struct packet *datagram, const char *units)
{
	char text[64 * UNIT];
	for (size_t i = 0; units[i]; i++)
		memset(text + i * UNIT, units[i], UNIT);
	assert_payload(datagram, text, strlen(units) * UNIT);
}

static unsigned held_count(struct bench *b, const struct packet *datagram)
{
	unsigned n = 0;
	for (struct held_frame *h = defrag_held(b->defrag, datagram); h; h = h->next)
		n++;
	return n;
}

static void both_families(void (*test)(struct bench *b), bool inline_mode)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct bench *b = bench_new(inline_mode);
		b->v6 = v6;
		test(b);
		bench_free(b);
	}
}

/* --- whole datagrams -------------------------------------------------------------------------------------------------- */

static void run_in_order(struct bench *b)
{
	assert_null(offer(b, 0, true, "sixteen bytes ok", 16));
	assert_int_equal(b->pkt.verdict, VERDICT_HOLD);
	assert_null(offer(b, 2, true, "of three", 8));
	struct packet *whole = offer(b, 3, false, "end", 3);
	assert_payload(whole, "sixteen bytes okof threeend", 27);
	assert_int_equal(whole->number, 3);
	assert_ptr_equal(whole->root, &b->pkt);
	assert_int_equal(held_count(b, whole), 2);
	assert_int_equal(b->pkt.verdict, VERDICT_FORWARD);
}

static void fragments_in_order_make_the_datagram(void **state)
{
	(void)state;
	both_families(run_in_order, true);
	both_families(run_in_order, false);
}

static void run_backwards(struct bench *b)
{
	assert_null(offer(b, 3, false, "end", 3));
	assert_null(offer(b, 2, true, "of three", 8));
	assert_payload(offer(b, 0, true, "sixteen bytes ok", 16), "sixteen bytes okof threeend", 27);
}

static void fragments_backwards_make_the_same(void **state)
{
	(void)state;
	both_families(run_backwards, true);
	both_families(run_backwards, false);
}

static void the_header_is_that_of_an_unfragmented_datagram(void **state)
{
	(void)state;
	struct bench *b = bench_new(true);
	offer(b, 0, true, "12345678", 8);
	struct packet *whole = offer(b, 1, false, "9", 1);
	assert_non_null(whole);
	assert_int_equal(load_be16(whole->l3 + 2), 29);
	assert_int_equal(load_be16(whole->l3 + 6), 0);
	assert_int_equal(checksum_fold(checksum_add(0, whole->l3, 20)), 0);
	assert_false(whole->flags & PACKET_FRAGMENT);
	b->v6 = true;
	offer(b, 0, true, "12345678", 8);
	whole = offer(b, 1, false, "9", 1);
	assert_non_null(whole);
	assert_int_equal(whole->l3[6], PROTO_TESTING);
	assert_int_equal(load_be16(whole->l3 + 4), 9);
	bench_free(b);
}

static void datagrams_are_told_apart_by_their_identification(void **state)
{
	(void)state;
	struct bench *b = bench_new(true);
	for (b->id = 0; b->id < 10; b->id++)
		assert_null(letters(b, (char)('a' + b->id), 0, 1, true));
	for (b->id = 0; b->id < 10; b->id++) {
		const char want[] = {(char)('a' + b->id), 'z', '\0'};
		assert_letters(letters(b, 'z', 1, 1, false), want);
	}
	bench_free(b);
}

/* --- overlaps ---------------------------------------------------------------------------------------------------------- */

/* The sequence of Shankar and Paxson, "Active Mapping" (2003), and what they found each kind of host to make of it. */
static void every_policy_settles_overlaps_as_its_hosts_do(void **state)
{
	(void)state;
	static const struct {
		enum defrag_policy policy;
		const char *whole;
	} hosts[] = {
		{DEFRAG_BSD, "111442333666"},	  {DEFRAG_BSD_RIGHT, "144422555666"}, {DEFRAG_LINUX, "111442555666"},
		{DEFRAG_FIRST, "111422333666"},	  {DEFRAG_LAST, "144442555666"},      {DEFRAG_WINDOWS, "111422333666"},
		{DEFRAG_SOLARIS, "111422333666"},
	};
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		struct bench *b = bench_new(false);
		defrag_free(b->defrag);
		b->config.policy = hosts[i].policy;
		b->defrag = defrag_new(&b->config, &b->counters);
		assert_null(letters(b, '1', 0, 3, true));
		assert_null(letters(b, '2', 4, 2, true));
		assert_null(letters(b, '3', 6, 3, true));
		assert_null(letters(b, '4', 1, 4, true));
		assert_true(event_set_has(&b->pkt.events, EVENT_IPV4_FRAG_OVERLAP));
		assert_null(letters(b, '5', 6, 3, true));
		assert_letters(letters(b, '6', 9, 3, false), hosts[i].whole);
		bench_free(b);
	}
}

static void inline_every_copy_says_what_was_inspected(void **state)
{
	(void)state;
	struct bench *b = bench_new(true);
	assert_null(letters(b, 'a', 0, 2, true));
	assert_null(letters(b, 'b', 1, 2, true)); /* its first unit contradicts the first fragment */
	struct packet *whole = letters(b, 'c', 3, 1, false);
	assert_letters(whole, "aabc");
	struct held_frame *second = defrag_held(b->defrag, whole)->next;
	assert_memory_equal(second->data + 20, "aaaaaaaabbbbbbbb", 16);
	bench_free(b);
}

static void inline_a_completing_copy_is_rewritten(void **state)
{
	(void)state;
	struct bench *b = bench_new(true);
	assert_null(letters(b, 'a', 0, 2, true));
	assert_letters(letters(b, 'b', 1, 2, false), "aab");
	assert_int_equal(b->pkt.verdict, VERDICT_REPLACE);
	assert_memory_equal(b->frame + 20, "aaaaaaaabbbbbbbb", 16);
	bench_free(b);
}

static void inline_ipv6_overlaps_end_the_datagram(void **state)
{
	(void)state;
	struct bench *b = bench_new(true);
	b->v6 = true;
	assert_null(letters(b, 'a', 0, 2, true));
	assert_null(letters(b, 'b', 1, 2, true));
	assert_int_equal(b->pkt.verdict, VERDICT_DROP);
	assert_int_equal(b->pkt.drop_reason, DROP_DEFRAG);
	assert_null(letters(b, 'c', 3, 1, false));
	assert_int_equal(b->pkt.verdict, VERDICT_DROP);
	assert_int_equal(b->counters.drop[DROP_DEFRAG], 1); /* the one held; the others are counted by who drops them */
	bench_free(b);
}

static void run_duplicates(struct bench *b)
{
	assert_null(letters(b, 'a', 0, 2, true));
	for (unsigned i = 0; i < 3; i++)
		assert_null(letters(b, 'a', 0, 2, true));
	assert_letters(letters(b, 'b', 2, 1, false), "aab");
}

static void the_same_fragment_again_changes_nothing(void **state)
{
	(void)state;
	both_families(run_duplicates, true);
	both_families(run_duplicates, false);
}

static void a_second_end_elsewhere_is_refused_inline(void **state)
{
	(void)state;
	struct bench *b = bench_new(true);
	assert_null(letters(b, 'a', 0, 1, true));
	assert_null(letters(b, 'z', 4, 1, false));
	assert_null(letters(b, 'y', 2, 1, false));
	assert_int_equal(b->pkt.verdict, VERDICT_DROP);
	assert_null(letters(b, 'b', 1, 1, true));
	assert_int_equal(b->pkt.verdict, VERDICT_DROP);
	bench_free(b);
}

/* The second fragment lies inside the first and says that the datagram ends there (Jolt, Teardrop, 1997). */
static void teardrop_is_refused_inline_and_harms_nobody(void **state)
{
	(void)state;
	struct bench *b = bench_new(true);
	assert_null(letters(b, 'a', 0, 5, true));
	assert_null(offer(b, 3, false, "xxxx", 4));
	assert_int_equal(b->pkt.verdict, VERDICT_DROP);
	bench_free(b);
	b = bench_new(false);
	assert_null(letters(b, 'a', 0, 5, true));
	struct packet *whole = offer(b, 3, false, "xxxx", 4);
	assert_non_null(whole);
	assert_int_equal(whole->payload_len, 28); /* as long as its last fragment says */
	bench_free(b);
}

/* --- limits ------------------------------------------------------------------------------------------------------------- */

static void a_datagram_that_never_becomes_whole_expires(void **state)
{
	(void)state;
	struct bench *b = bench_new(true);
	assert_null(letters(b, 'a', 0, 1, true));
	assert_null(letters(b, 'b', 2, 1, true));
	b->now_ns += b->config.timeout_ns;
	turn(b);
	assert_int_equal(b->counters.value[COUNTER_DEFRAG_TIMEOUTS], 1);
	assert_int_equal(b->counters.drop[DROP_DEFRAG_TIMEOUT], 2);
	/* a late rest finds nothing to complete */
	assert_null(letters(b, 'c', 1, 1, true));
	assert_null(letters(b, 'd', 3, 1, false));
	bench_free(b);
}

static void a_datagram_has_no_more_fragments_than_the_limit(void **state)
{
	(void)state;
	struct bench *b = bench_new(true);
	for (unsigned i = 0; i < b->config.fragments_per_datagram_max; i++) {
		assert_null(letters(b, 'a', i * 2, 1, true));
		assert_int_equal(b->pkt.verdict, VERDICT_HOLD);
	}
	assert_null(letters(b, 'a', 1, 1, true));
	assert_int_equal(b->pkt.verdict, VERDICT_DROP);
	assert_int_equal(b->counters.drop[DROP_DEFRAG], b->config.fragments_per_datagram_max);
	bench_free(b);
}

static void few_datagrams(struct defrag_config *config)
{
	config->datagrams_max = 3;
}

static void datagrams_beyond_the_limit_follow_the_policy(void **state)
{
	(void)state;
	struct bench *b = bench_with(true, few_datagrams);
	for (b->id = 0; b->id < 3; b->id++)
		letters(b, 'a', 0, 1, true);
	letters(b, 'a', 0, 1, true);
	assert_int_equal(b->pkt.verdict, VERDICT_DROP);
	assert_int_equal(b->pkt.drop_reason, DROP_DEFRAG_MEMCAP);
	assert_int_equal(b->counters.value[COUNTER_DEFRAG_MAX_TRACKERS], 1);
	/* those that wait are not harmed */
	b->id = 0;
	assert_letters(letters(b, 'b', 1, 1, false), "ab");
	bench_free(b);
}

static void little_memory(struct defrag_config *config)
{
	config->memory_bytes = 64 << 10;
	config->memcap_policy = EXCEPTION_PASS_PACKET;
}

static void memory_that_is_full_follows_the_policy(void **state)
{
	(void)state;
	struct bench *b = bench_with(true, little_memory);
	for (b->id = 0; b->id < 4000; b->id++) {
		letters(b, 'a', 0, 60, true);
		if (b->pkt.flags & PACKET_NO_INSPECT)
			break;
	}
	assert_true(b->pkt.flags & PACKET_NO_INSPECT);
	assert_int_equal(b->pkt.verdict, VERDICT_FORWARD);
	assert_true(b->counters.value[COUNTER_DEFRAG_MEMCAP] > 0);
	assert_true(b->id < 200);
	/* what expires makes room again */
	b->now_ns += b->config.timeout_ns;
	turn(b);
	turn(b);
	turn(b);
	turn(b);
	letters(b, 'a', 0, 1, true);
	assert_int_equal(b->pkt.verdict, VERDICT_HOLD);
	bench_free(b);
}

static void no_datagram_is_longer_than_ip_allows(void **state)
{
	(void)state;
	struct bench *b = bench_new(true);
	assert_null(letters(b, 'a', 8190, 2, false)); /* ping of death */
	assert_int_equal(b->pkt.verdict, VERDICT_DROP);
	assert_true(event_set_has(&b->pkt.events, EVENT_IPV4_FRAG_PKT_TOO_LARGE));
	bench_free(b);
}

static void run_events(struct bench *b)
{
	assert_null(letters(b, 'a', 0, 2, true));
	assert_null(letters(b, 'b', 1, 2, true));
	assert_true(event_set_has(&b->pkt.events, b->v6 ? EVENT_IPV6_FRAG_OVERLAP : EVENT_IPV4_FRAG_OVERLAP));
	b->id++;
	assert_null(letters(b, 'a', 0, 0, true)); /* a fragment of nothing */
	assert_true(event_set_has(&b->pkt.events, b->v6 ? EVENT_IPV6_FRAG_IGNORED : EVENT_IPV4_FRAG_IGNORED));
	assert_null(letters(b, 'a', 8191, 2, true));
	assert_true(
		event_set_has(&b->pkt.events, b->v6 ? EVENT_IPV6_FRAG_PKT_TOO_LARGE : EVENT_IPV4_FRAG_PKT_TOO_LARGE));
	/* each is counted once */
	assert_int_equal(b->counters.event[b->v6 ? EVENT_IPV6_FRAG_OVERLAP : EVENT_IPV4_FRAG_OVERLAP], 1);
	assert_int_equal(b->counters.event[b->v6 ? EVENT_IPV6_FRAG_IGNORED : EVENT_IPV4_FRAG_IGNORED], 1);
	assert_int_equal(b->counters.event[b->v6 ? EVENT_IPV6_FRAG_PKT_TOO_LARGE : EVENT_IPV4_FRAG_PKT_TOO_LARGE], 1);
}

static void what_is_wrong_with_fragments_is_an_event(void **state)
{
	(void)state;
	both_families(run_events, true);
	both_families(run_events, false);
}

static void a_fragment_with_a_wrong_checksum_counts_for_nothing(void **state)
{
	(void)state;
	struct bench *b = bench_new(true);
	letters(b, 'a', 0, 1, true);
	b->pkt.flags |= PACKET_IP_CSUM_BAD;
	assert_null(defrag_add(b->defrag, b->decoder, &b->pkt));
	assert_int_equal(b->pkt.verdict, VERDICT_DROP);
	assert_int_equal(b->pkt.drop_reason, DROP_CHECKSUM);
	bench_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fragments_in_order_make_the_datagram),
		cmocka_unit_test(fragments_backwards_make_the_same),
		cmocka_unit_test(the_header_is_that_of_an_unfragmented_datagram),
		cmocka_unit_test(datagrams_are_told_apart_by_their_identification),
		cmocka_unit_test(every_policy_settles_overlaps_as_its_hosts_do),
		cmocka_unit_test(inline_every_copy_says_what_was_inspected),
		cmocka_unit_test(inline_a_completing_copy_is_rewritten),
		cmocka_unit_test(inline_ipv6_overlaps_end_the_datagram),
		cmocka_unit_test(the_same_fragment_again_changes_nothing),
		cmocka_unit_test(a_second_end_elsewhere_is_refused_inline),
		cmocka_unit_test(teardrop_is_refused_inline_and_harms_nobody),
		cmocka_unit_test(a_datagram_that_never_becomes_whole_expires),
		cmocka_unit_test(a_datagram_has_no_more_fragments_than_the_limit),
		cmocka_unit_test(datagrams_beyond_the_limit_follow_the_policy),
		cmocka_unit_test(memory_that_is_full_follows_the_policy),
		cmocka_unit_test(no_datagram_is_longer_than_ip_allows),
		cmocka_unit_test(what_is_wrong_with_fragments_is_an_event),
		cmocka_unit_test(a_fragment_with_a_wrong_checksum_counts_for_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
