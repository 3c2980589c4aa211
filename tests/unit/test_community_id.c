/* SPDX-License-Identifier: BSD-3-Clause */
/* Community ID v1: the values of its specification's baseline. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "community_id.h"

static struct flow_key key_of(int family, const char *client, uint16_t cport, const char *server, uint16_t sport,
			      uint8_t proto)
{
	struct flow_key key = {.family = (uint8_t)family, .proto = proto, .port = {cport, sport}};
	int af = family == 4 ? AF_INET : AF_INET6;
	assert_int_equal(inet_pton(af, client, key.addr[0].bytes), 1);
	assert_int_equal(inet_pton(af, server, key.addr[1].bytes), 1);
	return key;
}

static void expect(const struct flow_key *key, uint8_t type, uint8_t code, uint16_t seed, const char *want)
{
	char id[COMMUNITY_ID_BYTES];
	EVP_MD_CTX *hasher = EVP_MD_CTX_new();
	assert_true(community_id(hasher, key, type, code, seed, id));
	EVP_MD_CTX_free(hasher);
	assert_string_equal(id, want);
}

static void tcp_has_one_id_from_both_sides(void **state)
{
	(void)state;
	struct flow_key a = key_of(4, "128.232.110.120", 34855, "66.35.250.204", 80, 6);
	struct flow_key b = key_of(4, "66.35.250.204", 80, "128.232.110.120", 34855, 6);
	expect(&a, 0, 0, 0, "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
	expect(&b, 0, 0, 0, "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
}

static void the_seed_changes_it(void **state)
{
	(void)state;
	struct flow_key a = key_of(4, "128.232.110.120", 34855, "66.35.250.204", 80, 6);
	expect(&a, 0, 0, 1, "1:3V71V58M3Ksw/yuFALMcW0LAHvc=");
}

static void udp(void **state)
{
	(void)state;
	struct flow_key a = key_of(4, "192.168.1.52", 54585, "8.8.8.8", 53, 17);
	expect(&a, 0, 0, 0, "1:d/FP5EW3wiY1vCndhwleRRKHowQ=");
}

static void icmp_pairs_request_and_answer(void **state)
{
	(void)state;
	struct flow_key a = key_of(4, "192.168.0.89", 0, "192.168.0.1", 0, 1);
	struct flow_key b = key_of(4, "192.168.0.1", 0, "192.168.0.89", 0, 1);
	expect(&a, 8, 0, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
	expect(&b, 0, 0, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
}

static void icmp_without_an_answer_keeps_its_direction(void **state)
{
	(void)state;
	struct flow_key a = key_of(4, "192.168.0.89", 0, "192.168.0.1", 0, 1);
	expect(&a, 20, 0, 0, "1:3o2RFccXzUgjl7zDpqmY7yJi8rI=");
}

static void ipv6(void **state)
{
	(void)state;
	struct flow_key a = key_of(6, "2001:470:e5bf:dead:4957:2174:e82c:4887", 63943, "2607:f8b0:400c:c03::1a", 25, 6);
	expect(&a, 0, 0, 0, "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_has_one_id_from_both_sides),
		cmocka_unit_test(the_seed_changes_it),
		cmocka_unit_test(udp),
		cmocka_unit_test(icmp_pairs_request_and_answer),
		cmocka_unit_test(icmp_without_an_answer_keeps_its_direction),
		cmocka_unit_test(ipv6),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
