/* SPDX-License-Identifier: BSD-3-Clause */
#include "matcher.h"

/* `tag`: after a match, so many further packets (seconds, bytes) of the flow or the host get a record of their own. */

/* How often a match of the same signature may start a tag anew, so that a chatty rule does not tag for ever. */
#define TAG_RENEWALS_MAX 10

struct host_tag {
	union packet_addr host;
	struct sig_flow_tag tag;
	bool used;
};

static void tag_start(struct sig_flow_tag *tag, const struct sigs_matcher *m, const struct signature *sig,
		      const struct match_tag *match)
{
	*tag = (struct sig_flow_tag){
		.first_ns = m->pkt->ts_ns,
		.gid = sig->info.gid,
		.sid = sig->info.sid,
		.limit = match->count,
		.metric = (uint8_t)match->metric,
	};
}

static bool tag_renew(struct sig_flow_tag *tag, const struct sigs_matcher *m, const struct signature *sig)
{
	if (tag->sid != sig->info.sid || tag->gid != sig->info.gid)
		return false;
	if (++tag->renewed < TAG_RENEWALS_MAX) {
		tag->first_ns = m->pkt->ts_ns;
		tag->used = 0;
	}
	return true;
}

static void tag_flow(struct sigs_matcher *m, const struct signature *sig, const struct match_tag *match)
{
	struct sig_flow *state = m->state;
	if (state == NULL)
		return;
	for (unsigned i = 0; i < state->tag_count; i++)
		if (tag_renew(&state->tags[i], m, sig))
			return;
	if (state->tags == NULL) {
		state->tags = slab_alloc(m->slab, FLOW_TAGS_MAX * sizeof(*state->tags));
		if (state->tags == NULL)
			return;
	}
	if (state->tag_count < FLOW_TAGS_MAX)
		tag_start(&state->tags[state->tag_count++], m, sig, match);
}

static void tag_host(struct sigs_matcher *m, const struct signature *sig, const struct match_tag *match)
{
	const union packet_addr *host = match->host_dst ? &m->pkt->dst : &m->pkt->src;
	struct host_tag *slot = NULL;
	if (m->pkt->family == 0)
		return;
	for (unsigned i = 0; i < HOST_TAGS_MAX; i++) {
		struct host_tag *tag = &m->host_tags[i];
		if (tag->used && memcmp(&tag->host, host, sizeof(*host)) == 0 && tag_renew(&tag->tag, m, sig))
			return;
		if (!tag->used && slot == NULL)
			slot = tag;
	}
	if (slot == NULL)
		return;
	slot->used = true;
	slot->host = *host;
	tag_start(&slot->tag, m, sig, match);
	m->host_tag_count++;
}

size_t host_tags_bytes(void)
{
	return HOST_TAGS_MAX * sizeof(struct host_tag);
}

void tag_set(struct sigs_matcher *m, const struct signature *sig, const struct match_tag *match)
{
	if (match->host)
		tag_host(m, sig, match);
	else
		tag_flow(m, sig, match);
}

/* Counts a packet against a tag: whether it is tagged; *over when the tag has run out. */
static bool tag_count(struct sig_flow_tag *tag, const struct packet *pkt, bool *over)
{
	*over = false;
	if (tag->metric == TAG_PACKETS)
		tag->used++;
	else if (tag->metric == TAG_BYTES)
		tag->used += pkt->root ? pkt->root->wire_len : pkt->wire_len;
	if (!tag->skipped_first) {
		tag->skipped_first = true; /* the packet that matched has its alert */
		return false;
	}
	if (tag->metric == TAG_SECONDS)
		*over = (pkt->ts_ns - tag->first_ns) / 1000000000ull > tag->limit;
	else
		*over = tag->used > tag->limit;
	return !*over;
}

bool tag_check(struct sigs_matcher *m)
{
	struct sig_flow *state = m->state;
	bool tagged = false, over;
	for (unsigned i = 0; state && i < state->tag_count;) {
		tagged |= tag_count(&state->tags[i], m->pkt, &over);
		if (over)
			state->tags[i] = state->tags[--state->tag_count];
		else
			i++;
	}
	for (unsigned i = 0; m->host_tag_count && i < HOST_TAGS_MAX; i++) {
		struct host_tag *tag = &m->host_tags[i];
		if (!tag->used || (memcmp(&tag->host, &m->pkt->src, sizeof(tag->host)) != 0 &&
				   memcmp(&tag->host, &m->pkt->dst, sizeof(tag->host)) != 0))
			continue;
		tagged |= tag_count(&tag->tag, m->pkt, &over);
		if (over) {
			tag->used = false;
			m->host_tag_count--;
		}
	}
	return tagged;
}
