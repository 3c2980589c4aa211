/* SPDX-License-Identifier: BSD-3-Clause */
#include "matcher.h"

/*
 * The matches of one buffer, in the order written. When one fails, contents and expressions before it on whose place
 * it depends are sought further on. Depth of recursion is the number of matches; the number of tries is limited.
 */

enum walk { WALK_STOP = -1 /* no further try can help */, WALK_NO, WALK_MATCH };

struct walk_ctx {
	struct sigs_matcher *m;
	const struct sig_buffer *buffer;
	struct inspect_view view;
	uint32_t reached; /* largest end of a match */
};

static enum walk walk(struct walk_ctx *ctx, unsigned i, uint32_t at);

static int64_t variable(const struct sigs_matcher *m, int8_t index)
{
	uint64_t v = m->vars[index & (SIG_VARS_MAX - 1)];
	return v > INT32_MAX ? INT32_MAX : (int64_t)v;
}

static int64_t value_or_var(const struct sigs_matcher *m, int64_t value, int8_t var)
{
	return var == SIG_VAR_NONE ? value : variable(m, var);
}

/* A search was bounded by the end of what is here; more bytes may change its outcome. */
static void note_cut(struct walk_ctx *ctx, int64_t wanted)
{
	if (!ctx->view.final && wanted > (int64_t)ctx->view.len)
		ctx->m->more = true;
}

struct range {
	int64_t low, high; /* the match lies within; may be empty */
	int64_t limit;	   /* high before it was cut to what is here */
};

#define UNLIMITED (INT64_MAX / 4)

static struct range content_range(const struct walk_ctx *ctx, const struct match_content *c, uint32_t at)
{
	const struct sigs_matcher *m = ctx->m;
	struct range r = {.low = 0, .high = UNLIMITED};
	int64_t begun = (int64_t)ctx->view.offset; /* bytes of the whole before data[0] */
	if (c->flags & (CONTENT_RELATIVE | CONTENT_DISTANCE | CONTENT_WITHIN)) {
		int64_t distance = c->flags & CONTENT_DISTANCE ? value_or_var(m, c->distance, c->distance_var) : 0;
		r.low = (int64_t)at + distance;
		if (r.low < 0)
			r.low = 0;
		if (c->flags & CONTENT_WITHIN)
			r.high = (int64_t)at + distance + value_or_var(m, c->within, c->within_var) -
				 (at == 0 ? begun : 0);
		if (c->flags & CONTENT_DEPTH) {
			int64_t end = (int64_t)at + value_or_var(m, c->depth, c->depth_var);
			r.high = end < r.high ? end : r.high;
		}
		if (c->flags & CONTENT_OFFSET) {
			int64_t offset = value_or_var(m, c->offset, c->offset_var);
			r.low = offset > r.low ? offset : r.low;
		}
	} else {
		int64_t offset = c->flags & CONTENT_OFFSET ? value_or_var(m, c->offset, c->offset_var) : 0;
		if (c->flags & CONTENT_DEPTH || c->flags & CONTENT_STARTSWITH) {
			r.high = c->depth_var != SIG_VAR_NONE ? offset + variable(m, c->depth_var) : c->depth;
			if (c->flags & CONTENT_STARTSWITH && !(c->flags & CONTENT_DEPTH))
				r.high = (int64_t)c->pattern.len;
			r.high -= begun;
		}
		r.low = offset > begun ? offset - begun : 0;
	}
	r.limit = r.high;
	if (r.high > (int64_t)ctx->view.len)
		r.high = ctx->view.len;
	return r;
}

static enum walk next(struct walk_ctx *ctx, unsigned i, uint32_t at)
{
	if (at > ctx->reached)
		ctx->reached = at;
	return i + 1 == ctx->buffer->match_count ? WALK_MATCH : walk(ctx, i + 1, at);
}

/* Where the range ends before the pattern could, "not there" is what a negated content asks for. */
static enum walk content_negated(struct walk_ctx *ctx, unsigned i, uint32_t at, const struct match_content *c,
				 const struct range *r)
{
	const uint8_t *found = NULL, *data = ctx->view.data;
	bool nocase = c->flags & CONTENT_NOCASE;
	if (r->high > 0 && r->low <= r->high) {
		if (!(c->flags & CONTENT_ENDSWITH)) {
			found = content_find(data + r->low, (size_t)(r->high - r->low), c->pattern, nocase);
		} else if (r->high == (int64_t)ctx->view.len && r->high - r->low >= (int64_t)c->pattern.len) {
			found = content_find(data + r->high - c->pattern.len, c->pattern.len, c->pattern, nocase);
		}
	}
	if (found == NULL)
		return i + 1 == ctx->buffer->match_count ? WALK_MATCH : walk(ctx, i + 1, at);
	bool single = !(c->flags & (CONTENT_RELATIVE | CONTENT_DISTANCE | CONTENT_WITHIN));
	return single ? WALK_STOP : WALK_NO;
}

static enum walk content_walk(struct walk_ctx *ctx, unsigned i, uint32_t at)
{
	const struct match_content *c = &ctx->buffer->matches[i].content;
	struct range r = content_range(ctx, c, at);
	bool relative = c->flags & (CONTENT_RELATIVE | CONTENT_DISTANCE | CONTENT_WITHIN);
	bool nocase = c->flags & CONTENT_NOCASE;
	if (c->flags & CONTENT_NEGATED)
		return content_negated(ctx, i, at, c, &r);
	note_cut(ctx, r.limit);
	if (c->flags & CONTENT_ENDSWITH) {
		/* only the very end will do; but what precedes must leave room */
		if (r.high < (int64_t)ctx->view.len)
			return relative ? WALK_NO : WALK_STOP;
		int64_t low = r.high - (int64_t)c->pattern.len;
		if (low > r.low)
			r.low = low;
	}
	while (r.low >= 0 && r.high - r.low >= (int64_t)c->pattern.len) {
		if (ctx->m->steps-- == 0) {
			ctx->m->steps = 0;
			return WALK_STOP;
		}
		const uint8_t *found =
			content_find(ctx->view.data + r.low, (size_t)(r.high - r.low), c->pattern, nocase);
		if (found == NULL)
			break;
		uint32_t start = (uint32_t)(found - ctx->view.data);
		enum walk w = next(ctx, i, start + (uint32_t)c->pattern.len);
		if (w != WALK_NO)
			return w;
		if (!c->relative_next)
			return WALK_STOP; /* nothing behind depends on where this stood */
		r.low = (int64_t)start + 1;
	}
	return relative && !c->conclusive ? WALK_NO : WALK_STOP;
}

static enum walk pcre_walk(struct walk_ctx *ctx, unsigned i, uint32_t at)
{
	const struct match_pcre *p = &ctx->buffer->matches[i].pcre;
	uint32_t base = p->relative ? at : 0, from = base, start = 0, end = 0;
	bool last = i + 1 == ctx->buffer->match_count;
	if (base > ctx->view.len)
		return WALK_NO;
	if (!ctx->view.final && !p->negated)
		ctx->m->more = true;
	for (;;) {
		if (ctx->m->steps-- == 0) {
			ctx->m->steps = 0;
			return WALK_STOP;
		}
		if (!pcre_try(ctx->m, p, &ctx->view, base, from, &start, &end))
			return WALK_NO;
		if (p->negated)
			return last ? WALK_MATCH : walk(ctx, i + 1, at);
		enum walk w = next(ctx, i, end);
		if (w != WALK_NO || last)
			return w;
		from = start + 1;
		if (from > ctx->view.len)
			return WALK_NO;
	}
}

/* --- numbers ------------------------------------------------------------------------------------------------------- */

/* Reads the number that a byte_* match names; *end is where it ended. False when it does not lie in the buffer. */
static bool read_number(struct walk_ctx *ctx, const struct match_bytes *b, uint32_t at, uint64_t *value, int64_t *start,
			int64_t *end)
{
	const struct sigs_matcher *m = ctx->m;
	int64_t from = value_or_var(m, b->offset, b->offset_var) + (b->relative ? (int64_t)at : 0);
	int64_t count = value_or_var(m, b->count, b->count_var);
	*start = *end = from;
	*value = 0;
	note_cut(ctx, from + count);
	if (ctx->view.len == 0 || from < 0 || count < 0 || from + count > (int64_t)ctx->view.len)
		return false;
	if (count == 0)
		return true; /* byte_jump 0: a plain move */
	if (b->relative && from >= (int64_t)ctx->view.len)
		return false;
	unsigned used = (unsigned)count;
	if (b->string) {
		if (count > 23 || !digits_number(ctx->view.data + from, (unsigned)count, b->base, value, &used))
			return false;
	} else if (!bytes_number(ctx->view.data + from, (unsigned)count, b->little_endian, value)) {
		return false;
	}
	*end = from + used;
	return true;
}

static uint64_t masked(const struct match_bytes *b, uint64_t value)
{
	if (b->bitmask == 0)
		return value;
	value &= b->bitmask;
	return value >> (b->bitmask_shift & 63);
}

static bool byte_test(struct walk_ctx *ctx, const struct match_bytes *b, uint32_t at)
{
	uint64_t value;
	int64_t start, end;
	if (!read_number(ctx, b, at, &value, &start, &end) || start == end)
		return false;
	value = masked(b, value);
	uint64_t with = b->value_var == SIG_VAR_NONE ? b->value : ctx->m->vars[b->value_var & (SIG_VARS_MAX - 1)];
	bool holds = false;
	switch (b->test) {
	case BYTE_OP_LT:
		holds = value < with;
		break;
	case BYTE_OP_GT:
		holds = value > with;
		break;
	case BYTE_OP_EQ:
		holds = value == with;
		break;
	case BYTE_OP_LE:
		holds = value <= with;
		break;
	case BYTE_OP_GE:
		holds = value >= with;
		break;
	case BYTE_OP_AND:
		holds = (value & with) != 0;
		break;
	case BYTE_OP_OR:
		holds = (value ^ with) != 0;
		break;
	}
	return holds != b->negated;
}

static bool byte_jump(struct walk_ctx *ctx, const struct match_bytes *b, uint32_t at, uint32_t *to)
{
	uint64_t value;
	int64_t start, end;
	if (!read_number(ctx, b, at, &value, &start, &end))
		return false;
	value = masked(b, value);
	if (b->multiplier)
		value *= b->multiplier;
	if (b->align && value % 4)
		value += 4 - value % 4;
	if (value > INT32_MAX)
		return false; /* beyond any buffer */
	int64_t jump = (int64_t)value + value_or_var(ctx->m, b->post_offset, b->post_offset_var);
	int64_t target = b->from_beginning ? jump : b->from_end ? (int64_t)ctx->view.len + jump : end + jump;
	if (target < 0)
		target = 0;
	note_cut(ctx, target);
	if (target > (int64_t)ctx->view.len)
		return false;
	*to = (uint32_t)target;
	return true;
}

static bool byte_extract(struct walk_ctx *ctx, const struct match_bytes *b, uint32_t at, uint32_t *to)
{
	uint64_t value;
	int64_t start, end;
	if (!read_number(ctx, b, at, &value, &start, &end) || start == end)
		return false;
	value *= b->multiplier ? b->multiplier : 1;
	if (b->align_to && value % b->align_to)
		value += b->align_to - value % b->align_to;
	ctx->m->vars[b->result_var & (SIG_VARS_MAX - 1)] = value;
	*to = (uint32_t)end;
	return true;
}

static bool byte_math(struct walk_ctx *ctx, const struct match_bytes *b, uint32_t at, uint32_t *to)
{
	uint64_t value;
	int64_t start, end;
	if (!read_number(ctx, b, at, &value, &start, &end) || start == end)
		return false;
	uint64_t with = b->rvalue_var == SIG_VAR_NONE ? b->rvalue : ctx->m->vars[b->rvalue_var & (SIG_VARS_MAX - 1)];
	switch (b->math) {
	case BYTE_MATH_ADD:
		value += with;
		break;
	case BYTE_MATH_SUB:
		value -= with;
		break;
	case BYTE_MATH_MUL:
		value *= with;
		break;
	case BYTE_MATH_DIV:
		if (with == 0)
			return false;
		value /= with;
		break;
	case BYTE_MATH_SHL:
		value = with < 64 ? value << with : 0;
		break;
	case BYTE_MATH_SHR:
		value = with < 64 ? value >> with : 0;
		break;
	}
	ctx->m->vars[b->result_var & (SIG_VARS_MAX - 1)] = masked(b, value);
	*to = (uint32_t)end;
	return true;
}

/* --- sizes, presence, decoding ------------------------------------------------------------------------------------- */

static enum walk isdataat_walk(struct walk_ctx *ctx, unsigned i, uint32_t at)
{
	const struct match_isdataat *d = &ctx->buffer->matches[i].isdataat;
	int64_t where = value_or_var(ctx->m, d->at, d->at_var);
	bool there = d->relative ? (int64_t)at + where <= (int64_t)ctx->view.len
				 : where < (int64_t)(ctx->view.len + ctx->view.offset);
	if (there == d->negated) {
		if (!d->negated)
			note_cut(ctx, where + (d->relative ? at : 0) + 1);
		/* At another place before, there may be more, or less, behind. */
		return d->relative ? WALK_NO : WALK_STOP;
	}
	return i + 1 == ctx->buffer->match_count ? WALK_MATCH : walk(ctx, i + 1, at);
}

static enum walk bsize_walk(struct walk_ctx *ctx, unsigned i, uint32_t at)
{
	const struct match *match = &ctx->buffer->matches[i];
	uint64_t size = ctx->view.len + ctx->view.offset;
	bool holds = number_test_holds(&match->number, size);
	if (!ctx->view.final) {
		/* While it grows only "more than" is already certain. */
		bool lower_bound = match->number.op == NUMBER_GT || match->number.op == NUMBER_GE;
		if (!holds || !lower_bound) {
			ctx->m->more = true;
			return WALK_STOP;
		}
	}
	if (holds == match->negated)
		return WALK_STOP;
	return next(ctx, i, at);
}

/* Bytes of one base64_decode; longer input is cut. */
#define BASE64_INPUT_MAX 65536u

static bool base64_walk(struct walk_ctx *ctx, const struct match_base64 *b, uint32_t at)
{
	struct sigs_matcher *m = ctx->m;
	const struct signature *sig = m->sig;
	uint32_t from = (b->relative ? at : 0) + b->offset;
	note_cut(ctx, b->bytes ? (int64_t)from + b->bytes : UNLIMITED);
	if (from >= ctx->view.len)
		return false;
	uint32_t len = ctx->view.len - from;
	if (b->bytes && len > b->bytes)
		len = b->bytes;
	if (len > BASE64_INPUT_MAX)
		len = BASE64_INPUT_MAX;
	uint32_t used = m->arena_used, cap = len / 4 * 3 + 3;
	uint8_t *out = matcher_scratch(m, cap);
	if (out == NULL)
		return false;
	uint32_t decoded = (uint32_t)base64_decode_bytes(ctx->view.data + from, len, out, cap, BASE64_RFC4648);
	bool holds = decoded > 0;
	int self = (int)(ctx->buffer - sig->buffers);
	for (unsigned i = 0; i < sig->buffer_count && holds; i++) {
		if (sig->buffers[i].ref->kind != BUFFER_BASE64 || sig->buffers[i].base64_of != self)
			continue;
		struct walk_ctx inner = {
			.m = m, .buffer = &sig->buffers[i], .view = {.data = out, .len = decoded, .final = true}};
		holds = sig->buffers[i].match_count == 0 || walk(&inner, 0, 0) == WALK_MATCH;
	}
	m->arena_used = used;
	return holds;
}

static bool entropy_holds(struct sigs_matcher *m, const struct match_entropy *e, const struct inspect_view *view)
{
	/* what is not there has no entropy, not one of zero */
	if (e->offset > view->len || e->bytes > view->len - e->offset)
		return false;
	uint32_t from = e->offset, len = e->bytes ? e->bytes : view->len - from;
	uint32_t counts[256] = {0};
	double entropy = 0;
	for (uint32_t i = 0; i < len; i++)
		counts[view->data[from + i]]++;
	for (unsigned c = 0; c < 256 && len; c++) {
		if (counts[c] == 0)
			continue;
		double share = (double)counts[c] / len;
		entropy -= share * __builtin_log2(share);
	}
	flow_entropy_set(m, e->name, entropy);
	switch (e->op) {
	case NUMBER_EQ:
		return entropy == e->a;
	case NUMBER_NE:
		return entropy != e->a;
	case NUMBER_LT:
		return entropy < e->a;
	case NUMBER_LE:
		return entropy <= e->a;
	case NUMBER_GT:
		return entropy > e->a;
	case NUMBER_GE:
		return entropy >= e->a;
	case NUMBER_RANGE:
		return entropy > e->a && entropy < e->b;
	case NUMBER_RANGE_IN:
		return entropy >= e->a && entropy <= e->b;
	case NUMBER_RANGE_NOT:
		return entropy <= e->a || entropy >= e->b;
	default:
		return false;
	}
}

static bool dataset_holds(const struct match_dataset *d, struct bytes value)
{
	uint16_t reputation = 0;
	switch (d->op) {
	case DATASET_ISSET:
		return dataset_has(d->set, value, NULL);
	case DATASET_ISNOTSET:
		return !dataset_has(d->set, value, NULL);
	case DATASET_SET:
		return dataset_insert(d->set, value);
	case DATASET_UNSET:
		return dataset_remove(d->set, value);
	case DATAREP:
		return dataset_has(d->set, value, &reputation) && number_test_holds(&d->reputation, reputation);
	}
	return false;
}

/* Matches that neither move nor repeat. */
static bool plain_holds(struct walk_ctx *ctx, const struct match *match, uint32_t at)
{
	struct bytes all = {.data = ctx->view.data, .len = ctx->view.len};
	switch (match->type) {
	case MATCH_BYTE_TEST:
		return byte_test(ctx, &match->bytes, at);
	case MATCH_URILEN:
		return number_test_holds(&match->number, ctx->view.len) != match->negated;
	case MATCH_ABSENT:
		return match->flag != 0; /* the buffer is there: only "or else" goes on */
	case MATCH_BASE64_DECODE:
		return base64_walk(ctx, &match->base64, at);
	case MATCH_DATASET:
		return dataset_holds(&match->dataset, all);
	case MATCH_ASN1:
		return asn1_match(&match->asn1, ctx->view.data, ctx->view.len, at);
	case MATCH_ENTROPY:
		return entropy_holds(ctx->m, &match->entropy, &ctx->view);
	default:
		return false;
	}
}

static enum walk walk(struct walk_ctx *ctx, unsigned i, uint32_t at)
{
	const struct match *match = &ctx->buffer->matches[i];
	uint32_t to = at;
	bool holds;
	switch (match->type) {
	case MATCH_CONTENT:
		return content_walk(ctx, i, at);
	case MATCH_PCRE:
		return pcre_walk(ctx, i, at);
	case MATCH_ISDATAAT:
		return isdataat_walk(ctx, i, at);
	case MATCH_BSIZE:
		return bsize_walk(ctx, i, at);
	case MATCH_BYTE_JUMP:
		holds = byte_jump(ctx, &match->bytes, at, &to);
		break;
	case MATCH_BYTE_EXTRACT:
		holds = byte_extract(ctx, &match->bytes, at, &to);
		break;
	case MATCH_BYTE_MATH:
		holds = byte_math(ctx, &match->bytes, at, &to);
		break;
	default:
		holds = plain_holds(ctx, match, at);
		break;
	}
	return holds ? next(ctx, i, to) : WALK_NO;
}

enum inspect_result content_inspect(struct sigs_matcher *m, const struct sig_buffer *buffer,
				    const struct inspect_view *view)
{
	struct walk_ctx ctx = {.m = m, .buffer = buffer, .view = *view};
	m->more = false;
	m->match_end = 0;
	if (ctx.view.data == NULL)
		ctx.view.data = (const uint8_t *)""; /* searches of nothing need a place all the same */
	if (buffer->match_count == 0)
		return INSPECT_MATCH;
	enum walk w = walk(&ctx, 0, 0);
	m->match_end = ctx.reached;
	if (w == WALK_MATCH)
		return INSPECT_MATCH;
	return m->more ? INSPECT_MORE : INSPECT_NO;
}
