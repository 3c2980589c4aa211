/* SPDX-License-Identifier: BSD-3-Clause */
/* The one table of options, and how a value of each type is read and written. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "config.h"
#include "overload.h"
#include "privileges.h"

#define KIB	   (1ull << 10)
#define MIB	   (1ull << 20)
#define GIB	   (1ull << 30)
#define SECOND	   1000000000ull
#define AT(member) offsetof(struct config, member)

static const struct option_choice policies[] = {
	{"auto", POLICY_AUTO},
	{"ignore", EXCEPTION_IGNORE},
	{"pass-packet", EXCEPTION_PASS_PACKET},
	{"pass-flow", EXCEPTION_PASS_FLOW},
	{"bypass", EXCEPTION_BYPASS},
	{"drop-packet", EXCEPTION_DROP_PACKET},
	{"drop-flow", EXCEPTION_DROP_FLOW},
	{"reject", EXCEPTION_REJECT},
	{NULL, 0},
};

static const struct option_choice defrag_policies[] = {
	{"first", DEFRAG_FIRST},	 {"last", DEFRAG_LAST},	  {"bsd", DEFRAG_BSD},
	{"bsd-right", DEFRAG_BSD_RIGHT}, {"linux", DEFRAG_LINUX}, {"solaris", DEFRAG_SOLARIS},
	{"windows", DEFRAG_WINDOWS},	 {"drop", DEFRAG_DROP},	  {NULL, 0},
};

static const struct option_choice urgent_policies[] = {
	{"inline", STREAM_URGENT_INLINE},
	{"oob", STREAM_URGENT_OOB},
	{"gap", STREAM_URGENT_GAP},
	{"drop", STREAM_URGENT_DROP},
	{NULL, 0},
};

static const struct option_choice drop_flows[] = {
	{"all", DROP_FLOWS_ALL},
	{"start", DROP_FLOWS_START},
	{NULL, 0},
};

static const struct option_choice backends[] = {
	{"afxdp", IO_AFXDP},
	{"dpdk", IO_DPDK},
	{"nfq", IO_NFQ},
	{NULL, 0},
};

static const struct option_choice xdp_modes[] = {
	{"auto", IO_XDP_AUTO},
	{"native", IO_XDP_NATIVE},
	{"generic", IO_XDP_GENERIC},
	{NULL, 0},
};

static const struct option_choice overload_policies[] = {
	{"heavy", OVERLOAD_HEAVY},
	{"new", OVERLOAD_NEW},
	{"none", OVERLOAD_NONE},
	{NULL, 0},
};

static const struct option_choice seccomp_modes[] = {
	{"off", SECCOMP_OFF}, {"log", SECCOMP_LOG}, {"refuse", SECCOMP_REFUSE}, {"kill", SECCOMP_KILL}, {NULL, 0},
};

static const struct option_choice encryption_handlings[] = {
	{"bypass", ENCRYPTION_BYPASS},
	{"track-only", ENCRYPTION_TRACK_ONLY},
	{"full", ENCRYPTION_FULL},
	{NULL, 0},
};

static const struct option_choice anomaly_types[] = {
	{"decode", 0},
	{"stream", 1},
	{"applayer", 2},
	{NULL, 0},
};

/* enum members are ints here, as everywhere on our platforms; AT() of one is read as an int. */
_Static_assert(sizeof(enum io_backend) == sizeof(int) && sizeof(enum defrag_policy) == sizeof(int) &&
		       sizeof(enum stream_urgent_policy) == sizeof(int),
	       "enum options are stored as int");

#define TIMEOUTS(proto, name)                                                                                          \
	{"flow.timeouts." name ".new",                                                                                 \
	 OPTION_TIME,                                                                                                  \
	 AT(flow.proto.new_ns),                                                                                        \
	 0,                                                                                                            \
	 86400 * SECOND,                                                                                               \
	 NULL,                                                                                                         \
	 "time",                                                                                                       \
	 "idle time after which a flow that saw no answer ends",                                                       \
	 true},                                                                                                        \
	{                                                                                                              \
		"flow.timeouts." name ".established", OPTION_TIME, AT(flow.proto.established_ns), 0, 86400 * SECOND,   \
			NULL, "time", "idle time after which an answered flow ends", true                              \
	}

const struct config_option config_options[] = {
	{"rule-files", OPTION_LIST, AT(rule_files), 0, 0, NULL, NULL, "rule files, folders or globs", true},
	{"classification-file", OPTION_PATH, AT(classification_file), 0, 0, NULL, NULL,
	 "words and priorities of classtype; built-in ones where not given", true},
	{"reference-config-file", OPTION_PATH, AT(reference_file), 0, 0, NULL, NULL,
	 "addresses of reference kinds; built-in ones where not given", true},
	{"threshold-file", OPTION_PATH, AT(threshold_file), 0, 0, NULL, NULL,
	 "suppress, threshold and rate_filter by gid and sid; default threshold.config beside the rules", true},
	{"reputation-categories-file", OPTION_PATH, AT(iprep_categories), 0, 0, NULL, NULL, "categories of iprep",
	 true},
	{"reputation-files", OPTION_LIST, AT(iprep_files), 0, 0, NULL, NULL, "addresses of iprep", true},
	{"geoip-database", OPTION_PATH, AT(geoip_database), 0, 0, NULL, NULL,
	 "MaxMind country database; without it geoip rules wait", true},
	{"cache-dir", OPTION_STRING, AT(cache_dir), 0, 0, NULL, NULL,
	 "compiled pattern databases; \"\" is the user's cache folder, \"none\" keeps none", true},

	{"exception-policy", OPTION_CHOICE, AT(policy), 0, 0, policies, NULL,
	 "what happens when memory or knowledge runs out, unless an option below says other", true},

	{"decoder.vxlan.enabled", OPTION_BOOL, AT(decode.vxlan), 0, 0, NULL, NULL, "look into VXLAN"},
	{"decoder.vxlan.ports", OPTION_PORTS, AT(decode.vxlan_ports), 1, 65535, NULL, NULL, "its UDP ports"},
	{"decoder.geneve.enabled", OPTION_BOOL, AT(decode.geneve), 0, 0, NULL, NULL, "look into Geneve"},
	{"decoder.geneve.ports", OPTION_PORTS, AT(decode.geneve_ports), 1, 65535, NULL, NULL, "its UDP ports"},
	{"decoder.teredo.enabled", OPTION_BOOL, AT(decode.teredo), 0, 0, NULL, NULL, "look into Teredo"},
	{"decoder.teredo.ports", OPTION_PORTS, AT(decode.teredo_ports), 1, 65535, NULL, NULL, "its UDP ports"},

	{"defrag.memcap", OPTION_SIZE, AT(defrag.memory_bytes), 64 * KIB, 64 * GIB, NULL, "bytes",
	 "memory of fragments"},
	{"defrag.max-trackers", OPTION_U32, AT(defrag.datagrams_max), 1, 1 << 24, NULL, NULL,
	 "datagrams that wait for fragments at a time"},
	{"defrag.max-frags", OPTION_U32, AT(defrag.fragments_per_datagram_max), 2, 8192, NULL, NULL,
	 "fragments of one datagram"},
	{"defrag.timeout", OPTION_TIME, AT(defrag.timeout_ns), SECOND, 3600 * SECOND, NULL, "time",
	 "how long a datagram waits to become whole"},
	{"defrag.policy", OPTION_CHOICE, AT(defrag.policy), 0, 0, defrag_policies, NULL,
	 "which copy of an overlapped byte wins"},
	{"defrag.memcap-policy", OPTION_CHOICE, AT(policy_defrag_memcap), 0, 0, policies, NULL,
	 "when fragment memory is full", true},

	{"flow.memcap", OPTION_SIZE, AT(flow.memory_bytes), 64 * KIB, 1024 * GIB, NULL, "bytes", "memory of flows"},
	{"flow.hash-size", OPTION_U32, AT(flow.buckets), 256, 1 << 28, NULL, NULL, "buckets of the flow table"},
	{"flow.vlan-tracking", OPTION_BOOL, AT(flow.vlan_in_key), 0, 0, NULL, NULL, "VLANs tell flows apart"},
	{"flow.memcap-policy", OPTION_CHOICE, AT(policy_flow_memcap), 0, 0, policies, NULL, "when flow memory is full",
	 true},
	TIMEOUTS(tcp, "tcp"),
	{"flow.timeouts.tcp.closed", OPTION_TIME, AT(flow.tcp.closed_ns), 0, 86400 * SECOND, NULL, "time",
	 "time after which a closed session ends", true},
	TIMEOUTS(udp, "udp"),
	TIMEOUTS(icmp, "icmp"),
	TIMEOUTS(other, "default"),

	{"stream.midstream", OPTION_BOOL, AT(stream.midstream), 0, 0, NULL, NULL,
	 "pick sessions up without their handshake", true},
	{"stream.pick-up", OPTION_TIME, AT(live.pick_up_ns), 0, 86400 * SECOND, NULL, "time",
	 "run: how long after the start, or after traffic went past the sensor, sessions are picked up without their "
	 "handshake",
	 true},
	{"stream.async-oneside", OPTION_BOOL, AT(stream.async_oneside), 0, 0, NULL, NULL,
	 "follow sessions of which one side is seen", true},
	{"stream.midstream-policy", OPTION_CHOICE, AT(policy_midstream), 0, 0, policies, NULL,
	 "sessions without handshake, when they are not picked up", true},
	{"stream.drop-invalid", OPTION_BOOL, AT(stream.drop_invalid), 0, 0, NULL, NULL,
	 "inline: drop packets that the end host must not act on", true},
	{"stream.checksum-validation", OPTION_BOOL, AT(checksum_validation), 0, 0, NULL, NULL,
	 "verify IP, TCP, UDP and ICMP checksums"},
	{"stream.memcap", OPTION_SIZE, AT(stream.session_memory_bytes), 64 * KIB, 1024 * GIB, NULL, "bytes",
	 "memory of TCP sessions"},
	{"stream.memcap-policy", OPTION_CHOICE, AT(policy_stream_memcap), 0, 0, policies, NULL,
	 "when session or segment memory is full", true},
	{"stream.max-syn-queued", OPTION_U8, AT(stream.max_syn_queued), 0, 255, NULL, NULL,
	 "differing SYNs of one session that are remembered"},
	{"stream.max-synack-queued", OPTION_U8, AT(stream.max_synack_queued), 0, 255, NULL, NULL,
	 "differing SYN-ACKs of one session that are remembered"},
	{"stream.reassembly.memcap", OPTION_SIZE, AT(stream.segment_memory_bytes), 64 * KIB, 1024 * GIB, NULL, "bytes",
	 "memory of segments"},
	{"stream.reassembly.depth", OPTION_BYTES32, AT(stream.depth_bytes), 0, 4 * GIB - 1, NULL, "bytes",
	 "bytes of a direction that are inspected; 0 is all"},
	{"stream.reassembly.raw-window", OPTION_BYTES32, AT(stream.raw_window_bytes), 256, 16 * MIB, NULL, "bytes",
	 "past bytes that a pattern may still begin in"},
	{"stream.reassembly.max-segments", OPTION_U32, AT(stream.segments_max), 16, 65536, NULL, NULL,
	 "segments of a direction that wait for a hole to be filled"},
	{"stream.reassembly.max-overlaps", OPTION_U32, AT(stream.overlap_checks_max), 1, 65536, NULL, NULL,
	 "segments that one packet is compared with"},
	{"stream.reassembly.urgent.policy", OPTION_CHOICE, AT(stream.urgent_policy), 0, 0, urgent_policies, NULL,
	 "how urgent data is read", true},

	{"app-layer.memcap", OPTION_SIZE, AT(app.memory_bytes), MIB, 1024 * GIB, NULL, "bytes",
	 "memory of sessions and transactions"},
	{"app-layer.error-policy", OPTION_CHOICE, AT(policy_app_error), 0, 0, policies, NULL,
	 "when a protocol cannot be parsed on", true},
	{"app-layer.memcap-policy", OPTION_CHOICE, AT(policy_app_memcap), 0, 0, policies, NULL,
	 "when the memory of application layers is full", true},
	{"app-layer.file-hashes", OPTION_BOOL, AT(app.file_hashes), 0, 0, NULL, NULL,
	 "MD5, SHA-1 and SHA-256 of files even when no rule asks", true},
	{"app-layer.protocols.http.request-body-limit", OPTION_BYTES32, AT(app.http_request_body_limit), 0, 4 * GIB - 1,
	 NULL, "bytes", "bytes of a request's body that are inspected; 0 is all"},
	{"app-layer.protocols.http.response-body-limit", OPTION_BYTES32, AT(app.http_response_body_limit), 0,
	 4 * GIB - 1, NULL, "bytes", "bytes of a response's body that are inspected; 0 is all"},
	{"app-layer.protocols.http.decompression-layer-limit", OPTION_U32, AT(app.http_decompress_layers_max), 0, 8,
	 NULL, NULL, "codings over each other that are undone"},
	{"app-layer.protocols.http.decompressed-limit", OPTION_BYTES64, AT(app.decompressed_max_bytes), 64 * KIB,
	 16 * GIB, NULL, "bytes", "what one body may unpack to"},

	{"app-layer.protocols.tls.encryption-handling", OPTION_CHOICE, AT(encryption_handling), 0, 0,
	 encryption_handlings, NULL,
	 "a session that is encrypted: bypass forwards it without a look, in the backend where that can; track-only "
	 "follows it "
	 "without inspecting its payload; full inspects on",
	 true},

	{"detect.raise-alerts", OPTION_BOOL, AT(sigs.raise_alerts), 0, 0, NULL, NULL,
	 "inline: an alert whose jsig_block is always acts as a drop", true},
	{"detect.packet-alert-max", OPTION_U16, AT(sigs.alerts_max), 1, SIGS_MATCHES_MAX, NULL, NULL,
	 "alerts of one packet", true},
	{"detect.inspection-limit", OPTION_U32, AT(sigs.inspection_limit), 10, 1 << 24, NULL, NULL,
	 "content and pcre tries of one rule and buffer", true},
	{"detect.pcre.match-limit", OPTION_U32, AT(sigs.pcre_match_limit), 100, 1 << 28, NULL, NULL,
	 "steps of one expression", true},
	{"detect.pcre.match-limit-recursion", OPTION_U32, AT(sigs.pcre_recursion_limit), 100, 1 << 28, NULL, NULL,
	 "nesting of one expression", true},
	{"detect.threshold-memcap", OPTION_SIZE, AT(sigs.threshold_memory_bytes), 64 * KIB, 64 * GIB, NULL, "bytes",
	 "memory of thresholds"},
	{"detect.state-memcap", OPTION_SIZE, AT(sigs.state_memory_bytes), 64 * KIB, 64 * GIB, NULL, "bytes",
	 "memory of flow bits, variables and transaction states"},

	{"records.filename", OPTION_STRING, AT(records.filename), 0, 0, NULL, NULL,
	 "file in the folder of records, or an absolute path; may be a FIFO or a listening stream socket in run"},
	{"records.sensor-name", OPTION_STRING, AT(records.sensor_name), 0, 0, NULL, NULL,
	 "host in each record; \"\" writes none", true},
	{"records.rotate-size", OPTION_BYTES64, AT(records.rotate_bytes), 0, 1024 * GIB, NULL, "bytes",
	 "run: a file that would grow beyond is put aside as .1, .2 ...; 0 is never", true},
	{"records.keep", OPTION_U32, AT(records.keep), 0, 1000, NULL, NULL, "run: files put aside that are kept", true},
	{"records.ring-size", OPTION_BYTES32, AT(records.ring_bytes), 64 * KIB, 1 * GIB, NULL, "bytes",
	 "run: memory of a worker's records that wait to be written"},
	{"records.stats-interval", OPTION_TIME, AT(records.stats_interval_ns), 0, 86400 * SECOND, NULL, "time",
	 "run: time between two stats records; 0 is at the end only", true},
	{"records.coverage-interval", OPTION_TIME, AT(records.coverage_interval_ns), 0, 86400 * SECOND, NULL, "time",
	 "run: time between two records of the coverage chain; 0 is none", true},
	{"records.types", OPTION_LIST, AT(records.types), 0, 0, NULL, NULL,
	 "event types that are written: alert, drop, flow, anomaly, fileinfo, stats, coverage, http, dns, tls, or all",
	 true},
	{"records.anomaly", OPTION_LIST, AT(records.anomaly), 0, 0, anomaly_types, NULL, "anomalies that are written",
	 true},
	{"records.community-id", OPTION_BOOL, AT(records.community_id), 0, 0, NULL, NULL, "Community ID of flows",
	 true},
	{"records.community-id-seed", OPTION_U16, AT(records.community_id_seed), 0, 65535, NULL, NULL, "its seed",
	 true},
	{"records.ethernet", OPTION_BOOL, AT(records.ethernet), 0, 0, NULL, NULL, "Ethernet addresses", true},
	{"records.metadata", OPTION_BOOL, AT(records.metadata), 0, 0, NULL, NULL, "flow bits and variables", true},
	{"records.payload", OPTION_BOOL, AT(records.payload), 0, 0, NULL, NULL, "alert: payload as Base64", true},
	{"records.payload-printable", OPTION_BOOL, AT(records.payload_printable), 0, 0, NULL, NULL,
	 "alert: payload as text", true},
	{"records.payload-buffer-size", OPTION_BYTES32, AT(records.payload_bytes), 64, 64 * KIB, NULL, "bytes",
	 "alert: bytes of stream data that are written", true},
	{"records.packet", OPTION_BOOL, AT(records.packet), 0, 0, NULL, NULL, "alert: the frame as Base64", true},
	{"records.references", OPTION_BOOL, AT(records.references), 0, 0, NULL, NULL, "alert: the rule's references",
	 true},
	{"records.verdict", OPTION_BOOL, AT(records.verdict), 0, 0, NULL, NULL, "alert and drop: the verdict", true},
	{"records.drop-flows", OPTION_CHOICE, AT(records.drop_flows), 0, 0, drop_flows, NULL,
	 "drop records: of all packets, or of the first of a dropped flow in each direction", true},
	{"records.drop-alerts", OPTION_BOOL, AT(records.drop_alerts), 0, 0, NULL, NULL,
	 "drop records show the signature that dropped", true},

	{"backend", OPTION_CHOICE, AT(live.io.backend), 0, 0, backends, NULL, "run: where packets come from"},
	{"workers", OPTION_U32, AT(live.workers), 0, IO_WORKERS_MAX, NULL, NULL,
	 "run: threads that judge packets; 0 is one for each processor of cpus"},
	{"cpus", OPTION_STRING, AT(live.cpus), 0, 0, NULL, NULL,
	 "run: processors of the workers, as 1-3,5; \"\" is all that the sensor may use"},
	{"user", OPTION_STRING, AT(live.user), 0, 0, NULL, NULL,
	 "run: whom the sensor becomes once its ports are open; \"\" stays who it is, with fewer capabilities"},
	{"seccomp", OPTION_CHOICE, AT(live.seccomp), 0, 0, seccomp_modes, NULL,
	 "run: a system call that the sensor does not need: off allows it, log has the kernel log it, refuse makes it "
	 "fail, kill "
	 "ends the sensor"},
	{"pid-file", OPTION_STRING, AT(live.pid_file), 0, 0, NULL, NULL,
	 "run: file with the process's number; \"\" is none"},
	{"control.socket", OPTION_STRING, AT(live.control_socket), 0, 0, NULL, NULL,
	 "run: socket that sekisho ctl asks by; \"\" is none"},
	{"metrics.listen", OPTION_STRING, AT(live.metrics_listen), 0, 0, NULL, NULL,
	 "run: address and port that Prometheus reads the counters at, as 127.0.0.1:9150; \"\" is none"},
	{"overload.policy", OPTION_CHOICE, AT(live.overload_policy), 0, 0, overload_policies, NULL,
	 "run: what goes uninspected, in steps, when workers cannot keep up: the heaviest flows and then new ones; new "
	 "flows; or "
	 "none, and the queues overflow",
	 true},
	{"afxdp.ports", OPTION_LIST, AT(live.afxdp_ports), 0, 0, NULL, NULL,
	 "interfaces in pairs: what comes in at the first leaves by the second, and the other way round"},
	{"afxdp.mode", OPTION_CHOICE, AT(live.io.afxdp.mode), 0, 0, xdp_modes, NULL,
	 "XDP in the driver, or generic; auto is native where the driver can"},
	{"afxdp.zero-copy", OPTION_BOOL, AT(live.io.afxdp.zero_copy), 0, 0, NULL, NULL,
	 "let the NIC write to the sensor's memory, where the driver can"},
	{"afxdp.steer", OPTION_BOOL, AT(live.io.afxdp.steer), 0, 0, NULL, NULL,
	 "workers hand packets to the one that has the flow; no: the NIC's hash is symmetric"},
	{"afxdp.frames", OPTION_U32, AT(live.io.afxdp.frames), 1024, 1 << 20, NULL, NULL,
	 "frames of a worker's memory, a power of two"},
	{"afxdp.frame-size", OPTION_BYTES32, AT(live.io.afxdp.frame_size), 2048, 4096, NULL, "bytes",
	 "size of a frame: 2,048 or 4,096"},
	{"afxdp.ring-size", OPTION_U32, AT(live.io.afxdp.ring_size), 64, 1 << 16, NULL, NULL,
	 "descriptors of a ring, a power of two"},
	{"afxdp.fail-open", OPTION_BOOL, AT(live.io.afxdp.fail_open), 0, 0, NULL, NULL,
	 "when no worker is alive: forward uninspected; no: drop"},
	{"afxdp.heartbeat", OPTION_TIME, AT(live.io.afxdp.heartbeat_ns), SECOND / 100, 60 * SECOND, NULL, "time",
	 "a worker that was not heard of for so long is not alive"},
	{"dpdk.eal", OPTION_STRING, AT(live.dpdk_eal), 0, 0, NULL, NULL, "arguments of DPDK's environment layer"},
	{"dpdk.ports", OPTION_LIST, AT(live.dpdk_ports), 0, 0, NULL, NULL, "ports in pairs: PCI addresses or vdevs"},
	{"dpdk.steer", OPTION_BOOL, AT(live.io.dpdk.steer), 0, 0, NULL, NULL,
	 "workers hand packets to the one that has the flow; no: RSS of the NIC is symmetric"},
	{"dpdk.rx-descriptors", OPTION_U16, AT(live.io.dpdk.rx_descriptors), 64, 32768, NULL, NULL,
	 "descriptors of a receive queue"},
	{"dpdk.tx-descriptors", OPTION_U16, AT(live.io.dpdk.tx_descriptors), 64, 32768, NULL, NULL,
	 "descriptors of a transmit queue"},
	{"dpdk.mbufs", OPTION_U32, AT(live.io.dpdk.mbufs), 1024, 1 << 22, NULL, NULL, "packet buffers of all ports"},
	{"nfq.queue", OPTION_U16, AT(live.io.nfq.queue), 0, 65535, NULL, NULL,
	 "number of the first queue; each worker has one"},
	{"nfq.queue-length", OPTION_U32, AT(live.io.nfq.queue_length), 16, 1 << 20, NULL, NULL,
	 "packets that the kernel keeps for a worker"},
	{"nfq.fail-open", OPTION_BOOL, AT(live.io.nfq.fail_open), 0, 0, NULL, NULL,
	 "a full queue, or none who reads it: packets pass uninspected; no: they are dropped"},
	{"nfq.gso", OPTION_BOOL, AT(live.io.nfq.gso), 0, 0, NULL, NULL, "take segments of up to 64 KiB as they are"},
	{"nfq.install-rules", OPTION_BOOL, AT(live.io.nfq.install_rules), 0, 0, NULL, NULL,
	 "install own iptables rules, and remove them at the end"},
	{"nfq.chains", OPTION_LIST, AT(live.nfq_chains), 0, 0, NULL, NULL,
	 "chains that those rules stand in: FORWARD, INPUT, OUTPUT"},
	{"nfq.mark", OPTION_U32, AT(live.io.nfq.mark), 0, UINT32_MAX, NULL, NULL, "mark of packets that were judged"},
	{"nfq.mark-mask", OPTION_U32, AT(live.io.nfq.mark_mask), 0, UINT32_MAX, NULL, NULL, "its bits; 0 marks none"},
};
const size_t config_option_count = sizeof(config_options) / sizeof(config_options[0]);

const struct config_option *option_find(const char *name)
{
	for (size_t i = 0; i < config_option_count; i++)
		if (strcmp(config_options[i].name, name) == 0)
			return &config_options[i];
	return NULL;
}

bool option_is_section(const char *prefix)
{
	size_t len = strlen(prefix);
	for (size_t i = 0; i < config_option_count; i++)
		if (strncmp(config_options[i].name, prefix, len) == 0 && config_options[i].name[len] == '.')
			return true;
	return false;
}

void string_list_clear(struct string_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct string_list){0};
}

int string_list_add(struct string_list *list, const char *text)
{
	char **items = realloc(list->items, (list->count + 1) * sizeof(*items));
	if (!items)
		return -ENOMEM;
	list->items = items;
	list->items[list->count] = strdup(text);
	if (!list->items[list->count])
		return -ENOMEM;
	list->count++;
	return 0;
}

/* --- reading -------------------------------------------------------------------------------------------------------- */

static bool parse_bool(const char *text, bool *value)
{
	static const char *const yes[] = {"yes", "true", "on", "1"}, *const no[] = {"no", "false", "off", "0"};
	for (unsigned i = 0; i < 4; i++) {
		if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
			*value = strcasecmp(text, yes[i]) == 0;
			return true;
		}
	}
	return false;
}

struct suffix {
	const char *name;
	uint64_t factor;
};

static const struct suffix size_suffixes[] = {{"", 1},	    {"b", 1},	 {"k", KIB},   {"kb", KIB},
					      {"kib", KIB}, {"m", MIB},	 {"mb", MIB},  {"mib", MIB},
					      {"g", GIB},   {"gb", GIB}, {"gib", GIB}, {NULL, 0}};
/* A bare number is seconds, as the rule language's configuration has it. */
static const struct suffix time_suffixes[] = {{"", SECOND},
					      {"s", SECOND},
					      {"sec", SECOND},
					      {"ms", SECOND / 1000},
					      {"us", SECOND / 1000000},
					      {"m", 60 * SECOND},
					      {"min", 60 * SECOND},
					      {"h", 3600 * SECOND},
					      {NULL, 0}};
static const struct suffix no_suffixes[] = {{"", 1}, {NULL, 0}};

static bool parse_number(const char *text, const struct suffix *suffixes, uint64_t *value)
{
	char *end;
	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	unsigned long long n = strtoull(text, &end, 10);
	if (errno)
		return false;
	while (*end == ' ')
		end++;
	for (; suffixes->name; suffixes++)
		if (strcasecmp(end, suffixes->name) == 0)
			return !__builtin_mul_overflow((uint64_t)n, suffixes->factor, value);
	return false;
}

static void name_choices(const struct option_choice *choices, char *buf, size_t size)
{
	size_t at = 0;
	buf[0] = '\0';
	for (; choices->name && at < size; choices++)
		at += (size_t)snprintf(buf + at, size - at, "%s%s", at ? ", " : "", choices->name);
}

static const struct suffix *suffixes_of(enum option_type type)
{
	switch (type) {
	case OPTION_SIZE:
	case OPTION_BYTES32:
	case OPTION_BYTES64:
		return size_suffixes;
	case OPTION_TIME:
		return time_suffixes;
	default:
		return no_suffixes;
	}
}

static int parse_choice(const struct config_option *option, const char *text, int *value, char *error)
{
	for (const struct option_choice *c = option->choices; c->name; c++) {
		if (strcasecmp(c->name, text) == 0) {
			if (value)
				*value = c->value;
			return 0;
		}
	}
	char names[256];
	name_choices(option->choices, names, sizeof(names));
	snprintf(error, CONFIG_ERROR_MAX, "%s: \"%s\" is none of: %s", option->name, text, names);
	return -EINVAL;
}

static const char *number_text(const struct config_option *option, uint64_t value, char *buf, size_t size);

static int parse_uint(const struct config_option *option, void *at, const char *text, char *error)
{
	uint64_t value;
	char low[32], high[32];
	if (!parse_number(text, suffixes_of(option->type), &value)) {
		snprintf(error, CONFIG_ERROR_MAX, "%s: \"%s\" is no number%s", option->name, text,
			 option->type == OPTION_TIME		      ? " of seconds, ms, s, min or h"
			 : suffixes_of(option->type) == size_suffixes ? " of bytes, kb, mb or gb"
								      : "");
		return -EINVAL;
	}
	if (value < option->min || value > option->max) {
		snprintf(error, CONFIG_ERROR_MAX, "%s: %s is not between %s and %s", option->name, text,
			 number_text(option, option->min, low, sizeof(low)),
			 number_text(option, option->max, high, sizeof(high)));
		return -EINVAL;
	}
	switch (option->type) {
	case OPTION_U8:
		*(uint8_t *)at = (uint8_t)value;
		break;
	case OPTION_U16:
		*(uint16_t *)at = (uint16_t)value;
		break;
	case OPTION_U32:
	case OPTION_BYTES32:
		*(uint32_t *)at = (uint32_t)value;
		break;
	default:
		*(uint64_t *)at = value;
		break;
	}
	return 0;
}
_Static_assert(sizeof(size_t) == sizeof(uint64_t), "OPTION_SIZE is stored as 64 bits");

/* The list of ports is written as "4789, 4790". */
static int parse_ports(const struct config_option *option, uint16_t *ports, const char *text, char *error)
{
	uint16_t found[DECODE_PORTS_MAX] = {0};
	unsigned count = 0;
	char copy[128];
	snprintf(copy, sizeof(copy), "%s", text);
	char *save = NULL;
	for (char *word = strtok_r(copy, " ,[]", &save); word; word = strtok_r(NULL, " ,[]", &save)) {
		uint64_t value;
		if (!parse_number(word, no_suffixes, &value) || value == 0 || value > 65535 ||
		    count == DECODE_PORTS_MAX) {
			snprintf(error, CONFIG_ERROR_MAX, "%s: \"%s\" is no list of at most %d ports", option->name,
				 text, DECODE_PORTS_MAX);
			return -EINVAL;
		}
		found[count++] = (uint16_t)value;
	}
	memcpy(ports, found, sizeof(found));
	return 0;
}

static int parse_string(char **at, const char *text)
{
	char *copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	free(*at);
	*at = copy;
	return 0;
}

int option_parse(const struct config_option *option, struct config *config, const char *text,
		 char error[static CONFIG_ERROR_MAX])
{
	void *at = (char *)config + option->offset;
	switch (option->type) {
	case OPTION_BOOL:
		if (parse_bool(text, at))
			return 0;
		snprintf(error, CONFIG_ERROR_MAX, "%s: \"%s\" is neither yes nor no", option->name, text);
		return -EINVAL;
	case OPTION_CHOICE:
		return parse_choice(option, text, at, error);
	case OPTION_PATH:
		if (text[0] && access(text, R_OK) != 0) {
			snprintf(error, CONFIG_ERROR_MAX, "%s: %s: %s", option->name, text, strerror(errno));
			return -EINVAL;
		}
		return parse_string(at, text);
	case OPTION_STRING:
		return parse_string(at, text);
	case OPTION_LIST:
		if (option->choices && parse_choice(option, text, NULL, error) != 0)
			return -EINVAL;
		return string_list_add(at, text);
	case OPTION_PORTS:
		return parse_ports(option, at, text, error);
	default:
		return parse_uint(option, at, text, error);
	}
}

/* --- writing -------------------------------------------------------------------------------------------------------- */

static const char *number_text(const struct config_option *option, uint64_t value, char *buf, size_t size)
{
	const struct suffix *s = suffixes_of(option->type);
	if (s == size_suffixes) {
		const char *unit = value == 0	      ? ""
				   : value % GIB == 0 ? "gb"
				   : value % MIB == 0 ? "mb"
				   : value % KIB == 0 ? "kb"
						      : "";
		uint64_t factor = unit[0] == 'g' ? GIB : unit[0] == 'm' ? MIB : unit[0] == 'k' ? KIB : 1;
		snprintf(buf, size, "%llu%s", (unsigned long long)(value / factor), unit);
	} else if (s == time_suffixes) {
		bool whole = value % SECOND == 0;
		snprintf(buf, size, "%llu%s", (unsigned long long)(whole ? value / SECOND : value / (SECOND / 1000)),
			 whole ? "s" : "ms");
	} else {
		snprintf(buf, size, "%llu", (unsigned long long)value);
	}
	return buf;
}

static const char *ports_text(const uint16_t *ports, char *buf, size_t size)
{
	size_t at = (size_t)snprintf(buf, size, "[");
	for (unsigned i = 0; i < DECODE_PORTS_MAX && ports[i] && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%u", i ? ", " : "", ports[i]);
	if (at < size)
		snprintf(buf + at, size - at, "]");
	return buf;
}

static const char *choice_text(const struct config_option *option, int value)
{
	for (const struct option_choice *c = option->choices; c->name; c++)
		if (c->value == value)
			return c->name;
	return "?";
}

const char *option_text(const struct config_option *option, const struct config *config, size_t n, char *buf,
			size_t size)
{
	const void *at = (const char *)config + option->offset;
	if (option->type == OPTION_LIST) {
		const struct string_list *list = at;
		return n < list->count ? list->items[n] : NULL;
	}
	if (n > 0)
		return NULL;
	switch (option->type) {
	case OPTION_BOOL:
		return *(const bool *)at ? "yes" : "no";
	case OPTION_CHOICE:
		return choice_text(option, *(const int *)at);
	case OPTION_STRING:
	case OPTION_PATH: {
		const char *text = *(char *const *)at;
		return text ? text : "";
	}
	case OPTION_PORTS:
		return ports_text(at, buf, size);
	case OPTION_U8:
		return number_text(option, *(const uint8_t *)at, buf, size);
	case OPTION_U16:
		return number_text(option, *(const uint16_t *)at, buf, size);
	case OPTION_U32:
	case OPTION_BYTES32:
		return number_text(option, *(const uint32_t *)at, buf, size);
	default:
		return number_text(option, *(const uint64_t *)at, buf, size);
	}
}
