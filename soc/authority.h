/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The SOC's own certificate authority: it signs the server's certificate and those of the devices, so that each end knows the
 * other. Keys are ECDSA on P-256. RFC 5280, RFC 5480. Any thread, once open.
 */

#include <stdbool.h>
#include <stddef.h>

#define AUTHORITY_ERROR_MAX 256
#define AUTHORITY_NAMES_MAX 16
/* Of a certificate made here, of a key, as PEM with an end. */
#define AUTHORITY_PEM_MAX    4096
#define AUTHORITY_DIGEST_MAX 65

struct authority;

enum certificate_use { CERTIFICATE_SERVER, CERTIFICATE_DEVICE };

struct issued {
	char certificate[AUTHORITY_PEM_MAX], key[AUTHORITY_PEM_MAX]; /* the key is secret: wipe it by issued_wipe */
	char fingerprint[AUTHORITY_DIGEST_MAX];			     /* SHA-256 of the certificate, in hexadecimal */
};

/* Makes a key and a certificate that signs itself, valid for `days`, in the files ca.key (mode 0600) and ca.crt of the folder; neither may
 * be there yet. 0, or -errno with a message. */
int authority_make(const char *folder, const char *name, unsigned days, char error[static AUTHORITY_ERROR_MAX]);
/* Reads the two. NULL with a message. */
struct authority *authority_open(const char *folder, char error[static AUTHORITY_ERROR_MAX]);
void authority_close(struct authority *authority);
/* The certificate that others check by. Lives as long as the authority. */
const char *authority_certificate(const struct authority *authority);
/* Issues a certificate for `days`, with a new key. `names` are host names and addresses of a server, up to AUTHORITY_NAMES_MAX. 0, or
 * -errno with a message. */
int authority_issue(const struct authority *authority, enum certificate_use use, const char *name,
		    const char *const *names, size_t count, unsigned days, struct issued *issued,
		    char error[static AUTHORITY_ERROR_MAX]);
void issued_wipe(struct issued *issued);
/* Days until the (first) certificate in a PEM text ends, below 0 when it has; INT_MIN: it cannot be read. */
int certificate_days_left(const char *pem);
