/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include <dataplane/decode.h>

#include "parse.h"

/* Keywords of a packet's headers and events. */

/* keyword->arg is the match; the largest value that its field can have is known by it. */
static uint64_t field_max(enum match_type type)
{
	switch (type) {
	case MATCH_TTL:
	case MATCH_ITYPE:
	case MATCH_ICODE:
	case MATCH_TCP_WSCALE:
	case MATCH_VLAN_LAYERS:
		return UINT8_MAX;
	case MATCH_TCP_SEQ:
	case MATCH_TCP_ACK:
	case MATCH_ICMPV6_MTU:
		return UINT32_MAX;
	default:
		return UINT16_MAX;
	}
}

int keyword_number(struct rule *rule, const struct keyword *keyword, char *value)
{
	struct number_test test;
	enum match_type type = (enum match_type)keyword->arg;
	if (!number_parse(value, field_max(type), NULL, &test))
		return rule_fail(rule,
				 "\"%.40s\" is no value of %s: write N, !N, <N, >N or N<>M, up to %llu, where "
				 "something can match",
				 value, keyword->name, (unsigned long long)field_max(type));
	if (type == MATCH_VLAN_LAYERS && test.a > PACKET_VLAN_MAX)
		return rule_fail(rule, "at most %d VLAN layers are decoded", PACKET_VLAN_MAX);
	struct match *m = rule_add(rule, LIST_PACKET, type);
	if (m == NULL)
		return -EINVAL;
	m->number = test;
	return 0;
}

int keyword_ip_proto(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	static const struct {
		const char *name;
		uint8_t number;
	} names[] = {{"icmp", 1},    {"igmp", 2},	{"ggp", 3},    {"ip-encap", 4},	 {"ipv4", 4},
		     {"ipip", 4},    {"st", 5},		{"tcp", 6},    {"egp", 8},	 {"igp", 9},
		     {"udp", 17},    {"dccp", 33},	{"ipv6", 41},  {"rsvp", 46},	 {"gre", 47},
		     {"esp", 50},    {"ipsec-esp", 50}, {"ah", 51},    {"ipsec-ah", 51}, {"ipv6-icmp", 58},
		     {"icmpv6", 58}, {"eigrp", 88},	{"ospf", 89},  {"ospfigp", 89},	 {"pim", 103},
		     {"vrrp", 112},  {"l2tp", 115},	{"sctp", 132}, {"udplite", 136}};
	static const char ops[] = "!<>";
	static const enum number_op op_values[] = {NUMBER_NE, NUMBER_LT, NUMBER_GT};
	struct number_test test = {.op = NUMBER_EQ};
	const char *op = strchr(ops, *value);
	if (op) {
		test.op = op_values[op - ops];
		value = text_trim(value + 1);
	}
	bool known = text_u64(value, false, UINT8_MAX, &test.a);
	for (unsigned i = 0; !known && i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcasecmp(names[i].name, value) != 0)
			continue;
		test.a = names[i].number;
		known = true;
	}
	if (!known)
		return rule_fail(rule, "unknown IP protocol \"%.40s\": write its number", value);
	if (rule->sig.proto != SIG_IP && rule->sig.proto != SIG_IPV4 && rule->sig.proto != SIG_IPV6 &&
	    rule->sig.proto != SIG_PKTHDR)
		return rule_fail(rule, "ip_proto needs \"ip\" as the rule's protocol");
	struct match *m = rule_add(rule, LIST_PACKET, MATCH_IP_PROTO);
	if (m == NULL)
		return -EINVAL;
	m->number = test;
	return 0;
}

int keyword_tos(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	struct number_test test = {.op = rule->negated ? NUMBER_NE : NUMBER_EQ};
	bool hex = *value == 'x' || *value == 'X';
	char text[8] = "0x";
	if (hex)
		strncat(text, value + 1, 4);
	if (!text_u64(hex ? text : value, true, UINT8_MAX, &test.a))
		return rule_fail(rule, "\"%.40s\" is no value of tos: write N or xHH, up to 255", value);
	struct match *m = rule_add(rule, LIST_PACKET, MATCH_TOS);
	if (m == NULL)
		return -EINVAL;
	m->number = test;
	return 0;
}

/* --- flags ------------------------------------------------------------------------------------------------------------------ */

struct flag_letter {
	char letter;
	uint8_t bit;
};

/* Modes of a set of flags, as MATCH_FRAGBITS counts them. */
static int flag_mode(char c)
{
	switch (c) {
	case '=':
		return 0;
	case '+':
		return 1;
	case '*':
		return 2;
	case '!':
	case '-':
		return 3;
	default:
		return -1;
	}
}

static int read_bits(const char *s, const struct flag_letter *letters, unsigned *bits, int *mode)
{
	for (; *s && *s != ','; s++) {
		unsigned bit = 0;
		if (*s == ' ')
			continue;
		if (mode && *mode < 0 && flag_mode(*s) >= 0) {
			*mode = flag_mode(*s);
			continue;
		}
		for (unsigned i = 0; letters[i].letter; i++)
			if (toupper((unsigned char)*s) == letters[i].letter)
				bit = letters[i].bit;
		if (*s == '0') /* no flag at all */
			continue;
		if (bit == 0 || *bits & bit)
			return -1;
		*bits |= bit;
	}
	return 0;
}

int keyword_fragbits(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	static const struct flag_letter letters[] = {{'R', 4}, {'D', 2}, {'M', 1}, {0, 0}};
	unsigned bits = 0;
	int mode = -1;
	if (strchr(value, ',') || read_bits(value, letters, &bits, &mode) != 0 || (bits == 0 && mode > 0))
		return rule_fail(rule, "\"%.40s\" are no fragment bits: write R, D, M, with +, * or ! before them",
				 value);
	struct match *m = rule_add(rule, LIST_PACKET, MATCH_FRAGBITS);
	if (m == NULL)
		return -EINVAL;
	m->number.a = bits;
	m->flag = (uint8_t)(mode < 0 ? 0 : mode);
	return 0;
}

int keyword_tcp_flags(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	static const struct flag_letter letters[] = {{'F', 1},	{'S', 2},   {'R', 4},	{'P', 8},  {'A', 16}, {'U', 32},
						     {'E', 64}, {'C', 128}, {'1', 128}, {'2', 64}, {0, 0}};
	unsigned bits = 0, ignored = 0;
	int mode = -1;
	struct number_test test;
	bool number = number_parse(value, UINT8_MAX, NULL, &test) && !(test.op == NUMBER_EQ && strlen(value) <= 2);
	const char *comma = strchr(value, ',');
	if (!number && (read_bits(value, letters, &bits, &mode) != 0 ||
			(comma && read_bits(comma + 1, letters, &ignored, NULL) != 0) || (bits == 0 && mode > 0)))
		return rule_fail(
			rule,
			"\"%.40s\" are no TCP flags: write letters of FSRPAUEC (0 for none), with +, * or ! before "
			"them, and after a comma those to ignore",
			value);
	struct match *m = rule_add(rule, LIST_PACKET, MATCH_TCP_FLAGS);
	if (m == NULL)
		return -EINVAL;
	m->number = number ? test : (struct number_test){.a = bits, .b = ignored};
	m->flag = (uint8_t)(number ? 4 : mode < 0 ? 0 : mode);
	return 0;
}

int keyword_ipopts(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	static const struct {
		const char *name;
		uint32_t bits;
	} options[] = {{"eol", IP_OPTION_EOL},	  {"nop", IP_OPTION_NOP},     {"rr", IP_OPTION_RR},
		       {"ts", IP_OPTION_TS},	  {"sec", IP_OPTION_SEC},     {"lsrr", IP_OPTION_LSRR},
		       {"lsrre", IP_OPTION_LSRR}, {"ssrr", IP_OPTION_SSRR},   {"satid", IP_OPTION_SATID},
		       {"esec", IP_OPTION_ESEC},  {"cipso", IP_OPTION_CIPSO}, {"rtralt", IP_OPTION_RTRALT},
		       {"qs", IP_OPTION_QS},	  {"any", UINT32_MAX}};
	for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (strcasecmp(value, options[i].name) != 0)
			continue;
		struct match *m = rule_add(rule, LIST_PACKET, MATCH_IPOPTS);
		if (m == NULL)
			return -EINVAL;
		m->number.a = options[i].bits;
		return 0;
	}
	return rule_fail(
		rule,
		"unknown IP option \"%.40s\": use rr, eol, nop, ts, sec, esec, lsrr, ssrr, satid, cipso, qs or any",
		value);
}

int keyword_sameip(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword, (void)value;
	return rule_add(rule, LIST_PACKET, MATCH_SAMEIP) ? 0 : -EINVAL;
}

int keyword_csum(struct rule *rule, const struct keyword *keyword, char *value)
{
	static const char *const words[] = {"invalid", "valid", NULL};
	int word = text_word(value, words);
	if (word < 0)
		return rule_fail(rule, "%s is valid or invalid, not \"%.40s\"", keyword->name, value);
	struct match *m = rule_add(rule, LIST_PACKET, (enum match_type)keyword->arg);
	if (m == NULL)
		return -EINVAL;
	m->flag = (uint8_t)word;
	return 0;
}

/* --- events -------------------------------------------------------------------------------------------------------------------- */

int keyword_event(struct rule *rule, const struct keyword *keyword, char *value)
{
	/* engine-event may name any class */
	int event = keyword->arg >= 0 ? event_find((enum event_class)keyword->arg, value) : -1;
	for (int class = EVENT_CLASS_DECODE; keyword->arg < 0 && event < 0 && class <= EVENT_CLASS_APPLAYER; class ++)
		event = event_find((enum event_class) class, value);
	if (event < 0 && strncmp(value, "stream.", 7) == 0)
		event = event_find(EVENT_CLASS_STREAM, value + 7);
	if (event < 0)
		return rule_fail(rule, "unknown event \"%.60s\" of %s", value, keyword->name);
	struct match *m = rule_add(rule, LIST_PACKET, MATCH_PACKET_EVENT);
	if (m == NULL)
		return -EINVAL;
	m->event = (enum event)event;
	rule->has_packet_event = true;
	return 0;
}

/* --- VLAN, country, reputation ---------------------------------------------------------------------------------------- */

int keyword_vlan_id(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	struct number_test test;
	int64_t layer = UINT8_MAX;
	char *rest = value, *number = text_next(&rest, ','), *place = text_next(&rest, ',');
	if (!number_parse(number, 4095, NULL, &test))
		return rule_fail(rule, "\"%.40s\" is no VLAN: write N, !N, <N, >N or N-M, up to 4094", number);
	bool all = place && strcmp(place, "all") == 0, any = place == NULL || strcmp(place, "any") == 0;
	if (all)
		layer = 251;
	else if (!any && !text_i64(place, -PACKET_VLAN_MAX, PACKET_VLAN_MAX - 1, &layer))
		return rule_fail(rule, "\"%.20s\" is no VLAN layer: write 0, 1, 2, -1 for the last, any or all", place);
	else if (layer < 0)
		layer += 255; /* from the end */
	struct match *m = rule_add(rule, LIST_PACKET, MATCH_VLAN_ID);
	if (m == NULL)
		return -EINVAL;
	m->number = test;
	m->flag = (uint8_t)layer;
	return 0;
}

int keyword_geoip(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	static const char *const sides[] = {"src", "dst", "both", "any", NULL};
	char *rest = value, *comma = strchr(value, ',');
	int side = -1;
	bool negated = false;
	if (comma) {
		*comma = '\0';
		side = text_word(text_trim(value), sides);
		*comma = ',';
		if (side >= 0)
			rest = comma + 1;
	}
	rest = text_trim(rest);
	if (*rest == '!') {
		negated = true;
		rest++;
	}
	const char *codes = rest;
	char *out = rest;
	for (const char *s = rest; *s; s++)
		if (*s != ' ' && *s != '!')
			*out++ = (char)toupper((unsigned char)*s);
	*out = '\0';
	for (const char *s = codes; *s; s += s[2] == ',' ? 3 : 2)
		if (!isalpha((unsigned char)s[0]) || !isalpha((unsigned char)s[1]) || (s[2] && s[2] != ','))
			return rule_fail(
				rule, "\"%.40s\" are no countries: write two-letter codes, separated by commas", codes);
	if (!rule->builder->env.geoip)
		rule_wait(rule, "a GeoIP database");
	struct match *m = rule_add(rule, LIST_PACKET, MATCH_GEOIP);
	if (m == NULL)
		return -EINVAL;
	m->var.text = (struct bytes){.data = (const uint8_t *)codes, .len = strlen(codes)};
	m->negated = negated;
	m->flag = (uint8_t)(1u << (side < 0 ? 3 : side));
	return 0;
}

int keyword_iprep(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	static const char *const sides[] = {"any", "src", "dst", "both", NULL};
	char *rest = value, *side = text_next(&rest, ','), *name = text_next(&rest, ',');
	char *op = text_next(&rest, ','), *score = text_next(&rest, ',');
	struct number_test test = {.op = NUMBER_GE};
	bool negated = false;
	int where = text_word(side, sides);
	if (op == NULL || where < 0)
		return rule_fail(rule, "iprep takes any, src, dst or both, a category, an operator and a score");
	int category = rule->builder->iprep ? iprep_category(rule->builder->iprep, name) : -1;
	if (category < 0)
		return rule_fail(rule,
				 "category \"%.40s\" is not known: give a file of reputation categories that has it",
				 name);
	if (score == NULL && strcmp(op, "isnotset") == 0)
		negated = true;
	else if (score != NULL) {
		size_t len = number_op_parse(op, &test.op);
		if (len == 0 || op[len] || !text_u64(score, false, 127, &test.a))
			return rule_fail(rule,
					 "iprep takes an operator (<, <=, >, >=, =, !=) and a score from 0 to 127");
	} else if (strcmp(op, "isset") != 0) {
		return rule_fail(rule, "\"%.20s\" needs a score after it; without one write isset or isnotset", op);
	}
	struct match *m = rule_add(rule, LIST_PACKET, MATCH_IPREP);
	if (m == NULL)
		return -EINVAL;
	m->iprep.side = (uint8_t)where;
	m->iprep.category = (uint8_t)category;
	m->iprep.test = test;
	m->negated = negated;
	return 0;
}

int keyword_l3_proto(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	static const char *const words[] = {"ipv4", "ip4", "ipv6", "ip6", NULL};
	int word = text_word(value, words);
	if (word < 0)
		return rule_fail(rule, "l3_proto is ipv4 or ipv6, not \"%.40s\"", value);
	rule->sig.family = word < 2 ? 4 : 6;
	return 0;
}

/* --- buffers of the packet ---------------------------------------------------------------------------------------------- */

int keyword_packet_buffer(struct rule *rule, const struct keyword *keyword, char *value)
{
	if (strcmp(keyword->name, "tcp.hdr") == 0 && rule->sig.proto != SIG_TCP && rule->sig.proto != SIG_TCP_PKT &&
	    rule->sig.proto != SIG_IP && rule->sig.proto != SIG_IPV4 && rule->sig.proto != SIG_IPV6)
		return rule_fail(rule, "tcp.hdr needs \"tcp\" as the rule's protocol");
	return keyword_app_buffer(rule, keyword, value);
}

int keyword_pkt_data(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword, (void)value;
	if (rule->transform_count > 0 || ((rule->sticky || rule->sticky_base64) && rule->sticky_buffer < 0))
		return rule_fail(rule, "the buffer before pkt_data has no match: remove it, or add one");
	rule->sticky = NULL;
	rule->sticky_base64 = false;
	rule->sticky_buffer = -1;
	return 0;
}
