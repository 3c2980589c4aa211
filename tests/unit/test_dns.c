/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/dns_message.h"
#include "app/protos.h"

static struct counters counters;
static struct app_engine *engine;
static struct app_session *session;

static int setup(void **state)
{
	struct app_config config;
	(void)state;
	app_config_defaults(&config, false);
	config.memory_bytes = 16u << 20;
	engine = app_engine_new(&config, &counters);
	session = engine ? app_session_new(engine, &app_dns, NULL) : NULL;
	return session ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	app_session_delete(session);
	app_engine_free(engine);
	return 0;
}

/* A query for www.example.jp A, id 0x1234; the two bytes of TCP framing first. */
static const uint8_t query[] = "\x00\x20\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
			       "\x03www\x07"
			       "example\x02jp\x00\x00\x01\x00\x01";
/* Its answer: a CNAME to cdn.example.jp (compressed), and that one's address. */
static const uint8_t answer[] = "\x00\x42\x12\x34\x81\x80\x00\x01\x00\x02\x00\x00\x00\x00"
				"\x03www\x07"
				"example\x02jp\x00\x00\x01\x00\x01"
				"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x06\x03"
				"cdn\xc0\x10"
				"\xc0\x2c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01";

static int64_t feed(const uint8_t *data, size_t len, enum direction dir)
{
	struct app_input in = {.data = {.data = data, .len = len}, .dir = dir};
	return app_session_parse(session, &in);
}

static const struct app_buffer *buffer(const char *name, enum direction dir)
{
	for (const struct app_buffer *b = app_dns.buffers; b->name; b++)
		if (strcmp(b->name, name) == 0 && b->dir == dir)
			return b;
	fail_msg("no buffer %s", name);
	return NULL;
}

static void expect_buffer(const struct app_tx *tx, const char *name, enum direction dir, unsigned index,
			  const char *want)
{
	struct bytes view;
	uint64_t offset;
	const struct app_buffer *b = buffer(name, dir);
	if (!want) {
		assert_false(b->get(session, tx, dir, index, &view, &offset));
		return;
	}
	assert_true(b->get(session, tx, dir, index, &view, &offset));
	assert_int_equal(view.len, strlen(want));
	assert_memory_equal(view.data, want, view.len);
}

static bool has_event(const struct app_tx *tx, const char *name)
{
	for (unsigned i = 0; app_dns.events[i]; i++)
		if (strcmp(app_dns.events[i], name) == 0)
			return tx->events[0] >> i & 1;
	fail_msg("no event %s", name);
	return false;
}

static void a_query_and_its_answer_show_their_names(void **state)
{
	(void)state;
	assert_int_equal(feed(query, sizeof(query) - 1, TO_SERVER), sizeof(query) - 1);
	assert_int_equal(feed(answer, sizeof(answer) - 1, TO_CLIENT), sizeof(answer) - 1);
	const struct app_tx *q = app_session_tx_first(session), *a = app_session_tx_last(session);
	assert_ptr_not_equal(q, a);
	assert_int_equal(q->id, 0);
	assert_int_equal(a->id, 1);
	expect_buffer(q, "dns.query", TO_SERVER, 0, "www.example.jp");
	expect_buffer(q, "dns.query", TO_SERVER, 1, NULL);
	expect_buffer(q, "dns.queries.rrname", TO_CLIENT, 0, NULL);
	expect_buffer(a, "dns.queries.rrname", TO_CLIENT, 0, "www.example.jp");
	expect_buffer(a, "dns.answers.rrname", TO_CLIENT, 0, "www.example.jp");
	expect_buffer(a, "dns.answers.rrname", TO_CLIENT, 1, "cdn.example.jp");
	expect_buffer(a, "dns.response.rrname", TO_CLIENT, 3, "cdn.example.jp"); /* the CNAME's target */
	assert_int_equal(q->events[0] | a->events[0], 0);
}

static void any_segmentation_gives_the_same_messages(void **state)
{
	uint8_t stream[2 * (sizeof(query) - 1)];
	memcpy(stream, query, sizeof(query) - 1);
	memcpy(stream + sizeof(query) - 1, query, sizeof(query) - 1);
	for (size_t step = 1; step < sizeof(stream); step++) {
		size_t start = 0;
		for (size_t end = step;; end += step) {
			end = end > sizeof(stream) ? sizeof(stream) : end;
			int64_t n = feed(stream + start, end - start, TO_SERVER);
			assert_true(n >= 0);
			start += (size_t)n;
			if (end == sizeof(stream))
				break;
		}
		assert_int_equal(start, sizeof(stream));
		assert_int_equal(app_session_tx_last(session)->id, 1);
		expect_buffer(app_session_tx_last(session), "dns.query", TO_SERVER, 0, "www.example.jp");
		teardown(state);
		setup(state);
	}
}

static void what_is_wrong_is_an_event(void **state)
{
	uint8_t data[sizeof(query)];
	(void)state;
	memcpy(data, query, sizeof(query));
	data[5] = 0x40; /* Z */
	data[4] = 0x80 | 7 << 3;
	feed(data, sizeof(query) - 1, TO_SERVER);
	const struct app_tx *tx = app_session_tx_last(session);
	assert_true(has_event(tx, "z_flag_set"));
	assert_true(has_event(tx, "invalid_opcode"));
	assert_true(has_event(tx, "not_request"));
	feed(query, sizeof(query) - 1, TO_CLIENT);
	assert_true(has_event(app_session_tx_last(session), "not_response"));
	memcpy(data, query, sizeof(query));
	data[14] = 0xc0; /* a pointer to itself */
	data[15] = 12;
	feed(data, sizeof(query) - 1, TO_SERVER);
	assert_true(has_event(app_session_tx_last(session), "infinite_loop"));
	assert_true(has_event(app_session_tx_last(session), "malformed_data"));
	data[7] = 9; /* more questions than there are */
	data[14] = 3;
	data[15] = 'w';
	feed(data, sizeof(query) - 1, TO_SERVER);
	assert_true(has_event(app_session_tx_last(session), "malformed_data"));
	expect_buffer(app_session_tx_last(session), "dns.query", TO_SERVER, 0, "www.example.jp");
}

static void a_name_is_cut_at_its_limit_and_says_so(void **state)
{
	uint8_t message[2048] = {0}, out[DNS_NAME_MAX], faults = 0;
	uint16_t len = 0;
	size_t at = 0;
	(void)state;
	for (int i = 0; i < 20; i++, at += 64) {
		message[at] = 63;
		memset(message + at + 1, 'a', 63);
	}
	assert_int_equal(dns_name_read((struct bytes){.data = message, .len = at + 1}, 0, out, &len, &faults), at + 1);
	assert_int_equal(len, DNS_NAME_MAX);
	assert_int_equal(faults, DNS_NAME_TOO_LONG);
	faults = 0; /* two pointers at each other */
	const uint8_t loop[] = {0xc0, 2, 0xc0, 0};
	assert_int_equal(dns_name_read((struct bytes){.data = loop, .len = 4}, 0, out, &len, &faults), 2);
	assert_true(faults & DNS_TOO_MANY_LABELS);
}

static void compressed_names_multiply_within_bounds(void **state)
{
	/* one long name and thousands of pointers to it */
	static uint8_t data[2 + UINT16_MAX];
	size_t at = 2 + DNS_HEADER_LEN;
	unsigned questions = 1;
	(void)state;
	for (int i = 0; i < 16; i++, at += 64) {
		data[at] = 63;
		memset(data + at + 1, 'b', 63);
	}
	at += 5;
	for (; at + 6 < sizeof(data); at += 6, questions++) {
		data[at] = 0xc0;
		data[at + 1] = 12;
	}
	store_be16(data, (uint16_t)(at - 2));
	store_be16(data + 6, (uint16_t)questions);
	assert_int_equal(feed(data, at, TO_SERVER), at);
	struct bytes view;
	uint64_t offset;
	const struct app_buffer *b = buffer("dns.query", TO_SERVER);
	size_t total = 0;
	unsigned n = 0;
	for (; b->get(session, app_session_tx_last(session), TO_SERVER, n, &view, &offset); n++)
		total += view.len;
	assert_int_equal(n, DNS_RECORDS_MAX);
	assert_true(total <= DNS_NAMES_MAX);
	assert_true(has_event(app_session_tx_last(session), "name_too_long"));
}

static void recognition_takes_dns_and_nothing_else(void **state)
{
	const uint16_t odd[2] = {40000, 4000}, known[2] = {40000, 53};
	struct bytes q = {.data = query + 2, .len = sizeof(query) - 3};
	uint8_t rtp[160] = {0x80, 0x08, 0x12, 0x34, 0, 1, 0, 0, 0, 0, 0, 1};
	(void)state;
	assert_int_equal(app_dns.probe(q, TO_SERVER, true, odd), APP_PROBE_YES);
	assert_int_equal(app_dns.probe((struct bytes){.data = rtp, .len = sizeof(rtp)}, TO_SERVER, true, odd),
			 APP_PROBE_NO);
	assert_int_equal(app_dns.probe(BYTES_LITERAL("OPTIONS sip:x@y SIP/2.0\r\n"), TO_SERVER, true, odd),
			 APP_PROBE_NO);
	assert_int_equal(app_dns.probe(BYTES_LITERAL("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), TO_SERVER, false, odd),
			 APP_PROBE_NO);
	assert_int_equal(app_dns.probe((struct bytes){.data = query, .len = 1}, TO_SERVER, false, known),
			 APP_PROBE_MAYBE);
	assert_int_equal(app_dns.probe((struct bytes){.data = query, .len = 20}, TO_SERVER, false, known),
			 APP_PROBE_YES);
	assert_int_equal(app_dns.probe((struct bytes){.data = query, .len = 20}, TO_SERVER, false, odd),
			 APP_PROBE_MAYBE);
	assert_int_equal(app_dns.probe((struct bytes){.data = query, .len = sizeof(query) - 1}, TO_SERVER, false, odd),
			 APP_PROBE_YES);
}

static void a_long_message_is_recognised_by_its_beginning(void **state)
{
	static uint8_t stream[APP_PROBE_BYTES];
	const uint16_t ports[2] = {40000, 1053};
	struct bytes seen = {.data = stream, .len = sizeof(stream)};
	(void)state;
	/* 1,500 questions, all but the first by pointers to it */
	memcpy(stream,
	       "\x23\x8c\x12\x34\x01\x00\x05\xdc\0\0\0\0\0\0\x02"
	       "ab\x00\x00\x1c\x00\x01",
	       22);
	for (size_t at = 22; at + 6 <= sizeof(stream); at += 6)
		memcpy(stream + at, "\xc0\x0c\x00\x1c\x00\x01", 6);
	assert_int_equal(app_dns.probe(seen, TO_SERVER, false, ports), APP_PROBE_YES);
	seen.len = 2000;
	assert_int_equal(app_dns.probe(seen, TO_SERVER, false, ports), APP_PROBE_MAYBE);
	seen.len = sizeof(stream);
	stream[22 + 6 * 10 + 5] = 9; /* a class that there is none of */
	assert_int_equal(app_dns.probe(seen, TO_SERVER, false, ports), APP_PROBE_NO);
	/* one name longer than what is seen */
	for (size_t at = 14; at + 31 <= sizeof(stream); at += 31)
		memcpy(stream + at,
		       "\x1e"
		       "0123456789abcdef0123456789abcd",
		       31);
	stream[sizeof(stream) - 21] = 30; /* where the last label begins */
	memset(stream + sizeof(stream) - 20, 'z', 20);
	assert_int_equal(app_dns.probe(seen, TO_SERVER, false, ports), APP_PROBE_YES);
	stream[14 + 31 * 5 + 3] = 0x80;
	assert_int_equal(app_dns.probe(seen, TO_SERVER, false, ports), APP_PROBE_NO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_query_and_its_answer_show_their_names, setup, teardown),
		cmocka_unit_test_setup_teardown(any_segmentation_gives_the_same_messages, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_wrong_is_an_event, setup, teardown),
		cmocka_unit_test_setup_teardown(a_name_is_cut_at_its_limit_and_says_so, setup, teardown),
		cmocka_unit_test_setup_teardown(compressed_names_multiply_within_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(recognition_takes_dns_and_nothing_else, setup, teardown),
		cmocka_unit_test_setup_teardown(a_long_message_is_recognised_by_its_beginning, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
