/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What recognition (recognise.c) and the life of sessions (session.c) share; nobody else looks inside. */

#include <dataplane/app.h>

#include "app/file.h"

struct app_engine {
	struct app_config config;
	struct slab *slab;
	struct counters *counters;
	struct app_digests *digests; /* NULL when files are not hashed */
};

struct app_session {
	struct app_engine *engine;
	struct flow *flow; /* NULL in tests */
	const struct app_proto *proto;
	void *state;
	struct app_tx *first, *last;
	uint32_t tx_open;
	uint64_t tx_total;
	/* what was last shown of each direction: the same again is no news */
	uint64_t shown_end[2];
	bool shown_eof[2];
	enum app_id id[2];    /* recognised, by direction; APP_FAILED when it showed nothing known */
	bool undecided[2];    /* recognition of the direction found nothing, but the other side may still say */
	bool has_data[2];     /* some was seen */
	int8_t first_dir;     /* the direction that spoke first; -1 */
	bool fed;	      /* the protocol has been given data */
	bool fed_this_update; /* by the packet at hand */
	uint32_t feeds[2];    /* how often it was, by direction */
	bool failed;	      /* nothing recognised: closed for good */
	bool stopped;	      /* the protocol failed; its transactions stay to be judged and recorded */
	bool switching;	      /* the protocol handed over; recognition runs anew, its transactions still stand */
	bool ended[2];
	bool opaque; /* encrypted from opaque_at on, by offset in the direction's stream */
	uint64_t opaque_at[2];
};

/* What one look at a direction's first bytes says. */
enum recognition {
	RECOGNITION_WAIT,    /* more bytes may tell */
	RECOGNITION_NONE,    /* no protocol known here */
	RECOGNITION_SETTLED, /* session->id[dir] is set */
};

/* Asks all protocols about `data`, the first bytes of a direction; `last` when no more will come. */
enum recognition app_recognise(struct app_session *session, struct bytes data, enum direction dir, bool udp, bool last);
