/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* One stream: its file, its cursor on disk, and what the SOC's answers do to them. One thread. */

#include <export/export.h>

#include "follow.h"
#include "link.h"

struct stream {
	struct follow follow;
	const struct export_input *input;
	const struct export_config *config;
	char name[80];	      /* of the cursor's file */
	bool durable;	      /* the stream's UUID is on disk, so that numbers may be given */
	int save_error;	      /* as last told */
	uint64_t due_ns;      /* lines wait until then for others; 0: none wait */
	uint64_t tend_ns;     /* next look at the spool */
	uint64_t unsent;      /* as of that look */
	uint32_t records_max; /* of a batch; less while the SOC refuses some */
	unsigned skipped_in_row, backs_in_row;
	uint64_t vanished_told;
	uint64_t sent, batches, bytes;
};

/* What all streams of a thread work with. */
struct stream_tools {
	struct link *link;
	int dir_fd; /* of cursors */
	struct follow_lines lines;
	uint8_t *body, *packed;
	size_t body_size, packed_size;
	void (*say)(void *user, bool bad, const char *text);
	void *user;
	char why[EXPORT_ERROR_MAX]; /* of a failure */
	uint64_t wait_ns;	    /* STREAM_WAIT: that the SOC asks for */
};

enum stream_result {
	STREAM_IDLE,  /* nothing to send */
	STREAM_SENT,  /* there may be more */
	STREAM_AGAIN, /* at once, differently */
	STREAM_FAILED,
	STREAM_REFUSED, /* a person must do something: seldom */
	STREAM_WAIT,
};

/* Memory for the largest batch of the configuration. 0 or -ENOMEM. */
int stream_tools_init(struct stream_tools *tools, const struct export_config *config);
void stream_tools_free(struct stream_tools *tools);

/* The name of a path's cursor. */
void stream_name(const char *path, char *name, size_t size);
/* Finds the cursor of a file, or makes one. 0 or -errno. */
int stream_open(struct stream *stream, const struct export_config *config, const struct export_input *input,
		const char *path, struct stream_tools *tools);
void stream_close(struct stream *stream, struct stream_tools *tools);
/* Looks after the file and the spool. */
void stream_tend(struct stream *stream, struct stream_tools *tools, uint64_t now_ns);
/* Whether a batch is due: full, or its lines have waited long enough, or `now` is all the time there is. */
bool stream_is_due(struct stream *stream, uint64_t now_ns, bool at_once);
enum stream_result stream_send(struct stream *stream, struct stream_tools *tools);
