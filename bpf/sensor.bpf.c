// SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only)
/*
 * The program on each port of the sensor. A frame goes to the worker of its queue; where that worker is not alive it goes
 * straight to the other port, or nowhere, as the policy says. The program and its maps stay when the sensor dies: that is
 * what keeps the traffic flowing.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "contract.h"

/* Those of this port's program: each port has its own, and all have the same maps. */
const volatile struct xdp_settings settings;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct xdp_control);
} control SEC(".maps");

/* The interface on the other side, by port. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, XDP_PORTS_MAX);
	__type(key, __u32);
	__type(value, __u32);
} peers SEC(".maps");

/* By slot. The kernel takes a socket out when it is closed, also by its owner's death. */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, XDP_SLOTS);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, XDP_PORTS_MAX);
	__type(key, __u32);
	__type(value, struct xdp_counts);
} counts SEC(".maps");

/* Flows that the sensor has handed over, with the time of their last packet. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, XDP_SHUNTS);
	__type(key, struct xdp_flow);
	__type(value, __u64);
} shunts SEC(".maps");

/* Not for the program: the sensor keeps here, by port, what its successor must know. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XDP_PORTS_MAX);
	__type(key, __u32);
	__type(value, struct xdp_before);
} before SEC(".maps");

struct view {
	void *at, *end;
};

/* A header of `size` bytes, and the view moved past it; NULL when it is not all there. */
#define TAKE(view, type)                                                                                               \
	({                                                                                                             \
		type *header_ = (view)->at;                                                                            \
		if ((void *)(header_ + 1) > (view)->end)                                                               \
			header_ = 0;                                                                                   \
		else                                                                                                   \
			(view)->at = header_ + 1;                                                                      \
		header_;                                                                                               \
	})

struct tag {
	__be16 tci, type;
};

static __always_inline int addresses(struct view *v, __be16 type, struct xdp_flow *flow)
{
	if (type == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = TAKE(v, struct iphdr);
		/* options and fragments are for the sensor */
		if (!ip || ip->ihl != 5 || ip->frag_off & bpf_htons(0x3fff))
			return 0;
		flow->addr[0][0] = ip->saddr;
		flow->addr[1][0] = ip->daddr;
		flow->family = 4;
		flow->proto = ip->protocol;
		return 1;
	}
	if (type == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip = TAKE(v, struct ipv6hdr);
		if (!ip)
			return 0;
		__builtin_memcpy(flow->addr[0], &ip->saddr, 16);
		__builtin_memcpy(flow->addr[1], &ip->daddr, 16);
		flow->family = 6;
		flow->proto = ip->nexthdr;
		return 1;
	}
	return 0;
}

/* The key of a frame's flow; 0 for what is no plain TCP or UDP, and for the beginning of another connection on the same ports. */
static __always_inline int flow_of(struct view v, struct xdp_flow *flow, int *begins)
{
	struct ethhdr *eth = TAKE(&v, struct ethhdr);
	if (!eth)
		return 0;
	__be16 type = eth->h_proto;
#pragma unroll
	for (int i = 0; i < XDP_TAGS_MAX; i++) {
		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
			break;
		struct tag *tag = TAKE(&v, struct tag);
		if (!tag)
			return 0;
		flow->vlan[i] = bpf_ntohs(tag->tci) & 0x0fff;
		type = tag->type;
	}
	if (!addresses(&v, type, flow))
		return 0;
	struct udphdr *l4 = v.at; /* TCP's ports stand there too */
	if ((void *)(l4 + 1) > v.end)
		return 0;
	flow->port[0] = l4->source;
	flow->port[1] = l4->dest;
	flow->pair = (__u16)(settings.port / 2);
	if (flow->proto == IPPROTO_TCP) {
		struct tcphdr *tcp = v.at;
		if ((void *)(tcp + 1) > v.end)
			return 0;
		*begins = tcp->syn && !tcp->ack;
	} else if (flow->proto != IPPROTO_UDP) {
		return 0;
	}
	xdp_flow_order(flow);
	return 1;
}

static __always_inline int is_shunted(struct xdp_md *ctx, __u64 now)
{
	struct view v = {(void *)(long)ctx->data, (void *)(long)ctx->data_end};
	struct xdp_flow flow = {};
	int begins = 0;
	if (!flow_of(v, &flow, &begins))
		return 0;
	__u64 *seen = bpf_map_lookup_elem(&shunts, &flow);
	if (!seen)
		return 0;
	if (begins || (__s64)(now - *seen) > (__s64)settings.shunt_idle_ns) {
		/* whoever uses these ports now is somebody else */
		bpf_map_delete_elem(&shunts, &flow);
		return 0;
	}
	*seen = now;
	return 1;
}

static __always_inline int is_alive(const struct xdp_control *c, __u32 queue, __u64 now)
{
	__u32 worker = queue % settings.workers;
	/* the compiler knows that it is below the bound, the kernel's verifier does not: keep the check */
	__asm__ volatile("" : "+r"(worker));
	/* a beat after `now` is one of this moment, seen from another processor */
	return worker < XDP_WORKERS && (__s64)(now - c->workers[worker].beat_ns) < (__s64)settings.stale_ns;
}

SEC("xdp")
int sekisho_port(struct xdp_md *ctx)
{
	__u32 zero = 0, port = settings.port, queue = ctx->rx_queue_index;
	struct xdp_control *c = bpf_map_lookup_elem(&control, &zero);
	struct xdp_counts *count = bpf_map_lookup_elem(&counts, &port);
	if (!c || !count)
		return XDP_ABORTED;
	__u64 now = bpf_ktime_get_ns();
	if (c->shunting && is_shunted(ctx, now)) {
		count->bypassed++;
		return bpf_redirect_map(&peers, port, XDP_DROP);
	}
	if (queue < XDP_QUEUES_MAX && is_alive(c, queue, now) &&
	    bpf_redirect_map(&sockets, XDP_SLOT(port, queue), XDP_PASS) == XDP_REDIRECT) {
		count->to_worker++;
		return XDP_REDIRECT;
	}
	if (settings.fail_open) {
		count->bypassed++;
		return bpf_redirect_map(&peers, port, XDP_DROP);
	}
	count->refused++;
	return XDP_DROP;
}

char program_license[] SEC("license") = "Dual BSD/GPL";
