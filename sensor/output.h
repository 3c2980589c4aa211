/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* A file that records are appended to, through a buffer of its own. One thread. */

#include <stddef.h>

struct output;

/* Creates or empties the file. NULL and errno on failure. */
struct output *output_open(const char *path);
/* Appends a record whole. Errors are kept for output_close. */
void output_write(struct output *output, const void *data, size_t len);
/* Flushes, closes and frees: 0 or the first error as -errno. NULL is allowed. */
int output_close(struct output *output);
