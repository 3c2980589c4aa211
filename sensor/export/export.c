/* SPDX-License-Identifier: BSD-3-Clause */
#include <export/export.h>

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "status.h"
#include "stream.h"

#define SECOND_NS 1000000000ull
/* Between two looks at files that had nothing new. */
#define POLL_NS (SECOND_NS / 5)
/* Between two looks for new files of a glob. */
#define GLOB_NS (5 * SECOND_NS)
/* Between two reports for --status. */
#define STATUS_NS SECOND_NS
/* A report of health is small. */
#define HEALTH_BYTES_MAX (256u << 10)

struct exporter {
	const struct export_config *config;
	struct link_keys keys;
	struct stream_tools tools;
	struct link *health_link;
	struct stream **streams;
	unsigned stream_count;
	int lock_fd, wake_fd; /* wake_fd: readable once it is to end */
	pthread_t thread, health_thread;
	bool started, health_started;
	void (*confine)(void);
	uint64_t began_ns, globbed_ns, status_ns;
	uint64_t retry_ns, retry_at_ns; /* the pause after a failure, and its end */
	char told[EXPORT_ERROR_MAX];	/* the failure that was told last; "": all is well */
	uint64_t failures;
	uint64_t deadline_ns; /* to end by; 0: not to end. Atomic */
	bool connected;
	pthread_mutex_t lock; /* of stats */
	struct export_stats stats;
};

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

static void tell(struct exporter *e, bool bad, const char *text)
{
	if (e->config->say)
		e->config->say(e->config->user, bad, text);
}

static uint64_t deadline(const struct exporter *e)
{
	return __atomic_load_n(&e->deadline_ns, __ATOMIC_ACQUIRE);
}

/* --- which files ------------------------------------------------------------------------------------------------------- */

static bool has_stream(const struct exporter *e, const char *path)
{
	for (unsigned i = 0; i < e->stream_count; i++)
		if (strcmp(e->streams[i]->follow.cursor.path, path) == 0)
			return true;
	return false;
}

static void add_stream(struct exporter *e, const struct export_input *input, const char *path)
{
	char text[EXPORT_ERROR_MAX];
	if (has_stream(e, path) || e->stream_count == EXPORT_STREAMS_MAX)
		return;
	struct stream *s = malloc(sizeof(*s));
	int rc = s ? stream_open(s, e->config, input, path, &e->tools) : -ENOMEM;
	if (rc == 0) {
		e->streams[e->stream_count++] = s;
		return;
	}
	free(s);
	snprintf(text, sizeof(text), "%.180s: %s", path, strerror(-rc));
	tell(e, true, text);
}

/* Whether a file is what rotation made of another one of the list, and comes with that one. */
static bool belongs_to_other(const char *path, char *const *paths, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (sibling_is_rotated(paths[i], path))
			return true;
	return false;
}

static void find_files(struct exporter *e)
{
	for (size_t i = 0; i < e->config->input_count; i++) {
		const struct export_input *input = &e->config->inputs[i];
		glob_t found;
		if (!strpbrk(input->path, "*?[")) {
			add_stream(e, input, input->path);
			continue;
		}
		if (glob(input->path, 0, NULL, &found) != 0)
			continue;
		for (size_t n = 0; n < found.gl_pathc; n++) {
			struct stat st;
			if (stat(found.gl_pathv[n], &st) == 0 && S_ISREG(st.st_mode) &&
			    !belongs_to_other(found.gl_pathv[n], found.gl_pathv, found.gl_pathc))
				add_stream(e, input, found.gl_pathv[n]);
		}
		globfree(&found);
	}
}

/* --- failures ---------------------------------------------------------------------------------------------------------- */

/* Half of it at least, so that many who lost the same SOC do not come back at once. */
static uint64_t jitter(uint64_t ns)
{
	uint32_t r = 0;
	if (getrandom(&r, sizeof(r), GRND_NONBLOCK) != sizeof(r))
		r = (uint32_t)now_ns();
	return ns / 2 + (uint64_t)((double)(ns / 2) * r / UINT32_MAX);
}

static void fail(struct exporter *e, enum stream_result result)
{
	const struct export_config *config = e->config;
	uint64_t pause;
	e->failures++;
	e->connected = false;
	if (strcmp(e->told, e->tools.why) != 0) {
		snprintf(e->told, sizeof(e->told), "%s", e->tools.why);
		tell(e, true, e->told);
	}
	if (result != STREAM_WAIT && link_next(e->tools.link))
		return; /* another address, at once */
	if (result == STREAM_REFUSED) {
		pause = jitter(config->retry_max_ns);
	} else {
		e->retry_ns = e->retry_ns ? e->retry_ns * 2 : config->retry_min_ns;
		if (e->retry_ns > config->retry_max_ns)
			e->retry_ns = config->retry_max_ns;
		pause = jitter(e->retry_ns);
		if (result == STREAM_WAIT && e->tools.wait_ns > pause)
			pause = e->tools.wait_ns;
	}
	e->retry_at_ns = now_ns() + pause;
}

static void succeed(struct exporter *e)
{
	char text[EXPORT_ERROR_MAX];
	if (e->told[0]) {
		snprintf(text, sizeof(text), "%.200s takes lines again", link_address(e->tools.link));
		tell(e, false, text);
	}
	e->told[0] = '\0';
	e->retry_ns = 0;
	e->connected = true;
}

/* --- the sending thread ------------------------------------------------------------------------------------------------ */

static void publish(struct exporter *e)
{
	struct export_stats sum = {.failures = e->failures, .connected = e->connected, .streams = e->stream_count};
	for (unsigned i = 0; i < e->stream_count; i++) {
		const struct stream *s = e->streams[i];
		sum.sent += s->sent;
		sum.batches += s->batches;
		sum.bytes += s->bytes;
		sum.lost += s->follow.lost;
		sum.skipped += s->follow.skipped;
		sum.vanished += s->follow.vanished;
		sum.unsent += s->unsent;
	}
	pthread_mutex_lock(&e->lock);
	e->stats = sum;
	pthread_mutex_unlock(&e->lock);
	uint64_t now = now_ns();
	if (now < e->status_ns)
		return;
	e->status_ns = now + STATUS_NS;
	status_write(e->tools.dir_fd, &sum, e->told);
}

/* One batch of each stream that has one. Whether there may be more at once. */
static bool turn(struct exporter *e, bool at_once)
{
	bool more = false;
	for (unsigned i = 0; i < e->stream_count; i++) {
		struct stream *s = e->streams[i];
		uint64_t now = now_ns();
		stream_tend(s, &e->tools, now);
		if (now < e->retry_at_ns || !stream_is_due(s, now, at_once))
			continue;
		enum stream_result result = stream_send(s, &e->tools);
		if (result == STREAM_SENT)
			succeed(e);
		if (result >= STREAM_FAILED) {
			if (deadline(e) && now_ns() >= deadline(e))
				return false;
			fail(e, result);
		}
		more = more || result != STREAM_IDLE;
	}
	return more && now_ns() >= e->retry_at_ns;
}

/* Whether anything whole is still to be sent. */
static bool is_empty(const struct exporter *e)
{
	for (unsigned i = 0; i < e->stream_count; i++)
		if (follow_waiting(&e->streams[i]->follow) > 0 || e->streams[i]->follow.rotated_ns)
			return false;
	return true;
}

/* Until it is to end, or a while has passed. */
static void nap(struct exporter *e, uint64_t ns)
{
	struct pollfd fd = {.fd = e->wake_fd, .events = POLLIN};
	if (deadline(e)) /* which is what would wake it */
		fd.fd = -1;
	poll(&fd, 1, (int)(ns / 1000000));
}

static void *sender_main(void *user)
{
	struct exporter *e = user;
	if (e->confine)
		e->confine();
	for (unsigned empty = 0;;) {
		uint64_t end = deadline(e), now = now_ns();
		if (now >= e->globbed_ns) {
			find_files(e);
			e->globbed_ns = now + GLOB_NS;
		}
		bool more = turn(e, end != 0);
		publish(e);
		/* twice, for a file may have been about to be followed by another */
		empty = is_empty(e) && !more ? empty + 1 : 0;
		if (end && (empty > 1 || now_ns() >= end))
			return NULL;
		if (!more)
			nap(e, end ? POLL_NS / 10 : POLL_NS);
	}
}

/* --- health ------------------------------------------------------------------------------------------------------------ */

static void *health_main(void *user)
{
	struct exporter *e = user;
	const struct export_config *config = e->config;
	char *text = malloc(HEALTH_BYTES_MAX);
	if (e->confine)
		e->confine();
	while (text && !deadline(e)) {
		struct link_reply reply = {0};
		uint64_t due = now_ns() + config->health_ns;
		size_t len = config->health ? config->health(config->user, text, HEALTH_BYTES_MAX)
					    : status_health(e->began_ns, e, text, HEALTH_BYTES_MAX);
		if (len > 0)
			link_post(e->health_link, "/v1/health", "application/json", false, text, len, &reply);
		if (len > 0 && (reply.trouble != LINK_NONE || reply.status >= 500))
			link_next(e->health_link);
		for (uint64_t now; !deadline(e) && (now = now_ns()) < due;)
			nap(e, due - now + 1000000);
	}
	free(text);
	return NULL;
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

/* One exporter a folder: two would give the same numbers to different lines. */
static int take_folder(struct exporter *e, char *error)
{
	const char *dir = e->config->cursor_dir;
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		goto fail;
	e->tools.dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (e->tools.dir_fd < 0)
		goto fail;
	e->lock_fd = openat(e->tools.dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (e->lock_fd < 0)
		goto fail;
	if (flock(e->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK) {
		snprintf(error, EXPORT_ERROR_MAX, "%.180s: another exporter uses this folder", dir);
		return -EBUSY;
	}
fail:
	snprintf(error, EXPORT_ERROR_MAX, "%.180s: %s", dir, strerror(errno));
	return -errno;
}

static int check(const struct export_config *config, char *error)
{
	const char *what = config->address_count == 0 ? "soc.addresses is not given"
			   : config->input_count == 0 ? "inputs: there is no file to follow"
			   : !config->cursor_dir      ? "soc.cursor-dir is not given"
						      : NULL;
	for (size_t i = 0; i < config->address_count && !what; i++)
		if (strncmp(config->addresses[i], "https://", 8) != 0 || strlen(config->addresses[i]) > 512)
			what = "soc.addresses: each is https://HOST or https://HOST:PORT";
	for (size_t i = 0; i < config->input_count && !what; i++)
		if (!config->inputs[i].path[0] || strlen(config->inputs[i].path) >= PATH_MAX ||
		    strchr(config->inputs[i].path, '\n'))
			what = "inputs: a path is empty, or too long";
	if (what)
		snprintf(error, EXPORT_ERROR_MAX, "%s", what);
	return what ? -EINVAL : 0;
}

static void exporter_free(struct exporter *e)
{
	for (unsigned i = 0; i < e->stream_count; i++) {
		stream_close(e->streams[i], &e->tools);
		free(e->streams[i]);
	}
	free(e->streams);
	link_close(e->tools.link);
	link_close(e->health_link);
	link_keys_free(&e->keys);
	stream_tools_free(&e->tools);
	if (e->wake_fd >= 0)
		close(e->wake_fd);
	if (e->lock_fd >= 0)
		close(e->lock_fd);
	if (e->tools.dir_fd >= 0)
		close(e->tools.dir_fd);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

struct exporter *export_open(const struct export_config *config, char error[static EXPORT_ERROR_MAX])
{
	struct exporter *e = calloc(1, sizeof(*e));
	int rc = -ENOMEM;
	snprintf(error, EXPORT_ERROR_MAX, "soc: %s", strerror(ENOMEM));
	if (!e) {
		errno = ENOMEM;
		return NULL;
	}
	e->config = config;
	e->tools.dir_fd = e->lock_fd = -1;
	e->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	e->tools.say = config->say;
	e->tools.user = config->user;
	e->began_ns = now_ns();
	pthread_mutex_init(&e->lock, NULL);
	e->streams = calloc(EXPORT_STREAMS_MAX, sizeof(e->streams[0]));
	if (!e->streams || e->wake_fd < 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
		goto fail;
	rc = check(config, error);
	if (rc == 0)
		rc = stream_tools_init(&e->tools, config);
	if (rc == 0)
		rc = link_keys_read(&e->keys, config, error);
	if (rc == 0)
		rc = take_folder(e, error);
	if (rc == 0 && (!(e->tools.link = link_open(config, &e->keys, error)) ||
			!(e->health_link = link_open(config, &e->keys, error))))
		rc = -errno;
	if (rc == 0)
		return e;
fail:
	exporter_free(e);
	errno = -rc;
	return NULL;
}

int export_start(struct exporter *e, void (*confine)(void))
{
	e->confine = confine;
	int rc = pthread_create(&e->thread, NULL, sender_main, e);
	if (rc != 0)
		return -rc;
	pthread_setname_np(e->thread, "export");
	e->started = true;
	if (e->config->health_ns == 0)
		return 0;
	rc = pthread_create(&e->health_thread, NULL, health_main, e);
	if (rc != 0)
		return -rc;
	pthread_setname_np(e->health_thread, "health");
	e->health_started = true;
	return 0;
}

struct export_stats export_stats(struct exporter *e)
{
	pthread_mutex_lock(&e->lock);
	struct export_stats stats = e->stats;
	pthread_mutex_unlock(&e->lock);
	return stats;
}

uint64_t export_close(struct exporter *e, uint64_t patience_ns)
{
	uint64_t unsent = 0, one = 1, end = now_ns() + patience_ns;
	if (!e)
		return 0;
	link_stop(e->tools.link, end);
	link_stop(e->health_link, 1);
	__atomic_store_n(&e->deadline_ns, end, __ATOMIC_RELEASE);
	if (write(e->wake_fd, &one, sizeof(one)) != sizeof(one))
		tell(e, true, "the exporter's threads cannot be woken");
	if (e->started)
		pthread_join(e->thread, NULL);
	if (e->health_started)
		pthread_join(e->health_thread, NULL);
	for (unsigned i = 0; i < e->stream_count; i++)
		unsent += follow_unsent(&e->streams[i]->follow);
	status_remove(e->tools.dir_fd);
	exporter_free(e);
	return unsent;
}
