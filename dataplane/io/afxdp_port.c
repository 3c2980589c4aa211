/* SPDX-License-Identifier: BSD-3-Clause */
/* An interface as a port: what it has, what must be switched on or off, and the program on it. */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "afxdp.h"

/* Ethernet header and two tags: what stands around the MTU. */
#define FRAME_OVERHEAD (14 + 8)
/* The kernel keeps this much free before a frame (XDP_PACKET_HEADROOM). */
#define HEADROOM 256
/* As the program is named in its object. */
#define PROGRAM_NAME "sekisho_port"

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

/* Frames must come as they were on the wire: not merged, tags in place. A driver that has no such switch has no such habit. */
static void offloads_off(const char *name)
{
	struct ethtool_value value = {.cmd = ETHTOOL_SGRO};
	(void)ethtool(name, &value);
	value = (struct ethtool_value){.cmd = ETHTOOL_GFLAGS};
	if (ethtool(name, &value) != 0)
		return;
	value.cmd = ETHTOOL_SFLAGS;
	value.data &= ~(uint32_t)(ETH_FLAG_LRO | ETH_FLAG_RXVLAN);
	(void)ethtool(name, &value);
}

static unsigned count_queues(const char *name)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	if (ethtool(name, &channels) != 0)
		return 1;
	unsigned n = channels.combined_count > channels.rx_count ? channels.combined_count : channels.rx_count;
	return n ? n : 1;
}

int afxdp_port_open(struct afxdp_port *port, const char *name, unsigned frame_size, char *error)
{
	struct ifreq ifr = {0};
	short flags;
	*port = (struct afxdp_port){.ifindex = (int)if_nametoindex(name)};
	if (port->ifindex == 0 || strlen(name) >= sizeof(port->name)) {
		snprintf(error, IO_ERROR_MAX, "%.64s: the interface is gone", name);
		return -ENODEV;
	}
	memcpy(port->name, name, strlen(name) + 1);
	port->queues = count_queues(name);
	if (port->queues > XDP_QUEUES_MAX) {
		snprintf(error, IO_ERROR_MAX, "%s: %u queues, at most %u can be served; ethtool -L %s lowers them",
			 name, port->queues, XDP_QUEUES_MAX, name);
		return -E2BIG;
	}
	int rc = interface_ioctl(name, SIOCGIFMTU, &ifr);
	port->mtu = rc == 0 ? (unsigned)ifr.ifr_mtu : 0;
	if (port->mtu + FRAME_OVERHEAD > frame_size - HEADROOM) {
		snprintf(error, IO_ERROR_MAX, "%s: frames of its MTU of %u do not fit afxdp.frame-size %u: %s", name,
			 port->mtu, frame_size, frame_size < 4096 ? "set that to 4096" : "lower the MTU");
		return -EMSGSIZE;
	}
	offloads_off(name);
	if (rc == 0)
		rc = get_flags(name, &flags);
	if (rc == 0 && (flags & (IFF_UP | IFF_PROMISC)) != (IFF_UP | IFF_PROMISC)) {
		rc = change_flags(name, IFF_UP | IFF_PROMISC, 0);
		port->promiscuous = rc == 0 && !(flags & IFF_PROMISC);
	}
	if (rc != 0)
		snprintf(error, IO_ERROR_MAX, "%s: it cannot be brought up and promiscuous: %s", name, strerror(-rc));
	return rc;
}

void afxdp_port_close(struct afxdp_port *port)
{
	if (port->promiscuous && afxdp_port_present(port))
		(void)change_flags(port->name, 0, IFF_PROMISC);
	port->promiscuous = false;
}

bool afxdp_port_present(const struct afxdp_port *port)
{
	return (int)if_nametoindex(port->name) == port->ifindex;
}

bool afxdp_port_up(const struct afxdp_port *port)
{
	short flags;
	return get_flags(port->name, &flags) == 0 && flags & IFF_RUNNING;
}

/* --- the program ------------------------------------------------------------------------------------------------------- */

/* Whether some program is attached, in which mode, and whether it is one of ours. 0 or -errno. */
static int query(const struct afxdp_port *port, uint32_t *mode, bool *ours)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);
	struct bpf_prog_info info = {0};
	uint32_t len = sizeof(info);
	int rc = bpf_xdp_query(port->ifindex, 0, &opts);
	*mode = 0;
	*ours = false;
	if (rc != 0 || opts.attach_mode == XDP_ATTACHED_NONE)
		return rc;
	*mode = opts.attach_mode == XDP_ATTACHED_SKB  ? XDP_FLAGS_SKB_MODE
		: opts.attach_mode == XDP_ATTACHED_HW ? XDP_FLAGS_HW_MODE
						      : XDP_FLAGS_DRV_MODE;
	uint32_t id = opts.prog_id ? opts.prog_id : opts.drv_prog_id ? opts.drv_prog_id : opts.skb_prog_id;
	int fd = bpf_prog_get_fd_by_id(id);
	if (fd < 0)
		return -errno;
	rc = bpf_obj_get_info_by_fd(fd, &info, &len);
	close(fd);
	*ours = rc == 0 && strncmp(info.name, PROGRAM_NAME, sizeof(info.name) - 1) == 0;
	return rc;
}

static int attach_as(struct afxdp_port *port, int program, uint32_t mode, uint32_t present)
{
	/* a port has one mode at a time; in the same one, the new program takes the old one's place at once */
	if (present && present != mode)
		(void)bpf_xdp_detach(port->ifindex, present, NULL);
	int rc = bpf_xdp_attach(port->ifindex, program, mode, NULL);
	if (rc == 0)
		port->xdp_flags = mode;
	return rc;
}

int afxdp_port_attach(struct afxdp_port *port, int program, int mode, char *error)
{
	uint32_t present;
	bool ours;
	int rc = query(port, &present, &ours);
	if (rc == 0 && present && !ours) {
		snprintf(error, IO_ERROR_MAX, "%s: another XDP program is attached; ip link set %s xdp off removes it",
			 port->name, port->name);
		return -EBUSY;
	}
	if (rc == 0) {
		rc = -EOPNOTSUPP;
		if (mode != IO_XDP_GENERIC)
			rc = attach_as(port, program, XDP_FLAGS_DRV_MODE, present);
		if (rc != 0 && mode != IO_XDP_NATIVE)
			rc = attach_as(port, program, XDP_FLAGS_SKB_MODE, present);
	}
	if (rc != 0)
		snprintf(error, IO_ERROR_MAX, "%s: the XDP program cannot be attached: %s", port->name, strerror(-rc));
	return rc;
}

void afxdp_port_detach(struct afxdp_port *port)
{
	if (port->xdp_flags && afxdp_port_present(port))
		(void)bpf_xdp_detach(port->ifindex, port->xdp_flags, NULL);
	port->xdp_flags = 0;
}
