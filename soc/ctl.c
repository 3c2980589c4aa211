/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl.h"

#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"

#define ANSWER_MAX  (64u << 20)
#define ARGUMENTS   4
#define FILTERS_MAX 16

static const struct column incident_columns[] = {{"ID", "id", 6},
						 {"SEVERITY", "severity", 13},
						 {"STATE", "state", 14},
						 {"LAST", "last", 19},
						 {"RECORDS", "record_count", 8},
						 {"HOSTS", "host_count", 6},
						 {"INCIDENT", "title.en", 0},
						 {NULL, NULL, 0}};
static const struct column event_columns[] = {
	{"ID", "id", 7},	  {"INCIDENT", "incident", 8},	  {"LAST", "last", 19},	 {"COUNT", "count", 8},
	{"SOURCE", "source", 24}, {"TARGETS", "target_count", 7}, {"CLASS", "class", 0}, {NULL, NULL, 0}};
static const struct column record_columns[] = {
	{"ID", "id", 9},	  {"TIME", "time", 19},	    {"TYPE", "type", 8},       {"VERDICT", "verdict", 8},
	{"SOURCE", "source", 22}, {"TARGET", "target", 22}, {"MESSAGE", "message", 0}, {NULL, NULL, 0}};
static const struct column device_columns[] = {{"NAME", "name", 24},
					       {"CUSTOMER", "customer", 8},
					       {"REVOKED", "revoked", 7},
					       {"SILENT S", "silent_seconds", 8},
					       {"PROGRAM", "health.program", 0},
					       {NULL, NULL, 0}};
static const struct column customer_columns[] = {{"ID", "id", 6}, {"NAME", "name", 0}, {NULL, NULL, 0}};
static const struct column user_columns[] = {{"NAME", "name", 24},
					     {"ROLE", "role", 14},
					     {"CUSTOMER", "customer", 8},
					     {"DISABLED", "disabled", 0},
					     {NULL, NULL, 0}};
static const struct column audit_columns[] = {
	{"TIME", "time", 19}, {"WHO", "who", 20}, {"CUSTOMER", "customer", 8}, {"WHAT", "what", 0}, {NULL, NULL, 0}};
static const struct column asset_columns[] = {
	{"ID", "id", 6},      {"PREFIX", "prefix", 26},		{"NAME", "name", 20},
	{"ROLE", "role", 12}, {"IMPORTANCE", "importance", 10}, {"OWNER", "owner", 0},
	{NULL, NULL, 0}};

static const struct column suppression_columns[] = {
	{"ID", "id", 6},	  {"UNTIL", "until", 24}, {"SIGNATURE", "signature", 10},
	{"SOURCE", "source", 24}, {"CLASS", "class", 30}, {"REASON", "reason", 0},
	{NULL, NULL, 0}};

static const struct order {
	const char *name, *method, *path; /* %s: the first argument */
	const char *arguments[ARGUMENTS]; /* "" the one of the path, else a member of the body */
	const char *member, *value;	  /* of the body as well */
	const char *list;		  /* of the answer */
	const struct column *columns;
	const char *help;
} orders[] = {
	{"incidents",
	 "GET",
	 "/v1/incidents",
	 {0},
	 0,
	 0,
	 "incidents",
	 incident_columns,
	 "what there is to know, newest first"},
	{"incident",
	 "GET",
	 "/v1/incidents/%s",
	 {""},
	 0,
	 0,
	 0,
	 0,
	 "ID: one of them: why, which hosts, what to do, its history"},
	{"comment", "POST", "/v1/incidents/%s/comment", {"", "text"}, 0, 0, 0, 0, "ID TEXT"},
	{"ack", "POST", "/v1/incidents/%s/state", {""}, "state", "acknowledged", 0, 0, "ID: somebody has seen it"},
	{"work", "POST", "/v1/incidents/%s/state", {""}, "state", "working", 0, 0, "ID: somebody is at it"},
	{"close", "POST", "/v1/incidents/%s/state", {"", "reason"}, "state", "closed", 0, 0, "ID REASON"},
	{"reopen", "POST", "/v1/incidents/%s/state", {"", "reason"}, "state", "open", 0, 0, "ID REASON"},
	{"false-positive",
	 "POST",
	 "/v1/incidents/%s/state",
	 {"", "reason"},
	 "state",
	 "false_positive",
	 0,
	 0,
	 "ID REASON"},
	{"assign", "POST", "/v1/incidents/%s/assign", {"", "assignee"}, 0, 0, 0, 0, "ID USER"},
	{"severity", "POST", "/v1/incidents/%s/severity", {"", "severity", "reason"}, 0, 0, 0, 0, "ID SEVERITY REASON"},
	{"merge",
	 "POST",
	 "/v1/incidents/%s/merge",
	 {"", "#into"},
	 0,
	 0,
	 0,
	 0,
	 "ID INTO: the first belongs to the second"},
	{"events", "GET", "/v1/events", {0}, 0, 0, "events", event_columns, "what incidents are made of"},
	{"event", "GET", "/v1/events/%s", {""}, 0, 0, 0, 0, "ID"},
	{"records", "GET", "/v1/records", {0}, 0, 0, "records", record_columns, "what events are made of"},
	{"record", "GET", "/v1/records/%s", {""}, 0, 0, 0, 0, "ID: with the line as it came"},
	{"devices", "GET", "/v1/devices", {0}, 0, 0, "devices", device_columns, "sensors, and whether they speak"},
	{"enroll",
	 "POST",
	 "/v1/devices",
	 {"name", "?customer"},
	 0,
	 0,
	 "=configuration",
	 0,
	 "NAME [CUSTOMER]: prints its configuration"},
	{"revoke", "POST", "/v1/devices/%s/revoke", {""}, 0, 0, 0, 0, "NAME: refuse a sensor from now on"},
	{"customers", "GET", "/v1/customers", {0}, 0, 0, "customers", customer_columns, "whose sensors they are"},
	{"add-customer", "POST", "/v1/customers", {"name"}, 0, 0, 0, 0, "NAME"},
	{"users", "GET", "/v1/users", {0}, 0, 0, "users", user_columns, "who may come"},
	{"add-user",
	 "POST",
	 "/v1/users",
	 {"name", "role", "?customer"},
	 0,
	 0,
	 "=token",
	 0,
	 "NAME ROLE [CUSTOMER]: prints the token"},
	{"disable-user", "POST", "/v1/users/%s/disable", {""}, 0, 0, 0, 0, "NAME"},
	{"assets", "GET", "/v1/assets", {0}, 0, 0, "assets", asset_columns, "what is known of addresses"},
	{"suppressions",
	 "GET",
	 "/v1/suppressions",
	 {0},
	 0,
	 0,
	 "suppressions",
	 suppression_columns,
	 "what is no incident, and until when"},
	{"suppress",
	 "POST",
	 "/v1/suppressions",
	 {"#signature", "source", "until", "reason"},
	 0,
	 0,
	 0,
	 0,
	 "SIGNATURE SOURCE UNTIL REASON (--customer NAME): it is no incident"},
	{"end-suppression", "POST", "/v1/suppressions/%s/end", {""}, 0, 0, 0, 0, "ID: from now on it is one again"},
	{"audit", "GET", "/v1/audit", {0}, 0, 0, "audit", audit_columns, "who did what"},
	{"whoami", "GET", "/v1/whoami", {0}, 0, 0, 0, 0, "whose token this is"},
	{"status", "GET", "/v1/status", {0}, 0, 0, 0, 0, "how the SOC is"},
};
#define ORDERS (sizeof(orders) / sizeof(orders[0]))

static const char *const filters[] = {"state",	"severity", "customer",	 "from",    "until",  "limit",
				      "before", "incident", "event",	 "device",  "source", "target",
				      "either", "type",	    "signature", "verdict", "text",   "open"};
#define FILTERS (sizeof(filters) / sizeof(filters[0]))

struct session {
	CURL *curl;
	char *url, *token, *ca;
	struct curl_slist *headers;
	char *answer;
	size_t len;
	char query[4096];
	bool json, watch;
};

static int fail(const char *why, const char *what)
{
	fprintf(stderr, "sekisho-soc ctl: %s%s%s\n", why, *what ? ": " : "", what);
	return EXIT_WRONG;
}

/* --- asking -------------------------------------------------------------------------------------------------------------- */

static size_t take(char *data, size_t size, size_t count, void *user)
{
	struct session *s = user;
	size_t len = size * count;
	char *grown = s->len + len < ANSWER_MAX ? realloc(s->answer, s->len + len + 1) : NULL;
	if (!grown)
		return 0;
	s->answer = grown;
	memcpy(s->answer + s->len, data, len);
	s->len += len;
	s->answer[s->len] = 0;
	return len;
}

static void explain(CURLcode code, const char *why, const struct session *s)
{
	if (code == CURLE_COULDNT_CONNECT)
		fprintf(stderr, "sekisho-soc ctl: nobody serves at %s: does the SOC run? (sekisho-soc serve)\n",
			s->url);
	else if (code == CURLE_PEER_FAILED_VERIFICATION)
		fprintf(stderr, "sekisho-soc ctl: %s is not the SOC that ctl.json was made for: %s\n", s->url, why);
	else
		fail(s->url, *why ? why : curl_easy_strerror(code));
}

/* The answer's JSON, or NULL: told. */
static json_t *ask(struct session *s, const char *method, const char *path, const json_t *body)
{
	char url[8192], why[CURL_ERROR_SIZE] = "";
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct curl_blob ca = {s->ca, strlen(s->ca), CURL_BLOB_NOCOPY};
	long status = 0;
	snprintf(url, sizeof(url), "%s%s%s", s->url, path, s->query);
	s->len = 0;
	curl_easy_reset(s->curl);
	curl_easy_setopt(s->curl, CURLOPT_URL, url);
	curl_easy_setopt(s->curl, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(s->curl, CURLOPT_CAINFO_BLOB, &ca);
	curl_easy_setopt(s->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(s->curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(s->curl, CURLOPT_HTTPHEADER, s->headers);
	curl_easy_setopt(s->curl, CURLOPT_ERRORBUFFER, why);
	curl_easy_setopt(s->curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(s->curl, CURLOPT_WRITEDATA, s);
	curl_easy_setopt(s->curl, CURLOPT_TIMEOUT, 60L);
	if (text)
		curl_easy_setopt(s->curl, CURLOPT_POSTFIELDS, text);
	CURLcode code = curl_easy_perform(s->curl);
	free(text);
	if (code != CURLE_OK) {
		explain(code, why, s);
		return NULL;
	}
	curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
	json_t *json = s->answer ? json_loadb(s->answer, s->len, 0, NULL) : NULL;
	if (json && status < 300)
		return json;
	const char *error = json_string_value(json_object_get(json, "error"));
	fail(error ? error : "the answer is not a SOC's", "");
	json_decref(json);
	return NULL;
}

/* --- what is asked for --------------------------------------------------------------------------------------------------- */

static void usage(FILE *out)
{
	fputs("usage: sekisho-soc ctl [OPTION]... COMMAND [ARGUMENT]...\n\n", out);
	for (size_t i = 0; i < ORDERS; i++)
		fprintf(out, "  %-15s %s\n", orders[i].name, orders[i].help);
	fputs("\n  -d, --folder FOLDER  where ctl.json is (default " SOC_FOLDER ")\n"
	      "      --json           the answer as it is\n"
	      "      --watch          with incidents: show new and changed ones as they come\n"
	      "  -h, --help           show this\n"
	      "Filters of lists:",
	      out);
	for (size_t i = 0; i < FILTERS; i++)
		fprintf(out, " --%s", filters[i]);
	fputs("\n\nExamples:\n"
	      "  sekisho-soc ctl incidents --severity critical --watch\n"
	      "  sekisho-soc ctl records --either 10.1.4.23 --from 2026-11-24T00:00:00+09:00\n"
	      "  sekisho-soc ctl close 17 \"patched and cleaned\"\n",
	      out);
}

static void add_filter(struct session *s, const char *name, const char *value)
{
	char *escaped = curl_easy_escape(s->curl, value, 0);
	size_t len = strlen(s->query);
	snprintf(s->query + len, sizeof(s->query) - len, "%c%s=%s", len ? '&' : '?', name, escaped ? escaped : "");
	curl_free(escaped);
}

static int open_session(struct session *s, const char *folder)
{
	char header[256], *text = file_text(folder, SOC_CTL_FILE);
	json_t *json = text ? json_loads(text, 0, NULL) : NULL;
	const char *url, *token, *ca;
	free(text);
	if (json_unpack(json, "{s:s,s:s,s:s}", "url", &url, "token", &token, "ca", &ca) != 0) {
		json_decref(json);
		return fail("ctl.json cannot be read (say where it is by -d FOLDER; sekisho-soc init makes it)",
			    text ? "" : strerror(errno));
	}
	s->url = strdup(url);
	s->ca = strdup(ca);
	snprintf(header, sizeof(header), "Authorization: Bearer %s", token);
	s->headers = curl_slist_append(curl_slist_append(NULL, header), "Content-Type: application/json");
	explicit_bzero(header, sizeof(header));
	json_decref(json);
	return s->url && s->ca && s->headers ? EXIT_FINE : fail("out of memory", "");
}

static void close_session(struct session *s)
{
	curl_slist_free_all(s->headers);
	curl_easy_cleanup(s->curl);
	curl_global_cleanup();
	free(s->url);
	free(s->ca);
	free(s->answer);
}

/* Fills path and body from the arguments; what is left over or missing is a usage error. */
static int read_arguments(struct session *s, const struct order *o, int argc, char **argv, char *path, size_t size,
			  json_t **body)
{
	bool post = strcmp(o->method, "GET") != 0;
	*body = post ? json_object() : NULL;
	snprintf(path, size, "%s", o->path);
	int used = 0;
	for (int i = 0; i < ARGUMENTS && o->arguments[i]; i++) {
		const char *name = o->arguments[i];
		if (used == argc && *name == '?')
			break;
		if (used == argc)
			return EXIT_USAGE;
		const char *value = argv[used++];
		if (!*name) {
			char *escaped = curl_easy_escape(s->curl, value, 0);
			const char *rest = strstr(o->path, "%s");
			snprintf(path, size, "%.*s%s%s", (int)(rest - o->path), o->path, escaped ? escaped : "",
				 rest + 2);
			curl_free(escaped);
		} else if (*name == '#') {
			json_object_set_new(*body, name + 1, json_integer(strtoll(value, NULL, 10)));
		} else {
			json_object_set_new(*body, name + (*name == '?'), json_string(value));
		}
	}
	if (o->member)
		json_object_set_new(*body, o->member, json_string(o->value));
	return used == argc ? EXIT_FINE : EXIT_USAGE;
}

static void show(const struct session *s, const struct order *o, json_t *json)
{
	if (s->json) {
		json_dumpf(json, stdout, JSON_INDENT(2));
		fputc('\n', stdout);
	} else if (o->columns) {
		ctl_table(stdout, o->columns, json_object_get(json, o->list), true);
		if (json_object_get(json, "next"))
			fprintf(stderr, "There is more: --before %lld\n",
				(long long)json_integer_value(json_object_get(json, "next")));
	} else if (o->list) { /* "=member": that alone */
		const char *text = json_string_value(json_object_get(json, o->list + 1));
		printf("%s%s", text ? text : "", text && *text && text[strlen(text) - 1] == '\n' ? "" : "\n");
	} else if (strcmp(o->name, "incident") == 0) {
		ctl_incident(stdout, json);
	} else {
		ctl_object(stdout, json, 0);
	}
}

/* A line for each incident that is new, or is not as it was. */
static int watch(struct session *s, const struct order *o)
{
	json_t *seen = json_object(), *json;
	char id[32], was[64];
	bool head = true;
	while ((json = ask(s, "GET", o->path, NULL)) != NULL) {
		json_t *items = json_object_get(json, "incidents"), *fresh = json_array();
		for (size_t i = json_array_size(items); i > 0; i--) {
			json_t *item = json_array_get(items, i - 1);
			snprintf(id, sizeof(id), "%lld", (long long)json_integer_value(json_object_get(item, "id")));
			snprintf(was, sizeof(was), "%s %s %lld", json_string_value(json_object_get(item, "severity")),
				 json_string_value(json_object_get(item, "state")),
				 (long long)json_integer_value(json_object_get(item, "host_count")));
			const char *before = json_string_value(json_object_get(seen, id));
			if (before && strcmp(before, was) == 0)
				continue;
			json_object_set_new(seen, id, json_string(was));
			json_array_append(fresh, item);
		}
		ctl_table(stdout, o->columns, fresh, head);
		fflush(stdout);
		head = false;
		json_decref(fresh);
		json_decref(json);
		sleep(1);
	}
	json_decref(seen);
	return EXIT_WRONG;
}

static int run(struct session *s, const char *folder, int argc, char **argv)
{
	const struct order *o = NULL;
	char path[1024];
	json_t *body = NULL;
	for (size_t i = 0; i < ORDERS && argc > 0; i++)
		if (strcmp(orders[i].name, argv[0]) == 0)
			o = &orders[i];
	if (!o) {
		if (argc > 0)
			fail("there is no command", argv[0]);
		usage(stderr);
		return EXIT_USAGE;
	}
	int rc = read_arguments(s, o, argc - 1, argv + 1, path, sizeof(path), &body);
	if (rc == EXIT_USAGE)
		fprintf(stderr, "usage: sekisho-soc ctl %s %s\n", o->name, o->help);
	if (rc == EXIT_FINE)
		rc = open_session(s, folder);
	if (rc == EXIT_FINE && s->watch && strcmp(o->name, "incidents") == 0) {
		rc = watch(s, o);
	} else if (rc == EXIT_FINE) {
		json_t *json = ask(s, o->method, path, body);
		if (json)
			show(s, o, json);
		rc = json ? EXIT_FINE : EXIT_WRONG;
		json_decref(json);
	}
	json_decref(body);
	return rc;
}

int cmd_ctl(int argc, char **argv)
{
	struct option options[FILTERS + 5] = {{"folder", required_argument, NULL, 'd'},
					      {"json", no_argument, NULL, 'j'},
					      {"watch", no_argument, NULL, 'w'},
					      {"help", no_argument, NULL, 'h'}};
	struct session s = {0};
	const char *folder = SOC_FOLDER;
	int rc = -1;
	for (size_t i = 0; i < FILTERS; i++)
		options[4 + i] = (struct option){filters[i], required_argument, NULL, 256 + (int)i};
	curl_global_init(CURL_GLOBAL_DEFAULT);
	s.curl = curl_easy_init();
	for (int c; rc < 0 && (c = getopt_long(argc, argv, "d:h", options, NULL)) != -1;) {
		if (c == 'd')
			folder = optarg;
		else if (c == 'j')
			s.json = true;
		else if (c == 'w')
			s.watch = true;
		else if (c >= 256)
			add_filter(&s, filters[c - 256], optarg);
		else {
			usage(c == 'h' ? stdout : stderr);
			rc = c == 'h' ? EXIT_FINE : EXIT_USAGE;
		}
	}
	if (rc < 0)
		rc = s.curl ? run(&s, folder, argc - optind, argv + optind) : fail("out of memory", "");
	close_session(&s);
	return rc;
}
