/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The daemon: what `sekisho run` is made of, and its life from the opened device to the last account. One thread, the main
 * one; the threads that it starts are the lanes' (workers), the journal's (the record file), and for a moment a reload's.
 */

#include "command.h"
#include "coverage.h"
#include "eve_stats.h"
#include "journal.h"
#include "lanes.h"
#include "reload.h"

/* A descriptor that the main thread waits for beside its other work. */
struct daemon_source {
	int fd;
	short events; /* as of poll */
	void (*ready)(void *user, short events);
	void *user;
};
/* A listening socket and its clients, and some more. */
#define DAEMON_SOURCES_MAX 64

struct daemon {
	const struct common_args *args;
	const char *dir;	  /* of records */
	struct edition *edition;  /* configuration and rules in use */
	struct io_device *device; /* NULL while a port is gone */
	struct journal *journal;
	struct records *records; /* of the main thread */
	struct lanes lanes;
	struct reload reload;
	uint64_t started_ns; /* as all times here: CLOCK_MONOTONIC */
	uint64_t stats_due_ns, coverage_due_ns;
	struct coverage coverage;
	struct {
		uint64_t since_ns, due_ns, delay_ns;
		char told[IO_ERROR_MAX];   /* why it cannot be opened yet */
	} retry;			   /* while a port is gone */
	struct io_port_stats closed_ports; /* sums of devices that are closed */
	bool has_pid_file;
	bool ending;
	bool blocklist_changed; /* and not in force yet */
	int signals;		/* signalfd */
	struct daemon_source sources[DAEMON_SOURCES_MAX];
	unsigned source_count;
	int journal_error; /* as last told */
	struct {
		uint64_t interval_ns, fed_ns;
		uint64_t turns[IO_WORKERS_MAX];
	} watchdog;
};

/* Reads configuration and rules, opens record file and device, makes the workers. 0 or -errno (told already); daemon_close is due
 * either way. */
int daemon_open(struct daemon *daemon, const struct common_args *args, const char *dir);
/* Starts all threads. 0 or -errno (told already). */
int daemon_start(struct daemon *daemon);
/* Until a signal ends it, or the input ends: looks after everything. 0 or -errno. */
int daemon_watch(struct daemon *daemon);
/* While it watches, its own thread only: waits for this descriptor too (0, or -ENOSPC); or no longer. A callback may remove its own. */
int daemon_source_add(struct daemon *daemon, const struct daemon_source *source);
void daemon_source_remove(struct daemon *daemon, int fd);
/* What signals ask for, for those who ask otherwise: reads rules and policy anew (daemon->reload says how it went), opens the record file
 * anew, ends. */
void daemon_reload(struct daemon *daemon);
void daemon_reopen(struct daemon *daemon);
void daemon_end(struct daemon *daemon);
/* Where everything stands; whether all packets add up. *late counts the workers that did not answer. */
bool daemon_account(struct daemon *daemon, struct account *account, unsigned *late);
/* The same as the members of a stats record. */
void daemon_put_stats(struct daemon *daemon, struct account *account, struct json *json);

/* Ends all threads and flows, writes the last account. False when something did not add up. */
bool daemon_stop(struct daemon *daemon);
bool daemon_close(struct daemon *daemon);
