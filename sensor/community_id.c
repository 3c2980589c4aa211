/* SPDX-License-Identifier: BSD-3-Clause */
#include "community_id.h"

#include <netinet/in.h>
#include <string.h>

/* Messages that have a fixed answer: Community ID takes the two types as the ports. */
static int icmp_counterpart(uint8_t proto, uint8_t type)
{
	static const uint8_t v4[][2] = {{8, 0},	  {0, 8},  {13, 14}, {14, 13}, {15, 16},
					{16, 15}, {10, 9}, {9, 10},  {17, 18}, {18, 17}};
	static const uint8_t v6[][2] = {{128, 129}, {129, 128}, {133, 134}, {134, 133}, {135, 136}, {136, 135},
					{130, 131}, {131, 130}, {144, 145}, {145, 144}, {139, 140}, {140, 139}};
	const uint8_t(*table)[2] = proto == IPPROTO_ICMP ? v4 : v6;
	size_t count = proto == IPPROTO_ICMP ? sizeof(v4) / sizeof(v4[0]) : sizeof(v6) / sizeof(v6[0]);
	for (size_t i = 0; i < count; i++)
		if (table[i][0] == type)
			return table[i][1];
	return -1;
}

static size_t put_endpoints(const struct flow_key *key, uint16_t sport, uint16_t dport, bool one_way, uint8_t *out)
{
	size_t n = key->family == 4 ? 4 : 16;
	int order = memcmp(key->addr[0].bytes, key->addr[1].bytes, n);
	bool forward = one_way || order < 0 || (order == 0 && sport < dport);
	memcpy(out, key->addr[forward ? 0 : 1].bytes, n);
	memcpy(out + n, key->addr[forward ? 1 : 0].bytes, n);
	out[2 * n] = key->proto;
	out[2 * n + 1] = 0;
	store_be16(out + 2 * n + 2, forward ? sport : dport);
	store_be16(out + 2 * n + 4, forward ? dport : sport);
	return 2 * n + 6;
}

bool community_id(EVP_MD_CTX *hasher, const struct flow_key *key, uint8_t type, uint8_t code, uint16_t seed,
		  char out[static COMMUNITY_ID_BYTES])
{
	uint8_t input[2 + 38], hash[EVP_MAX_MD_SIZE] = {0};
	unsigned hash_len = 0;
	uint16_t sport = key->port[0], dport = key->port[1];
	bool one_way = false;
	if (key->proto == IPPROTO_ICMP || key->proto == IPPROTO_ICMPV6) {
		int other = icmp_counterpart(key->proto, type);
		one_way = other < 0;
		sport = type;
		dport = one_way ? code : (uint16_t)other;
	}
	store_be16(input, seed);
	size_t len = 2 + put_endpoints(key, sport, dport, one_way, input + 2);
	if (!EVP_DigestInit_ex(hasher, EVP_sha1(), NULL) || !EVP_DigestUpdate(hasher, input, len) ||
	    !EVP_DigestFinal_ex(hasher, hash, &hash_len) || hash_len != 20)
		return false;
	memcpy(out, "1:", 2);
	EVP_EncodeBlock((unsigned char *)out + 2, hash, 20);
	return true;
}
