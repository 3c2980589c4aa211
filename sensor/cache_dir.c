/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "terminal.h"

/* A full public rule set takes some hundred MB at most: room for several, then the oldest go. */
#define CACHE_BYTES_MAX (2ull << 30)
#define CACHE_FILES_MAX 32768
#define CACHE_SUFFIX	".db"

static bool make_folders(char *path)
{
	for (char *at = path + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		int rc = mkdir(path, 0700);
		*at = '/';
		if (rc != 0 && errno != EEXIST)
			return false;
	}
	return mkdir(path, 0700) == 0 || errno == EEXIST;
}

char *cache_dir_open(const char *configured)
{
	char path[4096];
	const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	if (configured && strcmp(configured, "none") == 0)
		return NULL;
	if (configured && configured[0])
		snprintf(path, sizeof(path), "%s", configured);
	else if (xdg && xdg[0] == '/')
		snprintf(path, sizeof(path), "%s/sekisho", xdg);
	else if (home && home[0] == '/')
		snprintf(path, sizeof(path), "%s/.cache/sekisho", home);
	else
		snprintf(path, sizeof(path), "/var/cache/sekisho");
	if (!make_folders(path) || access(path, W_OK) != 0) {
		say_warning("cache-dir %s: %s; compiled databases are not kept", path, strerror(errno));
		return NULL;
	}
	return strdup(path);
}

static bool entry_path(const char *dir, const char *key, const char *suffix, char path[static 4096])
{
	int n = snprintf(path, 4096, "%s/%s%s", dir, key, suffix);
	return n > 0 && n < 4096 && !strchr(key, '/') && key[0] != '.';
}

int cache_dir_get(const char *dir, const char *key, struct sigs_blob *blob)
{
	char path[4096];
	if (!entry_path(dir, key, CACHE_SUFFIX, path))
		return -EINVAL;
	int rc = file_read(path, blob);
	if (rc == 0)
		utimensat(AT_FDCWD, path, NULL, 0); /* used now: the pruning keeps it */
	return rc;
}

static int write_file(const char *path, const void *data, size_t len)
{
	int rc = 0, fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	for (size_t at = 0; at < len;) {
		ssize_t n = write(fd, (const char *)data + at, len - at);
		if (n < 0 && errno != EINTR) {
			rc = -errno;
			break;
		}
		at += n > 0 ? (size_t)n : 0;
	}
	if (close(fd) != 0 && rc == 0)
		rc = -errno;
	return rc;
}

int cache_dir_put(const char *dir, const char *key, const void *data, size_t len)
{
	char path[4096], beside[4096], suffix[32];
	snprintf(suffix, sizeof(suffix), ".%ld.tmp", (long)getpid());
	if (!entry_path(dir, key, CACHE_SUFFIX, path) || !entry_path(dir, key, suffix, beside))
		return -EINVAL;
	int rc = write_file(beside, data, len);
	if (rc == 0 && rename(beside, path) != 0)
		rc = -errno;
	if (rc != 0)
		unlink(beside);
	return rc;
}

struct entry {
	char name[128];
	time_t used;
	uint64_t bytes;
};

static int by_use(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	return x->used < y->used ? -1 : x->used > y->used;
}

static bool is_ours(const char *name)
{
	const char *dot = strrchr(name, '.');
	return name[0] != '.' && dot && (strcmp(dot, CACHE_SUFFIX) == 0 || strcmp(dot, ".tmp") == 0) &&
	       strlen(name) < sizeof(((struct entry *)0)->name);
}

void cache_dir_prune(const char *dir)
{
	struct entry *entries = NULL;
	size_t count = 0, cap = 0;
	uint64_t bytes = 0;
	DIR *folder = opendir(dir);
	if (!folder)
		return;
	for (struct dirent *e; (e = readdir(folder));) {
		struct stat st;
		if (!is_ours(e->d_name) || fstatat(dirfd(folder), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		if (count == cap) {
			struct entry *grown = realloc(entries, (cap = cap ? cap * 2 : 256) * sizeof(*entries));
			if (!grown)
				goto out;
			entries = grown;
		}
		entries[count] = (struct entry){.used = st.st_mtime, .bytes = (uint64_t)st.st_size};
		memcpy(entries[count++].name, e->d_name, strlen(e->d_name) + 1);
		bytes += (uint64_t)st.st_size;
	}
	qsort(entries, count, sizeof(*entries), by_use);
	for (size_t i = 0; i < count && (bytes > CACHE_BYTES_MAX || count - i > CACHE_FILES_MAX); i++) {
		unlinkat(dirfd(folder), entries[i].name, 0);
		bytes -= entries[i].bytes;
	}
out:
	free(entries);
	closedir(folder);
}
