/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Which worker a frame belongs to, seen from its raw bytes: a hash of the pair of IP addresses that is the same for both
 * directions. Ports have no part in it, so that fragments go with their datagram; of tunnels the outermost addresses count,
 * so that a tunnel is one worker's. An ICMP error counts as what it quotes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False for what is no IP (or cannot be read). `link_type`: DLT_EN10MB, or DLT_RAW. Any thread. */
bool frame_hash(const uint8_t *data, size_t len, uint16_t link_type, uint64_t seed, uint32_t *hash);
