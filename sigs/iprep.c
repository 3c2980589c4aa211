/* SPDX-License-Identifier: BSD-3-Clause */
#include "iprep.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <sys/random.h>
#include <xxhash.h>

#define CATEGORY_NAME_MAX 31
#define CATEGORY_ID_MAX	  60
/* Buckets of the address table: lists of reputation hold some 100,000 addresses. */
#define IPREP_BUCKETS (1u << 16)

struct prefix {
	struct prefix *next;
	uint8_t addr[16]; /* masked; IPv4 in the first four bytes */
	uint8_t family, bits, category;
	int8_t score;
};

/* An entry is found by its masked address, its length and category: a look-up tries each length in use. */
struct iprep {
	struct arena *arena;
	char names[CATEGORY_ID_MAX + 1][CATEGORY_NAME_MAX + 1];
	uint64_t seed;
	struct prefix **buckets;
	uint64_t lengths[2][3]; /* prefix lengths in use: IPv4, IPv6; a bit each */
};

struct iprep *iprep_new(struct arena *arena)
{
	struct iprep *r = arena_alloc(arena, sizeof(*r));
	if (!r)
		return NULL;
	r->arena = arena;
	r->buckets = arena_alloc(arena, IPREP_BUCKETS * sizeof(struct prefix *));
	if (!r->buckets || getrandom(&r->seed, sizeof(r->seed), 0) != sizeof(r->seed))
		return NULL;
	return r;
}

int iprep_add_category(struct iprep *r, const char *line, size_t len)
{
	char text[256], name[CATEGORY_NAME_MAX + 1];
	unsigned id = 0;
	if (len >= sizeof(text))
		return -EINVAL;
	memcpy(text, line, len);
	text[len] = 0;
	if (sscanf(text, "%u,%31[^,]", &id, name) != 2 || id < 1 || id > CATEGORY_ID_MAX)
		return -EINVAL;
	memcpy(r->names[id], name, sizeof(name));
	return 0;
}

int iprep_category(const struct iprep *r, const char *name)
{
	for (int i = 1; i <= CATEGORY_ID_MAX; i++) {
		if (strcmp(r->names[i], name) == 0)
			return i;
	}
	return -1;
}

static void mask(uint8_t addr[static 16], unsigned bits)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned keep = bits > i * 8 ? bits - i * 8 : 0;
		if (keep < 8)
			addr[i] &= (uint8_t)(0xff << (8 - keep));
	}
}

static struct prefix **bucket_of(const struct iprep *r, const struct prefix *key)
{
	uint8_t bytes[19];
	memcpy(bytes, key->addr, 16);
	bytes[16] = key->family;
	bytes[17] = key->bits;
	bytes[18] = key->category;
	return &r->buckets[XXH3_64bits_withSeed(bytes, sizeof(bytes), r->seed) & (IPREP_BUCKETS - 1)];
}

static struct prefix *find(const struct iprep *r, const struct prefix *key)
{
	for (struct prefix *p = *bucket_of(r, key); p; p = p->next) {
		if (p->family == key->family && p->bits == key->bits && p->category == key->category &&
		    memcmp(p->addr, key->addr, 16) == 0)
			return p;
	}
	return NULL;
}

static bool parse_prefix(const char *text, struct prefix *out)
{
	char addr[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	if (n >= sizeof(addr))
		return false;
	memcpy(addr, text, n);
	addr[n] = 0;
	if (inet_pton(AF_INET, addr, out->addr) == 1)
		out->family = 4;
	else if (inet_pton(AF_INET6, addr, out->addr) == 1)
		out->family = 6;
	else
		return false;
	unsigned long width = out->family == 4 ? 32 : 128, bits = width;
	if (slash) {
		char *end;
		bits = strtoul(slash + 1, &end, 10);
		if (end == slash + 1 || *end || bits > width)
			return false;
	}
	out->bits = (uint8_t)bits;
	mask(out->addr, out->bits);
	return true;
}

int iprep_add_address(struct iprep *r, const char *line, size_t len)
{
	char text[256], addr[64];
	unsigned category, score;
	struct prefix key = {0};
	if (len >= sizeof(text))
		return -EINVAL;
	memcpy(text, line, len);
	text[len] = 0;
	if (sscanf(text, "%63[^,],%u,%u", addr, &category, &score) != 3 || category < 1 || category > CATEGORY_ID_MAX ||
	    score > IPREP_SCORE_MAX || !parse_prefix(addr, &key))
		return -EINVAL;
	key.category = (uint8_t)category;
	struct prefix *p = find(r, &key);
	if (!p) {
		p = arena_alloc(r->arena, sizeof(*p));
		if (!p)
			return -ENOMEM;
		struct prefix **bucket = bucket_of(r, &key);
		*p = key;
		p->next = *bucket;
		*bucket = p;
		r->lengths[key.family == 6][key.bits >> 6] |= 1ull << (key.bits & 63);
	}
	p->score = (int8_t)score;
	return 0;
}

int iprep_score(const struct iprep *r, const union packet_addr *addr, uint8_t family, uint8_t category)
{
	if (family != 4 && family != 6)
		return -1;
	struct prefix key = {.family = family, .category = category};
	memcpy(key.addr, addr->bytes, 16);
	for (int bits = family == 4 ? 32 : 128; bits >= 0; bits--) {
		if (!(r->lengths[family == 6][bits >> 6] >> (bits & 63) & 1))
			continue;
		key.bits = (uint8_t)bits;
		mask(key.addr, key.bits);
		const struct prefix *p = find(r, &key);
		if (p)
			return p->score;
	}
	return -1;
}
