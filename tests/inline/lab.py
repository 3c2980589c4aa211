# SPDX-License-Identifier: BSD-3-Clause
"""A small network on one machine: an outside host, a DMZ server and an inside host, joined through the sensor's place.

    wire:    outside -- [box: s0 s1] -- lan (a switch) -- dmz, inside       the sensor is a bump in the wire
    router:  outside, dmz, inside -- [box: s0 s1 s2]                        the sensor sits on the branch's router

Each host is a network namespace. Everything lives in namespaces of this process (network names, mounts, processes):
isolate() makes them, and when the process ends, however it ends, the kernel takes all of it away.
"""
import contextlib
import ctypes
import itertools
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

WAIT_S = 20  # what does not happen in this time on a busy machine does not happen
POLL_S = 0.01
HERE = os.path.dirname(os.path.abspath(__file__))
RUN = "/run/sekisho-lab"  # on a file system of our own

# Addresses by host: those that tests/replay/traffic uses, so that its attacks can be played by real sockets.
OUTSIDE, OUTSIDE2, C2_SERVER, DNS_SERVER = "203.0.113.66", "198.51.100.23", "198.51.100.77", "10.1.0.53"
WEB_SERVER, MAIL_SERVER, DESK, DESK2 = "10.1.0.80", "10.1.0.25", "10.2.0.15", "10.2.0.16"
SITE, SHOP = "198.51.100.80", "10.1.0.81"  # where real web servers may listen while attacks are played at the other addresses
OUTSIDE6, WEB_SERVER6, DESK6 = "2001:db8:c::66", "2001:db8:1::80", "2001:db8:2::15"
ADDRESSES = {"outside": [OUTSIDE, OUTSIDE2, C2_SERVER, DNS_SERVER, SITE, OUTSIDE6],
             "dmz": [WEB_SERVER, MAIL_SERVER, SHOP, WEB_SERVER6], "inside": [DESK, DESK2, DESK6]}
FILE_SERVERS = "10.3.0.0/24"  # whom a sweep knocks at; all of them are the outside host
SOURCE_PORTS = itertools.count(10000)
HOME_NET = "[10.0.0.0/8,2001:db8:1::/48,2001:db8:2::/48]"

_libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


class Missing(Exception):
    """This machine cannot make a lab; the text says why."""


# --- a place of our own ----------------------------------------------------------------------------------------------


def isolate():
    """Starts this program again in namespaces of its own (once), as their first process. Does not return the first time."""
    if os.environ.get("SEKISHO_LAB") == "isolated" and os.getpid() == 1:
        _set_up_place()
        return
    if os.getuid() != 0:
        raise Missing("only root may make network namespaces")
    for program in ("unshare", "nsenter", "ip", "ethtool"):
        if not shutil.which(program):
            raise Missing("%s is not installed" % program)
    enter = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if subprocess.run(enter + ["true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
        raise Missing("this machine gives no namespaces (unshare says no)")
    sys.stdout.flush()
    # The parent stays: it is who a person or meson stops, and the kernel ends the child with it.
    child = subprocess.Popen(enter + [sys.executable] + _own_command(), env=dict(os.environ, SEKISHO_LAB="isolated"))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: child.kill())
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            code = child.wait()
            sys.exit(code if code >= 0 else 128 - code)


def _own_command():
    return [os.path.abspath(sys.argv[0])] + sys.argv[1:]


def _set_up_place():
    del os.environ["SEKISHO_LAB"]
    subprocess.run(["mount", "-t", "tmpfs", "sekisho-lab", "/run"], check=True)
    for folder in ("/run/netns", RUN + "/bpf", "/run/sshd", "/run/lock"):
        os.makedirs(folder)
    if subprocess.run(["mount", "-t", "bpf", "bpf", RUN + "/bpf"], stderr=subprocess.DEVNULL).returncode != 0:
        print("lab: no BPF file system here", file=sys.stderr)
    else:  # tc makes folders in the one that it finds
        subprocess.run(["mount", "--bind", RUN + "/bpf", "/sys/fs/bpf"], check=True)
    _ip("link set lo up")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


# --- waiting -----------------------------------------------------------------------------------------------------------


class Late(AssertionError):
    """What was waited for did not come."""


def wait_for(condition, what, seconds=WAIT_S):
    """Waits until condition() is true and returns it; `what` says what was waited for (a text, or a function that makes it)."""
    deadline = time.monotonic() + seconds
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > deadline:
            raise Late("waited %g s for %s" % (seconds, what() if callable(what) else what))
        time.sleep(POLL_S)


# --- hosts ---------------------------------------------------------------------------------------------------------------


def _ip(*lines, net=None):
    command = ["ip"] + (["-n", net] if net else []) + ["-batch", "-"]
    done = subprocess.run(command, input="\n".join(lines) + "\n", text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise Missing("ip: %s\n%s" % (done.stderr.strip(), "\n".join(lines)))


class Host:
    """A network namespace, the processes in it and the way into it."""

    def __init__(self, name):
        self.name, self.path = name, "/run/netns/" + name
        self._lock, self._processes = threading.Lock(), []
        _ip("netns add " + name)
        self.ip("link set lo up")

    def ip(self, *lines):
        _ip(*lines, net=self.name)

    def command(self, arguments):
        return ["nsenter", "--net=" + self.path] + [str(a) for a in arguments]

    def run(self, *arguments, check=True, seconds=60, **options):
        """Runs a program to its end; its words are in .stdout (bytes), errors too."""
        done = subprocess.run(self.command(arguments), stdin=options.pop("stdin", subprocess.DEVNULL), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=seconds, **options)
        if check and done.returncode != 0:
            raise AssertionError("%s on %s ended with %d:\n%s" % (" ".join(map(str, arguments)), self.name, done.returncode,
                                                                 done.stdout.decode(errors="replace")[-2000:]))
        return done

    def start(self, *arguments, log=None, **options):
        """Starts a program that stays; stop() of the host ends it."""
        out = open(log, "ab") if log else subprocess.DEVNULL
        process = subprocess.Popen(self.command(arguments), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, **options)
        self._processes.append(process)
        return process

    @contextlib.contextmanager
    def inside(self):
        """Sockets made by this thread meanwhile belong to the host, and stay there."""
        here, there = os.open("/proc/thread-self/ns/net", os.O_RDONLY), os.open(self.path, os.O_RDONLY)
        try:
            _setns(there)
            try:
                yield self
            finally:
                _setns(here)
        finally:
            os.close(here)
            os.close(there)

    def sysctl(self, name, value):
        with self.inside(), open("/proc/sys/net/" + name, "w", encoding="ascii") as f:
            f.write(str(value))

    def new_socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, proto=0):
        with self.inside():
            s = socket.socket(family, kind, proto)
        s.settimeout(WAIT_S)
        return s

    def listen(self, address, port, kind=socket.SOCK_STREAM):
        s = self.new_socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address, port))
        if kind == socket.SOCK_STREAM:
            s.listen(16)
        return s

    def connect(self, source, address, port, seconds=WAIT_S):
        """A connection from one of the host's addresses."""
        s = self.new_socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        s.settimeout(seconds)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            # A port of its own: what comes from a session that was blocked a moment ago is blocked too.
            s.bind((source, next(SOURCE_PORTS)))
            s.connect((address, port))
        except OSError:
            s.close()
            raise
        return s

    def listens(self, port, kind="tcp"):
        """Whether some program of the host listens there."""
        with self.inside(), contextlib.ExitStack() as files:
            # /proc/net is that of the process's first thread: ask for this thread's.
            text = "".join(files.enter_context(open("/proc/thread-self/net/%s%s" % (kind, v), encoding="ascii")).read()
                           for v in ("", "6"))
        state = "0A" if kind == "tcp" else "07"
        return any(len(w) > 3 and w[1].endswith(":%04X" % port) and w[3] == state for w in (line.split() for line in text.splitlines()))

    def stop(self):
        for process in self._processes:
            end(process)
        self._processes.clear()


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def end(process, seconds=5):
    """Ends a program of ours: asks it, and then does not ask any more."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


# --- the network -----------------------------------------------------------------------------------------------------------


class Lab:
    """The hosts and the links between them. `queues`: receive and transmit queues of each of the sensor's ports."""

    def __init__(self, kind="wire", queues=1):
        self.kind, self.queues, self.watches, self.lan, self._given = kind, queues, [], None, False
        self.outside, self.dmz, self.inside, self.box = (Host(n) for n in ("outside", "dmz", "inside", "box"))
        self.hosts = [self.outside, self.dmz, self.inside, self.box]
        if kind == "router":
            self._make_router()
        else:
            self._make_wire()
        for name, addresses in ADDRESSES.items():
            self._give(getattr(self, name), addresses)
        self._given = True

    def close(self):
        for watch in self.watches:
            watch.close()
        for host in self.hosts:
            host.stop()
        for host in self.hosts:
            _ip("netns del " + host.name)

    def _link(self, a, a_name, b, b_name):
        queues = "numtxqueues %d numrxqueues %d" % (self.queues, self.queues)
        _ip("link add name %s %s netns %s type veth peer name %s %s netns %s" % (a_name, queues, a.name, b_name, queues, b.name))

    def _make_wire(self):
        self.lan = Host("lan")
        self.hosts.append(self.lan)
        self.lan.ip("link add br0 type bridge mcast_snooping 0 forward_delay 0", "link set br0 up")
        self.ports = ["s0", "s1"]
        for port in self.ports:
            self.plug(port)
        for host, port in ((self.dmz, "d0"), (self.inside, "i0")):
            self._link(host, "eth0", self.lan, port)
            self.lan.ip("link set %s master br0 up" % port)
            self._wire_end(self.lan, port)
            self._wire_end(host, "eth0")

    def plug(self, port):
        """Makes the cable between one of the sensor's ports and what it leads to, also after it was pulled out."""
        host, name = self._leads_to(port)
        self._link(self.box, port, host, name)
        if self.kind == "router":
            host.ip("link set eth0 up")
            self.box.ip("link set %s up" % port)
            self._route(port)
        else:
            self._wire_end(host, name)
            self._wire_end(self.box, port)
        if host is self.lan:
            self.lan.ip("link set up0 master br0")
        elif self._given:
            self._give(host, ADDRESSES[host.name])

    def link(self, port, up):
        """Takes a port's link down, or up again."""
        self.box.ip("link set %s %s" % (port, "up" if up else "down"))
        if up and self.kind == "router":
            self._route(port)

    def unplug(self, port):
        self.box.ip("link del " + port)

    def _wire_end(self, host, name):
        # On a wire are whole frames with whole checksums: what the sender's NIC would make of them. GRO gives a veth
        # that is up the NAPI without which XDP cannot send to it.
        if host in (self.box, self.lan):
            host.sysctl("ipv6/conf/%s/disable_ipv6" % name, 1)  # silent: what is on the wire comes from the hosts
        host.ip("link set %s up" % name)
        host.run("ethtool", "-K", name, "tx", "off", "tso", "off", "gso", "off", "txvlan", "off", "gro", "on")

    def _make_router(self):
        self.ports = ["s0", "s1", "s2"]
        for name, value in (("ipv4/ip_forward", 1), ("ipv6/conf/all/forwarding", 1), ("ipv4/conf/all/rp_filter", 0)):
            self.box.sysctl(name, value)
        for port in self.ports:
            self.plug(port)

    def _leads_to(self, port):
        """The host that is at the end of a port's cable, and its interface."""
        if self.kind == "router":
            return (self.outside, self.dmz, self.inside)[self.ports.index(port)], "eth0"
        return (self.outside, "eth0") if port == "s0" else (self.lan, "up0")

    def _route(self, port):
        """A router's leg gets its addresses and the way to its host."""
        self.box.ip("addr replace 169.254.1.1/32 dev %s" % port, "addr replace fe80::1/64 dev %s nodad" % port,
                    *("route replace %s dev %s" % (a, port) for a in ADDRESSES[self._leads_to(port)[0].name]))
        if port == "s0":
            self.box.ip("route replace %s dev s0" % FILE_SERVERS)

    def _give(self, host, addresses):
        v4, v6 = [a for a in addresses if ":" not in a], [a for a in addresses if ":" in a]
        lines = ["addr add %s/32 dev eth0" % a for a in v4] + ["addr add %s/128 dev eth0 nodad" % a for a in v6]
        if self.kind == "router":
            lines += ["route add default via 169.254.1.1 dev eth0 onlink src " + v4[0], "route add default via fe80::1 dev eth0 src " + v6[0]]
        else:
            lines += ["route add default dev eth0 src " + v4[0], "route add default dev eth0 src " + v6[0]]
        if host is self.outside:
            lines.append("route add local %s dev eth0" % FILE_SERVERS)
        host.ip(*lines)

    def bridge(self):
        """Puts a plain switch in the sensor's place: what the network does by itself."""
        self.box.ip("link add br0 type bridge mcast_snooping 0 forward_delay 0", "link set br0 up",
                    *("link set %s master br0" % p for p in self.ports))

    def tag(self, folder):
        """Puts a VLAN tag on all that the hosts send and take."""
        program = os.path.join(folder, "vlan.o")
        subprocess.run(["clang", "-O2", "-target", "bpf", "-c", os.path.join(HERE, "vlan.bpf.c"), "-o", program], check=True)
        for host in (self.outside, self.dmz, self.inside):
            host.run("tc", "qdisc", "add", "dev", "eth0", "clsact")
            host.run("tc", "filter", "add", "dev", "eth0", "egress", "bpf", "da", "obj", program, "sec", "tc/push")
            host.run("tc", "filter", "add", "dev", "eth0", "ingress", "bpf", "da", "obj", program, "sec", "tc/pop")

    def host_of(self, address):
        return next(getattr(self, name) for name, addresses in ADDRESSES.items() if address in addresses)

    def watch(self, host):
        """A capture of what reaches and leaves a host, from now on."""
        watch = Watch(host)
        self.watches.append(watch)
        return watch

    def reaches(self, source, address, size=56, seconds=1):
        """Whether one echo request from a host comes back, with its data."""
        v6, host = ":" in address, self.host_of(source)
        data = os.urandom(16)[:size] + bytes(max(size - 16, 0))
        echo = struct.pack("!BBHHH", 128 if v6 else 8, 0, 0, os.getpid() & 0xFFFF, 1) + data
        if not v6:
            echo = echo[:2] + struct.pack("!H", checksum(echo)) + echo[4:]
        s = host.new_socket(_family(address), socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP)
        with s:
            s.bind((source, 0))
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            deadline = time.monotonic() + seconds
            s.sendto(echo, (address, 0))
            while (left := deadline - time.monotonic()) > 0:
                s.settimeout(left)
                try:
                    answer, sender = s.recvfrom(1 << 17)
                except OSError:
                    return False
                body = answer if v6 else answer[(answer[0] & 15) * 4:]
                if sender[0] == address and body[0] == (129 if v6 else 0) and body[8:] == data:
                    return True
        return False

    def wait_path(self):
        """Waits until all hosts reach each other through the sensor's place."""
        for source, address in ((OUTSIDE, WEB_SERVER), (DESK, OUTSIDE), (OUTSIDE6, WEB_SERVER6), (DESK6, OUTSIDE6)):
            wait_for(lambda: self.reaches(source, address), "a ping from %s to %s" % (source, address))


def drop(name):
    """Takes a host away that nobody holds any more."""
    if os.path.exists("/run/netns/" + name):
        _ip("netns del " + name)


# --- captures ------------------------------------------------------------------------------------------------------------------


ETH_P_ALL, SOL_PACKET, PACKET_STATISTICS, PACKET_OUTGOING = 3, 263, 6, 4


class Watch:
    """What a host's interface receives (and, apart, what it sends), frame by frame."""

    def __init__(self, host, interface="eth0"):
        self.host, self.frames, self.sent = host, [], []
        with host.inside():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        self.socket.bind((interface, ETH_P_ALL))
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.stop = False
        self.thread.start()

    def _read(self):
        self.socket.settimeout(0.1)
        while not self.stop:
            try:
                frame, address = self.socket.recvfrom(1 << 17)
            except TimeoutError:
                continue
            except OSError:
                return
            (self.sent if address[2] == PACKET_OUTGOING else self.frames).append(frame)

    def lost(self):
        return struct.unpack("II", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]

    def close(self):
        self.stop = True
        self.thread.join()
        self.socket.close()

    def settle(self, sender, source, address):
        """Waits until what went before has arrived, if it ever will: a datagram sent now on the same way has."""
        token = os.urandom(16)
        with contextlib.closing(sender.new_socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)) as s:
            s.bind((source, 0))

            def came():
                s.sendto(token, (address, 9))
                return any(token in f for f in self.frames)
            wait_for(came, "a datagram from %s at %s" % (source, address))
        if self.lost():
            raise AssertionError("the capture on %s lost packets" % self.host.name)

    def stream(self, source, sport, address, dport):
        """The bytes of one direction of a TCP session that arrived, in order from its SYN; what lies behind a hole is left out."""
        pieces, first = {}, None
        for packet in list(self.frames):
            seq, flags, data = _segment(packet, socket.inet_pton(_family(source), source), sport, socket.inet_pton(_family(address), address), dport)
            if seq is None:
                continue
            if flags & 2:
                first = seq + 1
            if data:
                pieces[seq] = max(pieces.get(seq, b""), data, key=len)
        out, at = b"", first
        while first is not None:
            nearer = [(s, d) for s, d in pieces.items() if 0 <= (at - s) & 0xFFFFFFFF < len(d)]
            if not nearer:
                return out
            seq, data = nearer[0]
            out += data[(at - seq) & 0xFFFFFFFF:]
            at = (seq + len(data)) & 0xFFFFFFFF
        return out


def checksum(data):
    data += b"\0" * (len(data) & 1)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def ip_of(frame):
    """The IP packet of a frame, behind VLAN tags; None for other frames."""
    at = 12
    while frame[at:at + 2] in (b"\x81\x00", b"\x88\xa8"):
        at += 4
    return frame[at + 2:] if frame[at:at + 2] in (b"\x08\x00", b"\x86\xdd") else None


def _segment(frame, source, sport, address, dport):
    packet = ip_of(frame)
    if packet is None:
        return None, 0, b""
    if packet[0] >> 4 == 4:
        proto, ends, total, at = packet[9], (packet[12:16], packet[16:20]), int.from_bytes(packet[2:4], "big"), (packet[0] & 15) * 4
        total = total or len(packet)  # a large packet put together by the receiver
    else:
        proto, ends, total, at = packet[6], (packet[8:24], packet[24:40]), 40 + int.from_bytes(packet[4:6], "big"), 40
        total = total if total > 40 else len(packet)
    if proto != 6 or ends != (source, address):
        return None, 0, b""
    segment = packet[at:total]
    if struct.unpack("!HH", segment[:4]) != (sport, dport):
        return None, 0, b""
    return int.from_bytes(segment[4:8], "big"), segment[13], segment[(segment[12] >> 4) * 4:]
