/* SPDX-License-Identifier: BSD-3-Clause */
/* An interface as a port: what it has, what must be switched on or off, and how it is given back. */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "afxdp.h"

/* Ethernet header and two tags: what stands around the MTU. */
#define FRAME_OVERHEAD (14 + 8)
/* The kernel keeps this much free before a frame (XDP_PACKET_HEADROOM). */
#define HEADROOM 256
/* How often, and after what pause, queues are tried to be taken away again. */
#define RETRIES	 20
#define RETRY_NS 10000000

/* An ioctl about an interface. 0 or -errno. */
static int interface_ioctl(const char *name, unsigned long request, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", name);
	int rc = ioctl(fd, request, ifr) == 0 ? 0 : -errno;
	close(fd);
	return rc;
}

static int ethtool(const char *name, void *command)
{
	struct ifreq ifr = {.ifr_data = command};
	return interface_ioctl(name, SIOCETHTOOL, &ifr);
}

/* A value that ethtool tells; 0 where the driver has no such. */
static uint32_t ethtool_get(const char *name, uint32_t command)
{
	struct ethtool_value value = {.cmd = command};
	return ethtool(name, &value) == 0 ? value.data : 0;
}

/* A driver that has no such switch has no such habit. */
static void ethtool_set(const char *name, uint32_t command, uint32_t data)
{
	struct ethtool_value value = {.cmd = command, .data = data};
	(void)ethtool(name, &value);
}

static int get_flags(const char *name, short *flags)
{
	struct ifreq ifr = {0};
	int rc = interface_ioctl(name, SIOCGIFFLAGS, &ifr);
	*flags = ifr.ifr_flags;
	return rc;
}

static int change_flags(const char *name, short set, short clear)
{
	struct ifreq ifr = {0};
	int rc = interface_ioctl(name, SIOCGIFFLAGS, &ifr);
	if (rc != 0)
		return rc;
	ifr.ifr_flags = (short)((ifr.ifr_flags | set) & ~clear);
	return interface_ioctl(name, SIOCSIFFLAGS, &ifr);
}

/* --- finding ------------------------------------------------------------------------------------------------------------ */

/* One sensor a port: the name of a socket is this process's until it ends, however it does, and one network namespace's. */
static int lock(struct afxdp_port *port, char *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int len = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "sekisho/afxdp/%d", port->ifindex);
	port->lock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (port->lock >= 0 && bind(port->lock, (struct sockaddr *)&address,
				    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) == 0)
		return 0;
	int rc = -errno;
	if (rc == -EADDRINUSE)
		snprintf(error, IO_ERROR_MAX, "%s: another sensor has this port", port->name);
	else
		snprintf(error, IO_ERROR_MAX, "%s: it cannot be reserved: %s", port->name, strerror(-rc));
	return rc;
}

static unsigned count_queues(const char *name)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	if (ethtool(name, &channels) != 0)
		return 1;
	/* drivers have both sorts at a time */
	unsigned n = channels.combined_count + channels.rx_count;
	return n ? n : 1;
}

static int check_mtu(struct afxdp_port *port, unsigned frame_size, char *error)
{
	struct ifreq ifr = {0};
	int rc = interface_ioctl(port->name, SIOCGIFMTU, &ifr);
	if (rc != 0) {
		snprintf(error, IO_ERROR_MAX, "%s: %s", port->name, strerror(-rc));
		return rc;
	}
	port->mtu = (unsigned)ifr.ifr_mtu;
	unsigned room = frame_size - HEADROOM - FRAME_OVERHEAD;
	if (port->mtu <= room)
		return 0;
	if (port->mtu <= 4096 - HEADROOM - FRAME_OVERHEAD)
		snprintf(error, IO_ERROR_MAX,
			 "%s: its MTU is %u, and frames of afxdp.frame-size %u hold %u: set that to 4096", port->name,
			 port->mtu, frame_size, room);
	else
		snprintf(error, IO_ERROR_MAX,
			 "%s: its MTU is %u: AF_XDP takes no jumbo frames; lower it to %u (ip link set %s mtu %u)",
			 port->name, port->mtu, room, port->name, room);
	return -EMSGSIZE;
}

int afxdp_port_find(struct afxdp_port *port, const char *name, unsigned frame_size, char *error)
{
	*port = (struct afxdp_port){.ifindex = (int)if_nametoindex(name), .lock = -1};
	if (port->ifindex == 0 || strlen(name) >= sizeof(port->name)) {
		snprintf(error, IO_ERROR_MAX, "%.64s: the interface is gone", name);
		return -ENODEV;
	}
	memcpy(port->name, name, strlen(name) + 1);
	port->queues = count_queues(name);
	int rc = check_mtu(port, frame_size, error);
	return rc == 0 ? lock(port, error) : rc;
}

/* --- making it ready -------------------------------------------------------------------------------------------------------- */

/* Every worker needs a queue of its own at every port. */
static int raise_queues(struct afxdp_port *port, unsigned workers, char *error)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS}, wanted;
	if (port->queues < workers && ethtool(port->name, &channels) == 0) {
		wanted = channels;
		wanted.cmd = ETHTOOL_SCHANNELS;
		if (channels.max_combined >= workers) {
			wanted.combined_count = workers;
		} else {
			wanted.rx_count = workers;
			wanted.tx_count = channels.tx_count > workers ? channels.tx_count : workers;
		}
		if (ethtool(port->name, &wanted) == 0 && !port->before.channels[0] && !port->before.channels[1]) {
			port->before.channels[0] = channels.combined_count;
			port->before.channels[1] = channels.rx_count;
			port->before.channels[2] = channels.tx_count;
		}
		port->queues = count_queues(port->name);
	}
	if (port->queues >= workers && port->queues <= XDP_QUEUES_MAX)
		return 0;
	if (port->queues < workers)
		snprintf(error, IO_ERROR_MAX,
			 "%s: %u workers need a queue each, and it has %u and takes no more: set workers to %u",
			 port->name, workers, port->queues, port->queues);
	else
		snprintf(error, IO_ERROR_MAX, "%s: it has %u queues, and %u can be served: ethtool -L lowers them",
			 port->name, port->queues, XDP_QUEUES_MAX);
	return -EINVAL;
}

int afxdp_port_prepare(struct afxdp_port *port, unsigned workers, char *error)
{
	struct xdp_before *b = &port->before;
	short flags = 0;
	int rc = get_flags(port->name, &flags);
	if (b->ifindex != (uint32_t)port->ifindex)
		*b = (struct xdp_before){
			.ifindex = (uint32_t)port->ifindex,
			.promiscuous = (flags & IFF_PROMISC) != 0,
			.gro = ethtool_get(port->name, ETHTOOL_GGRO),
			.flags = ethtool_get(port->name, ETHTOOL_GFLAGS),
		};
	int queues = raise_queues(port, workers, error);
	if (queues != 0)
		return queues;
	/* frames must come as they were on the wire: not merged, tags in place */
	ethtool_set(port->name, ETHTOOL_SGRO, 0);
	ethtool_set(port->name, ETHTOOL_SFLAGS, b->flags & ~(uint32_t)(ETH_FLAG_LRO | ETH_FLAG_RXVLAN));
	/* not a packet socket's promiscuity, which ends with the process: frames for others must come also after that */
	if (rc == 0 && (flags & (IFF_UP | IFF_PROMISC)) != (IFF_UP | IFF_PROMISC))
		rc = change_flags(port->name, IFF_UP | IFF_PROMISC, 0);
	if (rc != 0)
		snprintf(error, IO_ERROR_MAX, "%s: it cannot be brought up and promiscuous: %s", port->name,
			 strerror(-rc));
	return rc;
}

/* The kernel frees closed sockets a moment later, and until then takes no queue away from them. */
static void restore_queues(const struct afxdp_port *port)
{
	const struct xdp_before *b = &port->before;
	const struct timespec pause = {.tv_nsec = RETRY_NS};
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	if ((!b->channels[0] && !b->channels[1]) || ethtool(port->name, &channels) != 0)
		return;
	channels.cmd = ETHTOOL_SCHANNELS;
	channels.combined_count = b->channels[0];
	channels.rx_count = b->channels[1];
	channels.tx_count = b->channels[2];
	for (unsigned i = 0; i < RETRIES && ethtool(port->name, &channels) == -EINVAL; i++)
		nanosleep(&pause, NULL);
}

void afxdp_port_restore(struct afxdp_port *port)
{
	const struct xdp_before *b = &port->before;
	if (b->ifindex != (uint32_t)port->ifindex || !afxdp_port_present(port))
		return;
	if (!b->promiscuous)
		(void)change_flags(port->name, 0, IFF_PROMISC);
	ethtool_set(port->name, ETHTOOL_SGRO, b->gro);
	ethtool_set(port->name, ETHTOOL_SFLAGS, b->flags);
	restore_queues(port);
	port->before.ifindex = 0;
}

void afxdp_port_release(struct afxdp_port *port)
{
	if (port->lock >= 0)
		close(port->lock);
	port->lock = -1;
}

bool afxdp_port_present(const struct afxdp_port *port)
{
	return (int)if_nametoindex(port->name) == port->ifindex;
}

bool afxdp_port_up(const struct afxdp_port *port)
{
	short flags;
	struct ethtool_value link = {.cmd = ETHTOOL_GLINK};
	if (get_flags(port->name, &flags) != 0 || !(flags & IFF_UP))
		return false;
	/* IFF_RUNNING may be a second late */
	return ethtool(port->name, &link) == 0 ? link.data != 0 : (flags & IFF_RUNNING) != 0;
}
