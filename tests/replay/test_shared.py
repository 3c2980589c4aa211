# SPDX-License-Identifier: BSD-3-Clause
"""Rules and captures of others (../shared or $SEKISHO_SHARED): every rule parses, every capture is judged."""
import concurrent.futures
import glob
import os
import re
import subprocess
import unittest

import harness

RULES = os.path.join(harness.SHARED, "rules")
CAPTURES = os.path.join(harness.SHARED, "pcaps")
# Every packet event, stream event and protocol event may show up in a record; the pack and these make all layers work.
EVENTS = """\
alert tcp any any -> any any (msg:"any text"; content:"GET"; sid:1;)
alert http any any -> any any (msg:"body"; file.data; content:"<html"; nocase; sid:2;)
alert dns any any -> any any (msg:"name"; dns.query; content:"."; sid:3;)
alert tls any any -> any any (msg:"sni"; tls.sni; content:"."; sid:4;)
alert ip any any -> any any (msg:"re"; pcre:"/[a-z]{5}[0-9]/"; threshold:type limit, track by_src, count 1, seconds 60; sid:5;)
"""


def have(path):
    return unittest.skipUnless(os.path.isdir(path), "%s is not there" % path)


def captures():
    for path, _, names in sorted(os.walk(CAPTURES)):
        yield from (os.path.join(path, n) for n in sorted(names) if n.endswith((".pcap", ".pcapng", ".cap")))


@have(RULES)
class Rules(harness.Case):
    def test_every_rule_file_parses(self):
        for folder in sorted(glob.glob(os.path.join(RULES, "*"))):
            text = b""
            for path in sorted(glob.glob(os.path.join(folder, "*.rules"))):
                with open(path, "rb") as f:
                    text += f.read() + b"\n"
            with self.subTest(folder):
                done = self.call("check", "-c", self.file("sekisho.yaml", harness.CONFIG.replace(
                    '    HTTP_PORTS: "80"', FULL_PORTS).replace("  port-groups", FULL_GROUPS + "  port-groups")),
                    "-S", self.file("all.rules", text))
                self.assertEqual(done.returncode, 0, (done.stdout + done.stderr).decode()[-3000:])


@have(CAPTURES)
class Captures(harness.Case):
    def test_every_capture_is_judged_to_its_end(self):
        config, rules = self.file("sekisho.yaml", harness.CONFIG), self.file("r.rules", harness.pack_rules() + EVENTS)
        todo = [(path, inline) for path in captures() for inline in (False, True)]
        self.assertTrue(todo)

        def judge(job):
            path, inline = job
            folder = self.path("%s-%d" % (os.path.basename(path), inline))
            os.makedirs(folder)
            extra = ["--inline", "-w", os.path.join(folder, "out.pcap")] if inline else []
            try:
                done = subprocess.run([harness.SENSOR, "replay", "-c", config, "-S", rules, "-l", folder, *extra, path],
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=harness.TIMEOUT_S, env=harness.ENVIRONMENT)
            except subprocess.TimeoutExpired:
                return "%s (inline %d): hangs" % job
            words = done.stdout.decode("utf-8", "replace")
            if done.returncode < 0 or re.search(r"Sanitizer|runtime error:", words):
                return "%s (inline %d): %d\n%s" % (path, inline, done.returncode, words[:3000])
            if not os.path.exists(os.path.join(folder, "eve.json")):
                return "%s (inline %d): no eve.json\n%s" % (path, inline, words[:500])
            # Broken captures are in the collection: they must be named, and be the only reason not to end well.
            if done.returncode and os.path.basename(path) not in words:
                return "%s (inline %d): ended with %d and does not name it\n%s" % (path, inline, done.returncode, words[:500])
            return None

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            bad = [b for b in pool.map(judge, todo) if b]
        self.assertFalse(bad, "\n".join(bad[:10]))
        print("%d captures, each as an onlooker and inline" % (len(todo) // 2))


FULL_GROUPS = "".join('    %s: "%s"\n' % g for g in (
    ("HTTP_SERVERS", "$HOME_NET"), ("SMTP_SERVERS", "$HOME_NET"), ("SQL_SERVERS", "$HOME_NET"), ("DNS_SERVERS", "$HOME_NET"),
    ("TELNET_SERVERS", "$HOME_NET"), ("AIM_SERVERS", "$EXTERNAL_NET"), ("DC_SERVERS", "$HOME_NET"),
    ("DNP3_SERVER", "$HOME_NET"), ("DNP3_CLIENT", "$HOME_NET"), ("MODBUS_CLIENT", "$HOME_NET"),
    ("MODBUS_SERVER", "$HOME_NET"), ("ENIP_CLIENT", "$HOME_NET"), ("ENIP_SERVER", "$HOME_NET")))
FULL_PORTS = "".join('    %s: "%s"\n' % g for g in (
    ("HTTP_PORTS", "80"), ("SHELLCODE_PORTS", "!80"), ("ORACLE_PORTS", "1521"), ("SSH_PORTS", "22"), ("DNP3_PORTS", "20000"),
    ("MODBUS_PORTS", "502"), ("FILE_DATA_PORTS", "[$HTTP_PORTS,110,143]"), ("FTP_PORTS", "21"), ("GENEVE_PORTS", "6081"),
    ("VXLAN_PORTS", "4789"), ("TEREDO_PORTS", "3544")))
