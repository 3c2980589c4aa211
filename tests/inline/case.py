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
        cls.network = lab.Lab("router" if BACKEND == "nfq" else "wire", 1 if BACKEND == "dpdk" else cls.QUEUES)
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
        cls.referee = play.Referee(cls.network, cls.sensor)

    def alerts(self, played):
        return self.referee.alerts(played)

    def check_blocked(self, talk, sids):
        """Plays a session that must be blocked with an alert of those sids, and looks whether the attack arrived all the same."""
        played = self.referee.play(talk)
        self.assertFalse(played.whole, "the attack came through")
        records = wait_for(lambda: self.referee.alerts(played), "an alert of %s" % sorted(sids))
        self.assertEqual({r["alert"]["action"] for r in records}, {"blocked"})
        self.assertLessEqual({r["alert"]["signature_id"] for r in records}, set(sids))
        self.assertIn(records[0].get("in_iface"), self.ports())
        side = self.referee.attacker(played, records)
        said, came = talk.said(side), self.referee.arrived(played, side)
        self.assertTrue(said.startswith(came))
        self.assertLess(len(came), len(said), "the attack's last byte reached the victim")

    def check_arrives(self, talk):
        """Plays a session that nobody may touch."""
        played = self.referee.play(talk)
        self.assertTrue(played.whole, "%s of %d and %d bytes: %s" % ([len(g) for g in played.got], len(talk.said(1)), len(talk.said(0)),
                                                                     self.sensor and self.sensor.records("drop")[-1:]))
        for side in (0, 1):
            self.assertEqual(self.referee.arrived(played, side), talk.said(side))
        return played

    def ports(self):
        return self.network.ports if BACKEND != "dpdk" else self.network.ports + ["net_af_xdp0", "net_af_xdp1"]
