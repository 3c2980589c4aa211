/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "parse.h"

/* Transforms: they change the sticky buffer before them, for the matches after them. */

/* Longest key of xor. */
#define XOR_KEY_MAX 255
/* What gunzip and zlib_deflate give at most when the rule does not say. */
#define INFLATE_DEFAULT 4096

static int hex_nibble(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;
	return at && c != ' ' ? (int)(at - digits) : -1;
}

static int xor_key(struct rule *rule, char *value, struct transform *t)
{
	size_t len = strlen(value);
	if (len == 0 || len % 2 || len / 2 > XOR_KEY_MAX)
		return rule_fail(rule, "the key of xor is hex: pairs of digits, at most %u", XOR_KEY_MAX);
	for (size_t i = 0; i < len / 2; i++) {
		int high = hex_nibble(value[2 * i]), low = hex_nibble(value[2 * i + 1]);
		if (high < 0 || low < 0)
			return rule_fail(rule, "the key of xor is hex, not \"%.40s\"", value);
		value[i] = (char)(high << 4 | low);
	}
	t->key = (struct bytes){.data = (const uint8_t *)value, .len = len / 2};
	return 0;
}

static int base64_options(struct rule *rule, char *value, struct transform *t)
{
	static const char *const modes[] = {"rfc4648", "rfc2045", "strict", NULL};
	t->base64.mode = BASE64_RFC4648;
	for (char *rest = value, *item; (item = text_next(&rest, ','));) {
		const char *s = text_value(item);
		uint64_t n;
		int mode = strcmp(item, "mode") == 0 ? text_word(s, modes) : -1;
		if (mode >= 0)
			t->base64.mode = (enum base64_mode)mode;
		else if (strcmp(item, "bytes") == 0 && text_u64(s, false, UINT16_MAX, &n) && n > 0)
			t->base64.bytes = (uint32_t)n;
		else if (strcmp(item, "offset") == 0 && text_u64(s, false, UINT16_MAX, &n))
			t->base64.offset = (uint32_t)n;
		else
			return rule_fail(
				rule,
				"from_base64 takes \"bytes N\", \"offset N\" and \"mode rfc4648\", rfc2045 or strict, "
				"not \"%.40s %.40s\"",
				item, s);
	}
	return 0;
}

static int inflate_options(struct rule *rule, char *value, struct transform *t)
{
	struct number_test size;
	t->max_size = INFLATE_DEFAULT;
	if (value == NULL)
		return 0;
	char *s = text_value(value);
	if (strcmp(value, "max-size") != 0 || !number_parse(s, 16u << 20, NULL, &size) || size.op != NUMBER_EQ ||
	    size.a == 0)
		return rule_fail(rule, "%s takes \"max-size N\", up to 16mb", rule->keyword->name);
	t->max_size = (uint32_t)size.a;
	return 0;
}

static int transform_options(struct rule *rule, char *value, struct transform *t)
{
	switch (t->type) {
	case TRANSFORM_XOR:
		return xor_key(rule, value, t);
	case TRANSFORM_FROM_BASE64:
		return base64_options(rule, value, t);
	case TRANSFORM_GUNZIP:
	case TRANSFORM_ZLIB_DEFLATE:
		return inflate_options(rule, value, t);
	case TRANSFORM_PCREXFORM: {
		const struct compiled_regex *regex = regex_compile(rule, value, 0);
		if (regex == NULL)
			return -EINVAL;
		if (regex->capture_count != 1)
			return rule_fail(rule, "pcrexform needs one group in its expression: it is what is left");
		t->code = regex->code;
		return 0;
	}
	default:
		return 0;
	}
}

int keyword_transform(struct rule *rule, const struct keyword *keyword, char *value)
{
	if (rule->sticky == NULL)
		return rule_fail(rule, "%s needs a sticky buffer before it", keyword->name);
	if (rule->transform_count == RULE_TRANSFORMS_MAX)
		return rule_fail(rule, "more than %u transforms on one buffer", RULE_TRANSFORMS_MAX);
	size_t used = strlen(rule->transform_key);
	int len = snprintf(rule->transform_key + used, sizeof(rule->transform_key) - used, "|%s:%s", keyword->name,
			   value ? value : "");
	if (len < 0 || used + (size_t)len >= sizeof(rule->transform_key))
		return rule_fail(rule, "the transforms' options are longer than %zu bytes",
				 sizeof(rule->transform_key));
	struct transform *t = &rule->transforms[rule->transform_count++];
	*t = (struct transform){.type = (enum transform_type)keyword->arg};
	return transform_options(rule, value, t);
}
