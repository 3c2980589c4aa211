/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Records: one JSON object a line, named as EVE names them. This header is what the worker calls; eve.h is what the
 * writers of the single types share.
 *
 * A records object belongs to one worker.
 */

#include <stdbool.h>
#include <stdint.h>

#include <dataplane/app.h>
#include <dataplane/counters.h>
#include <dataplane/flow.h>
#include <dataplane/packet.h>
#include <sigs/sigs.h>

#include "config.h"
#include "policy.h"

struct records;
struct ring;

#define RECORD_PORT_NAME_MAX 64

struct records_stats {
	uint64_t written;
	uint64_t lost;	  /* found their ring full */
	uint64_t too_big; /* did not fit the buffer and were not written */
};

/* Creates the record file in `dir` and writes to it. NULL with a message in error (256 bytes). The configuration outlives it. */
struct records *records_open(const struct config *config, const char *dir, char *error);
/* Gives records to a ring (of the journal) instead, without ever waiting. */
struct records *records_attach(const struct config *config, struct ring *ring, char *error);
/* Another configuration from now on: types and fields of records; allocates nothing. */
void records_set_config(struct records *records, const struct config *config);
/* Whether its lists name only types that exist; else false with a message in error (256 bytes). */
bool records_check(const struct config *config, char *error);
/* The path of the record file: records.filename, below `dir` unless it begins with a slash. False when it is too long. */
bool records_path(const struct config *config, const char *dir, char *path, size_t size);
/* Writes what is buffered. 0 or the first error as -errno. NULL is allowed. */
int records_close(struct records *records);
/* Writes what is buffered now. */
void records_flush(struct records *records);
struct records_stats records_stats(const struct records *records);

/* What flow bits and variables are shown from. NULL: none. */
void records_set_matcher(struct records *records, struct sigs_matcher *matcher);
/* The capture that packets come from, for pcap_filename; NULL: an interface. Kept, not copied. */
void records_set_capture(struct records *records, const char *path);
/* Names of the ports that live packets come from, for in_iface. Kept, not copied. */
void records_set_ports(struct records *records, const char (*names)[RECORD_PORT_NAME_MAX], unsigned count);

/* The alerts of a packet; `judgement` is what they led to. */
void record_alerts(struct records *records, const struct packet *pkt, const struct sigs_result *result,
		   const struct judgement *judgement);
/* A packet that was dropped; says nothing when the configuration wants flows' first drops only and this is a later one. */
void record_drop(struct records *records, const struct packet *pkt, const struct sigs_result *result,
		 const struct judgement *judgement);
/* Anomalies of the packet itself. */
void record_anomalies(struct records *records, const struct packet *pkt);
/* Transactions and files of the packet's flow that are complete (or, with `ending`, all that are left) and were not yet
 * written; marks them as logged whether their type is written or not. */
void record_transactions(struct records *records, const struct packet *pkt, bool ending);
void record_flow(struct records *records, const struct flow *flow, enum flow_end why);
