/* SPDX-License-Identifier: BSD-3-Clause */
#include "matcher.h"

/* Numbers out of buffers: binary in either byte order, or digits. */

bool bytes_number(const uint8_t *data, unsigned count, bool little_endian, uint64_t *value)
{
	uint64_t v = 0;
	if (count == 0 || count > 8)
		return false;
	for (unsigned i = 0; i < count; i++)
		v = v << 8 | data[little_endian ? count - 1 - i : i];
	*value = v;
	return true;
}

static int digit_of(uint8_t c, unsigned radix)
{
	int d = c >= '0' && c <= '9'   ? c - '0'
		: c >= 'a' && c <= 'f' ? c - 'a' + 10
		: c >= 'A' && c <= 'F' ? c - 'A' + 10
				       : -1;
	return d >= 0 && (unsigned)d < radix ? d : -1;
}

bool digits_number(const uint8_t *data, unsigned count, enum byte_base base, uint64_t *value, unsigned *used)
{
	unsigned radix = base == BYTES_HEX ? 16 : base == BYTES_OCT ? 8 : 10, i = 0;
	uint64_t v = 0;
	bool any = false;
	while (i < count && (data[i] == ' ' || (data[i] >= '\t' && data[i] <= '\r')))
		i++;
	if (i < count && (data[i] == '+' || data[i] == '-'))
		i++;
	if (radix == 16 && i + 1 < count && data[i] == '0' && (data[i + 1] | 0x20) == 'x')
		i += 2;
	for (; i < count; i++) {
		int d = digit_of(data[i], radix);
		if (d < 0)
			break;
		if (__builtin_mul_overflow(v, (uint64_t)radix, &v) || __builtin_add_overflow(v, (uint64_t)d, &v))
			return false;
		any = true;
	}
	*value = v;
	*used = i;
	return any;
}
