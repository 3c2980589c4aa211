/* SPDX-License-Identifier: BSD-3-Clause */
/* sekisho ctl: asks a running sensor, by its control socket. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "terminal.h"

/* How long the sensor may take to answer, and a reload to compile. */
#define ANSWER_TIMEOUT_MS 10000
#define RELOAD_TIMEOUT_S  600
#define RELOAD_LOOK_MS	  100
#define ANSWER_MAX	  (4u << 20)

struct ctl_args {
	const char *socket;
	const char *config_path;
	bool json;
	char **words;
	int count;
};

static void help(FILE *out)
{
	fputs("usage: sekisho ctl [-s SOCKET | -c FILE] [--json] COMMAND [ARGUMENT]\n\n"
	      "Asks a running sensor, or tells it to do something.\n"
	      "Exit status: 0 done, 1 refused or nobody answers, 2 the command line is wrong.\n\n"
	      "  status                 version, device, rules, how the last reload went\n"
	      "  stats                  all counters, ports, drops by reason\n"
	      "  flows [N]              the N largest flows now (20)\n"
	      "  profile on | off       measure what each rule costs, or stop that\n"
	      "  profile [N]            the N costliest rules since then (20)\n"
	      "  block ADDR [SECONDS]   drop all from and to an address or prefix, for a time or until it is "
	      "unblocked\n"
	      "  unblock ADDR           let it pass again\n"
	      "  hosts                  what is blocked, and for how long\n"
	      "  reload                 read rules and policy anew; waits, and says how it went\n"
	      "  reopen                 open the record file anew, after it was moved away\n"
	      "  shutdown               end the sensor in order\n\n"
	      "  -s, --socket SOCKET    its socket; default " CONTROL_SOCKET "\n"
	      "  -c, --config FILE      take the socket from this configuration\n"
	      "      --json             the answer as one line of JSON\n"
	      "  -h, --help             this\n\n"
	      "examples:\n"
	      "  sekisho ctl status\n"
	      "  sekisho ctl --json stats | jq .stats.ips\n"
	      "  sekisho ctl reload && sekisho ctl profile on\n",
	      out);
}

/* --- one question and its answer ------------------------------------------------------------------------------------------------ */

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	int rc = -errno;
	close(fd);
	return rc;
}

/* Reads until the end of the line or of the connection. */
static char *read_line(int fd, size_t *len)
{
	size_t cap = 1 << 16, have = 0;
	char *text = malloc(cap);
	while (text && have < ANSWER_MAX && !memchr(text, '\n', have)) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		if (have == cap) {
			char *more = realloc(text, cap *= 2);
			if (!more)
				break;
			text = more;
		}
		if (poll(&wait, 1, ANSWER_TIMEOUT_MS) <= 0)
			break;
		ssize_t n = read(fd, text + have, cap - have);
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	*len = have;
	return text;
}

/* The sensor's answer; NULL, told already, when there is none. */
static json_t *ask(const char *path, json_t *request)
{
	char *line = json_dumps(request, JSON_COMPACT);
	int fd = line ? connect_to(path) : -ENOMEM;
	json_t *answer = NULL;
	size_t len = 0;
	char *text = NULL;
	if (fd < 0) {
		say_error("%s: %s%s", path, strerror(-fd),
			  fd == -ENOENT || fd == -ECONNREFUSED ? ": no sensor runs with this control.socket" : "");
		goto out;
	}
	if (dprintf(fd, "%s\n", line) < 0 || !(text = read_line(fd, &len))) {
		say_error("%s: %s", path, strerror(errno));
		goto out;
	}
	answer = json_loadb(text, len, 0, NULL);
	if (!answer)
		say_error("%s: the sensor did not answer", path);
out:
	if (fd >= 0)
		close(fd);
	free(text);
	free(line);
	return answer;
}

/* --- for people ------------------------------------------------------------------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text ? text : "";
}

static unsigned long long number_of(const json_t *object, const char *name)
{
	return (unsigned long long)json_integer_value(json_object_get(object, name));
}

static void show_status(const json_t *a)
{
	const json_t *rules = json_object_get(a, "rules"), *reload = json_object_get(a, "reload");
	printf("sekisho   %s, process %llu, up for %llu s\n", text_of(a, "version"), number_of(a, "pid"),
	       number_of(a, "uptime"));
	printf("device    %s\n", text_of(a, "device"));
	printf("workers   %llu\n", number_of(a, "workers"));
	printf("rules     %llu loaded, %llu waiting, %llu wrong\n", number_of(rules, "loaded"),
	       number_of(rules, "waiting"), number_of(rules, "failed"));
	printf("reloads   %llu done, %llu refused%s\n", number_of(reload, "done"), number_of(reload, "refused"),
	       json_is_true(json_object_get(reload, "running")) ? ", one is running" : "");
	if (text_of(reload, "text")[0])
		printf("          %s\n", text_of(reload, "text"));
}

static void show_flows(const json_t *a)
{
	size_t i;
	const json_t *f;
	printf("%llu flows in all\n", number_of(a, "flows_in_all"));
	printf("%14s %14s  %-45s %-45s %s\n", "to server", "to client", "client", "server", "protocol");
	json_array_foreach(json_object_get(a, "flows"), i, f)
	{
		char client[64], server[64];
		snprintf(client, sizeof(client), "%s %llu", text_of(f, "client"), number_of(f, "client_port"));
		snprintf(server, sizeof(server), "%s %llu", text_of(f, "server"), number_of(f, "server_port"));
		printf("%14llu %14llu  %-45s %-45s %llu %s%s%s\n", number_of(f, "bytes_to_server"),
		       number_of(f, "bytes_to_client"), client, server, number_of(f, "proto"), text_of(f, "app_proto"),
		       json_is_true(json_object_get(f, "bypassed")) ? " bypassed" : "",
		       json_is_true(json_object_get(f, "dropped")) ? " dropped" : "");
	}
}

static void show_profile(const json_t *a)
{
	size_t i;
	const json_t *r;
	if (!json_object_get(a, "rules"))
		return;
	if (json_is_false(json_object_get(a, "measuring")))
		printf("rules are not measured: sekisho ctl profile on\n");
	printf("%12s %12s %10s %10s  %s\n", "microseconds", "checks", "matches", "sid", "rule");
	json_array_foreach(json_object_get(a, "rules"), i, r)
		printf("%12llu %12llu %10llu %10llu  %s\n", number_of(r, "ns") / 1000, number_of(r, "checks"),
		       number_of(r, "matches"), number_of(r, "sid"), text_of(r, "msg"));
}

static void show_hosts(const json_t *a)
{
	size_t i;
	const json_t *h;
	json_array_foreach(json_object_get(a, "hosts"), i, h)
	{
		char left[32] = "until it is unblocked";
		if (json_object_get(h, "seconds_left"))
			snprintf(left, sizeof(left), "%llu s more", number_of(h, "seconds_left"));
		printf("%-44s %-22s %s\n", text_of(h, "address"), left, text_of(h, "why"));
	}
}

static void show(const struct ctl_args *a, const json_t *answer)
{
	const char *command = a->words[0];
	if (a->json || strcmp(command, "stats") == 0) {
		json_dumpf(answer, stdout, a->json ? JSON_COMPACT : JSON_INDENT(2));
		putchar('\n');
	} else if (strcmp(command, "status") == 0) {
		show_status(answer);
	} else if (strcmp(command, "flows") == 0) {
		show_flows(answer);
	} else if (strcmp(command, "profile") == 0) {
		show_profile(answer);
	} else if (strcmp(command, "hosts") == 0) {
		show_hosts(answer);
	}
}

/* --- commands ------------------------------------------------------------------------------------------------------------------- */

/* block ADDR [SECONDS], unblock ADDR; takes the request. */
static json_t *request_block(const struct ctl_args *a, json_t *request)
{
	bool block = strcmp(a->words[0], "block") == 0;
	char *end = NULL;
	long seconds = block && a->count == 3 ? strtol(a->words[2], &end, 10) : 0;
	if (a->count < 2 || a->count > (block ? 3 : 2) || (end && (*end || seconds < 1))) {
		say_error("%s takes an address or prefix%s; sekisho ctl --help shows all", a->words[0],
			  block ? ", and for how many seconds" : "");
		json_decref(request);
		return NULL;
	}
	json_object_set_new(request, "address", json_string(a->words[1]));
	if (seconds)
		json_object_set_new(request, "seconds", json_integer(seconds));
	return request;
}

/* The request of the words; NULL when they make none. */
static json_t *request_of(const struct ctl_args *a)
{
	const char *command = a->words[0], *argument = a->count > 1 ? a->words[1] : NULL;
	json_t *request = json_pack("{s:s}", "command", command);
	bool counts = strcmp(command, "flows") == 0 || strcmp(command, "profile") == 0;
	char *end;
	if (strcmp(command, "block") == 0 || strcmp(command, "unblock") == 0)
		return request_block(a, request);
	if (a->count > 2 || (argument && !counts))
		goto wrong;
	if (argument && strcmp(command, "profile") == 0 &&
	    (strcmp(argument, "on") == 0 || strcmp(argument, "off") == 0)) {
		json_object_set_new(request, "on", json_boolean(strcmp(argument, "on") == 0));
	} else if (argument) {
		long n = strtol(argument, &end, 10);
		if (*end || n < 1)
			goto wrong;
		json_object_set_new(request, "count", json_integer(n));
	}
	return request;
wrong:
	say_error("\"%s\" is no argument of %s; sekisho ctl --help shows all", a->words[a->count - 1], command);
	json_decref(request);
	return NULL;
}

/* A reload was begun: waits for its end, and says how it went. */
static int wait_reload(const struct ctl_args *a, unsigned long long before)
{
	const struct timespec pause = {.tv_nsec = RELOAD_LOOK_MS * 1000000};
	for (int left = RELOAD_TIMEOUT_S * 1000 / RELOAD_LOOK_MS; left > 0; left--) {
		json_t *request = json_pack("{s:s}", "command", "status"), *answer = ask(a->socket, request);
		json_decref(request);
		if (!answer)
			return EXIT_INPUT;
		const json_t *reload = json_object_get(answer, "reload");
		bool over = number_of(reload, "done") + number_of(reload, "refused") > before &&
			    json_is_false(json_object_get(reload, "running"));
		bool good = json_is_true(json_object_get(reload, "good"));
		if (over && a->json) {
			json_dumpf(reload, stdout, JSON_COMPACT);
			putchar('\n');
		} else if (over && good) {
			printf("reloaded: %llu rules%s%s\n", number_of(json_object_get(answer, "rules"), "loaded"),
			       text_of(reload, "text")[0] ? "; " : "", text_of(reload, "text"));
		} else if (over) {
			say_error("nothing is changed: %s", text_of(reload, "text"));
		}
		json_decref(answer);
		if (over)
			return good ? EXIT_FINE : EXIT_INPUT;
		nanosleep(&pause, NULL);
	}
	say_error("the reload takes longer than %d s; sekisho ctl status says when it is over", RELOAD_TIMEOUT_S);
	return EXIT_INPUT;
}

static int execute(const struct ctl_args *a)
{
	json_t *request = request_of(a);
	if (!request)
		return EXIT_USAGE;
	json_t *answer = ask(a->socket, request);
	json_decref(request);
	if (!answer)
		return EXIT_INPUT;
	int rc = json_is_true(json_object_get(answer, "ok")) ? EXIT_FINE : EXIT_INPUT;
	if (rc != EXIT_FINE)
		say_error("%s: %s", a->words[0], text_of(answer, "error"));
	else if (strcmp(a->words[0], "reload") == 0)
		rc = wait_reload(a, number_of(answer, "before"));
	else
		show(a, answer);
	json_decref(answer);
	return rc;
}

static int parse_args(int argc, char **argv, struct ctl_args *a)
{
	static const struct option options[] = {
		{"socket", required_argument, NULL, 's'},
		{"config", required_argument, NULL, 'c'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c;
	optind = 1;
	while ((c = getopt_long(argc, argv, "s:c:h", options, NULL)) != -1) {
		switch (c) {
		case 's':
			a->socket = optarg;
			break;
		case 'c':
			a->config_path = optarg;
			break;
		case 'j':
			a->json = true;
			break;
		case 'h':
			help(stdout);
			return EXIT_FINE;
		default:
			fputs("sekisho ctl --help shows the options\n", stderr);
			return EXIT_USAGE;
		}
	}
	a->words = argv + optind;
	a->count = argc - optind;
	if (a->count > 0)
		return -1;
	say_error("no command is given; sekisho ctl --help shows all");
	return EXIT_USAGE;
}

int cmd_ctl(int argc, char **argv)
{
	struct ctl_args a = {.socket = NULL};
	struct common_args common = {0};
	struct config config = {0};
	int rc = parse_args(argc, argv, &a);
	if (rc >= 0)
		return rc;
	rc = EXIT_INPUT;
	common.config_path = a.config_path;
	common.inline_mode = true;
	if (a.config_path && !a.socket) {
		if (common_config(&common, &config) == 0)
			a.socket = config.live.control_socket;
	} else if (!a.socket) {
		a.socket = CONTROL_SOCKET;
	}
	if (a.socket && !a.socket[0])
		say_error("%s: control.socket is empty: that sensor has none", a.config_path);
	else if (a.socket)
		rc = execute(&a);
	config_free(&config);
	return rc;
}
