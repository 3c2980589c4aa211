/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* triage/default.yaml, which the build puts into the program. */
extern const unsigned char triage_default_yaml[];
extern const unsigned long triage_default_yaml_len;
