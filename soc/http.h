/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * An HTTPS server: TLS 1.2 and 1.3, client certificates asked for where a CA is given (and told to the handler by their
 * fingerprint; who needs none may come without). Bodies are handed on piece by piece, unpacked when they came as gzip; answers
 * may be given later, by another thread. Everything that a client can make wait or grow is bounded, and the bounds are here.
 *
 * RFC 9110, 9112; RFC 8446.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_ERROR_MAX	     512
#define HTTP_FINGERPRINT_MAX 65		 /* SHA-256 of a certificate in hexadecimal, with its end */
#define HTTP_MEMORY_MAX	     (64u << 10) /* of a connection: the headers of a request take most of half of it */
#define HTTP_PATH_MAX	     512

struct http_server;
struct http_request;

struct http_handler {
	/* The headers have come. Sets how long the body may be by http_allow (without: none), and its own context by http_set_context; or
	 * answers at once, and nothing else is called then but `gone`. */
	void (*begin)(void *user, struct http_request *request);
	/* A piece of the body. May answer, as above: what still comes is thrown away. */
	void (*body)(void *user, struct http_request *request, const void *data, size_t len);
	/* All has come: answers, now or later. */
	void (*end)(void *user, struct http_request *request);
	/* The last call for a request, whatever became of it: frees the context. Not before its answer was given, if `end` was called. */
	void (*gone)(void *user, struct http_request *request);
};

struct http_config {
	const char *listen; /* "ADDRESS:PORT", "[ADDRESS]:PORT"; port 0: any free one (http_port) */
	const char *
		certificate; /* PEM texts: the chain of this server, its key, and the CA of clients (NULL: none is asked for one) */
	const char *key;
	const char *client_ca;
	unsigned threads;		  /* 0: one a core, at most 8 */
	unsigned connections_max;	  /* default 1024; beyond, new ones are closed at once */
	unsigned connections_per_address; /* default 64 */
	unsigned idle_s;		  /* a connection that does nothing: default 30 */
	unsigned request_s;		  /* from the first byte of a request to its last: default 60 */
	const struct http_handler *handler;
	void *user;
	void (*say)(void *user, bool bad, const char *text); /* words for people; any thread */
};

void http_config_defaults(struct http_config *config);
/* NULL with a message. What `config` points to must live until http_close. */
struct http_server *http_open(const struct http_config *config, char error[static HTTP_ERROR_MAX]);
uint16_t http_port(const struct http_server *server);
/* Takes no new connection, and answers new requests with 503; those that wait for an answer may still get it. */
void http_quiesce(struct http_server *server);
/* Ends all connections. Every request whose `end` was called must have been answered. */
void http_close(struct http_server *server);

/* --- a request; on the thread of the callback, or on any until the answer where that says so --- */

const char *http_method(const struct http_request *request);
const char *http_path(const struct http_request *request);		      /* decoded once, without the query */
const char *http_query(const struct http_request *request, const char *name); /* decoded; NULL: not there */
/* Calls `each` for every parameter of the query, decoded, until it is not 0, which is returned. */
int http_query_each(struct http_request *request, int (*each)(void *context, const char *name, const char *value),
		    void *context);
const char *http_header(const struct http_request *request, const char *name); /* NULL: not there */
/* Of the client's certificate, where it came with one that the CA signed and that is valid now; else "". */
const char *http_fingerprint(const struct http_request *request);
/* Its address as text, for the record. */
const char *http_peer(const struct http_request *request);
/* In `begin`: the body may have so many bytes, packed or not; beyond, 413. */
void http_allow(struct http_request *request, size_t bytes);
void http_set_context(struct http_request *request, void *context);
void *http_context(const struct http_request *request);

/* A header of the answer, before it is given; both are copied. Any thread. */
void http_answer_header(struct http_request *request, const char *name, const char *value);
/* The answer; `body` is copied, `type` is its Content-Type (NULL: application/json). Once a request. Any thread, and the request is not to be
 * touched afterwards but in `gone`. */
void http_answer(struct http_request *request, unsigned status, const char *type, const void *body, size_t len);
/* {"error": TEXT} with the status; the text must name what to do, and nothing secret. Any thread. */
void http_answer_error(struct http_request *request, unsigned status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
