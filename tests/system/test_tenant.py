# SPDX-License-Identifier: MIT
"""A tenant with a share of each CPU attacks one resource after the other; its neighbour's calls between all
CPUs stay right, and as many as while the tenant does nothing (tests/programs/tenant).

Time is virtual and a run repeats exactly. On several CPUs it is what all of them together execute, so
the program keeps all of them busy at all times; on one CPU it is the kernel's alone.
"""

import re

from harness import TOP, check, limit, long, note
from test_hostile import VIRTUAL_TIME, run_program

ATTACKS = 18
ROW = re.compile(r"row (.{16}) +\d+ round trips, ([\d.]+) %")


def watch(arch, cpus, window_ms, timeout):
    lines = run_program(arch, "tenant", f"window={window_ms}", VIRTUAL_TIME, timeout=timeout, cpus=cpus)
    rows = [ROW.match(line) for line in lines if ROW.match(line)]
    check(len(rows) == ATTACKS, f"{len(rows)} attacks, not {ATTACKS}")
    table = "\n".join(line.removeprefix("row ") for line in lines if line.startswith("row "))
    (TOP / "build" / f"tenant-{arch}-{cpus}.txt").write_text(table + "\n")
    least = min(rows, key=lambda row: float(row[2]))
    note(f"{cpus} CPU{'s' if cpus > 1 else ''}: at least {least[2]} % ({least[1].strip()}) under {len(rows)} attacks")


@limit(200)
def test_attacks_on_four_cpus(arch):
    watch(arch, 4, 60, 190)


@long
@limit(300)
def test_attacks_on_one_cpu(arch):
    watch(arch, 1, 200, 290)


@long
@limit(600)
def test_long_attacks_on_four_cpus(arch):
    watch(arch, 4, 400, 590)
