/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <stdlib.h>

#include "app/http.h"

/*
 * Normalisation undoes what a server would undo, so that a rule need only name the plain form: escapes, %u escapes,
 * UTF-8 (overlong too), backslashes, doubled slashes and dot segments of the path; escapes of the query.
 */

/* The byte that a Windows code page 1252 server takes for a character outside it; sorted. */
static const struct {
	uint16_t character;
	uint8_t byte;
} best_fit[] = {
	{0x0100, 0x41}, {0x0101, 0x61}, {0x0102, 0x41}, {0x0103, 0x61}, {0x0104, 0x41}, {0x0105, 0x61}, {0x0106, 0x43},
	{0x0107, 0x63}, {0x0108, 0x43}, {0x0109, 0x63}, {0x010a, 0x43}, {0x010b, 0x63}, {0x010c, 0x43}, {0x010d, 0x63},
	{0x010e, 0x44}, {0x010f, 0x64}, {0x0110, 0x44}, {0x0111, 0x64}, {0x0112, 0x45}, {0x0113, 0x65}, {0x0114, 0x45},
	{0x0115, 0x65}, {0x0116, 0x45}, {0x0117, 0x65}, {0x0118, 0x45}, {0x0119, 0x65}, {0x011a, 0x45}, {0x011b, 0x65},
	{0x011c, 0x47}, {0x011d, 0x67}, {0x011e, 0x47}, {0x011f, 0x67}, {0x0120, 0x47}, {0x0121, 0x67}, {0x0122, 0x47},
	{0x0123, 0x67}, {0x0124, 0x48}, {0x0125, 0x68}, {0x0126, 0x48}, {0x0127, 0x68}, {0x0128, 0x49}, {0x0129, 0x69},
	{0x012a, 0x49}, {0x012b, 0x69}, {0x012c, 0x49}, {0x012d, 0x69}, {0x012e, 0x49}, {0x012f, 0x69}, {0x0130, 0x49},
	{0x0131, 0x69}, {0x0134, 0x4a}, {0x0135, 0x6a}, {0x0136, 0x4b}, {0x0137, 0x6b}, {0x0139, 0x4c}, {0x013a, 0x6c},
	{0x013b, 0x4c}, {0x013c, 0x6c}, {0x013d, 0x4c}, {0x013e, 0x6c}, {0x0141, 0x4c}, {0x0142, 0x6c}, {0x0143, 0x4e},
	{0x0144, 0x6e}, {0x0145, 0x4e}, {0x0146, 0x6e}, {0x0147, 0x4e}, {0x0148, 0x6e}, {0x014c, 0x4f}, {0x014d, 0x6f},
	{0x014e, 0x4f}, {0x014f, 0x6f}, {0x0150, 0x4f}, {0x0151, 0x6f}, {0x0152, 0x8c}, {0x0153, 0x9c}, {0x0154, 0x52},
	{0x0155, 0x72}, {0x0156, 0x52}, {0x0157, 0x72}, {0x0158, 0x52}, {0x0159, 0x72}, {0x015a, 0x53}, {0x015b, 0x73},
	{0x015c, 0x53}, {0x015d, 0x73}, {0x015e, 0x53}, {0x015f, 0x73}, {0x0160, 0x8a}, {0x0161, 0x9a}, {0x0162, 0x54},
	{0x0163, 0x74}, {0x0164, 0x54}, {0x0165, 0x74}, {0x0166, 0x54}, {0x0167, 0x74}, {0x0168, 0x55}, {0x0169, 0x75},
	{0x016a, 0x55}, {0x016b, 0x75}, {0x016c, 0x55}, {0x016d, 0x75}, {0x016e, 0x55}, {0x016f, 0x75}, {0x0170, 0x55},
	{0x0171, 0x75}, {0x0172, 0x55}, {0x0173, 0x75}, {0x0174, 0x57}, {0x0175, 0x77}, {0x0176, 0x59}, {0x0177, 0x79},
	{0x0178, 0x9f}, {0x0179, 0x5a}, {0x017a, 0x7a}, {0x017b, 0x5a}, {0x017c, 0x7a}, {0x017d, 0x8e}, {0x017e, 0x9e},
	{0x017f, 0x73}, {0x0180, 0x62}, {0x0192, 0x83}, {0x01a0, 0x4f}, {0x01a1, 0x6f}, {0x01af, 0x55}, {0x01b0, 0x75},
	{0x01cd, 0x41}, {0x01ce, 0x61}, {0x01cf, 0x49}, {0x01d0, 0x69}, {0x01d1, 0x4f}, {0x01d2, 0x6f}, {0x01d3, 0x55},
	{0x01d4, 0x75}, {0x01d5, 0x55}, {0x01d6, 0x75}, {0x01d7, 0x55}, {0x01d8, 0x75}, {0x01d9, 0x55}, {0x01da, 0x75},
	{0x01db, 0x55}, {0x01dc, 0x75}, {0x01de, 0x41}, {0x01df, 0x61}, {0x01e0, 0x41}, {0x01e1, 0x61}, {0x01e6, 0x47},
	{0x01e7, 0x67}, {0x01e8, 0x4b}, {0x01e9, 0x6b}, {0x01ea, 0x4f}, {0x01eb, 0x6f}, {0x01ec, 0x4f}, {0x01ed, 0x6f},
	{0x01f0, 0x6a}, {0x01f4, 0x47}, {0x01f5, 0x67}, {0x01f8, 0x4e}, {0x01f9, 0x6e}, {0x01fa, 0x41}, {0x01fb, 0x61},
	{0x0200, 0x41}, {0x0201, 0x61}, {0x0202, 0x41}, {0x0203, 0x61}, {0x0204, 0x45}, {0x0205, 0x65}, {0x0206, 0x45},
	{0x0207, 0x65}, {0x0208, 0x49}, {0x0209, 0x69}, {0x020a, 0x49}, {0x020b, 0x69}, {0x020c, 0x4f}, {0x020d, 0x6f},
	{0x020e, 0x4f}, {0x020f, 0x6f}, {0x0210, 0x52}, {0x0211, 0x72}, {0x0212, 0x52}, {0x0213, 0x72}, {0x0214, 0x55},
	{0x0215, 0x75}, {0x0216, 0x55}, {0x0217, 0x75}, {0x0218, 0x53}, {0x0219, 0x73}, {0x021a, 0x54}, {0x021b, 0x74},
	{0x021e, 0x48}, {0x021f, 0x68}, {0x0226, 0x41}, {0x0227, 0x61}, {0x0228, 0x45}, {0x0229, 0x65}, {0x022a, 0x4f},
	{0x022b, 0x6f}, {0x022c, 0x4f}, {0x022d, 0x6f}, {0x022e, 0x4f}, {0x022f, 0x6f}, {0x0230, 0x4f}, {0x0231, 0x6f},
	{0x0232, 0x59}, {0x0233, 0x79}, {0x02b9, 0x27}, {0x02ba, 0x22}, {0x02bc, 0x27}, {0x02c4, 0x5e}, {0x02c6, 0x88},
	{0x02c8, 0x27}, {0x02cb, 0x60}, {0x02cd, 0x5f}, {0x02dc, 0x98}, {0x0300, 0x60}, {0x0302, 0x5e}, {0x0303, 0x7e},
	{0x030e, 0x22}, {0x0331, 0x5f}, {0x0332, 0x5f}, {0x2000, 0x20}, {0x2001, 0x20}, {0x2002, 0x20}, {0x2003, 0x20},
	{0x2004, 0x20}, {0x2005, 0x20}, {0x2006, 0x20}, {0x2010, 0x2d}, {0x2011, 0x2d}, {0x2013, 0x96}, {0x2014, 0x97},
	{0x2018, 0x91}, {0x2019, 0x92}, {0x201a, 0x82}, {0x201c, 0x93}, {0x201d, 0x94}, {0x201e, 0x84}, {0x2020, 0x86},
	{0x2021, 0x87}, {0x2022, 0x95}, {0x2026, 0x85}, {0x2030, 0x89}, {0x2032, 0x27}, {0x2035, 0x60}, {0x2039, 0x8b},
	{0x203a, 0x9b}, {0x2044, 0x2f}, {0x20ac, 0x80}, {0x2122, 0x99}, {0x2212, 0x2d}, {0x2215, 0x2f}, {0x2216, 0x5c},
	{0x2217, 0x2a}, {0x2223, 0x7c}, {0x2236, 0x3a}, {0x223c, 0x7e}, {0x2264, 0x3d}, {0x2265, 0x3d}, {0x2303, 0x5e},
	{0x2329, 0x3c}, {0x232a, 0x3e}, {0x3000, 0x20}, {0x3008, 0x3c}, {0x3009, 0x3e}, {0x301a, 0x5b}, {0x301b, 0x5d}};

#define NO_FIT '?'

static int best_fit_compare(const void *key, const void *entry)
{
	uint32_t character = *(const uint32_t *)key;
	uint16_t other = *(const uint16_t *)entry;

	return character < other ? -1 : character > other;
}

static uint8_t best_fit_of(uint32_t character)
{
	const uint16_t *found;

	if (character >= 0xff01 && character <= 0xff5e) /* full width */
		return (uint8_t)(character - 0xff01 + '!');
	found = bsearch(&character, best_fit, sizeof(best_fit) / sizeof(best_fit[0]), sizeof(best_fit[0]),
			best_fit_compare);
	return found ? ((const uint8_t *)found)[offsetof(__typeof__(best_fit[0]), byte)] : NO_FIT;
}

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int hex_pair(const uint8_t *p)
{
	int high = hex_value(p[0]), low = hex_value(p[1]);

	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* Decodes the escape at p[0] == '%' into *byte: its length, or 1 when the percent sign stands for itself. */
static size_t unescape(const uint8_t *p, size_t len, uint8_t *byte)
{
	int high, low;

	*byte = '%';
	if (len >= 3 && (p[1] | 0x20) != 'u') {
		low = hex_pair(p + 1);
		if (low < 0)
			return 1;
		*byte = (uint8_t)low;
		return 3;
	}
	if (len < 6 || (p[1] | 0x20) != 'u')
		return 1;
	high = hex_pair(p + 2);
	low = hex_pair(p + 4);
	if (high < 0 || low < 0)
		return 1;
	*byte = high ? best_fit_of((uint32_t)(high << 8 | low)) : (uint8_t)low;
	return 6;
}

size_t http_percent_decode(uint8_t *out, struct bytes in)
{
	size_t w = 0, i = 0;

	while (i < in.len) {
		const uint8_t *percent = memchr(in.data + i, '%', in.len - i);
		size_t plain = percent ? (size_t)(percent - in.data) - i : in.len - i;
		memmove(out + w, in.data + i, plain);
		w += plain;
		i += plain;
		if (percent)
			i += unescape(in.data + i, in.len - i, &out[w++]);
	}
	return w;
}

bool http_has_escape(struct bytes text)
{
	for (size_t i = 0; i + 2 < text.len; i++)
		if (text.data[i] == '%' && hex_pair(text.data + i + 1) >= 0)
			return true;
	return false;
}

/* --- the path ------------------------------------------------------------------------------------------------------ */

static size_t path_decode(uint8_t *out, struct bytes in)
{
	size_t w = 0, i = 0;

	while (i < in.len) {
		uint8_t c = in.data[i];
		if (c == '%')
			i += unescape(in.data + i, in.len - i, &c);
		else
			i++;
		if (c == '\\')
			c = '/';
		if (c == '/' && w > 0 && out[w - 1] == '/')
			continue;
		out[w++] = c;
	}
	return w;
}

/* The length of the well-formed UTF-8 sequence at p (overlong forms count), *character set; 0: not one, and *bad bytes of
 * it are to be replaced. */
static size_t utf8_sequence(const uint8_t *p, size_t len, uint32_t *character, size_t *bad)
{
	size_t want = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;

	*bad = 1;
	if (p[0] < 0xc0 || p[0] > 0xf4)
		return 0;
	*character = p[0] & (0xffu >> (want + 1));
	for (size_t i = 1; i < want; i++) {
		if (i == len || (p[i] & 0xc0) != 0x80) {
			*bad = i;
			return 0;
		}
		*character = *character << 6 | (p[i] & 0x3f);
	}
	if ((*character >= 0xd800 && *character <= 0xdfff) || *character > 0x10ffff)
		return 0;
	return want;
}

static size_t utf8_to_best_fit(uint8_t *s, size_t len)
{
	size_t w = 0, i = 0, bad;
	uint32_t character = 0;

	while (i < len && s[i] < 0x80)
		i++;
	for (w = i; i < len;) {
		size_t n;
		if (s[i] < 0x80) {
			s[w++] = s[i++];
			continue;
		}
		n = utf8_sequence(s + i, len - i, &character, &bad);
		s[w++] = !n ? NO_FIT : character < 0x100 ? (uint8_t)character : best_fit_of(character);
		i += n ? n : bad;
	}
	return w;
}

/* Takes the last segment away from out[0..w), with the slash before it. */
static size_t drop_segment(const uint8_t *out, size_t w)
{
	while (w > 0 && out[w - 1] != '/')
		w--;
	return w ? w - 1 : 0;
}

/* Removes dot segments in place. A segment starts behind a slash that is written only together with what follows. */
static size_t remove_dots(uint8_t *s, size_t len)
{
	size_t w = 0, i = 0;
	bool climbed = false; /* the slash at hand is what a dot segment left over */

	/* leading "./" and "../" mean nothing */
	while (i < len && s[i] == '.') {
		size_t dots = i + 1 < len && s[i + 1] == '.' ? 2 : 1;
		if (i + dots == len)
			return 0;
		if (s[i + dots] != '/')
			break;
		i += dots + 1;
	}
	while (i < len) {
		size_t segment, n;
		if (s[i] != '/') {
			s[w++] = s[i++];
			climbed = false;
			continue;
		}
		segment = i + 1;
		for (n = 0; segment + n < len && s[segment + n] != '/' && n < 3;)
			n++;
		if (n == 1 && s[segment] == '.') {
			i = segment + 1;
			climbed = true;
		} else if (n == 2 && s[segment] == '.' && s[segment + 1] == '.') {
			w = drop_segment(s, w);
			i = segment + 2;
			climbed = true;
		} else if (segment == len && climbed) {
			break; /* "/a/../" leaves "" and not a slash */
		} else {
			s[w++] = '/';
			i = segment;
			climbed = false;
			if (i < len && s[i] == '/')
				s[w++] = s[i++];
		}
	}
	return w;
}

/* Whether nothing in the path needs work, which is so for most. */
static bool path_is_plain(struct bytes in)
{
	for (size_t i = 0; i < in.len; i++) {
		uint8_t c = in.data[i];
		if (c == '%' || c == '\\' || c >= 0x80)
			return false;
		if (c == '/' && i + 1 < in.len && (in.data[i + 1] == '/' || in.data[i + 1] == '.'))
			return false;
	}
	return in.len == 0 || in.data[0] != '.';
}

size_t http_path_normalise(uint8_t *out, struct bytes in)
{
	size_t len;

	if (path_is_plain(in)) {
		if (in.len)
			memcpy(out, in.data, in.len);
		return in.len;
	}
	len = path_decode(out, in);
	len = utf8_to_best_fit(out, len);
	return remove_dots(out, len);
}

/* --- the parts ------------------------------------------------------------------------------------------------------- */

static struct bytes take_until(struct bytes *in, const char *stop)
{
	struct bytes taken = {.data = in->data, .len = 0};

	while (taken.len < in->len && (in->data[taken.len] == 0 || !strchr(stop, in->data[taken.len])))
		taken.len++;
	in->data += taken.len;
	in->len -= taken.len;
	return taken;
}

static void skip(struct bytes *in, size_t n)
{
	in->data += n;
	in->len -= n;
}

static struct bytes trim_spaces(struct bytes b)
{
	while (b.len && b.data[0] == ' ')
		skip(&b, 1);
	while (b.len && b.data[b.len - 1] == ' ')
		b.len--;
	return b;
}

/* A host name, or an IPv6 address with its brackets. */
static struct bytes take_host(struct bytes *in)
{
	struct bytes host = *in;

	while (in->len && in->data[0] == ' ')
		skip(in, 1);
	host = *in;
	if (in->len && in->data[0] == '[') {
		take_until(in, "/?#]");
		if (in->len && in->data[0] == ']')
			skip(in, 1);
		host.len -= in->len;
	} else {
		host = take_until(in, "/?#:");
	}
	return trim_spaces(host);
}

static void split_authority(struct bytes *in, struct http_uri *parts)
{
	struct bytes rest = *in, authority;
	const uint8_t *at;

	if (in->len < 2 || in->data[0] != '/' || in->data[1] != '/' || (in->len > 2 && in->data[2] == '/')) {
		/* "scheme:host" without slashes is taken for one too */
		if (in->len == 0 || in->data[0] == '/')
			return;
	} else {
		skip(&rest, 2);
	}
	*in = rest;
	authority = take_until(&rest, "/?#");
	at = memchr(authority.data, '@', authority.len);
	if (at) {
		struct bytes credentials = {.data = authority.data, .len = (size_t)(at - authority.data)};
		parts->user = take_until(&credentials, ":");
		if (credentials.len)
			parts->password = (struct bytes){.data = credentials.data + 1, .len = credentials.len - 1};
		skip(in, (size_t)(at - in->data) + 1);
	}
	parts->host = take_host(in);
	if (in->len && in->data[0] == ':') {
		skip(in, 1);
		parts->port = trim_spaces(take_until(in, "/?#"));
	}
}

void http_uri_split(struct bytes uri, struct http_uri *parts)
{
	const uint8_t *colon = uri.len ? memchr(uri.data, ':', uri.len) : NULL;

	*parts = (struct http_uri){0};
	if (colon && uri.data[0] != '/') {
		parts->scheme = (struct bytes){.data = uri.data, .len = (size_t)(colon - uri.data)};
		skip(&uri, parts->scheme.len + 1);
		split_authority(&uri, parts);
	}
	if (uri.len && uri.data[0] != '?' && uri.data[0] != '#')
		parts->path = take_until(&uri, "?#");
	if (uri.len && uri.data[0] == '?') {
		skip(&uri, 1);
		parts->query = take_until(&uri, "#");
	}
	if (uri.len)
		parts->fragment = (struct bytes){.data = uri.data + 1, .len = uri.len - 1};
}

/* --- hosts ------------------------------------------------------------------------------------------------------------ */

static bool ipv6_valid(struct bytes address)
{
	char text[INET6_ADDRSTRLEN + 1];
	struct in6_addr parsed;

	if (address.len >= sizeof(text))
		return false;
	memcpy(text, address.data, address.len);
	text[address.len] = 0;
	return strlen(text) == address.len && inet_pton(AF_INET6, text, &parsed) == 1;
}

bool http_host_valid(struct bytes host)
{
	size_t label = 0;

	if (host.len == 0 || host.len > 255)
		return false;
	if (host.data[0] == '[' && host.data[host.len - 1] == ']' && host.len > 2)
		return ipv6_valid((struct bytes){.data = host.data + 1, .len = host.len - 2});
	for (size_t i = 0; i < host.len; i++) {
		uint8_t c = host.data[i], lower = c | 0x20;
		if (c == '.') {
			if (i == 0 || (i + 1 < host.len && host.data[i + 1] == '.'))
				return false;
			label = 0;
			continue;
		}
		/* bytes above 0x7f are letters in one of the encodings in use */
		if (!((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c >= 0xc0))
			return false;
		if (++label > 63)
			return false;
	}
	return true;
}

static bool port_number(struct bytes text, int32_t *port)
{
	uint32_t value = 0;

	if (text.len == 0)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9' || value > 65535)
			return false;
		value = value * 10 + (text.data[i] - '0');
	}
	if (value == 0 || value > 65535)
		return false;
	*port = (int32_t)value;
	return true;
}

bool http_host_split(struct bytes value, struct bytes *host, int32_t *port)
{
	bool valid;

	*port = -1;
	if (value.len >= 2 && value.data[0] == '/' && value.data[1] == '/')
		skip(&value, 2);
	*host = take_host(&value);
	valid = http_host_valid(*host);
	if (value.len && value.data[0] == ':') {
		skip(&value, 1);
		return port_number(trim_spaces(take_until(&value, "/?#")), port) && valid;
	}
	return valid && value.len == 0;
}
