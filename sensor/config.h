/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * sekisho.yaml as a C struct. Every option stands once, in the table of options.c: name, type, limits, unit and help;
 * the reader, `sekisho check --print-config` and `sekisho help config` all walk that table. Only `vars` is free-form.
 *
 * Read by one thread, constant afterwards; a reload reads another one beside it (reload.h).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <dataplane/app.h>
#include <dataplane/decode.h>
#include <dataplane/defrag.h>
#include <dataplane/flow.h>
#include <dataplane/io.h>
#include <dataplane/stream.h>
#include <sigs/sigs.h>

#define CONFIG_ERROR_MAX 512

struct string_list {
	char **items;
	size_t count;
};

/* A variable of `vars`, with where it was said. */
struct config_var {
	char *name, *value;
	unsigned line;
};

struct config_vars {
	struct config_var *items;
	size_t count;
};

enum drop_flows { DROP_FLOWS_ALL, DROP_FLOWS_START };

/* What becomes of a session once it is encrypted. */
enum encryption_handling {
	ENCRYPTION_BYPASS,     /* the flow is bypassed, in the backend where that can */
	ENCRYPTION_TRACK_ONLY, /* it is followed, its payload not inspected */
	ENCRYPTION_FULL,       /* inspected as any other */
};

struct records_config {
	char *filename;
	char *sensor_name;
	uint64_t rotate_bytes;	       /* 0: never */
	uint32_t keep;		       /* files put aside */
	uint32_t ring_bytes;	       /* of each worker */
	uint64_t stats_interval_ns;    /* 0: at the end only */
	uint64_t coverage_interval_ns; /* 0: none */
	struct string_list types;      /* event types that are written; "all" is every one */
	struct string_list anomaly;    /* decode, stream, applayer */
	bool community_id;
	uint16_t community_id_seed;
	bool ethernet;
	bool metadata;
	bool payload;
	bool payload_printable;
	uint32_t payload_bytes;
	bool packet;
	bool verdict;
	bool references;
	int drop_flows; /* enum drop_flows */
	bool drop_alerts;
};

/* `sekisho run`: where packets come from, and who judges them. */
struct live_config {
	struct io_device_config io; /* its lists and strings point to the ones below once config_finish was called */
	struct string_list afxdp_ports, dpdk_ports, nfq_chains;
	char *dpdk_eal;
	uint32_t workers; /* 0: as many as there are processors in `cpus`, or online */
	uint64_t pick_up_ns;
	char *control_socket, *metrics_listen; /* "": none */
	int overload_policy;		       /* enum overload_policy */
	char *user;			       /* to become once the devices are open; "": stay */
	int seccomp;			       /* enum seccomp_mode */
	char *pid_file;			       /* "": none */
	char *cpus; /* "1-3,5": worker n is pinned to the n-th; "": all that this process may use */
};

/* enum exception_policy, or this: what the mode suggests (drop the flow inline, ignore when passive). */
#define POLICY_AUTO (-1)

struct config {
	bool inline_mode;
	char *path; /* of the file; NULL: defaults */

	struct config_vars address_vars, port_vars;
	struct string_list rule_files;
	char *classification_file, *reference_file, *threshold_file;
	char *iprep_categories;
	struct string_list iprep_files;
	char *geoip_database;
	char *cache_dir;

	int policy; /* the master exception policy; the ones below follow it where they are POLICY_AUTO */
	int policy_midstream, policy_stream_memcap, policy_flow_memcap, policy_defrag_memcap, policy_app_error,
		policy_app_memcap;
	bool midstream_policy_set;

	struct decode_config decode;
	bool checksum_validation;
	struct defrag_config defrag;
	struct flow_config flow;
	struct stream_config stream;
	struct app_config app;
	int encryption_handling; /* enum encryption_handling */
	struct sigs_options sigs;
	struct records_config records;
	struct live_config live;
};

/* Defaults of the mode. 0 or -ENOMEM. */
int config_init(struct config *config, bool inline_mode);
void config_free(struct config *config);

/* Reads a file over the defaults. 0, or -errno after `error` was filled with "file:line: what is wrong". */
int config_load(struct config *config, const char *path, char error[static CONFIG_ERROR_MAX]);
/* "name=value", as the command line gives it. A list becomes that one value, or, with config_add, gets it in addition. */
int config_add(struct config *config, const char *assignment, char error[static CONFIG_ERROR_MAX]);
int config_set(struct config *config, const char *assignment, char error[static CONFIG_ERROR_MAX]);
/* Settles what depends on other options (policies). To be called once, after all was read. 0 or -EINVAL. */
int config_finish(struct config *config, char error[static CONFIG_ERROR_MAX]);

/* Before `next` takes the place of `now`: what needs a restart keeps the value it has. The names of such options that differ are put
 * into `names`, comma-separated ("" when there is none). */
void config_keep(struct config *next, const struct config *now, char *names, size_t size);
/* The configuration as YAML, every option with its value. */
void config_print(const struct config *config, FILE *out);
/* All options with type, limits, default and help. */
void config_help(FILE *out);

/* --- private to config*.c and options.c --------------------------------------------------------------------------- */

enum option_type {
	OPTION_BOOL,
	OPTION_U8,
	OPTION_U16,
	OPTION_U32,
	OPTION_U64,
	OPTION_SIZE,	/* bytes in a size_t; "64mb" */
	OPTION_BYTES32, /* bytes in a uint32_t */
	OPTION_BYTES64, /* bytes in a uint64_t */
	OPTION_TIME,	/* nanoseconds in a uint64_t; "30s" */
	OPTION_CHOICE,	/* an int, by name */
	OPTION_STRING,
	OPTION_PATH, /* must exist when given */
	OPTION_LIST, /* of strings */
	OPTION_PORTS /* DECODE_PORTS_MAX ports */
};

struct option_choice {
	const char *name;
	int value;
};

struct config_option {
	const char *name;
	enum option_type type;
	size_t offset;
	uint64_t min, max;		     /* of numbers, in the unit that is stored */
	const struct option_choice *choices; /* of OPTION_CHOICE and, when not NULL, of the items of OPTION_LIST */
	const char *unit;
	const char *help;
	bool live; /* a reload changes it; else it needs a restart */
};

extern const struct config_option config_options[];
extern const size_t config_option_count;

const struct config_option *option_find(const char *name);
/* Whether some option's name begins with this section. */
bool option_is_section(const char *prefix);
/* Sets an option from its text (adds to a list). 0 or -EINVAL, and `error` says why. */
int option_parse(const struct config_option *option, struct config *config, const char *text,
		 char error[static CONFIG_ERROR_MAX]);
/* The value as text that option_parse takes; of a list the n-th item, NULL beyond the last. */
const char *option_text(const struct config_option *option, const struct config *config, size_t n, char *buf,
			size_t size);
void string_list_clear(struct string_list *list);
int string_list_add(struct string_list *list, const char *text);
