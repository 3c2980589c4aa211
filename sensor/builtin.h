/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Classes and reference kinds that rules of the trade use, for sensors whose configuration names no files. The text is in
 * the files' own format; the caller frees it. NULL when memory is out. */
char *builtin_classifications(void);
char *builtin_references(void);
