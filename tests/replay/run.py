#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs the replay tests: captures and rules into the sensor, alerts, verdicts and records out.

usage: tests/replay/run.py [--sensor PROGRAM] [--keep DIR] NAME [CASE...]

NAME is a file test_NAME.py beside this one; CASE one of its methods. Exit status: 0 good, 1 bad, 77 all skipped.
"""
import argparse
import importlib
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import harness  # noqa: E402


def main():
    names = sorted(f[5:-3] for f in os.listdir(HERE) if f.startswith("test_") and f.endswith(".py"))
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--sensor", default=os.path.join(HERE, "..", "..", "build", "sensor", "sekisho"))
    ap.add_argument("--keep", metavar="DIR", help="leave captures, configuration and records there")
    ap.add_argument("name", choices=names)
    ap.add_argument("cases", nargs="*")
    a = ap.parse_args()
    harness.SENSOR, harness.KEEP = os.path.abspath(a.sensor), a.keep
    if not os.access(harness.SENSOR, os.X_OK):
        sys.exit("%s is not there: ninja -C build, or name it by --sensor" % harness.SENSOR)
    module = importlib.import_module("test_" + a.name)
    loader = unittest.TestLoader()
    suite = loader.loadTestsFromModule(module)
    if a.cases:
        wanted = [t for s in suite for t in s if t._testMethodName.removeprefix("test_") in a.cases]
        suite = unittest.TestSuite(wanted)
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    if result.testsRun and len(result.skipped) >= result.testsRun and result.wasSuccessful():
        return 77
    return 0 if result.wasSuccessful() and result.testsRun else 1


if __name__ == "__main__":
    sys.exit(main())
