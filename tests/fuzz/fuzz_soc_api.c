/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests to the API by somebody with a good token: "METHOD PATH?QUERY", a newline, the body. The server is a double of http.h, the SOC
 * behind is real. Every request gets one answer, of JSON, and a customer's user never sees what is another's.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "api.h"
#include "enroll.h"

#define PARAMETERS 8
#define SECRET	   "koto-only"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char tokens[2][ENROLL_TOKEN_MAX], folder[] = "/tmp/sekisho-fuzz-XXXXXX", store[64];
static struct soc *soc;
static struct ingest *ingest;
static struct api *api;

static void must(bool good)
{
	if (!good)
		abort();
}

/* --- a double of the server -------------------------------------------------------------------------------------------------- */

struct http_request {
	char method[16], path[HTTP_PATH_MAX], authorization[128];
	char *names[PARAMETERS], *values[PARAMETERS];
	unsigned parameters;
	size_t allowed;
	void *context;
	pthread_mutex_t lock;
	pthread_cond_t done;
	unsigned status, answers;
	bool leaks;
};

const char *http_method(const struct http_request *r)
{
	return r->method;
}

const char *http_path(const struct http_request *r)
{
	return r->path;
}

const char *http_query(const struct http_request *r, const char *name)
{
	for (unsigned i = 0; i < r->parameters; i++)
		if (strcmp(r->names[i], name) == 0)
			return r->values[i];
	return NULL;
}

int http_query_each(struct http_request *r, int (*each)(void *context, const char *name, const char *value),
		    void *context)
{
	int rc = 0;
	for (unsigned i = 0; i < r->parameters && rc == 0; i++)
		rc = each(context, r->names[i], r->values[i]);
	return rc;
}

const char *http_header(const struct http_request *r, const char *name)
{
	return strcasecmp(name, "Authorization") == 0 ? r->authorization : NULL;
}

const char *http_fingerprint(const struct http_request *r)
{
	(void)r;
	return "";
}

const char *http_peer(const struct http_request *r)
{
	(void)r;
	return "192.0.2.1";
}

void http_allow(struct http_request *r, size_t bytes)
{
	r->allowed = bytes;
}

void http_set_context(struct http_request *r, void *context)
{
	r->context = context;
}

void *http_context(const struct http_request *r)
{
	return r->context;
}

void http_answer_header(struct http_request *r, const char *name, const char *value)
{
	(void)r;
	must(!strpbrk(name, "\r\n") && !strpbrk(value, "\r\n"));
}

void http_answer(struct http_request *r, unsigned status, const char *type, const void *body, size_t len)
{
	json_t *json = json_loadb(body, len, JSON_DECODE_ANY, NULL);
	must(!type && json && status >= 200 && status < 600);
	json_decref(json);
	pthread_mutex_lock(&r->lock);
	r->leaks = memmem(body, len, SECRET, strlen(SECRET)) != NULL;
	r->status = status;
	r->answers++;
	pthread_cond_signal(&r->done);
	pthread_mutex_unlock(&r->lock);
}

void http_answer_error(struct http_request *r, unsigned status, const char *format, ...)
{
	char text[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	must(text[0]);
	http_answer(r, status, NULL, "{}", 2);
}

/* --- the SOC behind ------------------------------------------------------------------------------------------------------------ */

static int raise_incident(struct soc *s, void *context)
{
	int error;
	uint32_t customer = *(uint32_t *)context;
	must(incidents_raise(soc_incidents(s), customer, "test", SEVERITY_CRITICAL, customer == 2 ? SECRET : "ours",
			     "x", "why", "x", soc_now(s), &error) != NULL);
	return 0;
}

static void clean_up(void)
{
	static const char *const beside[] = {"", "-wal", "-shm"};
	char path[80];
	soc_finish(soc);
	api_close(api);
	ingest_close(ingest);
	soc_close(soc);
	for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", store, beside[i]);
		unlink(path);
	}
	rmdir(folder);
}

static void set_up(void)
{
	struct soc_config config;
	struct ingest_config limits;
	char error[SOC_ERROR_MAX], other[ENROLL_TOKEN_MAX];
	uint32_t first = 0, second = 0;
	must(mkdtemp(folder) != NULL);
	snprintf(store, sizeof(store), "%s/soc.db", folder);
	soc_config_defaults(&config);
	config.store_path = store;
	ingest_config_defaults(&limits);
	soc = soc_open(&config, error);
	must(soc != NULL);
	ingest = ingest_open(soc, &limits);
	const struct api_config api_config = {.soc = soc, .ingest = ingest};
	api = api_open(&api_config);
	must(ingest && api && enroll_customer(soc, "t", "aoi", &first, error) == 0 &&
	     enroll_customer(soc, "t", SECRET, &second, error) == 0);
	must(enroll_user(soc, "t", "kei", USER_CUSTOMER, first, tokens[0], error) == 0 &&
	     enroll_user(soc, "t", "ana", USER_ANALYST, 0, tokens[1], error) == 0 &&
	     enroll_user(soc, "t", SECRET "-user", USER_CUSTOMER, second, other, error) == 0);
	must(soc_do_now(soc, raise_incident, &first) == 0 && soc_do_now(soc, raise_incident, &second) == 0);
	atexit(clean_up);
}

/* --- one request --------------------------------------------------------------------------------------------------------------- */

static void split(struct http_request *r, char *line)
{
	char *path = strchr(line, ' '), *query;
	if (path)
		*path++ = 0;
	else
		path = line + strlen(line);
	snprintf(r->method, sizeof(r->method), "%.15s", line);
	query = strchr(path, '?');
	if (query)
		*query++ = 0;
	snprintf(r->path, sizeof(r->path), "%.511s", path);
	while (query && *query && r->parameters < PARAMETERS) {
		char *next = strchr(query, '&'), *value;
		if (next)
			*next++ = 0;
		value = strchr(query, '=');
		if (value)
			*value++ = 0;
		r->names[r->parameters] = query;
		r->values[r->parameters++] = value ? value : query + strlen(query);
		query = next;
	}
}

static void ask(char *line, const uint8_t *body, size_t len, unsigned who)
{
	struct http_request r = {.lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};
	snprintf(r.authorization, sizeof(r.authorization), "Bearer %s", tokens[who]);
	split(&r, line);
	api_begin(api, &r);
	if (!r.answers && len > 0 && len <= r.allowed)
		api_body(api, &r, body, len);
	if (!r.answers && len <= r.allowed)
		api_end(api, &r);
	else if (!r.answers)
		r.answers = 1; /* the server has refused it */
	pthread_mutex_lock(&r.lock);
	while (!r.answers)
		pthread_cond_wait(&r.done, &r.lock);
	pthread_mutex_unlock(&r.lock);
	must(r.answers == 1);
	must(who != 0 || !r.leaks);
	api_gone(api, &r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	char line[1024];
	pthread_once(&once, set_up);
	const uint8_t *stop = memchr(data, '\n', size);
	size_t head = stop ? (size_t)(stop - data) : size;
	if (head >= sizeof(line) || memchr(data, 0, head))
		return 0;
	for (unsigned who = 0; who < 2; who++) {
		memcpy(line, data, head);
		line[head] = 0;
		ask(line, stop ? stop + 1 : data + size, stop ? size - head - 1 : 0, who);
	}
	return 0;
}
