/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules of triage as people write them, well and badly. */
#include <stdlib.h>

#include "soc_events.h"

#define TEXTS " title: {en: T, ja: T}, why: {en: W, ja: W}"

static struct triage_rules *read_rules(const char *text, char *error)
{
	return triage_rules_read(text, strlen(text), "r.yaml", error);
}

static void refused(const char *text, const char *message)
{
	char error[TRIAGE_ERROR_MAX];
	struct triage_rules *rules = read_rules(text, error);
	if (rules)
		print_error("should be refused: %s\n", text);
	assert_null(rules);
	assert_string_equal(error, message);
}

static struct triage_rules *accepted(const char *text)
{
	char error[TRIAGE_ERROR_MAX];
	struct triage_rules *rules = read_rules(text, error);
	if (!rules)
		print_error("%s\n", error);
	assert_non_null(rules);
	assert_string_equal(error, "");
	return rules;
}

static void mistakes_are_named_with_their_line(void **state)
{
	(void)state;
	refused("", "r.yaml:1: there are no rules");
	refused("- a\n", "r.yaml:1: the file must be a mapping");
	refused("version: x\n", "r.yaml:1: version must be a number");
	refused("rules: [{id: a, severity: none}]\n", "r.yaml:1: version is missing");
	refused("version: 1\n", "r.yaml:1: rules are missing");
	refused("version: 1\n\nrules:\n- id: a\n  severty: none\n", "r.yaml:5: a rule has no severty");
	refused("version: 1\nrules:\n- id: a\n  id: b\n", "r.yaml:4: id is given twice");
	refused("version: 1\nrules:\n- id: A b\n", "r.yaml:3: an id has small letters, digits and - only");
	refused("version: 1\nrules:\n- id: a\n- id: a\n", "r.yaml:4: rule a is given twice");
	refused("version: 1\nrules:\n- id: a\n  severity: bad\n",
		"r.yaml:4: severity must be none, informational, warning, critical or emergency");
	refused("version: 1\nrules:\n- id: a\n  severity: warning\n", "r.yaml:3: rule a needs a title and a why");
	refused("version: 1\nrules:\n- {id: a, severity: warning," TEXTS "}\n", "r.yaml:3: rule a needs keys");
	refused("version: 1\nrules:\n- id: a\n  keys: ['host:%{nobody}']\n", "r.yaml:4: unknown name %{nobody}");
	refused("version: 1\nrules:\n- id: a\n  title: {en: '%{count', ja: x}\n", "r.yaml:4: %{ without }");
	refused("version: 1\nrules:\n- id: a\n  title: {en: x}\n", "r.yaml:4: title must be given in en and ja");
	refused("version: 1\nrules:\n- id: a\n  when: {klass: x}\n", "r.yaml:4: there is no condition klass");
	refused("version: 1\nrules:\n- id: a\n  when: {}\n", "r.yaml:4: there is no condition here");
	refused("version: 1\nrules:\n- id: a\n  when: {ports: [80, 9-1]}\n",
		"r.yaml:4: ports must be a number or a range");
	refused("version: 1\nrules:\n- id: a\n  when: {duration: 10}\n",
		"r.yaml:4: duration must be a time such as 90s, 10m, 24h or 2d");
	refused("version: 1\nrules:\n- id: a\n  when: {direction: up}\n", "r.yaml:4: direction cannot be up");
	refused("version: 1\nrules: [a\n", "r.yaml:3: did not find expected ',' or ']'");
	refused("version: 1\nrules:\n- id: a\nchains:\n- id: c\n  severity: critical\n",
		"r.yaml:5: a chain needs id, severity, title and why");
	refused("version: 1\nrules:\n- id: a\nchains:\n- {id: c, severity: critical, stages: [attempt], passed: "
		"[spread]," TEXTS "}\n",
		"r.yaml:5: chain c needs stages (of which some passed) or infected");
	refused("version: 1\n---\nversion: 2\n", "r.yaml:2: a second document");
}

static void size_and_nesting_are_bounded(void **state)
{
	char error[TRIAGE_ERROR_MAX], *text = malloc(400000);
	(void)state;
	memset(text, '#', 300000);
	assert_null(triage_rules_read(text, 300000, "r.yaml", error));
	assert_string_equal(error, "r.yaml:1: the file is larger than 262144 bytes");
	memset(text, '[', 100000);
	assert_null(triage_rules_read(text, 100000, "r.yaml", error));
	assert_string_equal(error, "r.yaml:1: nested too deeply");
	free(text);
	refused("version: 1\nrules:\n- id: a\n"
		"  when: {not: {not: {not: {not: {not: {count: 1}}}}}}\n",
		"r.yaml:4: any and not are nested more than 4 deep");
	/* each alias stands for all that it names */
	refused("version: 1\nlists: &a [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]\n"
		"rules:\n- id: a\n  when: &b {any: [*b, *b]}\n",
		"r.yaml:5: any and not are nested more than 4 deep");
}

static void aliases_cannot_swell(void **state)
{
	char error[TRIAGE_ERROR_MAX], *text = NULL;
	size_t len;
	(void)state;
	FILE *out = open_memstream(&text, &len);
	fputs("version: 1\nlists:\n- &a {ports: [1", out);
	for (int i = 0; i < 900; i++)
		fputs(",1", out);
	fputs("]}\nrules:\n- id: x\n  when: {any: [*a", out);
	for (int i = 0; i < 30; i++)
		fputs(",*a", out);
	fputs("]}\n", out);
	fclose(out);
	assert_null(triage_rules_read(text, len, "r.yaml", error));
	assert_non_null(strstr(error, "more than 16384 values of conditions in all rules"));
	free(text);
}

static void version_tells_the_text(void **state)
{
	(void)state;
	struct triage_rules *a = accepted("version: 7\nrules: [{id: a, severity: none}]\n");
	struct triage_rules *b = accepted("version: 7\nrules: [{id: a, severity: none}] #\n");
	assert_memory_equal(triage_rules_version(a), "7 (sha256 ", 10);
	assert_int_equal(strlen(triage_rules_version(a)), 19);
	assert_string_not_equal(triage_rules_version(a), triage_rules_version(b));
	triage_rules_free(a);
	triage_rules_free(b);
}

/* Does this condition hold for an event of 3 records from 10.0.0.5 to two web servers outside, one blocked? */
static bool holds(const char *when)
{
	struct events *events = events_new();
	struct assets *assets = assets_new();
	struct decision decision;
	char text[600];
	asset_new(assets, "10.0.0.0/24", "client", 2, NULL);
	asset_new(assets, "198.51.100.8", "outside", 0, NULL);
	hear(events,
	     &(struct said){WEB, "10.0.0.5", "198.51.100.7", "WEB one", .port = 80, .outcome = OUTCOME_ATTEMPT});
	hear(events, &(struct said){WEB, "10.0.0.5", "198.51.100.7", "WEB one", .port = 80, .at = 30,
				    .severity = SEVERITY_CRITICAL});
	struct event *event =
		hear(events, &(struct said){WEB, "10.0.0.5", "198.51.100.8", "WEB one", .port = 8080, .at = 90,
					    .outcome = OUTCOME_SUCCESS, .verdict = VERDICT_BLOCKED});
	snprintf(text, sizeof(text),
		 "version: 1\nrules:\n- {id: yes, when: {%s}, severity: warning, keys: ['sid:%%{signature}']," TEXTS
		 "}\n",
		 when);
	struct triage_rules *rules = accepted(text);
	triage_decide(rules, event, assets, &decision);
	assert_string_equal(decision.severity ? decision.keys[0] : "sid:9000001", "sid:9000001");
	triage_rules_free(rules);
	assets_free(assets);
	events_free(events);
	return decision.severity == SEVERITY_WARNING;
}

static void every_condition(void **state)
{
	static const char *const yes[] = {
		"class: web app*",
		"class: [x, '*ATTACK']",
		"message: '*one'",
		"signature: 9000000-9000002",
		"outcome: success",
		"outcome: [infection, attempt]",
		"outcome-passed: attempt",
		"verdict: passed",
		"direction: out",
		"source: inside",
		"target: outside",
		"source-role: cli*",
		"source-importance: 2",
		"source-importance: 1-2",
		"target-importance: 0",
		"exposed: false",
		"count: 3",
		"count: 2-3",
		"targets: 2",
		"ports: [1, 8000-9000]",
		"port-count: 2",
		"duration: 90s",
		"severity: critical",
		"any: [{count: 9}, {count: 3}]",
		"not: {count: 9}",
		"not: [{count: 9}, {count: 8}]",
	};
	static const char *const no[] = {
		"class: web",
		"message: one",
		"signature: 9000000",
		"outcome: policy",
		"outcome-passed: success",
		"verdict: blocked",
		"direction: [in, lateral]",
		"source: outside",
		"target: inside",
		"source-role: server",
		"target-role: outside",
		"source-importance: 3",
		"source-importance: 0-1",
		"target-importance: 1",
		"exposed: true",
		"count: 4",
		"count: 0-2",
		"targets: 3",
		"ports: 81-8079",
		"port-count: 3",
		"duration: 2m",
		"severity: emergency",
		"any: [{count: 9}, {count: 8}]",
		"not: [{count: 9}, {count: 3}]",
		"count: 3, targets: 3",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		if (!holds(yes[i]))
			fail_msg("%s should hold", yes[i]);
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		if (holds(no[i]))
			fail_msg("%s should not hold", no[i]);
}

static void first_rule_wins(void **state)
{
	struct events *events = events_new();
	struct decision decision;
	(void)state;
	struct triage_rules *rules = accepted("version: 1\nrules:\n- {id: a, when: {count: 2}, severity: none}\n"
					      "- {id: b, when: {count: 1}, severity: none}\n");
	struct said said = {WEB, "10.0.0.5", "198.51.100.7"};
	triage_decide(rules, hear(events, &said), NULL, &decision);
	assert_string_equal(decision.rule, "b");
	triage_decide(rules, hear(events, &said), NULL, &decision);
	assert_string_equal(decision.rule, "a");
	triage_rules_free(rules);
	events_free(events);
}

static void no_rule_fits(void **state)
{
	struct events *events = events_new();
	struct decision decision;
	(void)state;
	struct triage_rules *rules = accepted("version: 1\nrules: [{id: a, when: {count: 9}, severity: none}]\n");
	triage_decide(rules, hear(events, &(struct said){WEB, "10.0.0.5", "198.51.100.7"}), NULL, &decision);
	assert_string_equal(decision.rule, "");
	assert_int_equal(decision.severity, SEVERITY_NONE);
	triage_rules_free(rules);
	events_free(events);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes_are_named_with_their_line),
		cmocka_unit_test(size_and_nesting_are_bounded),
		cmocka_unit_test(aliases_cannot_swell),
		cmocka_unit_test(version_tells_the_text),
		cmocka_unit_test(every_condition),
		cmocka_unit_test(first_rule_wins),
		cmocka_unit_test(no_rule_fits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
