/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "parse.h"

/* content, its modifiers, and pcre. */

/* Where a content may be told to look, and how long a pattern may be. */
#define CONTENT_VALUE_MAX 65535

/* --- patterns -------------------------------------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The bytes between two bars; returns past the closing bar, NULL after rule_fail. */
static const char *decode_hex(struct rule *rule, const char *s, char **out)
{
	int high = -1;
	for (; *s && *s != '|'; s++) {
		int digit = hex_digit(*s);
		if (*s == ' ' || *s == ',' || *s == '\t')
			continue;
		if (digit < 0) {
			rule_fail(rule, "\"%c\" is no hex digit: between bars stand pairs of them, |0d 0a|", *s);
			return NULL;
		}
		if (high < 0) {
			high = digit;
		} else {
			*(*out)++ = (char)(high << 4 | digit);
			high = -1;
		}
	}
	if (*s != '|' || high >= 0) {
		rule_fail(rule, *s != '|' ? "a bar | is not closed; write |7c| for the character itself"
					  : "a hex digit stands alone: between bars stand pairs of them, |0d 0a|");
		return NULL;
	}
	return s + 1;
}

int content_decode(struct rule *rule, char *value, struct bytes *pattern)
{
	char *out = value;
	for (const char *s = value; *s;) {
		if (*s == '|') {
			s = decode_hex(rule, s + 1, &out);
			if (s == NULL)
				return -1;
		} else if (*s == '\\') {
			if (s[1] == '\0' || !strchr(":;\\\"", s[1]))
				return rule_fail(rule,
						 "a backslash stands only before : ; \\ and \": write \\\\ or |5c|");
			*out++ = s[1];
			s += 2;
		} else if (*s == '"') {
			return rule_fail(rule, "a double quote inside a pattern is written \\\" or |22|");
		} else {
			*out++ = *s++;
		}
	}
	*pattern = (struct bytes){.data = (const uint8_t *)value, .len = (size_t)(out - value)};
	if (pattern->len == 0)
		return rule_fail(rule, "the pattern is empty");
	if (pattern->len > CONTENT_VALUE_MAX)
		return rule_fail(rule, "the pattern is longer than %u bytes", CONTENT_VALUE_MAX);
	return 0;
}

static struct match *add_content(struct rule *rule, int list, char *value)
{
	struct bytes pattern;
	if (list < 0 || content_decode(rule, value, &pattern) != 0)
		return NULL;
	struct match *m = rule_add(rule, list, MATCH_CONTENT);
	if (m == NULL)
		return NULL;
	m->content.pattern = pattern;
	m->content.flags = rule->negated ? CONTENT_NEGATED : 0;
	m->content.offset_var = m->content.depth_var = SIG_VAR_NONE;
	m->content.distance_var = m->content.within_var = SIG_VAR_NONE;
	return m;
}

int keyword_content(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	return add_content(rule, rule_buffer(rule), value) ? 0 : -EINVAL;
}

int keyword_uricontent(struct rule *rule, const struct keyword *keyword, char *value)
{
	const struct buffer_info *info = buffer_info_find(rule->builder, "http.uri");
	if (rule->sticky)
		return rule_fail(rule, "uricontent cannot stand after a sticky buffer: write http.uri; content:...");
	if (info == NULL)
		return keyword_wait_value(rule, keyword, value);
	return add_content(rule, rule_buffer_of(rule, info), value) ? 0 : -EINVAL;
}

/* --- modifiers ------------------------------------------------------------------------------------------------------------ */

/* The content that a modifier changes; NULL after rule_fail. */
static struct rule_match *content_before(struct rule *rule)
{
	struct rule_match *m = rule_last(rule, TYPE(MATCH_CONTENT));
	if (m == NULL)
		rule_fail(rule, "%s needs a content before it", rule->keyword->name);
	return m;
}

static int check_placed(struct rule *rule, const struct match_content *c, uint32_t same, uint32_t other,
			const char *others)
{
	if (c->flags & same)
		return rule_fail(rule, "%s stands twice for the same content", rule->keyword->name);
	if (c->flags & other)
		return rule_fail(rule, "%s cannot stand with %s for the same content", rule->keyword->name, others);
	if (c->flags & CONTENT_NEGATED && c->flags & CONTENT_FAST_PATTERN)
		return rule_fail(rule, "a negated content with fast_pattern cannot be placed: remove one of them");
	if (c->flags & CONTENT_FAST_PATTERN_ONLY)
		return rule_fail(rule, "a content with fast_pattern:only cannot be placed: remove \"only\"");
	return 0;
}

/* A number, or a variable's name. */
static int read_place(struct rule *rule, const char *value, int64_t min, int32_t *number, int8_t *var)
{
	int64_t n;
	if (isalpha((unsigned char)*value)) {
		int index = rule_var(rule, value);
		if (index < 0)
			return rule_fail(
				rule, "variable \"%.40s\" is not known: a byte_extract or byte_math must set it before",
				value);
		*var = (int8_t)index;
		return 0;
	}
	if (!text_i64(value, min, CONTENT_VALUE_MAX, &n))
		return rule_fail(rule, "\"%.40s\" is no number from %lld to %d", value, (long long)min,
				 CONTENT_VALUE_MAX);
	*number = (int32_t)n;
	return 0;
}

#define RELATIVE_FLAGS (CONTENT_DISTANCE | CONTENT_WITHIN)
#define ABSOLUTE_FLAGS (CONTENT_DEPTH | CONTENT_OFFSET)

int keyword_nocase(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword, (void)value;
	struct rule_match *m = content_before(rule);
	if (m == NULL)
		return -EINVAL;
	if (m->match.content.flags & CONTENT_NOCASE)
		return rule_fail(rule, "nocase stands twice for the same content");
	m->match.content.flags |= CONTENT_NOCASE;
	return 0;
}

int keyword_depth(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	struct rule_match *m = content_before(rule);
	if (m == NULL)
		return -EINVAL;
	struct match_content *c = &m->match.content;
	if (check_placed(rule, c, CONTENT_DEPTH, RELATIVE_FLAGS, "distance or within") != 0 ||
	    read_place(rule, value, 0, &c->depth, &c->depth_var) != 0)
		return -EINVAL;
	if (c->depth_var == SIG_VAR_NONE) {
		if ((size_t)c->depth < c->pattern.len)
			return rule_fail(rule, "depth %d is smaller than the content of %zu bytes: it can never match",
					 c->depth, c->pattern.len);
		c->depth += c->offset;
	}
	c->flags |= CONTENT_DEPTH;
	return 0;
}

int keyword_offset(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	struct rule_match *m = content_before(rule);
	if (m == NULL)
		return -EINVAL;
	struct match_content *c = &m->match.content;
	if (c->flags & CONTENT_STARTSWITH)
		return rule_fail(rule, "offset cannot stand with startswith for the same content");
	if (check_placed(rule, c, CONTENT_OFFSET, RELATIVE_FLAGS, "distance or within") != 0 ||
	    read_place(rule, value, 0, &c->offset, &c->offset_var) != 0)
		return -EINVAL;
	if (c->flags & CONTENT_DEPTH && c->depth_var == SIG_VAR_NONE)
		c->depth += c->offset;
	c->flags |= CONTENT_OFFSET;
	return 0;
}

static int place_relative(struct rule *rule, struct rule_match *m)
{
	struct match_content *c = &m->match.content;
	c->flags |= CONTENT_RELATIVE;
	const struct rule_match *before = rule_before(rule, m, TYPE(MATCH_CONTENT) | TYPE(MATCH_PCRE));
	if (before && before->match.type == MATCH_CONTENT && before->match.content.flags & CONTENT_FAST_PATTERN_ONLY)
		return rule_fail(rule, "%s cannot count from a content with fast_pattern:only: remove \"only\" there",
				 rule->keyword->name);
	return 0;
}

int keyword_distance(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	struct rule_match *m = content_before(rule);
	if (m == NULL)
		return -EINVAL;
	struct match_content *c = &m->match.content;
	if (check_placed(rule, c, CONTENT_DISTANCE, ABSOLUTE_FLAGS, "depth, offset or startswith") != 0 ||
	    read_place(rule, value, -CONTENT_VALUE_MAX, &c->distance, &c->distance_var) != 0)
		return -EINVAL;
	c->flags |= CONTENT_DISTANCE;
	return place_relative(rule, m);
}

int keyword_within(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	struct rule_match *m = content_before(rule);
	if (m == NULL)
		return -EINVAL;
	struct match_content *c = &m->match.content;
	if (check_placed(rule, c, CONTENT_WITHIN, ABSOLUTE_FLAGS, "depth, offset or startswith") != 0 ||
	    read_place(rule, value, -CONTENT_VALUE_MAX, &c->within, &c->within_var) != 0)
		return -EINVAL;
	if (c->within_var == SIG_VAR_NONE && c->within < (int64_t)c->pattern.len)
		return rule_fail(rule, "within %d is smaller than the content of %zu bytes: it can never match",
				 c->within, c->pattern.len);
	c->flags |= CONTENT_WITHIN;
	return place_relative(rule, m);
}

int keyword_rawbytes(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword, (void)value;
	if (rule->sticky)
		return rule_fail(rule, "rawbytes is of the payload: it cannot stand after the sticky buffer %s",
				 rule->sticky->name);
	struct rule_match *m = content_before(rule);
	if (m == NULL)
		return -EINVAL;
	if (m->match.content.flags & CONTENT_RAWBYTES)
		return rule_fail(rule, "rawbytes stands twice for the same content");
	m->match.content.flags |= CONTENT_RAWBYTES;
	return 0;
}

int keyword_startswith(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword, (void)value;
	struct rule_match *m = content_before(rule);
	if (m == NULL)
		return -EINVAL;
	struct match_content *c = &m->match.content;
	if (check_placed(rule, c, CONTENT_DEPTH, RELATIVE_FLAGS | CONTENT_OFFSET, "distance, within or offset") != 0)
		return -EINVAL;
	c->depth = (int32_t)c->pattern.len;
	c->flags |= CONTENT_DEPTH | CONTENT_STARTSWITH;
	return 0;
}

int keyword_endswith(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword, (void)value;
	struct rule_match *m = content_before(rule);
	if (m == NULL)
		return -EINVAL;
	m->match.content.flags |= CONTENT_ENDSWITH;
	return 0;
}

static int fast_pattern_chop(struct rule *rule, struct match_content *c, char *value)
{
	uint64_t offset, length;
	char *rest = value, *first = text_next(&rest, ','), *second = text_next(&rest, ',');
	if (second == NULL || rest || !text_u64(first, false, UINT16_MAX, &offset) ||
	    !text_u64(second, false, UINT16_MAX, &length) || length == 0)
		return rule_fail(rule, "fast_pattern takes nothing, \"only\", or OFFSET,LENGTH");
	if (offset + length > c->pattern.len)
		return rule_fail(rule, "the part %llu,%llu reaches beyond the content of %zu bytes",
				 (unsigned long long)offset, (unsigned long long)length, c->pattern.len);
	c->chop_offset = (uint16_t)offset;
	c->chop_length = (uint16_t)length;
	c->flags |= CONTENT_FAST_PATTERN_CHOP;
	return 0;
}

int keyword_fast_pattern(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	struct rule_match *m = content_before(rule);
	if (m == NULL)
		return -EINVAL;
	struct match_content *c = &m->match.content;
	bool placed = c->flags & (RELATIVE_FLAGS | ABSOLUTE_FLAGS), negated = c->flags & CONTENT_NEGATED;
	for (int i = 0; i < rule->match_count; i++) {
		const struct rule_match *other = &rule->matches[i];
		if (other->list >= 0 && other->match.type == MATCH_CONTENT &&
		    other->match.content.flags & CONTENT_FAST_PATTERN)
			return rule_fail(rule, "fast_pattern stands twice in the rule: one content can be it");
	}
	if (negated && placed)
		return rule_fail(
			rule, "fast_pattern cannot stand on a negated content with depth, offset, distance or within");
	if (rule->buffers[m->list].info->kind == BUFFER_BASE64) {
		rule_warn(rule,
			  "what base64_decode gives cannot be searched first: fast_pattern is ignored, remove it");
		return 0;
	}
	if (value && strcasecmp(value, "only") == 0) {
		if (negated || placed)
			return rule_fail(rule, "fast_pattern:only cannot stand on a content that is negated or placed");
		c->flags |= CONTENT_FAST_PATTERN_ONLY;
	} else if (value && fast_pattern_chop(rule, c, value) != 0) {
		return -EINVAL;
	}
	c->flags |= CONTENT_FAST_PATTERN;
	return 0;
}

/* --- pcre --------------------------------------------------------------------------------------------------------------- */

static void free_code(void *code)
{
	pcre2_code_free(code);
}

const struct compiled_regex *regex_compile(struct rule *rule, const char *pattern, uint32_t options)
{
	struct sigs_builder *b = rule->builder;
	/* The key is the pattern and its options: a NUL, which no pattern has, parts them. */
	size_t len = strlen(pattern), key_len = len + 1 + sizeof(options);
	char *key = arena_alloc(b->arena, key_len);
	if (key == NULL) {
		rule_fail(rule, "out of memory");
		return NULL;
	}
	memcpy(key, pattern, len);
	memcpy(key + len + 1, &options, sizeof(options));
	struct compiled_regex *known = table_find(&b->regexes, key, key_len);
	if (known)
		return known;
	int error;
	PCRE2_SIZE at;
	pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern, len, options, &error, &at, NULL);
	if (code == NULL && error == PCRE2_ERROR_BAD_SUBPATTERN_REFERENCE && options & PCRE2_NO_AUTO_CAPTURE) {
		/* the expression refers to a group: capture them then */
		options &= ~PCRE2_NO_AUTO_CAPTURE;
		code = pcre2_compile((PCRE2_SPTR)pattern, len, options, &error, &at, NULL);
	}
	if (code == NULL)
		goto broken;
	known = arena_alloc(b->arena, sizeof(*known));
	if (known == NULL || arena_defer(b->arena, free_code, code) != 0) {
		pcre2_code_free(code);
		rule_fail(rule, "out of memory");
		return NULL;
	}
	*known = (struct compiled_regex){.code = code, .options = options};
	pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &known->capture_count);
	if (table_put(&b->regexes, key, key_len, known) != 0)
		rule_fail(rule, "out of memory");
	return known;
broken:;
	PCRE2_UCHAR why[128];
	pcre2_get_error_message(error, why, sizeof(why));
	rule_fail(rule, "the expression is wrong at its character %zu: %s", (size_t)at + 1, (const char *)why);
	return NULL;
}

/* The buffer that a letter names, in the names of the sticky keywords. */
static const char *letter_buffer(char letter)
{
	static const struct {
		char letter, name[20];
	} letters[] = {{'U', "http.uri"},      {'I', "http.uri.raw"},	 {'P', "http.request_body"},
		       {'Q', "file.data"},     {'H', "http.header"},	 {'D', "http.header.raw"},
		       {'M', "http.method"},   {'C', "http.cookie"},	 {'S', "http.stat_code"},
		       {'Y', "http.stat_msg"}, {'V', "http.user_agent"}, {'W', "http.host"},
		       {'Z', "http.host.raw"}};
	for (unsigned i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
		if (letters[i].letter == letter)
			return letters[i].name;
	return NULL;
}

struct pcre_flags {
	uint32_t options;
	bool relative, raw, match_limit;
	const char *buffer; /* NULL: none named */
	char letter;
};

static int read_flags(struct rule *rule, const char *s, struct pcre_flags *flags)
{
	static const struct {
		char letter;
		uint32_t option;
	} options[] = {{'A', PCRE2_ANCHORED}, {'E', PCRE2_DOLLAR_ENDONLY}, {'G', PCRE2_UNGREEDY},
		       {'i', PCRE2_CASELESS}, {'m', PCRE2_MULTILINE},	   {'s', PCRE2_DOTALL},
		       {'x', PCRE2_EXTENDED}};
	for (; *s; s++) {
		bool known = false;
		for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
			if (options[i].letter != *s)
				continue;
			flags->options |= options[i].option;
			known = true;
		}
		const char *buffer = letter_buffer(*s);
		if (buffer && flags->buffer && buffer != flags->buffer)
			return rule_fail(rule, "modifiers %c and %c name two buffers: keep one", flags->letter, *s);
		if (buffer) {
			flags->buffer = buffer;
			flags->letter = *s;
		}
		flags->relative |= *s == 'R';
		flags->raw |= *s == 'B';
		if (!known && !buffer && !strchr("RBO", *s))
			return rule_fail(rule, "unknown modifier \"%c\" after the expression", *s);
	}
	if (flags->raw && (flags->buffer || rule->sticky))
		return rule_fail(rule, "modifier B is of the payload: it cannot stand with another buffer");
	return 0;
}

/* Where the closing slash of "/expression/flags" is: the last that no backslash escapes and no quote follows. */
static char *closing_slash(char *s)
{
	for (char *c = s + strlen(s) - 1; c > s; c--) {
		unsigned backslashes = 0;
		while (c - backslashes - 1 > s && c[-1 - (int)backslashes] == '\\')
			backslashes++;
		if (*c == '/' && backslashes % 2 == 0)
			return c;
	}
	return NULL;
}

static int add_capture(struct rule *rule, struct match_pcre *pcre, const char *name)
{
	static const struct {
		char prefix[8];
		int scope, space;
	} kinds[] = {{"flow:", CAPTURE_FLOW, NAME_FLOWVAR},  {"flow_", CAPTURE_FLOW, NAME_FLOWVAR},
		     {"pkt:", CAPTURE_PACKET, NAME_PKTVAR},  {"pkt_", CAPTURE_PACKET, NAME_PKTVAR},
		     {"alert:", CAPTURE_ALERT, NAME_PKTVAR}, {"alert_", CAPTURE_ALERT, NAME_PKTVAR}};
	const unsigned max = sizeof(pcre->captures) / sizeof(pcre->captures[0]);
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t len = strlen(kinds[i].prefix);
		if (strncmp(name, kinds[i].prefix, len) != 0 || name[len] == '\0')
			continue;
		if (pcre->capture_count == max)
			return rule_fail(rule, "more than %u captures in one expression", max);
		uint32_t number = builder_name(rule->builder, (enum name_space)kinds[i].space, name + len);
		if (number == UINT32_MAX)
			return rule_fail(rule, "out of memory");
		unsigned index = pcre->capture_count++;
		pcre->captures[index].scope = kinds[i].scope;
		pcre->captures[index].name = number;
		pcre->captures[index].group = (uint8_t)(index + 1);
		return 0;
	}
	return rule_fail(rule, "\"%.40s\" is no place for a capture: write flow:NAME, pkt:NAME or alert:NAME", name);
}

/* "(?P<flow_name>...)": captures named inside the expression. Others are the expression's own affair. */
static int named_captures(struct rule *rule, struct match_pcre *pcre, const char *pattern)
{
	for (const char *s = pattern; (s = strstr(s, "(?P<"));) {
		char name[128];
		s += 4;
		size_t len = strcspn(s, ">");
		if (len >= sizeof(name) || (strncmp(s, "flow_", 5) && strncmp(s, "pkt_", 4) && strncmp(s, "alert_", 6)))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)len, s);
		if (add_capture(rule, pcre, name) != 0)
			return -EINVAL;
	}
	return 0;
}

static int listed_captures(struct rule *rule, struct match_pcre *pcre, char *names, uint32_t groups)
{
	for (char *rest = names, *name; (name = text_next(&rest, ','));) {
		if (pcre->capture_count >= groups)
			return rule_fail(rule, "more names than groups in the expression");
		if (add_capture(rule, pcre, name) != 0)
			return -EINVAL;
	}
	return 0;
}

static int pcre_buffer(struct rule *rule, const struct pcre_flags *flags)
{
	if (flags->buffer == NULL)
		return rule_buffer(rule);
	const struct buffer_info *info = buffer_info_find(rule->builder, flags->buffer);
	if (info == NULL)
		return rule_fail(rule, "no buffer for modifier %c", flags->letter);
	/* Q names what a response carries: its file and its body are the same there */
	bool body = flags->letter == 'Q' && rule->sticky && strcmp(rule->sticky->name, "http.response_body") == 0;
	if (rule->sticky == info || body)
		return rule_buffer(rule);
	if (rule->sticky)
		return rule_fail(rule,
				 "modifier %c cannot stand after the sticky buffer %s: write pkt_data first, or %s",
				 flags->letter, rule->sticky->name, flags->buffer);
	return rule_buffer_of(rule, info);
}

/* Splits "/expression/flags, names". Returns the expression. */
static char *split_expression(struct rule *rule, char *value, char **flags, char **names)
{
	char *start = strchr(value, '/');
	if (start == NULL || start != value) {
		rule_fail(rule, "an expression stands between slashes: \"/expression/flags\"");
		return NULL;
	}
	char *end = closing_slash(start);
	if (end == NULL) {
		rule_fail(rule, "the expression's closing slash is missing");
		return NULL;
	}
	*end = '\0';
	*flags = end + 1;
	*names = NULL;
	size_t len = strcspn(*flags, ", ");
	if ((*flags)[len]) {
		*names = *flags + len + 1;
		(*flags)[len] = '\0';
		*names = text_trim(*names);
		while (**names == ',')
			*names = text_trim(*names + 1);
	}
	return start + 1;
}

static int check_host(struct rule *rule, const struct pcre_flags *flags, const char *pattern)
{
	if (flags->letter != 'W' || flags->options & PCRE2_CASELESS)
		return 0;
	for (const char *s = pattern; *s; s++) {
		if (*s == '\\' && s[1])
			s++;
		else if (isupper((unsigned char)*s))
			return rule_fail(rule,
					 "the host buffer is lower case: write the expression so, it can never match");
	}
	return 0;
}

int keyword_pcre(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	char *letters, *names;
	struct pcre_flags flags = {0};
	bool negated = rule->negated;
	char *pattern = split_expression(rule, value, &letters, &names);
	if (pattern == NULL || read_flags(rule, letters, &flags) != 0 || check_host(rule, &flags, pattern) != 0)
		return -EINVAL;
	const struct compiled_regex *regex =
		regex_compile(rule, pattern, flags.options | (names ? 0 : PCRE2_NO_AUTO_CAPTURE));
	int list = regex ? pcre_buffer(rule, &flags) : -1;
	struct match *m = list >= 0 ? rule_add(rule, list, MATCH_PCRE) : NULL;
	if (m == NULL)
		return -EINVAL;
	m->pcre.code = regex->code;
	m->pcre.pattern = pattern;
	m->pcre.options = regex->options;
	m->pcre.negated = negated;
	m->pcre.relative = flags.relative;
	if (flags.relative && !rule->sticky && !rule->sticky_base64 &&
	    rule_before(rule, &rule->matches[rule->match_count - 1], ~0ull) == NULL)
		return rule_fail(rule, "modifier R counts from the match before in the same buffer: there is none");
	if (names && listed_captures(rule, &m->pcre, names, regex->capture_count) != 0)
		return -EINVAL;
	if (regex->capture_count > 0 && named_captures(rule, &m->pcre, pattern) != 0)
		return -EINVAL;
	return 0;
}
