/* SPDX-License-Identifier: BSD-3-Clause */
/* Choosing literals, filing signatures by address, order of precedence, and the cache of compiled databases. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "matcher.h"

/* --- a cache in memory ----------------------------------------------------------------------------------------------- */

struct shelf {
	char key[65];
	uint8_t *data;
	size_t len;
	unsigned puts, gets;
};

static int shelf_get(void *user, const char *key, struct sigs_blob *blob)
{
	struct shelf *shelf = user;
	if (shelf->data == NULL || strcmp(key, shelf->key) != 0)
		return -ENOENT;
	shelf->gets++;
	blob->data = malloc(shelf->len);
	blob->len = shelf->len;
	memcpy(blob->data, shelf->data, shelf->len);
	return 0;
}

static int shelf_put(void *user, const char *key, const void *data, size_t len)
{
	struct shelf *shelf = user;
	free(shelf->data);
	shelf->data = malloc(len);
	memcpy(shelf->data, data, len);
	shelf->len = len;
	memcpy(shelf->key, key, sizeof(shelf->key));
	shelf->puts++;
	return 0;
}

static struct sigs_ruleset *compile(const char *rules, struct shelf *shelf)
{
	struct sigs_env env = {
		.user = shelf, .cache_get = shelf ? shelf_get : NULL, .cache_put = shelf ? shelf_put : NULL};
	struct sigs_options options;
	struct sigs_builder *builder = sigs_builder_new(&env);
	assert_int_equal(sigs_add_rules(builder, "test.rules", rules, strlen(rules)), 0);
	sigs_options_defaults(&options, false);
	struct sigs_ruleset *ruleset = sigs_compile(builder, &options);
	sigs_builder_free(builder);
	assert_non_null(ruleset);
	return ruleset;
}

static struct fast_pattern fast_of(const char *rule, struct sigs_ruleset **ruleset)
{
	*ruleset = compile(rule, NULL);
	assert_int_equal((*ruleset)->sig_count, 1);
	return fast_pattern_choose((*ruleset)->sigs[0]);
}

static void assert_literal(const char *rule, const char *literal)
{
	struct sigs_ruleset *ruleset;
	struct fast_pattern fast = fast_of(rule, &ruleset);
	assert_true(fast.buffer >= 0);
	assert_int_equal(fast.literal.len, strlen(literal));
	assert_memory_equal(fast.literal.data, literal, fast.literal.len);
	sigs_ruleset_free(ruleset);
}

static void rarest_literal_is_searched(void **state)
{
	(void)state;
	assert_literal("alert udp any any -> any any (content:\"abc\"; content:\"xQ#9z!7k\"; sid:1;)", "xQ#9z!7k");
	assert_literal("alert udp any any -> any any (content:\"User-Agent\"; content:\"q7zx\"; sid:1;)", "q7zx");
	assert_literal("alert udp any any -> any any (content:\"|00 00 00 00 00 00 00 00|\"; content:\"Zq9!\"; sid:1;)",
		       "Zq9!");
}

static void rules_own_word_wins(void **state)
{
	(void)state;
	assert_literal("alert udp any any -> any any (content:\"abc\"; fast_pattern; content:\"xQ#9z!7k\"; sid:1;)",
		       "abc");
}

static void negated_content_is_never_searched(void **state)
{
	(void)state;
	struct sigs_ruleset *ruleset;
	struct fast_pattern fast =
		fast_of("alert udp any any -> any any (content:!\"xQ#9z!7k\"; dsize:>3; sid:1;)", &ruleset);
	assert_int_equal(fast.buffer, -1);
	sigs_ruleset_free(ruleset);
}

static void long_literal_is_cut_to_its_best_part(void **state)
{
	(void)state;
	struct sigs_ruleset *ruleset;
	struct fast_pattern fast =
		fast_of("alert udp any any -> any any (content:\"Content-Type: text/html Content-Type: "
			"text/html Zq9!Xw7#Kp3$\"; sid:1;)",
			&ruleset);
	assert_int_equal(fast.literal.len, MPSE_LITERAL_MAX);
	assert_non_null(memmem(fast.literal.data, fast.literal.len, "Zq9!Xw7#Kp3$", 12));
	sigs_ruleset_free(ruleset);
}

/* --- order ------------------------------------------------------------------------------------------------------------ */

static void precedence_is_the_languages(void **state)
{
	(void)state;
	struct sigs_ruleset *ruleset =
		compile("alert udp any any -> any any (content:\"a\"; priority:1; sid:1;)\n"
			"alert udp any any -> any any (content:\"a\"; flowbits:isset,x; priority:1; sid:2;)\n"
			"alert udp any any -> any any (content:\"a\"; flowbits:set,x; priority:3; sid:3;)\n"
			"reject udp any any -> any any (content:\"a\"; sid:4;)\n"
			"drop udp any any -> any any (content:\"a\"; sid:5;)\n"
			"pass udp any any -> any any (content:\"a\"; sid:6;)\n"
			"alert udp any any -> any any (content:\"a\"; priority:2; sid:7;)\n",
			NULL);
	const uint32_t want[] = {6, 5, 4, 3, 2, 1, 7};
	assert_int_equal(ruleset->sig_count, 7);
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal(ruleset->sigs[i]->info.sid, want[i]);
	sigs_ruleset_free(ruleset);
}

/* --- addresses ---------------------------------------------------------------------------------------------------------- */

static union packet_addr v4(uint32_t addr)
{
	union packet_addr a = {{0}};
	store_be32(a.bytes, addr);
	return a;
}

static void addresses_lead_to_all_their_signatures(void **state)
{
	(void)state;
	struct arena *arena = arena_new();
	struct address_range4 wide = {100, 200}, inner = {150, 160}, last = {0xfffffff0, 0xffffffff};
	struct address_set a = {.v4 = &wide, .v4_count = 1}, b = {.v4 = &inner, .v4_count = 1},
			   c = {.v4 = &last, .v4_count = 1};
	struct index_entry entries[] = {{&a, 7}, {&b, 3}, {&c, 9}};
	struct address_index index = {0};
	assert_int_equal(address_index_build(&index, arena, entries, 3), 0);
	for (uint32_t addr = 95; addr < 205; addr++) {
		union packet_addr at = v4(addr);
		uint32_t count;
		const uint32_t *nums = address_index_find(&index, &at, 4, &count);
		assert_int_equal(count, (addr >= 100 && addr <= 200) + (addr >= 150 && addr <= 160));
		if (count == 2) {
			assert_int_equal(nums[0], 3);
			assert_int_equal(nums[1], 7);
		}
	}
	uint32_t count;
	union packet_addr top = v4(0xffffffff), six = {{0x20, 1}};
	assert_int_equal(*address_index_find(&index, &top, 4, &count), 9);
	address_index_find(&index, &six, 6, &count);
	assert_int_equal(count, 0);
	arena_free(arena);
}

/* --- sets and the cache ------------------------------------------------------------------------------------------------- */

static void same_literal_is_searched_once(void **state)
{
	(void)state;
	struct mpse_builder *builder = mpse_builder_new();
	struct bytes word = BYTES_LITERAL("needle"), upper = BYTES_LITERAL("NEEDLE"), other = BYTES_LITERAL("other");
	assert_int_equal(mpse_builder_add(builder, word, false, UINT32_MAX, 5), 0);
	assert_int_equal(mpse_builder_add(builder, word, false, UINT32_MAX, 2), 0);
	assert_int_equal(mpse_builder_add(builder, word, false, 8, 5), 0);
	assert_int_equal(mpse_builder_add(builder, upper, true, 10, 1), 0);
	assert_int_equal(mpse_builder_add(builder, other, true, 10, 1), 0);
	struct mpse *set = mpse_build(builder);
	assert_int_equal(set->literal_count, 3);
	assert_int_equal(set->sig_count, 4);
	assert_int_equal(set->overlap, 5);
	assert_int_equal(set->reach, UINT32_MAX);
	assert_int_equal(mpse_compile(set), 0);
	mpse_free(set);
	mpse_builder_free(builder);
}

static const char two_rules[] = "alert udp any any -> any 53 (content:\"evil\"; sid:1;)\n"
				"alert tcp any any -> any any (content:\"worse\"; sid:2;)\n";

static bool finds(const struct sigs_ruleset *ruleset)
{
	struct counters *counters = calloc(1, sizeof(*counters));
	struct sigs_matcher *matcher = sigs_matcher_new(ruleset, NULL, NULL, counters);
	assert_non_null(matcher);
	static const uint8_t payload[] = "an evil thing";
	struct packet pkt = {.family = 4,
			     .proto = 17,
			     .sport = 1000,
			     .dport = 53,
			     .l3 = payload,
			     .l4 = payload,
			     .payload = payload,
			     .payload_len = sizeof(payload) - 1};
	bool found = sigs_inspect(matcher, &pkt)->count == 1;
	sigs_matcher_free(matcher);
	free(counters);
	return found;
}

static void second_compile_comes_from_the_cache(void **state)
{
	(void)state;
	struct shelf shelf = {0};
	struct sigs_ruleset *first = compile(two_rules, &shelf), *second = compile(two_rules, &shelf);
	assert_int_equal(shelf.puts, 1);
	assert_int_equal(shelf.gets, 1);
	assert_true(finds(first));
	assert_true(finds(second));
	sigs_ruleset_free(first);
	assert_true(finds(second)); /* it owns what it took */
	sigs_ruleset_free(second);
	sigs_ruleset_free(compile("alert udp any any -> any 53 (content:\"other\"; sid:1;)\n", &shelf));
	assert_int_equal(shelf.puts, 2); /* other literals, other key */
	free(shelf.data);
}

static void damaged_cache_is_rebuilt(void **state)
{
	(void)state;
	struct shelf shelf = {0};
	sigs_ruleset_free(compile(two_rules, &shelf));
	for (size_t at = 0; at < shelf.len; at += shelf.len / 37 + 1) {
		unsigned puts = shelf.puts;
		shelf.data[at] ^= 0x41;
		struct sigs_ruleset *ruleset = compile(two_rules, &shelf);
		assert_int_equal(shelf.puts, puts + 1);
		assert_true(finds(ruleset));
		sigs_ruleset_free(ruleset);
	}
	for (size_t len = 0; len < shelf.len; len += shelf.len / 11 + 1) {
		size_t whole = shelf.len;
		unsigned puts = shelf.puts;
		shelf.len = len;
		sigs_ruleset_free(compile(two_rules, &shelf));
		assert_int_equal(shelf.puts, puts + 1);
		assert_int_equal(shelf.len, whole);
	}
	free(shelf.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rarest_literal_is_searched),
		cmocka_unit_test(rules_own_word_wins),
		cmocka_unit_test(negated_content_is_never_searched),
		cmocka_unit_test(long_literal_is_cut_to_its_best_part),
		cmocka_unit_test(precedence_is_the_languages),
		cmocka_unit_test(addresses_lead_to_all_their_signatures),
		cmocka_unit_test(same_literal_is_searched_once),
		cmocka_unit_test(second_compile_comes_from_the_cache),
		cmocka_unit_test(damaged_cache_is_rebuilt),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
