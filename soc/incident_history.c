/* SPDX-License-Identifier: BSD-3-Clause */
/* What an incident tells: its history, its reasons, its title and what to do. */
#include <string.h>

#include "incident_private.h"

void incident_line(struct incident *incident, int64_t now, const char *kind, const char *who, const char *en,
		   const char *ja, json_t *more)
{
	char text[32];
	json_t *line = json_pack("{s:s,s:s,s:s,s:{s:s,s:s}}", "time", time_text(now, text), "kind", kind, "who", who,
				 "text", "en", en, "ja", ja);
	if (line && more)
		json_object_update(line, more);
	json_decref(more);
	if (line)
		json_array_append_new(incident->entries, line);
	incident_mark(incident);
}

void incident_evidence_line(struct incident *incident, int64_t now, const char *kind, const char *en, const char *ja,
			    json_t *more)
{
	if (incident->lines >= INCIDENT_LINES_MAX) {
		json_decref(more);
		return;
	}
	incident->lines++;
	incident_line(incident, now, kind, "", en, ja, more);
}

static json_t *find_reason(const struct incident *incident, const char *id)
{
	size_t i;
	json_t *reason;
	json_array_foreach(incident->reasons, i,
			   reason) if (strcmp(json_string_value(json_object_get(reason, "id")), id) == 0) return reason;
	return NULL;
}

bool incident_reason(struct incident *incident, const char *id, enum severity severity, uint64_t weight, const char *en,
		     const char *ja)
{
	json_t *reason = find_reason(incident, id);
	if (reason && json_integer_value(json_object_get(reason, "weight")) > (json_int_t)weight)
		return false;
	json_t *fresh = json_pack("{s:s,s:s,s:I,s:s,s:s}", "id", id, "severity", severity_name(severity), "weight",
				  (json_int_t)weight, "en", en, "ja", ja);
	if (!fresh)
		return false;
	incident_mark(incident);
	if (reason) {
		json_object_update(reason, fresh);
		json_decref(fresh);
		return false;
	}
	if (json_array_size(incident->reasons) >= INCIDENT_REASONS_MAX) {
		json_decref(fresh);
		return false;
	}
	json_array_append_new(incident->reasons, fresh);
	return true;
}

static bool has_text(const json_t *array, const char *text, size_t len)
{
	size_t i;
	json_t *item;
	json_array_foreach(array, i, item) if (json_string_length(item) == len &&
					       memcmp(json_string_value(item), text, len) == 0) return true;
	return false;
}

void incident_array_add(json_t *array, const char *text, size_t max)
{
	if (json_array_size(array) < max && !has_text(array, text, strlen(text)))
		json_array_append_new(array, json_string(text));
}

static void add_lines(json_t *array, const char *text)
{
	while (text && *text) {
		size_t len = strcspn(text, "\n");
		if (len && json_array_size(array) < INCIDENT_MEASURES_MAX && !has_text(array, text, len))
			json_array_append_new(array, json_stringn(text, len));
		text += len + (text[len] == '\n');
	}
}

void incident_measures(struct incident *incident, const char *en, const char *ja)
{
	add_lines(json_object_get(incident->measures, "en"), en);
	add_lines(json_object_get(incident->measures, "ja"), ja);
}

void incident_title(struct incident *incident, const char *by, const char *en, const char *ja)
{
	json_object_set_new(incident->title, "by", json_string(by));
	json_object_set_new(incident->title, "en", json_string(en));
	json_object_set_new(incident->title, "ja", json_string(ja));
	incident_mark(incident);
}

void incident_raise(struct incident *incident, enum severity severity, int64_t clock, int64_t now, const char *why_en,
		    const char *why_ja)
{
	enum severity from = incident->severity;
	if (severity <= from)
		return;
	incident->severity = severity;
	if (severity >= SEVERITY_CRITICAL && from < SEVERITY_CRITICAL)
		incident->clock_high = incident_ms(clock);
	incident_line(incident, now, "raised", "", why_en, why_ja,
		      json_pack("{s:s,s:s}", "from", severity_name(from), "to", severity_name(severity)));
}
