/* SPDX-License-Identifier: BSD-3-Clause */
#include "account.h"

bool account_balances(const struct worker_tally *t, const struct counters *counters, bool inline_mode)
{
	uint64_t reasons = 0;
	for (unsigned r = 1; r < DROP_REASON_COUNT; r++)
		reasons += counters->drop[r];
	if (t->received != t->forwarded + t->bypassed + t->dropped + t->held)
		return false;
	/* an onlooker drops nothing, but counts what fragments would have been dropped for */
	return !inline_mode || (t->dropped == reasons && counters->drop[DROP_NONE] == 0);
}

static void worst(unsigned *all, unsigned one)
{
	if (one > *all)
		*all = one;
}

static void add_overload(struct overload_state *sum, const struct overload_state *one)
{
	sum->steps_up += one->steps_up;
	sum->steps_down += one->steps_down;
	sum->flows += one->flows;
	worst(&sum->step, one->step);
	worst(&sum->busy_permille, one->busy_permille);
	worst(&sum->backlog_permille, one->backlog_permille);
}

void account_add(struct account *a, const struct worker_snapshot *snapshot)
{
	const struct worker_tally *t = &snapshot->tally;
	const struct counters *counters = &snapshot->counters;
	const struct records_stats *records = &snapshot->records;
	struct worker_tally *sum = &a->tally;
	sum->received += t->received;
	sum->bytes += t->bytes;
	sum->forwarded += t->forwarded;
	sum->bypassed += t->bypassed;
	sum->dropped += t->dropped;
	sum->held += t->held;
	sum->alerts += t->alerts;
	sum->rejects += t->rejects;
	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		a->counters.value[i] += counters->value[i];
	for (unsigned i = 0; i < EVENT_COUNT; i++)
		a->counters.event[i] += counters->event[i];
	for (unsigned i = 0; i < DROP_REASON_COUNT; i++)
		a->counters.drop[i] += counters->drop[i];
	a->records.written += records->written;
	a->records.lost += records->lost;
	a->records.too_big += records->too_big;
	add_overload(&a->overload, &snapshot->overload);
}

void account_add_port(struct io_port_stats *sum, const struct io_port_stats *port)
{
	sum->rx_packets += port->rx_packets;
	sum->tx_packets += port->tx_packets;
	sum->missed += port->missed;
	sum->bypassed += port->bypassed;
	sum->refused += port->refused;
}
