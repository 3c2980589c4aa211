/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "address.h"

/* Addresses of both families and ports are all handled as ranges of 128-bit numbers. */
typedef unsigned __int128 wide;

struct span {
	wide first, last;
};

struct spans {
	struct span *at;
	uint32_t count, cap;
};

enum { V4, V6, FAMILIES, PORT = V4 };

/* What an expression names: all of `in` without `out`. */
struct terms {
	struct spans in[FAMILIES], out[FAMILIES];
};

struct parse {
	struct address_book *book;
	bool ports;
	unsigned depth;
	uint32_t ranges;
};

static wide space_max(const struct parse *p, int family)
{
	if (p->ports)
		return 65535;
	return family == V4 ? (wide)0xffffffffu : ~(wide)0;
}

__attribute__((format(printf, 2, 3))) static bool refuse(struct parse *p, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(p->book->why, sizeof(p->book->why), format, args);
	va_end(args);
	return false;
}

/* --- ranges ------------------------------------------------------------------------------------------------------------ */

static bool spans_add(struct parse *p, struct spans *spans, wide first, wide last)
{
	if (++p->ranges > ADDRESS_RANGES_MAX)
		return refuse(p, "more than %u ranges in one expression; split it", ADDRESS_RANGES_MAX);
	if (spans->count == spans->cap) {
		uint32_t cap = spans->cap ? spans->cap * 2 : 8;
		struct span *at = realloc(spans->at, cap * sizeof(*at));
		if (at == NULL)
			return refuse(p, "out of memory");
		spans->at = at;
		spans->cap = cap;
	}
	spans->at[spans->count++] = (struct span){first, last};
	return true;
}

static int span_compare(const void *a, const void *b)
{
	const struct span *x = a, *y = b;
	return x->first < y->first ? -1 : x->first > y->first;
}

/* Sorts and joins what overlaps or touches. */
static void spans_normalise(struct spans *spans)
{
	if (spans->count < 2)
		return;
	qsort(spans->at, spans->count, sizeof(*spans->at), span_compare);
	uint32_t kept = 0;
	for (uint32_t i = 1; i < spans->count; i++) {
		struct span *last = &spans->at[kept], *next = &spans->at[i];
		if (last->last != ~(wide)0 && next->first > last->last + 1)
			spans->at[++kept] = *next;
		else if (next->last > last->last)
			last->last = next->last;
	}
	spans->count = kept + 1;
}

/* in without out; both normalised. */
static bool spans_subtract(struct parse *p, const struct spans *in, const struct spans *out, struct spans *result)
{
	uint32_t k = 0;
	for (uint32_t i = 0; i < in->count; i++) {
		wide first = in->at[i].first, last = in->at[i].last;
		bool done = false;
		while (k < out->count && out->at[k].last < first)
			k++;
		for (uint32_t j = k; !done && j < out->count && out->at[j].first <= last; j++) {
			if (out->at[j].first > first && !spans_add(p, result, first, out->at[j].first - 1))
				return false;
			done = out->at[j].last >= last;
			first = out->at[j].last + 1;
		}
		if (!done && !spans_add(p, result, first, last))
			return false;
	}
	return true;
}

static void terms_free(struct terms *terms)
{
	for (int f = 0; f < FAMILIES; f++) {
		free(terms->in[f].at);
		free(terms->out[f].at);
	}
}

static bool covers_all(const struct parse *p, const struct spans *spans, int family)
{
	return spans->count == 1 && spans->at[0].first == 0 && spans->at[0].last == space_max(p, family);
}

/* What the terms come to, by family. A family that is only excluded from counts as whole before. */
static bool terms_settle(struct parse *p, struct terms *terms, struct spans result[FAMILIES])
{
	for (int f = 0; f < FAMILIES; f++) {
		spans_normalise(&terms->in[f]);
		spans_normalise(&terms->out[f]);
	}
	if (covers_all(p, &terms->out[V4], V4) && (p->ports || covers_all(p, &terms->out[V6], V6)))
		return refuse(p, "everything is negated, so it can never match: remove the negation of \"any\"");
	for (int f = 0; f < FAMILIES; f++) {
		if (terms->in[f].count == 0 && terms->out[f].count > 0 &&
		    !spans_add(p, &terms->in[f], 0, space_max(p, f)))
			return false;
		if (!spans_subtract(p, &terms->in[f], &terms->out[f], &result[f]))
			return false;
	}
	if (result[V4].count == 0 && result[V6].count == 0)
		return refuse(p, "nothing is left after the negations, so it can never match");
	return true;
}

/* --- one address, one port ------------------------------------------------------------------------------------------ */

static wide wide_of(const uint8_t *bytes, unsigned len)
{
	wide value = 0;
	for (unsigned i = 0; i < len; i++)
		value = value << 8 | bytes[i];
	return value;
}

/* The address; its family, or -1. */
static int read_address(const char *s, wide *value)
{
	uint8_t bytes[16];
	if (inet_pton(AF_INET, s, bytes) == 1) {
		*value = wide_of(bytes, 4);
		return V4;
	}
	if (inet_pton(AF_INET6, s, bytes) == 1) {
		*value = wide_of(bytes, 16);
		return V6;
	}
	return -1;
}

/* A prefix length or an IPv4 netmask; -1 when it is neither. */
static int read_prefix(const char *s, int family)
{
	unsigned value = 0, digits = 0;
	for (; isdigit((unsigned char)s[digits]) && digits < 4; digits++)
		value = value * 10 + (unsigned)(s[digits] - '0');
	if (digits > 0 && s[digits] == '\0')
		return value <= (family == V4 ? 32u : 128u) ? (int)value : -1;
	wide mask;
	if (family != V4 || read_address(s, &mask) != V4)
		return -1;
	int prefix = 0;
	while (prefix < 32 && mask >> (31 - prefix) & 1)
		prefix++;
	wide expected = prefix == 0 ? 0 : (wide)(0xffffffffu << (32 - prefix));
	return mask == expected ? prefix : -1;
}

static bool add_address(struct parse *p, char *s, struct spans spans[FAMILIES])
{
	wide first, last;
	int family;
	char *slash = strchr(s, '/'), *dash = strchr(s, '-');
	if (strcasecmp(s, "any") == 0)
		return spans_add(p, &spans[V4], 0, space_max(p, V4)) && spans_add(p, &spans[V6], 0, space_max(p, V6));
	if (slash) {
		*slash = '\0';
		family = read_address(s, &first);
		int prefix = family < 0 ? -1 : read_prefix(slash + 1, family);
		*slash = '/';
		if (prefix < 0)
			return refuse(p, "\"%.80s\" is no prefix: write ADDRESS/LENGTH", s);
		unsigned bits = (family == V4 ? 32u : 128u) - (unsigned)prefix;
		wide host = bits == 0 ? 0 : ~(wide)0 >> (128 - bits);
		return spans_add(p, &spans[family], first & ~host, first | host);
	}
	if (dash) {
		*dash = '\0';
		family = read_address(s, &first);
		bool good = family >= 0 && read_address(dash + 1, &last) == family && first <= last;
		*dash = '-';
		if (!good)
			return refuse(p, "\"%.80s\" is no range: write LOWEST-HIGHEST of one family", s);
		return spans_add(p, &spans[family], first, last);
	}
	family = read_address(s, &first);
	if (family < 0)
		return refuse(p, "\"%.80s\" is no address", s);
	return spans_add(p, &spans[family], first, first);
}

/* Digits up to the end; empty gives `otherwise`. */
static bool read_port(const char *s, unsigned otherwise, wide *port)
{
	unsigned value = 0, digits = 0;
	for (; isdigit((unsigned char)s[digits]) && digits < 6; digits++)
		value = value * 10 + (unsigned)(s[digits] - '0');
	*port = digits ? value : otherwise;
	return s[digits] == '\0' && value <= 65535;
}

static bool add_port(struct parse *p, char *s, struct spans spans[FAMILIES])
{
	wide first, last;
	char *colon = strchr(s, ':');
	if (strcasecmp(s, "any") == 0)
		return spans_add(p, &spans[PORT], 0, 65535);
	if (colon) {
		*colon = '\0';
		bool good = read_port(s, 0, &first) && read_port(colon + 1, 65535, &last) && first <= last &&
			    (*s || colon[1]);
		*colon = ':';
		if (!good)
			return refuse(p, "\"%.80s\" is no port range: write LOWEST:HIGHEST", s);
		return spans_add(p, &spans[PORT], first, last);
	}
	if (*s == '\0' || !read_port(s, 0, &first))
		return refuse(p, "\"%.80s\" is no port", s);
	return spans_add(p, &spans[PORT], first, first);
}

/* --- lists and variables ------------------------------------------------------------------------------------------ */

static bool parse_list(struct parse *p, char *s, struct terms *terms);

/* A list or variable under "!": what it comes to is excluded. */
static bool parse_negated(struct parse *p, char *s, struct terms *terms)
{
	struct terms inner = {0};
	struct spans result[FAMILIES] = {0};
	bool good = parse_list(p, s, &inner) && terms_settle(p, &inner, result);
	for (int f = 0; good && f < FAMILIES; f++)
		for (uint32_t i = 0; good && i < result[f].count; i++)
			good = spans_add(p, &terms->out[f], result[f].at[i].first, result[f].at[i].last);
	free(result[V4].at);
	free(result[V6].at);
	terms_free(&inner);
	return good;
}

static bool parse_inner(struct parse *p, char *s, bool negated, struct terms *terms)
{
	if (p->depth >= ADDRESS_DEPTH_MAX)
		return refuse(p, "lists or variables nest deeper than %u; is a variable defined by itself?",
			      ADDRESS_DEPTH_MAX);
	p->depth++;
	bool good = negated ? parse_negated(p, s, terms) : parse_list(p, s, terms);
	p->depth--;
	return good;
}

static bool parse_variable(struct parse *p, const char *name, bool negated, struct terms *terms)
{
	const struct table *vars = p->ports ? &p->book->port_vars : &p->book->address_vars;
	const char *text = table_find(vars, name, strlen(name));
	if (text == NULL)
		return refuse(p, "variable $%.80s is not defined: add it to vars.%s-groups", name,
			      p->ports ? "port" : "address");
	char *copy = strdup(text);
	if (copy == NULL)
		return refuse(p, "out of memory");
	bool good = parse_inner(p, copy, negated, terms);
	free(copy);
	return good;
}

static char *trim(char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	for (size_t len = strlen(s); len > 0 && isspace((unsigned char)s[len - 1]); len--)
		s[len - 1] = '\0';
	return s;
}

static bool parse_item(struct parse *p, char *s, struct terms *terms)
{
	bool negated = false;
	for (s = trim(s); *s == '!'; s = trim(s + 1))
		negated = !negated;
	size_t len = strlen(s);
	if (len == 0)
		return refuse(p, "an item is empty: remove the stray comma, bracket or \"!\"");
	if (*s == '$')
		return parse_variable(p, s + 1, negated, terms);
	if (*s == '[') {
		if (s[len - 1] != ']')
			return refuse(p, "a bracket is not closed");
		s[len - 1] = '\0';
		return parse_inner(p, s + 1, negated, terms);
	}
	struct spans *spans = negated ? terms->out : terms->in;
	return p->ports ? add_port(p, s, spans) : add_address(p, s, spans);
}

/* Items separated by commas outside brackets. */
static bool parse_list(struct parse *p, char *s, struct terms *terms)
{
	unsigned open = 0;
	char *item = s;
	for (;; s++) {
		if (*s == '[') {
			open++;
		} else if (*s == ']') {
			if (open-- == 0)
				return refuse(p, "a bracket is closed that was not opened");
		} else if (*s == '\0' || (*s == ',' && open == 0)) {
			bool last = *s == '\0';
			if (open > 0)
				return refuse(p, "a bracket is not closed");
			*s = '\0';
			if (!parse_item(p, item, terms))
				return false;
			if (last)
				return true;
			item = s + 1;
		}
	}
}

static bool evaluate(struct address_book *book, bool ports, const char *text, size_t len, struct spans result[FAMILIES])
{
	struct parse p = {.book = book, .ports = ports};
	struct terms terms = {0};
	char *copy = strndup(text, len);
	bool good = copy && parse_list(&p, copy, &terms) && terms_settle(&p, &terms, result);
	if (copy == NULL)
		refuse(&p, "out of memory");
	free(copy);
	terms_free(&terms);
	return good;
}

/* --- sets ------------------------------------------------------------------------------------------------------------- */

static void bytes_of(wide value, uint8_t bytes[static 16])
{
	for (int i = 15; i >= 0; i--, value >>= 8)
		bytes[i] = (uint8_t)value;
}

static struct address_set *address_set_new(struct arena *arena, const struct spans result[static FAMILIES])
{
	struct address_set *set = arena_alloc(arena, sizeof(*set));
	if (set == NULL)
		return NULL;
	const struct spans *v4 = &result[V4], *v6 = &result[V6];
	set->any = v4->count == 1 && v4->at[0].first == 0 && v4->at[0].last == 0xffffffffu && v6->count == 1 &&
		   v6->at[0].first == 0 && v6->at[0].last == ~(wide)0;
	set->v4 = arena_alloc(arena, v4->count * sizeof(*set->v4));
	set->v6 = arena_alloc(arena, v6->count * sizeof(*set->v6));
	if (set->v4 == NULL || set->v6 == NULL)
		return NULL;
	set->v4_count = v4->count;
	set->v6_count = v6->count;
	for (uint32_t i = 0; i < v4->count; i++) {
		set->v4[i].first = (uint32_t)v4->at[i].first;
		set->v4[i].last = (uint32_t)v4->at[i].last;
	}
	for (uint32_t i = 0; i < v6->count; i++) {
		bytes_of(v6->at[i].first, set->v6[i].first);
		bytes_of(v6->at[i].last, set->v6[i].last);
	}
	return set;
}

static struct port_set *port_set_new(struct arena *arena, const struct spans *spans)
{
	struct port_set *set = arena_alloc(arena, sizeof(*set));
	if (set == NULL)
		return NULL;
	set->any = spans->count == 1 && spans->at[0].first == 0 && spans->at[0].last == 65535;
	set->count = spans->count;
	set->ranges = arena_alloc(arena, spans->count * sizeof(*set->ranges));
	if (set->ranges == NULL)
		return NULL;
	for (uint32_t i = 0; i < spans->count; i++) {
		set->ranges[i].first = (uint16_t)spans->at[i].first;
		set->ranges[i].last = (uint16_t)spans->at[i].last;
	}
	if (spans->count < 2)
		return set;
	set->bitmap = arena_alloc(arena, 65536 / 8);
	if (set->bitmap == NULL)
		return NULL;
	for (uint32_t i = 0; i < spans->count; i++)
		for (unsigned port = set->ranges[i].first; port <= set->ranges[i].last; port++)
			set->bitmap[port >> 6] |= 1ull << (port & 63);
	return set;
}

static const void *set_of(struct address_book *book, bool ports, const char *text, size_t len)
{
	struct table *made = ports ? &book->ports : &book->addresses;
	void *set = table_find(made, text, len);
	if (set)
		return set;
	struct spans result[FAMILIES] = {0};
	if (evaluate(book, ports, text, len, result)) {
		const char *key = arena_strndup(book->arena, text, len);
		set = ports ? (void *)port_set_new(book->arena, &result[PORT])
			    : (void *)address_set_new(book->arena, result);
		if (key == NULL || set == NULL || table_put(made, key, len, set) != 0) {
			snprintf(book->why, sizeof(book->why), "out of memory");
			set = NULL;
		}
	}
	free(result[V4].at);
	free(result[V6].at);
	return set;
}

const struct address_set *address_set_of(struct address_book *book, const char *text, size_t len)
{
	return set_of(book, false, text, len);
}

const struct port_set *port_set_of(struct address_book *book, const char *text, size_t len)
{
	return set_of(book, true, text, len);
}

void address_book_free(struct address_book *book)
{
	table_free(&book->address_vars);
	table_free(&book->port_vars);
	table_free(&book->addresses);
	table_free(&book->ports);
}

/* --- asking --------------------------------------------------------------------------------------------------------------- */

static bool has_v4(const struct address_set *set, uint32_t addr)
{
	uint32_t low = 0, high = set->v4_count;
	while (low < high) {
		uint32_t mid = (low + high) / 2;
		if (addr < set->v4[mid].first)
			high = mid;
		else if (addr > set->v4[mid].last)
			low = mid + 1;
		else
			return true;
	}
	return false;
}

static bool has_v6(const struct address_set *set, const uint8_t addr[static 16])
{
	uint32_t low = 0, high = set->v6_count;
	while (low < high) {
		uint32_t mid = (low + high) / 2;
		if (memcmp(addr, set->v6[mid].first, 16) < 0)
			high = mid;
		else if (memcmp(addr, set->v6[mid].last, 16) > 0)
			low = mid + 1;
		else
			return true;
	}
	return false;
}

bool address_set_has(const struct address_set *set, const union packet_addr *addr, uint8_t family)
{
	if (set->any)
		return true;
	if (family == 4)
		return has_v4(set, load_be32(addr->bytes));
	return family == 6 && has_v6(set, addr->bytes);
}

bool port_set_has(const struct port_set *set, uint16_t port)
{
	if (set->any)
		return true;
	if (set->bitmap)
		return set->bitmap[port >> 6] >> (port & 63) & 1;
	for (uint32_t i = 0; i < set->count; i++)
		if (port >= set->ranges[i].first && port <= set->ranges[i].last)
			return true;
	return false;
}
