/* SPDX-License-Identifier: BSD-3-Clause */
#include "blocklist.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* At most half full. */
#define SLOTS (BLOCKLIST_MAX * 2)
_Static_assert((SLOTS & (SLOTS - 1)) == 0, "slots wrap by masking");

struct slot {
	union packet_addr addr;
	uint8_t family, len; /* family 0: free */
};

/* What workers look at. */
struct in_force {
	unsigned count;
	uint64_t lengths[2][3]; /* of prefixes that there are, by family: bit n for length n */
	struct slot slots[SLOTS];
};

struct blocklist {
	struct block blocks[BLOCKLIST_MAX];
	unsigned count;
	uint64_t seed;
	_Atomic unsigned active;
	struct in_force tables[2];
};

struct blocklist *blocklist_new(void)
{
	struct blocklist *list = calloc(1, sizeof(*list));
	if (list && getrandom(&list->seed, sizeof(list->seed), 0) != sizeof(list->seed)) {
		free(list);
		return NULL;
	}
	return list;
}

void blocklist_free(struct blocklist *list)
{
	free(list);
}

/* --- prefixes ---------------------------------------------------------------------------------------------------------------- */

static unsigned bits_of(uint8_t family)
{
	return family == 4 ? 32 : 128;
}

/* The address with all bits after the prefix zero. */
static union packet_addr masked(const union packet_addr *addr, uint8_t family, unsigned len)
{
	union packet_addr out = {{0}};
	unsigned bytes = len / 8, bits = len % 8;
	memcpy(out.bytes, addr->bytes, bytes);
	if (bits && bytes < bits_of(family) / 8)
		out.bytes[bytes] = (uint8_t)(addr->bytes[bytes] & (0xff << (8 - bits)));
	return out;
}

bool block_parse(const char *text, struct block *block)
{
	char host[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	union packet_addr addr = {{0}};
	if (n >= sizeof(host))
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	uint8_t family = inet_pton(AF_INET, host, addr.bytes) == 1    ? 4
			 : inet_pton(AF_INET6, host, addr.bytes) == 1 ? 6
								      : 0;
	unsigned long len = bits_of(family);
	char *end;
	if (family == 0)
		return false;
	if (slash) {
		if (slash[1] < '0' || slash[1] > '9')
			return false;
		len = strtoul(slash + 1, &end, 10);
		if (*end || len > bits_of(family))
			return false;
	}
	*block = (struct block){.addr = masked(&addr, family, (unsigned)len), .family = family, .len = (uint8_t)len};
	return true;
}

void block_text(const struct block *block, char text[static BLOCK_TEXT_MAX])
{
	char host[INET6_ADDRSTRLEN] = "";
	inet_ntop(block->family == 4 ? AF_INET : AF_INET6, block->addr.bytes, host, sizeof(host));
	if (block->len == bits_of(block->family))
		snprintf(text, BLOCK_TEXT_MAX, "%s", host);
	else
		snprintf(text, BLOCK_TEXT_MAX, "%s/%u", host, block->len);
}

/* --- the list ------------------------------------------------------------------------------------------------------------------ */

static int find(const struct blocklist *list, const struct block *block)
{
	for (unsigned i = 0; i < list->count; i++)
		if (list->blocks[i].family == block->family && list->blocks[i].len == block->len &&
		    memcmp(&list->blocks[i].addr, &block->addr, sizeof(block->addr)) == 0)
			return (int)i;
	return -1;
}

int blocklist_add(struct blocklist *list, const struct block *block)
{
	int at = find(list, block);
	if (at < 0 && list->count == BLOCKLIST_MAX)
		return -ENOSPC;
	list->blocks[at < 0 ? list->count++ : (unsigned)at] = *block;
	return 0;
}

bool blocklist_remove(struct blocklist *list, const struct block *block)
{
	int at = find(list, block);
	if (at < 0)
		return false;
	list->blocks[at] = list->blocks[--list->count];
	return true;
}

bool blocklist_expire(struct blocklist *list, uint64_t now_s)
{
	bool any = false;
	for (unsigned i = 0; i < list->count;) {
		if (list->blocks[i].until_s == 0 || list->blocks[i].until_s > now_s) {
			i++;
			continue;
		}
		list->blocks[i] = list->blocks[--list->count];
		any = true;
	}
	return any;
}

const struct block *blocklist_entries(const struct blocklist *list, unsigned *count)
{
	*count = list->count;
	return list->blocks;
}

/* --- what is in force ------------------------------------------------------------------------------------------------------------- */

static uint32_t slot_of(const struct blocklist *list, const union packet_addr *addr, unsigned len)
{
	uint64_t h = (addr->u64[0] ^ list->seed) * 0x9e3779b97f4a7c15ull;
	h = (h ^ h >> 29 ^ addr->u64[1]) * 0xbf58476d1ce4e5b9ull + len;
	h = (h ^ h >> 32) * 0x94d049bb133111ebull;
	return (uint32_t)(h >> 32) & (SLOTS - 1);
}

void blocklist_publish(struct blocklist *list)
{
	unsigned next = 1 - atomic_load_explicit(&list->active, memory_order_relaxed);
	struct in_force *table = &list->tables[next];
	memset(table, 0, sizeof(*table));
	for (unsigned i = 0; i < list->count; i++) {
		const struct block *block = &list->blocks[i];
		uint32_t at = slot_of(list, &block->addr, block->len);
		while (table->slots[at].family)
			at = (at + 1) & (SLOTS - 1);
		table->slots[at] = (struct slot){.addr = block->addr, .family = block->family, .len = block->len};
		table->lengths[block->family == 6][block->len / 64] |= 1ull << block->len % 64;
		table->count++;
	}
	atomic_store_explicit(&list->active, next, memory_order_release);
}

static const struct in_force *in_force(const struct blocklist *list)
{
	return &list->tables[atomic_load_explicit(&list->active, memory_order_acquire)];
}

bool blocklist_any(const struct blocklist *list)
{
	return in_force(list)->count > 0;
}

bool blocklist_has(const struct blocklist *list, const union packet_addr *addr, uint8_t family)
{
	const struct in_force *table = in_force(list);
	for (unsigned word = 0; table->count && word < 3; word++) {
		for (uint64_t bits = table->lengths[family == 6][word]; bits; bits &= bits - 1) {
			unsigned len = word * 64 + (unsigned)__builtin_ctzll(bits);
			const union packet_addr prefix = masked(addr, family, len);
			for (uint32_t at = slot_of(list, &prefix, len); table->slots[at].family;
			     at = (at + 1) & (SLOTS - 1))
				if (table->slots[at].family == family && table->slots[at].len == len &&
				    memcmp(&table->slots[at].addr, &prefix, sizeof(prefix)) == 0)
					return true;
		}
	}
	return false;
}
