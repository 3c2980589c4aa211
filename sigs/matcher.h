/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* A worker's matcher: everything that changes while packets are judged. One thread. */

#include <dataplane/slab.h>

#include "base64.h"
#include "dataset.h"
#include "iprep.h"
#include "ruleset.h"
#include "threshold.h"
#include "transform.h"

/* A buffer under inspection. */
struct inspect_view {
	const uint8_t *data;
	uint32_t len;
	uint64_t offset; /* of data[0] in the whole */
	bool final;	 /* nothing will follow */
};

enum inspect_result { INSPECT_NO, INSPECT_MATCH, INSPECT_MORE /* no, but more data may change that */ };

/* Candidates, each once, sorted when asked for. */
struct candidates {
	uint32_t *nums;
	uint32_t count;
	uint32_t *stamps; /* by signature: the round that added it last */
	uint32_t round;
};

/* A signature whose literal was seen in a stream that does not bear the rest out yet. */
struct pending {
	uint32_t sig;
	uint64_t until; /* it is dropped once the window begins past this offset */
	bool unmatched; /* nowhere in the window at the last look: where it matches next, it matches anew */
};
/* Bounded: pendings a flow direction keeps; more are forgotten, oldest first. */
#define PENDING_MAX 32

struct sig_flow_bit {
	uint64_t id;
};
struct sig_flow_int {
	uint64_t id;
	uint32_t value;
};
struct sig_flow_var {
	uint64_t id;
	uint32_t len;
	uint8_t *data;
};
struct sig_flow_entropy {
	uint64_t id;
	double value;
};
struct sig_flow_tag {
	uint64_t first_ns;
	uint32_t gid, sid;
	uint32_t limit, used;
	uint8_t metric;
	bool skipped_first;
	uint16_t renewed;
};

/* Each list of a flow's state: what one flow may hold at most, so that no signature set lets a peer exhaust memory. */
#define FLOW_BITS_MAX	   256
#define FLOW_INTS_MAX	   64
#define FLOW_VARS_MAX	   32
#define FLOW_ENTROPIES_MAX 32
#define FLOW_VAR_BYTES_MAX 1024
#define FLOW_TAGS_MAX	   50

/* The sets that a payload is searched with: of any port, by dport, by sport; only those that hold something. */
struct payload_sets {
	const struct mpse *set[3 * REACHES];
	uint8_t count;
};

struct sig_flow_dir {
	bool known;		     /* the lists below are set up for this rule set */
	bool ip_judged;		     /* address-only signatures are done */
	bool search_anew;	     /* other signatures than those that searched the stream's window so far */
	struct payload_sets sets[2]; /* stream (or datagram), packet */
	uint32_t *always;	     /* slab; signatures without prefilter that header facts leave */
	uint32_t always_count;
	struct pending *pending; /* slab, PENDING_MAX */
	uint16_t pending_count;
	uint64_t raw_tried; /* stream offset up to which pendings were tried */
};

struct sig_flow {
	uint64_t generation;
	uint32_t flags;	      /* FLOW_SWAPPED as it was */
	uint64_t addr_has[2]; /* cached sets that have the client, the server */
	bool addr_known;
	struct sig_flow_dir dir[2];
	struct sig_flow_bit *bits;
	struct sig_flow_int *ints;
	struct sig_flow_var *vars;
	struct sig_flow_entropy *entropies; /* by buffer, as last computed */
	struct sig_flow_tag *tags;
	uint16_t entropy_count, entropy_cap;
	uint16_t bit_count, bit_cap, int_count, int_cap, var_count, var_cap, tag_count, tag_cap;
	uint8_t app_seen[2]; /* enum app_id, by direction */
};

/* A signature of both directions has one entry, any other one for each. */
#define TX_BOTH_SIDES 2
enum tx_entry_flag {
	TX_ENTRY_DONE = 1 << 0,
	TX_ENTRY_HOOK = 1 << 1, /* matched, and does again with more data while the transaction stays at the hook */
};

/* What a signature has found so far in a transaction. */
struct tx_entry {
	uint32_t sig;
	uint32_t matched; /* buffers, then values, by bit */
	uint8_t flags;	  /* enum tx_entry_flag */
	uint8_t side;	  /* the direction it stands for; TX_BOTH_SIDES */
	uint8_t dirs;	  /* directions it waits for, by bit */
	uint8_t wait[2];  /* progress from which another try makes sense */
	uint16_t files;	  /* the transaction's first files, of the direction, that it has matched or passed over */
};
/* Bounded: signatures a transaction keeps state for. */
#define TX_ENTRIES_MAX 512

struct tx_stream {
	uint32_t index;
	uint64_t offset; /* scanned up to */
};

struct tx_state {
	uint64_t generation;
	uint16_t next[2];	 /* plan entries done */
	uint16_t always_next[2]; /* always entries done */
	uint64_t events_seen[2][APP_EVENT_WORDS];
	struct tx_stream stream[2][PLAN_STREAMS_MAX];
	struct tx_entry *entries;
	uint16_t count, cap;
	uint16_t open; /* entries that are not done */
	uint8_t progress[2];
	bool seen[2];
	uint32_t files_seen[2];
	uint32_t feeds_seen[2];
	uint16_t hooks; /* entries that a hook keeps alive */
};

/* One found signature, before it becomes a record. */
struct alert {
	uint32_t num;
	uint8_t flags; /* enum alert_flag */
	uint64_t tx_id;
	const struct app_tx *tx;
	const struct app_file *file;
	uint16_t context_first, context_count; /* in the matcher's contexts */
};
enum alert_flag { ALERT_STATE = 1 << 0, ALERT_STREAM = 1 << 1, ALERT_TX = 1 << 2 };
/* More than any packet can show; what is beyond is counted. */
#define ALERT_QUEUE_MAX 1024

struct packet_var {
	uint64_t id;
	uint32_t len;
	const uint8_t *data; /* in the packet's arena */
};
#define PACKET_VARS_MAX 32

/* What an expression captured, until the signature as a whole matches. */
struct capture {
	uint32_t name, len;
	const uint8_t *data;
	uint8_t scope; /* CAPTURE_FLOW, CAPTURE_PACKET or CAPTURE_ALERT */
};
#define CAPTURES_MAX 16
/* Captured values that all alerts of one packet show. */
#define CONTEXTS_MAX 64

/* A buffer as transforms left it, kept while the packet is judged. */
struct transformed {
	const struct buffer_ref *ref;
	const void *owner; /* the transaction, or the packet */
	uint32_t index;
	uint8_t dir;
	bool present;
	struct inspect_view view;
};
#define TRANSFORMED_MAX 64
/* Output of all transforms of one packet. */
#define TRANSFORM_ARENA_BYTES (2u << 20)

struct profile_entry {
	uint64_t checks, matches, ns;
};

struct sigs_matcher {
	const struct sigs_ruleset *ruleset;
	struct sigs_env env;
	struct counters *counters;
	struct stream_engine *streams;
	struct slab *slab; /* flow and transaction state */
	hs_scratch_t *scratch;
	pcre2_match_data *match_data;
	pcre2_match_context *match_context;
	pcre2_jit_stack *jit_stack;

	struct sigs_shared *own_shared; /* NULL: the next two are another's */
	struct threshold_table *thresholds;
	struct bits_table *bits;
	struct transformer *transformer;
	struct host_tag *host_tags; /* HOST_TAGS_MAX */
	unsigned host_tag_count;

	/* the packet at hand */
	struct packet *pkt;
	struct sig_flow *state;	   /* NULL without a flow */
	uint32_t facts;		   /* enum sig_need that hold */
	uint64_t src_has, dst_has; /* cached sets that have the packet's source, destination; while addr_known */
	bool addr_known;
	uint8_t transport;	    /* what is read of the packet; SIG_TRANSPORT_NON_IP when it is unreadable */
	uint8_t header_transport;   /* and what its IP header says */
	struct inspect_view stream; /* raw window; data NULL: none */
	uint32_t fresh;		    /* index of the first new byte in it */
	bool stream_ready;
	bool app_settled; /* the protocol of this direction is recognised since this packet */
	struct candidates packet_candidates, tx_candidates;
	uint32_t *tx_wanted; /* transaction signatures whose literal stood in the payload */
	uint32_t tx_wanted_count;

	/* the signature at hand */
	const struct signature *sig;
	uint64_t vars[SIG_VARS_MAX];
	uint32_t steps;	    /* content and pcre tries left */
	uint32_t match_end; /* largest end of a match in the buffer at hand */
	bool more;	    /* a search was cut by the end of the buffer at hand */
	struct capture captures[CAPTURES_MAX];
	unsigned capture_count;

	struct packet_var packet_vars[PACKET_VARS_MAX];
	unsigned packet_var_count;
	struct transformed transformed[TRANSFORMED_MAX];
	unsigned transformed_count;
	uint8_t *arena;
	uint32_t arena_used;

	struct alert *alerts;
	unsigned alert_count, alert_overflow;
	struct sigs_context contexts[CONTEXTS_MAX];
	unsigned context_count;
	unsigned alerts_shown; /* of the result's matches, those that become alerts */
	struct sigs_result result;
	struct profile_entry *profile; /* NULL when off */
};

/* A block that lives until the packet is judged; NULL when the arena is full. */
uint8_t *matcher_scratch(struct sigs_matcher *matcher, uint32_t size);

/* flow_state.c */
struct sig_flow *flow_state_get(struct sigs_matcher *matcher, struct flow *flow);
struct tx_state *tx_state_get(struct sigs_matcher *matcher, struct app_tx *tx);
void pending_add(struct sigs_matcher *matcher, struct sig_flow_dir *dir, uint32_t sig, uint64_t until, bool unmatched);
/* Whether the signature was unmatched; from now on it is not. */
bool pending_take(struct sig_flow_dir *dir, uint32_t sig);

/* inspect.c */
void alert_add(struct sigs_matcher *matcher, uint32_t num, uint8_t flags, const struct app_tx *tx,
	       const struct app_file *file);
bool packet_vars_hold(struct sigs_matcher *matcher, const struct signature *sig);
bool header_matches(struct sigs_matcher *matcher, const struct sig_head *head);
/* scan.c */
void candidates_reset(struct candidates *candidates);
void candidates_add(struct candidates *candidates, uint32_t num);
void candidates_sort(struct candidates *candidates);
void signature_begin(struct sigs_matcher *matcher, const struct signature *sig);

/* Runs a set over a view; literals that end in the first `fresh` bytes are not new and do not count. */
void mpse_scan(struct sigs_matcher *matcher, const struct mpse *set, const uint8_t *data, uint32_t len, uint32_t fresh,
	       struct candidates *candidates);

/* content.c: the matches of one buffer. */
enum inspect_result content_inspect(struct sigs_matcher *matcher, const struct sig_buffer *buffer,
				    const struct inspect_view *view);
/* search.c: the first place of a pattern; NULL when there is none. */
const uint8_t *content_find(const uint8_t *data, size_t len, struct bytes pattern, bool nocase);
/* number_read.c */
bool bytes_number(const uint8_t *data, unsigned count, bool little_endian, uint64_t *value);
bool digits_number(const uint8_t *data, unsigned count, enum byte_base base, uint64_t *value, unsigned *used);
/* pcre.c: tries from `from`; true when it holds. *end is where the match ends (0 for negated). */
bool pcre_try(struct sigs_matcher *matcher, const struct match_pcre *pcre, const struct inspect_view *view,
	      uint32_t base, uint32_t from, uint32_t *start, uint32_t *end);
void pcre_prepare(struct match_pcre *pcre, struct arena *arena);
/* asn1.c */
bool asn1_match(const struct match_asn1 *asn1, const uint8_t *data, uint32_t len, uint32_t at);

/* buffer.c: one instance of a transaction's buffer, transformed. False when there is none. */
bool buffer_get(struct sigs_matcher *matcher, const struct buffer_ref *ref, const struct app_buffer *buffer,
		const struct app_tx *tx, enum direction dir, unsigned index, struct inspect_view *view);
bool buffer_of_packet(struct sigs_matcher *matcher, const struct buffer_ref *ref, struct inspect_view *view);
bool buffer_of_payload(struct sigs_matcher *matcher, const struct buffer_ref *ref, const struct inspect_view *raw,
		       struct inspect_view *view);
/* packet_match.c: all matches of the packet and flow. */
bool packet_matches(struct sigs_matcher *matcher, const struct signature *sig);

/* tx_inspect.c */
void tx_inspect(struct sigs_matcher *matcher);
bool tx_flushes_stream(struct sigs_matcher *matcher);

/* bits.c */
struct bits_table *bits_table_new(size_t memory_bytes, uint64_t seed);
void bits_table_free(struct bits_table *table);
bool bits_match(struct sigs_matcher *matcher, const struct match *match, const struct app_tx *tx);
void bits_change(struct sigs_matcher *matcher, const struct match *match, const struct app_tx *tx);
bool flowint_match(struct sigs_matcher *matcher, const struct match_flowint *match);
void flowint_change(struct sigs_matcher *matcher, const struct match_flowint *match);
void flow_var_set(struct sigs_matcher *matcher, uint32_t name, const uint8_t *data, uint32_t len);
void flow_entropy_set(struct sigs_matcher *matcher, uint32_t name, double value);
const struct sig_flow_var *flow_var_get(const struct sigs_matcher *matcher, uint32_t name);
void packet_var_set(struct sigs_matcher *matcher, uint32_t name, const uint8_t *data, uint32_t len);
const struct packet_var *packet_var_get(const struct sigs_matcher *matcher, uint32_t name);

/* tag.c */
/* Hosts that can be tagged at a time; rules that tag hosts are rare. */
#define HOST_TAGS_MAX 256
size_t host_tags_bytes(void);
void tag_set(struct sigs_matcher *matcher, const struct signature *sig, const struct match_tag *tag);
/* Whether an earlier match tagged this packet. */
bool tag_check(struct sigs_matcher *matcher);

/* alerts.c: orders what was found, applies thresholds and precedence, and fills in the result. */
void alerts_finish(struct sigs_matcher *matcher);
void post_match(struct sigs_matcher *matcher, const struct signature *sig, const struct app_tx *tx);
