/* SPDX-License-Identifier: BSD-3-Clause */
/* Fills the names in the phrases of rules. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "triage_rules.h"

#define LISTED 5 /* addresses or ports that a sentence names */

enum name {
	NAME_COUNT,
	NAME_PASSED,
	NAME_BLOCKED,
	NAME_SOURCE,
	NAME_TARGET,
	NAME_TARGETS,
	NAME_TARGET_LIST,
	NAME_PORTS,
	NAME_CLASS,
	NAME_SIGNATURE,
	NAME_DURATION,
	NAME_HOST
};

static const char *const names[] = {"count",	   "passed", "blocked", "source",    "target",	 "targets",
				    "target_list", "ports",  "class",	"signature", "duration", "host"};

static int name_at(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0)
			return (int)i;
	return -1;
}

bool triage_phrase_name(const char *name, size_t len)
{
	return name_at(name, len) >= 0;
}

static void print_host(FILE *out, const struct address *address, const struct assets *assets)
{
	char text[ADDRESS_TEXT_MAX];
	const struct asset *asset = assets_find(assets, address);
	fputs(address_text(address, text), out);
	if (asset && asset->name[0])
		fprintf(out, " (%s)", asset->name);
}

static void print_targets(FILE *out, const struct event *event, const struct assets *assets)
{
	unsigned listed = 0;
	for (unsigned i = 0; i < event->target_count && listed < LISTED; i++)
		if (triage_befell(event, &event->targets[i])) {
			fputs(listed++ ? ", " : "", out);
			print_host(out, &event->targets[i].address, assets);
		}
	if (event_targets(event) > listed)
		fputs(" ...", out);
}

static void print_ports(FILE *out, const struct event *event)
{
	for (unsigned i = 0; i < event->port_count && i < LISTED; i++)
		fprintf(out, "%s%u", i ? ", " : "", event->ports[i]);
	if (event->port_count > LISTED)
		fputs(" ...", out);
	else if (event->port_count == 0)
		fputs("-", out);
}

static void print_duration(FILE *out, const struct event *event)
{
	int64_t seconds = event->last > event->first ? (event->last - event->first) / 1000000 : 0;
	if (seconds < 120)
		fprintf(out, "%lld s", (long long)seconds);
	else if (seconds < 7200)
		fprintf(out, "%lld min", (long long)seconds / 60);
	else
		fprintf(out, "%lld h", (long long)seconds / 3600);
}

static void print_name(FILE *out, int name, const struct event *event, const struct assets *assets,
		       const struct address *host)
{
	uint64_t blocked = event->verdicts[VERDICT_BLOCKED];
	switch (name) {
	case NAME_COUNT:
		fprintf(out, "%llu", (unsigned long long)event->count);
		break;
	case NAME_PASSED:
		fprintf(out, "%llu", (unsigned long long)(event->count > blocked ? event->count - blocked : 0));
		break;
	case NAME_BLOCKED:
		fprintf(out, "%llu", (unsigned long long)blocked);
		break;
	case NAME_SOURCE:
		print_host(out, &event->source, assets);
		break;
	case NAME_TARGET:
		if (event->target_count)
			print_host(out, &event->targets[0].address, assets);
		break;
	case NAME_TARGETS:
		fprintf(out, "%llu", (unsigned long long)event_targets(event));
		break;
	case NAME_TARGET_LIST:
		print_targets(out, event, assets);
		break;
	case NAME_PORTS:
		print_ports(out, event);
		break;
	case NAME_CLASS:
		fputs(event->class, out);
		break;
	case NAME_SIGNATURE:
		fputs(event->signature_count ? event->signatures[0].message : event->class, out);
		break;
	case NAME_DURATION:
		print_duration(out, event);
		break;
	case NAME_HOST:
		print_host(out, host ? host : &event->source, assets);
		break;
	default:
		break;
	}
}

/* The length of the UTF-8 sequence that begins here; 0: it is none. */
static unsigned sequence(const unsigned char *at)
{
	unsigned len = at[0] < 0x80 ? 1 : at[0] >= 0xc2 && at[0] < 0xe0 ? 2 : (at[0] & 0xf0) == 0xe0 ? 3 : 4;
	if (len == 1)
		return 1;
	if (at[0] < 0xc2 || at[0] > 0xf4)
		return 0;
	for (unsigned i = 1; i < len; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] >= 0xa0) || (at[0] == 0xf0 && at[1] < 0x90) ||
	    (at[0] == 0xf4 && at[1] >= 0x90))
		return 0;
	return len;
}

char *triage_clean(char *text)
{
	for (unsigned char *at = (unsigned char *)text; *at;) {
		unsigned len = sequence(at);
		if (len == 0)
			*at++ = '?';
		at += len;
	}
	return text;
}

char *triage_fill(const char *phrase, const struct event *event, const struct assets *assets,
		  const struct address *host)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	if (!out)
		return NULL;
	while (phrase && *phrase) {
		const char *end = strncmp(phrase, "%{", 2) == 0 ? strchr(phrase, '}') : NULL;
		if (end) {
			print_name(out, name_at(phrase + 2, (size_t)(end - phrase - 2)), event, assets, host);
			phrase = end + 1;
		} else {
			fputc(*phrase++, out);
		}
	}
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return triage_clean(text);
}
