/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Packet I/O: one small interface, one file a backend in dataplane/io/. Bursts cross it, nothing else does; no other file
 * knows which backend runs.
 *
 * A live backend is opened once as a device and then attached to by each worker; replay is one instance without a device.
 * An instance belongs to one worker. Every received packet gets exactly one verdict through io_verdict, in any order;
 * after that its memory is the backend's again. A worker gives the verdicts of a burst before it asks for the next one;
 * the steering layer (steer.h), which lends packets to other workers, may owe up to IO_OUTSTANDING_MAX of them: a live
 * instance has memory for so many, their struct packet included, beside what its rings hold.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dataplane/counters.h>
#include <dataplane/packet.h>

#define IO_BURST_MAX	   64
#define IO_OUTSTANDING_MAX 1024
#define IO_WORKERS_MAX	   64
#define IO_PORTS_MAX	   32
#define IO_ERROR_MAX	   256

struct io {
	const struct io_ops *ops;
	char error[IO_ERROR_MAX]; /* what went wrong last, for people: file and packet number, or device */
	uint32_t lapses; /* counts the times when traffic may have gone past the worker uninspected (fail-open) */
};

struct io_ops {
	const char *name;
	/* Up to max (<= IO_BURST_MAX) packets with data, len, wire_len, ts_ns, number, link_type and port set, all else of the
	 * packet as decode_frame wants it (nothing). When there is none, waits for one at most wait_us microseconds (0: not at
	 * all). Returns their number; 0 when none came in time; -ENODATA at the end of the input for good; another -errno on
	 * failure, with io->error set, after all that could be read has been returned. -ENODEV: the port is gone. */
	int (*receive)(struct io *io, struct packet **pkts, unsigned max, unsigned wait_us);
	/* Carries out pkt->verdict of each: VERDICT_FORWARD, REPLACE (data and len as they are now), DROP, or HOLD (the bytes were copied
	 * by the holder, the frame is not sent now). What cannot be sent (a full ring, a port
	 * without link) is dropped and counted in counters->drop[DROP_TX_FULL] by the backend; the verdict stands as it was. */
	void (*verdict)(struct io *io, struct packet **pkts, unsigned n);
	/* Sends a frame of the sensor's own (or one that was held) out of the port that faces away from `in_port`, or, with `back`, out of
	 * in_port itself. 0 or -errno. NULL where the backend cannot. */
	int (*inject)(struct io *io, const uint8_t *frame, size_t len, uint64_t ts_ns, uint16_t in_port,
		      uint16_t link_type, bool back);
	/* Asks the backend to forward both directions of this packet's flow without the sensor from now on, until it was idle
	 * for a minute. A TCP packet with SYN and without ACK ends that: it begins another flow, and comes to the sensor. 0, or -errno
	 * (the sensor goes on to see it). The packet may have come in at another instance. NULL where the backend cannot. */
	int (*shunt)(struct io *io, const struct packet *pkt);
	/* The worker is about to stop: from now on nothing is taken in. True once no packet is owed to or by another worker; until then
	 * the worker goes on to receive and to judge. NULL: true at once. */
	bool (*finish)(struct io *io);
	/* Ends a wait of receive now, or the next one when none is under way. The one call that any thread may make. NULL where waits
	 * cannot be ended: the steering layer then keeps them short. */
	void (*wake)(struct io *io);
	/* How full the queue towards this worker is now: packets that wait, and how many may. NULL where nobody knows. */
	void (*backlog)(struct io *io, uint32_t *waiting, uint32_t *room);
	/* Flushes and frees. Returns 0 or -errno (e.g. the written capture is incomplete), io->error set by then copied to
	 * error (IO_ERROR_MAX bytes) when that is not NULL. */
	int (*close)(struct io *io, char *error);
};

static inline int io_receive(struct io *io, struct packet **pkts, unsigned max, unsigned wait_us)
{
	return io->ops->receive(io, pkts, max, wait_us);
}

static inline bool io_finish(struct io *io)
{
	return !io->ops->finish || io->ops->finish(io);
}

static inline void io_verdict(struct io *io, struct packet **pkts, unsigned n)
{
	io->ops->verdict(io, pkts, n);
}

/* --- replay: one instance, no device --------------------------------------------------------------------------------- */

struct io_pcap_config {
	const char *const *captures; /* pcap or pcapng, gzip'd or not; "-" is standard input */
	size_t capture_count;
	const char *write_path; /* what would have been forwarded, as pcap; NULL: nowhere */
	const char *filter;	/* BPF expression or NULL */
};

/* Replays captures, in the order given. A broken one ends with its message after all that could be read; the following ones
 * are still read, and the error is reported at the end. NULL with a message in error (IO_ERROR_MAX bytes) when one cannot be opened. */
struct io *io_pcap_open(const struct io_pcap_config *config, struct counters *counters, char *error);
/* The capture that the last burst came from (its path). */
const char *io_pcap_current(const struct io *io);

/* --- live: a device that several workers attach to --------------------------------------------------------------------- */

enum io_backend { IO_AFXDP, IO_DPDK, IO_NFQ };

/* Ports stand in pairs: what comes in at the first of a pair leaves by the second, and the other way round. */
struct io_afxdp_config {
	const char *const *ports; /* names of interfaces, an even number */
	size_t port_count;
	int mode;	     /* enum io_xdp_mode */
	bool zero_copy;	     /* try it first, where the driver can */
	bool steer;	     /* workers hand packets to the one that has the flow; false: the NIC's hash is symmetric */
	uint32_t frames;     /* of a worker's memory, a power of two */
	uint32_t frame_size; /* 2,048 or 4,096 */
	uint32_t ring_size;  /* descriptors of each ring, a power of two */
	bool fail_open;	     /* without a live worker: forward uninspected; else drop */
	uint64_t heartbeat_ns; /* a worker not heard of for so long is not alive */
};
enum io_xdp_mode { IO_XDP_AUTO, IO_XDP_NATIVE, IO_XDP_GENERIC };

struct io_dpdk_config {
	const char *eal; /* arguments of the environment layer, as on its command line, without the program's name */
	const char *const *ports; /* names (PCI addresses or vdevs), an even number */
	size_t port_count;
	bool steer; /* as above; false: RSS of the NIC is symmetric */
	uint16_t rx_descriptors, tx_descriptors;
	uint32_t mbufs;
};

struct io_nfq_config {
	uint16_t queue;		   /* number of the first queue; worker n has queue + n */
	uint32_t queue_length;	   /* packets the kernel keeps for a worker */
	bool fail_open;		   /* full queue, or no sensor: the kernel lets packets pass */
	bool gso;		   /* take segments of up to 64 KiB as they are */
	bool install_rules;	   /* own iptables rules, from open to close */
	const char *const *chains; /* of the filter table's rules: FORWARD, INPUT, OUTPUT */
	size_t chain_count;
	uint32_t mark, mark_mask; /* set on what was judged; 0: none */
};

struct io_device_config {
	enum io_backend backend;
	unsigned workers;
	struct io_afxdp_config afxdp;
	struct io_dpdk_config dpdk;
	struct io_nfq_config nfq;
};

struct io_port_stats {
	char name[64];
	bool up;
	uint64_t rx_packets, tx_packets; /* taken by and sent for the workers */
	uint64_t missed;		 /* lost by the NIC or the kernel before a worker could take them */
	uint64_t bypassed;		 /* forwarded without a worker: shunted, or fail-open */
	uint64_t refused;		 /* dropped without a worker: fail-closed, or blocked in the backend */
};

struct io_device {
	const struct io_device_ops *ops;
	unsigned workers;
	char error[IO_ERROR_MAX];
	char about[IO_ERROR_MAX]; /* what was opened and how (mode, queues), for people */
};

/* All are called by the main thread. */
struct io_device_ops {
	const char *name;
	/* The instance of worker `worker` (< workers), before its thread starts. NULL with a message in error. */
	struct io *(*attach)(struct io_device *device, unsigned worker, struct counters *counters, char *error);
	/* Fills the statistics of each port, returns their number. */
	unsigned (*ports)(struct io_device *device, struct io_port_stats *stats, unsigned max);
	/* Looks after the ports, some times a second: 0, or -ENODEV with device->error when one is gone. */
	int (*tend)(struct io_device *device);
	/* Frees, after every instance was closed. `leave` says that traffic goes on (or is stopped) as when the sensor dies; else
	 * everything that was installed is taken away. */
	int (*close)(struct io_device *device, bool leave, char *error);
};

/* Opens what config->backend says. NULL with a message in error (IO_ERROR_MAX bytes); -ENOTSUP in errno when this build has no
 * such backend. The configuration's strings must outlive the device. */
struct io_device *io_device_open(const struct io_device_config *config, char *error);
/* Takes away what devices of this process left that were closed with `leave`: for an end while ports are gone. No device is open. */
void io_device_forget(enum io_backend backend);
/* The name of a backend, and whether this build has it. */
const char *io_backend_name(enum io_backend backend);
bool io_backend_built(enum io_backend backend);
void io_device_config_defaults(struct io_device_config *config);
