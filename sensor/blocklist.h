/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Addresses and prefixes that nothing may come from or go to, each until a time. The main thread changes the list; every worker
 * looks it up, without a lock: changes are made in a copy, which takes the place of the list at once.
 */

#include <stdbool.h>
#include <stdint.h>

#include <dataplane/packet.h>

/* Entries at a time; one more is refused. */
#define BLOCKLIST_MAX 8192
#define BLOCKLIST_WHY 64

struct block {
	union packet_addr addr; /* the bits after the prefix are zero */
	uint8_t family;		/* 4 or 6 */
	uint8_t len;		/* of the prefix */
	uint64_t until_s;	/* since the epoch; 0: until it is taken off */
	char why[BLOCKLIST_WHY];
};

struct blocklist;

/* NULL and errno on failure. */
struct blocklist *blocklist_new(void);
void blocklist_free(struct blocklist *list); /* NULL is allowed */

/* Reads "192.0.2.1", "192.0.2.0/24", "2001:db8::/32". False when it is none. */
bool block_parse(const char *text, struct block *block);
/* As text: room for an IPv6 address and its length. */
#define BLOCK_TEXT_MAX 64
void block_text(const struct block *block, char text[static BLOCK_TEXT_MAX]);

/* --- the main thread; what was changed holds from blocklist_publish on ---------------------------------------------------- */

/* Adds, or gives another time to, an entry. 0 or -ENOSPC. */
int blocklist_add(struct blocklist *list, const struct block *block);
/* False when it was not there. */
bool blocklist_remove(struct blocklist *list, const struct block *block);
/* Takes off what is over; whether there was any. */
bool blocklist_expire(struct blocklist *list, uint64_t now_s);
/* All entries, in no order; valid until the next change. */
const struct block *blocklist_entries(const struct blocklist *list, unsigned *count);
/* Puts the changes in force. No worker may still look at what was in force before the last call: it has begun a burst since. */
void blocklist_publish(struct blocklist *list);

/* --- any thread ------------------------------------------------------------------------------------------------------------ */

bool blocklist_has(const struct blocklist *list, const union packet_addr *addr, uint8_t family);
/* Whether any entry is in force. */
bool blocklist_any(const struct blocklist *list);
