/* SPDX-License-Identifier: BSD-3-Clause */
/* alert and drop records. */
#include <netinet/in.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <string.h>

#include <dataplane/stream.h>

#include "eve.h"

static const char *reject_action_name(const struct packet *pkt)
{
	if (pkt->proto == IPPROTO_TCP)
		return "tcp-reset";
	return pkt->proto == IPPROTO_UDP || pkt->proto == IPPROTO_ICMP || pkt->proto == IPPROTO_ICMPV6 ? "icmp-prohib"
												       : NULL;
}

void eve_verdict(struct records *records, const struct packet *pkt, const struct judgement *judgement)
{
	static const char *const targets[] = {
		[REJECT_SOURCE] = "to_client", [REJECT_DESTINATION] = "to_server", [REJECT_BOTH] = "both"};
	struct json *j = &records->json;
	const char *action = judgement->inline_mode && pkt->verdict == VERDICT_DROP ? "drop"
			     : judgement->pass && judgement->reject == REJECT_NONE  ? "pass"
										    : "alert";
	jw_object(j, "verdict");
	jw_string(j, "action", action);
	if (judgement->reject != REJECT_NONE) {
		jw_string(j, "reject_target", targets[judgement->reject]);
		jw_array(j, "reject");
		if (reject_action_name(pkt))
			jw_string(j, NULL, reject_action_name(pkt));
		jw_close(j);
	}
	jw_close(j);
}

static void put_endpoint(struct json *j, const char *name, const struct packet *pkt, bool source)
{
	jw_object(j, name);
	eve_address(j, "ip", source ? &pkt->src : &pkt->dst, pkt->family);
	if (eve_has_ports(pkt->proto))
		jw_uint(j, "port", source ? pkt->sport : pkt->dport);
	jw_close(j);
}

/* "metadata": each key once, with all its values in the rule's order. */
static void put_rule_metadata(struct json *j, const struct sigs_info *info)
{
	if (info->metadata_count == 0)
		return;
	jw_object(j, "metadata");
	for (unsigned i = 0; i < info->metadata_count; i++) {
		const char *key = info->metadata[i].key;
		bool seen = false;
		for (unsigned k = 0; k < i && !seen; k++)
			seen = strcmp(info->metadata[k].key, key) == 0;
		if (seen)
			continue;
		jw_array(j, key);
		for (unsigned k = i; k < info->metadata_count; k++)
			if (strcmp(info->metadata[k].key, key) == 0)
				jw_string(j, NULL, info->metadata[k].value ? info->metadata[k].value : "");
		jw_close(j);
	}
	jw_close(j);
}

static bool is_blocked(const struct packet *pkt, const struct sigs_match *match, const struct judgement *judgement)
{
	if (match->rate_filtered)
		return pkt->verdict == VERDICT_DROP;
	if (match->action == SIGS_REJECT || match->action == SIGS_REJECT_DST || match->action == SIGS_REJECT_BOTH)
		return true;
	return match->action == SIGS_DROP && judgement->inline_mode;
}

void eve_alert_object(struct records *records, const struct packet *pkt, const struct sigs_match *match,
		      const struct judgement *judgement, bool whole)
{
	struct json *j = &records->json;
	const struct sigs_info *info = match->info;
	if (match->has_tx)
		jw_uint(j, "tx_id", match->tx_id);
	jw_object(j, "alert");
	jw_string(j, "action", is_blocked(pkt, match, judgement) ? "blocked" : "allowed");
	jw_uint(j, "gid", info->gid);
	jw_uint(j, "signature_id", info->sid);
	jw_uint(j, "rev", info->rev);
	jw_string(j, "signature", info->msg ? info->msg : "");
	jw_string(j, "category", info->category ? info->category : "");
	jw_uint(j, "severity", info->priority);
	if (info->target && pkt->family) {
		put_endpoint(j, "source", pkt, info->target == 2);
		put_endpoint(j, "target", pkt, info->target == 1);
	}
	if (whole && records->config->records.references && info->reference_count > 0) {
		jw_array(j, "references");
		for (unsigned i = 0; i < info->reference_count; i++)
			jw_string(j, NULL, info->references[i]);
		jw_close(j);
	}
	if (whole)
		put_rule_metadata(j, info);
	if (match->context_count > 0) {
		jw_object(j, "context");
		for (unsigned i = 0; i < match->context_count; i++)
			jw_text(j, match->context[i].name, match->context[i].value);
		jw_close(j);
	}
	jw_close(j);
}

/* Our own object: what the SOC's triage weighs. */
static void put_jsig(struct json *j, const struct packet *pkt, const struct sigs_match *match,
		     const struct judgement *judgement)
{
	static const char *const outcomes[] = {
		[SIGS_OUTCOME_UNKNOWN] = "unknown", [SIGS_OUTCOME_ATTEMPT] = "attempt",
		[SIGS_OUTCOME_SUCCESS] = "success", [SIGS_OUTCOME_INFECTION] = "infection",
		[SIGS_OUTCOME_POLICY] = "policy",
	};
	const struct sigs_info *info = match->info;
	const char *slash = info->file ? strrchr(info->file, '/') : NULL;
	bool dropped = judgement->inline_mode && pkt->verdict == VERDICT_DROP;
	jw_object(j, "jsig");
	jw_string(j, "outcome", outcomes[info->outcome]);
	if (info->severity)
		jw_string(j, "severity", info->severity);
	if (info->direction)
		jw_string(j, "direction", info->direction);
	jw_string(j, "verdict", dropped ? "drop" : pkt->verdict == VERDICT_REPLACE ? "replace" : "forward");
	if (dropped)
		jw_string(j, "reason", drop_reason_name(pkt->drop_reason));
	if (info->file)
		jw_string(j, "pack", slash ? slash + 1 : info->file);
	jw_close(j);
}

static void put_tunnel(struct records *records, const struct packet *pkt)
{
	struct json *j = &records->json;
	const struct packet *root = pkt->root;
	if (pkt->depth == 0 || !root || root == pkt || root->family == 0)
		return;
	jw_object(j, "tunnel");
	eve_address(j, "src_ip", &root->src, root->family);
	jw_uint(j, "src_port", root->sport);
	eve_address(j, "dest_ip", &root->dst, root->family);
	jw_uint(j, "dest_port", root->dport);
	eve_proto(j, "proto", root->proto);
	jw_uint(j, "depth", pkt->depth);
	if (root->number)
		jw_uint(j, "pcap_cnt", root->number);
	jw_string(j, "pkt_src", "wire/pcap");
	jw_close(j);
}

static void put_flow(struct records *records, const struct packet *pkt)
{
	struct json *j = &records->json;
	bool turn = pkt->dir == TO_CLIENT;
	jw_string(j, "direction", turn ? "to_client" : "to_server");
	jw_object(j, "flow");
	eve_flow_counts(records, pkt->flow);
	eve_address(j, "src_ip", turn ? &pkt->dst : &pkt->src, pkt->family);
	eve_address(j, "dest_ip", turn ? &pkt->src : &pkt->dst, pkt->family);
	if (eve_has_ports(pkt->proto)) {
		jw_uint(j, "src_port", turn ? pkt->dport : pkt->sport);
		jw_uint(j, "dest_port", turn ? pkt->sport : pkt->dport);
	}
	jw_close(j);
}

/* --- payload and packet --------------------------------------------------------------------------------------------- */

struct stream_text {
	uint8_t *out;
	uint32_t len, cap;
	uint64_t next; /* offset of the byte after the last one copied */
};

static bool stream_text_append(struct stream_text *t, const void *data, uint32_t len)
{
	uint32_t room = t->cap - t->len, n = len < room ? len : room;
	memcpy(t->out + t->len, data, n);
	t->len += n;
	return n == len;
}

/* Holes are told in the text, as the trade's records do. */
static bool stream_text_run(void *user, uint64_t offset, const uint8_t *data, uint32_t len)
{
	struct stream_text *t = user;
	if (offset > t->next) {
		char note[48];
		int n = snprintf(note, sizeof(note), "[%llu bytes missing]", (unsigned long long)(offset - t->next));
		if (!stream_text_append(t, note, (uint32_t)n))
			return false;
	}
	t->next = offset + len;
	return stream_text_append(t, data, len);
}

static void put_payload(struct records *records, const struct packet *pkt, const struct sigs_match *match)
{
	const struct records_config *config = &records->config->records;
	struct json *j = &records->json;
	bool stream = pkt->proto == IPPROTO_TCP && pkt->flow && (match->in_stream || match->has_tx);
	const uint8_t *data = pkt->payload;
	uint32_t len = pkt->payload ? pkt->payload_len : 0;
	if (!config->payload && !config->payload_printable)
		return;
	if (stream && pkt->flow->tcp) {
		struct stream_text text = {.out = records->payload, .cap = config->payload_bytes};
		text.next = stream_base(pkt->flow, pkt->dir);
		stream_walk(pkt->flow, pkt->dir, stream_text_run, &text);
		if (text.len > 0) {
			data = records->payload;
			len = text.len;
		}
	}
	if (!stream || len > 0) {
		if (config->payload)
			jw_base64(j, "payload", data, len);
		if (config->payload_printable)
			jw_printable(j, "payload_printable", data, len);
	}
	jw_uint(j, "stream", stream);
}

static void put_packet(struct records *records, const struct packet *pkt)
{
	struct json *j = &records->json;
	if (!records->config->records.packet || pkt->flags & PACKET_FLOW_END || !pkt->data)
		return;
	/* of what a tunnel carries, the datagram is shown, as the trade's records do */
	bool raw = pkt->depth > 0 && pkt->l3 >= pkt->data && pkt->l3 < pkt->data + pkt->len;
	int link_type = raw ? DLT_RAW : pkt->link_type;
	const uint8_t *data = raw ? pkt->l3 : pkt->data;
	jw_base64(j, "packet", data, (size_t)(pkt->data + pkt->len - data));
	jw_object(j, "packet_info");
	jw_uint(j, "linktype", (uint64_t)link_type);
	const char *name = pcap_datalink_val_to_name(link_type);
	if (name)
		jw_string(j, "linktype_name", name);
	jw_close(j);
}

static void put_files(struct records *records, const struct packet *pkt, const struct sigs_match *match)
{
	struct json *j = &records->json;
	bool open = false;
	/* a rule on files is told from the one on that it matched */
	for (const struct app_file *f = match->file ? match->file : match->tx->files; f; f = f->next) {
		if (f->dir != pkt->dir)
			continue;
		if (!open)
			jw_array(j, "files");
		open = true;
		jw_object(j, NULL);
		eve_file(records, f, match->tx_id);
		jw_close(j);
	}
	if (open)
		jw_close(j);
}

static void put_alert(struct records *records, const struct packet *pkt, const struct sigs_match *match,
		      const struct judgement *judgement)
{
	eve_begin(records, pkt, "alert", SIDE_PACKET);
	eve_alert_object(records, pkt, match, judgement, true);
	put_jsig(&records->json, pkt, match, judgement);
	put_tunnel(records, pkt);
	if (pkt->flow) {
		if (match->tx) {
			eve_tx_fields(records, pkt->flow, match->tx, true);
			put_files(records, pkt, match);
		}
		eve_app_proto(records, pkt->flow);
		put_flow(records, pkt);
	}
	if (pkt->family)
		put_payload(records, pkt, match);
	put_packet(records, pkt);
	if (records->config->records.verdict)
		eve_verdict(records, pkt, judgement);
	eve_end(records);
}

/* A packet that an earlier alert tagged: recorded as what it is, no alert. */
static void put_tagged(struct records *records, const struct packet *pkt)
{
	eve_begin(records, pkt, "packet", SIDE_PACKET);
	put_packet(records, pkt);
	eve_end(records);
}

void record_alerts(struct records *records, const struct packet *pkt, const struct sigs_result *result,
		   const struct judgement *judgement)
{
	if (!records->on[RECORD_ALERT])
		return;
	for (unsigned i = 0; i < result->count; i++)
		if (!result->matches[i].filtered)
			put_alert(records, pkt, &result->matches[i], judgement);
	if (result->tagged)
		put_tagged(records, pkt);
}

/* --- drop ----------------------------------------------------------------------------------------------------------- */

static void put_drop_tcp(struct json *j, const struct packet *pkt)
{
	const struct packet_tcp *tcp = &pkt->tcp;
	jw_uint(j, "tcpseq", tcp->seq);
	jw_uint(j, "tcpack", tcp->ack);
	jw_uint(j, "tcpwin", tcp->window);
	jw_bool(j, "syn", tcp->flags & 0x02);
	jw_bool(j, "ack", tcp->flags & 0x10);
	jw_bool(j, "psh", tcp->flags & 0x08);
	jw_bool(j, "rst", tcp->flags & 0x04);
	jw_bool(j, "urg", tcp->flags & 0x20);
	jw_bool(j, "fin", tcp->flags & 0x01);
	jw_uint(j, "tcpres", pkt->l4[12] & 0x0f);
	jw_uint(j, "tcpurgp", tcp->urgent);
}

static void put_drop_object(struct records *records, const struct packet *pkt)
{
	struct json *j = &records->json;
	jw_object(j, "drop");
	if (pkt->family == 4 && pkt->l3) {
		jw_uint(j, "len", load_be16(pkt->l3 + 2));
		jw_uint(j, "tos", pkt->tos);
		jw_uint(j, "ttl", pkt->ttl);
		jw_uint(j, "ipid", pkt->ip_id);
	} else if (pkt->family == 6 && pkt->l3) {
		jw_uint(j, "len", load_be16(pkt->l3 + 4));
		jw_uint(j, "tc", pkt->tos);
		jw_uint(j, "hoplimit", pkt->ttl);
		jw_uint(j, "flowlbl", load_be32(pkt->l3) & 0xfffff);
	}
	if (pkt->l4 && pkt->proto == IPPROTO_TCP) {
		put_drop_tcp(j, pkt);
	} else if (pkt->l4 && pkt->proto == IPPROTO_UDP) {
		jw_uint(j, "udplen", load_be16(pkt->l4 + 4));
	} else if (pkt->l4 && pkt->proto == IPPROTO_ICMP) {
		jw_uint(j, "icmp_id", pkt->icmp.id);
		jw_uint(j, "icmp_seq", pkt->icmp.seq);
	}
	jw_string(j, "reason", drop_reason_name(pkt->drop_reason));
	jw_close(j);
}

/* Whether a dropped flow has shown this direction's first drop already; remembers that it has now. */
static bool drop_shown_before(const struct packet *pkt)
{
	struct flow *flow = pkt->flow;
	if (!flow || !(flow->flags & FLOW_DROP))
		return false;
	uintptr_t flag = pkt->dir == TO_SERVER ? FLOW_DROP_TO_SERVER_LOGGED : FLOW_DROP_TO_CLIENT_LOGGED;
	uintptr_t shown = (uintptr_t)flow->slot[FLOW_SLOT_SENSOR];
	flow->slot[FLOW_SLOT_SENSOR] = (void *)(shown | flag);
	return shown & flag;
}

void record_drop(struct records *records, const struct packet *pkt, const struct sigs_result *result,
		 const struct judgement *judgement)
{
	const struct records_config *config = &records->config->records;
	if (!records->on[RECORD_DROP] || pkt->flags & PACKET_FLOW_END)
		return;
	if (drop_shown_before(pkt) && config->drop_flows == DROP_FLOWS_START && !judgement->drop)
		return;
	eve_begin(records, pkt, "drop", SIDE_PACKET);
	if (pkt->flow)
		jw_string(&records->json, "direction", pkt->dir == TO_SERVER ? "to_server" : "to_client");
	put_drop_object(records, pkt);
	if (config->verdict)
		eve_verdict(records, pkt, judgement);
	if (config->drop_alerts && result && judgement->drop)
		eve_alert_object(records, pkt, judgement->drop, judgement, false);
	eve_end(records);
}
