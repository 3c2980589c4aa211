/* SPDX-License-Identifier: BSD-3-Clause */
#include "record.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* Where the SOC's store can hold it: to the end of year 9999. */
#define YEAR_MAX 9999

static const char *const type_names[RECORD_TYPES] = {"other",	 "alert",	"drop",	    "flow",    "http",
						     "dns",	 "tls",		"fileinfo", "anomaly", "stats",
						     "coverage", "containment", "log"};
static const char *const outcome_names[OUTCOMES] = {"unknown", "attempt", "success", "infection", "policy"};
static const char *const verdict_names[VERDICTS] = {"unknown", "passed", "blocked"};
static const char *const severity_names[SEVERITIES] = {"none", "informational", "warning", "critical", "emergency"};

static int value_of(const char *const *names, int count, const char *name)
{
	for (int i = 0; i < count; i++)
		if (strcasecmp(names[i], name) == 0)
			return i;
	return -1;
}

const char *record_type_name(enum record_type type)
{
	return (unsigned)type < RECORD_TYPES ? type_names[type] : "?";
}

const char *outcome_name(enum outcome outcome)
{
	return (unsigned)outcome < OUTCOMES ? outcome_names[outcome] : "?";
}

const char *verdict_name(enum verdict verdict)
{
	return (unsigned)verdict < VERDICTS ? verdict_names[verdict] : "?";
}

const char *severity_name(enum severity severity)
{
	return (unsigned)severity < SEVERITIES ? severity_names[severity] : "?";
}

int record_type_of(const char *name)
{
	return value_of(type_names, RECORD_TYPES, name);
}

int outcome_of(const char *name)
{
	return value_of(outcome_names, OUTCOMES, name);
}

int verdict_of(const char *name)
{
	return value_of(verdict_names, VERDICTS, name);
}

int severity_of(const char *name)
{
	return value_of(severity_names, SEVERITIES, name);
}

/* --- time -------------------------------------------------------------------------------------------------------------- */

/* `count` digits. */
static bool number(const char **text, unsigned count, int *value)
{
	*value = 0;
	for (; count > 0; count--, (*text)++) {
		if (!isdigit((unsigned char)**text))
			return false;
		*value = *value * 10 + (**text - '0');
	}
	return true;
}

static bool letter(const char **text, const char *among)
{
	return **text && strchr(among, **text) && (*text)++;
}

static bool zone(const char *text, int *seconds)
{
	int hours, minutes = 0, sign = *text == '-' ? -1 : 1;
	*seconds = 0;
	if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
		return true;
	if (!letter(&text, "+-") || !number(&text, 2, &hours))
		return false;
	letter(&text, ":");
	if ((*text && !number(&text, 2, &minutes)) || *text || hours > 23 || minutes > 59)
		return false;
	*seconds = sign * (hours * 3600 + minutes * 60);
	return true;
}

bool time_parse(const char *text, int64_t *us)
{
	struct tm tm = {0};
	int fraction = 0, offset, month;
	if (!number(&text, 4, &tm.tm_year) || !letter(&text, "-") || !number(&text, 2, &month) || !letter(&text, "-") ||
	    !number(&text, 2, &tm.tm_mday) || !letter(&text, "Tt ") || !number(&text, 2, &tm.tm_hour) ||
	    !letter(&text, ":") || !number(&text, 2, &tm.tm_min) || !letter(&text, ":") ||
	    !number(&text, 2, &tm.tm_sec))
		return false;
	if (letter(&text, ".")) {
		if (!isdigit((unsigned char)*text))
			return false;
		for (int place = 100000; isdigit((unsigned char)*text); text++, place /= 10)
			fraction += (*text - '0') * place;
	}
	if (!zone(text, &offset) || tm.tm_year < 1970 || tm.tm_year > YEAR_MAX || month < 1 || month > 12 ||
	    tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return false;
	/* a leap second is the next one */
	int leap = tm.tm_sec == 60;
	tm.tm_sec -= leap;
	tm.tm_year -= 1900;
	tm.tm_mon = month - 1;
	time_t seconds = timegm(&tm) + leap;
	if (tm.tm_mon != month - 1) /* a day that the month does not have */
		return false;
	*us = ((int64_t)seconds - offset) * 1000000 + fraction;
	return *us >= 0;
}

char *time_text(int64_t us, char *text)
{
	time_t seconds = (time_t)(us / 1000000);
	struct tm tm;
	gmtime_r(&seconds, &tm);
	size_t len = strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + len, 32 - len, ".%03dZ", (int)(us / 1000 % 1000));
	return text;
}

/* --- fields of a line -------------------------------------------------------------------------------------------------- */

/* NULL where it is no text. */
static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* Cut between characters: what is stored stays valid UTF-8. */
static void copy_text(char *to, size_t size, const char *text)
{
	size_t len = text ? strlen(text) : 0;
	if (len >= size) {
		len = size - 1;
		while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	}
	memcpy(to, text ? text : "", len);
	to[len] = '\0';
}

static uint64_t number_of(const json_t *object, const char *key, uint64_t max)
{
	const json_t *value = json_object_get(object, key);
	json_int_t n = json_integer_value(value);
	return json_is_integer(value) && n > 0 && (uint64_t)n <= max ? (uint64_t)n : 0;
}

static int named(const json_t *object, const char *key, int (*of)(const char *))
{
	const char *name = text_of(object, key);
	int value = name ? of(name) : -1;
	return value < 0 ? 0 : value;
}

static uint8_t protocol_of(const char *name)
{
	static const struct {
		const char *name;
		uint8_t number;
	} names[] = {{"TCP", IPPROTO_TCP},	    {"UDP", IPPROTO_UDP},	{"ICMP", IPPROTO_ICMP},
		     {"IPv6-ICMP", IPPROTO_ICMPV6}, {"ICMPv6", IPPROTO_ICMPV6}, {"SCTP", IPPROTO_SCTP},
		     {"GRE", IPPROTO_GRE},	    {"ESP", IPPROTO_ESP},	{"AH", IPPROTO_AH},
		     {"IGMP", IPPROTO_IGMP}};
	for (size_t i = 0; name && i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(name, names[i].name) == 0)
			return names[i].number;
	unsigned n = 0;
	return name && sscanf(name, "%3u", &n) == 1 && n < 256 ? (uint8_t)n : 0;
}

static bool same_address(const char *text, const struct address *address)
{
	struct address other;
	return text && address_parse(text, &other) && address_equal(&other, address);
}

/* The record's packet may be an answer: then its sender is not who began. */
static bool is_answer(const json_t *line, const struct record *record)
{
	const json_t *flow = json_object_get(line, "flow");
	const char *began = text_of(flow, "src_ip"), *direction = text_of(line, "direction");
	if (began && !address_equal(&record->source, &record->target))
		return !same_address(began, &record->source) && same_address(began, &record->target);
	return direction && strcmp(direction, "to_client") == 0;
}

static void read_ends(const json_t *line, struct record *record)
{
	const char *source = text_of(line, "src_ip"), *target = text_of(line, "dest_ip");
	address_parse(source ? source : "", &record->source);
	address_parse(target ? target : "", &record->target);
	record->source_port = (uint16_t)number_of(line, "src_port", UINT16_MAX);
	record->target_port = (uint16_t)number_of(line, "dest_port", UINT16_MAX);
	record->protocol = protocol_of(text_of(line, "proto"));
	if (is_answer(line, record)) {
		struct address a = record->source;
		uint16_t port = record->source_port;
		record->source = record->target;
		record->target = a;
		record->source_port = record->target_port;
		record->target_port = port;
	}
}

/* EVE's priority, 1 the worst, as classification.config gives it. */
static enum severity by_priority(uint64_t priority)
{
	return priority == 1   ? SEVERITY_CRITICAL
	       : priority == 2 ? SEVERITY_WARNING
	       : priority > 2  ? SEVERITY_INFORMATIONAL
			       : SEVERITY_NONE;
}

static void read_alert(const json_t *line, struct record *record)
{
	const json_t *alert = json_object_get(line, "alert"), *jsig = json_object_get(line, "jsig");
	const char *category = text_of(alert, "category"), *action = text_of(alert, "action");
	const char *verdict = text_of(jsig, "verdict");
	record->signature = (uint32_t)number_of(alert, "signature_id", UINT32_MAX);
	copy_text(record->message, sizeof(record->message), text_of(alert, "signature"));
	copy_text(record->class, sizeof(record->class), category && *category ? category : "Unclassified");
	record->outcome = (enum outcome)named(jsig, "outcome", outcome_of);
	record->severity = (enum severity)named(jsig, "severity", severity_of);
	if (record->severity == SEVERITY_NONE)
		record->severity = by_priority(number_of(alert, "severity", 255));
	if (verdict)
		record->verdict = strcmp(verdict, "drop") == 0 ? VERDICT_BLOCKED : VERDICT_PASSED;
	else if (action)
		record->verdict = strcmp(action, "blocked") == 0 ? VERDICT_BLOCKED : VERDICT_PASSED;
}

static void read_http(const json_t *line, struct record *record)
{
	const json_t *http = json_object_get(line, "http");
	const char *host = text_of(http, "hostname"), *url = text_of(http, "url");
	char name[2 * RECORD_MESSAGE_MAX];
	snprintf(name, sizeof(name), "%.*s%.*s", RECORD_MESSAGE_MAX, host ? host : "", RECORD_MESSAGE_MAX,
		 url ? url : "");
	copy_text(record->message, sizeof(record->message), name);
}

static void read_name(const json_t *line, struct record *record)
{
	static const struct {
		enum record_type type;
		const char *object, *key;
	} names[] = {
		{RECORD_DROP, "drop", "reason"},       {RECORD_DNS, "dns", "rrname"},	     {RECORD_TLS, "tls", "sni"},
		{RECORD_FILE, "fileinfo", "filename"}, {RECORD_ANOMALY, "anomaly", "event"},
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].type == record->type)
			copy_text(record->message, sizeof(record->message),
				  text_of(json_object_get(line, names[i].object), names[i].key));
	if (record->type == RECORD_FLOW)
		copy_text(record->message, sizeof(record->message), text_of(line, "app_proto"));
}

/* A host that a sensor holds as infected. */
static void read_containment(const json_t *line, struct record *record)
{
	const json_t *held = json_object_get(line, "containment");
	const char *reason = text_of(held, "reason");
	copy_text(record->class, sizeof(record->class), "Worm containment");
	copy_text(record->message, sizeof(record->message), reason ? reason : "Host held as infected");
	record->outcome = OUTCOME_INFECTION;
	record->verdict = VERDICT_BLOCKED;
}

static int refuse(char *reason, const char *why)
{
	snprintf(reason, RECORD_REASON_MAX, "%s", why);
	return -EINVAL;
}

static int read_line(const json_t *line, struct record *record, char *reason)
{
	const char *stamp = text_of(line, "timestamp"), *type = text_of(line, "event_type");
	if (!json_is_object(line))
		return refuse(reason, "no JSON object");
	if (!stamp || !time_parse(stamp, &record->time))
		return refuse(reason, "no readable timestamp");
	if (!type)
		return refuse(reason, "no event_type");
	int number = record_type_of(type);
	record->type = number < 0 || number == RECORD_LOG ? RECORD_OTHER : (enum record_type)number;
	read_ends(line, record);
	switch (record->type) {
	case RECORD_ALERT:
		if (!json_is_object(json_object_get(line, "alert")))
			return refuse(reason, "an alert without its object");
		read_alert(line, record);
		break;
	case RECORD_DROP:
		record->verdict = VERDICT_BLOCKED;
		read_name(line, record);
		break;
	case RECORD_HTTP:
		read_http(line, record);
		break;
	case RECORD_CONTAINMENT:
		read_containment(line, record);
		break;
	default:
		read_name(line, record);
	}
	return 0;
}

int record_read_eve(const char *line, size_t len, struct record *record, char *reason)
{
	json_error_t error;
	memset(record, 0, sizeof(*record));
	reason[0] = '\0';
	json_t *json = json_loadb(line, len, JSON_ALLOW_NUL, &error);
	if (!json) {
		snprintf(reason, RECORD_REASON_MAX, "at byte %d: %.70s", error.position, error.text);
		return -EINVAL;
	}
	int rc = read_line(json, record, reason);
	json_decref(json);
	return rc;
}
