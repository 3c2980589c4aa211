# SPDX-License-Identifier: BSD-3-Clause
"""TLS sessions as a client and a server had them (the corpus of the fuzz target), cut in all ways."""
import os
import struct

import harness
from traffic import packets

CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fuzz", "corpus", "tls")
RULES = """
alert tls any any -> any any (msg:"name"; tls.sni; content:"example.jp"; endswith; sid:1;)
alert tls any any -> any any (msg:"fingerprint"; ja3.hash; content:"104774240db569f8f87b1a28206b25e5"; sid:2;)
alert tls any any -> any any (msg:"server"; ja3s.hash; content:"e195432758194ce2d482396b82e0d48e"; sid:3;)
alert tls any any -> any any (msg:"subject"; tls.cert_subject; content:"CN=www.example.jp"; sid:4;)
alert tls any any -> any any (msg:"client's"; flow:to_server; tls.cert_subject; content:"CN=traveller"; sid:5;)
alert tls:client_cert_done any any -> any any (msg:"hook"; tls.cert_issuer; content:"O=Edo"; sid:6;)
alert tls any any -> any any (msg:"version"; tls.version:1.2; flow:to_client; sid:7;)
alert tls any any -> any any (msg:"key exchange"; ssl_state:client_keyx; sid:8;)
alert tls any any => any any (msg:"both"; ja3s.string; content:"771,49196"; ja4.hash; content:"t12d1508h2_"; sid:9;)
"""


def session(name, segment=packets.MSS):
    """The frames of a corpus file's session: each piece after its direction and length."""
    capture = packets.Capture()
    tcp = capture.session(packets.DESK, packets.OUTSIDE, 443, segment=segment)
    with open(os.path.join(CORPUS, name), "rb") as f:
        data = f.read()
    while data:
        side, length = struct.unpack("!BH", data[:3])
        (tcp.server if side & 1 else tcp.client)(data[3:3 + length])
        data = data[3 + length:]
    tcp.close()
    return capture.frames


class Tls(harness.Case):
    def test_the_handshake_is_judged_wherever_segments_end(self):
        for segment in (packets.MSS, 100, 7, 1):
            for inline in (False, True):
                with self.subTest(segment=segment, inline=inline):
                    outcome = self.replay(session("tls12-client-certificate", segment), rules=RULES, inline=inline)
                    self.assertEqual(dict(outcome.alerts()), {sid: 1 for sid in range(1, 10)})
                    self.assertEqual([r["tls"]["client"]["subject"] for r in outcome.records("tls")],
                                     ["CN=traveller, O=Edo"])

    def test_a_session_without_client_certificate(self):
        outcome = self.replay(session("tls12"), rules=RULES)
        self.assertEqual(dict(outcome.alerts()), {sid: 1 for sid in (1, 2, 3, 4, 7, 8, 9)})
        record = outcome.records("tls")[0]["tls"]
        self.assertEqual(record["subjectaltname"], ["www.example.jp", "*.example.jp", "192.0.2.7"])
        self.assertEqual(record["version"], "TLS 1.2")
        self.assertEqual(record["ja3s"]["string"], "771,49196,65281-11-35-16-23")
        self.assertEqual((record["client_alpns"], record["server_alpns"]), (["h2", "http/1.1"], ["h2"]))
        self.assertNotIn("session_resumed", record)

    def test_what_was_said_in_the_clear_is_inspected_though_encrypted_data_follows_at_once(self):
        rules = 'alert tcp-stream any any -> any any (msg:"raw"; flow:to_server; content:"|00 0e|www.example.jp"; sid:1;)\n' \
                'alert tcp-stream any any -> any any (msg:"raw"; flow:to_client; content:"|16 03 03|"; depth:3; sid:2;)\n'
        for inline in (False, True):
            with self.subTest(inline=inline):
                outcome = self.replay(session("tls13"), rules=rules, inline=inline)
                self.assertEqual(dict(outcome.alerts()), {1: 1, 2: 1})

    def test_an_encrypted_session_may_be_bypassed_once_its_handshake_was_judged(self):
        rules = RULES + 'alert tcp any any -> any any (msg:"end"; flags:F+; sid:20;)\n'
        outcome = self.replay(session("tls12-client-certificate"), rules=rules, inline=True)
        self.assertEqual(dict(outcome.alerts()), {20: 2, **{sid: 1 for sid in range(1, 10)}})
        flow, = [r for r in outcome.records("flow")]
        self.assertEqual(flow["flow"]["state"], "closed")
        outcome = self.replay(session("tls12-client-certificate"), rules=rules, inline=True,
                              options=["--set", "app-layer.protocols.tls.encryption-handling=bypass"])
        self.assertEqual(dict(outcome.alerts()), {sid: 1 for sid in range(1, 10)})
        self.assertEqual(outcome.forwarded(), [frame for _, frame in session("tls12-client-certificate")])
        flow, = [r for r in outcome.records("flow")]
        self.assertEqual(flow["flow"]["state"], "bypassed")

    def test_a_new_session_on_the_ports_of_a_bypassed_one_is_judged(self):
        frames = session("tls12") + session("tls12-client-certificate")
        outcome = self.replay(frames, rules=RULES, inline=True,
                              options=["--set", "app-layer.protocols.tls.encryption-handling=bypass"])
        self.assertEqual(outcome.alerts()[5], 1)

    def test_a_name_that_is_dropped_inline_gets_no_answer(self):
        rules = 'drop tls any any -> any any (msg:"name"; tls.sni; content:"www.example.jp"; sid:1;)'
        outcome = self.replay(session("tls13", 100), rules=rules, inline=True)
        self.assertEqual(dict(outcome.alerts()), {1: 1})
        self.assertNotIn(b"\x16\x03\x03", b"".join(harness.tcp_payloads(outcome.forwarded(), packets.OUTSIDE)))
