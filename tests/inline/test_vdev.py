# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's virtual devices that need no interface: captures in, captures out; and rings."""
import json
import unittest

import case
from lab import OUTSIDE, WEB_SERVER, wait_for
from traffic import packets

RULES = 'drop udp any any -> any 5000 (msg:"the word"; content:"barbarossa"; sid:1; rev:1;)\n'
COUNT = 500


class Devices(case.Case):
    SENSOR = None

    def setUp(self):
        if case.BACKEND != "dpdk":
            self.skipTest("devices of DPDK")

    def start(self, vdevs, ports, *options):
        self.socket = self.path("control.sock")
        sensor = self.new_sensor(rules=self.file("test.rules", RULES), options=[
            ("control.socket", self.socket), ("records.types", "alert")] + list(options))
        sensor.options = [o for o in sensor.options if not o[0].startswith("dpdk.")]
        sensor.options += [("dpdk.eal", "--no-pci --no-huge -m 512 " + " ".join("--vdev=" + v for v in vdevs))]
        sensor.options += [("dpdk.ports", p) for p in ports]
        self.addCleanup(sensor.close)
        return sensor.start()

    def stats(self, sensor):
        done = self.network.box.run(sensor.program, "ctl", "-s", self.socket, "--json", "stats", check=False)
        return json.loads(done.stdout)["stats"] if done.returncode == 0 else None

    def capture(self):
        """A capture of datagrams, every fifth one with the word. Returns its file and what the datagrams say."""
        capture, said = packets.Capture(), []
        for n in range(COUNT):
            said.append(b"%d %s" % (n, b"barbarossa" if n % 5 == 0 else b"friend"))
            capture.datagram(OUTSIDE, WEB_SERVER, 1000 + n, 5000, said[-1])
        packets.write(self.path("in.pcap"), capture.frames)
        return self.path("in.pcap"), said

    def judged(self, sensor, count):
        wait_for(lambda: self.stats(sensor)["capture"]["packets"] >= count, "the capture to be judged")
        return sensor.stop()

    def test_a_capture_is_judged_and_what_may_go_on_is_written(self):
        source, said = self.capture()
        packets.write(self.path("none.pcap"), [])
        sensor = self.start(["net_pcap0,rx_pcap=%s,tx_pcap=%s" % (source, self.path("back.pcap")),
                             "net_pcap1,rx_pcap=%s,tx_pcap=%s" % (self.path("none.pcap"), self.path("out.pcap"))], ["net_pcap0", "net_pcap1"])
        counted = self.judged(sensor, COUNT)
        self.assertEqual((counted["received"], counted["dropped"], counted["alerts"]), (COUNT, COUNT // 5, COUNT // 5))
        self.assertEqual(words_of(self.path("out.pcap")), [s for s in said if b"friend" in s])
        self.assertEqual(words_of(self.path("back.pcap")), [])

    def test_what_goes_into_a_ring_comes_back_from_it_and_is_judged_again(self):
        source, said = self.capture()
        sensor = self.start(["net_pcap0,rx_pcap=%s,tx_pcap=%s" % (source, self.path("out.pcap")), "net_ring0"], ["net_pcap0", "net_ring0"])
        friends = [s for s in said if b"friend" in s]
        counted = self.judged(sensor, COUNT + len(friends))
        self.assertEqual((counted["received"], counted["dropped"]), (COUNT + len(friends), COUNT // 5))
        self.assertEqual(words_of(self.path("out.pcap")), friends)


def words_of(path):
    """What the datagrams of a capture say."""
    return [frame[42:] for _, frame in packets.read(path)]


if __name__ == "__main__":
    unittest.main()
