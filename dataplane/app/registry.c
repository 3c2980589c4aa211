/* SPDX-License-Identifier: BSD-3-Clause */
#include <strings.h>

#include <dataplane/app.h>

#include "app/protos.h"

/* Recognition asks in this order. */
static const struct app_proto *const protos[] = {
	&app_http,
	&app_tls,
	&app_dns,
	NULL,
};

const struct app_proto *const *app_protos(void)
{
	return protos;
}

const struct app_proto *app_proto_by_id(enum app_id id)
{
	for (const struct app_proto *const *p = protos; *p; p++)
		if ((*p)->id == id)
			return *p;
	return NULL;
}

const struct app_proto *app_proto_by_name(const char *name)
{
	for (const struct app_proto *const *p = protos; *p; p++) {
		if (strcasecmp((*p)->name, name) == 0)
			return *p;
		for (const char *const *alias = (*p)->rule_aliases; alias && *alias; alias++)
			if (strcasecmp(*alias, name) == 0)
				return *p;
	}
	return NULL;
}
