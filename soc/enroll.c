/* SPDX-License-Identifier: BSD-3-Clause */
#include "enroll.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIGURATION_MAX (3 * AUTHORITY_PEM_MAX + 8192)

__attribute__((format(printf, 3, 4))) static int fail(int rc, char *error, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(error, ENROLL_ERROR_MAX, format, arguments);
	va_end(arguments);
	return rc;
}

static int check_name(const char *name, char *error)
{
	if (directory_name_valid(name))
		return 0;
	return fail(-EINVAL, error, "a name is up to %d letters, digits, dots, hyphens and underscores",
		    DIRECTORY_NAME_MAX - 1);
}

static int tell(int rc, char *error, const char *name)
{
	if (rc == -EEXIST)
		fail(rc, error, "there is a %.64s already", name);
	else if (rc != 0)
		fail(rc, error, "%.64s cannot be stored: %s", name, strerror(-rc));
	return rc;
}

static void hexadecimal(const unsigned char *bytes, size_t len, char *text)
{
	for (size_t i = 0; i < len; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

void enroll_digest(const char *token, char digest[static DIRECTORY_DIGEST_MAX])
{
	unsigned char bytes[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	if (!EVP_Digest(token, strlen(token), bytes, &len, EVP_sha256(), NULL))
		len = 0;
	digest[0] = 0; /* no digest: it is nobody's */
	hexadecimal(bytes, len, digest);
}

/* --- customers --------------------------------------------------------------------------------------------------------- */

struct making {
	const char *who;
	struct customer customer;
	struct user user;
	struct device device, before;
};

static int make_customer(struct soc *soc, void *context)
{
	struct making *m = context;
	struct customer other;
	if (directory_customer_by_name(soc_directory(soc), m->customer.name, &other))
		return -EEXIST;
	m->customer.id = (uint32_t)soc_new_id(soc, DOCUMENT_CUSTOMER);
	int rc = soc_put_customer(soc, &m->customer);
	return rc ? rc
		  : soc_audit(soc, m->who, m->customer.id, "customer.add",
			      json_pack("{s:s}", "name", m->customer.name));
}

int enroll_customer(struct soc *soc, const char *who, const char *name, uint32_t *id,
		    char error[static ENROLL_ERROR_MAX])
{
	struct making m = {.who = who};
	int rc = check_name(name, error);
	if (rc != 0)
		return rc;
	strcpy(m.customer.name, name);
	rc = soc_do_now(soc, make_customer, &m);
	*id = m.customer.id;
	return tell(rc, error, name);
}

/* --- users ------------------------------------------------------------------------------------------------------------- */

static int make_user(struct soc *soc, void *context)
{
	struct making *m = context;
	struct user other;
	if (directory_user_by_name(soc_directory(soc), m->user.name, &other))
		return -EEXIST;
	m->user.id = (uint32_t)soc_new_id(soc, DOCUMENT_USER);
	int rc = soc_put_user(soc, &m->user);
	return rc ? rc
		  : soc_audit(soc, m->who, m->user.customer, "user.add",
			      json_pack("{s:s,s:s}", "name", m->user.name, "role", user_role_name(m->user.role)));
}

int enroll_user(struct soc *soc, const char *who, const char *name, enum user_role role, uint32_t customer,
		char token[static ENROLL_TOKEN_MAX], char error[static ENROLL_ERROR_MAX])
{
	struct making m = {.who = who, .user = {.role = role, .customer = customer}};
	unsigned char random[32];
	int rc = check_name(name, error);
	if (rc != 0)
		return rc;
	if (RAND_bytes(random, sizeof(random)) != 1)
		return fail(-EIO, error, "no random numbers for a token");
	hexadecimal(random, sizeof(random), token);
	OPENSSL_cleanse(random, sizeof(random));
	strcpy(m.user.name, name);
	enroll_digest(token, m.user.token);
	return tell(soc_do_now(soc, make_user, &m), error, name);
}

/* --- devices ----------------------------------------------------------------------------------------------------------- */

static int make_device(struct soc *soc, void *context)
{
	struct making *m = context;
	struct device other;
	/* who is revoked keeps his name and number, and gets another certificate: what he sent before stays his */
	if (directory_device_by_name(soc_directory(soc), m->device.name, &other)) {
		if (!other.revoked || other.customer != m->device.customer)
			return -EEXIST;
		m->device.id = other.id;
	} else {
		m->device.id = (uint32_t)soc_new_id(soc, DOCUMENT_DEVICE);
	}
	int rc = soc_put_device(soc, &m->device);
	return rc ? rc
		  : soc_audit(soc, m->who, m->device.customer, "device.enroll",
			      json_pack("{s:s,s:s}", "name", m->device.name, "fingerprint", m->device.fingerprint));
}

/* Appends; false when it does not fit. */
__attribute__((format(printf, 3, 4))) static bool add(char *text, size_t *len, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int n = vsnprintf(text + *len, CONFIGURATION_MAX - *len, format, arguments);
	va_end(arguments);
	if (n < 0 || (size_t)n >= CONFIGURATION_MAX - *len)
		return false;
	*len += (size_t)n;
	return true;
}

static bool add_pem(char *text, size_t *len, const char *name, const char *pem)
{
	bool ok = add(text, len, "  %s: |\n", name);
	for (const char *line = pem; ok && *line;) {
		int n = (int)strcspn(line, "\n");
		ok = add(text, len, "    %.*s\n", n, line);
		line += n + (line[n] == '\n');
	}
	return ok;
}

static char *write_configuration(const char *name, const char *const *addresses, size_t count,
				 const struct authority *authority, const struct issued *issued)
{
	char *text = malloc(CONFIGURATION_MAX);
	size_t len = 0;
	bool ok = text && add(text, &len,
			      "# How %s reaches its SOC. The key is secret: keep this file to root (mode 0600).\nsoc:\n"
			      "  addresses: [",
			      name);
	for (size_t i = 0; i < count && ok; i++)
		ok = add(text, &len, "%s\"%s\"", i ? ", " : "", addresses[i]);
	ok = ok && add(text, &len, "]\n") && add_pem(text, &len, "ca", authority_certificate(authority)) &&
	     add_pem(text, &len, "certificate", issued->certificate) && add_pem(text, &len, "key", issued->key);
	if (ok)
		return text;
	free(text);
	return NULL;
}

int enroll_device(struct soc *soc, const struct authority *authority, const char *who, const char *name,
		  uint32_t customer, const char *const *addresses, size_t address_count, char **configuration,
		  char error[static ENROLL_ERROR_MAX])
{
	struct making m = {.who = who, .device.customer = customer};
	struct issued issued;
	struct customer known;
	int rc = check_name(name, error);
	if (rc != 0)
		return rc;
	if (!directory_customer(soc_directory(soc), customer, &known))
		return fail(-ENOENT, error, "there is no customer %u", customer);
	rc = authority_issue(authority, CERTIFICATE_DEVICE, name, NULL, 0, ENROLL_DAYS, &issued, error);
	if (rc != 0)
		return rc;
	strcpy(m.device.name, name);
	strcpy(m.device.fingerprint, issued.fingerprint);
	*configuration = write_configuration(name, addresses, address_count, authority, &issued);
	rc = *configuration ? soc_do_now(soc, make_device, &m) : -ENOMEM;
	issued_wipe(&issued);
	if (rc != 0 && *configuration) {
		OPENSSL_cleanse(*configuration, strlen(*configuration));
		free(*configuration);
		*configuration = NULL;
	}
	return tell(rc, error, name);
}

static int revoke(struct soc *soc, void *context)
{
	struct making *m = context;
	if (!directory_device_by_name(soc_directory(soc), m->device.name, &m->before))
		return -ENOENT;
	if (m->before.revoked)
		return -EALREADY;
	m->before.revoked = true;
	int rc = soc_put_device(soc, &m->before);
	return rc ? rc
		  : soc_audit(soc, m->who, m->before.customer, "device.revoke",
			      json_pack("{s:s,s:s}", "name", m->before.name, "fingerprint", m->before.fingerprint));
}

int enroll_revoke(struct soc *soc, const char *who, const char *name, char error[static ENROLL_ERROR_MAX])
{
	struct making m = {.who = who};
	int rc = check_name(name, error);
	if (rc != 0)
		return rc;
	strcpy(m.device.name, name);
	rc = soc_do_now(soc, revoke, &m);
	if (rc == -ENOENT)
		return fail(rc, error, "there is no device %.64s", name);
	if (rc == -EALREADY)
		return fail(rc, error, "%.64s is revoked already", name);
	return tell(rc, error, name);
}
