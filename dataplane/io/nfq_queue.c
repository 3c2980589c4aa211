/* SPDX-License-Identifier: BSD-3-Clause */
/* A queue of NFQUEUE: binding it, and the messages that give verdicts. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>

#include "nfq.h"

#define COPY_RANGE   0xffff
#define ANSWER_BYTES 8192
/* Memory that a packet which waits takes in the socket's buffer, on average; large ones are rare. */
#define BYTES_A_PACKET 4096u
#define BIND_TRIES     20
#define BIND_PAUSE_MS  50
#define BUFFER_MIN     (4u << 20)
#define BUFFER_MAX     (256u << 20)

/* --- configuring ------------------------------------------------------------------------------------------------------------ */

/* Sends a request and reads the kernel's answer. 0 or -errno. */
static int request(int fd, struct nlmsghdr *header)
{
	char answer[ANSWER_BYTES];
	if (send(fd, header, header->nlmsg_len, 0) < 0)
		return -errno;
	for (;;) {
		ssize_t n = recv(fd, answer, sizeof(answer), 0);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		/* packets may come before the answer: nobody has judged them, the kernel keeps them until we have */
		const struct nlmsghdr *h = (const struct nlmsghdr *)answer;
		if ((size_t)n >= NLMSG_LENGTH(sizeof(struct nlmsgerr)) && h->nlmsg_type == NLMSG_ERROR)
			return ((const struct nlmsgerr *)mnl_nlmsg_get_payload(h))->error;
	}
}

static int command(int fd, uint16_t queue, uint8_t what)
{
	char buf[256];
	struct nlmsghdr *header = nfq_nlmsg_put(buf, NFQNL_MSG_CONFIG, queue);
	header->nlmsg_flags |= NLM_F_ACK;
	nfq_nlmsg_cfg_put_cmd(header, AF_UNSPEC, what);
	return request(fd, header);
}

/* A predecessor that was killed has a queue until its guard has noticed: it is waited for, for a moment. */
static int bind_queue(int fd, uint16_t queue)
{
	const struct timespec pause = {.tv_nsec = BIND_PAUSE_MS * 1000000};
	int rc = command(fd, queue, NFQNL_CFG_CMD_BIND);
	for (unsigned i = 0; i < BIND_TRIES && rc == -EPERM; i++) {
		nanosleep(&pause, NULL);
		rc = command(fd, queue, NFQNL_CFG_CMD_BIND);
	}
	return rc;
}

static int configure(int fd, const struct io_nfq_config *config, uint16_t queue)
{
	char buf[256];
	struct nlmsghdr *header = nfq_nlmsg_put(buf, NFQNL_MSG_CONFIG, queue);
	header->nlmsg_flags |= NLM_F_ACK;
	uint32_t flags = (config->fail_open ? NFQA_CFG_F_FAIL_OPEN : 0) | (config->gso ? NFQA_CFG_F_GSO : 0);
	nfq_nlmsg_cfg_put_params(header, NFQNL_COPY_PACKET, COPY_RANGE);
	mnl_attr_put_u32(header, NFQA_CFG_FLAGS, htonl(flags));
	mnl_attr_put_u32(header, NFQA_CFG_MASK, htonl(NFQA_CFG_F_FAIL_OPEN | NFQA_CFG_F_GSO));
	nfq_nlmsg_cfg_put_qmaxlen(header, config->queue_length);
	return request(fd, header);
}

static void set_buffers(int fd, uint32_t queue_length)
{
	const int on = 1;
	uint64_t want = (uint64_t)queue_length * BYTES_A_PACKET;
	int bytes = (int)(want < BUFFER_MIN ? BUFFER_MIN : want > BUFFER_MAX ? BUFFER_MAX : want);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	/* what did not fit is counted by the queue itself, and lost one by one, not as an error of the socket */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof(on));
}

int nfq_queue_open(const struct io_nfq_config *config, uint16_t number, char *error)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	int rc = fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ? -errno : 0;
	if (rc == 0)
		rc = bind_queue(fd, number);
	if (rc == 0)
		rc = configure(fd, config, number);
	if (rc == 0) {
		set_buffers(fd, config->queue_length);
		return fd;
	}
	snprintf(error, IO_ERROR_MAX, "NFQUEUE: queue %u cannot be bound: %s%s", number, strerror(-rc),
		 rc == -EPERM ? " (another program has it, or CAP_NET_ADMIN is missing)" : "");
	if (fd >= 0)
		close(fd);
	return rc;
}

int nfq_queue_lost(uint16_t number, uint64_t *lost)
{
	FILE *f = fopen("/proc/net/netfilter/nfnetlink_queue", "re");
	unsigned queue, portid, waiting, mode, range;
	unsigned long long dropped, user_dropped, sequence;
	int rc = -ENOENT;
	if (!f)
		return -errno;
	while (rc != 0 && fscanf(f, "%u %u %u %u %u %llu %llu %llu %*[^\n]", &queue, &portid, &waiting, &mode, &range,
				 &dropped, &user_dropped, &sequence) == 8)
		if (queue == number) {
			*lost = dropped + user_dropped;
			rc = 0;
		}
	fclose(f);
	return rc;
}

/* --- verdicts ----------------------------------------------------------------------------------------------------------------- */

static bool verdict_put(struct nfq_verdicts *v, uint16_t type, uint16_t queue, uint32_t id, uint32_t verdict,
			const uint32_t *mark, const void *data, size_t len)
{
	size_t need = MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(struct nfgenmsg)) + 3 * MNL_ATTR_HDRLEN + 16 + MNL_ALIGN(len);
	if (v->len + need > v->room)
		return false;
	struct nlmsghdr *header = nfq_nlmsg_put((char *)v->buf + v->len, type, queue);
	nfq_nlmsg_verdict_put(header, (int)id, (int)verdict);
	if (mark)
		nfq_nlmsg_verdict_put_mark(header, *mark);
	if (data)
		nfq_nlmsg_verdict_put_pkt(header, data, (uint32_t)len);
	v->len += MNL_ALIGN(header->nlmsg_len);
	return true;
}

bool nfq_verdict_add(struct nfq_verdicts *verdicts, uint16_t queue, uint32_t id, uint32_t verdict, const uint32_t *mark,
		     const void *data, size_t len)
{
	return verdict_put(verdicts, NFQNL_MSG_VERDICT, queue, id, verdict, mark, data, len);
}

bool nfq_verdict_up_to(struct nfq_verdicts *verdicts, uint16_t queue, uint32_t id, uint32_t verdict,
		       const uint32_t *mark)
{
	return verdict_put(verdicts, NFQNL_MSG_VERDICT_BATCH, queue, id, verdict, mark, NULL, 0);
}

int nfq_verdicts_send(struct nfq_verdicts *verdicts, int fd)
{
	if (verdicts->len > 0)
		while (send(fd, verdicts->buf, verdicts->len, 0) < 0) {
			if (errno != EINTR)
				return -errno;
		}
	verdicts->len = 0;
	return 0;
}
