/* SPDX-License-Identifier: BSD-3-Clause */
/* Input: one byte of encodings (two layers, three bits each), one of step length, then the compressed bytes. */
#include <stdlib.h>

#include <dataplane/slab.h>

/* The decompressor is the library's own: its header is not public. */
#include "../../dataplane/app/decompress.h"

static volatile uint64_t sum;
static uint64_t produced;

static void sink(void *user, const uint8_t *data, size_t len)
{
	(void)user;
	produced += len;
	for (size_t i = 0; i < len; i++)
		sum += data[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct slab *slab;
	static const struct decompress_limits limits = {.output_bytes_max = 2u << 20};
	struct decompressor *d;
	size_t step;

	if (size < 2)
		return 0;
	if (!slab)
		slab = slab_new("fuzz", 64u << 20);
	d = decompressor_new(slab, &limits, sink, NULL);
	if (!d)
		abort(); /* an earlier input leaked */
	produced = 0;
	decompressor_push(d, (enum decompress_encoding)((data[0] & 7) % 5));
	if (data[0] & 0x80)
		decompressor_push(d, (enum decompress_encoding)((data[0] >> 3 & 7) % 5));
	step = (size_t)data[1] + 1;
	for (size_t i = 2; i < size; i += step)
		decompressor_feed(d, data + i, size - i < step ? size - i : step);
	decompressor_finish(d);
	decompressor_free(d);
	if (produced > limits.output_bytes_max || slab_used_bytes(slab) != 0)
		abort();
	return 0;
}
