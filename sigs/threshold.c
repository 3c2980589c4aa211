/* SPDX-License-Identifier: BSD-3-Clause */
#include "threshold.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define NONE	  UINT32_MAX
#define SECOND_NS 1000000000ull

struct key {
	union packet_addr addr[2];
	uint64_t flow_id;
	uint32_t gid, sid;
	uint8_t track, type, family;
	uint8_t pad[5];
};

struct entry {
	struct key key;
	uint64_t window_start_ns;
	uint64_t held_since_ns; /* rate filter: when its action began; 0: it does not hold */
	uint32_t count;
	uint32_t next_alert; /* backoff */
	uint32_t hash_next;
	uint32_t lru_prev, lru_next;
	bool held;
};

struct threshold_table {
	pthread_mutex_t lock; /* workers count together what one source does through all of them */
	struct entry *entries;
	uint32_t *buckets;
	uint32_t capacity, bucket_mask;
	uint32_t used; /* entries are taken in order, then recycled from the end of the LRU list */
	uint32_t lru_first, lru_last;
	uint64_t seed;
	uint64_t evictions;
};

struct threshold_table *threshold_table_new(size_t memory_bytes, uint64_t hash_seed)
{
	struct threshold_table *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	/* one bucket for each entry and at least a handful */
	size_t capacity = memory_bytes / (sizeof(struct entry) + sizeof(uint32_t)), buckets = 16;
	capacity = capacity < 16 ? 16 : capacity > UINT32_MAX / 2 ? UINT32_MAX / 2 : capacity;
	while (buckets * 2 <= capacity)
		buckets *= 2;
	t->capacity = (uint32_t)capacity;
	t->bucket_mask = (uint32_t)buckets - 1;
	t->seed = hash_seed;
	pthread_mutex_init(&t->lock, NULL);
	t->lru_first = t->lru_last = NONE;
	t->entries = calloc(capacity, sizeof(struct entry));
	t->buckets = malloc(buckets * sizeof(uint32_t));
	if (!t->entries || !t->buckets) {
		threshold_table_free(t);
		errno = ENOMEM;
		return NULL;
	}
	memset(t->buckets, 0xff, buckets * sizeof(uint32_t));
	return t;
}

void threshold_table_free(struct threshold_table *t)
{
	if (!t)
		return;
	free(t->entries);
	free(t->buckets);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static uint32_t *bucket_of(struct threshold_table *t, const struct key *key)
{
	return &t->buckets[XXH3_64bits_withSeed(key, sizeof(*key), t->seed) & t->bucket_mask];
}

static void lru_unlink(struct threshold_table *t, struct entry *e)
{
	if (e->lru_prev != NONE)
		t->entries[e->lru_prev].lru_next = e->lru_next;
	else
		t->lru_first = e->lru_next;
	if (e->lru_next != NONE)
		t->entries[e->lru_next].lru_prev = e->lru_prev;
	else
		t->lru_last = e->lru_prev;
}

static void lru_push(struct threshold_table *t, struct entry *e)
{
	uint32_t index = (uint32_t)(e - t->entries);
	e->lru_prev = NONE;
	e->lru_next = t->lru_first;
	if (t->lru_first != NONE)
		t->entries[t->lru_first].lru_prev = index;
	else
		t->lru_last = index;
	t->lru_first = index;
}

static void hash_unlink(struct threshold_table *t, const struct entry *e)
{
	uint32_t index = (uint32_t)(e - t->entries), *at = bucket_of(t, &e->key);
	while (*at != index)
		at = &t->entries[*at].hash_next;
	*at = e->hash_next;
}

static struct entry *entry_take(struct threshold_table *t)
{
	if (t->used < t->capacity)
		return &t->entries[t->used++];
	struct entry *e = &t->entries[t->lru_last];
	lru_unlink(t, e);
	hash_unlink(t, e);
	t->evictions++;
	return e;
}

/* The entry of a key, made when new. */
static struct entry *entry_of(struct threshold_table *t, const struct key *key, bool *fresh)
{
	uint32_t *bucket = bucket_of(t, key);
	for (uint32_t i = *bucket; i != NONE; i = t->entries[i].hash_next) {
		struct entry *e = &t->entries[i];
		if (memcmp(&e->key, key, sizeof(*key)) == 0) {
			lru_unlink(t, e);
			lru_push(t, e);
			*fresh = false;
			return e;
		}
	}
	struct entry *e = entry_take(t);
	*e = (struct entry){.key = *key};
	e->hash_next = *bucket; /* after entry_take, which may have changed the chain */
	*bucket = (uint32_t)(e - t->entries);
	lru_push(t, e);
	*fresh = true;
	return e;
}

static struct key key_of(const struct threshold *th, const struct signature *sig, const struct packet *pkt)
{
	struct key key;
	memset(&key, 0, sizeof(key)); /* hashed and compared as bytes */
	key.gid = sig->info.gid;
	key.sid = sig->info.sid;
	key.track = (uint8_t)th->track;
	key.type = (uint8_t)th->type;
	switch (th->track) {
	case TRACK_SRC:
		key.addr[0] = pkt->src;
		key.family = pkt->family;
		break;
	case TRACK_DST:
		key.addr[0] = pkt->dst;
		key.family = pkt->family;
		break;
	case TRACK_BOTH:
	case TRACK_EITHER: { /* a pair counts whichever way it talks */
		bool swap = memcmp(&pkt->src, &pkt->dst, sizeof(pkt->src)) > 0;
		key.addr[0] = swap ? pkt->dst : pkt->src;
		key.addr[1] = swap ? pkt->src : pkt->dst;
		key.family = pkt->family;
		break;
	}
	case TRACK_FLOW:
		key.flow_id = pkt->flow ? pkt->flow->id : 0;
		break;
	case TRACK_RULE:
		break;
	}
	return key;
}

static enum threshold_result suppress_check(const struct threshold *th, const struct packet *pkt)
{
	bool src = th->addresses && address_set_has(th->addresses, &pkt->src, pkt->family);
	bool dst = th->addresses && address_set_has(th->addresses, &pkt->dst, pkt->family);
	bool hit;
	switch (th->track) {
	case TRACK_SRC:
		hit = src;
		break;
	case TRACK_DST:
		hit = dst;
		break;
	case TRACK_RULE: /* no address: suppressed everywhere */
		hit = true;
		break;
	default:
		hit = src || dst;
	}
	/* the alert is unwanted, the action is not: a suppressed drop still drops */
	return hit ? THRESHOLD_SILENT : THRESHOLD_ALERT;
}

static uint32_t multiply_saturated(uint32_t a, uint32_t b)
{
	uint64_t product = (uint64_t)a * b;
	return product > UINT32_MAX ? UINT32_MAX : (uint32_t)product;
}

static enum threshold_result backoff_check(const struct threshold *th, struct entry *e, bool fresh)
{
	if (fresh)
		e->next_alert = th->count;
	if (e->count < UINT32_MAX)
		e->count++;
	if (e->count != e->next_alert)
		return fresh ? THRESHOLD_NONE : THRESHOLD_SILENT;
	e->next_alert = multiply_saturated(e->next_alert, th->multiplier ? th->multiplier : 1);
	return THRESHOLD_ALERT;
}

/* The rule's own action until more than `count` matches came within the window; then the filter's, for its time. */
static enum threshold_result rate_check(const struct threshold *th, struct entry *e, uint64_t now_ns, bool in_window,
					enum sigs_action *action, bool *rate_filtered)
{
	if (e->held && now_ns / SECOND_NS - e->held_since_ns / SECOND_NS > th->timeout_s) {
		e->held = false;
		return THRESHOLD_ALERT;
	}
	if (!e->held) {
		if (!in_window) {
			e->window_start_ns = now_ns;
			e->count = 1;
			return THRESHOLD_ALERT;
		}
		if (++e->count <= th->count)
			return THRESHOLD_ALERT;
		e->held = true;
		e->held_since_ns = now_ns;
	}
	*action = th->new_action;
	*rate_filtered = true;
	return THRESHOLD_ALERT;
}

static enum threshold_result window_check(const struct threshold *th, const struct entry *e)
{
	switch (th->type) {
	case THRESHOLD_LIMIT:
		return e->count <= th->count ? THRESHOLD_ALERT : THRESHOLD_SILENT;
	case THRESHOLD_BOTH:
		return e->count < th->count    ? THRESHOLD_NONE
		       : e->count == th->count ? THRESHOLD_ALERT
					       : THRESHOLD_SILENT;
	case THRESHOLD_DETECTION_FILTER:
		return e->count > th->count ? THRESHOLD_ALERT : THRESHOLD_NONE;
	default:
		return e->count >= th->count ? THRESHOLD_ALERT : THRESHOLD_NONE;
	}
}

static enum threshold_result check_one(struct threshold_table *t, const struct threshold *th,
				       const struct signature *sig, const struct packet *pkt, enum sigs_action *action,
				       bool *rate_filtered)
{
	if (th->type == THRESHOLD_SUPPRESS)
		return suppress_check(th, pkt);
	if (th->track == TRACK_FLOW && !pkt->flow)
		return THRESHOLD_NONE;
	if (th->type == THRESHOLD_THRESHOLD && th->count <= 1)
		return THRESHOLD_ALERT;

	struct key key = key_of(th, sig, pkt);
	bool fresh;
	struct entry *e = entry_of(t, &key, &fresh);
	uint64_t now_ns = pkt->ts_ns;
	if (th->type == THRESHOLD_BACKOFF)
		return backoff_check(th, e, fresh);

	bool in_window = !fresh && now_ns <= e->window_start_ns + th->seconds * SECOND_NS;
	if (th->type == THRESHOLD_RATE)
		return rate_check(th, e, now_ns, in_window, action, rate_filtered);
	if (in_window) {
		if (e->count < UINT32_MAX)
			e->count++;
	} else {
		e->window_start_ns = now_ns;
		e->count = 1;
	}
	enum threshold_result result = window_check(th, e);
	if (th->type == THRESHOLD_THRESHOLD && result == THRESHOLD_ALERT)
		e->count = 0; /* counts anew towards the next one */
	return result;
}

static enum threshold_result check_all(struct threshold_table *t, const struct signature *sig, const struct packet *pkt,
				       enum sigs_action *action, bool *rate_filtered)
{
	/* suppressions come first: what they silence is not counted */
	for (int suppressions = 1; suppressions >= 0; suppressions--) {
		for (const struct threshold *th = sig->thresholds; th; th = th->next) {
			if ((th->type == THRESHOLD_SUPPRESS) != suppressions)
				continue;
			enum threshold_result result = check_one(t, th, sig, pkt, action, rate_filtered);
			if (result != THRESHOLD_ALERT)
				return result;
		}
	}
	return THRESHOLD_ALERT;
}

enum threshold_result threshold_check(struct threshold_table *t, const struct signature *sig, const struct packet *pkt,
				      enum sigs_action *action, bool *rate_filtered)
{
	if (!sig->thresholds)
		return THRESHOLD_ALERT;
	pthread_mutex_lock(&t->lock);
	enum threshold_result result = check_all(t, sig, pkt, action, rate_filtered);
	pthread_mutex_unlock(&t->lock);
	return result;
}

uint32_t threshold_table_entries(const struct threshold_table *t)
{
	return t->used;
}

uint64_t threshold_table_evictions(const struct threshold_table *t)
{
	return t->evictions;
}
