/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "authority.h"
#include "settings.h"

/* Makes the server's certificate and key (server.crt, server.key in the SOC's folder) for the names in `addresses` and `listen`, where there are none
 * or they end within 30 days. 0, or -errno with words. */
int renew_server(const struct settings *settings, const struct authority *authority,
		 char error[static AUTHORITY_ERROR_MAX]);
