/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The inside of the language half: the builder, a rule being parsed, and the keywords.
 *
 * A rule's text is copied once into the arena and taken apart there: messages, patterns and names point into that copy.
 * Each keyword is one line of a table (keyword.c); its function gets the value, trimmed and unquoted, and adds matches to
 * the rule. What the application layers registered becomes keywords without a line there.
 */

#include <stdarg.h>

#include "address.h"
#include "signature.h"
#include "table.h"
#include "text.h"

/* Longest rule, continuation lines joined. The longest in use have some 8,000 characters. */
#define RULE_BYTES_MAX (64u << 10)
/* Options and matches of one rule; rules in use stay below 100. */
#define RULE_OPTIONS_MAX    1024
#define RULE_MATCHES_MAX    1024
#define RULE_BUFFERS_MAX    64
#define RULE_TRANSFORMS_MAX 16

struct rule;

/* --- what can be looked at by name ------------------------------------------------------------------------------------ */

struct buffer_info {
	const char *name;
	enum buffer_kind kind;
	enum packet_buffer packet;
	bool multi;
	const char *waits_for; /* "keyword smb.share": known to the language, not to this sensor; else NULL */
	const struct app_buffer *app[APP_ID_COUNT][2];
};

struct value_info {
	const char *name;
	bool multi;
	bool bits; /* each name is one bit: rules may ask for several at once */
	const struct app_value_name *names;
	const struct app_value *app[APP_ID_COUNT][2];
};

/* --- keywords --------------------------------------------------------------------------------------------------------- */

struct keyword;
typedef int (*keyword_fn)(struct rule *rule, const struct keyword *keyword, char *value);

enum keyword_flag {
	KEYWORD_NO_VALUE = 1 << 0,
	KEYWORD_VALUE_OPTIONAL = 1 << 1,
	KEYWORD_QUOTED = 1 << 2,	/* quotes must stand around the value */
	KEYWORD_QUOTES = 1 << 3,	/* quotes may */
	KEYWORD_NEGATABLE = 1 << 4,	/* "!" before the value: rule->negated */
	KEYWORD_DIRECTION = 1 << 5,	/* to_server or to_client may be its value */
	KEYWORD_PACKET = 1 << 6,	/* looks at single packets */
	KEYWORD_IP_ONLY = 1 << 7,	/* leaves a rule "addresses only" */
	KEYWORD_DECODE_EVENT = 1 << 8,	/* leaves a rule "packet events only" */
	KEYWORD_FIRST = 1 << 9,		/* read before all others: sid, requires */
	KEYWORD_OPENS_BUFFER = 1 << 10, /* the contents after it look there */
	KEYWORD_AFTER_CONTENT = 1 << 11,
	KEYWORD_TRANSFORM = 1 << 12,
};

struct keyword {
	const char *name;
	keyword_fn parse;
	uint16_t flags;
	int arg;
	const char *help;
	const void *info; /* of what was registered: buffer_info, value_info */
};

/* Builds the table of all names: the static ones and what the application layers registered. 0 or -ENOMEM. */
int keywords_build(struct sigs_builder *builder);
/* By name or alias, lower case; NULL when the language has none of it. */
const struct keyword *keyword_find(const struct sigs_builder *builder, const char *name, size_t len);
/* A protocol of the language that this sensor does not parse. */
bool protocol_is_known(const char *name);

/* --- the builder --------------------------------------------------------------------------------------------------------- */

struct classification {
	const char *name, *words;
	uint8_t priority;
};

struct waiting_rule {
	const char *file;
	unsigned line;
	uint32_t sid;
	const char *what;
};

/* A regular expression, compiled once however many rules write it. */
struct compiled_regex {
	pcre2_code *code;
	uint32_t options;
	uint32_t capture_count;
};

struct threshold_line {
	uint32_t gid, sid; /* 0: any */
	struct threshold threshold;
	struct threshold_line *next;
};

struct sigs_builder {
	struct sigs_env env;
	struct arena *arena;
	struct address_book addresses;
	struct table keywords, classifications, references, unknown_classes;
	struct table names[NAME_SPACES];
	const char **name_list[NAME_SPACES];
	uint32_t name_count[NAME_SPACES], name_cap[NAME_SPACES];
	struct table by_sid; /* (gid, sid) to its loaded signature */
	struct table regexes, buffer_refs, dataset_names;
	struct buffer_info payload, base64;
	struct buffer_ref *refs, *refs_last;
	uint32_t ref_count;
	struct signature **signatures; /* NULL where a newer revision took over */
	uint32_t signature_count, signature_cap;
	struct waiting_rule *waiting;
	uint32_t waiting_count, waiting_cap;
	struct threshold_line *threshold_lines, **threshold_last;
	struct dataset *datasets;
	struct iprep *iprep;
	struct sigs_counts counts;
	bool wants_file_hashes;
	struct rule *rule; /* scratch: the rule being parsed */
	char *joined;	   /* scratch: a rule of several lines */
};

__attribute__((format(printf, 7, 8))) void builder_say(const struct sigs_builder *builder, enum sigs_severity severity,
						       const char *file, unsigned line, uint32_t sid,
						       const char *option, const char *format, ...);
__attribute__((format(printf, 7, 0))) void builder_vsay(const struct sigs_builder *builder, enum sigs_severity severity,
							const char *file, unsigned line, uint32_t sid,
							const char *option, const char *format, va_list args);
/* The number of a name; UINT32_MAX when memory is out. The name need not outlive the call. */
uint32_t builder_name(struct sigs_builder *builder, enum name_space space, const char *name);
/* The one ref of a buffer with these transforms; `key` tells chains apart. */
const struct buffer_ref *builder_buffer(struct sigs_builder *builder, const struct buffer_info *info, int dir,
					const struct transform *transforms, unsigned count, const char *key);

/* --- a rule ------------------------------------------------------------------------------------------------------------------ */

/* Where a match belongs: a buffer's index, or one of these. */
enum match_list { LIST_PACKET = -1, LIST_TX = -2, LIST_POST = -3 };

struct rule_match {
	struct match match;
	int16_t list;
};

struct rule_buffer {
	const struct buffer_info *info;
	const struct buffer_ref *ref;
	int8_t dir; /* -1, or the direction that the rule forces */
	bool transformed, by_modifier;
	int8_t base64_of;
	uint16_t count;
};

struct rule_option {
	char *name, *value; /* value NULL when there is no colon */
	const char *text;   /* as written */
	uint32_t text_len;
};

struct rule {
	struct sigs_builder *builder;
	const char *file;
	unsigned line;
	struct signature sig;
	const struct rule_option *option; /* at hand */
	const struct keyword *keyword;
	bool failed, skipped;
	const char *waiting; /* what for, the first of it */

	/* the option at hand */
	bool negated;
	int8_t dir; /* -1, or the direction named in front of the value */

	/* where contents look */
	const struct buffer_info *sticky; /* NULL: the payload */
	int16_t sticky_buffer;		  /* its index once it has a match; -1 */
	bool sticky_base64;
	int8_t sticky_dir;
	unsigned transform_count;
	char transform_key[1024];

	/* what was said so far */
	bool flow_seen, priority_seen, gid_seen, rev_seen, app_layer;
	bool packet_required, stream_required, not_ip_only, not_decode_event, has_packet_event;
	bool negated_addresses, ranges, needs_flow;
	uint32_t app_mask;
	const char *var_names[SIG_VARS_MAX];

	uint16_t option_count, match_count, buffer_count;
	/* cleared for each rule up to here */
	struct rule_option options[RULE_OPTIONS_MAX];
	struct transform transforms[RULE_TRANSFORMS_MAX];
	struct rule_match matches[RULE_MATCHES_MAX];
	struct rule_buffer buffers[RULE_BUFFERS_MAX];
};

/* Says what is wrong with the option at hand and what to do; the rule fails. Returns -EINVAL. */
__attribute__((format(printf, 2, 3))) int rule_fail(struct rule *rule, const char *format, ...);
__attribute__((format(printf, 2, 3))) void rule_warn(struct rule *rule, const char *format, ...);
/* The rule is right, but needs what this sensor does not have; the first reason stays. */
__attribute__((format(printf, 2, 3))) void rule_wait(struct rule *rule, const char *format, ...);
/* A cleared match at the end of a list; NULL after rule_fail. */
struct match *rule_add(struct rule *rule, int list, enum match_type type);
/* The buffer where matches of content go now (opens it with the transforms given before); -1 after rule_fail. */
int rule_buffer(struct rule *rule);
/* The buffer of that name for a modifier or a value keyword: the one at hand, or a new one; -1 after rule_fail. */
int rule_buffer_of(struct rule *rule, const struct buffer_info *info);
/* Where a match goes that may continue the last one outside a sticky buffer (byte_test with relative ...). */
int rule_relative_buffer(struct rule *rule, bool relative);
/* The last match of these types (bit set by type) in the sticky buffer, or anywhere without one; NULL. */
struct rule_match *rule_last(struct rule *rule, uint64_t types);
/* The match before `match` in its list, of these types; NULL. */
struct rule_match *rule_before(struct rule *rule, const struct rule_match *match, uint64_t types);
#define TYPE(type) (1ull << (type))
/* A variable of byte_extract or byte_math: its index, -1 when there is none of that name. */
int rule_var(const struct rule *rule, const char *name);
/* Defines one; -1 after rule_fail. */
int rule_var_new(struct rule *rule, const char *name);
/* Narrows the protocols that can match; -EINVAL after rule_fail when none is left. */
int rule_apps(struct rule *rule, uint32_t mask);

/* Parses one rule of text (NUL-terminated, in the arena, changed in place); `written` is the same text as it was. */
void rule_parse(struct rule *rule, char *text, const char *written);
/* Checks the rule as a whole and builds its signature's arrays (finish.c). 0, -EINVAL after rule_fail, -ENOMEM. */
int rule_finish(struct rule *rule);
/* The lines of threshold.config that hold for a signature are hung on it. */
void thresholds_apply(struct sigs_builder *builder);

/* --- keyword functions, by file -------------------------------------------------------------------------------------------- */

#define KEYWORD_FN(name) int name(struct rule *rule, const struct keyword *keyword, char *value)

/* keyword_content.c */
KEYWORD_FN(keyword_content);
KEYWORD_FN(keyword_nocase);
KEYWORD_FN(keyword_depth);
KEYWORD_FN(keyword_offset);
KEYWORD_FN(keyword_distance);
KEYWORD_FN(keyword_within);
KEYWORD_FN(keyword_rawbytes);
KEYWORD_FN(keyword_fast_pattern);
KEYWORD_FN(keyword_startswith);
KEYWORD_FN(keyword_endswith);
KEYWORD_FN(keyword_pcre);
KEYWORD_FN(keyword_uricontent);
/* Decodes a pattern's escapes and |hex| in place; -1 after rule_fail. */
int content_decode(struct rule *rule, char *value, struct bytes *pattern);
/* Compiles an expression, or finds it among those compiled before; NULL after rule_fail. */
const struct compiled_regex *regex_compile(struct rule *rule, const char *pattern, uint32_t options);

/* keyword_bytes.c */
KEYWORD_FN(keyword_byte_test);
KEYWORD_FN(keyword_byte_jump);
KEYWORD_FN(keyword_byte_extract);
KEYWORD_FN(keyword_byte_math);
KEYWORD_FN(keyword_isdataat);
KEYWORD_FN(keyword_bsize);
KEYWORD_FN(keyword_absent);
KEYWORD_FN(keyword_base64_decode);
KEYWORD_FN(keyword_base64_data);
KEYWORD_FN(keyword_asn1);
KEYWORD_FN(keyword_entropy);

/* keyword_dataset.c */
KEYWORD_FN(keyword_dataset);
KEYWORD_FN(keyword_datarep);

/* keyword_packet.c */
KEYWORD_FN(keyword_number);
KEYWORD_FN(keyword_ip_proto);
KEYWORD_FN(keyword_tos);
KEYWORD_FN(keyword_fragbits);
KEYWORD_FN(keyword_tcp_flags);
KEYWORD_FN(keyword_ipopts);
KEYWORD_FN(keyword_sameip);
KEYWORD_FN(keyword_csum);
KEYWORD_FN(keyword_event);
KEYWORD_FN(keyword_vlan_id);
KEYWORD_FN(keyword_geoip);
KEYWORD_FN(keyword_iprep);
KEYWORD_FN(keyword_l3_proto);
KEYWORD_FN(keyword_packet_buffer);
KEYWORD_FN(keyword_pkt_data);

/* keyword_flow.c */
KEYWORD_FN(keyword_flow);
KEYWORD_FN(keyword_flowbits);
KEYWORD_FN(keyword_xbits);
KEYWORD_FN(keyword_hostbits);
KEYWORD_FN(keyword_flowint);
KEYWORD_FN(keyword_stream_size);
KEYWORD_FN(keyword_flow_age);
KEYWORD_FN(keyword_flow_count);
KEYWORD_FN(keyword_flowvar);
KEYWORD_FN(keyword_threshold);
KEYWORD_FN(keyword_detection_filter);
KEYWORD_FN(keyword_tag);
KEYWORD_FN(keyword_app_layer_protocol);

/* keyword_meta.c */
KEYWORD_FN(keyword_msg);
KEYWORD_FN(keyword_sid);
KEYWORD_FN(keyword_gid);
KEYWORD_FN(keyword_rev);
KEYWORD_FN(keyword_priority);
KEYWORD_FN(keyword_classtype);
KEYWORD_FN(keyword_reference);
KEYWORD_FN(keyword_metadata);
KEYWORD_FN(keyword_target);
KEYWORD_FN(keyword_noalert);
KEYWORD_FN(keyword_alert);
KEYWORD_FN(keyword_prefilter);
KEYWORD_FN(keyword_bypass);
KEYWORD_FN(keyword_requires);
KEYWORD_FN(keyword_refused);

/* keyword_app.c */
KEYWORD_FN(keyword_app_buffer);
KEYWORD_FN(keyword_app_modifier);
KEYWORD_FN(keyword_app_value);
KEYWORD_FN(keyword_app_event);
KEYWORD_FN(keyword_urilen);
KEYWORD_FN(keyword_file_text);
KEYWORD_FN(keyword_file_hash);
KEYWORD_FN(keyword_filesize);
KEYWORD_FN(keyword_filestore);
KEYWORD_FN(keyword_wait_buffer);
KEYWORD_FN(keyword_wait_modifier);
KEYWORD_FN(keyword_wait_value);
/* Adds the comparison of a registered value; -EINVAL after rule_fail. */
int rule_add_value(struct rule *rule, const struct value_info *info, const struct match_app_value *value);
/* The buffer of a registered name; NULL when no protocol has it. */
const struct buffer_info *buffer_info_find(const struct sigs_builder *builder, const char *name);

/* keyword_tls.c */
KEYWORD_FN(keyword_tls_text);
KEYWORD_FN(keyword_ssl_state);
KEYWORD_FN(keyword_cert_flag);
KEYWORD_FN(keyword_cert_date);

/* keyword_transform.c */
KEYWORD_FN(keyword_transform);
