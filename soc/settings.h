/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* soc.yaml: the SOC's own settings (docs/soc.md lists them; so does `sekisho-soc help settings`). */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define SETTINGS_ERROR_MAX     512
#define SETTINGS_ADDRESSES_MAX 8

struct settings {
	char path[4096], folder[4096]; /* of soc.yaml; what is kept lies beside it */
	char listen[128];
	char addresses[SETTINGS_ADDRESSES_MAX][256]; /* https://HOST:PORT, as devices reach it */
	unsigned address_count;
	char store[4096], triage[4096]; /* "": soc.db in the folder; the rules that come with the program */
	uint64_t retention_days, retention_bytes;
	uint64_t event_window_s, event_longest_s, incident_quiet_s;
	uint64_t connections, connections_per_address, threads;
	uint64_t rate_records, rate_burst;
	char mail_server[256], mail_from[256], mail_user[128], mail_password_file[4096];
	bool mail_starttls;
};

/* Reads FOLDER/soc.yaml. 0, or -errno with "file:line: what is wrong". */
int settings_read(struct settings *settings, const char *folder, char error[static SETTINGS_ERROR_MAX]);
/* Every setting with its default and what it does. */
void settings_help(FILE *out);
