/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration of sekisho-forward: a table of options, and libyaml. */
#include <export/export.h>

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <yaml.h>

#define SECOND 1000000000ull
/* Certificates and some hundred paths. */
#define FILE_BYTES_MAX (4u << 20)

void export_config_defaults(struct export_config *config)
{
	*config = (struct export_config){
		.batch_bytes = 1u << 20,
		.batch_records = 5000,
		.interval_ns = SECOND,
		.spool_max = 10ull << 30,
		.timeout_ns = 30 * SECOND,
		.retry_min_ns = SECOND,
		.retry_max_ns = 60 * SECOND,
		.health_ns = 10 * SECOND,
	};
}

enum type { TYPE_TEXT, TYPE_BYTES, TYPE_TIME, TYPE_COUNT };

static const struct setting {
	const char *name;
	enum type type;
	size_t offset;
	uint64_t min, max;
} settings[] = {
#define AT(member) offsetof(struct export_config, member)
	{"certificate", TYPE_TEXT, AT(certificate), 0, 0},
	{"key", TYPE_TEXT, AT(key), 0, 0},
	{"ca", TYPE_TEXT, AT(ca), 0, 0},
	{"proxy", TYPE_TEXT, AT(proxy), 0, 0},
	{"cursor-dir", TYPE_TEXT, AT(cursor_dir), 0, 0},
	{"batch-size", TYPE_BYTES, AT(batch_bytes), EXPORT_BATCH_BYTES_MIN, EXPORT_BATCH_BYTES_MAX},
	{"batch-records", TYPE_COUNT, AT(batch_records), 1, EXPORT_BATCH_RECORDS_MAX},
	{"interval", TYPE_TIME, AT(interval_ns), 0, 3600 * SECOND},
	{"spool-max", TYPE_BYTES, AT(spool_max), 0, UINT64_MAX / 2},
	{"timeout", TYPE_TIME, AT(timeout_ns), SECOND / 10, 600 * SECOND},
	{"retry-min", TYPE_TIME, AT(retry_min_ns), SECOND / 100, 3600 * SECOND},
	{"retry-max", TYPE_TIME, AT(retry_max_ns), SECOND / 100, 3600 * SECOND},
	{"health", TYPE_TIME, AT(health_ns), 0, 3600 * SECOND},
};

struct reader {
	struct export_config *config;
	yaml_document_t *document;
	const char *path;
	char *error;
};

static int fail(struct reader *r, const yaml_node_t *node, const char *what, const char *name)
{
	snprintf(r->error, EXPORT_ERROR_MAX, "%.120s:%zu: %.60s: %.60s", r->path, node ? node->start_mark.line + 1 : 1,
		 name, what);
	return -EINVAL;
}

static const char *scalar(const yaml_node_t *node)
{
	return node && node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : NULL;
}

static bool parse_number(const char *text, enum type type, uint64_t *value)
{
	static const struct {
		const char *name;
		enum type type;
		uint64_t factor;
	} units[] = {{"", TYPE_COUNT, 1},
		     {"", TYPE_BYTES, 1},
		     {"kb", TYPE_BYTES, 1u << 10},
		     {"mb", TYPE_BYTES, 1u << 20},
		     {"gb", TYPE_BYTES, 1u << 30},
		     {"", TYPE_TIME, SECOND},
		     {"s", TYPE_TIME, SECOND},
		     {"ms", TYPE_TIME, 1000000},
		     {"min", TYPE_TIME, 60 * SECOND},
		     {"h", TYPE_TIME, 3600 * SECOND}};
	char *end;
	errno = 0;
	unsigned long long n = strtoull(text, &end, 10);
	if (errno || text[0] < '0' || text[0] > '9')
		return false;
	while (*end == ' ')
		end++;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (units[i].type == type && strcasecmp(end, units[i].name) == 0)
			return !__builtin_mul_overflow((uint64_t)n, units[i].factor, value);
	return false;
}

static int set_text(char **to, const char *text)
{
	free(*to);
	*to = strdup(text);
	return *to ? 0 : -ENOMEM;
}

static int read_setting(struct reader *r, const struct setting *s, const yaml_node_t *node)
{
	void *at = (char *)r->config + s->offset;
	const char *text = scalar(node);
	uint64_t value;
	if (!text)
		return fail(r, node, "one value is expected", s->name);
	if (s->type == TYPE_TEXT)
		return set_text(at, text);
	if (!parse_number(text, s->type, &value))
		return fail(r, node, "no number with a unit of its kind", s->name);
	if (value < s->min || value > s->max)
		return fail(r, node, "out of range", s->name);
	if (s->type == TYPE_COUNT)
		*(uint32_t *)at = (uint32_t)value;
	else
		*(uint64_t *)at = value;
	return 0;
}

static int add_address(struct reader *r, const yaml_node_t *node)
{
	struct export_config *c = r->config;
	if (!scalar(node))
		return fail(r, node, "a list of texts is expected", "addresses");
	char **grown = realloc(c->addresses, (c->address_count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	c->addresses = grown;
	grown[c->address_count] = strdup(scalar(node));
	return grown[c->address_count] ? (c->address_count++, 0) : -ENOMEM;
}

static int read_addresses(struct reader *r, const yaml_node_t *node)
{
	int rc = 0;
	if (node->type != YAML_SEQUENCE_NODE)
		return add_address(r, node);
	for (const yaml_node_item_t *i = node->data.sequence.items.start; i < node->data.sequence.items.top && rc == 0;
	     i++)
		rc = add_address(r, yaml_document_get_node(r->document, *i));
	return rc;
}

static int read_soc(struct reader *r, const char *name, const yaml_node_t *key, const yaml_node_t *value)
{
	if (strcmp(name, "addresses") == 0)
		return read_addresses(r, value);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		if (strcmp(settings[i].name, name) == 0)
			return read_setting(r, &settings[i], value);
	return fail(r, key, "there is no such option in soc", name);
}

static int read_input(struct reader *r, const yaml_node_t *node)
{
	struct export_config *c = r->config;
	if (node->type != YAML_MAPPING_NODE)
		return fail(r, node, "each has a path, and may have kind and name", "inputs");
	struct export_input *grown = realloc(c->inputs, (c->input_count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	c->inputs = grown;
	struct export_input *in = &grown[c->input_count++];
	*in = (struct export_input){.kind = EXPORT_EVE};
	for (const yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top; p++) {
		const yaml_node_t *key = yaml_document_get_node(r->document, p->key);
		const char *name = scalar(key), *text = scalar(yaml_document_get_node(r->document, p->value));
		int rc = 0;
		if (!name || !text)
			rc = fail(r, key, "a name and a value are expected", "inputs");
		else if (strcmp(name, "path") == 0)
			rc = set_text(&in->path, text);
		else if (strcmp(name, "name") == 0)
			rc = set_text(&in->name, text);
		else if (strcmp(name, "kind") == 0 && (strcmp(text, "eve") == 0 || strcmp(text, "log") == 0))
			in->kind = text[0] == 'e' ? EXPORT_EVE : EXPORT_LOG;
		else
			rc = fail(r, key, "path, name, and kind: eve or log", name);
		if (rc != 0)
			return rc;
	}
	return in->path ? 0 : fail(r, node, "an input has no path", "inputs");
}

static int read_pair(struct reader *r, const yaml_node_pair_t *p)
{
	const yaml_node_t *key = yaml_document_get_node(r->document, p->key);
	const yaml_node_t *value = yaml_document_get_node(r->document, p->value);
	const char *name = scalar(key);
	int rc = 0;
	if (name && strcmp(name, "inputs") == 0 && value->type == YAML_SEQUENCE_NODE) {
		for (const yaml_node_item_t *i = value->data.sequence.items.start;
		     i < value->data.sequence.items.top && rc == 0; i++)
			rc = read_input(r, yaml_document_get_node(r->document, *i));
		return rc;
	}
	if (!name || strcmp(name, "soc") != 0 || value->type != YAML_MAPPING_NODE)
		return fail(r, key, "the file has a section soc and a list inputs", name ? name : "?");
	for (const yaml_node_pair_t *s = value->data.mapping.pairs.start; s < value->data.mapping.pairs.top && rc == 0;
	     s++) {
		const yaml_node_t *k = yaml_document_get_node(r->document, s->key);
		rc = scalar(k) ? read_soc(r, scalar(k), k, yaml_document_get_node(r->document, s->value))
			       : fail(r, k, "an option's name must be a word", "soc");
	}
	return rc;
}

int export_config_load(struct export_config *config, const char *path, char error[static EXPORT_ERROR_MAX])
{
	yaml_parser_t parser;
	yaml_document_t document;
	struct reader r = {.config = config, .document = &document, .path = path, .error = error};
	FILE *file = fopen(path, "rbe");
	char *text = file ? malloc(FILE_BYTES_MAX + 1) : NULL;
	size_t len = text ? fread(text, 1, FILE_BYTES_MAX + 1, file) : 0;
	int rc = !file ? -errno : !text ? -ENOMEM : ferror(file) ? -EIO : len > FILE_BYTES_MAX ? -EFBIG : 0;
	if (file)
		fclose(file);
	snprintf(error, EXPORT_ERROR_MAX, "%.150s: %s", path, strerror(rc ? -rc : ENOMEM));
	if (rc != 0 || !yaml_parser_initialize(&parser)) {
		free(text);
		return rc ? rc : -ENOMEM;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	if (yaml_parser_load(&parser, &document)) {
		const yaml_node_t *root = yaml_document_get_root_node(&document);
		if (!root || root->type != YAML_MAPPING_NODE)
			rc = fail(&r, root, "a section soc and a list inputs are expected", "the file");
		else
			for (const yaml_node_pair_t *p = root->data.mapping.pairs.start;
			     p < root->data.mapping.pairs.top && rc == 0; p++)
				rc = read_pair(&r, p);
		yaml_document_delete(&document);
	} else {
		snprintf(error, EXPORT_ERROR_MAX, "%.150s:%zu: %.60s", path, parser.problem_mark.line + 1,
			 parser.problem ? parser.problem : "it cannot be read");
		rc = -EINVAL;
	}
	yaml_parser_delete(&parser);
	free(text);
	if (rc == 0 && config->retry_max_ns < config->retry_min_ns)
		config->retry_max_ns = config->retry_min_ns;
	return rc;
}

void export_config_free(struct export_config *config)
{
	for (size_t i = 0; i < config->address_count; i++)
		free(config->addresses[i]);
	for (size_t i = 0; i < config->input_count; i++) {
		free(config->inputs[i].path);
		free(config->inputs[i].name);
	}
	free(config->addresses);
	free(config->inputs);
	free(config->certificate);
	free(config->key);
	free(config->ca);
	free(config->proxy);
	free(config->cursor_dir);
}
