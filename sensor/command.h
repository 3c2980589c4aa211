/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What a subcommand gets and gives: exit codes, and the options that several have in common. */

#include <stdbool.h>
#include <stddef.h>

#include "config.h"

/* Where ctl looks when nobody says where. */
#define CONTROL_SOCKET "/run/sekisho/control.sock"

enum exit_code {
	EXIT_FINE = 0,
	EXIT_INPUT = 1, /* something is wrong with what was read: rules, captures, configuration */
	EXIT_USAGE = 2, /* the command line is wrong */
};

/* A list of pointers into argv. */
struct arg_list {
	const char **items;
	size_t count;
};
int arg_list_add(struct arg_list *list, const char *item);

/* Options that read rules and a configuration. */
struct common_args {
	const char *config_path;
	const char *cache_dir;
	struct arg_list rules; /* -S */
	struct arg_list sets;  /* --set */
	bool inline_mode, no_cache, strict, quiet, no_checksums;
};

/* The long options of common_args, to be put into a command's table; codes of its own begin at OPT_OWN. */
enum { OPT_SET = 256, OPT_NO_CACHE, OPT_CACHE_DIR, OPT_STRICT, OPT_OWN };
#define COMMON_OPTIONS                                                                                                 \
	{"config", required_argument, NULL, 'c'}, {"rules", required_argument, NULL, 'S'},                             \
		{"set", required_argument, NULL, OPT_SET}, {"no-cache", no_argument, NULL, OPT_NO_CACHE},              \
		{"cache-dir", required_argument, NULL, OPT_CACHE_DIR}, {"strict", no_argument, NULL, OPT_STRICT},      \
		{"quiet", no_argument, NULL, 'q'}, {"help", no_argument, NULL, 'h'},                                   \
	{                                                                                                              \
		NULL, 0, NULL, 0                                                                                       \
	}

/* Takes an option that getopt_long returned when it is one of COMMON_OPTIONS but help. Returns -1 to go on, else the exit
 * code; EXIT_USAGE, silently, when it is none of them. */
int common_option(int c, const char *arg, struct common_args *args);

/* Reads the configuration as the options say. 0, or -EINVAL and the like (told already); config_free is due either way. */
int common_config(const struct common_args *args, struct config *config);
/* The same with what is wrong in `why` (256 bytes) as well. */
int common_config_why(const struct common_args *args, struct config *config, char *why);
void common_free(struct common_args *args);

int cmd_run(int argc, char **argv);
int cmd_ctl(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_check(int argc, char **argv);
