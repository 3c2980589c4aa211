/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * How a layer tells what it knows of a transaction without knowing any record format: it calls a sink with named, typed
 * values; the sensor's sink writes them as a record. Names are EVE's.
 *
 * Inside an object values have names; inside an array the name is NULL.
 */

#include <stdbool.h>
#include <stdint.h>

#include <dataplane/bytes.h>

struct field_sink {
	void (*object)(struct field_sink *sink, const char *name);
	void (*array)(struct field_sink *sink, const char *name);
	void (*close)(struct field_sink *sink);					     /* the innermost object or array */
	void (*text)(struct field_sink *sink, const char *name, struct bytes value); /* any bytes; the sink escapes */
	void (*number)(struct field_sink *sink, const char *name, int64_t value);
	void (*boolean)(struct field_sink *sink, const char *name, bool value);
	void (*fraction)(struct field_sink *sink, const char *name, double value);
};

static inline void field_text(struct field_sink *s, const char *name, const char *value)
{
	s->text(s, name, (struct bytes){.data = (const uint8_t *)value, .len = strlen(value)});
}
