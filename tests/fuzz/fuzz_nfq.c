/* SPDX-License-Identifier: BSD-3-Clause */
/* A datagram of NFQUEUE: the reader ends, and what it gives out lies within the datagram. */
#include <stdint.h>
#include <stdlib.h>

#include "../../dataplane/io/nfq_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_of(data, size);
	struct nfq_message m;
	enum nfq_message_kind kind;
	uint8_t sum = 0;
	/* a header takes 16 bytes: more messages than that cannot be */
	for (size_t n = 0; (kind = nfq_message_next(&c, &m)) != NFQ_MESSAGE_NONE; n++) {
		if (n > size / 16 + 1)
			abort();
		if (kind == NFQ_MESSAGE_BROKEN && c.failed)
			break;
		if (kind != NFQ_MESSAGE_PACKET)
			continue;
		if (m.whole_len < m.payload.len)
			abort();
		for (size_t i = 0; i < m.payload.len; i++)
			sum ^= m.payload.data[i];
	}
	/* so that the bytes are read indeed */
	volatile uint8_t result = sum;
	(void)result;
	return 0;
}
