/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading captures of every kind, saying where one breaks, and writing what would have been forwarded. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <pcap/dlt.h>
#include <zlib.h>

#include <dataplane/io.h>

#include "io/capture.h"

/* --- making captures ---------------------------------------------------------------------------------------------------- */

#define SECONDS	 1700000000u
#define FRACTION 123456u
/* of LINKTYPE_RAW, the one number that differs between files and memory */
#define FILE_RAW 101

struct image {
	uint8_t *data;
	size_t len;
	bool swapped, nanosecond;
};

static void put(struct image *im, const void *data, size_t len)
{
	im->data = realloc(im->data, im->len + len);
	assert_non_null(im->data);
	memcpy(im->data + im->len, data, len);
	im->len += len;
}

static void put16(struct image *im, uint16_t v)
{
	v = im->swapped ? __builtin_bswap16(v) : v;
	put(im, &v, sizeof(v));
}

static void put32(struct image *im, uint32_t v)
{
	v = im->swapped ? __builtin_bswap32(v) : v;
	put(im, &v, sizeof(v));
}

static struct image classic(uint32_t link_type, bool swapped, bool nanosecond)
{
	struct image im = {.swapped = swapped, .nanosecond = nanosecond};
	put32(&im, nanosecond ? 0xa1b23c4du : 0xa1b2c3d4u);
	put16(&im, 2);
	put16(&im, 4);
	put32(&im, 0);
	put32(&im, 0);
	put32(&im, CAPTURE_RECORD_MAX);
	put32(&im, link_type);
	return im;
}

/* A record whose bytes are all `fill`, one second later each. */
static void record(struct image *im, uint8_t fill, uint32_t len, uint32_t wire_len)
{
	uint8_t *bytes = malloc(len + 1);
	assert_non_null(bytes);
	memset(bytes, fill, len);
	put32(im, SECONDS + fill);
	put32(im, FRACTION);
	put32(im, len);
	put32(im, wire_len);
	put(im, bytes, len);
	free(bytes);
}

/* The blocks of pcapng: section header, interface, enhanced packets of 4 bytes each. */
static struct image pcapng(uint32_t link_type, bool swapped, unsigned packets)
{
	static const uint8_t nanoseconds[] = {9, 0, 0, 0};
	struct image im = {.swapped = swapped};
	put32(&im, 0x0a0d0d0au), put32(&im, 28);
	put32(&im, 0x1a2b3c4du), put16(&im, 1), put16(&im, 0), put32(&im, UINT32_MAX), put32(&im, UINT32_MAX);
	put32(&im, 28);
	put32(&im, 1), put32(&im, 32);
	put16(&im, (uint16_t)link_type), put16(&im, 0), put32(&im, CAPTURE_RECORD_MAX);
	put16(&im, 9), put16(&im, 1), put(&im, nanoseconds, 4); /* if_tsresol */
	put16(&im, 0), put16(&im, 0);
	put32(&im, 32);
	for (unsigned i = 1; i <= packets; i++) {
		uint64_t ts = (SECONDS + i) * 1000000000ull + FRACTION;
		put32(&im, 6), put32(&im, 36);
		put32(&im, 0), put32(&im, (uint32_t)(ts >> 32)), put32(&im, (uint32_t)ts);
		put32(&im, 4), put32(&im, 4);
		put(&im, (uint8_t[]){(uint8_t)i, (uint8_t)i, (uint8_t)i, (uint8_t)i}, 4);
		put32(&im, 36);
	}
	return im;
}

/* --- files -------------------------------------------------------------------------------------------------------------- */

#define FILES_MAX 4

struct bench {
	char *folder;
	char paths[FILES_MAX][96];
	size_t files;
	char out[96];
	struct counters counters;
	char error[IO_ERROR_MAX];
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	if (!b)
		return -1;
	b->folder = strdup("/tmp/test_pcap.XXXXXX");
	if (!b->folder || !mkdtemp(b->folder)) {
		free(b->folder);
		free(b);
		return -1;
	}
	snprintf(b->out, sizeof(b->out), "%s/out.pcap", b->folder);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;
	for (size_t i = 0; i < b->files; i++)
		unlink(b->paths[i]);
	unlink(b->out);
	rmdir(b->folder);
	free(b->folder);
	free(b);
	return 0;
}

/* Writes an image as a file, `cut` bytes short, and lets go of it. */
static const char *save(struct bench *b, struct image im, size_t cut, bool gzipped)
{
	assert_true(b->files < FILES_MAX && cut <= im.len);
	char *path = b->paths[b->files];
	snprintf(path, sizeof(b->paths[0]), "%s/%zu.pcap", b->folder, b->files);
	b->files++;
	/* T: as it is */
	gzFile f = gzopen(path, gzipped ? "wb" : "wbT");
	assert_non_null(f);
	assert_int_equal(gzwrite(f, im.data, (unsigned)(im.len - cut)), im.len - cut);
	assert_int_equal(gzclose(f), Z_OK);
	free(im.data);
	return path;
}

static struct io *open_files(struct bench *b, const char *write_path, const char *filter)
{
	const char *captures[FILES_MAX];
	for (size_t i = 0; i < b->files; i++)
		captures[i] = b->paths[i];
	struct io_pcap_config config = {
		.captures = captures, .capture_count = b->files, .write_path = write_path, .filter = filter};
	return io_pcap_open(&config, &b->counters, b->error);
}

struct seen {
	uint8_t fill[256];
	uint32_t len[256], wire_len[256];
	uint64_t ts_ns[256], number[256];
	uint16_t link_type[256];
	unsigned n;
};

/* Reads all in bursts and forwards it; returns what the last call said. */
static int read_bursts(struct io *io, struct seen *seen)
{
	struct packet *pkts[IO_BURST_MAX];
	int n;
	memset(seen, 0, sizeof(*seen));
	while ((n = io->ops->receive(io, pkts, IO_BURST_MAX, 0)) > 0) {
		for (int i = 0; i < n; i++) {
			const struct packet *p = pkts[i];
			assert_true(seen->n < 256);
			for (uint32_t k = 1; k < p->len; k++)
				assert_int_equal(p->data[k], p->data[0]); /* bytes of no other record */
			seen->fill[seen->n] = p->len ? p->data[0] : 0;
			seen->len[seen->n] = p->len;
			seen->wire_len[seen->n] = p->wire_len;
			seen->ts_ns[seen->n] = p->ts_ns;
			seen->number[seen->n] = p->number;
			seen->link_type[seen->n++] = p->link_type;
			pkts[i]->verdict = VERDICT_FORWARD;
		}
		io->ops->verdict(io, pkts, (unsigned)n);
	}
	return n;
}

/* Reads to the end and closes; `error` is what reading should have met, or 0. */
static void read_all(struct bench *b, struct io *io, struct seen *seen, int error)
{
	assert_non_null(io);
	assert_int_equal(read_bursts(io, seen), error ? error : -ENODATA);
	assert_int_equal(io->ops->close(io, b->error), error);
}

static void assert_two(const struct seen *seen, uint16_t link_type, uint64_t fraction_ns)
{
	assert_int_equal(seen->n, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(seen->fill[i], i + 1);
		assert_int_equal(seen->len[i], 4);
		assert_int_equal(seen->number[i], i + 1);
		assert_int_equal(seen->link_type[i], link_type);
		assert_int_equal(seen->ts_ns[i], (SECONDS + i + 1) * 1000000000ull + fraction_ns);
	}
}

/* --- formats ------------------------------------------------------------------------------------------------------------- */

static void every_classic_form_reads_the_same(void **state)
{
	struct bench *b = *state;
	struct seen seen;
	for (unsigned form = 0; form < 8; form++) {
		bool nanosecond = form & 2;
		struct image im = classic(1, form & 1, nanosecond);
		record(&im, 1, 4, 4);
		record(&im, 2, 4, 4);
		b->files = 0;
		save(b, im, 0, form & 4);
		read_all(b, open_files(b, NULL, NULL), &seen, 0);
		assert_two(&seen, DLT_EN10MB, nanosecond ? FRACTION : FRACTION * 1000ull);
	}
	assert_int_equal(b->counters.value[COUNTER_CAPTURE_PACKETS], 16);
	assert_int_equal(b->counters.value[COUNTER_CAPTURE_BYTES], 64);
}

static void pcapng_reads_the_same(void **state)
{
	struct bench *b = *state;
	struct seen seen;
	for (unsigned form = 0; form < 4; form++) {
		b->files = 0;
		save(b, pcapng(1, form & 1, 2), 0, form & 2);
		read_all(b, open_files(b, NULL, NULL), &seen, 0);
		assert_two(&seen, DLT_EN10MB, FRACTION);
	}
}

static void link_types_are_told_as_the_decoder_knows_them(void **state)
{
	static const struct {
		uint32_t file;
		uint16_t memory;
	} types[] = {
		{1, DLT_EN10MB},      {FILE_RAW, DLT_RAW},   {0, DLT_NULL},	      {108, DLT_LOOP},
		{113, DLT_LINUX_SLL}, {276, DLT_LINUX_SLL2}, {0x24000001, DLT_EN10MB} /* the upper bits say that a check sequence of 4 bytes follows each frame */};
	struct bench *b = *state;
	struct seen seen;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct image im = classic(types[i].file, false, false);
		record(&im, 1, 4, 4);
		record(&im, 2, 4, 4);
		b->files = 0;
		save(b, im, 0, false);
		read_all(b, open_files(b, NULL, NULL), &seen, 0);
		assert_two(&seen, types[i].memory, FRACTION * 1000ull);
		if (types[i].file > UINT16_MAX)
			continue; /* pcapng says that elsewhere */
		b->files = 0;
		save(b, pcapng(types[i].file, false, 2), 0, false);
		read_all(b, open_files(b, NULL, NULL), &seen, 0);
		assert_two(&seen, types[i].memory, FRACTION);
	}
}

static void several_files_are_one_input(void **state)
{
	struct bench *b = *state;
	struct seen seen;
	struct image first = classic(1, false, false), empty = classic(1, false, false);
	record(&first, 1, 4, 4);
	record(&first, 2, 4, 4);
	save(b, first, 0, false);
	save(b, empty, 0, false);
	save(b, pcapng(FILE_RAW, true, 1), 0, true);
	read_all(b, open_files(b, NULL, NULL), &seen, 0);
	assert_int_equal(seen.n, 3);
	assert_int_equal(seen.number[1], 2);
	assert_int_equal(seen.number[2], 1); /* counted in its own file */
	assert_int_equal(seen.link_type[1], DLT_EN10MB);
	assert_int_equal(seen.link_type[2], DLT_RAW);
}

static void a_cut_packet_keeps_its_length_on_the_wire(void **state)
{
	struct bench *b = *state;
	struct seen seen;
	struct image im = classic(1, false, false);
	record(&im, 1, 60, 1514);
	record(&im, 2, 60, 20); /* nonsense: less on the wire than here */
	save(b, im, 0, false);
	read_all(b, open_files(b, NULL, NULL), &seen, 0);
	assert_int_equal(seen.wire_len[0], 1514);
	assert_int_equal(seen.wire_len[1], 60);
}

static void records_of_every_size_come_whole(void **state)
{
	struct bench *b = *state;
	struct seen seen;
	struct image im = classic(1, false, false);
	/* sizes that share no factor with any buffer, up to the largest, so that records lie across refills */
	uint32_t sizes[200];
	for (unsigned i = 0; i < 200; i++) {
		sizes[i] = i % 50 == 49 ? CAPTURE_RECORD_MAX : i * 337 % 65537;
		record(&im, (uint8_t)(i + 1), sizes[i], sizes[i]);
	}
	save(b, im, 0, false);
	read_all(b, open_files(b, NULL, NULL), &seen, 0);
	assert_int_equal(seen.n, 200);
	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(seen.len[i], sizes[i]);
		assert_int_equal(seen.fill[i], sizes[i] ? i + 1 : 0);
	}
}

static void only_what_the_filter_takes_is_read(void **state)
{
	struct bench *b = *state;
	struct seen seen;
	struct image im = classic(1, false, false);
	for (uint8_t i = 1; i <= 200; i++)
		record(&im, i, i, i);
	save(b, im, 0, false);
	read_all(b, open_files(b, NULL, "greater 199"), &seen, 0);
	assert_int_equal(seen.n, 2);
	assert_int_equal(seen.number[0], 199); /* as the file counts */
	assert_null(open_files(b, NULL, "no such word"));
	assert_non_null(strstr(b->error, "no such word"));
}

/* --- broken files ---------------------------------------------------------------------------------------------------------- */

/* The message names the file and the packet, after `whole` packets were read. */
static void assert_breaks(struct bench *b, unsigned whole, const char *packet)
{
	struct seen seen;
	b->error[0] = '\0';
	read_all(b, open_files(b, NULL, NULL), &seen, -EBADMSG);
	assert_int_equal(seen.n, whole);
	assert_non_null(strstr(b->error, b->paths[b->files - 1]));
	if (!strstr(b->error, packet))
		fail_msg("\"%s\" lacks \"%s\"", b->error, packet);
}

static void wherever_a_file_is_cut_all_before_is_read(void **state)
{
	struct bench *b = *state;
	/* two records of 20 bytes: the second is cut in its data and in its header, then whole */
	for (size_t cut = 1; cut < 20; cut++) {
		struct image im = classic(1, cut & 1, false);
		record(&im, 1, 4, 4);
		record(&im, 2, 4, 4);
		b->files = 0;
		save(b, im, cut, false);
		assert_breaks(b, 1, "packet 2: the file ends within");
	}
}

static void a_length_that_none_can_have_ends_the_file(void **state)
{
	struct bench *b = *state;
	struct image im = classic(1, false, false);
	record(&im, 1, 4, 4);
	put32(&im, SECONDS), put32(&im, 0), put32(&im, CAPTURE_RECORD_MAX + 1), put32(&im, 4);
	record(&im, 3, 4, 4);
	save(b, im, 0, false);
	assert_breaks(b, 1, "packet 2: a record of 262145 bytes");
}

static void a_pcapng_that_is_cut_says_where(void **state)
{
	struct bench *b = *state;
	save(b, pcapng(1, false, 3), 5, false);
	assert_breaks(b, 2, "packet 3: ");
}

static void a_compressed_file_that_is_cut_says_where(void **state)
{
	struct bench *b = *state;
	struct image im = classic(1, false, false);
	record(&im, 1, 4, 4);
	const char *path = save(b, im, 0, true);
	/* its last 8 bytes are its checksum and length */
	FILE *f = fopen(path, "rb");
	assert_non_null(f);
	assert_int_equal(fseek(f, 0, SEEK_END), 0);
	long len = ftell(f);
	fclose(f);
	assert_int_equal(truncate(path, len - 8), 0);
	assert_breaks(b, 1, "packet 2: the compressed file is damaged or cut short");
}

static void what_is_no_capture_is_told_and_the_others_are_read(void **state)
{
	struct bench *b = *state;
	struct seen seen;
	struct image text = {0}, im = classic(1, false, false);
	put(&text, "this is a letter, not a capture\n", 32);
	record(&im, 7, 4, 4);
	const char *letter = save(b, text, 0, false);
	save(b, im, 0, false);
	read_all(b, open_files(b, NULL, NULL), &seen, -EBADMSG);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.fill[0], 7);
	assert_non_null(strstr(b->error, letter));
}

static void a_missing_file_costs_no_work(void **state)
{
	struct bench *b = *state;
	struct image im = classic(1, false, false);
	save(b, im, 0, false);
	snprintf(b->paths[b->files++], sizeof(b->paths[0]), "%s/absent.pcap", b->folder);
	assert_null(open_files(b, NULL, NULL));
	assert_int_equal(errno, ENOENT);
	assert_non_null(strstr(b->error, "absent.pcap"));
}

/* --- writing --------------------------------------------------------------------------------------------------------------- */

/* What stands in the written file. */
static void read_written(struct bench *b, struct seen *seen)
{
	struct bench again = {.files = 1};
	snprintf(again.paths[0], sizeof(again.paths[0]), "%s", b->out);
	read_all(&again, open_files(&again, NULL, NULL), seen, 0);
}

static void what_is_forwarded_is_written_as_it_came(void **state)
{
	struct bench *b = *state;
	struct seen in, out;
	for (unsigned form = 0; form < 4; form++) {
		struct image im = classic(form & 2 ? FILE_RAW : 1, true, form & 1);
		record(&im, 1, 60, 1514);
		record(&im, 2, 4, 4);
		b->files = 0;
		save(b, im, 0, false);
		read_all(b, open_files(b, b->out, NULL), &in, 0);
		read_written(b, &out);
		assert_memory_equal(&in, &out, sizeof(in));
	}
}

static void the_verdict_decides_what_is_written(void **state)
{
	static const enum verdict verdicts[] = {VERDICT_FORWARD, VERDICT_DROP, VERDICT_HOLD, VERDICT_REPLACE};
	struct bench *b = *state;
	struct seen out;
	struct packet *pkts[IO_BURST_MAX];
	struct image im = classic(1, false, false);
	for (uint8_t i = 1; i <= 4; i++)
		record(&im, i, 4, 10);
	save(b, im, 0, false);
	struct io *io = open_files(b, b->out, NULL);
	assert_int_equal(io->ops->receive(io, pkts, IO_BURST_MAX, 0), 4);
	for (unsigned i = 0; i < 4; i++)
		pkts[i]->verdict = verdicts[i];
	memset(pkts[3]->data, 9, 4); /* replaced, and one byte shorter */
	pkts[3]->len = 3;
	io->ops->verdict(io, pkts, 4);
	uint8_t reset[] = {5, 5, 5, 5, 5};
	assert_int_equal(io->ops->inject(io, reset, sizeof(reset), SECONDS * 1000000000ull, 0, DLT_EN10MB, true), 0);
	assert_int_equal(io->ops->inject(io, reset, sizeof(reset), 0, 0, DLT_RAW, true), -EINVAL);
	assert_int_equal(io->ops->receive(io, pkts, IO_BURST_MAX, 0), -ENODATA);
	assert_int_equal(io->ops->close(io, b->error), 0);
	read_written(b, &out);
	assert_int_equal(out.n, 3);
	assert_int_equal(out.fill[0], 1);
	assert_int_equal(out.fill[1], 9);
	assert_int_equal(out.len[1], 3);
	assert_int_equal(out.wire_len[1], 9); /* what was cut off the capture stays cut off */
	assert_int_equal(out.fill[2], 5);
}

static void a_file_without_packets_is_written_whole(void **state)
{
	struct bench *b = *state;
	struct seen out;
	save(b, classic(1, false, false), 0, false);
	read_all(b, open_files(b, b->out, NULL), &out, 0);
	read_written(b, &out);
	assert_int_equal(out.n, 0);
}

static void one_written_file_holds_one_link_type(void **state)
{
	struct bench *b = *state;
	save(b, classic(1, false, false), 0, false);
	save(b, classic(FILE_RAW, false, false), 0, false);
	assert_null(open_files(b, b->out, NULL));
	assert_non_null(strstr(b->error, b->paths[1]));
	assert_int_equal(access(b->out, F_OK), -1); /* refused before anything was written */
}

static void no_capture_is_overwritten_while_it_is_read(void **state)
{
	struct bench *b = *state;
	struct seen seen;
	struct image im = classic(1, false, false);
	record(&im, 1, 4, 4);
	const char *path = save(b, im, 0, false);
	assert_null(open_files(b, path, NULL));
	assert_non_null(strstr(b->error, path));
	read_all(b, open_files(b, NULL, NULL), &seen, 0);
	assert_int_equal(seen.n, 1);
}

static void what_cannot_be_written_is_an_error(void **state)
{
	struct bench *b = *state;
	struct seen seen;
	struct image im = classic(1, false, false);
	record(&im, 1, 4, 4);
	save(b, im, 0, false);
	struct io *io = open_files(b, "/dev/full", NULL);
	assert_non_null(io);
	assert_int_equal(read_bursts(io, &seen), -ENODATA); /* judging goes on without the file */
	assert_int_equal(seen.n, 1);
	assert_int_equal(io->ops->close(io, b->error), -ENOSPC);
	assert_non_null(strstr(b->error, "/dev/full"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_classic_form_reads_the_same),
		TEST(pcapng_reads_the_same),
		TEST(link_types_are_told_as_the_decoder_knows_them),
		TEST(several_files_are_one_input),
		TEST(a_cut_packet_keeps_its_length_on_the_wire),
		TEST(records_of_every_size_come_whole),
		TEST(only_what_the_filter_takes_is_read),
		TEST(wherever_a_file_is_cut_all_before_is_read),
		TEST(a_length_that_none_can_have_ends_the_file),
		TEST(a_pcapng_that_is_cut_says_where),
		TEST(a_compressed_file_that_is_cut_says_where),
		TEST(what_is_no_capture_is_told_and_the_others_are_read),
		TEST(a_missing_file_costs_no_work),
		TEST(what_is_forwarded_is_written_as_it_came),
		TEST(the_verdict_decides_what_is_written),
		TEST(a_file_without_packets_is_written_whole),
		TEST(one_written_file_holds_one_link_type),
		TEST(no_capture_is_overwritten_while_it_is_read),
		TEST(what_cannot_be_written_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
