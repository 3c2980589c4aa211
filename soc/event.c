/* SPDX-License-Identifier: BSD-3-Clause */
#include "event.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define MINUTE_US 60000000ll
/* Whose newest record is remembered; a customer beyond has its events closed by the SOC's clock alone. */
#define CUSTOMERS_MAX 4096

struct events {
	struct event_config config;
	struct event **buckets;
	size_t bucket_mask, count;
	uint64_t seed;
	struct event *dirty;	       /* by next_dirty; closed ones are only here */
	struct event *newest, *oldest; /* open ones, by arrival */
	struct {
		uint32_t customer;
		int64_t time;
	} clocks[CUSTOMERS_MAX];
	unsigned clock_count;
};

void event_config_defaults(struct event_config *config)
{
	*config = (struct event_config){.window = 10 * MINUTE_US, .longest = 24 * 60 * MINUTE_US, .open_max = 16384};
}

struct events *events_open(const struct event_config *config)
{
	struct events *events = calloc(1, sizeof(*events));
	size_t size = 64;
	if (!events)
		return NULL;
	while (size < config->open_max)
		size *= 2;
	events->config = *config;
	events->bucket_mask = size - 1;
	events->buckets = calloc(size, sizeof(struct event *));
	if (!events->buckets || getrandom(&events->seed, sizeof(events->seed), 0) != sizeof(events->seed)) {
		events_free(events);
		return NULL;
	}
	return events;
}

void events_free(struct events *events)
{
	if (!events)
		return;
	for (struct event *event = events->dirty, *next; event; event = next) {
		next = event->next_dirty;
		if (event->closed)
			free(event);
	}
	for (struct event *event = events->newest, *next; event; event = next) {
		next = event->older;
		free(event);
	}
	free(events->buckets);
	free(events);
}

/* --- the table --------------------------------------------------------------------------------------------------------- */

static struct event **bucket_of(struct events *events, uint32_t customer, const char *class,
				const struct address *source)
{
	uint64_t hash = XXH3_64bits_withSeed(class, strlen(class), events->seed ^ customer);
	hash = XXH3_64bits_withSeed(source, sizeof(*source), hash);
	return &events->buckets[hash & events->bucket_mask];
}

struct event *events_find(struct events *events, uint32_t customer, const char *class, const struct address *source)
{
	struct event *event = *bucket_of(events, customer, class, source);
	while (event && (event->customer != customer || strcmp(event->class, class) != 0 ||
			 !address_equal(&event->source, source)))
		event = event->next_in_bucket;
	return event;
}

static void mark(struct events *events, struct event *event)
{
	if (event->dirty)
		return;
	event->dirty = true;
	event->next_dirty = events->dirty;
	events->dirty = event;
}

static void to_front(struct events *events, struct event *event)
{
	event->newer = NULL;
	event->older = events->newest;
	if (events->newest)
		events->newest->newer = event;
	else
		events->oldest = event;
	events->newest = event;
}

static void take_out(struct events *events, struct event *event)
{
	*(event->newer ? &event->newer->older : &events->newest) = event->older;
	*(event->older ? &event->older->newer : &events->oldest) = event->newer;
	event->newer = event->older = NULL;
}

static void insert(struct events *events, struct event *event)
{
	struct event **bucket = bucket_of(events, event->customer, event->class, &event->source);
	event->next_in_bucket = *bucket;
	*bucket = event;
	to_front(events, event);
	events->count++;
}

/* It is out of the table, but in the list of what is to be stored. */
static void close_event(struct events *events, struct event *event)
{
	struct event **link = bucket_of(events, event->customer, event->class, &event->source);
	while (*link != event)
		link = &(*link)->next_in_bucket;
	*link = event->next_in_bucket;
	take_out(events, event);
	events->count--;
	event->closed = true;
	mark(events, event);
}

/* --- a record into its event ------------------------------------------------------------------------------------------- */

static void count_signature(struct event *event, const struct record *record)
{
	unsigned i = 0;
	while (i < event->signature_count && event->signatures[i].id != record->signature)
		i++;
	if (i == EVENT_SIGNATURES)
		return;
	if (i == event->signature_count) {
		event->signature_count++;
		event->signatures[i].id = record->signature;
		memcpy(event->signatures[i].message, record->message, sizeof(record->message));
	}
	event->signatures[i].count++;
}

void event_sketch(struct event *event, const struct address *target)
{
	/* The bits are stored: the seed must outlive the process. */
	uint64_t bit = XXH3_64bits(target, sizeof(*target)) % EVENT_SKETCH_BITS;
	event->sketch[bit / 64] |= 1ull << bit % 64;
}

static void count_target(struct event *event, const struct record *record)
{
	unsigned i = 0;
	if (address_none(&record->target))
		return;
	event_sketch(event, &record->target);
	while (i < event->target_count && !address_equal(&event->targets[i].address, &record->target))
		i++;
	if (i == EVENT_TARGETS)
		return;
	struct event_target *target = &event->targets[i];
	if (i == event->target_count) {
		event->target_count++;
		target->address = record->target;
		target->port = record->target_port;
	}
	target->count++;
	if (record->verdict != VERDICT_BLOCKED)
		target->passed[record->outcome]++;
}

static void count_port(struct event *event, uint16_t port)
{
	for (unsigned i = 0; i < event->port_count; i++)
		if (event->ports[i] == port)
			return;
	if (port && event->port_count < EVENT_PORTS)
		event->ports[event->port_count++] = port;
}

static void add_sample(struct event *event, uint64_t id)
{
	if (event->sample_count < EVENT_SAMPLES) {
		event->samples[event->sample_count++] = id;
		return;
	}
	memmove(event->samples + EVENT_SAMPLES / 2, event->samples + EVENT_SAMPLES / 2 + 1,
		(EVENT_SAMPLES / 2 - 1) * sizeof(event->samples[0]));
	event->samples[EVENT_SAMPLES - 1] = id;
}

static void count(struct event *event, const struct record *record)
{
	event->count++;
	event->outcomes[record->outcome]++;
	event->verdicts[record->verdict]++;
	if (record->verdict != VERDICT_BLOCKED)
		event->passed[record->outcome]++;
	if (record->severity > event->severity)
		event->severity = record->severity;
	if (record->time < event->first)
		event->first = record->time;
	if (record->time > event->last)
		event->last = record->time;
	count_signature(event, record);
	count_target(event, record);
	count_port(event, record->target_port);
}

/* The newest record's time, but not of a clock that runs ahead: it would close everything. */
static int64_t *clock_of(struct events *events, uint32_t customer)
{
	unsigned i = 0;
	while (i < events->clock_count && events->clocks[i].customer != customer)
		i++;
	if (i == events->clock_count) {
		if (i == CUSTOMERS_MAX)
			return NULL;
		events->clocks[events->clock_count++].customer = customer;
	}
	return &events->clocks[i].time;
}

static struct event *new_event(struct events *events, uint32_t customer, const struct record *record, int64_t now)
{
	struct event *event = calloc(1, sizeof(*event));
	if (!event)
		return NULL;
	if (events->count >= events->config.open_max)
		close_event(events, events->oldest);
	event->customer = customer;
	memcpy(event->class, record->class, sizeof(event->class));
	event->source = record->source;
	event->first = event->last = record->time;
	event->received = now;
	insert(events, event);
	return event;
}

struct event *events_add(struct events *events, uint32_t customer, const struct record *record, uint64_t id,
			 int64_t now)
{
	struct event *event = events_find(events, customer, record->class, &record->source);
	if (event && (record->time - event->last > events->config.window ||
		      record->time - event->first > events->config.longest)) {
		close_event(events, event);
		event = NULL;
	}
	if (event) {
		take_out(events, event);
		to_front(events, event);
	} else {
		event = new_event(events, customer, record, now);
	}
	if (!event)
		return NULL;
	count(event, record);
	event->arrived = now;
	add_sample(event, id);
	mark(events, event);
	int64_t *clock = clock_of(events, customer), time = record->time < now ? record->time : now;
	if (clock && time > *clock)
		*clock = time;
	return event;
}

int events_restore(struct events *events, const struct event *stored)
{
	struct event *event = malloc(sizeof(*event));
	if (!event)
		return -ENOMEM;
	*event = *stored;
	event->dirty = event->closed = false;
	event->next_dirty = NULL;
	if (events->count >= events->config.open_max)
		close_event(events, events->oldest);
	insert(events, event);
	return 0;
}

/* --- what is over, and what is to be stored ---------------------------------------------------------------------------- */

void events_expire(struct events *events, int64_t now)
{
	for (struct event *event = events->oldest, *newer; event; event = newer) {
		const int64_t *clock = clock_of(events, event->customer);
		newer = event->newer;
		if (now - event->arrived > events->config.window ||
		    (clock && *clock - event->last > events->config.window))
			close_event(events, event);
	}
}

int events_dirty(struct events *events, int (*each)(void *context, struct event *event), void *context)
{
	int rc = 0;
	for (struct event *event = events->dirty; event && rc == 0; event = event->next_dirty)
		rc = each(context, event);
	return rc;
}

void events_settle(struct events *events)
{
	for (struct event *event = events->dirty, *next; event; event = next) {
		next = event->next_dirty;
		event->next_dirty = NULL;
		event->dirty = false;
		if (event->closed)
			free(event);
	}
	events->dirty = NULL;
}

size_t events_count(const struct events *events)
{
	return events->count;
}

/* Whang, Vander-Zanden, Taylor: A Linear-Time Probabilistic Counting Algorithm for Database Applications (1990). */
uint64_t event_targets(const struct event *event)
{
	unsigned set = 0;
	if (event->target_count < EVENT_TARGETS)
		return event->target_count;
	for (unsigned i = 0; i < EVENT_SKETCH_BITS / 64; i++)
		set += (unsigned)__builtin_popcountll(event->sketch[i]);
	if (set == EVENT_SKETCH_BITS)
		set--;
	double estimate = -log(1 - (double)set / EVENT_SKETCH_BITS) * EVENT_SKETCH_BITS;
	return estimate < EVENT_TARGETS ? EVENT_TARGETS : (uint64_t)(estimate + 0.5);
}
