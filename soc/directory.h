/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Who there is: customers, their devices, and the people that work here or are customers. Read from the store at start, changed
 * by the writer's thread, asked by any thread at each request, so that what is revoked is refused from the next request on.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store.h"

#define DIRECTORY_NAME_MAX   64
#define DIRECTORY_DIGEST_MAX 65 /* SHA-256 in hexadecimal, with its end */

struct customer {
	uint32_t id; /* from 1 */
	char name[DIRECTORY_NAME_MAX];
};

struct device {
	uint32_t id, customer;
	char name[DIRECTORY_NAME_MAX];
	char fingerprint[DIRECTORY_DIGEST_MAX]; /* of its certificate */
	bool revoked;
};

enum user_role { USER_CUSTOMER = 0, USER_ANALYST, USER_ADMINISTRATOR, USER_ROLES };

struct user {
	uint32_t id;
	uint32_t customer; /* 0: all, for analysts and administrators */
	enum user_role role;
	char name[DIRECTORY_NAME_MAX];
	char token[DIRECTORY_DIGEST_MAX]; /* SHA-256 of the bearer token; "": none */
	bool disabled;
};

struct directory;

/* Reads the store. NULL with errno. */
struct directory *directory_open(struct store *store);
void directory_close(struct directory *directory);

/* Any thread. Each copies what it finds; false: there is none. */
bool directory_device(struct directory *directory, const char *fingerprint, struct device *device);
bool directory_device_by_id(struct directory *directory, uint32_t id, struct device *device);
bool directory_device_by_name(struct directory *directory, const char *name, struct device *device);
bool directory_user(struct directory *directory, const char *token_digest, struct user *user);
bool directory_user_by_name(struct directory *directory, const char *name, struct user *user);
bool directory_customer(struct directory *directory, uint32_t id, struct customer *customer);
bool directory_customer_by_name(struct directory *directory, const char *name, struct customer *customer);
/* Calls `each` for the devices of a customer (0: of all), the revoked too, until it is not 0, which is returned. Within the call
 * nothing of the directory may be changed. */
int directory_devices(struct directory *directory, uint32_t customer,
		      int (*each)(void *context, const struct device *device), void *context);
int directory_customers(struct directory *directory, int (*each)(void *context, const struct customer *customer),
			void *context);
int directory_users(struct directory *directory, uint32_t customer, int (*each)(void *context, const struct user *user),
		    void *context);

/* The writer's thread, when the document is durable. New, or in the place of the one with its id. 0 or -ENOMEM. */
int directory_put_device(struct directory *directory, const struct device *device);
int directory_put_user(struct directory *directory, const struct user *user);
int directory_put_customer(struct directory *directory, const struct customer *customer);

/* As the store has them; a new reference. */
json_t *device_to_json(const struct device *device);
json_t *user_to_json(const struct user *user);
json_t *customer_to_json(const struct customer *customer);

const char *user_role_name(enum user_role role);
int user_role_of(const char *name); /* -1: none */
/* A name of letters, digits, and . _ - only, not empty, not too long. */
bool directory_name_valid(const char *name);
