/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "parse.h"

/* Keywords that compute with a buffer's bytes: byte_*, isdataat, sizes, base64, asn1, entropy, datasets. */

#define OFFSET_MAX 65535
/* Digits of the largest number that a string may hold (octal, 64 bits), and bytes of a binary one. */
#define STRING_BYTES_MAX 23
#define BINARY_BYTES_MAX 8

/* --- what they share ------------------------------------------------------------------------------------------------------- */

static void bytes_clear(struct match_bytes *b)
{
	b->count_var = b->offset_var = b->value_var = b->post_offset_var = b->rvalue_var = SIG_VAR_NONE;
	b->multiplier = 1;
}

static bool is_var(const char *s)
{
	return isalpha((unsigned char)*s);
}

static int read_var(struct rule *rule, const char *name, int8_t *var)
{
	int index = rule_var(rule, name);
	if (index < 0)
		return rule_fail(
			rule, "variable \"%.40s\" is not known: a byte_extract or byte_math must set it before", name);
	*var = (int8_t)index;
	return 0;
}

static int read_count(struct rule *rule, const char *s, struct match_bytes *b)
{
	uint64_t n;
	if (is_var(s))
		return read_var(rule, s, &b->count_var);
	if (!text_u64(s, false, STRING_BYTES_MAX, &n))
		return rule_fail(rule, "\"%.40s\" is no count of bytes from 0 to %u", s, STRING_BYTES_MAX);
	b->count = (uint8_t)n;
	return 0;
}

static int read_offset(struct rule *rule, const char *s, int32_t *offset, int8_t *var)
{
	int64_t n;
	if (is_var(s))
		return read_var(rule, s, var);
	/* byte_test takes any; the rest of them would only wander about */
	int64_t max = rule->keyword->parse == keyword_byte_test ? INT32_MAX : OFFSET_MAX;
	if (!text_i64(s, -max, max, &n))
		return rule_fail(rule, "\"%.40s\" is no offset from -%lld to %lld", s, (long long)max, (long long)max);
	*offset = (int32_t)n;
	return 0;
}

static int read_bitmask(struct rule *rule, const char *s, bool hex_only, struct match_bytes *b)
{
	char *end;
	unsigned long long mask = strtoull(s, &end, hex_only ? 16 : 0);
	if (*end) /* hex digits without 0x */
		mask = strtoull(s, &end, 16);
	if (end == s || *end || mask == 0 || mask > UINT32_MAX || *s == '-')
		return rule_fail(rule, "\"%.40s\" is no bit mask from 0x1 to 0xffffffff", s);
	b->bitmask = (uint32_t)mask;
	b->bitmask_shift = (uint8_t)__builtin_ctz(b->bitmask);
	return 0;
}

enum shared_option { RELATIVE, STRING, DEC, HEX, OCT, BIG, LITTLE, DCE };
static const char *const shared_options[] = {"relative", "string", "dec", "hex", "oct", "big", "little", "dce", NULL};

struct given {
	bool based, endian;
};

/* An option that several of these keywords know. */
static int apply_shared(struct rule *rule, int option, struct match_bytes *b, struct given *given)
{
	switch (option) {
	case RELATIVE:
		b->relative = true;
		return 0;
	case STRING:
		b->string = true;
		if (!given->based)
			b->base = BYTES_DEC;
		return 0;
	case DEC:
	case HEX:
	case OCT:
		if (given->based)
			return rule_fail(rule, "the base stands twice");
		given->based = true;
		b->base = option == DEC ? BYTES_DEC : option == HEX ? BYTES_HEX : BYTES_OCT;
		return 0;
	case BIG:
	case LITTLE:
		b->little_endian = option == LITTLE;
		given->endian = true;
		return 0;
	default:
		b->dce = true;
		rule_wait(rule, "protocol dcerpc");
		return 0;
	}
}

static int check_shared(struct rule *rule, const struct match_bytes *b, const struct given *given)
{
	if (given->based && !b->string)
		return rule_fail(rule, "a base (hex, dec, oct) needs \"string\"");
	if (b->dce && (b->string || given->endian))
		return rule_fail(rule, "dce cannot stand with string, big or little");
	if (b->count_var != SIG_VAR_NONE)
		return 0;
	unsigned max = b->string ? STRING_BYTES_MAX : BINARY_BYTES_MAX;
	if (b->count > max)
		return rule_fail(rule, "%u bytes are too many: at most %u %s", b->count, max,
				 b->string ? "digits" : "bytes without \"string\"");
	return 0;
}

/* Adds the match where its `relative` says, from the values read before. */
static int add_bytes(struct rule *rule, enum match_type type, const struct match_bytes *b)
{
	int list = rule_relative_buffer(rule, b->relative);
	struct match *m = list < 0 ? NULL : rule_add(rule, list, type);
	if (m == NULL)
		return -EINVAL;
	m->bytes = *b;
	m->negated = b->negated;
	return 0;
}

/* --- byte_test, byte_jump ----------------------------------------------------------------------------------------------- */

static int read_test(struct rule *rule, char *s, struct match_bytes *b)
{
	static const char *const tests[] = {"<", ">", "=", "<=", ">=", "&", "^", "==", NULL};
	if (*s == '!') {
		b->negated = true;
		s = text_trim(s + 1); /* "!" alone: not equal */
	}
	int test = *s == '\0' && b->negated ? BYTE_OP_EQ : text_word(s, tests);
	if (test < 0)
		return rule_fail(
			rule, "\"%.10s\" is no operator: use <, >, =, <=, >=, & or ^, with ! before it to negate", s);
	b->test = test == 7 ? BYTE_OP_EQ : (unsigned)test;
	return 0;
}

static int read_value(struct rule *rule, const char *s, uint64_t *value, int8_t *var)
{
	char *end;
	if (is_var(s))
		return read_var(rule, s, var);
	errno = 0;
	*value = strtoull(s, &end, 0);
	if (end == s || *end || errno || *s == '-')
		return rule_fail(rule, "\"%.40s\" is no number", s);
	return 0;
}

int keyword_byte_test(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	struct match_bytes b = {0};
	struct given given = {0};
	bytes_clear(&b);
	char *rest = value, *count = text_next(&rest, ','), *test = text_next(&rest, ',');
	char *number = text_next(&rest, ','), *offset = text_next(&rest, ',');
	if (offset == NULL)
		return rule_fail(rule, "byte_test takes BYTES,OPERATOR,VALUE,OFFSET and options");
	if (read_count(rule, count, &b) != 0 || read_test(rule, test, &b) != 0 ||
	    read_value(rule, number, &b.value, &b.value_var) != 0 ||
	    read_offset(rule, offset, &b.offset, &b.offset_var) != 0)
		return -EINVAL;
	for (char *option; (option = text_next(&rest, ','));) {
		int known = text_word(option, shared_options);
		int err = known >= 0 ? apply_shared(rule, known, &b, &given)
			  : strncasecmp(option, "bitmask", 7) == 0
				  ? read_bitmask(rule, text_trim(option + 7), false, &b)
				  : rule_fail(rule, "unknown option \"%.40s\" of byte_test", option);
		if (err)
			return err;
	}
	if (check_shared(rule, &b, &given) != 0)
		return -EINVAL;
	if (b.count == 0 && b.count_var == SIG_VAR_NONE && !b.string)
		return rule_fail(rule, "byte_test reads at least one byte"); /* of a string 0 means: all digits */
	return add_bytes(rule, MATCH_BYTE_TEST, &b);
}

static int jump_number(struct rule *rule, const char *option, const char *s, struct match_bytes *b)
{
	uint64_t n;
	if (strcasecmp(option, "multiplier") == 0) {
		if (!text_u64(s, false, UINT16_MAX, &n) || n == 0)
			return rule_fail(rule, "\"%.40s\" is no multiplier from 1 to 65535", s);
		b->multiplier = (uint32_t)n;
		return 0;
	}
	if (strcasecmp(option, "post_offset") == 0)
		return read_offset(rule, s, &b->post_offset, &b->post_offset_var);
	if (strcasecmp(option, "bitmask") == 0)
		return read_bitmask(rule, s, false, b);
	return rule_fail(rule, "unknown option \"%.40s\" of byte_jump", option);
}

static int jump_option(struct rule *rule, char *option, struct match_bytes *b, struct given *given)
{
	int known = text_word(option, shared_options);
	if (known >= 0)
		return apply_shared(rule, known, b, given);
	if (strcasecmp(option, "align") == 0)
		b->align = true;
	else if (strcasecmp(option, "from_beginning") == 0)
		b->from_beginning = true;
	else if (strcasecmp(option, "from_end") == 0)
		b->from_end = true;
	else {
		const char *value = text_value(option);
		return jump_number(rule, option, value, b);
	}
	return 0;
}

int keyword_byte_jump(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	struct match_bytes b = {0};
	struct given given = {0};
	bytes_clear(&b);
	char *rest = value, *count = text_next(&rest, ','), *offset = text_next(&rest, ',');
	if (offset == NULL)
		return rule_fail(rule, "byte_jump takes BYTES,OFFSET and options");
	if (read_count(rule, count, &b) != 0 || read_offset(rule, offset, &b.offset, &b.offset_var) != 0)
		return -EINVAL;
	for (char *option; (option = text_next(&rest, ','));)
		if (jump_option(rule, option, &b, &given) != 0)
			return -EINVAL;
	if (b.from_beginning && b.from_end)
		return rule_fail(rule, "from_beginning cannot stand with from_end");
	if (b.dce && (b.from_beginning || b.from_end))
		return rule_fail(rule, "dce cannot stand with from_beginning or from_end");
	if (check_shared(rule, &b, &given) != 0)
		return -EINVAL;
	return add_bytes(rule, MATCH_BYTE_JUMP, &b);
}

/* --- byte_extract, byte_math ------------------------------------------------------------------------------------------- */

static int extract_option(struct rule *rule, char *option, struct match_bytes *b, struct given *given)
{
	uint64_t n;
	int known = text_word(option, shared_options);
	if (known >= 0) {
		if ((known == DEC || known == HEX || known == OCT) && !b->string)
			return rule_fail(rule, "write \"string\" before the base");
		return apply_shared(rule, known, b, given);
	}
	const char *value = text_value(option);
	if (strcasecmp(option, "multiplier") == 0) {
		if (!text_u64(value, false, UINT16_MAX, &n) || n == 0)
			return rule_fail(rule, "\"%.40s\" is no multiplier from 1 to 65535", value);
		b->multiplier = (uint32_t)n;
		return 0;
	}
	if (strcasecmp(option, "align") == 0) {
		if (!text_u64(value, false, 4, &n) || (n != 2 && n != 4))
			return rule_fail(rule, "align is 2 or 4, not \"%.40s\"", value);
		b->align_to = (uint8_t)n;
		return 0;
	}
	return rule_fail(rule, "unknown option \"%.40s\" of byte_extract", option);
}

int keyword_byte_extract(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	struct match_bytes b = {0};
	struct given given = {0};
	bytes_clear(&b);
	char *rest = value, *count = text_next(&rest, ','), *offset = text_next(&rest, ','),
	     *name = text_next(&rest, ',');
	if (name == NULL)
		return rule_fail(rule, "byte_extract takes BYTES,OFFSET,NAME and options");
	if (is_var(count) || read_count(rule, count, &b) != 0 || b.count == 0)
		return rule_fail(rule, "\"%.40s\" is no count of bytes from 1 to %u", count, STRING_BYTES_MAX);
	if (is_var(offset) || read_offset(rule, offset, &b.offset, &b.offset_var) != 0)
		return rule_fail(rule, "\"%.40s\" is no offset", offset);
	for (char *option; (option = text_next(&rest, ','));)
		if (extract_option(rule, option, &b, &given) != 0)
			return -EINVAL;
	if (b.string && given.endian)
		return rule_fail(rule, "string cannot stand with big or little");
	if (check_shared(rule, &b, &given) != 0)
		return -EINVAL;
	int var = rule_var_new(rule, name);
	if (var < 0)
		return -EINVAL;
	b.result_var = (uint8_t)var;
	return add_bytes(rule, MATCH_BYTE_EXTRACT, &b);
}

enum math_key { M_BYTES, M_OFFSET, M_OPER, M_RVALUE, M_RESULT, M_RELATIVE, M_ENDIAN, M_STRING, M_DCE, M_BITMASK };

static int math_oper(struct rule *rule, const char *s, struct match_bytes *b)
{
	static const char *const opers[] = {"+", "-", "*", "/", "<<", ">>", NULL};
	int oper = text_word(s, opers);
	if (oper < 0)
		return rule_fail(rule, "\"%.10s\" is no operator: use +, -, *, /, << or >>", s);
	b->math = (unsigned)oper;
	return 0;
}

static int math_base(struct rule *rule, const char *s, struct match_bytes *b, struct given *given)
{
	static const char *const bases[] = {"hex", "dec", "oct", NULL};
	static const enum byte_base values[] = {BYTES_HEX, BYTES_DEC, BYTES_OCT};
	int base = text_word(s, bases);
	if (base < 0)
		return rule_fail(rule, "\"%.10s\" is no base: string takes hex, dec or oct", s);
	b->string = given->based = true;
	b->base = values[base];
	return 0;
}

static int math_endian(struct rule *rule, const char *s, struct match_bytes *b, struct given *given)
{
	static const char *const endians[] = {"big", "little", "dce", NULL};
	int endian = text_word(s, endians);
	if (endian < 0)
		return rule_fail(rule, "\"%.10s\" is no byte order: use big, little or dce", s);
	return apply_shared(rule, endian == 0 ? BIG : endian == 1 ? LITTLE : DCE, b, given);
}

static int math_item(struct rule *rule, int key, char *s, struct match_bytes *b, struct given *given, char **result)
{
	switch ((enum math_key)key) {
	case M_BYTES:
		return read_count(rule, s, b);
	case M_OFFSET:
		return read_offset(rule, s, &b->offset, &b->offset_var);
	case M_OPER:
		return math_oper(rule, s, b);
	case M_RVALUE:
		if (read_value(rule, s, &b->rvalue, &b->rvalue_var) != 0)
			return -EINVAL;
		return b->rvalue > UINT32_MAX ? rule_fail(rule, "rvalue is larger than 4294967295") : 0;
	case M_RESULT:
		*result = s;
		return 0;
	case M_RELATIVE:
		b->relative = true;
		return 0;
	case M_ENDIAN:
		return math_endian(rule, s, b, given);
	case M_STRING:
		return math_base(rule, s, b, given);
	case M_DCE:
		return apply_shared(rule, DCE, b, given);
	case M_BITMASK:
		return read_bitmask(rule, s, true, b);
	}
	return -EINVAL;
}

int keyword_byte_math(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	static const char *const keys[] = {"bytes",  "offset", "oper", "rvalue",  "result", "relative",
					   "endian", "string", "dce",  "bitmask", NULL};
	struct match_bytes b = {0};
	struct given given = {0};
	char *result = NULL;
	unsigned seen = 0;
	bytes_clear(&b);
	for (char *rest = value, *item; (item = text_next(&rest, ','));) {
		char *s = text_value(item);
		int key = text_word(item, keys);
		if (key < 0)
			return rule_fail(rule, "unknown option \"%.40s\" of byte_math", item);
		if (seen & 1u << key)
			return rule_fail(rule, "%s stands twice", keys[key]);
		seen |= 1u << key;
		if (math_item(rule, key, s, &b, &given, &result) != 0)
			return -EINVAL;
	}
	for (int key = M_BYTES; key <= M_RESULT; key++)
		if (!(seen & 1u << key))
			return rule_fail(rule, "byte_math needs \"%s VALUE\"", keys[key]);
	if (b.count_var == SIG_VAR_NONE && (b.count < 1 || b.count > 10))
		return rule_fail(rule, "bytes is from 1 to 10");
	if ((b.math == BYTE_MATH_SHL || b.math == BYTE_MATH_SHR) && b.count > 4)
		return rule_fail(rule, "with << and >> bytes is from 1 to 4");
	if (b.math == BYTE_MATH_DIV && b.rvalue == 0 && b.rvalue_var == SIG_VAR_NONE)
		return rule_fail(rule, "it divides by zero");
	if (check_shared(rule, &b, &given) != 0)
		return -EINVAL;
	int var = rule_var_new(rule, result);
	if (var < 0)
		return -EINVAL;
	b.result_var = (uint8_t)var;
	return add_bytes(rule, MATCH_BYTE_MATH, &b);
}

/* --- sizes ---------------------------------------------------------------------------------------------------------------- */

int keyword_isdataat(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	struct match_isdataat at = {.at_var = SIG_VAR_NONE};
	uint64_t n;
	char *rest = value, *number = text_next(&rest, ',');
	if (*number == '!') {
		at.negated = true;
		number = text_trim(number + 1);
	}
	for (char *option; (option = text_next(&rest, ','));) {
		if (strcmp(option, "relative") == 0)
			at.relative = true;
		else if (strcmp(option, "rawbytes") != 0)
			return rule_fail(rule, "unknown option \"%.40s\" of isdataat: use relative or rawbytes",
					 option);
	}
	if (is_var(number)) {
		if (read_var(rule, number, &at.at_var) != 0)
			return -EINVAL;
	} else if (!text_u64(number, false, UINT16_MAX, &n)) {
		return rule_fail(rule, "\"%.40s\" is no number from 0 to 65535", number);
	} else {
		at.at = (uint32_t)n;
	}
	int list = rule_relative_buffer(rule, at.relative);
	if (list < 0)
		return -EINVAL;
	struct rule_match *last = rule_last(rule, TYPE(MATCH_CONTENT) | TYPE(MATCH_PCRE));
	if (at.relative && at.negated && at.at == 1 && at.at_var == SIG_VAR_NONE && last && last->list == list &&
	    last->match.type == MATCH_CONTENT && last == &rule->matches[rule->match_count - 1]) {
		last->match.content.flags |= CONTENT_ENDSWITH; /* nothing after it: the same, but cheaper */
		return 0;
	}
	struct match *m = rule_add(rule, list, MATCH_ISDATAAT);
	if (m == NULL)
		return -EINVAL;
	m->isdataat = at;
	m->negated = at.negated;
	return 0;
}

int keyword_bsize(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	struct number_test test;
	if (rule->sticky == NULL && !rule->sticky_base64)
		return rule_fail(rule, "bsize needs a sticky buffer before it; for the payload use dsize");
	if (!number_parse(value, UINT64_MAX, NULL, &test))
		return rule_fail(rule, "\"%.40s\" is no size: write N, <N, >N or N<>M", value);
	int list = rule_buffer(rule);
	struct match *m = list < 0 ? NULL : rule_add(rule, list, MATCH_BSIZE);
	if (m == NULL)
		return -EINVAL;
	m->number = test;
	return 0;
}

int keyword_absent(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	if (rule->sticky == NULL)
		return rule_fail(rule, "absent needs a sticky buffer before it");
	if (value && strcmp(value, "or_else") != 0)
		return rule_fail(rule, "absent takes nothing, or \"or_else\"");
	int list = rule_buffer(rule);
	if (list < 0)
		return -EINVAL;
	if (rule->buffers[list].count > 0)
		return rule_fail(rule, "absent comes first, right after its buffer");
	struct match *m = rule_add(rule, list, MATCH_ABSENT);
	if (m == NULL)
		return -EINVAL;
	m->flag = value != NULL;
	return 0;
}

/* --- base64 ----------------------------------------------------------------------------------------------------------------- */

int keyword_base64_decode(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	struct match_base64 decode = {0};
	uint64_t n;
	for (char *rest = value, *item; (item = text_next(&rest, ','));) {
		const char *number = text_value(item);
		if (strcmp(item, "relative") == 0 && *number == '\0')
			decode.relative = true;
		else if (strcmp(item, "bytes") == 0 && text_u64(number, false, UINT16_MAX, &n))
			decode.bytes = (uint32_t)n;
		else if (strcmp(item, "offset") == 0 && text_u64(number, false, UINT32_MAX, &n))
			decode.offset = (uint32_t)n;
		else
			return rule_fail(
				rule, "base64_decode takes \"bytes N\", \"offset N\" and \"relative\", not \"%.40s\"",
				item);
	}
	int list = rule_relative_buffer(rule, true);
	struct match *m = list < 0 ? NULL : rule_add(rule, list, MATCH_BASE64_DECODE);
	if (m == NULL)
		return -EINVAL;
	m->base64 = decode;
	return 0;
}

int keyword_base64_data(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword, (void)value;
	for (int i = 0; i < rule->match_count; i++) {
		if (rule->matches[i].match.type != MATCH_BASE64_DECODE)
			continue;
		rule->sticky = NULL;
		rule->sticky_base64 = true;
		rule->sticky_buffer = -1;
		return 0;
	}
	return rule_fail(rule, "base64_data needs a base64_decode before it");
}

/* --- asn1, entropy --------------------------------------------------------------------------------------------------------- */

int keyword_asn1(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	struct match_asn1 asn1 = {0};
	for (char *s = value, *save, *word = strtok_r(s, ", \t", &save); word; word = strtok_r(NULL, ", \t", &save)) {
		bool relative = strcmp(word, "relative_offset") == 0, absolute = strcmp(word, "absolute_offset") == 0;
		uint64_t n;
		int64_t offset;
		if (strcmp(word, "bitstring_overflow") == 0) {
			asn1.bitstring_overflow = true;
		} else if (strcmp(word, "double_overflow") == 0) {
			asn1.double_overflow = true;
		} else if (relative || absolute || strcmp(word, "oversize_length") == 0) {
			const char *number = strtok_r(NULL, ", \t", &save);
			if (number == NULL ||
			    !(relative || absolute ? text_i64(number, -OFFSET_MAX, OFFSET_MAX, &offset)
						   : text_u64(number, false, UINT32_MAX, &n)))
				return rule_fail(rule, "%s needs a number", word);
			if (relative || absolute)
				asn1.offset = (int32_t)offset;
			else
				asn1.oversize_length = (uint32_t)n;
			asn1.relative_offset |= relative;
			asn1.has_absolute_offset |= absolute;
		} else {
			return rule_fail(rule, "unknown option \"%.40s\" of asn1", word);
		}
	}
	int list = rule_buffer_of(rule, &rule->builder->payload);
	struct match *m = list < 0 ? NULL : rule_add(rule, list, MATCH_ASN1);
	if (m == NULL)
		return -EINVAL;
	m->asn1 = asn1;
	return 0;
}

/* "> 7.5", "4.1-5.2": returns whether it is a comparison of entropies. */
static bool entropy_value(const char *s, struct match_entropy *entropy)
{
	char *end;
	size_t op_len = number_op_parse(s, &entropy->op);
	if (op_len == 0)
		entropy->op = NUMBER_EQ;
	for (s += op_len; *s == ' ';)
		s++;
	entropy->a = strtod(s, &end);
	if (end == s || entropy->a < 0)
		return false;
	while (*end == ' ')
		end++;
	if (*end == '-' || strncmp(end, "<>", 2) == 0) {
		if (op_len && entropy->op != NUMBER_NE)
			return false;
		s = end + (*end == '-' ? 1 : 2);
		entropy->op = op_len ? NUMBER_RANGE_NOT : NUMBER_RANGE;
		entropy->b = strtod(s, &end);
		if (end == s || entropy->b <= entropy->a)
			return false;
	}
	while (*end == ' ')
		end++;
	return *end == '\0';
}

/* Under which records show what was found: "file_data" for file.data, "content" for the payload. */
static uint32_t entropy_name(struct rule *rule)
{
	char name[64];
	const char *buffer = rule->sticky_base64 ? "base64_data" : rule->sticky ? rule->sticky->name : "content";
	snprintf(name, sizeof(name), "%s", buffer);
	for (char *s = name; *s; s++)
		if (*s == '.')
			*s = '_';
	return builder_name(rule->builder, NAME_ENTROPY, name);
}

int keyword_entropy(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	struct match_entropy entropy = {0};
	bool valued = false;
	for (char *rest = value, *item; (item = text_next(&rest, ','));) {
		const char *number = text_value(item);
		uint64_t n;
		if (strcmp(item, "value") == 0) {
			if (valued || !entropy_value(number, &entropy))
				return rule_fail(rule, "\"%.40s\" is no entropy: write N, <N, >N or N-M, from 0 to 8",
						 number);
			valued = true;
		} else if (strcmp(item, "bytes") == 0 && text_u64(number, false, INT32_MAX, &n)) {
			entropy.bytes = (uint32_t)n;
		} else if (strcmp(item, "offset") == 0 && text_u64(number, false, OFFSET_MAX, &n)) {
			entropy.offset = (uint32_t)n;
		} else {
			return rule_fail(rule,
					 "entropy takes \"value N\", \"bytes N\" and \"offset N\", not \"%.40s %.40s\"",
					 item, number);
		}
	}
	if (!valued)
		return rule_fail(rule, "entropy needs \"value N\"");
	int list = rule_buffer(rule);
	struct match *m = list < 0 ? NULL : rule_add(rule, list, MATCH_ENTROPY);
	if (m == NULL)
		return -EINVAL;
	entropy.name = entropy_name(rule);
	if (entropy.name == UINT32_MAX)
		return rule_fail(rule, "out of memory");
	m->entropy = entropy;
	return 0;
}
