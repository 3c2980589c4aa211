/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What the daemon may still do once its devices are open: as whom it runs, its capabilities, and its system calls. The main
 * thread keeps what it needs to open a port again; a worker keeps less. What this build has no library for is left out, and
 * said.
 */

#include <stdbool.h>

#include "config.h"

enum seccomp_mode {
	SECCOMP_OFF,
	SECCOMP_LOG,	/* a call that is not on the list is logged by the kernel, and carried out */
	SECCOMP_REFUSE, /* it fails */
	SECCOMP_KILL,	/* it ends the process */
};

/* The main thread, before it starts any other: changes to the user of the configuration, gives capabilities up, and confines its
 * system calls and those of the threads that it starts. 0 or -errno (told already). */
int privileges_drop(const struct config *config);
/* Whether that user exists, and can be changed to with these options. 0 or -EINVAL (told already). */
int privileges_check(const struct config *config);
/* Makes a file or folder that the daemon made its user's, so that it can be renamed later. Before privileges_drop. */
void privileges_hand_over(const struct config *config, const char *path);

/* A thread that only reads and writes files, first of all: gives all capabilities up. */
void privileges_confine_files(void);
/* A worker's thread, first of all: gives up what only the main thread needs. `config` is a struct config. */
void privileges_confine_worker(void *config);

/* seccomp.c: 0 or -errno. */
int seccomp_confine(const struct config *config, bool worker);
