# SPDX-License-Identifier: BSD-3-Clause
"""Memory: what ended gives back what it held, so that what comes later is inspected in it."""
import harness
from traffic import packets

RULE = 'alert http any any -> any any (msg:"late"; flow:established,to_server; http.uri; content:"/the-last-one"; sid:1;)\n'
SMALL = harness.CONFIG + """\
app-layer:
  memcap: 1mb
stream:
  reassembly:
    memcap: 1mb
"""
DOWNLOADS = 60
BODY = b"sixteen bytes...".ljust(16) * 3700  # more than a window keeps, and together far more than the limits


def downloads(end):
    """Downloads one after the other, each ended by `end`, then a request that a rule looks for."""
    capture = packets.Capture(step_us=20)
    for i in range(DOWNLOADS + 1):
        session = capture.session("10.2.0.15", "198.51.100.%d" % (i + 1), 80)
        path = b"/the-last-one" if i == DOWNLOADS else b"/file"
        session.client(b"GET " + path + b" HTTP/1.1\r\nHost: files.example\r\n\r\n")
        session.server(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + BODY)
        end(session)
    return capture.frames


class Memory(harness.Case):
    def check(self, frames, inline):
        outcome = self.replay(frames, RULE, config=SMALL, inline=inline)
        stats = outcome.records("stats")[-1]["stats"]
        self.assertEqual(stats["app_layer"].get("memcap", 0), 0)
        self.assertEqual(stats["tcp"].get("segment_memcap_drop", 0), 0)
        self.assertEqual(dict(outcome.alerts()), {1: 1})

    def test_sessions_that_were_reset_hold_nothing(self):
        for inline in (False, True):
            for side in (0, 1):
                with self.subTest(inline=inline, side=side):
                    self.check(downloads(lambda session: session.reset(side)), inline)

    def test_sessions_that_were_closed_hold_nothing(self):
        for inline in (False, True):
            with self.subTest(inline=inline):
                self.check(downloads(lambda session: session.close()), inline)
