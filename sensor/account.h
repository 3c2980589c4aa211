/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The accounts: what was received must be what was forwarded, bypassed and dropped for a reason. The one place where this
 * is checked, for each stats record and at every exit.
 */

#include <dataplane/io.h>

#include "worker.h"

/* Sums over workers and ports. */
struct account {
	struct worker_tally tally;
	struct counters counters;
	struct records_stats records;
	struct io_port_stats ports[IO_PORTS_MAX];
	unsigned port_count;
	struct overload_state overload; /* sums; step, busy and backlog are those of the worst worker */
	struct io_port_stats all_ports; /* their sums, with those of devices that are closed */
};

/* Whether every packet that a worker received was forwarded, bypassed, held (for now), or dropped; inline each drop must have a
 * reason. `counters` are the same worker's, or the sums of the same workers. */
bool account_balances(const struct worker_tally *tally, const struct counters *counters, bool inline_mode);

void account_add(struct account *account, const struct worker_snapshot *snapshot);
void account_add_port(struct io_port_stats *sum, const struct io_port_stats *port);
