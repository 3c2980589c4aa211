# SPDX-License-Identifier: BSD-3-Clause
"""The public detection cases (../shared/verify): the number that pass never goes below the floor in verify.floor."""
import json
import os
import subprocess
import sys
import unittest

import harness

RUN = os.path.join(harness.SHARED, "verify", "run.py")
FLOOR = os.path.join(os.path.dirname(os.path.abspath(__file__)), "verify.floor")


@unittest.skipUnless(os.path.exists(RUN), "%s is not there" % RUN)
class Verify(harness.Case):
    def test_not_below_the_floor(self):
        with open(FLOOR, encoding="utf-8") as f:
            floor = int(f.read())
        done = subprocess.run([sys.executable, RUN, "--sensor", harness.SENSOR, "--jobs", str(os.cpu_count()), "--json",
                               self.path("result.json")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1500, env=harness.ENVIRONMENT)
        words = done.stdout.decode("utf-8", "replace")
        with open(self.path("result.json"), encoding="utf-8") as f:
            passed = len(json.load(f)["passed"])
        print("%d cases pass; the floor is %d" % (passed, floor))
        self.assertGreaterEqual(passed, floor, words[-3000:])
