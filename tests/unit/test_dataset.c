/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <errno.h>

#include "dataset.h"
#include "iprep.h"

static struct arena *arena;

static int setup(void **state)
{
	(void)state;
	arena = arena_new();
	return arena ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static int load(struct dataset *set, const char *text, unsigned *bad)
{
	return dataset_load(set, arena, text, strlen(text), bad);
}

static void strings_are_base64_lines(void **state)
{
	(void)state;
	struct dataset set = {.type = DATASET_STRING};
	unsigned bad = 0;
	assert_int_equal(load(&set, "Zm9v\r\n\n# a comment\nYmFy\n", &bad), 0);
	assert_int_equal(dataset_count(&set), 2);
	assert_true(dataset_has(&set, BYTES_LITERAL("foo"), NULL));
	assert_true(dataset_has(&set, BYTES_LITERAL("bar"), NULL));
	assert_false(dataset_has(&set, BYTES_LITERAL("Foo"), NULL));
	assert_int_equal(load(&set, "Zm9v\n!!!\n", &bad), -EINVAL);
	assert_int_equal(bad, 2);
}

/* A value that was cut would stand for every longer one that begins so. */
static void a_string_that_is_too_long_is_refused_whole(void **state)
{
	(void)state;
	struct dataset set = {.type = DATASET_STRING};
	static char text[6000];
	static uint8_t longest[4096]; /* of zeros: "AAAA" is three */
	unsigned bad = 0;
	memset(text, 'A', 5460);
	memcpy(text + 5460, "AA==\n", 6);
	assert_int_equal(load(&set, text, &bad), 0);
	assert_true(dataset_has(&set, (struct bytes){.data = longest, .len = 4096}, NULL));
	memcpy(text + 5460, "AAA=\n", 6);
	assert_int_equal(load(&set, text, &bad), -EINVAL);
	assert_int_equal(bad, 1);
	memcpy(text + 5460, "AAAA\n", 6);
	assert_int_equal(load(&set, text, &bad), -EINVAL);
	assert_int_equal(dataset_count(&set), 1);
}

static void reputations_come_with_their_values(void **state)
{
	(void)state;
	struct dataset set = {.type = DATASET_STRING, .reputation = true};
	unsigned bad = 0;
	uint16_t reputation = 0;
	assert_int_equal(load(&set, "Zm9v,300\n", &bad), 0);
	assert_true(dataset_has(&set, BYTES_LITERAL("foo"), &reputation));
	assert_int_equal(reputation, 300);
	assert_int_equal(load(&set, "YmFy\n", &bad), -EINVAL); /* a reputation is missing */
	assert_int_equal(load(&set, "YmFy,70000\n", &bad), -EINVAL);
}

static void hashes_and_addresses_have_their_own_forms(void **state)
{
	(void)state;
	unsigned bad = 0;
	struct dataset md5 = {.type = DATASET_MD5};
	assert_int_equal(load(&md5, "900150983CD24fb0d6963f7d28e17f72\n", &bad), 0);
	assert_true(dataset_has(&md5, BYTES_LITERAL("\x90\x01\x50\x98\x3c\xd2\x4f\xb0\xd6\x96\x3f\x7d\x28\xe1\x7f\x72"),
				NULL));
	assert_false(dataset_has(&md5, BYTES_LITERAL("abc"), NULL));
	assert_int_equal(load(&md5, "9001\n", &bad), -EINVAL);
	struct dataset ip = {.type = DATASET_IP};
	assert_int_equal(load(&ip, "192.0.2.1\n2001:db8::1\n", &bad), 0);
	assert_true(dataset_has(&ip, BYTES_LITERAL("\xc0\x00\x02\x01"), NULL));
	assert_true(dataset_has(&ip, BYTES_LITERAL("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"), NULL));
	struct dataset ipv4 = {.type = DATASET_IPV4};
	assert_int_equal(load(&ipv4, "2001:db8::1\n", &bad), -EINVAL);
}

static void a_set_grows_up_to_its_memory(void **state)
{
	(void)state;
	struct dataset set = {.type = DATASET_STRING, .memcap = 4096};
	assert_int_equal(dataset_prepare(&set, arena), 0);
	unsigned added = 0;
	for (uint32_t i = 0; i < 1000; i++)
		added += dataset_insert(&set, (struct bytes){.data = (uint8_t *)&i, .len = sizeof(i)});
	assert_in_range(added, 10, 200);
	assert_int_equal(dataset_count(&set), added);
	uint32_t first = 0;
	struct bytes value = {.data = (uint8_t *)&first, .len = sizeof(first)};
	assert_false(dataset_insert(&set, value));
	assert_true(dataset_remove(&set, value));
	assert_false(dataset_has(&set, value, NULL));
	assert_true(dataset_insert(&set, value)); /* what was removed made room */
}

static int add_address(struct iprep *r, const char *line)
{
	return iprep_add_address(r, line, strlen(line));
}

static void the_most_specific_prefix_gives_the_score(void **state)
{
	(void)state;
	struct iprep *r = iprep_new(arena);
	assert_non_null(r);
	assert_int_equal(iprep_add_category(r, "1,BadHosts,Known bad hosts", 26), 0);
	assert_int_equal(iprep_category(r, "BadHosts"), 1);
	assert_int_equal(iprep_category(r, "Other"), -1);
	assert_int_equal(add_address(r, "10.0.0.0/8,1,10"), 0);
	assert_int_equal(add_address(r, "10.1.2.3,1,100"), 0);
	assert_int_equal(add_address(r, "2001:db8::/32,1,7"), 0);
	assert_int_equal(add_address(r, "10.0.0.0/33,1,10"), -EINVAL);
	assert_int_equal(add_address(r, "10.0.0.1,1,128"), -EINVAL);
	assert_int_equal(add_address(r, "nonsense"), -EINVAL);
	union packet_addr a = {.bytes = {10, 1, 2, 3}};
	assert_int_equal(iprep_score(r, &a, 4, 1), 100);
	a.bytes[3] = 4;
	assert_int_equal(iprep_score(r, &a, 4, 1), 10);
	assert_int_equal(iprep_score(r, &a, 4, 2), -1);
	a.bytes[0] = 11;
	assert_int_equal(iprep_score(r, &a, 4, 1), -1);
	union packet_addr b = {.bytes = {0x20, 0x01, 0x0d, 0xb8, 9}};
	assert_int_equal(iprep_score(r, &b, 6, 1), 7);
	assert_int_equal(iprep_score(r, &b, 4, 1), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_are_base64_lines),
		cmocka_unit_test(a_string_that_is_too_long_is_refused_whole),
		cmocka_unit_test(reputations_come_with_their_values),
		cmocka_unit_test(hashes_and_addresses_have_their_own_forms),
		cmocka_unit_test(a_set_grows_up_to_its_memory),
		cmocka_unit_test(the_most_specific_prefix_gives_the_score),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
