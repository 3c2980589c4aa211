/* SPDX-License-Identifier: BSD-3-Clause */
#include "suppress.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int wrong(char *error, const char *what)
{
	snprintf(error, SUPPRESS_ERROR_MAX, "%s", what);
	return -EINVAL;
}

static bool read_text(const json_t *json, const char *name, char *text, size_t size)
{
	const json_t *value = json_object_get(json, name);
	const char *s = json_string_value(value);
	if (!value)
		return true;
	if (!s || strlen(s) >= size || strlen(s) != json_string_length(value))
		return false;
	memcpy(text, s, strlen(s) + 1);
	return true;
}

static bool read_prefix(const json_t *json, const char *name, bool *has, struct prefix *prefix)
{
	const json_t *value = json_object_get(json, name);
	const char *text = json_string_value(value);
	*has = value != NULL;
	return !value || (text && prefix_parse(text, prefix));
}

static int read_scope(const json_t *json, struct suppression *s, char *error)
{
	const json_t *signature = json_object_get(json, "signature");
	const char *until = json_string_value(json_object_get(json, "until"));
	memset(s, 0, sizeof(*s));
	if (signature && (!json_is_integer(signature) || json_integer_value(signature) <= 0 ||
			  json_integer_value(signature) > UINT32_MAX))
		return wrong(error, "signature is a signature's number");
	s->signature = (uint32_t)json_integer_value(signature);
	if (!read_text(json, "class", s->class, sizeof(s->class)))
		return wrong(error, "class is a text of up to 63 bytes");
	if (!read_prefix(json, "source", &s->has_source, &s->source) ||
	    !read_prefix(json, "target", &s->has_target, &s->target))
		return wrong(error, "source and target are prefixes as 10.1.0.0/16, or addresses");
	if (!s->signature && !s->class[0] && !s->has_source)
		return wrong(error, "a suppression names a signature, a class or a source");
	if (!read_text(json, "reason", s->reason, sizeof(s->reason)) || !s->reason[0])
		return wrong(error, "a suppression needs a reason, of up to 511 bytes");
	if (!until || !time_parse(until, &s->until))
		return wrong(error, "until is a time as 2026-12-24T00:00:00+09:00");
	return 0;
}

int suppression_from_json(const json_t *json, int64_t now, struct suppression *s, char error[static SUPPRESS_ERROR_MAX])
{
	int rc = read_scope(json, s, error);
	if (rc == 0 && (s->until <= now || s->until > now + SUPPRESS_LONGEST_US))
		rc = wrong(error, "until lies in the future, and within a year");
	return rc;
}

json_t *suppression_to_json(const struct suppression *s)
{
	char until[32], prefix[ADDRESS_TEXT_MAX + 4];
	json_t *json = json_pack("{s:I,s:I,s:s,s:s,s:s}", "id", (json_int_t)s->id, "customer", (json_int_t)s->customer,
				 "until", time_text(s->until, until), "reason", s->reason, "who", s->who);
	if (json && s->signature)
		json_object_set_new(json, "signature", json_integer(s->signature));
	if (json && s->class[0])
		json_object_set_new(json, "class", json_string(s->class));
	if (json && s->has_source)
		json_object_set_new(json, "source", json_string(prefix_text(&s->source, prefix)));
	if (json && s->has_target)
		json_object_set_new(json, "target", json_string(prefix_text(&s->target, prefix)));
	return json;
}

int suppression_restore(const json_t *json, struct suppression *s)
{
	char error[SUPPRESS_ERROR_MAX];
	const json_t *id = json_object_get(json, "id"), *customer = json_object_get(json, "customer");
	int rc = read_scope(json, s, error);
	if (rc != 0 || !json_is_integer(id) || !json_is_integer(customer) ||
	    !read_text(json, "who", s->who, sizeof(s->who)))
		return -EINVAL;
	s->id = (uint64_t)json_integer_value(id);
	s->customer = (uint32_t)json_integer_value(customer);
	return 0;
}

static bool only_signature(const struct event *event, uint32_t signature)
{
	uint64_t named = 0;
	for (unsigned i = 0; i < event->signature_count; i++) {
		if (event->signatures[i].id != signature)
			return false;
		named += event->signatures[i].count;
	}
	return named == event->count; /* else there are some that are not named */
}

static bool only_targets(const struct event *event, const struct prefix *prefix)
{
	uint64_t named = 0;
	for (unsigned i = 0; i < event->target_count; i++) {
		if (!prefix_holds(prefix, &event->targets[i].address))
			return false;
		named += event->targets[i].count;
	}
	return named == event->count;
}

bool suppression_holds(const struct suppression *s, const struct event *event, int64_t now)
{
	return s->until > now && s->customer == event->customer &&
	       (!s->class[0] || strcmp(s->class, event->class) == 0) &&
	       (!s->has_source || prefix_holds(&s->source, &event->source)) &&
	       (!s->signature || only_signature(event, s->signature)) &&
	       (!s->has_target || only_targets(event, &s->target));
}
