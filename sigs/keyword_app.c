/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "parse.h"

/* Keywords of application layers: their buffers and values by the names they registered, their events, their files. */

const struct buffer_info *buffer_info_find(const struct sigs_builder *builder, const char *name)
{
	const struct keyword *keyword = keyword_find(builder, name, strlen(name));
	bool buffer = keyword && (keyword->parse == keyword_app_buffer || keyword->parse == keyword_app_modifier ||
				  keyword->parse == keyword_wait_buffer);
	return buffer ? keyword->info : NULL;
}

/* --- buffers ----------------------------------------------------------------------------------------------------------------- */

int keyword_app_buffer(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)value;
	if (rule->sticky_base64)
		return rule_fail(rule, "no other buffer can follow base64_data");
	if (rule->transform_count > 0)
		return rule_fail(rule, "no match follows the transform before %s: add one", keyword->name);
	if (rule->sticky && rule->sticky_buffer < 0)
		return rule_fail(rule, "no match follows the buffer %s before %s: add one, or remove it",
				 rule->sticky->name, keyword->name);
	rule->sticky = keyword->info;
	rule->sticky_buffer = -1;
	rule->sticky_dir = rule->dir;
	return 0;
}

/* The old form: it moves the content before it to the buffer. */
int keyword_app_modifier(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)value;
	if (rule->sticky || rule->sticky_base64)
		return rule_fail(
			rule,
			"%s cannot stand after a sticky buffer: write pkt_data first, or use sticky buffers alone",
			keyword->name);
	struct rule_match *content = NULL;
	for (int i = rule->match_count - 1; i >= 0 && content == NULL; i--) {
		struct rule_match *m = &rule->matches[i];
		if (m->match.type == MATCH_CONTENT && m->list >= 0 &&
		    rule->buffers[m->list].info->kind == BUFFER_PAYLOAD)
			content = m;
	}
	if (content == NULL)
		return rule_fail(rule, "%s needs a content before it", keyword->name);
	if (content->match.content.flags & CONTENT_RAWBYTES)
		return rule_fail(rule, "%s cannot stand with rawbytes on the same content", keyword->name);
	int list = rule_buffer_of(rule, keyword->info);
	if (list < 0)
		return -EINVAL;
	rule->buffers[content->list].count--;
	rule->buffers[list].count++;
	content->list = (int16_t)list;
	return 0;
}

/* --- values ---------------------------------------------------------------------------------------------------------------- */

/* The index after the comparison of a value with several instances. */
static int value_index(struct rule *rule, const char *s, struct match_app_value *v)
{
	int64_t n;
	if (strcmp(s, "any") == 0) {
		v->index_mode = INDEX_ANY;
	} else if (strcmp(s, "all") == 0) {
		v->index_mode = INDEX_ALL;
	} else if (text_i64(s, INT32_MIN, INT32_MAX, &n)) {
		v->index_mode = INDEX_AT;
		v->index = (int32_t)n;
	} else {
		return rule_fail(rule, "\"%.40s\" is no index: write any, all or a number", s);
	}
	return 0;
}

static uint32_t apps_with_value(const struct value_info *info, int dir)
{
	uint32_t mask = 0;
	for (unsigned app = 0; app < APP_ID_COUNT; app++)
		for (int d = 0; d < 2; d++)
			if (info->app[app][d] && (dir < 0 || dir == d))
				mask |= 1u << app;
	return mask;
}

int rule_add_value(struct rule *rule, const struct value_info *info, const struct match_app_value *v)
{
	if (rule_apps(rule, apps_with_value(info, rule->dir)) != 0)
		return -EINVAL;
	struct match *m = rule_add(rule, LIST_TX, MATCH_APP_VALUE);
	if (m == NULL)
		return -EINVAL;
	m->value = *v;
	m->value.name = info->name;
	for (unsigned app = 0; app < APP_ID_COUNT; app++)
		for (int d = 0; d < 2; d++)
			m->value.app[app][d] = rule->dir < 0 || rule->dir == d ? info->app[app][d] : NULL;
	return 0;
}

/* "tls1.0,tls1.1" or "client_hello|server_hello": any of them; with "!" before them none. */
static int named_bits(struct rule *rule, const struct value_info *info, char *value)
{
	struct match_app_value v = {.index_mode = INDEX_ANY, .test = {.op = NUMBER_MASK_NOT}};
	if (*value == '!') {
		v.test.op = NUMBER_MASK_SET;
		value = text_trim(value + 1);
	}
	for (char *s = value; *s; s++)
		if (*s == '|')
			*s = ',';
	for (char *rest = value, *item; (item = text_next(&rest, ','));) {
		const struct app_value_name *name = info->names;
		while (name->name && strcasecmp(name->name, item) != 0)
			name++;
		if (name->name == NULL)
			return rule_fail(rule, "\"%.40s\" is no value of %s", item, info->name);
		if (v.test.a & name->value)
			return rule_fail(rule, "\"%.40s\" stands twice", item);
		v.test.a |= name->value;
	}
	return rule_add_value(rule, info, &v);
}

int keyword_app_value(struct rule *rule, const struct keyword *keyword, char *value)
{
	const struct value_info *info = keyword->info;
	struct match_app_value v = {.index_mode = INDEX_ANY};
	if (info->bits && strpbrk(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))
		return named_bits(rule, info, value);
	char *rest = value, *test = text_next(&rest, ',');
	if (info->multi && strncmp(test, "count", 5) == 0) {
		v.index_mode = INDEX_COUNT;
		test = text_trim(test + 5);
	}
	if (rest && (!info->multi || v.index_mode == INDEX_COUNT))
		return rule_fail(rule, "%s takes one value", keyword->name);
	if (!number_parse(test, UINT64_MAX, info->names, &v.test))
		return rule_fail(rule, "\"%.60s\" is no value of %s: write N, !N, <N, >N or N-M%s", test, keyword->name,
				 info->names ? ", or a name that it knows" : "");
	if (rest && value_index(rule, text_trim(rest), &v) != 0)
		return -EINVAL;
	return rule_add_value(rule, info, &v);
}

/* --- URI length ------------------------------------------------------------------------------------------------------- */

/* As number_parse; "20<>21", between which nothing lies, is warned of, since rules in use have it. */
static bool uri_length(struct rule *rule, char *s, struct number_test *test)
{
	char *middle = strstr(s, "<>");
	if (number_parse(s, UINT16_MAX, NULL, test))
		return true;
	if (middle == NULL)
		return false;
	*middle = '\0';
	bool good = text_u64(text_trim(s), false, UINT16_MAX, &test->a) &&
		    text_u64(text_trim(middle + 2), false, UINT16_MAX, &test->b) && test->a < test->b;
	test->op = NUMBER_RANGE;
	if (good)
		rule_warn(rule, "no length lies between the two: the rule can never match");
	return good;
}

int keyword_urilen(struct rule *rule, const struct keyword *keyword, char *value)
{
	struct number_test test;
	char *rest = value, *number = text_next(&rest, ','), *form = text_next(&rest, ',');
	bool raw = form && strcmp(form, "raw") == 0;
	if (rest || (form && !raw && strcmp(form, "norm") != 0) || !uri_length(rule, number, &test))
		return rule_fail(rule, "urilen takes N, <N, >N or N<>M, then \"norm\" or \"raw\"");
	const struct buffer_info *info = buffer_info_find(rule->builder, raw ? "http.uri.raw" : "http.uri");
	if (info == NULL)
		return keyword_wait_value(rule, keyword, value);
	int list = rule_buffer_of(rule, info);
	struct match *m = list < 0 ? NULL : rule_add(rule, list, MATCH_URILEN);
	if (m == NULL)
		return -EINVAL;
	m->number = test;
	m->flag = raw;
	return 0;
}

/* --- events ------------------------------------------------------------------------------------------------------------------- */

int keyword_app_event(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	char *dot = strchr(value, '.');
	if (dot == NULL) {
		int event = event_find(EVENT_CLASS_APPLAYER, value);
		struct match *m = event < 0 ? NULL : rule_add(rule, LIST_PACKET, MATCH_PACKET_EVENT);
		if (event < 0)
			return rule_fail(rule, "unknown event \"%.60s\": write PROTOCOL.EVENT, or an applayer_ event",
					 value);
		if (m == NULL)
			return -EINVAL;
		m->event = (enum event)event;
		rule->needs_flow = true;
		return 0;
	}
	*dot = '\0';
	const struct app_proto *proto = app_proto_by_name(value);
	if (proto == NULL && !protocol_is_known(value) && strcmp(value, "file") != 0)
		return rule_fail(rule, "unknown protocol \"%.40s\" in app-layer-event", value);
	if (proto == NULL) {
		rule_wait(rule, "protocol %s", value);
		return 0;
	}
	int event = proto->events ? text_word(dot + 1, proto->events) : -1;
	if (event < 0) {
		/* the language knows more than this sensor raises: such a rule never pretends to match */
		rule_wait(rule, "event %s.%s", value, dot + 1);
		return 0;
	}
	if (rule_apps(rule, 1u << proto->id) != 0)
		return -EINVAL;
	struct match *m = rule_add(rule, LIST_TX, MATCH_APP_EVENT);
	if (m == NULL)
		return -EINVAL;
	m->number.a = (uint64_t)event;
	m->flag = (uint8_t)proto->id;
	return 0;
}

/* --- files -------------------------------------------------------------------------------------------------------------------- */

/* Protocols that carry files: those with a buffer of a file's bytes. */
static uint32_t file_apps(void)
{
	uint32_t mask = 0;
	for (const struct app_proto *const *p = app_protos(); *p; p++)
		for (const struct app_buffer *b = (*p)->buffers; b && b->name; b++)
			if (b->flags & APP_BUFFER_FILE)
				mask |= 1u << (*p)->id;
	return mask;
}

static struct match *add_file(struct rule *rule, int what)
{
	uint32_t apps = file_apps();
	if (apps == 0)
		rule_wait(rule, "a protocol with files");
	else if (rule_apps(rule, apps) != 0)
		return NULL;
	struct match *m = rule_add(rule, LIST_TX, MATCH_FILE);
	if (m) {
		m->file.what = (unsigned)what;
		m->file.dirs = (uint8_t)(rule->dir + 1);
	}
	return m;
}

int keyword_file_text(struct rule *rule, const struct keyword *keyword, char *value)
{
	struct bytes text;
	if (content_decode(rule, value, &text) != 0)
		return -EINVAL;
	struct match *m = add_file(rule, keyword->arg);
	if (m == NULL)
		return -EINVAL;
	m->file.text = text;
	m->file.negated = rule->negated;
	return 0;
}

int keyword_filesize(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	struct number_test test;
	if (!number_parse(value, UINT64_MAX, NULL, &test))
		return rule_fail(rule, "\"%.40s\" is no size: write N, <N, >N or N<>M, with kb, mb or gb", value);
	struct match *m = add_file(rule, FILE_SIZE);
	if (m == NULL)
		return -EINVAL;
	m->file.size = test;
	return 0;
}

int keyword_file_hash(struct rule *rule, const struct keyword *keyword, char *value)
{
	struct sigs_builder *b = rule->builder;
	const struct sigs_env *env = &b->env;
	struct sigs_blob blob = {0};
	unsigned bad_line = 0;
	bool negated = *value == '!';
	char *path = text_trim(value + negated);
	int err = env->read_file ? env->read_file(env->user, path, rule->file, &blob) : -EACCES;
	if (err)
		return rule_fail(rule, "cannot read \"%.120s\": %s", path, strerror(-err));
	struct dataset *set = arena_alloc(b->arena, sizeof(*set));
	if (set == NULL) {
		free(blob.data);
		return rule_fail(rule, "out of memory");
	}
	set->name = path;
	set->type = keyword->arg == FILE_MD5 ? DATASET_MD5 : keyword->arg == FILE_SHA1 ? DATASET_SHA1 : DATASET_SHA256;
	err = dataset_load(set, b->arena, blob.data, blob.len, &bad_line);
	free(blob.data);
	if (err)
		return err == -EINVAL
			       ? rule_fail(rule, "\"%.120s\" line %u is no hash of %s", path, bad_line, keyword->name)
			       : rule_fail(rule, "out of memory");
	set->next = b->datasets;
	b->datasets = set;
	b->wants_file_hashes = true;
	struct match *m = add_file(rule, keyword->arg);
	if (m == NULL)
		return -EINVAL;
	m->file.hashes = set;
	m->file.negated = negated;
	return 0;
}

int keyword_filestore(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword, (void)value;
	return add_file(rule, FILE_STORE) ? 0 : -EINVAL;
}

/* --- what is not here yet ------------------------------------------------------------------------------------------------ */

int keyword_wait_buffer(struct rule *rule, const struct keyword *keyword, char *value)
{
	rule_wait(rule, "keyword %s", keyword->name);
	return keyword_app_buffer(rule, keyword, value);
}

int keyword_wait_modifier(struct rule *rule, const struct keyword *keyword, char *value)
{
	rule_wait(rule, "keyword %s", keyword->name);
	return keyword_app_modifier(rule, keyword, value);
}

int keyword_wait_value(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)value;
	rule->app_layer = true;
	rule_wait(rule, "keyword %s", keyword->name);
	return 0;
}
