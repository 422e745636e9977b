# SPDX-License-Identifier: MIT
"""A tenant with a share of each CPU attacks one resource after the other; its neighbour's calls between all
CPUs stay right, and as many as while the tenant does nothing (tests/programs/tenant).

Time is virtual and a run repeats exactly. On several CPUs it is what all of them together execute, so
the program keeps all of them busy at all times; on one CPU it is the kernel's alone.
"""

import re

from harness import TOP, check, limit, long, note
from session import Session
from test_hostile import VIRTUAL_TIME, run_program
from test_restart import Work, make_disk
from test_supervision import build_with

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


PROGRAMS = ["devd", "uart", "virtio-blk", "files", "shell", "crash", "fault"]


def sums_beside_a_spinning_service(arch, tmp, seed, cpus):
    """It is more urgent than whoever reads the disk, never waits, and has a quarter of each CPU."""
    text = (TOP / "user" / "system.toml").read_text()
    old = ('name = "crash"\nstart = "hand"\npriority = 8\n'
           'share = {budget_us = 5000, period_us = 10000}\npages = 96\n')
    check(text.count(old) == 1, "system.toml has another service 'crash'")
    text = text.replace(old, 'name = "crash"\nstart = "boot"\npriority = 45\nargument = "spin"\n'
                             'share = {budget_us = 2500, period_us = 10000}\npages = 300\n')
    folder = build_with(arch, tmp, text, PROGRAMS)
    disk, sums = make_disk(tmp, seed)
    with Session(arch, disk=disk, cpus=cpus, build_folder=folder) as shell:
        Work(shell, sums).finish()
        ps = shell.ask("ps")
        row = next(line for line in ps.splitlines() if line.startswith("crash"))
        # It never says that it is ready. The time that it is up is cut to whole seconds.
        state, threads, cpu_ms, up = (row.split()[i] for i in (1, 4, 6, 8))
        check(state == "starting" and int(threads) > cpus, f"what spins: {row}")
        check(10 + 200 * int(up) <= float(cpu_ms) <= 260 * cpus * (int(up) + 1), f"its share is a quarter: {row}")
        note(f"{cpus} CPU{'s' if cpus > 1 else ''}: {len(sums)} sums right beside: {' '.join(row.split())}")


@limit(120)
def test_sums_beside_a_spinning_service_on_one_cpu(arch, tmp, seed):
    sums_beside_a_spinning_service(arch, tmp, seed, 1)


@limit(120)
def test_sums_beside_a_spinning_service_on_four_cpus(arch, tmp, seed):
    sums_beside_a_spinning_service(arch, tmp, seed, 4)
