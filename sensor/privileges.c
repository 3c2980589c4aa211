/* SPDX-License-Identifier: BSD-3-Clause */
#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifdef HAVE_CAP_NG
#include <cap-ng.h>
#endif

#include "terminal.h"

static bool has_user(const struct config *config)
{
	return config->live.user[0] != '\0';
}

int privileges_check(const struct config *config)
{
	if (!has_user(config))
		return 0;
	if (!getpwnam(config->live.user)) {
		say_error("user: there is no user \"%s\"", config->live.user);
		return -EINVAL;
	}
#ifndef HAVE_CAP_NG
	say_error("user: this build has no libcap-ng, and without it the user could not open a port again");
	return -EINVAL;
#endif
	return 0;
}

void privileges_hand_over(const struct config *config, const char *path)
{
	const struct passwd *user = has_user(config) ? getpwnam(config->live.user) : NULL;
	if (user && chown(path, user->pw_uid, user->pw_gid) != 0)
		say_warning("%s: cannot be given to %s: %s", path, config->live.user, strerror(errno));
}

/* --- capabilities ------------------------------------------------------------------------------------------------------ */

#ifdef HAVE_CAP_NG

/* What the main thread needs to open the backend's ports once more, and to close them. DPDK's AF_XDP driver looks up the XDP
 * program that is on a port, which takes SYS_ADMIN; our own backend remembers what it put there. */
static const int *main_capabilities(enum io_backend backend)
{
	static const int afxdp[] = {CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF, CAP_PERFMON, CAP_IPC_LOCK, -1};
	static const int dpdk[] = {CAP_NET_ADMIN, CAP_NET_RAW,	 CAP_BPF,	CAP_PERFMON,
				   CAP_IPC_LOCK,  CAP_SYS_ADMIN, CAP_SYS_RAWIO, -1};
	static const int nfq[] = {CAP_NET_ADMIN, CAP_NET_RAW, -1};
	return backend == IO_AFXDP ? afxdp : backend == IO_DPDK ? dpdk : nfq;
}

/* A worker reads and writes what is open. Netlink looks at who sends a verdict. */
static const int *worker_capabilities(enum io_backend backend)
{
	static const int none[] = {-1}, nfq[] = {CAP_NET_ADMIN, -1};
	return backend == IO_NFQ ? nfq : none;
}

/* Chooses those of the list that the thread has. */
static void choose(const int *list)
{
	bool has[CAP_LAST_CAP + 1] = {false};
	for (const int *c = list; *c >= 0; c++)
		has[*c] = capng_have_capability(CAPNG_PERMITTED, (unsigned)*c) == 1;
	capng_clear(CAPNG_SELECT_BOTH);
	for (const int *c = list; *c >= 0; c++)
		if (has[*c])
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, (unsigned)*c);
}

static int drop_capabilities(const struct config *config)
{
	const struct passwd *user = has_user(config) ? getpwnam(config->live.user) : NULL;
	int rc;
	capng_get_caps_process();
	bool may_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) == 1;
	choose(main_capabilities(config->live.io.backend));
	if (has_user(config) && !user)
		return -ENOENT;
	if (user)
		rc = capng_change_id((int)user->pw_uid, (int)user->pw_gid,
				     CAPNG_INIT_SUPP_GRP | (may_bound ? CAPNG_CLEAR_BOUNDING : 0));
	else
		rc = capng_apply(may_bound ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS);
	if (rc == 0)
		return 0;
	say_error("privileges cannot be given up (step %d): %s", -rc, strerror(errno));
	return errno ? -errno : -EPERM;
}

static void keep_capabilities(const int *list)
{
	capng_get_caps_process();
	choose(list);
	if (capng_apply(CAPNG_SELECT_CAPS) != 0)
		say_warning("a thread keeps its capabilities: %s", strerror(errno));
}

static void drop_worker_capabilities(const struct config *config)
{
	keep_capabilities(worker_capabilities(config->live.io.backend));
}

void privileges_confine_files(void)
{
	static const int none[] = {-1};
	keep_capabilities(none);
}

#else

static int drop_capabilities(const struct config *config)
{
	(void)config;
	say_warning("capabilities are kept: this build has no libcap-ng");
	return 0;
}

static void drop_worker_capabilities(const struct config *config)
{
	(void)config;
}

void privileges_confine_files(void)
{
}

#endif

/* --- all --------------------------------------------------------------------------------------------------------------- */

int privileges_drop(const struct config *config)
{
	int rc = drop_capabilities(config);
	if (rc != 0)
		return rc;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		say_error("no_new_privs: %s", strerror(errno));
		return -errno;
	}
	rc = seccomp_confine(config, false);
	if (rc != 0)
		say_error("system calls cannot be confined (seccomp: off leaves it): %s", strerror(-rc));
	return rc;
}

void privileges_confine_worker(void *user)
{
	const struct config *config = user;
	drop_worker_capabilities(config);
	int rc = seccomp_confine(config, true);
	if (rc != 0)
		say_warning("a worker's system calls are not confined: %s", strerror(-rc));
}
