# SPDX-License-Identifier: BSD-3-Clause
"""eve.json: one JSON object a line, with the names and types that the trade's tools read."""
import json
import re

import harness
from traffic import attacks, harmless, packets, protocols

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[+-]\d{4}$")


class Records(harness.Case):
    def test_each_line_is_an_object_with_time_and_type(self):
        frames = attacks.build("sqli-answered") + harmless.build("browsing") + harmless.build("dns") + harmless.build("tls")
        outcome = self.replay(frames)
        with open(outcome.eve, "rb") as f:
            lines = f.read()
        self.assertTrue(lines.endswith(b"\n"))
        kinds = set()
        for line in lines.decode("utf-8").splitlines():
            record = json.loads(line)
            self.assertRegex(record["timestamp"], TIME)
            kinds.add(record["event_type"])
            if record["event_type"] != "stats":
                for key, kind in (("src_ip", str), ("dest_ip", str), ("proto", str)):
                    self.assertIsInstance(record[key], kind, record)
        self.assertLessEqual({"alert", "http", "dns", "tls", "flow", "fileinfo", "stats"}, kinds)

    def test_times_are_those_of_the_packets(self):
        record = self.replay(attacks.build("log4shell")).records("alert")[0]
        self.assertTrue(record["timestamp"].startswith("2023-11-14T22:13:20."), record["timestamp"])

    def test_an_alert(self):
        record = self.replay(attacks.build("sqli-union")).records("alert")[0]
        self.assertEqual((record["src_ip"], record["dest_ip"], record["dest_port"], record["proto"]),
                         (packets.OUTSIDE, packets.WEB_SERVER, 80, "TCP"))
        alert = record["alert"]
        self.assertEqual((alert["action"], alert["gid"], alert["signature_id"], alert["rev"], alert["severity"]),
                         ("allowed", 1, 9000001, 1, 1))
        self.assertEqual(alert["signature"], "JSIG SQL injection: UNION SELECT in the URI")
        self.assertEqual(alert["category"], "Web Application Attack")
        self.assertEqual(record["app_proto"], "http")
        self.assertEqual(record["http"]["hostname"], "www.example.com")
        self.assertIn("UNION", record["http"]["url"])
        self.assertEqual(record["http"]["http_method"], "GET")
        self.assertIsInstance(record["flow_id"], int)
        self.assertEqual(record["flow"]["src_ip"], packets.OUTSIDE)

    def test_http(self):
        record = self.replay(harmless.build("browsing")).records("http")[0]
        self.assertEqual(record["http"]["hostname"], "www.example.com")
        self.assertEqual(record["http"]["url"], "/articles/0/?from=home&sort=date")
        self.assertEqual(record["http"]["status"], 200)
        self.assertEqual(record["http"]["protocol"], "HTTP/1.1")
        self.assertEqual(record["http"]["http_user_agent"], protocols.BROWSER)

    def test_each_request_has_its_record_and_one_flow(self):
        outcome = self.replay(harmless.build("json-api"))
        self.assertEqual(len(outcome.records("http")), 5)
        flows = outcome.records("flow")
        self.assertEqual(len(flows), 2)
        self.assertEqual({r["flow_id"] for r in outcome.records("http")}, {r["flow_id"] for r in flows})

    def test_a_flow_counts_its_packets_and_bytes(self):
        frames = harmless.build("ssh")
        flow = self.replay(frames).records("flow")[0]
        self.assertEqual(flow["flow"]["pkts_toserver"] + flow["flow"]["pkts_toclient"], len(frames))
        self.assertEqual(flow["flow"]["bytes_toserver"] + flow["flow"]["bytes_toclient"], sum(len(f) for _, f in frames))
        self.assertEqual((flow["dest_port"], flow["proto"], flow["flow"]["state"]), (22, "TCP", "closed"))

    def test_a_file(self):
        files = self.replay(harmless.build("uploads")).records("fileinfo")
        cat = [f for f in files if f["fileinfo"]["filename"].endswith("cat.jpg")]
        self.assertEqual(len(cat), 1, files)
        self.assertEqual((cat[0]["fileinfo"]["size"], cat[0]["fileinfo"]["state"], cat[0]["fileinfo"]["gaps"]), (30004, "CLOSED", False))

    def test_dns(self):
        records = self.replay(harmless.build("dns")).records("dns")
        self.assertIn("www.example.com", json.dumps(records))
        self.assertIn("NXDOMAIN", json.dumps(records))

    def test_tls(self):
        records = self.replay(harmless.build("tls")).records("tls")
        self.assertEqual([r["tls"]["sni"] for r in records], ["www.example.com", "mail.example.org", "api.example.net"])
        self.assertEqual(records[0]["tls"]["subject"], "CN=www.example.com")
        self.assertEqual(records[0]["tls"]["issuerdn"], "C=JP, O=Example Trust, CN=CA 1")
        self.assertEqual(records[0]["tls"]["serial"], "12:34:56:78:90:AB:CD:EF:00:11")

    def test_a_drop(self):
        record = self.replay(attacks.build("log4shell"), inline=True).records("drop")[0]
        self.assertEqual(record["drop"]["reason"], "rules")
        self.assertEqual(record["src_ip"], packets.OUTSIDE)

    def test_stats_count_what_was_read(self):
        frames = harmless.build("browsing")
        stats = self.replay(frames).records("stats")[-1]["stats"]
        self.assertEqual(stats["decoder"]["pkts"], len(frames))
        self.assertEqual(stats["decoder"]["bytes"], sum(len(f) for _, f in frames))

    def test_hostile_bytes_stay_inside_their_strings(self):
        capture = packets.Capture()
        session = capture.session(packets.OUTSIDE, packets.WEB_SERVER, 80)
        session.client(b'GET /"}\\\x01\xff\n{"x":1} HTTP/1.1\r\nHost: a\xfe"b\r\nUser-Agent: \x00\x1b[2J\xc3\x28\r\n\r\n')
        session.server(protocols.response(b"yes")).close()
        outcome = self.replay(capture.frames)
        with open(outcome.eve, encoding="utf-8", newline="\n") as f:
            for line in f:
                self.assertIsInstance(json.loads(line), dict)
                self.assertFalse(any(ord(c) < 32 for c in line.rstrip("\n")))

    def test_the_same_capture_gives_the_same_records(self):
        def flat(outcome):  # flow ids come from a seeded hash
            return sorted(json.dumps({k: v for k, v in r.items() if k not in ("flow_id", "pcap_filename")}, sort_keys=True)
                          for r in outcome.records() if r["event_type"] not in ("stats",))
        frames = attacks.build("sqli-answered") + harmless.build("dns")
        self.assertEqual(flat(self.replay(frames)), flat(self.replay(frames)))
