/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Base64 (RFC 4648, RFC 2045) as rules read it. */

#include <stddef.h>
#include <stdint.h>

#include "signature.h"

/*
 * Decodes at most cap bytes of `in` into `out` and returns how many. An incomplete last group gives the bytes that it
 * holds. A character outside the alphabet ends the decoding (BASE64_RFC4648), is skipped (BASE64_RFC2045), or makes the
 * result empty (BASE64_STRICT, which also wants whole groups). Padding ends the decoding in every mode.
 */
size_t base64_decode_bytes(const uint8_t *in, size_t len, uint8_t *out, size_t cap, enum base64_mode mode);
