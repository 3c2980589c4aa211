/* SPDX-License-Identifier: BSD-3-Clause */
#include "ingest.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "batch.h"

/* Beyond the records: the header line and the newlines. */
#define BATCH_OVERHEAD	  (64u << 10)
#define RETRY_AFTER_MAX_S 60
#define STREAMS		  "/v1/streams/"

enum resource { BATCHES, HEALTH, STREAM };

/* A request that is being read. */
struct intake {
	struct ingest *ingest;
	struct http_request *request;
	enum resource resource;
	struct device device;
	struct batch_reader *reader;
	char *health;
	size_t health_len;
	uint64_t bytes; /* counted in the ingest's */
	json_t *report;
};

/* What a device may still send: tokens that grow with time. */
struct budget {
	uint64_t since_ns;
	double records, requests;
};

struct ingest {
	struct soc *soc;
	struct ingest_config config;
	pthread_mutex_t lock;
	struct ingest_stats stats;
	struct budget *budgets; /* by the device's number */
	uint32_t budget_room;
};

void ingest_config_defaults(struct ingest_config *config)
{
	*config = (struct ingest_config){.records_per_second = 100000,
					 .records_burst = 2000000,
					 .requests_per_second = 50,
					 .requests_burst = 500,
					 .bytes_max = 256u << 20};
}

struct ingest *ingest_open(struct soc *soc, const struct ingest_config *config)
{
	struct ingest *ingest = calloc(1, sizeof(*ingest));
	if (!ingest)
		return NULL;
	ingest->soc = soc;
	ingest->config = *config;
	pthread_mutex_init(&ingest->lock, NULL);
	return ingest;
}

void ingest_close(struct ingest *ingest)
{
	if (!ingest)
		return;
	pthread_mutex_destroy(&ingest->lock);
	free(ingest->budgets);
	free(ingest);
}

struct ingest_stats ingest_stats(struct ingest *ingest)
{
	pthread_mutex_lock(&ingest->lock);
	struct ingest_stats stats = ingest->stats;
	pthread_mutex_unlock(&ingest->lock);
	return stats;
}

bool ingest_has(const char *path)
{
	return strcmp(path, "/v1/batches") == 0 || strcmp(path, "/v1/health") == 0 ||
	       strncmp(path, STREAMS, strlen(STREAMS)) == 0;
}

/* --- budgets ----------------------------------------------------------------------------------------------------------- */

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static double grown(double tokens, double rate, double most, double seconds)
{
	double sum = tokens + rate * seconds;
	return sum < most ? sum : most;
}

/* Of a device, up to date. NULL when memory is short. With the lock. */
static struct budget *budget_of(struct ingest *ingest, uint32_t device)
{
	const struct ingest_config *c = &ingest->config;
	uint64_t now = now_ns();
	if (device >= ingest->budget_room) {
		uint32_t room = device + 64;
		struct budget *budgets = reallocarray(ingest->budgets, room, sizeof(*budgets));
		if (!budgets)
			return NULL;
		for (uint32_t i = ingest->budget_room; i < room; i++)
			budgets[i] = (struct budget){now, c->records_burst, c->requests_burst};
		ingest->budgets = budgets;
		ingest->budget_room = room;
	}
	struct budget *b = &ingest->budgets[device];
	double seconds = (double)(now - b->since_ns) / 1e9;
	b->since_ns = now;
	b->records = grown(b->records, c->records_per_second, c->records_burst, seconds);
	b->requests = grown(b->requests, c->requests_per_second, c->requests_burst, seconds);
	return b;
}

/* Seconds that it must wait before its next request; 0: none, and the request is counted. */
static unsigned wait_of(struct ingest *ingest, uint32_t device)
{
	double seconds = 0;
	pthread_mutex_lock(&ingest->lock);
	struct budget *b = budget_of(ingest, device);
	if (b && b->requests < 1)
		seconds = (1 - b->requests) / ingest->config.requests_per_second;
	else if (b && b->records < 0)
		seconds = -b->records / ingest->config.records_per_second;
	else if (b)
		b->requests--;
	if (seconds > 0)
		ingest->stats.refused_rate++;
	pthread_mutex_unlock(&ingest->lock);
	return seconds <= 0 ? 0 : seconds < RETRY_AFTER_MAX_S ? (unsigned)seconds + 1 : RETRY_AFTER_MAX_S;
}

static void charge(struct ingest *ingest, uint32_t device, uint32_t records)
{
	pthread_mutex_lock(&ingest->lock);
	struct budget *b = budget_of(ingest, device);
	if (b)
		b->records -= records;
	pthread_mutex_unlock(&ingest->lock);
}

static bool hold_bytes(struct intake *intake, size_t bytes)
{
	struct ingest *ingest = intake->ingest;
	pthread_mutex_lock(&ingest->lock);
	bool fits = ingest->stats.bytes + bytes <= ingest->config.bytes_max;
	if (fits) {
		ingest->stats.bytes += bytes;
		intake->bytes += bytes;
	} else {
		ingest->stats.refused_busy++;
	}
	pthread_mutex_unlock(&ingest->lock);
	return fits;
}

static void release_bytes(struct intake *intake)
{
	pthread_mutex_lock(&intake->ingest->lock);
	intake->ingest->stats.bytes -= intake->bytes;
	pthread_mutex_unlock(&intake->ingest->lock);
	intake->bytes = 0;
}

static void count_bad(struct ingest *ingest)
{
	pthread_mutex_lock(&ingest->lock);
	ingest->stats.refused_bad++;
	pthread_mutex_unlock(&ingest->lock);
}

/* --- answers ----------------------------------------------------------------------------------------------------------- */

static void answer_later(struct http_request *request, const char *why, unsigned seconds, unsigned status)
{
	char text[16];
	snprintf(text, sizeof(text), "%u", seconds);
	http_answer_header(request, "Retry-After", text);
	http_answer_error(request, status, "%s", why);
}

static void answer_next(struct http_request *request, unsigned status, uint64_t next)
{
	char text[64];
	int len = snprintf(text, sizeof(text), "{\"next\":%llu}", (unsigned long long)next);
	http_answer(request, status, NULL, text, (size_t)len);
}

static void batch_done(void *context, int rc, uint64_t next)
{
	struct http_request *request = context;
	if (rc == 0)
		answer_next(request, 200, next);
	else if (rc == -ERANGE)
		answer_next(request, 409, next);
	else
		answer_later(request, "the store cannot write; nothing of the batch is stored", 5, 503);
}

static void health_done(void *context, int rc, uint64_t next)
{
	(void)next;
	if (rc == 0)
		http_answer(context, 200, NULL, "{}", 2);
	else
		answer_later(context, "the store cannot write", 5, 503);
}

/* --- requests ---------------------------------------------------------------------------------------------------------- */

static void answer_stream(struct intake *intake)
{
	struct store *store = soc_store(intake->ingest->soc);
	const char *name = http_path(intake->request) + strlen(STREAMS);
	struct store_stream state;
	size_t len = strlen(name);
	if (len == 0 || len >= STORE_STREAM_MAX || strspn(name, "0123456789abcdefABCDEF-") != len) {
		http_answer_error(intake->request, 400, "a stream's name is a UUID");
		return;
	}
	if (store->ops->stream_get(store, intake->device.id, name, &state) == 0)
		answer_next(intake->request, 200, state.next);
	else
		answer_later(intake->request, "the store cannot be read", 5, 503);
}

static bool is_method(struct http_request *request, const char *method)
{
	if (strcmp(http_method(request), method) == 0)
		return true;
	http_answer_header(request, "Allow", method);
	http_answer_error(request, 405, "%s takes %s only", http_path(request), method);
	return false;
}

static bool know_device(struct ingest *ingest, struct http_request *request, struct device *device)
{
	const char *fingerprint = http_fingerprint(request);
	if (*fingerprint && directory_device(soc_directory(ingest->soc), fingerprint, device) && !device->revoked)
		return true;
	pthread_mutex_lock(&ingest->lock);
	ingest->stats.refused_unknown++;
	pthread_mutex_unlock(&ingest->lock);
	http_answer_error(request, 403,
			  "no device that is enrolled here has this certificate (or it was revoked); "
			  "enrol it with: sekisho-soc enroll NAME");
	return false;
}

static enum resource resource_of(const char *path)
{
	return strcmp(path, "/v1/batches") == 0 ? BATCHES : strcmp(path, "/v1/health") == 0 ? HEALTH : STREAM;
}

static int64_t clock_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * 1000000ll + t.tv_nsec / 1000;
}

static struct intake *new_intake(struct ingest *ingest, struct http_request *request, const struct device *device)
{
	struct intake *intake = calloc(1, sizeof(*intake));
	if (!intake)
		return NULL;
	intake->ingest = ingest;
	intake->request = request;
	intake->device = *device;
	intake->resource = resource_of(http_path(request));
	if (intake->resource == BATCHES)
		intake->reader = batch_reader_new(clock_us());
	if (intake->resource == HEALTH)
		intake->health = malloc(INGEST_HEALTH_MAX);
	if ((intake->resource == BATCHES && !intake->reader) || (intake->resource == HEALTH && !intake->health)) {
		free(intake);
		return NULL;
	}
	return intake;
}

void ingest_begin(struct ingest *ingest, struct http_request *request)
{
	struct device device;
	enum resource resource = resource_of(http_path(request));
	if (!is_method(request, resource == STREAM ? "GET" : "POST") || !know_device(ingest, request, &device))
		return;
	soc_heard(ingest->soc, &device);
	unsigned wait = wait_of(ingest, device.id);
	if (wait) {
		answer_later(request, "more than this device may send; wait, nothing is lost", wait, 429);
		return;
	}
	struct intake *intake = new_intake(ingest, request, &device);
	if (!intake) {
		answer_later(request, "out of memory", 5, 503);
		return;
	}
	http_set_context(request, intake);
	http_allow(request, resource == BATCHES	 ? BATCH_BYTES_MAX + BATCH_OVERHEAD
			    : resource == HEALTH ? INGEST_HEALTH_MAX
						 : 0);
}

static void refuse_batch(struct intake *intake, int rc)
{
	const char *why = batch_error(intake->reader);
	count_bad(intake->ingest);
	if (rc == -ENOMEM)
		answer_later(intake->request, "out of memory", 5, 503);
	else
		http_answer_error(intake->request, rc == -E2BIG ? 413 : 400, "%s", why);
}

void ingest_body(struct ingest *ingest, struct http_request *request, const void *data, size_t len)
{
	struct intake *intake = http_context(request);
	(void)ingest;
	if (!hold_bytes(intake, len)) {
		answer_later(request, "too many batches at once", 2, 503);
		return;
	}
	if (intake->resource == HEALTH) {
		/* http_allow keeps it within the buffer */
		memcpy(intake->health + intake->health_len, data, len);
		intake->health_len += len;
		return;
	}
	int rc = batch_feed(intake->reader, data, len);
	if (rc != 0)
		refuse_batch(intake, rc);
}

static void end_batch(struct intake *intake)
{
	struct batch *batch = batch_end(intake->reader);
	if (!batch) {
		refuse_batch(intake, -errno);
		return;
	}
	charge(intake->ingest, intake->device.id, batch->count);
	if (soc_take(intake->ingest->soc, &intake->device, batch, batch_done, intake->request) != 0)
		answer_later(intake->request, "more batches wait for the store than it may have", 2, 503);
}

static int take_report(struct soc *soc, void *context)
{
	struct intake *intake = context;
	return soc_put_health(soc, &intake->device, intake->report);
}

static void report_done(void *context, int rc, uint64_t next)
{
	struct intake *intake = context;
	health_done(intake->request, rc, next);
}

static void end_health(struct intake *intake)
{
	json_error_t error;
	intake->report = json_loadb(intake->health, intake->health_len, 0, &error);
	if (!json_is_object(intake->report)) {
		count_bad(intake->ingest);
		http_answer_error(intake->request, 400, "a health report is one JSON object: %s", error.text);
	} else if (soc_do(intake->ingest->soc, take_report, report_done, intake) != 0) {
		answer_later(intake->request, "more waits for the store than may", 2, 503);
	}
}

void ingest_end(struct ingest *ingest, struct http_request *request)
{
	struct intake *intake = http_context(request);
	(void)ingest;
	if (intake->resource == BATCHES)
		end_batch(intake);
	else if (intake->resource == HEALTH)
		end_health(intake);
	else
		answer_stream(intake);
}

void ingest_gone(struct ingest *ingest, struct http_request *request)
{
	struct intake *intake = http_context(request);
	(void)ingest;
	if (!intake)
		return;
	release_bytes(intake);
	if (intake->reader)
		batch_reader_free(intake->reader);
	json_decref(intake->report);
	free(intake->health);
	free(intake);
}
