/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The journal: whole records reach the file, in order of each writer, whatever befalls it; a file that refuses them costs
 * records, counted, and never time of who writes them.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "journal.h"

static char dir[64], path[128];

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/sekisho-journal-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/eve.json", dir);
	return 0;
}

static int remove_dir(void **state)
{
	char command[128];
	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

static struct journal *journal_of(unsigned rings, size_t ring_bytes, uint64_t rotate_bytes, unsigned keep)
{
	char error[256];
	const struct journal_config config = {
		.path = path, .rotate_bytes = rotate_bytes, .keep = keep, .rings = rings, .ring_bytes = ring_bytes};
	struct journal *journal = journal_open(&config, error);
	if (!journal)
		fail_msg("%s", error);
	assert_int_equal(journal_start(journal, NULL), 0);
	return journal;
}

/* Record `number` of a writer: its text says who wrote it, and is as long as the number wants. */
static size_t make_record(char *text, size_t size, unsigned writer, unsigned number)
{
	int n = snprintf(text, size, "{\"writer\":%u,\"number\":%u,\"fill\":\"%*s\"}\n", writer, number,
			 (int)(number * 37 % 200), "");
	assert_true(n > 0 && (size_t)n < size);
	return (size_t)n;
}

static bool put_record(struct journal *journal, unsigned writer, unsigned number)
{
	char text[512];
	return ring_put(journal_ring(journal, writer), text, make_record(text, sizeof(text), writer, number));
}

/* Reads a file of records, each of which must be whole; notes the next number of each writer in next[], which must come in order
 * (with holes when `lossy`). Returns the records read. */
static unsigned read_records(FILE *file, unsigned next[static 4], bool lossy)
{
	char line[512], expected[512];
	unsigned count = 0, writer, number;
	while (fgets(line, sizeof(line), file)) {
		assert_int_equal(sscanf(line, "{\"writer\":%u,\"number\":%u", &writer, &number), 2);
		assert_true(writer < 4);
		make_record(expected, sizeof(expected), writer, number);
		assert_string_equal(line, expected);
		if (lossy)
			assert_true(number >= next[writer]);
		else
			assert_int_equal(number, next[writer]);
		next[writer] = number + 1;
		count++;
	}
	return count;
}

static unsigned read_file(const char *name, unsigned next[static 4], bool lossy)
{
	FILE *file = fopen(name, "r");
	if (!file)
		return 0;
	unsigned count = read_records(file, next, lossy);
	fclose(file);
	return count;
}

static void pause_ms(unsigned ms)
{
	const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
	nanosleep(&t, NULL);
}

static uint64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static off_t size_of(const char *name)
{
	struct stat st;
	return stat(name, &st) == 0 ? st.st_size : -1;
}

/* --- tests ------------------------------------------------------------------------------------------------------------- */

#define WRITER_RECORDS 20000

struct writer {
	struct journal *journal;
	unsigned index;
	pthread_t thread;
};

static void *write_many(void *user)
{
	struct writer *w = user;
	for (unsigned i = 0; i < WRITER_RECORDS; i++)
		while (!put_record(w->journal, w->index, i))
			pause_ms(1); /* this test wants them all */
	return NULL;
}

static void records_of_all_writers_arrive_whole_and_in_order(void **state)
{
	(void)state;
	struct journal *journal = journal_of(4, 64 << 10, 0, 0);
	struct writer writers[4];
	unsigned next[4] = {0};
	for (unsigned i = 0; i < 4; i++) {
		writers[i] = (struct writer){.journal = journal, .index = i};
		assert_int_equal(pthread_create(&writers[i].thread, NULL, write_many, &writers[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++)
		pthread_join(writers[i].thread, NULL);
	assert_int_equal(journal_close(journal, NULL), 0);
	assert_int_equal(read_file(path, next, false), 4 * WRITER_RECORDS);
}

static void a_record_reaches_the_file_soon(void **state)
{
	(void)state;
	struct journal *journal = journal_of(1, 4096, 0, 0);
	uint64_t shortest = UINT64_MAX; /* a busy machine may hold up any single one */
	for (unsigned i = 0; i < 3; i++) {
		pause_ms(300); /* long enough for the writer to slow down */
		off_t before = size_of(path);
		uint64_t begun = now_ms();
		assert_true(put_record(journal, 0, i));
		while (size_of(path) == before && now_ms() - begun < 2000)
			pause_ms(5);
		if (now_ms() - begun < shortest)
			shortest = now_ms() - begun;
	}
	assert_in_range(shortest, 0, 200);
	assert_int_equal(journal_close(journal, NULL), 0);
}

static void files_are_put_aside_by_size(void **state)
{
	(void)state;
	struct journal *journal = journal_of(1, 64 << 10, 4000, 3);
	unsigned next[4] = {0}, records = 0;
	for (unsigned i = 0; i < 400; i++) {
		assert_true(put_record(journal, 0, i));
		if (i % 50 == 0)
			pause_ms(20);
	}
	assert_int_equal(journal_close(journal, NULL), 0);
	char name[160];
	snprintf(name, sizeof(name), "%s.4", path);
	assert_int_equal(size_of(name), -1); /* three are kept */
	for (int i = 3; i >= 0; i--) {
		if (i > 0)
			snprintf(name, sizeof(name), "%s.%d", path, i);
		else
			snprintf(name, sizeof(name), "%s", path);
		assert_true(size_of(name) > 0 && size_of(name) <= 4000);
		records += read_file(name, next, i == 3);
	}
	assert_int_equal(next[0], 400);
	assert_true(records < 400);
}

static void a_file_moved_away_is_opened_anew(void **state)
{
	(void)state;
	struct journal *journal = journal_of(1, 64 << 10, 0, 0);
	char moved[160];
	unsigned next[4] = {0};
	snprintf(moved, sizeof(moved), "%s.moved", path);
	for (unsigned i = 0; i < 10; i++)
		put_record(journal, 0, i);
	pause_ms(300);
	assert_int_equal(rename(path, moved), 0);
	journal_reopen(journal);
	pause_ms(300);
	for (unsigned i = 10; i < 20; i++)
		put_record(journal, 0, i);
	assert_int_equal(journal_close(journal, NULL), 0);
	assert_int_equal(read_file(moved, next, false), 10);
	assert_int_equal(read_file(path, next, false), 10);
}

static void a_full_disk_loses_records_and_only_those(void **state)
{
	(void)state;
	const struct rlimit none = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
	const struct rlimit small = {.rlim_cur = 10000, .rlim_max = RLIM_INFINITY};
	struct journal *journal = journal_of(1, 8192, 0, 0);
	unsigned next[4] = {0}, taken = 0;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0); /* as a full disk, it takes a part of a record */
	uint64_t begun = now_ms();
	for (unsigned i = 0; i < 1000; i++) {
		taken += put_record(journal, 0, i);
		if (i % 20 == 0)
			pause_ms(5);
	}
	assert_true(now_ms() - begun < 20000);
	pause_ms(100);
	struct journal_stats stats = journal_stats(journal);
	assert_int_equal(stats.error, -EFBIG);
	assert_int_equal(stats.lost, 1000 - taken);
	assert_true(stats.lost > 0);
	assert_int_equal(size_of(path), 10000);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	pause_ms(500); /* there is room again */
	assert_int_equal(journal_stats(journal).error, 0);
	assert_true(put_record(journal, 0, 1000));
	uint64_t lost;
	assert_int_equal(journal_close(journal, &lost), 0);
	assert_int_equal(lost, 1000 - taken);
	assert_int_equal(read_file(path, next, true), taken + 1);
	assert_int_equal(next[0], 1001);
}

static void a_disk_that_stays_full_is_left_with_whole_records(void **state)
{
	(void)state;
	const struct rlimit none = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
	const struct rlimit small = {.rlim_cur = 5000, .rlim_max = RLIM_INFINITY};
	struct journal *journal = journal_of(1, 8192, 0, 0);
	unsigned next[4] = {0}, taken = 0;
	uint64_t lost;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (unsigned i = 0; i < 200; i++)
		taken += put_record(journal, 0, i);
	assert_int_equal(journal_close(journal, &lost), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	unsigned written = read_file(path, next, true);
	assert_true(written > 0 && written < taken);
	assert_int_equal(written + lost, 200);
}

static void half_a_record_of_a_crash_is_cut_off(void **state)
{
	(void)state;
	FILE *file = fopen(path, "w");
	unsigned next[4] = {0};
	char text[512];
	make_record(text, sizeof(text), 0, 0);
	fprintf(file, "%s{\"writer\":0,\"num", text);
	fclose(file);
	struct journal *journal = journal_of(1, 8192, 0, 0);
	put_record(journal, 0, 1);
	assert_int_equal(journal_close(journal, NULL), 0);
	assert_int_equal(read_file(path, next, false), 2);
}

static void a_reader_that_stalls_holds_nobody_up(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	struct journal *journal = journal_of(1, 8192, 0, 0);
	unsigned taken = 0, next[4] = {0};
	uint64_t begun = now_ms();
	/* nobody reads: the pipe and the ring fill, the rest is lost at once */
	for (unsigned i = 0; i < 3000; i++) {
		taken += put_record(journal, 0, i);
		if (i % 20 == 0)
			pause_ms(6);
	}
	assert_true(now_ms() - begun < 20000);
	assert_true(taken > 64 && taken < 3000);
	assert_int_equal(journal_stats(journal).lost, 3000 - taken);
	int fd = open(path, O_RDONLY | O_NONBLOCK);
	assert_true(fd >= 0);
	static char text[1 << 20];
	size_t len = 0;
	for (unsigned quiet = 0; quiet < 100; quiet++) { /* a second without a byte: that was all */
		ssize_t n = read(fd, text + len, sizeof(text) - len);
		if (n > 0) {
			len += (size_t)n;
			quiet = 0;
		}
		pause_ms(10);
	}
	close(fd);
	FILE *file = fmemopen(text, len, "r");
	unsigned got = read_records(file, next, true);
	fclose(file);
	assert_int_equal(got, taken);
	assert_int_equal(journal_close(journal, NULL), 0);
}

static int listen_at(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", name);
	unlink(name);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void a_socket_whose_reader_leaves_is_connected_again(void **state)
{
	(void)state;
	int listener = listen_at(path);
	struct journal *journal = journal_of(1, 8192, 0, 0);
	unsigned next[4] = {0};
	for (unsigned i = 0; i < 5; i++)
		put_record(journal, 0, i);
	int fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	pause_ms(300);
	close(fd); /* what was sent is gone with it */
	for (unsigned i = 5; i < 10; i++)
		put_record(journal, 0, i);
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	assert_int_equal(journal_close(journal, NULL), 0);
	FILE *file = fdopen(fd, "r");
	assert_int_equal(read_records(file, next, true), 5);
	fclose(file);
	close(listener);
	assert_int_equal(next[0], 10);
}

static void a_record_larger_than_the_ring_is_lost(void **state)
{
	(void)state;
	struct journal *journal = journal_of(1, 4096, 0, 0);
	char big[5000];
	memset(big, 'x', sizeof(big));
	assert_false(ring_put(journal_ring(journal, 0), big, sizeof(big)));
	assert_int_equal(journal_stats(journal).lost, 1);
	assert_int_equal(journal_close(journal, NULL), 0);
	assert_int_equal(size_of(path), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(records_of_all_writers_arrive_whole_and_in_order),
		CASE(a_record_reaches_the_file_soon),
		CASE(files_are_put_aside_by_size),
		CASE(a_file_moved_away_is_opened_anew),
		CASE(a_full_disk_loses_records_and_only_those),
		CASE(a_disk_that_stays_full_is_left_with_whole_records),
		CASE(half_a_record_of_a_crash_is_cut_off),
		CASE(a_reader_that_stalls_holds_nobody_up),
		CASE(a_socket_whose_reader_leaves_is_connected_again),
		CASE(a_record_larger_than_the_ring_is_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
