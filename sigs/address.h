/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Address and port expressions of the language: "any", "!10.0.0.0/8", "[$HOME_NET,!10.1.1.1]", "1024:", "[80,8000:8100]". */

#include "signature.h"
#include "table.h"

/* Lists in lists, and variables in variables, that are followed. */
#define ADDRESS_DEPTH_MAX 32
/* Ranges that one expression may name, variables included: bounds what a cycle-free but exploding definition costs. */
#define ADDRESS_RANGES_MAX (1u << 20)

/* The variables and the sets made so far: equal expressions give the same set. */
struct address_book {
	struct arena *arena;
	struct table address_vars, port_vars; /* name to text */
	struct table addresses, ports;	      /* text to set */
	char why[256];			      /* of the last failure: what is wrong and what to do */
};

void address_book_free(struct address_book *book);

/* The set of an expression; NULL with book->why. */
const struct address_set *address_set_of(struct address_book *book, const char *text, size_t len);
const struct port_set *port_set_of(struct address_book *book, const char *text, size_t len);
