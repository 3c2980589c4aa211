# SPDX-License-Identifier: BSD-3-Clause
"""Memory, disk and rules under load: the policy is followed, the counters add up, nothing grows beyond its limit."""
import contextlib
import os
import random
import signal
import socket
import subprocess
import threading
import unittest

import case
import lab
from lab import OUTSIDE, WEB_SERVER, wait_for
from sensor import sanitized
from traffic import packets

RULES = """\
drop udp any any -> any 5000 (msg:"the word"; content:"barbarossa"; sid:1; rev:1;)
alert udp any any -> any 5000 (msg:"noted"; content:"note this"; sid:2; rev:1;)
"""
MORE_RULES = RULES + 'drop udp any any -> any 5000 (msg:"another word"; content:"rotbart"; sid:3; rev:1;)\n'
BAD_RULES = RULES + 'drop udp any any -> any 5000 (msg:"no option"; kontent:"x"; sid:4; rev:1;)\n'
SPOOFED = "100.64.0.0/10"
FLOOD = 30000
OTHERS = 100  # what hosts say by themselves beside the flood
WAVE = 100  # SYNs in flight at a time: more than any of the kernel's queues on the way has room for would be lost in them
FLOW_MEMORY = 1 << 20
MAY_GROW = 16 << 20  # beside flows: records in flight, a stack touched for the first time
TYPES = [("records.types", t) for t in ("alert", "drop", "stats")]


class Flood(case.Case):
    """SYNs from sources that do not exist, more than the flow table has room for."""

    SENSOR = None

    def setUp(self):
        self.random = random.Random(5)
        with contextlib.suppress(lab.Missing):
            self.network.dmz.ip("route add blackhole " + SPOOFED)  # whom the server would answer

    def flood(self, count, between):
        """Sends that many; after each wave between() waits until it has been judged."""
        with self.network.outside.new_socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
            for n in range(count):
                source = "100.%d.%d.%d" % (64 + self.random.randrange(64), self.random.randrange(256), self.random.randrange(1, 255))
                s.sendto(packets.ip(source, WEB_SERVER, packets.TCP, packets.tcp(
                    source, WEB_SERVER, 1024 + self.random.randrange(60000), 81, self.random.randrange(1 << 32), 0, packets.SYN),
                    ident=n & 0xFFFF), (WEB_SERVER, 0))
                if n % WAVE == WAVE - 1:
                    between()

    def syns(self, watch):
        return sum(1 for f in watch.frames if (p := lab.ip_of(f)) and p[0] == 0x45 and p[9] == packets.TCP and p[12] == 100)

    def flooded(self, policy):
        """Runs the flood against a sensor with that policy; returns what came through and the sensor's count."""
        sensor = self.new_sensor(rules=self.file("test.rules", RULES), options=TYPES + [
            ("flow.memcap", FLOW_MEMORY), ("flow.hash-size", 1024), ("flow.memcap-policy", policy)])
        self.addCleanup(sensor.close)
        sensor.start()
        self.network.wait_path()
        watch = self.network.watch(self.network.dmz)
        with self.network.dmz.listen(WEB_SERVER, 0) as listener, \
                self.network.outside.connect(OUTSIDE, WEB_SERVER, listener.getsockname()[1]) as here, listener.accept()[0] as there:
            here.sendall(b"before")
            self.assertEqual(there.recv(100), b"before")
            before = sensor.memory()
            there.settimeout(lab.WAIT_S)

            def talk():
                # A session that is known already lives on.
                here.sendall(b"still?")
                self.assertEqual(there.recv(100), b"still?")
                there.sendall(b"indeed")
                self.assertEqual(here.recv(100), b"indeed")
            self.flood(FLOOD, talk)
            # What the capture has read this far, it has read all before it.
            here.sendall(b"the very last")
            wait_for(lambda: any(b"the very last" in f for f in list(watch.frames)[-100:]), "the capture to come to the end")
            if not sanitized():  # those keep what was freed
                self.assertLess(sensor.memory() - before, MAY_GROW)
        self.assertEqual(watch.lost(), 0)
        came = self.syns(watch)
        watch.close()
        counted = sensor.stop()
        self.assertGreaterEqual(counted["received"], FLOOD)
        return came, counted

    def test_the_policy_that_passes_lets_all_of_it_through(self):
        came, counted = self.flooded("pass-packet")
        self.assertEqual(came, FLOOD)
        self.assertEqual(counted["dropped"], 0)

    def test_the_policy_that_drops_lets_through_what_the_table_holds(self):
        came, counted = self.flooded("drop-packet")
        self.assertLess(came, FLOW_MEMORY / 64)
        self.assertGreater(came, 100)
        self.assertGreaterEqual(counted["dropped"], FLOOD - came)
        self.assertLess(counted["dropped"], FLOOD - came + OTHERS)


class Disk(case.Case):
    """A full disk under the records: the traffic does not care."""

    SENSOR = None

    @classmethod
    def prepare(cls):
        cls.disk = cls.path("disk")
        os.makedirs(cls.disk)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "disk", cls.disk], check=True)
        cls.addClassCleanup(subprocess.run, ["umount", "-l", cls.disk])

    def say(self, words):
        """Sends a datagram to the DMZ server and one after it; whether the first one arrived."""
        with self.network.dmz.listen(WEB_SERVER, 5000, socket.SOCK_DGRAM) as there, \
                self.network.outside.listen(OUTSIDE, 0, socket.SOCK_DGRAM) as here:
            here.sendto(words, (WEB_SERVER, 5000))
            here.sendto(b"end", (WEB_SERVER, 5000))
            got = []
            while b"end" not in got:
                got.append(there.recv(2000))
        return words in got

    def test_the_sensor_goes_on_and_writes_again_when_there_is_room(self):
        sensor = self.new_sensor(rules=self.file("test.rules", RULES), options=TYPES)
        sensor.folder = self.disk
        sensor.eve = os.path.join(self.disk, "eve.json")
        sensor.start()
        self.network.wait_path()
        filler = os.path.join(self.disk, "filler")
        with open(filler, "wb", buffering=0) as f, contextlib.suppress(OSError):
            while f.write(bytes(4096)):
                pass
        for n in range(200):
            self.assertTrue(self.say(b"note this %d" % n))
        self.assertFalse(self.say(b"barbarossa while the disk is full"))
        wait_for(lambda: "No space left" in sensor.words() or "full" in sensor.words(), "words about the disk")
        self.assertTrue(sensor.running())
        os.unlink(filler)

        def written():
            self.say(b"note this again")
            with contextlib.suppress(OSError), open(sensor.eve, "rb") as f:
                return f.read().rstrip(b"\n").endswith(b"}") and os.path.getsize(sensor.eve) > 0 and b"noted" in open(sensor.eve, "rb").read()
            return False
        wait_for(written, "records to be written again")
        sensor.stop(code=None)
        self.assertGreaterEqual(sensor.process.returncode, 0)


class Reload(case.Case):
    """New rules under load: not one packet is lost, none passes uninspected, a bad file changes nothing."""

    SENSOR = None
    RATE_PAUSE_S = 0.0005

    def setUp(self):
        self.rules = self.file("test.rules", RULES)
        self.sensor = self.new_sensor(rules=self.rules, options=TYPES + [("records.drop-flows", "start")])
        self.addCleanup(self.sensor.close)
        self.sensor.start()
        self.network.wait_path()

    def reload(self, text):
        """Puts a rule file in place and asks for it; returns the sensor's words about it."""
        self.file("test.rules", text)
        at = os.path.getsize(self.sensor.log)
        self.sensor.signal(signal.SIGHUP)
        wait_for(lambda: "reload" in self.sensor.words(at) or not self.sensor.running(), "words about the reload")
        self.assertTrue(self.sensor.running(), self.sensor.words(at))
        return self.sensor.words(at)

    @contextlib.contextmanager
    def load(self):
        """Datagrams by number, every tenth one with the word: gives the numbers sent and those that arrived, at the end."""
        sent, came, stop = [], [], threading.Event()
        there = self.network.dmz.listen(WEB_SERVER, 5000, socket.SOCK_DGRAM)
        there.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)
        here = self.network.outside.listen(OUTSIDE, 0, socket.SOCK_DGRAM)

        def send():
            number = 0
            while not stop.wait(self.RATE_PAUSE_S):
                here.sendto(b"%d %s" % (number, b"barbarossa" if number % 10 == 0 else b"friend"), (WEB_SERVER, 5000))
                sent.append(number)
                number += 1
            here.sendto(b"-1 end", (WEB_SERVER, 5000))

        def read():
            while (number := int(there.recv(100).split()[0])) >= 0:
                came.append(number)

        threads = [threading.Thread(target=t) for t in (send, read)]
        for t in threads:
            t.start()
        try:
            yield sent, came
        finally:
            stop.set()
            for t in threads:
                t.join()
            here.close()
            there.close()

    def passes(self, words):
        with self.network.dmz.listen(WEB_SERVER, 5000, socket.SOCK_DGRAM) as there, \
                self.network.outside.listen(OUTSIDE, 0, socket.SOCK_DGRAM) as here:
            for w in (words, b"end"):
                here.sendto(w, (WEB_SERVER, 5000))
            got = []
            while b"end" not in got:
                got.append(there.recv(100))
        return words in got

    def test_reloads_under_load_lose_nothing_and_let_nothing_through(self):
        self.assertTrue(self.passes(b"rotbart"))
        with self.load() as (sent, came):
            wait_for(lambda: len(came) > 200, "the load")
            for text in (MORE_RULES, RULES, MORE_RULES):
                before = len(came)
                self.reload(text)
                wait_for(lambda: len(came) > before + 200, "the load to go on")
        self.assertEqual(came, [n for n in sent if n % 10])
        self.assertFalse(self.passes(b"rotbart"), "the new rule is not used")
        self.sensor.stop()

    def test_bad_rules_change_nothing_and_are_told(self):
        words = self.reload(BAD_RULES)
        self.assertIn("kontent", words)
        self.assertFalse(self.passes(b"barbarossa"))
        self.assertTrue(self.passes(b"rotbart"))
        self.reload(MORE_RULES)
        self.assertFalse(self.passes(b"rotbart"))
        self.sensor.stop()

    def test_a_rule_file_that_is_gone_changes_nothing_and_is_told(self):
        os.unlink(self.rules)
        at = os.path.getsize(self.sensor.log)
        self.sensor.signal(signal.SIGHUP)
        wait_for(lambda: "test.rules" in self.sensor.words(at), "words about the file")
        self.assertFalse(self.passes(b"barbarossa"))
        self.sensor.stop()


if __name__ == "__main__":
    unittest.main()
