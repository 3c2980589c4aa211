/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Suppressions: what a person has found to be no incident, within a scope and until a time. Events within the scope become no incident;
 * their records stay, are counted and can be searched. Memory only, for one thread.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "event.h"

#define SUPPRESS_ERROR_MAX 160
/* From when it is made. */
#define SUPPRESS_LONGEST_US (366ll * 86400 * 1000000)

struct suppression {
	uint64_t id;
	uint32_t customer;
	uint32_t signature;	     /* 0: any */
	char class[RECORD_NAME_MAX]; /* "": any */
	bool has_source, has_target;
	struct prefix source, target;
	int64_t until; /* microseconds */
	char reason[512];
	char who[64];
};

/* What a person writes: {"signature", "class", "source", "target", "until", "reason"}; it must name a signature, a class or a source, a reason, and
 * an end that lies before now + SUPPRESS_LONGEST_US. 0, or -EINVAL with a message. */
int suppression_from_json(const json_t *json, int64_t now, struct suppression *suppression,
			  char error[static SUPPRESS_ERROR_MAX]);
/* As the store and the API have it, with id, customer and who; a new reference. */
json_t *suppression_to_json(const struct suppression *suppression);
/* Reads that back, also when it is over. 0 or -EINVAL. */
int suppression_restore(const json_t *json, struct suppression *suppression);

/* Whether all of an event, as far as it is known, is within the scope. */
bool suppression_holds(const struct suppression *suppression, const struct event *event, int64_t now);
