/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Countries of addresses, from a MaxMind database. Built without libmaxminddb, every open fails with -ENOTSUP. */

#include <stdbool.h>
#include <stdint.h>

#include <dataplane/packet.h>

struct geoip;

/* NULL with a message in error (256 bytes). */
struct geoip *geoip_open(const char *path, char *error);
void geoip_close(struct geoip *geoip); /* NULL is allowed */
/* The two letters of an address's country; false when it is not known. Any thread. */
bool geoip_country(const struct geoip *geoip, const union packet_addr *addr, uint8_t family, char code[static 3]);
