/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether the devices are well: what they say of themselves, and their silence. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "soc_inside.h"

#define SECOND_US 1000000ll
#define HOUR_US	  (3600 * SECOND_US)
/* Three health reports did not come. */
#define SILENCE_US (30 * SECOND_US)

static int64_t monotonic_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND_US + t.tv_nsec / 1000;
}

/* By number, up to date. NULL when memory is short. With the lock. */
static struct watched *watched_of(struct soc *soc, uint32_t device)
{
	if (device >= soc->watched_room) {
		uint32_t room = device + 64;
		struct watched *all = reallocarray(soc->watched, room, sizeof(*all));
		if (!all)
			return NULL;
		memset(all + soc->watched_room, 0, (room - soc->watched_room) * sizeof(*all));
		soc->watched = all;
		soc->watched_room = room;
	}
	return &soc->watched[device];
}

void soc_heard(struct soc *soc, const struct device *device)
{
	pthread_mutex_lock(&soc->watch_lock);
	struct watched *w = watched_of(soc, device->id);
	if (w)
		w->heard = monotonic_us();
	pthread_mutex_unlock(&soc->watch_lock);
}

int64_t soc_silence(struct soc *soc, uint32_t device)
{
	int64_t since = -1;
	pthread_mutex_lock(&soc->watch_lock);
	if (device < soc->watched_room && soc->watched[device].heard)
		since = monotonic_us() - soc->watched[device].heard;
	pthread_mutex_unlock(&soc->watch_lock);
	return since;
}

int soc_put_health(struct soc *soc, const struct device *device, json_t *report)
{
	/* one a device and hour: the id is both */
	const struct document d = {.kind = DOCUMENT_HEALTH,
				   .id = (uint64_t)(soc->now / HOUR_US) << 24 | (device->id & 0xffffff),
				   .customer = device->customer,
				   .parent = device->id,
				   .time = soc->now};
	return soc_put(soc, &d, json_incref(report));
}

static int raise_silence(struct soc *soc, const struct device *device)
{
	char key[64], title_en[160], title_ja[200], why_en[200], why_ja[240];
	int error;
	snprintf(key, sizeof(key), "device:%u:silent", device->id);
	snprintf(title_en, sizeof(title_en), "The sensor %s is silent", device->name);
	snprintf(title_ja, sizeof(title_ja), "センサー %s からの通信が途絶えています", device->name);
	snprintf(why_en, sizeof(why_en),
		 "%s has sent nothing for 30 seconds: whether traffic is inspected is not known.", device->name);
	snprintf(why_ja, sizeof(why_ja), "%s から 30 秒間受信がありません。通信が検査されているか確認できません。",
		 device->name);
	incidents_raise(soc->incidents, device->customer, key, SEVERITY_CRITICAL, title_en, title_ja, why_en, why_ja,
			soc->now, &error);
	return error;
}

static void end_silence(struct soc *soc, const struct device *device)
{
	char key[64];
	snprintf(key, sizeof(key), "device:%u:silent", device->id);
	struct incident *incident = incidents_raised(soc->incidents, device->customer, key);
	if (incident && incident_state(incident) < INCIDENT_CLOSED)
		incident_move(incident, "sekisho-soc", INCIDENT_CLOSED,
			      "The sensor sends again; what it had kept arrives in order.", soc->now);
}

enum condition { CONDITION_UNKNOWN, CONDITION_WELL, CONDITION_SILENT };

/* One that never spoke since the SOC began has its start as the last word; one that was enrolled and is yet to be set up has
 * nothing to say. */
static enum condition condition_of(const struct soc *soc, const struct watched *w)
{
	int64_t silence = monotonic_us() - (w->heard ? w->heard : soc->watch_began);
	if (silence <= SILENCE_US)
		return w->heard ? CONDITION_WELL : CONDITION_UNKNOWN;
	return w->heard || w->expected ? CONDITION_SILENT : CONDITION_UNKNOWN;
}

static int watch_device(void *context, const struct device *device)
{
	struct soc *soc = context;
	enum condition condition = CONDITION_UNKNOWN;
	int rc = 0;
	pthread_mutex_lock(&soc->watch_lock);
	struct watched *w = device->revoked ? NULL : watched_of(soc, device->id);
	if (w && (condition = condition_of(soc, w)) == w->told)
		condition = CONDITION_UNKNOWN;
	else if (w && condition != CONDITION_UNKNOWN)
		w->told = condition;
	pthread_mutex_unlock(&soc->watch_lock);
	if (condition == CONDITION_SILENT)
		rc = raise_silence(soc, device);
	else if (condition == CONDITION_WELL)
		end_silence(soc, device);
	return rc;
}

static int found(void *context, const struct document *document)
{
	(void)document;
	*(bool *)context = true;
	return 0;
}

static int expect_device(void *context, const struct device *device)
{
	struct soc *soc = context;
	const struct document_query any = {.kind = DOCUMENT_HEALTH, .parent = device->id, .state = -1, .limit = 1};
	bool spoke = false;
	int rc = soc->store->ops->documents(soc->store, &any, found, &spoke);
	struct watched *w = spoke ? watched_of(soc, device->id) : NULL;
	if (w)
		w->expected = true;
	return rc;
}

int soc_watch_begin(struct soc *soc)
{
	soc->watch_began = monotonic_us();
	return directory_devices(soc->directory, 0, expect_device, soc);
}

void soc_watch_end(struct soc *soc)
{
	pthread_mutex_destroy(&soc->watch_lock);
	free(soc->watched);
}

void soc_watch(struct soc *soc)
{
	int64_t now = monotonic_us();
	if (now - soc->watch_looked < SECOND_US)
		return;
	soc->watch_looked = now;
	directory_devices(soc->directory, 0, watch_device, soc);
}
