/* SPDX-License-Identifier: BSD-3-Clause */
/* What the rules that come with the program say of the events that a SOC sees. */
#include "soc_events.h"

struct office {
	struct events *events;
	struct assets *assets;
	struct triage_rules *rules;
	struct decision decision;
};

static int move_in(void **state)
{
	static struct office office;
	office = (struct office){.events = events_new(), .assets = assets_new(), .rules = triage_rules_default()};
	assert_non_null(office.rules);
	asset_new(office.assets, "203.0.113.0/24", "public", 2, NULL);
	asset_new(office.assets, "203.0.113.80", "web", 3, "CVE-2021-44228");
	asset_new(office.assets, "203.0.113.25", "mail", 4, NULL);
	asset_new(office.assets, "10.0.0.250", "scanner", 1, NULL);
	asset_new(office.assets, "10.0.0.10", "server", 5, NULL);
	*state = &office;
	return 0;
}

static int move_out(void **state)
{
	struct office *office = *state;
	events_free(office->events);
	assets_free(office->assets);
	triage_rules_free(office->rules);
	return 0;
}

static const struct decision *judge(struct office *office, const struct event *event)
{
	triage_decide(office->rules, event, office->assets, &office->decision);
	return &office->decision;
}

static void expect(struct office *office, struct said said, const char *rule, enum severity severity)
{
	const struct decision *decision = judge(office, hear(office->events, &said));
	assert_string_equal(decision->rule, rule);
	assert_int_equal(decision->severity, severity);
	if (severity != SEVERITY_NONE) {
		assert_non_null(decision->title_en);
		assert_non_null(decision->why_ja);
		assert_true(decision->key_count > 0);
	}
}

static struct event *worm(struct office *office, enum verdict verdict, unsigned targets)
{
	struct event *event = NULL;
	for (unsigned i = 1; i <= targets; i++) {
		char target[32];
		snprintf(target, sizeof(target), "10.0.%u.%u", 1 + i / 250, 1 + i % 250);
		event = hear(office->events,
			     &(struct said){ADMIN, "10.0.0.5", target, .port = 445, .verdict = verdict});
	}
	return event;
}

static void outbreak_is_an_emergency(void **state)
{
	struct office *office = *state;
	assert_string_equal(judge(office, worm(office, VERDICT_PASSED, 9))->rule, "attack-from-inside");
	const struct decision *decision = judge(office, worm(office, VERDICT_PASSED, 300));
	assert_string_equal(decision->rule, "outbreak");
	assert_int_equal(decision->severity, SEVERITY_EMERGENCY);
	assert_int_equal(decision->stage, STAGE_SPREAD);
	assert_true(decision->about_source);
	assert_true(decision->hits_targets);
	assert_string_equal(decision->keys[0], "host:10.0.0.5");
	assert_string_equal(decision->lookups[0], "hit:10.0.0.5");
	assert_int_equal(decision->notify_within, 15 * 60 * SECOND_US);
}

static void outbreak_that_is_held_is_critical(void **state)
{
	struct office *office = *state;
	const struct decision *decision = judge(office, worm(office, VERDICT_BLOCKED, 300));
	assert_string_equal(decision->rule, "outbreak-held");
	assert_int_equal(decision->severity, SEVERITY_CRITICAL);
}

static void unknown_verdict_counts_as_passed(void **state)
{
	struct office *office = *state;
	struct said said = {ADMIN, "198.51.100.7", "203.0.113.9", .verdict = VERDICT_BLOCKED};
	struct event *event = hear(office->events, &said);
	event->verdicts[VERDICT_BLOCKED]--;
	event->verdicts[VERDICT_UNKNOWN]++;
	assert_string_equal(judge(office, event)->rule, "attempt");
}

static void success_that_passed_is_an_emergency(void **state)
{
	struct office *office = *state;
	expect(office, (struct said){WEB, "198.51.100.7", "203.0.113.80", .outcome = OUTCOME_SUCCESS}, "success",
	       SEVERITY_EMERGENCY);
	assert_string_equal(office->decision.keys[0], "host:203.0.113.80");
	assert_string_equal(office->decision.keys[1], "from:198.51.100.7");
	expect(office,
	       (struct said){WEB, "198.51.100.8", "203.0.113.80", .outcome = OUTCOME_SUCCESS,
			     .verdict = VERDICT_BLOCKED},
	       "success-blocked", SEVERITY_WARNING);
}

static void only_hosts_that_it_befell_are_keys(void **state)
{
	struct office *office = *state;
	hear(office->events, &(struct said){WEB, "198.51.100.7", "203.0.113.81", .outcome = OUTCOME_ATTEMPT,
					    .verdict = VERDICT_BLOCKED});
	expect(office, (struct said){WEB, "198.51.100.7", "203.0.113.80", .outcome = OUTCOME_SUCCESS}, "success",
	       SEVERITY_EMERGENCY);
	assert_string_equal(office->decision.keys[0], "host:203.0.113.80");
	assert_string_equal(office->decision.keys[1], "from:198.51.100.7");
	assert_int_equal(office->decision.key_count, 2);
}

static void callbacks(void **state)
{
	struct office *office = *state;
	expect(office, (struct said){C2, "10.0.0.7", "198.51.100.99", .port = 443}, "callback", SEVERITY_CRITICAL);
	expect(office, (struct said){TROJAN, "10.0.0.10", "198.51.100.99", .port = 443}, "callback-important",
	       SEVERITY_EMERGENCY);
	expect(office, (struct said){TROJAN, "10.0.0.8", "198.51.100.99", .verdict = VERDICT_BLOCKED},
	       "callback-blocked", SEVERITY_CRITICAL);
	/* the resolver is inside: the look-up alone tells */
	expect(office, (struct said){"Domain Observed Used for C2 Detected", "10.0.0.9", "10.0.0.53", .port = 53},
	       "callback-lookup", SEVERITY_CRITICAL);
	/* a trojan that comes with a download is no call-back yet */
	expect(office, (struct said){TROJAN, "10.0.0.6", "198.51.100.3", .outcome = OUTCOME_ATTEMPT}, "download",
	       SEVERITY_WARNING);
}

static void attempts_weigh_by_exposure(void **state)
{
	struct office *office = *state;
	const char *message = "EXPLOIT log4j in a header (CVE_2021_44228)";
	expect(office, (struct said){ADMIN, "198.51.100.7", "203.0.113.80", message}, "attempt-exposed",
	       SEVERITY_CRITICAL);
	expect(office, (struct said){ADMIN, "198.51.100.8", "203.0.113.9", message}, "attempt", SEVERITY_WARNING);
	expect(office, (struct said){ADMIN, "198.51.100.9", "203.0.113.80", "EXPLOIT CVE-2021-442280"}, "attempt",
	       SEVERITY_WARNING);
	expect(office, (struct said){ADMIN, "198.51.100.10", "203.0.113.80", message, .verdict = VERDICT_BLOCKED},
	       "attempt-blocked", SEVERITY_INFORMATIONAL);
	assert_string_equal(office->decision.keys[0], "rule:attempt-blocked:2026-11-24");
}

static void scans(void **state)
{
	struct office *office = *state;
	expect(office, (struct said){SCAN, "198.51.100.7", "203.0.113.80"}, "scan-outside", SEVERITY_INFORMATIONAL);
	expect(office, (struct said){SCAN, "10.0.0.7", "10.0.0.8"}, "scan-inside", SEVERITY_WARNING);
	expect(office, (struct said){SCAN, "10.0.0.250", "10.0.0.8"}, "own-scanner", SEVERITY_NONE);
}

static void mail_and_downloads(void **state)
{
	struct office *office = *state;
	expect(office, (struct said){SUSFILE, "198.51.100.7", "203.0.113.25", .port = 25}, "mail-delivered",
	       SEVERITY_WARNING);
	assert_int_equal(office->decision.stage, STAGE_DELIVERY);
	expect(office, (struct said){SUSFILE, "10.0.0.7", "203.0.113.25", .port = 143}, "mail-fetched",
	       SEVERITY_WARNING);
	assert_string_equal(office->decision.keys[0], "host:10.0.0.7");
	expect(office, (struct said){SUSFILE, "10.0.0.8", "198.51.100.7"}, "download", SEVERITY_WARNING);
	expect(office, (struct said){SUSFILE, "198.51.100.8", "203.0.113.25", .port = 25, .verdict = VERDICT_BLOCKED},
	       "mail-blocked", SEVERITY_INFORMATIONAL);
}

static void policy_and_background(void **state)
{
	struct office *office = *state;
	expect(office, (struct said){POLICY, "10.0.0.7", "198.51.100.7"}, "policy", SEVERITY_INFORMATIONAL);
	expect(office, (struct said){MISC, "198.51.100.7", "203.0.113.80"}, "noise", SEVERITY_NONE);
	expect(office, (struct said){"Something new", "198.51.100.7", "203.0.113.80"}, "other", SEVERITY_INFORMATIONAL);
	expect(office, (struct said){"Something new", "10.0.0.7", "203.0.113.80", .severity = SEVERITY_CRITICAL},
	       "other-serious", SEVERITY_WARNING);
}

static void an_event_that_worsens_is_judged_worse(void **state)
{
	struct office *office = *state;
	struct said said = {WEB, "198.51.100.7", "203.0.113.81", .verdict = VERDICT_BLOCKED};
	expect(office, said, "attempt-blocked", SEVERITY_INFORMATIONAL);
	said.verdict = VERDICT_PASSED;
	expect(office, said, "attempt", SEVERITY_WARNING);
	said.outcome = OUTCOME_SUCCESS;
	expect(office, said, "success", SEVERITY_EMERGENCY);
}

int main(void)
{
#define OFFICE(test) cmocka_unit_test_setup_teardown(test, move_in, move_out)
	const struct CMUnitTest tests[] = {
		OFFICE(outbreak_is_an_emergency),
		OFFICE(outbreak_that_is_held_is_critical),
		OFFICE(unknown_verdict_counts_as_passed),
		OFFICE(success_that_passed_is_an_emergency),
		OFFICE(only_hosts_that_it_befell_are_keys),
		OFFICE(callbacks),
		OFFICE(attempts_weigh_by_exposure),
		OFFICE(scans),
		OFFICE(mail_and_downloads),
		OFFICE(policy_and_background),
		OFFICE(an_event_that_worsens_is_judged_worse),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
