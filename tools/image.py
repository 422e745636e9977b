#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes a disk that UEFI machines start Skerry from: a GPT with one EFI system partition.

usage: image.py OUT FOLDER...      the build folders of the machines that it is for

    \\EFI\\BOOT\\BOOTX64.EFI          the loader, where UEFI looks for one
    \\skerry\\x86_64\\kernel.elf       what it loads, for each machine
    \\skerry\\x86_64\\boot.img
    \\skerry\\x86_64\\boot.conf        what it loads, with their SHA-256 sums, and the command line

docs/boot.md says what is in them. The file is written to a stick as it is. mtools make the file
system (UEFI 13.3); everything around it is written here (UEFI 5.2, 5.3).
"""

import hashlib
import os
import struct
import subprocess
import sys
import tempfile
import uuid
import zlib
from pathlib import Path

SECTOR = 512
PARTITION_START = 2048  # sectors: 1 MiB
PARTITION_SECTORS = 40 * 2048  # enough clusters for FAT32
ENTRIES, ENTRY_BYTES = 128, 128
TABLE_SECTORS = ENTRIES * ENTRY_BYTES // SECTOR
SYSTEM_PARTITION = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
# Always the same, so that the same files make the same disk.
DISK_ID = uuid.UUID("8a4c1f4e-57d0-4e7f-9a83-2f8b5a3d6c01")
PARTITION_ID = uuid.UUID("8a4c1f4e-57d0-4e7f-9a83-2f8b5a3d6c02")

LOADERS = {"x86_64": "BOOTX64.EFI", "aarch64": "BOOTAA64.EFI"}


class ImageError(Exception):
    """The disk cannot be made, or not be changed; the text says why."""


def config(kernel, bundle, command_line):
    """The text of boot.conf for these two files' bytes."""
    return ("# What Skerry's loader starts.\n"
            "kernel = kernel.elf\n"
            f"kernel-sha256 = {hashlib.sha256(kernel).hexdigest()}\n"
            "bundle = boot.img\n"
            f"bundle-sha256 = {hashlib.sha256(bundle).hexdigest()}\n"
            f"command-line = {command_line}\n")


def header(own, other, table, table_crc, last):
    """A GPT header at sector `own` (UEFI 5.3.2)."""
    def fields(crc):
        return struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, crc, 0, own, other,
                           2 + TABLE_SECTORS, last, DISK_ID.bytes_le, table, ENTRIES, ENTRY_BYTES,
                           table_crc)
    return fields(zlib.crc32(fields(0))).ljust(SECTOR, b"\0")


def write_partitions(file):
    """Both copies of the table around the partition, and the MBR that keeps others away."""
    end = PARTITION_START + PARTITION_SECTORS
    sectors = end + TABLE_SECTORS + 1
    entry = struct.pack("<16s16sQQQ72s", SYSTEM_PARTITION.bytes_le, PARTITION_ID.bytes_le,
                        PARTITION_START, end - 1, 0, "Skerry".encode("utf-16-le"))
    table = entry.ljust(ENTRIES * ENTRY_BYTES, b"\0")
    crc = zlib.crc32(table)
    mbr = bytearray(SECTOR)
    mbr[446:462] = struct.pack("<B3sB3sII", 0, b"\x00\x02\x00", 0xEE, b"\xff\xff\xff", 1,
                               sectors - 1)
    mbr[510:] = b"\x55\xaa"
    for at, data in ((0, mbr), (1, header(1, sectors - 1, 2, crc, end - 1)), (2, table),
                     (end, table), (sectors - 1, header(sectors - 1, 1, end, crc, end - 1))):
        file.seek(at * SECTOR)
        file.write(data)


def mtools(path, program, *arguments):
    """One of the mtools on the partition of the disk at `path`."""
    environment = os.environ | {"MTOOLS_SKIP_CHECK": "1", "SOURCE_DATE_EPOCH": "0"}
    at = f"{path}@@{PARTITION_START * SECTOR}"
    result = subprocess.run([program, "-i", at, *arguments], env=environment,
                            capture_output=True, text=True)
    if result.returncode != 0:
        raise ImageError(f"{program}: {result.stderr.strip()}")
    return result.stdout


def replace(path, name, data):
    """Puts a file into the partition, in place of one that may be there; None removes it."""
    if data is None:
        mtools(path, "mdel", f"::{name}")
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        mtools(path, "mcopy", "-o", file.name, f"::{name}")


def set_command_line(path, arch, command_line):
    """Changes the command line in the boot.conf of one machine, and nothing else."""
    name = f"/skerry/{arch}/boot.conf"
    lines = mtools(path, "mtype", f"::{name}").split("\n")
    lines = [f"command-line = {command_line}" if line.startswith("command-line") else line
             for line in lines]
    replace(path, name, "\n".join(lines).encode())


def make(path, folders, command_line=""):
    """The disk for the machines of these build folders (build/ARCH-BUILD)."""
    part = Path(f"{path}.part")
    with open(part, "wb") as file:
        file.truncate((PARTITION_START + PARTITION_SECTORS + TABLE_SECTORS + 1) * SECTOR)
        write_partitions(file)
    mtools(part, "mformat", "-F", "-T", str(PARTITION_SECTORS), "-h", "64", "-s", "32",
           "-H", str(PARTITION_START), "-N", "5ce44901", "-v", "SKERRY", "::")
    mtools(part, "mmd", "::/EFI", "::/EFI/BOOT", "::/skerry")
    for folder in folders:
        arch = Path(folder).name.split("-")[0]
        kernel = (Path(folder) / "kernel.elf").read_bytes()
        bundle = (Path(folder) / "boot.img").read_bytes()
        mtools(part, "mmd", f"::/skerry/{arch}")
        replace(part, f"/EFI/BOOT/{LOADERS[arch]}", (Path(folder) / LOADERS[arch]).read_bytes())
        replace(part, f"/skerry/{arch}/kernel.elf", kernel)
        replace(part, f"/skerry/{arch}/boot.img", bundle)
        replace(part, f"/skerry/{arch}/boot.conf",
                config(kernel, bundle, command_line).encode())
    part.rename(path)


def inputs(folders):
    """What the disk is made of."""
    for folder in map(Path, folders):
        arch = folder.name.split("-")[0]
        yield from (folder / name for name in (LOADERS[arch], "kernel.elf", "boot.img"))


def main():
    out, folders = Path(sys.argv[1]), sys.argv[2:]
    newest = max(p.stat().st_mtime for p in [*inputs(folders), Path(__file__)])
    if out.is_file() and out.stat().st_mtime > newest:
        return
    print(f"  IMAGE {out}", file=sys.stderr)
    try:
        make(out, folders)
    except ImageError as error:
        raise SystemExit(f"image: {error}") from None


if __name__ == "__main__":
    main()
