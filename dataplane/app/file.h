/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Files that transactions carry: opened, fed and closed by the protocols; hashed when the configuration asks. */

#include <dataplane/app.h>

/* The longest name kept. */
#define APP_FILE_NAME_MAX 2048
/* Files hashed at the same time; one more goes unhashed. */
#define APP_DIGESTS_MAX 256

/* How a file is stored; `file` is what others see. */
struct app_file_store {
	struct app_file file;
	size_t alloc;
	struct slab_buf window; /* the bytes still kept, where the protocol has no other window for them */
	uint64_t window_offset;
};

/* A new file at the end of tx->files, its name copied (and cut); NULL when memory is refused. */
struct app_file *app_file_open(struct app_session *session, struct app_tx *tx, uint32_t id, enum direction dir,
			       struct bytes name);
/* Counts and hashes the next bytes; keeps none of them. */
void app_file_data(struct app_session *session, struct app_file *file, const uint8_t *data, size_t len);
/* The same, and keeps them in the file's own window (its last APP_BODY_WINDOW bytes). */
void app_file_data_keep(struct app_session *session, struct app_file *file, const uint8_t *data, size_t len);
/* Ends an open file; a closed one stays as it is. */
void app_file_close(struct app_session *session, struct app_file *file, enum app_file_state state);
void app_files_free(struct app_session *session, struct app_tx *tx);

/* Appends to a window that keeps the last APP_BODY_WINDOW bytes; *offset is the position of its first byte. False when
 * memory is refused: the window then starts anew behind the lost bytes. */
bool app_window_append(struct slab *slab, struct slab_buf *window, uint64_t *offset, const uint8_t *data, size_t len);

/* The engine's hash contexts, made once so that no file needs the heap. */
struct app_digests;
struct app_digests *app_digests_new(unsigned count);
void app_digests_free(struct app_digests *digests); /* NULL is allowed */
struct app_digests *app_digests(struct app_session *session);
