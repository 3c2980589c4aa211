/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Telling people of incidents: who is to be told what and when (notify.c: memory only, the writer's thread), in which words
 * (notify_text.c: pure), and by which way (notify_send.c: threads of its own). What is to be told is a document in the store, of one
 * transaction with the change that it tells of; so it is told also when the SOC is killed meanwhile. A mail may come twice then
 * (with the same Message-ID), when the kill hits between the server's answer and the store.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "record.h"

#define NOTIFY_ADDRESS_MAX 256
#define NOTIFY_NAME_MAX	   64
#define NOTIFY_ERROR_MAX   256
/* The promise: so long after the SOC had the first record, an Emergency or Critical incident is told. */
#define NOTIFY_PROMISE_US (15 * 60 * 1000000ll)
/* Of one incident to one contact in an hour; changes beyond wait, and come as one. */
#define NOTIFY_PER_HOUR 4

enum contact_kind { CONTACT_MAIL = 0, CONTACT_WEBHOOK, CONTACT_KINDS };

/* Who is told. */
struct contact {
	uint64_t id;
	uint32_t customer; /* 0: the SOC's own people, for all customers */
	char name[NOTIFY_NAME_MAX];
	enum contact_kind kind;
	char address[NOTIFY_ADDRESS_MAX]; /* of mail; a URL */
	char secret[NOTIFY_NAME_MAX];	  /* of a webhook: its HMAC's key */
	enum severity severity;		  /* at least */
	bool japanese;
	/* Escalation: told only when nobody has acknowledged an Emergency or Critical for so long; 0: at once. */
	int64_t after; /* microseconds */
	/* Hours of the week in which less than an Emergency is told: bits of days from Monday, minutes from midnight, in a zone so many
	 * minutes east of UTC. All 0: always. */
	unsigned days;
	int begin, end, zone;
};

/* 0, or -EINVAL with a message for people. `id` and `customer` are not read. */
int contact_from_json(const json_t *json, struct contact *contact, char error[static NOTIFY_ERROR_MAX]);
/* A new reference; the secret only where it is asked for. */
json_t *contact_to_json(const struct contact *contact, bool secret);
/* The first moment from `now` on that is within a contact's hours. */
int64_t contact_hours(const struct contact *contact, int64_t now);

/* Something that is to be told, or was. */
struct notice {
	uint64_t id, incident, contact;
	uint32_t customer;
	enum severity severity; /* that it tells of */
	enum { NOTICE_OPENED = 0, NOTICE_RAISED, NOTICE_CLOSED, NOTICE_ESCALATED } reason;
	enum { NOTICE_WAITS = 0, NOTICE_SENT, NOTICE_GIVEN_UP } state;
	int64_t clock; /* of the incident */
	int64_t made, due, sent;
	unsigned tries;
	char error[128];
	bool flying; /* somebody sends it now; not stored */
	struct notice *next;
};

json_t *notice_to_json(const struct notice *notice);
int notice_from_json(const json_t *json, struct notice *notice);
const char *notice_reason_name(int reason);

struct notify;

struct notify *notify_new(void);
void notify_free(struct notify *notify);
/* Who there is, all anew. 0 or -ENOMEM. */
void notify_forget_contacts(struct notify *notify);
int notify_add_contact(struct notify *notify, const struct contact *contact);
const struct contact *notify_contact(const struct notify *notify, uint64_t id);
/* A notice of the store: it counts for what was told, and is told if it waits. 0 or -ENOMEM. */
int notify_restore(struct notify *notify, const struct notice *notice);

/* What an incident is now. */
struct notify_incident {
	uint64_t id;
	uint32_t customer;
	enum severity severity;
	bool acknowledged, over;
	int64_t clock;
};

/* Makes the notices that an incident's state asks for now; each is given to `put`, which gives it an id and stores it: 0 or -errno. Called when an
 * incident changed, and now and then, for escalation. *later: when to ask again at the latest; 0: never. */
int notify_consider(struct notify *notify, const struct notify_incident *incident, int64_t now, int64_t *later,
		    int (*put)(void *context, struct notice *notice), void *context);
/* The next notice that is due and is not being sent; it is flying then. NULL: none. */
struct notice *notify_due(struct notify *notify, int64_t now);
/* Whether one is due, or will be; for waking up. */
bool notify_any_due(const struct notify *notify, int64_t now);
/* What became of it: stored by the caller afterwards. `rc` 0: sent. -EPERM: never will be. NULL: there is no such notice. */
struct notice *notify_done(struct notify *notify, uint64_t id, int rc, const char *why, int64_t now);
/* An incident is over and forgotten. */
void notify_drop(struct notify *notify, uint64_t incident);

/* --- words (notify_text.c); malloc'd, NULL: out of memory --- */

/* A whole mail: RFC 5322, 2045, 2047. `incident` as the API has it; `from` is an address, `soc` a host name for Message-IDs. */
char *notify_mail(const struct notice *notice, const struct contact *contact, const json_t *incident, const char *from,
		  const char *soc, int64_t now);
/* A webhook's body. */
char *notify_json(const struct notice *notice, const struct contact *contact, const json_t *incident, int64_t now);

/* --- ways (notify_send.c) --- */

struct sender_config {
	const char *server; /* "smtp://HOST:PORT" or "smtps://..."; NULL or "": mail cannot be sent */
	const char *from, *user, *password;
	bool starttls;	    /* demanded */
	unsigned timeout_s; /* of one try */
	unsigned threads;   /* so many receivers may hang */
	/* What became of it, on a sender's thread: as notify_done. */
	void (*done)(void *user, uint64_t notice, int rc, const char *why);
	void *context;
};

struct sender;

/* NULL when memory or threads are short. */
struct sender *sender_open(const struct sender_config *config);
/* Takes `text` (of notify_mail or notify_json), whatever it returns: 0, or -EAGAIN: too many wait, and `done` is not called. */
int sender_send(struct sender *sender, const struct contact *contact, uint64_t notice, char *text);
/* Ends what is being sent; `done` is called for all. */
void sender_close(struct sender *sender);
