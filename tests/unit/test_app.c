/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dataplane/app.h>

#include "stream_testing.h"

/* A connection seen inline, its packets given to the application layer one by one. */
struct talk {
	struct bench *bench;
	struct app_engine *engine;
	struct app_config config;
	int64_t sent[2];
	enum exception_policy policy;
	bool policy_due;
	unsigned freed; /* detection states */
};

static void detect_free(void *user, struct app_tx *tx)
{
	struct talk *t = user;

	(void)tx;
	t->freed++;
}

static int setup(void **state)
{
	struct talk *t = calloc(1, sizeof(*t));

	t->bench = bench_new(true);
	t->bench->ports[1] = 12345;
	app_config_defaults(&t->config, true);
	t->config.detect_free = detect_free;
	t->config.detect_user = t;
	t->config.error_policy = EXCEPTION_DROP_FLOW;
	t->config.memcap_policy = EXCEPTION_PASS_FLOW;
	t->engine = app_engine_new(&t->config, &t->bench->counters);
	assert_non_null(t->engine);
	bench_handshake(t->bench);
	*state = t;
	return 0;
}

static struct flow *flow_of(struct talk *t)
{
	assert_non_null(t->bench->pkt.flow);
	return t->bench->pkt.flow;
}

static int teardown(void **state)
{
	struct talk *t = *state;

	app_session_free(t->engine, flow_of(t));
	bench_free(t->bench);
	app_engine_free(t->engine);
	free(t);
	return 0;
}

static void update(struct talk *t)
{
	t->policy_due = !app_update(t->engine, t->bench->engine, &t->bench->pkt, &t->policy);
}

static void say_flags(struct talk *t, enum direction dir, const char *text, uint8_t flags)
{
	size_t len = strlen(text);

	bench_raw(t->bench, dir, flags, t->bench->isn[dir] + 1 + (uint32_t)t->sent[dir],
		  t->bench->isn[1 - dir] + 1 + (uint32_t)t->sent[1 - dir], text, len);
	t->sent[dir] += (int64_t)len;
	update(t);
}

static void say(struct talk *t, enum direction dir, const char *text)
{
	say_flags(t, dir, text, ACK | PSH);
}

#define QUESTION "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
#define ANSWER	 "HTTP/1.1 200 ok\r\nContent-Length: 0\r\n\r\n"

static void content_tells_the_protocol_on_any_port(void **state)
{
	struct talk *t = *state;

	say(t, TO_SERVER, QUESTION);
	assert_ptr_equal(app_proto_of(flow_of(t)), app_proto_by_name("http1"));
	assert_int_equal(flow_of(t)->app_proto, APP_HTTP);
	assert_int_equal(app_id_of(flow_of(t), TO_SERVER), APP_HTTP);
	assert_int_equal(app_id_of(flow_of(t), TO_CLIENT), APP_UNKNOWN);
	say(t, TO_CLIENT, ANSWER);
	assert_int_equal(app_id_of(flow_of(t), TO_CLIENT), APP_HTTP);
	assert_int_equal(app_tx_count(flow_of(t)), 1);
	assert_true(app_tx_complete(flow_of(t), app_tx_first(flow_of(t)), TO_CLIENT));
	assert_false(event_set_any(&t->bench->pkt.events));
}

static void recognition_waits_for_what_may_become_one(void **state)
{
	struct talk *t = *state;

	say(t, TO_SERVER, "PO");
	assert_null(app_proto_of(flow_of(t)));
	say(t, TO_SERVER, "ST / HTTP/1.1\r\n\r\n");
	assert_non_null(app_proto_of(flow_of(t)));
	assert_int_equal(app_tx_count(flow_of(t)), 1);
}

static void nothing_known_on_both_sides_is_a_failure(void **state)
{
	struct talk *t = *state;

	say(t, TO_SERVER, "no protocol is known to begin so");
	assert_false(app_failed(flow_of(t)));
	say(t, TO_CLIENT, "nor is one that answers like this");
	assert_true(app_failed(flow_of(t)));
	assert_int_equal(flow_of(t)->app_proto, APP_FAILED);
	assert_int_equal(app_id_of(flow_of(t), TO_SERVER), APP_FAILED);
	say(t, TO_SERVER, QUESTION);
	assert_null(app_proto_of(flow_of(t)));
}

static void one_side_is_believed_for_both(void **state)
{
	struct talk *t = *state;

	say(t, TO_SERVER, QUESTION);
	say(t, TO_CLIENT, "no status line\n");
	assert_true(event_set_has(&t->bench->pkt.events, EVENT_APPLAYER_DETECT_PROTOCOL_ONLY_ONE_DIRECTION));
	assert_int_equal(app_id_of(flow_of(t), TO_CLIENT), APP_FAILED);
	assert_int_equal(flow_of(t)->app_proto, APP_HTTP);
}

static void what_was_said_first_is_parsed_first(void **state)
{
	struct talk *t = *state;

	say(t, TO_CLIENT, "a banner of some length\r\n");
	assert_null(app_proto_of(flow_of(t)));
	say(t, TO_SERVER, QUESTION);
	assert_non_null(app_proto_of(flow_of(t)));
	/* the banner made a transaction of its own, before the request's */
	assert_int_equal(app_tx_count(flow_of(t)), 2);
	assert_int_equal(app_tx_first(flow_of(t))->progress[TO_SERVER], 5);
}

static void transactions_live_until_all_are_done_with_them(void **state)
{
	struct talk *t = *state;
	struct app_tx *tx;

	say(t, TO_SERVER, QUESTION);
	tx = app_tx_first(flow_of(t));
	tx->detect = t;
	tx->logged = tx->inspected[TO_SERVER] = true;
	app_reap(t->engine, flow_of(t));
	assert_ptr_equal(app_tx_first(flow_of(t)), tx);
	say(t, TO_CLIENT, ANSWER);
	app_reap(t->engine, flow_of(t));
	assert_ptr_equal(app_tx_first(flow_of(t)), tx);
	tx->inspected[TO_CLIENT] = true;
	app_reap(t->engine, flow_of(t));
	assert_null(app_tx_first(flow_of(t)));
	assert_int_equal(app_tx_count(flow_of(t)), 1);
	assert_int_equal(t->freed, 1);
}

static void open_transactions_are_bounded(void **state)
{
	struct talk *t = *state;

	for (int i = 0; i < APP_TX_MAX; i++)
		say(t, TO_SERVER, QUESTION);
	assert_false(t->policy_due);
	say(t, TO_SERVER, QUESTION);
	assert_true(t->policy_due);
	assert_int_equal(t->policy, EXCEPTION_DROP_FLOW);
	assert_int_equal(app_tx_count(flow_of(t)), APP_TX_MAX);
}

static void complete_transactions_make_room(void **state)
{
	struct talk *t = *state;

	for (int i = 0; i < APP_TX_MAX + 5; i++) {
		say(t, TO_SERVER, QUESTION);
		say(t, TO_CLIENT, ANSWER);
		assert_false(t->policy_due);
	}
	assert_int_equal(app_tx_first(flow_of(t))->id, 5);
}

static void a_parser_that_fails_leaves_its_transactions(void **state)
{
	struct talk *t = *state;

	say(t, TO_SERVER, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n");
	assert_true(t->policy_due);
	assert_int_equal(t->policy, EXCEPTION_DROP_FLOW);
	assert_non_null(app_tx_first(flow_of(t)));
	assert_true(app_dir_ended(flow_of(t), TO_SERVER));
	assert_true(app_tx_complete(flow_of(t), app_tx_first(flow_of(t)), TO_CLIENT));
	assert_false(app_failed(flow_of(t)));
	say(t, TO_SERVER, "more");
	assert_false(t->policy_due);
}

static void a_tunnel_is_recognised_anew(void **state)
{
	struct talk *t = *state;

	say(t, TO_SERVER, "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n");
	say(t, TO_CLIENT, "HTTP/1.1 200 ok\r\n\r\n");
	app_tx_first(flow_of(t))->detect = t;
	say(t, TO_SERVER, "PUT /inner HTTP/1.1\r\nHost: h\r\n\r\n");
	assert_int_equal(t->freed, 1);
	assert_int_equal(flow_of(t)->app_proto, APP_HTTP);
	assert_int_equal(app_tx_first(flow_of(t))->id, 1);
	say(t, TO_CLIENT, ANSWER);
	assert_true(app_tx_complete(flow_of(t), app_tx_first(flow_of(t)), TO_CLIENT));
}

static void the_end_of_a_side_completes_it(void **state)
{
	struct talk *t = *state;

	say(t, TO_SERVER, QUESTION);
	say(t, TO_CLIENT, "HTTP/1.1 200 ok\r\n\r\nbody");
	assert_false(app_tx_complete(flow_of(t), app_tx_first(flow_of(t)), TO_CLIENT));
	say_flags(t, TO_CLIENT, "", FIN | ACK);
	assert_true(app_dir_ended(flow_of(t), TO_CLIENT));
	assert_true(app_tx_complete(flow_of(t), app_tx_first(flow_of(t)), TO_CLIENT));
}

static void memory_that_runs_out_has_its_own_policy(void **state)
{
	struct talk *t = *state;

	app_engine_free(t->engine);
	t->config.memory_bytes = 1u << 16;
	t->engine = app_engine_new(&t->config, &t->bench->counters);
	for (int i = 0; i < 100 && !t->policy_due; i++)
		say(t, TO_SERVER, QUESTION);
	assert_true(t->policy_due);
	assert_int_equal(t->policy, EXCEPTION_PASS_FLOW);
	assert_true(t->bench->counters.value[COUNTER_APP_LAYER_MEMCAP] > 0);
}

static void two_sides_that_wait_do_not_wake_each_other(void **state)
{
	struct talk *t = *state;

	say(t, TO_SERVER, QUESTION "GET /half");
	say(t, TO_CLIENT, ANSWER "HTTP/1.1 20");
	say(t, TO_SERVER, " HTTP/1.1\r\nHost: h\r\n\r\n");
	say(t, TO_CLIENT, "0 ok\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(app_tx_count(flow_of(t)), 2);
	assert_true(app_tx_complete(flow_of(t), app_tx_first(flow_of(t))->next, TO_CLIENT));
}

static void an_answer_from_the_supposed_client_turns_the_flow_round(void **state)
{
	struct talk *t = *state;

	app_session_free(t->engine, flow_of(t));
	app_engine_free(t->engine);
	bench_free(t->bench);
	t->bench = bench_prepare(true);
	t->bench->config.midstream = true;
	bench_open(t->bench);
	t->engine = app_engine_new(&t->config, &t->bench->counters);
	say(t, TO_SERVER, ANSWER);
	assert_int_equal(flow_of(t)->app_proto, APP_HTTP);
	assert_true(flow_of(t)->flags & FLOW_SWAPPED);
	assert_int_equal(t->bench->pkt.dir, TO_CLIENT);
	assert_int_equal(flow_of(t)->key.port[1], t->bench->ports[0]);
	assert_true(app_tx_complete(flow_of(t), app_tx_first(flow_of(t)), TO_CLIENT));
	assert_int_equal(app_id_of(flow_of(t), TO_CLIENT), APP_HTTP);
}

static void names_find_protocols(void **state)
{
	(void)state;
	assert_ptr_equal(app_proto_by_name("HTTP"), app_proto_by_id(APP_HTTP));
	assert_null(app_proto_by_name("gopher"));
	assert_null(app_proto_by_id(APP_UNKNOWN));
	assert_null(app_proto_by_id(APP_FAILED));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(content_tells_the_protocol_on_any_port),
		TEST(recognition_waits_for_what_may_become_one),
		TEST(nothing_known_on_both_sides_is_a_failure),
		TEST(one_side_is_believed_for_both),
		TEST(what_was_said_first_is_parsed_first),
		TEST(transactions_live_until_all_are_done_with_them),
		TEST(open_transactions_are_bounded),
		TEST(complete_transactions_make_room),
		TEST(a_parser_that_fails_leaves_its_transactions),
		TEST(a_tunnel_is_recognised_anew),
		TEST(the_end_of_a_side_completes_it),
		TEST(memory_that_runs_out_has_its_own_policy),
		TEST(two_sides_that_wait_do_not_wake_each_other),
		TEST(an_answer_from_the_supposed_client_turns_the_flow_round),
		cmocka_unit_test(names_find_protocols),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
