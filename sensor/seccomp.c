/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The system calls that the daemon needs once it runs: two lists, the workers' and, in addition to it, the other threads'.
 * What is not on them is logged, refused or deadly, as the configuration says.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "privileges.h"
#include "terminal.h"

#ifdef HAVE_SECCOMP
#include <seccomp.h>

/* A worker: packets in and out, the clock, and the end of its thread. */
static const char *const worker_calls[] = {
	"read",	  /* a queue's event */
	"write",  /* words before the end, of the C library or a sanitizer */
	"writev", /* the same */
	"close",
	"sendto", /* AF_XDP: wakes the kernel; NFQUEUE: verdicts */
	"sendmsg",
	"sendmmsg",
	"recvfrom", /* AF_XDP: wakes the kernel; NFQUEUE: packets */
	"recvmsg",
	"recvmmsg",
	"poll", /* waits for packets */
	"ppoll",
	"epoll_wait",
	"epoll_pwait",
	"select",
	"pselect6",
	"getsockopt", /* AF_XDP: its statistics */
	"setsockopt", /* NFQUEUE: buffer sizes */
	"bpf",	      /* shunts and heartbeats in maps that are open */
	"ioctl",      /* DPDK's vdevs */
	"nanosleep",  /* waits without a queue to wait on */
	"clock_nanosleep",
	"clock_gettime", /* where the vDSO has none */
	"gettimeofday",
	"time",
	"futex", /* locks of the C library; datasets that rules change */
	"sched_yield",
	"mmap", /* memory of pools and buffers that is touched first, large blocks of the C library */
	"munmap",
	"mprotect",
	"mremap",
	"madvise",
	"brk",
	"getrandom", /* seeds of hashes */
	"gettid",
	"getpid",
	"getuid",
	"geteuid",
	"tgkill", /* abort() */
	"rt_sigprocmask",
	"rt_sigaction",
	"rt_sigreturn",
	"sigaltstack",
	"restart_syscall", /* sleeps that a stop signal interrupted */
	"membarrier",
	"sched_getaffinity",
	"exit",
	"exit_group",
};

/* The main thread, the journal and a reload: files, the service manager, control sockets, threads, ports opened again. */
static const char *const main_calls[] = {
	"openat", /* rules, configuration, records */
	"wait4",  /* the guard of NFQUEUE ends before the sensor does */
	"open",
	"creat",
	"pread64",
	"pwrite64",
	"readv",
	"preadv",
	"pwritev",
	"lseek",
	"fstat",
	"stat",
	"lstat",
	"newfstatat",
	"statx",
	"statfs",
	"fstatfs",
	"access",
	"faccessat",
	"faccessat2",
	"readlink",
	"readlinkat",
	"getdents64", /* folders of rules */
	"getcwd",
	"chdir",
	"rename", /* rotation; a cache entry takes its place whole */
	"renameat",
	"renameat2",
	"unlink",
	"unlinkat",
	"mkdir", /* the cache */
	"mkdirat",
	"rmdir",
	"chmod", /* the control socket */
	"fchmod",
	"fchmodat",
	"fchown",
	"chown",
	"umask",
	"truncate",  /* the file with the number */
	"ftruncate", /* half a record at the end of a file */
	"fallocate",
	"fsync",
	"fdatasync",
	"flock",
	"fcntl",
	"utimensat", /* a cache entry that was used */
	"dup",
	"dup2",
	"dup3",
	"pipe2",
	"eventfd2",
	"epoll_create1",
	"epoll_ctl",
	"timerfd_create",
	"timerfd_settime",
	"socket", /* control, metrics, the record socket, netlink, ports opened again */
	"socketpair",
	"bind",
	"listen",
	"accept",
	"accept4",
	"connect",
	"shutdown",
	"getsockname",
	"getpeername",
	"rt_sigtimedwait",
	"rt_sigpending",
	"set_robust_list", /* a thread begins */
	"set_tid_address",
	"rseq",
	"arch_prctl",
	"sched_setaffinity",
	"setpriority", /* a reload stands back */
	"sched_setscheduler",
	"sched_getparam",
	"sched_getscheduler",
	"sched_get_priority_min",
	"sched_get_priority_max",
	"prctl", /* names of threads, capabilities of workers */
	"capget",
	"capset",
	"seccomp", /* workers confine themselves further */
	"getgid",
	"getegid",
	"getppid",
	"getresuid",
	"getresgid",
	"getrusage",
	"prlimit64",
	"getrlimit",
	"setrlimit",
	"sysinfo",
	"uname",
	"times",
	"mlock", /* memory of ports opened again */
	"munlock",
	"mlock2",
	"mincore",
	"msync",
	"get_mempolicy",
	"mbind",
	"set_mempolicy",
	"memfd_create",
	"perf_event_open", /* libbpf looks what the kernel can */
};

/* iptables, which is run to remove the rules of NFQUEUE. */
static const char *const child_calls[] = {
	"clone",     "clone3", "vfork",		"fork",	     "execve",	    "waitid",	    "pipe",
	"setpgid",   "setsid", "getpgrp",	"getpgid",   "kill",	    "setuid",	    "setgid",
	"setgroups", "alarm",  "rt_sigsuspend", "getgroups", "init_module", "finit_module", "close_range",
};

static int allow(scmp_filter_ctx filter, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int number = seccomp_syscall_resolve_name(names[i]);
		if (number == __NR_SCMP_ERROR)
			continue; /* another kind of machine has none of that name */
		int rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
		if (rc != 0 && rc != -EDOM)
			return rc;
	}
	return 0;
}

/* Threads may be started, processes not. The C library tries clone3 first, whose flags no filter can see, and takes clone then. */
static int allow_threads(scmp_filter_ctx filter)
{
	int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (rc == 0)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				      SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	return rc;
}

static uint32_t action_of(int mode)
{
	return mode == SECCOMP_LOG    ? SCMP_ACT_LOG
	       : mode == SECCOMP_KILL ? SCMP_ACT_KILL_PROCESS
				      : SCMP_ACT_ERRNO(EPERM);
}

int seccomp_confine(const struct config *config, bool worker)
{
	if (config->live.seccomp == SECCOMP_OFF)
		return 0;
	/* should the guard be dead at the end, root removes the rules by itself */
	bool runs_iptables =
		config->live.io.backend == IO_NFQ && config->live.io.nfq.install_rules && config->live.user[0] == '\0';
	scmp_filter_ctx filter = seccomp_init(action_of(config->live.seccomp));
	if (!filter)
		return -ENOMEM;
	int rc = allow(filter, worker_calls, sizeof(worker_calls) / sizeof(worker_calls[0]));
	if (rc == 0 && !worker)
		rc = allow(filter, main_calls, sizeof(main_calls) / sizeof(main_calls[0]));
	if (rc == 0 && !worker && runs_iptables)
		rc = allow(filter, child_calls, sizeof(child_calls) / sizeof(child_calls[0]));
	else if (rc == 0 && !worker)
		rc = allow_threads(filter);
	if (rc == 0)
		rc = seccomp_load(filter);
	seccomp_release(filter);
	return rc;
}

#else

int seccomp_confine(const struct config *config, bool worker)
{
	if (!worker && config->live.seccomp != SECCOMP_OFF)
		say_warning("system calls are not confined: this build has no libseccomp");
	return 0;
}

#endif
