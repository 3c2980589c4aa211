/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The counters over HTTP, as Prometheus reads them: GET /metrics. Served by the main thread, between its other work. */

#include "daemon.h"

struct metrics;

/* Listens at "ADDRESS:PORT" (loopback, unless somebody asks for more). NULL with a message in error (256 bytes). */
struct metrics *metrics_open(struct daemon *daemon, const char *listen, char *error);
/* NULL is allowed. */
void metrics_close(struct metrics *metrics);
