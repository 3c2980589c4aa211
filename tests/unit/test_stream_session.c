/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stream_testing.h"

/* --- windows, acknowledgments, timestamps -------------------------------------------------------------------------------- */

static void data_beyond_the_window_is_refused(void **state)
{
	(void)state;
	struct bench *b = bench_prepare(true);
	b->window = 1000;
	bench_open(b);
	bench_handshake(b);
	static uint8_t piece[1001];
	bench_send(b, TO_SERVER, ACK, 0, 0, piece, 1000);
	assert_int_equal(b->pkt.verdict, VERDICT_FORWARD);
	bench_send(b, TO_SERVER, ACK, 1000, 0, piece, 1);
	assert_true(bench_has(b, EVENT_STREAM_EST_PACKET_OUT_OF_WINDOW));
	assert_true(b->pkt.flags & PACKET_STREAM_BAD);
	assert_int_equal(b->pkt.drop_reason, DROP_STREAM);
	bench_ack(b, TO_CLIENT, 0, 1000);
	bench_send(b, TO_SERVER, ACK, 1000, 0, piece, 1000);
	assert_int_equal(b->pkt.verdict, VERDICT_FORWARD);
	assert_int_equal(b->got_len[TO_SERVER], 2000);
	bench_free(b);
}

static void windows_scale(void **state)
{
	(void)state;
	struct bench *b = bench_prepare(true);
	b->window = 1000;
	b->wscale = 3;
	bench_open(b);
	bench_handshake(b);
	static uint8_t piece[8001];
	bench_ack(b, TO_CLIENT, 0, 0); /* the first window that is scaled */
	bench_send(b, TO_SERVER, ACK, 0, 0, piece, 8000);
	assert_int_equal(b->pkt.verdict, VERDICT_FORWARD);
	bench_send(b, TO_SERVER, ACK, 8000, 0, piece, 1);
	assert_int_equal(b->pkt.verdict, VERDICT_DROP);
	bench_free(b);
}

static void ack_of_data_that_was_not_allowed_is_refused(void **state)
{
	(void)state;
	struct bench *b = bench_new(true);
	bench_handshake(b);
	bench_ack(b, TO_CLIENT, 0, 100000);
	assert_true(bench_has(b, EVENT_STREAM_PKT_INVALID_ACK));
	assert_true(bench_has(b, EVENT_STREAM_EST_INVALID_ACK));
	assert_int_equal(b->pkt.verdict, VERDICT_DROP);
	bench_free(b);
}

static void old_timestamps_are_refused(void **state)
{
	(void)state;
	struct bench *b = bench_prepare(true);
	b->ts[0] = 1000;
	b->ts[1] = 9000;
	bench_open(b);
	bench_handshake(b);
	b->ts[0] = 1100;
	bench_text(b, TO_SERVER, 0, 0, "new");
	b->ts[0] = 1050;
	bench_text(b, TO_SERVER, 3, 0, "old");
	assert_true(bench_has(b, EVENT_STREAM_PKT_INVALID_TIMESTAMP));
	assert_int_equal(b->pkt.verdict, VERDICT_DROP);
	b->ts[0] = 1100;
	bench_text(b, TO_SERVER, 3, 0, "now");
	assert_int_equal(b->pkt.verdict, VERDICT_FORWARD);
	assert_got(b, TO_SERVER, "newnow");
	bench_free(b);
}

static void timestamps_wrap(void **state)
{
	(void)state;
	struct bench *b = bench_prepare(true);
	b->ts[0] = 0xffffff00;
	b->ts[1] = 1;
	bench_open(b);
	bench_handshake(b);
	bench_text(b, TO_SERVER, 0, 0, "a");
	b->ts[0] = 5;
	bench_text(b, TO_SERVER, 1, 0, "b");
	assert_int_equal(b->pkt.verdict, VERDICT_FORWARD);
	assert_got(b, TO_SERVER, "ab");
	bench_free(b);
}

static void bad_checksum_is_not_part_of_the_stream(void **state)
{
	(void)state;
	for (int inline_mode = 0; inline_mode < 2; inline_mode++) {
		struct bench *b = bench_new(inline_mode);
		bench_handshake(b);
		bench_build(b, TO_SERVER, ACK, 1001, 5001, "evil", 4);
		b->pkt.flags |= PACKET_L4_CSUM_BAD;
		bench_give(b);
		assert_int_equal(b->pkt.drop_reason, inline_mode ? DROP_CHECKSUM : DROP_NONE);
		bench_text(b, TO_SERVER, 0, 0, "good");
		assert_int_equal(b->pkt.verdict, VERDICT_FORWARD);
		bench_ack(b, TO_CLIENT, 0, 4);
		assert_got(b, TO_SERVER, "good");
		bench_free(b);
	}
}

static void keep_alive_changes_nothing(void **state)
{
	(void)state;
	struct bench *b = bench_new(true);
	bench_handshake(b);
	bench_text(b, TO_SERVER, 0, 0, "abc");
	bench_ack(b, TO_CLIENT, 0, 3);
	bench_text(b, TO_SERVER, 2, 0, "Z");
	assert_int_equal(b->pkt.verdict, VERDICT_FORWARD);
	assert_false(event_set_any(&b->pkt.events));
	assert_got(b, TO_SERVER, "abc");
	bench_free(b);
}

static void acknowledged_data_again_is_let_through(void **state)
{
	(void)state;
	struct bench *b = bench_new(true);
	bench_handshake(b);
	bench_text(b, TO_SERVER, 0, 0, "abcdef");
	bench_ack(b, TO_CLIENT, 0, 6);
	bench_text(b, TO_SERVER, 0, 0, "abc"); /* its sender may have missed the ACK */
	assert_true(bench_has(b, EVENT_STREAM_PKT_SPURIOUS_RETRANSMISSION));
	assert_int_equal(b->pkt.verdict, VERDICT_FORWARD);
	bench_free(b);
}

/* --- the end ------------------------------------------------------------------------------------------------------------- */

static void client_closes_first(void **state)
{
	(void)state;
	struct bench *b = bench_new(false);
	bench_handshake(b);
	bench_send(b, TO_SERVER, FIN | ACK, 0, 0, "bye", 3);
	assert_int_equal(state_of(b), TCP_CLOSE_WAIT);
	bench_ack(b, TO_CLIENT, 0, 4);
	assert_got(b, TO_SERVER, "bye");
	assert_true(b->eof[TO_SERVER]);
	assert_false(b->eof[TO_CLIENT]);
	bench_send(b, TO_CLIENT, FIN | ACK, 0, 4, NULL, 0);
	assert_int_equal(state_of(b), TCP_LAST_ACK);
	bench_ack(b, TO_SERVER, 4, 1);
	assert_int_equal(state_of(b), TCP_CLOSED);
	assert_true(b->eof[TO_CLIENT]);
	assert_int_equal(b->pkt.flow->state, FLOW_CLOSED);
	assert_false(event_set_any(&b->pkt.events));
	bench_free(b);
}

static void server_closes_first(void **state)
{
	(void)state;
	struct bench *b = bench_new(false);
	bench_handshake(b);
	bench_send(b, TO_CLIENT, FIN | ACK, 0, 0, "bye", 3);
	assert_int_equal(state_of(b), TCP_FIN_WAIT1);
	bench_ack(b, TO_SERVER, 0, 4);
	assert_int_equal(state_of(b), TCP_FIN_WAIT2);
	bench_send(b, TO_SERVER, FIN | ACK, 0, 4, NULL, 0);
	assert_int_equal(state_of(b), TCP_TIME_WAIT);
	bench_ack(b, TO_CLIENT, 4, 1);
	assert_int_equal(state_of(b), TCP_CLOSED);
	assert_got(b, TO_CLIENT, "bye");
	assert_false(event_set_any(&b->pkt.events));
	bench_free(b);
}

static void half_closed_side_still_receives(void **state)
{
	(void)state;
	struct bench *b = bench_new(true);
	bench_handshake(b);
	bench_send(b, TO_SERVER, FIN | ACK, 0, 0, "q", 1);
	bench_ack(b, TO_CLIENT, 0, 2);
	for (unsigned i = 0; i < 5; i++) {
		bench_text(b, TO_CLIENT, i * 4, 2, "data");
		assert_int_equal(b->pkt.verdict, VERDICT_FORWARD);
		bench_ack(b, TO_SERVER, 2, i * 4 + 4);
		assert_int_equal(b->pkt.verdict, VERDICT_FORWARD);
	}
	assert_got(b, TO_CLIENT, "datadatadatadatadata");
	bench_free(b);
}

/* Both sides have said FIN, and a segment before one of them was lost: it is sent again, inspected, and only then is it over. */
static void session_with_a_hole_is_not_over(void **state)
{
	(void)state;
	for (int first = 0; first < 2; first++) { /* who loses a segment, and who ends first */
		for (int loser = 0; loser < 2; loser++) {
			struct bench *b = bench_new(true);
			enum direction dir = (enum direction)loser, other = (enum direction)(1 - loser);
			bench_handshake(b);
			if (first != loser) {
				bench_send(b, other, FIN | ACK, 0, 0, NULL, 0);
				bench_ack(b, dir, 0, 1);
			}
			int64_t from = first == loser ? 0 : 1;
			bench_text(b, dir, 3, from, "def");
			bench_send(b, dir, FIN | ACK, 6, from, NULL, 0);
			if (first == loser) {
				bench_send(b, other, FIN | ACK, 0, 0, NULL, 0);
				bench_ack(b, dir, 7, 1);
				from = 1;
			}
			bench_ack(b, other, 1, 0);
			assert_int_equal(b->pkt.verdict, VERDICT_FORWARD);
			assert_false(stream_closed_for_good(b->pkt.flow));
			assert_int_not_equal(state_of(b), TCP_CLOSED);
			bench_text(b, dir, 0, from, "abc");
			assert_int_equal(b->pkt.verdict, VERDICT_FORWARD);
			assert_got(b, dir, "abcdef");
			bench_ack(b, other, 1, 7);
			assert_true(stream_closed_for_good(b->pkt.flow));
			bench_free(b);
		}
	}
}

static void fin_opens_the_window_as_any_ack(void **state)
{
	(void)state;
	struct bench *b = bench_prepare(true);
	b->window = 10;
	bench_open(b);
	bench_handshake(b);
	bench_text(b, TO_SERVER, 0, 0, "0123456789");
	assert_int_equal(b->pkt.verdict, VERDICT_FORWARD);
	bench_send(b, TO_CLIENT, FIN | ACK, 0, 10, NULL, 0);
	bench_text(b, TO_SERVER, 10, 1, "0123456789");
	assert_int_equal(b->pkt.verdict, VERDICT_FORWARD);
	bench_text(b, TO_SERVER, 20, 1, "0");
	assert_int_equal(b->pkt.verdict, VERDICT_DROP);
	bench_free(b);
}

/* RFC 7323, 4.3: the receiver's own clock does not go on behind a hole. */
static void late_segment_with_an_older_timestamp_fills_its_hole(void **state)
{
	(void)state;
	struct bench *b = bench_prepare(true);
	b->ts[0] = b->ts[1] = 100;
	bench_open(b);
	bench_handshake(b);
	b->ts[0] = 110;
	bench_text(b, TO_SERVER, 3, 0, "def");
	b->ts[0] = 105;
	bench_text(b, TO_SERVER, 0, 0, "abc");
	assert_int_equal(b->pkt.verdict, VERDICT_FORWARD);
	assert_got(b, TO_SERVER, "abcdef");
	b->ts[0] = 110;
	bench_text(b, TO_SERVER, 6, 0, "ghi");
	b->ts[0] = 109;
	bench_text(b, TO_SERVER, 9, 0, "jkl");
	assert_int_equal(b->pkt.verdict, VERDICT_DROP);
	assert_true(bench_has(b, EVENT_STREAM_PKT_INVALID_TIMESTAMP));
	bench_free(b);
}

static void reset_must_be_exact(void **state)
{
	(void)state;
	struct bench *b = bench_new(true);
	bench_handshake(b);
	bench_text(b, TO_SERVER, 0, 0, "abc");
	bench_send(b, TO_SERVER, RST, 50, 0, NULL, 0);
	assert_int_equal(b->pkt.drop_reason, DROP_STREAM);
	assert_int_equal(state_of(b), TCP_ESTABLISHED);
	bench_send(b, TO_SERVER, RST, 3, 0, NULL, 0);
	assert_int_equal(b->pkt.verdict, VERDICT_FORWARD);
	assert_int_equal(state_of(b), TCP_CLOSED);
	bench_text(b, TO_SERVER, 3, 0, "after");
	assert_int_equal(b->pkt.verdict, VERDICT_DROP);
	bench_free(b);
}

static void reset_behind_a_hole_must_match_the_hole(void **state)
{
	(void)state;
	struct bench *b = bench_new(true);
	bench_handshake(b);
	bench_text(b, TO_SERVER, 5, 0, "fghij");
	bench_send(b, TO_SERVER, RST, 10, 0, NULL, 0); /* the receiver waits for byte 0 and will not obey */
	assert_int_equal(state_of(b), TCP_ESTABLISHED);
	bench_text(b, TO_SERVER, 0, 0, "abcde");
	assert_got(b, TO_SERVER, "abcdefghij");
	bench_free(b);
}

static void data_of_a_reset_is_an_event(void **state)
{
	(void)state;
	struct bench *b = bench_new(false);
	bench_handshake(b);
	bench_send(b, TO_CLIENT, RST | ACK, 0, 0, "reason", 6);
	assert_true(bench_has(b, EVENT_STREAM_RST_WITH_DATA));
	assert_int_equal(state_of(b), TCP_CLOSED);
	bench_free(b);
}

static void reset_before_the_answer_may_be_forged(void **state)
{
	(void)state;
	struct bench *b = bench_new(false);
	bench_raw(b, TO_SERVER, SYN, 1000, 0, NULL, 0);
	bench_raw(b, TO_CLIENT, RST | ACK, 0, 1001, NULL, 0);
	assert_int_equal(state_of(b), TCP_CLOSED);
	bench_raw(b, TO_CLIENT, SYN | ACK, 5000, 1001, NULL, 0);
	assert_true(bench_has(b, EVENT_STREAM_SUSPECTED_RST_INJECT));
	bench_ack(b, TO_SERVER, 0, 0);
	assert_int_equal(state_of(b), TCP_ESTABLISHED);
	bench_free(b);
}

/* Its receiver may find the signature wrong and ignore it; the sender goes on, and is inspected. */
static void a_signed_reset_may_be_ignored(void **state)
{
	(void)state;
	for (int inline_mode = 0; inline_mode < 2; inline_mode++) {
		struct bench *b = bench_new(inline_mode);
		bench_handshake(b);
		bench_build(b, TO_SERVER, RST | ACK, b->isn[0] + 1, b->isn[1] + 1, NULL, 0);
		b->pkt.tcp.signature = true;
		bench_give(b);
		bench_read(b, b->pkt.flow);
		assert_int_equal(state_of(b), TCP_CLOSED);
		assert_false(b->eof[TO_SERVER]);
		bench_text(b, TO_SERVER, 0, 0, "attack");
		assert_true(bench_has(b, EVENT_STREAM_SUSPECTED_RST_INJECT));
		bench_ack(b, TO_CLIENT, 0, 6);
		assert_int_equal(state_of(b), TCP_ESTABLISHED);
		assert_got(b, TO_SERVER, "attack");
		bench_free(b);
	}
}

static void tuple_is_used_anew_after_its_end(void **state)
{
	(void)state;
	struct bench *b = bench_new(true);
	bench_handshake(b);
	uint64_t first = b->pkt.flow->id;
	bench_raw(b, TO_SERVER, SYN, 77777, 0, NULL, 0);
	assert_int_equal(b->pkt.flow->id, first); /* not while it lives */
	assert_true(bench_has(b, EVENT_STREAM_EST_SYN_RESEND_DIFF_SEQ));
	bench_send(b, TO_SERVER, RST, 0, 0, NULL, 0);
	bench_raw(b, TO_SERVER, SYN, 77777, 0, NULL, 0);
	assert_int_not_equal(b->pkt.flow->id, first);
	assert_int_equal(b->ended, 1);
	assert_int_equal(state_of(b), TCP_SYN_SENT);
	assert_int_equal(b->pkt.flow->packets[TO_SERVER], 1);
	bench_free(b);
}

/* --- without handshake, one side, urgent data ---------------------------------------------------------------------------- */

static void midstream_only_when_wanted(void **state)
{
	(void)state;
	for (int wanted = 0; wanted < 2; wanted++) {
		struct bench *b = bench_prepare(false);
		b->config.midstream = wanted;
		bench_open(b);
		bench_text(b, TO_SERVER, 0, 0, "GET /");
		assert_int_equal(state_of(b), wanted ? TCP_ESTABLISHED : TCP_NONE);
		bench_text(b, TO_CLIENT, 0, 5, "200 OK");
		bench_ack(b, TO_SERVER, 5, 6);
		assert_int_equal(b->got_len[TO_SERVER], wanted ? 5 : 0);
		assert_int_equal(b->got_len[TO_CLIENT], wanted ? 6 : 0);
		bench_free(b);
	}
}

static void midstream_answer_turns_the_flow_round(void **state)
{
	(void)state;
	struct bench *b = bench_prepare(true);
	b->config.midstream = true;
	bench_open(b);
	bench_text(b, TO_CLIENT, 0, 0, "200 OK"); /* from port 80 to a high one */
	assert_int_equal(b->pkt.dir, TO_CLIENT);
	assert_true(b->pkt.flow->flags & FLOW_SWAPPED);
	assert_true(b->pkt.flow->flags & FLOW_MIDSTREAM);
	assert_int_equal(b->pkt.flow->packets[TO_CLIENT], 1);
	assert_int_equal(b->pkt.flow->packets[TO_SERVER], 0);
	assert_got(b, TO_CLIENT, "200 OK");
	bench_text(b, TO_SERVER, 0, 6, "GET");
	assert_int_equal(b->pkt.dir, TO_SERVER);
	assert_got(b, TO_SERVER, "GET");
	bench_free(b);
}

static void midstream_policy_drops_the_flow(void **state)
{
	(void)state;
	struct bench *b = bench_prepare(true);
	b->config.midstream_policy = EXCEPTION_DROP_FLOW;
	bench_open(b);
	bench_text(b, TO_SERVER, 0, 0, "GET /");
	assert_int_equal(b->pkt.drop_reason, DROP_STREAM_MIDSTREAM);
	assert_true(b->pkt.flow->flags & FLOW_DROP);
	bench_free(b);
}

static void one_side_is_followed_when_wanted(void **state)
{
	(void)state;
	struct bench *b = bench_prepare(false);
	b->config.async_oneside = true;
	bench_open(b);
	bench_raw(b, TO_SERVER, SYN, 1000, 0, NULL, 0);
	bench_ack(b, TO_SERVER, 0, 0);
	assert_int_equal(state_of(b), TCP_ESTABLISHED);
	bench_text(b, TO_SERVER, 0, 0, "GET /");
	bench_text(b, TO_SERVER, 5, 300, " HTTP");
	assert_got(b, TO_SERVER, "GET / HTTP");
	bench_free(b);
}

static void packets_without_session_are_events(void **state)
{
	(void)state;
	struct bench *b = bench_new(false);
	bench_send(b, TO_SERVER, RST, 0, 0, NULL, 0);
	assert_true(bench_has(b, EVENT_STREAM_RST_BUT_NO_SESSION));
	bench_send(b, TO_SERVER, FIN | ACK, 0, 0, NULL, 0);
	assert_true(bench_has(b, EVENT_STREAM_FIN_BUT_NO_SESSION));
	bench_free(b);
}

static void urgent_byte_is_not_part_of_the_stream(void **state)
{
	(void)state;
	struct bench *b = bench_new(false);
	bench_handshake(b);
	bench_text(b, TO_SERVER, 0, 0, "abc");
	b->urgent = 3;
	bench_send(b, TO_SERVER, ACK | URG, 3, 0, "deX", 3);
	bench_text(b, TO_SERVER, 6, 0, "fg");
	b->urgent = 1;
	bench_send(b, TO_SERVER, ACK | URG, 8, 0, "Y", 1);
	bench_text(b, TO_SERVER, 9, 0, "h");
	bench_ack(b, TO_CLIENT, 0, 10);
	assert_got(b, TO_SERVER, "abcdefgh");
	assert_int_equal(b->gap[TO_SERVER], 0);
	bench_free(b);
}

static void urgent_byte_out_of_order_is_removed_too(void **state)
{
	(void)state;
	struct bench *b = bench_new(false);
	bench_handshake(b);
	bench_text(b, TO_SERVER, 6, 0, "fg");
	b->urgent = 3;
	bench_send(b, TO_SERVER, ACK | URG, 3, 0, "deX", 3);
	bench_text(b, TO_SERVER, 0, 0, "abc");
	bench_ack(b, TO_CLIENT, 0, 8);
	assert_got(b, TO_SERVER, "abcdefg");
	bench_free(b);
}

static void inline_urgency_is_taken_away(void **state)
{
	(void)state;
	struct bench *b = bench_new(true);
	bench_handshake(b);
	b->urgent = 3;
	bench_send(b, TO_SERVER, ACK | URG, 0, 0, "abX", 3);
	assert_int_equal(b->pkt.verdict, VERDICT_REPLACE);
	assert_int_equal(b->pkt.l4[13] & URG, 0);
	assert_int_equal(load_be16(b->pkt.l4 + 18), 0);
	assert_got(b, TO_SERVER, "abX");
	bench_free(b);
}

static void urgent_policy_may_drop(void **state)
{
	(void)state;
	struct bench *b = bench_prepare(true);
	b->config.urgent_policy = STREAM_URGENT_DROP;
	bench_open(b);
	bench_handshake(b);
	b->urgent = 3;
	bench_send(b, TO_SERVER, ACK | URG, 0, 0, "abX", 3);
	assert_int_equal(b->pkt.drop_reason, DROP_STREAM_URGENT);
	assert_int_equal(b->got_len[TO_SERVER], 0);
	bench_free(b);
}

static void disabled_readers_keep_nothing(void **state)
{
	(void)state;
	struct bench *b = bench_prepare(true);
	b->config.segment_memory_bytes = 64u << 10;
	b->config.depth_bytes = 0;
	bench_open(b);
	bench_handshake(b);
	stream_app_disable(b->engine, b->pkt.flow, TO_SERVER);
	stream_raw_disable(b->engine, b->pkt.flow, TO_SERVER);
	static uint8_t piece[1400];
	for (uint32_t i = 0; i < 200; i++) {
		bench_send(b, TO_SERVER, ACK, i * sizeof(piece), 0, piece, sizeof(piece));
		bench_ack(b, TO_CLIENT, 0, (i + 1) * sizeof(piece));
		assert_int_equal(b->pkt.verdict, VERDICT_FORWARD);
	}
	assert_int_equal(b->counters.value[COUNTER_TCP_SEGMENT_MEMCAP_DROP], 0);
	assert_int_equal(stream_size(b->pkt.flow, TO_SERVER), 200 * sizeof(piece) + 1);
	bench_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_beyond_the_window_is_refused),
		cmocka_unit_test(windows_scale),
		cmocka_unit_test(ack_of_data_that_was_not_allowed_is_refused),
		cmocka_unit_test(old_timestamps_are_refused),
		cmocka_unit_test(timestamps_wrap),
		cmocka_unit_test(bad_checksum_is_not_part_of_the_stream),
		cmocka_unit_test(keep_alive_changes_nothing),
		cmocka_unit_test(acknowledged_data_again_is_let_through),
		cmocka_unit_test(client_closes_first),
		cmocka_unit_test(server_closes_first),
		cmocka_unit_test(half_closed_side_still_receives),
		cmocka_unit_test(session_with_a_hole_is_not_over),
		cmocka_unit_test(fin_opens_the_window_as_any_ack),
		cmocka_unit_test(late_segment_with_an_older_timestamp_fills_its_hole),
		cmocka_unit_test(reset_must_be_exact),
		cmocka_unit_test(reset_behind_a_hole_must_match_the_hole),
		cmocka_unit_test(data_of_a_reset_is_an_event),
		cmocka_unit_test(reset_before_the_answer_may_be_forged),
		cmocka_unit_test(a_signed_reset_may_be_ignored),
		cmocka_unit_test(tuple_is_used_anew_after_its_end),
		cmocka_unit_test(midstream_only_when_wanted),
		cmocka_unit_test(midstream_answer_turns_the_flow_round),
		cmocka_unit_test(midstream_policy_drops_the_flow),
		cmocka_unit_test(one_side_is_followed_when_wanted),
		cmocka_unit_test(packets_without_session_are_events),
		cmocka_unit_test(urgent_byte_is_not_part_of_the_stream),
		cmocka_unit_test(urgent_byte_out_of_order_is_removed_too),
		cmocka_unit_test(inline_urgency_is_taken_away),
		cmocka_unit_test(urgent_policy_may_drop),
		cmocka_unit_test(disabled_readers_keep_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
