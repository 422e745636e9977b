#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tables of states in the documents, from those that the kernel checks itself against.

usage: tools/states.py [--check]

In docs/*.md, what stands between `<!-- states: NAME -->` and `<!-- end -->` is made anew from
NAME_transitions in kernel/. With --check nothing is written: the status is 1 if a table is not
what it would be, or a table of the kernel stands in no document.
"""

import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
TABLE = re.compile(r"static const uint32_t (\w+)_transitions\[\w+\] = \{(.*?)\n\};", re.S)
ROW = re.compile(r"\[(\w+)\] =\s+(.*?)(?=,\s*(?:\[|$))", re.S)
EVENT = re.compile(r'TO\((\w+),\s*((?:"[^"]*"\s*)+)\)')
PLACE = re.compile(r"(<!-- states: (\w+) -->\n).*?(<!-- end -->)", re.S)


def tables():
    """name: [(state, event, next state)], in the kernel's order"""
    found = {}
    for file in sorted((TOP / "kernel").glob("*.c")):
        for name, body in TABLE.findall(file.read_text()):
            found[name] = [(state, "".join(re.findall(r'"([^"]*)"', text)), to)
                           for state, row in ROW.findall(body)
                           for to, text in EVENT.findall(row)]
    return found


def plain(state):
    return state.split("_", 1)[1].capitalize()


def markdown(rows):
    lines = ["", "| State | Event | Next state |", "|---|---|---|"]
    lines += [f"| {plain(state)} | {event} | {plain(to)} |" for state, event, to in rows]
    ends = {to for _, _, to in rows} - {state for state, _, _ in rows}
    for state in sorted(ends):
        lines.append(f"| {plain(state)} | | |")
    return "\n".join(lines) + "\n\n"


def main():
    check = "--check" in sys.argv[1:]
    known, placed, wrong = tables(), set(), []
    for file in sorted((TOP / "docs").glob("*.md")):
        def anew(place):
            name = place.group(2)
            placed.add(name)
            if name not in known:
                wrong.append(f"{file.name}: the kernel has no table of states named {name}")
                return place.group(0)
            return place.group(1) + markdown(known[name]) + place.group(3)
        before = file.read_text()
        after = PLACE.sub(anew, before)
        if after != before and check:
            wrong.append(f"{file.name}: a table of states is not the kernel's: run tools/states.py")
        elif after != before:
            file.write_text(after)
    wrong += [f"no document shows the states of {name}" for name in sorted(set(known) - placed)]
    print("\n".join(wrong) or f"{len(known)} tables of states")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
