/* SPDX-License-Identifier: BSD-3-Clause */
/* JA3, JA3S (Althouse, Atkinson, Atkins, 2017) and JA4 (Althouse, 2023) of TLS hellos. */

/* the low-level digests, because the EVP ones allocate for each use */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/md5.h>
#include <openssl/sha.h>

#include "app/tls.h"

/* Five lists of up to TLS_LIST_MAX numbers of up to five digits and a separator. */
#define STRING_MAX (5 * TLS_LIST_MAX * 6 + 16)

#define EXTENSION_SNI  0
#define EXTENSION_ALPN 16

static const char hex_digits[] = "0123456789abcdef";

struct text {
	char *data;
	size_t len;
};

static void put(struct text *t, char c)
{
	t->data[t->len++] = c;
}

static void put_decimal(struct text *t, unsigned value)
{
	char digits[10];
	unsigned n = 0;
	do
		digits[n++] = (char)('0' + value % 10);
	while (value /= 10);
	while (n)
		put(t, digits[--n]);
}

static void put_hex16(struct text *t, uint16_t value)
{
	for (int shift = 12; shift >= 0; shift -= 4)
		put(t, hex_digits[value >> shift & 15]);
}

static void put_list(struct text *t, const uint16_t *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (i)
			put(t, '-');
		put_decimal(t, list[i]);
	}
}

static void put_digest(struct text *t, const uint8_t *digest, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		put(t, hex_digits[digest[i] >> 4]);
		put(t, hex_digits[digest[i] & 15]);
	}
}

void tls_sha1(struct bytes data, uint8_t out[static 20])
{
	SHA_CTX ctx;
	SHA1_Init(&ctx);
	SHA1_Update(&ctx, data.data, data.len);
	SHA1_Final(out, &ctx);
}

static bool add_with_md5(struct slab *slab, struct tls_side *side, const struct text *t, struct tls_text *string,
			 struct tls_text *hash)
{
	uint8_t digest[MD5_DIGEST_LENGTH];
	char hex[2 * MD5_DIGEST_LENGTH];
	struct text h = {.data = hex};
	MD5_CTX ctx;
	MD5_Init(&ctx);
	MD5_Update(&ctx, t->data, t->len);
	MD5_Final(digest, &ctx);
	put_digest(&h, digest, sizeof(digest));
	return tls_text_add(slab, side, string, t->data, t->len) && tls_text_add(slab, side, hash, hex, h.len);
}

static bool ja3(struct slab *slab, struct tls_state *tls, const struct tls_lists *l)
{
	char room[STRING_MAX];
	struct text t = {.data = room};
	put_decimal(&t, l->version);
	put(&t, ',');
	put_list(&t, l->ciphers, l->cipher_count);
	put(&t, ',');
	put_list(&t, l->extensions, l->extension_count);
	put(&t, ',');
	put_list(&t, l->groups, l->group_count);
	put(&t, ',');
	for (size_t i = 0; i < l->format_count; i++) {
		if (i)
			put(&t, '-');
		put_decimal(&t, l->formats[i]);
	}
	return add_with_md5(slab, &tls->side[TO_SERVER], &t, &tls->ja3_string, &tls->ja3_hash);
}

/* --- JA4 ------------------------------------------------------------------------------------------------------------ */

/* By shrinking gaps: a hostile hello of TLS_LIST_MAX values in falling order costs no more than any other. */
static void sort(uint16_t *list, size_t n)
{
	static const size_t gaps[] = {301, 132, 57, 23, 10, 4, 1};
	for (size_t g = 0; g < sizeof(gaps) / sizeof(gaps[0]); g++) {
		size_t gap = gaps[g];
		for (size_t i = gap; i < n; i++) {
			uint16_t value = list[i];
			size_t k = i;
			for (; k >= gap && list[k - gap] > value; k -= gap)
				list[k] = list[k - gap];
			list[k] = value;
		}
	}
}

static void put_hex_list(struct text *t, const uint16_t *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (i)
			put(t, ',');
		put_hex16(t, list[i]);
	}
}

/* The first 12 hex digits of the SHA-256; zeros for nothing. */
static void put_short_sha256(struct text *t, const struct text *of)
{
	uint8_t digest[SHA256_DIGEST_LENGTH] = {0};
	SHA256_CTX ctx;
	if (of->len) {
		SHA256_Init(&ctx);
		SHA256_Update(&ctx, of->data, of->len);
		SHA256_Final(digest, &ctx);
	}
	put_digest(t, digest, 6);
}

static void put_version(struct text *t, uint16_t version)
{
	const char *name = "00";
	switch (version) {
	case TLS_SSL_2:
		name = "s2";
		break;
	case 0x0300:
		name = "s3";
		break;
	case 0x0301:
		name = "10";
		break;
	case 0x0302:
		name = "11";
		break;
	case TLS_1_2:
		name = "12";
		break;
	case TLS_1_3:
		name = "13";
		break;
	}
	put(t, name[0]);
	put(t, name[1]);
}

static void put_count(struct text *t, size_t count)
{
	count = count > 99 ? 99 : count;
	put(t, (char)('0' + count / 10));
	put(t, (char)('0' + count % 10));
}

static bool alphanumeric(uint8_t c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* First and last character of the first ALPN; of its hex form when one of them is none of the alphabet. */
static void put_alpn(struct text *t, struct bytes alpn)
{
	if (alpn.len == 0) {
		put(t, '0');
		put(t, '0');
		return;
	}
	uint8_t first = alpn.data[0], last = alpn.data[alpn.len - 1];
	bool plain = alphanumeric(first) && alphanumeric(last);
	put(t, plain ? (char)first : hex_digits[first >> 4]);
	put(t, plain ? (char)last : hex_digits[last & 15]);
}

static bool ja4(struct slab *slab, struct tls_state *tls, const struct tls_lists *l)
{
	char room[STRING_MAX], out[64];
	uint16_t sorted[TLS_LIST_MAX];
	struct text t = {.data = out}, list = {.data = room};
	size_t n = 0;

	put(&t, 't');
	put_version(&t, l->version_max);
	put(&t, l->has_sni ? 'd' : 'i');
	put_count(&t, l->cipher_count);
	put_count(&t, l->extension_count);
	put_alpn(&t, l->first_alpn);
	put(&t, '_');

	memcpy(sorted, l->ciphers, l->cipher_count * sizeof(uint16_t));
	sort(sorted, l->cipher_count);
	put_hex_list(&list, sorted, l->cipher_count);
	put_short_sha256(&t, &list);
	put(&t, '_');

	for (size_t i = 0; i < l->extension_count; i++)
		if (l->extensions[i] != EXTENSION_SNI && l->extensions[i] != EXTENSION_ALPN)
			sorted[n++] = l->extensions[i];
	sort(sorted, n);
	list.len = 0;
	put_hex_list(&list, sorted, n);
	if (l->signature_count) {
		put(&list, '_');
		put_hex_list(&list, l->signatures, l->signature_count);
	}
	put_short_sha256(&t, &list);
	return tls_text_add(slab, &tls->side[TO_SERVER], &tls->ja4, out, t.len);
}

bool tls_fingerprint_client(struct slab *slab, struct tls_state *tls, const struct tls_lists *lists)
{
	return ja3(slab, tls, lists) && ja4(slab, tls, lists);
}

bool tls_fingerprint_server(struct slab *slab, struct tls_state *tls, const struct tls_lists *l)
{
	char room[STRING_MAX];
	struct text t = {.data = room};
	put_decimal(&t, l->version);
	put(&t, ',');
	put_list(&t, l->ciphers, l->cipher_count);
	put(&t, ',');
	put_list(&t, l->extensions, l->extension_count);
	return add_with_md5(slab, &tls->side[TO_CLIENT], &t, &tls->ja3s_string, &tls->ja3s_hash);
}
