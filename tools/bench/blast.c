/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Load for the inline benchmark: sends frames out of one interface and counts, in XDP, what comes back on another.
 *
 * Closed loop: so many packets are under way at a time, and as many more leave as have come. What is measured is then the rate
 * at which the sensor between the two takes packets, not how many it loses when it is flooded. With --rate, an open loop at
 * that rate, and the latency of each packet.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#define PCAP_DONT_INCLUDE_PCAP_BPF_H /* its struct bpf_insn is another one */
#include <pcap/pcap.h>

#include "blast.h"
#include "frame.h"

#define SECOND	    1000000000ull
#define BATCH	    64	       /* frames of one system call */
#define LIVE_REPEAT 1000000000 /* runs of one BPF_PROG_TEST_RUN; a timer ends it */
#define FRAME_MAX   1514

struct frame {
	uint8_t *data;
	uint32_t len;
};

struct blast {
	/* what was asked for */
	const char *out, *in, *capture, *object, *mac;
	unsigned size, flows, window;
	double seconds, rate;
	bool forward;

	struct bpf_object *bpf;
	struct blast_count *count;
	int socket;
	struct frame *frames;
	size_t frame_count, next;
	uint64_t sent, lost;
};

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

static uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec;
}

static int fail(const char *what)
{
	fprintf(stderr, "blast: %s: %s\n", what, strerror(errno));
	return -1;
}

static void help(FILE *out)
{
	fputs("usage: blast --out IFACE --in IFACE (--size BYTES | --capture FILE) [OPTION]...\n"
	      "       blast --forward --out IFACE --in IFACE\n\n"
	      "Sends frames out of one interface, counts what comes on another, and prints one JSON object.\n\n"
	      "  --size BYTES     UDP frames of that size on the wire, the four bytes of the checksum counted\n"
	      "  --flows N        in so many flows, a power of two; default 1024\n"
	      "  --capture FILE   the frames of a capture, once\n"
	      "  --mac ADDRESS    destination of the frames, for a router\n"
	      "  --seconds S      how long at most; default 3\n"
	      "  --window N       packets under way at a time; default 1024\n"
	      "  --rate N         packets a second, whatever comes back, and their latency\n"
	      "  --forward        stands between the two instead, and redirects each to the other until a signal\n"
	      "  --object FILE    the XDP programs; default blast.bpf.o beside this program\n",
	      out);
}

/* --- the XDP programs -------------------------------------------------------------------------------------------------- */

static int program_fd(struct blast *b, const char *name)
{
	struct bpf_program *program = bpf_object__find_program_by_name(b->bpf, name);
	return program ? bpf_program__fd(program) : -ENOENT;
}

static int load(struct blast *b, unsigned out_ifindex)
{
	b->bpf = bpf_object__open_file(b->object, NULL);
	if (!b->bpf)
		return fail(b->object);
	struct bpf_map *rodata = bpf_object__find_map_by_name(b->bpf, ".rodata");
	struct blast_settings settings = {.out_ifindex = out_ifindex, .flow_mask = b->flows - 1, .window = b->window};
	if (b->frame_count)
		memcpy(settings.head, b->frames[0].data, BLAST_HEAD);
	if (!rodata || bpf_map__set_initial_value(rodata, &settings, sizeof(settings)) != 0 ||
	    bpf_object__load(b->bpf) != 0)
		return fail("load the XDP programs");
	return 0;
}

static int attach(struct blast *b, const char *name, const char *interface)
{
	if (bpf_xdp_attach((int)if_nametoindex(interface), program_fd(b, name), XDP_FLAGS_DRV_MODE, NULL) != 0)
		return fail(interface);
	return 0;
}

static void detach(const char *interface)
{
	bpf_xdp_detach((int)if_nametoindex(interface), XDP_FLAGS_DRV_MODE, NULL);
}

static int map_counts(struct blast *b)
{
	int fd = bpf_object__find_map_fd_by_name(b->bpf, "counts");
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (sizeof(*b->count) + page - 1) / page * page;
	b->count = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return b->count == MAP_FAILED ? fail("map the counts") : 0;
}

static uint64_t came(const struct blast *b)
{
	return __atomic_load_n(&b->count->packets, __ATOMIC_RELAXED);
}

/* --- frames --------------------------------------------------------------------------------------------------------------- */

static int add_frame(struct blast *b, const uint8_t *data, uint32_t len)
{
	if ((b->frame_count & (b->frame_count - 1)) == 0) {
		size_t room = b->frame_count ? b->frame_count * 2 : 1;
		struct frame *more = realloc(b->frames, room * sizeof(*more));
		if (!more)
			return fail("frames");
		b->frames = more;
	}
	uint8_t *copy = malloc(len);
	if (!copy)
		return fail("frames");
	memcpy(copy, data, len);
	if (b->mac)
		sscanf(b->mac, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &copy[0], &copy[1], &copy[2], &copy[3], &copy[4],
		       &copy[5]);
	b->frames[b->frame_count++] = (struct frame){copy, len};
	return 0;
}

static int make_frames(struct blast *b)
{
	uint8_t data[FRAME_MAX];
	for (unsigned n = 0; n < b->flows; n++) {
		frame_make(data, b->size - 4, n);
		memcpy(data + BLAST_STAMP, &(struct blast_stamp){.magic = BLAST_MAGIC}, sizeof(struct blast_stamp));
		if (add_frame(b, data, b->size - 4) != 0)
			return -1;
	}
	return 0;
}

static int read_frames(struct blast *b)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline(b->capture, error);
	if (!pcap) {
		fprintf(stderr, "blast: %s\n", error);
		return -1;
	}
	struct pcap_pkthdr *head;
	const u_char *data;
	int rc = 0;
	while (rc == 0 && pcap_next_ex(pcap, &head, &data) == 1)
		if (head->caplen >= 14 && head->caplen <= FRAME_MAX)
			rc = add_frame(b, data, head->caplen);
	pcap_close(pcap);
	if (rc == 0 && b->frame_count == 0) {
		fprintf(stderr, "blast: %s: no frame\n", b->capture);
		rc = -1;
	}
	return rc;
}

/* --- sending --------------------------------------------------------------------------------------------------------------- */

static int open_socket(struct blast *b)
{
	b->socket = socket(AF_PACKET, SOCK_RAW, 0);
	if (b->socket < 0)
		return fail("packet socket");
	const struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(b->out)};
	int one = 1, room = 16 << 20;
	setsockopt(b->socket, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	setsockopt(b->socket, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	return bind(b->socket, (const struct sockaddr *)&at, sizeof(at)) == 0 ? 0 : fail(b->out);
}

/* The next frames, by one system call. How many left, -1 on failure. */
static int send_frames(struct blast *b, unsigned n, bool stamp)
{
	struct mmsghdr messages[BATCH] = {0};
	struct iovec parts[BATCH];
	for (unsigned i = 0; i < n; i++) {
		struct frame *frame = &b->frames[(b->next + i) % b->frame_count];
		if (stamp) {
			uint64_t now = now_ns();
			memcpy(frame->data + BLAST_STAMP + offsetof(struct blast_stamp, sent_ns), &now, sizeof(now));
		}
		parts[i] = (struct iovec){frame->data, frame->len};
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
	}
	int done = sendmmsg(b->socket, messages, n, 0);
	if (done < 0)
		return errno == ENOBUFS || errno == EAGAIN ? 0 : fail("send");
	b->next += (size_t)done;
	b->sent += (uint64_t)done;
	return done;
}

/* The same from within the kernel, many times as fast: one frame, made another flow's by the program each time. */
static int run_live(struct blast *b)
{
	struct xdp_md context = {.data_end = b->frames[0].len};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = b->frames[0].data, .data_size_in = b->frames[0].len,
		    .ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = LIVE_REPEAT,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = BATCH);
	const struct itimerval timer = {.it_value = {(time_t)b->seconds, (suseconds_t)(fmod(b->seconds, 1) * 1000000)}};
	setitimer(ITIMER_REAL, &timer, NULL);
	if (bpf_prog_test_run_opts(program_fd(b, "source"), &options) != 0 && errno != EINTR)
		return fail("send from the kernel");
	b->sent = b->count->sent;
	return 0;
}

static int run_closed(struct blast *b, uint64_t end)
{
	uint64_t last = 0, last_ns = now_ns();
	while (!stop) {
		uint64_t now = now_ns(), got = came(b), under_way = b->sent - b->lost - got;
		if (now >= end || b->sent >= b->frame_count)
			return 0;
		if (got != last) {
			last = got;
			last_ns = now;
		} else if (under_way && now - last_ns > BLAST_LOST_AFTER_NS) {
			b->lost += under_way;
			last_ns = now;
			continue;
		}
		unsigned batch = b->frame_count - b->sent < BATCH ? (unsigned)(b->frame_count - b->sent) : BATCH;
		if (under_way + batch > b->window && under_way < UINT64_MAX / 2)
			continue;
		if (send_frames(b, batch, false) < 0)
			return -1;
	}
	return 0;
}

static int run_open(struct blast *b, uint64_t end)
{
	uint64_t start = now_ns();
	while (!stop) {
		uint64_t now = now_ns();
		if (now >= end)
			return 0;
		uint64_t due = (uint64_t)((double)(now - start) / SECOND * b->rate);
		if (due <= b->sent)
			continue;
		unsigned n = due - b->sent > BATCH ? BATCH : (unsigned)(due - b->sent);
		if (send_frames(b, n, true) < 0)
			return -1;
	}
	return 0;
}

/* What is still under way may come; no longer than it takes to be called lost. */
static void drain(const struct blast *b)
{
	uint64_t last = came(b), since = now_ns();
	while (came(b) < b->sent && now_ns() - since < BLAST_LOST_AFTER_NS) {
		if (came(b) != last) {
			last = came(b);
			since = now_ns();
		}
		usleep(100);
	}
}

/* The latency that `share` of the packets had at most, in microseconds. */
static double percentile(const struct blast_count *count, double share)
{
	uint64_t all = 0, sum = 0;
	for (unsigned i = 0; i < BLAST_BUCKETS; i++)
		all += count->latency[i];
	for (unsigned i = 0; i < BLAST_BUCKETS; i++) {
		sum += count->latency[i];
		if ((double)sum >= share * (double)all)
			return (i + 1) * (BLAST_STEP_NS / 1000.0);
	}
	return 0;
}

static void report(const struct blast *b, double seconds)
{
	uint64_t got = came(b);
	printf("{\"sent\": %llu, \"received\": %llu, \"bytes\": %llu, \"seconds\": %.4f, \"packets_per_s\": %.0f",
	       (unsigned long long)b->sent, (unsigned long long)got, (unsigned long long)b->count->bytes, seconds,
	       (double)got / seconds);
	if (b->rate > 0)
		printf(", \"latency_us\": {\"p50\": %.0f, \"p90\": %.0f, \"p99\": %.0f, \"p99.9\": %.0f}",
		       percentile(b->count, 0.5), percentile(b->count, 0.9), percentile(b->count, 0.99),
		       percentile(b->count, 0.999));
	printf("}\n");
}

static int measure(struct blast *b)
{
	if ((b->capture ? read_frames(b) : make_frames(b)) != 0 || load(b, if_nametoindex(b->out)) != 0 ||
	    map_counts(b) != 0 || open_socket(b) != 0 || attach(b, "sink", b->in) != 0)
		return -1;
	uint64_t start = now_ns(), end = start + (uint64_t)(b->seconds * SECOND);
	int rc = b->rate > 0 ? run_open(b, end) : b->capture ? run_closed(b, end) : run_live(b);
	double seconds = (double)(now_ns() - start) / SECOND;
	if (b->rate > 0 || b->capture)
		drain(b);
	detach(b->in);
	if (rc == 0)
		report(b, seconds);
	return rc;
}

static int forward(struct blast *b)
{
	const char *const ends[2][2] = {{b->in, b->out}, {b->out, b->in}};
	int rc = 0, done = 0;
	for (; done < 2 && rc == 0; done++)
		rc = load(b, if_nametoindex(ends[done][1])) == 0 ? attach(b, "forward", ends[done][0]) : -1;
	if (rc == 0) {
		puts("forwarding");
		fflush(stdout);
		while (!stop)
			pause();
	}
	detach(b->in);
	detach(b->out);
	return rc;
}

static int parse(int argc, char **argv, struct blast *b)
{
	static const struct option options[] = {
		{"out", 1, NULL, 'o'},	   {"in", 1, NULL, 'i'},      {"size", 1, NULL, 's'},
		{"capture", 1, NULL, 'c'}, {"flows", 1, NULL, 'f'},   {"mac", 1, NULL, 'm'},
		{"seconds", 1, NULL, 't'}, {"rate", 1, NULL, 'r'},    {"window", 1, NULL, 'w'},
		{"object", 1, NULL, 'b'},  {"forward", 0, NULL, 'F'}, {"help", 0, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
		const char **text = c == 'o'   ? &b->out
				    : c == 'i' ? &b->in
				    : c == 'c' ? &b->capture
				    : c == 'm' ? &b->mac
				    : c == 'b' ? &b->object
					       : NULL;
		if (text)
			*text = optarg;
		else if (c == 's' || c == 'f' || c == 'w')
			*(c == 's'   ? &b->size
			  : c == 'f' ? &b->flows
				     : &b->window) = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 't' || c == 'r')
			*(c == 't' ? &b->seconds : &b->rate) = strtod(optarg, NULL);
		else if (c == 'F')
			b->forward = true;
		else
			return c == 'h' ? 0 : 2;
	}
	bool sized = b->size >= 64 && b->size <= FRAME_MAX + 4 && b->flows && (b->flows & (b->flows - 1)) == 0 &&
		     b->flows <= 32768;
	return b->out && b->in && (b->forward || b->capture || sized) ? -1 : 2;
}

int main(int argc, char **argv)
{
	static char beside[4096];
	struct blast b = {.flows = 1024, .window = 1024, .seconds = 3};
	ssize_t n = readlink("/proc/self/exe", beside, sizeof(beside) - 16);
	if (n > 0)
		memcpy(beside + n, ".bpf.o", 7);
	b.object = beside;
	int rc = parse(argc, argv, &b);
	if (rc >= 0) {
		help(rc == 0 ? stdout : stderr);
		return rc;
	}
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_signal}, NULL);
	return (b.forward ? forward(&b) : measure(&b)) == 0 ? 0 : 1;
}
