/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One worker's queue: bursts of packets in by one system call, their verdicts out by another.
 *
 * A fragment that is held gets the verdict "drop" and is sent anew once its datagram is judged: the kernel's queue keeps no place
 * for it meanwhile, and the verdicts on the packets after it can be given in one message.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <pcap/dlt.h>

#include "nfq.h"
#include "nfq_message.h"

/* A message: the largest packet, and what the kernel says about it. */
#define SLOT_BYTES (65536u + 1024u)
#define SEND_BYTES (256u << 10)
_Static_assert(SEND_BYTES > 2 * SLOT_BYTES, "one rewritten packet fits behind others");

/* What a packet keeps in packet.backend[]. */
enum { KEEP_ID, KEEP_MARK, KEEP_INFO };

struct nfq_worker {
	struct io io; /* first */
	struct counters *counters;
	const struct io_nfq_config *config;
	const uint8_t *port_of;
	struct nfq_pulse *pulse;
	int fd, raw4, raw6; /* raw sockets: -1 none */
	uint16_t queue;
	uint64_t number;
	uint64_t passed_by; /* as the guard's count was seen last */
	uint32_t last_id;   /* of the newest packet; the kernel counts from 1 */
	int failure;	    /* -errno: verdicts cannot be given */
	uint8_t *slots;	    /* IO_BURST_MAX */
	struct mmsghdr messages[IO_BURST_MAX];
	struct iovec parts[IO_BURST_MAX];
	struct packet packets[IO_BURST_MAX];
	struct nfq_verdicts verdicts;
};

static struct nfq_worker *worker_of(struct io *io)
{
	return (struct nfq_worker *)io;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* --- sending verdicts -------------------------------------------------------------------------------------------------------- */

/* Verdicts that did not reach the kernel must not be skipped: a later "all up to this one may pass" would cover packets that were
 * to be dropped. When memory stays short for so long, the worker ends. */
#define SEND_TRIES   100
#define SEND_WAIT_NS 1000000

static void send_verdicts(struct nfq_worker *w)
{
	const struct timespec wait = {.tv_nsec = SEND_WAIT_NS};
	int rc = nfq_verdicts_send(&w->verdicts, w->fd);
	for (unsigned i = 0; i < SEND_TRIES && (rc == -ENOBUFS || rc == -ENOMEM || rc == -EAGAIN); i++) {
		nanosleep(&wait, NULL);
		rc = nfq_verdicts_send(&w->verdicts, w->fd);
	}
	if (rc != 0) {
		w->verdicts.len = 0;
		w->failure = rc;
	}
}

/* --- receiving ------------------------------------------------------------------------------------------------------------- */

static void packet_from(struct nfq_worker *w, struct packet *pkt, const struct nfq_message *m, uint64_t now_ns)
{
	pkt->data = (uint8_t *)(uintptr_t)m->payload.data; /* in a slot of ours */
	pkt->len = (uint32_t)m->payload.len;
	pkt->wire_len = m->whole_len;
	pkt->ts_ns = now_ns;
	pkt->number = ++w->number;
	pkt->link_type = DLT_RAW;
	pkt->port = m->in_ifindex < NFQ_INTERFACE_MAX ? w->port_of[m->in_ifindex] : 0;
	pkt->checksum_unready = m->skb_info & (NFQA_SKB_CSUMNOTREADY | NFQA_SKB_GSO);
	pkt->backend[KEEP_ID] = m->id;
	pkt->backend[KEEP_MARK] = m->mark;
	pkt->backend[KEEP_INFO] = m->skb_info;
}

/* Ids count on by one. Where one is missing the kernel had no room for the message: it dropped that packet or, when fail-open, let
 * it pass, and then sessions must be picked up again. */
static void follow_ids(struct nfq_worker *w, uint32_t id)
{
	uint32_t missing = id - w->last_id - 1;
	w->last_id = id;
	atomic_store_explicit(&w->pulse->last_id, id, memory_order_relaxed);
	if (missing == 0)
		return;
	atomic_fetch_add_explicit(&w->pulse->missing, missing, memory_order_relaxed);
	/* what came while the queue was being set up was read by nobody: a verdict on later packets must not let it pass */
	if (w->number == 0)
		(void)nfq_verdict_up_to(&w->verdicts, w->queue, id - 1, NF_DROP, NULL);
	else if (w->config->fail_open)
		w->io.lapses++;
}

/* Of a packet that is too long for a message the last bytes are not here: what cannot be inspected is not forwarded. */
static void refuse(struct nfq_worker *w, uint32_t id)
{
	if (!nfq_verdict_add(&w->verdicts, w->queue, id, NF_DROP, NULL, NULL, 0)) {
		send_verdicts(w);
		(void)nfq_verdict_add(&w->verdicts, w->queue, id, NF_DROP, NULL, NULL, 0);
	}
	atomic_fetch_add_explicit(&w->pulse->refused, 1, memory_order_relaxed);
}

/* The packets of one datagram of netlink. The kernel writes one message into each. */
static unsigned parse(struct nfq_worker *w, const uint8_t *data, size_t len, struct packet **pkts, unsigned n,
		      unsigned max, uint64_t now_ns)
{
	struct cursor c = cursor_of(data, len);
	struct nfq_message m;
	enum nfq_message_kind kind;
	while (n < max && (kind = nfq_message_next(&c, &m)) != NFQ_MESSAGE_NONE && kind != NFQ_MESSAGE_BROKEN) {
		/* another answer to a verdict speaks of a packet that is gone: the guard let it pass, or its interface went */
		if (kind == NFQ_MESSAGE_ERROR && m.error == -EPERM)
			w->failure = -EPERM;
		if (kind != NFQ_MESSAGE_PACKET)
			continue;
		follow_ids(w, m.id);
		if (m.whole_len > m.payload.len) {
			w->number++;
			refuse(w, m.id);
			continue;
		}
		pkts[n] = &w->packets[n];
		packet_from(w, pkts[n], &m, now_ns);
		count(w->counters, COUNTER_CAPTURE_PACKETS);
		count_add(w->counters, COUNTER_CAPTURE_BYTES, m.whole_len);
		n++;
	}
	return n;
}

static int take(struct nfq_worker *w, struct packet **pkts, unsigned max)
{
	for (unsigned i = 0; i < max; i++)
		w->messages[i].msg_hdr.msg_flags = 0;
	int got = recvmmsg(w->fd, w->messages, max, MSG_DONTWAIT, NULL);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : -errno;
	uint64_t now_ns = clock_ns(CLOCK_REALTIME);
	unsigned n = 0;
	for (int i = 0; i < got; i++)
		n = parse(w, w->slots + (size_t)i * SLOT_BYTES, w->messages[i].msg_len, pkts, n, max, now_ns);
	if (w->verdicts.len > 0)
		send_verdicts(w); /* of those that the worker does not see */
	atomic_fetch_add_explicit(&w->pulse->received, n, memory_order_relaxed);
	return (int)n;
}

static void beat(struct nfq_worker *w)
{
	atomic_store_explicit(&w->pulse->heartbeat_ns, clock_ns(CLOCK_MONOTONIC), memory_order_relaxed);
	uint64_t passed_by = atomic_load_explicit(&w->pulse->passed_by, memory_order_relaxed);
	if (passed_by != w->passed_by)
		w->io.lapses++;
	w->passed_by = passed_by;
}

static int worker_receive(struct io *io, struct packet **pkts, unsigned max, unsigned wait_us)
{
	struct nfq_worker *w = worker_of(io);
	beat(w);
	if (max > IO_BURST_MAX)
		max = IO_BURST_MAX;
	int n = take(w, pkts, max);
	if (n == 0 && wait_us > 0) {
		const struct timespec timeout = {.tv_sec = wait_us / 1000000,
						 .tv_nsec = (long)(wait_us % 1000000) * 1000};
		struct pollfd poll = {.fd = w->fd, .events = POLLIN};
		if (ppoll(&poll, 1, &timeout, NULL) > 0)
			n = take(w, pkts, max);
		beat(w);
	}
	if (w->failure && n <= 0) {
		snprintf(io->error, sizeof(io->error), "NFQUEUE: queue %u: no verdict can be given: %s%s", w->queue,
			 strerror(-w->failure), w->failure == -EPERM ? " (it takes CAP_NET_ADMIN)" : "");
		return w->failure;
	}
	if (n < 0)
		snprintf(io->error, sizeof(io->error), "NFQUEUE: queue %u: %s", w->queue, strerror(-n));
	return n;
}

/* --- verdicts ----------------------------------------------------------------------------------------------------------------- */

static bool accepts(const struct packet *pkt)
{
	return pkt->verdict == VERDICT_FORWARD || pkt->verdict == VERDICT_REPLACE;
}

static uint32_t mark_of(const struct nfq_worker *w, const struct packet *pkt)
{
	return ((uint32_t)pkt->backend[KEEP_MARK] & ~w->config->mark_mask) | (w->config->mark & w->config->mark_mask);
}

/* A rewritten packet. One that the kernel still has to cut cannot be: its bytes would be cut with checksums that are whole. It is
 * dropped, and what its sender repeats comes in smaller pieces. */
static void replace(struct nfq_worker *w, const struct packet *pkt)
{
	bool fits = pkt->len <= NFQ_PAYLOAD_MAX && !(pkt->backend[KEEP_INFO] & NFQA_SKB_GSO);
	uint32_t mark = mark_of(w, pkt);
	if (!fits)
		w->counters->drop[DROP_TX_FULL]++;
	for (unsigned tries = 0; tries < 2; tries++) {
		if (nfq_verdict_add(&w->verdicts, w->queue, (uint32_t)pkt->backend[KEEP_ID], fits ? NF_ACCEPT : NF_DROP,
				    fits && w->config->mark_mask ? &mark : NULL, fits ? pkt->data : NULL,
				    fits ? pkt->len : 0))
			return;
		send_verdicts(w);
	}
}

/* How many packets from pkts[0] on get the same verdict and mark, as they are. */
static unsigned run_length(const struct nfq_worker *w, struct packet **pkts, unsigned n)
{
	unsigned i = 1;
	while (i < n && pkts[i]->verdict != VERDICT_REPLACE && accepts(pkts[i]) == accepts(pkts[0]) &&
	       (!w->config->mark_mask || mark_of(w, pkts[i]) == mark_of(w, pkts[0])))
		i++;
	return i;
}

/* Packets come in the order of their ids, and all before this burst have had their verdicts: what holds up to the last of a run
 * holds for the run alone. */
static void worker_verdict(struct io *io, struct packet **pkts, unsigned n)
{
	struct nfq_worker *w = worker_of(io);
	uint64_t accepted = 0;
	for (unsigned i = 0; i < n;) {
		if (pkts[i]->verdict == VERDICT_REPLACE) {
			accepted++;
			replace(w, pkts[i++]);
			continue;
		}
		unsigned run = run_length(w, pkts + i, n - i);
		uint32_t id = (uint32_t)pkts[i + run - 1]->backend[KEEP_ID], mark = mark_of(w, pkts[i]);
		bool accept = accepts(pkts[i]);
		const uint32_t *set_mark = accept && w->config->mark_mask ? &mark : NULL;
		if (!nfq_verdict_up_to(&w->verdicts, w->queue, id, accept ? NF_ACCEPT : NF_DROP, set_mark)) {
			send_verdicts(w);
			(void)nfq_verdict_up_to(&w->verdicts, w->queue, id, accept ? NF_ACCEPT : NF_DROP, set_mark);
		}
		accepted += accept ? run : 0;
		i += run;
	}
	send_verdicts(w);
	atomic_fetch_add_explicit(&w->pulse->accepted, accepted, memory_order_relaxed);
}

/* An IP packet, as it is, to where the routing table says. */
static int worker_inject(struct io *io, const uint8_t *frame, size_t len, uint64_t ts_ns, uint16_t in_port,
			 uint16_t link_type, bool back)
{
	struct nfq_worker *w = worker_of(io);
	(void)ts_ns;
	(void)in_port;
	(void)back; /* the addresses say it */
	if (link_type != DLT_RAW || len < 20)
		return -EINVAL;
	if (frame[0] >> 4 == 4) {
		struct sockaddr_in to = {.sin_family = AF_INET};
		memcpy(&to.sin_addr, frame + 16, 4);
		/* the kernel fills in an identification of 0, another one for each fragment: they would never meet again */
		if (load_be16(frame + 4) == 0 && load_be16(frame + 6) & 0x3fff)
			return -EINVAL;
		return sendto(w->raw4, frame, len, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
	}
	struct sockaddr_in6 to = {.sin6_family = AF_INET6};
	if (frame[0] >> 4 != 6 || len < 40)
		return -EINVAL;
	memcpy(&to.sin6_addr, frame + 24, 16);
	return sendto(w->raw6, frame, len, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}

/* --- life ---------------------------------------------------------------------------------------------------------------------- */

static int worker_close(struct io *io, char *error)
{
	struct nfq_worker *w = worker_of(io);
	if (error)
		error[0] = '\0';
	atomic_store(&w->pulse->heartbeat_ns, 0);
	if (w->raw4 >= 0)
		close(w->raw4);
	if (w->raw6 >= 0)
		close(w->raw6);
	free(w->slots);
	free(w->verdicts.buf);
	free(w);
	return 0;
}

static const struct io_ops worker_ops = {
	.name = "nfq",
	.receive = worker_receive,
	.verdict = worker_verdict,
	.inject = worker_inject,
	.close = worker_close,
};

/* A socket that sends packets whose headers we write. -errno where there is none: a kernel without IPv6. */
static int open_raw(int family)
{
	const int on = 1;
	const uint32_t mark = NFQ_OWN_MARK;
	int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6,
			 family == AF_INET ? IP_HDRINCL : 36 /* IPV6_HDRINCL */, &on, sizeof(on));
	if (setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) != 0) {
		int rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

struct io *nfq_worker_open(const struct nfq_worker_config *c, struct counters *counters, char *error)
{
	struct nfq_worker *w = calloc(1, sizeof(*w));
	if (!w)
		goto no_memory;
	w->io.ops = &worker_ops;
	w->counters = counters;
	w->config = c->config;
	w->port_of = c->port_of;
	w->pulse = c->pulse;
	w->fd = c->fd;
	w->queue = c->queue;
	w->passed_by = atomic_load(&w->pulse->passed_by);
	w->raw4 = w->raw6 = -1;
	w->slots = malloc((size_t)IO_BURST_MAX * SLOT_BYTES);
	w->verdicts.buf = malloc(SEND_BYTES);
	w->verdicts.room = SEND_BYTES;
	if (!w->slots || !w->verdicts.buf)
		goto no_memory;
	for (unsigned i = 0; i < IO_BURST_MAX; i++) {
		w->parts[i] = (struct iovec){.iov_base = w->slots + (size_t)i * SLOT_BYTES, .iov_len = SLOT_BYTES};
		w->messages[i].msg_hdr = (struct msghdr){.msg_iov = &w->parts[i], .msg_iovlen = 1};
	}
	w->raw4 = open_raw(AF_INET);
	w->raw6 = open_raw(AF_INET6);
	if (w->raw4 < 0) {
		snprintf(error, IO_ERROR_MAX, "NFQUEUE: no raw socket to send resets by: %s (it takes CAP_NET_RAW)",
			 strerror(-w->raw4));
		worker_close(&w->io, NULL);
		return NULL;
	}
	return &w->io;
no_memory:
	snprintf(error, IO_ERROR_MAX, "NFQUEUE: %s", strerror(ENOMEM));
	if (w)
		worker_close(&w->io, NULL);
	return NULL;
}
