/* SPDX-License-Identifier: BSD-3-Clause */
#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http_private.h"

#define SECOND_NS 1000000000ull
/* TLS 1.2 and later, with forward secrecy and authenticated encryption. */
#define TLS_PRIORITIES                                                                                                 \
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-CIPHER-ALL:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-GCM:"    \
	"-MAC-ALL:+AEAD"

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

void http_config_defaults(struct http_config *config)
{
	*config = (struct http_config){
		.connections_max = 1024, .connections_per_address = 64, .idle_s = 30, .request_s = 60};
}

/* --- connections, and those that dawdle -------------------------------------------------------------------------------- */

void http_phase(struct http_server *server, struct http_connection *connection, enum http_phase phase)
{
	if (!connection)
		return;
	pthread_mutex_lock(&server->lock);
	connection->phase = phase;
	connection->since_ns = now_ns();
	pthread_mutex_unlock(&server->lock);
}

static void name_peer(struct MHD_Connection *connection, char *text, size_t size)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *address = info ? info->client_addr : NULL;
	socklen_t len =
		address && address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	if (!address || getnameinfo(address, len, text, (socklen_t)size, NULL, 0, NI_NUMERICHOST) != 0)
		snprintf(text, size, "?");
	if (strncmp(text, "::ffff:", 7) == 0 && strchr(text, '.'))
		memmove(text, text + 7, strlen(text + 7) + 1);
}

static void begin_connection(struct http_server *server, struct MHD_Connection *connection, void **context)
{
	const union MHD_ConnectionInfo *fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct http_connection *c = calloc(1, sizeof(*c));
	*context = c;
	if (!c)
		return;
	c->fd = fd ? fd->connect_fd : -1;
	c->since_ns = now_ns();
	name_peer(connection, c->peer, sizeof(c->peer));
	pthread_mutex_lock(&server->lock);
	c->older = server->newest;
	if (c->older)
		c->older->newer = c;
	server->newest = c;
	pthread_mutex_unlock(&server->lock);
}

static void end_connection(struct http_server *server, struct http_connection *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&server->lock);
	if (c->newer)
		c->newer->older = c->older;
	else
		server->newest = c->older;
	if (c->older)
		c->older->newer = c->newer;
	pthread_mutex_unlock(&server->lock);
	free(c);
}

static void notify_connection(void *user, struct MHD_Connection *connection, void **context,
			      enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		begin_connection(user, connection, context);
	} else {
		end_connection(user, *context);
		*context = NULL;
	}
}

/* Ends what has been sent too slowly, a byte now and then: the idle timeout does not see that. The descriptor is open as long as
 * the connection is in the list. */
static void reap(struct http_server *server)
{
	uint64_t now = now_ns(), limit = server->config.request_s * SECOND_NS;
	for (struct http_connection *c = server->newest; c; c = c->older)
		if (c->phase != PHASE_ANSWER && c->fd >= 0 && now - c->since_ns > limit)
			shutdown(c->fd, SHUT_RDWR);
}

static void *reaper(void *context)
{
	struct http_server *server = context;
	pthread_mutex_lock(&server->lock);
	while (!server->end) {
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec++;
		pthread_cond_timedwait(&server->wake, &server->lock, &until);
		reap(server);
	}
	pthread_mutex_unlock(&server->lock);
	return NULL;
}

/* --- the server -------------------------------------------------------------------------------------------------------- */

static int split_listen(const char *listen, char *host, size_t size, const char **port)
{
	const char *colon = strrchr(listen, ':'), *begin = listen, *end = colon;
	if (!colon)
		return -EINVAL;
	if (*begin == '[') {
		if (colon == listen || colon[-1] != ']')
			return -EINVAL;
		begin++;
		end--;
	}
	if ((size_t)(end - begin) >= size)
		return -EINVAL;
	memcpy(host, begin, (size_t)(end - begin));
	host[end - begin] = 0;
	*port = colon + 1;
	return 0;
}

static int listen_on(const char *text, char *error)
{
	char host[64];
	const char *port;
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				       .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
	struct addrinfo *address = NULL;
	if (split_listen(text, host, sizeof(host), &port) != 0 ||
	    getaddrinfo(host[0] ? host : NULL, port, &hints, &address) != 0) {
		snprintf(error, HTTP_ERROR_MAX, "%s is no address and port to listen on, as 0.0.0.0:8443 or [::]:8443",
			 text);
		return -EINVAL;
	}
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), yes = 1, rc = 0;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
	    bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, 1024) != 0) {
		rc = -errno;
		snprintf(error, HTTP_ERROR_MAX, "cannot listen on %s: %s", text, strerror(errno));
		if (fd >= 0)
			close(fd);
	}
	freeaddrinfo(address);
	return rc ? rc : fd;
}

static unsigned thread_count(const struct http_config *config)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	if (config->threads)
		return config->threads;
	return cores < 2 ? 2 : cores > 8 ? 8 : (unsigned)cores;
}

static struct MHD_Daemon *start_daemon(struct http_server *server, int fd)
{
	const struct http_config *c = &server->config;
	const struct MHD_OptionItem ca[] = {{MHD_OPTION_HTTPS_MEM_TRUST, 0, (void *)(uintptr_t)c->client_ca},
					    {MHD_OPTION_END, 0, NULL}};
	return MHD_start_daemon(
		MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_TLS | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC,
		0, NULL, NULL, http_request_access, server, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_HTTPS_MEM_CERT,
		c->certificate, MHD_OPTION_HTTPS_MEM_KEY, c->key, MHD_OPTION_HTTPS_PRIORITIES, TLS_PRIORITIES,
		MHD_OPTION_URI_LOG_CALLBACK, http_request_new, server, MHD_OPTION_NOTIFY_COMPLETED, http_request_over,
		server, MHD_OPTION_NOTIFY_CONNECTION, notify_connection, server, MHD_OPTION_CONNECTION_TIMEOUT,
		c->idle_s, MHD_OPTION_CONNECTION_LIMIT, c->connections_max, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		c->connections_per_address, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_MEMORY_MAX,
		MHD_OPTION_THREAD_POOL_SIZE, thread_count(c), MHD_OPTION_STRICT_FOR_CLIENT, 1,
		c->client_ca ? MHD_OPTION_ARRAY : MHD_OPTION_END, ca, MHD_OPTION_END);
}

struct http_server *http_open(const struct http_config *config, char error[static HTTP_ERROR_MAX])
{
	pthread_condattr_t monotonic;
	struct http_server *server = calloc(1, sizeof(*server));
	if (!server) {
		snprintf(error, HTTP_ERROR_MAX, "out of memory");
		return NULL;
	}
	server->config = *config;
	pthread_mutex_init(&server->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&server->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	int fd = listen_on(config->listen, error);
	if (fd >= 0 && !(server->daemon = start_daemon(server, fd))) {
		snprintf(error, HTTP_ERROR_MAX,
			 "the HTTPS server on %s does not start: are certificate and key a pair?", config->listen);
		close(fd);
	}
	if (server->daemon && pthread_create(&server->reaper, NULL, reaper, server) != 0)
		snprintf(error, HTTP_ERROR_MAX, "no thread for the HTTPS server");
	else
		server->reaping = server->daemon != NULL;
	if (!server->reaping) {
		http_close(server);
		return NULL;
	}
	return server;
}

uint16_t http_port(const struct http_server *server)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_LISTEN_FD);
	struct sockaddr_storage address = {0};
	socklen_t len = sizeof(address);
	if (!info || getsockname(info->listen_fd, (struct sockaddr *)&address, &len) != 0)
		return 0;
	return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
						   : ((struct sockaddr_in *)&address)->sin_port);
}

void http_quiesce(struct http_server *server)
{
	__atomic_store_n(&server->quiet, true, __ATOMIC_RELEASE);
}

void http_close(struct http_server *server)
{
	if (!server)
		return;
	if (server->reaping) {
		pthread_mutex_lock(&server->lock);
		server->end = true;
		pthread_cond_signal(&server->wake);
		pthread_mutex_unlock(&server->lock);
		pthread_join(server->reaper, NULL);
	}
	if (server->daemon)
		MHD_stop_daemon(server->daemon);
	pthread_cond_destroy(&server->wake);
	pthread_mutex_destroy(&server->lock);
	free(server);
}
