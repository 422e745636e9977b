#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Packs files into a boot bundle, which the kernel maps into the first process.

usage: bundle.py OUT [NAME=FILE]...

A header (magic, version, count, entries: struct abi_bundle in abi/), then the
files, each from a page boundary on; zeros between; a whole number of pages.
"""

import struct
import sys
from pathlib import Path

PAGE = 4096
MAGIC = b"SKBUNDLE"
VERSION = 1
HEADER = struct.Struct("<8sII")
ENTRY = struct.Struct("<48sQQ")


def pages(size):
    return (size + PAGE - 1) // PAGE * PAGE


def bundle(files):
    """The bundle of (name, bytes) pairs."""
    names = [name for name, _ in files]
    for name in names:
        if not 0 < len(name.encode()) < 48 or names.count(name) > 1:
            raise SystemExit(f"bundle: bad or repeated name: {name!r}")
    offset = pages(HEADER.size + ENTRY.size * len(files))
    out = bytearray(HEADER.pack(MAGIC, VERSION, len(files)))
    for name, data in files:
        out += ENTRY.pack(name.encode(), offset, len(data))
        offset += pages(len(data))
    for _, data in files:
        out += bytes(pages(len(out)) - len(out)) + data
    return bytes(out) + bytes(pages(len(out)) - len(out))


def files_of(data):
    """The (name, bytes) pairs of a bundle."""
    magic, version, count = HEADER.unpack_from(data)
    if magic != MAGIC or version != VERSION:
        raise ValueError("this is no boot bundle")
    entries = [ENTRY.unpack_from(data, HEADER.size + ENTRY.size * i) for i in range(count)]
    return [(name.rstrip(b"\0").decode(), data[at:at + size]) for name, at, size in entries]


def main():
    pairs = [argument.split("=", 1) for argument in sys.argv[2:]]
    Path(sys.argv[1]).write_bytes(bundle([(name, Path(path).read_bytes()) for name, path in pairs]))


if __name__ == "__main__":
    main()
