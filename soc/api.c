/* SPDX-License-Identifier: BSD-3-Clause */
#include "api_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "enroll.h"

/* Wrong tokens from one address before it must wait, and for how long. */
#define GUESSES_MAX 20
#define GUESSES_S   60
/* Addresses that are remembered for it; more share. */
#define GUESS_SLOTS 4096

struct guess {
	char peer[64];
	unsigned count;
	time_t since;
};

/* --- what there is ------------------------------------------------------------------------------------------------------ */

#define PAGE_WORDS "limit before"
#define SPAN_WORDS "customer from until " PAGE_WORDS

const struct route api_routes[] = {
	{"GET", "/v1/whoami", USER_CUSTOMER, "", "", api_whoami},
	{"GET", "/v1/status", USER_ANALYST, "", "", api_status},
	{"GET", "/v1/incidents", USER_CUSTOMER, "state severity " SPAN_WORDS, "", api_incidents},
	{"GET", "/v1/incidents/*", USER_CUSTOMER, "", "", api_incident},
	{"POST", "/v1/incidents/*/comment", USER_CUSTOMER, "", "text", api_comment},
	{"POST", "/v1/incidents/*/state", USER_CUSTOMER, "", "state reason", api_state},
	{"POST", "/v1/incidents/*/assign", USER_ANALYST, "", "assignee", api_assign},
	{"POST", "/v1/incidents/*/severity", USER_ANALYST, "", "severity reason", api_severity},
	{"POST", "/v1/incidents/*/merge", USER_ANALYST, "", "into", api_merge},
	{"GET", "/v1/events", USER_CUSTOMER, "incident open severity " SPAN_WORDS, "", api_events},
	{"GET", "/v1/events/*", USER_CUSTOMER, "", "", api_event},
	{"GET", "/v1/records", USER_CUSTOMER,
	 "event device source target either signature type severity verdict text " SPAN_WORDS, "", api_records},
	{"GET", "/v1/records/*", USER_CUSTOMER, "", "", api_record},
	{"GET", "/v1/counters", USER_CUSTOMER, "customer from until", "", api_counters},
	{"GET", "/v1/devices", USER_CUSTOMER, "customer", "", api_devices},
	{"POST", "/v1/devices", USER_ADMINISTRATOR, "", "name customer", api_enroll},
	{"POST", "/v1/devices/*/revoke", USER_ADMINISTRATOR, "", "", api_revoke},
	{"GET", "/v1/customers", USER_CUSTOMER, "", "", api_customers},
	{"POST", "/v1/customers", USER_ADMINISTRATOR, "", "name", api_add_customer},
	{"GET", "/v1/users", USER_CUSTOMER, "customer", "", api_users},
	{"POST", "/v1/users", USER_ADMINISTRATOR, "", "name role customer", api_add_user},
	{"POST", "/v1/users/*/disable", USER_ADMINISTRATOR, "", "", api_disable_user},
	{"GET", "/v1/assets", USER_CUSTOMER, "customer", "", api_assets},
	{"PUT", "/v1/assets", USER_ANALYST, "customer", "prefix name role owner importance exposed", api_put_asset},
	{"DELETE", "/v1/assets/*", USER_ANALYST, "", "", api_remove_asset},
	{"GET", "/v1/suppressions", USER_CUSTOMER, SPAN_WORDS, "", api_suppressions},
	{"POST", "/v1/suppressions", USER_ANALYST, "customer", "signature class source target until reason",
	 api_add_suppression},
	{"POST", "/v1/suppressions/*/end", USER_ANALYST, "", "", api_end_suppression},
	{"GET", "/v1/contacts", USER_CUSTOMER, "customer", "", api_contacts},
	{"PUT", "/v1/contacts", USER_ANALYST, "customer",
	 "name kind address severity language after_minutes hours secret", api_put_contact},
	{"DELETE", "/v1/contacts/*", USER_ANALYST, "", "", api_remove_contact},
	{"GET", "/v1/notifications", USER_CUSTOMER, "incident " SPAN_WORDS, "", api_notifications},
	{"GET", "/v1/audit", USER_CUSTOMER, SPAN_WORDS, "", api_audit},
};
const size_t api_route_count = sizeof(api_routes) / sizeof(api_routes[0]);

/* Whether a path is a route's; `word` gets what stood for "*". */
static bool fits(const char *pattern, const char *path, char *word)
{
	const char *star = strchr(pattern, '*');
	size_t head = star ? (size_t)(star - pattern) : strlen(pattern);
	if (strncmp(pattern, path, head) != 0)
		return false;
	if (!star)
		return path[head] == 0;
	size_t len = strcspn(path + head, "/");
	if (len == 0 || len >= API_WORD_MAX || strcmp(path + head + len, star + 1) != 0)
		return false;
	memcpy(word, path + head, len);
	word[len] = 0;
	return true;
}

/* NULL, and it is answered. */
static const struct route *find_route(struct http_request *request, char *word)
{
	const char *path = http_path(request);
	char allowed[64] = "";
	for (size_t i = 0; i < api_route_count; i++) {
		const struct route *r = &api_routes[i];
		if (!fits(r->path, path, word))
			continue;
		if (strcmp(r->method, http_method(request)) == 0)
			return r;
		snprintf(allowed + strlen(allowed), sizeof(allowed) - strlen(allowed), "%s%s", *allowed ? ", " : "",
			 r->method);
	}
	if (*allowed) {
		http_answer_header(request, "Allow", allowed);
		http_answer_error(request, 405, "this takes %s", allowed);
	} else {
		http_answer_error(request, 404, "there is no such thing here");
	}
	return NULL;
}

/* --- who asks ----------------------------------------------------------------------------------------------------------- */

static struct guess *guess_of(struct api *api, const char *peer)
{
	unsigned hash = 2166136261u;
	for (const char *c = peer; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	struct guess *g = &api->guesses[hash % GUESS_SLOTS];
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (strcmp(g->peer, peer) != 0 || now.tv_sec - g->since > GUESSES_S) {
		snprintf(g->peer, sizeof(g->peer), "%s", peer);
		g->count = 0;
		g->since = now.tv_sec;
	}
	return g;
}

static bool guesses_too_much(struct api *api, struct http_request *request, bool wrong)
{
	pthread_mutex_lock(&api->lock);
	struct guess *g = guess_of(api, http_peer(request));
	bool over = g->count >= GUESSES_MAX;
	g->count += wrong;
	pthread_mutex_unlock(&api->lock);
	return over;
}

/* The token is compared by its digest, so that how long it takes tells nothing of it. */
static bool know_user(struct api *api, struct http_request *request, struct user *user)
{
	const char *header = http_header(request, "Authorization");
	char digest[DIRECTORY_DIGEST_MAX];
	if (guesses_too_much(api, request, false)) {
		http_answer_header(request, "Retry-After", "60");
		http_answer_error(request, 429, "too many wrong tokens came from your address; wait a minute");
		return false;
	}
	if (header && strncmp(header, "Bearer ", 7) == 0 && strlen(header) < 256) {
		enroll_digest(header + 7, digest);
		if (*digest && directory_user(soc_directory(api->config.soc), digest, user) && !user->disabled)
			return true;
	}
	guesses_too_much(api, request, header != NULL);
	http_answer_header(request, "WWW-Authenticate", "Bearer");
	http_answer_error(request, 401, "say who you are: Authorization: Bearer TOKEN");
	return false;
}

/* --- a call ------------------------------------------------------------------------------------------------------------- */

struct api *api_open(const struct api_config *config)
{
	struct api *api = calloc(1, sizeof(*api));
	if (!api)
		return NULL;
	api->config = *config;
	api->guesses = calloc(GUESS_SLOTS, sizeof(api->guesses[0]));
	if (!api->guesses) {
		free(api);
		return NULL;
	}
	pthread_mutex_init(&api->lock, NULL);
	return api;
}

void api_close(struct api *api)
{
	if (!api)
		return;
	pthread_mutex_destroy(&api->lock);
	free(api->guesses);
	free(api);
}

static bool lists(const char *words, const char *word)
{
	size_t len = strlen(word);
	for (const char *w = words; *w; w += strcspn(w, " "), w += *w == ' ')
		if (strcspn(w, " ") == len && strncmp(w, word, len) == 0)
			return true;
	return false;
}

static int check_parameter(void *context, const char *name, const char *value)
{
	struct call *call = context;
	(void)value;
	if (lists(call->route->parameters, name))
		return 0;
	http_answer_error(call->request, 400, "there is no parameter %.64s here; there are: %s", name,
			  *call->route->parameters ? call->route->parameters : "none");
	return 1;
}

void api_begin(struct api *api, struct http_request *request)
{
	struct user user;
	char word[API_WORD_MAX] = "";
	if (!know_user(api, request, &user))
		return;
	const struct route *route = find_route(request, word);
	if (!route)
		return;
	if (user.role < route->role) {
		http_answer_error(request, 403, "this needs the role %s", user_role_name(route->role));
		return;
	}
	struct call *call = calloc(1, sizeof(*call));
	if (!call) {
		http_answer_error(request, 503, "out of memory");
		return;
	}
	*call = (struct call){.api = api, .request = request, .route = route, .user = user};
	memcpy(call->word, word, sizeof(word));
	http_set_context(request, call);
	if (http_query_each(request, check_parameter, call) == 0 && strcmp(route->method, "GET") != 0)
		http_allow(request, API_BODY_MAX);
}

void api_body(struct api *api, struct http_request *request, const void *data, size_t len)
{
	struct call *call = http_context(request);
	(void)api;
	if (!call->text)
		call->text = malloc(API_BODY_MAX);
	if (!call->text) {
		http_answer_error(request, 503, "out of memory");
		return;
	}
	/* http_allow keeps it within */
	memcpy(call->text + call->len, data, len);
	call->len += len;
}

static bool read_body(struct call *call)
{
	json_error_t error;
	const char *name;
	json_t *value;
	if (strcmp(call->route->method, "GET") == 0)
		return true;
	call->body = call->len ? json_loadb(call->text, call->len, JSON_REJECT_DUPLICATES, &error) : json_object();
	if (!json_is_object(call->body)) {
		http_answer_error(call->request, 400, "the body is to be one JSON object: %s",
				  call->body ? "it is something else" : error.text);
		return false;
	}
	json_object_foreach(call->body, name, value) if (!lists(call->route->members, name))
	{
		http_answer_error(call->request, 400, "there is no member %.64s here; there are: %s", name,
				  *call->route->members ? call->route->members : "none");
		return false;
	}
	return true;
}

void api_end(struct api *api, struct http_request *request)
{
	struct call *call = http_context(request);
	(void)api;
	if (read_body(call))
		call->route->handle(call);
}

void api_gone(struct api *api, struct http_request *request)
{
	struct call *call = http_context(request);
	(void)api;
	if (!call)
		return;
	json_decref(call->body);
	json_decref(call->answer);
	free(call->text);
	free(call);
}
