/* SPDX-License-Identifier: BSD-3-Clause */
/* Records of transactions, their files, and anomalies. */
#include <string.h>

#include <dataplane/events.h>

#include "eve.h"

void eve_tx_fields(struct records *records, const struct flow *flow, const struct app_tx *tx, bool alert)
{
	const struct app_proto *proto = app_proto_of(flow);
	if (!proto || !proto->record_type || !proto->fields)
		return;
	jw_object(&records->json, proto->record_type);
	if (alert && proto->alert_fields)
		proto->alert_fields(flow->app, tx, &records->sink.sink);
	else
		proto->fields(flow->app, tx, &records->sink.sink);
	jw_close(&records->json);
}

void eve_file(struct records *records, const struct app_file *file, uint64_t tx_id)
{
	static const char *const states[] = {[APP_FILE_OPEN] = "UNKNOWN",
					     [APP_FILE_CLOSED] = "CLOSED",
					     [APP_FILE_TRUNCATED] = "TRUNCATED",
					     [APP_FILE_ERROR] = "ERROR"};
	struct json *j = &records->json;
	jw_text(j, "filename", file->name);
	if (file->magic.len > 0)
		jw_text(j, "magic", file->magic);
	jw_bool(j, "gaps", file->gaps);
	jw_string(j, "state", states[file->state]);
	if (file->hashed && file->state == APP_FILE_CLOSED) {
		jw_hex(j, "md5", file->md5, sizeof(file->md5));
		jw_hex(j, "sha1", file->sha1, sizeof(file->sha1));
		jw_hex(j, "sha256", file->sha256, sizeof(file->sha256));
	}
	jw_bool(j, "stored", false);
	jw_uint(j, "size", file->size);
	if (file->has_range) {
		jw_uint(j, "start", file->range_start);
		jw_uint(j, "end", file->range_end);
	}
	jw_uint(j, "tx_id", tx_id);
}

static void put_file_record(struct records *records, const struct packet *pkt, const struct app_tx *tx,
			    const struct app_file *file)
{
	eve_begin(records, pkt, "fileinfo", file->dir == TO_SERVER ? SIDE_TO_SERVER : SIDE_TO_CLIENT);
	eve_tx_fields(records, pkt->flow, tx, false);
	eve_app_proto(records, pkt->flow);
	jw_object(&records->json, "fileinfo");
	eve_file(records, file, tx->id);
	jw_close(&records->json);
	eve_end(records);
}

static void log_files(struct records *records, const struct packet *pkt, struct app_tx *tx, bool ending)
{
	for (struct app_file *f = tx->files; f; f = f->next) {
		if (f->logged || (f->state == APP_FILE_OPEN && !ending))
			continue;
		f->logged = true;
		if (f->state == APP_FILE_OPEN)
			f->state = APP_FILE_TRUNCATED;
		if (records->on[RECORD_FILEINFO])
			put_file_record(records, pkt, tx, f);
	}
}

static void put_app_anomaly(struct records *records, const struct packet *pkt, const struct app_proto *proto,
			    const struct app_tx *tx, const char *event, const char *layer)
{
	struct json *j = &records->json;
	eve_begin(records, pkt, "anomaly", SIDE_PACKET);
	if (tx)
		jw_uint(j, "tx_id", tx->id);
	jw_object(j, "anomaly");
	if (proto)
		jw_string(j, "app_proto", proto->name);
	jw_string(j, "type", "applayer");
	jw_string(j, "event", event);
	jw_string(j, "layer", layer);
	jw_close(j);
	eve_end(records);
}

static void log_tx_events(struct records *records, const struct packet *pkt, const struct app_proto *proto,
			  struct app_tx *tx)
{
	bool wanted = records->on[RECORD_ANOMALY] && records->anomaly[ANOMALY_APPLAYER];
	unsigned known = 0;
	while (proto->events && proto->events[known])
		known++;
	for (unsigned w = 0; w < APP_EVENT_WORDS; w++) {
		uint64_t fresh = tx->events[w] & ~tx->events_logged[w];
		tx->events_logged[w] |= fresh;
		for (; fresh && wanted; fresh &= fresh - 1) {
			unsigned event = w * 64 + (unsigned)__builtin_ctzll(fresh);
			if (event < known)
				put_app_anomaly(records, pkt, proto, tx, proto->events[event], "proto_parser");
		}
	}
}

static void put_tx_record(struct records *records, const struct packet *pkt, const struct app_proto *proto,
			  const struct app_tx *tx)
{
	eve_begin(records, pkt, proto->record_type, SIDE_TO_SERVER);
	jw_uint(&records->json, "tx_id", tx->id);
	eve_tx_fields(records, pkt->flow, tx, false);
	eve_app_proto(records, pkt->flow);
	eve_end(records);
}

void record_transactions(struct records *records, const struct packet *pkt, bool ending)
{
	const struct flow *flow = pkt->flow;
	const struct app_proto *proto = app_proto_of(flow);
	if (!proto)
		return;
	bool wanted = proto->record_type && proto->fields && records->app_on[proto->id];
	for (struct app_tx *tx = app_tx_first(flow); tx; tx = tx->next) {
		if (tx->files)
			log_files(records, pkt, tx, ending);
		log_tx_events(records, pkt, proto, tx);
		if (tx->logged)
			continue;
		bool complete =
			ending || (app_tx_complete(flow, tx, TO_SERVER) && app_tx_complete(flow, tx, TO_CLIENT));
		bool due = proto->has_record ? proto->has_record(flow->app, tx, complete) : complete;
		if (!due && !complete)
			continue;
		tx->logged = true;
		if (wanted && due)
			put_tx_record(records, pkt, proto, tx);
	}
}

static void put_anomaly(struct records *records, const struct packet *pkt, enum event event)
{
	static const char *const types[] = {[EVENT_CLASS_DECODE] = "decode", [EVENT_CLASS_STREAM] = "stream"};
	struct json *j = &records->json;
	enum event_class class = event_class_of(event);
	if (class == EVENT_CLASS_APPLAYER) {
		if (records->anomaly[ANOMALY_APPLAYER])
			put_app_anomaly(records, pkt, pkt->flow ? app_proto_of(pkt->flow) : NULL, NULL,
					event_name(event), "proto_detect");
		return;
	}
	if (!records->anomaly[class == EVENT_CLASS_DECODE ? ANOMALY_DECODE : ANOMALY_STREAM])
		return;
	eve_begin(records, pkt, "anomaly", SIDE_PACKET);
	jw_object(j, "anomaly");
	jw_string(j, "type", types[class]);
	jw_string(j, "event", event_name(event));
	jw_close(j);
	eve_end(records);
}

void record_anomalies(struct records *records, const struct packet *pkt)
{
	if (!records->on[RECORD_ANOMALY])
		return;
	for (unsigned w = 0; w < EVENT_WORDS; w++)
		for (uint64_t bits = pkt->events.bits[w]; bits; bits &= bits - 1)
			put_anomaly(records, pkt, (enum event)(w * 64 + (unsigned)__builtin_ctzll(bits)));
}
