/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines that a device sends to the SOC, and events as the store has them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "event.h"
#include "record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct event event;
	char reason[RECORD_REASON_MAX];
	struct record record;
	if (record_read_eve((const char *)data, size, &record, reason) != 0 && !reason[0])
		abort();
	if (record.class[sizeof(record.class) - 1] || record.message[sizeof(record.message) - 1])
		abort();
	json_t *json = json_loadb((const char *)data, size, 0, NULL);
	if (json && event_from_json(json, &event) == 0) {
		json_t *back = event_to_json(&event);
		if (!back)
			abort();
		json_decref(back);
	}
	json_decref(json);
	return 0;
}
