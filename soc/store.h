/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The store: what must outlive the process. Three kinds of things, so that another engine has little to implement:
 *
 *   records    rows of columns to search by, and the lines themselves in compressed chunks. Written once, in the order of
 *              their ids, dropped by age and size, oldest first.
 *   streams    how far each sender's stream of lines is stored: what makes a repeated batch harmless.
 *   documents  everything with a life: events, incidents and their history, devices, users ... JSON with a few columns to
 *              find it by.
 *
 * One writer: all that changes stands between begin and commit, on one thread. Readers: any thread, each sees what was
 * committed when its call began. A store that is not SQLite is another struct store_ops.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record.h"

#define STORE_ERROR_MAX	 256
#define STORE_STREAM_MAX 40 /* a UUID, with its end */

/* Stored: never change a number. */
enum document_kind {
	DOCUMENT_EVENT = 1,
	DOCUMENT_INCIDENT = 2,
	DOCUMENT_HISTORY = 3, /* a line of an incident's; parent: the incident */
	DOCUMENT_CUSTOMER = 4,
	DOCUMENT_DEVICE = 5,	   /* key: fingerprint of its certificate */
	DOCUMENT_USER = 6,	   /* key: name */
	DOCUMENT_ASSET = 7,	   /* key: "CUSTOMER PREFIX" */
	DOCUMENT_SUPPRESSION = 8,  /* time: its end */
	DOCUMENT_NOTIFICATION = 9, /* parent: the incident; state 0: to be sent */
	DOCUMENT_AUDIT = 10,
	DOCUMENT_HEALTH = 11,  /* a device's, one an hour kept; parent: the device */
	DOCUMENT_SETTING = 12, /* key: name */
	DOCUMENT_CONTACT = 13, /* key: "CUSTOMER NAME" */
	DOCUMENT_KINDS
};

struct document {
	enum document_kind kind;
	uint64_t id;
	uint32_t customer; /* 0: of none */
	uint64_t parent;   /* 0: none */
	int state, rank;   /* what lists are filtered and ordered by: see each kind's owner */
	int64_t time;	   /* microseconds */
	const char *key;   /* unique among its kind; NULL: none */
	const char *body;  /* JSON */
	size_t len;
};

struct store_row {
	uint64_t id;
	uint32_t customer, device;
	uint64_t event; /* 0: of none */
	uint64_t chunk;
	uint32_t position; /* of its line in the chunk, from 0 */
	struct record record;
};

struct store_query {
	uint32_t customer;   /* 0: all */
	uint32_t device;     /* 0: all; as below */
	int64_t from, until; /* time, from <= t < until; until 0: no end */
	uint64_t before;     /* ids below only: where the last answer ended; 0: from the newest on */
	const struct address *source, *target, *either;
	uint32_t signature;
	uint64_t event;
	int type;	  /* enum record_type, -1: all */
	int severity;	  /* at least; 0: all */
	int verdict;	  /* -1: all */
	const char *text; /* part of the message, in any case; NULL: all */
	unsigned limit;
	unsigned patience_ms; /* looks no longer than this; 0: until done */
};

struct document_query {
	enum document_kind kind;
	uint32_t customer; /* 0: all */
	uint64_t parent;   /* 0: all */
	int state;	   /* -1: all */
	int rank;	   /* at least */
	int64_t from, until;
	uint64_t before, after; /* ids; 0: no bound */
	bool oldest_first;	/* by id; else the newest first */
	unsigned limit;		/* 0: all */
};

struct store_stream {
	uint64_t next; /* the first sequence number that is not stored */
	uint64_t lost; /* numbers that the sender gave up */
};

/* What came in an hour, for trends and reports. */
struct store_counter {
	uint32_t customer, device;
	int64_t hour; /* since 1970 */
	enum record_type type;
	enum severity severity;
	enum verdict verdict;
	uint64_t count;
};

struct store_size {
	uint64_t bytes; /* of the file, without what is free in it */
	uint64_t records;
	int64_t oldest; /* time of the oldest segment's first record; 0: none */
};

struct store;

/* All return 0 or -errno unless said otherwise; -ENOSPC and -EIO are told by store_error. */
struct store_ops {
	void (*close)(struct store *store);

	/* --- the writer's thread --- */
	int (*begin)(struct store *store);
	/* Durable when it returns 0; else nothing since begin is stored. */
	int (*commit)(struct store *store);
	void (*rollback)(struct store *store);
	int (*stream_put)(struct store *store, uint32_t device, const char *stream, const struct store_stream *state);
	/* `packed`: zlib, lines that end with a newline. *id is the chunk's. */
	int (*chunk_put)(struct store *store, const void *packed, size_t len, size_t unpacked, uint64_t *id);
	/* Ids rise. */
	int (*row_put)(struct store *store, const struct store_row *row);
	int (*quarantine_put)(struct store *store, uint32_t device, const char *stream, uint64_t sequence,
			      const char *reason, const char *line, size_t len, int64_t time);
	int (*counter_add)(struct store *store, const struct store_counter *counter);
	/* New, or in the place of the one with its kind and id. -EEXIST: another one has its key. */
	int (*document_put)(struct store *store, const struct document *document);
	int (*document_remove)(struct store *store, enum document_kind kind, uint64_t id);
	/* Drops the oldest records: what is wholly older than `before`, and, where `bytes_max` is not 0, until the store is smaller. Counts
	 * what it dropped. Not within begin and commit. */
	int (*retain)(struct store *store, int64_t before, uint64_t bytes_max, uint64_t *dropped);

	/* --- any thread --- */
	int (*stream_get)(struct store *store, uint32_t device, const char *stream, struct store_stream *state);
	/* The highest id so far; 0: none. */
	int (*last_row)(struct store *store, uint64_t *id);
	int (*last_document)(struct store *store, enum document_kind kind, uint64_t *id);
	/* Newest first. What `each` gets lives until it returns; another value than 0 ends the list, and is returned. *reached, where not
	 * NULL: the id down to which everything was looked at, 0 when it was all. */
	int (*rows)(struct store *store, const struct store_query *query,
		    int (*each)(void *context, const struct store_row *row), void *context, uint64_t *reached);
	/* The line of a row, malloc'd, with an end. NULL with errno. */
	char *(*line)(struct store *store, const struct store_row *row, size_t *len);
	int (*documents)(struct store *store, const struct document_query *query,
			 int (*each)(void *context, const struct document *document), void *context);
	/* By id, or by key where that is not NULL. -ENOENT: there is none. Calls `each` once. */
	int (*document)(struct store *store, enum document_kind kind, uint64_t id, const char *key,
			int (*each)(void *context, const struct document *document), void *context);
	int (*counters)(struct store *store, uint32_t customer, int64_t from_hour, int64_t until_hour,
			int (*each)(void *context, const struct store_counter *counter), void *context);
	int (*quarantined)(struct store *store, uint32_t device, unsigned limit,
			   int (*each)(void *context, uint64_t sequence, const char *reason, const char *line,
				       int64_t time),
			   void *context);
	int (*size)(struct store *store, struct store_size *size);
	/* A copy of what is committed now, into a new file. */
	int (*backup)(struct store *store, const char *path);
	/* What went wrong last on this thread, in words. */
	const char *(*error)(struct store *store);
};

struct store {
	const struct store_ops *ops;
};

struct store_sqlite_options {
	bool read_only;
	uint64_t segment_rows; /* records dropped at once by retain; 0: a million */
	uint64_t cache_bytes;  /* of pages, for the writer; 0: 64 MiB */
};

/* Opens or makes a SQLite store in the file `path`. One process may write to it at a time. NULL with errno and a message in error. */
struct store *store_sqlite_open(const char *path, const struct store_sqlite_options *options,
				char error[static STORE_ERROR_MAX]);
