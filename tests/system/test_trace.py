# SPDX-License-Identifier: MIT
"""The same random programs of system calls leave the same traces on all machines.

tests/programs/trace draws and performs them; the simulated machine's trace comes from the host test
(build/host/bin/test_kernel_trace). A difference is shrunk: calls are left out for as long as a
difference stays.
"""

import os
import subprocess
import time

from harness import TOP, arches, check, limit, long, note
from test_hostile import VIRTUAL_TIME, program_lines

HOST = TOP / "build" / "host" / "bin" / "test_kernel_trace"
PROGRAMS, CALLS = 20, 100  # how many, and how long each is
SHRINK_S = 40  # of trying to leave calls out


def masks(left_out):
    return [sum(1 << i % 64 for i in left_out if i // 64 == word) for word in range(4)]


def host_trace(tmp, seed, first, programs, left_out=(), bug=None):
    environment = {name: value for name, value in os.environ.items() if name != "T"}
    environment |= {"TRACE": f"{tmp}/trace", "SEED": str(seed), "FIRST": str(first),
                    "PROGRAMS": str(programs), "CALLS": str(CALLS)}
    environment |= {f"OUT{i}": str(mask) for i, mask in enumerate(masks(left_out))}
    if bug:
        environment["BUG"] = bug
    result = subprocess.run([HOST], env=environment, capture_output=True, text=True, timeout=60)
    if "ok " not in result.stdout:
        return [f"the simulated machine: {result.stdout.strip()}"]
    with open(f"{tmp}/trace") as file:
        lines = file.read().splitlines()
    # With a planted bug, what is left may be anything.
    left = [line for line in lines if ".end " in line and not line.endswith(" 0 0")]
    check(bug or not left, f"seed {seed}: a program has left something: {left}")
    return lines


def machine_trace(arch, seed, first, programs, left_out=()):
    outs = " ".join(f"out{i}={mask}" for i, mask in enumerate(masks(left_out)))
    lines = program_lines(arch, "trace", f"seed={seed} first={first} programs={programs} "
                          f"calls={CALLS} {outs}", VIRTUAL_TIME, timeout=100)
    check(lines[-1] == "END 0", lines[-1])
    return lines[:-1]


def difference(one, other):
    """(program, index, a line of each) where two traces part; None: nowhere."""
    for a, b in zip(one + ["(the end)"], other + ["(the end)"]):
        if a != b:
            program, index = (a if "." in a.split(" ")[0] else b).split(" ")[0].split(".")
            return int(program), index, a, b
    return None


def shrink(one, other, index):
    """Leaves out calls before the one that differs, and all behind it; `one` and `other` make traces."""
    last = int(index) if index.isdigit() else CALLS
    kept, found, until = list(range(last)), None, time.monotonic() + SHRINK_S
    piece = max(1, last // 2)
    while piece and time.monotonic() < until:
        for start in range(0, len(kept), piece):
            less = kept[:start] + kept[start + piece:]
            left_out = set(range(CALLS)) - set(less) - {last}
            got = difference(one(left_out), other(left_out))
            if got:
                kept, found = less, (left_out, got)
                break
            if time.monotonic() > until:
                break
        else:
            piece //= 2
    return found


def told(names, seed, first, shrunk, traces):
    program, index, a, b = first
    text = (f"seed {seed}, program {program}, call {index}:\n  {names[0]}: {a}\n  {names[1]}: {b}")
    if shrunk:
        left_out, (_, _, a, b) = shrunk
        lines = traces(left_out)
        text += f"\nshrunk to {CALLS - len(left_out)} calls:\n  " + "\n  ".join(
            line for line in lines[:lines.index(a) if a in lines else len(lines)])
        text += f"\n  {names[0]}: {a}\n  {names[1]}: {b}"
    return text


def compare(names, one, other, seed, programs):
    """`one` and `other`: traces by (first program, how many, calls left out). What differs, as text."""
    first = difference(one(0, programs, ()), other(0, programs, ()))
    if not first:
        return None
    program, index = first[:2]
    shrunk = shrink(lambda out: one(program, 1, out), lambda out: other(program, 1, out), index)
    return told(names, seed, first, shrunk, lambda out: one(program, 1, out))


def compare_machine(arch, tmp, seed, programs, bug=None):
    return compare(
        ("host", arch),
        lambda first, count, out: host_trace(tmp, seed, first, count, out, bug),
        lambda first, count, out: machine_trace(arch, seed, first, count, out),
        seed, programs)


@limit(200)
def test_same_traces(arch, tmp, seed):
    seeds = [int(os.environ["SEED"])] if os.environ.get("SEED") else [1, 2, seed % 1000000]
    for one in seeds:
        wrong = compare_machine(arch, tmp, one, PROGRAMS)
        check(not wrong, wrong)
    note(f"{len(seeds)} seeds, {len(seeds) * PROGRAMS * CALLS} calls")


@arches("aarch64")
@limit(200)
def test_a_difference_is_told(arch, tmp):
    """A planted bug in the simulated machine's kernel alone."""
    wrong = compare_machine(arch, tmp, 1, PROGRAMS, bug="I2")
    check(wrong, "nothing was noticed")
    note(wrong)


@long
@limit(900)
def test_same_traces_of_many_programs(arch, tmp, seed):
    for i in range(20):
        wrong = compare_machine(arch, tmp, seed + i, 40)
        check(not wrong, wrong)
