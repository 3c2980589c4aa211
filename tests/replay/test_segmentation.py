# SPDX-License-Identifier: BSD-3-Clause
"""However the same attack is cut, shuffled or wrapped, the same signatures see it."""
import harness
from traffic import attacks, packets

# Attacks over TCP in one flow or several; threshold rules count the same in any dress.
OVER_TCP = [n for n in attacks.ATTACKS if n not in ("scan-xmas", "scan-sweep", "c2-dns-data", "c2-dns-null")]


# What completes each of these lies behind the end of its literal: a number tested, more data, a look ahead, Base64.
BEHIND_A_LITERAL = """\
alert tcp any any -> any 80 (msg:"a"; content:"GET "; depth:4; content:"HTTP/1."; byte_test:1,>=,0,0,relative,string,dec; sid:1;)
alert tcp any any -> any 80 (msg:"b"; content:"HTTP/1."; isdataat:1,relative; sid:2;)
alert tcp any any -> any 80 (msg:"c"; content:"GET "; byte_jump:1,0; isdataat:2,relative; sid:3;)
alert tcp any any -> any 80 (msg:"d"; content:"HTTP/1."; pcre:"/HTTP.1\\.(?=1.{0,3}Host)/s"; sid:4;)
alert tcp any any -> any 80 (msg:"e"; content:"X-Blob|3a 20|"; base64_decode:bytes 8,relative; base64_data; content:"attack"; sid:5;)
alert tcp any any -> any 80 (msg:"f"; content:"HTTP/1."; content:"|0d 0a|"; distance:1; within:2; sid:6;)
"""


class Segmentation(harness.Case):
    def same(self, names, dress=lambda frames: frames, **options):
        for name in names:
            with self.subTest(name):
                self.assertEqual(dict(self.replay(dress(attacks.build(name, **options))).alerts()), attacks.ATTACKS[name][1])

    def test_segments_of_one_byte(self):
        self.same(OVER_TCP, segment=1)

    def test_segments_of_seven_bytes(self):
        self.same(OVER_TCP, segment=7)

    def test_segments_out_of_order(self):
        self.same(OVER_TCP, segment=23, shuffle=True)

    def test_ip_fragments(self):
        self.same(attacks.ATTACKS, lambda frames: packets.fragmented(frames, 24))

    def test_ip_fragments_backwards(self):
        self.same(attacks.ATTACKS, lambda frames: packets.fragmented(frames, 64, backwards=True))

    def test_vlan(self):
        self.same(attacks.ATTACKS, lambda frames: packets.in_vlan(frames, 12))

    def test_qinq(self):
        self.same(attacks.ATTACKS, lambda frames: packets.in_vlan(frames, 100, 12))

    def test_gre(self):
        self.same(attacks.ATTACKS, packets.in_gre)

    def test_vxlan(self):
        self.same(attacks.ATTACKS, packets.in_vxlan)

    def test_ip_in_ip(self):
        self.same(attacks.ATTACKS, packets.in_ip)

    def test_fragments_of_a_tunnel_in_a_vlan(self):
        self.same(attacks.ATTACKS, lambda frames: packets.in_vlan(packets.fragmented(packets.in_gre(frames), 48), 7))

    def test_two_sides_that_both_stop_in_the_middle_of_a_line(self):
        capture = packets.Capture()
        session = capture.session(packets.OUTSIDE, packets.WEB_SERVER, 80)
        session.client(b"GET / HTTP/1.1\r\nHost: www.ex").server(b"HTTP/1.1 200 OK\r\nServer: ng")
        session.client(b"ample.com\r\n\r\n").server(b"inx\r\nContent-Length: 0\r\n\r\n").close()
        self.assertEqual(self.replay(capture.frames).records("http")[0]["http"]["hostname"], "www.example.com")

    def test_what_completes_a_match_may_come_after_its_literal(self):
        for segment in (packets.MSS, 1, 3, 20):
            for inline in (False, True):
                with self.subTest(segment=segment, inline=inline):
                    capture = packets.Capture()
                    session = capture.session(packets.OUTSIDE, packets.WEB_SERVER, 80, segment=segment)
                    session.client(b"GET /0/index.html HTTP/1.1\r\nHost: www.example.com\r\nX-Blob: YXR0YWNr\r\n"
                                   b"Accept: */*\r\n\r\n")
                    session.server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").close()
                    outcome = self.replay(capture.frames, BEHIND_A_LITERAL, inline=inline)
                    self.assertEqual(set(outcome.alerts()), set(range(1, 7)))
                    if inline and segment < 20:  # a whole segment is looked at by itself, too
                        self.assertEqual(set(outcome.alerts().values()), {1})

    def test_each_attack_is_seen_inline_too(self):
        for name in OVER_TCP:
            with self.subTest(name):
                wanted = attacks.ATTACKS[name][1]
                seen = set(self.replay(attacks.build(name, segment=7), inline=True).alerts())
                # What shows success in the answer never comes when the attempt before it was blocked.
                self.assertLessEqual(seen, set(wanted))
                self.assertIn(next(iter(wanted)), seen)
