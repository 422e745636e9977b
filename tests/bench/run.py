#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`make bench`: what operations cost, in instructions that the kernel executes.

The benchmark program (tests/programs/bench) runs as the only user space of a
machine; a plugin of the emulator (plugin.c) counts, in virtual time, so that
nothing depends on the host's speed. Each row is measured some times, in two
runs, which must not differ in a single instruction. The median is printed, and
how far the others are from it where they are: memory calls meet a search tree
of another shape each time. What CPUs cost each other is in cpus.py. --record
writes the tables into docs/performance.md.
"""

import io
import re
import sys
import tarfile
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(TOP / "tools"))

sys.path.insert(0, str(TOP / "tests" / "system"))

import cpus  # noqa: E402
from harness import run  # noqa: E402
from machine import ARCHES, Machine, MachineError  # noqa: E402

PLUGIN = TOP / "build" / "host" / "bench-plugin.so"
PAGE = TOP / "docs" / "performance.md"
BEGIN, END = "<!-- figures: make bench -->", "<!-- end of figures -->"
RUNS = 2
DEV_LIMIT = 2.0

# name, what it is, seL4's figures (x86_64, AArch64), the goal, divided by
ROWS = [
    ("round-trip", "call + reply, no payload, server waits on a port", (402, 405), 320, 1),
    ("round-trip-64-channels", "the same, 64 channels bound to the port", None, 390, 1),
    ("round-trip-4-words", "round trip, 4 words each way", (444, 452), 330, 1),
    ("round-trip-8-words", "round trip, 8 words each way", (1600, 1368), 350, 1),
    ("round-trip-64-words", "round trip, 64 words each way", (2160, 1928), 900, 1),
    ("handle-moved", "one handle moved by a call", (1271, 949), 500, 1),
    ("signal", "signal an event, nobody waits", (373, 333), 120, 1),
    ("signal-wakes", "signal, a higher thread of another process runs", (535, 496), 300, 1),
    ("cheapest", "cheapest system call (clock_info)", (252, 211), 70, 1),
    ("yield", "yield to another process", (257, 272), 200, 1),
    ("yield-fpu", "the same, both use FP registers", None, 300, 1),
    ("fault", "fault, handler, resumed", (1250, 1035), 700, 1),
    ("interrupt", "device interrupt to its driver", (379, 330), 300, 1),
    ("map", "map one page, tables present", (741, 535), 350, 1),
    ("unmap", "unmap one page", (579, 487), 300, 1),
    ("map-512", "map 512 pages, a page", (None, 551), 30, 512),
    ("map-large", "map 2 MiB by a large page", (None, None), None, 1),
]
# What a dev build is compared by: messages and memory.
WORKLOAD = [name for name, *_ in ROWS if name.startswith(("round-trip", "map", "unmap", "handle"))]


def measure(arch, build, gic=None):
    """{row: [counts]} of one run."""
    folder = TOP / "build" / f"{arch}-{build}"
    marks = cpus.addresses(folder / "user" / "bench")
    with tempfile.TemporaryDirectory(prefix="skerry-") as tmp:
        counts = Path(tmp) / "counts"
        plugin = f"{PLUGIN},begin={marks['mark_begin']:#x},end={marks['mark_end']:#x},out={counts}"
        with Machine(arch=arch, build=build, gic=gic, extra=[
                "-icount", "shift=0,sleep=off", "-plugin", plugin, "-initrd", str(folder / "tests" / "bench.img")]) as machine:
            machine.expect(rb"bench: END (\d+)", 30)
            machine.wait(5)
            text = machine.text()
        if "bench: END 0" not in text:
            raise MachineError(f"the benchmark failed:\n{text}")
        values = [int(line) for line in counts.read_text().split()]
    rows = {}
    for name, repeats in re.findall(r"bench: row (\S+) (\d+)", text):
        rows[name], values = values[:int(repeats)], values[int(repeats):]
    if values:
        raise MachineError(f"{len(values)} counts belong to no row")
    return rows


def disk_workload(arch, build, folder):
    """Instructions of (the kernel, everybody) from power-on to the sum of a file of 4 MiB."""
    disk, counts = Path(folder) / "disk.tar", Path(folder) / "counts"
    with tarfile.open(disk, "w") as archive:
        member = tarfile.TarInfo("large")
        member.size = 4 << 20
        archive.addfile(member, io.BytesIO(bytes(range(256)) * (member.size // 256)))
    status, _ = run(arch, "sha256sum /disk/large", build=build, disk=disk,
                    extra=["-plugin", f"{PLUGIN},out={counts}"])
    if status != 0:
        raise MachineError(f"{arch} {build}: sha256sum failed")
    return [int(word) for word in counts.read_text().split()]


def settle(arch, build, complaints, gic=None):
    """{row: (median, least, most)}; complains where runs differ."""
    runs = [measure(arch, build, gic) for _ in range(RUNS)]
    settled = {}
    for name, *_ in ROWS:
        if any(run[name] != runs[0][name] for run in runs):
            complaints.append(f"{arch} {build} {name}: not the same in each run: "
                              + " and ".join(str(run[name]) for run in runs))
        counts = sorted(runs[0][name])
        settled[name] = (counts[len(counts) // 2], counts[0], counts[-1])
    return settled


def show(figure, divisor):
    median, least, most = (round(value / divisor) for value in figure)
    return str(median) if least == most else f"{median} ({least}–{most})"


def table(figures):
    yield ("| kernel instructions | seL4 x86_64 | seL4 AArch64 | goal | x86_64 | AArch64 |")
    yield "|---|---:|---:|---:|---:|---:|"
    for name, what, rival, goal, divisor in ROWS:
        rivals = [str(value or "–") for value in rival or (None, None)]
        ours = [show(figures[arch][name], divisor) for arch in ARCHES]
        yield f"| {what} | {rivals[0]} | {rivals[1]} | {goal or '–'} | {ours[0]} | {ours[1]} |"


def gic_lines(figures, complaints):
    """What the other interrupt controller of AArch64 costs, where it costs something else."""
    with_v3 = settle("aarch64", "release", complaints, gic=3)
    for name, what, *_ in ROWS:
        if with_v3[name] != figures["aarch64"][name]:
            yield (f"aarch64 with a GICv3: {what}: {show(with_v3[name], 1)} instead of "
                   f"{show(figures['aarch64'][name], 1)}")


def dev_lines(figures, dev, complaints):
    for arch in ARCHES:
        plain, checked = (sum(f[arch][name][0] for name in WORKLOAD) for f in (figures, dev))
        ratio = checked / plain
        if ratio > DEV_LIMIT:
            complaints.append(f"{arch}: a dev build is {ratio:.2f} times a release build")
        yield (f"{arch}: a dev build executes {ratio:.2f} times the instructions of a release "
               f"build (messages and memory together; limit {DEV_LIMIT:.0f})")


def disk_lines(complaints):
    """How a dev build compares where a user looks. Disks keep host time: this one varies a little."""
    for arch in ARCHES:
        with tempfile.TemporaryDirectory(prefix="skerry-") as folder:
            plain, checked = (disk_workload(arch, build, folder) for build in ("release", "dev"))
        kernel, everybody = (c / p for c, p in zip(checked, plain))
        if everybody > DEV_LIMIT:
            complaints.append(f"{arch}: a dev build is {everybody:.2f} times a release build on the disk")
        yield (f"{arch}: from power-on to the sum of 4 MiB of disk, a dev build executes {everybody:.1f} "
               f"times the instructions of a release build, its kernel {kernel:.1f} times "
               f"(limit {DEV_LIMIT:.0f})")


def record(lines):
    text = PAGE.read_text()
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    PAGE.write_text(head + BEGIN + "\n" + "\n".join(lines) + "\n" + END + tail)


def main():
    complaints = []
    try:
        figures = {arch: settle(arch, "release", complaints) for arch in ARCHES}
        dev = {arch: settle(arch, "dev", complaints) for arch in ARCHES}
        several = list(cpus.table(complaints))
        other_gic = list(gic_lines(figures, complaints))
    except MachineError as error:
        sys.exit(f"bench: {error}")
    lines = [*table(figures), "", *other_gic, "", *several, "", *dev_lines(figures, dev, complaints),
             *disk_lines(complaints)]
    print("\n".join(lines))
    if "--record" in sys.argv[1:]:
        record(lines)
    if complaints:
        sys.exit("\n".join(f"bench: {text}" for text in complaints))


if __name__ == "__main__":
    main()
