/* SPDX-License-Identifier: BSD-3-Clause */
#include "store_sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define COLUMNS "kind, id, customer, parent, state, rank, time, key, body"

static struct sqlite_store *of(struct store *store)
{
	return (struct sqlite_store *)store;
}

int sqlite_document_put(struct store *base, const struct document *d)
{
	struct sqlite_store *store = of(base);
	sqlite3_stmt *s = store->statements[W_DOCUMENT_PUT];
	sqlite3_bind_int(s, 1, (int)d->kind);
	sqlite3_bind_int64(s, 2, (sqlite3_int64)d->id);
	sqlite3_bind_int64(s, 3, d->customer);
	sqlite3_bind_int64(s, 4, (sqlite3_int64)d->parent);
	sqlite3_bind_int(s, 5, d->state);
	sqlite3_bind_int(s, 6, d->rank);
	sqlite3_bind_int64(s, 7, d->time);
	sqlite3_bind_text(s, 8, d->key, -1, SQLITE_STATIC);
	sqlite3_bind_blob64(s, 9, d->body, d->len, SQLITE_STATIC);
	return sqlite_store_step(store->writer, s);
}

int sqlite_document_remove(struct store *base, enum document_kind kind, uint64_t id)
{
	struct sqlite_store *store = of(base);
	sqlite3_stmt *s = store->statements[W_DOCUMENT_REMOVE];
	sqlite3_bind_int(s, 1, (int)kind);
	sqlite3_bind_int64(s, 2, (sqlite3_int64)id);
	return sqlite_store_step(store->writer, s);
}

int sqlite_last_document(struct store *base, enum document_kind kind, uint64_t *id)
{
	struct sqlite_store *store = of(base);
	sqlite3_stmt *s;
	sqlite3 *db = sqlite_store_reader(store);
	*id = 0;
	if (!db)
		return -errno;
	int rc = sqlite_store_prepare(db, &s, "SELECT max(id) FROM document WHERE kind=%d", (int)kind);
	if (rc == 0) {
		int got = sqlite3_step(s);
		if (got == SQLITE_ROW)
			*id = (uint64_t)sqlite3_column_int64(s, 0);
		rc = sqlite_store_fail(db, got);
	}
	sqlite3_finalize(s);
	sqlite_store_release(store, db);
	return rc;
}

/* Runs a statement to its end, or to where `each` says. */
static int give(sqlite3 *db, sqlite3_stmt *s, int (*each)(void *context, const struct document *document),
		void *context, unsigned *count)
{
	int got, stop = 0;
	while ((got = sqlite3_step(s)) == SQLITE_ROW && stop == 0) {
		struct document d = {
			.kind = (enum document_kind)sqlite3_column_int(s, 0),
			.id = (uint64_t)sqlite3_column_int64(s, 1),
			.customer = (uint32_t)sqlite3_column_int64(s, 2),
			.parent = (uint64_t)sqlite3_column_int64(s, 3),
			.state = sqlite3_column_int(s, 4),
			.rank = sqlite3_column_int(s, 5),
			.time = sqlite3_column_int64(s, 6),
			.key = (const char *)sqlite3_column_text(s, 7),
			.body = sqlite3_column_blob(s, 8),
			.len = (size_t)sqlite3_column_bytes(s, 8),
		};
		(*count)++;
		stop = each(context, &d);
	}
	return stop ? stop : sqlite_store_fail(db, got);
}

int sqlite_documents(struct store *base, const struct document_query *q,
		     int (*each)(void *context, const struct document *document), void *context)
{
	struct sqlite_store *store = of(base);
	char where[512] = "";
	unsigned count = 0;
	sqlite3_stmt *s;
	sqlite3 *db = sqlite_store_reader(store);
	if (!db)
		return -errno;
	/* numbers only, and none of them from a person's text */
	size_t n = 0;
#define AND(...) n += (size_t)snprintf(where + n, sizeof(where) - n, " AND " __VA_ARGS__)
	if (q->customer)
		AND("customer=%u", q->customer);
	if (q->parent)
		AND("parent=%llu AND parent<>0", (unsigned long long)q->parent);
	if (q->state >= 0)
		AND("state=%d", q->state);
	if (q->rank)
		AND("rank>=%d", q->rank);
	if (q->from)
		AND("time>=%lld", (long long)q->from);
	if (q->until)
		AND("time<%lld", (long long)q->until);
	if (q->before)
		AND("id<%llu", (unsigned long long)q->before);
	if (q->after)
		AND("id>%llu", (unsigned long long)q->after);
#undef AND
	int rc = sqlite_store_prepare(
		db, &s, "SELECT " COLUMNS " FROM document WHERE kind=%d%s ORDER BY id %s LIMIT %d", (int)q->kind, where,
		q->oldest_first ? "ASC" : "DESC", q->limit ? (int)q->limit : -1);
	if (rc == 0)
		rc = give(db, s, each, context, &count);
	sqlite3_finalize(s);
	sqlite_store_release(store, db);
	return rc;
}

int sqlite_document(struct store *base, enum document_kind kind, uint64_t id, const char *key,
		    int (*each)(void *context, const struct document *document), void *context)
{
	struct sqlite_store *store = of(base);
	unsigned count = 0;
	sqlite3_stmt *s;
	sqlite3 *db = sqlite_store_reader(store);
	if (!db)
		return -errno;
	int rc = sqlite_store_prepare(db, &s, "SELECT " COLUMNS " FROM document WHERE kind=%d AND %s=?", (int)kind,
				      key ? "key" : "id");
	if (rc == 0 && key)
		sqlite3_bind_text(s, 1, key, -1, SQLITE_STATIC);
	else if (rc == 0)
		sqlite3_bind_int64(s, 1, (sqlite3_int64)id);
	if (rc == 0)
		rc = give(db, s, each, context, &count);
	sqlite3_finalize(s);
	sqlite_store_release(store, db);
	return rc == 0 && count == 0 ? -ENOENT : rc;
}
