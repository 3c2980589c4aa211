/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <xxhash.h>

#include "triage.h"

/* A hash of all prefixes; one look-up for each length that is in use, the longest first. */
struct assets {
	struct asset *entries;
	size_t count, room;
	uint32_t *slots; /* entry + 1; 0: free; a power of two, at most half full */
	size_t slot_count;
	uint32_t of_length[129];
};

struct assets *assets_new(void)
{
	return calloc(1, sizeof(struct assets));
}

void assets_free(struct assets *assets)
{
	if (!assets)
		return;
	free(assets->entries);
	free(assets->slots);
	free(assets);
}

static struct prefix cut(const struct address *address, unsigned length)
{
	struct prefix prefix = {.address = *address, .length = (uint8_t)length};
	unsigned byte = length / 8;
	if (byte < 16) {
		prefix.address.byte[byte] &= (uint8_t)(0xff00 >> (length % 8));
		memset(prefix.address.byte + byte + 1, 0, 15 - byte);
	}
	return prefix;
}

/* The slot of a prefix, or the free one where it would stand. */
static size_t slot_of(const struct assets *assets, const struct prefix *prefix)
{
	size_t mask = assets->slot_count - 1;
	size_t at = XXH3_64bits(prefix, sizeof(*prefix)) & mask;
	while (assets->slots[at] && memcmp(&assets->entries[assets->slots[at] - 1].prefix, prefix, sizeof(*prefix)))
		at = (at + 1) & mask;
	return at;
}

static int grow(struct assets *assets)
{
	if (assets->count == assets->room) {
		size_t room = assets->room ? assets->room * 2 : 16;
		struct asset *entries = reallocarray(assets->entries, room, sizeof(*entries));
		if (!entries)
			return -ENOMEM;
		assets->entries = entries;
		assets->room = room;
	}
	if ((assets->count + 1) * 2 <= assets->slot_count)
		return 0;
	size_t slot_count = assets->slot_count ? assets->slot_count * 2 : 64;
	uint32_t *slots = calloc(slot_count, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	free(assets->slots);
	assets->slots = slots;
	assets->slot_count = slot_count;
	for (size_t i = 0; i < assets->count; i++)
		slots[slot_of(assets, &assets->entries[i].prefix)] = (uint32_t)i + 1;
	return 0;
}

int assets_add(struct assets *assets, const struct asset *asset)
{
	unsigned length = asset->prefix.length > 128 ? 128 : asset->prefix.length;
	struct prefix prefix = cut(&asset->prefix.address, length);
	if (grow(assets) != 0)
		return -ENOMEM;
	size_t slot = slot_of(assets, &prefix);
	if (!assets->slots[slot]) {
		assets->slots[slot] = (uint32_t)++assets->count;
		assets->of_length[length]++;
	}
	struct asset *entry = &assets->entries[assets->slots[slot] - 1];
	*entry = *asset;
	entry->prefix = prefix;
	return 0;
}

const struct asset *assets_find(const struct assets *assets, const struct address *address)
{
	if (!assets || assets->count == 0)
		return NULL;
	for (int length = 128; length >= 0; length--) {
		if (!assets->of_length[length])
			continue;
		struct prefix prefix = cut(address, (unsigned)length);
		size_t slot = slot_of(assets, &prefix);
		if (assets->slots[slot])
			return &assets->entries[assets->slots[slot] - 1];
	}
	return NULL;
}

bool assets_inside(const struct assets *assets, const struct address *address)
{
	const struct asset *asset = assets_find(assets, address);
	if (asset)
		return strcasecmp(asset->role, ASSET_ROLE_OUTSIDE) != 0;
	return address_private(address);
}
