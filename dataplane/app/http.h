/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * HTTP/1.x, as servers and browsers read it rather than as it is specified.
 *
 * http.c has the session and the line states; http_request.c and http_response.c read a message of their direction;
 * http_headers.c reads header fields with all the line ends and foldings found in the wild; http_uri.c normalises;
 * http_body.c takes bodies through decompression to their window and files; http_multipart.c finds uploaded files;
 * http_fields.c shows transactions to rules and records.
 *
 * Lines are parsed in place: what has no line end yet is left unconsumed. What a transaction keeps it keeps in growable
 * runs, referred to by spans, because the runs move.
 */

#include <strings.h>
#include <sys/types.h>

#include <dataplane/app.h>

#include "app/decompress.h"
#include "app/file.h"

/* A line or a folded field longer than this ends parsing: what servers take (8 to 16 KiB) with room. */
#define HTTP_FIELD_MAX 18000
/* Header fields of a message. */
#define HTTP_FIELDS_MAX 1024
/* Kept bytes of header fields of a message, repetitions joined. */
#define HTTP_FIELDS_BYTES_MAX (1u << 20)
/* Repetitions of fields that are joined; further ones are dropped. */
#define HTTP_REPETITIONS_MAX 64
/* Compression bombs after which a connection's bodies are not decompressed any more. */
#define HTTP_BOMBS_MAX 3
/* Bytes of space behind a request line without a protocol that still make it HTTP/0.9. */
#define HTTP_09_SPACE_MAX 16

/* Progress of a direction: the stage that is done (of a body: that has begun). */
enum http_progress {
	HTTP_STARTED,
	HTTP_LINE,
	HTTP_HEADERS,
	HTTP_BODY,
	HTTP_TRAILER,
	HTTP_COMPLETE,
};

enum http_version { HTTP_VERSION_UNKNOWN, HTTP_VERSION_INVALID, HTTP_VERSION_0_9, HTTP_VERSION_1_0, HTTP_VERSION_1_1 };

#define HTTP_EVENTS(X)                                                                                                 \
	X(UNKNOWN_ERROR, "unknown_error")                                                                              \
	X(GZIP_DECOMPRESSION_FAILED, "gzip_decompression_failed")                                                      \
	X(REQUEST_FIELD_MISSING_COLON, "request_field_missing_colon")                                                  \
	X(RESPONSE_FIELD_MISSING_COLON, "response_field_missing_colon")                                                \
	X(INVALID_REQUEST_CHUNK_LEN, "invalid_request_chunk_len")                                                      \
	X(INVALID_RESPONSE_CHUNK_LEN, "invalid_response_chunk_len")                                                    \
	X(INVALID_REQUEST_TRANSFER_ENCODING, "invalid_transfer_encoding_value_in_request")                             \
	X(INVALID_RESPONSE_TRANSFER_ENCODING, "invalid_transfer_encoding_value_in_response")                           \
	X(INVALID_REQUEST_CONTENT_LENGTH, "invalid_content_length_field_in_request")                                   \
	X(INVALID_RESPONSE_CONTENT_LENGTH, "invalid_content_length_field_in_response")                                 \
	X(DUPLICATE_REQUEST_CONTENT_LENGTH, "duplicate_content_length_field_in_request")                               \
	X(DUPLICATE_RESPONSE_CONTENT_LENGTH, "duplicate_content_length_field_in_response")                             \
	X(CONTINUE_ALREADY_SEEN, "100_continue_already_seen")                                                          \
	X(UNABLE_TO_MATCH_RESPONSE_TO_REQUEST, "unable_to_match_response_to_request")                                  \
	X(INVALID_SERVER_PORT_IN_REQUEST, "invalid_server_port_in_request")                                            \
	X(INVALID_AUTHORITY_PORT, "invalid_authority_port")                                                            \
	X(REQUEST_HEADER_INVALID, "request_header_invalid")                                                            \
	X(RESPONSE_HEADER_INVALID, "response_header_invalid")                                                          \
	X(MISSING_HOST_HEADER, "missing_host_header")                                                                  \
	X(HOST_HEADER_AMBIGUOUS, "host_header_ambiguous")                                                              \
	X(INVALID_REQUEST_FIELD_FOLDING, "invalid_request_field_folding")                                              \
	X(INVALID_RESPONSE_FIELD_FOLDING, "invalid_response_field_folding")                                            \
	X(REQUEST_FIELD_TOO_LONG, "request_field_too_long")                                                            \
	X(RESPONSE_FIELD_TOO_LONG, "response_field_too_long")                                                          \
	X(REQUEST_LINE_INVALID, "request_line_invalid")                                                                \
	X(REQUEST_BODY_UNEXPECTED, "request_body_unexpected")                                                          \
	X(RESPONSE_BODY_UNEXPECTED, "response_body_unexpected")                                                        \
	X(REQUEST_SERVER_PORT_TCP_PORT_MISMATCH, "request_server_port_tcp_port_mismatch")                              \
	X(REQUEST_URI_HOST_INVALID, "request_uri_host_invalid")                                                        \
	X(REQUEST_HEADER_HOST_INVALID, "request_header_host_invalid")                                                  \
	X(REQUEST_AUTH_UNRECOGNIZED, "request_auth_unrecognized")                                                      \
	X(REQUEST_HEADER_REPETITION, "request_header_repetition")                                                      \
	X(RESPONSE_HEADER_REPETITION, "response_header_repetition")                                                    \
	X(DOUBLE_ENCODED_URI, "double_encoded_uri")                                                                    \
	X(URI_DELIM_NON_COMPLIANT, "uri_delim_non_compliant")                                                          \
	X(METHOD_DELIM_NON_COMPLIANT, "method_delim_non_compliant")                                                    \
	X(REQUEST_LINE_LEADING_WHITESPACE, "request_line_leading_whitespace")                                          \
	X(TOO_MANY_ENCODING_LAYERS, "too_many_encoding_layers")                                                        \
	X(REQUEST_TOO_MANY_LZMA_LAYERS, "request_too_many_lzma_layers")                                                \
	X(RESPONSE_TOO_MANY_LZMA_LAYERS, "response_too_many_lzma_layers")                                              \
	X(ABNORMAL_CE_HEADER, "abnormal_ce_header")                                                                    \
	X(RESPONSE_MULTIPART_BYTERANGES, "response_multipart_byteranges")                                              \
	X(RESPONSE_ABNORMAL_TRANSFER_ENCODING, "response_abnormal_transfer_encoding")                                  \
	X(RESPONSE_CHUNKED_OLD_PROTO, "response_chunked_old_proto")                                                    \
	X(RESPONSE_INVALID_PROTOCOL, "response_invalid_protocol")                                                      \
	X(RESPONSE_INVALID_STATUS, "response_invalid_status")                                                          \
	X(REQUEST_LINE_INCOMPLETE, "request_line_incomplete")                                                          \
	X(PROTOCOL_CONTAINS_EXTRA_DATA, "protocol_contains_extra_data")                                                \
	X(CONTENT_LENGTH_EXTRA_DATA_START, "content_length_extra_data_start")                                          \
	X(CONTENT_LENGTH_EXTRA_DATA_END, "content_length_extra_data_end")                                              \
	X(SWITCHING_PROTO_WITH_CONTENT_LENGTH, "switching_proto_with_content_length")                                  \
	X(DEFORMED_EOL, "deformed_eol")                                                                                \
	X(PARSER_STATE_ERROR, "parser_state_error")                                                                    \
	X(MISSING_OUTBOUND_TRANSACTION_DATA, "missing_outbound_transaction_data")                                      \
	X(MISSING_INBOUND_TRANSACTION_DATA, "missing_inbound_transaction_data")                                        \
	X(ZERO_LENGTH_DATA_CHUNKS, "zero_length_data_chunks")                                                          \
	X(REQUEST_LINE_UNKNOWN_METHOD, "request_line_unknown_method")                                                  \
	X(REQUEST_LINE_UNKNOWN_METHOD_NO_PROTOCOL, "request_line_unknown_method_no_protocol")                          \
	X(REQUEST_LINE_UNKNOWN_METHOD_INVALID_PROTOCOL, "request_line_unknown_method_invalid_protocol")                \
	X(REQUEST_LINE_MISSING_PROTOCOL, "request_line_missing_protocol")                                              \
	X(RESPONSE_LINE_INVALID_PROTOCOL, "response_line_invalid_protocol")                                            \
	X(RESPONSE_LINE_INVALID_RESPONSE_STATUS, "response_line_invalid_response_status")                              \
	X(RESPONSE_BODY_INTERNAL_ERROR, "response_body_internal_error")                                                \
	X(REQUEST_BODY_DATA_CALLBACK_ERROR, "request_body_data_callback_error")                                        \
	X(RESPONSE_INVALID_EMPTY_NAME, "response_invalid_empty_name")                                                  \
	X(REQUEST_INVALID_EMPTY_NAME, "request_invalid_empty_name")                                                    \
	X(RESPONSE_INVALID_LWS_AFTER_NAME, "response_invalid_lws_after_name")                                          \
	X(RESPONSE_HEADER_NAME_NOT_TOKEN, "response_header_name_not_token")                                            \
	X(REQUEST_INVALID_LWS_AFTER_NAME, "request_invalid_lws_after_name")                                            \
	X(LZMA_DECOMPRESSION_DISABLED, "lzma_decompression_disabled")                                                  \
	X(CONNECTION_ALREADY_OPEN, "connection_already_open")                                                          \
	X(COMPRESSION_BOMB_DOUBLE_LZMA, "compression_bomb_double_lzma")                                                \
	X(INVALID_CONTENT_ENCODING, "invalid_content_encoding")                                                        \
	X(INVALID_GAP, "invalid_gap")                                                                                  \
	X(REQUEST_CHUNK_EXTENSION, "request_chunk_extension")                                                          \
	X(RESPONSE_CHUNK_EXTENSION, "response_chunk_extension")                                                        \
	X(LZMA_MEMLIMIT_REACHED, "lzma_memlimit_reached")                                                              \
	X(COMPRESSION_BOMB, "compression_bomb")                                                                        \
	X(COMPRESSION_BOMB_LIMIT_REACHED, "compression_bomb_limit_reached")                                            \
	X(REQUEST_TOO_MANY_HEADERS, "request_too_many_headers")                                                        \
	X(RESPONSE_TOO_MANY_HEADERS, "response_too_many_headers")                                                      \
	X(MULTIPART_GENERIC_ERROR, "multipart_generic_error")                                                          \
	X(MULTIPART_NO_FILEDATA, "multipart_no_filedata")                                                              \
	X(MULTIPART_INVALID_HEADER, "multipart_invalid_header")                                                        \
	X(TOO_MANY_WARNINGS, "too_many_warnings")                                                                      \
	X(RANGE_INVALID, "range_invalid")                                                                              \
	X(FILE_NAME_TOO_LONG, "file_name_too_long")                                                                    \
	X(FAILED_PROTOCOL_CHANGE, "failed_protocol_change")

enum http_event {
#define X(id, name) HTTP_EVENT_##id,
	HTTP_EVENTS(X)
#undef X
		HTTP_EVENT_COUNT
};
_Static_assert(HTTP_EVENT_COUNT <= APP_EVENT_WORDS * 64, "raise APP_EVENT_WORDS");

/* --- bytes --------------------------------------------------------------------------------------------------------- */

static inline bool http_is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

struct bytes http_trim(struct bytes b);
bool http_equal_nocase(struct bytes b, const char *text);
/* The same, ignoring NUL bytes in b, as some servers do. */
bool http_equal_nocase_nul(struct bytes b, const char *text);
/* Where text begins in b, any case; -1. */
ssize_t http_find_nocase(struct bytes b, const char *text);

/* --- a transaction --------------------------------------------------------------------------------------------------- */

/* A part of http_message.text. */
struct http_span {
	uint32_t at, len;
};

struct http_field {
	struct http_span name, value;
	uint32_t joined_at; /* in http_lazy.fields */
	bool repeated;
};

enum http_body_kind { HTTP_BODY_PLAIN, HTTP_BODY_FILE, HTTP_BODY_MULTIPART };

struct http_multipart;

struct http_body {
	bool begun, ended;
	bool truncated;		/* the limit was reached */
	uint8_t kind;		/* enum http_body_kind */
	uint64_t message_bytes; /* as transferred, chunk framing included */
	uint64_t entity_bytes;	/* decoded */
	struct slab_buf window;
	uint64_t window_offset;
	struct decompressor *decoder;
	struct app_file *file;
	struct http_multipart *multipart;
};

struct http_message {
	struct slab_buf text; /* the line, then names and values */
	struct slab_buf raw;  /* the header block as it came */
	struct http_field *fields;
	uint32_t field_count, field_cap;
	uint32_t repetitions;
	struct http_span line, protocol;
	uint8_t version; /* enum http_version */
	bool has_line, has_protocol;
	bool has_host_field;
	struct http_body body;
};

/* What is put together when somebody asks. */
struct http_lazy {
	struct slab_buf fields; /* "Name: value\r\n" of all */
	struct slab_buf header; /* the same without cookies */
	struct slab_buf names;
	struct slab_buf start;
	bool has_fields, has_header, has_names, has_start;
};

struct http_tx {
	struct app_tx tx;
	struct http_session *session;
	struct http_message message[2];
	struct http_lazy *lazy[2];
	uint64_t content_length;		      /* of the request */
	struct http_span method, uri, status, reason; /* in their message's text */
	bool has_method, has_uri, has_status, has_reason;
	bool protocol_0_9;
	bool request_not_seen;
	bool continued;		  /* an interim 100 was seen */
	uint8_t method_id;	  /* enum http_method */
	uint16_t status_code;	  /* 0 unless valid */
	int32_t port;		  /* named in the URI or the Host field; -1 */
	struct slab_buf uri_norm; /* path?query#fragment, decoded */
	uint32_t path_len;	  /* of it */
	bool has_uri_norm, has_path;
	struct slab_buf host;	  /* lower case */
	struct slab_buf uri_host; /* that of an absolute URI, as decoded */
	bool has_host, has_uri_host;
};

enum http_method {
	HTTP_METHOD_UNKNOWN,
	HTTP_METHOD_OTHER, /* known, and of no further meaning here */
	HTTP_METHOD_HEAD,
	HTTP_METHOD_GET,
	HTTP_METHOD_POST,
	HTTP_METHOD_PUT,
	HTTP_METHOD_CONNECT,
};

enum http_method http_method_of(struct bytes name);

static inline struct bytes http_text(const struct http_message *m, struct http_span s)
{
	return (struct bytes){.data = m->text.data + s.at, .len = s.len};
}

static inline struct bytes http_buf(const struct slab_buf *buf)
{
	return (struct bytes){.data = buf->data, .len = buf->len};
}

/* The value of a field by its lower-case name; false when there is none. The name may hide NUL bytes. */
bool http_field(const struct http_message *m, const char *name, struct bytes *value, bool *repeated);

/* --- the session ------------------------------------------------------------------------------------------------------ */

enum http_state {
	HTTP_IDLE,
	HTTP_READ_LINE,
	HTTP_READ_FIELDS,
	HTTP_READ_TRAILER,
	HTTP_READ_LENGTH, /* body of known length */
	HTTP_READ_CLOSE,  /* body until the connection ends */
	HTTP_READ_CHUNK_SIZE,
	HTTP_READ_CHUNK,
	HTTP_READ_CHUNK_END,
	HTTP_FINISH,
	HTTP_WAIT_CONNECT, /* for the answer to CONNECT */
	HTTP_DRAIN,	   /* what follows an HTTP/0.9 request means nothing */
	HTTP_RESYNC,	   /* after lost bytes: until something looks like a beginning */
};

struct http_side {
	enum http_state state;
	struct http_tx *tx; /* the message being read */
	uint64_t left;	    /* of the body or the chunk */
	uint64_t total;	    /* left at the start of the body */
};

struct http_session {
	struct app_session *app;
	struct http_side side[2];
	uint32_t files; /* ids given */
	uint8_t bombs;
	bool tunnel; /* the connection is another protocol's now */
};

/* The input at hand. */
struct http_input {
	struct http_session *http;
	struct http_side *side;
	enum direction dir;
	const uint8_t *at, *end;
	bool eof;
};

static inline size_t http_left(const struct http_input *in)
{
	return (size_t)(in->end - in->at);
}

enum http_step {
	HTTP_GO_ON,
	HTTP_NEED_MORE,
	HTTP_FAIL,
};

/* The next line with its line feed; at the end of file what is left. False when it is not all there. */
bool http_line(struct http_input *in, struct bytes *line);
/* A pending line is longer than anyone may send: sets the event. */
bool http_line_too_long(struct http_input *in);
struct http_tx *http_tx_new(struct http_session *http);
/* Puts an event on the direction's transaction, or the newest, or one made for it. */
void http_event(struct http_session *http, struct http_tx *tx, enum http_event event);
static inline void http_progress(struct http_tx *tx, enum direction dir, enum http_progress progress)
{
	if (tx->tx.progress[dir] < progress)
		tx->tx.progress[dir] = (uint8_t)progress;
}

enum http_step http_request_step(struct http_input *in);
enum http_step http_response_step(struct http_input *in);
/* The message is complete: its body too. */
void http_request_complete(struct http_session *http);
void http_response_complete(struct http_session *http);

/* --- parts that both directions share ---------------------------------------------------------------------------------- */

/* Reads header fields until the empty line (HTTP_GO_ON), or what there is (HTTP_NEED_MORE). */
enum http_step http_read_fields(struct http_input *in, struct http_message *m);
/* "HTTP/1.1" and its deformations. */
enum http_version http_version_of(struct bytes protocol, bool *odd);
/* The first run of digits; false when there is none or it is too large. */
bool http_content_length(struct bytes value, uint64_t *length, bool *junk_before, bool *junk_after);

enum http_chunk { HTTP_CHUNK_SIZE, HTTP_CHUNK_SKIP, HTTP_CHUNK_BAD };
/* What a line in the place of a chunk's size says. */
enum http_chunk http_chunk_size(struct bytes line, uint64_t *size, bool *extension);
/* Whether these first bytes of a line cannot become a chunk's size. */
bool http_chunk_hopeless(struct bytes begin);

/* --- bodies -------------------------------------------------------------------------------------------------------------- */

/* Prepares decompression as the Content-Encoding field says. */
void http_body_decoding(struct http_session *http, struct http_tx *tx, enum direction dir);
void http_body_plain(struct http_session *http, struct http_tx *tx, enum direction dir);
void http_body_data(struct http_session *http, struct http_tx *tx, enum direction dir, const uint8_t *data, size_t len);
/* Bytes that the stream lost. */
void http_body_gap(struct http_session *http, struct http_tx *tx, enum direction dir, uint64_t len);
/* `whole`: the message said that this is its end. */
void http_body_end(struct http_session *http, struct http_tx *tx, enum direction dir, bool whole);
void http_body_free(struct http_session *http, struct http_body *body);

/* Multipart uploads: NULL when the Content-Type has no boundary or memory is refused. */
struct http_multipart *http_multipart_new(struct http_session *http, struct bytes content_type);
void http_multipart_feed(struct http_multipart *m, struct http_tx *tx, const uint8_t *data, size_t len);
void http_multipart_end(struct http_multipart *m, struct http_tx *tx, bool whole);
void http_multipart_free(struct http_multipart *m);
/* The value of a parameter (`filename=`) of a Content-Disposition. */
bool http_disposition(struct bytes value, const char *parameter, struct bytes *found);

struct http_range {
	int64_t start, end, size; /* -1 when not told */
};
bool http_content_range(struct bytes value, struct http_range *range);

/* --- URIs ---------------------------------------------------------------------------------------------------------------- */

/* Views into the URI; data is NULL for an absent part. */
struct http_uri {
	struct bytes scheme, user, password, host, port, path, query, fragment;
};

void http_uri_split(struct bytes uri, struct http_uri *parts);
/* These write at most in.len bytes and return how many. */
size_t http_path_normalise(uint8_t *out, struct bytes in);
size_t http_percent_decode(uint8_t *out, struct bytes in);
/* Whether something in a text could be undone by http_percent_decode. */
bool http_has_escape(struct bytes text);
/* host[:port] of a CONNECT or a Host field. False when it is not well formed. */
bool http_host_split(struct bytes value, struct bytes *host, int32_t *port);
bool http_host_valid(struct bytes host);

/* --- what http_fields.c shows ---------------------------------------------------------------------------------------------- */

extern const struct app_buffer http_buffers[];
extern const struct app_value http_values[];
extern const char *const http_event_names[];
void http_fields_of(struct app_session *session, const struct app_tx *tx, struct field_sink *sink);
