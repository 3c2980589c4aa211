/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/http.h"

static struct bytes text(const char *s)
{
	return (struct bytes){.data = (const uint8_t *)s, .len = strlen(s)};
}

static void assert_path(const char *raw, const char *normal)
{
	uint8_t out[256];
	size_t len = http_path_normalise(out, text(raw));

	out[len] = 0;
	assert_string_equal((const char *)out, normal);
}

static void plain_paths_stay(void **state)
{
	(void)state;
	assert_path("/", "/");
	assert_path("/index.html", "/index.html");
	assert_path("/a.b/c..d", "/a.b/c..d");
	assert_path("", "");
}

static void escapes_are_undone_once(void **state)
{
	(void)state;
	assert_path("/%61%2Fb", "/a/b");
	assert_path("/%2561", "/%61");
	assert_path("/a+b", "/a+b");
}

static void wrong_escapes_stand_for_themselves(void **state)
{
	(void)state;
	assert_path("/%zz%4", "/%zz%4");
	assert_path("/%", "/%");
	assert_path("/%u00g1", "/%u00g1");
}

static void wide_escapes_become_their_nearest_byte(void **state)
{
	(void)state;
	assert_path("/%u0061", "/a");
	assert_path("/%uff0e%uFF0E/x", "/x");
	assert_path("/x%uff41", "/xa");
	assert_path("/%u0100%u4e00", "/A?");
}

static void utf8_and_its_overlong_forms_become_bytes(void **state)
{
	(void)state;
	assert_path("/\xc4\x80", "/A");
	assert_path("/%c0%afa", "//a");
	assert_path("/\xe4\xb8\x80\xff", "/??");
}

static void backslashes_and_double_slashes_are_slashes(void **state)
{
	(void)state;
	assert_path("\\a\\\\b//c", "/a/b/c");
	assert_path("/a%5cb", "/a/b");
}

static void dot_segments_go(void **state)
{
	(void)state;
	assert_path("/../a/b/../c/./d.html", "/a/c/d.html");
	assert_path("/a/..", "");
	assert_path("/a/../", "");
	assert_path("/a/.", "/a");
	assert_path("./x", "x");
	assert_path("../../x", "x");
	assert_path("/a/%2e%2e/b", "/b");
	assert_path("/a/...", "/a/...");
	assert_path("/.hidden", "/.hidden");
}

static void assert_part(struct bytes part, const char *want)
{
	if (!want) {
		assert_null(part.data);
		return;
	}
	assert_non_null(part.data);
	assert_int_equal(part.len, strlen(want));
	assert_memory_equal(part.data, want, part.len);
}

static void a_uri_has_its_parts(void **state)
{
	struct http_uri uri;

	(void)state;
	http_uri_split(text("http://user:pw@host:81/path?q=1#frag"), &uri);
	assert_part(uri.scheme, "http");
	assert_part(uri.user, "user");
	assert_part(uri.password, "pw");
	assert_part(uri.host, "host");
	assert_part(uri.port, "81");
	assert_part(uri.path, "/path");
	assert_part(uri.query, "q=1");
	assert_part(uri.fragment, "frag");
	http_uri_split(text("/p:1?a@b"), &uri);
	assert_part(uri.scheme, NULL);
	assert_part(uri.host, NULL);
	assert_part(uri.path, "/p:1");
	assert_part(uri.query, "a@b");
	http_uri_split(text("http://h/p?mail=a@b"), &uri);
	assert_part(uri.user, NULL);
	assert_part(uri.host, "h");
	http_uri_split(text("?"), &uri);
	assert_part(uri.path, NULL);
	assert_part(uri.query, "");
}

static void hosts_are_judged(void **state)
{
	struct bytes host;
	int32_t port;

	(void)state;
	assert_true(http_host_split(text("example.org:8080"), &host, &port));
	assert_part(host, "example.org");
	assert_int_equal(port, 8080);
	assert_true(http_host_split(text("[2001:db8::1]:80"), &host, &port));
	assert_part(host, "[2001:db8::1]");
	assert_int_equal(port, 80);
	assert_false(http_host_split(text("[2001:db8::1]x"), &host, &port));
	assert_false(http_host_split(text("h:0"), &host, &port));
	assert_false(http_host_split(text("h:65536"), &host, &port));
	assert_false(http_host_split(text("a..b"), &host, &port));
	assert_false(http_host_split(text("[::g]"), &host, &port));
	assert_false(http_host_split(text(""), &host, &port));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_paths_stay),
		cmocka_unit_test(escapes_are_undone_once),
		cmocka_unit_test(wrong_escapes_stand_for_themselves),
		cmocka_unit_test(wide_escapes_become_their_nearest_byte),
		cmocka_unit_test(utf8_and_its_overlong_forms_become_bytes),
		cmocka_unit_test(backslashes_and_double_slashes_are_slashes),
		cmocka_unit_test(dot_segments_go),
		cmocka_unit_test(a_uri_has_its_parts),
		cmocka_unit_test(hosts_are_judged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
