/* SPDX-License-Identifier: BSD-3-Clause */
#include "summary.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "json.h"
#include "terminal.h"

/* All counters and drop reasons fit some times over. */
#define SUMMARY_BYTES (64u << 10)

static uint64_t peak_rss_bytes(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)usage.ru_maxrss << 10;
}

static bool is_cached(const struct rules *rules)
{
	return rules->cache_hits > 0 && rules->cache_misses == 0;
}

static void put_drops(struct json *j, const struct counters *counters)
{
	jw_object(j, "drop_reasons");
	for (unsigned r = 1; r < DROP_REASON_COUNT; r++)
		if (counters->drop[r])
			jw_uint(j, drop_reason_name((enum drop_reason)r), counters->drop[r]);
	jw_close(j);
}

static void print_json(const struct summary *s, const struct rules *rules, const struct counters *counters, bool stats)
{
	struct json json, *j = &json;
	if (jw_init(j, SUMMARY_BYTES) != 0)
		return;
	jw_begin(j);
	jw_uint(j, "packets", s->tally.received);
	jw_uint(j, "bytes", s->tally.bytes);
	jw_number(j, "seconds", s->seconds);
	jw_number(j, "packets_per_s", s->seconds > 0 ? (double)s->tally.received / s->seconds : 0);
	jw_number(j, "bytes_per_s", s->seconds > 0 ? (double)s->tally.bytes / s->seconds : 0);
	jw_number(j, "load_seconds", rules->seconds);
	jw_bool(j, "cached", is_cached(rules));
	jw_uint(j, "alerts", s->tally.alerts);
	jw_uint(j, "forwarded", s->tally.forwarded);
	jw_uint(j, "bypassed", s->tally.bypassed);
	jw_uint(j, "dropped", s->tally.dropped);
	jw_uint(j, "rejects", s->tally.rejects);
	put_drops(j, counters);
	jw_uint(j, "records", s->records.written);
	jw_uint(j, "flows", counters->value[COUNTER_FLOW_TOTAL]);
	jw_object(j, "rules");
	jw_uint(j, "loaded", rules->counts.loaded);
	jw_uint(j, "waiting", rules->counts.waiting);
	jw_uint(j, "failed", rules->counts.failed);
	jw_uint(j, "skipped", rules->counts.skipped);
	jw_close(j);
	if (stats) {
		jw_object(j, "counters");
		for (unsigned i = 0; i < COUNTER_COUNT; i++)
			jw_uint(j, counter_name((enum counter)i), counters->value[i]);
		jw_close(j);
	}
	jw_uint(j, "peak_rss_bytes", peak_rss_bytes());
	if (jw_end(j))
		fwrite(j->buf, 1, j->len, stdout);
	jw_free(j);
}

/* "12,345,678" in one of a few buffers, so that one printf can hold several. */
static const char *grouped(uint64_t value)
{
	static char texts[4][32];
	static unsigned next;
	char digits[24], *out = texts[next++ % 4];
	int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value), at = 0;
	for (int i = 0; i < n; i++) {
		if (i > 0 && (n - i) % 3 == 0)
			out[at++] = ',';
		out[at++] = digits[i];
	}
	out[at] = '\0';
	return out;
}

static void print_people(const struct summary *s, const struct rules *rules, const struct counters *counters,
			 bool stats)
{
	const struct worker_tally *t = &s->tally;
	double mb = (double)t->bytes / 1e6;
	printf("rules     %s loaded, %s waiting, %s wrong; %.2f s%s\n", grouped(rules->counts.loaded),
	       grouped(rules->counts.waiting), grouped(rules->counts.failed), rules->seconds,
	       is_cached(rules) ? " (from the cache)" : "");
	printf("packets   %s, %.1f MB in %.2f s", grouped(t->received), mb, s->seconds);
	if (s->seconds > 0)
		printf(": %s packets and %.1f MB a second", grouped((uint64_t)((double)t->received / s->seconds)),
		       mb / s->seconds);
	printf("\nflows     %s\n", grouped(counters->value[COUNTER_FLOW_TOTAL]));
	printf("alerts    %s%s%s\n", tone_on(stdout, t->alerts ? TONE_WARNING : TONE_PLAIN), grouped(t->alerts),
	       tone_off(stdout));
	if (t->bypassed)
		printf("bypassed  %s\n", grouped(t->bypassed));
	printf("dropped   %s\n", grouped(t->dropped));
	for (unsigned r = 1; r < DROP_REASON_COUNT; r++)
		if (counters->drop[r])
			printf("          %s %s\n", grouped(counters->drop[r]), drop_reason_name((enum drop_reason)r));
	if (t->rejects)
		printf("rejects   %s sent\n", grouped(t->rejects));
	printf("records   %s", grouped(s->records.written));
	if (s->records.too_big)
		printf(", %s too big and not written", grouped(s->records.too_big));
	printf("\nmemory    %.1f MB at most\n", (double)peak_rss_bytes() / 1e6);
	for (unsigned i = 0; stats && i < COUNTER_COUNT; i++)
		if (counters->value[i])
			printf("  %-40s %s\n", counter_name((enum counter)i), grouped(counters->value[i]));
}

void summary_print(const struct summary *summary, const struct rules *rules, const struct counters *counters,
		   struct summary_options options)
{
	if (options.json)
		print_json(summary, rules, counters, options.stats);
	else if (!options.quiet)
		print_people(summary, rules, counters, options.stats);
}
