# SPDX-License-Identifier: BSD-3-Clause
"""Capture files: formats, several at once, and broken ones, which end with a message after all that could be read."""
import gzip
import json
import os
import struct
import subprocess

import harness
from traffic import attacks, harmless, packets

TEXT_RULE = 'alert tcp any any -> any any (msg:"get"; flow:to_server; content:"GET /"; sid:5;)\n'


class Captures(harness.Case):
    def setUp(self):
        super().setUp()
        self.frames = attacks.build("log4shell")

    def test_formats(self):
        for name in ("a.pcap", "a.pcapng", "a.pcap.gz", "a.pcapng.gz"):
            with self.subTest(name):
                self.assertEqual(dict(self.replay(self.capture(self.frames, name)).alerts()), {9000030: 1})

    def test_the_other_byte_order_and_nanoseconds(self):
        data = [struct.pack(">IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1)]
        for us, frame in self.frames:
            data.append(struct.pack(">IIII", us // 1_000_000, us % 1_000_000 * 1000, len(frame), len(frame)) + frame)
        self.assertEqual(dict(self.replay(self.file("be.pcap", b"".join(data))).alerts()), {9000030: 1})

    def test_link_types(self):
        bodies = {101: lambda f: f[14:], 0: lambda f: struct.pack("<I", 2) + f[14:], 108: lambda f: struct.pack(">I", 2) + f[14:],
                  113: lambda f: struct.pack("!HHH8sH", 0, 1, 6, f[6:12], 0x0800) + f[14:],
                  276: lambda f: struct.pack("!HHIHBB8s", 0x0800, 0, 1, 1, 0, 6, f[6:12]) + f[14:]}
        for link_type, body in bodies.items():
            with self.subTest(link_type):
                data = packets.pcap_bytes([(us, body(f)) for us, f in self.frames], link_type)
                self.assertEqual(dict(self.replay(self.file("l%d.pcap" % link_type, data)).alerts()), {9000030: 1})

    def test_several_files_in_one_call(self):
        names = ["log4shell", "sqli-union", "webshell-upload"]
        paths = [self.capture(attacks.build(n)) for n in names]
        wanted = {sid: 1 for n in names for sid in attacks.ATTACKS[n][1]}
        self.assertEqual(dict(self.replay(paths).alerts()), wanted)

    def test_a_session_that_goes_on_in_the_next_file(self):
        half = len(self.frames) // 2
        frames = attacks.build("log4shell", segment=30)
        half = len(frames) // 2
        paths = [self.capture(frames[:half]), self.capture(frames[half:])]
        self.assertEqual(dict(self.replay(paths).alerts()), {9000030: 1})

    def test_standard_input(self):
        path = self.capture(self.frames)
        folder = self.path("stdin")
        os.makedirs(folder)
        with open(path, "rb") as f:
            done = self.call("replay", "-c", self.file("c.yaml", harness.CONFIG), "-S", self.file("r", harness.pack_rules()),
                             "-l", folder, "-", stdin=f)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(dict(harness.Outcome(done, folder, None).alerts()), {9000030: 1})

    def test_an_empty_capture_is_no_error(self):
        self.assertEqual(self.replay(self.file("none.pcap", packets.pcap_bytes([]))).records("alert"), [])

    def broken(self, name, data, number=None):
        outcome = self.replay(self.file(name, data), code=None)
        self.assertNotEqual(outcome.code, 0)
        self.assertIn(name, outcome.errors)
        if number is not None:
            self.assertRegex(outcome.errors, r"\b%d\b" % number)
        return outcome

    def test_a_truncated_capture_is_judged_as_far_as_it_goes(self):
        frames = attacks.build("log4shell") + [(us + 10_000_000, f) for us, f in harmless.build("browsing")]
        data = packets.pcap_bytes(frames)
        outcome = self.broken("cut.pcap", data[:-17], len(frames))
        self.assertEqual(dict(outcome.alerts()), {9000030: 1})

    def test_a_truncated_pcapng(self):
        data = packets.pcapng_bytes(self.frames + harmless.build("browsing"))
        self.assertEqual(dict(self.broken("cut.pcapng", data[:-17]).alerts()), {9000030: 1})

    def test_a_truncated_gzip(self):
        data = gzip.compress(packets.pcap_bytes(self.frames + harmless.build("download")), mtime=0)
        self.assertEqual(dict(self.broken("cut.pcap.gz", data[:-40000]).alerts()), {9000030: 1})

    def test_a_packet_with_an_impossible_length(self):
        data = packets.pcap_bytes(self.frames) + struct.pack("<IIII", 1, 1, 0x7FFFFFFF, 0x7FFFFFFF) + bytes(64)
        outcome = self.broken("length.pcap", data, len(self.frames) + 1)
        self.assertEqual(dict(outcome.alerts()), {9000030: 1})

    def test_what_is_no_capture(self):
        self.broken("text.pcap", b"this is a letter, not a capture\n" * 9)
        self.broken("empty.pcap", b"")

    def test_a_capture_that_is_not_there(self):
        outcome = self.replay(self.path("nowhere.pcap"), code=None)
        self.assertNotEqual(outcome.code, 0)
        self.assertIn("nowhere.pcap", outcome.errors)

    def test_the_files_after_a_broken_one_are_still_judged(self):
        cut = self.file("first.pcap", packets.pcap_bytes(harmless.build("browsing"))[:-9])
        outcome = self.replay([cut, self.capture(self.frames)], code=None)
        self.assertNotEqual(outcome.code, 0)
        self.assertIn("first.pcap", outcome.errors)
        self.assertEqual(dict(outcome.alerts()), {9000030: 1})

    def test_a_snapped_packet_is_not_taken_for_a_whole_one(self):
        data = packets.pcap_bytes([])
        for us, frame in self.frames:
            data += struct.pack("<IIII", us // 1_000_000, us % 1_000_000, min(len(frame), 80), len(frame)) + frame[:80]
        self.assertEqual(self.replay(self.file("snap.pcap", data)).alerts()[9000030], 0)

    def test_bad_checksums_are_ignored_by_the_end_host_and_by_us(self):
        frames = [(us, f[:50] + bytes([f[50] ^ 0x55]) + f[51:] if len(f) > 100 else f) for us, f in self.frames]
        self.assertEqual(dict(self.replay(frames).alerts()), {})
        self.assertEqual(dict(self.replay(frames, checksum=False).alerts()), {9000030: 1})


class Output(harness.Case):
    """What cannot be written is said, once, and in the exit code; and it never ends up in another file."""

    def replay_into(self, stdout, *options, closed=()):
        folder = self.path("out")
        os.makedirs(folder, exist_ok=True)
        command = [harness.SENSOR, "replay", "-c", self.file("c.yaml", harness.CONFIG), "-S", self.file("r", TEXT_RULE),
                   "-l", folder, *options, self.capture(attacks.build("log4shell"))]
        done = subprocess.run(["sh", "-c", 'exec "$@" ' + " ".join(closed), "sh", *command], stdin=subprocess.DEVNULL,
                              stdout=stdout, stderr=subprocess.PIPE, timeout=harness.TIMEOUT_S, env=harness.ENVIRONMENT)
        return done.returncode, done.stderr.decode(), os.path.join(folder, "eve.json")

    def test_a_full_standard_output(self):
        with open("/dev/full", "wb") as full:
            code, errors, _ = self.replay_into(full, "--json")
        self.assertEqual(code, 1)
        self.assertEqual(errors.count("standard output"), 1, errors)

    def test_a_closed_standard_output(self):
        code, errors, eve = self.replay_into(None, "--json", closed=[">&-"])
        self.assertEqual(code, 1)
        self.assertEqual(errors.count("standard output"), 1, errors)
        with open(eve, encoding="utf-8") as f:
            self.assertTrue(all("event_type" in json.loads(line) for line in f))

    def test_nothing_to_say_needs_no_output(self):
        self.assertEqual(self.replay_into(None, "-q", closed=[">&-"])[:2], (0, ""))

    def test_messages_do_not_get_into_the_written_capture(self):
        out = self.path("w.pcap")
        cut = self.file("cut.pcap", packets.pcap_bytes(harmless.build("browsing"))[:-9])
        for closed in (["2>&-"], ["<&-", ">&-", "2>&-"]):
            with self.subTest(closed):
                code, _, eve = self.replay_into(None, "--inline", "-w", out, cut, closed=closed)
                self.assertEqual(code, 1)
                with open(out, "rb") as f:
                    self.assertFalse(b"cut.pcap" in f.read())
                self.assertTrue(list(packets.read(out)))
                with open(eve, encoding="utf-8") as f:
                    self.assertTrue(all("event_type" in json.loads(line) for line in f))

    def test_an_error_is_told_once(self):
        outcome = self.replay(self.file("empty.pcap", b""), code=None)
        self.assertEqual(outcome.errors.count("empty.pcap"), 1, outcome.errors)
