/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A compiled rule set: immutable once sigs_compile returned, shared by all matchers. Signatures are numbered in the order in
 * which they take effect; everything else refers to them by that number.
 */

#include "mpse.h"
#include "signature.h"

/* What a signature is, for how far its action reaches and when it is judged. */
enum sig_type {
	SIG_TYPE_PACKET,
	SIG_TYPE_PACKET_STREAM,
	SIG_TYPE_STREAM,
	SIG_TYPE_APP, /* names a protocol but nothing of a transaction: judged with packets */
	SIG_TYPE_TX,
	SIG_TYPE_IP_ONLY,
	SIG_TYPE_LIKE_IP_ONLY,
	SIG_TYPE_PROTO_DETECT, /* app-layer-protocol and nothing else */
	SIG_TYPE_DECODE_EVENT,
};

/* Protocols of packets that a signature can match, as bits. */
enum sig_transport {
	SIG_TRANSPORT_TCP = 1 << 0,
	SIG_TRANSPORT_UDP = 1 << 1,
	SIG_TRANSPORT_ICMP4 = 1 << 2,
	SIG_TRANSPORT_ICMP6 = 1 << 3,
	SIG_TRANSPORT_SCTP = 1 << 4,
	SIG_TRANSPORT_OTHER = 1 << 5,
	SIG_TRANSPORT_NON_IP = 1 << 6,
	SIG_TRANSPORT_IP = 0x3f,
	SIG_TRANSPORT_ALL = 0x7f,
};

/* Facts of a packet that a signature cannot do without, as bits. */
enum sig_need {
	SIG_NEED_PAYLOAD = 1 << 0,
	SIG_NEED_FLOW = 1 << 1,
	SIG_NEED_TO_SERVER = 1 << 2,
	SIG_NEED_TO_CLIENT = 1 << 3,
	SIG_NEED_ESTABLISHED = 1 << 4,
	SIG_NEED_NOT_ESTABLISHED = 1 << 5,
	SIG_NEED_FRAGMENT = 1 << 6,
	SIG_NEED_NO_FRAGMENT = 1 << 7,
	SIG_NEED_NOT_PSEUDO = 1 << 8, /* never on the pseudo packets that end a flow */
	SIG_NEED_FLOW_FIRST = 1 << 9, /* the first packet of its flow and direction */
};

/* How a header's two sides lie to the packet's. */
enum sig_sides {
	SIG_SIDES_AS_WRITTEN,
	SIG_SIDES_EITHER,	/* <> */
	SIG_SIDES_BY_DIRECTION, /* =>: as written for requests, turned round for answers */
};

/* Address sets whose verdict a flow remembers for its two ends; the busiest get these numbers. */
#define ADDRESS_CACHE_SETS 64
#define ADDRESS_NOT_CACHED 0xff

/* What is looked at first, and mostly last, of a candidate: one cache line. */
struct sig_head {
	const struct address_set *src, *dst;  /* NULL: any */
	const struct port_set *sport, *dport; /* NULL: any */
	const struct signature *sig;
	uint16_t needs;	   /* enum sig_need */
	uint8_t transport; /* enum sig_transport */
	uint8_t family;	   /* 4, 6, 0 both */
	uint8_t src_cached, dst_cached;
	uint8_t type;				/* enum sig_type */
	uint8_t app;				/* enum app_id that the flow must have; 0 any */
	uint32_t app_mask;			/* SIG_TYPE_TX */
	uint8_t bidirectional;			/* enum sig_sides */
	uint8_t packet_payload, stream_payload; /* what payload matches see */
	uint8_t stream_only;			/* and never a segment that the stream did not take */
	uint8_t ports;				/* some port is named */
	uint16_t dsize_min, dsize_max;		/* payload bytes that dsize allows */
};
_Static_assert(sizeof(struct sig_head) == 56 || sizeof(struct sig_head) == 64, "keep it within a cache line");

struct sig_list {
	uint32_t *nums;
	uint32_t count;
};

/* Payload prefilters, by what carries the payload. */
enum payload_class { PAYLOAD_TCP_STREAM, PAYLOAD_TCP_PACKET, PAYLOAD_UDP, PAYLOAD_OTHER, PAYLOAD_CLASSES };

/* Literals that can only stand at the beginning (a depth bounds them) are searched there alone: they are short and
 * many, and would slow the search of all that follows. */
enum reach { REACH_NEAR, REACH_FAR, REACHES };
/* Where the beginning ends: most depths are far below. */
#define REACH_NEAR_BYTES 256

/*
 * Prefilters of one payload class and direction. Signatures that name few ports stand in the set of those ports,
 * all others in `any`; ports that the same signatures name share a set.
 */
struct port_sets {
	const struct mpse *any[REACHES];
	const struct mpse *(*sets)[REACHES]; /* set_count; [0] has none */
	uint32_t set_count;
	uint16_t *by_dport, *by_sport; /* 65,536 indexes in `sets`; NULL: nothing for any port */
};

/* Signatures without a prefilter, by the packets that can match them. */
enum always_class { ALWAYS_TCP, ALWAYS_UDP, ALWAYS_ICMP, ALWAYS_OTHER, ALWAYS_CLASSES };

/* Maps an address to the signatures whose narrow side has it: sorted, disjoint ranges. */
struct address_index {
	uint32_t v4_count, v6_count;
	struct index_range4 {
		uint32_t first, last, from, count; /* of `nums` */
	} * v4;
	struct index_range6 {
		uint8_t first[16], last[16];
		uint32_t from, count;
	} * v6;
	uint32_t *nums;
	uint32_t num_count;
};

struct always_list {
	struct sig_list any;	       /* no narrow address side */
	struct address_index src, dst; /* by address */
};

/* STREAM buffers of one protocol and direction that keep a position in a transaction's state. */
#define PLAN_STREAMS_MAX 8

struct plan_entry {
	const struct buffer_ref *ref;
	const struct app_buffer *buffer;
	const struct mpse *mpse;
	int8_t stream; /* slot in the transaction's state; -1: looked at once, when it is final */
	uint8_t due;   /* progress from which it is looked at */
};

/* A signature without prefilter and the progress at which all it looks at is known. */
struct plan_always {
	uint32_t sig;
	uint8_t due;
	bool every; /* looked at again whenever the transaction is, as long as it may still match (files) */
};

/* How the transactions of one protocol are judged in one direction. */
struct app_plan {
	struct plan_entry *entries; /* STREAM ones last, else by `due` */
	uint32_t entry_count, once_count;
	struct plan_always *always; /* by `due` */
	uint32_t always_count;
	struct sig_list *events; /* by the protocol's event, EVENTS_MAX lists; NULL: none */
	bool any;		 /* some signature can match here */
};
#define PLAN_EVENTS_MAX (APP_EVENT_WORDS * 64)

/* A name of a bit, variable ... : what stays the same from one rule set to the next. */
struct name_ids {
	uint64_t *ids; /* by number */
};

struct sigs_ruleset {
	struct arena *arena;
	struct sigs_options options;
	struct parsed_rules parsed;
	struct sigs_counts counts;
	struct signature **sigs; /* by number */
	struct sig_head *heads;
	uint32_t sig_count;
	uint64_t generation; /* differs between any two rule sets of a process */

	const struct address_set *cached_sets[ADDRESS_CACHE_SETS];
	uint32_t cached_count;
	struct port_sets payload[PAYLOAD_CLASSES][2];
	struct always_list always[ALWAYS_CLASSES][2];
	struct always_list ip_only;
	struct sig_list non_ip;		/* of packets that are not IP, or not readable */
	struct sig_list *packet_events; /* EVENT_COUNT lists */
	struct app_plan plans[APP_ID_COUNT][2];
	struct mpse **app_sets[2]; /* by buffer id, one a direction */

	struct mpse **all_sets; /* every set, for the cache and for freeing */
	uint32_t all_count;
	void *image; /* the cache's databases, borrowed by the sets */
	size_t scratch_hint;

	struct name_ids names[NAME_SPACES];
	bool uses_bits_prefilter;
};

/* order.c: numbers the signatures in the language's order of precedence. */
void ruleset_order(struct signature **sigs, uint32_t count);
/* group.c: sets up heads, lists, plans and literal sets. 0 or -errno. */
int ruleset_group(struct sigs_ruleset *ruleset);
int ruleset_head(struct sigs_ruleset *ruleset, uint32_t num, struct sig_head *head);
/* address_index.c */
struct index_entry {
	const struct address_set *set;
	uint32_t sig;
};
int address_index_build(struct address_index *index, struct arena *arena, const struct index_entry *entries,
			uint32_t count);
/* The signatures of an address; *count is 0 when there is none. */
const uint32_t *address_index_find(const struct address_index *index, const union packet_addr *addr, uint8_t family,
				   uint32_t *count);
/* Whether a set is narrow enough to be indexed rather than tested. */
bool address_set_is_narrow(const struct address_set *set);

/* fast.c: the content of a signature that is searched for first. */
struct fast_pattern {
	int buffer, match; /* -1: none */
	struct bytes literal;
	uint32_t reach;
	bool nocase;
};
struct fast_pattern fast_pattern_choose(const struct signature *sig);

/* cache.c: databases of all sets, from the cache or compiled and put there. 0 or -errno. */
int ruleset_databases(struct sigs_ruleset *ruleset);
