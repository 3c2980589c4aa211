/* SPDX-License-Identifier: BSD-3-Clause */
/* sekisho replay: captures in, records and verdicts out. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "account.h"
#include "command.h"
#include "eve_stats.h"
#include "rules_load.h"
#include "summary.h"
#include "terminal.h"
#include "worker.h"

struct replay_args {
	struct common_args common;
	const char *dir;
	const char *write_path;
	const char *filter;
	bool json, stats;
	char **captures;
	int capture_count;
};

static void help(FILE *out)
{
	fputs("usage: sekisho replay [-c FILE] [-S RULES]... [-l DIR] [OPTION]... CAPTURE...\n\n"
	      "Judges captures (pcap or pcapng, gzip'd or not, - is standard input) as if they passed the wire, and\n"
	      "writes what was found to DIR/eve.json.\n"
	      "Exit status: 0 fine, 1 something is wrong with the input (what could be read was judged), 2 the\n"
	      "command line is wrong.\n\n"
	      "  -c, --config FILE      configuration (sekisho.yaml); without it, defaults\n"
	      "  -S, --rules RULES      rules: a file, a folder or a glob; may be given again;\n"
	      "                         replaces rule-files of the configuration\n"
	      "  -l, --log-dir DIR      folder of the records; default .\n"
	      "      --inline           judge as the inline sensor does: on arrival, and drop\n"
	      "      --checksum none    do not verify checksums (captures taken on a sending host); default all\n"
	      "  -w, --write OUT.pcap   write what would have been forwarded\n"
	      "      --filter BPF       judge only packets that this expression takes\n"
	      "      --set NAME=VALUE   override an option of the configuration; may be given again\n"
	      "      --no-cache         neither read nor write compiled databases\n"
	      "      --cache-dir DIR    folder of compiled databases\n"
	      "      --strict           wrong rules end the run before it begins\n"
	      "      --stats            all counters in the summary\n"
	      "      --json             the summary as one JSON object on standard output\n"
	      "  -q, --quiet            errors only\n"
	      "  -h, --help             this\n\n"
	      "examples:\n"
	      "  sekisho replay -S sigs/rules -l /tmp/out attack.pcap\n"
	      "  sekisho replay -c sekisho.yaml -S 'etopen/*.rules' --inline -w clean.pcap attack.pcap\n"
	      "  zcat day.pcap.gz | sekisho replay -S etopen --filter 'not port 22' -\n",
	      out);
}

enum { OPT_INLINE = OPT_OWN, OPT_CHECKSUM, OPT_FILTER, OPT_STATS, OPT_JSON };

static const struct option long_options[] = {
	{"log-dir", required_argument, NULL, 'l'},
	{"inline", no_argument, NULL, OPT_INLINE},
	{"checksum", required_argument, NULL, OPT_CHECKSUM},
	{"write", required_argument, NULL, 'w'},
	{"filter", required_argument, NULL, OPT_FILTER},
	{"stats", no_argument, NULL, OPT_STATS},
	{"json", no_argument, NULL, OPT_JSON},
	COMMON_OPTIONS,
};

/* One option; -1 to go on, else the exit code. */
static int take_option(int c, struct replay_args *a)
{
	switch (c) {
	case 'l':
		a->dir = optarg;
		return -1;
	case 'w':
		a->write_path = optarg;
		return -1;
	case OPT_INLINE:
		a->common.inline_mode = true;
		return -1;
	case OPT_FILTER:
		a->filter = optarg;
		return -1;
	case OPT_STATS:
		a->stats = true;
		return -1;
	case OPT_JSON:
		a->json = true;
		return -1;
	case OPT_CHECKSUM:
		a->common.no_checksums = strcmp(optarg, "none") == 0;
		if (a->common.no_checksums || strcmp(optarg, "all") == 0)
			return -1;
		say_error("--checksum takes none or all, not \"%s\"", optarg);
		return EXIT_USAGE;
	case 'h':
		help(stdout);
		return EXIT_FINE;
	default:
		return common_option(c, optarg, &a->common);
	}
}

static int parse_args(int argc, char **argv, struct replay_args *a)
{
	int c, rc = -1;
	optind = 1;
	while (rc < 0 && (c = getopt_long(argc, argv, "c:S:l:w:qh", long_options, NULL)) != -1)
		rc = take_option(c, a);
	if (rc == EXIT_USAGE)
		fputs("sekisho replay --help shows the options\n", stderr);
	if (rc >= 0)
		return rc;
	a->captures = argv + optind;
	a->capture_count = argc - optind;
	if (a->capture_count == 0) {
		say_error("no capture is given; sekisho replay --help shows how");
		return EXIT_USAGE;
	}
	return -1;
}

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

static void show_progress(void *user, const struct worker_tally *tally)
{
	(void)user;
	progress_show("%llu packets, %llu MB, %llu alerts", (unsigned long long)tally->received,
		      (unsigned long long)(tally->bytes >> 20), (unsigned long long)tally->alerts);
}

/* The parts of a run, in the order in which they are made. */
struct replay {
	const struct replay_args *args;
	struct config config;
	struct rules rules;
	struct records *records;
	struct io *io;
	struct counters counters;
	struct worker *worker;
	struct summary summary;
	bool io_told; /* the error that closing io would tell once more */
};

static int load_rules(struct replay *r)
{
	const struct replay_args *a = r->args;
	const struct rules_options rule_options = {
		.paths = a->common.rules.items,
		.path_count = a->common.rules.count,
		.cache_dir = a->common.cache_dir,
		.no_cache = a->common.no_cache,
		.quiet = a->common.quiet,
	};
	int rc = rules_read(&r->rules, &r->config, &rule_options);
	if (rc == 0 && a->common.strict && (r->rules.errors > 0 || r->rules.counts.failed > 0)) {
		say_error("%u rules are wrong, and --strict was given", r->rules.counts.failed);
		return -EINVAL;
	}
	return rc == 0 ? rules_compile(&r->rules, &r->config) : rc;
}

static int open_all(struct replay *r)
{
	const struct replay_args *a = r->args;
	char error[256];
	if (mkdir(a->dir, 0755) != 0 && errno != EEXIST) {
		say_error("%s: %s", a->dir, strerror(errno));
		return -EINVAL;
	}
	const struct io_pcap_config captures = {
		.captures = (const char *const *)a->captures,
		.capture_count = (size_t)a->capture_count,
		.write_path = a->write_path,
		.filter = a->filter,
	};
	r->io = io_pcap_open(&captures, &r->counters, error);
	if (!r->io) {
		say_error("%s", error);
		return -EINVAL;
	}
	r->records = records_open(&r->config, a->dir, error);
	if (!r->records) {
		say_error("%s", error);
		return -EINVAL;
	}
	const struct worker_config worker = {
		.config = &r->config,
		.io = r->io,
		.records = r->records,
		.ruleset = r->rules.ruleset,
		.env = &r->rules.env,
		.source = io_pcap_current,
		.progress = show_progress,
		.stop = &stop,
	};
	r->worker = worker_new(&worker, &r->counters, error);
	if (!r->worker)
		say_error("%s", error);
	return r->worker ? 0 : -ENOMEM;
}

static double now_seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool judge_all(struct replay *r)
{
	double start = now_seconds();
	int rc = worker_run(r->worker);
	r->summary.seconds = now_seconds() - start;
	progress_clear();
	if (rc != 0)
		say_error("%s", r->io->error[0] ? r->io->error : strerror(-rc));
	r->io_told = rc != 0 && r->io->error[0] != '\0';
	const struct worker_tally *t = &r->worker->tally;
	bool whole = account_balances(t, &r->counters, r->config.inline_mode) && t->held == 0;
	if (!whole)
		say_error("%llu packets were received, but %llu forwarded and %llu dropped: please report this",
			  (unsigned long long)t->received, (unsigned long long)t->forwarded,
			  (unsigned long long)t->dropped);
	record_stats(r->records, t->last_ns, (t->last_ns - t->first_ns) / 1000000000ull, &r->counters, &r->rules.counts,
		     NULL);
	r->summary.tally = *t;
	return rc == 0 && whole;
}

/* Closing may fail too: a full disk shows here at the latest. */
static bool close_all(struct replay *r)
{
	bool good = true;
	char error[256] = "";
	worker_free(r->worker);
	if (r->records)
		r->summary.records = records_stats(r->records);
	int rc = records_close(r->records);
	if (rc != 0) {
		say_error("%s/%s: %s", r->args->dir, r->config.records.filename, strerror(-rc));
		good = false;
	}
	if (r->io && (rc = r->io->ops->close(r->io, error)) != 0) {
		if (!r->io_told)
			say_error("%s", error[0] ? error : strerror(-rc));
		good = false;
	}
	return good;
}

int cmd_replay(int argc, char **argv)
{
	struct replay_args a = {.dir = "."};
	int rc = parse_args(argc, argv, &a);
	struct replay *r = NULL;
	if (rc >= 0)
		goto out;
	rc = EXIT_INPUT;
	r = calloc(1, sizeof(*r));
	if (!r)
		goto out;
	r->args = &a;
	if (a.common.quiet)
		progress_silence();
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	bool good = common_config(&a.common, &r->config) == 0 && load_rules(r) == 0 && open_all(r) == 0 && judge_all(r);
	bool judged = r->worker != NULL;
	good = close_all(r) && good;
	if (judged)
		summary_print(&r->summary, &r->rules, &r->counters,
			      (struct summary_options){.quiet = a.common.quiet, .json = a.json, .stats = a.stats});
	rules_free(&r->rules);
	config_free(&r->config);
	rc = good ? EXIT_FINE : EXIT_INPUT;
out:
	free(r);
	common_free(&a.common);
	return rc;
}
