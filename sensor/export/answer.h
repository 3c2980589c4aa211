/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What the SOC answers: a JSON object. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An answer is a line; a longer one is none of the SOC's. */
#define ANSWER_BYTES_MAX 4096

struct answer {
	bool has_next;
	uint64_t next;
	bool has_error;
	char error[128]; /* printable */
};

/* 0, or -EINVAL for what is no answer of the SOC. */
int answer_parse(struct answer *answer, const char *text, size_t len);
