/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the conditions of triage rules; triage_match.c compares them with events. */
#include <ctype.h>
#include <string.h>

#include "triage_reader.h"

static bool digits(const char **at, uint64_t *value)
{
	const char *start = *at;
	for (*value = 0; isdigit((unsigned char)**at) && *at - start < 18; ++*at)
		*value = *value * 10 + (uint64_t)(**at - '0');
	return *at > start;
}

int reader_number(struct reader *r, const yaml_node_t *node, const char *what, struct range *range)
{
	const char *text = reader_scalar(node), *at = text;
	if (!text || !digits(&at, &range->min))
		return reader_fail(r, node, "%s must be a number", what);
	range->max = range->min;
	if (*at == '-') {
		at++;
		if (!digits(&at, &range->max))
			return reader_fail(r, node, "%s must be a number or a range", what);
	}
	if (*at || range->max < range->min)
		return reader_fail(r, node, "%s must be a number or a range", what);
	return 0;
}

int reader_flag(struct reader *r, const yaml_node_t *node, const char *what, bool *flag)
{
	const char *text = reader_scalar(node);
	if (!text || (strcmp(text, "true") != 0 && strcmp(text, "false") != 0))
		return reader_fail(r, node, "%s must be true or false", what);
	*flag = text[0] == 't';
	return 0;
}

int reader_duration(struct reader *r, const yaml_node_t *node, const char *what, int64_t *us)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	const char *text = reader_scalar(node), *at = text;
	uint64_t value;
	if (text && digits(&at, &value) && value <= 1000000 && at[0] && !at[1])
		for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
			if (units[i].unit == *at) {
				*us = (int64_t)value * units[i].seconds * 1000000;
				return 0;
			}
	return reader_fail(r, node, "%s must be a time such as 90s, 10m, 24h or 2d", what);
}

/* --- values of conditions --- */

struct values {
	const char *what;
	struct condition *condition;
	int (*value_of)(const char *name);
	unsigned depth;
};

static int text_item(struct reader *r, const yaml_node_t *node, unsigned at, void *context)
{
	struct values *values = context;
	values->condition->texts[at] = reader_text(r, node, values->what, 200);
	values->condition->count = at + 1;
	return values->condition->texts[at] ? 0 : r->rc;
}

static int range_item(struct reader *r, const yaml_node_t *node, unsigned at, void *context)
{
	struct values *values = context;
	values->condition->count = at + 1;
	return reader_number(r, node, values->what, &values->condition->ranges[at]);
}

static int mask_item(struct reader *r, const yaml_node_t *node, unsigned at, void *context)
{
	struct values *values = context;
	const char *text = reader_scalar(node);
	int value = text ? values->value_of(text) : -1;
	(void)at;
	if (value < 0)
		return reader_fail(r, node, "%s cannot be %.40s", values->what, text ? text : "a list");
	values->condition->mask |= 1u << value;
	return 0;
}

static int set_item(struct reader *r, const yaml_node_t *node, unsigned at, void *context)
{
	struct values *values = context;
	values->condition->count = at + 1;
	return reader_conditions(r, node, &values->condition->sets[at], values->depth + 1);
}

static int verdict_value(const char *name)
{
	if (strcmp(name, "passed") == 0)
		return VERDICT_PASSED;
	return strcmp(name, "blocked") == 0 ? VERDICT_BLOCKED : -1;
}

static int side_value(const char *name)
{
	if (strcmp(name, "inside") == 0)
		return 0;
	return strcmp(name, "outside") == 0 ? 1 : -1;
}

static int direction_value(const char *name)
{
	static const char *const names[] = {"unknown", "in", "out", "lateral", "outside", NULL};
	unsigned at;
	return reader_is(name, names, &at) ? (int)at : -1;
}

enum shape { TEXTS, RANGES, MASK, LEAST, LEAST_TIME, FLAG, SETS };

static const struct {
	const char *name;
	enum shape shape;
	int (*value_of)(const char *name);
} kinds[CONDITION_KINDS] = {
	[CONDITION_CLASS] = {"class", TEXTS, NULL},
	[CONDITION_MESSAGE] = {"message", TEXTS, NULL},
	[CONDITION_SIGNATURE] = {"signature", RANGES, NULL},
	[CONDITION_OUTCOME] = {"outcome", MASK, outcome_of},
	[CONDITION_OUTCOME_PASSED] = {"outcome-passed", MASK, outcome_of},
	[CONDITION_VERDICT] = {"verdict", MASK, verdict_value},
	[CONDITION_DIRECTION] = {"direction", MASK, direction_value},
	[CONDITION_SOURCE] = {"source", MASK, side_value},
	[CONDITION_TARGET] = {"target", MASK, side_value},
	[CONDITION_SOURCE_ROLE] = {"source-role", TEXTS, NULL},
	[CONDITION_TARGET_ROLE] = {"target-role", TEXTS, NULL},
	[CONDITION_SOURCE_IMPORTANCE] = {"source-importance", LEAST, NULL},
	[CONDITION_TARGET_IMPORTANCE] = {"target-importance", LEAST, NULL},
	[CONDITION_EXPOSED] = {"exposed", FLAG, NULL},
	[CONDITION_COUNT] = {"count", LEAST, NULL},
	[CONDITION_TARGETS] = {"targets", LEAST, NULL},
	[CONDITION_PORTS] = {"ports", RANGES, NULL},
	[CONDITION_PORT_COUNT] = {"port-count", LEAST, NULL},
	[CONDITION_DURATION] = {"duration", LEAST_TIME, NULL},
	[CONDITION_SEVERITY] = {"severity", MASK, severity_of},
	[CONDITION_ANY] = {"any", SETS, NULL},
	[CONDITION_NOT] = {"not", SETS, NULL},
};

/* "7" is at least 7; "7-9" from 7 to 9. */
static int read_least(struct reader *r, const yaml_node_t *node, struct condition *condition, const char *what)
{
	condition->ranges = reader_keep(r, 1, sizeof(*condition->ranges));
	if (!condition->ranges || reader_number(r, node, what, condition->ranges) != 0)
		return r->rc;
	condition->count = 1;
	if (!strchr(reader_scalar(node), '-'))
		condition->ranges->max = UINT64_MAX;
	return 0;
}

static int read_value(struct reader *r, const yaml_node_t *node, struct condition *condition, unsigned depth)
{
	const char *what = kinds[condition->kind].name;
	struct values values = {what, condition, kinds[condition->kind].value_of, depth};
	unsigned count = reader_count(node);
	int64_t us;
	bool flag;
	if (count == 0 || count > TRIAGE_LIST_MAX)
		return reader_fail(r, node, "%s must have 1 to %d values", what, TRIAGE_LIST_MAX);
	r->rules->conditions += count;
	if (r->rules->conditions > TRIAGE_CONDITIONS)
		return reader_fail(r, node, "more than %d values of conditions in all rules", TRIAGE_CONDITIONS);
	switch (kinds[condition->kind].shape) {
	case TEXTS:
		condition->texts = reader_keep(r, count, sizeof(*condition->texts));
		return condition->texts ? reader_list(r, node, what, TRIAGE_LIST_MAX, text_item, &values) : r->rc;
	case RANGES:
		condition->ranges = reader_keep(r, count, sizeof(*condition->ranges));
		return condition->ranges ? reader_list(r, node, what, TRIAGE_LIST_MAX, range_item, &values) : r->rc;
	case SETS:
		condition->sets = reader_keep(r, count, sizeof(*condition->sets));
		return condition->sets ? reader_list(r, node, what, TRIAGE_LIST_MAX, set_item, &values) : r->rc;
	case MASK:
		return reader_list(r, node, what, TRIAGE_LIST_MAX, mask_item, &values);
	case LEAST:
		return read_least(r, node, condition, what);
	case LEAST_TIME:
		condition->ranges = reader_keep(r, 1, sizeof(*condition->ranges));
		if (!condition->ranges || reader_duration(r, node, what, &us) != 0)
			return r->rc;
		*condition->ranges = (struct range){(uint64_t)us, UINT64_MAX};
		condition->count = 1;
		return 0;
	default:
		if (reader_flag(r, node, what, &flag) != 0)
			return r->rc;
		condition->mask = flag;
		return 0;
	}
}

struct conditions {
	struct condition_set *set;
	unsigned depth;
};

static int condition_entry(struct reader *r, const yaml_node_t *key, const char *name, const yaml_node_t *value,
			   void *context)
{
	struct conditions *conditions = context;
	struct condition *condition = &conditions->set->conditions[conditions->set->count];
	for (unsigned kind = 0; kind < CONDITION_KINDS; kind++)
		if (strcmp(kinds[kind].name, name) == 0) {
			condition->kind = (enum condition_kind)kind;
			conditions->set->count++;
			return read_value(r, value, condition, conditions->depth);
		}
	return reader_fail(r, key, "there is no condition %.40s", name);
}

int reader_conditions(struct reader *r, const yaml_node_t *node, struct condition_set *set, unsigned depth)
{
	struct conditions conditions = {set, depth};
	if (depth > TRIAGE_DEPTH_MAX)
		return reader_fail(r, node, "any and not are nested more than %d deep", TRIAGE_DEPTH_MAX);
	if (node->type != YAML_MAPPING_NODE)
		return reader_fail(r, node, "conditions must be a mapping");
	if (node->data.mapping.pairs.top == node->data.mapping.pairs.start)
		return reader_fail(r, node, "there is no condition here");
	set->conditions = reader_keep(r, CONDITION_KINDS, sizeof(*set->conditions));
	return set->conditions ? reader_map(r, node, "conditions", condition_entry, &conditions) : r->rc;
}
