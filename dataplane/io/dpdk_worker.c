/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One worker's share of the ports: its receive queue and its transmit queue at each. Packets are looked at where the driver put them
 * and leave in the same buffer. The thread is ours, not DPDK's: it is made known there so that the pool's cache works for it.
 */
#include <errno.h>
#include <pcap/dlt.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_pause.h>

#include "dpdk.h"

/* A full transmit ring is tried again so often, with so many pauses between (some 25 us in all): what a NIC of 10 Gbit/s needs to
 * send a burst of full packets several times over. */
#define TX_TRIES  16
#define TX_PAUSES 32
/* While nothing comes the queues are looked at so often: first soon, then ever more seldom. Drivers without a receive interrupt
 * leave no other way; the last is what a ring of 1,024 takes in at a million packets a second. */
#define NAP_FIRST_US 25
#define NAP_LAST_US  500

struct dpdk_worker {
	struct io io; /* first */
	struct io_ops ops;
	struct dpdk_wire wire;
	struct counters *counters;
	unsigned self;
	unsigned next; /* the port that the next receive begins with, so that none starves */
	int bell;      /* eventfd: rung by others to end our sleep */
	bool known;    /* to DPDK, as one of its threads */
	pthread_t thread;
	uint64_t number;
	unsigned nap_us;
	unsigned idle_count;
	struct packet *idle[IO_OUTSTANDING_MAX];
	struct packet packets[IO_OUTSTANDING_MAX];
	/* of one burst of verdicts */
	unsigned out_count[IO_PORTS_MAX];
	struct rte_mbuf *out[IO_PORTS_MAX][IO_BURST_MAX];
};

static struct dpdk_worker *worker_of(struct io *io)
{
	return (struct dpdk_worker *)io;
}

static struct rte_mbuf *mbuf_of(const struct packet *pkt)
{
	return (struct rte_mbuf *)(uintptr_t)pkt->backend[0];
}

/* --- the thread -------------------------------------------------------------------------------------------------------- */

static pthread_key_t known_key;
static pthread_once_t known_once = PTHREAD_ONCE_INIT;

static void forget_thread(void *value)
{
	(void)value;
	rte_thread_unregister();
}

static void make_key(void)
{
	pthread_key_create(&known_key, forget_thread);
}

/* Without (too many threads have come before) all works as well, but for the pool's cache. */
static void make_known(struct dpdk_worker *w)
{
	w->known = true;
	w->thread = pthread_self();
	pthread_once(&known_once, make_key);
	if (rte_lcore_id() == LCORE_ID_ANY && rte_thread_register() == 0)
		pthread_setspecific(known_key, w);
}

/* --- receiving --------------------------------------------------------------------------------------------------------- */

/* One buffer for a packet that came in several. NULL: it is dropped. */
static struct rte_mbuf *make_one(struct dpdk_worker *w, struct rte_mbuf *mbuf)
{
	if (rte_pktmbuf_linearize(mbuf) == 0)
		return mbuf;
	struct rte_mbuf *one = w->wire.big ? rte_pktmbuf_copy(mbuf, w->wire.big, 0, UINT32_MAX) : NULL;
	if (one && one->nb_segs > 1) {
		rte_pktmbuf_free(one);
		one = NULL;
	}
	rte_pktmbuf_free(mbuf);
	return one;
}

static struct packet *make_packet(struct dpdk_worker *w, struct rte_mbuf *mbuf, unsigned port, uint64_t ts_ns)
{
	count(w->counters, COUNTER_CAPTURE_PACKETS);
	count_add(w->counters, COUNTER_CAPTURE_BYTES, mbuf->pkt_len);
	if (mbuf->nb_segs > 1 && !(mbuf = make_one(w, mbuf))) {
		w->counters->drop[DROP_BACKEND]++;
		count(w->counters, COUNTER_CAPTURE_REFUSED);
		return NULL;
	}
	struct packet *pkt = w->idle[--w->idle_count];
	pkt->data = rte_pktmbuf_mtod(mbuf, uint8_t *);
	pkt->len = pkt->wire_len = mbuf->pkt_len;
	pkt->ts_ns = ts_ns;
	pkt->number = ++w->number;
	pkt->link_type = DLT_EN10MB;
	pkt->port = (uint16_t)port;
	pkt->backend[0] = (uintptr_t)mbuf;
	pkt->verdict = VERDICT_FORWARD;
	return pkt;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static unsigned take(struct dpdk_worker *w, struct packet **pkts, unsigned max)
{
	struct rte_mbuf *mbufs[IO_BURST_MAX];
	unsigned n = 0;
	uint64_t ts_ns = 0;
	if (max > w->idle_count)
		max = w->idle_count;
	for (unsigned i = 0; i < w->wire.port_count && n < max; i++) {
		unsigned port = (w->next + i) % w->wire.port_count;
		const struct dpdk_port *p = &w->wire.ports[port];
		if (w->self >= p->rx_queues)
			continue;
		unsigned got = rte_eth_rx_burst(p->id, (uint16_t)w->self, mbufs, (uint16_t)(max - n));
		if (got > 0 && !ts_ns)
			ts_ns = clock_ns(CLOCK_REALTIME);
		for (unsigned k = 0; k < got; k++)
			rte_prefetch0(rte_pktmbuf_mtod(mbufs[k], void *));
		for (unsigned k = 0; k < got; k++) {
			struct packet *pkt = make_packet(w, mbufs[k], port, ts_ns);
			if (pkt)
				pkts[n++] = pkt;
		}
	}
	w->next++;
	return n;
}

/* Sleeps for at most so long; true when somebody rang. */
static bool nap(struct dpdk_worker *w, unsigned us)
{
	struct pollfd fd = {.fd = w->bell, .events = POLLIN};
	const struct timespec t = {.tv_nsec = (long)us * 1000};
	uint64_t rung;
	if (ppoll(&fd, 1, &t, NULL) <= 0)
		return false;
	(void)!read(w->bell, &rung, sizeof(rung));
	return true;
}

static bool any_gone(const struct dpdk_worker *w)
{
	for (unsigned i = 0; i < w->wire.port_count; i++)
		if (atomic_load_explicit(&w->wire.ports[i].gone, memory_order_relaxed))
			return true;
	return false;
}

static int worker_receive(struct io *io, struct packet **pkts, unsigned max, unsigned wait_us)
{
	struct dpdk_worker *w = worker_of(io);
	if (!w->known || !pthread_equal(w->thread, pthread_self()))
		make_known(w);
	unsigned n = take(w, pkts, max);
	if (n > 0 || wait_us == 0) {
		w->nap_us = NAP_FIRST_US;
		return (int)n;
	}
	if (any_gone(w)) {
		snprintf(io->error, sizeof(io->error), "DPDK: a port was taken away");
		return -ENODEV;
	}
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + wait_us * 1000ull;
	while (n == 0) {
		uint64_t now = clock_ns(CLOCK_MONOTONIC);
		if (now >= end)
			break;
		uint64_t left_us = (end - now) / 1000 + 1;
		if (nap(w, w->nap_us < left_us ? w->nap_us : (unsigned)left_us))
			return (int)take(w, pkts, max);
		if (w->nap_us < NAP_LAST_US)
			w->nap_us *= 2;
		n = take(w, pkts, max);
	}
	return (int)n;
}

static void worker_wake(struct io *io)
{
	const uint64_t one = 1;
	(void)!write(worker_of(io)->bell, &one, sizeof(one)); /* full is rung as well */
}

/* --- sending ----------------------------------------------------------------------------------------------------------- */

static unsigned try_send(const struct dpdk_port *p, uint16_t queue, struct rte_mbuf **mbufs, unsigned n)
{
	unsigned sent = 0;
	for (unsigned tries = 0; sent < n && tries < TX_TRIES; tries++) {
		unsigned more = rte_eth_tx_burst(p->id, queue, mbufs + sent, (uint16_t)(n - sent));
		sent += more;
		for (unsigned i = 0; more == 0 && i < TX_PAUSES; i++)
			rte_pause();
	}
	return sent;
}

/* Returns how many were sent; the rest is still the caller's. */
static unsigned send_burst(struct dpdk_worker *w, unsigned port, struct rte_mbuf **mbufs, unsigned n)
{
	struct dpdk_port *p = &w->wire.ports[port];
	if (!atomic_load_explicit(&p->up, memory_order_relaxed))
		return 0;
	if (!p->tx_shared)
		return try_send(p, (uint16_t)w->self, mbufs, n);
	rte_spinlock_lock(&p->tx_lock);
	unsigned sent = try_send(p, (uint16_t)(w->self % p->tx_queues), mbufs, n);
	rte_spinlock_unlock(&p->tx_lock);
	return sent;
}

static void flush(struct dpdk_worker *w, unsigned port)
{
	unsigned n = w->out_count[port], sent = send_burst(w, port, w->out[port], n);
	w->out_count[port] = 0;
	if (sent == n)
		return;
	w->counters->drop[DROP_TX_FULL] += n - sent;
	rte_pktmbuf_free_bulk(w->out[port] + sent, n - sent);
}

/* Makes the buffer say what the packet says now. False when it cannot hold it. */
static bool take_bytes(struct rte_mbuf *mbuf, const struct packet *pkt)
{
	const uint8_t *begin = mbuf->buf_addr, *end = begin + mbuf->buf_len;
	if (pkt->len > UINT16_MAX)
		return false;
	if (pkt->data >= begin && pkt->data < end) {
		if (pkt->len > (size_t)(end - pkt->data))
			return false;
		mbuf->data_off = (uint16_t)(pkt->data - begin);
	} else {
		if (pkt->len > (size_t)mbuf->buf_len - mbuf->data_off)
			return false;
		memcpy(rte_pktmbuf_mtod(mbuf, uint8_t *), pkt->data, pkt->len);
	}
	mbuf->data_len = (uint16_t)pkt->len;
	mbuf->pkt_len = pkt->len;
	return true;
}

/* What a driver noted on receiving must not steer the sending. */
static void clear_notes(struct rte_mbuf *mbuf)
{
	mbuf->ol_flags &= RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_INDIRECT;
	mbuf->tx_offload = 0;
}

static void worker_verdict(struct io *io, struct packet **pkts, unsigned n)
{
	struct dpdk_worker *w = worker_of(io);
	struct rte_mbuf *done[IO_BURST_MAX];
	unsigned done_count = 0;
	for (unsigned i = 0; i < n; i++) {
		struct packet *pkt = pkts[i];
		struct rte_mbuf *mbuf = mbuf_of(pkt);
		bool send = pkt->verdict == VERDICT_FORWARD || pkt->verdict == VERDICT_REPLACE;
		unsigned port = pkt->port ^ 1u;
		if (send && pkt->verdict == VERDICT_REPLACE && !take_bytes(mbuf, pkt)) {
			w->counters->drop[DROP_TX_FULL]++;
			send = false;
		}
		w->idle[w->idle_count++] = pkt;
		if (!send) {
			done[done_count++] = mbuf;
			continue;
		}
		clear_notes(mbuf);
		w->out[port][w->out_count[port]++] = mbuf;
	}
	for (unsigned port = 0; port < w->wire.port_count; port++)
		if (w->out_count[port] > 0)
			flush(w, port);
	if (done_count > 0)
		rte_pktmbuf_free_bulk(done, done_count);
}

static int worker_inject(struct io *io, const uint8_t *frame, size_t len, uint64_t ts_ns, uint16_t in_port,
			 uint16_t link_type, bool back)
{
	struct dpdk_worker *w = worker_of(io);
	(void)ts_ns;
	if (link_type != DLT_EN10MB || in_port >= w->wire.port_count)
		return -EINVAL;
	struct rte_mempool *pool = w->wire.pool;
	if (w->wire.big && len > (size_t)rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM)
		pool = w->wire.big;
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);
	if (!mbuf)
		return -ENOBUFS;
	char *to = len <= UINT16_MAX ? rte_pktmbuf_append(mbuf, (uint16_t)len) : NULL;
	if (!to) {
		rte_pktmbuf_free(mbuf);
		return -EMSGSIZE;
	}
	memcpy(to, frame, len);
	if (send_burst(w, back ? in_port : in_port ^ 1u, &mbuf, 1) == 1)
		return 0;
	rte_pktmbuf_free(mbuf);
	return -ENOBUFS;
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

static void worker_backlog(struct io *io, uint32_t *waiting, uint32_t *room)
{
	struct dpdk_worker *w = worker_of(io);
	*waiting = *room = 0;
	for (unsigned i = 0; i < w->wire.port_count; i++) {
		const struct dpdk_port *p = &w->wire.ports[i];
		int n = w->self < p->rx_queues ? rte_eth_rx_queue_count(p->id, (uint16_t)w->self) : 0;
		if (n > 0 && (uint32_t)n > *waiting)
			*waiting = (uint32_t)n; /* the fullest ring is the one that loses */
		*room = w->wire.rx_descriptors;
	}
}

static int worker_close(struct io *io, char *error)
{
	struct dpdk_worker *w = worker_of(io);
	if (error)
		error[0] = '\0';
	if (w->bell >= 0)
		close(w->bell);
	free(w);
	return 0;
}

struct io *dpdk_worker_open(const struct dpdk_wire *wire, unsigned worker, struct counters *counters)
{
	struct dpdk_worker *w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->ops = (struct io_ops){
		.name = "dpdk",
		.receive = worker_receive,
		.verdict = worker_verdict,
		.inject = worker_inject,
		.wake = worker_wake,
		.close = worker_close,
	};
	bool counts = true;
	for (unsigned i = 0; i < wire->port_count; i++)
		counts = counts && wire->ports[i].counts_queue;
	if (counts)
		w->ops.backlog = worker_backlog;
	w->io.ops = &w->ops;
	w->wire = *wire;
	w->counters = counters;
	w->self = worker;
	w->nap_us = NAP_FIRST_US;
	for (unsigned i = 0; i < IO_OUTSTANDING_MAX; i++)
		w->idle[w->idle_count++] = &w->packets[i];
	w->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->bell < 0) {
		int why = errno;
		worker_close(&w->io, NULL);
		errno = why;
		return NULL;
	}
	return &w->io;
}
