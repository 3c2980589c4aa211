/* SPDX-License-Identifier: BSD-3-Clause */
/* The DPDK backend: ports in pairs, one receive and one transmit queue a worker at each, one pool of buffers. */
#include "dpdk.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_version.h>

#include "device.h"
#include "steer.h"

/* Buffers that each thread keeps for itself: some bursts. */
#define POOL_CACHE 256
/* Large packets that come in several buffers are copied into one of these. */
#define BIG_BYTES (9728 + RTE_PKTMBUF_HEADROOM)
#define BIG_COUNT 2047

struct dpdk {
	struct io_device device; /* first */
	struct io_dpdk_config config;
	struct dpdk_port ports[IO_PORTS_MAX];
	struct dpdk_wire wire;
	struct steer *steer; /* NULL: every worker judges what it receives */
	int socket;	     /* to ask for interfaces */
};

static struct dpdk *dpdk_of(struct io_device *device)
{
	return (struct dpdk *)device;
}

/* --- ports ------------------------------------------------------------------------------------------------------------- */

/* The same hash for both directions: each pair of bytes of the key is the same (Woo and Park, 2012). */
static uint8_t rss_key[64];

static int say(char *error, const struct dpdk_port *p, const char *what, int rc)
{
	snprintf(error, IO_ERROR_MAX, "dpdk.ports: %.64s: %s: %s", p->name, what, rte_strerror(-rc));
	return rc;
}

static void choose_rss(struct rte_eth_conf *conf, const struct rte_eth_dev_info *info, uint16_t queues)
{
	uint64_t wanted = RTE_ETH_RSS_IP & info->flow_type_rss_offloads;
	if (queues < 2 || !wanted)
		return;
	for (size_t i = 0; i < sizeof(rss_key); i++)
		rss_key[i] = i % 2 ? 0x5a : 0x6d;
	conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	conf->rx_adv_conf.rss_conf.rss_hf = wanted;
	if (info->hash_key_size > 0 && info->hash_key_size <= sizeof(rss_key)) {
		conf->rx_adv_conf.rss_conf.rss_key = rss_key;
		conf->rx_adv_conf.rss_conf.rss_key_len = info->hash_key_size;
	}
}

static int check_queues(const struct dpdk *d, struct dpdk_port *p, const struct rte_eth_dev_info *info, char *error)
{
	unsigned workers = d->device.workers;
	/* only vdevs have so few: the worker that receives sends as well, and the others send a frame now and then */
	p->tx_queues = (uint16_t)(info->max_tx_queues < workers ? info->max_tx_queues : workers);
	p->tx_shared = p->tx_queues < workers;
	rte_spinlock_init(&p->tx_lock);
	p->rx_queues = (uint16_t)(info->max_rx_queues < workers ? info->max_rx_queues : workers);
	if (p->rx_queues < workers && !d->config.steer) {
		snprintf(error, IO_ERROR_MAX,
			 "dpdk.ports: %.64s: it has %u receive queues, and there are %u workers: set dpdk.steer, or "
			 "workers",
			 p->name, info->max_rx_queues, workers);
		return -EINVAL;
	}
	return 0;
}

static int removed(uint16_t id, enum rte_eth_event_type type, void *user, void *result)
{
	struct dpdk_port *p = user;
	(void)id, (void)type, (void)result;
	atomic_store(&p->gone, true);
	return 0;
}

static int set_up_queues(struct dpdk *d, struct dpdk_port *p, struct rte_mempool *pool, char *error)
{
	uint16_t rx = d->config.rx_descriptors, tx = d->config.tx_descriptors;
	int rc = rte_eth_dev_adjust_nb_rx_tx_desc(p->id, &rx, &tx);
	if (rc != 0)
		return say(error, p, "sizes of its rings", rc);
	unsigned numa = rte_eth_dev_socket_id(p->id) < 0 ? 0 : (unsigned)rte_eth_dev_socket_id(p->id);
	for (uint16_t q = 0; q < p->rx_queues; q++)
		if ((rc = rte_eth_rx_queue_setup(p->id, q, rx, numa, NULL, pool)) != 0)
			return say(error, p, "its receive queue", rc);
	for (uint16_t q = 0; q < p->tx_queues; q++)
		if ((rc = rte_eth_tx_queue_setup(p->id, q, tx, numa, NULL)) != 0)
			return say(error, p, "its transmit queue", rc);
	return 0;
}

static int open_port(struct dpdk *d, struct dpdk_port *p, char *error)
{
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf = {0};
	int rc = dpdk_eal_port(p->name, &p->id, error);
	if (rc != 0)
		return rc;
	p->open = true;
	if ((rc = rte_eth_dev_info_get(p->id, &info)) != 0)
		return say(error, p, "what it can do", rc);
	if ((rc = check_queues(d, p, &info, error)) != 0)
		return rc;
	p->if_index = info.if_index;
	if (p->if_index == 0 || !if_indextoname(p->if_index, p->interface))
		p->interface[0] = '\0';
	choose_rss(&conf, &info, p->rx_queues);
	if (info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER && d->wire.big)
		conf.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_SCATTER;
	rc = rte_eth_dev_configure(p->id, p->rx_queues, p->tx_queues, &conf);
	if (rc != 0)
		return say(error, p, "configuration", rc);
	rc = set_up_queues(d, p, d->wire.pool, error);
	dpdk_sockets_note(&p->sockets, d->ports, IO_PORTS_MAX);
	if (rc != 0)
		return rc;
	rte_eth_dev_callback_register(p->id, RTE_ETH_EVENT_INTR_RMV, removed, p);
	if ((rc = rte_eth_dev_start(p->id)) != 0)
		return say(error, p, "start", rc);
	p->started = true;
	rc = rte_eth_promiscuous_enable(p->id);
	if (rc != 0 && rc != -ENOTSUP)
		return say(error, p, "promiscuous mode", rc);
	p->counts_queue = rte_eth_rx_queue_count(p->id, 0) >= 0;
	return 0;
}

static void close_port(struct dpdk_port *p)
{
	struct rte_eth_dev_info info;
	if (!p->open)
		return;
	bool known = rte_eth_dev_info_get(p->id, &info) == 0;
	rte_eth_dev_callback_unregister(p->id, RTE_ETH_EVENT_INTR_RMV, removed, p);
	if (p->started)
		rte_eth_dev_stop(p->id);
	rte_eth_dev_close(p->id);
	/* a vdev lets go of what it stands on only when it is taken away; opening it again probes it again */
	if (known && info.device)
		rte_dev_remove(info.device);
	dpdk_sockets_close(&p->sockets);
	p->open = p->started = false;
}

/* Whether a packet can be sent there. */
static bool port_up(const struct dpdk *d, const struct dpdk_port *p)
{
	struct rte_eth_link link;
	struct ifreq request = {0};
	if (p->if_index == 0)
		return rte_eth_link_get_nowait(p->id, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
	if (!if_indextoname(p->if_index, request.ifr_name) || ioctl(d->socket, SIOCGIFFLAGS, &request) != 0)
		return false;
	return (request.ifr_flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING);
}

static bool port_gone(const struct dpdk_port *p)
{
	char name[IF_NAMESIZE];
	return atomic_load(&p->gone) || (p->if_index > 0 && !if_indextoname(p->if_index, name) && errno != EPERM);
}

static int device_tend(struct io_device *device)
{
	struct dpdk *d = dpdk_of(device);
	for (unsigned i = 0; i < d->wire.port_count; i++) {
		struct dpdk_port *p = &d->ports[i];
		if (port_gone(p)) {
			atomic_store(&p->up, false);
			snprintf(device->error, sizeof(device->error), "%.64s%s%s: the port is gone", p->name,
				 p->interface[0] ? " at " : "", p->interface);
			return -ENODEV;
		}
		atomic_store(&p->up, port_up(d, p));
	}
	return 0;
}

static unsigned device_ports(struct io_device *device, struct io_port_stats *stats, unsigned max)
{
	struct dpdk *d = dpdk_of(device);
	unsigned n = d->wire.port_count < max ? d->wire.port_count : max;
	for (unsigned i = 0; i < n; i++) {
		struct dpdk_port *p = &d->ports[i];
		struct rte_eth_stats s;
		if (p->started && rte_eth_stats_get(p->id, &s) == 0) {
			p->last.rx_packets = s.ipackets;
			p->last.tx_packets = s.opackets;
			p->last.missed = s.imissed + s.rx_nombuf;
		}
		p->last.up = atomic_load(&p->up);
		snprintf(p->last.name, sizeof(p->last.name), "%s", p->name);
		stats[i] = p->last;
	}
	return n;
}

/* --- memory ------------------------------------------------------------------------------------------------------------ */

/* All buffers that can be somewhere at once: in rings, lent, in caches. */
static unsigned buffers_needed(const struct dpdk *d)
{
	const struct io_dpdk_config *c = &d->config;
	unsigned rings = d->wire.port_count * (c->rx_descriptors + c->tx_descriptors);
	return d->device.workers * (rings + IO_OUTSTANDING_MAX + POOL_CACHE * 3 / 2);
}

/* Whether the driver of AF_XDP serves one of the ports. */
static bool any_af_xdp(const struct io_dpdk_config *c)
{
	for (size_t i = 0; i < c->port_count; i++)
		if (strncmp(c->ports[i], "net_af_xdp", 10) == 0)
			return true;
	return false;
}

/* That driver registers, as its memory, so many bytes from the pool's begin as its buffers have together. But a pool leaves holes
 * where a buffer would lie on two pages; those behind that end are then refused by the kernel, silently, and never come back:
 * some ten thousand packets later the fill ring is empty for good. So buffers stand close together: no device reads them. */
static struct rte_mempool *make_packed_pool(const char *name, unsigned count)
{
	const struct rte_pktmbuf_pool_private room = {.mbuf_data_room_size = RTE_MBUF_DEFAULT_BUF_SIZE};
	struct rte_mempool *pool =
		rte_mempool_create_empty(name, count, sizeof(struct rte_mbuf) + RTE_MBUF_DEFAULT_BUF_SIZE, POOL_CACHE,
					 sizeof(room), SOCKET_ID_ANY, RTE_MEMPOOL_F_NO_IOVA_CONTIG);
	if (!pool)
		return NULL;
	if ((rte_errno = -rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), NULL)) != 0)
		goto fail;
	rte_pktmbuf_pool_init(pool, (void *)(uintptr_t)&room);
	int rc = rte_mempool_populate_default(pool);
	if (rc < 0) {
		rte_errno = -rc;
		goto fail;
	}
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;
fail:
	rte_mempool_free(pool);
	return NULL;
}

static void find_end(struct rte_mempool *pool, void *end, void *buffer, unsigned i)
{
	(void)pool, (void)i;
	if (*(uintptr_t *)end < (uintptr_t)buffer)
		*(uintptr_t *)end = (uintptr_t)buffer;
}

/* Whether all buffers lie where that driver takes them to be. */
static bool pool_is_packed(struct rte_mempool *pool)
{
	uintptr_t begin = (uintptr_t)STAILQ_FIRST(&pool->mem_list)->addr, last = 0;
	size_t size = pool->header_size + pool->elt_size + pool->trailer_size;
	rte_mempool_obj_iter(pool, find_end, &last);
	return pool->nb_mem_chunks == 1 && last + pool->elt_size <= begin + pool->populated_size * size;
}

static int make_pools(struct dpdk *d, char *error)
{
	static unsigned serial; /* names are for the life of the environment layer */
	bool packed = any_af_xdp(&d->config);
	char name[RTE_MEMPOOL_NAMESIZE];
	unsigned needed = buffers_needed(d);
	if (d->config.mbufs < needed) {
		snprintf(error, IO_ERROR_MAX,
			 "dpdk.mbufs: %u are too few: %u workers at %u ports with these rings need %u", d->config.mbufs,
			 d->device.workers, d->wire.port_count, needed);
		return -EINVAL;
	}
	snprintf(name, sizeof(name), "sekisho-%u", serial);
	d->wire.pool = packed ? make_packed_pool(name, d->config.mbufs)
			      : rte_pktmbuf_pool_create(name, d->config.mbufs, POOL_CACHE, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
							SOCKET_ID_ANY);
	if (d->wire.pool && packed && !pool_is_packed(d->wire.pool)) {
		snprintf(error, IO_ERROR_MAX,
			 "dpdk.mbufs: net_af_xdp needs its %u buffers in one piece: more memory (-m of dpdk.eal), or "
			 "fewer",
			 d->config.mbufs);
		return -ENOMEM;
	}
	snprintf(name, sizeof(name), "sekisho-big-%u", serial++);
	if (d->wire.pool)
		d->wire.big = rte_pktmbuf_pool_create(name, BIG_COUNT, 0, 0, BIG_BYTES, SOCKET_ID_ANY);
	if (d->wire.pool && d->wire.big)
		return 0;
	snprintf(error, IO_ERROR_MAX, "dpdk.mbufs: no memory for %u buffers: %s (huge pages? -m of dpdk.eal?)",
		 d->config.mbufs, rte_strerror(rte_errno));
	return -ENOMEM;
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

static struct io *device_attach(struct io_device *device, unsigned worker, struct counters *counters, char *error)
{
	struct dpdk *d = dpdk_of(device);
	struct io *io = dpdk_worker_open(&d->wire, worker, counters);
	struct io *steered = io && d->steer ? steer_io(d->steer, worker, io, counters) : io;
	if (!steered) {
		snprintf(error, IO_ERROR_MAX, "%s", strerror(errno));
		if (io)
			io->ops->close(io, NULL);
	}
	return steered;
}

static int device_close(struct io_device *device, bool leave, char *error)
{
	struct dpdk *d = dpdk_of(device);
	(void)leave; /* the ports are this process's: nothing stays without it */
	if (error)
		error[0] = '\0';
	for (unsigned i = 0; i < d->wire.port_count; i++)
		close_port(&d->ports[i]);
	rte_mempool_free(d->wire.big);
	rte_mempool_free(d->wire.pool);
	steer_free(d->steer);
	if (d->socket >= 0)
		close(d->socket);
	free(d);
	return 0;
}

static const struct io_device_ops device_ops = {
	.name = "dpdk",
	.attach = device_attach,
	.ports = device_ports,
	.tend = device_tend,
	.close = device_close,
};

static int check_config(const struct io_dpdk_config *c, char *error)
{
	if (c->port_count < 2 || c->port_count % 2 != 0 || c->port_count > IO_PORTS_MAX) {
		snprintf(error, IO_ERROR_MAX, "dpdk.ports: ports stand in pairs, %u at most, and %zu are given",
			 IO_PORTS_MAX, c->port_count);
		return -EINVAL;
	}
	/* a packed pool has no addresses for a device (make_packed_pool) */
	for (size_t i = 0; i < c->port_count && any_af_xdp(c); i++)
		if (strncmp(c->ports[i], "net_", 4) != 0) {
			snprintf(error, IO_ERROR_MAX, "dpdk.ports: %.64s: net_af_xdp stands with virtual devices only",
				 c->ports[i]);
			return -EINVAL;
		}
	return 0;
}

static int open_ports(struct dpdk *d, char *error)
{
	for (unsigned i = 0; i < d->config.port_count; i++) {
		d->ports[i].name = d->config.ports[i];
		int rc = open_port(d, &d->ports[i], error);
		if (rc != 0)
			return rc;
		atomic_store(&d->ports[i].up, port_up(d, &d->ports[i]));
	}
	return 0;
}

static void describe(struct dpdk *d)
{
	char *about = d->device.about;
	size_t room = sizeof(d->device.about), at = 0;
	at += (size_t)snprintf(about, room, "%s", rte_version());
	for (unsigned i = 0; i < d->wire.port_count && at < room; i++)
		at += (size_t)snprintf(about + at, room - at, "%s%s", i % 2 ? "-" : i ? ", " : ": ", d->ports[i].name);
	if (at < room)
		snprintf(about + at, room - at, ", %u queues%s", d->ports[0].rx_queues, d->steer ? ", steered" : "");
}

struct io_device *io_dpdk_open(const struct io_device_config *config, char *error)
{
	struct dpdk *d = calloc(1, sizeof(*d));
	int rc = -ENOMEM;
	error[0] = '\0';
	if (!d)
		goto fail;
	d->device.ops = &device_ops;
	d->device.workers = config->workers;
	d->config = config->dpdk;
	d->wire.ports = d->ports;
	d->wire.rx_descriptors = config->dpdk.rx_descriptors;
	d->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if ((rc = check_config(&d->config, error)) != 0 || (rc = dpdk_eal_start(d->config.eal, error)) != 0)
		goto fail;
	d->wire.port_count = (unsigned)d->config.port_count;
	if ((rc = make_pools(d, error)) != 0 || (rc = open_ports(d, error)) != 0)
		goto fail;
	if (config->workers > 1 && d->config.steer && !(d->steer = steer_new(config->workers))) {
		rc = -errno;
		goto fail;
	}
	describe(d);
	return &d->device;
fail:
	if (!error[0])
		snprintf(error, IO_ERROR_MAX, "%s", strerror(-rc));
	if (d)
		device_close(&d->device, false, NULL);
	errno = -rc;
	return NULL;
}
