/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "blocklist.h"

static struct block parsed(const char *text)
{
	struct block block;
	assert_true(block_parse(text, &block));
	return block;
}

static bool has(const struct blocklist *list, const char *address)
{
	const struct block block = parsed(address);
	return blocklist_has(list, &block.addr, block.family);
}

static void add(struct blocklist *list, const char *text)
{
	const struct block block = parsed(text);
	assert_int_equal(blocklist_add(list, &block), 0);
}

static void text_is_read_and_written(void **state)
{
	(void)state;
	static const char *const same[] = {"192.0.2.1",	  "192.0.2.0/24", "2001:db8::/32",
					   "2001:db8::1", "0.0.0.0/0",	  "::/0"};
	static const char *const wrong[] = {"",	  "192.0.2", "192.0.2.1/33", "::1/129",	  "192.0.2.1/", "192.0.2.1/8x",
					    "/8", "host",    "192.0.2.1/-1", "192.0.2.1 "};
	char text[BLOCK_TEXT_MAX];
	struct block block;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		block = parsed(same[i]);
		block_text(&block, text);
		assert_string_equal(text, same[i]);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(block_parse(wrong[i], &block));
	block = parsed("192.0.2.77/24");
	block_text(&block, text);
	assert_string_equal(text, "192.0.2.0/24");
}

static void what_is_added_holds_once_published(void **state)
{
	(void)state;
	struct blocklist *list = blocklist_new();
	assert_non_null(list);
	add(list, "192.0.2.1");
	assert_false(has(list, "192.0.2.1"));
	blocklist_publish(list);
	assert_true(blocklist_any(list));
	assert_true(has(list, "192.0.2.1"));
	assert_false(has(list, "192.0.2.2"));
	const struct block block = parsed("192.0.2.1");
	assert_true(blocklist_remove(list, &block));
	assert_false(blocklist_remove(list, &block));
	assert_true(has(list, "192.0.2.1"));
	blocklist_publish(list);
	assert_false(has(list, "192.0.2.1"));
	assert_false(blocklist_any(list));
	blocklist_free(list);
}

static void prefixes_of_every_length_hold_what_is_in_them(void **state)
{
	(void)state;
	for (unsigned len = 0; len <= 32; len++) {
		struct blocklist *list = blocklist_new();
		char text[32];
		snprintf(text, sizeof(text), "170.170.170.170/%u", len);
		add(list, text);
		blocklist_publish(list);
		assert_true(has(list, "170.170.170.170"));
		assert_true(has(list, "170.170.170.171") == (len < 32));
		assert_true(has(list, "42.170.170.170") == (len == 0));
		assert_false(has(list, "aaaa::1"));
		blocklist_free(list);
	}
	struct blocklist *list = blocklist_new();
	add(list, "2001:db8:8000::/33");
	add(list, "2001:db8:1::7/128");
	blocklist_publish(list);
	assert_true(has(list, "2001:db8:8000::1"));
	assert_false(has(list, "2001:db8:7fff::1"));
	assert_true(has(list, "2001:db8:1::7"));
	assert_false(has(list, "2001:db8:1::8"));
	blocklist_free(list);
}

static void time_takes_entries_off(void **state)
{
	(void)state;
	struct blocklist *list = blocklist_new();
	struct block block = parsed("192.0.2.1");
	block.until_s = 1000;
	assert_int_equal(blocklist_add(list, &block), 0);
	add(list, "192.0.2.2");
	assert_false(blocklist_expire(list, 999));
	assert_true(blocklist_expire(list, 1000));
	blocklist_publish(list);
	assert_false(has(list, "192.0.2.1"));
	assert_true(has(list, "192.0.2.2"));
	blocklist_free(list);
}

static void a_full_list_refuses_and_still_finds_all(void **state)
{
	(void)state;
	struct blocklist *list = blocklist_new();
	char text[32];
	for (unsigned i = 0; i < BLOCKLIST_MAX; i++) {
		snprintf(text, sizeof(text), "10.%u.%u.0/24", i >> 8, i & 255);
		add(list, text);
	}
	const struct block more = parsed("192.0.2.1");
	assert_int_equal(blocklist_add(list, &more), -ENOSPC);
	add(list, "10.0.0.0/24"); /* again is no more */
	blocklist_publish(list);
	for (unsigned i = 0; i < BLOCKLIST_MAX; i++) {
		snprintf(text, sizeof(text), "10.%u.%u.9", i >> 8, i & 255);
		assert_true(has(list, text));
	}
	assert_false(has(list, "11.0.0.9"));
	blocklist_free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_read_and_written),
		cmocka_unit_test(what_is_added_holds_once_published),
		cmocka_unit_test(prefixes_of_every_length_hold_what_is_in_them),
		cmocka_unit_test(time_takes_entries_off),
		cmocka_unit_test(a_full_list_refuses_and_still_finds_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
