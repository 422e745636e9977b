#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes sources anew with the planted bugs of planted.toml in them, each behind a switch.

usage: tests/fuzz/plant.py FOLDER SOURCE...

A bug is an expression of the source that becomes another one while it is switched on:
`before` turns into `(fuzz_planted("name") ? (after) : (before))`. Each `before` must stand in
its file exactly once, so that a bug whose place is gone is seen. Line numbers stay.
"""

import sys
import tomllib
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent


def bugs():
    with open(TOP / "tests" / "fuzz" / "planted.toml", "rb") as file:
        return tomllib.load(file)["bug"]


def plant(source):
    text = (TOP / source).read_text()
    found = [bug for bug in bugs() if bug.get("file") == source]
    for bug in found:
        before, after = bug["before"], bug["after"]
        if text.count(before) != 1:
            sys.exit(f"{source}: '{before}' of the planted bug '{bug['name']}' stands there "
                     f"{text.count(before)} times")
        text = text.replace(before, f'(fuzz_planted("{bug["name"]}") ? ({after}) : ({before}))')
    declared = "bool fuzz_planted(const char *name);\n" if found else ""
    return f'{declared}#line 1 "{source}"\n{text}'


def main():
    folder = Path(sys.argv[1])
    for source in sys.argv[2:]:
        to = folder / source
        to.parent.mkdir(parents=True, exist_ok=True)
        text = plant(source)
        if not to.exists() or to.read_text() != text:
            to.write_text(text)


if __name__ == "__main__":
    main()
