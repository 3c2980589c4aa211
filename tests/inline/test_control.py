# SPDX-License-Identifier: BSD-3-Clause
"""A running sensor is asked and told by its control socket, and read by Prometheus."""
import json
import os
import pwd
import socket
import unittest

import case
from lab import OUTSIDE, OUTSIDE2, WEB_SERVER, wait_for
from sensor import sanitized

RULES = 'alert udp any any -> any 5000 (msg:"a word"; content:"rotbart"; sid:1;)\n'
MORE = RULES + 'alert udp any any -> any 5000 (msg:"another"; content:"barbarossa"; sid:2;)\n'
WRONG = 'alert udp any any -> any any (msg:"x"; nonsense; sid:9;)\n'
METRICS = "127.0.0.1:9150"


class Control(case.Case):
    SENSOR = None

    def setUp(self):
        self.rules = self.file("test.rules", RULES)
        self.socket = self.path("control.sock")
        self.sensor = self.new_sensor(rules=self.rules, workers=2, options=[
            ("control.socket", self.socket), ("metrics.listen", METRICS), ("records.types", "alert"), ("records.types", "stats")])
        self.addCleanup(self.sensor.close)
        self.sensor.start()
        self.network.wait_path()

    QUEUES = 2

    def ctl(self, *arguments, code=0):
        done = self.network.box.run(self.sensor.program, "ctl", "-s", self.socket, *arguments, check=False)
        self.assertEqual(done.returncode, code, done.stdout)
        return done.stdout.decode()

    def ask(self, *arguments):
        return json.loads(self.ctl("--json", *arguments))

    def say(self, words, times=1):
        with self.network.dmz.listen(WEB_SERVER, 5000, socket.SOCK_DGRAM) as there, \
                self.network.outside.listen(OUTSIDE, 0, socket.SOCK_DGRAM) as here:
            for _ in range(times):
                here.sendto(words, (WEB_SERVER, 5000))
                there.recv(1000)

    def test_status_and_stats_say_where_it_stands(self):
        self.assertIn("1 loaded", self.ctl("status"))
        self.assertEqual(self.ask("status")["rules"]["loaded"], 1)
        self.say(b"nothing", 50)
        stats = wait_for(lambda: (s := self.ask("stats"))["stats"]["decoder"]["udp"] >= 50 and s, "the datagrams to be counted")
        self.assertTrue(stats["jsig"]["packets"]["balanced"])
        self.assertIn('"decoder"', self.ctl("stats"))

    def test_the_largest_flow_comes_first(self):
        self.say(b"x" * 900, 40)
        flows = self.ask("flows", "3")["flows"]
        self.assertEqual((flows[0]["client"], flows[0]["server"], flows[0]["server_port"]), (OUTSIDE, WEB_SERVER, 5000))
        self.assertGreaterEqual(flows[0]["bytes_to_server"], 40 * 900)
        self.assertIn(WEB_SERVER, self.ctl("flows"))

    def test_a_profile_names_the_rule_that_costs(self):
        self.assertEqual(self.ask("profile", "on")["workers"], 2)
        self.say(b"rotbart", 20)
        rules = self.ask("profile")["rules"]
        self.assertEqual((rules[0]["sid"], rules[0]["matches"]), (1, 20))
        self.assertIn("a word", self.ctl("profile"))
        self.ctl("profile", "off")
        self.assertFalse(self.ask("profile")["measuring"])

    def arrives(self, words):
        """Whether a datagram comes through; one that may pass is sent after it from another address."""
        with self.network.dmz.listen(WEB_SERVER, 5000, socket.SOCK_DGRAM) as there, \
                self.network.outside.listen(OUTSIDE, 0, socket.SOCK_DGRAM) as here, \
                self.network.outside.listen(OUTSIDE2, 0, socket.SOCK_DGRAM) as other:
            here.sendto(words, (WEB_SERVER, 5000))
            got = [there.recv(100)] if self.free else []
            wait_for(lambda: other.sendto(b"end", (WEB_SERVER, 5000)) and there.recv(100) == b"end", "the other's")
            return words in got

    free = True

    def test_who_is_blocked_gets_nothing_through_until_unblocked(self):
        self.assertTrue(self.arrives(b"before"))
        self.ctl("block", OUTSIDE + "/32", "3600")
        self.assertIn(OUTSIDE, self.ctl("hosts"))
        self.assertLessEqual(self.ask("hosts")["hosts"][0]["seconds_left"], 3600)
        blocked = self.ask("stats")["stats"]["ips"]["drop_reason"]["blocklist"]
        self.free = False
        self.arrives(b"meanwhile")
        wait_for(lambda: self.ask("stats")["stats"]["ips"]["drop_reason"]["blocklist"] > blocked, "the drop to be counted")
        self.ctl("unblock", OUTSIDE)
        self.free = True
        self.assertTrue(self.arrives(b"after"))
        self.ctl("unblock", OUTSIDE, code=1)
        self.ctl("block", "nowhere", code=1)

    def test_reload_waits_and_says_how_it_went(self):
        self.file("test.rules", MORE)
        self.assertIn("2 rules", self.ctl("reload"))
        self.say(b"barbarossa")
        self.sensor.wait_record("alert", "the new rule")
        self.file("test.rules", WRONG)
        self.assertIn("nonsense", self.ctl("reload", code=1))
        self.assertEqual(self.ask("status")["rules"]["loaded"], 2)

    def test_what_is_wrong_is_refused_and_harms_nothing(self):
        self.ctl("dance", code=1)
        self.ctl("flows", "many", code=2)
        self.ctl(code=2)
        with self.network.box.inside():
            for words in (b"\n", b"[1,2]\n", b"{" * 5000, b'{"command": 7}\n', b'{"command": "flows", "count": -3}\n'):
                s = socket.socket(socket.AF_UNIX)
                s.connect(self.socket)
                s.sendall(words)
                answer = json.loads(s.recv(4096))
                self.assertFalse(answer["ok"], words)
                s.close()
            idle = [socket.socket(socket.AF_UNIX) for _ in range(40)]  # more than there are places for
            for s in idle:
                s.connect(self.socket)
            for s in idle:
                s.close()
        wait_for(lambda: self.network.box.run(self.sensor.program, "ctl", "-s", self.socket, "status", check=False).returncode == 0,
                 "an answer after many idle clients")

    def test_nobody_answers_where_no_sensor_runs(self):
        self.assertIn("no sensor runs", self.network.box.run(self.sensor.program, "ctl", "-s", self.path("none"), "status",
                                                             check=False).stdout.decode())

    def test_prometheus_reads_the_counters(self):
        self.say(b"rotbart", 5)
        text = self.network.box.run("curl", "-sS", "-f", "http://%s/metrics" % METRICS).stdout.decode()
        values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        self.assertGreaterEqual(int(values["sekisho_detect_alert"]), 5)
        self.assertGreaterEqual(int(values['sekisho_packets{what="received"}']), 5)
        self.assertEqual(values["sekisho_accounts_balanced"], "1")
        self.assertEqual(values['sekisho_dropped{reason="rules"}'], "0")
        self.assertNotEqual(self.network.box.run("curl", "-sS", "-f", "http://%s/other" % METRICS, check=False).returncode, 0)

    def test_it_runs_as_its_own_user_and_ends_in_order(self):
        self.sensor.stop()
        sensor = self.new_sensor(rules=self.rules, options=[("user", "nobody"), ("control.socket", self.socket),
                                                            ("records.types", "alert")])
        self.addCleanup(sensor.close)
        os.chmod(sensor.folder, 0o777)
        sensor.start()
        self.network.wait_path()
        with open("/proc/%d/status" % sensor.process.pid, encoding="ascii") as f:
            words = dict(line.split(":", 1) for line in f)
        self.assertEqual(set(words["Uid"].split()), {str(pwd.getpwnam("nobody").pw_uid)})
        if not sanitized():
            self.assertEqual(words["Seccomp"].strip(), "2")
        self.say(b"rotbart")
        sensor.wait_record("alert", dest_ip=WEB_SERVER)
        self.assertEqual(self.ask("status")["rules"]["loaded"], 1)
        sensor.stop()
        if case.BACKEND == "nfq":
            for program in ("iptables-save", "iptables-legacy-save"):
                self.assertNotIn(b"NFQUEUE", self.network.box.run(program, check=False).stdout)

    def test_shutdown_ends_it_in_order(self):
        self.ctl("shutdown")
        self.assertEqual(self.sensor.process.wait(20), 0)
        self.sensor.check_words()


if __name__ == "__main__":
    unittest.main()
