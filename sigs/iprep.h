/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Reputation of addresses (`iprep`). Loading is declared in signature.h, for the language half. */

#include "signature.h"

/* Highest score that a reputation file may give. */
#define IPREP_SCORE_MAX 127

/* The score of an address in a category, the most specific prefix winning; -1 when it has none. Any thread. */
int iprep_score(const struct iprep *iprep, const union packet_addr *addr, uint8_t family, uint8_t category);
