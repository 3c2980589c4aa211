/* SPDX-License-Identifier: BSD-3-Clause */
/* Bodies of API requests that become things of the SOC's: assets, contacts, suppressions; and notices as the store has them. What is
 * taken can be written and read back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "asset_json.h"
#include "notify.h"
#include "suppress.h"

#define NOW 1795496400000000ll

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
	if (!good)
		abort();
}

static void try_asset(const json_t *json)
{
	struct asset asset, again;
	char error[ASSET_ERROR_MAX] = "";
	if (asset_from_json(json, &asset, error) != 0) {
		must(error[0]);
		return;
	}
	json_t *back = asset_to_json(&asset);
	must(back && asset_from_json(back, &again, error) == 0);
	must(memcmp(&asset.prefix, &again.prefix, sizeof(asset.prefix)) == 0);
	json_decref(back);
}

static void try_contact(const json_t *json)
{
	struct contact contact, again;
	char error[NOTIFY_ERROR_MAX] = "";
	if (contact_from_json(json, &contact, error) != 0) {
		must(error[0]);
		return;
	}
	/* nothing that could end a command of SMTP or a header */
	must(!strpbrk(contact.address, "\r\n \t<>"));
	must(contact_hours(&contact, NOW) >= NOW && contact_hours(&contact, NOW) < NOW + 9 * 86400000000ll);
	json_t *back = contact_to_json(&contact, true);
	must(back && contact_from_json(back, &again, error) == 0 && strcmp(contact.address, again.address) == 0);
	json_decref(back);
	const struct notice notice = {.id = 1, .incident = 2, .severity = SEVERITY_CRITICAL};
	char *mail = notify_mail(&notice, &contact, json, "soc@example.com", "example.com", NOW);
	must(mail && strstr(mail, "\r\n\r\n"));
	free(mail);
	free(notify_json(&notice, &contact, json, NOW));
}

static void try_suppression(const json_t *json)
{
	struct suppression s, again;
	char error[SUPPRESS_ERROR_MAX] = "";
	if (suppression_from_json(json, NOW, &s, error) != 0) {
		must(error[0]);
		return;
	}
	json_t *back = suppression_to_json(&s);
	must(back && suppression_restore(back, &again) == 0 && again.signature == s.signature);
	json_decref(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct notice notice;
	json_t *json = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	if (!json)
		return 0;
	try_asset(json);
	try_contact(json);
	try_suppression(json);
	if (notice_from_json(json, &notice) == 0)
		json_decref(notice_to_json(&notice));
	json_decref(json);
	return 0;
}
