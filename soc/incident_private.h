/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What the files incident*.c share. */

#include "incident.h"
#include "triage_rules.h"

#define INCIDENT_LINES_MAX	2000 /* of history that evidence writes; raises, merges and people's lines have no limit */
#define INCIDENT_REASONS_MAX	48
#define INCIDENT_MEASURES_MAX	24
#define INCIDENT_SIGNATURES_MAX 64
#define INCIDENT_EVENTS_MAX	256   /* named, the newest; the store knows all */
#define INCIDENT_REFS_MAX	65536 /* events remembered, of all incidents */
#define INCIDENT_MERGED_MAX	1024
#define INCIDENT_SKETCH_BYTES	1024 /* of the estimate of hosts beyond INCIDENT_HOSTS_MAX */
#define INCIDENT_TEXT_MAX	4000 /* bytes of a comment or reason */

struct incident_host {
	struct address address;
	enum incident_role role;
	uint32_t stages, passed;  /* bits; passed: not all was blocked */
	uint8_t severity[STAGES]; /* the worst evidence of each stage */
	uint8_t chain;		  /* the worst chain found on it */
	int64_t first, last;
	char name[64];
};

/* Something that an incident owns; one owner a customer and text. */
struct incident_key {
	struct incident_key *next_in_bucket, *next, *previous; /* of its owner, oldest first */
	struct incident *owner;
	uint64_t hash;
	char text[];
};

/* What an event has added to its incident. */
struct incident_ref {
	struct incident_ref *next_in_bucket, *newer, *older;
	uint64_t mark;
	struct incident *incident; /* NULL: it is forgotten */
	enum severity severity;	   /* of the decision that put it there */
	bool shared, named;
	uint64_t count, blocked;
};

struct incident {
	struct incidents *owner;
	struct incident *newer, *older;	 /* by evidence */
	struct incident *next_in_bucket; /* by id */
	uint64_t id;
	uint32_t customer;
	enum severity severity;
	enum incident_state state;
	bool rated; /* by a person: only new evidence that is worse raises it */
	bool quiet; /* takes no evidence any more */
	bool dirty, given, hidden;
	size_t entries_given;
	int64_t opened, active, moved; /* by the SOC's clock */
	int64_t first, last;	       /* by the records' clocks */
	int64_t clock_low, clock_high;
	uint64_t event_count, record_count, blocked;
	json_t *title;				       /* {en, ja, by} */
	json_t *reasons;			       /* [{id, severity, weight, en, ja}] */
	json_t *measures;			       /* {en: [], ja: []} */
	json_t *signatures, *events, *rules, *entries; /* arrays */
	json_t *merged_from;			       /* ids: their events stay with this one */
	unsigned lines;
	char rules_version[48];
	char assignee[64];
	struct incident_host *hosts;
	unsigned host_count, host_room;
	uint8_t *sketch; /* NULL until there are more hosts than are named */
	struct incident_key *oldest_key, *newest_key;
	unsigned key_count;
	struct incident *into;
	uint64_t merged_into;
};

#define INCIDENT_BUCKETS 4096
#define KEY_BUCKETS	 65536
#define REF_BUCKETS	 16384

struct incidents {
	struct incident_config config;
	const struct triage_rules *rules;
	uint64_t seed;
	struct incident *newest, *oldest;
	size_t live;
	struct incident *by_id[INCIDENT_BUCKETS];
	struct incident_key *keys[KEY_BUCKETS];
	struct incident_ref *refs[REF_BUCKETS];
	struct incident_ref *newest_ref, *oldest_ref;
	size_t ref_count;
};

/* incident.c */
struct incident *incident_new(struct incidents *incidents, uint32_t customer);
void incident_free(struct incident *incident);
void incident_mark(struct incident *incident);
bool incident_open(const struct incident *incident); /* a person has not ended it */
/* It may take evidence. */
bool incident_live(const struct incident *incident, int64_t now);
void incident_touch(struct incident *incident, int64_t now); /* it has evidence: now the newest */
bool incident_before(const struct incident *a, const struct incident *b);
int64_t incident_ms(int64_t us); /* as exact as what is stored */

/* incident_keys.c */
struct incident *incident_key_owner(struct incidents *incidents, uint32_t customer, const char *text);
/* Takes a key, also from an owner that is not live at `now`; `weak`: from a live one only when that is less severe. */
int incident_claim(struct incident *incident, const char *text, bool weak, int64_t now);
void incident_keys_move(struct incident *into, struct incident *from);
void incident_keys_free(struct incident *incident);
uint64_t incident_mark_of(const struct incidents *incidents, const struct event *event);
/* What it was merged into: done here, as a merge would have to look at all. */
void incident_ref_follow(struct incident_ref *ref);
struct incident_ref *incident_ref_find(struct incidents *incidents, const struct event *event);
struct incident_ref *incident_ref_new(struct incidents *incidents, const struct event *event);
void incident_ref_drop(struct incidents *incidents, struct incident_ref *ref);
void incident_refs_free(struct incidents *incidents);

/* incident_hosts.c */
/* NULL: as many as may be named are; it is counted. */
struct incident_host *incident_host(struct incident *incident, const struct address *address,
				    const struct assets *assets, bool *is_new);
uint64_t incident_host_count(const struct incident *incident);
unsigned incident_hosts_in(const struct incident *incident, enum incident_role role);
int incident_hosts_move(struct incident *into, const struct incident *from);
const char *incident_role_name(enum incident_role role);
int incident_role_of(const char *name);

/* incident_history.c */
/* A line of history; `more` (stolen, may be NULL) are further members. Texts are copied. */
void incident_line(struct incident *incident, int64_t now, const char *kind, const char *who, const char *en,
		   const char *ja, json_t *more);
/* The same for evidence, which has a limit. */
void incident_evidence_line(struct incident *incident, int64_t now, const char *kind, const char *en, const char *ja,
			    json_t *more);
/* Sets or refreshes a sentence; true: it is new. */
bool incident_reason(struct incident *incident, const char *id, enum severity severity, uint64_t weight, const char *en,
		     const char *ja);
void incident_measures(struct incident *incident, const char *en, const char *ja);
void incident_title(struct incident *incident, const char *by, const char *en, const char *ja);
void incident_array_add(json_t *array, const char *text, size_t max);
/* Raises it, when that is worse, and says why. */
void incident_raise(struct incident *incident, enum severity severity, int64_t clock, int64_t now, const char *why_en,
		    const char *why_ja);

/* incident_merge.c */
void incident_absorb(struct incident *into, struct incident *from, const char *who, int64_t now);
