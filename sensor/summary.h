/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What a run was, for a person or as one JSON object. Main thread. */

#include "rules_load.h"
#include "worker.h"

struct summary {
	double seconds; /* of judging alone */
	struct worker_tally tally;
	struct records_stats records;
};

struct summary_options {
	bool quiet, json, stats;
};

void summary_print(const struct summary *summary, const struct rules *rules, const struct counters *counters,
		   struct summary_options options);
