# SPDX-License-Identifier: BSD-3-Clause
"""Decoding: what every link type and tunnel carries is inspected, and every malformed header is an event that a rule can match."""
import os
import re
import struct

import harness
from traffic import packets
from traffic.packets import ethernet, in_gre, in_ip, in_vlan, in_vxlan, ip, udp

A, B = "192.0.2.1", "192.0.2.2"
A6, B6 = "2001:db8::1", "2001:db8::2"
MACS = b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01"
LINK_NULL, LINK_ETHERNET, LINK_RAW, LINK_LOOP, LINK_SLL, LINK_SLL2 = 0, 1, 101, 108, 113, 276
LINK_CHDLC, LINK_PPP = 104, 9


def frame(ethertype, body):
    return MACS + struct.pack("!H", ethertype) + body


def ip4(proto, body, options=b"", **fields):
    """An IPv4 packet of which every field can be made wrong."""
    header = {"version": 4, "words": 5 + len(options) // 4, "length": 20 + len(options) + len(body), "fragment": 0}
    header.update(fields)
    head = struct.pack("!BBHHHBBH", header["version"] << 4 | header["words"], 0, header["length"], 7, header["fragment"],
                       64, proto, 0) + packets.address(A) + packets.address(B) + options
    return head[:10] + struct.pack("!H", packets.checksum(head)) + head[12:] + body


def ip6(next_header, body, hops=64, version=6, length=None):
    head = struct.pack("!IHBB", version << 28, len(body) if length is None else length, next_header, hops)
    return head + packets.address(A6) + packets.address(B6) + body


def udp4(payload, dport=9999, sport=50000):
    return udp(A, B, sport, dport, payload)


def tcp_header(words=5, options=b""):
    return struct.pack("!HHIIBBHHH", 50000, 80, 1, 1, words << 4, 0x10, 1000, 0, 0) + options


def gre(flags, proto, body=b""):
    return frame(0x800, ip4(47, struct.pack("!HH", flags, proto) + body))


def mpls(*labels, body=b""):
    out = b""
    for n, label in enumerate(labels):
        out += struct.pack("!I", label << 12 | (0x100 if n == len(labels) - 1 else 0) | 64)
    return frame(0x8847, out + body)


def options(*bytes_):
    """IPv4 with these option bytes, padded to the header's words."""
    raw = bytes(bytes_)
    return frame(0x800, ip4(17, udp4(b"x"), options=raw + b"\0" * (-len(raw) % 4)))


def ext(next_header, *headers, body=b""):
    """IPv6 whose first extension header is `next_header`; each of the headers is whole."""
    return frame(0x86DD, ip6(next_header, b"".join(headers) + body))


def hop(next_header, *bytes_):
    raw = bytes(bytes_)
    raw += b"\0" * (-(len(raw) + 2) % 8)
    return bytes([next_header, (len(raw) + 2) // 8 - 1]) + raw


def fragment6(next_header, offset, more, reserved=0):
    return struct.pack("!BBHI", next_header, reserved, offset | more, 5)


def sctp(*chunks, tag=1, tail=b""):
    return frame(0x800, ip4(132, struct.pack("!HHII", 1, 2, tag, 0) + b"".join(chunks) + tail))


def chunk(kind, body=b"", length=None):
    return struct.pack("!BBH", kind, 0, 4 + len(body) if length is None else length) + body + b"\0" * (-len(body) % 4)


def nsh(first=0, words=6, kind=1, following=1, body=b"\0" * 16):
    return frame(0x894F, struct.pack("!HBBI", first << 14 | words, kind, following, 0) + body)


def pppoe(protocol, body=b"", length=None):
    inner = struct.pack("!H", protocol) + body
    return frame(0x8864, struct.pack("!BBHH", 0x11, 0, 1, len(inner) if length is None else length) + inner)


def arp(hardware=1, protocol=0x800, sizes=(6, 4), opcode=1, body=b"\0" * 20):
    return frame(0x806, struct.pack("!HHBBH", hardware, protocol, *sizes, opcode) + body)


def icmp(kind, code, body=b"\0" * 4):
    return frame(0x800, ip4(1, struct.pack("!BBH", kind, code, 0) + body))


def icmp6(kind, code, body=b"\0" * 4, hops=64):
    return frame(0x86DD, ip6(58, struct.pack("!BBH", kind, code, 0) + body, hops=hops))


def erspan(head, body=b""):
    return gre(0x1000, 0x88BE, b"\0\0\0\1" + head + body)


def tcp4(segment):
    return frame(0x800, ip4(6, segment))


WHOLE = ip4(17, udp4(b"x"))
WHOLE6 = ip6(17, udp(A6, B6, 1, 2, b"x"))
MAX_DEEP = 20

# Events of the link layer alone have their link type beside them; all others come in Ethernet.
EVENTS = {
    "arp.pkt_too_small": frame(0x806, b"\0\1\x08"),
    "arp.unsupported_hardware": arp(hardware=6),
    "arp.unsupported_protocol": arp(protocol=0x86DD),
    "arp.invalid_pkt": arp(body=b"\0" * 19),
    "arp.invalid_hardware_size": arp(sizes=(5, 4)),
    "arp.invalid_protocol_size": arp(sizes=(6, 5)),
    "arp.unsupported_opcode": arp(opcode=9),
    "chdlc.pkt_too_small": (LINK_CHDLC, b"\x0f\0"),
    "dce.pkt_too_small": frame(0x8903, b"\0" * 10),
    "erspan.header_too_small": erspan(b"\x10\x01\0"),
    "erspan.unsupported_version": erspan(b"\x30\x01\0\0\0\0\0\0", frame(0x800, WHOLE)),
    "erspan.too_many_vlan_layers": erspan(b"\x10\x05\0\0\0\0\0\0", MACS + b"\x81\0\0\1" * 3 + b"\x08\0" + WHOLE),
    "esp.pkt_too_small": frame(0x800, ip4(50, b"\0\0\0\1")),
    "etag.header_too_small": frame(0x893F, b"\0" * 5),
    "etag.unknown_type": frame(0x893F, b"\0" * 6 + b"\x12\x34"),
    "ethernet.pkt_too_small": MACS,
    "ethernet.unknown_ethertype": frame(0x1234, b"\0" * 50),
    "geneve.unknown_payload_type": frame(0x800, ip4(17, udp4(struct.pack("!BBHI", 0, 0, 0x1234, 0x500), 6081))),
    "gre.pkt_too_small": frame(0x800, ip4(47, b"\0\0\x08")),
    "gre.wrong_version": gre(2, 0x800),
    "gre.version0_recur": gre(0x0100, 0x800, WHOLE),
    "gre.version0_flags": gre(0x0008, 0x800, WHOLE),
    "gre.version0_hdr_too_big": gre(0xB000, 0x800, b"\0" * 8),
    "gre.version0_malformed_sre_hdr": gre(0x4000, 0x800, b"\0\0\0\0" + struct.pack("!HBB", 0x800, 0, 200)),
    "gre.version1_chksum": gre(0xA001, 0x880B),
    "gre.version1_route": gre(0x6001, 0x880B),
    "gre.version1_ssr": gre(0x2801, 0x880B),
    "gre.version1_recur": gre(0x2101, 0x880B),
    "gre.version1_flags": gre(0x2041, 0x880B),
    "gre.version1_wrong_protocol": gre(0x2001, 0x800),
    "gre.version1_no_key": gre(0x0001, 0x880B),
    "gre.version1_hdr_too_big": gre(0x3081, 0x880B, b"\0" * 4),
    "icmpv4.pkt_too_small": frame(0x800, ip4(1, b"\x08\0\0")),
    "icmpv4.unknown_type": icmp(99, 0),
    "icmpv4.unknown_code": icmp(8, 3),
    "icmpv4.ipv4_trunc_pkt": icmp(3, 1, b"\0" * 4 + WHOLE[:10]),
    "icmpv4.ipv4_unknown_ver": icmp(3, 1, b"\0" * 4 + b"\x65" + WHOLE[1:]),
    "icmpv6.pkt_too_small": frame(0x86DD, ip6(58, b"\x80\0\0")),
    "icmpv6.unknown_type": icmp6(127, 0),
    "icmpv6.unassigned_type": icmp6(50, 0),
    "icmpv6.experimentation_type": icmp6(100, 0),
    "icmpv6.unknown_code": icmp6(128, 9),
    "icmpv6.ipv6_trunc_pkt": icmp6(1, 0, b"\0" * 4 + WHOLE6[:30]),
    "icmpv6.ipv6_unknown_version": icmp6(1, 0, b"\0" * 4 + b"\x40" + WHOLE6[1:]),
    "icmpv6.mld_message_with_invalid_hl": icmp6(130, 0, b"\0" * 20, hops=64),
    "ieee8021ah.header_too_small": frame(0x88E7, b"\0" * 10),
    "igmp.pkt_too_small": frame(0x800, ip4(2, b"\x16\0\0\0")),
    "igmp.malformed": frame(0x800, ip4(2, b"\x22\0\0\0\0\0\0\1" + struct.pack("!BBH", 4, 0, 9) + b"\xe0\0\0\1")),
    "igmp.v3_pkt_too_small": frame(0x800, ip4(2, b"\x22\0\0\0\0\0\0\1" + b"\4\0")),
    "ipraw.invalid_ip_version": (LINK_RAW, b"\x75" + WHOLE[1:]),
    "ipv4.pkt_too_small": frame(0x800, WHOLE[:12]),
    "ipv4.wrong_ip_version": frame(0x800, ip4(17, b"", version=5)),
    "ipv4.hlen_too_small": frame(0x800, ip4(17, b"", words=4)),
    "ipv4.iplen_smaller_than_hlen": frame(0x800, ip4(17, b"", length=19)),
    "ipv4.trunc_pkt": frame(0x800, ip4(17, b"", length=100)),
    "ipv4.icmpv6": frame(0x800, ip4(58, b"\0" * 8)),
    "ipv4.unknown_protocol": frame(0x800, ip4(200, b"")),
    "ipv4.opt_invalid": options(99, 4, 0, 0, 0, 0, 0, 0),
    "ipv4.opt_invalid_len": options(7, 40, 4, 0),
    "ipv4.opt_malformed": options(7, 7, 3, 0, 0, 0, 0),
    "ipv4.opt_duplicate": options(148, 4, 0, 0, 148, 4, 0, 0),
    "ipv4.opt_pad_required": options(148, 4, 0, 0),
    "ipv4.opt_eol_required": options(1, 1, 1, 1, 1, 1, 1, 7),
    "ipv6.pkt_too_small": frame(0x86DD, WHOLE6[:30]),
    "ipv6.wrong_ip_version": frame(0x86DD, ip6(17, b"", version=5)),
    "ipv6.trunc_pkt": frame(0x86DD, ip6(17, b"\0" * 8, length=99)),
    "ipv6.trunc_exthdr": ext(0, b"\x11\x09" + b"\0" * 6),
    "ipv6.exthdr_dupl_hh": ext(0, hop(0, 5, 2, 0, 0), hop(59, 5, 2, 0, 0)),
    "ipv6.exthdr_dupl_dh": ext(60, *[hop(60, 201, 16, *[0] * 16)] * 2, hop(59, 201, 16, *[0] * 16)),
    "ipv6.exthdr_dupl_rh": ext(43, b"\x2b\0\x02\0" + b"\0" * 4, b"\x3b\0\x02\0" + b"\0" * 4),
    "ipv6.exthdr_dupl_ah": ext(51, *[b"\x33\1" + b"\0" * 10] * 2, b"\x3b\1" + b"\0" * 10),
    "ipv6.exthdr_dupl_fh": ext(44, fragment6(44, 0, 0), fragment6(59, 0, 0)),
    "ipv6.exthdr_useless_fh": ext(44, fragment6(17, 0, 0), body=udp(A6, B6, 1, 2, b"x")),
    "ipv6.exthdr_ah_res_not_null": ext(51, b"\x3b\1\0\7" + b"\0" * 8),
    "ipv6.exthdr_invalid_optlen": ext(0, hop(59, 5, 200, 0, 0)),
    "ipv6.zero_len_padn": ext(0, hop(59, 1, 0, 5, 2, 0, 0)),
    "ipv6.hopopts_unknown_opt": ext(0, hop(59, 30, 4, 0, 0, 0, 0)),
    "ipv6.hopopts_only_padding": ext(0, hop(59, 1, 4, 0, 0, 0, 0)),
    "ipv6.dstopts_unknown_opt": ext(60, hop(59, 30, 4, 0, 0, 0, 0)),
    "ipv6.dstopts_only_padding": ext(60, hop(59, 1, 4, 0, 0, 0, 0)),
    "ipv6.rh_type_0": ext(43, b"\x3b\2\0\1" + b"\0" * 20),
    "ipv6.data_after_none_header": ext(59, b"more"),
    "ipv6.unknown_next_header": ext(200, b""),
    "ipv6.icmpv4": ext(1, b"\x08\0\0\0\0\0\0\0"),
    "ipv6.fh_non_zero_reserved_field": ext(44, fragment6(17, 0, 1, reserved=7), body=b"\0" * 8),
    "ipv6.frag_invalid_length": ext(44, fragment6(17, 0, 1), body=b"\0" * 9),
    "ipv6.ipv4_in_ipv6_too_small": ext(4, WHOLE[:10]),
    "ipv6.ipv4_in_ipv6_wrong_version": ext(4, b"\x65" + WHOLE[1:]),
    "ipv6.ipv6_in_ipv6_too_small": ext(41, WHOLE6[:20]),
    "ipv6.ipv6_in_ipv6_wrong_version": ext(41, b"\x45" + WHOLE6[1:]),
    "ltnull.pkt_too_small": (LINK_NULL, b"\2\0"),
    "ltnull.unsupported_type": (LINK_NULL, b"\x63\0\0\0" + WHOLE),
    "mpls.header_too_small": frame(0x8847, b"\0\1"),
    "mpls.pkt_too_small": mpls(16, body=b"\x45\0"),
    "mpls.unknown_payload_type": mpls(16, body=b"\x90\0\0\0\0\0"),
    "mpls.bad_label_router_alert": mpls(1, body=WHOLE),
    "mpls.bad_label_implicit_null": mpls(3, body=WHOLE),
    "mpls.bad_label_reserved": mpls(5, body=WHOLE),
    "nsh.header_too_small": frame(0x894F, b"\0" * 6),
    "nsh.unsupported_version": nsh(first=1),
    "nsh.bad_header_length": nsh(words=1),
    "nsh.reserved_type": nsh(kind=0, body=b"\0" * 40),
    "nsh.unsupported_type": nsh(kind=3, body=b"\0" * 40),
    "nsh.unknown_payload": nsh(following=9, body=b"\0" * 40),
    "ppp.pkt_too_small": (LINK_PPP, b"\xff\3\0"),
    "ppp.wrong_type": pppoe(0x4321),
    "ppp.unsup_proto": pppoe(0x0025),
    "ppp.vju_pkt_too_small": pppoe(0x002F, b"\x45\0"),
    "ppp.ip4_pkt_too_small": pppoe(0x0021, b"\x45\0"),
    "ppp.ip6_pkt_too_small": pppoe(0x0057, b"\x60\0"),
    "pppoe.pkt_too_small": frame(0x8864, b"\x11\0\0\1"),
    "pppoe.wrong_code": frame(0x8863, struct.pack("!BBHH", 0x11, 0x33, 0, 0)),
    "pppoe.malformed_tags": frame(0x8863, struct.pack("!BBHH", 0x11, 0x09, 0, 40) + b"\0" * 8),
    "sctp.pkt_too_small": frame(0x800, ip4(132, b"\0" * 8)),
    "sctp.chunk_too_small": sctp(tail=b"\0\0"),
    "sctp.chunk_len_invalid": sctp(chunk(3, b"\0" * 12, length=2)),
    "sctp.too_many_chunks": sctp(*[chunk(11)] * 17),
    "sctp.too_many_data_chunks": sctp(*[chunk(0, b"\0" * 13)] * 17),
    "sctp.data_with_zero_vtag": sctp(chunk(0, b"\0" * 16), tag=0),
    "sctp.init_with_non_zero_vtag": sctp(chunk(1, b"\0" * 16), tag=9),
    "sctp.init_chunk_bundled": sctp(chunk(1, b"\0" * 16), chunk(11), tag=0),
    "sll.pkt_too_small": (LINK_SLL, b"\0" * 10),
    "sll2.pkt_too_small": (LINK_SLL2, b"\0" * 10),
    "tcp.pkt_too_small": tcp4(tcp_header()[:12]),
    "tcp.hlen_too_small": tcp4(tcp_header(words=8)),
    "tcp.invalid_optlen": tcp4(tcp_header(words=4)),
    "tcp.opt_invalid_len": tcp4(tcp_header(words=6, options=b"\x02\x03\0\0")),
    "tcp.opt_duplicate": tcp4(tcp_header(words=7, options=b"\x02\x04\x05\xb4\x02\x04\x05\xb4")),
    "udp.hlen_too_small": frame(0x800, ip4(17, b"\0\1\0\2")),
    "udp.pkt_too_small": frame(0x800, ip4(17, struct.pack("!HHHH", 1, 2, 100, 0) + b"xx")),
    "udp.len_invalid": frame(0x800, ip4(17, struct.pack("!HHHH", 1, 2, 7, 0) + b"xx")),
    "vlan.header_too_small": frame(0x8100, b"\0"),
    "vlan.unknown_type": frame(0x8100, b"\0\1\x12\x34" + b"\0" * 40),
    "vlan.too_many_layers": frame(0x8100, b"\0\1\x81\0" * 3 + b"\0\1\x08\0" + WHOLE),
    "vntag.header_too_small": frame(0x8926, b"\0" * 3),
    "vntag.unknown_type": frame(0x8926, b"\0" * 4 + b"\x12\x34"),
    "vxlan.unknown_payload_type": frame(0x800, ip4(17, udp4(struct.pack("!II", 0x08000000, 0x500) + frame(0x1234, b""), 4789))),
    "too_many_layers": frame(0x800, b"".join(ip4(4, b"\0" * 20 * (MAX_DEEP - n)) [:20] for n in range(MAX_DEEP)) + WHOLE),
}

MARK = b"the-needle-in-the-datagram"
# by its port, so that the datagram counts and not a tunnel over UDP around it
NEEDLE = 'alert udp any any -> any 9999 (msg:"needle"; content:"%s"; sid:1;)\n' % MARK.decode()


def plain():
    return ip(A, B, packets.UDP, udp4(MARK))


def plain6():
    return ip(A6, B6, packets.UDP, udp(A6, B6, 50000, 9999, MARK))


ONE = [(packets.EPOCH_US, ethernet(plain()))]
TUNNELS = {
    "Ethernet": ethernet(plain()),
    "IPv6": ethernet(plain6()),
    "SNAP": MACS + struct.pack("!H", 8 + len(plain())) + b"\xaa\xaa\x03\0\0\0\x08\0" + plain(),
    "VLAN": in_vlan(ONE, 7)[0][1],
    "QinQ": in_vlan(ONE, 7, 8)[0][1],
    "three tags": frame(0x88A8, b"\0\1\x81\0\0\2\x81\0\0\3\x08\0" + plain()),
    "802.1ah": frame(0x88E7, b"\0" * 4 + MACS + b"\x08\0" + plain()),
    "E-Tag": frame(0x893F, b"\0" * 6 + b"\x08\0" + plain()),
    "VN-Tag": frame(0x8926, b"\0" * 4 + b"\x08\0" + plain()),
    "fabric path": frame(0x8903, b"\0\0" + frame(0x800, plain())),
    "MPLS": mpls(16, 17, body=plain()),
    "MPLS, IPv6": mpls(2, body=plain6()),
    "MPLS, pseudo wire": mpls(16, body=b"\0\0\0\0" + frame(0x800, plain())),
    "PPPoE": pppoe(0x0021, plain()),
    "PPPoE, IPv6": pppoe(0x0057, plain6()),
    "GRE": in_gre(ONE)[0][1],
    "GRE with checksum, key and sequence": gre(0xB000, 0x800, b"\0" * 12 + plain()),
    "GRE with a source route": gre(0x4000, 0x800, b"\0" * 4 + struct.pack("!HBB", 0x800, 0, 4) + b"\0" * 8 + plain()),
    "GRE, IPv6": gre(0, 0x86DD, plain6()),
    "GRE, VLAN": gre(0, 0x8100, b"\0\1\x08\0" + plain()),
    "GRE, MPLS": gre(0, 0x8847, struct.pack("!I", 16 << 12 | 0x140) + plain()),
    "PPTP": gre(0x3001, 0x880B, struct.pack("!HHI", 4 + len(plain()), 1, 1) + b"\xff\3\0\x21" + plain()),
    "NVGRE": gre(0x2000, 0x6558, b"\0\0\1\0" + ethernet(plain())),
    "ERSPAN I": gre(0, 0x88BE, ethernet(plain())),
    "ERSPAN II": erspan(b"\x10\x05\0\0\0\0\0\0", ethernet(plain())),
    "ERSPAN III": gre(0x1000, 0x22EB, b"\0\0\0\1" + b"\x20\x05" + b"\0" * 10 + ethernet(plain())),
    "ERSPAN III with a platform header": gre(0x1000, 0x22EB, b"\0\0\0\1" + b"\x20\x05" + b"\0" * 9 + b"\1" + b"\0" * 8 + ethernet(plain())),
    "VXLAN": in_vxlan(ONE)[0][1],
    "Geneve": frame(0x800, ip4(17, udp4(struct.pack("!BBHI", 0, 0, 0x6558, 0x500) + ethernet(plain()), 6081))),
    "Geneve with options": frame(0x800, ip4(17, udp4(struct.pack("!BBHI", 2, 0, 0x800, 0x500) + b"\0\1\1\1" + b"\0" * 4 + plain(), 6081))),
    "IP in IP": in_ip(ONE)[0][1],
    "6in4": frame(0x800, ip4(41, plain6())),
    "4in6": ext(4, plain()),
    "6in6": ext(41, plain6()),
    "Teredo": frame(0x800, ip4(17, udp4(plain6(), 3544))),
    "Teredo with origin and authentication": frame(0x800, ip4(17, udp4(
        b"\0\1\0\0" + b"\0" * 9 + b"\0\0" + b"\0" * 6 + plain6(), 3544))),
    "NSH": nsh(words=6, kind=1, following=1, body=b"\0" * 16 + plain()),
    "IPv4 options": frame(0x800, ip4(17, udp4(MARK), options=b"\x94\4\0\0\1\1\1\0")),
    "all extension headers": ext(0, hop(60, 5, 2, 0, 0), hop(43, 201, 16, *[0] * 16), b"\x33\0\x02\0" + b"\0" * 4,
                                 b"\x11\1" + b"\0" * 10, body=udp(A6, B6, 50000, 9999, MARK)),
    "an atomic fragment": ext(44, fragment6(17, 0, 0), body=udp(A6, B6, 50000, 9999, MARK)),
    "VXLAN in GRE in VLAN": in_vlan(in_gre(in_vxlan(ONE)), 5)[0][1],
    "raw": (LINK_RAW, plain()),
    "raw, IPv6": (LINK_RAW, plain6()),
    "null": (LINK_NULL, b"\2\0\0\0" + plain()),
    "null, IPv6": (LINK_NULL, b"\x1e\0\0\0" + plain6()),
    "loopback": (LINK_LOOP, b"\0\0\0\2" + plain()),
    "cooked": (LINK_SLL, struct.pack("!HHH8sH", 0, 1, 6, b"\2\0\0\0\0\1", 0x800) + plain()),
    "cooked 2": (LINK_SLL2, struct.pack("!HHIHBB8s", 0x86DD, 0, 3, 1, 0, 6, b"\2\0\0\0\0\1") + plain6()),
}


# what tests/unit/test_defrag.c provokes
OF_FRAGMENTS = {"ipv%d.frag_%s" % (family, what) for family in (4, 6) for what in ("ignored", "overlap", "pkt_too_large")}

# The language has these names and published rules say them, but no packet can be so: the header of UDP has no length of its own,
# a second ESP header lies in what the first encrypts, a route in GRE 1 is refused before it is read, and an IPv4 option
# that is not known is opt_invalid.
NAMES_ONLY = {"udp.hlen_invalid", "ipv6.exthdr_dupl_eh", "gre.version1_malformed_sre_hdr", "ipv4.opt_unknown"}


def by_link(cases):
    """{link type: {name: frame}} of cases that are a frame, or a link type with one."""
    out = {}
    for name, case in cases.items():
        link, data = case if isinstance(case, tuple) else (LINK_ETHERNET, case)
        out.setdefault(link, {})[name] = data
    return out


class Decode(harness.Case):
    def judge(self, link, frames, rules):
        """Alerts as a set of (packet number, sid)."""
        stamped = [(packets.EPOCH_US + n * 1000, data) for n, data in enumerate(frames)]
        path = self.file("%d.pcap" % link, packets.pcap_bytes(stamped, link))
        outcome = self.replay(path, rules, checksum=False)
        return {(r["pcap_cnt"], r["alert"]["signature_id"]) for r in outcome.records("alert")}

    def test_what_a_tunnel_or_link_type_carries_is_inspected(self):
        for link, cases in by_link(TUNNELS).items():
            alerts = self.judge(link, cases.values(), NEEDLE)
            missed = [name for n, name in enumerate(cases, 1) if (n, 1) not in alerts]
            self.assertEqual(missed, [], "link type %d" % link)

    def test_a_reassembled_datagram_is_inspected_inside_every_tunnel(self):
        long = [(packets.EPOCH_US, ethernet(ip(A, B, packets.UDP, udp4(b"." * 700 + MARK + b"." * 700))))]
        pieces = packets.fragmented(long, 64)
        for name, wrap in (("bare", lambda f: f), ("VLAN", lambda f: in_vlan(f, 9)), ("GRE", in_gre), ("VXLAN", in_vxlan),
                           ("IP in IP", in_ip)):
            with self.subTest(name):
                self.assertEqual(dict(self.replay(wrap(pieces), NEEDLE).alerts()), {1: 1})

    def test_every_malformed_header_is_an_event(self):
        sids = {name: n for n, name in enumerate(EVENTS, 1)}
        rules = "".join('alert pkthdr any any -> any any (msg:"%s"; decode-event:%s; sid:%d;)\n' % (name, name, sid)
                        for name, sid in sids.items())
        for link, cases in by_link(EVENTS).items():
            alerts = self.judge(link, cases.values(), rules)
            missed = [name for n, name in enumerate(cases, 1) if (n, sids[name]) not in alerts]
            self.assertEqual(missed, [], "link type %d" % link)

    def test_every_event_of_decoding_is_provoked(self):
        with open(os.path.join(harness.TOP, "dataplane/include/dataplane/event_list.h"), encoding="utf-8") as f:
            names = set(re.findall(r'X\(\w+, DECODE, "([^"]+)"\)', f.read()))
        self.assertGreater(len(names), 100)
        self.assertEqual(names, set(EVENTS) | OF_FRAGMENTS | NAMES_ONLY)

    def test_what_is_well_formed_is_no_event(self):
        # what these say of themselves is an anomaly by design
        told = {"an atomic fragment": "ipv6.exthdr_useless_fh"}
        rules = "".join('alert pkthdr any any -> any any (msg:"%s"; decode-event:%s; sid:%d;)\n' % (name, name, sid)
                        for sid, name in enumerate(EVENTS, 1))
        names = dict(enumerate(EVENTS, 1))
        for link, cases in by_link(TUNNELS).items():
            found = {(list(cases)[n - 1], names[sid]) for n, sid in self.judge(link, cases.values(), rules)}
            self.assertEqual(found - set(told.items()), set(), "link type %d" % link)
