/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <jansson.h>

#include "triage.h"

#define ASSET_ERROR_MAX 128

/* {"prefix", "name", "role", "owner", "importance": 0 to 5, "exposed": [...]}; all but the prefix may be missing, other members are not looked at. 0,
 * or -EINVAL with a message for people. */
int asset_from_json(const json_t *json, struct asset *asset, char error[static ASSET_ERROR_MAX]);
/* A new reference. */
json_t *asset_to_json(const struct asset *asset);
