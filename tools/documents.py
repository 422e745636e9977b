#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What docs/ says that stands elsewhere in the tree: tables of states, the reference pages.

usage: tools/documents.py [--check]

In docs/*.md, what stands between `<!-- states: NAME -->` and `<!-- end -->` is made anew from
NAME_transitions in kernel/, by which the kernel checks itself. docs/syscalls.md is made from
abi/abi.toml, docs/protocols.md from proto/*.toml. With --check nothing is written: the status is 1
if something is not what it would be, or a table of states stands in no document.
"""

import re
import sys
from pathlib import Path

from abigen import COMMON_RIGHTS, all_errors, load
from protogen import Protocol

TOP = Path(__file__).resolve().parent.parent
DOCS = TOP / "docs"
LICENSE = "<!-- SPDX-License-Identifier: MIT -->\n"
TABLE = re.compile(r"static const uint32_t (\w+)_transitions\[\w+\] = \{(.*?)\n\};", re.S)
ROW = re.compile(r"\[(\w+)\] =\s+(.*?)(?=,\s*(?:\[|$))", re.S)
EVENT = re.compile(r'TO\((\w+),\s*((?:"[^"]*"\s*)+)\)')
PLACE = re.compile(r"(<!-- states: (\w+) -->\n).*?(<!-- end -->)", re.S)

# Whose calls do not begin with the name of their object. Of "any" are those that take every object.
OBJECT_OF = {"handle": "any", "object": "any", "vm": "aspace", "io": "iorange"}


# ---- states

def tables():
    """name: [(state, event, next state)], in the kernel's order"""
    found = {}
    for file in sorted((TOP / "kernel").glob("*.c")):
        for name, body in TABLE.findall(file.read_text()):
            found[name] = [(state, "".join(re.findall(r'"([^"]*)"', text)), to)
                           for state, row in ROW.findall(body)
                           for to, text in EVENT.findall(row)]
    return found


def plain(state):
    return state.split("_", 1)[1].capitalize()


def states(rows):
    lines = ["", "| State | Event | Next state |", "|---|---|---|"]
    lines += [f"| {plain(state)} | {event} | {plain(to)} |" for state, event, to in rows]
    ends = {to for _, _, to in rows} - {state for state, _, _ in rows}
    for state in sorted(ends):
        lines.append(f"| {plain(state)} | | |")
    return "\n".join(lines) + "\n\n"


# ---- the reference pages

def described(rows, detail=lambda row: ""):
    return "".join(f"- **{row['name']}**{detail(row)}: {row['doc']}\n" for row in rows)


def call(c):
    args = ", ".join(arg.name for arg in c["args"])
    results = ", ".join(name for name, _ in c["results"])
    rights = "; ".join(f"`{arg.name}` ({arg.object}): {', '.join(arg.rights) or 'none'}"
                       for arg in c["args"] if arg.object)
    return (f"#### {c['name']}({args})" + (f" → {results}" if results else "") + f"\n\n{c['doc']}\n\n"
            + (f"- *Rights*: {rights}.\n" if rights else "")
            + f"- *Errors*: {', '.join(all_errors(c)) or 'none'}.\n\n")


def calls_of(table, name):
    return [c for c in table["syscall"]
            if OBJECT_OF.get(prefix := c["name"].split("_")[0], prefix) == name]


def with_object(table, known, o):
    signals = [s["name"] for s in table["signal"]
               if o["name"] in s["doc"].split(": ")[0].split(", ")
               or f"; {o['name']}: " in s["doc"]]
    return "".join([
        f"### {o['name']}\n\n{o['doc'][0].upper()}{o['doc'][1:]}.\n\n",
        f"- *Rights* besides the common ones: {', '.join(o['rights']) or 'none'}.\n",
        f"- *Signals*: {', '.join(signals)}.\n" if signals else "",
        f"- *States*: [{known[o['name']]}]({known[o['name']]}).\n" if o["name"] in known else "",
        f"- *Costs*: {o['cost']}.\n\n", *map(call, calls_of(table, o["name"]))])


def syscalls(known):
    """known: the document with the table of states, by its name"""
    table = load(TOP / "abi" / "abi.toml")
    return "".join([
        LICENSE, "# Objects and system calls\n\nMade from `abi/abi.toml`. What must hold is in "
        "[ipc.md](ipc.md), [memory.md](memory.md) and\n[objects.md](objects.md); how long each call "
        "keeps the kernel busy at most, in [performance.md](performance.md).\n\n"
        "Each call returns an error, and results. One that takes a handle can answer BAD_HANDLE and "
        "GONE,\nWRONG_TYPE where it wants one type, and NO_RIGHT where it needs a right.\n\n## Errors\n\n",
        described(table["error"]), "\n## Rights\n\n",
        f"Every first handle carries {', '.join(COMMON_RIGHTS)}, and what its object's section says.\n\n",
        described(table["right"]), "\n## Signals\n\n",
        described(table["signal"], lambda s: f" (bit {s['bit']})"), "\n## Calls on every object\n\n",
        *map(call, calls_of(table, "any")), "## Objects\n\n",
        *(with_object(table, known, o) for o in table["object"]), "## Clock\n\n",
        *map(call, calls_of(table, "clock"))]).rstrip() + "\n"


def protocols():
    out = [LICENSE, "# Service protocols\n\nMade from `proto/`, whose README says how they are used.\n"]
    for p in sorted(map(Protocol, (TOP / "proto").glob("*.toml")), key=lambda p: p.id):
        out.append(f"\n## {p.name}, version {p.version}\n\n{p.doc}\n")
        out += ["\n"] * bool(p.errors) + [f"- error **{e['name']}**: {e['doc']}\n" for e in p.errors]
        for m in p.messages:
            fields = [f.name for f in m.request] + [r[0] for r in m.request_handles.rows]
            back = [f.name for f in m.reply] + [r[0] for r in m.reply_handles.rows]
            kind = "call" if m.call else f"notice from the {'client' if m.from_client else 'server'}"
            out.append(f"\n### {m.name}({', '.join(fields)})" + (f" → {', '.join(back)}" if back else "")
                       + f"\n\n*{kind}{', idempotent' if m.idempotent else ''}.* {m.doc}\n")
    return "".join(out)


def main():
    check, wrong = "--check" in sys.argv[1:], []
    known, placed = tables(), {}

    def make(file, text):
        if (file.read_text() if file.exists() else None) == text:
            return
        if check:
            wrong.append(f"{file.name} is not what the tree makes of it: run tools/documents.py")
        else:
            file.write_text(text)

    for file in sorted(DOCS.glob("*.md")):
        def anew(place):
            name = place.group(2)
            placed[name] = file.name
            if name not in known:
                wrong.append(f"{file.name}: the kernel has no table of states named {name}")
                return place.group(0)
            return place.group(1) + states(known[name]) + place.group(3)
        make(file, PLACE.sub(anew, file.read_text()))
    wrong += [f"no document shows the states of {name}" for name in sorted(set(known) - set(placed))]
    make(DOCS / "syscalls.md", syscalls(placed))
    make(DOCS / "protocols.md", protocols())
    print("\n".join(wrong) or f"{len(known)} tables of states, 2 reference pages")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
