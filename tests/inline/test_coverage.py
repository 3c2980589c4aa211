# SPDX-License-Identifier: BSD-3-Clause
"""What the sensor says of its own coverage: a chain of records that add up, and in which every gap and every change shows."""
import hashlib
import json
import os
import socket
import subprocess
import unittest

import case
from lab import OUTSIDE, WEB_SERVER, wait_for

RULES = 'alert udp any any -> any 5000 (msg:"a word"; content:"rotbart"; sid:1;)\n'
MORE = RULES + 'alert udp any any -> any 5000 (msg:"another"; content:"barbarossa"; sid:2;)\n'


class Coverage(case.Case):
    SENSOR = None

    def setUp(self):
        self.rules = self.file("test.rules", RULES)
        self.socket = self.path("control.sock")
        self.sensor = self.new_sensor(rules=self.rules, options=[
            ("control.socket", self.socket), ("records.coverage-interval", "200ms"),
            *(("records.types", t) for t in ("alert", "coverage", "stats"))])
        if os.path.exists(self.sensor.eve):
            os.unlink(self.sensor.eve)
        self.addCleanup(self.sensor.close)
        self.sensor.start()
        self.network.wait_path()

    def lines(self):
        with open(self.sensor.eve) as f:
            return [line for line in f.read().split("\n")[:-1] if '"event_type":"coverage"' in line]

    def chain(self):
        return [json.loads(line)["coverage"] for line in self.lines()]

    def say(self, times):
        with self.network.dmz.listen(WEB_SERVER, 5000, socket.SOCK_DGRAM) as there, \
                self.network.outside.listen(OUTSIDE, 0, socket.SOCK_DGRAM) as here:
            for _ in range(times):
                here.sendto(b"good morning", (WEB_SERVER, 5000))
                there.recv(1000)

    def verify(self, *files):
        """Exit status and report of `sekisho-soc verify`."""
        program = os.path.join(os.path.dirname(self.sensor.program), "..", "soc", "sekisho-soc")
        done = subprocess.run([program, "verify", "--json", *files], stdout=subprocess.PIPE)
        return done.returncode, json.loads(done.stdout)

    def test_records_are_chained_and_add_up_to_what_the_sensor_counted(self):
        self.say(300)
        wait_for(lambda: len(self.chain()) >= 4, "four intervals")
        with open(self.rules, "w") as f:
            f.write(MORE)
        self.network.box.run(self.sensor.program, "ctl", "-s", self.socket, "reload")
        wait_for(lambda: self.chain()[-1]["rules"]["loaded"] == 2, "the new rules in the chain")
        self.say(50)
        counted = self.sensor.stop()
        lines, chain = self.lines(), self.chain()
        self.assertEqual(chain[0]["previous"], "0" * 64)
        for before, line, after in zip(chain, lines, chain[1:]):
            self.assertEqual(after["previous"], hashlib.sha256(line.encode()).hexdigest())
            self.assertEqual((after["number"], after["from"], after["boot"]), (before["number"] + 1, before["until"], before["boot"]))
        self.assertEqual([c.get("last", False) for c in chain], [False] * (len(chain) - 1) + [True])
        sums = {k: sum(c["packets"][k] for c in chain) for k in chain[0]["packets"]}
        self.assertEqual(sums["seen"], sums["inspected"] + sums["bypassed"] + sums["refused"] + sums["lost"])
        stats = self.sensor.records("stats")[-1]["jsig"]["packets"]
        # what the ports let pass while no worker ran may have grown after the last stats record
        passed_by = sums["bypassed"] - stats["bypassed"]
        self.assertGreaterEqual(passed_by, 0)
        self.assertEqual((sums["forwarded"] - passed_by, sums["dropped"]), (stats["forwarded"] + stats["bypassed"], stats["dropped"]))
        self.assertGreaterEqual(sums["inspected"], 350)
        self.assertEqual(sums["inspected"], counted["received"] - counted["bypassed"])
        # the rules are told by what they are, the policy did not change
        self.assertEqual(len({c["rules"]["sha256"] for c in chain}), 2)
        self.assertEqual(len({c["policy"]["sha256"] for c in chain}), 1)
        code, report = self.verify(self.sensor.eve)
        self.assertEqual((code, report["whole"], report["problem_count"]), (0, True, 0), report)
        self.assertEqual(report["packets"]["seen"], sums["seen"])

    def test_what_is_missing_or_changed_shows(self):
        self.say(100)
        wait_for(lambda: len(self.chain()) >= 4, "four intervals")
        self.sensor.stop()
        lines = self.lines()
        for name, wrong, kind in (("missing", lines[:1] + lines[2:], "missing"),
                                  ("changed", [lines[0], lines[1].replace('"lost":0', '"lost":1')] + lines[2:], "changed")):
            path = self.file(name + ".json", "".join(line + "\n" for line in wrong))
            code, report = self.verify(path)
            self.assertEqual((code, report["whole"]), (1, False))
            self.assertIn((kind, 2), [(p["kind"], p["number"]) for p in report["problems"]])

    def test_a_sensor_that_was_killed_shows(self):
        wait_for(lambda: len(self.chain()) >= 2, "two intervals")
        self.sensor.kill()
        self.sensor.start()
        self.network.wait_path()
        wait_for(lambda: len({c["boot"] for c in self.chain()}) == 2, "the next run's first record")
        self.sensor.stop()
        code, report = self.verify(self.sensor.eve)
        self.assertEqual(code, 1)
        self.assertEqual([p["kind"] for p in report["problems"]], ["cut"])
        self.assertEqual([r["ended"] for r in report["runs"]], [False, True])


if __name__ == "__main__":
    unittest.main()
