#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs fuzz targets. docs/testing.md.

usage: tests/fuzz/run.py [planted]

TARGET=name chooses one (default: all), SECONDS=n says for how long each (default 60).
With `planted` each planted bug of planted.toml is switched on and has to be found.

What reaches new code is kept in build/fuzz/corpus/NAME, and an input that fails in
build/fuzz/found: `build/fuzz/bin/NAME FILE` tries it again.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
HERE, BUILD = TOP / "tests" / "fuzz", TOP / "build" / "fuzz"

# The longest input; runs in the short form of the tests: some three seconds of the processor.
TARGETS = {
    "acpi": (2048, 30_000),
    "calls": (960, 4_000),
    "elf": (4096, 400_000),
    "fdt": (2048, 20_000),
    "handles": (480, 4_000),
    "messages": (512, 4_000),
    "ring": (241, 200_000),
    "tar": (6144, 30_000),
    "virtqueue": (401, 60_000),
    "wire": (1024, 100_000),
}

PLANTED_SECONDS = 60
SLICE_SECONDS = 60        # of the long form, which goes on
QUIET_SLICES = 2          # until so many have found no new edge
SLICES_MAX = 30
INPUT_SECONDS = 20        # one that takes longer fails


def environment(bug=""):
    symbolizer = "external_symbolizer_path=/usr/bin/llvm-symbolizer-22"
    return dict(os.environ, BUG=bug, ASAN_OPTIONS=symbolizer,
                UBSAN_OPTIONS=f"print_stacktrace=1:{symbolizer}")


def run(target, *options, kept=None, bug=""):
    """(status, output) of one run of a target; `kept` gets what reaches new code."""
    longest, _ = TARGETS[target]
    found = BUILD / "found"
    found.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="skerry-") as scratch:
        # libFuzzer writes into the first folder: never into the tree's.
        done = subprocess.run(
            [str(BUILD / "bin" / target), f"-max_len={longest}", f"-timeout={INPUT_SECONDS}",
             "-print_final_stats=1", f"-artifact_prefix={scratch if bug else found}/{target}-",
             *options, str(kept or scratch), str(HERE / "corpus" / target)],
            cwd=TOP, env=environment(bug), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    return done.returncode, done.stdout


def figure(pattern, output):
    found = re.findall(pattern, output)
    return int(found[-1]) if found else 0


def edges(output):
    return figure(r"cov: (\d+)", output)


def summary(output):
    """What came of a run, in one line."""
    note = re.findall(r"^note: (.*)", output, re.MULTILINE)
    rate = figure(r"average_exec_per_sec:\s*(\d+)", output)
    return f"{note[-1] if note else 'no end'}, {rate} a second, {edges(output)} edges"


def why_it_failed(output):
    """The lines that matter: without libFuzzer's progress."""
    lines = [s for s in output.split("\n") if not re.match(r"#\d+\s|INFO:|stat::", s)]
    return "\n".join(lines[:60])


def kept_corpus(target):
    kept = BUILD / "corpus" / target
    kept.mkdir(parents=True, exist_ok=True)
    return kept


def short(target):
    """(status, output): the tree's corpus, then as many inputs, always the same ones."""
    return run(target, "-seed=1", f"-runs={TARGETS[target][1]}")


def long(target):
    """(status, output): until it finds no new edge any more."""
    most = quiet = 0
    for _ in range(SLICES_MAX):
        status, output = run(target, f"-max_total_time={SLICE_SECONDS}", kept=kept_corpus(target))
        quiet = quiet + 1 if edges(output) <= most else 0
        most = max(most, edges(output))
        if status != 0 or quiet == QUIET_SLICES:
            break
    return status, output


def planted_bugs():
    with open(HERE / "planted.toml", "rb") as file:
        return tomllib.load(file)["bug"]


def plant(bug):
    """(whether it was found, seconds)"""
    start = time.monotonic()
    status, _ = run(bug["target"], f"-max_total_time={PLANTED_SECONDS}", bug=bug["name"])
    return status != 0, time.monotonic() - start


def main():
    chosen = [os.environ["TARGET"]] if os.environ.get("TARGET") else list(TARGETS)
    if any(name not in TARGETS for name in chosen):
        sys.exit(f"there is no such target; these are: {', '.join(TARGETS)}")
    failed = False
    if sys.argv[1:] == ["planted"]:
        for bug in planted_bugs():
            if bug["target"] not in chosen:
                continue
            found, seconds = plant(bug)
            failed |= not found
            print(f"{'found' if found else 'NOT FOUND'} {bug['target']}: {bug['name']} "
                  f"({seconds:.1f} s)", flush=True)
        sys.exit(failed)
    for target in chosen:
        status, output = run(target, f"-max_total_time={os.environ.get('SECONDS') or 60}",
                             kept=kept_corpus(target))
        print(f"{target}: {summary(output)}", flush=True)
        if status != 0:
            failed = True
            print(why_it_failed(output), flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
