/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Gives DPDK's net_ring ports packets to forward: preloaded (LD_PRELOAD) to any DPDK program, it puts frames into the rings of
 * a port when that is started. Two net_ring ports that are forwarded to each other then pass the same frames on for ever, as
 * fast as the program can, and no kernel takes part.
 *
 * FEED_RING_SIZE is the size of the frames on the wire (64 to 1518), FEED_RING_FRAMES how many each queue gets.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "frame.h"

/* A ring holds 1,023: both queues' frames may meet in one. */
#define FRAMES_MAX 500

/* What rte_mempool_walk calls: keeps the pool that has most objects, for frames of its own must not starve the receiver. */
static void choose_pool(struct rte_mempool *pool, void *chosen)
{
	struct rte_mempool **best = chosen;
	if (!*best || pool->size > (*best)->size)
		*best = pool;
}

static unsigned feed(struct rte_ring *ring, struct rte_mempool *pool, unsigned size, unsigned count)
{
	unsigned done = 0;
	for (; done < count; done++) {
		struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);
		if (!mbuf)
			break;
		frame_make((uint8_t *)rte_pktmbuf_append(mbuf, (uint16_t)(size - 4)), size - 4, done);
		if (rte_ring_enqueue(ring, mbuf) != 0) {
			rte_pktmbuf_free(mbuf);
			break;
		}
	}
	return done;
}

static unsigned number(const char *name, unsigned least, unsigned most)
{
	const char *text = getenv(name);
	unsigned n = text ? (unsigned)strtoul(text, NULL, 10) : least;
	return n < least ? least : n > most ? most : n;
}

/* Stands before the library's own. */
int rte_eth_dev_start(uint16_t port)
{
	int (*start)(uint16_t) = (int (*)(uint16_t))dlsym(RTLD_NEXT, "rte_eth_dev_start");
	int rc = start ? start(port) : -1;
	char name[RTE_ETH_NAME_MAX_LEN], ring_name[RTE_ETH_NAME_MAX_LEN + 24];
	struct rte_eth_dev_info info;
	struct rte_mempool *pool = NULL;
	rte_mempool_walk(choose_pool, &pool);
	if (rc != 0 || !pool || rte_eth_dev_get_name_by_port(port, name) != 0 || strncmp(name, "net_ring", 8) != 0 ||
	    rte_eth_dev_info_get(port, &info) != 0)
		return rc;
	for (unsigned queue = 0; queue < info.nb_rx_queues; queue++) {
		snprintf(ring_name, sizeof(ring_name), "ETH_RXTX%u_%s", queue, name);
		struct rte_ring *ring = rte_ring_lookup(ring_name);
		if (ring)
			fprintf(stderr, "feed_ring: %u frames to %s\n",
				feed(ring, pool, number("FEED_RING_SIZE", 64, 1518),
				     number("FEED_RING_FRAMES", 1, FRAMES_MAX)),
				ring_name);
	}
	return rc;
}
