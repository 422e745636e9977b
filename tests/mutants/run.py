#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the tests against each mutant of the kernel that they come to, until one fails.

usage: tests/mutants/run.py [--smoke | --new]

--smoke  a fixed sample of the mutants
--new    for those that lived last time, only tests that were not tried on them
T=pattern in the environment chooses mutants by `file:function:class`.

Each program of build/mutants/bin knows `list` and `run NAME ...`. Writes
build/mutants/report.txt, and build/mutants/new.toml: survivors that tests/mutants/survivors.toml
does not list. The status is 0 if there are none, and none that is listed was killed.
"""

import hashlib
import json
import os
import re
import sys
import threading
import time
import tomllib
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(TOP / "tools"))

import lint  # noqa: E402
import load_buffering  # noqa: E402
from operators import CLASSES  # noqa: E402

BUILD = TOP / "build" / "mutants"
LISTED = TOP / "tests" / "mutants" / "survivors.toml"
WORKERS = max(1, os.cpu_count() or 1)

# How much of a search: what is wrong in each execution needs few, what is about order needs many,
# and is often found sooner by chance than by all orders of what comes last.
FEW, CHANCE, MANY = "few", "chance", "many"
ARGUMENTS = {
    "explore": {FEW: ["budget=5", "nocanary", "nosequential", "nobounds"],
                CHANCE: ["budget=1000", "nocanary", "nosequential", "nobounds", "random",
                         "seed=1"],
                MANY: ["budget=1000", "nocanary", "nosequential", "nobounds"]},
    "worlds": {FEW: ["states=100", "nobugs"], MANY: ["states=100", "nobugs"]},
}
WHOLE = {"locks"}  # programs that are one test
SCHEDULES = {"explore", "locks"}  # programs that try many schedules
# All of these are to be killed.
GOAL = {"order", "barrier", "lock", "mask", "tlb", "rights", "quota", "refcount", "bounds"}
ABOUT_ORDER = {"order", "barrier", "lock", "tlb"}
# A trial's time: so many times its usual one, and at least so many seconds of the processor.
PATIENCE, SECONDS_LEAST = 5, 0.1
LIKELY = 12  # tests that are tried on all mutants before any other
SMOKE = 80
IDENTITY = ("file", "function", "class", "text", "becomes", "nth")


def identity(mutant):
    return tuple(mutant[key] for key in IDENTITY)


class Test:
    def __init__(self, program, name):
        self.program, self.name = program, name
        self.cost = {}  # seconds, by effort
        self.kills_of_class = dict.fromkeys(CLASSES, 0)
        self.met = b""

    def __str__(self):
        return f"{self.program.name}/{self.name}"

    def run(self, effort, mutant, seconds=None):
        """(whether it passed, seconds of processor time)"""
        environment = dict(os.environ, SKERRY_MUTANT=str(mutant), SKERRY_TEST_FEW="1", SEED="1")
        if seconds:
            environment["SKERRY_MUTANT_MS"] = str(int(1000 * seconds))
        nowhere = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
        arguments = [str(self.program)]
        if self.program.name not in WHOLE:
            arguments += ["run", self.name, *ARGUMENTS.get(self.program.name, {}).get(effort, [])]
        pid = os.posix_spawn(arguments[0], arguments, environment, file_actions=nowhere)
        _, status, usage = os.wait4(pid, 0)
        return status == 0, usage.ru_utime + usage.ru_stime

    def kills(self, effort, mutant):
        limit = max(SECONDS_LEAST, PATIENCE * self.cost[effort])
        return not self.run(effort, mutant, limit)[0]


def in_parallel(items, work):
    """work(item) for each, by as many workers as there are processors."""
    items, lock, errors = list(reversed(items)), threading.Lock(), []

    def worker():
        while not errors:
            with lock:
                if not items:
                    return
                item = items.pop()
            try:
                work(item)
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=worker, daemon=True) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def all_tests():
    tests = []
    for program in sorted((BUILD / "bin").iterdir()):
        if program.name in WHOLE:
            tests.append(Test(program, "all"))
            continue
        with os.popen(f"{program} list") as listed:
            tests += [Test(program, line.split()[0]) for line in listed]
    return tests


def meet(tests, efforts):
    """Which mutants each test comes to, and what it costs; remembered until its program changes.

    Returns those that fail as it is: they can tell nothing."""
    broken = []
    folder = BUILD / "met"
    folder.mkdir(exist_ok=True)

    def one(test):
        file = folder / str(test).replace("/", ".")
        known = folder / f"{file.name}.json"
        if known.exists() and known.stat().st_mtime > test.program.stat().st_mtime:
            test.cost = json.loads(known.read_text())
        wanted = efforts if test.program.name in SCHEDULES else [FEW]
        if not set(wanted) <= set(test.cost):
            file.unlink(missing_ok=True)
            for effort in wanted:
                passed, test.cost[effort] = test.run(effort, f"met:{file}")
                if not passed:
                    broken.append(test)
                    return
            known.write_text(json.dumps(test.cost))
        test.met = file.read_bytes()
        test.reach = sum(test.met)
    in_parallel(tests, one)
    return broken


class Hunt:
    """Looks for a test that kills each mutant."""

    def __init__(self, mutants, tests):
        self.mutants, self.tests = mutants, tests
        self.killers = {}      # number: test
        self.local = {}        # file and function: kills and tries of each test there
        self.trials = self.done = 0
        self.memory = BUILD / "killers.json"  # the killer of last time, by identity
        self.hints = {}
        self.tried = {}        # of those that live, what was tried, by identity
        if self.memory.exists():
            self.hints = {tuple(key): value for key, value in json.loads(self.memory.read_text())}

    def remember(self):
        for mutant in self.mutants:
            if mutant["number"] in self.killers:
                self.hints[identity(mutant)] = str(self.killers[mutant["number"]])
        self.memory.write_text(json.dumps([[key, value] for key, value in self.hints.items()]))
        living = [m for m in self.mutants
                  if m["number"] not in self.killers and identity(m) in self.tried]
        tried = [[list(identity(m)), self.tried[identity(m)]] for m in living]
        (BUILD / "tried.json").write_text(json.dumps(tried))

    def recall(self):
        """Tries on those that lived only what was not tried yet."""
        for key, tests in json.loads((BUILD / "tried.json").read_text()):
            self.tried[tuple(key)] = tests

    def one(self, mutant, effort, most):
        number = mutant["number"]
        local = self.local.setdefault((mutant["file"], mutant["function"]), {})
        last = self.hints.get(identity(mutant))
        tried = self.tried.setdefault(identity(mutant), [])

        def worth(test):
            # The chance that it kills, by what it did to its neighbours, for what it costs. Those
            # that come to little else look at what they do come to.
            kills, tries = local.get(test, (0, 0))
            chance = (kills + test.kills_of_class[mutant["class"]] / 50 + 100 / test.reach) / \
                (tries + 1)
            return (str(test) != last, -chance / test.cost[effort])

        def once(test):
            return str(test) + (f" {effort}" if test.program.name == "explore" else "")
        left = [t for t in self.tests if t.met[number] and once(t) not in tried
                and (effort == FEW or t.program.name in SCHEDULES)]
        left.sort(key=worth)
        if effort == FEW:  # scenarios show little of what is wrong in each execution
            left = [t for t in left if t.program.name not in SCHEDULES] + \
                [t for t in left if t.program.name in SCHEDULES][:2 * LIKELY]
            left.sort(key=worth)
        for test in left[:most]:
            tried.append(once(test))
            self.trials += 1
            kills, tries = local.get(test, (0, 0))
            killed = test.kills(effort, number)
            local[test] = (kills + killed, tries + 1)
            if killed:
                test.kills_of_class[mutant["class"]] += 1
                self.killers[number] = test
                break
        self.done += 1
        if self.done % 200 == 0:
            print(f"  {self.done} of {len(self.mutants)}: {len(self.killers)} killed, "
                  f"{self.trials} trials, {time.monotonic() - self.start:.0f} s", flush=True)
            self.remember()

    def run(self, effort, classes, most=None, but=(), text=""):
        self.done, self.start = 0, time.monotonic()
        left = [m for m in self.mutants if m["number"] not in self.killers
                and m["class"] in classes and identity(m) not in but and text in m["text"]]
        left.sort(key=lambda m: m["class"] not in GOAL)
        print(f"  {len(left)} mutants, {effort} executions", flush=True)
        in_parallel(left, lambda m: self.one(m, effort, most))
        self.remember()


def lint_the_living(hunt):
    """What only load buffering would show is explored nowhere, so `make lint` is the test of it."""
    flags = lint.kernel_flags("x86_64") + ["-Ikernel"]

    def one(mutant):
        text = (TOP / mutant["file"]).read_text()
        source = BUILD / "lint" / f"{mutant['number']}.c"
        source.parent.mkdir(exist_ok=True)
        source.write_text(text[:mutant["begin"]] + mutant["becomes"] + text[mutant["end"]:])
        if load_buffering.is_refused(source, flags):
            hunt.killers[mutant["number"]] = "lint/load-buffering"
    in_parallel([m for m in hunt.mutants if m["class"] == "order" and m["file"].endswith(".c")
                 and m["number"] not in hunt.killers], one)


def toml_text(value):
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)


def entry(mutant):
    lines = [f"{key} = {toml_text(mutant[key])}" for key in IDENTITY
             if key != "nth" or mutant["nth"] > 1]
    return "[[survivor]]\n" + "\n".join(lines) + '\nsurvives = ""\n'


def listed_survivors():
    if not LISTED.exists():
        return {}
    found = tomllib.loads(LISTED.read_text()).get("survivor", [])
    for one in found:
        one.setdefault("nth", 1)
        if ("equivalent" in one) == ("survives" in one):
            sys.exit(f"{LISTED.name}: either `equivalent` or `survives`: {one}")
        if one["class"] in GOAL and "survives" in one:
            sys.exit(f"{LISTED.name}: to be killed, or equivalent: {one}")
    return {identity(one): one for one in found}


def report(mutants, hunt, listed):
    """The report's text, and what is wrong."""
    wrong, lines, survivors = [], [], []
    lines.append(f"{'class':12} {'mutants':>8} {'killed':>8} {'equivalent':>11} {'surviving':>10} "
                 f"{'killed of the others':>21}")
    total = [0, 0, 0, 0]

    def row(name, counts):
        others = counts[0] - counts[2]
        share = f"{100 * counts[1] / others:.1f} %" if others else "-"
        lines.append(f"{name:12} {counts[0]:8} {counts[1]:8} {counts[2]:11} {counts[3]:10} "
                     f"{share:>21}")
    for kind in CLASSES:
        counts = [0, 0, 0, 0]
        for mutant in (m for m in mutants if m["class"] == kind):
            known = listed.get(identity(mutant))
            killed = mutant["number"] in hunt.killers
            equivalent = not killed and known is not None and "equivalent" in known
            counts = [counts[0] + 1, counts[1] + killed, counts[2] + equivalent,
                      counts[3] + (not killed and not equivalent)]
            if not killed:
                survivors.append((mutant, known))
            if killed and known:
                wrong.append((mutant, f"is listed, but {hunt.killers[mutant['number']]} kills it"))
            if not killed and not known:
                wrong.append((mutant, "survives and is not listed"))
        row(kind, counts)
        total = [a + b for a, b in zip(total, counts)]
    row("all", total)
    lines.append("")
    for mutant, known in sorted(survivors, key=lambda s: (s[0]["file"], s[0]["line"])):
        why = ("equivalent: " + known["equivalent"] if known and "equivalent" in known else
               known["survives"] if known else "NOT LISTED")
        met = sum(t.met[mutant["number"]] for t in hunt.tests)
        lines.append(f"{mutant['file']}:{mutant['line']} {mutant['function']} [{mutant['class']}] "
                     f"{mutant['text']}  =>  {mutant['becomes']}"
                     f"\n    {why}" + ("" if met else " (no test comes here)"))
    return "\n".join(lines) + "\n", wrong


def main():
    smoke = "--smoke" in sys.argv[1:]
    pattern = re.compile(os.environ.get("T") or "")
    mutants = json.loads((BUILD / "src" / "mutants.json").read_text())
    listed = listed_survivors()
    gone = set(listed) - {identity(m) for m in mutants}
    chosen = [m for m in mutants if pattern.search(f"{m['file']}:{m['function']}:{m['class']}")]
    if smoke:
        chosen.sort(key=lambda m: hashlib.sha256(repr(identity(m)).encode()).digest())
        # What is about order needs more executions than there is time for.
        chosen = [m for m in chosen if m["class"] not in ABOUT_ORDER][:SMOKE]
        chosen = [m for m in chosen if identity(m) not in listed]
    tests = all_tests()
    start = time.monotonic()
    broken = meet(tests, [FEW] if smoke else [FEW, CHANCE, MANY])
    for test in broken:
        print(f"{test} fails without a mutant")
    tests = [test for test in tests if test not in broken]
    print(f"{len(tests)} tests, {len(chosen)} of {len(mutants)} mutants "
          f"({time.monotonic() - start:.0f} s)", flush=True)
    hunt = Hunt(chosen, tests)
    if "--new" in sys.argv[1:]:
        hunt.recall()
    hunt.run(FEW, CLASSES, LIKELY)
    if not smoke:
        hunt.run(CHANCE, ABOUT_ORDER, 2 * LIKELY)
        hunt.run(MANY, ABOUT_ORDER, 2 * LIKELY)
    # What is listed is tried by the likely ones only: all of them would take the longest here.
    if not smoke:
        hunt.run(CHANCE, ABOUT_ORDER, but=listed)
        hunt.run(MANY, ABOUT_ORDER, but=listed)
    hunt.run(FEW, CLASSES, but=listed)
    if not smoke:  # these are about order as well
        hunt.run(MANY, CLASSES, but=listed, text="atomic_")
        lint_the_living(hunt)
    text, wrong = report(chosen, hunt, listed)
    name = "smoke" if smoke else "part" if pattern.pattern else "report"
    (BUILD / f"{name}.txt").write_text(text)
    (BUILD / "new.toml").write_text("\n".join(
        entry(m) for m, _ in sorted(wrong, key=lambda w: (w[0]["file"], w[0]["line"]))
        if m["number"] not in hunt.killers))
    print(text.split("\n\n")[0])
    for mutant, why in wrong[:20]:
        print(f"{mutant['file']}:{mutant['line']} {mutant['text']}  =>  {mutant['becomes']}: {why}")
    for one in sorted(gone):
        print(f"listed, but no such mutant: {one}")
    print(f"{len(chosen)} mutants, {len(hunt.killers)} killed, {len(wrong) + len(gone)} not as "
          f"listed; {hunt.trials} trials, {time.monotonic() - start:.0f} s")
    return 1 if wrong or gone or broken else 0


if __name__ == "__main__":
    sys.exit(main())
