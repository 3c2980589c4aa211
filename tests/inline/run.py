#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs the inline tests: real hosts, servers and attackers in network namespaces around a running sensor.

usage: tests/inline/run.py [--sensor PROGRAM] [--backend BACKEND] [--keep DIR] NAME [CASE...]

NAME is a file test_NAME.py beside this one; CASE one of its methods. BACKEND is afxdp, dpdk or nfq; `plain` puts a switch in the
sensor's place, which shows what the lab does by itself (attacks then come through, and their tests fail).
Exit status: 0 good, 1 bad, 77 skipped: not root, no namespaces, or a backend that was not built.
"""
import argparse
import faulthandler
import importlib
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "replay")]
sys.dont_write_bytecode = True

import case  # noqa: E402
import lab  # noqa: E402
import sensor  # noqa: E402


def suite_of(name, cases):
    suite = unittest.TestLoader().loadTestsFromModule(importlib.import_module("test_" + name))
    if cases:
        suite = unittest.TestSuite(t for s in suite for t in s if t._testMethodName.removeprefix("test_") in cases)
    return suite


def main():
    names = sorted(f[5:-3] for f in os.listdir(HERE) if f.startswith("test_") and f.endswith(".py"))
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--sensor", default=sensor.PROGRAM)
    ap.add_argument("--backend", choices=sensor.BACKENDS + ("plain",), default="afxdp")
    ap.add_argument("--keep", metavar="DIR", help="leave configuration, records and logs there")
    ap.add_argument("name", choices=names)
    ap.add_argument("cases", nargs="*")
    a = ap.parse_args()
    sensor.PROGRAM = os.path.abspath(a.sensor)
    if not os.access(sensor.PROGRAM, os.X_OK):
        sys.exit("%s is not there: ninja -C build, or name it by --sensor" % sensor.PROGRAM)
    try:
        lab.isolate()
        if a.backend != "plain" and not sensor.build_has(a.backend):
            raise lab.Missing("this build has no %s" % a.backend)
    except lab.Missing as missing:
        print("skipped: %s" % missing)
        return 77
    faulthandler.enable()
    case.BACKEND, case.KEEP = a.backend, a.keep and os.path.abspath(a.keep)
    result = unittest.TextTestRunner(verbosity=2).run(suite_of(a.name, a.cases))
    if result.testsRun and len(result.skipped) >= result.testsRun and result.wasSuccessful():
        return 77
    return 0 if result.wasSuccessful() and (result.testsRun or result.skipped) else 1


if __name__ == "__main__":
    sys.exit(main())
