/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What the exporter says of itself: the file that --status reads, and the plain report of health. */

#include <export/export.h>

/* Replaces DIR/status.json; it is a report, so nothing waits for a disk. `trouble`: "" when all is well. */
void status_write(int dir_fd, const struct export_stats *stats, const char *trouble);
void status_remove(int dir_fd);
/* One JSON object; its length, 0 when it does not fit. Any thread. */
size_t status_health(uint64_t began_ns, struct exporter *exporter, char *text, size_t size);
