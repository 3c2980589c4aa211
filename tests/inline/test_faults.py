# SPDX-License-Identifier: BSD-3-Clause
"""What the traffic meets when something breaks: the sensor dies or hangs, a link goes down, a port disappears."""
import contextlib
import os
import signal
import socket
import time
import unittest

import case
import lab
from case import BACKEND
from lab import DESK, OUTSIDE, WEB_SERVER, wait_for

RULES = """\
drop tcp any any -> any any (msg:"the word"; flow:established,to_server; content:"barbarossa"; sid:1; rev:1;)
drop udp any any -> any 5000 (msg:"the word"; content:"barbarossa"; sid:2; rev:1;)
"""
OPENS_S = 1.0  # promised: the way is open, or shut, a second after the sensor stopped
PING_S = 0.05
FAIL_OPEN = {"afxdp": "afxdp.fail-open", "nfq": "nfq.fail-open"}


class Faults(case.Case):
    SENSOR = None

    def setUp(self):
        self.sensor = None

    def tearDown(self):
        if self.sensor:
            self.sensor.close()
            self.sensor.check_words()

    def run_sensor(self, fail_open=True, **options):
        sets = [(FAIL_OPEN[BACKEND], "yes" if fail_open else "no")] if BACKEND in FAIL_OPEN else []
        self.sensor = self.new_sensor(rules=self.file("test.rules", RULES), options=sets, **options).start()
        self.network.wait_path()
        return self.sensor

    def passes(self):
        return self.network.reaches(OUTSIDE, WEB_SERVER, seconds=PING_S)

    def takes(self, condition):
        start = time.monotonic()
        wait_for(condition, "the traffic")
        return time.monotonic() - start

    @contextlib.contextmanager
    def session(self, source=OUTSIDE, address=WEB_SERVER):
        """A session that is open already: gives a function that says something in both directions, and fails when it does not come."""
        with self.network.host_of(address).listen(address, 0) as listener, \
                self.network.host_of(source).connect(source, address, listener.getsockname()[1]) as here:
            there, _ = listener.accept()
            with there:
                there.settimeout(lab.WAIT_S)

                def say():
                    for a, b in ((here, there), (there, here)):
                        words = os.urandom(3000)
                        a.sendall(words)
                        got = b""
                        while len(got) < len(words):
                            part = b.recv(65536)
                            self.assertTrue(part, "the session was ended")
                            got += part
                        self.assertEqual(got, words)
                say()
                yield say

    def inspects(self):
        """Whether a datagram with the word is dropped while one before and one after it arrive."""
        with self.network.dmz.listen(WEB_SERVER, 5000, socket.SOCK_DGRAM) as there, \
                self.network.outside.listen(OUTSIDE, 0, socket.SOCK_DGRAM) as here:
            for words in (b"one", b"friedrich barbarossa", b"two"):
                here.sendto(words, (WEB_SERVER, 5000))
            got = []
            there.settimeout(1)
            with contextlib.suppress(TimeoutError):
                while b"two" not in got:
                    got.append(there.recv(100))
        return got == [b"one", b"two"]

    def check_open(self, stop, resume):
        self.run_sensor()
        wait_for(self.inspects, "inspection")
        with self.session() as say:
            stop()
            self.assertLess(self.takes(self.passes), OPENS_S)
            say()
            with self.session(DESK, OUTSIDE) as say_new:
                resume()
                wait_for(self.inspects, "inspection to resume")
                say()
                say_new()
        wait_for(self.inspects, "inspection")

    def check_shut(self, stop, resume):
        self.run_sensor(fail_open=False)
        with self.session() as say:
            stop()
            self.assertLess(self.takes(lambda: not self.passes()), OPENS_S)
            # It stays so: whatever comes now does not arrive. (The echo requests go on; none may come back.)
            until = time.monotonic() + 2 * OPENS_S
            while time.monotonic() < until:
                self.assertFalse(self.passes(), "it passed without a sensor")
            resume()
            wait_for(self.inspects, "inspection to resume")
            say()

    def stop_it(self):
        self.sensor.signal(signal.SIGSTOP)

    def go_on(self):
        self.sensor.signal(signal.SIGCONT)

    def kill_it(self):
        self.sensor.kill()

    def start_again(self):
        self.sensor.start()

    @unittest.skipIf(BACKEND == "dpdk", "the NIC is the process's: nothing stands behind it")
    def test_a_hanging_sensor_that_fails_open_is_passed_by(self):
        self.check_open(self.stop_it, self.go_on)

    @unittest.skipIf(BACKEND == "dpdk", "the NIC is the process's: nothing stands behind it")
    def test_a_killed_sensor_that_fails_open_is_passed_by(self):
        self.check_open(self.kill_it, self.start_again)

    def test_a_hanging_sensor_that_fails_closed_shuts_the_way(self):
        self.check_shut(self.stop_it, self.go_on)

    def test_a_killed_sensor_that_fails_closed_shuts_the_way(self):
        self.check_shut(self.kill_it, self.start_again)

    def test_a_sensor_that_is_restarted_in_good_order_keeps_open_sessions(self):
        self.run_sensor()
        with self.session() as say:
            self.sensor.stop()
            start = time.monotonic()
            self.sensor.start()
            wait_for(self.passes, "the traffic")
            print("(%.2f s)" % (time.monotonic() - start), end=" ", flush=True)
            say()
        wait_for(self.inspects, "inspection")
        self.sensor.stop()

    def test_a_link_that_goes_down_and_returns_is_used_again(self):
        self.run_sensor()
        for port in self.network.ports[:2]:
            with self.subTest(port), self.session() as say:
                self.network.link(port, False)
                self.assertFalse(self.passes())
                self.network.link(port, True)
                wait_for(self.passes, "the traffic")
                say()
                self.assertTrue(self.sensor.running())
                wait_for(self.inspects, "inspection")
        self.sensor.stop()

    def test_a_port_that_disappears_is_said_and_comes_back(self):
        self.run_sensor()
        port = self.network.ports[1]
        self.network.unplug(port)
        if BACKEND != "nfq":  # a router's ports are not the sensor's
            wait_for(lambda: port in self.sensor.words().split("running:")[-1] or not self.sensor.running(), "words about " + port)
        self.network.plug(port)
        if BACKEND != "nfq" and not self.ends_or_recovers():
            self.assertGreaterEqual(self.sensor.process.returncode, 0, "it died by a signal: " + self.sensor.words())
            self.sensor.start()
        wait_for(self.passes, "the traffic")
        wait_for(self.inspects, "inspection")

    def ends_or_recovers(self):
        """True when the sensor uses the port again by itself, False when it ended (for who watches it to start it again)."""
        wait_for(lambda: not self.sensor.running() or self.passes(), "the sensor to end or to use the port again")
        return self.sensor.running()


class Remains(case.Case):
    """A sensor that was there leaves nothing behind."""

    SENSOR = None

    def traces(self):
        box, found = self.network.box, []
        links = box.run("ip", "-d", "link", "show").stdout.decode()
        found += [line.strip() for line in links.splitlines() if "prog/xdp" in line or "xdpgeneric" in line]
        for program in ("iptables-legacy", "ip6tables-legacy", "iptables-nft", "ip6tables-nft"):
            done = box.run("sh", "-c", "command -v %s >/dev/null && %s -S" % (program, program), check=False)
            found += [line for line in done.stdout.decode().splitlines() if "NFQUEUE" in line or "sekisho" in line.lower()]
        for folder in (lab.RUN + "/bpf",):
            found += [os.path.join(path, n) for path, _, names in os.walk(folder) for n in names if not n.endswith(".debug")]
        return found

    def test_after_its_end_and_after_a_kill_and_a_restart(self):
        rules = self.file("test.rules", RULES)
        before = self.traces()
        sensor = self.new_sensor(rules=rules).start()
        self.network.wait_path()
        self.assertNotEqual((BACKEND, self.traces()), ("afxdp", before), "this test does not see the sensor's programs")
        sensor.stop()
        self.assertEqual(self.traces(), before)
        sensor.start()
        sensor.kill()
        sensor.start()
        self.network.wait_path()
        sensor.stop()
        self.assertEqual(self.traces(), before)

    def test_a_sensor_that_cannot_start_leaves_nothing_and_says_why(self):
        before = self.traces()
        wrong = {"afxdp": [("afxdp.ports", "nothere0"), ("afxdp.ports", "nothere1")], "dpdk": [("dpdk.ports", "nothere0"), ("dpdk.ports", "nothere1")],
                 "nfq": [("nfq.chains", "NOTHERE")]}[BACKEND]
        sensor = self.new_sensor(rules=self.file("test.rules", RULES), options=wrong).start(ready=False)
        wait_for(lambda: not sensor.running(), "the sensor to give up")
        self.assertGreater(sensor.process.returncode, 0)
        self.assertIn(wrong[0][1].lower(), sensor.words().lower())
        self.assertEqual(self.traces(), before)


if __name__ == "__main__":
    unittest.main()
