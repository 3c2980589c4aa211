/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* sekisho-soc ctl: the API's client (ctl.c), its tables (ctl_show.c). One thread. */

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

struct column {
	const char *title, *member; /* "title.en": within an object; "@time", "@severity" before it: shown as such */
	int width;		    /* 0: the rest of the line */
};

/* A list as a table, its first line the titles when `head`. */
void ctl_table(FILE *out, const struct column *columns, const json_t *items, bool head);
/* One incident for a person: what, why, who, what to do, what was done. */
void ctl_incident(FILE *out, const json_t *incident);
/* Any object: a member a line. */
void ctl_object(FILE *out, json_t *object, int indent);
