/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Packet I/O: one small interface, one file a backend in dataplane/io/. Bursts cross it, nothing else does; no other file
 * knows which backend runs.
 *
 * An instance belongs to one worker. Every received packet gets exactly one verdict through io_verdict, in any
 * order within a burst, before the next io_receive; after that its memory is the backend's again.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dataplane/counters.h>
#include <dataplane/packet.h>

#define IO_BURST_MAX 64

struct io {
	const struct io_ops *ops;
	char error[256]; /* what went wrong last, for people: file and packet number, or device */
};

struct io_ops {
	const char *name;
	/* Up to max (<= IO_BURST_MAX) packets with data, len, wire_len, ts_ns, number, link_type and port set. Returns
	 * their number; 0 when none came in time; -ENODATA at the end of the input for good; another -errno on failure, with
	 * io->error set, after all that could be read has been returned. */
	int (*receive)(struct io *io, struct packet **pkts, unsigned max);
	/* Carries out pkt->verdict of each: VERDICT_FORWARD, REPLACE (data and len as they are now), DROP, or HOLD (the bytes were copied
	 * by the holder, the frame is not sent now). */
	void (*verdict)(struct io *io, struct packet **pkts, unsigned n);
	/* Sends a frame of the sensor's own (or one that was held) out of the port that faces away from `in_port`, or, with `back`, out of
	 * in_port itself. 0 or -errno. NULL where the backend cannot. */
	int (*inject)(struct io *io, const uint8_t *frame, size_t len, uint64_t ts_ns, uint16_t in_port,
		      uint16_t link_type, bool back);
	/* Flushes and frees. Returns 0 or -errno (e.g. the written capture is incomplete), io->error set by then copied to
	 * error (256 bytes) when that is not NULL. */
	int (*close)(struct io *io, char *error);
};

static inline int io_receive(struct io *io, struct packet **pkts, unsigned max)
{
	return io->ops->receive(io, pkts, max);
}

static inline void io_verdict(struct io *io, struct packet **pkts, unsigned n)
{
	io->ops->verdict(io, pkts, n);
}

struct io_pcap_config {
	const char *const *captures; /* pcap or pcapng, gzip'd or not; "-" is standard input */
	size_t capture_count;
	const char *write_path; /* what would have been forwarded, as pcap; NULL: nowhere */
	const char *filter;	/* BPF expression or NULL */
};

/* Replays captures, in the order given. A broken one ends with its message after all that could be read; the following ones
 * are still read, and the error is reported at the end. NULL with a message in error (256 bytes) when one cannot be opened. */
struct io *io_pcap_open(const struct io_pcap_config *config, struct counters *counters, char *error);
/* The capture that the last burst came from (its path). */
const char *io_pcap_current(const struct io *io);
