/* SPDX-License-Identifier: BSD-3-Clause */
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "stream.h"

static json_t *stats_json(const struct export_stats *s)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:b}", "sent", (json_int_t)s->sent, "batches",
			 (json_int_t)s->batches, "bytes", (json_int_t)s->bytes, "lost", (json_int_t)s->lost, "skipped",
			 (json_int_t)s->skipped, "vanished", (json_int_t)s->vanished, "failures",
			 (json_int_t)s->failures, "unsent_bytes", (json_int_t)s->unsent, "streams", (int)s->streams,
			 "connected", s->connected);
}

void status_write(int dir_fd, const struct export_stats *stats, const char *trouble)
{
	json_t *j = stats_json(stats);
	if (j)
		json_object_set_new(j, "pid", json_integer(getpid()));
	if (j && trouble[0])
		json_object_set_new(j, "trouble", json_string(trouble));
	char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
	int fd = text ? openat(dir_fd, "status.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
	ssize_t len = text ? (ssize_t)strlen(text) : 0;
	if (fd >= 0 && write(fd, text, (size_t)len) == len)
		renameat(dir_fd, "status.new", dir_fd, "status.json");
	if (fd >= 0)
		close(fd);
	free(text);
	json_decref(j);
}

void status_remove(int dir_fd)
{
	unlinkat(dir_fd, "status.json", 0);
}

size_t status_health(uint64_t began_ns, struct exporter *exporter, char *text, size_t size)
{
	struct timespec now, wall;
	struct rusage usage;
	struct tm utc;
	char clock[40];
	clock_gettime(CLOCK_MONOTONIC, &now);
	clock_gettime(CLOCK_REALTIME, &wall);
	getrusage(RUSAGE_SELF, &usage);
	strftime(clock, sizeof(clock), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&wall.tv_sec, &utc));
	const struct export_stats stats = export_stats(exporter);
	json_t *j = json_pack("{s:s, s:s, s:s, s:I, s:f, s:I, s:o}", "program", "sekisho-forward", "version",
			      SEKISHO_VERSION, "clock", clock, "uptime",
			      (json_int_t)now.tv_sec - (json_int_t)(began_ns / 1000000000), "cpu_seconds",
			      (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec), "memory_bytes",
			      (json_int_t)usage.ru_maxrss * 1024, "export", stats_json(&stats));
	size_t len = j ? json_dumpb(j, text, size, JSON_COMPACT) : 0;
	json_decref(j);
	return len <= size ? len : 0;
}

char *export_status(const struct export_config *config, bool *good, char error[static EXPORT_ERROR_MAX])
{
	*good = false;
	int dir = config->cursor_dir ? open(config->cursor_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (dir < 0) {
		snprintf(error, EXPORT_ERROR_MAX, "%.150s: %s", config->cursor_dir ? config->cursor_dir : "cursor-dir",
			 strerror(errno));
		return NULL;
	}
	/* who runs holds the lock; what a killed one left is told as it is */
	int lock = openat(dir, "lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	bool running = lock >= 0 && flock(lock, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
	char text[4096];
	int fd = openat(dir, "status.json", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t len = fd >= 0 ? read(fd, text, sizeof(text)) : 0;
	json_t *j = len > 0 ? json_loadb(text, (size_t)len, 0, NULL) : NULL;
	if (fd >= 0)
		close(fd);
	if (lock >= 0)
		close(lock);
	close(dir);
	if (!json_is_object(j)) {
		json_decref(j);
		j = json_object();
	}
	json_object_set_new(j, "running", json_boolean(running));
	*good = running && !json_object_get(j, "trouble");
	char *result = json_dumps(j, JSON_INDENT(2));
	json_decref(j);
	if (!result)
		snprintf(error, EXPORT_ERROR_MAX, "%s", strerror(ENOMEM));
	return result;
}
