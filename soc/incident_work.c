/* SPDX-License-Identifier: BSD-3-Clause */
/* What people do with incidents. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "incident_private.h"

/* What stands in a history must be text, and not a book. */
static bool readable(const char *text, size_t max)
{
	if (!text || strlen(text) > max)
		return false;
	json_t *json = json_string(text); /* NULL when it is no UTF-8 */
	json_decref(json);
	return json != NULL;
}

static bool may_work(const struct incident *incident, const char *who)
{
	return incident->state != INCIDENT_MERGED && readable(who, 128) && *who;
}

int incident_comment(struct incident *incident, const char *who, const char *role, const char *text, int64_t now)
{
	if (!may_work(incident, who) || !readable(role, 32) || !readable(text, INCIDENT_TEXT_MAX) || !*text)
		return -EINVAL;
	incident_line(incident, now, "comment", who, text, text, json_pack("{s:s}", "role", role));
	return 0;
}

int incident_move(struct incident *incident, const char *who, enum incident_state state, const char *reason,
		  int64_t now)
{
	if (!may_work(incident, who) || !readable(reason ? reason : "", INCIDENT_TEXT_MAX))
		return -EINVAL;
	if ((unsigned)state >= INCIDENT_MERGED || state == incident->state)
		return -EINVAL;
	if (state == INCIDENT_FALSE_POSITIVE && (!reason || !*reason))
		return -EINVAL; /* who looks at it in a year must see why */
	incident_line(
		incident, now, "state", who, reason ? reason : "", reason ? reason : "",
		json_pack("{s:s,s:s}", "from", incident_state_name(incident->state), "to", incident_state_name(state)));
	incident->state = state;
	incident->moved = incident_ms(now);
	return 0;
}

int incident_assign(struct incident *incident, const char *who, const char *assignee, int64_t now)
{
	char en[128], ja[160];
	if (!may_work(incident, who) || !readable(assignee, sizeof(incident->assignee) - 1))
		return -EINVAL;
	if (strcmp(incident->assignee, assignee) == 0)
		return -EINVAL;
	memcpy(incident->assignee, assignee, strlen(assignee) + 1);
	snprintf(en, sizeof(en), *assignee ? "Assigned to %s." : "Assigned to nobody.%s", assignee);
	snprintf(ja, sizeof(ja), *assignee ? "担当: %s" : "担当者なし%s", assignee);
	incident_line(incident, now, "assigned", who, en, ja, json_pack("{s:s}", "assignee", assignee));
	return 0;
}

int incident_rate(struct incident *incident, const char *who, enum severity severity, const char *reason, int64_t now)
{
	enum severity from = incident->severity;
	if (!may_work(incident, who) || !readable(reason, INCIDENT_TEXT_MAX) || !*reason)
		return -EINVAL;
	if (severity <= SEVERITY_NONE || severity >= SEVERITIES || severity == from)
		return -EINVAL;
	incident_line(incident, now, "severity_set", who, reason, reason,
		      json_pack("{s:s,s:s}", "from", severity_name(from), "to", severity_name(severity)));
	if (severity >= SEVERITY_CRITICAL && from < SEVERITY_CRITICAL)
		incident->clock_high = incident_ms(now);
	incident->severity = severity;
	incident->rated = true;
	return 0;
}
