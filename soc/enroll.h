/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Making what there is to a SOC: customers, users with their tokens, devices with their certificates. Any thread but the writer's. */

#include "authority.h"
#include "soc.h"

#define ENROLL_ERROR_MAX 256
#define ENROLL_TOKEN_MAX 65
/* Of a device's certificate: it is renewed by enrolling anew. */
#define ENROLL_DAYS 825

/* 0, or -errno with words: -EEXIST (the name is taken), -EINVAL (no name) ... `who` is for the audit log. */
int enroll_customer(struct soc *soc, const char *who, const char *name, uint32_t *id,
		    char error[static ENROLL_ERROR_MAX]);
/* `token` is told once: the store has its SHA-256. */
int enroll_user(struct soc *soc, const char *who, const char *name, enum user_role role, uint32_t customer,
		char token[static ENROLL_TOKEN_MAX], char error[static ENROLL_ERROR_MAX]);
/* *configuration, malloc'd, is the device's whole configuration: addresses, CA, certificate and key; to be wiped by the caller. A name
 * that is revoked may be enrolled anew. */
int enroll_device(struct soc *soc, const struct authority *authority, const char *who, const char *name,
		  uint32_t customer, const char *const *addresses, size_t address_count, char **configuration,
		  char error[static ENROLL_ERROR_MAX]);
/* Refused from now on. -ENOENT. */
int enroll_revoke(struct soc *soc, const char *who, const char *name, char error[static ENROLL_ERROR_MAX]);
/* SHA-256 in hexadecimal. */
void enroll_digest(const char *token, char digest[static DIRECTORY_DIGEST_MAX]);
