/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two layers. Below, a buddy allocator of 4 KiB pages over one reserved mapping, with its lists in a side table so that
 * free pages are never touched. Above, size classes: a chunk of pages is cut into equal blocks; a chunk that becomes empty
 * goes back to the pages, so that what one class no longer needs any other can have. Blocks too large for a class are runs
 * of pages themselves.
 */
#include <dataplane/slab.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define SLAB_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLAB_ASAN 1
#endif
#endif
#ifndef SLAB_ASAN
#define SLAB_ASAN 0
#endif

#if SLAB_ASAN
#include <sanitizer/asan_interface.h>
#define poison(p, n)   ASAN_POISON_MEMORY_REGION(p, n)
#define unpoison(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
/* Bytes after each block that nobody may touch. */
#define RED_ZONE 16u
#else
#define poison(p, n)   ((void)(p), (void)(n))
#define unpoison(p, n) ((void)(p), (void)(n))
#define RED_ZONE       0u
#endif

#define PAGE_SHIFT 12
#define PAGE_BYTES (1u << PAGE_SHIFT)
/* Largest buddy: SLAB_BLOCK_MAX. */
#define ORDER_MAX 10
/* Up to here in steps of 16 bytes: flows, sessions and list nodes, where waste would add up. */
#define FINE_MAX   256u
#define FINE_STEPS (FINE_MAX / 16)
/* Up to here blocks are cut from chunks, four sizes a doubling; above, a run of pages wastes less than a chunk would. */
#define CLASS_MAX 8192u
#define CLASSES	  (FINE_STEPS + 5 * 4)
/* A slab smaller than this takes small chunks, so that each class can get one. */
#define SMALL_SLAB_BYTES (8u << 20)
#define NONE		 UINT32_MAX

/* Of a page that begins a free buddy or a chunk. */
struct page {
	uint32_t next, prev; /* in the free list of its order, or the list of its class */
	uint32_t free_block; /* offset in the chunk of the first block that was given back, or NONE */
	uint16_t carved;     /* blocks ever given from this chunk; those after are untouched */
	uint16_t live;
	uint8_t order;
	bool is_free; /* begins a free buddy */
	bool listed;  /* chunk: in its class's list, it has room */
};

struct size_class {
	uint32_t block_bytes;
	uint32_t chunk_blocks;
	uint32_t partial; /* chunks with room */
	uint8_t chunk_order;
};

struct slab {
	const char *name;
	uint8_t *base;
	struct page *pages;
	size_t map_bytes, limit_bytes, used_bytes;
	uint64_t refusals;
	uint32_t page_count;
	uint32_t page_high; /* pages below were used at some time */
	uint32_t free_head[ORDER_MAX + 1];
	struct size_class classes[CLASSES];
};

/* --- sizes --------------------------------------------------------------------------------------------------------- */

/* Rounds up to a quarter of the power of two below. */
static size_t quarter_up(size_t size)
{
	unsigned shift = 63 - (unsigned)__builtin_clzll(size - 1) - 2;
	size_t step = (size_t)1 << shift;
	return (size + step - 1) & ~(step - 1);
}

static unsigned class_of(size_t size)
{
	if (size <= FINE_MAX)
		return size ? (unsigned)((size - 1) >> 4) : 0;
	unsigned log2 = 63 - (unsigned)__builtin_clzll(size - 1);
	return FINE_STEPS + (log2 - 8) * 4 + (unsigned)((size - 1) >> (log2 - 2) & 3);
}

static size_t class_bytes(unsigned class)
{
	if (class < FINE_STEPS)
		return (class + 1) * (size_t)16;
	unsigned step = class - FINE_STEPS;
	return (size_t)(FINE_MAX / 4) * (5 + step % 4) << step / 4;
}

/* A large block in pages. */
static uint32_t run_pages(size_t size)
{
	size_t bytes = (quarter_up(size) + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1);
	return (uint32_t)(bytes >> PAGE_SHIFT);
}

/* What is taken for a block of `size`: with its red zone, where the largest size leaves room for one. */
static size_t padded(size_t size)
{
	return size + RED_ZONE > SLAB_BLOCK_MAX ? SLAB_BLOCK_MAX : size + RED_ZONE;
}

size_t slab_usable(size_t size)
{
	if (SLAB_ASAN)
		return size;
	if (size <= CLASS_MAX)
		return class_bytes(class_of(size));
	return size > SLAB_BLOCK_MAX ? size : (size_t)run_pages(size) << PAGE_SHIFT;
}

/* --- pages --------------------------------------------------------------------------------------------------------- */

static void list_push(struct slab *slab, uint32_t *head, uint32_t i)
{
	struct page *page = &slab->pages[i];
	page->prev = NONE;
	page->next = *head;
	if (*head != NONE)
		slab->pages[*head].prev = i;
	*head = i;
}

static void list_remove(struct slab *slab, uint32_t *head, uint32_t i)
{
	struct page *page = &slab->pages[i];
	if (page->prev != NONE)
		slab->pages[page->prev].next = page->next;
	else
		*head = page->next;
	if (page->next != NONE)
		slab->pages[page->next].prev = page->prev;
}

static void buddy_push(struct slab *slab, uint32_t i, unsigned order)
{
	slab->pages[i].order = (uint8_t)order;
	slab->pages[i].is_free = true;
	list_push(slab, &slab->free_head[order], i);
}

static void buddy_remove(struct slab *slab, uint32_t i)
{
	list_remove(slab, &slab->free_head[slab->pages[i].order], i);
	slab->pages[i].is_free = false;
}

static void buddy_give(struct slab *slab, uint32_t i, unsigned order)
{
	for (; order < ORDER_MAX; order++) {
		uint32_t other = i ^ 1u << order;
		if (other >= slab->page_count || !slab->pages[other].is_free || slab->pages[other].order != order)
			break;
		buddy_remove(slab, other);
		i &= ~(1u << order);
	}
	buddy_push(slab, i, order);
}

static uint32_t buddy_take(struct slab *slab, unsigned order)
{
	unsigned from = order;
	while (from <= ORDER_MAX && slab->free_head[from] == NONE)
		from++;
	if (from > ORDER_MAX)
		return NONE;
	uint32_t i = slab->free_head[from];
	buddy_remove(slab, i);
	while (from > order) {
		from--;
		buddy_push(slab, i + (1u << from), from);
	}
	if (i + (1u << order) > slab->page_high)
		slab->page_high = i + (1u << order);
	return i;
}

/* Gives any run of pages back, as the aligned buddies that it is made of. */
static void run_give(struct slab *slab, uint32_t i, uint32_t count)
{
	while (count > 0) {
		unsigned order = i ? (unsigned)__builtin_ctz(i) : ORDER_MAX;
		unsigned fits = 31 - (unsigned)__builtin_clz(count);
		order = order < fits ? order : fits;
		order = order < ORDER_MAX ? order : ORDER_MAX;
		buddy_give(slab, i, order);
		i += 1u << order;
		count -= 1u << order;
	}
}

/* --- chunks -------------------------------------------------------------------------------------------------------- */

/* Each class keeps one empty chunk against thrashing; when pages run out those are reclaimed. */
static bool chunks_reclaim(struct slab *slab)
{
	bool any = false;
	for (unsigned c = 0; c < CLASSES; c++) {
		struct size_class *class = &slab->classes[c];
		for (uint32_t i = class->partial, next; i != NONE; i = next) {
			next = slab->pages[i].next;
			if (slab->pages[i].live > 0)
				continue;
			list_remove(slab, &class->partial, i);
			slab->pages[i].listed = false;
			buddy_give(slab, i, class->chunk_order);
			any = true;
			break;
		}
	}
	return any;
}

static uint32_t pages_take(struct slab *slab, unsigned order)
{
	uint32_t i = buddy_take(slab, order);
	if (i == NONE && chunks_reclaim(slab))
		i = buddy_take(slab, order);
	return i;
}

static uint32_t chunk_new(struct slab *slab, struct size_class *class)
{
	uint32_t i = pages_take(slab, class->chunk_order);
	if (i == NONE)
		return NONE;
	struct page *page = &slab->pages[i];
	page->free_block = NONE;
	page->carved = 0;
	page->live = 0;
	page->listed = true;
	list_push(slab, &class->partial, i);
	poison(slab->base + ((size_t)i << PAGE_SHIFT), (size_t)PAGE_BYTES << class->chunk_order);
	return i;
}

static void *block_take(struct slab *slab, struct size_class *class)
{
	uint32_t i = class->partial;
	if (i == NONE) {
		i = chunk_new(slab, class);
		if (i == NONE)
			return NULL;
	}
	struct page *page = &slab->pages[i];
	uint8_t *chunk = slab->base + ((size_t)i << PAGE_SHIFT), *block;
	if (page->free_block != NONE) {
		block = chunk + page->free_block;
		unpoison(block, sizeof(uint32_t));
		memcpy(&page->free_block, block, sizeof(uint32_t));
	} else {
		block = chunk + (size_t)page->carved * class->block_bytes;
		page->carved++;
	}
	page->live++;
	if (page->live == class->chunk_blocks) {
		list_remove(slab, &class->partial, i);
		page->listed = false;
	}
	return block;
}

static void block_give(struct slab *slab, struct size_class *class, void *block)
{
	size_t offset = (size_t)((uint8_t *)block - slab->base);
	uint32_t i = (uint32_t)(offset >> PAGE_SHIFT) & ~((1u << class->chunk_order) - 1);
	struct page *page = &slab->pages[i];
	unpoison(block, sizeof(uint32_t));
	memcpy(block, &page->free_block, sizeof(uint32_t));
	poison(block, class->block_bytes);
	page->free_block = (uint32_t)(offset - ((size_t)i << PAGE_SHIFT));
	page->live--;
	if (!page->listed) {
		page->listed = true;
		list_push(slab, &class->partial, i);
	}
	/* alone in its list it is the chunk that the class keeps */
	if (page->live == 0 && (page->next != NONE || page->prev != NONE)) {
		list_remove(slab, &class->partial, i);
		page->listed = false;
		buddy_give(slab, i, class->chunk_order);
	}
}

/* --- large blocks ---------------------------------------------------------------------------------------------------- */

static void *run_take(struct slab *slab, size_t size)
{
	uint32_t count = run_pages(size);
	unsigned order = count > 1 ? 32 - (unsigned)__builtin_clz(count - 1) : 0;
	uint32_t i = pages_take(slab, order);
	if (i == NONE)
		return NULL;
	run_give(slab, i + count, (1u << order) - count);
	return slab->base + ((size_t)i << PAGE_SHIFT);
}

/* --- the slab -------------------------------------------------------------------------------------------------------- */

static void classes_init(struct slab *slab)
{
	bool small = slab->limit_bytes < SMALL_SLAB_BYTES;
	for (unsigned c = 0; c < CLASSES; c++) {
		struct size_class *class = &slab->classes[c];
		class->block_bytes = (uint32_t)class_bytes(c);
		/* at least four blocks a chunk; a large slab takes more at once, to come here less often */
		unsigned order = class->block_bytes <= 1024 ? 0 : class->block_bytes <= 4096 ? 2 : 3;
		class->chunk_order = (uint8_t)(small ? order : order + 2);
		class->chunk_blocks = (PAGE_BYTES << class->chunk_order) / class->block_bytes;
		class->partial = NONE;
	}
}

struct slab *slab_new(const char *name, size_t limit_bytes)
{
	size_t region = (limit_bytes + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1);
	if (region < limit_bytes || region == 0 || region >> PAGE_SHIFT >= NONE) {
		errno = EINVAL;
		return NULL;
	}
	struct slab *slab = calloc(1, sizeof(*slab));
	if (!slab)
		return NULL;
	slab->name = name;
	slab->limit_bytes = limit_bytes;
	slab->page_count = (uint32_t)(region >> PAGE_SHIFT);
	size_t table = (slab->page_count * sizeof(struct page) + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1);
	slab->map_bytes = table + region;
	void *map =
		mmap(NULL, slab->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED) {
		free(slab);
		return NULL;
	}
	slab->pages = map;
	slab->base = (uint8_t *)map + table;
	for (unsigned order = 0; order <= ORDER_MAX; order++)
		slab->free_head[order] = NONE;
	/* from the end, so that low addresses are used first and the untouched rest stays untouched */
	for (uint32_t whole = slab->page_count >> ORDER_MAX << ORDER_MAX, i = whole;; i -= 1u << ORDER_MAX) {
		if (i == whole)
			run_give(slab, whole, slab->page_count - whole);
		else
			buddy_push(slab, i, ORDER_MAX);
		if (i == 0)
			break;
	}
	classes_init(slab);
	return slab;
}

void slab_free_all(struct slab *slab)
{
	if (!slab)
		return;
	unpoison(slab->base, (size_t)slab->page_high << PAGE_SHIFT);
	munmap(slab->pages, slab->map_bytes);
	free(slab);
}

void *slab_alloc(struct slab *slab, size_t size)
{
	size_t want = padded(size);
	void *block = NULL;
	size_t bytes = 0;
	if (size > SLAB_BLOCK_MAX)
		goto refused;
	if (want <= CLASS_MAX) {
		struct size_class *class = &slab->classes[class_of(want)];
		block = block_take(slab, class);
		bytes = class->block_bytes;
	} else {
		block = run_take(slab, want);
		bytes = (size_t)run_pages(want) << PAGE_SHIFT;
	}
	if (!block)
		goto refused;
	slab->used_bytes += bytes;
	poison(block, bytes);
	unpoison(block, SLAB_ASAN ? size : bytes);
	return block;
refused:
	slab->refusals++;
	return NULL;
}

void *slab_zalloc(struct slab *slab, size_t size)
{
	void *block = slab_alloc(slab, size);
	return block ? memset(block, 0, size) : NULL;
}

void slab_free(struct slab *slab, void *block, size_t size)
{
	if (!block)
		return;
	size_t want = padded(size);
	if (want <= CLASS_MAX) {
		struct size_class *class = &slab->classes[class_of(want)];
		slab->used_bytes -= class->block_bytes;
		block_give(slab, class, block);
	} else {
		uint32_t count = run_pages(want);
		slab->used_bytes -= (size_t)count << PAGE_SHIFT;
		poison(block, (size_t)count << PAGE_SHIFT);
		run_give(slab, (uint32_t)((size_t)((uint8_t *)block - slab->base) >> PAGE_SHIFT), count);
	}
}

size_t slab_used_bytes(const struct slab *slab)
{
	return slab->used_bytes;
}

size_t slab_limit_bytes(const struct slab *slab)
{
	return slab->limit_bytes;
}

uint64_t slab_refusals(const struct slab *slab)
{
	return slab->refusals;
}

/* --- growable runs ------------------------------------------------------------------------------------------------- */

bool slab_buf_reserve(struct slab *slab, struct slab_buf *buf, size_t more)
{
	if (more <= buf->cap - buf->len)
		return true;
	if (more > SLAB_BLOCK_MAX - buf->len)
		return false;
	size_t need = buf->len + more, grown = (size_t)buf->cap * 2;
	size_t want = need > grown ? need : grown;
	if (want < 64)
		want = 64;
	if (want > SLAB_BLOCK_MAX)
		want = SLAB_BLOCK_MAX;
	size_t cap = slab_usable(want);
	uint8_t *data = slab_alloc(slab, cap);
	if (!data) {
		cap = slab_usable(need);
		data = slab_alloc(slab, cap);
		if (!data)
			return false;
	}
	if (buf->len)
		memcpy(data, buf->data, buf->len);
	slab_free(slab, buf->data, buf->cap);
	buf->data = data;
	buf->cap = (uint32_t)cap;
	return true;
}

bool slab_buf_append(struct slab *slab, struct slab_buf *buf, const void *data, size_t len)
{
	if (!slab_buf_reserve(slab, buf, len))
		return false;
	if (len)
		memcpy(buf->data + buf->len, data, len);
	buf->len += (uint32_t)len;
	return true;
}

void slab_buf_shift(struct slab_buf *buf, size_t n)
{
	if (n == 0)
		return;
	buf->len -= (uint32_t)n;
	memmove(buf->data, buf->data + n, buf->len);
}

void slab_buf_free(struct slab *slab, struct slab_buf *buf)
{
	slab_free(slab, buf->data, buf->cap);
	*buf = (struct slab_buf){0};
}
