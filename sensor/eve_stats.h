/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Records that are about the sensor and not about a packet. One thread a records object, as all of them. */

#include "account.h"
#include "journal.h"
#include "json.h"

/* What only a running sensor can tell. */
struct stats_live {
	const struct account *account;
	bool balanced;
	unsigned workers, late; /* late: did not answer, their numbers are older */
	struct journal_stats journal;
	uint64_t edition; /* of rules and policy */
	uint64_t reloads, reloads_refused;
};

/* `live`: NULL in a replay. */
void record_stats(struct records *records, uint64_t now_ns, uint64_t uptime_s, const struct counters *counters,
		  const struct sigs_counts *rules, const struct stats_live *live);

/* The members of a stats record, into an object that is open. */
void stats_put(struct json *json, uint64_t uptime_s, const struct counters *counters, const struct sigs_counts *rules,
	       const struct stats_live *live);

/* Something befell the sensor itself: an anomaly of type "sensor". Returns the writer, with the jsig object open for fields;
 * record_sensor_end must follow. NULL, and nothing is due, when anomalies are not written. */
struct json *record_sensor_begin(struct records *records, const char *event);
void record_sensor_end(struct records *records);
