/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What device.c asks of each live backend: one function a file. Private to dataplane/io. */

#include <dataplane/io.h>

struct io_device *io_afxdp_open(const struct io_device_config *config, char *error);
void io_afxdp_forget(void);
struct io_device *io_dpdk_open(const struct io_device_config *config, char *error);
struct io_device *io_nfq_open(const struct io_device_config *config, char *error);
