/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The worker's loop, fed by a backend of this test: every packet gets one verdict, the tally adds up, and nothing between
 * receiving a burst and giving its verdicts allocates memory.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "worker.h"

/* --- counting allocations (linked with --wrap) ------------------------------------------------------------------------ */

static bool in_burst;
static unsigned burst_allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void __wrap_free(void *p);

void *__wrap_malloc(size_t size)
{
	burst_allocations += in_burst;
	return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	burst_allocations += in_burst;
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	burst_allocations += in_burst;
	return __real_realloc(p, size);
}

void __wrap_free(void *p)
{
	burst_allocations += in_burst && p;
	__real_free(p);
}

/* --- frames ------------------------------------------------------------------------------------------------------------ */

#define FRAMES_MAX  4096
#define FRAME_BYTES 512

struct test_io {
	struct io io;
	uint8_t frames[FRAMES_MAX][FRAME_BYTES];
	uint32_t lens[FRAMES_MAX];
	unsigned count, next, injected;
	struct packet packets[IO_BURST_MAX];
	unsigned outstanding; /* received and not yet settled */
	unsigned verdicts[4];
	bool verdict_twice;
};

static struct test_io *wire;

static void add_tcp(uint16_t port, bool to_server, uint32_t seq, uint32_t ack, uint8_t flags, const char *data)
{
	uint8_t *f = wire->frames[wire->count];
	size_t len = strlen(data);
	assert_true(wire->count < FRAMES_MAX && 54 + len <= FRAME_BYTES);
	memset(f, 0, 54);
	f[0] = to_server ? 4 : 2;
	f[6] = to_server ? 2 : 4;
	f[12] = 8;
	f[14] = 0x45;
	store_be16(f + 16, (uint16_t)(40 + len));
	f[22] = 64;
	f[23] = 6;
	store_be32(f + 26, to_server ? 0x0a000001 : 0xc0a80009);
	store_be32(f + 30, to_server ? 0xc0a80009 : 0x0a000001);
	store_be16(f + 34, to_server ? port : 80);
	store_be16(f + 36, to_server ? 80 : port);
	store_be32(f + 38, seq);
	store_be32(f + 42, ack);
	f[46] = 0x50;
	f[47] = flags;
	store_be16(f + 48, 0xffff);
	memcpy(f + 54, data, len);
	wire->lens[wire->count++] = (uint32_t)(54 + len);
}

/* One HTTP exchange with its handshake and its end: ten frames. */
static void add_exchange(uint16_t port, const char *request)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
	uint32_t c = 1000, s = 5000, n = (uint32_t)strlen(request), m = sizeof(answer) - 1;
	add_tcp(port, true, c, 0, 0x02, "");
	add_tcp(port, false, s, c + 1, 0x12, "");
	add_tcp(port, true, c + 1, s + 1, 0x10, "");
	add_tcp(port, true, c + 1, s + 1, 0x18, request);
	add_tcp(port, false, s + 1, c + 1 + n, 0x10, "");
	add_tcp(port, false, s + 1, c + 1 + n, 0x18, answer);
	add_tcp(port, true, c + 1 + n, s + 1 + m, 0x10, "");
	add_tcp(port, true, c + 1 + n, s + 1 + m, 0x11, "");
	add_tcp(port, false, s + 1 + m, c + 2 + n, 0x11, "");
	add_tcp(port, true, c + 2 + n, s + 2 + m, 0x10, "");
}

/* --- the backend ------------------------------------------------------------------------------------------------------- */

static int test_receive(struct io *io, struct packet **pkts, unsigned max, unsigned wait_us)
{
	struct test_io *t = (struct test_io *)io;
	(void)wait_us;
	unsigned n = 0;
	if (t->next == t->count)
		return -ENODATA;
	for (; n < max && t->next < t->count; n++, t->next++) {
		struct packet *p = &t->packets[n];
		memset(p, 0, sizeof(*p));
		p->data = t->frames[t->next];
		p->len = p->wire_len = t->lens[t->next];
		p->ts_ns = 1700000000000000000ull + t->next * 1000000ull;
		p->number = t->next + 1;
		p->link_type = 1;
		pkts[n] = p;
	}
	t->outstanding += n;
	in_burst = true;
	return (int)n;
}

static void test_verdict(struct io *io, struct packet **pkts, unsigned n)
{
	struct test_io *t = (struct test_io *)io;
	in_burst = false;
	t->verdict_twice |= n > t->outstanding;
	t->outstanding -= n;
	for (unsigned i = 0; i < n; i++)
		t->verdicts[pkts[i]->verdict]++;
}

static int test_inject(struct io *io, const uint8_t *frame, size_t len, uint64_t ts_ns, uint16_t in_port,
		       uint16_t link_type, bool back)
{
	(void)frame, (void)len, (void)ts_ns, (void)in_port, (void)link_type, (void)back;
	((struct test_io *)io)->injected++;
	return 0;
}

static const struct io_ops test_ops = {
	.name = "test", .receive = test_receive, .verdict = test_verdict, .inject = test_inject};

/* --- a run -------------------------------------------------------------------------------------------------------------- */

struct run {
	struct config config;
	struct sigs_ruleset *ruleset;
	struct records *records;
	struct counters counters;
	struct worker *worker;
	char dir[64];
};

static void on_diagnostic(void *user, const struct sigs_diagnostic *d)
{
	(void)user;
	fail_msg("rule: %s", d->message);
}

static const struct sigs_env env = {.diagnostic = on_diagnostic};

static void run_start(struct run *r, bool inline_mode, const char *rules)
{
	char error[CONFIG_ERROR_MAX], path[128];
	memset(r, 0, sizeof(*r));
	snprintf(r->dir, sizeof(r->dir), "/tmp/sekisho-worker-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	assert_int_equal(config_init(&r->config, inline_mode), 0);
	r->config.checksum_validation = false;
	r->config.stream.segment_memory_bytes = r->config.stream.session_memory_bytes = 8 << 20;
	r->config.flow.memory_bytes = r->config.app.memory_bytes = 8 << 20;
	assert_int_equal(config_finish(&r->config, error), 0);
	struct sigs_builder *builder = sigs_builder_new(&env);
	assert_int_equal(sigs_add_rules(builder, "test.rules", rules, strlen(rules)), 0);
	r->ruleset = sigs_compile(builder, &r->config.sigs);
	sigs_builder_free(builder);
	assert_non_null(r->ruleset);
	r->records = records_open(&r->config, r->dir, error);
	assert_non_null(r->records);
	snprintf(path, sizeof(path), "%s/eve.json", r->dir);
	assert_int_equal(access(path, R_OK), 0);
	wire = calloc(1, sizeof(*wire));
	wire->io.ops = &test_ops;
	const struct worker_config config = {
		.config = &r->config, .io = &wire->io, .records = r->records, .ruleset = r->ruleset, .env = &env};
	r->worker = worker_new(&config, &r->counters, error);
	assert_non_null(r->worker);
}

static void run_end(struct run *r)
{
	char path[128];
	in_burst = false;
	worker_free(r->worker);
	assert_int_equal(records_close(r->records), 0);
	sigs_ruleset_free(r->ruleset);
	config_free(&r->config);
	snprintf(path, sizeof(path), "%s/eve.json", r->dir);
	unlink(path);
	rmdir(r->dir);
	free(wire);
}

static const char request[] = "GET /evil HTTP/1.1\r\nHost: a.example\r\n\r\n";
static const char plain[] = "GET /good HTTP/1.1\r\nHost: a.example\r\n\r\n";

static void every_packet_gets_one_verdict(void **state)
{
	(void)state;
	struct run r;
	run_start(&r, false, "alert http any any -> any any (msg:\"x\"; http.uri; content:\"/evil\"; sid:1;)\n");
	for (uint16_t i = 0; i < 100; i++)
		add_exchange((uint16_t)(2000 + i), i % 2 ? request : plain);
	assert_int_equal(worker_run(r.worker), 0);
	assert_false(wire->verdict_twice);
	assert_int_equal(wire->outstanding, 0);
	assert_int_equal(wire->verdicts[VERDICT_FORWARD], 1000);
	assert_int_equal(r.worker->tally.received, 1000);
	assert_int_equal(r.worker->tally.forwarded, 1000);
	assert_int_equal(r.worker->tally.alerts, 50);
	run_end(&r);
}

static void a_drop_ends_the_flow_and_the_tally_adds_up(void **state)
{
	(void)state;
	struct run r;
	run_start(&r, true, "drop http any any -> any any (msg:\"x\"; http.uri; content:\"/evil\"; sid:1;)\n");
	add_exchange(2000, request);
	add_exchange(2001, plain);
	assert_int_equal(worker_run(r.worker), 0);
	const struct worker_tally *t = &r.worker->tally;
	/* the handshake passes; the request and all after it do not */
	assert_int_equal(wire->verdicts[VERDICT_DROP], 7);
	assert_int_equal(t->received, 20);
	assert_int_equal(t->forwarded, 13);
	assert_int_equal(t->dropped, 7);
	assert_int_equal(r.counters.drop[DROP_RULES], 1);
	assert_int_equal(r.counters.drop[DROP_FLOW_DROP], 6);
	run_end(&r);
}

static void a_reject_is_answered_once_to_each_side(void **state)
{
	(void)state;
	struct run r;
	run_start(&r, true, "rejectboth http any any -> any any (msg:\"x\"; http.uri; content:\"/evil\"; sid:1;)\n");
	add_exchange(2000, request);
	assert_int_equal(worker_run(r.worker), 0);
	assert_int_equal(wire->injected, 2);
	assert_int_equal(r.worker->tally.rejects, 2);
	run_end(&r);
}

static void nothing_is_allocated_while_packets_are_judged(void **state)
{
	(void)state;
	struct run r;
	run_start(&r, false,
		  "alert http any any -> any any (msg:\"x\"; flow:established,to_server; http.uri; content:\"/evil\"; "
		  "pcre:\"/ev[a-z]l/U\"; sid:1;)\n"
		  "alert tcp any any -> any any (msg:\"y\"; content:\"hello\"; sid:2;)\n");
	for (uint16_t i = 0; i < 400; i++)
		add_exchange((uint16_t)(2000 + i), request);
	burst_allocations = 0;
	assert_int_equal(worker_run(r.worker), 0);
	assert_int_equal(r.worker->tally.alerts, 800);
	assert_int_equal(burst_allocations, 0);
	run_end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_packet_gets_one_verdict),
		cmocka_unit_test(a_drop_ends_the_flow_and_the_tally_adds_up),
		cmocka_unit_test(a_reject_is_answered_once_to_each_side),
		cmocka_unit_test(nothing_is_allocated_while_packets_are_judged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
