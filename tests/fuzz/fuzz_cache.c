/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a cache gives instead of the image it was given: the input edits the true one (see struct edit). Holds: the rule set
 * compiles and has its databases whatever came; what was changed is put anew, unless a repaired checksum hides the change.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ruleset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of the image: see sigs/cache.c. */
#define HEADER_LEN 64
#define LEN_AT	   16
#define SUM_AT	   24

static const char rules[] = "alert tcp any any -> any any (content:\"first word\"; sid:1;)\n"
			    "alert http any any -> any any (http.uri; content:\"/second\"; nocase; sid:2;)\n"
			    "alert udp any any -> any 53 (content:\"third\"; content:\"fourth\"; sid:3;)\n";

struct shelf {
	uint8_t *image; /* what was put */
	size_t len;
	const uint8_t *given; /* what is handed out */
	size_t given_len;
	unsigned puts;
};

/* Mode, then edits of 4 bytes: offset (3 bytes, little endian) and value. */
enum { REPAIR = 1, RAW = 2, CUT = 4, GROW = 8 };

static int shelf_get(void *user, const char *key, struct sigs_blob *blob)
{
	const struct shelf *s = user;
	(void)key;
	if (!s->given)
		return -ENOENT;
	blob->data = malloc(s->given_len + 1);
	if (!blob->data)
		return -ENOMEM;
	memcpy(blob->data, s->given, s->given_len);
	blob->len = s->given_len;
	return 0;
}

static int shelf_put(void *user, const char *key, const void *data, size_t len)
{
	struct shelf *s = user;
	(void)key;
	s->puts++;
	if (s->image)
		return 0;
	s->image = malloc(len);
	if (!s->image)
		abort();
	memcpy(s->image, data, len);
	s->len = len;
	return 0;
}

static void broken(const char *what)
{
	fprintf(stderr, "fuzz_cache: %s\n", what);
	abort();
}

static void compile(struct shelf *shelf)
{
	struct sigs_env env = {.user = shelf, .cache_get = shelf_get, .cache_put = shelf_put};
	struct sigs_options options;
	struct sigs_builder *builder = sigs_builder_new(&env);
	if (!builder)
		abort();
	sigs_add_rules(builder, "fuzz", rules, sizeof(rules) - 1);
	sigs_options_defaults(&options, false);
	struct sigs_ruleset *rs = sigs_compile(builder, &options);
	sigs_builder_free(builder);
	if (!rs)
		broken("the rules do not compile");
	for (uint32_t i = 0; i < rs->all_count; i++) {
		size_t bytes;
		if (!rs->all_sets[i]->db || hs_database_size(rs->all_sets[i]->db, &bytes) != HS_SUCCESS)
			broken("a set has no database");
	}
	sigs_ruleset_free(rs);
}

/* The checksum as one who knows the format would make it. */
static void repair(uint8_t *image, size_t len)
{
	if (len < HEADER_LEN)
		return;
	uint64_t whole = len, sum = XXH3_64bits(image + HEADER_LEN, len - HEADER_LEN);
	memcpy(image + LEN_AT, &whole, sizeof(whole));
	memcpy(image + SUM_AT, &sum, sizeof(sum));
}

static size_t edit(uint8_t *image, size_t len, const uint8_t *data, size_t size)
{
	uint8_t mode = data[0];
	data++, size--;
	if (mode & (CUT | GROW) && size >= 3) {
		size_t n = data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16;
		len = mode & CUT ? n % (len + 1) : len + n % 4096;
		data += 3, size -= 3;
	}
	for (; size >= 4 && len > 0; data += 4, size -= 4)
		image[(data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16) % len] = data[3];
	if (mode & REPAIR)
		repair(image, len);
	return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct shelf shelf;
	if (size < 1)
		return 0;
	if (!shelf.image)
		compile(&shelf);
	uint8_t *image = calloc(1, shelf.len + 4096);
	if (!image)
		return 0;
	memcpy(image, shelf.image, shelf.len);
	size_t len = shelf.len;
	if (!(data[0] & RAW))
		len = edit(image, len, data, size);
	shelf.given = data[0] & RAW ? data + 1 : image;
	shelf.given_len = data[0] & RAW ? size - 1 : len;
	shelf.puts = 0;
	bool same = shelf.given_len == shelf.len && memcmp(shelf.given, shelf.image, shelf.len) == 0;
	compile(&shelf);
	if (same && shelf.puts != 0)
		broken("a true image was not taken");
	if (!same && shelf.puts != 1 && !(data[0] & REPAIR))
		broken("a changed image was taken");
	shelf.given = NULL;
	free(image);
	return 0;
}
