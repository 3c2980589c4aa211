/* SPDX-License-Identifier: BSD-3-Clause */
#include "lanes.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "terminal.h"

/* How long a worker may take to say where it stands: some of its longest waits for packets. */
/* Some bursts. */
#define PUBLISH_TIMEOUT_NS 500000000ull

#define SNAPSHOT_PATIENCE_NS 200000000

/* --- processors -------------------------------------------------------------------------------------------------------- */

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

int lanes_new(struct lanes *lanes, struct config *config)
{
	cpu_set_t cpus;
	if (!choose_cpus(config->live.cpus, &cpus)) {
		say_error("cpus: \"%s\" is no list of processors that the sensor may use", config->live.cpus);
		return -EINVAL;
	}
	unsigned available = (unsigned)CPU_COUNT(&cpus);
	lanes->count = config->live.workers	    ? config->live.workers
		       : available < IO_WORKERS_MAX ? available
						    : IO_WORKERS_MAX;
	lanes->items = aligned_alloc(64, lanes->count * sizeof(*lanes->items));
	if (!lanes->items)
		return -ENOMEM;
	memset(lanes->items, 0, lanes->count * sizeof(*lanes->items));
	int cpu = -1;
	for (unsigned i = 0; i < lanes->count; i++) {
		if (i < available)
			do
				cpu++;
			while (!CPU_ISSET(cpu, &cpus));
		lanes->items[i].cpu = i < available ? cpu : -1; /* more workers than processors: the rest float */
	}
	config->live.io.workers = lanes->count;
	return 0;
}

/* --- workers ----------------------------------------------------------------------------------------------------------- */

int lanes_open(struct lanes *lanes, const struct config *config, const struct rules *rules, struct journal *journal,
	       uint64_t edition)
{
	char error[IO_ERROR_MAX];
	lanes->shared = sigs_shared_new(&config->sigs);
	lanes->blocklist = blocklist_new();
	if (!lanes->shared || !lanes->blocklist) {
		say_error("what the workers share: %s", strerror(errno));
		return -ENOMEM;
	}
	for (unsigned i = 0; i < lanes->count; i++) {
		struct lane *lane = &lanes->items[i];
		lane->records = records_attach(config, journal_ring(journal, i), error);
		const struct worker_config worker = {
			.config = config,
			.records = lane->records,
			.ruleset = rules->ruleset,
			.env = &rules->env,
			.blocklist = lanes->blocklist,
			.shared = lanes->shared,
			.edition = edition,
			.index = i,
			.live = true,
			.stop = &lanes->stop,
		};
		if (lane->records)
			lane->worker = worker_new(&worker, &lane->counters, error);
		if (!lane->worker) {
			say_error("worker %u: %s", i, error);
			return -ENOMEM;
		}
	}
	return 0;
}

_Static_assert(sizeof(((struct io_port_stats *)0)->name) == RECORD_PORT_NAME_MAX, "names of ports are copied");

static void name_ports(struct lanes *lanes, struct io_device *device)
{
	struct io_port_stats ports[IO_PORTS_MAX];
	unsigned count = device->ops->ports(device, ports, IO_PORTS_MAX);
	for (unsigned i = 0; i < count; i++)
		memcpy(lanes->port_names[i], ports[i].name, sizeof(ports[i].name));
	for (unsigned i = 0; i < lanes->count; i++)
		records_set_ports(lanes->items[i].records, (const char(*)[RECORD_PORT_NAME_MAX])lanes->port_names,
				  count);
}

int lanes_attach(struct lanes *lanes, struct io_device *device, char *error)
{
	for (unsigned i = 0; i < lanes->count; i++) {
		struct lane *lane = &lanes->items[i];
		lane->io = device->ops->attach(device, i, &lane->counters, error);
		if (!lane->io) {
			lanes_detach(lanes);
			return -EIO;
		}
		worker_set_io(lane->worker, lane->io);
	}
	name_ports(lanes, device);
	return 0;
}

bool lanes_detach(struct lanes *lanes)
{
	bool good = true;
	for (unsigned i = 0; i < lanes->count; i++) {
		struct lane *lane = &lanes->items[i];
		char error[IO_ERROR_MAX] = "";
		int rc = lane->io ? lane->io->ops->close(lane->io, error) : 0;
		lane->io = NULL;
		if (lane->worker)
			worker_set_io(lane->worker, NULL);
		if (rc != 0) {
			say_error("worker %u: %s", i, error[0] ? error : strerror(-rc));
			good = false;
		}
	}
	return good;
}

/* --- threads ----------------------------------------------------------------------------------------------------------- */

static void *lane_main(void *user)
{
	struct lane *lane = user;
	if (lane->confine)
		lane->confine(lane->confine_user);
	lane->result = worker_run(lane->worker);
	__atomic_store_n(&lane->ended, true, __ATOMIC_RELEASE);
	return NULL;
}

static int lane_start(struct lane *lane, unsigned index)
{
	pthread_attr_t attr;
	cpu_set_t cpu;
	char name[32];
	CPU_ZERO(&cpu);
	pthread_attr_init(&attr);
	if (lane->cpu >= 0) {
		CPU_SET(lane->cpu, &cpu);
		pthread_attr_setaffinity_np(&attr, sizeof(cpu), &cpu);
	}
	lane->ended = false;
	int rc = pthread_create(&lane->thread, &attr, lane_main, lane);
	pthread_attr_destroy(&attr);
	if (rc != 0)
		return -rc;
	snprintf(name, sizeof(name), "worker-%u", index);
	pthread_setname_np(lane->thread, name);
	lane->started = true;
	return 0;
}

int lanes_start(struct lanes *lanes, void (*confine)(void *user), void *user)
{
	lanes->stop = WORKER_RUN;
	for (unsigned i = 0; i < lanes->count; i++) {
		struct lane *lane = &lanes->items[i];
		lane->confine = confine;
		lane->confine_user = user;
		int rc = lane_start(lane, i);
		if (rc != 0) {
			say_error("worker %u: %s", i, strerror(-rc));
			return rc;
		}
	}
	return 0;
}

int lanes_ended(const struct lanes *lanes)
{
	for (unsigned i = 0; i < lanes->count; i++)
		if (lanes->items[i].started && __atomic_load_n(&lanes->items[i].ended, __ATOMIC_ACQUIRE))
			return (int)i;
	return -1;
}

int lanes_join(struct lanes *lanes, bool park, unsigned *which)
{
	int rc = 0;
	lanes->stop = park ? WORKER_PARK : WORKER_STOP;
	for (unsigned i = 0; i < lanes->count; i++) {
		struct lane *lane = &lanes->items[i];
		if (!lane->started)
			continue;
		pthread_join(lane->thread, NULL);
		lane->started = false;
		if (lane->result != 0 && lane->result != -ECANCELED && rc == 0) {
			rc = lane->result;
			*which = i;
		}
	}
	return rc;
}

/* --- asking and telling ------------------------------------------------------------------------------------------------ */

void lanes_take_orders(struct lanes *lanes)
{
	for (unsigned i = 0; i < lanes->count; i++)
		if (!lanes->items[i].started && lanes->items[i].worker)
			worker_take_orders(lanes->items[i].worker);
}

void lanes_settle(struct lanes *lanes)
{
	for (unsigned i = 0; i < lanes->count; i++)
		if (!lanes->items[i].started && lanes->items[i].worker)
			worker_settle(lanes->items[i].worker);
}

bool lanes_account(struct lanes *lanes, bool inline_mode, struct account *account, unsigned *late)
{
	bool whole = true;
	*late = 0;
	for (unsigned i = 0; i < lanes->count; i++) {
		struct lane *lane = &lanes->items[i];
		struct worker_snapshot *seen = &lane->seen;
		if (!lane->worker)
			continue;
		if (!lane->started)
			worker_look(lane->worker, seen);
		else if (worker_snapshot(lane->worker, seen, SNAPSHOT_PATIENCE_NS) != 0)
			++*late;
		whole = account_balances(&seen->tally, &seen->counters, inline_mode) && whole;
		account_add(account, seen);
	}
	return whole;
}

bool lanes_progress(struct lanes *lanes, uint64_t *turns)
{
	bool all = true;
	for (unsigned i = 0; i < lanes->count; i++) {
		const struct lane *lane = &lanes->items[i];
		uint64_t now = __atomic_load_n(&lane->worker->orders.turns, __ATOMIC_RELAXED);
		if (lane->started && now == turns[i])
			all = false;
		turns[i] = now;
	}
	return all;
}

static bool nothing(struct worker *worker, struct worker_request *request)
{
	(void)worker;
	(void)request;
	return true;
}

int lanes_publish_blocklist(struct lanes *lanes)
{
	/* who answers is between two bursts: it looks at nothing that was in force before */
	for (unsigned i = 0; i < lanes->count; i++) {
		struct worker_request request = {.step = nothing};
		if (lanes->items[i].started &&
		    worker_ask(lanes->items[i].worker, &request, PUBLISH_TIMEOUT_NS) == -ETIMEDOUT)
			return -EAGAIN;
	}
	blocklist_publish(lanes->blocklist);
	return 0;
}

void lanes_free(struct lanes *lanes)
{
	for (unsigned i = 0; i < lanes->count; i++) {
		worker_free(lanes->items[i].worker);
		records_close(lanes->items[i].records);
	}
	sigs_shared_free(lanes->shared);
	blocklist_free(lanes->blocklist);
	lanes->shared = NULL;
	lanes->blocklist = NULL;
	free(lanes->items);
	lanes->items = NULL;
	lanes->count = 0;
}
