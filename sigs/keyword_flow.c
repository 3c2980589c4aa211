/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "parse.h"

/* Keywords of the flow: its state, bits and variables, rates, tags. */

/* --- flow ------------------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	uint16_t flag, excludes;
} flow_words[] = {
	{"to_server", SIG_FLOW_TO_SERVER, SIG_FLOW_TO_CLIENT},
	{"from_client", SIG_FLOW_TO_SERVER, SIG_FLOW_TO_CLIENT},
	{"to_client", SIG_FLOW_TO_CLIENT, SIG_FLOW_TO_SERVER},
	{"from_server", SIG_FLOW_TO_CLIENT, SIG_FLOW_TO_SERVER},
	{"established", SIG_FLOW_ESTABLISHED, SIG_FLOW_NOT_ESTABLISHED | SIG_FLOW_STATELESS},
	{"not_established", SIG_FLOW_NOT_ESTABLISHED, SIG_FLOW_ESTABLISHED},
	{"stateless", SIG_FLOW_STATELESS, SIG_FLOW_ESTABLISHED},
	{"only_stream", SIG_FLOW_ONLY_STREAM, SIG_FLOW_NO_STREAM},
	{"no_stream", SIG_FLOW_NO_STREAM, SIG_FLOW_ONLY_STREAM},
	{"only_frag", SIG_FLOW_ONLY_FRAG, SIG_FLOW_NO_FRAG},
	{"no_frag", SIG_FLOW_NO_FRAG, SIG_FLOW_ONLY_FRAG},
};
#define FLOW_WORDS (sizeof(flow_words) / sizeof(flow_words[0]))

static int flow_word(struct rule *rule, const char *word, uint16_t *flags)
{
	for (unsigned i = 0; i < FLOW_WORDS; i++) {
		if (strcasecmp(word, flow_words[i].name) != 0)
			continue;
		if (*flags & flow_words[i].flag)
			return rule_fail(rule, "%s stands twice", word);
		if (*flags & flow_words[i].excludes)
			return rule_fail(rule, "%s contradicts what stands before it", word);
		*flags |= flow_words[i].flag;
		return 0;
	}
	return rule_fail(rule,
			 "unknown word \"%.40s\" of flow: use to_server, to_client, established, not_established, "
			 "stateless, only_stream, no_stream, only_frag or no_frag",
			 word);
}

int keyword_flow(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	const uint16_t sides = SIG_FLOW_TO_SERVER | SIG_FLOW_TO_CLIENT;
	uint16_t flags = 0;
	if (rule->flow_seen)
		return rule_fail(rule, "flow stands twice in the rule: write all its words in one");
	for (char *rest = value, *word; (word = text_next(&rest, ','));)
		if (flow_word(rule, word, &flags) != 0)
			return -EINVAL;
	if (flags & sides && rule->sig.flags & SIG_TRANSACTIONAL_BIDIR)
		return rule_fail(rule, "a rule with => looks at both directions: remove the direction from flow");
	if (flags & sides && rule->sig.flow & sides & ~flags)
		return rule_fail(rule, "the hook is of the other direction than flow");
	rule->flow_seen = true;
	rule->sig.flow |= flags;
	if (flags & ~(sides | SIG_FLOW_ONLY_STREAM | SIG_FLOW_NO_STREAM)) {
		rule->needs_flow = rule->not_ip_only = rule->not_decode_event = true;
	}
	rule->stream_required |= (flags & SIG_FLOW_ONLY_STREAM) != 0;
	rule->packet_required |= (flags & SIG_FLOW_NO_STREAM) != 0;
	return 0;
}

/* --- bits --------------------------------------------------------------------------------------------------------------------- */

static const char *const bit_words[] = {"set", "unset", "toggle", "isset", "isnotset", NULL};

static bool changes(enum bits_op op)
{
	return op == BITS_SET || op == BITS_UNSET || op == BITS_TOGGLE;
}

static int add_name(struct rule *rule, struct match_bits *bits, const char *name)
{
	const unsigned max = sizeof(bits->names) / sizeof(bits->names[0]);
	if (*name == '\0' || strpbrk(name, " \t"))
		return rule_fail(rule, "\"%.60s\" is no name: names have no blanks", name);
	if (bits->name_count == max)
		return rule_fail(rule, "more than %u names", max);
	uint32_t number = builder_name(rule->builder, bits->scope == BITS_FLOW ? NAME_FLOWBIT : NAME_XBIT, name);
	if (number == UINT32_MAX)
		return rule_fail(rule, "out of memory");
	bits->names[bits->name_count++] = number;
	return 0;
}

static bool both(enum bits_op a, enum bits_op b, enum bits_op one, enum bits_op other)
{
	return (a == one && b == other) || (a == other && b == one);
}

/* Set and not set at once never matches; other pairs of one name are idle. */
static int check_bits(struct rule *rule, const struct match_bits *bits)
{
	for (int i = 0; i < rule->match_count; i++) {
		const struct match_bits *other = &rule->matches[i].match.bits;
		if (rule->matches[i].match.type != MATCH_BITS || other->scope != bits->scope ||
		    other->name_count != 1 || bits->name_count != 1 || other->names[0] != bits->names[0])
			continue;
		if (both(other->op, bits->op, BITS_ISSET, BITS_ISNOTSET))
			return rule_fail(rule,
					 "isset and isnotset of the same name can never hold together: remove one");
		if (both(other->op, bits->op, BITS_SET, BITS_ISSET) ||
		    both(other->op, bits->op, BITS_SET, BITS_UNSET) ||
		    both(other->op, bits->op, BITS_UNSET, BITS_ISNOTSET))
			rule_warn(rule, "%s and %s of the same name in one rule: one of them does nothing",
				  bit_words[other->op], bit_words[bits->op]);
	}
	return 0;
}

static int add_bits(struct rule *rule, const struct match_bits *bits)
{
	if (check_bits(rule, bits) != 0)
		return -EINVAL;
	int list = changes(bits->op) ? LIST_POST : bits->scope == BITS_TX ? LIST_TX : LIST_PACKET;
	struct match *m = rule_add(rule, list, MATCH_BITS);
	if (m == NULL)
		return -EINVAL;
	m->bits = *bits;
	return 0;
}

static bool is_noalert(struct rule *rule, const char *value)
{
	if (strcmp(value, "noalert") != 0)
		return false;
	rule->sig.flags |= SIG_NOALERT;
	return true;
}

int keyword_flowbits(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	struct match_bits bits = {.scope = BITS_FLOW};
	if (is_noalert(rule, value))
		return 0;
	char *rest = value, *command = text_next(&rest, ',');
	int op = text_word(command, bit_words);
	if (op < 0 || rest == NULL)
		return rule_fail(rule, "flowbits takes set, unset, toggle, isset or isnotset and a name, or noalert");
	bits.op = (enum bits_op)op;
	for (char *name; (name = text_next(&rest, '|'));)
		if (add_name(rule, &bits, name) != 0)
			return -EINVAL;
	if (bits.name_count > 1 && changes(bits.op))
		return rule_fail(rule, "%s takes one name; several with | are for isset and isnotset", bit_words[op]);
	rule->needs_flow = true;
	if (bits.op != BITS_SET)
		rule->not_ip_only = true;
	return add_bits(rule, &bits);
}

static int xbits_option(struct rule *rule, char *item, struct match_bits *bits, bool *tracked)
{
	static const char *const tracks[] = {"ip_src", "ip_dst", "ip_pair", "tx", NULL};
	static const enum bits_scope scopes[] = {BITS_HOST_SRC, BITS_HOST_DST, BITS_PAIR, BITS_TX};
	const char *s = text_value(item);
	uint64_t n;
	if (strcmp(item, "track") == 0) {
		int track = text_word(s, tracks);
		if (track < 0)
			return rule_fail(rule, "\"%.40s\" cannot be tracked: use ip_src, ip_dst or ip_pair", s);
		bits->scope = scopes[track];
		*tracked = true;
		return 0;
	}
	if (strcmp(item, "expire") == 0 && text_u64(s, false, UINT32_MAX, &n) && n > 0) {
		bits->expire_s = (uint32_t)n;
		return 0;
	}
	return rule_fail(rule, "unknown option \"%.40s %.40s\": use track and \"expire SECONDS\"", item, s);
}

/* Bits of hosts expire after this unless the rule says other. */
#define BITS_EXPIRE_S 300

int keyword_xbits(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	struct match_bits bits = {.expire_s = BITS_EXPIRE_S};
	bool tracked = false;
	if (is_noalert(rule, value))
		return 0;
	char *rest = value, *command = text_next(&rest, ','), *name = text_next(&rest, ',');
	int op = text_word(command, bit_words);
	if (op < 0 || name == NULL)
		return rule_fail(
			rule,
			"xbits takes set, unset, toggle, isset or isnotset, a name and \"track ip_src\", or noalert");
	bits.op = (enum bits_op)op;
	for (char *item; (item = text_next(&rest, ','));)
		if (xbits_option(rule, item, &bits, &tracked) != 0)
			return -EINVAL;
	if (!tracked)
		return rule_fail(rule, "xbits needs \"track ip_src\", ip_dst or ip_pair");
	if (bits.scope == BITS_TX && bits.op != BITS_SET && bits.op != BITS_ISSET)
		return rule_fail(rule, "xbits of a transaction know only set and isset");
	if (bits.scope == BITS_TX && !(rule->sig.flags & SIG_HOOKED))
		return rule_fail(
			rule, "xbits of a transaction need a hook in the rule's protocol (\"dns:request_complete\")");
	return add_name(rule, &bits, name) != 0 ? -EINVAL : add_bits(rule, &bits);
}

int keyword_hostbits(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	static const char *const sides[] = {"src", "dst", NULL};
	struct match_bits bits = {.scope = BITS_HOST_SRC, .expire_s = BITS_EXPIRE_S};
	if (is_noalert(rule, value))
		return 0;
	char *rest = value, *command = text_next(&rest, ','), *name = text_next(&rest, ','),
	     *side = text_next(&rest, ',');
	int op = text_word(command, bit_words), where = side ? text_word(side, sides) : 0;
	if (op < 0 || name == NULL || where < 0 || rest)
		return rule_fail(rule, "hostbits takes set, unset, toggle, isset or isnotset, a name, and src or dst");
	bits.op = (enum bits_op)op;
	bits.scope = where ? BITS_HOST_DST : BITS_HOST_SRC;
	return add_name(rule, &bits, name) != 0 ? -EINVAL : add_bits(rule, &bits);
}

/* --- variables ------------------------------------------------------------------------------------------------------------- */

int keyword_flowint(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	static const char *const ops[] = {
		"=", "+", "-", "<", "<=", "==", "!=", ">=", ">", "isset", "notset", "isnotset", NULL};
	static const uint8_t values[] = {FLOWINT_SET, FLOWINT_ADD,   FLOWINT_SUB,    FLOWINT_LT,
					 FLOWINT_LE,  FLOWINT_EQ,    FLOWINT_NE,     FLOWINT_GE,
					 FLOWINT_GT,  FLOWINT_ISSET, FLOWINT_NOTSET, FLOWINT_NOTSET};
	struct match_flowint flowint = {0};
	uint64_t n;
	char *rest = value, *name = text_next(&rest, ','), *op = text_next(&rest, ','),
	     *operand = text_next(&rest, ',');
	int word = op ? text_word(op, ops) : -1;
	if (word < 0 || rest || !isalpha((unsigned char)*name))
		return rule_fail(
			rule,
			"flowint takes a name, an operator (=, +, -, <, <=, ==, !=, >=, >, isset, notset) and a value");
	flowint.op = values[word];
	bool alone = flowint.op == FLOWINT_ISSET || flowint.op == FLOWINT_NOTSET;
	if (!alone && (operand == NULL || *operand == '\0'))
		return rule_fail(rule, "flowint with \"%s\" needs a value or a name after it", op);
	if (!alone && isalpha((unsigned char)*operand)) {
		flowint.by_name = true;
		flowint.other = builder_name(rule->builder, NAME_FLOWINT, operand);
	} else if (!alone && !text_u64(operand, false, UINT32_MAX, &n)) {
		return rule_fail(rule, "\"%.40s\" is neither a number up to 4294967295 nor a name", operand);
	} else if (!alone) {
		flowint.value = (uint32_t)n;
	}
	flowint.name = builder_name(rule->builder, NAME_FLOWINT, name);
	if (flowint.name == UINT32_MAX || flowint.other == UINT32_MAX)
		return rule_fail(rule, "out of memory");
	rule->needs_flow = rule->not_ip_only = true;
	struct match *m = rule_add(rule, flowint.op <= FLOWINT_SUB ? LIST_POST : LIST_PACKET, MATCH_FLOWINT);
	if (m == NULL)
		return -EINVAL;
	m->flowint = flowint;
	return 0;
}

int keyword_flowvar(struct rule *rule, const struct keyword *keyword, char *value)
{
	bool flow = keyword->arg == MATCH_FLOWVAR, negated = false;
	struct bytes text;
	char *comma = strchr(value, ',');
	if (comma == NULL)
		return rule_fail(rule, "%s takes a name and a text", keyword->name);
	*comma = '\0';
	char *content = text_trim(comma + 1);
	if (*content == '!') {
		negated = true;
		content = text_trim(content + 1);
	}
	size_t len = strlen(content);
	if (len >= 2 && *content == '"' && content[len - 1] == '"') {
		content[len - 1] = '\0';
		content++;
	}
	if (content_decode(rule, content, &text) != 0)
		return -EINVAL;
	uint32_t name = builder_name(rule->builder, flow ? NAME_FLOWVAR : NAME_PKTVAR, text_trim(value));
	struct match *m = rule_add(rule, LIST_PACKET, (enum match_type)keyword->arg);
	if (m == NULL || name == UINT32_MAX)
		return rule_fail(rule, "out of memory");
	m->var.name = name;
	m->var.text = text;
	m->negated = negated;
	rule->needs_flow |= flow;
	return 0;
}

/* --- sizes and counts ------------------------------------------------------------------------------------------------------ */

int keyword_stream_size(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	static const char *const sides[] = {"server", "client", "both", "either", NULL};
	struct number_test test = {0};
	char *rest = value, *side = text_next(&rest, ','), *op = text_next(&rest, ','), *size = text_next(&rest, ',');
	int where = text_word(side, sides);
	size_t len = op ? number_op_parse(op, &test.op) : 0;
	if (where < 0 || len == 0 || op[len] || size == NULL || rest || !text_u64(size, false, UINT32_MAX, &test.a))
		return rule_fail(rule, "stream_size takes server, client, both or either, an operator and a size");
	struct match *m = rule_add(rule, LIST_PACKET, MATCH_STREAM_SIZE);
	if (m == NULL)
		return -EINVAL;
	m->stream_size.side = (unsigned)where;
	m->stream_size.test = test;
	rule->needs_flow = true;
	return 0;
}

int keyword_flow_age(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	struct number_test test;
	if (!number_parse(value, UINT32_MAX, NULL, &test))
		return rule_fail(rule, "\"%.40s\" is no age in seconds: write N, <N, >N or N-M", value);
	struct match *m = rule_add(rule, LIST_PACKET, MATCH_FLOW_AGE);
	if (m == NULL)
		return -EINVAL;
	m->number = test;
	rule->needs_flow = true;
	return 0;
}

/* flow.pkts and flow.bytes, with the side in the value or in the keyword (arg, above the match's type). */
int keyword_flow_count(struct rule *rule, const struct keyword *keyword, char *value)
{
	static const char *const sides[] = {"toserver", "toclient", "both", "either", NULL};
	struct number_test test;
	int side = (keyword->arg >> 8) - 1;
	char *rest = value;
	if (side < 0) {
		side = text_word(text_next(&rest, ','), sides);
		if (side < 0 || rest == NULL)
			return rule_fail(rule, "%s takes toserver, toclient, both or either, and a number",
					 keyword->name);
		rest = text_trim(rest);
	}
	uint64_t max = (keyword->arg & 0xff) == MATCH_FLOW_PKTS ? UINT32_MAX : UINT64_MAX;
	if (!number_parse(rest, max, NULL, &test))
		return rule_fail(rule, "\"%.40s\" is no number: write N, <N, >N or N-M", rest);
	struct match *m = rule_add(rule, LIST_PACKET, (enum match_type)(keyword->arg & 0xff));
	if (m == NULL)
		return -EINVAL;
	m->number = test;
	m->flag = (uint8_t)side;
	rule->needs_flow = true;
	return 0;
}

/* --- rates ---------------------------------------------------------------------------------------------------------------- */

static const char *const track_words[] = {"by_src", "by_dst", "by_both", "by_rule", "by_either", "by_flow", NULL};

struct rate_seen {
	bool type, track, count, seconds, multiplier;
};

static int rate_item(struct rule *rule, const char *key, const char *s, struct threshold *t, struct rate_seen *seen)
{
	static const char *const types[] = {"limit", "threshold", "both", "backoff", NULL};
	static const enum threshold_type type_values[] = {THRESHOLD_LIMIT, THRESHOLD_THRESHOLD, THRESHOLD_BOTH,
							  THRESHOLD_BACKOFF};
	uint64_t n;
	int word;
	bool *twice = strcmp(key, "type") == 0	       ? &seen->type
		      : strcmp(key, "track") == 0      ? &seen->track
		      : strcmp(key, "count") == 0      ? &seen->count
		      : strcmp(key, "seconds") == 0    ? &seen->seconds
		      : strcmp(key, "multiplier") == 0 ? &seen->multiplier
						       : NULL;
	if (twice == NULL)
		return rule_fail(rule, "unknown option \"%.40s\" of %s", key, rule->keyword->name);
	if (*twice)
		return rule_fail(rule, "%s stands twice", key);
	*twice = true;
	if (twice == &seen->type) {
		word = text_word(s, types);
		if (word < 0)
			return rule_fail(rule, "type is limit, threshold, both or backoff, not \"%.40s\"", s);
		t->type = type_values[word];
		return 0;
	}
	if (twice == &seen->track) {
		word = text_word(s, track_words);
		if (word < 0 || word == TRACK_EITHER)
			return rule_fail(rule, "track is by_src, by_dst, by_both, by_rule or by_flow, not \"%.40s\"",
					 s);
		t->track = (enum threshold_track)word;
		return 0;
	}
	if (!text_u64(s, false, UINT32_MAX, &n))
		return rule_fail(rule, "%s is a number, not \"%.40s\"", key, s);
	*(twice == &seen->count ? &t->count : twice == &seen->seconds ? &t->seconds : &t->multiplier) = (uint32_t)n;
	return 0;
}

static int rate_items(struct rule *rule, char *value, struct threshold *t, struct rate_seen *seen)
{
	for (char *rest = value, *item; (item = text_next(&rest, ','));) {
		const char *s = text_value(item);
		if (rate_item(rule, item, s, t, seen) != 0)
			return -EINVAL;
	}
	return 0;
}

/* Several thresholds all hold, in their order; a detection_filter stands alone. */
static int keep_threshold(struct rule *rule, const struct threshold *t)
{
	struct threshold **at = &rule->sig.thresholds;
	for (; *at; at = &(*at)->next)
		if (t->type == THRESHOLD_DETECTION_FILTER || (*at)->type == THRESHOLD_DETECTION_FILTER)
			return rule_fail(rule, "a detection_filter stands alone: remove the other, or the threshold");
	*at = arena_alloc(rule->builder->arena, sizeof(**at));
	if (*at == NULL)
		return rule_fail(rule, "out of memory");
	**at = *t;
	return 0;
}

int keyword_threshold(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	struct threshold t = {0};
	struct rate_seen seen = {0};
	if (rate_items(rule, value, &t, &seen) != 0)
		return -EINVAL;
	bool backoff = seen.type && t.type == THRESHOLD_BACKOFF;
	if (!seen.type || !seen.track || !seen.count || (backoff ? !seen.multiplier || seen.seconds : !seen.seconds))
		return rule_fail(rule,
				 backoff ? "threshold with backoff needs track, count and multiplier, and no seconds"
					 : "threshold needs type, track, count and seconds");
	if (backoff && (t.track != TRACK_FLOW || t.count == 0 || t.count > UINT16_MAX || t.multiplier < 2 ||
			t.multiplier > UINT16_MAX))
		return rule_fail(
			rule, "backoff needs track by_flow, a count from 1 to 65535 and a multiplier from 2 to 65535");
	return keep_threshold(rule, &t);
}

int keyword_detection_filter(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	struct threshold t = {.type = THRESHOLD_DETECTION_FILTER};
	struct rate_seen seen = {0};
	if (rate_items(rule, value, &t, &seen) != 0)
		return -EINVAL;
	if (seen.type || seen.multiplier || !seen.track || !seen.count || !seen.seconds)
		return rule_fail(rule, "detection_filter needs track, count and seconds, nothing else");
	if (t.count == 0 || t.seconds == 0)
		return rule_fail(rule, "count and seconds are at least 1");
	return keep_threshold(rule, &t);
}

/* --- tag -------------------------------------------------------------------------------------------------------------------- */

/* Packets that a tag follows when the rule does not say, and at most. */
#define TAG_PACKETS_MAX 256

int keyword_tag(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	static const char *const kinds[] = {"session", "host", NULL}, *const metrics[] = {"packets", "seconds", "bytes",
											  NULL};
	static const char *const sides[] = {"src", "dst", NULL};
	struct match_tag tag = {.metric = TAG_PACKETS, .count = TAG_PACKETS_MAX, .host_dst = true};
	char *rest = value, *kind = text_next(&rest, ','), *count = text_next(&rest, ',');
	char *metric = text_next(&rest, ','), *side = text_next(&rest, ',');
	uint64_t n = TAG_PACKETS_MAX;
	int host = text_word(kind, kinds), unit = metric ? text_word(metric, metrics) : 0;
	int where = side ? text_word(side, sides) : 1;
	if (host < 0 || unit < 0 || where < 0 || rest ||
	    (count && (metric == NULL || !text_u64(count, false, UINT32_MAX, &n))))
		return rule_fail(
			rule, "tag takes session or host, then a count and packets, seconds or bytes, then src or dst");
	if (unit == TAG_PACKETS && n > TAG_PACKETS_MAX)
		n = TAG_PACKETS_MAX;
	tag.host = host == 1;
	tag.host_dst = where == 1;
	tag.metric = (unsigned)unit;
	tag.count = (uint32_t)n;
	struct match *m = rule_add(rule, LIST_POST, MATCH_TAG);
	if (m == NULL)
		return -EINVAL;
	m->tag = tag;
	return 0;
}

/* --- the flow's protocol ------------------------------------------------------------------------------------------------ */

int keyword_app_layer_protocol(struct rule *rule, const struct keyword *keyword, char *value)
{
	(void)keyword;
	static const char *const modes[] = {"final", "to_server", "to_client", "both", "either", "original", NULL};
	char *rest = value, *name = text_next(&rest, ','), *mode = text_next(&rest, ',');
	static const char *const old_modes[] = {"direction", "toserver", "toclient", NULL};
	int where = mode ? text_word(mode, modes) : 0;
	if (where < 0)
		where = text_word(mode, old_modes);
	if (where < 0 || rest)
		return rule_fail(rule, "app-layer-protocol takes a protocol, then final, both, either, to_server, "
				       "to_client or original");
	for (char *c = name; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (rule->sig.proto == SIG_APP)
		return rule_fail(rule, "the rule's protocol says it already: write tcp, udp or ip there, or remove "
				       "app-layer-protocol");
	const struct app_proto *proto = app_proto_by_name(name);
	bool failed = strcmp(name, "failed") == 0;
	if (!failed && strcmp(name, "unknown") == 0)
		rule_wait(rule, "app-layer-protocol:unknown");
	else if (proto == NULL && !failed && !protocol_is_known(name))
		return rule_fail(rule, "unknown protocol \"%.40s\"", name);
	else if (proto == NULL && !failed)
		rule_wait(rule, "protocol %s", name);
	uint64_t id = failed ? APP_FAILED : proto ? proto->id : APP_UNKNOWN;
	for (int i = 0; i < rule->match_count; i++) {
		const struct match *other = &rule->matches[i].match;
		if (other->type == MATCH_APP_PROTOCOL && (other->negated != rule->negated || !rule->negated) &&
		    other->flag == where)
			return rule_fail(rule, "contradicts the app-layer-protocol before it: remove one");
	}
	struct match *m = rule_add(rule, LIST_PACKET, MATCH_APP_PROTOCOL);
	if (m == NULL)
		return -EINVAL;
	m->number.a = id;
	m->negated = rule->negated;
	m->flag = (uint8_t)where;
	rule->needs_flow = true;
	return 0;
}
