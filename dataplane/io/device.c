/* SPDX-License-Identifier: BSD-3-Clause */
/* The one place that knows which live backends this build has. */
#include "device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct backend {
	const char *name;
	struct io_device *(*open)(const struct io_device_config *config, char *error); /* NULL: not built */
	void (*forget)(void);							       /* NULL: it leaves nothing */
} backends[] = {
#ifdef HAVE_AFXDP
	[IO_AFXDP] = {"afxdp", io_afxdp_open, io_afxdp_forget},
#else
	[IO_AFXDP] = {"afxdp", NULL, NULL},
#endif
#ifdef HAVE_DPDK
	[IO_DPDK] = {"dpdk", io_dpdk_open, NULL},
#else
	[IO_DPDK] = {"dpdk", NULL, NULL},
#endif
#ifdef HAVE_NFQ
	[IO_NFQ] = {"nfq", io_nfq_open, NULL},
#else
	[IO_NFQ] = {"nfq", NULL, NULL},
#endif
};

const char *io_backend_name(enum io_backend backend)
{
	return backends[backend].name;
}

bool io_backend_built(enum io_backend backend)
{
	return backends[backend].open != NULL;
}

void io_device_forget(enum io_backend backend)
{
	if (backends[backend].forget)
		backends[backend].forget();
}

void io_device_config_defaults(struct io_device_config *config)
{
	*config = (struct io_device_config){
		.backend = IO_AFXDP,
		.workers = 1,
		.afxdp = {.mode = IO_XDP_AUTO,
			  .zero_copy = true,
			  .steer = true,
			  .frames = 16384,
			  .frame_size = 2048,
			  .ring_size = 2048,
			  .fail_open = true,
			  .heartbeat_ns = 500000000},
		.dpdk = {.steer = true, .rx_descriptors = 1024, .tx_descriptors = 1024, .mbufs = 32768},
		.nfq = {.queue_length = 8192, .fail_open = true, .gso = true},
	};
}

struct io_device *io_device_open(const struct io_device_config *config, char *error)
{
	const struct backend *backend = &backends[config->backend];
	if (!backend->open) {
		snprintf(error, IO_ERROR_MAX, "this build has no %s: set it up with -D%s=enabled", backend->name,
			 backend->name);
		errno = ENOTSUP;
		return NULL;
	}
	if (config->workers == 0 || config->workers > IO_WORKERS_MAX) {
		snprintf(error, IO_ERROR_MAX, "%u workers: there can be 1 to %u", config->workers, IO_WORKERS_MAX);
		errno = EINVAL;
		return NULL;
	}
	return backend->open(config, error);
}
