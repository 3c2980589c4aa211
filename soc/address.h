/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* IP addresses and prefixes as the SOC keeps them: 16 bytes, IPv4 as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2), so that both sort and
 * compare alike. Any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADDRESS_TEXT_MAX 46 /* the longest, with its end */

struct address {
	uint8_t byte[16];
};

struct prefix {
	struct address address; /* bits behind `length` are zero */
	uint8_t length;		/* of 128; an IPv4 prefix is 96 longer than people write it */
};

/* The text of an address ("192.0.2.1", "2001:db8::1"). False, and :: in *address, when it is none. */
bool address_parse(const char *text, struct address *address);
/* Into `text` of ADDRESS_TEXT_MAX bytes, which is returned. */
char *address_text(const struct address *address, char *text);
bool address_equal(const struct address *a, const struct address *b);
/* :: stands for "no address". */
bool address_none(const struct address *address);

/* "10.0.0.0/8", "2001:db8::/32", or an address alone. False when it is neither; bits behind the length are cleared. */
bool prefix_parse(const char *text, struct prefix *prefix);
bool prefix_holds(const struct prefix *prefix, const struct address *address);
/* Into `text` of ADDRESS_TEXT_MAX + 4 bytes, which is returned; a full-length prefix as an address alone. */
char *prefix_text(const struct prefix *prefix, char *text);
/* RFC 1918, RFC 4193, loopback and link-local: what is inside where nobody says otherwise. */
bool address_private(const struct address *address);
