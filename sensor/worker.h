/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A worker: everything that one core needs to judge packets, from decoder to records, and the loop that runs it. Nothing
 * in it is shared with another worker.
 */

#include <signal.h>

#include <dataplane/app.h>
#include <dataplane/counters.h>
#include <dataplane/decode.h>
#include <dataplane/defrag.h>
#include <dataplane/flow.h>
#include <dataplane/io.h>
#include <dataplane/stream.h>
#include <sigs/sigs.h>

#include "config.h"
#include "policy.h"
#include "record.h"

/* What became of the packets that were received; `received` is the sum of `forwarded`, `dropped` and `held`, and `held` is 0
 * when all is done. */
struct worker_tally {
	uint64_t received;
	uint64_t bytes;
	uint64_t forwarded;
	uint64_t dropped;
	uint64_t held; /* fragments whose datagram is not whole yet */
	uint64_t alerts;
	uint64_t rejects; /* answers sent */
	uint64_t first_ns, last_ns;
};

struct worker_config {
	const struct config *config;
	struct io *io;
	struct records *records;
	const struct sigs_ruleset *ruleset;
	const struct sigs_env *env;
	/* The name of what packets come from now, for records; NULL: none. */
	const char *(*source)(const struct io *io);
	/* Called every now and then from the housekeeping; NULL: never. */
	void (*progress)(void *user, const struct worker_tally *tally);
	void *progress_user;
	bool live; /* packets come in real time: wait for them, and let the clock age flows when none come */
	volatile sig_atomic_t *stop; /* set to end the loop; NULL: never */
};

struct worker {
	struct worker_config c;
	bool inline_mode;
	struct counters *counters;
	struct decoder *decoder;
	struct defrag *defrag;
	struct flow_table *flows;
	struct stream_engine *streams;
	struct app_engine *apps;
	struct sigs_matcher *matcher;
	uint64_t now_ns; /* packet time */
	struct worker_tally tally;
	uint64_t bursts;
	unsigned empty;	      /* receives in a row that brought nothing */
	struct packet ending; /* stands for a flow that ends */
	uint8_t reject_frame[REJECT_FRAME_MAX];
};

/* Makes the layers. NULL with a message in error (256 bytes). The counters are cleared and must outlive the worker. */
struct worker *worker_new(const struct worker_config *config, struct counters *counters, char *error);
/* Receives, judges and settles packets until the input ends or *stop is set; then ends every flow. Returns 0, or what
 * io_receive failed with. */
int worker_run(struct worker *worker);
void worker_free(struct worker *worker);
/* What has become of the packets so far, with those that were judged well and then could not be sent among the dropped. Any
 * thread; while the worker runs, the numbers may be a burst apart. */
struct worker_tally worker_tally(const struct worker *worker);

/* --- judge.c: one packet ------------------------------------------------------------------------------------------- */

/* Judges a frame with all its layers; frame->verdict is settled afterwards (passive: it never drops or holds). */
void judge_frame(struct worker *worker, struct packet *frame);
/* flow_end_cb: final inspection, records, and freeing of what hangs on the flow. */
void judge_flow_end(void *worker, struct flow *flow, enum flow_end why);
