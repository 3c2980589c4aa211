/* SPDX-License-Identifier: BSD-3-Clause */
#include "matcher.h"

/* The three faults in BER encodings that rules ask for. Anything malformed ends the walk. */

/* Frames looked at, and how deep they may nest: real encodings stay far below. */
#define ASN1_FRAMES_MAX 256
#define ASN1_DEPTH_MAX	16

struct asn1_frame {
	const uint8_t *content;
	size_t len;
	uint8_t class, tag;
	bool constructed;
};

static bool read_length(struct cursor *c, size_t *len, bool *indefinite)
{
	uint8_t first = cursor_u8(c);
	*indefinite = first == 0x80;
	if (first < 0x80) {
		*len = first;
		return !c->failed;
	}
	*len = 0;
	for (unsigned i = 0; i < (first & 0x7fu); i++) {
		if (*len > SIZE_MAX >> 9)
			return false;
		*len = *len << 8 | cursor_u8(c);
	}
	return !c->failed;
}

static bool read_frame(struct cursor *c, struct asn1_frame *frame)
{
	bool indefinite;
	uint8_t id = cursor_u8(c);
	*frame = (struct asn1_frame){.class = id >> 6, .tag = id & 0x1f, .constructed = (id & 0x20) != 0};
	for (unsigned i = 0; frame->tag == 0x1f && i < 4; i++)
		if (!(cursor_u8(c) & 0x80))
			break;
	if (!read_length(c, &frame->len, &indefinite))
		return false;
	frame->content = c->at;
	if (indefinite)
		frame->len = cursor_left(c);
	return true;
}

static bool is_bitstring_overflow(const struct asn1_frame *frame, size_t left)
{
	if (frame->class != 0 || frame->constructed || frame->tag != 3 || frame->len == 0 || left == 0)
		return false;
	return frame->len - 1 <= frame->content[0] / 8;
}

/* A REAL in decimal digits longer than any number needs. */
static bool is_double_overflow(const struct asn1_frame *frame, size_t left)
{
	return frame->class == 0 && !frame->constructed && frame->tag == 9 && frame->len > 1 && left > 0 &&
	       (frame->content[0] & 0xc0) == 0 && frame->len > 256;
}

static bool frame_is_bad(const struct match_asn1 *asn1, const struct asn1_frame *frame, size_t left)
{
	return (asn1->oversize_length && frame->len > asn1->oversize_length) ||
	       (asn1->bitstring_overflow && is_bitstring_overflow(frame, left)) ||
	       (asn1->double_overflow && is_double_overflow(frame, left));
}

bool asn1_match(const struct match_asn1 *asn1, const uint8_t *data, uint32_t len, uint32_t at)
{
	int64_t from = asn1->offset + (asn1->relative_offset ? (int64_t)at : 0);
	if (from < 0 || from >= (int64_t)len)
		return false;
	struct cursor stack[ASN1_DEPTH_MAX] = {cursor_of(data + from, len - (size_t)from)};
	unsigned depth = 1;
	for (unsigned frames = 0; depth > 0 && frames < ASN1_FRAMES_MAX; frames++) {
		struct cursor *c = &stack[depth - 1];
		struct asn1_frame frame;
		if (cursor_left(c) == 0) {
			depth--;
			continue;
		}
		if (!read_frame(c, &frame))
			return false;
		size_t left = cursor_left(c);
		if (frame_is_bad(asn1, &frame, left))
			return true;
		size_t here = frame.len < left ? frame.len : left;
		cursor_skip(c, here);
		if (frame.constructed && depth < ASN1_DEPTH_MAX)
			stack[depth++] = cursor_of(frame.content, here);
	}
	return false;
}
