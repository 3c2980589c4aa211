/* SPDX-License-Identifier: BSD-3-Clause */
/* What handlers read of a request, and how they answer. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_private.h"

/* --- reading ------------------------------------------------------------------------------------------------------------ */

static bool parse_number(const char *text, uint64_t most, uint64_t *value)
{
	char *end;
	if (*text < '0' || *text > '9' || strlen(text) > 20)
		return false;
	errno = 0;
	uint64_t n = strtoull(text, &end, 10);
	if (*end || errno || n > most)
		return false;
	*value = n;
	return true;
}

static bool refuse(struct call *call, const char *name, const char *must)
{
	http_answer_error(call->request, 400, "%s must be %s", name, must);
	return false;
}

bool call_id(struct call *call, uint64_t *id)
{
	if (parse_number(call->word, INT64_MAX, id) && *id > 0)
		return true;
	call_missing(call);
	return false;
}

bool call_number(struct call *call, const char *name, uint64_t most, uint64_t *value)
{
	const char *text = http_query(call->request, name);
	char must[64];
	if (!text || parse_number(text, most, value))
		return true;
	snprintf(must, sizeof(must), "a number up to %llu", (unsigned long long)most);
	return refuse(call, name, must);
}

bool call_time(struct call *call, const char *name, int64_t *us)
{
	const char *text = http_query(call->request, name);
	return !text || time_parse(text, us) || refuse(call, name, "a time as 2026-11-24T05:00:00Z");
}

bool call_address(struct call *call, const char *name, struct address *address, const struct address **set)
{
	const char *text = http_query(call->request, name);
	if (!text)
		return true;
	*set = address;
	return address_parse(text, address) || refuse(call, name, "an IP address");
}

bool call_name(struct call *call, const char *name, int (*value_of)(const char *name), int *value)
{
	const char *text = http_query(call->request, name);
	if (!text)
		return true;
	*value = value_of(text);
	return *value >= 0 || refuse(call, name, "one of the names in the documentation");
}

bool call_customer(struct call *call, uint32_t *customer)
{
	const char *text = http_query(call->request, "customer");
	struct directory *directory = soc_directory(call->api->config.soc);
	struct customer found;
	uint64_t id;
	*customer = call->user.customer;
	if (!text)
		return true;
	bool known = parse_number(text, UINT32_MAX, &id) ? directory_customer(directory, (uint32_t)id, &found)
							 : directory_customer_by_name(directory, text, &found);
	if (!known || !call_sees(call, found.id)) {
		call_missing(call);
		return false;
	}
	*customer = found.id;
	return true;
}

bool call_text(struct call *call, const char *name, size_t most, bool needed, const char **text)
{
	const json_t *value = json_object_get(call->body, name);
	char must[64];
	*text = json_string_value(value);
	if (!value && !needed)
		return true;
	if (*text && (**text || !needed) && strlen(*text) == json_string_length(value) && strlen(*text) <= most)
		return true;
	snprintf(must, sizeof(must), "a text of up to %zu bytes%s", most, needed ? ", and not empty" : "");
	return refuse(call, name, must);
}

bool call_sees(const struct call *call, uint32_t customer)
{
	return call->user.role != USER_CUSTOMER || (customer != 0 && call->user.customer == customer);
}

/* --- answering ---------------------------------------------------------------------------------------------------------- */

void call_answer(struct call *call, unsigned status, json_t *json)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	if (text)
		http_answer(call->request, status, NULL, text, strlen(text));
	else
		http_answer_error(call->request, 503, "out of memory");
	free(text);
	json_decref(json);
}

void call_missing(struct call *call)
{
	http_answer_error(call->request, 404, "there is no such thing here");
}

void call_store_failed(struct call *call, int rc)
{
	http_answer_header(call->request, "Retry-After", "5");
	http_answer_error(call->request, 503, "the store does not answer: %s", strerror(-rc));
}

static int run_change(struct soc *soc, void *context)
{
	struct call *call = context;
	return call->change(call, soc);
}

static void change_done(void *context, int rc, uint64_t next)
{
	struct call *call = context;
	(void)next;
	if (rc == 0) {
		json_t *answer = call->answer;
		call->answer = NULL;
		call_answer(call, 200, answer ? answer : json_object());
	} else if (rc == -ENOENT) {
		call_missing(call);
	} else if (rc == -EINVAL || rc == -EEXIST || rc == -EALREADY || rc == -EPERM) {
		http_answer_error(call->request, 409, "%s", *call->reason ? call->reason : "that cannot be done now");
	} else {
		call_store_failed(call, rc);
	}
}

void call_change(struct call *call)
{
	if (soc_do(call->api->config.soc, run_change, change_done, call) != 0)
		call_store_failed(call, -EAGAIN);
}
