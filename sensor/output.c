/* SPDX-License-Identifier: BSD-3-Clause */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One write call for some hundred records; the last ones reach the file at the latest when it is closed. */
#define OUTPUT_BUFFER_BYTES (256u << 10)

struct output {
	int fd;
	int error; /* the first, -errno */
	size_t len;
	char buf[OUTPUT_BUFFER_BYTES];
};

struct output *output_open(const char *path)
{
	struct output *output = malloc(sizeof(*output));
	if (!output)
		return NULL;
	output->error = 0;
	output->len = 0;
	output->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_TRUNC, 0640);
	if (output->fd < 0) {
		int saved = errno;
		free(output);
		errno = saved;
		return NULL;
	}
	return output;
}

static void write_all(struct output *output, const char *data, size_t len)
{
	while (len > 0 && output->error == 0) {
		ssize_t n = write(output->fd, data, len);
		if (n < 0) {
			if (errno != EINTR)
				output->error = -errno;
			continue;
		}
		data += n;
		len -= (size_t)n;
	}
}

static void flush(struct output *output)
{
	write_all(output, output->buf, output->len);
	output->len = 0;
}

void output_write(struct output *output, const void *data, size_t len)
{
	if (len > sizeof(output->buf) - output->len)
		flush(output);
	if (len > sizeof(output->buf)) {
		write_all(output, data, len);
		return;
	}
	memcpy(output->buf + output->len, data, len);
	output->len += len;
}

int output_close(struct output *output)
{
	if (!output)
		return 0;
	flush(output);
	if (close(output->fd) != 0 && output->error == 0)
		output->error = -errno;
	int error = output->error;
	free(output);
	return error;
}
