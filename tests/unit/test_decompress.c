/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <lzma.h>
#include <string.h>
#include <zlib.h>

#include "app/decompress.h"

#define PLAIN_MAX (4u << 20)

static struct slab *slab;
static uint8_t got[PLAIN_MAX];
static size_t got_len;

static void sink(void *user, const uint8_t *data, size_t len)
{
	(void)user;
	assert_true(got_len + len <= PLAIN_MAX);
	memcpy(got + got_len, data, len);
	got_len += len;
}

static int setup(void **state)
{
	(void)state;
	slab = slab_new("test", 64u << 20);
	return slab ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	slab_free_all(slab);
	return 0;
}

/* window_bits as zlib has them: 31 gzip, 15 zlib, -15 raw deflate */
static size_t pack(const void *in, size_t len, int window_bits, uint8_t *out, size_t cap)
{
	z_stream z = {
		.next_in = (Bytef *)(uintptr_t)in, .avail_in = (uInt)len, .next_out = out, .avail_out = (uInt)cap};

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return cap - z.avail_out;
}

/* Undoes `encodings` (ending in -1, the last is undone first), feeding `step` bytes at a time. Returns the troubles. */
static unsigned unpack(const uint8_t *data, size_t len, const int *encodings, size_t step, uint64_t limit)
{
	struct decompress_limits limits = {.output_bytes_max = limit};
	struct decompressor *d = decompressor_new(slab, &limits, sink, NULL);
	unsigned trouble = 0;

	assert_non_null(d);
	got_len = 0;
	for (int i = 0; encodings[i] >= 0; i++)
		assert_int_equal(decompressor_push(d, (enum decompress_encoding)encodings[i]), 0);
	for (size_t i = 0; i < len; i += step)
		trouble = decompressor_feed(d, data + i, len - i < step ? len - i : step);
	decompressor_finish(d);
	decompressor_free(d);
	assert_int_equal(slab_used_bytes(slab), 0);
	return trouble;
}

static const char plain[] = "The guard at the gate reads every letter, and the letter in the letter too.";

static void assert_plain(void)
{
	assert_int_equal(got_len, sizeof(plain));
	assert_memory_equal(got, plain, sizeof(plain));
}

static void formats_are_undone_at_any_step(void **state)
{
	static const struct {
		int window_bits, encoding;
	} formats[] = {{31, DECOMPRESS_GZIP}, {-15, DECOMPRESS_DEFLATE}, {15, DECOMPRESS_ZLIB}};
	uint8_t packed[512];

	(void)state;
	for (size_t i = 0; i < 3; i++)
		for (size_t step = 1; step < 100; step += 7) {
			size_t len = pack(plain, sizeof(plain), formats[i].window_bits, packed, sizeof(packed));
			assert_int_equal(unpack(packed, len, (int[]){formats[i].encoding, -1}, step, 1 << 20), 0);
			assert_plain();
		}
}

static void a_wrong_label_does_not_hide_the_body(void **state)
{
	static const int labels[] = {DECOMPRESS_GZIP, DECOMPRESS_DEFLATE, DECOMPRESS_BROTLI};
	static const int real[] = {31, 15, -15};
	uint8_t packed[512];

	(void)state;
	for (size_t l = 0; l < 3; l++)
		for (size_t r = 0; r < 3; r++) {
			size_t len = pack(plain, sizeof(plain), real[r], packed, sizeof(packed));
			unpack(packed, len, (int[]){labels[l], -1}, 512, 1 << 20);
			assert_plain();
		}
}

static void what_no_format_knows_passes_as_it_is(void **state)
{
	(void)state;
	assert_true(unpack((const uint8_t *)plain, sizeof(plain), (int[]){DECOMPRESS_GZIP, -1}, 5, 1 << 20) &
		    DECOMPRESS_TROUBLE_DATA);
	assert_plain();
}

/* A brace is a fine beginning of a deflate stream: what comes out of it before it breaks must not be taken for the body. */
static void a_guess_that_breaks_leaves_nothing(void **state)
{
	static const char json[] = "{\"version\": 12, \"package\": \"org.example\", \"more\": [\"than\", \"enough\"]}";

	(void)state;
	unpack((const uint8_t *)json, sizeof(json), (int[]){DECOMPRESS_GZIP, -1}, sizeof(json), 1 << 20);
	assert_int_equal(got_len, sizeof(json));
	assert_memory_equal(got, json, sizeof(json));
}

static void layers_are_undone_last_first(void **state)
{
	uint8_t once[512], twice[512], thrice[512];
	size_t len = pack(plain, sizeof(plain), 31, once, sizeof(once));

	(void)state;
	len = pack(once, len, -15, twice, sizeof(twice));
	len = pack(twice, len, 31, thrice, sizeof(thrice));
	unpack(thrice, len, (int[]){DECOMPRESS_GZIP, DECOMPRESS_DEFLATE, DECOMPRESS_GZIP, -1}, 3, 1 << 20);
	assert_plain();
}

static void lzma_is_undone_with_a_small_dictionary(void **state)
{
	uint8_t packed[512];
	lzma_options_lzma options;
	lzma_stream s = LZMA_STREAM_INIT;

	(void)state;
	lzma_lzma_preset(&options, 6); /* asks for 8 MiB */
	assert_int_equal(lzma_alone_encoder(&s, &options), LZMA_OK);
	s.next_in = (const uint8_t *)plain;
	s.avail_in = sizeof(plain);
	s.next_out = packed;
	s.avail_out = sizeof(packed);
	assert_int_equal(lzma_code(&s, LZMA_FINISH), LZMA_STREAM_END);
	lzma_end(&s);
	for (size_t step = 1; step < 40; step += 6) {
		assert_int_equal(
			unpack(packed, sizeof(packed) - s.avail_out, (int[]){DECOMPRESS_LZMA, -1}, step, 1 << 20), 0);
		assert_plain();
	}
}

static void a_bomb_stops_at_the_limit(void **state)
{
	static uint8_t zeroes[PLAIN_MAX], packed[1 << 16];
	size_t len = pack(zeroes, sizeof(zeroes), 31, packed, sizeof(packed));

	(void)state;
	assert_true(unpack(packed, len, (int[]){DECOMPRESS_GZIP, -1}, 100, 100000) & DECOMPRESS_TROUBLE_BOMB);
	assert_true(got_len <= 100000);
	/* by ratio: one in another */
	len = pack(packed, len, 31, zeroes, sizeof(zeroes));
	assert_true(unpack(zeroes, len, (int[]){DECOMPRESS_GZIP, DECOMPRESS_GZIP, -1}, 4096, 1u << 30) &
		    DECOMPRESS_TROUBLE_BOMB);
	assert_true(got_len < PLAIN_MAX);
}

static void a_broken_tail_keeps_what_came(void **state)
{
	uint8_t packed[512];
	size_t len = pack(plain, sizeof(plain), 31, packed, sizeof(packed));

	(void)state;
	memset(packed + len - 8, 0xee, 8); /* checksum and length */
	unpack(packed, len, (int[]){DECOMPRESS_GZIP, -1}, 512, 1 << 20);
	assert_plain();
	unpack(packed, len - 20, (int[]){DECOMPRESS_GZIP, -1}, 512, 1 << 20);
	assert_true(got_len > 0 && got_len < sizeof(plain));
}

static void layers_have_a_number(void **state)
{
	struct decompress_limits limits = {.output_bytes_max = 1};
	struct decompressor *d = decompressor_new(slab, &limits, sink, NULL);

	(void)state;
	for (int i = 0; i < DECOMPRESS_LAYERS_MAX; i++)
		assert_int_equal(decompressor_push(d, DECOMPRESS_GZIP), 0);
	assert_int_equal(decompressor_push(d, DECOMPRESS_GZIP), -E2BIG);
	decompressor_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats_are_undone_at_any_step),
		cmocka_unit_test(a_wrong_label_does_not_hide_the_body),
		cmocka_unit_test(what_no_format_knows_passes_as_it_is),
		cmocka_unit_test(a_guess_that_breaks_leaves_nothing),
		cmocka_unit_test(layers_are_undone_last_first),
		cmocka_unit_test(lzma_is_undone_with_a_small_dictionary),
		cmocka_unit_test(a_bomb_stops_at_the_limit),
		cmocka_unit_test(a_broken_tail_keeps_what_came),
		cmocka_unit_test(layers_have_a_number),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
