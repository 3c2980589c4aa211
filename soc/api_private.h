/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What the files of the API share; of no one else's concern. */

#include <jansson.h>
#include <pthread.h>

#include "api.h"

#define API_BODY_MAX	(64u << 10)
#define API_LIMIT	50 /* items of a page where nobody says how many */
#define API_LIMIT_MAX	500
#define API_PATIENCE_MS 250 /* a search looks no longer for a page; the answer says where to go on */
#define API_WORD_MAX	96  /* of a part of a path */

struct call;

struct route {
	const char *method, *path;	   /* "*" stands for one part of it */
	enum user_role role;		   /* at least */
	const char *parameters;		   /* of the query, "a b c"; others are refused */
	const char *members;		   /* of the body, likewise */
	void (*handle)(struct call *call); /* answers, now or later */
};

struct call {
	struct api *api;
	struct http_request *request;
	const struct route *route;
	struct user user;
	char word[API_WORD_MAX]; /* what stood for "*" */
	char *text;
	size_t len;
	json_t *body;
	/* a change: what the writer's thread does with it, and what is answered when that is durable */
	int (*change)(struct call *call, struct soc *soc);
	uint64_t id;
	int number;
	char reason[NOTIFY_ERROR_MAX];
	json_t *answer;
};

struct api {
	struct api_config config;
	pthread_mutex_t lock;
	struct guess *guesses;
};

extern const struct route api_routes[];
extern const size_t api_route_count;

/* --- reading a request: false means that it is answered already --- */
bool call_id(struct call *call, uint64_t *id); /* of the path */
/* Parameters of the query; what is not there leaves *value. */
bool call_number(struct call *call, const char *name, uint64_t most, uint64_t *value);
bool call_time(struct call *call, const char *name, int64_t *us);
bool call_address(struct call *call, const char *name, struct address *address, const struct address **set);
bool call_name(struct call *call, const char *name, int (*value_of)(const char *name), int *value);
/* The customer that is asked for, by name or number; a customer's user gets his own whatever he asks. 0: all. */
bool call_customer(struct call *call, uint32_t *customer);
/* A text of the body; `needed` and not there is answered. NULL where it is not, and not needed. */
bool call_text(struct call *call, const char *name, size_t most, bool needed, const char **text);
/* Whether the user may see what belongs to this customer. */
bool call_sees(const struct call *call, uint32_t customer);

/* --- answering --- */
void call_answer(struct call *call, unsigned status, json_t *json); /* steals json; NULL: out of memory */
void call_missing(struct call *call); /* 404, for what is not there and for what is not his */
void call_store_failed(struct call *call, int rc);
/* Runs call->change on the writer's thread: 0 and call->answer (or {}), -ENOENT: 404, -EINVAL and others of a change's own: 409 with
 * call->reason. */
void call_change(struct call *call);

/* api_read.c, api_change.c: what routes call. */
void api_whoami(struct call *call);
void api_status(struct call *call);
void api_incidents(struct call *call);
void api_incident(struct call *call);
void api_events(struct call *call);
void api_event(struct call *call);
void api_records(struct call *call);
void api_record(struct call *call);
void api_counters(struct call *call);
void api_devices(struct call *call);
void api_customers(struct call *call);
void api_users(struct call *call);
void api_audit(struct call *call);
void api_assets(struct call *call);
void api_contacts(struct call *call);
void api_notifications(struct call *call);
void api_put_contact(struct call *call);
void api_remove_contact(struct call *call);
void api_suppressions(struct call *call);
void api_add_suppression(struct call *call);
void api_end_suppression(struct call *call);
void api_comment(struct call *call);
void api_state(struct call *call);
void api_assign(struct call *call);
void api_severity(struct call *call);
void api_merge(struct call *call);
void api_enroll(struct call *call);
void api_revoke(struct call *call);
void api_add_customer(struct call *call);
void api_add_user(struct call *call);
void api_disable_user(struct call *call);
void api_put_asset(struct call *call);
void api_remove_asset(struct call *call);
