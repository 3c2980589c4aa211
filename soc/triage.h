/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Triage: an event and what is known of its addresses in, a decision out. The rules are data (soc/triage/default.yaml), read
 * once, versioned by the hash of their text; a decision is a pure function of rules and facts. Any thread may decide by rules
 * that no thread changes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event.h"
#include "record.h"

#define TRIAGE_ERROR_MAX 512
#define TRIAGE_KEYS	 8   /* that an event's evidence hangs on */
#define TRIAGE_KEY_MAX	 96  /* text of one, with its end */
#define TRIAGE_RULES_MAX 512 /* a person must be able to read them all */

/* What an event is in the life of an attack on one host; a chain is a set of them. */
enum stage {
	STAGE_NOISE = 0, /* background that proves nothing */
	STAGE_RECON,
	STAGE_ATTEMPT,
	STAGE_DELIVERY, /* something that can infect has come in: a mail attachment, a download */
	STAGE_SUCCESS,
	STAGE_CALLBACK,
	STAGE_SPREAD,
	STAGE_POLICY,
	STAGE_DEVICE, /* our own sensor is not well */
	STAGES
};

enum direction { DIRECTION_UNKNOWN = 0, DIRECTION_IN, DIRECTION_OUT, DIRECTION_LATERAL, DIRECTION_OUTSIDE, DIRECTIONS };

/* The role of a prefix that is not the customer's although its addresses look so: a partner's network, a provider's. */
#define ASSET_ROLE_OUTSIDE "outside"

/* A customer's asset: what triage may know of an address. The longest prefix wins. */
struct asset {
	struct prefix prefix;
	char name[64];
	char role[32]; /* "web", "mail", "dns", "client", "scanner" ...: what rules compare with */
	char owner[64];
	unsigned importance; /* 1 (may be down for a week) to 5 (the business stands still); 0: unknown */
	char exposed[8][32]; /* known weaknesses: a CVE, a product, a class */
	unsigned exposed_count;
};

/* Which addresses are the customer's, and what they are. */
struct assets;
struct assets *assets_new(void);
void assets_free(struct assets *assets);
int assets_add(struct assets *assets,
	       const struct asset *asset); /* copied; 0 or -ENOMEM; the same prefix is replaced */
const struct asset *assets_find(const struct assets *assets, const struct address *address); /* NULL: none */
/* In an asset's prefix (unless its role is ASSET_ROLE_OUTSIDE), or, where no asset says anything, private space. NULL: no assets. */
bool assets_inside(const struct assets *assets, const struct address *address);

const char *stage_name(enum stage stage);
int stage_of(const char *name); /* -1: none such */

struct triage_rules;

/* Reads the rules from YAML text. NULL with "PATH:LINE: what is wrong" in error (TRIAGE_ERROR_MAX). */
struct triage_rules *triage_rules_read(const char *text, size_t len, const char *path, char *error);
/* The rules that come with the program. Never NULL but for memory. */
struct triage_rules *triage_rules_default(void);
void triage_rules_free(struct triage_rules *rules);
const char *triage_rules_version(const struct triage_rules *rules); /* "3 (sha256 1a2b3c4d)" */

struct measure; /* text in two languages, owned by the rules */

struct decision {
	const char *rule;	/* its id; owned by the rules, as all texts here */
	enum severity severity; /* SEVERITY_NONE: no incident */
	enum stage stage;
	const char *title_en, *title_ja;
	const char *why_en, *why_ja;	       /* with %{count}, %{source}, %{targets} ... filled in by incident.c */
	const char *measures_en, *measures_ja; /* lines */
	/* The incident is the one that owns any of `keys`, else a new one; it then owns them all. "host:10.0.0.5",
	 * "from:198.51.100.7", "sid:9000070", "rule:scan-blocked" */
	unsigned key_count;
	char keys[TRIAGE_KEYS][TRIAGE_KEY_MAX];
	/* Joined only when somebody owns them: "hit:10.0.0.5", the host as a target of a compromised one. */
	unsigned lookup_count;
	char lookups[TRIAGE_KEYS][TRIAGE_KEY_MAX];
	bool hits_targets; /* the incident also claims "hit:TARGET" of each inside target of the event */
	/* The host that the evidence is about, and in which part. */
	bool about_source;     /* else each target that it befell */
	int64_t notify_within; /* microseconds, for the record; 0: none */
};

/* Judges an event by the first rule that fits. One that fits none is SEVERITY_NONE by rule "". */
void triage_decide(const struct triage_rules *rules, const struct event *event, const struct assets *assets,
		   struct decision *decision);
