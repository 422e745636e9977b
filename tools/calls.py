#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Which of all that a system call can answer, in which states of its objects, the unit tests have seen.

usage: tools/calls.py [--run]     --run makes the tests record it first

The tests of the kernel write down what they see calls do (tests/unit/kernel_calls.c) to build/calls. From
abi/abi.toml and the kernel's tables of states come the combinations that there are:

- each call, and each error that it lists;
- each handle argument, and what is wrong with it: `nothing` (BAD_HANDLE), `other` (WRONG_TYPE), `less`
  (NO_RIGHT), `gone` (GONE); and the same for a handle in a message;
- each handle argument, and each state that its object can be in (any type's, where any is taken), and
  there OK and each listed error that is about a state (ABOUT_STATE); of a call that waits also GONE.

An error of the others, which is about an argument's value or about what an account has left, is the same
in every state, and once is enough; but in every state there must be some answer.

The table is written to build/calls/table.md. What is not seen stands in tests/unit/call_holes.toml with the
reason. The status is 0 if all of it does, nothing that is seen does, and no call answered what it does not
list.
"""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import abigen

TOP = Path(__file__).resolve().parent.parent
SEEN = TOP / "build" / "calls"
LISTED = TOP / "tests" / "unit" / "call_holes.toml"
ABOUT_STATE = ["BAD_STATE", "FULL", "TIMED_OUT", "CANCELLED", "PEER_CLOSED"]
WAITS = "TIMED_OUT"  # is listed by each call whose wait can end with GONE
WRONG = {"nothing": "BAD_HANDLE", "other": "WRONG_TYPE", "less": "NO_RIGHT", "gone": "GONE"}
ANY, NONE = "any", "-"  # an answer, an argument


def states_of():
    """type: the names of its states, in their order"""
    found = {}
    for file in sorted((TOP / "kernel").glob("*.h")):
        for name, body in re.findall(r"enum (\w+)_state : uint8_t \{(.*?)\}", file.read_text(), re.S):
            body = re.sub(r"//.*", "", body)
            found[name] = [word.split("_", 1)[1].lower() for word in re.findall(r"\w+", body)][:-1]
    return found


class Table:
    def __init__(self):
        table = abigen.load(TOP / "abi" / "abi.toml")
        self.calls = {call["name"]: call for call in table["syscall"]}
        self.types = [o["name"] for o in table["object"]]
        self.states = states_of()

    def handles(self, call):
        return [a for a in self.calls[call]["args"] if a.object or a.kind == "raw_handle"]

    def states_met(self, argument):
        """What a handle argument names when nothing is wrong with it."""
        types = [argument.object] if argument.object in self.types else self.types
        types = [t for t in types if t != "mapping"]  # no handle names one
        met = [f"{t}.{s}" if t in self.states else t for t in types for s in self.states.get(t, [""])]
        if argument.kind == "raw_handle":
            met.append("gone")
        return met + (["absent"] if argument.optional else [])

    def combinations(self):
        """All (call, answer, argument, what the argument names)."""
        for name, call in self.calls.items():
            handles, errors = self.handles(name), set(call["errors"])
            yield from ((name, error, NONE, NONE) for error in ["OK", *call["errors"]]
                        if error != "BAD_HANDLE" or call["name"] != "handle_close")
            about = ["OK"] + [e for e in ABOUT_STATE if e in errors] + (["GONE"] if WAITS in errors else [])
            for argument in handles:
                for wrong, error in WRONG.items():
                    if wrong == "other" and argument.object in ("any", None) \
                            or wrong == "less" and not argument.rights \
                            or wrong == "gone" and argument.kind == "raw_handle":
                        continue
                    yield name, error, argument.name, wrong
                for state in self.states_met(argument):
                    yield from ((name, answer, argument.name, state) for answer in [ANY, *about])
            if any(a.kind == "msginfo" for a in call["args"]):
                yield from ((name, error, "message", wrong) for wrong, error in WRONG.items()
                            if wrong != "other")

    def named(self, word):
        """type.state, from its numbers"""
        kind, _, state = word.partition(".")
        if not state:
            return word
        name = self.types[int(kind) - 1]
        return f"{name}.{self.states[name][int(state)]}" if name in self.states else name

    def shown(self, call, answer, words):
        """The combinations that one recorded call shows."""
        handles = self.handles(call)
        message = next((w.removeprefix("message=") for w in words if w.startswith("message=")), None)
        named = [self.named(w) for w in words if not w.startswith("message=")]
        for argument, word in zip(handles, named):
            if word in WRONG and not (word == "gone" and argument.kind == "raw_handle"):
                if answer == WRONG[word]:
                    yield call, answer, argument.name, word
                return
        if message in WRONG and answer == WRONG[message]:
            yield call, answer, "message", message
            return
        yield call, answer, NONE, NONE
        for argument, word in zip(handles, named):
            yield call, ANY, argument.name, word
            yield call, answer, argument.name, word


def read(table, files):
    """({combination: the test that saw it}, [calls that answered what they do not list])"""
    seen, wrong = {}, []
    for file in files:
        for line in file.read_text().splitlines() if file.exists() else []:
            test, call, answer, *words = line.split()
            where = f"{file.stem}/{test.lstrip('~')}"
            if call == "-":
                if answer != "NO_SYSCALL":
                    wrong.append(f"a call that is none answered {answer} in {where}")
                continue
            if answer != "OK" and answer not in abigen.all_errors(table.calls[call]):
                wrong.append(f"{call} answered {answer}, which it does not list, in {where}")
            if test.startswith("~"):
                continue
            for combination in table.shown(call, answer, words):
                seen.setdefault(combination, where)
    return seen, wrong


def in_words(combination):
    call, answer, argument, state = combination
    at = "" if argument == NONE else f" where `{argument}` is {state}"
    return f"{call}: {'any answer' if answer == ANY else answer}{at}"


class Holes:
    """Those of call_holes.toml. What one does not name (call, answer, argument, state) is every one;
    a list is each of several, and `but` takes out calls or states."""

    def __init__(self):
        self.rows = tomllib.loads(LISTED.read_text())["hole"]

    @staticmethod
    def covers(row, combination):
        call, answer, argument, state = combination
        for key, value in (("call", call), ("answer", answer), ("argument", argument), ("state", state)):
            wanted = row.get(key)
            if wanted is not None and value not in ([wanted] if isinstance(wanted, str) else wanted):
                return False
        return not {call, state} & set(row.get("but", []))

    def judge(self, combinations, seen):
        """{hole: its reason}, [complaints]"""
        reasons, complaints = {}, []
        for row in self.rows:
            covered = [c for c in combinations if self.covers(row, c)]
            if not row.get("reason") or not covered:
                complaints.append(f"call_holes.toml: without a reason, or nothing is like this: {row}")
            complaints += [f"listed as a hole, but {seen[c]} sees it: {in_words(c)}" for c in covered if c in seen]
            reasons |= {c: row["reason"] for c in covered if c not in seen}
        missing = [c for c in combinations if c not in seen and c not in reasons]
        made = {call for call, *_ in seen}
        for call in dict.fromkeys(call for call, *_ in missing if call not in made):
            complaints.append(f"no test makes the call {call} ({sum(c[0] == call for c in missing)} combinations)")
        complaints += [f"no test sees, and no hole lists: {in_words(c)}" for c in missing if c[0] in made]
        return reasons, complaints


def markdown(table, combinations, seen, reasons):
    notes = {}

    def cell(combination):
        if combination in seen:
            return seen[combination].removeprefix("test_kernel_")
        if combination not in combinations:
            return ""
        reason = reasons.get(combination, "**no test**")
        return f"({notes.setdefault(reason, len(notes) + 1)})"
    lines = ["# What calls answer, in which states, and a test that sees it", ""]
    for name, call in table.calls.items():
        lines += [f"## {name}", "", "| answer | test |", "|---|---|"]
        lines += [f"| {answer} | {cell((c, answer, argument, state))} |"
                  for c, answer, argument, state in combinations if c == name and argument == NONE]
        lines.append("")
        answers = [a for a in ["OK", *abigen.all_errors(call)]
                   if any(c == name and x == a and n != NONE and s not in WRONG for c, x, n, s in combinations)]
        for argument in [*(a.name for a in table.handles(name)), "message"]:
            of_it = [c for c in combinations if c[0] == name and c[2] == argument]
            wrong = [c for c in of_it if c[3] in WRONG and c[1] == WRONG[c[3]]]
            if wrong:
                lines += [f"| `{argument}` | {' | '.join(c[3] + ': ' + c[1] for c in wrong)} |",
                          "|---|" + "---|" * len(wrong), f"| | {' | '.join(map(cell, wrong))} |", ""]
            states = list(dict.fromkeys(c[3] for c in of_it if c[1] == ANY))
            if states:
                lines += [f"| `{argument}` is | any | {' | '.join(answers)} |", "|---|---|" + "---|" * len(answers)]
                lines += [f"| {state} | " + " | ".join(cell((name, a, argument, state)) for a in [ANY, *answers])
                          + " |" for state in states]
                lines.append("")
    lines += ["## Holes", ""] + [f"{number}. {reason}" for reason, number in notes.items()]
    return "\n".join(lines) + "\n"


def recording(program):
    """What the environment of a program of tests needs so that it records; what it recorded is gone."""
    SEEN.mkdir(parents=True, exist_ok=True)
    file = SEEN / f"{program.name}.txt"
    file.unlink(missing_ok=True)
    return {"SKERRY_CALLS": str(file)}


def programs():
    return sorted((TOP / "build" / "host" / "bin").glob("test_kernel_*"))


def judge():
    """([complaints], what there is in a line); writes the table"""
    table = Table()
    combinations = list(dict.fromkeys(table.combinations()))
    seen, complaints = read(table, [SEEN / f"{program.name}.txt" for program in programs()])
    holes = Holes()
    reasons, more = holes.judge(combinations, seen)
    (SEEN / "table.md").write_text(markdown(table, dict.fromkeys(combinations), seen, reasons))
    count = sum(c in seen for c in combinations)
    return complaints + more, (f"{len(combinations)} combinations of {len(table.calls)} calls: {count} seen, "
                               f"{len(reasons)} holes, for {len(holes.rows)} reasons")


def main():
    if "--run" in sys.argv[1:]:
        for program in programs():
            environment = dict(os.environ, T="") | recording(program)
            subprocess.run([program], env=environment, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, check=True)
    complaints, summary = judge()
    print("\n".join([*complaints, summary]))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
