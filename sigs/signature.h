/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A parsed signature: what the language half (lexer, parser, keywords) gives to the compiling half (groups, patterns,
 * matcher). Private to sigs/. Everything is allocated from the builder's arena and handed over whole to the rule set; after
 * sigs_compile nothing in it changes.
 */

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <sigs/sigs.h>

#include "arena.h"

/* --- addresses and ports ------------------------------------------------------------------------------------------ */

/* Sorted, disjoint, inclusive. Equal expressions share one set (compare by pointer). */
struct address_set {
	bool any;
	uint32_t v4_count, v6_count;
	struct address_range4 {
		uint32_t first, last; /* host order */
	} * v4;
	struct address_range6 {
		uint8_t first[16], last[16];
	} * v6;
};

struct port_set {
	bool any;
	uint32_t count;
	struct port_range {
		uint16_t first, last;
	} * ranges;
	uint64_t *bitmap; /* 65,536 bits; NULL when any or one range */
};

bool address_set_has(const struct address_set *set, const union packet_addr *addr, uint8_t family);
bool port_set_has(const struct port_set *set, uint16_t port);

/* --- buffers ---------------------------------------------------------------------------------------------------------- */

enum buffer_kind {
	BUFFER_PAYLOAD,	     /* packet payload, stream, or both: by the signature's protocol and flow options */
	BUFFER_PACKET,	     /* of the packet: `packet` says which */
	BUFFER_APP,	     /* of a transaction: by name, resolved for each protocol and direction */
	BUFFER_BASE64,	     /* what base64_decode left (base64_data): inspected with the buffer it came from */
	BUFFER_PCRE_CAPTURE, /* reserved */
};

enum packet_buffer {
	PACKET_BUFFER_IPV4_HDR,
	PACKET_BUFFER_IPV6_HDR,
	PACKET_BUFFER_TCP_HDR,
	PACKET_BUFFER_UDP_HDR,
	PACKET_BUFFER_ICMPV4_HDR,
	PACKET_BUFFER_ICMPV6_HDR,
	PACKET_BUFFER_IP_SRC, /* 4 or 16 bytes, network order */
	PACKET_BUFFER_IP_DST,
};

enum transform_type {
	TRANSFORM_STRIP_WHITESPACE,
	TRANSFORM_COMPRESS_WHITESPACE,
	TRANSFORM_TO_LOWERCASE,
	TRANSFORM_TO_UPPERCASE,
	TRANSFORM_TO_MD5,
	TRANSFORM_TO_SHA1,
	TRANSFORM_TO_SHA256,
	TRANSFORM_DOTPREFIX,
	TRANSFORM_URL_DECODE,
	TRANSFORM_XOR, /* key */
	TRANSFORM_HEADER_LOWERCASE,
	TRANSFORM_STRIP_PSEUDO_HEADERS,
	TRANSFORM_PCREXFORM,   /* code */
	TRANSFORM_FROM_BASE64, /* base64 */
	TRANSFORM_DOMAIN,
	TRANSFORM_TLD,
	TRANSFORM_GUNZIP,
	TRANSFORM_ZLIB_DEFLATE,
};

enum base64_mode { BASE64_RFC4648, BASE64_RFC2045, BASE64_STRICT };

struct transform {
	enum transform_type type;
	struct bytes key;
	pcre2_code *code;
	struct {
		uint32_t bytes, offset;
		enum base64_mode mode;
	} base64;
	uint32_t max_size; /* gunzip, zlib_deflate */
};

/* A buffer with its transforms: one entry for each distinct pair in a rule set. */
struct buffer_ref {
	uint16_t id; /* dense, from 0; 0 is the payload */
	enum buffer_kind kind;
	enum packet_buffer packet;
	const char *name; /* the sticky keyword */
	const struct transform *transforms;
	unsigned transform_count;
	/* BUFFER_APP: the protocol's own description, NULL where it has none of that name in that direction */
	const struct app_buffer *app[APP_ID_COUNT][2];
	struct buffer_ref *next;
};

/* --- matches ----------------------------------------------------------------------------------------------------------- */

#define SIG_VARS_MAX 16 /* byte_extract and byte_math results of one signature */
#define SIG_VAR_NONE (-1)

enum number_op {
	NUMBER_EQ,
	NUMBER_NE,
	NUMBER_LT,
	NUMBER_LE,
	NUMBER_GT,
	NUMBER_GE,
	NUMBER_RANGE /* a < x < b */,
	NUMBER_RANGE_NOT,
	NUMBER_MASK_SET /* (x & a) == b */,
	NUMBER_MASK_NOT,
	NUMBER_RANGE_IN /* a <= x <= b */
};

struct number_test {
	enum number_op op;
	uint64_t a, b;
};
bool number_test_holds(const struct number_test *test, uint64_t value);

enum content_flag {
	CONTENT_NOCASE = 1 << 0,
	CONTENT_NEGATED = 1 << 1,
	CONTENT_RELATIVE = 1 << 2, /* distance or within given: from the last match */
	CONTENT_DEPTH = 1 << 3,
	CONTENT_OFFSET = 1 << 4,
	CONTENT_DISTANCE = 1 << 5,
	CONTENT_WITHIN = 1 << 6,
	CONTENT_STARTSWITH = 1 << 7,
	CONTENT_ENDSWITH = 1 << 8,
	CONTENT_FAST_PATTERN = 1 << 9, /* the rule asks for it */
	CONTENT_FAST_PATTERN_ONLY = 1 << 10,
	CONTENT_FAST_PATTERN_CHOP = 1 << 11,
	CONTENT_RAWBYTES = 1 << 12,
};

struct match_content {
	struct bytes pattern;
	uint32_t flags;
	/* depth is an end in the buffer: what the rule writes, plus offset (startswith: the pattern's length). From variables
	 * (the four below) depth counts from the offset. */
	int32_t offset, depth, distance, within;
	int8_t offset_var, depth_var, distance_var, within_var; /* SIG_VAR_NONE, or the variable's index */
	uint16_t chop_offset, chop_length;
	uint8_t relative_next; /* set by the compiling half: the next match is relative to this one, so try further places */
	uint8_t conclusive; /* set by the compiling half: not found behind the first try, it is behind no later one */
};

/* Names that pcre, flowbits ... store under: numbered in the rule set, see names below. */
struct match_pcre {
	pcre2_code *code;    /* compiled at parse time, not JITed; the matcher JITs */
	const char *pattern; /* as compiled */
	uint32_t options;    /* PCRE2_* */
	bool negated, relative;
	bool literal_hs; /* Hyperscan takes the expression as it is (set by the compiling half) */
	uint8_t capture_count;
	struct {
		enum { CAPTURE_PACKET, CAPTURE_FLOW, CAPTURE_ALERT, CAPTURE_VAR } scope;
		uint32_t name; /* CAPTURE_PACKET and FLOW, ALERT: number of the name */
		uint8_t group;
	} captures[8];
	void *matcher_data; /* the compiling half's */
};

enum byte_base { BYTES_BINARY, BYTES_HEX, BYTES_DEC, BYTES_OCT };

struct match_bytes {   /* byte_test, byte_jump, byte_extract, byte_math, isdataat share it */
	uint8_t count; /* bytes to read; 0: from count_var */
	int8_t count_var;
	int32_t offset;
	int8_t offset_var;
	bool relative, little_endian, dce;
	enum byte_base base; /* how digits are read, when `string` */
	bool string;
	uint32_t bitmask; /* 0: none */
	uint8_t bitmask_shift;
	/* byte_test */
	bool negated;
	enum { BYTE_OP_LT, BYTE_OP_GT, BYTE_OP_EQ, BYTE_OP_LE, BYTE_OP_GE, BYTE_OP_AND, BYTE_OP_OR } test;
	uint64_t value;
	int8_t value_var;
	/* byte_jump */
	uint32_t multiplier;
	bool align, from_beginning, from_end;
	int32_t post_offset;
	int8_t post_offset_var;
	/* byte_extract, byte_math */
	uint8_t result_var;
	uint8_t align_to; /* byte_extract: 0, 2, 4 */
	enum { BYTE_MATH_ADD, BYTE_MATH_SUB, BYTE_MATH_MUL, BYTE_MATH_DIV, BYTE_MATH_SHL, BYTE_MATH_SHR } math;
	uint64_t rvalue;
	int8_t rvalue_var;
};

struct match_isdataat {
	uint32_t at;
	int8_t at_var;
	bool negated, relative;
};

enum bits_op { BITS_SET, BITS_UNSET, BITS_TOGGLE, BITS_ISSET, BITS_ISNOTSET };
enum bits_scope { BITS_FLOW, BITS_HOST_SRC, BITS_HOST_DST, BITS_HOST_BOTH, BITS_PAIR, BITS_TX };

struct match_bits { /* flowbits, xbits, hostbits */
	enum bits_op op;
	enum bits_scope scope;
	/* Numbers in NAME_FLOWBIT for BITS_FLOW, in NAME_XBIT for every other scope (hostbits and xbits share their names).
	 * More than one: any of them (flowbits:isset,a|b). */
	uint32_t names[8];
	uint8_t name_count;
	uint32_t expire_s;
};

struct match_flowint {
	uint32_t name;
	enum {
		FLOWINT_SET,
		FLOWINT_ADD,
		FLOWINT_SUB,
		FLOWINT_LT,
		FLOWINT_LE,
		FLOWINT_EQ,
		FLOWINT_NE,
		FLOWINT_GE,
		FLOWINT_GT,
		FLOWINT_ISSET,
		FLOWINT_NOTSET
	} op;
	bool by_name;
	uint32_t value;
	uint32_t other;
};

enum threshold_type {
	THRESHOLD_LIMIT,
	THRESHOLD_THRESHOLD,
	THRESHOLD_BOTH,
	THRESHOLD_DETECTION_FILTER,
	THRESHOLD_RATE,
	THRESHOLD_SUPPRESS,
	THRESHOLD_BACKOFF
};
enum threshold_track { TRACK_SRC, TRACK_DST, TRACK_BOTH, TRACK_RULE, TRACK_EITHER, TRACK_FLOW };

struct threshold {
	enum threshold_type type;
	enum threshold_track track;
	uint32_t count, seconds, multiplier;
	uint32_t timeout_s;		     /* rate: how long the new action holds */
	enum sigs_action new_action;	     /* rate */
	const struct address_set *addresses; /* suppress */
	struct threshold *next;
};

struct match_dataset {
	enum { DATASET_ISSET, DATASET_ISNOTSET, DATASET_SET, DATASET_UNSET, DATAREP } op;
	struct dataset *set; /* of the builder, by name */
	struct number_test reputation;
};

struct match_stream_size {
	enum { STREAM_SIZE_SERVER, STREAM_SIZE_CLIENT, STREAM_SIZE_BOTH, STREAM_SIZE_EITHER } side;
	struct number_test test;
};

struct match_base64 {
	uint32_t bytes, offset; /* 0 bytes: all */
	bool relative;
};

struct match_asn1 {
	bool bitstring_overflow, double_overflow, relative_offset, has_absolute_offset;
	uint32_t oversize_length;
	int32_t offset;
};

struct match_tag {
	bool host, host_dst; /* else session */
	enum { TAG_PACKETS, TAG_SECONDS, TAG_BYTES } metric;
	uint32_t count;
};

struct match_app_value {
	const char *name;
	const struct app_value *app[APP_ID_COUNT][2]; /* as buffer_ref */
	struct number_test test;
	struct bytes text; /* reserved */
	bool negated;
	/* for MULTI: */
	enum { INDEX_ANY, INDEX_ALL, INDEX_AT, INDEX_COUNT } index_mode;
	int32_t index;
};

struct match_entropy {
	enum number_op op;
	double a, b;
	uint32_t bytes, offset;
	uint32_t name; /* of the buffer, as the flow remembers what was found */
};

struct match_file { /* filename, fileext, filemd5 ..., filesize */
	enum { FILE_NAME, FILE_EXT, FILE_MD5, FILE_SHA1, FILE_SHA256, FILE_SIZE, FILE_STORE } what;
	bool negated;
	uint8_t dirs; /* 0: of the direction judged; 1 to server, 2 to client ("filesize:to_client,<100") */
	struct bytes text;
	struct dataset *hashes;
	struct number_test size;
};

enum match_type {
	/* of a buffer, in the order written */
	MATCH_CONTENT,
	MATCH_PCRE,
	MATCH_BYTE_TEST,
	MATCH_BYTE_JUMP,
	MATCH_BYTE_EXTRACT,
	MATCH_BYTE_MATH,
	MATCH_ISDATAAT,
	MATCH_BSIZE,
	MATCH_URILEN, /* number; `flag` is norm (0) or raw (1): a buffer match on http.uri or http.uri.raw */
	MATCH_ABSENT, /* flag: "or_else" */
	MATCH_BASE64_DECODE,
	MATCH_DATASET,
	MATCH_ASN1,
	MATCH_ENTROPY,
	MATCH_LUA, /* never loaded */

	/* of the packet */
	MATCH_DSIZE,
	MATCH_IP_PROTO, /* number; several may stand: all must hold */
	MATCH_TTL,
	MATCH_TOS,
	MATCH_IP_ID,
	MATCH_FRAGBITS, /* mask a, `op` by flag: 0 exact, 1 all of (+), 2 any of (*), 3 not (!) */
	MATCH_FRAGOFFSET,
	MATCH_IPOPTS, /* number.a: enum ip_option bits, any of */
	MATCH_SAMEIP,
	MATCH_TCP_FLAGS, /* as FRAGBITS; number.b: bits ignored; or flag 4: `number` tests all eight */
	MATCH_TCP_SEQ,
	MATCH_TCP_ACK,
	MATCH_TCP_WINDOW,
	MATCH_TCP_MSS,
	MATCH_TCP_WSCALE,
	MATCH_ITYPE,
	MATCH_ICODE,
	MATCH_ICMP_ID,
	MATCH_ICMP_SEQ,
	MATCH_ICMPV6_MTU,
	MATCH_IPV4_CSUM, /* flag: 1 valid, 0 invalid */
	MATCH_TCPV4_CSUM,
	MATCH_TCPV6_CSUM,
	MATCH_UDPV4_CSUM,
	MATCH_UDPV6_CSUM,
	MATCH_ICMPV4_CSUM,
	MATCH_ICMPV6_CSUM,
	MATCH_PACKET_EVENT, /* event; decode-event, stream-event, app-layer-event:applayer_... */
	MATCH_VLAN_ID,	    /* number; flag: layer 0..2, 255 any, 254 the last, 253 the one before, 252; 251 all */
	MATCH_VLAN_LAYERS,
	MATCH_GEOIP, /* flag bit 0 src, 1 dst, 2 both, 3 any; text: codes, comma-separated; negated */
	MATCH_IPREP, /* iprep */

	/* of the flow */
	MATCH_BITS,
	MATCH_FLOWINT,
	MATCH_STREAM_SIZE,
	MATCH_FLOW_AGE,
	MATCH_FLOW_PKTS, /* flag: 0 to server, 1 to client, 2 both, 3 either */
	MATCH_FLOW_BYTES,
	MATCH_APP_PROTOCOL, /* number.a: enum app_id (APP_FAILED for "failed"); negated; flag: 0 any/final, 1 to_server, 2 to_client, 3 both, 4 either, 5 original */
	MATCH_FLOWVAR,	    /* name, text, negated */
	MATCH_PKTVAR,

	/* of the transaction */
	MATCH_APP_VALUE,
	MATCH_APP_EVENT, /* number.a: the protocol's event; flag: enum app_id */
	MATCH_FILE,

	/* after the match */
	MATCH_TAG,
	MATCH_NOALERT,
};

struct match {
	enum match_type type;
	bool negated;
	uint8_t flag;
	union {
		struct match_content content;
		struct match_pcre pcre;
		struct match_bytes bytes;
		struct match_isdataat isdataat;
		struct number_test number;
		struct match_bits bits;
		struct match_flowint flowint;
		struct match_dataset dataset;
		struct match_stream_size stream_size;
		struct match_base64 base64;
		struct match_asn1 asn1;
		struct match_tag tag;
		struct match_app_value value;
		struct match_entropy entropy;
		struct match_file file;
		enum event event;
		struct {
			uint32_t name;
			struct bytes text;
		} var;
		struct {
			uint8_t side; /* 0 any, 1 src, 2 dst, 3 both */
			uint8_t category;
			struct number_test test;
		} iprep;
	};
};

/* The matches of one buffer. A MULTI buffer may stand several times: each stands for one instance. */
struct sig_buffer {
	const struct buffer_ref *ref;
	struct match *matches;
	unsigned match_count;
	int8_t base64_of; /* BUFFER_BASE64: which of the signature's buffers it was decoded from */
};

/* --- the signature ---------------------------------------------------------------------------------------------------------- */

enum sig_proto {
	SIG_IP, /* "ip", "any" */
	SIG_IPV4,
	SIG_IPV6,
	SIG_TCP,	/* stream and, where nothing forbids it, packet payload */
	SIG_TCP_PKT,	/* packets alone */
	SIG_TCP_STREAM, /* stream alone */
	SIG_UDP,
	SIG_ICMP, /* both families; ICMPV4, ICMPV6 one */
	SIG_ICMPV4,
	SIG_ICMPV6,
	SIG_SCTP,
	SIG_PKTHDR, /* "pkthdr": also packets without IP, or invalid */
	SIG_APP,    /* app says which */
};

enum sig_flow_flag {
	SIG_FLOW_TO_SERVER = 1 << 0,
	SIG_FLOW_TO_CLIENT = 1 << 1,
	SIG_FLOW_ESTABLISHED = 1 << 2,
	SIG_FLOW_NOT_ESTABLISHED = 1 << 3,
	SIG_FLOW_STATELESS = 1 << 4,
	SIG_FLOW_ONLY_STREAM = 1 << 5,
	SIG_FLOW_NO_STREAM = 1 << 6,
	SIG_FLOW_ONLY_FRAG = 1 << 7,
	SIG_FLOW_NO_FRAG = 1 << 8,
};

enum sig_flag {
	SIG_BIDIRECTIONAL = 1 << 0, /* <> : also with the two sides exchanged */
	SIG_NOALERT = 1 << 1,
	SIG_NEEDS_PACKET = 1 << 2, /* has matches of the packet */
	SIG_NEEDS_FLOW = 1 << 3,
	SIG_APP_INSPECT = 1 << 4, /* has buffers, values or events of a transaction */
	SIG_IP_ONLY = 1 << 5,	  /* nothing but addresses: judged once a flow and direction */
	SIG_LIKE_IP_ONLY = 1 << 6,
	SIG_PREFILTER = 1 << 7, /* `prefilter` given */
	SIG_HOOKED = 1 << 8,	/* proto:hook given; hook is its progress (hook_dir its direction), or flow_start */
	SIG_HOOK_FLOW_START = 1 << 9,
	SIG_TRANSACTIONAL_BIDIR = 1 << 10, /* => : request and response of one transaction */
	/* What matches of the payload see over TCP (over anything else they see packets). "tcp" with contents: the stream, and
	 * packets too when a content has depth or offset or the rule has stream_size. With keywords of single packets (dsize,
	 * flags, ttl ..., tcp-pkt, flow:no_stream): packets alone. tcp-stream and flow:only_stream: the stream alone. */
	SIG_PACKET_PAYLOAD = 1 << 11, /* payload matches see packets */
	SIG_STREAM_PAYLOAD = 1 << 12, /* payload matches see the stream */
	SIG_DECODE_EVENT = 1 << 13,   /* only packet events: also judged on invalid packets */
	SIG_SCOPE_PACKET = 1 << 14,   /* "drop:packet": its action holds for the packet alone */
	SIG_SCOPE_FLOW = 1 << 15,     /* "drop:flow": for the flow, whatever matched */
	SIG_BYPASS = 1 << 16,	      /* `bypass`: after the match the flow needs no inspection */
	SIG_PASS_ALERTS = 1 << 17,    /* `alert` on a pass rule: it passes and is recorded */
};

struct signature {
	struct sigs_info info;
	uint32_t num; /* dense; order of the rule set after sorting */
	enum sig_proto proto;
	enum app_id
		app; /* SIG_APP; or implied by its buffers ("alert tcp" with tls.sni), APP_UNKNOWN when several could be */
	uint32_t app_mask; /* bit enum app_id: protocols whose transactions can match it (SIG_APP_INSPECT) */
	uint32_t flags;	   /* enum sig_flag */
	uint16_t flow;	   /* enum sig_flow_flag */
	uint8_t family;	   /* 4, 6, 0 both: from addresses and keywords */
	uint8_t hook, hook_dir;

	const struct address_set *src, *dst;
	const struct port_set *sport, *dport;

	struct match *packet; /* matches of the packet and flow, in an order that is good to test */
	unsigned packet_count;
	struct match *tx; /* values, events, file matches */
	unsigned tx_count;
	struct match *post; /* flowbits set, flowint set, xbits set, tag ...: carried out on a match */
	unsigned post_count;
	struct sig_buffer *buffers;
	unsigned buffer_count;

	/* The fast pattern as the language half chose it by the rule's own word; -1 when the compiling half is free. */
	int16_t fast_buffer, fast_match;

	struct threshold *thresholds;
	uint8_t var_count;  /* byte_extract and byte_math variables in use */
	void *matcher_data; /* the compiling half's */
};

/* --- what the builder holds ---------------------------------------------------------------------------------------------------- */

struct dataset {
	const char *name;
	enum { DATASET_MD5, DATASET_SHA256, DATASET_STRING, DATASET_IPV4, DATASET_IP, DATASET_SHA1 } type;
	bool reputation;
	uint32_t hash_size, memcap;
	struct dataset_table *table; /* dataset.c of the compiling half: loaded entries */
	struct dataset *next;
};

/* Loads entries as text lines ("base64" for strings, hex for hashes, addresses; with ",reputation" for datarep).
 * 0 or -EINVAL with *bad_line set. Called by the language half when a rule names a file. */
int dataset_load(struct dataset *set, struct arena *arena, const char *text, size_t len, unsigned *bad_line);

enum name_space {
	NAME_FLOWBIT,
	NAME_XBIT,
	NAME_HOSTBIT,
	NAME_FLOWINT,
	NAME_FLOWVAR,
	NAME_PKTVAR,
	NAME_ENTROPY,
	NAME_SPACES
};

/* Everything that sigs_compile gets from the builder; the arena goes with it. */
struct parsed_rules {
	struct arena *arena;
	struct signature **signatures; /* unsorted, duplicates already resolved */
	uint32_t count;
	struct buffer_ref *buffers; /* list; buffer_count entries with dense ids; id 0 is BUFFER_PAYLOAD */
	uint32_t buffer_count;
	const char **names[NAME_SPACES]; /* by number */
	uint32_t name_count[NAME_SPACES];
	struct dataset *datasets;
	void *iprep; /* iprep.c of the compiling half */
	struct sigs_counts counts;
	struct sigs_env env;
	bool wants_file_hashes;
};

/* Takes everything parsed out of the builder (which is empty afterwards). */
void sigs_builder_take(struct sigs_builder *builder, struct parsed_rules *out);

/* iprep.c: the compiling half; called by sigs_add_iprep*. */
struct iprep;
struct iprep *iprep_new(struct arena *arena);
int iprep_add_category(struct iprep *iprep, const char *line_text, size_t len);
int iprep_add_address(struct iprep *iprep, const char *line_text, size_t len);
int iprep_category(const struct iprep *iprep, const char *name); /* -1: unknown */
