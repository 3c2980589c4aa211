/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The frame that the inline benchmark sends: one UDP datagram, with a source port of its own for each flow. */

#include <stdint.h>
#include <string.h>

#define FRAME_PORT_FIRST 1024

static inline uint16_t frame_ip_checksum(const uint8_t *head)
{
	uint32_t sum = 0;
	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)head[i] << 8 | head[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Fills len bytes (60 or more, the frame without its checksum). UDP has none either: port and payload may change on the way. */
static inline void frame_make(uint8_t *f, uint32_t len, uint32_t flow)
{
	uint32_t total = len - 14, udp = total - 20, port = FRAME_PORT_FIRST + flow;
	const uint8_t head[42] = {
		2,
		0,
		0,
		0,
		0,
		2,
		2,
		0,
		0,
		0,
		0,
		1,
		0x08,
		0x00,
		0x45,
		0,
		(uint8_t)(total >> 8),
		(uint8_t)total,
		0,
		0,
		0x40,
		0,
		64,
		17,
		0,
		0,
		198,
		18,
		0,
		1,
		198,
		19,
		0,
		1,
		(uint8_t)(port >> 8),
		(uint8_t)port,
		0x27,
		0x0f,
		(uint8_t)(udp >> 8),
		(uint8_t)udp,
		0,
		0,
	};
	for (uint32_t i = 0; i < len; i++)
		f[i] = (uint8_t)(i * 7 + flow);
	memcpy(f, head, sizeof(head));
	uint16_t sum = frame_ip_checksum(f + 14);
	f[24] = (uint8_t)(sum >> 8);
	f[25] = (uint8_t)sum;
}
