/* SPDX-License-Identifier: BSD-3-Clause */
/* What devices send, through the writer, into the store: once, whatever is sent twice or fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <errno.h>
#include <pthread.h>

#include <cmocka.h>

#include "soc.h"

static char folder[] = "/tmp/sekisho-intake-XXXXXX", path[64], error[SOC_ERROR_MAX];
static struct soc *soc;
static const struct device sensor = {.id = 1, .customer = 1, .name = "sensor"};

static void start(void)
{
	struct soc_config config;
	soc_config_defaults(&config);
	config.store_path = path;
	soc = soc_open(&config, error);
}

static int setup(void **state)
{
	(void)state;
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/soc.db", folder);
	start();
	return soc ? 0 : -1;
}

static int teardown(void **state)
{
	char command[128];
	(void)state;
	soc_close(soc);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

static struct batch *alerts(uint64_t first, unsigned count, uint64_t lost)
{
	char line[512];
	struct batch_reader *reader = batch_reader_new(1);
	int len = snprintf(
		line, sizeof(line),
		"{\"v\":1,\"stream\":\"00000000-0001\",\"first\":%d,\"count\":%u,\"lost\":%d,\"kind\":\"eve\"}\n",
		(int)first, count, (int)lost);
	assert_int_equal(batch_feed(reader, line, (size_t)len), 0);
	for (unsigned i = 0; i < count; i++) {
		len = snprintf(
			line, sizeof(line),
			"{\"timestamp\":\"2026-11-24T05:00:00Z\",\"event_type\":\"alert\",\"src_ip\":\"10.0.0.%u\","
			"\"alert\":{\"signature_id\":%d,\"category\":\"c\"}}\n",
			i % 2, (int)first + (int)i);
		assert_int_equal(batch_feed(reader, line, (size_t)len), 0);
	}
	struct batch *batch = batch_end(reader);
	assert_non_null(batch);
	batch_reader_free(reader);
	return batch;
}

struct wait {
	pthread_mutex_t lock;
	pthread_cond_t done;
	bool is_done;
	int rc;
	uint64_t next;
};

static void note(void *context, int rc, uint64_t next)
{
	struct wait *wait = context;
	pthread_mutex_lock(&wait->lock);
	wait->is_done = true;
	wait->rc = rc;
	wait->next = next;
	pthread_cond_signal(&wait->done);
	pthread_mutex_unlock(&wait->lock);
}

static int take(uint64_t first, unsigned count, uint64_t lost, uint64_t *next)
{
	struct wait wait = {.lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};
	assert_int_equal(soc_take(soc, &sensor, alerts(first, count, lost), note, &wait), 0);
	pthread_mutex_lock(&wait.lock);
	while (!wait.is_done)
		pthread_cond_wait(&wait.done, &wait.lock);
	pthread_mutex_unlock(&wait.lock);
	*next = wait.next;
	return wait.rc;
}

static int count_signatures(void *context, const struct store_row *row)
{
	unsigned *seen = context;
	seen[row->record.signature]++;
	return 0;
}

static int add_events(void *context, const struct document *document)
{
	json_t *json = json_loadb(document->body, document->len, 0, NULL);
	*(uint64_t *)context += (uint64_t)json_integer_value(json_object_get(json, "count"));
	json_decref(json);
	return 0;
}

static int count_documents(void *context, const struct document *document)
{
	(void)document;
	++*(unsigned *)context;
	return 0;
}

/* Each number of [1, last] but those of [hole_first, hole_last] is there once, in rows and in events. */
static void assert_all_once(unsigned last, unsigned hole_first, unsigned hole_last)
{
	const struct store_query query = {.type = -1, .verdict = -1};
	const struct document_query all = {.kind = DOCUMENT_EVENT, .state = -1};
	unsigned seen[10000] = {0};
	uint64_t events = 0, expected = 0;
	struct store *store = soc_store(soc);
	assert_int_equal(store->ops->rows(store, &query, count_signatures, seen, NULL), 0);
	for (unsigned i = 1; i < 10000; i++) {
		unsigned want = i <= last && (i < hole_first || i > hole_last);
		expected += want;
		if (seen[i] != want)
			fail_msg("record %u is there %u times", i, seen[i]);
	}
	assert_int_equal(store->ops->documents(store, &all, add_events, &events), 0);
	assert_int_equal(events, expected);
}

static void what_is_sent_twice_is_stored_once(void **state)
{
	uint64_t next;
	(void)state;
	assert_int_equal(take(1, 10, 0, &next), 0);
	assert_int_equal(next, 11);
	assert_int_equal(take(1, 10, 0, &next), 0);
	assert_int_equal(next, 11);
	assert_int_equal(take(6, 10, 0, &next), 0);
	assert_int_equal(next, 16);
	assert_all_once(15, 0, 0);
	assert_int_equal(soc_stats(soc).duplicates, 15);
}

static void gap_is_refused_unless_it_was_given_up(void **state)
{
	uint64_t next;
	(void)state;
	assert_int_equal(take(1, 10, 0, &next), 0);
	assert_int_equal(take(15, 5, 0, &next), -ERANGE);
	assert_int_equal(next, 11);
	assert_int_equal(take(15, 5, 3, &next), -ERANGE);
	assert_int_equal(take(15, 5, 4, &next), 0);
	assert_int_equal(next, 20);
	assert_all_once(19, 11, 14);
	assert_int_equal(soc_stats(soc).lost, 4);
}

static void restart_goes_on_with_what_is_open(void **state)
{
	uint64_t next;
	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(take(i * 100 + 1, 100, 0, &next), 0);
		soc_close(soc);
		start();
		assert_non_null(soc);
	}
	assert_int_equal(take(401, 100, 0, &next), 0);
	assert_int_equal(next, 501);
	assert_all_once(500, 0, 0);
	const struct document_query all = {.kind = DOCUMENT_EVENT, .state = -1};
	uint64_t sum = 0, last;
	struct store *store = soc_store(soc);
	assert_int_equal(store->ops->documents(store, &all, add_events, &sum), 0);
	assert_int_equal(store->ops->last_document(store, DOCUMENT_EVENT, &last), 0);
	assert_int_equal(last, 2); /* two sources, one class: they went on */
}

static int commit_failures, row_failures;
static const struct store_ops *real_ops;

static int failing_commit(struct store *store)
{
	if (commit_failures-- > 0) {
		real_ops->rollback(store);
		return -ENOSPC;
	}
	return real_ops->commit(store);
}

static int failing_row(struct store *store, const struct store_row *row)
{
	return row->record.signature % 50 == 49 && row_failures-- > 0 ? -EIO : real_ops->row_put(store, row);
}

static void store_that_fails_leaves_nothing_half_done(void **state)
{
	uint64_t next;
	(void)state;
	assert_int_equal(take(1, 100, 0, &next), 0);
	struct store *store = soc_store(soc);
	struct store_ops ops = *store->ops;
	real_ops = store->ops;
	ops.commit = failing_commit;
	ops.row_put = failing_row;
	store->ops = &ops;
	commit_failures = 2;
	row_failures = 1;
	assert_int_equal(take(101, 100, 0, &next), -EIO);
	assert_int_equal(take(101, 100, 0, &next), -ENOSPC);
	assert_int_equal(take(101, 100, 0, &next), -ENOSPC);
	assert_int_equal(take(101, 100, 0, &next), 0);
	assert_int_equal(take(201, 100, 0, &next), 0);
	store->ops = real_ops;
	assert_all_once(300, 0, 0);
	assert_int_equal(soc_stats(soc).failures, 3);
}

static void batches_at_once_all_arrive(void **state)
{
	struct wait waits[90];
	(void)state;
	for (unsigned i = 0; i < 90; i++) {
		waits[i] = (struct wait){.lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};
		assert_int_equal(soc_take(soc, &sensor, alerts(i * 20 + 1, 20, 0), note, &waits[i]), 0);
	}
	for (unsigned i = 0; i < 90; i++) {
		pthread_mutex_lock(&waits[i].lock);
		while (!waits[i].is_done)
			pthread_cond_wait(&waits[i].done, &waits[i].lock);
		pthread_mutex_unlock(&waits[i].lock);
		assert_int_equal(waits[i].rc, 0);
		assert_int_equal(waits[i].next, i * 20 + 21);
	}
	assert_all_once(1800, 0, 0);
	assert_in_range(soc_stats(soc).commits, 1, 90);
}

static int enrol(struct soc *s, void *context)
{
	struct device device = *(const struct device *)context;
	struct device other;
	if (directory_device_by_name(soc_directory(s), device.name, &other))
		return -EEXIST;
	device.id = (uint32_t)soc_new_id(s, DOCUMENT_DEVICE);
	int rc = soc_put_device(s, &device);
	return rc ? rc
		  : soc_audit(s, "admin", device.customer, "device.enrol", json_pack("{s:s}", "name", device.name));
}

static void changes_are_in_force_when_they_are_durable(void **state)
{
	struct device device = {.customer = 1, .name = "branch-1", .fingerprint = "aa11"}, found;
	(void)state;
	assert_false(directory_device(soc_directory(soc), "aa11", &found));
	assert_int_equal(soc_do_now(soc, enrol, &device), 0);
	assert_true(directory_device(soc_directory(soc), "aa11", &found));
	assert_int_equal(soc_do_now(soc, enrol, &device), -EEXIST);
	soc_close(soc);
	start();
	assert_true(directory_device(soc_directory(soc), "aa11", &found));
	assert_string_equal(found.name, "branch-1");
	const struct document_query audit = {.kind = DOCUMENT_AUDIT, .state = -1};
	unsigned audited = 0;
	assert_int_equal(soc_store(soc)->ops->documents(soc_store(soc), &audit, count_documents, &audited), 0);
	assert_int_equal(audited, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(what_is_sent_twice_is_stored_once), TEST(gap_is_refused_unless_it_was_given_up),
		TEST(restart_goes_on_with_what_is_open), TEST(store_that_fails_leaves_nothing_half_done),
		TEST(batches_at_once_all_arrive),	 TEST(changes_are_in_force_when_they_are_durable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
