/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sensor's own iptables rules: one chain, SEKISHO-<queue>, that the chains of the configuration jump to before all else. They
 * stand in the mangle table, so that the rules of whoever runs the machine (in filter) still decide on what the sensor lets pass.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nfq.h"

extern char **environ;

/* The two flavours that a machine may have; the first that works is used. */
static const char *const programs[2][2] = {{"iptables", "iptables-legacy"}, {"ip6tables", "ip6tables-legacy"}};
static const char *const known_chains[] = {"FORWARD", "INPUT", "OUTPUT"};
#define KNOWN_CHAINS (sizeof(known_chains) / sizeof(known_chains[0]))

/* Runs a program to its end, with `input` on its standard input. Returns its exit code, or -errno. */
static int run(const char *const *arguments, const char *input)
{
	posix_spawn_file_actions_t actions;
	int pipe_fd[2], status;
	pid_t pid;
	if (pipe2(pipe_fd, O_CLOEXEC) != 0)
		return -errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipe_fd[0], STDIN_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	int rc = -posix_spawnp(&pid, arguments[0], &actions, NULL, (char *const *)(uintptr_t)arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(pipe_fd[0]);
	if (rc == 0 && input && write(pipe_fd[1], input, strlen(input)) < 0)
		rc = 0; /* it ended before it read all: its exit code says why */
	close(pipe_fd[1]);
	if (rc != 0)
		return rc;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -ECHILD;
}

static void chain_name(const struct io_nfq_config *config, char name[static 32])
{
	snprintf(name, 32, "SEKISHO-%u", config->queue);
}

static bool wants_chain(const struct io_nfq_config *config, const char *chain)
{
	for (size_t i = 0; i < config->chain_count; i++)
		if (strcmp(config->chains[i], chain) == 0)
			return true;
	return false;
}

/* Our chain's rules, in place of what it had: one step for the kernel. */
static int fill_chain(const struct io_nfq_config *config, unsigned workers, const char *program)
{
	char name[32], restore[64], queues[64], text[512];
	chain_name(config, name);
	snprintf(restore, sizeof(restore), "%s-restore", program);
	if (workers > 1)
		snprintf(queues, sizeof(queues), "--queue-balance %u:%u", config->queue, config->queue + workers - 1);
	else
		snprintf(queues, sizeof(queues), "--queue-num %u", config->queue);
	/* what the machine says to itself comes from no network; and most of its segments are too long for a message */
	snprintf(text, sizeof(text),
		 "*mangle\n"
		 ":%s - [0:0]\n"
		 "-A %s -m mark --mark 0x%x/0x%x -j RETURN\n"
		 "-A %s -i lo -j RETURN\n"
		 "-A %s -o lo -j RETURN\n"
		 "-A %s -j NFQUEUE %s%s\n"
		 "COMMIT\n",
		 name, name, NFQ_OWN_MARK, NFQ_OWN_MARK, name, name, name, queues,
		 config->fail_open ? " --queue-bypass" : "");
	const char *const arguments[] = {restore, "--noflush", "-w", "5", NULL};
	return run(arguments, text);
}

static int jump(const char *program, const char *what, const char *chain, const char *name)
{
	const char *const insert[] = {program, "-w", "5", "-t", "mangle", what, chain, "1", "-j", name, NULL};
	const char *const other[] = {program, "-w", "5", "-t", "mangle", what, chain, "-j", name, NULL};
	return run(strcmp(what, "-I") == 0 ? insert : other, NULL);
}

static int install_with(const struct io_nfq_config *config, unsigned workers, const char *program)
{
	char name[32];
	chain_name(config, name);
	int rc = fill_chain(config, workers, program);
	for (size_t i = 0; i < config->chain_count && rc == 0; i++)
		if (jump(program, "-C", config->chains[i], name) != 0)
			rc = jump(program, "-I", config->chains[i], name);
	/* a predecessor may have stood elsewhere */
	for (size_t i = 0; i < KNOWN_CHAINS && rc == 0; i++)
		while (!wants_chain(config, known_chains[i]) && jump(program, "-D", known_chains[i], name) == 0)
			;
	return rc;
}

static void remove_with(const struct io_nfq_config *config, const char *program)
{
	char name[32];
	chain_name(config, name);
	for (size_t i = 0; i < KNOWN_CHAINS; i++)
		while (jump(program, "-D", known_chains[i], name) == 0)
			;
	const char *const flush[] = {program, "-w", "5", "-t", "mangle", "-F", name, NULL};
	const char *const forget[] = {program, "-w", "5", "-t", "mangle", "-X", name, NULL};
	if (run(flush, NULL) == 0)
		(void)run(forget, NULL);
}

static bool has_ipv6(void)
{
	return access("/proc/net/if_inet6", R_OK) == 0;
}

int nfq_rules_install(const struct io_nfq_config *config, unsigned workers, char *error)
{
	for (size_t i = 0; i < config->chain_count; i++) {
		bool known = false;
		for (size_t k = 0; k < KNOWN_CHAINS; k++)
			known |= strcmp(config->chains[i], known_chains[k]) == 0;
		if (!known) {
			snprintf(error, IO_ERROR_MAX, "nfq.chains: %.64s is none of FORWARD, INPUT and OUTPUT",
				 config->chains[i]);
			return -EINVAL;
		}
	}
	for (unsigned v6 = 0; v6 < (has_ipv6() ? 2u : 1u); v6++) {
		int rc = -ENOENT;
		for (unsigned flavour = 0; flavour < 2 && rc != 0; flavour++) {
			rc = install_with(config, workers, programs[v6][flavour]);
			if (rc != 0)
				remove_with(config, programs[v6][flavour]);
		}
		if (rc != 0) {
			nfq_rules_remove(config);
			snprintf(
				error, IO_ERROR_MAX,
				"nfq.install-rules: neither %s nor %s could put an NFQUEUE rule into the mangle table; "
				"is iptables installed, and NFQUEUE in the kernel?",
				programs[v6][0], programs[v6][1]);
			return -EOPNOTSUPP;
		}
	}
	return 0;
}

void nfq_rules_remove(const struct io_nfq_config *config)
{
	for (unsigned v6 = 0; v6 < 2; v6++)
		for (unsigned flavour = 0; flavour < 2; flavour++)
			remove_with(config, programs[v6][flavour]);
}
