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

#include "blocklist.h"
#include "config.h"
#include "overload.h"
#include "policy.h"
#include "record.h"

/* What became of the packets that were received: see account_balances. `held` is 0 when all is done. */
struct worker_tally {
	uint64_t received;
	uint64_t bytes;
	uint64_t forwarded;
	uint64_t bypassed; /* forwarded without a look: their flow is bypassed */
	uint64_t dropped;
	uint64_t held; /* fragments whose datagram is not whole yet */
	uint64_t alerts;
	uint64_t rejects; /* answers sent */
	uint64_t first_ns, last_ns;
};

struct worker;

/* Rules and policy of one moment, as a worker takes them over between two bursts. */
struct worker_edition {
	const struct config *config;
	const struct sigs_ruleset *ruleset;
	struct sigs_change *change; /* after it was taken over: what the worker used before */
	uint64_t number;	    /* above that of the edition before */
};

/* A question of another thread, answered by the worker between two bursts. */
struct worker_request {
	/* Called between bursts until it returns true: each call must be short, and must neither allocate nor wait. */
	bool (*step)(struct worker *worker, struct worker_request *request);
	bool done; /* the worker's */
};

enum worker_stop {
	WORKER_RUN,
	WORKER_STOP, /* end every flow, then return */
	WORKER_PARK, /* return as things stand: worker_run will be called again */
};

struct worker_config {
	const struct config *config;
	struct io *io;
	struct records *records;
	const struct sigs_ruleset *ruleset;
	const struct sigs_env *env;
	const struct blocklist *blocklist; /* NULL: none */
	struct sigs_shared *shared;	   /* with the other workers; NULL: there is no other */
	/* The name of what packets come from now, for records; NULL: none. */
	const char *(*source)(const struct io *io);
	/* Called every now and then from the housekeeping; NULL: never. */
	void (*progress)(void *user, const struct worker_tally *tally);
	void *progress_user;
	uint64_t edition; /* number of the configuration and rules to begin with */
	unsigned index;	  /* of this worker, for records */
	bool live;	  /* packets come in real time: wait for them, and let the clock age flows when none come */
	volatile sig_atomic_t *stop; /* enum worker_stop; NULL: never */
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
	struct overload overload;  /* live only */
	bool picks_up;		   /* sessions without handshake are followed for now */
	uint64_t pick_up_until_ns; /* monotonic */
	uint32_t lapses;	   /* of the io, as seen last */
	unsigned empty;		   /* receives in a row that brought nothing */
	uint64_t fragments_dropped;
	uint64_t leave_ns; /* when a worker that is to stop waits no longer */
	/* what other threads may see or set; by atomic operations only */
	struct {
		struct worker_edition *next; /* to be taken over */
		struct worker_request *request;
		uint64_t edition; /* number of the one in use */
		uint64_t turns;	  /* of the loop, so that a stuck worker shows */
		bool running;
	} orders;
	struct worker_request *working; /* the request at hand */
	struct packet ending;		/* stands for a flow that ends */
	uint8_t reject_frame[REJECT_FRAME_MAX];
};

/* Makes the layers. NULL with a message in error (256 bytes). The counters are cleared and must outlive the worker. */
struct worker *worker_new(const struct worker_config *config, struct counters *counters, char *error);
/* Receives, judges and settles packets until the input ends or *stop is set; then ends every flow. Returns 0, or what
 * io_receive failed with. A live worker whose input fails, or that is to park, keeps its flows instead: it may run again,
 * with another instance (worker_set_io), or be ended by worker_settle. */
int worker_run(struct worker *worker);
/* While it does not run: where packets come from now. */
void worker_set_io(struct worker *worker, struct io *io);
/* While it does not run: ends every flow. */
void worker_settle(struct worker *worker);
void worker_free(struct worker *worker);
/* What has become of the packets so far, with those that were judged well and then could not be sent among the dropped. Any
 * thread; while the worker runs, the numbers may be a burst apart. */
struct worker_tally worker_tally(const struct worker *worker);

/* --- orders.c: what other threads want of a worker ------------------------------------------------------------------ */

/* Any thread: the worker takes this edition over soon; worker_edition says when. It must live until then. */
void worker_publish(struct worker *worker, struct worker_edition *edition);
/* Number of the edition in use. */
uint64_t worker_edition(const struct worker *worker);
/* Any thread: asks, and waits for the answer. 0; -EAGAIN when the worker does not run; -ETIMEDOUT when it did not begin with it
 * in time (then it never will). */
int worker_ask(struct worker *worker, struct worker_request *request, uint64_t timeout_ns);
/* The worker's thread, or whoever holds a worker that does not run. */
void worker_take_orders(struct worker *worker);
/* What the stream engine is told: the configuration's word, and for a while after a lapse to pick up what it finds. */
void worker_configure_streams(struct worker *worker);

/* An answer of the simplest kind: where the worker stands. */
struct worker_snapshot {
	struct worker_request request;
	struct worker_tally tally;
	struct counters counters;
	struct records_stats records;
	struct overload_state overload;
};
/* Fills it in through the worker, which runs: 0, or as worker_ask (unchanged). */
int worker_snapshot(struct worker *worker, struct worker_snapshot *snapshot, uint64_t timeout_ns);
/* The same of a worker that does not run. */
void worker_look(struct worker *worker, struct worker_snapshot *snapshot);

/* --- bypass.c: flows that are forwarded without a look ------------------------------------------------------------------ */

/* Of a packet whose flow was found and is bypassed, or may be for overload: whether it goes on without a look. The flow may be another
 * one afterwards; none, with *full, when there was no room for it. */
bool bypass_packet(struct worker *worker, struct packet *pkt, bool *full);
/* After the packet was judged: a rule, a policy, or its encryption may have asked for it. */
void bypass_settle(struct worker *worker, struct packet *pkt);

/* --- judge.c: one packet ------------------------------------------------------------------------------------------- */

/* Judges a frame with all its layers; frame->verdict is settled afterwards (passive: it never drops or holds). */
void judge_frame(struct worker *worker, struct packet *frame);
/* Around what may drop fragments that were held. */
void worker_fragments_begin(struct worker *worker);
void worker_fragments_end(struct worker *worker);
/* flow_end_cb: final inspection, records, and freeing of what hangs on the flow. */
void judge_flow_end(void *worker, struct flow *flow, enum flow_end why);
