/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads netlink messages of NFQUEUE: header, nfgenmsg, attributes, each padded to four bytes. */
#include "nfq_message.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>

/* Headers of netlink are in the order of this machine; what is within attributes is in network order. */
static uint16_t host_u16(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 2);
	uint16_t v = 0;
	if (p)
		memcpy(&v, p, sizeof(v));
	return v;
}

static uint32_t host_u32(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 4);
	uint32_t v = 0;
	if (p)
		memcpy(&v, p, sizeof(v));
	return v;
}

/* The next attribute's value; false at the end, or when its length does not fit (the cursor has failed then). */
static bool next_attribute(struct cursor *c, uint16_t *type, struct bytes *value)
{
	if (cursor_left(c) < NLA_HDRLEN)
		return false; /* fewer are padding */
	uint16_t len = host_u16(c);
	*type = host_u16(c) & NLA_TYPE_MASK;
	if (len < NLA_HDRLEN) {
		c->failed = true;
		return false;
	}
	*value = cursor_bytes(c, len - (size_t)NLA_HDRLEN);
	size_t padding = NLA_ALIGN((size_t)len) - len;
	cursor_skip(c, padding < cursor_left(c) ? padding : cursor_left(c));
	return !c->failed;
}

static uint32_t value_be32(struct bytes value, struct cursor *c)
{
	if (value.len >= 4)
		return load_be32(value.data);
	c->failed = true;
	return 0;
}

static enum nfq_message_kind parse_packet(struct cursor c, struct nfq_message *m)
{
	bool has_header = false, has_payload = false;
	uint16_t type;
	struct bytes value;
	cursor_skip(&c, 2); /* family, version */
	m->queue = cursor_be16(&c);
	while (next_attribute(&c, &type, &value)) {
		switch (type) {
		case NFQA_PACKET_HDR:
			m->id = value_be32(value, &c);
			has_header = true;
			break;
		case NFQA_MARK:
			m->mark = value_be32(value, &c);
			break;
		case NFQA_IFINDEX_INDEV:
			m->in_ifindex = value_be32(value, &c);
			break;
		case NFQA_IFINDEX_OUTDEV:
			m->out_ifindex = value_be32(value, &c);
			break;
		case NFQA_SKB_INFO:
			m->skb_info = value_be32(value, &c);
			break;
		case NFQA_CAP_LEN:
			m->whole_len = value_be32(value, &c);
			break;
		case NFQA_PAYLOAD:
			m->payload = value;
			has_payload = true;
			break;
		default:
			break;
		}
	}
	if (c.failed || !has_header)
		return NFQ_MESSAGE_BROKEN;
	if (!has_payload)
		m->payload = (struct bytes){.data = c.at, .len = 0};
	if (m->whole_len < m->payload.len)
		m->whole_len = (uint32_t)m->payload.len;
	return NFQ_MESSAGE_PACKET;
}

enum nfq_message_kind nfq_message_next(struct cursor *datagram, struct nfq_message *message)
{
	*message = (struct nfq_message){0};
	if (cursor_left(datagram) == 0)
		return datagram->failed ? NFQ_MESSAGE_BROKEN : NFQ_MESSAGE_NONE;
	uint32_t len = host_u32(datagram);
	uint16_t type = host_u16(datagram);
	cursor_skip(datagram, 2); /* flags */
	message->sequence = host_u32(datagram);
	cursor_skip(datagram, 4); /* port */
	if (len < NLMSG_HDRLEN)
		datagram->failed = true;
	struct bytes body = cursor_bytes(datagram, datagram->failed ? 0 : len - (size_t)NLMSG_HDRLEN);
	if (datagram->failed)
		return NFQ_MESSAGE_BROKEN;
	size_t padding = NLMSG_ALIGN((size_t)len) - len;
	cursor_skip(datagram, padding < cursor_left(datagram) ? padding : cursor_left(datagram));

	struct cursor c = cursor_of(body.data, body.len);
	if (type == NLMSG_ERROR) {
		message->error = (int)host_u32(&c);
		if (message->error > 0)
			message->error = -EPROTO;
		return c.failed ? NFQ_MESSAGE_BROKEN : NFQ_MESSAGE_ERROR;
	}
	if (type != (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET))
		return NFQ_MESSAGE_OTHER;
	enum nfq_message_kind kind = parse_packet(c, message);
	return kind;
}
