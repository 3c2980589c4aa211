/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ruleset.h"

/*
 * Compiled databases of a whole rule set in one image. Its name is a digest of everything that goes into compiling: all
 * literals in order, Hyperscan's version and the CPU it compiles for. What comes back is checked before any of it is
 * used; an image that is short, foreign or damaged counts as absent.
 *
 * Image: header, then for each set its length (8 bytes) and its serialized database, each padded to 8 bytes.
 */

struct image_header {
	char magic[8];
	uint32_t version;
	uint32_t count;
	uint64_t len; /* all of it */
	uint64_t sum; /* XXH3 of what follows the header */
	uint8_t key[32];
};

static const char image_magic[8] = {'J', 'S', 'I', 'G', 'h', 's', 'd', 'b'};
/* Raised when the meaning of the image or of the literals' options changes. */
#define IMAGE_VERSION 1
/* Databases are placed at multiples of this in our memory; Hyperscan asks for 8, cache lines are kinder. */
#define DATABASE_ALIGN 64

static void digest_update(void *user, const void *data, size_t len)
{
	EVP_DigestUpdate(user, data, len);
}

static int image_key(const struct sigs_ruleset *rs, uint8_t key[static 32])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned len = 32;
	hs_platform_info_t platform = {0};
	uint32_t version = IMAGE_VERSION;
	if (md == NULL)
		return -ENOMEM;
	hs_populate_platform(&platform);
	EVP_DigestInit_ex(md, EVP_sha256(), NULL);
	EVP_DigestUpdate(md, &version, sizeof(version));
	EVP_DigestUpdate(md, hs_version(), strlen(hs_version()));
	EVP_DigestUpdate(md, &platform.tune, sizeof(platform.tune));
	EVP_DigestUpdate(md, &platform.cpu_features, sizeof(platform.cpu_features));
	EVP_DigestUpdate(md, &rs->all_count, sizeof(rs->all_count));
	for (uint32_t i = 0; i < rs->all_count; i++)
		mpse_hash(rs->all_sets[i], digest_update, md);
	int ok = EVP_DigestFinal_ex(md, key, &len);
	EVP_MD_CTX_free(md);
	return ok ? 0 : -EIO;
}

static void key_text(const uint8_t key[static 32], char text[static 65])
{
	for (int i = 0; i < 32; i++)
		snprintf(text + i * 2, 3, "%02x", key[i]);
}

static size_t padded(size_t len)
{
	return (len + 7) & ~(size_t)7;
}

/* Whether the image is whole and ours. */
static bool image_valid(const struct sigs_ruleset *rs, const struct sigs_blob *blob, const uint8_t key[static 32])
{
	struct image_header header;
	if (blob->len < sizeof(header))
		return false;
	memcpy(&header, blob->data, sizeof(header));
	return memcmp(header.magic, image_magic, sizeof(image_magic)) == 0 && header.version == IMAGE_VERSION &&
	       header.count == rs->all_count && header.len == blob->len && memcmp(header.key, key, 32) == 0 &&
	       header.sum == XXH3_64bits((const uint8_t *)blob->data + sizeof(header), blob->len - sizeof(header));
}

struct piece {
	const char *data;
	size_t len, size; /* serialized, and as a database */
};

static int image_pieces(const struct sigs_ruleset *rs, const struct sigs_blob *blob, struct piece *pieces,
			size_t *total)
{
	struct cursor c = cursor_of((const uint8_t *)blob->data + sizeof(struct image_header),
				    blob->len - sizeof(struct image_header));
	*total = 0;
	for (uint32_t i = 0; i < rs->all_count; i++) {
		uint64_t len = 0;
		const uint8_t *head = cursor_take(&c, sizeof(len));
		if (head)
			memcpy(&len, head, sizeof(len));
		if (c.failed || len > cursor_left(&c))
			return -EINVAL;
		pieces[i].data = (const char *)cursor_take(&c, padded(len));
		pieces[i].len = len;
		if (c.failed || hs_serialized_database_size(pieces[i].data, len, &pieces[i].size) != HS_SUCCESS)
			return -EINVAL;
		*total += (pieces[i].size + DATABASE_ALIGN - 1) & ~(size_t)(DATABASE_ALIGN - 1);
	}
	return 0;
}

static int image_load(struct sigs_ruleset *rs, const struct sigs_blob *blob)
{
	struct piece *pieces = calloc(rs->all_count + 1, sizeof(*pieces));
	size_t total = 0, at = 0;
	int error = pieces ? image_pieces(rs, blob, pieces, &total) : -ENOMEM;
	if (error)
		goto out;
	void *image = NULL;
	if (posix_memalign(&image, DATABASE_ALIGN, total ? total : DATABASE_ALIGN) != 0) {
		error = -ENOMEM;
		goto out;
	}
	for (uint32_t i = 0; i < rs->all_count; i++) {
		hs_database_t *db = (hs_database_t *)((uint8_t *)image + at);
		if (hs_deserialize_database_at(pieces[i].data, pieces[i].len, db) != HS_SUCCESS) {
			error = -EINVAL;
			break;
		}
		rs->all_sets[i]->db = db;
		rs->all_sets[i]->db_borrowed = true;
		at += (pieces[i].size + DATABASE_ALIGN - 1) & ~(size_t)(DATABASE_ALIGN - 1);
	}
	if (error) {
		for (uint32_t i = 0; i < rs->all_count; i++) {
			rs->all_sets[i]->db = NULL;
			rs->all_sets[i]->db_borrowed = false;
		}
		free(image);
	} else {
		rs->image = image;
	}
out:
	free(pieces);
	return error;
}

static int image_append(uint8_t **image, size_t *len, const char *data, size_t data_len)
{
	uint64_t n = data_len;
	uint8_t *bigger = realloc(*image, *len + sizeof(n) + padded(data_len));
	if (bigger == NULL)
		return -ENOMEM;
	*image = bigger;
	memcpy(bigger + *len, &n, sizeof(n));
	memcpy(bigger + *len + sizeof(n), data, data_len);
	memset(bigger + *len + sizeof(n) + data_len, 0, padded(data_len) - data_len);
	*len += sizeof(n) + padded(data_len);
	return 0;
}

/* A cache that cannot be written costs time at the next start, nothing else. */
static void image_store(struct sigs_ruleset *rs, const uint8_t key[static 32], const char *name)
{
	const struct sigs_env *env = &rs->parsed.env;
	struct image_header header = {.version = IMAGE_VERSION, .count = rs->all_count};
	size_t len = sizeof(header);
	uint8_t *image = malloc(len);
	int error = image ? 0 : -ENOMEM;
	for (uint32_t i = 0; i < rs->all_count && !error; i++) {
		char *data = NULL;
		size_t data_len = 0;
		if (hs_serialize_database(rs->all_sets[i]->db, &data, &data_len) != HS_SUCCESS) {
			error = -EIO;
			break;
		}
		error = image_append(&image, &len, data, data_len);
		free(data);
	}
	if (!error) {
		memcpy(header.magic, image_magic, sizeof(header.magic));
		memcpy(header.key, key, 32);
		header.len = len;
		header.sum = XXH3_64bits(image + sizeof(header), len - sizeof(header));
		memcpy(image, &header, sizeof(header));
		env->cache_put(env->user, name, image, len);
	}
	free(image);
}

static int compile_all(struct sigs_ruleset *rs)
{
	const struct sigs_env *env = &rs->parsed.env;
	for (uint32_t i = 0; i < rs->all_count; i++) {
		int error = mpse_compile(rs->all_sets[i]);
		if (error)
			return error;
		if (env->progress)
			env->progress(env->user, "compiling patterns", i + 1, rs->all_count);
	}
	return 0;
}

int ruleset_databases(struct sigs_ruleset *rs)
{
	const struct sigs_env *env = &rs->parsed.env;
	uint8_t key[32];
	char name[65];
	struct sigs_blob blob = {0};
	bool cached = false;
	if (env->cache_get == NULL && env->cache_put == NULL)
		return compile_all(rs);
	int error = image_key(rs, key);
	if (error)
		return error;
	key_text(key, name);
	if (env->cache_get && env->cache_get(env->user, name, &blob) == 0) {
		cached = image_valid(rs, &blob, key) && image_load(rs, &blob) == 0;
		free(blob.data);
	}
	if (cached)
		return 0;
	error = compile_all(rs);
	if (!error && env->cache_put)
		image_store(rs, key, name);
	return error;
}
