/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "matcher.h"

/* From signatures found to the packet's matches: in the language's order, past thresholds, under the rules of precedence. */

/* Copied: the buffer that it stands in may be another's when the record is written. */
static void context_add(struct sigs_matcher *m, const struct capture *capture)
{
	if (m->context_count == CONTEXTS_MAX)
		return;
	uint8_t *copy = matcher_scratch(m, capture->len);
	if (copy == NULL)
		return;
	memcpy(copy, capture->data, capture->len);
	m->contexts[m->context_count++] = (struct sigs_context){
		.name = m->ruleset->parsed.names[NAME_PKTVAR][capture->name],
		.value = {.data = copy, .len = capture->len},
	};
}

void alert_add(struct sigs_matcher *m, uint32_t num, uint8_t flags, const struct app_tx *tx,
	       const struct app_file *file)
{
	if (m->profile)
		m->profile[num].matches++;
	if (m->alert_count == ALERT_QUEUE_MAX) {
		m->alert_overflow++;
		return;
	}
	struct alert *alert = &m->alerts[m->alert_count++];
	*alert = (struct alert){.num = num, .flags = flags, .tx = tx, .tx_id = tx ? tx->id : 0, .file = file};
	alert->context_first = (uint16_t)m->context_count;
	for (unsigned i = 0; i < m->capture_count; i++)
		if (m->captures[i].scope == CAPTURE_ALERT)
			context_add(m, &m->captures[i]);
	alert->context_count = (uint16_t)(m->context_count - alert->context_first);
}

void post_match(struct sigs_matcher *m, const struct signature *sig, const struct app_tx *tx)
{
	for (unsigned i = 0; i < m->capture_count; i++) {
		const struct capture *capture = &m->captures[i];
		if (capture->scope == CAPTURE_FLOW)
			flow_var_set(m, capture->name, capture->data, capture->len);
		else if (capture->scope == CAPTURE_PACKET)
			packet_var_set(m, capture->name, capture->data, capture->len);
	}
	for (unsigned i = 0; i < sig->post_count; i++) {
		if (sig->post[i].type == MATCH_BITS)
			bits_change(m, &sig->post[i], tx);
		else if (sig->post[i].type == MATCH_FLOWINT)
			flowint_change(m, &sig->post[i].flowint);
	}
}

static int alert_compare(const void *a, const void *b)
{
	const struct alert *x = a, *y = b;
	if (x->num != y->num)
		return x->num < y->num ? -1 : 1;
	bool tx_x = x->flags & ALERT_TX, tx_y = y->flags & ALERT_TX;
	if (tx_x != tx_y)
		return tx_x ? -1 : 1;
	return x->tx_id > y->tx_id ? -1 : x->tx_id < y->tx_id;
}

static bool is_drop(enum sigs_action action)
{
	return action == SIGS_DROP || action == SIGS_REJECT || action == SIGS_REJECT_DST || action == SIGS_REJECT_BOTH;
}

/* How far a drop or pass reaches: the flow, where the match was of more than this packet. */
static bool holds_for_flow(const struct sig_head *head, uint8_t flags)
{
	if (head->sig->flags & (SIG_SCOPE_PACKET | SIG_SCOPE_FLOW))
		return (head->sig->flags & SIG_SCOPE_FLOW) != 0;
	switch (head->type) {
	case SIG_TYPE_IP_ONLY:
	case SIG_TYPE_LIKE_IP_ONLY:
	case SIG_TYPE_PROTO_DETECT:
	case SIG_TYPE_APP:
	case SIG_TYPE_TX:
		return true;
	case SIG_TYPE_PACKET_STREAM:
	case SIG_TYPE_STREAM:
		return flags & (ALERT_STATE | ALERT_STREAM);
	default:
		return false;
	}
}

static void set_tags(struct sigs_matcher *m, const struct signature *sig)
{
	for (unsigned i = 0; i < sig->post_count; i++)
		if (sig->post[i].type == MATCH_TAG)
			tag_set(m, sig, &sig->post[i].tag);
}

/* What the rule says, or more where the house's policy has it: a signature that may always block does. */
static enum sigs_action action_of(const struct sigs_options *options, const struct sigs_info *info)
{
	bool raise = options->inline_mode && options->raise_alerts && info->block == SIGS_BLOCK_ALWAYS;
	return raise && info->action == SIGS_ALERT ? SIGS_DROP : info->action;
}

static struct sigs_match match_of(const struct sigs_matcher *m, const struct alert *alert)
{
	const struct sig_head *head = &m->ruleset->heads[alert->num];
	return (struct sigs_match){
		.info = &head->sig->info,
		.action = action_of(&m->ruleset->options, &head->sig->info),
		.in_stream = (alert->flags & ALERT_STREAM) != 0,
		.has_tx = (alert->flags & ALERT_TX) != 0,
		.tx_id = alert->tx_id,
		.tx = alert->tx,
		.file = alert->file,
		.context = m->contexts + alert->context_first,
		.context_count = alert->context_count,
	};
}

/* Judges one found signature; false when nothing after it counts. */
static bool settle(struct sigs_matcher *m, const struct alert *alert, bool *dropped)
{
	const struct sig_head *head = &m->ruleset->heads[alert->num];
	const struct signature *sig = head->sig;
	struct sigs_result *result = &m->result;
	struct sigs_match match = match_of(m, alert);
	enum threshold_result verdict = THRESHOLD_ALERT;
	if (sig->thresholds && m->pkt->family != 0)
		verdict = threshold_check(m->thresholds, sig, m->pkt, &match.action, &match.rate_filtered);
	if (verdict == THRESHOLD_NONE) {
		count(m->counters, COUNTER_DETECT_ALERTS_SUPPRESSED);
		return true;
	}
	if (verdict == THRESHOLD_ALERT)
		set_tags(m, sig);
	if (sig->flags & SIG_BYPASS && m->pkt->flow)
		m->pkt->flow->flags |= FLOW_BYPASS;
	match.filtered = verdict == THRESHOLD_SILENT || sig->flags & SIG_NOALERT;
	match.whole_flow = (is_drop(match.action) || match.action == SIGS_PASS) && holds_for_flow(head, alert->flags);
	if (match.action == SIGS_PASS) {
		if (verdict != THRESHOLD_ALERT || *dropped)
			return true;
		result->pass = true;
		result->pass_flow = match.whole_flow;
		match.filtered = !(sig->flags & SIG_PASS_ALERTS);
		if (result->count < SIGS_MATCHES_MAX)
			result->matches[result->count++] = match;
		return false;
	}
	if (verdict == THRESHOLD_SILENT && !is_drop(match.action)) {
		count(m->counters, COUNTER_DETECT_ALERTS_SUPPRESSED);
		return true;
	}
	if (!match.filtered && m->alerts_shown >= m->ruleset->options.alerts_max) {
		result->overflow++;
		count(m->counters, COUNTER_DETECT_ALERT_QUEUE_OVERFLOW);
		if (!is_drop(match.action))
			return true;
		match.filtered = true; /* beyond what is shown, but it acts */
	}
	if (match.filtered && !is_drop(match.action))
		return true;
	*dropped |= is_drop(match.action);
	if (result->count < SIGS_MATCHES_MAX)
		result->matches[result->count++] = match;
	if (!match.filtered)
		m->alerts_shown++;
	return true;
}

void alerts_finish(struct sigs_matcher *m)
{
	bool dropped = false, going = true;
	if (m->alert_count > 1)
		qsort(m->alerts, m->alert_count, sizeof(*m->alerts), alert_compare);
	for (unsigned i = 0; i < m->alert_count && going; i++)
		going = settle(m, &m->alerts[i], &dropped);
	m->result.overflow += m->alert_overflow;
	count_add(m->counters, COUNTER_DETECT_ALERTS, m->alerts_shown);
	m->result.tagged = !(m->pkt->flags & PACKET_FLOW_END) && tag_check(m);
}
