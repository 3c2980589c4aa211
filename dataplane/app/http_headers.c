/* SPDX-License-Identifier: BSD-3-Clause */
#include "app/http.h"

/*
 * Header fields. A response's line may end with CR LF, LF CR, LF or CR alone; a request's with CR LF or LF. A line that
 * begins with a space, a tab or a NUL goes on with the value before it; in a response only when it does not look like a
 * field of its own, as browsers see it. What needs one more byte to be told waits for it.
 */

/* Folded lines joined in one value. */
#define FOLDS_MAX 128
/* Where a colon is looked for: a name in tiny segments is read anew with each, so this bounds the work. */
#define NAME_MAX_BYTES 1024

struct reader {
	struct http_input *in;
	struct http_message *m;
	const uint8_t *at, *end;
	bool request;
	bool last; /* nothing follows: what is here must do */
};

enum found {
	FOUND,
	FOUND_NOT,
	FOUND_SHORT, /* more bytes must tell */
};

struct field_flags {
	bool missing_colon, empty_name, name_space_before, name_space_after, name_not_token, deformed_eol;
};

static bool is_token(uint8_t c)
{
	return c > ' ' && c < 0x7f && !strchr("()<>@,;:\\\"/[]?={}", c);
}

/* The length of the line end at p; 0 when there is none. */
static size_t line_end(const struct reader *r, const uint8_t *p)
{
	size_t left = (size_t)(r->end - p);

	if (left == 0)
		return 0;
	if (p[0] == '\r') {
		if (left > 1 && p[1] == '\n')
			return 2;
		return r->request ? 0 : 1;
	}
	if (p[0] != '\n')
		return 0;
	return !r->request && left > 1 && p[1] == '\r' ? 2 : 1;
}

static bool starts(const uint8_t *p, const uint8_t *end, const char *text, size_t len)
{
	return (size_t)(end - p) >= len && memcmp(p, text, len) == 0;
}

static bool starts_lf(const uint8_t *p, const uint8_t *end)
{
	return starts(p, end, "\n", 1) || starts(p, end, "\r\n", 2);
}

/* Mixtures of line ends that count as one where an end of header seems to stand but is none. */
static size_t deformed_line_end(const struct reader *r, const uint8_t *p)
{
	const uint8_t *q;

	if (starts(p, r->end, "\n\r\r\n", 4) && starts_lf(p + 4, r->end))
		return 4;
	if (r->request)
		return starts(p, r->end, "\n\r\r\n", 4) ? 2 : 0;
	if (!starts(p, r->end, "\r\n\r", 3))
		return 0;
	for (q = p + 3; q < r->end && (*q == '\r' || *q == ' ' || *q == '\t'); q++)
		;
	if (q == p + 3)
		return 0;
	if (q < r->end && *q == '\n')
		q++;
	return starts_lf(q, r->end) ? 0 : (size_t)(q - p);
}

/* The first byte that may end a line, or NULL. */
static const uint8_t *find_line_end(const struct reader *r, const uint8_t *p)
{
	const uint8_t *lf = p < r->end ? memchr(p, '\n', (size_t)(r->end - p)) : NULL;
	const uint8_t *limit = lf ? lf : r->end;
	const uint8_t *cr;

	if (r->request)
		return lf && lf > p && lf[-1] == '\r' ? lf - 1 : lf;
	cr = p < limit ? memchr(p, '\r', (size_t)(limit - p)) : NULL;
	return cr ? cr : lf;
}

/* Whether what stands behind a fold is a field by itself: token, colon. */
static enum found looks_like_field(const struct reader *r, const uint8_t *p)
{
	const uint8_t *token;

	while (p < r->end && (*p == ' ' || *p == '\t'))
		p++;
	for (token = p; p < r->end && is_token(*p);)
		p++;
	if (p == r->end)
		return r->last ? FOUND_NOT : FOUND_SHORT;
	if (p == token)
		return FOUND_NOT;
	while (p < r->end && (*p == ' ' || *p == '\t'))
		p++;
	if (p == r->end)
		return r->last ? FOUND_NOT : FOUND_SHORT;
	return *p == ':' ? FOUND : FOUND_NOT;
}

/* One line of a value: [*begin, *stop), its line end, and whether the next line goes on with it (past *next, of which the
 * first byte is the fold's). */
struct value_line {
	const uint8_t *begin, *stop, *next;
	size_t eol;
	bool folded, deformed;
};

static enum found read_value_line(const struct reader *r, const uint8_t *p, struct value_line *line)
{
	const uint8_t *eol = find_line_end(r, p);
	size_t deformed;

	*line = (struct value_line){.begin = p};
	if (!eol) {
		if (!r->last)
			return FOUND_SHORT;
		line->stop = line->next = r->end;
		return FOUND;
	}
	line->stop = eol;
	line->eol = line_end(r, eol);
	line->next = eol + line->eol;
	if (line->next == r->end)
		return r->last ? FOUND : FOUND_SHORT;
	if (*line->next == ' ' || *line->next == '\t' || *line->next == 0) {
		line->folded = true;
		return FOUND;
	}
	deformed = deformed_line_end(r, eol);
	if (deformed) {
		line->eol = deformed;
		line->next = eol + deformed;
		line->deformed = true;
	}
	return FOUND;
}

static bool append(struct reader *r, const uint8_t *data, size_t len)
{
	if (r->m->text.len + len > HTTP_FIELDS_BYTES_MAX)
		return false;
	return slab_buf_append(app_slab(r->in->http->app), &r->m->text, data, len);
}

static bool append_bytes(struct reader *r, struct bytes b)
{
	return append(r, b.data, b.len);
}

/* Reads a value with its foldings into the message's text; *p moves behind it. */
static enum found read_value(struct reader *r, const uint8_t **p, struct http_span *value, bool *deformed)
{
	uint32_t begin = r->m->text.len;
	struct value_line line;
	const uint8_t *rest, *i;
	enum found found = read_value_line(r, *p, &line);

	if (found != FOUND)
		return found;
	*deformed = line.deformed;
	append(r, line.begin, (size_t)(line.stop - line.begin));
	rest = line.next;
	for (int folds = 0; line.folded && folds < FOLDS_MAX; folds++) {
		uint8_t fold = *line.next;
		i = line.next + 1;
		if (folds == 0)
			rest = i;
		if (!r->request) {
			found = looks_like_field(r, i);
			if (found == FOUND_SHORT)
				return found;
			if (found == FOUND) {
				rest = i;
				break;
			}
		}
		found = read_value_line(r, i, &line);
		if (found != FOUND)
			return found;
		if (r->m->text.len > begin)
			append(r, &fold, 1);
		if (line.stop > line.begin || line.eol > 1) {
			append(r, line.begin, (size_t)(line.stop - line.begin));
			rest = line.folded ? line.next + 1 : line.next;
		} else if (line.next < r->end && *line.next == '\n') {
			rest = line.next; /* an empty folded line before an empty line */
		}
	}
	struct bytes whole = {.data = r->m->text.data + begin, .len = r->m->text.len - begin};
	struct bytes trimmed = http_trim(whole);
	value->at = begin + (uint32_t)(trimmed.len ? trimmed.data - whole.data : 0);
	value->len = (uint32_t)trimmed.len;
	*p = rest;
	return FOUND;
}

/* The end of a name that starts at p: its colon (FOUND), or that the line has none (FOUND_NOT). A name may go on over a
 * line end that a space follows. */
static enum found find_colon(const struct reader *r, const uint8_t *p, const uint8_t **colon)
{
	const uint8_t *stop = (size_t)(r->end - p) > NAME_MAX_BYTES ? p + NAME_MAX_BYTES : r->end;
	uint8_t ended = 0;

	for (; p < stop; p++) {
		if (ended) {
			if (*p == ' ')
				ended = 0;
			else if (*p == '\n' && ended == '\r')
				ended = '\n';
			else
				return FOUND_NOT;
		} else if (*p == ':') {
			*colon = p;
			return FOUND;
		} else if (*p == '\n' || (*p == '\r' && !r->request)) {
			ended = *p;
		}
	}
	return r->last || stop < r->end ? FOUND_NOT : FOUND_SHORT;
}

static void judge_name(struct bytes raw, struct field_flags *flags)
{
	struct bytes name = http_trim(raw);

	if (raw.len == 0) {
		flags->empty_name = true;
		return;
	}
	flags->name_space_before = http_is_space(raw.data[0]);
	flags->name_space_after = http_is_space(raw.data[raw.len - 1]);
	for (size_t i = 0; i < name.len; i++)
		if (!is_token(name.data[i]))
			flags->name_not_token = true;
}

static void field_events(struct reader *r, const struct field_flags *f)
{
	struct http_session *http = r->in->http;
	struct http_tx *tx = r->in->side->tx;
	bool q = r->request;

	if (f->deformed_eol && !q)
		http_event(http, tx, HTTP_EVENT_DEFORMED_EOL);
	if (f->name_space_after)
		http_event(http, tx,
			   q ? HTTP_EVENT_REQUEST_INVALID_LWS_AFTER_NAME : HTTP_EVENT_RESPONSE_INVALID_LWS_AFTER_NAME);
	if (f->name_space_before)
		http_event(http, tx,
			   q ? HTTP_EVENT_INVALID_REQUEST_FIELD_FOLDING : HTTP_EVENT_INVALID_RESPONSE_FIELD_FOLDING);
	if (f->name_not_token)
		http_event(http, tx, q ? HTTP_EVENT_REQUEST_HEADER_INVALID : HTTP_EVENT_RESPONSE_HEADER_NAME_NOT_TOKEN);
	if (f->missing_colon)
		http_event(http, tx,
			   q ? HTTP_EVENT_REQUEST_FIELD_MISSING_COLON : HTTP_EVENT_RESPONSE_FIELD_MISSING_COLON);
	else if (f->empty_name)
		http_event(http, tx,
			   q ? HTTP_EVENT_REQUEST_INVALID_EMPTY_NAME : HTTP_EVENT_RESPONSE_INVALID_EMPTY_NAME);
}

static struct http_field *same_name(struct http_message *m, struct bytes name)
{
	for (uint32_t i = 0; i < m->field_count; i++) {
		struct http_field *f = &m->fields[i];
		if (f->name.len == name.len &&
		    strncasecmp((const char *)m->text.data + f->name.at, (const char *)name.data, name.len) == 0)
			return f;
	}
	return NULL;
}

/* A field seen before: values are joined by a comma, but of lengths the first holds. */
static void repeat_field(struct reader *r, struct http_field *f, struct http_span value)
{
	struct http_message *m = r->m;
	struct http_session *http = r->in->http;
	struct http_tx *tx = r->in->side->tx;
	uint64_t a, b;
	bool before, after;
	uint32_t at = m->text.len;

	if (!f->repeated)
		http_event(http, tx,
			   r->request ? HTTP_EVENT_REQUEST_HEADER_REPETITION : HTTP_EVENT_RESPONSE_HEADER_REPETITION);
	else if (m->repetitions++ >= HTTP_REPETITIONS_MAX)
		return;
	f->repeated = true;
	if (http_equal_nocase(http_text(m, f->name), "content-length")) {
		if (!http_content_length(http_text(m, f->value), &a, &before, &after) ||
		    !http_content_length(http_text(m, value), &b, &before, &after) || a != b)
			http_event(http, tx,
				   r->request ? HTTP_EVENT_DUPLICATE_REQUEST_CONTENT_LENGTH
					      : HTTP_EVENT_DUPLICATE_RESPONSE_CONTENT_LENGTH);
		return;
	}
	if (m->text.len + f->value.len + value.len + 2 > HTTP_FIELDS_BYTES_MAX ||
	    !slab_buf_reserve(app_slab(http->app), &m->text, f->value.len + value.len + 2))
		return;
	append_bytes(r, http_text(m, f->value));
	append(r, (const uint8_t *)", ", 2);
	append_bytes(r, http_text(m, value));
	f->value = (struct http_span){.at = at, .len = m->text.len - at};
}

static bool grow_fields(struct reader *r)
{
	struct http_message *m = r->m;
	struct slab *slab = app_slab(r->in->http->app);
	uint32_t cap = m->field_cap ? m->field_cap * 2 : 16;
	struct http_field *fields;

	if (m->field_count < m->field_cap)
		return true;
	fields = slab_alloc(slab, cap * sizeof(*fields));
	if (!fields)
		return false;
	if (m->field_count)
		memcpy(fields, m->fields, m->field_count * sizeof(*fields));
	slab_free(slab, m->fields, m->field_cap * sizeof(*fields));
	m->fields = fields;
	m->field_cap = cap;
	return true;
}

static bool add_field(struct reader *r, struct http_span name, struct http_span value)
{
	struct http_message *m = r->m;
	struct http_field *f = same_name(m, http_text(m, name));

	if (f) {
		repeat_field(r, f, value);
		return true;
	}
	if (m->field_count >= HTTP_FIELDS_MAX) {
		http_event(r->in->http, r->in->side->tx,
			   r->request ? HTTP_EVENT_REQUEST_TOO_MANY_HEADERS : HTTP_EVENT_RESPONSE_TOO_MANY_HEADERS);
		return false;
	}
	if (!grow_fields(r))
		return false;
	m->fields[m->field_count++] = (struct http_field){.name = name, .value = value};
	return true;
}

/* Reads one field at r->at. */
static enum found read_field(struct reader *r)
{
	uint32_t before = r->m->text.len;
	struct http_span name = {.at = before}, value = {0};
	struct field_flags flags = {0};
	const uint8_t *colon = NULL, *p = r->at;
	enum found found;

	if (!r->last && !find_line_end(r, p))
		return FOUND_SHORT;
	found = find_colon(r, p, &colon);

	if (found == FOUND_SHORT)
		return found;
	if (found == FOUND) {
		struct bytes raw = {.data = p, .len = (size_t)(colon - p)}, trimmed = http_trim(raw);
		judge_name(raw, &flags);
		append_bytes(r, trimmed);
		name.len = (uint32_t)trimmed.len;
		for (p = colon + 1; p < r->end && (*p == ' ' || *p == '\t');)
			p++;
		if (p == r->end && !r->last)
			found = FOUND_SHORT;
	} else {
		flags.missing_colon = true;
	}
	if (found != FOUND_SHORT)
		found = read_value(r, &p, &value, &flags.deformed_eol);
	if (found == FOUND_SHORT) {
		r->m->text.len = before;
		return found;
	}
	field_events(r, &flags);
	if (r->m->text.len > HTTP_FIELDS_BYTES_MAX - HTTP_FIELD_MAX || !add_field(r, name, value))
		return FOUND_NOT;
	r->at = p;
	return FOUND;
}

enum http_step http_read_fields(struct http_input *in, struct http_message *m)
{
	struct reader r = {
		.in = in,
		.m = m,
		.at = in->at,
		.end = in->end,
		.request = in->dir == TO_SERVER,
		.last = in->eof,
	};
	enum http_step step = HTTP_GO_ON;
	struct http_lazy *lazy = in->side->tx->lazy[in->dir];
	size_t eol;

	if (lazy) /* what was put together is no longer all */
		lazy->has_fields = lazy->has_header = lazy->has_names = lazy->has_start = false;
	for (;;) {
		if (r.at == r.end) {
			step = in->eof ? HTTP_GO_ON : HTTP_NEED_MORE;
			break;
		}
		eol = line_end(&r, r.at);
		if (eol == 1 && *r.at == '\r' && r.at + 1 == r.end && !r.last) {
			step = HTTP_NEED_MORE;
			break;
		}
		if (eol) {
			bool first = m->raw.len == 0 && r.at == in->at;
			r.at += eol;
			/* Behind a status line that ended with LF, a CR alone is the other half of its line end. */
			if (first && eol == 1 && r.at[-1] == '\r')
				continue;
			break;
		}
		enum found found = read_field(&r);
		if (found != FOUND) {
			step = found == FOUND_SHORT ? HTTP_NEED_MORE : HTTP_FAIL;
			break;
		}
	}
	slab_buf_append(app_slab(in->http->app), &m->raw, in->at, (size_t)(r.at - in->at));
	in->at = r.at;
	if (step == HTTP_NEED_MORE && http_line_too_long(in))
		return HTTP_FAIL;
	return step;
}

bool http_field(const struct http_message *m, const char *name, struct bytes *value, bool *repeated)
{
	for (uint32_t i = 0; i < m->field_count; i++)
		if (http_equal_nocase_nul(http_text(m, m->fields[i].name), name)) {
			*value = http_text(m, m->fields[i].value);
			if (repeated)
				*repeated = m->fields[i].repeated;
			return true;
		}
	return false;
}
