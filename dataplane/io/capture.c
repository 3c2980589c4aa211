/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pcap/pcap.h>
#include <zlib.h>

#include <dataplane/bytes.h>

#include "capture.h"

/* Large enough that a refill is rare beside its packets, small enough to stay in the second-level cache with them. */
#define BUFFER_SIZE (512u << 10)
/* A burst of records that libpcap lent us is copied to memory of ours; this many bytes end a burst. */
#define COPY_SIZE (4u << 20)

_Static_assert(BUFFER_SIZE > CAPTURE_RECORD_MAX + 16, "a record must fit");
_Static_assert(COPY_SIZE > CAPTURE_RECORD_MAX, "a record must fit");

#define FILE_HEADER_LEN	  24
#define RECORD_HEADER_LEN 16
/* The upper bits of the link-type field tell of a frame check sequence. */
#define LINK_TYPE_MASK 0x03ffffffu
#define LINKTYPE_RAW   101

struct capture {
	gzFile file;
	char *path;
	uint64_t number; /* records read */
	uint16_t link_type;
	bool swapped;
	bool nanosecond;
	bool ended; /* nothing more comes from `file` */
	int read_error;

	uint8_t *buffer; /* [at, filled) is not consumed yet */
	size_t at, filled;

	pcap_t *pcap; /* NULL for classic pcap */
	uint8_t *copy;
	size_t copied;
};

__attribute__((format(printf, 4, 5))) static int broken(const struct capture *c, char *error, size_t size,
							const char *format, ...)
{
	char what[160];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	snprintf(error, size, "%s: packet %llu: %s", c->path, (unsigned long long)c->number + 1, what);
	return -EBADMSG;
}

/* Reads until `want` bytes wait in the buffer or the file ends. */
static void fill(struct capture *c, size_t want)
{
	while (!c->ended && c->filled - c->at < want) {
		int n = gzread(c->file, c->buffer + c->filled, (unsigned)(BUFFER_SIZE - c->filled));
		if (n > 0) {
			c->filled += (size_t)n;
			continue;
		}
		int zerror = Z_OK;
		gzerror(c->file, &zerror);
		if (n < 0 || zerror == Z_BUF_ERROR)
			c->read_error = zerror == Z_ERRNO ? errno : EBADMSG;
		c->ended = true;
	}
}

static uint32_t field32(const struct capture *c, const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return c->swapped ? __builtin_bswap32(v) : v;
}

static uint16_t dlt_of(uint32_t link_type)
{
	link_type &= LINK_TYPE_MASK;
	if (link_type == LINKTYPE_RAW)
		return DLT_RAW;
	return link_type > UINT16_MAX ? UINT16_MAX : (uint16_t)link_type;
}

/* True when the file header is that of classic pcap 2.3 or later, whose records all look alike. */
static bool parse_classic(struct capture *c)
{
	static const struct {
		uint32_t magic;
		bool swapped, nanosecond;
	} kinds[] = {{0xa1b2c3d4u, false, false},
		     {0xd4c3b2a1u, true, false},
		     {0xa1b23c4du, false, true},
		     {0x4d3cb2a1u, true, true}};
	const uint8_t *h = c->buffer + c->at;
	uint32_t magic;
	memcpy(&magic, h, sizeof(magic));
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (magic != kinds[i].magic)
			continue;
		c->swapped = kinds[i].swapped;
		c->nanosecond = kinds[i].nanosecond;
		uint16_t version[2];
		memcpy(version, h + 4, sizeof(version));
		if (c->swapped) {
			version[0] = __builtin_bswap16(version[0]);
			version[1] = __builtin_bswap16(version[1]);
		}
		if (version[0] != 2 || version[1] < 4)
			return false;
		c->link_type = dlt_of(field32(c, h + 20));
		c->at += FILE_HEADER_LEN;
		return true;
	}
	return false;
}

/* What libpcap reads through: first what was peeked at, then the file. */
static ssize_t cookie_read(void *cookie, char *to, size_t size)
{
	struct capture *c = cookie;
	if (c->at == c->filled) {
		c->at = c->filled = 0;
		fill(c, 1);
	}
	size_t n = c->filled - c->at < size ? c->filled - c->at : size;
	memcpy(to, c->buffer + c->at, n);
	c->at += n;
	return (ssize_t)n;
}

static int open_libpcap(struct capture *c, char *error, size_t error_size)
{
	char why[PCAP_ERRBUF_SIZE] = "";
	FILE *stream = fopencookie(c, "rb", (cookie_io_functions_t){.read = cookie_read});
	if (!stream)
		return -errno;
	c->pcap = pcap_fopen_offline_with_tstamp_precision(stream, PCAP_TSTAMP_PRECISION_NANO, why);
	if (!c->pcap) {
		fclose(stream);
		snprintf(error, error_size, "%s: not a capture: %s", c->path, why);
		return -EBADMSG;
	}
	c->copy = malloc(COPY_SIZE);
	if (!c->copy)
		return -ENOMEM;
	c->link_type = (uint16_t)pcap_datalink(c->pcap);
	/* pcapng may carry nanoseconds in any of its interfaces */
	c->nanosecond = true;
	return 0;
}

static int open_file(struct capture *c)
{
	int fd = strcmp(c->path, "-") == 0 ? dup(STDIN_FILENO) : open(c->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	c->file = gzdopen(fd, "rb");
	if (!c->file) {
		close(fd);
		return -ENOMEM;
	}
	gzbuffer(c->file, 128u << 10);
	return 0;
}

struct capture *capture_open(const char *path, char *error, size_t error_size, bool *damaged)
{
	struct capture *c = calloc(1, sizeof(*c));
	int r = -ENOMEM;
	*damaged = false;
	error[0] = '\0';
	if (!c)
		goto fail;
	c->path = strdup(path);
	c->buffer = malloc(BUFFER_SIZE);
	if (!c->path || !c->buffer)
		goto fail;
	r = open_file(c);
	if (r < 0)
		goto fail;
	fill(c, FILE_HEADER_LEN);
	if (c->read_error && c->read_error != EBADMSG) {
		r = -c->read_error; /* a folder, a bad disk */
		goto fail;
	}
	if (c->filled >= FILE_HEADER_LEN && parse_classic(c))
		return c;
	r = open_libpcap(c, error, error_size);
	if (r == 0)
		return c;
	*damaged = r == -EBADMSG;
fail:
	if (error[0] == '\0')
		snprintf(error, error_size, "%s: %s", path, strerror(-r));
	capture_close(c);
	errno = -r;
	return NULL;
}

void capture_close(struct capture *c)
{
	if (!c)
		return;
	if (c->pcap)
		pcap_close(c->pcap);
	if (c->file)
		gzclose_r(c->file);
	free(c->copy);
	free(c->buffer);
	free(c->path);
	free(c);
}

void capture_rewind(struct capture *c)
{
	c->copied = 0;
	if (c->pcap || c->at == 0)
		return;
	/* refill only when the next record is not whole, so that many small bursts share one read */
	size_t left = c->filled - c->at;
	if (left >= RECORD_HEADER_LEN && left - RECORD_HEADER_LEN >= field32(c, c->buffer + c->at + 8))
		return;
	memmove(c->buffer, c->buffer + c->at, left);
	c->at = 0;
	c->filled = left;
}

static int next_libpcap(struct capture *c, struct capture_record *record, char *error, size_t error_size)
{
	struct pcap_pkthdr *header;
	const u_char *data;
	if (COPY_SIZE - c->copied < CAPTURE_RECORD_MAX)
		return 0;
	int r = pcap_next_ex(c->pcap, &header, &data);
	if (r == 1 && header->caplen > CAPTURE_RECORD_MAX)
		return broken(c, error, error_size, "a record of %u bytes", header->caplen);
	if (r == PCAP_ERROR)
		return broken(c, error, error_size, "%s", pcap_geterr(c->pcap));
	if (r != 1)
		return c->read_error ? broken(c, error, error_size, "the compressed file is damaged or cut short")
				     : -ENODATA;
	record->data = memcpy(c->copy + c->copied, data, header->caplen);
	c->copied += header->caplen;
	record->len = header->caplen;
	record->wire_len = header->len;
	record->ts_ns = (uint64_t)header->ts.tv_sec * 1000000000u + (uint64_t)header->ts.tv_usec;
	record->number = ++c->number;
	return 1;
}

/* 0 when at least `need` bytes wait; 1 when records given out must be let go of first; -errno when the file ends before. */
static int need_bytes(struct capture *c, size_t need, const char *what, char *error, size_t error_size)
{
	if (c->filled - c->at >= need)
		return 0;
	if (c->at > 0 && !c->ended)
		return 1;
	fill(c, need);
	size_t left = c->filled - c->at;
	if (left >= need)
		return 0;
	if (c->read_error)
		return broken(c, error, error_size, "%s",
			      c->read_error == EBADMSG ? "the compressed file is damaged or cut short"
						       : strerror(c->read_error));
	if (left == 0)
		return -ENODATA;
	return broken(c, error, error_size, "the file ends within %s (%zu of %zu bytes)", what, left, need);
}

int capture_next(struct capture *c, struct capture_record *record, char *error, size_t error_size)
{
	if (c->pcap)
		return next_libpcap(c, record, error, error_size);
	int r = need_bytes(c, RECORD_HEADER_LEN, "its header", error, error_size);
	if (r != 0)
		return r < 0 ? r : 0;
	const uint8_t *h = c->buffer + c->at;
	uint32_t seconds = field32(c, h), fraction = field32(c, h + 4), len = field32(c, h + 8);
	if (len > CAPTURE_RECORD_MAX)
		return broken(c, error, error_size, "a record of %u bytes", len);
	r = need_bytes(c, RECORD_HEADER_LEN + (size_t)len, "its data", error, error_size);
	if (r != 0)
		return r < 0 ? r : 0;
	h = c->buffer + c->at;
	record->data = c->buffer + c->at + RECORD_HEADER_LEN;
	record->len = len;
	record->wire_len = field32(c, h + 12);
	record->ts_ns = seconds * 1000000000ull + fraction * (c->nanosecond ? 1ull : 1000ull);
	record->number = ++c->number;
	c->at += RECORD_HEADER_LEN + (size_t)len;
	return 1;
}

uint16_t capture_link_type(const struct capture *c)
{
	return c->link_type;
}

bool capture_is_nanosecond(const struct capture *c)
{
	return c->nanosecond;
}
