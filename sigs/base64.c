/* SPDX-License-Identifier: BSD-3-Clause */
#include "base64.h"

static int base64_digit(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

size_t base64_decode_bytes(const uint8_t *in, size_t len, uint8_t *out, size_t cap, enum base64_mode mode)
{
	size_t n = 0;
	uint32_t group = 0;
	unsigned digits = 0, padding = 0;
	for (size_t i = 0; i < len; i++) {
		if (in[i] == '=') {
			padding++;
			if (mode != BASE64_STRICT)
				break;
			continue;
		}
		int digit = base64_digit(in[i]);
		if (digit < 0 || padding) {
			if (mode == BASE64_STRICT)
				return 0;
			if (mode == BASE64_RFC4648)
				break;
			continue;
		}
		group = group << 6 | (uint32_t)digit;
		if (++digits < 4)
			continue;
		for (int shift = 16; shift >= 0; shift -= 8) {
			if (n == cap)
				return n;
			out[n++] = (uint8_t)(group >> shift);
		}
		group = digits = 0;
	}
	if (mode == BASE64_STRICT && (digits + padding) % 4 != 0)
		return 0;
	/* 2 digits hold one byte, 3 hold two; one alone holds none */
	if (digits >= 2 && n < cap)
		out[n++] = (uint8_t)(group >> (digits == 2 ? 4 : 10));
	if (digits == 3 && n < cap)
		out[n++] = (uint8_t)(group >> 2);
	return n;
}
