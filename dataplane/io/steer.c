/* SPDX-License-Identifier: BSD-3-Clause */
#include "steer.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <dataplane/bytes.h>
#include <pcap/dlt.h>

#define RING_SIZE IO_OUTSTANDING_MAX
_Static_assert((RING_SIZE & (RING_SIZE - 1)) == 0, "ring positions wrap by masking");
/* Where nobody can wake us: how long a sleep may be, so that what is lent does not wait. */
#define BLIND_WAIT_US 200
/* At the end, others get so long to judge what they were lent; who does not answer is gone. */
#define FINISH_NS 2000000000ull
/* Receives of the inner instance in one turn, when all they bring is for others. */
#define RECEIVES_MAX 4

/* One writer, one reader. */
struct ring {
	_Alignas(64) _Atomic uint32_t head; /* the reader's */
	_Alignas(64) _Atomic uint32_t tail; /* the writer's */
	struct packet *slot[RING_SIZE];
};

/* What others see of a worker. */
struct desk {
	_Alignas(64) atomic_bool asleep;
	atomic_bool done;      /* it lends nothing any more */
	_Atomic uint32_t owed; /* packets that it lent and did not get back yet */
	struct io *inner;      /* to wake it by */
};

struct steer {
	unsigned workers;
	uint64_t seed;
	struct desk *desks;
	struct ring *lent;   /* [owner * workers + judge] */
	struct ring *judged; /* [owner * workers + judge] */
};

struct steer_io {
	struct io io; /* first */
	struct steer *steer;
	struct io *inner;
	struct counters *counters;
	unsigned self;
	uint64_t finish_until_ns;    /* 0: not finishing */
	unsigned turn;		     /* whose lent packets come first, so that nobody starves */
	bool called[IO_WORKERS_MAX]; /* got something in this turn: to be woken at its end */
};

static struct steer_io *steer_of(struct io *io)
{
	return (struct steer_io *)io;
}

/* --- the hash -------------------------------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdull;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ull;
	return x ^ x >> 33;
}

/* The sum of both sides' is the same in both directions. */
static uint64_t hash_address(const uint8_t *addr, size_t len, uint64_t seed)
{
	uint64_t words[2] = {0, 0};
	memcpy(words, addr, len);
	return mix(mix(words[0] ^ seed) + words[1]);
}

static void hash_pair(const uint8_t *src, const uint8_t *dst, size_t len, uint64_t seed, uint32_t *hash)
{
	*hash = (uint32_t)(mix(hash_address(src, len, seed) + hash_address(dst, len, seed)) >> 32);
}

static bool is_icmp_error(uint8_t type)
{
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

static bool hash_ipv4(struct cursor c, uint64_t seed, uint32_t *hash)
{
	const uint8_t *h = cursor_take(&c, 20);
	if (!h)
		return false;
	hash_pair(h + 12, h + 16, 4, seed, hash);
	size_t header = (h[0] & 0x0fu) * 4;
	if (h[9] != IPPROTO_ICMP || header < 20 || load_be16(h + 6) & 0x1fff)
		return true;
	cursor_skip(&c, header - 20);
	const uint8_t *icmp = cursor_take(&c, 8 + 20);
	if (icmp && is_icmp_error(icmp[0]) && icmp[8] >> 4 == 4)
		hash_pair(icmp + 8 + 12, icmp + 8 + 16, 4, seed, hash);
	return true;
}

static bool hash_ipv6(struct cursor c, uint64_t seed, uint32_t *hash)
{
	const uint8_t *h = cursor_take(&c, 40);
	if (!h)
		return false;
	hash_pair(h + 8, h + 24, 16, seed, hash);
	if (h[6] != IPPROTO_ICMPV6)
		return true;
	const uint8_t *icmp = cursor_take(&c, 8 + 40);
	if (icmp && icmp[0] >= 1 && icmp[0] <= 4 && icmp[8] >> 4 == 6)
		hash_pair(icmp + 8 + 8, icmp + 8 + 24, 16, seed, hash);
	return true;
}

static bool hash_ip(struct cursor c, uint64_t seed, uint32_t *hash)
{
	if (cursor_left(&c) == 0)
		return false;
	return c.at[0] >> 4 == 4 ? hash_ipv4(c, seed, hash) : c.at[0] >> 4 == 6 && hash_ipv6(c, seed, hash);
}

bool steer_hash(const uint8_t *frame, size_t len, uint16_t link_type, uint64_t seed, uint32_t *hash)
{
	struct cursor c = cursor_of(frame, len);
	if (link_type != DLT_EN10MB)
		return hash_ip(c, seed, hash);
	cursor_skip(&c, 12);
	uint16_t type = cursor_be16(&c);
	while (type == 0x8100 || type == 0x88a8 || type == 0x9100) {
		cursor_skip(&c, 2);
		type = cursor_be16(&c);
	}
	if (type == 0x8847 || type == 0x8848)
		while (!c.failed && !(cursor_be32(&c) & 0x100))
			;
	else if (type == 0x8864)
		cursor_skip(&c, 8); /* PPPoE and PPP */
	else if (type != 0x0800 && type != 0x86dd)
		return false;
	return !c.failed && hash_ip(c, seed, hash);
}

/* --- rings ----------------------------------------------------------------------------------------------------------------- */

static struct ring *ring_at(struct ring *rings, const struct steer *steer, unsigned owner, unsigned judge)
{
	return &rings[owner * steer->workers + judge];
}

static void ring_push(struct ring *ring, struct packet *pkt)
{
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	ring->slot[tail & (RING_SIZE - 1)] = pkt;
	atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
}

static unsigned ring_pop(struct ring *ring, struct packet **pkts, unsigned max)
{
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	uint32_t n = atomic_load_explicit(&ring->tail, memory_order_acquire) - head;
	if (n > max)
		n = max;
	for (uint32_t i = 0; i < n; i++)
		pkts[i] = ring->slot[(head + i) & (RING_SIZE - 1)];
	if (n > 0)
		atomic_store_explicit(&ring->head, head + n, memory_order_release);
	return n;
}

static bool ring_empty(struct ring *ring)
{
	return atomic_load_explicit(&ring->tail, memory_order_acquire) ==
	       atomic_load_explicit(&ring->head, memory_order_relaxed);
}

/* --- sleeping ---------------------------------------------------------------------------------------------------------------- */

/* Wakes those that got something and sleep. Either we see them asleep here, or they see what they got before they sleep. */
static void wake_called(struct steer_io *s)
{
	atomic_thread_fence(memory_order_seq_cst);
	for (unsigned w = 0; w < s->steer->workers; w++) {
		if (!s->called[w])
			continue;
		s->called[w] = false;
		struct desk *desk = &s->steer->desks[w];
		if (atomic_load_explicit(&desk->asleep, memory_order_relaxed) &&
		    atomic_exchange_explicit(&desk->asleep, false, memory_order_relaxed) && desk->inner->ops->wake)
			desk->inner->ops->wake(desk->inner);
	}
}

static bool anything_waits(const struct steer_io *s)
{
	for (unsigned w = 0; w < s->steer->workers; w++)
		if (!ring_empty(ring_at(s->steer->lent, s->steer, w, s->self)) ||
		    !ring_empty(ring_at(s->steer->judged, s->steer, s->self, w)))
			return true;
	return false;
}

/* --- receiving ---------------------------------------------------------------------------------------------------------------- */

/* Carries out what others have judged for us. */
static void settle_judged(struct steer_io *s)
{
	struct packet *pkts[IO_BURST_MAX];
	struct desk *desk = &s->steer->desks[s->self];
	unsigned n;
	for (unsigned w = 0; w < s->steer->workers; w++)
		while ((n = ring_pop(ring_at(s->steer->judged, s->steer, s->self, w), pkts, IO_BURST_MAX)) > 0) {
			io_verdict(s->inner, pkts, n);
			atomic_fetch_sub_explicit(&desk->owed, n, memory_order_release);
		}
}

static unsigned take_lent(struct steer_io *s, struct packet **pkts, unsigned max)
{
	const unsigned workers = s->steer->workers;
	unsigned n = 0;
	s->turn++;
	for (unsigned i = 0; i < workers && n < max; i++)
		n += ring_pop(ring_at(s->steer->lent, s->steer, (s->turn + i) % workers, s->self), pkts + n, max - n);
	return n;
}

/* Keeps those that are ours to judge, lends the others. */
static unsigned distribute(struct steer_io *s, struct packet **came, unsigned count, struct packet **ours)
{
	unsigned n = 0;
	for (unsigned i = 0; i < count; i++) {
		struct packet *pkt = came[i];
		unsigned judge = s->self;
		uint32_t hash;
		pkt->backend[3] = s->self;
		if (steer_hash(pkt->data, pkt->len, pkt->link_type, s->steer->seed, &hash))
			judge = (unsigned)((uint64_t)hash * s->steer->workers >> 32);
		if (judge == s->self) {
			ours[n++] = pkt;
			continue;
		}
		atomic_fetch_add_explicit(&s->steer->desks[s->self].owed, 1, memory_order_relaxed);
		ring_push(ring_at(s->steer->lent, s->steer, s->self, judge), pkt);
		s->called[judge] = true;
	}
	return n;
}

/* Up to max packets, ours and lent ones; or what the inner instance failed with. */
static int gather(struct steer_io *s, struct packet **pkts, unsigned max, unsigned wait_us)
{
	struct packet *came[IO_BURST_MAX];
	settle_judged(s);
	unsigned n = take_lent(s, pkts, max);
	for (unsigned i = 0; i < RECEIVES_MAX && n < max && !s->finish_until_ns; i++) {
		int got = io_receive(s->inner, came, max - n, wait_us);
		if (got < 0 && n == 0) {
			memcpy(s->io.error, s->inner->error, sizeof(s->io.error));
			return got;
		}
		if (got <= 0)
			break;
		wait_us = 0;
		s->io.lapses = s->inner->lapses;
		n += distribute(s, came, (unsigned)got, pkts + n);
	}
	wake_called(s);
	return (int)n;
}

static int steer_receive(struct io *io, struct packet **pkts, unsigned max, unsigned wait_us)
{
	struct steer_io *s = steer_of(io);
	struct desk *desk = &s->steer->desks[s->self];
	int n = gather(s, pkts, max, 0);
	if (n != 0 || wait_us == 0)
		return n;
	if (!s->inner->ops->wake && wait_us > BLIND_WAIT_US)
		wait_us = BLIND_WAIT_US;
	atomic_store_explicit(&desk->asleep, true, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	n = gather(s, pkts, max, anything_waits(s) ? 0 : wait_us);
	atomic_store_explicit(&desk->asleep, false, memory_order_relaxed);
	/* woken, not by packets of our own */
	return n != 0 ? n : gather(s, pkts, max, 0);
}

static uint64_t monotonic_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* All stop taking in; who has nothing lent out and nothing to judge may go once nobody can lend it anything more. */
static bool steer_finish(struct io *io)
{
	struct steer_io *s = steer_of(io);
	struct steer *steer = s->steer;
	if (!s->finish_until_ns) {
		s->finish_until_ns = monotonic_ns() + FINISH_NS;
		atomic_store_explicit(&steer->desks[s->self].done, true, memory_order_release);
	}
	if (monotonic_ns() > s->finish_until_ns)
		return true;
	for (unsigned w = 0; w < steer->workers; w++)
		if (!atomic_load_explicit(&steer->desks[w].done, memory_order_acquire) ||
		    atomic_load_explicit(&steer->desks[w].owed, memory_order_acquire) != 0)
			return false;
	return io_finish(s->inner);
}

/* --- giving back ---------------------------------------------------------------------------------------------------------------- */

static void steer_verdict(struct io *io, struct packet **pkts, unsigned n)
{
	struct steer_io *s = steer_of(io);
	struct packet *ours[IO_BURST_MAX];
	unsigned count = 0;
	for (unsigned i = 0; i < n; i++) {
		unsigned owner = (unsigned)pkts[i]->backend[3];
		if (owner == s->self) {
			ours[count++] = pkts[i];
			continue;
		}
		ring_push(ring_at(s->steer->judged, s->steer, owner, s->self), pkts[i]);
		s->called[owner] = true;
	}
	/* also when there is none: what was injected leaves with it */
	io_verdict(s->inner, ours, count);
	wake_called(s);
}

static int steer_inject(struct io *io, const uint8_t *frame, size_t len, uint64_t ts_ns, uint16_t in_port,
			uint16_t link_type, bool back)
{
	struct io *inner = steer_of(io)->inner;
	if (!inner->ops->inject)
		return -EOPNOTSUPP;
	return inner->ops->inject(inner, frame, len, ts_ns, in_port, link_type, back);
}

static int steer_shunt(struct io *io, const struct packet *pkt)
{
	struct io *inner = steer_of(io)->inner;
	return inner->ops->shunt ? inner->ops->shunt(inner, pkt) : -EOPNOTSUPP;
}

static void steer_backlog(struct io *io, uint32_t *waiting, uint32_t *room)
{
	struct io *inner = steer_of(io)->inner;
	*waiting = *room = 0;
	if (inner->ops->backlog)
		inner->ops->backlog(inner, waiting, room);
}

/* Packets that were lent and not judged when the workers stopped are as if still in the port's queue: not received, and gone. */
static void take_back(struct steer_io *s)
{
	struct packet *pkts[IO_BURST_MAX];
	unsigned n;
	settle_judged(s);
	for (unsigned w = 0; w < s->steer->workers; w++)
		while ((n = ring_pop(ring_at(s->steer->lent, s->steer, s->self, w), pkts, IO_BURST_MAX)) > 0) {
			for (unsigned i = 0; i < n; i++) {
				s->counters->value[COUNTER_CAPTURE_PACKETS]--;
				s->counters->value[COUNTER_CAPTURE_BYTES] -= pkts[i]->wire_len;
				pkts[i]->verdict = VERDICT_DROP;
			}
			io_verdict(s->inner, pkts, n);
		}
}

static int steer_close(struct io *io, char *error)
{
	struct steer_io *s = steer_of(io);
	take_back(s);
	int rc = s->inner->ops->close(s->inner, error);
	free(s);
	return rc;
}

static const struct io_ops steer_ops = {
	.name = "steer",
	.receive = steer_receive,
	.verdict = steer_verdict,
	.inject = steer_inject,
	.shunt = steer_shunt,
	.finish = steer_finish,
	.backlog = steer_backlog,
	.close = steer_close,
};

/* --- life -------------------------------------------------------------------------------------------------------------------- */

struct steer *steer_new(unsigned workers)
{
	struct steer *steer = calloc(1, sizeof(*steer));
	size_t rings = (size_t)workers * workers * sizeof(struct ring);
	if (!steer)
		return NULL;
	steer->workers = workers;
	steer->desks = aligned_alloc(64, workers * sizeof(struct desk));
	steer->lent = aligned_alloc(64, rings);
	steer->judged = aligned_alloc(64, rings);
	if (!steer->desks || !steer->lent || !steer->judged)
		goto fail;
	memset(steer->lent, 0, rings);
	memset(steer->judged, 0, rings);
	memset(steer->desks, 0, workers * sizeof(struct desk));
	if (getrandom(&steer->seed, sizeof(steer->seed), 0) != sizeof(steer->seed))
		goto fail;
	return steer;
fail:
	steer_free(steer);
	return NULL;
}

void steer_free(struct steer *steer)
{
	if (!steer)
		return;
	free(steer->desks);
	free(steer->lent);
	free(steer->judged);
	free(steer);
}

struct io *steer_io(struct steer *steer, unsigned worker, struct io *inner, struct counters *counters)
{
	struct steer_io *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->io.ops = &steer_ops;
	s->steer = steer;
	s->inner = inner;
	s->counters = counters;
	s->self = worker;
	steer->desks[worker].inner = inner;
	return &s->io;
}
