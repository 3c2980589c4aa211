/* SPDX-License-Identifier: BSD-3-Clause */
#include "terminal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

static bool progress_silent, progress_shown;

static bool is_coloured(FILE *out)
{
	const char *no_color = getenv("NO_COLOR");
	return isatty(fileno(out)) && !(no_color && no_color[0]);
}

const char *tone_on(FILE *out, enum tone tone)
{
	static const char *const codes[] = {
		[TONE_PLAIN] = "",	   [TONE_GOOD] = "\033[32m", [TONE_WARNING] = "\033[33m",
		[TONE_ERROR] = "\033[31m", [TONE_DIM] = "\033[2m",
	};
	return is_coloured(out) ? codes[tone] : "";
}

const char *tone_off(FILE *out)
{
	return is_coloured(out) ? "\033[0m" : "";
}

__attribute__((format(printf, 3, 0))) static void say(enum tone tone, const char *label, const char *format,
						      va_list args)
{
	progress_clear();
	fprintf(stderr, "sekisho: %s%s%s", tone_on(stderr, tone), label, tone_off(stderr));
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

void say_error(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	say(TONE_ERROR, "error: ", format, args);
	va_end(args);
}

void say_warning(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	say(TONE_WARNING, "warning: ", format, args);
	va_end(args);
}

void progress_show(const char *format, ...)
{
	if (progress_silent || !isatty(STDERR_FILENO))
		return;
	va_list args;
	va_start(args, format);
	fputs("\r\033[K", stderr);
	vfprintf(stderr, format, args);
	va_end(args);
	fflush(stderr);
	progress_shown = true;
}

void progress_clear(void)
{
	if (progress_shown)
		fputs("\r\033[K", stderr);
	progress_shown = false;
}

void progress_silence(void)
{
	progress_silent = true;
}
