/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file of a dataset; the first byte chooses its type and whether entries carry a reputation. Holds: what is refused names
 * one of its lines; every address and hash that was taken is found, and reading the same again adds nothing.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void broken(const char *what)
{
	fprintf(stderr, "fuzz_dataset: %s\n", what);
	abort();
}

static unsigned lines_of(const char *text, size_t len)
{
	unsigned n = 0;
	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n + (len > 0 && text[len - 1] != '\n');
}

static size_t hash_len(int type)
{
	return type == DATASET_MD5 ? 16 : type == DATASET_SHA1 ? 20 : type == DATASET_SHA256 ? 32 : 0;
}

/* The value of a line as another reader takes it: 0 for what is none. */
static size_t value_of(int type, const char *line, size_t len, uint8_t value[static 32])
{
	char word[128];
	if (len >= sizeof(word))
		return 0;
	memcpy(word, line, len);
	word[len] = '\0';
	word[strcspn(word, ", \r")] = '\0';
	size_t n = hash_len(type);
	for (size_t i = 0; i < n; i++) {
		unsigned byte;
		if (sscanf(word + i * 2, "%2x", &byte) != 1)
			return 0;
		value[i] = (uint8_t)byte;
	}
	if (n > 0)
		return n;
	if (inet_pton(AF_INET, word, value) == 1)
		return 4;
	return type == DATASET_IP && inet_pton(AF_INET6, word, value) == 1 ? 16 : 0;
}

static void check_found(struct dataset *set, const char *text, size_t len)
{
	for (const char *at = text, *end = text + len; at < end;) {
		const char *nl = memchr(at, '\n', (size_t)(end - at));
		uint8_t value[32];
		size_t n = nl ? (size_t)(nl - at) : (size_t)(end - at);
		struct bytes view = {.data = value};
		if (n > 0 && *at != '#' && (view.len = value_of(set->type, at, n, value)) > 0 &&
		    !dataset_has(set, view, NULL))
			broken("an entry is not found");
		at += n + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int types[] = {DATASET_STRING, DATASET_MD5,  DATASET_SHA1,
				    DATASET_SHA256, DATASET_IPV4, DATASET_IP};
	if (size < 1)
		return 0;
	struct arena *arena = arena_new();
	if (!arena)
		abort();
	struct dataset set = {.reputation = data[0] & 16};
	set.type = types[(data[0] & 15) % 6];
	const char *text = (const char *)data + 1;
	size_t len = size - 1;
	unsigned bad = 0, lines = lines_of(text, len);
	int rc = dataset_load(&set, arena, text, len, &bad);
	if (rc != 0 && (bad < 1 || bad > lines))
		broken("what is wrong stands in no line");
	size_t count = dataset_count(&set);
	if (count > lines)
		broken("more entries than lines");
	if (rc == 0) {
		if (set.type != DATASET_STRING)
			check_found(&set, text, len);
		if (dataset_load(&set, arena, text, len, &bad) != 0 || dataset_count(&set) != count)
			broken("the second reading differs from the first");
	}
	arena_free(arena);
	return 0;
}
