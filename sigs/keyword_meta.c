/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "parse.h"

/* Keywords that say what a rule is called and what it is about. */

/* The version of the language that `requires` asks for. */
static const unsigned language_version[3] = {8, 0, 0};

int keyword_msg(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	if (rule->sig.info.msg)
		return rule_fail(rule, "msg stands twice");
	char *out = value;
	for (const char *s = value; *s; s++) {
		if (*s == '\\' && (s[1] == ';' || s[1] == '"' || s[1] == '\\' || s[1] == ':'))
			s++;
		*out++ = *s;
	}
	*out = '\0';
	rule->sig.info.msg = value;
	return 0;
}

/* A number from `min` to 4294967295; quotes around it are tolerated. */
static int read_number(struct rule *rule, char *value, uint64_t min, uint32_t *number)
{
	uint64_t n;
	size_t len = strlen(value);
	if (len >= 2 && *value == '"' && value[len - 1] == '"') {
		value[len - 1] = '\0';
		value++;
	}
	if (!text_u64(value, false, UINT32_MAX, &n) || n < min)
		return rule_fail(rule, "%s is a number from %llu to 4294967295, not \"%.40s\"", rule->keyword->name,
				 (unsigned long long)min, value);
	*number = (uint32_t)n;
	return 0;
}

int keyword_sid(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	if (rule->sig.info.sid != 0)
		return rule_fail(rule, "sid stands twice");
	return read_number(rule, value, 1, &rule->sig.info.sid);
}

int keyword_gid(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	if (rule->gid_seen)
		return rule_fail(rule, "gid stands twice");
	rule->gid_seen = true;
	return read_number(rule, value, 0, &rule->sig.info.gid);
}

int keyword_rev(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	if (rule->rev_seen)
		return rule_fail(rule, "rev stands twice");
	rule->rev_seen = true;
	return read_number(rule, value, 1, &rule->sig.info.rev);
}

int keyword_priority(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	uint32_t number = 0;
	if (rule->priority_seen)
		return rule_fail(rule, "priority stands twice");
	if (read_number(rule, value, 1, &number) != 0)
		return -EINVAL;
	if (number > UINT8_MAX)
		return rule_fail(rule, "priority is from 1 to 255");
	rule->priority_seen = true;
	rule->sig.info.priority = (uint8_t)number;
	return 0;
}

/* A class that no file explains is told once, not for each of its rules. */
static int unknown_class(struct rule *rule, const char *name)
{
	struct table *unknown = &rule->builder->unknown_classes;
	if (table_find(unknown, name, strlen(name)))
		return 0;
	rule_warn(rule, "class \"%.60s\" is in no classification file: its rules have priority 3", name ? name : "");
	return table_put(unknown, name, strlen(name), (void *)(uintptr_t)name) ? rule_fail(rule, "out of memory") : 0;
}

int keyword_classtype(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	struct sigs_info *info = &rule->sig.info;
	for (const char *s = value; *s; s++)
		if (!isalnum((unsigned char)*s) && *s != '-' && *s != '_')
			return rule_fail(rule, "\"%.60s\" is no class: letters, digits, - and _ only", value);
	const struct classification *class = table_find(&rule->builder->classifications, value, strlen(value));
	info->class_name = value;
	info->category = class ? class->words : "";
	if (class == NULL)
		return unknown_class(rule, value);
	if (!rule->priority_seen && (info->priority == 0 || class->priority < info->priority))
		info->priority = class->priority;
	return 0;
}

/* Adds one to an array in the arena that doubles when it is full. */
static void *array_add(struct rule *rule, const void *array, unsigned count, size_t size)
{
	if (count & (count - 1)) /* there is room until the next power of two */
		return (void *)(uintptr_t)array;
	void *grown = arena_alloc(rule->builder->arena, (count ? count * 2 : 1) * size);
	if (grown && count > 0)
		memcpy(grown, array, count * size);
	if (grown == NULL)
		rule_fail(rule, "out of memory");
	return grown;
}

int keyword_reference(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	struct sigs_info *info = &rule->sig.info;
	char *rest = value, *type = text_next(&rest, ',');
	if (rest == NULL)
		return rule_fail(rule, "reference takes a type and what it names: \"url,example.com\"");
	char *target = text_trim(rest);
	size_t len = strlen(target);
	if (len >= 2 && *target == '"' && target[len - 1] == '"') {
		target[len - 1] = '\0';
		target++;
		len -= 2;
	}
	for (char *c = type; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (len == 0)
		return rule_fail(rule, "reference names nothing after \"%.40s,\"", type);
	const char *prefix = table_find(&rule->builder->references, type, strlen(type));
	bool whole = strstr(target, "://") != NULL;
	if (prefix == NULL)
		prefix = strcmp(type, "url") == 0 ? "http://" : "";
	if (whole)
		prefix = "";
	size_t prefix_len = strlen(prefix);
	char *address = arena_alloc(rule->builder->arena, prefix_len + len + 1);
	const char **references = array_add(rule, info->references, info->reference_count, sizeof(char *));
	if (address == NULL || references == NULL)
		return rule_fail(rule, "out of memory");
	memcpy(address, prefix, prefix_len);
	memcpy(address + prefix_len, target, len);
	references[info->reference_count++] = address;
	info->references = references;
	return 0;
}

/* --- metadata ------------------------------------------------------------------------------------------------------------- */

static const char *const severities[] = {"emergency", "critical", "warning", "informational", NULL};
static const char *const outcomes[] = {"attempt", "success", "infection", "policy", NULL};
static const char *const directions[] = {"outside-in", "inside-out", "lateral", "any", NULL};
static const char *const blocks[] = {"zone", "never", "always", NULL};

/* The keys that JSIG gives a meaning. */
static int jsig_key(struct rule *rule, const char *key, const char *value)
{
	static const struct {
		const char *key;
		const char *const *words;
		const char *allowed;
	} keys[] = {{"jsig_severity", severities, "emergency, critical, warning or informational"},
		    {"jsig_outcome", outcomes, "attempt, success, infection or policy"},
		    {"jsig_direction", directions, "outside-in, inside-out, lateral or any"},
		    {"jsig_block", blocks, "never, zone or always"}};
	struct sigs_info *info = &rule->sig.info;
	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcmp(key, keys[i].key) != 0)
			continue;
		int word = text_word(value, keys[i].words);
		if (word < 0)
			return rule_fail(rule, "%s is %s, not \"%.40s\"", key, keys[i].allowed, value);
		if (i == 0)
			info->severity = severities[word];
		else if (i == 1)
			info->outcome = (enum sigs_outcome)(SIGS_OUTCOME_ATTEMPT + word);
		else if (i == 2)
			info->direction = directions[word];
		else
			info->block = (enum sigs_block)(SIGS_BLOCK_ZONE + word);
		return 0;
	}
	return strncmp(key, "jsig_", 5) == 0 ? rule_fail(rule, "unknown metadata key \"%.40s\"", key) : 0;
}

int keyword_metadata(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	struct sigs_info *info = &rule->sig.info;
	for (char *rest = value, *item; (item = text_next(&rest, ','));) {
		if (*item == '\0')
			continue;
		const char *text = text_value(item);
		struct sigs_metadata *metadata =
			array_add(rule, info->metadata, info->metadata_count, sizeof(*metadata));
		if (metadata == NULL)
			return -EINVAL;
		metadata[info->metadata_count++] = (struct sigs_metadata){.key = item, .value = text};
		info->metadata = metadata;
		if (strncmp(item, "jsig_", 5) == 0 && jsig_key(rule, item, text) != 0)
			return -EINVAL;
	}
	return 0;
}

int keyword_target(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	static const char *const words[] = {"src_ip", "dest_ip", NULL};
	int word = text_word(value, words);
	if (word < 0)
		return rule_fail(rule, "target is src_ip or dest_ip, not \"%.40s\"", value);
	rule->sig.info.target = (uint8_t)(word + 1);
	return 0;
}

/* --- what happens on a match ------------------------------------------------------------------------------------------- */

int keyword_noalert(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword, (void)value;
	rule->sig.flags |= SIG_NOALERT;
	return 0;
}

int keyword_alert(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword, (void)value;
	if (rule->sig.info.action == SIGS_PASS)
		rule->sig.flags |= SIG_PASS_ALERTS;
	return 0;
}

int keyword_prefilter(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword, (void)value;
	if (rule->match_count == 0)
		return rule_fail(rule, "prefilter needs a match before it");
	rule->sig.flags |= SIG_PREFILTER;
	struct rule_match *last = &rule->matches[rule->match_count - 1];
	if (last->list >= 0 && last->match.type == MATCH_CONTENT)
		return keyword_fast_pattern(rule, keyword, NULL);
	return 0;
}

int keyword_bypass(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword, (void)value;
	rule->sig.flags |= SIG_BYPASS;
	return 0;
}

int keyword_refused(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)value;
	return rule_fail(rule, "%s is refused: rules run no programs here; express it by content, pcre and byte_test",
			 keyword->name);
}

/* --- requires ----------------------------------------------------------------------------------------------------------------- */

/* "8", "8.0", "8.0.3": returns past it, NULL when it is no version. */
static const char *read_version(const char *s, unsigned version[static 3])
{
	memset(version, 0, 3 * sizeof(*version));
	for (unsigned part = 0; part < 3; part++) {
		if (!isdigit((unsigned char)*s))
			return part == 0 ? NULL : s;
		while (isdigit((unsigned char)*s) && version[part] < 1000)
			version[part] = version[part] * 10 + (unsigned)(*s++ - '0');
		if (*s != '.')
			break;
		s++;
	}
	while (*s == '-' || isalnum((unsigned char)*s))
		s++; /* "-dev" */
	return s;
}

static int compare_version(const unsigned a[static 3], const unsigned b[static 3])
{
	for (int i = 0; i < 3; i++)
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	return 0;
}

/* ">= 7.0.3 < 8": 1 when all hold, 0 when not, -1 when it is malformed. */
static int version_holds(const char *s)
{
	bool holds = true;
	unsigned count = 0;
	for (;; count++) {
		enum number_op op;
		unsigned wanted[3];
		while (isspace((unsigned char)*s))
			s++;
		if (*s == '\0')
			return count == 0 ? -1 : holds;
		size_t len = number_op_parse(s, &op);
		s += len;
		while (isspace((unsigned char)*s))
			s++;
		s = read_version(s, wanted);
		if (len == 0 || s == NULL)
			return -1;
		int order = compare_version(language_version, wanted);
		holds &= (op == NUMBER_GE && order >= 0) || (op == NUMBER_GT && order > 0) ||
			 (op == NUMBER_LE && order <= 0) || (op == NUMBER_LT && order < 0);
	}
}

static int requires_version(struct rule *rule, char *value, bool *met)
{
	bool any = false;
	for (char *rest = value, *part; (part = text_next(&rest, '|'));) {
		int holds = version_holds(part);
		if (holds < 0)
			return rule_fail(rule, "\"%.40s\" is no version: write \">= 8.0.0\", \"< 9\", several with |",
					 part);
		any |= holds > 0;
	}
	*met &= any;
	return 0;
}

int keyword_requires(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	bool met = true;
	for (char *rest = value, *item; (item = text_next(&rest, ','));) {
		char *s = text_value(item);
		if (strcmp(item, "version") == 0) {
			if (requires_version(rule, s, &met) != 0)
				return -EINVAL;
		} else if (strcmp(item, "keyword") == 0) {
			met &= keyword_find(rule->builder, s, strlen(s)) != NULL;
		} else {
			met = false; /* a feature, or what later versions may ask for */
		}
	}
	rule->skipped |= !met;
	return 0;
}
