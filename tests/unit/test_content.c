/* SPDX-License-Identifier: BSD-3-Clause */
/* Matches of one buffer: places, distances, numbers, and going back when a relative match fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "matcher.h"

static struct sigs_matcher m;
static struct signature sig;
static struct sig_buffer buffer;
static struct buffer_ref ref = {.kind = BUFFER_PAYLOAD, .name = "payload"};
static struct match matches[8];

static void start(void)
{
	memset(matches, 0, sizeof(matches));
	sig = (struct signature){.buffers = &buffer, .buffer_count = 1};
	buffer = (struct sig_buffer){.ref = &ref, .matches = matches};
	m.sig = &sig;
	m.steps = 3000;
}

static struct match_content *content(const char *text, uint32_t flags)
{
	struct match *match = &matches[buffer.match_count++];
	match->type = MATCH_CONTENT;
	match->content = (struct match_content){.pattern = {(const uint8_t *)text, strlen(text)},
						.flags = flags,
						.offset_var = SIG_VAR_NONE,
						.depth_var = SIG_VAR_NONE,
						.distance_var = SIG_VAR_NONE,
						.within_var = SIG_VAR_NONE};
	return &match->content;
}

static struct match_bytes *bytes(enum match_type type, uint8_t count, int32_t offset)
{
	struct match *match = &matches[buffer.match_count++];
	match->type = type;
	match->bytes = (struct match_bytes){.count = count,
					    .count_var = SIG_VAR_NONE,
					    .offset = offset,
					    .offset_var = SIG_VAR_NONE,
					    .value_var = SIG_VAR_NONE,
					    .rvalue_var = SIG_VAR_NONE,
					    .post_offset_var = SIG_VAR_NONE};
	return &match->bytes;
}

static enum inspect_result inspect_at(const char *data, size_t len, uint64_t offset, bool final)
{
	struct inspect_view view = {
		.data = (const uint8_t *)data, .len = (uint32_t)len, .offset = offset, .final = final};
	return content_inspect(&m, &buffer, &view);
}

static enum inspect_result inspect(const char *data)
{
	return inspect_at(data, strlen(data), 0, true);
}

static void finds_any_case_only_when_asked(void **state)
{
	(void)state;
	start();
	content("Needle", CONTENT_NOCASE);
	assert_int_equal(inspect("a haystack of some length with a nEEdLE in it"), INSPECT_MATCH);
	start();
	content("Needle", 0);
	assert_int_equal(inspect("a haystack of some length with a nEEdLE in it"), INSPECT_NO);
}

static void search_agrees_with_the_plain_one(void **state)
{
	(void)state;
	char text[200];
	srand(7);
	for (unsigned round = 0; round < 3000; round++) {
		size_t len = 1 + (size_t)rand() % sizeof(text), n = 1 + (size_t)rand() % 5;
		for (size_t i = 0; i < len; i++)
			text[i] = (char)('a' + rand() % 3);
		char word[5];
		for (size_t i = 0; i < n; i++)
			word[i] = (char)('a' + rand() % 3);
		const uint8_t *found =
			content_find((const uint8_t *)text, len, (struct bytes){(uint8_t *)word, n}, false);
		assert_ptr_equal(found, memmem(text, len, word, n));
	}
}

static void offset_and_depth_bound_the_place(void **state)
{
	(void)state;
	start();
	struct match_content *c = content("abc", CONTENT_OFFSET | CONTENT_DEPTH);
	c->offset = 4;
	c->depth = 7; /* as an end: the match must be exactly at 4 */
	assert_int_equal(inspect("....abc"), INSPECT_MATCH);
	assert_int_equal(inspect("...abc."), INSPECT_NO);
	assert_int_equal(inspect(".....abc"), INSPECT_NO);
}

static void within_counts_from_the_last_match(void **state)
{
	(void)state;
	start();
	content("GET", 0);
	struct match_content *c = content("end", CONTENT_RELATIVE | CONTENT_DISTANCE | CONTENT_WITHIN);
	c->distance = 2;
	c->within = 3;
	matches[0].content.relative_next = 1;
	assert_int_equal(inspect("GET__end"), INSPECT_MATCH);
	assert_int_equal(inspect("GET_end"), INSPECT_NO);
	assert_int_equal(inspect("GET___end"), INSPECT_NO);
}

static void goes_back_for_another_place(void **state)
{
	(void)state;
	start();
	content("ab", 0);
	struct match_content *c = content("cd", CONTENT_RELATIVE | CONTENT_DISTANCE | CONTENT_WITHIN);
	c->within = 2;
	matches[0].content.relative_next = 1;
	assert_int_equal(inspect("ab..ab..ab..abcd"), INSPECT_MATCH);
	assert_int_equal(inspect("ab..ab..ab..ab.cd"), INSPECT_NO);
}

static void tries_are_limited(void **state)
{
	(void)state;
	start();
	content("a", 0);
	for (int i = 0; i < 4; i++) {
		content("a", CONTENT_RELATIVE | CONTENT_DISTANCE);
		matches[i].content.relative_next = 1;
	}
	content("Z", CONTENT_RELATIVE | CONTENT_DISTANCE | CONTENT_WITHIN)->within = 1;
	matches[4].content.relative_next = 1;
	char *hostile = malloc(60000);
	memset(hostile, 'a', 60000);
	assert_int_equal(inspect_at(hostile, 60000, 0, true), INSPECT_NO);
	assert_int_equal(m.steps, 0);
	free(hostile);
}

static void negation_holds_where_nothing_is(void **state)
{
	(void)state;
	start();
	content("User", 0);
	struct match_content *c =
		content("Agent", CONTENT_NEGATED | CONTENT_RELATIVE | CONTENT_WITHIN | CONTENT_DISTANCE);
	c->within = 6;
	assert_int_equal(inspect("User-Agent"), INSPECT_NO);
	assert_int_equal(inspect("User-Other Agent"), INSPECT_MATCH);
	start();
	content("exe", CONTENT_NEGATED | CONTENT_ENDSWITH);
	assert_int_equal(inspect("exe.txt"), INSPECT_MATCH);
	assert_int_equal(inspect("exe.txt.exe"), INSPECT_NO);
	assert_int_equal(inspect("x"), INSPECT_MATCH);
}

static void ends_and_starts(void **state)
{
	(void)state;
	start();
	content("ab", CONTENT_STARTSWITH)->depth = 2;
	content("yz", CONTENT_ENDSWITH);
	assert_int_equal(inspect("ab yz yz"), INSPECT_MATCH);
	assert_int_equal(inspect("ab yz y"), INSPECT_NO);
	assert_int_equal(inspect(" ab yz"), INSPECT_NO);
}

static void byte_test_reads_both_orders(void **state)
{
	(void)state;
	start();
	struct match_bytes *b = bytes(MATCH_BYTE_TEST, 2, 1);
	b->test = BYTE_OP_GT;
	b->value = 0x0200;
	assert_int_equal(inspect_at("\x00\x02\x01", 3, 0, true), INSPECT_MATCH);
	b->little_endian = true;
	assert_int_equal(inspect_at("\x00\x02\x01", 3, 0, true), INSPECT_NO);
	assert_int_equal(inspect_at("\x00\x02", 2, 0, true), INSPECT_NO); /* not enough bytes */
}

static void byte_jump_moves_the_place(void **state)
{
	(void)state;
	start();
	content("L", 0);
	bytes(MATCH_BYTE_JUMP, 1, 0)->relative = true;
	struct match_content *c = content("X", CONTENT_RELATIVE | CONTENT_WITHIN);
	c->within = 1;
	matches[0].content.relative_next = 1;
	assert_int_equal(inspect_at("L\x03...X", 6, 0, true), INSPECT_MATCH);
	assert_int_equal(inspect_at("L\x02...X", 6, 0, true), INSPECT_NO);
	assert_int_equal(inspect_at("L\xf0...X", 6, 0, true), INSPECT_NO); /* beyond the end */
}

static void extracted_number_is_an_offset(void **state)
{
	(void)state;
	start();
	struct match_bytes *b = bytes(MATCH_BYTE_EXTRACT, 2, 0);
	b->string = true;
	b->base = BYTES_DEC;
	b->result_var = 3;
	content("hit", CONTENT_OFFSET)->offset_var = 3;
	assert_int_equal(inspect("07 hit hit"), INSPECT_MATCH);
	assert_int_equal(inspect("07 hit h.."), INSPECT_NO);
}

static void math_never_divides_by_zero(void **state)
{
	(void)state;
	start();
	struct match_bytes *b = bytes(MATCH_BYTE_MATH, 1, 0);
	b->math = BYTE_MATH_DIV;
	b->rvalue = 0;
	assert_int_equal(inspect("9"), INSPECT_NO);
	b->rvalue = 3;
	assert_int_equal(inspect("9"), INSPECT_MATCH);
	assert_int_equal(m.vars[0], '9' / 3);
}

static void isdataat_counts_both_ways(void **state)
{
	(void)state;
	start();
	content("end", 0);
	struct match *match = &matches[buffer.match_count++];
	match->type = MATCH_ISDATAAT;
	match->isdataat = (struct match_isdataat){.at = 1, .at_var = SIG_VAR_NONE, .relative = true, .negated = true};
	matches[0].content.relative_next = 1;
	assert_int_equal(inspect("the end"), INSPECT_MATCH);
	assert_int_equal(inspect("the end, and the end"), INSPECT_MATCH); /* at the second place */
	assert_int_equal(inspect("the end."), INSPECT_NO);
}

static void growing_buffer_says_when_more_could_help(void **state)
{
	(void)state;
	start();
	content("abc", 0);
	assert_int_equal(inspect_at("..ab", 4, 0, false), INSPECT_MORE);
	assert_int_equal(inspect_at("..ab", 4, 0, true), INSPECT_NO);
	start();
	content("abc", CONTENT_DEPTH)->depth = 3;
	assert_int_equal(inspect_at("xxxxxx", 6, 0, false), INSPECT_NO); /* whatever follows */
}

static void depth_counts_from_the_streams_start(void **state)
{
	(void)state;
	start();
	content("abc", CONTENT_DEPTH)->depth = 10;
	assert_int_equal(inspect_at("abc...", 6, 0, true), INSPECT_MATCH);
	assert_int_equal(inspect_at("abc...", 6, 4, true), INSPECT_MATCH);
	assert_int_equal(inspect_at("abc...", 6, 8, true), INSPECT_NO);
}

static void size_of_a_growing_buffer_is_open(void **state)
{
	(void)state;
	start();
	matches[buffer.match_count++] = (struct match){.type = MATCH_BSIZE, .number = {.op = NUMBER_EQ, .a = 4}};
	assert_int_equal(inspect_at("four", 4, 0, true), INSPECT_MATCH);
	assert_int_equal(inspect_at("four", 4, 0, false), INSPECT_MORE);
	matches[0].number.op = NUMBER_GT;
	matches[0].number.a = 3;
	assert_int_equal(inspect_at("four", 4, 0, false), INSPECT_MATCH);
}

static void asn1_overlong_and_looping_input_ends(void **state)
{
	(void)state;
	struct match_asn1 oversize = {.oversize_length = 100};
	const uint8_t big[] = {0x30, 0x82, 0x01, 0x00, 0x00};
	assert_true(asn1_match(&oversize, big, sizeof(big), 0));
	const uint8_t small[] = {0x30, 0x03, 0x02, 0x01, 0x05};
	assert_false(asn1_match(&oversize, small, sizeof(small), 0));
	uint8_t nested[600];
	for (unsigned i = 0; i < sizeof(nested); i += 2) {
		nested[i] = 0x30;
		nested[i + 1] = 0x80;
	}
	assert_false(asn1_match(&oversize, nested, 90, 0));
	assert_false(asn1_match(&oversize, nested, 0, 0));
	struct match_asn1 bits = {.bitstring_overflow = true};
	const uint8_t overflow[] = {0x03, 0x01, 0xff};
	assert_true(asn1_match(&bits, overflow, sizeof(overflow), 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_any_case_only_when_asked),
		cmocka_unit_test(search_agrees_with_the_plain_one),
		cmocka_unit_test(offset_and_depth_bound_the_place),
		cmocka_unit_test(within_counts_from_the_last_match),
		cmocka_unit_test(goes_back_for_another_place),
		cmocka_unit_test(tries_are_limited),
		cmocka_unit_test(negation_holds_where_nothing_is),
		cmocka_unit_test(ends_and_starts),
		cmocka_unit_test(byte_test_reads_both_orders),
		cmocka_unit_test(byte_jump_moves_the_place),
		cmocka_unit_test(extracted_number_is_an_offset),
		cmocka_unit_test(math_never_divides_by_zero),
		cmocka_unit_test(isdataat_counts_both_ways),
		cmocka_unit_test(growing_buffer_says_when_more_could_help),
		cmocka_unit_test(depth_counts_from_the_streams_start),
		cmocka_unit_test(size_of_a_growing_buffer_is_open),
		cmocka_unit_test(asn1_overlong_and_looping_input_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
