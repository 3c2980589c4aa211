# SPDX-License-Identifier: BSD-3-Clause
"""More than the sensor can judge, hold or write: policy says what gives way, everything is counted, and it passes again."""
import contextlib
import json
import os
import socket
import struct
import threading
import unittest

import case
import lab
from lab import OUTSIDE, OUTSIDE2, WEB_SERVER, wait_for
from traffic import packets

# Each costs a search through all ways to divide the x's, up to the limit of one search. The digits stand behind them, where
# no search gets: were they absent, it would not begin.
SLOW = "".join('alert udp any any -> any 5000 (msg:"slow %d"; pcre:"/(x+x+)+%d/"; sid:%d;)\n' % (n, n, 100 + n) for n in range(40))
RULES = 'alert udp any any -> any any (msg:"a word"; content:"rotbart"; sid:1;)\n'
HEAVY = b"x" * 400 + b" 0123456789"
MAY_GROW = 24 << 20


class Load(case.Case):
    SENSOR = None

    def start(self, rules, *options, eve=None):
        self.socket = self.path("control.sock")
        sensor = self.new_sensor(rules=self.file("test.rules", rules), options=[
            ("control.socket", self.socket), ("records.types", "alert"), ("records.types", "anomaly"), ("records.types", "stats"),
            ("records.stats-interval", "1s")] + list(options))
        if eve:
            sensor.eve = eve
        self.addCleanup(sensor.close)
        self.sensor = sensor
        sensor.start()
        self.network.wait_path()
        return sensor

    def ask(self, *words):
        done = self.network.box.run(self.sensor.program, "ctl", "-s", self.socket, "--json", *words)
        return json.loads(done.stdout)

    def stats(self):
        return self.ask("stats")["stats"]

    @contextlib.contextmanager
    def talkers(self, port=5000):
        there = self.network.dmz.listen(WEB_SERVER, port, socket.SOCK_DGRAM)
        here = self.network.outside.listen(OUTSIDE, 0, socket.SOCK_DGRAM)
        with here, there:
            yield here, there

    def say(self, here, there, words):
        """Whether a datagram comes through soon."""
        here.sendto(words, there.getsockname())
        there.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while got := there.recv(2000):
                if got == words:
                    return True
        return False


class Overload(Load):
    def events(self, name):
        return [r for r in self.sensor.records("anomaly") if r["anomaly"].get("event") == name]

    @contextlib.contextmanager
    def load(self, here, address):
        """Datagrams that are costly to judge, as fast as they can be sent, meanwhile."""
        stop = threading.Event()

        def send():
            while not stop.is_set():
                with contextlib.suppress(OSError):
                    here.sendto(HEAVY, address)
        thread = threading.Thread(target=send)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def overload(self):
        return self.ask("stats")["jsig"]["overload"]

    def test_the_heaviest_flow_gives_way_and_is_inspected_again_afterwards(self):
        self.start(SLOW + RULES, ("overload.policy", "heavy"))
        with self.talkers() as (here, there), self.talkers(5001) as (other, end):
            with self.load(here, (WEB_SERVER, 5000)):
                wait_for(lambda: self.events("overload"), "a record of the overload")
                wait_for(lambda: self.overload()["flows_uninspected"] > 0, "the heavy flow to be passed by")
                # Who is not the cause is still looked at.
                wait_for(lambda: self.say(other, end, b"rotbart, while it is busy") and
                         self.sensor.records("alert", src_port=other.getsockname()[1]), "an alert on another flow")
            wait_for(lambda: self.overload()["step"] == 0, "the overload to pass")
            wait_for(lambda: len(self.events("overload_eased")) == len(self.events("overload")), "records of the steps back")
            wait_for(lambda: self.say(here, there, b"rotbart, when all is calm") and
                     self.sensor.records("alert", src_port=here.getsockname()[1]), "an alert on the flow that gave way")
        counted = self.sensor.stop()
        reasons = self.sensor.records("stats")[-1]["stats"]["ips"]["drop_reason"]
        self.assertEqual(counted["dropped"], reasons["transmit_ring_full"], reasons)

    def test_where_nothing_may_give_way_the_queue_loses_and_the_loss_is_counted(self):
        if case.BACKEND == "dpdk":
            self.skipTest("DPDK's driver of an XDP socket does not tell what a full ring has lost")
        self.start(SLOW + RULES, ("overload.policy", "none"), *([("nfq.fail-open", "no"), ("nfq.queue-length", 64)] if case.BACKEND == "nfq" else []))
        with self.talkers() as (here, there):
            with self.load(here, (WEB_SERVER, 5000)):
                wait_for(lambda: self.stats()["capture"].get("kernel_drops", 0) > 0, "losses of the queue")
            wait_for(lambda: self.say(here, there, b"rotbart, when all is calm"), "the way to be free")
            self.assertFalse(self.events("overload_eased"))
        self.sensor.stop()


class Reader(Load):
    """Records go to a program by a FIFO, and it stops reading."""

    def test_a_reader_that_stalls_holds_nothing_up_and_gets_whole_records_afterwards(self):
        fifo = self.path("records")
        os.mkfifo(fifo)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        sensor = self.start(RULES, ("records.filename", fifo), ("records.ring-size", "64kb"), eve=fifo)
        before = sensor.memory()
        with self.talkers() as (here, there):
            for n in range(400):
                self.assertTrue(self.say(here, there, b"rotbart %d" % n))
            wait_for(lambda: self.ask("stats")["jsig"]["records"]["lost"] > 0, "records to be lost")
            self.assertLess(sensor.memory() - before, MAY_GROW)
            text = b""

            def read():
                nonlocal text
                with contextlib.suppress(BlockingIOError):
                    while part := os.read(reader, 1 << 16):
                        text += part
                return text

            def heard():
                self.say(here, there, b"rotbart, last of all")
                return b"last of all" in read()
            wait_for(heard, "new records when the reader goes on")
        sensor.stop()
        lines = read().split(b"\n")
        self.assertEqual(lines[-1], b"")
        records = [json.loads(line) for line in lines[:-1]]
        numbers = [r["payload_printable"] for r in records if r["event_type"] == "alert"]
        self.assertGreater(len(numbers), 10)
        self.assertEqual(len(set(numbers)), len([n for n in numbers if "last of all" not in n]) + 1, "a record came twice")


def first_fragment(source, ident):
    """A fragment with more to come."""
    packet = packets.ip(source, WEB_SERVER, packets.UDP, struct.pack("!HHHH", 7, 5000, 2000, 0) + bytes(992), ident=ident)
    head = packet[:6] + struct.pack("!H", 0x2000) + packet[8:10] + b"\0\0" + packet[12:20]
    return head[:10] + struct.pack("!H", packets.checksum(head)) + head[12:] + packet[20:]


class Memory(Load):
    """Fragments and half-sent data of those who never finish."""

    def send(self, made):
        with self.network.outside.new_socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
            for packet in made:
                s.sendto(packet, (WEB_SERVER, 0))

    def test_fragments_beyond_the_limit_follow_the_policy_and_others_go_on(self):
        self.start(RULES, ("defrag.memcap", "64kb"), ("defrag.memcap-policy", "drop-packet"))
        before = self.sensor.memory()
        with self.talkers() as (here, there):
            for wave in range(60):
                self.send(first_fragment("198.51.100.%d" % (n + 100), wave * 20 + n) for n in range(40))
                self.assertTrue(self.say(here, there, b"rotbart %d" % wave))
        self.assertLess(self.sensor.memory() - before, MAY_GROW)
        stats = self.stats()
        self.assertGreater(stats["defrag"]["memcap"], 0)
        self.sensor.stop()

    def test_data_behind_holes_beyond_the_limit_follows_the_policy_and_others_go_on(self):
        self.start(RULES, ("stream.reassembly.memcap", "64kb"), ("stream.memcap-policy", "drop-packet"))
        before = self.sensor.memory()
        with self.network.dmz.listen(WEB_SERVER, 0) as listener, contextlib.ExitStack() as files:
            port = listener.getsockname()[1]
            with self.network.outside.connect(OUTSIDE2, WEB_SERVER, port) as here, listener.accept()[0] as there:
                there.settimeout(lab.WAIT_S)
                holders = {}
                for _ in range(30):
                    s = files.enter_context(self.network.outside.connect(OUTSIDE, WEB_SERVER, port))
                    files.enter_context(listener.accept()[0])
                    holders[s.getsockname()[1]] = s
                # The numbers of those sessions are the kernel's; what lies in their windows but is not next needs no more than them.
                watch = self.network.watch(self.network.dmz)
                for s in holders.values():
                    s.sendall(b"first")
                first = {}

                def seen():
                    for frame in list(watch.frames):
                        packet = lab.ip_of(frame)
                        if packet and packet[0] == 0x45 and packet[9] == 6 and int.from_bytes(packet[20:22], "big") in holders and \
                                packet[20 + (packet[32] >> 4) * 4:int.from_bytes(packet[2:4], "big")].startswith(b"first"):
                            first[int.from_bytes(packet[20:22], "big")] = (int.from_bytes(packet[24:28], "big"), int.from_bytes(packet[28:32], "big"))
                    return len(first) == len(holders)
                wait_for(seen, "the sessions' numbers")
                watch.close()
                for sport, (seq, ack) in first.items():
                    for hole in range(4):
                        self.send([packets.ip(OUTSIDE, WEB_SERVER, packets.TCP, packets.tcp(
                            OUTSIDE, WEB_SERVER, sport, port, (seq + 3000 + hole * 3000) & 0xFFFFFFFF, ack, packets.ACK, bytes(1200)))])
                    here.sendall(b"others")
                    self.assertEqual(there.recv(100), b"others")
        self.assertLess(self.sensor.memory() - before, MAY_GROW)
        self.assertGreater(self.stats()["tcp"]["segment_memcap_drop"], 0)
        self.sensor.stop()


if __name__ == "__main__":
    unittest.main()
