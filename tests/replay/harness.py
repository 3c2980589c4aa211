# SPDX-License-Identifier: BSD-3-Clause
"""Calls the sensor in a folder of its own and reads what it left."""
import collections
import glob
import json
import os
import shutil
import subprocess
import tempfile
import unittest

from traffic import packets

SENSOR = None  # set by run.py
KEEP = None
# One cache of compiled rules for the tests of a run, and not the user's: most tests load the same pack.
CACHE = tempfile.TemporaryDirectory(prefix="sekisho-cache-")
ENVIRONMENT = dict(os.environ, XDG_CACHE_HOME=CACHE.name, LC_ALL="C.UTF-8")
TOP = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
SHARED = os.environ.get("SEKISHO_SHARED", os.path.join(os.path.dirname(TOP), "shared"))
PACK = os.path.join(TOP, "sigs", "rules")
TIMEOUT_S = 120  # of one run: a sensor that takes longer for these captures hangs

CONFIG = """\
vars:
  address-groups:
    HOME_NET: "[10.0.0.0/8,192.168.0.0/16]"
    EXTERNAL_NET: "!$HOME_NET"
  port-groups:
    HTTP_PORTS: "80"
"""


def pack_rules():
    """The text of the whole JSIG pack."""
    text = []
    for path in sorted(glob.glob(os.path.join(PACK, "*.rules"))):
        with open(path, encoding="utf-8") as f:
            text.append(f.read())
    return "".join(text)


class Outcome:
    """What a run left: exit code, words, records, forwarded frames."""

    def __init__(self, done, folder, forwarded):
        self.code, self.folder = done.returncode, folder
        self.words = done.stdout.decode("utf-8", "replace")
        self.errors = done.stderr.decode("utf-8", "replace")
        self.eve = os.path.join(folder, "eve.json")
        self._forwarded = forwarded

    def path(self, name):
        return os.path.join(self.folder, name)

    def records(self, kind=None):
        if not os.path.exists(self.eve):
            return []
        with open(self.eve, encoding="utf-8") as f:
            records = [json.loads(line) for line in f]
        return [r for r in records if kind is None or r["event_type"] == kind]

    def alerts(self):
        """Counter of sid."""
        return collections.Counter(r["alert"]["signature_id"] for r in self.records("alert"))

    def forwarded(self):
        """The frames that would have been forwarded."""
        return [frame for _, frame in packets.read(self._forwarded)]


class Case(unittest.TestCase):
    maxDiff = 4000

    def setUp(self):
        self.serial = 0
        if KEEP:
            self.folder = os.path.join(os.path.abspath(KEEP), self.id())
            shutil.rmtree(self.folder, ignore_errors=True)
            os.makedirs(self.folder)
        else:
            self.folder = tempfile.mkdtemp(prefix="sekisho-test-")
            self.addCleanup(shutil.rmtree, self.folder, True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def file(self, name, content):
        with open(self.path(name), "wb" if isinstance(content, bytes) else "w") as f:
            f.write(content)
        return self.path(name)

    def capture(self, frames, name=None):
        self.serial += 1
        path = self.path(name or "%d.pcap" % self.serial)
        packets.write(path, frames)
        return path

    def call(self, *arguments, stdin=None):
        """The sensor as it is called; never longer than TIMEOUT_S, and a signal (a crash) fails the test."""
        done = subprocess.run([SENSOR, *arguments], stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=TIMEOUT_S, cwd=self.folder, env=ENVIRONMENT)
        for sign in (b"AddressSanitizer", b"LeakSanitizer", b"runtime error:"):
            self.assertNotIn(sign, done.stderr, "%s: %s" % (arguments, done.stderr.decode("utf-8", "replace")[:4000]))
        self.assertGreaterEqual(done.returncode, 0, "%s died by a signal: %s" % (
            arguments, done.stderr.decode("utf-8", "replace")[-2000:]))
        return done

    def replay(self, captures, rules=None, config=CONFIG, inline=False, checksum=True, options=(), code=0):
        """Judges frames, a path, or a list of paths; rules are text (default: the JSIG pack)."""
        if isinstance(captures, str):
            captures = [captures]
        elif not (captures and isinstance(captures[0], str)):
            captures = [self.capture(captures)]
        self.serial += 1
        folder = self.path("out%d" % self.serial)
        os.makedirs(folder)
        forwarded = os.path.join(folder, "forwarded.pcap")
        arguments = ["replay", "-c", self.file("sekisho.yaml", config), "-S",
                     self.file("test.rules", pack_rules() if rules is None else rules), "-l", folder]
        arguments += ["--inline", "-w", forwarded] if inline else []
        arguments += [] if checksum else ["--checksum", "none"]
        done = self.call(*arguments, *options, *captures)
        outcome = Outcome(done, folder, forwarded)
        if code is not None:
            self.assertEqual(done.returncode, code, outcome.errors + outcome.words)
        return outcome


def tcp_payloads(frames, source=None):
    """The payload bytes of each IPv4 TCP frame without tags or tunnels, of all or of one source."""
    out = []
    for frame in frames:
        if frame[12:14] == b"\x08\x00" and frame[23] == packets.TCP and \
                (source is None or frame[26:30] == packets.address(source)):
            total = int.from_bytes(frame[16:18], "big")
            segment = frame[14 + (frame[14] & 15) * 4:14 + total]
            out.append(segment[(segment[12] >> 4) * 4:])
    return out


def cache_config(folder):
    """The lines of sekisho.yaml that say where compiled rules are kept."""
    return 'cache-dir: "%s"\n' % folder
