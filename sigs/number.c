/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "text.h"

bool number_test_holds(const struct number_test *test, uint64_t value)
{
	switch (test->op) {
	case NUMBER_EQ:
		return value == test->a;
	case NUMBER_NE:
		return value != test->a;
	case NUMBER_LT:
		return value < test->a;
	case NUMBER_LE:
		return value <= test->a;
	case NUMBER_GT:
		return value > test->a;
	case NUMBER_GE:
		return value >= test->a;
	case NUMBER_RANGE:
		return value > test->a && value < test->b;
	case NUMBER_RANGE_NOT:
		return value <= test->a || value >= test->b;
	case NUMBER_MASK_SET:
		return (value & test->a) == test->b;
	case NUMBER_MASK_NOT:
		return (value & test->a) != test->b;
	case NUMBER_RANGE_IN:
		return value >= test->a && value <= test->b;
	}
	return false;
}

char *text_trim(char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	size_t len = strlen(s);
	while (len > 0 && isspace((unsigned char)s[len - 1]))
		len--;
	s[len] = '\0';
	return s;
}

char *text_next(char **rest, char separator)
{
	char *s = *rest;
	if (s == NULL)
		return NULL;
	char *end = strchr(s, separator);
	*rest = end ? end + 1 : NULL;
	if (end)
		*end = '\0';
	return text_trim(s);
}

char *text_value(char *s)
{
	char *at = s;
	while (*at && !isspace((unsigned char)*at))
		at++;
	if (*at == '\0')
		return at;
	*at = '\0';
	return text_trim(at + 1);
}

static const char *skip_blanks(const char *s)
{
	while (*s == ' ' || *s == '\t')
		s++;
	return s;
}

/* Digits of the base from s on; returns past them, NULL when there are none or they are above max. */
static const char *read_digits(const char *s, unsigned base, uint64_t max, uint64_t *out)
{
	const char *start = s;
	uint64_t value = 0;
	for (;; s++) {
		unsigned c = (unsigned char)*s, digit;
		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if (base == 16 && isxdigit((int)c))
			digit = (unsigned)tolower((int)c) - 'a' + 10;
		else
			break;
		if (value > (max - digit) / base || digit > max)
			return NULL;
		value = value * base + digit;
	}
	if (s == start)
		return NULL;
	*out = value;
	return s;
}

bool text_u64(const char *s, bool hex, uint64_t max, uint64_t *out)
{
	const char *end;
	if (hex && s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))
		end = read_digits(s + 2, 16, max, out);
	else
		end = read_digits(s, 10, max, out);
	return end && *end == '\0';
}

bool text_i64(const char *s, int64_t min, int64_t max, int64_t *out)
{
	uint64_t value;
	bool negative = *s == '-';
	if (!text_u64(s + (negative || *s == '+'), false, INT64_MAX, &value))
		return false;
	*out = negative ? -(int64_t)value : (int64_t)value;
	return *out >= min && *out <= max;
}

int text_word(const char *s, const char *const *words)
{
	for (int i = 0; words[i]; i++)
		if (strcasecmp(s, words[i]) == 0)
			return i;
	return -1;
}

/* A number with its unit, returns past it. */
static const char *read_number(const char *s, uint64_t max, uint64_t *out)
{
	static const struct {
		char text[4];
		unsigned shift;
	} units[] = {{"kib", 10}, {"kb", 10}, {"mib", 20}, {"mb", 20}, {"gib", 30}, {"gb", 30}};
	if (s[0] == '0' && s[1] == 'x')
		return read_digits(s + 2, 16, max, out);
	s = read_digits(s, 10, max, out);
	if (s == NULL)
		return NULL;
	for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		size_t len = strlen(units[i].text);
		if (strncasecmp(s, units[i].text, len) != 0)
			continue;
		if (*out > max >> units[i].shift)
			return NULL;
		*out <<= units[i].shift;
		return s + len;
	}
	return s;
}

size_t number_op_parse(const char *s, enum number_op *op)
{
	static const struct {
		char text[3];
		enum number_op op;
	} ops[] = {{">=", NUMBER_GE}, {"<=", NUMBER_LE}, {"!=", NUMBER_NE}, {"==", NUMBER_EQ},
		   {">", NUMBER_GT},  {"<", NUMBER_LT},	 {"!", NUMBER_NE},  {"=", NUMBER_EQ}};
	for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		size_t len = strlen(ops[i].text);
		if (strncmp(s, ops[i].text, len) == 0) {
			*op = ops[i].op;
			return len;
		}
	}
	return 0;
}

/* "& mask = value" */
static const char *parse_mask(const char *s, uint64_t max, struct number_test *out)
{
	s = read_number(skip_blanks(s + 1), max, &out->a);
	if (s == NULL)
		return NULL;
	s = skip_blanks(s);
	out->op = *s == '!' ? NUMBER_MASK_NOT : NUMBER_MASK_SET;
	s += *s == '!';
	if (*s != '=')
		return NULL;
	s = read_number(skip_blanks(s + 1), max, &out->b);
	if (s == NULL || (out->a & out->b) != out->b)
		return NULL; /* bits outside the mask can never be seen */
	return s;
}

/* "a<>b" or "a-b" after the first number; NULL when it is something else. */
static const char *parse_range(const char *s, uint64_t max, bool negated, struct number_test *out)
{
	s = skip_blanks(s);
	if (*s == '-')
		s++;
	else if (s[0] == '<' && s[1] == '>')
		s += 2;
	else
		return NULL;
	s = read_number(skip_blanks(s), max, &out->b);
	if (s == NULL || out->b <= out->a || out->b - out->a < 2)
		return NULL; /* nothing lies between */
	out->op = negated ? NUMBER_RANGE_NOT : NUMBER_RANGE;
	return s;
}

static bool always_or_never(const struct number_test *test, uint64_t max)
{
	switch (test->op) {
	case NUMBER_LT:
	case NUMBER_GE:
		return test->a == 0;
	case NUMBER_LE:
	case NUMBER_GT:
		return test->a == max;
	default:
		return false;
	}
}

static bool parse_name(const char *s, const struct app_value_name *names, struct number_test *out)
{
	out->op = *s == '!' ? NUMBER_NE : NUMBER_EQ;
	s = skip_blanks(s + (*s == '!'));
	for (; names && names->name; names++) {
		if (strcasecmp(names->name, s) == 0) {
			out->a = names->value;
			return true;
		}
	}
	return false;
}

bool number_parse(const char *s, uint64_t max, const struct app_value_name *names, struct number_test *out)
{
	*out = (struct number_test){0};
	const char *text = s = skip_blanks(s), *end;
	if (*s == '&') {
		end = parse_mask(s, max, out);
		return end && *skip_blanks(end) == '\0';
	}
	enum number_op op = NUMBER_EQ;
	size_t op_len = number_op_parse(s, &op);
	end = read_number(skip_blanks(s + op_len), max, &out->a);
	if (end == NULL)
		return parse_name(text, names, out);
	if (op_len == 0 || (op_len == 1 && op == NUMBER_NE)) {
		const char *after = parse_range(end, max, op == NUMBER_NE, out);
		if (after)
			return *skip_blanks(after) == '\0';
	}
	out->op = op;
	if (*skip_blanks(end) != '\0')
		return parse_name(text, names, out);
	return !always_or_never(out, max);
}
