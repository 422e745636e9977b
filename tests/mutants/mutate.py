#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the kernel's source with all its mutants in it, each behind a switch.

usage: tests/mutants/mutate.py OUT COMPILER [FLAGS...]

OUT/kernel/*   the sources: `(MUTANT(17) ? (a <= b) : (a < b))`, line by line where they were
OUT/mutants.json   what each number is
"""

import json
import re
import sys
from pathlib import Path

from operators import ACQUIRES, CLASSES, RELEASES, Finder, RightsFinder, callee, children
from source import Source, plain

TOP = Path(__file__).resolve().parent.parent.parent
# The checks themselves, and the panic that they end in.
NOT_MUTATED = re.compile(r"\w+_check|note_acquired|note_released|lock_held|seeded_bug_is|runs_out|"
                         r"invariant_failed")
FILES_NOT_MUTATED = {"kernel/panic.c", "kernel/check.h"}


class Tree:
    """Places in a text that are written anew, one inside another."""

    def __init__(self, begin, end):
        self.begin, self.end = begin, end
        self.inner, self.changes = [], []

    def insert(self, begin, end):
        for node in self.inner:
            if node.begin <= begin and end <= node.end:
                return node if (node.begin, node.end) == (begin, end) else node.insert(begin, end)
            if not (end <= node.begin or node.end <= begin) and \
                    not (begin <= node.begin and node.end <= end):
                return None  # overlaps: macros
        new = Tree(begin, end)
        new.inner = [n for n in self.inner if begin <= n.begin and n.end <= end]
        self.inner = [n for n in self.inner if n not in new.inner] + [new]
        return new

    def render(self, text, renames):
        out, at = [], self.begin

        def copy(upto):
            piece = text[at:upto]
            # Calls that every mutant's locks go through.
            out.append(renames(at, piece))
        for node in sorted(self.inner, key=lambda n: n.begin):
            copy(node.begin)
            out.append(node.render(text, renames))
            at = node.end
        copy(self.end)
        whole = "".join(out)
        # A lock is left out in the call itself, before anything is written around it.
        order = ("lock", "expression", "statement")
        for number, change in sorted(self.changes, key=lambda c: order.index(c[1].kind)):
            if change.kind == "statement":
                whole = f"if (MUTANT({number})) {{}} else {whole}"
            elif change.kind == "lock":
                whole = re.sub(r"^\w+\(", lambda m: f"MUTANT_LOCK({m[0][:-1]}, {number}, ", whole)
            else:
                whole = f"(MUTANT({number}) ? ({change.becomes}) : ({whole}))"
        return whole


def find_releases(node, source, found):
    if callee(node) == "lock_release" and source.place(node):
        found.add(source.place(node)[0])
    for child in children(node):
        find_releases(child, source, found)


def mutate_file(path, source, out, mutants):
    text = source.text
    tree = Tree(0, len(text))
    releases = set()
    for name, body in source.functions():
        if NOT_MUTATED.fullmatch(name):
            continue
        finder = (RightsFinder if path.endswith(".inc") else Finder)(source, name)
        changes = finder.find(body)
        find_releases(body, source, releases)
        seen = {}
        for change in sorted(changes, key=lambda c: (c.begin, -c.end, c.becomes)):
            place = tree.insert(change.begin, change.end)
            if place is None:
                continue
            number = len(mutants) + 1
            place.changes.append((number, change))
            what = plain(text[change.begin:change.end])
            key = (change.kind, change.operator, what, change.becomes)
            seen[key] = seen.get(key, 0) + 1
            mutants.append({
                "number": number, "file": path, "begin": change.begin, "end": change.end,
                "line": text.count("\n", 0, change.begin) + 1, "function": name,
                "class": change.operator, "text": what, "becomes": change.becomes or "nothing",
                "nth": seen[key]})
    for function_begin, function_body in [(source.place(b)[0], b) for _, b in source.functions()]:
        find_releases(function_body, source, releases)

    def renames(at, piece):
        return re.sub(r"\b(lock_acquire|lock_release)\(",
                      lambda m: f"mutant_{m[0]}" if is_call(at + m.start()) else m[0], piece)

    def is_call(offset):
        return offset in releases or offset in acquires

    acquires = set()
    for _, body in source.functions():
        find_acquires(body, source, acquires)
    rendered = tree.render(text, renames)
    target = out / path.removeprefix("build/gen/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(f'#line 1 "{path}"\n{rendered}')


def find_acquires(node, source, found):
    if callee(node) == "lock_acquire" and source.place(node):
        found.add(source.place(node)[0])
    for child in children(node):
        find_acquires(child, source, found)


def main():
    out, compiler = Path(sys.argv[1]), sys.argv[2:]
    mutants = []
    sources = sorted(TOP.glob("kernel/*.c"))
    headers = sorted(TOP.glob("kernel/*.h"))
    (out / "kernel").mkdir(parents=True, exist_ok=True)
    for path in TOP.glob("kernel/*.def"):
        (out / "kernel" / path.name).write_text(path.read_text())
    unit = out / "headers.c"
    unit.write_text("".join(f'#include "{h.name}"\n' for h in headers))
    for path in headers + sources + [TOP / "build/gen/kernel/decode.inc"]:
        name = str(path.relative_to(TOP))
        text = path.read_text()
        if name in FILES_NOT_MUTATED or path.suffix == ".h" and "static inline" not in text:
            (out / name).write_text(f'#line 1 "{name}"\n{text}')
            continue
        if path.suffix == ".h":
            source = Source(name, text, compiler + ["-Ikernel"], unit)
        elif path.suffix == ".inc":
            source = Source(name, text, compiler, "kernel/syscall.c")
        else:
            source = Source(name, text, compiler)
        mutate_file(name, source, out, mutants)
    (out / "mutants.json").write_text(json.dumps(mutants, indent=0))
    counts = {c: sum(m["class"] == c for m in mutants) for c in CLASSES}
    print(f"{len(mutants)} mutants: " + ", ".join(f"{n} {c}" for c, n in counts.items()))


if __name__ == "__main__":
    main()
