/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What becomes of a packet: one verdict for every backend, and one list of reasons for a drop.
 */

enum verdict {
	VERDICT_FORWARD, /* as it came */
	VERDICT_REPLACE, /* forward, but the sensor changed its bytes (checksums are right again) */
	VERDICT_DROP,
	VERDICT_HOLD, /* kept by the sensor (a fragment of a datagram not whole yet); a later call settles it */
};

/*
 * X(identifier, name): the name is what records and counters show. The first reason given to a packet is kept.
 * Where the trade's records have a name for the reason, it is that name.
 */
#define DROP_REASONS(X)                                                                                                \
	X(DECODE, "decode error")			  /* a header that cannot be read */                           \
	X(BLOCKLIST, "blocklist")			  /* an address, prefix or domain that is blocked */           \
	X(DEFRAG, "defrag error")			  /* overlapping or impossible fragments */                    \
	X(DEFRAG_MEMCAP, "defrag memcap")		  /* fragment memory full, policy says drop */                 \
	X(DEFRAG_TIMEOUT, "defrag timeout")		  /* the datagram never became whole */                        \
	X(FLOW_MEMCAP, "flow memcap")			  /* flow memory full, policy says drop */                     \
	X(FLOW_DROP, "flow drop")			  /* an earlier verdict dropped the whole flow */              \
	X(APPLAYER, "applayer error")			  /* the protocol parser failed, policy says drop */           \
	X(APPLAYER_MEMCAP, "applayer memcap")		  /* parser memory full, policy says drop */                   \
	X(RULES, "rules")				  /* a signature */                                            \
	X(DETECTION_FILTER, "threshold detection_filter") /* a rate filter made a signature drop */                    \
	X(STREAM, "stream error")			  /* TCP packet that the end host must not act on */           \
	X(STREAM_MEMCAP, "stream memcap")		  /* session or segment memory full, policy says drop */       \
	X(STREAM_MIDSTREAM, "stream midstream")		  /* session picked up in the middle, policy says drop */      \
	X(STREAM_REASSEMBLY, "stream reassembly")	  /* a segment that contradicts what was inspected */          \
	X(STREAM_URGENT, "stream urgent")		  /* urgent data, policy says drop */                          \
	X(CHECKSUM, "bad checksum")			  /* the end host would ignore it */                           \
	X(INNER, "tunnel packet drop")			  /* a packet inside this tunnel was dropped */                \
	X(ZONE, "zone policy")				  /* this pair of zones may not talk so */                     \
	X(CONTAINMENT, "worm containment")		  /* the source is held */                                     \
	X(RATE, "rate limit")				  /* connection rate or half-open limit */                     \
	X(OVERLOAD, "overload")				  /* the workers cannot keep up, policy says drop */           \
	X(TX_FULL, "transmit ring full")		  /* back-pressure of the other port */                        \
	X(BACKEND, "backend error")			  /* the capture backend refused the packet */

enum drop_reason {
	DROP_NONE,
#define X(id, name) DROP_##id,
	DROP_REASONS(X)
#undef X
		DROP_REASON_COUNT
};

/* The name of a reason; "none" for DROP_NONE. Never NULL. Any thread. */
const char *drop_reason_name(enum drop_reason reason);

/* What to do when memory or knowledge runs out. */
enum exception_policy {
	EXCEPTION_IGNORE,      /* go on as if nothing happened */
	EXCEPTION_PASS_PACKET, /* forward this packet uninspected */
	EXCEPTION_PASS_FLOW,   /* forward the rest of the flow uninspected */
	EXCEPTION_BYPASS,      /* the same, and shunt it in the backend where that can */
	EXCEPTION_DROP_PACKET,
	EXCEPTION_DROP_FLOW,
	EXCEPTION_REJECT, /* drop the flow and answer with a reset or unreachable */
};
