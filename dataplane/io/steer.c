/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each pair of an owner and a judge has a handoff: two rings with one writer and one reader each. A ring never overflows,
 * because the owner counts what it has lent. Indices run freely and are taken modulo the ring's size.
 */
#include "steer.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "frame_hash.h"

#define CACHE_LINE 64
#define SLOT(i)	   ((i) % STEER_LENT_MAX)

_Static_assert((STEER_LENT_MAX & (STEER_LENT_MAX - 1)) == 0, "indices wrap");
_Static_assert(IO_WORKERS_MAX <= 64, "sets of workers are bits");

struct handoff {
	/* written by the owner */
	_Alignas(CACHE_LINE) atomic_uint lent_tail; /* lent and to be seen by the judge */
	atomic_uint settled;			    /* verdicts that were carried out */
	_Atomic uint64_t unsent;		    /* of them not sent: DROP_TX_FULL */
	unsigned lent_next, back_head, lent;	    /* the owner's own; lent: not yet back */
	/* written by the judge */
	_Alignas(CACHE_LINE) atomic_uint back_tail;
	unsigned back_next, lent_head; /* the judge's own */
	uint64_t unsent_seen;
	_Alignas(CACHE_LINE) struct packet *lent_slots[STEER_LENT_MAX];
	struct packet *back_slots[STEER_LENT_MAX];
};

enum state {
	STATE_IDLE, /* never received */
	STATE_RUNNING,
	STATE_LEAVING, /* lends no more, judges what is lent to it */
	STATE_GONE,    /* its input failed: judges no more */
	STATE_BARRED,  /* would begin when others leave: may not */
};

struct member {
	_Alignas(CACHE_LINE) atomic_int state;
	atomic_bool asleep;
	struct io *inner;
	struct counters *counters;
};

struct steer {
	unsigned workers;
	uint64_t seed;
	atomic_uint lapses;	  /* of all instances: what went past one of them may have been any worker's */
	struct handoff *handoffs; /* [owner * workers + judge] */
	struct member members[IO_WORKERS_MAX];
};

struct steer_io {
	struct io io;
	struct io_ops ops; /* as many as the inner instance has */
	struct steer *steer;
	struct io *inner;
	struct counters *counters;
	unsigned worker;
	unsigned own;	   /* handed to our worker, without verdict */
	unsigned lent;	   /* to all others */
	unsigned borrower; /* where the next round of taking begins */
	uint64_t number;
	uint32_t lapses;  /* of the inner instance, as told to the others */
	uint64_t touched; /* judges and owners that something was put into a ring for, not yet published */
	uint64_t swamped; /* judges that were full for too long */
	int failed;	  /* what the inner instance said last of all */
	unsigned stalled_count;
	uint64_t stalled_ns; /* since when */
	struct packet *stalled[IO_BURST_MAX];
	uint8_t stalled_judge[IO_BURST_MAX];
};

static struct handoff *handoff(const struct steer *s, unsigned owner, unsigned judge)
{
	return &s->handoffs[owner * s->workers + judge];
}

static uint64_t bit(unsigned worker)
{
	return (uint64_t)1 << worker;
}

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void nap(unsigned us)
{
	const struct timespec t = {.tv_nsec = (long)us * 1000};
	nanosleep(&t, NULL);
}

static int state_of(struct steer *s, unsigned worker)
{
	return atomic_load_explicit(&s->members[worker].state, memory_order_acquire);
}

/* --- waking ------------------------------------------------------------------------------------------------------------ */

/* Who goes to sleep says so and then looks once more; who puts something into a ring publishes it and then looks who sleeps. In one
 * order for all (sequentially consistent), so that one of the two sees the other. */
static void rouse(struct steer *s, unsigned worker)
{
	struct member *m = &s->members[worker];
	if (atomic_load(&m->asleep) && atomic_exchange(&m->asleep, false) && m->inner->ops->wake)
		m->inner->ops->wake(m->inner);
}

static void publish(struct steer_io *io)
{
	struct steer *s = io->steer;
	for (uint64_t left = io->touched; left; left &= left - 1) {
		unsigned j = (unsigned)__builtin_ctzll(left);
		struct handoff *to = handoff(s, io->worker, j), *from = handoff(s, j, io->worker);
		if (atomic_load_explicit(&to->lent_tail, memory_order_relaxed) != to->lent_next)
			atomic_store(&to->lent_tail, to->lent_next);
		if (atomic_load_explicit(&from->back_tail, memory_order_relaxed) != from->back_next)
			atomic_store(&from->back_tail, from->back_next);
		rouse(s, j);
	}
	io->touched = 0;
}

static bool something_waits(const struct steer_io *io)
{
	const struct steer *s = io->steer;
	for (unsigned j = 0; j < s->workers; j++) {
		struct handoff *mine = handoff(s, io->worker, j), *theirs = handoff(s, j, io->worker);
		if (j != io->worker && (atomic_load(&mine->back_tail) != mine->back_head ||
					atomic_load(&theirs->lent_tail) != theirs->lent_head))
			return true;
	}
	return false;
}

/* --- the owner's side -------------------------------------------------------------------------------------------------- */

/* Drops packets that no worker judged. */
static void refuse(struct steer_io *io, struct packet **pkts, unsigned n, enum drop_reason reason)
{
	for (unsigned i = 0; i < n; i++) {
		pkts[i]->verdict = VERDICT_DROP;
		pkts[i]->drop_reason = reason;
	}
	io->counters->drop[reason] += n;
	count_add(io->counters, COUNTER_CAPTURE_REFUSED, n);
	if (n > 0)
		io_verdict(io->inner, pkts, n);
}

/* Carries out what a judge gave back. What could not be sent is for the judge to count. */
static void settle_with(struct steer_io *io, unsigned judge)
{
	struct handoff *h = handoff(io->steer, io->worker, judge);
	unsigned tail = atomic_load_explicit(&h->back_tail, memory_order_acquire);
	uint64_t *unsent = &io->counters->drop[DROP_TX_FULL], before = *unsent;
	if (tail == h->back_head)
		return;
	while (h->back_head != tail) {
		struct packet *pkts[IO_BURST_MAX];
		unsigned n = 0;
		while (n < IO_BURST_MAX && h->back_head != tail)
			pkts[n++] = h->back_slots[SLOT(h->back_head++)];
		io_verdict(io->inner, pkts, n);
		h->lent -= n;
		io->lent -= n;
	}
	uint64_t all = atomic_load_explicit(&h->unsent, memory_order_relaxed) + (*unsent - before);
	*unsent = before;
	atomic_store_explicit(&h->unsent, all, memory_order_relaxed);
	atomic_store_explicit(&h->settled, h->back_head, memory_order_release);
	if (h->lent <= STEER_LENT_MAX / 2)
		io->swamped &= ~bit(judge);
}

static void settle(struct steer_io *io)
{
	for (unsigned j = 0; j < io->steer->workers; j++)
		if (j != io->worker)
			settle_with(io, j);
}

static bool lend(struct steer_io *io, struct packet *pkt, unsigned judge)
{
	struct handoff *h = handoff(io->steer, io->worker, judge);
	if (h->lent == STEER_LENT_MAX)
		return false;
	h->lent_slots[SLOT(h->lent_next++)] = pkt;
	h->lent++;
	io->lent++;
	io->touched |= bit(judge);
	count(io->counters, COUNTER_CAPTURE_STEERED);
	return true;
}

/* The judge's ring is full: the packet waits, and with it all that would come after; or is dropped when that lasts. */
static void stall(struct steer_io *io, struct packet *pkt, unsigned judge)
{
	if (io->swamped & bit(judge)) {
		refuse(io, &pkt, 1, DROP_OVERLOAD);
		return;
	}
	if (io->stalled_count == 0)
		io->stalled_ns = now_ns();
	io->stalled_judge[io->stalled_count] = (uint8_t)judge;
	io->stalled[io->stalled_count++] = pkt;
}

/* Tries again with what waits, in order. With `last`, what cannot be lent now never can. */
static void retry_stalled(struct steer_io *io, bool last)
{
	unsigned count = io->stalled_count, kept = 0;
	bool late = count > 0 && (last || now_ns() - io->stalled_ns > STEER_PATIENCE_NS);
	for (unsigned i = 0; i < count; i++) {
		struct packet *pkt = io->stalled[i];
		unsigned judge = io->stalled_judge[i];
		if (lend(io, pkt, judge))
			continue;
		if (late) {
			io->swamped |= bit(judge);
			refuse(io, &pkt, 1, DROP_OVERLOAD);
			continue;
		}
		io->stalled[kept] = pkt;
		io->stalled_judge[kept++] = (uint8_t)judge;
	}
	io->stalled_count = kept;
}

static unsigned judge_of(const struct steer_io *io, const struct packet *pkt)
{
	uint32_t hash;
	if (!frame_hash(pkt->data, pkt->len, pkt->link_type, io->steer->seed, &hash))
		return io->worker;
	return (unsigned)((uint64_t)hash * io->steer->workers >> 32);
}

static void hand_out(struct steer_io *io, struct packet *pkt)
{
	pkt->number = ++io->number;
}

/* Keeps our own of a burst for our worker, lends the others. Returns how many are ours. */
static unsigned distribute(struct steer_io *io, struct packet **burst, unsigned n, struct packet **pkts)
{
	unsigned ours = 0;
	for (unsigned i = 0; i < n; i++)
		__builtin_prefetch(burst[i]->data + 14);
	for (unsigned i = 0; i < n; i++) {
		struct packet *pkt = burst[i];
		unsigned judge = judge_of(io, pkt);
		pkt->backend[3] = io->worker;
		if (judge == io->worker) {
			hand_out(io, pkt);
			pkts[ours++] = pkt;
		} else if (!lend(io, pkt, judge)) {
			stall(io, pkt, judge);
		}
	}
	io->own += ours;
	return ours;
}

/* Brings packets from outside. Returns how many are ours, or -errno. */
static int take_in(struct steer_io *io, struct packet **pkts, unsigned max, unsigned wait_us)
{
	struct packet *burst[IO_BURST_MAX];
	unsigned room = IO_OUTSTANDING_MAX - io->own - io->lent;
	int n = io_receive(io->inner, burst, max < room ? max : room, wait_us);
	if (io->lapses != io->inner->lapses) {
		atomic_fetch_add(&io->steer->lapses, io->inner->lapses - io->lapses);
		io->lapses = io->inner->lapses;
	}
	return n <= 0 ? n : (int)distribute(io, burst, (unsigned)n, pkts);
}

static bool may_take_in(struct steer_io *io)
{
	if (io->failed || state_of(io->steer, io->worker) != STATE_RUNNING)
		return false;
	if (io->stalled_count > 0)
		retry_stalled(io, false);
	return io->stalled_count == 0 && io->own + io->lent < IO_OUTSTANDING_MAX;
}

/* --- the judge's side -------------------------------------------------------------------------------------------------- */

static unsigned borrow_from(struct steer_io *io, unsigned owner, struct packet **pkts, unsigned max)
{
	struct handoff *h = handoff(io->steer, owner, io->worker);
	unsigned tail = atomic_load_explicit(&h->lent_tail, memory_order_acquire), n = 0;
	while (n < max && h->lent_head != tail) {
		struct packet *pkt = h->lent_slots[SLOT(h->lent_head++)];
		hand_out(io, pkt);
		pkts[n++] = pkt;
	}
	return n;
}

/* Takes what others lent, each time beginning with another of them. */
static unsigned borrow(struct steer_io *io, struct packet **pkts, unsigned max)
{
	unsigned workers = io->steer->workers, n = 0;
	for (unsigned i = 0; i < workers && n < max; i++) {
		unsigned owner = (io->borrower + i) % workers;
		if (owner != io->worker)
			n += borrow_from(io, owner, pkts + n, max - n);
	}
	io->borrower++;
	return n;
}

/* Counts what owners could not send of what we judged. */
static void learn_unsent(struct steer_io *io)
{
	for (unsigned j = 0; j < io->steer->workers; j++) {
		struct handoff *h = handoff(io->steer, j, io->worker);
		uint64_t unsent = atomic_load_explicit(&h->unsent, memory_order_relaxed);
		io->counters->drop[DROP_TX_FULL] += unsent - h->unsent_seen;
		h->unsent_seen = unsent;
	}
}

static void steer_verdict(struct io *base, struct packet **pkts, unsigned n)
{
	struct steer_io *io = (struct steer_io *)base;
	struct packet *ours[IO_BURST_MAX];
	unsigned count = 0;
	for (unsigned i = 0; i < n; i++) {
		unsigned owner = (unsigned)pkts[i]->backend[3];
		if (owner == io->worker) {
			ours[count++] = pkts[i];
			continue;
		}
		struct handoff *h = handoff(io->steer, owner, io->worker);
		h->back_slots[SLOT(h->back_next++)] = pkts[i];
		io->touched |= bit(owner);
	}
	io_verdict(io->inner, ours, count); /* also without any: what was injected leaves with it */
	io->own -= count;
	publish(io);
}

/* --- receiving --------------------------------------------------------------------------------------------------------- */

/* The first receive of a thread; false when all others are leaving already. */
static bool begin(struct steer_io *io)
{
	atomic_int *own = &io->steer->members[io->worker].state;
	int state = atomic_load_explicit(own, memory_order_relaxed);
	if (state == STATE_IDLE && atomic_compare_exchange_strong(own, &state, STATE_RUNNING))
		return true;
	return state != STATE_BARRED;
}

/* Nothing came: sleeps in the inner instance until something does, from outside or from another worker. */
static int wait_for_some(struct steer_io *io, struct packet **pkts, unsigned max, unsigned wait_us)
{
	struct member *me = &io->steer->members[io->worker];
	if (!io->inner->ops->wake && wait_us > STEER_NAP_US)
		wait_us = STEER_NAP_US;
	atomic_store(&me->asleep, true);
	int n = take_in(io, pkts, max, something_waits(io) ? 0 : wait_us);
	atomic_store(&me->asleep, false);
	return n;
}

static int fail(struct steer_io *io)
{
	struct steer *s = io->steer;
	retry_stalled(io, true);
	publish(io);
	memcpy(io->io.error, io->inner->error, sizeof(io->io.error));
	atomic_store_explicit(&s->members[io->worker].state, STATE_GONE, memory_order_release);
	return io->failed;
}

static int steer_receive(struct io *base, struct packet **pkts, unsigned max, unsigned wait_us)
{
	struct steer_io *io = (struct steer_io *)base;
	int n = 0, ours = 0;
	if (!begin(io))
		return 0;
	settle(io);
	learn_unsent(io);
	if (io->failed)
		return fail(io);
	/* half of a burst for what others lent, so that neither side waits for the other */
	n = (int)borrow(io, pkts, (max + 1) / 2);
	bool open = may_take_in(io);
	if (open)
		ours = take_in(io, pkts + n, max - (unsigned)n, 0);
	if (ours == 0 && n == 0 && wait_us > 0) {
		publish(io);
		open = may_take_in(io);
		if (open)
			ours = wait_for_some(io, pkts, max, wait_us);
	}
	if (ours < 0)
		io->failed = ours;
	else
		n += ours;
	publish(io);
	io->io.lapses = atomic_load_explicit(&io->steer->lapses, memory_order_relaxed);
	n += (int)borrow(io, pkts + n, max - (unsigned)n);
	if (n == 0 && io->failed)
		return fail(io);
	if (n == 0 && (!open || io->stalled_count > 0))
		nap(STEER_NAP_US); /* only another worker can change that */
	return n;
}

/* --- the end ----------------------------------------------------------------------------------------------------------- */

/* What was lent to somebody who takes nothing any more. */
static void reclaim(struct steer_io *io, unsigned judge)
{
	struct handoff *h = handoff(io->steer, io->worker, judge);
	unsigned tail = h->lent_next;
	while (h->lent_head != tail) {
		refuse(io, &h->lent_slots[SLOT(h->lent_head)], 1, DROP_BACKEND);
		h->lent_head++;
		h->lent--;
		io->lent--;
	}
}

static bool settled_with(struct steer_io *io, unsigned other)
{
	struct steer *s = io->steer;
	struct handoff *mine = handoff(s, io->worker, other), *theirs = handoff(s, other, io->worker);
	int state = STATE_IDLE;
	if (atomic_compare_exchange_strong(&s->members[other].state, &state, STATE_BARRED))
		state = STATE_BARRED;
	settle_with(io, other);
	if (state == STATE_BARRED || state == STATE_GONE) {
		reclaim(io, other);
		return atomic_load(&theirs->lent_tail) == theirs->lent_head;
	}
	return state == STATE_LEAVING && mine->lent == 0 && atomic_load(&theirs->lent_tail) == theirs->lent_head &&
	       atomic_load_explicit(&theirs->settled, memory_order_acquire) == theirs->back_next;
}

static bool steer_finish(struct io *base)
{
	struct steer_io *io = (struct steer_io *)base;
	struct steer *s = io->steer;
	atomic_int *state = &s->members[io->worker].state;
	bool finished = true;
	if (atomic_load(state) == STATE_RUNNING) {
		retry_stalled(io, true);
		publish(io);
		atomic_store(state, STATE_LEAVING);
		for (unsigned j = 0; j < s->workers; j++)
			rouse(s, j);
	}
	if (atomic_load(state) != STATE_LEAVING)
		return true;
	for (unsigned j = 0; j < s->workers; j++)
		if (j != io->worker && !settled_with(io, j))
			finished = false;
	learn_unsent(io);
	return finished && io->own == 0;
}

/* By the main thread, when no worker runs: what is still on the way (there was no finish) is carried out or dropped. */
static int steer_close(struct io *base, char *error)
{
	struct steer_io *io = (struct steer_io *)base;
	struct steer *s = io->steer;
	settle(io);
	for (unsigned j = 0; j < s->workers; j++) {
		struct handoff *h = handoff(s, io->worker, j);
		uint64_t unsent = atomic_load_explicit(&h->unsent, memory_order_relaxed) - h->unsent_seen;
		if (s->members[j].counters)
			s->members[j].counters->drop[DROP_TX_FULL] += unsent;
		h->unsent_seen += unsent;
		reclaim(io, j);
	}
	retry_stalled(io, true);
	int rc = io->inner->ops->close(io->inner, error);
	free(io);
	return rc;
}

/* --- what goes through ------------------------------------------------------------------------------------------------- */

static int steer_inject(struct io *base, const uint8_t *frame, size_t len, uint64_t ts_ns, uint16_t in_port,
			uint16_t link_type, bool back)
{
	struct io *inner = ((struct steer_io *)base)->inner;
	return inner->ops->inject(inner, frame, len, ts_ns, in_port, link_type, back);
}

static int steer_shunt(struct io *base, const struct packet *pkt)
{
	struct io *inner = ((struct steer_io *)base)->inner;
	return inner->ops->shunt(inner, pkt);
}

/* Of the two queues towards the worker the fuller one: the NIC's, and what others lent. */
static void steer_backlog(struct io *base, uint32_t *waiting, uint32_t *room)
{
	struct steer_io *io = (struct steer_io *)base;
	for (unsigned j = 0; j < io->steer->workers; j++) {
		struct handoff *h = handoff(io->steer, j, io->worker);
		uint32_t lent = atomic_load_explicit(&h->lent_tail, memory_order_relaxed) - h->lent_head;
		if (j == 0 || lent > *waiting)
			*waiting = lent;
	}
	uint32_t inner_waiting = 0, inner_room = 0;
	*room = STEER_LENT_MAX;
	io->inner->ops->backlog(io->inner, &inner_waiting, &inner_room);
	if (inner_room == 0 || (uint64_t)inner_waiting * *room > (uint64_t)*waiting * inner_room) {
		*waiting = inner_waiting;
		*room = inner_room;
	}
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

/* One for the life of the process: workers keep their flows when a device is opened again. */
static uint64_t seed;
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;
static int seed_error;

static void make_seed(void)
{
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed_error = errno;
}

struct steer *steer_new(unsigned workers)
{
	pthread_once(&seed_once, make_seed);
	if (seed_error || workers == 0 || workers > IO_WORKERS_MAX) {
		errno = seed_error ? seed_error : EINVAL;
		return NULL;
	}
	size_t bytes = (size_t)workers * workers * sizeof(struct handoff);
	struct steer *s = aligned_alloc(CACHE_LINE, sizeof(*s));
	if (!s)
		return NULL;
	memset(s, 0, sizeof(*s));
	s->workers = workers;
	s->seed = seed;
	s->handoffs = aligned_alloc(CACHE_LINE, bytes);
	if (!s->handoffs) {
		free(s);
		return NULL;
	}
	memset(s->handoffs, 0, bytes);
	return s;
}

void steer_free(struct steer *s)
{
	if (!s)
		return;
	free(s->handoffs);
	free(s);
}

struct io *steer_io(struct steer *s, unsigned worker, struct io *inner, struct counters *counters)
{
	struct steer_io *io = calloc(1, sizeof(*io));
	if (!io)
		return NULL;
	io->ops = (struct io_ops){
		.name = inner->ops->name,
		.receive = steer_receive,
		.verdict = steer_verdict,
		.inject = inner->ops->inject ? steer_inject : NULL,
		.shunt = inner->ops->shunt ? steer_shunt : NULL,
		.finish = steer_finish,
		.backlog = inner->ops->backlog ? steer_backlog : NULL,
		.close = steer_close,
	};
	io->io.ops = &io->ops;
	io->steer = s;
	io->inner = inner;
	io->counters = counters;
	io->worker = worker;
	s->members[worker].counters = counters;
	s->members[worker].inner = inner;
	return &io->io;
}
