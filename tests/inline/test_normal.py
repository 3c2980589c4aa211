# SPDX-License-Identifier: BSD-3-Clause
"""What people do goes through byte for byte: web, TLS, names, SSH, bulk data, both ways, IPv4 and IPv6."""
import concurrent.futures
import contextlib
import hashlib
import os
import random
import socket
import threading
import unittest

import case
import lab
import servers
from lab import DESK, DESK6, MAIL_SERVER, OUTSIDE, OUTSIDE6, WEB_SERVER, WEB_SERVER6

BIG = 16 << 20
NOISE = random.Random(3)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def bulk(network, source, address, size, seed):
    """One TCP session with `size` bytes each way at the same time. Returns the digests (sent, received) of both directions."""
    client, server = network.host_of(source), network.host_of(address)
    listener = server.listen(address, 0)
    data = {side: random.Random("%s%s" % (seed, side)).randbytes(size) for side in ("there", "back")}
    came = {}

    def send(s, what):
        s.sendall(what)
        s.shutdown(socket.SHUT_WR)

    def read(s, side):
        sums, size_read = hashlib.sha256(), 0
        while part := s.recv(1 << 18):
            sums.update(part)
            size_read += len(part)
        came[side] = (size_read, sums.hexdigest())

    def serve():
        try:
            s, _ = listener.accept()
        except OSError:
            return  # nobody came; who should have says so
        with s:
            s.settimeout(lab.WAIT_S)
            sender = threading.Thread(target=send, args=(s, data["back"]))
            sender.start()
            read(s, "there")
            sender.join()

    serving = threading.Thread(target=serve)
    serving.start()
    with listener, client.connect(source, address, listener.getsockname()[1]) as s:
        sender = threading.Thread(target=send, args=(s, data["there"]))
        sender.start()
        read(s, "back")
        sender.join()
        serving.join()
    return {side: (size, digest(d)) for side, d in data.items()}, came


class Normal(case.Case):
    SENSOR = {"workers": 1}

    @classmethod
    def prepare(cls):
        servers.need("curl", "dig", "ssh")
        cls.root, cls.cert = servers.nginx(cls.network.dmz, cls.folder)
        cls.site, _ = servers.nginx(cls.network.outside, cls.folder)
        texts = {"big.example.com": ["t%02d" % n + "x" * 200 for n in range(12)], "small.example.com": ["v=spf1 -all"]}
        servers.dnsmasq(cls.network.dmz, cls.folder, WEB_SERVER, {"www.example.com": WEB_SERVER, "mail.example.com": MAIL_SERVER}, texts)
        cls.ssh = servers.sshd(cls.network.dmz, cls.folder)
        cls.big = NOISE.randbytes(BIG)
        for root in (cls.root, cls.site):
            for name, data in (("big", cls.big), ("page.txt", b"the union of workers selects a table\n" * 3000), ("empty", b"")):
                with open(os.path.join(root, name), "wb") as f:
                    f.write(data)

    def fetch(self, host, url, *options):
        out = self.path("fetched-%s" % digest(repr((host.name, url, options)).encode()))
        host.run("curl", "-sS", "-f", "--max-time", "30", "-o", out, *options, url)
        with open(out, "rb") as f:
            return f.read()

    def served(self, name):
        with open(os.path.join(self.root, name), "rb") as f:
            return f.read()

    def test_http_arrives_byte_for_byte(self):
        outside, desk = self.network.outside, self.network.inside
        self.assertEqual(digest(self.fetch(outside, "http://%s/big" % WEB_SERVER)), digest(self.big))
        self.assertEqual(digest(self.fetch(desk, "http://%s/big" % OUTSIDE)), digest(self.big))
        self.assertEqual(digest(self.fetch(outside, "http://[%s]/big" % WEB_SERVER6, "-g")), digest(self.big))
        self.assertEqual(self.fetch(outside, "http://%s/page.txt" % WEB_SERVER, "--compressed"), self.served("page.txt"))
        self.assertEqual(self.fetch(outside, "http://%s/big" % WEB_SERVER, "-r", "1000-5000"), self.big[1000:5001])

    def test_many_fetches_at_a_time_arrive(self):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            got = list(pool.map(lambda n: self.fetch(self.network.outside, "http://%s/page.txt?%d" % (WEB_SERVER, n)), range(24)))
        self.assertEqual({digest(g) for g in got}, {digest(self.served("page.txt"))})

    def test_tls_arrives_byte_for_byte(self):
        name = ["--cacert", self.cert, "--resolve", "www.example.com:443:" + WEB_SERVER]
        for version in (["--tls-max", "1.2"], ["--tlsv1.3"]):
            self.assertEqual(digest(self.fetch(self.network.outside, "https://www.example.com/big", *name, *version)), digest(self.big))
        if self.sensor:
            self.sensor.wait_record("tls", dest_ip=WEB_SERVER)

    def test_names_are_found_over_udp_and_tcp(self):
        def dig(*arguments):
            return self.network.outside.run("dig", "@" + WEB_SERVER, "-b", OUTSIDE, "+time=5", "+tries=1", "+short", *arguments).stdout.decode()

        self.assertEqual(dig("www.example.com").strip(), WEB_SERVER)
        self.assertEqual(dig("+tcp", "mail.example.com").strip(), MAIL_SERVER)
        self.assertIn("spf1", dig("small.example.com", "TXT"))
        self.assertEqual(dig("big.example.com", "TXT").count("xxxx"), dig("+tcp", "big.example.com", "TXT").count("xxxx"))
        if self.sensor:
            self.sensor.wait_record("dns", dest_ip=WEB_SERVER)

    def test_ssh_commands_and_copies_work(self):
        outside = self.network.outside
        done = outside.run("ssh", *self.ssh, "root@" + WEB_SERVER, "echo sekisho; cat", stdin=None, input=b"through the barrier\n", check=False)
        self.assertEqual(done.stdout, b"sekisho\nthrough the barrier\n", done)
        data = NOISE.randbytes(4 << 20)
        outside.run("scp", *self.ssh, self.file("letter", data), "root@%s:%s" % (WEB_SERVER, self.path("arrived")))
        outside.run("scp", *self.ssh, "root@%s:%s" % (WEB_SERVER, self.path("arrived")), self.path("returned"))
        for name in ("arrived", "returned"):
            with open(self.path(name), "rb") as f:
                self.assertEqual(digest(f.read()), digest(data), name)

    def test_bulk_data_arrives_both_ways_at_once(self):
        for source, address in ((OUTSIDE, WEB_SERVER), (DESK, OUTSIDE), (OUTSIDE6, WEB_SERVER6), (DESK6, OUTSIDE6)):
            with self.subTest("%s to %s" % (source, address)):
                sent, came = bulk(self.network, source, address, BIG, source)
                self.assertEqual(came, sent)

    def test_bulk_sessions_at_a_time_arrive(self):
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            done = list(pool.map(lambda n: bulk(self.network, OUTSIDE, WEB_SERVER, 1 << 20, n), range(12)))
        for sent, came in done:
            self.assertEqual(came, sent)

    def test_pings_of_any_size_come_back(self):
        for source, address in ((OUTSIDE, WEB_SERVER), (DESK, OUTSIDE), (OUTSIDE6, WEB_SERVER6)):
            for size in (0, 56, 1400, 1472, 9000, 60000):
                with self.subTest("%s, %d bytes" % (address, size)):
                    self.assertTrue(self.network.reaches(source, address, size))

    def test_large_datagrams_come_whole_though_they_travel_in_fragments(self):
        for source, address in ((OUTSIDE, WEB_SERVER), (OUTSIDE6, WEB_SERVER6), (DESK, OUTSIDE)):
            client, server = self.network.host_of(source), self.network.host_of(address)
            with server.listen(address, 5000, socket.SOCK_DGRAM) as there, client.listen(source, 5001, socket.SOCK_DGRAM) as here:
                there.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
                for size in (1, 1472, 1473, 3000, 8000, 60000):
                    with self.subTest("%s, %d bytes" % (address, size)):
                        data = NOISE.randbytes(size)
                        here.sendto(data, (address, 5000))
                        got, sender = there.recvfrom(65536)
                        self.assertEqual(digest(got), digest(data))
                        there.sendto(got[::-1], sender)
                        self.assertEqual(digest(here.recv(65536)), digest(data[::-1]))


class TwoWorkers(Normal):
    """Two queues a port, two workers; which queue a packet comes by is not the sensor's choice."""

    QUEUES = 2
    SENSOR = {"workers": 2}
    test_ssh_commands_and_copies_work = test_names_are_found_over_udp_and_tcp = None  # one session each

    def test_datagrams_of_a_flow_stay_in_order(self):
        rounds, flows, came, synced = 3000, 8, {}, set()
        there = self.network.dmz.listen(WEB_SERVER, 5000, socket.SOCK_DGRAM)
        there.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        senders = [self.network.outside.listen(OUTSIDE, 0, socket.SOCK_DGRAM) for _ in range(flows)]

        def read():
            with contextlib.suppress(OSError):
                while rounds not in synced:
                    word, _, number = (packet := there.recvfrom(100))[0].partition(b" ")
                    if word == b"sync":
                        synced.add(int(number))
                    else:
                        came.setdefault(packet[1], []).append(int(number))

        def sync(number):
            """Waits until what was sent has come, whatever was lost of it: order is asked for here, not speed."""
            def arrived():
                senders[0].sendto(b"sync %d" % number, (WEB_SERVER, 5000))
                return number in synced
            lab.wait_for(arrived, "a datagram to arrive")

        with there, contextlib.ExitStack() as files:
            reader = threading.Thread(target=read)
            reader.start()
            for s in senders:
                files.enter_context(s)
            for n in range(rounds):
                for s in senders:
                    s.sendto(b"data %d" % n, (WEB_SERVER, 5000))
                if n % 25 == 24:
                    sync(n)
            sync(rounds)
            reader.join()
        for flow, numbers in came.items():
            self.assertEqual(numbers, sorted(set(numbers)), flow)
        self.assertEqual(len(came), flows)
        self.assertGreater(sum(map(len, came.values())), rounds * flows * 0.9)


if __name__ == "__main__":
    unittest.main()
