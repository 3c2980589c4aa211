/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "parse.h"

/* Old keywords of TLS whose values have a form of their own. What they look at is registered by the protocol. */

/* tls.subject:"..." and its like: a content of the buffer that holds the same. arg is 1 for the whole text. */
int keyword_tls_text(struct rule *rule, const struct keyword *keyword, char *value)
{
	static const struct {
		const char *keyword, *buffer;
	} buffers[] = {{"tls.subject", "tls.cert_subject"},
		       {"tls.issuerdn", "tls.cert_issuer"},
		       {"tls.fingerprint", "tls.cert_fingerprint"}};
	const struct buffer_info *info = NULL;
	for (unsigned i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++)
		if (strcmp(keyword->name, buffers[i].keyword) == 0)
			info = buffer_info_find(rule->builder, buffers[i].buffer);
	if (info == NULL)
		return keyword_wait_value(rule, keyword, value);
	int list = rule_buffer_of(rule, info);
	struct match *m = list < 0 ? NULL : rule_add(rule, list, MATCH_CONTENT);
	if (m == NULL)
		return -EINVAL;
	rule->buffers[list].by_modifier = true;
	struct match_content *c = &m->content;
	c->pattern = (struct bytes){.data = (const uint8_t *)value, .len = strlen(value)};
	c->flags = rule->negated ? CONTENT_NEGATED : 0;
	c->offset_var = c->depth_var = c->distance_var = c->within_var = SIG_VAR_NONE;
	if (keyword->arg) {
		for (char *s = value; *s; s++)
			*s = (char)tolower((unsigned char)*s);
		c->flags |= CONTENT_DEPTH | CONTENT_STARTSWITH | CONTENT_ENDSWITH;
		c->depth = (int32_t)c->pattern.len;
	}
	return 0;
}

/* States of the key exchange are known later than the hellos: the protocol has a value of its own for them. */
int keyword_ssl_state(struct rule *rule, const struct keyword *keyword, char *value)
{
	const char *name = "ssl_state.keyx";
	const struct keyword *late = keyword_find(rule->builder, name, strlen(name));
	if (strstr(value, "keyx") && late && late->parse == keyword_app_value)
		return keyword_app_value(rule, late, value);
	return keyword->info ? keyword_app_value(rule, keyword, value) : keyword_wait_value(rule, keyword, value);
}

static int add_test(struct rule *rule, const struct keyword *keyword, struct number_test test)
{
	struct match_app_value v = {.index_mode = INDEX_ANY, .test = test};
	return rule_add_value(rule, keyword->info, &v);
}

int keyword_cert_flag(struct rule *rule, const struct keyword *keyword, char *value)
{
	if (keyword->info == NULL)
		return keyword_wait_value(rule, keyword, value);
	return add_test(rule, keyword, (struct number_test){.op = NUMBER_EQ, .a = 1});
}

/* "2016", "2016-09-20", "2016-09-20T14:30:00" or seconds since 1970. */
static bool read_date(char *s, uint64_t *seconds)
{
	static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H",
					    "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H",
					    "%Y-%m-%d",		 "%Y-%m",	   "%Y"};
	s = text_trim(s);
	if (strlen(s) != 4 && text_u64(s, false, UINT32_MAX, seconds))
		return true;
	for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct tm tm = {.tm_mday = 1};
		const char *end = strptime(s, forms[i], &tm);
		time_t t = end && *end == '\0' ? timegm(&tm) : -1;
		if (t < 0)
			continue;
		*seconds = (uint64_t)t;
		return true;
	}
	return false;
}

int keyword_cert_date(struct rule *rule, const struct keyword *keyword, char *value)
{
	struct number_test test = {.op = NUMBER_EQ};
	char *middle = strstr(value, "<>");
	bool good;
	if (middle) {
		*middle = '\0';
		test.op = NUMBER_RANGE_IN;
		good = read_date(value, &test.a) && read_date(middle + 2, &test.b) && test.a <= test.b;
	} else {
		bool before = *value == '<', after = *value == '>';
		test.op = before ? NUMBER_LE : after ? NUMBER_GE : NUMBER_EQ;
		good = read_date(value + (before || after), &test.a);
	}
	if (!good)
		return rule_fail(rule,
				 "%s takes a date, <DATE, >DATE or DATE<>DATE, as 2016-09-20T14:30:00 or its beginning",
				 keyword->name);
	return keyword->info ? add_test(rule, keyword, test) : keyword_wait_value(rule, keyword, value);
}
