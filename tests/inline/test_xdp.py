# SPDX-License-Identifier: BSD-3-Clause
"""What only AF_XDP has: the XDP program on the ports, flows that it forwards by itself, queues, and the ports' settings."""
import contextlib
import os
import signal
import socket
import threading
import time
import unittest

import case
import lab
from case import BACKEND
from lab import DESK, OUTSIDE, WEB_SERVER, wait_for
from test_normal import bulk

WORD, SHUNT = b"barbarossa", b"let it go"
RULES = """\
alert tcp any any -> any any (msg:"enough seen"; flow:established,to_server; content:"let it go"; bypass; sid:1; rev:1;)
drop tcp any any -> any any (msg:"the word"; flow:established; content:"barbarossa"; sid:2; rev:1;)
drop udp any any -> any 5000 (msg:"the word"; content:"barbarossa"; sid:3; rev:1;)
"""
TYPES = [("records.types", t) for t in ("alert", "drop", "stats")] + [("records.stats-interval", "1s")]
MEGABYTE = 1 << 20
FEW = 20  # frames that come before the first worker is there, or after the last one has gone


def setUpModule():
    if BACKEND != "afxdp":
        raise unittest.SkipTest("of AF_XDP")


class Xdp(case.Case):
    SENSOR = None

    def run_sensor(self, **options):
        options.setdefault("options", TYPES)
        sensor = self.new_sensor(rules=self.file("test.rules", RULES), **options).start()
        self.network.wait_path()
        return sensor

    def xdp_of(self, port):
        """How a program is on a port, as ip(8) tells it."""
        words = self.network.box.run("ip", "-d", "link", "show", port).stdout.decode()
        return [w for w in words.split() if w.startswith(("prog/", "xdp"))]

    def inspects(self):
        """Whether a datagram with the word is dropped while one before and one after it arrive."""
        with self.network.dmz.listen(WEB_SERVER, 5000, socket.SOCK_DGRAM) as there, \
                self.network.outside.listen(OUTSIDE, 0, socket.SOCK_DGRAM) as here:
            for words in (b"one", WORD, b"two"):
                here.sendto(words, (WEB_SERVER, 5000))
            got = []
            there.settimeout(1)
            with contextlib.suppress(TimeoutError):
                while b"two" not in got:
                    got.append(there.recv(100))
        return got == [b"one", b"two"]

    def bypassed(self, sensor):
        """What the program forwarded by itself, at both ports, as the last record of a sensor that has ended tells it."""
        return sum(port["bypassed"] for port in sensor.records("stats")[-1]["jsig"]["ports"])

    def check_bulk(self, sensor):
        for source, address in ((OUTSIDE, WEB_SERVER), (DESK, OUTSIDE)):
            sent, came = bulk(self.network, source, address, MEGABYTE, source)
            self.assertEqual(came, sent)
        wait_for(self.inspects, "inspection")
        sensor.stop()
        self.assertLess(self.bypassed(sensor), FEW)


class Shunted(Xdp):
    """A flow that a rule bypasses is forwarded by the XDP program."""

    def setUp(self):
        self.sensor = self.run_sensor()
        self.listener = self.network.dmz.listen(WEB_SERVER, 0)
        self.addCleanup(self.listener.close)

    def tearDown(self):
        self.sensor.close()
        self.sensor.check_words()

    def connect(self, port=0):
        """A session, as its two ends."""
        here = self.network.outside.new_socket()
        here.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Its ports can be used again at once after it is closed.
        here.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        here.bind((OUTSIDE, port))
        here.connect((WEB_SERVER, self.listener.getsockname()[1]))
        there = self.listener.accept()[0]
        there.settimeout(lab.WAIT_S)
        return here, there

    def arrives(self, sender, receiver, words):
        sender.sendall(words)
        got = b""
        with contextlib.suppress(TimeoutError):
            while len(got) < len(words):
                got += receiver.recv(1 << 16)
        return got == words

    def shunt(self, here, there):
        """Says what the rule waits for, and then goes on until the program has taken over."""
        self.assertTrue(self.arrives(here, there, SHUNT))
        self.assertTrue(self.arrives(there, here, b"gone"))
        self.sensor.wait_record("alert")

    def test_neither_direction_comes_to_the_sensor_any_more(self):
        here, there = self.connect()
        with here, there:
            self.shunt(here, there)
            # What would be dropped goes through, both ways.
            self.assertTrue(self.arrives(here, there, WORD))
            self.assertTrue(self.arrives(there, here, WORD))
            for n in range(200):
                self.assertTrue(self.arrives(here, there, b"%d" % n * 300))
        counted = self.sensor.stop()
        self.assertGreater(self.bypassed(self.sensor), 300)
        self.assertLess(counted["received"], 200)
        self.assertTrue(self.sensor.records("stats")[-1]["stats"]["flow_bypassed"]["shunted"])

    def test_a_flow_without_the_rule_is_not_shunted(self):
        here, there = self.connect()
        with here, there:
            for n in range(200):
                self.assertTrue(self.arrives(here, there, b"%d" % n * 300))
        self.sensor.stop()
        self.assertLess(self.bypassed(self.sensor), FEW)

    def test_the_next_connection_on_the_same_ports_is_inspected(self):
        here, there = self.connect()
        port = here.getsockname()[1]
        with here, there:
            self.shunt(here, there)
            self.assertTrue(self.arrives(here, there, WORD))
        here, there = self.connect(port)
        with here, there:
            there.settimeout(1)
            self.assertTrue(self.arrives(here, there, b"hello"))
            self.assertFalse(self.arrives(here, there, WORD))


class Queues(Xdp):
    """Every queue is served, whatever there are of queues and workers."""

    QUEUES = 4

    def test_one_worker_serves_them_all(self):
        sensor = self.run_sensor(workers=1)
        self.assertIn("4 queues", sensor.words())
        self.check_bulk(sensor)

    def test_two_workers_share_them(self):
        self.check_bulk(self.run_sensor(workers=2))

    def test_three_workers_have_one_each_and_one_of_them_two(self):
        self.check_bulk(self.run_sensor(workers=3))

    def test_generic_xdp_forwards_as_well(self):
        sensor = self.run_sensor(workers=2, options=TYPES + [("afxdp.mode", "generic")])
        self.assertIn("generic XDP", sensor.words())
        self.assertTrue(any("xdpgeneric" in w for w in self.xdp_of("s0")))
        self.check_bulk(sensor)

    def test_frames_of_four_kilobytes_hold_larger_mtus(self):
        for host, name in ((self.network.box, "s0"), (self.network.box, "s1"), (self.network.outside, "eth0"), (self.network.lan, "up0")):
            host.ip("link set %s mtu 3000" % name)
        try:
            refused = self.new_sensor(rules=self.file("test.rules", RULES)).start(ready=False)
            wait_for(lambda: not refused.running(), "the sensor to refuse")
            self.assertIn("s0: its MTU is 3000", refused.words())
            self.assertIn("4096", refused.words())
            self.check_bulk(self.run_sensor(options=TYPES + [("afxdp.frame-size", 4096)]))
        finally:
            for host, name in ((self.network.box, "s0"), (self.network.box, "s1"), (self.network.outside, "eth0"), (self.network.lan, "up0")):
                host.ip("link set %s mtu 1500" % name)


class Hanging(Xdp):
    """All that comes while the sensor hangs goes past it."""

    QUEUES = 2

    def test_every_ping_comes_back_and_the_rest_is_inspected_again(self):
        sensor = self.run_sensor(workers=2)
        sensor.signal(signal.SIGSTOP)
        wait_for(lambda: self.network.reaches(OUTSIDE, WEB_SERVER, seconds=0.05), "the way past")
        for n in range(50):
            self.assertTrue(self.network.reaches(OUTSIDE, WEB_SERVER, size=16 + n))
        sensor.signal(signal.SIGCONT)
        wait_for(self.inspects, "inspection to resume")
        sensor.stop()
        self.assertGreaterEqual(self.bypassed(sensor), 100)


class Settings(Xdp):
    """What the sensor changes on a port is as before when it has ended in good order."""

    QUEUES = 2

    def settings(self):
        words = self.network.box.run("ip", "-d", "link", "show", "s0").stdout.decode()
        features = self.network.box.run("ethtool", "-k", "s0").stdout.decode().splitlines()
        with self.network.box.inside():
            promiscuous = "PROMISC" in words.split(">")[0]
        return promiscuous, [f for f in features if f.startswith(("generic-receive-offload", "large-receive", "rx-vlan-offload"))]

    def test_also_after_one_that_died(self):
        before = self.settings()
        self.assertFalse(before[0])
        sensor = self.run_sensor()
        self.assertTrue(self.settings()[0], "frames for others must come in")
        self.assertIn("generic-receive-offload: off", self.settings()[1])
        sensor.kill()
        self.assertTrue(self.settings()[0], "also while the program forwards by itself")
        sensor.start()
        self.network.wait_path()
        sensor.stop()
        self.assertEqual(self.settings(), before)
        self.assertEqual(self.xdp_of("s0"), [])

    def test_the_port_that_is_left_when_the_other_has_gone(self):
        before = self.settings()
        sensor = self.run_sensor()
        self.network.unplug("s1")
        try:
            wait_for(lambda: "s1: the interface is gone" in sensor.words(), "words about s1")
            self.assertNotEqual(self.settings(), before)
            sensor.stop(code=None)
            self.assertEqual(self.settings(), before)
            self.assertEqual(self.xdp_of("s0"), [])
        finally:
            self.network.plug("s1")

    def test_a_second_sensor_is_refused_and_the_first_goes_on(self):
        first = self.run_sensor()
        second = self.new_sensor(rules=self.file("test.rules", RULES)).start(ready=False)
        wait_for(lambda: not second.running(), "the second sensor to give up")
        self.assertIn("another sensor has this port", second.words())
        wait_for(self.inspects, "inspection")
        first.stop()
        self.assertLess(self.bypassed(first), FEW)

    def test_more_workers_than_queues_are_refused_with_the_reason(self):
        sensor = self.new_sensor(rules=self.file("test.rules", RULES), workers=3).start(ready=False)
        wait_for(lambda: not sensor.running(), "the sensor to give up")
        self.assertIn("set workers to 2", sensor.words())
        self.assertEqual(self.xdp_of("s0"), [])

    def test_queues_that_the_driver_can_have_are_added_and_taken_away_again(self):
        def count():
            words = self.network.box.run("ethtool", "-l", "s0").stdout.decode().split("Current")[1]
            return [line.split()[1] for line in words.splitlines() if line.startswith(("RX:", "TX:"))]
        for port in ("s0", "s1"):
            host, name = self.network._leads_to(port)
            host.run("ethtool", "-L", name, "rx", 1, "tx", 1)
            self.network.box.run("ethtool", "-L", port, "rx", 1, "tx", 1)
        sensor = self.run_sensor(workers=2)
        self.assertIn("2 queues", sensor.words())
        self.check_bulk(sensor)
        self.assertEqual(count(), ["1", "1"])
        for port in ("s0", "s1"):
            self.network.box.run("ethtool", "-L", port, "rx", 2, "tx", 2)


class Pairs(Xdp):
    """Two wires through one sensor do not touch each other."""

    @classmethod
    def prepare(cls):
        cls.near, cls.far = lab.Host("near"), lab.Host("far")
        cls.network.hosts += [cls.near, cls.far]
        for host, port, address in ((cls.near, "s2", "192.0.2.1"), (cls.far, "s3", "192.0.2.2")):
            cls.network._link(cls.network.box, port, host, "eth0")
            cls.network._wire_end(host, "eth0")
            cls.network._wire_end(cls.network.box, port)
            host.ip("addr add %s/24 dev eth0" % address)

    def test_each_is_forwarded_and_inspected(self):
        sensor = self.run_sensor(options=TYPES + [("afxdp.ports", "s2"), ("afxdp.ports", "s3")])
        with self.far.listen("192.0.2.2", 0) as listener, self.near.connect("192.0.2.1", "192.0.2.2", listener.getsockname()[1]) as here:
            there = listener.accept()[0]
            with there:
                there.settimeout(1)
                for n in range(100):
                    here.sendall(b"%d" % n * 500)
                    there.recv(5000)
                here.sendall(WORD)
                with self.assertRaises(TimeoutError):
                    while there.recv(5000):
                        pass
        sensor.wait_record("drop", src_ip="192.0.2.1", in_iface="s2")
        self.check_bulk(sensor)
        ports = {p["name"]: p for p in sensor.records("stats")[-1]["jsig"]["ports"]}
        self.assertEqual(sorted(ports), ["s0", "s1", "s2", "s3"])
        for name in ports:
            self.assertGreater(ports[name]["rx_packets"], 100)

    def test_each_has_its_way_past_a_dead_sensor(self):
        sensor = self.run_sensor(options=TYPES + [("afxdp.ports", "s2"), ("afxdp.ports", "s3")])
        sensor.kill()
        self.assertTrue(self.network.reaches(OUTSIDE, WEB_SERVER))
        with self.far.listen("192.0.2.2", 0) as listener, self.near.connect("192.0.2.1", "192.0.2.2", listener.getsockname()[1]) as here:
            here.sendall(WORD)
            there = listener.accept()[0]
            with there:
                self.assertEqual(there.recv(100), WORD)
        sensor.start()
        self.network.wait_path()
        sensor.stop()
        for port in ("s0", "s1", "s2", "s3"):
            self.assertEqual(self.xdp_of(port), [])


class Lossless(Xdp):
    """What is under way at a time fits the rings: not one packet is lost, and all come in order."""

    COUNT, PAUSE = 20000, 64

    def test_datagrams_arrive_each_once_and_in_order(self):
        sensor = self.run_sensor()
        got = []
        with self.network.dmz.listen(WEB_SERVER, 5001, socket.SOCK_DGRAM) as there, \
                self.network.outside.listen(OUTSIDE, 0, socket.SOCK_DGRAM) as here:
            there.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
            there.settimeout(2)

            def read():
                with contextlib.suppress(TimeoutError):
                    while len(got) < self.COUNT:
                        got.append(int(there.recv(1500)[:8]))
            reader = threading.Thread(target=read)
            reader.start()
            for n in range(self.COUNT):
                here.sendto(b"%08d" % n + os.urandom(n % 1400), (WEB_SERVER, 5001))
                if n % self.PAUSE == 0:
                    time.sleep(0.001)
            reader.join()
        self.assertEqual(got, list(range(self.COUNT)))
        counted = sensor.stop()
        self.assertEqual(counted["dropped"], 0)
        self.assertEqual(counted["received"], counted["forwarded"])


if __name__ == "__main__":
    unittest.main()
