/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * JSIG: from rule text to a compiled, immutable rule set; and the matcher that judges packets, streams and transactions
 * with it. No input or output of its own: files come and go through callbacks.
 */

#include <stdbool.h>
#include <stdint.h>

#include <dataplane/app.h>
#include <dataplane/counters.h>
#include <dataplane/flow.h>
#include <dataplane/packet.h>
#include <dataplane/stream.h>

/* --- loading: one thread ---------------------------------------------------------------------------------------- */

enum sigs_severity { SIGS_ERROR, SIGS_WARNING };

/* One finding about a rule or a file. Strings live during the callback only. */
struct sigs_diagnostic {
	enum sigs_severity severity;
	const char *file;
	unsigned line;
	uint32_t sid;	    /* 0 when unknown */
	const char *option; /* the offending option as written, or NULL */
	const char *message;
};

/* A file the sensor hands in or takes back. `data` is malloc'd; the receiver frees it. */
struct sigs_blob {
	void *data;
	size_t len;
};

struct sigs_env {
	void *user;
	void (*diagnostic)(void *user, const struct sigs_diagnostic *diagnostic);
	/* Progress of long work, for a person: done of total; NULL allowed. */
	void (*progress)(void *user, const char *what, unsigned done, unsigned total);
	/* A compiled database by its key (64 hex digits): 0 and the blob, or -ENOENT. NULL: no cache. */
	int (*cache_get)(void *user, const char *key, struct sigs_blob *blob);
	int (*cache_put)(void *user, const char *key, const void *data, size_t len);
	/* A file that a rule names (dataset, iprep), relative to the rule file's folder: 0 or -errno. NULL: refused. */
	int (*read_file)(void *user, const char *path, const char *rule_file, struct sigs_blob *blob);
	bool geoip; /* a GeoIP database is given: see sigs_country */
	/* The two-letter country of an address; false when unknown. */
	bool (*country)(void *user, const union packet_addr *addr, uint8_t family, char code[static 3]);
};

struct sigs_builder;

struct sigs_builder *sigs_builder_new(const struct sigs_env *env);
void sigs_builder_free(struct sigs_builder *builder);

/* Variables ($HOME_NET ...), before the rules that use them. 0, or -EINVAL after a diagnostic. */
int sigs_add_address_var(struct sigs_builder *builder, const char *name, const char *value, const char *file,
			 unsigned line);
int sigs_add_port_var(struct sigs_builder *builder, const char *name, const char *value, const char *file,
		      unsigned line);
/* Text of a classification.config or reference.config: priorities and words of `classtype`, addresses of `reference`. */
int sigs_add_classifications(struct sigs_builder *builder, const char *file, const char *text, size_t len);
int sigs_add_references(struct sigs_builder *builder, const char *file, const char *text, size_t len);
/* A threshold.config: `suppress`, `threshold`, `rate_filter` by gid and sid. */
int sigs_add_thresholds(struct sigs_builder *builder, const char *file, const char *text, size_t len);
/* Categories and addresses of `iprep`. */
int sigs_add_iprep_categories(struct sigs_builder *builder, const char *file, const char *text, size_t len);
int sigs_add_iprep(struct sigs_builder *builder, const char *file, const char *text, size_t len);

struct sigs_counts {
	uint32_t loaded;  /* will match */
	uint32_t waiting; /* right, but need a protocol or facility that this sensor does not have yet */
	uint32_t failed;  /* wrong */
	uint32_t skipped; /* `requires` not met, or a duplicate of a newer revision */
};

/* All rules of a text. Wrong ones are told by diagnostics; the others load. 0, or -ENOMEM. */
int sigs_add_rules(struct sigs_builder *builder, const char *file, const char *text, size_t len);
struct sigs_counts sigs_builder_counts(const struct sigs_builder *builder);
/* Calls back for each waiting rule with what it waits for ("protocol smb", "keyword filestore"). */
void sigs_builder_waiting(const struct sigs_builder *builder,
			  void (*each)(void *user, const char *file, unsigned line, uint32_t sid, const char *what),
			  void *user);

/* Every keyword of the language, with one line on what it does; those that wait say so. */
void sigs_keywords(void (*each)(void *user, const char *name, const char *help), void *user);

struct sigs_options {
	bool inline_mode;
	bool raise_alerts;	       /* inline: an alert whose jsig_block is `always` acts as a drop; default true */
	uint32_t pcre_match_limit;     /* default 3,500 */
	uint32_t pcre_recursion_limit; /* default 1,500 */
	uint32_t inspection_limit;     /* content and pcre tries a rule and buffer; default 3,000 */
	uint16_t alerts_max;	       /* of a packet; default 15 */
	uint64_t hash_seed;
	size_t threshold_memory_bytes; /* default 32 MiB a matcher */
	size_t state_memory_bytes;     /* flow and transaction state; default 64 MiB a matcher */
};
void sigs_options_defaults(struct sigs_options *options, bool inline_mode);

struct sigs_ruleset;

/* Compiles; the builder may be freed afterwards. NULL and errno on failure, after a diagnostic. The rule set is immutable and
 * shared by all workers; free it when no matcher uses it. */
struct sigs_ruleset *sigs_compile(struct sigs_builder *builder, const struct sigs_options *options);
void sigs_ruleset_free(struct sigs_ruleset *ruleset);
struct sigs_counts sigs_ruleset_counts(const struct sigs_ruleset *ruleset);
/* Some rule needs files' hashes (filemd5 ...). */
bool sigs_ruleset_wants_file_hashes(const struct sigs_ruleset *ruleset);

/* --- a signature, as records show it ------------------------------------------------------------------------------ */

enum sigs_action {
	SIGS_ALERT,
	SIGS_PASS,
	SIGS_DROP,
	SIGS_REJECT, /* the sender: reset or unreachable to the source */
	SIGS_REJECT_DST,
	SIGS_REJECT_BOTH,
	SIGS_CONFIG,
};

enum sigs_outcome {
	SIGS_OUTCOME_UNKNOWN,
	SIGS_OUTCOME_ATTEMPT,
	SIGS_OUTCOME_SUCCESS,
	SIGS_OUTCOME_INFECTION,
	SIGS_OUTCOME_POLICY
};
enum sigs_block { SIGS_BLOCK_ZONE, SIGS_BLOCK_NEVER, SIGS_BLOCK_ALWAYS };

struct sigs_metadata {
	const char *key, *value;
};

/* Immutable; lives as long as its rule set. */
struct sigs_info {
	uint32_t sid, gid, rev;
	uint8_t priority;
	enum sigs_action action;
	const char *msg;
	const char *class_name; /* "attempted-admin"; NULL */
	const char *category;	/* its words; "" */
	const char *file;	/* of the rule */
	unsigned line;
	const struct sigs_metadata *metadata;
	unsigned metadata_count;
	const char *const *references; /* addresses */
	unsigned reference_count;
	enum sigs_outcome outcome; /* jsig_outcome */
	enum sigs_block block;	   /* jsig_block */
	const char *severity;	   /* jsig_severity or NULL */
	const char *direction;	   /* jsig_direction or NULL */
	uint8_t target;		   /* 0 none, 1 src_ip, 2 dest_ip */
};

/* --- matching: one matcher a worker ---------------------------------------------------------------------------------- */

/* Matches given out for one packet; the language's alert-max may be below. */
#define SIGS_MATCHES_MAX 255

/* What an expression of the rule captured for the alert ("alert:NAME"); bytes live until the next call. */
struct sigs_context {
	const char *name;
	struct bytes value;
};

struct sigs_match {
	const struct sigs_info *info;
	enum sigs_action action; /* after rate filters; may differ from info->action */
	bool whole_flow;	 /* drop, reject or pass holds for the flow, not just this packet */
	bool filtered;		 /* a drop whose alert a threshold suppressed: act, write no alert */
	bool rate_filtered;	 /* detection or rate filter made it drop */
	bool in_stream;		 /* found in reassembled data, not in this packet's own payload */
	bool has_tx;
	uint64_t tx_id;
	const struct app_tx *tx;     /* NULL unless has_tx */
	const struct app_file *file; /* the first one that a rule on files matched, or NULL */
	const struct sigs_context *context;
	unsigned context_count;
};

struct sigs_result {
	struct sigs_match matches[SIGS_MATCHES_MAX]; /* in the language's order: what came first in precedence first */
	unsigned count;
	unsigned overflow; /* matches beyond alert-max */
	bool tagged;	   /* an earlier match asked for this packet (`tag`): it is recorded, but is no alert */
	bool pass;	   /* a pass rule settled it: nothing after it counts */
	bool pass_flow;
};

struct sigs_matcher;

/*
 * What the matchers of several workers know together: rates of matches, and bits of hosts. A source whose connections are spread
 * over workers is counted once. It is locked inside for the moment that one match of such a signature takes; no other
 * packet meets the lock. Outlives its matchers. NULL and errno on failure.
 */
struct sigs_shared;

struct sigs_shared *sigs_shared_new(const struct sigs_options *options);
void sigs_shared_free(struct sigs_shared *shared); /* NULL is allowed */

/* `shared` NULL: the matcher is the only one, and has its own. */
struct sigs_matcher *sigs_matcher_new(const struct sigs_ruleset *ruleset, const struct sigs_env *env,
				      struct sigs_shared *shared, struct counters *counters);
void sigs_matcher_free(struct sigs_matcher *matcher);
/* The worker's stream engine, so that inspected raw data can be released; once, before the first TCP packet. */
void sigs_matcher_set_streams(struct sigs_matcher *matcher, struct stream_engine *streams);

/* A change to another rule set, made aside by any thread: all memory that a matcher needs for the new set, so that the change itself
 * allocates nothing. */
struct sigs_change;
/* `profile`: the matcher measures its rules. NULL and errno on failure. */
struct sigs_change *sigs_change_new(const struct sigs_ruleset *ruleset, const struct sigs_env *env, bool profile);
/* Frees; after sigs_matcher_swap what the matcher used before, and the old rule set is no longer used by it. NULL is allowed. */
void sigs_change_free(struct sigs_change *change);
/* The matcher's thread, between two packets: judges with the new rule set from now on. Flows keep their bits, variables and
 * tags, hosts theirs, thresholds their counts; what flows and transactions had found of the old signatures is forgotten,
 * and what the new ones can still see of their data is searched anew. */
void sigs_matcher_swap(struct sigs_matcher *matcher, struct sigs_change *change);

/*
 * Judges a packet with everything that hangs on it: its header, payload, new stream data of its direction and the
 * transactions of its direction. Marks the raw stream and transactions as inspected. The result holds until the next call.
 */
const struct sigs_result *sigs_inspect(struct sigs_matcher *matcher, struct packet *pkt);

/* Frees what signatures keep for a flow (FLOW_SLOT_SIGS) and a transaction (app_tx.detect). */
void sigs_flow_free(struct sigs_matcher *matcher, struct flow *flow);
void sigs_tx_free(struct sigs_matcher *matcher, struct app_tx *tx);

/* Names and values of a flow's bits and variables, for the `metadata` object of records. */
void sigs_flow_fields(struct sigs_matcher *matcher, const struct packet *pkt, struct field_sink *sink);

/* Measures the work of each rule into this memory (from malloc, cleared, sigs_profile_bytes of the rule set in use) from now on; NULL: not. Returns what was
 * used before, for the caller to free. */
void *sigs_profile_swap(struct sigs_matcher *matcher, void *memory);
size_t sigs_profile_bytes(const struct sigs_ruleset *ruleset);
bool sigs_profile_enabled(const struct sigs_matcher *matcher);
/* Work of each rule since it is measured: checks, matches, nanoseconds. */
void sigs_profile(const struct sigs_matcher *matcher,
		  void (*each)(void *user, const struct sigs_info *info, uint64_t checks, uint64_t matches,
			       uint64_t ns),
		  void *user);
