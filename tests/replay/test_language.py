# SPDX-License-Identifier: BSD-3-Clause
"""The rule language end to end: how often a rule alerts, and what its alert carries besides."""
import math
import struct

import harness
from traffic import packets, protocols
from traffic.packets import ACK, FIN, SYN

CLIENT, SERVER = "198.51.100.9", "10.0.0.80"
# NOP, NOP, TCP fast open with a cookie of eight bytes
FAST_OPEN = b"\x01\x01\x22\x0a12345678"


def part(mark, filename, content):
    return ("--%s\r\nContent-Disposition: form-data; name=\"f\"; filename=\"%s\"\r\n\r\n" % (mark, filename)).encode() + \
        content + b"\r\n"


def upload_of_two(first, second):
    """One request with two files, each in segments of its own."""
    mark = "mark5f1c"
    pieces = [part(mark, first, b"A" * 40), part(mark, second, b"B" * 40), ("--%s--\r\n" % mark).encode()]
    head = "POST /upload HTTP/1.1\r\nHost: www.example.com\r\nContent-Type: multipart/form-data; boundary=%s\r\n" \
           "Content-Length: %d\r\n\r\n" % (mark, sum(map(len, pieces)))
    capture = packets.Capture()
    session = capture.session(CLIENT, SERVER, 80)
    session.client(head.encode())
    for piece in pieces:
        session.client(piece)
    session.server(protocols.response(b"ok")).close()
    return capture.frames


def answered(body, segment=packets.MSS):
    capture = packets.Capture()
    session = capture.session(CLIENT, SERVER, 80, segment=segment)
    session.client(protocols.request("GET", "/")).server(protocols.response(body)).close()
    return capture.frames


class Files(harness.Case):
    def named(self, rules):
        records = self.replay(upload_of_two("picture1.jpg", "picture2.jpg"), rules).records("alert")
        return [r["files"][0]["filename"] for r in records]

    def test_a_rule_alerts_for_each_file_that_it_matches(self):
        rules = 'alert http any any -> any any (http.method; content:"POST"; filename:"picture"; sid:1;)'
        self.assertEqual(self.named(rules), ["picture1.jpg", "picture2.jpg"])

    def test_a_rule_alerts_once_for_the_one_file_that_it_matches(self):
        self.assertEqual(self.named('alert http any any -> any any (filename:"picture1"; sid:1;)'), ["picture1.jpg"])
        self.assertEqual(self.named('alert http any any -> any any (filename:"picture2"; sid:1;)'), ["picture2.jpg"])

    def test_what_asks_for_no_file_alerts_once(self):
        frames = upload_of_two("a", "b")
        rules = 'alert http any any -> any any (http.method; content:"POST"; sid:1;)'
        self.assertEqual(self.replay(frames, rules).alerts(), {1: 1})


class Entropy(harness.Case):
    BODY = b"aaaabbbbccccdddd" * 4  # four values, equally often: two bits a byte

    def test_the_value_found_is_in_the_record(self):
        rules = "alert http any any -> any any (flow:to_client; file.data; entropy:value >= 2; sid:1;)"
        record = self.replay(answered(self.BODY), rules).records("alert")[0]
        self.assertEqual(record["metadata"]["entropy"], {"file_data": 2})

    def test_the_record_has_every_digit(self):
        body = b"aab" * 10
        want = -(20 / 30 * math.log2(20 / 30) + 10 / 30 * math.log2(10 / 30))
        rules = "alert http any any -> any any (flow:to_client; file.data; entropy:value < 1; sid:1;)"
        record = self.replay(answered(body), rules).records("alert")[0]
        self.assertAlmostEqual(record["metadata"]["entropy"]["file_data"], want, delta=1e-14)

    def test_what_is_not_there_has_no_entropy(self):
        rules = "".join("alert http any any -> any any (flow:to_client; file.data; entropy:%s; sid:%d;)\n" % x for x in (
            ("value < 8, offset 64", 1), ("value < 8, offset 65", 2), ("value < 8, bytes 64", 3), ("value < 8, bytes 65", 4)))
        self.assertEqual(self.replay(answered(self.BODY), rules).alerts(), {1: 1, 3: 1})


class Context(harness.Case):
    def test_what_an_expression_captures_for_the_alert_is_in_it(self):
        frames = packets.Capture()
        frames.session(CLIENT, SERVER, 80).client(protocols.request("GET", "/", agent="Curl/8.1 odd")).close()
        rules = 'alert http any any -> any any (http.user_agent; pcre:"/^(?P<alert_tool>[a-z]+)/i"; sid:1;)\n' \
                'alert http any any -> any any (http.user_agent; pcre:"/^(\\w+).(\\d)/, alert:name, flow:major"; sid:2;)\n' \
                'alert http any any -> any any (http.user_agent; content:"Curl"; sid:3;)\n'
        alerts = {r["alert"]["signature_id"]: r for r in self.replay(frames.frames, rules).records("alert")}
        self.assertEqual(alerts[1]["alert"]["context"], {"tool": "Curl"})
        self.assertEqual(alerts[2]["alert"]["context"], {"name": "Curl"})
        self.assertEqual(alerts[2]["metadata"]["flowvars"], [{"major": "8"}])
        self.assertNotIn("context", alerts[3]["alert"])


class Hooks(harness.Case):
    def test_a_bare_hook_alerts_whenever_data_comes_while_it_holds(self):
        rules = "".join("alert http1:response_%s any any -> any any (sid:%d;)\n" % x
                        for x in (("headers", 1), ("body", 2), ("complete", 3)))
        whole = self.replay(answered(b"x" * 4000, segment=8000), rules).alerts()
        pieces = self.replay(answered(b"x" * 4000, segment=500), rules).alerts()
        self.assertEqual((whole[1], whole[3]), (1, 1))
        self.assertEqual((pieces[1], pieces[3]), (1, 1))
        self.assertGreater(pieces[2], whole[2] + 3)

    def test_a_hook_with_a_buffer_alerts_once(self):
        rules = 'alert http1:response_body any any -> any any (http.stat_code; content:"200"; sid:1;)'
        self.assertEqual(self.replay(answered(b"x" * 4000, segment=500), rules).alerts(), {1: 1})


class Unreadable(harness.Case):
    """A packet whose transport header is cut is still one of that transport."""

    def test_decode_events_under_the_rule_s_protocol(self):
        capture = packets.Capture()
        for proto in (packets.TCP, packets.UDP):
            capture.add_ip(CLIENT, SERVER, proto, b"\x12\x34")
        rules = "alert tcp any any -> any any (decode-event:tcp.pkt_too_small; sid:1;)\n" \
                "alert udp any any -> any any (decode-event:udp.hlen_too_small; sid:2;)\n" \
                "alert udp any any -> any any (decode-event:tcp.pkt_too_small; sid:3;)\n" \
                "alert tcp any any -> any any (sid:4;)\n" \
                "alert ip any any -> any any (decode-event:tcp.pkt_too_small; sid:5;)\n" \
                "alert tcp any any -> 10.0.0.81 any (decode-event:tcp.pkt_too_small; sid:6;)\n"
        self.assertEqual(self.replay(capture.frames, rules).alerts(), {1: 1, 2: 1, 5: 1})


class FastOpen(harness.Case):
    def frames(self):
        capture = packets.Capture()
        session = packets.Session.__new__(packets.Session)
        session.capture, session.segment, session.shuffle = capture, packets.MSS, False
        session.ends, session.seq = ((CLIENT, 40000), (SERVER, 80)), [1000, 9000]
        data = protocols.request("GET", "/early")
        session.emit(0, SYN, data, seq=999, ack=0, options=FAST_OPEN)
        session.seq[0] += len(data)
        session.emit(1, SYN | ACK, seq=8999, ack=session.seq[0])
        session.emit(0, ACK)
        session.server(protocols.response(b"ok"))
        session.emit(0, FIN | ACK)
        return capture.frames

    def test_data_on_the_syn_counts_once_it_is_acknowledged_in_the_session(self):
        rules = "alert http any any -> any any (flow:to_server; sid:1;)\n" \
                'alert http any any -> any any (http.uri; content:"/early"; sid:2;)\n'
        records = self.replay(self.frames(), rules).records("alert")
        first = min(r["pcap_cnt"] for r in records)
        self.assertGreater(first, 4)
        self.assertEqual(sum(r["alert"]["signature_id"] == 2 for r in records), 1)

    def test_inline_it_counts_when_it_comes(self):
        rules = 'drop http any any -> any any (http.uri; content:"/early"; sid:2;)\n'
        outcome = self.replay(self.frames(), rules, inline=True)
        self.assertEqual(outcome.alerts(), {2: 1})
        self.assertNotIn(b"GET /early", b"".join(harness.tcp_payloads(outcome.forwarded())))
