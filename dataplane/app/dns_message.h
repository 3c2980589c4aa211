/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* A DNS message (RFC 1035) taken apart: names written out, records by section. */

#include <dataplane/bytes.h>
#include <dataplane/slab.h>

/* Longest name written out. A wire name has at most 255 bytes; resolvers' and attackers' names are longer, and rules look
 * at them, so more is kept than the standard allows. */
#define DNS_NAME_MAX 1025
/* Labels and pointers followed in one name. */
#define DNS_LABELS_MAX 255
/* Records kept of one message: compression lets 64 KiB name some 5,000. */
#define DNS_RECORDS_MAX 5462
/* Bytes of all names written out of one message: compressed names multiply, memory must not. */
#define DNS_NAMES_MAX (2u << 20)

#define DNS_HEADER_LEN 12

enum dns_section { DNS_QUERIES, DNS_ANSWERS, DNS_AUTHORITIES, DNS_ADDITIONALS, DNS_SECTIONS };

enum dns_type {
	DNS_TYPE_A = 1,
	DNS_TYPE_NS = 2,
	DNS_TYPE_CNAME = 5,
	DNS_TYPE_SOA = 6,
	DNS_TYPE_NULL = 10,
	DNS_TYPE_PTR = 12,
	DNS_TYPE_MX = 15,
	DNS_TYPE_TXT = 16,
	DNS_TYPE_AAAA = 28,
	DNS_TYPE_SRV = 33,
	DNS_TYPE_OPT = 41,
	DNS_TYPE_SSHFP = 44,
};

/* What is wrong with names of a message; bits. */
enum dns_fault {
	DNS_NAME_TOO_LONG = 1 << 0,
	DNS_INFINITE_LOOP = 1 << 1,
	DNS_TOO_MANY_LABELS = 1 << 2,
	DNS_INVALID_AUTHORITIES = 1 << 3,
	DNS_INVALID_ADDITIONALS = 1 << 4,
};

/* A name in dns_message.names. */
struct dns_name {
	uint32_t at;
	uint16_t len;
	bool truncated;
};

struct dns_record {
	struct dns_name name;
	struct dns_name target; /* the name in the data: CNAME, NS, PTR, MX, SRV, SOA's mname */
	uint16_t type, class;
	uint32_t ttl;
	uint16_t data_at, data_len; /* in the message */
	uint8_t section;
	bool has_target;
};

struct dns_message {
	uint16_t id, flags;
	uint16_t count[DNS_SECTIONS]; /* as the header says */
	struct slab_buf raw;	      /* the message */
	struct slab_buf names;
	struct slab_buf records; /* struct dns_record */
	uint32_t record_count;
	uint8_t faults; /* enum dns_fault */
};

enum dns_result {
	DNS_OK,
	DNS_MALFORMED, /* what was read until there stands in the message */
	DNS_NO_MEMORY,
};

/* Whether the bytes can be a DNS message of `len` bytes, judged by its header. */
bool dns_header_plausible(const uint8_t *data, size_t available, size_t len);
/* The same by all of its content, strictly: for ports where nothing else says that this is DNS. Of a message of `len`
 * bytes the first may be all that there is to see. */
bool dns_message_plausible(struct bytes message, size_t len);

/* Fills in a cleared message; free it with dns_message_free whatever the result. */
enum dns_result dns_message_parse(struct slab *slab, struct bytes data, struct dns_message *out);
void dns_message_free(struct slab *slab, struct dns_message *message);

static inline const struct dns_record *dns_records(const struct dns_message *m)
{
	return (const struct dns_record *)(const void *)m->records.data;
}

static inline struct bytes dns_name_bytes(const struct dns_message *m, struct dns_name name)
{
	return (struct bytes){.data = m->names.data + name.at, .len = name.len};
}

/* Reads the name at `at`: appended to `out` (at most DNS_NAME_MAX bytes, room for them given), its length in *len; returns
 * where the name ends on the wire, or 0 when it cannot be read. */
size_t dns_name_read(struct bytes message, size_t at, uint8_t *out, uint16_t *len, uint8_t *faults);

/* "A", "MX" ...; NULL when the type has no name. */
const char *dns_type_name(uint16_t type);
const char *dns_rcode_name(unsigned rcode);
