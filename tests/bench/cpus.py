# SPDX-License-Identifier: MIT
"""The rows of `make bench` that need several CPUs: what CPUs cost each other.

A machine of CPUS runs the program tests/programs/bench-cpus; cpus_plugin.c counts each CPU's
kernel instructions and the interrupts between CPUs, and lists the cache lines that the kernel
wrote on one CPU and touched on another.
"""

import bisect
import re
import subprocess
import tempfile
from pathlib import Path

from machine import ARCHES, Machine, MachineError

TOP = Path(__file__).resolve().parent.parent.parent
PLUGIN = TOP / "build" / "host" / "bench-cpus_plugin.so"
CPUS, RUNS = 8, 2
IMAGE_FIRST = 0xffffffff80000000  # the kernel's own code and data; below: its view of all memory
IPI = {"x86_64": "apic_ipi", "aarch64": "ipi"}
LINE_BYTES = 64
GROWTH_MAX = 1.02  # of what a round trip costs, when others make theirs


def addresses(program):
    """{symbol: address}"""
    text = subprocess.run(["llvm-nm-22", str(program)], check=True, capture_output=True,
                          text=True).stdout
    return {name: int(address, 16) for address, _, name in (line.split() for line in text.splitlines())}


class Region:
    """What happened between a pair of marks."""

    def __init__(self, words):
        self.interrupts, *self.counts = map(int, words)
        self.lines = []  # (address, {cpu: ('r' or 'w', address of the instruction)})

    def between(self, cpus_each):
        """The lines that two groups of so many neighbouring CPUs have in common, written by one."""
        for address, touched in self.lines:
            if len({cpu // cpus_each for cpu in touched}) > 1:
                yield address, touched

    def __eq__(self, other):
        return vars(self) == vars(other)

    def __repr__(self):
        return f"{self.counts}, {self.interrupts} interrupts, {len(self.lines)} lines"


def parse(text):
    regions = []
    for kind, *words in map(str.split, text.splitlines()):
        if kind == "region":
            regions.append(Region(words))
        else:
            touched = (word.split(":") for word in words[2:])
            regions[-1].lines.append((int(words[1], 16), {
                int(cpu): (how, int(pc, 16)) for cpu, how, pc in touched}))
    return regions


def measure(arch):
    """{row: (operations in a region, [Region])} of one run."""
    folder = TOP / "build" / f"{arch}-release"
    marks = addresses(folder / "user" / "bench-cpus")
    ipi = addresses(folder / "kernel.elf")[IPI[arch]]
    with tempfile.TemporaryDirectory(prefix="skerry-") as tmp:
        out = Path(tmp) / "regions"
        plugin = (f"{PLUGIN},begin={marks['mark_begin']:#x},end={marks['mark_end']:#x},"
                  f"ipi={ipi:#x},out={out}")
        with Machine(arch=arch, build="release", cpus=CPUS, extra=[
                "-icount", "shift=0,sleep=off", "-plugin", plugin,
                "-initrd", str(folder / "tests" / "bench-cpus.img")]) as machine:
            machine.expect(rb"bench: END (\d+)", 600)  # a hang detector: a busy host is slow
            machine.wait(5)
            text = machine.text()
        if "bench: END 0" not in text or f"{CPUS} of {CPUS} CPUs run" not in text:
            raise MachineError(f"the benchmark of CPUs failed:\n{text}")
        regions = parse(out.read_text())
    rows = {}
    for name, count, operations in re.findall(r"bench: row (\S+) (\d+) (\d+)", text):
        rows[name] = int(operations), regions[:int(count)]
        regions = regions[int(count):]
    if regions:
        raise MachineError(f"{len(regions)} regions belong to no row")
    return rows


def settle(arch, complaints):
    """{row: (operations, the region of the median)}; complains where runs differ."""
    runs = [measure(arch) for _ in range(RUNS)]
    for name in runs[0]:
        if any(run[name] != runs[0][name] for run in runs):
            complaints.append(f"{arch} {name}: not the same in each run: "
                              + " and ".join(str(run[name]) for run in runs))
    return {name: (operations, sorted(regions, key=lambda r: sum(r.counts))[len(regions) // 2])
            for name, (operations, regions) in runs[0].items()}


def named(arch, address, touched):
    """A shared line in words: what is there, and who touched it."""
    symbols = sorted((value, name) for name, value in
                     addresses(TOP / "build" / f"{arch}-release" / "kernel.elf").items())

    def index(value):
        return bisect.bisect_right(symbols, (value, "\x7f")) - 1

    where = f"memory at {address:#x}"
    if address >= IMAGE_FIRST:
        where = ", ".join(name for _, name in symbols[index(address):index(address + LINE_BYTES - 1) + 1])
    how = {"r": "read", "w": "written"}
    return where + ": " + ", ".join(f"CPU {cpu}: {how[kind]} in {symbols[index(pc)][1]}"
                                    for cpu, (kind, pc) in sorted(touched.items()))


def wake_rows(figures):
    for name, what in (("wake-resting", "rests"), ("wake-busy", "runs another process")):
        for cpu, who in enumerate(("the waker's CPU", "the woken one")):
            counts = [figures[arch][name][1].counts[cpu] for arch in ARCHES]
            yield f"| wake a thread on another CPU, which {what}: {who} | {counts[0]} | {counts[1]} |"


def unmap_rows(figures):
    def cell(region):
        own, *others = region.counts
        return f"{own} + {sum(others)}, {region.interrupts} interrupt{'' if region.interrupts == 1 else 's'}"

    for pages, what in (("1", "a page"), ("64", "64 pages")):
        for cpus in (1, 2, 4, 8):
            cells = [cell(figures[arch][f"unmap-{pages}-on-{cpus}"][1]) for arch in ARCHES]
            yield (f"| unmap {what}, space active on {cpus} CPU{'' if cpus == 1 else 's'}: "
                   f"its CPU + all others | {cells[0]} | {cells[1]} |")


def pair_rows(figures, complaints):
    first = {}
    for each in (1, 2):
        for pairs in (1, 2, 4, 8) if each == 1 else (1, 2, 4):
            cells = []
            for arch in ARCHES:
                name = f"pairs-{pairs}-on-{pairs * each}"
                trips, region = figures[arch][name]
                cost, shared = sum(region.counts) / trips, list(region.between(each))
                if cost > first.setdefault((arch, each), cost) * GROWTH_MAX:
                    complaints.append(f"{arch} {name}: a round trip costs {cost:.0f}, that of one pair "
                                      f"alone {first[arch, each]:.0f}")
                complaints += [f"{arch} {name}: pairs share a line, {named(arch, *line)}" for line in shared]
                cells.append(f"{cost:.0f}, {region.interrupts / trips:.0f} interrupts, {len(shared)} lines")
            where = "each on one CPU" if each == 1 else "each across two CPUs"
            yield (f"| round trip, {pairs} pair{'' if pairs == 1 else 's'}, {where}; lines that pairs share "
                   f"| {cells[0]} | {cells[1]} |")


def table(complaints):
    figures = {arch: settle(arch, complaints) for arch in ARCHES}
    yield "| kernel instructions, several CPUs | x86_64 | AArch64 |"
    yield "|---|---:|---:|"
    yield from wake_rows(figures)
    yield from unmap_rows(figures)
    yield from pair_rows(figures, complaints)

