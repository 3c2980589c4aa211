/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The backend that replays captures and writes what would have been forwarded.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <pcap/pcap.h>

#include <dataplane/io.h>

#include "capture.h"

/* Written captures go out in pieces of this size. */
#define WRITE_BUFFER (256u << 10)

struct io_pcap {
	struct io io; /* first */
	struct counters *counters;
	char **paths;
	size_t path_count;
	size_t next; /* index of the capture to open next */
	const char *current;
	struct capture *capture;
	bool finished; /* nothing more is read from `capture`; it is closed when its last burst has been judged */
	struct packet packets[IO_BURST_MAX];

	char *filter;
	struct bpf_program program;
	bool filtering;

	FILE *out;
	char *out_path;
	int out_link_type; /* -1 until known */
	bool out_nanosecond;
	bool out_started; /* its header is written */
	int out_error;

	int error; /* the first, -errno; its message is io.error */
};

static struct io_pcap *io_pcap_of(const struct io *io)
{
	return (struct io_pcap *)(uintptr_t)io;
}

/* The first error is the one that is told. */
static void keep_error(struct io_pcap *p, int error, const char *message)
{
	if (p->error)
		return;
	p->error = error;
	snprintf(p->io.error, sizeof(p->io.error), "%s", message);
}

static const char *link_name(int dlt)
{
	const char *name = pcap_datalink_val_to_name(dlt);
	return name ? name : "unknown";
}

/* Compiles the filter for a link type; false with a message. */
static bool filter_compile(const char *filter, uint16_t link_type, struct bpf_program *program, char *error,
			   size_t error_size)
{
	pcap_t *dead = pcap_open_dead(link_type, CAPTURE_RECORD_MAX);
	if (!dead) {
		snprintf(error, error_size, "filter: no memory");
		return false;
	}
	bool ok = pcap_compile(dead, program, filter, 1, PCAP_NETMASK_UNKNOWN) == 0;
	if (!ok)
		snprintf(error, error_size, "filter '%s': %s", filter, pcap_geterr(dead));
	pcap_close(dead);
	return ok;
}

static void filter_free(struct io_pcap *p)
{
	if (p->filtering)
		pcap_freecode(&p->program);
	p->filtering = false;
}

/* A written capture has one link type; the first capture decides it. False with a message. */
static bool take_link_type(struct io_pcap *p, const char *path, int link_type, char *error, size_t error_size)
{
	if (!p->out_path || p->out_link_type < 0 || p->out_link_type == link_type) {
		p->out_link_type = link_type;
		return true;
	}
	snprintf(error, error_size,
		 "%s: its link type %s differs from %s of the captures before; one file cannot hold both", path,
		 link_name(link_type), link_name(p->out_link_type));
	return false;
}

/* Opens the next capture that can be read; false when there is none. */
static bool open_next(struct io_pcap *p)
{
	while (p->next < p->path_count) {
		char error[sizeof(p->io.error)];
		bool damaged;
		const char *path = p->paths[p->next++];
		struct capture *c = capture_open(path, error, sizeof(error), &damaged);
		if (!c) {
			keep_error(p, -EBADMSG, error);
			continue;
		}
		filter_free(p);
		uint16_t link_type = capture_link_type(c);
		if (!take_link_type(p, path, link_type, error, sizeof(error)) ||
		    (p->filter && !filter_compile(p->filter, link_type, &p->program, error, sizeof(error)))) {
			keep_error(p, -EINVAL, error);
			capture_close(c);
			continue;
		}
		p->filtering = p->filter != NULL;
		p->out_nanosecond = p->out_nanosecond || (!p->out_started && capture_is_nanosecond(c));
		p->capture = c;
		p->current = path;
		return true;
	}
	return false;
}

static bool filter_takes(const struct io_pcap *p, const struct capture_record *r)
{
	struct pcap_pkthdr header = {.caplen = r->len, .len = r->wire_len};
	return !p->filtering || pcap_offline_filter(&p->program, &header, r->data) != 0;
}

static void packet_from(struct packet *pkt, const struct capture_record *r, uint16_t link_type)
{
	pkt->data = r->data;
	pkt->len = r->len;
	pkt->wire_len = r->wire_len > r->len ? r->wire_len : r->len;
	pkt->ts_ns = r->ts_ns;
	pkt->number = r->number;
	pkt->link_type = link_type;
	pkt->port = 0;
	pkt->backend[0] = r->len;
}

/* Fills a burst from the open capture, until its end or where it breaks. */
static unsigned read_burst(struct io_pcap *p, struct packet **pkts, unsigned max)
{
	unsigned n = 0;
	uint16_t link_type = capture_link_type(p->capture);
	uint64_t bytes = 0;
	capture_rewind(p->capture);
	while (n < max) {
		struct capture_record record;
		char error[sizeof(p->io.error)];
		int r = capture_next(p->capture, &record, error, sizeof(error));
		if (r == 0) {
			if (n > 0)
				break;
			capture_rewind(p->capture); /* the filter refused all that was in memory */
			continue;
		}
		if (r < 0) {
			if (r != -ENODATA)
				keep_error(p, r, error);
			p->finished = true;
			break;
		}
		if (!filter_takes(p, &record))
			continue;
		packet_from(&p->packets[n], &record, link_type);
		pkts[n] = &p->packets[n];
		bytes += record.wire_len;
		n++;
	}
	count_add(p->counters, COUNTER_CAPTURE_PACKETS, n);
	count_add(p->counters, COUNTER_CAPTURE_BYTES, bytes);
	return n;
}

static int replay_receive(struct io *io, struct packet **pkts, unsigned max, unsigned wait_us)
{
	(void)wait_us; /* a file is always there */
	struct io_pcap *p = io_pcap_of(io);
	if (max > IO_BURST_MAX)
		max = IO_BURST_MAX;
	for (;;) {
		if (p->finished) {
			capture_close(p->capture);
			p->capture = NULL;
			p->finished = false;
		}
		if (!p->capture && !open_next(p))
			return p->error ? p->error : -ENODATA;
		unsigned n = read_burst(p, pkts, max);
		if (n > 0)
			return (int)n;
	}
}

static void write_bytes(struct io_pcap *p, const void *data, size_t len)
{
	if (p->out_error || len == 0)
		return;
	errno = 0;
	if (fwrite(data, 1, len, p->out) != len)
		p->out_error = errno ? -errno : -EIO;
}

static void write_header(struct io_pcap *p)
{
	struct {
		uint32_t magic;
		uint16_t major, minor;
		uint32_t zone, accuracy, snaplen, link_type;
	} h = {.magic = p->out_nanosecond ? 0xa1b23c4du : 0xa1b2c3d4u,
	       .major = 2,
	       .minor = 4,
	       .snaplen = CAPTURE_RECORD_MAX,
	       /* the one number that differs between files and libpcap's own */
	       .link_type = p->out_link_type < 0	  ? DLT_EN10MB
			    : p->out_link_type == DLT_RAW ? 101u
							  : (uint32_t)p->out_link_type};
	_Static_assert(sizeof(h) == 24, "the file header has no padding");
	p->out_started = true;
	write_bytes(p, &h, sizeof(h));
}

static void write_frame(struct io_pcap *p, const uint8_t *data, uint32_t len, uint32_t wire_len, uint64_t ts_ns)
{
	if (!p->out)
		return;
	if (!p->out_started)
		write_header(p);
	uint32_t fraction = (uint32_t)(ts_ns % 1000000000u);
	uint32_t h[4] = {(uint32_t)(ts_ns / 1000000000u), p->out_nanosecond ? fraction : fraction / 1000, len,
			 wire_len};
	write_bytes(p, h, sizeof(h));
	write_bytes(p, data, len);
}

static void replay_verdict(struct io *io, struct packet **pkts, unsigned n)
{
	struct io_pcap *p = io_pcap_of(io);
	if (!p->out)
		return;
	for (unsigned i = 0; i < n; i++) {
		const struct packet *pkt = pkts[i];
		if (pkt->verdict != VERDICT_FORWARD && pkt->verdict != VERDICT_REPLACE)
			continue;
		/* a frame that was made longer or shorter is as much longer or shorter on the wire */
		uint64_t cut = pkt->wire_len - pkt->backend[0];
		write_frame(p, pkt->data, pkt->len, pkt->len + (uint32_t)cut, pkt->ts_ns);
	}
}

static int replay_inject(struct io *io, const uint8_t *frame, size_t len, uint64_t ts_ns, uint16_t in_port,
			 uint16_t link_type, bool back)
{
	struct io_pcap *p = io_pcap_of(io);
	(void)in_port;
	(void)back;
	if (len > CAPTURE_RECORD_MAX || (p->out && p->out_link_type != link_type))
		return -EINVAL;
	write_frame(p, frame, (uint32_t)len, (uint32_t)len, ts_ns);
	return p->out_error;
}

static void finish_writing(struct io_pcap *p)
{
	if (!p->out)
		return;
	if (!p->out_started)
		write_header(p);
	errno = 0;
	if (fclose(p->out) != 0 && !p->out_error)
		p->out_error = errno ? -errno : -EIO;
	if (p->out_error) {
		char message[sizeof(p->io.error)];
		snprintf(message, sizeof(message), "%s: writing failed: %s", p->out_path, strerror(-p->out_error));
		keep_error(p, p->out_error, message);
	}
}

static int replay_close(struct io *io, char *error)
{
	struct io_pcap *p = io_pcap_of(io);
	finish_writing(p);
	int result = p->error;
	if (result && error)
		memcpy(error, p->io.error, sizeof(p->io.error));
	capture_close(p->capture);
	filter_free(p);
	for (size_t i = 0; p->paths && i < p->path_count; i++)
		free(p->paths[i]);
	free(p->paths);
	free(p->filter);
	free(p->out_path);
	free(p);
	return result;
}

static const struct io_ops replay_ops = {
	.name = "pcap",
	.receive = replay_receive,
	.verdict = replay_verdict,
	.inject = replay_inject,
	.close = replay_close,
};

/* Looks at every file before the first is judged: one that is missing, or cannot share a written file, or a filter that does
 * not compile should cost no work. Standard input and damaged files are met when their turn comes. */
static int probe_captures(struct io_pcap *p, char *error, size_t error_size)
{
	for (size_t i = 0; i < p->path_count; i++) {
		bool damaged;
		if (strcmp(p->paths[i], "-") == 0)
			continue;
		struct capture *c = capture_open(p->paths[i], error, error_size, &damaged);
		if (!c && !damaged)
			return -errno;
		if (!c)
			continue;
		uint16_t link_type = capture_link_type(c);
		struct bpf_program program;
		bool ok = take_link_type(p, p->paths[i], link_type, error, error_size);
		if (ok && p->filter) {
			ok = filter_compile(p->filter, link_type, &program, error, error_size);
			if (ok)
				pcap_freecode(&program);
		}
		capture_close(c);
		if (!ok)
			return -EINVAL;
	}
	return 0;
}

static int copy_config(struct io_pcap *p, const struct io_pcap_config *config)
{
	p->paths = calloc(config->capture_count + 1, sizeof(*p->paths));
	if (!p->paths)
		return -ENOMEM;
	p->path_count = config->capture_count;
	for (size_t i = 0; i < p->path_count; i++) {
		p->paths[i] = strdup(config->captures[i]);
		if (!p->paths[i])
			return -ENOMEM;
	}
	if (config->filter && !(p->filter = strdup(config->filter)))
		return -ENOMEM;
	if (config->write_path && !(p->out_path = strdup(config->write_path)))
		return -ENOMEM;
	return 0;
}

static int open_output(struct io_pcap *p, char *error, size_t error_size)
{
	struct stat out, in;
	bool exists = stat(p->out_path, &out) == 0 && S_ISREG(out.st_mode);
	for (size_t i = 0; exists && i < p->path_count; i++) {
		if (stat(p->paths[i], &in) != 0 || in.st_dev != out.st_dev || in.st_ino != out.st_ino)
			continue;
		snprintf(error, error_size, "%s: is also read from; it would be overwritten", p->out_path);
		return -EINVAL;
	}
	p->out = fopen(p->out_path, "wbe");
	if (!p->out) {
		int r = -errno;
		snprintf(error, error_size, "%s: %s", p->out_path, strerror(errno));
		return r;
	}
	setvbuf(p->out, NULL, _IOFBF, WRITE_BUFFER);
	return 0;
}

struct io *io_pcap_open(const struct io_pcap_config *config, struct counters *counters, char *error)
{
	struct io_pcap *p = calloc(1, sizeof(*p));
	size_t error_size = sizeof(p->io.error);
	int r = -ENOMEM;
	error[0] = '\0';
	if (!p)
		goto fail;
	p->io.ops = &replay_ops;
	p->counters = counters;
	p->out_link_type = -1;
	r = copy_config(p, config);
	if (r < 0)
		goto fail;
	r = probe_captures(p, error, error_size);
	if (r < 0)
		goto fail;
	if (p->out_path) {
		r = open_output(p, error, error_size);
		if (r < 0)
			goto fail;
	}
	error[0] = '\0';
	return &p->io;
fail:
	if (error[0] == '\0')
		snprintf(error, error_size, "%s", strerror(-r));
	if (p)
		replay_close(&p->io, NULL);
	errno = -r;
	return NULL;
}

const char *io_pcap_current(const struct io *io)
{
	return io_pcap_of(io)->current;
}
