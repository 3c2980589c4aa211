/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bytes of a session. Each half keeps one contiguous run, [base, edge), in a sliding buffer, and what lies beyond a
 * hole as a sorted list of segments. The usual segment begins at the edge, is appended, and that is all.
 */
#include "tcp_session.h"

#include <string.h>

#include <dataplane/decode.h>

/* The first buffer: a small request and its headers fit. */
#define BUFFER_FIRST 1024u
/* Memory of an idle buffer that holds nothing any reader needs is given back from this size. */
#define BUFFER_IDLE 4096u

void tcp_half_begin(struct tcp_half *half, uint32_t isn)
{
	half->flags |= HALF_BEGUN;
	half->isn = isn;
	half->next_seq = half->last_ack = half->edge_seq = isn + 1;
	half->base = half->edge = 0;
	half->app = half->app_shown = half->app_view = 0;
	half->raw = half->raw_shown = 0;
	half->start = half->len = 0;
}

/* --- the run ------------------------------------------------------------------------------------------------------------- */

/* Where an offset in [base, edge] stands among the bytes kept: gaps take no room. */
static uint32_t place_of(const struct tcp_half *half, uint64_t offset)
{
	uint64_t missing = 0;
	for (unsigned i = 0; i < half->gap_count && half->gaps[i].at < offset; i++) {
		uint64_t inside = offset - half->gaps[i].at;
		missing += inside < half->gaps[i].len ? inside : half->gaps[i].len;
	}
	return (uint32_t)(offset - half->base - missing);
}

const uint8_t *tcp_bytes_at(const struct tcp_half *half, uint64_t offset, uint64_t *run)
{
	uint64_t end = half->edge;
	*run = 0;
	if (offset < half->base) {
		*run = half->base - offset;
		return NULL;
	}
	if (offset >= half->edge)
		return NULL;
	for (unsigned i = 0; i < half->gap_count; i++) {
		const struct tcp_gap *gap = &half->gaps[i];
		if (offset >= gap->at && offset < gap->at + gap->len) {
			*run = gap->at + gap->len - offset;
			return NULL;
		}
		if (gap->at > offset) {
			end = gap->at;
			break;
		}
	}
	*run = end - offset;
	return half->buf + half->start + place_of(half, offset);
}

/* What must stay: what a reader has not passed, the raw window, and what is not acknowledged (it may come again, and
 * differ). */
static uint64_t needed_from(const struct stream_config *config, const struct tcp_half *half)
{
	uint64_t need = half->edge;
	uint64_t acked = tcp_acked(half);
	if (acked < need && !(half->flags & HALF_FINISHED))
		need = acked;
	if (!(half->flags & HALF_APP_OFF) && half->app < need)
		need = half->app;
	if (!(half->flags & HALF_RAW_OFF)) {
		uint64_t raw = half->raw > config->raw_window_bytes ? half->raw - config->raw_window_bytes : 0;
		if (raw < need)
			need = raw;
	}
	return need;
}

static void gap_forget(struct tcp_half *half)
{
	half->gap_count--;
	memmove(half->gaps, half->gaps + 1, half->gap_count * sizeof(half->gaps[0]));
}

static void drop_before(struct tcp_half *half, uint64_t offset)
{
	if (offset <= half->base)
		return;
	uint32_t n = place_of(half, offset);
	half->start += n;
	half->len -= n;
	half->base = offset;
	while (half->gap_count > 0 && half->gaps[0].at < offset) {
		struct tcp_gap *gap = &half->gaps[0];
		if (gap->at + gap->len > offset) {
			gap->len -= offset - gap->at;
			gap->at = offset;
			break;
		}
		gap_forget(half);
	}
}

void tcp_half_trim(struct stream_engine *engine, struct tcp_half *half)
{
	drop_before(half, needed_from(&engine->config, half));
	if (half->len == 0 && half->cap >= BUFFER_IDLE &&
	    (half->flags & (HALF_APP_OFF | HALF_RAW_OFF)) == (HALF_APP_OFF | HALF_RAW_OFF)) {
		slab_free(engine->segments, half->buf, half->cap);
		half->buf = NULL;
		half->cap = half->start = 0;
	}
}

static bool buffer_grow(struct stream_engine *engine, struct tcp_half *half, uint32_t n)
{
	uint64_t want = (uint64_t)half->cap * 2;
	if (want < half->len + (uint64_t)n)
		want = half->len + (uint64_t)n;
	if (want < BUFFER_FIRST)
		want = BUFFER_FIRST;
	if (want > SLAB_BLOCK_MAX)
		want = SLAB_BLOCK_MAX;
	if (want < half->len + (uint64_t)n)
		return false;
	uint32_t cap = (uint32_t)slab_usable(want);
	uint8_t *buf = slab_alloc(engine->segments, cap);
	if (!buf)
		return false;
	if (half->len > 0)
		memcpy(buf, half->buf + half->start, half->len);
	slab_free(engine->segments, half->buf, half->cap);
	half->buf = buf;
	half->cap = cap;
	half->start = 0;
	return true;
}

/* Room for n bytes at the end of the run. The buffer slides while at most half of it is in use, so that moving costs
 * no more than one copy of each byte, and else grows. */
static bool run_reserve(struct stream_engine *engine, struct tcp_half *half, uint32_t n)
{
	if (half->start + half->len + n <= half->cap)
		return true;
	tcp_half_trim(engine, half);
	if (half->len + n <= half->cap && half->len <= half->cap / 2) {
		memmove(half->buf, half->buf + half->start, half->len);
		half->start = 0;
		return true;
	}
	if (buffer_grow(engine, half, n))
		return true;
	if ((uint64_t)half->len + n <= half->cap) {
		memmove(half->buf, half->buf + half->start, half->len);
		half->start = 0;
		return true;
	}
	return false;
}

/* Notes that a segment which was sent from `sent_at` brings the bytes from the edge on. */
static void mark(struct tcp_half *half, uint64_t sent_at)
{
	if (half->mark_count == TCP_MARKS) {
		half->mark_first = (uint8_t)((half->mark_first + 1) % TCP_MARKS);
		half->mark_count--;
	}
	unsigned at = (half->mark_first + half->mark_count) % TCP_MARKS;
	uint64_t back = half->edge > sent_at ? half->edge - sent_at : 0;
	half->marks[at] = half->edge;
	half->mark_back[at] = (uint16_t)(back < UINT16_MAX ? back : UINT16_MAX);
	half->mark_count++;
}

/* Where the segment that brought the byte at `offset` began, and where the bytes of the next one do. */
static uint64_t marked_start(const struct tcp_half *half, uint64_t offset, uint64_t *next)
{
	uint64_t start = 0;
	*next = half->edge;
	for (unsigned i = 0; i < half->mark_count; i++) {
		unsigned at = (half->mark_first + i) % TCP_MARKS;
		if (half->marks[at] > offset) {
			*next = half->marks[at];
			break;
		}
		start = half->marks[at] - half->mark_back[at];
	}
	return start;
}

/* Appends to the run what begins at the edge; the byte at `urgent` takes a sequence number but no place. */
static bool run_append(struct stream_engine *engine, struct tcp_half *half, const uint8_t *data, uint32_t n,
		       int32_t urgent, uint64_t sent_at)
{
	if (!run_reserve(engine, half, n))
		return false;
	uint8_t *to = half->buf + half->start + half->len;
	uint32_t kept = n;
	if (urgent >= 0 && (uint32_t)urgent < n) {
		memcpy(to, data, (uint32_t)urgent);
		memcpy(to + urgent, data + urgent + 1, n - (uint32_t)urgent - 1);
		kept--;
	} else {
		memcpy(to, data, n);
	}
	if (!engine->config.inline_mode)
		mark(half, sent_at);
	half->len += kept;
	half->edge += kept;
	half->edge_seq += n;
	return true;
}

/* --- beyond a hole --------------------------------------------------------------------------------------------------------- */

static void segment_free(struct stream_engine *engine, struct tcp_segment *segment)
{
	slab_free(engine->segments, segment, sizeof(*segment) + segment->len);
}

static void segment_pop(struct stream_engine *engine, struct tcp_half *half)
{
	struct tcp_segment *segment = half->segments;
	half->segments = segment->next;
	if (!half->segments)
		half->segments_last = NULL;
	half->segment_count--;
	segment_free(engine, segment);
}

/* Segments that the edge has reached join the run. */
static bool segments_drain(struct stream_engine *engine, struct tcp_half *half)
{
	while (half->segments && half->segments->offset <= half->edge) {
		struct tcp_segment *segment = half->segments;
		uint64_t skip = half->edge - segment->offset;
		if (skip < segment->len) {
			int32_t urgent = segment->urgent >= (int32_t)skip ? segment->urgent - (int32_t)skip : -1;
			if (!run_append(engine, half, segment->data + skip, segment->len - (uint32_t)skip, urgent,
					segment->sent_at))
				return false;
			if (urgent >= 0) {
				/* what follows is one place nearer than its sequence number says */
				for (struct tcp_segment *s = segment->next; s; s = s->next)
					s->offset--, s->sent_at--;
			}
		}
		segment_pop(engine, half);
	}
	return true;
}

void tcp_half_free(struct stream_engine *engine, struct tcp_half *half)
{
	while (half->segments)
		segment_pop(engine, half);
	slab_free(engine->segments, half->buf, half->cap);
	half->buf = NULL;
	half->cap = half->start = half->len = 0;
	half->base = half->edge;
	half->gap_count = half->mark_count = 0;
}

/* --- gaps ------------------------------------------------------------------------------------------------------------------ */

/* The edge jumps over bytes that will not come. */
static void gap_add(struct tcp_half *half, uint64_t len)
{
	if (half->gap_count > 0 &&
	    half->gaps[half->gap_count - 1].at + half->gaps[half->gap_count - 1].len == half->edge) {
		half->gaps[half->gap_count - 1].len += len;
	} else {
		if (half->gap_count == TCP_GAPS_MAX) {
			uint64_t over = half->gaps[0].at + half->gaps[0].len;
			drop_before(half, over); /* to the application reader it is part of a gap then */
			if (half->raw < over)
				half->raw = over;
		}
		half->gaps[half->gap_count++] = (struct tcp_gap){.at = half->edge, .len = len};
	}
	half->edge += len;
	half->edge_seq += (uint32_t)len;
}

bool tcp_pass_gaps(struct stream_engine *engine, struct tcp_session *session, struct tcp_half *half)
{
	/* an ACK of a FIN counts one more than there are bytes */
	uint64_t fin = session->state >= TCP_FIN_WAIT1 ? 1 : 0;
	bool any = false;
	while (half->segments) {
		uint64_t acked = tcp_acked(half);
		if (acked <= half->edge + fin)
			break;
		/* the application reader sees every piece; it comes back here when it has taken the first */
		if (half->gap_count == TCP_GAPS_MAX && !(half->flags & HALF_APP_OFF) &&
		    half->app < half->gaps[0].at + half->gaps[0].len)
			break;
		uint64_t to = half->segments->offset < acked ? half->segments->offset : acked;
		gap_add(half, to - half->edge);
		half->flags |= HALF_GAP;
		session->flags |= SESSION_LOSSY;
		count(engine->counters, COUNTER_TCP_REASSEMBLY_GAP);
		any = true;
		if (to < half->segments->offset || !segments_drain(engine, half))
			break;
	}
	return any;
}

static void gaps_check(struct tcp_context *c, struct tcp_half *half)
{
	if (tcp_pass_gaps(c->engine, c->session, half))
		packet_event(c->pkt, EVENT_STREAM_REASSEMBLY_SEQ_GAP);
}

bool tcp_skip_hole(struct stream_engine *engine, struct tcp_half *half)
{
	if (!(half->flags & HALF_FINISHED) || !half->segments)
		return false;
	if (half->segments->offset > half->edge)
		gap_add(half, half->segments->offset - half->edge);
	if (segments_drain(engine, half))
		return true;
	while (half->segments)
		segment_pop(engine, half);
	return false;
}

/* --- overlaps -------------------------------------------------------------------------------------------------------------- */

/* A segment on its way in: a copy of the packet's bytes would cost, so overlaps settle on the packet or on what is kept. */
struct incoming {
	struct tcp_context *c;
	struct tcp_half *half;
	const uint8_t *data;
	uint64_t offset; /* of data[0] in the stream */
	uint32_t len;
	int32_t urgent;
	unsigned checks;
	bool differs;
};

/* Who wins where both sides know a byte: passive sensors decide as most receivers do (BSD, Windows, Mac OS): a segment
 * that begins before the one that is there replaces it. */
static bool newer_wins(const struct incoming *in, uint64_t sent_at)
{
	return !in->c->engine->config.inline_mode && in->offset < sent_at;
}

/* Compares n bytes at `at` (index in the packet's data) with what is kept, and settles which stay. */
static void settle(struct incoming *in, uint32_t at, uint8_t *kept, uint32_t n, uint64_t sent_at)
{
	count(in->c->engine->counters, COUNTER_TCP_OVERLAP);
	if (memcmp(in->data + at, kept, n) == 0)
		return;
	in->differs = true;
	if (newer_wins(in, sent_at))
		memcpy(kept, in->data + at, n);
	else if (in->c->engine->config.inline_mode)
		memcpy((uint8_t *)(uintptr_t)in->data + at, kept, n);
}

/* The part of a segment that lies before the edge: all of it, or its beginning. */
static void settle_old(struct incoming *in)
{
	struct tcp_half *half = in->half;
	uint64_t acked = tcp_acked(half), at = in->offset, end = in->offset + in->len;
	if (end > half->edge)
		end = half->edge;
	/* who acknowledged a byte will not take another */
	if (at < acked)
		at = acked;
	while (at < end && in->checks++ < in->c->engine->config.overlap_checks_max) {
		uint64_t run;
		const uint8_t *kept = tcp_bytes_at(half, at, &run);
		uint64_t n = end - at < run ? end - at : run;
		if (n == 0)
			break;
		if (kept) {
			uint64_t next, start = marked_start(half, at, &next);
			/* the next segment may have another fate */
			if (next - at < n)
				n = next - at;
			settle(in, (uint32_t)(at - in->offset), (uint8_t *)(uintptr_t)kept, (uint32_t)n, start);
		}
		at += n;
	}
}

static struct tcp_segment *segment_new(struct incoming *in, uint64_t offset, uint32_t n)
{
	struct tcp_context *c = in->c;
	struct tcp_half *half = in->half;
	if (half->segment_count >= c->engine->config.segments_max) {
		packet_event(c->pkt, EVENT_STREAM_REASSEMBLY_INSERT_LIMIT);
		return NULL;
	}
	struct tcp_segment *segment = slab_alloc(c->engine->segments, sizeof(*segment) + n);
	if (!segment) {
		packet_event(c->pkt, EVENT_STREAM_REASSEMBLY_INSERT_MEMCAP);
		return NULL;
	}
	uint32_t at = (uint32_t)(offset - in->offset);
	bool urgent = in->urgent >= (int32_t)at && in->urgent < (int32_t)(at + n);
	*segment = (struct tcp_segment){
		.offset = offset, .sent_at = in->offset, .len = n, .urgent = urgent ? in->urgent - (int32_t)at : -1};
	memcpy(segment->data, in->data + at, n);
	half->segment_count++;
	count(c->engine->counters, COUNTER_TCP_OUT_OF_ORDER);
	return segment;
}

/* Stores [from, to) of the segment between others: overlaps are settled, the rest fills the holes. */
static bool segments_insert(struct incoming *in, uint64_t from, uint64_t to)
{
	struct tcp_half *half = in->half;
	struct tcp_segment **link = &half->segments;
	if (half->segments_last && half->segments_last->offset + half->segments_last->len <= from)
		link = &half->segments_last->next;
	while (from < to) {
		struct tcp_segment *at = *link;
		if (at && at->offset + at->len <= from) {
			link = &at->next;
			continue;
		}
		if (at && at->offset <= from) {
			uint64_t end = at->offset + at->len < to ? at->offset + at->len : to;
			if (in->checks++ >= in->c->engine->config.overlap_checks_max) {
				packet_event(in->c->pkt, EVENT_STREAM_REASSEMBLY_INSERT_LIMIT);
				return false;
			}
			settle(in, (uint32_t)(from - in->offset), at->data + (from - at->offset),
			       (uint32_t)(end - from), at->sent_at);
			from = end;
			continue;
		}
		uint64_t end = at && at->offset < to ? at->offset : to;
		struct tcp_segment *segment = segment_new(in, from, (uint32_t)(end - from));
		if (!segment)
			return false;
		segment->next = at;
		*link = segment;
		if (!at)
			half->segments_last = segment;
		link = &segment->next;
		from = end;
	}
	return true;
}

void tcp_packet_rewritten(struct packet *pkt)
{
	if (pkt->flags & (PACKET_REASSEMBLED | PACKET_TUNNELLED)) {
		packet_drop(pkt, DROP_STREAM_REASSEMBLY);
		return;
	}
	packet_fix_checksums(pkt);
	if (pkt->verdict == VERDICT_FORWARD)
		pkt->verdict = VERDICT_REPLACE;
	if (pkt->root && pkt->root->verdict == VERDICT_FORWARD)
		pkt->root->verdict = VERDICT_REPLACE;
}

/* A segment that is not simply the next one. */
static bool insert_slow(struct incoming *in)
{
	struct tcp_half *half = in->half;
	uint64_t end = in->offset + in->len;
	bool ok = true;
	if (in->offset < half->edge)
		settle_old(in);
	if (end > half->edge) {
		uint64_t from = in->offset > half->edge ? in->offset : half->edge;
		ok = segments_insert(in, from, end) && segments_drain(in->c->engine, half);
	}
	if (in->differs) {
		packet_event(in->c->pkt, EVENT_STREAM_REASSEMBLY_OVERLAP_DIFFERENT_DATA);
		count(in->c->engine->counters, COUNTER_TCP_OVERLAP_DIFF_DATA);
		if (in->c->engine->config.inline_mode)
			tcp_packet_rewritten(in->c->pkt);
	}
	return ok;
}

/* --- a packet's data ------------------------------------------------------------------------------------------------------- */

/* An urgent byte that the receiver's application does not see in the stream (or that is a gap): its index, or -1. */
static int32_t urgent_index(const struct tcp_context *c)
{
	uint16_t pointer = c->pkt->tcp.urgent;
	if (!(c->flags & TCP_URG) || c->engine->config.inline_mode || pointer == 0 || pointer > c->len)
		return -1;
	enum stream_urgent_policy policy = c->engine->config.urgent_policy;
	return policy == STREAM_URGENT_OOB || policy == STREAM_URGENT_GAP ? (int32_t)pointer - 1 : -1;
}

/* How much of the segment lies within the depth. */
static uint32_t within_depth(struct tcp_context *c, struct tcp_half *half, uint64_t offset, uint32_t len)
{
	uint64_t depth = c->engine->config.depth_bytes;
	if (depth == 0 || offset + len <= depth)
		return len;
	if (half->flags & HALF_DEPTH)
		return offset < depth ? (uint32_t)(depth - offset) : 0;
	half->flags |= HALF_DEPTH;
	packet_event(c->pkt, EVENT_STREAM_REASSEMBLY_DEPTH_REACHED);
	count(c->engine->counters, COUNTER_TCP_DEPTH_REACHED);
	return offset < depth ? (uint32_t)(depth - offset) : 0;
}

/* The segment could not be kept. Without memory the policy speaks; too many holes are not let through inline, where the
 * sender will send again. */
static bool refused(struct tcp_context *c)
{
	count(c->engine->counters, COUNTER_TCP_SEGMENT_MEMCAP_DROP);
	c->session->flags |= SESSION_LOSSY;
	if (event_set_has(&c->pkt->events, EVENT_STREAM_REASSEMBLY_INSERT_LIMIT))
		return !c->engine->config.inline_mode;
	tcp_apply_policy(c->engine, c->pkt, c->engine->config.memcap_policy, DROP_STREAM_MEMCAP);
	return true;
}

static bool insert(struct tcp_context *c, struct tcp_half *half, const uint8_t *data, uint32_t seq, uint32_t len,
		   int32_t urgent)
{
	int64_t offset = (int64_t)half->edge + (int32_t)(seq - half->edge_seq);
	if (offset < 0) {
		/* before the first byte: a keep-alive's, or nonsense */
		uint64_t before = (uint64_t)-offset;
		if (before >= len) {
			packet_event(c->pkt, EVENT_STREAM_REASSEMBLY_SEGMENT_BEFORE_BASE_SEQ);
			return true;
		}
		data += before;
		len -= (uint32_t)before;
		urgent = urgent >= (int32_t)before ? urgent - (int32_t)before : -1;
		offset = 0;
	}
	len = within_depth(c, half, (uint64_t)offset, len);
	if (len == 0)
		return true;
	count(c->engine->counters, COUNTER_TCP_SEGMENTS);
	c->pkt->flags |= PACKET_PAYLOAD_IN_STREAM;
	if ((uint64_t)offset == half->edge && !half->segments) {
		if (run_append(c->engine, half, data, len, urgent, (uint64_t)offset))
			return true;
		packet_event(c->pkt, EVENT_STREAM_REASSEMBLY_INSERT_MEMCAP);
		return refused(c);
	}
	struct incoming in = {
		.c = c, .half = half, .data = data, .offset = (uint64_t)offset, .len = len, .urgent = urgent};
	return insert_slow(&in) || refused(c);
}

/* Readers that gave up, or that the flow's verdict made needless. */
static void readers_check(struct tcp_context *c, struct tcp_half *half)
{
	uint32_t flow = c->pkt->flow->flags;
	if (flow & (FLOW_DROP | FLOW_BYPASS))
		half->flags |= HALF_APP_OFF | HALF_RAW_OFF;
	else if (flow & (FLOW_PASS | FLOW_NO_PAYLOAD))
		half->flags |= HALF_RAW_OFF;
}

static bool take_data(struct tcp_context *c)
{
	struct tcp_half *half = c->snd;
	const uint8_t *data = c->pkt->payload;
	readers_check(c, half);
	if ((half->flags & (HALF_APP_OFF | HALF_RAW_OFF)) == (HALF_APP_OFF | HALF_RAW_OFF))
		return true;
	/* beyond the depth nothing is kept; inline, what lies before it must still come as it was inspected */
	if (half->flags & HALF_DEPTH && !(c->engine->config.inline_mode && seq_lt(c->seq, half->edge_seq)))
		return true;
	if (half->flags & HALF_FIN && seq_gt(c->seq + c->len, half->fin_seq)) {
		/* nothing follows a FIN */
		if (c->engine->config.inline_mode)
			return false;
		if (!seq_lt(c->seq, half->fin_seq))
			return true;
		c->len = half->fin_seq - c->seq;
	}
	int32_t urgent = urgent_index(c);
	if (urgent >= 0 && c->engine->config.urgent_policy == STREAM_URGENT_GAP) {
		uint32_t after = (uint32_t)urgent + 1;
		return (urgent == 0 || insert(c, half, data, c->seq, (uint32_t)urgent, -1)) &&
		       (after == c->len || insert(c, half, data + after, c->seq + after, c->len - after, -1));
	}
	return insert(c, half, data, c->seq, c->len, urgent);
}

uint64_t tcp_acked(const struct tcp_half *half)
{
	int64_t acked = (int64_t)half->edge + (int32_t)(half->last_ack - half->edge_seq);
	return acked > 0 ? (uint64_t)acked : 0;
}

uint64_t tcp_available(const struct tcp_session *session, const struct tcp_half *half)
{
	if (session->config->inline_mode || half->flags & HALF_FINISHED)
		return half->edge;
	uint64_t acked = tcp_acked(half);
	return acked < half->edge ? acked : half->edge;
}

bool tcp_reassemble(struct tcp_context *c)
{
	bool ok = true;
	if (c->len > 0 && !(c->flags & TCP_RST))
		ok = take_data(c);
	gaps_check(c, c->rcv);
	if (c->snd->segments)
		gaps_check(c, c->snd);
	return ok;
}
