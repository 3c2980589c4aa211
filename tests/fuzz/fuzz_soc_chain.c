/* SPDX-License-Identifier: BSD-3-Clause */
/* Coverage records of a sensor that means harm, or of a file that is half lost: lines, in any order. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct chain *chain = chain_new();
	const char *at = (const char *)data, *end = at + size;
	int64_t unreadable = 0;
	while (chain && at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		stop = stop ? stop : end;
		unreadable += chain_add(chain, at, (size_t)(stop - at)) != 0;
		at = stop + 1;
	}
	json_t *json = chain ? chain_judge(chain, size % 3 == 0 ? 1795496400000000ll : 0, 0) : NULL;
	/* what could not be read is counted, and is not whole */
	if (json && json_integer_value(json_object_get(json, "unreadable")) != unreadable)
		abort();
	if (json && unreadable && json_is_true(json_object_get(json, "whole")))
		abort();
	json_decref(json);
	chain_free(chain);
	return 0;
}
