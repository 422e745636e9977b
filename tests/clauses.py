#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Ties the clauses of the contracts to tests.

usage: tests/clauses.py [--violate]

A clause is a paragraph of docs/ that begins with `**IPC-17.**`. A test bears it by naming it in a
comment right above its TEST or SCENARIO: `// IPC-17, IPC-18`. tests/clauses.toml has for each
clause a violation: a mutant of the kernel (tests/mutants) under which a test that bears it fails,
or the reason why there is none.

Writes the table to build/clauses.txt. The status is 1 if a clause has no test or no violation, a
test or a violation names no clause, or, with --violate (after `make mutant-programs`), all tests of
a clause pass under its violation.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
MUTANTS = TOP / "build" / "mutants"
CLAUSE = re.compile(r"^\*\*([A-Z]+-\d+)\.\*\* ", re.M)
BEARS = re.compile(r"^// ((?:[A-Z]+-\d+(?:, )?)+)\n(?:TEST|SCENARIO)\w*\((\w+)", re.M)
IDENTITY = ("file", "function", "text", "becomes", "nth")
SECONDS = 3  # of the processor: none of these tests takes one


def clauses():
    """clause: document"""
    found, wrong = {}, []
    for file in sorted((TOP / "docs").glob("*.md")):
        for clause in CLAUSE.findall(file.read_text()):
            if clause in found:
                wrong.append(f"{file.name}: {clause} is there twice")
            found[clause] = file.name
    return found, wrong


def bearers():
    """clause: [(program, test)]"""
    found = defaultdict(list)
    for file in sorted((TOP / "tests" / "unit").glob("test_*.c")):
        for names, test in BEARS.findall(file.read_text()):
            for clause in names.split(", "):
                found[clause].append((file.stem, test))
    for file in sorted((TOP / "tests" / "explore" / "scenarios").glob("*.c")):
        for names, test in BEARS.findall(file.read_text()):
            for clause in names.split(", "):
                found[clause].append(("explore", test))
    return found


def passes(program, test, mutant):
    arguments = [MUTANTS / "bin" / program, "run", test]
    if program == "explore":
        arguments += ["budget=1000", "nocanary", "nosequential", "nobounds"]
    environment = dict(os.environ, SKERRY_MUTANT=str(mutant), SKERRY_TEST_FEW="1", SEED="1",
                       SKERRY_MUTANT_MS=str(SECONDS * 1000))
    return subprocess.run(arguments, env=environment, stdin=subprocess.DEVNULL, check=False,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def violate(violations, borne):
    """What is wrong with the violations, each tried."""
    mutants = {tuple(m[key] for key in IDENTITY): m["number"]
               for m in json.loads((MUTANTS / "src" / "mutants.json").read_text())}

    def one(clause):
        wanted = violations[clause]
        number = mutants.get(tuple(wanted.get(key, 1) for key in IDENTITY))
        if number is None:
            return f"{clause}: its violation is not among the mutants any more"
        if not any(not passes(*test, number) and passes(*test, "") for test in borne[clause]):
            return f"{clause}: its tests pass although {wanted['function']} is wrong: " \
                f"{wanted['text']}  =>  {wanted['becomes']}"
        return None
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        results = workers.map(one, [c for c in violations if "none" not in violations[c]])
    return [wrong for wrong in results if wrong]


def main():
    known, wrong = clauses()
    borne = bearers()
    violations = tomllib.loads((TOP / "tests" / "clauses.toml").read_text())
    wrong += [f"{clause} has no test" for clause in known if clause not in borne]
    wrong += [f"{clause} has no violation" for clause in known if clause not in violations]
    wrong += [f"{'/'.join(tests[0])} bears {clause}, which is in no document"
              for clause, tests in borne.items() if clause not in known]
    wrong += [f"clauses.toml: {clause} is in no document"
              for clause in violations if clause not in known]
    if "--violate" in sys.argv[1:]:
        wrong += violate(violations, borne)
    rows = []
    for clause, document in known.items():
        one = violations.get(clause, {})
        change = one.get("none") or f"{one.get('function')}: {one.get('text')}  =>  " \
            f"{one.get('becomes')}"
        rows.append(f"{clause} ({document})\n" +
                    "".join(f"    {program}/{test}\n" for program, test in borne[clause]) +
                    f"    violated by {change}\n")
    (TOP / "build").mkdir(exist_ok=True)
    (TOP / "build" / "clauses.txt").write_text("\n".join(rows))
    print("\n".join(wrong) or f"{len(known)} clauses, each with a test and a violation")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
