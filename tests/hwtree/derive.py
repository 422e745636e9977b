#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a board has, read from its device tree by other means than lib/hwtree: dtc turns the blob into
source, and this reads the source as text.

usage: tests/hwtree/derive.py FILE...      prints a table for tests/hwtree/boards.toml

As a library: derive(path) returns {cpus, memory, console, controller}.
"""

import re
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
DTC = TOP / "build" / "deps" / "boards" / "dtc"
BOARDS = TOP / "build" / "deps" / "boards"

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|<[^>]*>|\[[^\]]*\]|[{};=,]|/memreserve/[^;]*;|/dts-v1/;|'
                   r'[^\s{};=,"<\[]+(?:,[^\s{};=,"<\[]+)*')


class Node:
    def __init__(self, name, parent):
        self.name, self.parent = name, parent
        self.children, self.properties, self.raw = [], {}, {}

    def path(self):
        if self.parent is None:
            return "/"
        above = self.parent.path()
        return ("" if above == "/" else above) + "/" + self.name

    def walk(self):
        yield self
        for child in self.children:
            yield from child.walk()

    def text(self, name):
        values = self.properties.get(name)
        return values[0] if values else None

    def texts(self, name):
        return self.properties.get(name, [])

    def cells(self, name):
        cells = []
        for token in self.raw.get(name, []):
            if token[0] == "<":
                cells += [c if c.startswith("&") else int(c, 0) for c in token[1:-1].split()]
            else:  # cells that happen to look like text are printed as text
                data = bytes_of(token)
                cells += [int.from_bytes(data[at:at + 4], "big") for at in range(0, len(data), 4)]
        return cells

    def enabled(self):
        own = self.text("status") in (None, "okay", "ok")
        return own and (self.parent is None or self.parent.enabled())


ESCAPES = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "0": 0}


def bytes_of(token):
    """What "text" or [bytes] stands for."""
    if token[0] == "[":
        return bytes.fromhex(token[1:-1])
    data, at, text = bytearray(), 0, token[1:-1]
    while at < len(text):
        if text[at] != "\\":
            data.append(ord(text[at]))
            at += 1
        elif text[at + 1] == "x":
            data.append(int(text[at + 2:at + 4], 16))
            at += 4
        else:
            data.append(ESCAPES.get(text[at + 1], ord(text[at + 1])))
            at += 2
    return bytes(data) + b"\0"


def parse(source):
    """The root of device-tree source as dtc prints it."""
    tokens = [t for t in TOKEN.findall(source) if not t.startswith("/memreserve/") and t != "/dts-v1/;"]
    at, node = 0, None
    while at < len(tokens):
        word = tokens[at]
        if word == "}":
            if node.parent is None:
                return node
            node, at = node.parent, at + 2
        elif tokens[at + 1] == "{":
            child = Node(word, node)
            if node is not None:
                node.children.append(child)
            node, at = child, at + 2
        elif tokens[at + 1] == ";":
            node.properties[word], at = [], at + 2
        else:  # NAME = VALUE, VALUE... ;
            values, at = [], at + 2
            while tokens[at] != ";":
                value = tokens[at]
                if value != ",":
                    node.raw.setdefault(word, []).append(value)
                if value[0] == '"':
                    values += value[1:-1].split("\\0")
                at += 1
            node.properties[word], at = values, at + 1
    raise ValueError("the source ends within a node")


def find(root, path):
    node = root
    for part in path.strip("/").split("/"):
        node = next((c for c in node.children
                     if c.name == part or ("@" not in part and c.name.split("@")[0] == part)), None)
        if node is None:
            return None
    return node


def cell(node, name, otherwise):
    cells = node.cells(name)
    return cells[0] if cells else otherwise


def memory(root):
    """(base, bytes) of what may be used; entries that the boot loader fills are left out."""
    address, size = cell(root, "#address-cells", 2), cell(root, "#size-cells", 1)
    found = []
    for node in root.children:
        if node.text("device_type") != "memory" or not node.enabled():
            continue
        cells = node.cells("reg")
        for at in range(0, len(cells) - address - size + 1, address + size):
            number = [0, 0]
            for which, (first, count) in enumerate([(at, address), (at + address, size)]):
                for c in cells[first:first + count]:
                    number[which] = number[which] << 32 | c
            if number[1]:
                found.append(tuple(number))
    return found


def console(root):
    chosen, aliases = find(root, "/chosen"), find(root, "/aliases")
    said = chosen and (chosen.text("stdout-path") or chosen.text("linux,stdout-path"))
    if not said:
        return "none"
    path = said.split(":")[0]
    if not path.startswith("/"):
        path = aliases and aliases.text(path)
    node = find(root, path) if path else None
    return node.path() if node else "none"


def interrupt_parent(node, phandles):
    while node is not None:
        cells = node.cells("interrupt-parent")
        if cells:
            return phandles.get(cells[0])
        node = node.parent
        if node is not None and "#interrupt-cells" in node.properties:
            return node
    return None


GICS = {"arm,gic-v3": "gicv3"} | dict.fromkeys(
    ["arm,gic-400", "arm,cortex-a15-gic", "arm,cortex-a9-gic", "arm,cortex-a7-gic", "qcom,msm-qgic2",
     "arm,pl390"], "gicv2")


def controller(root):
    """Where the interrupts of the CPUs' timer end, and its kind."""
    phandles = {n.cells("phandle")[0]: n for n in root.walk() if n.cells("phandle")}
    timer = next((n for n in root.walk() if n.enabled() and
                  {"arm,armv8-timer", "arm,armv7-timer"} & set(n.texts("compatible"))), root)
    extended = timer.cells("interrupts-extended")
    node = phandles.get(extended[0]) if extended else interrupt_parent(timer, phandles)
    for _ in range(8):
        kind = next((GICS[c] for c in node.texts("compatible") if c in GICS), "other") if node else ""
        above = interrupt_parent(node, phandles) if node else None
        if not node or kind != "other" or above is None or above is node:
            break
        node = above
    return f"{node.path()} {kind}" if node else "none"


def read(path):
    return parse(subprocess.run([DTC, "-q", "-I", "dtb", "-O", "dts", path], capture_output=True, text=True,
                                check=True).stdout)


def derive(path):
    root = read(path)
    cpus = find(root, "/cpus")
    return {
        "cpus": sum(1 for n in (cpus.children if cpus else [])
                    if (n.text("device_type") == "cpu" or n.name.startswith("cpu@")) and n.enabled()),
        "memory": " ".join(f"{base:#x}+{size:#x}" for base, size in memory(root)) or "none",
        "console": console(root),
        "controller": controller(root),
    }


def main():
    for name in sys.argv[1:]:
        path = Path(name).resolve()
        print(f'[[board]]\nfile = "{path.relative_to(BOARDS)}"')
        for key, value in derive(path).items():
            print(f"{key} = {value}" if isinstance(value, int) else f'{key} = "{value}"')
        print()


if __name__ == "__main__":
    main()
