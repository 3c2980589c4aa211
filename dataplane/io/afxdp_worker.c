/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One worker's sockets: one for each queue that it serves at each port, all over one memory of frames, so that a frame goes
 * from one port's receive ring to the other's transmit ring without a copy.
 *
 * A frame is at any time in exactly one place: the free stack, a fill ring or receive ring (the kernel's), with the worker as a
 * packet, or in a transmit or completion ring.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <pcap/dlt.h>
#include <xdp/xsk.h>

#include "afxdp.h"

/* Frames that one sendto in copy mode may send where the kernel lets us say (6.17); it stops at 32 else. */
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif
#define TX_BUDGET 512
/* Bytes of frames that the kernel may hold for a socket in copy mode: more than any ring is deep. */
#define SEND_BUFFER (64 << 20)
/* Frames that a queue must have for itself to be worth it. */
#define DEPTH_MIN (2 * IO_BURST_MAX)
/* Calls of sendto in one turn; a ring that is not empty then is tried again next turn. */
#define KICKS_MAX 16
#define REAP_MAX  256
/* At the end, what is in the transmit rings gets so long to leave. */
#define DRAIN_NS 50000000ull

/* A queue of a port. */
struct queue {
	struct xsk_socket *socket;
	struct xsk_ring_cons rx, completion;
	struct xsk_ring_prod tx, fill;
	uint16_t port;
	bool dirty;	    /* something was put into its transmit ring in this turn */
	uint32_t receiving; /* frames in fill and receive rings */
	uint32_t sending;   /* frames in transmit and completion rings */
	uint64_t sent;
};

struct afxdp_worker {
	struct io io; /* first */
	struct counters *counters;
	struct xdp_control *control;
	__u64 *heartbeat; /* in control */
	uint64_t heartbeat_ns;
	int shunts_map;
	bool zero_copy, fail_open;
	uint32_t frame_size, ring_size;
	/* Frames that a queue may have on its way in, and as many on its way out: each can always have them, whatever the others do. */
	uint32_t depth;
	const bool *ports_up;
	uint64_t number; /* packets received */
	unsigned self;
	void (*closing)(void *user, unsigned worker);
	void *user;

	uint8_t *area;
	size_t area_bytes;
	struct xsk_umem *umem;
	struct xsk_ring_prod first_fill; /* the memory's own rings, until the first socket takes them */
	struct xsk_ring_cons first_completion;
	uint64_t *free_frames;
	uint32_t free_count;

	struct queue *queues;
	unsigned queue_count;
	unsigned next; /* where the next receive begins, so that no queue starves */
	unsigned port_count;
	struct queue *out[IO_PORTS_MAX]; /* by port: what is sent there leaves by this one */
	struct pollfd *polls;		 /* queue_count, and the bell's */
	int bell;			 /* eventfd: rung by others to end our sleep */

	struct packet packets[IO_OUTSTANDING_MAX];
	struct packet *idle[IO_OUTSTANDING_MAX];
	unsigned idle_count;
};

static struct afxdp_worker *worker_of(const struct io *io)
{
	return (struct afxdp_worker *)(uintptr_t)io;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Says that we live. After too long a silence the program has forwarded past us, when it may. */
static void beat(struct afxdp_worker *w)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC), before = *w->heartbeat;
	__atomic_store_n(w->heartbeat, now, __ATOMIC_RELAXED);
	if (w->fail_open && before && now - before > w->heartbeat_ns)
		w->io.lapses++;
}

static void frame_free(struct afxdp_worker *w, uint64_t addr)
{
	w->free_frames[w->free_count++] = addr & ~(uint64_t)(w->frame_size - 1);
}

/* --- rings ----------------------------------------------------------------------------------------------------------------- */

/* Takes back the frames that were sent. */
static void reap(struct afxdp_worker *w, struct queue *q)
{
	uint32_t at, n;
	while (q->sending > 0 && (n = xsk_ring_cons__peek(&q->completion, REAP_MAX, &at)) > 0) {
		for (uint32_t i = 0; i < n; i++)
			frame_free(w, *xsk_ring_cons__comp_addr(&q->completion, at + i));
		xsk_ring_cons__release(&q->completion, n);
		q->sending -= n;
	}
}

static bool tx_pending(const struct queue *q)
{
	return __atomic_load_n(q->tx.consumer, __ATOMIC_ACQUIRE) != *q->tx.producer;
}

/* Makes the kernel send what is in the transmit ring, where it does not by itself. */
static void kick(struct queue *q)
{
	q->dirty = false;
	for (unsigned i = 0; i < KICKS_MAX && xsk_ring_prod__needs_wakeup(&q->tx) && tx_pending(q); i++) {
		uint32_t before = *q->tx.consumer;
		if (sendto(xsk_socket__fd(q->socket), NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 &&
		    (errno != EAGAIN || *q->tx.consumer == before))
			return; /* no memory, no link: it stays in the ring until the port can */
	}
}

/* Gives the kernel frames to receive into. */
static void refill(struct afxdp_worker *w, struct queue *q)
{
	uint32_t at, room = w->depth - q->receiving;
	if (room > w->free_count)
		room = w->free_count;
	if (room > 0 && xsk_ring_prod__reserve(&q->fill, room, &at) == room) {
		for (uint32_t i = 0; i < room; i++)
			*xsk_ring_prod__fill_addr(&q->fill, at + i) = w->free_frames[--w->free_count];
		xsk_ring_prod__submit(&q->fill, room);
		q->receiving += room;
	}
	if (xsk_ring_prod__needs_wakeup(&q->fill))
		(void)recvfrom(xsk_socket__fd(q->socket), NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

/* Puts a frame into a transmit ring; false when that stays full, or the port has no link: what is old when the link comes back is
 * of no use to anybody. */
static bool send_frame(struct afxdp_worker *w, struct queue *q, uint64_t addr, uint32_t len)
{
	uint32_t at;
	if (!__atomic_load_n(&w->ports_up[q->port], __ATOMIC_RELAXED))
		return false;
	if (q->sending >= w->depth) {
		kick(q);
		reap(w, q);
	}
	if (q->sending >= w->depth || xsk_ring_prod__reserve(&q->tx, 1, &at) != 1)
		return false;
	*xsk_ring_prod__tx_desc(&q->tx, at) = (struct xdp_desc){.addr = addr, .len = len};
	xsk_ring_prod__submit(&q->tx, 1);
	q->dirty = true;
	q->sending++;
	__atomic_store_n(&q->sent, q->sent + 1, __ATOMIC_RELAXED);
	return true;
}

/* --- receiving ------------------------------------------------------------------------------------------------------------- */

static void packet_from(struct afxdp_worker *w, struct packet *pkt, const struct xdp_desc *desc, uint16_t port,
			uint64_t now_ns)
{
	pkt->data = xsk_umem__get_data(w->area, desc->addr);
	/* another processor has written it: it is fetched while the rest of the burst is taken */
	__builtin_prefetch(pkt->data);
	pkt->len = pkt->wire_len = desc->len;
	pkt->ts_ns = now_ns;
	pkt->number = ++w->number;
	pkt->link_type = DLT_EN10MB;
	pkt->port = port;
	pkt->backend[0] = desc->addr;
}

static unsigned take(struct afxdp_worker *w, struct queue *q, struct packet **pkts, unsigned max, uint64_t now_ns)
{
	uint32_t at, n = xsk_ring_cons__peek(&q->rx, max, &at);
	uint64_t bytes = 0;
	if (n == 0)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&q->rx, at + i);
		pkts[i] = w->idle[--w->idle_count];
		packet_from(w, pkts[i], desc, q->port, now_ns);
		bytes += desc->len;
	}
	xsk_ring_cons__release(&q->rx, n);
	q->receiving -= n;
	count_add(w->counters, COUNTER_CAPTURE_PACKETS, n);
	count_add(w->counters, COUNTER_CAPTURE_BYTES, bytes);
	return n;
}

static unsigned take_all(struct afxdp_worker *w, struct packet **pkts, unsigned max)
{
	uint64_t now_ns = clock_ns(CLOCK_REALTIME);
	unsigned n = 0;
	for (unsigned i = 0; i < w->queue_count; i++) {
		struct queue *q = &w->queues[(w->next + i) % w->queue_count];
		if (q->sending > 0) {
			reap(w, q);
			if (tx_pending(q))
				kick(q);
		}
		n += take(w, q, pkts + n, max - n, now_ns);
		refill(w, q);
	}
	w->next++;
	return n;
}

static int worker_receive(struct io *io, struct packet **pkts, unsigned max, unsigned wait_us)
{
	struct afxdp_worker *w = worker_of(io);
	beat(w);
	if (max > w->idle_count)
		max = w->idle_count;
	unsigned n = take_all(w, pkts, max);
	if (n > 0 || wait_us == 0)
		return (int)n;
	/* never asleep for so long that the program takes us for dead */
	uint64_t wait_ns = wait_us * 1000ull < w->heartbeat_ns / 4 ? wait_us * 1000ull : w->heartbeat_ns / 4;
	const struct timespec timeout = {.tv_sec = (time_t)(wait_ns / 1000000000u),
					 .tv_nsec = (long)(wait_ns % 1000000000u)};
	int rc = ppoll(w->polls, w->queue_count + 1, &timeout, NULL);
	if (rc < 0 && errno != EINTR) {
		rc = -errno;
		snprintf(io->error, sizeof(io->error), "AF_XDP: poll: %s", strerror(-rc));
		return rc;
	}
	if (rc > 0 && w->polls[w->queue_count].revents) {
		uint64_t rung;
		(void)!read(w->bell, &rung, sizeof(rung));
	}
	beat(w);
	return rc > 0 ? (int)take_all(w, pkts, max) : 0;
}

/* --- sending ---------------------------------------------------------------------------------------------------------------- */

static void flush(struct afxdp_worker *w)
{
	for (unsigned i = 0; i < w->queue_count; i++)
		if (w->queues[i].dirty)
			kick(&w->queues[i]);
}

static void worker_verdict(struct io *io, struct packet **pkts, unsigned n)
{
	struct afxdp_worker *w = worker_of(io);
	for (unsigned i = 0; i < n; i++) {
		struct packet *pkt = pkts[i];
		uint64_t addr = pkt->backend[0];
		bool send = pkt->verdict == VERDICT_FORWARD || pkt->verdict == VERDICT_REPLACE;
		w->idle[w->idle_count++] = pkt;
		if (send && send_frame(w, w->out[pkt->port ^ 1], addr, pkt->len))
			continue;
		if (send)
			w->counters->drop[DROP_TX_FULL]++;
		frame_free(w, addr);
	}
	flush(w);
}

static int worker_inject(struct io *io, const uint8_t *frame, size_t len, uint64_t ts_ns, uint16_t in_port,
			 uint16_t link_type, bool back)
{
	struct afxdp_worker *w = worker_of(io);
	(void)ts_ns;
	if (link_type != DLT_EN10MB || len > w->frame_size || in_port >= w->port_count)
		return -EINVAL;
	struct queue *q = w->out[back ? in_port : in_port ^ 1];
	if (w->free_count == 0)
		reap(w, q);
	if (w->free_count == 0)
		return -ENOBUFS;
	uint64_t addr = w->free_frames[--w->free_count];
	memcpy(xsk_umem__get_data(w->area, addr), frame, len);
	if (!send_frame(w, q, addr, (uint32_t)len)) {
		frame_free(w, addr);
		return -ENOBUFS;
	}
	return 0; /* it leaves with the burst's verdicts */
}

/* --- shunting ---------------------------------------------------------------------------------------------------------------- */

bool afxdp_flow_key(const struct packet *pkt, struct xdp_flow *key)
{
	/* the program reads what stands in the frame itself: no tunnel, no fragments or options, not more tags than the key has */
	if (pkt->depth > 0 || pkt->vlan_count > XDP_TAGS_MAX || !pkt->l4 || pkt->flags & PACKET_REASSEMBLED ||
	    pkt->l3_header_len != (pkt->family == 4 ? 20 : 40) ||
	    (pkt->proto != IPPROTO_TCP && pkt->proto != IPPROTO_UDP))
		return false;
	*key = (struct xdp_flow){
		.port = {htons(pkt->sport), htons(pkt->dport)},
		.proto = pkt->proto,
		.family = pkt->family,
		.pair = pkt->port / 2,
	};
	memcpy(key->addr[0], pkt->src.bytes, sizeof(key->addr[0]));
	memcpy(key->addr[1], pkt->dst.bytes, sizeof(key->addr[1]));
	for (unsigned i = 0; i < pkt->vlan_count; i++)
		key->vlan[i] = pkt->vlan[i];
	xdp_flow_order(key);
	return true;
}

static int worker_shunt(struct io *io, const struct packet *pkt)
{
	struct afxdp_worker *w = worker_of(io);
	struct xdp_flow key;
	if (!afxdp_flow_key(pkt, &key))
		return -EOPNOTSUPP;
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	if (bpf_map_update_elem(w->shunts_map, &key, &now, BPF_ANY) != 0)
		return -errno;
	__atomic_store_n(&w->control->shunting, 1, __ATOMIC_SEQ_CST);
	return 0;
}

static void worker_backlog(struct io *io, uint32_t *waiting, uint32_t *room)
{
	struct afxdp_worker *w = worker_of(io);
	*waiting = *room = 0;
	for (unsigned i = 0; i < w->queue_count; i++) {
		uint32_t n = xsk_cons_nb_avail(&w->queues[i].rx, w->ring_size);
		if (n > *waiting)
			*waiting = n; /* the fullest ring is the one that loses */
		*room = w->depth;
	}
}

/* --- life -------------------------------------------------------------------------------------------------------------------- */

/* Lets go what is still in the transmit rings, for a moment. */
static void drain(struct afxdp_worker *w)
{
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + DRAIN_NS;
	for (bool pending = true; pending && clock_ns(CLOCK_MONOTONIC) < end;) {
		pending = false;
		for (unsigned i = 0; i < w->queue_count; i++) {
			struct queue *q = &w->queues[i];
			if (!q->socket || !tx_pending(q))
				continue;
			kick(q);
			reap(w, q);
			pending = true;
		}
	}
}

static int worker_close(struct io *io, char *error)
{
	struct afxdp_worker *w = worker_of(io);
	if (error)
		error[0] = '\0';
	__atomic_store_n(w->heartbeat, 0, __ATOMIC_RELAXED); /* from now on the program knows without waiting */
	drain(w);
	w->closing(w->user, w->self);
	for (unsigned i = 0; i < w->queue_count; i++)
		if (w->queues[i].socket)
			xsk_socket__delete(w->queues[i].socket);
	if (w->umem)
		xsk_umem__delete(w->umem);
	if (w->area)
		munmap(w->area, w->area_bytes);
	free(w->free_frames);
	free(w->queues);
	free(w->polls);
	if (w->bell >= 0)
		close(w->bell);
	free(w);
	return 0;
}

static void worker_wake(struct io *io)
{
	const uint64_t one = 1;
	(void)!write(worker_of(io)->bell, &one, sizeof(one)); /* full is rung as well */
}

static const struct io_ops worker_ops = {
	.name = "afxdp",
	.receive = worker_receive,
	.verdict = worker_verdict,
	.inject = worker_inject,
	.shunt = worker_shunt,
	.backlog = worker_backlog,
	.wake = worker_wake,
	.close = worker_close,
};

static int make_memory(struct afxdp_worker *w, uint32_t frames)
{
	const struct xsk_umem_config config = {
		.fill_size = w->ring_size, .comp_size = w->ring_size, .frame_size = w->frame_size};
	w->area_bytes = (size_t)frames * w->frame_size;
	w->free_frames = malloc(frames * sizeof(*w->free_frames));
	void *area =
		mmap(NULL, w->area_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (area == MAP_FAILED || !w->free_frames)
		return -ENOMEM;
	w->area = area;
	for (uint32_t i = 0; i < frames; i++)
		w->free_frames[i] = (uint64_t)i * w->frame_size;
	w->free_count = frames;
	return xsk_umem__create(&w->umem, w->area, w->area_bytes, &w->first_fill, &w->first_completion, &config);
}

static int open_queue(struct afxdp_worker *w, const struct afxdp_worker_config *c, struct queue *q, unsigned port,
		      unsigned number, uint16_t bind_flags)
{
	const struct xsk_socket_config config = {
		.rx_size = w->ring_size,
		.tx_size = w->ring_size,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = bind_flags,
	};
	uint32_t slot = XDP_SLOT(port, number);
	const int budget = TX_BUDGET, buffer = SEND_BUFFER;
	q->port = (uint16_t)port;
	int rc = xsk_socket__create_shared(&q->socket, c->ports[port].name, number, w->umem, &q->rx, &q->tx, &q->fill,
					   &q->completion, &config);
	if (rc != 0) {
		q->socket = NULL;
		return rc;
	}
	int fd = xsk_socket__fd(q->socket);
	(void)setsockopt(fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof(budget));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer)) != 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	refill(w, q);
	return bpf_map_update_elem(c->sockets_map, &slot, &fd, BPF_ANY) == 0 ? 0 : -errno;
}

/* The sockets of all queues that the worker serves. */
static int open_queues(struct afxdp_worker *w, const struct afxdp_worker_config *c, uint16_t bind_flags)
{
	w->queue_count = 0;
	for (unsigned port = 0; port < c->port_count; port++) {
		for (unsigned n = c->worker; n < c->ports[port].queues; n += c->workers) {
			struct queue *q = &w->queues[w->queue_count++];
			memset(q, 0, sizeof(*q));
			int rc = open_queue(w, c, q, port, n, bind_flags);
			if (rc != 0)
				return rc;
			w->polls[w->queue_count - 1] =
				(struct pollfd){.fd = xsk_socket__fd(q->socket), .events = POLLIN};
			if (n == c->worker)
				w->out[port] = q;
		}
	}
	w->polls[w->queue_count] = (struct pollfd){.fd = w->bell, .events = POLLIN};
	return 0;
}

static void close_queues(struct afxdp_worker *w)
{
	for (unsigned i = 0; i < w->queue_count; i++)
		if (w->queues[i].socket)
			xsk_socket__delete(w->queues[i].socket);
	w->queue_count = 0;
	if (w->umem)
		xsk_umem__delete(w->umem);
	w->umem = NULL;
	if (w->area)
		munmap(w->area, w->area_bytes);
	w->area = NULL;
	free(w->free_frames);
	w->free_frames = NULL;
}

/* Zero-copy where every port can and it is wanted, else by copy. */
static int open_sockets(struct afxdp_worker *w, const struct afxdp_worker_config *c)
{
	bool generic = false;
	for (unsigned i = 0; i < c->port_count; i++)
		generic |= c->ports[i].xdp_flags == XDP_FLAGS_SKB_MODE;
	bool copy = generic || !c->config->zero_copy;
	int rc;
	for (;; copy = true) {
		rc = make_memory(w, c->config->frames);
		if (rc == 0)
			rc = open_queues(w, c, (uint16_t)(XDP_USE_NEED_WAKEUP | (copy ? XDP_COPY : 0)));
		if (rc == 0 || copy)
			break;
		close_queues(w);
	}
	struct xdp_options options = {0};
	socklen_t len = sizeof(options);
	if (rc == 0 && getsockopt(xsk_socket__fd(w->queues[0].socket), SOL_XDP, XDP_OPTIONS, &options, &len) == 0)
		w->zero_copy = options.flags & XDP_OPTIONS_ZEROCOPY;
	return rc;
}

struct io *afxdp_worker_open(const struct afxdp_worker_config *c, struct counters *counters, char *error)
{
	unsigned queues = 0;
	for (unsigned i = 0; i < c->port_count; i++)
		queues += (c->ports[i].queues - c->worker + c->workers - 1) / c->workers;
	/* the worker holds what it judges, and may have something of its own to say */
	uint32_t reserve = IO_OUTSTANDING_MAX + IO_BURST_MAX;
	uint32_t depth = c->config->frames > reserve ? (c->config->frames - reserve) / (queues * 2) : 0;
	if (depth < DEPTH_MIN) {
		snprintf(error, IO_ERROR_MAX, "afxdp.frames %u is too few for %u queues a worker: %u are needed",
			 c->config->frames, queues, reserve + queues * 2 * DEPTH_MIN);
		return NULL;
	}
	struct afxdp_worker *w = calloc(1, sizeof(*w));
	int rc = -ENOMEM;
	if (!w)
		goto fail;
	w->io.ops = &worker_ops;
	w->bell = -1;
	w->counters = counters;
	w->self = c->worker;
	w->closing = c->closing;
	w->user = c->user;
	w->control = c->control;
	w->heartbeat = &c->control->workers[c->worker].beat_ns;
	w->heartbeat_ns = c->config->heartbeat_ns;
	w->fail_open = c->config->fail_open;
	w->shunts_map = c->shunts_map;
	w->frame_size = c->config->frame_size;
	w->ring_size = c->config->ring_size;
	w->depth = depth < w->ring_size ? depth : w->ring_size;
	w->ports_up = c->ports_up;
	w->port_count = c->port_count;
	w->queues = calloc(queues, sizeof(*w->queues));
	w->polls = calloc(queues + 1, sizeof(*w->polls));
	w->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->bell < 0)
		rc = -errno;
	if (!w->queues || !w->polls || w->bell < 0)
		goto fail;
	for (unsigned i = 0; i < IO_OUTSTANDING_MAX; i++)
		w->idle[w->idle_count++] = &w->packets[i];
	rc = open_sockets(w, c);
	if (rc == 0) {
		beat(w); /* its thread starts soon: what comes until then waits */
		return &w->io;
	}
fail:
	snprintf(error, IO_ERROR_MAX, "AF_XDP sockets cannot be opened: %s", strerror(-rc));
	if (w)
		worker_close(&w->io, NULL);
	errno = -rc;
	return NULL;
}

/* --- what the device asks ------------------------------------------------------------------------------------------------------ */

bool afxdp_worker_zero_copy(const struct io *io)
{
	return worker_of(io)->zero_copy;
}

uint64_t afxdp_worker_missed(const struct io *io, unsigned port)
{
	const struct afxdp_worker *w = worker_of(io);
	uint64_t missed = 0;
	for (unsigned i = 0; i < w->queue_count; i++) {
		struct xdp_statistics s = {0};
		socklen_t len = sizeof(s);
		if (w->queues[i].port == port &&
		    getsockopt(xsk_socket__fd(w->queues[i].socket), SOL_XDP, XDP_STATISTICS, &s, &len) == 0)
			missed += s.rx_dropped + s.rx_ring_full;
	}
	return missed;
}

uint64_t afxdp_worker_sent(const struct io *io, unsigned port)
{
	const struct afxdp_worker *w = worker_of(io);
	uint64_t sent = 0;
	for (unsigned i = 0; i < w->queue_count; i++)
		if (w->queues[i].port == port)
			sent += __atomic_load_n(&w->queues[i].sent, __ATOMIC_RELAXED);
	return sent;
}
