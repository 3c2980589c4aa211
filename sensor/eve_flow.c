/* SPDX-License-Identifier: BSD-3-Clause */
/* flow records. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <dataplane/stream.h>

#include "eve.h"

void eve_flow_counts(struct records *records, const struct flow *flow)
{
	struct json *j = &records->json;
	jw_uint(j, "pkts_toserver", flow->packets[TO_SERVER]);
	jw_uint(j, "pkts_toclient", flow->packets[TO_CLIENT]);
	jw_uint(j, "bytes_toserver", flow->bytes[TO_SERVER]);
	jw_uint(j, "bytes_toclient", flow->bytes[TO_CLIENT]);
	jw_time(j, "start", flow->first_ns);
}

static const char *flow_state_name(const struct flow *flow)
{
	switch ((enum flow_state)flow->state) {
	case FLOW_NEW:
		return "new";
	case FLOW_ESTABLISHED:
		return "established";
	case FLOW_CLOSED:
		return "closed";
	case FLOW_BYPASSED:
		return "bypassed";
	}
	return "unknown";
}

static const char *flow_end_name(enum flow_end why)
{
	switch (why) {
	case FLOW_END_TIMEOUT:
		return "timeout";
	case FLOW_END_CLOSED:
		return "tcp_reuse";
	case FLOW_END_EVICTED:
		return "forced";
	case FLOW_END_SHUTDOWN:
		return "shutdown";
	}
	return "unknown";
}

static const char *tcp_state_name(enum tcp_state state)
{
	static const char *const names[] = {
		[TCP_NONE] = "none",
		[TCP_SYN_SENT] = "syn_sent",
		[TCP_SYN_RECV] = "syn_recv",
		[TCP_ESTABLISHED] = "established",
		[TCP_FIN_WAIT1] = "fin_wait1",
		[TCP_FIN_WAIT2] = "fin_wait2",
		[TCP_TIME_WAIT] = "time_wait",
		[TCP_LAST_ACK] = "last_ack",
		[TCP_CLOSE_WAIT] = "close_wait",
		[TCP_CLOSING] = "closing",
		[TCP_CLOSED] = "closed",
	};
	return names[state];
}

static void put_flags(struct json *j, const char *name, uint8_t flags)
{
	char text[3];
	snprintf(text, sizeof(text), "%02x", flags);
	jw_string(j, name, text);
}

static void put_tcp(struct json *j, const struct flow *flow)
{
	static const char *const names[8] = {"fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"};
	uint8_t all = flow->tcp_flags[0] | flow->tcp_flags[1];
	jw_object(j, "tcp");
	put_flags(j, "tcp_flags", all);
	put_flags(j, "tcp_flags_ts", flow->tcp_flags[TO_SERVER]);
	put_flags(j, "tcp_flags_tc", flow->tcp_flags[TO_CLIENT]);
	for (unsigned i = 0; i < 8; i++)
		if (all >> i & 1)
			jw_bool(j, names[i], true);
	if (flow->tcp) {
		jw_string(j, "state", tcp_state_name(stream_state(flow)));
		if (stream_has_gap(flow, TO_SERVER))
			jw_bool(j, "ts_gap", true);
		if (stream_has_gap(flow, TO_CLIENT))
			jw_bool(j, "tc_gap", true);
	}
	jw_close(j);
}

static void put_tuple(struct records *records, const struct flow *flow)
{
	struct json *j = &records->json;
	const struct flow_key *key = &flow->key;
	unsigned vlans = key->vlan[0] ? key->vlan[1] ? 2 : 1 : 0;
	eve_vlan(records, key->vlan, vlans);
	eve_address(j, "src_ip", &key->addr[0], key->family);
	if (eve_has_ports(key->proto))
		jw_uint(j, "src_port", key->port[0]);
	eve_address(j, "dest_ip", &key->addr[1], key->family);
	if (eve_has_ports(key->proto))
		jw_uint(j, "dest_port", key->port[1]);
	jw_uint(j, "ip_v", key->family);
	eve_proto(j, "proto", key->proto);
	if (key->proto == IPPROTO_ICMP || key->proto == IPPROTO_ICMPV6) {
		jw_uint(j, "icmp_type", flow->icmp_type[TO_SERVER]);
		jw_uint(j, "icmp_code", flow->icmp_code[TO_SERVER]);
		if (flow->packets[TO_CLIENT]) {
			jw_uint(j, "response_icmp_type", flow->icmp_type[TO_CLIENT]);
			jw_uint(j, "response_icmp_code", flow->icmp_code[TO_CLIENT]);
		}
	}
}

void record_flow(struct records *records, const struct flow *flow, enum flow_end why)
{
	struct json *j = &records->json;
	if (!records->on[RECORD_FLOW])
		return;
	jw_begin(j);
	jw_time(j, "timestamp", flow->last_ns);
	jw_uint(j, "flow_id", flow->id);
	if (flow->parent_id)
		jw_uint(j, "parent_id", flow->parent_id);
	if (records->ports)
		eve_port(records, flow->input_port);
	jw_string(j, "event_type", "flow");
	put_tuple(records, flow);
	eve_app_proto(records, flow);
	jw_object(j, "flow");
	eve_flow_counts(records, flow);
	jw_time(j, "end", flow->last_ns);
	jw_uint(j, "age", flow->last_ns / 1000000000ull - flow->first_ns / 1000000000ull);
	jw_string(j, "state", flow_state_name(flow));
	jw_string(j, "reason", flow_end_name(why));
	jw_bool(j, "alerted", flow->flags & FLOW_ALERTED);
	if (flow->flags & FLOW_DROP)
		jw_string(j, "action", "drop");
	else if (flow->flags & FLOW_PASS)
		jw_string(j, "action", "pass");
	uint64_t tx_count = flow->app ? app_tx_count(flow) : 0;
	if (tx_count)
		jw_uint(j, "tx_cnt", tx_count);
	jw_close(j);
	if (records->config->records.metadata) {
		const struct packet none = {.flow = (struct flow *)(uintptr_t)flow};
		eve_metadata(records, &none);
	}
	eve_community_id(records, flow);
	if (flow->key.proto == IPPROTO_TCP)
		put_tcp(j, flow);
	eve_end(records);
}
