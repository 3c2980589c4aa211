/* SPDX-License-Identifier: BSD-3-Clause */
/* A batch as a device sends it: the first byte says how it is cut. */
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

#include "batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was taken adds up, and each record's line is where it says. */
static void check(const struct batch *batch)
{
	if (batch->record_count + batch->reject_count != batch->count)
		abort();
	for (uint32_t i = 0; i < batch->record_count; i++)
		if (batch->records[i].chunk >= batch->chunk_count || batch->records[i].sequence < batch->first ||
		    batch->records[i].sequence >= batch->first + batch->count)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct batch_reader *reader = batch_reader_new(1);
	size_t piece = size ? data[0] + 1u : 1;
	int rc = 0;
	for (size_t at = 1; at < size && rc == 0; at += piece)
		rc = batch_feed(reader, data + at, size - at < piece ? size - at : piece);
	struct batch *batch = rc == 0 ? batch_end(reader) : NULL;
	if (batch)
		check(batch);
	else if (!batch_error(reader)[0])
		abort();
	batch_free(batch);
	batch_reader_free(reader);
	return 0;
}
