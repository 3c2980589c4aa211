# SPDX-License-Identifier: BSD-3-Clause
"""Every signature of the JSIG pack: on the capture that it must match, and on the traffic that none may match."""
import re
import unittest

import harness
from traffic import attacks, harmless


class Signatures(harness.Case):
    def test_each_attack_raises_its_signatures_and_no_others(self):
        for name, (_, sids, words) in attacks.ATTACKS.items():
            with self.subTest(name, words=words):
                self.assertEqual(dict(self.replay(attacks.build(name)).alerts()), sids)

    def test_each_signature_has_an_attack(self):
        in_pack = {int(sid) for sid in re.findall(r"\bsid:(\d+);", harness.pack_rules())}
        shown = {sid for _, sids, _ in attacks.ATTACKS.values() for sid in sids}
        self.assertEqual(in_pack, shown)

    def test_harmless_traffic_raises_none(self):
        for name, (_, words) in harmless.HARMLESS.items():
            with self.subTest(name, words=words):
                self.assertEqual([r["alert"]["signature"] for r in self.replay(harmless.build(name)).records("alert")], [])

    def test_harmless_traffic_in_small_segments_raises_none(self):
        for name in harmless.HARMLESS:
            with self.subTest(name):
                frames = harmless.build(name, segment=97)
                self.assertEqual([r["alert"]["signature"] for r in self.replay(frames).records("alert")], [])

    def test_the_records_carry_the_metadata(self):
        record = self.replay(attacks.build("log4shell")).records("alert")[0]
        metadata = record["alert"]["metadata"]
        self.assertEqual(metadata["jsig_severity"], ["critical"])
        self.assertEqual(metadata["jsig_outcome"], ["attempt"])
        self.assertEqual(record["jsig"]["outcome"], "attempt")
        self.assertEqual(record["jsig"]["severity"], "critical")


class Pack(harness.Case):
    def test_check_accepts_each_file(self):
        done = self.call("check", "-c", self.file("sekisho.yaml", harness.CONFIG), "-S", self.file("p.rules", harness.pack_rules()))
        self.assertEqual(done.returncode, 0, done.stdout.decode() + done.stderr.decode())


if __name__ == "__main__":
    unittest.main()
