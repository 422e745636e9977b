# SPDX-License-Identifier: MIT
"""Looks for load buffering: a relaxed load, and later on some path a relaxed store that it does not
order, with no fence in between. Processors may make the store first; the explorer never does
(docs/explore.md), so such code would be explored too kindly.

It reads the intermediate code of each file of kernel/ as it is compiled, with what clang has put
in line. A store whose value or address comes from the load is ordered by it. Pairs that can do no
harm are listed in load_buffering.toml, each with its reason, by the functions that make them.
"""

import re
import subprocess
import tomllib
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
ALLOWED = Path(__file__).with_suffix(".toml")

FUNCTION = re.compile(r"^define [^\n]*@[\w.]+\([^\n]*\{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
REGISTER = re.compile(r"%[\w.]+")
# The first order of a compare-exchange is that of its success.
CHANGE = r"(?:atomicrmw|cmpxchg)\b.*?\b(monotonic|acquire|release|acq_rel|seq_cst)\b"


def weak_load(text):
    if re.search(r"= load atomic .*\bmonotonic\b", text):
        return True
    change = re.search(CHANGE, text)
    return change is not None and change[1] in ("monotonic", "release")


def weak_store(text):
    if re.match(r"store atomic .*\bmonotonic\b", text):
        return True
    change = re.search(CHANGE, text)
    return change is not None and change[1] in ("monotonic", "acquire")


def is_fence(text):
    return re.match(r"fence (acquire|acq_rel|seq_cst)", text) is not None


class Body:
    """The blocks of a function, and what each register is made of."""

    def __init__(self, text):
        self.blocks, self.made_of, name = {}, {}, "entry"
        for line in text.split("\n"):
            if label := re.match(r"([\w.]+):", line):
                name = label[1]
            elif line.strip():
                self.blocks.setdefault(name, []).append(line.strip())
        for lines in self.blocks.values():
            for line in lines:
                if made := re.match(r"(%[\w.]+) = (.*)", line):
                    self.made_of[made[1]] = set(REGISTER.findall(made[2]))

    def comes_from(self, line, register):
        work, seen = REGISTER.findall(line), set()
        while work:
            one = work.pop()
            if one == register:
                return True
            if one not in seen:
                seen.add(one)
                work += self.made_of.get(one, ())
        return False

    def stores_after(self, block, index, register):
        work, seen = [(block, index + 1)], set()
        while work:
            block, index = work.pop()
            lines = self.blocks.get(block, [])
            for line in lines[index:]:
                if is_fence(line):
                    break
                if weak_store(line) and not self.comes_from(line, register):
                    yield line
            else:
                follow = re.findall(r"label %([\w.]+)", lines[-1]) if lines else []
                work += [(name, 0) for name in follow if name not in seen]
                seen.update(follow)

    def pairs(self):
        for name, lines in self.blocks.items():
            for index, line in enumerate(lines):
                register = re.match(r"(%[\w.]+) =", line)
                if register and weak_load(line):
                    for store in self.stores_after(name, index, register[1]):
                        yield line, store


def function_of(line, meta):
    """The function in whose source the instruction stands."""
    scope = re.search(r"!dbg (!\d+)", line)
    while scope:
        described = meta.get(scope[1], "")
        if "DISubprogram" in described:
            return re.search(r'name: "(\w+)"', described)[1]
        scope = re.search(r"scope: (!\d+)", described)
    return "?"


def pairs_of(source, flags):
    code = subprocess.run(["clang-22", *flags, "-O1", "-g", "-S", "-emit-llvm", "-o", "-", source],
                          cwd=TOP, capture_output=True, text=True, check=True).stdout
    meta = dict(re.findall(r"^(!\d+) = (.*)$", code, re.MULTILINE))
    return {(function_of(load, meta), function_of(store, meta))
            for function in FUNCTION.finditer(code)
            for load, store in Body(function[1]).pairs()}


def read_listed():
    """Functions that keep figures alone, and pairs that are allowed."""
    with open(ALLOWED, "rb") as file:
        listed = tomllib.load(file)
    return (set(listed["figures"]["functions"]),
            {(pair["load"], pair["store"]) for pair in listed["pair"] if pair["reason"]})


def harmful_pairs(source, flags):
    """Those that decide something, allowed or not."""
    figures, _ = read_listed()
    flags = [flag for flag in flags if not flag.startswith("-O")]
    return sorted(pair for pair in pairs_of(source, flags) if not figures & set(pair))


def is_refused(source, flags):
    _, allowed = read_listed()
    return not allowed.issuperset(harmful_pairs(source, flags))


def check(sources, flags):
    _, allowed = read_listed()
    found = set()
    for source in sources:
        for pair in harmful_pairs(source, flags):
            found.add(pair)
            if pair not in allowed:
                yield f"{source}: a relaxed load in {pair[0]}, then a relaxed store in {pair[1]}"
    for load, store in sorted(allowed - found):
        yield f"{ALLOWED.name} lists {load}, {store}, which is not there"
