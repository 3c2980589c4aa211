/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A record: one line of EVE JSON as a sensor writes it (docs/records.md), or one line of another device's log, read for what
 * aggregation, triage and search need. The line itself is kept as evidence; nothing here refers into it.
 */

#include <stddef.h>
#include <stdint.h>

#include "address.h"

#define RECORD_NAME_MAX	   64  /* a class, with its end */
#define RECORD_MESSAGE_MAX 192 /* a signature's message, with its end; longer ones are cut */
#define RECORD_REASON_MAX  96

/* What the record tells of. The numbers are stored: never change one. */
enum record_type {
	RECORD_OTHER = 0,
	RECORD_ALERT = 1,
	RECORD_DROP = 2,
	RECORD_FLOW = 3,
	RECORD_HTTP = 4,
	RECORD_DNS = 5,
	RECORD_TLS = 6,
	RECORD_FILE = 7,
	RECORD_ANOMALY = 8,
	RECORD_STATS = 9,
	RECORD_COVERAGE = 10,
	RECORD_CONTAINMENT = 11,
	RECORD_LOG = 12, /* a line of another vendor's device */
	RECORD_TYPES
};

/* What it proves (jsig.outcome). Stored. */
enum outcome { OUTCOME_UNKNOWN = 0, OUTCOME_ATTEMPT, OUTCOME_SUCCESS, OUTCOME_INFECTION, OUTCOME_POLICY, OUTCOMES };
/* Was the traffic stopped? Stored. */
enum verdict { VERDICT_UNKNOWN = 0, VERDICT_PASSED, VERDICT_BLOCKED, VERDICTS };
/* What the SOC calls it; higher is worse. Stored. */
enum severity {
	SEVERITY_NONE = 0,
	SEVERITY_INFORMATIONAL,
	SEVERITY_WARNING,
	SEVERITY_CRITICAL,
	SEVERITY_EMERGENCY,
	SEVERITIES
};

struct record {
	int64_t time; /* microseconds since 1970, UTC, by the device's clock */
	enum record_type type;
	enum outcome outcome;
	enum verdict verdict;
	enum severity severity; /* what the signature alone says; SEVERITY_NONE: nothing */
	uint32_t signature;	/* its id; 0: none */
	/* Who began the flow, and to whom: the record's own source where the record does not say who began. */
	struct address source, target;
	uint16_t source_port, target_port; /* 0: none */
	uint8_t protocol;		   /* IANA's number; 0: unknown */
	char class[RECORD_NAME_MAX];	  /* the log type: a signature's category; "" where the record is of no event */
	char message[RECORD_MESSAGE_MAX]; /* a signature's message; of a flow, request or query: its name, for search */
};

/* Reads one line of `len` bytes. 0, or -EINVAL with the reason in `reason` (RECORD_REASON_MAX bytes): the line is no JSON object,
 * has no readable timestamp, or no event_type. Unknown types are RECORD_OTHER; unknown fields are ignored. Any thread. */
int record_read_eve(const char *line, size_t len, struct record *record, char *reason);

const char *record_type_name(enum record_type type);
const char *outcome_name(enum outcome outcome);
const char *verdict_name(enum verdict verdict);
const char *severity_name(enum severity severity); /* "none", "informational" ... "emergency" */
/* The value of a name; -1 when there is none such. */
int record_type_of(const char *name);
int outcome_of(const char *name);
int verdict_of(const char *name);
int severity_of(const char *name);

/* "2026-11-24T05:00:00.123456+0000" (also "Z", "+09:00", fewer digits) to microseconds. False when it is no time. */
bool time_parse(const char *text, int64_t *us);
/* RFC 3339, UTC, with milliseconds, into 32 bytes, which are returned. */
char *time_text(int64_t us, char *text);
