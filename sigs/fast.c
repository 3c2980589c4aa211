/* SPDX-License-Identifier: BSD-3-Clause */
#include "ruleset.h"

/*
 * Which content of a signature is searched for first. Every false candidate costs a confirmation, so what counts is
 * how seldom a literal stands in traffic that is not meant: long ones of uncommon bytes, in buffers that are small.
 */

/* How much one byte of this kind narrows the traffic down, in arbitrary units. */
enum { WEIGHT_FILL = 1, WEIGHT_LETTER = 4, WEIGHT_DIGIT = 5, WEIGHT_SIGN = 5, WEIGHT_UPPER = 6, WEIGHT_BINARY = 7 };

static unsigned byte_weight(uint8_t c, bool nocase)
{
	if (c == 0 || c == 0xff || c == ' ')
		return WEIGHT_FILL;
	if (c == '\r' || c == '\n' || c == '/' || c == '.')
		return 2;
	if (c >= 'a' && c <= 'z')
		return WEIGHT_LETTER;
	if (c >= 'A' && c <= 'Z')
		return nocase ? WEIGHT_LETTER : WEIGHT_UPPER;
	if (c >= '0' && c <= '9')
		return WEIGHT_DIGIT;
	if (c > 0x20 && c < 0x7f)
		return WEIGHT_SIGN;
	return WEIGHT_BINARY;
}

/* What stands in most requests, answers and mails anyway: its bytes narrow nothing down. */
static const char *const commonplaces[] = {
	"HTTP/1.",
	"User-Agent",
	"Mozilla/",
	"Content-Type",
	"Content-Length",
	"Content-Disposition",
	"Accept",
	"Host",
	"Connection",
	"Keep-Alive",
	"application/",
	"text/html",
	"charset=utf-8",
	"http://",
	"https://",
	"www.",
	".com",
	".php",
	"index",
	"Windows NT",
	"Gecko",
	"compatible",
	"MSIE",
	"form-data",
	"octet-stream",
	"x-www-form-",
	"urlencoded",
	"multipart/",
	"boundary=",
	"<html",
	"<script",
	"</script",
	"function",
	"document.",
	"javascript",
	"Referer",
	"Cookie",
	"Server",
	"Transfer-Encoding",
	"chunked",
	"gzip",
	"encoding",
	"GET /",
	"POST /",
	"Location",
	"Cache-Control",
	"This program cannot be run in DOS mode",
};

static uint8_t fold(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static bool starts_with(const uint8_t *data, size_t len, const char *word, size_t word_len)
{
	if (word_len > len)
		return false;
	for (size_t i = 0; i < word_len; i++)
		if (fold(data[i]) != fold((uint8_t)word[i]))
			return false;
	return true;
}

/* Weights of each byte of a pattern; commonplaces weigh almost nothing. */
static void pattern_weights(struct bytes pattern, bool nocase, uint8_t *weights)
{
	for (size_t i = 0; i < pattern.len; i++)
		weights[i] = (uint8_t)byte_weight(pattern.data[i], nocase);
	for (size_t i = 0; i < pattern.len; i++) {
		for (size_t k = 0; k < sizeof(commonplaces) / sizeof(commonplaces[0]); k++) {
			/* Loading looks at half a million places: the first letter settles most. */
			if (fold((uint8_t)commonplaces[k][0]) != fold(pattern.data[i]))
				continue;
			size_t len = strlen(commonplaces[k]);
			if (!starts_with(pattern.data + i, pattern.len - i, commonplaces[k], len))
				continue;
			for (size_t j = 0; j < len; j++)
				weights[i + j] = j == 0 ? 2 : 0;
		}
	}
}

#define PATTERN_WEIGHED_MAX 512 /* bytes of a pattern that are weighed; more cannot make the choice better */

/* The best window of at most MPSE_LITERAL_MAX bytes and its score. */
static unsigned best_window(struct bytes pattern, bool nocase, struct bytes *window)
{
	uint8_t weights[PATTERN_WEIGHED_MAX];
	if (pattern.len > PATTERN_WEIGHED_MAX)
		pattern.len = PATTERN_WEIGHED_MAX;
	pattern_weights(pattern, nocase, weights);
	size_t len = pattern.len < MPSE_LITERAL_MAX ? pattern.len : MPSE_LITERAL_MAX;
	unsigned sum = 0, best;
	size_t at = 0;
	for (size_t i = 0; i < len; i++)
		sum += weights[i];
	best = sum;
	for (size_t i = len; i < pattern.len; i++) {
		sum += weights[i];
		sum -= weights[i - len];
		if (sum > best) {
			best = sum;
			at = i + 1 - len;
		}
	}
	*window = (struct bytes){.data = pattern.data + at, .len = len};
	/* The same byte over and over is one fact, not many. */
	size_t kinds = 0;
	uint64_t seen[4] = {0};
	for (size_t i = 0; i < len; i++) {
		uint8_t c = window->data[i];
		if (!(seen[c >> 6] >> (c & 63) & 1))
			kinds++;
		seen[c >> 6] |= 1ull << (c & 63);
	}
	if (kinds <= 2)
		best = best * (unsigned)(kinds + 1) / (unsigned)(len + 1);
	return best;
}

/* Small buffers, and those that few packets have, are cheap to search and seldom mistaken. In percent. */
static unsigned buffer_bonus(const struct buffer_ref *ref)
{
	static const struct {
		const char *name;
		unsigned percent;
	} bonuses[] = {
		{"http.method", 20},	   {"http.protocol", 20},      {"http.stat_code", 20},
		{"http.stat_msg", 30},	   {"http.header", 90},	       {"http.header.raw", 90},
		{"http.request_body", 95}, {"http.response_body", 70}, {"file.data", 80},
		{"http.accept", 60},	   {"http.content_type", 70},  {"http.connection", 40},
		{"http.accept_enc", 40},   {"http.accept_lang", 70},   {"http.header_names", 70},
		{"http.content_len", 60},  {"http.start", 60},	       {"http.request_line", 110},
		{"http.user_agent", 115},  {"http.host", 140},	       {"http.uri", 130},
		{"http.uri.raw", 130},
	};
	if (ref->kind == BUFFER_PAYLOAD)
		return 75;
	unsigned percent = 120;
	for (size_t i = 0; i < sizeof(bonuses) / sizeof(bonuses[0]); i++)
		if (strcmp(ref->name, bonuses[i].name) == 0)
			percent = bonuses[i].percent;
	return ref->transform_count ? percent / 2 : percent;
}

static bool has_letters(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((text.data[i] | 0x20) >= 'a' && (text.data[i] | 0x20) <= 'z')
			return true;
	return false;
}

static bool usable_buffer(const struct signature *sig, unsigned index)
{
	const struct sig_buffer *buffer = &sig->buffers[index];
	if (buffer->ref->kind == BUFFER_APP)
		;
	else if (buffer->ref->kind == BUFFER_PAYLOAD)
		return buffer->ref->transform_count == 0;
	else
		return false;
	for (unsigned i = 0; i < buffer->match_count; i++)
		if (buffer->matches[i].type == MATCH_ABSENT)
			return false;
	return true;
}

/* How far into the buffer the literal can end at most. */
static uint32_t reach_of(const struct match_content *content)
{
	if (content->flags & CONTENT_RELATIVE || content->depth_var != SIG_VAR_NONE ||
	    content->offset_var != SIG_VAR_NONE)
		return UINT32_MAX;
	if (content->flags & CONTENT_STARTSWITH)
		return (uint32_t)content->pattern.len;
	if (content->flags & CONTENT_DEPTH && content->depth > 0)
		return (uint32_t)content->depth;
	return UINT32_MAX;
}

static struct bytes pattern_of(const struct match_content *content)
{
	struct bytes pattern = content->pattern;
	if (content->flags & CONTENT_FAST_PATTERN_CHOP && content->chop_length != 0 &&
	    (size_t)content->chop_offset + content->chop_length <= pattern.len) {
		pattern.data += content->chop_offset;
		pattern.len = content->chop_length;
	}
	return pattern;
}

static unsigned consider(const struct signature *sig, int buffer, int match, struct fast_pattern *out)
{
	const struct match_content *content = &sig->buffers[buffer].matches[match].content;
	bool nocase = content->flags & CONTENT_NOCASE;
	struct bytes window;
	unsigned score = best_window(pattern_of(content), nocase, &window);
	score = score * buffer_bonus(sig->buffers[buffer].ref);
	*out = (struct fast_pattern){.buffer = buffer,
				     .match = match,
				     .literal = window,
				     .reach = reach_of(content),
				     .nocase = nocase && has_letters(window)};
	return score;
}

static bool eligible(const struct match *match)
{
	return match->type == MATCH_CONTENT && !(match->content.flags & CONTENT_NEGATED) && !match->negated &&
	       match->content.pattern.len > 0;
}

struct fast_pattern fast_pattern_choose(const struct signature *sig)
{
	struct fast_pattern best = {.buffer = -1, .match = -1}, candidate;
	if (sig->fast_buffer >= 0 && (unsigned)sig->fast_buffer < sig->buffer_count &&
	    usable_buffer(sig, (unsigned)sig->fast_buffer) &&
	    eligible(&sig->buffers[sig->fast_buffer].matches[sig->fast_match])) {
		consider(sig, sig->fast_buffer, sig->fast_match, &best);
		return best;
	}
	unsigned best_score = 0;
	bool in_app = false;
	for (unsigned i = 0; i < sig->buffer_count; i++) {
		if (!usable_buffer(sig, i))
			continue;
		bool app = sig->buffers[i].ref->kind == BUFFER_APP;
		for (unsigned j = 0; j < sig->buffers[i].match_count; j++) {
			if (!eligible(&sig->buffers[i].matches[j]))
				continue;
			unsigned score = consider(sig, (int)i, (int)j, &candidate);
			/* A transaction's signature is found in a transaction's buffer when it has one: payload knows none. */
			if (best.buffer >= 0 && (in_app && !app))
				continue;
			if (best.buffer < 0 || (app && !in_app) || score > best_score) {
				best = candidate;
				best_score = score;
				in_app = app;
			}
		}
	}
	return best;
}
