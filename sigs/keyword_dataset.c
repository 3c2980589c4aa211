/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataset.h"
#include "parse.h"

/* dataset and datarep: what is in a buffer, looked up in a set. */

struct dataset_options {
	char *name, *type, *load;
	bool saved, reputation;
	uint64_t memcap, hash_size;
};

static int dataset_option(struct rule *rule, char *item, struct dataset_options *o)
{
	static const char *const keys[] = {"type", "load", "state", "save", "memcap", "hashsize", "format", NULL};
	char *s = text_value(item);
	struct number_test size;
	switch (text_word(item, keys)) {
	case 0:
		o->type = s;
		break;
	case 1:
		o->load = s;
		break;
	case 2:
		o->load = s;
		o->saved = true;
		break;
	case 3:
		o->saved = true;
		break;
	case 4:
	case 5:
		if (!number_parse(s, UINT32_MAX, NULL, &size) || size.op != NUMBER_EQ)
			return rule_fail(rule, "\"%.40s\" is no size: write a number, with kb, mb or gb", s);
		*(item[0] == 'm' || item[0] == 'M' ? &o->memcap : &o->hash_size) = size.a;
		break;
	case 6:
		if (strcmp(s, "csv") != 0)
			rule_wait(rule, "dataset format %s", s);
		break;
	default:
		rule_wait(rule, "dataset option %s", item);
		break;
	}
	return 0;
}

static int dataset_file(struct rule *rule, struct dataset *set, const char *path, bool may_miss)
{
	struct sigs_blob blob = {0};
	unsigned bad_line = 0;
	const struct sigs_env *env = &rule->builder->env;
	int err = env->read_file ? env->read_file(env->user, path, rule->file, &blob) : -EACCES;
	if (err == -ENOENT && may_miss)
		return 0; /* a state that nothing has saved yet */
	if (err)
		return rule_fail(rule, "cannot read \"%.120s\": %s", path, strerror(-err));
	err = dataset_load(set, rule->builder->arena, blob.data, blob.len, &bad_line);
	free(blob.data);
	if (err == -EINVAL)
		return rule_fail(rule, "\"%.120s\" line %u does not fit the set's type", path, bad_line);
	return err ? rule_fail(rule, "out of memory") : 0;
}

static struct dataset *dataset_of(struct rule *rule, const struct dataset_options *o)
{
	static const char *const types[] = {"md5", "sha256", "string", "ipv4", "ipv6", "ip", NULL};
	static const uint8_t values[] = {DATASET_MD5,  DATASET_SHA256, DATASET_STRING,
					 DATASET_IPV4, DATASET_IP,     DATASET_IP};
	struct sigs_builder *b = rule->builder;
	struct dataset *set = table_find(&b->dataset_names, o->name, strlen(o->name));
	int type = o->type ? text_word(o->type, types) : -1;
	if (o->type && type < 0)
		rule_fail(rule, "\"%.40s\" is no type: use string, md5, sha256, ipv4, ipv6 or ip", o->type);
	else if (set && o->type && set->type != values[type])
		rule_fail(rule, "set %s has another type in a rule before", o->name);
	else if (set == NULL && o->type == NULL)
		rule_fail(rule, "set %s is not known yet: add \"type string\" or another type", o->name);
	if (rule->failed || set)
		return rule->failed ? NULL : set;
	set = arena_alloc(b->arena, sizeof(*set));
	if (set == NULL || table_put(&b->dataset_names, o->name, strlen(o->name), set) != 0) {
		rule_fail(rule, "out of memory");
		return NULL;
	}
	set->name = o->name;
	set->type = values[type];
	set->reputation = o->reputation;
	set->hash_size = (uint32_t)o->hash_size;
	set->memcap = (uint32_t)o->memcap;
	set->next = b->datasets;
	b->datasets = set;
	if (dataset_prepare(set, b->arena) != 0) {
		rule_fail(rule, "out of memory");
		return NULL;
	}
	return o->load && dataset_file(rule, set, o->load, o->saved) != 0 ? NULL : set;
}

/* COMMAND,NAME and the options after them. */
static int dataset_words(struct rule *rule, char *value, bool reputation, char **command, char **operator_,
			 char **score, struct dataset_options *o)
{
	char *rest = value;
	*command = text_next(&rest, ',');
	if (reputation)
		o->name = *command; /* datarep: NAME, OPERATOR, VALUE */
	else
		o->name = text_next(&rest, ',');
	*operator_ = reputation ? text_next(&rest, ',') : NULL;
	*score = reputation ? text_next(&rest, ',') : NULL;
	if (o->name == NULL || *o->name == '\0' || strpbrk(o->name, " \t") || (reputation && *score == NULL))
		return rule_fail(rule, reputation ? "datarep takes NAME,OPERATOR,VALUE and options"
						  : "dataset takes COMMAND,NAME and options");
	for (char *item; (item = text_next(&rest, ','));)
		if (dataset_option(rule, item, o) != 0)
			return -EINVAL;
	return 0;
}

static struct match *add_dataset(struct rule *rule, const struct dataset_options *o)
{
	if (rule->sticky == NULL && !rule->sticky_base64) {
		rule_fail(rule, "%s needs a sticky buffer before it", rule->keyword->name);
		return NULL;
	}
	int list = rule_buffer(rule);
	struct dataset *set = list < 0 || rule->waiting ? NULL : dataset_of(rule, o);
	if (rule->failed)
		return NULL;
	struct match *m = rule_add(rule, list, MATCH_DATASET);
	if (m)
		m->dataset.set = set;
	return m;
}

int keyword_dataset(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	static const char *const commands[] = {"isset", "isnotset", "set", "unset", NULL};
	struct dataset_options o = {0};
	char *command, *op, *score;
	if (dataset_words(rule, value, false, &command, &op, &score, &o) != 0)
		return -EINVAL;
	int known = text_word(command, commands);
	if (known < 0)
		return rule_fail(rule, "\"%.40s\" is no command: use isset, isnotset, set or unset", command);
	struct match *m = add_dataset(rule, &o);
	if (m == NULL)
		return -EINVAL;
	m->dataset.op = (unsigned)known;
	return 0;
}

int keyword_datarep(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	struct dataset_options o = {.reputation = true};
	char *command, *op, *score;
	uint64_t n;
	enum number_op operator_;
	if (dataset_words(rule, value, true, &command, &op, &score, &o) != 0)
		return -EINVAL;
	size_t len = number_op_parse(op, &operator_);
	if (len == 0 || op[len] || !text_u64(score, false, UINT16_MAX, &n))
		return rule_fail(rule, "datarep takes an operator (<, <=, >, >=, =, !=) and a value from 0 to 65535");
	struct match *m = add_dataset(rule, &o);
	if (m == NULL)
		return -EINVAL;
	m->dataset.op = DATAREP;
	m->dataset.reputation = (struct number_test){.op = operator_, .a = n};
	return 0;
}
