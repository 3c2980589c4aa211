/* SPDX-License-Identifier: BSD-3-Clause */
/* sekisho-soc init, enroll, revoke, user: what makes a SOC, and who may come to it. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <openssl/crypto.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "enroll.h"
#include "renew.h"

#define AUTHORITY_DAYS 3653
#define WHO_MAX	       80
/* Beside exit codes: a SOC holds the folder, and is to be asked. */
#define RUNS -2

struct arguments {
	const char *folder, *name, *customer, *role, *listen, *output;
	const char *addresses[SETTINGS_ADDRESSES_MAX];
	unsigned address_count;
	bool new_customer;
};

static const struct option options[] = {{"folder", required_argument, NULL, 'd'},
					{"address", required_argument, NULL, 'a'},
					{"listen", required_argument, NULL, 'l'},
					{"customer", required_argument, NULL, 'c'},
					{"new-customer", required_argument, NULL, 'n'},
					{"role", required_argument, NULL, 'r'},
					{"output", required_argument, NULL, 'o'},
					{"help", no_argument, NULL, 'h'},
					{NULL, 0, NULL, 0}};

/* `letters` are those of the options that the command has. -1, or the exit code. */
static int parse(int argc, char **argv, const char *letters, bool named, struct arguments *a, void (*usage)(FILE *out))
{
	*a = (struct arguments){.folder = SOC_FOLDER};
	for (int c; (c = getopt_long(argc, argv, letters, options, NULL)) != -1;) {
		if (c == 'h') {
			usage(stdout);
			return EXIT_FINE;
		}
		if (!strchr(letters, c) || c == '?') {
			usage(stderr);
			return EXIT_USAGE;
		}
		if (c == 'a' && a->address_count == SETTINGS_ADDRESSES_MAX) {
			fprintf(stderr, "sekisho-soc: up to %d addresses\n", SETTINGS_ADDRESSES_MAX);
			return EXIT_USAGE;
		}
		if (c == 'a')
			a->addresses[a->address_count++] = optarg;
		else if (c == 'n')
			a->new_customer = true;
		*(c == 'd'   ? &a->folder
		  : c == 'l' ? &a->listen
		  : c == 'r' ? &a->role
		  : c == 'o' ? &a->output
			     : &a->customer) = c == 'a' ? a->customer : optarg;
	}
	if (named && optind < argc)
		a->name = argv[optind++];
	if (optind < argc || (named && !a->name)) {
		usage(stderr);
		return EXIT_USAGE;
	}
	return -1;
}

static int fail(const char *why)
{
	say_line(NULL, true, why);
	return EXIT_WRONG;
}

static const char *who_am_i(char *text)
{
	const char *login = getenv("SUDO_USER");
	snprintf(text, WHO_MAX, "console:%s", login ? login : getuid() == 0 ? "root" : "operator");
	return text;
}

/* --- a SOC that does not run --------------------------------------------------------------------------------------------- */

struct offline {
	struct settings settings;
	struct soc *soc;
	struct authority *authority;
	int lock;
};

static void close_offline(struct offline *o)
{
	soc_close(o->soc);
	authority_close(o->authority);
	if (o->lock >= 0)
		close(o->lock);
}

static int open_offline(struct offline *o, const char *folder)
{
	char error[SOC_ERROR_MAX];
	struct soc_config config;
	memset(o, 0, sizeof(*o));
	o->lock = -1;
	if (settings_read(&o->settings, folder, error) != 0)
		return fail(error);
	o->lock = folder_lock(folder);
	if (o->lock == -EWOULDBLOCK)
		return RUNS;
	if (o->lock < 0)
		return fail("the folder cannot be locked: are you its owner, or root?");
	o->authority = authority_open(folder, error);
	if (!o->authority)
		return fail(error);
	settings_to_config(&o->settings, &config);
	o->soc = soc_open(&config, error);
	return o->soc ? EXIT_FINE : fail(error);
}

/* The SOC that runs does it, by its API: `words` up to a NULL. */
static int ask_running(const struct arguments *a, const char *const *words)
{
	char *argv[12] = {(char *)(uintptr_t) "ctl", (char *)(uintptr_t) "-d", (char *)(uintptr_t)a->folder};
	int argc = 3, saved = -1, rc;
	for (; *words; words++)
		argv[argc++] = (char *)(uintptr_t)*words;
	if (a->output) {
		int fd = open(a->output, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0)
			return fail("the configuration's file cannot be made: is there one of this name?");
		saved = dup(STDOUT_FILENO);
		if (saved < 0 || dup2(fd, STDOUT_FILENO) < 0)
			return fail("standard output cannot be led into the file");
		close(fd);
	}
	optind = 0;
	rc = cmd_ctl(argc, argv);
	fflush(stdout);
	if (saved >= 0) {
		if (rc != EXIT_FINE)
			unlink(a->output);
		dup2(saved, STDOUT_FILENO);
		close(saved);
	}
	return rc;
}

static int list_customer(void *context, const struct customer *customer)
{
	(void)context;
	fprintf(stderr, "  %s\n", customer->name);
	return 0;
}

/* The number of the customer that was named, or of the only one. */
static int find_customer(struct soc *soc, const struct arguments *a, const char *who, uint32_t *id)
{
	char error[ENROLL_ERROR_MAX];
	struct customer customer, second;
	if (a->new_customer)
		return enroll_customer(soc, who, a->customer, id, error) == 0 ? EXIT_FINE : fail(error);
	bool found = a->customer ? directory_customer_by_name(soc_directory(soc), a->customer, &customer)
				 : directory_customer(soc_directory(soc), 1, &customer) &&
					   !directory_customer(soc_directory(soc), 2, &second);
	if (found) {
		*id = customer.id;
		return EXIT_FINE;
	}
	fail(a->customer ? "there is no such customer (a new one: --new-customer NAME); there are:"
			 : "say which --customer; there are:");
	directory_customers(soc_directory(soc), list_customer, NULL);
	return EXIT_WRONG;
}

/* --- init ---------------------------------------------------------------------------------------------------------------- */

static void usage_init(FILE *out)
{
	fputs("usage: sekisho-soc init [-d FOLDER] [-l ADDRESS:PORT] [-a https://HOST:PORT]... [-c CUSTOMER]\n\n"
	      "  -d, --folder FOLDER   made here, for its owner only (default " SOC_FOLDER ")\n"
	      "  -l, --listen A:P      where it serves (default 0.0.0.0:8443)\n"
	      "  -a, --address URL     how devices reach it, in order; needed\n"
	      "  -c, --customer NAME   the first customer (default: default)\n"
	      "  -h, --help            show this\n\n"
	      "Makes the folder with the settings (soc.yaml), the authority (ca.key, ca.crt), the store, and the "
	      "first\n"
	      "administrator's token (ctl.json, for sekisho-soc ctl).\n"
	      "Example: sekisho-soc init -a https://soc.example:8443 -a https://192.0.2.8:8443\n",
	      out);
}

static int write_settings(const struct arguments *a)
{
	char text[4096];
	size_t len = (size_t)snprintf(text, sizeof(text),
				      "# Settings of this SOC. All there are: sekisho-soc help settings\n"
				      "listen: \"%s\"\naddresses:\n",
				      a->listen ? a->listen : "0.0.0.0:8443");
	for (unsigned i = 0; i < a->address_count && len < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "  - \"%s\"\n", a->addresses[i]);
	return len < sizeof(text) ? file_write(a->folder, "soc.yaml", text, 0600) : -E2BIG;
}

static int write_ctl(const struct offline *o, const char *token)
{
	json_t *json = json_pack("{s:s,s:s,s:s}", "url", o->settings.addresses[0], "token", token, "ca",
				 authority_certificate(o->authority));
	char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
	int rc = text ? file_write(o->settings.folder, SOC_CTL_FILE, text, 0600) : -ENOMEM;
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
	json_decref(json);
	return rc;
}

static int fill_soc(const struct arguments *a)
{
	struct offline o;
	uint32_t customer;
	char error[SOC_ERROR_MAX] = "", token[ENROLL_TOKEN_MAX], who[WHO_MAX];
	int rc = open_offline(&o, a->folder);
	who_am_i(who);
	if (rc == RUNS)
		return fail("a SOC runs on this folder");
	if (rc == EXIT_FINE && (renew_server(&o.settings, o.authority, error) != 0 ||
				enroll_customer(o.soc, who, a->customer ? a->customer : "default", &customer, error) ||
				enroll_user(o.soc, who, "admin", USER_ADMINISTRATOR, 0, token, error) != 0))
		rc = fail(error);
	if (rc == EXIT_FINE && write_ctl(&o, token) != 0)
		rc = fail("ctl.json cannot be written");
	explicit_bzero(token, sizeof(token));
	close_offline(&o);
	return rc;
}

int cmd_init(int argc, char **argv)
{
	struct arguments a;
	char error[AUTHORITY_ERROR_MAX];
	int rc = parse(argc, argv, "d:l:a:c:h", false, &a, usage_init);
	if (rc >= 0)
		return rc;
	if (a.address_count == 0) {
		usage_init(stderr);
		return EXIT_USAGE;
	}
	if (mkdir(a.folder, 0700) != 0 && errno != EEXIST)
		return fail("the folder cannot be made: is there one to put it in?");
	if (authority_make(a.folder, "Sekisho SOC authority", AUTHORITY_DAYS, error) != 0)
		return fail(error);
	if (write_settings(&a) != 0)
		return fail("soc.yaml cannot be written");
	rc = fill_soc(&a);
	if (rc == EXIT_FINE)
		fprintf(stderr, "sekisho-soc: made in %s; next: sekisho-soc enroll -d %s NAME\n", a.folder, a.folder);
	return rc;
}

/* --- enroll, revoke, user ------------------------------------------------------------------------------------------------ */

static void usage_enroll(FILE *out)
{
	fputs("usage: sekisho-soc enroll [-d FOLDER] [-c CUSTOMER | -n CUSTOMER] [-o FILE] NAME\n\n"
	      "  -d, --folder FOLDER      the SOC's (default " SOC_FOLDER ")\n"
	      "  -c, --customer NAME      whose sensor it is; needed where there are several\n"
	      "  -n, --new-customer NAME  of a customer that is new\n"
	      "  -o, --output FILE        the configuration goes there (mode 0600), not to standard output\n"
	      "  -h, --help               show this\n\n"
	      "The configuration holds addresses, certificates and the sensor's key: it is all that a sensor needs.\n"
	      "Example: sekisho-soc enroll -o tokyo-1.yaml tokyo-1\n",
	      out);
}

static int put_configuration(const struct arguments *a, char *text)
{
	int rc = 0;
	if (!a->output) {
		fputs(text, stdout);
		rc = fflush(stdout) == 0 ? 0 : -errno;
	} else {
		rc = file_write(*a->output == '/' ? "" : ".", a->output, text, 0600);
	}
	explicit_bzero(text, strlen(text));
	free(text);
	return rc == 0 ? EXIT_FINE : fail("the configuration cannot be written");
}

int cmd_enroll(int argc, char **argv)
{
	struct arguments a;
	struct offline o;
	uint32_t customer;
	const char *addresses[SETTINGS_ADDRESSES_MAX];
	char error[ENROLL_ERROR_MAX], who[WHO_MAX], *text = NULL;
	int rc = parse(argc, argv, "d:c:n:o:h", true, &a, usage_enroll);
	if (rc >= 0)
		return rc;
	rc = open_offline(&o, a.folder);
	if (rc == RUNS) {
		const char *const add[] = {"add-customer", a.customer, NULL};
		const char *const enroll[] = {"enroll", a.name, a.customer, NULL};
		rc = a.new_customer ? ask_running(&(struct arguments){.folder = a.folder}, add) : EXIT_FINE;
		return rc == EXIT_FINE ? ask_running(&a, enroll) : rc;
	}
	if (rc == EXIT_FINE)
		rc = find_customer(o.soc, &a, who_am_i(who), &customer);
	for (unsigned i = 0; i < o.settings.address_count; i++)
		addresses[i] = o.settings.addresses[i];
	if (rc == EXIT_FINE && enroll_device(o.soc, o.authority, who, a.name, customer, addresses,
					     o.settings.address_count, &text, error) != 0)
		rc = fail(error);
	if (rc == EXIT_FINE)
		rc = put_configuration(&a, text);
	close_offline(&o);
	return rc;
}

static void usage_revoke(FILE *out)
{
	fputs("usage: sekisho-soc revoke [-d FOLDER] NAME\n\n"
	      "  -d, --folder FOLDER  the SOC's (default " SOC_FOLDER ")\n"
	      "  -h, --help           show this\n\n"
	      "A SOC that runs does it at once.\n",
	      out);
}

int cmd_revoke(int argc, char **argv)
{
	struct arguments a;
	struct offline o;
	char error[ENROLL_ERROR_MAX], who[WHO_MAX];
	int rc = parse(argc, argv, "d:h", true, &a, usage_revoke);
	if (rc >= 0)
		return rc;
	rc = open_offline(&o, a.folder);
	if (rc == RUNS)
		return ask_running(&a, (const char *const[]){"revoke", a.name, NULL});
	if (rc == EXIT_FINE && enroll_revoke(o.soc, who_am_i(who), a.name, error) != 0)
		rc = fail(error);
	close_offline(&o);
	return rc;
}

static void usage_user(FILE *out)
{
	fputs("usage: sekisho-soc user [-d FOLDER] [-r ROLE] [-c CUSTOMER] NAME\n\n"
	      "  -d, --folder FOLDER  the SOC's (default " SOC_FOLDER ")\n"
	      "  -r, --role ROLE      customer (default), analyst, administrator\n"
	      "  -c, --customer NAME  whose user it is, for the role customer\n"
	      "  -h, --help           show this\n\n"
	      "Prints the user's token, once.\n",
	      out);
}

int cmd_user(int argc, char **argv)
{
	struct arguments a;
	struct offline o;
	uint32_t customer = 0;
	char error[ENROLL_ERROR_MAX], who[WHO_MAX], token[ENROLL_TOKEN_MAX];
	int rc = parse(argc, argv, "d:r:c:h", true, &a, usage_user);
	if (rc >= 0)
		return rc;
	int role = user_role_of(a.role ? a.role : "customer");
	if (role < 0 || (role != USER_CUSTOMER && a.customer)) {
		usage_user(stderr);
		return EXIT_USAGE;
	}
	rc = open_offline(&o, a.folder);
	if (rc == RUNS)
		return ask_running(&a, (const char *const[]){"add-user", a.name, user_role_name((enum user_role)role),
							     a.customer, NULL});
	who_am_i(who);
	if (rc == EXIT_FINE && role == USER_CUSTOMER)
		rc = find_customer(o.soc, &a, who, &customer);
	if (rc == EXIT_FINE && enroll_user(o.soc, who, a.name, (enum user_role)role, customer, token, error) != 0)
		rc = fail(error);
	if (rc == EXIT_FINE)
		puts(token);
	explicit_bzero(token, sizeof(token));
	close_offline(&o);
	return rc;
}
