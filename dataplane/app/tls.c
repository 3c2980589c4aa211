/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TLS 1.0 to 1.3 and SSL 2 and 3 over TCP: records and the handshake messages in them, put together across any boundary.
 * A session is one transaction. Once data is encrypted its records are stepped over by their length.
 */
#include "app/tls.h"
#include "app/protos.h"

/* RFC 5246 6.2.3: ciphertext may be so much longer than plaintext. */
#define RECORD_MAX ((1u << 14) + 2048)
/* A record with its header and a byte of content: an input of many shorter ones carries nothing. */
#define RECORD_USUAL_MIN 6
/* What is kept of an SSL 2 message: its hello's fixed part. */
#define SSL2_KEEP 9

enum record_type {
	RECORD_SSL2 = 1,
	RECORD_CHANGE_CIPHER_SPEC = 20,
	RECORD_ALERT = 21,
	RECORD_HANDSHAKE = 22,
	RECORD_DATA = 23,
	RECORD_HEARTBEAT = 24,
};

enum message_type {
	MESSAGE_HELLO_REQUEST = 0,
	MESSAGE_CLIENT_HELLO = 1,
	MESSAGE_SERVER_HELLO = 2,
	MESSAGE_NEW_SESSION_TICKET = 4,
	MESSAGE_CERTIFICATE = 11,
	MESSAGE_SERVER_KEY_EXCHANGE = 12,
	MESSAGE_CERTIFICATE_REQUEST = 13,
	MESSAGE_SERVER_HELLO_DONE = 14,
	MESSAGE_CERTIFICATE_VERIFY = 15,
	MESSAGE_CLIENT_KEY_EXCHANGE = 16,
	MESSAGE_FINISHED = 20,
	MESSAGE_CERTIFICATE_URL = 21,
	MESSAGE_CERTIFICATE_STATUS = 22,
};

enum ssl2_message {
	SSL2_ERROR = 0,
	SSL2_CLIENT_HELLO = 1,
	SSL2_CLIENT_MASTER_KEY = 2,
	SSL2_SERVER_HELLO = 4,
};

/* One call of parse. */
struct tls_input {
	struct slab *slab;
	struct tls_state *tls;
	struct tls_side *side;
	enum direction dir;
	bool no_memory;
};

struct tls_tx {
	struct app_tx base;
};

bool tls_text_add(struct slab *slab, struct tls_side *side, struct tls_text *text, const void *data, size_t len)
{
	struct tls_text at = {.at = side->text.len, .len = (uint32_t)len};
	if (len && !slab_buf_append(slab, &side->text, data, len))
		return false;
	*text = at;
	return true;
}

static void advance(struct tls_state *tls, enum direction dir, uint8_t progress)
{
	if (tls->progress[dir] < progress)
		tls->progress[dir] = progress;
}

static void handshake_done(struct tls_input *in)
{
	advance(in->tls, in->dir,
		in->dir == TO_SERVER ? (uint8_t)TLS_CLIENT_HANDSHAKE_DONE : (uint8_t)TLS_SERVER_HANDSHAKE_DONE);
}

/* --- handshake messages --------------------------------------------------------------------------------------------- */

static bool message_known(uint8_t type)
{
	return (type <= MESSAGE_SERVER_HELLO || type == MESSAGE_NEW_SESSION_TICKET ||
		(type >= MESSAGE_CERTIFICATE && type <= MESSAGE_CLIENT_KEY_EXCHANGE) ||
		(type >= MESSAGE_FINISHED && type <= MESSAGE_CERTIFICATE_STATUS));
}

static bool message_kept(uint8_t type)
{
	return type == MESSAGE_CLIENT_HELLO || type == MESSAGE_SERVER_HELLO || type == MESSAGE_CERTIFICATE;
}

static void certificate_message(struct tls_input *in, struct bytes body)
{
	in->no_memory |= !tls_certificates(in->slab, in->tls, in->side, body);
	advance(in->tls, in->dir, in->dir == TO_SERVER ? (uint8_t)TLS_CLIENT_CERT_DONE : (uint8_t)TLS_SERVER_CERT_DONE);
}

/* A whole message; only the kept kinds have a body. */
static void message(struct tls_input *in, uint8_t type, struct bytes body)
{
	struct tls_state *tls = in->tls;
	bool client = in->dir == TO_SERVER;
	switch (type) {
	case MESSAGE_CLIENT_HELLO:
		if (!client)
			break;
		in->no_memory |= !tls_client_hello(in->slab, tls, body);
		in->side->seen |= TLS_SEEN_CLIENT_HELLO;
		advance(tls, TO_SERVER, TLS_CLIENT_HELLO_DONE);
		return;
	case MESSAGE_SERVER_HELLO:
		if (client)
			break;
		in->no_memory |= !tls_server_hello(in->slab, tls, body);
		in->side->seen |= TLS_SEEN_SERVER_HELLO;
		advance(tls, TO_CLIENT, TLS_SERVER_HELLO);
		return;
	case MESSAGE_CERTIFICATE:
		certificate_message(in, body);
		return;
	case MESSAGE_SERVER_KEY_EXCHANGE:
		in->side->seen |= TLS_SEEN_SERVER_KEYX;
		return;
	case MESSAGE_CLIENT_KEY_EXCHANGE:
		in->side->seen |= TLS_SEEN_CLIENT_KEYX;
		return;
	case MESSAGE_CERTIFICATE_REQUEST:
		tls->client_cert_wanted |= !client;
		return;
	case MESSAGE_SERVER_HELLO_DONE:
		if (!client)
			advance(tls, TO_CLIENT, TLS_SERVER_HELLO_DONE);
		return;
	default:
		return;
	}
	tls_event(tls, TLS_EVENT_INVALID_HANDSHAKE_MESSAGE); /* the wrong side's */
}

/* A message's header is known: whether its body is to be kept; else it is skipped. */
static bool message_begin(struct tls_input *in, const uint8_t header[static 4], uint32_t len)
{
	if (!message_known(header[0])) {
		tls_event(in->tls, TLS_EVENT_INVALID_HANDSHAKE_MESSAGE);
		/* its length may mean nothing: go on with the next record */
		in->side->skip_left = in->side->record_left;
		return false;
	}
	if (message_kept(header[0]) && len <= TLS_MESSAGE_MAX)
		return true;
	if (message_kept(header[0]))
		tls_event(in->tls, TLS_EVENT_HANDSHAKE_INVALID_LENGTH);
	else
		message(in, header[0], (struct bytes){0});
	in->side->skip_left = len;
	return false;
}

/* Appends up to the message's `want` bytes; how many it took. */
static size_t gather(struct tls_input *in, struct bytes data, size_t want)
{
	size_t n = want - in->side->message.len;
	if (n > data.len)
		n = data.len;
	in->no_memory |= !slab_buf_append(in->slab, &in->side->message, data.data, n);
	return n;
}

/* Takes some of a handshake record's bytes: how many. */
static size_t handshake_bytes(struct tls_input *in, struct bytes data)
{
	struct tls_side *side = in->side;
	if (side->skip_left > 0) {
		size_t n = side->skip_left < data.len ? side->skip_left : data.len;
		side->skip_left -= (uint32_t)n;
		return n;
	}
	if (side->message.len < 4) {
		/* mostly a message stands whole in a record, and is read where it is */
		uint32_t len = data.len >= 4 ? load_be32(data.data) & 0xffffff : 0;
		if (side->message.len == 0 && data.len >= 4 && len <= data.len - 4 && message_known(data.data[0])) {
			message(in, data.data[0], (struct bytes){.data = data.data + 4, .len = len});
			return 4 + len;
		}
		size_t n = gather(in, data, 4);
		if (side->message.len < 4 || in->no_memory)
			return n;
		side->record_left -= (uint32_t)n; /* for message_begin, which may skip what is left after the header */
		if (!message_begin(in, side->message.data, load_be32(side->message.data) & 0xffffff))
			side->message.len = 0;
		side->record_left += (uint32_t)n;
		return n;
	}
	size_t want = 4 + (load_be32(side->message.data) & 0xffffff), n = gather(in, data, want);
	if (side->message.len == want && !in->no_memory) {
		message(in, side->message.data[0], (struct bytes){.data = side->message.data + 4, .len = want - 4});
		slab_buf_free(in->slab, &side->message);
	}
	return n;
}

/* Whether handshake records are encrypted. TLS 1.3 sends ChangeCipherSpec for show and encrypts in data records. */
static bool handshake_encrypted(const struct tls_input *in)
{
	const struct tls_side *client = &in->tls->side[TO_SERVER], *server = &in->tls->side[TO_CLIENT];
	if (!in->side->cipher)
		return false;
	return !tls_is_1_3(server->hello ? server->version : client->version);
}

/* --- alerts and heartbeats ------------------------------------------------------------------------------------------ */

static void alert_record(struct tls_input *in)
{
	/* longer ones are encrypted */
	if (in->side->record_len == 2 && in->side->taken[0] == 2) {
		in->tls->progress[TO_SERVER] = TLS_CLIENT_FINISHED;
		in->tls->progress[TO_CLIENT] = TLS_SERVER_FINISHED;
	}
}

/* RFC 6520, and CVE-2014-0160: an answer longer than what was asked for leaks memory. */
static void heartbeat_record(struct tls_input *in)
{
	struct tls_state *tls = in->tls;
	uint32_t len = in->side->record_len, payload = load_be16(in->side->taken + 1);
	bool encrypted = tls->side[TO_SERVER].cipher || tls->side[TO_CLIENT].cipher;
	if (!encrypted && in->side->taken[0] != 1 && in->side->taken[0] != 2) {
		tls_event(tls, TLS_EVENT_INVALID_HEARTBEAT_MESSAGE);
	} else if (tls->heartbeat_pending && tls->heartbeat_dir == in->dir) {
		tls_event(tls, TLS_EVENT_INVALID_HEARTBEAT_MESSAGE);
	} else if (tls->heartbeat_pending) {
		tls->heartbeat_pending = false;
		if (encrypted && tls->heartbeat_len > 0 && tls->heartbeat_len < len)
			tls_event(tls, TLS_EVENT_DATALEAK_HEARTBEAT_MISMATCH);
	} else {
		tls->heartbeat_pending = true;
		tls->heartbeat_dir = (uint8_t)in->dir;
		tls->heartbeat_len = encrypted ? len : 0;
		if (!encrypted && payload + 3 > len)
			tls_event(tls, TLS_EVENT_OVERFLOW_HEARTBEAT_MESSAGE);
		else if (!encrypted && len - payload - 3 < 16)
			tls_event(tls, TLS_EVENT_INVALID_HEARTBEAT_MESSAGE);
	}
}

/* --- SSL 2 ---------------------------------------------------------------------------------------------------------- */

/* The first bytes of a message, its type first. */
static void ssl2_message(struct tls_input *in, struct bytes m)
{
	struct tls_side *side = in->side;
	switch (m.data[0]) {
	case SSL2_ERROR:
		tls_event(in->tls, TLS_EVENT_ERROR_MESSAGE_ENCOUNTERED);
		break;
	case SSL2_CLIENT_HELLO:
		if (m.len < SSL2_KEEP) {
			tls_event(in->tls, TLS_EVENT_INVALID_SSL_RECORD);
			break;
		}
		/* the version that the client would like: a later one may follow in its own records */
		side->version = load_be16(m.data + 1);
		side->seen |= TLS_SEEN_CLIENT_HELLO;
		if (in->dir == TO_SERVER)
			advance(in->tls, TO_SERVER, TLS_CLIENT_HELLO_DONE);
		break;
	case SSL2_CLIENT_MASTER_KEY:
		side->seen |= TLS_SEEN_CLIENT_KEYX;
		break;
	case SSL2_SERVER_HELLO:
		side->seen |= TLS_SEEN_SERVER_HELLO;
		if (in->dir == TO_CLIENT)
			advance(in->tls, TO_CLIENT, TLS_SERVER_HELLO);
		break;
	}
}

static size_t ssl2_bytes(struct tls_input *in, struct bytes data)
{
	struct tls_side *side = in->side;
	size_t want = side->record_len < SSL2_KEEP ? side->record_len : SSL2_KEEP;
	if (side->message.len == want)
		return data.len;
	size_t n = gather(in, data, want);
	if (side->message.len == want && !in->no_memory)
		ssl2_message(in, (struct bytes){.data = side->message.data, .len = want});
	return n;
}

/* --- records -------------------------------------------------------------------------------------------------------- */

static bool version_plausible(uint16_t version)
{
	return (version >= 0x0300 && version <= TLS_1_3) || version >> 8 == 0x7f;
}

/* SSL 2 has no version in its records; the top bits of its lengths are no type of later ones. */
static bool ssl2_record(const struct tls_side *side)
{
	return side->header_len > 0 && side->header[0] & 0xc0 &&
	       (side->version == 0 || side->version == TLS_SSL_2 || side->type == RECORD_SSL2);
}

static size_t header_want(const struct tls_side *side)
{
	if (!ssl2_record(side))
		return 5;
	return side->header[0] & 0x80 ? 2 : 3;
}

static bool ssl2_begin(struct tls_input *in)
{
	struct tls_side *side = in->side;
	uint16_t head = load_be16(side->header);
	side->type = RECORD_SSL2;
	side->version = TLS_SSL_2;
	side->record_len = side->record_left = head & (head & 0x8000 ? 0x7fff : 0x3fff);
	side->message.len = 0;
	if (side->record_len > 0)
		return true;
	tls_event(in->tls, TLS_EVENT_INVALID_SSLV2_HEADER);
	tls_event(in->tls, TLS_EVENT_INVALID_SSL_RECORD);
	return false;
}

/* What begins with the record's header, before any of its content. */
static void record_started(struct tls_input *in)
{
	struct tls_side *side = in->side;
	struct tls_state *tls = in->tls;
	side->taken_len = 0;
	if (side->type == RECORD_CHANGE_CIPHER_SPEC) {
		side->cipher = true;
		handshake_done(in);
	} else if (side->type == RECORD_DATA && (!tls->early_data || tls->side[TO_CLIENT].hello)) {
		/* early data (RFC 8446 2.3) comes before the handshake is over */
		handshake_done(in);
		tls->opaque = true;
	}
	if (side->type != RECORD_HANDSHAKE) { /* no other record may stand within a message */
		side->skip_left = 0;
		if (side->message.cap)
			slab_buf_free(in->slab, &side->message);
	}
}

/* Judges the header that is complete; false when the direction cannot go on. */
static bool record_begin(struct tls_input *in)
{
	struct tls_side *side = in->side;
	struct tls_state *tls = in->tls;
	if (ssl2_record(side))
		return ssl2_begin(in);
	uint16_t version = load_be16(side->header + 1);
	if (side->type == RECORD_SSL2)
		slab_buf_free(in->slab, &side->message);
	side->type = side->header[0];
	side->record_len = side->record_left = load_be16(side->header + 3);
	if (side->type < RECORD_CHANGE_CIPHER_SPEC || side->type > RECORD_HEARTBEAT) {
		tls_event(tls, TLS_EVENT_INVALID_RECORD_TYPE);
		return false;
	}
	if (!version_plausible(version)) {
		tls_event(tls, TLS_EVENT_INVALID_RECORD_VERSION);
		return false;
	}
	/* empty data is allowed, as a countermeasure of old */
	if (side->record_len > RECORD_MAX || (side->record_len == 0 && side->type != RECORD_DATA)) {
		tls_event(tls, TLS_EVENT_INVALID_RECORD_LENGTH);
		return false;
	}
	if (!side->hello)
		side->version = version;
	record_started(in);
	return true;
}

/* Takes some bytes of the record at hand: how many. */
static size_t record_bytes(struct tls_input *in, struct bytes data)
{
	struct tls_side *side = in->side;
	if (data.len > side->record_left)
		data.len = side->record_left;
	size_t n = data.len, want = side->type == RECORD_ALERT ? 2 : 3;
	if (side->type == RECORD_SSL2) {
		n = ssl2_bytes(in, data);
	} else if (side->type == RECORD_HANDSHAKE && !handshake_encrypted(in)) {
		n = handshake_bytes(in, data);
	} else if ((side->type == RECORD_ALERT || side->type == RECORD_HEARTBEAT) && side->taken_len < want) {
		for (n = 0; n < data.len && side->taken_len < want; n++)
			side->taken[side->taken_len++] = data.data[n];
		if (side->taken_len == want && want == 2)
			alert_record(in);
		else if (side->taken_len == want)
			heartbeat_record(in);
		else if (side->record_left == n && want == 2)
			tls_event(in->tls, TLS_EVENT_INVALID_ALERT_MESSAGE);
	}
	side->record_left -= (uint32_t)n;
	return n;
}

/* Everything that is there. */
static void take(struct tls_input *in, struct bytes data)
{
	struct tls_side *side = in->side;
	size_t records = 0, records_max = data.len / RECORD_USUAL_MIN + 1;
	for (size_t at = 0; at < data.len && !side->lost && !in->no_memory;) {
		if (side->record_left > 0) {
			at += record_bytes(in, (struct bytes){.data = data.data + at, .len = data.len - at});
			continue;
		}
		side->header[side->header_len++] = data.data[at++];
		if (side->header_len < header_want(side))
			continue;
		side->lost = !record_begin(in);
		side->header_len = 0;
		if (++records > records_max) {
			tls_event(in->tls, TLS_EVENT_TOO_MANY_RECORDS_IN_PACKET);
			side->lost = true;
		}
	}
}

/* Bytes are missing: within a record that is not looked at this is no loss. */
static void take_gap(struct tls_input *in, uint32_t gap)
{
	struct tls_side *side = in->side;
	if (side->header_len == 0 && gap <= side->record_left && (side->type == RECORD_DATA || handshake_encrypted(in)))
		side->record_left -= gap;
	else
		side->lost = true;
}

/* --- the session ---------------------------------------------------------------------------------------------------- */

static enum app_probe probe_ssl2(struct bytes data, enum direction dir)
{
	if (data.len < 11)
		return APP_PROBE_MAYBE;
	size_t len = load_be16(data.data) & 0x7fff, version = load_be16(data.data + 3);
	if (dir == TO_SERVER) {
		size_t ciphers = load_be16(data.data + 5), id = load_be16(data.data + 7),
		       challenge = load_be16(data.data + 9);
		return data.data[2] == SSL2_CLIENT_HELLO &&
				       (version == TLS_SSL_2 || version_plausible((uint16_t)version)) && ciphers > 0 &&
				       ciphers % 3 == 0 && challenge >= 16 && challenge <= 32 &&
				       len == 9 + ciphers + id + challenge
			       ? APP_PROBE_YES
			       : APP_PROBE_NO;
	}
	/* a server's: whether the session id was known, the kind of certificate, the version */
	return data.data[2] == SSL2_SERVER_HELLO && data.data[3] <= 1 && data.data[4] <= 1 &&
			       load_be16(data.data + 5) == TLS_SSL_2
		       ? APP_PROBE_YES
		       : APP_PROBE_NO;
}

static enum app_probe tls_probe(struct bytes data, enum direction dir, bool udp, const uint16_t ports[static 2])
{
	(void)ports;
	if (udp || data.len == 0)
		return udp ? APP_PROBE_NO : APP_PROBE_MAYBE;
	uint8_t type = data.data[0];
	if (type & 0x80)
		return probe_ssl2(data, dir);
	/* a server may begin with an alert, and in a connection picked up late with data */
	if (type != RECORD_HANDSHAKE && (dir == TO_SERVER || (type != RECORD_ALERT && type != RECORD_DATA)))
		return APP_PROBE_NO;
	if ((data.len > 1 && data.data[1] != 3) || (data.len > 2 && data.data[2] > 4))
		return APP_PROBE_NO;
	if (data.len < 6)
		return APP_PROBE_MAYBE;
	size_t len = load_be16(data.data + 3);
	if (len == 0 || len > RECORD_MAX || (type == RECORD_HANDSHAKE && !message_known(data.data[5])))
		return APP_PROBE_NO;
	return APP_PROBE_YES;
}

static void *tls_state_new(struct app_session *session)
{
	return slab_zalloc(app_slab(session), sizeof(struct tls_state));
}

static void tls_state_free(struct app_session *session, void *state)
{
	struct slab *slab = app_slab(session);
	struct tls_state *tls = state;
	for (int dir = 0; dir < 2; dir++) {
		slab_buf_free(slab, &tls->side[dir].message);
		slab_buf_free(slab, &tls->side[dir].chain);
		slab_buf_free(slab, &tls->side[dir].san);
		slab_buf_free(slab, &tls->side[dir].text);
	}
	slab_free(slab, tls, sizeof(*tls));
}

static void tls_tx_free(struct app_session *session, struct app_tx *tx)
{
	slab_free(app_slab(session), tx, sizeof(struct tls_tx));
}

/* The transaction is told what the session has learned; it may be judged and gone already. */
static bool update_transaction(struct app_session *session, struct tls_state *tls)
{
	struct app_tx *tx = app_session_tx_last(session);
	if (!tls->transaction) {
		tx = app_tx_new(session, sizeof(struct tls_tx));
		tls->transaction = tx != NULL;
		if (!tx)
			return false;
	}
	if (!tx)
		return true;
	tx->progress[TO_SERVER] = tls->progress[TO_SERVER];
	tx->progress[TO_CLIENT] = tls->progress[TO_CLIENT];
	tx->events[0] |= tls->events;
	return true;
}

static int64_t tls_parse(struct app_session *session, void *state, const struct app_input *input)
{
	struct tls_state *tls = state;
	struct tls_input in = {
		.slab = app_slab(session), .tls = tls, .side = &tls->side[input->dir], .dir = input->dir};
	tls->now_s = input->ts_ns / 1000000000;
	if (input->gap)
		take_gap(&in, input->gap);
	take(&in, input->data);
	if (input->eof)
		tls->progress[input->dir] =
			input->dir == TO_SERVER ? (uint8_t)TLS_CLIENT_FINISHED : (uint8_t)TLS_SERVER_FINISHED;
	if (!update_transaction(session, tls) || in.no_memory)
		return APP_PARSE_FAILED;
	return (int64_t)input->data.len;
}

static bool tls_encrypted(struct app_session *session, const void *state)
{
	const struct tls_state *tls = state;
	(void)session;
	return tls->opaque;
}

static const char *const tls_events[] = {
	[TLS_EVENT_INVALID_SSLV2_HEADER] = "invalid_sslv2_header",
	[TLS_EVENT_INVALID_RECORD_VERSION] = "invalid_record_version",
	[TLS_EVENT_INVALID_RECORD_TYPE] = "invalid_record_type",
	[TLS_EVENT_INVALID_RECORD_LENGTH] = "invalid_record_length",
	[TLS_EVENT_INVALID_HANDSHAKE_MESSAGE] = "invalid_handshake_message",
	[TLS_EVENT_HANDSHAKE_INVALID_LENGTH] = "handshake_invalid_length",
	[TLS_EVENT_INVALID_SSL_RECORD] = "invalid_ssl_record",
	[TLS_EVENT_INVALID_ALERT_MESSAGE] = "invalid_alert_message",
	[TLS_EVENT_ERROR_MESSAGE_ENCOUNTERED] = "error_message_encountered",
	[TLS_EVENT_TOO_MANY_RECORDS_IN_PACKET] = "too_many_records_in_packet",
	[TLS_EVENT_INVALID_HEARTBEAT_MESSAGE] = "invalid_heartbeat_message",
	[TLS_EVENT_OVERFLOW_HEARTBEAT_MESSAGE] = "overflow_heartbeat_message",
	[TLS_EVENT_DATALEAK_HEARTBEAT_MISMATCH] = "dataleak_heartbeat_mismatch",
	[TLS_EVENT_MULTIPLE_SNI_EXTENSIONS] = "multiple_sni_extensions",
	[TLS_EVENT_INVALID_SNI_TYPE] = "invalid_sni_type",
	[TLS_EVENT_INVALID_SNI_LENGTH] = "invalid_sni_length",
	[TLS_EVENT_INVALID_CERTIFICATE] = "invalid_certificate",
	[TLS_EVENT_CERTIFICATE_INVALID_LENGTH] = "certificate_invalid_length",
	[TLS_EVENT_CERTIFICATE_INVALID_VERSION] = "certificate_invalid_version",
	[TLS_EVENT_CERTIFICATE_INVALID_SERIAL] = "certificate_invalid_serial",
	[TLS_EVENT_CERTIFICATE_INVALID_ALGORITHMIDENTIFIER] = "certificate_invalid_algorithmidentifier",
	[TLS_EVENT_CERTIFICATE_INVALID_X509NAME] = "certificate_invalid_x509name",
	[TLS_EVENT_CERTIFICATE_INVALID_DATE] = "certificate_invalid_date",
	[TLS_EVENT_CERTIFICATE_INVALID_EXTENSIONS] = "certificate_invalid_extensions",
	[TLS_EVENT_CERTIFICATE_INVALID_DER] = "certificate_invalid_der",
	[TLS_EVENT_CERTIFICATE_INVALID_SUBJECT] = "certificate_invalid_subject",
	[TLS_EVENT_CERTIFICATE_INVALID_ISSUER] = "certificate_invalid_issuer",
	[TLS_EVENT_CERTIFICATE_INVALID_VALIDITY] = "certificate_invalid_validity",
	[TLS_EVENT_COUNT] = NULL,
};

const struct app_proto app_tls = {
	.name = "tls",
	.rule_aliases = (const char *const[]){"ssl", NULL},
	.record_type = "tls",
	.id = APP_TLS,
	.tcp = true,
	.first_dirs = 1 << TO_SERVER,
	.probe = tls_probe,
	.state_new = tls_state_new,
	.state_free = tls_state_free,
	.parse = tls_parse,
	.tx_free = tls_tx_free,
	.complete = {TLS_CLIENT_FINISHED, TLS_SERVER_FINISHED},
	.hooks = {(const char *const[]){"client_in_progress", "client_hello_done", "client_cert_done",
					"client_handshake_done", "client_finished", NULL},
		  (const char *const[]){"server_in_progress", "server_hello", "server_cert_done", "server_hello_done",
					"server_handshake_done", "server_finished", NULL}},
	.buffers = tls_buffers,
	.values = tls_values,
	.events = tls_events,
	.has_record = tls_has_record,
	.fields = tls_fields,
	.encrypted = tls_encrypted,
	.flows_counter_tcp = COUNTER_APP_LAYER_FLOWS_TLS,
	.tx_counter = COUNTER_APP_LAYER_TX_TLS,
};
