/* SPDX-License-Identifier: BSD-3-Clause */
/* A direction's bytes as they are held, for records. */
#include "tcp_session.h"

static bool walk_run(const struct tcp_half *half, uint64_t from, uint64_t to,
		     bool (*run)(void *user, uint64_t offset, const uint8_t *data, uint32_t len), void *user)
{
	while (from < to) {
		uint64_t len;
		const uint8_t *data = tcp_bytes_at(half, from, &len);
		if (!data || len == 0)
			return true;
		if (len > to - from)
			len = to - from;
		if (!run(user, from, data, (uint32_t)len))
			return false;
		from += len;
	}
	return true;
}

void stream_walk(const struct flow *flow, enum direction dir,
		 bool (*run)(void *user, uint64_t offset, const uint8_t *data, uint32_t len), void *user)
{
	if (!flow->tcp)
		return;
	const struct tcp_half *half = &flow->tcp->half[dir];
	uint64_t at = half->base;
	for (unsigned i = 0; i < half->gap_count; i++) {
		const struct tcp_gap *gap = &half->gaps[i];
		if (gap->at > at && !walk_run(half, at, gap->at, run, user))
			return;
		if (gap->at + gap->len > at)
			at = gap->at + gap->len;
	}
	if (!walk_run(half, at, half->edge, run, user))
		return;
	for (const struct tcp_segment *s = half->segments; s; s = s->next)
		if (!run(user, s->offset, s->data, s->len))
			return;
}

uint64_t stream_base(const struct flow *flow, enum direction dir)
{
	return flow->tcp ? flow->tcp->half[dir].base : 0;
}
