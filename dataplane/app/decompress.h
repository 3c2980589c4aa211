/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Incremental decompression of what content encodings wrap: one or several layers, each fed as bytes arrive.
 *
 * Servers mislabel and evaders lie, so a layer that fails before it gave anything tries the other zlib formats in turn
 * on the same bytes, and at last lets them through as they are. All memory comes from the slab; the output is bounded.
 */

#include <dataplane/slab.h>

enum decompress_encoding {
	DECOMPRESS_GZIP,
	DECOMPRESS_DEFLATE, /* without a header, as many servers send it */
	DECOMPRESS_ZLIB,
	DECOMPRESS_BROTLI,
	DECOMPRESS_LZMA, /* the "alone" format */
};

/* Layers of one body at most; the configuration may ask for less. */
#define DECOMPRESS_LAYERS_MAX 8

typedef void (*decompress_sink)(void *user, const uint8_t *data, size_t len);

struct decompress_limits {
	uint64_t output_bytes_max;
};

enum decompress_trouble {
	DECOMPRESS_TROUBLE_DATA = 1 << 0,   /* some bytes were not what their encoding says */
	DECOMPRESS_TROUBLE_BOMB = 1 << 1,   /* the output limit or ratio was passed: nothing more comes out */
	DECOMPRESS_TROUBLE_MEMORY = 1 << 2, /* the slab or the LZMA memory limit said no */
};

struct decompressor;

/* NULL when memory is refused. `sink` receives the plain bytes; it must not free the decompressor. */
struct decompressor *decompressor_new(struct slab *slab, const struct decompress_limits *limits, decompress_sink sink,
				      void *user);
/* Adds the layer that is undone before those added so far. 0, -ENOMEM, or -E2BIG. */
int decompressor_push(struct decompressor *d, enum decompress_encoding encoding);
/* Returns the troubles met so far (enum decompress_trouble). */
unsigned decompressor_feed(struct decompressor *d, const uint8_t *data, size_t len);
/* No more input: what was held back while formats were tried comes out. */
void decompressor_finish(struct decompressor *d);
void decompressor_free(struct decompressor *d); /* NULL is allowed */
void *decompressor_user(const struct decompressor *d);
