/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The AF_XDP backend's parts: afxdp.c is the device (program, maps, ports' life), afxdp_port.c an interface and its settings,
 * afxdp_worker.c the sockets and frames of one worker. Private to io/.
 */

#include <linux/if_link.h>
#include <stdbool.h>
#include <stdint.h>

#include <dataplane/io.h>

#include <bpf/contract.h>

/* --- an interface ------------------------------------------------------------------------------------------------------- */

struct afxdp_port {
	char name[16]; /* IFNAMSIZ */
	int ifindex;
	unsigned queues;
	unsigned mtu;
	uint32_t xdp_flags; /* how the program is attached: XDP_FLAGS_DRV_MODE or XDP_FLAGS_SKB_MODE; 0 not */
	bool promiscuous;   /* we switched it on */
};

/* Finds the interface and what it has; brings it up, promiscuous, its offloads that merge or strip frames off. 0, or -errno with a
 * message in error. */
int afxdp_port_open(struct afxdp_port *port, const char *name, unsigned frame_size, char *error);
/* Undoes what was switched on. */
void afxdp_port_close(struct afxdp_port *port);
/* Whether it is still the same interface, and its link is up. */
bool afxdp_port_present(const struct afxdp_port *port);
bool afxdp_port_up(const struct afxdp_port *port);
/* Attaches the program in the given mode (enum io_xdp_mode), in the place of an earlier one of ours. 0, or -errno with a message. */
int afxdp_port_attach(struct afxdp_port *port, int program, int mode, char *error);
void afxdp_port_detach(struct afxdp_port *port);

/* --- a worker ----------------------------------------------------------------------------------------------------------- */

struct afxdp_worker_config {
	const struct afxdp_port *ports;
	unsigned port_count;
	unsigned worker, workers; /* it serves the queues worker, worker + workers, ... of each port */
	const struct io_afxdp_config *config;
	volatile uint64_t *heartbeat;
	int sockets_map, owners_map, shunts_map;
	/* Called when the worker closes, while its numbers can still be asked. */
	void (*closing)(void *user, unsigned worker);
	void *user;
};

struct io *afxdp_worker_open(const struct afxdp_worker_config *config, struct counters *counters, char *error);
bool afxdp_worker_zero_copy(const struct io *io);
/* Frames that the kernel could not hand to the worker's sockets of a port. Any thread. */
uint64_t afxdp_worker_missed(const struct io *io, unsigned port);
uint64_t afxdp_worker_sent(const struct io *io, unsigned port);
