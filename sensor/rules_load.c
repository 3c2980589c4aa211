/* SPDX-License-Identifier: BSD-3-Clause */
#include "rules_load.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "builtin.h"
#include "cache_dir.h"
#include "file.h"
#include "terminal.h"

/* --- what sigs asks for ---------------------------------------------------------------------------------------------- */

static void on_diagnostic(void *user, const struct sigs_diagnostic *d)
{
	struct rules *rules = user;
	bool error = d->severity == SIGS_ERROR;
	*(error ? &rules->errors : &rules->warnings) += 1;
	if (error && !rules->first_error[0])
		snprintf(rules->first_error, sizeof(rules->first_error), "%.120s:%u: %.100s", d->file ? d->file : "?",
			 d->line, d->message);
	if (rules->no_print || (rules->quiet && !error))
		return;
	progress_clear();
	fprintf(stderr, "%s:%u: ", d->file ? d->file : "?", d->line);
	if (d->sid)
		fprintf(stderr, "sid %u: ", d->sid);
	fprintf(stderr, "%s%s%s", tone_on(stderr, error ? TONE_ERROR : TONE_WARNING),
		error ? "" : "warning: ", tone_off(stderr));
	if (d->option)
		fprintf(stderr, "%s: ", d->option);
	fprintf(stderr, "%s\n", d->message);
}

static void on_progress(void *user, const char *what, unsigned done, unsigned total)
{
	(void)user;
	progress_show("%s: %u of %u", what, done, total);
}

static int on_cache_get(void *user, const char *key, struct sigs_blob *blob)
{
	struct rules *rules = user;
	int rc = cache_dir_get(rules->cache_dir, key, blob);
	if (rc == 0)
		rules->cache_hits++;
	return rc;
}

static int on_cache_put(void *user, const char *key, const void *data, size_t len)
{
	struct rules *rules = user;
	rules->cache_misses++; /* nothing was there, or nothing that could be trusted */
	return cache_dir_put(rules->cache_dir, key, data, len);
}

/* A file that a rule names: absolute, or beside the rule file. */
static int on_read_file(void *user, const char *path, const char *rule_file, struct sigs_blob *blob)
{
	(void)user;
	char full[4096];
	const char *slash = rule_file ? strrchr(rule_file, '/') : NULL;
	int n = path[0] == '/' || !slash
			? snprintf(full, sizeof(full), "%s", path)
			: snprintf(full, sizeof(full), "%.*s/%s", (int)(slash - rule_file), rule_file, path);
	if (n < 0 || n >= (int)sizeof(full))
		return -ENAMETOOLONG;
	return file_read(full, blob);
}

static bool on_country(void *user, const union packet_addr *addr, uint8_t family, char code[static 3])
{
	const struct rules *rules = user;
	return geoip_country(rules->geoip, addr, family, code);
}

/* --- files ----------------------------------------------------------------------------------------------------------- */

typedef int (*add_text)(struct sigs_builder *builder, const char *file, const char *text, size_t len);

static int file_failed(struct rules *rules, const char *path, int rc)
{
	say_error("%s: %s", path, strerror(-rc));
	if (!rules->first_error[0])
		snprintf(rules->first_error, sizeof(rules->first_error), "%.200s: %s", path, strerror(-rc));
	return rc;
}

static int add_file(struct rules *rules, const char *path, add_text add)
{
	struct sigs_blob blob;
	int rc = file_read(path, &blob);
	if (rc != 0)
		return file_failed(rules, path, rc);
	uint64_t len = blob.len;
	if (rules->hasher && (!EVP_DigestUpdate(rules->hasher, &len, sizeof(len)) ||
			      !EVP_DigestUpdate(rules->hasher, blob.data, blob.len)))
		rc = -EIO;
	if (rc == 0)
		rc = add(rules->builder, path, blob.data, blob.len);
	free(blob.data);
	return rc == -ENOMEM ? rc : 0; /* what is wrong inside was told, and the rest still counts */
}

static int add_rule_file(struct rules *rules, const char *path)
{
	rules->files++;
	return add_file(rules, path, sigs_add_rules);
}

static int is_rule_file(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);
	return entry->d_name[0] != '.' && len > 6 && strcmp(entry->d_name + len - 6, ".rules") == 0;
}

static int add_folder(struct rules *rules, const char *path)
{
	struct dirent **entries;
	int n = scandir(path, &entries, is_rule_file, alphasort), rc = 0;
	if (n < 0)
		return file_failed(rules, path, -errno);
	if (n == 0)
		say_warning("%s: no file here ends in .rules", path);
	for (int i = 0; i < n; i++) {
		char full[4096];
		if (rc == 0 && snprintf(full, sizeof(full), "%s/%s", path, entries[i]->d_name) < (int)sizeof(full))
			rc = add_rule_file(rules, full);
		free(entries[i]);
	}
	free(entries);
	return rc;
}

static int add_path(struct rules *rules, const char *path)
{
	struct stat st;
	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode) ? add_folder(rules, path) : add_rule_file(rules, path);
	int saved = errno;
	glob_t found;
	int rc = glob(path, 0, NULL, &found);
	if (rc != 0)
		return file_failed(rules, path, rc == GLOB_NOSPACE ? -ENOMEM : -saved);
	for (size_t i = 0; i < found.gl_pathc && rc == 0; i++)
		rc = add_rule_file(rules, found.gl_pathv[i]);
	globfree(&found);
	return rc;
}

/* --- reading --------------------------------------------------------------------------------------------------------- */

typedef int (*add_var)(struct sigs_builder *builder, const char *name, const char *value, const char *file,
		       unsigned line);

/* Whether a variable's value names another one of the list that is still to come. */
static bool names_later(const struct config_vars *vars, size_t at, const bool *added)
{
	const char *value = vars->items[at].value;
	for (const char *ref = strchr(value, '$'); ref; ref = strchr(ref + 1, '$')) {
		size_t len = strspn(ref + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");
		for (size_t i = 0; i < vars->count; i++)
			if (i != at && !added[i] && strlen(vars->items[i].name) == len &&
			    memcmp(vars->items[i].name, ref + 1, len) == 0)
				return true;
	}
	return false;
}

/* In the order in which they can be read: one may name another that the file has further down. */
static int add_var_list(struct rules *rules, const struct config_vars *vars, const char *path, add_var add)
{
	bool *added = calloc(vars->count + 1, sizeof(*added)), again = true;
	int rc = 0;
	if (!added)
		return -ENOMEM;
	while (again) {
		again = false;
		for (size_t i = 0; i < vars->count; i++) {
			const struct config_var *v = &vars->items[i];
			if (added[i] || names_later(vars, i, added))
				continue;
			added[i] = again = true;
			if (add(rules->builder, v->name, v->value, path, v->line) != 0)
				rc = -EINVAL;
		}
	}
	/* those left name each other in a circle: the builder says so */
	for (size_t i = 0; i < vars->count; i++)
		if (!added[i] &&
		    add(rules->builder, vars->items[i].name, vars->items[i].value, path, vars->items[i].line) != 0)
			rc = -EINVAL;
	free(added);
	return rc;
}

static int add_vars(struct rules *rules, const struct config *config)
{
	const char *path = config->path ? config->path : "--set";
	int addresses = add_var_list(rules, &config->address_vars, path, sigs_add_address_var);
	int ports = add_var_list(rules, &config->port_vars, path, sigs_add_port_var);
	return addresses ? addresses : ports;
}

static int add_builtin(struct rules *rules, const char *name, char *text, add_text add)
{
	if (!text)
		return -ENOMEM;
	int rc = add(rules->builder, name, text, strlen(text));
	free(text);
	return rc;
}

/* Built-in ones first: a file adds to them and overrides. */
static int add_tables(struct rules *rules, const struct config *config)
{
	int rc = add_builtin(rules, "built-in classification", builtin_classifications(), sigs_add_classifications);
	if (rc == 0)
		rc = add_builtin(rules, "built-in references", builtin_references(), sigs_add_references);
	if (rc == 0 && config->classification_file && config->classification_file[0])
		rc = add_file(rules, config->classification_file, sigs_add_classifications);
	if (rc == 0 && config->reference_file && config->reference_file[0])
		rc = add_file(rules, config->reference_file, sigs_add_references);
	if (rc == 0 && config->iprep_categories && config->iprep_categories[0])
		rc = add_file(rules, config->iprep_categories, sigs_add_iprep_categories);
	for (size_t i = 0; i < config->iprep_files.count && rc == 0; i++)
		rc = add_file(rules, config->iprep_files.items[i], sigs_add_iprep);
	return rc;
}

/* The folder of a rule path: itself, or what stands before the last slash. */
static size_t folder_of(const char *path)
{
	struct stat st;
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return strlen(path);
	const char *slash = strrchr(path, '/');
	return slash ? (size_t)(slash - path) : 0;
}

/* A rule set travels with its tables: a file of that name beside the rules is read with them, once a folder, unless the
 * configuration names one. */
static int add_companion(struct rules *rules, const char *const *paths, size_t at, const char *named, const char *name,
			 add_text add)
{
	char full[4096];
	size_t len = folder_of(paths[at]);
	if (named && named[0])
		return 0;
	for (size_t i = 0; i < at; i++)
		if (folder_of(paths[i]) == len && strncmp(paths[i], paths[at], len) == 0)
			return 0;
	if (snprintf(full, sizeof(full), "%.*s%s%s", (int)len, paths[at], len || paths[at][0] == '/' ? "/" : "",
		     name) >= (int)sizeof(full) ||
	    access(full, R_OK) != 0)
		return 0;
	return add_file(rules, full, add);
}

static int add_all_rules(struct rules *rules, const struct config *config, const struct rules_options *options)
{
	bool given = options->path_count > 0;
	const char *const *paths = given ? options->paths : (const char *const *)config->rule_files.items;
	size_t count = given ? options->path_count : config->rule_files.count;
	int rc = 0;
	for (size_t i = 0; i < count && rc == 0; i++) {
		rc = add_companion(rules, paths, i, config->classification_file, "classification.config",
				   sigs_add_classifications);
		if (rc == 0)
			rc = add_companion(rules, paths, i, config->reference_file, "reference.config",
					   sigs_add_references);
		if (rc == 0)
			rc = add_path(rules, paths[i]);
	}
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = add_companion(rules, paths, i, config->threshold_file, "threshold.config", sigs_add_thresholds);
	if (rc == 0 && config->threshold_file && config->threshold_file[0])
		rc = add_file(rules, config->threshold_file, sigs_add_thresholds);
	return rc;
}

static double now_seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void init_env(struct rules *rules)
{
	rules->env = (struct sigs_env){
		.user = rules,
		.diagnostic = on_diagnostic,
		.progress = on_progress,
		.read_file = on_read_file,
		.cache_get = rules->cache_dir ? on_cache_get : NULL,
		.cache_put = rules->cache_dir ? on_cache_put : NULL,
		.geoip = rules->geoip != NULL,
		.country = rules->geoip ? on_country : NULL,
	};
}

int rules_read(struct rules *rules, const struct config *config, const struct rules_options *options)
{
	char error[256];
	double start = now_seconds();
	*rules = (struct rules){.quiet = options->quiet, .no_print = options->no_print};
	if (!options->no_cache)
		rules->cache_dir = cache_dir_open(options->cache_dir ? options->cache_dir : config->cache_dir);
	if (config->geoip_database && config->geoip_database[0]) {
		rules->geoip = geoip_open(config->geoip_database, error);
		if (!rules->geoip) {
			say_error("%s", error);
			return -EINVAL;
		}
	}
	init_env(rules);
	rules->builder = sigs_builder_new(&rules->env);
	if (!rules->builder)
		return -ENOMEM;
	int rc = add_vars(rules, config);
	if (rc == 0)
		rc = add_tables(rules, config);
	rules->hasher = EVP_MD_CTX_new();
	if (rc == 0 && (!rules->hasher || !EVP_DigestInit_ex(rules->hasher, EVP_sha256(), NULL)))
		rc = -ENOMEM;
	if (rc == 0)
		rc = add_all_rules(rules, config, options);
	if (rc == 0 && !EVP_DigestFinal_ex(rules->hasher, rules->digest, NULL))
		rc = -EIO;
	EVP_MD_CTX_free(rules->hasher);
	rules->hasher = NULL;
	if (rc == 0)
		rules->counts = sigs_builder_counts(rules->builder);
	progress_clear();
	rules->seconds = now_seconds() - start;
	return rc;
}

int rules_compile(struct rules *rules, const struct config *config)
{
	double start = now_seconds();
	rules->ruleset = sigs_compile(rules->builder, &config->sigs);
	int rc = rules->ruleset ? 0 : errno ? -errno : -EINVAL;
	progress_clear();
	if (rc != 0)
		say_error("the rules cannot be compiled: %s", strerror(-rc));
	sigs_builder_free(rules->builder);
	rules->builder = NULL;
	if (rules->cache_dir && rules->cache_misses > 0)
		cache_dir_prune(rules->cache_dir);
	rules->seconds += now_seconds() - start;
	return rc;
}

void rules_free(struct rules *rules)
{
	if (rules->ruleset)
		sigs_ruleset_free(rules->ruleset);
	if (rules->builder)
		sigs_builder_free(rules->builder);
	geoip_close(rules->geoip);
	free(rules->cache_dir);
}
