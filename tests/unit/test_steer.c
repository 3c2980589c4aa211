/* SPDX-License-Identifier: BSD-3-Clause */
/* Steering between workers' threads, over instances that make their own packets and check what comes back. */
#include <errno.h>
#include <pcap/dlt.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <dataplane/bytes.h>
#include <dataplane/io.h>

#include "io/steer.h"

#define WORKERS	    4
#define FLOWS	    97
#define FRAME_BYTES 64
#define UNSENT_EACH 50 /* one packet of so many meets a full ring */

struct fake_packet {
	struct packet pkt;
	uint8_t frame[FRAME_BYTES];
	bool out;
};

/* One instance's side of the wire. */
struct fake {
	struct io io;
	struct counters counters;
	unsigned worker;
	int event;	  /* ends a wait */
	uint64_t left;	  /* packets still to be made */
	int only_flow;	  /* or -1: all */
	int error_at_end; /* -errno, or 0: idle */
	uint32_t random;
	uint32_t sequence[FLOWS], seen[FLOWS];
	unsigned outstanding, most, next;
	uint64_t made, forwarded, replaced, dropped, held;
	atomic_uint receives;
	struct fake_packet pool[IO_OUTSTANDING_MAX];
};

/* One worker and its thread. */
struct lane {
	struct io *io;
	struct fake *fake;
	pthread_t thread;
	atomic_bool *stop;
	unsigned wait_us, pause_us;
	uint64_t received, forwarded, dropped, held;
	int result;
};

static struct {
	struct steer *steer;
	struct fake *fakes[WORKERS];
	struct lane lanes[WORKERS];
	atomic_int judge[FLOWS]; /* worker + 1 that saw the flow first */
	atomic_bool stop;
	atomic_uint wrong;
	atomic_uint_fast64_t judged, carried; /* verdicts given, and carried out */
	unsigned workers;
} lab;

static uint64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void pause_us(unsigned us)
{
	const struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * 1000};
	nanosleep(&t, NULL);
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* --- the wire ---------------------------------------------------------------------------------------------------------- */

/* UDP of a flow, in either direction; flow and sequence number stand in its payload. */
static void make_frame(uint8_t *f, unsigned flow, bool back, uint32_t sequence)
{
	memset(f, 0, FRAME_BYTES);
	store_be16(f + 12, 0x0800);
	f[14] = 0x45;
	store_be16(f + 16, FRAME_BYTES - 14);
	f[23] = 17;
	store_be32(f + (back ? 30 : 26), 0x0a000000 + flow);
	store_be32(f + (back ? 26 : 30), 0xc0a80001);
	store_be32(f + 42, flow);
	store_be32(f + 46, sequence);
}

static struct fake_packet *free_packet(struct fake *fake)
{
	for (unsigned i = 0; i < IO_OUTSTANDING_MAX; i++) {
		struct fake_packet *p = &fake->pool[fake->next++ % IO_OUTSTANDING_MAX];
		if (!p->out)
			return p;
	}
	return NULL;
}

static int fake_receive(struct io *io, struct packet **pkts, unsigned max, unsigned wait_us)
{
	struct fake *fake = (struct fake *)io;
	unsigned n = 0;
	atomic_fetch_add(&fake->receives, 1);
	if (fake->left == 0 && wait_us > 0) {
		struct pollfd fd = {.fd = fake->event, .events = POLLIN};
		const struct timespec t = {.tv_sec = wait_us / 1000000, .tv_nsec = (long)(wait_us % 1000000) * 1000};
		uint64_t rung;
		if (ppoll(&fd, 1, &t, NULL) > 0)
			(void)!read(fake->event, &rung, sizeof(rung));
	}
	for (; n < max && fake->left > 0; n++, fake->left--) {
		struct fake_packet *p = free_packet(fake);
		if (!p) {
			atomic_fetch_add(&lab.wrong, 1);
			break;
		}
		uint32_t r = next_random(&fake->random);
		unsigned flow = fake->only_flow >= 0 ? (unsigned)fake->only_flow : r % FLOWS;
		p->out = true;
		memset(&p->pkt, 0, sizeof(p->pkt));
		make_frame(p->frame, flow, r & 0x8000, fake->sequence[flow]++);
		p->pkt.data = p->frame;
		p->pkt.len = p->pkt.wire_len = FRAME_BYTES;
		p->pkt.link_type = DLT_EN10MB;
		p->pkt.backend[0] = (uintptr_t)p;
		p->pkt.backend[1] = r;
		pkts[n] = &p->pkt;
		count(&fake->counters, COUNTER_CAPTURE_PACKETS);
	}
	fake->made += n;
	fake->outstanding += n;
	if (fake->outstanding > fake->most)
		fake->most = fake->outstanding;
	return n > 0 ? (int)n : fake->error_at_end && fake->left == 0 ? fake->error_at_end : 0;
}

static void carry_out(struct fake *fake, struct packet *pkt)
{
	struct fake_packet *p = (struct fake_packet *)(uintptr_t)pkt->backend[0];
	unsigned flow = load_be32(p->frame + 42) % FLOWS;
	uint32_t sequence = load_be32(p->frame + 46);
	bool sent = pkt->verdict != VERDICT_DROP; /* what is dropped for want of room may overtake what was lent */
	if (&p->pkt != pkt || !p->out || (sent && fake->seen[flow] > sequence))
		atomic_fetch_add(&lab.wrong, 1);
	if (sent)
		fake->seen[flow] = sequence + 1;
	p->out = false;
	atomic_fetch_add(&lab.carried, 1);
	fake->outstanding--;
	switch (pkt->verdict) {
	case VERDICT_REPLACE:
		fake->replaced++;
		if (p->frame[50] != 0xaa)
			atomic_fetch_add(&lab.wrong, 1);
		/* fall through */
	case VERDICT_FORWARD:
		if (pkt->backend[1] % UNSENT_EACH == 0)
			fake->counters.drop[DROP_TX_FULL]++;
		else
			fake->forwarded++;
		return;
	case VERDICT_DROP:
		fake->dropped++;
		return;
	case VERDICT_HOLD:
		fake->held++;
	}
}

static void fake_verdict(struct io *io, struct packet **pkts, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		carry_out((struct fake *)io, pkts[i]);
}

static void fake_wake(struct io *io)
{
	const uint64_t one = 1;
	(void)!write(((struct fake *)io)->event, &one, sizeof(one));
}

static int fake_close(struct io *io, char *error)
{
	(void)io, (void)error; /* looked at afterwards; freed by the test */
	return 0;
}

static const struct io_ops fake_ops = {
	.name = "fake", .receive = fake_receive, .verdict = fake_verdict, .wake = fake_wake, .close = fake_close};
static const struct io_ops fake_deaf_ops = {
	.name = "deaf", .receive = fake_receive, .verdict = fake_verdict, .close = fake_close};

/* --- workers ----------------------------------------------------------------------------------------------------------- */

static void judge(struct lane *lane, struct packet *pkt)
{
	unsigned flow = load_be32(pkt->data + 42) % FLOWS, worker = lane->fake->worker;
	int nobody = 0;
	if (!atomic_compare_exchange_strong(&lab.judge[flow], &nobody, (int)worker + 1) && nobody != (int)worker + 1)
		atomic_fetch_add(&lab.wrong, 1);
	switch (load_be32(pkt->data + 46) % 8) {
	case 0:
		pkt->verdict = VERDICT_DROP;
		pkt->drop_reason = DROP_RULES;
		lane->fake->counters.drop[DROP_RULES]++;
		lane->dropped++;
		break;
	case 1:
		pkt->verdict = VERDICT_HOLD;
		lane->held++;
		break;
	case 2:
		pkt->verdict = VERDICT_REPLACE;
		pkt->data[50] = 0xaa;
		lane->forwarded++;
		break;
	default:
		pkt->verdict = VERDICT_FORWARD;
		lane->forwarded++;
	}
}

static void *lane_main(void *user)
{
	struct lane *lane = user;
	struct packet *pkts[IO_BURST_MAX];
	int n;
	while ((n = io_receive(lane->io, pkts, IO_BURST_MAX, lane->wait_us)) >= 0) {
		for (int i = 0; i < n; i++)
			judge(lane, pkts[i]);
		lane->received += (unsigned)n;
		if (n > 0)
			io_verdict(lane->io, pkts, (unsigned)n);
		atomic_fetch_add(&lab.judged, (unsigned)n);
		if (lane->pause_us && !atomic_load(lane->stop))
			pause_us(lane->pause_us);
		if (atomic_load(lane->stop) && io_finish(lane->io))
			break;
	}
	lane->result = n;
	return NULL;
}

static void open_lab(unsigned workers, uint64_t packets_each, bool deaf)
{
	memset(&lab, 0, sizeof(lab));
	lab.workers = workers;
	lab.steer = steer_new(workers);
	assert_non_null(lab.steer);
	for (unsigned i = 0; i < workers; i++) {
		struct fake *fake = calloc(1, sizeof(*fake));
		assert_non_null(fake);
		fake->io.ops = deaf ? &fake_deaf_ops : &fake_ops;
		fake->worker = i;
		fake->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		fake->left = packets_each;
		fake->only_flow = -1;
		fake->random = i * 77 + 5;
		lab.fakes[i] = fake;
		lab.lanes[i] = (struct lane){.fake = fake, .stop = &lab.stop, .wait_us = 1000};
		lab.lanes[i].io = steer_io(lab.steer, i, &fake->io, &fake->counters);
		assert_non_null(lab.lanes[i].io);
	}
}

static void start(unsigned worker)
{
	assert_int_equal(pthread_create(&lab.lanes[worker].thread, NULL, lane_main, &lab.lanes[worker]), 0);
}

static void stop_all(unsigned started)
{
	atomic_store(&lab.stop, true);
	for (unsigned i = 0; i < started; i++)
		pthread_join(lab.lanes[i].thread, NULL);
}

static void wait_carried(uint64_t n)
{
	uint64_t end = now_ms() + 60000;
	while (atomic_load(&lab.carried) < n) {
		assert_true(now_ms() < end);
		pause_us(1000);
	}
}

static void wait_judged(uint64_t n)
{
	uint64_t end = now_ms() + 60000;
	while (atomic_load(&lab.judged) < n) {
		assert_true(now_ms() < end);
		pause_us(1000);
	}
}

static void close_lab(void)
{
	for (unsigned i = 0; i < lab.workers; i++)
		lab.lanes[i].io->ops->close(lab.lanes[i].io, NULL);
	steer_free(lab.steer);
	for (unsigned i = 0; i < lab.workers; i++) {
		assert_int_equal(lab.fakes[i]->outstanding, 0);
		assert_true(lab.fakes[i]->most <= IO_OUTSTANDING_MAX);
		close(lab.fakes[i]->event);
		free(lab.fakes[i]);
	}
	assert_int_equal(lab.wrong, 0);
}

/* Every worker's drops have reasons, and all packets are accounted for. */
static void check_sums(void)
{
	uint64_t made = 0, judged = 0, refused = 0, sent = 0, forwarded = 0, unsent = 0, held = 0, got_held = 0;
	for (unsigned i = 0; i < lab.workers; i++) {
		struct counters *c = &lab.fakes[i]->counters;
		struct lane *lane = &lab.lanes[i];
		made += lab.fakes[i]->made;
		sent += lab.fakes[i]->forwarded;
		got_held += lab.fakes[i]->held;
		judged += lane->received;
		forwarded += lane->forwarded;
		held += lane->held;
		refused += c->value[COUNTER_CAPTURE_REFUSED];
		unsent += c->drop[DROP_TX_FULL];
		assert_true(c->drop[DROP_TX_FULL] <= lane->forwarded);
		assert_int_equal(c->value[COUNTER_CAPTURE_REFUSED], c->drop[DROP_OVERLOAD] + c->drop[DROP_BACKEND]);
		assert_int_equal(lane->received, lane->forwarded + lane->dropped + lane->held);
	}
	assert_int_equal(made, judged + refused);
	assert_int_equal(forwarded, sent + unsent);
	assert_int_equal(held, got_held);
}

/* --- tests ------------------------------------------------------------------------------------------------------------- */

static void flow_has_one_judge_and_stays_in_order(void **state)
{
	(void)state;
	enum { EACH = 40000 };
	open_lab(WORKERS, EACH, false);
	for (unsigned i = 0; i < WORKERS; i++)
		start(i);
	wait_judged(EACH * WORKERS / 2);
	stop_all(WORKERS);
	uint64_t steered = 0, unsent = 0, judges = 0;
	for (unsigned i = 0; i < WORKERS; i++) {
		steered += lab.fakes[i]->counters.value[COUNTER_CAPTURE_STEERED];
		unsent += lab.fakes[i]->counters.drop[DROP_TX_FULL];
		judges += lab.lanes[i].received > 0;
		assert_int_equal(lab.fakes[i]->outstanding, 0); /* all came back before the end, not by closing */
	}
	assert_true(steered > EACH);
	assert_true(unsent > 0);
	assert_int_equal(judges, WORKERS);
	check_sums();
	close_lab();
}

/* A flow that worker 0 judges in a lab of two; or one that it does not. */
static int flow_of(unsigned wanted)
{
	int found = -1;
	for (int flow = 0; flow < FLOWS && found < 0; flow++) {
		open_lab(2, 0, false);
		lab.fakes[0]->only_flow = flow;
		lab.fakes[0]->left = 1;
		for (unsigned i = 0; i < 2; i++)
			start(i);
		wait_judged(1);
		stop_all(2);
		if (lab.lanes[wanted].received == 1)
			found = flow;
		close_lab();
	}
	assert_true(found >= 0);
	return found;
}

static void slow_judge_costs_only_its_own(void **state)
{
	(void)state;
	enum { EACH = 20000 };
	open_lab(2, EACH, false);
	lab.fakes[1]->left = 0;
	lab.lanes[1].pause_us = 50000;
	start(0);
	start(1);
	wait_carried(EACH);
	stop_all(2);
	assert_true(lab.fakes[0]->counters.drop[DROP_OVERLOAD] > 0);
	assert_int_equal(lab.fakes[0]->left, 0);
	assert_int_equal(lab.lanes[0].received + lab.lanes[1].received + lab.fakes[0]->counters.drop[DROP_OVERLOAD],
			 EACH);
	/* what is the quick worker's own was all judged */
	assert_int_equal(lab.lanes[0].received, EACH - lab.fakes[0]->counters.value[COUNTER_CAPTURE_STEERED] -
							lab.fakes[0]->counters.drop[DROP_OVERLOAD]);
	check_sums();
	close_lab();
}

/* Slower than what comes, but never still for STEER_PATIENCE_NS. */
static uint64_t lost_in_short_stall(int flow)
{
	open_lab(2, 0, false);
	lab.fakes[0]->only_flow = flow;
	lab.fakes[0]->left = STEER_LENT_MAX * 3;
	lab.lanes[1].pause_us = 100;
	start(0);
	start(1);
	wait_carried(STEER_LENT_MAX * 3);
	stop_all(2);
	uint64_t lost = lab.fakes[0]->counters.drop[DROP_OVERLOAD];
	assert_int_equal(lab.lanes[1].received + lost, STEER_LENT_MAX * 3);
	check_sums();
	close_lab();
	return lost;
}

static void short_stall_loses_nothing(void **state)
{
	(void)state;
	int theirs = flow_of(1);
	/* a machine that does other things may stop us for longer, but not each time */
	for (int i = 0; i < 20; i++)
		if (lost_in_short_stall(theirs) == 0)
			return;
	fail_msg("each time something was lost");
}

static void sleeper_is_woken_by_lender(void **state)
{
	(void)state;
	int theirs = flow_of(1);
	open_lab(2, 0, false);
	lab.lanes[0].wait_us = lab.lanes[1].wait_us = 1500000;
	start(1);
	pause_us(50000); /* asleep by now */
	lab.fakes[0]->only_flow = theirs;
	lab.fakes[0]->left = 3;
	uint64_t begin = now_ms();
	start(0);
	wait_judged(3);
	assert_true(now_ms() - begin < 1000);
	stop_all(2);
	assert_int_equal(lab.fakes[0]->outstanding, 0);
	check_sums();
	close_lab();
}

static void idle_workers_sleep(void **state)
{
	(void)state;
	for (int deaf = 0; deaf < 2; deaf++) {
		open_lab(2, 0, deaf);
		lab.lanes[0].wait_us = lab.lanes[1].wait_us = 20000;
		start(0);
		start(1);
		pause_us(300000);
		unsigned receives = atomic_load(&lab.fakes[0]->receives);
		/* two a turn; who cannot be woken wakes by itself */
		assert_true(receives <= (deaf ? 2 * 300000 / STEER_NAP_US : 2 * 300000 / 20000) + 10);
		stop_all(2);
		close_lab();
	}
}

static void lost_port_ends_only_its_worker(void **state)
{
	(void)state;
	enum { EACH = 5000 };
	open_lab(WORKERS, EACH, false);
	lab.fakes[1]->left = EACH / 10;
	lab.fakes[1]->error_at_end = -ENODEV;
	snprintf(lab.fakes[1]->io.error, IO_ERROR_MAX, "eth1 is gone");
	for (unsigned i = 0; i < WORKERS; i++)
		start(i);
	pthread_join(lab.lanes[1].thread, NULL);
	assert_int_equal(lab.lanes[1].result, -ENODEV);
	assert_string_equal(lab.lanes[1].io->error, "eth1 is gone");
	atomic_store(&lab.stop, true);
	for (unsigned i = 0; i < WORKERS; i++)
		if (i != 1)
			pthread_join(lab.lanes[i].thread, NULL);
	for (unsigned i = 0; i < WORKERS; i++)
		lab.lanes[i].io->ops->close(lab.lanes[i].io, NULL);
	check_sums();
	steer_free(lab.steer);
	for (unsigned i = 0; i < WORKERS; i++) {
		assert_int_equal(lab.fakes[i]->outstanding, 0);
		close(lab.fakes[i]->event);
		free(lab.fakes[i]);
	}
	assert_int_equal(lab.wrong, 0);
}

static void worker_that_never_began_holds_nobody(void **state)
{
	(void)state;
	open_lab(2, 2000, false);
	start(0);
	pause_us(50000);
	stop_all(1);
	assert_true(lab.fakes[0]->counters.drop[DROP_BACKEND] > 0);
	assert_int_equal(lab.fakes[0]->outstanding, 0);
	/* and if it begins now, it brings nothing, and may go */
	start(1);
	pthread_join(lab.lanes[1].thread, NULL);
	assert_int_equal(lab.lanes[1].received, 0);
	check_sums();
	close_lab();
}

static void closing_settles_what_nobody_finished(void **state)
{
	(void)state;
	struct packet *pkts[IO_BURST_MAX];
	open_lab(2, 300, false);
	/* by hand: worker 0 lends, worker 1 judges one burst; neither finishes */
	struct io *io0 = lab.lanes[0].io, *io1 = lab.lanes[1].io;
	lab.fakes[1]->left = 0;
	for (int round = 0; round < 6; round++) {
		int n = io_receive(io0, pkts, IO_BURST_MAX, 0);
		for (int i = 0; i < n; i++)
			judge(&lab.lanes[0], pkts[i]);
		lab.lanes[0].received += (unsigned)n;
		io_verdict(io0, pkts, (unsigned)n);
	}
	int n = io_receive(io1, pkts, IO_BURST_MAX, 0);
	assert_true(n > 0);
	for (int i = 0; i < n; i++)
		judge(&lab.lanes[1], pkts[i]);
	lab.lanes[1].received += (unsigned)n;
	io_verdict(io1, pkts, (unsigned)n);
	assert_true(lab.fakes[0]->outstanding > (unsigned)n);
	for (unsigned i = 0; i < 2; i++)
		lab.lanes[i].io->ops->close(lab.lanes[i].io, NULL);
	assert_int_equal(lab.fakes[0]->outstanding, 0);
	assert_true(lab.fakes[0]->counters.drop[DROP_BACKEND] > 0);
	check_sums();
	steer_free(lab.steer);
	for (unsigned i = 0; i < 2; i++) {
		close(lab.fakes[i]->event);
		free(lab.fakes[i]);
	}
	assert_int_equal(lab.wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flow_has_one_judge_and_stays_in_order),
		cmocka_unit_test(slow_judge_costs_only_its_own),
		cmocka_unit_test(short_stall_loses_nothing),
		cmocka_unit_test(sleeper_is_woken_by_lender),
		cmocka_unit_test(idle_workers_sleep),
		cmocka_unit_test(lost_port_ends_only_its_worker),
		cmocka_unit_test(worker_that_never_began_holds_nobody),
		cmocka_unit_test(closing_settles_what_nobody_finished),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
