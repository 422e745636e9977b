#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Explores: the litmus tests, random programs, and each scenario of the kernel, two at a time.

T=pattern       scenarios by name, and nothing else
BUDGET=n        executions of a scenario at most (20000)
BUG='name'      with a planted bug, as if it were not known: shows a failure
RESUME=1        unfinished searches go on where the last run of the same programs has left them
MODE=pct        priorities and values at random, BUDGET executions; SEED=n DEPTH=n: changes of
                priority (3)
REPLAY='name:weak|sequential:schedule[:planted bug]'   one execution, with every operation

A row: executions and those given up as shown by others; events of the longest one, and how many
of them had a choice of CPU; source lines of kernel/ reached (at -O0); outcomes seen; complete, or
how far, or up to how many preemptions; the planted bug and the execution that found it; the same without weak memory, where only
that shows it. Then totals, and what of kernel/ no scenario reaches. The status is 0 if nothing
failed.
"""

import functools
import os
import re
import statistics
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
SEQUENTIAL_AT = "O2"
LINES_AT = "O0"  # where each line has code of its own
LOCK = "lock"    # explored as it is by a program of its own; one event for scenarios
REACHED = TOP / "build" / "explore" / "reached"
STATE = TOP / "build" / "explore" / "state"
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
                                hex(int(match[1], 16) - 1)], capture_output=True, text=True)
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
            if word in ("row", "canary", "bound"):
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

    def search(self):
        if self.row is None:
            return "?"
        bound = self.words.get("bound")
        return f"bound {bound['preemptions']}" if bound else self.row["search"]

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
                f"{self.search():8}  {self.bug():22} {self.seconds:7.1f}")
        return text if self.why is None else f"{text}\n{self.why}"


def explore(name, level, options):
    start = time.monotonic()
    program = PROGRAMS / f"kernel-{level}"
    reached = REACHED / name
    REACHED.mkdir(parents=True, exist_ok=True)
    STATE.mkdir(parents=True, exist_ok=True)
    own = [f"state={STATE / name}-{level}"]
    if level == LINES_AT:
        own += [f"reached={reached}"]
    if level != SEQUENTIAL_AT:
        own += ["nosequential"]  # once is enough: source orders are the same at each level
    done = subprocess.run([program, "run", name, *own, *options], capture_output=True, text=True,
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
    runs = [out.reached for out in outcomes if out.reached]
    lock = sites.Program(PROGRAMS / f"lock-{LINES_AT}")
    runs.append(sites.Reached(REACHED / LOCK, lock))
    every = set(object_code(LINES_AT).sites.values()) | set(lock.sites.values())
    reached = set().union(*(run.sites for run in runs))
    lines = set().union(*(run.lines for run in runs))
    wrong, told = sites.missing(every, reached)
    text = [f"{len(reached)} of {len(every)} sites of atomics, locks and fences in kernel/ are "
            f"reached, {len(lines)} source lines"]
    return wrong, text + [f"  hole: {line}" for line in told] + [f"  {line}" for line in wrong]


def self_tests(count):
    """(name, passed, output) of the explorer's own proof."""
    REACHED.mkdir(parents=True, exist_ok=True)
    for name, arguments in (("litmus", []), ("failures", []), ("lock-O0", [REACHED / LOCK]), ("lock-O2", []),
                            ("random", [str(count)])):
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


def summary(outcomes):
    """Lines about all scenarios; each counts with the lesser of its levels."""
    names = {}
    for out in outcomes:
        names.setdefault(out.name, []).append(out)
    least = {name: min(out.number("executions") for out in outs) for name, outs in names.items()}
    points = [min(out.number("points") for out in outs) for outs in names.values()]
    complete = sum(all(out.complete for out in outs) for outs in names.values())
    weak = sum(any(out.words.get("canary", {}).get("sequential") == "missed" for out in outs)
               for outs in names.values())
    total = sum(out.number("executions") + out.number("pruned") for out in outcomes)
    failures = sum(out.why is not None for out in outcomes)
    median = statistics.median(least.values()) if least else 0
    return [f"{complete} complete; median {median:.0f} executions; "
            f"{sum(p >= 60 for p in points)} with 60 points or more; "
            f"{weak} planted bugs that only weak memory shows, the search without it complete",
            f"{len(names)} scenarios, {total} executions, {failures} failures"]


def options_from_environment():
    options = [f"budget={os.environ.get('BUDGET') or 20_000}"]
    if os.environ.get("MODE") == "pct":
        options += ["random", f"seed={os.environ.get('SEED') or 1}",
                    f"depth={os.environ.get('DEPTH') or 3}"]
    elif os.environ.get("MODE"):
        sys.exit("MODE is pct or nothing")
    if os.environ.get("BUG"):
        options += [f"bug={os.environ['BUG']}"]
    return options + (["resume"] if os.environ.get("RESUME") else [])


def main():
    if os.environ.get("REPLAY"):
        return replay(os.environ["REPLAY"])
    pattern = re.compile(os.environ.get("T") or ".")
    options = options_from_environment()
    failures = 0
    for name, passed, output in [] if os.environ.get("T") else self_tests(RANDOM_PROGRAMS):
        failures += not passed
        print(output if not passed else output.rstrip("\n").split("\n")[-1])
    print(HEADER)
    work = [(name, level) for name in scenarios("O2") for level in LEVELS if pattern.search(name)]
    if not work:
        sys.exit("no scenario has such a name")
    lock, outcomes = threading.Lock(), []

    def worker():
        while True:
            with lock:
                if not work:
                    return
                name, level = work.pop(0)
            out = explore(name, level, options)
            with lock:
                outcomes.append(out)
                print(out, flush=True)

    workers = [threading.Thread(target=worker) for _ in range(max(1, os.cpu_count() or 1))]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()
    failures += sum(out.why is not None for out in outcomes)
    if not os.environ.get("T"):
        wrong, text = reach(outcomes)
        failures += len(wrong)
        print("\n".join(text))
    print("\n".join(summary(outcomes)))
    return failures > 0


if __name__ == "__main__":
    sys.exit(main())
