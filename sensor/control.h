/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The control socket: `sekisho ctl` asks the daemon. A client sends one line, a JSON object {"command": NAME, ...}, and gets
 * one line back, a JSON object with "ok", and with "error" when that is false. The main thread's, between its other work.
 */

#include "daemon.h"

struct control;

/* Makes the socket and waits for clients from now on. NULL with a message in error (256 bytes). */
struct control *control_open(struct daemon *daemon, const char *path, char *error);
/* Removes the socket. NULL is allowed. */
void control_close(struct control *control);
