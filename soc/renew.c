/* SPDX-License-Identifier: BSD-3-Clause */
#include "renew.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

#define SERVER_DAYS 397
#define RENEW_DAYS  30
#define HOST_BYTES  256

/* The host of "https://HOST:PORT", "HOST:PORT", "[ADDRESS]:PORT". */
static void host_of(const char *text, char *host)
{
	if (strncmp(text, "https://", 8) == 0)
		text += 8;
	bool bracket = *text == '[';
	snprintf(host, HOST_BYTES, "%.*s", (int)strcspn(text + bracket, bracket ? "]" : ":/"), text + bracket);
}

static bool is_any(const char *host)
{
	return !*host || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

int renew_server(const struct settings *settings, const struct authority *authority,
		 char error[static AUTHORITY_ERROR_MAX])
{
	char hosts[SETTINGS_ADDRESSES_MAX + 3][HOST_BYTES] = {"localhost", "127.0.0.1"};
	const char *names[SETTINGS_ADDRESSES_MAX + 3];
	size_t count = 2;
	struct issued issued;
	char *now = file_text(settings->folder, SOC_CERTIFICATE_FILE);
	int left = now ? certificate_days_left(now) : INT_MIN;
	free(now);
	if (left > RENEW_DAYS)
		return 0;
	for (unsigned i = 0; i <= settings->address_count; i++) {
		host_of(i < settings->address_count ? settings->addresses[i] : settings->listen, hosts[count]);
		if (!is_any(hosts[count]))
			count++;
	}
	for (size_t i = 0; i < count; i++)
		names[i] = hosts[i];
	int rc = authority_issue(authority, CERTIFICATE_SERVER, "sekisho-soc", names, count, SERVER_DAYS, &issued,
				 error);
	if (rc != 0)
		return rc;
	rc = file_write(settings->folder, SOC_KEY_FILE, issued.key, 0600);
	rc = rc ? rc : file_write(settings->folder, SOC_CERTIFICATE_FILE, issued.certificate, 0644);
	issued_wipe(&issued);
	if (rc != 0)
		snprintf(error, AUTHORITY_ERROR_MAX, "the server's certificate cannot be written: %s", strerror(-rc));
	return rc;
}
