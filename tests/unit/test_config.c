/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration file. Golden cases stand in config/: NAME.in is read, and NAME.ok holds either the whole message that
 * refuses it, or lines that must stand in the configuration as it is printed.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config.h"

static char *read_text(const char *path)
{
	FILE *f = fopen(path, "rb");
	if (!f)
		return NULL;
	char *text = calloc(1, 64 << 10);
	size_t n = fread(text, 1, (64 << 10) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

static char *printed(const struct config *config)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	config_print(config, out);
	fclose(out);
	return text;
}

static int load(struct config *config, const char *path, bool inline_mode, char *error)
{
	assert_int_equal(config_init(config, inline_mode), 0);
	int rc = config_load(config, path, error);
	return rc != 0 ? rc : config_finish(config, error);
}

static bool has_line(const char *text, const char *line, size_t len)
{
	for (const char *at = text; at; at = strchr(at, '\n'), at = at ? at + 1 : NULL)
		if (strncmp(at, line, len) == 0 && (at[len] == '\n' || at[len] == '\0'))
			return true;
	return false;
}

static void expect_lines(const char *name, const char *text, const char *ok)
{
	for (const char *line = ok; *line;) {
		size_t len = strcspn(line, "\n");
		if (!has_line(text, line, len))
			fail_msg("%s: the printed configuration lacks \"%.*s\"", name, (int)len, line);
		line += len + (line[len] == '\n');
	}
}

static void run_golden(const char *folder, const char *name)
{
	char in[4096], ok[4096], error[CONFIG_ERROR_MAX] = "";
	snprintf(in, sizeof(in), "%s/%s.in", folder, name);
	snprintf(ok, sizeof(ok), "%s/%s.ok", folder, name);
	char *want = read_text(ok);
	if (!want)
		fail_msg("%s is missing", ok);
	struct config config;
	if (load(&config, in, false, error) == 0) {
		char *text = printed(&config);
		expect_lines(name, text, want);
		free(text);
	} else {
		/* the message begins with the path as it was given */
		char *without_folder = error + strlen(folder) + 1;
		assert_memory_equal(error, folder, strlen(folder));
		want[strcspn(want, "\n")] = '\0';
		assert_string_equal(without_folder, want);
	}
	config_free(&config);
	free(want);
}

static void golden_cases_hold(void **state)
{
	const char *folder = *state;
	unsigned count = 0;
	DIR *dir = opendir(folder);
	assert_non_null(dir);
	for (struct dirent *e; (e = readdir(dir));) {
		char name[256];
		size_t len = strlen(e->d_name);
		if (len <= 3 || strcmp(e->d_name + len - 3, ".in") != 0)
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)len - 3, e->d_name);
		run_golden(folder, name);
		count++;
	}
	closedir(dir);
	assert_true(count >= 20);
}

/* Reading what was printed gives the same configuration: nothing is lost or shown in a form that cannot be read. */
static void expect_reads_back(struct config *first)
{
	char error[CONFIG_ERROR_MAX], path[] = "/tmp/sekisho-config-XXXXXX";
	struct config second;
	char *text = printed(first);
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	int rc = load(&second, path, false, error);
	unlink(path);
	if (rc != 0)
		fail_msg("%s", error);
	char *again = printed(&second);
	assert_string_equal(again, text);
	assert_int_equal(second.address_vars.count, first->address_vars.count);
	for (size_t i = 0; i < first->address_vars.count; i++) {
		assert_string_equal(second.address_vars.items[i].name, first->address_vars.items[i].name);
		assert_string_equal(second.address_vars.items[i].value, first->address_vars.items[i].value);
	}
	assert_string_equal(second.records.sensor_name, first->records.sensor_name);
	free(text);
	free(again);
	config_free(&second);
}

static void the_printed_configuration_reads_back(void **state)
{
	const char *folder = *state;
	char in[4096], error[CONFIG_ERROR_MAX];
	struct config config;
	snprintf(in, sizeof(in), "%s/values.in", folder);
	assert_int_equal(load(&config, in, false, error), 0);
	expect_reads_back(&config);
	config_free(&config);
}

static void any_text_is_printed_so_that_it_reads_back(void **state)
{
	/* line ends of every kind, other control characters, what YAML would take for syntax, and what needs no quoting */
	static const char *const texts[] = {"two\nlines",
					    "a\r\n",
					    "\t",
					    "\x01\x7f",
					    "\xc2\x85\xe2\x80\xa8",
					    "\xef\xbb\xbf",
					    "\xc2\x9b\xc2\xa0",
					    " a: b # c ",
					    "\"\\x41\"",
					    "- [&x, *y]",
					    "\xe6\x9d\xb1\xe4\xba\xac",
					    "\xf0\x9f\x9a\xa7"};
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char error[CONFIG_ERROR_MAX];
		struct config config;
		assert_int_equal(config_init(&config, false), 0);
		struct config_var *var = calloc(1, sizeof(*var));
		*var = (struct config_var){.name = strdup(texts[i]), .value = strdup(texts[i])};
		config.address_vars = (struct config_vars){.items = var, .count = 1};
		free(config.records.sensor_name);
		config.records.sensor_name = strdup(texts[i]);
		assert_int_equal(config_finish(&config, error), 0);
		expect_reads_back(&config);
		config_free(&config);
	}
}

static void assignments_override(void **state)
{
	(void)state;
	struct config config;
	char error[CONFIG_ERROR_MAX];
	assert_int_equal(config_init(&config, false), 0);
	assert_int_equal(config_set(&config, "stream.midstream=yes", error), 0);
	assert_true(config.stream.midstream);
	assert_int_equal(config_set(&config, "records.types=alert", error), 0);
	assert_int_equal(config.records.types.count, 1);
	assert_string_equal(config.records.types.items[0], "alert");
	assert_int_not_equal(config_set(&config, "stream.nothing=yes", error), 0);
	assert_int_not_equal(config_set(&config, "stream.midstream", error), 0);
	assert_int_not_equal(config_set(&config, "stream.midstream=7", error), 0);
	config_free(&config);
}

/* Writes `count` copies of `piece` after `head` and loads them; what is bounded is refused at once. */
static int load_repeated(const char *head, const char *piece, unsigned count, bool numbered, char *error)
{
	char path[] = "/tmp/sekisho-config-XXXXXX";
	struct config config;
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	FILE *file = fdopen(fd, "w");
	assert_non_null(file);
	fputs(head, file);
	for (unsigned i = 0; i < count; i++) {
		fputs(piece, file);
		if (numbered)
			fprintf(file, "%u: \"10.0.0.1\"\n", i);
	}
	assert_int_equal(fclose(file), 0);
	int rc = load(&config, path, false, error);
	unlink(path);
	config_free(&config);
	return rc;
}

static void what_a_file_may_hold_is_bounded(void **state)
{
	(void)state;
	char error[CONFIG_ERROR_MAX];
	/* libyaml alone needs some twenty seconds for this many */
	alarm(5);
	assert_int_equal(load_repeated("vars: ", "[", 100000, false, error), -EINVAL);
	assert_non_null(strstr(error, "nested too deep"));
	assert_int_equal(load_repeated("vars:\n  address-groups:\n", "    A", 4096, true, error), 0);
	assert_int_equal(load_repeated("vars:\n  address-groups:\n", "    A", 4097, true, error), -EINVAL);
	assert_non_null(strstr(error, "more than 4096 variables"));
	assert_int_equal(load_repeated("", "# 16 bytes long\n", (4u << 16) + 1, false, error), -EFBIG);
	assert_non_null(strstr(error, "longer than"));
	alarm(0);
}

static enum exception_policy midstream_policy(bool inline_mode, const char *assignment)
{
	struct config config;
	char error[CONFIG_ERROR_MAX];
	assert_int_equal(config_init(&config, inline_mode), 0);
	if (assignment)
		assert_int_equal(config_set(&config, assignment, error), 0);
	assert_int_equal(config_finish(&config, error), 0);
	enum exception_policy policy = config.stream.midstream_policy;
	config_free(&config);
	return policy;
}

static void policies_follow_the_mode(void **state)
{
	(void)state;
	assert_int_equal(midstream_policy(false, NULL), EXCEPTION_IGNORE);
	assert_int_equal(midstream_policy(true, NULL), EXCEPTION_DROP_FLOW);
	assert_int_equal(midstream_policy(true, "stream.midstream=yes"), EXCEPTION_IGNORE);
	assert_int_equal(midstream_policy(true, "exception-policy=ignore"), EXCEPTION_IGNORE);
	assert_int_equal(midstream_policy(true, "stream.midstream-policy=pass-flow"), EXCEPTION_PASS_FLOW);
	/* a passive sensor drops nothing */
	assert_int_equal(midstream_policy(false, "exception-policy=drop-flow"), EXCEPTION_IGNORE);
}

int main(int argc, char **argv)
{
	char folder[4000];
	snprintf(folder, sizeof(folder), "%s", argc > 1 ? argv[1] : "tests/unit/config");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(golden_cases_hold, folder),
		cmocka_unit_test_prestate(the_printed_configuration_reads_back, folder),
		cmocka_unit_test(any_text_is_printed_so_that_it_reads_back),
		cmocka_unit_test(assignments_override),
		cmocka_unit_test(what_a_file_may_hold_is_bounded),
		cmocka_unit_test(policies_follow_the_mode),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
