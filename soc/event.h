/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Events: records of one customer that share log type (class) and source address, within a window that stays open while they
 * keep coming. The table is memory only; its owner (one thread) writes what changed to the store and reads the open ones back
 * at start.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record.h"

#define EVENT_SIGNATURES 16 /* named; more are counted */
#define EVENT_TARGETS	 64 /* named; more are estimated by linear counting */
#define EVENT_PORTS	 16
#define EVENT_SAMPLES	 8 /* the first half of them kept for ever, the rest the newest */
/* Bits of the estimate: 2 % error at 1,000 targets, and it saturates beyond 20,000. */
#define EVENT_SKETCH_BITS 4096

struct event_signature {
	uint32_t id;
	uint64_t count;
	char message[RECORD_MESSAGE_MAX];
};

struct event_target {
	struct address address;
	uint64_t count;
	uint16_t port; /* of the first record */
	/* What befell it, by outcome; counts of what was not blocked */
	uint32_t passed[OUTCOMES];
};

struct event {
	uint64_t id;	   /* 0: not stored yet */
	uint64_t incident; /* 0: none */
	uint32_t customer;
	char class[RECORD_NAME_MAX];
	struct address source;
	int64_t first, last; /* by the records' clocks, microseconds */
	int64_t received;    /* when the SOC had the first record: the clock of the promise */
	uint64_t count;
	uint64_t outcomes[OUTCOMES];
	uint64_t verdicts[VERDICTS];
	uint64_t passed[OUTCOMES]; /* not known to be blocked, by outcome */
	enum severity severity;	   /* the worst that a signature said */
	unsigned signature_count;  /* named below */
	struct event_signature signatures[EVENT_SIGNATURES];
	unsigned target_count; /* named below, in order of appearance */
	struct event_target targets[EVENT_TARGETS];
	unsigned port_count;
	uint16_t ports[EVENT_PORTS];
	unsigned sample_count;
	uint64_t samples[EVENT_SAMPLES]; /* ids of records in the store */
	bool closed;
	/* the table's own */
	uint64_t sketch[EVENT_SKETCH_BITS / 64];
	int64_t arrived; /* when the newest record came, by the SOC's clock */
	bool dirty;
	struct event *next_in_bucket, *next_dirty, *newer, *older;
};

struct event_config {
	int64_t window; /* microseconds that it stays open after the last record; default 10 minutes */
	int64_t longest; /* an event is closed when it is older than this, however long it is kept open; default 24 hours */
	size_t open_max; /* open events at once, of all customers; beyond, the one idle longest is closed; default 16384 (120 MB) */
};

struct events;

void event_config_defaults(struct event_config *config);
/* NULL when memory is short. One thread. */
struct events *events_open(const struct event_config *config);
void events_free(struct events *events);

/* Counts a record (class not "") of a customer into its event, which is returned, dirty; it stays valid until events_settle.
 * `id` is the record's in the store, `now` the SOC's clock. NULL when memory is short. */
struct event *events_add(struct events *events, uint32_t customer, const struct record *record, uint64_t id,
			 int64_t now);
/* An open event read back from the store: see event_from_json. */
int events_restore(struct events *events, const struct event *event);
/* The open event of a customer with this class and source; NULL: none. */
struct event *events_find(struct events *events, uint32_t customer, const char *class, const struct address *source);
/* Marks events as closed, and dirty, that no record has joined for the window: by the SOC's clock, and by the newest record of
 * their customer. */
void events_expire(struct events *events, int64_t now);
/* Calls `each` for every event that changed since the last call (which may set its id and incident). */
int events_dirty(struct events *events, int (*each)(void *context, struct event *event), void *context);
/* Forgets what was dirty, and closed events: what events_dirty gave is stored. */
void events_settle(struct events *events);
size_t events_count(const struct events *events);

/* Distinct targets: exact up to EVENT_TARGETS, an estimate beyond. */
uint64_t event_targets(const struct event *event);
/* Notes a target for the estimate. */
void event_sketch(struct event *event, const struct address *target);

/* As the store and the API have it; a new reference, NULL when memory is short. */
json_t *event_to_json(const struct event *event);
/* 0 or -EINVAL. */
int event_from_json(const json_t *json, struct event *event);
