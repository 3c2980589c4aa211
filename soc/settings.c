/* SPDX-License-Identifier: BSD-3-Clause */
#include "settings.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define FILE_BYTES_MAX (256u << 10)
#define DEPTH_MAX      3

enum type { TEXT, YES, NUMBER, SECONDS, BYTES, ADDRESSES };

static const struct setting {
	const char *name;
	enum type type;
	size_t at, size; /* in struct settings */
	const char *standard, *help;
} table[] = {
#define FIELD(field) offsetof(struct settings, field), sizeof(((struct settings *)0)->field)
	{"listen", TEXT, FIELD(listen), "0.0.0.0:8443", "address and port that devices and people come to"},
	{"addresses", ADDRESSES, FIELD(addresses), "[]", "https://HOST:PORT that a new device is told, in order"},
	{"store", TEXT, FIELD(store), "", "the store's file; empty: soc.db beside this file"},
	{"triage", TEXT, FIELD(triage), "", "a file with rules of triage; empty: those that come with the program"},
	{"retention.days", NUMBER, FIELD(retention_days), "400", "records are kept so long; 0: for ever"},
	{"retention.size", BYTES, FIELD(retention_bytes), "0", "the store may grow so far, as 200gb; 0: no limit"},
	{"events.window", SECONDS, FIELD(event_window_s), "10m", "an event ends when no record joins it for so long"},
	{"events.longest", SECONDS, FIELD(event_longest_s), "24h", "an event ends at this age in any case"},
	{"incidents.quiet", SECONDS, FIELD(incident_quiet_s), "24h", "evidence after so long is a new incident"},
	{"limits.connections", NUMBER, FIELD(connections), "1024", "at once"},
	{"limits.connections-per-address", NUMBER, FIELD(connections_per_address), "64", "at once"},
	{"limits.threads", NUMBER, FIELD(threads), "0", "that serve; 0: one a core"},
	{"limits.records-per-second", NUMBER, FIELD(rate_records), "100000", "of one device, in the long run"},
	{"limits.records-burst", NUMBER, FIELD(rate_burst), "2000000", "that one device may be ahead"},
	{"mail.server", TEXT, FIELD(mail_server), "", "smtp://HOST:PORT or smtps://HOST:PORT; empty: no mail is sent"},
	{"mail.from", TEXT, FIELD(mail_from), "sekisho-soc@localhost", "the sender's address"},
	{"mail.starttls", YES, FIELD(mail_starttls), "yes",
	 "smtp:// only with TLS (yes), or where the server has it (no)"},
	{"mail.user", TEXT, FIELD(mail_user), "", "to log in with; empty: none"},
	{"mail.password-file", TEXT, FIELD(mail_password_file), "", "its first line is the password"},
#undef FIELD
};
#define SETTINGS (sizeof(table) / sizeof(table[0]))

/* --- values ------------------------------------------------------------------------------------------------------------ */

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit *units_of(enum type type)
{
	static const struct unit none[] = {{"", 1}, {NULL, 0}};
	static const struct unit seconds[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {NULL, 0}};
	static const struct unit bytes[] = {
		{"", 1}, {"kb", 1u << 10}, {"mb", 1u << 20}, {"gb", 1ull << 30}, {"tb", 1ull << 40}, {NULL, 0}};
	return type == SECONDS ? seconds : type == BYTES ? bytes : none;
}

static bool read_number(const char *text, enum type type, uint64_t *value)
{
	char *end;
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, &end, 10);
	if (errno)
		return false;
	for (const struct unit *u = units_of(type); u->name; u++)
		if (strcmp(end, u->name) == 0) {
			if (*value > INT64_MAX / u->factor / 1000000)
				return false;
			*value *= u->factor;
			return true;
		}
	return false;
}

static bool set_value(struct settings *settings, const struct setting *s, const char *text)
{
	char *at = (char *)settings + s->at;
	if (s->type == YES) {
		bool yes = strcmp(text, "yes") == 0 || strcmp(text, "true") == 0;
		*(bool *)at = yes;
		return yes || strcmp(text, "no") == 0 || strcmp(text, "false") == 0;
	}
	if (s->type != TEXT)
		return read_number(text, s->type, (uint64_t *)(void *)at);
	if (strlen(text) >= s->size)
		return false;
	strcpy(at, text);
	return true;
}

/* --- the file ---------------------------------------------------------------------------------------------------------- */

struct reading {
	struct settings *settings;
	yaml_document_t document;
	char *error;
};

static int wrong(const struct reading *r, const yaml_node_t *node, const char *name, const char *what)
{
	snprintf(r->error, SETTINGS_ERROR_MAX, "%.200s:%zu: %.60s: %.160s", r->settings->path,
		 node->start_mark.line + 1, name, what);
	return -EINVAL;
}

static int read_addresses(struct reading *r, const yaml_node_t *node)
{
	static const char must[] = "a list of up to 8 as https://soc.example:8443";
	if (node->type != YAML_SEQUENCE_NODE)
		return wrong(r, node, "addresses", must);
	for (yaml_node_item_t *i = node->data.sequence.items.start; i < node->data.sequence.items.top; i++) {
		const yaml_node_t *item = yaml_document_get_node(&r->document, *i);
		const char *text = item->type == YAML_SCALAR_NODE ? (const char *)item->data.scalar.value : "";
		if (strncmp(text, "https://", 8) != 0 || strlen(text) >= sizeof(r->settings->addresses[0]) ||
		    r->settings->address_count == SETTINGS_ADDRESSES_MAX || strpbrk(text + 8, "\"'\\ \t\n"))
			return wrong(r, item, "addresses", must);
		strcpy(r->settings->addresses[r->settings->address_count++], text);
	}
	return 0;
}

static int read_setting(struct reading *r, const char *name, const yaml_node_t *key, const yaml_node_t *value)
{
	const struct setting *s = NULL;
	for (size_t i = 0; i < SETTINGS && !s; i++)
		s = strcmp(table[i].name, name) == 0 ? &table[i] : NULL;
	if (!s)
		return wrong(r, key, name, "there is no such setting; see: sekisho-soc help settings");
	if (s->type == ADDRESSES)
		return read_addresses(r, value);
	if (value->type != YAML_SCALAR_NODE ||
	    strlen((const char *)value->data.scalar.value) != value->data.scalar.length ||
	    !set_value(r->settings, s, (const char *)value->data.scalar.value))
		return wrong(r, value, name,
			     s->type == YES	  ? "yes or no"
			     : s->type == TEXT	  ? "a text"
			     : s->type == SECONDS ? "a time as 30s, 10m, 24h, 7d"
			     : s->type == BYTES	  ? "a size as 500mb, 200gb"
						  : "a number");
	return 0;
}

static int read_mapping(struct reading *r, const yaml_node_t *node, const char *prefix, int depth)
{
	if (node->type != YAML_MAPPING_NODE || depth > DEPTH_MAX)
		return wrong(r, node, *prefix ? prefix : "the file", "settings are NAME: VALUE");
	for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top; p++) {
		const yaml_node_t *key = yaml_document_get_node(&r->document, p->key);
		const yaml_node_t *value = yaml_document_get_node(&r->document, p->value);
		char name[128];
		if (key->type != YAML_SCALAR_NODE)
			return wrong(r, key, prefix, "a name is a word");
		int n = snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix ? "." : "",
				 (const char *)key->data.scalar.value);
		if (n < 0 || (size_t)n >= sizeof(name))
			return wrong(r, key, prefix, "the name is too long");
		int rc = value->type == YAML_MAPPING_NODE ? read_mapping(r, value, name, depth + 1)
							  : read_setting(r, name, key, value);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int read_file(struct reading *r, FILE *file)
{
	yaml_parser_t parser;
	static unsigned char text[FILE_BYTES_MAX];
	size_t len = fread(text, 1, sizeof(text), file);
	int rc = 0;
	if (ferror(file) || len == sizeof(text)) {
		snprintf(r->error, SETTINGS_ERROR_MAX, "%.400s: it cannot be read, or is too long", r->settings->path);
		return -EIO;
	}
	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&parser, text, len);
	if (!yaml_parser_load(&parser, &r->document)) {
		snprintf(r->error, SETTINGS_ERROR_MAX, "%.300s:%zu: %.100s", r->settings->path,
			 parser.problem_mark.line + 1, parser.problem ? parser.problem : "not YAML");
		yaml_parser_delete(&parser);
		return -EINVAL;
	}
	const yaml_node_t *root = yaml_document_get_root_node(&r->document);
	if (root)
		rc = read_mapping(r, root, "", 1);
	yaml_document_delete(&r->document);
	yaml_parser_delete(&parser);
	return rc;
}

int settings_read(struct settings *settings, const char *folder, char error[static SETTINGS_ERROR_MAX])
{
	struct reading r = {.settings = settings, .error = error};
	memset(settings, 0, sizeof(*settings));
	for (size_t i = 0; i < SETTINGS; i++)
		if (table[i].type != ADDRESSES)
			set_value(settings, &table[i], table[i].standard);
	snprintf(settings->folder, sizeof(settings->folder), "%s", folder);
	int n = snprintf(settings->path, sizeof(settings->path), "%s/soc.yaml", folder);
	FILE *file = n > 0 && (size_t)n < sizeof(settings->path) ? fopen(settings->path, "re") : NULL;
	if (!file) {
		snprintf(error, SETTINGS_ERROR_MAX, "%.300s: %s; a new SOC is made by: sekisho-soc init",
			 settings->path, strerror(errno));
		return -errno;
	}
	int rc = read_file(&r, file);
	fclose(file);
	if (rc == 0 && !settings->store[0] &&
	    (size_t)snprintf(settings->store, sizeof(settings->store), "%.4080s/soc.db", folder) >=
		    sizeof(settings->store))
		rc = -ENAMETOOLONG;
	return rc;
}

void settings_help(FILE *out)
{
	fputs("Settings of soc.yaml (a name with a dot may be written nested):\n\n", out);
	for (size_t i = 0; i < SETTINGS; i++)
		fprintf(out, "  %-32s %s (default: %s)\n", table[i].name, table[i].help,
			table[i].standard[0] ? table[i].standard : "\"\"");
}
