/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The messages of a queue, read: what the kernel sends on the netlink socket of NFQUEUE. They are read with the same care as a
 * packet, for lengths and payload come from outside.
 *
 * Private to io/.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dataplane/bytes.h>

/* The largest payload that an attribute of netlink can hold, and so the longest packet that can be seen or rewritten whole. */
#define NFQ_PAYLOAD_MAX (65535u - 4u)

enum nfq_message_kind {
	NFQ_MESSAGE_PACKET,
	NFQ_MESSAGE_ERROR, /* the kernel's answer to what was sent; error 0 is an acknowledgement */
	NFQ_MESSAGE_OTHER,
	NFQ_MESSAGE_BROKEN, /* lengths that do not fit: the rest of the datagram cannot be read */
	NFQ_MESSAGE_NONE,   /* the end of the datagram */
};

struct nfq_message {
	int error;	   /* of NFQ_MESSAGE_ERROR: 0 or -errno */
	uint32_t sequence; /* of the request that it answers */
	/* of NFQ_MESSAGE_PACKET */
	uint16_t queue;
	uint32_t id;
	uint32_t in_ifindex, out_ifindex; /* 0: none */
	uint32_t mark;
	uint32_t skb_info; /* NFQA_SKB_* */
	struct bytes payload;
	uint32_t whole_len; /* of the packet, >= payload.len: more than the payload when it was cut */
};

/* The next message of the datagram. */
enum nfq_message_kind nfq_message_next(struct cursor *datagram, struct nfq_message *message);
