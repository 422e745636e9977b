#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tar archives to be used as disks, the same bytes for the same seed.

usage: mkdisk.py [--small] [--seed N] [--format ustar|gnu|pax] OUT

Without --small: 64 MiB of random content, with the sizes at which readers go
wrong, nested folders, and names as long as the format allows.
As a library: make_archive(path, seed, format) returns {name: sha256 of content}.
"""

import argparse
import hashlib
import io
import random
import tarfile

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
KIB, MIB = 1024, 1024 * 1024
EDGE_SIZES = [0, 1, 511, 512, 513, 4095, 4096, 4097, MIB - 1, MIB, MIB + 1]
TOTAL = 64 * MIB


def long_names(tar_format):
    """Names at and beyond the 100 bytes of a plain header."""
    folder = "long/" + "f" * 60 + "/"
    names = [
        "n" * 100,  # fills the name field, no terminator
        "long/" + "x" * 95,  # 100 with its folder
        folder + "y" * 90,  # ustar: split into prefix and name
    ]
    if tar_format != "ustar":  # past what prefix and name can hold
        names += ["m" * 101, folder * 3 + "z" * 120, "long/" + "w" * 200]
    return names


def contents(seed, tar_format):
    """Yields (name, size); the caller draws the bytes in this order."""
    for i, size in enumerate(EDGE_SIZES):
        yield f"size/{i:02}-{size}", size
    yield "big", 32 * MIB
    yield "nested/a/b/c/d/e/f/g/deep", 3000
    names = long_names(tar_format)
    for i, name in enumerate(names):
        yield name, 700 * (i + 1)
    draw = random.Random(seed)
    left = TOTAL - 32 * MIB - sum(EDGE_SIZES) - 3000 - sum(700 * (i + 1) for i in range(len(names)))
    i = 0
    while left > 0:
        size = min(left, draw.randrange(64 * KIB, 4 * MIB))
        yield f"fill/{i % 4}/{i:03}", size
        left -= size
        i += 1


def small_contents():
    yield "a", 70000
    yield "empty", 0
    yield "folder/b", 513
    yield "folder/deeper/c", 4097


README = b"""This is Skerry's default disk: a tar archive, read through a driver that is an
ordinary process. Give your own with  make run DISK=any.tar
"""


def add(tar, name, data, folders):
    parts = name.split("/")[:-1]
    for i in range(1, len(parts) + 1):
        folder = "/".join(parts[:i])
        if folder not in folders:
            folders.add(folder)
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o644
    tar.addfile(info, io.BytesIO(data))


def make_archive(path, seed, tar_format, small=False):
    """Writes an archive to `path`; returns the sha256 of each file in it by name."""
    draw = random.Random(seed)
    sums, folders = {}, set()
    with tarfile.open(path, "w", format=FORMATS[tar_format]) as tar:
        def put(name, data):
            add(tar, name, data, folders)
            sums[name] = hashlib.sha256(data).hexdigest()

        if small:
            put("README", README)
        for name, size in small_contents() if small else contents(seed, tar_format):
            put(name, draw.randbytes(size))
    return sums


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--format", choices=FORMATS, default="gnu")
    parser.add_argument("out")
    args = parser.parse_args()
    make_archive(args.out, args.seed, args.format, args.small)


if __name__ == "__main__":
    main()
