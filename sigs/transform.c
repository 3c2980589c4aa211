/* SPDX-License-Identifier: BSD-3-Clause */
#include "transform.h"

#include <errno.h>
#include <stdlib.h>

#include <openssl/evp.h>
#include <zlib.h>

#include "base64.h"

/* A pattern of pcrexform needs its whole match and the first group only. */
#define PCREXFORM_PAIRS 2

enum { DIGEST_MD5, DIGEST_SHA1, DIGEST_SHA256, DIGESTS };

struct transformer {
	struct slab *slab;
	struct slab_buf buf[2]; /* each step reads one and writes the other */
	pcre2_match_data *match_data;
	EVP_MD *digest[DIGESTS];
	EVP_MD_CTX *digest_ctx[DIGESTS]; /* one a kind, so that a digest starts anew without allocating */
};

struct transformer *transformer_new(struct slab *slab)
{
	static const char *const names[DIGESTS] = {"MD5", "SHA1", "SHA256"};
	struct transformer *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->slab = slab;
	t->match_data = pcre2_match_data_create(PCREXFORM_PAIRS, NULL);
	bool ok = t->match_data != NULL;
	for (int i = 0; i < DIGESTS && ok; i++) {
		t->digest[i] = EVP_MD_fetch(NULL, names[i], NULL);
		t->digest_ctx[i] = EVP_MD_CTX_new();
		ok = t->digest[i] && t->digest_ctx[i];
	}
	if (!ok) {
		transformer_free(t);
		errno = ENOMEM;
		return NULL;
	}
	return t;
}

void transformer_free(struct transformer *t)
{
	if (!t)
		return;
	for (int i = 0; i < DIGESTS; i++) {
		EVP_MD_CTX_free(t->digest_ctx[i]);
		EVP_MD_free(t->digest[i]);
	}
	pcre2_match_data_free(t->match_data);
	slab_buf_free(t->slab, &t->buf[0]);
	slab_buf_free(t->slab, &t->buf[1]);
	free(t);
}

static bool is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t strip_whitespace(struct bytes in, uint8_t *out)
{
	size_t n = 0;
	for (size_t i = 0; i < in.len; i++) {
		if (!is_space(in.data[i]))
			out[n++] = in.data[i];
	}
	return n;
}

static size_t compress_whitespace(struct bytes in, uint8_t *out)
{
	size_t n = 0;
	for (size_t i = 0; i < in.len; i++) {
		if (!is_space(in.data[i]))
			out[n++] = in.data[i];
		else if (i == 0 || !is_space(in.data[i - 1]))
			out[n++] = ' ';
	}
	return n;
}

static size_t change_case(struct bytes in, uint8_t *out, uint8_t first, uint8_t last)
{
	for (size_t i = 0; i < in.len; i++)
		out[i] = in.data[i] >= first && in.data[i] <= last ? in.data[i] ^ 0x20 : in.data[i];
	return in.len;
}

static size_t header_lowercase(struct bytes in, uint8_t *out)
{
	bool in_name = true;
	for (size_t i = 0; i < in.len; i++) {
		uint8_t c = in.data[i];
		if (c == ':')
			in_name = false;
		else if (c == '\n')
			in_name = true;
		out[i] = in_name && c >= 'A' && c <= 'Z' ? c | 0x20 : c;
	}
	return in.len;
}

static size_t strip_pseudo_headers(struct bytes in, uint8_t *out)
{
	size_t n = 0;
	for (size_t i = 0; i < in.len;) {
		const uint8_t *nl = memchr(in.data + i, '\n', in.len - i);
		size_t line = nl ? (size_t)(nl - in.data) + 1 - i : in.len - i;
		if (in.data[i] != ':') {
			memcpy(out + n, in.data + i, line);
			n += line;
		}
		i += line;
	}
	return n;
}

static size_t url_decode(struct bytes in, uint8_t *out)
{
	size_t n = 0;
	for (size_t i = 0; i < in.len; i++) {
		uint8_t c = in.data[i];
		if (c == '+') {
			c = ' ';
		} else if (c == '%' && i + 2 < in.len) {
			int high = hex_digit(in.data[i + 1]), low = hex_digit(in.data[i + 2]);
			if (high >= 0 && low >= 0) {
				c = (uint8_t)(high << 4 | low);
				i += 2;
			}
		}
		out[n++] = c;
	}
	return n;
}

static size_t apply_xor(const struct transform *x, struct bytes in, uint8_t *out)
{
	size_t k = 0;
	for (size_t i = 0; i < in.len; i++) {
		out[i] = in.data[i] ^ x->key.data[k];
		if (++k == x->key.len)
			k = 0;
	}
	return in.len;
}

static size_t from_base64(const struct transform *x, struct bytes in, uint8_t *out, size_t cap)
{
	if (x->base64.offset >= in.len)
		return 0;
	size_t len = in.len - x->base64.offset;
	if (x->base64.bytes && len > x->base64.bytes)
		len = x->base64.bytes;
	return base64_decode_bytes(in.data + x->base64.offset, len, out, cap, x->base64.mode);
}

static bool digest(struct transformer *t, int kind, struct bytes in, uint8_t *out, size_t *len)
{
	unsigned n = 0;
	if (EVP_DigestInit_ex(t->digest_ctx[kind], t->digest[kind], NULL) != 1 ||
	    EVP_DigestUpdate(t->digest_ctx[kind], in.data, in.len) != 1 ||
	    EVP_DigestFinal_ex(t->digest_ctx[kind], out, &n) != 1)
		return false;
	*len = n;
	return true;
}

/* What an attacker compressed may be cut short or broken at the end: what came out before that counts. */
static bool inflate_bytes(const struct transform *x, struct bytes in, uint8_t *out, size_t cap, size_t *len)
{
	/* 16 + 15: gzip wrapping; 15: zlib wrapping */
	z_stream z = {.next_in = (Bytef *)(uintptr_t)in.data,
		      .avail_in = (uInt)in.len,
		      .next_out = out,
		      .avail_out = (uInt)cap};
	if (inflateInit2(&z, x->type == TRANSFORM_GUNZIP ? 16 + 15 : 15) != Z_OK)
		return false;
	(void)inflate(&z, Z_SYNC_FLUSH);
	*len = cap - z.avail_out;
	inflateEnd(&z);
	return *len > 0;
}

/* The first group of the first match; it points into `in`. */
static bool first_capture(struct transformer *t, const struct transform *x, struct bytes in, struct bytes *out)
{
	int rc = pcre2_match(x->code, in.data, in.len, 0, 0, t->match_data, NULL);
	const PCRE2_SIZE *at = pcre2_get_ovector_pointer(t->match_data);
	/* 0: more groups than pairs, and the first is there */
	if ((rc != 0 && rc < 2) || at[2] == PCRE2_UNSET || at[3] < at[2])
		return false;
	*out = (struct bytes){.data = in.data + at[2], .len = at[3] - at[2]};
	return true;
}

static size_t output_bound(const struct transform *x, size_t in)
{
	switch (x->type) {
	case TRANSFORM_DOTPREFIX:
		return in + 1;
	case TRANSFORM_TO_MD5:
	case TRANSFORM_TO_SHA1:
	case TRANSFORM_TO_SHA256:
		return EVP_MAX_MD_SIZE;
	case TRANSFORM_GUNZIP:
	case TRANSFORM_ZLIB_DEFLATE:
		return x->max_size && x->max_size < TRANSFORM_INFLATE_MAX ? x->max_size : TRANSFORM_INFLATE_MAX;
	default:
		return in;
	}
}

/* One step into `to`, which has room for output_bound bytes. */
static bool transform_step(struct transformer *t, const struct transform *x, struct bytes in, uint8_t *to, size_t cap,
			   size_t *len)
{
	switch (x->type) {
	case TRANSFORM_STRIP_WHITESPACE:
		*len = strip_whitespace(in, to);
		return true;
	case TRANSFORM_COMPRESS_WHITESPACE:
		*len = compress_whitespace(in, to);
		return true;
	case TRANSFORM_TO_LOWERCASE:
		*len = change_case(in, to, 'A', 'Z');
		return true;
	case TRANSFORM_TO_UPPERCASE:
		*len = change_case(in, to, 'a', 'z');
		return true;
	case TRANSFORM_TO_MD5:
		return digest(t, DIGEST_MD5, in, to, len);
	case TRANSFORM_TO_SHA1:
		return digest(t, DIGEST_SHA1, in, to, len);
	case TRANSFORM_TO_SHA256:
		return digest(t, DIGEST_SHA256, in, to, len);
	case TRANSFORM_DOTPREFIX:
		to[0] = '.';
		if (in.len)
			memcpy(to + 1, in.data, in.len);
		*len = in.len + 1;
		return true;
	case TRANSFORM_URL_DECODE:
		*len = url_decode(in, to);
		return true;
	case TRANSFORM_XOR:
		*len = x->key.len ? apply_xor(x, in, to) : 0;
		return x->key.len > 0;
	case TRANSFORM_HEADER_LOWERCASE:
		*len = header_lowercase(in, to);
		return true;
	case TRANSFORM_STRIP_PSEUDO_HEADERS:
		*len = strip_pseudo_headers(in, to);
		return true;
	case TRANSFORM_FROM_BASE64:
		*len = from_base64(x, in, to, cap);
		return *len > 0;
	case TRANSFORM_GUNZIP:
	case TRANSFORM_ZLIB_DEFLATE:
		return inflate_bytes(x, in, to, cap, len);
	case TRANSFORM_PCREXFORM: /* needs no room: see transform_run */
	case TRANSFORM_DOMAIN:	  /* need a public suffix list: such rules wait and never get here */
	case TRANSFORM_TLD:
		break;
	}
	return false;
}

bool transform_run(struct transformer *t, const struct transform *chain, unsigned count, struct bytes in,
		   struct bytes *out)
{
	struct bytes now = in;
	unsigned write = 0;
	for (unsigned i = 0; i < count; i++) {
		const struct transform *x = &chain[i];
		if (now.len > TRANSFORM_OUTPUT_MAX)
			now.len = TRANSFORM_OUTPUT_MAX;
		if (x->type == TRANSFORM_PCREXFORM) {
			if (!first_capture(t, x, now, &now))
				return false;
			continue;
		}
		struct slab_buf *to = &t->buf[write];
		size_t bound = output_bound(x, now.len), len = 0;
		to->len = 0;
		if (!slab_buf_reserve(t->slab, to, bound ? bound : 1) ||
		    !transform_step(t, x, now, to->data, bound, &len))
			return false;
		to->len = (uint32_t)len;
		now = (struct bytes){.data = to->data, .len = len};
		write ^= 1;
	}
	*out = now;
	return true;
}
