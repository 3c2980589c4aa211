/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Rules and policy are changed while packets flow: read and compiled aside by a thread of their own, taken over by each
 * worker between two bursts, and only then is the old edition freed. What is wrong changes nothing.
 */

#include <pthread.h>

#include "command.h"
#include "lanes.h"
#include "rules_load.h"

/* A configuration and the rules that go with it. */
struct edition {
	struct config config;
	struct rules rules;
	uint64_t number;
	uint8_t policy_digest[32]; /* SHA-256 of the configuration, as it is printed */
};

/* Reads and compiles. NULL, told already, when something is wrong; with `whole`, a wrong rule is such a thing, and `why` (256 bytes)
 * then says what was. */
struct edition *edition_new(const struct common_args *args, uint64_t number, bool whole, char *why);
void edition_free(struct edition *edition);

#define RELOAD_TEXT_MAX 512

/* How the last reload went. */
struct reload_result {
	bool good;
	char text[RELOAD_TEXT_MAX]; /* why not; or what needs a restart; or "" */
	struct sigs_counts rules;
	double seconds;
};

struct reload {
	const struct common_args *args;
	struct lanes *lanes;
	struct edition *now, *next;
	bool profile; /* rules are measured, and go on to be (the main thread's) */
	pthread_t thread;
	bool running;
	bool again;    /* asked for while one runs */
	bool finished; /* atomic: the thread is done */
	struct worker_edition handed[IO_WORKERS_MAX];
	struct reload_result result; /* of the last one */
	uint64_t done, refused;
};

void reload_init(struct reload *reload, const struct common_args *args, struct lanes *lanes, struct edition *now);
/* Begins, or, when one runs, begins again after it. 0 or -errno. */
int reload_begin(struct reload *reload);
/* Whether one has ended since the last call: then reload->now is the edition in use, *old the one before (to be freed when
 * nothing of the main thread uses it; NULL when nothing changed), and reload->result says how it went. */
bool reload_end(struct reload *reload, struct edition **old);
/* Whether one runs: the lanes must then run too, or be looked after (lanes_take_orders). */
bool reload_is_running(const struct reload *reload);
