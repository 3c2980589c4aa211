/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* A folder of compiled databases, one file a key. What is in them is not trusted: sigs checks each. Main thread. */

#include <sigs/sigs.h>

/* The folder's path, made when missing; the caller frees it. "" (or NULL) is the user's cache folder, "none" is none.
 * NULL: no cache; when the folder could not be made, that is told. */
char *cache_dir_open(const char *configured);
int cache_dir_get(const char *dir, const char *key, struct sigs_blob *blob);
/* Written beside and renamed, so that a reader never sees half a file. 0 or -errno. */
int cache_dir_put(const char *dir, const char *key, const void *data, size_t len);
/* Removes the files used longest ago until the folder is within its limits. */
void cache_dir_prune(const char *dir);
