/* SPDX-License-Identifier: BSD-3-Clause */
#include "app/file.h"

#include <openssl/evp.h>
#include <stdlib.h>

/* --- hash contexts --------------------------------------------------------------------------------------------------- */

enum { MD5, SHA1, SHA256, HASHES };

struct digest {
	EVP_MD_CTX *hash[HASHES];
	struct digest *next;
};

struct app_digests {
	struct digest *free;
	unsigned count;
	struct digest all[];
};

static bool digest_prepare(struct digest *digest)
{
	const EVP_MD *type[HASHES] = {EVP_md5(), EVP_sha1(), EVP_sha256()};

	for (int i = 0; i < HASHES; i++) {
		digest->hash[i] = EVP_MD_CTX_new();
		if (!digest->hash[i] || !EVP_DigestInit_ex2(digest->hash[i], type[i], NULL))
			return false;
	}
	return true;
}

struct app_digests *app_digests_new(unsigned count)
{
	struct app_digests *digests = calloc(1, sizeof(*digests) + count * sizeof(digests->all[0]));

	if (!digests)
		return NULL;
	digests->count = count;
	for (unsigned i = 0; i < count; i++) {
		if (!digest_prepare(&digests->all[i])) {
			app_digests_free(digests);
			return NULL;
		}
		digests->all[i].next = digests->free;
		digests->free = &digests->all[i];
	}
	return digests;
}

void app_digests_free(struct app_digests *digests)
{
	if (!digests)
		return;
	for (unsigned i = 0; i < digests->count; i++)
		for (int h = 0; h < HASHES; h++)
			EVP_MD_CTX_free(digests->all[i].hash[h]);
	free(digests);
}

static struct digest *digest_take(struct app_digests *digests)
{
	struct digest *digest = digests ? digests->free : NULL;

	if (!digest)
		return NULL;
	digests->free = digest->next;
	/* The type is kept, so that nothing is allocated. */
	for (int i = 0; i < HASHES; i++)
		EVP_DigestInit_ex2(digest->hash[i], NULL, NULL);
	return digest;
}

static void digest_return(struct app_digests *digests, struct digest *digest)
{
	digest->next = digests->free;
	digests->free = digest;
}

/* --- files ----------------------------------------------------------------------------------------------------------- */

struct app_file *app_file_open(struct app_session *session, struct app_tx *tx, uint32_t id, enum direction dir,
			       struct bytes name)
{
	size_t name_len = name.len > APP_FILE_NAME_MAX ? APP_FILE_NAME_MAX : name.len;
	size_t alloc = sizeof(struct app_file_store) + name_len;
	struct app_file_store *store = slab_zalloc(app_slab(session), alloc);
	struct app_file **last = &tx->files;

	if (!store)
		return NULL;
	store->alloc = alloc;
	if (name_len)
		memcpy(store + 1, name.data, name_len);
	store->file = (struct app_file){
		.name = {.data = (const uint8_t *)(store + 1), .len = name_len},
		.id = id,
		.dir = dir,
		.state = APP_FILE_OPEN,
		.digest = app_config_of(session)->file_hashes ? digest_take(app_digests(session)) : NULL,
	};
	while (*last)
		last = &(*last)->next;
	*last = &store->file;
	return &store->file;
}

void app_file_data(struct app_session *session, struct app_file *file, const uint8_t *data, size_t len)
{
	struct digest *digest = file->digest;

	(void)session;
	if (file->state != APP_FILE_OPEN)
		return;
	file->size += len;
	if (digest)
		for (int i = 0; i < HASHES; i++)
			EVP_DigestUpdate(digest->hash[i], data, len);
}

bool app_window_append(struct slab *slab, struct slab_buf *window, uint64_t *offset, const uint8_t *data, size_t len)
{
	if (len > APP_BODY_WINDOW) {
		*offset += window->len + (len - APP_BODY_WINDOW);
		window->len = 0;
		data += len - APP_BODY_WINDOW;
		len = APP_BODY_WINDOW;
	} else if (window->len + len > APP_BODY_WINDOW) {
		/* half at a time, so that the rest is seldom moved */
		size_t drop = window->len + len - APP_BODY_WINDOW;
		if (drop < window->len / 2)
			drop = window->len / 2;
		slab_buf_shift(window, drop);
		*offset += drop;
	}
	if (slab_buf_append(slab, window, data, len))
		return true;
	*offset += window->len + len;
	window->len = 0;
	return false;
}

void app_file_data_keep(struct app_session *session, struct app_file *file, const uint8_t *data, size_t len)
{
	struct app_file_store *store = (struct app_file_store *)file;

	if (file->state != APP_FILE_OPEN)
		return;
	app_file_data(session, file, data, len);
	if (!app_window_append(app_slab(session), &store->window, &store->window_offset, data, len))
		file->gaps = true;
}

void app_file_close(struct app_session *session, struct app_file *file, enum app_file_state state)
{
	struct digest *digest = file->digest;

	if (file->state != APP_FILE_OPEN)
		return;
	file->state = state;
	if (!digest)
		return;
	if (state == APP_FILE_CLOSED && !file->gaps) {
		EVP_DigestFinal_ex(digest->hash[MD5], file->md5, NULL);
		EVP_DigestFinal_ex(digest->hash[SHA1], file->sha1, NULL);
		EVP_DigestFinal_ex(digest->hash[SHA256], file->sha256, NULL);
		file->hashed = true;
	}
	digest_return(app_digests(session), digest);
	file->digest = NULL;
}

void app_files_free(struct app_session *session, struct app_tx *tx)
{
	while (tx->files) {
		struct app_file_store *store = (struct app_file_store *)tx->files;
		tx->files = store->file.next;
		app_file_close(session, &store->file, APP_FILE_TRUNCATED);
		slab_buf_free(app_slab(session), &store->window);
		slab_free(app_slab(session), store, store->alloc);
	}
}
