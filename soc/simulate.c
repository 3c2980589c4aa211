/* SPDX-License-Identifier: BSD-3-Clause */
#include "simulate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "incident.h"

#define SETTLE_EVERY 1024 /* events: incidents that are over are forgotten as the SOC does */

/* One set of rules and what it makes of the events. */
struct world {
	const struct triage_rules *rules;
	struct incidents *incidents;
	struct decision decision;
	uint8_t *severities; /* of incidents, by id; SEVERITY_NONE: merged */
	uint64_t count, room;
	int rc;
};

struct simulation {
	const struct simulate_source *source;
	struct world before, after;
	uint64_t events, unreadable, changed;
	json_t *changes, *rules;
};

static int note(void *context, struct incident *incident)
{
	struct world *world = context;
	if (incident_id(incident) == 0) {
		if (world->count + 1 >= world->room) {
			uint64_t room = world->room ? world->room * 2 : 256;
			uint8_t *severities = realloc(world->severities, room);
			if (!severities)
				return -ENOMEM;
			world->severities = severities;
			world->room = room;
		}
		incident_set_id(incident, ++world->count);
	}
	bool merged = incident_state(incident) == INCIDENT_MERGED;
	world->severities[incident_id(incident)] = merged ? SEVERITY_NONE : (uint8_t)incident_severity(incident);
	return 0;
}

static void settle(struct world *world, int64_t now)
{
	int rc = incidents_dirty(world->incidents, note, world);
	if (rc != 0)
		world->rc = rc;
	incidents_settle(world->incidents, now);
}

static void judge(struct world *world, const struct event *event, const struct assets *assets)
{
	struct event copy = *event;
	int error;
	triage_decide(world->rules, event, assets, &world->decision);
	copy.incident = 0;
	incidents_judge(world->incidents, &copy, assets, event->received, &error);
	if (error != 0)
		world->rc = error;
}

static json_t *decision_json(const struct decision *decision)
{
	return json_pack("{s:s,s:s,s:s}", "rule", decision->rule, "severity", severity_name(decision->severity),
			 "stage", stage_name(decision->stage));
}

static void compare(struct simulation *s, const struct event *event, const json_t *stored)
{
	const struct decision *before = &s->before.decision, *after = &s->after.decision;
	if (strcmp(before->rule, after->rule) == 0 && before->severity == after->severity &&
	    before->stage == after->stage)
		return;
	s->changed++;
	if (json_array_size(s->changes) >= SIMULATE_CHANGES)
		return;
	json_array_append_new(s->changes,
			      json_pack("{s:I,s:I,s:O?,s:O?,s:o,s:o}", "event", (json_int_t)event->id, "customer",
					(json_int_t)event->customer, "class", json_object_get(stored, "class"),
					"source", json_object_get(stored, "source"), "before", decision_json(before),
					"after", decision_json(after)));
}

static void count_rule(struct simulation *s, const struct decision *decision, const char *side)
{
	const char *name = *decision->rule ? decision->rule : "(none)";
	json_t *rule = json_object_get(s->rules, name);
	if (!rule) {
		rule = json_pack("{s:i,s:i}", "before", 0, "after", 0);
		if (!rule || json_object_set_new(s->rules, name, rule) != 0)
			return;
	}
	json_t *count = json_object_get(rule, side);
	json_integer_set(count, json_integer_value(count) + 1);
}

static void replay(struct simulation *s)
{
	int64_t now = 0;
	for (json_t *stored; (stored = s->source->next(s->source->context)); json_decref(stored)) {
		struct event event = {0};
		if (event_from_json(stored, &event) != 0) {
			s->unreadable++;
			continue;
		}
		const struct assets *assets =
			s->source->assets ? s->source->assets(s->source->context, event.customer) : NULL;
		judge(&s->before, &event, assets);
		judge(&s->after, &event, assets);
		compare(s, &event, stored);
		count_rule(s, &s->before.decision, "before");
		count_rule(s, &s->after.decision, "after");
		now = event.received > now ? event.received : now;
		if (++s->events % SETTLE_EVERY == 0) {
			settle(&s->before, now);
			settle(&s->after, now);
		}
	}
	settle(&s->before, now);
	settle(&s->after, now);
}

static json_t *severities_json(const struct world *world)
{
	json_int_t counts[SEVERITIES] = {0};
	json_t *json = json_object();
	for (uint64_t id = 1; id <= world->count; id++)
		counts[world->severities[id]]++;
	for (int severity = SEVERITIES - 1; severity > SEVERITY_NONE; severity--)
		json_object_set_new(json, severity_name((enum severity)severity), json_integer(counts[severity]));
	return json;
}

static bool begin(struct world *world, const struct triage_rules *rules)
{
	struct incident_config config;
	incident_config_defaults(&config);
	world->rules = rules;
	world->incidents = incidents_open(&config, rules);
	return world->incidents != NULL;
}

static void end(struct world *world)
{
	incidents_free(world->incidents);
	free(world->severities);
}

json_t *simulate(const struct triage_rules *before, const struct triage_rules *after,
		 const struct simulate_source *source)
{
	struct simulation s = {.source = source, .changes = json_array(), .rules = json_object()};
	json_t *json = NULL;
	if (s.changes && s.rules && begin(&s.before, before) && begin(&s.after, after)) {
		replay(&s);
		if (s.before.rc == 0 && s.after.rc == 0)
			json = json_pack("{s:{s:s,s:s},s:I,s:I,s:I,s:O,s:O,s:{s:o,s:o}}", "versions", "before",
					 triage_rules_version(before), "after", triage_rules_version(after), "events",
					 (json_int_t)s.events, "unreadable", (json_int_t)s.unreadable, "changed",
					 (json_int_t)s.changed, "changes", s.changes, "rules", s.rules, "incidents",
					 "before", severities_json(&s.before), "after", severities_json(&s.after));
	}
	end(&s.before);
	end(&s.after);
	json_decref(s.changes);
	json_decref(s.rules);
	return json;
}
