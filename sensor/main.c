/* SPDX-License-Identifier: BSD-3-Clause */
/* sekisho: the command line. Each subcommand parses its own options. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <dataplane/app.h>

#include "command.h"
#include "config.h"
#include "terminal.h"

static int cmd_version(int argc, char **argv);
static int cmd_help(int argc, char **argv);

static const struct subcommand {
	const char *name;
	int (*fn)(int argc, char **argv);
	const char *help;
} subcommands[] = {
	{"run", cmd_run, "stand in the wire: judge, forward and drop"},
	{"replay", cmd_replay, "judge captures: alerts and verdicts as if they had passed the wire"},
	{"ctl", cmd_ctl, "ask a running sensor, reload its rules, end it"},
	{"check", cmd_check, "say every error of a configuration and its rules"},
	{"version", cmd_version, "show the version, the protocols that are parsed and the backends that are built"},
	{"help", cmd_help, "show this, the help of a command, or all options (help config)"},
};
#define SUBCOMMANDS (sizeof(subcommands) / sizeof(subcommands[0]))

static void usage(FILE *out)
{
	fputs("usage: sekisho COMMAND [OPTION]...\n\n", out);
	for (size_t i = 0; i < SUBCOMMANDS; i++)
		fprintf(out, "  %-8s  %s\n", subcommands[i].name, subcommands[i].help);
	fputs("\nsekisho COMMAND --help shows a command's options.\n"
	      "Exit status: 0 fine, 1 something is wrong with the input, 2 the command line is wrong.\n",
	      out);
}

static const struct subcommand *find(const char *name)
{
	for (size_t i = 0; i < SUBCOMMANDS; i++)
		if (strcmp(subcommands[i].name, name) == 0)
			return &subcommands[i];
	return NULL;
}

static int cmd_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf("sekisho %s\nprotocols:", SEKISHO_VERSION);
	for (const struct app_proto *const *p = app_protos(); *p; p++)
		printf(" %s", (*p)->name);
	printf("\nbackends: pcap");
	for (enum io_backend b = IO_AFXDP; b <= IO_NFQ; b++)
		if (io_backend_built(b))
			printf(" %s", io_backend_name(b));
	putchar('\n');
	return EXIT_FINE;
}

static int cmd_help(int argc, char **argv)
{
	if (argc < 2) {
		usage(stdout);
		return EXIT_FINE;
	}
	if (strcmp(argv[1], "config") == 0) {
		config_help(stdout);
		return EXIT_FINE;
	}
	const struct subcommand *c = find(argv[1]);
	if (!c) {
		say_error("no command \"%s\"; sekisho help lists them", argv[1]);
		return EXIT_USAGE;
	}
	if (c->fn == cmd_help || c->fn == cmd_version) {
		printf("%s: %s\n", c->name, c->help);
		return EXIT_FINE;
	}
	char ask[] = "--help";
	char *args[] = {argv[1], ask, NULL};
	return c->fn(2, args);
}

/* A file opened while one of 0, 1 and 2 is closed would get its number, and then what is said in it. They are taken the
 * wrong way round, so that their use still fails. */
static void hold_standard_files(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/* What was asked for but could not be written is an error, too. */
static int finish(int rc)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return rc;
	say_error("standard output: %s", errno ? strerror(errno) : "writing failed");
	return rc == EXIT_FINE ? EXIT_INPUT : rc;
}

static int run_command(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return cmd_help(1, argv + 1);
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
		return cmd_version(1, argv + 1);
	const struct subcommand *c = find(argv[1]);
	if (!c) {
		say_error("no command \"%s\"; sekisho help lists them", argv[1]);
		return EXIT_USAGE;
	}
	return c->fn(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	hold_standard_files();
	return finish(run_command(argc, argv));
}
