/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What the subcommands of sekisho-soc have in common. */

#include <stdbool.h>
#include <stdio.h>

#include "authority.h"
#include "settings.h"
#include "soc.h"

enum exit_code {
	EXIT_FINE = 0,
	EXIT_WRONG = 1, /* something did not work, or is not as it should be */
	EXIT_USAGE = 2, /* the command line is wrong */
};

/* The SOC's folder where nobody says another. */
#define SOC_FOLDER "/var/lib/sekisho-soc"
/* Beside soc.yaml. */
#define SOC_LOCK_FILE	     "lock"
#define SOC_CERTIFICATE_FILE "server.crt"
#define SOC_KEY_FILE	     "server.key"
#define SOC_CTL_FILE	     "ctl.json"

/* Takes the folder for this process. A descriptor that holds it; -EWOULDBLOCK: a SOC runs on it. */
int folder_lock(const char *folder);
/* A small file as text, malloc'd. NULL with errno. */
char *file_text(const char *folder, const char *name);
/* A new file with these bytes, whole or not at all; replaces one that is there. 0 or -errno. */
int file_write(const char *folder, const char *name, const char *text, unsigned mode);
/* What the SOC is opened with, of its settings. */
void settings_to_config(const struct settings *settings, struct soc_config *config);
/* Words for people, from any thread, to standard error. */
void say_line(void *user, bool bad, const char *text);

int cmd_init(int argc, char **argv);
int cmd_enroll(int argc, char **argv);
int cmd_revoke(int argc, char **argv);
int cmd_user(int argc, char **argv);
int cmd_ctl(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_backup(int argc, char **argv);
int cmd_restore(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_triage(int argc, char **argv);
