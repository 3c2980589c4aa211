/* SPDX-License-Identifier: BSD-3-Clause */
#include "control.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "answers.h"
#include "json.h"

/* Clients at a time; more wait to be accepted. */
#define CLIENTS_MAX 16
/* A request: names and a few numbers. */
#define REQUEST_MAX 4096
/* An answer: the largest is the costliest rules of all workers. */
#define ANSWER_BYTES (1u << 20)
/* How long a worker may take to answer: some bursts. */
#define ASK_TIMEOUT_NS 500000000ull
#define TOP_DEFAULT    20

struct client {
	struct control *control;
	int fd; /* -1: free */
	size_t request_len, answer_len, sent;
	char *answer; /* NULL: the request is not whole yet */
	char request[REQUEST_MAX];
};

struct control {
	struct daemon *daemon;
	int fd;
	char *path;
	struct json json;
	struct client clients[CLIENTS_MAX];
};

static uint64_t monotonic_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* --- answers ----------------------------------------------------------------------------------------------------------------- */

/* Each puts its members into the answer, or returns what is wrong with the request. */
typedef const char *(*answer_fn)(struct control *control, const json_t *request);

static const char *answer_status(struct control *c, const json_t *request)
{
	struct daemon *d = c->daemon;
	struct json *j = &c->json;
	(void)request;
	jw_string(j, "version", SEKISHO_VERSION);
	jw_uint(j, "pid", (uint64_t)getpid());
	jw_uint(j, "uptime", (monotonic_ns() - d->started_ns) / 1000000000u);
	jw_string(j, "device", d->device ? d->device->about : "a port is gone and looked for");
	jw_bool(j, "ports_open", d->device != NULL);
	jw_uint(j, "workers", d->lanes.count);
	jw_object(j, "rules");
	jw_uint(j, "loaded", d->edition->rules.counts.loaded);
	jw_uint(j, "waiting", d->edition->rules.counts.waiting);
	jw_uint(j, "failed", d->edition->rules.counts.failed);
	jw_uint(j, "edition", d->edition->number);
	jw_close(j);
	jw_object(j, "reload");
	jw_bool(j, "running", reload_is_running(&d->reload));
	jw_uint(j, "done", d->reload.done);
	jw_uint(j, "refused", d->reload.refused);
	if (d->reload.done + d->reload.refused > 0) {
		jw_bool(j, "good", d->reload.result.good);
		jw_string(j, "text", d->reload.result.text);
		jw_number(j, "seconds", d->reload.result.seconds);
	}
	jw_close(j);
	return NULL;
}

static const char *answer_stats(struct control *c, const json_t *request)
{
	struct daemon *d = c->daemon;
	(void)request;
	struct account *account = malloc(sizeof(*account));
	if (!account)
		return strerror(ENOMEM);
	daemon_put_stats(d, account, &c->json);
	free(account);
	return NULL;
}

/* The number that a request gives, within limits; -1 when it is none. */
static int wanted(const json_t *request, int most)
{
	const json_t *count = json_object_get(request, "count");
	if (!count)
		return TOP_DEFAULT;
	json_int_t n = json_is_integer(count) ? json_integer_value(count) : 0;
	return n < 1 ? -1 : n > most ? most : (int)n;
}

static int flow_order(const void *a, const void *b)
{
	const struct top_flow *x = a, *y = b;
	uint64_t i = x->bytes[0] + x->bytes[1], k = y->bytes[0] + y->bytes[1];
	return i < k ? 1 : i > k ? -1 : 0;
}

static void put_address(struct json *j, const char *name, const union packet_addr *addr, uint8_t family)
{
	char text[INET6_ADDRSTRLEN] = "";
	inet_ntop(family == 4 ? AF_INET : AF_INET6, addr->bytes, text, sizeof(text));
	jw_string(j, name, text);
}

static void put_flow(struct json *j, const struct top_flow *f)
{
	const struct app_proto *app = app_proto_by_id((enum app_id)f->app_proto);
	jw_object(j, NULL);
	put_address(j, "client", &f->key.addr[0], f->key.family);
	jw_uint(j, "client_port", f->key.port[0]);
	put_address(j, "server", &f->key.addr[1], f->key.family);
	jw_uint(j, "server_port", f->key.port[1]);
	jw_uint(j, "proto", f->key.proto);
	jw_string(j, "app_proto", app ? app->name : "");
	jw_uint(j, "bytes_to_server", f->bytes[0]);
	jw_uint(j, "bytes_to_client", f->bytes[1]);
	jw_uint(j, "packets_to_server", f->packets[0]);
	jw_uint(j, "packets_to_client", f->packets[1]);
	jw_time(j, "start", f->first_ns);
	jw_bool(j, "bypassed", f->flags & FLOW_BYPASS);
	jw_bool(j, "dropped", f->flags & FLOW_DROP);
	jw_close(j);
}

static const char *answer_flows(struct control *c, const json_t *request)
{
	struct lanes *lanes = &c->daemon->lanes;
	int most = wanted(request, TOP_FLOWS_MAX);
	if (most < 0)
		return "count must be a number above 0";
	struct top_flows *top = malloc(sizeof(*top));
	struct top_flow *all = calloc((size_t)lanes->count * TOP_FLOWS_MAX, sizeof(*all));
	size_t n = 0;
	uint64_t seen = 0;
	unsigned late = 0;
	for (unsigned i = 0; top && all && i < lanes->count; i++) {
		top_flows_init(top, (unsigned)most);
		if (worker_ask(lanes->items[i].worker, &top->request, ASK_TIMEOUT_NS) != 0) {
			late++;
			continue;
		}
		memcpy(all + n, top->flows, top->count * sizeof(*all));
		n += top->count;
		seen += top->seen;
	}
	if (all)
		qsort(all, n, sizeof(*all), flow_order);
	jw_uint(&c->json, "flows_in_all", seen);
	jw_uint(&c->json, "workers_late", late);
	jw_array(&c->json, "flows");
	for (size_t i = 0; all && i < n && i < (size_t)most; i++)
		put_flow(&c->json, &all[i]);
	jw_close(&c->json);
	free(top);
	free(all);
	return NULL;
}

/* Switches the measuring of rules in every worker. The number of those that did. */
static unsigned switch_profile(struct control *c, bool on)
{
	struct daemon *d = c->daemon;
	unsigned good = 0;
	for (unsigned i = 0; i < d->lanes.count; i++) {
		struct profile_switch change;
		if (profile_switch_init(&change, d->edition->rules.ruleset, on) != 0)
			continue;
		good += worker_ask(d->lanes.items[i].worker, &change.request, ASK_TIMEOUT_NS) == 0 && change.taken;
		profile_switch_free(&change);
	}
	d->reload.profile = on;
	return good;
}

static int rule_order(const void *a, const void *b)
{
	const struct top_rule *x = a, *y = b;
	return x->ns < y->ns ? 1 : x->ns > y->ns ? -1 : 0;
}

/* Adds up what several workers say of one rule. */
static size_t merge_rules(struct top_rule *rules, size_t n, const struct top_rule *more)
{
	for (size_t i = 0; i < n; i++) {
		if (rules[i].gid != more->gid || rules[i].sid != more->sid)
			continue;
		rules[i].checks += more->checks;
		rules[i].matches += more->matches;
		rules[i].ns += more->ns;
		return n;
	}
	rules[n] = *more;
	return n + 1;
}

static void put_rules(struct control *c, const struct top_rule *rules, size_t n)
{
	jw_array(&c->json, "rules");
	for (size_t i = 0; i < n; i++) {
		jw_object(&c->json, NULL);
		jw_uint(&c->json, "gid", rules[i].gid);
		jw_uint(&c->json, "sid", rules[i].sid);
		jw_uint(&c->json, "rev", rules[i].rev);
		jw_string(&c->json, "msg", rules[i].msg);
		jw_uint(&c->json, "checks", rules[i].checks);
		jw_uint(&c->json, "matches", rules[i].matches);
		jw_uint(&c->json, "ns", rules[i].ns);
		jw_close(&c->json);
	}
	jw_close(&c->json);
}

static const char *answer_profile(struct control *c, const json_t *request)
{
	struct lanes *lanes = &c->daemon->lanes;
	const json_t *on = json_object_get(request, "on");
	if (on && !json_is_boolean(on))
		return "on must be true or false";
	if (on) {
		jw_uint(&c->json, "workers", switch_profile(c, json_is_true(on)));
		return NULL;
	}
	int most = wanted(request, TOP_RULES_MAX);
	if (most < 0)
		return "count must be a number above 0";
	struct top_rules *top = malloc(sizeof(*top));
	struct top_rule *all = calloc((size_t)lanes->count * TOP_RULES_MAX, sizeof(*all));
	size_t n = 0;
	for (unsigned i = 0; top && all && i < lanes->count; i++) {
		top_rules_init(top, TOP_RULES_MAX);
		if (worker_ask(lanes->items[i].worker, &top->request, ASK_TIMEOUT_NS) != 0)
			continue;
		for (unsigned k = 0; k < top->count; k++)
			n = merge_rules(all, n, &top->rules[k]);
	}
	if (all)
		qsort(all, n, sizeof(*all), rule_order);
	jw_bool(&c->json, "measuring", c->daemon->reload.profile);
	put_rules(c, all, n < (size_t)most ? n : (size_t)most);
	free(top);
	free(all);
	return NULL;
}

static const char *take_block(const json_t *request, struct block *block)
{
	const char *address = json_string_value(json_object_get(request, "address"));
	return address && block_parse(address, block) ? NULL : "address must be an IP address or a prefix";
}

static const char *put_in_force(struct control *c)
{
	struct daemon *d = c->daemon;
	d->blocklist_changed = lanes_publish_blocklist(&d->lanes) != 0;
	jw_bool(&c->json, "in_force", !d->blocklist_changed);
	return NULL;
}

static const char *answer_block(struct control *c, const json_t *request)
{
	const json_t *seconds = json_object_get(request, "seconds");
	const char *why = json_string_value(json_object_get(request, "why"));
	struct block block;
	const char *wrong = take_block(request, &block);
	if (wrong)
		return wrong;
	if (seconds && (!json_is_integer(seconds) || json_integer_value(seconds) < 1))
		return "seconds must be a number above 0";
	if (seconds)
		block.until_s = (uint64_t)time(NULL) + (uint64_t)json_integer_value(seconds);
	snprintf(block.why, sizeof(block.why), "%s", why ? why : "");
	if (blocklist_add(c->daemon->lanes.blocklist, &block) != 0)
		return "the list is full: unblock something first";
	return put_in_force(c);
}

static const char *answer_unblock(struct control *c, const json_t *request)
{
	struct block block;
	const char *wrong = take_block(request, &block);
	if (wrong)
		return wrong;
	if (!blocklist_remove(c->daemon->lanes.blocklist, &block))
		return "it is not blocked";
	return put_in_force(c);
}

static const char *answer_hosts(struct control *c, const json_t *request)
{
	unsigned count;
	const struct block *blocks = blocklist_entries(c->daemon->lanes.blocklist, &count);
	uint64_t now = (uint64_t)time(NULL);
	char text[BLOCK_TEXT_MAX];
	(void)request;
	jw_array(&c->json, "hosts");
	for (unsigned i = 0; i < count; i++) {
		jw_object(&c->json, NULL);
		block_text(&blocks[i], text);
		jw_string(&c->json, "address", text);
		jw_string(&c->json, "why", blocks[i].why);
		if (blocks[i].until_s)
			jw_uint(&c->json, "seconds_left", blocks[i].until_s > now ? blocks[i].until_s - now : 0);
		jw_close(&c->json);
	}
	jw_close(&c->json);
	return NULL;
}

static const char *answer_reload(struct control *c, const json_t *request)
{
	(void)request;
	jw_uint(&c->json, "before", c->daemon->reload.done + c->daemon->reload.refused);
	daemon_reload(c->daemon);
	return NULL;
}

static const char *answer_reopen(struct control *c, const json_t *request)
{
	(void)request;
	daemon_reopen(c->daemon);
	return NULL;
}

static const char *answer_shutdown(struct control *c, const json_t *request)
{
	(void)request;
	daemon_end(c->daemon);
	return NULL;
}

static const struct {
	const char *name;
	answer_fn fn;
} commands[] = {
	{"status", answer_status}, {"stats", answer_stats},	  {"flows", answer_flows}, {"profile", answer_profile},
	{"block", answer_block},   {"unblock", answer_unblock},	  {"hosts", answer_hosts}, {"reload", answer_reload},
	{"reopen", answer_reopen}, {"shutdown", answer_shutdown},
};

static const char *answer(struct control *c, const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "command"));
	if (!name)
		return "a request is one line: {\"command\": NAME, ...}";
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, name) == 0)
			return commands[i].fn(c, request);
	return "there is no such command";
}

/* --- clients ------------------------------------------------------------------------------------------------------------------- */

static void client_end(struct client *client)
{
	daemon_source_remove(client->control->daemon, client->fd);
	close(client->fd);
	free(client->answer);
	client->answer = NULL;
	client->fd = -1;
}

/* Writes what the client takes now; true when that was all, or it is gone. */
static bool client_write(struct client *client)
{
	while (client->sent < client->answer_len) {
		ssize_t n = send(client->fd, client->answer + client->sent, client->answer_len - client->sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return false; /* a client that does not read costs its place, and nobody else's time */
		if (n <= 0)
			break;
		client->sent += (size_t)n;
	}
	client_end(client);
	return true;
}

static void on_writable(void *user, short events)
{
	(void)events;
	(void)client_write(user);
}

static void client_answer(struct client *client)
{
	struct control *c = client->control;
	struct json *j = &c->json;
	json_t *request = json_loadb(client->request, client->request_len, 0, NULL);
	jw_begin(j);
	const char *wrong = json_is_object(request) ? answer(c, request) : "the request is no JSON object";
	json_decref(request);
	jw_bool(j, "ok", !wrong);
	if (wrong)
		jw_string(j, "error", wrong);
	bool fits = jw_end(j);
	client->answer = fits ? malloc(j->len) : NULL;
	if (!client->answer) {
		client_end(client);
		return;
	}
	memcpy(client->answer, j->buf, j->len);
	client->answer_len = j->len;
	if (client_write(client))
		return;
	daemon_source_remove(c->daemon, client->fd);
	const struct daemon_source source = {.fd = client->fd, .events = POLLOUT, .ready = on_writable, .user = client};
	if (daemon_source_add(c->daemon, &source) != 0)
		client_end(client);
}

static void on_readable(void *user, short events)
{
	struct client *client = user;
	(void)events;
	size_t room = sizeof(client->request) - client->request_len;
	ssize_t n = recv(client->fd, client->request + client->request_len, room, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		client->request_len += (size_t)n;
	bool whole = memchr(client->request, '\n', client->request_len) != NULL;
	if (whole || (n == 0 && client->request_len > 0) || client->request_len == sizeof(client->request))
		client_answer(client);
	else if (n <= 0)
		client_end(client);
}

static void on_connect(void *user, short events)
{
	struct control *c = user;
	(void)events;
	int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct client *client = &c->clients[i];
		if (client->fd >= 0)
			continue;
		*client = (struct client){.control = c, .fd = fd};
		const struct daemon_source source = {.fd = fd, .events = POLLIN, .ready = on_readable, .user = client};
		if (daemon_source_add(c->daemon, &source) != 0)
			client_end(client);
		return;
	}
	close(fd); /* all places are taken: it may try again */
}

/* --- the socket ------------------------------------------------------------------------------------------------------------------ */

/* Binds; a socket that nobody listens at is what a killed predecessor left. */
static int bind_at(int fd, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return 0;
	if (errno != EADDRINUSE)
		return -errno;
	int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (probe < 0)
		return -errno;
	bool alive = connect(probe, (struct sockaddr *)&address, sizeof(address)) == 0 || errno != ECONNREFUSED;
	close(probe);
	if (alive)
		return -EADDRINUSE;
	unlink(path);
	return bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : -errno;
}

struct control *control_open(struct daemon *daemon, const char *path, char *error)
{
	struct control *c = calloc(1, sizeof(*c));
	int rc = -ENOMEM;
	if (!c)
		goto fail;
	c->daemon = daemon;
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		c->clients[i].fd = -1;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0 || jw_init(&c->json, ANSWER_BYTES) != 0)
		goto fail;
	mode_t mask = umask(0177); /* who may open it is who started the sensor */
	rc = bind_at(c->fd, path);
	umask(mask);
	if (rc == 0)
		c->path = strdup(path);
	if (rc == 0 && listen(c->fd, CLIENTS_MAX) != 0)
		rc = -errno;
	const struct daemon_source source = {.fd = c->fd, .events = POLLIN, .ready = on_connect, .user = c};
	if (rc == 0)
		rc = daemon_source_add(daemon, &source);
	if (rc == 0)
		return c;
fail:
	snprintf(error, 256, "control.socket %.180s: %s", path, strerror(-rc));
	control_close(c);
	return NULL;
}

void control_close(struct control *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (c->clients[i].control && c->clients[i].fd >= 0)
			client_end(&c->clients[i]);
	if (c->fd >= 0) {
		daemon_source_remove(c->daemon, c->fd);
		close(c->fd);
	}
	if (c->path)
		unlink(c->path);
	free(c->path);
	jw_free(&c->json);
	free(c);
}
