/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * From the configuration and -S options to a compiled rule set: finds and reads the files, hands their text to sigs, keeps
 * the cache of compiled databases, prints what sigs has to say. Main thread, before the workers start.
 */

#include <sigs/sigs.h>

#include "config.h"
#include "geoip.h"

struct rules_options {
	const char *const *paths; /* of -S: files, folders, globs; given, they replace the configuration's rule-files */
	size_t path_count;
	const char *cache_dir; /* overrides the configuration's; NULL: not */
	bool no_cache;
	bool quiet;    /* print errors only */
	bool no_print; /* print nothing (the caller shows counts) */
};

struct rules {
	struct sigs_env env;
	struct sigs_builder *builder;
	struct sigs_ruleset *ruleset;
	struct geoip *geoip;
	char *cache_dir; /* NULL: no cache */
	struct sigs_counts counts;
	uint8_t digest[32]; /* SHA-256 of all text that was read, in its order, each with its length */
	void *hasher;	    /* of it, while reading */
	unsigned files;
	unsigned errors, warnings; /* findings about files and rules */
	unsigned cache_hits, cache_misses;
	double seconds;
	bool quiet, no_print;
	char first_error[256]; /* of those found; "": none */
};

/* Reads and parses everything. 0, or -errno when something other than single rules is wrong (told already). */
int rules_read(struct rules *rules, const struct config *config, const struct rules_options *options);
/* Compiles what was read. 0 or -errno (told already). */
int rules_compile(struct rules *rules, const struct config *config);
void rules_free(struct rules *rules);
