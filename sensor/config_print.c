/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of options for people: the configuration as YAML, and the list of all options. */
#include <string.h>

#include "config.h"

static void print_quoted(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void print_vars(FILE *out, const char *name, const struct config_vars *vars)
{
	fprintf(out, "  %s:\n", name);
	for (size_t i = 0; i < vars->count; i++) {
		fprintf(out, "    %s: ", vars->items[i].name);
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
