/* SPDX-License-Identifier: BSD-3-Clause */
/* What rules and records see of a TLS session: buffers, values, fields. */
#include "app/tls.h"

static const struct tls_side *side_of(struct app_session *session, enum direction dir)
{
	return &((const struct tls_state *)app_state(session))->side[dir];
}

static bool show(struct bytes bytes, struct bytes *view, uint64_t *offset)
{
	*view = bytes;
	*offset = 0;
	return true;
}

/* --- buffers -------------------------------------------------------------------------------------------------------- */

/* One string of the side that `dir` comes from. */
#define GET_TEXT(function, present, text)                                                                              \
	static bool function(struct app_session *session, const struct app_tx *tx, enum direction dir, unsigned index, \
			     struct bytes *view, uint64_t *offset)                                                     \
	{                                                                                                              \
		const struct tls_state *tls = app_state(session);                                                      \
		const struct tls_side *side = &tls->side[dir];                                                         \
		(void)tx;                                                                                              \
		return index == 0 && (present) && show(tls_text_bytes(side, (text)), view, offset);                    \
	}

GET_TEXT(get_sni, tls->has_sni, tls->sni)
GET_TEXT(get_subject, side->named, side->subject)
GET_TEXT(get_issuer, side->named, side->issuer)
GET_TEXT(get_serial, side->serial.len > 0, side->serial)
GET_TEXT(get_fingerprint, side->fingerprint.len > 0, side->fingerprint)
GET_TEXT(get_ja3_hash, tls->ja3_hash.len > 0, tls->ja3_hash)
GET_TEXT(get_ja3_string, tls->ja3_string.len > 0, tls->ja3_string)
GET_TEXT(get_ja3s_hash, tls->ja3s_hash.len > 0, tls->ja3s_hash)
GET_TEXT(get_ja3s_string, tls->ja3s_string.len > 0, tls->ja3s_string)
GET_TEXT(get_ja4, tls->ja4.len > 0, tls->ja4)

static bool get_random_part(struct app_session *session, enum direction dir, unsigned index, size_t from, size_t len,
			    struct bytes *view, uint64_t *offset)
{
	const struct tls_side *side = side_of(session, dir);
	return index == 0 && side->hello && show((struct bytes){side->random + from, len}, view, offset);
}

static bool get_random(struct app_session *session, const struct app_tx *tx, enum direction dir, unsigned index,
		       struct bytes *view, uint64_t *offset)
{
	(void)tx;
	return get_random_part(session, dir, index, 0, 32, view, offset);
}

/* Before TLS 1.3 the first four bytes were a clock. */
static bool get_random_time(struct app_session *session, const struct app_tx *tx, enum direction dir, unsigned index,
			    struct bytes *view, uint64_t *offset)
{
	(void)tx;
	return get_random_part(session, dir, index, 0, 4, view, offset);
}

static bool get_random_bytes(struct app_session *session, const struct app_tx *tx, enum direction dir, unsigned index,
			     struct bytes *view, uint64_t *offset)
{
	(void)tx;
	return get_random_part(session, dir, index, 4, 28, view, offset);
}

static bool get_certificate(struct app_session *session, const struct app_tx *tx, enum direction dir, unsigned index,
			    struct bytes *view, uint64_t *offset)
{
	const struct tls_side *side = side_of(session, dir);
	(void)tx;
	if (index >= side->cert_count)
		return false;
	struct tls_text cert = side->cert[index];
	return show((struct bytes){side->chain.data + cert.at, cert.len}, view, offset);
}

static struct bytes alternative_name(const struct tls_side *side, unsigned index)
{
	struct tls_text text;
	memcpy(&text, side->san.data + index * sizeof(text), sizeof(text));
	return tls_text_bytes(side, text);
}

static bool get_alternative_name(struct app_session *session, const struct app_tx *tx, enum direction dir,
				 unsigned index, struct bytes *view, uint64_t *offset)
{
	const struct tls_side *side = side_of(session, dir);
	(void)tx;
	return index < side->san.len / sizeof(struct tls_text) && show(alternative_name(side, index), view, offset);
}

static bool get_alpn(struct app_session *session, const struct app_tx *tx, enum direction dir, unsigned index,
		     struct bytes *view, uint64_t *offset)
{
	const struct tls_side *side = side_of(session, dir);
	(void)tx;
	return index < side->alpn_count && show(tls_text_bytes(side, side->alpn[index]), view, offset);
}

#define CLIENT_HELLO .dir = TO_SERVER, .progress = TLS_CLIENT_HELLO_DONE, .complete = TLS_CLIENT_HELLO_DONE
#define SERVER_HELLO .dir = TO_CLIENT, .progress = TLS_SERVER_HELLO, .complete = TLS_SERVER_HELLO
#define CLIENT_CERT  .dir = TO_SERVER, .progress = TLS_CLIENT_CERT_DONE, .complete = TLS_CLIENT_CERT_DONE
#define SERVER_CERT  .dir = TO_CLIENT, .progress = TLS_SERVER_CERT_DONE, .complete = TLS_SERVER_CERT_DONE

const struct app_buffer tls_buffers[] = {
	{.name = "tls.sni", .alias = "tls_sni", CLIENT_HELLO, .get = get_sni},
	{.name = "tls.alpn", CLIENT_HELLO, .flags = APP_BUFFER_MULTI, .get = get_alpn},
	{.name = "tls.alpn", SERVER_HELLO, .flags = APP_BUFFER_MULTI, .get = get_alpn},
	{.name = "tls.random", CLIENT_HELLO, .get = get_random},
	{.name = "tls.random", SERVER_HELLO, .get = get_random},
	{.name = "tls.random_time", CLIENT_HELLO, .get = get_random_time},
	{.name = "tls.random_time", SERVER_HELLO, .get = get_random_time},
	{.name = "tls.random_bytes", CLIENT_HELLO, .get = get_random_bytes},
	{.name = "tls.random_bytes", SERVER_HELLO, .get = get_random_bytes},
	{.name = "ja3.hash", .alias = "ja3_hash", CLIENT_HELLO, .get = get_ja3_hash},
	{.name = "ja3.string", .alias = "ja3_string", CLIENT_HELLO, .get = get_ja3_string},
	{.name = "ja3s.hash", SERVER_HELLO, .get = get_ja3s_hash},
	{.name = "ja3s.string", SERVER_HELLO, .get = get_ja3s_string},
	{.name = "ja4.hash", .alias = "ja4_hash", CLIENT_HELLO, .get = get_ja4},
	{.name = "tls.cert_subject", .alias = "tls_cert_subject", CLIENT_CERT, .get = get_subject},
	{.name = "tls.cert_subject", .alias = "tls_cert_subject", SERVER_CERT, .get = get_subject},
	{.name = "tls.cert_issuer", .alias = "tls_cert_issuer", CLIENT_CERT, .get = get_issuer},
	{.name = "tls.cert_issuer", .alias = "tls_cert_issuer", SERVER_CERT, .get = get_issuer},
	{.name = "tls.cert_serial", .alias = "tls_cert_serial", CLIENT_CERT, .get = get_serial},
	{.name = "tls.cert_serial", .alias = "tls_cert_serial", SERVER_CERT, .get = get_serial},
	{.name = "tls.cert_fingerprint", .alias = "tls_cert_fingerprint", CLIENT_CERT, .get = get_fingerprint},
	{.name = "tls.cert_fingerprint", .alias = "tls_cert_fingerprint", SERVER_CERT, .get = get_fingerprint},
	{.name = "tls.certs", CLIENT_CERT, .flags = APP_BUFFER_MULTI, .get = get_certificate},
	{.name = "tls.certs", SERVER_CERT, .flags = APP_BUFFER_MULTI, .get = get_certificate},
	{.name = "tls.subjectaltname", SERVER_CERT, .flags = APP_BUFFER_MULTI, .get = get_alternative_name},
	{.name = NULL},
};

/* --- values --------------------------------------------------------------------------------------------------------- */

enum version_bit {
	VERSION_SSL2 = 1,
	VERSION_SSL3 = 2,
	VERSION_1_0 = 4,
	VERSION_1_1 = 8,
	VERSION_1_2 = 16,
	VERSION_1_3 = 32
};

static const struct app_value_name version_bits[] = {
	{"sslv2", VERSION_SSL2},
	{"sslv3", VERSION_SSL3},
	{"tls1.0", VERSION_1_0},
	{"tls1.1", VERSION_1_1},
	{"tls1.2", VERSION_1_2},
	{"tls1.3", VERSION_1_3},
	{NULL, 0},
};

static const struct app_value_name version_numbers[] = {
	{"1.0", 0x0301}, {"1.1", 0x0302}, {"1.2", TLS_1_2}, {"1.3", TLS_1_3}, {NULL, 0},
};

static const struct app_value_name state_bits[] = {
	{"client_hello", TLS_SEEN_CLIENT_HELLO}, {"server_hello", TLS_SEEN_SERVER_HELLO},
	{"client_keyx", TLS_SEEN_CLIENT_KEYX},	 {"server_keyx", TLS_SEEN_SERVER_KEYX},
	{"unknown", TLS_SEEN_UNKNOWN},		 {NULL, 0},
};

/* One bit, so that a rule can ask for any of several. */
static bool get_version_bit(struct app_session *session, const struct app_tx *tx, enum direction dir, unsigned index,
			    uint64_t *value)
{
	uint16_t version = side_of(session, dir)->version;
	(void)tx;
	*value = 0;
	if (version == TLS_SSL_2)
		*value = VERSION_SSL2;
	else if (version >= 0x0300 && version <= TLS_1_2)
		*value = (uint64_t)VERSION_SSL3 << (version - 0x0300);
	else if (tls_is_1_3(version))
		*value = VERSION_1_3;
	return index == 0 && *value != 0;
}

static bool get_version(struct app_session *session, const struct app_tx *tx, enum direction dir, unsigned index,
			uint64_t *value)
{
	uint16_t version = side_of(session, dir)->version;
	(void)tx;
	*value = tls_is_1_3(version) ? TLS_1_3 : version;
	return index == 0 && version != 0;
}

static bool get_seen(struct app_session *session, const struct app_tx *tx, enum direction dir, unsigned index,
		     uint64_t *value)
{
	(void)tx;
	*value = side_of(session, dir)->seen;
	return index == 0;
}

static bool get_chain_len(struct app_session *session, const struct app_tx *tx, enum direction dir, unsigned index,
			  uint64_t *value)
{
	(void)tx;
	*value = side_of(session, dir)->chain_len;
	return index == 0 && side_of(session, dir)->certificate;
}

static bool get_not_before(struct app_session *session, const struct app_tx *tx, enum direction dir, unsigned index,
			   uint64_t *value)
{
	const struct tls_side *side = side_of(session, dir);
	(void)tx;
	/* dates before 1970 count as 1970 */
	*value = side->not_before_s > 0 ? (uint64_t)side->not_before_s : 0;
	return index == 0 && side->dated;
}

static bool get_not_after(struct app_session *session, const struct app_tx *tx, enum direction dir, unsigned index,
			  uint64_t *value)
{
	const struct tls_side *side = side_of(session, dir);
	(void)tx;
	*value = side->not_after_s > 0 ? (uint64_t)side->not_after_s : 0;
	return index == 0 && side->dated;
}

/* Whether the certificate's time is over now (the packet's). */
static bool get_expired(struct app_session *session, const struct app_tx *tx, enum direction dir, unsigned index,
			uint64_t *value)
{
	const struct tls_state *tls = app_state(session);
	(void)tx;
	*value = tls->side[dir].not_after_s < (int64_t)tls->now_s;
	return index == 0 && tls->side[dir].dated;
}

static bool get_valid(struct app_session *session, const struct app_tx *tx, enum direction dir, unsigned index,
		      uint64_t *value)
{
	const struct tls_state *tls = app_state(session);
	const struct tls_side *side = &tls->side[dir];
	(void)tx;
	*value = side->not_before_s <= (int64_t)tls->now_s && (int64_t)tls->now_s <= side->not_after_s;
	return index == 0 && side->dated;
}

#define HELLOS(get_, names_) .any_direction = true, .progress = TLS_CLIENT_HELLO_DONE, .names = (names_), .get = (get_)
#define KEYX(get_, names_)                                                                                             \
	.any_direction = true, .progress = TLS_CLIENT_HANDSHAKE_DONE, .names = (names_), .get = (get_)
#define CERTS(get_) .any_direction = true, .progress = TLS_SERVER_CERT_DONE, .get = (get_)

_Static_assert((int)TLS_CLIENT_HELLO_DONE == (int)TLS_SERVER_HELLO, "one progress stands for both directions");
_Static_assert((int)TLS_CLIENT_CERT_DONE == (int)TLS_SERVER_CERT_DONE, "one progress stands for both directions");
_Static_assert((int)TLS_CLIENT_HANDSHAKE_DONE == (int)TLS_SERVER_HELLO_DONE, "key exchanges are over by then");

const struct app_value tls_values[] = {
	{.name = "ssl_version", HELLOS(get_version_bit, version_bits)},
	{.name = "tls.version", HELLOS(get_version, version_numbers)},
	{.name = "ssl_state", HELLOS(get_seen, state_bits)},
	{.name = "ssl_state.keyx", KEYX(get_seen, state_bits)},
	{.name = "tls.cert_chain_len", CERTS(get_chain_len)},
	{.name = "tls_cert_notbefore", CERTS(get_not_before)},
	{.name = "tls_cert_notafter", CERTS(get_not_after)},
	{.name = "tls_cert_expired", CERTS(get_expired)},
	{.name = "tls_cert_valid", CERTS(get_valid)},
	{.name = NULL},
};

/* --- records -------------------------------------------------------------------------------------------------------- */

bool tls_has_record(struct app_session *session, const struct app_tx *tx, bool complete)
{
	const struct tls_state *tls = app_state(session);
	const struct tls_side *client = &tls->side[TO_SERVER], *server = &tls->side[TO_CLIENT];
	/* a session that showed neither a certificate nor why it needs none tells nothing */
	if (!server->named && !tls->may_resume && !tls_is_1_3(server->version))
		return false;
	if (complete)
		return true;
	/* the server's turn is over, so that it is known whether it wants a certificate, too */
	if (server->named && tx->progress[TO_CLIENT] >= TLS_SERVER_HELLO_DONE &&
	    (!tls->client_cert_wanted || client->certificate))
		return true;
	return tx->progress[TO_SERVER] >= TLS_CLIENT_HANDSHAKE_DONE &&
	       tx->progress[TO_CLIENT] >= TLS_SERVER_HANDSHAKE_DONE;
}

static void text_field(struct field_sink *s, const char *name, const struct tls_side *side, struct tls_text text)
{
	if (text.len > 0)
		s->text(s, name, tls_text_bytes(side, text));
}

static void name_fields(struct field_sink *s, const struct tls_side *side)
{
	if (!side->named)
		return;
	s->text(s, "subject", tls_text_bytes(side, side->subject));
	s->text(s, "issuerdn", tls_text_bytes(side, side->issuer));
}

static void alternative_name_fields(struct field_sink *s, const struct tls_side *side)
{
	if (side->san.len == 0)
		return;
	s->array(s, "subjectaltname");
	for (unsigned i = 0; i < side->san.len / sizeof(struct tls_text); i++)
		s->text(s, NULL, alternative_name(side, i));
	s->close(s);
}

static void alpn_fields(struct field_sink *s, const char *name, const struct tls_side *side)
{
	if (side->alpn_count == 0)
		return;
	s->array(s, name);
	for (unsigned i = 0; i < side->alpn_count; i++)
		s->text(s, NULL, tls_text_bytes(side, side->alpn[i]));
	s->close(s);
}

static void ja3_fields(struct field_sink *s, const char *name, const struct tls_side *side, struct tls_text hash,
		       struct tls_text string)
{
	if (hash.len == 0)
		return;
	s->object(s, name);
	text_field(s, "hash", side, hash);
	text_field(s, "string", side, string);
	s->close(s);
}

static void client_certificate_fields(struct field_sink *s, const struct tls_side *client)
{
	if (!client->named)
		return;
	s->object(s, "client");
	name_fields(s, client);
	text_field(s, "fingerprint", client, client->fingerprint);
	text_field(s, "serial", client, client->serial);
	text_field(s, "notbefore", client, client->not_before);
	text_field(s, "notafter", client, client->not_after);
	s->close(s);
}

void tls_fields(struct app_session *session, const struct app_tx *tx, struct field_sink *s)
{
	const struct tls_state *tls = app_state(session);
	const struct tls_side *client = &tls->side[TO_SERVER], *server = &tls->side[TO_CLIENT];
	char number[32];
	(void)tx;

	name_fields(s, server);
	alternative_name_fields(s, server);
	if (tls->may_resume && !server->named && server->hello && !tls_is_1_3(server->version))
		s->boolean(s, "session_resumed", true);
	text_field(s, "serial", server, server->serial);
	text_field(s, "fingerprint", server, server->fingerprint);
	if (tls->has_sni)
		s->text(s, "sni", tls_text_bytes(client, tls->sni));
	field_text(s, "version", tls_version_name(server->version ? server->version : client->version, number));
	text_field(s, "notbefore", server, server->not_before);
	text_field(s, "notafter", server, server->not_after);
	ja3_fields(s, "ja3", client, tls->ja3_hash, tls->ja3_string);
	ja3_fields(s, "ja3s", server, tls->ja3s_hash, tls->ja3s_string);
	text_field(s, "ja4", client, tls->ja4);
	alpn_fields(s, "client_alpns", client);
	alpn_fields(s, "server_alpns", server);
	client_certificate_fields(s, client);
}
