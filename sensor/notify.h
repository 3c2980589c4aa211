/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What the service manager is told (sd_notify's protocol: lines in one datagram to $NOTIFY_SOCKET). Main thread. */

#include <stdint.h>

/* Connects to the manager, when there is one. Before privileges go. 0 or -errno; without a manager 0, and the rest does nothing. */
int notify_open(void);
/* "READY=1", "STATUS=...", several by line ends. */
__attribute__((format(printf, 1, 2))) void notify(const char *format, ...);
/* How often the manager wants "WATCHDOG=1"; 0: it does not. */
uint64_t notify_watchdog_ns(void);
void notify_close(void);
