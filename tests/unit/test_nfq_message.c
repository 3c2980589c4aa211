/* SPDX-License-Identifier: BSD-3-Clause */
/* What the kernel says on the socket of a queue, read from messages made here byte by byte. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>

#include "io/nfq_message.h"

#define PACKET_TYPE (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET)

struct datagram {
	uint8_t bytes[2048];
	size_t len;
	size_t message_at; /* where the last message begins */
};

static void put(struct datagram *d, const void *data, size_t len)
{
	assert_true(d->len + len <= sizeof(d->bytes));
	memcpy(d->bytes + d->len, data, len);
	d->len += len;
}

static void pad(struct datagram *d)
{
	while (d->len % 4)
		put(d, "", 1);
}

static void begin(struct datagram *d, uint16_t type)
{
	const struct nlmsghdr header = {.nlmsg_type = type, .nlmsg_seq = 7};
	d->message_at = d->len;
	put(d, &header, sizeof(header));
}

static void end(struct datagram *d)
{
	uint32_t len = (uint32_t)(d->len - d->message_at);
	memcpy(d->bytes + d->message_at, &len, sizeof(len));
	pad(d);
}

static void begin_packet(struct datagram *d, uint16_t queue)
{
	const uint8_t generic[4] = {2, 0, (uint8_t)(queue >> 8), (uint8_t)queue};
	begin(d, PACKET_TYPE);
	put(d, generic, sizeof(generic));
}

/* An attribute whose length field says `claims`. */
static void put_attribute_as(struct datagram *d, uint16_t type, uint16_t claims, const void *data, size_t len)
{
	put(d, &claims, 2);
	put(d, &type, 2);
	put(d, data, len);
	pad(d);
}

static void put_attribute(struct datagram *d, uint16_t type, const void *data, size_t len)
{
	put_attribute_as(d, type, (uint16_t)(len + 4), data, len);
}

static void put_be32(struct datagram *d, uint16_t type, uint32_t value)
{
	uint8_t bytes[4];
	store_be32(bytes, value);
	put_attribute(d, type, bytes, 4);
}

static void put_header(struct datagram *d, uint32_t id)
{
	uint8_t header[7] = {0, 0, 0, 0, 0x08, 0x00, 2};
	store_be32(header, id);
	put_attribute(d, NFQA_PACKET_HDR, header, sizeof(header));
}

/* A packet with nothing but its id and payload. */
static void put_packet(struct datagram *d, uint32_t id, const char *payload)
{
	begin_packet(d, 3);
	put_header(d, id);
	put_attribute(d, NFQA_PAYLOAD, payload, strlen(payload));
	end(d);
}

static struct cursor read_from(const struct datagram *d)
{
	return cursor_of(d->bytes, d->len);
}

static void test_packet_with_all_that_matters(void **state)
{
	(void)state;
	struct datagram d = {.len = 0};
	struct nfq_message m;
	begin_packet(&d, 0x1234);
	put_header(&d, 0xfffffffe);
	put_be32(&d, NFQA_MARK, 0xabcd);
	put_be32(&d, NFQA_IFINDEX_INDEV, 4);
	put_be32(&d, NFQA_IFINDEX_OUTDEV, 5);
	put_be32(&d, NFQA_SKB_INFO, NFQA_SKB_CSUMNOTREADY | NFQA_SKB_GSO);
	put_attribute(&d, NFQA_HWADDR, "\0\6\0\0abcdefgh", 12); /* nothing that we ask for */
	put_attribute(&d, NFQA_PAYLOAD, "hello", 5);
	end(&d);
	struct cursor c = read_from(&d);
	assert_int_equal(nfq_message_next(&c, &m), NFQ_MESSAGE_PACKET);
	assert_int_equal(m.queue, 0x1234);
	assert_int_equal(m.id, 0xfffffffe);
	assert_int_equal(m.mark, 0xabcd);
	assert_int_equal(m.in_ifindex, 4);
	assert_int_equal(m.out_ifindex, 5);
	assert_int_equal(m.skb_info, NFQA_SKB_CSUMNOTREADY | NFQA_SKB_GSO);
	assert_int_equal(m.payload.len, 5);
	assert_memory_equal(m.payload.data, "hello", 5);
	assert_int_equal(m.whole_len, 5);
	assert_int_equal(nfq_message_next(&c, &m), NFQ_MESSAGE_NONE);
}

/* What one message said is not said of the next. */
static void test_messages_of_one_datagram_stand_for_themselves(void **state)
{
	(void)state;
	struct datagram d = {.len = 0};
	struct nfq_message m;
	begin_packet(&d, 3);
	put_header(&d, 1);
	put_be32(&d, NFQA_MARK, 9);
	put_be32(&d, NFQA_IFINDEX_INDEV, 2);
	put_attribute(&d, NFQA_PAYLOAD, "odd", 3);
	end(&d);
	put_packet(&d, 2, "second");
	struct cursor c = read_from(&d);
	assert_int_equal(nfq_message_next(&c, &m), NFQ_MESSAGE_PACKET);
	assert_int_equal(m.id, 1);
	assert_int_equal(nfq_message_next(&c, &m), NFQ_MESSAGE_PACKET);
	assert_int_equal(m.id, 2);
	assert_int_equal(m.mark, 0);
	assert_int_equal(m.in_ifindex, 0);
	assert_int_equal(m.payload.len, 6);
	assert_int_equal(nfq_message_next(&c, &m), NFQ_MESSAGE_NONE);
}

static void test_cut_packet_tells_its_whole_length(void **state)
{
	(void)state;
	struct datagram d = {.len = 0};
	struct nfq_message m;
	begin_packet(&d, 3);
	put_header(&d, 1);
	put_be32(&d, NFQA_CAP_LEN, 65535);
	put_attribute(&d, NFQA_PAYLOAD, "abcd", 4);
	end(&d);
	struct cursor c = read_from(&d);
	assert_int_equal(nfq_message_next(&c, &m), NFQ_MESSAGE_PACKET);
	assert_int_equal(m.payload.len, 4);
	assert_int_equal(m.whole_len, 65535);
}

static void test_packet_without_payload_is_an_empty_one(void **state)
{
	(void)state;
	struct datagram d = {.len = 0};
	struct nfq_message m;
	begin_packet(&d, 3);
	put_header(&d, 1);
	end(&d);
	struct cursor c = read_from(&d);
	assert_int_equal(nfq_message_next(&c, &m), NFQ_MESSAGE_PACKET);
	assert_int_equal(m.payload.len, 0);
	assert_int_equal(m.whole_len, 0);
}

static void test_errors_and_others_are_told_apart(void **state)
{
	(void)state;
	struct datagram d = {.len = 0};
	struct nfq_message m;
	const int32_t refused = -EPERM, fine = 0, absurd = 5;
	const struct nlmsghdr request = {.nlmsg_len = sizeof(request)};
	const int32_t *const codes[] = {&refused, &fine, &absurd};
	for (unsigned i = 0; i < 3; i++) {
		begin(&d, NLMSG_ERROR);
		put(&d, codes[i], 4);
		put(&d, &request, sizeof(request));
		end(&d);
	}
	begin(&d, NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_CONFIG);
	end(&d);
	put_packet(&d, 5, "x");
	struct cursor c = read_from(&d);
	assert_int_equal(nfq_message_next(&c, &m), NFQ_MESSAGE_ERROR);
	assert_int_equal(m.error, -EPERM);
	assert_int_equal(m.sequence, 7);
	assert_int_equal(nfq_message_next(&c, &m), NFQ_MESSAGE_ERROR);
	assert_int_equal(m.error, 0);
	assert_int_equal(nfq_message_next(&c, &m), NFQ_MESSAGE_ERROR);
	assert_int_equal(m.error, -EPROTO);
	assert_int_equal(nfq_message_next(&c, &m), NFQ_MESSAGE_OTHER);
	assert_int_equal(nfq_message_next(&c, &m), NFQ_MESSAGE_PACKET);
	assert_int_equal(m.id, 5);
}

static void test_attribute_longer_than_its_message(void **state)
{
	(void)state;
	struct datagram d = {.len = 0};
	struct nfq_message m;
	begin_packet(&d, 3);
	put_header(&d, 1);
	put_attribute_as(&d, NFQA_PAYLOAD, 400, "abcd", 4);
	end(&d);
	put_packet(&d, 2, "the next one's bytes are not its own");
	struct cursor c = read_from(&d);
	assert_int_equal(nfq_message_next(&c, &m), NFQ_MESSAGE_BROKEN);
	/* the message's own length was right: the next one can be read */
	assert_int_equal(nfq_message_next(&c, &m), NFQ_MESSAGE_PACKET);
	assert_int_equal(m.id, 2);
}

static void test_attributes_too_short(void **state)
{
	(void)state;
	const uint16_t numbers[] = {NFQA_PACKET_HDR, NFQA_MARK, NFQA_IFINDEX_INDEV, NFQA_SKB_INFO, NFQA_CAP_LEN};
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct datagram d = {.len = 0};
		struct nfq_message m;
		begin_packet(&d, 3);
		put_header(&d, 1);
		put_attribute(&d, numbers[i], "abc", 3);
		end(&d);
		struct cursor c = read_from(&d);
		assert_int_equal(nfq_message_next(&c, &m), NFQ_MESSAGE_BROKEN);
	}
	/* shorter than the header of an attribute: a reader that goes on would stand still */
	struct datagram d = {.len = 0};
	struct nfq_message m;
	begin_packet(&d, 3);
	put_header(&d, 1);
	put_attribute_as(&d, NFQA_PAYLOAD, 0, "", 0);
	end(&d);
	struct cursor c = read_from(&d);
	assert_int_equal(nfq_message_next(&c, &m), NFQ_MESSAGE_BROKEN);
}

static void test_packet_without_id(void **state)
{
	(void)state;
	struct datagram d = {.len = 0};
	struct nfq_message m;
	begin_packet(&d, 3);
	put_attribute(&d, NFQA_PAYLOAD, "abcd", 4);
	end(&d);
	struct cursor c = read_from(&d);
	assert_int_equal(nfq_message_next(&c, &m), NFQ_MESSAGE_BROKEN);
}

/* Wherever a datagram ends, nothing behind its end is read, and no packet comes of half a message. */
static void test_datagram_cut_anywhere(void **state)
{
	(void)state;
	struct datagram d = {.len = 0};
	put_packet(&d, 1, "first packet");
	size_t first = d.len;
	put_packet(&d, 2, "second packet");
	for (size_t len = 0; len < d.len; len++) {
		struct cursor c = cursor_of(d.bytes, len);
		struct nfq_message m;
		unsigned packets = 0;
		enum nfq_message_kind kind;
		while ((kind = nfq_message_next(&c, &m)) == NFQ_MESSAGE_PACKET) {
			packets++;
			assert_true(m.payload.data + m.payload.len <= d.bytes + len);
		}
		if (packets != (len >= first))
			fail_msg("%zu bytes gave %u packets", len, packets);
		assert_int_equal(kind, len == 0 || len == first ? NFQ_MESSAGE_NONE : NFQ_MESSAGE_BROKEN);
	}
}

static void test_message_whose_length_is_none(void **state)
{
	(void)state;
	const uint32_t lengths[] = {0, 15, 0x7fffffff, 0xffffffff};
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct datagram d = {.len = 0};
		struct nfq_message m;
		put_packet(&d, 1, "abcd");
		memcpy(d.bytes, &lengths[i], 4);
		struct cursor c = read_from(&d);
		assert_int_equal(nfq_message_next(&c, &m), NFQ_MESSAGE_BROKEN);
		assert_int_equal(nfq_message_next(&c, &m), NFQ_MESSAGE_BROKEN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packet_with_all_that_matters),
		cmocka_unit_test(test_messages_of_one_datagram_stand_for_themselves),
		cmocka_unit_test(test_cut_packet_tells_its_whole_length),
		cmocka_unit_test(test_packet_without_payload_is_an_empty_one),
		cmocka_unit_test(test_errors_and_others_are_told_apart),
		cmocka_unit_test(test_attribute_longer_than_its_message),
		cmocka_unit_test(test_attributes_too_short),
		cmocka_unit_test(test_packet_without_id),
		cmocka_unit_test(test_datagram_cut_anywhere),
		cmocka_unit_test(test_message_whose_length_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
