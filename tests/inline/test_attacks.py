# SPDX-License-Identifier: BSD-3-Clause
"""The attacks of the JSIG pack, played between real hosts: blocked in both directions, their harmless twins not touched."""
import glob
import os
import re
import unittest

import case
import play
import sensor
from lab import C2_SERVER, DESK, DESK2, DNS_SERVER, MAIL_SERVER, OUTSIDE, OUTSIDE2, WEB_SERVER, wait_for
from traffic import attacks

# Which address takes whose place when an attack is played the other way round.
SWAP = {OUTSIDE: DESK, OUTSIDE2: DESK2, C2_SERVER: WEB_SERVER, WEB_SERVER: C2_SERVER, MAIL_SERVER: OUTSIDE2, DESK: OUTSIDE,
        DESK2: OUTSIDE2, DNS_SERVER: WEB_SERVER}


def blocking():
    """The sids of the pack that drop: by their action, or because they may always block."""
    out = set()
    for path in glob.glob(os.path.join(sensor.PACK, "*.rules")):
        with open(path, encoding="utf-8") as f:
            for line in f:
                if re.match(r"drop |alert .*jsig_block always", line):
                    out.add(int(re.search(r"\bsid:(\d+);", line).group(1)))
    return out


BLOCKING = blocking()
TCP = [name for name, (function, _, _) in attacks.ATTACKS.items() if play.script(attacks.ATTACKS, name, 1).sessions()]
BLOCKED = [n for n in TCP if BLOCKING & set(attacks.ATTACKS[n][1])]
REPORTED = [n for n in TCP if n not in BLOCKED]
OTHER = [n for n in attacks.ATTACKS if n not in TCP]


class Attacks(case.Attacked):
    SENSOR = {"options": [("records.types", t) for t in ("alert", "drop")]}

    def talks(self, name, mirrored):
        talks = play.script(attacks.ATTACKS, name, sum(name.encode())).sessions()
        return [t.mirrored(SWAP) for t in talks] if mirrored else talks

    def test_a_blocked_attacks_last_byte_never_arrives(self):
        for name in BLOCKED:
            with self.subTest(name):
                self.check_blocked(self.talks(name, False)[0], attacks.ATTACKS[name][1])

    def test_nor_when_it_goes_the_other_way(self):
        for name in BLOCKED:
            with self.subTest(name):
                self.check_blocked(self.talks(name, True)[0], attacks.ATTACKS[name][1])

    def test_its_harmless_twin_arrives(self):
        for name in BLOCKED:
            for mirrored in (False, True):
                with self.subTest(name, mirrored=mirrored):
                    played = self.check_arrives(self.talks(name, mirrored)[0].twin())
                    self.assertEqual([r["alert"]["signature"] for r in self.alerts(played)], [])

    def test_what_is_only_reported_arrives(self):
        for name in REPORTED:
            with self.subTest(name):
                for talk in self.talks(name, False):
                    self.check_arrives(talk)
                self.sensor.wait_record("alert", name)
                wanted = set(attacks.ATTACKS[name][1])
                wait_for(lambda: wanted <= {r["alert"]["signature_id"] for r in self.sensor.records("alert")}, "the alert of " + name)

    def test_scans_and_tunnels_without_a_session_are_reported(self):
        for name in OTHER:
            with self.subTest(name):
                steps = play.script(attacks.ATTACKS, name, sum(name.encode())).steps
                for step in steps:
                    play.send_raw(self.network, step)
                wanted = set(attacks.ATTACKS[name][1])
                # What belongs to no session at all may be dropped without a further look.
                wait_for(lambda: wanted <= {r["alert"]["signature_id"] for r in self.sensor.records("alert")} or
                         len({r.get("dest_port") for r in self.sensor.records("drop", src_ip=steps[0][1])}) == len(steps), "the alert of " + name)


class Cut(Attacks):
    """The same attacks by a sender whose every byte, or every few, has a segment of its own."""

    SENSOR = {"options": [("records.types", t) for t in ("alert", "drop")], "workers": 2}
    QUEUES = 2
    test_its_harmless_twin_arrives = test_what_is_only_reported_arrives = test_scans_and_tunnels_without_a_session_are_reported = None
    test_nor_when_it_goes_the_other_way = None

    def talks(self, name, mirrored):
        talks = super().talks(name, mirrored)
        for talk in talks:
            talk.words = [(side, words[at:at + 7]) for side, words in talk.words for at in range(0, len(words), 7)]
        return talks


if __name__ == "__main__":
    unittest.main()
