/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
#pragma once

/*
 * What the XDP program and the sensor agree on: the maps' keys and values. Included on both sides; plain kernel types only.
 */

#include <linux/types.h>

#define XDP_PORTS_MAX  32
#define XDP_QUEUES_MAX 64 /* of one port */
#define XDP_SLOTS      (XDP_PORTS_MAX * XDP_QUEUES_MAX)
#define XDP_WORKERS    64
/* Flows that are forwarded without the sensor at a time; the oldest give way. */
#define XDP_SHUNTS 65536
/* 802.1Q tags that a flow's key has room for. */
#define XDP_TAGS_MAX 2

/* A port and one of its queues as an index. */
#define XDP_SLOT(port, queue) ((port)*XDP_QUEUES_MAX + (queue))

/* Constants of the program on one port, set before it is loaded. */
struct xdp_settings {
	__u64 stale_ns; /* a worker whose heartbeat is older is not alive */
	__u64 shunt_idle_ns;
	__u32 port;
	__u32 workers;	 /* queue n is served by worker n % workers */
	__u32 fail_open; /* without a live worker: forward; else drop */
	__u32 pad;
};

/* The one value of `control`, which the sensor writes through a mapping, without a system call. */
struct xdp_control {
	struct {
		__u64 beat_ns; /* when it last asked for packets (CLOCK_MONOTONIC); 0: it does not */
		__u64 pad[7];  /* a cache line each */
	} workers[XDP_WORKERS];
	__u32 shunting; /* whether `shunts` has anything to ask for */
};

/* One of `counts`, by port, each processor its own. */
struct xdp_counts {
	__u64 to_worker;
	__u64 bypassed; /* forwarded by the program itself: no live worker, or the flow is shunted */
	__u64 refused;	/* dropped by the program itself: no live worker, fail-closed */
};

/* One of `before`, by port: what it was like before the sensor changed it, for the successor of one that dies. */
struct xdp_before {
	__u32 ifindex; /* 0: nothing was changed */
	__u32 promiscuous;
	__u32 gro;
	__u32 flags;	   /* ETH_FLAG_*, as ETHTOOL_GFLAGS tells them */
	__u32 channels[3]; /* combined, receive, transmit; all 0: not changed */
};

/* Both directions of a flow have one key: the lower end (address, then port) stands first. */
struct xdp_flow {
	__u32 addr[2][4];	  /* network order; IPv4 in the first word, the rest zero */
	__u16 port[2];		  /* network order */
	__u16 vlan[XDP_TAGS_MAX]; /* identifiers in host order, 0 none */
	__u8 proto;
	__u8 family;
	__u16 pair; /* of ports */
};

/* Puts the lower end first; what `lower` means does not matter, as long as both sides of the contract mean the same. */
static inline __attribute__((always_inline)) void xdp_flow_order(struct xdp_flow *flow)
{
	int order = 0;
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
		if (order == 0 && flow->addr[0][i] != flow->addr[1][i])
			order = flow->addr[0][i] < flow->addr[1][i] ? -1 : 1;
	if (order < 0 || (order == 0 && flow->port[0] <= flow->port[1]))
		return;
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++) {
		__u32 word = flow->addr[0][i];
		flow->addr[0][i] = flow->addr[1][i];
		flow->addr[1][i] = word;
	}
	__u16 port = flow->port[0];
	flow->port[0] = flow->port[1];
	flow->port[1] = port;
}
