/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
#pragma once

/* What blast.c and its XDP programs agree on. */

#define BLAST_MAGIC   0x626c7374
#define BLAST_UDP     34 /* offset of the UDP header: Ethernet, IPv4 without options */
#define BLAST_HEAD    26 /* Ethernet and IPv4 to the checksum: what a router changes */
#define BLAST_STAMP   42 /* offset of struct blast_stamp */
#define BLAST_BUCKETS 4096
#define BLAST_STEP_NS 1000 /* width of a bucket of the histogram of latencies; the last one takes all that is longer */

/* No packet came for so long: what is under way is lost. */
#define BLAST_LOST_AFTER_NS 5000000ull

struct blast_stamp {
	unsigned int magic;
	unsigned long long sent_ns; /* CLOCK_MONOTONIC */
} __attribute__((packed));

/* Constants of the programs, set before they are loaded. */
struct blast_settings {
	unsigned int out_ifindex; /* of source and forward */
	unsigned int flow_mask;	  /* flows of the source, a power of two, less one */
	unsigned int window;	  /* packets under way at a time */
	unsigned short head[BLAST_HEAD / 2];
};

/* Written by the sink's program, read by blast through a mapping, so that counting costs no system call. */
struct blast_count {
	unsigned long long packets, bytes;	      /* that came */
	unsigned long long sent, lost, last, last_ns; /* the source's own */
	unsigned long long latency[BLAST_BUCKETS];
};
