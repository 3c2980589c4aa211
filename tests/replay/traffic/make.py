#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the captures of attacks and of harmless traffic into a folder, with an index.json that says what each is.

usage: tests/replay/traffic/make.py DIR
"""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from traffic import attacks, harmless, packets  # noqa: E402


def make(folder):
    """[{"name", "capture", "words", "sids": {sid: alerts}}]; harmless ones have no sids."""
    os.makedirs(folder, exist_ok=True)
    index = []
    for name, (_, sids, words) in attacks.ATTACKS.items():
        index.append({"name": name, "capture": name + ".pcap", "words": words, "sids": sids})
        packets.write(os.path.join(folder, name + ".pcap"), attacks.build(name))
    for name, (_, words) in harmless.HARMLESS.items():
        index.append({"name": name, "capture": "harmless-" + name + ".pcap", "words": words, "sids": {}})
        packets.write(os.path.join(folder, "harmless-" + name + ".pcap"), harmless.build(name))
    with open(os.path.join(folder, "index.json"), "w", encoding="utf-8") as f:
        json.dump(index, f, indent=1)
        f.write("\n")
    return index


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    print("%d captures in %s" % (len(make(sys.argv[1])), sys.argv[1]))
