/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What the files of the HTTPS server share; of no one else's concern. */

#include <microhttpd.h>
#include <pthread.h>
#include <zlib.h>

#include "http.h"

/* What comes of a body after its answer is decided is read and thrown away, so that the client sees the answer; no more than this. */
#define HTTP_DRAIN_MAX (1u << 20)

enum http_phase {
	PHASE_HEADERS, /* of the TLS handshake too */
	PHASE_BODY,
	PHASE_ANSWER, /* somebody works on it: no deadline */
	PHASE_SENDING,
};

struct http_connection {
	struct http_connection *newer, *older;
	int fd;
	enum http_phase phase;
	uint64_t since_ns; /* of the phase */
	bool known;	   /* the certificate has been looked at */
	char fingerprint[HTTP_FINGERPRINT_MAX], peer[64];
};

struct http_request {
	struct http_server *server;
	struct MHD_Connection *connection;
	struct http_connection *of;
	const char *method, *path;
	bool bad_path, begun, ended, gzip, gzip_over, cut;
	size_t allowed, packed, unpacked, drained;
	z_stream inflate;
	void *context;

	pthread_mutex_t lock; /* of what follows: another thread may answer */
	struct MHD_Response *response;
	unsigned status;
	bool answered, suspended;
	struct {
		char name[32], value[256];
	} headers[4];
	unsigned header_count;
};

struct http_server {
	struct http_config config;
	struct MHD_Daemon *daemon;
	pthread_mutex_t lock; /* of the list */
	pthread_cond_t wake;
	struct http_connection *newest;
	pthread_t reaper;
	bool reaping, end;
	bool quiet;
};

/* http_request.c: what libmicrohttpd calls for a request. */
void *http_request_new(void *server, const char *uri, struct MHD_Connection *connection);
enum MHD_Result http_request_access(void *server, struct MHD_Connection *connection, const char *url,
				    const char *method, const char *version, const char *data, size_t *len,
				    void **context);
void http_request_over(void *server, struct MHD_Connection *connection, void **context,
		       enum MHD_RequestTerminationCode code);
/* http.c */
void http_phase(struct http_server *server, struct http_connection *connection, enum http_phase phase);
