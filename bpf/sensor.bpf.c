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

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "contract.h"

#define TAGS_MAX 2

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xdp_settings);
} settings SEC(".maps");

/* Index of the port that an interface is. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, XDP_PORTS_MAX);
	__type(key, __u32);
	__type(value, __u32);
} ports SEC(".maps");

/* The interface on the other side, by port. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, XDP_PORTS_MAX);
	__type(key, __u32);
	__type(value, __u32);
} peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, XDP_SLOTS);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

/* Which worker serves a slot. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XDP_SLOTS);
	__type(key, __u32);
	__type(value, __u32);
} owners SEC(".maps");

/* When each worker last asked for packets (CLOCK_MONOTONIC); written by the workers through a mapping. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XDP_WORKERS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
} heartbeats SEC(".maps");

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
		__builtin_memcpy(flow->addr[0], &ip->saddr, 4);
		__builtin_memcpy(flow->addr[1], &ip->daddr, 4);
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

/* Puts the lower end first. */
static __always_inline void order(struct xdp_flow *flow)
{
	int less = 0, differ = 0;
#pragma unroll
	for (int i = 0; i < 16; i++) {
		if (!differ && flow->addr[0][i] != flow->addr[1][i]) {
			differ = 1;
			less = flow->addr[0][i] < flow->addr[1][i];
		}
	}
	if (!differ)
		less = bpf_ntohs(flow->port[0]) <= bpf_ntohs(flow->port[1]);
	if (less)
		return;
#pragma unroll
	for (int i = 0; i < 16; i++) {
		__u8 byte = flow->addr[0][i];
		flow->addr[0][i] = flow->addr[1][i];
		flow->addr[1][i] = byte;
	}
	__u16 port = flow->port[0];
	flow->port[0] = flow->port[1];
	flow->port[1] = port;
}

/* The key of a frame's flow; 0 for what is no plain TCP or UDP. *begins says that a TCP connection begins with it. */
static __always_inline int flow_of(struct view v, struct xdp_flow *flow, int *begins)
{
	struct ethhdr *eth = TAKE(&v, struct ethhdr);
	if (!eth)
		return 0;
	__be16 type = eth->h_proto;
#pragma unroll
	for (int i = 0; i < TAGS_MAX; i++) {
		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
			break;
		struct tag *tag = TAKE(&v, struct tag);
		if (!tag)
			return 0;
		flow->vlan[i] = bpf_ntohs(tag->tci) & 0x0fff;
		type = tag->type;
	}
	if (!addresses(&v, type, flow) || (flow->proto != IPPROTO_TCP && flow->proto != IPPROTO_UDP))
		return 0;
	struct {
		__be16 source, dest;
	} *l4 = v.at;
	if ((void *)(l4 + 1) > v.end)
		return 0;
	flow->port[0] = l4->source;
	flow->port[1] = l4->dest;
	order(flow);
	*begins = 0;
	if (flow->proto == IPPROTO_TCP) {
		struct tcphdr *tcp = v.at;
		if ((void *)(tcp + 1) > v.end)
			return 0;
		*begins = tcp->syn && !tcp->ack;
	}
	return 1;
}

static __always_inline int is_shunted(struct xdp_md *ctx, const struct xdp_settings *set, __u64 now)
{
	struct view v = {(void *)(long)ctx->data, (void *)(long)ctx->data_end};
	struct xdp_flow flow = {};
	int begins;
	if (!flow_of(v, &flow, &begins))
		return 0;
	__u64 *seen = bpf_map_lookup_elem(&shunts, &flow);
	if (!seen)
		return 0;
	if (begins || (__s64)(now - *seen) > (__s64)set->shunt_idle_ns) {
		/* whoever uses these ports now is somebody else */
		bpf_map_delete_elem(&shunts, &flow);
		return 0;
	}
	*seen = now;
	return 1;
}

SEC("xdp")
int sekisho_port(struct xdp_md *ctx)
{
	__u32 zero = 0, interface = ctx->ingress_ifindex;
	__u32 *port = bpf_map_lookup_elem(&ports, &interface);
	struct xdp_settings *set = bpf_map_lookup_elem(&settings, &zero);
	if (!port || !set)
		return XDP_PASS;
	__u32 index = *port;
	struct xdp_counts *count = bpf_map_lookup_elem(&counts, &index);
	if (!count)
		return XDP_PASS;
	__u64 now = bpf_ktime_get_ns();
	if (set->shunting && is_shunted(ctx, set, now)) {
		count->bypassed++;
		return bpf_redirect_map(&peers, index, XDP_DROP);
	}
	__u32 slot = XDP_SLOT(index, ctx->rx_queue_index);
	if (ctx->rx_queue_index < XDP_QUEUES_MAX) {
		__u32 *owner = bpf_map_lookup_elem(&owners, &slot);
		__u64 *beat = owner ? bpf_map_lookup_elem(&heartbeats, owner) : 0;
		/* a heartbeat after `now` is one of this moment, seen from another processor */
		if (beat && (__s64)(now - *beat) < (__s64)set->stale_ns && bpf_map_lookup_elem(&sockets, &slot)) {
			count->to_worker++;
			return bpf_redirect_map(&sockets, slot, XDP_DROP);
		}
	}
	if (set->fail_open) {
		count->bypassed++;
		return bpf_redirect_map(&peers, index, XDP_DROP);
	}
	count->refused++;
	return XDP_DROP;
}

char program_license[] SEC("license") = "Dual BSD/GPL";
