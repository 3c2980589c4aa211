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
	jw_object(j, "drop_reason");
	for (unsigned r = 1; r < DROP_REASON_COUNT; r++) {
		char key[64];
		snprintf(key, sizeof(key), "%s", drop_reason_name((enum drop_reason)r));
		for (char *c = key; *c; c++)
			if (*c == ' ')
				*c = '_';
		jw_uint(j, key, counters->drop[r]);
	}
	jw_close(j);
}

static void put_rule_counts(struct json *j, const struct sigs_counts *rules)
{
	jw_array(j, "engines");
	jw_object(j, NULL);
	jw_uint(j, "id", 0);
	jw_uint(j, "rules_loaded", rules->loaded);
	jw_uint(j, "rules_waiting", rules->waiting);
	jw_uint(j, "rules_failed", rules->failed);
	jw_uint(j, "rules_skipped", rules->skipped);
	jw_close(j);
	jw_close(j);
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
	jw_uint(j, "kernel_packets", ports->rx_packets + ports->missed);
	jw_uint(j, "kernel_drops", ports->missed);
	jw_uint(j, "bypassed", ports->bypassed);
	jw_uint(j, "kernel_refused", ports->refused);
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
			jw_uint(w->json, name + len, w->counters->value[i]);
			w->done[i] = true;
			continue;
		}
		char below[64], section[64];
		snprintf(below, sizeof(below), "%.*s", (int)(dot - name) + 1, name);
		snprintf(section, sizeof(section), "%.*s", (int)(dot - name - (ptrdiff_t)len), name + len);
		jw_object(w->json, section);
		put_counters(w, below);
		if (strcmp(below, "ips.") == 0)
			put_drop_reasons(w->json, w->counters);
		else if (strcmp(below, "detect.") == 0)
			put_rule_counts(w->json, w->rules);
		else if (strcmp(below, "capture.") == 0 && w->live)
			put_capture(w->json, &w->live->account->all_ports);
		jw_close(w->json);
	}
}

static void put_event_class(struct json *j, const struct counters *counters, enum event_class class, const char *name)
{
	jw_object(j, name);
	for (unsigned e = 0; e < EVENT_COUNT; e++)
		if (event_class_of((enum event)e) == class && counters->event[e])
			jw_uint(j, event_name((enum event)e), counters->event[e]);
	jw_close(j);
}

/* --- the jsig object --------------------------------------------------------------------------------------------------- */

static void put_packets(struct json *j, const struct stats_live *live)
{
	const struct worker_tally *t = &live->account->tally;
	const struct io_port_stats *ports = &live->account->all_ports;
	jw_object(j, "packets");
	jw_uint(j, "received", t->received + ports->bypassed + ports->refused);
	jw_uint(j, "forwarded", t->forwarded);
	jw_uint(j, "bypassed", t->bypassed + ports->bypassed);
	jw_uint(j, "dropped", t->dropped + ports->refused);
	jw_uint(j, "held", t->held);
	jw_bool(j, "balanced", live->balanced);
	jw_close(j);
}

static void put_records(struct json *j, const struct stats_live *live)
{
	jw_object(j, "records");
	jw_uint(j, "written", live->account->records.written);
	jw_uint(j, "lost", live->journal.lost);
	jw_uint(j, "too_big", live->account->records.too_big);
	jw_uint(j, "bytes", live->journal.bytes);
	jw_uint(j, "rotations", live->journal.rotations);
	if (live->journal.error)
		jw_string(j, "error", strerror(-live->journal.error));
	jw_close(j);
}

static void put_ports(struct json *j, const struct account *account)
{
	jw_array(j, "ports");
	for (unsigned i = 0; i < account->port_count; i++) {
		const struct io_port_stats *port = &account->ports[i];
		jw_object(j, NULL);
		jw_string(j, "name", port->name);
		jw_bool(j, "up", port->up);
		jw_uint(j, "rx_packets", port->rx_packets);
		jw_uint(j, "tx_packets", port->tx_packets);
		jw_uint(j, "missed", port->missed);
		jw_uint(j, "bypassed", port->bypassed);
		jw_uint(j, "refused", port->refused);
		jw_close(j);
	}
	jw_close(j);
}

static void put_overload(struct json *j, const struct overload_state *s)
{
	jw_object(j, "overload");
	jw_uint(j, "step", s->step);
	jw_uint(j, "steps_up", s->steps_up);
	jw_uint(j, "steps_down", s->steps_down);
	jw_uint(j, "flows_uninspected", s->flows);
	jw_number(j, "busy", (double)s->busy_permille / 1000);
	jw_number(j, "backlog", (double)s->backlog_permille / 1000);
	jw_close(j);
}

static void put_live(struct json *j, const struct stats_live *live)
{
	jw_object(j, "jsig");
	jw_uint(j, "workers", live->workers);
	if (live->late)
		jw_uint(j, "workers_late", live->late);
	put_packets(j, live);
	put_records(j, live);
	put_ports(j, live->account);
	put_overload(j, &live->account->overload);
	jw_object(j, "rules");
	jw_uint(j, "edition", live->edition);
	jw_uint(j, "reloads", live->reloads);
	jw_uint(j, "reloads_refused", live->reloads_refused);
	jw_close(j);
	jw_close(j);
}

void stats_put(struct json *j, uint64_t uptime_s, const struct counters *counters, const struct sigs_counts *rules,
	       const struct stats_live *live)
{
	jw_object(j, "stats");
	jw_uint(j, "uptime", uptime_s);
	struct counter_writer writer = {.json = j, .counters = counters, .rules = rules, .live = live};
	put_counters(&writer, "");
	jw_object(j, "events");
	put_event_class(j, counters, EVENT_CLASS_DECODE, "decode");
	put_event_class(j, counters, EVENT_CLASS_STREAM, "stream");
	put_event_class(j, counters, EVENT_CLASS_APPLAYER, "applayer");
	jw_close(j);
	jw_close(j);
	if (live)
		put_live(j, live);
}

void record_stats(struct records *records, uint64_t now_ns, uint64_t uptime_s, const struct counters *counters,
		  const struct sigs_counts *rules, const struct stats_live *live)
{
	struct json *j = &records->json;
	if (!records->on[RECORD_STATS])
		return;
	jw_begin(j);
	jw_time(j, "timestamp", now_ns);
	jw_string(j, "event_type", "stats");
	stats_put(j, uptime_s, counters, rules, live);
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
	jw_begin(j);
	jw_time(j, "timestamp", (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec);
	jw_string(j, "event_type", "anomaly");
	jw_object(j, "anomaly");
	jw_string(j, "type", "sensor");
	jw_string(j, "event", event);
	jw_close(j);
	jw_object(j, "jsig");
	return j;
}

void record_sensor_end(struct records *records)
{
	jw_close(&records->json);
	eve_end(records);
}
