#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The whole way, with the real programs: lines in a file, sekisho-forward, sekisho-soc, its store, incidents.

usage: tests/soc/test_soc.py --soc PROGRAM --forward PROGRAM [--kills N] [--records N] [CASE...]
"""
import argparse
import collections
import os
import random
import signal
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import scenes  # noqa: E402
import service  # noqa: E402
from service import wait_for  # noqa: E402

ARGS = argparse.Namespace()


class Case(unittest.TestCase):
    SETTINGS = ""

    def setUp(self):
        self.soc = service.Soc(ARGS.soc, self.SETTINGS)
        self.addCleanup(self.soc.close)

    def forwarder(self, name="tokyo-1", **options):
        forwarder = service.Forwarder(ARGS.forward, os.path.join(self.soc.folder, name + ".yaml"),
                                      os.path.join(self.soc.folder, name + ".json"), os.path.join(self.soc.folder, name), **options)
        self.addCleanup(forwarder.stop, signal.SIGKILL)
        return forwarder

    def begin(self, *names):
        """A SOC that serves, and a forwarder for each sensor."""
        self.soc.start()  # which finds the port
        self.soc.stop()
        for name in names:
            self.soc.enroll(name)
        self.soc.start()
        return [self.forwarder(name) for name in names]

    def write(self, forwarder, text):
        with open(forwarder.path, "a") as f:
            f.write(text)

    def wait_stored(self, count, forwarder, seconds=120):
        wait_for(lambda: self.soc.stored() >= count,
                 lambda: "%d records (%d are there)\n%s\n%s" % (count, self.soc.stored(), self.soc.log()[-500:], forwarder.log()[-500:]),
                 seconds)

    def incidents(self):
        return [i for i in self.soc.documents(service.INCIDENT) if i["state"] != "merged"]


def worthy(lines):
    """How many of them triage makes incidents of: packets out of the ordinary are counted, and no more."""
    return sum('"category":"Misc activity"' not in line for line in lines)


class Outbreak(Case):
    def check(self, records):
        """The incidents that these lines must have become."""
        incidents = self.incidents()
        severities = collections.Counter(i["severity"] for i in incidents)
        self.assertEqual(severities["emergency"], 1, [i["title"]["en"] for i in incidents])
        self.assertEqual(severities["critical"], 0, [i["title"]["en"] for i in incidents])
        self.assertLessEqual(len(incidents), 6, [i["title"]["en"] for i in incidents])
        worst = [i for i in incidents if i["severity"] == "emergency"][0]
        roles = {h["address"]: h["role"] for h in worst["hosts"]}
        for host in scenes.INFECTED, scenes.SECOND, scenes.THIRD:
            self.assertEqual(roles.get(host), "infected", worst["title"])
        self.assertEqual([a for a, role in roles.items() if role == "infected" and
                          a not in (scenes.INFECTED, scenes.SECOND, scenes.THIRD)], [])
        self.assertNotIn("192.0.2.1", roles)
        self.assertIn(scenes.CALLED, str(worst))
        stages = {h["address"]: set(h["stages"]) for h in worst["hosts"]}
        self.assertLessEqual({"callback", "spread"}, stages[scenes.INFECTED])
        self.assertTrue(worst["why"]["en"] and worst["why"]["ja"] and worst["measures"]["en"] and worst["measures"]["ja"])
        self.assertEqual(sum(i["record_count"] for i in incidents), worthy(records))
        return incidents

    def test_an_outbreak_in_the_noise_is_one_incident(self):
        scene = scenes.Scene(7)
        scene.noise(ARGS.records // 2, 900)
        scene.outbreak(ARGS.records - ARGS.records // 2 - 4)
        lines = scene.text().splitlines()
        records = len(lines)
        forwarder, = self.begin("tokyo-1")
        self.write(forwarder, scene.text())
        began = time.monotonic()
        forwarder.start()
        self.wait_stored(records, forwarder)
        took = time.monotonic() - began
        incidents = self.check(lines)
        events = self.soc.documents(service.EVENT)
        print("%d records in %.1f s, %d events, %d incidents: %s" % (records, took, len(events), len(incidents), ", ".join(
            "%s \"%s\" (%d records, %d hosts)" % (i["severity"], i["title"]["en"], i["record_count"], i["host_count"])
            for i in incidents)), flush=True)
        # who starts anew knows the same
        self.soc.stop(signal.SIGKILL)
        self.soc.start()
        self.write(forwarder, lines[-1] + "\n")
        self.wait_stored(records + 1, forwarder)
        self.assertEqual(len(self.incidents()), len(incidents))
        self.check(lines + lines[-1:])


class Kills(Case):
    SETTINGS = "limits: {records-per-second: 100000000, records-burst: 100000000}\n"

    def test_every_record_is_stored_once_whatever_is_killed(self):
        forwarder, = self.begin("tokyo-1")
        forwarder.start()
        written, dice = [], random.Random()
        for _ in range(ARGS.kills):
            end = time.monotonic() + dice.uniform(0.01, 0.15)
            while time.monotonic() < end:
                scene = scenes.Scene(dice.random())
                scene.noise(dice.randrange(20), 60)
                text = scene.text()
                written += text.splitlines()
                self.write(forwarder, text)
                time.sleep(0.005)
            if dice.random() < 0.5:
                self.soc.stop(dice.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
                self.soc.start()
            else:
                forwarder.stop(signal.SIGKILL)
                forwarder.start()
        self.wait_stored(len(written), forwarder)
        self.assertEqual(self.soc.lines(), written)
        self.assertEqual(sum(e["count"] for e in self.soc.documents(service.EVENT)), len(written))
        self.assertEqual(sum(i["record_count"] for i in self.incidents()), worthy(written))


class Store(Case):
    def test_a_backup_of_a_running_soc_is_restored(self):
        forwarder, = self.begin("tokyo-1")
        forwarder.start()
        scene = scenes.Scene(1)
        scene.noise(500, 60)
        self.write(forwarder, scene.text())
        self.wait_stored(500, forwarder)
        copy = self.soc.folder + "/copy.db"
        self.soc.run("backup", copy)
        self.assertNotEqual(self.soc.run("backup", copy, check=False).returncode, 0)
        self.assertIn("runs", self.soc.run("restore", copy, check=False).stderr)
        more = scenes.Scene(2)
        more.noise(100, 60)
        self.write(forwarder, more.text())
        self.wait_stored(600, forwarder)
        self.soc.stop()
        self.soc.run("restore", copy)
        self.assertEqual(self.soc.stored(), 500)
        self.soc.start()  # the forwarder goes back to what the SOC has
        self.write(forwarder, more.text().splitlines()[0] + "\n")
        self.wait_stored(601, forwarder)
        self.assertEqual(self.soc.lines(), (scene.text() + more.text()).splitlines() + more.text().splitlines()[:1])


def main(module, words):
    ap = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    build = os.path.join(HERE, "..", "..", "build")
    ap.add_argument("--soc", default=os.path.join(build, "soc", "sekisho-soc"))
    ap.add_argument("--forward", default=os.path.join(build, "tools", "sekisho-forward"))
    ap.add_argument("--kills", type=int, default=30)
    ap.add_argument("--records", type=int, default=100000)
    ap.add_argument("cases", nargs="*")
    ap.parse_args(namespace=ARGS)
    ARGS.soc, ARGS.forward = os.path.abspath(ARGS.soc), os.path.abspath(ARGS.forward)
    loader = unittest.TestLoader()
    suite = loader.loadTestsFromNames(ARGS.cases, module) if ARGS.cases else loader.loadTestsFromModule(module)
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    return 0 if result.wasSuccessful() and result.testsRun else 1


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__], __doc__))
