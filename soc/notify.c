/* SPDX-License-Identifier: BSD-3-Clause */
#include "notify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_US 1000000ll
#define MINUTE_US (60 * SECOND_US)
#define HOUR_US	  (60 * MINUTE_US)
#define DAY_MIN	  1440
#define WEEK_MIN  (7 * DAY_MIN)
/* 1970-01-01 was a Thursday, the fourth day from Monday. */
#define EPOCH_DAY 3
#define BUCKETS	  4096
/* Between tries: doubled each time. */
#define RETRY_MIN_US (5 * SECOND_US)
#define RETRY_MAX_US (5 * MINUTE_US)
#define GIVE_UP_US   (24 * HOUR_US)

struct notify {
	struct contact *contacts;
	size_t count, room;
	struct notice *notices[BUCKETS]; /* by incident */
	uint64_t dice;			 /* for jitter: no secret */
};

static const char *const reasons[] = {"opened", "raised", "closed", "escalated"};
static const char *const states[] = {"waiting", "sent", "given_up"};
static const char *const kinds[] = {"mail", "webhook"};

static int word_of(const char *const *words, int count, const char *word)
{
	for (int i = 0; i < count; i++)
		if (word && strcmp(words[i], word) == 0)
			return i;
	return -1;
}

const char *notice_reason_name(int reason)
{
	return reasons[reason];
}

/* --- contacts ------------------------------------------------------------------------------------------------------------ */

static int wrong(char *error, const char *what)
{
	snprintf(error, NOTIFY_ERROR_MAX, "%s", what);
	return -EINVAL;
}

/* Nothing that could end a header or a command. */
static bool printable(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text <= 0x20 || (unsigned char)*text >= 0x7f)
			return false;
	return true;
}

static bool is_mail_address(const char *text)
{
	const char *at = strchr(text, '@');
	return at && at > text && at[1] && !strchr(at + 1, '@') && !strpbrk(text, "<>()[]\\,;:\"") && printable(text);
}

static bool is_url(const char *text)
{
	return (strncmp(text, "https://", 8) == 0 || strncmp(text, "http://", 7) == 0) && printable(text);
}

static bool copy(char *to, size_t size, const json_t *json, const char *name)
{
	const json_t *value = json_object_get(json, name);
	const char *text = json_string_value(value);
	if (!value)
		return true;
	if (!text || strlen(text) >= size || strlen(text) != json_string_length(value))
		return false;
	memcpy(to, text, strlen(text) + 1);
	return true;
}

/* "HH:MM" to minutes, up to 24:00; -1. */
static int clock_minutes(const json_t *value)
{
	const char *text = json_string_value(value);
	int hours, minutes, end = 0;
	if (!text || sscanf(text, "%2d:%2d%n", &hours, &minutes, &end) != 2 || text[end] || hours < 0 || minutes < 0 ||
	    minutes > 59 || hours * 60 + minutes > DAY_MIN)
		return -1;
	return hours * 60 + minutes;
}

/* {"days": ["mon", ...], "from": "09:00", "until": "18:00", "zone": 540} */
static int read_hours(const json_t *hours, struct contact *contact, char *error)
{
	static const char *const names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
	const json_t *zone = json_object_get(hours, "zone");
	size_t i;
	json_t *day;
	if (!hours)
		return 0;
	json_array_foreach(json_object_get(hours, "days"), i, day)
	{
		int n = word_of(names, 7, json_string_value(day));
		if (n < 0)
			return wrong(error, "days of hours are mon, tue, wed, thu, fri, sat, sun");
		contact->days |= 1u << n;
	}
	contact->begin = clock_minutes(json_object_get(hours, "from"));
	contact->end = clock_minutes(json_object_get(hours, "until"));
	contact->zone = (int)json_integer_value(zone);
	if (contact->days == 0 || contact->begin < 0 || contact->end <= contact->begin)
		return wrong(error, "hours need days, and from and until as 09:00 and 18:00 (of one day)");
	if ((zone && !json_is_integer(zone)) || contact->zone < -DAY_MIN || contact->zone > DAY_MIN)
		return wrong(error, "zone is minutes east of UTC: 540 for Japan");
	return 0;
}

int contact_from_json(const json_t *json, struct contact *contact, char error[static NOTIFY_ERROR_MAX])
{
	const json_t *after = json_object_get(json, "after_minutes");
	const char *language = json_string_value(json_object_get(json, "language"));
	int kind = word_of(kinds, CONTACT_KINDS, json_string_value(json_object_get(json, "kind")));
	const char *severity = json_string_value(json_object_get(json, "severity"));
	int least = severity ? severity_of(severity) : SEVERITY_CRITICAL;
	memset(contact, 0, sizeof(*contact));
	if (!copy(contact->name, sizeof(contact->name), json, "name") || !contact->name[0])
		return wrong(error, "a contact needs a name, of up to 63 bytes");
	if (kind < 0)
		return wrong(error, "a contact's kind is mail or webhook");
	if (!copy(contact->address, sizeof(contact->address), json, "address") ||
	    !(kind == CONTACT_MAIL ? is_mail_address(contact->address) : is_url(contact->address)))
		return wrong(error, "address is one mail address, or the http(s) URL of a webhook");
	if (!copy(contact->secret, sizeof(contact->secret), json, "secret"))
		return wrong(error, "secret is a text of up to 63 bytes");
	if (least <= SEVERITY_NONE)
		return wrong(error, "severity is informational, warning, critical or emergency");
	if (language && strcmp(language, "en") != 0 && strcmp(language, "ja") != 0)
		return wrong(error, "language is en or ja");
	if (after && (!json_is_integer(after) || json_integer_value(after) < 0 || json_integer_value(after) > DAY_MIN))
		return wrong(error, "after_minutes is a number up to 1440");
	contact->kind = (enum contact_kind)kind;
	contact->severity = (enum severity)least;
	contact->japanese = language && strcmp(language, "ja") == 0;
	contact->after = json_integer_value(after) * MINUTE_US;
	return read_hours(json_object_get(json, "hours"), contact, error);
}

json_t *contact_to_json(const struct contact *c, bool secret)
{
	static const char *const names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
	char begin[16], end[16];
	json_t *json = json_pack("{s:s,s:s,s:s,s:s,s:s,s:I}", "name", c->name, "kind", kinds[c->kind], "address",
				 c->address, "severity", severity_name(c->severity), "language",
				 c->japanese ? "ja" : "en", "after_minutes", (json_int_t)(c->after / MINUTE_US));
	if (json && secret && c->secret[0])
		json_object_set_new(json, "secret", json_string(c->secret));
	if (json && c->days) {
		json_t *days = json_array();
		for (int i = 0; i < 7; i++)
			if (c->days & 1u << i)
				json_array_append_new(days, json_string(names[i]));
		snprintf(begin, sizeof(begin), "%02d:%02d", c->begin / 60, c->begin % 60);
		snprintf(end, sizeof(end), "%02d:%02d", c->end / 60, c->end % 60);
		json_object_set_new(
			json, "hours",
			json_pack("{s:o,s:s,s:s,s:i}", "days", days, "from", begin, "until", end, "zone", c->zone));
	}
	return json;
}

int64_t contact_hours(const struct contact *c, int64_t now)
{
	if (!c->days)
		return now;
	int64_t local = now / MINUTE_US + c->zone, day = local / DAY_MIN, best = INT64_MAX;
	for (int64_t d = day; d <= day + 7; d++) {
		if (!(c->days & 1u << ((d + EPOCH_DAY) % 7)))
			continue;
		int64_t begin = d * DAY_MIN + c->begin, end = d * DAY_MIN + c->end;
		if (local >= begin && local < end)
			return now;
		if (begin > local && begin < best)
			best = begin;
	}
	return (best - c->zone) * MINUTE_US;
}

/* --- notices as documents -------------------------------------------------------------------------------------------------- */

json_t *notice_to_json(const struct notice *n)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:i,s:s}", "id", (json_int_t)n->id, "incident",
			 (json_int_t)n->incident, "contact", (json_int_t)n->contact, "customer",
			 (json_int_t)n->customer, "severity", severity_name(n->severity), "reason", reasons[n->reason],
			 "state", states[n->state], "clock", (json_int_t)n->clock, "made", (json_int_t)n->made, "due",
			 (json_int_t)n->due, "sent", (json_int_t)n->sent, "tries", (int)n->tries, "error", n->error);
}

static bool number(const json_t *json, const char *name, json_int_t *value)
{
	const json_t *member = json_object_get(json, name);
	*value = json_integer_value(member);
	return json_is_integer(member) && *value >= 0;
}

int notice_from_json(const json_t *json, struct notice *n)
{
	json_int_t id, incident, contact, customer, clock, made, due, sent, tries;
	const char *severity = json_string_value(json_object_get(json, "severity"));
	int reason = word_of(reasons, 4, json_string_value(json_object_get(json, "reason")));
	int state = word_of(states, 3, json_string_value(json_object_get(json, "state")));
	memset(n, 0, sizeof(*n));
	if (!number(json, "id", &id) || !number(json, "incident", &incident) || !number(json, "contact", &contact) ||
	    !number(json, "customer", &customer) || !number(json, "clock", &clock) || !number(json, "made", &made) ||
	    !number(json, "due", &due) || !number(json, "sent", &sent) || !number(json, "tries", &tries) ||
	    reason < 0 || state < 0 || !severity || severity_of(severity) < 0)
		return -EINVAL;
	*n = (struct notice){.id = (uint64_t)id,
			     .incident = (uint64_t)incident,
			     .contact = (uint64_t)contact,
			     .customer = (uint32_t)customer,
			     .severity = (enum severity)severity_of(severity),
			     .clock = clock,
			     .made = made,
			     .due = due,
			     .sent = sent,
			     .tries = (unsigned)tries};
	n->reason = reason;
	n->state = state;
	return copy(n->error, sizeof(n->error), json, "error") ? 0 : -EINVAL;
}

/* --- what there is --------------------------------------------------------------------------------------------------------- */

struct notify *notify_new(void)
{
	struct notify *notify = calloc(1, sizeof(*notify));
	if (notify)
		notify->dice = (uint64_t)(uintptr_t)notify | 1;
	return notify;
}

static struct notice **bucket_of(struct notify *notify, uint64_t incident)
{
	return &notify->notices[incident % BUCKETS];
}

void notify_free(struct notify *notify)
{
	if (!notify)
		return;
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct notice *n = notify->notices[i], *next; n; n = next) {
			next = n->next;
			free(n);
		}
	free(notify->contacts);
	free(notify);
}

void notify_forget_contacts(struct notify *notify)
{
	notify->count = 0;
}

int notify_add_contact(struct notify *notify, const struct contact *contact)
{
	if (notify->count == notify->room) {
		size_t room = notify->room ? 2 * notify->room : 16;
		struct contact *all = reallocarray(notify->contacts, room, sizeof(*all));
		if (!all)
			return -ENOMEM;
		notify->contacts = all;
		notify->room = room;
	}
	notify->contacts[notify->count++] = *contact;
	return 0;
}

const struct contact *notify_contact(const struct notify *notify, uint64_t id)
{
	for (size_t i = 0; i < notify->count; i++)
		if (notify->contacts[i].id == id)
			return &notify->contacts[i];
	return NULL;
}

static struct notice *link_notice(struct notify *notify, const struct notice *notice)
{
	struct notice **bucket = bucket_of(notify, notice->incident), *copied = malloc(sizeof(*copied));
	if (!copied)
		return NULL;
	*copied = *notice;
	copied->flying = false;
	copied->next = *bucket;
	*bucket = copied;
	return copied;
}

int notify_restore(struct notify *notify, const struct notice *notice)
{
	return link_notice(notify, notice) ? 0 : -ENOMEM;
}

void notify_drop(struct notify *notify, uint64_t incident)
{
	for (struct notice **at = bucket_of(notify, incident); *at;) {
		struct notice *n = *at;
		/* what still waits is still told */
		if (n->incident != incident || n->state == NOTICE_WAITS) {
			at = &n->next;
			continue;
		}
		*at = n->next;
		free(n);
	}
}

/* --- what is to be told ---------------------------------------------------------------------------------------------------- */

/* What a contact knows of an incident. */
struct told {
	enum severity severity; /* SEVERITY_NONE: nothing */
	bool closed;
	struct notice *waiting; /* that is not being sent yet */
	unsigned in_hour;
	int64_t oldest_in_hour;
};

static struct told what_was_told(struct notify *notify, uint64_t incident, uint64_t contact, int64_t now)
{
	struct told told = {0};
	int64_t newest = -1;
	for (struct notice *n = *bucket_of(notify, incident); n; n = n->next) {
		if (n->incident != incident || n->contact != contact)
			continue;
		if (n->severity > told.severity)
			told.severity = n->severity;
		if (n->made > newest) {
			newest = n->made;
			told.closed = n->reason == NOTICE_CLOSED;
		}
		if (n->state == NOTICE_WAITS && !n->flying)
			told.waiting = n;
		if (n->made > now - HOUR_US) {
			told.in_hour++;
			if (!told.oldest_in_hour || n->made < told.oldest_in_hour)
				told.oldest_in_hour = n->made;
		}
	}
	return told;
}

/* Which notice the contact is due, or -1. */
static int reason_for(const struct contact *c, const struct notify_incident *i, const struct told *told, int64_t now,
		      int64_t *later)
{
	if (i->over)
		return told->severity != SEVERITY_NONE && !told->closed ? NOTICE_CLOSED : -1;
	if (i->severity < c->severity)
		return -1;
	if (told->severity != SEVERITY_NONE)
		return i->severity > told->severity ? NOTICE_RAISED : -1;
	if (c->after == 0)
		return NOTICE_OPENED;
	if (i->acknowledged || i->severity < SEVERITY_CRITICAL)
		return -1;
	if (now >= i->clock + c->after)
		return NOTICE_ESCALATED;
	if (*later == 0 || i->clock + c->after < *later)
		*later = i->clock + c->after;
	return -1;
}

static int tell(struct notify *notify, const struct contact *c, const struct notify_incident *i, int reason,
		const struct told *told, int64_t now, int (*put)(void *context, struct notice *notice), void *context)
{
	struct notice fresh = {.incident = i->id,
			       .contact = c->id,
			       .customer = i->customer,
			       .severity = i->severity,
			       .clock = i->clock,
			       .made = now,
			       .due = now};
	fresh.reason = reason;
	if (i->severity < SEVERITY_EMERGENCY)
		fresh.due = contact_hours(c, now);
	/* an Emergency that was not told as one is told whatever was told before */
	bool worst = i->severity == SEVERITY_EMERGENCY && told->severity < SEVERITY_EMERGENCY && !i->over;
	if (told->in_hour >= NOTIFY_PER_HOUR && !worst && told->oldest_in_hour + HOUR_US > fresh.due)
		fresh.due = told->oldest_in_hour + HOUR_US;
	if (told->waiting) { /* one that has not gone yet says it all */
		struct notice *n = told->waiting;
		n->severity = i->severity > n->severity ? i->severity : n->severity;
		n->reason = n->reason == NOTICE_OPENED && reason == NOTICE_RAISED ? NOTICE_OPENED : reason;
		n->due = fresh.due < n->due ? fresh.due : n->due;
		return put(context, n);
	}
	int rc = put(context, &fresh);
	return rc ? rc : link_notice(notify, &fresh) ? 0 : -ENOMEM;
}

int notify_consider(struct notify *notify, const struct notify_incident *incident, int64_t now, int64_t *later,
		    int (*put)(void *context, struct notice *notice), void *context)
{
	*later = 0;
	for (size_t i = 0; i < notify->count; i++) {
		const struct contact *c = &notify->contacts[i];
		if (c->customer != 0 && c->customer != incident->customer)
			continue;
		struct told told = what_was_told(notify, incident->id, c->id, now);
		int reason = reason_for(c, incident, &told, now, later);
		int rc = reason < 0 ? 0 : tell(notify, c, incident, reason, &told, now, put, context);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* --- what is due ----------------------------------------------------------------------------------------------------------- */

/* A receiver that hangs keeps no more senders than these. */
#define FLYING_MAX 2

static bool may_fly(const struct notify *notify, uint64_t contact)
{
	unsigned flying = 0;
	for (unsigned i = 0; i < BUCKETS; i++)
		for (const struct notice *n = notify->notices[i]; n; n = n->next)
			flying += n->flying && n->contact == contact;
	return flying < FLYING_MAX;
}

static struct notice *first_due(const struct notify *notify, int64_t now)
{
	struct notice *first = NULL;
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct notice *n = notify->notices[i]; n; n = n->next)
			if (n->state == NOTICE_WAITS && !n->flying && n->due <= now &&
			    (!first || n->severity > first->severity ||
			     (n->severity == first->severity && n->due < first->due)) &&
			    may_fly(notify, n->contact))
				first = n;
	return first;
}

struct notice *notify_due(struct notify *notify, int64_t now)
{
	struct notice *n = first_due(notify, now);
	if (n)
		n->flying = true;
	return n;
}

bool notify_any_due(const struct notify *notify, int64_t now)
{
	return first_due(notify, now) != NULL;
}

static int64_t jitter(struct notify *notify, int64_t most)
{
	notify->dice ^= notify->dice << 13;
	notify->dice ^= notify->dice >> 7;
	notify->dice ^= notify->dice << 17;
	return (int64_t)(notify->dice % (uint64_t)(most + 1));
}

static struct notice *find(struct notify *notify, uint64_t id)
{
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct notice *n = notify->notices[i]; n; n = n->next)
			if (n->id == id)
				return n;
	return NULL;
}

struct notice *notify_done(struct notify *notify, uint64_t id, int rc, const char *why, int64_t now)
{
	struct notice *n = find(notify, id);
	if (!n)
		return NULL;
	n->flying = false;
	n->tries++;
	snprintf(n->error, sizeof(n->error), "%s", rc == 0 ? "" : why);
	if (rc == 0) {
		n->state = NOTICE_SENT;
		n->sent = now;
	} else if (rc == -EPERM || now - n->made > GIVE_UP_US) {
		n->state = NOTICE_GIVEN_UP;
	} else {
		int64_t wait = RETRY_MIN_US << (n->tries < 7 ? n->tries - 1 : 6);
		wait = wait < RETRY_MAX_US ? wait : RETRY_MAX_US;
		n->due = now + wait / 2 + jitter(notify, wait / 2);
	}
	return n;
}
