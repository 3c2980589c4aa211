/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * From matches and exception policies to what becomes of a packet and its flow.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dataplane/packet.h>
#include <sigs/sigs.h>

enum reject_target { REJECT_NONE, REJECT_SOURCE, REJECT_DESTINATION, REJECT_BOTH };

/* What was decided for one packet. */
struct judgement {
	bool inline_mode;
	bool pass;		       /* the last word was a pass rule's */
	enum reject_target reject;     /* answers that are (or would be) sent */
	const struct sigs_match *drop; /* the match that dropped; NULL: something else did, or nothing */
};

/* Carries out the matches' actions on the packet (packet_drop) and its flow (FLOW_DROP, FLOW_PASS). */
void policy_apply_matches(struct packet *pkt, const struct sigs_result *result, struct judgement *judgement);

/* Applies an exception policy for this reason. Returns whether inspection of the packet goes on. */
bool policy_apply_exception(struct packet *pkt, enum exception_policy policy, enum drop_reason reason,
			    struct judgement *judgement);

/* The room that reject_build needs: link header, IPv6 header, ICMPv6 header and what it quotes. */
#define REJECT_FRAME_MAX 1400

/* Builds the frame that refuses `pkt` to its source (`back`) or its destination: a TCP reset, or ICMP "administratively
 * prohibited". Returns its length, 0 when none may be sent (a reset or an ICMP error is never answered; tunnelled packets
 * and link types whose header cannot be turned round are not either). */
size_t reject_build(const struct packet *pkt, bool back, uint8_t frame[static REJECT_FRAME_MAX]);
