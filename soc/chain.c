/* SPDX-License-Identifier: BSD-3-Clause */
#include "chain.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

#define DIGEST_BYTES 32
#define BOOT_MAX     40
/* The two clocks may differ so much over an interval before one was set. */
#define CLOCK_SLACK_US 2000000
/* What one interval can hold: a sensor's longest is a day. With CHAIN_RECORDS_MAX of them no sum overflows. */
#define LENGTH_MAX_US (2 * 86400ull * 1000000)
#define COUNT_MAX     100000000000ull

struct link {
	char boot[BOOT_MAX];
	uint64_t number;
	uint8_t digest[DIGEST_BYTES], previous[DIGEST_BYTES];
	int64_t from, until;
	uint64_t length; /* by the clock that nobody sets */
	uint64_t seen, inspected, bypassed, refused, lost;
	bool last;
};

struct chain {
	struct link *links;
	size_t count, room;
	uint64_t unreadable;
};

struct chain *chain_new(void)
{
	return calloc(1, sizeof(struct chain));
}

void chain_free(struct chain *chain)
{
	if (!chain)
		return;
	free(chain->links);
	free(chain);
}

/* --- reading ------------------------------------------------------------------------------------------------------------- */

static bool hexadecimal(const char *text, uint8_t *bytes)
{
	if (!text || strlen(text) != 2 * DIGEST_BYTES || strspn(text, "0123456789abcdef") != 2 * DIGEST_BYTES)
		return false;
	for (size_t i = 0; i < DIGEST_BYTES; i++) {
		unsigned value;
		sscanf(text + 2 * i, "%2x", &value);
		bytes[i] = (uint8_t)value;
	}
	return true;
}

static bool number(const json_t *object, const char *name, uint64_t most, uint64_t *value)
{
	const json_t *member = json_object_get(object, name);
	*value = (uint64_t)json_integer_value(member);
	return json_is_integer(member) && json_integer_value(member) >= 0 && *value <= most;
}

static bool time_of(const json_t *object, const char *name, int64_t *us)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text && time_parse(text, us);
}

static bool read_link(const json_t *coverage, struct link *link)
{
	const char *boot = json_string_value(json_object_get(coverage, "boot"));
	const json_t *packets = json_object_get(coverage, "packets");
	memset(link, 0, sizeof(*link));
	if (!boot || strlen(boot) >= BOOT_MAX || strspn(boot, "0123456789abcdef-") != strlen(boot))
		return false;
	strcpy(link->boot, boot);
	link->last = json_is_true(json_object_get(coverage, "last"));
	return number(coverage, "number", INT64_MAX, &link->number) && link->number > 0 &&
	       hexadecimal(json_string_value(json_object_get(coverage, "previous")), link->previous) &&
	       time_of(coverage, "from", &link->from) && time_of(coverage, "until", &link->until) &&
	       number(coverage, "length", LENGTH_MAX_US, &link->length) &&
	       number(packets, "seen", COUNT_MAX, &link->seen) &&
	       number(packets, "inspected", COUNT_MAX, &link->inspected) &&
	       number(packets, "bypassed", COUNT_MAX, &link->bypassed) &&
	       number(packets, "refused", COUNT_MAX, &link->refused) && number(packets, "lost", COUNT_MAX, &link->lost);
}

static int grow(struct chain *chain)
{
	if (chain->count < chain->room)
		return 0;
	if (chain->count >= CHAIN_RECORDS_MAX)
		return -E2BIG;
	size_t room = chain->room ? 2 * chain->room : 256;
	struct link *links = reallocarray(chain->links, room, sizeof(*links));
	if (!links)
		return -ENOMEM;
	chain->links = links;
	chain->room = room;
	return 0;
}

int chain_add(struct chain *chain, const char *line, size_t len)
{
	static const char mark[] = "\"coverage\"";
	/* most lines are of other types: this is cheap */
	if (!memmem(line, len, mark, sizeof(mark) - 1))
		return 0;
	json_t *json = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	const char *type = json_string_value(json_object_get(json, "event_type"));
	if (json && (!type || strcmp(type, "coverage") != 0)) {
		json_decref(json);
		return 0;
	}
	int rc = grow(chain);
	struct link *link = rc == 0 ? &chain->links[chain->count] : NULL;
	if (link && (!json || !read_link(json_object_get(json, "coverage"), link) ||
		     !EVP_Digest(line, len, link->digest, NULL, EVP_sha256(), NULL)))
		rc = -EINVAL;
	json_decref(json);
	if (rc == 0)
		chain->count++;
	else if (rc == -EINVAL)
		chain->unreadable++;
	return rc;
}

/* --- judging ------------------------------------------------------------------------------------------------------------- */

struct view {
	int64_t from, until; /* what is asked for; 0, 0: all */
	int64_t first, end;  /* what the records cover */
	json_t *problems, *runs;
	uint64_t problem_count, grave;
	uint64_t seen, inspected, bypassed, refused, lost;
	int64_t covered;
};

static bool in_view(const struct view *v, int64_t from, int64_t until)
{
	return (v->until == 0 || from < v->until) && until >= v->from;
}

__attribute__((format(printf, 8, 9))) static void complain(struct view *v, bool grave, const char *kind,
							   const struct link *link, uint64_t at, int64_t from,
							   int64_t until, const char *format, ...)
{
	char text[256], begin[32], end[32];
	va_list arguments;
	if (!in_view(v, from, until))
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	v->problem_count++;
	v->grave += grave;
	if (json_array_size(v->problems) < CHAIN_PROBLEMS_MAX)
		json_array_append_new(v->problems,
				      json_pack("{s:s,s:s,s:I,s:s,s:s,s:s}", "kind", kind, "boot", link->boot, "number",
						(json_int_t)at, "from", time_text(from, begin), "until",
						time_text(until, end), "text", text));
}

static int by_number(const void *a, const void *b)
{
	const struct link *x = a, *y = b;
	int order = strcmp(x->boot, y->boot);
	if (order == 0)
		order = (x->number > y->number) - (x->number < y->number);
	return order ? order : memcmp(x->digest, y->digest, DIGEST_BYTES);
}

/* A run: records of one boot, in order. */
struct run {
	const struct link *links;
	size_t count;
};

static int by_begin(const void *a, const void *b)
{
	const struct run *x = a, *y = b;
	return (x->links->from > y->links->from) - (x->links->from < y->links->from);
}

static void judge_record(struct view *v, const struct link *link)
{
	if (link->inspected + link->bypassed + link->refused + link->lost != link->seen)
		complain(v, true, "sums", link, link->number, link->from, link->until,
			 "record %" PRIu64 ": inspected, bypassed, refused and lost are not what was seen",
			 link->number);
	int64_t drift = link->until - link->from - (int64_t)link->length;
	if (drift > CLOCK_SLACK_US || drift < -CLOCK_SLACK_US)
		complain(v, false, "clock", link, link->number, link->from, link->until,
			 "record %" PRIu64 ": the clock was set by %+.1f s", link->number, (double)drift / 1e6);
	if (v->first == 0 || link->from < v->first)
		v->first = link->from;
	if (link->until > v->end)
		v->end = link->until;
	if (!in_view(v, link->from, link->until))
		return;
	v->seen += link->seen;
	v->inspected += link->inspected;
	v->bypassed += link->bypassed;
	v->refused += link->refused;
	v->lost += link->lost;
	int64_t from = link->from > v->from ? link->from : v->from;
	int64_t until = v->until && link->until > v->until ? v->until : link->until;
	/* a clock that was set covers no years */
	if (until > from)
		v->covered += until - from < (int64_t)link->length ? until - from : (int64_t)link->length;
}

/* Two records that stand one after the other. */
static void judge_joint(struct view *v, const struct link *a, const struct link *b)
{
	if (b->number == a->number) {
		complain(v, true, "changed", b, b->number, b->from, b->until,
			 "record %" PRIu64 " is there twice, and not the same", b->number);
	} else if (b->number != a->number + 1) {
		complain(v, true, "missing", b, a->number + 1, a->until, b->from,
			 "records %" PRIu64 " to %" PRIu64 " are missing", a->number + 1, b->number - 1);
	} else if (memcmp(b->previous, a->digest, DIGEST_BYTES) != 0) {
		complain(v, true, "changed", a, a->number, a->from, a->until,
			 "record %" PRIu64 " is not the one that record %" PRIu64 " was written after", a->number,
			 b->number);
	}
}

static void judge_run(struct view *v, const struct run *run)
{
	static const uint8_t none[DIGEST_BYTES];
	char from[32], until[32];
	const struct link *first = run->links, *last = run->links;
	if (first->number != 1 && v->from == 0) /* of a span the rest may not have been read */
		complain(v, true, "missing", first, 1, first->from, first->from,
			 "records 1 to %" PRIu64 " are missing, from the start of the run", first->number - 1);
	else if (first->number == 1 && memcmp(first->previous, none, DIGEST_BYTES) != 0)
		complain(v, true, "changed", first, 1, first->from, first->until,
			 "record 1 says that it has one before it");
	judge_record(v, first);
	for (size_t i = 1; i < run->count; i++) {
		const struct link *link = &run->links[i];
		if (link->number == last->number && memcmp(link->digest, last->digest, DIGEST_BYTES) == 0)
			continue; /* the same file, given twice */
		judge_joint(v, last, link);
		if (link->number != last->number)
			judge_record(v, link);
		last = link;
	}
	if (in_view(v, first->from, last->until))
		json_array_append_new(v->runs,
				      json_pack("{s:s,s:s,s:s,s:I,s:b}", "boot", first->boot, "from",
						time_text(first->from, from), "until", time_text(last->until, until),
						"records", (json_int_t)last->number, "ended", last->last));
}

/* Between two runs. */
static void judge_pause(struct view *v, const struct run *a, const struct run *b)
{
	const struct link *last = &a->links[a->count - 1], *first = b->links;
	if (!last->last)
		complain(v, true, "cut", last, last->number, last->until, first->from,
			 "the run ends at record %" PRIu64 " without a last one: it was killed, or its end is missing",
			 last->number);
	else if (first->from > last->until)
		complain(v, false, "off", last, last->number, last->until, first->from, "no sensor ran for %.1f s",
			 (double)(first->from - last->until) / 1e6);
}

static struct run *split(struct chain *chain, size_t *count)
{
	struct run *runs = calloc(chain->count + 1, sizeof(*runs));
	*count = 0;
	for (size_t i = 0; runs && i < chain->count; i++) {
		if (i == 0 || strcmp(chain->links[i].boot, chain->links[i - 1].boot) != 0)
			runs[(*count)++].links = &chain->links[i];
		runs[*count - 1].count++;
	}
	if (runs && *count)
		qsort(runs, *count, sizeof(*runs), by_begin);
	return runs;
}

static json_t *share(double part, double whole)
{
	return whole > 0 ? json_real(part / whole) : json_null();
}

static json_t *report(const struct chain *chain, struct view *v)
{
	char from[32], until[32];
	int64_t begin = v->from ? v->from : v->first, end = v->until ? v->until : v->end;
	double span = (double)(end - begin) / 1e6, covered = (double)v->covered / 1e6;
	bool whole = v->grave == 0 && chain->unreadable == 0;
	return json_pack("{s:b,s:I,s:I,s:s,s:s,s:o,s:I,s:o,s:{s:I,s:I,s:I,s:I,s:I},s:o,s:f,s:f,s:o}", "whole", whole,
			 "records", (json_int_t)chain->count, "unreadable", (json_int_t)chain->unreadable, "from",
			 time_text(begin, from), "until", time_text(end, until), "runs", v->runs, "problem_count",
			 (json_int_t)v->problem_count, "problems", v->problems, "packets", "seen", (json_int_t)v->seen,
			 "inspected", (json_int_t)v->inspected, "bypassed", (json_int_t)v->bypassed, "refused",
			 (json_int_t)v->refused, "lost", (json_int_t)v->lost, "inspected_share",
			 share((double)v->inspected, (double)v->seen), "covered_seconds", covered, "span_seconds", span,
			 "covered_share", share(covered, span));
}

json_t *chain_judge(struct chain *chain, int64_t from, int64_t until)
{
	struct view v = {.from = from, .until = until, .problems = json_array(), .runs = json_array()};
	size_t count;
	if (chain->count)
		qsort(chain->links, chain->count, sizeof(chain->links[0]), by_number);
	struct run *runs = split(chain, &count);
	if (!runs || !v.problems || !v.runs) {
		free(runs);
		json_decref(v.problems);
		json_decref(v.runs);
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		judge_run(&v, &runs[i]);
		if (i > 0)
			judge_pause(&v, &runs[i - 1], &runs[i]);
	}
	free(runs);
	return report(chain, &v);
}
