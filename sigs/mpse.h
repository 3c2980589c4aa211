/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Multi-pattern search: a set of literals, each standing for the signatures that need it, compiled to one Hyperscan
 * database. Building belongs to one thread; a built set is immutable and shared.
 */

#include <hs.h>

#include <dataplane/bytes.h>

/*
 * Literals are cut to this many bytes: confirmation sees the whole, longer ones make the automaton larger without
 * making false candidates rarer, and the overlap that incremental scanning repeats stays short.
 */
#define MPSE_LITERAL_MAX 24

struct mpse_literal {
	uint32_t first;	 /* index in mpse.sigs */
	uint32_t count;	 /* signatures behind it */
	uint32_t offset; /* while building: in the text pool */
	uint16_t len;
	bool nocase;
};

struct mpse {
	hs_database_t *db;
	bool db_borrowed; /* lies in the rule set's cache image */
	struct mpse_literal *literals;
	uint32_t literal_count;
	uint32_t *sigs; /* signature numbers, sorted for each literal */
	uint32_t sig_count;
	uint32_t overlap; /* bytes before new data that a literal may begin in */
	uint32_t reach;	  /* no literal can end beyond this offset of the buffer; UINT32_MAX: anywhere */
};

struct mpse_builder;

struct mpse_builder *mpse_builder_new(void);
void mpse_builder_free(struct mpse_builder *builder);
/* One more signature that needs this literal, which ends at most `reach` bytes into the buffer. 0 or -ENOMEM. */
int mpse_builder_add(struct mpse_builder *builder, struct bytes literal, bool nocase, uint32_t reach, uint32_t sig);
bool mpse_builder_empty(const struct mpse_builder *builder);
/* The set without its database; the builder is empty afterwards. NULL and errno. */
struct mpse *mpse_build(struct mpse_builder *builder);
/* Literals as they stand behind a key: feeds the digest that names a cached database. */
void mpse_hash(const struct mpse *set, void (*update)(void *user, const void *data, size_t len), void *user);
/* Compiles the database. 0 or -errno. */
int mpse_compile(struct mpse *set);
void mpse_free(struct mpse *set);
