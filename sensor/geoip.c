/* SPDX-License-Identifier: BSD-3-Clause */
#include "geoip.h"

#include <stdio.h>

#ifdef HAVE_MAXMINDDB
#include <maxminddb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct geoip {
	MMDB_s db;
};

struct geoip *geoip_open(const char *path, char *error)
{
	struct geoip *geoip = calloc(1, sizeof(*geoip));
	int status = geoip ? MMDB_open(path, MMDB_MODE_MMAP, &geoip->db) : MMDB_OUT_OF_MEMORY_ERROR;
	if (status == MMDB_SUCCESS)
		return geoip;
	snprintf(error, 256, "%.180s: %s", path, MMDB_strerror(status));
	free(geoip);
	return NULL;
}

void geoip_close(struct geoip *geoip)
{
	if (!geoip)
		return;
	MMDB_close(&geoip->db);
	free(geoip);
}

bool geoip_country(const struct geoip *geoip, const union packet_addr *addr, uint8_t family, char code[static 3])
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	const struct sockaddr *sa = (const struct sockaddr *)&v6;
	if (family == 4) {
		memcpy(&v4.sin_addr, addr->bytes, 4);
		sa = (const struct sockaddr *)&v4;
	} else {
		memcpy(&v6.sin6_addr, addr->bytes, 16);
	}
	int error;
	MMDB_entry_data_s data;
	MMDB_lookup_result_s found = MMDB_lookup_sockaddr(&geoip->db, sa, &error);
	if (error != MMDB_SUCCESS || !found.found_entry ||
	    MMDB_get_value(&found.entry, &data, "country", "iso_code", NULL) != MMDB_SUCCESS || !data.has_data ||
	    data.type != MMDB_DATA_TYPE_UTF8_STRING || data.data_size != 2)
		return false;
	memcpy(code, data.utf8_string, 2);
	code[2] = '\0';
	return true;
}

#else

struct geoip *geoip_open(const char *path, char *error)
{
	snprintf(error, 256, "%.150s: this sekisho was built without libmaxminddb", path);
	return NULL;
}

void geoip_close(struct geoip *geoip)
{
	(void)geoip;
}

bool geoip_country(const struct geoip *geoip, const union packet_addr *addr, uint8_t family, char code[static 3])
{
	(void)geoip;
	(void)addr;
	(void)family;
	code[0] = '\0';
	return false;
}
#endif
