/* SPDX-License-Identifier: BSD-3-Clause */
#include "soc_inside.h"

#include <errno.h>
#include <string.h>

#define HOUR_US 3600000000ll
/* Different counters in a batch before they are written and begun anew. */
#define COUNTERS_MAX 64

/* What the stream will be, with what earlier jobs of the transaction did. */
static struct pending_stream *stream_of(struct soc *soc, const struct job *job, int *rc)
{
	const char *name = job->batch->stream;
	*rc = 0;
	for (unsigned i = 0; i < soc->stream_count; i++)
		if (soc->streams[i].device == job->device.id && strcmp(soc->streams[i].stream, name) == 0)
			return &soc->streams[i];
	struct pending_stream *stream = &soc->streams[soc->stream_count];
	*rc = soc->store->ops->stream_get(soc->store, job->device.id, name, &stream->state);
	if (*rc != 0)
		return NULL;
	stream->device = job->device.id;
	strcpy(stream->stream, name);
	soc->stream_count++;
	return stream;
}

struct tally {
	struct store_counter counters[COUNTERS_MAX];
	unsigned count, newest;
};

static int write_tally(struct soc *soc, struct tally *tally)
{
	int rc = 0;
	for (unsigned i = 0; i < tally->count && rc == 0; i++)
		rc = soc->store->ops->counter_add(soc->store, &tally->counters[i]);
	tally->count = tally->newest = 0;
	return rc;
}

static bool is_counter_of(const struct store_counter *c, int64_t hour, const struct record *r)
{
	return c->hour == hour && c->type == r->type && c->severity == r->severity && c->verdict == r->verdict;
}

static int tally_record(struct soc *soc, struct tally *tally, const struct device *device, const struct record *r)
{
	int64_t hour = r->time / HOUR_US;
	unsigned i = tally->newest; /* most are as the one before */
	if (i >= tally->count || !is_counter_of(&tally->counters[i], hour, r))
		for (i = 0; i < tally->count && !is_counter_of(&tally->counters[i], hour, r);)
			i++;
	if (i == COUNTERS_MAX) {
		int rc = write_tally(soc, tally);
		if (rc != 0)
			return rc;
		i = 0;
	}
	if (i == tally->count)
		tally->counters[tally->count++] = (struct store_counter){.customer = device->customer,
									 .device = device->id,
									 .hour = hour,
									 .type = r->type,
									 .severity = r->severity,
									 .verdict = r->verdict};
	tally->counters[i].count++;
	tally->newest = i;
	return 0;
}

static int put_record(struct soc *soc, const struct device *device, const struct batch_record *r, uint64_t chunk)
{
	struct store_row row = {.id = ++soc->last_row,
				.customer = device->customer,
				.device = device->id,
				.chunk = chunk,
				.position = r->position,
				.record = r->record};
	if (r->record.class[0]) {
		struct event *event = events_add(soc->events, device->customer, &r->record, row.id, soc->now);
		if (!event)
			return -ENOMEM;
		if (event->id == 0) {
			event->id = soc_new_id(soc, DOCUMENT_EVENT);
			soc->group.events++;
		}
		row.event = event->id;
	}
	soc->group.records++;
	return soc->store->ops->row_put(soc->store, &row);
}

/* Records with a number below `next` are stored already. */
static int put_records(struct soc *soc, const struct device *device, const struct batch *batch, uint64_t next)
{
	static const uint32_t none = UINT32_MAX;
	struct tally tally = {0};
	uint32_t chunk = none;
	uint64_t chunk_id = 0;
	int rc = 0;
	for (uint32_t i = 0; i < batch->record_count && rc == 0; i++) {
		const struct batch_record *r = &batch->records[i];
		if (r->sequence < next) {
			soc->group.duplicates++;
			continue;
		}
		if (r->chunk != chunk) {
			const struct batch_chunk *c = &batch->chunks[chunk = r->chunk];
			rc = soc->store->ops->chunk_put(soc->store, c->packed, c->len, c->unpacked, &chunk_id);
		}
		if (rc == 0)
			rc = put_record(soc, device, r, chunk_id);
		if (rc == 0)
			rc = tally_record(soc, &tally, device, &r->record);
	}
	return rc ? rc : write_tally(soc, &tally);
}

static int put_rejects(struct soc *soc, const struct device *device, const struct batch *batch, uint64_t next)
{
	int rc = 0;
	for (uint32_t i = 0; i < batch->reject_count && rc == 0; i++) {
		const struct batch_reject *r = &batch->rejects[i];
		if (r->sequence < next)
			continue;
		soc->group.quarantined++;
		rc = soc->store->ops->quarantine_put(soc->store, device->id, batch->stream, r->sequence, r->reason,
						     r->line, r->len, soc->now);
	}
	return rc;
}

int soc_apply_batch(struct soc *soc, struct job *job)
{
	const struct batch *batch = job->batch;
	uint64_t end = batch->first + batch->count;
	int rc;
	struct pending_stream *stream = stream_of(soc, job, &rc);
	if (!stream)
		return rc;
	uint64_t next = stream->state.next, gap = batch->first > next ? batch->first - next : 0;
	job->next_sequence = next;
	/* Numbers may be missing only where the sender says that it gave them up. */
	if (gap > batch->lost)
		return -ERANGE;
	if (end <= next) {
		soc->group.duplicates += batch->count;
		return 0;
	}
	rc = put_records(soc, &job->device, batch, next);
	if (rc == 0)
		rc = put_rejects(soc, &job->device, batch, next);
	if (rc != 0)
		return rc;
	stream->state.next = job->next_sequence = end;
	stream->state.lost += gap;
	soc->group.lost += gap;
	soc->group.batches++;
	return soc->store->ops->stream_put(soc->store, job->device.id, batch->stream, &stream->state);
}
