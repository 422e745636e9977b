# SPDX-License-Identifier: MIT
"""Archives of all formats read through the disk driver; archives that are none."""

import re
import tarfile

from harness import FORMATS, MachineError, check, equal, limit, make_archive, note, run
from session import Session, without_log

KIB = 1024
CACHE_BYTES = 64 * KIB  # all that the file service can ask for at once
IDLE_SECONDS = 3


def check_sums(arch, tmp, seed, tar_format):
    archive = tmp / "disk.tar"
    wanted = make_archive(archive, seed, tar_format)
    with tarfile.open(archive) as tar:
        members = {m.name: m for m in tar}
    with Session(arch, disk=archive) as shell:
        listed, folders = {}, [""]
        while folders:
            folder = folders.pop()
            text = shell.ask(f"ls -l /disk/{folder}")
            for size, name in re.findall(r"^ *(\d+|folder)  (.*)\n", text, re.MULTILINE):
                if size == "folder":
                    folders.append(folder + name)
                else:
                    listed[folder + name] = int(size)
        equal(listed, {n: m.size for n, m in members.items() if m.isfile()}, "what ls shows")

        read, interrupts = shell.machine.block_stats()["rd_bytes"], shell.interrupts("virtio-blk")
        sums = shell.sums(wanted)
        read = shell.machine.block_stats()["rd_bytes"] - read
        interrupts = shell.interrupts("virtio-blk") - interrupts
        total = sum(listed.values())
        for name in wanted:
            equal(sums[name], wanted[name], f"sha256 of {name}")
        check(read >= total, f"QEMU read {read} bytes for {total} bytes of files")
        check(interrupts >= total // CACHE_BYTES, f"only {interrupts} interrupts for {total} bytes")

        # Nothing to do: no interrupt comes, and the only work is to tell init once a second
        # that the driver is alive. The guest's clock goes on while the host lets the emulator
        # wait, so the bound is 1 % of the time; a driver that polls uses most of it.
        interrupts_before = shell.interrupts("virtio-blk")
        before = shell.ps()["virtio-blk"]["cpu_ms"]
        shell.ask(f"sleep {IDLE_SECONDS}")
        idle = shell.ps()["virtio-blk"]["cpu_ms"] - before
        equal(shell.interrupts("virtio-blk"), interrupts_before, "interrupts after idling")
        check(idle < 10 * IDLE_SECONDS, f"idle, the driver used {idle} ms in {IDLE_SECONDS} s")
    note(f"{len(sums)} files, {total} bytes; QEMU read {read}; {interrupts} interrupts; "
         f"idle {idle:.3f} ms of CPU in {IDLE_SECONDS} s")


@limit(180)
def test_sums_ustar(arch, tmp, seed):
    check_sums(arch, tmp, seed, "ustar")


@limit(180)
def test_sums_gnu(arch, tmp, seed):
    check_sums(arch, tmp, seed, "gnu")


@limit(180)
def test_sums_pax(arch, tmp, seed):
    check_sums(arch, tmp, seed, "pax")


# ---- disks that hold no whole archive

TRUNCATED = "the archive is truncated: the disk ends before its end marker"
CHECKSUM = "the archive is damaged: a header's checksum is wrong"


def refuse(arch, path, why):
    """Every command on the disk fails and says why; the shell goes on."""
    status, text = run(arch, "ls /disk; sha256sum /disk/a; cat /disk/a; echo lives", disk=path)
    text = without_log(text)
    lines = text.strip().split("\n")
    check(status != 0, f"{path.name}: the commands succeeded: {text!r}")
    equal(lines[-1], "lives", f"{path.name}: the last line of {text!r}")
    equal(len(lines), 4, f"{path.name}: lines of {text!r}")
    for line in lines[:-1]:
        check(re.search(why, line), f"{path.name}: {line!r} does not say {why!r}")
    return lines[0]


def test_no_archive(arch, tmp, seed):
    import random
    noise = random.Random(seed).randbytes(100 * KIB)
    contents = {
        "empty": (b"", "the disk is empty"),
        "byte": (b"x", "does not hold a tar archive"),
        "noise": (noise, "does not hold a tar archive"),
        "gzip": (b"\x1f\x8b\x08" + noise, "compressed"),
        "zeroes-one": (bytes(512), "truncated"),
        "text": (b"hello world\n" * 1000, "does not hold a tar archive"),
    }
    for name, (data, why) in contents.items():
        path = tmp / name
        path.write_bytes(data)
        note(refuse(arch, path, why))
    # Nothing but an end marker is an archive, of nothing.
    path = tmp / "nothing.tar"
    path.write_bytes(bytes(1024))
    equal(run(arch, "ls /disk", disk=path), (0, ""), "an archive of nothing")


def end_of_members(path):
    with tarfile.open(path) as tar:
        members = tar.getmembers()
    last = members[-1]
    return last.offset_data + (last.size + 511) // 512 * 512


def cut(source, length, target):
    target.write_bytes(source.read_bytes()[:length])


@limit(240)
def test_truncated(arch, tmp, seed):
    """Lengths in every part of a small archive: in a header, between, in content, at the end."""
    whole = tmp / "whole.tar"
    make_archive(whole, seed, "ustar", small=True)
    end = end_of_members(whole)
    with tarfile.open(whole) as tar:
        members = tar.getmembers()
    lengths = {1, 100, 511, 512, 513, 1023, end - 1, end, end + 1, end + 511, end + 512}
    for member in members[1:5]:
        lengths |= {member.offset, member.offset + 300, member.offset + 512,
                    member.offset_data + member.size // 2}
    lengths = sorted(n for n in lengths if n <= end + 512)
    for length in lengths:
        path = tmp / f"cut-{length}"
        cut(whole, length, path)
        # What is cut inside a header reads as one with a wrong sum: zeroes fill the sector.
        refuse(arch, path, f"{TRUNCATED}|{CHECKSUM}|does not hold a tar archive")
        path.unlink()
    note(f"{len(lengths)} lengths from {lengths[0]} to {lengths[-1]}")
    status, text = run(arch, "ls /disk", disk=whole)
    equal(status, 0, f"the whole archive: {text}")


@limit(240)
def test_truncated_extended_headers(arch, tmp, seed):
    """GNU long names and pax records that end too soon."""
    name = "d/" + "n" * 700
    for tar_format in ("gnu", "pax"):
        whole = tmp / f"{tar_format}.tar"
        with tarfile.open(whole, "w", format=FORMATS[tar_format]) as tar:
            tar.addfile(tarfile.TarInfo(name))
        with tarfile.open(whole) as tar:
            header = tar.getmember(name).offset_data - 512  # of the file itself
        for length in (200, 512, 700, 1024, header - 100, header, header + 100, header + 512):
            path = tmp / f"{tar_format}-{length}"
            cut(whole, length, path)
            refuse(arch, path, f"{TRUNCATED}|{CHECKSUM}|does not hold a tar|extended header")


def test_damaged_pax_record(arch, tmp):
    path = tmp / "record.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("n" * 300))
    data = bytearray(path.read_bytes())
    at = data.index(b" path=", 512)
    data[at] = ord("x")
    path.write_bytes(data)
    note(refuse(arch, path, r"an extended header cannot be read \(at byte \d+\)"))


def test_no_disk(arch):
    """Nothing is there to be waited for: it is said, after a while."""
    status, text = run(arch, "ls /disk; echo lives", disk=None)
    check(status != 0 and "no disk has appeared" in text and "lives" in text, text)


def test_a_name_with_a_comma(arch, tmp):
    path = tmp / "a,b=c.tar"
    make_archive(path, 1, "gnu", small=True)
    status, text = run(arch, "cat /disk/README", disk=path)
    check(status == 0 and "default disk" in text, text)
    try:
        run(arch, "ls", disk=tmp / "nowhere.tar")
        check(False, "a disk that is not there was accepted")
    except MachineError as error:
        check("nowhere.tar" in str(error), str(error))
