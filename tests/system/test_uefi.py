# SPDX-License-Identifier: MIT
"""Started by a UEFI from `make image`'s disk: the system works as it does otherwise, and what is
wrong with the disk is said in plain words before anything has happened.

The firmware takes seconds to come up, so each start looks at many things.
"""

import re
import struct

import image
from harness import TOP, arches, check, equal, limit
from machine import Machine
from session import Session
from test_restart import CLEARED, make_disk

BOOT_TIMEOUT = 100


def boots(arch, tmp, seed, way, **machine):
    """At the shell after the firmware: the disk's right sums, though its driver is killed."""
    archive, sums = make_disk(tmp, seed)
    # A part of the command line that the kernel itself obeys.
    with Session(arch, boot_timeout=BOOT_TIMEOUT, disk=archive, cpus=2, firmware="uefi",
                 command_line="contiguous=4M", **machine) as shell:
        shell.ask("ls /disk")  # when the driver runs
        log = shell.log()
        check(re.search(rf"^boot: .* by handover, {way}", log, re.MULTILINE), "the way it started")
        check(", 1024 contiguous" in log, "the command line reached the kernel")
        check("2 of 2 CPUs run" in log, "the other CPU was started")
        equal(shell.sums(sums), sums, "sums of what is on the disk")
        check("message interrupt" in shell.log(), "the disk's interrupts are messages")
        date = shell.ask("date")
        if arch == "aarch64":  # no ACPI table names virt's PL031, and AAVMF disables it in the device tree
            check("date: no clock: the firmware names none, or keeps it for itself" in date, date)
        else:
            check(re.search(r"^\d+-\d+-\d+ .* UTC$", date, re.MULTILINE), date)
        shell.machine.set_iops(40)
        shell.ask("sha256sum /disk/a &")
        shell.machine.send("kill virtio-blk\r")
        shell.machine.expect(CLEARED, 30)
        shell.machine.set_iops(0)
        start = len(shell.machine.output)
        shell.ask("wait")
        check(f"{sums['a']}  /disk/a" in shell.machine.since(start), "the read went on")
        ram = re.search(r"memory: (\d+) MiB", log)
        # Less than there is: the firmware's runtime stays its own. Not much less.
        check(480 <= int(ram[1]) < 512, f"RAM: {ram[1]} MiB")


@limit(300)
def test_uefi_boots(arch, tmp, seed):
    boots(arch, tmp, seed, "clock" if arch == "x86_64" else "ACPI")


@arches("aarch64")
@limit(300)
def test_uefi_boots_by_device_tree(arch, tmp, seed):
    boots(arch, tmp, seed, "device tree", machine="virt,acpi=off")


@arches("aarch64")
@limit(300)
def test_uefi_boots_gicv3(arch, tmp, seed):
    # From EL2, with another way of messages, and PSCI by smc, all of which ACPI says.
    boots(arch, tmp, seed, "ACPI", gic=3, machine="virt,virtualization=on")


# --- what is wrong is said ---------------------------------------------------------


def files(arch):
    folder = TOP / "build" / f"{arch}-dev"
    return (folder / "kernel.elf").read_bytes(), (folder / "boot.img").read_bytes()


def last_load_segment(kernel):
    """The offset in the file of the last program header that loads something."""
    table, size, count = struct.unpack_from("<Q14xHH", kernel, 32)[0], *struct.unpack_from(
        "<HH", kernel, 54)
    return max(table + i * size for i in range(count)
               if struct.unpack_from("<I", kernel, table + i * size)[0] == 1)


def refuses(arch, changes, sentence):
    """The loader says the sentence, and the firmware goes on."""
    boot_files = {f"/skerry/{arch}/{name}": data for name, data in changes.items()}
    with Machine(arch=arch, firmware="uefi", boot_files=boot_files) as machine:
        machine.expect(sentence, BOOT_TIMEOUT)
        machine.expect("Skerry was not started.", 5)
        machine.expect("Press a key", 5)
        machine.send(" ")
        machine.expect(r"BdsDxe: failed to start Boot\d+", 20)


def with_sums(kernel, bundle, **changes):
    """Files whose sums boot.conf knows, so that what they hold is looked at."""
    return {"kernel.elf": kernel, "boot.img": bundle,
            "boot.conf": image.config(kernel, bundle, "").encode()} | changes


@limit(300)
def test_uefi_refuses_files(arch):
    kernel, bundle = files(arch)
    flipped = bytearray(bundle)
    flipped[len(flipped) // 2] ^= 1
    refuses(arch, {"kernel.elf": None}, rf"The file \\skerry\\{arch}\\kernel.elf is not there")
    refuses(arch, {"boot.img": bytes(flipped)},
            r"The file boot.img is damaged: its SHA-256 sum is not the one in boot.conf")
    refuses(arch, {"boot.conf": b"kernel = kernel.elf\nspeed = 9\n"},
            r"boot.conf is wrong in line 2: it names nothing that this loader knows")


@limit(300)
def test_uefi_refuses_contents(arch):
    kernel, bundle = files(arch)
    if arch == "x86_64":
        refuses(arch, with_sums(files("aarch64")[0], bundle),
                "The kernel kernel.elf cannot be used: built for another machine")
        refuses(arch, with_sums(kernel, bundle[:-4096]),
                "The boot bundle boot.img is damaged: .*it was cut short")
    else:
        refuses(arch, with_sums(kernel[:150_000], bundle),  # within what is loaded
                "cannot be used: a segment outside the file: it was cut short")
    # Where it has to be at one place, that reaches into what the firmware keeps (OVMF: at 8 MiB);
    # else there is not so much.
    large = bytearray(kernel)
    struct.pack_into("<Q", large, last_load_segment(kernel) + 40,  # p_memsz
                     40 << 20 if arch == "x86_64" else 900 << 20)
    refuses(arch, with_sums(bytes(large), bundle),
            r"The kernel needs \d+ KiB of memory at 0x200000: the firmware keeps some of it"
            if arch == "x86_64" else r"There is no memory for the kernel, which needs \d+ KiB")


# --- where the firmware is -----------------------------------------------------------


def small_kernel(address, memory):
    """An x86_64 kernel that has to be at `address`, prints a line on COM1, and stops."""
    text = b"here is the kernel\r\n\0"
    code = bytes.fromhex("488d350f000000"  # lea text(%rip), %rsi
                         "66baf803"        # mov $0x3f8, %dx
                         "ac84c07403eeebf8"  # next: lodsb; test %al, %al; jz end; out; jmp next
                         "f4ebfd") + text  # end: hlt; jmp end
    note = struct.pack("<III8sIIQQQ", 7, 32, 1, b"Skerry", 1, 0, address, 0, 1 << 30)
    start = 64 + 2 * 56
    header = b"\x7fELF\2\1\1".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 2, 62, 1, address, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    return (header
            + struct.pack("<IIQQQQQQ", 1, 7, start, address, address, len(code), memory, 4096)
            + struct.pack("<IIQQQQQQ", 4, 4, start + len(code), 0, 0, len(note), len(note), 4)
            + code + note)


@arches("x86_64")
@limit(300)
def test_uefi_kernel_over_the_firmware(arch):
    """The kernel's place is where boot services have the page tables that are in force, and the
    stack: with 512 MiB, OVMF's CR3 is 0x1fc01000, its RSP below 0x1ff00000."""
    _, bundle = files(arch)
    kernel = small_kernel(0x1fc00000, 0x300000)
    changed = {f"/skerry/{arch}/{name}": data for name, data in with_sums(kernel, bundle).items()}
    with Machine(arch=arch, firmware="uefi", boot_files=changed) as machine:
        machine.expect("Skerry: kernel 3072 KiB at 0x1fc00000", BOOT_TIMEOUT)
        machine.expect("here is the kernel\r\n", 10)
