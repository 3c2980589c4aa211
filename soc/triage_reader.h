/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What the two halves of the reader of rules share. Every function that can fail leaves its message in `error` and returns r->rc. */

#include <stdio.h>
#include <yaml.h>

#include "triage_rules.h"

struct reader {
	struct triage_rules *rules;
	yaml_document_t *document;
	const char *path;
	char *error;
	int rc;
};

typedef int reader_entry(struct reader *r, const yaml_node_t *key, const char *name, const yaml_node_t *value,
			 void *context);
typedef int reader_item(struct reader *r, const yaml_node_t *node, unsigned at, void *context);

__attribute__((format(printf, 3, 4))) int reader_fail(struct reader *r, const yaml_node_t *node, const char *format,
						      ...);
/* Zeroed memory that lives as long as the rules. */
void *reader_keep(struct reader *r, size_t count, size_t size);
const yaml_node_t *reader_node(struct reader *r, int index);
/* NULL: no scalar, or one with a NUL in it. */
const char *reader_scalar(const yaml_node_t *node);
/* A copy without newlines at its end. */
const char *reader_text(struct reader *r, const yaml_node_t *node, const char *what, size_t max);
int reader_map(struct reader *r, const yaml_node_t *node, const char *what, reader_entry *entry, void *context);
int reader_list(struct reader *r, const yaml_node_t *node, const char *what, unsigned max, reader_item *each,
		void *context);
unsigned reader_count(const yaml_node_t *node);
bool reader_is(const char *name, const char *const *names, unsigned *at);

/* "7", "10-20" */
int reader_number(struct reader *r, const yaml_node_t *node, const char *what, struct range *range);
int reader_flag(struct reader *r, const yaml_node_t *node, const char *what, bool *flag);
/* "90s", "10m", "24h", "2d" in microseconds */
int reader_duration(struct reader *r, const yaml_node_t *node, const char *what, int64_t *us);
int reader_conditions(struct reader *r, const yaml_node_t *node, struct condition_set *set, unsigned depth);
