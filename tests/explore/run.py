#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Explores: the litmus tests, random programs, and each scenario of the kernel, two at a time.

T=pattern       scenarios by name
BUDGET=n        executions of a scenario at most (20000)
REPLAY='name:weak|sequential:schedule[:planted bug]'   one execution, with every operation

A row: executions and those given up as shown by others; events of the longest one, and how many
of them had a choice of CPU; source lines of kernel/ reached (at -O0); outcomes seen; complete, or
how far; the planted bug and the execution that found it; the same without weak memory, where only
that shows it. Then totals, and what of kernel/ no scenario reaches. The status is 0 if nothing
failed.
"""

import functools
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import sites

TOP = Path(__file__).resolve().parent.parent.parent
PROGRAMS = TOP / "build" / "explore" / "bin"
LEVELS = ["O0", "O2"]
LINES_AT = "O0"  # where each line has code of its own
REACHED = TOP / "build" / "explore" / "reached"
RANDOM_PROGRAMS = 10_000

HEADER = (f"{'scenario':42} {'executions':>10} {'shown':>7} {'events':>6} {'points':>6} "
          f"{'lines':>5} {'outcomes':>8}  {'search':8}  {'planted bug':22} {'seconds':>7}")


def scenarios(level):
    listed = subprocess.run([PROGRAMS / f"kernel-{level}", "list"], capture_output=True, text=True,
                            check=True)
    return listed.stdout.split()


def symbolise(text, program):
    """Replaces {0x...} by function and line."""
    def name(match):
        found = subprocess.run(["llvm-symbolizer-22", f"--obj={program}", "--relativenames",
                                hex(int(match[1], 16))], capture_output=True, text=True)
        lines = found.stdout.split("\n")
        return f"{lines[0]} {lines[1]}" if len(lines) > 1 and lines[0] != "??" else match[0]
    return re.sub(r"\{(0x[0-9a-f]+)\}", name, text)


@functools.cache
def object_code(level):
    return sites.Program(PROGRAMS / f"kernel-{level}")


class Outcome:
    """What became of a scenario at a level."""

    def __init__(self, name, level, text, errors, status, seconds):
        self.name, self.level = name, level
        self.words, rest = {}, []
        for line in text.rstrip("\n").split("\n"):
            word, *pairs = line.split() or [""]
            if word in ("row", "canary"):
                self.words[word] = dict(pair.split("=", 1) for pair in pairs)
            else:
                rest.append(line)
        self.why = None if status == 0 else "\n".join([*rest, errors.rstrip("\n")])
        self.row = self.words.get("row")
        self.seconds, self.reached = seconds, None

    def number(self, key):
        return int(self.row[key]) if self.row else 0

    @property
    def complete(self):
        return self.row is not None and self.row["search"] == "complete"

    def bug(self):
        canary = self.words.get("canary")
        if not canary:
            return "none"
        found = canary["kind"]
        text = found if found == "missed" else f"{found} in {canary['at']}"
        return text + (f", SC {canary['sequential']}" if "sequential" in canary else "")

    def __str__(self):
        row = self.row or {}
        lines = len(self.reached.lines) if self.reached else "-"
        text = (f"{self.name + ' -' + self.level:42} {row.get('executions', '?'):>10} "
                f"{row.get('pruned', '?'):>7} {row.get('events', '?'):>6} "
                f"{row.get('points', '?'):>6} {lines:>5} {row.get('outcomes', '?'):>8}  "
                f"{row.get('search', '?'):8}  {self.bug():22} {self.seconds:7.1f}")
        return text if self.why is None else f"{text}\n{self.why}"


def explore(name, level, budget):
    start = time.monotonic()
    program = PROGRAMS / f"kernel-{level}"
    reached = REACHED / name
    REACHED.mkdir(parents=True, exist_ok=True)
    options = [f"budget={budget}"] + ([f"reached={reached}"] if level == LINES_AT else [])
    done = subprocess.run([program, "run", name, *options], capture_output=True, text=True,
                          cwd=TOP)
    out = Outcome(name, level, done.stdout, symbolise(done.stderr, program), done.returncode,
                  time.monotonic() - start)
    if out.why is not None:
        out.why = symbolise(out.why, program) or f"ended with status {done.returncode}"
    if level == LINES_AT and out.row:
        out.reached = sites.Reached(reached, object_code(level))
    return out


def reach(outcomes):
    """(what is wrong, what to print) of the sites of kernel/, from a run of all scenarios"""
    every = set(object_code(LINES_AT).sites.values())
    reached = set().union(*(out.reached.sites for out in outcomes if out.reached))
    wrong, told = sites.missing(every, reached)
    lines = set().union(*(out.reached.lines for out in outcomes if out.reached))
    text = [f"{len(reached)} of {len(every)} sites of atomics, locks and fences in kernel/ are "
            f"reached, {len(lines)} source lines"]
    return wrong, text + [f"  hole: {line}" for line in told] + [f"  {line}" for line in wrong]


def self_tests(count):
    """(name, passed, output) of the explorer's own proof."""
    for name, arguments in (("litmus", []), ("random", [str(count)])):
        done = subprocess.run([PROGRAMS / name, *arguments], capture_output=True, text=True,
                              cwd=TOP)
        yield name, done.returncode == 0, done.stdout + done.stderr


def replay(text):
    name, mode, schedule, *bug = text.split(":", 3)
    program = PROGRAMS / "kernel-O2"
    done = subprocess.run([program, "replay", name, mode, schedule, *bug], capture_output=True,
                          text=True, cwd=TOP)
    print(symbolise(done.stdout + done.stderr, program), end="")
    return done.returncode


def main():
    if os.environ.get("REPLAY"):
        return replay(os.environ["REPLAY"])
    pattern = re.compile(os.environ.get("T") or ".")
    budget = int(os.environ.get("BUDGET") or 20_000)
    failures = 0
    for name, passed, output in self_tests(RANDOM_PROGRAMS):
        failures += not passed
        print(output if not passed else output.rstrip("\n").split("\n")[-1])
    print(HEADER)
    work = [(name, level) for name in scenarios("O2") for level in LEVELS if pattern.search(name)]
    lock, outcomes, chosen = threading.Lock(), [], "T" in os.environ and os.environ["T"]

    def worker():
        while True:
            with lock:
                if not work:
                    return
                name, level = work.pop(0)
            out = explore(name, level, budget)
            with lock:
                outcomes.append(out)
                print(out, flush=True)

    workers = [threading.Thread(target=worker) for _ in range(max(1, os.cpu_count() or 1))]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()
    failures += sum(out.why is not None for out in outcomes)
    if not chosen:
        wrong, text = reach(outcomes)
        failures += len(wrong)
        print("\n".join(text))
    names = {out.name for out in outcomes}
    whole = names - {out.name for out in outcomes if not out.complete}
    total = sum(out.number("executions") + out.number("pruned") for out in outcomes)
    print(f"{len(names)} scenarios ({len(whole)} complete), {total} executions, "
          f"{failures} failures")
    return failures > 0


if __name__ == "__main__":
    sys.exit(main())
