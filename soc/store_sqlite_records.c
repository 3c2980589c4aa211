/* SPDX-License-Identifier: BSD-3-Clause */
#include "store_sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <zlib.h>

/* Ids looked at between two looks at the clock: as many more as were quick. */
#define WINDOW_MIN 16384
/* What one chunk may unpack to, whatever the store says: see batch.c. */
#define UNPACKED_MAX (64u << 20)
/* Pages given back to the file system at a time. */
#define VACUUM_PAGES "20000"

static struct sqlite_store *of(struct store *store)
{
	return (struct sqlite_store *)store;
}

/* --- writing ----------------------------------------------------------------------------------------------------------- */

static void drop_segment_statements(struct sqlite_store *store)
{
	for (unsigned i = W_CHUNK_PUT; i < W_STATEMENTS; i++) {
		sqlite3_finalize(store->statements[i]);
		store->statements[i] = NULL;
	}
}

static int prepare_segment_statements(struct sqlite_store *store)
{
	sqlite3_stmt **s = store->statements;
	long long n = store->segment.number;
	drop_segment_statements(store);
	int rc = sqlite_store_prepare(store->writer, &s[W_CHUNK_PUT], "INSERT INTO chunk_%lld VALUES(?,?,?)", n);
	if (rc == 0)
		rc = sqlite_store_prepare(store->writer, &s[W_ROW_PUT],
					  "INSERT INTO record_%lld VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", n);
	if (rc == 0)
		rc = sqlite_store_prepare(store->writer, &s[W_SPAN_PUT],
					  "INSERT OR REPLACE INTO span_%lld VALUES(?,?,?,?,?)", n);
	return rc;
}

static int read_segment(sqlite3_stmt *s, struct segment *segment)
{
	int got = sqlite3_step(s);
	memset(segment, 0, sizeof(*segment));
	if (got == SQLITE_ROW)
		*segment = (struct segment){
			.number = sqlite3_column_int64(s, 0),
			.first_id = (uint64_t)sqlite3_column_int64(s, 1),
			.last_id = (uint64_t)sqlite3_column_int64(s, 2),
			.rows = (uint64_t)sqlite3_column_int64(s, 3),
			.bytes = (uint64_t)sqlite3_column_int64(s, 4),
			.oldest = sqlite3_column_int64(s, 5),
			.newest = sqlite3_column_int64(s, 6),
		};
	return got;
}

int sqlite_records_load(struct sqlite_store *store)
{
	sqlite3_stmt *s;
	memset(&store->span, 0, sizeof(store->span));
	store->chunk = 0;
	int rc = sqlite_store_prepare(store->writer, &s, "SELECT * FROM segment ORDER BY number DESC LIMIT 1");
	if (rc == 0)
		rc = sqlite_store_fail(store->writer, read_segment(s, &store->segment));
	sqlite3_finalize(s);
	if (rc != 0 || store->segment.number == 0 || store->read_only)
		return rc;
	rc = sqlite_store_prepare(store->writer, &s, "SELECT max(id) FROM chunk_%lld",
				  (long long)store->segment.number);
	if (rc == 0 && sqlite3_step(s) == SQLITE_ROW)
		store->chunk = (uint64_t)sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return rc ? rc : prepare_segment_statements(store);
}

static int flush_span(struct sqlite_store *store)
{
	sqlite3_stmt *s = store->statements[W_SPAN_PUT];
	const struct span *span = &store->span;
	if (span->chunk == 0 || span->first_id == 0)
		return 0;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)span->chunk);
	sqlite3_bind_int64(s, 2, (sqlite3_int64)span->first_id);
	sqlite3_bind_int64(s, 3, (sqlite3_int64)span->last_id);
	sqlite3_bind_int64(s, 4, span->oldest);
	sqlite3_bind_int64(s, 5, span->newest);
	return sqlite_store_step(store->writer, s);
}

int sqlite_records_flush(struct sqlite_store *store)
{
	sqlite3_stmt *s = store->statements[W_SEGMENT_PUT];
	const struct segment *segment = &store->segment;
	if (segment->number == 0)
		return 0;
	int rc = flush_span(store);
	sqlite3_bind_int64(s, 1, segment->number);
	sqlite3_bind_int64(s, 2, (sqlite3_int64)segment->first_id);
	sqlite3_bind_int64(s, 3, (sqlite3_int64)segment->last_id);
	sqlite3_bind_int64(s, 4, (sqlite3_int64)segment->rows);
	sqlite3_bind_int64(s, 5, (sqlite3_int64)segment->bytes);
	sqlite3_bind_int64(s, 6, segment->oldest);
	sqlite3_bind_int64(s, 7, segment->newest);
	return rc ? rc : sqlite_store_step(store->writer, s);
}

static int begin_segment(struct sqlite_store *store)
{
	char sql[1536];
	long long n = store->segment.number + 1;
	int rc = sqlite_records_flush(store);
	if (rc != 0)
		return rc;
	drop_segment_statements(store);
	/* An address leads its index, for the same private address may be of many customers, and an analyst looks over all. */
	snprintf(
		sql, sizeof(sql),
		"CREATE TABLE chunk_%lld(id INTEGER PRIMARY KEY, unpacked INTEGER, packed BLOB);"
		"CREATE TABLE span_%lld(chunk INTEGER PRIMARY KEY, first_id INTEGER, last_id INTEGER, oldest INTEGER,"
		" newest INTEGER);"
		"CREATE TABLE record_%lld(id INTEGER PRIMARY KEY, customer INTEGER, device INTEGER, event INTEGER,"
		" chunk INTEGER, position INTEGER, time INTEGER, type INTEGER, outcome INTEGER, verdict INTEGER,"
		" severity INTEGER, signature INTEGER, protocol INTEGER, source BLOB, target BLOB, source_port INTEGER,"
		" target_port INTEGER, message TEXT);"
		"CREATE INDEX record_%lld_source ON record_%lld(source, customer);"
		"CREATE INDEX record_%lld_target ON record_%lld(target, customer);"
		"CREATE INDEX record_%lld_signature ON record_%lld(signature, customer) WHERE signature <> 0;"
		"CREATE INDEX record_%lld_event ON record_%lld(event) WHERE event <> 0;",
		n, n, n, n, n, n, n, n, n, n, n);
	rc = sqlite_store_run(store->writer, sql);
	if (rc != 0)
		return rc;
	memset(&store->span, 0, sizeof(store->span));
	store->segment = (struct segment){.number = n};
	return prepare_segment_statements(store);
}

int sqlite_chunk_put(struct store *base, const void *packed, size_t len, size_t unpacked, uint64_t *id)
{
	struct sqlite_store *store = of(base);
	int rc = 0;
	if (store->segment.number == 0 || store->segment.rows >= store->segment_rows)
		rc = begin_segment(store);
	else
		rc = flush_span(store);
	if (rc != 0)
		return rc;
	sqlite3_stmt *s = store->statements[W_CHUNK_PUT];
	*id = ++store->chunk;
	memset(&store->span, 0, sizeof(store->span));
	store->span.chunk = *id;
	store->segment.bytes += len;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)*id);
	sqlite3_bind_int64(s, 2, (sqlite3_int64)unpacked);
	sqlite3_bind_blob64(s, 3, packed, len, SQLITE_STATIC);
	return sqlite_store_step(store->writer, s);
}

/* IPv4 in 4 bytes, for the indexes' sake. */
static void bind_address(sqlite3_stmt *s, int column, const struct address *address)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	if (address_none(address))
		sqlite3_bind_null(s, column);
	else if (memcmp(address->byte, mapped, sizeof(mapped)) == 0)
		sqlite3_bind_blob(s, column, address->byte + 12, 4, SQLITE_STATIC);
	else
		sqlite3_bind_blob(s, column, address->byte, 16, SQLITE_STATIC);
}

static void column_address(sqlite3_stmt *s, int column, struct address *address)
{
	const void *bytes = sqlite3_column_blob(s, column);
	int len = sqlite3_column_bytes(s, column);
	memset(address, 0, sizeof(*address));
	if (len == 4) {
		address->byte[10] = address->byte[11] = 0xff;
		memcpy(address->byte + 12, bytes, 4);
	} else if (len == 16) {
		memcpy(address->byte, bytes, 16);
	}
}

static void grow(struct sqlite_store *store, uint64_t id, int64_t time)
{
	struct span *span = &store->span;
	struct segment *segment = &store->segment;
	if (span->first_id == 0) {
		span->first_id = id;
		span->oldest = span->newest = time;
	}
	if (segment->rows == 0) {
		segment->first_id = id;
		segment->oldest = segment->newest = time;
	}
	span->last_id = segment->last_id = id;
	segment->rows++;
	span->oldest = time < span->oldest ? time : span->oldest;
	span->newest = time > span->newest ? time : span->newest;
	segment->oldest = time < segment->oldest ? time : segment->oldest;
	segment->newest = time > segment->newest ? time : segment->newest;
}

int sqlite_row_put(struct store *base, const struct store_row *row)
{
	struct sqlite_store *store = of(base);
	sqlite3_stmt *s = store->statements[W_ROW_PUT];
	const struct record *r = &row->record;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)row->id);
	sqlite3_bind_int64(s, 2, row->customer);
	sqlite3_bind_int64(s, 3, row->device);
	sqlite3_bind_int64(s, 4, (sqlite3_int64)row->event);
	sqlite3_bind_int64(s, 5, (sqlite3_int64)row->chunk);
	sqlite3_bind_int64(s, 6, row->position);
	sqlite3_bind_int64(s, 7, r->time);
	sqlite3_bind_int(s, 8, (int)r->type);
	sqlite3_bind_int(s, 9, (int)r->outcome);
	sqlite3_bind_int(s, 10, (int)r->verdict);
	sqlite3_bind_int(s, 11, (int)r->severity);
	sqlite3_bind_int64(s, 12, r->signature);
	sqlite3_bind_int(s, 13, r->protocol);
	bind_address(s, 14, &r->source);
	bind_address(s, 15, &r->target);
	sqlite3_bind_int(s, 16, r->source_port);
	sqlite3_bind_int(s, 17, r->target_port);
	if (r->message[0])
		sqlite3_bind_text(s, 18, r->message, -1, SQLITE_STATIC);
	grow(store, row->id, r->time);
	/* every column is bound each time: no need to clear them */
	int rc = sqlite3_step(s);
	rc = sqlite_store_fail(store->writer, rc);
	sqlite3_reset(s);
	if (r->message[0])
		sqlite3_bind_null(s, 18);
	return rc;
}

/* --- dropping ---------------------------------------------------------------------------------------------------------- */

static int read_number(sqlite3 *db, const char *sql, int64_t *value)
{
	sqlite3_stmt *s;
	int rc = sqlite_store_prepare(db, &s, "%s", sql);
	*value = 0;
	if (rc == 0) {
		int got = sqlite3_step(s);
		if (got == SQLITE_ROW)
			*value = sqlite3_column_int64(s, 0);
		rc = sqlite_store_fail(db, got);
	}
	sqlite3_finalize(s);
	return rc;
}

static int used_bytes(sqlite3 *db, uint64_t *bytes)
{
	int64_t pages, unused, size;
	int rc = read_number(db, "PRAGMA page_count", &pages);
	if (rc == 0)
		rc = read_number(db, "PRAGMA freelist_count", &unused);
	if (rc == 0)
		rc = read_number(db, "PRAGMA page_size", &size);
	*bytes = rc == 0 ? (uint64_t)((pages - unused) * size) : 0;
	return rc;
}

static int drop_segment(struct sqlite_store *store, const struct segment *segment)
{
	char sql[512];
	long long n = segment->number;
	snprintf(sql, sizeof(sql),
		 "BEGIN IMMEDIATE; DROP TABLE record_%lld; DROP TABLE chunk_%lld; DROP TABLE span_%lld;"
		 "DELETE FROM segment WHERE number=%lld; COMMIT",
		 n, n, n, n);
	int rc = sqlite_store_run(store->writer, sql);
	if (rc != 0)
		sqlite3_exec(store->writer, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

int sqlite_retain(struct store *base, int64_t before, uint64_t bytes_max, uint64_t *dropped)
{
	struct sqlite_store *store = of(base);
	*dropped = 0;
	for (;;) {
		struct segment oldest;
		sqlite3_stmt *s;
		uint64_t bytes;
		int rc = used_bytes(store->writer, &bytes);
		if (rc == 0)
			rc = sqlite_store_prepare(store->writer, &s, "SELECT * FROM segment ORDER BY number LIMIT 1");
		if (rc != 0)
			return rc;
		rc = sqlite_store_fail(store->writer, read_segment(s, &oldest));
		sqlite3_finalize(s);
		/* the one that is written to stays, however large */
		if (rc != 0 || oldest.number == 0 || oldest.number == store->segment.number)
			return rc;
		if (oldest.newest >= before && (bytes_max == 0 || bytes <= bytes_max))
			return 0;
		rc = drop_segment(store, &oldest);
		if (rc == 0)
			rc = sqlite_store_run(store->writer, "PRAGMA incremental_vacuum(" VACUUM_PAGES ")");
		if (rc != 0)
			return rc;
		*dropped += oldest.rows;
	}
}

/* --- reading ----------------------------------------------------------------------------------------------------------- */

int sqlite_last_row(struct store *base, uint64_t *id)
{
	struct sqlite_store *store = of(base);
	int64_t value;
	sqlite3 *db = sqlite_store_reader(store);
	if (!db)
		return -errno;
	int rc = read_number(db, "SELECT max(last_id) FROM segment", &value);
	sqlite_store_release(store, db);
	*id = (uint64_t)value;
	return rc;
}

int sqlite_size(struct store *base, struct store_size *size)
{
	struct sqlite_store *store = of(base);
	int64_t rows = 0, oldest = 0;
	sqlite3 *db = sqlite_store_reader(store);
	if (!db)
		return -errno;
	int rc = used_bytes(db, &size->bytes);
	if (rc == 0)
		rc = read_number(db, "SELECT sum(rows) FROM segment", &rows);
	if (rc == 0)
		rc = read_number(db, "SELECT min(oldest) FROM segment", &oldest);
	sqlite_store_release(store, db);
	size->records = (uint64_t)rows;
	size->oldest = oldest;
	return rc;
}

struct search {
	sqlite3 *db;
	const struct store_query *query;
	int (*each)(void *context, const struct store_row *row);
	void *context;
	unsigned found;
	int64_t end_ms; /* 0: none */
	uint64_t reached;
	uint64_t window;
};

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The conditions that the query has, with the numbers of its parameters: ?1 and ?2 are the ids. */
static void conditions(const struct store_query *q, char *sql, size_t size)
{
	snprintf(sql, size, "%s%s%s%s%s%s%s%s%s%s%s%s", q->customer ? " AND customer=?3" : "",
		 q->device ? " AND device=?4" : "", q->from ? " AND time>=?5" : "", q->until ? " AND time<?6" : "",
		 q->source ? " AND source=?7" : "", q->target ? " AND target=?8" : "",
		 q->either ? " AND (source=?9 OR target=?9)" : "",
		 q->signature ? " AND signature=?10 AND signature<>0" : "",
		 q->event ? " AND event=?11 AND event<>0" : "", q->type >= 0 ? " AND type=?12" : "",
		 q->severity > 0 ? " AND severity>=?13" : "", q->verdict >= 0 ? " AND verdict=?14" : "");
	if (q->text)
		strncat(sql, " AND message LIKE '%'||?15||'%' ESCAPE '\\'", size - strlen(sql) - 1);
}

/* What a person typed is no pattern. Malloc'd. */
static char *escape_like(const char *text)
{
	char *escaped = malloc(2 * strlen(text) + 1), *to = escaped;
	for (; escaped && *text; text++) {
		if (strchr("%_\\", *text))
			*to++ = '\\';
		*to++ = *text;
	}
	if (escaped)
		*to = '\0';
	return escaped;
}

static int bind_query(sqlite3_stmt *s, const struct store_query *q)
{
	sqlite3_bind_int64(s, 3, q->customer);
	sqlite3_bind_int64(s, 4, q->device);
	sqlite3_bind_int64(s, 5, q->from);
	sqlite3_bind_int64(s, 6, q->until);
	if (q->source)
		bind_address(s, 7, q->source);
	if (q->target)
		bind_address(s, 8, q->target);
	if (q->either)
		bind_address(s, 9, q->either);
	sqlite3_bind_int64(s, 10, q->signature);
	sqlite3_bind_int64(s, 11, (sqlite3_int64)q->event);
	sqlite3_bind_int(s, 12, q->type);
	sqlite3_bind_int(s, 13, q->severity);
	sqlite3_bind_int(s, 14, q->verdict);
	if (!q->text)
		return 0;
	char *text = escape_like(q->text);
	if (!text)
		return -ENOMEM;
	sqlite3_bind_text(s, 15, text, -1, free);
	return 0;
}

static void read_row(sqlite3_stmt *s, struct store_row *row)
{
	struct record *r = &row->record;
	const char *message = (const char *)sqlite3_column_text(s, 17);
	memset(row, 0, sizeof(*row));
	row->id = (uint64_t)sqlite3_column_int64(s, 0);
	row->customer = (uint32_t)sqlite3_column_int64(s, 1);
	row->device = (uint32_t)sqlite3_column_int64(s, 2);
	row->event = (uint64_t)sqlite3_column_int64(s, 3);
	row->chunk = (uint64_t)sqlite3_column_int64(s, 4);
	row->position = (uint32_t)sqlite3_column_int64(s, 5);
	r->time = sqlite3_column_int64(s, 6);
	r->type = (enum record_type)sqlite3_column_int(s, 7);
	r->outcome = (enum outcome)sqlite3_column_int(s, 8);
	r->verdict = (enum verdict)sqlite3_column_int(s, 9);
	r->severity = (enum severity)sqlite3_column_int(s, 10);
	r->signature = (uint32_t)sqlite3_column_int64(s, 11);
	r->protocol = (uint8_t)sqlite3_column_int(s, 12);
	column_address(s, 13, &r->source);
	column_address(s, 14, &r->target);
	r->source_port = (uint16_t)sqlite3_column_int(s, 15);
	r->target_port = (uint16_t)sqlite3_column_int(s, 16);
	snprintf(r->message, sizeof(r->message), "%s", message ? message : "");
}

/* Rows with ids of [low, high], newest first. */
static int search_window(struct search *search, sqlite3_stmt *s, uint64_t low, uint64_t high)
{
	int got, stop = 0;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)low);
	sqlite3_bind_int64(s, 2, (sqlite3_int64)high);
	while ((got = sqlite3_step(s)) == SQLITE_ROW && stop == 0) {
		struct store_row row;
		read_row(s, &row);
		search->reached = row.id;
		stop = search->each(search->context, &row);
		if (search->query->limit && ++search->found == search->query->limit)
			break;
	}
	int rc = stop ? stop : sqlite_store_fail(search->db, got);
	sqlite3_reset(s);
	return rc;
}

static bool is_done(const struct search *search)
{
	return (search->query->limit && search->found >= search->query->limit) ||
	       (search->end_ms && now_ms() >= search->end_ms);
}

/* The ids that a span of time can have. False: none. */
static int narrow(struct search *search, const struct segment *segment, uint64_t *low, uint64_t *high)
{
	const struct store_query *q = search->query;
	sqlite3_stmt *s;
	*low = segment->first_id;
	*high = segment->last_id;
	if (q->before && *high >= q->before)
		*high = q->before - 1;
	if ((q->from && segment->newest < q->from) || (q->until && segment->oldest >= q->until))
		*high = 0;
	if (*high < *low || (!q->from && !q->until))
		return 0;
	int rc = sqlite_store_prepare(
		search->db, &s, "SELECT min(first_id), max(last_id) FROM span_%lld WHERE newest>=%lld AND oldest<%lld",
		(long long)segment->number, (long long)q->from, q->until ? (long long)q->until : INT64_MAX);
	if (rc == 0) {
		int got = sqlite3_step(s);
		uint64_t first = (uint64_t)sqlite3_column_int64(s, 0), last = (uint64_t)sqlite3_column_int64(s, 1);
		*low = first > *low ? first : *low;
		*high = last < *high ? last : *high;
		rc = sqlite_store_fail(search->db, got);
	}
	sqlite3_finalize(s);
	return rc;
}

static int search_segment(struct search *search, const struct segment *segment)
{
	char where[512];
	sqlite3_stmt *s = NULL;
	uint64_t low, high;
	int rc = narrow(search, segment, &low, &high);
	if (rc != 0 || high < low)
		return rc;
	conditions(search->query, where, sizeof(where));
	rc = sqlite_store_prepare(search->db, &s,
				  "SELECT * FROM record_%lld WHERE id BETWEEN ?1 AND ?2%s ORDER BY id DESC",
				  (long long)segment->number, where);
	if (rc == 0)
		rc = bind_query(s, search->query);
	while (rc == 0 && high >= low && !is_done(search)) {
		uint64_t from = high - low < search->window ? low : high - search->window + 1;
		int64_t began = now_ms();
		rc = search_window(search, s, from, high);
		if (search->query->limit && search->found >= search->query->limit)
			break;
		search->reached = from;
		if (now_ms() - began < 5)
			search->window *= 2;
		else if (search->window > WINDOW_MIN)
			search->window /= 2;
		high = from - 1;
	}
	sqlite3_finalize(s);
	return rc;
}

int sqlite_rows(struct store *base, const struct store_query *query,
		int (*each)(void *context, const struct store_row *row), void *context, uint64_t *reached)
{
	struct sqlite_store *store = of(base);
	struct search search = {.query = query, .each = each, .context = context, .window = WINDOW_MIN};
	struct segment segment;
	sqlite3_stmt *s;
	search.db = sqlite_store_reader(store);
	if (!search.db)
		return -errno;
	if (query->patience_ms)
		search.end_ms = now_ms() + query->patience_ms;
	int rc = sqlite_store_prepare(search.db, &s, "SELECT * FROM segment ORDER BY number DESC"), got = SQLITE_DONE;
	while (rc == 0 && !is_done(&search) && (got = read_segment(s, &segment)) == SQLITE_ROW)
		rc = search_segment(&search, &segment);
	if (rc == 0)
		rc = sqlite_store_fail(search.db, got);
	sqlite3_finalize(s);
	sqlite_store_release(store, search.db);
	if (reached)
		*reached = is_done(&search) ? search.reached : 0;
	return rc;
}

/* The line at a position of what a chunk unpacks to; malloc'd, NULL with errno. */
static char *unpack_line(const void *packed, size_t len, size_t unpacked, uint32_t position, size_t *line_len)
{
	uLongf size = unpacked;
	char *text = unpacked <= UNPACKED_MAX ? malloc(unpacked + 1) : NULL, *line = NULL;
	errno = ENOMEM;
	if (!text)
		return NULL;
	errno = EIO;
	if (uncompress((Bytef *)text, &size, packed, len) == Z_OK && size == unpacked) {
		char *from = text, *end = text + size;
		while (from && position-- > 0) {
			from = memchr(from, '\n', (size_t)(end - from));
			from = from ? from + 1 : NULL;
		}
		char *to = from ? memchr(from, '\n', (size_t)(end - from)) : NULL;
		if (to) {
			*line_len = (size_t)(to - from);
			line = strndup(from, *line_len);
		}
	}
	free(text);
	return line;
}

char *sqlite_line(struct store *base, const struct store_row *row, size_t *len)
{
	struct sqlite_store *store = of(base);
	sqlite3_stmt *s = NULL;
	char *line = NULL;
	long long number = 0;
	sqlite3 *db = sqlite_store_reader(store);
	if (!db)
		return NULL;
	int rc = sqlite_store_prepare(db, &s, "SELECT number FROM segment WHERE first_id<=%llu AND last_id>=%llu",
				      (unsigned long long)row->id, (unsigned long long)row->id);
	if (rc == 0 && sqlite3_step(s) == SQLITE_ROW)
		number = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	s = NULL;
	if (rc == 0)
		rc = number ? sqlite_store_prepare(db, &s, "SELECT unpacked, packed FROM chunk_%lld WHERE id=%llu",
						   number, (unsigned long long)row->chunk)
			    : -ENOENT;
	errno = -rc;
	if (rc == 0 && sqlite3_step(s) == SQLITE_ROW)
		line = unpack_line(sqlite3_column_blob(s, 1), (size_t)sqlite3_column_bytes(s, 1),
				   (size_t)sqlite3_column_int64(s, 0), row->position, len);
	int saved = errno;
	sqlite3_finalize(s);
	sqlite_store_release(store, db);
	errno = saved;
	return line;
}
