/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdatomic.h>

#include "matcher.h"

/*
 * Expressions, by PCRE2. Translating all of them to machine code would double the time that loading takes, and most
 * are never tried: each is translated when first tried, by the one worker that comes first. This is the one place where
 * judging a packet may allocate; it happens once an expression and process.
 */

enum jit_state { JIT_NONE, JIT_RUNNING, JIT_DONE };

struct pcre_data {
	atomic_int jit;
};

void pcre_prepare(struct match_pcre *pcre, struct arena *arena)
{
	struct pcre_data *data = arena_alloc(arena, sizeof(*data));
	if (data)
		atomic_init(&data->jit, JIT_NONE);
	pcre->matcher_data = data;
}

/* PCRE2_NO_JIT while another worker is translating: the code may not be used half done. */
static uint32_t jit_options(const struct match_pcre *pcre)
{
	struct pcre_data *data = pcre->matcher_data;
	int none = JIT_NONE;
	if (data == NULL)
		return PCRE2_NO_JIT;
	if (atomic_load_explicit(&data->jit, memory_order_acquire) == JIT_DONE)
		return 0;
	if (!atomic_compare_exchange_strong(&data->jit, &none, JIT_RUNNING))
		return PCRE2_NO_JIT;
	pcre2_jit_compile(pcre->code, PCRE2_JIT_COMPLETE);
	atomic_store_explicit(&data->jit, JIT_DONE, memory_order_release);
	return 0;
}

static void keep_captures(struct sigs_matcher *m, const struct match_pcre *pcre, const uint8_t *subject, int groups)
{
	const PCRE2_SIZE *places = pcre2_get_ovector_pointer(m->match_data);
	for (unsigned i = 0; i < pcre->capture_count && m->capture_count < CAPTURES_MAX; i++) {
		unsigned group = pcre->captures[i].group ? pcre->captures[i].group : i + 1;
		if ((int)group >= groups || places[2 * group] == PCRE2_UNSET)
			continue;
		if (pcre->captures[i].scope == CAPTURE_VAR)
			continue;
		m->captures[m->capture_count++] = (struct capture){
			.name = pcre->captures[i].name,
			.data = subject + places[2 * group],
			.len = (uint32_t)(places[2 * group + 1] - places[2 * group]),
			.scope = (uint8_t)pcre->captures[i].scope,
		};
	}
}

bool pcre_try(struct sigs_matcher *m, const struct match_pcre *pcre, const struct inspect_view *view, uint32_t base,
	      uint32_t from, uint32_t *start, uint32_t *end)
{
	const uint8_t *subject = view->data + base;
	int rc = pcre2_match(pcre->code, subject, view->len - base, from - base, jit_options(pcre), m->match_data,
			     m->match_context);
	if (rc == PCRE2_ERROR_NOMATCH) {
		*start = *end = from;
		return pcre->negated;
	}
	/* Limits and the like: neither a match nor the absence of one is proven. */
	if (rc < 0 || pcre->negated)
		return false;
	const PCRE2_SIZE *places = pcre2_get_ovector_pointer(m->match_data);
	*start = base + (uint32_t)places[0];
	*end = base + (uint32_t)places[1];
	if (*start < from)
		*start = from; /* \K may move it back */
	if (pcre->capture_count)
		keep_captures(m, pcre, subject, rc == 0 ? (int)pcre2_get_ovector_count(m->match_data) : rc);
	return true;
}
