/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DNS over UDP and TCP (RFC 1035, 7766), multicast DNS (RFC 6762) and LLMNR (RFC 4795). Each message is a transaction of
 * its own: a query's is complete at once in the server's direction, an answer's in the client's.
 */
#include <arpa/inet.h>
#include <stdio.h>

#include "app/dns_message.h"
#include "app/protos.h"

#define DNS_PORT   53
#define MDNS_PORT  5353
#define LLMNR_PORT 5355

enum { DNS_IN_PROGRESS, DNS_COMPLETE };

enum dns_event {
	DNS_EVENT_MALFORMED_DATA,
	DNS_EVENT_NOT_REQUEST,
	DNS_EVENT_NOT_RESPONSE,
	DNS_EVENT_Z_FLAG_SET,
	DNS_EVENT_INVALID_OPCODE,
	DNS_EVENT_NAME_TOO_LONG,
	DNS_EVENT_INFINITE_LOOP,
	DNS_EVENT_TOO_MANY_LABELS,
	DNS_EVENT_INVALID_ADDITIONALS,
	DNS_EVENT_INVALID_AUTHORITIES,
};

static const char *const dns_events[] = {
	[DNS_EVENT_MALFORMED_DATA] = "malformed_data",
	[DNS_EVENT_NOT_REQUEST] = "not_request",
	[DNS_EVENT_NOT_RESPONSE] = "not_response",
	[DNS_EVENT_Z_FLAG_SET] = "z_flag_set",
	[DNS_EVENT_INVALID_OPCODE] = "invalid_opcode",
	[DNS_EVENT_NAME_TOO_LONG] = "name_too_long",
	[DNS_EVENT_INFINITE_LOOP] = "infinite_loop",
	[DNS_EVENT_TOO_MANY_LABELS] = "too_many_labels",
	[DNS_EVENT_INVALID_ADDITIONALS] = "invalid_additionals",
	[DNS_EVENT_INVALID_AUTHORITIES] = "invalid_authorities",
	NULL,
};

struct dns_state {
	bool lost_sync[2]; /* bytes are missing: message borders are unknown until a message is seen again */
};

struct dns_tx {
	struct app_tx base;
	enum direction dir;
	struct dns_message message;
};

static const struct dns_tx *dns_tx_of(const struct app_tx *tx)
{
	return (const struct dns_tx *)tx; /* its head */
}

/* --- recognition ---------------------------------------------------------------------------------------------------- */

static bool dns_port(uint16_t port)
{
	return port == DNS_PORT || port == MDNS_PORT || port == LLMNR_PORT;
}

static enum app_probe dns_probe(struct bytes data, enum direction dir, bool udp, const uint16_t ports[static 2])
{
	bool known_port = dns_port(ports[0]) || dns_port(ports[1]);
	(void)dir;
	if (udp) {
		if (known_port)
			return dns_header_plausible(data.data, data.len, data.len) ? APP_PROBE_YES : APP_PROBE_NO;
		return dns_message_plausible(data, data.len) ? APP_PROBE_YES : APP_PROBE_NO;
	}
	if (data.len < 2)
		return APP_PROBE_MAYBE;
	size_t len = load_be16(data.data);
	if (len < DNS_HEADER_LEN)
		return APP_PROBE_NO;
	if (data.len < 2 + DNS_HEADER_LEN)
		return APP_PROBE_MAYBE;
	if (!dns_header_plausible(data.data + 2, data.len - 2, len))
		return APP_PROBE_NO;
	if (known_port)
		return APP_PROBE_YES;
	if (data.len - 2 < len && data.len < APP_PROBE_BYTES)
		return APP_PROBE_MAYBE;
	struct bytes message = {.data = data.data + 2, .len = data.len - 2 < len ? data.len - 2 : len};
	return dns_message_plausible(message, len) ? APP_PROBE_YES : APP_PROBE_NO;
}

/* --- parsing -------------------------------------------------------------------------------------------------------- */

static void *dns_state_new(struct app_session *session)
{
	return slab_zalloc(app_slab(session), sizeof(struct dns_state));
}

static void dns_state_free(struct app_session *session, void *state)
{
	slab_free(app_slab(session), state, sizeof(struct dns_state));
}

static void dns_tx_free(struct app_session *session, struct app_tx *tx)
{
	dns_message_free(app_slab(session), &((struct dns_tx *)tx)->message);
	slab_free(app_slab(session), tx, sizeof(struct dns_tx));
}

static void set_events(struct dns_tx *tx)
{
	const struct dns_message *m = &tx->message;
	static const struct {
		uint8_t fault;
		enum dns_event event;
	} faults[] = {
		{DNS_NAME_TOO_LONG, DNS_EVENT_NAME_TOO_LONG},
		{DNS_INFINITE_LOOP, DNS_EVENT_INFINITE_LOOP},
		{DNS_TOO_MANY_LABELS, DNS_EVENT_TOO_MANY_LABELS},
		{DNS_INVALID_AUTHORITIES, DNS_EVENT_INVALID_AUTHORITIES},
		{DNS_INVALID_ADDITIONALS, DNS_EVENT_INVALID_ADDITIONALS},
	};
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if (m->faults & faults[i].fault)
			app_tx_event(&tx->base, faults[i].event);
	if (m->flags & 0x0040)
		app_tx_event(&tx->base, DNS_EVENT_Z_FLAG_SET);
	if ((m->flags >> 11 & 15) >= 7)
		app_tx_event(&tx->base, DNS_EVENT_INVALID_OPCODE);
}

/* Multicast answers come from the same port as questions, unasked: neither direction is wrong. */
static bool multicast(struct app_session *session)
{
	const struct flow *flow = app_flow(session);
	return flow && (flow->key.port[1] == MDNS_PORT || flow->key.port[0] == MDNS_PORT);
}

static bool parse_message(struct app_session *session, struct bytes data, enum direction dir)
{
	struct dns_tx *tx = (struct dns_tx *)app_tx_new(session, sizeof(*tx));
	if (!tx)
		return false;
	tx->dir = dir;
	/* the other direction has nothing to say to this one */
	tx->base.progress[0] = tx->base.progress[1] = DNS_COMPLETE;
	tx->base.inspected[direction_opposite(dir)] = true;
	enum dns_result result = dns_message_parse(app_slab(session), data, &tx->message);
	set_events(tx);
	if (result == DNS_MALFORMED)
		app_tx_event(&tx->base, DNS_EVENT_MALFORMED_DATA);
	else if (dir == TO_SERVER && tx->message.flags & 0x8000 && !multicast(session))
		app_tx_event(&tx->base, DNS_EVENT_NOT_REQUEST);
	else if (dir == TO_CLIENT && !(tx->message.flags & 0x8000))
		app_tx_event(&tx->base, DNS_EVENT_NOT_RESPONSE);
	return result != DNS_NO_MEMORY;
}

static int64_t parse_tcp(struct app_session *session, struct dns_state *state, const struct app_input *in)
{
	size_t used = 0;
	if (in->gap)
		state->lost_sync[in->dir] = true;
	if (state->lost_sync[in->dir]) {
		if (in->data.len < 2 + DNS_HEADER_LEN && !in->eof)
			return 0;
		/* a sender writes whole messages: what follows a hole often starts with one, the rest is let go */
		size_t len = in->data.len >= 2 ? load_be16(in->data.data) : 0;
		if (in->data.len < 2 + DNS_HEADER_LEN ||
		    !dns_header_plausible(in->data.data + 2, in->data.len - 2, len))
			return (int64_t)in->data.len;
		state->lost_sync[in->dir] = false;
	}
	while (in->data.len - used >= 2) {
		size_t len = load_be16(in->data.data + used);
		if (in->data.len - used - 2 < len) {
			if (!in->eof)
				break;
			len = in->data.len - used - 2; /* nothing follows: judge what came */
		}
		if (len > 0 &&
		    !parse_message(session, (struct bytes){.data = in->data.data + used + 2, .len = len}, in->dir))
			return APP_PARSE_FAILED;
		used += 2 + len;
	}
	return in->eof ? (int64_t)in->data.len : (int64_t)used;
}

static int64_t dns_parse(struct app_session *session, void *state, const struct app_input *in)
{
	const struct flow *flow = app_flow(session);
	/* without a flow (tests, fuzzing) input comes framed as over TCP */
	if (!flow || flow->key.proto == IPPROTO_TCP)
		return parse_tcp(session, state, in);
	if (in->data.len == 0)
		return 0;
	/* one bad datagram says nothing of the next */
	if (!parse_message(session, in->data, in->dir))
		return APP_PARSE_FAILED;
	return (int64_t)in->data.len;
}

/* --- buffers and values --------------------------------------------------------------------------------------------- */

/* The index'th record of the sections in the mask, or NULL. */
static const struct dns_record *record_at(const struct dns_tx *tx, unsigned sections, unsigned index)
{
	const struct dns_record *r = dns_records(&tx->message);
	/* sections follow each other: queries, which most rules ask for, stand first */
	for (uint32_t i = 0; i < tx->message.record_count; i++)
		if (sections >> r[i].section & 1 && index-- == 0)
			return &r[i];
	return NULL;
}

static bool get_name(const struct app_tx *tx, enum direction dir, unsigned sections, unsigned index, struct bytes *view,
		     uint64_t *offset)
{
	const struct dns_tx *dns = dns_tx_of(tx);
	const struct dns_record *r = dns->dir == dir ? record_at(dns, sections, index) : NULL;
	if (!r)
		return false;
	*view = dns_name_bytes(&dns->message, r->name);
	*offset = 0;
	return true;
}

#define GET_NAME(function, section)                                                                                    \
	static bool function(struct app_session *session, const struct app_tx *tx, enum direction dir, unsigned index, \
			     struct bytes *view, uint64_t *offset)                                                     \
	{                                                                                                              \
		(void)session;                                                                                         \
		return get_name(tx, dir, 1u << (section), index, view, offset);                                        \
	}

GET_NAME(get_query, DNS_QUERIES)
GET_NAME(get_answer, DNS_ANSWERS)
GET_NAME(get_authority, DNS_AUTHORITIES)
GET_NAME(get_additional, DNS_ADDITIONALS)

/* Every name of an answer, those in the records' data too: even indexes are owners, odd ones targets. */
static bool get_response_name(struct app_session *session, const struct app_tx *tx, enum direction dir, unsigned index,
			      struct bytes *view, uint64_t *offset)
{
	const struct dns_tx *dns = dns_tx_of(tx);
	(void)session;
	const struct dns_record *r = dns->dir == dir ? record_at(dns, 0xf, index / 2) : NULL;
	if (!r)
		return false;
	struct dns_name name = r->name;
	if (index & 1)
		name = r->has_target ? r->target : (struct dns_name){0};
	*view = dns_name_bytes(&dns->message, name);
	*offset = 0;
	return true;
}

static const struct app_buffer dns_buffers[] = {
	{.name = "dns.query",
	 .alias = "dns_query",
	 .dir = TO_SERVER,
	 .progress = DNS_COMPLETE,
	 .complete = DNS_COMPLETE,
	 .flags = APP_BUFFER_MULTI,
	 .get = get_query},
	{.name = "dns.queries.rrname",
	 .dir = TO_SERVER,
	 .progress = DNS_COMPLETE,
	 .complete = DNS_COMPLETE,
	 .flags = APP_BUFFER_MULTI,
	 .get = get_query},
	{.name = "dns.queries.rrname",
	 .dir = TO_CLIENT,
	 .progress = DNS_COMPLETE,
	 .complete = DNS_COMPLETE,
	 .flags = APP_BUFFER_MULTI,
	 .get = get_query},
	{.name = "dns.answers.rrname",
	 .dir = TO_SERVER,
	 .progress = DNS_COMPLETE,
	 .complete = DNS_COMPLETE,
	 .flags = APP_BUFFER_MULTI,
	 .get = get_answer},
	{.name = "dns.answers.rrname",
	 .dir = TO_CLIENT,
	 .progress = DNS_COMPLETE,
	 .complete = DNS_COMPLETE,
	 .flags = APP_BUFFER_MULTI,
	 .get = get_answer},
	{.name = "dns.authorities.rrname",
	 .dir = TO_SERVER,
	 .progress = DNS_COMPLETE,
	 .complete = DNS_COMPLETE,
	 .flags = APP_BUFFER_MULTI,
	 .get = get_authority},
	{.name = "dns.authorities.rrname",
	 .dir = TO_CLIENT,
	 .progress = DNS_COMPLETE,
	 .complete = DNS_COMPLETE,
	 .flags = APP_BUFFER_MULTI,
	 .get = get_authority},
	{.name = "dns.additionals.rrname",
	 .dir = TO_SERVER,
	 .progress = DNS_COMPLETE,
	 .complete = DNS_COMPLETE,
	 .flags = APP_BUFFER_MULTI,
	 .get = get_additional},
	{.name = "dns.additionals.rrname",
	 .dir = TO_CLIENT,
	 .progress = DNS_COMPLETE,
	 .complete = DNS_COMPLETE,
	 .flags = APP_BUFFER_MULTI,
	 .get = get_additional},
	{.name = "dns.response.rrname",
	 .dir = TO_CLIENT,
	 .progress = DNS_COMPLETE,
	 .complete = DNS_COMPLETE,
	 .flags = APP_BUFFER_MULTI,
	 .get = get_response_name},
	{.name = NULL},
};

static bool get_opcode(struct app_session *session, const struct app_tx *tx, enum direction dir, unsigned index,
		       uint64_t *value)
{
	(void)session;
	*value = dns_tx_of(tx)->message.flags >> 11 & 15;
	return index == 0 && dns_tx_of(tx)->dir == dir;
}

static bool get_rcode(struct app_session *session, const struct app_tx *tx, enum direction dir, unsigned index,
		      uint64_t *value)
{
	(void)session;
	*value = dns_tx_of(tx)->message.flags & 15;
	return index == 0 && dns_tx_of(tx)->dir == dir;
}

/* What a query asks for, and what an answer gives. */
static bool get_rrtype(struct app_session *session, const struct app_tx *tx, enum direction dir, unsigned index,
		       uint64_t *value)
{
	const struct dns_tx *dns = dns_tx_of(tx);
	(void)session;
	const struct dns_record *r =
		dns->dir == dir ? record_at(dns, 1u << (dir == TO_SERVER ? DNS_QUERIES : DNS_ANSWERS), index) : NULL;
	if (r)
		*value = r->type;
	return r != NULL;
}

static const struct app_value_name rcode_values[] = {
	{"noerror", 0},	 {"formerr", 1},  {"servfail", 2}, {"nxdomain", 3},  {"notimp", 4},
	{"refused", 5},	 {"yxdomain", 6}, {"yxrrset", 7},  {"nxrrset", 8},   {"notauth", 9},
	{"notzone", 10}, {"badvers", 16}, {"badsig", 16},  {"badkey", 17},   {"badtime", 18},
	{"badmode", 19}, {"badname", 20}, {"badalg", 21},  {"badtrunc", 22}, {NULL, 0},
};

static const struct app_value_name rrtype_values[] = {
	{"a", 1},      {"ns", 2},      {"md", 3},	{"mf", 4},	{"cname", 5},	    {"soa", 6},
	{"mb", 7},     {"mg", 8},      {"mr", 9},	{"null", 10},	{"wks", 11},	    {"ptr", 12},
	{"hinfo", 13}, {"minfo", 14},  {"mx", 15},	{"txt", 16},	{"rp", 17},	    {"afsdb", 18},
	{"x25", 19},   {"isdn", 20},   {"rt", 21},	{"nsap", 22},	{"sig", 24},	    {"key", 25},
	{"px", 26},    {"gpos", 27},   {"aaaa", 28},	{"loc", 29},	{"nxt", 30},	    {"srv", 33},
	{"atma", 34},  {"naptr", 35},  {"kx", 36},	{"cert", 37},	{"a6", 38},	    {"dname", 39},
	{"opt", 41},   {"apl", 42},    {"ds", 43},	{"sshfp", 44},	{"ipseckey", 45},   {"rrsig", 46},
	{"nsec", 47},  {"dnskey", 48}, {"dhcid", 49},	{"nsec3", 50},	{"nsec3param", 51}, {"tlsa", 52},
	{"hip", 55},   {"cds", 59},    {"cdnskey", 60}, {"svcb", 64},	{"https", 65},	    {"spf", 99},
	{"tkey", 249}, {"tsig", 250},  {"axfr", 252},	{"mailb", 253}, {"maila", 254},	    {"any", 255},
	{"uri", 256},  {NULL, 0},
};

static const struct app_value dns_values[] = {
	{.name = "dns.opcode", .any_direction = true, .progress = DNS_COMPLETE, .get = get_opcode},
	{.name = "dns.rcode", .any_direction = true, .progress = DNS_COMPLETE, .names = rcode_values, .get = get_rcode},
	{.name = "dns.rrtype",
	 .any_direction = true,
	 .progress = DNS_COMPLETE,
	 .flags = APP_BUFFER_MULTI,
	 .names = rrtype_values,
	 .get = get_rrtype},
	{.name = NULL},
};

/* --- records -------------------------------------------------------------------------------------------------------- */

static void name_field(struct field_sink *s, const struct dns_message *m, const char *field, const char *truncated,
		       struct dns_name name)
{
	s->text(s, field, dns_name_bytes(m, name));
	if (name.truncated)
		s->boolean(s, truncated, true);
}

static void type_field(struct field_sink *s, uint16_t type)
{
	char number[24];
	const char *name = dns_type_name(type);
	if (!name) {
		snprintf(number, sizeof(number), "TYPE%u", type);
		name = number;
	}
	field_text(s, "rrtype", name);
}

static void soa_fields(struct field_sink *s, const struct dns_message *m, const struct dns_record *r)
{
	uint8_t name[DNS_NAME_MAX], faults = 0;
	uint16_t len = 0;
	struct bytes raw = {.data = m->raw.data, .len = m->raw.len};
	size_t at = dns_name_read(raw, r->data_at, name, &len, &faults); /* past mname, which is r->target */
	at = at ? dns_name_read(raw, at, name, &len, &faults) : 0;
	if (!at || raw.len - at < 20)
		return;
	static const char *const numbers[] = {"serial", "refresh", "retry", "expire", "minimum"};
	s->object(s, "soa");
	name_field(s, m, "mname", "mname_truncated", r->target);
	s->text(s, "rname", (struct bytes){.data = name, .len = len});
	for (int i = 0; i < 5; i++)
		s->number(s, numbers[i], load_be32(raw.data + at + 4 * i));
	s->close(s);
}

static void srv_fields(struct field_sink *s, const struct dns_message *m, const struct dns_record *r,
		       const uint8_t *data)
{
	s->object(s, "srv");
	s->number(s, "priority", load_be16(data));
	s->number(s, "weight", load_be16(data + 2));
	s->number(s, "port", load_be16(data + 4));
	s->text(s, "name", dns_name_bytes(m, r->target));
	s->close(s);
}

static void sshfp_fields(struct field_sink *s, const struct dns_record *r, const uint8_t *data)
{
	char hex[3 * 64 + 1] = "";
	size_t n = r->data_len - 2u < 64 ? r->data_len - 2u : 64;
	for (size_t i = 0; i < n; i++)
		snprintf(hex + 3 * i, 4, "%02x%s", data[2 + i], i + 1 < n ? ":" : "");
	s->object(s, "sshfp");
	field_text(s, "fingerprint", hex);
	s->number(s, "algo", data[0]);
	s->number(s, "type", data[1]);
	s->close(s);
}

/* A record's data as text, where it has such a form; TXT has one for each of its strings. */
static bool rdata_text(const struct dns_message *m, const struct dns_record *r, unsigned part, char room[static 64],
		       struct bytes *out)
{
	const uint8_t *data = m->raw.data + r->data_at;
	if (r->type == DNS_TYPE_TXT) {
		for (size_t at = 0; at < r->data_len; at += 1u + data[at], part--) {
			size_t len = data[at] < r->data_len - at - 1 ? data[at] : r->data_len - at - 1;
			*out = (struct bytes){.data = data + at + 1, .len = len};
			if (part == 0)
				return true;
		}
		return false;
	}
	if (part > 0)
		return false;
	if ((r->type == DNS_TYPE_A && r->data_len == 4) || (r->type == DNS_TYPE_AAAA && r->data_len == 16)) {
		inet_ntop(r->type == DNS_TYPE_A ? AF_INET : AF_INET6, data, room, 64);
		*out = (struct bytes){.data = (uint8_t *)room, .len = strlen(room)};
		return true;
	}
	if (r->type == DNS_TYPE_SOA || r->type == DNS_TYPE_SRV)
		return false;
	if (r->has_target) {
		*out = dns_name_bytes(m, r->target);
		return true;
	}
	*out = (struct bytes){.data = data, .len = r->data_len};
	return r->type == DNS_TYPE_NULL;
}

static void record_fields(struct field_sink *s, const struct dns_message *m, const struct dns_record *r)
{
	const uint8_t *data = m->raw.data + r->data_at;
	char room[64];
	struct bytes text;
	unsigned part = 0;
	do {
		s->object(s, NULL);
		name_field(s, m, "rrname", "rrname_truncated", r->name);
		type_field(s, r->type);
		s->number(s, "ttl", r->ttl);
		if (rdata_text(m, r, part, room, &text))
			s->text(s, "rdata", text);
		else if (r->type == DNS_TYPE_SOA && r->has_target)
			soa_fields(s, m, r);
		else if (r->type == DNS_TYPE_SRV && r->has_target)
			srv_fields(s, m, r, data);
		else if (r->type == DNS_TYPE_SSHFP && r->data_len > 2)
			sshfp_fields(s, r, data);
		s->close(s);
	} while (rdata_text(m, r, ++part, room, &text));
}

static void section_fields(struct field_sink *s, const struct dns_message *m, enum dns_section section,
			   const char *name)
{
	const struct dns_record *r = dns_records(m);
	bool open = false;
	for (uint32_t i = 0; i < m->record_count; i++) {
		if (r[i].section != section || (section == DNS_ADDITIONALS && r[i].type == DNS_TYPE_OPT))
			continue;
		if (!open)
			s->array(s, name);
		open = true;
		if (section == DNS_QUERIES) {
			s->object(s, NULL);
			name_field(s, m, "rrname", "rrname_truncated", r[i].name);
			type_field(s, r[i].type);
			s->close(s);
		} else {
			record_fields(s, m, &r[i]);
		}
	}
	if (open)
		s->close(s);
}

/* The answers' data by type: {"A": [..], "CNAME": [..]}. */
static void grouped_fields(struct field_sink *s, const struct dns_message *m)
{
	static const uint16_t types[] = {DNS_TYPE_A,  DNS_TYPE_AAAA, DNS_TYPE_CNAME, DNS_TYPE_MX,
					 DNS_TYPE_NS, DNS_TYPE_NULL, DNS_TYPE_PTR,   DNS_TYPE_TXT};
	const struct dns_record *r = dns_records(m);
	char room[64];
	struct bytes text;
	bool any = false;
	for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
		bool open = false;
		for (uint32_t i = 0; i < m->record_count; i++) {
			if (r[i].section != DNS_ANSWERS || r[i].type != types[t])
				continue;
			for (unsigned part = 0; rdata_text(m, &r[i], part, room, &text); part++) {
				if (!any)
					s->object(s, "grouped");
				if (!open)
					s->array(s, dns_type_name(types[t]));
				any = open = true;
				s->text(s, NULL, text);
			}
		}
		if (open)
			s->close(s);
	}
	if (any)
		s->close(s);
}

static void dns_fields(struct app_session *session, const struct app_tx *tx, struct field_sink *s)
{
	const struct dns_tx *dns = dns_tx_of(tx);
	const struct dns_message *m = &dns->message;
	static const struct {
		uint16_t bit;
		const char *name;
	} flags[] = {{0x8000, "qr"}, {0x0400, "aa"}, {0x0200, "tc"}, {0x0100, "rd"}, {0x0080, "ra"}, {0x0040, "z"}};
	char number[16];
	(void)session;

	s->number(s, "version", 3);
	field_text(s, "type", m->flags & 0x8000 ? "response" : "request");
	s->number(s, "tx_id", (int64_t)tx->id);
	s->number(s, "id", m->id);
	snprintf(number, sizeof(number), "%x", m->flags);
	field_text(s, "flags", number);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (m->flags & flags[i].bit)
			s->boolean(s, flags[i].name, true);
	s->number(s, "opcode", m->flags >> 11 & 15);
	const char *rcode = dns_rcode_name(m->flags & 15);
	if (!rcode) {
		snprintf(number, sizeof(number), "RCODE-%u", m->flags & 15);
		rcode = number;
	}
	field_text(s, "rcode", rcode);
	section_fields(s, m, DNS_QUERIES, "queries");
	section_fields(s, m, DNS_ANSWERS, "answers");
	grouped_fields(s, m);
	section_fields(s, m, DNS_AUTHORITIES, "authorities");
	section_fields(s, m, DNS_ADDITIONALS, "additionals");
}

const struct app_proto app_dns = {
	.name = "dns",
	.record_type = "dns",
	.id = APP_DNS,
	.tcp = true,
	.udp = true,
	.probe = dns_probe,
	.state_new = dns_state_new,
	.state_free = dns_state_free,
	.parse = dns_parse,
	.tx_free = dns_tx_free,
	.complete = {DNS_COMPLETE, DNS_COMPLETE},
	.hooks = {(const char *const[]){"request_started", "request_complete", NULL},
		  (const char *const[]){"response_started", "response_complete", NULL}},
	.buffers = dns_buffers,
	.values = dns_values,
	.events = dns_events,
	.fields = dns_fields,
	.flows_counter_tcp = COUNTER_APP_LAYER_FLOWS_DNS_TCP,
	.flows_counter_udp = COUNTER_APP_LAYER_FLOWS_DNS_UDP,
	.tx_counter = COUNTER_APP_LAYER_TX_DNS,
};
