/* SPDX-License-Identifier: BSD-3-Clause */
#include "policy.h"

#include <dataplane/flow.h>

static enum reject_target reject_of(enum sigs_action action)
{
	switch (action) {
	case SIGS_REJECT:
		return REJECT_SOURCE;
	case SIGS_REJECT_DST:
		return REJECT_DESTINATION;
	case SIGS_REJECT_BOTH:
		return REJECT_BOTH;
	default:
		return REJECT_NONE;
	}
}

/* The first word on a flow is kept: a later pass does not free a dropped flow, nor the other way round. */
static void flow_settle(struct flow *flow, uint32_t flag, enum drop_reason reason)
{
	if (!flow || flow->flags & (FLOW_DROP | FLOW_PASS))
		return;
	flow->flags |= flag;
	if (flag == FLOW_DROP)
		flow->drop_reason = (uint8_t)reason;
}

void policy_apply_matches(struct packet *pkt, const struct sigs_result *result, struct judgement *judgement)
{
	for (unsigned i = 0; i < result->count; i++) {
		const struct sigs_match *match = &result->matches[i];
		enum reject_target reject = reject_of(match->action);
		if (match->action == SIGS_DROP || reject != REJECT_NONE) {
			enum drop_reason reason = match->rate_filtered ? DROP_DETECTION_FILTER : DROP_RULES;
			packet_drop(pkt, reason);
			if (judgement->reject == REJECT_NONE)
				judgement->reject = reject;
			if (!judgement->drop)
				judgement->drop = match;
			if (match->whole_flow)
				flow_settle(pkt->flow, FLOW_DROP, reason);
		} else if (match->action == SIGS_PASS && match->whole_flow) {
			flow_settle(pkt->flow, FLOW_PASS, DROP_NONE);
		}
		if (pkt->flow && match->action != SIGS_PASS && !match->filtered)
			pkt->flow->flags |= FLOW_ALERTED;
	}
	judgement->pass = result->pass;
	if (result->pass_flow)
		flow_settle(pkt->flow, FLOW_PASS, DROP_NONE);
}

bool policy_apply_exception(struct packet *pkt, enum exception_policy policy, enum drop_reason reason,
			    struct judgement *judgement)
{
	switch (policy) {
	case EXCEPTION_IGNORE:
		return true;
	case EXCEPTION_REJECT:
		judgement->reject = REJECT_SOURCE;
		if (!judgement->inline_mode)
			return true;
		/* fall through */
	case EXCEPTION_DROP_FLOW:
		flow_settle(pkt->flow, FLOW_DROP, reason);
		/* fall through */
	case EXCEPTION_DROP_PACKET:
		packet_drop(pkt, reason);
		break;
	case EXCEPTION_BYPASS:
		if (pkt->flow)
			pkt->flow->flags |= FLOW_BYPASS;
		/* fall through */
	case EXCEPTION_PASS_FLOW:
		flow_settle(pkt->flow, FLOW_PASS, DROP_NONE);
		/* fall through */
	case EXCEPTION_PASS_PACKET:
		break;
	}
	pkt->flags |= PACKET_NO_INSPECT;
	return false;
}
