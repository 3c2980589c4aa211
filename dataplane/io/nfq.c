/* SPDX-License-Identifier: BSD-3-Clause */
/* The NFQUEUE backend's device: a queue a worker, bound before rights are given up, the rules that fill them, and the guard. */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "device.h"
#include "nfq.h"

/* Port 0 is the queues as a whole; the others are the machine's interfaces. */
struct nfq {
	struct io_device device; /* first */
	struct io_nfq_config config;
	int fds[IO_WORKERS_MAX];
	struct nfq_pulse *pulses; /* shared with the guard */
	struct nfq_guard guard;
	bool rules;
	uint8_t port_of[NFQ_INTERFACE_MAX];
	struct {
		char name[IF_NAMESIZE];
	} ports[IO_PORTS_MAX];
	unsigned port_count;
};

static struct nfq *nfq_of(struct io_device *device)
{
	return (struct nfq *)device;
}

static void name_ports(struct nfq *q)
{
	struct if_nameindex *all = if_nameindex();
	q->port_count = 1;
	for (const struct if_nameindex *i = all; i && i->if_index; i++) {
		if (i->if_index >= NFQ_INTERFACE_MAX || q->port_count == IO_PORTS_MAX)
			continue;
		q->port_of[i->if_index] = (uint8_t)q->port_count;
		snprintf(q->ports[q->port_count++].name, IF_NAMESIZE, "%s", i->if_name);
	}
	if (all)
		if_freenameindex(all);
}

static int open_queues(struct nfq *q, char *error)
{
	for (unsigned i = 0; i < q->device.workers; i++) {
		q->fds[i] = nfq_queue_open(&q->config, (uint16_t)(q->config.queue + i), error);
		if (q->fds[i] < 0)
			return q->fds[i];
	}
	return 0;
}

static bool is_up(const char *name)
{
	struct ifreq ifr = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	bool up = ioctl(fd, SIOCGIFFLAGS, &ifr) == 0 && ifr.ifr_flags & IFF_RUNNING;
	close(fd);
	return up;
}

/* --- a device's operations ----------------------------------------------------------------------------------------------------- */

static struct io *device_attach(struct io_device *device, unsigned worker, struct counters *counters, char *error)
{
	struct nfq *q = nfq_of(device);
	const struct nfq_worker_config config = {
		.fd = q->fds[worker],
		.queue = (uint16_t)(q->config.queue + worker),
		.config = &q->config,
		.port_of = q->port_of,
		.pulse = &q->pulses[worker],
	};
	return nfq_worker_open(&config, counters, error);
}

static unsigned device_ports(struct io_device *device, struct io_port_stats *stats, unsigned max)
{
	struct nfq *q = nfq_of(device);
	struct io_port_stats *s = &stats[0];
	if (max == 0)
		return 0;
	*s = (struct io_port_stats){.up = true};
	snprintf(s->name, sizeof(s->name), "nfqueue %u", q->config.queue);
	for (unsigned i = 0; i < device->workers; i++) {
		uint64_t lost = 0;
		s->rx_packets += atomic_load(&q->pulses[i].received);
		s->tx_packets += atomic_load(&q->pulses[i].accepted);
		int rc = nfq_queue_lost((uint16_t)(q->config.queue + i), &lost);
		s->missed += lost;
		s->up = s->up && rc != -ENOENT;
		s->refused += atomic_load(&q->pulses[i].refused);
		if (q->config.fail_open)
			s->bypassed += atomic_load(&q->pulses[i].missing);
	}
	unsigned n = 1;
	for (; n < q->port_count && n < max; n++) {
		stats[n] = (struct io_port_stats){.up = is_up(q->ports[n].name)};
		snprintf(stats[n].name, sizeof(stats[n].name), "%s", q->ports[n].name);
	}
	return n;
}

static int device_tend(struct io_device *device)
{
	struct nfq *q = nfq_of(device);
	uint64_t lost;
	/* interfaces of a router are not ours, and may come and go */
	for (unsigned i = 0; i < device->workers; i++) {
		unsigned number = q->config.queue + i;
		if (nfq_queue_lost((uint16_t)number, &lost) != -ENOENT)
			continue;
		snprintf(device->error, sizeof(device->error), "NFQUEUE: queue %u is not bound any more", number);
		return -ENODEV;
	}
	return 0;
}

static int device_close(struct io_device *device, bool leave, char *error)
{
	struct nfq *q = nfq_of(device);
	if (error)
		error[0] = '\0';
	if (!nfq_guard_stop(&q->guard, leave) && q->rules && !leave)
		nfq_rules_remove(&q->config);
	for (unsigned i = 0; i < device->workers; i++)
		if (q->fds[i] >= 0)
			close(q->fds[i]);
	if (q->pulses)
		munmap(q->pulses, device->workers * sizeof(*q->pulses));
	free(q);
	return 0;
}

static const struct io_device_ops device_ops = {
	.name = "nfq",
	.attach = device_attach,
	.ports = device_ports,
	.tend = device_tend,
	.close = device_close,
};

static int open_all(struct nfq *q, char *error)
{
	void *shared = mmap(NULL, q->device.workers * sizeof(*q->pulses), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return -errno;
	q->pulses = shared;
	name_ports(q);
	int rc = open_queues(q, error);
	if (rc == 0 && q->config.install_rules) {
		rc = nfq_rules_install(&q->config, q->device.workers, error);
		q->rules = rc == 0;
	}
	return rc == 0 ? nfq_guard_start(&q->guard, &q->config, q->device.workers, q->fds, q->pulses) : rc;
}

struct io_device *io_nfq_open(const struct io_device_config *config, char *error)
{
	struct nfq *q = calloc(1, sizeof(*q));
	int rc = -ENOMEM;
	error[0] = '\0';
	if (!q)
		goto fail;
	q->device.ops = &device_ops;
	q->device.workers = config->workers;
	q->config = config->nfq;
	for (unsigned i = 0; i < IO_WORKERS_MAX; i++)
		q->fds[i] = -1;
	rc = open_all(q, error);
	if (rc != 0)
		goto fail;
	snprintf(q->device.about, sizeof(q->device.about), "NFQUEUE, queue%s %u%s%.0u, %s%s%s",
		 config->workers > 1 ? "s" : "", q->config.queue, config->workers > 1 ? " to " : "",
		 config->workers > 1 ? q->config.queue + config->workers - 1 : 0,
		 q->config.fail_open ? "fail-open" : "fail-closed", q->config.gso ? ", large segments" : "",
		 q->config.install_rules ? ", own rules" : "");
	return &q->device;
fail:
	if (!error[0])
		snprintf(error, IO_ERROR_MAX, "NFQUEUE: %s", strerror(-rc));
	if (q)
		device_close(&q->device, false, NULL);
	errno = -rc;
	return NULL;
}
