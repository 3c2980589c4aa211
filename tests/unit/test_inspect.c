/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules against packets made by hand: what matches, in which order, how often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "matcher.h"

static struct counters counters;
static struct sigs_ruleset *ruleset;
static struct sigs_matcher *matcher;
static struct flow flow;
static const struct sigs_result *result;

static struct sigs_ruleset *compile(const char *rules)
{
	struct sigs_env env = {0};
	struct sigs_options options;
	struct sigs_builder *builder = sigs_builder_new(&env);
	assert_int_equal(sigs_add_rules(builder, "test.rules", rules, strlen(rules)), 0);
	assert_int_equal(sigs_builder_counts(builder).failed, 0);
	sigs_options_defaults(&options, false);
	struct sigs_ruleset *made = sigs_compile(builder, &options);
	sigs_builder_free(builder);
	assert_non_null(made);
	return made;
}

static void load(const char *rules)
{
	ruleset = compile(rules);
	matcher = sigs_matcher_new(ruleset, NULL, NULL, &counters);
	assert_non_null(matcher);
	flow = (struct flow){.id = 1};
}

static void unload(void)
{
	sigs_flow_free(matcher, &flow);
	sigs_matcher_free(matcher);
	sigs_ruleset_free(ruleset);
}

static struct packet datagram(const char *payload, enum direction dir)
{
	struct packet pkt = {.family = 4,
			     .proto = 17,
			     .ttl = 64,
			     .sport = dir == TO_SERVER ? 4000 : 53,
			     .dport = dir == TO_SERVER ? 53 : 4000,
			     .l3 = (const uint8_t *)payload,
			     .l4 = (const uint8_t *)payload,
			     .payload = (const uint8_t *)payload,
			     .payload_len = (uint16_t)strlen(payload),
			     .ts_ns = 1000000000ull,
			     .flow = &flow,
			     .dir = dir,
			     .flags = PACKET_ESTABLISHED};
	pkt.src.bytes[0] = dir == TO_SERVER ? 10 : 192;
	pkt.dst.bytes[0] = dir == TO_SERVER ? 192 : 10;
	return pkt;
}

static unsigned judge(const char *payload, enum direction dir)
{
	struct packet pkt = datagram(payload, dir);
	result = sigs_inspect(matcher, &pkt);
	return result->count;
}

static void assert_sids(unsigned count, ...)
{
	va_list sids;
	assert_int_equal(result->count, count);
	va_start(sids, count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(result->matches[i].info->sid, va_arg(sids, unsigned));
	va_end(sids);
}

static void literal_alone_is_not_enough(void **state)
{
	(void)state;
	load("alert udp any any -> any 53 (content:\"needle\"; offset:4; content:\"thread\"; distance:1; sid:1;)");
	judge("the needle, the thread", TO_SERVER);
	assert_sids(1, 1);
	judge("needle and thread", TO_SERVER);
	assert_sids(0);
	judge("the needle, the thread", TO_CLIENT); /* to another port */
	assert_sids(0);
	unload();
}

static void ports_and_addresses_bind(void **state)
{
	(void)state;
	load("alert udp 10.0.0.0/8 any -> any [50:60,!55] (content:\"x\"; sid:1;)\n"
	     "alert udp !10.0.0.0/8 any -> any any (content:\"x\"; sid:2;)\n"
	     "alert udp any 53 <> any any (content:\"x\"; sid:3;)\n");
	judge("x", TO_SERVER);
	assert_sids(2, 1, 3);
	judge("x", TO_CLIENT);
	assert_sids(2, 2, 3);
	unload();
}

static void setter_comes_before_reader(void **state)
{
	(void)state;
	load("alert udp any any -> any any (content:\"x\"; flowbits:isset,seen; sid:1;)\n"
	     "alert udp any any -> any any (content:\"x\"; content:\"set\"; flowbits:set,seen; flowbits:noalert; "
	     "sid:2;)\n"
	     "alert udp any any -> any any (content:\"clear\"; flowbits:unset,seen; sid:3;)\n");
	judge("x", TO_SERVER);
	assert_sids(0);
	judge("x set", TO_SERVER); /* sets, then reads, in one packet */
	assert_sids(1, 1);
	judge("x", TO_CLIENT); /* the flow's, not the direction's */
	assert_sids(1, 1);
	judge("clear", TO_SERVER);
	judge("x", TO_SERVER);
	assert_sids(0);
	unload();
}

static void bits_outlive_a_change_of_rules(void **state)
{
	(void)state;
	load("alert udp any any -> any any (content:\"one\"; flowbits:set,seen; sid:1;)\n");
	judge("one", TO_SERVER);
	struct sigs_ruleset *next =
		compile("alert udp any any -> any any (content:\"a\"; flowbits:isset,other; sid:1;)\n"
			"alert udp any any -> any any (content:\"a\"; flowbits:isset,seen; sid:2;)\n");
	struct sigs_change *change = sigs_change_new(next, NULL, false);
	assert_non_null(change);
	sigs_matcher_swap(matcher, change);
	sigs_change_free(change);
	sigs_ruleset_free(ruleset);
	ruleset = next;
	judge("a", TO_SERVER);
	assert_sids(1, 2);
	unload();
}

static void pass_ends_the_list(void **state)
{
	(void)state;
	load("alert udp any any -> any any (content:\"bad\"; sid:1;)\n"
	     "drop udp any any -> any any (content:\"bad\"; content:\"worse\"; sid:2;)\n"
	     "pass udp any any -> any any (content:\"known\"; sid:3;)\n");
	judge("bad, known", TO_SERVER);
	assert_true(result->pass);
	assert_sids(1, 3);
	assert_true(result->matches[0].filtered);
	judge("bad, worse", TO_SERVER);
	assert_false(result->pass);
	assert_sids(2, 2, 1);
	unload();
}

static void alerts_have_a_limit_but_drops_act(void **state)
{
	(void)state;
	static char rules[4096];
	size_t used = 0;
	for (unsigned i = 1; i <= 20; i++)
		used += (size_t)snprintf(rules + used, sizeof(rules) - used,
					 "alert udp any any -> any any (content:\"x\"; priority:1; sid:%u;)\n", i);
	load(rules);
	judge("x", TO_SERVER);
	assert_int_equal(result->count, 15);
	assert_int_equal(result->overflow, 5);
	unload();
}

static void addresses_alone_match_once_a_direction(void **state)
{
	(void)state;
	load("alert ip [10.0.0.0/8,203.0.113.7] any -> any any (sid:1;)\n"
	     "alert ip any any -> 10.0.0.0/8 any (sid:2;)\n");
	judge("a", TO_SERVER);
	assert_sids(1, 1);
	judge("b", TO_SERVER);
	assert_sids(0);
	judge("c", TO_CLIENT);
	assert_sids(1, 2);
	unload();
}

static void packets_facts_are_tested_every_time(void **state)
{
	(void)state;
	load("alert udp any any -> any any (dsize:3; sid:1;)\n"
	     "alert udp any any -> any any (ttl:<64; sid:2;)\n"
	     "alert udp any any -> any any (content:!\"a\"; dsize:>0; sid:3;)\n");
	judge("aaa", TO_SERVER);
	assert_sids(1, 1);
	judge("bbb", TO_SERVER);
	assert_sids(2, 1, 3);
	judge("aaaa", TO_SERVER);
	assert_sids(0);
	unload();
}

static void thresholds_count(void **state)
{
	(void)state;
	load("alert udp any any -> any any (content:\"x\"; threshold:type limit,track by_src,count 2,seconds 60; "
	     "sid:1;)\n"
	     "drop udp any any -> any any (content:\"x\"; threshold:type limit,track by_src,count 1,seconds 60; "
	     "sid:2;)\n");
	judge("x", TO_SERVER);
	assert_sids(2, 2, 1);
	judge("x", TO_SERVER);
	assert_sids(2, 2, 1);
	assert_true(result->matches[0].filtered); /* dropped in silence */
	judge("x", TO_SERVER);
	assert_sids(1, 2);
	unload();
}

static void tags_mark_what_follows(void **state)
{
	(void)state;
	load("alert udp any any -> any any (content:\"start\"; tag:session,3,packets; sid:1;)\n");
	judge("a", TO_SERVER);
	assert_false(result->tagged);
	judge("start", TO_SERVER);
	assert_false(result->tagged); /* it has its alert */
	judge("b", TO_CLIENT);
	assert_true(result->tagged);
	judge("c", TO_SERVER);
	assert_true(result->tagged);
	judge("d", TO_SERVER);
	assert_false(result->tagged);
	unload();
}

static void captures_reach_other_signatures(void **state)
{
	(void)state;
	load("alert udp any any -> any any (content:\"user \"; pcre:\"/user (?P<flow_name>[a-z]+)/\"; sid:1;)\n"
	     "alert udp any any -> any any (content:\"again\"; flowvar:name,\"mallory\"; sid:2;)\n");
	judge("again", TO_SERVER);
	assert_sids(0);
	judge("user mallory;", TO_SERVER);
	judge("again", TO_SERVER);
	assert_sids(1, 2);
	judge("user alice;", TO_SERVER);
	judge("again", TO_SERVER);
	assert_sids(0);
	unload();
}

static void expression_that_never_ends_is_given_up(void **state)
{
	(void)state;
	load("alert udp any any -> any any (content:\"a\"; pcre:\"/(a+)+$/\"; sid:1;)\n");
	judge("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", TO_SERVER);
	assert_sids(0);
	judge("aaa", TO_SERVER);
	assert_sids(1, 1);
	unload();
}

/* Repetitions of one content, and none of what must follow: one search of the rest tells, not one behind each. */
static void what_is_nowhere_is_sought_once(void **state)
{
	(void)state;
	char payload[1200] = "needle";
	memset(payload + 6, 'a', sizeof(payload) - 7);
	load("alert udp any any -> any any (content:\"needle\"; fast_pattern; content:\"a\"; distance:0; "
	     "content:\"xy\"; distance:0; sid:1;)");
	uint32_t all = ruleset->options.inspection_limit;
	judge(payload, TO_SERVER);
	assert_sids(0);
	assert_true(all - matcher->steps < 10);
	/* but where something bounds it, a later try may have it in reach */
	unload();
	load("alert udp any any -> any any (content:\"needle\"; fast_pattern; content:\"a\"; distance:0; "
	     "content:\"xy\"; within:2; sid:1;)");
	memcpy(payload + 500, "xy", 2);
	judge(payload, TO_SERVER);
	assert_sids(1, 1);
	unload();
}

static void flow_state_is_bounded(void **state)
{
	(void)state;
	static char rules[64000];
	size_t used = 0;
	for (unsigned i = 0; i < 400; i++)
		used += (size_t)snprintf(
			rules + used, sizeof(rules) - used,
			"alert udp any any -> any any (content:\"x\"; flowbits:set,bit%u; noalert; sid:%u;)\n", i,
			i + 1);
	load(rules);
	judge("x", TO_SERVER);
	const struct sig_flow *kept = flow.slot[FLOW_SLOT_SIGS];
	assert_int_equal(kept->bit_count, FLOW_BITS_MAX);
	unload();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(literal_alone_is_not_enough),
		cmocka_unit_test(ports_and_addresses_bind),
		cmocka_unit_test(setter_comes_before_reader),
		cmocka_unit_test(bits_outlive_a_change_of_rules),
		cmocka_unit_test(pass_ends_the_list),
		cmocka_unit_test(alerts_have_a_limit_but_drops_act),
		cmocka_unit_test(addresses_alone_match_once_a_direction),
		cmocka_unit_test(packets_facts_are_tested_every_time),
		cmocka_unit_test(thresholds_count),
		cmocka_unit_test(tags_mark_what_follows),
		cmocka_unit_test(captures_reach_other_signatures),
		cmocka_unit_test(expression_that_never_ends_is_given_up),
		cmocka_unit_test(what_is_nowhere_is_sought_once),
		cmocka_unit_test(flow_state_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
