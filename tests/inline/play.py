# SPDX-License-Identifier: BSD-3-Clause
"""Plays what tests/replay/traffic defines (attacks, harmless sessions) between the lab's hosts, by real sockets.

A definition is written against a Capture; a Script takes its place and keeps what is said by whom. play() then opens each
session from the client's address to the server's and lets both say their part. Who is waiting for words that never come
because the sensor dropped them is told by stopped().
"""
import codecs
import contextlib
import random
import re
import socket
import struct
import time

from traffic import packets

ROT13 = bytes.maketrans(bytes(range(256)), bytes(ord(codecs.encode(chr(c), "rot13")) if c < 128 else c for c in range(256)))
# A function definition of a shell is made of signs alone.
HARMLESS = bytes(ROT13[c] if chr(c) not in "()" else ord("()"[::-1]["()".index(chr(c))]) for c in range(256))


class Script:
    """Takes the place of packets.Capture: keeps sessions, datagrams and bare packets in order."""

    def __init__(self, seed):
        self.random, self.steps = random.Random(seed), []

    def session(self, client, server, dport, sport=None, **_):
        session = Talk(client, server, dport)
        self.random.randrange(40000)  # as Capture does, so that payloads made by chance are the same
        self.steps.append(session)
        return session

    def datagram(self, src, dst, sport, dport, payload):
        self.steps.append(("datagram", src, dst, sport, dport, payload))

    def add_ip(self, src, dst, proto, payload):
        self.steps.append(("packet", src, dst, proto, payload))

    def wait(self, seconds):
        pass  # of packet time

    def sessions(self):
        return [s for s in self.steps if isinstance(s, Talk)]


class Talk:
    """A TCP session: (side, words) in order; side 0 is the client."""

    def __init__(self, client, server, dport):
        self.ends, self.port, self.words = (client, server), dport, []

    def client(self, data):
        self.words.append((0, data))
        return self

    def server(self, data):
        self.words.append((1, data))
        return self

    def close(self):
        pass

    def reset(self, side=0):
        pass

    def said(self, side):
        return b"".join(data for s, data in self.words if s == side)

    def mirrored(self, swap):
        other = Talk(swap[self.ends[0]], swap[self.ends[1]], self.port)
        other.words = list(self.words)
        return other

    def twin(self):
        """The same talk with other words: as long, in the same shape, and no attack."""
        other = Talk(*self.ends, self.port)
        other.words = [(side, harmless(data)) for side, data in self.words]
        return other


def harmless(data):
    """Words as long that mean nothing: letters by ROT13, and the names that make it HTTP as they are."""
    if data[:1] == b"\x16":  # TLS: another serial number
        return data.replace(bytes.fromhex("08bb00ee"), bytes.fromhex("08bb00ef"))
    if not re.match(rb"(GET|POST|PUT) |HTTP/1\.1 ", data):
        return data.translate(HARMLESS)
    head, blank, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    first = lines[0].split(b" ", 2)
    first[1] = first[1].translate(HARMLESS)
    kept = (b"host", b"content-length", b"content-type", b"content-encoding", b"transfer-encoding", b"accept")
    for n, line in enumerate(lines[1:], 1):
        name, colon, value = line.partition(b":")
        lines[n] = line if name.lower() in kept else name + colon + value.translate(HARMLESS)
    if b"chunked" not in head and b"gzip" not in head:
        body = body.translate(HARMLESS)
    return b"\r\n".join([b" ".join(first)] + lines[1:]) + blank + body


def script(definitions, name, seed):
    made = Script(seed)
    definitions[name][0](made, {})
    return made


class Played:
    """How a session went: the ports that it had, and what each side got of the other's words."""

    def __init__(self, talk):
        self.talk, self.ends, self.got, self.whole = talk, None, [b"", b""], False


def play(network, talk, stopped):
    """Lets both sides say their words in turn. Ends when all was said and heard, or when stopped(source, sport, address, dport)
    is true, the session was reset, or nothing came for too long."""
    client, server = (network.host_of(a) for a in talk.ends)
    out = Played(talk)
    with contextlib.ExitStack() as files:
        listener = files.enter_context(server.listen(talk.ends[1], talk.port))
        here = files.enter_context(client.connect(talk.ends[0], talk.ends[1], talk.port))
        there = files.enter_context(listener.accept()[0])
        sockets = [here, there]
        out.ends = (talk.ends[0], here.getsockname()[1], talk.ends[1], talk.port)
        for s in sockets:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        heard = [0, 0]
        for side, words in talk.words:
            try:
                sockets[side].sendall(words)
                heard[1 - side] += len(words)
                if not _hear(sockets[1 - side], out, 1 - side, heard[1 - side], lambda: stopped(*out.ends)):
                    return out
            except ConnectionError:
                return out
        out.whole = True
    return out


def _hear(s, out, side, until, stopped):
    """Reads until that many bytes were got by a side; False when they will not come."""
    deadline = time.monotonic() + 20
    s.settimeout(0.05)
    while len(out.got[side]) < until:
        try:
            part = s.recv(1 << 16)
        except TimeoutError:
            if stopped():
                return False
            if time.monotonic() > deadline:
                raise AssertionError("%s: %d of %d bytes came, and nobody says why" % (out.ends, len(out.got[side]), until)) from None
            continue
        if not part:
            return False
        out.got[side] += part
    return True


class Referee:
    """Plays sessions and knows, from the sensor's records and from captures before the hosts, what became of them."""

    def __init__(self, network, sensor):
        self.network, self.sensor = network, sensor
        self.watches = {host.name: network.watch(host) for host in (network.outside, network.dmz, network.inside)}

    def play(self, talk):
        return play(self.network, talk, self._stopped)

    def _records(self, kind, ends):
        records = self.sensor.records(kind) if self.sensor else []
        return [r for r in records if {(r["src_ip"], r.get("src_port")), (r["dest_ip"], r.get("dest_port"))} == {ends[:2], ends[2:]}]

    def _stopped(self, *ends):
        """Whether a record says that the sensor dropped something of this session."""
        return bool(self._records("drop", ends))

    def alerts(self, played):
        return self._records("alert", played.ends)

    def attacker(self, played, records):
        """The side whose words raised the first alert."""
        return 0 if (records[0]["src_ip"], records[0]["src_port"]) == played.ends[:2] else 1

    def arrived(self, played, side):
        """What the capture before the victim saw of a side's words."""
        source, address = (played.ends[:2], played.ends[2:]) if side == 0 else (played.ends[2:], played.ends[:2])
        watch = self.watches[self.network.host_of(address[0]).name]
        watch.settle(self.network.host_of(source[0]), source[0], address[0])
        return watch.stream(*source, *address)


def send_raw(network, step):
    """A bare packet or datagram of a script, from the host that has its source."""
    kind, source, address = step[0], step[1], step[2]
    host = network.host_of(source)
    if kind == "datagram":
        with host.new_socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((source, step[3]))
            s.sendto(step[5], (address, step[4]))
        return
    with host.new_socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
        s.sendto(packets.ip(source, address, step[3], step[4]), (address, 0))

