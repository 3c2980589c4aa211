/* SPDX-License-Identifier: BSD-3-Clause */
/* From an event to a decision: a pure function of rules, event and assets. */
#include "triage.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "triage_rules.h"

static const char *const stage_names[STAGES] = {"noise",    "recon",  "attempt", "delivery", "success",
						"callback", "spread", "policy",	 "device"};

const char *stage_name(enum stage stage)
{
	return (unsigned)stage < STAGES ? stage_names[stage] : "noise";
}

int stage_of(const char *name)
{
	for (int i = 0; i < STAGES; i++)
		if (strcmp(stage_names[i], name) == 0)
			return i;
	return -1;
}

/* --- facts --- */

struct facts {
	const struct event *event;
	const struct assets *assets;
	uint64_t passed; /* records not known to be blocked */
	bool source_inside, target_inside, target_outside;
	enum direction direction;
	const struct asset *source; /* NULL: unknown */
	/* of the targets that it befell */
	unsigned target_count;
	const struct asset *targets[EVENT_TARGETS];
};

static uint64_t target_passed(const struct event_target *target)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < OUTCOMES; i++)
		sum += target->passed[i];
	return sum;
}

bool event_any_passed(const struct event *event)
{
	return event->count > event->verdicts[VERDICT_BLOCKED];
}

bool triage_befell(const struct event *event, const struct event_target *target)
{
	return !event_any_passed(event) || target_passed(target) > 0;
}

static enum direction direction_of(const struct facts *facts)
{
	if (facts->event->target_count == 0 || address_none(&facts->event->source))
		return DIRECTION_UNKNOWN;
	if (facts->source_inside)
		return facts->target_inside ? DIRECTION_LATERAL : DIRECTION_OUT;
	return facts->target_inside ? DIRECTION_IN : DIRECTION_OUTSIDE;
}

static void gather(struct facts *facts, const struct event *event, const struct assets *assets)
{
	*facts = (struct facts){.event = event, .assets = assets};
	facts->passed = event_any_passed(event) ? event->count - event->verdicts[VERDICT_BLOCKED] : 0;
	facts->source = assets_find(assets, &event->source);
	facts->source_inside = assets_inside(assets, &event->source);
	for (unsigned i = 0; i < event->target_count; i++) {
		const struct event_target *target = &event->targets[i];
		bool inside = assets_inside(assets, &target->address);
		facts->target_inside |= inside;
		facts->target_outside |= !inside;
		if (triage_befell(event, target))
			facts->targets[facts->target_count++] = assets_find(assets, &target->address);
	}
	facts->direction = direction_of(facts);
}

/* --- conditions --- */

/* A glob of * and ?, letters of any case; linear but for the product of both lengths. */
static bool glob(const char *pattern, const char *text)
{
	const char *star = NULL, *mark = NULL;
	while (*text) {
		if (*pattern == '*') {
			star = pattern++;
			mark = text;
		} else if (*pattern == '?' || tolower((unsigned char)*pattern) == tolower((unsigned char)*text)) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star + 1;
			text = ++mark;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

static bool any_glob(const struct condition *condition, const char *text)
{
	for (unsigned i = 0; i < condition->count; i++)
		if (glob(condition->texts[i], text))
			return true;
	return false;
}

static bool in_ranges(const struct condition *condition, uint64_t value)
{
	for (unsigned i = 0; i < condition->count; i++)
		if (value >= condition->ranges[i].min && value <= condition->ranges[i].max)
			return true;
	return false;
}

static char plain(char c)
{
	return c == '-' || c == '_' ? ' ' : (char)tolower((unsigned char)c);
}

/* "CVE-2021-44228" is also found in "... (CVE_2021_44228)". */
static bool mentions(const char *text, const char *word)
{
	if (strlen(word) < 3)
		return false;
	for (; *text; text++) {
		size_t i = 0;
		while (word[i] && text[i] && plain(text[i]) == plain(word[i]))
			i++;
		/* "CVE-2021-4422" is not in CVE-2021-44228 */
		if (!word[i] && !(isdigit((unsigned char)word[i - 1]) && isdigit((unsigned char)text[i])))
			return true;
	}
	return false;
}

static bool exposed(const struct facts *facts)
{
	const struct event *event = facts->event;
	for (unsigned t = 0; t < facts->target_count; t++) {
		const struct asset *asset = facts->targets[t];
		for (unsigned e = 0; asset && e < asset->exposed_count && e < 8; e++) {
			if (mentions(event->class, asset->exposed[e]))
				return true;
			for (unsigned s = 0; s < event->signature_count; s++)
				if (mentions(event->signatures[s].message, asset->exposed[e]))
					return true;
		}
	}
	return false;
}

static bool any_target_role(const struct facts *facts, const struct condition *condition)
{
	for (unsigned t = 0; t < facts->target_count; t++)
		if (any_glob(condition, facts->targets[t] ? facts->targets[t]->role : ""))
			return true;
	return false;
}

static bool any_target_importance(const struct facts *facts, const struct condition *condition)
{
	for (unsigned t = 0; t < facts->target_count; t++)
		if (in_ranges(condition, facts->targets[t] ? facts->targets[t]->importance : 0))
			return true;
	return false;
}

static bool any_signature(const struct event *event, const struct condition *condition)
{
	for (unsigned i = 0; i < event->signature_count; i++)
		if (condition->kind == CONDITION_SIGNATURE ? in_ranges(condition, event->signatures[i].id)
							   : any_glob(condition, event->signatures[i].message))
			return true;
	return false;
}

static bool any_port(const struct event *event, const struct condition *condition)
{
	for (unsigned i = 0; i < event->port_count; i++)
		if (in_ranges(condition, event->ports[i]))
			return true;
	return false;
}

static bool any_outcome(const uint64_t *counts, uint32_t mask)
{
	for (unsigned i = 0; i < OUTCOMES; i++)
		if (counts[i] && (mask & 1u << i))
			return true;
	return false;
}

static bool holds(const struct facts *facts, const struct condition_set *set);

static bool any_set(const struct facts *facts, const struct condition *condition)
{
	for (unsigned i = 0; i < condition->count; i++)
		if (holds(facts, &condition->sets[i]))
			return true;
	return false;
}

static bool fits(const struct facts *facts, const struct condition *condition)
{
	const struct event *event = facts->event;
	switch (condition->kind) {
	case CONDITION_CLASS:
		return any_glob(condition, event->class);
	case CONDITION_MESSAGE:
	case CONDITION_SIGNATURE:
		return any_signature(event, condition);
	case CONDITION_OUTCOME:
		return any_outcome(event->outcomes, condition->mask);
	case CONDITION_OUTCOME_PASSED:
		return any_outcome(event->passed, condition->mask);
	case CONDITION_VERDICT:
		return condition->mask & (facts->passed ? 1u << VERDICT_PASSED : 1u << VERDICT_BLOCKED);
	case CONDITION_DIRECTION:
		return condition->mask & 1u << facts->direction;
	case CONDITION_SOURCE:
		return condition->mask & (facts->source_inside ? SIDE_INSIDE : SIDE_OUTSIDE);
	case CONDITION_TARGET:
		return (facts->target_inside && (condition->mask & SIDE_INSIDE)) ||
		       (facts->target_outside && (condition->mask & SIDE_OUTSIDE));
	case CONDITION_SOURCE_ROLE:
		return any_glob(condition, facts->source ? facts->source->role : "");
	case CONDITION_TARGET_ROLE:
		return any_target_role(facts, condition);
	case CONDITION_SOURCE_IMPORTANCE:
		return in_ranges(condition, facts->source ? facts->source->importance : 0);
	case CONDITION_TARGET_IMPORTANCE:
		return any_target_importance(facts, condition);
	case CONDITION_EXPOSED:
		return exposed(facts) == (condition->mask != 0);
	case CONDITION_COUNT:
		return in_ranges(condition, event->count);
	case CONDITION_TARGETS:
		return in_ranges(condition, event_targets(event));
	case CONDITION_PORTS:
		return any_port(event, condition);
	case CONDITION_PORT_COUNT:
		return in_ranges(condition, event->port_count);
	case CONDITION_DURATION:
		return event->last >= event->first && in_ranges(condition, (uint64_t)(event->last - event->first));
	case CONDITION_SEVERITY:
		return condition->mask & 1u << event->severity;
	case CONDITION_ANY:
		return any_set(facts, condition);
	case CONDITION_NOT:
		return !any_set(facts, condition);
	default:
		return false;
	}
}

static bool holds(const struct facts *facts, const struct condition_set *set)
{
	for (unsigned i = 0; i < set->count; i++)
		if (!fits(facts, &set->conditions[i]))
			return false;
	return true;
}

/* --- keys --- */

struct key_writer {
	const struct facts *facts;
	const struct triage_rule *rule;
	char (*keys)[TRIAGE_KEY_MAX];
	unsigned *count;
};

static const char *const key_names[] = {"source", "target", "targets", "peers", "signature",
					"class",  "rule",   "day",     NULL};
enum { KEY_SOURCE, KEY_TARGET, KEY_TARGETS, KEY_PEERS, KEY_SIGNATURE, KEY_CLASS, KEY_RULE, KEY_DAY };

static int key_name_at(const char *name, size_t len)
{
	for (int i = 0; key_names[i]; i++)
		if (strlen(key_names[i]) == len && memcmp(key_names[i], name, len) == 0)
			return i;
	return -1;
}

bool triage_key_name(const char *name, size_t len)
{
	return key_name_at(name, len) >= 0;
}

/* Which named target a key of one is about: an inside one that it befell, else any inside one. -1: none. */
static int first_inside(const struct facts *facts)
{
	int other = -1;
	for (unsigned i = 0; i < facts->event->target_count; i++) {
		const struct event_target *target = &facts->event->targets[i];
		if (!assets_inside(facts->assets, &target->address))
			continue;
		if (triage_befell(facts->event, target))
			return (int)i;
		other = other < 0 ? (int)i : other;
	}
	return other;
}

static void key_value(const struct key_writer *w, int name, int target, char *value, size_t size)
{
	const struct event *event = w->facts->event;
	time_t seconds = (time_t)(event->received / 1000000);
	struct tm tm;
	char address[ADDRESS_TEXT_MAX];
	value[0] = '\0';
	switch (name) {
	case KEY_SOURCE:
		snprintf(value, size, "%s", address_text(&event->source, address));
		break;
	case KEY_TARGET:
	case KEY_TARGETS:
	case KEY_PEERS:
		snprintf(value, size, "%s", address_text(&event->targets[target].address, address));
		break;
	case KEY_SIGNATURE:
		snprintf(value, size, "%u", event->signature_count ? event->signatures[0].id : 0);
		break;
	case KEY_CLASS:
		snprintf(value, size, "%s", event->class);
		break;
	case KEY_RULE:
		snprintf(value, size, "%s", w->rule->id);
		break;
	case KEY_DAY:
		if (gmtime_r(&seconds, &tm))
			strftime(value, size, "%Y-%m-%d", &tm);
		break;
	}
}

static void write_key(const struct key_writer *w, const char *template, int target)
{
	char *key = w->keys[*w->count], value[TRIAGE_KEY_MAX];
	size_t len = 0;
	while (*template && len < TRIAGE_KEY_MAX - 1) {
		const char *end = strncmp(template, "%{", 2) == 0 ? strchr(template, '}') : NULL;
		if (!end) {
			key[len++] = *template ++;
			continue;
		}
		key_value(w, key_name_at(template + 2, (size_t)(end - template - 2)), target, value, sizeof(value));
		for (const char *v = value; *v && len < TRIAGE_KEY_MAX - 1; v++)
			key[len++] = *v;
		template = end + 1;
	}
	key[len] = '\0';
	for (unsigned i = 0; i < *w->count; i++)
		if (strcmp(w->keys[i], key) == 0)
			return;
	++*w->count;
}

static void write_keys(const struct key_writer *w, const char *template)
{
	const struct event *event = w->facts->event;
	bool inside = strstr(template, "%{targets}"), outside = strstr(template, "%{peers}");
	if (!inside && !outside) {
		int target = strstr(template, "%{target}") ? first_inside(w->facts) : 0;
		if (target >= 0 && *w->count < TRIAGE_KEYS)
			write_key(w, template, target);
		return;
	}
	for (unsigned i = 0; i < event->target_count && *w->count < TRIAGE_KEYS; i++)
		if (assets_inside(w->facts->assets, &event->targets[i].address) == inside &&
		    triage_befell(event, &event->targets[i]))
			write_key(w, template, (int)i);
}

static void decide_by(const struct facts *facts, const struct triage_rule *rule, struct decision *decision)
{
	struct key_writer keys = {facts, rule, decision->keys, &decision->key_count};
	struct key_writer lookups = {facts, rule, decision->lookups, &decision->lookup_count};
	decision->rule = rule->id;
	decision->severity = rule->severity;
	decision->stage = rule->stage;
	decision->title_en = rule->title.en;
	decision->title_ja = rule->title.ja;
	decision->why_en = rule->why.en;
	decision->why_ja = rule->why.ja;
	decision->measures_en = rule->measures.en;
	decision->measures_ja = rule->measures.ja;
	decision->hits_targets = rule->hits;
	decision->about_source = rule->about_source;
	decision->notify_within = rule->notify;
	for (unsigned i = 0; i < rule->key_count; i++)
		write_keys(&keys, rule->keys[i]);
	if (decision->severity != SEVERITY_NONE &&
	    decision->key_count == 0) /* no such target: one incident of the rule */
		write_key(&keys, "rule:%{rule}", 0);
	for (unsigned i = 0; i < rule->lookup_count; i++)
		write_keys(&lookups, rule->lookups[i]);
}

void triage_decide(const struct triage_rules *rules, const struct event *event, const struct assets *assets,
		   struct decision *decision)
{
	struct facts facts;
	memset(decision, 0, sizeof(*decision));
	decision->rule = "";
	gather(&facts, event, assets);
	for (unsigned i = 0; i < rules->rule_count; i++)
		if (holds(&facts, &rules->rules[i].when)) {
			decide_by(&facts, &rules->rules[i], decision);
			return;
		}
}
