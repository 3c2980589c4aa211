/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Appends one JSON object at a time to a fixed buffer: no allocation after jw_init, commas and closing brackets kept by
 * the writer, any bytes accepted as text. What does not fit sets `overflow`, and the record must then not be written.
 *
 * Inside an object values have names; inside an array the name is NULL. One thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dataplane/bytes.h>
#include <dataplane/fields.h>

/* Objects and arrays within each other; the protocols' fields need no more than 8. */
#define JSON_DEPTH_MAX 32
/* Bytes of one text value that are written; the rest is cut off, so that one hostile header cannot fill a record. */
#define JSON_TEXT_MAX (64u << 10)

struct json {
	char *buf;
	size_t len, cap;
	unsigned depth;
	uint64_t is_array; /* bit n: level n is an array */
	uint64_t has_item; /* bit n: level n has an item already */
	bool overflow;
};

/* 0 or -ENOMEM. json_free frees the buffer. */
int jw_init(struct json *json, size_t cap);
void jw_free(struct json *json);

/* Starts a record: "{". */
void jw_begin(struct json *json);
/* Ends it: closes all that is open and adds a newline. False when it did not fit. */
bool jw_end(struct json *json);

void jw_object(struct json *json, const char *name);
void jw_array(struct json *json, const char *name);
void jw_close(struct json *json);

/* Valid UTF-8 is written as it is; of other bytes each that is not printable ASCII becomes \xHH (a backslash in the value). */
void jw_text(struct json *json, const char *name, struct bytes value);
void jw_string(struct json *json, const char *name, const char *value);
void jw_uint(struct json *json, const char *name, uint64_t value);
void jw_int(struct json *json, const char *name, int64_t value);
void jw_bool(struct json *json, const char *name, bool value);
/* A number that has a fraction, with at most six digits after the point. */
void jw_number(struct json *json, const char *name, double value);
/* The same with as many digits as it takes to read back the very value. */
void jw_exact(struct json *json, const char *name, double value);
void jw_hex(struct json *json, const char *name, const uint8_t *data, size_t len);
void jw_base64(struct json *json, const char *name, const uint8_t *data, size_t len);
/* One character a byte: line ends and printable ASCII as they are, a dot for the rest. */
void jw_printable(struct json *json, const char *name, const uint8_t *data, size_t len);
/* "2026-11-23T10:00:00.123456+0000", in UTC. */
void jw_time(struct json *json, const char *name, uint64_t ts_ns);

/* The sink through which layers below write fields; the first member may be cast back. */
struct json_sink {
	struct field_sink sink;
	struct json *json;
};
void jw_sink_init(struct json_sink *sink, struct json *json);
