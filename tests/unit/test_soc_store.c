/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <errno.h>
#include <zlib.h>

#include <cmocka.h>

#include "store.h"

#define SECOND 1000000ll
#define BEGIN  (1800000000ll * SECOND)

static char folder[] = "/tmp/sekisho-store-XXXXXX", path[64], error[STORE_ERROR_MAX];
static struct store *store;
static const struct store_sqlite_options options = {.segment_rows = 100};
static uint64_t rows;

static int setup(void **state)
{
	(void)state;
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/soc.db", folder);
	store = store_sqlite_open(path, &options, error);
	rows = 0;
	return store ? 0 : -1;
}

static int teardown(void **state)
{
	char command[128];
	(void)state;
	store->ops->close(store);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

static void reopen(void)
{
	store->ops->close(store);
	store = store_sqlite_open(path, &options, error);
	assert_non_null(store);
}

/* A chunk of `count` lines "line ID", a second apart, of which every tenth is of event 5. */
static void put(unsigned count, uint32_t customer, const char *source)
{
	static char text[65536];
	static unsigned char packed[70000];
	uLongf packed_len = sizeof(packed);
	size_t len = 0;
	uint64_t chunk;
	for (unsigned i = 0; i < count; i++)
		len += (size_t)sprintf(text + len, "line %u\n", (unsigned)rows + i + 1);
	assert_int_equal(compress2(packed, &packed_len, (unsigned char *)text, len, 1), Z_OK);
	assert_int_equal(store->ops->chunk_put(store, packed, packed_len, len, &chunk), 0);
	for (unsigned i = 0; i < count; i++) {
		struct store_row row = {.id = ++rows, .customer = customer, .device = 3, .chunk = chunk, .position = i};
		row.event = rows % 10 == 0 ? 5 : 0;
		row.record.time = BEGIN + (int64_t)rows * SECOND;
		row.record.type = RECORD_ALERT;
		row.record.severity = rows % 10 == 0 ? SEVERITY_CRITICAL : SEVERITY_WARNING;
		row.record.signature = (uint32_t)(rows % 7);
		address_parse(source, &row.record.source);
		address_parse(rows % 2 ? "192.0.2.1" : "2001:db8::1", &row.record.target);
		snprintf(row.record.message, sizeof(row.record.message), "100%% of %u", (unsigned)rows);
		assert_int_equal(store->ops->row_put(store, &row), 0);
	}
}

static void put_all(unsigned chunks, unsigned each, uint32_t customer, const char *source)
{
	assert_int_equal(store->ops->begin(store), 0);
	for (unsigned i = 0; i < chunks; i++)
		put(each, customer, source);
	assert_int_equal(store->ops->commit(store), 0);
}

static uint64_t found[2000];
static unsigned found_count;
static struct store_row last_row;

static int note(void *context, const struct store_row *row)
{
	(void)context;
	last_row = *row;
	found[found_count++] = row->id;
	return 0;
}

static uint64_t search(const struct store_query *query)
{
	uint64_t reached;
	found_count = 0;
	assert_int_equal(store->ops->rows(store, query, note, NULL, &reached), 0);
	return reached;
}

static void rows_come_back_newest_first_with_their_lines(void **state)
{
	struct store_query query = {.type = -1, .verdict = -1};
	(void)state;
	put_all(12, 25, 1, "10.0.0.1");
	reopen();
	assert_int_equal(search(&query), 0);
	assert_int_equal(found_count, 300);
	for (unsigned i = 0; i < found_count; i++)
		assert_int_equal(found[i], 300 - i);
	assert_int_equal(last_row.customer, 1);
	assert_int_equal(last_row.record.time, BEGIN + SECOND);
	assert_string_equal(last_row.record.message, "100% of 1");
	query.before = 124;
	query.limit = 1;
	search(&query);
	size_t len;
	char *line = store->ops->line(store, &last_row, &len);
	assert_string_equal(line, "line 123");
	free(line);
}

static void each_filter_finds_its_own(void **state)
{
	struct address source, target;
	(void)state;
	put_all(4, 50, 1, "10.0.0.1");
	put_all(4, 50, 2, "10.0.0.2");
	address_parse("10.0.0.2", &source);
	address_parse("2001:db8::1", &target);
	const struct {
		struct store_query query;
		unsigned count;
	} cases[] = {
		{{.type = -1, .verdict = -1, .customer = 1}, 200},
		{{.type = -1, .verdict = -1, .customer = 3}, 0},
		{{.type = -1, .verdict = -1, .device = 3}, 400},
		{{.type = -1, .verdict = -1, .source = &source}, 200},
		{{.type = -1, .verdict = -1, .source = &source, .customer = 1}, 0},
		{{.type = -1, .verdict = -1, .target = &target}, 200},
		{{.type = -1, .verdict = -1, .either = &source}, 200},
		{{.type = -1, .verdict = -1, .event = 5}, 40},
		{{.type = -1, .verdict = -1, .signature = 3}, 57},
		{{.type = -1, .verdict = -1, .severity = SEVERITY_CRITICAL}, 40},
		{{.type = RECORD_DNS, .verdict = -1}, 0},
		{{.type = RECORD_ALERT, .verdict = VERDICT_BLOCKED}, 0},
		{{.type = -1, .verdict = -1, .from = BEGIN + 150 * SECOND, .until = BEGIN + 160 * SECOND}, 10},
		{{.type = -1, .verdict = -1, .from = BEGIN + 391 * SECOND}, 10},
		{{.type = -1, .verdict = -1, .text = "100% OF 39"}, 11},
		{{.type = -1, .verdict = -1, .text = "1_0"}, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		search(&cases[i].query);
		if (found_count != cases[i].count)
			fail_msg("case %zu finds %u", i, found_count);
	}
}

static void pages_go_on_where_they_ended(void **state)
{
	struct store_query query = {.type = -1, .verdict = -1, .event = 5, .limit = 7};
	unsigned total = 0;
	(void)state;
	put_all(10, 50, 1, "10.0.0.1");
	do {
		query.before = search(&query);
		total += found_count;
	} while (query.before);
	assert_int_equal(total, 50);
}

static void what_is_not_committed_is_not_there(void **state)
{
	struct store_query query = {.type = -1, .verdict = -1};
	uint64_t last;
	(void)state;
	put_all(1, 60, 1, "10.0.0.1");
	assert_int_equal(store->ops->begin(store), 0);
	put(60, 1, "10.0.0.1"); /* fills the segment */
	put(60, 1, "10.0.0.1"); /* makes another */
	search(&query);
	assert_int_equal(found_count, 60);
	store->ops->rollback(store);
	rows = 60;
	put_all(1, 10, 1, "10.0.0.9");
	search(&query);
	assert_int_equal(found_count, 70);
	assert_int_equal(store->ops->last_row(store, &last), 0);
	assert_int_equal(last, 70);
}

static void killed_writer_leaves_what_it_committed(void **state)
{
	struct store_query query = {.type = -1, .verdict = -1};
	int status;
	(void)state;
	store->ops->close(store);
	pid_t child = fork();
	if (child == 0) {
		store = store_sqlite_open(path, &options, error);
		put_all(3, 50, 1, "10.0.0.1");
		if (store->ops->begin(store) == 0)
			put(50, 1, "10.0.0.1");
		_exit(0);
	}
	waitpid(child, &status, 0);
	store = store_sqlite_open(path, &options, error);
	assert_non_null(store);
	search(&query);
	assert_int_equal(found_count, 150);
}

static void oldest_records_go_by_age_and_by_size(void **state)
{
	struct store_query query = {.type = -1, .verdict = -1};
	struct store_size size;
	uint64_t dropped;
	(void)state;
	put_all(20, 50, 1, "10.0.0.1");
	assert_int_equal(store->ops->retain(store, BEGIN + 350 * SECOND, 0, &dropped), 0);
	assert_int_equal(dropped, 300);
	search(&query);
	assert_int_equal(found_count, 700);
	assert_int_equal(store->ops->size(store, &size), 0);
	assert_int_equal(size.records, 700);
	assert_int_equal(size.oldest, BEGIN + 301 * SECOND);
	assert_int_equal(store->ops->retain(store, 0, size.bytes / 2, &dropped), 0);
	search(&query);
	assert_int_equal(found_count, 700 - dropped);
	assert_in_range(dropped, 100, 600);
	put_all(1, 10, 1, "10.0.0.1");
}

static char body_seen[64];

static int note_document(void *context, const struct document *d)
{
	unsigned *count = context;
	(*count)++;
	snprintf(body_seen, sizeof(body_seen), "%.*s", (int)d->len, d->body);
	return 0;
}

static void put_document(enum document_kind kind, uint64_t id, uint32_t customer, int state, int rank, const char *key,
			 const char *body)
{
	const struct document d = {kind, id,	      customer, customer * 10u, state,
				   rank, (int64_t)id, key,	body,		strlen(body)};
	assert_int_equal(store->ops->document_put(store, &d), 0);
}

static void documents_are_found_by_their_columns(void **state)
{
	(void)state;
	assert_int_equal(store->ops->begin(store), 0);
	for (uint64_t i = 1; i <= 10; i++)
		put_document(DOCUMENT_INCIDENT, i, i % 2 + 1, i > 8, (int)i % 4, NULL, "{}");
	put_document(DOCUMENT_DEVICE, 1, 1, 0, 0, "ab", "first");
	put_document(DOCUMENT_DEVICE, 1, 1, 0, 0, "cd", "second");
	const struct document thief = {.kind = DOCUMENT_DEVICE, .id = 2, .key = "cd", .body = "", .len = 0};
	assert_int_equal(store->ops->document_put(store, &thief), -EEXIST);
	assert_int_equal(store->ops->commit(store), 0);
	const struct {
		struct document_query query;
		unsigned count;
	} cases[] = {
		{{.kind = DOCUMENT_INCIDENT, .state = -1}, 10},
		{{.kind = DOCUMENT_INCIDENT, .state = -1, .customer = 1}, 5},
		{{.kind = DOCUMENT_INCIDENT, .state = 1}, 2},
		{{.kind = DOCUMENT_INCIDENT, .state = -1, .rank = 3}, 2},
		{{.kind = DOCUMENT_INCIDENT, .state = -1, .parent = 20}, 5},
		{{.kind = DOCUMENT_INCIDENT, .state = -1, .before = 4}, 3},
		{{.kind = DOCUMENT_INCIDENT, .state = -1, .after = 4, .oldest_first = true, .limit = 2}, 2},
		{{.kind = DOCUMENT_INCIDENT, .state = -1, .from = 3, .until = 5}, 2},
		{{.kind = DOCUMENT_USER, .state = -1}, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned count = 0;
		assert_int_equal(store->ops->documents(store, &cases[i].query, note_document, &count), 0);
		if (count != cases[i].count)
			fail_msg("case %zu finds %u", i, count);
	}
	unsigned count = 0;
	assert_int_equal(store->ops->document(store, DOCUMENT_DEVICE, 0, "cd", note_document, &count), 0);
	assert_string_equal(body_seen, "second");
	assert_int_equal(store->ops->document(store, DOCUMENT_DEVICE, 0, "ab", note_document, &count), -ENOENT);
	assert_int_equal(store->ops->document(store, DOCUMENT_DEVICE, 0, "' OR 1=1 --", note_document, &count),
			 -ENOENT);
}

static void streams_say_what_comes_next(void **state)
{
	struct store_stream stream;
	(void)state;
	assert_int_equal(store->ops->stream_get(store, 3, "a", &stream), 0);
	assert_int_equal(stream.next, 1);
	assert_int_equal(store->ops->begin(store), 0);
	assert_int_equal(store->ops->stream_put(store, 3, "a", &(struct store_stream){.next = 50, .lost = 2}), 0);
	assert_int_equal(store->ops->stream_put(store, 3, "a", &(struct store_stream){.next = 90, .lost = 3}), 0);
	assert_int_equal(store->ops->commit(store), 0);
	assert_int_equal(store->ops->stream_get(store, 3, "a", &stream), 0);
	assert_int_equal(stream.next, 90);
	assert_int_equal(stream.lost, 3);
	assert_int_equal(store->ops->stream_get(store, 4, "a", &stream), 0);
	assert_int_equal(stream.next, 1);
}

static int add_up(void *context, const struct store_counter *counter)
{
	*(uint64_t *)context += counter->count;
	return 0;
}

static void counters_add_up(void **state)
{
	const struct store_counter counter = {
		.customer = 1, .device = 3, .hour = 500000, .type = RECORD_ALERT, .count = 5};
	uint64_t sum = 0;
	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(store->ops->begin(store), 0);
		assert_int_equal(store->ops->counter_add(store, &counter), 0);
		assert_int_equal(store->ops->commit(store), 0);
	}
	assert_int_equal(store->ops->counters(store, 1, 500000, 500001, add_up, &sum), 0);
	assert_int_equal(sum, 15);
	assert_int_equal(store->ops->counters(store, 2, 500000, 500001, add_up, &sum), 0);
	assert_int_equal(store->ops->counters(store, 1, 500001, 500009, add_up, &sum), 0);
	assert_int_equal(sum, 15);
}

static void backup_is_a_store(void **state)
{
	struct store_query query = {.type = -1, .verdict = -1};
	char copy[80];
	(void)state;
	put_all(3, 50, 1, "10.0.0.1");
	snprintf(copy, sizeof(copy), "%s/copy.db", folder);
	assert_int_equal(store->ops->backup(store, copy), 0);
	assert_int_equal(store->ops->backup(store, copy), -EEXIST);
	struct store *original = store;
	store = store_sqlite_open(copy, &(struct store_sqlite_options){.read_only = true}, error);
	assert_non_null(store);
	search(&query);
	assert_int_equal(found_count, 150);
	store->ops->close(store);
	store = original;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(rows_come_back_newest_first_with_their_lines),
		TEST(each_filter_finds_its_own),
		TEST(pages_go_on_where_they_ended),
		TEST(what_is_not_committed_is_not_there),
		TEST(killed_writer_leaves_what_it_committed),
		TEST(oldest_records_go_by_age_and_by_size),
		TEST(documents_are_found_by_their_columns),
		TEST(streams_say_what_comes_next),
		TEST(counters_add_up),
		TEST(backup_is_a_store),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
