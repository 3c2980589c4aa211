/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <sigs/sigs.h>

/* Larger files are refused: no rule file or reputation list comes near. */
#define FILE_BYTES_MAX (1ull << 30)

/* Reads a regular file whole; the caller frees blob->data, which ends with a zero byte that `len` does not count.
 * 0 or -errno. Any thread. */
int file_read(const char *path, struct sigs_blob *blob);
