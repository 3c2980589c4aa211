/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Steering: both directions of a flow, its fragments and its tunnels reach one worker, whatever the hardware hands to whom.
 *
 * The worker that a packet came to (its owner) lends it to the one that its addresses choose; that one judges it and gives
 * it back, and the owner carries the verdict out. Pointers travel through rings with one writer and one reader each, so
 * there is no lock, no copy, and the packets of a flow stay in order. A ring holds all that an owner can have outstanding
 * (IO_OUTSTANDING_MAX): it is never full, and a judge that is slow keeps its owners from receiving more, not others from
 * judging.
 *
 * Private to io/. One object a device; each worker has one io of it.
 */

#include <dataplane/io.h>

struct steer;

/* For `workers` workers. NULL and errno on failure. */
struct steer *steer_new(unsigned workers);
/* After every io of it was closed. NULL is allowed. */
void steer_free(struct steer *steer);

/* Wraps a worker's instance, which is then the wrapper's to close. It must let IO_OUTSTANDING_MAX packets be owed, leave
 * packet.backend[3] alone, and should know ops->wake: without it receive sleeps only for moments. NULL and errno on failure; the inner one is then untouched. */
struct io *steer_io(struct steer *steer, unsigned worker, struct io *inner, struct counters *counters);

/* The hash that chooses: of the outermost IP addresses, the same both ways, for an ICMP error those of the packet that it quotes.
 * False for what has none. `seed` keeps others from choosing. */
bool steer_hash(const uint8_t *frame, size_t len, uint16_t link_type, uint64_t seed, uint32_t *hash);
