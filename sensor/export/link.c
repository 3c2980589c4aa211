/* SPDX-License-Identifier: BSD-3-Clause */
#include "link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <curl/curl.h>

/* A certificate with its chain. */
#define PEM_BYTES_MAX (256u << 10)

struct link {
	const struct export_config *config;
	CURL *curl;
	struct curl_slist *plain, *packed;
	size_t address, began;
	struct link_reply *reply;
	uint64_t stop_ns;
	char error[CURL_ERROR_SIZE];
};

/* --- keys -------------------------------------------------------------------------------------------------------------- */

static char *read_pem(const char *value, const char *what, char *error)
{
	if (!value || !value[0]) {
		snprintf(error, EXPORT_ERROR_MAX, "soc.%s is not given", what);
		errno = EINVAL;
		return NULL;
	}
	if (strstr(value, "-----BEGIN "))
		return strdup(value);
	FILE *file = fopen(value, "re");
	char *text = file ? malloc(PEM_BYTES_MAX + 1) : NULL;
	size_t len = text ? fread(text, 1, PEM_BYTES_MAX + 1, file) : 0;
	int rc = !file ? errno : !text ? ENOMEM : ferror(file) ? EIO : len > PEM_BYTES_MAX ? EFBIG : 0;
	if (file)
		fclose(file);
	if (rc == 0) {
		text[len] = '\0';
		if (strstr(text, "-----BEGIN "))
			return text;
		rc = EINVAL;
		snprintf(error, EXPORT_ERROR_MAX, "soc.%s: %.150s is no PEM file", what, value);
	} else {
		snprintf(error, EXPORT_ERROR_MAX, "soc.%s: %.150s: %s", what, value, strerror(rc));
	}
	free(text);
	errno = rc;
	return NULL;
}

int link_keys_read(struct link_keys *keys, const struct export_config *config, char error[static EXPORT_ERROR_MAX])
{
	*keys = (struct link_keys){0};
	if ((keys->certificate = read_pem(config->certificate, "certificate", error)) &&
	    (keys->key = read_pem(config->key, "key", error)) && (keys->ca = read_pem(config->ca, "ca", error)))
		return 0;
	int rc = -errno;
	link_keys_free(keys);
	return rc;
}

void link_keys_free(struct link_keys *keys)
{
	free(keys->certificate);
	if (keys->key)
		explicit_bzero(keys->key, strlen(keys->key));
	free(keys->key);
	free(keys->ca);
	*keys = (struct link_keys){0};
}

/* --- curl's calls ------------------------------------------------------------------------------------------------------ */

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
	struct link *link = user;
	size_t len = size * count, room = sizeof(link->reply->body) - link->reply->len;
	memcpy(link->reply->body + link->reply->len, data, len < room ? len : room);
	link->reply->len += len < room ? len : room;
	return len <= room ? len : 0; /* too long: the request fails */
}

static size_t on_header(char *data, size_t size, size_t count, void *user)
{
	static const char name[] = "retry-after:";
	struct link *link = user;
	size_t len = size * count;
	if (len > sizeof(name) && strncasecmp(data, name, sizeof(name) - 1) == 0) {
		char text[24];
		snprintf(text, sizeof(text), "%.*s", (int)(len - sizeof(name) + 1), data + sizeof(name) - 1);
		link->reply->retry_after_s = strtoull(text, NULL, 10);
	}
	return len;
}

static int on_progress(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct link *link = user;
	struct timespec t;
	(void)a, (void)b, (void)c, (void)d;
	uint64_t stop = __atomic_load_n(&link->stop_ns, __ATOMIC_RELAXED);
	if (stop == 0)
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec >= stop;
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

static bool set_blob(CURL *curl, CURLoption option, char *pem)
{
	struct curl_blob blob = {.data = pem, .len = strlen(pem), .flags = CURL_BLOB_COPY};
	return curl_easy_setopt(curl, option, &blob) == CURLE_OK;
}

static bool set_up(struct link *link, const struct link_keys *keys)
{
	CURL *c = link->curl;
	const struct export_config *config = link->config;
	long timeout_ms = (long)(config->timeout_ns / 1000000);
	bool good = true;
#define SET(option, value) good = good && curl_easy_setopt(c, option, value) == CURLE_OK
	SET(CURLOPT_PROTOCOLS_STR, "https");
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_SSLCERTTYPE, "PEM");
	SET(CURLOPT_SSLKEYTYPE, "PEM");
	SET(CURLOPT_CAPATH, NULL); /* the SOC's own authority, none of the system's */
	SET(CURLOPT_CAINFO, NULL);
	SET(CURLOPT_PROXY, config->proxy ? config->proxy : "");
	SET(CURLOPT_NOPROXY, "");
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_TIMEOUT_MS, timeout_ms);
	SET(CURLOPT_CONNECTTIMEOUT_MS, timeout_ms < 10000 ? timeout_ms : 10000L);
	SET(CURLOPT_USERAGENT, "sekisho/" SEKISHO_VERSION);
	SET(CURLOPT_ERRORBUFFER, link->error);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, link);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, link);
	SET(CURLOPT_NOPROGRESS, 0L);
	SET(CURLOPT_XFERINFOFUNCTION, on_progress);
	SET(CURLOPT_XFERINFODATA, link);
#undef SET
	return good && set_blob(c, CURLOPT_SSLCERT_BLOB, keys->certificate) &&
	       set_blob(c, CURLOPT_SSLKEY_BLOB, keys->key) && set_blob(c, CURLOPT_CAINFO_BLOB, keys->ca);
}

struct link *link_open(const struct export_config *config, const struct link_keys *keys,
		       char error[static EXPORT_ERROR_MAX])
{
	struct link *link = calloc(1, sizeof(*link));
	if (!link)
		goto fail;
	link->config = config;
	link->curl = curl_easy_init();
	/* a server that answers 100 to Expect costs a round trip, one that does not a second */
	link->plain = curl_slist_append(NULL, "Expect:");
	link->packed = curl_slist_append(NULL, "Expect:");
	if (link->packed)
		curl_slist_append(link->packed, "Content-Encoding: gzip");
	if (link->curl && link->plain && link->packed && set_up(link, keys))
		return link;
	link_close(link);
fail:
	snprintf(error, EXPORT_ERROR_MAX, "soc: this libcurl cannot do HTTPS with certificates from memory");
	errno = ENOTSUP;
	return NULL;
}

void link_close(struct link *link)
{
	if (!link)
		return;
	curl_easy_cleanup(link->curl);
	curl_slist_free_all(link->plain);
	curl_slist_free_all(link->packed);
	free(link);
}

void link_stop(struct link *link, uint64_t at_ns)
{
	__atomic_store_n(&link->stop_ns, at_ns, __ATOMIC_RELAXED);
}

const char *link_address(const struct link *link)
{
	return link->config->addresses[link->address];
}

bool link_next(struct link *link)
{
	link->address = (link->address + 1) % link->config->address_count;
	return link->address != link->began;
}

/* --- requests ---------------------------------------------------------------------------------------------------------- */

static enum link_trouble trouble_of(CURLcode code, const char *words)
{
	switch (code) {
	case CURLE_OK:
		return LINK_NONE;
	case CURLE_ABORTED_BY_CALLBACK:
		return LINK_STOPPED;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_CRL_BADFILE:
		return LINK_REFUSED;
	default:
		/* a refused client certificate shows as an alert, in TLS 1.3 only when the answer is read */
		return strstr(words, "alert") ? LINK_REFUSED : LINK_NETWORK;
	}
}

void link_post(struct link *link, const char *path, const char *type, bool gzip, const void *body, size_t len,
	       struct link_reply *reply)
{
	char url[1024], header[128];
	CURL *c = link->curl;
	const char *address = link_address(link);
	size_t base = strlen(address);
	while (base > 0 && address[base - 1] == '/')
		base--;
	snprintf(url, sizeof(url), "%.*s%s", (int)base, address, path);
	snprintf(header, sizeof(header), "Content-Type: %s", type);
	memset(reply, 0, sizeof(*reply));
	link->reply = reply;
	link->error[0] = '\0';
	/* the type stands before the list that is the same for all */
	struct curl_slist first = {.data = header, .next = gzip ? link->packed : link->plain};
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, &first);
	curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
	CURLcode code = curl_easy_perform(c);
	reply->trouble = trouble_of(code, link->error);
	if (code == CURLE_OK)
		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &reply->status);
	else
		snprintf(reply->why, sizeof(reply->why), "%.160s: %.80s", address,
			 link->error[0] ? link->error : curl_easy_strerror(code));
	if (code == CURLE_OK)
		link->began = link->address; /* a round begins with the last that answered */
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(c, CURLOPT_POSTFIELDS, NULL);
}
