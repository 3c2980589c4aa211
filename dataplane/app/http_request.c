/* SPDX-License-Identifier: BSD-3-Clause */
#include "app/http.h"

/* Requests: line, header, body. */

enum http_method http_method_of(struct bytes name)
{
	static const char *const others[] = {
		"DELETE",  "OPTIONS", "TRACE", "PATCH",	 "PROPFIND",	    "PROPPATCH",  "MKCOL",
		"COPY",	   "MOVE",    "LOCK",  "UNLOCK", "VERSION-CONTROL", "CHECKOUT",	  "UNCHECKOUT",
		"CHECKIN", "UPDATE",  "LABEL", "REPORT", "MKWORKSPACE",	    "MKACTIVITY", "BASELINE-CONTROL",
		"MERGE",   "INVALID",
	};
	static const struct {
		const char *name;
		enum http_method method;
	} usual[] = {
		{"GET", HTTP_METHOD_GET}, {"POST", HTTP_METHOD_POST},	    {"HEAD", HTTP_METHOD_HEAD},
		{"PUT", HTTP_METHOD_PUT}, {"CONNECT", HTTP_METHOD_CONNECT},
	};

	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (bytes_equal(name, (struct bytes){(const uint8_t *)usual[i].name, strlen(usual[i].name)}))
			return usual[i].method;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (bytes_equal(name, (struct bytes){(const uint8_t *)others[i], strlen(others[i])}))
			return HTTP_METHOD_OTHER;
	return HTTP_METHOD_UNKNOWN;
}

/* --- the request line ------------------------------------------------------------------------------------------------ */

static struct bytes chomp(struct bytes line)
{
	while (line.len && (line.data[line.len - 1] == '\n' || line.data[line.len - 1] == '\r'))
		line.len--;
	return line;
}

/* The first word of a line. */
static struct bytes first_word(struct bytes line)
{
	struct bytes word;

	while (line.len && http_is_space(line.data[0])) {
		line.data++;
		line.len--;
	}
	for (word = (struct bytes){.data = line.data}; word.len < line.len && !http_is_space(word.data[word.len]);)
		word.len++;
	return word;
}

static struct http_span span_of(const struct http_message *m, struct bytes part)
{
	return (struct http_span){.at = (uint32_t)(part.data - m->text.data), .len = (uint32_t)part.len};
}

static bool only_spaces_0x20(const uint8_t *p, const uint8_t *end)
{
	while (p < end && *p == ' ')
		p++;
	return p == end;
}

/* The protocol is what stands behind the last space (URIs have spaces in the wild), or behind the last white space when
 * there is no plain space. */
static void split_protocol(struct http_session *http, struct http_tx *tx, struct bytes rest, struct bytes *uri,
			   struct bytes *protocol)
{
	const uint8_t *cut = memrchr(rest.data, ' ', rest.len);
	bool odd = false;

	*uri = rest;
	*protocol = (struct bytes){0};
	if (cut)
		uri->len = (size_t)(cut - rest.data);
	for (size_t i = 0; i < uri->len && !odd; i++)
		odd = http_is_space(uri->data[i]) && uri->data[i] != ' ';
	if (odd) {
		http_event(http, tx, HTTP_EVENT_URI_DELIM_NON_COMPLIANT);
		for (size_t i = rest.len; !cut && i-- > 0;)
			if (http_is_space(rest.data[i]))
				cut = rest.data + i;
	}
	if (!cut)
		return;
	*uri = http_trim((struct bytes){.data = rest.data, .len = (size_t)(cut - rest.data)});
	*protocol = http_trim((struct bytes){.data = cut + 1, .len = rest.len - (size_t)(cut + 1 - rest.data)});
}

static void old_protocol(struct http_session *http, struct http_tx *tx, enum http_event unknown_method)
{
	tx->protocol_0_9 = true;
	tx->message[TO_SERVER].version = HTTP_VERSION_0_9;
	if (tx->method_id == HTTP_METHOD_UNKNOWN)
		http_event(http, tx, unknown_method);
}

static void parse_line(struct http_session *http, struct http_tx *tx)
{
	struct http_message *m = &tx->message[TO_SERVER];
	struct bytes line = http_text(m, m->line), method = first_word(line), rest, uri, protocol;
	const uint8_t *end = line.data + line.len, *p = method.data + method.len;
	bool odd;

	if (method.data > line.data)
		http_event(http, tx, HTTP_EVENT_REQUEST_LINE_LEADING_WHITESPACE);
	tx->method = span_of(m, method);
	tx->has_method = true;
	tx->method_id = (uint8_t)http_method_of(method);
	while (p < end && http_is_space(*p))
		p++;
	if (!only_spaces_0x20(method.data + method.len, p))
		http_event(http, tx, HTTP_EVENT_METHOD_DELIM_NON_COMPLIANT);
	if (p == end) {
		old_protocol(http, tx, HTTP_EVENT_REQUEST_LINE_UNKNOWN_METHOD);
		return;
	}
	rest = http_trim((struct bytes){.data = p, .len = (size_t)(end - p)});
	split_protocol(http, tx, rest, &uri, &protocol);
	tx->uri = span_of(m, uri);
	tx->has_uri = true;
	if (protocol.len == 0) {
		old_protocol(http, tx, HTTP_EVENT_REQUEST_LINE_UNKNOWN_METHOD_NO_PROTOCOL);
		return;
	}
	m->protocol = span_of(m, protocol);
	m->has_protocol = true;
	m->version = (uint8_t)http_version_of(protocol, &odd);
	if (odd)
		http_event(http, tx, HTTP_EVENT_PROTOCOL_CONTAINS_EXTRA_DATA);
	if (m->version == HTTP_VERSION_INVALID && tx->method_id == HTTP_METHOD_UNKNOWN)
		http_event(http, tx, HTTP_EVENT_REQUEST_LINE_UNKNOWN_METHOD_INVALID_PROTOCOL);
}

static void set_lower(struct slab *slab, struct slab_buf *buf, struct bytes text)
{
	if (!slab_buf_append(slab, buf, text.data, text.len))
		return;
	for (uint32_t i = 0; i < buf->len; i++)
		if (buf->data[i] >= 'A' && buf->data[i] <= 'Z')
			buf->data[i] |= 0x20;
}

static void take_uri_host(struct http_session *http, struct http_tx *tx, struct bytes host)
{
	struct slab *slab = app_slab(http->app);

	if (!slab_buf_reserve(slab, &tx->uri_host, host.len + 1))
		return;
	tx->uri_host.len = (uint32_t)http_percent_decode(tx->uri_host.data, host);
	for (uint32_t i = 0; i < tx->uri_host.len; i++)
		if (tx->uri_host.data[i] >= 'A' && tx->uri_host.data[i] <= 'Z')
			tx->uri_host.data[i] |= 0x20;
	while (tx->uri_host.len && tx->uri_host.data[tx->uri_host.len - 1] == '.')
		tx->uri_host.len--;
	tx->has_uri_host = true;
	if (!http_host_valid(http_buf(&tx->uri_host)))
		http_event(http, tx, HTTP_EVENT_REQUEST_URI_HOST_INVALID);
	set_lower(slab, &tx->host, http_buf(&tx->uri_host));
	tx->has_host = true;
}

/* path?query#fragment, each undone as a server would. */
static void normalise_uri(struct http_session *http, struct http_tx *tx)
{
	struct bytes uri = http_text(&tx->message[TO_SERVER], tx->uri), host;
	struct slab_buf *norm = &tx->uri_norm;
	struct http_uri parts;

	if (tx->method_id == HTTP_METHOD_CONNECT) {
		bool valid = http_host_split(uri, &host, &tx->port);
		if (host.len == 0)
			return;
		if (!valid)
			http_event(http, tx, HTTP_EVENT_REQUEST_URI_HOST_INVALID);
		take_uri_host(http, tx, host);
		return;
	}
	http_uri_split(uri, &parts);
	if (parts.host.len > 0)
		take_uri_host(http, tx, parts.host);
	if (parts.port.data &&
	    !http_host_split((struct bytes){.data = parts.host.data,
					    .len = (size_t)(parts.port.data + parts.port.len - parts.host.data)},
			     &host, &tx->port))
		http_event(http, tx, HTTP_EVENT_REQUEST_URI_HOST_INVALID);
	if (!slab_buf_reserve(app_slab(http->app), norm, uri.len + 2))
		return;
	if (parts.path.data) {
		norm->len = (uint32_t)http_path_normalise(norm->data, parts.path);
		tx->path_len = norm->len;
		tx->has_path = true;
	}
	if (parts.query.data) {
		norm->data[norm->len++] = '?';
		norm->len += (uint32_t)http_percent_decode(norm->data + norm->len, parts.query);
	}
	if (parts.fragment.data) {
		norm->data[norm->len++] = '#';
		norm->len += (uint32_t)http_percent_decode(norm->data + norm->len, parts.fragment);
	}
	tx->has_uri_norm = norm->len > 0;
	if (http_has_escape(http_buf(norm)))
		http_event(http, tx, HTTP_EVENT_DOUBLE_ENCODED_URI);
}

static bool is_blank(struct bytes line)
{
	return chomp(line).len == 0 || (line.len == 2 && http_is_space(line.data[0]) && line.data[1] == '\n');
}

static enum http_step read_line(struct http_input *in)
{
	struct http_session *http = in->http;
	struct http_message *m;
	struct bytes line, text;

	if (!http_line(in, &line))
		return http_line_too_long(in) ? HTTP_FAIL : HTTP_NEED_MORE;
	in->at += line.len;
	if (is_blank(line))
		return HTTP_GO_ON;
	m = &in->side->tx->message[TO_SERVER];
	text = chomp(line);
	if (text.len > HTTP_FIELD_MAX || !slab_buf_append(app_slab(http->app), &m->text, text.data, text.len))
		return HTTP_FAIL;
	m->line = (struct http_span){.at = 0, .len = (uint32_t)text.len};
	m->has_line = true;
	parse_line(http, in->side->tx);
	normalise_uri(http, in->side->tx);
	http_progress(in->side->tx, TO_SERVER, HTTP_LINE);
	in->side->state = HTTP_READ_FIELDS;
	if (in->side->tx->protocol_0_9) {
		/* With more than space behind it, it only lacks its protocol. */
		const uint8_t *p = in->at;
		while (p < in->end && http_is_space(*p))
			p++;
		if (p < in->end || p - in->at > HTTP_09_SPACE_MAX) {
			in->side->tx->protocol_0_9 = false;
			http_event(http, in->side->tx, HTTP_EVENT_REQUEST_LINE_MISSING_PROTOCOL);
		} else {
			if (in->side->tx->method_id == HTTP_METHOD_UNKNOWN)
				http_event(http, in->side->tx, HTTP_EVENT_REQUEST_LINE_INVALID);
			in->side->state = HTTP_FINISH;
		}
	}
	return HTTP_GO_ON;
}

/* --- the header -------------------------------------------------------------------------------------------------------- */

static void judge_host(struct http_session *http, struct http_tx *tx)
{
	struct http_message *m = &tx->message[TO_SERVER];
	struct bytes value, host;
	int32_t port;

	if (!http_field(m, "host", &value, NULL)) {
		if (m->version == HTTP_VERSION_1_1)
			http_event(http, tx, HTTP_EVENT_MISSING_HOST_HEADER);
		return;
	}
	if (!http_host_split(value, &host, &port) && host.len > 0)
		http_event(http, tx, HTTP_EVENT_REQUEST_HEADER_HOST_INVALID);
	if (!tx->has_host && host.len == 0)
		return; /* a field that names nobody */
	if (!tx->has_host) {
		set_lower(app_slab(http->app), &tx->host, host);
		tx->has_host = true;
		tx->port = port;
		return;
	}
	if (host.len != tx->host.len ||
	    strncasecmp((const char *)host.data, (const char *)tx->host.data, host.len) != 0 ||
	    (port >= 0 && tx->port >= 0 && port != tx->port))
		http_event(http, tx, HTTP_EVENT_HOST_HEADER_AMBIGUOUS);
}

static bool starts_nocase(struct bytes value, const char *text)
{
	return value.len >= strlen(text) && strncasecmp((const char *)value.data, text, strlen(text)) == 0;
}

static void judge_authorization(struct http_session *http, struct http_tx *tx)
{
	struct bytes value;

	if (http_field(&tx->message[TO_SERVER], "authorization", &value, NULL) && !starts_nocase(value, "basic") &&
	    !starts_nocase(value, "digest") && !starts_nocase(value, "bearer"))
		http_event(http, tx, HTTP_EVENT_REQUEST_AUTH_UNRECOGNIZED);
}

static void determine_body(struct http_input *in)
{
	struct http_session *http = in->http;
	struct http_side *side = in->side;
	struct http_tx *tx = side->tx;
	struct http_message *m = &tx->message[TO_SERVER];
	bool before, after;
	struct bytes value;

	side->state = HTTP_FINISH;
	side->left = 0;
	if (http_field(m, "transfer-encoding", &value, NULL)) {
		if (http_find_nocase(value, "chunked") < 0 || m->version < HTTP_VERSION_1_1)
			http_event(http, tx, HTTP_EVENT_INVALID_REQUEST_TRANSFER_ENCODING);
		if (http_find_nocase(value, "chunked") >= 0)
			side->state = HTTP_READ_CHUNK_SIZE;
	} else if (http_field(m, "content-length", &value, NULL)) {
		if (!http_content_length(value, &side->left, &before, &after)) {
			http_event(http, tx, HTTP_EVENT_INVALID_REQUEST_CONTENT_LENGTH);
			side->left = 0;
			return;
		}
		if (before)
			http_event(http, tx, HTTP_EVENT_CONTENT_LENGTH_EXTRA_DATA_START);
		if (after)
			http_event(http, tx, HTTP_EVENT_CONTENT_LENGTH_EXTRA_DATA_END);
		if (side->left > 0)
			side->state = HTTP_READ_LENGTH;
	}
	side->total = tx->content_length = side->left;
}

static enum http_step read_header(struct http_input *in)
{
	struct http_tx *tx = in->side->tx;
	enum http_step step = http_read_fields(in, &tx->message[TO_SERVER]);

	if (step != HTTP_GO_ON)
		return step;
	judge_host(in->http, tx);
	judge_authorization(in->http, tx);
	http_progress(tx, TO_SERVER, HTTP_HEADERS);
	if (tx->method_id == HTTP_METHOD_CONNECT) {
		in->side->state = HTTP_WAIT_CONNECT;
		return HTTP_GO_ON;
	}
	http_body_decoding(in->http, tx, TO_SERVER);
	determine_body(in);
	return HTTP_GO_ON;
}

static enum http_step read_trailer(struct http_input *in)
{
	enum http_step step = http_read_fields(in, &in->side->tx->message[TO_SERVER]);

	if (step == HTTP_GO_ON) {
		http_progress(in->side->tx, TO_SERVER, HTTP_TRAILER);
		in->side->state = HTTP_FINISH;
	}
	return step;
}

/* --- the body ------------------------------------------------------------------------------------------------------------ */

static enum http_step read_length(struct http_input *in)
{
	size_t n = http_left(in);

	if (n == 0)
		return HTTP_NEED_MORE;
	if (n > in->side->left)
		n = (size_t)in->side->left;
	http_body_data(in->http, in->side->tx, TO_SERVER, in->at, n);
	in->at += n;
	in->side->left -= n;
	if (in->side->left == 0)
		in->side->state = HTTP_FINISH;
	return HTTP_GO_ON;
}

static enum http_step bad_chunk(struct http_input *in)
{
	http_event(in->http, in->side->tx, HTTP_EVENT_INVALID_REQUEST_CHUNK_LEN);
	return HTTP_FAIL;
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
	in->at += line.len;
	side->tx->message[TO_SERVER].body.message_bytes += line.len;
	switch (http_chunk_size(line, &side->left, &extension)) {
	case HTTP_CHUNK_SKIP:
		return HTTP_GO_ON;
	case HTTP_CHUNK_BAD:
		return bad_chunk(in);
	case HTTP_CHUNK_SIZE:
		break;
	}
	if (extension)
		http_event(in->http, side->tx, HTTP_EVENT_REQUEST_CHUNK_EXTENSION);
	side->state = side->left ? HTTP_READ_CHUNK : HTTP_READ_TRAILER;
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

	in->side->tx->message[TO_SERVER].body.message_bytes += n;
	in->at += n;
	if (!lf)
		return HTTP_NEED_MORE;
	in->side->state = HTTP_READ_CHUNK_SIZE;
	return HTTP_GO_ON;
}

/* --- the end ------------------------------------------------------------------------------------------------------------- */

void http_request_complete(struct http_session *http)
{
	struct http_side *side = &http->side[TO_SERVER];
	struct http_tx *tx = side->tx;
	bool whole = side->state == HTTP_FINISH || side->state == HTTP_WAIT_CONNECT;

	if (!tx)
		return;
	http_body_end(http, tx, TO_SERVER, whole);
	http_progress(tx, TO_SERVER, HTTP_COMPLETE);
	side->tx = NULL;
	side->state = tx->protocol_0_9 ? HTTP_DRAIN : HTTP_IDLE;
}

/* What stands behind a body and does not begin with a method belongs to the body for some server. */
static enum http_step finish(struct http_input *in)
{
	struct http_tx *tx = in->side->tx;
	struct bytes line, method;

	if (http_left(in) == 0 || tx->protocol_0_9) {
		http_request_complete(in->http);
		return HTTP_GO_ON;
	}
	if (!http_line(in, &line))
		return http_line_too_long(in) ? HTTP_FAIL : HTTP_NEED_MORE;
	method = first_word(line);
	if (method.len > 0 && http_method_of(method) != HTTP_METHOD_UNKNOWN) {
		http_request_complete(in->http);
		return HTTP_GO_ON;
	}
	if (method.len > 0)
		http_event(in->http, tx, HTTP_EVENT_REQUEST_BODY_UNEXPECTED);
	http_body_data(in->http, tx, TO_SERVER, in->at, line.len);
	in->at += line.len;
	return HTTP_GO_ON;
}

static enum http_step idle(struct http_input *in)
{
	struct bytes line;

	while (http_left(in) > 0 && http_line(in, &line) && is_blank(line))
		in->at += line.len;
	if (http_left(in) == 0)
		return HTTP_NEED_MORE;
	in->side->tx = http_tx_new(in->http);
	if (!in->side->tx)
		return HTTP_FAIL;
	in->side->state = HTTP_READ_LINE;
	return HTTP_GO_ON;
}

static enum http_step wait_connect(struct http_input *in)
{
	struct http_tx *tx = in->side->tx;

	/* The answer's line decides. */
	if (tx->tx.progress[TO_CLIENT] < HTTP_LINE)
		return HTTP_NEED_MORE;
	in->side->state = HTTP_FINISH;
	if (tx->status_code >= 200 && tx->status_code < 300) {
		http_request_complete(in->http);
		in->http->tunnel = true;
	}
	return HTTP_GO_ON;
}

/* After lost bytes a line that begins with a method and a space is a new request. */
static enum http_step resync(struct http_input *in)
{
	struct bytes line;

	while (http_left(in) > 0) {
		struct bytes here = {.data = in->at, .len = http_left(in)}, word = first_word(here);
		if (word.len < here.len && http_method_of(word) != HTTP_METHOD_UNKNOWN) {
			in->side->state = HTTP_IDLE;
			return HTTP_GO_ON;
		}
		if (!http_line(in, &line)) {
			if (here.len > HTTP_FIELD_MAX)
				in->at = in->end;
			return HTTP_NEED_MORE;
		}
		in->at += line.len;
	}
	return HTTP_NEED_MORE;
}

enum http_step http_request_step(struct http_input *in)
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
	case HTTP_READ_CHUNK_SIZE:
		return read_chunk_size(in);
	case HTTP_READ_CHUNK:
		return read_chunk(in);
	case HTTP_READ_CHUNK_END:
		return read_chunk_end(in);
	case HTTP_FINISH:
		return finish(in);
	case HTTP_WAIT_CONNECT:
		return wait_connect(in);
	case HTTP_RESYNC:
		return resync(in);
	case HTTP_READ_CLOSE:
	case HTTP_DRAIN:
		break;
	}
	in->at = in->end;
	return HTTP_NEED_MORE;
}
