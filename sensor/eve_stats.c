/* SPDX-License-Identifier: BSD-3-Clause */
/* stats records, and those about the sensor itself. */
#include "eve_stats.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "eve.h"

static void put_drop_reasons(struct json *j, const struct counters *counters)
{
	json_object(j, "drop_reason");
	for (unsigned r = 1; r < DROP_REASON_COUNT; r++) {
		char key[64];
		snprintf(key, sizeof(key), "%s", drop_reason_name((enum drop_reason)r));
		for (char *c = key; *c; c++)
			if (*c == ' ')
				*c = '_';
		json_uint(j, key, counters->drop[r]);
	}
	json_close(j);
}

static void put_rule_counts(struct json *j, const struct sigs_counts *rules)
{
	json_array(j, "engines");
	json_object(j, NULL);
	json_uint(j, "id", 0);
	json_uint(j, "rules_loaded", rules->loaded);
	json_uint(j, "rules_waiting", rules->waiting);
	json_uint(j, "rules_failed", rules->failed);
	json_uint(j, "rules_skipped", rules->skipped);
	json_close(j);
	json_close(j);
}

struct counter_writer {
	struct json *json;
	const struct counters *counters;
	const struct sigs_counts *rules;
	const struct stats_live *live; /* NULL: a replay */
	bool done[COUNTER_COUNT];
};

/* What the kernel or the NIC kept from the workers. */
static void put_capture(struct json *j, const struct io_port_stats *ports)
{
	json_uint(j, "kernel_packets", ports->rx_packets + ports->missed);
	json_uint(j, "kernel_drops", ports->missed);
	json_uint(j, "bypassed", ports->bypassed);
	json_uint(j, "kernel_refused", ports->refused);
}

/* All counters below a prefix ("tcp.", "defrag.ipv4."), each further dot an object of its own. Names are ours, so the
 * recursion is as deep as they are. */
static void put_counters(struct counter_writer *w, const char *prefix)
{
	size_t len = strlen(prefix);
	for (unsigned i = 0; i < COUNTER_COUNT; i++) {
		const char *name = counter_name((enum counter)i);
		if (w->done[i] || strncmp(name, prefix, len) != 0)
			continue;
		const char *dot = strchr(name + len, '.');
		if (!dot) {
			json_uint(w->json, name + len, w->counters->value[i]);
			w->done[i] = true;
			continue;
		}
		char below[64], section[64];
		snprintf(below, sizeof(below), "%.*s", (int)(dot - name) + 1, name);
		snprintf(section, sizeof(section), "%.*s", (int)(dot - name - (ptrdiff_t)len), name + len);
		json_object(w->json, section);
		put_counters(w, below);
		if (strcmp(below, "ips.") == 0)
			put_drop_reasons(w->json, w->counters);
		else if (strcmp(below, "detect.") == 0)
			put_rule_counts(w->json, w->rules);
		else if (strcmp(below, "capture.") == 0 && w->live)
			put_capture(w->json, &w->live->account->all_ports);
		json_close(w->json);
	}
}

static void put_event_class(struct json *j, const struct counters *counters, enum event_class class, const char *name)
{
	json_object(j, name);
	for (unsigned e = 0; e < EVENT_COUNT; e++)
		if (event_class_of((enum event)e) == class && counters->event[e])
			json_uint(j, event_name((enum event)e), counters->event[e]);
	json_close(j);
}

/* --- the jsig object --------------------------------------------------------------------------------------------------- */

static void put_packets(struct json *j, const struct stats_live *live)
{
	const struct worker_tally *t = &live->account->tally;
	const struct io_port_stats *ports = &live->account->all_ports;
	json_object(j, "packets");
	json_uint(j, "received", t->received + ports->bypassed + ports->refused);
	json_uint(j, "forwarded", t->forwarded);
	json_uint(j, "bypassed", t->bypassed + ports->bypassed);
	json_uint(j, "dropped", t->dropped + ports->refused);
	json_uint(j, "held", t->held);
	json_bool(j, "balanced", live->balanced);
	json_close(j);
}

static void put_records(struct json *j, const struct stats_live *live)
{
	json_object(j, "records");
	json_uint(j, "written", live->account->records.written);
	json_uint(j, "lost", live->journal.lost);
	json_uint(j, "too_big", live->account->records.too_big);
	json_uint(j, "bytes", live->journal.bytes);
	json_uint(j, "rotations", live->journal.rotations);
	if (live->journal.error)
		json_string(j, "error", strerror(-live->journal.error));
	json_close(j);
}

static void put_ports(struct json *j, const struct account *account)
{
	json_array(j, "ports");
	for (unsigned i = 0; i < account->port_count; i++) {
		const struct io_port_stats *port = &account->ports[i];
		json_object(j, NULL);
		json_string(j, "name", port->name);
		json_bool(j, "up", port->up);
		json_uint(j, "rx_packets", port->rx_packets);
		json_uint(j, "tx_packets", port->tx_packets);
		json_uint(j, "missed", port->missed);
		json_uint(j, "bypassed", port->bypassed);
		json_uint(j, "refused", port->refused);
		json_close(j);
	}
	json_close(j);
}

static void put_overload(struct json *j, const struct overload_state *s)
{
	json_object(j, "overload");
	json_uint(j, "step", s->step);
	json_uint(j, "steps_up", s->steps_up);
	json_uint(j, "steps_down", s->steps_down);
	json_uint(j, "flows_uninspected", s->flows);
	json_number(j, "busy", (double)s->busy_permille / 1000);
	json_number(j, "backlog", (double)s->backlog_permille / 1000);
	json_close(j);
}

static void put_live(struct json *j, const struct stats_live *live)
{
	json_object(j, "jsig");
	json_uint(j, "workers", live->workers);
	if (live->late)
		json_uint(j, "workers_late", live->late);
	put_packets(j, live);
	put_records(j, live);
	put_ports(j, live->account);
	put_overload(j, &live->account->overload);
	json_object(j, "rules");
	json_uint(j, "edition", live->edition);
	json_uint(j, "reloads", live->reloads);
	json_uint(j, "reloads_refused", live->reloads_refused);
	json_close(j);
	json_close(j);
}

void record_stats(struct records *records, uint64_t now_ns, uint64_t uptime_s, const struct counters *counters,
		  const struct sigs_counts *rules, const struct stats_live *live)
{
	struct json *j = &records->json;
	if (!records->on[RECORD_STATS])
		return;
	json_begin(j);
	json_time(j, "timestamp", now_ns);
	json_string(j, "event_type", "stats");
	json_object(j, "stats");
	json_uint(j, "uptime", uptime_s);
	struct counter_writer writer = {.json = j, .counters = counters, .rules = rules, .live = live};
	put_counters(&writer, "");
	json_object(j, "events");
	put_event_class(j, counters, EVENT_CLASS_DECODE, "decode");
	put_event_class(j, counters, EVENT_CLASS_STREAM, "stream");
	put_event_class(j, counters, EVENT_CLASS_APPLAYER, "applayer");
	json_close(j);
	json_close(j);
	if (live)
		put_live(j, live);
	eve_end(records);
}

/* --- what befalls the sensor itself -------------------------------------------------------------------------------------- */

struct json *record_sensor_begin(struct records *records, const char *event)
{
	struct json *j = &records->json;
	struct timespec t;
	if (!records->on[RECORD_ANOMALY])
		return NULL;
	clock_gettime(CLOCK_REALTIME, &t);
	json_begin(j);
	json_time(j, "timestamp", (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec);
	json_string(j, "event_type", "anomaly");
	json_object(j, "anomaly");
	json_string(j, "type", "sensor");
	json_string(j, "event", event);
	json_close(j);
	json_object(j, "jsig");
	return j;
}

void record_sensor_end(struct records *records)
{
	json_close(&records->json);
	eve_end(records);
}
