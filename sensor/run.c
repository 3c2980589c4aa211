/* SPDX-License-Identifier: BSD-3-Clause */
/* sekisho run: the command line of the inline daemon, and its signals. */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "control.h"
#include "daemon.h"
#include "metrics.h"
#include "privileges.h"
#include "terminal.h"

struct run_args {
	struct common_args common;
	const char *dir;
};

static void help(FILE *out)
{
	fputs("usage: sekisho run -c FILE [-S RULES]... [-l DIR] [OPTION]...\n\n"
	      "Stands in the wire: judges every packet between the ports of the configuration, forwards or drops it,\n"
	      "and writes what was found to DIR/eve.json, until SIGTERM or SIGINT.\n"
	      "Exit status: 0 fine, 1 something is wrong, 2 the command line is wrong.\n\n"
	      "  -c, --config FILE      configuration (sekisho.yaml)\n"
	      "  -S, --rules RULES      rules: a file, a folder or a glob; may be given again;\n"
	      "                         replaces rule-files of the configuration\n"
	      "  -l, --log-dir DIR      folder of the records; default .\n"
	      "      --set NAME=VALUE   override an option of the configuration; may be given again\n"
	      "      --no-cache         neither read nor write compiled databases\n"
	      "      --cache-dir DIR    folder of compiled databases\n"
	      "      --strict           wrong rules end the run before it begins\n"
	      "  -q, --quiet            errors only\n"
	      "  -h, --help             this\n\n"
	      "examples:\n"
	      "  sekisho run -c /etc/sekisho/sekisho.yaml -l /var/log/sekisho\n"
	      "  sekisho run -S sigs/rules --set backend=afxdp --set afxdp.ports=eth1 --set afxdp.ports=eth2\n"
	      "  sekisho run -S sigs/rules --set backend=nfq --set nfq.install-rules=yes\n",
	      out);
}

static const struct option long_options[] = {
	{"log-dir", required_argument, NULL, 'l'},
	COMMON_OPTIONS,
};

/* One option; -1 to go on, else the exit code. */
static int take_option(int c, struct run_args *a)
{
	switch (c) {
	case 'l':
		a->dir = optarg;
		return -1;
	case 'h':
		help(stdout);
		return EXIT_FINE;
	default:
		return common_option(c, optarg, &a->common);
	}
}

static int parse_args(int argc, char **argv, struct run_args *a)
{
	int c, rc = -1;
	optind = 1;
	while (rc < 0 && (c = getopt_long(argc, argv, "c:S:l:qh", long_options, NULL)) != -1)
		rc = take_option(c, a);
	if (rc == EXIT_USAGE)
		fputs("sekisho run --help shows the options\n", stderr);
	if (rc >= 0)
		return rc;
	if (optind < argc) {
		say_error("\"%s\": run takes no file; sekisho replay judges captures", argv[optind]);
		return EXIT_USAGE;
	}
	return -1;
}

/* The signals that the daemon waits for are blocked in every thread; a reader that went away ends nothing. */
static void block_signals(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGPIPE};
	sigset_t signals;
	sigemptyset(&signals);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaddset(&signals, numbers[i]);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

/* Once the end was asked for, asking again ends at once. */
static void let_signals_end(void)
{
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
}

/* What others can ask by, where the configuration says so; before rights are given up. */
static int open_ears(struct daemon *d, struct control **control, struct metrics **metrics)
{
	const struct config *config = &d->edition->config;
	char error[256];
	if (config->live.control_socket[0]) {
		*control = control_open(d, config->live.control_socket, error);
		if (!*control)
			goto fail;
		privileges_hand_over(config, config->live.control_socket);
	}
	if (config->live.metrics_listen[0] && !(*metrics = metrics_open(d, config->live.metrics_listen, error)))
		goto fail;
	return 0;
fail:
	say_error("%s", error);
	return -EIO;
}

static bool run(struct daemon *d, const struct run_args *a)
{
	block_signals();
	if (daemon_open(d, &a->common, a->dir) != 0)
		return false;
	progress_silence();
	struct control *control = NULL;
	struct metrics *metrics = NULL;
	int rc = open_ears(d, &control, &metrics);
	if (rc == 0)
		rc = daemon_start(d);
	if (rc == 0)
		rc = daemon_watch(d);
	let_signals_end();
	metrics_close(metrics);
	control_close(control);
	return daemon_stop(d) && rc == 0;
}

int cmd_run(int argc, char **argv)
{
	struct run_args a = {.dir = "."};
	int rc = parse_args(argc, argv, &a);
	struct daemon *d = NULL;
	if (rc >= 0)
		goto out;
	rc = EXIT_INPUT;
	a.common.inline_mode = true;
	d = calloc(1, sizeof(*d));
	if (!d)
		goto out;
	if (a.common.quiet)
		progress_silence();
	bool good = run(d, &a);
	good = daemon_close(d) && good;
	rc = good ? EXIT_FINE : EXIT_INPUT;
out:
	free(d);
	common_free(&a.common);
	return rc;
}
