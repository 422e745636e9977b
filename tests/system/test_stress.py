# SPDX-License-Identifier: MIT
"""Many CPUs under load (tests/programs/stress), and that it notices what it is there for.

`make stress` runs the full form many times in a row: tests/stress.py.
"""

import re

from harness import TOP, Machine, check, limit, long, note
from test_hostile import VIRTUAL_TIME

FULL = "calls=1000000 replaced=100000"
COUNTS = (1, 2, 4, 8)  # a GICv2 serves no more


def run_stress(arch, cpus, seed, size, timeout, bug=None, extra=(), **machine):
    """Its lines as (guest seconds, text), to the end of the machine or the first failure."""
    folder = TOP / "build" / f"{arch}-dev"
    bundle = folder / "tests" / "stress.img"
    check(bundle.is_file(), f"{bundle} is not built")
    if bug:
        folder = folder.with_name(f"{arch}-dev-bug-{bug.replace(' ', '-')}")
    machine = Machine(arch=arch, cpus=cpus, build_folder=folder, **machine,
                      command_line=f"seed={seed} {size}", extra=[*extra, "-initrd", str(bundle)])
    with machine:
        # With a bug, what follows its first sign may be anything.
        first = rb"stress: FAIL .*\n|" if bug else rb""
        machine.expect(first + rb"stress: END \d+\r?\n|PANIC: the machine is stopped", timeout)
    return [(float(at), text) for at, text in
            re.findall(r"^\[ *([\d.]+)\] (?:stress: )?(.*)$", machine.text(), re.MULTILINE)]


def wrong(lines):
    """What failed: [(guest seconds, text)]"""
    return [line for line in lines if line[1].startswith(("FAIL", "PANIC"))]


def figures(lines):
    """{what: how many}, and how long it took."""
    found = {what: int(count) for at, text in lines
             for count, what in re.findall(r"^(\d+) (.+)$", text)}
    return found | {"seconds": lines[-1][0]}


def stress(arch, cpus, seed, size, timeout, extra=(), **machine):
    lines = run_stress(arch, cpus, seed, size, timeout, extra=extra, **machine)
    check(not wrong(lines) and lines[-1][1] == "END 0",
          "\n".join(text for _, text in wrong(lines) or lines[-3:]))
    note(f"{lines[-2][1]}; {lines[-1][0]:.1f} s")
    return figures(lines)


@limit(200)
def test_stress(arch, seed):
    for cpus in (2, 4):
        got = stress(arch, cpus, seed, "calls=100000 replaced=10000", 90)
        # What a run as short as this always comes to.
        for what in ("calls answered", "pages read", "wake-ups", "processes killed"):
            check(got[what] > 0, f"no {what} on {cpus} CPUs")


@limit(150)
def test_no_wake_up_is_late(arch, seed):
    """In virtual time, where the host has no say: a CPU at rest wakes at once, and does not wait for
    something else to bring it into the kernel, however many there are."""
    for cpus in (2, 4):
        got = stress(arch, cpus, seed, "calls=2000 replaced=200", 70, VIRTUAL_TIME)
        latest_us = got["ns, the latest wake-up of a CPU at rest"] // 1000
        note(f"{cpus} CPUs: the latest wake-up of a CPU at rest took {latest_us} us")
        check(latest_us < 1000, f"a wake-up of a CPU at rest took {latest_us} us")


@limit(120)
def test_planted_bugs(arch, seed):
    """One flush in 64 left out, one wake-up in 31: both are noticed within seconds."""
    for bug, reported in (("M6 one in 64", "stale translation|crash|invariant"),
                          ("S2 one in 31", "lost wake-up")):
        for cpus in (2, 4):
            found = wrong(run_stress(arch, cpus, seed, FULL, 50, bug))
            check(found, f"{bug}: nothing was reported on {cpus} CPUs")
            at, text = found[0]
            check(re.search(reported, text), f"{bug}: {text}")
            note(f"{bug}, {cpus} CPUs, after {at:.1f} s: {text[:60]}")


# What it does over all numbers of CPUs: a storm that has died down is seen.
KINDS = ("calls answered", "handles moved", "pages read", "faults of readers", "wake-ups",
         "deadlines passed", "waits cancelled", "threads moved", "threads killed", "processes killed")


@long
@limit(3600)
def test_stress_in_full(arch, seed):
    got = [stress(arch, cpus, seed, FULL, 850) for cpus in COUNTS]
    for what in KINDS:
        check(sum(run[what] for run in got) > 0, f"no {what}")
