/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Lanes: the workers of the daemon with what each is given, their threads, and the processors that they are pinned to. All
 * functions are the main thread's.
 */

#include <pthread.h>
#include <signal.h>

#include "account.h"
#include "journal.h"
#include "rules_load.h"
#include "worker.h"

/* A worker and what it is given; every lane has cache lines of its own. */
struct lane {
	struct counters counters;
	struct io *io;
	struct records *records;
	struct worker *worker;
	struct worker_snapshot seen; /* where it stood when last asked */
	pthread_t thread;
	bool started; /* there is a thread to join */
	bool ended;   /* atomic: it has returned */
	int cpu;      /* -1: any */
	int result;
	void (*confine)(void *user); /* called first by its thread */
	void *confine_user;
} __attribute__((aligned(64)));

struct lanes {
	struct lane *items;
	unsigned count;
	struct sigs_shared *shared;
	struct blocklist *blocklist;
	volatile sig_atomic_t stop; /* enum worker_stop */
	char port_names[IO_PORTS_MAX][RECORD_PORT_NAME_MAX];
};

/* Chooses number and processors as the configuration says, and tells it (live.io.workers). 0 or -errno (told already). */
int lanes_new(struct lanes *lanes, struct config *config);
/* Makes the workers; they write to the journal's first rings. `edition` numbers config and rules. 0 or -errno (told already). */
int lanes_open(struct lanes *lanes, const struct config *config, const struct rules *rules, struct journal *journal,
	       uint64_t edition);
/* Attaches every worker to the device. 0, or -errno with a message in error (IO_ERROR_MAX bytes); then none is attached. */
int lanes_attach(struct lanes *lanes, struct io_device *device, char *error);
/* Closes the instances. False, told already, when one of them went wrong. */
bool lanes_detach(struct lanes *lanes);
/* Starts the threads; each calls `confine` first, when not NULL. 0 or -errno (told already). */
int lanes_start(struct lanes *lanes, void (*confine)(void *user), void *user);
/* The first lane whose thread has returned by itself, or -1. */
int lanes_ended(const struct lanes *lanes);
/* Stops the threads; with `park`, flows are kept, else they end. Returns the first failure of a worker: 0 or -errno, and the
 * lane in *which. */
int lanes_join(struct lanes *lanes, bool park, unsigned *which);
/* For lanes that do not run: orders are taken, flows end. */
void lanes_take_orders(struct lanes *lanes);
void lanes_settle(struct lanes *lanes);
/* Adds where each worker stands; one that does not answer soon counts as when it was last asked, and *late says how many did
 * not. False when some worker's packets do not add up. */
bool lanes_account(struct lanes *lanes, bool inline_mode, struct account *account, unsigned *late);
/* Whether every thread has turned its loop since the last call. */
bool lanes_progress(struct lanes *lanes, uint64_t *turns);
/* Puts changes of the blocklist in force, once every worker has begun another burst since the last time; -EAGAIN when one hangs. */
int lanes_publish_blocklist(struct lanes *lanes);
void lanes_free(struct lanes *lanes);
