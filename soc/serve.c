/* SPDX-License-Identifier: BSD-3-Clause */
/* sekisho-soc serve: the SOC, its HTTPS server, and what stands between the two. */
#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api.h"
#include "command.h"
#include "http.h"
#include "ingest.h"
#include "renew.h"

struct service {
	struct settings settings;
	struct authority *authority;
	char *certificate, *key, *password;
	struct soc *soc;
	struct ingest *ingest;
	struct api *api;
	const char *addresses[SETTINGS_ADDRESSES_MAX];
	struct http_server *http;
	int lock;
};

/* --- who answers what --------------------------------------------------------------------------------------------------- */

static void begin(void *user, struct http_request *request)
{
	struct service *s = user;
	if (ingest_has(http_path(request)))
		ingest_begin(s->ingest, request);
	else
		api_begin(s->api, request);
}

static void body(void *user, struct http_request *request, const void *data, size_t len)
{
	struct service *s = user;
	if (ingest_has(http_path(request)))
		ingest_body(s->ingest, request, data, len);
	else
		api_body(s->api, request, data, len);
}

static void end(void *user, struct http_request *request)
{
	struct service *s = user;
	if (ingest_has(http_path(request)))
		ingest_end(s->ingest, request);
	else
		api_end(s->api, request);
}

static void gone(void *user, struct http_request *request)
{
	struct service *s = user;
	if (ingest_has(http_path(request)))
		ingest_gone(s->ingest, request);
	else
		api_gone(s->api, request);
}

static const struct http_handler handler = {begin, body, end, gone};

/* --- life --------------------------------------------------------------------------------------------------------------- */

static int fail(const char *why)
{
	say_line(NULL, true, why);
	return EXIT_WRONG;
}

static int open_keys(struct service *s)
{
	char error[AUTHORITY_ERROR_MAX];
	s->authority = authority_open(s->settings.folder, error);
	if (!s->authority || renew_server(&s->settings, s->authority, error) != 0)
		return fail(error);
	s->certificate = file_text(s->settings.folder, SOC_CERTIFICATE_FILE);
	s->key = file_text(s->settings.folder, SOC_KEY_FILE);
	return s->certificate && s->key ? EXIT_FINE : fail("the server's certificate or key cannot be read");
}

static int open_soc(struct service *s)
{
	char error[SOC_ERROR_MAX];
	struct soc_config config;
	struct ingest_config limits;
	settings_to_config(&s->settings, &config);
	if (s->settings.mail_password_file[0]) {
		const char *path = s->settings.mail_password_file;
		s->password = file_text(*path == '/' ? "" : s->settings.folder, path);
		if (!s->password)
			return fail("mail.password-file cannot be read");
		s->password[strcspn(s->password, "\r\n")] = 0;
		config.mail.password = s->password;
	}
	curl_global_init(CURL_GLOBAL_DEFAULT); /* before threads use it */
	s->soc = soc_open(&config, error);
	if (!s->soc)
		return fail(error);
	ingest_config_defaults(&limits);
	limits.records_per_second = (double)s->settings.rate_records;
	limits.records_burst = (double)s->settings.rate_burst;
	s->ingest = ingest_open(s->soc, &limits);
	for (unsigned i = 0; i < s->settings.address_count; i++)
		s->addresses[i] = s->settings.addresses[i];
	const struct api_config api = {s->soc, s->ingest, s->authority, s->addresses, s->settings.address_count};
	s->api = api_open(&api);
	return s->ingest && s->api ? EXIT_FINE : fail("out of memory");
}

static int open_http(struct service *s)
{
	char error[HTTP_ERROR_MAX];
	struct http_config config;
	http_config_defaults(&config);
	config.listen = s->settings.listen;
	config.certificate = s->certificate;
	config.key = s->key;
	config.client_ca = authority_certificate(s->authority);
	config.threads = (unsigned)s->settings.threads;
	config.connections_max = (unsigned)s->settings.connections;
	config.connections_per_address = (unsigned)s->settings.connections_per_address;
	config.handler = &handler;
	config.user = s;
	config.say = say_line;
	s->http = http_open(&config, error);
	return s->http ? EXIT_FINE : fail(error);
}

/* Who is waited for first asks others nothing more. */
static void close_service(struct service *s)
{
	if (s->http)
		http_quiesce(s->http);
	if (s->soc)
		soc_finish(s->soc);
	http_close(s->http);
	api_close(s->api);
	ingest_close(s->ingest);
	soc_close(s->soc);
	authority_close(s->authority);
	if (s->key)
		explicit_bzero(s->key, strlen(s->key));
	if (s->password)
		explicit_bzero(s->password, strlen(s->password));
	free(s->password);
	free(s->key);
	free(s->certificate);
	if (s->lock >= 0)
		close(s->lock);
}

/* systemd's readiness protocol, where somebody waits for it: sd_notify(3). */
static void tell_supervisor(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (!path || (*path != '/' && *path != '@') || strlen(path) >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, strlen(path));
	if (*path == '@')
		address.sun_path[0] = 0;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address,
	       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)));
	close(fd);
}

static int serve(struct service *s)
{
	sigset_t ends;
	int signal;
	char text[160];
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	/* before the threads: each of them inherits it, and only sigwait gets them */
	pthread_sigmask(SIG_BLOCK, &ends, NULL);
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigaction(SIGPIPE, &ignore, NULL);
	int rc = open_keys(s);
	if (rc == EXIT_FINE)
		rc = open_soc(s);
	if (rc == EXIT_FINE)
		rc = open_http(s);
	if (rc != EXIT_FINE)
		return rc;
	snprintf(text, sizeof(text), "serving on port %u (%s)", http_port(s->http), s->settings.listen);
	say_line(NULL, false, text);
	tell_supervisor("READY=1");
	sigwait(&ends, &signal);
	tell_supervisor("STOPPING=1");
	say_line(NULL, false, "ending: what has come is stored first");
	return EXIT_FINE;
}

static void usage(FILE *out)
{
	fputs("usage: sekisho-soc serve [-d FOLDER]\n\n"
	      "  -d, --folder FOLDER  the SOC's folder, with soc.yaml (default " SOC_FOLDER ")\n"
	      "  -h, --help           show this\n\n"
	      "Runs until SIGTERM or SIGINT. The settings: sekisho-soc help settings.\n",
	      out);
}

int cmd_serve(int argc, char **argv)
{
	static const struct option options[] = {
		{"folder", required_argument, NULL, 'd'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	static struct service s;
	const char *folder = SOC_FOLDER;
	char error[SETTINGS_ERROR_MAX];
	for (int c; (c = getopt_long(argc, argv, "d:h", options, NULL)) != -1;) {
		if (c == 'h')
			usage(stdout);
		else if (c != 'd')
			usage(stderr);
		if (c != 'd')
			return c == 'h' ? EXIT_FINE : EXIT_USAGE;
		folder = optarg;
	}
	if (settings_read(&s.settings, folder, error) != 0)
		return fail(error);
	s.lock = folder_lock(folder);
	if (s.lock < 0)
		return fail(s.lock == -EWOULDBLOCK ? "a SOC runs on this folder already"
						   : "the folder cannot be locked: whose is it?");
	int rc = serve(&s);
	close_service(&s);
	return rc;
}
