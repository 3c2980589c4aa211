/* SPDX-License-Identifier: BSD-3-Clause */
/* sekisho-soc verify: whether a coverage chain is whole, from a sensor's files or from the store. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "chain.h"
#include "command.h"

/* The longest line that a sensor writes, with room. */
#define LINE_BYTES_MAX (4u << 20)

static void usage(FILE *out)
{
	fputs("usage: sekisho-soc verify [OPTION]... FILE...\n"
	      "       sekisho-soc verify [OPTION]... [-d FOLDER] --device NAME\n\n"
	      "  -d, --folder FOLDER  the SOC's, with --device (default " SOC_FOLDER ")\n"
	      "      --device NAME    what the SOC has of this sensor\n"
	      "      --from TIME      of this span only (2026-11-24T00:00:00+09:00)\n"
	      "      --until TIME\n"
	      "      --json           all of it, for machines\n"
	      "  -h, --help           show this\n\n"
	      "Reads coverage records of EVE files (rotated ones too, in any order, gzip or not), checks that none is "
	      "missing or\n"
	      "changed, and says which share of the traffic was inspected and which share of the time is covered.\n"
	      "Exit status: 0 whole, 1 gaps or changes, 2 it cannot be read.\n"
	      "Example: sekisho-soc verify /var/log/sekisho/eve.json*\n",
	      out);
}

static int fail(const char *why, const char *what)
{
	fprintf(stderr, "sekisho-soc verify: %s%s%s\n", why, *what ? ": " : "", what);
	return EXIT_USAGE;
}

static int read_file(struct chain *chain, const char *path)
{
	char *line = malloc(LINE_BYTES_MAX);
	gzFile file = line ? gzopen(path, "rb") : NULL;
	int rc = 0, error = 0;
	if (!file) {
		free(line);
		return fail(path, strerror(errno ? errno : ENOMEM));
	}
	while (rc != -ENOMEM && rc != -E2BIG && gzgets(file, line, (int)LINE_BYTES_MAX)) {
		size_t len = strlen(line);
		if (len && line[len - 1] == '\n')
			len--;
		rc = chain_add(chain, line, len);
	}
	const char *words = gzerror(file, &error);
	if (rc == -ENOMEM || rc == -E2BIG)
		rc = fail(path, strerror(-rc));
	else
		rc = error < 0 ? fail(path, words) : 0;
	gzclose(file);
	free(line);
	return rc;
}

struct reading {
	struct store *store;
	struct chain *chain;
};

static int read_row(void *context, const struct store_row *row)
{
	struct reading *r = context;
	size_t len;
	char *line = r->store->ops->line(r->store, row, &len);
	int rc = line ? chain_add(r->chain, line, len) : -EIO;
	free(line);
	return rc == -EINVAL ? 0 : rc;
}

static int read_store(struct chain *chain, const char *folder, const char *name, int64_t from, int64_t until)
{
	struct settings settings;
	struct device device;
	char error[SETTINGS_ERROR_MAX];
	const struct store_sqlite_options only_read = {.read_only = true};
	if (settings_read(&settings, folder, error) != 0)
		return fail(error, "");
	struct store *store = store_sqlite_open(settings.store, &only_read, error);
	if (!store)
		return fail(error, "");
	struct directory *directory = directory_open(store);
	int rc = 0;
	if (!directory || !directory_device_by_name(directory, name, &device))
		rc = fail("there is no device", name);
	struct reading reading = {store, chain};
	const struct store_query query = {.device = rc == 0 ? device.id : 0,
					  .from = from,
					  .until = until,
					  .type = RECORD_COVERAGE,
					  .verdict = -1};
	if (rc == 0 && (rc = store->ops->rows(store, &query, read_row, &reading, NULL)) != 0)
		rc = fail("the store cannot be read", strerror(-rc));
	directory_close(directory);
	store->ops->close(store);
	return rc;
}

static double percent(const json_t *json, const char *name)
{
	return 100 * json_number_value(json_object_get(json, name));
}

static void print_report(const json_t *json)
{
	const json_t *packets = json_object_get(json, "packets"), *problems = json_object_get(json, "problems");
	size_t i;
	json_t *problem;
	printf("%s: %lld records of %zu runs, %s to %s\n",
	       json_is_true(json_object_get(json, "whole")) ? "whole" : "NOT WHOLE",
	       (long long)json_integer_value(json_object_get(json, "records")),
	       json_array_size(json_object_get(json, "runs")), json_string_value(json_object_get(json, "from")),
	       json_string_value(json_object_get(json, "until")));
	printf("time covered: %.4f %% of %.0f s\n", percent(json, "covered_share"),
	       json_number_value(json_object_get(json, "span_seconds")));
	printf("packets: %lld seen, %lld inspected (%.4f %%), %lld bypassed, %lld refused, %lld lost\n",
	       (long long)json_integer_value(json_object_get(packets, "seen")),
	       (long long)json_integer_value(json_object_get(packets, "inspected")), percent(json, "inspected_share"),
	       (long long)json_integer_value(json_object_get(packets, "bypassed")),
	       (long long)json_integer_value(json_object_get(packets, "refused")),
	       (long long)json_integer_value(json_object_get(packets, "lost")));
	json_array_foreach(problems, i, problem)
		printf("%-8s %s  %s to %s  %s\n", json_string_value(json_object_get(problem, "kind")),
		       json_string_value(json_object_get(problem, "boot")),
		       json_string_value(json_object_get(problem, "from")),
		       json_string_value(json_object_get(problem, "until")),
		       json_string_value(json_object_get(problem, "text")));
	if (json_integer_value(json_object_get(json, "unreadable")))
		printf("%lld coverage records cannot be read\n",
		       (long long)json_integer_value(json_object_get(json, "unreadable")));
}

struct arguments {
	const char *folder, *device;
	int64_t from, until;
	bool json;
};

/* -1, or the exit code. */
static int parse(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = {{"folder", required_argument, NULL, 'd'},
						{"device", required_argument, NULL, 'n'},
						{"from", required_argument, NULL, 'f'},
						{"until", required_argument, NULL, 'u'},
						{"json", no_argument, NULL, 'j'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	*a = (struct arguments){.folder = SOC_FOLDER};
	for (int c; (c = getopt_long(argc, argv, "d:h", options, NULL)) != -1;) {
		if (c == 'd')
			a->folder = optarg;
		else if (c == 'n')
			a->device = optarg;
		else if (c == 'j')
			a->json = true;
		else if ((c == 'f' || c == 'u') && !time_parse(optarg, c == 'f' ? &a->from : &a->until))
			return fail("this is no time as 2026-11-24T00:00:00+09:00", optarg);
		else if (c != 'f' && c != 'u') {
			usage(c == 'h' ? stdout : stderr);
			return c == 'h' ? EXIT_FINE : EXIT_USAGE;
		}
	}
	if ((optind == argc) == !a->device) {
		usage(stderr);
		return EXIT_USAGE;
	}
	return -1;
}

int cmd_verify(int argc, char **argv)
{
	struct arguments a;
	int rc = parse(argc, argv, &a);
	if (rc >= 0)
		return rc;
	struct chain *chain = chain_new();
	rc = chain ? 0 : fail("out of memory", "");
	if (rc == 0 && a.device)
		rc = read_store(chain, a.folder, a.device, a.from, a.until);
	for (int i = optind; i < argc && rc == 0; i++)
		rc = read_file(chain, argv[i]);
	json_t *json = rc == 0 ? chain_judge(chain, a.from, a.until) : NULL;
	chain_free(chain);
	if (rc == 0 && !json)
		rc = fail("out of memory", "");
	if (rc == 0 && json_integer_value(json_object_get(json, "records")) == 0)
		rc = fail("there is no coverage record (records.coverage-interval of the sensor makes them)", "");
	if (rc == 0) {
		if (a.json)
			json_dumpf(json, stdout, JSON_INDENT(2));
		else
			print_report(json);
		rc = json_is_true(json_object_get(json, "whole")) ? EXIT_FINE : EXIT_WRONG;
	}
	json_decref(json);
	return rc;
}
