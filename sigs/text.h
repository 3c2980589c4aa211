/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Small readers of the language's text. A value is NUL-terminated and may be changed in place. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signature.h"

/* Past blanks at the front; blanks at the end are cut off. */
char *text_trim(char *s);
/* The next piece up to `separator`, trimmed; *rest moves past it, NULL at the end. NULL when nothing is left. */
char *text_next(char **rest, char separator);
/* Splits "name value" at the first blank: returns the trimmed value ("" when there is none) and ends the name. */
char *text_value(char *s);
/* A whole decimal, or (with `hex`) 0x number, at most max. */
bool text_u64(const char *s, bool hex, uint64_t max, uint64_t *out);
bool text_i64(const char *s, int64_t min, int64_t max, int64_t *out);
/* Index of the word in a NULL-ended list, -1 when it is none of them. */
int text_word(const char *s, const char *const *words);

/*
 * A comparison of numbers: "5", "=5", "!5", "!=5", "<5", "<=5", ">5", ">=5", "5<>9" and "5-9" (both exclusive), "!5-9",
 * "&0x0f=0x04", "&0x0f!=0x04"; decimal (with kb, mb, gb) or 0x. With `names` (NULL-ended, of an app_value) also a name or
 * !name. Fails when it is malformed or can never or always hold.
 */
bool number_parse(const char *s, uint64_t max, const struct app_value_name *names, struct number_test *out);
/* An operator alone ("<", ">=", ...): its length, 0 when there is none. */
size_t number_op_parse(const char *s, enum number_op *op);
