/* SPDX-License-Identifier: BSD-3-Clause */
/* sekisho-forward: ships lines of files to the SOC. */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <export/export.h>

enum { EXIT_FINE, EXIT_WRONG, EXIT_USAGE };

/* What is there is sent for so long at the end. */
#define FLUSH_NS 5000000000ull

static void help(FILE *out)
{
	fputs("usage: sekisho-forward -c FILE [--status] [-q]\n\n"
	      "Follows files through their rotations and sends their lines to the SOC, until SIGTERM or SIGINT.\n"
	      "Exit status: 0 fine, 1 something is wrong, 2 the command line is wrong.\n\n"
	      "  -c, --config FILE   configuration\n"
	      "      --status        say as JSON how the one that runs is; 1 when none runs, or it has trouble\n"
	      "  -q, --quiet         troubles only\n"
	      "  -V, --version       the version\n"
	      "  -h, --help          this\n\n"
	      "examples:\n"
	      "  sekisho-forward -c /etc/sekisho/forward.yaml\n"
	      "  sekisho-forward -c /etc/sekisho/forward.yaml --status | jq .unsent_bytes\n\n"
	      "configuration:\n"
	      "  soc:\n"
	      "    addresses: [https://soc.example:8443]\n"
	      "    certificate: /etc/sekisho/forward.crt     # or the PEM text itself\n"
	      "    key: /etc/sekisho/forward.key\n"
	      "    ca: /etc/sekisho/soc-ca.crt\n"
	      "    cursor-dir: /var/lib/sekisho/forward\n"
	      "  inputs:\n"
	      "    - path: /var/log/sekisho/eve.json\n"
	      "    - path: /var/log/remote/*.log\n"
	      "      kind: log\n",
	      out);
}

static void say(void *user, bool bad, const char *text)
{
	if (bad || !*(const bool *)user)
		fprintf(stderr, "sekisho-forward: %s%s\n", bad ? "warning: " : "", text);
}

static int show_status(const struct export_config *config)
{
	char error[EXPORT_ERROR_MAX];
	bool good;
	char *text = export_status(config, &good, error);
	if (!text) {
		fprintf(stderr, "sekisho-forward: error: %s\n", error);
		return EXIT_WRONG;
	}
	bool written = puts(text) >= 0 && fflush(stdout) == 0;
	free(text);
	return good && written ? EXIT_FINE : EXIT_WRONG;
}

static int run(const struct export_config *config, bool quiet)
{
	char error[EXPORT_ERROR_MAX];
	sigset_t signals;
	int number;
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	struct exporter *exporter = export_open(config, error);
	int rc = exporter ? export_start(exporter, NULL) : 0;
	if (!exporter || rc != 0) {
		fprintf(stderr, "sekisho-forward: error: %s\n", exporter ? strerror(-rc) : error);
		export_close(exporter, 0);
		return EXIT_WRONG;
	}
	sigwait(&signals, &number);
	uint64_t unsent = export_close(exporter, FLUSH_NS);
	if (unsent > 0 && !quiet)
		fprintf(stderr, "sekisho-forward: %llu bytes are to be sent by the next run\n",
			(unsigned long long)unsent);
	return EXIT_FINE;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'}, {"status", no_argument, NULL, 's'},
		{"quiet", no_argument, NULL, 'q'},	  {"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},	  {NULL, 0, NULL, 0},
	};
	const char *path = NULL;
	char error[EXPORT_ERROR_MAX];
	bool status = false, quiet = false;
	for (int c; (c = getopt_long(argc, argv, "c:qVh", options, NULL)) != -1;) {
		if (c == 'h' || c == 'V') {
			if (c == 'h')
				help(stdout);
			else
				puts("sekisho-forward " SEKISHO_VERSION);
			return EXIT_FINE;
		}
		if (c == '?')
			return EXIT_USAGE;
		path = c == 'c' ? optarg : path;
		status = status || c == 's';
		quiet = quiet || c == 'q';
	}
	if (!path || optind < argc) {
		fputs("sekisho-forward: error: -c FILE is all it needs; --help shows the options\n", stderr);
		return EXIT_USAGE;
	}
	struct export_config config;
	export_config_defaults(&config);
	config.say = say;
	config.user = &quiet;
	int rc = EXIT_WRONG;
	if (export_config_load(&config, path, error) != 0)
		fprintf(stderr, "sekisho-forward: error: %s\n", error);
	else
		rc = status ? show_status(&config) : run(&config, quiet);
	export_config_free(&config);
	return rc;
}
