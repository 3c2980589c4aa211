/* SPDX-License-Identifier: BSD-3-Clause */
#include "app/dns_message.h"

static void name_append(uint8_t *out, size_t *n, const uint8_t *label, size_t len)
{
	if (*n > 0 && *n < DNS_NAME_MAX)
		out[(*n)++] = '.';
	if (len > DNS_NAME_MAX - *n)
		len = DNS_NAME_MAX - *n;
	memcpy(out + *n, label, len);
	*n += len;
}

size_t dns_name_read(struct bytes message, size_t at, uint8_t *out, uint16_t *out_len, uint8_t *faults)
{
	size_t n = 0, wanted = 0, end = 0; /* end: where the name ends on the wire, known once a pointer was followed */
	for (unsigned labels = 0;; labels++) {
		if (labels > DNS_LABELS_MAX) {
			*faults |= DNS_TOO_MANY_LABELS;
			if (!end)
				return 0;
			*faults |= DNS_NAME_TOO_LONG;
			break;
		}
		if (at >= message.len) {
			/* a pointer to the very end names nothing; data that ends within a name is malformed */
			if (!end)
				return 0;
			break;
		}
		uint8_t c = message.data[at];
		if (c == 0) {
			at++;
			break;
		}
		if (c >= 0xc0) {
			if (at + 2 > message.len)
				return 0;
			size_t target = load_be16(message.data + at) & 0x3fff;
			if (target > message.len)
				return 0;
			if (target == at) {
				*faults |= DNS_INFINITE_LOOP;
				if (!end)
					return 0;
				break;
			}
			if (!end)
				end = at + 2;
			at = target;
			continue;
		}
		if (c >= 0x40 || at + 1 + c > message.len)
			return 0;
		wanted += c + (wanted > 0);
		name_append(out, &n, message.data + at + 1, c);
		at += 1 + (size_t)c;
		if (wanted > DNS_NAME_MAX) {
			*faults |= DNS_NAME_TOO_LONG;
			if (end)
				break;
		}
	}
	*out_len = (uint16_t)n;
	return end ? end : at;
}

/* --- records -------------------------------------------------------------------------------------------------------- */

struct parser {
	struct slab *slab;
	struct dns_message *m;
	struct bytes data;
	size_t at;
	bool no_memory;
};

/* Reads a name at *at into the message's names; false when malformed or out of memory. */
static bool read_name(struct parser *p, size_t *at, struct dns_name *name)
{
	struct dns_message *m = p->m;
	uint8_t faults = 0;
	uint16_t len = 0;
	if (!slab_buf_reserve(p->slab, &m->names, DNS_NAME_MAX)) {
		p->no_memory = true;
		return false;
	}
	size_t end = dns_name_read(p->data, *at, m->names.data + m->names.len, &len, &faults);
	if (m->names.len + len > DNS_NAMES_MAX) {
		faults |= DNS_NAME_TOO_LONG;
		len = 0;
	}
	m->faults |= faults;
	if (!end)
		return false;
	*name = (struct dns_name){.at = m->names.len, .len = len, .truncated = (faults & DNS_NAME_TOO_LONG) != 0};
	m->names.len += len;
	*at = end;
	return true;
}

static bool type_has_target(const struct dns_record *r, size_t *skip)
{
	switch (r->type) {
	case DNS_TYPE_NS:
	case DNS_TYPE_CNAME:
	case DNS_TYPE_PTR:
	case DNS_TYPE_SOA:
		*skip = 0;
		return r->data_len > 0;
	case DNS_TYPE_MX:
		*skip = 2;
		return r->data_len > 2;
	case DNS_TYPE_SRV:
		*skip = 6;
		return r->data_len > 6;
	default:
		return false;
	}
}

static bool push_record(struct parser *p, const struct dns_record *record)
{
	if (p->m->record_count == DNS_RECORDS_MAX)
		return true;
	if (!slab_buf_append(p->slab, &p->m->records, record, sizeof(*record))) {
		p->no_memory = true;
		return false;
	}
	p->m->record_count++;
	return true;
}

static bool parse_record(struct parser *p, enum dns_section section)
{
	struct dns_record r = {.section = (uint8_t)section};
	size_t fixed = section == DNS_QUERIES ? 4 : 10, skip = 0;
	if (!read_name(p, &p->at, &r.name) || p->data.len - p->at < fixed)
		return false;
	const uint8_t *f = p->data.data + p->at;
	p->at += fixed;
	r.type = load_be16(f);
	r.class = load_be16(f + 2);
	if (section == DNS_QUERIES)
		return push_record(p, &r);
	r.ttl = load_be32(f + 4);
	r.data_len = load_be16(f + 8);
	r.data_at = (uint16_t)p->at;
	if (p->data.len - p->at < r.data_len)
		return false;
	if (type_has_target(&r, &skip)) {
		size_t at = p->at + skip;
		r.has_target = read_name(p, &at, &r.target);
		if (p->no_memory)
			return false;
	}
	p->at += r.data_len;
	return push_record(p, &r);
}

static bool parse_section(struct parser *p, enum dns_section section)
{
	for (unsigned i = 0; i < p->m->count[section]; i++)
		if (!parse_record(p, section))
			return false;
	return true;
}

enum dns_result dns_message_parse(struct slab *slab, struct bytes data, struct dns_message *m)
{
	/* offsets are 16 bits wide, and no DNS message is longer */
	if (data.len < DNS_HEADER_LEN || data.len > UINT16_MAX)
		return DNS_MALFORMED;
	m->id = load_be16(data.data);
	m->flags = load_be16(data.data + 2);
	for (int i = 0; i < DNS_SECTIONS; i++)
		m->count[i] = load_be16(data.data + 4 + 2 * i);
	struct parser p = {.slab = slab, .m = m, .data = data, .at = DNS_HEADER_LEN};
	/* only records' data is looked at later, and queries have none */
	if (m->count[DNS_ANSWERS] + m->count[DNS_AUTHORITIES] + m->count[DNS_ADDITIONALS] > 0 &&
	    !slab_buf_append(slab, &m->raw, data.data, data.len))
		return DNS_NO_MEMORY;
	bool ok = parse_section(&p, DNS_QUERIES) && parse_section(&p, DNS_ANSWERS);
	if (ok && !parse_section(&p, DNS_AUTHORITIES)) {
		m->faults |= DNS_INVALID_AUTHORITIES;
		return p.no_memory ? DNS_NO_MEMORY : DNS_OK;
	}
	if (ok && !parse_section(&p, DNS_ADDITIONALS))
		m->faults |= DNS_INVALID_ADDITIONALS;
	if (p.no_memory)
		return DNS_NO_MEMORY;
	return ok ? DNS_OK : DNS_MALFORMED;
}

void dns_message_free(struct slab *slab, struct dns_message *m)
{
	slab_buf_free(slab, &m->raw);
	slab_buf_free(slab, &m->names);
	slab_buf_free(slab, &m->records);
}

/* --- recognition ---------------------------------------------------------------------------------------------------- */

bool dns_header_plausible(const uint8_t *data, size_t available, size_t len)
{
	if (available < DNS_HEADER_LEN || len < DNS_HEADER_LEN)
		return false;
	size_t records = 0;
	for (int i = 0; i < DNS_SECTIONS; i++)
		records += load_be16(data + 4 + 2 * i);
	if (records * 2 > len)
		return false;
	/* an error answer may be the bare header */
	if (records == 0)
		return len == DNS_HEADER_LEN && data[2] & 0x80;
	return data[2] & 0x80 || load_be16(data + 4) > 0;
}

/* Names on the wire that are not host names are possible, but unusual enough not to take an unknown port for DNS. */
static bool name_usual(const uint8_t *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (name[i] < 0x21 || name[i] > 0x7e)
			return false;
	return true;
}

/* Whole records, or labels of a name, that the beginning of a long message must show: chance does not make so many. */
#define PARTIAL_MIN 16

/* Whether a name that does not end in the bytes seen is made of usual labels as far as they go. */
static bool name_begins(struct bytes message, size_t at)
{
	unsigned labels = 0;
	for (; at < message.len; labels++) {
		size_t len = message.data[at++], seen = message.len - at < len ? message.len - at : len;
		if (len == 0 || len >= 0x40 || !name_usual(message.data + at, seen))
			return false;
		at += len;
	}
	return labels >= PARTIAL_MIN;
}

bool dns_message_plausible(struct bytes message, size_t total)
{
	uint8_t name[DNS_NAME_MAX], faults = 0;
	uint16_t len;
	size_t at = DNS_HEADER_LEN;
	bool partial = message.len < total;
	if (!dns_header_plausible(message.data, message.len, total))
		return false;
	unsigned opcode = message.data[2] >> 3 & 15, records = 0, questions = load_be16(message.data + 4);
	for (int i = 1; i < DNS_SECTIONS; i++)
		records += load_be16(message.data + 4 + 2 * i);
	/* one question, as everybody asks; or an answer of multicast DNS, which repeats none; more is hostile or no DNS at all,
	 * and must show much of it */
	if (opcode > 5 || (!partial && (questions > 1 || records > 64)) || (message.data[3] & 0x40))
		return false;
	for (unsigned i = 0; i < questions + records; i++) {
		size_t fixed = i < questions ? 4 : 10;
		size_t start = at;
		if (partial && i >= PARTIAL_MIN)
			return true;
		at = dns_name_read(message, at, name, &len, &faults);
		if (!at && partial)
			return name_begins(message, start);
		if (!at || faults & ~DNS_NAME_TOO_LONG || !name_usual(name, len) || message.len - at < fixed)
			return false;
		unsigned type = load_be16(message.data + at), class = load_be16(message.data + at + 2) & 0x7fff;
		/* OPT's class is a size */
		if (type == 0 ||
		    (type != DNS_TYPE_OPT && class != 1 && class != 3 && class != 4 && class != 254 && class != 255))
			return false;
		if (i >= questions) {
			size_t data_len = load_be16(message.data + at + 8);
			if (message.len - at - fixed < data_len)
				return false;
			at += data_len;
		}
		at += fixed;
	}
	return at == message.len;
}

/* --- names of numbers ------------------------------------------------------------------------------------------------ */

const char *dns_type_name(uint16_t type)
{
	static const struct {
		uint16_t type;
		const char *name;
	} names[] = {
		{1, "A"},      {2, "NS"},     {3, "MD"},      {4, "MF"},       {5, "CNAME"},	{6, "SOA"},
		{7, "MB"},     {8, "MG"},     {9, "MR"},      {10, "NULL"},    {11, "WKS"},	{12, "PTR"},
		{13, "HINFO"}, {14, "MINFO"}, {15, "MX"},     {16, "TXT"},     {17, "RP"},	{18, "AFSDB"},
		{19, "X25"},   {20, "ISDN"},  {21, "RT"},     {22, "NSAP"},    {23, "NSAPPTR"}, {24, "SIG"},
		{25, "KEY"},   {26, "PX"},    {27, "GPOS"},   {28, "AAAA"},    {29, "LOC"},	{30, "NXT"},
		{33, "SRV"},   {34, "ATMA"},  {35, "NAPTR"},  {36, "KX"},      {37, "CERT"},	{38, "A6"},
		{39, "DNAME"}, {41, "OPT"},   {42, "APL"},    {43, "DS"},      {44, "SSHFP"},	{45, "IPSECKEY"},
		{46, "RRSIG"}, {47, "NSEC"},  {48, "DNSKEY"}, {49, "DHCID"},   {50, "NSEC3"},	{51, "NSEC3PARAM"},
		{52, "TLSA"},  {55, "HIP"},   {59, "CDS"},    {60, "CDNSKEY"}, {64, "SVCB"},	{65, "HTTPS"},
		{99, "SPF"},   {249, "TKEY"}, {250, "TSIG"},  {252, "AXFR"},   {253, "MAILB"},	{254, "MAILA"},
		{255, "ANY"},  {256, "URI"},
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].type == type)
			return names[i].name;
	return NULL;
}

const char *dns_rcode_name(unsigned rcode)
{
	static const char *const names[] = {"NOERROR",	"FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
					    "YXDOMAIN", "YXRRSET", "NXRRSET",  "NOTAUTH",  "NOTZONE"};
	return rcode < sizeof(names) / sizeof(names[0]) ? names[rcode] : NULL;
}
