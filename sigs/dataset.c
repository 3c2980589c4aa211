/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataset.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <sys/random.h>
#include <xxhash.h>

#include "base64.h"

/* Longest entry of a string set. */
#define DATASET_VALUE_MAX 4096

struct entry {
	struct entry *next;
	uint64_t hash;
	uint16_t reputation;
	uint16_t len;
	uint8_t value[];
};

struct dataset_table {
	pthread_mutex_t lock; /* `set` rules are rare next to look-ups, and no packet waits long for one */
	uint64_t seed;
	struct entry **buckets;
	size_t bucket_count; /* a power of two */
	size_t count;
	size_t used_bytes, limit_bytes;
};

static void table_free(void *data)
{
	struct dataset_table *t = data;
	for (size_t i = 0; i < t->bucket_count; i++) {
		for (struct entry *e = t->buckets[i], *next; e; e = next) {
			next = e->next;
			free(e);
		}
	}
	free(t->buckets);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

int dataset_prepare(struct dataset *set, struct arena *arena)
{
	if (set->table)
		return 0;
	struct dataset_table *t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->bucket_count = 1024;
	while (t->bucket_count < set->hash_size && t->bucket_count < 1u << 22)
		t->bucket_count <<= 1;
	t->buckets = calloc(t->bucket_count, sizeof(struct entry *));
	if (!t->buckets || getrandom(&t->seed, sizeof(t->seed), 0) != sizeof(t->seed)) {
		free(t->buckets);
		free(t);
		return -ENOMEM;
	}
	pthread_mutex_init(&t->lock, NULL);
	t->limit_bytes = set->memcap ? set->memcap : DATASET_DYNAMIC_BYTES;
	if (arena_defer(arena, table_free, t) != 0) {
		table_free(t);
		return -ENOMEM;
	}
	set->table = t;
	return 0;
}

static struct entry **find(struct dataset_table *t, struct bytes value, uint64_t hash)
{
	struct entry **at = &t->buckets[hash & (t->bucket_count - 1)];
	while (*at &&
	       ((*at)->hash != hash || (*at)->len != value.len || memcmp((*at)->value, value.data, value.len) != 0))
		at = &(*at)->next;
	return at;
}

/* Grows with its content, so that a chain stays short whatever hashsize the rule gave. */
static void grow(struct dataset_table *t)
{
	size_t n = t->bucket_count * 2;
	struct entry **buckets = calloc(n, sizeof(*buckets));
	if (!buckets)
		return; /* longer chains, still right */
	for (size_t i = 0; i < t->bucket_count; i++) {
		for (struct entry *e = t->buckets[i], *next; e; e = next) {
			next = e->next;
			e->next = buckets[e->hash & (n - 1)];
			buckets[e->hash & (n - 1)] = e;
		}
	}
	free(t->buckets);
	t->buckets = buckets;
	t->bucket_count = n;
}

/* An address is kept as its 16 bytes, IPv4 mapped, so that `type ip` holds both families. */
static bool canonical(const struct dataset *set, struct bytes *value, uint8_t room[static 16])
{
	switch (set->type) {
	case DATASET_MD5:
		return value->len == 16;
	case DATASET_SHA1:
		return value->len == 20;
	case DATASET_SHA256:
		return value->len == 32;
	case DATASET_IPV4:
	case DATASET_IP:
		if (value->len == 4) {
			memset(room, 0, 10);
			memset(room + 10, 0xff, 2);
			memcpy(room + 12, value->data, 4);
			*value = (struct bytes){.data = room, .len = 16};
			return true;
		}
		return value->len == 16 && set->type == DATASET_IP;
	case DATASET_STRING:
		break;
	}
	return value->len <= DATASET_VALUE_MAX;
}

static bool insert(struct dataset_table *t, struct bytes value, uint16_t reputation, bool limited)
{
	uint64_t hash = XXH3_64bits_withSeed(value.data, value.len, t->seed);
	struct entry **at = find(t, value, hash);
	if (*at) {
		(*at)->reputation = reputation;
		return false;
	}
	size_t size = sizeof(struct entry) + value.len;
	if (limited && t->used_bytes + size > t->limit_bytes)
		return false;
	struct entry *e = malloc(size);
	if (!e)
		return false;
	*e = (struct entry){.hash = hash, .reputation = reputation, .len = (uint16_t)value.len};
	if (value.len)
		memcpy(e->value, value.data, value.len);
	*at = e;
	t->used_bytes += size;
	if (++t->count > t->bucket_count)
		grow(t);
	return true;
}

bool dataset_has(struct dataset *set, struct bytes value, uint16_t *reputation)
{
	uint8_t room[16];
	struct dataset_table *t = set->table;
	if (!t || !canonical(set, &value, room))
		return false;
	uint64_t hash = XXH3_64bits_withSeed(value.data, value.len, t->seed);
	pthread_mutex_lock(&t->lock);
	struct entry *e = *find(t, value, hash);
	if (e && reputation)
		*reputation = e->reputation;
	pthread_mutex_unlock(&t->lock);
	return e != NULL;
}

bool dataset_insert(struct dataset *set, struct bytes value)
{
	uint8_t room[16];
	if (!set->table || !canonical(set, &value, room))
		return false;
	pthread_mutex_lock(&set->table->lock);
	bool added = insert(set->table, value, 0, true);
	pthread_mutex_unlock(&set->table->lock);
	return added;
}

bool dataset_remove(struct dataset *set, struct bytes value)
{
	uint8_t room[16];
	struct dataset_table *t = set->table;
	if (!t || !canonical(set, &value, room))
		return false;
	uint64_t hash = XXH3_64bits_withSeed(value.data, value.len, t->seed);
	pthread_mutex_lock(&t->lock);
	struct entry **at = find(t, value, hash), *e = *at;
	if (e) {
		*at = e->next;
		t->used_bytes -= sizeof(*e) + e->len;
		t->count--;
		free(e);
	}
	pthread_mutex_unlock(&t->lock);
	return e != NULL;
}

size_t dataset_count(const struct dataset *set)
{
	return set->table ? set->table->count : 0;
}

/* --- files ------------------------------------------------------------------------------------------------------ */

static bool hex_bytes(const char *text, size_t len, uint8_t *out, size_t want)
{
	if (len != want * 2)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		int digit = c >= '0' && c <= '9'		     ? c - '0'
			    : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
								     : -1;
		if (digit < 0)
			return false;
		out[i / 2] = (uint8_t)(i & 1 ? out[i / 2] | digit : digit << 4);
	}
	return true;
}

static bool address_bytes(const struct dataset *set, const char *text, size_t len, uint8_t *out, size_t *out_len)
{
	char buf[INET6_ADDRSTRLEN];
	if (len >= sizeof(buf))
		return false;
	memcpy(buf, text, len);
	buf[len] = 0;
	*out_len = 4;
	if (inet_pton(AF_INET, buf, out) == 1)
		return true;
	*out_len = 16;
	return set->type == DATASET_IP && inet_pton(AF_INET6, buf, out) == 1;
}

static bool value_of_text(const struct dataset *set, const char *text, size_t len, uint8_t *out, size_t *out_len)
{
	switch (set->type) {
	case DATASET_MD5:
		*out_len = 16;
		return hex_bytes(text, len, out, 16);
	case DATASET_SHA1:
		*out_len = 20;
		return hex_bytes(text, len, out, 20);
	case DATASET_SHA256:
		*out_len = 32;
		return hex_bytes(text, len, out, 32);
	case DATASET_IPV4:
	case DATASET_IP:
		return address_bytes(set, text, len, out, out_len);
	case DATASET_STRING:
		/* one byte more shows that it is too long */
		*out_len = base64_decode_bytes((const uint8_t *)text, len, out, DATASET_VALUE_MAX + 1, BASE64_STRICT);
		return *out_len > 0 || len == 0;
	}
	return false;
}

static bool load_line(struct dataset *set, const char *line, size_t len)
{
	uint8_t value[DATASET_VALUE_MAX + 1], room[16];
	unsigned long reputation = 0;
	const char *comma = memchr(line, ',', len);
	size_t text_len = comma ? (size_t)(comma - line) : len, value_len = 0;
	if (comma) {
		char digits[8] = "", *end;
		size_t n = len - text_len - 1;
		if (n == 0 || n >= sizeof(digits))
			return false;
		memcpy(digits, comma + 1, n);
		reputation = strtoul(digits, &end, 10);
		if (*end || reputation > UINT16_MAX)
			return false;
	} else if (set->reputation) {
		return false;
	}
	if (!value_of_text(set, line, text_len, value, &value_len))
		return false;
	struct bytes view = {.data = value, .len = value_len};
	if (!canonical(set, &view, room))
		return false;
	(void)insert(set->table, view, (uint16_t)reputation, false);
	return true;
}

int dataset_load(struct dataset *set, struct arena *arena, const char *text, size_t len, unsigned *bad_line)
{
	if (dataset_prepare(set, arena) != 0)
		return -ENOMEM;
	unsigned number = 0;
	for (const char *at = text, *end = text + len; at < end;) {
		const char *nl = memchr(at, '\n', (size_t)(end - at));
		size_t n = nl ? (size_t)(nl - at) : (size_t)(end - at);
		const char *next = nl ? nl + 1 : end;
		number++;
		while (n > 0 && (at[n - 1] == '\r' || at[n - 1] == ' '))
			n--;
		if (n > 0 && *at != '#' && !load_line(set, at, n)) {
			*bad_line = number;
			return -EINVAL;
		}
		at = next;
	}
	return 0;
}
