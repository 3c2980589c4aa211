/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "address.h"

static void both_families_are_read_and_written(void **state)
{
	static const char *const texts[] = {"192.0.2.1", "0.0.0.0", "255.255.255.255", "2001:db8::1", "::", "fe80::1"};
	char text[ADDRESS_TEXT_MAX];
	struct address address;
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_true(address_parse(texts[i], &address));
		assert_string_equal(address_text(&address, text), texts[i]);
	}
	assert_true(address_parse("::ffff:192.0.2.1", &address));
	assert_string_equal(address_text(&address, text), "192.0.2.1");
}

static void what_is_no_address_is_refused(void **state)
{
	static const char *const texts[] = {"",	    "192.0.2",		 "192.0.2.256", "1.2.3.4 ",
					    "g::1", "1:2:3:4:5:6:7:8:9", "a.example"};
	struct address address;
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_false(address_parse(texts[i], &address));
		assert_true(address_none(&address));
	}
}

static void prefix_holds_its_own_and_no_other(void **state)
{
	static const struct {
		const char *prefix, *written, *inside, *outside;
	} cases[] = {
		{"10.1.2.3/8", "10.0.0.0/8", "10.255.0.1", "11.0.0.0"},
		{"192.0.2.128/25", "192.0.2.128/25", "192.0.2.255", "192.0.2.127"},
		{"198.51.100.7", "198.51.100.7", "198.51.100.7", "198.51.100.6"},
		{"2001:db8:8000::/33", "2001:db8:8000::/33", "2001:db8:ffff::1", "2001:db8:7fff::1"},
		{"0.0.0.0/0", "0.0.0.0/0", "203.0.113.9", "2001:db8::1"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[ADDRESS_TEXT_MAX + 4];
		struct prefix prefix;
		struct address in, out;
		assert_true(prefix_parse(cases[i].prefix, &prefix));
		assert_string_equal(prefix_text(&prefix, text), cases[i].written);
		assert_true(address_parse(cases[i].inside, &in) && address_parse(cases[i].outside, &out));
		assert_true(prefix_holds(&prefix, &in));
		assert_false(prefix_holds(&prefix, &out));
	}
}

static void what_is_no_prefix_is_refused(void **state)
{
	static const char *const texts[] = {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x",
					    "::/129",	   "/8",	"10.0.0.0/ 8"};
	struct prefix prefix;
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_false(prefix_parse(texts[i], &prefix));
}

static void private_space_is_known(void **state)
{
	static const char *const inside[] = {"10.9.8.7", "172.31.0.1", "192.168.1.1", "fd00::1",
					     "fe80::2",	 "127.0.0.1",  "::1"};
	static const char *const outside[] = {"11.0.0.1", "172.32.0.1", "8.8.8.8", "2001:db8::1"};
	struct address address;
	(void)state;
	for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++)
		assert_true(address_parse(inside[i], &address) && address_private(&address));
	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
		assert_true(address_parse(outside[i], &address) && !address_private(&address));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_families_are_read_and_written),
		cmocka_unit_test(what_is_no_address_is_refused),
		cmocka_unit_test(prefix_holds_its_own_and_no_other),
		cmocka_unit_test(what_is_no_prefix_is_refused),
		cmocka_unit_test(private_space_is_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
