/* SPDX-License-Identifier: BSD-3-Clause */
#include "json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int jw_init(struct json *json, size_t cap)
{
	*json = (struct json){.buf = malloc(cap), .cap = cap};
	return json->buf ? 0 : -ENOMEM;
}

void jw_free(struct json *json)
{
	free(json->buf);
	json->buf = NULL;
}

static void put(struct json *j, const char *s, size_t n)
{
	if (j->cap - j->len < n) {
		j->overflow = true;
		return;
	}
	memcpy(j->buf + j->len, s, n);
	j->len += n;
}

static inline void put_char(struct json *j, char c)
{
	if (j->len == j->cap) {
		j->overflow = true;
		return;
	}
	j->buf[j->len++] = c;
}

/* The comma and the name that go before a value. Names are ours or the protocols', but a variable of a rule may be one. */
static void put_escaped(struct json *j, const uint8_t *s, size_t n);

static void before_value(struct json *j, const char *name)
{
	uint64_t bit = 1ull << j->depth;
	if (j->has_item & bit)
		put_char(j, ',');
	j->has_item |= bit;
	if (j->is_array & bit)
		return;
	put_char(j, '"');
	put_escaped(j, (const uint8_t *)(name ? name : ""), name ? strlen(name) : 0);
	put(j, "\":", 2);
}

static void open_level(struct json *j, const char *name, bool array)
{
	before_value(j, name);
	put_char(j, array ? '[' : '{');
	if (j->depth + 1 >= JSON_DEPTH_MAX) {
		j->overflow = true;
		return;
	}
	uint64_t bit = 1ull << ++j->depth;
	j->has_item &= ~bit;
	j->is_array = array ? j->is_array | bit : j->is_array & ~bit;
}

void jw_begin(struct json *json)
{
	json->len = 0;
	json->depth = 0;
	json->is_array = 0;
	json->has_item = 0;
	json->overflow = false;
	put_char(json, '{');
}

bool jw_end(struct json *json)
{
	while (json->depth > 0)
		jw_close(json);
	put(json, "}\n", 2);
	return !json->overflow;
}

void jw_object(struct json *json, const char *name)
{
	open_level(json, name, false);
}

void jw_array(struct json *json, const char *name)
{
	open_level(json, name, true);
}

void jw_close(struct json *json)
{
	if (json->depth == 0)
		return;
	put_char(json, json->is_array >> json->depth & 1 ? ']' : '}');
	json->depth--;
}

/* The length of the valid UTF-8 sequence that begins at s; 0 when there is none (RFC 3629: no surrogates, no overlong forms). */
static unsigned utf8_length(const uint8_t *s, size_t n)
{
	unsigned len = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : 4;
	if ((s[0] >= 0x80 && s[0] < 0xc2) || s[0] > 0xf4 || len > n)
		return 0;
	for (unsigned i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return len;
}

static bool utf8_valid(const uint8_t *s, size_t n)
{
	for (size_t i = 0; i < n;) {
		unsigned len = utf8_length(s + i, n - i);
		if (len == 0)
			return false;
		i += len;
	}
	return true;
}

static const char hex_digits[] = "0123456789abcdef";

static void put_escape(struct json *j, uint8_t c)
{
	switch (c) {
	case '"':
		put(j, "\\\"", 2);
		return;
	case '\\':
		put(j, "\\\\", 2);
		return;
	case '\n':
		put(j, "\\n", 2);
		return;
	case '\r':
		put(j, "\\r", 2);
		return;
	case '\t':
		put(j, "\\t", 2);
		return;
	default: {
		char u[6] = {'\\', 'u', '0', '0', hex_digits[c >> 4], hex_digits[c & 15]};
		put(j, u, sizeof(u));
	}
	}
}

static inline bool needs_escape(uint8_t c)
{
	return c < 0x20 || c == '"' || c == '\\' || c == 0x7f;
}

/* Text known to be valid: runs that need no escape are copied whole. */
static void put_escaped(struct json *j, const uint8_t *s, size_t n)
{
	size_t run = 0;
	for (size_t i = 0; i < n; i++) {
		if (!needs_escape(s[i]))
			continue;
		put(j, (const char *)s + run, i - run);
		put_escape(j, s[i]);
		run = i + 1;
	}
	put(j, (const char *)s + run, n - run);
}

static void put_foreign(struct json *j, const uint8_t *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] >= 0x20 && s[i] < 0x7f) {
			if (needs_escape(s[i]))
				put_escape(j, s[i]);
			else
				put_char(j, (char)s[i]);
			continue;
		}
		char x[5] = {'\\', '\\', 'x', hex_digits[s[i] >> 4], hex_digits[s[i] & 15]};
		put(j, x, sizeof(x));
	}
}

/* Where to cut so that no UTF-8 sequence is broken. */
static size_t text_cut(const uint8_t *s, size_t n)
{
	if (n <= JSON_TEXT_MAX)
		return n;
	size_t cut = JSON_TEXT_MAX;
	while (cut > JSON_TEXT_MAX - 4 && (s[cut] & 0xc0) == 0x80)
		cut--;
	return cut;
}

void jw_text(struct json *json, const char *name, struct bytes value)
{
	before_value(json, name);
	put_char(json, '"');
	if (value.len > 0) {
		size_t n = text_cut(value.data, value.len);
		if (utf8_valid(value.data, n))
			put_escaped(json, value.data, n);
		else
			put_foreign(json, value.data, n);
	}
	put_char(json, '"');
}

void jw_string(struct json *json, const char *name, const char *value)
{
	jw_text(json, name, (struct bytes){.data = (const uint8_t *)value, .len = strlen(value)});
}

static void put_decimal(struct json *j, uint64_t value)
{
	char digits[20];
	unsigned at = sizeof(digits);
	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	put(j, digits + at, sizeof(digits) - at);
}

void jw_uint(struct json *json, const char *name, uint64_t value)
{
	before_value(json, name);
	put_decimal(json, value);
}

void jw_int(struct json *json, const char *name, int64_t value)
{
	before_value(json, name);
	if (value < 0)
		put_char(json, '-');
	put_decimal(json, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void jw_bool(struct json *json, const char *name, bool value)
{
	before_value(json, name);
	put(json, value ? "true" : "false", value ? 4 : 5);
}

static void put_fraction(struct json *json, const char *name, const char *text, int n, int size, double value)
{
	before_value(json, name);
	/* infinities and NaN have no place in JSON */
	if (n <= 0 || n >= size || !(value > -1e50 && value < 1e50))
		put(json, "null", 4);
	else
		put(json, text, (size_t)n);
}

void jw_number(struct json *json, const char *name, double value)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%.6f", value);
	put_fraction(json, name, text, n, sizeof(text), value);
}

void jw_exact(struct json *json, const char *name, double value)
{
	char text[64];
	int n = 0;
	/* 17 digits are enough for any double; most need fewer */
	for (int digits = 15; digits <= 17; digits++) {
		n = snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	put_fraction(json, name, text, n, sizeof(text), value);
}

void jw_hex(struct json *json, const char *name, const uint8_t *data, size_t len)
{
	before_value(json, name);
	put_char(json, '"');
	for (size_t i = 0; i < len; i++) {
		put_char(json, hex_digits[data[i] >> 4]);
		put_char(json, hex_digits[data[i] & 15]);
	}
	put_char(json, '"');
}

void jw_base64(struct json *json, const char *name, const uint8_t *data, size_t len)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	before_value(json, name);
	put_char(json, '"');
	for (size_t i = 0; i < len; i += 3) {
		size_t left = len - i;
		uint32_t v = (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
			     (left > 2 ? data[i + 2] : 0);
		char out[4] = {set[v >> 18], set[v >> 12 & 63], left > 1 ? set[v >> 6 & 63] : '=',
			       left > 2 ? set[v & 63] : '='};
		put(json, out, sizeof(out));
	}
	put_char(json, '"');
}

void jw_printable(struct json *json, const char *name, const uint8_t *data, size_t len)
{
	before_value(json, name);
	put_char(json, '"');
	for (size_t i = 0; i < len; i++) {
		uint8_t c = data[i];
		if (c == '\n' || c == '\r' || c == '"' || c == '\\')
			put_escape(json, c);
		else
			put_char(json, c >= 0x20 && c < 0x7f ? (char)c : '.');
	}
	put_char(json, '"');
}

/* Digits of a number, with zeros in front. */
static void put_digits(char *at, unsigned digits, uint32_t value)
{
	for (unsigned i = digits; i > 0; i--, value /= 10)
		at[i - 1] = (char)('0' + value % 10);
}

struct date {
	uint32_t year, month, day;
};

/* The Gregorian date so many days after 1970-01-01. By arithmetic: the C library's gmtime_r takes a lock that all threads share. Years
 * are counted from March, so that the leap day is the last one. */
static struct date date_of(uint64_t days)
{
	const uint32_t cycle_days = 146097; /* 400 years */
	uint64_t since = days + 719468;	    /* from 0000-03-01 */
	uint32_t cycle = (uint32_t)(since / cycle_days), rest = (uint32_t)(since % cycle_days);
	uint32_t year = (rest - rest / 1460 + rest / 36524 - rest / 146096) / 365;
	uint32_t day = rest - (365 * year + year / 4 - year / 100);
	uint32_t month = (5 * day + 2) / 153; /* 0 is March */
	return (struct date){.year = cycle * 400 + year + (month >= 10),
			     .month = month < 10 ? month + 3 : month - 9,
			     .day = day - (153 * month + 2) / 5 + 1};
}

void jw_time(struct json *json, const char *name, uint64_t ts_ns)
{
	uint64_t seconds = ts_ns / 1000000000u;
	uint32_t of_day = (uint32_t)(seconds % 86400);
	struct date date = date_of(seconds / 86400);
	char text[] = "0000-00-00T00:00:00.000000+0000";
	put_digits(text, 4, date.year);
	put_digits(text + 5, 2, date.month);
	put_digits(text + 8, 2, date.day);
	put_digits(text + 11, 2, of_day / 3600);
	put_digits(text + 14, 2, of_day / 60 % 60);
	put_digits(text + 17, 2, of_day % 60);
	put_digits(text + 20, 6, (uint32_t)(ts_ns % 1000000000u / 1000));
	before_value(json, name);
	put_char(json, '"');
	put(json, text, sizeof(text) - 1);
	put_char(json, '"');
}

/* --- the sink ------------------------------------------------------------------------------------------------------- */

static struct json *sink_json(struct field_sink *sink)
{
	return ((struct json_sink *)sink)->json;
}

static void sink_object(struct field_sink *sink, const char *name)
{
	jw_object(sink_json(sink), name);
}

static void sink_array(struct field_sink *sink, const char *name)
{
	jw_array(sink_json(sink), name);
}

static void sink_close(struct field_sink *sink)
{
	jw_close(sink_json(sink));
}

static void sink_text(struct field_sink *sink, const char *name, struct bytes value)
{
	jw_text(sink_json(sink), name, value);
}

static void sink_number(struct field_sink *sink, const char *name, int64_t value)
{
	jw_int(sink_json(sink), name, value);
}

static void sink_fraction(struct field_sink *sink, const char *name, double value)
{
	jw_exact(sink_json(sink), name, value);
}

static void sink_boolean(struct field_sink *sink, const char *name, bool value)
{
	jw_bool(sink_json(sink), name, value);
}

void jw_sink_init(struct json_sink *sink, struct json *json)
{
	*sink = (struct json_sink){
		.sink = {.object = sink_object,
			 .array = sink_array,
			 .close = sink_close,
			 .text = sink_text,
			 .number = sink_number,
			 .fraction = sink_fraction,
			 .boolean = sink_boolean},
		.json = json,
	};
}
