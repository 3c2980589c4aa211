/* SPDX-License-Identifier: BSD-3-Clause */
#include "app/http.h"

/* What both directions read in lines: versions, lengths, chunk sizes. */

struct bytes http_trim(struct bytes b)
{
	while (b.len && http_is_space(b.data[0])) {
		b.data++;
		b.len--;
	}
	while (b.len && http_is_space(b.data[b.len - 1]))
		b.len--;
	return b;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

bool http_equal_nocase(struct bytes b, const char *text)
{
	size_t i;

	for (i = 0; i < b.len; i++)
		if (text[i] == 0 || lower(b.data[i]) != lower((uint8_t)text[i]))
			return false;
	return text[i] == 0;
}

bool http_equal_nocase_nul(struct bytes b, const char *text)
{
	for (size_t i = 0; i < b.len; i++) {
		if (b.data[i] == 0)
			continue;
		if (*text == 0 || lower(b.data[i]) != lower((uint8_t)*text))
			return false;
		text++;
	}
	return *text == 0;
}

/* Whether text begins at b.data[i], NUL bytes ignored. */
static bool begins_nocase(struct bytes b, size_t i, const char *text)
{
	for (; *text; i++) {
		if (i == b.len)
			return false;
		if (b.data[i] == 0)
			continue;
		if (lower(b.data[i]) != lower((uint8_t)*text))
			return false;
		text++;
	}
	return true;
}

ssize_t http_find_nocase(struct bytes b, const char *text)
{
	for (size_t i = 0; i < b.len; i++)
		if (b.data[i] && begins_nocase(b, i, text))
			return (ssize_t)i;
	return -1;
}

bool http_line(struct http_input *in, struct bytes *line)
{
	size_t left = http_left(in);
	const uint8_t *lf = left ? memchr(in->at, '\n', left) : NULL;

	if (!lf && (!in->eof || left == 0))
		return false;
	*line = (struct bytes){.data = in->at, .len = lf ? (size_t)(lf - in->at) + 1 : left};
	return true;
}

bool http_line_too_long(struct http_input *in)
{
	if (http_left(in) <= HTTP_FIELD_MAX)
		return false;
	http_event(in->http, in->side->tx,
		   in->dir == TO_SERVER ? HTTP_EVENT_REQUEST_FIELD_TOO_LONG : HTTP_EVENT_RESPONSE_FIELD_TOO_LONG);
	return true;
}

static const uint8_t *skip_space(const uint8_t *p, const uint8_t *end)
{
	while (p < end && http_is_space(*p))
		p++;
	return p;
}

enum http_version http_version_of(struct bytes protocol, bool *odd)
{
	const uint8_t *p = protocol.data, *end = p + protocol.len, *before;
	enum http_version version = HTTP_VERSION_INVALID;

	*odd = false;
	p = skip_space(p, end);
	if (end - p < 4 || strncasecmp((const char *)p, "http", 4) != 0)
		return version;
	before = p + 4;
	p = skip_space(before, end);
	*odd = p != before;
	if (p == end || *p++ != '/')
		return version;
	before = p;
	while (p < end && (http_is_space(*p) || *p == '0'))
		p++;
	*odd |= p != before;
	if (end - p >= 2 && memcmp(p, ".9", 2) == 0) {
		version = HTTP_VERSION_0_9;
		p += 2;
	} else if (end - p >= 3 && memcmp(p, "1.", 2) == 0 && (p[2] == '0' || p[2] == '1')) {
		version = p[2] == '0' ? HTTP_VERSION_1_0 : HTTP_VERSION_1_1;
		p += 3;
	}
	return skip_space(p, end) == end ? version : HTTP_VERSION_INVALID;
}

bool http_content_length(struct bytes value, uint64_t *length, bool *junk_before, bool *junk_after)
{
	size_t i = 0, begin;

	while (i < value.len && (value.data[i] == ' ' || value.data[i] == '\t'))
		i++;
	begin = i;
	while (i < value.len && (value.data[i] < '0' || value.data[i] > '9'))
		i++;
	*junk_before = i > begin;
	if (i == value.len)
		return false;
	for (*length = 0; i < value.len && value.data[i] >= '0' && value.data[i] <= '9'; i++)
		if (__builtin_mul_overflow(*length, 10u, length) ||
		    __builtin_add_overflow(*length, (uint64_t)(value.data[i] - '0'), length))
			return false;
	while (i < value.len && (value.data[i] == ' ' || value.data[i] == '\t'))
		i++;
	*junk_after = i < value.len;
	return true;
}

static bool is_hex(uint8_t c)
{
	return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'f');
}

enum http_chunk http_chunk_size(struct bytes line, uint64_t *size, bool *extension)
{
	const uint8_t *p = line.data, *end = p + line.len, *digits;

	*size = 0;
	*extension = false;
	p = skip_space(p, end);
	if (p == end)
		return HTTP_CHUNK_SKIP;
	for (digits = p; p < end && is_hex(*p); p++) {
		if (*size >> 60)
			return HTTP_CHUNK_BAD;
		*size = *size << 4 | (*p <= '9' ? *p - '0' : lower(*p) - 'a' + 10);
	}
	if (p == digits)
		return HTTP_CHUNK_BAD;
	/* A size that nobody means: servers skip the line. */
	if (*size > INT32_MAX)
		return HTTP_CHUNK_SKIP;
	*extension = memchr(p, ';', (size_t)(end - p)) != NULL;
	return HTTP_CHUNK_SIZE;
}

bool http_chunk_hopeless(struct bytes begin)
{
	const uint8_t *end = begin.data + begin.len, *p = skip_space(begin.data, end);

	return p < end && !is_hex(*p);
}
