/* SPDX-License-Identifier: BSD-3-Clause */
#include "directory.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One of the three lists: what all elements begin with is their id. */
struct list {
	void *elements;
	size_t count, room, size;
};

struct directory {
	pthread_rwlock_t lock;
	struct list customers, devices, users;
};

static const char *const role_names[USER_ROLES] = {"customer", "analyst", "administrator"};

const char *user_role_name(enum user_role role)
{
	return (unsigned)role < USER_ROLES ? role_names[role] : "?";
}

int user_role_of(const char *name)
{
	for (int i = 0; i < USER_ROLES; i++)
		if (strcmp(role_names[i], name) == 0)
			return i;
	return -1;
}

bool directory_name_valid(const char *name)
{
	size_t len = strlen(name);
	return len > 0 && len < DIRECTORY_NAME_MAX && name[0] != '.' && name[0] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len;
}

/* --- lists ------------------------------------------------------------------------------------------------------------- */

static void *at(const struct list *list, size_t i)
{
	return (char *)list->elements + i * list->size;
}

static uint32_t id_of(const void *element)
{
	return *(const uint32_t *)element;
}

static int put(struct directory *directory, struct list *list, const void *element)
{
	int rc = 0;
	pthread_rwlock_wrlock(&directory->lock);
	size_t i = 0;
	while (i < list->count && id_of(at(list, i)) != id_of(element))
		i++;
	if (i == list->room) {
		size_t room = list->room ? 2 * list->room : 16;
		void *more = realloc(list->elements, room * list->size);
		rc = more ? 0 : -ENOMEM;
		if (more) {
			list->elements = more;
			list->room = room;
		}
	}
	if (rc == 0) {
		list->count += i == list->count;
		memcpy(at(list, i), element, list->size);
	}
	pthread_rwlock_unlock(&directory->lock);
	return rc;
}

/* Copies the element whose text at `offset` is `text`; where that is NULL, whose id is `id`. */
static bool find(struct directory *directory, const struct list *list, size_t offset, const char *text, uint32_t id,
		 void *found)
{
	bool is = false;
	if (text && !text[0])
		return false;
	pthread_rwlock_rdlock(&directory->lock);
	for (size_t i = 0; i < list->count && !is; i++) {
		const char *element = at(list, i);
		is = text ? strcmp(element + offset, text) == 0 : id_of(element) == id;
		if (is)
			memcpy(found, element, list->size);
	}
	pthread_rwlock_unlock(&directory->lock);
	return is;
}

bool directory_device(struct directory *directory, const char *fingerprint, struct device *device)
{
	return find(directory, &directory->devices, offsetof(struct device, fingerprint), fingerprint, 0, device);
}

bool directory_device_by_id(struct directory *directory, uint32_t id, struct device *device)
{
	return find(directory, &directory->devices, 0, NULL, id, device);
}

bool directory_device_by_name(struct directory *directory, const char *name, struct device *device)
{
	return find(directory, &directory->devices, offsetof(struct device, name), name, 0, device);
}

bool directory_user(struct directory *directory, const char *token_digest, struct user *user)
{
	return find(directory, &directory->users, offsetof(struct user, token), token_digest, 0, user) &&
	       !user->disabled;
}

bool directory_user_by_name(struct directory *directory, const char *name, struct user *user)
{
	return find(directory, &directory->users, offsetof(struct user, name), name, 0, user);
}

bool directory_customer(struct directory *directory, uint32_t id, struct customer *customer)
{
	return find(directory, &directory->customers, 0, NULL, id, customer);
}

bool directory_customer_by_name(struct directory *directory, const char *name, struct customer *customer)
{
	return find(directory, &directory->customers, offsetof(struct customer, name), name, 0, customer);
}

int directory_devices(struct directory *directory, uint32_t customer,
		      int (*each)(void *context, const struct device *device), void *context)
{
	int rc = 0;
	pthread_rwlock_rdlock(&directory->lock);
	for (size_t i = 0; i < directory->devices.count && rc == 0; i++) {
		const struct device *device = at(&directory->devices, i);
		if (customer == 0 || device->customer == customer)
			rc = each(context, device);
	}
	pthread_rwlock_unlock(&directory->lock);
	return rc;
}

int directory_users(struct directory *directory, uint32_t customer, int (*each)(void *context, const struct user *user),
		    void *context)
{
	int rc = 0;
	pthread_rwlock_rdlock(&directory->lock);
	for (size_t i = 0; i < directory->users.count && rc == 0; i++) {
		const struct user *user = at(&directory->users, i);
		if (customer == 0 || user->customer == customer)
			rc = each(context, user);
	}
	pthread_rwlock_unlock(&directory->lock);
	return rc;
}

int directory_customers(struct directory *directory, int (*each)(void *context, const struct customer *customer),
			void *context)
{
	int rc = 0;
	pthread_rwlock_rdlock(&directory->lock);
	for (size_t i = 0; i < directory->customers.count && rc == 0; i++)
		rc = each(context, at(&directory->customers, i));
	pthread_rwlock_unlock(&directory->lock);
	return rc;
}

int directory_put_device(struct directory *directory, const struct device *device)
{
	return put(directory, &directory->devices, device);
}

int directory_put_user(struct directory *directory, const struct user *user)
{
	return put(directory, &directory->users, user);
}

int directory_put_customer(struct directory *directory, const struct customer *customer)
{
	return put(directory, &directory->customers, customer);
}

/* --- as documents ------------------------------------------------------------------------------------------------------ */

json_t *customer_to_json(const struct customer *customer)
{
	return json_pack("{s:I,s:s}", "id", (json_int_t)customer->id, "name", customer->name);
}

json_t *device_to_json(const struct device *device)
{
	return json_pack("{s:I,s:I,s:s,s:s,s:b}", "id", (json_int_t)device->id, "customer",
			 (json_int_t)device->customer, "name", device->name, "fingerprint", device->fingerprint,
			 "revoked", device->revoked);
}

json_t *user_to_json(const struct user *user)
{
	return json_pack("{s:I,s:I,s:s,s:s,s:s,s:b}", "id", (json_int_t)user->id, "customer",
			 (json_int_t)user->customer, "name", user->name, "role", user_role_name(user->role), "token",
			 user->token, "disabled", user->disabled);
}

static void copy_text(const json_t *json, const char *key, char *to, size_t size)
{
	const char *text = json_string_value(json_object_get(json, key));
	snprintf(to, size, "%s", text ? text : "");
}

static uint32_t number(const json_t *json, const char *key)
{
	return (uint32_t)json_integer_value(json_object_get(json, key));
}

static int read_document(void *context, const struct document *document)
{
	struct directory *directory = context;
	json_t *json = json_loadb(document->body, document->len, 0, NULL);
	int rc = json ? 0 : -EINVAL;
	if (json && document->kind == DOCUMENT_CUSTOMER) {
		struct customer customer = {.id = number(json, "id")};
		copy_text(json, "name", customer.name, sizeof(customer.name));
		rc = directory_put_customer(directory, &customer);
	} else if (json && document->kind == DOCUMENT_DEVICE) {
		struct device device = {.id = number(json, "id"), .customer = number(json, "customer")};
		copy_text(json, "name", device.name, sizeof(device.name));
		copy_text(json, "fingerprint", device.fingerprint, sizeof(device.fingerprint));
		device.revoked = json_is_true(json_object_get(json, "revoked"));
		rc = directory_put_device(directory, &device);
	} else if (json) {
		struct user user = {.id = number(json, "id"), .customer = number(json, "customer")};
		const char *role = json_string_value(json_object_get(json, "role"));
		copy_text(json, "name", user.name, sizeof(user.name));
		copy_text(json, "token", user.token, sizeof(user.token));
		user.disabled = json_is_true(json_object_get(json, "disabled"));
		/* an unknown role has the least rights, and with no customer none at all */
		int value = role ? user_role_of(role) : -1;
		user.role = value < 0 ? USER_CUSTOMER : (enum user_role)value;
		rc = directory_put_user(directory, &user);
	}
	json_decref(json);
	return rc;
}

struct directory *directory_open(struct store *store)
{
	static const enum document_kind kinds[] = {DOCUMENT_CUSTOMER, DOCUMENT_DEVICE, DOCUMENT_USER};
	struct directory *directory = calloc(1, sizeof(*directory));
	int rc = 0;
	if (!directory)
		return NULL;
	pthread_rwlock_init(&directory->lock, NULL);
	directory->customers.size = sizeof(struct customer);
	directory->devices.size = sizeof(struct device);
	directory->users.size = sizeof(struct user);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && rc == 0; i++) {
		const struct document_query query = {.kind = kinds[i], .state = -1, .oldest_first = true};
		rc = store->ops->documents(store, &query, read_document, directory);
	}
	if (rc == 0)
		return directory;
	directory_close(directory);
	errno = -rc;
	return NULL;
}

void directory_close(struct directory *directory)
{
	if (!directory)
		return;
	free(directory->customers.elements);
	free(directory->devices.elements);
	free(directory->users.elements);
	pthread_rwlock_destroy(&directory->lock);
	free(directory);
}
