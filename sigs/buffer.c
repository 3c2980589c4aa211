/* SPDX-License-Identifier: BSD-3-Clause */
#include "matcher.h"

/* Fetching what a signature looks at: from the packet, its payload, or a transaction, through the buffer's transforms. */

uint8_t *matcher_scratch(struct sigs_matcher *m, uint32_t size)
{
	if (size > TRANSFORM_ARENA_BYTES - m->arena_used)
		return NULL;
	uint8_t *block = m->arena + m->arena_used;
	m->arena_used += (size + 15) & ~15u;
	if (m->arena_used > TRANSFORM_ARENA_BYTES)
		m->arena_used = TRANSFORM_ARENA_BYTES;
	return block;
}

/* The transformed view of an instance; made once a packet, however many signatures ask. */
static bool transformed_view(struct sigs_matcher *m, const struct buffer_ref *ref, const void *owner,
			     enum direction dir, unsigned index, struct inspect_view *view)
{
	for (unsigned i = 0; i < m->transformed_count; i++) {
		const struct transformed *t = &m->transformed[i];
		if (t->ref == ref && t->owner == owner && t->index == index && t->dir == dir) {
			*view = t->view;
			return t->present;
		}
	}
	struct bytes in = {.data = view->data, .len = view->len}, out = {0};
	bool present = transform_run(m->transformer, ref->transforms, ref->transform_count, in, &out);
	if (present && out.data != in.data) {
		/* The transformer's memory is used anew by the next buffer; several may be looked at side by side. */
		uint8_t *kept = matcher_scratch(m, (uint32_t)out.len);
		present = kept != NULL;
		if (kept && out.len)
			memcpy(kept, out.data, out.len);
		out.data = kept;
	}
	view->data = present ? out.data : NULL;
	view->len = present ? (uint32_t)out.len : 0;
	view->offset = 0;
	if (m->transformed_count < TRANSFORMED_MAX)
		m->transformed[m->transformed_count++] = (struct transformed){
			.ref = ref, .owner = owner, .index = index, .dir = dir, .present = present, .view = *view};
	return present;
}

bool buffer_get(struct sigs_matcher *m, const struct buffer_ref *ref, const struct app_buffer *buffer,
		const struct app_tx *tx, enum direction dir, unsigned index, struct inspect_view *view)
{
	struct bytes bytes = {0};
	uint64_t offset = 0;
	if (!buffer->get(m->pkt->flow->app, tx, dir, index, &bytes, &offset))
		return false;
	*view = (struct inspect_view){
		.data = bytes.data,
		.len = (uint32_t)bytes.len,
		.offset = offset,
		.final = !(buffer->flags & APP_BUFFER_STREAM) || tx->progress[dir] >= buffer->complete ||
			 app_tx_complete(m->pkt->flow, tx, dir),
	};
	return ref->transform_count == 0 || transformed_view(m, ref, tx, dir, index, view);
}

bool buffer_of_payload(struct sigs_matcher *m, const struct buffer_ref *ref, const struct inspect_view *raw,
		       struct inspect_view *view)
{
	*view = *raw;
	return ref->transform_count == 0 || transformed_view(m, ref, raw->data, m->pkt->dir, 0, view);
}

static bool header_of(const struct packet *pkt, enum packet_buffer which, struct bytes *bytes)
{
	*bytes = (struct bytes){0};
	switch (which) {
	case PACKET_BUFFER_IPV4_HDR:
		if (pkt->family == 4 && pkt->l3)
			*bytes = (struct bytes){pkt->l3, pkt->l3_header_len};
		break;
	case PACKET_BUFFER_IPV6_HDR:
		if (pkt->family == 6 && pkt->l3)
			*bytes = (struct bytes){pkt->l3, pkt->l3_header_len};
		break;
	case PACKET_BUFFER_TCP_HDR:
		if (pkt->proto == 6 && pkt->l4)
			*bytes = (struct bytes){pkt->l4, pkt->tcp.header_len};
		break;
	case PACKET_BUFFER_UDP_HDR:
		if (pkt->proto == 17 && pkt->l4)
			*bytes = (struct bytes){pkt->l4, 8};
		break;
	case PACKET_BUFFER_ICMPV4_HDR:
		if (pkt->proto == 1 && pkt->l4 && pkt->payload)
			*bytes = (struct bytes){pkt->l4, (size_t)(pkt->payload - pkt->l4)};
		break;
	case PACKET_BUFFER_ICMPV6_HDR:
		if (pkt->proto == 58 && pkt->l4)
			*bytes = (struct bytes){pkt->l4, pkt->payload ? (size_t)(pkt->payload - pkt->l4) : 4};
		break;
	case PACKET_BUFFER_IP_SRC:
		if (pkt->family)
			*bytes = (struct bytes){pkt->src.bytes, pkt->family == 4 ? 4 : 16};
		break;
	case PACKET_BUFFER_IP_DST:
		if (pkt->family)
			*bytes = (struct bytes){pkt->dst.bytes, pkt->family == 4 ? 4 : 16};
		break;
	}
	return bytes->len > 0;
}

bool buffer_of_packet(struct sigs_matcher *m, const struct buffer_ref *ref, struct inspect_view *view)
{
	struct bytes bytes;
	if (!header_of(m->pkt, ref->packet, &bytes))
		return false;
	*view = (struct inspect_view){.data = bytes.data, .len = (uint32_t)bytes.len, .final = true};
	return ref->transform_count == 0 || transformed_view(m, ref, m->pkt, m->pkt->dir, 0, view);
}
