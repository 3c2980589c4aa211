/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/* Both ends of a measured wire, and the plainest sensor of all: a redirect from port to port. */
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

#include "blast.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct blast_count);
} counts SEC(".maps");

volatile const struct blast_settings settings;

/* Counts a packet, and how long it was on its way when it says when it left. */
SEC("xdp") int sink(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 zero = 0;
	struct blast_count *count = bpf_map_lookup_elem(&counts, &zero);
	if (!count)
		return XDP_ABORTED;
	__sync_fetch_and_add(&count->packets, 1);
	__sync_fetch_and_add(&count->bytes, (__u64)(end - data));
	struct blast_stamp *stamp = data + BLAST_STAMP;
	if ((void *)(stamp + 1) <= end && stamp->magic == BLAST_MAGIC && stamp->sent_ns) {
		__u64 bucket = (bpf_ktime_get_ns() - stamp->sent_ns) / BLAST_STEP_NS;
		if (bucket >= BLAST_BUCKETS)
			bucket = BLAST_BUCKETS - 1;
		__sync_fetch_and_add(&count->latency[bucket], 1);
	}
	return XDP_DROP;
}

/* Whether one more packet may be under way. */
static int may_send(struct blast_count *count)
{
	__u64 came = *(volatile __u64 *)&count->packets, under_way = count->sent - count->lost - came;
	if (came != count->last) {
		count->last = came;
		count->last_ns = 0;
	}
	if ((__s64)under_way < (__s64)settings.window)
		return 1;
	__u64 now = bpf_ktime_get_ns();
	if (!count->last_ns) {
		count->last_ns = now;
	} else if (now - count->last_ns > BLAST_LOST_AFTER_NS) {
		count->lost += under_way;
		count->last_ns = 0;
	}
	return 0;
}

/* Run by BPF_PROG_TEST_RUN on one frame again and again: each time another flow, and out, as long as the window is open. */
SEC("xdp") int source(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u16 *port = data + BLAST_UDP;
	__u32 zero = 0;
	struct blast_count *count = bpf_map_lookup_elem(&counts, &zero);
	if (!count || (void *)(port + 1) > end)
		return XDP_ABORTED;
	if (!may_send(count))
		return XDP_DROP;
	count->sent++;
	/* The frame's memory is used again as it came back: whoever forwarded it last has written to it. */
	for (int i = 0; i < BLAST_HEAD / 2; i++)
		((__u16 *)data)[i] = settings.head[i];
	*port = __builtin_bswap16(1024 + (bpf_get_prandom_u32() & settings.flow_mask));
	return bpf_redirect(settings.out_ifindex, 0);
}

SEC("xdp") int forward(struct xdp_md *ctx)
{
	(void)ctx;
	return bpf_redirect(settings.out_ifindex, 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
