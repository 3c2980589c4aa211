/* SPDX-License-Identifier: BSD-3-Clause */
/* X.509 certificates (RFC 5280) as far as rules and records look at them: a bounded reader of DER (X.690). */
#include <arpa/inet.h>
#include <stdio.h>

#include "app/tls.h"

/* Longest distinguished name or general name written out. */
#define NAME_MAX_LEN 4096

enum {
	DER_INTEGER = 0x02,
	DER_BIT_STRING = 0x03,
	DER_OCTET_STRING = 0x04,
	DER_OID = 0x06,
	DER_BMP_STRING = 0x1e,
	DER_UTC_TIME = 0x17,
	DER_GENERALIZED_TIME = 0x18,
	DER_SEQUENCE = 0x30,
	DER_SET = 0x31,
	DER_CONTEXT_0 = 0xa0,
	DER_CONTEXT_3 = 0xa3,
};

struct der {
	uint8_t tag;
	struct bytes value; /* contents */
	struct bytes whole; /* header and contents */
};

/* The next element, consumed; the cursor fails when there is none. */
static struct der der_next(struct cursor *c)
{
	struct der d = {0};
	const uint8_t *start = c->at;
	d.tag = cursor_u8(c);
	size_t len = cursor_u8(c);
	if (len & 0x80) {
		unsigned n = len & 0x7f;
		if (n == 0 || n > 4) {
			c->failed = true; /* indefinite length is not DER, and more than 4 GiB is no certificate */
			return d;
		}
		for (len = 0; n > 0; n--)
			len = len << 8 | cursor_u8(c);
	}
	d.value = cursor_bytes(c, len);
	if (!c->failed)
		d.whole = (struct bytes){.data = start, .len = (size_t)(c->at - start)};
	return d;
}

static struct cursor inside(struct der d)
{
	return cursor_of(d.value.data, d.value.len);
}

/* --- names ---------------------------------------------------------------------------------------------------------- */

struct text {
	char data[NAME_MAX_LEN];
	size_t len;
};

static void put(struct text *t, const void *data, size_t len)
{
	if (len > sizeof(t->data) - t->len)
		len = sizeof(t->data) - t->len;
	if (len)
		memcpy(t->data + t->len, data, len);
	t->len += len;
}

static void put_string(struct text *t, const char *s)
{
	put(t, s, strlen(s));
}

static void put_oid(struct text *t, struct bytes oid)
{
	static const struct {
		const char *der;
		const char *name;
	} known[] = {
		{"\x55\x04\x03", "CN"},
		{"\x55\x04\x04", "SN"},
		{"\x55\x04\x05", "serialNumber"},
		{"\x55\x04\x06", "C"},
		{"\x55\x04\x07", "L"},
		{"\x55\x04\x08", "ST"},
		{"\x55\x04\x09", "street"},
		{"\x55\x04\x0a", "O"},
		{"\x55\x04\x0b", "OU"},
		{"\x55\x04\x0c", "title"},
		{"\x55\x04\x0d", "description"},
		{"\x55\x04\x11", "postalCode"},
		{"\x55\x04\x2a", "GN"},
		{"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01", "emailAddress"},
		{"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01", "UID"},
		{"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19", "DC"},
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strlen(known[i].der) == oid.len && memcmp(known[i].der, oid.data, oid.len) == 0) {
			put_string(t, known[i].name);
			return;
		}
	}
	uint64_t arc = 0;
	bool first = true;
	for (size_t i = 0; i < oid.len; i++) {
		char number[48];
		arc = arc << 7 | (oid.data[i] & 0x7f);
		if (oid.data[i] & 0x80)
			continue;
		if (first) {
			unsigned top = arc < 80 ? (unsigned)arc / 40 : 2;
			snprintf(number, sizeof(number), "%u.%llu", top, (unsigned long long)(arc - top * 40));
		} else {
			snprintf(number, sizeof(number), ".%llu", (unsigned long long)arc);
		}
		put_string(t, number);
		first = false;
		arc = 0;
	}
}

/* "C=JP, O=Example, CN=www.example.jp", in the certificate's order. */
static bool put_name(struct text *t, struct der name)
{
	struct cursor sets = inside(name);
	while (cursor_left(&sets) > 0) {
		struct der set = der_next(&sets);
		struct cursor attributes = inside(set);
		if (sets.failed || set.tag != DER_SET)
			return false;
		while (cursor_left(&attributes) > 0) {
			struct der attribute = der_next(&attributes);
			struct cursor c = inside(attribute);
			struct der oid = der_next(&c), value = der_next(&c);
			if (attributes.failed || c.failed || oid.tag != DER_OID)
				return false;
			if (t->len)
				put_string(t, ", ");
			put_oid(t, oid.value);
			put_string(t, "=");
			if (value.tag ==
			    DER_BMP_STRING) { /* 16-bit characters: the low half of those that have no high one */
				for (size_t i = 1; i < value.value.len; i += 2)
					put(t, value.value.data[i - 1] ? (const uint8_t *)"?" : value.value.data + i,
					    1);
			} else {
				put(t, value.value.data, value.value.len);
			}
		}
	}
	return true;
}

static bool add_name(struct slab *slab, struct tls_state *tls, struct tls_side *side, struct der name,
		     struct tls_text *out, enum tls_event wrong)
{
	struct text t;
	t.len = 0;
	if (name.tag != DER_SEQUENCE || !put_name(&t, name)) {
		tls_event(tls, TLS_EVENT_CERTIFICATE_INVALID_X509NAME);
		tls_event(tls, wrong);
		side->named = false;
	}
	return tls_text_add(slab, side, out, t.data, t.len);
}

static bool add_hex(struct slab *slab, struct tls_side *side, struct bytes data, bool upper, struct tls_text *out)
{
	static const char digits[2][17] = {"0123456789abcdef", "0123456789ABCDEF"};
	char hex[3 * 64];
	size_t n = data.len < 64 ? data.len : 64;
	for (size_t i = 0; i < n; i++) {
		hex[3 * i] = digits[upper][data.data[i] >> 4];
		hex[3 * i + 1] = digits[upper][data.data[i] & 15];
		hex[3 * i + 2] = ':';
	}
	return tls_text_add(slab, side, out, hex, n ? 3 * n - 1 : 0);
}

/* --- validity ------------------------------------------------------------------------------------------------------- */

static bool digits_only(struct bytes s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (i >= s.len || s.data[i] < '0' || s.data[i] > '9')
			return false;
	return true;
}

static int pair(const char *s)
{
	return (s[0] - '0') * 10 + s[1] - '0';
}

/* Days since 1970-01-01 of a date in the Gregorian calendar, counted from March so that leap days come last. */
static int64_t days_of(int year, int month, int day)
{
	int y = month <= 2 ? year - 1 : year;
	int era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
	int of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return (int64_t)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* As text ("2026-11-23T18:07:32") and in seconds since the epoch. */
static bool add_time(struct slab *slab, struct tls_state *tls, struct tls_side *side, struct der time,
		     struct tls_text *out, int64_t *seconds)
{
	size_t digits = time.tag == DER_GENERALIZED_TIME ? 4 : 2;
	const char *d = (const char *)time.value.data;
	if ((time.tag != DER_GENERALIZED_TIME && time.tag != DER_UTC_TIME) || !digits_only(time.value, digits + 10))
		goto wrong;
	/* RFC 5280 4.1.2.5.1: two-digit years up to 49 are of this century */
	int year = digits == 4 ? pair(d) * 100 + pair(d + 2) : pair(d) + (pair(d) >= 50 ? 1900 : 2000);
	d += digits;
	int month = pair(d), day = pair(d + 2), hour = pair(d + 4), minute = pair(d + 6), second = pair(d + 8);
	if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60)
		goto wrong;
	char text[64];
	int n = snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d", year, month, day, hour, minute, second);
	*seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
	return tls_text_add(slab, side, out, text, (size_t)n);

wrong:
	tls_event(tls, TLS_EVENT_CERTIFICATE_INVALID_DATE);
	side->dated = false;
	return true;
}

/* --- alternative names ---------------------------------------------------------------------------------------------- */

static bool add_general_name(struct slab *slab, struct tls_side *side, struct der name)
{
	char room[INET6_ADDRSTRLEN];
	struct bytes value = name.value;
	switch (name.tag & 0x1f) {
	case 1: /* rfc822Name */
	case 2: /* dNSName */
	case 6: /* uniformResourceIdentifier */
		break;
	case 7: /* iPAddress */
		if ((value.len != 4 && value.len != 16) ||
		    !inet_ntop(value.len == 4 ? AF_INET : AF_INET6, value.data, room, sizeof(room)))
			return true;
		value = (struct bytes){.data = (const uint8_t *)room, .len = strlen(room)};
		break;
	default:
		return true;
	}
	if (side->san.len == TLS_SAN_MAX * sizeof(struct tls_text))
		return true;
	struct tls_text text;
	return tls_text_add(slab, side, &text, value.data, value.len) &&
	       slab_buf_append(slab, &side->san, &text, sizeof(text));
}

static bool add_alternative_names(struct slab *slab, struct tls_side *side, struct bytes value)
{
	struct cursor c = cursor_of(value.data, value.len);
	struct der names = der_next(&c);
	struct cursor each = inside(names);
	while (!c.failed && cursor_left(&each) > 0) {
		struct der name = der_next(&each);
		if (each.failed)
			break;
		if (!add_general_name(slab, side, name))
			return false;
	}
	return true;
}

static bool add_extensions(struct slab *slab, struct tls_state *tls, struct tls_side *side, struct der wrapper)
{
	static const uint8_t subject_alt_name[] = {0x55, 0x1d, 0x11};
	struct cursor c = inside(wrapper);
	struct der list = der_next(&c);
	struct cursor each = inside(list);
	if (c.failed) {
		tls_event(tls, TLS_EVENT_CERTIFICATE_INVALID_EXTENSIONS);
		return true;
	}
	while (cursor_left(&each) > 0) {
		struct der extension = der_next(&each);
		struct cursor e = inside(extension);
		struct der oid = der_next(&e), value = der_next(&e);
		if (value.tag != DER_OCTET_STRING) /* "critical" stands between */
			value = der_next(&e);
		if (each.failed || e.failed) {
			tls_event(tls, TLS_EVENT_CERTIFICATE_INVALID_EXTENSIONS);
			return true;
		}
		if (oid.value.len == sizeof(subject_alt_name) &&
		    memcmp(oid.value.data, subject_alt_name, oid.value.len) == 0 &&
		    !add_alternative_names(slab, side, value.value))
			return false;
	}
	return true;
}

/* --- certificates --------------------------------------------------------------------------------------------------- */

static bool read_certificate(struct slab *slab, struct tls_state *tls, struct tls_side *side, struct bytes der)
{
	struct cursor outer = cursor_of(der.data, der.len);
	struct der certificate = der_next(&outer);
	struct cursor c = inside(certificate);
	struct der tbs = der_next(&c);
	struct cursor t = inside(tbs);
	struct der d = der_next(&t);
	if (d.tag == DER_CONTEXT_0) {
		if (d.value.len != 3 || d.value.data[0] != DER_INTEGER || d.value.data[2] > 2)
			tls_event(tls, TLS_EVENT_CERTIFICATE_INVALID_VERSION);
		d = der_next(&t);
	}
	struct der serial = d, algorithm = der_next(&t), issuer = der_next(&t), validity = der_next(&t),
		   subject = der_next(&t);
	(void)der_next(&t); /* public key */
	if (outer.failed || c.failed || t.failed || certificate.tag != DER_SEQUENCE || tbs.tag != DER_SEQUENCE) {
		tls_event(tls, TLS_EVENT_CERTIFICATE_INVALID_DER);
		tls_event(tls, TLS_EVENT_INVALID_CERTIFICATE);
		return true;
	}
	if (serial.tag != DER_INTEGER)
		tls_event(tls, TLS_EVENT_CERTIFICATE_INVALID_SERIAL);
	if (algorithm.tag != DER_SEQUENCE)
		tls_event(tls, TLS_EVENT_CERTIFICATE_INVALID_ALGORITHMIDENTIFIER);
	struct cursor v = inside(validity);
	struct der from = der_next(&v), until = der_next(&v);
	if (v.failed || validity.tag != DER_SEQUENCE)
		tls_event(tls, TLS_EVENT_CERTIFICATE_INVALID_VALIDITY);
	uint8_t sha1[20];
	side->named = side->dated = true;
	tls_sha1(der, sha1);
	if (!add_hex(slab, side, (struct bytes){.data = sha1, .len = sizeof(sha1)}, false, &side->fingerprint) ||
	    !add_hex(slab, side, serial.value, true, &side->serial) ||
	    !add_name(slab, tls, side, issuer, &side->issuer, TLS_EVENT_CERTIFICATE_INVALID_ISSUER) ||
	    !add_name(slab, tls, side, subject, &side->subject, TLS_EVENT_CERTIFICATE_INVALID_SUBJECT) ||
	    !add_time(slab, tls, side, from, &side->not_before, &side->not_before_s) ||
	    !add_time(slab, tls, side, until, &side->not_after, &side->not_after_s))
		return false;
	while (cursor_left(&t) > 0) {
		d = der_next(&t);
		if (!t.failed && d.tag == DER_CONTEXT_3)
			return add_extensions(slab, tls, side, d);
	}
	return true;
}

bool tls_certificates(struct slab *slab, struct tls_state *tls, struct tls_side *side, struct bytes body)
{
	struct cursor c = cursor_of(body.data, body.len);
	struct bytes list = cursor_bytes(&c, cursor_be24(&c));
	if (side->certificate)
		return true; /* the first chain is the one that stands in records */
	side->certificate = true;
	if (c.failed)
		tls_event(tls, TLS_EVENT_CERTIFICATE_INVALID_LENGTH);
	c = cursor_of(list.data, list.len);
	while (cursor_left(&c) > 0) {
		struct bytes der = cursor_bytes(&c, cursor_be24(&c));
		if (c.failed) {
			tls_event(tls, TLS_EVENT_INVALID_CERTIFICATE);
			return true;
		}
		side->chain_len++;
		if (side->cert_count == TLS_CHAIN_MAX)
			continue;
		struct tls_text at = {.at = side->chain.len, .len = (uint32_t)der.len};
		if (!slab_buf_append(slab, &side->chain, der.data, der.len))
			return false;
		side->cert[side->cert_count++] = at;
		if (side->cert_count == 1 && !read_certificate(slab, tls, side, der))
			return false;
	}
	return true;
}
