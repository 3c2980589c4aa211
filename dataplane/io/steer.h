/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Steering: makes the instances of N workers ("inner") into N instances of which each brings only the packets that belong to
 * its worker, whatever queue the hardware put them into. Both directions of a flow, its fragments and its tunnels are one
 * worker's (frame_hash.h). What is no IP stays with the worker that received it.
 *
 * The worker that received a packet owns it. It lends packets of others to them, as pointers, through a ring a pair; a judge
 * gives them back, with their verdicts, through another; the owner carries the verdicts out on its inner instance. Packets of a
 * flow stay in order. A ring takes STEER_LENT_MAX packets. When a judge has so many of one owner, the owner first leaves what
 * comes next where it is (in the NIC's queue), for STEER_PATIENCE_NS; from then on it drops what is for that judge
 * (DROP_OVERLOAD), until half is back, and brings the others' again.
 *
 * What an inner instance must do: allow IO_OUTSTANDING_MAX packets without a verdict, in any order of return; leave
 * packet.backend[3] alone; look at nothing in a returned packet but verdict, data, len, and its own backend[]; count in
 * drop[DROP_TX_FULL] before verdict returns; take a call of verdict without packets (what was injected may leave with it); have
 * wake, or else waits are cut into short ones (STEER_NAP_US).
 *
 * Who counts what: capture.packets and capture.bytes the owner (its inner instance does), everything else the judge, so also
 * drop[DROP_TX_FULL] of the packets that it judged. What the owner drops without a judge is capture.refused, with a reason.
 * At rest (after finish) nothing is on the way, and received = forwarded + dropped holds for each worker.
 */

#include <dataplane/io.h>

#define STEER_LENT_MAX	  512	  /* half of IO_OUTSTANDING_MAX: one slow judge never keeps an owner from all others */
#define STEER_PATIENCE_NS 5000000 /* a judge that lost its processor to a neighbour is back by then */
#define STEER_NAP_US	  100	  /* when there is nothing to do until another worker moves, and no wake */

struct steer;

/* The common part of the instances of that many workers. NULL and errno. */
struct steer *steer_new(unsigned workers);
/* After all its instances were closed. NULL is allowed. */
void steer_free(struct steer *steer);

/* Wraps the inner instance of a worker; closing the new one closes it. All are wrapped before the first one's thread starts, and
 * closed after the last one's has ended. NULL and errno: `inner` is still the caller's. `counters` are those that inner counts in. */
struct io *steer_io(struct steer *steer, unsigned worker, struct io *inner, struct counters *counters);
