/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include <sigs/sigs.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int no_file(void *user, const char *path, const char *rule_file, struct sigs_blob *blob)
{
	(void)user;
	(void)path;
	(void)rule_file;
	blob->data = strdup("1.2.3.4\n");
	blob->len = 8;
	return blob->data ? 0 : -12;
}

/* The text as rules and as each of the files that stand beside them. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sigs_env env = {.read_file = no_file};
	const char *text = (const char *)data;
	struct sigs_builder *builder = sigs_builder_new(&env);
	if (builder == NULL)
		abort();
	sigs_add_address_var(builder, "HOME_NET", "[10.0.0.0/8,!10.1.0.0/16]", "fuzz", 1);
	sigs_add_port_var(builder, "HTTP_PORTS", "[80,8000:8100]", "fuzz", 2);
	sigs_add_classifications(builder, "fuzz", text, size);
	sigs_add_references(builder, "fuzz", text, size);
	sigs_add_iprep_categories(builder, "fuzz", text, size);
	sigs_add_iprep(builder, "fuzz", text, size);
	sigs_add_thresholds(builder, "fuzz", text, size);
	sigs_add_rules(builder, "fuzz", text, size);
	struct sigs_counts counts = sigs_builder_counts(builder);
	if (counts.loaded + counts.waiting + counts.failed + counts.skipped > size)
		abort(); /* each rule takes at least a byte */
	sigs_builder_free(builder);
	return 0;
}
