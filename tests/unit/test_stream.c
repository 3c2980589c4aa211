/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stream_testing.h"

/* --- handshakes ---------------------------------------------------------------------------------------------------------- */

static void three_way_handshake_establishes(void **state)
{
	(void)state;
	struct bench *b = bench_new(false);
	bench_raw(b, TO_SERVER, SYN, 1000, 0, NULL, 0);
	assert_int_equal(state_of(b), TCP_SYN_SENT);
	bench_raw(b, TO_CLIENT, SYN | ACK, 5000, 1001, NULL, 0);
	assert_int_equal(state_of(b), TCP_SYN_RECV);
	assert_int_equal(b->pkt.dir, TO_CLIENT);
	bench_raw(b, TO_SERVER, ACK, 1001, 5001, NULL, 0);
	assert_int_equal(state_of(b), TCP_ESTABLISHED);
	assert_true(b->pkt.flags & PACKET_ESTABLISHED);
	assert_int_equal(b->pkt.flow->state, FLOW_ESTABLISHED);
	assert_false(event_set_any(&b->pkt.events));
	bench_free(b);
}

static void split_handshake_of_four_packets(void **state)
{
	(void)state;
	struct bench *b = bench_new(false);
	bench_raw(b, TO_SERVER, SYN, 1000, 0, NULL, 0);
	bench_raw(b, TO_CLIENT, SYN, 5000, 0, NULL, 0);
	bench_raw(b, TO_SERVER, SYN | ACK, 1000, 5001, NULL, 0);
	assert_int_equal(state_of(b), TCP_SYN_RECV);
	bench_raw(b, TO_CLIENT, ACK, 5001, 1001, NULL, 0);
	assert_int_equal(state_of(b), TCP_ESTABLISHED);
	bench_text(b, TO_SERVER, 0, 0, "GET /");
	bench_ack(b, TO_CLIENT, 0, 5);
	assert_got(b, TO_SERVER, "GET /");
	bench_free(b);
}

static void syn_ack_with_wrong_ack_is_refused(void **state)
{
	(void)state;
	struct bench *b = bench_new(true);
	bench_raw(b, TO_SERVER, SYN, 1000, 0, NULL, 0);
	bench_raw(b, TO_CLIENT, SYN | ACK, 5000, 2001, NULL, 0);
	assert_true(bench_has(b, EVENT_STREAM_3WHS_SYNACK_WITH_WRONG_ACK));
	assert_int_equal(b->pkt.drop_reason, DROP_STREAM);
	assert_int_equal(state_of(b), TCP_SYN_SENT);
	bench_free(b);
}

static void syn_ack_may_answer_an_earlier_syn(void **state)
{
	(void)state;
	struct bench *b = bench_new(false);
	bench_raw(b, TO_SERVER, SYN, 1000, 0, NULL, 0);
	bench_raw(b, TO_SERVER, SYN, 7000, 0, NULL, 0);
	bench_raw(b, TO_CLIENT, SYN | ACK, 5000, 1001, NULL, 0);
	assert_int_equal(state_of(b), TCP_SYN_RECV);
	bench_raw(b, TO_SERVER, ACK, 1001, 5001, NULL, 0);
	assert_int_equal(state_of(b), TCP_ESTABLISHED);
	bench_text(b, TO_SERVER, 0, 0, "hello");
	bench_ack(b, TO_CLIENT, 0, 5);
	assert_got(b, TO_SERVER, "hello");
	bench_free(b);
}

static void the_acknowledged_syn_ack_counts(void **state)
{
	(void)state;
	struct bench *b = bench_new(false);
	bench_raw(b, TO_SERVER, SYN, 1000, 0, NULL, 0);
	bench_raw(b, TO_CLIENT, SYN | ACK, 9000, 1001, NULL, 0);
	bench_raw(b, TO_CLIENT, SYN | ACK, 5000, 1001, NULL, 0);
	bench_raw(b, TO_SERVER, ACK, 1001, 5001, NULL, 0);
	assert_int_equal(state_of(b), TCP_ESTABLISHED);
	bench_text(b, TO_CLIENT, 0, 0, "from 5000");
	bench_ack(b, TO_SERVER, 0, 9);
	assert_got(b, TO_CLIENT, "from 5000");
	bench_free(b);
}

static void floods_of_syns_and_syn_acks_are_events(void **state)
{
	(void)state;
	struct bench *b = bench_new(false);
	bool flood = false;
	for (uint32_t i = 0; i < 30; i++) {
		bench_raw(b, TO_SERVER, SYN, 1000 + i * 100, 0, NULL, 0);
		flood |= bench_has(b, EVENT_STREAM_3WHS_SYN_FLOOD);
	}
	assert_true(flood);
	flood = false;
	for (uint32_t i = 0; i < 30; i++) {
		bench_raw(b, TO_CLIENT, SYN | ACK, 5000 + i * 100, 1000 + 29 * 100 + 1, NULL, 0);
		flood |= bench_has(b, EVENT_STREAM_3WHS_SYNACK_FLOOD);
	}
	assert_true(flood);
	bench_free(b);
}

static void fast_open_data_is_read(void **state)
{
	(void)state;
	for (int inline_mode = 0; inline_mode < 2; inline_mode++) {
		struct bench *b = bench_new(inline_mode);
		b->fast_open = true;
		bench_raw(b, TO_SERVER, SYN, 1000, 0, "GET", 3);
		bench_raw(b, TO_CLIENT, SYN | ACK, 5000, 1004, NULL, 0);
		bench_text(b, TO_SERVER, 3, 0, " /");
		bench_ack(b, TO_CLIENT, 0, 5);
		assert_int_equal(state_of(b), TCP_ESTABLISHED);
		assert_got(b, TO_SERVER, "GET /");
		bench_free(b);
	}
}

static void fast_open_data_that_is_ignored_comes_again(void **state)
{
	(void)state;
	for (int inline_mode = 0; inline_mode < 2; inline_mode++) {
		struct bench *b = bench_new(inline_mode);
		b->fast_open = true;
		bench_raw(b, TO_SERVER, SYN, 1000, 0, "GET", 3);
		bench_raw(b, TO_CLIENT, SYN | ACK, 5000, 1001, NULL, 0);
		assert_true(bench_has(b, EVENT_STREAM_3WHS_SYNACK_TFO_DATA_IGNORED));
		bench_ack(b, TO_SERVER, 0, 0);
		bench_text(b, TO_SERVER, 0, 0, "GET /");
		bench_ack(b, TO_CLIENT, 0, 5);
		assert_got(b, TO_SERVER, "GET /");
		bench_free(b);
	}
}

/* --- data ---------------------------------------------------------------------------------------------------------------- */

static void passive_data_waits_for_its_ack(void **state)
{
	(void)state;
	struct bench *b = bench_new(false);
	bench_handshake(b);
	bench_text(b, TO_SERVER, 0, 0, "abcdef");
	assert_int_equal(b->got_len[TO_SERVER], 0);
	assert_true(b->pkt.flags & PACKET_PAYLOAD_IN_STREAM);
	bench_ack(b, TO_CLIENT, 0, 4);
	assert_true(b->pkt.flags & PACKET_STREAM_NEW);
	assert_got(b, TO_SERVER, "abcd");
	stream_finish(b->engine, b->pkt.flow);
	bench_read(b, b->pkt.flow);
	assert_got(b, TO_SERVER, "abcdef");
	assert_true(b->eof[TO_SERVER]);
	bench_free(b);
}

static void inline_data_is_there_at_once(void **state)
{
	(void)state;
	struct bench *b = bench_new(true);
	bench_handshake(b);
	bench_text(b, TO_SERVER, 0, 0, "abcdef");
	assert_got(b, TO_SERVER, "abcdef");
	assert_int_equal(b->pkt.verdict, VERDICT_FORWARD);
	bench_free(b);
}

static uint32_t random_state;

static uint32_t next_random(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 8;
}

#define TEXT_LEN 6000

/* Sends a known text in pieces that are cut, repeated and shuffled by the seed; acknowledges what a receiver would. */
static void send_shuffled(struct bench *b, const uint8_t *text, uint32_t seed)
{
	struct {
		uint32_t at, len;
	} pieces[600];
	bool have[TEXT_LEN] = {false};
	unsigned n = 0;
	random_state = seed;
	for (uint32_t at = 0; at < TEXT_LEN;) {
		uint32_t len = 1 + next_random() % 90;
		if (len > TEXT_LEN - at)
			len = TEXT_LEN - at;
		pieces[n].at = at;
		pieces[n++].len = len;
		if (n < 590 && next_random() % 4 == 0) { /* one that overlaps */
			uint32_t back = next_random() % (at + 1) % 50;
			pieces[n].at = at - back;
			pieces[n++].len = len + back;
		}
		at += len;
	}
	for (unsigned i = 0; i < n; i++) { /* no further than 12 places */
		unsigned k = i + next_random() % 12;
		if (k >= n)
			continue;
		uint32_t at = pieces[i].at, len = pieces[i].len;
		pieces[i] = pieces[k];
		pieces[k].at = at;
		pieces[k].len = len;
	}
	uint32_t acked = 0;
	for (unsigned i = 0; i < n; i++) {
		bench_send(b, TO_SERVER, ACK, pieces[i].at, 0, text + pieces[i].at, pieces[i].len);
		assert_int_equal(b->pkt.verdict, VERDICT_FORWARD);
		assert_false(bench_has(b, EVENT_STREAM_REASSEMBLY_OVERLAP_DIFFERENT_DATA));
		for (uint32_t k = 0; k < pieces[i].len; k++)
			have[pieces[i].at + k] = true;
		while (acked < TEXT_LEN && have[acked])
			acked++;
		if (next_random() % 3 == 0)
			bench_ack(b, TO_CLIENT, 0, acked);
	}
	bench_ack(b, TO_CLIENT, 0, TEXT_LEN);
}

static void any_segmentation_gives_the_same_bytes(void **state)
{
	(void)state;
	static uint8_t text[TEXT_LEN];
	for (unsigned i = 0; i < TEXT_LEN; i++)
		text[i] = (uint8_t)(i * 7 + i / 251);
	for (uint32_t seed = 1; seed <= 60; seed++) {
		for (int inline_mode = 0; inline_mode < 2; inline_mode++) {
			struct bench *b = bench_new(inline_mode);
			if (seed % 2)
				b->isn[0] = 0u - 3000u; /* the numbers wrap in the middle */
			bench_handshake(b);
			send_shuffled(b, text, seed);
			assert_int_equal(b->got_len[TO_SERVER], TEXT_LEN);
			assert_memory_equal(b->got[TO_SERVER], text, TEXT_LEN);
			assert_int_equal(b->gap[TO_SERVER], 0);
			assert_int_equal(b->counters.value[COUNTER_TCP_REASSEMBLY_GAP], 0);
			bench_free(b);
		}
	}
}

static void long_streams_pass_through_a_small_window(void **state)
{
	(void)state;
	for (int inline_mode = 0; inline_mode < 2; inline_mode++) {
		struct bench *b = bench_prepare(inline_mode);
		b->config.segment_memory_bytes = 1u << 20;
		b->config.depth_bytes = 0;
		bench_open(b);
		bench_handshake(b);
		uint8_t piece[1460];
		for (uint32_t at = 0; at < 3u << 20; at += sizeof(piece)) {
			struct stream_view view;
			uint32_t fresh;
			for (unsigned i = 0; i < sizeof(piece); i++)
				piece[i] = (uint8_t)((at + i) * 31 >> 5);
			bench_send(b, TO_SERVER, ACK, at, 0, piece, sizeof(piece));
			bench_ack(b, TO_CLIENT, 0, at + sizeof(piece));
			assert_true(stream_raw_view(b->pkt.flow, TO_SERVER, &view, &fresh));
			assert_int_equal(view.len - fresh, sizeof(piece));
			assert_int_equal(view.offset + fresh, at);
			assert_int_equal(fresh, at < 8192 ? at : 8192);
			assert_memory_equal(view.data + fresh, piece, sizeof(piece));
			if (fresh) {
				assert_int_equal(view.data[0], (uint8_t)(view.offset * 31 >> 5));
				assert_int_equal(view.data[fresh - 1], (uint8_t)((at - 1) * 31 >> 5));
			}
			stream_raw_done(b->engine, b->pkt.flow, TO_SERVER);
			assert_false(stream_raw_view(b->pkt.flow, TO_SERVER, &view, &fresh));
		}
		assert_int_equal(b->counters.value[COUNTER_TCP_SEGMENT_MEMCAP_DROP], 0);
		for (size_t i = 0; i < b->got_len[TO_SERVER]; i++)
			if (b->got[TO_SERVER][i] != (uint8_t)((uint32_t)i * 31 >> 5))
				fail_msg("byte %zu differs", i);
		bench_free(b);
	}
}

static void what_a_reader_leaves_is_shown_again(void **state)
{
	(void)state;
	struct bench *b = bench_new(true);
	struct stream_view view;
	bench_handshake(b);
	bench_raw(b, TO_SERVER, ACK, 1001, 5001, "abcd", 4);
	struct flow *flow = b->pkt.flow;
	assert_true(stream_app_view(flow, TO_SERVER, &view));
	stream_app_consume(b->engine, flow, TO_SERVER, 1);
	assert_true(stream_app_view(flow, TO_SERVER, &view));
	assert_int_equal(view.len, 3);
	bench_raw(b, TO_SERVER, ACK, 1005, 5001, "ef", 2);
	assert_true(stream_app_view(flow, TO_SERVER, &view));
	assert_int_equal(view.offset, 1);
	assert_int_equal(view.len, 5);
	assert_memory_equal(view.data, "bcdef", 5);
	bench_free(b);
}

static void a_gap_takes_what_the_reader_left_before_it(void **state)
{
	(void)state;
	struct bench *b = bench_new(false);
	struct stream_view view;
	bench_handshake(b);
	bench_raw(b, TO_SERVER, ACK, 1001, 5001, "abc", 3);
	bench_raw(b, TO_SERVER, ACK, 1007, 5001, "ghi", 3);
	bench_raw(b, TO_CLIENT, ACK, 5001, 1010, NULL, 0);
	struct flow *flow = b->pkt.flow;
	for (int again = 0; again < 2; again++) { /* as often as it is asked for */
		assert_true(stream_app_view(flow, TO_SERVER, &view));
		assert_memory_equal(view.data, "abc", 3);
		assert_int_equal(view.gap, 0);
	}
	stream_app_consume(b->engine, flow, TO_SERVER, 1);
	bench_raw(b, TO_CLIENT, ACK, 5001, 1010, NULL, 0);
	assert_true(stream_app_view(flow, TO_SERVER, &view));
	assert_int_equal(view.gap, 5);
	assert_int_equal(view.len, 3);
	assert_memory_equal(view.data, "ghi", 3);
	stream_app_consume(b->engine, flow, TO_SERVER, 3);
	assert_false(stream_app_view(flow, TO_SERVER, &view));
	bench_free(b);
}

/* --- gaps ---------------------------------------------------------------------------------------------------------------- */

static void acknowledged_hole_is_a_gap(void **state)
{
	(void)state;
	for (int inline_mode = 0; inline_mode < 2; inline_mode++) {
		struct bench *b = bench_new(inline_mode);
		bench_handshake(b);
		bench_text(b, TO_SERVER, 0, 0, "abc");
		bench_text(b, TO_SERVER, 6, 0, "ghi");
		assert_int_equal(b->gap[TO_SERVER], 0);
		bench_ack(b, TO_CLIENT, 0, 9);
		assert_true(bench_has(b, EVENT_STREAM_REASSEMBLY_SEQ_GAP));
		assert_true(stream_has_gap(b->pkt.flow, TO_SERVER));
		assert_got(b, TO_SERVER, "abcghi");
		assert_int_equal(b->gap[TO_SERVER], 3);
		bench_free(b);
	}
}

static void raw_reader_sees_both_sides_of_a_gap(void **state)
{
	(void)state;
	struct bench *b = bench_new(false);
	struct stream_view view;
	uint32_t fresh;
	bench_handshake(b);
	bench_text(b, TO_SERVER, 0, 0, "abc");
	bench_text(b, TO_SERVER, 6, 0, "ghi");
	bench_text(b, TO_SERVER, 12, 0, "mno");
	bench_ack(b, TO_CLIENT, 0, 15);
	struct flow *flow = b->pkt.flow;
	static const char *const parts[] = {"abc", "ghi", "mno"};
	for (unsigned i = 0; i < 3; i++) {
		assert_true(stream_raw_view(flow, TO_SERVER, &view, &fresh));
		assert_int_equal(view.len, 3);
		assert_int_equal(fresh, 0);
		assert_int_equal(view.offset, i * 6);
		assert_int_equal(view.gap, i ? 3 : 0);
		assert_memory_equal(view.data, parts[i], 3);
		stream_raw_done(b->engine, flow, TO_SERVER);
	}
	assert_false(stream_raw_view(flow, TO_SERVER, &view, &fresh));
	bench_free(b);
}

static void many_gaps_do_not_stop_the_readers(void **state)
{
	(void)state;
	struct bench *b = bench_new(false);
	bench_handshake(b);
	for (unsigned i = 0; i < 40; i++)
		bench_text(b, TO_SERVER, i * 10, 0, "12345");
	bench_ack(b, TO_CLIENT, 0, 400);
	bench_text(b, TO_SERVER, 400, 0, "end");
	bench_ack(b, TO_CLIENT, 0, 403);
	assert_true(b->got_len[TO_SERVER] >= 3);
	assert_memory_equal(b->got[TO_SERVER] + b->got_len[TO_SERVER] - 3, "end", 3);
	assert_int_equal(b->got_len[TO_SERVER] + b->gap[TO_SERVER], 403);
	bench_free(b);
}

static void finish_shows_raw_data_behind_an_open_hole(void **state)
{
	(void)state;
	struct bench *b = bench_new(false);
	struct stream_view view;
	uint32_t fresh;
	bench_handshake(b);
	bench_text(b, TO_SERVER, 6, 0, "ghi");
	struct flow *flow = b->pkt.flow;
	assert_false(stream_raw_view(flow, TO_SERVER, &view, &fresh));
	stream_finish(b->engine, flow);
	assert_true(stream_raw_view(flow, TO_SERVER, &view, &fresh));
	assert_int_equal(view.len, 3);
	assert_memory_equal(view.data, "ghi", 3);
	assert_true(view.eof);
	bench_read(b, flow);
	assert_int_equal(b->got_len[TO_SERVER], 0);
	assert_true(b->eof[TO_SERVER]);
	assert_int_equal(b->counters.value[COUNTER_TCP_REASSEMBLY_GAP], 0);
	bench_free(b);
}

/* --- overlaps ------------------------------------------------------------------------------------------------------------ */

static void inline_first_copy_wins_and_the_packet_is_rewritten(void **state)
{
	(void)state;
	struct bench *b = bench_new(true);
	bench_handshake(b);
	bench_text(b, TO_SERVER, 0, 0, "good");
	bench_text(b, TO_SERVER, 0, 0, "evil!!");
	assert_true(bench_has(b, EVENT_STREAM_REASSEMBLY_OVERLAP_DIFFERENT_DATA));
	assert_int_equal(b->pkt.verdict, VERDICT_REPLACE);
	assert_memory_equal(b->pkt.payload, "good!!", 6);
	assert_got(b, TO_SERVER, "good!!");
	bench_free(b);
}

static void inline_overlap_beyond_a_hole_is_rewritten_too(void **state)
{
	(void)state;
	struct bench *b = bench_new(true);
	bench_handshake(b);
	bench_text(b, TO_SERVER, 4, 0, "EFGH");
	bench_text(b, TO_SERVER, 0, 0, "abcdefghij");
	assert_int_equal(b->pkt.verdict, VERDICT_REPLACE);
	assert_memory_equal(b->pkt.payload, "abcdEFGHij", 10);
	assert_got(b, TO_SERVER, "abcdEFGHij");
	bench_free(b);
}

static void same_data_again_is_forwarded_as_it_is(void **state)
{
	(void)state;
	struct bench *b = bench_new(true);
	bench_handshake(b);
	bench_text(b, TO_SERVER, 0, 0, "good");
	bench_text(b, TO_SERVER, 0, 0, "good");
	assert_int_equal(b->pkt.verdict, VERDICT_FORWARD);
	assert_got(b, TO_SERVER, "good");
	bench_free(b);
}

static void passive_overlap_earlier_start_replaces(void **state)
{
	(void)state;
	struct bench *b = bench_new(false);
	bench_handshake(b);
	bench_text(b, TO_SERVER, 2, 0, "CD");
	bench_text(b, TO_SERVER, 6, 0, "GH");
	bench_text(b, TO_SERVER, 0, 0, "abcdef");
	bench_text(b, TO_SERVER, 6, 0, "ghij"); /* same start: the old one stays */
	bench_ack(b, TO_CLIENT, 0, 10);
	assert_got(b, TO_SERVER, "abcdefGHij");
	bench_free(b);
}

static void passive_overlap_in_sequence_follows_the_same_rule(void **state)
{
	(void)state;
	struct bench *b = bench_new(false);
	bench_handshake(b);
	bench_text(b, TO_SERVER, 0, 0, "ab");
	bench_text(b, TO_SERVER, 2, 0, "cd");
	bench_text(b, TO_SERVER, 1, 0, "XY"); /* after "ab" began, before "cd" did */
	assert_true(bench_has(b, EVENT_STREAM_REASSEMBLY_OVERLAP_DIFFERENT_DATA));
	bench_ack(b, TO_CLIENT, 0, 4);
	assert_got(b, TO_SERVER, "abYd");
	bench_free(b);
}

static void acknowledged_bytes_are_settled(void **state)
{
	(void)state;
	struct bench *b = bench_new(false);
	bench_handshake(b);
	bench_text(b, TO_SERVER, 0, 0, "ab");
	bench_text(b, TO_SERVER, 2, 0, "cd");
	bench_raw(b, TO_CLIENT, ACK, 5001, 1005, NULL, 0); /* nobody has read yet */
	bench_raw(b, TO_SERVER, ACK, 1002, 5001, "XYZ", 3);
	bench_read(b, b->pkt.flow);
	assert_got(b, TO_SERVER, "abcd");
	bench_free(b);
}

/* --- limits -------------------------------------------------------------------------------------------------------------- */

static void depth_ends_the_stream(void **state)
{
	(void)state;
	struct bench *b = bench_prepare(true);
	b->config.depth_bytes = 10;
	bench_open(b);
	bench_handshake(b);
	bench_text(b, TO_SERVER, 0, 0, "12345678");
	assert_false(stream_depth_reached(b->pkt.flow, TO_SERVER));
	bench_text(b, TO_SERVER, 8, 0, "90abcdef");
	assert_true(bench_has(b, EVENT_STREAM_REASSEMBLY_DEPTH_REACHED));
	assert_true(stream_depth_reached(b->pkt.flow, TO_SERVER));
	assert_got(b, TO_SERVER, "1234567890");
	bench_text(b, TO_SERVER, 16, 0, "more");
	assert_int_equal(b->pkt.verdict, VERDICT_FORWARD);
	assert_false(event_set_any(&b->pkt.events));
	assert_got(b, TO_SERVER, "1234567890");
	bench_free(b);
}

static void full_memory_follows_the_policy(void **state)
{
	(void)state;
	for (int drop = 0; drop < 2; drop++) {
		struct bench *b = bench_prepare(true);
		b->config.segment_memory_bytes = 32u << 10;
		b->config.memcap_policy = drop ? EXCEPTION_DROP_PACKET : EXCEPTION_PASS_FLOW;
		bench_open(b);
		bench_handshake(b);
		static uint8_t piece[1460];
		unsigned dropped = 0;
		for (uint32_t i = 0; i < 40; i++) { /* not acknowledged: nothing can be let go */
			bench_send(b, TO_SERVER, ACK, i * sizeof(piece), 0, piece, sizeof(piece));
			dropped += b->pkt.verdict == VERDICT_DROP && b->pkt.drop_reason == DROP_STREAM_MEMCAP;
		}
		assert_true(b->counters.value[COUNTER_TCP_SEGMENT_MEMCAP_DROP] > 0);
		assert_int_equal(dropped > 0, drop);
		assert_int_equal(!!(b->pkt.flow->flags & FLOW_PASS), !drop);
		bench_free(b);
	}
}

static void holes_are_limited(void **state)
{
	(void)state;
	struct bench *b = bench_prepare(true);
	b->config.segments_max = 16;
	bench_open(b);
	bench_handshake(b);
	for (uint32_t i = 1; i <= 16; i++)
		bench_text(b, TO_SERVER, i * 10, 0, "x");
	assert_int_equal(b->pkt.verdict, VERDICT_FORWARD);
	bench_text(b, TO_SERVER, 1000, 0, "x");
	assert_true(bench_has(b, EVENT_STREAM_REASSEMBLY_INSERT_LIMIT));
	assert_int_equal(b->pkt.verdict, VERDICT_DROP);
	bench_free(b);
}

static void session_memory_is_limited(void **state)
{
	(void)state;
	struct bench *b = bench_prepare(true);
	b->config.session_memory_bytes = 16u << 10;
	b->config.memcap_policy = EXCEPTION_DROP_FLOW;
	bench_open(b);
	for (unsigned i = 0; i < 200; i++) {
		b->ports[0] = (uint16_t)(20000 + i);
		bench_raw(b, TO_SERVER, SYN, 1000, 0, NULL, 0);
	}
	assert_true(b->counters.value[COUNTER_TCP_SSN_MEMCAP_DROP] > 100);
	assert_int_equal(b->pkt.drop_reason, DROP_STREAM_MEMCAP);
	assert_true(b->pkt.flow->flags & FLOW_DROP);
	bench_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_way_handshake_establishes),
		cmocka_unit_test(split_handshake_of_four_packets),
		cmocka_unit_test(syn_ack_with_wrong_ack_is_refused),
		cmocka_unit_test(syn_ack_may_answer_an_earlier_syn),
		cmocka_unit_test(the_acknowledged_syn_ack_counts),
		cmocka_unit_test(floods_of_syns_and_syn_acks_are_events),
		cmocka_unit_test(fast_open_data_is_read),
		cmocka_unit_test(fast_open_data_that_is_ignored_comes_again),
		cmocka_unit_test(passive_data_waits_for_its_ack),
		cmocka_unit_test(inline_data_is_there_at_once),
		cmocka_unit_test(any_segmentation_gives_the_same_bytes),
		cmocka_unit_test(long_streams_pass_through_a_small_window),
		cmocka_unit_test(what_a_reader_leaves_is_shown_again),
		cmocka_unit_test(a_gap_takes_what_the_reader_left_before_it),
		cmocka_unit_test(acknowledged_hole_is_a_gap),
		cmocka_unit_test(raw_reader_sees_both_sides_of_a_gap),
		cmocka_unit_test(many_gaps_do_not_stop_the_readers),
		cmocka_unit_test(finish_shows_raw_data_behind_an_open_hole),
		cmocka_unit_test(inline_first_copy_wins_and_the_packet_is_rewritten),
		cmocka_unit_test(inline_overlap_beyond_a_hole_is_rewritten_too),
		cmocka_unit_test(same_data_again_is_forwarded_as_it_is),
		cmocka_unit_test(passive_overlap_earlier_start_replaces),
		cmocka_unit_test(passive_overlap_in_sequence_follows_the_same_rule),
		cmocka_unit_test(acknowledged_bytes_are_settled),
		cmocka_unit_test(depth_ends_the_stream),
		cmocka_unit_test(full_memory_follows_the_policy),
		cmocka_unit_test(holes_are_limited),
		cmocka_unit_test(session_memory_is_limited),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
