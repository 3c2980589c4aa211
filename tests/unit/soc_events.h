/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Events for the tests of triage and incidents, made as the SOC makes them: of records. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "event.h"
#include "triage.h"

#define SECOND_US 1000000ll
#define HOUR_US	  (3600 * SECOND_US)
/* 2026-11-24 05:00:00 UTC */
#define MORNING_US (1795496400ll * SECOND_US)

#define TROJAN	"A Network Trojan was detected"
#define C2	"Malware Command and Control Activity Detected"
#define ADMIN	"Attempted Administrator Privilege Gain"
#define WEB	"Web Application Attack"
#define SCAN	"Detection of a Network Scan"
#define POLICY	"Potential Corporate Privacy Violation"
#define MISC	"Misc activity"
#define SUSFILE "A suspicious filename was detected"

struct said {
	const char *class, *source, *target, *message;
	uint16_t port;
	enum outcome outcome;
	enum verdict verdict;
	enum severity severity;
	int64_t at; /* seconds after the morning */
	unsigned times;
};

static inline struct record record_of(const struct said *said)
{
	struct record record = {.time = MORNING_US + said->at * SECOND_US,
				.type = RECORD_ALERT,
				.outcome = said->outcome,
				.verdict = said->verdict ? said->verdict : VERDICT_PASSED,
				.severity = said->severity,
				.signature = 9000001,
				.source_port = 40000,
				.target_port = said->port ? said->port : 80,
				.protocol = 6};
	assert_true(address_parse(said->source, &record.source));
	assert_true(address_parse(said->target, &record.target));
	snprintf(record.class, sizeof(record.class), "%s", said->class);
	snprintf(record.message, sizeof(record.message), "%s", said->message ? said->message : "TEST signature");
	return record;
}

static inline struct event *hear(struct events *events, const struct said *said)
{
	struct event *event = NULL;
	struct record record = record_of(said);
	for (unsigned i = 0; i < (said->times ? said->times : 1); i++)
		event = events_add(events, 1, &record, 1, record.time + SECOND_US);
	assert_non_null(event);
	return event;
}

static inline struct events *events_new(void)
{
	struct event_config config;
	event_config_defaults(&config);
	struct events *events = events_open(&config);
	assert_non_null(events);
	return events;
}

static inline void asset_new(struct assets *assets, const char *prefix, const char *role, unsigned importance,
			     const char *exposed)
{
	struct asset asset = {.importance = importance, .exposed_count = exposed ? 1 : 0};
	assert_true(prefix_parse(prefix, &asset.prefix));
	snprintf(asset.role, sizeof(asset.role), "%s", role);
	snprintf(asset.name, sizeof(asset.name), "the %s", role);
	if (exposed)
		snprintf(asset.exposed[0], sizeof(asset.exposed[0]), "%s", exposed);
	assert_int_equal(assets_add(assets, &asset), 0);
}
