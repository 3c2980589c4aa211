/* SPDX-License-Identifier: BSD-3-Clause */
/* The record file, and the members that records have in common. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "community_id.h"
#include "eve.h"

/* The largest record: a certificate chain's fields or 64 KiB of payload twice, in Base64 and escaped, fit well. */
#define RECORD_BYTES_MAX (2u << 20)
/* The most that records.payload-buffer-size may say: a change of it needs no memory. */
#define PAYLOAD_BYTES_MAX (64u << 10)

static const char *const type_names[RECORD_TYPE_COUNT] = {
	[RECORD_ALERT] = "alert",	[RECORD_DROP] = "drop",		[RECORD_FLOW] = "flow",
	[RECORD_ANOMALY] = "anomaly",	[RECORD_FILEINFO] = "fileinfo", [RECORD_STATS] = "stats",
	[RECORD_COVERAGE] = "coverage",
};
static const char *const anomaly_names[ANOMALY_TYPES] = {"decode", "stream", "applayer"};

static bool app_type_enable(struct records *records, const char *name, bool all)
{
	bool known = false;
	for (const struct app_proto *const *p = app_protos(); *p; p++) {
		if ((*p)->record_type && (all || strcmp((*p)->record_type, name) == 0)) {
			records->app_on[(*p)->id] = true;
			known = true;
		}
	}
	return known;
}

static bool enable_type(struct records *records, const char *name)
{
	bool all = strcmp(name, "all") == 0, known = all;
	for (unsigned i = 0; i < RECORD_TYPE_COUNT; i++) {
		if (all || strcmp(type_names[i], name) == 0) {
			records->on[i] = true;
			known = true;
		}
	}
	return app_type_enable(records, name, all) || known;
}

static bool enable_types(struct records *records, char *error)
{
	const struct records_config *config = &records->config->records;
	for (size_t i = 0; i < config->types.count; i++) {
		if (!enable_type(records, config->types.items[i])) {
			snprintf(error, 256, "records.types: no record type \"%.64s\"", config->types.items[i]);
			return false;
		}
	}
	for (size_t i = 0; i < config->anomaly.count; i++)
		for (unsigned t = 0; t < ANOMALY_TYPES; t++)
			if (strcmp(config->anomaly.items[i], anomaly_names[t]) == 0)
				records->anomaly[t] = true;
	return true;
}

bool records_check(const struct config *config, char *error)
{
	struct records probe = {.config = config};
	return enable_types(&probe, error);
}

void records_set_config(struct records *records, const struct config *config)
{
	char error[256];
	records->config = config;
	memset(records->on, 0, sizeof(records->on));
	memset(records->app_on, 0, sizeof(records->app_on));
	memset(records->anomaly, 0, sizeof(records->anomaly));
	enable_types(records, error);
}

static struct records *records_new(const struct config *config, char *error)
{
	struct records *records = calloc(1, sizeof(*records));
	if (!records || jw_init(&records->json, RECORD_BYTES_MAX) != 0)
		goto no_memory;
	records->config = config;
	jw_sink_init(&records->sink, &records->json);
	records->payload = malloc(PAYLOAD_BYTES_MAX);
	records->hasher = EVP_MD_CTX_new();
	if (!records->payload || !records->hasher)
		goto no_memory;
	if (enable_types(records, error))
		return records;
	records_close(records);
	return NULL;
no_memory:
	snprintf(error, 256, "records: %s", strerror(ENOMEM));
	records_close(records);
	return NULL;
}

bool records_path(const struct config *config, const char *dir, char *path, size_t size)
{
	const char *name = config->records.filename;
	bool whole = name[0] == '/';
	return snprintf(path, size, "%s%s%s", whole ? "" : dir, whole ? "" : "/", name) < (int)size;
}

struct records *records_open(const struct config *config, const char *dir, char *error)
{
	char path[4096];
	struct records *records = records_new(config, error);
	if (!records)
		return NULL;
	if (!records_path(config, dir, path, sizeof(path))) {
		snprintf(error, 256, "%.100s: the path is too long", config->records.filename);
		goto fail;
	}
	records->output = output_open(path);
	if (records->output)
		return records;
	snprintf(error, 256, "%.200s: %s", path, strerror(errno));
fail:
	records_close(records);
	return NULL;
}

struct records *records_attach(const struct config *config, struct ring *ring, char *error)
{
	struct records *records = records_new(config, error);
	if (records)
		records->ring = ring;
	return records;
}

int records_close(struct records *records)
{
	if (!records)
		return 0;
	int rc = output_close(records->output);
	jw_free(&records->json);
	EVP_MD_CTX_free(records->hasher);
	free(records->payload);
	free(records);
	return rc;
}

struct records_stats records_stats(const struct records *records)
{
	return records->stats;
}

void records_set_matcher(struct records *records, struct sigs_matcher *matcher)
{
	records->matcher = matcher;
}

void records_set_capture(struct records *records, const char *path)
{
	records->capture = path;
}

void records_set_ports(struct records *records, const char (*names)[RECORD_PORT_NAME_MAX], unsigned count)
{
	records->ports = names;
	records->port_count = count;
}

/* --- common members ------------------------------------------------------------------------------------------------- */

bool eve_has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP || proto == IPPROTO_UDPLITE;
}

void eve_address(struct json *json, const char *name, const union packet_addr *addr, uint8_t family)
{
	char text[64];
	const uint8_t *b = addr->bytes;
	if (family == 4) {
		snprintf(text, sizeof(text), "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
	} else {
		static const char digits[] = "0123456789abcdef";
		char *at = text;
		for (unsigned i = 0; i < 16; i++) {
			if (i > 0 && i % 2 == 0)
				*at++ = ':';
			*at++ = digits[b[i] >> 4];
			*at++ = digits[b[i] & 15];
		}
		*at = '\0';
	}
	jw_string(json, name, text);
}

void eve_proto(struct json *json, const char *name, uint8_t proto)
{
	/* IANA's names, as the trade's records spell them; the others stand as numbers */
	static const char *const names[256] = {
		[0] = "HOPOPT",
		[IPPROTO_ICMP] = "ICMP",
		[IPPROTO_IGMP] = "IGMP",
		[3] = "GGP",
		[IPPROTO_IPIP] = "IP-in-IP",
		[5] = "ST",
		[IPPROTO_TCP] = "TCP",
		[8] = "EGP",
		[9] = "IGP",
		[IPPROTO_UDP] = "UDP",
		[IPPROTO_DCCP] = "DCCP",
		[IPPROTO_IPV6] = "IPv6",
		[43] = "IPv6-Route",
		[44] = "IPv6-Frag",
		[IPPROTO_RSVP] = "RSVP",
		[IPPROTO_GRE] = "GRE",
		[IPPROTO_ESP] = "ESP",
		[IPPROTO_AH] = "AH",
		[IPPROTO_ICMPV6] = "IPv6-ICMP",
		[59] = "IPv6-NoNxt",
		[60] = "IPv6-Opts",
		[88] = "EIGRP",
		[89] = "OSPFIGP",
		[IPPROTO_PIM] = "PIM",
		[112] = "VRRP",
		[115] = "L2TP",
		[IPPROTO_SCTP] = "SCTP",
		[IPPROTO_UDPLITE] = "UDPLite",
		[137] = "MPLS-in-IP",
	};
	if (names[proto]) {
		jw_string(json, name, names[proto]);
		return;
	}
	char number[8];
	snprintf(number, sizeof(number), "%03u", proto);
	jw_string(json, name, number);
}

static const char *packet_source(const struct packet *pkt)
{
	if (pkt->flags & PACKET_FLOW_END)
		return "stream (flow timeout)";
	if (pkt->flags & PACKET_REASSEMBLED)
		return "defrag";
	switch ((enum packet_tunnel)pkt->tunnel) {
	case TUNNEL_GRE:
	case TUNNEL_ERSPAN:
	case TUNNEL_NVGRE:
		return "gre tunnel";
	case TUNNEL_IPIP:
	case TUNNEL_6IN4:
		return "ipv4 tunnel";
	case TUNNEL_4IN6:
	case TUNNEL_6IN6:
		return "ipv6 tunnel";
	case TUNNEL_TEREDO:
		return "teredo tunnel";
	case TUNNEL_VXLAN:
		return "vxlan encapsulation";
	case TUNNEL_GENEVE:
		return "geneve encapsulation";
	case TUNNEL_NONE:
	case TUNNEL_NSH:
		break;
	}
	return "wire/pcap";
}

void eve_vlan(struct records *records, const uint16_t *vlan, unsigned count)
{
	if (count == 0)
		return;
	jw_array(&records->json, "vlan");
	for (unsigned i = 0; i < count; i++)
		jw_uint(&records->json, NULL, vlan[i]);
	jw_close(&records->json);
}

static void put_tuple(struct json *j, const struct packet *pkt, enum record_side side)
{
	if (pkt->family == 0)
		return;
	bool turn = pkt->flow && ((side == SIDE_TO_SERVER && pkt->dir == TO_CLIENT) ||
				  (side == SIDE_TO_CLIENT && pkt->dir == TO_SERVER));
	bool ports = eve_has_ports(pkt->proto);
	eve_address(j, "src_ip", turn ? &pkt->dst : &pkt->src, pkt->family);
	if (ports)
		jw_uint(j, "src_port", turn ? pkt->dport : pkt->sport);
	eve_address(j, "dest_ip", turn ? &pkt->src : &pkt->dst, pkt->family);
	if (ports)
		jw_uint(j, "dest_port", turn ? pkt->sport : pkt->dport);
	eve_proto(j, "proto", pkt->proto);
	jw_uint(j, "ip_v", pkt->family);
	if ((pkt->proto == IPPROTO_ICMP || pkt->proto == IPPROTO_ICMPV6) && pkt->l4) {
		jw_uint(j, "icmp_type", pkt->icmp.type);
		jw_uint(j, "icmp_code", pkt->icmp.code);
	}
}

static void put_mac(struct json *j, const char *name, const uint8_t *mac)
{
	char text[18];
	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	jw_string(j, name, text);
}

static void put_ether(struct json *j, const struct packet *pkt, enum record_side side)
{
	bool turn = pkt->flow && ((side == SIDE_TO_SERVER && pkt->dir == TO_CLIENT) ||
				  (side == SIDE_TO_CLIENT && pkt->dir == TO_SERVER));
	const uint8_t *src, *dst;
	if (pkt->l2) {
		dst = turn ? pkt->l2 + 6 : pkt->l2;
		src = turn ? pkt->l2 : pkt->l2 + 6;
	} else if (pkt->flags & PACKET_FLOW_END && pkt->flow && pkt->flow->has_mac) {
		src = pkt->flow->mac[0];
		dst = pkt->flow->mac[1];
	} else {
		return;
	}
	jw_object(j, "ether");
	if (pkt->l2)
		jw_uint(j, "ether_type", load_be16(pkt->l2 + 12));
	put_mac(j, "src_mac", src);
	put_mac(j, "dest_mac", dst);
	jw_close(j);
}

void eve_community_id(struct records *records, const struct flow *flow)
{
	const struct records_config *config = &records->config->records;
	char id[COMMUNITY_ID_BYTES];
	if (config->community_id && community_id(records->hasher, &flow->key, flow->icmp_type[0], flow->icmp_code[0],
						 config->community_id_seed, id))
		jw_string(&records->json, "community_id", id);
}

void eve_port(struct records *records, uint16_t port)
{
	if (port < records->port_count)
		jw_string(&records->json, "in_iface", records->ports[port]);
}

void eve_begin(struct records *records, const struct packet *pkt, const char *type, enum record_side side)
{
	struct json *j = &records->json;
	jw_begin(j);
	jw_time(j, "timestamp", pkt->ts_ns);
	if (pkt->flow) {
		jw_uint(j, "flow_id", pkt->flow->id);
		if (pkt->flow->parent_id)
			jw_uint(j, "parent_id", pkt->flow->parent_id);
	}
	if (records->ports)
		eve_port(records, pkt->port);
	else if (pkt->number)
		jw_uint(j, "pcap_cnt", pkt->number);
	jw_string(j, "event_type", type);
	eve_vlan(records, pkt->vlan, pkt->vlan_count);
	put_tuple(j, pkt, side);
	jw_string(j, "pkt_src", packet_source(pkt));
	if (records->config->records.metadata)
		eve_metadata(records, pkt);
	if (records->config->records.ethernet)
		put_ether(j, pkt, side);
	if (pkt->flow)
		eve_community_id(records, pkt->flow);
}

void eve_end(struct records *records)
{
	struct json *j = &records->json;
	if (records->capture)
		jw_string(j, "pcap_filename", records->capture);
	if (records->config->records.sensor_name[0])
		jw_string(j, "host", records->config->records.sensor_name);
	if (!jw_end(j)) {
		records->stats.too_big++;
		return;
	}
	if (records->ring && !ring_put(records->ring, j->buf, j->len)) {
		records->stats.lost++;
		return;
	}
	records->stats.written++;
	if (records->output)
		output_write(records->output, j->buf, j->len);
}

static const char *app_name(enum app_id id)
{
	const struct app_proto *proto = app_proto_by_id(id);
	return proto ? proto->name : id == APP_FAILED ? "failed" : NULL;
}

void eve_app_proto(struct records *records, const struct flow *flow)
{
	struct json *j = &records->json;
	const char *name = app_name((enum app_id)flow->app_proto);
	if (name)
		jw_string(j, "app_proto", name);
	if (!flow->app)
		return;
	static const char *const names[2] = {"app_proto_ts", "app_proto_tc"};
	for (int d = 0; d < 2; d++) {
		enum app_id id = app_id_of(flow, (enum direction)d);
		if (id != (enum app_id)flow->app_proto && app_name(id))
			jw_string(j, names[d], app_name(id));
	}
}

/* --- metadata ------------------------------------------------------------------------------------------------------- */

/* Labels of one flow that are shown; more than a handful of rules never set them. */
#define TRAFFIC_MAX 16
#define PENDING_MAX 4

/* Opens objects and arrays only once a value stands in them, and takes flow bits named traffic/... aside. */
struct metadata_sink {
	struct field_sink sink;
	struct field_sink *out;
	const char *pending[PENDING_MAX];
	bool pending_array[PENDING_MAX];
	unsigned pending_count, open;
	struct bytes id[TRAFFIC_MAX], label[TRAFFIC_MAX];
	unsigned ids, labels;
};

static void metadata_push(struct metadata_sink *m, const char *name, bool array)
{
	if (m->pending_count < PENDING_MAX) {
		m->pending[m->pending_count] = name;
		m->pending_array[m->pending_count] = array;
	}
	m->pending_count++;
}

static void metadata_flush(struct metadata_sink *m)
{
	for (unsigned i = 0; i < m->pending_count && i < PENDING_MAX; i++) {
		if (m->pending_array[i])
			m->out->array(m->out, m->pending[i]);
		else
			m->out->object(m->out, m->pending[i]);
		m->open++;
	}
	m->pending_count = 0;
}

static void metadata_object(struct field_sink *sink, const char *name)
{
	metadata_push((struct metadata_sink *)sink, name, false);
}

static void metadata_array(struct field_sink *sink, const char *name)
{
	metadata_push((struct metadata_sink *)sink, name, true);
}

static void metadata_close(struct field_sink *sink)
{
	struct metadata_sink *m = (struct metadata_sink *)sink;
	if (m->pending_count > 0) {
		m->pending_count--;
	} else if (m->open > 0) {
		m->out->close(m->out);
		m->open--;
	}
}

static bool take_traffic(struct bytes value, const char *prefix, struct bytes *list, unsigned *count)
{
	size_t len = strlen(prefix);
	if (value.len <= len || memcmp(value.data, prefix, len) != 0)
		return false;
	if (*count < TRAFFIC_MAX)
		list[(*count)++] = (struct bytes){.data = value.data + len, .len = value.len - len};
	return true;
}

static void metadata_text(struct field_sink *sink, const char *name, struct bytes value)
{
	struct metadata_sink *m = (struct metadata_sink *)sink;
	if (!name && (take_traffic(value, "traffic/id/", m->id, &m->ids) ||
		      take_traffic(value, "traffic/label/", m->label, &m->labels)))
		return;
	metadata_flush(m);
	m->out->text(m->out, name, value);
}

static void metadata_number(struct field_sink *sink, const char *name, int64_t value)
{
	struct metadata_sink *m = (struct metadata_sink *)sink;
	metadata_flush(m);
	m->out->number(m->out, name, value);
}

static void metadata_fraction(struct field_sink *sink, const char *name, double value)
{
	struct metadata_sink *m = (struct metadata_sink *)sink;
	metadata_flush(m);
	m->out->fraction(m->out, name, value);
}

static void metadata_boolean(struct field_sink *sink, const char *name, bool value)
{
	struct metadata_sink *m = (struct metadata_sink *)sink;
	metadata_flush(m);
	m->out->boolean(m->out, name, value);
}

static void put_traffic(struct json *j, const char *name, const struct bytes *list, unsigned count)
{
	if (count == 0)
		return;
	jw_array(j, name);
	for (unsigned i = 0; i < count; i++)
		jw_text(j, NULL, list[i]);
	jw_close(j);
}

void eve_metadata(struct records *records, const struct packet *pkt)
{
	if (!records->matcher || !pkt->flow)
		return;
	struct json *j = &records->json;
	struct metadata_sink m = {
		.sink = {.object = metadata_object,
			 .array = metadata_array,
			 .close = metadata_close,
			 .text = metadata_text,
			 .number = metadata_number,
			 .fraction = metadata_fraction,
			 .boolean = metadata_boolean},
		.out = &records->sink.sink,
	};
	metadata_push(&m, "metadata", false);
	sigs_flow_fields(records->matcher, pkt, &m.sink);
	metadata_close(&m.sink);
	if (m.ids + m.labels == 0)
		return;
	jw_object(j, "traffic");
	put_traffic(j, "id", m.id, m.ids);
	put_traffic(j, "label", m.label, m.labels);
	jw_close(j);
}
