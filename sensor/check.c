/* SPDX-License-Identifier: BSD-3-Clause */
/* sekisho check: every error of a configuration and its rules, with file and line. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "rules_load.h"
#include "terminal.h"

struct check_args {
	struct common_args common;
	bool print_config, waiting, json, no_compile;
};

static void help(FILE *out)
{
	fputs("usage: sekisho check [-c FILE] [-S RULES]... [OPTION]...\n\n"
	      "Reads a configuration and its rules and says all that is wrong with them, with file and line.\n"
	      "Exit status: 0 nothing is wrong, 1 something is, 2 the command line is wrong.\n\n"
	      "  -c, --config FILE      configuration (sekisho.yaml)\n"
	      "  -S, --rules RULES      rules: a file, a folder or a glob; may be given again;\n"
	      "                         replaces rule-files of the configuration\n"
	      "      --set NAME=VALUE   override an option of the configuration; may be given again\n"
	      "      --inline           as the inline sensor would read it\n"
	      "      --print-config     show the configuration, every option with its value, and stop\n"
	      "      --waiting          list the rules that wait for something this sensor lacks\n"
	      "      --list-keywords    list the keywords of the rule language, and stop\n"
	      "      --no-compile       read the rules only\n"
	      "      --no-cache         neither read nor write compiled databases\n"
	      "      --cache-dir DIR    folder of compiled databases\n"
	      "      --strict           warnings are errors\n"
	      "  -q, --quiet            show errors only\n"
	      "      --json             the counts as one JSON object on standard output\n"
	      "  -h, --help             this\n\n"
	      "examples:\n"
	      "  sekisho check -c /etc/sekisho/sekisho.yaml\n"
	      "  sekisho check -S 'rules/*.rules' --waiting\n"
	      "  sekisho check -c sekisho.yaml --print-config > normalised.yaml\n",
	      out);
}

enum { OPT_INLINE = OPT_OWN, OPT_PRINT, OPT_WAITING, OPT_KEYWORDS, OPT_NO_COMPILE, OPT_JSON };

static const struct option long_options[] = {
	{"inline", no_argument, NULL, OPT_INLINE},
	{"print-config", no_argument, NULL, OPT_PRINT},
	{"waiting", no_argument, NULL, OPT_WAITING},
	{"list-keywords", no_argument, NULL, OPT_KEYWORDS},
	{"no-compile", no_argument, NULL, OPT_NO_COMPILE},
	{"json", no_argument, NULL, OPT_JSON},
	COMMON_OPTIONS,
};

static void show_keyword(void *user, const char *name, const char *text)
{
	(void)user;
	printf("%-28s %s\n", name, text ? text : "");
}

/* One option; -1 to go on, else the exit code. */
static int take_option(int c, struct check_args *a)
{
	switch (c) {
	case OPT_INLINE:
		a->common.inline_mode = true;
		return -1;
	case OPT_PRINT:
		a->print_config = true;
		return -1;
	case OPT_WAITING:
		a->waiting = true;
		return -1;
	case OPT_KEYWORDS:
		sigs_keywords(show_keyword, NULL);
		return EXIT_FINE;
	case OPT_NO_COMPILE:
		a->no_compile = true;
		return -1;
	case OPT_JSON:
		a->json = true;
		return -1;
	case 'h':
		help(stdout);
		return EXIT_FINE;
	default:
		return common_option(c, optarg, &a->common);
	}
}

static int parse_args(int argc, char **argv, struct check_args *a)
{
	int c, rc = -1;
	optind = 1;
	while (rc < 0 && (c = getopt_long(argc, argv, "c:S:qh", long_options, NULL)) != -1)
		rc = take_option(c, a);
	if (rc == EXIT_USAGE)
		fputs("sekisho check --help shows the options\n", stderr);
	if (rc >= 0)
		return rc;
	if (optind < argc) {
		say_error("check takes no \"%s\"; rules are given by -S", argv[optind]);
		return EXIT_USAGE;
	}
	return -1;
}

/* --- waiting rules, grouped by what they wait for -------------------------------------------------------------------- */

struct waiting_rule {
	char *what;
	char *file;
	unsigned line;
	uint32_t sid;
};

struct waiting_list {
	struct waiting_rule *items;
	size_t count, cap;
	bool failed;
};

static void on_waiting(void *user, const char *file, unsigned line, uint32_t sid, const char *what)
{
	struct waiting_list *list = user;
	if (list->count == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 1024;
		struct waiting_rule *grown = realloc(list->items, cap * sizeof(*grown));
		if (!grown) {
			list->failed = true;
			return;
		}
		list->items = grown;
		list->cap = cap;
	}
	list->items[list->count++] = (struct waiting_rule){
		.what = strdup(what), .file = strdup(file ? file : "?"), .line = line, .sid = sid};
}

static int by_what(const void *a, const void *b)
{
	const struct waiting_rule *x = a, *y = b;
	int order = strcmp(x->what ? x->what : "", y->what ? y->what : "");
	return order ? order : x->sid < y->sid ? -1 : x->sid > y->sid;
}

static void print_waiting(const struct rules *rules)
{
	struct waiting_list list = {0};
	sigs_builder_waiting(rules->builder, on_waiting, &list);
	qsort(list.items, list.count, sizeof(*list.items), by_what);
	for (size_t i = 0; i < list.count;) {
		size_t end = i;
		const char *what = list.items[i].what ? list.items[i].what : "?";
		while (end < list.count && list.items[end].what && strcmp(list.items[end].what, what) == 0)
			end++;
		if (end == i)
			end = i + 1;
		printf("%s%s%s: %zu rule%s\n", tone_on(stdout, TONE_WARNING), what, tone_off(stdout), end - i,
		       end - i == 1 ? "" : "s");
		for (; i < end; i++)
			printf("  %s:%u: sid %u\n", list.items[i].file ? list.items[i].file : "?", list.items[i].line,
			       list.items[i].sid);
	}
	for (size_t i = 0; i < list.count; i++) {
		free(list.items[i].what);
		free(list.items[i].file);
	}
	free(list.items);
	if (list.failed)
		say_error("out of memory: the list is not complete");
}

static void print_counts(const struct check_args *a, const struct rules *rules, bool good)
{
	const struct sigs_counts *n = &rules->counts;
	if (a->json) {
		printf("{\"files\":%u,\"loaded\":%u,\"waiting\":%u,\"failed\":%u,\"skipped\":%u,\"errors\":%u,"
		       "\"warnings\":%u}\n",
		       rules->files, n->loaded, n->waiting, n->failed, n->skipped, rules->errors, rules->warnings);
		return;
	}
	printf("%s%s%s: %u rule%s of %u file%s loaded, %u waiting, %u wrong, %u skipped; %u warning%s\n",
	       tone_on(stdout, good ? TONE_GOOD : TONE_ERROR), good ? "fine" : "wrong", tone_off(stdout), n->loaded,
	       n->loaded == 1 ? "" : "s", rules->files, rules->files == 1 ? "" : "s", n->waiting, n->failed, n->skipped,
	       rules->warnings, rules->warnings == 1 ? "" : "s");
}

static int check_rules(const struct check_args *a, const struct config *config)
{
	const struct rules_options rule_options = {
		.paths = a->common.rules.items,
		.path_count = a->common.rules.count,
		.cache_dir = a->common.cache_dir,
		.no_cache = a->common.no_cache,
		.quiet = a->common.quiet,
	};
	struct rules rules;
	int rc = rules_read(&rules, config, &rule_options);
	if (rc == 0 && a->waiting)
		print_waiting(&rules);
	if (rc == 0 && !a->no_compile)
		rc = rules_compile(&rules, config);
	bool good =
		rc == 0 && rules.errors == 0 && rules.counts.failed == 0 && !(a->common.strict && rules.warnings > 0);
	print_counts(a, &rules, good);
	rules_free(&rules);
	return good ? EXIT_FINE : EXIT_INPUT;
}

int cmd_check(int argc, char **argv)
{
	struct check_args a = {0};
	struct config config;
	int rc = parse_args(argc, argv, &a);
	if (rc >= 0)
		goto out;
	rc = EXIT_INPUT;
	if (common_config(&a.common, &config) == 0) {
		if (a.print_config) {
			config_print(&config, stdout);
			rc = EXIT_FINE;
		} else {
			rc = check_rules(&a, &config);
		}
	}
	config_free(&config);
out:
	common_free(&a.common);
	return rc;
}
