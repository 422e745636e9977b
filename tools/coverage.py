#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`make coverage`: which branches of the kernel's conditions the host's tests take.

A condition counts twice, once for each way that it can turn out. Left out are checks (CHECK, ASSERT),
which never fail, and planted bugs, which are off. What is never taken stands in tests/unit/holes.toml
with the reason, or is printed, and in build/coverage/holes.txt; the status is 0 if all of it stands
there, nothing else does, and at least GOAL percent are taken.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
BUILD = TOP / "build" / "coverage"
LISTED = TOP / "tests" / "unit" / "holes.toml"
GOAL = 97.0
LEFT_OUT = re.compile(r"\b(?:CHECK|ASSERT|SEEDED_BUG|RUNS_OUT|ORDER|static_assert)\(")
SWITCHES = re.compile(r"SEEDED_BUG|RUNS_OUT|dev_build")


def run(program):
    environment = dict(os.environ, SEED="1",
                       LLVM_PROFILE_FILE=str(BUILD / "profiles" / f"{program.name}-%m.profraw"))
    done = subprocess.run([program], env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode != 0:
        failures = [line for line in done.stdout.split("\n") if line.startswith("FAIL")]
        sys.exit("\n".join(failures) or f"coverage: {program.name} ends with {done.returncode}")


def left_out(text):
    """The places of checks and planted bugs, as (first, last) of (line, column)."""
    def place(offset):
        return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
    for match in LEFT_OUT.finditer(text):
        depth, at = 1, match.end()
        while depth > 0:
            depth += {"(": 1, ")": -1}.get(text[at], 0)
            at += 1
        yield place(match.start()), place(at)


def branches(programs):
    """(file, line, condition, times true, times false) of all that count."""
    sources = sorted(str(path) for path in TOP.glob("kernel/*.c"))
    objects = [word for program in programs[1:] for word in ("-object", str(program))]
    exported = subprocess.run(
        ["llvm-cov-22", "export", str(programs[0]), *objects, f"-instr-profile={BUILD / 'all.profdata'}",
         "-sources", *sources], capture_output=True, text=True, check=True).stdout
    for file in json.loads(exported)["data"][0]["files"]:
        path = Path(file["filename"])
        text = path.read_text()
        lines, ranges = text.split("\n"), list(left_out(text))
        for line, column, last_line, last_column, true, false, *_ in file["branches"]:
            if any(first <= (line, column) <= last for first, last in ranges):
                continue
            condition = lines[line - 1][column - 1:last_column - 1 if line == last_line else None]
            if not SWITCHES.search(condition):
                yield path.relative_to(TOP), line, condition, true, false


def main():
    programs = sorted((BUILD / "bin").glob("test_kernel_*"))
    profiles = BUILD / "profiles"
    profiles.mkdir(exist_ok=True)
    for old in profiles.iterdir():
        old.unlink()
    for program in programs:
        run(program)
    subprocess.run(["llvm-profdata-22", "merge", "-sparse", *sorted(profiles.iterdir()), "-o",
                    BUILD / "all.profdata"], check=True)
    holes, found, counts = [], Counter(), {}
    for file, line, condition, true, false in branches(programs):
        taken, all_of_it = counts.get(file, (0, 0))
        counts[file] = taken + (true > 0) + (false > 0), all_of_it + 2
        for times, way in ((true, "true"), (false, "false")):
            if times == 0:
                holes.append(f"{file}:{line} never {way}: {condition}")
                found[str(file), condition, way] += 1
    for file, (taken, all_of_it) in sorted(counts.items()):
        print(f"{str(file):24} {taken:5} of {all_of_it:5}  {100 * taken / all_of_it:5.1f} %")
    taken, all_of_it = (sum(count[i] for count in counts.values()) for i in (0, 1))
    share = 100 * taken / all_of_it
    print(f"{'all':24} {taken:5} of {all_of_it:5}  {share:5.1f} %")
    (BUILD / "holes.txt").write_text("\n".join(holes) + "\n")
    listed = Counter((one["file"], one["condition"], one["never"])
                     for one in tomllib.loads(LISTED.read_text())["hole"] if one["reason"])
    complaints = [f"{file}: never {way} and not listed: {condition}"
                  for file, condition, way in (found - listed).elements()]
    complaints += [f"{file}: listed as never {way}: {condition}"
                   for file, condition, way in (listed - found).elements()]
    if share < GOAL:
        complaints.append(f"less than {GOAL} %")
    if complaints:
        sys.exit("\n".join(f"coverage: {text}" for text in complaints))


if __name__ == "__main__":
    main()
