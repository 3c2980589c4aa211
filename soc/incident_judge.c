/* SPDX-License-Identifier: BSD-3-Clause */
/* Which incident an event belongs to, and what it adds there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "incident_private.h"

#define OWNERS_MAX (2 * TRIAGE_KEYS + 1)

struct judgement {
	struct incidents *incidents;
	struct event *event;
	const struct assets *assets;
	const struct decision *decision;
	struct incident_ref *ref; /* NULL: the event is new */
	int64_t now;
	int64_t clock; /* since when people should know */
	bool shared;   /* by all events of a rule, and so about no host */
	char *title_en, *title_ja, *why_en, *why_ja, *measures_en, *measures_ja;
};

/* --- which incident --- */

static bool is_shared(const struct decision *decision)
{
	for (unsigned i = 0; i < decision->key_count; i++)
		if (strncmp(decision->keys[i], "rule:", 5) != 0)
			return false;
	return true;
}

static unsigned add_owner(struct incident **owners, unsigned count, struct incident *owner, int64_t now)
{
	if (!owner || !incident_live(owner, now))
		return count;
	for (unsigned i = 0; i < count; i++)
		if (owners[i] == owner)
			return count;
	owners[count] = owner;
	return count + 1;
}

static bool has_rule(const struct incident *incident, const char *rule)
{
	size_t i;
	json_t *item;
	json_array_foreach(incident->rules, i, item) if (strcmp(json_string_value(item), rule) == 0) return true;
	return false;
}

/* A person has said of such evidence that it means nothing: for as long as evidence would have joined. */
static struct incident *dismissed(const struct judgement *j)
{
	for (unsigned i = 0; i < j->decision->key_count; i++) {
		struct incident *owner = incident_key_owner(j->incidents, j->event->customer, j->decision->keys[i]);
		if (owner && owner->state == INCIDENT_FALSE_POSITIVE &&
		    j->now - owner->moved <= j->incidents->config.quiet && j->decision->severity <= owner->severity &&
		    has_rule(owner, j->decision->rule))
			return owner;
	}
	return NULL;
}

static struct incident *create(const struct judgement *j)
{
	struct incident *incident = incident_new(j->incidents, j->event->customer);
	if (!incident)
		return NULL;
	incident->severity = j->decision->severity;
	incident->opened = incident->active = incident_ms(j->now);
	incident->first = incident_ms(j->event->first);
	incident->last = incident_ms(j->event->last);
	incident->clock_low = incident->clock_high = incident_ms(j->clock);
	incident_title(incident, j->decision->rule, j->title_en, j->title_ja);
	incident_line(incident, j->now, "opened", "", j->why_en, j->why_ja,
		      json_pack("{s:s,s:s}", "rule", j->decision->rule, "severity", severity_name(incident->severity)));
	return incident;
}

/* The event leaves an incident of background: it has become something of its own. */
static void leave(struct judgement *j, struct incident *incident)
{
	incident->record_count -= j->ref->count < incident->record_count ? j->ref->count : incident->record_count;
	incident->blocked -= j->ref->blocked < incident->blocked ? j->ref->blocked : incident->blocked;
	incident->event_count -= incident->event_count > 0;
	incident_mark(incident);
	incident_ref_drop(j->incidents, j->ref);
	j->ref = NULL;
}

static struct incident *merge_owners(struct incident **owners, unsigned count, int64_t now)
{
	unsigned oldest = 0;
	for (unsigned i = 1; i < count; i++)
		if (incident_before(owners[i], owners[oldest]))
			oldest = i;
	for (unsigned i = 0; i < count; i++)
		if (i != oldest)
			incident_absorb(owners[oldest], owners[i], "", now);
	return owners[oldest];
}

/* NULL: a new one is needed. *stays: it takes no evidence from this event any more. */
static struct incident *choose(struct judgement *j, bool *stays)
{
	struct incident *current = j->ref ? j->ref->incident : NULL, *owners[OWNERS_MAX];
	const struct decision *decision = j->decision;
	unsigned count = 0;
	*stays = false;
	if (j->ref && (!current || !incident_open(current)) && decision->severity <= j->ref->severity) {
		*stays = true;
		return current;
	}
	if (current && incident_live(current, j->now)) {
		if (j->shared && !j->ref->shared)
			return current; /* what has once been more than background stays so */
		if (j->shared == j->ref->shared)
			count = add_owner(owners, count, current, j->now);
	}
	/* an event that is background keeps its incident: its rule may have changed, but not what it is */
	for (unsigned i = 0; i < decision->key_count && !(j->shared && count); i++)
		count = add_owner(owners, count,
				  incident_key_owner(j->incidents, j->event->customer, decision->keys[i]), j->now);
	for (unsigned i = 0; i < decision->lookup_count; i++)
		count = add_owner(owners, count,
				  incident_key_owner(j->incidents, j->event->customer, decision->lookups[i]), j->now);
	if (count == 0) {
		current = dismissed(j);
		*stays = current != NULL;
		return current;
	}
	return merge_owners(owners, count, j->now);
}

/* --- what it adds --- */

static void raise_to(const struct judgement *j, struct incident *incident, enum severity severity, const char *by,
		     const char *title_en, const char *title_ja, const char *why_en, const char *why_ja)
{
	if (severity <= incident->severity)
		return;
	incident_raise(incident, severity, j->clock, j->now, why_en, why_ja);
	incident_title(incident, by, title_en, title_ja);
}

static void check_chain(const struct judgement *j, struct incident *incident, struct incident_host *host,
			const struct triage_chain *chain, enum severity known)
{
	char id[64];
	if ((host->stages & chain->stages) != chain->stages || (host->passed & chain->passed) != chain->passed)
		return;
	if (chain->infected &&
	    (host->role != ROLE_INFECTED || incident_hosts_in(incident, ROLE_INFECTED) < chain->infected))
		return;
	snprintf(id, sizeof(id), "chain:%s", chain->id);
	bool news = chain->severity > known, raises = chain->severity > incident->severity;
	if (has_rule(incident, id) && !(news && raises))
		return;
	char *title_en = triage_fill(chain->title.en, j->event, j->assets, &host->address);
	char *title_ja = triage_fill(chain->title.ja, j->event, j->assets, &host->address);
	char *why_en = triage_fill(chain->why.en, j->event, j->assets, &host->address);
	char *why_ja = triage_fill(chain->why.ja, j->event, j->assets, &host->address);
	if (title_en && title_ja && why_en && why_ja) {
		char *en = triage_fill(chain->measures.en, j->event, j->assets, &host->address);
		char *ja = triage_fill(chain->measures.ja, j->event, j->assets, &host->address);
		incident_measures(incident, en, ja);
		free(en);
		free(ja);
		incident_array_add(incident->rules, id, INCIDENT_REASONS_MAX);
		incident_reason(incident, id, chain->severity, 0, why_en, why_ja);
		if (raises && (!incident->rated || news))
			raise_to(j, incident, chain->severity, id, title_en, title_ja, why_en, why_ja);
		else
			incident_evidence_line(incident, j->now, "chain", why_en, why_ja, NULL);
	}
	if (chain->severity > host->chain)
		host->chain = (uint8_t)chain->severity;
	free(title_en);
	free(title_ja);
	free(why_en);
	free(why_ja);
}

static void host_rises(const struct judgement *j, struct incident *incident, const struct incident_host *host)
{
	static const char *const en[ROLES] = {"", "", "%s was taken over or reached", "%s must be taken as infected"};
	static const char *const ja[ROLES] = {"", "", "%s が侵害または到達されました", "%s は感染していると見られます"};
	char address[ADDRESS_TEXT_MAX], text_en[128], text_ja[160];
	address_text(&host->address, address);
/* the two formats stand just above */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text_en, sizeof(text_en), en[host->role], address);
	snprintf(text_ja, sizeof(text_ja), ja[host->role], address);
#pragma GCC diagnostic pop
	incident_evidence_line(incident, j->now, "host_joined", text_en, text_ja,
			       json_pack("{s:s,s:s,s:s}", "host", address, "role", incident_role_name(host->role),
					 "name", host->name));
}

/* Puts a host into its part. True: evidence that was not known, or worse than what was. */
static bool place(const struct judgement *j, struct incident *incident, const struct address *address,
		  enum incident_role role, int stage, bool passed)
{
	const struct event *event = j->event;
	bool is_new, news = false;
	struct incident_host *host = incident_host(incident, address, j->assets, &is_new);
	if (!host)
		return false;
	enum incident_role before = is_new ? ROLE_ATTACKER : host->role;
	if (is_new) {
		host->role = role;
		host->first = incident_ms(event->first);
		host->last = incident_ms(event->last);
	}
	if (role > host->role)
		host->role = role;
	if (event->first < host->first)
		host->first = incident_ms(event->first);
	if (event->last > host->last)
		host->last = incident_ms(event->last);
	if (stage >= 0) {
		host->stages |= 1u << stage;
		host->passed |= passed ? 1u << stage : 0;
		news = j->decision->severity > host->severity[stage];
		if (news)
			host->severity[stage] = (uint8_t)j->decision->severity;
	}
	if (host->role > before && host->role >= ROLE_VICTIM && !j->shared)
		host_rises(j, incident, host);
	if (stage >= 0 && !j->shared) {
		enum severity known = host->chain;
		for (unsigned i = 0; i < j->incidents->rules->chain_count; i++)
			check_chain(j, incident, host, &j->incidents->rules->chains[i], known);
	}
	return news;
}

static enum incident_role role_of(enum stage stage, bool befell)
{
	switch (stage) {
	case STAGE_SUCCESS:
	case STAGE_DELIVERY:
		return befell ? ROLE_VICTIM : ROLE_TARGET;
	case STAGE_CALLBACK:
	case STAGE_SPREAD:
		return ROLE_INFECTED;
	default:
		return ROLE_TARGET;
	}
}

static uint64_t passed_at(const struct event_target *target)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < OUTCOMES; i++)
		sum += target->passed[i];
	return sum;
}

/* An event is about its source: it is infected, or fetched something, or breaks a rule. */
static bool place_source(const struct judgement *j, struct incident *incident)
{
	const struct event *event = j->event;
	enum stage stage = j->decision->stage;
	bool passed = event_any_passed(event);
	enum incident_role role = stage == STAGE_RECON ? ROLE_ATTACKER : role_of(stage, passed);
	for (unsigned i = 0; i < event->target_count; i++) {
		const struct event_target *target = &event->targets[i];
		bool inside = assets_inside(j->assets, &target->address);
		if (inside && (stage == STAGE_SPREAD || stage == STAGE_RECON))
			place(j, incident, &target->address, ROLE_TARGET,
			      stage == STAGE_SPREAD ? STAGE_ATTEMPT : STAGE_RECON, passed_at(target) > 0);
		else if (!inside && (stage == STAGE_CALLBACK || stage == STAGE_DELIVERY || stage == STAGE_SUCCESS))
			place(j, incident, &target->address, ROLE_ATTACKER, -1, false);
	}
	return place(j, incident, &event->source, role, (int)stage, passed);
}

static bool proves(const struct event *event, const struct event_target *target)
{
	uint64_t any = event->passed[OUTCOME_SUCCESS] + event->passed[OUTCOME_INFECTION];
	return any == 0 || target->passed[OUTCOME_SUCCESS] + target->passed[OUTCOME_INFECTION] > 0;
}

static bool place_targets(const struct judgement *j, struct incident *incident)
{
	const struct event *event = j->event;
	bool news = false;
	if (!address_none(&event->source))
		place(j, incident, &event->source, ROLE_ATTACKER, -1, false);
	for (unsigned i = 0; i < event->target_count; i++) {
		const struct event_target *target = &event->targets[i];
		enum stage stage = j->decision->stage;
		bool passed = passed_at(target) > 0;
		if (!assets_inside(j->assets, &target->address))
			continue;
		if (stage == STAGE_SUCCESS && !(passed && proves(event, target)))
			stage = STAGE_ATTEMPT;
		news |= place(j, incident, &target->address, role_of(stage, passed), (int)stage, passed);
	}
	return news;
}

static void claim(const struct judgement *j, struct incident *incident, int *error)
{
	char key[ADDRESS_TEXT_MAX + 8], address[ADDRESS_TEXT_MAX];
	for (unsigned i = 0; i < j->decision->key_count; i++)
		if (incident_claim(incident, j->decision->keys[i], false, j->now) != 0)
			*error = -ENOMEM;
	for (unsigned i = 0; j->decision->hits_targets && i < j->event->target_count; i++) {
		if (!assets_inside(j->assets, &j->event->targets[i].address))
			continue;
		snprintf(key, sizeof(key), "hit:%s", address_text(&j->event->targets[i].address, address));
		if (incident_claim(incident, key, true, j->now) != 0)
			*error = -ENOMEM;
	}
}

static void add_signatures(struct incident *incident, const struct event *event)
{
	for (unsigned i = 0; i < event->signature_count; i++) {
		const struct event_signature *signature = &event->signatures[i];
		size_t at;
		json_t *item;
		bool known = json_array_size(incident->signatures) >= INCIDENT_SIGNATURES_MAX;
		json_array_foreach(incident->signatures, at, item) known |=
			json_integer_value(json_object_get(item, "id")) == (json_int_t)signature->id;
		if (known)
			continue;
		char message[RECORD_MESSAGE_MAX];
		memcpy(message, signature->message, sizeof(message));
		message[sizeof(message) - 1] = '\0';
		json_array_append_new(incident->signatures, json_pack("{s:I,s:s}", "id", (json_int_t)signature->id,
								      "message", triage_clean(message)));
	}
}

static void name_event(const struct judgement *j, struct incident *incident)
{
	if (j->ref->named || !j->event->id)
		return;
	j->ref->named = true;
	json_array_append_new(incident->events, json_integer((json_int_t)j->event->id));
	if (json_array_size(incident->events) > INCIDENT_EVENTS_MAX)
		json_array_remove(incident->events, 0);
	if (!j->shared)
		incident_evidence_line(
			incident, j->now, "event_joined", j->why_en, j->why_ja,
			json_pack("{s:I,s:s}", "event", (json_int_t)j->event->id, "rule", j->decision->rule));
}

/* What the event has more than when it was counted last. */
static int count(struct judgement *j, struct incident *incident)
{
	const struct event *event = j->event;
	if (!j->ref) {
		j->ref = incident_ref_new(j->incidents, event);
		if (!j->ref)
			return -ENOMEM;
	}
	if (j->ref->incident != incident) {
		j->ref->incident = incident;
		j->ref->named = false;
		incident->event_count++;
	}
	if (event->count > j->ref->count)
		incident->record_count += event->count - j->ref->count;
	if (event->verdicts[VERDICT_BLOCKED] > j->ref->blocked)
		incident->blocked += event->verdicts[VERDICT_BLOCKED] - j->ref->blocked;
	j->ref->count = event->count;
	j->ref->blocked = event->verdicts[VERDICT_BLOCKED];
	if (event->first < incident->first)
		incident->first = incident_ms(event->first);
	if (event->last > incident->last)
		incident->last = incident_ms(event->last);
	j->event->incident = incident->id;
	return 0;
}

static void tell(const struct judgement *j, struct incident *incident, bool news)
{
	const struct decision *decision = j->decision;
	const char *by = json_string_value(json_object_get(incident->title, "by"));
	if (by && strcmp(by, decision->rule) == 0)
		incident_title(incident, by, j->title_en, j->title_ja);
	incident_array_add(incident->rules, decision->rule, INCIDENT_REASONS_MAX);
	incident_reason(incident, decision->rule, decision->severity, j->event->count, j->why_en, j->why_ja);
	incident_measures(incident, j->measures_en, j->measures_ja);
	if (!incident->rated || news)
		raise_to(j, incident, decision->severity, decision->rule, j->title_en, j->title_ja, j->why_en,
			 j->why_ja);
	add_signatures(incident, j->event);
	snprintf(incident->rules_version, sizeof(incident->rules_version), "%s",
		 triage_rules_version(j->incidents->rules));
}

static bool say(struct judgement *j)
{
	const struct decision *d = j->decision;
	j->title_en = triage_fill(d->title_en, j->event, j->assets, NULL);
	j->title_ja = triage_fill(d->title_ja, j->event, j->assets, NULL);
	j->why_en = triage_fill(d->why_en, j->event, j->assets, NULL);
	j->why_ja = triage_fill(d->why_ja, j->event, j->assets, NULL);
	j->measures_en = triage_fill(d->measures_en, j->event, j->assets, NULL);
	j->measures_ja = triage_fill(d->measures_ja, j->event, j->assets, NULL);
	return j->title_en && j->title_ja && j->why_en && j->why_ja && j->measures_en && j->measures_ja;
}

static void unsay(struct judgement *j)
{
	free(j->title_en);
	free(j->title_ja);
	free(j->why_en);
	free(j->why_ja);
	free(j->measures_en);
	free(j->measures_ja);
}

static struct incident *join(struct judgement *j, int *error)
{
	bool stays;
	struct incident *incident = choose(j, &stays);
	if (j->ref)
		incident_ref_follow(j->ref); /* what it belonged to may just have been merged */
	if (stays) {
		if (incident && count(j, incident) == 0)
			incident_mark(incident);
		return incident;
	}
	if (!incident)
		incident = create(j);
	if (!incident) {
		*error = -ENOMEM;
		return NULL;
	}
	if (j->ref && j->ref->incident && j->ref->incident != incident && j->ref->shared && !j->shared)
		leave(j, j->ref->incident);
	if (count(j, incident) != 0)
		*error = -ENOMEM;
	if (!j->ref)
		return incident;
	claim(j, incident, error);
	incident_touch(incident, j->now);
	bool news = j->decision->about_source ? place_source(j, incident) : place_targets(j, incident);
	tell(j, incident, news);
	name_event(j, incident);
	j->ref->severity = j->decision->severity;
	j->ref->shared = j->shared;
	return incident;
}

/* The incident of this id, or the one that it was merged into. */
static struct incident *find_heir(struct incidents *incidents, uint64_t id)
{
	struct incident *incident = incidents_find(incidents, id);
	size_t at;
	json_t *merged;
	if (incident)
		return incident;
	for (incident = incidents->newest; incident; incident = incident->older)
		json_array_foreach(incident->merged_from, at,
				   merged) if ((uint64_t)json_integer_value(merged) == id) return incident;
	return NULL;
}

/* An event that was judged before this table was made has been counted. */
static struct incident_ref *recall(struct incidents *incidents, const struct event *event,
				   const struct decision *decision)
{
	struct incident_ref *ref = incident_ref_find(incidents, event);
	if (ref || event->incident == 0)
		return ref;
	ref = incident_ref_new(incidents, event);
	if (!ref)
		return NULL;
	ref->incident = find_heir(incidents, event->incident);
	ref->count = event->count;
	ref->blocked = event->verdicts[VERDICT_BLOCKED];
	ref->severity = decision->severity;
	ref->shared = is_shared(decision);
	ref->named = true;
	return ref;
}

void incidents_recall(struct incidents *incidents, const struct event *event, const struct assets *assets)
{
	struct decision decision;
	triage_decide(incidents->rules, event, assets, &decision);
	recall(incidents, event, &decision);
}

struct incident *incidents_judge(struct incidents *incidents, struct event *event, const struct assets *assets,
				 int64_t now, int *error)
{
	struct decision decision;
	struct incident *incident = NULL;
	*error = 0;
	triage_decide(incidents->rules, event, assets, &decision);
	struct judgement j = {incidents, event, assets, &decision, recall(incidents, event, &decision), now};
	/* what an event becomes later it becomes now; a new one's first record may have waited */
	j.clock = j.ref ? now : event->received;
	j.shared = is_shared(&decision);
	if (decision.severity != SEVERITY_NONE) {
		if (say(&j))
			incident = join(&j, error);
		else
			*error = -ENOMEM;
		unsay(&j);
	} else if (j.ref && j.ref->incident) {
		incident = j.ref->incident;
		count(&j, incident);
		incident_mark(incident);
	}
	if (event->closed && *error == 0 && (j.ref = incident_ref_find(incidents, event)) != NULL)
		incident_ref_drop(incidents, j.ref);
	return incident;
}

struct incident *incidents_raise(struct incidents *incidents, uint32_t customer, const char *key,
				 enum severity severity, const char *title_en, const char *title_ja, const char *why_en,
				 const char *why_ja, int64_t now, int *error)
{
	struct incident *incident = incident_key_owner(incidents, customer, key);
	char id[80];
	*error = 0;
	snprintf(id, sizeof(id), "raise:%.60s", key);
	if (!incident || !incident_live(incident, now)) {
		incident = incident_new(incidents, customer);
		if (!incident) {
			*error = -ENOMEM;
			return NULL;
		}
		incident->severity = severity;
		incident->opened = incident->first = incident->last = incident_ms(now);
		incident->clock_low = incident->clock_high = incident_ms(now);
		incident_title(incident, id, title_en, title_ja);
		incident_line(incident, now, "opened", "", why_en, why_ja,
			      json_pack("{s:s}", "severity", severity_name(severity)));
	}
	incident->last = incident_ms(now);
	incident_touch(incident, now);
	if (incident_claim(incident, key, false, now) != 0)
		*error = -ENOMEM;
	incident_reason(incident, id, severity, 0, why_en, why_ja);
	if (severity > incident->severity && !incident->rated) {
		incident_raise(incident, severity, now, now, why_en, why_ja);
		incident_title(incident, id, title_en, title_ja);
	}
	return incident;
}

struct incident *incidents_raised(struct incidents *incidents, uint32_t customer, const char *key)
{
	return incident_key_owner(incidents, customer, key);
}
