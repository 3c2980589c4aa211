/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The names of events, drop reasons and counters, and an event by its name.
 */
#include <string.h>

#include <dataplane/counters.h>
#include <dataplane/packet.h>

static const char *const event_names[EVENT_COUNT] = {
#define X(id, class, name) [EVENT_##id] = name,
	EVENT_LIST(X)
#undef X
};

static const uint8_t event_classes[EVENT_COUNT] = {
#define X(id, class, name) [EVENT_##id] = EVENT_CLASS_##class,
	EVENT_LIST(X)
#undef X
};

static const char *const drop_reason_names[DROP_REASON_COUNT] = {[DROP_NONE] = "none",
#define X(id, name) [DROP_##id] = name,
								 DROP_REASONS(X)
#undef X
};

static const char *const counter_names[COUNTER_COUNT] = {
#define X(id, name) [COUNTER_##id] = name,
	COUNTER_LIST(X)
#undef X
};

/*
 * Events by the hash of their name: open addressing, filled before main and read-only from then on. Four times as many
 * slots as events keep a look-up at one or two comparisons.
 */
#define EVENT_SLOTS 1024
_Static_assert(EVENT_SLOTS >= 4 * EVENT_COUNT, "raise EVENT_SLOTS");

static int16_t event_slots[EVENT_SLOTS]; /* event + 1; 0 is empty */

static uint32_t event_hash(enum event_class class, const char *name)
{
	uint32_t h = 2166136261u ^ (uint32_t) class; /* FNV-1a */
	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h ^ h >> 15;
}

__attribute__((constructor)) static void event_slots_fill(void)
{
	for (int i = 0; i < EVENT_COUNT; i++) {
		uint32_t at = event_hash(event_classes[i], event_names[i]) % EVENT_SLOTS;
		while (event_slots[at])
			at = (at + 1) % EVENT_SLOTS;
		event_slots[at] = (int16_t)(i + 1);
	}
}

const char *event_name(enum event event)
{
	return (unsigned)event < EVENT_COUNT ? event_names[event] : "unknown";
}

enum event_class event_class_of(enum event event)
{
	return (unsigned)event < EVENT_COUNT ? (enum event_class)event_classes[event] : EVENT_CLASS_DECODE;
}

int event_find(enum event_class class, const char *name)
{
	uint32_t at = event_hash(class, name) % EVENT_SLOTS;
	for (; event_slots[at]; at = (at + 1) % EVENT_SLOTS) {
		int i = event_slots[at] - 1;
		if (event_classes[i] == class && strcmp(event_names[i], name) == 0)
			return i;
	}
	return -1;
}

const char *drop_reason_name(enum drop_reason reason)
{
	return (unsigned)reason < DROP_REASON_COUNT ? drop_reason_names[reason] : "unknown";
}

const char *counter_name(enum counter id)
{
	return (unsigned)id < COUNTER_COUNT ? counter_names[id] : "unknown";
}

static void drop_one(struct packet *pkt, enum drop_reason reason)
{
	pkt->verdict = VERDICT_DROP;
	if (pkt->drop_reason == DROP_NONE)
		pkt->drop_reason = reason;
}

/* A frame whose inner packet is dropped cannot be forwarded either; for records its own reason is the inner packet's. */
void packet_drop(struct packet *pkt, enum drop_reason reason)
{
	drop_one(pkt, reason);
	if (pkt->root && pkt->root != pkt)
		drop_one(pkt->root, DROP_INNER);
}
