/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Input: segments of a connection, each '>' or '<' (direction; upper bits: 0x40 loses bytes before it), a big-endian 16-bit
 * length, and that many bytes. What the parser leaves is shown again with what follows, as the stream does.
 */
#include <stdlib.h>
#include <string.h>

#include <dataplane/app.h>

struct side {
	uint8_t *data;
	size_t len;
	bool ended;
};

static volatile uint64_t read_sum;

static void look(struct app_session *session, const struct app_proto *proto)
{
	for (struct app_tx *tx = app_session_tx_first(session); tx; tx = tx->next)
		for (const struct app_buffer *b = proto->buffers; b->name; b++)
			for (unsigned i = 0; i < (b->flags & APP_BUFFER_MULTI ? 64u : 1u); i++) {
				struct bytes view;
				uint64_t offset;
				if (tx->progress[b->dir] < b->progress ||
				    !b->get(session, tx, b->dir, i, &view, &offset))
					break;
				for (size_t k = 0; k < view.len; k++)
					read_sum += view.data[k];
			}
}

static bool feed(struct app_session *session, struct side *side, enum direction dir, const uint8_t *data, size_t len,
		 uint32_t gap, bool eof)
{
	struct app_input input = {.dir = dir, .gap = gap, .eof = eof};
	int64_t taken;

	if (side->ended)
		return true;
	side->data = realloc(side->data, side->len + len + 1);
	if (len)
		memcpy(side->data + side->len, data, len);
	side->len += len;
	input.data = (struct bytes){.data = side->data, .len = side->len};
	taken = app_session_parse(session, &input);
	if (taken == APP_PARSE_FAILED || taken == APP_PARSE_SWITCH)
		return false;
	if (taken < 0 || (size_t)taken > side->len)
		abort();
	memmove(side->data, side->data + taken, side->len - (size_t)taken);
	side->len -= (size_t)taken;
	side->ended = eof;
	return true;
}

static void run(struct app_session *session, const struct app_proto *proto, const uint8_t *data, size_t size)
{
	struct side side[2] = {0};
	bool going = true;

	while (going && size >= 3) {
		enum direction dir = data[0] & 2 ? TO_SERVER : TO_CLIENT;
		size_t len = (size_t)data[1] << 8 | data[2];
		/* bytes that are held back cannot be behind a gap */
		uint32_t gap = data[0] & 0x40 && side[dir].len == 0 ? 16 : 0;
		data += 3;
		size -= 3;
		if (len > size)
			len = size;
		going = feed(session, &side[dir], dir, data, len, gap, false);
		look(session, proto);
		data += len;
		size -= len;
	}
	if (going) {
		feed(session, &side[TO_SERVER], TO_SERVER, NULL, 0, 0, true);
		feed(session, &side[TO_CLIENT], TO_CLIENT, NULL, 0, 0, true);
	}
	look(session, proto);
	free(side[0].data);
	free(side[1].data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct app_engine *engine;
	static struct counters counters;
	const struct app_proto *proto = app_proto_by_name("http");
	struct app_session *session;

	if (!engine) {
		struct app_config config;
		app_config_defaults(&config, false);
		config.file_hashes = true;
		config.memory_bytes = 32u << 20;
		engine = app_engine_new(&config, &counters);
	}
	session = app_session_new(engine, proto, NULL);
	if (!session)
		abort(); /* an earlier input leaked */
	run(session, proto, data, size);
	app_session_delete(session);
	return 0;
}
