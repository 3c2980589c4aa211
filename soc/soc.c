/* SPDX-License-Identifier: BSD-3-Clause */
#include "soc_inside.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND_US 1000000ll
#define HOUR_US	  (3600 * SECOND_US)

void soc_config_defaults(struct soc_config *config)
{
	*config = (struct soc_config){.retention = 400 * 24 * HOUR_US, .retention_bytes = 0};
	event_config_defaults(&config->events);
	incident_config_defaults(&config->incidents);
	config->name = "localhost";
	config->mail = (struct sender_config){.from = "sekisho-soc@localhost", .timeout_s = 30};
}

static int64_t clock_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * SECOND_US + t.tv_nsec / 1000;
}

__attribute__((format(printf, 3, 4))) static void tell(struct soc *soc, bool bad, const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (soc->config.say)
		soc->config.say(soc->config.user, bad, text);
}

/* --- one transaction --------------------------------------------------------------------------------------------------- */

/* Errors that are a job's own: it changed nothing, and the others go on. */
static bool is_own_error(int rc)
{
	return rc == -EINVAL || rc == -ENOENT || rc == -EEXIST || rc == -ERANGE || rc == -EPERM || rc == -EAGAIN ||
	       rc == -EALREADY;
}

static int run_jobs(struct soc *soc, struct job *jobs)
{
	for (struct job *job = jobs; job; job = job->next) {
		job->rc = job->batch ? soc_apply_batch(soc, job) : job->change(soc, job->context);
		if (job->rc != 0 && !is_own_error(job->rc))
			return job->rc;
	}
	return soc_flush(soc);
}

static void apply_directory(struct soc *soc)
{
	int rc = 0;
	for (unsigned i = 0; i < soc->entry_count && rc == 0; i++) {
		const struct pending_entry *e = &soc->entries[i];
		rc = e->kind == DOCUMENT_DEVICE ? directory_put_device(soc->directory, &e->device)
		     : e->kind == DOCUMENT_USER ? directory_put_user(soc->directory, &e->user)
						: directory_put_customer(soc->directory, &e->customer);
	}
	if (rc != 0)
		tell(soc, true, "a device or user is stored, but not in force until the next start: %s", strerror(-rc));
}

static void add_stats(struct soc *soc)
{
	const struct soc_stats *group = &soc->group;
	pthread_mutex_lock(&soc->lock);
	soc->stats.batches += group->batches;
	soc->stats.records += group->records;
	soc->stats.duplicates += group->duplicates;
	soc->stats.quarantined += group->quarantined;
	soc->stats.lost += group->lost;
	soc->stats.events += group->events;
	soc->stats.incidents += group->incidents;
	soc->stats.commits++;
	soc->stats.open_events = (unsigned)events_count(soc->events);
	pthread_mutex_unlock(&soc->lock);
}

/* Nothing of the transaction is stored: nothing of it may be remembered. */
static void undo(struct soc *soc, int rc)
{
	tell(soc, true, "the store does not take what came: %s: %s", strerror(-rc), soc->store->ops->error(soc->store));
	rc = soc_load(soc);
	soc->broken = rc != 0;
	if (rc != 0)
		tell(soc, true, "the store cannot be read: %s", strerror(-rc));
	pthread_mutex_lock(&soc->lock);
	soc->stats.failures++;
	pthread_mutex_unlock(&soc->lock);
}

static int transact(struct soc *soc, struct job *jobs)
{
	soc->now = clock_us();
	soc->stream_count = soc->entry_count = 0;
	memset(&soc->group, 0, sizeof(soc->group));
	if (soc->broken)
		soc->broken = soc_load(soc) != 0;
	if (soc->broken)
		return -EIO;
	soc_watch(soc);
	if (!jobs && !soc_has_changes(soc))
		return 0;
	int rc = soc->store->ops->begin(soc->store);
	if (rc == 0) {
		rc = run_jobs(soc, jobs);
		if (rc == 0)
			rc = soc->store->ops->commit(soc->store);
		else
			soc->store->ops->rollback(soc->store);
	}
	if (rc != 0) {
		undo(soc, rc);
		return rc;
	}
	soc_settle(soc);
	apply_directory(soc);
	add_stats(soc);
	return 0;
}

/* --- the writer's thread ----------------------------------------------------------------------------------------------- */

static void answer_jobs(struct job *jobs, int rc)
{
	for (struct job *job = jobs, *next; job; job = next) {
		next = job->next;
		if (job->answer)
			job->answer(job->context, rc ? rc : job->rc, job->next_sequence);
		batch_free(job->batch);
		free(job);
	}
}

/* Takes what waits, as much as one transaction shall have; waits a second at most. */
static struct job *next_group(struct soc *soc, bool *end)
{
	struct timespec until;
	unsigned count = 0;
	uint64_t records = 0;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec++;
	pthread_mutex_lock(&soc->lock);
	while (!soc->first && !soc->end && pthread_cond_timedwait(&soc->wake, &soc->lock, &until) == 0)
		;
	struct job *jobs = soc->first, **last = &jobs;
	while (*last && count < GROUP_JOBS_MAX && records < GROUP_RECORDS_MAX) {
		records += (*last)->batch ? (*last)->batch->count : 0;
		soc->stats.queue_bytes -= (*last)->bytes;
		count++;
		last = &(*last)->next;
	}
	soc->first = *last;
	*last = NULL;
	if (!soc->first)
		soc->last = &soc->first;
	soc->queued -= count;
	*end = soc->end && !soc->first && !jobs;
	pthread_mutex_unlock(&soc->lock);
	return jobs;
}

static void retain(struct soc *soc)
{
	uint64_t dropped = 0;
	if (soc->now - soc->retained < HOUR_US || (!soc->config.retention && !soc->config.retention_bytes))
		return;
	soc->retained = soc->now;
	int64_t before = soc->config.retention ? soc->now - soc->config.retention : 0;
	int rc = soc->store->ops->retain(soc->store, before, soc->config.retention_bytes, &dropped);
	if (rc != 0)
		tell(soc, true, "old records cannot be dropped: %s", soc->store->ops->error(soc->store));
	else if (dropped)
		tell(soc, false, "%llu records are dropped for their age or the store's size",
		     (unsigned long long)dropped);
}

static void *writer_main(void *user)
{
	struct soc *soc = user;
	for (bool end = false; !end;) {
		struct job *jobs = next_group(soc, &end);
		/* without jobs too: time passes for events */
		answer_jobs(jobs, transact(soc, jobs));
		if (!soc->broken)
			soc_send_due(soc);
		retain(soc);
	}
	return NULL;
}

/* --- any thread -------------------------------------------------------------------------------------------------------- */

static int enqueue(struct soc *soc, struct job *job)
{
	bool full;
	pthread_mutex_lock(&soc->lock);
	full = !job->always && (soc->end || soc->queued >= SOC_QUEUE_JOBS_MAX ||
				(job->batch && soc->stats.queue_bytes + job->bytes > SOC_QUEUE_BYTES_MAX));
	if (!full) {
		*soc->last = job;
		soc->last = &job->next;
		soc->queued++;
		soc->stats.queue_bytes += job->bytes;
		pthread_cond_signal(&soc->wake);
	}
	pthread_mutex_unlock(&soc->lock);
	if (!full)
		return 0;
	batch_free(job->batch);
	free(job);
	return -EAGAIN;
}

int soc_take(struct soc *soc, const struct device *device, struct batch *batch, soc_answer *answer, void *context)
{
	struct job *job = calloc(1, sizeof(*job));
	if (!job) {
		batch_free(batch);
		return -EAGAIN;
	}
	job->device = *device;
	job->batch = batch;
	job->answer = answer;
	job->context = context;
	job->bytes = sizeof(*batch) + batch->record_count * sizeof(batch->records[0]);
	for (uint32_t i = 0; i < batch->chunk_count; i++)
		job->bytes += batch->chunks[i].len;
	for (uint32_t i = 0; i < batch->reject_count; i++)
		job->bytes += batch->rejects[i].len + sizeof(batch->rejects[0]);
	return enqueue(soc, job);
}

static int do_change(struct soc *soc, soc_change *change, soc_answer *answer, void *context, bool always)
{
	struct job *job = calloc(1, sizeof(*job));
	if (!job)
		return -EAGAIN;
	job->change = change;
	job->answer = answer;
	job->context = context;
	job->always = always;
	return enqueue(soc, job);
}

int soc_do(struct soc *soc, soc_change *change, soc_answer *answer, void *context)
{
	return do_change(soc, change, answer, context, false);
}

int soc_do_always(struct soc *soc, soc_change *change, soc_answer *answer, void *context)
{
	return do_change(soc, change, answer, context, true);
}

struct waiter {
	soc_change *change;
	void *context;
	pthread_mutex_t lock;
	pthread_cond_t done;
	bool is_done;
	int rc;
};

static int waited_change(struct soc *soc, void *context)
{
	struct waiter *waiter = context;
	return waiter->change(soc, waiter->context);
}

static void waited_answer(void *context, int rc, uint64_t next)
{
	struct waiter *waiter = context;
	(void)next;
	pthread_mutex_lock(&waiter->lock);
	waiter->rc = rc;
	waiter->is_done = true;
	pthread_cond_signal(&waiter->done);
	pthread_mutex_unlock(&waiter->lock);
}

int soc_do_now(struct soc *soc, soc_change *change, void *context)
{
	struct waiter waiter = {.change = change,
				.context = context,
				.lock = PTHREAD_MUTEX_INITIALIZER,
				.done = PTHREAD_COND_INITIALIZER};
	int rc = soc_do(soc, waited_change, waited_answer, &waiter);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&waiter.lock);
	while (!waiter.is_done)
		pthread_cond_wait(&waiter.done, &waiter.lock);
	pthread_mutex_unlock(&waiter.lock);
	return waiter.rc;
}

struct store *soc_store(struct soc *soc)
{
	return soc->store;
}

struct directory *soc_directory(struct soc *soc)
{
	return soc->directory;
}

struct soc_stats soc_stats(struct soc *soc)
{
	pthread_mutex_lock(&soc->lock);
	struct soc_stats stats = soc->stats;
	pthread_mutex_unlock(&soc->lock);
	return stats;
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

static void free_soc(struct soc *soc)
{
	sender_close(soc->sender);
	soc_unload(soc);
	soc_watch_end(soc);
	triage_rules_free(soc->own_rules);
	directory_close(soc->directory);
	if (soc->store)
		soc->store->ops->close(soc->store);
	pthread_mutex_destroy(&soc->lock);
	pthread_cond_destroy(&soc->wake);
	free(soc);
}

static void init_sync(struct soc *soc)
{
	pthread_condattr_t attributes;
	pthread_mutex_init(&soc->watch_lock, NULL);
	pthread_mutex_init(&soc->lock, NULL);
	/* a clock that nobody sets */
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&soc->wake, &attributes);
	pthread_condattr_destroy(&attributes);
}

struct soc *soc_open(const struct soc_config *config, char error[static SOC_ERROR_MAX])
{
	struct soc *soc = calloc(1, sizeof(*soc));
	char why[STORE_ERROR_MAX] = "";
	int rc;
	snprintf(error, SOC_ERROR_MAX, "%s", strerror(ENOMEM));
	if (!soc)
		return NULL;
	soc->config = *config;
	soc->last = &soc->first;
	init_sync(soc);
	if (soc_read_rules(soc, error) != 0)
		goto fail;
	const struct store_sqlite_options options = {.cache_bytes = config->cache_bytes};
	soc->store = store_sqlite_open(config->store_path, &options, why);
	if (!soc->store) {
		snprintf(error, SOC_ERROR_MAX, "%s", why);
		goto fail;
	}
	soc->now = clock_us();
	soc->directory = directory_open(soc->store);
	rc = soc->directory ? soc_load(soc) : -errno;
	rc = rc ? rc : soc_watch_begin(soc);
	if (rc != 0) {
		snprintf(error, SOC_ERROR_MAX, "%.200s: %s: %.200s", config->store_path, strerror(-rc),
			 soc->store->ops->error(soc->store));
		goto fail;
	}
	soc->config.mail.done = soc_told;
	soc->config.mail.context = soc;
	soc->sender = sender_open(&soc->config.mail);
	rc = soc->sender ? pthread_create(&soc->thread, NULL, writer_main, soc) : ENOMEM;
	if (rc != 0) {
		snprintf(error, SOC_ERROR_MAX, "a thread: %s", strerror(rc));
		goto fail;
	}
	pthread_setname_np(soc->thread, "writer");
	soc->started = true;
	return soc;
fail:
	free_soc(soc);
	return NULL;
}

void soc_finish(struct soc *soc)
{
	pthread_mutex_lock(&soc->lock);
	soc->end = true;
	pthread_cond_signal(&soc->wake);
	pthread_mutex_unlock(&soc->lock);
	if (soc->started)
		pthread_join(soc->thread, NULL);
	soc->started = false;
	/* what was being sent is known now, and is the last that is stored */
	sender_close(soc->sender);
	soc->sender = NULL;
	bool end;
	for (struct job *jobs = next_group(soc, &end); jobs; jobs = next_group(soc, &end))
		answer_jobs(jobs, transact(soc, jobs));
}

void soc_close(struct soc *soc)
{
	if (!soc)
		return;
	soc_finish(soc);
	free_soc(soc);
}
