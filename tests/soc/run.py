#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""sekisho-forward against a SOC that fails: every line arrives once, under one number, whatever is killed or cut.

usage: tests/soc/run.py [--forward PROGRAM] [--kills N] [CASE...]
"""
import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import fake_soc  # noqa: E402

FORWARD, KILLS = None, 100


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.keys = tempfile.mkdtemp(prefix="sekisho-soc-")
        fake_soc.make_certificates(cls.keys)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.keys)

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="sekisho-forward-")
        self.path = os.path.join(self.dir, "eve.json")
        self.soc = fake_soc.Soc(self.keys)
        self.process, self.number, self.said = None, 0, b""
        self.written = []

    def tearDown(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        self.soc.close()
        shutil.rmtree(self.dir)

    def start(self, inputs=None, **soc):
        options = {"interval": "10ms", "retry-min": "10ms", "retry-max": "50ms", "cursor-dir": self.dir + "/cursors",
                   "batch-size": "8kb", "certificate": self.keys + "/client.crt", "key": self.keys + "/client.key",
                   "ca": self.keys + "/ca.crt", "addresses": "[%s]" % self.soc.url}
        options.update({k.replace("_", "-"): v for k, v in soc.items()})
        with open(self.dir + "/forward.yaml", "w") as f:
            f.write("soc:\n" + "".join("  %s: %s\n" % o for o in options.items()))
            f.write("inputs:\n" + (inputs or "  - path: %s\n" % self.path))
        self.log = open(self.dir + "/log", "ab")
        self.process = subprocess.Popen([FORWARD, "-c", self.dir + "/forward.yaml"], stderr=self.log)

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        rc = self.process.wait(20)
        self.process = None
        self.log.close()
        return rc

    def write(self, count, end=b"\n"):
        with open(self.path, "ab") as f:
            for _ in range(count):
                self.number += 1
                line = b'{"n":%d,"pad":"%s"}' % (self.number, b"x" * random.randrange(200))
                self.written.append(line)
                f.write(line + end)

    def rotate(self):
        n = 1
        while os.path.exists("%s.%d" % (self.path, n)):
            n += 1
        for i in range(n, 0, -1):
            os.rename("%s.%d" % (self.path, i - 1) if i > 1 else self.path, "%s.%d" % (self.path, i))

    def wait(self, what, seconds=30):
        end = time.monotonic() + seconds
        while not what():
            self.assertLess(time.monotonic(), end, "it does not come: %d of %d lines, %s" % (
                len(self.soc.lines()), len(self.written), open(self.dir + "/log").read()[-800:]))
            time.sleep(0.02)

    def check_all(self):
        self.wait(lambda: len(self.soc.lines()) >= len(self.written))
        self.assertEqual(self.soc.lines(), self.written)
        self.assertEqual(self.soc.conflicts, [])
        self.assertEqual(len(self.soc.streams), 1)

    def test_lines_arrive_in_order_and_once(self):
        self.write(3000)
        self.start()
        self.check_all()
        self.write(10)
        self.check_all()
        self.assertEqual(self.stop(), 0)

    def test_partial_line_waits(self):
        self.write(2)
        self.write(1, end=b"")
        self.start()
        self.wait(lambda: len(self.soc.lines()) == 2)
        time.sleep(0.5)
        self.assertEqual(len(self.soc.lines()), 2)
        with open(self.path, "ab") as f:
            f.write(b"\n")
        self.check_all()

    def test_renamed_files_are_finished_in_order(self):
        self.start()
        for _ in range(4):
            self.write(300)
            self.rotate()
        self.write(50)
        self.check_all()

    def test_files_rotated_while_it_was_down(self):
        self.write(100)
        self.start()
        self.check_all()
        self.stop()
        for _ in range(3):
            self.write(70)
            self.rotate()
        self.write(5)
        self.start()
        self.check_all()

    def test_copytruncate(self):
        self.write(200)
        self.start()
        self.check_all()
        for _ in range(2):
            self.write(50)
            shutil.copy(self.path, "%s.%d" % (self.path, 2 - _))
            os.truncate(self.path, 0)
            self.write(7)
            self.check_all()

    def test_sigterm_flushes(self):
        self.start(interval="1h")
        time.sleep(0.3)
        self.write(40)
        self.assertEqual(self.stop(), 0)
        self.assertEqual(self.soc.lines(), self.written)

    def test_poisoned_line_is_skipped_alone(self):
        self.write(20)
        with open(self.path, "ab") as f:
            f.write(b"POISON\n")
        self.write(20)
        self.start()
        self.check_all()
        self.assertEqual([sorted(s) for s in self.soc.lost.values()], [[21]])

    def test_too_long_line_is_lost_alone(self):
        self.write(3)
        with open(self.path, "ab") as f:
            f.write(b"y" * (3 << 20) + b"\n")
        self.write(3)
        self.start()
        self.check_all()
        self.assertEqual([sorted(s) for s in self.soc.lost.values()], [[4]])

    def test_spool_limit_gives_up_the_oldest_and_says_so(self):
        self.soc.fault = lambda soc, head: soc.say(503)
        self.write(500)
        self.rotate()
        self.write(500)
        self.start(spool_max="20kb")
        time.sleep(2.5)
        self.soc.fault = None
        self.wait(lambda: self.soc.lines() and self.soc.lines()[-1] == self.written[-1])
        kept, lost = self.soc.lines(), set().union(*self.soc.lost.values())
        self.assertEqual(kept, self.written[len(lost):])
        self.assertEqual(lost, set(range(1, len(lost) + 1)))
        self.assertLessEqual(sum(map(len, kept)), 20 << 10)
        self.assertGreater(sum(map(len, kept)), 12 << 10)

    def test_soc_that_lost_its_store_gets_all_again(self):
        self.write(300)
        self.rotate()
        self.write(100)
        self.start()
        self.check_all()
        self.soc.streams.clear()
        self.write(1)
        self.check_all()

    def test_second_address_takes_over(self):
        self.write(50)
        self.start(addresses="['https://127.0.0.1:1', '%s']" % self.soc.url)
        self.check_all()

    def test_slow_down_is_obeyed(self):
        times = []

        def fault(soc, head):
            times.append(time.monotonic())
            return soc.say(429, {"Retry-After": "1"}) if len(times) == 1 else None
        self.soc.fault = fault
        self.write(5)
        self.start()
        self.check_all()
        self.assertGreaterEqual(times[1] - times[0], 0.95)

    def test_health_is_told(self):
        self.start(health="100ms")
        self.wait(lambda: len(self.soc.health) > 2)
        self.assertEqual(self.soc.health[-1]["program"], "sekisho-forward")

    def test_glob_follows_each_file(self):
        for name in "a", "b":
            for suffix in "", ".1":
                with open("%s/%s.log%s" % (self.dir, name, suffix), "w") as f:
                    f.write("%s%s\n" % (name, suffix))
        self.start("  - path: '%s/*.log*'\n    kind: log\n" % self.dir)
        self.wait(lambda: len(self.soc.lines()) == 4)
        self.assertEqual(sorted(map(sorted, (s.values() for s in self.soc.streams.values()))),
                         [[b"a", b"a.1"], [b"b", b"b.1"]])

    def test_two_of_one_folder_are_refused(self):
        self.start()
        self.wait(lambda: os.path.exists(self.dir + "/cursors/status.json"))
        second = subprocess.run([FORWARD, "-c", self.dir + "/forward.yaml"], stderr=subprocess.PIPE, timeout=20)
        self.assertEqual(second.returncode, 1)
        self.assertIn(b"another exporter", second.stderr)

    def test_killed_at_any_moment(self):
        self.soc.fault = fake_soc.Soc.random_fault
        for kill in range(KILLS):
            self.start()
            end = time.monotonic() + random.uniform(0.005, 0.12)
            while time.monotonic() < end:
                self.write(random.randrange(6))
                if random.random() < 0.05 and os.path.exists(self.path):
                    self.rotate()
                time.sleep(0.005)
            self.stop(signal.SIGKILL)
        self.soc.fault = None
        self.write(1)
        self.start()
        self.check_all()


def main():
    global FORWARD, KILLS
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--forward", default=os.path.join(HERE, "..", "..", "build", "tools", "sekisho-forward"))
    ap.add_argument("--kills", type=int, default=KILLS)
    ap.add_argument("cases", nargs="*")
    a = ap.parse_args()
    FORWARD, KILLS = os.path.abspath(a.forward), a.kills
    suite = unittest.TestLoader().loadTestsFromTestCase(Case)
    if a.cases:
        suite = unittest.TestSuite(t for t in suite if t._testMethodName.removeprefix("test_") in a.cases)
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    return 0 if result.wasSuccessful() and result.testsRun else 1


if __name__ == "__main__":
    sys.exit(main())
