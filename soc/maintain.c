/* SPDX-License-Identifier: BSD-3-Clause */
/* sekisho-soc backup, restore, triage: what is done beside a SOC that runs, or to one that does not. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "simulate.h"

static int fail(const char *why, const char *what)
{
	fprintf(stderr, "sekisho-soc: error: %s%s%s\n", why, *what ? ": " : "", what);
	return EXIT_WRONG;
}

static const struct option options[] = {{"folder", required_argument, NULL, 'd'}, {"json", no_argument, NULL, 'j'},
					{"days", required_argument, NULL, 'n'},	  {"force", no_argument, NULL, 'f'},
					{"help", no_argument, NULL, 'h'},	  {NULL, 0, NULL, 0}};

struct arguments {
	const char *folder;
	unsigned days;
	bool json, force;
};

static int parse(int argc, char **argv, const char *letters, struct arguments *a, void (*usage)(FILE *out))
{
	*a = (struct arguments){.folder = SOC_FOLDER, .days = 30};
	for (int c; (c = getopt_long(argc, argv, letters, options, NULL)) != -1;) {
		if (c == 'd')
			a->folder = optarg;
		else if (c == 'j' && strchr(letters, 'j'))
			a->json = true;
		else if (c == 'f' && strchr(letters, 'f'))
			a->force = true;
		else if (c == 'n' && strchr(letters, 'n') && atoi(optarg) > 0)
			a->days = (unsigned)atoi(optarg);
		else {
			usage(c == 'h' ? stdout : stderr);
			return c == 'h' ? EXIT_FINE : EXIT_USAGE;
		}
	}
	return -1;
}

/* --- backup and restore -------------------------------------------------------------------------------------------------- */

static void usage_backup(FILE *out)
{
	fputs("usage: sekisho-soc backup [-d FOLDER] FILE\n\n"
	      "  -d, --folder FOLDER  the SOC's (default " SOC_FOLDER ")\n"
	      "  -h, --help           show this\n\n"
	      "FILE is a copy of the store as it is at one moment, on the disk when the command ends. The SOC goes on "
	      "meanwhile.\n"
	      "Keep ca.key, ca.crt and soc.yaml with it.\n",
	      out);
}

static int sync_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int rc = fd >= 0 && fsync(fd) == 0 ? 0 : -errno;
	if (fd >= 0)
		close(fd);
	return rc;
}

int cmd_backup(int argc, char **argv)
{
	struct arguments a;
	struct settings settings;
	char error[SETTINGS_ERROR_MAX];
	const struct store_sqlite_options only_read = {.read_only = true};
	int rc = parse(argc, argv, "d:h", &a, usage_backup);
	if (rc >= 0)
		return rc;
	if (optind + 1 != argc) {
		usage_backup(stderr);
		return EXIT_USAGE;
	}
	if (settings_read(&settings, a.folder, error) != 0)
		return fail(error, "");
	if (access(argv[optind], F_OK) == 0)
		return fail("there is such a file already", argv[optind]);
	struct store *store = store_sqlite_open(settings.store, &only_read, error);
	if (!store)
		return fail(error, "");
	rc = store->ops->backup(store, argv[optind]);
	rc = rc ? rc : sync_file(argv[optind]);
	if (rc != 0)
		fail("the copy failed", store->ops->error(store));
	store->ops->close(store);
	return rc == 0 ? EXIT_FINE : EXIT_WRONG;
}

static void usage_restore(FILE *out)
{
	fputs("usage: sekisho-soc restore [-d FOLDER] FILE\n\n"
	      "  -d, --folder FOLDER  the SOC's (default " SOC_FOLDER ")\n"
	      "  -h, --help           show this\n\n"
	      "Puts a copy in the store's place; the SOC must not run. The store that was there is kept as "
	      "soc.db.before.\n"
	      "What devices sent since the copy was made they send again, as far as they still have it.\n",
	      out);
}

static int copy_file(const char *from, const char *to)
{
	static char buffer[1 << 20];
	int in = open(from, O_RDONLY | O_CLOEXEC), out = -1, rc = 0;
	if (in >= 0)
		out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	for (ssize_t n; out >= 0 && rc == 0 && (n = read(in, buffer, sizeof(buffer))) != 0;)
		if (n < 0 || write(out, buffer, (size_t)n) != n)
			rc = errno ? -errno : -EIO;
	if (out < 0 || (rc == 0 && fsync(out) != 0))
		rc = -errno;
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return rc;
}

/* A store can be opened, and read. */
static int try_store(const char *path, char *error)
{
	const struct store_sqlite_options only_read = {.read_only = true};
	uint64_t last;
	struct store *store = store_sqlite_open(path, &only_read, error);
	int rc = store ? store->ops->last_row(store, &last) : -EINVAL;
	if (store)
		store->ops->close(store);
	return rc;
}

static int swap_in(const char *store, const char *fresh)
{
	static const char *const beside[] = {"", "-wal", "-shm"};
	char from[PATH_MAX + 16], to[PATH_MAX + 16];
	for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
		snprintf(from, sizeof(from), "%s%s", store, beside[i]);
		snprintf(to, sizeof(to), "%s.before%s", store, beside[i]);
		if (rename(from, to) != 0 && errno != ENOENT)
			return -errno;
	}
	return rename(fresh, store) == 0 ? 0 : -errno;
}

int cmd_restore(int argc, char **argv)
{
	struct arguments a;
	struct settings settings;
	char error[SETTINGS_ERROR_MAX], fresh[PATH_MAX + 16];
	int rc = parse(argc, argv, "d:h", &a, usage_restore);
	if (rc >= 0)
		return rc;
	if (optind + 1 != argc) {
		usage_restore(stderr);
		return EXIT_USAGE;
	}
	if (settings_read(&settings, a.folder, error) != 0)
		return fail(error, "");
	int lock = folder_lock(a.folder);
	if (lock < 0)
		return fail("the SOC of this folder runs, or the folder is not yours", a.folder);
	snprintf(fresh, sizeof(fresh), "%s.restored", settings.store);
	unlink(fresh);
	rc = copy_file(argv[optind], fresh);
	if (rc != 0)
		rc = fail("the copy cannot be read, or there is no room for it", strerror(-rc));
	else if (try_store(fresh, error) != 0)
		rc = fail("this is no copy of a store", error);
	else if ((rc = swap_in(settings.store, fresh)) != 0)
		rc = fail("the store cannot be replaced", strerror(-rc));
	close(lock);
	return rc;
}

/* --- triage -------------------------------------------------------------------------------------------------------------- */

static void usage_triage(FILE *out)
{
	fputs("usage: sekisho-soc triage check FILE\n"
	      "       sekisho-soc triage simulate [-d FOLDER] [-n DAYS] [--json] FILE\n\n"
	      "  -d, --folder FOLDER  the SOC's (default " SOC_FOLDER ")\n"
	      "  -n, --days DAYS      of stored events (default 30)\n"
	      "      --json           all of it, for machines\n"
	      "  -h, --help           show this\n\n"
	      "check says what is wrong with rules, or their version. simulate judges the stored events by the rules "
	      "in force\n"
	      "and by those in FILE, and shows the difference; nothing is changed.\n",
	      out);
}

static struct triage_rules *read_rules(const char *path)
{
	char error[TRIAGE_ERROR_MAX], *text = file_text(*path == '/' ? "" : ".", path);
	struct triage_rules *rules = text ? triage_rules_read(text, strlen(text), path, error) : NULL;
	if (!rules)
		fail(text ? error : strerror(errno), text ? "" : path);
	free(text);
	return rules;
}

#define PAGE 256

struct replay {
	struct store *store;
	uint64_t after;
	int64_t from;
	json_t *page[PAGE];
	unsigned count, at;
};

static int gather(void *context, const struct document *document)
{
	struct replay *r = context;
	r->after = document->id;
	r->page[r->count++] = json_loadb(document->body, document->len, 0, NULL);
	return 0;
}

/* Ids rise as events come. */
static json_t *next_event(void *context)
{
	struct replay *r = context;
	if (r->at == r->count) {
		const struct document_query query = {.kind = DOCUMENT_EVENT,
						     .state = -1,
						     .from = r->from,
						     .after = r->after,
						     .oldest_first = true,
						     .limit = PAGE};
		r->at = r->count = 0;
		if (r->store->ops->documents(r->store, &query, gather, r) != 0 || r->count == 0)
			return NULL;
	}
	json_t *json = r->page[r->at++];
	return json ? json : json_object(); /* counted as unreadable */
}

static void print_counts(const char *what, json_t *before, json_t *after)
{
	printf("%-16s %10lld %10lld\n", what, (long long)json_integer_value(before),
	       (long long)json_integer_value(after));
}

static void print_simulation(json_t *json)
{
	const char *name, *severities[] = {"emergency", "critical", "warning", "informational"};
	json_t *value, *incidents = json_object_get(json, "incidents"), *versions = json_object_get(json, "versions");
	printf("%lld events; %lld are judged otherwise\n\n",
	       (long long)json_integer_value(json_object_get(json, "events")),
	       (long long)json_integer_value(json_object_get(json, "changed")));
	printf("before: rules %s\nafter:  rules %s\n\n%-16s %10s %10s\n",
	       json_string_value(json_object_get(versions, "before")),
	       json_string_value(json_object_get(versions, "after")), "INCIDENTS", "BEFORE", "AFTER");
	for (size_t i = 0; i < sizeof(severities) / sizeof(severities[0]); i++)
		print_counts(severities[i], json_object_get(json_object_get(incidents, "before"), severities[i]),
			     json_object_get(json_object_get(incidents, "after"), severities[i]));
	printf("\n%-16s %10s %10s\n", "RULE (events)", "BEFORE", "AFTER");
	json_object_foreach(json_object_get(json, "rules"), name, value) print_counts(
		*name ? name : "(none)", json_object_get(value, "before"), json_object_get(value, "after"));
}

static int run_simulation(const struct arguments *a, const struct triage_rules *after)
{
	struct settings settings;
	char error[SETTINGS_ERROR_MAX];
	const struct store_sqlite_options only_read = {.read_only = true};
	struct timespec now;
	struct replay replay = {0};
	if (settings_read(&settings, a->folder, error) != 0)
		return fail(error, "");
	struct triage_rules *before = settings.triage[0] ? read_rules(settings.triage) : triage_rules_default();
	replay.store = before ? store_sqlite_open(settings.store, &only_read, error) : NULL;
	if (!replay.store) {
		triage_rules_free(before);
		return before ? fail(error, "") : EXIT_WRONG;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	replay.from = (now.tv_sec - (int64_t)a->days * 86400) * 1000000;
	const struct simulate_source source = {.next = next_event, .context = &replay};
	json_t *json = simulate(before, after, &source);
	if (json && a->json)
		json_dumpf(json, stdout, JSON_INDENT(2));
	else if (json)
		print_simulation(json);
	bool ok = json != NULL;
	json_decref(json);
	while (replay.at < replay.count)
		json_decref(replay.page[replay.at++]);
	replay.store->ops->close(replay.store);
	triage_rules_free(before);
	return ok ? EXIT_FINE : fail("out of memory", "");
}

int cmd_triage(int argc, char **argv)
{
	struct arguments a;
	const char *what = argc > 1 ? argv[1] : "";
	bool check = strcmp(what, "check") == 0;
	if (!check && strcmp(what, "simulate") != 0) {
		bool help = strcmp(what, "--help") == 0 || strcmp(what, "-h") == 0;
		usage_triage(help ? stdout : stderr);
		return help ? EXIT_FINE : EXIT_USAGE;
	}
	int rc = parse(argc - 1, argv + 1, check ? "h" : "d:n:jh", &a, usage_triage);
	if (rc >= 0)
		return rc;
	if (optind + 2 != argc) {
		usage_triage(stderr);
		return EXIT_USAGE;
	}
	struct triage_rules *rules = read_rules(argv[optind + 1]);
	if (!rules)
		return EXIT_WRONG;
	if (check)
		printf("rules %s: fine\n", triage_rules_version(rules));
	rc = check ? EXIT_FINE : run_simulation(&a, rules);
	triage_rules_free(rules);
	return rc;
}
