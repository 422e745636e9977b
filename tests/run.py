#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs tests and counts them.

usage: tests/run.py [--long] [host] [worlds] [explore] [mutants] [fuzz] [hwtree] [lint] [qemu]
                     [coverage] [fresh]

host    the programs of tests/unit, built under build/host/bin; what they see calls do
worlds  each small world of tests/worlds, exhausted
explore the explorer's own proof, and each of its scenarios of the kernel
mutants whether the tests kill mutants of the kernel: a sample, or all of them
fuzz    each target of tests/fuzz, for a fixed number of inputs; or until it finds no new edge
hwtree  the hardware tree of real machines' tables (tests/hwtree)
lint    each check of tools/lint.py
qemu    the functions of tests/system/test_*.py, two at a time
coverage whether the host's tests take each branch of the kernel, but those that are listed
fresh   Skerry on a new, minimal machine (tools/fresh.sh; needs root)

T=pattern in the environment, a regular expression, chooses tests by name.
Ends with `N passed, N failed`; the status is 0 if none failed and one passed.
"""

import importlib.util
import inspect
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOP / "tests" / "system"), str(TOP / "tools")]

import calls  # noqa: E402

WORKERS = max(1, os.cpu_count() or 1)
DEFAULT_LIMIT = 120
HOST_LIMIT = 300
TAIL_LINES = 40


class Results:
    """Prints one line a test as they end; counts."""

    def __init__(self):
        self.passed = self.failed = 0
        self.failures = []
        self.seconds = {}  # by test, or by program of many
        self.lock = threading.Lock()

    def add(self, name, seconds, why=None, notes=()):
        with self.lock:
            if seconds:
                self.seconds[name] = seconds
            if why is None:
                self.passed += 1
            else:
                self.failed += 1
                self.failures.append(name)
            print(f"{'ok  ' if why is None else 'FAIL'} {name} ({seconds:.1f} s)")
            for line in notes:
                print(f"       {line}")
            if why is not None:
                for line in why.rstrip("\n").split("\n")[-TAIL_LINES:]:
                    print(f"     | {line}")
            sys.stdout.flush()

    def where_the_time_went(self):
        groups = {}
        for name, seconds in self.seconds.items():
            group = name.split("/")[0]
            groups[group] = groups.get(group, 0) + seconds
        longest = sorted(self.seconds.items(), key=lambda item: -item[1])[:10]
        return "".join(", ".join(f"{name} {seconds:.0f} s" for name, seconds in items) + "\n"
                       for items in (groups.items(), longest) if items)


def run_process(arguments, limit, environment=None):
    """(status or None when the limit was reached, output, seconds); leaves no child behind."""
    start = time.monotonic()
    # In a session of its own, so that whatever it started ends with it.
    process = subprocess.Popen(arguments, cwd=TOP, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               env=environment, start_new_session=True)
    try:
        output, _ = process.communicate(timeout=limit)
        status = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            output, _ = process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
        status = None
    return status, output.decode(errors="replace"), time.monotonic() - start


def how_it_ended(status, limit):
    if status is None:
        return f"no end after {limit} s"
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"


# --- host ---------------------------------------------------------------------
#
# A test program prints `ok NAME` or `FAIL NAME: why` for each of its tests, and
# `done` as its last word. Other lines belong to the next result; `note: ...`
# lines are shown always.


def parse_host(program, status, output, seconds, results, wanted):
    said, last, finished, counted = [], "(none)", False, 0
    for line in output.split("\n"):
        match = re.match(r"(ok|FAIL) (\S+?)(?::\s*(.*))?$", line)
        if match:
            name = f"host/{program}/{match[2]}"
            notes = [s.removeprefix("note: ") for s in said if s.startswith("note: ")]
            why = None
            if match[1] == "FAIL":
                why = "\n".join([s for s in said if not s.startswith("note: ")] + [match[3] or ""])
            said, last = [], match[2]
            if wanted(name):
                counted += 1
                results.add(name, 0, why, notes)
        elif line == "done":
            finished = True
        elif line:
            said.append(line)
    failed_tests = re.search(r"^FAIL ", output, re.MULTILINE)
    if not (counted or wanted(f"host/{program}")):
        return
    if not finished or (status != 0 and not failed_tests):
        why = "\n".join(said + [f"ended with {how_it_ended(status, HOST_LIMIT)} after: {last}"])
        results.add(f"host/{program}", seconds, why)
    elif counted:
        results.seconds[f"host/{program}"] = seconds
        print(f"     host/{program}: {counted} tests in {seconds:.1f} s", flush=True)


def tests_of(program):
    """/NAME of each of its tests, as far as its source says them (test_property: none)."""
    source = TOP / "tests" / "unit" / f"{program}.c"
    text = source.read_text() if source.is_file() else ""
    return [f"/{name}" for name in re.findall(r"^TEST\w*\((\w+)", text, re.MULTILINE)]


def host_jobs(wanted, long):
    environment = dict(os.environ, SKERRY_TEST_LONG="1" if long else "")
    symbolizer = shutil.which("llvm-symbolizer-22")
    if not re.search(r"/test_\w+/\w+$", environment.get("T", "")):
        environment.pop("T", None)  # a program goes by what it knows as the name of a test alone
    environment["ASAN_OPTIONS"] = f"external_symbolizer_path={symbolizer}"
    environment["UBSAN_OPTIONS"] = f"print_stacktrace=1:external_symbolizer_path={symbolizer}"
    folder = TOP / "build" / "host" / "bin"
    for program in sorted(folder.iterdir()) if folder.is_dir() else []:
        if not any(wanted(f"host/{program.name}{test}") for test in ["", *tests_of(program.name)]):
            continue

        def job(results, program=program):
            limit = HOST_LIMIT * (10 if long else 1)
            recorded = {} if os.environ.get("T") else calls.recording(program)
            status, output, seconds = run_process([str(program)], limit, environment | recorded)
            parse_host(program.name, status, output, seconds, results, wanted)
        yield job


def check_calls(results):
    """Whether the tests that just ran saw all that calls can answer."""
    complaints, summary = calls.judge()
    results.add("host/calls", 0, "\n".join(complaints) or None, [summary])


# --- small worlds -----------------------------------------------------------------

WORLDS_LIMIT, WORLDS_LIMIT_LONG = 300, 7200


def worlds_jobs(wanted, long):
    program = TOP / "build" / "worlds" / "worlds"
    listed = subprocess.run([program, "list"], capture_output=True, text=True, check=True).stdout
    for name in (line.split()[0] for line in listed.splitlines()):
        def job(results, name=name):
            limit = WORLDS_LIMIT_LONG if long else WORLDS_LIMIT
            status, output, seconds = run_process(
                [str(program), "run", name] + (["whole"] if long else []), limit)
            why = None if status == 0 else f"{output}\nended with {how_it_ended(status, limit)}"
            results.add(f"worlds/{name}", seconds, why,
                        output.rstrip("\n").split("\n") if status == 0 else ())
        if wanted(f"worlds/{name}"):
            yield job


# --- the explorer ---------------------------------------------------------------

EXPLORE_SHORT, EXPLORE_LONG = ["budget=2000", "nobounds"], ["budget=20000"]
EXPLORE_RANDOM, EXPLORE_RANDOM_LONG = 10_000, 100_000


def explore_jobs(wanted, long):
    sys.path.insert(0, str(TOP / "tests" / "explore"))
    spec = importlib.util.spec_from_file_location("explore", TOP / "tests" / "explore" / "run.py")
    explorer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(explorer)
    options = EXPLORE_LONG if long else EXPLORE_SHORT

    def proof(results):
        start = time.monotonic()
        count = EXPLORE_RANDOM_LONG if long else EXPLORE_RANDOM
        for name, passed, output in explorer.self_tests(count):
            results.add(f"explore/{name}", time.monotonic() - start, None if passed else output,
                        output.rstrip("\n").split("\n")[-1:])
    if any(wanted(f"explore/{name}") for name in ("litmus", "failures", "lock-O0", "lock-O2", "random")):
        yield proof
    outcomes = []
    for name in explorer.scenarios("O2"):
        for level in explorer.LEVELS:
            if not wanted(f"explore/{name}/{level}"):
                continue

            def job(results, name=name, level=level):
                out = explorer.explore(name, level, options)
                outcomes.append(out)
                results.add(f"explore/{name}/{level}", out.seconds,
                            None if out.why is None else str(out))
            yield job

    def reach(results):
        wrong, text = explorer.reach(outcomes)
        results.add("explore/reach", 0, "\n".join(wrong) or None, text[:1])
    if not os.environ.get("T"):
        yield reach


# --- mutants ---------------------------------------------------------------------

MUTANTS_LIMIT, MUTANTS_LIMIT_LONG, CLAUSES_LIMIT = 300, 4 * 3600, 300


def mutants_jobs(wanted, long):
    def job(results):
        limit = MUTANTS_LIMIT_LONG if long else MUTANTS_LIMIT
        status, output, seconds = run_process(
            [sys.executable, str(TOP / "tests" / "mutants" / "run.py")]
            + ([] if long else ["--smoke"]), limit, dict(os.environ, T=""))
        why = None if status == 0 else f"{output}\nended with {how_it_ended(status, limit)}"
        results.add("mutants", seconds, why, output.rstrip("\n").split("\n")[-1:])
    def clauses(results):
        status, output, seconds = run_process(
            [sys.executable, str(TOP / "tests" / "clauses.py"), "--violate"], CLAUSES_LIMIT)
        why = None if status == 0 else f"{output}\nended with {how_it_ended(status, CLAUSES_LIMIT)}"
        results.add("clauses", seconds, why, output.rstrip("\n").split("\n")[-1:])
    if wanted("mutants"):
        yield job
    if wanted("clauses"):
        yield clauses


# --- fuzzing ---------------------------------------------------------------------


def fuzz_jobs(wanted, long):
    sys.path.insert(0, str(TOP / "tests" / "fuzz"))
    spec = importlib.util.spec_from_file_location("fuzz", TOP / "tests" / "fuzz" / "run.py")
    fuzz = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fuzz)
    for target in fuzz.TARGETS:
        def job(results, target=target):
            start = time.monotonic()
            status, output = fuzz.long(target) if long else fuzz.short(target)
            results.add(f"fuzz/{target}", time.monotonic() - start,
                        None if status == 0 else fuzz.why_it_failed(output),
                        [fuzz.summary(output)] if status == 0 else ())
        if wanted(f"fuzz/{target}"):
            yield job
    for bug in fuzz.planted_bugs() if long else []:
        def plant(results, bug=bug):
            found, seconds = fuzz.plant(bug)
            results.add(f"fuzz/planted/{bug['target']}/{bug['name']}", seconds,
                        None if found else "it was not found")
        if wanted(f"fuzz/planted/{bug['target']}"):
            yield plant


# --- the hardware tree of real machines ----------------------------------------------

HWTREE_LIMIT, HWTREE_LIMIT_LONG = 120, 1200


def hwtree_jobs(wanted, long):
    def job(results):
        limit = HWTREE_LIMIT_LONG if long else HWTREE_LIMIT
        status, output, seconds = run_process(
            [sys.executable, str(TOP / "tests" / "hwtree" / "run.py")] + (["--long"] if long else []),
            limit)
        notes, name, failed = [], None, {}
        for line in output.splitlines():
            match = re.match(r"(ok|FAIL) +(\S+)$", line)
            if match:
                name = match[2]
                failed[name] = None if match[1] == "ok" else ""
            elif line.startswith("note: "):
                notes.append(line.removeprefix("note: "))
            elif name is not None and failed[name] is not None:
                failed[name] += line + "\n"
        for name, why in failed.items():
            results.add(f"hwtree/{name}", seconds / len(failed), why, notes)
            notes = []
        if status not in (0, 1) or not failed:
            results.add("hwtree", seconds, f"{output}\nended with {how_it_ended(status, limit)}")
    if wanted("hwtree"):
        yield job


# --- lint and the fresh machine -------------------------------------------------


def lint_jobs(wanted):
    import lint
    for name in lint.CHECKS:
        if wanted(f"lint/{name}"):
            def job(results, name=name):
                status, output, seconds = run_process(
                    [sys.executable, str(TOP / "tools" / "lint.py"), name], 600)
                results.add(f"lint/{name}", seconds, None if status == 0 else output)
            yield job


def coverage_jobs(wanted):
    def job(results):
        status, output, seconds = run_process(["make", "-s", "coverage"], 1200)
        results.add("coverage", seconds, None if status == 0 else output,
                    output.rstrip("\n").split("\n")[-1:])
    if wanted("coverage"):
        yield job


def fresh_jobs(wanted):
    def job(results):
        limit = 3600
        status, output, seconds = run_process(["sh", str(TOP / "tools" / "fresh.sh")], limit)
        why = None if status == 0 else f"{output}\nended with {how_it_ended(status, limit)}"
        results.add("fresh", seconds, why)
    if wanted("fresh"):
        yield job


# --- QEMU -----------------------------------------------------------------------


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def qemu_tests(wanted, long):
    """(name, file, function name, arch, its time, whether it must be alone)"""
    from harness import ARCHES
    for path in sorted((TOP / "tests" / "system").glob("test_*.py")):
        module = load(path)
        for function_name, function in vars(module).items():
            # An imported test belongs to the file it was imported from.
            if not function_name.startswith("test_") or not inspect.isfunction(function) \
                    or function.__module__ != path.stem:
                continue
            if getattr(function, "long", False) and not long:
                continue
            takes_arch = "arch" in inspect.signature(function).parameters
            for arch in getattr(function, "arches", ARCHES) if takes_arch else [None]:
                name = "/".join(["qemu", path.stem.removeprefix("test_"),
                                 function_name.removeprefix("test_")] + ([arch] if arch else []))
                if wanted(name):
                    yield (name, path, function_name, arch,
                           getattr(function, "limit", DEFAULT_LIMIT),
                           getattr(function, "alone", False))


def run_one(path, function_name, arch, seed):
    """In a process of its own: one test function, with what it asks for."""
    from machine import Machine
    # An exception, so that guests and folders are cleared away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("the time of this test is over"))
    function = getattr(load(Path(path)), function_name)
    with tempfile.TemporaryDirectory(prefix="skerry-") as tmp:
        offered = {"arch": arch, "tmp": Path(tmp), "seed": int(seed)}
        wants = inspect.signature(function).parameters
        try:
            function(**{name: offered[name] for name in wants})
        except (Exception, SystemExit):
            traceback.print_exc()
            for machine in Machine.started_here[-2:]:
                print(f"--- the last words of a machine ({machine.arch}):\n{machine.tail(15)}")
            if "seed" in wants:
                print(f"seed: {seed}")
            sys.exit(1)


def qemu_job(test, results):
    name, path, function_name, arch, limit, _ = test
    seed = os.environ.get("SEED") or str(random.randrange(1 << 32))
    status, output, seconds = run_process(
        [sys.executable, __file__, "--one", str(path), function_name, arch or "", seed], limit)
    notes = [s.removeprefix("note: ") for s in output.split("\n") if s.startswith("note: ")]
    rest = "\n".join(s for s in output.rstrip("\n").split("\n") if not s.startswith("note: "))
    why = None if status == 0 else rest + ("" if status == 1 else
                                           f"\nended with {how_it_ended(status, limit)}")
    results.add(name, seconds, why, notes)


# --- all -------------------------------------------------------------------------


def run_jobs(jobs, results):
    """Each job gets `results`; as many at a time as there are processors."""
    jobs, lock = list(jobs), threading.Lock()

    def work():
        while True:
            with lock:
                if not jobs:
                    return
                job = jobs.pop(0)
            try:
                job(results)
            except Exception:
                results.add("the test runner itself", 0, traceback.format_exc())

    workers = [threading.Thread(target=work) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def main():
    if sys.argv[1:2] == ["--one"]:
        run_one(*sys.argv[2:6])
        return
    words = sys.argv[1:]
    long = "--long" in words
    pattern = re.compile(os.environ.get("T") or "")

    def wanted(name):
        return pattern.search(name) is not None

    results, start = Results(), time.monotonic()
    if "host" in words:
        run_jobs(host_jobs(wanted, long), results)
        if not os.environ.get("T"):
            check_calls(results)
    if "worlds" in words:
        run_jobs(worlds_jobs(wanted, long), results)
    if "explore" in words:
        run_jobs(explore_jobs(wanted, long), results)
    if "mutants" in words:
        run_jobs(mutants_jobs(wanted, long), results)
    if "fuzz" in words:
        run_jobs(fuzz_jobs(wanted, long), results)
    if "hwtree" in words:
        run_jobs(hwtree_jobs(wanted, long), results)
    if "lint" in words:
        run_jobs(lint_jobs(wanted), results)
    if "qemu" in words:
        try:
            tests = list(qemu_tests(wanted, long))
        except Exception:
            results.add("qemu", 0, traceback.format_exc())
            tests = []
        # Slow ones first, so that no worker ends long after the others.
        together = sorted((t for t in tests if not t[5]), key=lambda t: -t[4])
        run_jobs([lambda r, t=t: qemu_job(t, r) for t in together], results)
        for test in tests:
            if test[5]:
                qemu_job(test, results)
    if "coverage" in words:
        run_jobs(coverage_jobs(wanted), results)
    if "fresh" in words:
        run_jobs(fresh_jobs(wanted), results)

    if results.failures:
        print("\nfailed:\n" + "\n".join(f"  {name}" for name in results.failures))
    if not results.passed and not results.failed:
        print("no test has been chosen")
    print(f"\n{results.where_the_time_went()}{time.monotonic() - start:.0f} s")
    print(f"{results.passed} passed, {results.failed} failed")
    sys.exit(0 if results.passed and not results.failed else 1)


if __name__ == "__main__":
    main()
