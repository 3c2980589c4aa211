/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Application layers: recognised by content on any port, parsed incrementally into transactions, whose buffers, values,
 * events and fields others look at by name.
 *
 * To add a protocol: one file in dataplane/app/ that defines a `const struct app_proto`, its line in the table in
 * app/registry.c, an id below, and a fuzz target. Nothing else in the house changes: rules find its buffers and values by
 * keyword, records get its fields.
 *
 * Everything here belongs to the worker that owns the flow. Views point into the transaction and live until the next
 * app_input or app_reap on the flow.
 */

#include <stdbool.h>
#include <stdint.h>

#include <dataplane/bytes.h>
#include <dataplane/counters.h>
#include <dataplane/fields.h>
#include <dataplane/flow.h>
#include <dataplane/packet.h>
#include <dataplane/slab.h>
#include <dataplane/stream.h>

enum app_id { APP_UNKNOWN, APP_FAILED, APP_HTTP, APP_DNS, APP_TLS, APP_ID_COUNT };

#define APP_EVENT_WORDS 2

struct app_session;
struct app_tx;

/* --- what a transaction shows --------------------------------------------------------------------------------- */

enum app_buffer_flag {
	APP_BUFFER_MULTI = 1 << 0, /* any number of instances: index 0.. until get returns false */
	APP_BUFFER_STREAM =
		1 << 1, /* grows while progress < complete: a body; get returns the window kept and its offset */
	APP_BUFFER_FILE = 1 << 2, /* the bytes of a file (file.data) */
};

/*
 * One buffer that rules can look at by keyword. The same name may be registered by several protocols, and twice by one
 * for its two directions.
 */
struct app_buffer {
	const char *name; /* the sticky keyword: "http.uri" */
	const char *
		legacy; /* the old modifier form, "http_uri", or an alias of the sticky form; NULL. For a modifier see modifier */
	const char *alias;	 /* another sticky name, or NULL */
	bool legacy_is_modifier; /* legacy applies to the content before it (http_uri), not to those after (tls_sni) */
	enum direction dir;
	uint8_t progress; /* of the tx in dir, from which get may return it */
	uint8_t complete; /* from which it is final (equal to progress unless STREAM) */
	uint8_t flags;	  /* enum app_buffer_flag */
	/* The buffer's bytes; false when this transaction has none (or no such index). For STREAM, *offset is the position of
	 * view->data[0] in the whole; else 0. */
	bool (*get)(struct app_session *session, const struct app_tx *tx, enum direction dir, unsigned index,
		    struct bytes *view, uint64_t *offset);
};

/* One number that rules can compare by keyword ("dns.opcode"; u8, u16, u32, u64 comparisons, names for values). */
struct app_value {
	const char *name;
	const char *alias; /* or NULL */
	enum direction dir;
	bool any_direction; /* known in both directions */
	uint8_t progress;
	uint8_t flags; /* APP_BUFFER_MULTI */
	const struct app_value_name {
		const char *name;
		uint64_t value;
	} * names; /* ends with a NULL name; NULL when values have no names */
	bool (*get)(struct app_session *session, const struct app_tx *tx, enum direction dir, unsigned index,
		    uint64_t *value);
};

enum app_file_state { APP_FILE_OPEN, APP_FILE_CLOSED, APP_FILE_TRUNCATED, APP_FILE_ERROR };

/* A file that a transaction carries. Its window of bytes is reached by the file.data buffer. */
struct app_file {
	struct app_file *next;
	struct bytes name;
	struct bytes magic; /* empty unless known */
	uint64_t size;	    /* so far */
	uint32_t id;
	enum direction dir;
	enum app_file_state state;
	bool gaps;
	bool hashed; /* md5, sha1, sha256 below are those of a closed file */
	uint8_t md5[16], sha1[20], sha256[32];
	void *digest; /* the protocol's, while open */
	bool has_range;
	uint64_t range_start, range_end, range_size;
	bool logged;
};

/* The head of every protocol's transaction. */
struct app_tx {
	struct app_tx *next;
	uint64_t id;				    /* from 0 */
	uint8_t progress[2];			    /* the protocol's own scale, by direction */
	bool inspected[2];			    /* set by signatures: complete and judged in that direction */
	bool logged;				    /* set by the sensor */
	bool no_inspect;			    /* a pass or a drop settled it */
	uint64_t events[APP_EVENT_WORDS];	    /* bit n: the protocol's event n */
	uint64_t events_inspected[APP_EVENT_WORDS]; /* set by signatures */
	uint64_t events_logged[APP_EVENT_WORDS];    /* set by the sensor */
	struct app_file *files;
	void *detect; /* the signatures' state of this transaction; freed by app_config.detect_free */
};

/* --- a protocol ------------------------------------------------------------------------------------------------- */

enum app_probe { APP_PROBE_NO, APP_PROBE_MAYBE, APP_PROBE_YES };

/* Returned by parse: bytes consumed, or this when the protocol cannot go on. */
#define APP_PARSE_FAILED (-1)
/* The connection becomes another protocol (CONNECT, upgrade): recognition starts anew after the consumed bytes. */
#define APP_PARSE_SWITCH (-2)

struct app_input {
	struct bytes data;
	enum direction dir;
	uint32_t gap;	 /* bytes missing before data */
	bool eof;	 /* nothing follows data in this direction */
	uint64_t offset; /* of data in the direction's stream; 0 for datagrams */
	uint64_t ts_ns;
};

struct app_proto {
	const char *name;		 /* in rules: "http"; and in records, unless record_name says other */
	const char *const *rule_aliases; /* further names in rules, NULL-ended ("http1", "ssl"), or NULL */
	const char *record_type;	 /* event_type and object name of its own record ("http"); NULL: none */
	enum app_id id;
	bool tcp, udp;
	/* Over TCP, bit n: direction n may speak first; 0: either may. */
	uint8_t first_dirs;

	/* Whether these first bytes of a direction are this protocol's: MAYBE asks for more (at most APP_PROBE_BYTES are shown).
	 * `ports` are the flow's (client, server), as a hint for what content alone cannot tell. */
	enum app_probe (*probe)(struct bytes data, enum direction dir, bool udp, const uint16_t ports[static 2]);

	/* The session's state; NULL when memory is refused. */
	void *(*state_new)(struct app_session *session);
	void (*state_free)(struct app_session *session, void *state);
	/* Takes input: returns how many bytes it consumed (the rest is shown again with what follows), APP_PARSE_FAILED or
	 * APP_PARSE_SWITCH. Never loops without consuming. Must keep no pointer into the data. With TCP the data may end
	 * anywhere; the protocol may consume all and keep what it needs, or leave up to APP_PENDING_MAX bytes unconsumed. */
	int64_t (*parse)(struct app_session *session, void *state, const struct app_input *input);
	void (*tx_free)(struct app_session *session, struct app_tx *tx);

	uint8_t complete[2]; /* progress at which a direction of a transaction is complete */
	/* Names of progress values for rule hooks ("http1:request_headers"): index is the progress; NULL-ended; may be NULL. */
	const char *const *hooks[2];

	const struct app_buffer *buffers; /* ends with a NULL name */
	const struct app_value *values;	  /* ends with a NULL name; may be NULL */
	const char *const *events;	  /* names for `app-layer-event:PROTO.NAME`; NULL-ended; may be NULL */
	/* Whether the transaction is to be recorded by now: asked until it says yes, at last when the transaction is `complete`;
	 * a no then means no record. NULL: once it is complete. */
	bool (*has_record)(struct app_session *session, const struct app_tx *tx, bool complete);
	/* Tells the transaction's fields (the inside of its record's object). NULL: no record. */
	void (*fields)(struct app_session *session, const struct app_tx *tx, struct field_sink *sink);
	/* What an alert's record shows of the transaction, where that is less or other; NULL: the same as fields. */
	void (*alert_fields)(struct app_session *session, const struct app_tx *tx, struct field_sink *sink);
	/* The session has gone opaque (encrypted): payload inspection may stop. NULL: never. */
	bool (*encrypted)(struct app_session *session, const void *state);

	enum counter flows_counter_tcp, flows_counter_udp, tx_counter;
};

/* Bytes of a direction that recognition sees at most before it gives up. */
#define APP_PROBE_BYTES 4096
/* Bytes that a protocol may leave unconsumed. */
#define APP_PENDING_MAX (256u << 10)
/* Open transactions of a session; one more drops the oldest complete one, or fails the session. */
#define APP_TX_MAX 1024
/* Past bytes that a STREAM buffer keeps for inspection, and its hard limit. */
#define APP_BODY_WINDOW (128u << 10)

/* --- the registry: immutable, any thread -------------------------------------------------------------------------- */

const struct app_proto *app_proto_by_id(enum app_id id); /* NULL for UNKNOWN, FAILED */
/* By rule name or alias ("http", "http1", "tls", "ssl"); NULL when this sensor does not parse it. */
const struct app_proto *app_proto_by_name(const char *name);
/* All protocols, NULL-ended. */
const struct app_proto *const *app_protos(void);

/* --- a worker's engine -------------------------------------------------------------------------------------------- */

struct app_config {
	size_t memory_bytes; /* default 256 MiB */
	enum exception_policy memcap_policy, error_policy;
	bool inline_mode;
	bool file_hashes;		     /* md5, sha1, sha256 of files; default true only when something asks */
	uint32_t http_request_body_limit;    /* default 100 KiB inspected; 0 unlimited */
	uint32_t http_response_body_limit;   /* default 100 KiB */
	uint32_t http_decompress_layers_max; /* default 3 */
	uint64_t decompressed_max_bytes;     /* per body, bomb guard; default 16 MiB, and at most 2048 to 1 */
	bool inspect_encrypted; /* payload inspection goes on where a session is encrypted; default false */
	void (*detect_free)(void *user, struct app_tx *tx); /* frees tx->detect; may be NULL */
	void *detect_user;
};

void app_config_defaults(struct app_config *config, bool inline_mode);

struct app_engine;
struct app_engine *app_engine_new(const struct app_config *config, struct counters *counters);
/* Takes over what can change while sessions are there: the policies, whether files are hashed, and what becomes of encrypted
 * sessions. */
void app_engine_configure(struct app_engine *engine, const struct app_config *config);
void app_engine_free(struct app_engine *engine);

/*
 * Feeds what a TCP packet made available (both directions, through stream_app_view), or a UDP payload, to the
 * flow's protocol, recognising it first. Sets flow->app, flow->app_proto and packet events (applayer_*).
 * `pkt` is the packet at hand. Returns false when the error or memcap policy has something to say: *policy is then that policy.
 */
bool app_update(struct app_engine *engine, struct stream_engine *streams, struct packet *pkt,
		enum exception_policy *policy);

/* Frees transactions that are complete (or whose flow ends), inspected in both directions and logged; the sensor calls it
 * after each packet of the flow that had transactions. */
void app_reap(struct app_engine *engine, struct flow *flow);
void app_session_free(struct app_engine *engine, struct flow *flow);

/* --- reading a session ------------------------------------------------------------------------------------------ */

const struct app_proto *app_proto_of(const struct flow *flow); /* NULL when unknown or failed */
/* Whether recognition has ended without a protocol in both directions. */
bool app_failed(const struct flow *flow);
/* The protocol recognised in one direction (APP_UNKNOWN while unsettled), for app-layer-protocol rules. */
enum app_id app_id_of(const struct flow *flow, enum direction dir);
/* The session has gone opaque (encrypted): what came before is inspected without waiting for more; FLOW_NO_PAYLOAD follows
 * once that is done. */
bool app_opaque(const struct flow *flow);
struct app_tx *app_tx_first(const struct flow *flow);
/* Transactions made so far, and those open now. */
uint64_t app_tx_count(const struct flow *flow);
/* Counts up whenever the protocol is given data of this direction. */
uint32_t app_feeds(const struct flow *flow, enum direction dir);
/* No more input will come in this direction of the session: all its transactions count as complete there. */
bool app_dir_ended(const struct flow *flow, enum direction dir);
/* Whether a transaction can change no more in this direction. */
bool app_tx_complete(const struct flow *flow, const struct app_tx *tx, enum direction dir);
/* Session events that belong to no transaction are put on the newest one, or on one made for them. */

/* For tests, fuzz targets and protocols: the pieces that app_update is made of. */
struct app_session *app_session_new(struct app_engine *engine, const struct app_proto *proto, struct flow *flow);
int64_t app_session_parse(struct app_session *session, const struct app_input *input);
/* What app_session_free does, for a session that may have no flow; NULL is allowed. */
void app_session_delete(struct app_session *session);

/* --- for protocols --------------------------------------------------------------------------------------------------- */

struct slab *app_slab(struct app_session *session);
const struct app_config *app_config_of(struct app_session *session);
struct counters *app_counters(struct app_session *session);
void *app_state(struct app_session *session);
/* May be NULL (tests). */
struct flow *app_flow(struct app_session *session);
/* A cleared transaction of `size` bytes (its head is struct app_tx), appended; NULL when memory is refused. */
struct app_tx *app_tx_new(struct app_session *session, size_t size);
struct app_tx *app_session_tx_first(const struct app_session *session);
struct app_tx *app_session_tx_last(const struct app_session *session);
static inline void app_tx_event(struct app_tx *tx, unsigned event)
{
	tx->events[event >> 6] |= 1ull << (event & 63);
}
