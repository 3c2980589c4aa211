/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a fuzz target without libFuzzer: every file of the given folder as it is, then cut at many places and with bytes
 * changed by a seeded generator, so that a plain build still tries some thousand malformed inputs.
 *
 * usage: fuzz_NAME CORPUS-FOLDER [MUTATIONS-PER-FILE]
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (1u << 20)

static uint64_t random_state = 0x9e3779b97f4a7c15ull;

static uint32_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 32);
}

/* The target gets memory of exactly the input's size, so that a sanitizer sees every overrun. */
static void run_exact(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	if (!copy)
		abort();
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static unsigned run_file(const char *path, unsigned mutations)
{
	FILE *f = fopen(path, "rb");
	if (!f) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(1);
	}
	uint8_t *data = malloc(INPUT_MAX), *changed = malloc(INPUT_MAX);
	if (!data || !changed)
		abort();
	size_t size = fread(data, 1, INPUT_MAX, f);
	fclose(f);
	run_exact(data, size);
	for (unsigned i = 0; i < mutations && size > 0; i++) {
		memcpy(changed, data, size);
		size_t len = i % 3 == 0 ? random_next() % size : size;
		unsigned edits = i % 3 == 1 ? 1 : random_next() % 8;
		for (unsigned k = 0; k < edits && len > 0; k++)
			changed[random_next() % len] =
				k & 1 ? (uint8_t)(random_next() & 1 ? 0xff : 0) : (uint8_t)random_next();
		run_exact(changed, len);
	}
	free(data);
	free(changed);
	return 1 + mutations;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: %s CORPUS-FOLDER [MUTATIONS-PER-FILE]\n", argv[0]);
		return 2;
	}
	unsigned mutations = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 300, inputs = 0, files = 0;
	DIR *dir = opendir(argv[1]);
	if (!dir) {
		fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	for (struct dirent *e; (e = readdir(dir));) {
		char path[4096];
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", argv[1], e->d_name);
		inputs += run_file(path, mutations);
		files++;
	}
	closedir(dir);
	if (files == 0) {
		fprintf(stderr, "%s: no corpus files; a target without a corpus tests nothing\n", argv[1]);
		return 1;
	}
	printf("%u files, %u inputs\n", files, inputs);
	return 0;
}
