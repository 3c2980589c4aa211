/* SPDX-License-Identifier: BSD-3-Clause */
#include "app/http.h"

/* A body's way: decompression, the limit, the window, the file. */

struct sink {
	struct http_session *http;
	struct http_tx *tx;
	enum direction dir;
};

static uint32_t body_limit(struct http_session *http, enum direction dir)
{
	const struct app_config *config = app_config_of(http->app);

	return dir == TO_SERVER ? config->http_request_body_limit : config->http_response_body_limit;
}

/* --- files ----------------------------------------------------------------------------------------------------------- */

static bool range_is_part(struct http_session *http, struct http_tx *tx, struct http_range *range)
{
	struct bytes value;

	if (!http_field(&tx->message[TO_CLIENT], "content-range", &value, NULL))
		return false;
	if (!http_content_range(value, range)) {
		http_event(http, tx, HTTP_EVENT_RANGE_INVALID);
		return false;
	}
	if (range->end <= 0 || range->size <= 0 || (range->start == 0 && range->end == range->size - 1))
		return false;
	if (range->start > range->end || range->end > range->size - 1) {
		http_event(http, tx, HTTP_EVENT_RANGE_INVALID);
		return false;
	}
	return true;
}

/* The name that a Content-Disposition gives, or the path asked for. */
static bool file_name(struct http_tx *tx, enum direction dir, struct bytes *name)
{
	struct bytes disposition;

	if (dir == TO_CLIENT && http_field(&tx->message[TO_CLIENT], "content-disposition", &disposition, NULL) &&
	    http_disposition(disposition, "filename=", name))
		return true;
	*name = (struct bytes){.data = tx->uri_norm.data, .len = tx->path_len};
	return tx->has_path;
}

static void open_file(struct http_session *http, struct http_tx *tx, enum direction dir)
{
	struct http_body *body = &tx->message[dir].body;
	struct http_range range;
	struct bytes name;

	if (!file_name(tx, dir, &name))
		return;
	if (name.len > APP_FILE_NAME_MAX)
		http_event(http, tx, HTTP_EVENT_FILE_NAME_TOO_LONG);
	body->file = app_file_open(http->app, &tx->tx, http->files++, dir, name);
	if (body->file && dir == TO_CLIENT && range_is_part(http, tx, &range)) {
		body->file->has_range = true;
		body->file->range_start = (uint64_t)range.start;
		body->file->range_end = (uint64_t)range.end;
		body->file->range_size = (uint64_t)range.size;
	}
}

static void begin(struct http_session *http, struct http_tx *tx, enum direction dir)
{
	struct http_body *body = &tx->message[dir].body;
	struct bytes type;

	body->begun = true;
	if (dir == TO_SERVER) {
		if (tx->method_id == HTTP_METHOD_POST &&
		    http_field(&tx->message[TO_SERVER], "content-type", &type, NULL))
			body->multipart = http_multipart_new(http, type);
		if (body->multipart) {
			body->kind = HTTP_BODY_MULTIPART;
			return;
		}
		if (tx->method_id != HTTP_METHOD_POST && tx->method_id != HTTP_METHOD_PUT)
			return;
	}
	body->kind = HTTP_BODY_FILE;
	open_file(http, tx, dir);
}

/* --- decoded bytes --------------------------------------------------------------------------------------------------- */

static void entity_data(struct http_session *http, struct http_tx *tx, enum direction dir, const uint8_t *data,
			size_t len)
{
	struct http_body *body = &tx->message[dir].body;
	uint64_t limit = body_limit(http, dir), room;

	if (len == 0)
		return;
	if (!body->begun)
		begin(http, tx, dir);
	room = !limit ? len : body->entity_bytes < limit ? limit - body->entity_bytes : 0;
	body->entity_bytes += len;
	if (len > room) {
		len = (size_t)room;
		body->truncated = true;
	}
	if (len > 0) {
		app_window_append(app_slab(http->app), &body->window, &body->window_offset, data, len);
		if (body->multipart)
			http_multipart_feed(body->multipart, tx, data, len);
		else if (body->file)
			app_file_data(http->app, body->file, data, len);
	}
	if (body->truncated && body->file)
		app_file_close(http->app, body->file, APP_FILE_TRUNCATED);
}

static void decoded(void *user, const uint8_t *data, size_t len)
{
	struct sink *sink = user;

	entity_data(sink->http, sink->tx, sink->dir, data, len);
}

/* --- encodings ------------------------------------------------------------------------------------------------------- */

#define ENCODING_NONE	 (-1)
#define ENCODING_UNKNOWN (-2)

static int encoding_named(struct bytes name)
{
	static const struct {
		const char *name;
		int encoding;
	} names[] = {
		{"gzip", DECOMPRESS_GZIP},	   {"x-gzip", DECOMPRESS_GZIP}, {"deflate", DECOMPRESS_DEFLATE},
		{"x-deflate", DECOMPRESS_DEFLATE}, {"br", DECOMPRESS_BROTLI},	{"lzma", DECOMPRESS_LZMA},
		{"inflate", ENCODING_NONE},	   {"none", ENCODING_NONE},	{"identity", ENCODING_NONE},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (http_equal_nocase_nul(name, names[i].name))
			return names[i].encoding;
	return ENCODING_UNKNOWN;
}

/* A name in a list: browsers look for the word inside. */
static int encoding_in_list(struct http_session *http, struct http_tx *tx, struct bytes name)
{
	int encoding = encoding_named(name);

	if (encoding != ENCODING_UNKNOWN)
		return encoding;
	http_event(http, tx, HTTP_EVENT_ABNORMAL_CE_HEADER);
	if (http_find_nocase(name, "gzip") >= 0)
		return DECOMPRESS_GZIP;
	if (http_find_nocase(name, "deflate") >= 0)
		return DECOMPRESS_DEFLATE;
	return ENCODING_NONE;
}

static void push_layer(struct http_session *http, struct http_tx *tx, struct http_body *body, int encoding,
		       struct sink *sink)
{
	const struct app_config *config = app_config_of(http->app);
	struct decompress_limits limits = {.output_bytes_max = config->decompressed_max_bytes};

	if (encoding == ENCODING_NONE)
		return;
	if (!body->decoder)
		body->decoder = decompressor_new(app_slab(http->app), &limits, decoded, sink);
	if (!body->decoder || decompressor_push(body->decoder, (enum decompress_encoding)encoding) != 0)
		http_event(http, tx, HTTP_EVENT_LZMA_MEMLIMIT_REACHED);
}

/* The decompressor's user outlives it: both end with the body. */
static struct sink *body_sink(struct http_session *http, struct http_tx *tx, enum direction dir)
{
	struct sink *sink = slab_alloc(app_slab(http->app), sizeof(*sink));

	if (sink)
		*sink = (struct sink){.http = http, .tx = tx, .dir = dir};
	return sink;
}

static void decode_list(struct http_session *http, struct http_tx *tx, enum direction dir, struct bytes list,
			struct sink *sink)
{
	struct http_body *body = &tx->message[dir].body;
	uint32_t layers = 0, lzma_layers = 0, limit = app_config_of(http->app)->http_decompress_layers_max;
	size_t i = 0;

	while (i < list.len) {
		struct bytes name = {.data = list.data + i};
		int encoding;
		while (i < list.len && list.data[i] != ',' && list.data[i] != ' ') {
			name.len++;
			i++;
		}
		i++;
		if (name.len == 0)
			continue;
		if (++layers > limit) {
			http_event(http, tx, HTTP_EVENT_TOO_MANY_ENCODING_LAYERS);
			return;
		}
		encoding = encoding_in_list(http, tx, name);
		if (encoding == DECOMPRESS_LZMA && ++lzma_layers > 1) {
			http_event(http, tx,
				   dir == TO_SERVER ? HTTP_EVENT_REQUEST_TOO_MANY_LZMA_LAYERS
						    : HTTP_EVENT_RESPONSE_TOO_MANY_LZMA_LAYERS);
			return;
		}
		push_layer(http, tx, body, encoding, sink);
	}
}

static void decoder_free(struct http_session *http, struct http_body *body)
{
	if (body->decoder) {
		void *sink = decompressor_user(body->decoder);
		decompressor_free(body->decoder);
		slab_free(app_slab(http->app), sink, sizeof(struct sink));
	}
	body->decoder = NULL;
}

void http_body_decoding(struct http_session *http, struct http_tx *tx, enum direction dir)
{
	struct http_body *body = &tx->message[dir].body;
	struct bytes value;
	struct sink *sink;

	decoder_free(http, body);
	if (!http_field(&tx->message[dir], "content-encoding", &value, NULL) || http->bombs >= HTTP_BOMBS_MAX)
		return;
	sink = body_sink(http, tx, dir);
	if (!sink)
		return;
	decode_list(http, tx, dir, value, sink);
	if (!body->decoder)
		slab_free(app_slab(http->app), sink, sizeof(*sink));
}

void http_body_plain(struct http_session *http, struct http_tx *tx, enum direction dir)
{
	decoder_free(http, &tx->message[dir].body);
}

static void decode(struct http_session *http, struct http_tx *tx, struct http_body *body, const uint8_t *data,
		   size_t len)
{
	unsigned trouble = decompressor_feed(body->decoder, data, len);

	if (trouble & DECOMPRESS_TROUBLE_MEMORY)
		http_event(http, tx, HTTP_EVENT_LZMA_MEMLIMIT_REACHED);
	if (trouble & DECOMPRESS_TROUBLE_BOMB &&
	    !(tx->tx.events[HTTP_EVENT_COMPRESSION_BOMB >> 6] >> (HTTP_EVENT_COMPRESSION_BOMB & 63) & 1)) {
		http_event(http, tx, HTTP_EVENT_COMPRESSION_BOMB);
		if (++http->bombs == HTTP_BOMBS_MAX)
			http_event(http, tx, HTTP_EVENT_COMPRESSION_BOMB_LIMIT_REACHED);
	}
}

void http_body_data(struct http_session *http, struct http_tx *tx, enum direction dir, const uint8_t *data, size_t len)
{
	struct http_body *body = &tx->message[dir].body;

	body->message_bytes += len;
	/* Junk before a status line is kept, but the header is still to come. */
	if (http->side[dir].state != HTTP_READ_LINE)
		http_progress(tx, dir, HTTP_BODY);
	/* Past the limit nothing is inspected, so nothing need be decoded. */
	if (body->truncated)
		body->entity_bytes += len;
	else if (body->decoder)
		decode(http, tx, body, data, len);
	else
		entity_data(http, tx, dir, data, len);
}

void http_body_gap(struct http_session *http, struct http_tx *tx, enum direction dir, uint64_t len)
{
	struct http_body *body = &tx->message[dir].body;

	(void)http;
	body->message_bytes += len;
	if (body->decoder) {
		/* What is compressed cannot be read on. */
		decompressor_finish(body->decoder);
	} else {
		body->entity_bytes += len;
		body->window_offset += body->window.len + len;
		body->window.len = 0;
	}
	if (body->file)
		body->file->gaps = true;
}

void http_body_end(struct http_session *http, struct http_tx *tx, enum direction dir, bool whole)
{
	struct http_body *body = &tx->message[dir].body;

	if (body->ended)
		return;
	if (body->decoder)
		decompressor_finish(body->decoder);
	decoder_free(http, body);
	body->ended = true;
	if (body->multipart)
		http_multipart_end(body->multipart, tx, whole && !body->truncated);
	if (body->file)
		app_file_close(http->app, body->file, whole ? APP_FILE_CLOSED : APP_FILE_TRUNCATED);
}

void http_body_free(struct http_session *http, struct http_body *body)
{
	decoder_free(http, body);
	http_multipart_free(body->multipart);
	body->multipart = NULL;
	slab_buf_free(app_slab(http->app), &body->window);
}

/* --- Content-Range ---------------------------------------------------------------------------------------------------- */

static int64_t range_number(struct bytes value, size_t *i)
{
	int64_t n = 0;
	size_t begin = *i;

	for (; *i < value.len && value.data[*i] >= '0' && value.data[*i] <= '9'; (*i)++) {
		if (n > INT64_MAX / 16)
			return -1;
		n = n * 10 + (value.data[*i] - '0');
	}
	return *i > begin ? n : -1;
}

/* "bytes 0-99/200", either side of the slash may be a star. */
bool http_content_range(struct bytes value, struct http_range *range)
{
	size_t i = 5;

	*range = (struct http_range){.start = -1, .end = -1, .size = -1};
	if (value.len < 6 || strncasecmp((const char *)value.data, "bytes", 5) != 0)
		return false;
	while (i < value.len && (value.data[i] == ' ' || value.data[i] == '='))
		i++;
	if (i < value.len && value.data[i] == '*') {
		i++;
	} else {
		range->start = range_number(value, &i);
		if (range->start < 0 || i == value.len || value.data[i++] != '-')
			return false;
		range->end = range_number(value, &i);
		if (range->end < 0)
			return false;
	}
	if (i == value.len || value.data[i++] != '/')
		return false;
	if (i < value.len && value.data[i] == '*')
		return range->start >= 0;
	range->size = range_number(value, &i);
	return range->size >= 0;
}
