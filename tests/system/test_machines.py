# SPDX-License-Identifier: MIT
"""The same binary on every machine of a table (machines.txt): a cell is a test.

Each comes up to the shell with all its CPUs, by the controller and the clock that it should; reads
a fresh archive, every sum of it right; goes on after the disk's driver was killed in the middle, and is quiet then.
"""

import re
import struct
import time
from collections import namedtuple
from pathlib import Path

from harness import TOP, Machine, MachineError, arches, check, equal, limit, note, run
from session import Session
from test_hostile import VIRTUAL_TIME, run_program
from test_restart import Work, kill_driver, make_disk, wait_for_reads
from test_stress import stress

DISK = TOP / "build" / "disk.tar"

COLUMNS = "form arch machine firmware controller cpus memory cpu disk qemu"
Cell = namedtuple("Cell", COLUMNS)

# What the kernel says of itself.
CONTROLLERS = {"xapic": "local APIC and I/O APIC", "x2apic": "x2APIC and I/O APIC",
               "gicv2": "GICv2", "gicv3": "GICv3( with ITS)?"}
BOOT_TIMEOUT = {"direct": 60, "uefi": 120}
UEFI_KEEPS = 40  # MiB at most, for its services at run time
# MiB of which a board's device tree tells, whatever memory it has: QEMU names what is below 1 GiB, less the
# 64 MiB of the graphics processor.
TOLD = {"raspi4b": 960}
RAM_DISK_FILE = 24 << 20  # it cannot be slowed down: so there is more to read


def cells():
    rows = []
    for line in (Path(__file__).parent / "machines.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            words = line.split()
            check(len(words) == len(Cell._fields), f"machines.txt: {line}: the columns are {COLUMNS}")
            rows.append(Cell(*words))
    return rows


def machine_of(cell):
    """The keywords of Machine that make this cell."""
    return {"arch": cell.arch, "machine": cell.machine, "firmware": cell.firmware, "cpus": int(cell.cpus), "memory": cell.memory,
            "cpu": cell.cpu, "bus": cell.disk, "qemu10": cell.qemu == "10",
            "gic": cell.controller[-1] if cell.controller.startswith("gic") else None}


def reference_of(cell):
    if cell.machine.startswith("microvm"):
        return "i8254"
    return "ACPI PM timer" if "hpet=off" in cell.machine else "HPET"


def kill_ram_disk(shell):
    """Kills its driver while it owes an answer: (how many it owed, how often it was killed). On one CPU it
    never does when somebody less urgent runs."""
    for kills in range(1, 50):
        start = len(shell.machine.output)
        shell.machine.send("kill ram-disk\r")
        shell.machine.expect(rb"ram-disk: \d+ sectors", 20)
        deadline, gone = time.monotonic() + 0.5, None
        while not gone and time.monotonic() < deadline:
            gone = re.search(r"files: ram-disk is gone with (\d+) requests unanswered", shell.machine.since(start))
            time.sleep(0.005)
        if gone and int(gone[1]) > 0:  # else nobody had found that driver yet
            return int(gone[1]), kills
    check(False, "there was never a request that the driver had not answered")


def check_ram_disk(shell, sums):
    """What check_driver does, of a disk that is no device."""
    shell.ask("ls /disk")
    work = Work(shell, sums)
    in_flight, kills = kill_ram_disk(shell)
    check("  /disk/a" not in shell.machine.since(work.start).split("end-", 1)[1], "the work was over before the kill")
    work.finish()
    before = shell.ps()["ram-disk"]
    equal(before["restarts"], kills, "restarts of the driver")
    shell.ask("sleep 0.3")
    spent = shell.ps()["ram-disk"]["cpu_ms"] - before["cpu_ms"]
    check(spent < 100, f"a disk that rests ran for {spent} ms in 300")
    return in_flight


def check_driver(shell, sums, kind):
    """The driver is killed in the middle, and nothing is lost: how many requests were in flight."""
    check(re.search(rf"^\S+ +{kind} +virtio-blk +driven", shell.ask("drivers"), re.MULTILINE),
          "the disk has another kind")
    work = Work(shell, sums)
    wait_for_reads(shell)
    in_flight = kill_driver(shell)
    work.finish()
    equal(shell.ps()["virtio-blk"]["restarts"], 1, "restarts of the driver")
    interrupts = shell.interrupts("virtio-blk")
    shell.ask("sleep 0.3")
    equal(shell.interrupts("virtio-blk"), interrupts, "interrupts of a disk that rests")
    return in_flight


def check_cell(cell, tmp, seed):
    disk, sums = make_disk(tmp, seed, **({"a": RAM_DISK_FILE} if cell.disk == "ram" else {}))
    machine = machine_of(cell)
    with Session(machine.pop("arch"), disk=disk, boot_timeout=BOOT_TIMEOUT[cell.firmware], **machine) as shell:
        log = shell.log()
        check(re.search(rf"^{cell.cpus} of {cell.cpus} CPUs? run$", log, re.MULTILINE), log)
        check(re.search(rf"^Skerry dev: {cell.cpus} CPUs?, {CONTROLLERS[cell.controller]}, ", log, re.MULTILINE), log)
        if cell.arch == "x86_64":
            check(f"clock measured by the {reference_of(cell)}\n" in log, log)
        if cell.firmware == "uefi" and "its=off" in cell.machine:  # QEMU's MADT names one all the same
            check(re.search(r"^ACPI: the ITS at 0x\w+ is not used: nothing is there$", log, re.MULTILINE), log)
        memory = int(re.search(r"^memory: (\d+) MiB", log, re.MULTILINE)[1])
        size = TOLD.get(machine["machine"]) or int(cell.memory[:-1]) * {"M": 1, "G": 1024}[cell.memory[-1]]
        kept = UEFI_KEEPS if cell.firmware == "uefi" else 2
        check(size - kept <= memory <= size, f"{memory} MiB of {size}")

        equal(shell.sums(sums), sums, "the sums")
        kinds = {"pci": "pci:1af4:1042", "mmio": "virtio:2"}
        in_flight = check_ram_disk(shell, sums) if cell.disk == "ram" else check_driver(shell, sums, kinds[cell.disk])
        status = shell.ask("cpus")
    note(f"{memory} MiB; {in_flight} requests in flight at the kill; {len(status.splitlines()) - 1} CPUs")


def for_cell(cell):
    def test(tmp, seed):
        check_cell(cell, tmp, seed)
    test.limit, test.long = 300, cell.form == "long"
    return test


for _cell in cells():
    _name = "_".join(_cell[1:])
    globals()["test_" + re.sub(r"[^\w.,+-]", "-", _name)] = for_cell(_cell)


# ---- what is not in the table

BIG_SOCKETS = "sockets=2,cores=256,maxcpus=512"  # the second one's APIC ids begin at 256


@limit(180)
def test_apic_ids_above_255(tmp, seed):
    """Firmware leaves the boot CPU in x2APIC mode there, and the others are beyond 8 bits."""
    disk, sums = make_disk(tmp, seed)
    extra = [word for core in (0, 255) for word in
             ("-device", f"max-x86_64-cpu,socket-id=1,core-id={core},thread-id=0")]
    with Session("x86_64", disk=disk, qemu10=True, cpus=f"2,{BIG_SOCKETS}", extra=extra) as shell:
        check("4 of 4 CPUs run\n" in shell.log(), shell.log())
        rows = re.findall(r"^\d+ +([0-9a-f]+) ", shell.ask("cpus"), re.MULTILINE)
        equal(rows, ["0", "1", "100", "1ff"], "the ids of the CPUs")
        equal(shell.sums(sums), sums, "the sums")
        asked = re.findall(r"^\d+ +\d+ +\d+ +(\d+) +\d+\n", shell.ask("irq"), re.MULTILINE)
        check(len(asked) == 4 and all(int(n) > 0 for n in asked[1:]), f"nobody asked a CPU: {asked}")


@limit(180)
def test_many_cpus_by_x2apic(seed):
    """Each pair of eight CPUs, and four under load: what they ask of each other goes by one MSR."""
    lines = run_program("x86_64", "smp", "", cpus=8, timeout=60, qemu10=True)
    check("ok 8 CPUs" in "\n".join(lines), "\n".join(lines))
    got = stress("x86_64", 4, seed, "calls=50000 replaced=5000", 90, qemu10=True)
    for what in ("calls answered", "pages read", "wake-ups", "processes killed"):
        check(got[what] > 0, f"no {what}")


def test_no_timer_of_known_rate():
    """The kernel says what it looked for, whatever leaves behind the maximum a processor answers."""
    for cpu in ("max", "max,level=0x20"):
        with Machine(arch="x86_64", machine="microvm,pit=off", cpu=cpu) as machine:
            machine.expect(rb"PANIC: boot: this machine has no timer of known rate: .*CPUID", 20)


def test_an_hpet_that_is_not_there(tmp, seed):
    """A table names one where nothing answers: the kernel says so and takes the next timer."""
    disk, sums = make_disk(tmp, seed)
    data = tmp / "hpet"
    address = 0xfed00000
    data.write_bytes(struct.pack("<IBBBBQBHB", 0x8086a201, 0, 64, 0, 0, address, 0, 100, 0))
    extra = ["-acpitable", f"sig=HPET,rev=1,data={data}"]
    with Session("x86_64", disk=disk, machine="q35,hpet=off", extra=extra) as shell:
        log = shell.log()
        check(f"ACPI: the HPET at {address:#x} is not used: nothing there counts\n" in log, log)
        check("clock measured by the ACPI PM timer\n" in log, log)
        equal(shell.sums(sums), sums, "the sums")


@limit(180)
def test_slots_on_the_command_line(tmp, seed):
    """Where the tables do not know it, the command line names the disk; nonsense is told apart."""
    disk, sums = make_disk(tmp, seed)
    slots = "virtio_mmio.device=512@0xfeb02e00:47 virtio_mmio.device=0K@1:2 virtio_mmio.device=512@0xfeb02c00:46:3"
    with Session("x86_64", disk=disk, machine="microvm", command_line=slots) as shell:
        check(", 1 virtio slots in use;" in shell.log(), shell.log())  # the same slot twice is one
        check("devd: 1 virtio_mmio.device= of the command line make no sense" in shell.log(), shell.log())
        equal(shell.sums(sums), sums, "the sums")


@limit(180)
def test_slots_that_share_a_page(arch, tmp, seed):
    """One of two disks in a page of registers is handed out, and the other is not."""
    disk, sums = make_disk(tmp, seed)
    machine = "microvm" if arch == "x86_64" else None
    extra = ["-drive", f"if=none,id=other,format=raw,readonly=on,file={disk}",
             "-device", "virtio-blk-device,drive=other"]
    with Session(arch, disk=disk, machine=machine, bus="mmio", extra=extra) as shell:
        check(re.search(r"^devd: \S+ is left alone: its registers share a page with those of \S+$",
                        shell.log(), re.MULTILINE), shell.log())
        equal([name for name in shell.drivers() if name.startswith("virtio")], ["virtio-blk"], "the disks")
        equal(shell.sums(sums), sums, "the sums")


def test_a_legacy_slot_is_left_alone(arch, tmp, seed):
    disk, _ = make_disk(tmp, seed)
    machine = "microvm" if arch == "x86_64" else None
    extra = ["-global", "virtio-mmio.force-legacy=true"]
    with Session(arch, disk=disk, machine=machine, bus="mmio", extra=extra) as shell:
        check(re.search(r"^devd: \S+ is left alone: it is a legacy virtio device$", shell.log(), re.MULTILINE),
              shell.log())
        check("virtio-blk" not in shell.drivers(), "it has a driver")


def test_machines_that_do_not_exist():
    for arch, wrong, why in (
            ("x86_64", {"machine": "virt"}, "no machine virt for x86_64: choose one of q35, pc, microvm"),
            ("aarch64", {"machine": "pc"}, "no machine pc for aarch64: choose one of virt"),
            ("x86_64", {"gic": 3}, "has no GIC"), ("x86_64", {"cpus": 0}, "no number of CPUs"),
            ("aarch64", {"machine": "raspi4b"}, "needs QEMU10=1"),
            ("aarch64", {"machine": "raspi4b", "qemu10": True, "gic": 3}, "raspi4b has a GICv2"),
            ("aarch64", {"machine": "raspi4b", "qemu10": True, "bus": "pci"}, "no disk by pci"),
            ("aarch64", {"machine": "raspi4b", "qemu10": True, "firmware": "uefi"}, "no UEFI"),
            ("x86_64", {"bus": "ram", "iops": 1}, "cannot be slowed down"),
            ("x86_64", {"cpu": "80387"}, "80387"), ("x86_64", {"machine": "q35,colour=red"}, "colour"),
            ("x86_64", {"machine": "microvm", "bus": "pci", "disk": DISK}, "PCI")):
        try:
            run(arch, "ps", **wrong)
            check(False, f"{arch} {wrong} exists")
        except MachineError as error:
            check(why in str(error), f"{wrong}: {error}")


def kernel_instructions(tmp, memory):
    """What the kernel executes in a run of a program that does always the same (tests/programs/smp)."""
    counts = tmp / "counts"
    plugin = TOP / "build" / "host" / "bench-plugin.so"
    check(plugin.is_file(), f"{plugin} is not built")
    run_program("x86_64", "smp", "", memory=memory, extra=[*VIRTUAL_TIME, "-plugin", f"{plugin},out={counts}"])
    return int(counts.read_text().split()[0])


def test_memory_is_looked_at_when_it_is_used(tmp):
    """Five gigabytes more cost the kernel next to nothing from its start to its end."""
    small, large = kernel_instructions(tmp, "1G"), kernel_instructions(tmp, "6G")
    check(abs(large - small) < 20_000, f"{small} instructions with 1 GiB, {large} with 6 GiB")
    note(f"{small} instructions of the kernel with 1 GiB, {large - small} more with 6 GiB")


@limit(180)
def test_power():
    """Every machine can be switched off, and started again."""
    for arch, machine in (("x86_64", "q35"), ("x86_64", "pc"), ("x86_64", "microvm"), ("aarch64", "virt"),
                          ("aarch64", "raspi4b")):
        for command, reason in (("poweroff", "guest-shutdown"), ("reboot", "guest-reset")):
            with Session(arch, machine=machine, qemu10=machine == "raspi4b") as shell:
                shell.machine.send(command + "\r")
                equal(shell.machine.wait(20), reason, f"{command} on {machine}")
