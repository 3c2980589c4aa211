/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "matcher.h"

/* Capture groups that an expression's matches are reported for; rules use a handful. */
#define PCRE_GROUPS_MAX 64
/* Machine stack for translated expressions; what needs more fails like one that hits its match limit. */
#define PCRE_JIT_STACK	   (64u << 10)
#define PCRE_JIT_STACK_MAX (1u << 20)
/* Bits of hosts and pairs of hosts. */
#define HOST_BITS_BYTES (8u << 20)

static void candidates_free(struct candidates *c)
{
	free(c->nums);
	free(c->stamps);
	*c = (struct candidates){0};
}

static int candidates_new(struct candidates *c, uint32_t count)
{
	c->nums = calloc(count + 1, sizeof(*c->nums));
	c->stamps = calloc(count + 1, sizeof(*c->stamps));
	if (c->nums && c->stamps)
		return 0;
	candidates_free(c);
	return -ENOMEM;
}

/* What depends on the rule set. */
struct sized {
	struct candidates packet, tx;
	uint32_t *tx_wanted;
	hs_scratch_t *scratch;
	struct profile_entry *profile;
};

static void sized_free(struct sized *s)
{
	candidates_free(&s->packet);
	candidates_free(&s->tx);
	free(s->tx_wanted);
	hs_free_scratch(s->scratch);
	free(s->profile);
}

static int sized_new(struct sized *s, const struct sigs_ruleset *rs)
{
	*s = (struct sized){0};
	int error = candidates_new(&s->packet, rs->sig_count);
	if (!error)
		error = candidates_new(&s->tx, rs->sig_count);
	s->tx_wanted = calloc(rs->sig_count + 1, sizeof(*s->tx_wanted));
	if (s->tx_wanted == NULL)
		error = -ENOMEM;
	for (uint32_t i = 0; i < rs->all_count && !error; i++)
		if (hs_alloc_scratch(rs->all_sets[i]->db, &s->scratch) != HS_SUCCESS)
			error = -ENOMEM;
	if (error)
		sized_free(s);
	return error;
}

static void sized_adopt(struct sigs_matcher *m, const struct sized *s)
{
	m->packet_candidates = s->packet;
	m->tx_candidates = s->tx;
	m->tx_wanted = s->tx_wanted;
	m->scratch = s->scratch;
	m->profile = s->profile;
}

static struct sized sized_of(const struct sigs_matcher *m)
{
	return (struct sized){.packet = m->packet_candidates,
			      .tx = m->tx_candidates,
			      .tx_wanted = m->tx_wanted,
			      .scratch = m->scratch,
			      .profile = m->profile};
}

static int pcre_new(struct sigs_matcher *m)
{
	m->match_data = pcre2_match_data_create(PCRE_GROUPS_MAX, NULL);
	m->match_context = pcre2_match_context_create(NULL);
	m->jit_stack = pcre2_jit_stack_create(PCRE_JIT_STACK, PCRE_JIT_STACK_MAX, NULL);
	if (m->match_data == NULL || m->match_context == NULL)
		return -ENOMEM;
	pcre2_set_match_limit(m->match_context, m->ruleset->options.pcre_match_limit);
	pcre2_set_depth_limit(m->match_context, m->ruleset->options.pcre_recursion_limit);
	if (m->jit_stack)
		pcre2_jit_stack_assign(m->match_context, NULL, m->jit_stack);
	return 0;
}

struct sigs_shared {
	struct threshold_table *thresholds;
	struct bits_table *bits;
};

struct sigs_shared *sigs_shared_new(const struct sigs_options *options)
{
	struct sigs_shared *shared = calloc(1, sizeof(*shared));
	if (shared == NULL)
		return NULL;
	shared->thresholds = threshold_table_new(options->threshold_memory_bytes, options->hash_seed);
	shared->bits = bits_table_new(HOST_BITS_BYTES, options->hash_seed);
	if (shared->thresholds == NULL || shared->bits == NULL) {
		sigs_shared_free(shared);
		errno = ENOMEM;
		return NULL;
	}
	return shared;
}

void sigs_shared_free(struct sigs_shared *shared)
{
	if (shared == NULL)
		return;
	bits_table_free(shared->bits);
	threshold_table_free(shared->thresholds);
	free(shared);
}

struct sigs_matcher *sigs_matcher_new(const struct sigs_ruleset *ruleset, const struct sigs_env *env,
				      struct sigs_shared *shared, struct counters *counters)
{
	struct sigs_matcher *m = calloc(1, sizeof(*m));
	struct sized sized;
	const struct sigs_options *options = &ruleset->options;
	if (m == NULL)
		return NULL;
	m->ruleset = ruleset;
	m->counters = counters;
	if (env)
		m->env = *env;
	m->slab = slab_new("signature state", options->state_memory_bytes);
	m->arena = malloc(TRANSFORM_ARENA_BYTES);
	m->alerts = calloc(ALERT_QUEUE_MAX, sizeof(*m->alerts));
	m->host_tags = calloc(1, host_tags_bytes());
	if (shared == NULL)
		shared = m->own_shared = sigs_shared_new(options);
	m->thresholds = shared ? shared->thresholds : NULL;
	m->bits = shared ? shared->bits : NULL;
	m->transformer = m->slab ? transformer_new(m->slab) : NULL;
	if (m->slab == NULL || m->arena == NULL || m->alerts == NULL || m->host_tags == NULL || m->thresholds == NULL ||
	    m->bits == NULL || m->transformer == NULL || pcre_new(m) != 0 || sized_new(&sized, ruleset) != 0) {
		sigs_matcher_free(m);
		errno = ENOMEM;
		return NULL;
	}
	sized_adopt(m, &sized);
	return m;
}

void sigs_matcher_free(struct sigs_matcher *m)
{
	if (m == NULL)
		return;
	struct sized sized = sized_of(m);
	sized_free(&sized);
	pcre2_match_data_free(m->match_data);
	pcre2_match_context_free(m->match_context);
	pcre2_jit_stack_free(m->jit_stack);
	transformer_free(m->transformer);
	sigs_shared_free(m->own_shared);
	free(m->host_tags);
	free(m->alerts);
	free(m->arena);
	slab_free_all(m->slab);
	free(m);
}

void sigs_matcher_set_streams(struct sigs_matcher *m, struct stream_engine *streams)
{
	m->streams = streams;
}

struct sigs_change {
	const struct sigs_ruleset *ruleset;
	struct sigs_env env;
	struct sized sized;
};

struct sigs_change *sigs_change_new(const struct sigs_ruleset *ruleset, const struct sigs_env *env, bool profile)
{
	struct sigs_change *change = calloc(1, sizeof(*change));
	if (change == NULL)
		return NULL;
	change->ruleset = ruleset;
	if (env)
		change->env = *env;
	if (sized_new(&change->sized, ruleset) != 0) {
		free(change);
		errno = ENOMEM;
		return NULL;
	}
	if (profile)
		change->sized.profile = calloc(ruleset->sig_count + 1, sizeof(*change->sized.profile));
	return change;
}

void sigs_change_free(struct sigs_change *change)
{
	if (change == NULL)
		return;
	sized_free(&change->sized);
	free(change);
}

void sigs_matcher_swap(struct sigs_matcher *m, struct sigs_change *change)
{
	struct sized old = sized_of(m);
	sized_adopt(m, &change->sized);
	change->sized = old;
	m->ruleset = change->ruleset;
	m->env = change->env;
	m->alert_count = 0;
	m->result.count = 0;
	m->pkt = NULL;
	m->state = NULL;
	m->packet_var_count = m->transformed_count = 0;
	pcre2_set_match_limit(m->match_context, m->ruleset->options.pcre_match_limit);
	pcre2_set_depth_limit(m->match_context, m->ruleset->options.pcre_recursion_limit);
}

size_t sigs_profile_bytes(const struct sigs_ruleset *ruleset)
{
	return (ruleset->sig_count + 1) * sizeof(struct profile_entry);
}

void *sigs_profile_swap(struct sigs_matcher *m, void *memory)
{
	void *before = m->profile;
	m->profile = memory;
	return before;
}

bool sigs_profile_enabled(const struct sigs_matcher *m)
{
	return m->profile != NULL;
}

void sigs_profile(const struct sigs_matcher *m,
		  void (*each)(void *user, const struct sigs_info *info, uint64_t checks, uint64_t matches,
			       uint64_t ns),
		  void *user)
{
	for (uint32_t i = 0; m->profile && i < m->ruleset->sig_count; i++) {
		const struct profile_entry *p = &m->profile[i];
		if (p->checks)
			each(user, &m->ruleset->sigs[i]->info, p->checks, p->matches, p->ns);
	}
}
