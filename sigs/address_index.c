/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "ruleset.h"

/*
 * From an address to the signatures that name it. Lists of bad hosts hold thousands of addresses in hundreds of
 * signatures; testing one signature after another would cost each flow all of them.
 */

/* A set of at most this many IPv4 addresses is narrow: wider ones would stand in too many ranges. */
#define NARROW_ADDRESSES (1u << 22)

bool address_set_is_narrow(const struct address_set *set)
{
	if (set == NULL || set->any)
		return false;
	uint64_t covered = 0;
	for (uint32_t i = 0; i < set->v4_count; i++)
		covered += (uint64_t)set->v4[i].last - set->v4[i].first + 1;
	for (uint32_t i = 0; i < set->v6_count; i++)
		if (memcmp(set->v6[i].first, set->v6[i].last, 3) != 0)
			return false;
	return covered <= NARROW_ADDRESSES;
}

/* One end of a range; addresses of both families in 16 bytes, as numbers compare. */
struct boundary {
	uint8_t at[16];
	uint32_t sig;
	bool open; /* the range begins here; else it ended just before */
};

static int boundary_compare(const void *a, const void *b)
{
	const struct boundary *x = a, *y = b;
	return memcmp(x->at, y->at, 16);
}

static void v4_bytes(uint32_t addr, uint8_t out[static 16])
{
	memset(out, 0, 16);
	store_be32(out + 12, addr);
}

static bool increment(uint8_t at[static 16], unsigned from)
{
	for (unsigned i = 16; i > from; i--)
		if (++at[i - 1] != 0)
			return true;
	return false;
}

static void decrement(uint8_t at[static 16])
{
	for (unsigned i = 16; i > 0; i--)
		if (at[i - 1]-- != 0)
			return;
}

static uint32_t add_range(struct boundary *out, uint32_t n, const uint8_t *first, const uint8_t *last, uint32_t sig,
			  unsigned from)
{
	out[n] = (struct boundary){.sig = sig, .open = true};
	memcpy(out[n++].at, first, 16);
	out[n] = (struct boundary){.sig = sig, .open = false};
	memcpy(out[n].at, last, 16);
	if (increment(out[n].at, from))
		n++;
	/* else it lasts to the end of the space: nothing closes it */
	return n;
}

static uint32_t collect(struct boundary *out, const struct index_entry *entries, uint32_t count, uint8_t family)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < count; i++) {
		const struct address_set *set = entries[i].set;
		if (family == 4) {
			for (uint32_t k = 0; k < set->v4_count; k++) {
				uint8_t first[16], last[16];
				v4_bytes(set->v4[k].first, first);
				v4_bytes(set->v4[k].last, last);
				n = add_range(out, n, first, last, entries[i].sig, 12);
			}
		} else {
			for (uint32_t k = 0; k < set->v6_count; k++)
				n = add_range(out, n, set->v6[k].first, set->v6[k].last, entries[i].sig, 0);
		}
	}
	qsort(out, n, sizeof(*out), boundary_compare);
	return n;
}

struct sweep {
	uint32_t *active; /* signatures whose range is open, with how often */
	uint32_t active_count;
	uint32_t *nums;
	uint32_t num_count, num_cap;
};

static void sweep_apply(struct sweep *sweep, const struct boundary *boundary)
{
	if (boundary->open) {
		sweep->active[sweep->active_count++] = boundary->sig;
		return;
	}
	for (uint32_t i = 0; i < sweep->active_count; i++) {
		if (sweep->active[i] == boundary->sig) {
			sweep->active[i] = sweep->active[--sweep->active_count];
			return;
		}
	}
}

static int num_compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

/* Appends the open signatures, each once, sorted; how many. -1 when memory is out. */
static int64_t sweep_emit(struct sweep *sweep)
{
	if (sweep->num_cap - sweep->num_count < sweep->active_count) {
		uint32_t cap = sweep->num_cap * 2 + sweep->active_count + 1024;
		uint32_t *nums = realloc(sweep->nums, cap * sizeof(*nums));
		if (nums == NULL)
			return -1;
		sweep->nums = nums;
		sweep->num_cap = cap;
	}
	uint32_t *out = sweep->nums + sweep->num_count, n = 0;
	memcpy(out, sweep->active, sweep->active_count * sizeof(*out));
	qsort(out, sweep->active_count, sizeof(*out), num_compare);
	for (uint32_t i = 0; i < sweep->active_count; i++)
		if (n == 0 || out[n - 1] != out[i])
			out[n++] = out[i];
	sweep->num_count += n;
	return n;
}

static void set_range(struct address_index *index, uint8_t family, const uint8_t *first, const uint8_t *last,
		      uint32_t from, uint32_t count)
{
	if (family == 4) {
		index->v4[index->v4_count++] = (struct index_range4){
			.first = load_be32(first + 12), .last = load_be32(last + 12), .from = from, .count = count};
		return;
	}
	struct index_range6 *range = &index->v6[index->v6_count++];
	memcpy(range->first, first, 16);
	memcpy(range->last, last, 16);
	range->from = from;
	range->count = count;
}

static int sweep_family(struct address_index *index, struct sweep *sweep, const struct boundary *bounds, uint32_t n,
			uint8_t family)
{
	sweep->active_count = 0;
	for (uint32_t i = 0; i < n;) {
		uint32_t next = i;
		while (next < n && memcmp(bounds[next].at, bounds[i].at, 16) == 0)
			sweep_apply(sweep, &bounds[next++]);
		if (sweep->active_count > 0) {
			uint8_t last[16];
			if (next < n) {
				memcpy(last, bounds[next].at, 16);
				decrement(last);
			} else {
				memset(last, 0xff, 16);
			}
			uint32_t from = sweep->num_count;
			int64_t count = sweep_emit(sweep);
			if (count < 0)
				return -ENOMEM;
			set_range(index, family, bounds[i].at, last, from, (uint32_t)count);
		}
		i = next;
	}
	return 0;
}

int address_index_build(struct address_index *index, struct arena *arena, const struct index_entry *entries,
			uint32_t count)
{
	uint32_t v4 = 0, v6 = 0;
	for (uint32_t i = 0; i < count; i++) {
		v4 += entries[i].set->v4_count;
		v6 += entries[i].set->v6_count;
	}
	uint32_t most = v4 > v6 ? v4 : v6;
	if (most == 0)
		return 0;
	struct boundary *bounds = calloc(2 * (size_t)most, sizeof(*bounds));
	struct sweep sweep = {.active = calloc(most + 1, sizeof(*sweep.active))};
	int error = -ENOMEM;
	index->v4 = arena_alloc(arena, (2 * (size_t)v4 + 1) * sizeof(*index->v4));
	index->v6 = arena_alloc(arena, (2 * (size_t)v6 + 1) * sizeof(*index->v6));
	if (bounds == NULL || sweep.active == NULL || index->v4 == NULL || index->v6 == NULL)
		goto out;
	error = sweep_family(index, &sweep, bounds, collect(bounds, entries, count, 4), 4);
	if (!error)
		error = sweep_family(index, &sweep, bounds, collect(bounds, entries, count, 6), 6);
	if (error)
		goto out;
	index->nums = arena_alloc(arena, (sweep.num_count + 1) * sizeof(*index->nums));
	if (index->nums == NULL) {
		error = -ENOMEM;
		goto out;
	}
	memcpy(index->nums, sweep.nums, sweep.num_count * sizeof(*index->nums));
	index->num_count = sweep.num_count;
out:
	free(bounds);
	free(sweep.active);
	free(sweep.nums);
	return error;
}

static const uint32_t *find4(const struct address_index *index, uint32_t addr, uint32_t *count)
{
	uint32_t low = 0, high = index->v4_count;
	while (low < high) {
		uint32_t mid = (low + high) / 2;
		if (index->v4[mid].last < addr)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == index->v4_count || index->v4[low].first > addr)
		return NULL;
	*count = index->v4[low].count;
	return index->nums + index->v4[low].from;
}

static const uint32_t *find6(const struct address_index *index, const uint8_t *addr, uint32_t *count)
{
	uint32_t low = 0, high = index->v6_count;
	while (low < high) {
		uint32_t mid = (low + high) / 2;
		if (memcmp(index->v6[mid].last, addr, 16) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == index->v6_count || memcmp(index->v6[low].first, addr, 16) > 0)
		return NULL;
	*count = index->v6[low].count;
	return index->nums + index->v6[low].from;
}

const uint32_t *address_index_find(const struct address_index *index, const union packet_addr *addr, uint8_t family,
				   uint32_t *count)
{
	*count = 0;
	if (family == 4)
		return find4(index, load_be32(addr->bytes), count);
	return family == 6 ? find6(index, addr->bytes, count) : NULL;
}
