/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "triage.h"

static void add(struct assets *assets, const char *prefix, const char *name, const char *role)
{
	struct asset asset = {.importance = 3};
	assert_true(prefix_parse(prefix, &asset.prefix));
	snprintf(asset.name, sizeof(asset.name), "%s", name);
	snprintf(asset.role, sizeof(asset.role), "%s", role);
	assert_int_equal(assets_add(assets, &asset), 0);
}

static const char *found(const struct assets *assets, const char *text)
{
	struct address address;
	assert_true(address_parse(text, &address));
	const struct asset *asset = assets_find(assets, &address);
	return asset ? asset->name : "";
}

static bool inside(const struct assets *assets, const char *text)
{
	struct address address;
	assert_true(address_parse(text, &address));
	return assets_inside(assets, &address);
}

static void longest_prefix_wins(void **state)
{
	(void)state;
	struct assets *assets = assets_new();
	add(assets, "203.0.113.0/24", "public", "");
	add(assets, "203.0.113.80", "shop", "web");
	add(assets, "203.0.113.64/26", "dmz", "");
	add(assets, "2001:db8::/32", "six", "");
	add(assets, "2001:db8:1::/48", "lab", "");
	assert_string_equal(found(assets, "203.0.113.80"), "shop");
	assert_string_equal(found(assets, "203.0.113.81"), "dmz");
	assert_string_equal(found(assets, "203.0.113.1"), "public");
	assert_string_equal(found(assets, "203.0.114.1"), "");
	assert_string_equal(found(assets, "2001:db8:1::5"), "lab");
	assert_string_equal(found(assets, "2001:db8:2::5"), "six");
	assets_free(assets);
}

static void same_prefix_is_replaced(void **state)
{
	(void)state;
	struct assets *assets = assets_new();
	add(assets, "10.0.0.0/8", "old", "");
	add(assets, "10.1.2.3/8", "new", ""); /* bits behind the length do not count */
	assert_string_equal(found(assets, "10.9.9.9"), "new");
	assets_free(assets);
}

static void everything_may_be_an_asset(void **state)
{
	(void)state;
	struct assets *assets = assets_new();
	add(assets, "::/0", "world", "");
	add(assets, "0.0.0.0/0", "old world", "");
	assert_string_equal(found(assets, "8.8.8.8"), "old world");
	assert_string_equal(found(assets, "2a00::1"), "world");
	assets_free(assets);
}

static void inside_is_what_assets_say_else_private(void **state)
{
	(void)state;
	struct assets *assets = assets_new();
	add(assets, "203.0.113.0/24", "public", "");
	add(assets, "10.99.0.0/16", "partner", "outside");
	assert_true(inside(assets, "203.0.113.5"));
	assert_true(inside(assets, "10.0.0.5"));
	assert_false(inside(assets, "10.99.0.5"));
	assert_false(inside(assets, "198.51.100.7"));
	assert_true(inside(NULL, "192.168.1.1"));
	assert_false(inside(NULL, "203.0.113.5"));
	assets_free(assets);
}

static void holds_many(void **state)
{
	(void)state;
	struct assets *assets = assets_new();
	for (unsigned i = 0; i < 100000; i++) {
		char prefix[32], name[32];
		snprintf(prefix, sizeof(prefix), "10.%u.%u.%u/32", i >> 16, i >> 8 & 255, i & 255);
		snprintf(name, sizeof(name), "host %u", i);
		add(assets, prefix, name, "");
	}
	assert_string_equal(found(assets, "10.0.0.0"), "host 0");
	assert_string_equal(found(assets, "10.1.134.159"), "host 99999");
	assert_string_equal(found(assets, "10.1.134.160"), "");
	assets_free(assets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(longest_prefix_wins),
		cmocka_unit_test(same_prefix_is_replaced),
		cmocka_unit_test(everything_may_be_an_asset),
		cmocka_unit_test(inside_is_what_assets_say_else_private),
		cmocka_unit_test(holds_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
