/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_af_xdp of DPDK 22.11.11 forgets its memory when a port is closed: it counts the last user of it as one too few. With the
 * memory stays the socket that it was registered by, and with the socket the queue of the interface: nobody can open it again
 * (EBUSY), this process included. So what was opened for a port is noted, and closed when the driver is done and left it open.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "dpdk.h"

/* File numbers that are looked at: those of all queues that there can be (IO_PORTS_MAX * IO_WORKERS_MAX) and as many others. */
#define FILES_MAX (2 * IO_PORTS_MAX * IO_WORKERS_MAX)

/* 0 for a file that is no AF_XDP socket. */
static uint64_t cookie_of(int fd)
{
	int domain = 0;
	uint64_t cookie = 0;
	socklen_t len = sizeof(domain);
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) != 0 || domain != AF_XDP)
		return 0;
	len = sizeof(cookie);
	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) == 0 ? cookie : 0;
}

static bool noted(const struct dpdk_port *ports, unsigned count, uint64_t cookie)
{
	for (unsigned i = 0; i < count; i++)
		for (unsigned k = 0; k < ports[i].sockets.count; k++)
			if (ports[i].sockets.items[k].cookie == cookie)
				return true;
	return false;
}

void dpdk_sockets_note(struct dpdk_sockets *sockets, const struct dpdk_port *ports, unsigned count)
{
	for (int fd = 0; fd < FILES_MAX && sockets->count < DPDK_SOCKETS_MAX; fd++) {
		uint64_t cookie = cookie_of(fd);
		if (cookie == 0 || noted(ports, count, cookie))
			continue;
		sockets->items[sockets->count].fd = fd;
		sockets->items[sockets->count++].cookie = cookie;
	}
}

void dpdk_sockets_close(struct dpdk_sockets *sockets)
{
	for (unsigned i = 0; i < sockets->count; i++)
		if (cookie_of(sockets->items[i].fd) == sockets->items[i].cookie)
			close(sockets->items[i].fd);
	sockets->count = 0;
}
