/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX 1024

/* --- text of others on a terminal ---------------------------------------------------------------------------------------- */

/* Control characters are shown as a dot: what an attacker wrote into a URL must not steer the terminal. C1 controls in UTF-8 (U+0080 to
 * U+009F) likewise. */
static void clean(const char *text, char *out, size_t size)
{
	size_t n = 0;
	for (const unsigned char *c = (const unsigned char *)text; *c && n + 2 < size; c++) {
		if (*c < 0x20 || *c == 0x7f) {
			out[n++] = '.';
		} else if (*c == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f) {
			out[n++] = '.';
			c++;
		} else {
			out[n++] = (char)*c;
		}
	}
	out[n] = 0;
}

/* Columns that a text takes: East Asian characters take two. */
static int width_of(const char *text)
{
	int width = 0;
	for (const unsigned char *c = (const unsigned char *)text; *c; c++)
		if ((*c & 0xc0) != 0x80)
			width += *c >= 0xe3 && *c <= 0xed ? 2 : 1;
	return width;
}

/* The longest beginning that takes no more than `width` columns. */
static int cut(const char *text, int width)
{
	int taken = 0, len = 0;
	while (text[len]) {
		unsigned char c = (unsigned char)text[len];
		int wide = c >= 0xe3 && c <= 0xed ? 2 : 1, bytes = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
		if (taken + wide > width)
			break;
		taken += wide;
		for (; bytes > 0 && text[len]; bytes--)
			len++;
	}
	return len;
}

static const char *colour_of(FILE *out, const char *severity)
{
	if (!isatty(fileno(out)) || getenv("NO_COLOR"))
		return "";
	if (strcmp(severity, "emergency") == 0)
		return "\033[1;37;41m";
	if (strcmp(severity, "critical") == 0)
		return "\033[1;31m";
	return strcmp(severity, "warning") == 0 ? "\033[33m" : "";
}

/* --- values -------------------------------------------------------------------------------------------------------------- */

static const json_t *member(const json_t *object, const char *path)
{
	char name[64];
	while (object && *path) {
		size_t len = strcspn(path, ".");
		snprintf(name, sizeof(name), "%.*s", (int)len, path);
		object = json_object_get(object, name);
		path += len + (path[len] == '.');
	}
	return object;
}

static void text_of(const json_t *value, char *text, size_t size)
{
	if (json_is_string(value))
		clean(json_string_value(value), text, size);
	else if (json_is_integer(value))
		snprintf(text, size, "%lld", (long long)json_integer_value(value));
	else if (json_is_real(value))
		snprintf(text, size, "%.1f", json_real_value(value));
	else if (json_is_boolean(value))
		snprintf(text, size, "%s", json_is_true(value) ? "yes" : "no");
	else
		snprintf(text, size, "-");
}

/* 2026-11-24T05:00:00.000Z is too long for a table. */
static void shorten_time(char *text)
{
	if (strlen(text) >= 19 && text[10] == 'T') {
		text[10] = ' ';
		text[19] = 0;
	}
}

static void print_cell(FILE *out, const struct column *column, const json_t *item)
{
	char text[TEXT_MAX];
	bool severity = strcmp(column->member, "severity") == 0;
	text_of(member(item, column->member), text, sizeof(text));
	if (strcmp(column->title, "TIME") == 0 || strcmp(column->title, "LAST") == 0)
		shorten_time(text);
	if (column->width == 0) {
		fputs(text, out);
		return;
	}
	const char *colour = severity ? colour_of(out, text) : "";
	int len = cut(text, column->width);
	text[len] = 0;
	fprintf(out, "%s%s%s%*s  ", colour, text, *colour ? "\033[0m" : "", column->width - width_of(text), "");
}

void ctl_table(FILE *out, const struct column *columns, const json_t *items, bool head)
{
	size_t i;
	json_t *item;
	if (head) {
		for (const struct column *c = columns; c->title; c++)
			fprintf(out, c->width ? "%-*s  " : "%-*s", c->width, c->title);
		fputc('\n', out);
	}
	json_array_foreach(items, i, item)
	{
		for (const struct column *c = columns; c->title; c++)
			print_cell(out, c, item);
		fputc('\n', out);
	}
}

/* --- one thing ----------------------------------------------------------------------------------------------------------- */

void ctl_object(FILE *out, json_t *object, int indent)
{
	const char *name;
	char text[TEXT_MAX];
	json_t *value;
	size_t i;
	json_object_foreach(object, name, value)
	{
		if (json_is_object(value)) {
			fprintf(out, "%*s%s:\n", indent, "", name);
			ctl_object(out, value, indent + 2);
		} else if (json_is_array(value)) {
			fprintf(out, "%*s%s:\n", indent, "", name);
			json_t *item;
			json_array_foreach(value, i, item)
			{
				char *dump = json_is_string(item) ? NULL : json_dumps(item, JSON_ENCODE_ANY);
				clean(dump		     ? dump
				      : json_is_string(item) ? json_string_value(item)
							     : "",
				      text, sizeof(text));
				fprintf(out, "%*s- %s\n", indent + 2, "", text);
				free(dump);
			}
		} else if (json_is_string(value) && strlen(json_string_value(value)) >= TEXT_MAX) {
			/* a record's whole line */
			char *whole = malloc(strlen(json_string_value(value)) + 4);
			if (whole)
				clean(json_string_value(value), whole, strlen(json_string_value(value)) + 4);
			fprintf(out, "%*s%-16s %s\n", indent, "", name, whole ? whole : "");
			free(whole);
		} else {
			text_of(value, text, sizeof(text));
			fprintf(out, "%*s%-16s %s\n", indent, "", name, text);
		}
	}
}

static const char *language(void)
{
	const char *lang = getenv("LANG");
	return lang && strncmp(lang, "ja", 2) == 0 ? "ja" : "en";
}

static void print_lines(FILE *out, const char *title, const json_t *lines)
{
	size_t i;
	json_t *line;
	char text[TEXT_MAX];
	if (!json_array_size(lines))
		return;
	fprintf(out, "\n%s\n", title);
	json_array_foreach(lines, i, line)
	{
		text_of(line, text, sizeof(text));
		fprintf(out, "  - %s\n", text);
	}
}

static void print_history(FILE *out, const json_t *history)
{
	char time[TEXT_MAX], kind[TEXT_MAX], who[TEXT_MAX], text[TEXT_MAX];
	fputs("\nHistory (newest first)\n", out);
	size_t i;
	json_t *line;
	json_array_foreach(history, i, line)
	{
		text_of(json_object_get(line, "time"), time, sizeof(time));
		text_of(json_object_get(line, "kind"), kind, sizeof(kind));
		text_of(json_object_get(line, "who"), who, sizeof(who));
		text_of(json_object_get(json_object_get(line, "text"), language()), text, sizeof(text));
		shorten_time(time);
		fprintf(out, "  %s  %-12s %s%s%s\n", time, kind, who, *who ? ": " : "", text);
	}
}

void ctl_incident(FILE *out, const json_t *incident)
{
	static const struct column hosts[] = {{"HOST", "address", 24},
					      {"ROLE", "role", 10},
					      {"NAME", "name", 20},
					      {"LAST", "last", 19},
					      {NULL, NULL, 0}};
	static const char *const members[] = {"id",   "severity", "state",	  "assignee",	 "opened", "first",
					      "last", "clock",	  "record_count", "event_count", "blocked"};
	char text[TEXT_MAX];
	text_of(json_object_get(json_object_get(incident, "title"), language()), text, sizeof(text));
	fprintf(out, "%s\n\n", text);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		text_of(json_object_get(incident, members[i]), text, sizeof(text));
		if (*text && strcmp(text, "-") != 0)
			fprintf(out, "  %-14s %s\n", members[i], text);
	}
	print_lines(out, "Why", json_object_get(json_object_get(incident, "why"), language()));
	print_lines(out, "What to do", json_object_get(json_object_get(incident, "measures"), language()));
	fputs("\nHosts\n", out);
	ctl_table(out, hosts, json_object_get(incident, "hosts"), true);
	print_history(out, json_object_get(incident, "history"));
}
