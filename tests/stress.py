#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`make stress`: the full stress, RUNS times in a row on each machine and number of CPUs.

T=pattern    chooses among x86_64/1 ... aarch64/8
SMP=n        only that number of CPUs
RUNS=n       how often in a row (10)
SEED=n       of the first run; each run has the next

Prints a line for each run and a table of least and most; the status is 0 if nothing failed. The
table is also kept in build/stress.txt.
"""

import os
import random
import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOP / "tests" / "system"), str(TOP / "tools")]

import test_stress  # noqa: E402
from harness import ARCHES, MachineError  # noqa: E402

TIMEOUT = 1800  # a hang detector: the host may have a lot to do
COLUMNS = {"seconds": "seconds", "system calls": "system calls", "calls answered": "calls answered",
           "messages sent": "messages", "handles moved": "handles", "pages replaced": "replaced",
           "pages read": "pages read", "faults of readers": "faults", "wake-ups": "wake-ups",
           "threads moved": "moves", "threads killed": "threads k.",
           "processes killed": "processes k."}


def setting(name, default):
    return int(os.environ.get(name) or default)


def one(arch, cpus, seed):
    """(figures, or None; what failed)"""
    try:
        lines = test_stress.run_stress(arch, cpus, seed, test_stress.FULL, TIMEOUT)
    except (MachineError, AssertionError) as error:
        return None, str(error)
    failed = test_stress.wrong(lines)
    if failed or lines[-1][1] != "END 0":
        return None, "; ".join(text for _, text in failed or lines[-1:])
    return test_stress.figures(lines), None


def span(results, what):
    values = [r[what] for r in results]
    least, most = min(values), max(values)
    if isinstance(least, float):
        return f"{least:.0f}-{most:.0f}" if len(values) > 1 else f"{least:.0f}"
    return f"{least:,}" if least == most else f"{least:,}-{most:,}"


def table(rows):
    """The figures stand in lines, one for each machine and number of CPUs stands in a column."""
    names = ["", *COLUMNS.values(), "runs that passed"]
    columns = [names] + [[name, *(span(good, what) if good else "-" for what in COLUMNS),
                          f"{len(good)} of {runs}"] for name, good, runs in rows]
    widths = [max(len(cell) for cell in column) for column in columns]
    return "\n".join("  ".join(f"{column[i]:>{width}}" for column, width in zip(columns, widths))
                     for i in range(len(names)))


def main():
    pattern = re.compile(os.environ.get("T") or "")
    runs, seed = setting("RUNS", 10), setting("SEED", random.randrange(1 << 32))
    counts = [setting("SMP", 0)] if os.environ.get("SMP") else test_stress.COUNTS
    rows, failures = [], 0
    for arch in ARCHES:
        for cpus in counts:
            name = f"{arch}/{cpus}"
            if not pattern.search(name):
                continue
            good = []
            for run in range(runs):
                got, failed = one(arch, cpus, seed + run)
                if failed:
                    failures += 1
                    print(f"FAIL {name} SEED={seed + run}: {failed}", flush=True)
                else:
                    good.append(got)
                    print(f"ok   {name} SEED={seed + run}: {got['seconds']:.0f} s, "
                          f"{got['system calls']:,} system calls, {got['pages replaced']:,} pages "
                          f"replaced, latest wake-up "
                          f"{got['ns, the latest wake-up'] // 1_000_000} ms", flush=True)
            rows.append((name, good, runs))
    if not rows:
        sys.exit("nothing has been chosen")
    text = table(rows)
    print(f"\n{text}\n\n{sum(len(good) for _, good, _ in rows)} runs passed, {failures} failed")
    (TOP / "build" / "stress.txt").write_text(text + "\n")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
