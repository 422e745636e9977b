#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`make entries`: the longest stretches in which the kernel does not look for interrupts.

Programs that bring the kernel to its limits (tests/programs/longest), by what a search has found
(found; tests/bench/climb.c), into all its errors (hostile) and under the load of several CPUs (stress) run on a release kernel; entries_plugin.c
measures. Time is virtual, so that a stretch is found again by its program, command line and case.

SEEDS=n      of the hostile program (3)
--record     writes the tables into docs/performance.md

Prints the ten longest of each machine and what each call took at most; the status is 0 if nothing
took more than LIMIT instructions.
"""

import os
import re
import sys
import tempfile
from collections import namedtuple
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(TOP / "tests" / "bench"), str(TOP / "tests" / "system"), str(TOP / "tools")]

from cpus import addresses  # noqa: E402
from machine import ARCHES, Machine, MachineError  # noqa: E402

PLUGIN = TOP / "build" / "host" / "bench-entries_plugin.so"
PAGE = TOP / "docs" / "performance.md"
BEGIN, END = "<!-- figures: make entries -->", "<!-- end of entries -->"
LIMIT = 20_000
SHOWN = 10
LETS_INTERRUPTS_IN = {"arch_idle", "arch_interrupt_window"}
ENTRIES = {"entry_syscall", "entry_interrupt", "entry_kernel_interrupt", "entry_fault"}
STEP = re.compile(r"^(?:static )?enum step (\w+)\(struct object \*", re.MULTILINE)

Stretch = namedtuple("Stretch", "most times names where")


def marks(folder, program):
    """What the plugin looks for: lines of its file."""
    steps = {name for source in (TOP / "kernel").glob("*.c")
             for name in STEP.findall(source.read_text())}
    for name, address in addresses(folder / "kernel.elf").items():
        if name in LETS_INTERRUPTS_IN:
            yield f"{address:x} cut"
        elif name.startswith("decode_"):
            yield f"{address:x} {name.removeprefix('decode_')}"
        elif name in ENTRIES or name in steps:
            yield f"{address:x} {name}"
    if "mark_case" in (symbols := addresses(program)):
        yield f"{symbols['mark_case']:x} case"


def measure(arch, program, command_line="", cpus=1, programs="release"):
    """The stretches of one run. The kernel is a release build; the programs may be others."""
    folder = TOP / "build" / f"{arch}-release"
    theirs = TOP / "build" / f"{arch}-{programs}"
    with tempfile.TemporaryDirectory(prefix="skerry-") as tmp:
        file, out = Path(tmp) / "marks", Path(tmp) / "stretches"
        file.write_text("\n".join(marks(folder, theirs / "user" / program)) + "\n")
        with Machine(arch=arch, build="release", cpus=cpus, command_line=command_line, extra=[
                "-icount", "shift=0,sleep=off", "-plugin", f"{PLUGIN},marks={file},out={out}",
                "-initrd", str(theirs / "tests" / f"{program}.img")]) as machine:
            machine.expect(rb"END (\d+)", 900)  # a hang detector
            machine.wait(20)
            text = machine.text()
        if f"{program}: END 0" not in text:
            raise MachineError(f"{program} failed:\n{text}")
        cases = re.findall(rf"{program}: case (.*?)\r?$", text, re.MULTILINE)
        found = []
        for line in out.read_text().splitlines():
            most, times, case, *names = line.split()
            where = cases[int(case) - 1] if 0 < int(case) <= len(cases) else \
                " ".join([program, command_line, f"on {cpus} CPUs" if cpus > 1 else ""]).strip()
            found.append(Stretch(int(most), int(times), tuple(names[0].split("+") if names else ()),
                                 where))
    return found


def programs(seeds):
    yield "longest", "", 1
    yield "found", "", 1
    for seed in range(1, seeds + 1):
        yield "hostile", f"seed={seed}", 1
    yield "stress", "seed=1 calls=20000 replaced=2000", 4


def worst(stretches, key):
    """{key: the longest of its stretches}"""
    found = {}
    for stretch in stretches:
        name = key(stretch)
        if name and (name not in found or stretch.most > found[name].most):
            found[name] = stretch
    return found


def call_of(stretch):
    return stretch.names[1] if stretch.names[:1] == ("entry_syscall",) and len(stretch.names) > 1 \
        else None


def described(stretch):
    return ", ".join(name for name in stretch.names if name != "entry_syscall") or "the rest of an entry"


def tables(found):
    for arch in ARCHES:
        yield f"| {arch}: the longest | instructions | in |"
        yield "|---|---:|---|"
        kinds = worst(found[arch], lambda s: s.names)
        for stretch in sorted(kinds.values(), key=lambda s: -s.most)[:SHOWN]:
            yield f"| {described(stretch)} | {stretch.most} | {stretch.where} |"
        yield ""
    calls = {arch: worst(found[arch], call_of) for arch in ARCHES}
    yield "| at most, of a call | x86_64 | AArch64 |"
    yield "|---|---:|---:|"
    for name in sorted(set().union(*calls.values())):
        most = [str(calls[arch][name].most) if name in calls[arch] else "–" for arch in ARCHES]
        yield f"| {name} | {most[0]} | {most[1]} |"


def too_long(stretches):
    for stretch in stretches:
        if stretch.most > LIMIT:
            yield (f"{described(stretch)}: {stretch.most} instructions, more than {LIMIT} "
                   f"({stretch.where})")


def main():
    seeds = int(os.environ.get("SEEDS") or 3)
    try:
        found = {arch: [stretch for program in programs(seeds) for stretch in measure(arch, *program)]
                 for arch in ARCHES}
    except MachineError as error:
        sys.exit(f"entries: {error}")
    lines = list(tables(found))
    print("\n".join(lines))
    if "--record" in sys.argv[1:]:
        text = PAGE.read_text()
        head, rest = text.split(BEGIN)
        PAGE.write_text(head + BEGIN + "\n" + "\n".join(lines) + "\n" + END + rest.split(END)[1])
    complaints = [f"{arch}: {text}" for arch in ARCHES for text in too_long(found[arch])]
    if complaints:
        sys.exit("\n".join(complaints))


if __name__ == "__main__":
    main()
