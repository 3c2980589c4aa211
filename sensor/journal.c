/* SPDX-License-Identifier: BSD-3-Clause */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* One write call takes at most this of a ring, so that the others get their turn. */
#define WRITE_BYTES_MAX (1u << 20)
/* Pauses while records come: short enough for a ring not to fill meanwhile. */
#define PAUSE_MIN_NS 5000000
/* How long a file that refuses records is waited for at the end. */
#define CLOSE_PATIENCE_NS 2000000000ull
/* Pauses between two tries on a file that refuses. */
#define RETRY_NS 200000000
/* Between two looks whether the file is still the one of that name. */
#define LOOK_NS 1000000000ull
/* Until the next try after a file could not be put aside. */
#define ROTATE_RETRY_NS 60000000000ull
/* Of a file that a crash left: its last record's beginning is searched for in so much of its end. */
#define TAIL_BYTES (4u << 20)

enum journal_kind { KIND_FILE, KIND_SOCKET, KIND_OTHER };

struct journal {
	char *path;
	int fd; /* -1: could not be opened yet */
	enum journal_kind kind;
	uint64_t size; /* of a regular file */
	struct ring *rings;
	unsigned ring_count;
	unsigned current; /* the ring at hand */
	size_t partial;	  /* bytes of its first record that are in the file already */
	uint64_t looked_ns;
	uint64_t rotate_after_ns; /* a folder that refused to rename is not asked all the time */
	pthread_t thread;
	bool started;
	void (*confine)(void);
	/* what others set or read */
	uint64_t rotate_bytes;
	unsigned keep;
	bool reopen, stop;
	uint64_t bytes, rotations, left_over;
	int error;
};

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void pause_ns(uint64_t ns)
{
	const struct timespec t = {.tv_sec = (time_t)(ns / 1000000000ull), .tv_nsec = (long)(ns % 1000000000ull)};
	nanosleep(&t, NULL);
}

static void set_error(struct journal *j, int error)
{
	__atomic_store_n(&j->error, error, __ATOMIC_RELAXED);
}

/* --- the file ---------------------------------------------------------------------------------------------------------- */

static int open_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	int rc = -errno;
	close(fd);
	return rc;
}

/* A crash of the machine may have left half a record at the end of the file: it goes, so that readers find whole ones. */
static int cut_torn_record(int fd, uint64_t *size)
{
	uint64_t begin = *size > TAIL_BYTES ? *size - TAIL_BYTES : 0;
	size_t len = (size_t)(*size - begin);
	char last;
	if (len == 0 || pread(fd, &last, 1, (off_t)*size - 1) != 1 || last == '\n')
		return 0;
	char *tail = malloc(len);
	if (!tail)
		return -ENOMEM;
	ssize_t n = pread(fd, tail, len, (off_t)begin);
	const char *end = n == (ssize_t)len ? memrchr(tail, '\n', len) : NULL;
	uint64_t whole = end ? begin + (uint64_t)(end - tail) + 1 : begin;
	free(tail);
	if (n != (ssize_t)len || ftruncate(fd, (off_t)whole) != 0)
		return -errno;
	*size = whole;
	return 0;
}

/* 0 or -errno. Never waits: a FIFO is opened for reading as well, so that it needs no reader to be there. */
static int file_open(struct journal *j)
{
	struct stat st;
	int fd, rc = 0;
	bool there = stat(j->path, &st) == 0;
	if (there && S_ISSOCK(st.st_mode)) {
		fd = open_socket(j->path);
		if (fd < 0)
			return fd;
		j->kind = KIND_SOCKET;
	} else {
		bool other = there && !S_ISREG(st.st_mode);
		int flags = other && !S_ISFIFO(st.st_mode) ? O_WRONLY : O_RDWR;
		fd = open(j->path, flags | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
		if (fd < 0)
			return -errno;
		j->kind = other ? KIND_OTHER : KIND_FILE;
		if (fstat(fd, &st) != 0)
			rc = -errno;
		j->size = (uint64_t)st.st_size;
		if (rc == 0 && j->kind == KIND_FILE)
			rc = cut_torn_record(fd, &j->size);
	}
	if (rc != 0)
		close(fd);
	else
		j->fd = fd;
	return rc;
}

/* Takes back what the file has of a record that is not whole in it; the record is written to the next file. */
static void file_close(struct journal *j)
{
	if (j->fd < 0)
		return;
	if (j->partial > 0 && j->kind == KIND_FILE && ftruncate(j->fd, (off_t)(j->size - j->partial)) != 0)
		set_error(j, -errno);
	j->partial = 0;
	close(j->fd);
	j->fd = -1;
}

/* PATH.2 becomes PATH.3, PATH.1 PATH.2, PATH PATH.1; what is beyond `keep` goes. */
static void rotate(struct journal *j)
{
	char from[4096], to[4096];
	unsigned keep = __atomic_load_n(&j->keep, __ATOMIC_RELAXED);
	int rc = 0;
	file_close(j);
	if (keep == 0) {
		rc = unlink(j->path);
	} else {
		for (unsigned i = keep; i > 0; i--) {
			snprintf(to, sizeof(to), "%s.%u", j->path, i);
			snprintf(from, sizeof(from), "%s.%u", j->path, i - 1);
			rc = rename(i > 1 ? from : j->path, to);
		}
	}
	if (rc != 0) {
		set_error(j, -errno);
		j->rotate_after_ns = now_ns() + ROTATE_RETRY_NS;
		return;
	}
	__atomic_store_n(&j->rotations, j->rotations + 1, __ATOMIC_RELAXED);
}

/* Another program may move or remove the file without a word. */
static void look_after(struct journal *j)
{
	struct stat here, there;
	uint64_t now = now_ns();
	if (j->kind != KIND_FILE || now - j->looked_ns < LOOK_NS)
		return;
	j->looked_ns = now;
	if (fstat(j->fd, &here) == 0 &&
	    (stat(j->path, &there) != 0 || here.st_ino != there.st_ino || here.st_dev != there.st_dev))
		file_close(j);
}

/* --- writing ----------------------------------------------------------------------------------------------------------- */

/* Where the last record that ends within the first `len` bytes ends. */
static size_t last_end(const struct iovec pieces[static 2], size_t len)
{
	size_t first = pieces[0].iov_len < len ? pieces[0].iov_len : len;
	const char *base = pieces[1].iov_base, *end = memrchr(base, '\n', len - first);
	if (end)
		return first + (size_t)(end - base) + 1;
	base = pieces[0].iov_base;
	end = memrchr(base, '\n', first);
	return end ? (size_t)(end - base) + 1 : 0;
}

/* Where the first record ends that ends at `from` or later. */
static size_t next_end(const struct iovec pieces[static 2], size_t from)
{
	const char *base = pieces[0].iov_base, *end = NULL;
	size_t first = pieces[0].iov_len;
	if (from < first)
		end = memchr(base + from, '\n', first - from);
	if (end)
		return (size_t)(end - base) + 1;
	base = pieces[1].iov_base;
	from = from > first ? from - first : 0;
	end = from < pieces[1].iov_len ? memchr(base + from, '\n', pieces[1].iov_len - from) : NULL;
	return end ? first + (size_t)(end - base) + 1 : first + pieces[1].iov_len;
}

static size_t part_of(const struct iovec pieces[static 2], size_t from, size_t to, struct iovec out[static 2])
{
	size_t count = 0, base = 0;
	for (unsigned i = 0; i < 2; base += pieces[i].iov_len, i++) {
		size_t begin = from > base ? from - base : 0;
		size_t end = to > base ? to - base : 0;
		if (end > pieces[i].iov_len)
			end = pieces[i].iov_len;
		if (begin < end)
			out[count++] =
				(struct iovec){.iov_base = (char *)pieces[i].iov_base + begin, .iov_len = end - begin};
	}
	return count;
}

static ssize_t put(struct journal *j, struct iovec *pieces, size_t count)
{
	if (j->kind == KIND_SOCKET) {
		const struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
		return sendmsg(j->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	return writev(j->fd, pieces, (int)count);
}

/* How far the ring's bytes go into this file: some records, and with rotation no more than its size allows. Returns 0 when
 * the file is full. */
static size_t portion(const struct journal *j, const struct iovec pieces[static 2], size_t len)
{
	uint64_t limit = __atomic_load_n(&j->rotate_bytes, __ATOMIC_RELAXED);
	size_t end = len > WRITE_BYTES_MAX ? last_end(pieces, WRITE_BYTES_MAX) : len;
	if (end <= j->partial)
		end = next_end(pieces, j->partial); /* one long record */
	if (limit == 0 || j->kind != KIND_FILE || j->partial > 0 || j->size + end <= limit)
		return end;
	if (j->rotate_after_ns && now_ns() < j->rotate_after_ns)
		return end;
	if (j->size < limit)
		end = last_end(pieces, (size_t)(limit - j->size));
	else
		end = 0;
	return end == 0 && j->size == 0 ? next_end(pieces, 0) : end;
}

/* Writes from the ring at hand. Returns whether anything went; an error is kept in j->error. */
static bool write_some(struct journal *j, size_t *left)
{
	struct ring *ring = &j->rings[j->current];
	struct iovec pieces[2], out[2];
	size_t len = ring_peek(ring, pieces);
	*left = len;
	if (len == 0)
		return false;
	size_t end = portion(j, pieces, len);
	if (end == 0) {
		rotate(j);
		return true;
	}
	ssize_t n = put(j, out, part_of(pieces, j->partial, end, out));
	if (n < 0) {
		if (errno != EINTR)
			set_error(j, -errno);
		if (j->kind == KIND_SOCKET && errno != EAGAIN && errno != EINTR)
			file_close(j);
		return false;
	}
	set_error(j, 0);
	size_t written = j->partial + (size_t)n, whole = last_end(pieces, written);
	j->size += (uint64_t)n;
	__atomic_store_n(&j->bytes, j->bytes + (uint64_t)n, __ATOMIC_RELAXED);
	ring_take(ring, whole);
	j->partial = written - whole;
	*left = len - whole;
	return n > 0;
}

/* One turn of all rings. Returns whether anything went. A record that is half written keeps the turn. */
static bool turn(struct journal *j)
{
	bool moved = false;
	for (unsigned i = 0; i < j->ring_count; i++) {
		size_t left;
		if (j->fd < 0) {
			int rc = file_open(j);
			set_error(j, rc);
			if (rc != 0)
				return moved;
		}
		moved = write_some(j, &left) || moved;
		if (j->partial > 0 || j->fd < 0)
			return moved;
		j->current = (j->current + 1) % j->ring_count;
	}
	return moved;
}

static bool is_empty(const struct journal *j)
{
	struct iovec pieces[2];
	for (unsigned i = 0; i < j->ring_count; i++)
		if (ring_peek(&j->rings[i], pieces) > 0)
			return false;
	return true;
}

/* A FIFO or socket that is full says when it has room again; a disk does not. */
static void wait_for_room(struct journal *j)
{
	struct pollfd fd = {.fd = j->fd, .events = POLLOUT};
	if (j->fd >= 0 && j->error == -EAGAIN)
		poll(&fd, 1, RETRY_NS / 1000000);
	else
		pause_ns(RETRY_NS);
}

static void *journal_main(void *user)
{
	struct journal *j = user;
	uint64_t pause = PAUSE_MIN_NS, stop_ns = 0;
	if (j->confine)
		j->confine();
	for (;;) {
		bool stop = __atomic_load_n(&j->stop, __ATOMIC_ACQUIRE);
		if (__atomic_exchange_n(&j->reopen, false, __ATOMIC_ACQ_REL))
			file_close(j);
		if (j->fd >= 0)
			look_after(j);
		bool moved = turn(j), empty = is_empty(j);
		if (stop && stop_ns == 0)
			stop_ns = now_ns();
		if (stop && (empty || now_ns() - stop_ns > CLOSE_PATIENCE_NS))
			return NULL;
		if (moved) {
			pause = PAUSE_MIN_NS;
			if (!empty)
				continue;
		} else if (j->error != 0) {
			wait_for_room(j);
			continue;
		} else if (pause < JOURNAL_LATENCY_NS) {
			pause = pause * 2 < JOURNAL_LATENCY_NS ? pause * 2 : JOURNAL_LATENCY_NS;
		}
		pause_ns(stop ? PAUSE_MIN_NS : pause);
	}
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

static void journal_free(struct journal *j)
{
	file_close(j);
	for (unsigned i = 0; j->rings && i < j->ring_count; i++)
		ring_free(&j->rings[i]);
	free(j->rings);
	free(j->path);
	free(j);
}

struct journal *journal_open(const struct journal_config *config, char *error)
{
	struct journal *j = calloc(1, sizeof(*j));
	if (!j) {
		snprintf(error, 256, "records: %s", strerror(ENOMEM));
		return NULL;
	}
	j->fd = -1;
	j->path = strdup(config->path);
	j->rotate_bytes = config->rotate_bytes;
	j->keep = config->keep;
	int rc = j->path ? 0 : -ENOMEM;
	if (posix_memalign((void **)&j->rings, 64, config->rings * sizeof(*j->rings)) != 0)
		rc = -ENOMEM;
	for (; rc == 0 && j->ring_count < config->rings; j->ring_count++)
		rc = ring_init(&j->rings[j->ring_count], config->ring_bytes);
	if (rc == 0)
		rc = file_open(j);
	/* nobody listens on the socket yet: that may come */
	if (rc != 0 && rc != -ECONNREFUSED) {
		snprintf(error, 256, "%.200s: %s", config->path, strerror(-rc));
		journal_free(j);
		return NULL;
	}
	return j;
}

struct ring *journal_ring(struct journal *j, unsigned index)
{
	return &j->rings[index];
}

int journal_start(struct journal *j, void (*confine)(void))
{
	j->confine = confine;
	int rc = pthread_create(&j->thread, NULL, journal_main, j);
	if (rc != 0)
		return -rc;
	pthread_setname_np(j->thread, "journal");
	j->started = true;
	return 0;
}

void journal_reopen(struct journal *j)
{
	__atomic_store_n(&j->reopen, true, __ATOMIC_RELEASE);
}

void journal_limits(struct journal *j, uint64_t rotate_bytes, unsigned keep)
{
	__atomic_store_n(&j->rotate_bytes, rotate_bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&j->keep, keep, __ATOMIC_RELAXED);
}

struct journal_stats journal_stats(const struct journal *j)
{
	struct journal_stats stats = {
		.bytes = __atomic_load_n(&j->bytes, __ATOMIC_RELAXED),
		.rotations = __atomic_load_n(&j->rotations, __ATOMIC_RELAXED),
		.error = __atomic_load_n(&j->error, __ATOMIC_RELAXED),
		.lost = j->left_over,
	};
	for (unsigned i = 0; i < j->ring_count; i++)
		stats.lost += ring_lost(&j->rings[i]);
	return stats;
}

static uint64_t records_left(struct journal *j)
{
	uint64_t records = 0;
	for (unsigned i = 0; i < j->ring_count; i++) {
		struct iovec pieces[2];
		ring_peek(&j->rings[i], pieces);
		for (unsigned p = 0; p < 2; p++)
			for (size_t at = 0; at < pieces[p].iov_len; at++)
				records += ((const char *)pieces[p].iov_base)[at] == '\n';
	}
	return records;
}

int journal_close(struct journal *j, uint64_t *lost)
{
	int rc = 0;
	if (!j)
		return 0;
	__atomic_store_n(&j->stop, true, __ATOMIC_RELEASE);
	if (j->started)
		pthread_join(j->thread, NULL);
	j->left_over = records_left(j);
	if (j->left_over > 0)
		rc = j->error ? j->error : -EIO;
	if (lost)
		*lost = journal_stats(j).lost;
	journal_free(j);
	return rc;
}
