/* SPDX-License-Identifier: BSD-3-Clause */
/* What other threads want of a worker: new rules and policy, answers. Two loads a burst when nobody wants anything. */
#include <errno.h>
#include <time.h>

#include "worker.h"

/* Between two looks whether an answer is there. */
#define ASK_PAUSE_NS 200000

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void ask_pause(void)
{
	const struct timespec t = {.tv_nsec = ASK_PAUSE_NS};
	nanosleep(&t, NULL);
}

/* --- the worker's side ------------------------------------------------------------------------------------------------- */

static void take_edition(struct worker *w, struct worker_edition *edition)
{
	const struct config *config = edition->config;
	struct app_config app = config->app;
	app.file_hashes = app.file_hashes || sigs_ruleset_wants_file_hashes(edition->ruleset);
	sigs_matcher_swap(w->matcher, edition->change);
	flow_table_configure(w->flows, &config->flow);
	defrag_configure(w->defrag, &config->defrag);
	app_engine_configure(w->apps, &app);
	records_set_config(w->c.records, config);
	w->overload.policy = config->live.overload_policy;
	w->c.config = config;
	worker_configure_streams(w);
	w->c.ruleset = edition->ruleset;
	__atomic_store_n(&w->orders.next, NULL, __ATOMIC_RELAXED);
	/* from here on nothing of the edition before is used */
	__atomic_store_n(&w->orders.edition, edition->number, __ATOMIC_RELEASE);
}

/* One step of one question. */
static void answer(struct worker *w)
{
	if (!w->working)
		w->working = __atomic_exchange_n(&w->orders.request, NULL, __ATOMIC_ACQ_REL);
	if (!w->working || !w->working->step(w, w->working))
		return;
	__atomic_store_n(&w->working->done, true, __ATOMIC_RELEASE);
	w->working = NULL;
}

void worker_take_orders(struct worker *w)
{
	struct worker_edition *edition = __atomic_load_n(&w->orders.next, __ATOMIC_ACQUIRE);
	if (edition)
		take_edition(w, edition);
	if (w->working || __atomic_load_n(&w->orders.request, __ATOMIC_RELAXED))
		answer(w);
	/* who does not run answers at once and wholly */
	while (w->working && !w->orders.running)
		answer(w);
}

/* --- the others' side -------------------------------------------------------------------------------------------------- */

void worker_publish(struct worker *w, struct worker_edition *edition)
{
	__atomic_store_n(&w->orders.next, edition, __ATOMIC_RELEASE);
}

uint64_t worker_edition(const struct worker *w)
{
	return __atomic_load_n(&w->orders.edition, __ATOMIC_ACQUIRE);
}

int worker_ask(struct worker *w, struct worker_request *request, uint64_t timeout_ns)
{
	uint64_t until = now_ns() + timeout_ns;
	struct worker_request *none = NULL;
	request->done = false;
	while (!__atomic_compare_exchange_n(&w->orders.request, &none, request, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_RELAXED)) {
		none = NULL;
		if (now_ns() > until)
			return -ETIMEDOUT;
		ask_pause();
	}
	while (!__atomic_load_n(&request->done, __ATOMIC_ACQUIRE)) {
		bool running = __atomic_load_n(&w->orders.running, __ATOMIC_SEQ_CST);
		if (!running || now_ns() > until) {
			struct worker_request *mine = request;
			/* taken back, unless the worker has begun: then its steps are short, and waited for */
			if (__atomic_compare_exchange_n(&w->orders.request, &mine, NULL, false, __ATOMIC_ACQ_REL,
							__ATOMIC_RELAXED))
				return running ? -ETIMEDOUT : -EAGAIN;
		}
		ask_pause();
	}
	return 0;
}

/* --- where a worker stands --------------------------------------------------------------------------------------------- */

static bool take_snapshot(struct worker *w, struct worker_request *request)
{
	struct worker_snapshot *snapshot = (struct worker_snapshot *)request;
	snapshot->tally = worker_tally(w);
	snapshot->counters = *w->counters;
	snapshot->records = records_stats(w->c.records);
	snapshot->overload = w->overload.state;
	return true;
}

void worker_look(struct worker *w, struct worker_snapshot *snapshot)
{
	take_snapshot(w, &snapshot->request);
}

int worker_snapshot(struct worker *w, struct worker_snapshot *snapshot, uint64_t timeout_ns)
{
	snapshot->request.step = take_snapshot;
	return worker_ask(w, &snapshot->request, timeout_ns);
}
