/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "app/protos.h"
#include "app/tls.h"
#include "tls_sample.h"

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
	session = engine ? app_session_new(engine, &app_tls, NULL) : NULL;
	return session ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	app_session_delete(session);
	app_engine_free(engine);
	return 0;
}

static void restart(void)
{
	app_session_delete(session);
	session = app_session_new(engine, &app_tls, NULL);
	assert_non_null(session);
}

static void feed(const void *data, size_t len, enum direction dir)
{
	struct app_input in = {.data = {.data = data, .len = len}, .dir = dir, .ts_ns = 1795465000ull * 1000000000};
	assert_int_equal(app_session_parse(session, &in), len);
}

#define FEED(array, dir)     feed(array, sizeof(array), dir)
#define FEED_TEXT(text, dir) feed(text, sizeof(text) - 1, dir)

static struct app_tx *tx(void)
{
	struct app_tx *t = app_session_tx_first(session);
	assert_non_null(t);
	assert_null(t->next); /* a session is one transaction */
	return t;
}

static bool buffer(const char *name, enum direction dir, unsigned index, struct bytes *view)
{
	uint64_t offset;
	for (const struct app_buffer *b = app_tls.buffers; b->name; b++)
		if (strcmp(b->name, name) == 0 && b->dir == dir)
			return b->get(session, tx(), dir, index, view, &offset);
	fail_msg("no buffer %s", name);
	return false;
}

static void expect(const char *name, enum direction dir, unsigned index, const char *want)
{
	struct bytes view;
	bool has = buffer(name, dir, index, &view);
	if (!want) {
		assert_false(has);
		return;
	}
	assert_true(has);
	char text[2048];
	snprintf(text, sizeof(text), "%.*s", (int)view.len, (const char *)view.data);
	assert_string_equal(text, want);
}

static bool number_of(const char *name, enum direction dir, uint64_t *number)
{
	for (const struct app_value *v = app_tls.values; v->name; v++)
		if (strcmp(v->name, name) == 0)
			return v->get(session, tx(), dir, 0, number);
	fail_msg("no value %s", name);
	return false;
}

static void expect_number(const char *name, enum direction dir, uint64_t want)
{
	uint64_t number = ~want;
	assert_true(number_of(name, dir, &number));
	assert_int_equal(number, want);
}

static bool has_event(const char *name)
{
	for (unsigned i = 0; app_tls.events[i]; i++)
		if (strcmp(app_tls.events[i], name) == 0)
			return tx()->events[0] >> i & 1;
	fail_msg("no event %s", name);
	return false;
}

/* --- hellos ------------------------------------------------------------------------------------------------------- */

static void expect_client_hello(void)
{
	assert_int_equal(tx()->progress[TO_SERVER], TLS_CLIENT_HELLO_DONE);
	expect("tls.sni", TO_SERVER, 0, "www.example.jp");
	expect("tls.alpn", TO_SERVER, 0, "h2");
	expect("tls.alpn", TO_SERVER, 1, "http/1.1");
	expect("tls.alpn", TO_SERVER, 2, NULL);
	expect("ja3.string", TO_SERVER, 0,
	       "771,49196-49200-49195-49199-52393-52392-49188-49192-49187-49191-159-158-107-103-255,"
	       "0-11-10-35-16-22-23-13,29-23-30-25-24,0-1-2");
	expect("ja3.hash", TO_SERVER, 0, "104774240db569f8f87b1a28206b25e5");
}

static void a_client_hello_shows_name_protocols_and_fingerprint(void **state)
{
	(void)state;
	FEED(sample_client_hello, TO_SERVER);
	expect_client_hello();
	expect_number("ssl_version", TO_SERVER, 16);
	expect_number("tls.version", TO_SERVER, 0x0303);
	expect_number("ssl_state", TO_SERVER, TLS_SEEN_CLIENT_HELLO);
	struct bytes random;
	assert_true(buffer("tls.random", TO_SERVER, 0, &random));
	assert_int_equal(random.len, 32);
	assert_memory_equal(random.data, sample_client_hello + 11, 32);
	assert_true(buffer("tls.random_bytes", TO_SERVER, 0, &random));
	assert_memory_equal(random.data, sample_client_hello + 15, 28);
}

static void a_hello_is_found_wherever_it_is_cut(void **state)
{
	(void)state;
	for (size_t at = 1; at < sizeof(sample_client_hello); at++) {
		restart();
		feed(sample_client_hello, at, TO_SERVER);
		feed(sample_client_hello + at, sizeof(sample_client_hello) - at, TO_SERVER);
		expect_client_hello();
	}
	restart();
	for (size_t i = 0; i < sizeof(sample_client_hello); i++)
		feed(sample_client_hello + i, 1, TO_SERVER);
	expect_client_hello();
}

static void a_hello_in_records_of_one_byte_is_read(void **state)
{
	(void)state;
	for (size_t i = 5; i < sizeof(sample_client_hello); i++) {
		uint8_t record[] = {22, 3, 1, 0, 1, sample_client_hello[i]};
		FEED(record, TO_SERVER);
	}
	expect_client_hello();
}

/* Builds what FoxIO's description of JA4 takes for its example: a browser's hello, with GREASE. */
static size_t example_hello(uint8_t *out)
{
	static const uint16_t ciphers[] = {0x1a1a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030,
					   0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035};
	static const uint16_t empty[] = {0x2a2a, 0x001b, 0xff01, 0x0017, 0x0023, 0x0005, 0x0012,
					 0x002d, 0x0033, 0x000a, 0x000b, 0x4469, 0x0015};
	static const uint8_t tail[] = {0x00, 0x00, 0x00, 0x06, 0x00, 0x04, 0x00, 0x00, 0x01, 'a', /* server_name */
				       0x00, 0x10, 0x00, 0x05, 0x00, 0x03, 0x02, 'h',  '2',	  /* ALPN */
				       0x00, 0x2b, 0x00, 0x07, 0x06, 0x3a, 0x3a, 0x03, 0x04, 0x03, 0x03,
				       0x00, 0x0d, 0x00, 0x12, 0x00, 0x10, 0x04, 0x03, 0x08, 0x04, 0x04,
				       0x01, 0x05, 0x03, 0x08, 0x05, 0x05, 0x01, 0x08, 0x06, 0x06, 0x01};
	uint8_t *p = out + 9;
	store_be16(p, 0x0303);
	memset(p + 2, 7, 32);
	p[34] = 0;
	store_be16(p + 35, sizeof(ciphers));
	p += 37;
	for (size_t i = 0; i < sizeof(ciphers) / 2; i++, p += 2)
		store_be16(p, ciphers[i]);
	*p++ = 1;
	*p++ = 0;
	uint8_t *extensions = p;
	p += 2;
	for (size_t i = 0; i < sizeof(empty) / 2; i++, p += 4) {
		store_be16(p, empty[i]);
		store_be16(p + 2, 0);
	}
	memcpy(p, tail, sizeof(tail));
	p += sizeof(tail);
	store_be16(extensions, (uint16_t)(p - extensions - 2));
	memcpy(out, "\x16\x03\x01", 3);
	store_be16(out + 3, (uint16_t)(p - out - 5));
	store_be32(out + 5, 1u << 24 | (uint32_t)(p - out - 9));
	return (size_t)(p - out);
}

static void ja4_is_the_published_example(void **state)
{
	uint8_t hello[512];
	(void)state;
	feed(hello, example_hello(hello), TO_SERVER);
	expect("ja4.hash", TO_SERVER, 0, "t13d1516h2_8daaf6152771_e5627efa2ab1");
	expect_number("tls.version", TO_SERVER, 0x0304);
}

static void a_second_hello_changes_nothing(void **state)
{
	uint8_t hello[512];
	(void)state;
	FEED(sample_client_hello, TO_SERVER);
	feed(hello, example_hello(hello), TO_SERVER);
	expect_client_hello();
}

static void a_hello_of_ssl_2_is_seen(void **state)
{
	(void)state;
	static const char hello[] = "\x80\x1c\x01\x00\x02\x00\x03\x00\x00\x00\x10\x01\x00\x80"
				    "0123456789abcdef";
	const uint16_t ports[2] = {40000, 443};
	struct bytes data = {(const uint8_t *)hello, sizeof(hello) - 1};
	assert_int_equal(app_tls.probe(data, TO_SERVER, false, ports), APP_PROBE_YES);
	FEED_TEXT(hello, TO_SERVER);
	assert_int_equal(tx()->progress[TO_SERVER], TLS_CLIENT_HELLO_DONE);
	expect_number("ssl_version", TO_SERVER, 1);
}

/* --- the server --------------------------------------------------------------------------------------------------- */

static void a_certificate_shows_who_for_how_long_and_what_for(void **state)
{
	(void)state;
	FEED(sample_client_hello, TO_SERVER);
	FEED(sample_server_flight, TO_CLIENT);
	assert_int_equal(tx()->progress[TO_CLIENT], TLS_SERVER_HELLO_DONE);
	static const char name[] = "C=JP, O=Sekisho Test, OU=Gate, CN=www.example.jp, emailAddress=root@example.jp";
	expect("tls.cert_subject", TO_CLIENT, 0, name);
	expect("tls.cert_issuer", TO_CLIENT, 0, name);
	expect("tls.cert_serial", TO_CLIENT, 0, "00:8F:11:22:33:44:55");
	expect("tls.cert_fingerprint", TO_CLIENT, 0, "c4:77:18:25:6d:df:10:c2:69:c8:ad:1a:61:a1:3c:ac:f1:ab:06:f6");
	expect("tls.subjectaltname", TO_CLIENT, 0, "www.example.jp");
	expect("tls.subjectaltname", TO_CLIENT, 1, "*.example.jp");
	expect("tls.subjectaltname", TO_CLIENT, 2, "192.0.2.7");
	expect("tls.subjectaltname", TO_CLIENT, 3, NULL);
	expect("tls.cert_subject", TO_SERVER, 0, NULL); /* the client sent none */
	expect("tls.alpn", TO_CLIENT, 0, "h2");
	expect("ja3s.string", TO_CLIENT, 0, "771,49196,65281-11-35-16-23");
	expect("ja3s.hash", TO_CLIENT, 0, "e195432758194ce2d482396b82e0d48e");
	expect_number("tls.cert_chain_len", TO_CLIENT, 1);
	expect_number("tls_cert_notbefore", TO_CLIENT, 1795465025);
	expect_number("tls_cert_notafter", TO_CLIENT, 2110825025);
	expect_number("tls_cert_expired", TO_CLIENT, 0);
	expect_number("tls_cert_valid", TO_CLIENT, 0); /* not for another 25 seconds */
	struct bytes der;
	assert_true(buffer("tls.certs", TO_CLIENT, 0, &der));
	assert_int_equal(der.len, 545);
}

static void a_certificate_is_read_wherever_it_is_cut(void **state)
{
	(void)state;
	for (size_t at = 1; at < sizeof(sample_server_flight); at++) {
		restart();
		feed(sample_server_flight, at, TO_CLIENT);
		feed(sample_server_flight + at, sizeof(sample_server_flight) - at, TO_CLIENT);
		expect("tls.cert_serial", TO_CLIENT, 0, "00:8F:11:22:33:44:55");
		expect("tls.subjectaltname", TO_CLIENT, 2, "192.0.2.7");
		assert_int_equal(tx()->events[0], 0);
	}
}

static void a_broken_certificate_is_an_event(void **state)
{
	(void)state;
	uint8_t flight[sizeof(sample_server_flight)];
	memcpy(flight, sample_server_flight, sizeof(flight));
	for (size_t i = 0; i + 2 < sizeof(flight); i++)
		if (flight[i] == 0x30 &&
		    flight[i + 1] == 0x82) { /* the certificate's outer sequence: longer than what is there */
			flight[i + 2] = 0x7f;
			break;
		}
	FEED(flight, TO_CLIENT);
	assert_true(has_event("certificate_invalid_der"));
	expect("tls.cert_subject", TO_CLIENT, 0, NULL);
}

/* --- what follows ------------------------------------------------------------------------------------------------- */

static void encrypted_data_ends_the_handshake_and_is_stepped_over(void **state)
{
	(void)state;
	FEED(sample_client_hello, TO_SERVER);
	FEED(sample_server_flight, TO_CLIENT);
	FEED(sample_client_finish, TO_SERVER);
	assert_int_equal(tx()->progress[TO_SERVER], TLS_CLIENT_HANDSHAKE_DONE);
	assert_false(app_tls.encrypted(session, app_state(session)));
	FEED_TEXT("\x17\x03\x03\x00\x10..", TO_SERVER);
	assert_true(app_tls.encrypted(session, app_state(session)));
	/* 10 of 14 bytes are lost within the record: the next one is still found */
	struct app_input in = {.data = {.data = (const uint8_t *)"....\x15\x03\x03\x00\x02\x02\x28", .len = 11},
			       .gap = 10};
	assert_int_equal(app_session_parse(session, &in), 11);
	assert_int_equal(tx()->progress[TO_SERVER], TLS_CLIENT_FINISHED);
	assert_int_equal(tx()->progress[TO_CLIENT], TLS_SERVER_FINISHED);
	assert_int_equal(tx()->events[0], 0);
}

static void a_record_is_due_once_the_certificate_is_known(void **state)
{
	(void)state;
	FEED(sample_client_hello, TO_SERVER);
	assert_false(app_tls.has_record(session, tx(), false));
	FEED(sample_server_flight, TO_CLIENT);
	assert_true(app_tls.has_record(session, tx(), false));
}

static void a_session_without_hellos_is_not_recorded(void **state)
{
	(void)state;
	FEED_TEXT("\x16\x03\x03\x00\x04\x10\x00\x00\x00", TO_SERVER);
	assert_false(app_tls.has_record(session, tx(), true));
}

static void heartbleed_is_an_event(void **state)
{
	(void)state;
	FEED(sample_client_hello, TO_SERVER);
	FEED_TEXT("\x18\x03\x02\x00\x03\x01\x40\x00", TO_SERVER);
	assert_true(has_event("overflow_heartbeat_message"));
	restart();
	/* encrypted, the answer is longer than the request */
	FEED(sample_client_finish, TO_SERVER);
	FEED_TEXT("\x18\x03\x03\x00\x04....", TO_SERVER);
	assert_false(has_event("dataleak_heartbeat_mismatch"));
	FEED_TEXT("\x18\x03\x03\x00\x05.....", TO_CLIENT);
	assert_true(has_event("dataleak_heartbeat_mismatch"));
}

static void what_is_no_record_is_an_event_and_ends_that_direction_alone(void **state)
{
	(void)state;
	FEED_TEXT("\x30\x03\x03\x00\x05hello", TO_SERVER);
	assert_true(has_event("invalid_record_type"));
	FEED(sample_client_hello, TO_SERVER);
	expect("tls.sni", TO_SERVER, 0, NULL);
	FEED(sample_server_flight, TO_CLIENT);
	expect("tls.cert_serial", TO_CLIENT, 0, "00:8F:11:22:33:44:55");
	restart();
	FEED_TEXT("\x16\x03\x03\xff\xff", TO_SERVER);
	assert_true(has_event("invalid_record_length"));
	restart();
	FEED_TEXT("\x16\x09\x03\x00\x05", TO_SERVER);
	assert_true(has_event("invalid_record_version"));
}

static void only_tls_is_recognised(void **state)
{
	const uint16_t ports[2] = {40000, 8443};
	static const struct {
		const char *data;
		size_t len;
		enum direction dir;
		enum app_probe want;
	} cases[] = {
		{"\x16\x03\x01\x00\x80\x01", 6, TO_SERVER, APP_PROBE_YES},
		{"\x16\x03\x03\x00\x80\x02", 6, TO_CLIENT, APP_PROBE_YES},
		{"\x15\x03\x03\x00\x02\x02", 6, TO_CLIENT, APP_PROBE_YES},
		{"\x15\x03\x03\x00\x02\x02", 6, TO_SERVER, APP_PROBE_NO},
		{"\x16\x03", 2, TO_SERVER, APP_PROBE_MAYBE},
		{"\x16\x03\x01\x00\x80\x99", 6, TO_SERVER, APP_PROBE_NO},
		{"\x16\x03\x01\xff\x80\x01", 6, TO_SERVER, APP_PROBE_NO},
		{"GET / HTTP/1.1\r\n", 16, TO_SERVER, APP_PROBE_NO},
		{"\x80\x00\x00\x01 an RTP frame", 16, TO_SERVER, APP_PROBE_NO},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(app_tls.probe((struct bytes){(const uint8_t *)cases[i].data, cases[i].len},
					       cases[i].dir, false, ports),
				 cases[i].want);
}

static void refused_memory_stops_the_session_and_loses_nothing_read(void **state)
{
	struct app_config config;
	(void)state;
	app_session_delete(session);
	app_engine_free(engine);
	app_config_defaults(&config, false);
	config.memory_bytes = 64u << 10;
	engine = app_engine_new(&config, &counters);
	session = app_session_new(engine, &app_tls, NULL);
	assert_non_null(session);
	/* a certificate message of 128 KiB never ends: the kept part outgrows the limit */
	static uint8_t record[5 + 16384];
	memcpy(record, "\x16\x03\x03\x40\x00\x0b\x02\x00\x00", 9);
	int64_t n = 0;
	for (int i = 0; i < 8 && n >= 0; i++) {
		struct app_input in = {.data = {.data = record, .len = sizeof(record)}, .dir = TO_CLIENT};
		memcpy(record + 5, i ? "\0\0\0" : "\x0b\x01\xff\xff", i ? 3 : 4);
		n = app_session_parse(session, &in);
	}
	assert_int_equal(n, APP_PARSE_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(a_client_hello_shows_name_protocols_and_fingerprint),
		T(a_hello_is_found_wherever_it_is_cut),
		T(a_hello_in_records_of_one_byte_is_read),
		T(ja4_is_the_published_example),
		T(a_second_hello_changes_nothing),
		T(a_hello_of_ssl_2_is_seen),
		T(a_certificate_shows_who_for_how_long_and_what_for),
		T(a_certificate_is_read_wherever_it_is_cut),
		T(a_broken_certificate_is_an_event),
		T(encrypted_data_ends_the_handshake_and_is_stepped_over),
		T(a_record_is_due_once_the_certificate_is_known),
		T(a_session_without_hellos_is_not_recorded),
		T(heartbleed_is_an_event),
		T(what_is_no_record_is_an_event_and_ends_that_direction_alone),
		T(only_tls_is_recognised),
		T(refused_memory_stops_the_session_and_loses_nothing_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
