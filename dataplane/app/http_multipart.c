/* SPDX-License-Identifier: BSD-3-Clause */
#include "app/http.h"

/*
 * multipart/form-data, incrementally: parts with a file name become files of the transaction. Only what may still be a
 * delimiter or a header line is held back.
 */

/* RFC 2046 allows 70; some clients send more. */
#define BOUNDARY_MAX 200
/* A part's header lines are short; a longer one is not looked at. */
#define PART_LINE_MAX 8192
#define FILES_MAX     64

enum phase {
	PREAMBLE,  /* before the first delimiter */
	DELIMITER, /* behind a delimiter, before its line end */
	PART_HEADER,
	PART_DATA,
	EPILOGUE,
};

struct http_multipart {
	struct http_session *http;
	enum phase phase;
	struct slab_buf pending;
	struct app_file *file; /* of the part at hand */
	bool named;	       /* the part has a file name */
	bool any_data;
	unsigned files;
	size_t delimiter_len;
	uint8_t delimiter[BOUNDARY_MAX + 3]; /* LF "--" boundary */
};

/* A parameter's value, quoted or not; `parameter` is lower case and ends with '='. */
bool http_disposition(struct bytes value, const char *parameter, struct bytes *found)
{
	size_t want = strlen(parameter), i = 0;

	while (i < value.len) {
		size_t begin, stop;
		bool quoted = false;
		while (i < value.len && (http_is_space(value.data[i]) || value.data[i] == ';'))
			i++;
		begin = i;
		for (; i < value.len && (quoted || value.data[i] != ';'); i++)
			if (value.data[i] == '"' && (i == 0 || value.data[i - 1] != '\\'))
				quoted = !quoted;
		stop = i;
		if (stop - begin <= want || strncasecmp((const char *)value.data + begin, parameter, want) != 0)
			continue;
		begin += want;
		if (value.data[begin] == '"')
			begin++;
		if (stop > begin && value.data[stop - 1] == '"')
			stop--;
		*found = (struct bytes){.data = value.data + begin, .len = stop - begin};
		return true;
	}
	return false;
}

struct http_multipart *http_multipart_new(struct http_session *http, struct bytes content_type)
{
	struct bytes boundary;
	struct http_multipart *m;

	if (http_find_nocase(content_type, "multipart/") != 0 ||
	    !http_disposition(content_type, "boundary=", &boundary) || boundary.len == 0 || boundary.len > BOUNDARY_MAX)
		return NULL;
	m = slab_zalloc(app_slab(http->app), sizeof(*m));
	if (!m)
		return NULL;
	m->http = http;
	memcpy(m->delimiter, "\n--", 3);
	memcpy(m->delimiter + 3, boundary.data, boundary.len);
	m->delimiter_len = boundary.len + 3;
	return m;
}

void http_multipart_free(struct http_multipart *m)
{
	if (!m)
		return;
	slab_buf_free(app_slab(m->http->app), &m->pending);
	slab_free(app_slab(m->http->app), m, sizeof(*m));
}

static void close_part(struct http_multipart *m, struct http_tx *tx, enum app_file_state state)
{
	if (m->named && !m->any_data && state == APP_FILE_CLOSED)
		http_event(m->http, tx, HTTP_EVENT_MULTIPART_NO_FILEDATA);
	if (m->file)
		app_file_close(m->http->app, m->file, state);
	m->file = NULL;
	m->named = m->any_data = false;
}

static void part_data(struct http_multipart *m, const uint8_t *data, size_t len)
{
	if (len == 0)
		return;
	m->any_data = true;
	if (m->file)
		app_file_data_keep(m->http->app, m->file, data, len);
}

static void part_header_line(struct http_multipart *m, struct http_tx *tx, struct bytes line)
{
	static const char field[] = "content-disposition:";
	struct bytes value, name;

	if (!memchr(line.data, ':', line.len)) {
		http_event(m->http, tx, HTTP_EVENT_MULTIPART_INVALID_HEADER);
		return;
	}
	if (line.len < sizeof(field) - 1 || strncasecmp((const char *)line.data, field, sizeof(field) - 1) != 0)
		return;
	value = (struct bytes){.data = line.data + sizeof(field) - 1, .len = line.len - (sizeof(field) - 1)};
	if (!http_disposition(value, "filename=", &name) || name.len == 0 || m->file)
		return;
	m->named = true;
	if (name.len > APP_FILE_NAME_MAX)
		http_event(m->http, tx, HTTP_EVENT_FILE_NAME_TOO_LONG);
	if (m->files++ < FILES_MAX)
		m->file = app_file_open(m->http->app, &tx->tx, m->http->files++, TO_SERVER, name);
}

/* Each takes what it can from the front of `rest`; false when it needs more. */

static bool take_delimiter_tail(struct http_multipart *m, struct bytes *rest)
{
	const uint8_t *lf;

	if (rest->len >= 2 && rest->data[0] == '-' && rest->data[1] == '-') {
		m->phase = EPILOGUE;
		rest->len = 0;
		return true;
	}
	lf = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;
	if (!lf)
		return false;
	rest->len -= (size_t)(lf - rest->data) + 1;
	rest->data = lf + 1;
	m->phase = PART_HEADER;
	return true;
}

static bool take_header_line(struct http_multipart *m, struct http_tx *tx, struct bytes *rest)
{
	const uint8_t *lf = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;
	struct bytes line;

	if (!lf) {
		if (rest->len <= PART_LINE_MAX)
			return false;
		http_event(m->http, tx, HTTP_EVENT_MULTIPART_INVALID_HEADER);
		rest->len = 0;
		return true;
	}
	line = http_trim((struct bytes){.data = rest->data, .len = (size_t)(lf - rest->data)});
	/* The line feed that ends the header may begin the next delimiter: it is left. */
	if (line.len == 0) {
		m->phase = PART_DATA;
		rest->len -= (size_t)(lf - rest->data) + 1;
		rest->data = lf + 1;
		return true;
	}
	part_header_line(m, tx, line);
	rest->len -= (size_t)(lf - rest->data) + 1;
	rest->data = lf + 1;
	return true;
}

static bool take_data(struct http_multipart *m, struct http_tx *tx, struct bytes *rest)
{
	bool data = m->phase == PART_DATA;
	const uint8_t *found = memmem(rest->data, rest->len, m->delimiter, m->delimiter_len);
	size_t len = found ? (size_t)(found - rest->data) : 0, past = len + m->delimiter_len;
	bool at_once = false;

	/* At its very start a body has the delimiter without a line end, as has a part that is empty. */
	if ((m->phase == PREAMBLE || !m->any_data) && rest->len >= m->delimiter_len - 1 &&
	    memcmp(rest->data, m->delimiter + 1, m->delimiter_len - 1) == 0)
		at_once = true;
	if (at_once) {
		len = 0;
		past = m->delimiter_len - 1;
	} else if (!found) {
		/* a CR may belong to the delimiter too */
		size_t held = m->delimiter_len + 1;
		if (rest->len <= held)
			return false;
		len = rest->len - held;
		if (data)
			part_data(m, rest->data, len);
		rest->data += len;
		rest->len = held;
		return false;
	}
	if (data) {
		part_data(m, rest->data, len > 0 && rest->data[len - 1] == '\r' ? len - 1 : len);
		close_part(m, tx, APP_FILE_CLOSED);
	}
	rest->len -= past;
	rest->data += past;
	m->phase = DELIMITER;
	return true;
}

void http_multipart_feed(struct http_multipart *m, struct http_tx *tx, const uint8_t *data, size_t len)
{
	struct bytes rest;
	bool more = true;

	if (m->phase == EPILOGUE)
		return;
	if (!slab_buf_append(app_slab(m->http->app), &m->pending, data, len)) {
		close_part(m, tx, APP_FILE_ERROR);
		m->phase = EPILOGUE;
		return;
	}
	rest = http_buf(&m->pending);
	while (more && rest.len > 0) {
		switch (m->phase) {
		case PREAMBLE:
		case PART_DATA:
			more = take_data(m, tx, &rest);
			break;
		case DELIMITER:
			more = take_delimiter_tail(m, &rest);
			break;
		case PART_HEADER:
			more = take_header_line(m, tx, &rest);
			break;
		case EPILOGUE:
			rest.len = 0;
			break;
		}
	}
	slab_buf_shift(&m->pending, m->pending.len - rest.len);
}

void http_multipart_end(struct http_multipart *m, struct http_tx *tx, bool whole)
{
	(void)whole;
	if (m->phase == PART_DATA)
		part_data(m, m->pending.data, m->pending.len);
	if (m->phase != EPILOGUE)
		close_part(m, tx, APP_FILE_TRUNCATED);
	m->phase = EPILOGUE;
	m->pending.len = 0;
}
