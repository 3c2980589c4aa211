# SPDX-License-Identifier: BSD-3-Clause
"""Makes captures: frames, TCP sessions, tunnels, fragments, and the files that hold them.

Plain struct, no packet library: the tests then pin the bytes that they mean, and run wherever Python does. Everything is
deterministic; times are microseconds, and start at one fixed second.
"""
import gzip
import random
import struct

EPOCH_US = 1_700_000_000_000_000
MSS = 1460

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
TCP, UDP, ICMP, GRE, IPV6_FRAGMENT = 6, 17, 1, 47, 44
ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_VLAN, ETHERTYPE_QINQ = 0x0800, 0x86DD, 0x8100, 0x88A8
LINKTYPE_ETHERNET, LINKTYPE_RAW = 1, 101

# Addresses of documentation networks (RFC 5737, RFC 3849) outside, private ones inside.
OUTSIDE, OUTSIDE2, C2_SERVER = "203.0.113.66", "198.51.100.23", "198.51.100.77"
WEB_SERVER, DNS_SERVER, MAIL_SERVER, DESK, DESK2 = "10.1.0.80", "10.1.0.53", "10.1.0.25", "10.2.0.15", "10.2.0.16"


def checksum(data):
    if len(data) & 1:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def address(text):
    """Network-order bytes of an IPv4 or IPv6 address."""
    if ":" not in text:
        return bytes(int(x) for x in text.split("."))
    head, _, tail = text.partition("::")
    left = [int(x, 16) for x in head.split(":") if x]
    right = [int(x, 16) for x in tail.split(":") if x]
    return struct.pack("!8H", *(left + [0] * (8 - len(left) - len(right)) + right))


def pseudo_header(src, dst, proto, length):
    if len(src) == 4:
        return src + dst + struct.pack("!BBH", 0, proto, length)
    return src + dst + struct.pack("!IHBB", length, 0, 0, proto)


def ip(src, dst, proto, payload, ident=0, ttl=64):
    """An IPv4 or IPv6 packet, whole."""
    a, b = address(src), address(dst)
    if len(a) == 16:
        return struct.pack("!IHBB", 6 << 28, len(payload), proto, ttl) + a + b + payload
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), ident, 0x4000, ttl, proto, 0) + a + b
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def tcp(src, dst, sport, dport, seq, ack, flags, payload=b"", window=64240, options=b""):
    """A TCP segment with its checksum right for these addresses."""
    options += b"\0" * (-len(options) % 4)
    head = struct.pack("!HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, (5 + len(options) // 4) << 4,
                       flags, window, 0, 0) + options
    a, b = address(src), address(dst)
    csum = checksum(pseudo_header(a, b, TCP, len(head) + len(payload)) + head + payload)
    return head[:16] + struct.pack("!H", csum) + head[18:] + payload


def udp(src, dst, sport, dport, payload):
    head = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0)
    csum = checksum(pseudo_header(address(src), address(dst), UDP, 8 + len(payload)) + head + payload) or 0xFFFF
    return head[:6] + struct.pack("!H", csum) + payload


def ethernet(packet, mac_src=b"\x02\0\0\0\0\x01", mac_dst=b"\x02\0\0\0\0\x02"):
    kind = ETHERTYPE_IPV4 if packet[0] >> 4 == 4 else ETHERTYPE_IPV6
    return mac_dst + mac_src + struct.pack("!H", kind) + packet


class Capture:
    """Frames with times. Every frame added moves the clock on by `step_us`."""

    def __init__(self, seed=1, step_us=500):
        self.frames = []  # (time in microseconds, Ethernet frame)
        self.now_us = EPOCH_US
        self.step_us = step_us
        self.random = random.Random(seed)
        self.ident = 1

    def add(self, frame):
        self.frames.append((self.now_us, frame))
        self.now_us += self.step_us

    def add_ip(self, src, dst, proto, payload):
        self.ident = (self.ident + 1) & 0xFFFF
        self.add(ethernet(ip(src, dst, proto, payload, self.ident)))

    def wait(self, seconds):
        self.now_us += round(seconds * 1_000_000)

    def datagram(self, src, dst, sport, dport, payload):
        self.add_ip(src, dst, UDP, udp(src, dst, sport, dport, payload))

    def session(self, client, server, dport, sport=None, **options):
        return Session(self, client, server, sport or 20000 + self.random.randrange(40000), dport, **options)


class Session:
    """A TCP session: handshake, data in segments (each acknowledged), orderly end."""

    def __init__(self, capture, client, server, sport, dport, segment=MSS, shuffle=False):
        self.capture, self.segment, self.shuffle = capture, segment, shuffle
        self.ends = ((client, sport), (server, dport))
        self.seq = [capture.random.randrange(1 << 32), capture.random.randrange(1 << 32)]
        self.emit(0, SYN, options=b"\x02\x04\x05\xb4\x04\x02\x01\x03\x03\x07", ack=0)
        self.seq[0] += 1
        self.emit(1, SYN | ACK, options=b"\x02\x04\x05\xb4\x04\x02\x01\x03\x03\x07")
        self.seq[1] += 1
        self.emit(0, ACK)

    def emit(self, side, flags, payload=b"", seq=None, ack=None, options=b""):
        """One segment from a side (0 the client) with the present numbers, or with those given."""
        (src, sport), (dst, dport) = self.ends[side], self.ends[1 - side]
        self.capture.add_ip(src, dst, TCP, tcp(
            src, dst, sport, dport, self.seq[side] if seq is None else seq,
            self.seq[1 - side] if ack is None else ack, flags, payload, options=options))

    def send(self, side, data):
        pieces = [(self.seq[side] + at, data[at:at + self.segment]) for at in range(0, len(data), self.segment)]
        if self.shuffle:
            self.capture.random.shuffle(pieces)
        for seq, piece in pieces:
            self.emit(side, ACK | PSH, piece, seq=seq)
            if not self.shuffle:
                self.seq[side] = seq + len(piece)
                self.emit(1 - side, ACK)
        if self.shuffle:
            self.seq[side] += len(data)
            self.emit(1 - side, ACK)

    def client(self, data):
        self.send(0, data)
        return self

    def server(self, data):
        self.send(1, data)
        return self

    def close(self):
        for side in (0, 1):
            self.emit(side, FIN | ACK)
            self.seq[side] += 1
        self.emit(0, ACK)

    def reset(self, side=0):
        self.emit(side, RST | ACK)


# --- the same frames in another dress ---------------------------------------------------------------------------------


def in_vlan(frames, *tags):
    """802.1Q, or QinQ with two tags (outer first)."""
    out = []
    for when, frame in frames:
        head = b""
        for n, tag in enumerate(tags):
            outer = n == 0 and len(tags) > 1
            head += struct.pack("!HH", ETHERTYPE_QINQ if outer else ETHERTYPE_VLAN, tag)
        out.append((when, frame[:12] + head + frame[12:]))
    return out


def in_gre(frames, src="192.0.2.1", dst="192.0.2.2"):
    return [(when, ethernet(ip(src, dst, GRE, struct.pack("!HH", 0, ETHERTYPE_IPV4) + frame[14:], ttl=63)))
            for when, frame in frames]


def in_vxlan(frames, src="192.0.2.1", dst="192.0.2.2", vni=77):
    out = []
    for when, frame in frames:
        inner = struct.pack("!II", 0x08000000, vni << 8) + frame
        out.append((when, ethernet(ip(src, dst, UDP, udp(src, dst, 51000, 4789, inner)))))
    return out


def in_ip(frames, src="192.0.2.1", dst="192.0.2.2"):
    """IP in IP (protocol 4)."""
    return [(when, ethernet(ip(src, dst, 4, frame[14:]))) for when, frame in frames]


def fragmented(frames, size=64, backwards=False):
    """Each IPv4 packet with more than `size` bytes of payload in fragments of `size` (a multiple of eight)."""
    out = []
    for when, frame in frames:
        packet = frame[14:]
        body = packet[20:]
        if packet[0] != 0x45 or len(body) <= size:
            out.append((when, frame))
            continue
        pieces = []
        for at in range(0, len(body), size):
            piece = body[at:at + size]
            more = 0x2000 if at + size < len(body) else 0
            head = packet[:2] + struct.pack("!H", 20 + len(piece)) + packet[4:6] + struct.pack("!H", more | at // 8)
            head += packet[8:10] + b"\0\0" + packet[12:20]
            head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
            pieces.append(frame[:14] + head + piece)
        if backwards:
            pieces.reverse()
        out += [(when + n, piece) for n, piece in enumerate(pieces)]
    return out


# --- files ---------------------------------------------------------------------------------------------------------------


def pcap_bytes(frames, link_type=LINKTYPE_ETHERNET):
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, link_type)]
    for us, frame in frames:
        out.append(struct.pack("<IIII", us // 1_000_000, us % 1_000_000, len(frame), len(frame)) + frame)
    return b"".join(out)


def pcapng_bytes(frames, link_type=LINKTYPE_ETHERNET):
    def block(kind, body):
        body += b"\0" * (-len(body) % 4)
        total = len(body) + 12
        return struct.pack("<II", kind, total) + body + struct.pack("<I", total)

    out = [block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)),
           block(1, struct.pack("<HHI", link_type, 0, 262144))]
    for us, frame in frames:
        out.append(block(6, struct.pack("<IIIII", 0, us >> 32, us & 0xFFFFFFFF, len(frame), len(frame)) + frame))
    return b"".join(out)


def write(path, frames):
    """By the name's end: .pcap, .pcapng, .pcap.gz."""
    data = pcapng_bytes(frames) if ".pcapng" in path else pcap_bytes(frames)
    with open(path, "wb") as f:
        f.write(gzip.compress(data, mtime=0) if path.endswith(".gz") else data)


def read(path):
    """(microseconds, frame) of each packet of a pcap file of either byte order."""
    with open(path, "rb") as f:
        data = f.read()
    end = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    if struct.unpack(end + "I", data[:4])[0] not in (0xA1B2C3D4, 0xA1B23C4D):
        raise ValueError("%s: no pcap file" % path)
    per_us = 1000 if struct.unpack(end + "I", data[:4])[0] == 0xA1B23C4D else 1
    at, out = 24, []
    while at + 16 <= len(data):
        seconds, fraction, length, _ = struct.unpack(end + "IIII", data[at:at + 16])
        out.append((seconds * 1_000_000 + fraction // per_us, data[at + 16:at + 16 + length]))
        at += 16 + length
    return out
