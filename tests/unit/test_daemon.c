/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon's life on a device that never falls silent: rules change under load and nothing gets through, ports go and
 * come, what is wrong changes nothing, and at the end every packet is accounted for.
 */
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "answers.h"
#include "daemon.h"
#include "live_device.h"
#include "privileges.h"
#include "terminal.h"

#define WORKERS 2

/* A process that gave its rights up has no way back: only one that this test starts for it does so. */
static bool confined;

static char dir[64], rules_path[128], config_path[128], eve_path[128];

struct fixture {
	struct common_args args;
	struct daemon *daemon;
	pthread_t thread;
	int watched;
};

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

/* The rules of live_device.h and `more` others that never match, so that there is something to compile and to free. */
static void write_rules(unsigned more, const char *extra)
{
	FILE *file = fopen(rules_path, "w");
	assert_non_null(file);
	fputs(LIVE_RULES, file);
	for (unsigned i = 0; i < more; i++)
		fprintf(file, "alert tcp any any -> any any (msg:\"other %u\"; content:\"never-%u-seen\"; sid:%u;)\n",
			i, i * 7919, 1000 + i);
	fputs(extra, file);
	assert_int_equal(fclose(file), 0);
}

static void write_config(const char *more)
{
	char text[2048];
	snprintf(text, sizeof(text),
		 "rule-files: [%s]\ncache-dir: none\nworkers: %u\ncpus: \"\"\n"
		 "flow:\n  memcap: 64mb\nstream:\n  checksum-validation: no\n  memcap: 32mb\n  reassembly:\n    "
		 "memcap: 32mb\n"
		 "app-layer:\n  memcap: 8mb\n%s",
		 rules_path, WORKERS, more);
	write_file(config_path, text);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	memset(&live, 0, sizeof(live));
	live.pause_us = 1000;
	snprintf(dir, sizeof(dir), "%s", confined ? getenv("CONFINED_DIR") : "/tmp/sekisho-daemon-XXXXXX");
	if (!confined)
		assert_non_null(mkdtemp(dir));
	snprintf(rules_path, sizeof(rules_path), "%s/test.rules", dir);
	snprintf(config_path, sizeof(config_path), "%s/sekisho.yaml", dir);
	snprintf(eve_path, sizeof(eve_path), "%s/eve.json", dir);
	write_rules(0, "");
	write_config("");
	f->args = (struct common_args){.config_path = config_path, .inline_mode = true, .quiet = true};
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[128];
	if (f->daemon) { /* the test failed */
		live.gone = live.hang = false;
		pthread_kill(f->thread, SIGTERM);
		pthread_join(f->thread, NULL);
		daemon_stop(f->daemon);
		daemon_close(f->daemon);
		free(f->daemon);
	}
	snprintf(command, sizeof(command), "rm -r %s", dir);
	free(*state);
	return system(command);
}

static void *watch_main(void *user)
{
	struct fixture *f = user;
	f->watched = daemon_watch(f->daemon);
	return NULL;
}

static void start(struct fixture *f)
{
	f->daemon = calloc(1, sizeof(*f->daemon));
	assert_int_equal(daemon_open(f->daemon, &f->args, dir), 0);
	assert_int_equal(daemon_start(f->daemon), 0);
	assert_int_equal(pthread_create(&f->thread, NULL, watch_main, f), 0);
}

static struct live_totals totals(void)
{
	struct live_totals sum = {0};
	for (unsigned w = 0; w < WORKERS; w++) {
		const struct live_totals *t = &live.totals[w];
		sum.received += t->received;
		sum.forwarded += t->forwarded;
		sum.dropped += t->dropped;
		sum.shunted += t->shunted;
		for (unsigned k = 0; k < LIVE_KINDS; k++) {
			sum.forwarded_of[k] += t->forwarded_of[k];
			sum.dropped_of[k] += t->dropped_of[k];
		}
	}
	return sum;
}

/* Ends it by SIGTERM; all accounts must be good. */
static void stop(struct fixture *f)
{
	pthread_kill(f->thread, SIGTERM);
	pthread_join(f->thread, NULL);
	assert_int_equal(f->watched, 0);
	assert_true(daemon_stop(f->daemon));
	assert_int_equal(totals().received, totals().forwarded + totals().dropped);
	assert_true(daemon_close(f->daemon));
	free(f->daemon);
	f->daemon = NULL;
}

static bool wait_until(bool (*holds)(const void *what), const void *what, unsigned ms)
{
	for (; ms > 0 && !holds(what); ms -= 5 < ms ? 5 : ms)
		live_pause(5000);
	return holds(what);
}

static bool has_grown(const void *what)
{
	const uint64_t *const *pair = what;
	return __atomic_load_n(pair[0], __ATOMIC_RELAXED) > *pair[1];
}

/* Asks for a reload by SIGHUP and waits for its end. */
static void reload(struct fixture *f, bool good)
{
	const uint64_t *count = good ? &f->daemon->reload.done : &f->daemon->reload.refused;
	const uint64_t before = *count;
	const uint64_t *const pair[2] = {count, &before};
	pthread_kill(f->thread, SIGHUP);
	assert_true(wait_until(has_grown, pair, 20000));
}

static bool has_received(const void *what)
{
	return totals().received > *(const uint64_t *)what;
}

static void wait_for_packets(uint64_t more)
{
	uint64_t goal = totals().received + more;
	assert_true(wait_until(has_received, &goal, 20000));
}

/* Every packet got the verdict that is right for it, so far. */
static void assert_nothing_got_through(void)
{
	const struct live_totals t = totals();
	assert_true(t.received > 0);
	assert_int_equal(t.forwarded_of[LIVE_ATTACK], 0);
	assert_int_equal(t.forwarded_of[LIVE_SPLIT_END], 0);
	assert_int_equal(t.forwarded_of[LIVE_NEEDS_LOGIN], 0);
	assert_int_equal(t.dropped_of[LIVE_PLAIN], 0);
	assert_int_equal(t.dropped_of[LIVE_HANDSHAKE], 0);
	assert_int_equal(t.dropped_of[LIVE_SPLIT_BEGIN], 0);
	assert_int_equal(t.dropped_of[LIVE_LOGIN], 0);
	assert_true(t.dropped_of[LIVE_ATTACK] > 0 && t.dropped_of[LIVE_SPLIT_END] > 0 &&
		    t.dropped_of[LIVE_NEEDS_LOGIN] > 0);
}

/* --- privileges -------------------------------------------------------------------------------------------------------- */

int __real_privileges_drop(const struct config *config);
void __real_privileges_confine_worker(void *config);
int __wrap_privileges_drop(const struct config *config);
void __wrap_privileges_confine_worker(void *config);
void __real_privileges_confine_files(void);
void __wrap_privileges_confine_files(void);

int __wrap_privileges_drop(const struct config *config)
{
	return confined ? __real_privileges_drop(config) : 0;
}

void __wrap_privileges_confine_files(void)
{
	if (confined)
		__real_privileges_confine_files();
}

void __wrap_privileges_confine_worker(void *config)
{
	if (confined)
		__real_privileges_confine_worker(config);
}

/* How many lines of the records hold this text. */
static unsigned records_with(const char *text)
{
	FILE *file = fopen(eve_path, "r");
	char *line = NULL;
	size_t size = 0;
	unsigned count = 0;
	assert_non_null(file);
	while (getline(&line, &size, file) > 0)
		count += strstr(line, text) != NULL;
	free(line);
	fclose(file);
	return count;
}

static size_t resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long size = 0, resident = 0;
	assert_int_equal(fscanf(file, "%lu %lu", &size, &resident), 2);
	fclose(file);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* --- tests ------------------------------------------------------------------------------------------------------------- */

static void every_packet_is_judged_and_accounted_for(void **state)
{
	struct fixture *f = *state;
	write_config("records:\n  sensor-name: gate-1\n  stats-interval: 200ms\n");
	start(f);
	wait_for_packets(20000);
	live_pause(500000);
	stop(f);
	assert_nothing_got_through();
	assert_true(records_with("\"event_type\":\"stats\"") >= 3);
	assert_int_equal(records_with("\"balanced\":false"), 0);
	/* two ports: what the device says of them is in the sums */
	assert_true(records_with("\"kernel_drops\":6,\"bypassed\":10,\"kernel_refused\":14") >= 3);
	assert_true(records_with("\"in_iface\":\"port1\"") > 0);
	assert_int_equal(records_with("\"host\":\"gate-1\""), records_with("\"event_type\""));
	assert_int_equal(records_with("\"pcap_cnt\""), 0);
}

#define RELOADS 50

static void nothing_gets_through_while_rules_change(void **state)
{
	struct fixture *f = *state;
	write_config("records:\n  types: [stats, anomaly]\n");
	live.pause_us = 3000; /* each attack is a flow of its own: they must have room */
	start(f);
	wait_for_packets(2000);
	for (unsigned i = 0; i < RELOADS; i++) {
		write_rules(i % 2 ? 300 : 500, "");
		reload(f, true);
		wait_for_packets(500);
	}
	stop(f);
	assert_nothing_got_through();
	assert_int_equal(records_with("\"event\":\"reload\""), RELOADS);
	assert_int_equal(records_with("\"event\":\"reload_refused\""), 0);
}

static void memory_returns_to_its_level_after_reloads(void **state)
{
	struct fixture *f = *state;
	size_t before = 0;
#ifdef __SANITIZE_ADDRESS__
	skip(); /* it keeps what was freed */
#endif
	write_rules(2000, "");
	start(f);
	wait_for_packets(1000);
	live.paused = true;
	for (unsigned i = 0; i < 25; i++) {
		reload(f, true);
		if (i == 4) {
			live_pause(500000);
			before = resident_bytes();
		}
	}
	live_pause(500000); /* the last old set is freed after the reload was told */
	/* one set of these is some 8 MB */
	assert_in_range(resident_bytes(), 0, before + (4u << 20));
	stop(f);
}

static void what_is_wrong_changes_nothing(void **state)
{
	struct fixture *f = *state;
	start(f);
	wait_for_packets(1000);
	write_rules(0, "drop udp any any -> any any (content:\"nothing\"; nonsense:1; sid:9;)\n");
	reload(f, false);
	assert_non_null(strstr(f->daemon->reload.result.text, "test.rules:5: "));
	unlink(rules_path);
	reload(f, false);
	assert_non_null(strstr(f->daemon->reload.result.text, "No such file"));
	write_rules(0, "");
	write_config("nonsense: yes\n");
	reload(f, false);
	assert_non_null(strstr(f->daemon->reload.result.text, "nonsense"));
	wait_for_packets(1000);
	write_config("");
	reload(f, true);
	wait_for_packets(1000);
	stop(f);
	assert_nothing_got_through();
	assert_int_equal(records_with("\"event\":\"reload_refused\""), 3);
}

static void new_rules_hold_for_flows_that_are_there(void **state)
{
	struct fixture *f = *state;
	start(f);
	wait_for_packets(1000);
	assert_int_equal(totals().dropped_of[LIVE_PLAIN], 0);
	write_rules(0, "drop udp any any -> any any (content:\"nothing to see\"; sid:5;)\n");
	reload(f, true);
	uint64_t forwarded = totals().forwarded_of[LIVE_PLAIN];
	wait_for_packets(2000);
	live_pause(50000);
	/* those of the burst in which it changed may still have been counted after */
	assert_true(totals().forwarded_of[LIVE_PLAIN] - forwarded <= WORKERS * IO_BURST_MAX);
	assert_true(totals().dropped_of[LIVE_PLAIN] > 0);
	write_rules(0, "");
	reload(f, true);
	forwarded = totals().forwarded_of[LIVE_PLAIN];
	wait_for_packets(2000);
	assert_true(totals().forwarded_of[LIVE_PLAIN] > forwarded);
	stop(f);
}

static void options_that_need_a_restart_are_named_and_kept(void **state)
{
	struct fixture *f = *state;
	start(f);
	write_config("afxdp:\n  ring-size: 128\nrecords:\n  types: [stats]\n  filename: other.json\n");
	reload(f, true);
	assert_string_equal(f->daemon->reload.result.text, "records.filename, afxdp.ring-size");
	assert_string_equal(f->daemon->edition->config.records.filename, "eve.json");
	assert_int_equal(f->daemon->edition->config.records.types.count, 1);
	wait_for_packets(1000);
	stop(f);
	assert_nothing_got_through();
}

static bool is_back(const void *what)
{
	return live.opened > *(const unsigned *)what;
}

static void flows_outlive_a_port_that_goes(void **state)
{
	struct fixture *f = *state;
	start(f);
	wait_for_packets(1000);
	for (unsigned i = 0; i < 2; i++) {
		const unsigned opened = live.opened;
		live.gone = true;
		live_pause(300000);
		if (i == 1)
			reload(f, true); /* while nobody runs */
		uint64_t received = totals().received;
		live_pause(100000);
		assert_int_equal(totals().received, received);
		live.gone = false;
		assert_true(wait_until(is_back, &opened, 15000));
		wait_for_packets(1000);
	}
	stop(f);
	/* the login was before: its flow is still known */
	assert_nothing_got_through();
	assert_int_equal(records_with("\"event\":\"port_lost\""), 2);
	assert_int_equal(records_with("\"event\":\"port_regained\""), 2);
	assert_int_equal(records_with("\"balanced\":false"), 0);
}

static void it_ends_in_order_while_a_port_is_gone(void **state)
{
	struct fixture *f = *state;
	start(f);
	wait_for_packets(1000);
	live.gone = true;
	live_pause(300000);
	stop(f);
	live.gone = false;
	assert_nothing_got_through();
	assert_true(records_with("\"event_type\":\"flow\"") > 0);
}

static void overload_is_answered_recorded_and_undone(void **state)
{
	struct fixture *f = *state;
	write_config("overload:\n  policy: new\n");
	start(f);
	wait_for_packets(1000);
	assert_nothing_got_through();
	/* the queues fill: new flows are no longer looked at, and those that are known still are */
	live.waiting = 100;
	live_pause(900000);
	live.paused = true;
	live_pause(50000);
	struct live_totals before = totals();
	assert_true(before.forwarded_of[LIVE_ATTACK] > 0);
	assert_int_equal(before.forwarded_of[LIVE_NEEDS_LOGIN], 0);
	/* it passes */
	live.waiting = 0;
	live_pause(4500000);
	live.paused = false;
	wait_for_packets(2000);
	live_pause(100000);
	assert_int_equal(totals().forwarded_of[LIVE_ATTACK], before.forwarded_of[LIVE_ATTACK]);
	stop(f);
	assert_int_equal(records_with("\"event\":\"overload\""), 2 * WORKERS);
	assert_int_equal(records_with("\"event\":\"overload_eased\""), 2 * WORKERS);
	assert_true(records_with("\"policy\":\"new\",\"step\":2") > 0);
	assert_int_equal(records_with("\"balanced\":false"), 0);
}

static void a_flow_that_is_bypassed_goes_to_the_backend(void **state)
{
	struct fixture *f = *state;
	write_rules(0, "alert udp any any -> any any (msg:\"known\"; content:\"login\"; startswith; bypass; sid:6;)\n");
	live.can_shunt = true;
	start(f);
	wait_for_packets(20000);
	live_pause(20000);
	stop(f);
	const struct live_totals t = totals();
	assert_int_equal(t.dropped_of[LIVE_NEEDS_LOGIN], 0);
	/* one flow a worker; the backend of this test does not do what it says, and is asked again now and then */
	assert_in_range(t.shunted, WORKERS, WORKERS + t.forwarded_of[LIVE_NEEDS_LOGIN] / 64 + WORKERS);
	assert_int_equal(t.forwarded_of[LIVE_ATTACK], 0);
	char bypassed[64];
	snprintf(bypassed, sizeof(bypassed), "\"local_pkts\":%llu",
		 (unsigned long long)t.forwarded_of[LIVE_NEEDS_LOGIN]);
	assert_int_equal(records_with(bypassed), 1);
	assert_true(records_with("\"state\":\"bypassed\"") == WORKERS);
}

static void a_worker_answers_between_bursts(void **state)
{
	struct fixture *f = *state;
	struct top_flows *flows = calloc(1, sizeof(*flows));
	struct top_rules *rules = calloc(1, sizeof(*rules));
	struct profile_switch on;
	start(f);
	wait_for_packets(20000);
	struct worker *worker = f->daemon->lanes.items[1].worker;
	top_flows_init(flows, 3);
	assert_int_equal(worker_ask(worker, &flows->request, 2000000000), 0);
	assert_int_equal(flows->count, 3);
	assert_true(flows->seen > 500);
	/* of this traffic two flows last, and grow while they are looked at; all others are a few packets */
	uint32_t first = load_be32(flows->flows[0].key.addr[0].bytes);
	assert_in_range(first, 0x0a100003, 0x0a100004);
	assert_int_equal(load_be32(flows->flows[1].key.addr[0].bytes), first ^ 7);
	assert_true(flows->flows[1].packets[0] > 100 && flows->flows[2].packets[0] < 10);
	top_rules_init(rules, 10);
	assert_int_equal(worker_ask(worker, &rules->request, 2000000000), 0);
	assert_int_equal(rules->count, 0); /* nothing is measured unless asked for */
	assert_int_equal(profile_switch_init(&on, f->daemon->edition->rules.ruleset, true), 0);
	assert_int_equal(worker_ask(worker, &on.request, 2000000000), 0);
	assert_true(on.taken);
	profile_switch_free(&on);
	wait_for_packets(20000);
	top_rules_init(rules, 10);
	assert_int_equal(worker_ask(worker, &rules->request, 2000000000), 0);
	assert_in_range(rules->count, 3, 4);
	for (unsigned i = 0; i < rules->count; i++) {
		assert_true(rules->rules[i].checks > 0 && rules->rules[i].ns > 0);
		assert_true(i == 0 || rules->rules[i - 1].ns >= rules->rules[i].ns);
		if (rules->rules[i].sid == 2)
			assert_string_equal(rules->rules[i].msg, "split");
	}
	/* one that hangs is not waited for for ever */
	live.hang = true;
	live_pause(50000);
	top_flows_init(flows, 3);
	assert_int_equal(worker_ask(worker, &flows->request, 100000000), -ETIMEDOUT);
	live.hang = false;
	stop(f);
	free(flows);
	free(rules);
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", path);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	const struct timeval patience = {.tv_sec = 5};
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

static bool manager_hears(int fd, const char *what, unsigned messages)
{
	char text[1024];
	for (; messages > 0; messages--) {
		ssize_t n = recv(fd, text, sizeof(text) - 1, 0);
		if (n < 0)
			return false;
		text[n] = '\0';
		if (strncmp(text, what, strlen(what)) == 0)
			return true;
	}
	return false;
}

static void the_service_manager_is_told(void **state)
{
	struct fixture *f = *state;
	char path[128], text[1024];
	snprintf(path, sizeof(path), "%s/notify", dir);
	int fd = listen_at(path);
	setenv("NOTIFY_SOCKET", path, 1);
	setenv("WATCHDOG_USEC", "400000", 1);
	start(f);
	assert_true(manager_hears(fd, "READY=1", 1));
	assert_true(manager_hears(fd, "WATCHDOG=1", 3));
	reload(f, true);
	assert_true(manager_hears(fd, "RELOADING=1\nMONOTONIC_USEC=", 10));
	assert_true(manager_hears(fd, "READY=1", 10));
	/* a worker hangs: the manager hears no more */
	live.hang = true;
	live_pause(400000);
	while (recv(fd, text, sizeof(text), MSG_DONTWAIT) > 0)
		;
	live_pause(600000);
	assert_int_equal(recv(fd, text, sizeof(text), MSG_DONTWAIT), -1);
	live.hang = false;
	assert_true(manager_hears(fd, "WATCHDOG=1", 10));
	stop(f);
	assert_true(manager_hears(fd, "STOPPING=1", 10));
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	close(fd);
}

/* What /proc says of the threads whose name begins so; returns how many they are. */
static unsigned threads_with(const char *name, const char *field, const char *value)
{
	unsigned count = 0;
	DIR *tasks = opendir("/proc/self/task");
	assert_non_null(tasks);
	for (struct dirent *entry; (entry = readdir(tasks));) {
		char path[64 + sizeof(entry->d_name)], line[256];
		bool named = false, holds = false;
		snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
		FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
		while (file && fgets(line, sizeof(line), file)) {
			named |= strncmp(line, "Name:\t", 6) == 0 && strncmp(line + 6, name, strlen(name)) == 0;
			holds |= strncmp(line, field, strlen(field)) == 0 && strstr(line + strlen(field), value);
		}
		if (file)
			fclose(file);
		count += named && holds;
	}
	closedir(tasks);
	return count;
}

static bool is_written(const void *what)
{
	return access(what, R_OK) == 0;
}

static bool all_receive(const void *what)
{
	(void)what;
	for (unsigned w = 0; w < WORKERS; w++)
		if (live.totals[w].received == 0)
			return false;
	return true;
}

/* Everything that the daemon ever does, while a call that is not on its list ends it. */
static void a_whole_life_is_led_with_few_rights(void **state)
{
	struct fixture *f = *state;
	char rotated[160];
	const unsigned opened = 1;
	bool root = getuid() == 0;
	snprintf(rotated, sizeof(rotated), "%s.1", eve_path);
	write_config(root ? "seccomp: kill\nuser: nobody\nrecords:\n  rotate-size: 200kb\n  stats-interval: 100ms\n"
			  : "seccomp: kill\nrecords:\n  rotate-size: 200kb\n  stats-interval: 100ms\n");
	write_rules(100, "");
	assert_int_equal(chmod(dir, 0777), 0);
	start(f);
	assert_true(wait_until(all_receive, NULL, 10000));
	assert_int_equal(threads_with("worker-", "NoNewPrivs:", "1"), WORKERS);
	assert_int_equal(threads_with("worker-", "Seccomp:", "2"), WORKERS);
	assert_int_equal(threads_with("journal", "Seccomp:", "2"), 1);
	assert_int_equal(threads_with("worker-", "CapEff:", "0000000000000000"), WORKERS);
	assert_int_equal(threads_with("journal", "CapPrm:", "0000000000000000"), 1);
	assert_int_equal(threads_with("worker-", "CapPrm:", "0000000000000000"), WORKERS);
	if (root)
		assert_int_equal(threads_with("worker-", "Uid:\t0", ""), 0);
	reload(f, true);
	assert_true(wait_until(is_written, rotated, 10000));
	pthread_kill(f->thread, SIGUSR1);
	live.gone = true;
	live_pause(300000);
	live.gone = false;
	assert_true(wait_until(is_back, &opened, 10000));
	wait_for_packets(2000);
	stop(f);
	assert_nothing_got_through();
}

static char *self;

static void it_gives_rights_up(void **state)
{
	char command[512];
	(void)state;
#ifdef __SANITIZE_ADDRESS__
	skip(); /* the sanitizer itself needs more */
#endif
	snprintf(command, sizeof(command), "%.400s confined >/dev/null", self);
	setenv("CONFINED_DIR", dir, 1);
	assert_int_equal(system(command), 0);
}

/* Whose folder is removed by who started it. */
static int leave(void **state)
{
	free(*state);
	return 0;
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(int argc, char **argv)
{
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	progress_silence();
	self = argv[0];
	confined = argc > 1;
	const struct CMUnitTest alone[] = {
		cmocka_unit_test_setup_teardown(a_whole_life_is_led_with_few_rights, set_up, leave)};
	if (confined)
		return cmocka_run_group_tests(alone, NULL, NULL);
	const struct CMUnitTest tests[] = {
		CASE(every_packet_is_judged_and_accounted_for),
		CASE(nothing_gets_through_while_rules_change),
		CASE(memory_returns_to_its_level_after_reloads),
		CASE(what_is_wrong_changes_nothing),
		CASE(new_rules_hold_for_flows_that_are_there),
		CASE(options_that_need_a_restart_are_named_and_kept),
		CASE(flows_outlive_a_port_that_goes),
		CASE(it_ends_in_order_while_a_port_is_gone),
		CASE(overload_is_answered_recorded_and_undone),
		CASE(a_flow_that_is_bypassed_goes_to_the_backend),
		CASE(a_worker_answers_between_bursts),
		CASE(the_service_manager_is_told),
		CASE(it_gives_rights_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
