# SPDX-License-Identifier: BSD-3-Clause
"""Compiled rules are kept on disk: found again by the second run, never trusted when they are not what was written."""
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
        outcome = self.replay(self.frames, config=self.config, rules=rules)
        self.assertEqual(dict(outcome.alerts()), {9000030: 1})

    def files(self):
        return {name: os.stat(os.path.join(self.cache, name)) for name in sorted(os.listdir(self.cache))}

    def test_the_second_run_finds_what_the_first_wrote(self):
        self.run_once()
        first = self.files()
        self.assertTrue(first)
        self.run_once()
        self.assertEqual({n: (s.st_ino, s.st_mtime_ns) for n, s in self.files().items()},
                         {n: (s.st_ino, s.st_mtime_ns) for n, s in first.items()})

    def test_other_rules_are_compiled_anew(self):
        self.run_once()
        first = self.files()
        self.run_once(harness.pack_rules() + 'alert tcp any any -> any any (msg:"more"; content:"never seen here"; sid:7;)\n')
        self.assertGreater(set(self.files()), set(first))

    def damage(self, how):
        self.run_once()
        for name in self.files():
            path = os.path.join(self.cache, name)
            with open(path, "rb") as f:
                data = f.read()
            with open(path, "wb") as f:
                f.write(how(data))
        damaged = {n: s.st_size for n, s in self.files().items()}
        self.run_once()
        return damaged

    def test_a_corrupt_cache_is_rebuilt(self):
        middle = lambda d: d[:len(d) // 2] + bytes([d[len(d) // 2] ^ 0xFF]) + d[len(d) // 2 + 1:]  # noqa: E731
        for name, how in (("cut", lambda d: d[:len(d) // 3]), ("empty", lambda d: b""), ("one byte", middle),
                          ("noise", lambda d: os.urandom(len(d))), ("head", lambda d: b"\0" * 64 + d[64:]),
                          ("longer", lambda d: d + b"more")):
            with self.subTest(name):
                self.damage(how)
                good = {n: s.st_mtime_ns for n, s in self.files().items()}
                self.run_once()
                self.assertEqual({n: s.st_mtime_ns for n, s in self.files().items()}, good, "it was not rebuilt")

    def test_a_cache_that_cannot_be_written_does_not_matter(self):
        self.file("cache", b"a file where the folder should be")
        self.run_once()
