/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What the writers of the single record types share. Private to record.c and eve_*.c. */

#include <openssl/evp.h>

#include "json.h"
#include "output.h"
#include "record.h"
#include "ring.h"

/* Types that have a writer of their own; the protocols' own types are looked up by app_id. */
enum record_type {
	RECORD_ALERT,
	RECORD_DROP,
	RECORD_FLOW,
	RECORD_ANOMALY,
	RECORD_FILEINFO,
	RECORD_STATS,
	RECORD_COVERAGE,
	RECORD_TYPE_COUNT
};

enum anomaly_type { ANOMALY_DECODE, ANOMALY_STREAM, ANOMALY_APPLAYER, ANOMALY_TYPES };

struct records {
	const struct config *config;
	struct output *output; /* NULL: to the ring */
	struct ring *ring;
	struct json json;
	struct json_sink sink;
	struct sigs_matcher *matcher;
	const char *capture;
	const char (*ports)[RECORD_PORT_NAME_MAX];
	unsigned port_count;
	struct records_stats stats;
	bool on[RECORD_TYPE_COUNT];
	bool app_on[APP_ID_COUNT];
	bool anomaly[ANOMALY_TYPES];
	EVP_MD_CTX *hasher; /* of Community IDs */
	uint8_t *payload;   /* scratch for stream data: records.payload_bytes */
};

/* Which way round a record shows addresses. */
enum record_side {
	SIDE_PACKET,	/* as the packet goes */
	SIDE_TO_SERVER, /* client first */
	SIDE_TO_CLIENT, /* server first */
};

/* Starts a record with all that every record of a packet has. */
void eve_begin(struct records *records, const struct packet *pkt, const char *type, enum record_side side);
/* Ends and writes it. */
void eve_end(struct records *records);
/* The port that live packets of this number come from. */
void eve_port(struct records *records, uint16_t port);
/* "app_proto" and its kin. */
void eve_app_proto(struct records *records, const struct flow *flow);
/* The members that alert and flow records both have inside "flow". */
void eve_flow_counts(struct records *records, const struct flow *flow);
/* Community ID of a flow, when wanted. */
void eve_community_id(struct records *records, const struct flow *flow);
void eve_vlan(struct records *records, const uint16_t *vlan, unsigned count);
/* Text of an address; v6 in full, as EVE has it. */
void eve_address(struct json *json, const char *name, const union packet_addr *addr, uint8_t family);
void eve_proto(struct json *json, const char *name, uint8_t proto);
bool eve_has_ports(uint8_t proto);
/* The inside of a "fileinfo" object or an item of "files". */
void eve_file(struct records *records, const struct app_file *file, uint64_t tx_id);
/* A transaction's fields in the object of its protocol; `alert`: as alerts show them. */
void eve_tx_fields(struct records *records, const struct flow *flow, const struct app_tx *tx, bool alert);
/* The "verdict" object. */
void eve_verdict(struct records *records, const struct packet *pkt, const struct judgement *judgement);
/* The "alert" object. */
void eve_alert_object(struct records *records, const struct packet *pkt, const struct sigs_match *match,
		      const struct judgement *judgement, bool whole);
/* "metadata" and "traffic": the flow's bits and variables. */
void eve_metadata(struct records *records, const struct packet *pkt);
/* Bits that a flow keeps for its records (FLOW_SLOT_SENSOR holds them as a number). */
enum flow_record_flag { FLOW_DROP_TO_SERVER_LOGGED = 1, FLOW_DROP_TO_CLIENT_LOGGED = 2 };
