/* SPDX-License-Identifier: BSD-3-Clause */
#include "app/http.h"

/* Responses, as browsers read them: what does not begin with "HTTP" is a body, whatever was promised. */

static struct bytes chomp(struct bytes line)
{
	while (line.len && (line.data[line.len - 1] == '\n' || line.data[line.len - 1] == '\r'))
		line.len--;
	return line;
}

/* Whether a line is no status line for any browser: they look for the word after space and NUL bytes. */
static bool is_body(struct bytes line)
{
	size_t i = 0;

	while (i < line.len && (http_is_space(line.data[i]) || line.data[i] == 0))
		i++;
	return line.len - i < 4 || strncasecmp((const char *)line.data + i, "http", 4) != 0;
}

static bool in_range(const struct http_tx *tx, unsigned from, unsigned to)
{
	return tx->status_code >= from && tx->status_code <= to;
}

/* --- the status line ---------------------------------------------------------------------------------------------------- */

/* A status line may end with CR alone. */
static bool status_line(struct http_input *in, struct bytes *line)
{
	size_t left = http_left(in);
	const uint8_t *lf = left ? memchr(in->at, '\n', left) : NULL;
	const uint8_t *cr = left ? memchr(in->at, '\r', lf ? (size_t)(lf - in->at) : left) : NULL;

	if (cr && cr + 1 == in->end && !in->eof)
		return false;
	if (cr)
		lf = cr + 1 < in->end && cr[1] == '\n' ? cr + 1 : cr;
	if (!lf && (!in->eof || left == 0))
		return false;
	*line = (struct bytes){.data = in->at, .len = lf ? (size_t)(lf - in->at) + 1 : left};
	return true;
}

static uint16_t status_number(struct bytes text)
{
	unsigned n = 0;

	if (text.len == 0 || text.len > 5)
		return 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return 0;
		n = n * 10 + (text.data[i] - '0');
	}
	return n >= 100 && n <= 999 ? (uint16_t)n : 0;
}

static struct http_span word_at(const struct http_message *m, uint32_t *at, uint32_t end)
{
	struct http_span word = {.at = *at};

	while (*at < end && !http_is_space(m->text.data[*at]))
		(*at)++;
	word.len = *at - word.at;
	return word;
}

static uint32_t space_at(const struct http_message *m, uint32_t at, uint32_t end)
{
	while (at < end && http_is_space(m->text.data[at]))
		at++;
	return at;
}

static void parse_status_line(struct http_session *http, struct http_tx *tx)
{
	struct http_message *m = &tx->message[TO_CLIENT];
	uint32_t at = m->line.at, end = m->line.at + m->line.len, behind;
	bool odd = false;

	m->version = HTTP_VERSION_INVALID;
	m->has_protocol = tx->has_status = tx->has_reason = false;
	tx->status_code = 0;
	while (at < end && (http_is_space(m->text.data[at]) || m->text.data[at] == 0))
		at++;
	m->protocol = word_at(m, &at, end);
	m->has_protocol = m->protocol.len > 0;
	m->version = (uint8_t)http_version_of(http_text(m, m->protocol), &odd);
	if (odd)
		http_event(http, tx, HTTP_EVENT_PROTOCOL_CONTAINS_EXTRA_DATA);
	at = space_at(m, at, end);
	tx->status = word_at(m, &at, end);
	tx->has_status = tx->status.len > 0;
	tx->status_code = status_number(http_text(m, tx->status));
	behind = space_at(m, at, end);
	if (behind > at) {
		tx->reason = (struct http_span){.at = behind, .len = end - behind};
		tx->has_reason = true;
	}
	if (m->version == HTTP_VERSION_INVALID)
		http_event(http, tx, HTTP_EVENT_RESPONSE_LINE_INVALID_PROTOCOL);
	if (tx->status_code == 0)
		http_event(http, tx, HTTP_EVENT_RESPONSE_LINE_INVALID_RESPONSE_STATUS);
}

/* Junk before a status line, or a body without one. */
static enum http_step junk_line(struct http_input *in, struct bytes line)
{
	struct http_tx *tx = in->side->tx;

	in->at += line.len;
	/* A short line, or one with a status line right behind it, is skipped. */
	if (http_left(in) > 1 && (in->at[0] == 'H' || chomp(line).len <= 2))
		return HTTP_GO_ON;
	http_body_plain(in->http, tx, TO_CLIENT);
	http_body_data(in->http, tx, TO_CLIENT, line.data, line.len);
	if (http_left(in) == 0)
		in->side->state = HTTP_FINISH;
	return HTTP_GO_ON;
}

static enum http_step read_line(struct http_input *in)
{
	struct http_tx *tx = in->side->tx;
	struct http_message *m = &tx->message[TO_CLIENT];
	struct bytes line, text;

	if (!status_line(in, &line))
		return http_line_too_long(in) ? HTTP_FAIL : HTTP_NEED_MORE;
	text = chomp(line);
	if (text.len == 0 || (line.len == 2 && http_is_space(line.data[0]) && line.data[1] == '\n')) {
		in->at += line.len;
		return HTTP_GO_ON;
	}
	if (is_body(line))
		return junk_line(in, line);
	in->at += line.len;
	/* An interim response's line makes room. */
	m->text.len = 0;
	if (text.len > HTTP_FIELD_MAX || !slab_buf_append(app_slab(in->http->app), &m->text, text.data, text.len))
		return HTTP_FAIL;
	m->line = (struct http_span){.at = 0, .len = (uint32_t)text.len};
	m->has_line = true;
	parse_status_line(in->http, tx);
	http_progress(tx, TO_CLIENT, HTTP_LINE);
	in->side->state = HTTP_READ_FIELDS;
	return HTTP_GO_ON;
}

/* --- the header ----------------------------------------------------------------------------------------------------------- */

/* "100 Continue" is followed by the response proper. */
static bool skip_interim(struct http_input *in)
{
	struct http_tx *tx = in->side->tx;
	struct http_message *m = &tx->message[TO_CLIENT];
	struct bytes value;
	uint64_t length;
	bool before, after;

	if (tx->status_code != 100 || http_field(m, "transfer-encoding", &value, NULL))
		return false;
	if (http_field(m, "content-length", &value, NULL) && http_content_length(value, &length, &before, &after) &&
	    length > 0)
		return false;
	if (tx->continued)
		http_event(in->http, tx, HTTP_EVENT_CONTINUE_ALREADY_SEEN);
	tx->continued = true;
	m->field_count = 0;
	m->raw.len = 0;
	in->side->state = HTTP_READ_LINE;
	return true;
}

/* The client waits before its body, and is refused: the body does not come. */
static void refuse_body(struct http_input *in)
{
	struct http_side *request = &in->http->side[TO_SERVER];
	struct bytes expect;

	if (request->tx == in->side->tx && in_range(in->side->tx, 400, 499) && request->state == HTTP_READ_LENGTH &&
	    request->left == request->total && http_field(&request->tx->message[TO_SERVER], "expect", &expect, NULL) &&
	    http_equal_nocase(expect, "100-continue"))
		request->state = HTTP_FINISH;
}

static enum http_step determine_length(struct http_input *in, struct bytes value)
{
	struct http_side *side = in->side;
	bool before = false, after = false;

	if (!http_content_length(value, &side->left, &before, &after)) {
		/* Browsers read until the end then. */
		http_event(in->http, side->tx, HTTP_EVENT_INVALID_RESPONSE_CONTENT_LENGTH);
		side->state = HTTP_READ_CLOSE;
		return HTTP_GO_ON;
	}
	if (before)
		http_event(in->http, side->tx, HTTP_EVENT_CONTENT_LENGTH_EXTRA_DATA_START);
	if (after)
		http_event(in->http, side->tx, HTTP_EVENT_CONTENT_LENGTH_EXTRA_DATA_END);
	side->state = side->left ? HTTP_READ_LENGTH : HTTP_FINISH;
	return HTTP_GO_ON;
}

static void determine_chunked(struct http_input *in, struct bytes encoding)
{
	struct http_tx *tx = in->side->tx;

	if (!http_equal_nocase(encoding, "chunked"))
		http_event(in->http, tx, HTTP_EVENT_RESPONSE_ABNORMAL_TRANSFER_ENCODING);
	if (tx->message[TO_CLIENT].version < HTTP_VERSION_1_1)
		http_event(in->http, tx, HTTP_EVENT_RESPONSE_CHUNKED_OLD_PROTO);
	in->side->state = HTTP_READ_CHUNK_SIZE;
}

static enum http_step determine_body(struct http_input *in)
{
	struct http_tx *tx = in->side->tx;
	struct http_message *m = &tx->message[TO_CLIENT];
	struct bytes length, encoding, type;
	bool has_length = http_field(m, "content-length", &length, NULL);
	bool has_encoding = http_field(m, "transfer-encoding", &encoding, NULL);

	in->side->state = HTTP_FINISH;
	if (tx->method_id == HTTP_METHOD_CONNECT && in_range(tx, 200, 299))
		return HTTP_GO_ON;
	if (tx->status_code == 101) {
		if (!has_length && !has_encoding) {
			in->http->tunnel = true;
			return HTTP_GO_ON;
		}
		http_event(in->http, tx, HTTP_EVENT_SWITCHING_PROTO_WITH_CONTENT_LENGTH);
	}
	refuse_body(in);
	if (tx->method_id == HTTP_METHOD_HEAD)
		return HTTP_GO_ON;
	if (in_range(tx, 100, 199) || tx->status_code == 204 || tx->status_code == 304) {
		if (!has_length && !has_encoding)
			return HTTP_GO_ON;
		http_event(in->http, tx, HTTP_EVENT_RESPONSE_BODY_UNEXPECTED);
	}
	if (has_encoding && http_find_nocase(encoding, "chunked") >= 0) {
		determine_chunked(in, encoding);
		return HTTP_GO_ON;
	}
	if (has_length)
		return determine_length(in, length);
	if (http_field(m, "content-type", &type, NULL) && http_find_nocase(type, "multipart/byteranges") >= 0)
		http_event(in->http, tx, HTTP_EVENT_RESPONSE_MULTIPART_BYTERANGES);
	in->side->state = HTTP_READ_CLOSE;
	return HTTP_GO_ON;
}

static enum http_step read_header(struct http_input *in)
{
	struct http_tx *tx = in->side->tx;
	enum http_step step = http_read_fields(in, &tx->message[TO_CLIENT]);

	if (step != HTTP_GO_ON || skip_interim(in))
		return step;
	http_progress(tx, TO_CLIENT, HTTP_HEADERS);
	http_body_decoding(in->http, tx, TO_CLIENT);
	return determine_body(in);
}

static enum http_step read_trailer(struct http_input *in)
{
	enum http_step step = http_read_fields(in, &in->side->tx->message[TO_CLIENT]);

	if (step == HTTP_GO_ON) {
		http_progress(in->side->tx, TO_CLIENT, HTTP_TRAILER);
		in->side->state = HTTP_FINISH;
	}
	return step;
}

/* --- the body ---------------------------------------------------------------------------------------------------------------- */

static enum http_step read_length(struct http_input *in)
{
	size_t n = http_left(in);

	if (n == 0)
		return HTTP_NEED_MORE;
	if (n > in->side->left)
		n = (size_t)in->side->left;
	http_body_data(in->http, in->side->tx, TO_CLIENT, in->at, n);
	in->at += n;
	in->side->left -= n;
	if (in->side->left == 0)
		in->side->state = HTTP_FINISH;
	return HTTP_GO_ON;
}

static enum http_step read_close(struct http_input *in)
{
	http_body_data(in->http, in->side->tx, TO_CLIENT, in->at, http_left(in));
	in->at = in->end;
	return HTTP_NEED_MORE;
}

/* Not chunked after all: all that comes is the body. */
static enum http_step bad_chunk(struct http_input *in)
{
	http_event(in->http, in->side->tx, HTTP_EVENT_INVALID_RESPONSE_CHUNK_LEN);
	in->side->state = HTTP_READ_CLOSE;
	return HTTP_GO_ON;
}

static enum http_step read_chunk_size(struct http_input *in)
{
	struct http_side *side = in->side;
	struct bytes line;
	bool extension;

	if (!http_line(in, &line)) {
		if (http_chunk_hopeless((struct bytes){.data = in->at, .len = http_left(in)}))
			return bad_chunk(in);
		return http_line_too_long(in) ? HTTP_FAIL : HTTP_NEED_MORE;
	}
	switch (http_chunk_size(line, &side->left, &extension)) {
	case HTTP_CHUNK_BAD:
		return bad_chunk(in);
	case HTTP_CHUNK_SKIP:
		break;
	case HTTP_CHUNK_SIZE:
		if (extension)
			http_event(in->http, side->tx, HTTP_EVENT_RESPONSE_CHUNK_EXTENSION);
		side->state = side->left ? HTTP_READ_CHUNK : HTTP_READ_TRAILER;
		break;
	}
	in->at += line.len;
	side->tx->message[TO_CLIENT].body.message_bytes += line.len;
	return HTTP_GO_ON;
}

static enum http_step read_chunk(struct http_input *in)
{
	enum http_step step = read_length(in);

	if (in->side->state == HTTP_FINISH)
		in->side->state = HTTP_READ_CHUNK_END;
	return step;
}

static enum http_step read_chunk_end(struct http_input *in)
{
	size_t left = http_left(in);
	const uint8_t *lf = left ? memchr(in->at, '\n', left) : NULL;
	size_t n = lf ? (size_t)(lf - in->at) + 1 : left;

	in->side->tx->message[TO_CLIENT].body.message_bytes += n;
	in->at += n;
	if (!lf)
		return HTTP_NEED_MORE;
	in->side->state = HTTP_READ_CHUNK_SIZE;
	return HTTP_GO_ON;
}

/* --- the end ------------------------------------------------------------------------------------------------------------------ */

void http_response_complete(struct http_session *http)
{
	struct http_side *side = &http->side[TO_CLIENT];
	struct http_tx *tx = side->tx;
	bool whole = side->state == HTTP_FINISH || side->state == HTTP_READ_CLOSE;

	if (!tx)
		return;
	http_body_end(http, tx, TO_CLIENT, whole);
	http_progress(tx, TO_CLIENT, HTTP_COMPLETE);
	side->tx = NULL;
	side->state = HTTP_IDLE;
	if (tx->method_id == HTTP_METHOD_CONNECT && in_range(tx, 200, 299)) {
		if (http->side[TO_SERVER].tx == tx)
			http_request_complete(http);
		http->tunnel = true;
	}
}

static enum http_step finish(struct http_input *in)
{
	struct bytes line;

	if (http_left(in) == 0 || in->http->tunnel) {
		http_response_complete(in->http);
		return HTTP_GO_ON;
	}
	if (!http_line(in, &line))
		return http_line_too_long(in) ? HTTP_FAIL : HTTP_NEED_MORE;
	if (in->at[0] == '\n')
		line.len = http_left(in);
	if (!is_body(line)) {
		http_response_complete(in->http);
		return HTTP_GO_ON;
	}
	http_event(in->http, in->side->tx, HTTP_EVENT_RESPONSE_BODY_UNEXPECTED);
	http_body_data(in->http, in->side->tx, TO_CLIENT, line.data, line.len);
	in->at += line.len;
	return HTTP_GO_ON;
}

/* The oldest transaction that has no complete response. */
static struct http_tx *awaiting(struct http_session *http)
{
	for (struct app_tx *tx = app_session_tx_first(http->app); tx; tx = tx->next)
		if (tx->progress[TO_CLIENT] < HTTP_COMPLETE)
			return (struct http_tx *)tx;
	return NULL;
}

static enum http_step idle(struct http_input *in)
{
	struct http_tx *tx;

	if (http_left(in) == 0)
		return HTTP_NEED_MORE;
	tx = awaiting(in->http);
	if (!tx) {
		tx = http_tx_new(in->http);
		if (!tx)
			return HTTP_FAIL;
		http_event(in->http, tx, HTTP_EVENT_UNABLE_TO_MATCH_RESPONSE_TO_REQUEST);
		tx->request_not_seen = true;
		http_progress(tx, TO_SERVER, HTTP_COMPLETE);
	} else if (!tx->has_method && in->http->side[TO_SERVER].state == HTTP_READ_LINE) {
		http_event(in->http, tx, HTTP_EVENT_REQUEST_LINE_INCOMPLETE);
	}
	in->side->tx = tx;
	if (tx->protocol_0_9) {
		http_body_plain(in->http, tx, TO_CLIENT);
		in->side->state = HTTP_READ_CLOSE;
	} else {
		in->side->state = HTTP_READ_LINE;
	}
	return HTTP_GO_ON;
}

static enum http_step resync(struct http_input *in)
{
	struct bytes line;

	while (http_left(in) > 0) {
		if (http_left(in) >= 5 && memcmp(in->at, "HTTP/", 5) == 0) {
			in->side->state = HTTP_IDLE;
			return HTTP_GO_ON;
		}
		if (!http_line(in, &line)) {
			if (http_left(in) > HTTP_FIELD_MAX)
				in->at = in->end;
			return HTTP_NEED_MORE;
		}
		in->at += line.len;
	}
	return HTTP_NEED_MORE;
}

enum http_step http_response_step(struct http_input *in)
{
	switch (in->side->state) {
	case HTTP_IDLE:
		return idle(in);
	case HTTP_READ_LINE:
		return read_line(in);
	case HTTP_READ_FIELDS:
		return read_header(in);
	case HTTP_READ_TRAILER:
		return read_trailer(in);
	case HTTP_READ_LENGTH:
		return read_length(in);
	case HTTP_READ_CLOSE:
		return read_close(in);
	case HTTP_READ_CHUNK_SIZE:
		return read_chunk_size(in);
	case HTTP_READ_CHUNK:
		return read_chunk(in);
	case HTTP_READ_CHUNK_END:
		return read_chunk_end(in);
	case HTTP_FINISH:
		return finish(in);
	case HTTP_RESYNC:
		return resync(in);
	case HTTP_WAIT_CONNECT:
	case HTTP_DRAIN:
		break;
	}
	in->at = in->end;
	return HTTP_NEED_MORE;
}
