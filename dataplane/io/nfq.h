/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The NFQUEUE backend's parts: nfq.c is the device, nfq_queue.c a queue's socket and its messages, nfq_worker.c the instance of
 * one worker, nfq_rules.c the iptables rules, nfq_guard.c the process that lets traffic go on when the sensor hangs and takes
 * the rules away when it ends. Private to io/.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <dataplane/io.h>

/* Set on packets that the sensor sends itself, so that they are not queued once more (in OUTPUT). */
#define NFQ_OWN_MARK	  0x00800000u
#define NFQ_INTERFACE_MAX 4096 /* index of an interface; those above have no name in records */

/* --- a queue ------------------------------------------------------------------------------------------------------------ */

/* Binds queue `number` on a new socket. Returns it, or -errno with a message in error. */
int nfq_queue_open(const struct io_nfq_config *config, uint16_t number, char *error);
/* Packets of queue `number` that the kernel dropped. 0; -ENOENT when the queue is not bound, another -errno when the kernel's table
 * cannot be read. */
int nfq_queue_lost(uint16_t number, uint64_t *lost);

/* Verdicts, gathered to be sent as one. */
struct nfq_verdicts {
	uint8_t *buf;
	size_t len, room;
};

/* Adds the verdict (NF_ACCEPT, NF_DROP) on one packet; `mark` and `data` where not NULL replace those of the packet. False when
 * there is no room: send first. */
bool nfq_verdict_add(struct nfq_verdicts *verdicts, uint16_t queue, uint32_t id, uint32_t verdict, const uint32_t *mark,
		     const void *data, size_t len);
/* The same on every packet up to id. */
bool nfq_verdict_up_to(struct nfq_verdicts *verdicts, uint16_t queue, uint32_t id, uint32_t verdict,
		       const uint32_t *mark);
/* Sends, and empties when they were sent. 0 or -errno. */
int nfq_verdicts_send(struct nfq_verdicts *verdicts, int fd);

/* --- what workers and the guard see of each other: in memory that both processes have ------------------------------------ */

struct nfq_pulse {
	_Alignas(64) _Atomic uint64_t heartbeat_ns; /* CLOCK_MONOTONIC; 0: the worker does not run (yet, or any more) */
	_Atomic uint32_t last_id;		    /* of the newest packet received */
	_Atomic uint64_t received, accepted;
	_Atomic uint64_t missing;   /* ids: packets that the kernel could not show to the worker */
	_Atomic uint64_t refused;   /* too long to be seen whole */
	_Atomic uint64_t passed_by; /* times that the guard let the queue pass */
};

/* --- a worker ------------------------------------------------------------------------------------------------------------ */

struct nfq_worker_config {
	int fd; /* of the queue; the worker does not close it */
	uint16_t queue;
	const struct io_nfq_config *config;
	const uint8_t *port_of; /* by index of interface: NFQ_INTERFACE_MAX */
	struct nfq_pulse *pulse;
};

struct io *nfq_worker_open(const struct nfq_worker_config *config, struct counters *counters, char *error);

/* --- rules ---------------------------------------------------------------------------------------------------------------- */

/* Puts a chain of ours before all else in the mangle table's chains, for IPv4 and IPv6; what a predecessor left of it is replaced
 * in one step. 0, or -errno with a message in error. */
int nfq_rules_install(const struct io_nfq_config *config, unsigned workers, char *error);
/* Takes away what install put there; nothing else. */
void nfq_rules_remove(const struct io_nfq_config *config);

/* --- the guard -------------------------------------------------------------------------------------------------------------- */

/* How long a worker may be silent before the guard takes it for hanging. */
#define NFQ_SILENCE_NS 400000000ull

struct nfq_guard {
	pid_t pid;
	int fd; /* to it */
};

/* Starts the guard process over the queues' sockets. Before any thread runs, with the rights of the start. 0 or -errno. */
int nfq_guard_start(struct nfq_guard *guard, const struct io_nfq_config *config, unsigned workers, const int *fds,
		    struct nfq_pulse *pulses);
/* Ends it, in order: it removes the rules unless `leave`. False when it could not, for it was killed before. */
bool nfq_guard_stop(struct nfq_guard *guard, bool leave);
