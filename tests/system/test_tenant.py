# SPDX-License-Identifier: MIT
"""A tenant with a share of each CPU attacks one resource after the other; its neighbour's calls between all
CPUs stay right, and as many as while the tenant does nothing, and so do the blocks that it reads from a
disk (tests/programs/tenant).

Time is virtual and a run repeats exactly, but for the machine's own disk, which is as fast as the host
lets it be. On several CPUs it is what all of them together execute, so the program keeps all of them
busy at all times; on one CPU it is the kernel's alone.
"""

import re
import struct

from harness import TOP, alone, check, equal, limit, long, note
from machine import disk_arguments
from session import Session
from test_hostile import VIRTUAL_TIME, run_program
from test_restart import Work, make_disk
from test_supervision import build_with

ATTACKS = 21
ROW = re.compile(r"row (.{16}) +(\d+) in \d+ us, ([\d.]+) %; (.*)")
CALLS, MEMORY_DISK, MACHINE_DISK = 0, 1, 2
NAMES = {CALLS: "round trips", MEMORY_DISK: "blocks", MACHINE_DISK: "blocks of the machine's disk"}


def measure(arch, cpus, window_ms, timeout, disk, extra=()):
    """[(attack, how many, % of idle, the rest of the line)], idle first."""
    lines = run_program(arch, "tenant", f"window={window_ms} disk={disk}", [*VIRTUAL_TIME, *extra],
                        timeout=timeout, cpus=cpus)
    rows = [(row[1].strip(), *row.groups()[1:]) for line in lines if (row := ROW.match(line))]
    check(len(rows) == ATTACKS + 1, f"{len(rows) - 1} attacks, not {ATTACKS}")
    name, _, least, _ = min(rows[1:], key=lambda row: float(row[2]))
    note(f"{cpus} CPU{'s' if cpus > 1 else ''}: at least {least} % of the {NAMES[disk]} ({name}) under "
         f"{ATTACKS} attacks")
    return rows


def watch(arch, cpus, window_ms, timeout):
    calls = measure(arch, cpus, window_ms, timeout, CALLS)
    blocks = measure(arch, cpus, window_ms, timeout, MEMORY_DISK)
    lines = [f"{'attack':16} {'trips':>8} {'%':>6} {'blocks':>8} {'%':>6}  beside the blocks"]
    for (name, trips, of_trips, _), (_, read, of_read, rest) in zip(calls, blocks):
        lines.append(f"{name:16} {trips:>8} {of_trips:>6} {read:>8} {of_read:>6}  {rest}")
    (TOP / "build" / f"tenant-{arch}-{cpus}.txt").write_text("\n".join(lines) + "\n")


@limit(200)
def test_attacks_on_four_cpus(arch):
    watch(arch, 4, 60, 95)


@long
@limit(300)
def test_attacks_on_one_cpu(arch):
    watch(arch, 1, 200, 145)


@long
@limit(600)
def test_long_attacks_on_four_cpus(arch):
    watch(arch, 4, 400, 295)


def mixed(value):
    """As tests/programs/tenant/neighbour.c has it."""
    value = (value ^ value >> 29) * 0x9e3779b97f4a7c15 & (1 << 64) - 1
    return value ^ value >> 32


@long
@alone
@limit(200)
def test_attacks_beside_the_machines_disk(arch, tmp):
    """devd and the driver as they are. One CPU: several err too much when the host is slow besides."""
    (tmp / "disk").write_bytes(b"".join(struct.pack("<Q", mixed(i)) for i in range(1 << 17)))
    measure(arch, 1, 100, 190, MACHINE_DISK, disk_arguments(tmp / "disk", None, False))


PROGRAMS = ["devd", "uart", "virtio-blk", "ram-disk", "rtc", "files", "shell", "crash", "fault"]


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
        shell.ask("sleep 2")  # what a busy host makes it owe is little beside all that it has had
        services = shell.ps()
        row, on_cpus = services["crash"], shell.cpus()
        up = row["up"]  # cut to whole seconds
        # It never says that it is ready.
        check(row["state"] == "starting" and row["threads"] > cpus, f"what spins: {row}")
        check(10 + 200 * up <= row["cpu_ms"] <= 260 * cpus * (up + 1), f"its share is a quarter: {row}")
        # It never waits, and nobody else works for long: three quarters of the time.
        equal(row["share"], 25.0, "the share that ps shows")
        check(2 * row["cpu_ms"] <= row["throttled_ms"] <= 4 * row["cpu_ms"], f"how long it was throttled: {row}")
        equal({name: (s["share"], s["throttled_ms"]) for name, s in services.items() if name != "crash"},
              {name: (None, None) for name in services if name != "crash"}, "services that are not limited")
        for cpu in on_cpus:
            equal(cpu["shares"], 25.0, "the shares of a CPU")
            check(cpu["throttled_ms"] > 0, f"a CPU where nobody was throttled: {on_cpus}")
        cut_off = 0.001 * len(on_cpus)  # each shows whole microseconds
        check(sum(cpu["throttled_ms"] for cpu in on_cpus) + cut_off >= row["throttled_ms"],
              f"less on the CPUs, a moment later: {on_cpus}, {row}")
        note(f"{cpus} CPU{'s' if cpus > 1 else ''}: {len(sums)} sums right beside {row}")


@limit(120)
def test_sums_beside_a_spinning_service_on_one_cpu(arch, tmp, seed):
    sums_beside_a_spinning_service(arch, tmp, seed, 1)


@limit(120)
def test_sums_beside_a_spinning_service_on_four_cpus(arch, tmp, seed):
    sums_beside_a_spinning_service(arch, tmp, seed, 4)
