/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "parse.h"

/* All keywords: the language's own in one table, those of registered application layers, and the names that wait. */

#define NONE		 KEYWORD_NO_VALUE
#define MAYBE		 KEYWORD_VALUE_OPTIONAL
#define QUOTED		 KEYWORD_QUOTED
#define QUOTES		 KEYWORD_QUOTES
#define NOT		 KEYWORD_NEGATABLE
#define PKT		 KEYWORD_PACKET
#define IPO		 KEYWORD_IP_ONLY
#define EVT		 KEYWORD_DECODE_EVENT
#define FIRST		 KEYWORD_FIRST
#define AFTER		 KEYWORD_AFTER_CONTENT
#define DIR		 KEYWORD_DIRECTION
#define CHANGE		 KEYWORD_TRANSFORM
#define SIDE(type, side) ((type) | ((side) + 1) << 8)

/* clang-format off */
static const struct keyword keywords[] = {
	/* contents */
	{"content", keyword_content, QUOTED | NOT, 0, "bytes that must be there", NULL},
	{"nocase", keyword_nocase, NONE | AFTER, 0, "the content before it in any case", NULL},
	{"depth", keyword_depth, AFTER, 0, "the content ends within this many bytes of its start of search", NULL},
	{"offset", keyword_offset, AFTER, 0, "the search for the content starts here", NULL},
	{"distance", keyword_distance, AFTER, 0, "the content starts at least this far after the last match", NULL},
	{"within", keyword_within, AFTER, 0, "the content ends at most this far after the last match", NULL},
	{"startswith", keyword_startswith, NONE | AFTER, 0, "the content stands at the buffer's start", NULL},
	{"endswith", keyword_endswith, NONE | AFTER, 0, "the content stands at the buffer's end", NULL},
	{"rawbytes", keyword_rawbytes, NONE | AFTER, 0, "the content in the raw payload", NULL},
	{"fast_pattern", keyword_fast_pattern, MAYBE | AFTER, 0, "search for this content first", NULL},
	{"uricontent", keyword_uricontent, QUOTED | NOT, 0, "content of http.uri", NULL},
	{"pcre", keyword_pcre, QUOTES | NOT, 0, "regular expression", NULL},

	/* bytes */
	{"byte_test", keyword_byte_test, 0, 0, "compare a number in the bytes", NULL},
	{"byte_jump", keyword_byte_jump, 0, 0, "move on by a number in the bytes", NULL},
	{"byte_extract", keyword_byte_extract, 0, 0, "keep a number in the bytes under a name", NULL},
	{"byte_math", keyword_byte_math, 0, 0, "calculate with a number in the bytes", NULL},
	{"isdataat", keyword_isdataat, 0, 0, "whether data goes on there", NULL},
	{"bsize", keyword_bsize, 0, 0, "size of the buffer", NULL},
	{"absent", keyword_absent, MAYBE, 0, "the buffer is not there", NULL},
	{"base64_decode", keyword_base64_decode, MAYBE, 0, "decode base64 from here", NULL},
	{"base64_data", keyword_base64_data, NONE | KEYWORD_OPENS_BUFFER, 0, "look at what base64_decode gave", NULL},
	{"asn1", keyword_asn1, PKT, 0, "malformed ASN.1", NULL},
	{"entropy", keyword_entropy, 0, 0, "entropy of the buffer", NULL},
	{"dataset", keyword_dataset, 0, 0, "whether the buffer is in a set", NULL},
	{"datarep", keyword_datarep, 0, 0, "reputation of the buffer in a set", NULL},

	/* packet */
	{"dsize", keyword_number, PKT, MATCH_DSIZE, "size of the packet's payload", NULL},
	{"ip_proto", keyword_ip_proto, QUOTES | PKT, 0, "IP protocol", NULL},
	{"ttl", keyword_number, PKT, MATCH_TTL, "time to live or hop limit", NULL},
	{"tos", keyword_tos, QUOTES | NOT | PKT, 0, "type of service", NULL},
	{"id", keyword_number, QUOTES | PKT, MATCH_IP_ID, "IPv4 identification", NULL},
	{"fragbits", keyword_fragbits, PKT, 0, "IPv4 fragment bits", NULL},
	{"fragoffset", keyword_number, PKT, MATCH_FRAGOFFSET, "fragment offset, in units of 8 bytes", NULL},
	{"ipopts", keyword_ipopts, PKT, 0, "IPv4 option", NULL},
	{"sameip", keyword_sameip, NONE | PKT, 0, "source and destination are the same", NULL},
	{"l3_proto", keyword_l3_proto, 0, 0, "IPv4 or IPv6", NULL},
	{"flags", keyword_tcp_flags, PKT, 0, "TCP flags", NULL},
	{"tcp.flags", keyword_tcp_flags, PKT, 0, "TCP flags", NULL},
	{"seq", keyword_number, PKT, MATCH_TCP_SEQ, "TCP sequence number", NULL},
	{"tcp.seq", keyword_number, PKT, MATCH_TCP_SEQ, "TCP sequence number", NULL},
	{"ack", keyword_number, PKT, MATCH_TCP_ACK, "TCP acknowledgement number", NULL},
	{"tcp.ack", keyword_number, PKT, MATCH_TCP_ACK, "TCP acknowledgement number", NULL},
	{"window", keyword_number, PKT, MATCH_TCP_WINDOW, "TCP window", NULL},
	{"tcp.window", keyword_number, PKT, MATCH_TCP_WINDOW, "TCP window", NULL},
	{"tcp.mss", keyword_number, PKT, MATCH_TCP_MSS, "TCP option maximum segment size", NULL},
	{"tcp.wscale", keyword_number, PKT, MATCH_TCP_WSCALE, "TCP option window scale", NULL},
	{"itype", keyword_number, PKT, MATCH_ITYPE, "ICMP type", NULL},
	{"icode", keyword_number, PKT, MATCH_ICODE, "ICMP code", NULL},
	{"icmp_id", keyword_number, QUOTES | PKT, MATCH_ICMP_ID, "ICMP echo identifier", NULL},
	{"icmp_seq", keyword_number, QUOTES | PKT, MATCH_ICMP_SEQ, "ICMP echo sequence number", NULL},
	{"icmpv6.mtu", keyword_number, PKT, MATCH_ICMPV6_MTU, "MTU of ICMPv6 packet too big", NULL},
	{"ipv4-csum", keyword_csum, QUOTES, MATCH_IPV4_CSUM, "IPv4 header checksum", NULL},
	{"tcpv4-csum", keyword_csum, QUOTES, MATCH_TCPV4_CSUM, "TCP checksum over IPv4", NULL},
	{"tcpv6-csum", keyword_csum, QUOTES, MATCH_TCPV6_CSUM, "TCP checksum over IPv6", NULL},
	{"udpv4-csum", keyword_csum, QUOTES, MATCH_UDPV4_CSUM, "UDP checksum over IPv4", NULL},
	{"udpv6-csum", keyword_csum, QUOTES, MATCH_UDPV6_CSUM, "UDP checksum over IPv6", NULL},
	{"icmpv4-csum", keyword_csum, QUOTES, MATCH_ICMPV4_CSUM, "ICMP checksum", NULL},
	{"icmpv6-csum", keyword_csum, QUOTES, MATCH_ICMPV6_CSUM, "ICMPv6 checksum", NULL},
	{"vlan.id", keyword_vlan_id, PKT, 0, "VLAN identifier", NULL},
	{"vlan.layers", keyword_number, PKT, MATCH_VLAN_LAYERS, "number of VLAN tags", NULL},
	{"decode-event", keyword_event, EVT, EVENT_CLASS_DECODE, "anomaly of decoding", NULL},
	{"stream-event", keyword_event, 0, EVENT_CLASS_STREAM, "anomaly of the TCP stream", NULL},
	{"engine-event", keyword_event, 0, -1, "anomaly of any layer", NULL},
	{"geoip", keyword_geoip, 0, 0, "country of an address", NULL},
	{"iprep", keyword_iprep, IPO, 0, "reputation of an address", NULL},
	{"pkt_data", keyword_pkt_data, NONE, 0, "look at the payload again", NULL},

	/* flow */
	{"flow", keyword_flow, IPO | EVT, 0, "direction and state of the flow", NULL},
	{"flowbits", keyword_flowbits, IPO, 0, "named bits of the flow", NULL},
	{"xbits", keyword_xbits, IPO, 0, "named bits of hosts and pairs", NULL},
	{"hostbits", keyword_hostbits, IPO, 0, "named bits of a host", NULL},
	{"flowint", keyword_flowint, 0, 0, "named numbers of the flow", NULL},
	{"flowvar", keyword_flowvar, 0, MATCH_FLOWVAR, "text that a pcre kept for the flow", NULL},
	{"pktvar", keyword_flowvar, 0, MATCH_PKTVAR, "text that a pcre kept for the packet", NULL},
	{"stream_size", keyword_stream_size, 0, 0, "bytes in the stream so far", NULL},
	{"flow.age", keyword_flow_age, PKT, 0, "seconds since the flow's start", NULL},
	{"flow.pkts", keyword_flow_count, PKT, MATCH_FLOW_PKTS, "packets of the flow", NULL},
	{"flow.bytes", keyword_flow_count, PKT, MATCH_FLOW_BYTES, "bytes of the flow", NULL},
	{"flow.pkts_toserver", keyword_flow_count, PKT, SIDE(MATCH_FLOW_PKTS, 0), "packets to the server", NULL},
	{"flow.pkts_toclient", keyword_flow_count, PKT, SIDE(MATCH_FLOW_PKTS, 1), "packets to the client", NULL},
	{"flow.bytes_toserver", keyword_flow_count, PKT, SIDE(MATCH_FLOW_BYTES, 0), "bytes to the server", NULL},
	{"flow.bytes_toclient", keyword_flow_count, PKT, SIDE(MATCH_FLOW_BYTES, 1), "bytes to the client", NULL},
	{"app-layer-protocol", keyword_app_layer_protocol, QUOTES | NOT, 0, "the flow's application protocol", NULL},
	{"app-layer-event", keyword_app_event, 0, 0, "anomaly of an application protocol", NULL},
	{"threshold", keyword_threshold, IPO | EVT, 0, "how often the rule may alert", NULL},
	{"detection_filter", keyword_detection_filter, IPO | EVT, 0, "how often it must match before it alerts", NULL},
	{"tag", keyword_tag, IPO | EVT, 0, "log what follows", NULL},

	/* what the rule is */
	{"msg", keyword_msg, QUOTED | IPO | EVT, 0, "what the alert says", NULL},
	{"sid", keyword_sid, QUOTES | FIRST | IPO | EVT, 0, "the rule's number", NULL},
	{"gid", keyword_gid, QUOTES | IPO | EVT, 0, "the group of the number", NULL},
	{"rev", keyword_rev, QUOTES | IPO | EVT, 0, "the rule's revision", NULL},
	{"priority", keyword_priority, QUOTES | IPO | EVT, 0, "1 is the most urgent", NULL},
	{"classtype", keyword_classtype, IPO | EVT, 0, "kind of attack", NULL},
	{"reference", keyword_reference, IPO | EVT, 0, "where to read more", NULL},
	{"metadata", keyword_metadata, IPO | EVT, 0, "keys and values, among them jsig_severity, jsig_outcome, jsig_direction, jsig_block", NULL},
	{"target", keyword_target, IPO | EVT, 0, "which side is attacked", NULL},
	{"requires", keyword_requires, FIRST | IPO | EVT, 0, "what the rule needs; else it is skipped", NULL},
	{"noalert", keyword_noalert, NONE | IPO | EVT, 0, "match in silence", NULL},
	{"alert", keyword_alert, NONE | IPO | EVT, 0, "alert in spite of the action", NULL},
	{"prefilter", keyword_prefilter, NONE | IPO | EVT, 0, "look at the match before it first", NULL},
	{"bypass", keyword_bypass, NONE | IPO | EVT, 0, "inspect no more of the flow after the match", NULL},

	/* application layers */
	{"urilen", keyword_urilen, 0, 0, "length of the URI", NULL},
	{"tls.subject", keyword_tls_text, QUOTED | NOT, 0, "text in the certificate's subject", NULL},
	{"tls.issuerdn", keyword_tls_text, QUOTED | NOT, 0, "text in the certificate's issuer", NULL},
	{"tls.fingerprint", keyword_tls_text, QUOTED | NOT, 1, "the certificate's SHA1", NULL},
	{"ssl_state", keyword_ssl_state, 0, 0, "messages of the TLS handshake seen", NULL},
	{"tls_cert_notbefore", keyword_cert_date, QUOTES, 0, "start of the certificate's validity", NULL},
	{"tls_cert_notafter", keyword_cert_date, QUOTES, 0, "end of the certificate's validity", NULL},
	{"tls_cert_expired", keyword_cert_flag, NONE, 0, "the certificate is past its end", NULL},
	{"tls_cert_valid", keyword_cert_flag, NONE, 0, "the certificate is within its validity", NULL},
	{"filename", keyword_file_text, QUOTES | NOT | DIR, FILE_NAME, "text in the file's name", NULL},
	{"fileext", keyword_file_text, QUOTES | NOT | DIR, FILE_EXT, "end of the file's name", NULL},
	{"filesize", keyword_filesize, DIR, 0, "size of the file", NULL},
	{"filemd5", keyword_file_hash, 0, FILE_MD5, "MD5 of the file in a list", NULL},
	{"filesha1", keyword_file_hash, 0, FILE_SHA1, "SHA1 of the file in a list", NULL},
	{"filesha256", keyword_file_hash, 0, FILE_SHA256, "SHA256 of the file in a list", NULL},
	{"filestore", keyword_filestore, MAYBE, 0, "the flow or transaction carries a file (which is not stored)", NULL},

	/* transforms of the sticky buffer */
	{"strip_whitespace", keyword_transform, NONE | CHANGE, TRANSFORM_STRIP_WHITESPACE, "without white space", NULL},
	{"compress_whitespace", keyword_transform, NONE | CHANGE, TRANSFORM_COMPRESS_WHITESPACE, "white space as one blank", NULL},
	{"to_lowercase", keyword_transform, NONE | CHANGE, TRANSFORM_TO_LOWERCASE, "in lower case", NULL},
	{"to_uppercase", keyword_transform, NONE | CHANGE, TRANSFORM_TO_UPPERCASE, "in upper case", NULL},
	{"to_md5", keyword_transform, NONE | CHANGE, TRANSFORM_TO_MD5, "its MD5", NULL},
	{"to_sha1", keyword_transform, NONE | CHANGE, TRANSFORM_TO_SHA1, "its SHA1", NULL},
	{"to_sha256", keyword_transform, NONE | CHANGE, TRANSFORM_TO_SHA256, "its SHA256", NULL},
	{"dotprefix", keyword_transform, NONE | CHANGE, TRANSFORM_DOTPREFIX, "with a dot before it", NULL},
	{"url_decode", keyword_transform, NONE | CHANGE, TRANSFORM_URL_DECODE, "with %xx decoded", NULL},
	{"xor", keyword_transform, QUOTES | CHANGE, TRANSFORM_XOR, "each byte changed by a key", NULL},
	{"header_lowercase", keyword_transform, NONE | CHANGE, TRANSFORM_HEADER_LOWERCASE, "header names in lower case", NULL},
	{"strip_pseudo_headers", keyword_transform, NONE | CHANGE, TRANSFORM_STRIP_PSEUDO_HEADERS, "without headers that start with a colon", NULL},
	{"pcrexform", keyword_transform, QUOTED | CHANGE, TRANSFORM_PCREXFORM, "what the expression's group takes", NULL},
	{"from_base64", keyword_transform, MAYBE | CHANGE, TRANSFORM_FROM_BASE64, "base64 decoded", NULL},
	{"domain", keyword_transform, NONE | CHANGE, TRANSFORM_DOMAIN, "the registered domain", NULL},
	{"tld", keyword_transform, NONE | CHANGE, TRANSFORM_TLD, "the top-level domain", NULL},
	{"gunzip", keyword_transform, MAYBE | CHANGE, TRANSFORM_GUNZIP, "gzip unpacked", NULL},
	{"zlib_deflate", keyword_transform, MAYBE | CHANGE, TRANSFORM_ZLIB_DEFLATE, "zlib unpacked", NULL},

	/* never */
	{"lua", keyword_refused, 0, 0, "refused: rules run no programs here", NULL},
	{"luaxform", keyword_refused, QUOTES, 0, "refused: rules run no programs here", NULL},
};

static const struct {
	const char *name;
	enum packet_buffer packet;
} packet_buffers[] = {
	{"ipv4.hdr", PACKET_BUFFER_IPV4_HDR}, {"ipv6.hdr", PACKET_BUFFER_IPV6_HDR}, {"tcp.hdr", PACKET_BUFFER_TCP_HDR},
	{"udp.hdr", PACKET_BUFFER_UDP_HDR}, {"icmpv4.hdr", PACKET_BUFFER_ICMPV4_HDR}, {"icmpv6.hdr", PACKET_BUFFER_ICMPV6_HDR},
	{"ip.src", PACKET_BUFFER_IP_SRC}, {"ip.dst", PACKET_BUFFER_IP_DST},
};

/* The language has them, this sensor not yet: sticky buffers, then other keywords, then protocols. */
static const char *const waiting_buffers[] = {
	"dce_stub_data", "dcerpc.stub_data", "dnp3.data", "dnp3_data", "dns.additionals.rrname", "dns.answer.name",
	"dns.answers.rrname", "dns.authorities.rrname", "dns.queries.rrname", "dns.query", "dns.query.name", "dns.response.rrname",
	"dns_query", "email.body_md5", "email.cc", "email.date", "email.from", "email.message_id", "email.received",
	"email.subject", "email.to", "email.url", "email.x_mailer", "enip.product_name", "enip.service_name", "ether.hdr",
	"file.data", "file.magic", "file.name", "file_data", "frame", "ftp.command", "ftp.command_data", "ftp.completion_code", "ftp.mode",
	"ftp.reply", "http2.header_name", "igmp.hdr", "ike.init_spi", "ike.key_exchange_payload", "ike.nonce_payload",
	"ike.resp_spi", "ike.vendor", "ja3.hash", "ja3.string", "ja3_hash", "ja3_string", "ja3s.hash", "ja3s.string", "ja4.hash",
	"ja4_hash", "krb5.cname", "krb5.sname", "krb5_cname", "krb5_sname", "ldap.request.attribute_type", "ldap.request.dn",
	"ldap.responses.attribute_type", "ldap.responses.dn", "ldap.responses.message", "llmnr.additionals.rrname",
	"llmnr.answers.rrname", "llmnr.authorities.rrname", "llmnr.queries.rrname", "llmnr.response.rrname",
	"mdns.additionals.rrname", "mdns.answers.rrname", "mdns.authorities.rrname", "mdns.queries.rrname", "mdns.response.rrname",
	"mqtt.connect.clientid", "mqtt.connect.password", "mqtt.connect.protocol_string", "mqtt.connect.username",
	"mqtt.connect.willmessage", "mqtt.connect.willtopic", "mqtt.publish.message", "mqtt.publish.topic", "mqtt.subscribe.topic",
	"mqtt.unsubscribe.topic", "ntp.reference_id", "pgsql.query", "quic.cyu.hash", "quic.cyu.string", "quic.sni", "quic.ua",
	"quic.version", "rfb.name", "sctp.chunk_data", "sctp.hdr", "sdp.attribute", "sdp.bandwidth", "sdp.connection_data",
	"sdp.email", "sdp.encryption_key", "sdp.media.connection_data", "sdp.media.encryption_key", "sdp.media.media",
	"sdp.media.media_info", "sdp.media.session_info", "sdp.origin", "sdp.phone_number", "sdp.repeat_time", "sdp.session_info",
	"sdp.session_name", "sdp.time", "sdp.timezone", "sdp.uri", "sip.content_length", "sip.content_type", "sip.from",
	"sip.method", "sip.protocol", "sip.request_line", "sip.response_line", "sip.stat_code", "sip.stat_msg", "sip.to", "sip.ua",
	"sip.uri", "sip.user_agent", "sip.via", "smb.named_pipe", "smb.ntlmssp_domain", "smb.ntlmssp_user", "smb.share",
	"smb_named_pipe", "smb_share", "smtp.helo", "smtp.mail_from", "smtp.rcpt_to", "snmp.community", "snmp.trap_address",
	"snmp.trap_oid", "snmp.usm", "ssh.hassh", "ssh.hassh.server", "ssh.hassh.server.string", "ssh.hassh.string", "ssh.proto",
	"ssh.software", "ssh_proto", "ssh_software", "template.buffer", "tls.alpn", "tls.cert_fingerprint", "tls.cert_issuer",
	"tls.cert_serial", "tls.cert_subject", "tls.certs", "tls.random", "tls.random_bytes", "tls.random_time", "tls.sni",
	"tls.subjectaltname", "tls_cert_fingerprint", "tls_cert_issuer", "tls_cert_serial", "tls_cert_subject", "tls_sni",
	"websocket.payload", NULL,
};
static const char *const waiting_values[] = {
	"app-layer-state", "cip_service", "config", "dce_iface", "dce_opnum", "dcerpc.iface", "dcerpc.opnum", "dhcp.leasetime",
	"dhcp.rebinding_time", "dhcp.renewal_time", "dnp3.func", "dnp3.ind", "dnp3.obj", "dnp3_func", "dnp3_ind", "dnp3_obj",
	"dns.opcode", "dns.rcode", "dns.rrtype", "enip.capabilities", "enip.cip_attribute", "enip.cip_class",
	"enip.cip_extendedstatus", "enip.cip_instance", "enip.cip_status", "enip.command", "enip.device_type",
	"enip.identity_status", "enip.product_code", "enip.protocol_version", "enip.revision", "enip.serial", "enip.state",
	"enip.status", "enip.vendor_id", "enip_command", "filemagic", "flow.elephant", "ftp.dynamic_port", "ftp.reply_received",
	"ftpbounce", "ftpdata_command", "http2.errorcode", "http2.frametype", "http2.priority", "http2.settings",
	"http2.size_update", "http2.window", "igmp-csum", "igmp.type", "ike.chosen_sa_attribute", "ike.exchtype",
	"ike.key_exchange_payload_length", "ike.nonce_payload_length", "krb5.ticket_encryption", "krb5_err_code", "krb5_msg_type",
	"ldap.request.operation", "ldap.responses.count", "ldap.responses.operation", "ldap.responses.result_code", "modbus",
	"mqtt.connack.return_code", "mqtt.connack.session_present", "mqtt.connect.flags", "mqtt.flags", "mqtt.protocol_version",
	"mqtt.qos", "mqtt.reason_code", "mqtt.type", "nfq_set_mark", "nfs.version", "nfs_procedure", "nfs_version", "ntp.mode",
	"ntp.stratum", "ntp.version", "replace", "rfb.secresult", "rfb.sectype", "rpc", "sctp.chunk_cnt", "sctp.chunk_type",
	"sctp.vtag", "smb.version", "snmp.pdu_type", "snmp.trap_type", "snmp.version", "ssh.protoversion", "ssh.softwareversion",
	"ssl_version", "subslice", "tcp.session", "template", "tls.cert_chain_len", "tls.store", "tls.version",
	    "tls_store", "websocket.flags",
	"websocket.mask", "websocket.opcode", NULL,
};
static const char *const waiting_protocols[] = {
	"arp", "bittorrent-dht", "dcerpc", "dhcp", "dnp3", "dns", "doh2", "enip", "ether", "ftp", "ftp-data", "http", "http1", "http2",
	"igmp", "ike", "ikev2", "imap", "irc", "jabber", "krb5", "ldap", "llmnr", "mdns", "modbus", "mqtt", "msn", "mysql", "nfs", "ntp",
	"pgsql", "pop3", "quic", "rdp", "rfb", "sip", "smb", "smtp", "snmp", "ssh", "ssl", "telnet", "template", "tftp", "tls",
	"websocket", NULL,
};
/* clang-format on */

bool protocol_is_known(const char *name)
{
	return text_word(name, waiting_protocols) >= 0;
}

const struct keyword *keyword_find(const struct sigs_builder *builder, const char *name, size_t len)
{
	return table_find(&builder->keywords, name, len);
}

/* --- building the table ------------------------------------------------------------------------------------------------- */

static int put(struct sigs_builder *b, const struct keyword *keyword)
{
	return table_put(&b->keywords, keyword->name, strlen(keyword->name), (void *)(uintptr_t)keyword);
}

static int add(struct sigs_builder *b, const char *name, keyword_fn parse, unsigned flags, const void *info)
{
	struct keyword *keyword = arena_alloc(b->arena, sizeof(*keyword));
	if (keyword == NULL || info == NULL)
		return -ENOMEM;
	*keyword = (struct keyword){.name = name, .parse = parse, .flags = (uint16_t)flags, .info = info};
	return put(b, keyword);
}

#define BUFFER_FLAGS (KEYWORD_VALUE_OPTIONAL | KEYWORD_DIRECTION | KEYWORD_OPENS_BUFFER)

static int add_waiting(struct sigs_builder *b)
{
	static const uint16_t value_flags = KEYWORD_VALUE_OPTIONAL | KEYWORD_QUOTES | KEYWORD_NEGATABLE;
	int err = 0;
	for (const char *const *name = waiting_buffers; *name && !err; name++) {
		struct buffer_info *info = arena_alloc(b->arena, sizeof(*info));
		char what[64];
		int len = snprintf(what, sizeof(what), "keyword %s", *name);
		if (info == NULL)
			return -ENOMEM;
		info->name = *name;
		info->kind = BUFFER_APP;
		info->multi = true;
		info->waits_for = arena_strndup(b->arena, what, (size_t)len);
		err = add(b, *name, keyword_wait_buffer, value_flags | KEYWORD_OPENS_BUFFER, info);
	}
	for (const char *const *name = waiting_values; *name && !err; name++)
		err = add(b, *name, keyword_wait_value, value_flags, *name);
	return err;
}

static int add_static(struct sigs_builder *b)
{
	int err = 0;
	for (unsigned i = 0; i < sizeof(keywords) / sizeof(keywords[0]) && !err; i++)
		err = put(b, &keywords[i]);
	for (unsigned i = 0; i < sizeof(packet_buffers) / sizeof(packet_buffers[0]) && !err; i++) {
		struct buffer_info *info = arena_alloc(b->arena, sizeof(*info));
		if (info == NULL)
			return -ENOMEM;
		info->name = packet_buffers[i].name;
		info->kind = BUFFER_PACKET;
		info->packet = packet_buffers[i].packet;
		err = add(b, info->name, keyword_packet_buffer, KEYWORD_NO_VALUE | KEYWORD_OPENS_BUFFER, info);
	}
	return err;
}

/* What is registered under that name, by this protocol or one before it; else new. */
static void *registered(struct sigs_builder *b, const char *name, keyword_fn parse, size_t size)
{
	const struct keyword *keyword = keyword_find(b, name, strlen(name));
	if (keyword && keyword->parse == parse)
		return (void *)(uintptr_t)keyword->info;
	return arena_alloc(b->arena, size);
}

static int add_buffer(struct sigs_builder *b, const struct app_proto *proto, const struct app_buffer *buffer)
{
	struct buffer_info *info = registered(b, buffer->name, keyword_app_buffer, sizeof(*info));
	if (info == NULL)
		return -ENOMEM;
	info->name = buffer->name;
	info->kind = BUFFER_APP;
	info->multi |= (buffer->flags & APP_BUFFER_MULTI) != 0;
	info->app[proto->id][buffer->dir] = buffer;
	int err = add(b, buffer->name, keyword_app_buffer, BUFFER_FLAGS, info);
	if (!err && buffer->alias)
		err = add(b, buffer->alias, keyword_app_buffer, BUFFER_FLAGS, info);
	if (!err && buffer->legacy && buffer->legacy_is_modifier)
		err = add(b, buffer->legacy, keyword_app_modifier, KEYWORD_NO_VALUE | KEYWORD_AFTER_CONTENT, info);
	else if (!err && buffer->legacy)
		err = add(b, buffer->legacy, keyword_app_buffer, BUFFER_FLAGS, info);
	return err;
}

static bool names_are_bits(const struct app_value_name *names)
{
	if (names == NULL || names[0].name == NULL || names[1].name == NULL)
		return false;
	for (; names->name; names++)
		if (names->value == 0 || names->value & (names->value - 1))
			return false;
	return true;
}

/* A value whose text has a form of its own keeps its function; the registered value comes as its info. */
static int put_value(struct sigs_builder *b, const char *name, const struct value_info *info)
{
	const struct keyword *own = keyword_find(b, name, strlen(name));
	bool waiting = own && own->parse == keyword_wait_value;
	return own && !waiting ? add(b, name, own->parse, own->flags, info)
			       : add(b, name, keyword_app_value, KEYWORD_QUOTES, info);
}

static int add_value(struct sigs_builder *b, const struct app_proto *proto, const struct app_value *value)
{
	const struct keyword *known = keyword_find(b, value->name, strlen(value->name));
	bool again = known && known->info && known->parse != keyword_wait_value;
	struct value_info *info = again ? (void *)(uintptr_t)known->info : arena_alloc(b->arena, sizeof(*info));
	if (info == NULL)
		return -ENOMEM;
	info->name = value->name;
	info->multi |= (value->flags & APP_BUFFER_MULTI) != 0;
	info->names = value->names;
	info->bits = names_are_bits(value->names);
	for (int dir = 0; dir < 2; dir++)
		if (value->any_direction || (int)value->dir == dir)
			info->app[proto->id][dir] = value;
	int err = put_value(b, value->name, info);
	return !err && value->alias ? put_value(b, value->alias, info) : err;
}

static int add_registered(struct sigs_builder *b)
{
	int err = 0;
	for (const struct app_proto *const *p = app_protos(); *p; p++) {
		for (const struct app_buffer *buffer = (*p)->buffers; buffer && buffer->name && !err; buffer++)
			err = add_buffer(b, *p, buffer);
		for (const struct app_value *value = (*p)->values; value && value->name && !err; value++)
			err = add_value(b, *p, value);
	}
	return err;
}

int keywords_build(struct sigs_builder *b)
{
	/* later ones take the place of earlier ones: what is registered waits no more */
	int err = add_waiting(b);
	if (!err)
		err = add_static(b);
	return err ? err : add_registered(b);
}

/* --- listing --------------------------------------------------------------------------------------------------------------- */

struct listing {
	void (*each)(void *user, const char *name, const char *help);
	void *user;
};

static bool is_registered(const char *name)
{
	for (const struct app_proto *const *p = app_protos(); *p; p++) {
		for (const struct app_buffer *b = (*p)->buffers; b && b->name; b++)
			if (strcmp(b->name, name) == 0 || (b->alias && strcmp(b->alias, name) == 0) ||
			    (b->legacy && strcmp(b->legacy, name) == 0))
				return true;
		for (const struct app_value *v = (*p)->values; v && v->name; v++)
			if (strcmp(v->name, name) == 0 || (v->alias && strcmp(v->alias, name) == 0))
				return true;
	}
	return false;
}

static void list_protocol(const struct listing *l, const struct app_proto *proto)
{
	char help[128];
	for (const struct app_buffer *b = proto->buffers; b && b->name; b++) {
		snprintf(help, sizeof(help), "buffer of %s, %s%s%s", proto->name,
			 b->dir == TO_SERVER ? "to the server" : "to the client", b->legacy ? "; old name " : "",
			 b->legacy ? b->legacy : "");
		l->each(l->user, b->name, help);
	}
	snprintf(help, sizeof(help), "number of %s", proto->name);
	for (const struct app_value *v = proto->values; v && v->name; v++)
		l->each(l->user, v->name, help);
}

void sigs_keywords(void (*each)(void *user, const char *name, const char *help), void *user)
{
	struct listing l = {.each = each, .user = user};
	for (unsigned i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
		each(user, keywords[i].name, keywords[i].help);
	for (unsigned i = 0; i < sizeof(packet_buffers) / sizeof(packet_buffers[0]); i++)
		each(user, packet_buffers[i].name, "buffer of the packet");
	for (const struct app_proto *const *p = app_protos(); *p; p++)
		list_protocol(&l, *p);
	const char *const *lists[] = {waiting_buffers, waiting_values};
	for (int i = 0; i < 2; i++)
		for (const char *const *name = lists[i]; *name; name++)
			if (!is_registered(*name))
				each(user, *name, "waits: not in this sensor yet");
}
