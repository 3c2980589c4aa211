/* SPDX-License-Identifier: BSD-3-Clause */
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http_private.h"

#define INFLATE_BYTES 65536
/* Both gzip and zlib's own header. */
#define INFLATE_WINDOW (15 + 32)

/* --- what came --------------------------------------------------------------------------------------------------------- */

const char *http_method(const struct http_request *request)
{
	return request->method;
}

const char *http_path(const struct http_request *request)
{
	return request->path;
}

const char *http_query(const struct http_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

struct query_each {
	int (*each)(void *context, const char *name, const char *value);
	void *context;
	int rc;
};

static enum MHD_Result query_one(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct query_each *q = context;
	(void)kind;
	q->rc = q->each(q->context, name, value ? value : "");
	return q->rc == 0 ? MHD_YES : MHD_NO;
}

int http_query_each(struct http_request *request, int (*each)(void *context, const char *name, const char *value),
		    void *context)
{
	struct query_each q = {each, context, 0};
	MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, query_one, &q);
	return q.rc;
}

const char *http_header(const struct http_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

static void read_certificate(struct http_request *request)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	struct http_connection *c = request->of;
	unsigned count = 0, status = 0;
	unsigned char digest[32];
	size_t size = sizeof(digest);
	c->known = true;
	if (!info || !info->tls_session || gnutls_certificate_verify_peers2(info->tls_session, &status) != 0 || status)
		return;
	const gnutls_datum_t *certificate = gnutls_certificate_get_peers(info->tls_session, &count);
	if (count == 0 || gnutls_fingerprint(GNUTLS_DIG_SHA256, certificate, digest, &size) != 0)
		return;
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(c->fingerprint + 2 * i, 3, "%02x", digest[i]);
}

const char *http_fingerprint(const struct http_request *request)
{
	return request->of ? request->of->fingerprint : "";
}

const char *http_peer(const struct http_request *request)
{
	return request->of ? request->of->peer : "?";
}

void http_allow(struct http_request *request, size_t bytes)
{
	request->allowed = bytes;
}

void http_set_context(struct http_request *request, void *context)
{
	request->context = context;
}

void *http_context(const struct http_request *request)
{
	return request->context;
}

/* --- the answer -------------------------------------------------------------------------------------------------------- */

static bool answered(struct http_request *request)
{
	pthread_mutex_lock(&request->lock);
	bool yes = request->answered;
	pthread_mutex_unlock(&request->lock);
	return yes;
}

void http_answer_header(struct http_request *request, const char *name, const char *value)
{
	pthread_mutex_lock(&request->lock);
	if (request->header_count < sizeof(request->headers) / sizeof(request->headers[0]) &&
	    strlen(name) < sizeof(request->headers[0].name) && strlen(value) < sizeof(request->headers[0].value)) {
		strcpy(request->headers[request->header_count].name, name);
		strcpy(request->headers[request->header_count++].value, value);
	}
	pthread_mutex_unlock(&request->lock);
}

static struct MHD_Response *make_response(struct http_request *request, const char *type, const void *body, size_t len)
{
	static const char *const always[][2] = {
		{"Cache-Control", "no-store"},
		{"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
		{"Referrer-Policy", "no-referrer"},
		{"Strict-Transport-Security", "max-age=31536000"},
		{"X-Content-Type-Options", "nosniff"},
	};
	struct MHD_Response *response =
		MHD_create_response_from_buffer(len, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
	if (!response)
		return NULL;
	MHD_add_response_header(response, "Content-Type", type ? type : "application/json");
	for (unsigned i = 0; i < request->header_count; i++)
		MHD_add_response_header(response, request->headers[i].name, request->headers[i].value);
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		if (!MHD_get_response_header(response, always[i][0]))
			MHD_add_response_header(response, always[i][0], always[i][1]);
	return response;
}

void http_answer(struct http_request *request, unsigned status, const char *type, const void *body, size_t len)
{
	pthread_mutex_lock(&request->lock);
	if (!request->answered) {
		request->answered = true;
		request->status = status;
		request->response = make_response(request, type, body, len);
		if (request->suspended)
			MHD_resume_connection(request->connection);
	}
	pthread_mutex_unlock(&request->lock);
}

void http_answer_error(struct http_request *request, unsigned status, const char *format, ...)
{
	char text[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	json_t *json = json_pack("{s:s}", "error", text);
	/* a text that is cut within a character, or quotes what is no UTF-8, is no JSON string */
	char *body = json ? json_dumps(json, JSON_COMPACT) : NULL;
	static const char plain[] = "{\"error\":\"the request cannot be answered\"}";
	http_answer(request, status, NULL, body ? body : plain, body ? strlen(body) : sizeof(plain) - 1);
	free(body);
	json_decref(json);
}

/* --- what libmicrohttpd calls ------------------------------------------------------------------------------------------- */

void *http_request_new(void *server, const char *uri, struct MHD_Connection *connection)
{
	struct http_request *request = calloc(1, sizeof(*request));
	const union MHD_ConnectionInfo *of = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	if (!request)
		return NULL;
	request->server = server;
	request->connection = connection;
	request->of = of ? of->socket_context : NULL;
	/* a NUL would hide the rest of a path or a value */
	request->bad_path = strstr(uri, "%00") != NULL;
	pthread_mutex_init(&request->lock, NULL);
	return request;
}

void http_request_over(void *user, struct MHD_Connection *connection, void **context,
		       enum MHD_RequestTerminationCode code)
{
	struct http_server *server = user;
	struct http_request *request = *context;
	(void)connection;
	(void)code;
	if (!request)
		return;
	http_phase(server, request->of, PHASE_HEADERS);
	if (request->begun && server->config.handler->gone)
		server->config.handler->gone(server->config.user, request);
	if (request->gzip)
		inflateEnd(&request->inflate);
	if (request->response)
		MHD_destroy_response(request->response);
	pthread_mutex_destroy(&request->lock);
	free(request);
	*context = NULL;
}

static void look_at_encoding(struct http_request *request)
{
	const char *encoding = http_header(request, "Content-Encoding");
	if (!encoding || strcasecmp(encoding, "identity") == 0)
		return;
	if (strcasecmp(encoding, "gzip") == 0 && inflateInit2(&request->inflate, INFLATE_WINDOW) == Z_OK)
		request->gzip = true;
	else
		http_answer_error(request, 415, "the body's Content-Encoding may be gzip, or none");
}

static uint64_t announced(const struct http_request *request)
{
	const char *length = http_header(request, "Content-Length");
	if (length)
		return strtoull(length, NULL, 10);
	return http_header(request, "Transfer-Encoding") ? UINT64_MAX : 0;
}

static void begin(struct http_request *request)
{
	struct http_server *server = request->server;
	request->begun = true;
	if (request->of && !request->of->known)
		read_certificate(request);
	http_phase(server, request->of, PHASE_BODY);
	if (__atomic_load_n(&server->quiet, __ATOMIC_ACQUIRE)) {
		http_answer_header(request, "Connection", "close");
		http_answer_header(request, "Retry-After", "1");
		http_answer_error(request, 503, "the server ends; try again soon");
	} else if (request->bad_path || strlen(request->path) >= HTTP_PATH_MAX) {
		http_answer_error(request, 400, "the path is too long, or has a NUL in it");
	} else {
		look_at_encoding(request);
	}
	if (!answered(request))
		server->config.handler->begin(server->config.user, request);
	uint64_t length = announced(request);
	if (!answered(request) && length != UINT64_MAX && length > request->allowed)
		http_answer_error(request, 413, "the body may have %zu bytes", request->allowed);
}

static void give(struct http_request *request, const void *data, size_t len)
{
	struct http_server *server = request->server;
	request->unpacked += len;
	if (request->unpacked > request->allowed)
		http_answer_error(request, 413, "the body may have %zu bytes, unpacked", request->allowed);
	else if (server->config.handler->body)
		server->config.handler->body(server->config.user, request, data, len);
}

static void unpack(struct http_request *request, const char *data, size_t len)
{
	unsigned char out[INFLATE_BYTES];
	z_stream *z = &request->inflate;
	z->next_in = (unsigned char *)(uintptr_t)data;
	z->avail_in = (unsigned)len;
	do {
		z->next_out = out;
		z->avail_out = sizeof(out);
		int rc = request->gzip_over ? Z_DATA_ERROR : inflate(z, Z_NO_FLUSH);
		if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) {
			http_answer_error(request, 400, "the body is no gzip");
			return;
		}
		request->gzip_over = rc == Z_STREAM_END;
		if (z->avail_out < sizeof(out))
			give(request, out, sizeof(out) - z->avail_out);
		if (rc == Z_BUF_ERROR)
			return;
	} while (!answered(request) && (z->avail_in > 0 || z->avail_out == 0));
}

/* A piece of the body. */
static enum MHD_Result take(struct http_request *request, const char *data, size_t len)
{
	if (answered(request)) {
		request->drained += len;
		return request->drained > HTTP_DRAIN_MAX ? MHD_NO : MHD_YES;
	}
	request->packed += len;
	if (request->packed > request->allowed)
		http_answer_error(request, 413, "the body may have %zu bytes", request->allowed);
	else if (request->gzip)
		unpack(request, data, len);
	else
		give(request, data, len);
	return MHD_YES;
}

static void end(struct http_request *request)
{
	struct http_server *server = request->server;
	request->ended = true;
	if (answered(request))
		return;
	if (request->gzip && request->packed > 0 && !request->gzip_over) {
		http_answer_error(request, 400, "the body is an unfinished gzip");
		return;
	}
	http_phase(server, request->of, PHASE_ANSWER);
	server->config.handler->end(server->config.user, request);
}

/* The answer goes out, if there is one; else the connection rests until there is. */
static enum MHD_Result conclude(struct http_request *request)
{
	enum MHD_Result rc = MHD_YES;
	pthread_mutex_lock(&request->lock);
	if (!request->answered) {
		request->suspended = true;
		MHD_suspend_connection(request->connection);
	} else if (request->response) {
		rc = MHD_queue_response(request->connection, request->status, request->response);
	} else {
		rc = MHD_NO; /* no memory for it */
	}
	bool sending = request->answered;
	pthread_mutex_unlock(&request->lock);
	if (sending)
		http_phase(request->server, request->of, PHASE_SENDING);
	return rc;
}

enum MHD_Result http_request_access(void *server, struct MHD_Connection *connection, const char *url,
				    const char *method, const char *version, const char *data, size_t *len,
				    void **context)
{
	struct http_request *request = *context;
	(void)server;
	(void)connection;
	(void)version;
	if (!request)
		return MHD_NO;
	if (!request->begun) {
		request->path = url;
		request->method = method;
		begin(request);
		/* a body too long to be thrown away: the answer now, and the connection ends */
		return answered(request) && announced(request) > HTTP_DRAIN_MAX ? conclude(request) : MHD_YES;
	}
	if (*len > 0) {
		enum MHD_Result rc = take(request, data, *len);
		*len = 0;
		return rc;
	}
	if (!request->ended)
		end(request);
	return conclude(request);
}
