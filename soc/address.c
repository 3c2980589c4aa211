/* SPDX-License-Identifier: BSD-3-Clause */
#include "address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static bool is_ipv4(const struct address *address)
{
	return memcmp(address->byte, mapped, sizeof(mapped)) == 0;
}

bool address_parse(const char *text, struct address *address)
{
	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET6, text, address->byte) == 1)
		return true;
	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, text, address->byte + 12) != 1)
		return false;
	memcpy(address->byte, mapped, sizeof(mapped));
	return true;
}

char *address_text(const struct address *address, char *text)
{
	if (is_ipv4(address))
		inet_ntop(AF_INET, address->byte + 12, text, ADDRESS_TEXT_MAX);
	else
		inet_ntop(AF_INET6, address->byte, text, ADDRESS_TEXT_MAX);
	return text;
}

bool address_equal(const struct address *a, const struct address *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool address_none(const struct address *address)
{
	static const struct address none;
	return address_equal(address, &none);
}

static void clear_behind(struct prefix *prefix)
{
	unsigned byte = prefix->length / 8;
	if (byte >= 16)
		return;
	prefix->address.byte[byte] &= (uint8_t)(0xff00 >> (prefix->length % 8));
	memset(prefix->address.byte + byte + 1, 0, 16 - byte - 1);
}

bool prefix_parse(const char *text, struct prefix *prefix)
{
	char head[ADDRESS_TEXT_MAX];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	memset(prefix, 0, sizeof(*prefix));
	if (len >= sizeof(head))
		return false;
	memcpy(head, text, len);
	head[len] = '\0';
	if (!address_parse(head, &prefix->address))
		return false;
	/* as written: ::ffff:10.0.0.0/104 is an IPv6 text of an IPv4 prefix */
	unsigned offset = strchr(head, ':') ? 0 : 96;
	unsigned long length = 128 - offset;
	if (slash) {
		char *end;
		if (slash[1] < '0' || slash[1] > '9')
			return false;
		length = strtoul(slash + 1, &end, 10);
		if (*end || end - slash > 4 || length > 128 - offset)
			return false;
	}
	prefix->length = (uint8_t)(length + offset);
	clear_behind(prefix);
	return true;
}

bool prefix_holds(const struct prefix *prefix, const struct address *address)
{
	unsigned whole = prefix->length / 8, rest = prefix->length % 8;
	if (memcmp(prefix->address.byte, address->byte, whole) != 0)
		return false;
	return rest == 0 || ((prefix->address.byte[whole] ^ address->byte[whole]) & (0xff00 >> rest) & 0xff) == 0;
}

char *prefix_text(const struct prefix *prefix, char *text)
{
	address_text(&prefix->address, text);
	if (prefix->length == 128)
		return text;
	unsigned length = prefix->length;
	/* 0.0.0.0/0 reads so, and not as ::ffff:0:0/96; what is shorter is no IPv4 prefix */
	if (is_ipv4(&prefix->address) && length >= 96)
		length -= 96;
	sprintf(text + strlen(text), "/%u", length);
	return text;
}

bool address_private(const struct address *address)
{
	static const uint8_t v4[12] = {[10] = 0xff, [11] = 0xff}, loopback[16] = {[15] = 1};
	const uint8_t *a = address->byte;
	if (memcmp(a, v4, sizeof(v4)) != 0)
		return (a[0] & 0xfe) == 0xfc ||			  /* fc00::/7, RFC 4193 */
		       (a[0] == 0xfe && (a[1] & 0xc0) == 0x80) || /* fe80::/10, RFC 4291 */
		       memcmp(a, loopback, sizeof(loopback)) == 0;
	a += sizeof(v4);
	return a[0] == 10 || a[0] == 127 || (a[0] == 172 && (a[1] & 0xf0) == 16) ||
	       (a[0] == 192 && a[1] == 168) || /* RFC 1918 */
	       (a[0] == 169 && a[1] == 254);   /* RFC 3927 */
}
