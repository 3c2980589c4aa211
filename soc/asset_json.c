/* SPDX-License-Identifier: BSD-3-Clause */
/* Assets as JSON: what people write, and what the store has. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "asset_json.h"

static int wrong(char *error, const char *what)
{
	snprintf(error, ASSET_ERROR_MAX, "%s", what);
	return -EINVAL;
}

static int read_text(const json_t *json, const char *name, char *text, size_t size, char *error)
{
	const json_t *value = json_object_get(json, name);
	const char *s = json_string_value(value);
	if (value && (!s || strlen(s) >= size || strlen(s) != json_string_length(value))) {
		snprintf(error, ASSET_ERROR_MAX, "an asset's \"%s\" is a text of up to %zu bytes", name, size - 1);
		return -EINVAL;
	}
	if (s)
		memcpy(text, s, strlen(s) + 1);
	return 0;
}

static int read_exposed(const json_t *list, struct asset *asset, char *error)
{
	const size_t max = sizeof(asset->exposed) / sizeof(asset->exposed[0]);
	size_t i;
	json_t *value;
	if (list && (!json_is_array(list) || json_array_size(list) > max))
		return wrong(error, "an asset's \"exposed\" is a list of up to 8 names of weaknesses");
	json_array_foreach(list, i, value)
	{
		const char *s = json_string_value(value);
		if (!s || !*s || strlen(s) >= sizeof(asset->exposed[0]))
			return wrong(error, "a weakness in an asset's \"exposed\" is a text of 1 to 31 bytes");
		strcpy(asset->exposed[asset->exposed_count++], s);
	}
	return 0;
}

int asset_from_json(const json_t *json, struct asset *asset, char error[static ASSET_ERROR_MAX])
{
	const json_t *importance = json_object_get(json, "importance");
	const char *prefix = json_string_value(json_object_get(json, "prefix"));
	memset(asset, 0, sizeof(*asset));
	if (!prefix || !prefix_parse(prefix, &asset->prefix))
		return wrong(error, "an asset needs a \"prefix\" as 10.1.0.0/16 or 2001:db8::7");
	if (importance &&
	    (!json_is_integer(importance) || json_integer_value(importance) < 0 || json_integer_value(importance) > 5))
		return wrong(error, "an asset's \"importance\" is a number from 1 to 5, or 0 where it is not known");
	asset->importance = (unsigned)json_integer_value(importance);
	int rc = read_text(json, "name", asset->name, sizeof(asset->name), error);
	rc = rc ? rc : read_text(json, "role", asset->role, sizeof(asset->role), error);
	rc = rc ? rc : read_text(json, "owner", asset->owner, sizeof(asset->owner), error);
	return rc ? rc : read_exposed(json_object_get(json, "exposed"), asset, error);
}

json_t *asset_to_json(const struct asset *asset)
{
	char prefix[ADDRESS_TEXT_MAX + 4];
	json_t *exposed = json_array();
	for (unsigned i = 0; i < asset->exposed_count; i++)
		json_array_append_new(exposed, json_string(asset->exposed[i]));
	return json_pack("{s:s,s:s,s:s,s:s,s:i,s:o}", "prefix", prefix_text(&asset->prefix, prefix), "name",
			 asset->name, "role", asset->role, "owner", asset->owner, "importance", (int)asset->importance,
			 "exposed", exposed);
}
