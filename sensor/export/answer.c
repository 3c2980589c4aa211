/* SPDX-License-Identifier: BSD-3-Clause */
#include "answer.h"

#include <errno.h>
#include <string.h>

#include <jansson.h>

int answer_parse(struct answer *answer, const char *text, size_t len)
{
	memset(answer, 0, sizeof(*answer));
	if (len > ANSWER_BYTES_MAX)
		return -EINVAL;
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *next = json_object_get(root, "next"), *error = json_object_get(root, "error");
	int rc = json_is_object(root) && (next || error) ? 0 : -EINVAL;
	if (next && (!json_is_integer(next) || json_integer_value(next) < 1))
		rc = -EINVAL;
	if (rc == 0 && next) {
		answer->has_next = true;
		answer->next = (uint64_t)json_integer_value(next);
	}
	if (rc == 0 && error) {
		const char *words = json_is_string(error) ? json_string_value(error) : "";
		answer->has_error = true;
		/* they are shown on terminals */
		for (size_t i = 0; words[i] && i + 1 < sizeof(answer->error); i++)
			answer->error[i] = words[i] >= ' ' && words[i] < 0x7f ? words[i] : '.';
	}
	json_decref(root);
	return rc;
}
