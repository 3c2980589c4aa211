/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "app/http.h"
#include "app/protos.h"

struct side {
	uint8_t held[1 << 16];
	size_t len;
};

static struct counters counters;
static struct app_config config;
static struct app_engine *engine;
static struct app_session *session;
static struct side sides[2];

static int setup(void **state)
{
	(void)state;
	app_config_defaults(&config, false);
	config.file_hashes = true;
	engine = app_engine_new(&config, &counters);
	session = app_session_new(engine, &app_http, NULL);
	memset(sides, 0, sizeof(sides));
	return session ? 0 : -1;
}

static int teardown(void **state)
{
	struct slab *slab = app_slab(session);

	(void)state;
	app_session_delete(session);
	assert_int_equal(slab_used_bytes(slab), 0);
	app_engine_free(engine);
	return 0;
}

/* Shows what was left before and `len` new bytes, as the stream would. */
static int64_t feed(enum direction dir, const void *data, size_t len, uint32_t gap, bool eof)
{
	struct side *side = &sides[dir];
	struct app_input input = {.dir = dir, .gap = gap, .eof = eof};
	int64_t taken;

	assert_true(side->len + len <= sizeof(side->held));
	if (len)
		memcpy(side->held + side->len, data, len);
	side->len += len;
	input.data = (struct bytes){.data = side->held, .len = side->len};
	taken = app_session_parse(session, &input);
	if (taken > 0) {
		side->len -= (size_t)taken;
		memmove(side->held, side->held + taken, side->len);
	}
	return taken;
}

static void client(const char *text)
{
	assert_true(feed(TO_SERVER, text, strlen(text), 0, false) >= 0);
}

static void server(const char *text)
{
	assert_true(feed(TO_CLIENT, text, strlen(text), 0, false) >= 0);
}

static void server_closes(void)
{
	assert_true(feed(TO_CLIENT, NULL, 0, 0, true) >= 0);
}

static struct app_tx *tx_number(unsigned n)
{
	struct app_tx *tx = app_session_tx_first(session);

	while (n-- > 0 && tx)
		tx = tx->next;
	assert_non_null(tx);
	return tx;
}

static bool look(unsigned tx_index, const char *name, enum direction dir, unsigned index, struct bytes *view)
{
	const struct app_tx *tx = tx_number(tx_index);
	uint64_t offset;

	for (const struct app_buffer *b = app_http.buffers; b->name; b++)
		if (strcmp(b->name, name) == 0 && b->dir == dir)
			return tx->progress[dir] >= b->progress && b->get(session, tx, dir, index, view, &offset);
	fail_msg("no buffer %s", name);
	return false;
}

static void assert_buffer_at(unsigned tx_index, const char *name, enum direction dir, unsigned index, const char *want)
{
	struct bytes view;

	if (!look(tx_index, name, dir, index, &view))
		fail_msg("%s has nothing", name);
	if (view.len != strlen(want) || memcmp(view.data, want, view.len) != 0)
		fail_msg("%s: \"%.*s\", want \"%s\"", name, (int)view.len, (const char *)view.data, want);
}

static void assert_buffer(const char *name, enum direction dir, const char *want)
{
	assert_buffer_at(0, name, dir, 0, want);
}

static void assert_nothing(const char *name, enum direction dir)
{
	struct bytes view;

	assert_false(look(0, name, dir, 0, &view));
}

static bool has_event(unsigned tx_index, enum http_event event)
{
	return tx_number(tx_index)->events[event >> 6] >> (event & 63) & 1;
}

static void assert_body(const char *response_head_and_body, const char *want)
{
	client("GET /f HTTP/1.1\r\nHost: h\r\n\r\n");
	server(response_head_and_body);
	server_closes();
	assert_buffer("file.data", TO_CLIENT, want);
}

/* --- buffers ----------------------------------------------------------------------------------------------------------- */

#define REQUEST                                                                                                        \
	"GET /a/../b%20c?x=%41+y HTTP/1.1\r\nHost: Example.ORG:81\r\nUser-Agent:  tester \r\nCookie: k=v\r\n"          \
	"Accept: */*\r\naccept: text/html\r\n\r\n"

static void assert_request_buffers(void)
{
	assert_buffer("http.method", TO_SERVER, "GET");
	assert_buffer("http.uri", TO_SERVER, "/b c?x=A+y");
	assert_buffer("http.uri.raw", TO_SERVER, "/a/../b%20c?x=%41+y");
	assert_buffer("http.protocol", TO_SERVER, "HTTP/1.1");
	assert_buffer("http.request_line", TO_SERVER, "GET /a/../b%20c?x=%41+y HTTP/1.1");
	assert_buffer("http.host", TO_SERVER, "example.org");
	assert_buffer("http.host.raw", TO_SERVER, "Example.ORG:81");
	assert_buffer("http.user_agent", TO_SERVER, "tester");
	assert_buffer("http.cookie", TO_SERVER, "k=v");
	assert_buffer("http.accept", TO_SERVER, "*/*, text/html");
	assert_buffer("http.header", TO_SERVER,
		      "Host: Example.ORG:81\r\nUser-Agent: tester\r\nAccept: */*, text/html\r\n");
	assert_buffer("http.header.raw", TO_SERVER,
		      "Host: Example.ORG:81\r\nUser-Agent:  tester \r\nCookie: k=v\r\nAccept: */*\r\naccept: "
		      "text/html\r\n\r\n");
	assert_buffer("http.header_names", TO_SERVER, "\r\nHost\r\nUser-Agent\r\nCookie\r\nAccept\r\n\r\n");
	assert_buffer("http.start", TO_SERVER,
		      "GET /a/../b%20c?x=%41+y HTTP/1.1\r\nHost: Example.ORG:81\r\nUser-Agent: tester\r\nCookie: "
		      "k=v\r\nAccept: */*, text/html\r\n\r\n");
	assert_buffer_at(0, "http.request_header", TO_SERVER, 2, "Cookie: k=v");
	assert_nothing("http.referer", TO_SERVER);
	assert_true(has_event(0, HTTP_EVENT_REQUEST_HEADER_REPETITION));
}

static void a_request_shows_its_buffers(void **state)
{
	(void)state;
	client(REQUEST);
	assert_request_buffers();
	assert_int_equal(tx_number(0)->progress[TO_SERVER], HTTP_COMPLETE);
}

static void segment_borders_do_not_matter(void **state)
{
	(void)state;
	for (const char *p = REQUEST; *p; p++)
		assert_true(feed(TO_SERVER, p, 1, 0, false) >= 0);
	assert_request_buffers();
}

static void buffers_come_with_progress(void **state)
{
	(void)state;
	client("GET /x HTTP/1.1\r\nHost: h");
	assert_int_equal(tx_number(0)->progress[TO_SERVER], HTTP_LINE);
	assert_buffer("http.uri", TO_SERVER, "/x");
	assert_nothing("http.header", TO_SERVER);
	client("\r\n\r\n");
	assert_buffer("http.header", TO_SERVER, "Host: h\r\n");
}

static void a_response_shows_its_buffers(void **state)
{
	(void)state;
	client("GET /dir/file.bin HTTP/1.1\r\nHost: h\r\n\r\n");
	server("HTTP/1.0 404 Not Found\r\nServer: s\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nLocation: /l\r\n"
	       "Content-Type: text/plain; x\r\nContent-Length: 4\r\n\r\nbody");
	assert_buffer("http.stat_code", TO_CLIENT, "404");
	assert_buffer("http.stat_msg", TO_CLIENT, "Not Found");
	assert_buffer("http.response_line", TO_CLIENT, "HTTP/1.0 404 Not Found");
	assert_buffer("http.server", TO_CLIENT, "s");
	assert_buffer("http.cookie", TO_CLIENT, "a, b");
	assert_buffer("http.location", TO_CLIENT, "/l");
	assert_buffer("http.content_type", TO_CLIENT, "text/plain; x");
	assert_buffer("http.content_len", TO_CLIENT, "4");
	assert_buffer("http.response_body", TO_CLIENT, "body");
	assert_buffer("file.data", TO_CLIENT, "body");
	assert_buffer("file.name", TO_CLIENT, "/dir/file.bin");
	assert_int_equal(tx_number(0)->progress[TO_CLIENT], HTTP_COMPLETE);
}

/* --- deformed messages ---------------------------------------------------------------------------------------------------- */

static void request_lines_are_read_leniently(void **state)
{
	(void)state;
	client("\r\n GET\t/a b HTTP/ 01.1\r\nHost: h\r\n\r\n");
	assert_buffer("http.method", TO_SERVER, "GET");
	assert_true(has_event(0, HTTP_EVENT_REQUEST_LINE_LEADING_WHITESPACE));
	assert_true(has_event(0, HTTP_EVENT_METHOD_DELIM_NON_COMPLIANT));
	assert_buffer("http.uri", TO_SERVER, "/a b HTTP/"); /* behind the last space stands the protocol */
	assert_buffer("http.protocol", TO_SERVER, "01.1");
}

static void a_uri_encoded_twice_is_an_event(void **state)
{
	(void)state;
	client("GET /%2561?%20 HTTP/1.1\r\nHost: h\r\n\r\nGET /%61?100%25 HTTP/1.1\r\nHost: h\r\n\r\n");
	assert_true(has_event(0, HTTP_EVENT_DOUBLE_ENCODED_URI));
	assert_false(has_event(1, HTTP_EVENT_DOUBLE_ENCODED_URI));
}

static void a_line_without_protocol_may_have_a_header(void **state)
{
	(void)state;
	client("GET /\r\nHost: h\r\n\r\n");
	assert_true(has_event(0, HTTP_EVENT_REQUEST_LINE_MISSING_PROTOCOL));
	assert_buffer("http.host", TO_SERVER, "h");
}

static void an_old_request_is_answered_by_a_bare_body(void **state)
{
	(void)state;
	client("GET /old\r\n");
	server("HTTP/1.1 is part of this");
	server_closes();
	assert_buffer("file.data", TO_CLIENT, "HTTP/1.1 is part of this");
	assert_nothing("http.stat_code", TO_CLIENT);
}

static void foldings_join_a_value(void **state)
{
	(void)state;
	client("GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\tc\r\n\r\n");
	assert_buffer("http.header", TO_SERVER, "Host: h\r\nX: a b\tc\r\n");
	server("HTTP/1.1 200 ok\r\nX: a\r\n b\r\n Content-Length: 2\r\n\r\nokmore");
	assert_buffer("http.content_len", TO_CLIENT, "2");
	assert_true(has_event(0, HTTP_EVENT_RESPONSE_BODY_UNEXPECTED) == false);
}

static void line_ends_of_all_kinds_end_response_lines(void **state)
{
	(void)state;
	assert_body("HTTP/1.1 200 ok\n\rA: 1\rContent-Length: 3\n\n\rabc", "abc");
	assert_buffer("http.content_len", TO_CLIENT, "3");
}

static void a_field_without_colon_is_an_event(void **state)
{
	(void)state;
	client("GET / HTTP/1.1\r\nHost: h\r\nnonsense\r\n: v\r\nbad name: x\r\n\r\n");
	assert_true(has_event(0, HTTP_EVENT_REQUEST_FIELD_MISSING_COLON));
	assert_true(has_event(0, HTTP_EVENT_REQUEST_INVALID_EMPTY_NAME));
	assert_true(has_event(0, HTTP_EVENT_REQUEST_HEADER_INVALID));
}

static void hosts_are_compared(void **state)
{
	(void)state;
	client("GET http://one.example/x?y HTTP/1.1\r\nHost: two.example\r\n\r\n"
	       "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: [::bad\r\nAuthorization: Magic x\r\n\r\n");
	assert_buffer("http.uri", TO_SERVER, "/x?y");
	assert_buffer("http.host", TO_SERVER, "one.example");
	assert_true(has_event(0, HTTP_EVENT_HOST_HEADER_AMBIGUOUS));
	assert_true(has_event(1, HTTP_EVENT_MISSING_HOST_HEADER));
	assert_true(has_event(2, HTTP_EVENT_REQUEST_HEADER_HOST_INVALID));
	assert_true(has_event(2, HTTP_EVENT_REQUEST_AUTH_UNRECOGNIZED));
}

static void an_empty_host_is_none(void **state)
{
	(void)state;
	client("CONNECT / HTTP/1.1\r\nHost:\r\n\r\n");
	assert_nothing("http.host", TO_SERVER);
	assert_false(has_event(0, HTTP_EVENT_REQUEST_URI_HOST_INVALID));
}

static void an_endless_line_ends_parsing(void **state)
{
	static char line[HTTP_FIELD_MAX + 100];

	(void)state;
	memset(line, 'a', sizeof(line));
	memcpy(line, "GET /", 5);
	assert_int_equal(feed(TO_SERVER, line, sizeof(line), 0, false), APP_PARSE_FAILED);
	assert_true(has_event(0, HTTP_EVENT_REQUEST_FIELD_TOO_LONG));
}

/* --- bodies ------------------------------------------------------------------------------------------------------------------ */

static void chunks_are_joined(void **state)
{
	(void)state;
	assert_body("HTTP/1.1 200 ok\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n\r\n 2 \r\nde\r\n0\r\nT: "
		    "1\r\n\r\n",
		    "abcde");
	assert_true(has_event(0, HTTP_EVENT_RESPONSE_CHUNK_EXTENSION));
	assert_int_equal(tx_number(0)->progress[TO_CLIENT], HTTP_COMPLETE);
}

static void false_chunks_are_a_body(void **state)
{
	(void)state;
	assert_body("HTTP/1.0 200 ok\r\nTransfer-Encoding: xchunked\r\n\r\nplain text", "plain text");
	assert_true(has_event(0, HTTP_EVENT_INVALID_RESPONSE_CHUNK_LEN));
	assert_true(has_event(0, HTTP_EVENT_RESPONSE_CHUNKED_OLD_PROTO));
	assert_true(has_event(0, HTTP_EVENT_RESPONSE_ABNORMAL_TRANSFER_ENCODING));
}

static void chunks_outweigh_a_length(void **state)
{
	(void)state;
	assert_body("HTTP/1.1 200 ok\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
		    "abcd");
}

static void interim_responses_are_skipped(void **state)
{
	(void)state;
	assert_body(
		"HTTP/1.1 100 Continue\r\nX: 1\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ok\r\nContent-Length: "
		"1\r\n\r\nz",
		"z");
	assert_true(has_event(0, HTTP_EVENT_CONTINUE_ALREADY_SEEN));
	assert_buffer("http.stat_code", TO_CLIENT, "200");
}

static void a_response_to_head_has_no_body(void **state)
{
	(void)state;
	client("HEAD / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
	server("HTTP/1.1 200 ok\r\nContent-Length: 100\r\n\r\nHTTP/1.1 201 made\r\nContent-Length: 0\r\n\r\n");
	assert_buffer_at(1, "http.stat_code", TO_CLIENT, 0, "201");
}

static void pipelined_answers_meet_their_questions(void **state)
{
	(void)state;
	client("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\nGET /3 HTTP/1.1\r\nHost: "
	       "h\r\n\r\n");
	server("HTTP/1.1 200 ok\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 ok\r\nContent-Length: 1\r\n\r\nb");
	assert_buffer_at(0, "file.data", TO_CLIENT, 0, "a");
	assert_buffer_at(1, "file.data", TO_CLIENT, 0, "b");
	assert_buffer_at(2, "http.uri", TO_SERVER, 0, "/3");
	assert_int_equal(tx_number(2)->progress[TO_CLIENT], HTTP_STARTED);
}

static void an_answer_without_question_is_an_event(void **state)
{
	(void)state;
	server("HTTP/1.1 200 ok\r\nContent-Length: 1\r\n\r\na");
	assert_true(has_event(0, HTTP_EVENT_UNABLE_TO_MATCH_RESPONSE_TO_REQUEST));
	assert_buffer("http.response_body", TO_CLIENT, "a");
}

static size_t gzip(const char *text, uint8_t *out, size_t cap)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)text,
		      .avail_in = (uInt)strlen(text),
		      .next_out = out,
		      .avail_out = (uInt)cap};

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return cap - z.avail_out;
}

static void encoded_bodies_are_decoded(void **state)
{
	uint8_t packed[256];
	size_t len = gzip("what was hidden", packed, sizeof(packed));

	(void)state;
	client("GET /z HTTP/1.1\r\nHost: h\r\n\r\n");
	server("HTTP/1.1 200 ok\r\nContent-Encoding: Gzip\r\n\r\n");
	for (size_t i = 0; i < len; i++)
		assert_int_equal(feed(TO_CLIENT, packed + i, 1, 0, false), 1);
	assert_buffer("http.response_body", TO_CLIENT, "what was hidden");
}

static void too_many_encodings_are_an_event(void **state)
{
	(void)state;
	assert_body("HTTP/1.1 200 ok\r\nContent-Encoding: none, none, none, gzip\r\n\r\nplain", "plain");
	assert_true(has_event(0, HTTP_EVENT_TOO_MANY_ENCODING_LAYERS));
}

static void a_hole_in_a_body_is_gone_over(void **state)
{
	struct bytes view;

	(void)state;
	client("GET /f HTTP/1.1\r\nHost: h\r\n\r\nGET /g HTTP/1.1\r\nHost: h\r\n\r\n");
	server("HTTP/1.1 200 ok\r\nContent-Length: 10\r\n\r\nabc");
	assert_true(feed(TO_CLIENT, "hijHTTP/1.1 201 x\r\n", 19, 4, false) >= 0);
	assert_true(look(0, "file.data", TO_CLIENT, 0, &view));
	assert_int_equal(view.len, 3);
	assert_memory_equal(view.data, "hij", 3);
	assert_true(tx_number(0)->files->gaps);
	assert_buffer_at(1, "http.stat_code", TO_CLIENT, 0, "201");
}

static void after_a_hole_in_a_header_a_new_message_is_sought(void **state)
{
	(void)state;
	client("GET /f HTTP/1.1\r\nHost");
	assert_true(feed(TO_SERVER, "rest: x\r\n\r\nGET /next HTTP/1.1\r\nHost: n\r\n\r\n", 42, 100, false) >= 0);
	assert_true(has_event(0, HTTP_EVENT_INVALID_GAP));
	assert_buffer_at(1, "http.uri", TO_SERVER, 0, "/next");
}

static void a_body_is_kept_to_its_limit(void **state)
{
	static char block[4096];
	struct bytes view;

	(void)state;
	memset(block, 'x', sizeof(block));
	client("GET /big HTTP/1.1\r\nHost: h\r\n\r\n");
	server("HTTP/1.1 200 ok\r\nContent-Length: 204800\r\n\r\n");
	for (int i = 0; i < 50; i++)
		assert_int_equal(feed(TO_CLIENT, block, sizeof(block), 0, false), sizeof(block));
	assert_true(look(0, "http.response_body", TO_CLIENT, 0, &view));
	assert_int_equal(view.len, config.http_response_body_limit);
	assert_int_equal(tx_number(0)->files->state, APP_FILE_TRUNCATED);
	assert_int_equal(tx_number(0)->progress[TO_CLIENT], HTTP_COMPLETE);
}

/* --- files --------------------------------------------------------------------------------------------------------------------- */

static void a_file_is_named_by_its_disposition_and_hashed(void **state)
{
	static const uint8_t md5_of_abc[16] = {0x90, 0x01, 0x50, 0x98, 0x3c, 0xd2, 0x4f, 0xb0,
					       0xd6, 0x96, 0x3f, 0x7d, 0x28, 0xe1, 0x7f, 0x72};
	const struct app_file *file;

	(void)state;
	assert_body("HTTP/1.1 206 ok\r\nContent-Disposition: attachment; FileName=\"a;b.exe\"\r\nContent-Range: bytes "
		    "3-5/9\r\nContent-Length: 3\r\n\r\nabc",
		    "abc");
	assert_buffer("file.name", TO_CLIENT, "a;b.exe");
	file = tx_number(0)->files;
	assert_int_equal(file->state, APP_FILE_CLOSED);
	assert_int_equal(file->size, 3);
	assert_true(file->hashed);
	assert_memory_equal(file->md5, md5_of_abc, 16);
	assert_true(file->has_range);
	assert_int_equal(file->range_start, 3);
	assert_int_equal(file->range_size, 9);
}

static void a_broken_off_file_is_truncated(void **state)
{
	(void)state;
	assert_body("HTTP/1.1 200 ok\r\nContent-Length: 30\r\n\r\nabc", "abc");
	assert_int_equal(tx_number(0)->files->state, APP_FILE_TRUNCATED);
	assert_false(tx_number(0)->files->hashed);
}

static void a_put_body_is_a_file(void **state)
{
	(void)state;
	client("PUT /store/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n");
	assert_buffer("file.data", TO_SERVER, "ab");
	assert_buffer("file.name", TO_SERVER, "/store/x");
	assert_buffer("http.request_body", TO_SERVER, "ab");
}

#define UPLOAD                                                                                                         \
	"--bnd\r\nContent-Disposition: form-data; name=\"t\"\r\n\r\njust text\r\n"                                     \
	"--bnd\r\nContent-Disposition: form-data; name=\"f\"; filename=\"one.txt\"\r\nContent-Type: x\r\n\r\n"         \
	"first\r\n--bn not yet\r\n--bnd\r\nContent-Disposition: form-data; "                                           \
	"filename=two.txt\r\n\r\nsecond\r\n--bnd--\r\n"

static void uploaded_files_are_found_at_any_border(void **state)
{
	char head[200];

	(void)state;
	snprintf(head, sizeof(head),
		 "POST /up HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; "
		 "boundary=\"bnd\"\r\nContent-Length: "
		 "%zu\r\n\r\n",
		 strlen(UPLOAD));
	client(head);
	for (const char *p = UPLOAD; *p; p++)
		assert_true(feed(TO_SERVER, p, 1, 0, false) >= 0);
	assert_buffer_at(0, "file.name", TO_SERVER, 0, "one.txt");
	assert_buffer_at(0, "file.data", TO_SERVER, 0, "first\r\n--bn not yet");
	assert_buffer_at(0, "file.name", TO_SERVER, 1, "two.txt");
	assert_buffer_at(0, "file.data", TO_SERVER, 1, "second");
	assert_int_equal(tx_number(0)->files->state, APP_FILE_CLOSED);
	assert_buffer("http.request_body", TO_SERVER, UPLOAD);
}

/* --- other protocols --------------------------------------------------------------------------------------------------------------- */

static void an_accepted_connect_hands_over(void **state)
{
	(void)state;
	client("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n");
	client("\x16\x03\x01");
	server("HTTP/1.1 200 ok\r\n\r\n");
	assert_int_equal(tx_number(0)->progress[TO_SERVER], HTTP_COMPLETE);
	assert_int_equal(feed(TO_SERVER, NULL, 0, 0, false), APP_PARSE_SWITCH);
}

static void a_refused_connect_goes_on(void **state)
{
	(void)state;
	client("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\nGET /after HTTP/1.1\r\nHost: h\r\n\r\n");
	server("HTTP/1.1 403 no\r\nContent-Length: 0\r\n\r\n");
	client("");
	assert_buffer_at(1, "http.uri", TO_SERVER, 0, "/after");
}

static void an_upgrade_hands_over(void **state)
{
	(void)state;
	client("GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n");
	server("HTTP/1.1 101 go\r\nUpgrade: websocket\r\n\r\n\x81");
	assert_int_equal(feed(TO_CLIENT, "\x01", 1, 0, false), APP_PARSE_SWITCH);
	assert_int_equal(feed(TO_SERVER, "\x81", 1, 0, false), APP_PARSE_SWITCH);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_request_shows_its_buffers),
		TEST(segment_borders_do_not_matter),
		TEST(buffers_come_with_progress),
		TEST(a_response_shows_its_buffers),
		TEST(request_lines_are_read_leniently),
		TEST(a_uri_encoded_twice_is_an_event),
		TEST(a_line_without_protocol_may_have_a_header),
		TEST(an_old_request_is_answered_by_a_bare_body),
		TEST(foldings_join_a_value),
		TEST(line_ends_of_all_kinds_end_response_lines),
		TEST(a_field_without_colon_is_an_event),
		TEST(hosts_are_compared),
		TEST(an_empty_host_is_none),
		TEST(an_endless_line_ends_parsing),
		TEST(chunks_are_joined),
		TEST(false_chunks_are_a_body),
		TEST(chunks_outweigh_a_length),
		TEST(interim_responses_are_skipped),
		TEST(a_response_to_head_has_no_body),
		TEST(pipelined_answers_meet_their_questions),
		TEST(an_answer_without_question_is_an_event),
		TEST(encoded_bodies_are_decoded),
		TEST(too_many_encodings_are_an_event),
		TEST(a_hole_in_a_body_is_gone_over),
		TEST(after_a_hole_in_a_header_a_new_message_is_sought),
		TEST(a_body_is_kept_to_its_limit),
		TEST(a_file_is_named_by_its_disposition_and_hashed),
		TEST(a_broken_off_file_is_truncated),
		TEST(a_put_body_is_a_file),
		TEST(uploaded_files_are_found_at_any_border),
		TEST(an_accepted_connect_hands_over),
		TEST(a_refused_connect_goes_on),
		TEST(an_upgrade_hands_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
