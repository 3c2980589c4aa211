/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The XDP program in the kernel: one for each port, all with the same maps. It stays there when this process dies; the next
 * one finds it, learns from its maps what the ports were like, and puts its own in its place.
 */
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "afxdp.h"
/* generated, and not by our rules */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#include <bpf/sensor.skel.h>
#pragma GCC diagnostic pop

/* As the program is named in its object. */
#define PROGRAM_NAME "sekisho_port"
#define PROGRAM_MAPS 16 /* more than it has */
/* Flows that are asked for in one system call when the old ones are thrown out. */
#define SWEEP_BATCH 1024

struct afxdp_program {
	struct sensor_bpf *ports[IO_PORTS_MAX]; /* the maps are the first one's */
	unsigned port_count;
	struct xdp_control *control;
	size_t control_bytes;
	uint64_t shunt_idle_ns;
	int cpus;
	struct xdp_counts *per_cpu; /* scratch: cpus */
	struct {
		struct xdp_flow keys[SWEEP_BATCH];
		uint64_t seen_ns[SWEEP_BATCH];
	} sweep;
};

/* What this process attached: it may ask the kernel about it again when it has given up the right to ask about programs. */
static struct {
	uint32_t program_id;
	struct xdp_before before;
} attached[IO_PORTS_MAX];

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

/* --- loading ------------------------------------------------------------------------------------------------------------ */

/* The maps of the first port's program become the next one's. */
static int share_maps(struct sensor_bpf *first, struct sensor_bpf *next)
{
	struct bpf_map *map;
	bpf_object__for_each_map(map, next->obj)
	{
		if (bpf_map__is_internal(map))
			continue; /* its constants */
		const struct bpf_map *theirs = bpf_object__find_map_by_name(first->obj, bpf_map__name(map));
		int rc = theirs ? bpf_map__reuse_fd(map, bpf_map__fd(theirs)) : -ENOENT;
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int load_port(struct afxdp_program *p, const struct xdp_settings *settings)
{
	struct sensor_bpf *bpf = sensor_bpf__open();
	if (!bpf)
		return -errno;
	p->ports[p->port_count++] = bpf;
	memcpy((void *)(uintptr_t)&bpf->rodata->settings, settings, sizeof(*settings));
	int rc = p->port_count > 1 ? share_maps(p->ports[0], bpf) : 0;
	if (rc == 0)
		rc = sensor_bpf__load(bpf);
	/* the program does not look at it, and keeps it for the next process all the same */
	if (rc == 0)
		rc = bpf_prog_bind_map(bpf_program__fd(bpf->progs.sekisho_port), bpf_map__fd(bpf->maps.before), NULL);
	return rc;
}

static int map_control(struct afxdp_program *p)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	p->control_bytes = (sizeof(*p->control) + page - 1) / page * page;
	void *map = mmap(NULL, p->control_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			 bpf_map__fd(p->ports[0]->maps.control), 0);
	if (map == MAP_FAILED)
		return -errno;
	p->control = map;
	return 0;
}

struct afxdp_program *afxdp_program_load(const struct xdp_settings *settings, unsigned ports, char *error)
{
	struct afxdp_program *p = calloc(1, sizeof(*p));
	int rc = -ENOMEM;
	if (!p)
		goto fail;
	libbpf_set_print(quiet);
	p->shunt_idle_ns = settings->shunt_idle_ns;
	p->cpus = libbpf_num_possible_cpus();
	p->per_cpu = p->cpus > 0 ? calloc((size_t)p->cpus, sizeof(*p->per_cpu)) : NULL;
	rc = p->per_cpu ? 0 : -ENOMEM;
	for (unsigned i = 0; i < ports && rc == 0; i++) {
		struct xdp_settings own = *settings;
		own.port = i;
		rc = load_port(p, &own);
	}
	if (rc == 0)
		rc = map_control(p);
	if (rc == 0)
		return p;
fail:
	snprintf(error, IO_ERROR_MAX, "the XDP program cannot be loaded: %s%s", strerror(-rc),
		 rc == -EPERM ? " (it takes CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN)" : "");
	afxdp_program_free(p);
	errno = -rc;
	return NULL;
}

void afxdp_program_free(struct afxdp_program *p)
{
	if (!p)
		return;
	if (p->control)
		munmap(p->control, p->control_bytes);
	while (p->port_count > 0)
		sensor_bpf__destroy(p->ports[--p->port_count]);
	free(p->per_cpu);
	free(p);
}

/* --- its maps ------------------------------------------------------------------------------------------------------------ */

struct xdp_control *afxdp_program_control(const struct afxdp_program *p)
{
	return p->control;
}

int afxdp_program_sockets(const struct afxdp_program *p)
{
	return bpf_map__fd(p->ports[0]->maps.sockets);
}

int afxdp_program_shunts(const struct afxdp_program *p)
{
	return bpf_map__fd(p->ports[0]->maps.shunts);
}

int afxdp_program_fd(const struct afxdp_program *p, unsigned port)
{
	return bpf_program__fd(p->ports[port]->progs.sekisho_port);
}

int afxdp_program_join(struct afxdp_program *p, unsigned port, int peer_ifindex, const struct xdp_before *before)
{
	uint32_t peer = (uint32_t)peer_ifindex;
	if (bpf_map_update_elem(bpf_map__fd(p->ports[0]->maps.peers), &port, &peer, BPF_ANY) != 0 ||
	    bpf_map_update_elem(bpf_map__fd(p->ports[0]->maps.before), &port, before, BPF_ANY) != 0)
		return -errno;
	return 0;
}

struct xdp_counts afxdp_program_counts(struct afxdp_program *p, unsigned port)
{
	struct xdp_counts sum = {0};
	if (bpf_map_lookup_elem(bpf_map__fd(p->ports[0]->maps.counts), &port, p->per_cpu) != 0)
		return sum;
	for (int cpu = 0; cpu < p->cpus; cpu++) {
		sum.to_worker += p->per_cpu[cpu].to_worker;
		sum.bypassed += p->per_cpu[cpu].bypassed;
		sum.refused += p->per_cpu[cpu].refused;
	}
	return sum;
}

void afxdp_program_sweep(struct afxdp_program *p, uint64_t now_ns)
{
	int map = afxdp_program_shunts(p);
	uint32_t position = 0, live = 0;
	bool first = true;
	int rc = 0;
	if (!__atomic_load_n(&p->control->shunting, __ATOMIC_SEQ_CST))
		return;
	/* a worker that adds one now sets it again after that; one that was added before is found here */
	__atomic_store_n(&p->control->shunting, 0, __ATOMIC_SEQ_CST);
	while (rc == 0) {
		uint32_t n = SWEEP_BATCH;
		rc = bpf_map_lookup_batch(map, first ? NULL : &position, &position, p->sweep.keys, p->sweep.seen_ns, &n,
					  NULL) == 0
			     ? 0
			     : -errno;
		first = false;
		if (rc != 0 && rc != -ENOENT) {
			live = 1; /* a crowded bucket, or a kernel that cannot tell: they stay */
			break;
		}
		for (uint32_t i = 0; i < n; i++) {
			if ((int64_t)(now_ns - p->sweep.seen_ns[i]) > (int64_t)p->shunt_idle_ns)
				(void)bpf_map_delete_elem(map, &p->sweep.keys[i]);
			else
				live++;
		}
	}
	if (live > 0)
		__atomic_store_n(&p->control->shunting, 1, __ATOMIC_SEQ_CST);
}

/* --- on a port ------------------------------------------------------------------------------------------------------------- */

/* A map of an attached program, by name. A descriptor or -errno. */
static int map_of(const struct bpf_prog_info *info, const uint32_t *ids, const char *name)
{
	for (uint32_t i = 0; i < info->nr_map_ids && i < PROGRAM_MAPS; i++) {
		struct bpf_map_info map = {0};
		uint32_t len = sizeof(map);
		int fd = bpf_map_get_fd_by_id(ids[i]);
		if (fd < 0)
			continue;
		if (bpf_obj_get_info_by_fd(fd, &map, &len) == 0 && strcmp(map.name, name) == 0 &&
		    map.value_size == sizeof(struct xdp_before))
			return fd;
		close(fd);
	}
	return -ENOENT;
}

/* Looks whether the program is one of ours, and what it knows of the port. 0, -EBUSY for somebody else's, or -errno. */
static int inherit(struct afxdp_port *port, uint32_t id)
{
	uint32_t ids[PROGRAM_MAPS], len = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = {.nr_map_ids = PROGRAM_MAPS, .map_ids = (uint64_t)(uintptr_t)ids};
	for (unsigned i = 0; i < IO_PORTS_MAX; i++)
		if (attached[i].program_id == id) {
			port->before = attached[i].before;
			return 0;
		}
	int fd = bpf_prog_get_fd_by_id(id);
	if (fd < 0)
		return -errno;
	int rc = bpf_obj_get_info_by_fd(fd, &info, &len) == 0 ? 0 : -errno;
	close(fd);
	if (rc != 0)
		return rc;
	if (strcmp(info.name, PROGRAM_NAME) != 0)
		return -EBUSY;
	int map = map_of(&info, ids, "before");
	for (uint32_t i = 0; map >= 0 && i < XDP_PORTS_MAX; i++) {
		struct xdp_before before;
		if (bpf_map_lookup_elem(map, &i, &before) == 0 && before.ifindex == (uint32_t)port->ifindex)
			port->before = before;
	}
	if (map >= 0)
		close(map);
	return 0;
}

int afxdp_port_find_program(struct afxdp_port *port, char *error)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);
	int rc = bpf_xdp_query(port->ifindex, 0, &opts);
	if (rc == 0 && opts.attach_mode == XDP_ATTACHED_NONE)
		return 0;
	if (rc == 0) {
		port->present_flags = opts.attach_mode == XDP_ATTACHED_SKB  ? XDP_FLAGS_SKB_MODE
				      : opts.attach_mode == XDP_ATTACHED_HW ? XDP_FLAGS_HW_MODE
									    : XDP_FLAGS_DRV_MODE;
		rc = inherit(port, opts.prog_id	      ? opts.prog_id
				   : opts.drv_prog_id ? opts.drv_prog_id
						      : opts.skb_prog_id);
	}
	if (rc == -EBUSY)
		snprintf(error, IO_ERROR_MAX, "%s: another XDP program is attached; ip link set %s xdp off removes it",
			 port->name, port->name);
	else if (rc != 0)
		snprintf(error, IO_ERROR_MAX, "%s: its XDP program cannot be asked for: %s", port->name, strerror(-rc));
	return rc;
}

int afxdp_port_attach(struct afxdp_port *port, int program, uint32_t flags)
{
	/* a port has one mode at a time; in the same one, the new program takes the old one's place at once */
	if (port->present_flags && port->present_flags != flags)
		(void)bpf_xdp_detach(port->ifindex, port->present_flags, NULL);
	int rc = bpf_xdp_attach(port->ifindex, program, flags, NULL);
	if (rc != 0)
		return rc;
	port->present_flags = port->xdp_flags = flags;
	return 0;
}

void afxdp_port_remember(const struct afxdp_port *port, unsigned index, int program)
{
	struct bpf_prog_info info = {0};
	uint32_t len = sizeof(info);
	if (bpf_obj_get_info_by_fd(program, &info, &len) != 0)
		return;
	attached[index].program_id = info.id;
	attached[index].before = port->before;
}

bool afxdp_port_recall(struct afxdp_port *port, unsigned index)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);
	*port = (struct afxdp_port){.ifindex = (int)attached[index].before.ifindex, .lock = -1};
	if (!attached[index].program_id || !if_indextoname((unsigned)port->ifindex, port->name) ||
	    bpf_xdp_query(port->ifindex, 0, &opts) != 0)
		return false;
	port->before = attached[index].before;
	port->xdp_flags = opts.attach_mode == XDP_ATTACHED_SKB ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
	uint32_t id = port->xdp_flags == XDP_FLAGS_SKB_MODE ? opts.skb_prog_id : opts.drv_prog_id;
	return id == attached[index].program_id || opts.prog_id == attached[index].program_id;
}

void afxdp_port_detach(struct afxdp_port *port)
{
	if (port->xdp_flags && afxdp_port_present(port))
		(void)bpf_xdp_detach(port->ifindex, port->xdp_flags, NULL);
	port->xdp_flags = port->present_flags = 0;
}
