/* SPDX-License-Identifier: BSD-3-Clause */
/* Input: pieces of a session's two directions, each after its direction (a byte, lowest bit; the second: the end; the third:
 * bytes are missing before it) and its length (two bytes). Every buffer, value and field is read after each. */
#include <dataplane/app.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t seen;

static void on_name(struct field_sink *s, const char *name)
{
	(void)s;
	seen += name != NULL;
}
static void on_close(struct field_sink *s)
{
	(void)s;
}
static void on_text(struct field_sink *s, const char *name, struct bytes value)
{
	on_name(s, name);
	for (size_t i = 0; i < value.len; i++)
		seen += value.data[i];
}
static void on_number(struct field_sink *s, const char *name, int64_t value)
{
	on_name(s, name);
	seen += (uint64_t)value;
}
static void on_boolean(struct field_sink *s, const char *name, bool value)
{
	on_name(s, name);
	seen += value;
}

static void read_all(const struct app_proto *tls, struct app_session *session)
{
	struct field_sink sink = {on_name, on_name, on_close, on_text, on_number, on_boolean};
	for (struct app_tx *tx = app_session_tx_first(session); tx; tx = tx->next) {
		struct bytes view;
		uint64_t number;
		for (const struct app_buffer *b = tls->buffers; b->name; b++)
			for (unsigned i = 0; i < 32 && b->get(session, tx, b->dir, i, &view, &number); i++)
				on_text(&sink, NULL, view);
		for (const struct app_value *v = tls->values; v->name; v++)
			for (int dir = 0; dir < 2; dir++)
				if (v->get(session, tx, (enum direction)dir, 0, &number))
					seen += number;
		seen += tls->has_record(session, tx, true);
		tls->fields(session, tx, &sink);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct counters counters;
	static struct app_engine *engine;
	const struct app_proto *tls = app_proto_by_id(APP_TLS);
	struct cursor c = cursor_of(data, size);
	const uint16_t ports[2] = {1, 2};
	if (!engine) {
		struct app_config config;
		app_config_defaults(&config, true);
		config.memory_bytes = 16u << 20;
		engine = app_engine_new(&config, &counters);
	}
	struct app_session *session = app_session_new(engine, tls, NULL);
	while (cursor_left(&c) > 0) {
		uint8_t flags = cursor_u8(&c);
		size_t len = cursor_be16(&c);
		if (len > cursor_left(&c))
			len = cursor_left(&c);
		struct app_input in = {.data = cursor_bytes(&c, len),
				       .dir = flags & 1,
				       .eof = flags & 2,
				       .gap = flags & 4 ? flags : 0};
		(void)tls->probe(in.data, in.dir, false, ports);
		if (app_session_parse(session, &in) < 0)
			break;
		read_all(tls, session);
	}
	read_all(tls, session);
	app_session_delete(session);
	return 0;
}
