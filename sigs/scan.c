/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "matcher.h"

/* Searching a buffer for the literals of a set, and the list of signatures that this makes candidates. */

void candidates_reset(struct candidates *c)
{
	c->count = 0;
	if (++c->round == 0)
		c->round = 1; /* stamps of old rounds could only hide a signature once in four billion */
}

void candidates_add(struct candidates *c, uint32_t num)
{
	if (c->stamps[num] == c->round)
		return;
	c->stamps[num] = c->round;
	c->nums[c->count++] = num;
}

static int num_compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

/* Lists of this many are sorted in place by insertion; most are far shorter. */
#define INSERTION_MAX 24

void candidates_sort(struct candidates *c)
{
	if (c->count > INSERTION_MAX) {
		qsort(c->nums, c->count, sizeof(*c->nums), num_compare);
		return;
	}
	for (uint32_t i = 1; i < c->count; i++) {
		uint32_t num = c->nums[i], j = i;
		for (; j > 0 && c->nums[j - 1] > num; j--)
			c->nums[j] = c->nums[j - 1];
		c->nums[j] = num;
	}
}

struct scan_ctx {
	struct sigs_matcher *m;
	const struct mpse *set;
	struct candidates *candidates;
	uint32_t fresh; /* in bytes of the data scanned */
};

/* What is cheap to see of a header: spares most candidates that the literal alone would make. */
static inline bool worth_a_look(const struct sigs_matcher *m, const struct sig_head *head)
{
	uint16_t size = m->pkt->payload_len;
	if (head->needs & ~m->facts || size < head->dsize_min || size > head->dsize_max)
		return false;
	if (!m->addr_known || head->bidirectional)
		return true;
	return (head->src_cached == ADDRESS_NOT_CACHED || m->src_has >> head->src_cached & 1) &&
	       (head->dst_cached == ADDRESS_NOT_CACHED || m->dst_has >> head->dst_cached & 1);
}

static int on_literal(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *user)
{
	struct scan_ctx *ctx = user;
	(void)from;
	(void)flags;
	if (to <= ctx->fresh)
		return 0;
	const struct mpse_literal *literal = &ctx->set->literals[id];
	const uint32_t *sigs = ctx->set->sigs + literal->first;
	const struct sigs_matcher *m = ctx->m;
	for (uint32_t i = 0; i < literal->count; i++)
		if (worth_a_look(m, &m->ruleset->heads[sigs[i]]))
			candidates_add(ctx->candidates, sigs[i]);
	return 0;
}

void mpse_scan(struct sigs_matcher *m, const struct mpse *set, const uint8_t *data, uint32_t len, uint32_t fresh,
	       struct candidates *candidates)
{
	struct scan_ctx ctx = {.m = m, .set = set, .candidates = candidates};
	/* What lies further back than a literal is long was seen before. */
	uint32_t skip = fresh > set->overlap ? fresh - set->overlap : 0;
	if (skip >= len)
		return;
	ctx.fresh = fresh - skip;
	hs_scan(set->db, (const char *)data + skip, len - skip, 0, m->scratch, on_literal, &ctx);
}
