#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Explores: the litmus tests, random programs, and each scenario of the kernel, two at a time.

T=pattern       scenarios by name
BUDGET=n        executions of a scenario at most (20000)
REPLAY='name:weak|sequential:schedule[:planted bug]'   one execution, with every operation

A row: executions and those given up as shown by others; events of the longest one, and how many
of them had a choice of CPU; code addresses and outcomes seen; complete, or how far; the planted
bug and the execution that found it; the same without weak memory, where only that shows it.
Ends with totals; the status is 0 if nothing failed.
"""

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
PROGRAMS = TOP / "build" / "explore" / "bin"
LEVELS = ["O0", "O2"]
RANDOM_PROGRAMS = 10_000

HEADER = (f"{'scenario':42} {'executions':>10} {'shown':>7} {'events':>6} {'points':>6} {'code':>5} "
          f"{'outcomes':>8}  {'search':8}  {'planted bug':22} {'seconds':>7}")


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


def explore(name, level, budget):
    """(passed, executions, row or what went wrong)"""
    start = time.monotonic()
    program = PROGRAMS / f"kernel-{level}"
    done = subprocess.run([program, "run", name, str(budget)], capture_output=True, text=True,
                          cwd=TOP)
    seconds = time.monotonic() - start
    lines = done.stdout.rstrip("\n").split("\n")
    words = lines[0].split()
    if len(words) < 12:
        return False, 0, f"{name} -{level}: status {done.returncode}\n{done.stdout}{done.stderr}"
    executions, shown, events, points, code, outcomes, search, failure = words[1:9]
    kind, found_at, sequential = words[-3:]
    bug = f"{kind} in {found_at}" if kind not in ("none", "missed") else kind
    if sequential != "-":
        bug += f", SC {sequential}"
    row = (f"{name + ' -' + level:42} {executions:>10} {shown:>7} {events:>6} {points:>6} "
           f"{code:>5} {outcomes:>8}  {search:8}  {bug:22} {seconds:7.1f}")
    passed = done.returncode == 0 and failure == "-"
    if not passed:
        row += "\n" + symbolise("\n".join(lines[1:]) + done.stderr, program)
    return passed, int(executions) + int(shown), row


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
    lock, total, complete = threading.Lock(), 0, []

    def worker():
        nonlocal failures, total
        while True:
            with lock:
                if not work:
                    return
                name, level = work.pop(0)
            passed, executions, row = explore(name, level, budget)
            with lock:
                failures += not passed
                total += executions
                complete.append((name, " complete " in row))
                print(row, flush=True)

    workers = [threading.Thread(target=worker) for _ in range(max(1, os.cpu_count() or 1))]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()
    whole = {name for name, done in complete if done}
    print(f"{len({name for name, _ in complete})} scenarios ({len(whole)} complete), "
          f"{total} executions, {failures} failures")
    return failures > 0


if __name__ == "__main__":
    sys.exit(main())
