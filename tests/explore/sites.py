# SPDX-License-Identifier: MIT
"""What of kernel/ the explorer's executions reach: source lines, and every site of an atomic, a
lock or a fence.

All sites are the calls of the instrumentation (__tsan_atomic...) and of the locks in the object
code at -O0, where each line has code of its own. A site that no scenario reaches must stand in
holes.toml with its reason; one that stands there and is reached is out of date.
"""

import re
import subprocess
import tomllib
from bisect import bisect_right
from collections import namedtuple
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
HOLES = TOP / "tests" / "explore" / "holes.toml"

Site = namedtuple("Site", "file line function")

FUNCTION = re.compile(r"^([0-9a-f]+) <([^>]+)>:$")
LINE = re.compile(r"^; (.+):(\d+)$")
CODE = re.compile(r"^ *([0-9a-f]+):\s+(.*)$")
CALL = re.compile(r"^call.*<(__tsan_atomic\w+|lock_acquire|lock_try|lock_release)>")


class Program:
    """The object code of a program: the sites by return address, lines by address."""

    def __init__(self, program):
        text = subprocess.run(["llvm-objdump-22", "-d", "-l", "--no-show-raw-insn", program],
                              capture_output=True, text=True, check=True).stdout
        self.sites, self.addresses, self.lines, self.functions = {}, [], [], set()
        function, place, called = "", None, None
        for row in text.split("\n"):
            if match := CODE.match(row):
                address = int(match[1], 16)
                if called:
                    self.sites[address] = called
                self.addresses.append(address)
                self.lines.append(place)
                atomic = CALL.match(match[2]) and place
                called = Site(*place, function) if atomic else None
            elif match := LINE.match(row):
                place = self.place(match[1], int(match[2]))
            elif match := FUNCTION.match(row):
                function, place, called = match[2], None, None
                self.functions.add(int(match[1], 16))

    @staticmethod
    def place(path, line):
        path = Path(path)
        if path.is_relative_to(TOP / "kernel"):
            return str(path.relative_to(TOP)), line
        return None

    def lines_of(self, blocks, every):
        """The lines of kernel/ in the blocks, each of which ends where another one begins."""
        bounds = sorted(every | self.functions)
        found = set()
        for start in blocks:
            at = bisect_right(bounds, start)
            end = bounds[at] if at < len(bounds) else start + 1
            index = bisect_right(self.addresses, start) - 1
            while index < len(self.addresses) and self.addresses[index] < end:
                found.add(self.lines[index])
                index += 1
        return found - {None}


class Reached:
    """What one run of a program has written (explore_write_reached)."""

    def __init__(self, path, program):
        kinds = {"operation": set(), "access": set(), "block": set(), "missed": set()}
        for line in Path(path).read_text().split("\n"):
            if line:
                kind, address = line.split()
                kinds[kind].add(int(address, 16))
        self.sites = {program.sites[a] for a in kinds["operation"] if a in program.sites}
        self.lines = program.lines_of(kinds["block"], kinds["block"] | kinds["missed"])


def source_text(site):
    return (TOP / site.file).read_text().split("\n")[site.line - 1].strip()


def holes():
    """{(file, function, text): reason}"""
    with open(HOLES, "rb") as file:
        listed = tomllib.load(file).get("hole", [])
    return {(hole["file"], hole["function"], hole["text"]): hole["reason"] for hole in listed}


def missing(every, reached):
    """(lines that say what is wrong, lines that list the holes with their reasons)"""
    left = {}
    for site in sorted(every - reached):
        left.setdefault((site.file, site.function, source_text(site)), []).append(site.line)
    listed, wrong, told = holes(), [], []
    for hole, lines in left.items():
        file, function, text = hole
        where = f"{file}:{','.join(map(str, lines))} {function}: {text}"
        if listed.get(hole):
            told.append(f"{where}\n      {listed[hole]}")
        else:
            wrong.append(f"no scenario reaches {where}")
    for file, function, text in listed:
        if (file, function, text) not in left:
            wrong.append(f"holes.toml lists what is reached, or is not there: "
                         f"{file} {function}: {text}")
    return wrong, told
