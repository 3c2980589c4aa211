/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The SOC itself: the store, what is open in memory (events, incidents), and the one thread that changes both. Whatever changes
 * anything is a job in its queue; jobs that wait together are one transaction, and are answered when that is durable. When it
 * fails, memory is read back from the store: the two never tell different things.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batch.h"
#include "directory.h"
#include "event.h"
#include "incident.h"
#include "notify.h"
#include "store.h"

#define SOC_ERROR_MAX 512
/* Of batches that wait for the writer, about. */
#define SOC_QUEUE_BYTES_MAX (128u << 20)
#define SOC_QUEUE_JOBS_MAX  4096

struct soc_config {
	const char *store_path;
	struct event_config events;
	struct incident_config incidents;
	struct sender_config mail; /* `done` and `context` are the SOC's */
	const char *name;	   /* of this SOC, as a host's: in Message-IDs */
	const char *triage_rules;  /* a file; NULL: those that come with the program */
	int64_t retention;	   /* microseconds that records are kept; 0: for ever */
	uint64_t retention_bytes;  /* of the store; 0: no limit */
	uint64_t cache_bytes;
	/* Words for people, from the writer's thread. */
	void (*say)(void *user, bool bad, const char *text);
	void *user;
};

struct soc_stats {
	uint64_t batches, records, duplicates, quarantined, lost, events, incidents, commits, failures;
	uint64_t queue_bytes;
	unsigned open_events, open_incidents;
};

struct soc;

void soc_config_defaults(struct soc_config *config);
/* Opens the store, reads what is open, starts the writer. `config` is copied, what it points to outlives the SOC. NULL with a message. */
struct soc *soc_open(const struct soc_config *config, char error[static SOC_ERROR_MAX]);
/* Does and answers what is queued, and takes nothing more: -EAGAIN from now on. */
void soc_finish(struct soc *soc);
/* The same, and frees it: when no one asks any more. */
void soc_close(struct soc *soc);

/* For reading, by any thread. */
struct store *soc_store(struct soc *soc);
struct directory *soc_directory(struct soc *soc);
struct soc_stats soc_stats(struct soc *soc);

/* What became of a job; on the writer's thread. `rc`: 0 durable; -ENOSPC, -EIO ...: nothing was stored. For a batch, `next` is the
 * first sequence number of its stream that is not stored; -ERANGE: it begins behind that. */
typedef void soc_answer(void *context, int rc, uint64_t next);

/* A batch from a device: its records are stored but for those that are already. Takes the batch, whatever it returns: 0 and the answer
 * comes later, or -EAGAIN, as the queue is full, and no answer comes. Any thread. */
int soc_take(struct soc *soc, const struct device *device, struct batch *batch, soc_answer *answer, void *context);

/* A change within a transaction, on the writer's thread. It checks all before it changes anything: an error means it did nothing, and
 * others in the transaction go on; -EIO and -ENOSPC from the store fail them all. */
typedef int soc_change(struct soc *soc, void *context);
/* 0, or -EAGAIN: not done. `context` must live until the answer. Any thread. */
int soc_do(struct soc *soc, soc_change *change, soc_answer *answer, void *context);
/* The same, and waits; returns what the change did, or why it is not durable. Not on the writer's thread. */
int soc_do_now(struct soc *soc, soc_change *change, void *context);

/* A device has spoken: it is not silent. Any thread. */
void soc_heard(struct soc *soc, const struct device *device);
/* Microseconds since then; -1: it has not, since the start. Any thread. */
int64_t soc_silence(struct soc *soc, uint32_t device);

/* --- for changes, on the writer's thread --- */

/* The clock that all of a transaction has: microseconds. */
int64_t soc_now(const struct soc *soc);
/* An incident, also one that is over (it is read back from the store then). What is changed in it is stored with the transaction. NULL with
 * errno: ENOENT, or the store's. */
struct incident *soc_incident(struct soc *soc, uint64_t id);
struct incidents *soc_incidents(struct soc *soc);
/* A number that no document of the kind has. */
uint64_t soc_new_id(struct soc *soc, enum document_kind kind);
/* Stores a document; steals `body`. 0 or -errno. */
int soc_put(struct soc *soc, const struct document *document, json_t *body);
/* Removes a document of a kind that has an end: an asset. 0 or -errno. */
int soc_remove(struct soc *soc, enum document_kind kind, uint64_t id);
/* Who did what, for ever: `what` is a word like "device.revoke"; steals `detail`, which may be NULL. */
int soc_audit(struct soc *soc, const char *who, uint32_t customer, const char *what, json_t *detail);
/* The directory is changed once the transaction is durable. */
int soc_put_device(struct soc *soc, const struct device *device);
int soc_put_user(struct soc *soc, const struct user *user);
int soc_put_customer(struct soc *soc, const struct customer *customer);
/* What a device says of itself: the newest of each hour is kept. `report` is an object, and the caller's. */
int soc_put_health(struct soc *soc, const struct device *device, json_t *report);
