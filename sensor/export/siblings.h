/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* A record file and what rotation made of it before: PATH.2, PATH.1, PATH; or PATH-20261124, PATH. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIBLING_NAME_MAX 256
/* More rotated files of one path than this are not looked at (the oldest are left out). */
#define SIBLINGS_MAX 512

struct sibling {
	char name[SIBLING_NAME_MAX];
	uint64_t device, inode, size;
};

struct siblings {
	struct sibling items[SIBLINGS_MAX]; /* oldest first; the path itself is the last, where there is one */
	unsigned count;
	bool has_path; /* the last is the path itself */
};

/* Whether `name` is what rotation makes of `base`: base, a dot or dash, and digits, dots, dashes. */
bool sibling_is_rotated(const char *base, const char *name);
/* Looks until two looks are the same, so that a rotation under way misleads nobody. 0, -EAGAIN when that does not happen, -errno. */
int siblings_list(const char *path, struct siblings *siblings);
