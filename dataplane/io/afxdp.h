/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The AF_XDP backend's parts: afxdp.c is the device (the ports' life together), afxdp_port.c an interface and its settings,
 * afxdp_program.c the XDP program and its maps, afxdp_worker.c the sockets and frames of one worker. Private to io/.
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
	int lock; /* reserves the port; -1: not */
	uint32_t
		present_flags; /* how an earlier program of ours is attached: XDP_FLAGS_DRV_MODE or XDP_FLAGS_SKB_MODE; 0: none */
	uint32_t xdp_flags; /* how ours is; 0: not */
	bool inherited;	    /* there was an earlier program: a sensor died here */
	struct xdp_before before;
};

/* Finds the interface and what it has, and reserves it; changes nothing. 0, or -errno with a message in error. */
int afxdp_port_find(struct afxdp_port *port, const char *name, unsigned frame_size, char *error);
/* Looks for an earlier sensor's program on it and takes over what that knew. 0, or -errno with a message: another program is
 * there. */
int afxdp_port_find_program(struct afxdp_port *port, char *error);
/* Brings it up, promiscuous, its offloads that merge or strip frames off, with a queue for each worker. Notes what it was like in
 * port->before. 0, or -errno with a message. */
int afxdp_port_prepare(struct afxdp_port *port, unsigned workers, char *error);
/* Undoes what afxdp_port_prepare did, also in an earlier process. */
void afxdp_port_restore(struct afxdp_port *port);
/* Lets others have it. */
void afxdp_port_release(struct afxdp_port *port);
/* Whether it is still the same interface, and its link is up. */
bool afxdp_port_present(const struct afxdp_port *port);
bool afxdp_port_up(const struct afxdp_port *port);
/* Attaches the program, in the place of an earlier one of ours. 0 or -errno. */
int afxdp_port_attach(struct afxdp_port *port, int program, uint32_t flags);
/* What is attached can be taken over by this process later, even without the right to look into programs. */
void afxdp_port_remember(const struct afxdp_port *port, unsigned index, int program);
void afxdp_port_detach(struct afxdp_port *port);
/* The port that was remembered under an index, when its program is still there. False when there is none. */
bool afxdp_port_recall(struct afxdp_port *port, unsigned index);

/* --- the program -------------------------------------------------------------------------------------------------------- */

struct afxdp_program;

/* Loads the program for so many ports. settings->port is filled in for each. NULL with a message in error, and errno. */
struct afxdp_program *afxdp_program_load(const struct xdp_settings *settings, unsigned ports, char *error);
/* What is attached stays with its maps. NULL is allowed. */
void afxdp_program_free(struct afxdp_program *program);
/* What workers write without a system call. */
struct xdp_control *afxdp_program_control(const struct afxdp_program *program);
/* Descriptors: of maps, and of a port's program. */
int afxdp_program_sockets(const struct afxdp_program *program);
int afxdp_program_shunts(const struct afxdp_program *program);
int afxdp_program_fd(const struct afxdp_program *program, unsigned port);
/* Tells it the other side of a port, and keeps what the port was like. 0 or -errno. */
int afxdp_program_join(struct afxdp_program *program, unsigned port, int peer_ifindex, const struct xdp_before *before);
struct xdp_counts afxdp_program_counts(struct afxdp_program *program, unsigned port);
/* Throws out shunted flows that have long been silent; when none is left, frames are not asked for their flow any more. */
void afxdp_program_sweep(struct afxdp_program *program, uint64_t now_ns);

/* --- a worker ----------------------------------------------------------------------------------------------------------- */

struct afxdp_worker_config {
	const struct afxdp_port *ports;
	const bool *ports_up; /* written by the main thread */
	unsigned port_count;
	unsigned worker, workers; /* it serves the queues worker, worker + workers, ... of each port */
	const struct io_afxdp_config *config;
	struct xdp_control *control;
	int sockets_map, shunts_map;
	/* Called when the worker closes, while its numbers can still be asked. */
	void (*closing)(void *user, unsigned worker);
	void *user;
};

struct io *afxdp_worker_open(const struct afxdp_worker_config *config, struct counters *counters, char *error);
bool afxdp_worker_zero_copy(const struct io *io);
/* Frames that the kernel could not hand to the worker's sockets of a port. Any thread. */
uint64_t afxdp_worker_missed(const struct io *io, unsigned port);
uint64_t afxdp_worker_sent(const struct io *io, unsigned port);
/* The key of a packet's flow as the program makes it of a frame at that port. False when the program does not know such flows. */
bool afxdp_flow_key(const struct packet *pkt, struct xdp_flow *key);
