/* SPDX-License-Identifier: BSD-3-Clause */
#include "metrics.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#ifdef HAVE_MICROHTTPD
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>

#define CONNECTIONS_MAX 8
#define TIMEOUT_S	10
/* What all counters, reasons and ports take as text, twice over. */
#define TEXT_BYTES (256u << 10)

struct metrics {
	struct daemon *daemon;
	struct MHD_Daemon *http;
	int fd;
};

struct text {
	char *data;
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(t->data + t->len, TEXT_BYTES - t->len, format, args);
	va_end(args);
	if (n > 0 && (size_t)n < TEXT_BYTES - t->len)
		t->len += (size_t)n;
}

/* "flow.total" is sekisho_flow_total. */
static void add_counter(struct text *t, const char *name, uint64_t value)
{
	char word[128];
	snprintf(word, sizeof(word), "%s", name);
	for (char *p = word; *p; p++)
		if (*p == '.' || *p == '-')
			*p = '_';
	add(t, "# TYPE sekisho_%s %s\nsekisho_%s %llu\n", word, strstr(word, "_active") ? "gauge" : "counter", word,
	    (unsigned long long)value);
}

static void add_port(struct text *t, const char *what, const struct account *a, size_t offset)
{
	add(t, "# TYPE sekisho_port_%s counter\n", what);
	for (unsigned i = 0; i < a->port_count; i++)
		add(t, "sekisho_port_%s{port=\"%s\"} %llu\n", what, a->ports[i].name,
		    *(const unsigned long long *)(const void *)((const char *)&a->ports[i] + offset));
}

static void add_packets(struct text *t, const struct worker_tally *tally)
{
	add(t, "# TYPE sekisho_packets counter\n");
	add(t, "sekisho_packets{what=\"received\"} %llu\n", (unsigned long long)tally->received);
	add(t, "sekisho_packets{what=\"forwarded\"} %llu\n", (unsigned long long)tally->forwarded);
	add(t, "sekisho_packets{what=\"bypassed\"} %llu\n", (unsigned long long)tally->bypassed);
	add(t, "sekisho_packets{what=\"dropped\"} %llu\n", (unsigned long long)tally->dropped);
}

static void write_all(struct daemon *d, struct account *a, struct text *t)
{
	unsigned late = 0;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	bool balanced = daemon_account(d, a, &late);
	add(t, "# TYPE sekisho_info gauge\nsekisho_info{version=\"%s\"} 1\n", SEKISHO_VERSION);
	add(t, "# TYPE sekisho_uptime_seconds gauge\nsekisho_uptime_seconds %llu\n",
	    (unsigned long long)((uint64_t)now.tv_sec - d->started_ns / 1000000000u));
	add(t, "# TYPE sekisho_ports_open gauge\nsekisho_ports_open %d\n", d->device != NULL);
	add(t, "# TYPE sekisho_accounts_balanced gauge\nsekisho_accounts_balanced %d\n", balanced);
	add(t, "# TYPE sekisho_workers_late gauge\nsekisho_workers_late %u\n", late);
	add(t, "# TYPE sekisho_rules_loaded gauge\nsekisho_rules_loaded %u\n", d->edition->rules.counts.loaded);
	add(t, "# TYPE sekisho_rules_edition gauge\nsekisho_rules_edition %llu\n",
	    (unsigned long long)d->edition->number);
	add(t, "# TYPE sekisho_records_lost counter\nsekisho_records_lost %llu\n",
	    (unsigned long long)journal_stats(d->journal).lost);
	add(t, "# TYPE sekisho_overload_step gauge\nsekisho_overload_step %u\n", a->overload.step);
	add_packets(t, &a->tally);
	for (unsigned i = 0; i < COUNTER_COUNT; i++)
		add_counter(t, counter_name((enum counter)i), a->counters.value[i]);
	add(t, "# TYPE sekisho_dropped counter\n");
	for (unsigned i = DROP_NONE + 1; i < DROP_REASON_COUNT; i++)
		add(t, "sekisho_dropped{reason=\"%s\"} %llu\n", drop_reason_name((enum drop_reason)i),
		    (unsigned long long)a->counters.drop[i]);
	add_port(t, "received", a, offsetof(struct io_port_stats, rx_packets));
	add_port(t, "sent", a, offsetof(struct io_port_stats, tx_packets));
	add_port(t, "missed", a, offsetof(struct io_port_stats, missed));
	add_port(t, "bypassed", a, offsetof(struct io_port_stats, bypassed));
	add_port(t, "refused", a, offsetof(struct io_port_stats, refused));
	add(t, "# TYPE sekisho_port_up gauge\n");
	for (unsigned i = 0; i < a->port_count; i++)
		add(t, "sekisho_port_up{port=\"%s\"} %d\n", a->ports[i].name, a->ports[i].up);
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, struct text *t)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(t->len, t->data, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(t->data);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
	enum MHD_Result result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *url, const char *method,
				  const char *version, const char *data, size_t *data_len, void **state)
{
	struct metrics *m = user;
	static char seen;
	(void)version;
	(void)data;
	if (*state != &seen) { /* the headers came; the request is answered when it is whole */
		*state = &seen;
		return MHD_YES;
	}
	*data_len = 0;
	struct text t = {.data = malloc(TEXT_BYTES)};
	struct account *account = malloc(sizeof(*account));
	enum MHD_Result result = MHD_NO;
	bool get = strcmp(method, "GET") == 0, found = strcmp(url, "/metrics") == 0;
	if (!t.data || !account) {
		free(t.data);
	} else if (get && found) {
		write_all(m->daemon, account, &t);
		result = answer(connection, MHD_HTTP_OK, &t);
	} else {
		add(&t, "GET /metrics is all there is\n");
		result = answer(connection, get ? MHD_HTTP_NOT_FOUND : MHD_HTTP_METHOD_NOT_ALLOWED, &t);
	}
	free(account);
	return result;
}

static void on_ready(void *user, short events)
{
	struct metrics *m = user;
	(void)events;
	MHD_run(m->http);
}

/* "127.0.0.1:9150" or "[::1]:9150". */
static bool parse_listen(const char *text, struct sockaddr_storage *address)
{
	char host[64];
	const char *colon = strrchr(text, ':');
	char *end;
	if (!colon || (size_t)(colon - text) >= sizeof(host))
		return false;
	unsigned long port = strtoul(colon + 1, &end, 10);
	if (*end || port == 0 || port > 65535)
		return false;
	size_t len = (size_t)(colon - text);
	bool v6 = len > 2 && text[0] == '[' && text[len - 1] == ']';
	memcpy(host, text + v6, len - 2 * v6);
	host[len - 2 * v6] = '\0';
	memset(address, 0, sizeof(*address));
	if (v6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)port);
		return inet_pton(AF_INET6, host, &in6->sin6_addr) == 1;
	}
	struct sockaddr_in *in = (struct sockaddr_in *)address;
	in->sin_family = AF_INET;
	in->sin_port = htons((uint16_t)port);
	return inet_pton(AF_INET, host, &in->sin_addr) == 1;
}

struct metrics *metrics_open(struct daemon *daemon, const char *listen, char *error)
{
	struct sockaddr_storage address;
	if (!parse_listen(listen, &address)) {
		snprintf(error, 256, "metrics.listen: \"%.100s\" is no ADDRESS:PORT", listen);
		return NULL;
	}
	struct metrics *m = calloc(1, sizeof(*m));
	if (!m) {
		snprintf(error, 256, "metrics.listen: %s", strerror(ENOMEM));
		return NULL;
	}
	m->daemon = daemon;
	unsigned flags = MHD_USE_EPOLL | (address.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0);
	errno = 0;
	m->http = MHD_start_daemon(flags, 0, NULL, NULL, on_request, m, MHD_OPTION_SOCK_ADDR, &address,
				   MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
				   TIMEOUT_S, MHD_OPTION_END);
	const union MHD_DaemonInfo *info = m->http ? MHD_get_daemon_info(m->http, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	m->fd = info ? info->epoll_fd : -1;
	const struct daemon_source source = {.fd = m->fd, .events = POLLIN, .ready = on_ready, .user = m};
	if (m->fd >= 0 && daemon_source_add(daemon, &source) == 0)
		return m;
	snprintf(error, 256, "metrics.listen %.100s: %s", listen, errno ? strerror(errno) : "it cannot be served");
	metrics_close(m);
	return NULL;
}

void metrics_close(struct metrics *m)
{
	if (!m)
		return;
	if (m->fd >= 0)
		daemon_source_remove(m->daemon, m->fd);
	if (m->http)
		MHD_stop_daemon(m->http);
	free(m);
}

#else

struct metrics *metrics_open(struct daemon *daemon, const char *listen, char *error)
{
	(void)daemon;
	snprintf(error, 256, "metrics.listen %.100s: this build has no libmicrohttpd: set it up with -Dmetrics=enabled",
		 listen);
	errno = ENOTSUP;
	return NULL;
}

void metrics_close(struct metrics *m)
{
	(void)m;
}

#endif
