# SPDX-License-Identifier: MIT
"""Machines with many CPUs: all of them start, and each pair works together (tests/programs/smp)."""

import re

from harness import TOP, check, equal, limit, note, run
from test_hostile import run_program

DISK = TOP / "build" / "disk.tar"


def check_pairs(arch, counts):
    for count in counts:
        lines = run_program(arch, "smp", "", ["-smp", str(count)], timeout=60)
        said = "\n".join(lines)
        equal(len(re.findall(r"^cpu \d+ id", said, re.MULTILINE)), count, f"CPUs of {count} that run")
        check(f"ok {count} CPUs" in said, said)
        if arch == "x86_64":  # where it takes an interrupt
            flushes = [int(n) for n in re.findall(r"flushes (\d+)", said)]
            check(all(flushes[1:]), f"a CPU was never asked to flush:\n{said}")
    note(next(line for line in lines if line.startswith("ok ")))


@limit(140)
def test_pairs(arch):
    check_pairs(arch, (2, 4, 8))  # a GICv2 serves no more


def test_shell_on_four(arch):
    status, text = run(arch, "ps; log", disk=DISK, cpus=4)
    equal(status, 0, "status")
    check("4 of 4 CPUs run" in text, text)
