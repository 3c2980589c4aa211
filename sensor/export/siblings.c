/* SPDX-License-Identifier: BSD-3-Clause */
#include "siblings.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Looks at a folder in which files are being renamed. */
#define LOOKS_MAX 8

bool sibling_is_rotated(const char *base, const char *name)
{
	size_t len = strlen(base);
	if (strncmp(name, base, len) != 0 || (name[len] != '.' && name[len] != '-') || name[len + 1] < '0' ||
	    name[len + 1] > '9')
		return false;
	const char *suffix = name + len + 1;
	return suffix[strspn(suffix, "0123456789.-_:T")] == '\0';
}

/* PATH.12 is older than PATH.3; names with dates are older than those, and in order; the path itself is the newest. */
static bool counts(const char *suffix, unsigned long *number)
{
	char *end;
	*number = strtoul(suffix + 1, &end, 10);
	return suffix[0] == '.' && *end == '\0' && end - suffix <= 5;
}

static int compare(const void *va, const void *vb, void *user)
{
	const struct sibling *a = va, *b = vb;
	size_t base = *(const size_t *)user;
	const char *sa = a->name + base, *sb = b->name + base;
	unsigned long na, nb;
	if (!*sa || !*sb)
		return (*sa == '\0') - (*sb == '\0');
	bool ca = counts(sa, &na), cb = counts(sb, &nb);
	if (ca && cb)
		return (na < nb) - (na > nb);
	return ca != cb ? ca - cb : strcmp(sa, sb);
}

static int look(const char *path, struct siblings *s)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	char dir[4096];
	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
	DIR *d = opendir(dir);
	s->count = 0;
	s->has_path = false;
	if (!d)
		return errno == ENOENT ? 0 : -errno;
	for (struct dirent *e; (e = readdir(d));) {
		struct stat st;
		bool self = strcmp(e->d_name, base) == 0;
		if ((!self && !sibling_is_rotated(base, e->d_name)) || s->count == SIBLINGS_MAX ||
		    strlen(e->d_name) >= SIBLING_NAME_MAX || fstatat(dirfd(d), e->d_name, &st, 0) != 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		struct sibling *n = &s->items[s->count++];
		memset(n, 0, sizeof(*n));
		memcpy(n->name, e->d_name, strlen(e->d_name));
		n->device = st.st_dev;
		n->inode = st.st_ino;
		n->size = (uint64_t)st.st_size;
		s->has_path = s->has_path || self;
	}
	closedir(d);
	size_t len = strlen(base);
	qsort_r(s->items, s->count, sizeof(s->items[0]), compare, &len);
	return 0;
}

static bool same(const struct siblings *a, const struct siblings *b)
{
	if (a->count != b->count)
		return false;
	for (unsigned i = 0; i < a->count; i++)
		if (a->items[i].inode != b->items[i].inode || a->items[i].device != b->items[i].device ||
		    strcmp(a->items[i].name, b->items[i].name) != 0)
			return false;
	return true;
}

int siblings_list(const char *path, struct siblings *s)
{
	struct siblings *again = malloc(sizeof(*again));
	if (!again)
		return -ENOMEM;
	int rc = look(path, s);
	for (unsigned i = 0; i < LOOKS_MAX && rc == 0; i++) {
		rc = look(path, again);
		if (rc != 0 || same(s, again))
			goto out;
		*s = *again;
	}
	if (rc == 0)
		rc = -EAGAIN;
out:
	free(again);
	return rc;
}
