/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Requests to the SOC: HTTPS with mutual TLS, one at a time, by addresses that are tried in turn. One thread a link. */

#include <export/export.h>

#include "answer.h"

/* Certificates as PEM text. One for all links, constant. */
struct link_keys {
	char *certificate, *key, *ca;
};

/* Reads what is a path. 0, or -errno with a message. */
int link_keys_read(struct link_keys *keys, const struct export_config *config, char error[static EXPORT_ERROR_MAX]);
void link_keys_free(struct link_keys *keys);

enum link_trouble {
	LINK_NONE,    /* there is a status */
	LINK_NETWORK, /* nobody there, or cut */
	LINK_REFUSED, /* TLS: one of the two does not take the other for what it says */
	LINK_STOPPED, /* link_stop */
};

struct link_reply {
	enum link_trouble trouble;
	long status;
	uint64_t retry_after_s; /* 0: not said */
	char body[ANSWER_BYTES_MAX];
	size_t len;
	char why[EXPORT_ERROR_MAX]; /* of trouble */
};

struct link;

struct link *link_open(const struct export_config *config, const struct link_keys *keys,
		       char error[static EXPORT_ERROR_MAX]);
void link_close(struct link *link);
/* PATH begins with a slash. `gzip`: the body is packed. */
void link_post(struct link *link, const char *path, const char *type, bool gzip, const void *body, size_t len,
	       struct link_reply *reply);
/* From now on the next address is asked. False when that is the one that began the round. */
bool link_next(struct link *link);
const char *link_address(const struct link *link);
/* Any thread: what is under way after this moment of CLOCK_MONOTONIC ends; 0 takes that back. */
void link_stop(struct link *link, uint64_t at_ns);
