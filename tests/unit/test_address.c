/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "address.h"

static struct address_book book;

static int make_book(void **state)
{
	(void)state;
	memset(&book, 0, sizeof(book));
	book.arena = arena_new();
	table_put(&book.address_vars, "HOME", 4, (void *)(uintptr_t) "[10.0.0.0/8,192.168.0.0/16]");
	table_put(&book.address_vars, "OTHER", 5, (void *)(uintptr_t) "!$HOME");
	table_put(&book.address_vars, "LOOP", 4, (void *)(uintptr_t) "[$LOOP,1.1.1.1]");
	table_put(&book.port_vars, "WEB", 3, (void *)(uintptr_t) "[80,8000:8100]");
	return 0;
}

static int free_book(void **state)
{
	(void)state;
	address_book_free(&book);
	arena_free(book.arena);
	return 0;
}

static const struct address_set *addresses(const char *text)
{
	return address_set_of(&book, text, strlen(text));
}

static bool has(const struct address_set *set, const char *text)
{
	union packet_addr addr = {0};
	assert_non_null(set);
	if (inet_pton(AF_INET, text, addr.bytes) == 1)
		return address_set_has(set, &addr, 4);
	assert_int_equal(inet_pton(AF_INET6, text, addr.bytes), 1);
	return address_set_has(set, &addr, 6);
}

static const struct port_set *ports(const char *text)
{
	return port_set_of(&book, text, strlen(text));
}

static void any_is_both_families(void **state)
{
	(void)state;
	const struct address_set *any = addresses("any");
	assert_true(any->any);
	assert_true(has(any, "1.2.3.4"));
	assert_true(has(any, "::1"));
	assert_false(addresses("0.0.0.0/0")->any);
	assert_false(has(addresses("0.0.0.0/0"), "::1"));
}

static void prefixes_ranges_and_masks(void **state)
{
	(void)state;
	assert_true(has(addresses("10.1.2.3/8"), "10.0.0.0"));
	assert_true(has(addresses("10.1.2.3/8"), "10.255.255.255"));
	assert_false(has(addresses("10.1.2.3/8"), "11.0.0.0"));
	assert_true(has(addresses("10.1.0.0/255.255.0.0"), "10.1.255.255"));
	assert_false(has(addresses("10.1.0.0/255.255.0.0"), "10.2.0.0"));
	assert_true(has(addresses("10.0.0.5-10.0.0.9"), "10.0.0.9"));
	assert_false(has(addresses("10.0.0.5-10.0.0.9"), "10.0.0.10"));
	assert_true(has(addresses("2001:db8::/32"), "2001:db8:ffff::1"));
	assert_false(has(addresses("2001:db8::/32"), "2001:db9::1"));
	assert_true(has(addresses("2001:db8::1-2001:db8::5"), "2001:db8::5"));
	assert_true(has(addresses("::/0"), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
	assert_true(has(addresses("255.255.255.255"), "255.255.255.255"));
}

static void negation_takes_away(void **state)
{
	(void)state;
	const struct address_set *set = addresses("[10.0.0.0/8,!10.1.0.0/16,!10.2.2.2]");
	assert_true(has(set, "10.0.0.1"));
	assert_false(has(set, "10.1.0.0"));
	assert_false(has(set, "10.1.255.255"));
	assert_true(has(set, "10.2.0.0"));
	assert_false(has(set, "10.2.2.2"));
	assert_true(has(set, "10.2.2.3"));
}

static void negation_alone_means_the_rest_of_its_family(void **state)
{
	(void)state;
	const struct address_set *set = addresses("!10.0.0.0/8");
	assert_true(has(set, "9.255.255.255"));
	assert_true(has(set, "11.0.0.0"));
	assert_false(has(set, "10.5.5.5"));
	assert_false(has(set, "::1"));
}

static void lists_nest(void **state)
{
	(void)state;
	const struct address_set *set = addresses("[ 1.1.1.1 , [2.2.2.0/24, !2.2.2.128/25], ![1.1.1.0/25,!1.1.1.1]]");
	assert_true(has(set, "1.1.1.1"));
	assert_true(has(set, "2.2.2.127"));
	assert_false(has(set, "2.2.2.128"));
	assert_true(has(addresses("!!1.1.1.1"), "1.1.1.1"));
}

static void variables_hold_expressions(void **state)
{
	(void)state;
	assert_true(has(addresses("$HOME"), "192.168.3.4"));
	assert_false(has(addresses("!$HOME"), "192.168.3.4"));
	assert_true(has(addresses("!$HOME"), "8.8.8.8"));
	assert_true(has(addresses("!$OTHER"), "10.9.9.9"));
	assert_false(has(addresses("[$HOME,!10.9.0.0/16]"), "10.9.9.9"));
}

static void equal_texts_share_a_set(void **state)
{
	(void)state;
	assert_ptr_equal(addresses("[$HOME,1.2.3.4]"), addresses("[$HOME,1.2.3.4]"));
	assert_ptr_not_equal(addresses("$HOME"), addresses("!$HOME"));
	assert_ptr_equal(ports("$WEB"), ports("$WEB"));
}

static void wrong_addresses_say_why(void **state)
{
	(void)state;
	static const char *const wrong[][2] = {
		{"10.0.0.256", "no address"},
		{"10.0.0.0/33", "no prefix"},
		{"::1/129", "no prefix"},
		{"10.0.0.9-10.0.0.5", "no range"},
		{"10.0.0.1-::5", "no range"},
		{"[1.1.1.1", "not closed"},
		{"1.1.1.1]", "not opened"},
		{"[1.1.1.1,,2.2.2.2]", "empty"},
		{"$NOBODY", "not defined"},
		{"!any", "negated"},
		{"[1.1.1.1,!1.1.1.1]", "nothing is left"},
		{"$LOOP", "deeper"},
		{"10.0.0.0/255.0.255.0", "no prefix"},
		{"[]", "empty"},
		{"", "empty"},
		{"![any]", "negated"},
	};
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_null(addresses(wrong[i][0]));
		if (!strstr(book.why, wrong[i][1]))
			fail_msg("\"%s\": \"%s\" does not say \"%s\"", wrong[i][0], book.why, wrong[i][1]);
	}
}

static void ports_of_all_forms(void **state)
{
	(void)state;
	assert_true(ports("any")->any);
	assert_true(ports("[0:65535]")->any);
	assert_true(port_set_has(ports("1024:"), 65535));
	assert_false(port_set_has(ports("1024:"), 1023));
	assert_true(port_set_has(ports(":1024"), 0));
	assert_true(port_set_has(ports("$WEB"), 8050));
	assert_false(port_set_has(ports("$WEB"), 81));
	assert_false(port_set_has(ports("!$WEB"), 80));
	assert_true(port_set_has(ports("!$WEB"), 65535));
	assert_false(port_set_has(ports("[1:100,!50]"), 50));
	assert_true(port_set_has(ports("[1:100,!50]"), 51));
	/* one range needs no bitmap, more do */
	assert_null(ports("80")->bitmap);
	assert_non_null(ports("[80,443]")->bitmap);
}

static void wrong_ports_are_refused(void **state)
{
	(void)state;
	static const char *const wrong[] = {"65536", "80:70", ":", "http", "!any",	 "[80,!80]",
					    "-1",    "80-90", "",  "[80",  "99999999999"};
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (ports(wrong[i]))
			fail_msg("port \"%s\" was taken", wrong[i]);
}

/* Each variable names the one before eight times: 8^11 ranges without a bound. */
static void explosions_are_bounded(void **state)
{
	(void)state;
	enum { LEVELS = 12 };
	static char name[LEVELS][8], text[LEVELS][80];
	for (int i = 0; i < LEVELS; i++) {
		snprintf(name[i], sizeof(name[i]), "V%02d", i);
		snprintf(text[i], sizeof(text[i]), "1.1.1.1");
		for (int k = 0; i > 0 && k < 8; k++)
			snprintf(text[i] + 5 * (size_t)k, 8, "$V%02d%s", i - 1, k < 7 ? "," : "");
		table_put(&book.address_vars, name[i], strlen(name[i]), text[i]);
	}
	assert_null(addresses("$V11"));
	assert_non_null(strstr(book.why, "ranges"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(any_is_both_families, make_book, free_book),
		cmocka_unit_test_setup_teardown(prefixes_ranges_and_masks, make_book, free_book),
		cmocka_unit_test_setup_teardown(negation_takes_away, make_book, free_book),
		cmocka_unit_test_setup_teardown(negation_alone_means_the_rest_of_its_family, make_book, free_book),
		cmocka_unit_test_setup_teardown(lists_nest, make_book, free_book),
		cmocka_unit_test_setup_teardown(variables_hold_expressions, make_book, free_book),
		cmocka_unit_test_setup_teardown(equal_texts_share_a_set, make_book, free_book),
		cmocka_unit_test_setup_teardown(wrong_addresses_say_why, make_book, free_book),
		cmocka_unit_test_setup_teardown(ports_of_all_forms, make_book, free_book),
		cmocka_unit_test_setup_teardown(wrong_ports_are_refused, make_book, free_book),
		cmocka_unit_test_setup_teardown(explosions_are_bounded, make_book, free_book),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
