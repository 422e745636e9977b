# SPDX-License-Identifier: MIT
"""What QEMU's virt says of itself, in both forms, without that anything runs in it.

The device tree is what `dumpdtb` writes. ACPI tables lie in fw_cfg, where firmware fetches them: they
are read here through the registers of that device, over QEMU's qtest protocol, while the machine
stands still. fw_cfg: QEMU, docs/specs/fw_cfg.rst; the loader's script: hw/acpi/bios-linker-loader.c.
"""

import struct
import subprocess
from pathlib import Path

QEMU = "qemu-system-aarch64"
FW_CFG_DMA = 0x9020010
SCRATCH = 0x44000000  # RAM that nothing uses while no CPU runs
FILE_DIR, READ, SELECT, ERROR = 0x19, 2, 8, 1
COMMAND_BYTES, ADD_CHECKSUM = 128, 3
TABLES, SCRIPT = "etc/acpi/tables", "etc/table-loader"


def command(options):
    return [QEMU, "-display", "none", "-nodefaults", "-cpu", "cortex-a57", *options]


def dump_dtb(path, options):
    subprocess.run([*command(options), "-machine", f"dumpdtb={path}"], check=True,
                   capture_output=True)
    return path


class FwCfg:
    """The files in fw_cfg of a machine that stands still."""

    def __init__(self, options):
        self.process = subprocess.Popen(
            [*command(options), "-S", "-qtest", "stdio", "-qtest-log", "none"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.files = {}

    def __enter__(self):
        count = struct.unpack(">I", self.read(FILE_DIR, 4))[0]
        entries = self.read(FILE_DIR, 4 + 64 * count)[4:]
        for size, key, _, name in struct.iter_unpack(">IHH56s", entries):
            self.files[name.rstrip(b"\0").decode()] = key, size
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if answer[:1] != ["OK"]:
            raise OSError(f"qtest: {line.split()[0]} was answered by {' '.join(answer) or 'nothing'}")
        return answer[-1]

    def write(self, address, data):
        self.ask(f"write {address:#x} {len(data):#x} 0x{data.hex()}")

    def read(self, key, size):
        to = SCRATCH + 16
        self.write(SCRATCH, struct.pack(">IIQ", key << 16 | SELECT | READ, size, to))
        self.write(FW_CFG_DMA, struct.pack(">Q", SCRATCH))
        data = bytes.fromhex(self.ask(f"read {SCRATCH:#x} {16 + size:#x}")[2:])
        if struct.unpack_from(">I", data)[0] & ERROR:
            raise OSError(f"fw_cfg: {key:#x} cannot be read")
        return data[16:]

    def file(self, name):
        return self.read(*self.files[name])


def dump_acpi(folder, options):
    """Each table as a file that has its signature as its name."""
    folder = Path(folder)
    folder.mkdir()
    with FwCfg(options) as machine:
        tables, script = bytearray(machine.file(TABLES)), machine.file(SCRIPT)
    for at in range(0, len(script), COMMAND_BYTES):
        what, name, offset, start, length = struct.unpack_from("<I56sIII", script, at)
        # The script says of each table where it begins and ends, to have its sum made. Addresses of
        # other tables are made before, and stay offsets here: nobody follows them.
        if what != ADD_CHECKSUM or name.rstrip(b"\0").decode() != TABLES:
            continue
        tables[offset] = -sum(tables[start:start + length]) % 256
        table = tables[start:start + length]
        (folder / table[:4].decode()).write_bytes(table)
    return folder
