/* SPDX-License-Identifier: BSD-3-Clause */
#include "app/decompress.h"

#include <brotli/decode.h>
#include <errno.h>
#include <lzma.h>
#include <stdbool.h>
#include <string.h>
#include <zlib.h>

/* One step's output: large enough that the sink is not called for crumbs, small enough for a stack of layers. */
#define STEP_BYTES 8192
/* Input kept for another format as long as nothing came out; a real header ends well before. */
#define HISTORY_BYTES 512
/* gzip to deflate to zlib and round once. */
#define RESTARTS_MAX 3
/* Output of a format on trial that is held: what gives so much without an error is that format. */
#define TRIAL_BYTES 8192
/* Below this much output the ratio says nothing: small bodies of one repeated byte reach it honestly. */
#define RATIO_FROM_BYTES (1u << 20)
#define RATIO_MAX	 2048
/* The dictionary that an LZMA stream gets, whatever it asks for. */
#define LZMA_DICTIONARY_BYTES (1u << 20)
#define LZMA_MEMORY_BYTES     (2u << 20)
#define LZMA_HEADER_BYTES     13

enum gzip_state {
	GZIP_FIXED,
	GZIP_EXTRA_LEN,
	GZIP_EXTRA,
	GZIP_NAME,
	GZIP_COMMENT,
	GZIP_CRC,
	GZIP_BODY,
};

enum gzip_flag { GZIP_FHCRC = 2, GZIP_FEXTRA = 4, GZIP_FNAME = 8, GZIP_FCOMMENT = 16 };

struct layer {
	struct decompressor *owner;
	uint8_t index;
	uint8_t encoding;
	uint8_t restarts;
	uint8_t gzip; /* enum gzip_state */
	uint8_t gzip_flags;
	uint8_t gzip_have; /* bytes of the part at hand */
	uint16_t gzip_extra;
	bool open;     /* its library state exists */
	bool produced; /* something came out: no other format is tried any more */
	bool ended;    /* the stream ended, or broke: the rest is ignored */
	bool through;  /* bytes pass as they are */
	bool trial;    /* a format is tried: its output is held until it has shown no error */
	struct slab_buf held;
	uint16_t history_len;
	uint8_t history[HISTORY_BYTES];
	union {
		z_stream z;
		BrotliDecoderState *brotli;
		lzma_stream lzma;
	};
};

struct decompressor {
	struct slab *slab;
	decompress_sink sink;
	void *user;
	struct decompress_limits limits;
	uint64_t in, out;
	unsigned trouble;
	unsigned layers;
	lzma_allocator lzma_memory;
	struct layer *layer[DECOMPRESS_LAYERS_MAX]; /* [layers - 1] is fed first */
};

/* --- library memory from the slab: the size stands before the block ------------------------------------------------ */

#define SIZE_PREFIX 16

static void *sized_alloc(void *opaque, size_t size)
{
	struct slab *slab = opaque;
	uint8_t *block;

	if (size > SLAB_BLOCK_MAX - SIZE_PREFIX)
		return NULL;
	block = slab_alloc(slab, size + SIZE_PREFIX);
	if (!block)
		return NULL;
	memcpy(block, &size, sizeof(size));
	return block + SIZE_PREFIX;
}

static void sized_free(void *opaque, void *p)
{
	struct slab *slab = opaque;
	size_t size;

	if (!p)
		return;
	memcpy(&size, (uint8_t *)p - SIZE_PREFIX, sizeof(size));
	slab_free(slab, (uint8_t *)p - SIZE_PREFIX, size + SIZE_PREFIX);
}

static voidpf zlib_alloc(voidpf opaque, uInt items, uInt size)
{
	return sized_alloc(opaque, (size_t)items * size);
}

static void zlib_free(voidpf opaque, voidpf p)
{
	sized_free(opaque, p);
}

static void *lzma_memory_alloc(void *opaque, size_t count, size_t size)
{
	if (size && count > SLAB_BLOCK_MAX / size)
		return NULL;
	return sized_alloc(opaque, count * size);
}

/* --- a layer's life ------------------------------------------------------------------------------------------------- */

static bool layer_open(struct layer *l)
{
	struct slab *slab = l->owner->slab;

	switch (l->encoding) {
	case DECOMPRESS_GZIP:
	case DECOMPRESS_DEFLATE:
	case DECOMPRESS_ZLIB:
		l->z = (z_stream){.zalloc = zlib_alloc, .zfree = zlib_free, .opaque = slab};
		l->open = inflateInit2(&l->z, l->encoding == DECOMPRESS_ZLIB ? 15 : -15) == Z_OK;
		l->gzip = GZIP_FIXED;
		l->gzip_have = 0;
		break;
	case DECOMPRESS_BROTLI:
		l->brotli = BrotliDecoderCreateInstance(sized_alloc, sized_free, slab);
		l->open = l->brotli != NULL;
		break;
	case DECOMPRESS_LZMA:
		l->lzma = (lzma_stream)LZMA_STREAM_INIT;
		l->lzma.allocator = &l->owner->lzma_memory;
		l->open = lzma_alone_decoder(&l->lzma, LZMA_MEMORY_BYTES) == LZMA_OK;
		break;
	}
	if (!l->open)
		l->owner->trouble |= DECOMPRESS_TROUBLE_MEMORY;
	return l->open;
}

static void layer_close(struct layer *l)
{
	if (!l->open)
		return;
	l->open = false;
	switch (l->encoding) {
	case DECOMPRESS_BROTLI:
		BrotliDecoderDestroyInstance(l->brotli);
		break;
	case DECOMPRESS_LZMA:
		lzma_end(&l->lzma);
		break;
	default:
		inflateEnd(&l->z);
		break;
	}
}

struct decompressor *decompressor_new(struct slab *slab, const struct decompress_limits *limits, decompress_sink sink,
				      void *user)
{
	struct decompressor *d = slab_zalloc(slab, sizeof(*d));

	if (!d)
		return NULL;
	d->slab = slab;
	d->limits = *limits;
	d->sink = sink;
	d->user = user;
	d->lzma_memory = (lzma_allocator){.alloc = lzma_memory_alloc, .free = sized_free, .opaque = slab};
	return d;
}

int decompressor_push(struct decompressor *d, enum decompress_encoding encoding)
{
	struct layer *l;

	if (d->layers == DECOMPRESS_LAYERS_MAX)
		return -E2BIG;
	l = slab_zalloc(d->slab, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->owner = d;
	l->encoding = (uint8_t)encoding;
	l->index = (uint8_t)d->layers;
	if (!layer_open(l)) {
		slab_free(d->slab, l, sizeof(*l));
		return -ENOMEM;
	}
	d->layer[d->layers++] = l;
	return 0;
}

void decompressor_free(struct decompressor *d)
{
	if (!d)
		return;
	for (unsigned i = 0; i < d->layers; i++) {
		layer_close(d->layer[i]);
		slab_buf_free(d->slab, &d->layer[i]->held);
		slab_free(d->slab, d->layer[i], sizeof(*d->layer[i]));
	}
	slab_free(d->slab, d, sizeof(*d));
}

void *decompressor_user(const struct decompressor *d)
{
	return d->user;
}

/* --- data ----------------------------------------------------------------------------------------------------------- */

static void layer_feed(struct layer *l, const uint8_t *data, size_t len);

/* Hands on what came out of layer `index`. */
static void emit(struct decompressor *d, unsigned index, const uint8_t *data, size_t len)
{
	if (len == 0 || d->trouble & DECOMPRESS_TROUBLE_BOMB)
		return;
	d->out += len;
	if (d->out > d->limits.output_bytes_max || (d->out > RATIO_FROM_BYTES && d->out / RATIO_MAX > d->in)) {
		d->trouble |= DECOMPRESS_TROUBLE_BOMB;
		return;
	}
	if (index == 0)
		d->sink(d->user, data, len);
	else
		layer_feed(d->layer[index - 1], data, len);
}

static void trial_over(struct layer *l)
{
	l->trial = false;
	if (l->held.len > 0) {
		l->produced = true;
		emit(l->owner, l->index, l->held.data, l->held.len);
	}
	slab_buf_free(l->owner->slab, &l->held);
}

static void layer_emit(struct layer *l, const uint8_t *data, size_t len)
{
	if (len == 0)
		return;
	if (l->trial) {
		if (l->held.len + len <= TRIAL_BYTES && slab_buf_append(l->owner->slab, &l->held, data, len))
			return;
		trial_over(l);
	}
	l->produced = true;
	emit(l->owner, l->index, data, len);
}

static bool gzip_next_part(struct layer *l)
{
	static const uint8_t part_flag[] = {
		[GZIP_EXTRA_LEN] = GZIP_FEXTRA, [GZIP_EXTRA] = GZIP_FEXTRA, [GZIP_NAME] = GZIP_FNAME,
		[GZIP_COMMENT] = GZIP_FCOMMENT, [GZIP_CRC] = GZIP_FHCRC,
	};

	do
		l->gzip++;
	while (l->gzip < GZIP_BODY && !(l->gzip_flags & part_flag[l->gzip]));
	l->gzip_have = 0;
	return true;
}

/* Takes one byte of a gzip header; false when it cannot be one. Reserved flags and a wrong checksum do not matter, as
 * browsers do not mind them. */
static bool gzip_header_byte(struct layer *l, uint8_t byte)
{
	static const uint8_t magic[3] = {0x1f, 0x8b, 0x08};

	switch (l->gzip) {
	case GZIP_FIXED:
		if (l->gzip_have < sizeof(magic) && byte != magic[l->gzip_have])
			return false;
		if (l->gzip_have == 3)
			l->gzip_flags = byte;
		return ++l->gzip_have < 10 || gzip_next_part(l);
	case GZIP_EXTRA_LEN:
		l->gzip_extra = (uint16_t)(l->gzip_extra >> 8 | byte << 8);
		if (++l->gzip_have == 2) {
			gzip_next_part(l);
			if (l->gzip_extra == 0)
				gzip_next_part(l);
		}
		return true;
	case GZIP_EXTRA:
		return --l->gzip_extra > 0 || gzip_next_part(l);
	case GZIP_NAME:
	case GZIP_COMMENT:
		return byte != 0 || gzip_next_part(l);
	default:
		return ++l->gzip_have < 2 || gzip_next_part(l);
	}
}

static bool inflate_feed(struct layer *l, const uint8_t *data, size_t len)
{
	uint8_t out[STEP_BYTES];
	const uint8_t *end = data + len;
	int r = Z_OK;

	if (l->encoding == DECOMPRESS_GZIP)
		while (data < end && l->gzip != GZIP_BODY)
			if (!gzip_header_byte(l, *data++))
				return false;
	l->z.next_in = (Bytef *)(uintptr_t)data;
	l->z.avail_in = (uInt)(end - data);
	while (r == Z_OK && (l->z.avail_in > 0 || l->z.avail_out == 0)) {
		l->z.next_out = out;
		l->z.avail_out = sizeof(out);
		r = inflate(&l->z, Z_SYNC_FLUSH);
		layer_emit(l, out, sizeof(out) - l->z.avail_out);
		if (l->owner->trouble & DECOMPRESS_TROUBLE_BOMB)
			return true;
	}
	if (r == Z_STREAM_END)
		l->ended = true;
	l->z.avail_out = 1; /* nothing is waiting inside */
	return r == Z_OK || r == Z_STREAM_END || r == Z_BUF_ERROR;
}

static bool brotli_feed(struct layer *l, const uint8_t *data, size_t len)
{
	uint8_t out[STEP_BYTES];
	BrotliDecoderResult r;

	do {
		uint8_t *next_out = out;
		size_t room = sizeof(out);
		r = BrotliDecoderDecompressStream(l->brotli, &len, &data, &room, &next_out, NULL);
		layer_emit(l, out, sizeof(out) - room);
		if (l->owner->trouble & DECOMPRESS_TROUBLE_BOMB)
			return true;
	} while (r == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT);
	if (r == BROTLI_DECODER_RESULT_SUCCESS)
		l->ended = true;
	return r != BROTLI_DECODER_RESULT_ERROR;
}

static bool lzma_run(struct layer *l, const uint8_t *data, size_t len)
{
	uint8_t out[STEP_BYTES];
	lzma_ret r;

	l->lzma.next_in = data;
	l->lzma.avail_in = len;
	do {
		l->lzma.next_out = out;
		l->lzma.avail_out = sizeof(out);
		r = lzma_code(&l->lzma, LZMA_RUN);
		layer_emit(l, out, sizeof(out) - l->lzma.avail_out);
		if (l->owner->trouble & DECOMPRESS_TROUBLE_BOMB)
			return true;
	} while (r == LZMA_OK && (l->lzma.avail_in > 0 || l->lzma.avail_out == 0));
	if (r == LZMA_STREAM_END)
		l->ended = true;
	if (r == LZMA_MEM_ERROR || r == LZMA_MEMLIMIT_ERROR)
		l->owner->trouble |= DECOMPRESS_TROUBLE_MEMORY;
	return r == LZMA_OK || r == LZMA_STREAM_END || r == LZMA_BUF_ERROR;
}

/* The header asks for a dictionary; a body that needs a larger one than we give breaks off where it does. `before` bytes
 * of the input were fed earlier. */
static bool lzma_feed(struct layer *l, const uint8_t *data, size_t len, size_t before)
{
	uint8_t header[LZMA_HEADER_BYTES];
	uint32_t dictionary;

	if (before >= LZMA_HEADER_BYTES)
		return lzma_run(l, data, len);
	if (l->history_len < LZMA_HEADER_BYTES)
		return true; /* wait for all of it: history has what came */
	memcpy(header, l->history, sizeof(header));
	dictionary =
		(uint32_t)header[1] | (uint32_t)header[2] << 8 | (uint32_t)header[3] << 16 | (uint32_t)header[4] << 24;
	if (dictionary > LZMA_DICTIONARY_BYTES) {
		header[1] = header[2] = header[4] = 0;
		header[3] = LZMA_DICTIONARY_BYTES >> 16;
	}
	data += LZMA_HEADER_BYTES - before;
	len -= LZMA_HEADER_BYTES - before;
	return lzma_run(l, header, sizeof(header)) && (l->ended || lzma_run(l, data, len));
}

static bool format_feed(struct layer *l, const uint8_t *data, size_t len, size_t before)
{
	switch (l->encoding) {
	case DECOMPRESS_BROTLI:
		return brotli_feed(l, data, len);
	case DECOMPRESS_LZMA:
		return lzma_feed(l, data, len, before);
	default:
		return inflate_feed(l, data, len);
	}
}

static uint8_t next_format(uint8_t encoding)
{
	switch (encoding) {
	case DECOMPRESS_DEFLATE:
		return DECOMPRESS_ZLIB;
	case DECOMPRESS_ZLIB:
		return DECOMPRESS_GZIP;
	default:
		return DECOMPRESS_DEFLATE;
	}
}

/* Nothing understands these bytes: let them, and what comes, through all layers from here on. */
static void give_through(struct layer *l)
{
	struct decompressor *d = l->owner;

	for (unsigned i = 0; i <= l->index; i++)
		d->layer[i]->through = true;
	emit(d, l->index, l->history, l->history_len);
	l->history_len = 0;
}

/* The format at hand failed. Tries the next ones on all that is remembered; then what is not (`data` from `kept` on). */
static void try_others(struct layer *l, const uint8_t *data, size_t len, size_t kept)
{
	l->owner->trouble |= DECOMPRESS_TROUBLE_DATA;
	for (;;) {
		layer_close(l);
		if (l->produced || l->owner->trouble & DECOMPRESS_TROUBLE_BOMB) {
			l->ended = true;
			return;
		}
		slab_buf_free(l->owner->slab, &l->held);
		l->trial = false;
		if (l->restarts++ == RESTARTS_MAX)
			break;
		l->encoding = next_format(l->encoding);
		l->ended = false;
		if (!layer_open(l)) {
			l->ended = true;
			return;
		}
		l->trial = true;
		if (format_feed(l, l->history, l->history_len, 0) &&
		    (l->ended || format_feed(l, data + kept, len - kept, l->history_len))) {
			trial_over(l);
			return;
		}
	}
	give_through(l);
	emit(l->owner, l->index, data + kept, len - kept);
}

static void layer_feed(struct layer *l, const uint8_t *data, size_t len)
{
	size_t kept = 0, before = l->history_len;

	if (l->through) {
		emit(l->owner, l->index, data, len);
		return;
	}
	if (l->ended || !l->open)
		return;
	if (!l->produced && l->history_len < HISTORY_BYTES) {
		kept = HISTORY_BYTES - l->history_len;
		if (kept > len)
			kept = len;
		memcpy(l->history + l->history_len, data, kept);
		l->history_len = (uint16_t)(l->history_len + kept);
	}
	if (!format_feed(l, data, len, before))
		try_others(l, data, len, kept);
}

unsigned decompressor_feed(struct decompressor *d, const uint8_t *data, size_t len)
{
	d->in += len;
	if (d->layers == 0)
		d->sink(d->user, data, len);
	else if (!(d->trouble & DECOMPRESS_TROUBLE_BOMB))
		layer_feed(d->layer[d->layers - 1], data, len);
	return d->trouble;
}

void decompressor_finish(struct decompressor *d)
{
	for (unsigned i = d->layers; i-- > 0;) {
		struct layer *l = d->layer[i];
		/* A header that never ended is no header: a short plain body under a false label. */
		if (!l->through && !l->ended && !l->produced && l->history_len > 0 && l->restarts > 0)
			give_through(l);
		l->ended = !l->through;
	}
}
