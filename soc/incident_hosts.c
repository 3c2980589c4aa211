/* SPDX-License-Identifier: BSD-3-Clause */
/* The hosts of an incident: named up to a limit, beyond it estimated by linear counting. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "incident_private.h"

static const char *const role_names[ROLES] = {"attacker", "target", "victim", "infected"};

const char *incident_role_name(enum incident_role role)
{
	return (unsigned)role < ROLES ? role_names[role] : "?";
}

int incident_role_of(const char *name)
{
	for (int i = 0; i < ROLES; i++)
		if (strcmp(role_names[i], name) == 0)
			return i;
	return -1;
}

static void sketch_add(uint8_t *sketch, const struct address *address)
{
	/* a seed of its own: the estimate is stored */
	uint64_t bit = XXH3_64bits(address, sizeof(*address)) % (INCIDENT_SKETCH_BYTES * 8);
	sketch[bit / 8] |= (uint8_t)(1u << (bit % 8));
}

/* Counts a host that cannot be named. */
static void count_host(struct incident *incident, const struct address *address)
{
	if (!incident->sketch) {
		incident->sketch = calloc(1, INCIDENT_SKETCH_BYTES);
		for (unsigned i = 0; incident->sketch && i < incident->host_count; i++)
			sketch_add(incident->sketch, &incident->hosts[i].address);
	}
	if (incident->sketch)
		sketch_add(incident->sketch, address);
}

uint64_t incident_host_count(const struct incident *incident)
{
	unsigned bits = INCIDENT_SKETCH_BYTES * 8, zero = 0;
	if (!incident->sketch)
		return incident->host_count;
	for (unsigned i = 0; i < INCIDENT_SKETCH_BYTES; i++)
		zero += 8 - (unsigned)__builtin_popcount(incident->sketch[i]);
	uint64_t estimate = (uint64_t)(bits * log((double)bits / (zero ? zero : 1)) + 0.5);
	return estimate > incident->host_count ? estimate : incident->host_count;
}

static struct incident_host *find_host(const struct incident *incident, const struct address *address)
{
	for (unsigned i = 0; i < incident->host_count; i++)
		if (address_equal(&incident->hosts[i].address, address))
			return &incident->hosts[i];
	return NULL;
}

static struct incident_host *add_host(struct incident *incident)
{
	if (incident->host_count == incident->host_room) {
		unsigned room = incident->host_room ? incident->host_room * 2 : 4;
		struct incident_host *hosts = reallocarray(incident->hosts, room, sizeof(*hosts));
		if (!hosts)
			return NULL;
		incident->hosts = hosts;
		incident->host_room = room;
	}
	struct incident_host *host = &incident->hosts[incident->host_count++];
	memset(host, 0, sizeof(*host));
	return host;
}

struct incident_host *incident_host(struct incident *incident, const struct address *address,
				    const struct assets *assets, bool *is_new)
{
	struct incident_host *host = find_host(incident, address);
	*is_new = false;
	if (host)
		return host;
	host = incident->host_count < INCIDENT_HOSTS_MAX ? add_host(incident) : NULL;
	if (!host) {
		count_host(incident, address);
		return NULL;
	}
	const struct asset *asset = assets_find(assets, address);
	host->address = *address;
	snprintf(host->name, sizeof(host->name), "%s", asset ? asset->name : "");
	triage_clean(host->name);
	*is_new = true;
	return host;
}

unsigned incident_hosts_in(const struct incident *incident, enum incident_role role)
{
	unsigned count = 0;
	for (unsigned i = 0; i < incident->host_count; i++)
		count += incident->hosts[i].role == role;
	return count;
}

static void join_hosts(struct incident_host *host, const struct incident_host *other)
{
	if (other->role > host->role)
		host->role = other->role;
	host->stages |= other->stages;
	host->passed |= other->passed;
	for (unsigned s = 0; s < STAGES; s++)
		if (other->severity[s] > host->severity[s])
			host->severity[s] = other->severity[s];
	if (other->chain > host->chain)
		host->chain = other->chain;
	if (other->first < host->first)
		host->first = other->first;
	if (other->last > host->last)
		host->last = other->last;
	if (!host->name[0])
		memcpy(host->name, other->name, sizeof(host->name));
}

int incident_hosts_move(struct incident *into, const struct incident *from)
{
	for (unsigned i = 0; i < from->host_count; i++) {
		struct incident_host *host = find_host(into, &from->hosts[i].address);
		if (host) {
			join_hosts(host, &from->hosts[i]);
			continue;
		}
		host = into->host_count < INCIDENT_HOSTS_MAX ? add_host(into) : NULL;
		if (host)
			*host = from->hosts[i];
		else
			count_host(into, &from->hosts[i].address);
	}
	if (from->sketch && !into->sketch) {
		into->sketch = calloc(1, INCIDENT_SKETCH_BYTES);
		for (unsigned i = 0; into->sketch && i < into->host_count; i++)
			sketch_add(into->sketch, &into->hosts[i].address);
	}
	for (unsigned i = 0; from->sketch && into->sketch && i < INCIDENT_SKETCH_BYTES; i++)
		into->sketch[i] |= from->sketch[i];
	return 0;
}
