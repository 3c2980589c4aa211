/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What the files of the SOC's writer share; of no one else's concern. */

#include <pthread.h>

#include "soc.h"
#include "suppress.h"

/* Jobs of one transaction: what its streams and its directory will be is remembered for so many. */
#define GROUP_JOBS_MAX 64
/* A change makes a device, a user, a customer, at most. */
#define GROUP_ENTRIES_MAX (3 * GROUP_JOBS_MAX)
/* A group is closed at so many records, for the sake of those that wait. */
#define GROUP_RECORDS_MAX 50000

struct job {
	struct job *next;
	struct device device; /* of a batch */
	struct batch *batch;  /* NULL: a change */
	bool always;	      /* however long the queue is */
	soc_change *change;
	soc_answer *answer;
	void *context;
	size_t bytes;
	int rc;
	uint64_t next_sequence;
};

/* What a stream will be when the group is durable. */
struct pending_stream {
	uint32_t device;
	char stream[STORE_STREAM_MAX];
	struct store_stream state;
};

/* What the directory will be. */
struct pending_entry {
	enum document_kind kind;
	union {
		struct device device;
		struct user user;
		struct customer customer;
	};
};

/* What is known of whether a device is well. */
struct watched {
	int64_t heard; /* on the clock that nobody sets, microseconds; 0: not since the start */
	bool expected; /* it spoke before that */
	unsigned told; /* the condition that an incident says */
};

struct soc {
	struct soc_config config;
	struct store *store;
	struct directory *directory;
	pthread_t thread;
	bool started;

	pthread_mutex_t lock; /* of the queue and stats */
	pthread_cond_t wake;
	struct job *first, **last;
	unsigned queued;
	bool end;
	struct soc_stats stats;

	/* the writer's own */
	struct events *events;
	const struct triage_rules *rules;
	struct triage_rules *own_rules; /* that were read at the start */
	struct incidents *incidents;
	struct assets **assets; /* by the customer's number; NULL: nothing known */
	unsigned asset_room;
	bool assets_changed;
	struct suppression *suppressions; /* that were not over when they were read */
	unsigned suppression_count;
	bool suppressions_changed;
	struct notify *notify;
	struct sender *sender;
	bool contacts_changed;
	int64_t tell_next; /* when incidents are looked at again for escalation; 0: not before one changes */
	int64_t now;
	uint64_t last_row, last_id[DOCUMENT_KINDS];
	struct pending_stream streams[GROUP_JOBS_MAX];
	unsigned stream_count;
	struct pending_entry entries[GROUP_ENTRIES_MAX];
	unsigned entry_count;
	struct soc_stats group; /* what this transaction adds */
	pthread_mutex_t watch_lock;
	struct watched *watched; /* by the device's number */
	uint32_t watched_room;
	int64_t watch_began, watch_looked;
	bool broken;	  /* memory could not be read back: nothing is taken until it can */
	int64_t retained; /* when retention was looked at */
};

/* soc_take.c: a batch within the transaction. 0, -ERANGE (nothing was changed), or -errno of the store. */
int soc_apply_batch(struct soc *soc, struct job *job);
/* soc_keep.c: memory from the store; and what changed in memory, into it. 0 or -errno. */
int soc_load(struct soc *soc);
void soc_unload(struct soc *soc);
int soc_flush(struct soc *soc);
/* soc_judge.c: the rules, before all else; the same for what triage knows and makes; an event that was read back; one that changed. */
int soc_read_rules(struct soc *soc, char error[static SOC_ERROR_MAX]);
int soc_load_judgement(struct soc *soc);
void soc_recall_event(struct soc *soc, const struct event *event);
void soc_unload_judgement(struct soc *soc);
int soc_judge_event(struct soc *soc, struct event *event);
bool soc_incidents_changed(struct soc *soc);
int soc_store_incidents(struct soc *soc);
void soc_settle_incidents(struct soc *soc);
/* soc_watch.c: at the start; in each transaction; at the end. */
int soc_watch_begin(struct soc *soc);
void soc_watch(struct soc *soc);
void soc_watch_end(struct soc *soc);
/* soc_tell.c: notices from the store; of an incident that changed; of time that passed; sending; what a sender calls. */
int soc_load_notices(struct soc *soc);
void soc_unload_notices(struct soc *soc);
int soc_tell(struct soc *soc, struct incident *incident);
bool soc_time_to_tell(const struct soc *soc);
int soc_tell_in_time(struct soc *soc);
void soc_send_due(struct soc *soc);
void soc_told(void *soc, uint64_t notice, int rc, const char *why);
/* soc.c: as soc_do, whatever waits already, and after soc_finish. */
int soc_do_always(struct soc *soc, soc_change *change, soc_answer *answer, void *context);
/* Whether time alone has changed something that is to be stored. */
bool soc_has_changes(struct soc *soc);
/* After the commit, when all is durable. */
void soc_settle(struct soc *soc);
