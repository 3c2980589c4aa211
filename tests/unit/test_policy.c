/* SPDX-License-Identifier: BSD-3-Clause */
/* What matches and exception policies lead to, and the answers of reject rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <dataplane/decode.h>
#include <dataplane/flow.h>

#include "policy.h"

static struct flow flow;
static struct packet pkt;
static struct judgement judgement;
static struct sigs_result result;

static int set_up(void **state)
{
	(void)state;
	memset(&flow, 0, sizeof(flow));
	memset(&pkt, 0, sizeof(pkt));
	memset(&result, 0, sizeof(result));
	judgement = (struct judgement){.inline_mode = true};
	pkt.root = &pkt;
	pkt.flow = &flow;
	return 0;
}

static struct sigs_match *match(enum sigs_action action, bool whole_flow)
{
	struct sigs_match *m = &result.matches[result.count++];
	*m = (struct sigs_match){.action = action, .whole_flow = whole_flow};
	return m;
}

static void an_alert_changes_nothing(void **state)
{
	(void)state;
	match(SIGS_ALERT, false);
	policy_apply_matches(&pkt, &result, &judgement);
	assert_int_equal(pkt.verdict, VERDICT_FORWARD);
	assert_int_equal(flow.flags, FLOW_ALERTED);
}

static void a_drop_takes_the_packet_and_where_it_says_so_the_flow(void **state)
{
	(void)state;
	match(SIGS_DROP, false);
	policy_apply_matches(&pkt, &result, &judgement);
	assert_int_equal(pkt.verdict, VERDICT_DROP);
	assert_int_equal(pkt.drop_reason, DROP_RULES);
	assert_false(flow.flags & FLOW_DROP);
	result.matches[0].whole_flow = true;
	policy_apply_matches(&pkt, &result, &judgement);
	assert_true(flow.flags & FLOW_DROP);
	assert_ptr_equal(judgement.drop, &result.matches[0]);
}

static void a_rate_filter_s_drop_names_it(void **state)
{
	(void)state;
	match(SIGS_DROP, true)->rate_filtered = true;
	policy_apply_matches(&pkt, &result, &judgement);
	assert_int_equal(pkt.drop_reason, DROP_DETECTION_FILTER);
}

static void a_filtered_drop_acts_without_an_alert(void **state)
{
	(void)state;
	match(SIGS_DROP, true)->filtered = true;
	policy_apply_matches(&pkt, &result, &judgement);
	assert_int_equal(pkt.verdict, VERDICT_DROP);
	assert_false(flow.flags & FLOW_ALERTED);
}

static void the_first_word_on_a_flow_is_kept(void **state)
{
	(void)state;
	match(SIGS_DROP, true);
	result.pass_flow = true;
	policy_apply_matches(&pkt, &result, &judgement);
	assert_int_equal(flow.flags & (FLOW_DROP | FLOW_PASS), FLOW_DROP);
}

static void a_passive_sensor_rejects_but_goes_on_looking(void **state)
{
	(void)state;
	judgement.inline_mode = false;
	assert_true(policy_apply_exception(&pkt, EXCEPTION_REJECT, DROP_APPLAYER, &judgement));
	assert_int_equal(judgement.reject, REJECT_SOURCE);
	assert_int_equal(pkt.verdict, VERDICT_FORWARD);
}

static void exception_policies_do_what_they_say(void **state)
{
	(void)state;
	assert_true(policy_apply_exception(&pkt, EXCEPTION_IGNORE, DROP_APPLAYER, &judgement));
	assert_false(policy_apply_exception(&pkt, EXCEPTION_PASS_PACKET, DROP_APPLAYER, &judgement));
	assert_int_equal(flow.flags, 0);
	assert_false(policy_apply_exception(&pkt, EXCEPTION_BYPASS, DROP_APPLAYER, &judgement));
	assert_int_equal(flow.flags, FLOW_BYPASS | FLOW_PASS);
	flow.flags = 0;
	assert_false(policy_apply_exception(&pkt, EXCEPTION_DROP_FLOW, DROP_APPLAYER, &judgement));
	assert_int_equal(flow.flags, FLOW_DROP);
	assert_int_equal(pkt.drop_reason, DROP_APPLAYER);
	assert_true(pkt.flags & PACKET_NO_INSPECT);
}

/* --- answers ---------------------------------------------------------------------------------------------------------- */

static uint8_t tcp_frame[] = {
	2,    0,    0, 0,  0, 2, 2, 0, 0,  0, 0, 1, 0x08, 0x00,					     /* Ethernet */
	0x45, 0,    0, 43, 0, 1, 0, 0, 64, 6, 0, 0, 10,	  0,	0, 1, 192, 168, 0, 9,		     /* IPv4 */
	0x30, 0x39, 0, 80, 0, 0, 1, 0, 0,  0, 2, 0, 0x50, 0x18, 1, 0, 0,   0,	0, 0, 'a', 'b', 'c', /* TCP */
};

/* Decoded for real, so that the answer is built from what the decoder sets. */
static void decode(uint8_t *frame, uint32_t len)
{
	struct decode_config config;
	struct counters counters = {0};
	decode_config_defaults(&config);
	config.check_checksums = false;
	struct decoder *decoder = decoder_new(&config, &counters);
	assert_non_null(decoder);
	memset(&pkt, 0, sizeof(pkt));
	pkt.data = frame;
	pkt.len = pkt.wire_len = len;
	pkt.link_type = 1;
	decode_frame(decoder, &pkt);
	decoder_free(decoder);
}

static uint16_t tcp_sum(const uint8_t *ip, size_t len)
{
	uint8_t pseudo[4] = {0, ip[9], (uint8_t)(len >> 8), (uint8_t)len};
	uint32_t sum = checksum_add(0, ip + 12, 8);
	sum = checksum_add(sum, pseudo, 4);
	return checksum_fold(checksum_add(sum, ip + 20, len));
}

static void a_reset_to_the_sender_acknowledges_its_segment(void **state)
{
	(void)state;
	uint8_t frame[REJECT_FRAME_MAX];
	decode(tcp_frame, sizeof(tcp_frame));
	size_t len = reject_build(&pkt, true, frame);
	assert_int_equal(len, 14 + 20 + 20);
	assert_memory_equal(frame, tcp_frame + 6, 6);
	assert_memory_equal(frame + 6, tcp_frame, 6);
	const uint8_t *ip = frame + 14, *tcp = ip + 20;
	assert_memory_equal(ip + 12, tcp_frame + 30, 4);
	assert_memory_equal(ip + 16, tcp_frame + 26, 4);
	assert_int_equal(load_be16(tcp), 80);
	assert_int_equal(load_be16(tcp + 2), 12345);
	assert_int_equal(load_be32(tcp + 4), 0x200);
	assert_int_equal(load_be32(tcp + 8), 0x103);
	assert_int_equal(tcp[13], 0x14);
	/* a right checksum adds up to zero */
	assert_int_equal(checksum_fold(checksum_add(0, ip, 20)), 0);
	assert_int_equal(tcp_sum(ip, 20), 0);
}

static void a_reset_to_the_receiver_takes_the_sender_s_place(void **state)
{
	(void)state;
	uint8_t frame[REJECT_FRAME_MAX];
	decode(tcp_frame, sizeof(tcp_frame));
	assert_int_equal(reject_build(&pkt, false, frame), 54);
	assert_memory_equal(frame, tcp_frame, 12);
	assert_memory_equal(frame + 26, tcp_frame + 26, 8);
	assert_int_equal(load_be32(frame + 38), 0x100);
}

static void a_reset_is_never_answered(void **state)
{
	(void)state;
	uint8_t frame[REJECT_FRAME_MAX], reset[sizeof(tcp_frame)];
	memcpy(reset, tcp_frame, sizeof(reset));
	reset[47] = 0x14;
	decode(reset, sizeof(reset));
	assert_int_equal(reject_build(&pkt, true, frame), 0);
}

static void udp_is_answered_by_icmp_that_quotes_it(void **state)
{
	(void)state;
	uint8_t frame[REJECT_FRAME_MAX];
	uint8_t udp[] = {2,  0,	 0, 0, 0,  2, 2, 0, 0,	 0,   0, 1, 0x08, 0x00, 0x45, 0,  0, 30, 0, 1, 0,   0,
			 64, 17, 0, 0, 10, 0, 0, 1, 192, 168, 0, 9, 0x30, 0x39, 0,    53, 0, 10, 0, 0, 'h', 'i'};
	decode(udp, sizeof(udp));
	size_t len = reject_build(&pkt, true, frame);
	assert_int_equal(len, 14 + 20 + 8 + 30);
	assert_int_equal(frame[23], 1);
	assert_int_equal(frame[34], 3);
	assert_int_equal(frame[35], 13);
	assert_memory_equal(frame + 42, udp + 14, 30);
	assert_int_equal(checksum_fold(checksum_add(0, frame + 34, 38)), 0);
}

#define TEST(f) cmocka_unit_test_setup(f, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_alert_changes_nothing),
		TEST(a_drop_takes_the_packet_and_where_it_says_so_the_flow),
		TEST(a_rate_filter_s_drop_names_it),
		TEST(a_filtered_drop_acts_without_an_alert),
		TEST(the_first_word_on_a_flow_is_kept),
		TEST(a_passive_sensor_rejects_but_goes_on_looking),
		TEST(exception_policies_do_what_they_say),
		TEST(a_reset_to_the_sender_acknowledges_its_segment),
		TEST(a_reset_to_the_receiver_takes_the_sender_s_place),
		TEST(a_reset_is_never_answered),
		TEST(udp_is_answered_by_icmp_that_quotes_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
