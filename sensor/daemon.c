/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "notify.h"
#include "privileges.h"
#include "terminal.h"

#define SECOND_NS 1000000000ull
/* How often the main thread looks after everything. */
#define TEND_INTERVAL_NS 100000000
/* A port that is gone is looked for after this, and then ever more seldom. */
#define RETRY_FIRST_NS	 (SECOND_NS / 2)
#define RETRY_LONGEST_NS (10 * SECOND_NS)

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

static uint64_t wall_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

/* --- opening ----------------------------------------------------------------------------------------------------------- */

static int open_records(struct daemon *d)
{
	const struct config *config = &d->edition->config;
	char path[4096], error[IO_ERROR_MAX];
	if (mkdir(d->dir, 0755) == 0) {
		privileges_hand_over(config, d->dir);
	} else if (errno != EEXIST) {
		say_error("%s: %s", d->dir, strerror(errno));
		return -EINVAL;
	}
	if (!records_path(config, d->dir, path, sizeof(path))) {
		say_error("%s: the path is too long", config->records.filename);
		return -EINVAL;
	}
	const struct journal_config journal = {
		.path = path,
		.rotate_bytes = config->records.rotate_bytes,
		.keep = config->records.keep,
		.rings = d->lanes.count + 1, /* the last is the main thread's */
		.ring_bytes = config->records.ring_bytes,
	};
	d->journal = journal_open(&journal, error);
	if (d->journal)
		privileges_hand_over(config, path);
	if (d->journal)
		d->records = records_attach(config, journal_ring(d->journal, d->lanes.count), error);
	if (!d->records) {
		say_error("%s", error);
		return -EINVAL;
	}
	return 0;
}

static int open_device(struct daemon *d, char *error)
{
	d->device = io_device_open(&d->edition->config.live.io, error);
	if (!d->device)
		return -errno;
	if (lanes_attach(&d->lanes, d->device, error) == 0)
		return 0;
	char ignored[IO_ERROR_MAX];
	d->device->ops->close(d->device, true, ignored);
	d->device = NULL;
	return -EIO;
}

/* The number of this process for those who look for it in a file. */
static int write_pid(struct daemon *d)
{
	const char *path = d->edition->config.live.pid_file;
	FILE *file = path[0] ? fopen(path, "we") : NULL;
	if (!path[0])
		return 0;
	bool good = file && fprintf(file, "%ld\n", (long)getpid()) > 0;
	if (file && fclose(file) != 0)
		good = false;
	if (!good) {
		say_error("%s: %s", path, strerror(errno));
		return -EIO;
	}
	privileges_hand_over(&d->edition->config, path);
	d->has_pid_file = true;
	return 0;
}

static int open_signals(struct daemon *d)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
	sigset_t signals;
	sigemptyset(&signals);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaddset(&signals, numbers[i]);
	d->signals = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	return d->signals < 0 ? -errno : 0;
}

int daemon_open(struct daemon *d, const struct common_args *args, const char *dir)
{
	char error[IO_ERROR_MAX];
	d->args = args;
	d->dir = dir;
	d->started_ns = now_ns();
	d->signals = -1;
	int rc = notify_open();
	if (rc != 0)
		say_warning("the service manager cannot be told: %s", strerror(-rc));
	d->edition = edition_new(args, 1, false, error);
	if (!d->edition)
		return -EINVAL;
	if (privileges_check(&d->edition->config) != 0 || lanes_new(&d->lanes, &d->edition->config) != 0 ||
	    open_records(d) != 0)
		return -EINVAL;
	if (lanes_open(&d->lanes, &d->edition->config, &d->edition->rules, d->journal, d->edition->number) != 0)
		return -ENOMEM;
	if (open_device(d, error) != 0) {
		say_error("%s", error);
		return -EIO;
	}
	if (write_pid(d) != 0 || open_signals(d) != 0)
		return -EIO;
	reload_init(&d->reload, args, &d->lanes, d->edition);
	return 0;
}

static int start_lanes(struct daemon *d)
{
	return lanes_start(&d->lanes, privileges_confine_worker, &d->edition->config);
}

int daemon_start(struct daemon *d)
{
	int rc = privileges_drop(&d->edition->config);
	if (rc == 0)
		rc = journal_start(d->journal, privileges_confine_files);
	if (rc == 0)
		rc = start_lanes(d);
	if (rc != 0)
		return rc;
	d->watchdog.interval_ns = notify_watchdog_ns() / 2;
	d->stats_due_ns = now_ns() + d->edition->config.records.stats_interval_ns;
	rc = coverage_begin(&d->coverage, wall_ns(), now_ns());
	if (rc != 0)
		return rc;
	d->coverage_due_ns = now_ns() + d->edition->config.records.coverage_interval_ns;
	if (!d->args->quiet)
		fprintf(stderr, "running: %s, %u workers\n", d->device->about, d->lanes.count);
	notify("READY=1\nSTATUS=%s, %u workers", d->device->about, d->lanes.count);
	return 0;
}

/* --- accounts ---------------------------------------------------------------------------------------------------------- */

bool daemon_account(struct daemon *d, struct account *account, unsigned *late)
{
	memset(account, 0, sizeof(*account));
	account->all_ports = d->closed_ports;
	bool whole = lanes_account(&d->lanes, true, account, late);
	const struct records_stats own = records_stats(d->records);
	account->records.written += own.written;
	account->records.too_big += own.too_big;
	if (d->device)
		account->port_count = d->device->ops->ports(d->device, account->ports, IO_PORTS_MAX);
	for (unsigned i = 0; i < account->port_count; i++)
		account_add_port(&account->all_ports, &account->ports[i]);
	return whole;
}

/* Where everything stands, with what only a running sensor can tell. */
static struct stats_live look(struct daemon *d, struct account *account)
{
	struct stats_live live = {
		.account = account,
		.workers = d->lanes.count,
		.journal = journal_stats(d->journal),
		.edition = d->edition->number,
		.reloads = d->reload.done,
		.reloads_refused = d->reload.refused,
	};
	live.balanced = daemon_account(d, account, &live.late);
	return live;
}

void daemon_put_stats(struct daemon *d, struct account *account, struct json *json)
{
	const struct stats_live live = look(d, account);
	stats_put(json, (now_ns() - d->started_ns) / SECOND_NS, &account->counters, &d->edition->rules.counts, &live);
}

static bool write_stats(struct daemon *d)
{
	struct account *account = malloc(sizeof(*account));
	if (!account)
		return true;
	const struct stats_live live = look(d, account);
	record_stats(d->records, wall_ns(), (now_ns() - d->started_ns) / SECOND_NS, &account->counters,
		     &d->edition->rules.counts, &live);
	if (!live.balanced)
		say_error("the packets do not add up: please report this, with the last stats record");
	free(account);
	return live.balanced;
}

static void write_coverage(struct daemon *d, bool last)
{
	struct account *account = malloc(sizeof(*account));
	const struct coverage_policy policy = {.edition = d->edition->number,
					       .rules_loaded = d->edition->rules.counts.loaded,
					       .rules = d->edition->rules.digest,
					       .policy = d->edition->policy_digest};
	unsigned late;
	if (!account || d->edition->config.records.coverage_interval_ns == 0) {
		free(account);
		return;
	}
	daemon_account(d, account, &late);
	const struct coverage_counts now = coverage_count(account);
	record_coverage(d->records, &d->coverage, &now, &policy, wall_ns(), now_ns(), last);
	free(account);
}

/* --- events ------------------------------------------------------------------------------------------------------------ */

static void record_text(struct daemon *d, const char *event, const char *text)
{
	struct json *j = record_sensor_begin(d->records, event);
	if (!j)
		return;
	if (text[0])
		jw_string(j, "text", text);
	record_sensor_end(d->records);
}

/* The file refuses records, or takes them again: told once each. */
static void tend_journal(struct daemon *d)
{
	struct journal_stats stats = journal_stats(d->journal);
	if (stats.error == d->journal_error)
		return;
	d->journal_error = stats.error;
	if (stats.error)
		say_error("records cannot be written (traffic goes on, inspected): %s", strerror(-stats.error));
	else
		say_warning("records are written again; %llu were lost so far", (unsigned long long)stats.lost);
}

/* --- ports that go and come -------------------------------------------------------------------------------------------- */

static void close_device(struct daemon *d, bool leave, bool *good)
{
	struct io_port_stats ports[IO_PORTS_MAX];
	char error[IO_ERROR_MAX] = "";
	bool closed = lanes_detach(&d->lanes);
	unsigned count = d->device->ops->ports(d->device, ports, IO_PORTS_MAX);
	for (unsigned i = 0; i < count; i++)
		account_add_port(&d->closed_ports, &ports[i]);
	int rc = d->device->ops->close(d->device, leave, error);
	d->device = NULL;
	if (rc != 0)
		say_error("%s", error[0] ? error : strerror(-rc));
	*good = closed && rc == 0;
}

/* All workers stop, and keep their flows. */
static void lose_port(struct daemon *d, const char *why)
{
	unsigned which;
	bool good;
	say_error("%s; looking for it from now on", why);
	record_text(d, "port_lost", why);
	notify("STATUS=%s", why);
	lanes_join(&d->lanes, true, &which);
	close_device(d, true, &good);
	d->retry.told[0] = '\0';
	d->retry.since_ns = now_ns();
	d->retry.delay_ns = RETRY_FIRST_NS;
	d->retry.due_ns = d->retry.since_ns + d->retry.delay_ns;
}

static int regain_port(struct daemon *d)
{
	char error[IO_ERROR_MAX];
	int rc = open_device(d, error);
	uint64_t now = now_ns();
	if (rc != 0) {
		if (strcmp(error, d->retry.told) != 0)
			say_warning("not yet: %s", error);
		snprintf(d->retry.told, sizeof(d->retry.told), "%s", error);
		d->retry.delay_ns = d->retry.delay_ns * 2 < RETRY_LONGEST_NS ? d->retry.delay_ns * 2 : RETRY_LONGEST_NS;
		d->retry.due_ns = now + d->retry.delay_ns;
		return 0;
	}
	double seconds = (double)(now - d->retry.since_ns) / 1e9;
	say_warning("back after %.1f s: %s", seconds, d->device->about);
	notify("STATUS=%s, %u workers", d->device->about, d->lanes.count);
	struct json *j = record_sensor_begin(d->records, "port_regained");
	if (j) {
		jw_number(j, "seconds", seconds);
		record_sensor_end(d->records);
	}
	return start_lanes(d);
}

/* 0 to go on, 1 when the input has ended, -errno. */
static int tend_device(struct daemon *d)
{
	char why[IO_ERROR_MAX + 64];
	if (!d->device) {
		lanes_take_orders(&d->lanes);
		return now_ns() < d->retry.due_ns ? 0 : regain_port(d);
	}
	int ended = lanes_ended(&d->lanes);
	if (ended >= 0) {
		const struct lane *lane = &d->lanes.items[ended];
		if (lane->result == 0)
			return 1;
		snprintf(why, sizeof(why), "worker %d: %s", ended,
			 lane->io->error[0] ? lane->io->error : strerror(-lane->result));
		lose_port(d, why);
	} else if (d->device->ops->tend(d->device) != 0) {
		snprintf(why, sizeof(why), "%s", d->device->error);
		lose_port(d, why);
	}
	return 0;
}

/* --- rules and policy -------------------------------------------------------------------------------------------------- */

void daemon_reload(struct daemon *d)
{
	notify("RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)(now_ns() / 1000));
	int rc = reload_begin(&d->reload);
	if (rc != 0)
		say_error("reload: %s", strerror(-rc));
}

static void tell_reload(struct daemon *d)
{
	const struct reload_result *result = &d->reload.result;
	struct json *j = record_sensor_begin(d->records, result->good ? "reload" : "reload_refused");
	if (j) {
		jw_uint(j, "edition", d->edition->number);
		jw_number(j, "seconds", result->seconds);
		if (result->good)
			jw_uint(j, "rules_loaded", result->rules.loaded);
		if (result->text[0])
			jw_string(j, result->good ? "needs_restart" : "reason", result->text);
		record_sensor_end(d->records);
	}
	if (!result->good)
		say_error("reload refused, nothing is changed: %s", result->text);
	else if (result->text[0])
		say_warning("these options need a restart and keep their values: %s", result->text);
	if (result->good && !d->args->quiet)
		fprintf(stderr, "reloaded: %u rules in %.1f s\n", result->rules.loaded, result->seconds);
	notify("READY=1\nSTATUS=%s", result->good ? "reloaded" : "reload refused, the rules before are in use");
}

static void tend_reload(struct daemon *d)
{
	struct edition *old;
	bool again = d->reload.again;
	if (!reload_end(&d->reload, &old))
		return;
	if (old && old != d->reload.now)
		write_coverage(d, false); /* what follows is judged by others */
	d->edition = d->reload.now;
	if (old) {
		const struct config *config = &d->edition->config;
		records_set_config(d->records, config);
		journal_limits(d->journal, config->records.rotate_bytes, config->records.keep);
		edition_free(old);
	}
	tell_reload(d);
	if (again)
		daemon_reload(d);
}

/* --- the watch --------------------------------------------------------------------------------------------------------- */

static void tend_watchdog(struct daemon *d)
{
	uint64_t now = now_ns();
	if (d->watchdog.interval_ns == 0 || now - d->watchdog.fed_ns < d->watchdog.interval_ns)
		return;
	/* a worker that hangs starves it */
	if (lanes_progress(&d->lanes, d->watchdog.turns)) {
		notify("WATCHDOG=1");
		d->watchdog.fed_ns = now;
	}
}

static int tend(struct daemon *d)
{
	int rc = tend_device(d);
	tend_reload(d);
	tend_journal(d);
	tend_watchdog(d);
	if (blocklist_expire(d->lanes.blocklist, wall_ns() / SECOND_NS))
		d->blocklist_changed = true;
	if (d->blocklist_changed && lanes_publish_blocklist(&d->lanes) == 0)
		d->blocklist_changed = false;
	uint64_t interval = d->edition->config.records.stats_interval_ns, now = now_ns();
	if (interval > 0 && now >= d->stats_due_ns) {
		write_stats(d);
		d->stats_due_ns = now + interval;
	}
	interval = d->edition->config.records.coverage_interval_ns;
	if (interval > 0 && now >= d->coverage_due_ns) {
		write_coverage(d, false);
		d->coverage_due_ns = now + interval;
	}
	return rc;
}

void daemon_reopen(struct daemon *d)
{
	journal_reopen(d->journal);
}

void daemon_end(struct daemon *d)
{
	d->ending = true;
}

int daemon_source_add(struct daemon *d, const struct daemon_source *source)
{
	if (d->source_count == DAEMON_SOURCES_MAX)
		return -ENOSPC;
	d->sources[d->source_count++] = *source;
	return 0;
}

void daemon_source_remove(struct daemon *d, int fd)
{
	for (unsigned i = 0; i < d->source_count; i++)
		if (d->sources[i].fd == fd)
			d->sources[i--] = d->sources[--d->source_count];
}

static void take_signals(struct daemon *d)
{
	struct signalfd_siginfo info;
	while (read(d->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGINT || info.ssi_signo == SIGTERM)
			daemon_end(d);
		if (info.ssi_signo == SIGHUP)
			daemon_reload(d);
		if (info.ssi_signo == SIGHUP || info.ssi_signo == SIGUSR1)
			daemon_reopen(d);
	}
}

/* Waits for signals and descriptors, a moment at most. */
static void wait_for_events(struct daemon *d)
{
	struct pollfd fds[DAEMON_SOURCES_MAX + 1] = {{.fd = d->signals, .events = POLLIN}};
	struct daemon_source sources[DAEMON_SOURCES_MAX]; /* callbacks add and remove */
	unsigned count = d->source_count;
	memcpy(sources, d->sources, count * sizeof(sources[0]));
	for (unsigned i = 0; i < count; i++)
		fds[i + 1] = (struct pollfd){.fd = sources[i].fd, .events = sources[i].events};
	if (poll(fds, count + 1, TEND_INTERVAL_NS / 1000000) <= 0)
		return;
	take_signals(d);
	for (unsigned i = 0; i < count; i++)
		if (fds[i + 1].revents)
			sources[i].ready(sources[i].user, fds[i + 1].revents);
}

int daemon_watch(struct daemon *d)
{
	uint64_t due_ns = 0;
	while (!d->ending) {
		wait_for_events(d);
		uint64_t now = now_ns();
		if (now < due_ns)
			continue;
		due_ns = now + TEND_INTERVAL_NS;
		int rc = tend(d);
		if (rc != 0)
			return rc < 0 ? rc : 0;
	}
	return 0;
}

/* --- the end ----------------------------------------------------------------------------------------------------------- */

/* A reload under way is waited for: its thread uses what is about to go. */
static void settle_reload(struct daemon *d)
{
	const struct timespec pause = {.tv_nsec = TEND_INTERVAL_NS / 10};
	d->reload.again = false;
	while (reload_is_running(&d->reload)) {
		lanes_take_orders(&d->lanes);
		tend_reload(d);
		nanosleep(&pause, NULL);
	}
}

bool daemon_stop(struct daemon *d)
{
	unsigned which = 0, late;
	struct account *account = malloc(sizeof(*account));
	notify("STOPPING=1");
	int rc = lanes_join(&d->lanes, false, &which);
	if (rc != 0)
		say_error("worker %u: %s", which, strerror(-rc));
	settle_reload(d);
	if (!d->device)
		lanes_settle(&d->lanes); /* they were parked */
	bool good = write_stats(d) && rc == 0;
	write_coverage(d, true);
	if (account && daemon_account(d, account, &late) && account->tally.held > 0) {
		say_error("%llu fragments are still held: please report this", (unsigned long long)account->tally.held);
		good = false;
	}
	if (account && (!d->args->quiet || !good)) {
		const struct worker_tally *t = &account->tally;
		fprintf(stderr, "%llu packets received, %llu forwarded, %llu dropped, %llu bypassed, %llu alerts\n",
			(unsigned long long)t->received, (unsigned long long)t->forwarded,
			(unsigned long long)t->dropped, (unsigned long long)t->bypassed, (unsigned long long)t->alerts);
	}
	free(account);
	return good;
}

bool daemon_close(struct daemon *d)
{
	bool good = true;
	uint64_t lost = 0;
	if (d->device)
		close_device(d, false, &good);
	else if (d->retry.since_ns)
		io_device_forget(d->edition->config.live.io.backend); /* the ports that are still there */
	lanes_free(&d->lanes);
	records_close(d->records);
	int rc = journal_close(d->journal, &lost);
	if (lost > 0)
		say_error("%llu records were lost%s%s", (unsigned long long)lost, rc ? ": " : "",
			  rc ? strerror(-rc) : "");
	/* a user who may not remove it leaves it empty */
	if (d->has_pid_file && unlink(d->edition->config.live.pid_file) != 0 &&
	    truncate(d->edition->config.live.pid_file, 0) != 0)
		say_warning("%s: %s", d->edition->config.live.pid_file, strerror(errno));
	edition_free(d->edition);
	if (d->signals >= 0)
		close(d->signals);
	notify_close();
	return good && rc == 0;
}
