/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A live device for tests of the daemon: each worker has a port of its own on which traffic never ends, and every verdict is
 * checked. Packets are, by number:
 *   UDP with nothing in it, which must be forwarded;
 *   UDP with "attack-now", which a rule drops;
 *   the segments of a TCP connection whose last two hold "split-" and "attack", which a rule drops when put together;
 *   UDP of one long flow: first "login", which a rule takes down, and ever after "needs-login", which a rule drops after a login.
 */

#include <errno.h>
#include <pcap/dlt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <dataplane/bytes.h>
#include <dataplane/io.h>

#define LIVE_RULES                                                                                                     \
	"drop udp any any -> any any (msg:\"whole\"; content:\"attack-now\"; sid:1;)\n"                                \
	"drop tcp any any -> any any (msg:\"split\"; flow:established,to_server; content:\"split-attack\"; sid:2;)\n"  \
	"alert udp any any -> any any (msg:\"login\"; content:\"login\"; startswith; flowbits:set,in; noalert; "       \
	"sid:3;)\n"                                                                                                    \
	"drop udp any any -> any any (msg:\"after\"; content:\"needs-login\"; flowbits:isset,in; sid:4;)\n"

enum live_kind {
	LIVE_PLAIN,
	LIVE_ATTACK,
	LIVE_HANDSHAKE,
	LIVE_SPLIT_BEGIN,
	LIVE_SPLIT_END,
	LIVE_LOGIN,
	LIVE_NEEDS_LOGIN
};
#define LIVE_KINDS (LIVE_NEEDS_LOGIN + 1)

#define LIVE_FRAME_BYTES 128

struct live_io {
	struct io io;
	struct live_device *device;
	struct counters *counters;
	unsigned worker;
	uint64_t number; /* of packets made; goes on when the port comes back */
	bool logged_in;
	struct packet packets[IO_BURST_MAX];
	uint8_t frames[IO_BURST_MAX][LIVE_FRAME_BYTES];
	uint8_t kinds[IO_BURST_MAX];
	unsigned outstanding;
};

/* What became of all packets of a worker, over all devices. */
struct live_totals {
	uint64_t received, forwarded, dropped, shunted;
	uint64_t forwarded_of[LIVE_KINDS], dropped_of[LIVE_KINDS];
};

struct live_device {
	struct io_device device;
	unsigned tends;
};

/* Set by the test while it runs; one device at a time. */
static struct {
	bool gone;	   /* the port is not there */
	bool paused;	   /* nothing comes */
	bool hang;	   /* the worker hangs in its backend */
	unsigned pause_us; /* between two bursts */
	uint32_t waiting;  /* of a backlog of 100; */
	bool can_shunt;
	struct live_totals totals[IO_WORKERS_MAX];
	uint64_t numbers[IO_WORKERS_MAX];
	bool logged_in[IO_WORKERS_MAX];
	unsigned opened;
} live;

static inline void live_pause(unsigned us)
{
	const struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * 1000};
	if (us)
		nanosleep(&t, NULL);
}

/* Ethernet, IPv4, and UDP or TCP with this text. */
static uint32_t live_frame(uint8_t *f, uint8_t proto, uint32_t client, uint16_t port, bool to_server, const char *text)
{
	uint32_t header = proto == 6 ? 20 : 8, len = (uint32_t)strlen(text);
	memset(f, 0, 54);
	f[12] = 8;
	f[14] = 0x45;
	store_be16(f + 16, (uint16_t)(20 + header + len));
	f[22] = 64;
	f[23] = proto;
	store_be32(f + 26, to_server ? client : 0xc0a80009);
	store_be32(f + 30, to_server ? 0xc0a80009 : client);
	store_be16(f + 34, to_server ? port : 80);
	store_be16(f + 36, to_server ? 80 : port);
	if (proto == 17)
		store_be16(f + 38, (uint16_t)(8 + len));
	memcpy(f + 34 + header, text, len);
	return 34 + header + len;
}

static inline uint32_t live_segment(uint8_t *f, uint32_t client, uint16_t port, bool to_server, uint32_t seq,
				    uint32_t ack, uint8_t flags, const char *text)
{
	uint32_t len = live_frame(f, 6, client, port, to_server, text);
	store_be32(f + 38, seq);
	store_be32(f + 42, ack);
	f[46] = 0x50;
	f[47] = flags;
	store_be16(f + 48, 0xffff);
	return len;
}

/* Packet number n of this worker: eight make a round. */
static uint32_t live_make(struct live_io *io, uint64_t n, uint8_t *f, uint8_t *kind)
{
	uint64_t round = n / 8;
	uint32_t client = 0x0a000000 | io->worker << 20 | (uint32_t)(round / 60000 & 0xffff) << 4;
	uint16_t port = (uint16_t)(1024 + round % 60000);
	switch (n % 8) {
	case 0:
		*kind = LIVE_PLAIN;
		return live_frame(f, 17, 0x0a000004 | io->worker << 20, 7, true, "nothing to see");
	case 1:
		*kind = LIVE_ATTACK;
		return live_frame(f, 17, client + 1, port, true, "some attack-now here");
	case 2:
		*kind = LIVE_HANDSHAKE;
		return live_segment(f, client + 2, port, true, 1000, 0, 0x02, "");
	case 3:
		*kind = LIVE_HANDSHAKE;
		return live_segment(f, client + 2, port, false, 5000, 1001, 0x12, "");
	case 4:
		*kind = LIVE_HANDSHAKE;
		return live_segment(f, client + 2, port, true, 1001, 5001, 0x10, "");
	case 5:
		*kind = LIVE_SPLIT_BEGIN;
		return live_segment(f, client + 2, port, true, 1001, 5001, 0x18, "one half is split-");
	case 6:
		*kind = LIVE_SPLIT_END;
		return live_segment(f, client + 2, port, true, 1019, 5001, 0x18, "attack is the other");
	default:
		*kind = io->logged_in ? LIVE_NEEDS_LOGIN : LIVE_LOGIN;
		io->logged_in = true;
		return live_frame(f, 17, 0x0a000003 | io->worker << 20, 7, true,
				  *kind == LIVE_LOGIN ? "login" : "needs-login");
	}
}

static int live_receive(struct io *base, struct packet **pkts, unsigned max, unsigned wait_us)
{
	struct live_io *io = (struct live_io *)base;
	struct timespec t;
	if (live.gone) {
		snprintf(base->error, sizeof(base->error), "port%u is gone", io->worker);
		return -ENODEV;
	}
	while (live.hang)
		live_pause(1000);
	if (live.paused || io->outstanding > 0) {
		live_pause(wait_us);
		return 0;
	}
	live_pause(live.pause_us);
	clock_gettime(CLOCK_REALTIME, &t);
	for (unsigned i = 0; i < max; i++) {
		struct packet *p = &io->packets[i];
		memset(p, 0, sizeof(*p));
		p->data = io->frames[i];
		p->len = p->wire_len = live_make(io, io->number++, io->frames[i], &io->kinds[i]);
		p->ts_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
		p->number = io->number;
		p->link_type = DLT_EN10MB;
		p->port = (uint16_t)io->worker;
		p->backend[0] = i;
		pkts[i] = p;
		count(io->counters, COUNTER_CAPTURE_PACKETS);
	}
	io->outstanding = max;
	live.totals[io->worker].received += max;
	return (int)max;
}

static void live_verdict(struct io *base, struct packet **pkts, unsigned n)
{
	struct live_io *io = (struct live_io *)base;
	struct live_totals *t = &live.totals[io->worker];
	for (unsigned i = 0; i < n; i++) {
		uint8_t kind = io->kinds[pkts[i]->backend[0]];
		if (pkts[i]->verdict == VERDICT_DROP) {
			t->dropped++;
			t->dropped_of[kind]++;
		} else {
			t->forwarded++;
			t->forwarded_of[kind]++;
		}
	}
	io->outstanding -= n;
}

static int live_shunt(struct io *base, const struct packet *pkt)
{
	struct live_io *io = (struct live_io *)base;
	(void)pkt;
	live.totals[io->worker].shunted++;
	return live.can_shunt ? 0 : -ENOTSUP;
}

static void live_backlog(struct io *base, uint32_t *waiting, uint32_t *room)
{
	(void)base;
	*waiting = live.waiting;
	*room = 100;
}

static int live_io_close(struct io *base, char *error)
{
	struct live_io *io = (struct live_io *)base;
	(void)error;
	live.numbers[io->worker] = io->number;
	live.logged_in[io->worker] = io->logged_in;
	free(io);
	return 0;
}

static const struct io_ops live_io_ops = {.name = "live",
					  .receive = live_receive,
					  .verdict = live_verdict,
					  .shunt = live_shunt,
					  .backlog = live_backlog,
					  .close = live_io_close};

static struct io *live_attach(struct io_device *device, unsigned worker, struct counters *counters, char *error)
{
	struct live_io *io = calloc(1, sizeof(*io));
	(void)error;
	if (!io)
		return NULL;
	io->io.ops = &live_io_ops;
	io->device = (struct live_device *)device;
	io->counters = counters;
	io->worker = worker;
	io->number = live.numbers[worker];
	io->logged_in = live.logged_in[worker];
	return &io->io;
}

static unsigned live_ports(struct io_device *device, struct io_port_stats *stats, unsigned max)
{
	unsigned n = device->workers < max ? device->workers : max;
	for (unsigned i = 0; i < n; i++) {
		stats[i] = (struct io_port_stats){.up = true, .missed = 3, .bypassed = 5, .refused = 7};
		snprintf(stats[i].name, sizeof(stats[i].name), "port%u", i);
	}
	return n;
}

static int live_tend(struct io_device *device)
{
	((struct live_device *)device)->tends++;
	return 0;
}

static int live_device_close(struct io_device *device, bool leave, char *error)
{
	(void)leave, (void)error;
	free(device);
	return 0;
}

static const struct io_device_ops live_device_ops = {
	.name = "live", .attach = live_attach, .ports = live_ports, .tend = live_tend, .close = live_device_close};

struct io_device *__wrap_io_device_open(const struct io_device_config *config, char *error);

/* Linked with --wrap: what the daemon opens. */
struct io_device *__wrap_io_device_open(const struct io_device_config *config, char *error)
{
	struct live_device *device = live.gone ? NULL : calloc(1, sizeof(*device));
	if (!device) {
		snprintf(error, IO_ERROR_MAX, "no such port");
		errno = ENODEV;
		return NULL;
	}
	device->device.ops = &live_device_ops;
	device->device.workers = config->workers;
	snprintf(device->device.about, sizeof(device->device.about), "live, %u ports", config->workers);
	live.opened++;
	return &device->device;
}
