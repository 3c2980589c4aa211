/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "parse.h"

/* From a rule's text to its header and options, and what keyword functions need to add to it. */

/* --- saying what is wrong ------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 0))) static void say(struct rule *rule, enum sigs_severity severity,
						      const char *format, va_list args)
{
	char option[256];
	const char *shown = NULL;
	if (rule->option) {
		snprintf(option, sizeof(option), "%.*s", (int)rule->option->text_len, rule->option->text);
		shown = option;
	}
	builder_vsay(rule->builder, severity, rule->file, rule->line, rule->sig.info.sid, shown, format, args);
}

int rule_fail(struct rule *rule, const char *format, ...)
{
	if (rule->failed)
		return -EINVAL;
	rule->failed = true;
	va_list args;
	va_start(args, format);
	say(rule, SIGS_ERROR, format, args);
	va_end(args);
	return -EINVAL;
}

void rule_warn(struct rule *rule, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	say(rule, SIGS_WARNING, format, args);
	va_end(args);
}

void rule_wait(struct rule *rule, const char *format, ...)
{
	char what[128];
	if (rule->waiting)
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	rule->waiting = arena_strndup(rule->builder->arena, what, strlen(what));
}

/* --- matches and buffers -------------------------------------------------------------------------------------------- */

struct match *rule_add(struct rule *rule, int list, enum match_type type)
{
	if (rule->match_count == RULE_MATCHES_MAX) {
		rule_fail(rule, "more than %u matches in one rule; split it", RULE_MATCHES_MAX);
		return NULL;
	}
	struct rule_match *m = &rule->matches[rule->match_count++];
	memset(&m->match, 0, sizeof(m->match));
	m->match.type = type;
	m->list = (int16_t)list;
	if (list >= 0)
		rule->buffers[list].count++;
	return &m->match;
}

static int buffer_new(struct rule *rule, const struct buffer_info *info, int dir)
{
	if (rule->buffer_count == RULE_BUFFERS_MAX)
		return rule_fail(rule, "more than %u buffers in one rule; split it", RULE_BUFFERS_MAX);
	int index = rule->buffer_count++;
	rule->buffers[index] = (struct rule_buffer){.info = info, .dir = (int8_t)dir, .base64_of = -1};
	return index;
}

static uint32_t apps_with(const struct buffer_info *info, int dir)
{
	uint32_t mask = 0;
	for (unsigned app = 0; app < APP_ID_COUNT; app++)
		for (int d = 0; d < 2; d++)
			if (info->app[app][d] && (dir < 0 || dir == d))
				mask |= 1u << app;
	return mask;
}

int rule_apps(struct rule *rule, uint32_t mask)
{
	rule->app_layer = true;
	if (rule->sig.proto == SIG_APP && rule->sig.app == APP_UNKNOWN)
		return 0; /* of a protocol that is waited for */
	if ((rule->app_mask & mask) == 0)
		return rule_fail(rule, "no protocol has this together with the rule's protocol and its other keywords");
	rule->app_mask &= mask;
	return 0;
}

static int note_use(struct rule *rule, const struct buffer_info *info, int dir)
{
	if (info->waits_for) {
		rule_wait(rule, "%s", info->waits_for);
		return 0;
	}
	if (info->kind == BUFFER_PACKET && info->packet < PACKET_BUFFER_IP_SRC)
		rule->packet_required = true;
	if (info->kind != BUFFER_APP)
		return 0;
	return rule_apps(rule, apps_with(info, dir));
}

int rule_buffer_of(struct rule *rule, const struct buffer_info *info)
{
	for (int i = rule->buffer_count - 1; i >= 0; i--)
		if (rule->buffers[i].info == info && !rule->buffers[i].transformed && rule->buffers[i].dir == rule->dir)
			return i;
	int index = buffer_new(rule, info, rule->dir);
	if (index < 0 || note_use(rule, info, rule->dir) != 0)
		return -1;
	rule->buffers[index].ref = builder_buffer(rule->builder, info, rule->dir, NULL, 0, "");
	rule->buffers[index].by_modifier = true;
	if (rule->buffers[index].ref == NULL)
		return rule_fail(rule, "out of memory");
	return index;
}

/* The buffer that a sticky keyword without transforms goes on with: for one with several instances only what a modifier
 * opened, since naming it again means the next instance. */
static int sticky_again(struct rule *rule, const struct buffer_info *info)
{
	for (int i = 0; i < rule->buffer_count; i++) {
		struct rule_buffer *b = &rule->buffers[i];
		if (b->info != info || b->transformed || b->dir != rule->sticky_dir)
			continue;
		if (info->multi && !b->by_modifier)
			continue;
		b->by_modifier = false;
		return i;
	}
	return -1;
}

static int sticky_open(struct rule *rule)
{
	int index = rule->transform_count ? -1 : sticky_again(rule, rule->sticky);
	if (index >= 0)
		return index;
	index = buffer_new(rule, rule->sticky, rule->sticky_dir);
	if (index < 0 || note_use(rule, rule->sticky, rule->sticky_dir) != 0)
		return -1;
	rule->buffers[index].ref = builder_buffer(rule->builder, rule->sticky, rule->sticky_dir, rule->transforms,
						  rule->transform_count, rule->transform_key);
	rule->buffers[index].transformed = rule->transform_count > 0;
	rule->transform_count = 0;
	rule->transform_key[0] = '\0';
	if (rule->buffers[index].ref == NULL)
		return rule_fail(rule, "out of memory");
	return index;
}

static int base64_open(struct rule *rule)
{
	const struct rule_match *decode = NULL;
	for (int i = 0; i < rule->match_count; i++)
		if (rule->matches[i].match.type == MATCH_BASE64_DECODE)
			decode = &rule->matches[i];
	if (decode == NULL)
		return rule_fail(rule, "base64_data needs a base64_decode before it");
	int index = buffer_new(rule, &rule->builder->base64, -1);
	if (index < 0)
		return -1;
	rule->buffers[index].base64_of = (int8_t)decode->list;
	rule->buffers[index].ref = builder_buffer(rule->builder, &rule->builder->base64, -1, NULL, 0, "");
	return index;
}

int rule_buffer(struct rule *rule)
{
	if (rule->sticky_buffer >= 0 && rule->transform_count == 0)
		return rule->sticky_buffer;
	if (rule->sticky_base64)
		return rule->sticky_buffer = (int16_t)base64_open(rule);
	if (rule->sticky)
		return rule->sticky_buffer = (int16_t)sticky_open(rule);
	int8_t dir = rule->dir;
	rule->dir = -1;
	int index = rule_buffer_of(rule, &rule->builder->payload);
	rule->dir = dir;
	return index;
}

struct rule_match *rule_last(struct rule *rule, uint64_t types)
{
	bool sticky = rule->sticky || rule->sticky_base64;
	for (int i = rule->match_count - 1; i >= 0; i--) {
		struct rule_match *m = &rule->matches[i];
		if (m->list < 0 || m->match.type >= 64 || !(types & TYPE(m->match.type)))
			continue;
		if (!sticky || m->list == rule->sticky_buffer)
			return m;
	}
	return NULL;
}

struct rule_match *rule_before(struct rule *rule, const struct rule_match *match, uint64_t types)
{
	for (const struct rule_match *m = match; m > rule->matches;) {
		m--;
		if (m->list == match->list && m->match.type < 64 && types & TYPE(m->match.type))
			return &rule->matches[m - rule->matches];
	}
	return NULL;
}

int rule_relative_buffer(struct rule *rule, bool relative)
{
	if (rule->sticky || rule->sticky_base64 || !relative)
		return rule_buffer(rule);
	const struct rule_match *last =
		rule_last(rule, TYPE(MATCH_CONTENT) | TYPE(MATCH_PCRE) | TYPE(MATCH_BYTE_TEST) | TYPE(MATCH_BYTE_JUMP) |
					TYPE(MATCH_BYTE_EXTRACT) | TYPE(MATCH_BYTE_MATH) | TYPE(MATCH_ISDATAAT));
	return last ? last->list : rule_buffer(rule);
}

int rule_var(const struct rule *rule, const char *name)
{
	for (int i = 0; i < rule->sig.var_count; i++)
		if (strcmp(rule->var_names[i], name) == 0)
			return i;
	return -1;
}

int rule_var_new(struct rule *rule, const char *name)
{
	int known = rule_var(rule, name);
	if (known >= 0)
		return known;
	if (rule->sig.var_count == SIG_VARS_MAX)
		return rule_fail(rule, "more than %u variables in one rule", SIG_VARS_MAX);
	if (!isalpha((unsigned char)*name))
		return rule_fail(rule, "a variable's name starts with a letter: \"%.40s\"", name);
	rule->var_names[rule->sig.var_count] = name;
	return rule->sig.var_count++;
}

/* --- the header --------------------------------------------------------------------------------------------------------- */

static int parse_action(struct rule *rule, char *text)
{
	static const char *const words[] = {"alert",	 "pass",       "drop",	 "reject", "rejectsrc",
					    "rejectdst", "rejectboth", "config", NULL};
	static const enum sigs_action actions[] = {SIGS_ALERT,	SIGS_PASS,	 SIGS_DROP,	   SIGS_REJECT,
						   SIGS_REJECT, SIGS_REJECT_DST, SIGS_REJECT_BOTH, SIGS_CONFIG};
	char *scope = strchr(text, ':');
	if (scope)
		*scope++ = '\0';
	int word = text_word(text, words);
	if (word < 0)
		return rule_fail(
			rule,
			"unknown action \"%.40s\": use alert, pass, drop, reject, rejectsrc, rejectdst, rejectboth "
			"or config",
			text);
	rule->sig.info.action = actions[word];
	if (scope == NULL)
		return 0;
	bool packet = strcmp(scope, "packet") == 0, flow = strcmp(scope, "flow") == 0;
	if (rule->sig.info.action == SIGS_ALERT || (rule->sig.info.action == SIGS_CONFIG && !packet))
		return rule_fail(rule, "action %s takes no scope \"%.40s\"", words[word], scope);
	if (!packet && !flow)
		return rule_fail(rule, "unknown scope \"%.40s\" of action %s: use packet or flow", scope, words[word]);
	rule->sig.flags |= packet ? SIG_SCOPE_PACKET : SIG_SCOPE_FLOW;
	return 0;
}

static const struct {
	const char *name;
	enum sig_proto proto;
} transports[] = {
	{"ip", SIG_IP},	    {"any", SIG_IP},	      {"ipv4", SIG_IPV4},
	{"ip4", SIG_IPV4},  {"ipv6", SIG_IPV6},	      {"ip6", SIG_IPV6},
	{"tcp", SIG_TCP},   {"tcp-pkt", SIG_TCP_PKT}, {"udp", SIG_UDP},
	{"icmp", SIG_ICMP}, {"icmpv4", SIG_ICMPV4},   {"icmpv6", SIG_ICMPV6},
	{"sctp", SIG_SCTP}, {"pkthdr", SIG_PKTHDR},   {"tcp-stream", SIG_TCP_STREAM},
};

static int parse_packet_hook(struct rule *rule, const char *hook)
{
	static const char *const words[] = {"flow_start", "all", "pre_flow", "pre_stream", NULL};
	int word = text_word(hook, words);
	if (word < 0)
		return rule_fail(rule, "unknown hook \"%.40s\": use flow_start or all", hook);
	rule->not_ip_only = rule->not_decode_event = true;
	if (word == 0)
		rule->sig.flags |= SIG_HOOKED | SIG_HOOK_FLOW_START;
	else if (word > 1)
		rule_wait(rule, "hook %s", hook);
	return 0;
}

static int hook_set(struct rule *rule, enum direction dir, unsigned progress)
{
	rule->sig.flags |= SIG_HOOKED;
	rule->sig.flow |= dir == TO_SERVER ? SIG_FLOW_TO_SERVER : SIG_FLOW_TO_CLIENT;
	rule->sig.hook = (uint8_t)progress;
	rule->sig.hook_dir = (uint8_t)dir;
	return 0;
}

static int parse_app_hook(struct rule *rule, const struct app_proto *proto, const char *hook)
{
	static const char *const general[] = {"request_started", "response_started", "request_complete",
					      "response_complete", NULL};
	int word = text_word(hook, general);
	if (word >= 0)
		return hook_set(rule, word & 1 ? TO_CLIENT : TO_SERVER, word >= 2 ? proto->complete[word & 1] : 0);
	for (int dir = 0; dir < 2; dir++) {
		int progress = proto->hooks[dir] ? text_word(hook, proto->hooks[dir]) : -1;
		if (progress >= 0)
			return hook_set(rule, (enum direction)dir, (unsigned)progress);
	}
	return rule_fail(rule, "protocol %s has no hook \"%.40s\"", proto->name, hook);
}

static int parse_protocol(struct rule *rule, char *text)
{
	char *hook = strchr(text, ':');
	if (hook)
		*hook++ = '\0';
	for (char *c = text; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	for (unsigned i = 0; i < sizeof(transports) / sizeof(transports[0]); i++) {
		if (strcmp(text, transports[i].name) != 0)
			continue;
		rule->sig.proto = transports[i].proto;
		return hook ? parse_packet_hook(rule, hook) : 0;
	}
	rule->sig.proto = SIG_APP;
	const struct app_proto *proto = app_proto_by_name(text);
	if (proto) {
		rule->sig.app = proto->id;
		if (rule_apps(rule, 1u << proto->id) != 0)
			return -EINVAL;
		return hook ? parse_app_hook(rule, proto, hook) : 0;
	}
	if (!protocol_is_known(text))
		return rule_fail(rule, "unknown protocol \"%.40s\"", text);
	rule->app_layer = true;
	rule_wait(rule, "protocol %s", text);
	return 0;
}

static int parse_direction(struct rule *rule, const char *text)
{
	if (strcmp(text, "<>") == 0)
		rule->sig.flags |= SIG_BIDIRECTIONAL;
	else if (strcmp(text, "=>") == 0)
		rule->sig.flags |= SIG_TRANSACTIONAL_BIDIR;
	else if (strcmp(text, "->") != 0)
		return rule_fail(rule, "\"%.20s\" is no direction: use ->, <> or =>", text);
	return 0;
}

/* Whether a negation or a range stands in the expression, its variables left aside. */
static void note_addresses(struct rule *rule, const char *text)
{
	rule->negated_addresses |= strchr(text, '!') != NULL;
	rule->ranges |= strchr(text, '-') != NULL;
}

static int parse_addresses(struct rule *rule, const char *text, const struct address_set **set)
{
	struct address_book *book = &rule->builder->addresses;
	*set = address_set_of(book, text, strlen(text));
	note_addresses(rule, text);
	return *set ? 0 : rule_fail(rule, "address \"%.80s\": %s", text, book->why);
}

static int parse_ports(struct rule *rule, const char *text, const struct port_set **set)
{
	struct address_book *book = &rule->builder->addresses;
	*set = port_set_of(book, text, strlen(text));
	return *set ? 0 : rule_fail(rule, "port \"%.80s\": %s", text, book->why);
}

/* The next word of the header; blanks inside brackets belong to it. NULL at the end. */
static char *header_word(char **at)
{
	char *s = *at;
	while (isspace((unsigned char)*s))
		s++;
	char *start = s;
	unsigned open = 0;
	for (; *s && (open > 0 || !isspace((unsigned char)*s)); s++) {
		if (*s == '(' && open == 0)
			break; /* the options start right after the ports */
		open += *s == '[';
		open -= *s == ']' && open > 0;
	}
	if (s == start)
		return NULL;
	if (*s != '(' && *s != '\0')
		*s++ = '\0';
	*at = s;
	return start;
}

/* --- options -------------------------------------------------------------------------------------------------------------- */

static void trim_end(char *start, char *end)
{
	while (end > start && isspace((unsigned char)end[-1]))
		end--;
	*end = '\0';
}

/* Cuts the options apart at semicolons that no backslash stands before. */
static int split_options(struct rule *rule, char *s, const char *written, const char *text)
{
	for (;;) {
		while (isspace((unsigned char)*s))
			s++;
		if (*s == '\0')
			return 0;
		char *end = s;
		while ((end = strchr(end, ';')) && end > s && end[-1] == '\\')
			end++;
		struct rule_option option = {.name = s, .text = written + (s - text)};
		option.text_len = (uint32_t)(end ? (size_t)(end - s) : strlen(s));
		if (end == NULL) {
			rule->option = &option;
			int err = rule_fail(rule, "the option is not ended: write \";\" after it");
			rule->option = NULL;
			return err;
		}
		if (rule->option_count == RULE_OPTIONS_MAX)
			return rule_fail(rule, "more than %u options in one rule; split it", RULE_OPTIONS_MAX);
		*end = '\0';
		char *colon = memchr(s, ':', (size_t)(end - s));
		if (colon) {
			*colon = '\0';
			option.value = colon + 1;
		}
		trim_end(s, colon ? colon : end);
		for (char *c = s; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		rule->options[rule->option_count++] = option;
		s = end + 1;
	}
}

static int unquote(struct rule *rule, const struct keyword *keyword, char **value)
{
	char *s = *value;
	size_t len = strlen(s);
	if (*s != '"')
		return keyword->flags & KEYWORD_QUOTED
			       ? rule_fail(rule, "the value of %s stands in double quotes", keyword->name)
			       : 0;
	if (!(keyword->flags & (KEYWORD_QUOTED | KEYWORD_QUOTES)))
		return rule_fail(rule, "%s takes no quotes around its value", keyword->name);
	if (len < 2 || s[len - 1] != '"')
		return rule_fail(rule, "the value's closing quote is missing; is a \";\" missing too?");
	if (len == 2)
		return rule_fail(rule, "the value of %s is empty", keyword->name);
	s[len - 1] = '\0';
	*value = s + 1;
	return 0;
}

/* "to_client" or "to_server" before the value, or instead of it. */
static int read_direction(struct rule *rule, const struct keyword *keyword, char **value)
{
	static const char *const words[] = {"to_server", "to_client", NULL};
	char *s = *value, *comma = strchr(s, ',');
	if (comma)
		*comma = '\0';
	int word = text_word(text_trim(s), words);
	if (comma)
		*comma = ',';
	if (word < 0)
		return keyword->flags & KEYWORD_OPENS_BUFFER
			       ? rule_fail(rule, "%s takes to_server or to_client, or nothing", keyword->name)
			       : 0;
	rule->dir = (int8_t)word;
	*value = comma ? text_trim(comma + 1) : s + strlen(s);
	return 0;
}

/* Trims, negates and unquotes as the keyword allows. */
static int prepare_value(struct rule *rule, const struct keyword *keyword, char **value)
{
	rule->negated = false;
	rule->dir = -1;
	bool given = *value != NULL && *(*value = text_trim(*value)) != '\0';
	if (!given)
		*value = NULL;
	if (given && keyword->flags & KEYWORD_NO_VALUE)
		return rule_fail(rule, "%s takes no value", keyword->name);
	if (!given && !(keyword->flags & (KEYWORD_NO_VALUE | KEYWORD_VALUE_OPTIONAL)))
		return rule_fail(rule, "%s needs a value", keyword->name);
	if (!given)
		return 0;
	if (keyword->flags & KEYWORD_NEGATABLE && **value == '!') {
		rule->negated = true;
		*value = text_trim(*value + 1);
		if (**value == '\0')
			return rule_fail(rule, "nothing stands after the \"!\"");
	}
	if (unquote(rule, keyword, value) != 0)
		return -EINVAL;
	return keyword->flags & KEYWORD_DIRECTION ? read_direction(rule, keyword, value) : 0;
}

static int parse_option(struct rule *rule, const struct rule_option *option)
{
	char *value = option->value;
	rule->option = option;
	const struct keyword *keyword = keyword_find(rule->builder, option->name, strlen(option->name));
	if (keyword == NULL)
		return rule_fail(rule, "unknown keyword \"%.60s\": remove it, or see the list of keywords",
				 option->name);
	rule->keyword = keyword;
	if (prepare_value(rule, keyword, &value) != 0)
		return -EINVAL;
	uint16_t before = rule->match_count;
	int err = keyword->parse(rule, keyword, value);
	if (keyword->flags & KEYWORD_PACKET)
		rule->packet_required = true;
	if (rule->match_count > before) {
		rule->not_ip_only |= !(keyword->flags & KEYWORD_IP_ONLY);
		rule->not_decode_event |= !(keyword->flags & KEYWORD_DECODE_EVENT);
	}
	return rule->failed ? -EINVAL : err;
}

static bool is_first(const struct rule *rule, const struct rule_option *option)
{
	const struct keyword *keyword = keyword_find(rule->builder, option->name, strlen(option->name));
	return keyword && keyword->flags & KEYWORD_FIRST;
}

/* sid and requires before all others, so that errors name the sid and rules for other versions are left alone. */
static int parse_options(struct rule *rule)
{
	bool first[2] = {true, false};
	for (int pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < rule->option_count; i++) {
			if (is_first(rule, &rule->options[i]) != first[pass])
				continue;
			if (parse_option(rule, &rule->options[i]) != 0 || rule->skipped)
				return -EINVAL;
		}
		rule->option = NULL;
		if (pass == 0 && rule->sig.info.sid == 0)
			return rule_fail(rule, "the rule has no sid: add \"sid:NUMBER;\"");
	}
	return 0;
}

/* --- the whole ------------------------------------------------------------------------------------------------------------ */

/* Control characters and broken UTF-8 would end up in records. */
static int check_characters(struct rule *rule, const char *text)
{
	for (const uint8_t *c = (const uint8_t *)text; *c; c++) {
		if (*c >= 0x20 && *c < 0x7f)
			continue;
		if (*c == 0x7f || (*c < 0x20 && !isspace(*c)))
			return rule_fail(rule, "control character 0x%02x: write it as |%02x| inside a content", *c, *c);
		if (*c < 0x80)
			continue;
		unsigned more = *c >= 0xf0 && *c < 0xf5 ? 3 : *c >= 0xe0 ? 2 : 1;
		if (*c < 0xc2 || *c >= 0xf5)
			return rule_fail(rule, "byte 0x%02x is no valid UTF-8: write it as |%02x| inside a content", *c,
					 *c);
		for (; more > 0; more--)
			if ((*++c & 0xc0) != 0x80)
				return rule_fail(rule,
						 "the rule is no valid UTF-8: save it so, or write |hex| in contents");
	}
	return 0;
}

static int parse_header(struct rule *rule, char **at)
{
	static const char *const names[] = {"action",	       "protocol",  "source address",
					    "source port",     "direction", "destination address",
					    "destination port"};
	char *words[7];
	for (int i = 0; i < 7; i++) {
		words[i] = header_word(at);
		if (words[i] == NULL)
			return rule_fail(rule,
					 "the %s is missing: a rule is ACTION PROTOCOL SOURCE PORT -> DESTINATION PORT "
					 "(OPTIONS)",
					 names[i]);
	}
	/* the last word may touch the parenthesis, which ends it */
	char *open = *at;
	while (isspace((unsigned char)*open))
		open++;
	if (*open != '(')
		return rule_fail(rule, "the options are missing: write them in parentheses after the ports");
	*open = '\0';
	*at = open + 1;
	char *end = *at + strlen(*at);
	trim_end(*at, end);
	end = *at + strlen(*at);
	if (end == *at || end[-1] != ')')
		return rule_fail(rule, "the closing parenthesis is missing");
	end[-1] = '\0';
	if (parse_action(rule, words[0]) != 0 || parse_direction(rule, words[4]) != 0 ||
	    parse_protocol(rule, words[1]) != 0)
		return -EINVAL;
	if (parse_addresses(rule, words[2], &rule->sig.src) != 0 || parse_ports(rule, words[3], &rule->sig.sport) != 0)
		return -EINVAL;
	if (parse_addresses(rule, words[5], &rule->sig.dst) != 0 || parse_ports(rule, words[6], &rule->sig.dport) != 0)
		return -EINVAL;
	return 0;
}

/* The sid wherever it stands, so that errors of the header name it too. */
static uint32_t peek_sid(const char *text)
{
	for (const char *s = text; (s = strstr(s, "sid:")); s += 4) {
		uint32_t sid = 0;
		const char *digit = s + 4;
		while (*digit == ' ')
			digit++;
		for (; isdigit((unsigned char)*digit) && sid < 400000000; digit++)
			sid = sid * 10 + (uint32_t)(*digit - '0');
		if (sid != 0 && (*digit == ';' || *digit == ' '))
			return sid;
	}
	return 0;
}

void rule_parse(struct rule *rule, char *text, const char *written)
{
	char *at = text;
	rule->sig.info.gid = 1;
	rule->sig.fast_buffer = rule->sig.fast_match = -1;
	rule->app_mask = UINT32_MAX;
	rule->sticky_buffer = -1;
	rule->dir = rule->sticky_dir = -1;
	if (check_characters(rule, text) != 0) {
		return;
	}
	rule->sig.info.sid = peek_sid(text);
	if (parse_header(rule, &at) != 0)
		return;
	if (split_options(rule, at, written, text) != 0)
		return;
	rule->sig.info.sid = 0;
	if (parse_options(rule) != 0)
		return;
	rule_finish(rule);
}
