/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of incidents: their life, and what changed. */
#include "incident.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "incident_private.h"

#define HOUR_US 3600000000ll

void incident_config_defaults(struct incident_config *config)
{
	*config = (struct incident_config){.quiet = 24 * HOUR_US, .open_max = 4096};
}

struct incidents *incidents_open(const struct incident_config *config, const struct triage_rules *rules)
{
	struct incidents *incidents = calloc(1, sizeof(*incidents));
	if (!incidents)
		return NULL;
	incidents->config = *config;
	incidents->rules = rules;
	if (getrandom(&incidents->seed, sizeof(incidents->seed), 0) != sizeof(incidents->seed)) {
		free(incidents);
		return NULL;
	}
	return incidents;
}

void incidents_free(struct incidents *incidents)
{
	if (!incidents)
		return;
	incident_refs_free(incidents);
	while (incidents->oldest)
		incident_free(incidents->oldest);
	free(incidents);
}

void incidents_use(struct incidents *incidents, const struct triage_rules *rules)
{
	incidents->rules = rules;
}

int64_t incident_ms(int64_t us)
{
	return us - us % 1000;
}

/* --- the list, by evidence --- */

static void unlink_incident(struct incident *incident)
{
	struct incidents *owner = incident->owner;
	if (incident->newer)
		incident->newer->older = incident->older;
	else if (owner->newest == incident)
		owner->newest = incident->older;
	if (incident->older)
		incident->older->newer = incident->newer;
	else if (owner->oldest == incident)
		owner->oldest = incident->newer;
	incident->newer = incident->older = NULL;
}

static void link_newest(struct incident *incident)
{
	struct incidents *owner = incident->owner;
	incident->older = owner->newest;
	if (owner->newest)
		owner->newest->newer = incident;
	owner->newest = incident;
	if (!owner->oldest)
		owner->oldest = incident;
}

static struct incident **id_bucket(struct incidents *incidents, uint64_t id)
{
	return &incidents->by_id[id % INCIDENT_BUCKETS];
}

static void unlink_id(struct incident *incident)
{
	if (!incident->id)
		return;
	for (struct incident **at = id_bucket(incident->owner, incident->id); *at; at = &(*at)->next_in_bucket)
		if (*at == incident) {
			*at = incident->next_in_bucket;
			return;
		}
}

void incident_free(struct incident *incident)
{
	incident_keys_free(incident);
	unlink_incident(incident);
	unlink_id(incident);
	json_decref(incident->title);
	json_decref(incident->reasons);
	json_decref(incident->measures);
	json_decref(incident->signatures);
	json_decref(incident->events);
	json_decref(incident->rules);
	json_decref(incident->entries);
	json_decref(incident->merged_from);
	free(incident->hosts);
	free(incident->sketch);
	free(incident);
}

static void end_evidence(struct incident *incident, int64_t now)
{
	incident->quiet = true;
	incident_line(incident, now, "quiet", "", "No evidence came for a long time; what comes now is a new incident.",
		      "長い間、新しい証拠がありません。今後の証拠は新しいインシデントになります。", NULL);
	incident_mark(incident);
}

static void make_room(struct incidents *incidents, int64_t now)
{
	size_t live = 0;
	struct incident *first = NULL;
	for (struct incident *i = incidents->oldest; i; i = i->newer)
		if (incident_open(i) && !i->quiet) {
			first = first ? first : i;
			live++;
		}
	incidents->live = live;
	if (first && live > incidents->config.open_max)
		end_evidence(first, now);
}

struct incident *incident_new(struct incidents *incidents, uint32_t customer)
{
	struct incident *incident = calloc(1, sizeof(*incident));
	if (!incident)
		return NULL;
	incident->owner = incidents;
	incident->customer = customer;
	link_newest(incident);
	incident->title = json_object();
	incident->reasons = json_array();
	incident->measures = json_pack("{s:[],s:[]}", "en", "ja");
	incident->signatures = json_array();
	incident->events = json_array();
	incident->rules = json_array();
	incident->entries = json_array();
	incident->merged_from = json_array();
	if (!incident->title || !incident->reasons || !incident->measures || !incident->signatures ||
	    !incident->events || !incident->rules || !incident->entries || !incident->merged_from) {
		incident_free(incident);
		return NULL;
	}
	/* counted anew only when it may be too many: people end incidents at any time */
	if (++incidents->live > incidents->config.open_max)
		make_room(incidents, incident->older ? incident->older->active : 0);
	return incident;
}

void incident_mark(struct incident *incident)
{
	incident->dirty = true;
	incident->given = false;
}

bool incident_open(const struct incident *incident)
{
	return incident->state < INCIDENT_CLOSED;
}

bool incident_live(const struct incident *incident, int64_t now)
{
	return incident_open(incident) && !incident->quiet && now - incident->active <= incident->owner->config.quiet;
}

void incident_touch(struct incident *incident, int64_t now)
{
	if (incident->active < incident_ms(now))
		incident->active = incident_ms(now);
	if (incident->owner->newest != incident) {
		unlink_incident(incident);
		link_newest(incident);
	}
	incident_mark(incident);
}

bool incident_before(const struct incident *a, const struct incident *b)
{
	if (a->opened != b->opened)
		return a->opened < b->opened;
	return a->id - 1 < b->id - 1; /* without id: the youngest */
}

/* --- what changed --- */

int incidents_dirty(struct incidents *incidents, int (*each)(void *context, struct incident *incident), void *context)
{
	/* what others are merged into comes first, so that it has its id */
	for (int merged = 0; merged < 2; merged++)
		for (struct incident *i = incidents->oldest, *next; i; i = next) {
			next = i->newer;
			if (!i->dirty || i->given || (i->state == INCIDENT_MERGED) != (merged == 1))
				continue;
			if (i->state == INCIDENT_MERGED && i->id == 0)
				continue; /* nobody has ever seen it */
			int rc = each(context, i);
			if (rc != 0)
				return rc;
			i->given = true;
			i->entries_given = json_array_size(i->entries);
		}
	return 0;
}

static bool is_over(const struct incident *incident, int64_t now)
{
	if (incident->state == INCIDENT_MERGED && incident->id == 0)
		return true;
	if (incident->dirty)
		return false;
	if (incident->state == INCIDENT_MERGED || incident->quiet)
		return true;
	return !incident_open(incident) && now - incident->active > incident->owner->config.quiet &&
	       now - incident->moved > incident->owner->config.quiet;
}

static void forget(struct incidents *incidents, int64_t now)
{
	bool any = false;
	for (struct incident *i = incidents->oldest; i; i = i->newer)
		any |= i->hidden = is_over(i, now);
	if (!any)
		return;
	for (struct incident_ref *ref = incidents->oldest_ref; ref; ref = ref->newer) {
		incident_ref_follow(ref);
		if (ref->incident && ref->incident->hidden)
			ref->incident = NULL;
	}
	for (struct incident *i = incidents->oldest; i; i = i->newer)
		if (i->into && i->into->hidden) {
			i->merged_into = i->into->id;
			i->into = NULL;
		}
	for (struct incident *i = incidents->oldest, *next; i; i = next) {
		next = i->newer;
		if (i->hidden)
			incident_free(i);
	}
}

void incidents_settle(struct incidents *incidents, int64_t now)
{
	for (struct incident *i = incidents->oldest; i; i = i->newer) {
		for (; i->entries_given; i->entries_given--)
			json_array_remove(i->entries, 0);
		if (i->given)
			i->dirty = i->given = false;
		if (incident_open(i) && !i->quiet && now - i->active > incidents->config.quiet)
			end_evidence(i, now);
	}
	forget(incidents, now);
}

/* --- what it is --- */

int incidents_each(struct incidents *incidents, int (*each)(void *context, struct incident *incident), void *context)
{
	int rc = 0;
	for (struct incident *i = incidents->oldest; i && rc == 0; i = i->newer)
		rc = i->id ? each(context, i) : 0;
	return rc;
}

struct incident *incidents_find(struct incidents *incidents, uint64_t id)
{
	struct incident *incident = id ? *id_bucket(incidents, id) : NULL;
	while (incident && incident->id != id)
		incident = incident->next_in_bucket;
	return incident;
}

void incident_set_id(struct incident *incident, uint64_t id)
{
	if (incident->id == id)
		return;
	unlink_id(incident);
	incident->id = id;
	if (id) {
		struct incident **bucket = id_bucket(incident->owner, id);
		incident->next_in_bucket = *bucket;
		*bucket = incident;
	}
}

uint64_t incident_id(const struct incident *incident)
{
	return incident->id;
}

uint32_t incident_customer(const struct incident *incident)
{
	return incident->customer;
}

enum severity incident_severity(const struct incident *incident)
{
	return incident->severity;
}

enum incident_state incident_state(const struct incident *incident)
{
	return incident->state;
}

int64_t incident_clock(const struct incident *incident)
{
	return incident->severity >= SEVERITY_CRITICAL ? incident->clock_high : incident->clock_low;
}

uint64_t incident_merged_into(const struct incident *incident)
{
	return incident->into ? incident->into->id : incident->merged_into;
}

const json_t *incident_entries(const struct incident *incident)
{
	return incident->entries;
}

static const char *const state_names[INCIDENT_STATES] = {"open",   "acknowledged",   "working",
							 "closed", "false_positive", "merged"};

const char *incident_state_name(enum incident_state state)
{
	return (unsigned)state < INCIDENT_STATES ? state_names[state] : "?";
}

int incident_state_of(const char *name)
{
	for (int i = 0; i < INCIDENT_STATES; i++)
		if (strcmp(state_names[i], name) == 0)
			return i;
	return -1;
}
