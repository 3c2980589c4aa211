/* SPDX-License-Identifier: BSD-3-Clause */
/* sekisho run: the inline daemon. Opens the device, starts a worker a processor, and waits for what signals say. */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "command.h"
#include "rules_load.h"
#include "summary.h"
#include "terminal.h"
#include "worker.h"

/* How often the main thread looks after the ports. */
#define TEND_INTERVAL_NS 200000000

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

/* --- the daemon's parts, in the order in which they are made ---------------------------------------------------------- */

/* A worker and what it is given; every part of it has a cache line of its own. */
struct lane {
	struct counters counters;
	struct io *io;
	struct records *records;
	struct worker *worker;
	pthread_t thread;
	bool started;
	int cpu; /* -1: any */
	int result;
} __attribute__((aligned(64)));

struct daemon {
	const struct run_args *args;
	struct config config;
	struct rules rules;
	struct io_device *device;
	struct lane *lanes;
	unsigned lane_count;
	volatile sig_atomic_t stop;
};

static int load_rules(struct daemon *d)
{
	const struct run_args *a = d->args;
	const struct rules_options options = {
		.paths = a->common.rules.items,
		.path_count = a->common.rules.count,
		.cache_dir = a->common.cache_dir,
		.no_cache = a->common.no_cache,
		.quiet = a->common.quiet,
	};
	int rc = rules_read(&d->rules, &d->config, &options);
	if (rc == 0 && a->common.strict && (d->rules.errors > 0 || d->rules.counts.failed > 0)) {
		say_error("%u rules are wrong, and --strict was given", d->rules.counts.failed);
		return -EINVAL;
	}
	return rc == 0 ? rules_compile(&d->rules, &d->config) : rc;
}

/* The processors of `cpus`, or all that this process may use. False when the text is no list of those. */
static bool choose_cpus(const char *text, cpu_set_t *chosen)
{
	cpu_set_t may;
	CPU_ZERO(chosen);
	if (sched_getaffinity(0, sizeof(may), &may) != 0)
		return false;
	if (!text[0]) {
		*chosen = may;
		return true;
	}
	for (char *end; *text; text = end) {
		unsigned long first = strtoul(text, &end, 10), last = first;
		if (end == text)
			return false;
		if (*end == '-') {
			text = end + 1;
			last = strtoul(text, &end, 10);
			if (end == text)
				return false;
		}
		for (unsigned long cpu = first; cpu <= last; cpu++) {
			if (cpu >= CPU_SETSIZE || !CPU_ISSET((int)cpu, &may))
				return false;
			CPU_SET((int)cpu, chosen);
		}
		if (*end == ',')
			end++;
		else if (*end)
			return false;
	}
	return CPU_COUNT(chosen) > 0;
}

static int make_lanes(struct daemon *d)
{
	cpu_set_t cpus;
	if (!choose_cpus(d->config.live.cpus, &cpus)) {
		say_error("cpus: \"%s\" is no list of processors that the sensor may use", d->config.live.cpus);
		return -EINVAL;
	}
	unsigned available = (unsigned)CPU_COUNT(&cpus);
	d->lane_count = d->config.live.workers	     ? d->config.live.workers
			: available < IO_WORKERS_MAX ? available
						     : IO_WORKERS_MAX;
	d->lanes = aligned_alloc(64, d->lane_count * sizeof(*d->lanes));
	if (!d->lanes)
		return -ENOMEM;
	memset(d->lanes, 0, d->lane_count * sizeof(*d->lanes));
	int cpu = -1;
	for (unsigned i = 0; i < d->lane_count; i++) {
		if (i < available)
			do
				cpu++;
			while (!CPU_ISSET(cpu, &cpus));
		d->lanes[i].cpu = i < available ? cpu : -1; /* more workers than processors: the rest float */
	}
	d->config.live.io.workers = d->lane_count;
	return 0;
}

static int open_lane(struct daemon *d, unsigned index)
{
	struct lane *lane = &d->lanes[index];
	char error[IO_ERROR_MAX];
	lane->io = d->device->ops->attach(d->device, index, &lane->counters, error);
	if (!lane->io)
		goto fail;
	lane->records = records_open(&d->config, d->args->dir, true, error);
	if (!lane->records)
		goto fail;
	const struct worker_config worker = {
		.config = &d->config,
		.io = lane->io,
		.records = lane->records,
		.ruleset = d->rules.ruleset,
		.env = &d->rules.env,
		.live = true,
		.stop = &d->stop,
	};
	lane->worker = worker_new(&worker, &lane->counters, error);
	if (lane->worker)
		return 0;
fail:
	say_error("worker %u: %s", index, error);
	return -EIO;
}

static int open_all(struct daemon *d)
{
	char error[IO_ERROR_MAX];
	if (mkdir(d->args->dir, 0755) != 0 && errno != EEXIST) {
		say_error("%s: %s", d->args->dir, strerror(errno));
		return -EINVAL;
	}
	d->device = io_device_open(&d->config.live.io, error);
	if (!d->device) {
		say_error("%s", error);
		return -EIO;
	}
	for (unsigned i = 0; i < d->lane_count; i++)
		if (open_lane(d, i) != 0)
			return -EIO;
	return 0;
}

static void *lane_main(void *user)
{
	struct lane *lane = user;
	lane->result = worker_run(lane->worker);
	return NULL;
}

static int start_lanes(struct daemon *d)
{
	for (unsigned i = 0; i < d->lane_count; i++) {
		struct lane *lane = &d->lanes[i];
		pthread_attr_t attr;
		cpu_set_t cpu;
		CPU_ZERO(&cpu);
		pthread_attr_init(&attr);
		if (lane->cpu >= 0) {
			CPU_SET(lane->cpu, &cpu);
			pthread_attr_setaffinity_np(&attr, sizeof(cpu), &cpu);
		}
		int rc = pthread_create(&lane->thread, &attr, lane_main, lane);
		pthread_attr_destroy(&attr);
		if (rc != 0) {
			say_error("worker %u: %s", i, strerror(rc));
			return -rc;
		}
		lane->started = true;
	}
	return 0;
}

/* Waits for a signal that ends the run; looks after the ports meanwhile. */
static int watch(struct daemon *d, const sigset_t *signals)
{
	const struct timespec interval = {.tv_nsec = TEND_INTERVAL_NS};
	for (;;) {
		int number = sigtimedwait(signals, NULL, &interval);
		if (number > 0)
			return 0;
		if (d->device->ops->tend(d->device) != 0) {
			say_error("%s", d->device->error);
			return -ENODEV;
		}
	}
}

static int join_lanes(struct daemon *d)
{
	int rc = 0;
	d->stop = 1;
	for (unsigned i = 0; i < d->lane_count; i++) {
		struct lane *lane = &d->lanes[i];
		if (!lane->started)
			continue;
		pthread_join(lane->thread, NULL);
		if (lane->result != 0 && rc == 0) {
			say_error("worker %u: %s", i, lane->io->error[0] ? lane->io->error : strerror(-lane->result));
			rc = lane->result;
		}
	}
	return rc;
}

/* What was received must be what was forwarded and dropped. */
static bool account(const struct daemon *d)
{
	struct worker_tally sum = {0};
	for (unsigned i = 0; i < d->lane_count; i++) {
		const struct worker_tally tally = worker_tally(d->lanes[i].worker), *t = &tally;
		sum.received += t->received;
		sum.forwarded += t->forwarded;
		sum.dropped += t->dropped;
		sum.held += t->held;
		sum.alerts += t->alerts;
	}
	bool whole = sum.received == sum.forwarded + sum.dropped && sum.held == 0;
	if (!d->args->common.quiet || !whole)
		fprintf(stderr, "%llu packets received, %llu forwarded, %llu dropped, %llu alerts\n",
			(unsigned long long)sum.received, (unsigned long long)sum.forwarded,
			(unsigned long long)sum.dropped, (unsigned long long)sum.alerts);
	if (!whole)
		say_error("the packets do not add up (%llu held): please report this", (unsigned long long)sum.held);
	return whole;
}

static bool close_all(struct daemon *d)
{
	bool good = true;
	char error[IO_ERROR_MAX] = "";
	for (unsigned i = 0; i < d->lane_count; i++) {
		struct lane *lane = &d->lanes[i];
		worker_free(lane->worker);
		int rc = records_close(lane->records);
		if (rc != 0) {
			say_error("%s/%s: %s", d->args->dir, d->config.records.filename, strerror(-rc));
			good = false;
		}
		if (lane->io && (rc = lane->io->ops->close(lane->io, error)) != 0) {
			say_error("%s", error[0] ? error : strerror(-rc));
			good = false;
		}
	}
	if (d->device) {
		int rc = d->device->ops->close(d->device, false, error);
		if (rc != 0) {
			say_error("%s", error[0] ? error : strerror(-rc));
			good = false;
		}
	}
	free(d->lanes);
	return good;
}

static bool run(struct daemon *d)
{
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	bool good = common_config(&d->args->common, &d->config) == 0 && load_rules(d) == 0 && make_lanes(d) == 0 &&
		    open_all(d) == 0;
	if (good) {
		good = start_lanes(d) == 0;
		if (good && !d->args->common.quiet)
			fprintf(stderr, "running: %s, %u workers\n", d->device->about, d->lane_count);
		good = good && watch(d, &signals) == 0;
		good = join_lanes(d) == 0 && good;
		good = account(d) && good;
	}
	return good;
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
	d->args = &a;
	if (a.common.quiet)
		progress_silence();
	bool good = run(d);
	good = close_all(d) && good;
	rules_free(&d->rules);
	config_free(&d->config);
	rc = good ? EXIT_FINE : EXIT_INPUT;
out:
	free(d);
	common_free(&a.common);
	return rc;
}
