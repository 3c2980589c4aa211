/* SPDX-License-Identifier: BSD-3-Clause */
#include "mpse.h"

#include <errno.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* A literal and a signature that needs it, as collected. */
struct entry {
	uint64_t hash;
	uint32_t offset; /* in the text pool */
	uint32_t sig;
	uint32_t reach;
	uint16_t len;
	bool nocase;
};

struct mpse_builder {
	struct entry *entries;
	uint32_t count, cap;
	uint8_t *text;
	size_t text_len, text_cap;
};

/* The text of the literals lies behind the struct's arrays, for compiling. */
struct mpse_image {
	struct mpse set;
	uint8_t *text;
};

struct mpse_builder *mpse_builder_new(void)
{
	return calloc(1, sizeof(struct mpse_builder));
}

static void builder_reset(struct mpse_builder *builder)
{
	free(builder->entries);
	free(builder->text);
	*builder = (struct mpse_builder){0};
}

void mpse_builder_free(struct mpse_builder *builder)
{
	if (builder == NULL)
		return;
	builder_reset(builder);
	free(builder);
}

bool mpse_builder_empty(const struct mpse_builder *builder)
{
	return builder->count == 0;
}

static int grow(void **array, size_t size, uint32_t *cap)
{
	uint32_t more = *cap ? *cap * 2 : 64;
	void *bigger = realloc(*array, size * more);
	if (bigger == NULL)
		return -ENOMEM;
	*array = bigger;
	*cap = more;
	return 0;
}

static uint8_t fold(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

int mpse_builder_add(struct mpse_builder *builder, struct bytes literal, bool nocase, uint32_t reach, uint32_t sig)
{
	if (literal.len == 0 || literal.len > MPSE_LITERAL_MAX)
		return -EINVAL;
	if (builder->count == builder->cap) {
		void *entries = builder->entries;
		int error = grow(&entries, sizeof(*builder->entries), &builder->cap);
		if (error)
			return error;
		builder->entries = entries;
	}
	if (builder->text_cap - builder->text_len < literal.len) {
		size_t cap = builder->text_cap ? builder->text_cap * 2 : 4096;
		uint8_t *text = realloc(builder->text, cap);
		if (text == NULL)
			return -ENOMEM;
		builder->text = text;
		builder->text_cap = cap;
	}
	uint8_t *text = builder->text + builder->text_len;
	for (size_t i = 0; i < literal.len; i++)
		text[i] = nocase ? fold(literal.data[i]) : literal.data[i];
	struct entry *entry = &builder->entries[builder->count++];
	*entry = (struct entry){
		.hash = XXH3_64bits_withSeed(text, literal.len, nocase),
		.offset = (uint32_t)builder->text_len,
		.sig = sig,
		.reach = reach,
		.len = (uint16_t)literal.len,
		.nocase = nocase,
	};
	builder->text_len += literal.len;
	return 0;
}

static int entry_compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	if (x->nocase != y->nocase)
		return x->nocase ? 1 : -1;
	return x->sig < y->sig ? -1 : x->sig > y->sig;
}

static bool same_literal(const struct mpse_builder *builder, const struct entry *a, const struct entry *b)
{
	return a->hash == b->hash && a->len == b->len && a->nocase == b->nocase &&
	       memcmp(builder->text + a->offset, builder->text + b->offset, a->len) == 0;
}

static void image_fill(struct mpse_image *image, const struct mpse_builder *builder)
{
	struct mpse *set = &image->set;
	const struct entry *last = NULL;
	for (uint32_t i = 0; i < builder->count; i++) {
		const struct entry *entry = &builder->entries[i];
		if (last == NULL || !same_literal(builder, last, entry)) {
			struct mpse_literal *literal = &set->literals[set->literal_count++];
			*literal = (struct mpse_literal){.first = set->sig_count,
							 .offset = entry->offset,
							 .len = entry->len,
							 .nocase = entry->nocase};
			if (entry->len - 1u > set->overlap)
				set->overlap = entry->len - 1u;
			last = entry;
		}
		struct mpse_literal *literal = &set->literals[set->literal_count - 1];
		if (literal->count == 0 || set->sigs[set->sig_count - 1] != entry->sig) {
			set->sigs[set->sig_count++] = entry->sig;
			literal->count++;
		}
		if (entry->reach > set->reach)
			set->reach = entry->reach;
	}
}

struct mpse *mpse_build(struct mpse_builder *builder)
{
	struct mpse_image *image = calloc(1, sizeof(*image));
	if (image == NULL)
		return NULL;
	qsort(builder->entries, builder->count, sizeof(*builder->entries), entry_compare);
	image->set.literals = calloc(builder->count + 1, sizeof(*image->set.literals));
	image->set.sigs = calloc(builder->count + 1, sizeof(*image->set.sigs));
	if (image->set.literals == NULL || image->set.sigs == NULL) {
		mpse_free(&image->set);
		errno = ENOMEM;
		return NULL;
	}
	image_fill(image, builder);
	struct mpse_literal *literals =
		realloc(image->set.literals, (image->set.literal_count + 1) * sizeof(*literals));
	if (literals)
		image->set.literals = literals;
	image->text = builder->text;
	builder->text = NULL;
	builder_reset(builder);
	return &image->set;
}

void mpse_hash(const struct mpse *set, void (*update)(void *user, const void *data, size_t len), void *user)
{
	const struct mpse_image *image = (const struct mpse_image *)set;
	update(user, &set->literal_count, sizeof(set->literal_count));
	for (uint32_t i = 0; i < set->literal_count; i++) {
		const struct mpse_literal *literal = &set->literals[i];
		uint8_t head[3] = {(uint8_t)literal->len, (uint8_t)(literal->len >> 8), literal->nocase};
		update(user, head, sizeof(head));
		update(user, image->text + literal->offset, literal->len);
	}
}

int mpse_compile(struct mpse *set)
{
	struct mpse_image *image = (struct mpse_image *)set;
	uint32_t n = set->literal_count;
	const char **texts = calloc(n + 1, sizeof(*texts));
	unsigned *flags = calloc(n + 1, sizeof(*flags));
	unsigned *ids = calloc(n + 1, sizeof(*ids));
	size_t *lens = calloc(n + 1, sizeof(*lens));
	int error = -ENOMEM;
	if (texts == NULL || flags == NULL || ids == NULL || lens == NULL)
		goto out;
	for (uint32_t i = 0; i < n; i++) {
		texts[i] = (const char *)image->text + set->literals[i].offset;
		lens[i] = set->literals[i].len;
		flags[i] = HS_FLAG_SINGLEMATCH | (set->literals[i].nocase ? HS_FLAG_CASELESS : 0);
		ids[i] = i;
	}
	hs_compile_error_t *said = NULL;
	hs_error_t rc = hs_compile_lit_multi(texts, flags, ids, lens, n, HS_MODE_BLOCK, NULL, &set->db, &said);
	hs_free_compile_error(said);
	error = rc == HS_SUCCESS ? 0 : rc == HS_NOMEM ? -ENOMEM : -EINVAL;
out:
	free(texts);
	free(flags);
	free(ids);
	free(lens);
	return error;
}

void mpse_free(struct mpse *set)
{
	if (set == NULL)
		return;
	struct mpse_image *image = (struct mpse_image *)set;
	if (!set->db_borrowed)
		hs_free_database(set->db);
	free(set->literals);
	free(set->sigs);
	free(image->text);
	free(image);
}
