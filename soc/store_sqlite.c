/* SPDX-License-Identifier: BSD-3-Clause */
#include "store_sqlite.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Changed with every change of the schema. */
#define SCHEMA_VERSION 1
/* Between two looks at the lock of somebody who takes a backup or a checkpoint. */
#define BUSY_MS		 10000
#define READER_CACHE_KIB 8192
#define CACHE_BYTES	 (64ull << 20)
#define SEGMENT_ROWS	 1000000
/* Pages in the log before they go to their places: about 64 MiB. */
#define CHECKPOINT_PAGES "16384"

static _Thread_local char last_error[STORE_ERROR_MAX];

static const char schema[] =
	"CREATE TABLE stream(device INTEGER, stream TEXT, next INTEGER, lost INTEGER, PRIMARY KEY(device, stream)) "
	"WITHOUT ROWID;"
	"CREATE TABLE quarantine(id INTEGER PRIMARY KEY, device INTEGER, stream TEXT, sequence INTEGER, reason TEXT, "
	"line BLOB,"
	" time INTEGER);"
	"CREATE INDEX quarantine_device ON quarantine(device);"
	"CREATE TABLE counter(customer INTEGER, hour INTEGER, device INTEGER, type INTEGER, severity INTEGER, verdict "
	"INTEGER,"
	" n INTEGER, PRIMARY KEY(customer, hour, device, type, severity, verdict)) WITHOUT ROWID;"
	"CREATE TABLE document(kind INTEGER, id INTEGER, customer INTEGER, parent INTEGER, state INTEGER, rank INTEGER,"
	" time INTEGER, key TEXT, body BLOB, PRIMARY KEY(kind, id)) WITHOUT ROWID;"
	"CREATE INDEX document_customer ON document(kind, customer, id);"
	"CREATE INDEX document_parent ON document(kind, parent, id) WHERE parent <> 0;"
	"CREATE INDEX document_state ON document(kind, state, id);"
	"CREATE UNIQUE INDEX document_key ON document(kind, key) WHERE key IS NOT NULL;"
	"CREATE TABLE segment(number INTEGER PRIMARY KEY, first_id INTEGER, last_id INTEGER, rows INTEGER, bytes "
	"INTEGER,"
	" oldest INTEGER, newest INTEGER);";

static const char *const fixed_statements[] = {
	[W_STREAM_PUT] =
		"INSERT INTO stream VALUES(?,?,?,?) ON CONFLICT DO UPDATE SET next=excluded.next, lost=excluded.lost",
	[W_QUARANTINE_PUT] = "INSERT INTO quarantine(device,stream,sequence,reason,line,time) VALUES(?,?,?,?,?,?)",
	[W_COUNTER_ADD] = "INSERT INTO counter VALUES(?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET n=n+excluded.n",
	[W_DOCUMENT_PUT] =
		"INSERT INTO document VALUES(?,?,?,?,?,?,?,?,?) ON CONFLICT(kind,id) DO UPDATE SET "
		"customer=excluded.customer, parent=excluded.parent, state=excluded.state, rank=excluded.rank, "
		"time=excluded.time, key=excluded.key, body=excluded.body",
	[W_DOCUMENT_REMOVE] = "DELETE FROM document WHERE kind=? AND id=?",
	[W_SEGMENT_PUT] = "INSERT OR REPLACE INTO segment VALUES(?,?,?,?,?,?,?)",
};

int sqlite_store_fail(sqlite3 *db, int rc)
{
	snprintf(last_error, sizeof(last_error), "%s", db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
	case SQLITE_ROW:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_CONSTRAINT:
		return -EEXIST;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	default:
		return -EIO;
	}
}

static const char *error_of(struct store *store)
{
	(void)store;
	return last_error;
}

int sqlite_store_run(sqlite3 *db, const char *sql)
{
	return sqlite_store_fail(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

int sqlite_store_prepare(sqlite3 *db, sqlite3_stmt **statement, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *sql = sqlite3_vmprintf(format, args);
	va_end(args);
	*statement = NULL;
	if (!sql)
		return -ENOMEM;
	int rc = sqlite_store_fail(db, sqlite3_prepare_v2(db, sql, -1, statement, NULL));
	sqlite3_free(sql);
	return rc;
}

int sqlite_store_step(sqlite3 *db, sqlite3_stmt *statement)
{
	int rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW)
		rc = SQLITE_DONE;
	rc = sqlite_store_fail(db, rc);
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return rc;
}

/* --- connections ------------------------------------------------------------------------------------------------------- */

static int open_connection(const struct sqlite_store *store, bool writer, uint64_t cache_bytes, sqlite3 **db)
{
	char pragma[128];
	int flags = SQLITE_OPEN_NOMUTEX | (store->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
	if (writer && !store->read_only)
		flags |= SQLITE_OPEN_CREATE;
	int rc = sqlite3_open_v2(store->path, db, flags, NULL);
	if (rc != SQLITE_OK) {
		rc = sqlite_store_fail(*db, rc);
		sqlite3_close(*db);
		*db = NULL;
		return rc;
	}
	sqlite3_busy_timeout(*db, BUSY_MS);
	sqlite3_extended_result_codes(*db, 1);
	snprintf(pragma, sizeof(pragma), "PRAGMA cache_size=-%llu", (unsigned long long)(cache_bytes / 1024));
	rc = sqlite_store_run(*db, pragma);
	if (rc == 0 && writer && !store->read_only)
		/* before the first table; FULL: what commit says is durable, in the log too */
		rc = sqlite_store_run(
			*db, "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
			     "PRAGMA wal_autocheckpoint=" CHECKPOINT_PAGES "; PRAGMA journal_size_limit=268435456");
	return rc;
}

sqlite3 *sqlite_store_reader(struct sqlite_store *store)
{
	sqlite3 *db = NULL;
	int rc = 0;
	pthread_mutex_lock(&store->lock);
	while (store->readers_idle == 0 && store->reader_count == SQLITE_STORE_READERS)
		pthread_cond_wait(&store->freed, &store->lock);
	if (store->readers_idle > 0)
		db = store->readers[--store->readers_idle];
	else
		store->reader_count++;
	pthread_mutex_unlock(&store->lock);
	if (!db)
		rc = open_connection(store, false, READER_CACHE_KIB * 1024, &db);
	if (rc == 0)
		rc = sqlite_store_run(db, "BEGIN");
	if (rc == 0)
		return db;
	sqlite3_close(db);
	pthread_mutex_lock(&store->lock);
	store->reader_count--;
	pthread_cond_signal(&store->freed);
	pthread_mutex_unlock(&store->lock);
	errno = -rc;
	return NULL;
}

void sqlite_store_release(struct sqlite_store *store, sqlite3 *db)
{
	/* Nothing was written: there is nothing that could fail to be undone. */
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	pthread_mutex_lock(&store->lock);
	store->readers[store->readers_idle++] = db;
	pthread_cond_signal(&store->freed);
	pthread_mutex_unlock(&store->lock);
}

/* --- the writer -------------------------------------------------------------------------------------------------------- */

static struct sqlite_store *of(struct store *store)
{
	return (struct sqlite_store *)store;
}

static int begin(struct store *base)
{
	return sqlite_store_run(of(base)->writer, "BEGIN IMMEDIATE");
}

static void rollback(struct store *base)
{
	struct sqlite_store *store = of(base);
	char words[STORE_ERROR_MAX];
	/* the words of what went wrong, not of the way back */
	snprintf(words, sizeof(words), "%s", last_error);
	sqlite3_exec(store->writer, "ROLLBACK", NULL, NULL, NULL);
	sqlite_records_load(store);
	snprintf(last_error, sizeof(last_error), "%s", words);
}

static int commit(struct store *base)
{
	struct sqlite_store *store = of(base);
	int rc = sqlite_records_flush(store);
	if (rc == 0)
		rc = sqlite_store_run(store->writer, "COMMIT");
	if (rc != 0)
		rollback(base);
	return rc;
}

static int stream_put(struct store *base, uint32_t device, const char *stream, const struct store_stream *state)
{
	struct sqlite_store *store = of(base);
	sqlite3_stmt *s = store->statements[W_STREAM_PUT];
	sqlite3_bind_int64(s, 1, device);
	sqlite3_bind_text(s, 2, stream, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 3, (sqlite3_int64)state->next);
	sqlite3_bind_int64(s, 4, (sqlite3_int64)state->lost);
	return sqlite_store_step(store->writer, s);
}

static int stream_get(struct store *base, uint32_t device, const char *stream, struct store_stream *state)
{
	struct sqlite_store *store = of(base);
	sqlite3_stmt *s;
	*state = (struct store_stream){.next = 1};
	sqlite3 *db = sqlite_store_reader(store);
	if (!db)
		return -errno;
	int rc = sqlite_store_prepare(db, &s, "SELECT next, lost FROM stream WHERE device=%u AND stream=?", device);
	if (rc == 0) {
		sqlite3_bind_text(s, 1, stream, -1, SQLITE_STATIC);
		int got = sqlite3_step(s);
		if (got == SQLITE_ROW) {
			state->next = (uint64_t)sqlite3_column_int64(s, 0);
			state->lost = (uint64_t)sqlite3_column_int64(s, 1);
		}
		rc = sqlite_store_fail(db, got);
	}
	sqlite3_finalize(s);
	sqlite_store_release(store, db);
	return rc;
}

static int quarantine_put(struct store *base, uint32_t device, const char *stream, uint64_t sequence,
			  const char *reason, const char *line, size_t len, int64_t time)
{
	struct sqlite_store *store = of(base);
	sqlite3_stmt *s = store->statements[W_QUARANTINE_PUT];
	sqlite3_bind_int64(s, 1, device);
	sqlite3_bind_text(s, 2, stream, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 3, (sqlite3_int64)sequence);
	sqlite3_bind_text(s, 4, reason, -1, SQLITE_STATIC);
	sqlite3_bind_blob64(s, 5, line, len, SQLITE_STATIC);
	sqlite3_bind_int64(s, 6, time);
	return sqlite_store_step(store->writer, s);
}

static int quarantined(struct store *base, uint32_t device, unsigned limit,
		       int (*each)(void *, uint64_t, const char *, const char *, int64_t), void *context)
{
	struct sqlite_store *store = of(base);
	sqlite3_stmt *s;
	int got = SQLITE_DONE, stop = 0;
	sqlite3 *db = sqlite_store_reader(store);
	if (!db)
		return -errno;
	int rc = sqlite_store_prepare(
		db, &s,
		"SELECT sequence, reason, CAST(line AS TEXT), time FROM quarantine WHERE device=%u "
		"ORDER BY id DESC LIMIT %u",
		device, limit);
	while (rc == 0 && stop == 0 && (got = sqlite3_step(s)) == SQLITE_ROW)
		stop = each(context, (uint64_t)sqlite3_column_int64(s, 0), (const char *)sqlite3_column_text(s, 1),
			    (const char *)sqlite3_column_text(s, 2), sqlite3_column_int64(s, 3));
	if (rc == 0)
		rc = stop ? stop : sqlite_store_fail(db, got);
	sqlite3_finalize(s);
	sqlite_store_release(store, db);
	return rc;
}

static int counter_add(struct store *base, const struct store_counter *counter)
{
	struct sqlite_store *store = of(base);
	sqlite3_stmt *s = store->statements[W_COUNTER_ADD];
	sqlite3_bind_int64(s, 1, counter->customer);
	sqlite3_bind_int64(s, 2, counter->hour);
	sqlite3_bind_int64(s, 3, counter->device);
	sqlite3_bind_int(s, 4, (int)counter->type);
	sqlite3_bind_int(s, 5, (int)counter->severity);
	sqlite3_bind_int(s, 6, (int)counter->verdict);
	sqlite3_bind_int64(s, 7, (sqlite3_int64)counter->count);
	return sqlite_store_step(store->writer, s);
}

static int counters(struct store *base, uint32_t customer, int64_t from, int64_t until,
		    int (*each)(void *, const struct store_counter *), void *context)
{
	struct sqlite_store *store = of(base);
	sqlite3_stmt *s;
	int got = SQLITE_DONE, stop = 0;
	sqlite3 *db = sqlite_store_reader(store);
	if (!db)
		return -errno;
	int rc = sqlite_store_prepare(db, &s,
				      "SELECT customer, hour, device, type, severity, verdict, n FROM counter WHERE "
				      "(customer=%u OR %u=0) AND hour>=%lld AND hour<%lld ORDER BY hour",
				      customer, customer, (long long)from, (long long)until);
	while (rc == 0 && stop == 0 && (got = sqlite3_step(s)) == SQLITE_ROW) {
		struct store_counter c = {
			.customer = (uint32_t)sqlite3_column_int64(s, 0),
			.hour = sqlite3_column_int64(s, 1),
			.device = (uint32_t)sqlite3_column_int64(s, 2),
			.type = (enum record_type)sqlite3_column_int(s, 3),
			.severity = (enum severity)sqlite3_column_int(s, 4),
			.verdict = (enum verdict)sqlite3_column_int(s, 5),
			.count = (uint64_t)sqlite3_column_int64(s, 6),
		};
		stop = each(context, &c);
	}
	if (rc == 0)
		rc = stop ? stop : sqlite_store_fail(db, got);
	sqlite3_finalize(s);
	sqlite_store_release(store, db);
	return rc;
}

/* Into a new file only: nobody's backup is overwritten. */
static int backup(struct store *base, const char *path)
{
	struct sqlite_store *store = of(base);
	sqlite3 *db = NULL;
	sqlite3_stmt *s = NULL;
	if (access(path, F_OK) == 0) {
		snprintf(last_error, sizeof(last_error), "%.200s is there already", path);
		return -EEXIST;
	}
	int rc = open_connection(store, false, READER_CACHE_KIB * 1024, &db);
	if (rc == 0)
		rc = sqlite_store_prepare(db, &s, "VACUUM INTO ?");
	if (rc == 0) {
		sqlite3_bind_text(s, 1, path, -1, SQLITE_STATIC);
		rc = sqlite_store_step(db, s);
	}
	sqlite3_finalize(s);
	sqlite3_close(db);
	return rc;
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

static void close_store(struct store *base)
{
	struct sqlite_store *store = of(base);
	for (unsigned i = 0; i < W_STATEMENTS; i++)
		sqlite3_finalize(store->statements[i]);
	for (unsigned i = 0; i < store->readers_idle; i++)
		sqlite3_close(store->readers[i]);
	sqlite3_close(store->writer);
	pthread_mutex_destroy(&store->lock);
	pthread_cond_destroy(&store->freed);
	free(store->path);
	free(store);
}

static const struct store_ops sqlite_ops = {
	.close = close_store,
	.begin = begin,
	.commit = commit,
	.rollback = rollback,
	.stream_put = stream_put,
	.chunk_put = sqlite_chunk_put,
	.row_put = sqlite_row_put,
	.quarantine_put = quarantine_put,
	.counter_add = counter_add,
	.document_put = sqlite_document_put,
	.document_remove = sqlite_document_remove,
	.retain = sqlite_retain,
	.stream_get = stream_get,
	.last_row = sqlite_last_row,
	.last_document = sqlite_last_document,
	.rows = sqlite_rows,
	.line = sqlite_line,
	.documents = sqlite_documents,
	.document = sqlite_document,
	.counters = counters,
	.quarantined = quarantined,
	.size = sqlite_size,
	.backup = backup,
	.error = error_of,
};

static int schema_version(sqlite3 *db, int *version)
{
	sqlite3_stmt *s;
	int rc = sqlite_store_prepare(db, &s, "PRAGMA user_version");
	if (rc == 0) {
		int got = sqlite3_step(s);
		*version = got == SQLITE_ROW ? sqlite3_column_int(s, 0) : 0;
		rc = sqlite_store_fail(db, got);
	}
	sqlite3_finalize(s);
	return rc;
}

static int make_schema(struct sqlite_store *store)
{
	int version = 0, rc = schema_version(store->writer, &version);
	if (rc == 0 && version == 0 && !store->read_only) {
		rc = sqlite_store_run(store->writer, "BEGIN IMMEDIATE");
		if (rc == 0)
			rc = sqlite_store_run(store->writer, schema);
		if (rc == 0)
			rc = sqlite_store_run(store->writer, "PRAGMA user_version=1; COMMIT");
		return rc;
	}
	if (rc == 0 && version != SCHEMA_VERSION) {
		snprintf(last_error, sizeof(last_error), "it is of version %d, this program's is %d", version,
			 SCHEMA_VERSION);
		rc = -EINVAL;
	}
	return rc;
}

struct store *store_sqlite_open(const char *path, const struct store_sqlite_options *options,
				char error[static STORE_ERROR_MAX])
{
	struct sqlite_store *store = calloc(1, sizeof(*store));
	if (!store || !(store->path = strdup(path))) {
		free(store);
		snprintf(error, STORE_ERROR_MAX, "%s", strerror(ENOMEM));
		errno = ENOMEM;
		return NULL;
	}
	store->store.ops = &sqlite_ops;
	store->read_only = options->read_only;
	store->segment_rows = options->segment_rows ? options->segment_rows : SEGMENT_ROWS;
	pthread_mutex_init(&store->lock, NULL);
	pthread_cond_init(&store->freed, NULL);
	int rc =
		open_connection(store, true, options->cache_bytes ? options->cache_bytes : CACHE_BYTES, &store->writer);
	if (rc == 0)
		rc = make_schema(store);
	for (unsigned i = 0; i < W_CHUNK_PUT && rc == 0 && !store->read_only; i++)
		rc = sqlite_store_prepare(store->writer, &store->statements[i], "%s", fixed_statements[i]);
	if (rc == 0)
		rc = sqlite_records_load(store);
	if (rc == 0)
		return &store->store;
	snprintf(error, STORE_ERROR_MAX, "%.100s: %.140s", path, last_error);
	close_store(&store->store);
	errno = -rc;
	return NULL;
}
