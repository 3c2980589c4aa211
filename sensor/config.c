/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads sekisho.yaml into struct config: libyaml makes the tree, the table of options gives it meaning. */
#include "config.h"
#include "privileges.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* Nested maps, lists and aliases that are followed; a file cannot make the reader recurse without end. */
#define CONFIG_DEPTH_MAX 16
#define CONFIG_NAME_MAX	 256
/* One value: an address group of some thousand prefixes fits. */
#define CONFIG_VALUE_MAX (256u << 10)
/* A file: a dozen such values, where a few kilobytes are usual. */
#define CONFIG_FILE_MAX (4u << 20)
/* Variables of a kind: published rules know some thirty. Each new one is compared with all before. */
#define CONFIG_VARS_MAX 4096

static const char *const default_types[] = {"all"};
static const char *const default_anomaly[] = {"applayer"};

int config_init(struct config *config, bool inline_mode)
{
	memset(config, 0, sizeof(*config));
	config->inline_mode = inline_mode;
	decode_config_defaults(&config->decode);
	defrag_config_defaults(&config->defrag, inline_mode);
	flow_config_defaults(&config->flow);
	stream_config_defaults(&config->stream, inline_mode);
	app_config_defaults(&config->app, inline_mode);
	sigs_options_defaults(&config->sigs, inline_mode);
	config->checksum_validation = true;
	config->encryption_handling = ENCRYPTION_TRACK_ONLY;
	config->policy = POLICY_AUTO;
	config->policy_midstream = config->policy_stream_memcap = config->policy_flow_memcap = POLICY_AUTO;
	config->policy_defrag_memcap = config->policy_app_error = config->policy_app_memcap = POLICY_AUTO;
	config->records = (struct records_config){
		.filename = strdup("eve.json"),
		.sensor_name = strdup(""),
		.keep = 8,
		.ring_bytes = 8u << 20,
		.stats_interval_ns = 10000000000ull,
		.coverage_interval_ns = 10000000000ull,
		.community_id = true,
		.ethernet = true,
		.metadata = true,
		.payload = true,
		.payload_printable = true,
		.payload_bytes = 4096,
		.packet = true,
		.verdict = true,
		.drop_flows = DROP_FLOWS_ALL,
		.drop_alerts = true,
	};
	config->cache_dir = strdup("");
	io_device_config_defaults(&config->live.io);
	/* as long as a silent session is remembered */
	config->live.pick_up_ns = config->flow.tcp.established_ns;
	config->live.cpus = strdup("");
	config->live.control_socket = strdup("");
	config->live.metrics_listen = strdup("");
	config->live.user = strdup("");
	config->live.pid_file = strdup("");
	config->live.seccomp = SECCOMP_REFUSE;
	config->live.dpdk_eal = strdup("");
	if (!config->records.filename || !config->records.sensor_name || !config->cache_dir || !config->live.cpus ||
	    !config->live.control_socket || !config->live.metrics_listen || !config->live.user ||
	    !config->live.pid_file || !config->live.dpdk_eal ||
	    string_list_add(&config->live.nfq_chains, "FORWARD") != 0)
		return -ENOMEM;
	if (string_list_add(&config->records.types, default_types[0]) != 0 ||
	    string_list_add(&config->records.anomaly, default_anomaly[0]) != 0)
		return -ENOMEM;
	return 0;
}

static void vars_free(struct config_vars *vars)
{
	for (size_t i = 0; i < vars->count; i++) {
		free(vars->items[i].name);
		free(vars->items[i].value);
	}
	free(vars->items);
}

void config_free(struct config *config)
{
	for (size_t i = 0; i < config_option_count; i++) {
		const struct config_option *option = &config_options[i];
		void *at = (char *)config + option->offset;
		if (option->type == OPTION_LIST)
			string_list_clear(at);
		else if (option->type == OPTION_STRING || option->type == OPTION_PATH)
			free(*(char **)at);
	}
	vars_free(&config->address_vars);
	vars_free(&config->port_vars);
	free(config->path);
}

/* --- the tree ------------------------------------------------------------------------------------------------------- */

struct reader {
	struct config *config;
	const char *path;
	yaml_document_t *document;
	char *error;
	char value[CONFIG_VALUE_MAX];
};

__attribute__((format(printf, 3, 4))) static int fail(struct reader *r, const yaml_node_t *node, const char *format,
						      ...)
{
	va_list args;
	int n = snprintf(r->error, CONFIG_ERROR_MAX, "%s:%zu: ", r->path, node ? node->start_mark.line + 1 : 1);
	va_start(args, format);
	if (n > 0 && n < CONFIG_ERROR_MAX)
		vsnprintf(r->error + n, CONFIG_ERROR_MAX - (size_t)n, format, args);
	va_end(args);
	return -EINVAL;
}

static const char *scalar(const yaml_node_t *node)
{
	return node && node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : NULL;
}

static const char *node_kind(const yaml_node_t *node)
{
	return node->type == YAML_SCALAR_NODE ? "a value" : node->type == YAML_SEQUENCE_NODE ? "a list" : "a section";
}

/* A list of values as "[a,b,c]", the way the rule language writes a group. */
static int join_list(struct reader *r, const yaml_node_t *node)
{
	size_t at = 0;
	r->value[at++] = '[';
	for (const yaml_node_item_t *i = node->data.sequence.items.start; i < node->data.sequence.items.top; i++) {
		const yaml_node_t *item = yaml_document_get_node(r->document, *i);
		const char *text = scalar(item);
		if (!text)
			return fail(r, item, "a group may list only values, not %s", node_kind(item));
		size_t len = strlen(text);
		if (at + len + 3 > sizeof(r->value))
			return fail(r, item, "the group is longer than %u bytes", CONFIG_VALUE_MAX);
		if (at > 1)
			r->value[at++] = ',';
		memcpy(r->value + at, text, len);
		at += len;
	}
	memcpy(r->value + at, "]", 2);
	return 0;
}

static int add_var(struct reader *r, struct config_vars *vars, const yaml_node_t *key, const yaml_node_t *node)
{
	const char *name = scalar(key), *text = scalar(node);
	if (!name)
		return fail(r, key, "the name of a variable must be a word");
	if (!text && node->type == YAML_SEQUENCE_NODE) {
		int rc = join_list(r, node);
		if (rc != 0)
			return rc;
		text = r->value;
	}
	if (!text)
		return fail(r, node, "vars: %s must be a value or a list, not %s", name, node_kind(node));
	if (vars->count == CONFIG_VARS_MAX)
		return fail(r, key, "vars: more than %u variables", CONFIG_VARS_MAX);
	for (size_t i = 0; i < vars->count; i++)
		if (strcmp(vars->items[i].name, name) == 0)
			return fail(r, key, "vars: %s is given twice (first in line %u)", name, vars->items[i].line);
	struct config_var *items = realloc(vars->items, (vars->count + 1) * sizeof(*items));
	if (!items)
		return -ENOMEM;
	vars->items = items;
	items[vars->count] = (struct config_var){
		.name = strdup(name), .value = strdup(text), .line = (unsigned)key->start_mark.line + 1};
	vars->count++;
	return items[vars->count - 1].name && items[vars->count - 1].value ? 0 : -ENOMEM;
}

static int read_vars(struct reader *r, const yaml_node_t *node)
{
	if (node->type != YAML_MAPPING_NODE)
		return fail(r, node, "vars must be a section, not %s", node_kind(node));
	for (const yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top; p++) {
		const yaml_node_t *key = yaml_document_get_node(r->document, p->key);
		const yaml_node_t *value = yaml_document_get_node(r->document, p->value);
		const char *name = scalar(key);
		struct config_vars *vars = name && strcmp(name, "address-groups") == 0 ? &r->config->address_vars
					   : name && strcmp(name, "port-groups") == 0  ? &r->config->port_vars
										       : NULL;
		if (!vars)
			return fail(r, key, "vars has address-groups and port-groups, not \"%s\"", name ? name : "?");
		if (value->type == YAML_SCALAR_NODE && value->data.scalar.length == 0)
			continue; /* an empty section */
		if (value->type != YAML_MAPPING_NODE)
			return fail(r, value, "vars.%s must be a section, not %s", name, node_kind(value));
		for (const yaml_node_pair_t *v = value->data.mapping.pairs.start; v < value->data.mapping.pairs.top;
		     v++) {
			int rc = add_var(r, vars, yaml_document_get_node(r->document, v->key),
					 yaml_document_get_node(r->document, v->value));
			if (rc != 0)
				return rc;
		}
	}
	return 0;
}

static int set_option(struct reader *r, const struct config_option *option, const yaml_node_t *node, const char *text)
{
	char why[CONFIG_ERROR_MAX];
	int rc = option_parse(option, r->config, text, why);
	if (rc == -EINVAL)
		return fail(r, node, "%s", why);
	if (rc == 0 && option->offset == offsetof(struct config, policy_midstream))
		r->config->midstream_policy_set = true;
	return rc;
}

static int read_option(struct reader *r, const struct config_option *option, const yaml_node_t *node)
{
	if (node->type == YAML_SCALAR_NODE) {
		if (option->type == OPTION_LIST)
			string_list_clear((struct string_list *)((char *)r->config + option->offset));
		return set_option(r, option, node, scalar(node));
	}
	if (node->type == YAML_MAPPING_NODE)
		return fail(r, node, "%s is a value, not a section", option->name);
	if (option->type == OPTION_PORTS) {
		int rc = join_list(r, node);
		return rc != 0 ? rc : set_option(r, option, node, r->value);
	}
	if (option->type != OPTION_LIST)
		return fail(r, node, "%s is one value, not a list", option->name);
	string_list_clear((struct string_list *)((char *)r->config + option->offset));
	for (const yaml_node_item_t *i = node->data.sequence.items.start; i < node->data.sequence.items.top; i++) {
		const yaml_node_t *item = yaml_document_get_node(r->document, *i);
		if (!scalar(item))
			return fail(r, item, "%s lists values, not %s", option->name, node_kind(item));
		int rc = set_option(r, option, item, scalar(item));
		if (rc != 0)
			return rc;
	}
	return 0;
}

static bool given_before(struct reader *r, const yaml_node_t *map, const yaml_node_pair_t *pair)
{
	const char *name = scalar(yaml_document_get_node(r->document, pair->key));
	for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < pair; p++) {
		const char *other = scalar(yaml_document_get_node(r->document, p->key));
		if (other && strcmp(other, name) == 0)
			return true;
	}
	return false;
}

static int read_section(struct reader *r, const yaml_node_t *node, const char *prefix, unsigned depth)
{
	if (depth > CONFIG_DEPTH_MAX)
		return fail(r, node, "sections are nested too deep");
	for (const yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top; p++) {
		const yaml_node_t *key = yaml_document_get_node(r->document, p->key);
		const yaml_node_t *value = yaml_document_get_node(r->document, p->value);
		char name[CONFIG_NAME_MAX];
		if (!scalar(key))
			return fail(r, key, "an option's name must be a word");
		int n = snprintf(name, sizeof(name), "%s%s%s", prefix, prefix[0] ? "." : "", scalar(key));
		if (n < 0 || n >= (int)sizeof(name))
			return fail(r, key, "the option's name is too long");
		if (given_before(r, node, p))
			return fail(r, key, "%s is given twice", name);
		const struct config_option *option = option_find(name);
		int rc;
		if (option)
			rc = read_option(r, option, value);
		else if (strcmp(name, "vars") == 0)
			rc = read_vars(r, value);
		else if (!option_is_section(name))
			rc = fail(r, key, "unknown option \"%s\" (sekisho help config lists all)", name);
		else if (value->type == YAML_SCALAR_NODE && value->data.scalar.length == 0)
			rc = 0; /* an empty section */
		else if (value->type != YAML_MAPPING_NODE)
			rc = fail(r, value, "%s is a section, not %s", name, node_kind(value));
		else
			rc = read_section(r, value, name, depth + 1);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int read_document(struct config *config, yaml_document_t *document, const char *path, char *error)
{
	yaml_node_t *root = yaml_document_get_root_node(document);
	if (!root || (root->type == YAML_SCALAR_NODE && root->data.scalar.length == 0))
		return 0; /* an empty file is all defaults */
	struct reader *r = malloc(sizeof(*r));
	if (!r)
		return -ENOMEM;
	*r = (struct reader){.config = config, .path = path, .document = document, .error = error};
	int rc = root->type == YAML_MAPPING_NODE ? read_section(r, root, "", 0)
						 : fail(r, root, "the file must be a section, not %s", node_kind(root));
	free(r);
	return rc;
}

/* All of the file, which may be a pipe; NULL with `error` and *rc set. */
static unsigned char *read_file(const char *path, size_t *len, int *rc, char *error)
{
	unsigned char *text = NULL;
	FILE *file = fopen(path, "rbe");
	*rc = file ? 0 : -errno;
	if (file && !(text = malloc(CONFIG_FILE_MAX + 1)))
		*rc = -ENOMEM;
	if (text) {
		*len = fread(text, 1, CONFIG_FILE_MAX + 1, file);
		*rc = ferror(file) ? -errno : *len > CONFIG_FILE_MAX ? -EFBIG : 0;
	}
	if (file)
		fclose(file);
	if (*rc == 0)
		return text;
	if (*rc == -EFBIG)
		snprintf(error, CONFIG_ERROR_MAX, "%s: longer than %u bytes", path, CONFIG_FILE_MAX);
	else
		snprintf(error, CONFIG_ERROR_MAX, "%s: %s", path, strerror(-*rc));
	free(text);
	return NULL;
}

/* Refuses what is nested too deep before libyaml builds a tree of it, for which it takes time by the square of the depth.
 * Other errors are left for the building to tell. */
static int check_nesting(const unsigned char *text, size_t len, const char *path, char *error)
{
	yaml_parser_t parser;
	yaml_event_t event;
	unsigned depth = 0;
	bool more = true;
	int rc = 0;
	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&parser, text, len);
	while (more && rc == 0 && yaml_parser_parse(&parser, &event)) {
		if (event.type == YAML_MAPPING_START_EVENT || event.type == YAML_SEQUENCE_START_EVENT)
			depth++;
		else if (event.type == YAML_MAPPING_END_EVENT || event.type == YAML_SEQUENCE_END_EVENT)
			depth--;
		if (depth > CONFIG_DEPTH_MAX) {
			snprintf(error, CONFIG_ERROR_MAX, "%s:%zu: sections are nested too deep", path,
				 event.start_mark.line + 1);
			rc = -EINVAL;
		}
		more = event.type != YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return rc;
}

static int load_text(struct config *config, const unsigned char *text, size_t len, const char *path, char *error)
{
	yaml_parser_t parser;
	yaml_document_t document;
	int rc = check_nesting(text, len, path, error);
	if (rc != 0)
		return rc;
	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&parser, text, len);
	if (yaml_parser_load(&parser, &document)) {
		rc = read_document(config, &document, path, error);
		yaml_document_delete(&document);
	} else {
		snprintf(error, CONFIG_ERROR_MAX, "%s:%zu: %s", path, parser.problem_mark.line + 1,
			 parser.problem ? parser.problem : "cannot be read");
		rc = -EINVAL;
	}
	yaml_parser_delete(&parser);
	return rc;
}

int config_load(struct config *config, const char *path, char error[static CONFIG_ERROR_MAX])
{
	size_t len = 0;
	int rc;
	unsigned char *text = read_file(path, &len, &rc, error);
	if (!text)
		return rc;
	free(config->path);
	config->path = strdup(path);
	rc = load_text(config, text, len, path, error);
	free(text);
	if (rc == -ENOMEM)
		snprintf(error, CONFIG_ERROR_MAX, "%s: %s", path, strerror(ENOMEM));
	return rc;
}

static int assign(struct config *config, const char *assignment, bool add, char *error)
{
	const char *equals = strchr(assignment, '=');
	char name[CONFIG_NAME_MAX];
	if (!equals || equals == assignment || (size_t)(equals - assignment) >= sizeof(name)) {
		snprintf(error, CONFIG_ERROR_MAX, "--set %s: expected name=value", assignment);
		return -EINVAL;
	}
	memcpy(name, assignment, (size_t)(equals - assignment));
	name[equals - assignment] = '\0';
	const struct config_option *option = option_find(name);
	if (!option) {
		snprintf(error, CONFIG_ERROR_MAX, "--set: unknown option \"%s\" (sekisho help config lists all)", name);
		return -EINVAL;
	}
	if (option->offset == offsetof(struct config, policy_midstream))
		config->midstream_policy_set = true;
	if (option->type == OPTION_LIST && !add)
		string_list_clear((struct string_list *)((char *)config + option->offset));
	char why[CONFIG_ERROR_MAX];
	int rc = option_parse(option, config, equals + 1, why);
	if (rc == -EINVAL)
		snprintf(error, CONFIG_ERROR_MAX, "--set %.300s", why);
	return rc;
}

int config_set(struct config *config, const char *assignment, char error[static CONFIG_ERROR_MAX])
{
	return assign(config, assignment, false, error);
}

int config_add(struct config *config, const char *assignment, char error[static CONFIG_ERROR_MAX])
{
	return assign(config, assignment, true, error);
}

/* --- what depends on other options ---------------------------------------------------------------------------------- */

static enum exception_policy settle(const struct config *config, int own, bool has_flow, bool midstream)
{
	int policy = own != POLICY_AUTO ? own : config->policy;
	if (policy == POLICY_AUTO)
		policy = config->inline_mode && !midstream ? EXCEPTION_DROP_FLOW : EXCEPTION_IGNORE;
	if (!config->inline_mode && (policy == EXCEPTION_DROP_FLOW || policy == EXCEPTION_DROP_PACKET))
		policy = EXCEPTION_IGNORE; /* a passive sensor drops nothing, and what it sees on is worth more */
	if (!has_flow) {
		if (policy == EXCEPTION_DROP_FLOW)
			policy = EXCEPTION_DROP_PACKET;
		if (policy == EXCEPTION_PASS_FLOW || policy == EXCEPTION_BYPASS)
			policy = EXCEPTION_PASS_PACKET;
	}
	return (enum exception_policy)policy;
}

int config_finish(struct config *config, char error[static CONFIG_ERROR_MAX])
{
	int midstream = config->policy_midstream;
	if (config->stream.midstream && config->midstream_policy_set && midstream > EXCEPTION_IGNORE &&
	    midstream != EXCEPTION_PASS_FLOW) {
		snprintf(error, CONFIG_ERROR_MAX,
			 "%s: stream.midstream-policy: with stream.midstream it can be ignore, pass-flow or auto",
			 config->path ? config->path : "--set");
		return -EINVAL;
	}
	struct live_config *live = &config->live;
	live->io.afxdp.ports = (const char *const *)live->afxdp_ports.items;
	live->io.afxdp.port_count = live->afxdp_ports.count;
	live->io.dpdk.ports = (const char *const *)live->dpdk_ports.items;
	live->io.dpdk.port_count = live->dpdk_ports.count;
	live->io.dpdk.eal = live->dpdk_eal;
	live->io.nfq.chains = (const char *const *)live->nfq_chains.items;
	live->io.nfq.chain_count = live->nfq_chains.count;
	config->decode.check_checksums = config->checksum_validation;
	config->stream.midstream_policy = settle(config, midstream, true, config->stream.midstream);
	config->stream.memcap_policy = settle(config, config->policy_stream_memcap, true, false);
	config->flow.memcap_policy = settle(config, config->policy_flow_memcap, false, false);
	config->defrag.memcap_policy = settle(config, config->policy_defrag_memcap, false, false);
	config->app.inspect_encrypted = config->encryption_handling == ENCRYPTION_FULL;
	config->app.error_policy = settle(config, config->policy_app_error, true, false);
	config->app.memcap_policy = settle(config, config->policy_app_memcap, true, false);
	return 0;
}

/* --- a configuration that takes another one's place -------------------------------------------------------------------- */

static size_t value_size(const struct config_option *option)
{
	switch (option->type) {
	case OPTION_BOOL:
		return sizeof(bool);
	case OPTION_U8:
		return sizeof(uint8_t);
	case OPTION_U16:
		return sizeof(uint16_t);
	case OPTION_U32:
	case OPTION_BYTES32:
		return sizeof(uint32_t);
	case OPTION_CHOICE:
		return sizeof(int);
	case OPTION_PORTS:
		return sizeof(uint16_t) * DECODE_PORTS_MAX;
	default:
		return sizeof(uint64_t);
	}
}

static bool lists_differ(const struct string_list *a, const struct string_list *b)
{
	bool differ = a->count != b->count;
	for (size_t i = 0; i < a->count && !differ; i++)
		differ = strcmp(a->items[i], b->items[i]) != 0;
	return differ;
}

/* Gives `next` the value of `now`; whether it had another one. */
static bool keep_value(const struct config_option *option, struct config *next, const struct config *now)
{
	void *to = (char *)next + option->offset;
	const void *from = (const char *)now + option->offset;
	bool differ;
	if (option->type == OPTION_LIST) {
		const struct string_list *list = from;
		differ = lists_differ(to, from);
		string_list_clear(to);
		for (size_t i = 0; i < list->count; i++)
			string_list_add(to, list->items[i]);
	} else if (option->type == OPTION_STRING || option->type == OPTION_PATH) {
		char **text = to, *const *kept = from;
		differ = strcmp(*text ? *text : "", *kept ? *kept : "") != 0;
		free(*text);
		*text = *kept ? strdup(*kept) : NULL;
	} else {
		differ = memcmp(to, from, value_size(option)) != 0;
		memcpy(to, from, value_size(option));
	}
	return differ;
}

void config_keep(struct config *next, const struct config *now, char *names, size_t size)
{
	char error[CONFIG_ERROR_MAX];
	size_t at = 0;
	names[0] = '\0';
	for (size_t i = 0; i < config_option_count; i++) {
		const struct config_option *option = &config_options[i];
		if (option->live || !keep_value(option, next, now))
			continue;
		int n = snprintf(names + at, size - at, "%s%s", at ? ", " : "", option->name);
		if (n > 0 && at + (size_t)n < size)
			at += (size_t)n;
	}
	names[at] = '\0';
	next->live.io.workers = now->live.io.workers;
	config_finish(next, error);
}
