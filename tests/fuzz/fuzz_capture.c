/* SPDX-License-Identifier: BSD-3-Clause */
/* A capture file. Holds: records lie in memory, are numbered from 1, and reading ends. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../dataplane/io/capture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* More cannot stand in what a fuzzer makes: 16 bytes is the least that a record takes, but gzip may repeat them. */
#define RECORDS_MAX (1u << 20)

static void broken(const char *what)
{
	fprintf(stderr, "fuzz_capture: %s\n", what);
	abort();
}

static void read_all(struct capture *capture)
{
	char error[256];
	uint64_t number = 0;
	for (;;) {
		struct capture_record r;
		int rc = capture_next(capture, &r, error, sizeof(error));
		if (rc < 0)
			return;
		if (rc == 0) {
			capture_rewind(capture);
			continue;
		}
		if (r.number != ++number)
			broken("a record has another's number");
		if (r.len > CAPTURE_RECORD_MAX)
			broken("a record is longer than any can be");
		for (uint32_t i = 0; i < r.len; i += 512)
			r.data[i] ^= 1; /* a sanitizer looks */
		if (number > RECORDS_MAX)
			return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64], error[256];
	bool damaged;
	int fd = memfd_create("capture", MFD_CLOEXEC);
	if (fd < 0)
		return 0;
	if (write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	struct capture *capture = capture_open(path, error, sizeof(error), &damaged);
	if (capture) {
		read_all(capture);
		capture_close(capture);
	}
	close(fd);
	return 0;
}
