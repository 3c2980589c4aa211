/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A configuration file. Holds: it is refused with a message that names the file, or what is printed of it reads back to
 * the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void broken(const char *what, const char *more)
{
	fprintf(stderr, "fuzz_config: %s: %s\n", what, more);
	abort();
}

static bool load(struct config *config, const void *text, size_t len, bool inline_mode)
{
	char path[64], error[CONFIG_ERROR_MAX] = "";
	int fd = memfd_create("config", MFD_CLOEXEC);
	if (fd < 0 || write(fd, text, len) != (ssize_t)len || config_init(config, inline_mode) != 0)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int rc = config_load(config, path, error);
	if (rc == 0)
		rc = config_finish(config, error);
	close(fd);
	if (rc != 0 && strncmp(error, path, strlen(path)) != 0)
		broken("a message that names no file", error);
	if (rc != 0)
		config_free(config);
	return rc == 0;
}

static char *printed(const struct config *config, size_t *len)
{
	char *text;
	FILE *out = open_memstream(&text, len);
	if (!out)
		abort();
	config_print(config, out);
	fclose(out);
	return text;
}

/* The first byte chooses the mode. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config config;
	if (size < 1 || !load(&config, data + 1, size - 1, data[0] & 1))
		return 0;
	size_t len, len_again;
	char *text = printed(&config, &len), *again;
	config_free(&config);
	if (!load(&config, text, len, data[0] & 1))
		broken("what was printed is refused", text);
	again = printed(&config, &len_again);
	config_free(&config);
	if (len != len_again || memcmp(text, again, len) != 0)
		broken("what was printed reads back to something else", again);
	free(text);
	free(again);
	return 0;
}
