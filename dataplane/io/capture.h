/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * One capture file as a run of records: classic pcap parsed here out of one large buffer, everything else (pcapng, old or
 * patched pcap) through libpcap. Both read through zlib, which passes plain files on as they are.
 *
 * Private to io/.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Larger records are taken for damage: it is libpcap's own limit for the link types we decode. */
#define CAPTURE_RECORD_MAX 262144u

struct capture;

struct capture_record {
	uint8_t *data; /* writable; lives until the next capture_rewind */
	uint32_t len;
	uint32_t wire_len;
	uint64_t ts_ns;
	uint64_t number; /* from 1 */
};

/* Opens `path` ("-" is standard input). NULL with a message in error when it cannot be opened or is no capture; `damaged` says
 * that it was the second. */
struct capture *capture_open(const char *path, char *error, size_t error_size, bool *damaged);
void capture_close(struct capture *capture); /* NULL is allowed */

/* Lets go of all records given out so far and brings more bytes into memory where that is needed. */
void capture_rewind(struct capture *capture);

/* 1 and a record; 0 when none is left before the next capture_rewind; -ENODATA at the end; another -errno with a message in
 * `error` when the file is broken there. */
int capture_next(struct capture *capture, struct capture_record *record, char *error, size_t error_size);

uint16_t capture_link_type(const struct capture *capture); /* DLT_* */
bool capture_is_nanosecond(const struct capture *capture);
