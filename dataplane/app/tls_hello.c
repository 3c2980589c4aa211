/* SPDX-License-Identifier: BSD-3-Clause */
/* Client and server hellos (RFC 8446 4.1, RFC 5246 7.4.1). */
#include <stdio.h>

#include "app/tls.h"

enum {
	EXTENSION_SNI = 0,
	EXTENSION_GROUPS = 10,
	EXTENSION_FORMATS = 11,
	EXTENSION_SIGNATURES = 13,
	EXTENSION_ALPN = 16,
	EXTENSION_TICKET = 35,
	EXTENSION_EARLY_DATA = 42,
	EXTENSION_VERSIONS = 43,
};

const char *tls_version_name(uint16_t version, char buf[static 32])
{
	switch (version) {
	case 0:
		return "UNDETERMINED";
	case TLS_SSL_2:
		return "SSLv2";
	case 0x0300:
		return "SSLv3";
	case 0x0301:
		return "TLSv1";
	case 0x0302:
		return "TLS 1.1";
	case TLS_1_2:
		return "TLS 1.2";
	case TLS_1_3:
		return "TLS 1.3";
	}
	if (version >> 8 == 0x7f) /* drafts of 1.3 called themselves so */
		snprintf(buf, 32, "TLS 1.3 draft-%u", version & 0xff);
	else
		snprintf(buf, 32, "0x%04x", version);
	return buf;
}

/* Appends big-endian 16-bit values without GREASE, as far as there is room. */
static void read_list(struct bytes data, uint16_t *list, size_t *count)
{
	for (size_t i = 0; i + 2 <= data.len && *count < TLS_LIST_MAX; i += 2) {
		uint16_t value = load_be16(data.data + i);
		if (!tls_grease(value))
			list[(*count)++] = value;
	}
}

static bool read_sni(struct slab *slab, struct tls_state *tls, struct cursor c)
{
	if (cursor_left(&c) == 0)
		return true; /* a server's acknowledgement is empty */
	uint16_t list_len = cursor_be16(&c);
	uint8_t type = cursor_u8(&c);
	struct bytes name = cursor_bytes(&c, cursor_be16(&c));
	if (c.failed || list_len < name.len + 3) {
		tls_event(tls, TLS_EVENT_INVALID_SNI_LENGTH);
		return true;
	}
	if (type != 0) {
		tls_event(tls, TLS_EVENT_INVALID_SNI_TYPE);
		return true;
	}
	if (tls->has_sni) {
		tls_event(tls, TLS_EVENT_MULTIPLE_SNI_EXTENSIONS);
		return true;
	}
	tls->has_sni = true;
	return tls_text_add(slab, &tls->side[TO_SERVER], &tls->sni, name.data, name.len);
}

static bool read_alpn(struct slab *slab, struct tls_side *side, struct tls_lists *lists, struct cursor c)
{
	struct bytes list = cursor_bytes(&c, cursor_be16(&c));
	struct cursor names = cursor_of(list.data, list.len);
	while (cursor_left(&names) > 0 && side->alpn_count < TLS_ALPN_MAX) {
		struct bytes name = cursor_bytes(&names, cursor_u8(&names));
		if (names.failed)
			break;
		if (side->alpn_count == 0)
			lists->first_alpn = name;
		if (!tls_text_add(slab, side, &side->alpn[side->alpn_count++], name.data, name.len))
			return false;
	}
	return true;
}

static bool version_known(uint16_t version)
{
	return (version >= 0x0300 && version <= TLS_1_3) || version >> 8 == 0x7f;
}

/* The client lists versions, the server names the one it took. */
static void read_versions(struct tls_side *side, struct tls_lists *lists, bool client, struct cursor c)
{
	if (!client) {
		uint16_t version = cursor_be16(&c);
		if (!c.failed)
			side->version = lists->version_max = version;
		return;
	}
	struct bytes list = cursor_bytes(&c, cursor_u8(&c));
	bool preferred = true;
	for (size_t i = 0; i + 2 <= list.len; i += 2) {
		uint16_t version = load_be16(list.data + i);
		if (!version_known(version))
			continue;
		/* rules and records are told the client's first choice, fingerprints the highest */
		if (preferred)
			side->version = version;
		preferred = false;
		if (version >> 8 == 3 && version > lists->version_max)
			lists->version_max = version;
	}
}

static bool read_extension(struct slab *slab, struct tls_state *tls, bool client, uint16_t type, struct bytes data,
			   struct tls_lists *lists)
{
	struct tls_side *side = &tls->side[client ? TO_SERVER : TO_CLIENT];
	struct cursor c = cursor_of(data.data, data.len);
	switch (type) {
	case EXTENSION_SNI:
		lists->has_sni = true;
		return !client || read_sni(slab, tls, c);
	case EXTENSION_ALPN:
		return read_alpn(slab, side, lists, c);
	case EXTENSION_TICKET:
		tls->may_resume |= client;
		return true;
	case EXTENSION_EARLY_DATA:
		tls->early_data |= client;
		return true;
	case EXTENSION_VERSIONS:
		read_versions(side, lists, client, c);
		return true;
	case EXTENSION_GROUPS:
		read_list(cursor_bytes(&c, cursor_be16(&c)), lists->groups, &lists->group_count);
		return true;
	case EXTENSION_SIGNATURES:
		read_list(cursor_bytes(&c, cursor_be16(&c)), lists->signatures, &lists->signature_count);
		return true;
	case EXTENSION_FORMATS: {
		struct bytes formats = cursor_bytes(&c, cursor_u8(&c));
		if (formats.len)
			memcpy(lists->formats, formats.data, formats.len);
		lists->format_count = formats.len;
		return true;
	}
	default:
		return true;
	}
}

static bool read_extensions(struct slab *slab, struct tls_state *tls, bool client, struct cursor *c,
			    struct tls_lists *lists)
{
	if (cursor_left(c) == 0)
		return true; /* before TLS 1.2 there were none */
	struct bytes all = cursor_bytes(c, cursor_be16(c));
	struct cursor e = cursor_of(all.data, all.len);
	if (c->failed) {
		tls_event(tls, TLS_EVENT_HANDSHAKE_INVALID_LENGTH);
		return true;
	}
	while (cursor_left(&e) > 0) {
		uint16_t type = cursor_be16(&e);
		struct bytes data = cursor_bytes(&e, cursor_be16(&e));
		if (e.failed) {
			tls_event(tls, TLS_EVENT_HANDSHAKE_INVALID_LENGTH);
			return true;
		}
		if (!tls_grease(type) && lists->extension_count < TLS_LIST_MAX)
			lists->extensions[lists->extension_count++] = type;
		if (!read_extension(slab, tls, client, type, data, lists))
			return false;
	}
	return true;
}

/* What client and server hellos begin with; false (and an event) when it is not all there. */
static bool read_start(struct tls_state *tls, struct tls_side *side, struct cursor *c, struct tls_lists *lists)
{
	lists->version = lists->version_max = cursor_be16(c);
	const uint8_t *random = cursor_take(c, sizeof(side->random));
	if (!random) {
		tls_event(tls, TLS_EVENT_HANDSHAKE_INVALID_LENGTH);
		return false;
	}
	side->version = lists->version;
	memcpy(side->random, random, sizeof(side->random));
	return true;
}

bool tls_client_hello(struct slab *slab, struct tls_state *tls, struct bytes body)
{
	struct tls_side *side = &tls->side[TO_SERVER];
	struct cursor c = cursor_of(body.data, body.len);
	struct tls_lists lists;
	/* a second one, after HelloRetryRequest, must say the same but for the key share */
	if (side->hello)
		return true;
	memset(&lists, 0, sizeof(lists));
	if (!read_start(tls, side, &c, &lists))
		return true;
	struct bytes session_id = cursor_bytes(&c, cursor_u8(&c));
	struct bytes ciphers = cursor_bytes(&c, cursor_be16(&c));
	cursor_skip(&c, cursor_u8(&c)); /* compression */
	if (c.failed)
		tls_event(tls, TLS_EVENT_HANDSHAKE_INVALID_LENGTH);
	read_list(ciphers, lists.ciphers, &lists.cipher_count);
	side->hello = true;
	return tls_text_add(slab, side, &side->session_id, session_id.data, session_id.len) &&
	       read_extensions(slab, tls, true, &c, &lists) && tls_fingerprint_client(slab, tls, &lists);
}

bool tls_server_hello(struct slab *slab, struct tls_state *tls, struct bytes body)
{
	struct tls_side *side = &tls->side[TO_CLIENT], *client = &tls->side[TO_SERVER];
	struct cursor c = cursor_of(body.data, body.len);
	struct tls_lists lists;
	struct bytes session_id = {0};
	if (side->hello)
		return true;
	memset(&lists, 0, sizeof(lists));
	if (!read_start(tls, side, &c, &lists))
		return true;
	/* drafts of 1.3 had neither session id nor compression */
	bool old_draft = tls_is_1_3(lists.version);
	if (!old_draft)
		session_id = cursor_bytes(&c, cursor_u8(&c));
	lists.ciphers[0] = cursor_be16(&c);
	lists.cipher_count = 1;
	if (!old_draft)
		cursor_skip(&c, 1);
	if (c.failed)
		tls_event(tls, TLS_EVENT_HANDSHAKE_INVALID_LENGTH);
	side->hello = true;
	tls->may_resume |= session_id.len > 0 && bytes_equal(session_id, tls_text_bytes(client, client->session_id));
	return tls_text_add(slab, side, &side->session_id, session_id.data, session_id.len) &&
	       read_extensions(slab, tls, false, &c, &lists) && tls_fingerprint_server(slab, tls, &lists);
}
