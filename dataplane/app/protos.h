/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The protocols: each is defined in its own file and listed once, in registry.c. */

#include <dataplane/app.h>

extern const struct app_proto app_http;
extern const struct app_proto app_dns;
extern const struct app_proto app_tls;
