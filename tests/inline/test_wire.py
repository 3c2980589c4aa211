# SPDX-License-Identifier: BSD-3-Clause
"""What only a bump in the wire meets: tags, frames that are no IP, and the wire's own order."""
import shutil
import socket
import struct
import unittest

import case
from case import BACKEND
from lab import DESK, OUTSIDE, OUTSIDE6, WEB_SERVER, WEB_SERVER6, wait_for
from test_normal import bulk



class Tagged(case.Case):
    """Everything carries a VLAN tag."""

    @classmethod
    def setUpClass(cls):
        if BACKEND == "nfq":
            raise unittest.SkipTest("a router's queue has no tags")
        if not shutil.which("clang") or not shutil.which("tc"):
            raise unittest.SkipTest("clang and tc (Debian's iproute2) put the tags on")
        super().setUpClass()

    @classmethod
    def prepare(cls):
        cls.network.tag(cls.folder)
        cls.watch = cls.network.watch(cls.network.dmz)

    def test_tagged_sessions_arrive_byte_for_byte(self):
        for source, address in ((OUTSIDE, WEB_SERVER), (DESK, OUTSIDE), (OUTSIDE6, WEB_SERVER6)):
            sent, came = bulk(self.network, source, address, 2 << 20, source)
            self.assertEqual(came, sent)
        tagged = [f for f in self.watch.sent if f[12:16] == struct.pack("!HH", 0x8100, 7)]
        self.assertGreater(len(tagged), 100, "the frames had no tag at all")

    def test_tagged_pings_of_any_size_come_back(self):
        for size in (0, 1472, 9000):
            self.assertTrue(self.network.reaches(OUTSIDE, WEB_SERVER, size), size)


class Ethernet(case.Case):
    """Frames of other kinds pass as they are."""

    @classmethod
    def setUpClass(cls):
        if BACKEND == "nfq":
            raise unittest.SkipTest("a router forwards IP alone")
        super().setUpClass()

    def send_frames(self, frames):
        """Sends frames from outside; returns those of their kind that came before the DMZ server, in order."""
        watch = self.network.watch(self.network.dmz)
        with self.network.outside.inside():
            s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        with s:
            s.bind(("eth0", 0))
            for frame in frames:
                s.send(frame)
        kind = frames[0][12:14]
        wait_for(lambda: len([f for f in watch.frames if f[12:14] == kind]) >= len(frames), "%d frames" % len(frames))
        watch.settle(self.network.outside, OUTSIDE, WEB_SERVER)
        return [f for f in watch.frames if f[12:14] == kind]

    def test_frames_that_are_no_ip_pass_unchanged_and_in_order(self):
        macs = b"\xff" * 6 + b"\2\0\0\0\0\x42"
        for kind in (0x88B5, 0x88CC, 0x8847):  # local experimental, LLDP, MPLS
            frames = [macs + struct.pack("!H", kind) + struct.pack("!I", n << 12 | 0x1FF) + bytes(n % 1400 + 46) for n in range(200)]
            with self.subTest("0x%04x" % kind):
                self.assertEqual(self.send_frames(frames), frames)

    def test_frames_of_the_greatest_size_pass(self):
        macs = b"\xff" * 6 + b"\2\0\0\0\0\x42"
        frames = [macs + b"\x88\xb5" + bytes(size - 14) for size in (60, 64, 1513, 1514)]
        self.assertEqual(self.send_frames(frames), frames)


if __name__ == "__main__":
    unittest.main()
