# SPDX-License-Identifier: BSD-3-Clause
"""Compiled rules are kept on disk: found again by the second run, never trusted when they are not what was written."""
import json
import os

import harness
from traffic import attacks


class Cache(harness.Case):
    def setUp(self):
        super().setUp()
        self.cache = self.path("cache")
        self.config = harness.CONFIG + harness.cache_config(self.cache)
        self.frames = attacks.build("log4shell")

    def run_once(self, rules=None):
        """Judges, and says whether the rules came from the cache."""
        outcome = self.replay(self.frames, config=self.config, rules=rules, options=["--json"])
        self.assertEqual(dict(outcome.alerts()), {9000030: 1})
        return json.loads(outcome.words)["cached"]

    def files(self):
        return sorted(os.listdir(self.cache))

    def test_the_second_run_finds_what_the_first_wrote(self):
        self.assertFalse(self.run_once())
        self.assertTrue(self.files())
        self.assertTrue(self.run_once())

    def test_other_rules_are_compiled_anew(self):
        self.run_once()
        first = self.files()
        more = 'alert tcp any any -> any any (msg:"more"; content:"never seen here"; sid:7;)\n'
        self.assertFalse(self.run_once(harness.pack_rules() + more))
        self.assertGreater(set(self.files()), set(first))
        self.assertTrue(self.run_once(), "the first rules' databases are gone")

    def damage(self, how):
        for name in self.files():
            path = os.path.join(self.cache, name)
            with open(path, "rb") as f:
                data = f.read()
            with open(path, "wb") as f:
                f.write(how(data))

    def test_a_corrupt_cache_is_rebuilt(self):
        middle = lambda d: d[:len(d) // 2] + bytes([d[len(d) // 2] ^ 0xFF]) + d[len(d) // 2 + 1:]  # noqa: E731
        for name, how in (("cut", lambda d: d[:len(d) // 3]), ("empty", lambda d: b""), ("one byte", middle),
                          ("noise", lambda d: os.urandom(len(d))), ("head", lambda d: b"\0" * 64 + d[64:]),
                          ("longer", lambda d: d + b"more")):
            with self.subTest(name):
                self.run_once()
                self.damage(how)
                self.assertFalse(self.run_once(), "a damaged file was trusted")
                self.assertTrue(self.run_once(), "it was not rebuilt")

    def test_a_cache_that_cannot_be_written_does_not_matter(self):
        self.file("cache", b"a file where the folder should be")
        self.run_once()
