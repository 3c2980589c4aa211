/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "matcher.h"

void sigs_options_defaults(struct sigs_options *options, bool inline_mode)
{
	*options = (struct sigs_options){
		.inline_mode = inline_mode,
		.raise_alerts = true,
		.pcre_match_limit = 3500,
		.pcre_recursion_limit = 1500,
		.inspection_limit = 3000,
		.alerts_max = 15,
		.threshold_memory_bytes = 32u << 20,
		.state_memory_bytes = 64u << 20,
	};
}

/* Names of bits and variables by what stays the same when rules change: their text. Bits of hosts and pairs of addresses
 * share their names, whichever keyword set them. */
static int name_ids(struct sigs_ruleset *rs)
{
	for (unsigned space = 0; space < NAME_SPACES; space++) {
		uint32_t count = rs->parsed.name_count[space];
		uint64_t seed = space == NAME_HOSTBIT ? NAME_XBIT : space;
		rs->names[space].ids = arena_alloc(rs->arena, (count + 1) * sizeof(uint64_t));
		if (rs->names[space].ids == NULL)
			return -ENOMEM;
		for (uint32_t i = 0; i < count; i++) {
			const char *name = rs->parsed.names[space][i];
			rs->names[space].ids[i] = XXH3_64bits_withSeed(name ? name : "", name ? strlen(name) : 0, seed);
		}
	}
	return 0;
}

static bool is_relative(const struct match *match)
{
	switch (match->type) {
	case MATCH_CONTENT:
		return match->content.flags & (CONTENT_RELATIVE | CONTENT_DISTANCE | CONTENT_WITHIN);
	case MATCH_PCRE:
		return match->pcre.relative;
	case MATCH_BYTE_TEST:
	case MATCH_BYTE_JUMP:
	case MATCH_BYTE_EXTRACT:
	case MATCH_BYTE_MATH:
		return match->bytes.relative;
	case MATCH_ISDATAAT:
		return match->isdataat.relative;
	case MATCH_BASE64_DECODE:
		return match->base64.relative;
	case MATCH_ASN1:
		return match->asn1.relative_offset;
	default:
		return false;
	}
}

/* Which contents must be sought again when what follows them fails: those that a later match is relative to, or whose
 * place a variable or a jump was taken from. */
static void mark_relative(struct signature *sig)
{
	for (unsigned i = 0; i < sig->buffer_count; i++) {
		struct sig_buffer *buffer = &sig->buffers[i];
		for (unsigned j = 0; j + 1 < buffer->match_count; j++) {
			if (buffer->matches[j].type != MATCH_CONTENT)
				continue;
			for (unsigned k = j + 1; k < buffer->match_count; k++) {
				if (is_relative(&buffer->matches[k])) {
					buffer->matches[j].content.relative_next = 1;
					break;
				}
				if (buffer->matches[k].type == MATCH_CONTENT &&
				    !(buffer->matches[k].content.flags & CONTENT_NEGATED))
					break;
			}
		}
	}
}

/* Which contents end the search where they are not found: those that may stand anywhere behind what precedes them, when
 * later tries of that begin further on. Without this, repetitions of one content cost a search of all the rest each. */
static void mark_conclusive(struct signature *sig)
{
	for (unsigned i = 0; i < sig->buffer_count; i++) {
		struct sig_buffer *buffer = &sig->buffers[i];
		for (unsigned j = 0; j < buffer->match_count; j++) {
			struct match *match = &buffer->matches[j];
			const uint32_t bounds = CONTENT_NEGATED | CONTENT_WITHIN | CONTENT_DEPTH | CONTENT_ENDSWITH |
						CONTENT_STARTSWITH;
			if (match->type == MATCH_CONTENT)
				match->content.conclusive = is_relative(match) && !(match->content.flags & bounds);
			else if (match->type != MATCH_BYTE_TEST && match->type != MATCH_ISDATAAT)
				break; /* may move back, or set what others are bounded by */
		}
	}
}

static int prepare_matches(struct sigs_ruleset *rs)
{
	for (uint32_t i = 0; i < rs->sig_count; i++) {
		struct signature *sig = rs->sigs[i];
		mark_relative(sig);
		mark_conclusive(sig);
		for (unsigned b = 0; b < sig->buffer_count; b++)
			for (unsigned m = 0; m < sig->buffers[b].match_count; m++)
				if (sig->buffers[b].matches[m].type == MATCH_PCRE)
					pcre_prepare(&sig->buffers[b].matches[m].pcre, rs->arena);
	}
	return 0;
}

/* Sets that no file filled: rules may add to them. */
static int prepare_datasets(struct sigs_ruleset *rs)
{
	int error = 0;
	for (struct dataset *set = rs->parsed.datasets; set && !error; set = set->next)
		error = dataset_prepare(set, rs->arena);
	return error;
}

static void complain(struct sigs_ruleset *rs, int error)
{
	const struct sigs_env *env = &rs->parsed.env;
	char text[128];
	if (env->diagnostic == NULL)
		return;
	snprintf(text, sizeof(text), "the rules could not be compiled: %s", strerror(-error));
	env->diagnostic(env->user, &(struct sigs_diagnostic){.severity = SIGS_ERROR, .message = text});
}

static int ruleset_fill(struct sigs_ruleset *rs)
{
	static atomic_uint_fast64_t generations = 1;
	rs->generation = atomic_fetch_add(&generations, 1);
	rs->arena = rs->parsed.arena;
	rs->counts = rs->parsed.counts;
	rs->sigs = rs->parsed.signatures;
	rs->sig_count = rs->parsed.count;
	ruleset_order(rs->sigs, rs->sig_count);
	rs->heads = aligned_alloc(64, ((rs->sig_count + 1) * sizeof(*rs->heads) + 63) & ~(size_t)63);
	if (rs->heads == NULL)
		return -ENOMEM;
	int error = name_ids(rs);
	if (!error)
		error = prepare_matches(rs);
	if (!error)
		error = prepare_datasets(rs);
	if (!error)
		error = ruleset_group(rs);
	if (!error)
		error = ruleset_databases(rs);
	return error;
}

struct sigs_ruleset *sigs_compile(struct sigs_builder *builder, const struct sigs_options *options)
{
	struct sigs_ruleset *rs = calloc(1, sizeof(*rs));
	if (rs == NULL)
		return NULL;
	rs->options = *options;
	sigs_builder_take(builder, &rs->parsed);
	int error = ruleset_fill(rs);
	if (error) {
		complain(rs, error);
		sigs_ruleset_free(rs);
		errno = -error;
		return NULL;
	}
	return rs;
}

void sigs_ruleset_free(struct sigs_ruleset *rs)
{
	if (rs == NULL)
		return;
	for (uint32_t i = 0; i < rs->all_count; i++)
		mpse_free(rs->all_sets[i]);
	free(rs->all_sets);
	free(rs->image);
	free(rs->heads);
	arena_free(rs->parsed.arena);
	free(rs);
}

struct sigs_counts sigs_ruleset_counts(const struct sigs_ruleset *rs)
{
	return rs->counts;
}

bool sigs_ruleset_wants_file_hashes(const struct sigs_ruleset *rs)
{
	return rs->parsed.wants_file_hashes;
}
