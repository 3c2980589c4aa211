/* SPDX-License-Identifier: BSD-3-Clause */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int file_read(const char *path, struct sigs_blob *blob)
{
	struct stat st;
	int rc = 0, fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*blob = (struct sigs_blob){0};
	if (fstat(fd, &st) != 0)
		rc = -errno;
	else if (S_ISDIR(st.st_mode))
		rc = -EISDIR;
	else if ((uint64_t)st.st_size > FILE_BYTES_MAX)
		rc = -EFBIG;
	if (rc != 0)
		goto out;
	/* what is no regular file (a pipe) tells no size: read until it ends */
	size_t cap = S_ISREG(st.st_mode) ? (size_t)st.st_size + 1 : 1 << 16;
	char *data = malloc(cap);
	for (;;) {
		if (!data) {
			rc = -ENOMEM;
			break;
		}
		ssize_t n = read(fd, data + blob->len, cap - 1 - blob->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			rc = -errno;
		if (n <= 0)
			break;
		blob->len += (size_t)n;
		if (blob->len + 1 < cap || S_ISREG(st.st_mode))
			continue;
		if (cap > FILE_BYTES_MAX) {
			rc = -EFBIG;
			break;
		}
		char *grown = realloc(data, cap *= 2);
		if (!grown)
			free(data);
		data = grown;
	}
	if (rc == 0) {
		data[blob->len] = '\0';
		blob->data = data;
	} else {
		free(data);
	}
out:
	close(fd);
	return rc;
}
