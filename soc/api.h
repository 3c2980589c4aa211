/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The SOC's HTTP API for people and scripts (docs/api.md): JSON, version 1, everything under /v1/ that is not a device's. Who asks is
 * known by a bearer token; a customer's user sees his own customer only, and what is another's does not exist for him. Its handler
 * functions stand behind the HTTPS server's; all of its threads may call them.
 */

#include "authority.h"
#include "http.h"
#include "ingest.h"
#include "soc.h"

struct api_config {
	struct soc *soc;
	struct ingest *ingest;		   /* for its figures */
	const struct authority *authority; /* for enrolment; NULL: none here */
	const char *const *addresses;	   /* that a new device is told */
	size_t address_count;
};

struct api;

/* NULL when memory is short. What `config` points to outlives it. */
struct api *api_open(const struct api_config *config);
/* When no request is left. */
void api_close(struct api *api);

/* As struct http_handler says. */
void api_begin(struct api *api, struct http_request *request);
void api_body(struct api *api, struct http_request *request, const void *data, size_t len);
void api_end(struct api *api, struct http_request *request);
void api_gone(struct api *api, struct http_request *request);
