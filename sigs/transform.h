/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Transforms of a buffer (strip_whitespace, to_md5, from_base64 ...) before it is inspected. */

#include <dataplane/slab.h>

#include "signature.h"

/* Output of one transform at most; a longer input is cut, so that a chain's work is bounded. */
#define TRANSFORM_OUTPUT_MAX (1u << 20)
/* gunzip and zlib_deflate write at most this unless the rule says less. */
#define TRANSFORM_INFLATE_MAX (1u << 16)

/* Scratch memory for transforms: one a matcher. */
struct transformer;

/* NULL and errno on failure. The slab outlives it. */
struct transformer *transformer_new(struct slab *slab);
void transformer_free(struct transformer *transformer);

/*
 * Runs the chain over `in`. True and the result in *out, which lives until the next call (or is `in` itself when nothing
 * changed); false when a transform gives nothing (no match of pcrexform, broken compressed data, memory refused): the buffer
 * then counts as absent.
 */
bool transform_run(struct transformer *transformer, const struct transform *chain, unsigned count, struct bytes in,
		   struct bytes *out);
