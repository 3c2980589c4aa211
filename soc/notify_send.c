/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads that send notices by libcurl. */
#include "notify.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_MAX    1024
#define THREADS_MAX  8
#define RESPONSE_MAX 4096 /* of a webhook's answer, which nobody reads */

struct letter {
	struct letter *next;
	struct contact contact;
	uint64_t notice;
	char *text;
	size_t len, given;
};

struct sender {
	struct sender_config config;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct letter *first, **last;
	unsigned queued, started;
	bool end;
	pthread_t threads[THREADS_MAX];
};

/* --- one letter ------------------------------------------------------------------------------------------------------------ */

static size_t give(char *buffer, size_t size, size_t count, void *user)
{
	struct letter *letter = user;
	size_t len = letter->len - letter->given;
	if (len > size * count)
		len = size * count;
	memcpy(buffer, letter->text + letter->given, len);
	letter->given += len;
	return len;
}

static size_t ignore(char *data, size_t size, size_t count, void *user)
{
	size_t *seen = user;
	(void)data;
	*seen += size * count;
	return *seen > RESPONSE_MAX ? 0 : size * count;
}

/* When the sender ends, no letter holds it up. */
static int progress(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct sender *sender = user;
	(void)a, (void)b, (void)c, (void)d;
	return __atomic_load_n(&sender->end, __ATOMIC_ACQUIRE);
}

static void set_common(CURL *curl, struct sender *sender, char *why)
{
	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)sender->config.timeout_s);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, sender);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
}

static CURLcode send_mail(CURL *curl, struct sender *sender, struct letter *letter, char *why)
{
	const struct sender_config *c = &sender->config;
	char from[NOTIFY_ADDRESS_MAX + 2], to[NOTIFY_ADDRESS_MAX + 2];
	size_t seen = 0;
	snprintf(from, sizeof(from), "<%.*s>", NOTIFY_ADDRESS_MAX - 1, c->from);
	snprintf(to, sizeof(to), "<%.*s>", NOTIFY_ADDRESS_MAX - 1, letter->contact.address);
	struct curl_slist *recipients = curl_slist_append(NULL, to);
	set_common(curl, sender, why);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	curl_easy_setopt(curl, CURLOPT_URL, c->server);
	curl_easy_setopt(curl, CURLOPT_USE_SSL, c->starttls ? (long)CURLUSESSL_ALL : (long)CURLUSESSL_TRY);
	if (c->user && *c->user) {
		curl_easy_setopt(curl, CURLOPT_USERNAME, c->user);
		curl_easy_setopt(curl, CURLOPT_PASSWORD, c->password ? c->password : "");
	}
	curl_easy_setopt(curl, CURLOPT_MAIL_FROM, from);
	curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, recipients);
	curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(curl, CURLOPT_READFUNCTION, give);
	curl_easy_setopt(curl, CURLOPT_READDATA, letter);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &seen);
	CURLcode code = curl_easy_perform(curl);
	curl_slist_free_all(recipients);
	return code;
}

static struct curl_slist *sign(const struct letter *letter)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	char header[32 + 2 * EVP_MAX_MD_SIZE];
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	const char *secret = letter->contact.secret;
	if (!*secret || !HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)letter->text,
			      letter->len, digest, &len))
		return headers;
	size_t at = (size_t)snprintf(header, sizeof(header), "X-Sekisho-Signature: sha256=");
	for (unsigned i = 0; i < len; i++)
		at += (size_t)snprintf(header + at, sizeof(header) - at, "%02x", digest[i]);
	return curl_slist_append(headers, header);
}

static CURLcode send_webhook(CURL *curl, struct sender *sender, struct letter *letter, char *why)
{
	struct curl_slist *headers = sign(letter);
	size_t seen = 0;
	set_common(curl, sender, why);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_URL, letter->contact.address);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, letter->text);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)letter->len);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &seen);
	curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
	CURLcode code = curl_easy_perform(curl);
	curl_slist_free_all(headers);
	/* an answer that is too long was an answer */
	long status = 0;
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	return code == CURLE_WRITE_ERROR && status < 300 ? CURLE_OK : code;
}

static void send_letter(CURL *curl, struct sender *sender, struct letter *letter)
{
	char why[CURL_ERROR_SIZE] = "", words[CURL_ERROR_SIZE];
	bool mail = letter->contact.kind == CONTACT_MAIL;
	CURLcode code = CURLE_URL_MALFORMAT;
	if (!curl)
		snprintf(why, sizeof(why), "out of memory");
	else if (mail && (!sender->config.server || !*sender->config.server))
		snprintf(why, sizeof(why), "no mail server is set (mail.server in soc.yaml)");
	else
		code = mail ? send_mail(curl, sender, letter, why) : send_webhook(curl, sender, letter, why);
	snprintf(words, sizeof(words), "%s", *why ? why : curl_easy_strerror(code));
	sender->config.done(sender->config.context, letter->notice, code == CURLE_OK ? 0 : -EIO, words);
}

/* --- threads --------------------------------------------------------------------------------------------------------------- */

static void free_letter(struct letter *letter)
{
	free(letter->text);
	free(letter);
}

static void *sender_main(void *user)
{
	struct sender *sender = user;
	CURL *curl = curl_easy_init();
	pthread_mutex_lock(&sender->lock);
	for (;;) {
		while (!sender->first && !sender->end)
			pthread_cond_wait(&sender->wake, &sender->lock);
		struct letter *letter = sender->first;
		if (!letter)
			break;
		sender->first = letter->next;
		if (!sender->first)
			sender->last = &sender->first;
		sender->queued--;
		pthread_mutex_unlock(&sender->lock);
		send_letter(curl, sender, letter);
		free_letter(letter);
		pthread_mutex_lock(&sender->lock);
	}
	pthread_mutex_unlock(&sender->lock);
	curl_easy_cleanup(curl);
	return NULL;
}

struct sender *sender_open(const struct sender_config *config)
{
	struct sender *sender = calloc(1, sizeof(*sender));
	unsigned threads = config->threads && config->threads < THREADS_MAX ? config->threads : THREADS_MAX;
	if (!sender)
		return NULL;
	sender->config = *config;
	sender->last = &sender->first;
	pthread_mutex_init(&sender->lock, NULL);
	pthread_cond_init(&sender->wake, NULL);
	while (sender->started < threads &&
	       pthread_create(&sender->threads[sender->started], NULL, sender_main, sender) == 0)
		sender->started++;
	if (sender->started)
		return sender;
	sender_close(sender);
	return NULL;
}

int sender_send(struct sender *sender, const struct contact *contact, uint64_t notice, char *text)
{
	struct letter *letter = text ? calloc(1, sizeof(*letter)) : NULL;
	if (!letter) {
		free(text);
		return -EAGAIN;
	}
	letter->contact = *contact;
	letter->notice = notice;
	letter->text = text;
	letter->len = strlen(text);
	pthread_mutex_lock(&sender->lock);
	bool full = sender->queued == QUEUE_MAX || sender->end;
	if (!full) {
		*sender->last = letter;
		sender->last = &letter->next;
		sender->queued++;
		pthread_cond_signal(&sender->wake);
	}
	pthread_mutex_unlock(&sender->lock);
	if (full)
		free_letter(letter);
	return full ? -EAGAIN : 0;
}

void sender_close(struct sender *sender)
{
	if (!sender)
		return;
	pthread_mutex_lock(&sender->lock);
	__atomic_store_n(&sender->end, true, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&sender->wake);
	pthread_mutex_unlock(&sender->lock);
	for (unsigned i = 0; i < sender->started; i++)
		pthread_join(sender->threads[i], NULL);
	pthread_cond_destroy(&sender->wake);
	pthread_mutex_destroy(&sender->lock);
	free(sender);
}
