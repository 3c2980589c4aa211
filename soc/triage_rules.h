/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The rules of triage as they are in memory: for triage*.c and incident*.c. */

#include "triage.h"

#define TRIAGE_TEXT_MAX	  (256 * 1024) /* of a file of rules */
#define TRIAGE_CHAINS_MAX 64
#define TRIAGE_DEPTH_MAX  4	/* of any: and not: within each other */
#define TRIAGE_CONDITIONS 16384 /* in one file, aliases counted as often as they stand */
#define TRIAGE_LIST_MAX	  1024	/* values in one list */
#define TRIAGE_PHRASE_MAX 2000	/* bytes of one title, sentence or list of measures */

enum condition_kind {
	CONDITION_CLASS,
	CONDITION_MESSAGE,
	CONDITION_SIGNATURE,
	CONDITION_OUTCOME,
	CONDITION_OUTCOME_PASSED,
	CONDITION_VERDICT,
	CONDITION_DIRECTION,
	CONDITION_SOURCE,
	CONDITION_TARGET,
	CONDITION_SOURCE_ROLE,
	CONDITION_TARGET_ROLE,
	CONDITION_SOURCE_IMPORTANCE,
	CONDITION_TARGET_IMPORTANCE,
	CONDITION_EXPOSED,
	CONDITION_COUNT,
	CONDITION_TARGETS,
	CONDITION_PORTS,
	CONDITION_PORT_COUNT,
	CONDITION_DURATION,
	CONDITION_SEVERITY,
	CONDITION_ANY, /* one of the sets holds */
	CONDITION_NOT, /* the set does not hold */
	CONDITION_KINDS
};

struct range {
	uint64_t min, max;
};

struct condition_set;

struct condition {
	enum condition_kind kind;
	uint32_t mask; /* of outcomes, verdicts, directions, severities, SIDE_*; 1: yes, 0: no */
	unsigned count;
	union {
		const char **texts;
		struct range *ranges;
		struct condition_set *sets;
	};
};

/* All of them must hold. */
struct condition_set {
	unsigned count;
	struct condition *conditions;
};

#define SIDE_INSIDE  1u
#define SIDE_OUTSIDE 2u

struct phrase {
	const char *en, *ja; /* both or none */
};

struct triage_rule {
	const char *id;
	struct condition_set when;
	enum severity severity;
	enum stage stage;
	struct phrase title, why, measures;
	unsigned key_count, lookup_count;
	const char *keys[TRIAGE_KEYS], *lookups[TRIAGE_KEYS];
	bool hits, about_source;
	int64_t notify;
};

/* What several stages on one host say together, or several infected hosts of one incident. */
struct triage_chain {
	const char *id;
	uint32_t stages;   /* bits; all seen on one host. 0: of no host */
	uint32_t passed;   /* bits; of them, not all blocked */
	unsigned infected; /* hosts of the incident; 0: never mind */
	enum severity severity;
	struct phrase title, why, measures;
};

struct triage_rules {
	char version[48];
	unsigned rule_count, chain_count;
	struct triage_rule *rules;
	struct triage_chain *chains;
	struct triage_block *blocks; /* all memory of the above */
	size_t conditions;
};

struct triage_block {
	struct triage_block *next;
	max_align_t data[];
};

/* The names that may stand in %{...} of a key, and of a phrase (where more is known). */
bool triage_key_name(const char *name, size_t len);
bool triage_phrase_name(const char *name, size_t len);

/* A phrase with its names filled in; a new string, NULL when memory is short. `host`: what a chain is about, may be NULL. */
char *triage_fill(const char *phrase, const struct event *event, const struct assets *assets,
		  const struct address *host);

/* Puts ? for what is no UTF-8, as where a text was cut; returns it. */
char *triage_clean(char *text);

/* The targets that an event befell: those where something passed, if any did; else all. */
bool triage_befell(const struct event *event, const struct event_target *target);
bool event_any_passed(const struct event *event);
