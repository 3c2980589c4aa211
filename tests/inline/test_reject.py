# SPDX-License-Identifier: BSD-3-Clause
"""Reject tells the ends: a reset for TCP, to whom the rule says; ICMP unreachable for the rest; IPv4 and IPv6."""
import errno
import socket
import unittest

import case
from lab import DESK, OUTSIDE, OUTSIDE6, WEB_SERVER, WEB_SERVER6, wait_for

RULES = """\
reject tcp any any -> any any (msg:"src"; flow:established,to_server; content:"reject-source"; sid:1; rev:1;)
rejectdst tcp any any -> any any (msg:"dst"; flow:established,to_server; content:"reject-destination"; sid:2; rev:1;)
rejectboth tcp any any -> any any (msg:"both"; flow:established; content:"reject-both"; sid:3; rev:1;)
reject tcp any any -> any 4444 (msg:"syn"; flags:S; sid:4; rev:1;)
reject udp any any -> any 4444 (msg:"udp"; sid:5; rev:1;)
"""
WAYS = ((OUTSIDE, WEB_SERVER), (DESK, OUTSIDE), (OUTSIDE6, WEB_SERVER6))


class Reject(case.Case):
    SENSOR = None

    @classmethod
    def prepare(cls):
        cls.sensor = cls.new_sensor(rules=cls.file("test.rules", RULES)).start()
        cls.watches = {host.name: cls.network.watch(host) for host in (cls.network.outside, cls.network.dmz)}

    def session(self, source, address):
        """(client's socket, server's socket) of a new session."""
        with self.network.host_of(address).listen(address, 0) as listener:
            here = self.network.host_of(source).connect(source, address, listener.getsockname()[1])
            there, _ = listener.accept()
        there.settimeout(20)
        self.addCleanup(here.close)
        self.addCleanup(there.close)
        here.sendall(b"hello")
        self.assertEqual(there.recv(100), b"hello")
        return here, there

    def is_reset(self, s):
        try:
            return s.recv(1000) is None
        except ConnectionResetError:
            return True

    def is_quiet(self, s):
        s.settimeout(0.05)
        try:
            return s.recv(1000) is None
        except TimeoutError:
            return True

    def test_the_source_is_reset(self):
        for source, address in WAYS:
            with self.subTest("%s to %s" % (source, address)):
                here, there = self.session(source, address)
                here.sendall(b"reject-source")
                self.assertTrue(self.is_reset(here))
                self.assertTrue(self.is_quiet(there))

    def test_the_destination_is_reset(self):
        for source, address in WAYS:
            with self.subTest("%s to %s" % (source, address)):
                here, there = self.session(source, address)
                here.sendall(b"reject-destination")
                self.assertTrue(self.is_reset(there))

    def test_both_are_reset_whoever_said_it(self):
        for source, address in WAYS:
            for client_says in (True, False):
                with self.subTest("%s to %s" % (source, address), client_says=client_says):
                    here, there = self.session(source, address)
                    (here if client_says else there).sendall(b"reject-both")
                    self.assertTrue(self.is_reset(here))
                    self.assertTrue(self.is_reset(there))

    def test_a_rejected_connection_is_refused_at_once(self):
        for source, address in WAYS:
            with self.subTest("%s to %s" % (source, address)), self.network.host_of(address).listen(address, 4444):
                with self.assertRaises(ConnectionRefusedError):
                    self.network.host_of(source).connect(source, address, 4444)

    def test_a_rejected_datagram_is_unreachable(self):
        for source, address in WAYS:
            with self.subTest("%s to %s" % (source, address)), \
                    self.network.host_of(address).listen(address, 4444, socket.SOCK_DGRAM) as there, \
                    self.network.host_of(source).listen(source, 0, socket.SOCK_DGRAM) as here:
                here.connect((address, 4444))
                here.send(b"anybody there?")
                with self.assertRaises(OSError) as raised:
                    here.recv(100)
                self.assertIn(raised.exception.errno, (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.EACCES))  # by ICMP's code
                self.assertTrue(self.is_quiet(there))

    def test_records_say_that_it_was_rejected(self):
        here, _ = self.session(OUTSIDE, WEB_SERVER)
        port = here.getsockname()[1]
        here.sendall(b"reject-source")
        record = self.sensor.wait_record("alert", src_port=port)[0]
        self.assertEqual((record["alert"]["signature_id"], record["alert"]["action"]), (1, "blocked"))
        wait_for(lambda: self.sensor.records("drop", src_port=port), "its drop record")


if __name__ == "__main__":
    unittest.main()
