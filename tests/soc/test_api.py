#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The SOC's API: what it shows and changes, whom it refuses, and what those get who mean harm.

usage: tests/soc/test_api.py --soc PROGRAM --forward PROGRAM [CASE...]
"""
import datetime
import gzip
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import unittest
import warnings

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import scenes  # noqa: E402
import service  # noqa: E402
import test_soc  # noqa: E402
from service import wait_for  # noqa: E402


def head(stream, first, count, **more):
    return json.dumps(dict({"v": 1, "stream": stream, "first": first, "count": count, "kind": "eve", "name": "eve.json"}, **more)) + "\n"


STREAM = "0f8fad5b-d9cb-469f-a165-70867728950e"


class Case(test_soc.Case):
    """Two customers with a sensor and a user each, and an analyst."""

    def setUp(self):
        super().setUp()
        self.soc.start()  # which finds the port that devices are told
        self.soc.stop()
        self.soc.start()
        self.tokens, self.certificates = {}, {}
        for customer in "aoi", "beni":
            self.soc.ask("POST", "/v1/customers", {"name": customer}, status=201)
            self.add_device(customer + "-1", customer)
            self.tokens[customer] = self.soc.ask("POST", "/v1/users", {"name": customer + "-user", "role": "customer", "customer": customer},
                                                 status=201)["token"]
        self.tokens["analyst"] = self.soc.ask("POST", "/v1/users", {"name": "ana", "role": "analyst"}, status=201)["token"]

    def add_device(self, name, customer):
        text = self.soc.ask("POST", "/v1/devices", {"name": name, "customer": customer}, status=201)["configuration"]
        with open(os.path.join(self.soc.folder, name + ".yaml"), "w") as f:
            f.write(text)
        self.certificates[name] = service.keys(f.name)

    def send(self, device, lines, first=1, status=200, stream=STREAM):
        got, answer, _ = self.soc.request("POST", "/v1/batches", head(stream, first, len(lines)) + "".join(x + "\n" for x in lines),
                                          certificate=self.certificates[device])
        self.assertEqual(got, status, answer)
        return answer

    def scene(self, seed=3, count=40):
        scene = scenes.Scene(seed)
        scene.outbreak(count)
        return scene.text().splitlines()

    def ask(self, who, method, path, body=None, status=200):
        return self.soc.ask(method, path, body, self.tokens[who], status)


class Work(Case):
    def test_analyst_and_customer_work_on_an_incident(self):
        self.send("aoi-1", self.scene())
        incident, = self.ask("aoi", "GET", "/v1/incidents?severity=emergency")["incidents"]
        path = "/v1/incidents/%d" % incident["id"]
        self.ask("analyst", "POST", path + "/assign", {"assignee": "ana"})
        self.ask("analyst", "POST", path + "/assign", {"assignee": "nobody"}, 409)
        self.ask("aoi", "POST", path + "/state", {"state": "acknowledged"})
        self.ask("aoi", "POST", path + "/state", {"state": "closed", "reason": "all is well"}, 403)
        self.ask("aoi", "POST", path + "/comment", {"text": "パソコンを切り離しました"})
        self.ask("aoi", "POST", path + "/severity", {"severity": "warning", "reason": "x"}, 403)
        self.ask("analyst", "POST", path + "/severity", {"severity": "critical"}, 400)
        self.ask("analyst", "POST", path + "/severity", {"severity": "critical", "reason": "one host, isolated"})
        self.ask("analyst", "POST", path + "/state", {"state": "false_positive"}, 409)
        self.ask("analyst", "POST", path + "/state", {"state": "closed", "reason": "cleaned"})
        got = self.ask("aoi", "GET", path)
        self.assertEqual((got["state"], got["severity"], got["assignee"]), ("closed", "critical", "ana"))
        kinds = [line["kind"] for line in got["history"]]
        self.assertEqual([k for k in kinds if k in ("assigned", "state", "comment", "severity_set")],
                         ["state", "severity_set", "comment", "state", "assigned"])
        self.assertEqual([line["text"]["ja"] for line in got["history"] if line["kind"] == "comment"], ["パソコンを切り離しました"])
        done = [a["what"] for a in self.ask("aoi", "GET", "/v1/audit?limit=500")["audit"] if a["what"].startswith("incident.")]
        self.assertEqual(len(done), 5)
        # it outlives the process
        self.soc.stop(signal.SIGKILL)
        self.soc.start()
        self.assertEqual(self.ask("aoi", "GET", path), got)

    def test_two_incidents_are_merged_and_nothing_is_lost(self):
        self.send("aoi-1", self.scene())
        other = [line.replace("10.1.", "10.7.").replace("198.51.100.66", "198.51.100.67").replace("91000", "92000") for line in self.scene()]
        self.send("aoi-1", other, stream=STREAM.replace("0f", "1f"))
        first, second = sorted(i["id"] for i in self.ask("aoi", "GET", "/v1/incidents?severity=emergency")["incidents"])
        self.ask("analyst", "POST", "/v1/incidents/%d/merge" % second, {"into": first})
        self.assertEqual(self.ask("aoi", "GET", "/v1/incidents/%d" % second)["merged_into"], first)
        merged = self.ask("aoi", "GET", "/v1/incidents/%d" % first)
        self.assertEqual(merged["record_count"], 2 * len(other))
        self.assertEqual([i["id"] for i in self.ask("aoi", "GET", "/v1/incidents?severity=emergency")["incidents"]], [first])

    def test_evidence_is_found_from_the_incident_down_to_the_line(self):
        lines = self.scene()
        self.send("aoi-1", lines)
        incident, = self.ask("aoi", "GET", "/v1/incidents?severity=emergency")["incidents"]
        events = self.ask("aoi", "GET", "/v1/events?incident=%d" % incident["id"])["events"]
        found = []
        for event in events:
            before = ""
            while True:
                page = self.ask("aoi", "GET", "/v1/records?limit=7&event=%d%s" % (event["id"], before))
                found += [self.ask("aoi", "GET", "/v1/records/%d" % r["id"])["line"] for r in page["records"]]
                if "next" not in page:
                    break
                before = "&before=%d" % page["next"]
        self.assertEqual(sorted(found), sorted(lines))
        some = self.ask("aoi", "GET", "/v1/records?source=%s&signature=9100011" % scenes.INFECTED)["records"]
        self.assertEqual([(r["target"], r["outcome"], r["device"]) for r in some], [(scenes.CALLED, "infection", "aoi-1")])
        self.assertEqual(len(self.ask("aoi", "GET", "/v1/records?text=MACRO")["records"]), 1)
        self.assertEqual(sum(c["count"] for c in self.ask("aoi", "GET", "/v1/counters")["counters"]), len(lines))

    def test_assets_change_what_triage_says(self):
        exposed = {"prefix": "203.0.113.80", "name": "web", "role": "web", "importance": 5}
        made = self.ask("analyst", "PUT", "/v1/assets?customer=aoi", exposed)
        self.assertEqual(self.ask("analyst", "PUT", "/v1/assets?customer=aoi", exposed), made)
        shown, = self.ask("aoi", "GET", "/v1/assets")["assets"]
        self.assertEqual((shown["prefix"], shown["importance"]), ("203.0.113.80", 5))
        self.ask("analyst", "PUT", "/v1/assets?customer=aoi", dict(exposed, prefix="10.0.0.300"), 400)
        self.ask("analyst", "PUT", "/v1/assets?customer=aoi", dict(exposed, colour="red"), 400)
        scene = scenes.Scene(1)
        for n in range(30):
            scene.alert(n, 9100020, "TEST WEB_SERVER exploit that works", "Web Application Attack", "192.0.2.9", "203.0.113.80", 80,
                        outcome="success")
        self.send("aoi-1", scene.text().splitlines())
        self.send("beni-1", scene.text().splitlines())
        known, unknown = (self.ask(c, "GET", "/v1/incidents")["incidents"] for c in ("aoi", "beni"))
        self.assertEqual([i["severity"] for i in known], ["emergency"])
        self.assertNotEqual([i["severity"] for i in unknown], ["emergency"], "without the asset it is nobody's server")
        self.ask("analyst", "DELETE", "/v1/assets/%d" % made["id"])
        self.assertEqual(self.ask("aoi", "GET", "/v1/assets")["assets"], [])


class Suppressions(Case):
    def scan(self, source, seed, sid=9100011):
        scene = scenes.Scene(seed, start=scenes.now())
        scene.alert(0, sid, "TEST MALWARE program calls its master", "Malware Command and Control Activity Detected", source, "198.51.100.9", 443,
                    outcome="infection")
        self.send("aoi-1", scene.text().splitlines(), stream=STREAM[:-4] + "%04x" % seed)

    def until(self, seconds):
        return (scenes.now() + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def test_what_is_suppressed_is_no_incident_and_stays_on_record(self):
        scope = {"signature": 9100011, "source": "10.1.4.0/24", "until": self.until(3600), "reason": "our own test of the filters"}
        made = self.ask("analyst", "POST", "/v1/suppressions?customer=aoi", scope)["id"]
        self.scan("10.1.4.23", 1)
        self.assertEqual(self.ask("aoi", "GET", "/v1/incidents")["incidents"], [])
        self.assertEqual(len(self.ask("aoi", "GET", "/v1/records?source=10.1.4.23")["records"]), 1)
        # another signature of the same class and source is not in the scope, nor is another source
        self.scan("10.1.4.23", 2, sid=9100012)
        self.scan("10.1.5.23", 3)
        wait_for(lambda: len(self.ask("aoi", "GET", "/v1/incidents")["incidents"]) >= 1, "what is not suppressed")
        hosts = {h["address"] for i in self.ask("aoi", "GET", "/v1/incidents")["incidents"]
                 for h in self.ask("aoi", "GET", "/v1/incidents/%d" % i["id"])["hosts"]}
        self.assertLessEqual({"10.1.4.23", "10.1.5.23"}, hosts)
        self.ask("analyst", "POST", "/v1/suppressions/%d/end" % made, {})
        self.ask("analyst", "POST", "/v1/suppressions/%d/end" % made, {}, 409)
        self.scan("10.1.4.99", 4)
        shown = self.ask("aoi", "GET", "/v1/suppressions")["suppressions"]
        self.assertEqual([(s["id"], s["who"], s["reason"]) for s in shown], [(made, "ana", scope["reason"])])
        self.assertEqual([a["what"] for a in self.ask("aoi", "GET", "/v1/audit")["audit"] if "suppress" in a["what"]],
                         ["suppression.end", "suppression.add"])

    def test_it_holds_over_a_restart_and_ends_by_itself(self):
        self.ask("analyst", "POST", "/v1/suppressions?customer=aoi", {"source": "10.1.4.23", "until": self.until(4), "reason": "maintenance"})
        self.soc.stop(signal.SIGKILL)
        self.soc.start()
        self.scan("10.1.4.23", 1)
        self.assertEqual(self.ask("aoi", "GET", "/v1/incidents")["incidents"], [])

        def again():
            self.scan("10.1.4.23", 100 + len(self.soc.query("select * from stream")))
            return self.ask("aoi", "GET", "/v1/incidents")["incidents"]
        wait_for(again, "an incident when it is over", 15)

    def test_scopes_that_say_too_little_or_last_too_long_are_refused(self):
        good = {"source": "10.1.4.23", "until": self.until(60), "reason": "x"}
        for wrong in ({"until": self.until(-5)}, {"until": self.until(400 * 86400)}, {"until": "soon"}, {"reason": ""}, {"source": "10.1.4.300"},
                      {"signature": -1}, {"signature": "9"}):
            self.ask("analyst", "POST", "/v1/suppressions?customer=aoi", dict(good, **wrong), 400)
        self.ask("analyst", "POST", "/v1/suppressions?customer=aoi", {"until": good["until"], "reason": "all"}, 400)
        self.ask("analyst", "POST", "/v1/suppressions", good, 400)
        self.ask("aoi", "POST", "/v1/suppressions", good, 403)


class Shell(Case):
    def ctl(self, *words, check=True):
        return self.soc.run("ctl", *words, check=check)

    def test_the_shell_does_what_the_api_does(self):
        self.send("aoi-1", self.scene())
        table = self.ctl("incidents", "--severity", "emergency").stdout.splitlines()
        self.assertEqual(len(table), 2, table)
        self.assertIn("emergency", table[1])
        number = table[1].split()[0]
        self.ctl("comment", number, "looked at it")
        self.ctl("close", number, "cleaned")
        text = self.ctl("incident", number).stdout
        for words in "looked at it", "closed", scenes.INFECTED, "What to do":
            self.assertIn(words, text)
        self.assertEqual(json.loads(self.ctl("--json", "incident", number).stdout)["state"], "closed")
        self.assertIn("already", self.ctl("close", number, "again", check=False).stderr)
        self.assertEqual(self.ctl("incident", check=False).returncode, 2)
        self.assertEqual(self.ctl("incident", "77", check=False).returncode, 1)

    def test_what_an_attacker_wrote_does_not_steer_the_terminal(self):
        line = json.dumps({"timestamp": "2026-11-24T05:00:00Z", "event_type": "alert", "src_ip": "192.0.2.1", "dest_ip": "10.0.0.1",
                           "alert": {"signature_id": 1, "signature": "\x1b]0;owned\x07\u009b31m", "category": "Web Application Attack"}})
        self.send("aoi-1", [line])
        shown = self.ctl("records").stdout + self.ctl("record", "1").stdout
        self.assertIn("owned", shown)
        self.assertFalse([c for c in shown if ord(c) < 32 and c != "\n" or 0x7f <= ord(c) < 0xa0])

    def test_enrolment_while_the_soc_runs_and_while_it_does_not(self):
        first = self.soc.folder + "/first.yaml"
        self.soc.run("enroll", "-c", "aoi", "-o", first, "aoi-2")
        self.assertIn("already", self.soc.run("enroll", "-c", "aoi", "aoi-2", check=False).stderr)
        self.soc.stop()
        second = self.soc.enroll("aoi-3", "-c", "aoi")
        self.soc.start()
        for path in first, second:
            with open(path) as f:
                self.assertIn("PRIVATE KEY", f.read())
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.soc.run("revoke", "aoi-3")
        self.assertEqual({d["name"]: d["revoked"] for d in self.ask("aoi", "GET", "/v1/devices")["devices"]},
                         {"aoi-1": False, "aoi-2": False, "aoi-3": True})

    def test_who_finds_no_soc_is_told_what_to_do(self):
        self.soc.stop()
        self.assertIn("does the SOC run", self.ctl("incidents", check=False).stderr)


class Tenants(Case):
    def test_what_is_anothers_does_not_exist(self):
        self.send("aoi-1", self.scene())
        incident = self.ask("aoi", "GET", "/v1/incidents")["incidents"][0]["id"]
        event = self.ask("aoi", "GET", "/v1/events")["events"][0]["id"]
        record = self.ask("aoi", "GET", "/v1/records")["records"][0]["id"]
        self.ask("analyst", "PUT", "/v1/assets?customer=aoi", {"prefix": "10.0.0.1"})
        for path in "incidents", "events", "records", "assets", "counters":
            self.assertEqual(self.ask("beni", "GET", "/v1/" + path)[path], [], path)
        missing = self.ask("beni", "GET", "/v1/incidents/999999", status=404)
        for path in "incidents/%d" % incident, "events/%d" % event, "records/%d" % record:
            self.assertEqual(self.ask("beni", "GET", "/v1/" + path, status=404), missing, path)
            self.ask("aoi", "GET", "/v1/" + path)
        for path in "incidents", "events", "records", "assets", "counters", "devices", "users", "audit":
            self.assertEqual(self.ask("beni", "GET", "/v1/%s?customer=aoi" % path, status=404), missing, path)
        for verb, body in ("comment", {"text": "x"}), ("state", {"state": "acknowledged"}):
            self.assertEqual(self.ask("beni", "POST", "/v1/incidents/%d/%s" % (incident, verb), body, 404), missing)
        for path in "devices", "users", "customers", "audit":
            self.assertNotIn("aoi", json.dumps(self.ask("beni", "GET", "/v1/" + path)))
            self.assertIn("aoi", json.dumps(self.ask("aoi", "GET", "/v1/" + path)))
        self.assertEqual([], [line for line in self.ask("aoi", "GET", "/v1/incidents/%d" % incident)["history"] if line["who"]])

    def test_a_sensor_reads_no_stream_of_another(self):
        self.send("aoi-1", self.scene())
        for device, want in ("aoi-1", 1 + len(self.scene())), ("beni-1", 1):
            got, answer, _ = self.soc.request("GET", "/v1/streams/" + STREAM, certificate=self.certificates[device])
            self.assertEqual((got, answer), (200, {"next": want}))

    def test_roles(self):
        for who, method, path, body in (
                ("aoi", "GET", "/v1/status", None), ("aoi", "POST", "/v1/customers", {"name": "x"}),
                ("aoi", "PUT", "/v1/assets?customer=aoi", {"prefix": "10.0.0.1"}), ("aoi", "POST", "/v1/devices/aoi-1/revoke", {}),
                ("analyst", "POST", "/v1/users", {"name": "x", "role": "administrator"}), ("analyst", "POST", "/v1/users/ana/disable", {}),
                ("analyst", "POST", "/v1/devices", {"name": "x", "customer": "aoi"})):
            self.ask(who, method, path, body, 403)
        # a device's certificate is nobody's token
        self.assertEqual(self.soc.request("GET", "/v1/whoami", certificate=self.certificates["aoi-1"])[0], 401)
        # nor is a token a certificate
        got, _, _ = self.soc.request("POST", "/v1/batches", "x", {"Authorization": "Bearer " + self.tokens["analyst"]})
        self.assertEqual(got, 403)

    def test_who_is_disabled_or_revoked_is_refused_at_once(self):
        self.send("aoi-1", self.scene())
        self.soc.ask("POST", "/v1/users/aoi-user/disable", {})
        self.ask("aoi", "GET", "/v1/whoami", status=401)
        connection = self.soc.connect(self.certificates["aoi-1"])  # one that is open goes on under the same rule
        connection.request("GET", "/v1/streams/" + STREAM)
        self.assertEqual(connection.getresponse().read(), b'{"next":%d}' % (1 + len(self.scene())))
        self.soc.ask("POST", "/v1/devices/aoi-1/revoke", {})
        connection.request("GET", "/v1/streams/" + STREAM)
        self.assertEqual(connection.getresponse().status, 403)
        self.send("aoi-1", self.scene(), first=1 + len(self.scene()), status=403)
        # enrolled anew he has another certificate, and his stream
        self.add_device("aoi-1", "aoi")
        self.send("aoi-1", self.scene(4), first=1 + len(self.scene()))


class Harm(Case):
    """A security test list: what must not work."""

    def test_parameters_are_strict(self):
        for path in ("incidents?state=x", "incidents?limit=501", "incidents?limit=-1", "incidents?limit=1%00", "incidents?from=yesterday",
                     "incidents?severity=1%20or%201", "records?source=10.0.0.0/8", "records?event=99999999999999999999", "events?open=1",
                     "records?type=alert%27--", "incidents?order=desc"):
            self.ask("analyst", "GET", "/v1/" + path, status=400)
        for text in "'; drop table document;--", "%\" or \"\"=\"", "_%_%", "\\":
            self.assertEqual(self.ask("analyst", "GET", "/v1/records?text=" + "".join("%%%02x" % b for b in text.encode()))["records"], [])
        for body, why in (("[1]", "object"), ("{", ""), ('{"name":1}', "name"), ('{"name":"a/../b"}', "name"), ('{"name":"x","name":"y"}', ""),
                          ('{"name":"\\u0000"}', "NUL"), ('{"nam":"x"}', "member"), ("[" * 60000, "")):
            with open(self.soc.data + "/ctl.json") as f:
                token = json.load(f)["token"]
            got, answer, _ = self.soc.request("POST", "/v1/customers", body, {"Authorization": "Bearer " + token})
            self.assertEqual(got, 400, body[:40])
            self.assertIn(why, answer["error"])

    def test_paths_lead_nowhere(self):
        for path in ("/", "/v1", "/v1/", "/v1/incidents/", "/v1/incidents/1/2/3", "/v1/incidents/..%2f..%2fca.key", "/v1/../ca.key", "/ca.key",
                     "//v1/incidents", "/v1/streams", "/v2/incidents", "/v1/incidents/0", "/v1/incidents/-1", "/v1/incidents/1x"):
            self.assertIn(self.ask("analyst", "GET", path, status=404)["error"][:8], "there is no such thing here")
        self.ask("analyst", "GET", "/v1/incidents/%00", status=400)
        self.ask("analyst", "GET", "/v1/incidents/" + "1" * 3000, status=400)
        self.ask("analyst", "DELETE", "/v1/incidents", status=405)
        self.ask("analyst", "BREW", "/v1/incidents", status=405)

    def test_wrong_tokens_are_slowed_down(self):
        statuses = [self.soc.request("GET", "/v1/whoami", headers={"Authorization": "Bearer %d" % n})[0] for n in range(25)]
        self.assertEqual(statuses[:20], [401] * 20)
        self.assertEqual(statuses[-1], 429)

    def test_oversized_bodies_are_refused(self):
        self.assertEqual(self.soc.request("POST", "/v1/customers", "x" * 70000, {"Authorization": "Bearer " + self.tokens["analyst"]})[0], 403)
        self.ask("analyst", "POST", "/v1/incidents/1/comment", {"text": "x" * 70000}, 413)
        line = json.dumps({"timestamp": "2026-11-24T05:00:00Z", "event_type": "alert", "x": "y" * (1 << 20)})
        self.send("aoi-1", [line], status=413)
        bomb = gzip.compress(head(STREAM, 1, 1).encode() + b" " * (64 << 20))
        got, _, _ = self.soc.request("POST", "/v1/batches", bomb, {"Content-Encoding": "gzip"}, self.certificates["aoi-1"])
        self.assertEqual(got, 413)
        for body in b"no gzip", gzip.compress(b"x" * 1000)[:-9], gzip.compress(b"x") + b"more":
            got, _, _ = self.soc.request("POST", "/v1/batches", body, {"Content-Encoding": "gzip"}, self.certificates["aoi-1"])
            self.assertEqual(got, 400, body)
        got, _, _ = self.soc.request("POST", "/v1/batches", "x", {"Content-Encoding": "br"}, self.certificates["aoi-1"])
        self.assertEqual(got, 415)

    def test_bad_batches_are_refused_whole_and_bad_lines_alone(self):
        for text in ("", "{}\n", head("no-uuid!", 1, 0), head(STREAM, 0, 1) + "{}\n", head(STREAM, 1, 2) + "{}\n",
                     head(STREAM, 1, 1, kind="x") + "{}\n", head(STREAM, 1, 10001)):
            got, answer, _ = self.soc.request("POST", "/v1/batches", text, certificate=self.certificates["aoi-1"])
            self.assertIn(got, (400, 413), text[:60])
            self.assertTrue(answer["error"])
        good = self.scene()
        self.assertEqual(self.send("aoi-1", good[:3] + ["rubbish", "\x00\x01", '{"a":'] + good[3:]), {"next": len(good) + 4})
        self.assertEqual(self.soc.lines(), good)
        self.assertEqual(len(self.soc.query("select * from quarantine")), 3)
        self.send("aoi-1", good, first=900, status=409)

    def test_certificates_of_others_open_nothing(self):
        folder = self.soc.folder

        def run(*args):
            subprocess.run(["openssl", *args], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=aoi-1", "-keyout", "own.key",
            "-out", "own.crt")
        own = (folder + "/own.crt", folder + "/own.key")
        try:
            self.assertEqual(self.soc.request("POST", "/v1/batches", "x", certificate=own)[0], 403)
        except (ssl.SSLError, ConnectionError):
            pass  # refused even earlier
        self.assertEqual(self.soc.request("POST", "/v1/batches", "x")[0], 403)
        # plain HTTP, and old TLS
        with socket.create_connection(("127.0.0.1", self.soc.port), 10) as plain:
            plain.sendall(b"GET /v1/whoami HTTP/1.1\r\nHost: x\r\n\r\n")
            try:
                self.assertNotIn(b"HTTP/1.1", plain.recv(1000))
            except ConnectionError:
                pass
        old = ssl.create_default_context(cafile=self.soc.data + "/ca.crt")
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        with socket.create_connection(("127.0.0.1", self.soc.port), 10) as raw, self.assertRaises((ssl.SSLError, ConnectionError)):
            old.wrap_socket(raw, server_hostname="127.0.0.1")

    def test_answers_tell_browsers_to_be_careful(self):
        _, _, headers = self.soc.request("GET", "/v1/whoami")
        for name, value in (("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store"), ("Content-Type", "application/json")):
            self.assertEqual(headers[name], value)
        self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
        self.assertNotIn("Access-Control-Allow-Origin", headers)

    def test_slow_clients_hold_nobody_up(self):
        slow = []
        context = ssl.create_default_context(cafile=self.soc.data + "/ca.crt")
        for n in range(60):
            raw = socket.create_connection(("127.0.0.1", self.soc.port), 10)
            slow.append(raw if n % 2 else context.wrap_socket(raw, server_hostname="127.0.0.1"))
            if not n % 2:
                slow[-1].sendall(b"POST /v1/batches HTTP/1.1\r\nHost: x\r\nX-")
        began = time.monotonic()
        self.ask("aoi", "GET", "/v1/whoami")
        self.assertLess(time.monotonic() - began, 5)
        # more than one address may have are closed at once, and others are served again when they go
        with self.assertRaises((OSError, ssl.SSLError)):
            for _ in range(10):
                slow.append(context.wrap_socket(socket.create_connection(("127.0.0.1", self.soc.port), 10), server_hostname="127.0.0.1"))
                slow[-1].sendall(b"GET")
                slow[-1].settimeout(0.3)
                try:
                    if slow[-1].recv(1) == b"":
                        raise OSError("closed")
                except TimeoutError:
                    pass
        for s in slow:
            s.close()

        def served():
            try:
                return self.ask("aoi", "GET", "/v1/whoami")
            except OSError:
                return None
        wait_for(served, "the API to serve again")

    def test_many_at_once_are_all_answered(self):
        wrong = []

        def worker(n):
            for k in range(15):
                try:
                    self.send("aoi-1", self.scene(n), stream=STREAM.replace("0f8f", "%04x" % (100 * n + k)))
                    self.ask("aoi", "GET", "/v1/incidents")
                except Exception as e:
                    wrong.append(e)
        threads = [threading.Thread(target=worker, args=(n,)) for n in range(12)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(wrong, [])
        self.assertEqual(self.soc.stored(), 12 * 15 * len(self.scene()))


if __name__ == "__main__":
    sys.exit(test_soc.main(sys.modules[__name__], __doc__))
