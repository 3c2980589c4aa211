# SPDX-License-Identifier: BSD-3-Clause
"""The JSIG pack in Suricata, where one is at hand: it loads, and alerts on the same captures.

$SEKISHO_SURICATA names a folder with `suricata` and `alert-only.yaml`.
"""
import json
import os
import subprocess
import unittest

import harness
from traffic import attacks, harmless

FOLDER = os.environ.get("SEKISHO_SURICATA", "")


@unittest.skipUnless(os.path.exists(os.path.join(FOLDER, "suricata")), "no Suricata: $SEKISHO_SURICATA names none")
class Suricata(harness.Case):
    def suricata(self, *arguments):
        return subprocess.run([os.path.join(FOLDER, "suricata"), "-c", os.path.join(FOLDER, "alert-only.yaml"), "-S",
                               self.file("pack.rules", harness.pack_rules()), "-l", self.folder, *arguments],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)

    def test_the_pack_loads(self):
        done = self.suricata("-T")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertNotIn(b"E: ", done.stdout)

    def test_the_same_alerts(self):
        for name, (_, sids, _) in attacks.ATTACKS.items():
            with self.subTest(name):
                eve = self.path("eve.json")
                if os.path.exists(eve):
                    os.unlink(eve)
                done = self.suricata("--runmode", "single", "-r", self.capture(attacks.build(name)))
                self.assertEqual(done.returncode, 0, done.stdout)
                self.assertEqual(dict(harness.Outcome(done_stub(done), self.folder, None).alerts()), sids)

    def test_no_alert_on_harmless_traffic(self):
        frames = [f for name in harmless.HARMLESS for f in harmless.build(name)]
        self.suricata("--runmode", "single", "-r", self.capture(frames))
        with open(self.path("eve.json"), encoding="utf-8") as f:
            self.assertEqual([json.loads(line)["alert"]["signature"] for line in f], [])


def done_stub(done):
    done.stderr = b""
    return done
