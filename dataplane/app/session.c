/* SPDX-License-Identifier: BSD-3-Clause */
#include <netinet/in.h>
#include <stdlib.h>

#include "app/session.h"

/* Held back in one direction while the protocol is unknown: beyond this, with the other side silent, nobody learns more. */
#define UNDECIDED_BYTES_MAX 100000

void app_config_defaults(struct app_config *config, bool inline_mode)
{
	*config = (struct app_config){
		.memory_bytes = 256u << 20,
		.memcap_policy = EXCEPTION_IGNORE,
		.error_policy = EXCEPTION_IGNORE,
		.inline_mode = inline_mode,
		.http_request_body_limit = 100u << 10,
		.http_response_body_limit = 100u << 10,
		/* servers send gzip in brotli in deflate to hide a body; more than three layers is an event of its own */
		.http_decompress_layers_max = 3,
		.decompressed_max_bytes = 16u << 20,
	};
}

struct app_engine *app_engine_new(const struct app_config *config, struct counters *counters)
{
	struct app_engine *engine = calloc(1, sizeof(*engine));

	if (!engine)
		return NULL;
	engine->config = *config;
	engine->counters = counters;
	engine->slab = slab_new("app", config->memory_bytes);
	if (!engine->slab)
		goto fail;
	/* always: other rules may come to ask for hashes */
	engine->digests = app_digests_new(APP_DIGESTS_MAX);
	if (!engine->digests)
		goto fail;
	return engine;

fail:
	app_engine_free(engine);
	return NULL;
}

void app_engine_configure(struct app_engine *engine, const struct app_config *config)
{
	struct app_config *c = &engine->config;
	c->memcap_policy = config->memcap_policy;
	c->error_policy = config->error_policy;
	c->file_hashes = config->file_hashes;
	c->inspect_encrypted = config->inspect_encrypted;
}

void app_engine_free(struct app_engine *engine)
{
	if (!engine)
		return;
	app_digests_free(engine->digests);
	slab_free_all(engine->slab);
	free(engine);
}

/* --- transactions ------------------------------------------------------------------------------------------------ */

static void tx_destroy(struct app_session *session, struct app_tx *tx)
{
	const struct app_config *config = &session->engine->config;

	if (tx->detect && config->detect_free)
		config->detect_free(config->detect_user, tx);
	session->tx_open--;
	session->proto->tx_free(session, tx);
}

static void tx_destroy_all(struct app_session *session)
{
	struct app_tx *tx = session->first;

	while (tx) {
		struct app_tx *next = tx->next;
		tx_destroy(session, tx);
		tx = next;
	}
	session->first = session->last = NULL;
}

static bool session_dir_ended(const struct app_session *session, enum direction dir)
{
	return session->ended[dir] || (session->flow && session->flow->flags & FLOW_ENDING);
}

static bool session_tx_complete(const struct app_session *session, const struct app_tx *tx, enum direction dir)
{
	return tx->progress[dir] >= session->proto->complete[dir] || session_dir_ended(session, dir);
}

/* Unlinks *at and frees it; `before` is its predecessor or NULL. */
static void tx_unlink(struct app_session *session, struct app_tx *before, struct app_tx *tx)
{
	if (before)
		before->next = tx->next;
	else
		session->first = tx->next;
	if (session->last == tx)
		session->last = before;
	tx_destroy(session, tx);
}

static bool drop_oldest_complete(struct app_session *session)
{
	struct app_tx *before = NULL;

	for (struct app_tx *tx = session->first; tx; before = tx, tx = tx->next)
		if (session_tx_complete(session, tx, TO_SERVER) && session_tx_complete(session, tx, TO_CLIENT)) {
			tx_unlink(session, before, tx);
			return true;
		}
	return false;
}

struct app_tx *app_tx_new(struct app_session *session, size_t size)
{
	struct app_tx *tx;

	if (session->tx_open >= APP_TX_MAX && !drop_oldest_complete(session))
		return NULL;
	tx = slab_zalloc(session->engine->slab, size);
	if (!tx)
		return NULL;
	tx->id = session->tx_total++;
	session->tx_open++;
	if (session->last)
		session->last->next = tx;
	else
		session->first = tx;
	session->last = tx;
	count(session->engine->counters, session->proto->tx_counter);
	return tx;
}

void app_reap(struct app_engine *engine, struct flow *flow)
{
	struct app_session *session = flow->app;
	struct app_tx *before = NULL, *tx, *next;

	(void)engine;
	if (!session || !session->proto)
		return;
	for (tx = session->first; tx; tx = next) {
		next = tx->next;
		if (tx->logged && tx->inspected[TO_SERVER] && tx->inspected[TO_CLIENT] &&
		    session_tx_complete(session, tx, TO_SERVER) && session_tx_complete(session, tx, TO_CLIENT))
			tx_unlink(session, before, tx);
		else
			before = tx;
	}
}

/* --- sessions ------------------------------------------------------------------------------------------------------ */

static struct app_session *session_alloc(struct app_engine *engine, struct flow *flow)
{
	struct app_session *session = slab_zalloc(engine->slab, sizeof(*session));

	if (!session)
		return NULL;
	session->engine = engine;
	session->flow = flow;
	session->first_dir = -1;
	session->shown_end[TO_SERVER] = session->shown_end[TO_CLIENT] = UINT64_MAX;
	if (flow)
		flow->app = session;
	return session;
}

/* Frees what belongs to the protocol. */
static void session_clear(struct app_session *session)
{
	if (!session->proto)
		return;
	tx_destroy_all(session);
	if (session->state)
		session->proto->state_free(session, session->state);
	session->state = NULL;
	session->proto = NULL;
}

static bool session_start(struct app_session *session, const struct app_proto *proto)
{
	session_clear(session);
	session->proto = proto;
	session->switching = false;
	session->state = proto->state_new(session);
	if (!session->state) {
		session->proto = NULL;
		return false;
	}
	if (session->flow)
		session->flow->app_proto = (uint16_t)proto->id;
	return true;
}

void app_session_delete(struct app_session *session)
{
	if (!session)
		return;
	session_clear(session);
	if (session->flow)
		session->flow->app = NULL;
	slab_free(session->engine->slab, session, sizeof(*session));
}

void app_session_free(struct app_engine *engine, struct flow *flow)
{
	(void)engine;
	flow->transactions = app_tx_count(flow);
	app_session_delete(flow->app);
}

struct app_session *app_session_new(struct app_engine *engine, const struct app_proto *proto, struct flow *flow)
{
	struct app_session *session = session_alloc(engine, flow);

	if (!session)
		return NULL;
	session->id[TO_SERVER] = session->id[TO_CLIENT] = proto->id;
	if (!session_start(session, proto)) {
		app_session_delete(session);
		return NULL;
	}
	return session;
}

/* The protocol cannot go on. What it has found stays to be judged and recorded. */
static void session_stop(struct app_session *session)
{
	session->stopped = true;
	session->ended[TO_SERVER] = session->ended[TO_CLIENT] = true;
	count(session->engine->counters, COUNTER_APP_LAYER_ERRORS);
}

int64_t app_session_parse(struct app_session *session, const struct app_input *input)
{
	int64_t n;

	if (session->stopped || session->ended[input->dir])
		return (int64_t)input->data.len;
	session->fed = true;
	session->feeds[input->dir]++;
	n = session->proto->parse(session, session->state, input);
	if (n == APP_PARSE_SWITCH)
		return n;
	session->fed_this_update |= n != 0;
	if (n < 0 || (size_t)n > input->data.len || input->data.len - (size_t)n > APP_PENDING_MAX) {
		session_stop(session);
		return APP_PARSE_FAILED;
	}
	if (input->eof)
		session->ended[input->dir] = true;
	return n;
}

/* --- feeding ------------------------------------------------------------------------------------------------------- */

struct update {
	struct app_engine *engine;
	struct stream_engine *streams;
	struct packet *pkt;
	struct app_session *session;
	enum exception_policy *policy;
	bool policy_due;
	bool turned; /* the flow was turned round */
};

static void policy_due(struct update *u, enum exception_policy policy)
{
	if (!u->policy_due)
		*u->policy = policy;
	u->policy_due = true;
}

static void memory_refused(struct update *u)
{
	count(u->engine->counters, COUNTER_APP_LAYER_MEMCAP);
	policy_due(u, u->engine->config.memcap_policy);
}

static void streams_disable(struct update *u)
{
	if (u->pkt->proto != IPPROTO_TCP)
		return;
	stream_app_disable(u->streams, u->session->flow, TO_SERVER);
	stream_app_disable(u->streams, u->session->flow, TO_CLIENT);
}

/* Recognition is over without a protocol. */
static void give_up(struct update *u)
{
	struct app_session *session = u->session;

	if (session->failed)
		return;
	session_clear(session);
	session->failed = true;
	session->switching = false;
	for (int dir = 0; dir < 2; dir++)
		if (session->id[dir] == APP_UNKNOWN)
			session->id[dir] = APP_FAILED;
	session->flow->app_proto = APP_FAILED;
	count(u->engine->counters, COUNTER_APP_LAYER_FLOWS_FAILED);
	streams_disable(u);
}

static bool choose(struct update *u, enum app_id id)
{
	const struct app_proto *proto = app_proto_by_id(id);

	if (!session_start(u->session, proto)) {
		memory_refused(u);
		give_up(u);
		return false;
	}
	count(u->engine->counters, u->pkt->proto == IPPROTO_UDP ? proto->flows_counter_udp : proto->flows_counter_tcp);
	return true;
}

/* The protocol gave the connection away: what comes is looked at as if it were new. */
static void hand_over(struct app_session *session)
{
	session->switching = true;
	for (int dir = 0; dir < 2; dir++) {
		session->id[dir] = APP_UNKNOWN;
		session->undecided[dir] = false;
		session->has_data[dir] = false;
		session->shown_end[dir] = UINT64_MAX;
	}
	session->first_dir = -1;
	session->fed = false;
}

/* The protocol is encrypted from here on. Payload inspection stops when it has seen all that was not. */
static void note_opaque(struct app_session *session)
{
	struct flow *flow = session->flow;
	struct stream_view view;
	uint32_t fresh;
	bool done = true;

	if (flow->flags & FLOW_NO_PAYLOAD || session->engine->config.inspect_encrypted)
		return;
	for (int dir = 0; dir < 2 && flow->tcp; dir++) {
		if (!stream_raw_view(flow, (enum direction)dir, &view, &fresh))
			continue;
		if (!session->opaque)
			session->opaque_at[dir] = view.offset + view.len;
		if (view.offset + fresh < session->opaque_at[dir])
			done = false;
	}
	session->opaque = true;
	if (done)
		flow->flags |= FLOW_NO_PAYLOAD;
}

/* Runs the protocol on an input and applies what it says; the number of bytes taken, or a negative. */
static int64_t feed(struct update *u, const struct app_input *input)
{
	struct app_session *session = u->session;
	uint64_t refusals = slab_refusals(u->engine->slab);
	int64_t n = app_session_parse(session, input);

	if (n == APP_PARSE_FAILED) {
		if (slab_refusals(u->engine->slab) != refusals)
			memory_refused(u);
		else
			policy_due(u, u->engine->config.error_policy);
		streams_disable(u);
	} else if (n == APP_PARSE_SWITCH) {
		hand_over(session);
	} else if (session->proto->encrypted && session->proto->encrypted(session, session->state)) {
		note_opaque(session);
	}
	return n;
}

static bool feed_view(struct update *u, enum direction dir, const struct stream_view *view)
{
	struct app_session *session = u->session;
	struct app_input input = {
		.data = {.data = view->data, .len = view->len},
		.dir = dir,
		.gap = view->gap,
		.eof = view->eof,
		.offset = view->offset,
		.ts_ns = u->pkt->ts_ns,
	};
	int64_t taken = feed(u, &input);
	bool ended = view->eof && !session->shown_eof[dir];

	session->shown_end[dir] = view->offset + view->len;
	session->shown_eof[dir] = view->eof;
	if (taken < 0) {
		if (taken == APP_PARSE_SWITCH)
			session->shown_end[dir] = UINT64_MAX;
		return taken == APP_PARSE_SWITCH;
	}
	/* What it left may be the beginning of something else; ask once. */
	if (taken > 0 && taken < (int64_t)view->len && !view->eof) {
		int64_t more;
		input.data.data += taken;
		input.data.len -= (size_t)taken;
		input.offset += (uint64_t)taken;
		input.gap = 0;
		more = feed(u, &input);
		if (more == APP_PARSE_FAILED)
			return false;
		if (more > 0)
			taken += more;
	}
	stream_app_consume(u->streams, session->flow, dir, (uint32_t)taken);
	/* Two sides that both leave what they were shown must not wake each other for ever. */
	if (taken == 0 && view->gap == 0 && !ended)
		return false;
	/* The other side may have waited for this. */
	session->shown_end[direction_opposite(dir)] = UINT64_MAX;
	return true;
}

static bool mid_stream(const struct app_session *session)
{
	return session->flow->flags & FLOW_MIDSTREAM;
}

/* Neither side told: whether to go on waiting. */
static void check_patience(struct update *u, enum direction dir, const struct stream_view *view)
{
	struct app_session *session = u->session;
	enum direction other = direction_opposite(dir);

	if (session->undecided[dir] && session->undecided[other]) {
		give_up(u);
	} else if (view->len > 2 * UNDECIDED_BYTES_MAX ||
		   (session->undecided[dir] && view->len > UNDECIDED_BYTES_MAX && !session->has_data[other])) {
		packet_event(u->pkt, EVENT_APPLAYER_PROTO_DETECTION_SKIPPED);
		give_up(u);
	}
}

static bool may_speak_first(const struct app_proto *proto, enum direction dir)
{
	return !proto->first_dirs || proto->first_dirs & 1u << dir;
}

static bool feed_direction(struct update *u, enum direction dir);

/* The direction's protocol is now known. False when the session ended over it. */
static bool settle(struct update *u, enum direction dir)
{
	struct app_session *session = u->session;
	enum direction other = direction_opposite(dir);
	enum app_id id = session->id[dir];

	if (session->proto && !session->switching && session->proto->id != id) {
		packet_event(u->pkt, EVENT_APPLAYER_MISMATCH_PROTOCOL_BOTH_DIRECTIONS);
		/* Until the protocol was given data there is a choice, and servers are believed more. */
		if (!session->fed && dir == TO_CLIENT && !choose(u, id))
			return false;
	} else if ((!session->proto || session->switching) && !choose(u, id)) {
		return false;
	}
	if (!session->fed && session->first_dir == (int)other) {
		if (!may_speak_first(session->proto, other)) {
			packet_event(u->pkt, EVENT_APPLAYER_WRONG_DIRECTION_FIRST_DATA);
			give_up(u);
			return false;
		}
		/* what was said first is parsed first */
		session->shown_end[other] = UINT64_MAX;
		feed_direction(u, other);
	}
	return !session->failed && !session->stopped;
}

/* The other direction is known, and this one is not what its protocol says there. */
static bool settle_one_sided(struct update *u, enum direction dir)
{
	struct app_session *session = u->session;

	if (!session->fed && !may_speak_first(session->proto, dir)) {
		give_up(u);
		return false;
	}
	packet_event(u->pkt, EVENT_APPLAYER_DETECT_PROTOCOL_ONLY_ONE_DIRECTION);
	session->id[dir] = APP_FAILED;
	return true;
}

/* A connection that was picked up in the middle may have its client and server mistaken: an answer that comes from the
 * supposed client says so. */
static bool turn_round(struct update *u, enum direction dir, struct bytes data, bool last)
{
	struct app_session *session = u->session;
	enum direction other = direction_opposite(dir);

	if (!mid_stream(session) || session->proto || session->has_data[other] || session->flow->flags & FLOW_SWAPPED ||
	    app_recognise(session, data, other, false, last) != RECOGNITION_SETTLED)
		return false;
	flow_swap(session->flow);
	stream_swap(session->flow);
	u->pkt->dir = direction_opposite(u->pkt->dir);
	if (u->pkt->flags & (PACKET_FIRST_TO_SERVER | PACKET_FIRST_TO_CLIENT))
		u->pkt->flags ^= PACKET_FIRST_TO_SERVER | PACKET_FIRST_TO_CLIENT;
	session->id[other] = APP_UNKNOWN; /* asked again in its place */
	session->has_data[dir] = false;
	session->first_dir = -1;
	session->shown_end[dir] = session->shown_end[other] = UINT64_MAX;
	u->turned = true;
	return true;
}

/* Whether the direction is settled, so that its bytes may be fed. */
static bool recognise_direction(struct update *u, enum direction dir, const struct stream_view *view)
{
	struct app_session *session = u->session;
	bool known = session->proto && !session->switching;
	struct bytes data;
	enum recognition r;

	if (view->gap) {
		if (!known) {
			give_up(u);
			return false;
		}
		session->id[dir] = session->proto->id;
		return true;
	}
	if (view->len == 0 && view->eof && known) {
		session->id[dir] = session->proto->id;
		return true;
	}
	data = (struct bytes){.data = view->data, .len = view->len};
	r = app_recognise(session, data, dir, false, view->eof);
	if (r == RECOGNITION_SETTLED)
		return settle(u, dir);
	if (r == RECOGNITION_NONE && turn_round(u, dir, data, view->eof))
		return false;
	if (r == RECOGNITION_NONE)
		session->undecided[dir] = true;
	session->shown_end[dir] = view->offset + view->len;
	session->shown_eof[dir] = view->eof;
	if (session->undecided[dir] && known)
		return settle_one_sided(u, dir);
	if (!known) {
		/* The start of a request may be missing here: an answer alone would make the rest be read as requests. */
		if (session->undecided[TO_SERVER] && mid_stream(session))
			give_up(u);
		else
			check_patience(u, dir, view);
	}
	return false;
}

/* Whether anything moved. */
static bool feed_direction(struct update *u, enum direction dir)
{
	struct app_session *session = u->session;
	struct stream_view view;

	if (session->failed || session->stopped || session->ended[dir] || !stream_app_view(session->flow, dir, &view))
		return false;
	if (!view.gap && view.offset + view.len == session->shown_end[dir] && view.eof == session->shown_eof[dir])
		return false;
	if (view.len > 0) {
		session->has_data[dir] = true;
		if (session->first_dir < 0)
			session->first_dir = (int8_t)dir;
	}
	/* What stood before a change of protocol is judged before it is let go. */
	if (session->switching && session->fed_this_update)
		return false;
	if (session->id[dir] == APP_UNKNOWN) {
		if (!recognise_direction(u, dir, &view))
			return false;
		session->shown_eof[dir] = false; /* to recognition, not to the parser */
		/* the other side may have been parsed meanwhile */
		if (session->failed || session->stopped || session->ended[dir] ||
		    !stream_app_view(session->flow, dir, &view))
			return true;
	}
	return feed_view(u, dir, &view);
}

/* A silent direction of a connection that one side made known is what that side says, once it speaks; one that waited
 * for the other is asked again. */
static void wake_undecided(struct app_session *session)
{
	for (int dir = 0; dir < 2; dir++)
		if (session->undecided[dir] && session->id[dir] == APP_UNKNOWN && session->proto && !session->switching)
			session->shown_end[dir] = UINT64_MAX;
}

static void update_tcp(struct update *u)
{
	enum direction first = u->engine->config.inline_mode ? u->pkt->dir : direction_opposite(u->pkt->dir);
	bool moved;

	/* Each round consumes bytes, settles a direction or ends the session, so this ends. */
	do {
		u->turned = false;
		moved = feed_direction(u, first);
		wake_undecided(u->session);
		moved |= feed_direction(u, direction_opposite(first));
		wake_undecided(u->session);
		moved |= u->turned;
	} while (moved && !u->session->failed && !u->session->stopped);
}

static bool recognise_datagram(struct update *u, struct bytes data)
{
	struct app_session *session = u->session;
	enum direction dir = u->pkt->dir;

	if (app_recognise(session, data, dir, true, true) == RECOGNITION_SETTLED) {
		if (session->proto && session->proto->id != session->id[dir])
			packet_event(u->pkt, EVENT_APPLAYER_MISMATCH_PROTOCOL_BOTH_DIRECTIONS);
		return session->proto || choose(u, session->id[dir]);
	}
	if (session->proto) {
		session->id[dir] = session->proto->id;
		return true;
	}
	session->id[dir] = APP_FAILED;
	if (session->id[direction_opposite(dir)] != APP_UNKNOWN)
		give_up(u);
	return false;
}

static void update_udp(struct update *u)
{
	struct app_session *session = u->session;
	struct app_input input = {
		.data = {.data = u->pkt->payload, .len = u->pkt->payload_len},
		.dir = u->pkt->dir,
		.ts_ns = u->pkt->ts_ns,
	};

	if (session->stopped || !input.data.data || input.data.len == 0)
		return;
	if (session->id[u->pkt->dir] == APP_UNKNOWN && !recognise_datagram(u, input.data))
		return;
	if (session->proto)
		feed(u, &input);
}

bool app_update(struct app_engine *engine, struct stream_engine *streams, struct packet *pkt,
		enum exception_policy *policy)
{
	struct flow *flow = pkt->flow;
	struct update u = {.engine = engine, .streams = streams, .pkt = pkt, .policy = policy};

	if (!flow || (pkt->proto != IPPROTO_TCP && pkt->proto != IPPROTO_UDP))
		return true;
	if (pkt->proto == IPPROTO_UDP && pkt->payload_len == 0)
		return true;
	u.session = flow->app;
	if (!u.session)
		u.session = session_alloc(engine, flow);
	if (!u.session) {
		memory_refused(&u);
		return false;
	}
	if (u.session->failed)
		return true;
	u.session->fed_this_update = false;
	if (pkt->proto == IPPROTO_TCP)
		update_tcp(&u);
	else
		update_udp(&u);
	return !u.policy_due;
}

/* --- reading --------------------------------------------------------------------------------------------------------- */

const struct app_proto *app_proto_of(const struct flow *flow)
{
	return flow->app ? flow->app->proto : NULL;
}

bool app_failed(const struct flow *flow)
{
	return flow->app && flow->app->failed;
}

enum app_id app_id_of(const struct flow *flow, enum direction dir)
{
	return flow->app ? flow->app->id[dir] : APP_UNKNOWN;
}

bool app_opaque(const struct flow *flow)
{
	return flow->app && flow->app->opaque;
}

struct app_tx *app_tx_first(const struct flow *flow)
{
	return flow->app ? flow->app->first : NULL;
}

uint32_t app_feeds(const struct flow *flow, enum direction dir)
{
	return flow->app ? ((const struct app_session *)flow->app)->feeds[dir] : 0;
}

uint64_t app_tx_count(const struct flow *flow)
{
	return flow->app ? flow->app->tx_total : flow->transactions;
}

bool app_dir_ended(const struct flow *flow, enum direction dir)
{
	return flow->flags & FLOW_ENDING || (flow->app && flow->app->ended[dir]);
}

bool app_tx_complete(const struct flow *flow, const struct app_tx *tx, enum direction dir)
{
	return !flow->app || !flow->app->proto || session_tx_complete(flow->app, tx, dir);
}

struct slab *app_slab(struct app_session *session)
{
	return session->engine->slab;
}

const struct app_config *app_config_of(struct app_session *session)
{
	return &session->engine->config;
}

struct app_digests *app_digests(struct app_session *session)
{
	return session->engine->digests;
}

struct counters *app_counters(struct app_session *session)
{
	return session->engine->counters;
}

void *app_state(struct app_session *session)
{
	return session->state;
}

struct flow *app_flow(struct app_session *session)
{
	return session->flow;
}

struct app_tx *app_session_tx_first(const struct app_session *session)
{
	return session->first;
}

struct app_tx *app_session_tx_last(const struct app_session *session)
{
	return session->last;
}
