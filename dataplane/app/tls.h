/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What the files of TLS share: a session's two sides, its hellos, certificates and fingerprints. Private to app/tls*.c. */

#include <dataplane/app.h>

/* Longest handshake message that is kept to be read: long certificate chains have some 20 KiB. */
#define TLS_MESSAGE_MAX (128u << 10)
/* Certificates of a chain that rules may look at. */
#define TLS_CHAIN_MAX 16
/* Alternative names kept of a certificate: authorities issue up to 250. */
#define TLS_SAN_MAX  512
#define TLS_ALPN_MAX 16
/* Longest list of a hello that fingerprints look at: ciphers, extensions, groups. */
#define TLS_LIST_MAX 512

#define TLS_SSL_2 0x0002
#define TLS_1_2	  0x0303
#define TLS_1_3	  0x0304

enum tls_event {
	TLS_EVENT_INVALID_SSLV2_HEADER,
	TLS_EVENT_INVALID_RECORD_VERSION,
	TLS_EVENT_INVALID_RECORD_TYPE,
	TLS_EVENT_INVALID_RECORD_LENGTH,
	TLS_EVENT_INVALID_HANDSHAKE_MESSAGE,
	TLS_EVENT_HANDSHAKE_INVALID_LENGTH,
	TLS_EVENT_INVALID_SSL_RECORD,
	TLS_EVENT_INVALID_ALERT_MESSAGE,
	TLS_EVENT_ERROR_MESSAGE_ENCOUNTERED,
	TLS_EVENT_TOO_MANY_RECORDS_IN_PACKET,
	TLS_EVENT_INVALID_HEARTBEAT_MESSAGE,
	TLS_EVENT_OVERFLOW_HEARTBEAT_MESSAGE,
	TLS_EVENT_DATALEAK_HEARTBEAT_MISMATCH,
	TLS_EVENT_MULTIPLE_SNI_EXTENSIONS,
	TLS_EVENT_INVALID_SNI_TYPE,
	TLS_EVENT_INVALID_SNI_LENGTH,
	TLS_EVENT_INVALID_CERTIFICATE,
	TLS_EVENT_CERTIFICATE_INVALID_LENGTH,
	TLS_EVENT_CERTIFICATE_INVALID_VERSION,
	TLS_EVENT_CERTIFICATE_INVALID_SERIAL,
	TLS_EVENT_CERTIFICATE_INVALID_ALGORITHMIDENTIFIER,
	TLS_EVENT_CERTIFICATE_INVALID_X509NAME,
	TLS_EVENT_CERTIFICATE_INVALID_DATE,
	TLS_EVENT_CERTIFICATE_INVALID_EXTENSIONS,
	TLS_EVENT_CERTIFICATE_INVALID_DER,
	TLS_EVENT_CERTIFICATE_INVALID_SUBJECT,
	TLS_EVENT_CERTIFICATE_INVALID_ISSUER,
	TLS_EVENT_CERTIFICATE_INVALID_VALIDITY,
	TLS_EVENT_COUNT,
};

/* A run of bytes in a side's `text`; len 0: none. */
struct tls_text {
	uint32_t at;
	uint32_t len;
};

/* How far each side's handshake is; names in tls_hooks. */
enum tls_client_progress {
	TLS_CLIENT_IN_PROGRESS,
	TLS_CLIENT_HELLO_DONE,
	TLS_CLIENT_CERT_DONE,
	TLS_CLIENT_HANDSHAKE_DONE,
	TLS_CLIENT_FINISHED,
};

enum tls_server_progress {
	TLS_SERVER_IN_PROGRESS,
	TLS_SERVER_HELLO,
	TLS_SERVER_CERT_DONE,
	TLS_SERVER_HELLO_DONE,
	TLS_SERVER_HANDSHAKE_DONE,
	TLS_SERVER_FINISHED,
};

/* Messages that a side sent, as rules ask for them (ssl_state). */
enum tls_seen {
	TLS_SEEN_CLIENT_HELLO = 1 << 0,
	TLS_SEEN_SERVER_HELLO = 1 << 1,
	TLS_SEEN_CLIENT_KEYX = 1 << 2,
	TLS_SEEN_SERVER_KEYX = 1 << 3,
	TLS_SEEN_UNKNOWN = 1 << 4,
};

struct tls_side {
	/* the record at hand */
	uint8_t header[5];
	uint8_t header_len;
	uint8_t type;	  /* TLS_RECORD_*; or TLS_RECORD_SSL2 */
	uint8_t taken[3]; /* first bytes of an alert or heartbeat */
	uint8_t taken_len;
	bool lost;   /* bytes are missing: where records begin is unknown from here on */
	bool cipher; /* ChangeCipherSpec was sent */
	uint32_t record_len, record_left;

	/* the handshake message at hand: its header and body, or how much of it is skipped */
	struct slab_buf message;
	uint32_t skip_left;

	/* what the hello said */
	uint16_t version; /* of the hello; before it, of the records */
	bool hello;
	uint8_t seen; /* enum tls_seen */
	uint8_t random[32];
	struct tls_text session_id;
	struct tls_text alpn[TLS_ALPN_MAX];
	uint8_t alpn_count;

	/* the certificates */
	bool certificate;      /* the message came */
	bool named;	       /* subject and issuer of the first could be read */
	bool dated;	       /* and its validity */
	struct slab_buf chain; /* their DER, one after another */
	struct tls_text cert[TLS_CHAIN_MAX];
	uint8_t cert_count;
	uint32_t chain_len; /* certificates sent, kept or not */
	struct tls_text subject, issuer, serial, fingerprint, not_before, not_after;
	int64_t not_before_s, not_after_s; /* since the epoch */
	struct slab_buf san;		   /* struct tls_text each */

	struct slab_buf text; /* all strings */
};

struct tls_state {
	struct tls_side side[2];		   /* [0] the client */
	struct tls_text sni;			   /* in the client's text */
	struct tls_text ja3_string, ja3_hash, ja4; /* in the client's text */
	struct tls_text ja3s_string, ja3s_hash;	   /* in the server's text */
	bool has_sni;
	bool may_resume; /* a ticket was offered or the session id echoed: without a certificate, it was resumed */
	bool client_cert_wanted; /* the server asked */
	bool early_data;	 /* the client sends data before the server's hello (TLS 1.3) */
	bool opaque;		 /* application data was seen */
	bool transaction;	 /* made */
	bool heartbeat_pending;
	uint8_t heartbeat_dir;	/* of the pending request */
	uint32_t heartbeat_len; /* of its record, when encrypted; 0 unknown */
	uint64_t now_s;		/* of the last input */
	uint8_t progress[2];
	uint64_t events; /* not yet on the transaction */
};

static inline void tls_event(struct tls_state *tls, enum tls_event event)
{
	tls->events |= 1ull << event;
}

static inline struct bytes tls_text_bytes(const struct tls_side *side, struct tls_text text)
{
	return text.len ? (struct bytes){.data = side->text.data + text.at, .len = text.len} : (struct bytes){0};
}

/* Whether the side is TLS 1.3 or one of its drafts. */
static inline bool tls_is_1_3(uint16_t version)
{
	return version == TLS_1_3 || version >> 8 == 0x7f;
}

/* Appends to the side's text; false when memory is refused. */
bool tls_text_add(struct slab *slab, struct tls_side *side, struct tls_text *text, const void *data, size_t len);

/* --- tls_hello.c ---------------------------------------------------------------------------------------------------- */

/* Bodies of handshake messages (without their 4-byte headers). What is wrong is an event; false when memory is refused. */
bool tls_client_hello(struct slab *slab, struct tls_state *tls, struct bytes body);
bool tls_server_hello(struct slab *slab, struct tls_state *tls, struct bytes body);
/* Whether it is one of the values of RFC 8701, which mean nothing. */
static inline bool tls_grease(uint16_t value)
{
	return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff);
}
/* "TLS 1.2"; buf is used for numbers without a name. */
const char *tls_version_name(uint16_t version, char buf[static 32]);

/* --- tls_fingerprint.c ---------------------------------------------------------------------------------------------- */

/* A hello's lists in wire order; GREASE values are left out already. */
struct tls_lists {
	uint16_t version;     /* the legacy field */
	uint16_t version_max; /* highest of supported_versions, or the legacy field */
	uint16_t ciphers[TLS_LIST_MAX], extensions[TLS_LIST_MAX], groups[TLS_LIST_MAX], signatures[TLS_LIST_MAX];
	uint8_t formats[256];
	size_t cipher_count, extension_count, group_count, signature_count, format_count;
	bool has_sni;
	struct bytes first_alpn; /* of the client's */
};

/* JA3 (string and hash) and JA4 of a client hello; JA3S of a server hello. False when memory is refused. */
bool tls_fingerprint_client(struct slab *slab, struct tls_state *tls, const struct tls_lists *lists);
bool tls_fingerprint_server(struct slab *slab, struct tls_state *tls, const struct tls_lists *lists);
void tls_sha1(struct bytes data, uint8_t out[static 20]);

/* --- tls_certificate.c ---------------------------------------------------------------------------------------------- */

/* Body of a Certificate message up to TLS 1.2: keeps the chain and reads the first certificate. */
bool tls_certificates(struct slab *slab, struct tls_state *tls, struct tls_side *side, struct bytes body);

/* --- tls_views.c ---------------------------------------------------------------------------------------------------- */

extern const struct app_buffer tls_buffers[];
extern const struct app_value tls_values[];
bool tls_has_record(struct app_session *session, const struct app_tx *tx, bool complete);
void tls_fields(struct app_session *session, const struct app_tx *tx, struct field_sink *sink);
