/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Incidents: decisions on events, put together into what a person must know. Evidence on one host, and on the hosts that it
 * spread to, is one incident, which rises as evidence comes and says why; nothing leaves its history. Memory only, for one
 * thread: the owner stores what changed (incidents_dirty) and reads the open ones back at start.
 *
 * Severity is the worst of: each event's decision, each chain of stages on one host that the rules name, each mark of spread.
 * It never falls by itself; a person may set it, and then only worse evidence of a later time raises it.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event.h"
#include "triage.h"

#define INCIDENT_HOSTS_MAX 1024 /* named in one incident; more are counted */
#define INCIDENT_KEYS_MAX  4096 /* owned by one incident; the oldest are given up */

enum incident_state {
	INCIDENT_OPEN = 0,
	INCIDENT_ACKNOWLEDGED,
	INCIDENT_WORKING,
	INCIDENT_CLOSED,
	INCIDENT_FALSE_POSITIVE,
	INCIDENT_MERGED,
	INCIDENT_STATES
};

enum incident_role { ROLE_ATTACKER = 0, ROLE_TARGET, ROLE_VICTIM, ROLE_INFECTED, ROLES };

struct incident_config {
	int64_t quiet; /* evidence joins an open incident that had some within this time; default 24 hours (microseconds) */
	size_t open_max; /* held in memory; beyond, the one quiet longest no longer takes evidence (default 4096) */
};

struct incident;
struct incidents;

void incident_config_defaults(struct incident_config *config);
struct incidents *incidents_open(const struct incident_config *config, const struct triage_rules *rules);
void incidents_free(struct incidents *incidents);
/* Other rules from now on (owned by the caller; live until the next call or the end). */
void incidents_use(struct incidents *incidents, const struct triage_rules *rules);

/* Judges an event that changed, and sets event->incident (0 while the incident has no id: set it once it has; and event->id
 * should be set before, else the incident cannot name the event until it is judged again). Returns the incident that it belongs to, changed or not; NULL: none (no
 * decision, or memory is short: *error is -ENOMEM then). `now` is the SOC's clock. */
struct incident *incidents_judge(struct incidents *incidents, struct event *event, const struct assets *assets,
				 int64_t now, int *error);

/* At start, for each event that is still open, once its incident is restored: what it holds has been counted. */
void incidents_recall(struct incidents *incidents, const struct event *event, const struct assets *assets);

/* An incident that is not of an event: a device that is silent. One open incident a key. */
struct incident *incidents_raise(struct incidents *incidents, uint32_t customer, const char *key,
				 enum severity severity, const char *title_en, const char *title_ja, const char *why_en,
				 const char *why_ja, int64_t now, int *error);
/* The one that was raised by this key, if it is in memory. */
struct incident *incidents_raised(struct incidents *incidents, uint32_t customer, const char *key);
/* Calls `each` for those in memory, until it is not 0, which is returned. */
int incidents_each(struct incidents *incidents, int (*each)(void *context, struct incident *incident), void *context);
struct incident *incidents_find(struct incidents *incidents, uint64_t id);

/* What changed since the last call. `each` stores it: an incident without id (0) must get one from it by incident_set_id; its new
 * history entries are incident_entries. */
int incidents_dirty(struct incidents *incidents, int (*each)(void *context, struct incident *incident), void *context);
/* What incidents_dirty gave is stored; incidents that are over are forgotten. */
void incidents_settle(struct incidents *incidents, int64_t now);

uint64_t incident_id(const struct incident *incident);
void incident_set_id(struct incident *incident, uint64_t id);
uint32_t incident_customer(const struct incident *incident);
enum severity incident_severity(const struct incident *incident);
enum incident_state incident_state(const struct incident *incident);
/* When the SOC had the first record of it at its present severity's notification class (Emergency and Critical, or less): the clock. */
int64_t incident_clock(const struct incident *incident);
/* Which incident this one was merged into; 0: none. */
uint64_t incident_merged_into(const struct incident *incident);

/* As the store and the API have it: id, customer, severity, state, title {en,ja}, why {en,ja} (each a list of sentences), measures {en,ja},
 * hosts [{address, role, stages, first, last, name}], host_count, first, last, opened, clock, events [ids], event_count, record_count,
 * blocked, passed, signatures, keys (with claims), rules version, assignee, merged_into. A new reference. */
json_t *incident_to_json(const struct incident *incident);
/* An open incident of the store goes on. 0, -EINVAL, -ENOMEM. */
int incidents_restore(struct incidents *incidents, const json_t *json);
/* New lines of history since the last settle, a borrowed array of {time, kind, who, text{en,ja}, ...}: opened, raised (from, to, why),
 * host_joined, event_joined, merged, state, assigned, comment, severity_set, quiet,
 * chain (stages on one host that say something together, without raising it). */
const json_t *incident_entries(const struct incident *incident);

/* --- a person's work; each adds to the history and marks it dirty. `who` is the user's name. 0, -EINVAL (with no such change) --- */
int incident_comment(struct incident *incident, const char *who, const char *role, const char *text, int64_t now);
int incident_move(struct incident *incident, const char *who, enum incident_state state, const char *reason,
		  int64_t now);
int incident_assign(struct incident *incident, const char *who, const char *assignee, int64_t now);
int incident_rate(struct incident *incident, const char *who, enum severity severity, const char *reason, int64_t now);
int incidents_merge(struct incidents *incidents, struct incident *into, struct incident *from, const char *who,
		    int64_t now);

const char *incident_state_name(enum incident_state state);
int incident_state_of(const char *name);
