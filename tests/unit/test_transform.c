/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <zlib.h>

#include "base64.h"
#include "transform.h"

struct fixture {
	struct slab *slab;
	struct transformer *transformer;
};

static int setup(void **state)
{
	static struct fixture f;
	f.slab = slab_new("test", 8u << 20);
	f.transformer = f.slab ? transformer_new(f.slab) : NULL;
	*state = &f;
	return f.transformer ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	transformer_free(f->transformer);
	slab_free_all(f->slab);
	return 0;
}

static struct bytes text(const char *s)
{
	return (struct bytes){.data = (const uint8_t *)s, .len = strlen(s)};
}

static void expect(void **state, const struct transform *chain, unsigned count, const char *in, const char *want)
{
	struct fixture *f = *state;
	struct bytes out;
	assert_true(transform_run(f->transformer, chain, count, text(in), &out));
	assert_int_equal(out.len, strlen(want));
	assert_memory_equal(out.data, want, out.len);
}

static void expect_one(void **state, enum transform_type type, const char *in, const char *want)
{
	struct transform one = {.type = type};
	expect(state, &one, 1, in, want);
}

static void each_transform_changes_what_it_says(void **state)
{
	expect_one(state, TRANSFORM_STRIP_WHITESPACE, " a\t b\r\nc ", "abc");
	expect_one(state, TRANSFORM_COMPRESS_WHITESPACE, "a \t\r\n b  c", "a b c");
	expect_one(state, TRANSFORM_TO_LOWERCASE, "MiXeD[1]", "mixed[1]");
	expect_one(state, TRANSFORM_TO_UPPERCASE, "MiXeD{1}", "MIXED{1}");
	expect_one(state, TRANSFORM_DOTPREFIX, "example.jp", ".example.jp");
	expect_one(state, TRANSFORM_DOTPREFIX, "", ".");
	expect_one(state, TRANSFORM_URL_DECODE, "a+b%2fc%zz%4", "a b/c%zz%4");
	expect_one(state, TRANSFORM_HEADER_LOWERCASE, "\r\nHost: EXAMPLE\r\nX-Y: Z", "\r\nhost: EXAMPLE\r\nx-y: Z");
	expect_one(state, TRANSFORM_STRIP_PSEUDO_HEADERS, ":path\r\nhost\r\n:method\r\nx\r\n", "host\r\nx\r\n");
}

static void a_digest_is_the_raw_hash(void **state)
{
	/* of "abc": RFC 1321, FIPS 180 */
	expect_one(state, TRANSFORM_TO_MD5, "abc", "\x90\x01\x50\x98\x3c\xd2\x4f\xb0\xd6\x96\x3f\x7d\x28\xe1\x7f\x72");
	expect_one(state, TRANSFORM_TO_SHA1, "abc",
		   "\xa9\x99\x3e\x36\x47\x06\x81\x6a\xba\x3e\x25\x71\x78\x50\xc2\x6c\x9c\xd0\xd8\x9d");
	expect_one(state, TRANSFORM_TO_SHA1, "abc",
		   "\xa9\x99\x3e\x36\x47\x06\x81\x6a\xba\x3e\x25\x71\x78\x50\xc2\x6c\x9c\xd0\xd8\x9d");
}

static void a_chain_runs_in_order(void **state)
{
	struct transform chain[] = {{.type = TRANSFORM_URL_DECODE},
				    {.type = TRANSFORM_STRIP_WHITESPACE},
				    {.type = TRANSFORM_TO_LOWERCASE},
				    {.type = TRANSFORM_DOTPREFIX}};
	expect(state, chain, 4, "A+%42+C", ".abc");
}

static void xor_repeats_its_key(void **state)
{
	struct transform x = {.type = TRANSFORM_XOR, .key = BYTES_LITERAL("\x01\x02")};
	expect(state, &x, 1, "abc", "``b");
}

static void pcrexform_gives_the_first_group_or_nothing(void **state)
{
	struct fixture *f = *state;
	int error;
	PCRE2_SIZE at;
	struct transform x = {.type = TRANSFORM_PCREXFORM};
	x.code = pcre2_compile((PCRE2_SPTR) "[a-z]+ (\\S+) (HTTP)", PCRE2_ZERO_TERMINATED, 0, &error, &at, NULL);
	assert_non_null(x.code);
	expect(state, &x, 1, "get /x HTTP", "/x");
	struct bytes out;
	assert_false(transform_run(f->transformer, &x, 1, text("nothing here"), &out));
	pcre2_code_free(x.code);
}

static void base64_stops_skips_or_refuses_by_mode(void **state)
{
	struct transform x = {.type = TRANSFORM_FROM_BASE64, .base64 = {.mode = BASE64_RFC4648}};
	expect(state, &x, 1, "Zm9vYmFy", "foobar");
	expect(state, &x, 1, "Zm9v YmFy", "foo");
	expect(state, &x, 1, "Zg==", "f");
	x.base64.offset = 4;
	expect(state, &x, 1, "Zm9vYmFy", "bar");
	x.base64.offset = 0;
	x.base64.bytes = 4;
	expect(state, &x, 1, "Zm9vYmFy", "foo");
	x.base64.bytes = 0;
	x.base64.mode = BASE64_RFC2045;
	expect(state, &x, 1, "Zm 9v\r\nYm!Fy", "foobar");
	struct fixture *f = *state;
	struct bytes out;
	x.base64.mode = BASE64_STRICT;
	assert_false(transform_run(f->transformer, &x, 1, text("Zm9v YmFy"), &out));
	uint8_t room[2];
	assert_int_equal(base64_decode_bytes((const uint8_t *)"Zm9vYmFy", 8, room, sizeof(room), BASE64_RFC4648), 2);
}

static void gunzip_is_bounded(void **state)
{
	struct fixture *f = *state;
	static uint8_t zeros[1 << 20], packed[4096];
	uLongf packed_len = sizeof(packed);
	assert_int_equal(compress2(packed, &packed_len, zeros, sizeof(zeros), 9), Z_OK);
	struct transform x = {.type = TRANSFORM_ZLIB_DEFLATE};
	struct bytes out;
	assert_true(transform_run(f->transformer, &x, 1, (struct bytes){.data = packed, .len = packed_len}, &out));
	assert_int_equal(out.len, TRANSFORM_INFLATE_MAX);
	x.max_size = 100;
	assert_true(transform_run(f->transformer, &x, 1, (struct bytes){.data = packed, .len = packed_len}, &out));
	assert_int_equal(out.len, 100);
	assert_false(transform_run(f->transformer, &x, 1, text("not compressed"), &out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_transform_changes_what_it_says),
		cmocka_unit_test(a_digest_is_the_raw_hash),
		cmocka_unit_test(a_chain_runs_in_order),
		cmocka_unit_test(xor_repeats_its_key),
		cmocka_unit_test(pcrexform_gives_the_first_group_or_nothing),
		cmocka_unit_test(base64_stops_skips_or_refuses_by_mode),
		cmocka_unit_test(gunzip_is_bounded),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
