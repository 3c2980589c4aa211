/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the rules of triage from YAML. What a condition may say stands in triage_conditions.c. */
#include "triage_rules.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "triage_default.h"
#include "triage_reader.h"

#define YAML_DEPTH_MAX	 16
#define YAML_NODES_MAX	 60000
#define YAML_ANCHORS_MAX 64 /* the library compares each with all before it */

void *reader_keep(struct reader *r, size_t count, size_t size)
{
	struct triage_block *block = calloc(1, sizeof(*block) + count * size);
	if (!block) {
		r->rc = -ENOMEM;
		snprintf(r->error, TRIAGE_ERROR_MAX, "%s: memory is short", r->path);
		return NULL;
	}
	block->next = r->rules->blocks;
	r->rules->blocks = block;
	return block->data;
}

int reader_fail(struct reader *r, const yaml_node_t *node, const char *format, ...)
{
	va_list args;
	int n = snprintf(r->error, TRIAGE_ERROR_MAX, "%s:%zu: ", r->path, node ? node->start_mark.line + 1 : 1);
	if (n > 0 && n < TRIAGE_ERROR_MAX) {
		va_start(args, format);
		vsnprintf(r->error + n, TRIAGE_ERROR_MAX - (size_t)n, format, args);
		va_end(args);
	}
	r->rc = -EINVAL;
	return r->rc;
}

const yaml_node_t *reader_node(struct reader *r, int index)
{
	return yaml_document_get_node(r->document, index);
}

const char *reader_scalar(const yaml_node_t *node)
{
	if (node->type != YAML_SCALAR_NODE || memchr(node->data.scalar.value, 0, node->data.scalar.length))
		return NULL;
	return (const char *)node->data.scalar.value;
}

const char *reader_text(struct reader *r, const yaml_node_t *node, const char *what, size_t max)
{
	const char *text = reader_scalar(node);
	if (!text || !*text) {
		reader_fail(r, node, "%s must be a text", what);
		return NULL;
	}
	size_t len = strlen(text);
	while (len && text[len - 1] == '\n')
		len--;
	if (len > max) {
		reader_fail(r, node, "%s is longer than %zu bytes", what, max);
		return NULL;
	}
	char *copy = reader_keep(r, len + 1, 1);
	if (copy)
		memcpy(copy, text, len);
	return copy;
}

int reader_map(struct reader *r, const yaml_node_t *node, const char *what, reader_entry *entry, void *context)
{
	if (node->type != YAML_MAPPING_NODE)
		return reader_fail(r, node, "%s must be a mapping", what);
	const yaml_node_pair_t *start = node->data.mapping.pairs.start, *top = node->data.mapping.pairs.top;
	if (top - start > 64)
		return reader_fail(r, node, "%s has more than 64 entries", what);
	for (const yaml_node_pair_t *p = start; p < top; p++) {
		const yaml_node_t *key = reader_node(r, p->key);
		const char *name = reader_scalar(key);
		if (!name)
			return reader_fail(r, key, "a key of %s must be a text", what);
		for (const yaml_node_pair_t *q = start; q < p; q++)
			if (strcmp(reader_scalar(reader_node(r, q->key)), name) == 0)
				return reader_fail(r, key, "%s is given twice", name);
		if (entry(r, key, name, reader_node(r, p->value), context) != 0)
			return r->rc;
	}
	return 0;
}

/* One value stands for a list of it. */
int reader_list(struct reader *r, const yaml_node_t *node, const char *what, unsigned max, reader_item *each,
		void *context)
{
	if (node->type != YAML_SEQUENCE_NODE)
		return each(r, node, 0, context);
	const yaml_node_item_t *start = node->data.sequence.items.start, *top = node->data.sequence.items.top;
	if (top == start)
		return reader_fail(r, node, "%s is an empty list", what);
	if (top - start > (long)max)
		return reader_fail(r, node, "%s has more than %u values", what, max);
	for (const yaml_node_item_t *i = start; i < top; i++)
		if (each(r, reader_node(r, *i), (unsigned)(i - start), context) != 0)
			return r->rc;
	return 0;
}

unsigned reader_count(const yaml_node_t *node)
{
	if (node->type != YAML_SEQUENCE_NODE)
		return 1;
	return (unsigned)(node->data.sequence.items.top - node->data.sequence.items.start);
}

bool reader_is(const char *name, const char *const *names, unsigned *at)
{
	for (*at = 0; names[*at]; ++*at)
		if (strcmp(names[*at], name) == 0)
			return true;
	return false;
}

/* --- phrases and keys --- */

static int check_names(struct reader *r, const yaml_node_t *node, const char *text, bool (*known)(const char *, size_t))
{
	for (const char *at = strstr(text, "%{"); at; at = strstr(at + 2, "%{")) {
		const char *end = strchr(at, '}');
		if (!end)
			return reader_fail(r, node, "%%{ without }");
		if (!known(at + 2, (size_t)(end - at - 2)))
			return reader_fail(r, node, "unknown name %%{%.*s}",
					   (int)(end - at - 2 > 40 ? 40 : end - at - 2), at + 2);
	}
	return 0;
}

static int phrase_entry(struct reader *r, const yaml_node_t *key, const char *name, const yaml_node_t *value,
			void *context)
{
	struct phrase *phrase = context;
	const char **text = strcmp(name, "en") == 0 ? &phrase->en : &phrase->ja;
	if (strcmp(name, "en") != 0 && strcmp(name, "ja") != 0)
		return reader_fail(r, key, "unknown language %.40s (en, ja)", name);
	*text = reader_text(r, value, name, TRIAGE_PHRASE_MAX);
	return *text ? check_names(r, value, *text, triage_phrase_name) : r->rc;
}

static int read_phrase(struct reader *r, const yaml_node_t *node, const char *what, struct phrase *phrase)
{
	if (reader_map(r, node, what, phrase_entry, phrase) != 0)
		return r->rc;
	if (!phrase->en || !phrase->ja)
		return reader_fail(r, node, "%s must be given in en and ja", what);
	return 0;
}

struct keys {
	const char *what;
	const char **keys;
	unsigned *count;
};

static int key_item(struct reader *r, const yaml_node_t *node, unsigned at, void *context)
{
	struct keys *keys = context;
	keys->keys[at] = reader_text(r, node, keys->what, TRIAGE_KEY_MAX - 1);
	*keys->count = at + 1;
	return keys->keys[at] ? check_names(r, node, keys->keys[at], triage_key_name) : r->rc;
}

static int read_severity(struct reader *r, const yaml_node_t *node, enum severity *severity)
{
	const char *text = reader_scalar(node);
	int value = text ? severity_of(text) : -1;
	if (value < 0)
		return reader_fail(r, node, "severity must be none, informational, warning, critical or emergency");
	*severity = (enum severity)value;
	return 0;
}

static int read_stage(struct reader *r, const yaml_node_t *node, enum stage *stage)
{
	const char *text = reader_scalar(node);
	int value = text ? stage_of(text) : -1;
	if (value < 0)
		return reader_fail(r, node, "unknown stage %.40s", text ? text : "");
	*stage = (enum stage)value;
	return 0;
}

static const char *read_id(struct reader *r, const yaml_node_t *node)
{
	const char *id = reader_text(r, node, "id", 48);
	if (id && strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(id)) {
		reader_fail(r, node, "an id has small letters, digits and - only");
		return NULL;
	}
	return id;
}

/* --- rules --- */

static int read_hits(struct reader *r, const yaml_node_t *node, struct triage_rule *rule)
{
	return reader_flag(r, node, "hits", &rule->hits);
}

static int read_about(struct reader *r, const yaml_node_t *node, struct triage_rule *rule)
{
	const char *text = reader_scalar(node);
	if (!text || (strcmp(text, "source") != 0 && strcmp(text, "targets") != 0))
		return reader_fail(r, node, "about must be source or targets");
	rule->about_source = text[0] == 's';
	return 0;
}

static int rule_entry(struct reader *r, const yaml_node_t *key, const char *name, const yaml_node_t *value,
		      void *context)
{
	static const char *const names[] = {"id",   "when", "severity", "stage", "title",  "why", "measures",
					    "keys", "join", "hits",	"about", "notify", NULL};
	struct triage_rule *rule = context;
	struct keys keys = {"a key", rule->keys, &rule->key_count};
	struct keys lookups = {"a key", rule->lookups, &rule->lookup_count};
	unsigned at;
	if (!reader_is(name, names, &at))
		return reader_fail(r, key, "a rule has no %.40s", name);
	switch (at) {
	case 0:
		rule->id = read_id(r, value);
		return rule->id ? 0 : r->rc;
	case 1:
		return reader_conditions(r, value, &rule->when, 0);
	case 2:
		return read_severity(r, value, &rule->severity);
	case 3:
		return read_stage(r, value, &rule->stage);
	case 4:
		return read_phrase(r, value, name, &rule->title);
	case 5:
		return read_phrase(r, value, name, &rule->why);
	case 6:
		return read_phrase(r, value, name, &rule->measures);
	case 7:
		return reader_list(r, value, name, TRIAGE_KEYS, key_item, &keys);
	case 8:
		return reader_list(r, value, name, TRIAGE_KEYS, key_item, &lookups);
	case 9:
		return read_hits(r, value, rule);
	case 10:
		return read_about(r, value, rule);
	default:
		return reader_duration(r, value, "notify", &rule->notify);
	}
}

static int rule_item(struct reader *r, const yaml_node_t *node, unsigned at, void *context)
{
	struct triage_rules *rules = context;
	struct triage_rule *rule = &rules->rules[at];
	rules->rule_count = at + 1;
	if (reader_map(r, node, "a rule", rule_entry, rule) != 0)
		return r->rc;
	if (!rule->id)
		return reader_fail(r, node, "a rule without id");
	for (unsigned i = 0; i < at; i++)
		if (strcmp(rules->rules[i].id, rule->id) == 0)
			return reader_fail(r, node, "rule %s is given twice", rule->id);
	if (rule->severity == SEVERITY_NONE)
		return 0;
	if (!rule->title.en || !rule->why.en)
		return reader_fail(r, node, "rule %s needs a title and a why", rule->id);
	if (!rule->key_count)
		return reader_fail(r, node, "rule %s needs keys", rule->id);
	return 0;
}

/* --- chains --- */

static int stage_item(struct reader *r, const yaml_node_t *node, unsigned at, void *context)
{
	enum stage stage = STAGE_NOISE;
	(void)at;
	if (read_stage(r, node, &stage) != 0)
		return r->rc;
	*(uint32_t *)context |= 1u << stage;
	return 0;
}

static int read_infected(struct reader *r, const yaml_node_t *node, struct triage_chain *chain)
{
	struct range range;
	if (reader_number(r, node, "infected", &range) != 0)
		return r->rc;
	if (range.min < 1 || range.min > 1000)
		return reader_fail(r, node, "infected must be 1 to 1000");
	chain->infected = (unsigned)range.min;
	return 0;
}

static int chain_entry(struct reader *r, const yaml_node_t *key, const char *name, const yaml_node_t *value,
		       void *context)
{
	static const char *const names[] = {"id",    "stages", "passed",   "infected", "severity",
					    "title", "why",    "measures", NULL};
	struct triage_chain *chain = context;
	unsigned at;
	if (!reader_is(name, names, &at))
		return reader_fail(r, key, "a chain has no %.40s", name);
	switch (at) {
	case 0:
		chain->id = read_id(r, value);
		return chain->id ? 0 : r->rc;
	case 1:
		return reader_list(r, value, name, STAGES, stage_item, &chain->stages);
	case 2:
		return reader_list(r, value, name, STAGES, stage_item, &chain->passed);
	case 3:
		return read_infected(r, value, chain);
	case 4:
		return read_severity(r, value, &chain->severity);
	case 5:
		return read_phrase(r, value, name, &chain->title);
	case 6:
		return read_phrase(r, value, name, &chain->why);
	default:
		return read_phrase(r, value, name, &chain->measures);
	}
}

static int chain_item(struct reader *r, const yaml_node_t *node, unsigned at, void *context)
{
	struct triage_rules *rules = context;
	struct triage_chain *chain = &rules->chains[at];
	rules->chain_count = at + 1;
	if (reader_map(r, node, "a chain", chain_entry, chain) != 0)
		return r->rc;
	if (!chain->id || !chain->title.en || !chain->why.en || chain->severity == SEVERITY_NONE)
		return reader_fail(r, node, "a chain needs id, severity, title and why");
	if ((!chain->stages && !chain->infected) || (chain->passed & ~chain->stages))
		return reader_fail(r, node, "chain %s needs stages (of which some passed) or infected", chain->id);
	for (unsigned i = 0; i < at; i++)
		if (strcmp(rules->chains[i].id, chain->id) == 0)
			return reader_fail(r, node, "chain %s is given twice", chain->id);
	return 0;
}

/* --- the file --- */

static int top_entry(struct reader *r, const yaml_node_t *key, const char *name, const yaml_node_t *value,
		     void *context)
{
	struct triage_rules *rules = r->rules;
	struct range range;
	if (strcmp(name, "version") == 0) {
		if (reader_number(r, value, "version", &range) != 0)
			return r->rc;
		if (range.min < 1 || range.min > 999999999)
			return reader_fail(r, value, "version must be 1 to 999999999");
		*(unsigned *)context = (unsigned)range.min;
		return 0;
	}
	if (strcmp(name, "rules") == 0) {
		rules->rules = reader_keep(r, TRIAGE_RULES_MAX, sizeof(*rules->rules));
		return rules->rules ? reader_list(r, value, "rules", TRIAGE_RULES_MAX, rule_item, rules) : r->rc;
	}
	if (strcmp(name, "chains") == 0) {
		rules->chains = reader_keep(r, TRIAGE_CHAINS_MAX, sizeof(*rules->chains));
		return rules->chains ? reader_list(r, value, "chains", TRIAGE_CHAINS_MAX, chain_item, rules) : r->rc;
	}
	if (strcmp(name, "lists") == 0) /* where anchors may stand; read where they are used */
		return 0;
	return reader_fail(r, key, "unknown key %.40s (version, lists, rules, chains)", name);
}

static int read_document(struct reader *r, const char *text, size_t len)
{
	const yaml_node_t *root = yaml_document_get_root_node(r->document);
	unsigned version = 0, digest_len = 0;
	uint8_t digest[EVP_MAX_MD_SIZE];
	if (!root)
		return reader_fail(r, NULL, "there are no rules");
	if (reader_map(r, root, "the file", top_entry, &version) != 0)
		return r->rc;
	if (!version)
		return reader_fail(r, root, "version is missing");
	if (!r->rules->rule_count)
		return reader_fail(r, root, "rules are missing");
	if (!EVP_Digest(text, len, digest, &digest_len, EVP_sha256(), NULL))
		return reader_fail(r, root, "cannot compute the hash of the rules");
	snprintf(r->rules->version, sizeof(r->rules->version), "%u (sha256 %02x%02x%02x%02x)", version, digest[0],
		 digest[1], digest[2], digest[3]);
	return 0;
}

static int parser_fail(struct reader *r, const yaml_parser_t *parser)
{
	snprintf(r->error, TRIAGE_ERROR_MAX, "%s:%zu: %s", r->path, parser->problem_mark.line + 1,
		 parser->problem ? parser->problem : "not readable as YAML");
	r->rc = parser->error == YAML_MEMORY_ERROR ? -ENOMEM : -EINVAL;
	return r->rc;
}

static int event_fail(struct reader *r, const yaml_event_t *event, const char *what)
{
	snprintf(r->error, TRIAGE_ERROR_MAX, "%s:%zu: %s", r->path, event->start_mark.line + 1, what);
	r->rc = -EINVAL;
	return r->rc;
}

struct shape {
	unsigned depth, nodes, anchors, documents;
};

static int count_event(struct reader *r, const yaml_event_t *event, struct shape *shape)
{
	const yaml_char_t *anchor = NULL;
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (++shape->documents > 1)
			return event_fail(r, event, "a second document");
		return 0;
	case YAML_MAPPING_START_EVENT:
		anchor = event->data.mapping_start.anchor;
		shape->depth++;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = event->data.sequence_start.anchor;
		shape->depth++;
		break;
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		shape->depth--;
		return 0;
	case YAML_SCALAR_EVENT:
		anchor = event->data.scalar.anchor;
		break;
	default:
		break;
	}
	if (anchor)
		shape->anchors++;
	if (shape->depth > YAML_DEPTH_MAX)
		return event_fail(r, event, "nested too deeply");
	if (++shape->nodes > YAML_NODES_MAX || shape->anchors > YAML_ANCHORS_MAX)
		return event_fail(r, event, "too many values or anchors");
	return 0;
}

/* The library builds documents of any shape, some of them slowly: look at the shape first. */
static int check_shape(struct reader *r, const char *text, size_t len)
{
	struct shape shape = {0};
	yaml_parser_t parser;
	yaml_event_t event;
	bool more = true;
	if (!yaml_parser_initialize(&parser))
		return reader_fail(r, NULL, "memory is short");
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	while (more && r->rc == 0) {
		if (!yaml_parser_parse(&parser, &event)) {
			parser_fail(r, &parser);
			break;
		}
		more = event.type != YAML_STREAM_END_EVENT;
		count_event(r, &event, &shape);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return r->rc;
}

static int read_text(struct reader *r, const char *text, size_t len)
{
	yaml_parser_t parser;
	yaml_document_t document;
	if (len > TRIAGE_TEXT_MAX)
		return reader_fail(r, NULL, "the file is larger than %d bytes", TRIAGE_TEXT_MAX);
	if (check_shape(r, text, len) != 0)
		return r->rc;
	if (!yaml_parser_initialize(&parser))
		return reader_fail(r, NULL, "memory is short");
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	if (yaml_parser_load(&parser, &document)) {
		r->document = &document;
		read_document(r, text, len);
		yaml_document_delete(&document);
	} else {
		parser_fail(r, &parser);
	}
	yaml_parser_delete(&parser);
	return r->rc;
}

struct triage_rules *triage_rules_read(const char *text, size_t len, const char *path, char *error)
{
	struct reader r = {.path = path, .error = error};
	error[0] = '\0';
	r.rules = calloc(1, sizeof(*r.rules));
	if (!r.rules) {
		snprintf(error, TRIAGE_ERROR_MAX, "%s: memory is short", path);
		return NULL;
	}
	if (read_text(&r, text, len) == 0)
		return r.rules;
	triage_rules_free(r.rules);
	return NULL;
}

void triage_rules_free(struct triage_rules *rules)
{
	if (!rules)
		return;
	while (rules->blocks) {
		struct triage_block *block = rules->blocks;
		rules->blocks = block->next;
		free(block);
	}
	free(rules);
}

const char *triage_rules_version(const struct triage_rules *rules)
{
	return rules->version;
}

struct triage_rules *triage_rules_default(void)
{
	char error[TRIAGE_ERROR_MAX];
	return triage_rules_read((const char *)triage_default_yaml, triage_default_yaml_len, "default.yaml", error);
}
