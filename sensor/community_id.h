/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Community ID v1: a name for a flow that other tools compute alike. Any thread. */

#include <stdbool.h>
#include <stdint.h>

#include <openssl/evp.h>

#include <dataplane/flow.h>

/* "1:" and 28 characters of Base64, and the zero. */
#define COMMUNITY_ID_BYTES 31

/* The text for a flow; `type` and `code` are those of its first message (ICMP has no ports). `hasher` is scratch that is kept, so that
 * naming a flow allocates nothing. False when hashing failed. */
bool community_id(EVP_MD_CTX *hasher, const struct flow_key *key, uint8_t type, uint8_t code, uint16_t seed,
		  char out[static COMMUNITY_ID_BYTES]);
