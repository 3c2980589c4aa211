/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dataplane/slab.h>

static uint64_t seed;

static uint32_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32);
}

static void usable_covers_size_and_is_stable(void **state)
{
	(void)state;
	for (size_t size = 1; size <= SLAB_BLOCK_MAX; size = size < 20000 ? size + 1 : size + 4093) {
		size_t usable = slab_usable(size);
		assert_true(usable >= size);
		assert_true(usable <= SLAB_BLOCK_MAX);
		assert_int_equal(slab_usable(usable), usable);
		/* a quarter of waste, and sixteen bytes or a page of rounding */
		assert_true(usable - size <= size / 4 + (size <= 8192 ? 16 : 4096));
	}
}

static void blocks_are_aligned_and_apart(void **state)
{
	(void)state;
	enum { N = 3000 };
	struct slab *slab = slab_new("test", 64u << 20);
	assert_non_null(slab);
	static uint8_t *block[N];
	static uint32_t size[N];
	memset(block, 0, sizeof(block));
	seed = 0x1234567;
	for (int round = 0; round < 60000; round++) {
		unsigned i = next_random() % N;
		if (block[i]) {
			for (uint32_t k = 0; k < size[i]; k += 1 + size[i] / 7)
				assert_int_equal(block[i][k], (uint8_t)i);
			assert_int_equal(block[i][size[i] - 1], (uint8_t)i);
			slab_free(slab, block[i], size[i]);
			block[i] = NULL;
			continue;
		}
		uint32_t r = next_random();
		size[i] = 1 + (r % 50 == 0 ? next_random() % 300000 : r % 4 == 0 ? next_random() % 9000 : r % 400);
		block[i] = slab_alloc(slab, size[i]);
		if (!block[i])
			continue;
		assert_int_equal((uintptr_t)block[i] & 15, 0);
		memset(block[i], (int)i, size[i]);
	}
	for (unsigned i = 0; i < N; i++)
		slab_free(slab, block[i], size[i]);
	assert_int_equal(slab_used_bytes(slab), 0);
	slab_free_all(slab);
}

static void limit_is_held_and_counted(void **state)
{
	(void)state;
	struct slab *slab = slab_new("test", 1u << 20);
	assert_int_equal(slab_limit_bytes(slab), 1u << 20);
	size_t given = 0;
	while (slab_alloc(slab, 1000))
		given += 1000;
	assert_true(given <= 1u << 20);
	assert_true(given >= (1u << 20) * 9 / 10);
	assert_int_equal(slab_refusals(slab), 1);
	assert_true(slab_used_bytes(slab) <= slab_limit_bytes(slab));
	assert_null(slab_alloc(slab, 16384));
	assert_int_equal(slab_refusals(slab), 2);
	assert_null(slab_alloc(slab, SLAB_BLOCK_MAX + 1));
	slab_free_all(slab);
}

static void memory_of_one_class_serves_another(void **state)
{
	(void)state;
	enum { N = 16384 };
	struct slab *slab = slab_new("test", 16u << 20);
	static void *block[N];
	static const size_t sizes[] = {40, 4u << 20, 900, 7000, 100000, 16, 1u << 20};
	for (unsigned round = 0; round < 14; round++) {
		size_t size = sizes[round % 7], given = 0;
		unsigned n = 0;
		while (n < N && (block[n] = slab_alloc(slab, size)))
			n++, given += size;
		if (n < N)
			assert_true(given >= (8u << 20));
		for (unsigned i = 0; i < n; i++)
			slab_free(slab, block[n % 2 ? i : n - 1 - i], size);
		assert_int_equal(slab_used_bytes(slab), 0);
	}
	/* all is whole again */
	for (int i = 0; i < 4; i++)
		assert_non_null(slab_alloc(slab, 4u << 20));
	assert_null(slab_alloc(slab, 4u << 20));
	slab_free_all(slab);
}

static void small_slab_serves_many_sizes(void **state)
{
	(void)state;
	struct slab *slab = slab_new("test", 64u << 10);
	for (size_t size = 16; size <= 256; size += 16)
		assert_non_null(slab_alloc(slab, size - 15));
	slab_free_all(slab);
}

static void zalloc_clears_reused_memory(void **state)
{
	(void)state;
	struct slab *slab = slab_new("test", 1u << 20);
	uint8_t *p = slab_alloc(slab, 100);
	memset(p, 0xff, 100);
	slab_free(slab, p, 100);
	p = slab_zalloc(slab, 100);
	for (int i = 0; i < 100; i++)
		assert_int_equal(p[i], 0);
	slab_free_all(slab);
}

static void refuses_no_limit(void **state)
{
	(void)state;
	assert_null(slab_new("test", 0));
	slab_free_all(NULL);
}

static void buffer_grows_shifts_and_keeps_bytes(void **state)
{
	(void)state;
	struct slab *slab = slab_new("test", 16u << 20);
	struct slab_buf buf = {0};
	static uint8_t expect[300000];
	size_t len = 0, total = 0;
	seed = 99;
	while (total < 2000000) {
		uint8_t piece[3000];
		size_t n = next_random() % sizeof(piece);
		for (size_t i = 0; i < n; i++)
			piece[i] = (uint8_t)(total + i);
		if (len + n > sizeof(expect)) {
			size_t cut = next_random() % len + 1;
			slab_buf_shift(&buf, cut);
			memmove(expect, expect + cut, len - cut);
			len -= cut;
			continue;
		}
		assert_true(slab_buf_append(slab, &buf, piece, n));
		memcpy(expect + len, piece, n);
		len += n;
		total += n;
		assert_int_equal(buf.len, len);
	}
	assert_memory_equal(buf.data, expect, len);
	slab_buf_free(slab, &buf);
	assert_int_equal(slab_used_bytes(slab), 0);
	slab_free_all(slab);
}

static void buffer_refuses_beyond_the_largest_block(void **state)
{
	(void)state;
	struct slab *slab = slab_new("test", 32u << 20);
	struct slab_buf buf = {0};
	assert_true(slab_buf_reserve(slab, &buf, SLAB_BLOCK_MAX));
	static uint8_t piece[1u << 20];
	for (int i = 0; i < 4; i++)
		assert_true(slab_buf_append(slab, &buf, piece, sizeof(piece)));
	assert_false(slab_buf_append(slab, &buf, piece, 1));
	assert_int_equal(buf.len, SLAB_BLOCK_MAX);
	assert_false(slab_buf_reserve(slab, &buf, SIZE_MAX));
	slab_buf_free(slab, &buf);
	slab_free_all(slab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usable_covers_size_and_is_stable),
		cmocka_unit_test(blocks_are_aligned_and_apart),
		cmocka_unit_test(limit_is_held_and_counted),
		cmocka_unit_test(memory_of_one_class_serves_another),
		cmocka_unit_test(small_slab_serves_many_sizes),
		cmocka_unit_test(zalloc_clears_reused_memory),
		cmocka_unit_test(refuses_no_limit),
		cmocka_unit_test(buffer_grows_shifts_and_keeps_bytes),
		cmocka_unit_test(buffer_refuses_beyond_the_largest_block),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
