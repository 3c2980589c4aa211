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

/* A port and one of its queues as an index. */
#define XDP_SLOT(port, queue) ((port)*XDP_QUEUES_MAX + (queue))

/* The one value of `settings`. */
struct xdp_settings {
	__u64 stale_ns; /* a worker whose heartbeat is older is not alive */
	__u64 shunt_idle_ns;
	__u32 fail_open; /* without a live worker: forward; else drop */
	__u32 shunting;	 /* whether `shunts` has to be asked */
};

/* One of `counts`, by port, each processor its own. */
struct xdp_counts {
	__u64 to_worker;
	__u64 bypassed; /* forwarded by the program itself: no live worker, or the flow is shunted */
	__u64 refused;	/* dropped by the program itself: no live worker, fail-closed */
};

/* Both directions of a flow have one key: the lower address (and, of equal ones, the lower port) stands first. */
struct xdp_flow {
	__u8 addr[2][16]; /* IPv4 in the first four bytes, the rest zero */
	__u16 port[2];	  /* network order */
	__u16 vlan[2];	  /* host order, 0 none */
	__u8 proto;
	__u8 family;
	__u16 pad;
};
