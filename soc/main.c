/* SPDX-License-Identifier: BSD-3-Clause */
/* sekisho-soc: the command line. Each subcommand parses its own options. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"

#define FILE_TEXT_MAX (1u << 20)

static int cmd_version(int argc, char **argv);
static int cmd_help(int argc, char **argv);

static const struct subcommand {
	const char *name;
	int (*fn)(int argc, char **argv);
	const char *help;
} subcommands[] = {
	{"init", cmd_init, "make a new SOC: its folder, its authority, its settings, the first customer and token"},
	{"serve", cmd_serve, "take what the sensors see, judge it, tell people, and show it"},
	{"ctl", cmd_ctl, "ask a SOC that runs: incidents, events, records, devices; and work on them"},
	{"enroll", cmd_enroll, "make a sensor's certificate and its configuration, in one file"},
	{"revoke", cmd_revoke, "refuse a sensor from now on"},
	{"user", cmd_user, "make a user and a token"},
	{"triage", cmd_triage, "check rules of triage, or show what others would have made of stored events"},
	{"verify", cmd_verify, "check a coverage chain: what is missing or changed, and what was inspected"},
	{"backup", cmd_backup, "copy the store, also while the SOC runs"},
	{"restore", cmd_restore, "put a copy in the store's place"},
	{"version", cmd_version, "show the version"},
	{"help", cmd_help, "show this, the help of a command, or all settings (help settings)"},
};
#define SUBCOMMANDS (sizeof(subcommands) / sizeof(subcommands[0]))

static void usage(FILE *out)
{
	fputs("usage: sekisho-soc COMMAND [OPTION]...\n\n", out);
	for (size_t i = 0; i < SUBCOMMANDS; i++)
		fprintf(out, "  %-8s  %s\n", subcommands[i].name, subcommands[i].help);
	fputs("\nA SOC in three commands:\n"
	      "  sekisho-soc init --address https://soc.example:8443\n"
	      "  sekisho-soc enroll tokyo-1 > tokyo-1.yaml     # to the sensor, as its soc: configuration\n"
	      "  sekisho-soc serve\n\n"
	      "sekisho-soc COMMAND --help shows a command's options.\n"
	      "Exit status: 0 fine, 1 something did not work, 2 the command line is wrong.\n",
	      out);
}

static int cmd_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf("sekisho-soc %s\n", SEKISHO_VERSION);
	return EXIT_FINE;
}

static const struct subcommand *find(const char *name)
{
	for (size_t i = 0; i < SUBCOMMANDS; i++)
		if (strcmp(subcommands[i].name, name) == 0)
			return &subcommands[i];
	return NULL;
}

static int cmd_help(int argc, char **argv)
{
	const struct subcommand *command = argc > 1 ? find(argv[1]) : NULL;
	char option[] = "--help", *arguments[] = {argc > 1 ? argv[1] : NULL, option, NULL};
	if (argc > 1 && strcmp(argv[1], "settings") == 0) {
		settings_help(stdout);
		return EXIT_FINE;
	}
	if (command && command->fn != cmd_help && command->fn != cmd_version)
		return command->fn(2, arguments);
	usage(stdout);
	return EXIT_FINE;
}

int main(int argc, char **argv)
{
	const struct subcommand *command = argc > 1 ? find(argv[1]) : NULL;
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
		return cmd_help(1, argv);
	if (argc > 1 && strcmp(argv[1], "--version") == 0)
		return cmd_version(1, argv);
	if (!command) {
		if (argc > 1)
			fprintf(stderr, "sekisho-soc: there is no command %s\n", argv[1]);
		usage(stderr);
		return EXIT_USAGE;
	}
	return command->fn(argc - 1, argv + 1);
}

/* --- what they have in common ------------------------------------------------------------------------------------------ */

void say_line(void *user, bool bad, const char *text)
{
	(void)user;
	fprintf(stderr, "sekisho-soc: %s%s\n", bad ? "error: " : "", text);
}

int folder_lock(const char *folder)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/" SOC_LOCK_FILE, folder);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		int rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

char *file_text(const char *folder, const char *name)
{
	char path[PATH_MAX];
	struct stat is;
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *file = fopen(path, "re");
	char *text = NULL;
	if (file && fstat(fileno(file), &is) == 0 && is.st_size < FILE_TEXT_MAX)
		text = calloc(1, (size_t)is.st_size + 1);
	else if (file)
		errno = EFBIG;
	if (text && fread(text, 1, (size_t)is.st_size, file) != (size_t)is.st_size) {
		free(text);
		text = NULL;
		errno = EIO;
	}
	if (file)
		fclose(file);
	return text;
}

int file_write(const char *folder, const char *name, const char *text, unsigned mode)
{
	char path[PATH_MAX], fresh[PATH_MAX];
	size_t len = strlen(text);
	int rc = 0;
	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= PATH_MAX - 8)
		return -ENAMETOOLONG;
	snprintf(fresh, sizeof(fresh), "%.*s.new", PATH_MAX - 8, path);
	unlink(fresh);
	int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return -errno;
	errno = EIO;
	if (write(fd, text, len) != (ssize_t)len || fsync(fd) != 0 || rename(fresh, path) != 0) {
		rc = -errno;
		unlink(fresh);
	}
	close(fd);
	return rc;
}

void settings_to_config(const struct settings *settings, struct soc_config *config)
{
	soc_config_defaults(config);
	config->store_path = settings->store;
	config->triage_rules = settings->triage[0] ? settings->triage : NULL;
	config->retention = (int64_t)settings->retention_days * 86400 * 1000000;
	config->retention_bytes = settings->retention_bytes;
	config->events.window = (int64_t)settings->event_window_s * 1000000;
	config->events.longest = (int64_t)settings->event_longest_s * 1000000;
	config->incidents.quiet = (int64_t)settings->incident_quiet_s * 1000000;
	config->say = say_line;
	config->mail.server = settings->mail_server;
	config->mail.from = settings->mail_from;
	config->mail.user = settings->mail_user;
	config->mail.starttls = settings->mail_starttls;
	const char *at = strchr(settings->mail_from, '@');
	if (at && at[1])
		config->name = at + 1;
}
