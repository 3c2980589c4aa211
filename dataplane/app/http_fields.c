/* SPDX-License-Identifier: BSD-3-Clause */
#include "app/http.h"

/* What rules and records see of a transaction. */

/* The parameters of every get function of a buffer. */
#define GET(name)                                                                                                      \
	static bool name(struct app_session *session, const struct app_tx *tx, enum direction dir, unsigned index,     \
			 struct bytes *view, uint64_t *offset)

#define UNUSED_ARGS                                                                                                    \
	(void)session;                                                                                                 \
	(void)dir;                                                                                                     \
	(void)index;                                                                                                   \
	*offset = 0

static const struct http_tx *tx_of(const struct app_tx *tx)
{
	return (const struct http_tx *)tx;
}

static const struct http_message *message_of(const struct app_tx *tx, enum direction dir)
{
	return &tx_of(tx)->message[dir];
}

static bool give(bool has, struct bytes value, struct bytes *view)
{
	*view = has ? value : (struct bytes){0};
	return has;
}

/* --- lines ------------------------------------------------------------------------------------------------------------ */

GET(get_uri)
{
	UNUSED_ARGS;
	return give(tx_of(tx)->has_uri_norm, http_buf(&tx_of(tx)->uri_norm), view);
}

GET(get_uri_raw)
{
	UNUSED_ARGS;
	return give(tx_of(tx)->has_uri, http_text(message_of(tx, TO_SERVER), tx_of(tx)->uri), view);
}

GET(get_method)
{
	UNUSED_ARGS;
	return give(tx_of(tx)->has_method, http_text(message_of(tx, TO_SERVER), tx_of(tx)->method), view);
}

GET(get_protocol)
{
	const struct http_message *m = message_of(tx, dir);

	UNUSED_ARGS;
	return give(m->has_protocol, http_text(m, m->protocol), view);
}

GET(get_line)
{
	const struct http_message *m = message_of(tx, dir);

	UNUSED_ARGS;
	return give(m->has_line, http_text(m, m->line), view);
}

GET(get_status)
{
	UNUSED_ARGS;
	return give(tx_of(tx)->has_status, http_text(message_of(tx, TO_CLIENT), tx_of(tx)->status), view);
}

GET(get_reason)
{
	UNUSED_ARGS;
	return give(tx_of(tx)->has_reason, http_text(message_of(tx, TO_CLIENT), tx_of(tx)->reason), view);
}

/* --- single fields ------------------------------------------------------------------------------------------------------ */

static bool give_field(const struct app_tx *tx, enum direction dir, const char *name, struct bytes *view)
{
	*view = (struct bytes){0};
	return http_field(message_of(tx, dir), name, view, NULL);
}

#define GET_FIELD(function, name)                                                                                      \
	GET(function)                                                                                                  \
	{                                                                                                              \
		UNUSED_ARGS;                                                                                           \
		return give_field(tx, dir, name, view);                                                                \
	}

GET_FIELD(get_accept, "accept")
GET_FIELD(get_accept_encoding, "accept-encoding")
GET_FIELD(get_accept_language, "accept-language")
GET_FIELD(get_connection, "connection")
GET_FIELD(get_content_length, "content-length")
GET_FIELD(get_content_type, "content-type")
GET_FIELD(get_location, "location")
GET_FIELD(get_referer, "referer")
GET_FIELD(get_server, "server")
GET_FIELD(get_user_agent, "user-agent")

GET(get_cookie)
{
	UNUSED_ARGS;
	return give_field(tx, dir, dir == TO_SERVER ? "cookie" : "set-cookie", view);
}

GET(get_host)
{
	UNUSED_ARGS;
	return give(tx_of(tx)->has_host, http_buf(&tx_of(tx)->host), view);
}

GET(get_host_raw)
{
	UNUSED_ARGS;
	if (tx_of(tx)->has_uri_host)
		return give(true, http_buf(&tx_of(tx)->uri_host), view);
	return give_field(tx, TO_SERVER, "host", view);
}

/* --- fields put together -------------------------------------------------------------------------------------------------- */

static struct http_lazy *lazy_of(struct app_session *session, const struct app_tx *tx, enum direction dir)
{
	/* What is remembered for the next look changes nothing that others see. */
	struct http_tx *mutable = (struct http_tx *)(uintptr_t)tx;

	if (!mutable->lazy[dir])
		mutable->lazy[dir] = slab_zalloc(app_slab(session), sizeof(*mutable->lazy[dir]));
	return mutable->lazy[dir];
}

static bool add(struct slab *slab, struct slab_buf *buf, struct bytes text)
{
	return slab_buf_append(slab, buf, text.data, text.len);
}

static bool add_field(struct slab *slab, struct slab_buf *buf, const struct http_message *m, const struct http_field *f)
{
	return add(slab, buf, http_text(m, f->name)) && add(slab, buf, BYTES_LITERAL(": ")) &&
	       add(slab, buf, http_text(m, f->value)) && add(slab, buf, BYTES_LITERAL("\r\n"));
}

/* All fields, in order of their first appearance; each remembers where it stands. */
static bool build_fields(struct app_session *session, const struct http_message *m, struct http_lazy *lazy)
{
	struct slab *slab = app_slab(session);

	if (lazy->has_fields)
		return true;
	lazy->fields.len = 0;
	for (uint32_t i = 0; i < m->field_count; i++) {
		m->fields[i].joined_at = lazy->fields.len;
		if (!add_field(slab, &lazy->fields, m, &m->fields[i]))
			return false;
	}
	lazy->has_fields = true;
	return true;
}

static bool is_cookie(const struct http_message *m, const struct http_field *f, enum direction dir)
{
	return http_equal_nocase(http_text(m, f->name), dir == TO_SERVER ? "cookie" : "set-cookie");
}

GET(get_header)
{
	const struct http_message *m = message_of(tx, dir);
	struct http_lazy *lazy = lazy_of(session, tx, dir);

	(void)index;
	*offset = 0;
	*view = (struct bytes){0};
	if (!lazy)
		return false;
	if (!lazy->has_header) {
		lazy->header.len = 0;
		for (uint32_t i = 0; i < m->field_count; i++)
			if (!is_cookie(m, &m->fields[i], dir) &&
			    !add_field(app_slab(session), &lazy->header, m, &m->fields[i]))
				return false;
		lazy->has_header = true;
	}
	return give(lazy->header.len > 0, http_buf(&lazy->header), view);
}

GET(get_header_raw)
{
	const struct http_message *m = message_of(tx, dir);

	UNUSED_ARGS;
	return give(m->raw.len > 0, http_buf(&m->raw), view);
}

GET(get_header_names)
{
	const struct http_message *m = message_of(tx, dir);
	struct http_lazy *lazy = lazy_of(session, tx, dir);
	struct slab *slab = app_slab(session);

	(void)index;
	*offset = 0;
	*view = (struct bytes){0};
	if (!lazy || m->field_count == 0)
		return false;
	if (!lazy->has_names) {
		lazy->names.len = 0;
		for (uint32_t i = 0; i < m->field_count; i++)
			if (!add(slab, &lazy->names, BYTES_LITERAL("\r\n")) ||
			    !add(slab, &lazy->names, http_text(m, m->fields[i].name)))
				return false;
		if (!add(slab, &lazy->names, BYTES_LITERAL("\r\n\r\n")))
			return false;
		lazy->has_names = true;
	}
	return give(true, http_buf(&lazy->names), view);
}

GET(get_start)
{
	const struct http_message *m = message_of(tx, dir);
	struct http_lazy *lazy = lazy_of(session, tx, dir);
	struct slab *slab = app_slab(session);

	(void)index;
	*offset = 0;
	*view = (struct bytes){0};
	if (!lazy || !m->has_line || !build_fields(session, m, lazy))
		return false;
	if (!lazy->has_start) {
		lazy->start.len = 0;
		if (!add(slab, &lazy->start, http_text(m, m->line)) ||
		    !add(slab, &lazy->start, BYTES_LITERAL("\r\n")) ||
		    !add(slab, &lazy->start, http_buf(&lazy->fields)) ||
		    (m->field_count > 0 && !add(slab, &lazy->start, BYTES_LITERAL("\r\n"))))
			return false;
		lazy->has_start = true;
	}
	return give(true, http_buf(&lazy->start), view);
}

/* One "Name: value" an instance. */
GET(get_one_header)
{
	const struct http_message *m = message_of(tx, dir);
	struct http_lazy *lazy = lazy_of(session, tx, dir);
	const struct http_field *f;

	*offset = 0;
	*view = (struct bytes){0};
	if (!lazy || index >= m->field_count || !build_fields(session, m, lazy))
		return false;
	f = &m->fields[index];
	*view = (struct bytes){.data = lazy->fields.data + f->joined_at, .len = f->name.len + 2 + f->value.len};
	return true;
}

/* --- bodies and files ------------------------------------------------------------------------------------------------------- */

static bool give_window(const struct http_body *body, struct bytes *view, uint64_t *offset)
{
	*view = http_buf(&body->window);
	*offset = body->window_offset;
	return body->window.len > 0;
}

GET(get_body)
{
	(void)session;
	(void)index;
	return give_window(&message_of(tx, dir)->body, view, offset);
}

/* The index-th file of a direction. */
static const struct app_file *file_at(const struct app_tx *tx, enum direction dir, unsigned index)
{
	for (const struct app_file *file = tx->files; file; file = file->next)
		if (file->dir == dir && index-- == 0)
			return file;
	return NULL;
}

GET(get_uploaded_data)
{
	const struct app_file *file = file_at(tx, TO_SERVER, index);
	const struct app_file_store *store = (const struct app_file_store *)file;

	(void)session;
	(void)dir;
	*offset = 0;
	*view = (struct bytes){0};
	if (!file)
		return false;
	if (message_of(tx, TO_SERVER)->body.kind != HTTP_BODY_MULTIPART)
		return give_window(&message_of(tx, TO_SERVER)->body, view, offset);
	*view = http_buf(&store->window);
	*offset = store->window_offset;
	return true;
}

GET(get_file_name)
{
	const struct app_file *file = file_at(tx, dir, index);

	(void)session;
	*offset = 0;
	*view = file ? file->name : (struct bytes){0};
	return file != NULL;
}

/* --- tables -------------------------------------------------------------------------------------------------------------------- */

#define LINE(sticky, old, modifier, direction, function)                                                               \
	{                                                                                                              \
		.name = sticky, .legacy = old, .legacy_is_modifier = modifier, .dir = direction,                       \
		.progress = HTTP_LINE, .complete = HTTP_LINE, .get = function                                          \
	}
#define HEADER(sticky, old, modifier, direction, function)                                                             \
	{                                                                                                              \
		.name = sticky, .legacy = old, .legacy_is_modifier = modifier, .dir = direction,                       \
		.progress = HTTP_HEADERS, .complete = HTTP_HEADERS, .get = function                                    \
	}
#define HEADER_BOTH(sticky, old, modifier, function)                                                                   \
	HEADER(sticky, old, modifier, TO_SERVER, function), HEADER(sticky, old, modifier, TO_CLIENT, function)
#define STREAM(sticky, old, modifier, direction, more_flags, function)                                                 \
	{                                                                                                              \
		.name = sticky, .legacy = old, .legacy_is_modifier = modifier, .dir = direction,                       \
		.progress = HTTP_BODY, .complete = HTTP_COMPLETE, .flags = APP_BUFFER_STREAM | (more_flags),           \
		.get = function                                                                                        \
	}

const struct app_buffer http_buffers[] = {
	LINE("http.uri", "http_uri", true, TO_SERVER, get_uri),
	LINE("http.uri.raw", "http_raw_uri", true, TO_SERVER, get_uri_raw),
	LINE("http.method", "http_method", true, TO_SERVER, get_method),
	LINE("http.protocol", "http_protocol", false, TO_SERVER, get_protocol),
	LINE("http.protocol", "http_protocol", false, TO_CLIENT, get_protocol),
	LINE("http.request_line", "http_request_line", false, TO_SERVER, get_line),
	LINE("http.response_line", "http_response_line", false, TO_CLIENT, get_line),
	LINE("http.stat_code", "http_stat_code", true, TO_CLIENT, get_status),
	LINE("http.stat_msg", "http_stat_msg", true, TO_CLIENT, get_reason),
	HEADER_BOTH("http.header", "http_header", true, get_header),
	HEADER_BOTH("http.header.raw", "http_raw_header", true, get_header_raw),
	HEADER_BOTH("http.header_names", "http_header_names", false, get_header_names),
	HEADER_BOTH("http.cookie", "http_cookie", true, get_cookie),
	HEADER_BOTH("http.start", "http_start", false, get_start),
	HEADER_BOTH("http.connection", "http_connection", false, get_connection),
	HEADER_BOTH("http.content_type", "http_content_type", false, get_content_type),
	HEADER_BOTH("http.content_len", "http_content_len", false, get_content_length),
	HEADER("http.user_agent", "http_user_agent", true, TO_SERVER, get_user_agent),
	HEADER("http.host", "http_host", true, TO_SERVER, get_host),
	HEADER("http.host.raw", "http_raw_host", true, TO_SERVER, get_host_raw),
	HEADER("http.accept", "http_accept", false, TO_SERVER, get_accept),
	HEADER("http.accept_enc", "http_accept_enc", false, TO_SERVER, get_accept_encoding),
	HEADER("http.accept_lang", "http_accept_lang", false, TO_SERVER, get_accept_language),
	HEADER("http.referer", "http_referer", false, TO_SERVER, get_referer),
	HEADER("http.location", NULL, false, TO_CLIENT, get_location),
	HEADER("http.server", NULL, false, TO_CLIENT, get_server),
	{.name = "http.request_header",
	 .dir = TO_SERVER,
	 .progress = HTTP_HEADERS,
	 .complete = HTTP_HEADERS,
	 .flags = APP_BUFFER_MULTI,
	 .get = get_one_header},
	{.name = "http.response_header",
	 .dir = TO_CLIENT,
	 .progress = HTTP_HEADERS,
	 .complete = HTTP_HEADERS,
	 .flags = APP_BUFFER_MULTI,
	 .get = get_one_header},
	STREAM("http.request_body", "http_client_body", true, TO_SERVER, 0, get_body),
	STREAM("http.response_body", "http_server_body", true, TO_CLIENT, 0, get_body),
	STREAM("file.data", "file_data", false, TO_SERVER, APP_BUFFER_MULTI | APP_BUFFER_FILE, get_uploaded_data),
	STREAM("file.data", "file_data", false, TO_CLIENT, APP_BUFFER_FILE, get_body),
	{.name = "file.name",
	 .dir = TO_SERVER,
	 .progress = HTTP_BODY,
	 .complete = HTTP_COMPLETE,
	 .flags = APP_BUFFER_MULTI,
	 .get = get_file_name},
	{.name = "file.name",
	 .dir = TO_CLIENT,
	 .progress = HTTP_BODY,
	 .complete = HTTP_COMPLETE,
	 .flags = APP_BUFFER_MULTI,
	 .get = get_file_name},
	{0},
};

const struct app_value http_values[] = {{0}};

const char *const http_event_names[] = {
#define X(id, name) name,
	HTTP_EVENTS(X)
#undef X
		NULL,
};

/* --- records ---------------------------------------------------------------------------------------------------------------------- */

static void tell_field(struct field_sink *sink, const char *name, const struct http_message *m, const char *field)
{
	struct bytes value;

	if (http_field(m, field, &value, NULL))
		sink->text(sink, name, value);
}

static void tell_response_header(struct field_sink *sink, const struct http_message *m)
{
	struct bytes value;
	struct http_range range;

	if (http_field(m, "content-type", &value, NULL)) {
		const uint8_t *end = value.len ? memchr(value.data, ';', value.len) : NULL;
		if (end)
			value.len = (size_t)(end - value.data);
		sink->text(sink, "http_content_type", value);
	}
	if (http_field(m, "content-range", &value, NULL)) {
		sink->object(sink, "content_range");
		sink->text(sink, "raw", value);
		if (http_content_range(value, &range)) {
			if (range.start >= 0)
				sink->number(sink, "start", range.start);
			if (range.end >= 0)
				sink->number(sink, "end", range.end);
			if (range.size >= 0)
				sink->number(sink, "size", range.size);
		}
		sink->close(sink);
	}
}

void http_fields_of(struct app_session *session, const struct app_tx *head, struct field_sink *sink)
{
	const struct http_tx *tx = tx_of(head);
	const struct http_message *request = &tx->message[TO_SERVER], *response = &tx->message[TO_CLIENT];

	(void)session;
	if (tx->has_host)
		sink->text(sink, "hostname", http_buf(&tx->host));
	if (tx->port >= 0)
		sink->number(sink, "http_port", tx->port);
	if (tx->has_uri)
		sink->text(sink, "url", http_text(request, tx->uri));
	tell_field(sink, "http_user_agent", request, "user-agent");
	tell_field(sink, "xff", request, "x-forwarded-for");
	tell_response_header(sink, response);
	tell_field(sink, "http_refer", request, "referer");
	if (tx->has_method)
		sink->text(sink, "http_method", http_text(request, tx->method));
	if (request->has_protocol)
		sink->text(sink, "protocol", http_text(request, request->protocol));
	if (tx->status_code)
		sink->number(sink, "status", tx->status_code);
	else if (tx->has_status)
		sink->text(sink, "status_string", http_text(response, tx->status));
	tell_field(sink, "redirect", response, "location");
	sink->number(sink, "length", (int64_t)response->body.message_bytes);
}
