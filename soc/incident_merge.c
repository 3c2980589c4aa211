/* SPDX-License-Identifier: BSD-3-Clause */
/* Two incidents become one. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "incident_private.h"

static void move_reasons(struct incident *into, const struct incident *from)
{
	size_t i;
	json_t *reason;
	json_array_foreach(from->reasons, i, reason)
	{
		int severity = severity_of(json_string_value(json_object_get(reason, "severity")));
		incident_reason(into, json_string_value(json_object_get(reason, "id")), (enum severity)severity,
				(uint64_t)json_integer_value(json_object_get(reason, "weight")),
				json_string_value(json_object_get(reason, "en")),
				json_string_value(json_object_get(reason, "ja")));
	}
}

static void move_measures(struct incident *into, const struct incident *from, const char *language)
{
	size_t i;
	json_t *line;
	json_array_foreach(json_object_get(from->measures, language), i, line) incident_array_add(
		json_object_get(into->measures, language), json_string_value(line), INCIDENT_MEASURES_MAX);
}

static void move_values(json_t *into, json_t *from, size_t max)
{
	size_t i, k;
	json_t *value, *other;
	json_array_foreach(from, i, value)
	{
		bool known = false;
		json_array_foreach(into, k, other) known |= json_equal(value, other);
		if (!known && json_array_size(into) < max)
			json_array_append(into, value);
	}
}

static void move_events(struct incident *into, struct incident *from)
{
	json_array_extend(into->events, from->events);
	while (json_array_size(into->events) > INCIDENT_EVENTS_MAX)
		json_array_remove(into->events, 0);
	into->event_count += from->event_count;
	into->record_count += from->record_count;
	into->blocked += from->blocked;
}

/* One that nobody has seen leaves its history to the other. */
static void move_history(struct incident *into, struct incident *from)
{
	if (from->id == 0) {
		json_array_extend(into->entries, from->entries);
		json_array_clear(from->entries);
	}
	into->lines += from->id == 0 ? from->lines : 0;
}

/* The severity that both have together, with the title and the clock of the worse. */
static void join_severity(struct incident *into, const struct incident *from, int64_t now)
{
	static const char en[] = "Evidence of a more serious incident belongs here.";
	static const char ja[] = "より深刻なインシデントの証拠が統合されました。";
	enum severity before = into->severity;
	if (from->clock_low < into->clock_low)
		into->clock_low = from->clock_low;
	if (from->severity > into->severity) {
		incident_raise(into, from->severity, from->clock_high, now, en, ja);
		json_object_update(into->title, from->title);
	}
	if (from->severity >= SEVERITY_CRITICAL && (before < SEVERITY_CRITICAL || from->clock_high < into->clock_high))
		into->clock_high = from->clock_high;
}

static void say_merged(struct incident *into, struct incident *from, const char *who, int64_t now)
{
	char en[96], ja[96];
	if (from->id) {
		snprintf(en, sizeof(en), "Incident %llu was merged into this one.", (unsigned long long)from->id);
		snprintf(ja, sizeof(ja), "インシデント %llu を統合しました。", (unsigned long long)from->id);
		incident_line(into, now, "merged", who, en, ja, json_pack("{s:I}", "incident", (json_int_t)from->id));
		incident_line(from, now, "merged", who, "This incident goes on as another one.",
			      "このインシデントは別のインシデントに統合されました。",
			      into->id ? json_pack("{s:I}", "into", (json_int_t)into->id) : NULL);
	}
}

void incident_absorb(struct incident *into, struct incident *from, const char *who, int64_t now)
{
	say_merged(into, from, who, now);
	move_history(into, from);
	join_severity(into, from, now);
	incident_keys_move(into, from);
	incident_hosts_move(into, from);
	move_events(into, from);
	move_reasons(into, from);
	move_measures(into, from, "en");
	move_measures(into, from, "ja");
	move_values(into->signatures, from->signatures, INCIDENT_SIGNATURES_MAX);
	move_values(into->rules, from->rules, INCIDENT_REASONS_MAX);
	move_values(into->merged_from, from->merged_from, INCIDENT_MERGED_MAX);
	if (from->id && json_array_size(into->merged_from) < INCIDENT_MERGED_MAX)
		json_array_append_new(into->merged_from, json_integer((json_int_t)from->id));
	if (from->first < into->first)
		into->first = from->first;
	if (from->last > into->last)
		into->last = from->last;
	if (from->active > into->active)
		into->active = from->active;
	if (!into->assignee[0])
		memcpy(into->assignee, from->assignee, sizeof(into->assignee));
	if (incident_open(from) && !from->quiet && from->owner->live > 0)
		from->owner->live--;
	from->state = INCIDENT_MERGED;
	from->into = into;
	incident_mark(from);
	incident_mark(into);
}

int incidents_merge(struct incidents *incidents, struct incident *into, struct incident *from, const char *who,
		    int64_t now)
{
	if (into == from || into->owner != incidents || from->owner != incidents || into->customer != from->customer)
		return -EINVAL;
	if (!incident_open(into) || from->state == INCIDENT_MERGED || !who || !*who)
		return -EINVAL;
	incident_absorb(into, from, who, now);
	return 0;
}
