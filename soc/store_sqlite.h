/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What the parts of the SQLite store share; of no one else's concern. */

#include <pthread.h>
#include <sqlite3.h>

#include "store.h"

#define SQLITE_STORE_READERS 8

enum writer_statement {
	W_STREAM_PUT,
	W_QUARANTINE_PUT,
	W_COUNTER_ADD,
	W_DOCUMENT_PUT,
	W_DOCUMENT_REMOVE,
	W_SEGMENT_PUT,
	/* of the segment that is written to: made anew for each */
	W_CHUNK_PUT,
	W_ROW_PUT,
	W_SPAN_PUT,
	W_STATEMENTS
};

/* Records are kept in segments, tables of their own: indexes stay small enough to be written in memory, and the oldest records go by
 * dropping tables. */
struct segment {
	int64_t number; /* from 1; 0: none yet */
	uint64_t first_id, last_id, rows, bytes;
	int64_t oldest, newest;
};

/* The rows of one chunk: where a span of time is found without an index over all rows. */
struct span {
	uint64_t chunk, first_id, last_id;
	int64_t oldest, newest;
};

struct sqlite_store {
	struct store store;
	char *path;
	bool read_only;
	uint64_t segment_rows;
	sqlite3 *writer;
	sqlite3_stmt *statements[W_STATEMENTS];
	struct segment segment;
	struct span span;
	uint64_t chunk;	      /* the last one's id */
	pthread_mutex_t lock; /* of the readers */
	pthread_cond_t freed;
	sqlite3 *readers[SQLITE_STORE_READERS]; /* that nobody uses */
	unsigned reader_count, readers_idle;
};

/* Notes what the connection says and turns it into -errno. */
int sqlite_store_fail(sqlite3 *db, int rc);
/* Runs SQL without parameters. */
int sqlite_store_run(sqlite3 *db, const char *sql);
/* A connection for one reader, within a read transaction; NULL with errno. Given back by release. */
sqlite3 *sqlite_store_reader(struct sqlite_store *store);
void sqlite_store_release(struct sqlite_store *store, sqlite3 *db);
int sqlite_store_prepare(sqlite3 *db, sqlite3_stmt **statement, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Runs to its end and resets it. */
int sqlite_store_step(sqlite3 *db, sqlite3_stmt *statement);

/* store_sqlite_records.c */
int sqlite_records_load(struct sqlite_store *store);
/* What commit must write beside: the segment's and the last span's figures. */
int sqlite_records_flush(struct sqlite_store *store);
int sqlite_chunk_put(struct store *store, const void *packed, size_t len, size_t unpacked, uint64_t *id);
int sqlite_row_put(struct store *store, const struct store_row *row);
int sqlite_retain(struct store *store, int64_t before, uint64_t bytes_max, uint64_t *dropped);
int sqlite_last_row(struct store *store, uint64_t *id);
int sqlite_rows(struct store *store, const struct store_query *query,
		int (*each)(void *context, const struct store_row *row), void *context, uint64_t *reached);
char *sqlite_line(struct store *store, const struct store_row *row, size_t *len);
int sqlite_size(struct store *store, struct store_size *size);

/* store_sqlite_documents.c */
int sqlite_document_put(struct store *store, const struct document *document);
int sqlite_document_remove(struct store *store, enum document_kind kind, uint64_t id);
int sqlite_last_document(struct store *store, enum document_kind kind, uint64_t *id);
int sqlite_documents(struct store *store, const struct document_query *query,
		     int (*each)(void *context, const struct document *document), void *context);
int sqlite_document(struct store *store, enum document_kind kind, uint64_t id, const char *key,
		    int (*each)(void *context, const struct document *document), void *context);
