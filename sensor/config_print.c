/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of options for people: the configuration as YAML, and the list of all options. */
#include <string.h>

#include "config.h"

/* One character of UTF-8 text: its length in bytes, and its number in *code. A byte that begins none stands for itself. */
static unsigned utf8_read(const char *text, unsigned *code)
{
	const uint8_t *at = (const uint8_t *)text;
	unsigned len = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : at[0] >= 0xc0 ? 2 : 1;
	*code = len == 1 ? at[0] : at[0] & (0x7fu >> len);
	for (unsigned i = 1; i < len; i++) {
		if ((at[i] & 0xc0) != 0x80) { /* the end of the text, too */
			*code = at[0];
			return 1;
		}
		*code = *code << 6 | (at[i] & 0x3f);
	}
	return len;
}

/* Whether YAML takes a character for itself between quotes: no control character, and none of those that it reads as the end of
 * a line or of the byte order. */
static bool stands_for_itself(unsigned code)
{
	return code >= 0x20 && (code < 0x7f || code > 0x9f) && code != 0x2028 && code != 0x2029 && code != 0xfeff &&
	       code != 0xfffe && code != 0xffff;
}

static void print_quoted(FILE *out, const char *text)
{
	fputc('"', out);
	while (*text) {
		unsigned code, len = utf8_read(text, &code);
		if (code == '"' || code == '\\')
			fputc('\\', out);
		if (stands_for_itself(code))
			fwrite(text, 1, len, out);
		else
			fprintf(out, code > 0xff ? "\\u%04x" : "\\x%02x", code);
		text += len;
	}
	fputc('"', out);
}

/* The names that rules can say are words; any other one needs quotes. */
static void print_name(FILE *out, const char *name)
{
	static const char word[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
	if (name[0] && strspn(name, word) == strlen(name))
		fputs(name, out);
	else
		print_quoted(out, name);
}

static void print_vars(FILE *out, const char *name, const struct config_vars *vars)
{
	fprintf(out, "  %s:\n", name);
	for (size_t i = 0; i < vars->count; i++) {
		fputs("    ", out);
		print_name(out, vars->items[i].name);
		fputs(": ", out);
		print_quoted(out, vars->items[i].value);
		fputc('\n', out);
	}
}

/* Opens the sections that this name is in and the one before was not. */
static unsigned open_sections(FILE *out, const char *name, const char *before)
{
	unsigned depth = 0;
	size_t start = 0;
	bool same = true;
	for (size_t i = 0; name[i]; i++) {
		if (name[i] != '.')
			continue;
		same = same && strncmp(name, before, i + 1) == 0;
		if (!same)
			fprintf(out, "%*s%.*s:\n", (int)depth * 2, "", (int)(i - start), name + start);
		depth++;
		start = i + 1;
	}
	fprintf(out, "%*s%s:", (int)depth * 2, "", name + start);
	return depth;
}

static bool is_quoted(const struct config_option *option)
{
	return option->type == OPTION_STRING || option->type == OPTION_PATH || option->type == OPTION_LIST;
}

void config_print(const struct config *config, FILE *out)
{
	const char *before = "";
	char buf[256];
	fprintf(out, "vars:\n");
	print_vars(out, "address-groups", &config->address_vars);
	print_vars(out, "port-groups", &config->port_vars);
	for (size_t i = 0; i < config_option_count; i++) {
		const struct config_option *option = &config_options[i];
		unsigned depth = open_sections(out, option->name, before);
		before = option->name;
		if (option->type == OPTION_LIST) {
			const char *item = option_text(option, config, 0, buf, sizeof(buf));
			fputs(item ? "\n" : " []\n", out);
			for (size_t n = 0; (item = option_text(option, config, n, buf, sizeof(buf))); n++) {
				fprintf(out, "%*s- ", (int)depth * 2 + 2, "");
				print_quoted(out, item);
				fputc('\n', out);
			}
			continue;
		}
		fputc(' ', out);
		const char *text = option_text(option, config, 0, buf, sizeof(buf));
		if (is_quoted(option))
			print_quoted(out, text);
		else
			fputs(text, out);
		fputc('\n', out);
	}
}

static const char *type_name(const struct config_option *option)
{
	switch (option->type) {
	case OPTION_BOOL:
		return "yes or no";
	case OPTION_SIZE:
	case OPTION_BYTES32:
	case OPTION_BYTES64:
		return "size (b, kb, mb, gb)";
	case OPTION_TIME:
		return "time (ms, s, min, h)";
	case OPTION_CHOICE:
		return "one of";
	case OPTION_STRING:
		return "text";
	case OPTION_PATH:
		return "file";
	case OPTION_LIST:
		return "list";
	case OPTION_PORTS:
		return "list of ports";
	default:
		return "number";
	}
}

static void print_limits(FILE *out, const struct config_option *option)
{
	struct config limits;
	char low[256], high[256];
	/* the limits are shown as the option itself would be: a scratch configuration holds each in turn */
	memset(&limits, 0, sizeof(limits));
	memcpy((char *)&limits + option->offset, &option->min, sizeof(option->min));
	const char *min = option_text(option, &limits, 0, low, sizeof(low));
	memcpy((char *)&limits + option->offset, &option->max, sizeof(option->max));
	const char *max = option_text(option, &limits, 0, high, sizeof(high));
	fprintf(out, ", %s to %s", min, max);
}

static void print_option(FILE *out, const struct config_option *option, const struct config *defaults)
{
	char buf[256];
	fprintf(out, "%s\n    %s\n    %s", option->name, option->help, type_name(option));
	if (option->choices)
		for (const struct option_choice *c = option->choices; c->name; c++)
			fprintf(out, "%s%s", c == option->choices ? ": " : ", ", c->name);
	else if (option->max > 0 && option->type != OPTION_PORTS)
		print_limits(out, option);
	fputs("; default ", out);
	const char *text = option_text(option, defaults, 0, buf, sizeof(buf));
	fprintf(out, "%s%s\n", text && text[0] ? text : "none", option->live ? "" : "; a change needs a restart");
}

void config_help(FILE *out)
{
	struct config defaults;
	if (config_init(&defaults, false) != 0)
		return;
	fputs("Options of sekisho.yaml. A dot is a level of nesting; --set NAME=VALUE takes the same names.\n\n"
	      "vars.address-groups, vars.port-groups\n"
	      "    variables of rules, name: value or list (HOME_NET: [10.0.0.0/8, 192.168.0.0/16])\n",
	      out);
	for (size_t i = 0; i < config_option_count; i++)
		print_option(out, &config_options[i], &defaults);
	config_free(&defaults);
}
