#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How big the tree and the kernel are: `make size`.

Lines are lines of code: comments and blank lines are not counted.
"""

import re
import subprocess
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
ARCHES = ("x86_64", "aarch64")

# Strings and character constants come first, so that what looks like a comment
# in them is none.
C_PIECES = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|//[^\n]*|/\*.*?\*/', re.DOTALL)


def c_lines(text):
    text = C_PIECES.sub(
        lambda m: re.sub(r"[^\n]", "", m[0]) if m[0].startswith("/") else m[0], text)
    return sum(1 for line in text.split("\n") if line.strip())


def hash_lines(text):
    return sum(1 for line in text.split("\n") if line.strip() and not line.strip().startswith("#"))


def count(*folders):
    """Lines of code below these folders, by kind of file."""
    total = 0
    for folder in folders:
        base = TOP / folder
        for path in base.rglob("*") if base.is_dir() else []:
            if path.suffix in (".c", ".h", ".S", ".ld", ".def"):
                total += c_lines(path.read_text(errors="replace"))
            elif path.suffix in (".py", ".sh", ".mk", ".toml"):
                total += hash_lines(path.read_text(errors="replace"))
    return total


def shared(layer):
    """Lines of a layer outside its per-machine folders."""
    return count(layer) - count(*(f"{layer}/{arch}" for arch in (*ARCHES, "host")))


def print_lines():
    print("lines of code")
    rows = [("abi", count("abi")), ("kernel", count("kernel")), ("lib", count("lib"))]
    for arch in ARCHES:
        rows.append((f"arch + hal + platform, {arch}",
                     sum(count(f"{layer}/{arch}") for layer in ("arch", "hal", "platform"))))
    rows.append(("arch + hal + platform, shared",
                 sum(shared(layer) for layer in ("arch", "hal", "platform"))))
    rows.append(("arch/host, the simulated machine", count("arch/host")))
    rows.append(("proto", count("proto")))
    for folder in ("sdk", "init", "devd", "drivers", "services", "apps"):
        rows.append((f"user/{folder}", count(f"user/{folder}")))
    rows += [("tests", count("tests")), ("tools", count("tools"))]
    for name, lines in rows:
        print(f"  {name:36}{lines:8}")


def sections(elf):
    """Bytes of text, read-only data, data and bss: what the image loads, by permission."""
    out = subprocess.run(["llvm-readelf-22", "--sections", "--wide", str(elf)],
                         capture_output=True, text=True, check=True).stdout
    total = dict(text=0, rodata=0, data=0, bss=0)
    for match in re.finditer(
            r"\] +(\S*) +(\S+) +[0-9a-f]+ +[0-9a-f]+ +([0-9a-f]+) +[0-9a-f]+ +([A-Z]*) ", out):
        kind, size, flags = match[2], int(match[3], 16), match[4]
        if "A" not in flags:
            continue
        if kind == "NOBITS":
            total["bss"] += size
        elif "X" in flags:
            total["text"] += size
        else:
            total["data" if "W" in flags else "rodata"] += size
    return total


def print_kernels():
    print("\nkernel, bytes        text   rodata     data      bss   text + rodata")
    for arch in ARCHES:
        for build in ("dev", "release"):
            elf = TOP / "build" / f"{arch}-{build}" / "kernel.elf"
            if elf.is_file():
                s = sections(elf)
                print(f"  {arch + ' ' + build:16}{s['text']:8} {s['rodata']:8} {s['data']:8} "
                      f"{s['bss']:8}   {(s['text'] + s['rodata']) / 1024:.1f} KiB")


print_lines()
print_kernels()
