/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "parse.h"

/* Lines of a threshold.config: suppress, threshold (or event_filter) and rate_filter, for one signature or many. */

enum line_kind { LINE_SUPPRESS, LINE_THRESHOLD, LINE_RATE };

struct line_parse {
	struct sigs_builder *builder;
	const char *file;
	unsigned number;
	enum line_kind kind;
	struct threshold_line line;
	bool sid, gid, type, track, count, seconds, action, timeout, ip;
};

__attribute__((format(printf, 2, 3))) static int refuse(struct line_parse *p, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	builder_vsay(p->builder, SIGS_ERROR, p->file, p->number, p->line.sid, NULL, format, args);
	va_end(args);
	return -EINVAL;
}

static int read_u32(struct line_parse *p, const char *key, const char *s, bool *seen, uint32_t *out)
{
	uint64_t n;
	if (*seen || !text_u64(s, false, UINT32_MAX, &n))
		return refuse(p, "%s takes one number, once, not \"%.40s\"", key, s);
	*seen = true;
	*out = (uint32_t)n;
	return 0;
}

static int read_type(struct line_parse *p, const char *s)
{
	static const char *const words[] = {"limit", "threshold", "both", NULL};
	static const enum threshold_type values[] = {THRESHOLD_LIMIT, THRESHOLD_THRESHOLD, THRESHOLD_BOTH};
	int word = text_word(s, words);
	if (word < 0 || p->kind != LINE_THRESHOLD)
		return refuse(p, "type \"%.40s\": a threshold is limit, threshold or both, other lines have no type",
			      s);
	p->line.threshold.type = values[word];
	p->type = true;
	return 0;
}

static int read_track(struct line_parse *p, const char *s)
{
	static const char *const words[] = {"by_src", "by_dst", "by_both", "by_rule", "by_either", "by_flow", NULL};
	int word = text_word(s, words);
	bool suppress = p->kind == LINE_SUPPRESS;
	if (word < 0 || (suppress && word != TRACK_SRC && word != TRACK_DST && word != TRACK_EITHER) ||
	    (!suppress && word == TRACK_EITHER))
		return refuse(p, "track \"%.40s\": use by_src or by_dst%s", s,
			      suppress ? ", or by_either" : ", by_both, by_rule or by_flow");
	p->line.threshold.track = (enum threshold_track)word;
	p->track = true;
	return 0;
}

static int read_action(struct line_parse *p, const char *s)
{
	static const char *const words[] = {"alert", "drop", "pass", "reject", NULL};
	static const enum sigs_action values[] = {SIGS_ALERT, SIGS_DROP, SIGS_PASS, SIGS_REJECT};
	int word = text_word(s, words);
	if (word < 0)
		return refuse(p, "new_action \"%.40s\": use alert, drop, pass or reject", s);
	p->line.threshold.new_action = values[word];
	p->action = true;
	return 0;
}

/* The addresses of a suppress go to the end of the line, commas included. */
static int read_ip(struct line_parse *p, char *s)
{
	struct address_book *book = &p->builder->addresses;
	p->line.threshold.addresses = address_set_of(book, s, strlen(s));
	p->ip = true;
	return p->line.threshold.addresses ? 0 : refuse(p, "ip \"%.80s\": %s", s, book->why);
}

static int read_item(struct line_parse *p, char *key, char *s)
{
	struct threshold *t = &p->line.threshold;
	if (strcmp(key, "gen_id") == 0)
		return read_u32(p, key, s, &p->gid, &p->line.gid);
	if (strcmp(key, "sig_id") == 0)
		return read_u32(p, key, s, &p->sid, &p->line.sid);
	if (strcmp(key, "type") == 0)
		return read_type(p, s);
	if (strcmp(key, "track") == 0)
		return read_track(p, s);
	if (strcmp(key, "count") == 0)
		return read_u32(p, key, s, &p->count, &t->count);
	if (strcmp(key, "seconds") == 0)
		return read_u32(p, key, s, &p->seconds, &t->seconds);
	if (strcmp(key, "timeout") == 0)
		return read_u32(p, key, s, &p->timeout, &t->timeout_s);
	if (strcmp(key, "new_action") == 0)
		return read_action(p, s);
	return refuse(p, "unknown word \"%.40s\"", key);
}

static int check_line(struct line_parse *p)
{
	if (!p->sid || !p->gid)
		return refuse(p, "gen_id and sig_id must both stand in the line (0 for all)");
	switch (p->kind) {
	case LINE_SUPPRESS:
		if (p->track != p->ip)
			return refuse(p, "suppress takes track and ip together, or neither");
		if (p->count || p->seconds || p->timeout || p->action)
			return refuse(p, "suppress takes only track and ip");
		return 0;
	case LINE_THRESHOLD:
		if (!p->type || !p->track || !p->count || !p->seconds || p->ip)
			return refuse(p, "threshold needs type, track, count and seconds");
		return 0;
	case LINE_RATE:
		if (!p->track || !p->count || !p->seconds || !p->action || !p->timeout || p->ip)
			return refuse(p, "rate_filter needs track, count, seconds, new_action and timeout");
		return 0;
	}
	return 0;
}

static int parse_line(struct line_parse *p, char *line)
{
	static const char *const kinds[] = {"suppress", "threshold", "rate_filter", "event_filter", NULL};
	char *rest = text_value(line);
	int kind = text_word(line, kinds);
	if (kind < 0)
		return refuse(p, "\"%.40s\": a line starts with suppress, threshold, event_filter or rate_filter",
			      line);
	p->kind = kind == 3 ? LINE_THRESHOLD : (enum line_kind)kind;
	p->line.threshold.type = p->kind == LINE_RATE ? THRESHOLD_RATE : THRESHOLD_SUPPRESS;
	while (rest && *rest) {
		rest = text_trim(rest);
		if (p->kind == LINE_SUPPRESS && strncmp(rest, "ip", 2) == 0 && (rest[2] == ' ' || rest[2] == '\t')) {
			if (read_ip(p, text_trim(rest + 2)) != 0)
				return -EINVAL;
			break;
		}
		char *item = text_next(&rest, ','), *s = text_value(item);
		if (read_item(p, item, s) != 0)
			return -EINVAL;
	}
	return check_line(p);
}

static int keep_line(struct sigs_builder *b, const struct threshold_line *line)
{
	struct threshold_line *kept = arena_alloc(b->arena, sizeof(*kept));
	if (kept == NULL)
		return -ENOMEM;
	*kept = *line;
	*b->threshold_last = kept;
	b->threshold_last = &kept->next;
	return 0;
}

int sigs_add_thresholds(struct sigs_builder *b, const char *file, const char *text, size_t len)
{
	int result = 0;
	char *copy = arena_strndup(b->arena, text, len);
	if (copy == NULL)
		return -ENOMEM;
	unsigned number = 1;
	for (char *at = copy, *end = copy + len; at < end;) {
		struct line_parse p = {.builder = b, .file = file, .number = number};
		char *stop = at;
		/* a line that ends with a backslash goes on */
		for (; stop < end && *stop != '\n'; stop++) {
			if (*stop == '\\' && stop + 1 < end && stop[1] == '\n') {
				*stop++ = ' ';
				*stop = ' ';
				number++;
			}
		}
		*stop = '\0';
		number++;
		char *line = text_trim(at);
		at = stop + 1;
		if (*line == '\0' || *line == '#')
			continue;
		int err = parse_line(&p, line);
		if (!err)
			err = keep_line(b, &p.line);
		if (err)
			result = err;
	}
	return result;
}

/* Own rates of a rule give way to a line that names it; a line for all leaves them. */
static void apply_line(struct sigs_builder *b, struct signature *sig, const struct threshold_line *line)
{
	bool rates = line->threshold.type != THRESHOLD_SUPPRESS && line->threshold.type != THRESHOLD_RATE;
	if (rates && sig->thresholds && sig->thresholds->type != THRESHOLD_SUPPRESS) {
		if (line->sid == 0)
			return;
		sig->thresholds = sig->thresholds->next;
	}
	struct threshold *t = arena_alloc(b->arena, sizeof(*t));
	if (t == NULL)
		return;
	*t = line->threshold;
	/* suppression first: what is suppressed is not counted */
	struct threshold **at = &sig->thresholds;
	while (t->type != THRESHOLD_SUPPRESS && *at)
		at = &(*at)->next;
	t->next = *at;
	*at = t;
}

void thresholds_apply(struct sigs_builder *b)
{
	if (b->threshold_lines == NULL)
		return;
	for (uint32_t i = 0; i < b->signature_count; i++) {
		struct signature *sig = b->signatures[i];
		for (const struct threshold_line *line = b->threshold_lines; sig && line; line = line->next)
			if ((line->gid == 0 || line->gid == sig->info.gid) &&
			    (line->sid == 0 || line->sid == sig->info.sid))
				apply_line(b, sig, line);
	}
}
