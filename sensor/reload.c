/* SPDX-License-Identifier: BSD-3-Clause */
#include "reload.h"

#include <errno.h>
#include <malloc.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "privileges.h"
#include "record.h"
#include "terminal.h"

/* The reload's thread stands back for the workers where they share a processor. */
#define RELOAD_NICE 10
/* Between two looks whether all workers have taken the new edition over. */
#define HANDED_PAUSE_NS 1000000

/* --- an edition -------------------------------------------------------------------------------------------------------- */

static int read_all(struct edition *edition, const struct common_args *args, bool whole, char *why)
{
	const struct rules_options options = {
		.paths = args->rules.items,
		.path_count = args->rules.count,
		.cache_dir = args->cache_dir,
		.no_cache = args->no_cache,
		.quiet = args->quiet,
	};
	struct rules *rules = &edition->rules;
	int rc = rules_read(rules, &edition->config, &options);
	bool wrong = rules->errors > 0 || rules->counts.failed > 0;
	if (rc == 0 && wrong && (whole || args->strict)) {
		snprintf(why, 256, "%.240s", rules->first_error[0] ? rules->first_error : "some rules are wrong");
		if (args->strict)
			say_error("%u rules are wrong, and --strict was given", rules->counts.failed);
		return -EINVAL;
	}
	if (rc == 0)
		rc = rules_compile(rules, &edition->config);
	if (rc != 0)
		snprintf(why, 256, "%.240s", rules->first_error[0] ? rules->first_error : "the rules cannot be read");
	return rc;
}

/* Two sensors with the same digest judge by the same settings. */
static int digest_policy(struct edition *edition)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	if (!out)
		return -ENOMEM;
	config_print(&edition->config, out);
	int rc = fclose(out) == 0 && EVP_Digest(text, len, edition->policy_digest, NULL, EVP_sha256(), NULL) ? 0 : -EIO;
	free(text);
	return rc;
}

struct edition *edition_new(const struct common_args *args, uint64_t number, bool whole, char *why)
{
	struct edition *edition = calloc(1, sizeof(*edition));
	snprintf(why, 256, "%s", strerror(ENOMEM));
	if (!edition)
		return NULL;
	edition->number = number;
	int rc = common_config_why(args, &edition->config, why);
	if (rc == 0 && !records_check(&edition->config, why)) {
		say_error("%s", why);
		rc = -EINVAL;
	}
	if (rc == 0)
		rc = read_all(edition, args, whole, why);
	if (rc == 0)
		rc = digest_policy(edition);
	/* what compiling needed goes back to the system */
	malloc_trim(0);
	if (rc == 0)
		return edition;
	edition_free(edition);
	errno = -rc;
	return NULL;
}

void edition_free(struct edition *edition)
{
	if (!edition)
		return;
	rules_free(&edition->rules);
	config_free(&edition->config);
	free(edition);
	/* a rule set is a hundred megabytes in small blocks: they go back to the system, or the next one comes on top of them */
	malloc_trim(0);
}

/* --- the thread -------------------------------------------------------------------------------------------------------- */

static double now_seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool make_changes(struct reload *r)
{
	struct edition *next = r->next;
	for (unsigned i = 0; i < r->lanes->count; i++) {
		struct worker_edition *handed = &r->handed[i];
		*handed = (struct worker_edition){
			.config = &next->config, .ruleset = next->rules.ruleset, .number = next->number};
		handed->change = sigs_change_new(next->rules.ruleset, &next->rules.env, r->profile);
		if (!handed->change)
			return false;
	}
	return true;
}

static void free_changes(struct reload *r)
{
	for (unsigned i = 0; i < r->lanes->count; i++) {
		sigs_change_free(r->handed[i].change);
		r->handed[i].change = NULL;
	}
}

static bool all_took_over(const struct reload *r)
{
	for (unsigned i = 0; i < r->lanes->count; i++)
		if (worker_edition(r->lanes->items[i].worker) < r->next->number)
			return false;
	return true;
}

static void *reload_main(void *user)
{
	struct reload *r = user;
	struct reload_result *result = &r->result;
	double start = now_seconds();
	char why[256];
	*result = (struct reload_result){0};
	setpriority(PRIO_PROCESS, 0, RELOAD_NICE); /* of this thread alone */
	privileges_confine_files();
	r->next = edition_new(r->args, r->now->number + 1, true, why);
	if (r->next) {
		result->rules = r->next->rules.counts;
		config_keep(&r->next->config, &r->now->config, result->text, sizeof(result->text));
		if (!make_changes(r)) {
			snprintf(why, sizeof(why), "%s", strerror(ENOMEM));
			free_changes(r);
			edition_free(r->next);
			r->next = NULL;
		}
	}
	if (!r->next)
		snprintf(result->text, sizeof(result->text), "%s", why);
	for (unsigned i = 0; r->next && i < r->lanes->count; i++)
		worker_publish(r->lanes->items[i].worker, &r->handed[i]);
	while (r->next && !all_took_over(r)) {
		const struct timespec pause = {.tv_nsec = HANDED_PAUSE_NS};
		nanosleep(&pause, NULL);
	}
	if (r->next)
		free_changes(r);
	result->good = r->next != NULL;
	result->seconds = now_seconds() - start;
	__atomic_store_n(&r->finished, true, __ATOMIC_RELEASE);
	return NULL;
}

/* --- the main thread's side -------------------------------------------------------------------------------------------- */

void reload_init(struct reload *r, const struct common_args *args, struct lanes *lanes, struct edition *now)
{
	memset(r, 0, sizeof(*r));
	r->args = args;
	r->lanes = lanes;
	r->now = now;
}

int reload_begin(struct reload *r)
{
	if (r->running) {
		r->again = true;
		return 0;
	}
	r->again = r->finished = false;
	int rc = pthread_create(&r->thread, NULL, reload_main, r);
	if (rc != 0)
		return -rc;
	pthread_setname_np(r->thread, "reload");
	r->running = true;
	return 0;
}

bool reload_is_running(const struct reload *r)
{
	return r->running;
}

bool reload_end(struct reload *r, struct edition **old)
{
	*old = NULL;
	if (!r->running || !__atomic_load_n(&r->finished, __ATOMIC_ACQUIRE))
		return false;
	pthread_join(r->thread, NULL);
	r->running = false;
	if (r->result.good) {
		*old = r->now;
		r->now = r->next;
		r->done++;
	} else {
		r->refused++;
	}
	r->next = NULL;
	return true;
}
