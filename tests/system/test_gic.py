# SPDX-License-Identifier: MIT
"""The interrupt controllers of AArch64: the same kernel with a GICv2, with a GICv3 and its ITS, and
with a GICv3 alone; on some CPUs, with all addresses below 4 GiB, from EL2, by the physical timer."""

import re
import subprocess

from harness import TOP, arches, check, equal, limit, note
from session import Session
from test_hostile import run_program
from test_restart import Work, kill_driver, make_disk, wait_for_reads

MESSAGE_LINES = 1024  # the first line that is a message of an ITS


def how_interrupted(shell):
    """How the disk driver is interrupted: (line, kind, how often)."""
    row = re.search(r"^(\d+) +(message|line) +0 +(\d+) +\d+  virtio-blk ", shell.ask("irq"), re.MULTILINE)
    check(row, "irq does not show virtio-blk")
    return int(row[1]), row[2], int(row[3])


def check_machine(tmp, seed, controller, kind, **machine):
    """Sums of a disk are right while its driver is killed; it is interrupted as it should be."""
    disk, sums = make_disk(tmp, seed)
    with Session("aarch64", boot_timeout=60, disk=disk, **machine) as shell:
        shell.ask("ls /disk")  # when the driver runs
        log = shell.log()
        check(f" {controller}, generic timer" in log, f"no {controller}: {log}")
        check(f"requests at once, {kind} interrupt" in log, f"no {kind} interrupt: {log}")
        count = machine.get("cpus", 1)
        check(f"{count} of {count} CPUs run" in log or count == 1, log)
        for round in range(3):
            work = Work(shell, sums)
            wait_for_reads(shell)
            kill_driver(shell)
            work.finish()
        line, is_kind, raised = how_interrupted(shell)
        equal(is_kind, kind, "what irq shows")
        equal(line >= MESSAGE_LINES, "ITS" in controller, f"line {line} of {controller}")
        check(raised > 3, f"only {raised} interrupts since the last driver began")
        check("is not used" not in log and "gets no message" not in shell.log(), log)
        equal(shell.drivers()["virtio-blk"]["starts"], 4, "starts of the driver")
    note(f"{controller}, {machine}: line {line}, {raised} {kind} interrupts")


WITH_ITS = "GICv3 with ITS"


@arches("aarch64")
def test_its(arch, tmp, seed):
    check_machine(tmp, seed, WITH_ITS, "message", gic=3)


@arches("aarch64")
@limit(240)
def test_its_on_four_cpus(arch, tmp, seed):
    check_machine(tmp, seed, WITH_ITS, "message", gic=3, cpus=4, cpu="max")


@arches("aarch64")
@limit(240)
def test_its_on_eight_cpus(arch, tmp, seed):
    check_machine(tmp, seed, WITH_ITS, "message", gic=3, cpus=8, cpu="cortex-a72")


@arches("aarch64")
def test_without_its(arch, tmp, seed):
    check_machine(tmp, seed, "GICv3", "line", gic=3, cpu="cortex-a53", machine="virt,its=off")


@arches("aarch64")
def test_all_below_4_gib(arch, tmp, seed):
    """The PCI windows and the configuration space, too."""
    check_machine(tmp, seed, WITH_ITS, "message", gic=3, machine="virt,highmem=off")
    check_machine(tmp, seed, "GICv2", "message", gic=2, machine="virt,highmem=off")


@arches("aarch64")
def test_from_el2(arch, tmp, seed):
    """The kernel is entered at EL2, which has to let go of the system registers."""
    check_machine(tmp, seed, WITH_ITS, "message", gic=3, cpus=2, machine="virt,virtualization=on")


@arches("aarch64")
@limit(180)
def test_pairs_beyond_a_gicv2(arch):
    """Each pair of CPUs works together, also those of another Aff1, which takes another SGI."""
    for cpus in (8, 18):
        lines = run_program("aarch64", "smp", "", ["-smp", str(cpus), "-M", "virt,gic-version=3"],
                            timeout=120)
        said = "\n".join(lines)
        ids = re.findall(r"^cpu \d+ id (\d+)", said, re.MULTILINE)
        equal(len(ids), cpus, f"CPUs of {cpus} that run:\n{said}")
        check(f"ok {cpus} CPUs" in said, said)
    check(any(int(i) >= 256 for i in ids), f"no CPU with another Aff1: {ids}")
    note(lines[-1])


@arches("aarch64")
@limit(180)
def test_redistributors_in_two_regions(arch, tmp):
    """Those of a GICv4 take twice the room: the last CPUs' are in another region."""
    with Session("aarch64", boot_timeout=120, gic=4, cpus=64, machine="virt,virtualization=on",
                 disk=TOP / "build" / "disk.tar") as shell:
        check("64 of 64 CPUs run" in shell.log(), shell.log())
        ids = re.findall(r"^\d+ +([0-9a-f]+) +\d+%", shell.ask("cpus"), re.MULTILINE)
        equal((len(ids), ids[-1]), (64, "30f"), "the CPUs that are there")


# ---- other device trees

def dump_tree(path, options):
    subprocess.run(["qemu-system-aarch64", "-M", f"virt,{options},dumpdtb={path}", "-cpu",
                    "cortex-a57", "-m", "512M", "-display", "none"], check=True,
                   capture_output=True)
    tree = bytearray(path.read_bytes())
    # QEMU says that it has 1 MiB, and as a file that would grow further; its strings are last.
    strings, count = (int.from_bytes(tree[at:at + 4], "big") for at in (12, 32))
    tree[4:8] = (strings + count).to_bytes(4, "big")
    return tree[:strings + count]


def leave_physical_timers(tree):
    """Of the timer's four interrupts (12 bytes each) two are left; no-operations fill the rest."""
    blocks = [b"".join(n.to_bytes(4, "big") for n in (1, number, flags))
              for flags in (0x104, 0x4) for number in (13, 14, 11, 10)]
    for at in (0, 4):
        whole = b"".join(blocks[at:at + 4])
        place = tree.find(whole)
        if place >= 0:
            break
    check(place >= 0, "the tree does not have the timer's interrupts")
    equal(int.from_bytes(tree[place - 8:place - 4], "big"), 48, "the property's length")
    tree[place - 8:place - 4] = (24).to_bytes(4, "big")
    tree[place + 24:place + 48] = (4).to_bytes(4, "big") * 6


@arches("aarch64")
def test_physical_timer(arch, tmp, seed):
    """A tree without the virtual timer's interrupt: time passes all the same."""
    for gic in (2, 3):
        tree = dump_tree(tmp / "virt.dtb", f"gic-version={gic}")
        leave_physical_timers(tree)
        (tmp / "virt.dtb").write_bytes(tree)
        with Session("aarch64", gic=gic, disk=TOP / "build" / "disk.tar", cpus=1,
                     extra=["-dtb", str(tmp / "virt.dtb")]) as shell:
            check("generic timer, physical at" in shell.log(), shell.log())
            before = timer_interrupts(shell)
            shell.ask("sleep 0.2; sleep 0.2; sleep 0.2")
            fired = timer_interrupts(shell) - before
            check(fired >= 3, f"the timer fired {fired} times in three sleeps")


def timer_interrupts(shell):
    row = re.search(r"^0 +\d+ +(\d+) +\d+ +\d+\n", shell.ask("irq"), re.MULTILINE)
    check(row, "irq does not show CPU 0")
    return int(row[1])


@arches("aarch64")
def test_its_that_is_none(arch, tmp, seed):
    """The tree says that the ITS is where something else is: that is said, and lines do the work."""
    tree = dump_tree(tmp / "virt.dtb", "gic-version=3")
    wrong = 0x04000000  # flash
    registers = b"".join(n.to_bytes(8, "big") for n in (0x08080000, 0x20000))
    place = tree.find(registers)
    check(place >= 0, "the tree does not have the registers of the ITS")
    tree[place:place + 8] = wrong.to_bytes(8, "big")
    (tmp / "virt.dtb").write_bytes(tree)
    disk, sums = make_disk(tmp, seed)
    with Session("aarch64", gic=3, disk=disk, extra=["-dtb", str(tmp / "virt.dtb")]) as shell:
        equal(shell.sums(sums), sums, "sums")
        log = shell.log()
        check(f"the ITS at {wrong:#x} is not used: its registers are not those of an ITS" in log, log)
        equal(how_interrupted(shell)[1], "line", "what irq shows")
