# SPDX-License-Identifier: MIT
"""What ACPI tables in files say, read by other means than lib/hwtree: their layouts stand here as
formats of `struct` (ACPI 6.5, 5.2)."""

import struct

HEADER = 36


def tables(folder, variant):
    """{signature: content}: SIGNATURE.variant, or else SIGNATURE."""
    found = {}
    for path in folder.iterdir():
        name, _, suffix = path.name.partition(".")
        if len(name) == 4 and suffix in ("", variant) and (suffix or name not in found):
            found[name] = path.read_bytes()
    return found


def entries(table, at):
    while at < len(table):
        kind, length = table[at], table[at + 1]
        yield kind, table[at:at + length]
        at += length


def derive(folder, variant):
    all_tables = tables(folder, variant)
    madt = list(entries(all_tables["APIC"], HEADER + 8))
    cpus, first = 0, []
    for kind, entry in madt:
        flags = {0: (4, "<I"), 9: (8, "<I"), 11: (12, "<I")}.get(kind)
        if flags:
            cpus += struct.unpack_from(flags[1], entry, flags[0])[0] & 1
        if kind == 1:
            first.append(f"/io-apic@{struct.unpack_from('<I', entry, 4)[0]:x} io-apic")
        if kind == 12:
            version = "gicv3" if entry[20] >= 3 else "gicv2"
            first.append(f"/interrupt-controller@{struct.unpack_from('<Q', entry, 8)[0]:x} {version}")
    memory = []
    for kind, entry in entries(all_tables.get("SRAT", b""), HEADER + 12):
        if kind == 1:
            base, size = struct.unpack_from("<QQ", entry, 8)
            if size and struct.unpack_from("<I", entry, 28)[0] & 1:
                memory.append(f"{base:#x}+{size:#x}")
    console = "none"
    if "SPCR" in all_tables:
        console = f"/serial@{struct.unpack_from('<Q', all_tables['SPCR'], HEADER + 8)[0]:x}"
    mcfg = all_tables.get("MCFG", b"")
    return {"cpus": cpus, "memory": " ".join(memory) or "none", "controller": first[0],
            "console": console, "pci hosts": max(0, (len(mcfg) - HEADER - 8) // 16)}
