/* SPDX-License-Identifier: BSD-3-Clause */
#include "app/http.h"

#include "app/protos.h"

/* The session: recognition, the two directions' states, lost bytes, the end. */

/* --- recognition ------------------------------------------------------------------------------------------------------ */

/* The longest name of a method that connections begin with. */
#define METHOD_MAX 16

static enum app_probe probe_request(struct bytes data)
{
	static const char *const methods[] = {
		"GET",
		"PUT",
		"POST",
		"HEAD",
		"TRACE",
		"OPTIONS",
		"CONNECT",
		"DELETE",
		"PATCH",
		"PROPFIND",
		"PROPPATCH",
		"MKCOL",
		"COPY",
		"MOVE",
		"LOCK",
		"UNLOCK",
		"CHECKOUT",
		"UNCHECKOUT",
		"CHECKIN",
		"UPDATE",
		"LABEL",
		"REPORT",
		"MKWORKSPACE",
		"MKACTIVITY",
		"MERGE",
		"INVALID",
		"VERSION-CONTROL",
		"BASELINE-CONTROL",
	};
	enum app_probe best = APP_PROBE_NO;

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		size_t len = strlen(methods[i]);
		size_t n = data.len < len ? data.len : len;
		if (strncasecmp((const char *)data.data, methods[i], n) != 0)
			continue;
		if (data.len <= len)
			best = APP_PROBE_MAYBE;
		else if (data.data[len] == ' ' || data.data[len] == '\t')
			return APP_PROBE_YES;
	}
	return best;
}

static enum app_probe probe_response(struct bytes data)
{
	static const char *const versions[] = {"HTTP/0.9", "HTTP/1.0", "HTTP/1.1"};

	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		size_t n = data.len < 8 ? data.len : 8;
		if (strncasecmp((const char *)data.data, versions[i], n) == 0)
			return data.len < 8 ? APP_PROBE_MAYBE : APP_PROBE_YES;
	}
	return APP_PROBE_NO;
}

/* Leading line ends and space do not hide a message: servers skip them. */
static enum app_probe probe(struct bytes data, enum direction dir, bool udp, const uint16_t ports[static 2])
{
	size_t space = 0;

	(void)udp;
	(void)ports;
	while (space < data.len && space < METHOD_MAX && http_is_space(data.data[space]))
		space++;
	data.data += space;
	data.len -= space;
	if (data.len == 0)
		return space < METHOD_MAX ? APP_PROBE_MAYBE : APP_PROBE_NO;
	return dir == TO_SERVER ? probe_request(data) : probe_response(data);
}

/* --- state -------------------------------------------------------------------------------------------------------------- */

static void *state_new(struct app_session *session)
{
	struct http_session *http = slab_zalloc(app_slab(session), sizeof(*http));

	if (http)
		http->app = session;
	return http;
}

static void state_free(struct app_session *session, void *state)
{
	slab_free(app_slab(session), state, sizeof(struct http_session));
}

struct http_tx *http_tx_new(struct http_session *http)
{
	struct http_tx *tx = (struct http_tx *)app_tx_new(http->app, sizeof(*tx));

	if (!tx)
		return NULL;
	tx->session = http;
	tx->port = -1;
	return tx;
}

static void tx_free(struct app_session *session, struct app_tx *head)
{
	struct http_tx *tx = (struct http_tx *)head;
	struct slab *slab = app_slab(session);

	for (int dir = 0; dir < 2; dir++) {
		struct http_message *m = &tx->message[dir];
		if (tx->session->side[dir].tx == tx) {
			/* What follows cannot be told apart any more. */
			tx->session->side[dir].tx = NULL;
			tx->session->side[dir].state = HTTP_RESYNC;
		}
		http_body_free(tx->session, &m->body);
		slab_buf_free(slab, &m->text);
		slab_buf_free(slab, &m->raw);
		slab_free(slab, m->fields, m->field_cap * sizeof(*m->fields));
		if (tx->lazy[dir]) {
			slab_buf_free(slab, &tx->lazy[dir]->fields);
			slab_buf_free(slab, &tx->lazy[dir]->header);
			slab_buf_free(slab, &tx->lazy[dir]->names);
			slab_buf_free(slab, &tx->lazy[dir]->start);
			slab_free(slab, tx->lazy[dir], sizeof(*tx->lazy[dir]));
		}
	}
	app_files_free(session, head);
	slab_buf_free(slab, &tx->uri_norm);
	slab_buf_free(slab, &tx->host);
	slab_buf_free(slab, &tx->uri_host);
	slab_free(slab, tx, sizeof(*tx));
}

void http_event(struct http_session *http, struct http_tx *tx, enum http_event event)
{
	if (!tx)
		tx = (struct http_tx *)app_session_tx_last(http->app);
	if (!tx)
		tx = http_tx_new(http);
	if (tx)
		app_tx_event(&tx->tx, event);
}

/* --- input -------------------------------------------------------------------------------------------------------------- */

static bool in_body(enum http_state state)
{
	return state == HTTP_READ_LENGTH || state == HTTP_READ_CHUNK || state == HTTP_READ_CLOSE;
}

static void complete(struct http_session *http, enum direction dir)
{
	if (dir == TO_SERVER)
		http_request_complete(http);
	else
		http_response_complete(http);
}

/* A gap inside a body is only a hole in it. Elsewhere the message is over, and a new one must show itself. */
static void take_gap(struct http_session *http, enum direction dir, uint64_t gap)
{
	struct http_side *side = &http->side[dir];

	if (side->state == HTTP_DRAIN)
		return;
	if (side->tx && in_body(side->state) && (side->state == HTTP_READ_CLOSE || gap <= side->left)) {
		http_body_gap(http, side->tx, dir, gap);
		if (side->state == HTTP_READ_CLOSE)
			return;
		side->left -= gap;
		if (side->left == 0)
			side->state = side->state == HTTP_READ_CHUNK ? HTTP_READ_CHUNK_END : HTTP_FINISH;
		return;
	}
	if (side->tx || side->state != HTTP_FINISH)
		http_event(http, side->tx, HTTP_EVENT_INVALID_GAP);
	complete(http, dir);
	side->state = HTTP_RESYNC;
}

static enum http_step run(struct http_input *in)
{
	enum http_step step;

	do {
		const uint8_t *at = in->at;
		enum http_state state = in->side->state;
		step = in->dir == TO_SERVER ? http_request_step(in) : http_response_step(in);
		/* Every step consumes or changes the state; this only guards against ours that would not. */
		if (step == HTTP_GO_ON && in->at == at && in->side->state == state && in->at == in->end)
			step = HTTP_NEED_MORE;
	} while (step == HTTP_GO_ON && !(in->http->tunnel && in->side->state == HTTP_IDLE));
	return step;
}

static int64_t parse(struct app_session *session, void *state, const struct app_input *input)
{
	struct http_session *http = state;
	struct http_input in = {
		.http = http,
		.side = &http->side[input->dir],
		.dir = input->dir,
		.at = input->data.data,
		.end = input->data.data + input->data.len,
		.eof = input->eof,
	};

	(void)session;
	if (http->tunnel && in.side->state == HTTP_IDLE && !in.side->tx) {
		if (input->data.len > 0)
			return APP_PARSE_SWITCH;
		return 0;
	}
	if (input->gap)
		take_gap(http, input->dir, input->gap);
	if ((http_left(&in) > 0 || in.eof) && run(&in) == HTTP_FAIL)
		return APP_PARSE_FAILED;
	if (in.eof) {
		complete(http, input->dir);
		/* The server is done: nobody reads what the client would still send. */
		if (input->dir == TO_CLIENT)
			http_request_complete(http);
		return (int64_t)input->data.len;
	}
	return in.at - input->data.data;
}

/* --- registration --------------------------------------------------------------------------------------------------------- */

static const char *const request_hooks[] = {
	"request_started",  "request_line", "request_headers", "request_body", "request_trailer",
	"request_complete", NULL,
};
static const char *const response_hooks[] = {
	"response_started",
	"response_line",
	"response_headers",
	"response_body",
	"response_trailer",
	"response_complete",
	NULL,
};
static const char *const aliases[] = {"http1", NULL};

const struct app_proto app_http = {
	.name = "http",
	.rule_aliases = aliases,
	.record_type = "http",
	.id = APP_HTTP,
	.tcp = true,
	.probe = probe,
	.state_new = state_new,
	.state_free = state_free,
	.parse = parse,
	.tx_free = tx_free,
	.complete = {HTTP_COMPLETE, HTTP_COMPLETE},
	.hooks = {request_hooks, response_hooks},
	.buffers = http_buffers,
	.values = http_values,
	.events = http_event_names,
	.fields = http_fields_of,
	.flows_counter_tcp = COUNTER_APP_LAYER_FLOWS_HTTP,
	.flows_counter_udp = COUNTER_APP_LAYER_FLOWS_HTTP,
	.tx_counter = COUNTER_APP_LAYER_TX_HTTP,
};
