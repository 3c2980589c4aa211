/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "signature.h"

/* A builder, what it said, and what came out of it. */
static struct {
	struct sigs_builder *builder;
	struct parsed_rules parsed;
	unsigned errors, warnings;
	unsigned line;
	uint32_t sid;
	char option[300], message[600];
	const char *list_text; /* what read_file gives */
} t;

static void on_diagnostic(void *user, const struct sigs_diagnostic *d)
{
	(void)user;
	if (d->severity == SIGS_WARNING) {
		t.warnings++;
		return;
	}
	t.errors++;
	t.line = d->line;
	t.sid = d->sid;
	snprintf(t.option, sizeof(t.option), "%s", d->option ? d->option : "");
	snprintf(t.message, sizeof(t.message), "%s", d->message);
}

static int on_read_file(void *user, const char *path, const char *rule_file, struct sigs_blob *blob)
{
	(void)user;
	(void)rule_file;
	if (strcmp(path, "list") != 0)
		return -ENOENT;
	blob->data = strdup(t.list_text);
	blob->len = strlen(t.list_text);
	return 0;
}

static int start(void **state)
{
	(void)state;
	struct sigs_env env = {.diagnostic = on_diagnostic, .read_file = on_read_file};
	memset(&t, 0, sizeof(t));
	t.builder = sigs_builder_new(&env);
	return t.builder ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	sigs_builder_free(t.builder);
	arena_free(t.parsed.arena);
	return 0;
}

/* A new builder instead of the one before. */
static void again(void)
{
	stop(NULL);
	assert_int_equal(start(NULL), 0);
}

static void add(const char *text)
{
	assert_int_equal(sigs_add_rules(t.builder, "test.rules", text, strlen(text)), 0);
}

/* The only signature of the text, which must be right. */
static const struct signature *one(const char *text)
{
	add(text);
	if (t.errors)
		fail_msg("%s: [%s] %s", text, t.option, t.message);
	sigs_builder_take(t.builder, &t.parsed);
	assert_int_equal(t.parsed.count, 1);
	return t.parsed.signatures[0];
}

/* A signature with these options on TCP. */
static const struct signature *options(const char *text)
{
	char rule[2048];
	snprintf(rule, sizeof(rule), "alert tcp any any -> any any (%s sid:1;)", text);
	return one(rule);
}

/* These options must be refused with a message that says `why`. */
static void refused(const char *text, const char *why)
{
	char rule[2048];
	unsigned before = t.errors;
	snprintf(rule, sizeof(rule), "alert tcp any any -> any any (%s sid:1;)", text);
	add(rule);
	if (t.errors != before + 1)
		fail_msg("not refused: %s", text);
	if (!strstr(t.message, why))
		fail_msg("%s: \"%s\" does not say \"%s\"", text, t.message, why);
}

static const struct match_content *content(const struct signature *sig, unsigned buffer, unsigned match)
{
	assert_true(buffer < sig->buffer_count);
	assert_true(match < sig->buffers[buffer].match_count);
	assert_int_equal(sig->buffers[buffer].matches[match].type, MATCH_CONTENT);
	return &sig->buffers[buffer].matches[match].content;
}

static bool is_pattern(const struct match_content *c, const char *text, size_t len)
{
	return c->pattern.len == len && memcmp(c->pattern.data, text, len) == 0;
}

/* --- the frame of a rule ------------------------------------------------------------------------------------------------ */

static void header_is_read(void **state)
{
	(void)state;
	const struct signature *sig = one("drop udp [10.0.0.0/8, !10.1.0.0/16] 1024: <> any [53,5353] (msg:\"a "
					  "\\\"b\\\"\\; c\"; sid:7; gid:3; rev:2; "
					  "priority:1;)");
	assert_int_equal(sig->info.action, SIGS_DROP);
	assert_int_equal(sig->proto, SIG_UDP);
	assert_true(sig->flags & SIG_BIDIRECTIONAL);
	assert_int_equal(sig->src->v4_count, 2);
	assert_true(sig->dst->any);
	assert_true(port_set_has(sig->sport, 1024));
	assert_true(port_set_has(sig->dport, 5353));
	assert_string_equal(sig->info.msg, "a \"b\"; c");
	assert_int_equal(sig->info.sid, 7);
	assert_int_equal(sig->info.gid, 3);
	assert_int_equal(sig->info.rev, 2);
	assert_int_equal(sig->info.priority, 1);
	assert_int_equal(sig->family, 4);
}

static void defaults_hold(void **state)
{
	(void)state;
	const struct signature *sig = options("");
	assert_int_equal(sig->info.gid, 1);
	assert_int_equal(sig->info.priority, 3);
	assert_int_equal(sig->info.rev, 0);
	assert_int_equal(sig->family, 0);
	assert_int_equal(sig->fast_buffer, -1);
}

static void same_both_ways_is_one_way(void **state)
{
	(void)state;
	assert_false(one("alert ip any any <> any any (sid:1;)")->flags & SIG_BIDIRECTIONAL);
}

static void actions_and_scopes(void **state)
{
	(void)state;
	static const struct {
		const char *word;
		enum sigs_action action;
		uint32_t flag;
	} actions[] = {{"alert", SIGS_ALERT, 0},
		       {"pass:flow", SIGS_PASS, SIG_SCOPE_FLOW},
		       {"drop:packet", SIGS_DROP, SIG_SCOPE_PACKET},
		       {"reject", SIGS_REJECT, 0},
		       {"rejectsrc", SIGS_REJECT, 0},
		       {"rejectdst", SIGS_REJECT_DST, 0},
		       {"rejectboth", SIGS_REJECT_BOTH, 0}};
	char rule[128];
	const unsigned count = sizeof(actions) / sizeof(actions[0]);
	for (unsigned i = 0; i < count; i++) {
		snprintf(rule, sizeof(rule), "%s ip any any -> any any (sid:%u;)", actions[i].word, i + 1);
		add(rule);
	}
	add("alert:flow ip any any -> any any (sid:100;)");
	assert_int_equal(t.errors, 1);
	add("explode ip any any -> any any (sid:101;)");
	assert_int_equal(t.errors, 2);
	assert_int_equal(t.sid, 101);
	sigs_builder_take(t.builder, &t.parsed);
	assert_int_equal(t.parsed.count, count);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(t.parsed.signatures[i]->info.action, actions[i].action);
		assert_int_equal(t.parsed.signatures[i]->flags & (SIG_SCOPE_FLOW | SIG_SCOPE_PACKET), actions[i].flag);
	}
}

static void lines_continue_and_comments_are_left_out(void **state)
{
	(void)state;
	const struct signature *sig = one("# a comment\n"
					  "\n"
					  "alert tcp any any -> any any \\\r\n"
					  "  (msg:\"two \\\n"
					  "lines\"; sid:5;)\r\n"
					  "#alert tcp any any -> any any (sid:6;)\n");
	assert_string_equal(sig->info.msg, "two lines");
	assert_int_equal(sig->info.line, 3);
}

static void diagnostics_name_line_sid_and_option(void **state)
{
	(void)state;
	add("alert tcp any any -> any any (sid:1;)\n\n"
	    "alert tcp any any -> any any (msg:\"x\"; content:\"a|0\"; sid:42;)\n"
	    "alert tcp any any -> any any (sid:3;)\n");
	assert_int_equal(t.errors, 1);
	assert_int_equal(t.line, 3);
	assert_int_equal(t.sid, 42);
	assert_string_equal(t.option, "content:\"a|0\"");
	struct sigs_counts counts = sigs_builder_counts(t.builder);
	assert_int_equal(counts.loaded, 2);
	assert_int_equal(counts.failed, 1);
}

static void broken_frames_are_refused(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"alert",
		"alert tcp any any -> any any",
		"alert tcp any any -> any any (sid:1;",
		"alert tcp any any -> any any (sid:1)",
		"alert tcp any any -> any any (msg:\"no sid\";)",
		"alert tcp any any => any (sid:1;)",
		"alert tcp any any >> any any (sid:1;)",
		"alert nosuch any any -> any any (sid:1;)",
		"alert tcp [1.1.1.1 any -> any any (sid:1;)",
		"alert tcp any any -> any any (sid:0;)",
		"alert tcp any any -> any any (sid:1; sid:2;)",
		"alert tcp any any -> any any (sid:4294967296;)",
		"alert tcp any any -> any any (nosuchkeyword; sid:1;)",
		"alert tcp any any -> any any (msg:unquoted; sid:1;)",
		"alert tcp any any -> any any (msg:\"open; sid:1;)",
		"alert tcp any any -> any any (content; sid:1;)",
		"alert tcp any any -> any any (content:\"\x01\"; sid:1;)",
		"alert tcp any any -> any any (content:\"\xff\xfe\"; sid:1;)",
		"alert tcp any any -> any any (lua:script.lua; sid:1;)",
	};
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		add(wrong[i]);
		if (t.errors != i + 1)
			fail_msg("not refused: %s", wrong[i]);
	}
	assert_int_equal(sigs_builder_counts(t.builder).failed, sizeof(wrong) / sizeof(wrong[0]));
}

static void higher_revision_wins(void **state)
{
	(void)state;
	add("alert tcp any any -> any any (sid:1; rev:2; msg:\"two\";)\n"
	    "alert tcp any any -> any any (sid:1; rev:3; msg:\"three\";)\n"
	    "alert tcp any any -> any any (sid:1; rev:1; msg:\"one\";)\n"
	    "alert tcp any any -> any any (sid:1; gid:2; rev:1; msg:\"other group\";)\n");
	assert_int_equal(t.errors, 0);
	struct sigs_counts counts = sigs_builder_counts(t.builder);
	assert_int_equal(counts.loaded, 2);
	assert_int_equal(counts.skipped, 2);
	add("alert tcp any any -> any any (sid:1; rev:3; msg:\"again\";)\n");
	assert_int_equal(t.errors, 1);
	sigs_builder_take(t.builder, &t.parsed);
	assert_int_equal(t.parsed.count, 2);
	assert_string_equal(t.parsed.signatures[0]->info.msg, "three");
}

static void requirements_are_weighed(void **state)
{
	(void)state;
	add("alert tcp any any -> any any (requires:version >= 8; sid:1;)\n"
	    "alert tcp any any -> any any (requires:version >= 7.0.3 < 8 | >= 8.0.0 < 9; sid:2;)\n"
	    "alert tcp any any -> any any (requires:keyword content; sid:3;)\n"
	    "alert tcp any any -> any any (requires:version < 8; nosuchkeyword; sid:4;)\n"
	    "alert tcp any any -> any any (requires:feature nothing_has_it; sid:5;)\n"
	    "alert tcp any any -> any any (requires:keyword nosuchkeyword; sid:6;)\n");
	struct sigs_counts counts = sigs_builder_counts(t.builder);
	assert_int_equal(t.errors, 0);
	assert_int_equal(counts.loaded, 3);
	assert_int_equal(counts.skipped, 3);
	refused("requires:version eight;", "no version");
}

/* --- contents --------------------------------------------------------------------------------------------------------- */

static void patterns_are_decoded(void **state)
{
	(void)state;
	const struct signature *sig = options("content:\"a|3a 3B|\\;\\\"|00|\\\\\"; content:!\"GET\"; nocase;");
	assert_true(is_pattern(content(sig, 0, 0), "a:;;\"\0\\", 7));
	assert_int_equal(content(sig, 0, 1)->flags, CONTENT_NEGATED | CONTENT_NOCASE);
	assert_int_equal(sig->buffers[0].ref->kind, BUFFER_PAYLOAD);
	assert_int_equal(sig->buffers[0].ref->id, 0);
}

static void places_are_read(void **state)
{
	(void)state;
	const struct signature *sig = options("content:\"abc\"; offset:4; depth:10; content:\"de\"; depth:5; offset:2; "
					      "content:\"f\"; distance:-3; within:9; "
					      "content:\"start\"; startswith; content:\"end\"; endswith;");
	assert_int_equal(content(sig, 0, 0)->offset, 4);
	assert_int_equal(content(sig, 0, 0)->depth, 14);
	assert_int_equal(content(sig, 0, 1)->depth, 7);
	assert_int_equal(content(sig, 0, 2)->distance, -3);
	assert_int_equal(content(sig, 0, 2)->within, 9);
	assert_true(content(sig, 0, 2)->flags & CONTENT_RELATIVE);
	assert_int_equal(content(sig, 0, 3)->depth, 5);
	assert_true(content(sig, 0, 3)->flags & CONTENT_STARTSWITH);
	assert_true(content(sig, 0, 4)->flags & CONTENT_ENDSWITH);
	assert_false(content(sig, 0, 4)->flags & CONTENT_RELATIVE);
}

static void nothing_after_it_is_its_end(void **state)
{
	(void)state;
	const struct signature *sig = options("content:\"abc\"; isdataat:!1,relative;");
	assert_int_equal(sig->buffers[0].match_count, 1);
	assert_true(content(sig, 0, 0)->flags & CONTENT_ENDSWITH);
}

static void contradicting_modifiers_are_refused(void **state)
{
	(void)state;
	refused("nocase;", "needs a content before it");
	refused("content:\"abc\"; depth:2;", "smaller than the content");
	refused("content:\"abc\"; within:2;", "smaller than the content");
	refused("content:\"abc\"; depth:5; distance:1;", "cannot stand with");
	refused("content:\"abc\"; within:5; offset:1;", "cannot stand with");
	refused("content:\"abc\"; offset:1; startswith;", "cannot stand with");
	refused("content:\"abc\"; offset:1; offset:2;", "stands twice");
	refused("content:\"abc\"; nocase; nocase;", "stands twice");
	refused("content:\"abc\"; depth:soon;", "variable");
	refused("content:\"abc\"; depth:70000;", "no number");
	refused("content:!\"abc\"; offset:2; fast_pattern;", "negated");
	refused("content:\"abc\"; fast_pattern; content:\"d\"; fast_pattern;", "stands twice");
	refused("content:\"abc\"; fast_pattern:only; offset:2;", "only");
	refused("content:\"abc\"; fast_pattern:1,3;", "beyond");
	refused("content:\"a\"b\";", "double quote");
	refused("content:\"a\\n\";", "backslash");
	refused("content:\"|0g|\";", "no hex digit");
	refused("content:\"|00\";", "not closed");
	refused("dsize:2; content:\"abc\";", "can never match");
}

static void fast_pattern_is_remembered(void **state)
{
	(void)state;
	const struct signature *sig = options("content:\"a\"; content:\"bcdef\"; fast_pattern:1,3; content:\"g\";");
	assert_int_equal(sig->fast_buffer, 0);
	assert_int_equal(sig->fast_match, 1);
	assert_int_equal(content(sig, 0, 1)->chop_offset, 1);
	assert_int_equal(content(sig, 0, 1)->chop_length, 3);
}

static void expressions_are_compiled(void **state)
{
	(void)state;
	const struct signature *sig = options("content:\"a\"; pcre:\"/^x\\/(y|z)\\;/iR\"; pcre:!\"/(.)\\1/\";");
	const struct match *m = &sig->buffers[0].matches[1];
	assert_int_equal(m->type, MATCH_PCRE);
	assert_string_equal(m->pcre.pattern, "^x\\/(y|z)\\;");
	assert_true(m->pcre.relative);
	assert_true(m->pcre.options & PCRE2_CASELESS);
	assert_true(m->pcre.options & PCRE2_NO_AUTO_CAPTURE);
	/* a back reference needs its group */
	assert_true(sig->buffers[0].matches[2].pcre.negated);
	assert_false(sig->buffers[0].matches[2].pcre.options & PCRE2_NO_AUTO_CAPTURE);
}

static void captures_are_named(void **state)
{
	(void)state;
	const struct signature *sig = options("pcre:\"/user=(\\w+)&id=(\\d+)/, flow:user, pkt:id\";");
	const struct match_pcre *p = &sig->buffers[0].matches[0].pcre;
	assert_int_equal(p->capture_count, 2);
	assert_int_equal(p->captures[0].scope, CAPTURE_FLOW);
	assert_string_equal(t.parsed.names[NAME_FLOWVAR][p->captures[0].name], "user");
	assert_int_equal(p->captures[1].scope, CAPTURE_PACKET);
	assert_int_equal(p->captures[1].group, 2);
}

static void wrong_expressions_are_refused(void **state)
{
	(void)state;
	refused("pcre:\"/(a/\";", "wrong at its character");
	refused("pcre:\"abc\";", "slashes");
	refused("pcre:\"/abc\";", "closing slash");
	refused("pcre:\"/abc/q\";", "unknown modifier");
	refused("pcre:\"/abc/R\";", "there is none");
	refused("pcre:\"/abc/, flow:x\";", "more names than groups");
}

static void equal_expressions_share_their_code(void **state)
{
	(void)state;
	add("alert tcp any any -> any any (pcre:\"/a+b/\"; sid:1;)\n"
	    "alert tcp any any -> any any (pcre:\"/a+b/\"; sid:2;)\n"
	    "alert tcp any any -> any any (pcre:\"/a+b/i\"; sid:3;)\n");
	sigs_builder_take(t.builder, &t.parsed);
	const pcre2_code *code[3];
	for (int i = 0; i < 3; i++)
		code[i] = t.parsed.signatures[i]->buffers[0].matches[0].pcre.code;
	assert_ptr_equal(code[0], code[1]);
	assert_ptr_not_equal(code[0], code[2]);
}

/* --- bytes ---------------------------------------------------------------------------------------------------------------- */

static void byte_keywords_are_read(void **state)
{
	(void)state;
	const struct signature *sig = options(
		"content:\"x\"; byte_extract:2,1,length,relative,little; byte_test:4,!>,length,-8,relative,bitmask "
		"0x00ff00; "
		"byte_jump:0,0,string,hex,multiplier 2,post_offset -1,from_beginning; "
		"byte_math:bytes 2,offset 0,oper <<,rvalue 3,result sum,endian little; content:\"y\"; offset:sum;");
	const struct match *m = sig->buffers[0].matches;
	assert_int_equal(m[1].type, MATCH_BYTE_EXTRACT);
	assert_true(m[1].bytes.little_endian);
	assert_int_equal(m[2].bytes.value_var, m[1].bytes.result_var);
	assert_true(m[2].bytes.negated);
	assert_int_equal(m[2].bytes.test, BYTE_OP_GT);
	assert_int_equal(m[2].bytes.offset, -8);
	assert_int_equal(m[2].bytes.bitmask_shift, 8);
	assert_int_equal(m[3].bytes.base, BYTES_HEX);
	assert_int_equal(m[3].bytes.multiplier, 2);
	assert_int_equal(m[3].bytes.post_offset, -1);
	assert_true(m[3].bytes.from_beginning);
	assert_int_equal(m[4].bytes.math, BYTE_MATH_SHL);
	assert_int_equal(m[5].content.offset_var, m[4].bytes.result_var);
	assert_int_equal(sig->var_count, 2);
}

static void wrong_bytes_are_refused(void **state)
{
	(void)state;
	refused("byte_test:4,>,1;", "takes BYTES");
	refused("byte_test:9,>,1,0;", "too many");
	refused("byte_test:4,~,1,0;", "no operator");
	refused("byte_test:4,>,unknown,0;", "not known");
	refused("byte_test:4,>,1,0,hex;", "string");
	refused("byte_jump:4,0,from_end,from_beginning;", "cannot stand with");
	refused("byte_extract:4,0,1x;", "letter");
	refused("byte_extract:4,0,x,align 3;", "align");
	refused("byte_math:bytes 4,offset 0,oper +,result x;", "rvalue");
	refused("byte_math:bytes 4,offset 0,oper /,rvalue 0,result x;", "zero");
	refused("isdataat:70000;", "no number");
	refused("base64_data; content:\"a\";", "base64_decode");
}

/* --- packets and flows --------------------------------------------------------------------------------------------------- */

static const struct match *packet_match(const struct signature *sig, unsigned index)
{
	assert_true(index < sig->packet_count);
	return &sig->packet[index];
}

static void header_keywords_are_read(void **state)
{
	(void)state;
	const struct signature *sig =
		options("ttl:<5; flags:S,CE; fragbits:!MD; window:!100; dsize:10<>20; seq:5; tos:!x1F; ipopts:rr;");
	assert_true(number_test_holds(&packet_match(sig, 0)->number, 4));
	assert_false(number_test_holds(&packet_match(sig, 0)->number, 5));
	assert_int_equal(packet_match(sig, 1)->number.a, 2);
	assert_int_equal(packet_match(sig, 1)->number.b, 0xc0);
	assert_int_equal(packet_match(sig, 2)->flag, 3);
	assert_int_equal(packet_match(sig, 2)->number.a, 3);
	assert_false(number_test_holds(&packet_match(sig, 3)->number, 100));
	assert_false(number_test_holds(&packet_match(sig, 4)->number, 10));
	assert_true(number_test_holds(&packet_match(sig, 4)->number, 11));
	assert_false(number_test_holds(&packet_match(sig, 4)->number, 20));
	assert_int_equal(packet_match(sig, 6)->number.op, NUMBER_NE);
	assert_int_equal(packet_match(sig, 6)->number.a, 0x1f);
	assert_true(sig->flags & SIG_NEEDS_PACKET);
}

static void numbers_compare_as_they_say(void **state)
{
	(void)state;
	refused("ttl:<0;", "no value");
	refused("ttl:>255;", "no value");
	refused("ttl:256;", "no value");
	refused("dsize:5<>6;", "no value");
	refused("dsize:5x;", "no value");
	refused("flags:SX;", "no TCP flags");
	refused("fragbits:Q;", "no fragment bits");
	refused("itype:;", "needs a value");
}

static void flow_words_are_checked(void **state)
{
	(void)state;
	const struct signature *sig = options("flow:established,to_server,no_stream;");
	assert_int_equal(sig->flow, SIG_FLOW_ESTABLISHED | SIG_FLOW_TO_SERVER | SIG_FLOW_NO_STREAM);
	assert_true(sig->flags & SIG_NEEDS_FLOW);
	again();
	refused("flow:to_server,to_client;", "contradicts");
	refused("flow:established,not_established;", "contradicts");
	refused("flow:established; flow:to_server;", "twice");
	refused("flow:sideways;", "unknown word");
	refused("flow:only_stream; dsize:5; content:\"a\";", "single packets");
}

static void bits_and_variables_are_numbered(void **state)
{
	(void)state;
	const struct signature *sig =
		options("flowbits:isset,a|b; flowbits:set,c; flowbits:noalert; flowint:count,+,1; flowint:count,>,5; "
			"xbits:set,seen,track ip_src,expire 60; hostbits:isset,seen,dst;");
	assert_true(sig->flags & SIG_NOALERT);
	assert_int_equal(sig->packet_count, 3);
	assert_int_equal(sig->post_count, 3);
	const struct match_bits *asked = &packet_match(sig, 0)->bits, *set = &sig->post[0].bits;
	assert_int_equal(asked->name_count, 2);
	assert_string_equal(t.parsed.names[NAME_FLOWBIT][asked->names[1]], "b");
	assert_string_equal(t.parsed.names[NAME_FLOWBIT][set->names[0]], "c");
	assert_int_equal(sig->post[2].bits.expire_s, 60);
	assert_int_equal(sig->post[2].bits.scope, BITS_HOST_SRC);
	/* hostbits and xbits share their names */
	assert_int_equal(sig->post[2].bits.names[0], packet_match(sig, 2)->bits.names[0]);
	assert_int_equal(packet_match(sig, 2)->bits.scope, BITS_HOST_DST);
}

static void wrong_bits_are_refused(void **state)
{
	(void)state;
	refused("flowbits:isset;", "takes set");
	refused("flowbits:set,a b;", "no name");
	refused("flowbits:set,a|b;", "one name");
	refused("flowbits:isset,a; flowbits:isnotset,a;", "never hold");
	refused("xbits:set,a;", "track");
	refused("xbits:set,a,track ip_src,expire 0;", "unknown option");
	refused("flowint:1x,+,1;", "takes a name");
	refused("flowint:x,+;", "needs a value");
}

static void rates_are_read(void **state)
{
	(void)state;
	const struct signature *sig = options("threshold:type limit, track by_src, count 3, seconds 60;");
	assert_int_equal(sig->thresholds->type, THRESHOLD_LIMIT);
	assert_int_equal(sig->thresholds->track, TRACK_SRC);
	assert_int_equal(sig->thresholds->count, 3);
	assert_int_equal(sig->thresholds->seconds, 60);
	again();
	refused("threshold:type limit, track by_src, count 3;", "needs type");
	refused("threshold:type never, track by_src, count 3, seconds 1;", "type is");
	refused("detection_filter:track by_src, count 0, seconds 1;", "at least 1");
	refused("detection_filter:track by_src, count 1, seconds 1; threshold:type limit,track by_src,count 1,seconds "
		"1;",
		"alone");
}

static void threshold_lines_hang_on_their_rules(void **state)
{
	(void)state;
	static const char text[] =
		"# comment\n"
		"suppress gen_id 1, sig_id 1, track by_src, ip [10.0.0.0/8,!10.1.0.0/16]\n"
		"threshold gen_id 1, sig_id 0, type limit, track by_dst, \\\n count 1, seconds 5\n"
		"rate_filter gen_id 1, sig_id 2, track by_rule, count 5, seconds 2, new_action drop, timeout 30\n";
	assert_int_equal(sigs_add_thresholds(t.builder, "threshold.config", text, sizeof(text) - 1), 0);
	add("alert tcp any any -> any any (sid:1;)\nalert tcp any any -> any any (sid:2;)\n"
	    "alert tcp any any -> any any (gid:9; sid:3;)\n");
	sigs_builder_take(t.builder, &t.parsed);
	const struct threshold *first = t.parsed.signatures[0]->thresholds,
			       *second = t.parsed.signatures[1]->thresholds;
	assert_int_equal(first->type, THRESHOLD_SUPPRESS);
	assert_int_equal(first->addresses->v4_count, 2);
	assert_int_equal(first->next->type, THRESHOLD_LIMIT);
	assert_int_equal(second->type, THRESHOLD_LIMIT);
	assert_int_equal(second->next->type, THRESHOLD_RATE);
	assert_int_equal(second->next->new_action, SIGS_DROP);
	assert_int_equal(second->next->timeout_s, 30);
	assert_null(t.parsed.signatures[2]->thresholds);
}

static void wrong_threshold_lines_name_their_line(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"suppress gen_id 1\n",
		"suppress gen_id 1, sig_id 2, track by_src\n",
		"suppress gen_id 1, sig_id 2, track by_src, ip nowhere\n",
		"threshold gen_id 1, sig_id 2, type limit, track by_src, count 1\n",
		"rate_filter gen_id 1, sig_id 2, track by_src, count 1, seconds 1, new_action explode, timeout 1\n",
		"forget gen_id 1, sig_id 2\n",
	};
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char text[256];
		snprintf(text, sizeof(text), "\n# one\n%s", wrong[i]);
		assert_int_equal(sigs_add_thresholds(t.builder, "threshold.config", text, strlen(text)), -EINVAL);
		assert_int_equal(t.errors, i + 1);
		assert_int_equal(t.line, 3);
	}
}

/* --- which packets, which stream ------------------------------------------------------------------------------------------- */

static uint32_t payload_flags(const char *rule)
{
	uint32_t flags;
	again();
	flags = one(rule)->flags & (SIG_PACKET_PAYLOAD | SIG_STREAM_PAYLOAD);
	return flags;
}

static void payload_is_of_packet_or_stream(void **state)
{
	(void)state;
	assert_int_equal(payload_flags("alert tcp any any -> any any (content:\"a\"; sid:1;)"), SIG_STREAM_PAYLOAD);
	assert_int_equal(payload_flags("alert tcp any any -> any any (content:\"a\"; depth:5; sid:1;)"),
			 SIG_STREAM_PAYLOAD | SIG_PACKET_PAYLOAD);
	assert_int_equal(payload_flags("alert tcp any any -> any any (content:\"a\"; dsize:5; sid:1;)"),
			 SIG_PACKET_PAYLOAD);
	assert_int_equal(payload_flags("alert tcp-pkt any any -> any any (content:\"a\"; sid:1;)"), SIG_PACKET_PAYLOAD);
	assert_int_equal(payload_flags("alert tcp-stream any any -> any any (content:\"a\"; depth:5; sid:1;)"),
			 SIG_STREAM_PAYLOAD);
	assert_int_equal(payload_flags("alert udp any any -> any any (content:\"a\"; sid:1;)"), SIG_PACKET_PAYLOAD);
}

static uint32_t kind_flags(const char *rule)
{
	again();
	return one(rule)->flags & (SIG_IP_ONLY | SIG_LIKE_IP_ONLY | SIG_DECODE_EVENT);
}

static void addresses_alone_are_judged_once(void **state)
{
	(void)state;
	assert_int_equal(kind_flags("alert ip 1.1.1.1 any -> any any (msg:\"x\"; flowbits:set,a; sid:1;)"),
			 SIG_IP_ONLY);
	assert_int_equal(kind_flags("alert ip !1.1.1.1 any -> any any (sid:1;)"), SIG_LIKE_IP_ONLY);
	assert_int_equal(kind_flags("alert ip 1.1.1.1 any -> any any (flowbits:isset,a; sid:1;)"), 0);
	assert_int_equal(kind_flags("alert ip 1.1.1.1 any -> any any (flow:to_server; sid:1;)"), 0);
	assert_int_equal(kind_flags("alert ip 1.1.1.1 any -> any any (ttl:5; sid:1;)"), 0);
	assert_int_equal(kind_flags("alert tcp any any -> any any (content:\"a\"; sid:1;)"), 0);
	assert_int_equal(kind_flags("alert pkthdr any any -> any any (decode-event:ipv4.trunc_pkt; sid:1;)"),
			 SIG_DECODE_EVENT);
	again();
	add("alert pkthdr any any -> any any (content:\"a\"; sid:1;)");
	assert_int_equal(t.errors, 1);
}

/* --- application layers --------------------------------------------------------------------------------------------------- */

static void buffers_come_from_their_protocols(void **state)
{
	(void)state;
	const struct signature *sig =
		one("alert tcp any any -> any any (http.uri; content:\"/a\"; http.method; content:\"GET\"; "
		    "http.uri; content:\"b\"; distance:0; sid:1;)");
	assert_int_equal(sig->buffer_count, 2);
	assert_string_equal(sig->buffers[0].ref->name, "http.uri");
	assert_int_equal(sig->buffers[0].match_count, 2);
	assert_non_null(sig->buffers[0].ref->app[APP_HTTP][TO_SERVER]);
	assert_null(sig->buffers[0].ref->app[APP_HTTP][TO_CLIENT]);
	assert_int_equal(sig->app_mask, 1u << APP_HTTP);
	assert_int_equal(sig->app, APP_HTTP);
	assert_true(sig->flags & SIG_APP_INSPECT);
	/* buffers of requests alone */
	assert_int_equal(sig->flow, SIG_FLOW_TO_SERVER);
}

static void old_modifiers_move_their_content(void **state)
{
	(void)state;
	const struct signature *sig =
		one("alert http any any -> any any (content:\"/a\"; http_uri; nocase; content:\"x\"; "
		    "content:\"GET\"; http_method; pcre:\"/b/U\"; sid:1;)");
	assert_int_equal(sig->buffer_count, 3);
	assert_int_equal(sig->proto, SIG_APP);
	unsigned uri = 99;
	for (unsigned i = 0; i < sig->buffer_count; i++)
		if (strcmp(sig->buffers[i].ref->name, "http.uri") == 0)
			uri = i;
	assert_int_not_equal(uri, 99);
	assert_int_equal(sig->buffers[uri].match_count, 2);
	assert_true(content(sig, uri, 0)->flags & CONTENT_NOCASE);
	assert_int_equal(sig->buffers[uri].matches[1].type, MATCH_PCRE);
}

static void transforms_make_buffers_of_their_own(void **state)
{
	(void)state;
	const struct signature *sig = one("alert http any any -> any any (http.host; dotprefix; to_md5; content:\"a\"; "
					  "http.host; content:\"b\"; sid:1;)");
	assert_int_equal(sig->buffer_count, 2);
	assert_int_equal(sig->buffers[0].ref->transform_count, 2);
	assert_int_equal(sig->buffers[0].ref->transforms[1].type, TRANSFORM_TO_MD5);
	assert_int_equal(sig->buffers[1].ref->transform_count, 0);
	assert_int_not_equal(sig->buffers[0].ref->id, sig->buffers[1].ref->id);
}

static void misused_buffers_are_refused(void **state)
{
	(void)state;
	refused("http.uri;", "no match follows");
	refused("http.uri; http.method; content:\"a\";", "no match follows");
	refused("http.uri; to_md5;", "no match follows");
	refused("to_md5; content:\"a\";", "sticky buffer");
	refused("http.uri; content:\"a\"; http_uri;", "sticky buffer");
	refused("http_uri;", "content before it");
	refused("http.uri; content:\"a\"; http.stat_code; content:\"200\";", "both directions");
	refused("flow:to_client; http.uri; content:\"a\";", "to the client");
	refused("dsize:5; http.uri; content:\"a\";", "single packets");
	refused("bsize:5;", "sticky buffer");
	refused("http.uri; bsize:2; content:\"abc\";", "can never match");
	refused("http.uri; content:\"a\"; absent;", "first");
}

static void base64_is_a_buffer_of_a_buffer(void **state)
{
	(void)state;
	const struct signature *sig =
		one("alert http any any -> any any (http.uri; content:\"d=\"; base64_decode:bytes 12,offset 1,"
		    "relative; base64_data; content:\"secret\"; sid:1;)");
	assert_int_equal(sig->buffer_count, 2);
	assert_int_equal(sig->buffers[1].ref->kind, BUFFER_BASE64);
	assert_int_equal(sig->buffers[1].base64_of, 0);
	assert_int_equal(sig->buffers[0].matches[1].base64.bytes, 12);
	assert_true(sig->buffers[0].matches[1].base64.relative);
}

static void on_waiting(void *user, const char *file, unsigned line, uint32_t sid, const char *what)
{
	(void)file;
	snprintf(user, 200, "%u %u %s", line, sid, what);
}

static void what_is_not_here_waits(void **state)
{
	(void)state;
	char waiting[200] = "";
	add("\nalert smb any any -> any any (smb.share; content:\"IPC\"; nocase; sid:8;)\n");
	assert_int_equal(t.errors, 0);
	struct sigs_counts counts = sigs_builder_counts(t.builder);
	assert_int_equal(counts.waiting, 1);
	assert_int_equal(counts.loaded, 0);
	sigs_builder_waiting(t.builder, on_waiting, waiting);
	assert_string_equal(waiting, "2 8 protocol smb");
	/* it waits only when the rest of it is right */
	add("alert smb any any -> any any (smb.share; content:\"IPC\"; depth:1; sid:9;)\n");
	assert_int_equal(t.errors, 1);
	assert_int_equal(sigs_builder_counts(t.builder).waiting, 1);
}

static const struct number_test *value_test(const char *option)
{
	char rule[256];
	again();
	snprintf(rule, sizeof(rule), "alert tls any any -> any any (%s; sid:1;)", option);
	const struct signature *sig = one(rule);
	assert_int_equal(sig->tx_count, 1);
	assert_int_equal(sig->tx[0].type, MATCH_APP_VALUE);
	return &sig->tx[0].value.test;
}

static void values_go_by_name_bits_and_dates(void **state)
{
	(void)state;
	assert_true(number_test_holds(value_test("tls.version:\"1.2\""), 0x0303));
	assert_false(number_test_holds(value_test("tls.version:!1.2"), 0x0303));
	/* several names that are bits: any of them */
	assert_true(number_test_holds(value_test("ssl_version:tls1.0,tls1.1"), 8));
	assert_false(number_test_holds(value_test("ssl_version:tls1.0,tls1.1"), 16));
	assert_true(number_test_holds(value_test("ssl_version:!tls1.3,tls1.2"), 4));
	assert_false(number_test_holds(value_test("ssl_version:!tls1.3,tls1.2"), 32));
	assert_true(number_test_holds(value_test("tls_cert_notafter:<2016-09-20"), 1474329600));
	assert_false(number_test_holds(value_test("tls_cert_notafter:<2016-09-20"), 1474329601));
	assert_true(number_test_holds(value_test("tls_cert_notbefore:2016-09-20T00:00:00<>2016-10"), 1475280000));
	assert_true(number_test_holds(value_test("tls_cert_expired"), 1));
	again();
	refused("ssl_version:tls9;", "no value");
	refused("ssl_version:tls1.0,tls1.0;", "twice");
	refused("tls_cert_notafter:soon;", "date");
}

static void hooks_give_direction_and_progress(void **state)
{
	(void)state;
	const struct signature *sig = one("alert http:response_complete any any -> any any (sid:1;)");
	assert_true(sig->flags & SIG_HOOKED);
	assert_int_equal(sig->hook_dir, TO_CLIENT);
	assert_int_equal(sig->hook, app_proto_by_name("http")->complete[TO_CLIENT]);
	assert_int_equal(sig->flow, SIG_FLOW_TO_CLIENT);
	again();
	add("alert http:nowhere any any -> any any (sid:1;)");
	assert_int_equal(t.errors, 1);
}

static void both_sides_of_a_transaction(void **state)
{
	(void)state;
	const struct signature *sig = one(
		"alert http any any => any any (http.uri; content:\"/a\"; http.stat_code; content:\"200\"; sid:1;)");
	assert_true(sig->flags & SIG_TRANSACTIONAL_BIDIR);
	assert_int_equal(sig->flow & (SIG_FLOW_TO_SERVER | SIG_FLOW_TO_CLIENT), 0);
	again();
	add("alert http any any => any any (http.uri; content:\"/a\"; sid:1;)");
	assert_int_equal(t.errors, 1);
	add("alert http any any => any any (flow:to_server; http.uri; content:\"/a\"; http.stat_code; content:\"200\"; "
	    "sid:2;)");
	assert_int_equal(t.errors, 2);
}

/* --- what rules are about ----------------------------------------------------------------------------------------------- */

static void classes_references_and_metadata(void **state)
{
	(void)state;
	static const char classes[] =
		"config classification: attempted-admin,Attempted Administrator Privilege Gain,1\n";
	static const char references[] = "config reference: cve http://cve.example/?name=\n";
	assert_int_equal(sigs_add_classifications(t.builder, "c", classes, sizeof(classes) - 1), 0);
	assert_int_equal(sigs_add_references(t.builder, "r", references, sizeof(references) - 1), 0);
	const struct signature *sig =
		options("classtype:attempted-admin; reference:cve,2021-44228; reference:url,example.com/x; "
			"metadata:created_at 2021_12_10, jsig_outcome infection, jsig_block always, tag a b; "
			"target:dest_ip;");
	assert_int_equal(sig->info.priority, 1);
	assert_string_equal(sig->info.category, "Attempted Administrator Privilege Gain");
	assert_string_equal(sig->info.references[0], "http://cve.example/?name=2021-44228");
	assert_string_equal(sig->info.references[1], "http://example.com/x");
	assert_int_equal(sig->info.metadata_count, 4);
	assert_string_equal(sig->info.metadata[3].key, "tag");
	assert_string_equal(sig->info.metadata[3].value, "a b");
	assert_int_equal(sig->info.outcome, SIGS_OUTCOME_INFECTION);
	assert_int_equal(sig->info.block, SIGS_BLOCK_ALWAYS);
	assert_int_equal(sig->info.target, 2);
	again();
	refused("metadata:jsig_outcome maybe;", "jsig_outcome is");
	refused("metadata:jsig_colour red;", "unknown metadata key");
	refused("target:me;", "target is");
}

static void unknown_classes_are_told_once(void **state)
{
	(void)state;
	add("alert tcp any any -> any any (classtype:nobody-knows; sid:1;)\n"
	    "alert tcp any any -> any any (classtype:nobody-knows; sid:2;)\n");
	assert_int_equal(t.warnings, 1);
	assert_int_equal(sigs_builder_counts(t.builder).loaded, 2);
}

static void sets_are_read_from_files(void **state)
{
	(void)state;
	t.list_text = "900150983cd24fb0d6963f7d28e17f72\n";
	const struct signature *sig =
		one("alert http any any -> any any (http.uri; to_md5; dataset:isset,bad,type md5,load list; sid:1;)");
	const struct match *m = &sig->buffers[0].matches[0];
	assert_int_equal(m->dataset.op, DATASET_ISSET);
	assert_string_equal(m->dataset.set->name, "bad");
	assert_int_equal(m->dataset.set->type, DATASET_MD5);
	again();
	t.list_text = "not a hash\n";
	refused("http.uri; dataset:isset,other,type md5,load list;", "line 1");
	refused("http.uri; dataset:isset,third,type md5,load nowhere;", "cannot read");
	refused("dataset:isset,fourth,type md5,load list;", "sticky buffer");
	refused("http.uri; dataset:isset,fifth;", "not known yet");
}

static void count_keyword(void *user, const char *name, const char *help)
{
	unsigned *count = user;
	assert_non_null(name);
	assert_true(strlen(help) > 0);
	++*count;
}

static void keywords_can_be_listed(void **state)
{
	(void)state;
	unsigned count = 0;
	sigs_keywords(count_keyword, &count);
	assert_true(count > 300);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		T(header_is_read),
		T(defaults_hold),
		T(same_both_ways_is_one_way),
		T(actions_and_scopes),
		T(lines_continue_and_comments_are_left_out),
		T(diagnostics_name_line_sid_and_option),
		T(broken_frames_are_refused),
		T(higher_revision_wins),
		T(requirements_are_weighed),
		T(patterns_are_decoded),
		T(places_are_read),
		T(nothing_after_it_is_its_end),
		T(contradicting_modifiers_are_refused),
		T(fast_pattern_is_remembered),
		T(expressions_are_compiled),
		T(captures_are_named),
		T(wrong_expressions_are_refused),
		T(equal_expressions_share_their_code),
		T(byte_keywords_are_read),
		T(wrong_bytes_are_refused),
		T(header_keywords_are_read),
		T(numbers_compare_as_they_say),
		T(flow_words_are_checked),
		T(bits_and_variables_are_numbered),
		T(wrong_bits_are_refused),
		T(rates_are_read),
		T(threshold_lines_hang_on_their_rules),
		T(wrong_threshold_lines_name_their_line),
		T(payload_is_of_packet_or_stream),
		T(addresses_alone_are_judged_once),
		T(buffers_come_from_their_protocols),
		T(old_modifiers_move_their_content),
		T(transforms_make_buffers_of_their_own),
		T(misused_buffers_are_refused),
		T(base64_is_a_buffer_of_a_buffer),
		T(what_is_not_here_waits),
		T(values_go_by_name_bits_and_dates),
		T(hooks_give_direction_and_progress),
		T(both_sides_of_a_transaction),
		T(classes_references_and_metadata),
		T(unknown_classes_are_told_once),
		T(sets_are_read_from_files),
		T(keywords_can_be_listed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
