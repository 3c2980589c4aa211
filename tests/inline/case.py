# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of the suite share: one lab and one sensor a class, and a folder for each."""
import os
import shutil
import unittest

import lab
import play
from lab import wait_for
from sensor import Sensor

BACKEND = "afxdp"  # set by run.py
KEEP = None


class Case(unittest.TestCase):
    """A lab for the class. SENSOR says how its sensor starts; a class that starts its own says None."""

    maxDiff = 4000
    QUEUES = 1
    SENSOR = {}
    network = sensor = None

    @classmethod
    def setUpClass(cls):
        name = "%s.%s-%s" % (cls.__module__, cls.__name__, BACKEND)
        cls.folder = os.path.join(KEEP or lab.RUN, name)
        shutil.rmtree(cls.folder, ignore_errors=True)
        os.makedirs(cls.folder)
        cls.serial = 0
        cls.network = lab.Lab("router" if BACKEND == "nfq" else "wire", cls.QUEUES)
        cls.addClassCleanup(cls.network.close)
        if BACKEND == "plain":
            cls.network.bridge()
        elif cls.SENSOR is not None:
            cls.sensor = cls.new_sensor(**cls.SENSOR).start()
        cls.prepare()
        if cls.sensor or BACKEND == "plain":
            cls.network.wait_path()

    @classmethod
    def prepare(cls):
        """Servers and files of the class, before its tests."""

    @classmethod
    def tearDownClass(cls):
        if cls.sensor and cls.sensor.running():
            cls.sensor.stop()

    @classmethod
    def new_sensor(cls, **options):
        if BACKEND == "plain":
            raise unittest.SkipTest("there is no sensor")
        cls.serial += 1
        sensor = Sensor(cls.network, BACKEND, os.path.join(cls.folder, "sensor%d" % cls.serial), **options)
        cls.addClassCleanup(sensor.close)
        return sensor

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name)

    @classmethod
    def file(cls, name, content):
        with open(cls.path(name), "wb" if isinstance(content, bytes) else "w") as f:
            f.write(content)
        return cls.path(name)


class Attacked(Case):
    """A class that plays sessions and looks at what reached whom. Its sensor must write records of alerts and drops."""

    @classmethod
    def prepare(cls):
        cls.watches = {name: cls.network.watch(getattr(cls.network, name)) for name in ("outside", "dmz", "inside")}

    def stopped(self, source, sport, address, dport):
        """Whether a record says that the sensor dropped something of this session."""
        ends = {(source, sport), (address, dport)}
        return self.sensor and any({(r["src_ip"], r.get("src_port")), (r["dest_ip"], r.get("dest_port"))} == ends
                                   for r in self.sensor.records("drop"))

    def alerts(self, played):
        records = self.sensor.records("alert") if self.sensor else []
        return [r for r in records if {(r["src_ip"], r["src_port"]), (r["dest_ip"], r["dest_port"])} == {played.ends[:2], played.ends[2:]}]

    def arrived(self, played, side):
        """What the capture before the victim saw of a side's words (side 0 is the client's)."""
        source, address = played.ends[:2], played.ends[2:]
        if side == 1:
            source, address = address, source
        watch = self.watches[self.network.host_of(address[0]).name]
        watch.settle(self.network.host_of(source[0]), source[0], address[0])
        return watch.stream(*source, *address)

    def check_blocked(self, talk, sids):
        """Plays a session that must be blocked with an alert of those sids, and looks whether the attack arrived all the same."""
        played = play.play(self.network, talk, self.stopped)
        self.assertFalse(played.whole, "the attack came through")
        records = wait_for(lambda: self.alerts(played), "an alert of %s" % sorted(sids))
        self.assertEqual({r["alert"]["action"] for r in records}, {"blocked"})
        self.assertLessEqual({r["alert"]["signature_id"] for r in records}, set(sids))
        self.assertIn(records[0].get("in_iface"), self.ports())
        # The record's source is the attacker: its last byte must not have been seen before the victim.
        side = 0 if records[0]["src_ip"] == played.ends[0] and records[0]["src_port"] == played.ends[1] else 1
        said, came = talk.said(side), self.arrived(played, side)
        self.assertTrue(said.startswith(came))
        self.assertLess(len(came), len(said), "the attack's last byte reached the victim")

    def check_arrives(self, talk):
        """Plays a session that nobody may touch."""
        played = play.play(self.network, talk, self.stopped)
        self.assertTrue(played.whole, "%s of %d and %d bytes: %s" % ([len(g) for g in played.got], len(talk.said(1)), len(talk.said(0)),
                                                                     self.sensor and self.sensor.records("drop")[-1:]))
        for side in (0, 1):
            self.assertEqual(self.arrived(played, side), talk.said(side))
        return played

    def ports(self):
        return self.network.ports if BACKEND != "dpdk" else self.network.ports + ["net_af_packet0", "net_af_packet1"]
