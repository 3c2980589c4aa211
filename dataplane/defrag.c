/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IP reassembly. Incomplete datagrams stand in a hash table and, by age, in a list; their fragments are copies of whole
 * frames, so that an inline backend can send on what was held.
 */
#include <errno.h>
#include <netinet/in.h>
#include <pcap/dlt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <xxhash.h>

#include <dataplane/defrag.h>
#include <dataplane/slab.h>

#define IP_DATAGRAM_MAX	 65535u
#define IPV6_HEADER_LEN	 40u
#define FRAGMENT_HDR_LEN 8u
/* Offsets count units of eight bytes. */
#define UNITS_MAX ((IP_DATAGRAM_MAX + 7) / 8)

struct datagram_key {
	union packet_addr src, dst;
	uint32_t id;
	uint16_t vlan[PACKET_VLAN_MAX];
	uint8_t proto; /* of IPv4 only: fragments of IPv6 may each name another next header */
	uint8_t family;
};

struct fragment {
	struct held_frame held; /* first; its chain is in order of arrival */
	struct fragment *next;	/* by offset */
	uint32_t offset, end;
	const uint8_t *l3; /* in the copied frame, or in the copied datagram behind it */
	uint8_t *payload;
	uint16_t header_len; /* from l3 to payload */
	bool more;
	uint32_t size; /* of this block */
	uint8_t bytes[];
};

static struct fragment *fragment_of_held(struct held_frame *held)
{
	return (struct fragment *)held;
}

struct datagram {
	struct datagram_key key;
	uint64_t hash;
	uint64_t first_ns;
	struct datagram *bucket_next;
	struct datagram *older, *younger; /* by first_ns; given out: `younger` is the next one */
	struct fragment *by_offset, *by_offset_last;
	struct held_frame *arrived, *arrived_last;
	uint32_t count;
	uint32_t bytes;	   /* of all fragments, overlaps counted again */
	uint32_t end_max;  /* of all fragments */
	uint32_t last_min; /* smallest end of a last fragment; UINT32_MAX: none yet */
	bool overlap;
	bool doomed; /* whatever more comes of it is dropped */
	uint8_t *out;
	uint32_t out_size;
	const struct packet *packet; /* what was given out */
};

struct defrag {
	struct defrag_config config;
	struct counters *counters;
	struct slab *slab;
	uint64_t seed;
	struct datagram **buckets;
	uint32_t bucket_mask;
	uint32_t active;
	struct datagram *oldest, *youngest;
	struct datagram *given;
	const struct fragment *owner[UNITS_MAX + 1]; /* of each unit, while a datagram with overlaps is put together */
};

/* One bucket a datagram, for chains of one; above this the table would cost more than it saves. */
#define BUCKETS_MAX (1u << 20)

void defrag_config_defaults(struct defrag_config *config, bool inline_mode)
{
	*config = (struct defrag_config){
		.memory_bytes = 32u << 20,
		.datagrams_max = 65536,
		.fragments_per_datagram_max = 256,
		.timeout_ns = 60ull * 1000000000u,
		.policy = inline_mode ? DEFRAG_FIRST : DEFRAG_BSD,
		.memcap_policy = inline_mode ? EXCEPTION_DROP_PACKET : EXCEPTION_IGNORE,
	};
}

struct defrag *defrag_new(const struct defrag_config *config, struct counters *counters)
{
	struct defrag *d = calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	d->config = *config;
	d->counters = counters;
	uint32_t buckets = 64;
	while (buckets < config->datagrams_max && buckets < BUCKETS_MAX)
		buckets *= 2;
	d->bucket_mask = buckets - 1;
	d->buckets = calloc(buckets, sizeof(*d->buckets));
	d->slab = slab_new("defrag", config->memory_bytes);
	if (!d->buckets || !d->slab || getrandom(&d->seed, sizeof(d->seed), 0) != sizeof(d->seed)) {
		int error = errno ? errno : ENOMEM;
		defrag_free(d);
		errno = error;
		return NULL;
	}
	return d;
}

void defrag_configure(struct defrag *defrag, const struct defrag_config *config)
{
	defrag->config.memcap_policy = config->memcap_policy;
}

void defrag_free(struct defrag *defrag)
{
	if (!defrag)
		return;
	slab_free_all(defrag->slab);
	free(defrag->buckets);
	free(defrag);
}

/* An inline sensor must not leave it to the receiver which of two copies counts. */
static bool is_strict(const struct defrag *d)
{
	return d->config.policy == DEFRAG_FIRST || d->config.policy == DEFRAG_DROP;
}

static void fragment_event(struct defrag *d, struct packet *pkt, enum event v4, enum event v6)
{
	enum event event = pkt->family == 4 ? v4 : v6;
	if (!event_set_has(&pkt->events, event))
		d->counters->event[event]++;
	packet_event(pkt, event);
}

static void event_overlap(struct defrag *d, struct packet *pkt)
{
	fragment_event(d, pkt, EVENT_IPV4_FRAG_OVERLAP, EVENT_IPV6_FRAG_OVERLAP);
}

static void event_ignored(struct defrag *d, struct packet *pkt)
{
	fragment_event(d, pkt, EVENT_IPV4_FRAG_IGNORED, EVENT_IPV6_FRAG_IGNORED);
}

/* --- the table ------------------------------------------------------------------------------------------------------ */

static struct datagram_key key_of(const struct packet *pkt)
{
	struct datagram_key key;
	memset(&key, 0, sizeof(key)); /* it is hashed and compared as bytes */
	key.src = pkt->src;
	key.dst = pkt->dst;
	key.id = pkt->frag_id;
	for (unsigned i = 0; i < pkt->vlan_count && i < PACKET_VLAN_MAX; i++)
		key.vlan[i] = pkt->vlan[i];
	key.family = pkt->family;
	key.proto = pkt->family == 4 ? pkt->proto : 0;
	return key;
}

static void unlink_datagram(struct defrag *d, struct datagram *dg)
{
	struct datagram **at = &d->buckets[dg->hash & d->bucket_mask];
	while (*at != dg)
		at = &(*at)->bucket_next;
	*at = dg->bucket_next;
	*(dg->older ? &dg->older->younger : &d->oldest) = dg->younger;
	*(dg->younger ? &dg->younger->older : &d->youngest) = dg->older;
	dg->older = dg->younger = NULL;
	d->active--;
}

static void free_fragments(struct defrag *d, struct datagram *dg)
{
	for (struct held_frame *h = dg->arrived, *next; h; h = next) {
		next = h->next;
		slab_free(d->slab, h, fragment_of_held(h)->size);
	}
	dg->arrived = dg->arrived_last = NULL;
	dg->by_offset = dg->by_offset_last = NULL;
	dg->count = 0;
}

static void free_datagram(struct defrag *d, struct datagram *dg)
{
	free_fragments(d, dg);
	slab_free(d->slab, dg->out, dg->out_size);
	slab_free(d->slab, dg, sizeof(*dg));
}

static bool has_expired(const struct defrag *d, const struct datagram *dg, uint64_t now_ns)
{
	/* a clock that jumped back far, as between captures, leaves nothing to wait for either */
	uint64_t age = now_ns > dg->first_ns ? now_ns - dg->first_ns : dg->first_ns - now_ns;
	return age >= d->config.timeout_ns;
}

static void expire(struct defrag *d, struct datagram *dg)
{
	if (!dg->doomed)
		count(d->counters, COUNTER_DEFRAG_TIMEOUTS);
	d->counters->drop[DROP_DEFRAG_TIMEOUT] += dg->count;
	unlink_datagram(d, dg);
	free_datagram(d, dg);
}

static void expire_old(struct defrag *d, uint64_t now_ns, unsigned budget)
{
	while (budget-- > 0 && d->oldest && has_expired(d, d->oldest, now_ns))
		expire(d, d->oldest);
}

static struct datagram *find_datagram(struct defrag *d, const struct datagram_key *key, uint64_t hash)
{
	struct datagram *dg = d->buckets[hash & d->bucket_mask];
	while (dg && (dg->hash != hash || memcmp(&dg->key, key, sizeof(*key)) != 0))
		dg = dg->bucket_next;
	return dg;
}

/* Old ones that are looked at when there is no room for a new one. */
#define MAKE_ROOM_BUDGET 8

static struct datagram *new_datagram(struct defrag *d, const struct datagram_key *key, uint64_t hash, uint64_t now_ns)
{
	if (d->active >= d->config.datagrams_max)
		expire_old(d, now_ns, MAKE_ROOM_BUDGET);
	if (d->active >= d->config.datagrams_max) {
		count(d->counters, COUNTER_DEFRAG_MAX_TRACKERS);
		return NULL;
	}
	struct datagram *dg = slab_zalloc(d->slab, sizeof(*dg));
	if (!dg) {
		count(d->counters, COUNTER_DEFRAG_MEMCAP);
		return NULL;
	}
	dg->key = *key;
	dg->hash = hash;
	dg->first_ns = now_ns;
	dg->last_min = UINT32_MAX;
	dg->bucket_next = d->buckets[hash & d->bucket_mask];
	d->buckets[hash & d->bucket_mask] = dg;
	dg->older = d->youngest;
	*(d->youngest ? &d->youngest->younger : &d->oldest) = dg;
	d->youngest = dg;
	d->active++;
	return dg;
}

static struct datagram *get_datagram(struct defrag *d, const struct packet *pkt)
{
	struct datagram_key key = key_of(pkt);
	uint64_t hash = XXH3_64bits_withSeed(&key, sizeof(key), d->seed);
	struct datagram *dg = find_datagram(d, &key, hash);
	if (dg && has_expired(d, dg, pkt->ts_ns)) {
		expire(d, dg);
		dg = NULL;
	}
	return dg ? dg : new_datagram(d, &key, hash, pkt->ts_ns);
}

/* --- verdicts --------------------------------------------------------------------------------------------------------- */

static void hold(struct packet *pkt)
{
	pkt->verdict = VERDICT_HOLD;
	/* a frame waits with what it carries */
	if (pkt->root && pkt->root->verdict == VERDICT_FORWARD)
		pkt->root->verdict = VERDICT_HOLD;
}

/* No memory for this fragment. */
static void refuse(struct defrag *d, struct packet *pkt)
{
	event_ignored(d, pkt);
	switch (d->config.memcap_policy) {
	case EXCEPTION_DROP_PACKET:
	case EXCEPTION_DROP_FLOW:
	case EXCEPTION_REJECT:
		packet_drop(pkt, DROP_DEFRAG_MEMCAP);
		break;
	case EXCEPTION_PASS_PACKET:
	case EXCEPTION_PASS_FLOW:
	case EXCEPTION_BYPASS:
		pkt->flags |= PACKET_NO_INSPECT;
		break;
	case EXCEPTION_IGNORE:
		break;
	}
}

/* The datagram can never be whole: what is held of it is dropped, and so is what comes of it until its time is over. */
static void doom(struct defrag *d, struct datagram *dg, struct packet *pkt, enum drop_reason reason)
{
	d->counters->drop[reason] += dg->count;
	free_fragments(d, dg);
	dg->doomed = true;
	packet_drop(pkt, reason);
}

/* --- fragments -------------------------------------------------------------------------------------------------------- */

/* Facts of a fragment that has not been copied; its payload points into the packet. */
static struct fragment fragment_of(const struct packet *pkt)
{
	uint32_t len = pkt->l3_len - pkt->l3_header_len;
	/* only a last fragment may end within a unit; hosts cut others to whole units, or drop them */
	if (pkt->more_fragments)
		len &= ~7u;
	return (struct fragment){
		.offset = pkt->frag_offset,
		.end = pkt->frag_offset + len,
		.l3 = pkt->l3,
		.payload = pkt->data + (pkt->payload - pkt->data),
		.header_len = pkt->l3_header_len,
		.more = pkt->more_fragments,
	};
}

/* Whether a receiver would throw the fragment away by itself, or it cannot be used; the packet then has its verdict. */
static bool is_unusable(struct defrag *d, struct packet *pkt, const struct fragment *f)
{
	uint32_t len = pkt->l3_len - pkt->l3_header_len;
	uint32_t header = pkt->family == 4 ? pkt->l3_header_len : 0;
	if (pkt->flags & PACKET_IP_CSUM_BAD) {
		packet_drop(pkt, DROP_CHECKSUM);
		return true;
	}
	if (header + pkt->frag_offset + len > IP_DATAGRAM_MAX) {
		fragment_event(d, pkt, EVENT_IPV4_FRAG_PKT_TOO_LARGE, EVENT_IPV6_FRAG_PKT_TOO_LARGE);
		packet_drop(pkt, DROP_DEFRAG);
		return true;
	}
	bool broken_unit = pkt->more_fragments && len % 8 != 0;
	if (f->end == f->offset || (broken_unit && (pkt->family == 6 || is_strict(d)))) {
		event_ignored(d, pkt);
		packet_drop(pkt, DROP_DEFRAG);
		return true;
	}
	uint32_t said = pkt->family == 4 ? load_be16(pkt->l3 + 2) : IPV6_HEADER_LEN + load_be16(pkt->l3 + 4);
	if (pkt->l3_len < said) { /* the capture lacks the rest */
		event_ignored(d, pkt);
		return true;
	}
	return false;
}

static bool is_overlapping(const struct datagram *dg, const struct fragment *f)
{
	if (f->offset >= dg->end_max)
		return false;
	for (const struct fragment *o = dg->by_offset; o && o->offset < f->end; o = o->next)
		if (o->end > f->offset)
			return true;
	return false;
}

/* The same bytes at the same place as before. */
static bool is_repeated(const struct datagram *dg, const struct fragment *f)
{
	for (const struct fragment *o = dg->by_offset; o && o->offset <= f->offset; o = o->next)
		if (o->offset == f->offset && o->end == f->end && o->more == f->more &&
		    memcmp(o->payload, f->payload, f->end - f->offset) == 0)
			return true;
	return false;
}

/* A last fragment says where the datagram ends; others that reach beyond it, or end it elsewhere, contradict it. */
static bool contradicts_end(const struct datagram *dg, const struct fragment *f)
{
	if (dg->last_min != UINT32_MAX && (f->end > dg->last_min || (!f->more && f->end != dg->last_min)))
		return true;
	return !f->more && dg->end_max > f->end;
}

static void insert(struct datagram *dg, struct fragment *f)
{
	if (!dg->by_offset_last || f->offset >= dg->by_offset_last->offset) {
		*(dg->by_offset_last ? &dg->by_offset_last->next : &dg->by_offset) = f;
		f->next = NULL;
		dg->by_offset_last = f;
	} else {
		struct fragment **at = &dg->by_offset;
		while ((*at)->offset <= f->offset)
			at = &(*at)->next;
		f->next = *at;
		*at = f;
	}
	f->held.next = NULL;
	*(dg->arrived_last ? &dg->arrived_last->next : &dg->arrived) = &f->held;
	dg->arrived_last = &f->held;
	dg->count++;
	dg->bytes += f->end - f->offset;
	if (f->end > dg->end_max)
		dg->end_max = f->end;
	if (!f->more && f->end < dg->last_min)
		dg->last_min = f->end;
}

/* Takes the fragment that was inserted last out of the lists. */
static void remove_latest(struct datagram *dg, struct fragment *f)
{
	struct fragment **at = &dg->by_offset, *before = NULL;
	while (*at != f) {
		before = *at;
		at = &(*at)->next;
	}
	*at = f->next;
	if (dg->by_offset_last == f)
		dg->by_offset_last = before;
	struct held_frame **held = &dg->arrived, *held_before = NULL;
	while (*held != &f->held) {
		held_before = *held;
		held = &(*held)->next;
	}
	*held = NULL;
	dg->arrived_last = held_before;
	dg->count--;
}

/* A copy that outlives the packet: the frame, and the layer itself where it lies in other bytes (a datagram's). */
static struct fragment *copy_fragment(struct defrag *d, const struct packet *pkt, const struct fragment *f)
{
	const struct packet *frame = pkt->root;
	uint32_t layer_len = f->header_len + (f->end - f->offset);
	bool within = f->l3 >= frame->data && f->l3 + layer_len <= frame->data + frame->len;
	uint32_t size = (uint32_t)sizeof(*f) + frame->len + (within ? 0 : layer_len);
	struct fragment *copy = slab_alloc(d->slab, size);
	if (!copy)
		return NULL;
	memcpy(copy, f, sizeof(*f));
	copy->size = size;
	memcpy(copy->bytes, frame->data, frame->len);
	uint8_t *l3 = within ? copy->bytes + (f->l3 - frame->data) : copy->bytes + frame->len;
	if (!within)
		memcpy(l3, f->l3, layer_len);
	copy->l3 = l3;
	copy->payload = l3 + f->header_len;
	copy->held = (struct held_frame){
		.data = copy->bytes,
		.len = frame->len,
		.ts_ns = frame->ts_ns,
		.number = frame->number,
		.port = frame->port,
		.link_type = frame->link_type,
	};
	return copy;
}

/* --- putting together ------------------------------------------------------------------------------------------------ */

/* The length of the datagram's payload when, with the new fragment, some last fragment ends a run without holes; 0 when it is
 * not whole. Which last fragment a receiver saw cannot be known where they differ: the longest run shows the most. */
static uint32_t whole_length(const struct datagram *dg, const struct fragment *new)
{
	uint32_t reach = 0, whole = 0;
	uint32_t last_min = !new->more &&new->end < dg->last_min ? new->end : dg->last_min;
	if (last_min == UINT32_MAX || dg->bytes + (new->end - new->offset) < last_min)
		return 0;
	const struct fragment *o = dg->by_offset;
	for (;;) {
		const struct fragment *f = new && (!o || new->offset < o->offset) ? new : o;
		if (!f || f->offset > reach)
			return whole;
		*(f == new ? &new : &o) = f == new ? NULL : o->next;
		if (f->end > reach)
			reach = f->end;
		if (!f->more && f->end > whole)
			whole = f->end;
	}
}

/* Which of two copies of a byte counts: true for the one that came later. */
static bool later_wins(enum defrag_policy policy, const struct fragment *old, const struct fragment *new)
{
	switch (policy) {
	case DEFRAG_FIRST:
	case DEFRAG_DROP:
		return false;
	case DEFRAG_LAST:
		return true;
	case DEFRAG_BSD:
		return new->offset < old->offset;
	case DEFRAG_BSD_RIGHT:
		return new->offset >= old->offset;
	case DEFRAG_LINUX:
		return new->offset <= old->offset;
	case DEFRAG_SOLARIS:
		return new->offset < old->offset &&new->end >= old->end;
	case DEFRAG_WINDOWS:
		return new->offset<old->offset &&new->end> old->end;
	}
	return false;
}

/* Writes each unit as the policy says, in order of arrival. */
static void paint(struct defrag *d, const struct datagram *dg, uint8_t *to, uint32_t whole)
{
	memset(d->owner, 0, ((whole + 7) / 8) * sizeof(d->owner[0]));
	for (struct held_frame *h = dg->arrived; h; h = h->next) {
		const struct fragment *f = fragment_of_held(h);
		for (uint32_t at = f->offset; at < f->end && at < whole; at += 8) {
			const struct fragment **owner = &d->owner[at / 8];
			uint32_t from = at, end = at + 8;
			/* a last fragment may own a unit that another fills further */
			if (*owner && !later_wins(d->config.policy, *owner, f))
				from = (*owner)->end < end ? (*owner)->end : end;
			else
				*owner = f;
			end = end < f->end ? end : f->end;
			end = end < whole ? end : whole;
			if (from < end)
				memcpy(to + from, f->payload + (from - f->offset), end - from);
		}
	}
}

static void copy_payload(struct defrag *d, const struct datagram *dg, uint8_t *to, uint32_t whole)
{
	if (dg->overlap)
		paint(d, dg, to, whole);
	else
		for (const struct fragment *f = dg->by_offset; f; f = f->next)
			memcpy(to + f->offset, f->payload, f->end - f->offset);
}

/* The fragment that owns the start of the datagram: its headers are the datagram's. */
static const struct fragment *head_of(const struct defrag *d, const struct datagram *dg)
{
	const struct fragment *head = NULL;
	for (struct held_frame *h = dg->arrived; h; h = h->next) {
		const struct fragment *f = fragment_of_held(h);
		if (f->offset == 0 && (!head || later_wins(d->config.policy, head, f)))
			head = f;
	}
	return head;
}

static void write_ipv4_header(uint8_t *out, uint32_t len)
{
	store_be16(out + 2, (uint16_t)len);
	store_be16(out + 6, load_be16(out + 6) & 0xc000); /* neither more fragments nor an offset */
	store_be16(out + 10, 0);
	store_be16(out + 10, checksum_fold(checksum_add(0, out, (out[0] & 0x0fu) * 4)));
}

/* The header before the fragment header names what that named. The headers in between are those that every router reads, all
 * of the same form, but for the authentication header; the decoder has checked that they fit. */
static void write_ipv6_header(uint8_t *out, uint32_t header_len, uint8_t next, uint32_t len)
{
	uint8_t *next_at = out + 6;
	uint32_t at = IPV6_HEADER_LEN;
	while (at + FRAGMENT_HDR_LEN <= header_len) {
		uint8_t type = *next_at;
		next_at = out + at;
		at += type == IPPROTO_FRAGMENT ? FRAGMENT_HDR_LEN
		      : type == IPPROTO_AH     ? (out[at + 1] > 0 ? (out[at + 1] + 2u) * 4 : 12)
					       : 8 + out[at + 1] * 8u;
	}
	*next_at = next;
	store_be16(out + 4, (uint16_t)(len - IPV6_HEADER_LEN));
}

/* Builds the datagram's bytes; false when there is no memory for them or they would be too long. */
static bool assemble(struct defrag *d, struct datagram *dg, uint32_t whole)
{
	const struct fragment *head = head_of(d, dg);
	bool v4 = dg->key.family == 4;
	uint32_t header_len = head->header_len - (v4 ? 0 : FRAGMENT_HDR_LEN);
	uint32_t len = header_len + whole;
	if (len > IP_DATAGRAM_MAX + (v4 ? 0 : IPV6_HEADER_LEN))
		return false;
	dg->out = slab_alloc(d->slab, len);
	if (!dg->out)
		return false;
	dg->out_size = len;
	memcpy(dg->out, head->l3, header_len);
	copy_payload(d, dg, dg->out + header_len, whole);
	if (v4)
		write_ipv4_header(dg->out, len);
	else
		write_ipv6_header(dg->out, header_len, head->l3[header_len], len);
	return true;
}

/* Writes the inspected bytes into the held copies and the frame at hand, so that every receiver puts the same together
 * whichever copy it takes. False when one cannot be rewritten. */
static bool settle_copies(struct datagram *dg, struct packet *pkt, uint32_t whole)
{
	const uint8_t *bytes = dg->out + (dg->out_size - whole);
	for (struct held_frame *h = dg->arrived; h; h = h->next) {
		struct fragment *f = fragment_of_held(h);
		uint32_t len = f->end - f->offset;
		if (memcmp(f->payload, bytes + f->offset, len) == 0)
			continue;
		if (pkt->root != pkt)
			return false; /* checksums of what is around it would need to be made anew in each frame */
		memcpy(f->payload, bytes + f->offset, len);
		if (h == dg->arrived_last)
			pkt->verdict = VERDICT_REPLACE;
	}
	return true;
}

static struct packet *packet_of_datagram(struct decoder *decoder, const struct datagram *dg, const struct packet *pkt)
{
	struct packet *out = decoder_packet(decoder);
	if (!out)
		return NULL;
	out->data = dg->out;
	out->len = out->wire_len = dg->out_size;
	out->ts_ns = pkt->ts_ns;
	out->number = pkt->number;
	out->port = pkt->port;
	out->link_type = DLT_RAW;
	out->l2 = pkt->l2;
	out->ether_type = pkt->ether_type;
	memcpy(out->vlan, pkt->vlan, sizeof(out->vlan));
	out->vlan_count = pkt->vlan_count;
	out->tunnel = pkt->tunnel;
	out->depth = pkt->depth;
	out->flags = pkt->flags & PACKET_TUNNELLED;
	out->root = pkt->root;
	decode_datagram(decoder, out);
	return out;
}

/* The fragment at hand, inserted but not copied, made the datagram whole. */
static struct packet *complete(struct defrag *d, struct decoder *decoder, struct datagram *dg, struct packet *pkt,
			       struct fragment *latest, uint32_t whole)
{
	struct packet *out = NULL;
	bool assembled = assemble(d, dg, whole);
	bool settled = assembled && (!dg->overlap || !is_strict(d) || settle_copies(dg, pkt, whole));
	if (settled)
		out = packet_of_datagram(decoder, dg, pkt);
	remove_latest(dg, latest);
	if (!out) {
		event_ignored(d, pkt);
		doom(d, dg, pkt, !assembled || settled ? DROP_DEFRAG_MEMCAP : DROP_DEFRAG);
		return NULL;
	}
	count(d->counters, pkt->family == 4 ? COUNTER_DEFRAG_IPV4_REASSEMBLED : COUNTER_DEFRAG_IPV6_REASSEMBLED);
	/* fragments of fragments: nobody sends them in earnest, and their frames could not be held as one */
	if (out->flags & PACKET_FRAGMENT && is_strict(d)) {
		event_ignored(d, out);
		doom(d, dg, pkt, DROP_DEFRAG);
		return NULL;
	}
	unlink_datagram(d, dg);
	dg->packet = out;
	dg->younger = d->given;
	d->given = dg;
	return out;
}

/* Whether the fragment may join the others; else the packet has its verdict. */
static bool admit(struct defrag *d, struct datagram *dg, struct packet *pkt, const struct fragment *f)
{
	if (dg->doomed) {
		packet_drop(pkt, DROP_DEFRAG);
		return false;
	}
	bool overlaps = is_overlapping(dg, f);
	if (overlaps) {
		event_overlap(d, pkt);
		if (is_repeated(dg, f)) {
			packet_drop(pkt, DROP_DEFRAG);
			return false;
		}
		/* RFC 5722: a datagram with overlaps is none */
		if (d->config.policy == DEFRAG_DROP || (is_strict(d) && pkt->family == 6)) {
			doom(d, dg, pkt, DROP_DEFRAG);
			return false;
		}
		dg->overlap = true;
	}
	if (contradicts_end(dg, f)) {
		event_overlap(d, pkt);
		dg->overlap = true;
		if (is_strict(d)) {
			doom(d, dg, pkt, DROP_DEFRAG);
			return false;
		}
	}
	if (dg->count >= d->config.fragments_per_datagram_max) {
		event_ignored(d, pkt);
		doom(d, dg, pkt, DROP_DEFRAG);
		return false;
	}
	return true;
}

struct packet *defrag_add(struct defrag *defrag, struct decoder *decoder, struct packet *pkt)
{
	count(defrag->counters, pkt->family == 4 ? COUNTER_DEFRAG_IPV4_FRAGMENTS : COUNTER_DEFRAG_IPV6_FRAGMENTS);
	struct fragment f = fragment_of(pkt);
	if (is_unusable(defrag, pkt, &f))
		return NULL;
	struct datagram *dg = get_datagram(defrag, pkt);
	if (!dg) {
		refuse(defrag, pkt);
		return NULL;
	}
	if (!admit(defrag, dg, pkt, &f))
		return NULL;
	uint32_t whole = whole_length(dg, &f);
	if (whole > 0) {
		insert(dg, &f);
		return complete(defrag, decoder, dg, pkt, &f, whole);
	}
	struct fragment *copy = copy_fragment(defrag, pkt, &f);
	if (!copy) {
		count(defrag->counters, COUNTER_DEFRAG_MEMCAP);
		refuse(defrag, pkt);
		return NULL;
	}
	insert(dg, copy);
	hold(pkt);
	return NULL;
}

struct held_frame *defrag_held(struct defrag *defrag, const struct packet *datagram)
{
	struct datagram *dg = defrag->given;
	while (dg && dg->packet != datagram)
		dg = dg->younger;
	return dg ? dg->arrived : NULL;
}

void defrag_recycle(struct defrag *defrag, uint64_t now_ns, unsigned budget)
{
	while (defrag->given) {
		struct datagram *dg = defrag->given;
		defrag->given = dg->younger;
		free_datagram(defrag, dg);
	}
	expire_old(defrag, now_ns, budget);
}
