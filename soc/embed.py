#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes a file as an array of C.

usage: embed.py FILE NAME OUTPUT
"""
import sys

path, name, output = sys.argv[1:4]
with open(path, "rb") as f:
    data = f.read()
with open(output, "w", encoding="ascii") as f:
    f.write('/* Made by embed.py: do not edit. */\n#include "triage_default.h"\n\n')
    f.write("const unsigned char %s[] = {\n" % name)
    for at in range(0, len(data), 16):
        f.write("\t" + ", ".join("%d" % b for b in data[at:at + 16]) + ",\n")
    f.write("};\nconst unsigned long %s_len = %d;\n" % (name, len(data)))
