#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs fuzz targets. docs/testing.md.

usage: tests/fuzz/run.py [planted | keep]

TARGET=name chooses one (default: all), SECONDS=n says for how long each (default 60), or
QUIET=n: until n minutes of the processor have found no new edge.
With `planted` each planted bug of planted.toml is switched on and has to be found. `keep` writes the
fewest inputs that reach all that was reached into tests/fuzz/kept.

What reaches new code is kept in build/fuzz/corpus/NAME, which begins with those inputs, and an input
that fails in build/fuzz/found: `build/fuzz/bin/NAME FILE` tries it again, or the fast program (FAST below).
"""

import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
from io import BytesIO
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
HERE, BUILD = TOP / "tests" / "fuzz", TOP / "build" / "fuzz"

# The longest input; runs in the short form of the tests: some three seconds of the processor.
TARGETS = {
    "acpi": (3072, 30_000),
    "boot": (4400, 60_000),
    "calls": (960, 4_000),
    "elf": (4096, 400_000),
    "fdt": (2048, 20_000),
    "handles": (480, 4_000),
    "hwtree": (8192, 60_000),
    "messages": (512, 4_000),
    "mptable": (1024, 60_000),
    "ring": (241, 200_000),
    "tar": (6144, 30_000),
    "virtqueue": (401, 60_000),
    "wire": (1024, 100_000),
}

# Those that run the whole kernel are built twice. The fast program, without sanitizers, looks for
# inputs; the other one, in build/fuzz/bin, tries again what it has kept.
FAST = {"calls": "fast", "handles": "fast", "messages": "hooked"}

PLANTED_SECONDS = 60      # of the processor
QUIET_MINUTES = 30        # of the processor: the long form goes on until so many found no new edge
INPUTS_LEAST = {"calls": 10_000_000}  # and until it has tried so many
INPUT_SECONDS = 20        # one that takes longer fails


def environment(bug=""):
    symbolizer = "external_symbolizer_path=/usr/bin/llvm-symbolizer-22"
    return dict(os.environ, BUG=bug, ASAN_OPTIONS=symbolizer,
                UBSAN_OPTIONS=f"print_stacktrace=1:{symbolizer}")


def program(target, checked=False):
    return BUILD / ("" if checked else FAST.get(target, "")) / "bin" / target


def start(target, scratch, *options, kept=None, more=(), bug="", checked=False,
          stdout=subprocess.PIPE):
    """A run of a target; `kept` gets what reaches new code. `more`: other folders of inputs."""
    longest, _ = TARGETS[target]
    found = BUILD / "found"
    found.mkdir(parents=True, exist_ok=True)
    # libFuzzer writes into the first folder: never into the tree's.
    return subprocess.Popen(
        [str(program(target, checked)), f"-max_len={longest}", f"-timeout={INPUT_SECONDS}",
         "-handle_term=0", f"-artifact_prefix={scratch if bug else found}/{target}-",
         *options, str(kept or scratch), str(HERE / "corpus" / target), *map(str, more)],
        cwd=TOP, env=environment(bug), stdin=subprocess.DEVNULL, stdout=stdout,
        stderr=subprocess.STDOUT, text=True, errors="replace")


def run(target, *options, **more):
    """(status, output) of one run of a target."""
    with tempfile.TemporaryDirectory(prefix="skerry-") as scratch:
        running = start(target, scratch, *options, **more)
        output, _ = running.communicate()
    return running.returncode, output


def figure(pattern, output):
    found = re.findall(pattern, output)
    return int(found[-1]) if found else 0


def edges(output):
    return figure(r"cov: (\d+)", output)


def summary(output):
    """What came of a run, in one line."""
    note = re.findall(r"^note: (.*)", output, re.MULTILINE)
    quiet = re.findall(r"^quiet: (.*)", output, re.MULTILINE)
    return ", ".join([note[-1] if note else "no end", f"{edges(output)} edges", *quiet])


def why_it_failed(output):
    """The lines that matter: without libFuzzer's progress."""
    lines = [s for s in output.split("\n") if not re.match(r"#\d+\s|INFO:|stat::", s)]
    return "\n".join(lines[:60])


def archive(target):
    return HERE / "kept" / f"{target}.tar.xz"


def kept_corpus(target):
    kept = BUILD / "corpus" / target
    if not kept.is_dir():
        kept.mkdir(parents=True)
        if archive(target).is_file():
            with tarfile.open(archive(target)) as file:
                file.extractall(kept)
    return kept


def keep(target):
    """Makes the archive anew, of inputs that are called by their numbers, the shortest first."""
    with tempfile.TemporaryDirectory(prefix="skerry-") as least:
        status, output = run(target, "-set_cover_merge=1", kept=least, more=[kept_corpus(target)])
        if status != 0:
            sys.exit(why_it_failed(output))
        inputs = sorted((path.read_bytes() for path in Path(least).iterdir()),
                        key=lambda data: (len(data), data))
    archive(target).parent.mkdir(exist_ok=True)
    with tarfile.open(archive(target), "w:xz", format=tarfile.USTAR_FORMAT) as file:
        for number, data in enumerate(inputs):
            info = tarfile.TarInfo(str(number))
            info.size = len(data)
            file.addfile(info, BytesIO(data))
    return len(inputs)


def short(target):
    """(status, output): the tree's corpus, then as many inputs, always the same ones."""
    return run(target, "-seed=1", f"-runs={TARGETS[target][1]}", checked=True)


def fuzz(target, seconds):
    """(status, output): for so long, then once more what was kept, with the sanitizers."""
    kept = kept_corpus(target)
    status, output = run(target, f"-max_total_time={seconds}", kept=kept)
    return (status, output) if status else again(target, kept, output)


def again(target, kept, output):
    if target not in FAST:
        return 0, output
    status, checked = run(target, "-runs=0", kept=kept, checked=True)
    return (status, checked) if status else (0, output)


def processor_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def long(target):
    """(status, output): until it finds no new edge any more."""
    minutes = float(os.environ.get("QUIET") or QUIET_MINUTES)
    kept, most, last = kept_corpus(target), 0, 0
    with tempfile.TemporaryDirectory(prefix="skerry-") as scratch:
        log = Path(scratch) / "log"
        with open(log, "w") as file:
            running = start(target, scratch, kept=kept, stdout=file)
        while running.poll() is None:
            time.sleep(1)
            output, now = log.read_text(errors="replace"), processor_seconds(running.pid)
            if edges(output) > most:
                most, last = edges(output), now
            tried = figure(r"(?m)^#(\d+)\s", output)
            if now - last >= minutes * 60 and tried >= INPUTS_LEAST.get(target, 0):
                running.terminate()
        output = log.read_text(errors="replace")
        output += f"\nquiet: no new edge in the last {(now - last) / 60:.1f} of {now / 60:.1f} minutes\n"
    return (running.returncode, output) if running.returncode else again(target, kept, output)


def planted_bugs():
    with open(HERE / "planted.toml", "rb") as file:
        return tomllib.load(file)["bug"]


def plant(bug):
    """(whether it was found, seconds of the processor)"""
    with tempfile.TemporaryDirectory(prefix="skerry-") as scratch:
        running = start(bug["target"], scratch, bug=bug["name"], stdout=subprocess.DEVNULL)
        seconds = 0
        while running.poll() is None:
            time.sleep(0.1)
            seconds = processor_seconds(running.pid)
            if seconds >= PLANTED_SECONDS:
                running.kill()
                running.wait()
                return False, seconds
    return running.returncode != 0, seconds


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
    if sys.argv[1:] == ["keep"]:
        for target in chosen:
            print(f"{target}: {keep(target)} inputs, {archive(target).stat().st_size} bytes", flush=True)
        sys.exit()
    for target in chosen:
        status, output = long(target) if os.environ.get("QUIET") else \
            fuzz(target, os.environ.get("SECONDS") or 60)
        print(f"{target}: {summary(output)}", flush=True)
        if status != 0:
            failed = True
            print(why_it_failed(output), flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
