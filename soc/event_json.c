/* SPDX-License-Identifier: BSD-3-Clause */
#include "event.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static json_t *time_json(int64_t us)
{
	char text[32];
	return json_string(time_text(us, text));
}

static json_t *address_json(const struct address *address)
{
	char text[ADDRESS_TEXT_MAX];
	return json_string(address_text(address, text));
}

static json_t *counts_to_json(const uint64_t *counts, unsigned n, const char *(*name)(unsigned))
{
	json_t *object = json_object();
	for (unsigned i = 0; i < n; i++)
		if (counts[i])
			json_object_set_new(object, name(i), json_integer((json_int_t)counts[i]));
	return object;
}

static const char *outcome_at(unsigned i)
{
	return outcome_name((enum outcome)i);
}

static const char *verdict_at(unsigned i)
{
	return verdict_name((enum verdict)i);
}

static json_t *signatures_to_json(const struct event *event)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < event->signature_count; i++) {
		const struct event_signature *s = &event->signatures[i];
		json_array_append_new(list, json_pack("{s:I,s:s,s:I}", "id", (json_int_t)s->id, "message", s->message,
						      "count", (json_int_t)s->count));
	}
	return list;
}

static json_t *targets_to_json(const struct event *event)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < event->target_count; i++) {
		const struct event_target *t = &event->targets[i];
		uint64_t passed[OUTCOMES];
		for (unsigned o = 0; o < OUTCOMES; o++)
			passed[o] = t->passed[o];
		json_array_append_new(list, json_pack("{s:o,s:i,s:I,s:o}", "address", address_json(&t->address), "port",
						      (int)t->port, "count", (json_int_t)t->count, "passed",
						      counts_to_json(passed, OUTCOMES, outcome_at)));
	}
	return list;
}

static json_t *numbers_to_json(const struct event *event, bool samples)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < (samples ? event->sample_count : event->port_count); i++)
		json_array_append_new(list, json_integer(samples ? (json_int_t)event->samples[i] : event->ports[i]));
	return list;
}

/* Only where the named targets are not all. */
static void sketch_to_json(const struct event *event, json_t *json)
{
	char text[EVENT_SKETCH_BITS / 4 + 1];
	if (event->target_count < EVENT_TARGETS)
		return;
	for (unsigned i = 0; i < EVENT_SKETCH_BITS / 64; i++)
		snprintf(text + 16 * i, 17, "%016" PRIx64, event->sketch[i]);
	json_object_set_new(json, "target_sketch", json_string(text));
}

json_t *event_to_json(const struct event *event)
{
	json_t *json = json_pack(
		"{s:I,s:I,s:I,s:s,s:o,s:o,s:o,s:o,s:o,s:I,s:o,s:o,s:o,s:s,s:o,s:I,s:o,s:o,s:o,s:b}", "id",
		(json_int_t)event->id, "incident", (json_int_t)event->incident, "customer", (json_int_t)event->customer,
		"class", event->class, "source", address_json(&event->source), "first", time_json(event->first), "last",
		time_json(event->last), "received", time_json(event->received), "arrived", time_json(event->arrived),
		"count", (json_int_t)event->count, "outcomes", counts_to_json(event->outcomes, OUTCOMES, outcome_at),
		"verdicts", counts_to_json(event->verdicts, VERDICTS, verdict_at), "passed",
		counts_to_json(event->passed, OUTCOMES, outcome_at), "severity", severity_name(event->severity),
		"signatures", signatures_to_json(event), "target_count", (json_int_t)event_targets(event), "targets",
		targets_to_json(event), "ports", numbers_to_json(event, false), "samples", numbers_to_json(event, true),
		"closed", event->closed);
	if (json)
		sketch_to_json(event, json);
	return json;
}

/* --- and back ---------------------------------------------------------------------------------------------------------- */

static bool read_time(const json_t *json, const char *key, int64_t *us)
{
	const char *text = json_string_value(json_object_get(json, key));
	return text && time_parse(text, us);
}

static bool read_address(const json_t *json, const char *key, struct address *address)
{
	const char *text = json_string_value(json_object_get(json, key));
	return text && address_parse(text, address);
}

static uint64_t read_number(const json_t *json, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(json, key));
	return value > 0 ? (uint64_t)value : 0;
}

static void read_counts(const json_t *json, const char *key, uint64_t *counts, unsigned n,
			const char *(*name)(unsigned))
{
	const json_t *object = json_object_get(json, key);
	for (unsigned i = 0; i < n; i++)
		counts[i] = read_number(object, name(i));
}

static bool read_text(const json_t *json, const char *key, char *text, size_t size)
{
	const char *value = json_string_value(json_object_get(json, key));
	if (!value || strlen(value) >= size)
		return false;
	strcpy(text, value);
	return true;
}

static bool read_signatures(const json_t *list, struct event *event)
{
	size_t n = json_array_size(list);
	if (n > EVENT_SIGNATURES)
		return false;
	for (event->signature_count = 0; event->signature_count < n; event->signature_count++) {
		const json_t *from = json_array_get(list, event->signature_count);
		struct event_signature *to = &event->signatures[event->signature_count];
		to->id = (uint32_t)read_number(from, "id");
		to->count = read_number(from, "count");
		if (!read_text(from, "message", to->message, sizeof(to->message)))
			return false;
	}
	return true;
}

static bool read_targets(const json_t *list, struct event *event)
{
	size_t n = json_array_size(list);
	if (n > EVENT_TARGETS)
		return false;
	for (event->target_count = 0; event->target_count < n; event->target_count++) {
		const json_t *from = json_array_get(list, event->target_count);
		struct event_target *to = &event->targets[event->target_count];
		uint64_t passed[OUTCOMES];
		if (!read_address(from, "address", &to->address))
			return false;
		to->count = read_number(from, "count");
		to->port = (uint16_t)read_number(from, "port");
		read_counts(from, "passed", passed, OUTCOMES, outcome_at);
		for (unsigned o = 0; o < OUTCOMES; o++)
			to->passed[o] = (uint32_t)passed[o];
	}
	return true;
}

static bool read_sketch(const json_t *json, struct event *event)
{
	const char *text = json_string_value(json_object_get(json, "target_sketch"));
	if (!text) {
		for (unsigned i = 0; i < event->target_count; i++)
			event_sketch(event, &event->targets[i].address);
		return event->target_count < EVENT_TARGETS;
	}
	if (strlen(text) != EVENT_SKETCH_BITS / 4)
		return false;
	for (unsigned i = 0; i < EVENT_SKETCH_BITS / 64; i++)
		if (sscanf(text + 16 * i, "%16" SCNx64, &event->sketch[i]) != 1)
			return false;
	return true;
}

int event_from_json(const json_t *json, struct event *event)
{
	const json_t *ports = json_object_get(json, "ports"), *samples = json_object_get(json, "samples");
	const char *severity = json_string_value(json_object_get(json, "severity"));
	memset(event, 0, sizeof(*event));
	if (!read_text(json, "class", event->class, sizeof(event->class)) ||
	    !read_address(json, "source", &event->source) || !read_time(json, "first", &event->first) ||
	    !read_time(json, "last", &event->last) || !read_time(json, "received", &event->received) ||
	    !read_time(json, "arrived", &event->arrived) || !severity || severity_of(severity) < 0 ||
	    !read_signatures(json_object_get(json, "signatures"), event) ||
	    !read_targets(json_object_get(json, "targets"), event) || !read_sketch(json, event) ||
	    json_array_size(ports) > EVENT_PORTS || json_array_size(samples) > EVENT_SAMPLES)
		return -EINVAL;
	event->id = read_number(json, "id");
	event->incident = read_number(json, "incident");
	event->customer = (uint32_t)read_number(json, "customer");
	event->severity = (enum severity)severity_of(severity);
	event->count = read_number(json, "count");
	read_counts(json, "outcomes", event->outcomes, OUTCOMES, outcome_at);
	read_counts(json, "verdicts", event->verdicts, VERDICTS, verdict_at);
	read_counts(json, "passed", event->passed, OUTCOMES, outcome_at);
	for (size_t i = 0; i < json_array_size(ports); i++)
		event->ports[event->port_count++] = (uint16_t)json_integer_value(json_array_get(ports, i));
	for (size_t i = 0; i < json_array_size(samples); i++)
		event->samples[event->sample_count++] = (uint64_t)json_integer_value(json_array_get(samples, i));
	event->closed = json_is_true(json_object_get(json, "closed"));
	return 0;
}
