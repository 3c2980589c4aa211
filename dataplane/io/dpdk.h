/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The DPDK backend's own parts: dpdk.c is the device, dpdk_eal.c the environment layer, dpdk_worker.c what a worker attaches.
 * No other file sees a DPDK header.
 */

#include <stdatomic.h>

#include <rte_mempool.h>
#include <rte_spinlock.h>

#include <dataplane/io.h>

/* --- the environment layer: one a process, for its life --------------------------------------------------------------- */

/* Starts it with the arguments of the configuration, once; again with other ones is an error. 0 or -errno with a message. */
int dpdk_eal_start(const char *text, char *error);
/* The port of that name (PCI address or vdev), which is probed again when it was closed before. 0 or -errno with a message. */
int dpdk_eal_port(const char *name, uint16_t *port_id, char *error);
/* What --vdev says of a port after its name; NULL when it is none. */
const char *dpdk_eal_vdev(const char *name);

/* --- ports ------------------------------------------------------------------------------------------------------------- */

/* Sockets (AF_XDP) that a driver made for a port. */
#define DPDK_SOCKETS_MAX IO_WORKERS_MAX /* one a queue */
struct dpdk_sockets {
	unsigned count;
	struct {
		int fd;
		uint64_t cookie; /* of the socket: the number alone may be another file's by now */
	} items[DPDK_SOCKETS_MAX];
};

struct dpdk_port {
	const char *name;
	uint16_t id;
	uint16_t rx_queues; /* 0 up to this are the workers' of the same number */
	uint16_t tx_queues; /* the same; but fewer than workers are shared, */
	bool tx_shared;	    /* which takes the lock */
	rte_spinlock_t tx_lock;
	bool open, started;
	bool counts_queue;  /* the driver knows how full a queue is */
	unsigned if_index;  /* of the interface below a vdev, or 0 */
	char interface[16]; /* its name, or "" */
	uint16_t mtu;
	atomic_bool up;	  /* as last looked at by the main thread */
	atomic_bool gone; /* the driver said so */
	struct io_port_stats last;
	struct dpdk_sockets sockets;
};

/* What workers see of the device; fixed while one is attached. */
struct dpdk_wire {
	struct dpdk_port *ports;
	unsigned port_count;
	struct rte_mempool *pool;
	struct rte_mempool *big; /* for packets in several buffers, made one; NULL where the ports bring none */
	uint16_t rx_descriptors;
};

/* --- what drivers forget ------------------------------------------------------------------------------------------------ */

/* Notes the AF_XDP sockets of this process that none of the `count` ports has noted. */
void dpdk_sockets_note(struct dpdk_sockets *sockets, const struct dpdk_port *ports, unsigned count);
/* Closes those of them that are still open: the driver of a port that was closed did not. */
void dpdk_sockets_close(struct dpdk_sockets *sockets);

/* --- workers ----------------------------------------------------------------------------------------------------------- */

/* NULL and errno. */
struct io *dpdk_worker_open(const struct dpdk_wire *wire, unsigned worker, struct counters *counters);
