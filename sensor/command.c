/* SPDX-License-Identifier: BSD-3-Clause */
#include "command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "terminal.h"

int arg_list_add(struct arg_list *list, const char *item)
{
	const char **items = realloc(list->items, (list->count + 1) * sizeof(*items));
	if (!items)
		return -ENOMEM;
	list->items = items;
	items[list->count++] = item;
	return 0;
}

int common_option(int c, const char *arg, struct common_args *args)
{
	switch (c) {
	case 'c':
		args->config_path = arg;
		return -1;
	case 'S':
		return arg_list_add(&args->rules, arg) == 0 ? -1 : EXIT_INPUT;
	case OPT_SET:
		return arg_list_add(&args->sets, arg) == 0 ? -1 : EXIT_INPUT;
	case OPT_NO_CACHE:
		args->no_cache = true;
		return -1;
	case OPT_CACHE_DIR:
		args->cache_dir = arg;
		return -1;
	case OPT_STRICT:
		args->strict = true;
		return -1;
	case 'q':
		args->quiet = true;
		return -1;
	default:
		return EXIT_USAGE;
	}
}

/* Whether an earlier --set named the same option: of a list each gives one value. */
static bool named_before(const struct arg_list *sets, size_t at)
{
	size_t len = strcspn(sets->items[at], "=") + 1;
	for (size_t i = 0; i < at; i++)
		if (strncmp(sets->items[i], sets->items[at], len) == 0)
			return true;
	return false;
}

int common_config_why(const struct common_args *args, struct config *config, char *why)
{
	char error[CONFIG_ERROR_MAX] = "out of memory";
	int rc = config_init(config, args->inline_mode);
	if (rc == 0 && args->config_path)
		rc = config_load(config, args->config_path, error);
	for (size_t i = 0; i < args->sets.count && rc == 0; i++)
		rc = (named_before(&args->sets, i) ? config_add : config_set)(config, args->sets.items[i], error);
	if (rc == 0 && args->no_checksums)
		config->checksum_validation = false;
	if (rc == 0)
		rc = config_finish(config, error);
	if (rc != 0) {
		say_error("%s", error);
		snprintf(why, 256, "%.255s", error);
	}
	return rc;
}

int common_config(const struct common_args *args, struct config *config)
{
	char why[256];
	return common_config_why(args, config, why);
}

void common_free(struct common_args *args)
{
	free(args->rules.items);
	free(args->sets.items);
}
