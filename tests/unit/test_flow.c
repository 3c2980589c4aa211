/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dataplane/flow.h>

#define SECOND_NS 1000000000ull

struct ends {
	unsigned count[FLOW_END_SHUTDOWN + 1];
};

static struct counters counters;
static struct ends ends;
static const uint8_t layer4[64];

static void on_end(void *user, struct flow *flow, enum flow_end why)
{
	struct ends *e = user;
	assert_true(flow->flags & FLOW_ENDING);
	e->count[why]++;
}

static struct flow_table *table_new(struct flow_config *config)
{
	memset(&counters, 0, sizeof(counters));
	memset(&ends, 0, sizeof(ends));
	struct flow_table *table = flow_table_new(config, &counters, on_end, &ends);
	assert_non_null(table);
	return table;
}

static struct flow_table *table_default(void)
{
	struct flow_config config;
	flow_config_defaults(&config);
	config.memory_bytes = 4u << 20;
	return table_new(&config);
}

static struct packet packet_of(uint8_t proto, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport, uint64_t at_s)
{
	struct packet pkt = {.family = 4,
			     .proto = proto,
			     .l4 = layer4,
			     .sport = sport,
			     .dport = dport,
			     .len = 100,
			     .wire_len = 100,
			     .ttl = 64,
			     .ts_ns = at_s * SECOND_NS};
	pkt.src.u32[0] = src;
	pkt.dst.u32[0] = dst;
	return pkt;
}

static struct flow *find(struct flow_table *table, struct packet *pkt)
{
	bool full;
	struct flow *flow = flow_lookup(table, pkt, &full);
	assert_false(full);
	return flow;
}

static void both_directions_are_one_flow(void **state)
{
	(void)state;
	struct flow_table *table = table_default();
	struct packet a = packet_of(17, 1, 1111, 2, 53, 100), b = packet_of(17, 2, 53, 1, 1111, 101);
	struct flow *flow = find(table, &a);
	assert_non_null(flow);
	assert_int_equal(a.dir, TO_SERVER);
	assert_true(a.flags & PACKET_FLOW_FIRST);
	assert_true(a.flags & PACKET_FIRST_TO_SERVER);
	assert_false(a.flags & PACKET_ESTABLISHED);
	assert_ptr_equal(find(table, &b), flow);
	assert_int_equal(b.dir, TO_CLIENT);
	assert_false(b.flags & PACKET_FLOW_FIRST);
	assert_true(b.flags & PACKET_FIRST_TO_CLIENT);
	assert_true(b.flags & PACKET_ESTABLISHED);
	assert_int_equal(flow->state, FLOW_ESTABLISHED);
	assert_int_equal(flow->packets[0], 1);
	assert_int_equal(flow->bytes[1], 100);
	flow_table_free(table);
	assert_int_equal(ends.count[FLOW_END_SHUTDOWN], 1);
	assert_int_equal(counters.value[COUNTER_FLOW_ACTIVE], 0);
}

static void same_address_on_both_sides(void **state)
{
	(void)state;
	struct flow_table *table = table_default();
	struct packet a = packet_of(6, 1, 1111, 1, 80, 100), b = packet_of(6, 1, 80, 1, 1111, 100);
	struct packet same = packet_of(6, 1, 80, 1, 80, 100);
	struct flow *flow = find(table, &a);
	assert_ptr_equal(find(table, &b), flow);
	assert_int_equal(b.dir, TO_CLIENT);
	assert_ptr_not_equal(find(table, &same), flow);
	assert_int_equal(same.dir, TO_SERVER);
	flow_table_free(table);
}

static void vlans_tell_flows_apart(void **state)
{
	(void)state;
	struct packet a = packet_of(17, 1, 1, 2, 2, 100), b = a;
	b.vlan[0] = 7;
	b.vlan_count = 1;
	struct flow_table *table = table_default();
	assert_ptr_not_equal(find(table, &a), find(table, &b));
	flow_table_free(table);
	struct flow_config config;
	flow_config_defaults(&config);
	config.vlan_in_key = false;
	table = table_new(&config);
	struct packet c = packet_of(17, 1, 1, 2, 2, 100), d = c;
	d.vlan[0] = 7;
	d.vlan_count = 1;
	assert_ptr_equal(find(table, &c), find(table, &d));
	flow_table_free(table);
}

static void echo_and_reply_by_id(void **state)
{
	(void)state;
	struct flow_table *table = table_default();
	struct packet ask = packet_of(1, 1, 0, 2, 0, 100), answer = packet_of(1, 2, 0, 1, 0, 100);
	ask.icmp = (struct packet_icmp){.type = 8, .id = 77, .has_id = true};
	answer.icmp = (struct packet_icmp){.type = 0, .id = 77, .has_id = true};
	struct packet other = ask;
	other.icmp.id = 78;
	struct flow *flow = find(table, &ask);
	assert_ptr_equal(find(table, &answer), flow);
	assert_int_equal(answer.dir, TO_CLIENT);
	assert_int_equal(flow->icmp_type[0], 8);
	assert_int_equal(flow->icmp_type[1], 0);
	assert_ptr_not_equal(find(table, &other), flow);
	flow_table_free(table);
}

static void icmp_error_belongs_to_what_it_quotes(void **state)
{
	(void)state;
	struct flow_table *table = table_default();
	struct packet udp = packet_of(17, 1, 1111, 2, 53, 100), error = packet_of(1, 9, 0, 1, 0, 100);
	error.flags = PACKET_ICMP_ERROR;
	error.icmp.type = 3;
	error.quoted = (struct packet_quoted){.src = udp.src, .dst = udp.dst, .sport = 1111, .dport = 53, .proto = 17};
	assert_null(find(table, &error)); /* not yet */
	struct flow *flow = find(table, &udp);
	assert_ptr_equal(find(table, &error), flow);
	assert_int_equal(error.dir, TO_CLIENT);
	assert_int_equal(flow->packets[TO_CLIENT], 1);
	assert_false(flow->flags & FLOW_SEEN_TO_CLIENT); /* the server itself has not answered */
	assert_int_equal(flow->state, FLOW_NEW);
	flow_table_free(table);
}

static void what_has_no_flow(void **state)
{
	(void)state;
	struct flow_table *table = table_default();
	struct packet arp = {.ts_ns = 1}, fragment = packet_of(17, 1, 1, 2, 2, 1), invalid = fragment,
		      cut = packet_of(6, 1, 1, 2, 2, 1), gre = packet_of(47, 1, 0, 2, 0, 1),
		      esp = packet_of(50, 1, 0, 2, 0, 1);
	fragment.flags = PACKET_FRAGMENT;
	invalid.flags = PACKET_INVALID;
	cut.l4 = NULL;
	gre.l4 = esp.l4 = NULL;
	assert_null(find(table, &arp));
	assert_null(find(table, &fragment));
	assert_null(find(table, &invalid));
	assert_null(find(table, &cut));
	assert_null(find(table, &gre)); /* no exchange of its own: what it carries has flows */
	assert_non_null(find(table, &esp));
	flow_table_free(table);
}

static void idle_flows_end_by_state(void **state)
{
	(void)state;
	struct flow_table *table = table_default();
	struct packet lone = packet_of(17, 1, 1, 2, 2, 100), ask = packet_of(17, 3, 1, 4, 2, 100),
		      answer = packet_of(17, 4, 2, 3, 1, 100);
	find(table, &lone);
	find(table, &ask);
	find(table, &answer);
	flow_expire(table, 130 * SECOND_NS, 100);
	assert_int_equal(ends.count[FLOW_END_TIMEOUT], 0);
	flow_expire(table, 131 * SECOND_NS, 100);
	assert_int_equal(ends.count[FLOW_END_TIMEOUT], 1);
	flow_expire(table, 400 * SECOND_NS, 100);
	assert_int_equal(ends.count[FLOW_END_TIMEOUT], 1);
	flow_expire(table, 401 * SECOND_NS, 100);
	assert_int_equal(ends.count[FLOW_END_TIMEOUT], 2);
	assert_int_equal(counters.value[COUNTER_FLOW_TIMED_OUT], 2);
	flow_table_free(table);
}

static void expiry_keeps_to_its_budget(void **state)
{
	(void)state;
	struct flow_table *table = table_default();
	for (uint16_t i = 0; i < 100; i++) {
		struct packet pkt = packet_of(17, 1, i, 2, 2, 100);
		find(table, &pkt);
	}
	flow_expire(table, 1000 * SECOND_NS, 30);
	assert_int_equal(ends.count[FLOW_END_TIMEOUT], 30);
	flow_expire(table, 1000 * SECOND_NS, 1000);
	assert_int_equal(ends.count[FLOW_END_TIMEOUT], 100);
	flow_table_free(table);
}

static void a_packet_after_the_timeout_begins_a_new_flow(void **state)
{
	(void)state;
	struct flow_table *table = table_default();
	struct packet a = packet_of(17, 1, 1, 2, 2, 100), b = packet_of(17, 2, 2, 1, 1, 200);
	uint64_t id = find(table, &a)->id;
	assert_int_not_equal(find(table, &b)->id, id);
	assert_int_equal(b.dir, TO_SERVER);
	assert_int_equal(ends.count[FLOW_END_TIMEOUT], 1);
	flow_table_free(table);
}

static void time_that_steps_back_ends_nothing(void **state)
{
	(void)state;
	struct flow_table *table = table_default();
	struct packet a = packet_of(17, 1, 1, 2, 2, 1000), b = packet_of(17, 1, 1, 2, 2, 10);
	struct flow *flow = find(table, &a);
	assert_ptr_equal(find(table, &b), flow);
	assert_int_equal(flow->last_ns, 1000 * SECOND_NS);
	flow_expire(table, 10 * SECOND_NS, 100);
	assert_int_equal(ends.count[FLOW_END_TIMEOUT], 0);
	flow_table_free(table);
}

static void full_table_says_so_and_evicts_only_the_dead(void **state)
{
	(void)state;
	struct flow_config config;
	flow_config_defaults(&config);
	config.memory_bytes = 64u << 10;
	struct flow_table *table = table_new(&config);
	struct packet pkt;
	struct flow *first = NULL;
	bool full = false;
	unsigned made = 0;
	for (uint16_t i = 0; i < 2000 && !full; i++) {
		pkt = packet_of(6, 1, i, 2, 80, 100);
		struct flow *flow = flow_lookup(table, &pkt, &full);
		first = first ? first : flow;
		made += flow != NULL;
	}
	assert_true(full);
	assert_in_range(made, 100, 400);
	assert_int_equal(counters.value[COUNTER_FLOW_MEMCAP], 1);
	assert_int_equal(ends.count[FLOW_END_EVICTED], 0);
	flow_set_state(table, first, FLOW_CLOSED); /* now one may go */
	assert_non_null(flow_lookup(table, &pkt, &full));
	assert_int_equal(ends.count[FLOW_END_EVICTED], 1);
	struct packet late = packet_of(6, 1, 5000, 2, 80, 200); /* now all are idle */
	assert_non_null(flow_lookup(table, &late, &full));
	assert_true(ends.count[FLOW_END_TIMEOUT] > 0);
	flow_table_free(table);
}

static void swapping_turns_all_pairs(void **state)
{
	(void)state;
	struct flow_table *table = table_default();
	struct packet a = packet_of(6, 1, 80, 2, 4000, 100), again = a;
	struct flow *flow = find(table, &a);
	flow_swap(flow);
	assert_int_equal(flow->key.port[0], 4000);
	assert_int_equal(flow->key.port[1], 80);
	assert_int_equal(flow->packets[TO_CLIENT], 1);
	assert_true(flow->flags & FLOW_SEEN_TO_CLIENT);
	assert_false(flow->flags & FLOW_SEEN_TO_SERVER);
	assert_ptr_equal(find(table, &again), flow);
	assert_int_equal(again.dir, TO_CLIENT);
	flow_table_free(table);
}

static void ids_do_not_repeat_and_fit_a_double(void **state)
{
	(void)state;
	enum { N = 5000 };
	static uint64_t ids[N];
	struct flow_table *table = table_default();
	for (unsigned i = 0; i < N; i++) {
		struct packet pkt = packet_of(17, i, 1, 2, 2, 100);
		ids[i] = find(table, &pkt)->id;
		assert_true(ids[i] < 1ull << 53);
	}
	for (unsigned i = 0; i < N; i++)
		for (unsigned k = i + 1; k < N; k += 7)
			assert_int_not_equal(ids[i], ids[k]);
	flow_table_free(table);
}

static void many_flows_live_and_end(void **state)
{
	(void)state;
	struct flow_table *table = table_default();
	uint32_t random = 1;
	for (unsigned i = 0; i < 200000; i++) {
		random = random * 1664525 + 1013904223;
		uint32_t host = random >> 22;
		struct packet pkt = random >> 8 & 1 ? packet_of(17, host, 1, 5000, 53, 100 + i / 1000)
						    : packet_of(17, 5000, 53, host, 1, 100 + i / 1000);
		flow_prefetch(table, &pkt);
		struct flow *flow = find(table, &pkt);
		uint32_t client = flow->key.addr[pkt.dir].u32[0];
		assert_int_equal(client, pkt.src.u32[0]);
		if (i % 64 == 0)
			flow_expire(table, pkt.ts_ns, 8);
	}
	assert_int_equal(counters.value[COUNTER_FLOW_TOTAL] - ends.count[FLOW_END_TIMEOUT],
			 counters.value[COUNTER_FLOW_ACTIVE]);
	flow_drain(table, FLOW_END_SHUTDOWN);
	assert_int_equal(counters.value[COUNTER_FLOW_ACTIVE], 0);
	flow_table_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_directions_are_one_flow),
		cmocka_unit_test(same_address_on_both_sides),
		cmocka_unit_test(vlans_tell_flows_apart),
		cmocka_unit_test(echo_and_reply_by_id),
		cmocka_unit_test(icmp_error_belongs_to_what_it_quotes),
		cmocka_unit_test(what_has_no_flow),
		cmocka_unit_test(idle_flows_end_by_state),
		cmocka_unit_test(expiry_keeps_to_its_budget),
		cmocka_unit_test(a_packet_after_the_timeout_begins_a_new_flow),
		cmocka_unit_test(time_that_steps_back_ends_nothing),
		cmocka_unit_test(full_table_says_so_and_evicts_only_the_dead),
		cmocka_unit_test(swapping_turns_all_pairs),
		cmocka_unit_test(ids_do_not_repeat_and_fit_a_double),
		cmocka_unit_test(many_flows_live_and_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
