/* SPDX-License-Identifier: BSD-3-Clause */
/* The AF_XDP backend's device: opens the ports together, puts the program on them, and opens the workers' sockets. */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "afxdp.h"
#include "device.h"
#include "steer.h"

/* A shunted flow that was silent for so long comes to the sensor again. */
#define SHUNT_IDLE_NS 60000000000ull
/* How often such flows are looked for. The program finds them as well; this is for those of which nothing comes. */
#define SWEEP_INTERVAL_NS 10000000000ull

struct afxdp {
	struct io_device device; /* first */
	struct io_afxdp_config config;
	struct afxdp_program *program;
	struct afxdp_port ports[IO_PORTS_MAX];
	bool up[IO_PORTS_MAX];
	unsigned port_count;
	struct io *workers[IO_WORKERS_MAX]; /* NULL: not open */
	struct {
		uint64_t missed, sent;
	} past[IO_PORTS_MAX]; /* of workers that are closed */
	struct steer *steer;  /* NULL: every worker judges what it receives */
	uint64_t sweep_due_ns;
};

static struct afxdp *afxdp_of(struct io_device *device)
{
	return (struct afxdp *)device;
}

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
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
	for (size_t i = 0; i < c->port_count; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(c->ports[i], c->ports[j]) == 0) {
				snprintf(error, IO_ERROR_MAX, "afxdp.ports: %.64s is given twice", c->ports[i]);
				return -EINVAL;
			}
	if (c->port_count < 2 || c->port_count % 2 || c->port_count > IO_PORTS_MAX) {
		snprintf(error, IO_ERROR_MAX, "afxdp.ports: ports stand in pairs, %u at most, and %zu are given",
			 IO_PORTS_MAX, c->port_count);
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

/* Looks at all ports before it changes one. */
static int open_ports(struct afxdp *a, char *error)
{
	int rc = 0;
	for (size_t i = 0; i < a->config.port_count && rc == 0; i++) {
		rc = afxdp_port_find(&a->ports[i], a->config.ports[i], a->config.frame_size, error);
		if (rc == 0 || a->ports[i].lock >= 0)
			a->port_count++;
		if (rc == 0)
			rc = afxdp_port_find_program(&a->ports[i], error);
		a->ports[i].inherited = a->ports[i].present_flags != 0;
	}
	for (unsigned i = 0; i < a->port_count && rc == 0; i++)
		rc = afxdp_port_prepare(&a->ports[i], a->device.workers, error);
	for (unsigned i = 0; i < a->port_count && rc == 0; i++)
		a->up[i] = true; /* until the first look: a link that was just brought up comes soon */
	return rc;
}

static int load(struct afxdp *a, char *error)
{
	const struct xdp_settings settings = {
		.stale_ns = a->config.heartbeat_ns,
		.shunt_idle_ns = SHUNT_IDLE_NS,
		.workers = a->device.workers,
		.fail_open = a->config.fail_open,
	};
	a->program = afxdp_program_load(&settings, a->port_count, error);
	if (!a->program)
		return -errno;
	for (unsigned i = 0; i < a->port_count; i++) {
		int rc = afxdp_program_join(a->program, i, a->ports[i ^ 1].ifindex, &a->ports[i].before);
		if (rc != 0) {
			snprintf(error, IO_ERROR_MAX, "the XDP program cannot be told its ports: %s", strerror(-rc));
			return rc;
		}
	}
	return 0;
}

/* All in one mode: what one port's program redirects must be what the other's driver takes. */
static int attach_all(struct afxdp *a, uint32_t flags, char *error)
{
	for (unsigned i = 0; i < a->port_count; i++) {
		int program = afxdp_program_fd(a->program, i);
		int rc = afxdp_port_attach(&a->ports[i], program, flags);
		if (rc != 0) {
			snprintf(error, IO_ERROR_MAX, "%s: the XDP program cannot be attached (%s): %s",
				 a->ports[i].name, flags == XDP_FLAGS_DRV_MODE ? "native" : "generic", strerror(-rc));
			return rc;
		}
		afxdp_port_remember(&a->ports[i], i, program);
	}
	return 0;
}

static int attach_program(struct afxdp *a, char *error)
{
	int rc = -EOPNOTSUPP;
	if (a->config.mode != IO_XDP_GENERIC)
		rc = attach_all(a, XDP_FLAGS_DRV_MODE, error);
	if (rc != 0 && a->config.mode != IO_XDP_NATIVE)
		rc = attach_all(a, XDP_FLAGS_SKB_MODE, error);
	if (rc == 0)
		error[0] = '\0';
	return rc;
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
		.ports_up = a->up,
		.port_count = a->port_count,
		.worker = worker,
		.workers = device->workers,
		.config = &a->config,
		.control = afxdp_program_control(a->program),
		.sockets_map = afxdp_program_sockets(a->program),
		.shunts_map = afxdp_program_shunts(a->program),
		.closing = worker_closing,
		.user = a,
	};
	struct io *io = afxdp_worker_open(&config, counters, error);
	a->workers[worker] = io;
	size_t at = strlen(device->about);
	if (io && worker == 0)
		snprintf(device->about + at, sizeof(device->about) - at,
			 ", %s; promiscuous, GRO, LRO and VLAN offload off",
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
		const struct xdp_counts counts = afxdp_program_counts(a->program, i);
		*s = (struct io_port_stats){
			.up = afxdp_port_up(&a->ports[i]),
			.rx_packets = counts.to_worker,
			.bypassed = counts.bypassed,
			.refused = counts.refused,
			.missed = a->past[i].missed,
			.tx_packets = a->past[i].sent,
		};
		snprintf(s->name, sizeof(s->name), "%s", a->ports[i].name);
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
		if (!afxdp_port_present(&a->ports[i])) {
			snprintf(device->error, sizeof(device->error), "%s: the interface is gone", a->ports[i].name);
			return -ENODEV;
		}
		__atomic_store_n(&a->up[i], afxdp_port_up(&a->ports[i]), __ATOMIC_RELAXED);
	}
	uint64_t now = now_ns();
	if (now >= a->sweep_due_ns) {
		a->sweep_due_ns = now + SWEEP_INTERVAL_NS;
		afxdp_program_sweep(a->program, now);
	}
	return 0;
}

static void free_all(struct afxdp *a)
{
	for (unsigned i = 0; i < a->port_count; i++)
		afxdp_port_release(&a->ports[i]);
	afxdp_program_free(a->program);
	steer_free(a->steer);
	free(a);
}

static void give_back(struct afxdp_port *port)
{
	afxdp_port_detach(port);
	afxdp_port_restore(port);
}

void io_afxdp_forget(void)
{
	for (unsigned i = 0; i < IO_PORTS_MAX; i++) {
		struct afxdp_port port;
		if (afxdp_port_recall(&port, i))
			give_back(&port);
	}
}

static int device_close(struct io_device *device, bool leave, char *error)
{
	struct afxdp *a = afxdp_of(device);
	if (error)
		error[0] = '\0';
	for (unsigned i = 0; i < a->port_count && !leave; i++)
		give_back(&a->ports[i]);
	free_all(a);
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
	if ((rc = check_config(a, error)) != 0 || (rc = open_ports(a, error)) != 0 || (rc = load(a, error)) != 0 ||
	    (rc = attach_program(a, error)) != 0)
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
	/* where a sensor died, its way past goes on */
	for (unsigned i = 0; a && i < a->port_count; i++)
		if (!a->ports[i].inherited)
			give_back(&a->ports[i]);
	if (a)
		free_all(a);
	errno = -rc;
	return NULL;
}
