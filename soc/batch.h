/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A batch of lines from one sender's stream (docs/soc.md, "Batches"): read as it comes, line by line, into records, compressed
 * chunks and what goes to quarantine. Knows neither the network nor the store. One thread at a time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record.h"
#include "store.h"

#define BATCH_RECORDS_MAX 10000
#define BATCH_LINE_MAX	  (1u << 20)
#define BATCH_BYTES_MAX	  (8u << 20) /* unpacked */
/* Lines are packed in pieces of this size: to read one line, one piece is unpacked. */
#define BATCH_CHUNK_BYTES (256u << 10)
#define BATCH_REASON_MAX  160
#define BATCH_NAME_MAX	  128

struct batch_record {
	struct record record;
	uint64_t sequence;
	uint32_t chunk, position; /* where its line is */
};

struct batch_chunk {
	unsigned char *packed;
	size_t len, unpacked;
};

/* A line that is no record. */
struct batch_reject {
	uint64_t sequence;
	char *line;
	size_t len;
	char reason[RECORD_REASON_MAX];
};

struct batch {
	char stream[STORE_STREAM_MAX];
	char name[BATCH_NAME_MAX]; /* of the file, for people */
	bool log;		   /* lines of another vendor's device, not EVE */
	uint64_t first, lost;
	uint32_t count;
	struct batch_record *records;
	uint32_t record_count;
	struct batch_chunk *chunks;
	uint32_t chunk_count;
	struct batch_reject *rejects;
	uint32_t reject_count;
};

struct batch_reader;

/* `now`: what a line without a time of its own gets, in microseconds. NULL when memory is short. */
struct batch_reader *batch_reader_new(int64_t now);
/* The next bytes. 0; -EINVAL (the batch as a whole is unreadable), -E2BIG (a limit above), -ENOMEM: see batch_error, and feed no more. */
int batch_feed(struct batch_reader *reader, const void *data, size_t len);
/* All has come. The batch is the caller's, who frees it by batch_free; NULL with errno as above. */
struct batch *batch_end(struct batch_reader *reader);
const char *batch_error(const struct batch_reader *reader);
void batch_reader_free(struct batch_reader *reader);
void batch_free(struct batch *batch);
