/* SPDX-License-Identifier: BSD-3-Clause */
/* Input: messages framed as over TCP; the first byte's lowest bit is the direction. Every buffer, value and field is read. */
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct counters counters;
	static struct app_engine *engine;
	const struct app_proto *dns = app_proto_by_id(APP_DNS);
	struct field_sink sink = {on_name, on_name, on_close, on_text, on_number, on_boolean};
	const uint16_t ports[2] = {1, 2};
	if (!engine) {
		struct app_config config;
		app_config_defaults(&config, true);
		config.memory_bytes = 16u << 20;
		engine = app_engine_new(&config, &counters);
	}
	if (size < 1)
		return 0;
	struct app_session *session = app_session_new(engine, dns, NULL);
	struct app_input in = {.data = {.data = data + 1, .len = size - 1}, .dir = data[0] & 1, .eof = data[0] & 2};
	(void)dns->probe(in.data, in.dir, true, ports);
	(void)dns->probe(in.data, in.dir, false, ports);
	(void)app_session_parse(session, &in);
	for (struct app_tx *tx = app_session_tx_first(session); tx; tx = tx->next) {
		struct bytes view;
		uint64_t number;
		for (const struct app_buffer *b = dns->buffers; b->name; b++)
			for (unsigned i = 0; i < 32 && b->get(session, tx, b->dir, i, &view, &number); i++)
				on_text(&sink, NULL, view);
		for (const struct app_value *v = dns->values; v->name; v++)
			for (unsigned i = 0; i < 32 && v->get(session, tx, in.dir, i, &number); i++)
				seen += number;
		dns->fields(session, tx, &sink);
	}
	app_session_delete(session);
	return 0;
}
