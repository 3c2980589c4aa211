/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

/* --- life ----------------------------------------------------------------------------------------------------------------- */

struct sigs_builder *sigs_builder_new(const struct sigs_env *env)
{
	struct sigs_builder *b = calloc(1, sizeof(*b));
	if (b == NULL)
		return NULL;
	if (env)
		b->env = *env;
	b->threshold_last = &b->threshold_lines;
	b->payload = (struct buffer_info){.name = "payload", .kind = BUFFER_PAYLOAD};
	b->base64 = (struct buffer_info){.name = "base64_data", .kind = BUFFER_BASE64};
	b->arena = arena_new();
	b->rule = malloc(sizeof(*b->rule));
	b->joined = malloc(RULE_BYTES_MAX);
	b->addresses.arena = b->arena;
	if (b->arena == NULL || b->rule == NULL || b->joined == NULL || keywords_build(b) != 0 ||
	    builder_buffer(b, &b->payload, -1, NULL, 0, "") == NULL) {
		sigs_builder_free(b);
		errno = ENOMEM;
		return NULL;
	}
	return b;
}

void sigs_builder_free(struct sigs_builder *b)
{
	if (b == NULL)
		return;
	address_book_free(&b->addresses);
	struct table *tables[] = {&b->keywords, &b->classifications, &b->references,  &b->unknown_classes,
				  &b->by_sid,	&b->regexes,	     &b->buffer_refs, &b->dataset_names};
	for (unsigned i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		table_free(tables[i]);
	for (int space = 0; space < NAME_SPACES; space++) {
		table_free(&b->names[space]);
		free(b->name_list[space]);
	}
	free(b->signatures);
	free(b->waiting);
	free(b->rule);
	free(b->joined);
	arena_free(b->arena);
	free(b);
}

void builder_vsay(const struct sigs_builder *b, enum sigs_severity severity, const char *file, unsigned line,
		  uint32_t sid, const char *option, const char *format, va_list args)
{
	char message[512];
	if (b->env.diagnostic == NULL)
		return;
	vsnprintf(message, sizeof(message), format, args);
	struct sigs_diagnostic diagnostic = {
		.severity = severity, .file = file, .line = line, .sid = sid, .option = option, .message = message};
	b->env.diagnostic(b->env.user, &diagnostic);
}

void builder_say(const struct sigs_builder *b, enum sigs_severity severity, const char *file, unsigned line,
		 uint32_t sid, const char *option, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	builder_vsay(b, severity, file, line, sid, option, format, args);
	va_end(args);
}

/* --- names and buffers ------------------------------------------------------------------------------------------------ */

/* Makes room for one more in a growing array. */
static bool make_room(void *array, uint32_t count, uint32_t *cap, size_t size)
{
	void **at = array;
	if (count < *cap)
		return true;
	uint32_t grown = *cap ? *cap * 2 : 256;
	void *p = realloc(*at, grown * size);
	if (p == NULL)
		return false;
	*at = p;
	*cap = grown;
	return true;
}

uint32_t builder_name(struct sigs_builder *b, enum name_space space, const char *name)
{
	size_t len = strlen(name);
	/* numbers are kept as pointers, from 1, since 0 means "not there" */
	uintptr_t known = (uintptr_t)table_find(&b->names[space], name, len);
	if (known)
		return (uint32_t)(known - 1);
	const char *copy = arena_strndup(b->arena, name, len);
	uint32_t number = b->name_count[space];
	if (copy == NULL || !make_room(&b->name_list[space], number, &b->name_cap[space], sizeof(char *)) ||
	    table_put(&b->names[space], copy, len, (void *)(uintptr_t)(number + 1)) != 0)
		return UINT32_MAX;
	b->name_list[space][number] = copy;
	b->name_count[space]++;
	return number;
}

const struct buffer_ref *builder_buffer(struct sigs_builder *b, const struct buffer_info *info, int dir,
					const struct transform *transforms, unsigned count, const char *key)
{
	char text[1200];
	int len = snprintf(text, sizeof(text), "%s%c%s", info->name, dir < 0 ? '*' : '0' + dir, key);
	struct buffer_ref *ref = table_find(&b->buffer_refs, text, (size_t)len);
	if (ref)
		return ref;
	if (b->ref_count == UINT16_MAX)
		return NULL;
	ref = arena_alloc(b->arena, sizeof(*ref));
	struct transform *chain = arena_alloc(b->arena, count * sizeof(*chain));
	const char *copy = arena_strndup(b->arena, text, (size_t)len);
	if (ref == NULL || chain == NULL || copy == NULL || table_put(&b->buffer_refs, copy, (size_t)len, ref) != 0)
		return NULL;
	if (count > 0)
		memcpy(chain, transforms, count * sizeof(*chain));
	ref->id = (uint16_t)b->ref_count++;
	ref->kind = info->kind;
	ref->packet = info->packet;
	ref->name = info->name;
	ref->transforms = chain;
	ref->transform_count = count;
	for (unsigned app = 0; app < APP_ID_COUNT; app++)
		for (int d = 0; d < 2; d++)
			ref->app[app][d] = dir < 0 || dir == d ? info->app[app][d] : NULL;
	if (b->refs_last)
		b->refs_last->next = ref;
	else
		b->refs = ref;
	b->refs_last = ref;
	return ref;
}

/* --- variables, classifications, references --------------------------------------------------------------------- */

static int add_var(struct sigs_builder *b, bool ports, const char *name, const char *value, const char *file,
		   unsigned line)
{
	struct address_book *book = &b->addresses;
	const char *key = arena_strndup(b->arena, name, strlen(name));
	char *text = arena_strndup(b->arena, value, strlen(value));
	if (key == NULL || text == NULL ||
	    table_put(ports ? &book->port_vars : &book->address_vars, key, strlen(key), text) != 0)
		return -ENOMEM;
	const void *set = ports ? (const void *)port_set_of(book, text, strlen(text))
				: (const void *)address_set_of(book, text, strlen(text));
	if (set)
		return 0;
	builder_say(b, SIGS_ERROR, file, line, 0, name, "variable %s, \"%.80s\": %s", name, value, book->why);
	return -EINVAL;
}

int sigs_add_address_var(struct sigs_builder *b, const char *name, const char *value, const char *file, unsigned line)
{
	return add_var(b, false, name, value, file, line);
}

int sigs_add_port_var(struct sigs_builder *b, const char *name, const char *value, const char *file, unsigned line)
{
	return add_var(b, true, name, value, file, line);
}

/* Calls for each line that is neither empty nor a comment, with a copy in the arena that may be changed. */
static int each_line(struct sigs_builder *b, const char *file, const char *text, size_t len,
		     int (*each)(struct sigs_builder *b, const char *file, unsigned number, char *line))
{
	int result = 0;
	unsigned number = 0;
	for (const char *at = text, *end = text + len; at < end;) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *stop = newline ? newline : end;
		number++;
		char *line = arena_strndup(b->arena, at, (size_t)(stop - at));
		at = stop + 1;
		if (line == NULL)
			return -ENOMEM;
		line = text_trim(line);
		int err = *line == '\0' || *line == '#' ? 0 : each(b, file, number, line);
		if (err)
			result = err;
	}
	return result;
}

static int add_classification(struct sigs_builder *b, const char *file, unsigned number, char *line)
{
	static const char form[] = "config classification:";
	char *rest = line + sizeof(form) - 1;
	uint64_t priority;
	if (strncmp(line, form, sizeof(form) - 1) != 0)
		goto bad;
	char *name = text_next(&rest, ','), *words = text_next(&rest, ','), *digits = text_next(&rest, ',');
	if (digits == NULL || rest || *name == '\0' || !text_u64(digits, false, 255, &priority) || priority == 0)
		goto bad;
	struct classification *c = arena_alloc(b->arena, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	*c = (struct classification){.name = name, .words = words, .priority = (uint8_t)priority};
	return table_put(&b->classifications, name, strlen(name), c);
bad:
	builder_say(b, SIGS_ERROR, file, number, 0, NULL,
		    "write \"config classification: NAME,DESCRIPTION,PRIORITY\" with a priority from 1 to 255");
	return -EINVAL;
}

static int add_reference(struct sigs_builder *b, const char *file, unsigned number, char *line)
{
	static const char form[] = "config reference:";
	char *name = line + sizeof(form) - 1;
	if (strncmp(line, form, sizeof(form) - 1) == 0) {
		name = text_trim(name);
		char *address = text_value(name);
		for (char *c = name; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		if (*name && *address)
			return table_put(&b->references, name, strlen(name), address);
	}
	builder_say(b, SIGS_ERROR, file, number, 0, NULL, "write \"config reference: NAME ADDRESS-PREFIX\"");
	return -EINVAL;
}

int sigs_add_classifications(struct sigs_builder *b, const char *file, const char *text, size_t len)
{
	return each_line(b, file, text, len, add_classification);
}

int sigs_add_references(struct sigs_builder *b, const char *file, const char *text, size_t len)
{
	return each_line(b, file, text, len, add_reference);
}

/* --- reputation ----------------------------------------------------------------------------------------------------------- */

static int iprep_line(struct sigs_builder *b, const char *file, unsigned number, const char *line, const char *form,
		      int (*add)(struct iprep *iprep, const char *text, size_t len))
{
	if (b->iprep == NULL)
		b->iprep = iprep_new(b->arena);
	if (b->iprep == NULL)
		return -ENOMEM;
	int err = add(b->iprep, line, strlen(line));
	if (err)
		builder_say(b, SIGS_ERROR, file, number, 0, NULL, "\"%.80s\" is not understood: write %s", line, form);
	return err ? -EINVAL : 0;
}

static int add_iprep_category(struct sigs_builder *b, const char *file, unsigned number, char *line)
{
	return iprep_line(b, file, number, line, "NUMBER,SHORT-NAME,DESCRIPTION", iprep_add_category);
}

static int add_iprep_address(struct sigs_builder *b, const char *file, unsigned number, char *line)
{
	return iprep_line(b, file, number, line, "ADDRESS,CATEGORY-NUMBER,SCORE", iprep_add_address);
}

int sigs_add_iprep_categories(struct sigs_builder *b, const char *file, const char *text, size_t len)
{
	return each_line(b, file, text, len, add_iprep_category);
}

int sigs_add_iprep(struct sigs_builder *b, const char *file, const char *text, size_t len)
{
	return each_line(b, file, text, len, add_iprep_address);
}

/* --- rules ------------------------------------------------------------------------------------------------------------------ */

static int note_waiting(struct sigs_builder *b, const struct rule *rule)
{
	if (!make_room(&b->waiting, b->waiting_count, &b->waiting_cap, sizeof(*b->waiting)))
		return -ENOMEM;
	b->waiting[b->waiting_count++] = (struct waiting_rule){
		.file = rule->file, .line = rule->line, .sid = rule->sig.info.sid, .what = rule->waiting};
	b->counts.waiting++;
	return 0;
}

/* One that is loaded with the same gid and sid: the higher revision stays. 1: the new one is left out. */
static int settle_duplicate(struct sigs_builder *b, struct rule *rule, const char *key, size_t len)
{
	struct signature **old = table_find(&b->by_sid, key, len);
	uintptr_t index = (uintptr_t)old;
	if (index == 0)
		return 0;
	struct signature **slot = &b->signatures[index - 1];
	const struct sigs_info *was = &(*slot)->info;
	if (rule->sig.info.rev == was->rev) {
		rule_fail(
			rule,
			"sid %u gid %u stands already in %s line %u with revision %u: change the sid or raise the rev",
			was->sid, was->gid, was->file, was->line, was->rev);
		return 1;
	}
	b->counts.skipped++;
	if (rule->sig.info.rev < was->rev)
		return 1;
	b->counts.loaded--;
	*slot = NULL;
	return 0;
}

static int keep_signature(struct sigs_builder *b, struct rule *rule)
{
	uint32_t id[2] = {rule->sig.info.gid, rule->sig.info.sid};
	struct signature *sig = arena_alloc(b->arena, sizeof(*sig));
	const char *key = arena_strndup(b->arena, (const char *)id, sizeof(id));
	if (sig == NULL || key == NULL ||
	    !make_room(&b->signatures, b->signature_count, &b->signature_cap, sizeof(*b->signatures)))
		return -ENOMEM;
	if (settle_duplicate(b, rule, key, sizeof(id)) != 0) {
		b->counts.failed += rule->failed;
		return 0;
	}
	*sig = rule->sig;
	b->signatures[b->signature_count++] = sig;
	b->counts.loaded++;
	return table_put(&b->by_sid, key, sizeof(id), (void *)(uintptr_t)b->signature_count);
}

static int add_rule(struct sigs_builder *b, const char *file, unsigned line, const char *text, size_t len)
{
	struct rule *rule = b->rule;
	memset(rule, 0, offsetof(struct rule, options));
	rule->builder = b;
	rule->file = file;
	rule->line = line;
	rule->sig.info.file = file;
	rule->sig.info.line = line;
	if (len >= RULE_BYTES_MAX || memchr(text, '\0', len)) {
		rule_fail(rule, len >= RULE_BYTES_MAX ? "the rule is longer than %u bytes" : "a NUL stands in the rule",
			  RULE_BYTES_MAX);
		b->counts.failed++;
		return 0;
	}
	char *copy = arena_strndup(b->arena, text, len);
	if (copy == NULL)
		return -ENOMEM;
	rule_parse(rule, copy, text);
	if (rule->failed) {
		b->counts.failed++;
		return 0;
	}
	if (rule->skipped) {
		b->counts.skipped++;
		return 0;
	}
	return rule->waiting ? note_waiting(b, rule) : keep_signature(b, rule);
}

/* The end of the rule that starts at `at`: one line, or several where each but the last ends with a backslash. Joined
 * lines come out in builder->joined. Returns where the next line starts; *lines says how many it took. */
static const char *take_rule(struct sigs_builder *b, const char *at, const char *end, const char **text, size_t *len,
			     unsigned *lines)
{
	size_t joined = 0;
	for (*lines = 1;; ++*lines) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *stop = newline ? newline : end, *next = newline ? newline + 1 : end;
		if (stop > at && stop[-1] == '\r')
			stop--;
		bool more = stop > at && stop[-1] == '\\' && next < end;
		if (!more && joined == 0) {
			*text = at;
			*len = (size_t)(stop - at);
			return next;
		}
		size_t take = (size_t)(stop - at) - more;
		if (take > RULE_BYTES_MAX - 1 - joined)
			take = RULE_BYTES_MAX - 1 - joined; /* cut: it fails as too long, or as not ended */
		memcpy(b->joined + joined, at, take);
		joined += take;
		if (!more) {
			*text = b->joined;
			*len = joined;
			return next;
		}
		if (joined == 0)
			b->joined[joined++] = ' ';
		at = next;
	}
}

int sigs_add_rules(struct sigs_builder *b, const char *file, const char *text, size_t len)
{
	const char *name = arena_strndup(b->arena, file, strlen(file));
	if (name == NULL)
		return -ENOMEM;
	unsigned line = 1, lines;
	for (const char *at = text, *end = text + len; at < end; line += lines) {
		const char *rule;
		size_t rule_len;
		at = take_rule(b, at, end, &rule, &rule_len, &lines);
		while (rule_len > 0 && isspace((unsigned char)*rule)) {
			rule++;
			rule_len--;
		}
		while (rule_len > 0 && isspace((unsigned char)rule[rule_len - 1]))
			rule_len--;
		if (rule_len == 0 || *rule == '#' || *rule == ';')
			continue;
		int err = add_rule(b, name, line, rule, rule_len);
		if (err)
			return err;
	}
	return 0;
}

/* --- giving out ------------------------------------------------------------------------------------------------------------ */

struct sigs_counts sigs_builder_counts(const struct sigs_builder *b)
{
	return b->counts;
}

void sigs_builder_waiting(const struct sigs_builder *b,
			  void (*each)(void *user, const char *file, unsigned line, uint32_t sid, const char *what),
			  void *user)
{
	for (uint32_t i = 0; i < b->waiting_count; i++)
		each(user, b->waiting[i].file, b->waiting[i].line, b->waiting[i].sid, b->waiting[i].what);
}

void sigs_builder_take(struct sigs_builder *b, struct parsed_rules *out)
{
	*out = (struct parsed_rules){.env = b->env};
	thresholds_apply(b);
	uint32_t count = 0;
	for (uint32_t i = 0; i < b->signature_count; i++)
		if (b->signatures[i])
			b->signatures[count++] = b->signatures[i];
	out->signatures = arena_alloc(b->arena, count * sizeof(*out->signatures));
	for (int space = 0; space < NAME_SPACES; space++) {
		uint32_t names = b->name_count[space];
		out->names[space] = arena_alloc(b->arena, names * sizeof(char *));
		if (out->names[space] && names > 0) {
			memcpy(out->names[space], b->name_list[space], names * sizeof(char *));
			out->name_count[space] = names;
		}
	}
	if (out->signatures && count > 0) {
		memcpy(out->signatures, b->signatures, count * sizeof(*out->signatures));
		out->count = count;
	}
	out->arena = b->arena;
	out->buffers = b->refs;
	out->buffer_count = b->ref_count;
	out->datasets = b->datasets;
	out->iprep = b->iprep;
	out->counts = b->counts;
	out->wants_file_hashes = b->wants_file_hashes;
	b->arena = NULL;
	b->signature_count = b->waiting_count = 0;
	b->iprep = NULL;
	b->counts = (struct sigs_counts){0};
}
