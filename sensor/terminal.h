/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Messages for people on standard error: colours and progress only where it is a terminal. Main thread. */

#include <stdbool.h>
#include <stdio.h>

enum tone { TONE_PLAIN, TONE_GOOD, TONE_WARNING, TONE_ERROR, TONE_DIM };

/* The escape sequences around a tone on `out`; "" when that is no terminal (or NO_COLOR is set). */
const char *tone_on(FILE *out, enum tone tone);
const char *tone_off(FILE *out);

/* "sekisho: ..." on standard error. */
__attribute__((format(printf, 1, 2))) void say_error(const char *format, ...);
__attribute__((format(printf, 1, 2))) void say_warning(const char *format, ...);

/* One line that is written over while work goes on; nothing when standard error is no terminal, or after progress_silence. */
__attribute__((format(printf, 1, 2))) void progress_show(const char *format, ...);
void progress_clear(void);
void progress_silence(void);
