/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Flows: both directions of a 5-tuple (and its VLANs), in a bounded table with a seeded symmetric hash. One table a
 * worker; time is packet time.
 *
 * The client is who sent the first packet (a SYN-ACK, or a packet picked up in the middle that is plainly an answer,
 * turns it round: see flow_swap).
 */

#include <stdbool.h>
#include <stdint.h>

#include <dataplane/counters.h>
#include <dataplane/packet.h>

struct tcp_session;
struct app_session;

enum flow_state { FLOW_NEW, FLOW_ESTABLISHED, FLOW_CLOSED, FLOW_BYPASSED };

enum flow_flag {
	FLOW_DROP = 1 << 0,	  /* every further packet is dropped */
	FLOW_PASS = 1 << 1,	  /* forward the rest without signatures (a pass rule, or policy) */
	FLOW_NO_PAYLOAD = 1 << 2, /* no payload inspection (encrypted, depth reached) */
	FLOW_BYPASS = 1 << 3,	  /* the backend may shunt it */
	FLOW_REJECT = 1 << 4,	  /* dropped with a reset */
	FLOW_SEEN_TO_SERVER = 1 << 5,
	FLOW_SEEN_TO_CLIENT = 1 << 6,
	FLOW_MIDSTREAM = 1 << 7, /* TCP, picked up without its handshake */
	FLOW_SWAPPED = 1 << 8,
	FLOW_ALERTED = 1 << 9, /* some signature alerted: records say so */
	FLOW_ENDING = 1 << 10, /* being ended: final inspection runs */
	FLOW_LOGGED = 1 << 11,
	FLOW_SETTLED =
		1 << 12, /* TCP closed in order, all of it judged, its memory given back: only headers are looked at */
	FLOW_OVERLOAD = 1 << 13, /* with BYPASS: only because the sensor was overloaded */
};

enum flow_end { FLOW_END_TIMEOUT, FLOW_END_CLOSED, FLOW_END_EVICTED, FLOW_END_SHUTDOWN };

struct flow_key {
	union packet_addr addr[2]; /* [0] the client's, [1] the server's */
	uint16_t port[2];	   /* ICMP: type-pair and id stand here, the same in both directions */
	uint16_t vlan[2];
	uint8_t proto;
	uint8_t family;
	uint16_t pad;
};

/* The users of a flow hang their state here; the end callback of the table frees it. */
enum flow_slot { FLOW_SLOT_SIGS, FLOW_SLOT_SENSOR, FLOW_SLOTS };

struct flow {
	/* first cache line: what a look-up touches */
	struct flow *hash_next;
	uint32_t hash;
	uint16_t state; /* enum flow_state */
	uint16_t pad;
	struct flow_key key;

	/* what a packet touches */
	uint32_t flags;			    /* enum flow_flag */
	uint16_t app_proto;		    /* enum app_id once known; 0 unknown */
	uint8_t drop_reason;		    /* enum drop_reason of FLOW_DROP */
	uint8_t icmp_type[2], icmp_code[2]; /* first seen, by direction */
	uint64_t last_ns;
	uint64_t first_ns;
	struct tcp_session *tcp;
	struct app_session *app;
	void *slot[FLOW_SLOTS];
	uint64_t packets[2];	 /* by direction */
	uint64_t bytes[2];	 /* frame bytes */
	uint64_t last_number[2]; /* packet.number of the newest, by direction */
	uint64_t id;		 /* random-looking, unique in this run */
	struct flow *lru_prev, *lru_next;
	uint8_t mac[2][6]; /* client's, server's, as first seen */
	bool has_mac;
	uint8_t ttl_min[2], ttl_max[2];
	uint8_t tcp_flags[2]; /* seen, or-ed */
	uint16_t input_port;
	uint64_t parent_id;    /* 0, or the id of the tunnel's flow */
	uint64_t transactions; /* made by its application session, once that is freed */
};

struct flow_config {
	size_t memory_bytes; /* hard limit of flows; default 128 MiB */
	uint32_t buckets;    /* rounded up to a power of two; default 65,536 */
	bool vlan_in_key;    /* default true */
	uint64_t hash_seed;  /* 0: random */
	enum exception_policy memcap_policy;
	/* idle time after which a flow ends, by state */
	struct {
		uint64_t new_ns, established_ns, closed_ns;
	} tcp, udp, icmp, other; /* defaults: tcp 60/600/10 s, udp 30/300/0, icmp 30/300/0, other 30/300/0 */
};

void flow_config_defaults(struct flow_config *config);

/* Called once for each flow that ends, while it is still whole; frees what hangs on it (tcp, app, slots). */
typedef void (*flow_end_cb)(void *user, struct flow *flow, enum flow_end why);

struct flow_table;

struct flow_table *flow_table_new(const struct flow_config *config, struct counters *counters, flow_end_cb on_end,
				  void *user);
/* Takes over what can change while flows are there: timeouts and the memcap policy. Between two packets. */
void flow_table_configure(struct flow_table *table, const struct flow_config *config);
/* Ends every flow (FLOW_END_SHUTDOWN), then frees. */
void flow_table_free(struct flow_table *table);

/* The flow of a decoded packet, made when new; sets pkt->flow, pkt->dir, PACKET_FLOW_FIRST, PACKET_ESTABLISHED (for
 * non-TCP), and updates counts and time. An ICMP error belongs to the flow it quotes when that exists (pkt->dir is by the
 * quoted tuple), else it has none of its own. NULL when the packet has no flow (not IP, a fragment, invalid) or when the table is full:
 * then *full is true and the caller applies memcap_policy. */
struct flow *flow_lookup(struct flow_table *table, struct packet *pkt, bool *full);

/* Starts loading the bucket of a packet that will be looked up soon. */
void flow_prefetch(struct flow_table *table, const struct packet *pkt);

/* Turns client and server round (counts, addresses, flags). The packet at hand must have its dir set anew. */
void flow_swap(struct flow *flow);

void flow_set_state(struct flow_table *table, struct flow *flow, enum flow_state state);

/* Ends flows idle past their time; looks at no more than `budget`. */
void flow_expire(struct flow_table *table, uint64_t now_ns, unsigned budget);

/* Ends every flow with the given reason (end of a capture). */
void flow_drain(struct flow_table *table, enum flow_end why);

/* Shows flows, a bucket at a time from *bucket on, until `budget` buckets were seen; false when that was the last. Flows that come
 * and go between two calls may be missed. */
bool flow_walk(struct flow_table *table, uint32_t *bucket, unsigned budget, void (*each)(void *user, struct flow *flow),
	       void *user);

/* Ends one flow at once (a TCP port pair that is used anew). */
void flow_remove(struct flow_table *table, struct flow *flow, enum flow_end why);
