/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guard: a process beside the sensor that shares its queues' sockets. When a worker is silent it lets the packets of its queue
 * pass, where the policy is fail-open (a queue fills too slowly for the kernel's own flag to help within a second). When the
 * sensor ends in order, it removes the rules: it has the rights of the start, which the sensor has given up by then. When the
 * sensor is killed, it ends as well: the kernel closes the queues, and the rules let pass or stop, as the policy says.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/netfilter.h>

#include "nfq.h"

#define LOOK_INTERVAL_MS 50
#define PASS_INTERVAL_MS 1 /* while a worker is silent: what waits here is the delay of every packet */
/* Ids of packets that may have come since the worker saw its last one; within half of their circle. */
#define IDS_AHEAD (1u << 30)

enum guard_order { ORDER_REMOVE = 'r', ORDER_LEAVE = 'l' };

static uint64_t monotonic_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* All that waits in a queue. */
static void let_pass(uint16_t queue, int fd, const struct nfq_pulse *pulse)
{
	uint8_t buf[256];
	struct nfq_verdicts verdicts = {.buf = buf, .room = sizeof(buf)};
	if (nfq_verdict_up_to(&verdicts, queue, atomic_load(&pulse->last_id) + IDS_AHEAD, NF_ACCEPT, NULL))
		(void)nfq_verdicts_send(&verdicts, fd);
}

/* Returns whether the queue's worker is silent. */
static bool look_after(uint16_t queue, int fd, struct nfq_pulse *pulse)
{
	uint64_t beat = atomic_load(&pulse->heartbeat_ns), now = monotonic_ns();
	if (beat == 0 || now < beat || now - beat < NFQ_SILENCE_NS)
		return false;
	atomic_fetch_add(&pulse->passed_by, 1);
	let_pass(queue, fd, pulse);
	return true;
}

static _Noreturn void guard_main(int order_fd, const struct io_nfq_config *config, unsigned workers, const int *fds,
				 struct nfq_pulse *pulses)
{
	struct pollfd poll_order = {.fd = order_fd, .events = POLLIN};
	char order = ORDER_LEAVE;
	bool silent = false;
	/* what stops or ends the sensor by its terminal is not for us */
	setsid();
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NAME, "sekisho-guard");
	for (;;) {
		int n = poll(&poll_order, 1, !config->fail_open ? -1 : silent ? PASS_INTERVAL_MS : LOOK_INTERVAL_MS);
		if (n > 0) {
			/* an order, or the sensor's end of the line closed: it is gone */
			if (read(order_fd, &order, 1) != 1)
				order = ORDER_LEAVE;
			break;
		}
		silent = false;
		for (unsigned i = 0; config->fail_open && i < workers; i++)
			silent |= look_after((uint16_t)(config->queue + i), fds[i], &pulses[i]);
	}
	for (unsigned i = 0; i < workers; i++)
		close(fds[i]); /* a successor may have them now */
	if (order == ORDER_REMOVE && config->install_rules)
		nfq_rules_remove(config);
	/* what still waits would be dropped with the queue */
	for (unsigned i = 0; config->fail_open && i < workers; i++)
		let_pass((uint16_t)(config->queue + i), fds[i], &pulses[i]);
	_exit(0);
}

int nfq_guard_start(struct nfq_guard *guard, const struct io_nfq_config *config, unsigned workers, const int *fds,
		    struct nfq_pulse *pulses)
{
	int line[2];
	guard->pid = 0;
	guard->fd = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line) != 0)
		return -errno;
	guard->pid = fork();
	if (guard->pid < 0) {
		int rc = -errno;
		close(line[0]);
		close(line[1]);
		guard->pid = 0;
		return rc;
	}
	if (guard->pid == 0) {
		sigset_t none;
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		close(line[0]);
		guard_main(line[1], config, workers, fds, pulses);
	}
	close(line[1]);
	guard->fd = line[0];
	return 0;
}

bool nfq_guard_stop(struct nfq_guard *guard, bool leave)
{
	const char order = leave ? ORDER_LEAVE : ORDER_REMOVE;
	int status = -1;
	if (guard->pid <= 0)
		return false;
	(void)send(guard->fd, &order, 1, MSG_NOSIGNAL);
	close(guard->fd);
	while (waitpid(guard->pid, &status, 0) < 0 && errno == EINTR)
		;
	guard->pid = 0;
	guard->fd = -1;
	return status >= 0 && WIFEXITED(status);
}
