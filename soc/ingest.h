/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What devices send (docs/soc.md): batches of lines, the question where a stream stands, and their health. A device is who its
 * certificate says; one that is unknown or revoked gets 403. Its handler functions stand behind the HTTPS server's; all of its
 * threads may call them.
 */

#include <stdbool.h>
#include <stdint.h>

#include "http.h"
#include "soc.h"

/* Of a health report. */
#define INGEST_HEALTH_MAX (64u << 10)

struct ingest_config {
	double records_per_second;		    /* of one device, in the long run; default 100,000 */
	double records_burst;			    /* that it may be ahead; default 2,000,000 */
	double requests_per_second, requests_burst; /* default 50 and 500 */
	/* Unpacked bytes of all requests that are being read; beyond, new ones get 503. Default 256 MiB */
	uint64_t bytes_max;
};

struct ingest_stats {
	uint64_t refused_unknown, refused_rate, refused_busy, refused_bad;
	uint64_t bytes; /* that are being read */
};

struct ingest;

void ingest_config_defaults(struct ingest_config *config);
/* NULL when memory is short. */
struct ingest *ingest_open(struct soc *soc, const struct ingest_config *config);
/* When no request is left. */
void ingest_close(struct ingest *ingest);
struct ingest_stats ingest_stats(struct ingest *ingest);
/* Whether a path is the ingest's. */
bool ingest_has(const char *path);

/* As struct http_handler says. */
void ingest_begin(struct ingest *ingest, struct http_request *request);
void ingest_body(struct ingest *ingest, struct http_request *request, const void *data, size_t len);
void ingest_end(struct ingest *ingest, struct http_request *request);
void ingest_gone(struct ingest *ingest, struct http_request *request);
