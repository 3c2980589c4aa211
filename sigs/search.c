/* SPDX-License-Identifier: BSD-3-Clause */
#include "matcher.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Search for one pattern: first and last byte are compared sixteen places at a time, the rest only where both hold. */

static inline uint8_t fold(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static bool equal_fold(const uint8_t *a, const uint8_t *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (fold(a[i]) != fold(b[i]))
			return false;
	return true;
}

static inline bool equal_at(const uint8_t *at, struct bytes pattern, bool nocase)
{
	return nocase ? equal_fold(at, pattern.data, pattern.len) : memcmp(at, pattern.data, pattern.len) == 0;
}

static inline uint8_t upper(uint8_t c)
{
	return c >= 'a' && c <= 'z' ? (uint8_t)(c & ~0x20) : c;
}

static const uint8_t *find_slow(const uint8_t *data, size_t places, struct bytes pattern, bool nocase)
{
	for (size_t i = 0; i < places; i++)
		if (equal_at(data + i, pattern, nocase))
			return data + i;
	return NULL;
}

const uint8_t *content_find(const uint8_t *data, size_t len, struct bytes pattern, bool nocase)
{
	if (pattern.len > len || pattern.len == 0)
		return pattern.len == 0 && len > 0 ? data : NULL;
	size_t places = len - pattern.len + 1, i = 0;
#if defined(__SSE2__)
	size_t last = pattern.len - 1;
	uint8_t a = nocase ? fold(pattern.data[0]) : pattern.data[0];
	uint8_t z = nocase ? fold(pattern.data[last]) : pattern.data[last];
	const __m128i a1 = _mm_set1_epi8((char)a), a2 = _mm_set1_epi8((char)(nocase ? upper(a) : a));
	const __m128i z1 = _mm_set1_epi8((char)z), z2 = _mm_set1_epi8((char)(nocase ? upper(z) : z));
	for (; i + 16 <= places; i += 16) {
		__m128i head = _mm_loadu_si128((const __m128i *)(data + i));
		__m128i tail = _mm_loadu_si128((const __m128i *)(data + i + last));
		__m128i heads = _mm_or_si128(_mm_cmpeq_epi8(head, a1), _mm_cmpeq_epi8(head, a2));
		__m128i tails = _mm_or_si128(_mm_cmpeq_epi8(tail, z1), _mm_cmpeq_epi8(tail, z2));
		unsigned hits = (unsigned)_mm_movemask_epi8(_mm_and_si128(heads, tails));
		for (; hits; hits &= hits - 1) {
			const uint8_t *at = data + i + (unsigned)__builtin_ctz(hits);
			if (equal_at(at, pattern, nocase))
				return at;
		}
	}
#endif
	return find_slow(data + i, places - i, pattern, nocase);
}
