/* SPDX-License-Identifier: BSD-3-Clause */
/* Who owns which evidence, and what each event has added so far. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "incident_private.h"

/* --- keys --- */

static uint64_t hash_key(const struct incidents *incidents, uint32_t customer, const char *text)
{
	return XXH3_64bits_withSeed(text, strlen(text), incidents->seed + customer);
}

static struct incident_key *find_key(struct incidents *incidents, uint32_t customer, const char *text)
{
	uint64_t hash = hash_key(incidents, customer, text);
	struct incident_key *key = incidents->keys[hash % KEY_BUCKETS];
	while (key && (key->hash != hash || key->owner->customer != customer || strcmp(key->text, text) != 0))
		key = key->next_in_bucket;
	return key;
}

struct incident *incident_key_owner(struct incidents *incidents, uint32_t customer, const char *text)
{
	struct incident_key *key = find_key(incidents, customer, text);
	return key ? key->owner : NULL;
}

static void own(struct incident *incident, struct incident_key *key)
{
	key->owner = incident;
	key->next = NULL;
	key->previous = incident->newest_key;
	if (incident->newest_key)
		incident->newest_key->next = key;
	else
		incident->oldest_key = key;
	incident->newest_key = key;
	incident->key_count++;
}

static void disown(struct incident_key *key)
{
	struct incident *owner = key->owner;
	if (key->previous)
		key->previous->next = key->next;
	else
		owner->oldest_key = key->next;
	if (key->next)
		key->next->previous = key->previous;
	else
		owner->newest_key = key->previous;
	owner->key_count--;
}

static void free_key(struct incident_key *key)
{
	struct incident_key **at = &key->owner->owner->keys[key->hash % KEY_BUCKETS];
	while (*at != key)
		at = &(*at)->next_in_bucket;
	*at = key->next_in_bucket;
	disown(key);
	free(key);
}

static void bound_keys(struct incident *incident)
{
	while (incident->key_count > INCIDENT_KEYS_MAX)
		free_key(incident->oldest_key);
}

int incident_claim(struct incident *incident, const char *text, bool weak, int64_t now)
{
	struct incidents *incidents = incident->owner;
	struct incident_key *key = find_key(incidents, incident->customer, text);
	if (key && key->owner == incident)
		return 0;
	if (key) {
		if (weak && incident_live(key->owner, now) && key->owner->severity >= incident->severity)
			return 0;
		incident_mark(key->owner);
		disown(key);
	} else {
		size_t len = strlen(text) + 1;
		key = malloc(sizeof(*key) + len);
		if (!key)
			return -ENOMEM;
		memcpy(key->text, text, len);
		key->hash = hash_key(incidents, incident->customer, text);
		key->next_in_bucket = incidents->keys[key->hash % KEY_BUCKETS];
		incidents->keys[key->hash % KEY_BUCKETS] = key;
	}
	own(incident, key);
	bound_keys(incident);
	incident_mark(incident);
	return 0;
}

void incident_keys_move(struct incident *into, struct incident *from)
{
	while (from->oldest_key) {
		struct incident_key *key = from->oldest_key;
		disown(key);
		own(into, key);
	}
	bound_keys(into);
}

void incident_keys_free(struct incident *incident)
{
	while (incident->oldest_key)
		free_key(incident->oldest_key);
}

/* --- events --- */

/* What an event keeps from its first record on, also when it was read back from the store. */
uint64_t incident_mark_of(const struct incidents *incidents, const struct event *event)
{
	uint64_t hash = hash_key(incidents, event->customer, event->class);
	struct {
		struct address source;
		int64_t received;
		uint64_t class;
	} name = {event->source, event->received / 1000, hash};
	return XXH3_64bits_withSeed(&name, sizeof(name), incidents->seed);
}

void incident_ref_follow(struct incident_ref *ref)
{
	while (ref->incident && ref->incident->into)
		ref->incident = ref->incident->into;
}

struct incident_ref *incident_ref_find(struct incidents *incidents, const struct event *event)
{
	uint64_t mark = incident_mark_of(incidents, event);
	struct incident_ref *ref = incidents->refs[mark % REF_BUCKETS];
	while (ref && ref->mark != mark)
		ref = ref->next_in_bucket;
	if (ref)
		incident_ref_follow(ref);
	return ref;
}

void incident_ref_drop(struct incidents *incidents, struct incident_ref *ref)
{
	struct incident_ref **at = &incidents->refs[ref->mark % REF_BUCKETS];
	while (*at != ref)
		at = &(*at)->next_in_bucket;
	*at = ref->next_in_bucket;
	if (ref->newer)
		ref->newer->older = ref->older;
	else
		incidents->newest_ref = ref->older;
	if (ref->older)
		ref->older->newer = ref->newer;
	else
		incidents->oldest_ref = ref->newer;
	incidents->ref_count--;
	free(ref);
}

struct incident_ref *incident_ref_new(struct incidents *incidents, const struct event *event)
{
	struct incident_ref *ref = calloc(1, sizeof(*ref));
	if (!ref)
		return NULL;
	if (incidents->ref_count >= INCIDENT_REFS_MAX)
		incident_ref_drop(incidents, incidents->oldest_ref);
	ref->mark = incident_mark_of(incidents, event);
	ref->next_in_bucket = incidents->refs[ref->mark % REF_BUCKETS];
	incidents->refs[ref->mark % REF_BUCKETS] = ref;
	ref->older = incidents->newest_ref;
	if (incidents->newest_ref)
		incidents->newest_ref->newer = ref;
	else
		incidents->oldest_ref = ref;
	incidents->newest_ref = ref;
	incidents->ref_count++;
	return ref;
}

void incident_refs_free(struct incidents *incidents)
{
	while (incidents->oldest_ref)
		incident_ref_drop(incidents, incidents->oldest_ref);
}
