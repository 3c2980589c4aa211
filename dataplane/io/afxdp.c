/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The AF_XDP backend's device: loads the XDP program, tells it ports, owners and policy, puts it on the ports, and opens the
 * workers' sockets. The program stays in the kernel when this process dies; see bpf/sensor.bpf.c.
 */
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "afxdp.h"
#include "device.h"
#include "steer.h"
/* generated, and not by our rules */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#include <bpf/sensor.skel.h>
#pragma GCC diagnostic pop

/* A shunted flow that was silent for so long comes to the sensor again. */
#define SHUNT_IDLE_NS 60000000000ull

struct afxdp {
	struct io_device device; /* first */
	struct io_afxdp_config config;
	struct sensor_bpf *bpf;
	volatile uint64_t *heartbeats;
	struct afxdp_port ports[IO_PORTS_MAX];
	unsigned port_count;
	struct io *workers[IO_WORKERS_MAX]; /* NULL: not open */
	struct {
		uint64_t missed, sent;
	} past[IO_PORTS_MAX]; /* of workers that are closed */
	struct steer *steer;  /* NULL: every worker judges what it receives */
	int cpus;
	struct xdp_counts *per_cpu; /* scratch: cpus */
};

static struct afxdp *afxdp_of(struct io_device *device)
{
	return (struct afxdp *)device;
}

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

/* --- the program and its maps -------------------------------------------------------------------------------------------- */

static int map_set(struct bpf_map *map, uint32_t key, const void *value)
{
	return bpf_map_update_elem(bpf_map__fd(map), &key, value, BPF_ANY) == 0 ? 0 : -errno;
}

static int load(struct afxdp *a, char *error)
{
	libbpf_set_print(quiet);
	a->bpf = sensor_bpf__open_and_load();
	if (!a->bpf) {
		int rc = -errno;
		snprintf(error, IO_ERROR_MAX,
			 "the XDP program cannot be loaded: %s (it takes CAP_BPF and CAP_NET_ADMIN)", strerror(-rc));
		return rc;
	}
	size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(a->bpf->maps.heartbeats), 0);
	if (map == MAP_FAILED) {
		int rc = -errno;
		snprintf(error, IO_ERROR_MAX, "the heartbeats cannot be mapped: %s", strerror(-rc));
		return rc;
	}
	a->heartbeats = map;
	return 0;
}

static int tell_program(struct afxdp *a, char *error)
{
	const struct xdp_settings settings = {
		.stale_ns = a->config.heartbeat_ns,
		.shunt_idle_ns = SHUNT_IDLE_NS,
		.fail_open = a->config.fail_open,
		.shunting = 1,
	};
	int rc = map_set(a->bpf->maps.settings, 0, &settings);
	for (uint32_t i = 0; i < a->port_count && rc == 0; i++) {
		uint32_t peer = (uint32_t)a->ports[i ^ 1].ifindex;
		rc = map_set(a->bpf->maps.peers, i, &peer);
		if (rc == 0)
			rc = map_set(a->bpf->maps.ports, (uint32_t)a->ports[i].ifindex, &i);
	}
	if (rc != 0)
		snprintf(error, IO_ERROR_MAX, "the XDP program cannot be told its ports: %s", strerror(-rc));
	return rc;
}

/* --- opening ---------------------------------------------------------------------------------------------------------------- */

static int check_config(const struct afxdp *a, char *error)
{
	const struct io_afxdp_config *c = &a->config;
	for (size_t i = 0; i < c->port_count; i++)
		if (if_nametoindex(c->ports[i]) == 0) {
			snprintf(error, IO_ERROR_MAX, "%.64s: there is no such interface (ip link shows them)",
				 c->ports[i]);
			return -ENODEV;
		}
	if (c->port_count < 2 || c->port_count % 2 || c->port_count > IO_PORTS_MAX) {
		snprintf(error, IO_ERROR_MAX, "afxdp.ports: ports stand in pairs, %u at most, and %zu are given",
			 IO_PORTS_MAX, c->port_count);
		return -EINVAL;
	}
	for (size_t i = 0; i < c->port_count; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(c->ports[i], c->ports[j]) == 0) {
				snprintf(error, IO_ERROR_MAX, "afxdp.ports: %.64s is given twice", c->ports[i]);
				return -EINVAL;
			}
	if ((c->frames & (c->frames - 1)) || (c->ring_size & (c->ring_size - 1))) {
		snprintf(error, IO_ERROR_MAX, "afxdp.frames and afxdp.ring-size must be powers of two");
		return -EINVAL;
	}
	if (c->frame_size != 2048 && c->frame_size != 4096) {
		snprintf(error, IO_ERROR_MAX, "afxdp.frame-size must be 2048 or 4096");
		return -EINVAL;
	}
	return 0;
}

static int open_ports(struct afxdp *a, char *error)
{
	for (size_t i = 0; i < a->config.port_count; i++) {
		struct afxdp_port *port = &a->ports[i];
		int rc = afxdp_port_open(port, a->config.ports[i], a->config.frame_size, error);
		if (rc != 0)
			return rc;
		a->port_count++;
		if (port->queues < a->device.workers) {
			snprintf(error, IO_ERROR_MAX,
				 "%s: %u workers need as many queues, it has %u: set workers to %u, or ethtool -L %s",
				 port->name, a->device.workers, port->queues, port->queues, port->name);
			return -EINVAL;
		}
	}
	return 0;
}

static int attach_program(struct afxdp *a, char *error)
{
	int program = bpf_program__fd(a->bpf->progs.sekisho_port);
	for (unsigned i = 0; i < a->port_count; i++) {
		int rc = afxdp_port_attach(&a->ports[i], program, a->config.mode, error);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static void describe(struct afxdp *a)
{
	size_t at = (size_t)snprintf(a->device.about, sizeof(a->device.about), "AF_XDP,");
	for (unsigned i = 0; i < a->port_count && at < sizeof(a->device.about); i++)
		at += (size_t)snprintf(a->device.about + at, sizeof(a->device.about) - at, "%s%s (%s XDP, %u queue%s)",
				       i % 2 ? " <> "
				       : i   ? ", "
					     : " ",
				       a->ports[i].name,
				       a->ports[i].xdp_flags & XDP_FLAGS_DRV_MODE ? "native" : "generic",
				       a->ports[i].queues, a->ports[i].queues == 1 ? "" : "s");
	if (at < sizeof(a->device.about))
		snprintf(a->device.about + at, sizeof(a->device.about) - at, ", %s",
			 a->config.fail_open ? "fail-open" : "fail-closed");
}

/* --- a device's operations ---------------------------------------------------------------------------------------------------- */

static void worker_closing(void *user, unsigned worker)
{
	struct afxdp *a = user;
	for (unsigned i = 0; a->workers[worker] && i < a->port_count; i++) {
		a->past[i].missed += afxdp_worker_missed(a->workers[worker], i);
		a->past[i].sent += afxdp_worker_sent(a->workers[worker], i);
	}
	a->workers[worker] = NULL;
}

static struct io *device_attach(struct io_device *device, unsigned worker, struct counters *counters, char *error)
{
	struct afxdp *a = afxdp_of(device);
	const struct afxdp_worker_config config = {
		.ports = a->ports,
		.port_count = a->port_count,
		.worker = worker,
		.workers = device->workers,
		.config = &a->config,
		.heartbeat = &a->heartbeats[worker],
		.sockets_map = bpf_map__fd(a->bpf->maps.sockets),
		.owners_map = bpf_map__fd(a->bpf->maps.owners),
		.shunts_map = bpf_map__fd(a->bpf->maps.shunts),
		.closing = worker_closing,
		.user = a,
	};
	struct io *io = afxdp_worker_open(&config, counters, error);
	a->workers[worker] = io;
	size_t at = strlen(device->about);
	if (io && worker == 0)
		snprintf(device->about + at, sizeof(device->about) - at, ", %s",
			 afxdp_worker_zero_copy(io) ? "zero-copy" : "copy mode");
	if (!io || !a->steer)
		return io;
	struct io *steered = steer_io(a->steer, worker, io, counters);
	if (!steered) {
		snprintf(error, IO_ERROR_MAX, "%s", strerror(errno));
		io->ops->close(io, NULL);
	}
	return steered;
}

static unsigned device_ports(struct io_device *device, struct io_port_stats *stats, unsigned max)
{
	struct afxdp *a = afxdp_of(device);
	unsigned n = a->port_count < max ? a->port_count : max;
	for (uint32_t i = 0; i < n; i++) {
		struct io_port_stats *s = &stats[i];
		*s = (struct io_port_stats){.up = afxdp_port_up(&a->ports[i])};
		snprintf(s->name, sizeof(s->name), "%s", a->ports[i].name);
		if (bpf_map_lookup_elem(bpf_map__fd(a->bpf->maps.counts), &i, a->per_cpu) != 0)
			continue;
		for (int cpu = 0; cpu < a->cpus; cpu++) {
			s->rx_packets += a->per_cpu[cpu].to_worker;
			s->bypassed += a->per_cpu[cpu].bypassed;
			s->refused += a->per_cpu[cpu].refused;
		}
		s->missed = a->past[i].missed;
		s->tx_packets = a->past[i].sent;
		for (unsigned w = 0; w < device->workers; w++) {
			if (!a->workers[w])
				continue;
			s->missed += afxdp_worker_missed(a->workers[w], i);
			s->tx_packets += afxdp_worker_sent(a->workers[w], i);
		}
		/* the program counts what it hands over, before the socket may refuse it */
		s->rx_packets -= s->missed < s->rx_packets ? s->missed : s->rx_packets;
	}
	return n;
}

static int device_tend(struct io_device *device)
{
	struct afxdp *a = afxdp_of(device);
	for (unsigned i = 0; i < a->port_count; i++) {
		if (afxdp_port_present(&a->ports[i]))
			continue;
		snprintf(device->error, sizeof(device->error), "%s: the interface is gone", a->ports[i].name);
		return -ENODEV;
	}
	return 0;
}

static int device_close(struct io_device *device, bool leave, char *error)
{
	struct afxdp *a = afxdp_of(device);
	if (error)
		error[0] = '\0';
	for (unsigned i = 0; i < a->port_count && !leave; i++) {
		afxdp_port_detach(&a->ports[i]);
		afxdp_port_close(&a->ports[i]);
	}
	if (a->heartbeats)
		munmap((void *)(uintptr_t)a->heartbeats, (size_t)sysconf(_SC_PAGESIZE));
	sensor_bpf__destroy(a->bpf);
	steer_free(a->steer);
	free(a->per_cpu);
	free(a);
	return 0;
}

static const struct io_device_ops device_ops = {
	.name = "afxdp",
	.attach = device_attach,
	.ports = device_ports,
	.tend = device_tend,
	.close = device_close,
};

struct io_device *io_afxdp_open(const struct io_device_config *config, char *error)
{
	struct afxdp *a = calloc(1, sizeof(*a));
	int rc = -ENOMEM;
	error[0] = '\0';
	if (!a)
		goto fail;
	a->device.ops = &device_ops;
	a->device.workers = config->workers;
	a->config = config->afxdp;
	a->cpus = libbpf_num_possible_cpus();
	a->per_cpu = a->cpus > 0 ? calloc((size_t)a->cpus, sizeof(*a->per_cpu)) : NULL;
	if (!a->per_cpu)
		goto fail;
	if ((rc = check_config(a, error)) != 0 || (rc = open_ports(a, error)) != 0 || (rc = load(a, error)) != 0 ||
	    (rc = tell_program(a, error)) != 0 || (rc = attach_program(a, error)) != 0)
		goto fail;
	if (config->workers > 1 && a->config.steer && !(a->steer = steer_new(config->workers))) {
		rc = -errno;
		goto fail;
	}
	describe(a);
	return &a->device;
fail:
	if (!error[0])
		snprintf(error, IO_ERROR_MAX, "%s", strerror(-rc));
	if (a)
		device_close(&a->device, false, NULL);
	errno = -rc;
	return NULL;
}
