/* SPDX-License-Identifier: BSD-3-Clause */
/* DPDK's environment layer: its arguments, its start, and the ports that it finds. */
#include <ctype.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include "dpdk.h"

#define ARGS_MAX 64

/* The layer starts once in a process, and never again. */
static struct {
	bool started;
	char *text;  /* the arguments as configured */
	char *words; /* a copy, cut */
	int argc;
	char *argv[ARGS_MAX];
} eal;

/* --- arguments --------------------------------------------------------------------------------------------------------- */

/* The next word, as a shell would cut it: blanks divide, quotes of both kinds and backslashes keep. The word is made in place. NULL at
 * the end; *broken when a quote stays open. */
static char *next_word(char **at, bool *broken)
{
	char *from = *at, quote = 0;
	while (isspace((unsigned char)*from))
		from++;
	if (!*from)
		return NULL;
	char *word = from, *to = from;
	for (; *from && (quote || !isspace((unsigned char)*from)); from++) {
		if (quote ? *from == quote : *from == '"' || *from == '\'')
			quote = quote ? 0 : *from;
		else if (*from == '\\' && quote != '\'' && from[1])
			*to++ = *++from;
		else
			*to++ = *from;
	}
	*broken = quote != 0;
	*at = *from ? from + 1 : from;
	*to = '\0';
	return word;
}

static bool add(const char *word)
{
	if (eal.argc == ARGS_MAX - 1)
		return false;
	eal.argv[eal.argc] = strdup(word);
	return eal.argv[eal.argc++] != NULL;
}

/* Whether one of the user's words is this option, or begins with it and "=". */
static bool given(const char *option, int first)
{
	size_t len = strlen(option);
	for (int i = first; i < eal.argc; i++)
		if (strncmp(eal.argv[i], option, len) == 0 &&
		    (!eal.argv[i][len] || eal.argv[i][len] == '=' || option[1] != '-'))
			return true;
	return false;
}

/* One logical core, where the main thread is: the workers are our own threads. */
static bool add_core(void)
{
	char text[32];
	cpu_set_t may;
	int cpu = 0;
	if (sched_getaffinity(0, sizeof(may), &may) == 0)
		while (cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, &may))
			cpu++;
	snprintf(text, sizeof(text), "--lcores=0@%d", cpu);
	return add(text);
}

static int make_args(char *error)
{
	char *at = eal.words, *word;
	bool broken = false, good = add("sekisho");
	while (good && !broken && (word = next_word(&at, &broken)))
		good = add(word);
	if (broken) {
		snprintf(error, IO_ERROR_MAX, "dpdk.eal: a quote is not closed");
		return -EINVAL;
	}
	/* nobody else is to look into our memory, and nothing of it is to be left behind */
	if (good && !given("--file-prefix", 1) && !given("--in-memory", 1) && !given("--proc-type", 1))
		good = add(given("--no-huge", 1) || given("--legacy-mem", 1) ? "--no-shconf" : "--in-memory");
	if (good && !given("--telemetry", 1))
		good = add("--no-telemetry");
	if (good && !given("--log-level", 1))
		good = add("--log-level=warning");
	if (good && !given("-l", 1) && !given("-c", 1) && !given("--lcores", 1))
		good = add_core();
	if (!good)
		snprintf(error, IO_ERROR_MAX, "dpdk.eal: there can be %d arguments", ARGS_MAX - 8);
	return good ? 0 : -E2BIG;
}

int dpdk_eal_start(const char *text, char *error)
{
	if (eal.started) {
		if (strcmp(text, eal.text) == 0)
			return 0;
		snprintf(error, IO_ERROR_MAX, "dpdk.eal: it can only change with a restart of the sensor");
		return -EBUSY;
	}
	eal.text = strdup(text);
	eal.words = strdup(text);
	if (!eal.text || !eal.words)
		return -ENOMEM;
	int rc = make_args(error);
	if (rc != 0)
		return rc;
	/* the layer pins its caller to a core; and it may shuffle what it is given */
	cpu_set_t before;
	bool known = sched_getaffinity(0, sizeof(before), &before) == 0;
	char *argv[ARGS_MAX];
	memcpy(argv, eal.argv, sizeof(argv));
	rc = rte_eal_init(eal.argc, argv);
	int why = rte_errno;
	if (known)
		sched_setaffinity(0, sizeof(before), &before);
	if (rc < 0) {
		snprintf(error, IO_ERROR_MAX,
			 "dpdk.eal: DPDK does not start with these arguments: %s (its own words are above)",
			 rte_strerror(why));
		return -EINVAL;
	}
	eal.started = true;
	return 0;
}

/* --- ports ------------------------------------------------------------------------------------------------------------- */

const char *dpdk_eal_vdev(const char *name)
{
	size_t len = strlen(name);
	for (int i = 1; i < eal.argc; i++) {
		const char *value = NULL;
		if (strncmp(eal.argv[i], "--vdev=", 7) == 0)
			value = eal.argv[i] + 7;
		else if (strcmp(eal.argv[i], "--vdev") == 0 && i + 1 < eal.argc)
			value = eal.argv[i + 1];
		if (value && strncmp(value, name, len) == 0 && (!value[len] || value[len] == ','))
			return value + len + (value[len] == ',');
	}
	return NULL;
}

int dpdk_eal_port(const char *name, uint16_t *port_id, char *error)
{
	if (rte_eth_dev_get_port_by_name(name, port_id) == 0)
		return 0;
	const char *args = dpdk_eal_vdev(name);
	char devargs[512];
	snprintf(devargs, sizeof(devargs), "%s%s%s", name, args && *args ? "," : "", args ? args : "");
	int rc = rte_dev_probe(devargs);
	if (rc == 0 && rte_eth_dev_get_port_by_name(name, port_id) == 0)
		return 0;
	snprintf(error, IO_ERROR_MAX,
		 "dpdk.ports: \"%.64s\": DPDK has no such port (%s): a vdev stands in dpdk.eal; a NIC is bound to "
		 "vfio-pci",
		 name, rc < 0 ? rte_strerror(-rc) : "no Ethernet device");
	return -ENODEV;
}
