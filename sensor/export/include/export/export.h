/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Ships lines of files to the SOC. The files are the spool: each is followed through its rotations, its lines go in numbered,
 * compressed batches over HTTPS with mutual TLS, and a cursor on disk moves only when the SOC has said that they are durable.
 * Whatever is killed or cut at whatever moment, a line has one number, and no number is given twice.
 *
 * Knows nothing of packets or signatures. Its threads touch files, sockets and its own memory only.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPORT_ERROR_MAX 256
/* Files that are followed at a time: a log server has some hundred devices. */
#define EXPORT_STREAMS_MAX 1024
/* What the SOC takes of one batch, unpacked. */
#define EXPORT_BATCH_BYTES_MAX	 (7u << 20)
#define EXPORT_BATCH_BYTES_MIN	 (4u << 10)
#define EXPORT_BATCH_RECORDS_MAX 10000

enum export_kind { EXPORT_EVE, EXPORT_LOG };

struct export_input {
	char *path; /* a file, or a glob of files, each of which is a stream */
	char *name; /* that the SOC is told; NULL: the file's */
	enum export_kind kind;
};

struct export_config {
	char **addresses; /* https://HOST[:PORT], tried in turn */
	size_t address_count;
	char *certificate, *key, *ca; /* a path, or PEM text itself */
	char *proxy;		      /* NULL or "": none, whatever the environment says */
	char *cursor_dir;
	struct export_input *inputs;
	size_t input_count;
	uint64_t batch_bytes; /* unpacked */
	uint32_t batch_records;
	uint64_t interval_ns; /* lines wait for others at most so long */
	uint64_t spool_max;   /* unsent bytes of a stream; what is older is given up. 0: no limit */
	uint64_t timeout_ns;  /* of one request */
	uint64_t retry_min_ns, retry_max_ns;
	uint64_t health_ns; /* between two reports; 0: none */
	/* Words for people, from any of the threads; NULL: none. */
	void (*say)(void *user, bool bad, const char *text);
	/* One JSON object into `json`; its length, 0 when there is none now. From a thread of its own; NULL: a plain one. */
	size_t (*health)(void *user, char *json, size_t size);
	void *user;
};

void export_config_defaults(struct export_config *config);
/* Reads a YAML file: `soc` (see sekisho-forward(8)) and `inputs`. All strings are allocated. 0, or -errno with "file:line: what is
 * wrong" in error. */
int export_config_load(struct export_config *config, const char *path, char error[static EXPORT_ERROR_MAX]);
/* Frees what export_config_load allocated. */
void export_config_free(struct export_config *config);

struct export_stats {
	uint64_t sent;	   /* lines that the SOC has */
	uint64_t batches;  /* that it took */
	uint64_t bytes;	   /* of lines in them */
	uint64_t lost;	   /* lines given up: spool-max, or gone before the SOC had them */
	uint64_t skipped;  /* of them: the SOC would not have them, or too long */
	uint64_t vanished; /* files that were gone before they were read to their end; how many lines nobody knows */
	uint64_t failures; /* requests without a good answer */
	uint64_t unsent;   /* bytes, of all streams */
	unsigned streams;
	bool connected; /* the last request was answered */
};

struct exporter;

/* Reads certificates, takes the cursor folder for itself, finds the files. `config` and what it points to outlive it. NULL with a
 * message in error. */
struct exporter *export_open(const struct export_config *config, char error[static EXPORT_ERROR_MAX]);
/* Starts its threads, each of which calls `confine` first when that is not NULL. 0 or -errno. */
int export_start(struct exporter *exporter, void (*confine)(void));
/* Any thread. */
struct export_stats export_stats(struct exporter *exporter);
/* Sends what is there for at most so long, ends the threads, frees. Returns the bytes that are still to be sent. NULL is allowed. */
uint64_t export_close(struct exporter *exporter, uint64_t patience_ns);

/* Where a configuration's streams stand, as one JSON object (malloc'd, the caller frees); reads the cursor folder, so that it needs no
 * running exporter. *good: one runs, and nothing is wrong. NULL with a message in error. */
char *export_status(const struct export_config *config, bool *good, char error[static EXPORT_ERROR_MAX]);
