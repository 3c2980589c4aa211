/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "ruleset.h"

/*
 * The order in which signatures are judged and their matches rank: what passes first, then what drops, rejects, alerts;
 * within that, who sets a bit or a variable before who reads it, urgent ones first, then by number.
 */

/* In rising rank: who writes comes before who reads, and all who use a bit before those who do not. */
enum access { ACCESS_NONE, ACCESS_READ, ACCESS_BOTH, ACCESS_WRITE };

struct rank {
	uint8_t action;
	uint8_t flowbits, flowints, flowvars, packetvars, hostbits, pairbits;
	uint8_t priority;
	uint32_t sid;
	struct signature *sig;
};

struct usage {
	bool reads, writes;
};

static uint8_t access_of(struct usage usage)
{
	if (usage.reads)
		return usage.writes ? ACCESS_BOTH : ACCESS_READ;
	return usage.writes ? ACCESS_WRITE : ACCESS_NONE;
}

static uint8_t action_rank(enum sigs_action action)
{
	switch (action) {
	case SIGS_PASS:
		return 0;
	case SIGS_DROP:
		return 1;
	case SIGS_REJECT:
	case SIGS_REJECT_DST:
	case SIGS_REJECT_BOTH:
		return 2;
	default:
		return 3;
	}
}

struct usages {
	struct usage flowbits, flowints, flowvars, packetvars, hostbits, pairbits;
};

static void note_match(struct usages *usages, const struct match *match, bool post)
{
	struct usage *usage;
	switch (match->type) {
	case MATCH_BITS:
		if (match->bits.scope == BITS_FLOW || match->bits.scope == BITS_TX)
			usage = &usages->flowbits;
		else
			usage = match->bits.scope == BITS_PAIR ? &usages->pairbits : &usages->hostbits;
		break;
	case MATCH_FLOWINT:
		usage = &usages->flowints;
		break;
	case MATCH_FLOWVAR:
		usage = &usages->flowvars;
		break;
	case MATCH_PKTVAR:
		usage = &usages->packetvars;
		break;
	default:
		return;
	}
	if (post)
		usage->writes = true;
	else
		usage->reads = true;
}

static void note_captures(struct usages *usages, const struct match *match)
{
	if (match->type != MATCH_PCRE)
		return;
	for (unsigned i = 0; i < match->pcre.capture_count; i++) {
		if (match->pcre.captures[i].scope == CAPTURE_FLOW)
			usages->flowvars.writes = true;
		else if (match->pcre.captures[i].scope == CAPTURE_PACKET)
			usages->packetvars.writes = true;
	}
}

static struct rank rank_of(struct signature *sig)
{
	struct usages usages = {0};
	for (unsigned i = 0; i < sig->packet_count; i++)
		note_match(&usages, &sig->packet[i], false);
	for (unsigned i = 0; i < sig->post_count; i++)
		note_match(&usages, &sig->post[i], true);
	for (unsigned i = 0; i < sig->buffer_count; i++)
		for (unsigned j = 0; j < sig->buffers[i].match_count; j++)
			note_captures(&usages, &sig->buffers[i].matches[j]);
	return (struct rank){
		.action = action_rank(sig->info.action),
		.flowbits = access_of(usages.flowbits),
		.flowints = access_of(usages.flowints),
		.flowvars = access_of(usages.flowvars),
		.packetvars = access_of(usages.packetvars),
		.hostbits = access_of(usages.hostbits),
		.pairbits = access_of(usages.pairbits),
		.priority = sig->info.priority,
		.sid = sig->info.sid,
		.sig = sig,
	};
}

static int rank_compare(const void *a, const void *b)
{
	const struct rank *x = a, *y = b;
	if (x->action != y->action)
		return x->action < y->action ? -1 : 1;
	const uint8_t *u = &x->flowbits, *v = &y->flowbits;
	for (int i = 0; i < 6; i++)
		if (u[i] != v[i])
			return u[i] > v[i] ? -1 : 1;
	if (x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	if (x->sid != y->sid)
		return x->sid < y->sid ? -1 : 1;
	return x->sig->info.gid < y->sig->info.gid ? -1 : x->sig->info.gid > y->sig->info.gid;
}

void ruleset_order(struct signature **sigs, uint32_t count)
{
	struct rank *ranks = calloc(count + 1, sizeof(*ranks));
	if (ranks == NULL)
		return; /* any order works; precedence is then by file */
	for (uint32_t i = 0; i < count; i++)
		ranks[i] = rank_of(sigs[i]);
	qsort(ranks, count, sizeof(*ranks), rank_compare);
	for (uint32_t i = 0; i < count; i++) {
		sigs[i] = ranks[i].sig;
		sigs[i]->num = i;
	}
	free(ranks);
}
