/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker's life: its layers, and the loop. */
#include "worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "eve_stats.h"

/* Incomplete datagrams and idle flows that are looked at in one burst: some times what one burst can bring, so that ageing
 * keeps up with any rate and never stalls the burst. */
#define EXPIRE_DATAGRAMS 16
#define EXPIRE_FLOWS	 (IO_BURST_MAX * 2)
/* Bursts between two calls of progress: some ten a second at full speed. */
#define PROGRESS_BURSTS 4096
/* Receives that bring nothing before a live worker sleeps, and then for how long a receive may wait. Short enough for
 * stop and new orders to be seen soon. */
#define EMPTY_SPINS   256
#define WAIT_SHORT_US 100
#define WAIT_LONG_US  20000
/* How long a worker that is to stop waits for packets that it lent. */
#define LEAVE_PATIENCE_NS 2000000000u

static void tx_detect_free(void *user, struct app_tx *tx)
{
	struct worker *w = user;
	sigs_tx_free(w->matcher, tx);
}

static bool make_layers(struct worker *w)
{
	const struct config *config = w->c.config;
	struct app_config app = config->app;
	struct stream_config stream = config->stream;
	app.inline_mode = stream.inline_mode = w->inline_mode;
	app.file_hashes = app.file_hashes || sigs_ruleset_wants_file_hashes(w->c.ruleset);
	app.detect_free = tx_detect_free;
	app.detect_user = w;
	return (w->decoder = decoder_new(&config->decode, w->counters)) &&
	       (w->defrag = defrag_new(&config->defrag, w->counters)) &&
	       (w->flows = flow_table_new(&config->flow, w->counters, judge_flow_end, w)) &&
	       (w->streams = stream_engine_new(&stream, w->counters)) &&
	       (w->apps = app_engine_new(&app, w->counters)) &&
	       (w->matcher = sigs_matcher_new(w->c.ruleset, w->c.env, w->c.shared, w->counters));
}

struct worker *worker_new(const struct worker_config *config, struct counters *counters, char *error)
{
	struct worker *w = calloc(1, sizeof(*w));
	memset(counters, 0, sizeof(*counters));
	if (w) {
		w->c = *config;
		w->inline_mode = config->config->inline_mode;
		w->counters = counters;
	}
	if (!w || !make_layers(w)) {
		snprintf(error, 256, "cannot reserve the worker's memory: %s", strerror(errno));
		worker_free(w);
		return NULL;
	}
	sigs_matcher_set_streams(w->matcher, w->streams);
	records_set_matcher(w->c.records, w->matcher);
	w->orders.edition = config->edition;
	return w;
}

void worker_free(struct worker *w)
{
	if (!w)
		return;
	if (w->flows)
		flow_table_free(w->flows);
	if (w->apps)
		app_engine_free(w->apps);
	if (w->streams)
		stream_engine_free(w->streams);
	if (w->matcher)
		sigs_matcher_free(w->matcher);
	if (w->defrag)
		defrag_free(w->defrag);
	if (w->decoder)
		decoder_free(w->decoder);
	records_set_matcher(w->c.records, NULL);
	free(w);
}

/* Counts what became of a frame; the backend carries it out afterwards. */
static void tally_verdict(struct worker *w, const struct packet *frame)
{
	switch (frame->verdict) {
	case VERDICT_DROP:
		w->tally.dropped++;
		w->counters->drop[frame->drop_reason]++;
		count(w->counters, COUNTER_IPS_BLOCKED);
		return;
	case VERDICT_HOLD:
		w->tally.held++;
		return;
	case VERDICT_REPLACE:
		count(w->counters, COUNTER_IPS_REPLACED);
		/* fall through */
	case VERDICT_FORWARD:
		if (frame->flags & PACKET_BYPASSED)
			w->tally.bypassed++;
		else
			w->tally.forwarded++;
		count(w->counters, COUNTER_IPS_ACCEPTED);
	}
}

static void receive_tally(struct worker *w, struct packet **pkts, unsigned n)
{
	if (w->tally.received == 0)
		w->tally.first_ns = pkts[0]->ts_ns;
	w->tally.received += n;
	for (unsigned i = 0; i < n; i++)
		w->tally.bytes += pkts[i]->wire_len;
	/* a capture's clock may step back; ageing only ever goes forward */
	if (pkts[n - 1]->ts_ns > w->now_ns)
		w->now_ns = pkts[n - 1]->ts_ns;
	w->tally.last_ns = w->now_ns;
}

/* What fragments were dropped for, in sum. */
static uint64_t fragments_dropped(const struct worker *w)
{
	const uint64_t *drop = w->counters->drop;
	return drop[DROP_DEFRAG] + drop[DROP_DEFRAG_MEMCAP] + drop[DROP_DEFRAG_TIMEOUT];
}

void worker_fragments_begin(struct worker *w)
{
	w->fragments_dropped = fragments_dropped(w);
}

void worker_fragments_end(struct worker *w)
{
	uint64_t n = fragments_dropped(w) - w->fragments_dropped;
	if (!w->inline_mode)
		return; /* nothing was held */
	w->tally.held -= n < w->tally.held ? n : w->tally.held;
	w->tally.dropped += n;
}

static void recycle_fragments(struct worker *w, uint64_t now_ns, unsigned budget)
{
	worker_fragments_begin(w);
	defrag_recycle(w->defrag, now_ns, budget);
	worker_fragments_end(w);
}

static uint64_t monotonic_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void worker_configure_streams(struct worker *w)
{
	struct stream_config config = w->c.config->stream;
	if (w->picks_up) {
		config.midstream = true;
		if (config.midstream_policy != EXCEPTION_PASS_FLOW)
			config.midstream_policy = EXCEPTION_IGNORE;
	}
	stream_engine_configure(w->streams, &config);
}

/* Sessions that began while nobody looked (before the start, or while the backend let traffic past us) are no offence: they are
 * picked up where they are, and inspected from there. */
static void pick_up(struct worker *w, bool on)
{
	w->picks_up = on;
	worker_configure_streams(w);
}

static void follow_lapses(struct worker *w, uint64_t now_ns)
{
	uint64_t span_ns = w->c.config->live.pick_up_ns;
	if (w->lapses != w->c.io->lapses) {
		w->lapses = w->c.io->lapses;
		w->pick_up_until_ns = now_ns + span_ns;
		pick_up(w, span_ns > 0);
	} else if (w->picks_up && now_ns > w->pick_up_until_ns) {
		pick_up(w, false);
	}
}

static void record_overload(struct worker *w, int change)
{
	const struct overload_state *s = &w->overload.state;
	struct json *j = record_sensor_begin(w->c.records, change > 0 ? "overload" : "overload_eased");
	if (!j)
		return;
	jw_uint(j, "worker", w->c.index);
	jw_string(j, "policy", overload_policy_name(w->overload.policy));
	jw_uint(j, "step", s->step);
	jw_number(j, "busy", (double)s->busy_permille / 1000);
	jw_number(j, "backlog", (double)s->backlog_permille / 1000);
	jw_uint(j, "flows_uninspected", s->flows);
	record_sensor_end(w->c.records);
}

static void housekeep(struct worker *w)
{
	w->bursts++;
	recycle_fragments(w, w->now_ns, EXPIRE_DATAGRAMS);
	flow_expire(w->flows, w->now_ns, EXPIRE_FLOWS);
	if (w->c.live) {
		if (w->picks_up)
			follow_lapses(w, monotonic_ns());
		int change = overload_turned(&w->overload, w->c.io, monotonic_ns());
		if (change != 0)
			record_overload(w, change);
		if (change < 0 && w->overload.state.step == 0)
			w->c.io->lapses++; /* what went past us is looked at again from here */
	}
	__atomic_store_n(&w->orders.turns, w->bursts, __ATOMIC_RELAXED);
	worker_take_orders(w);
	if (w->bursts % PROGRESS_BURSTS == 0 && w->c.progress)
		w->c.progress(w->c.progress_user, &w->tally);
}

/* The end of the input: datagrams that never became whole are given up, and every flow has its last inspection. */
static void settle_all(struct worker *w)
{
	recycle_fragments(w, UINT64_MAX, UINT32_MAX);
	flow_drain(w->flows, FLOW_END_SHUTDOWN);
}

/* How long the next receive may sleep: not at all while packets keep coming, then ever longer. */
static unsigned patience_us(const struct worker *w)
{
	if (!w->c.live || w->empty < EMPTY_SPINS)
		return 0;
	return w->empty < 2 * EMPTY_SPINS ? WAIT_SHORT_US : WAIT_LONG_US;
}

/* Nothing came: flows age by the clock. */
static void idle(struct worker *w)
{
	struct timespec t;
	if (!w->c.live || ++w->empty < EMPTY_SPINS)
		return;
	clock_gettime(CLOCK_REALTIME, &t);
	uint64_t now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	if (now > w->now_ns)
		w->now_ns = now;
}

struct worker_tally worker_tally(const struct worker *w)
{
	struct worker_tally tally = w->tally;
	uint64_t unsent = w->counters->drop[DROP_TX_FULL];
	uint64_t refused = w->counters->value[COUNTER_CAPTURE_REFUSED];
	uint64_t forwarded = unsent < tally.forwarded ? unsent : tally.forwarded;
	tally.forwarded -= forwarded;
	tally.bypassed -= unsent - forwarded;
	tally.dropped += unsent + refused;
	tally.received += refused;
	return tally;
}

void worker_set_io(struct worker *w, struct io *io)
{
	w->c.io = io;
	w->empty = 0;
	if (io)
		w->lapses = io->lapses - 1; /* until now, traffic went without us */
}

void worker_settle(struct worker *w)
{
	settle_all(w);
}

/* Once it is to stop: when no packet is owed to or by another worker. One that never gives back what it was lent (its port is
 * gone) is not waited for for ever. */
static bool may_leave(struct worker *w)
{
	uint64_t now = monotonic_ns();
	if (w->leave_ns == 0)
		w->leave_ns = now + LEAVE_PATIENCE_NS;
	return io_finish(w->c.io) || now > w->leave_ns;
}

/* Orders that were given to a worker which stops are still carried out: somebody waits for them. */
static int leave(struct worker *w, int rc)
{
	__atomic_store_n(&w->orders.running, false, __ATOMIC_SEQ_CST);
	worker_take_orders(w);
	if (rc == -ENODATA)
		rc = 0;
	else if (rc >= 0)
		rc = w->c.stop && *w->c.stop == WORKER_PARK ? -ECANCELED : 0;
	if (rc == 0 || !w->c.live)
		settle_all(w);
	return rc;
}

static void begin(struct worker *w)
{
	w->leave_ns = 0;
	if (w->c.live)
		overload_init(&w->overload, w->c.config->live.overload_policy, monotonic_ns());
	__atomic_store_n(&w->orders.running, true, __ATOMIC_SEQ_CST);
}

int worker_run(struct worker *w)
{
	struct packet *pkts[IO_BURST_MAX];
	unsigned wait_us = 0;
	int n;
	begin(w);
	while ((n = io_receive(w->c.io, pkts, IO_BURST_MAX, wait_us)) >= 0) {
		if (w->c.live && w->lapses != w->c.io->lapses)
			follow_lapses(w, monotonic_ns());
		if (w->c.live && (n == 0 || wait_us > 0))
			overload_waited(&w->overload, monotonic_ns());
		if (n > 0) {
			w->empty = 0;
			receive_tally(w, pkts, (unsigned)n);
			if (w->c.source)
				records_set_capture(w->c.records, w->c.source(w->c.io));
		} else {
			idle(w);
		}
		for (int i = 0; i < n; i++)
			decode_frame(w->decoder, pkts[i]);
		for (int i = 0; i < n; i++)
			for (struct packet *p = pkts[i]; p; p = p->inner)
				flow_prefetch(w->flows, p);
		for (int i = 0; i < n; i++) {
			judge_frame(w, pkts[i]);
			tally_verdict(w, pkts[i]);
		}
		if (n > 0)
			io_verdict(w->c.io, pkts, (unsigned)n);
		decoder_recycle(w->decoder);
		housekeep(w);
		if (w->c.stop && *w->c.stop && may_leave(w))
			break;
		wait_us = patience_us(w);
	}
	return leave(w, n);
}
