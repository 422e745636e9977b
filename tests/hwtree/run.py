#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The hardware tree of real machines' tables, by `hwtree` (tools/hwtree.c) with its sanitizers.
docs/hwtree.md.

usage: tests/hwtree/run.py [--long]

short  what QEMU's virt says of itself, in some forms; its device tree against its ACPI tables (virt.rules)
long   every device tree of Debian's arm64 kernel, each against derive.py and some against a table
       that was made by it (boards.toml); the tree that is printed, compiled by dtc and read again;
       and the ACPI tables of QEMU's tests, all variants
"""

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import derive
import derive_acpi
import derive_nodes
import firmware

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
DEPS = TOP / "build" / "deps"
TOOL = TOP / "build" / "host" / "bin-tools" / "hwtree"
KEYS = ("cpus", "memory", "console", "controller")
BATCH = 32
SANITIZER_STATUS = 77  # not one of the tool's own


def run(*arguments):
    """(status, output, errors) of the tool; it fails by itself where a sanitizer sees something."""
    options = f"exitcode={SANITIZER_STATUS}"
    result = subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True,
                            errors="replace",
                            env=dict(os.environ, ASAN_OPTIONS=options, UBSAN_OPTIONS=options,
                                     LSAN_OPTIONS=options))
    return result.returncode, result.stdout, result.stderr


def summaries(text):
    """{file: {key: value}} of what --summary printed."""
    found, one = {}, {}
    for line in text.splitlines():
        key, _, value = line.partition(": ")
        if key == "file":
            one = found.setdefault(value, {})
        else:
            one[key] = value
    return found


def without_empty(memory):
    return " ".join(m for m in memory.split() if not m.endswith("+0x0")) or "none"


def differences(summary, expected):
    """What a summary says otherwise than derive.py."""
    wrong = []
    for key in KEYS:
        got = summary.get(key, "?")
        if key == "memory":
            got = without_empty(got)
        if got != str(expected[key]):
            wrong.append(f"{key} is {got}, expected {expected[key]}")
    return wrong


# ---- the short form


def virt(folder, name, *options):
    path = Path(folder) / f"{name}.dtb"
    subprocess.run(["qemu-system-aarch64", "-display", "none", "-cpu", "cortex-a57",
                    "-machine", f"virt,dumpdtb={path}", *options], check=True, capture_output=True)
    return path


VIRT = {
    "gicv2": (["-smp", "4", "-m", "512M", "-machine", "gic-version=2"],
              {"cpus": 4, "memory": "0x40000000+0x20000000", "console": "/pl011@9000000",
               "controller": "/intc@8000000 gicv2"}, 0),
    "gicv3": (["-smp", "7", "-m", "2G", "-machine", "gic-version=3,iommu=smmuv3"],
              {"cpus": 7, "memory": "0x40000000+0x80000000", "console": "/pl011@9000000",
               "controller": "/intc@8000000 gicv3"}, 0),
    "secure": (["-smp", "2", "-m", "256M", "-machine", "secure=on,virtualization=on"],
               {"cpus": 2, "memory": "0x40000000+0x10000000", "console": "/pl011@9000000",
                "controller": "/intc@8000000 gicv2"}, 0),
    "numa": (["-smp", "2", "-m", "256M", "-object", "memory-backend-ram,id=a,size=128M",
              "-object", "memory-backend-ram,id=b,size=128M", "-numa", "node,memdev=a,cpus=0",
              "-numa", "node,memdev=b,cpus=1"],
             {"cpus": 2, "memory": "0x48000000+0x8000000 0x40000000+0x8000000",
              "console": "/pl011@9000000", "controller": "/intc@8000000 gicv2"}, 0),
}


# The machines of which the device tree and the ACPI tables are compared.
FORMS = {
    "gicv2": ["-machine", "virt,gic-version=2", "-smp", "2"],
    "gicv3": ["-machine", "virt,gic-version=3,its=on", "-smp", "2"],
    "smmu": ["-machine", "virt,gic-version=3,iommu=smmuv3", "-smp", "2"],
}
FORMS_LINES_MAX = 20


def read_rules(text):
    """[(pattern, machines)]; raises ValueError where one has no reason, or no machine."""
    rules, machines = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(" ") and rules:
            rules[-1][2].append(line)
        elif line.startswith("["):
            machines = line.strip("[]").split()
        elif line and not line.startswith("#"):
            rules.append((re.compile(line), machines, []))
            if not machines:
                raise ValueError(f"line {number}: of no machine")
    for pattern, _, reason in rules:
        if not reason:
            raise ValueError(f"{pattern.pattern}: no reason is given")
    return [(pattern, machines) for pattern, machines, _ in rules]


def against_rules(name, lines, rules):
    """What is wrong with the difference of a machine's two forms."""
    wrong = []
    rules = [pattern for pattern, machines in rules if name in machines]
    if len(lines) > FORMS_LINES_MAX:
        wrong.append(f"{len(lines)} lines, {FORMS_LINES_MAX} are allowed")
    wrong += [f"no rule for: {line}" for line in lines
              if not any(rule.fullmatch(line) for rule in rules)]
    wrong += [f"the rule matches nothing: {rule.pattern}" for rule in rules
              if not any(rule.fullmatch(line) for line in lines)]
    return wrong


def forms(folder):
    """The two forms of each machine are the same but for what the rules say."""
    rules = read_rules((HERE / "virt.rules").read_text())
    for name, options in FORMS.items():
        tree = firmware.dump_dtb(Path(folder) / f"{name}-form.dtb", options)
        tables = firmware.dump_acpi(Path(folder) / f"{name}-acpi", options)
        status, output, errors = run(tree, "--diff", tables)
        lines = output.splitlines()
        wrong = against_rules(name, lines, rules)
        if status != 1:
            wrong.append(f"status {status}\n{errors}")
        print(f"note: virt-{name}: device tree and ACPI differ by {len(lines)} lines")
        yield f"virt-forms-{name}", "\n".join(wrong) or None
        # The rules are held to what they say: each is needed, and no other line would pass.
        lost = against_rules(name, lines[1:], rules)
        more = against_rules(name, lines + ["- /another"], rules)
        many = against_rules(name, lines * 2, rules)
        yield f"virt-rules-{name}", None if lost and more == ["no rule for: - /another"] and \
            many == [f"{2 * len(lines)} lines, {FORMS_LINES_MAX} are allowed"] else f"{lost} {more} {many}"


def short():
    """(name, what is wrong or None) of each test."""
    with tempfile.TemporaryDirectory(prefix="skerry-") as folder:
        paths = {}
        for name, (options, expected, status) in VIRT.items():
            paths[name] = virt(folder, name, *options)
            got, output, errors = run("--summary", paths[name])
            wrong = differences(summaries(output)[str(paths[name])], expected)
            if got != status:
                wrong.append(f"status {got}, expected {status}\n{errors}")
            yield f"virt-{name}", "\n".join(wrong) or None
        status, output, _ = run(paths["gicv2"], "--diff", paths["gicv3"])
        yield "diff", None if status == 1 and "+ /cpus/cpu@4 (and 2 like it)\n" in output and \
            "~ /intc@8000000: compatible = \"arm,cortex-a15-gic\"; | \"arm,gic-v3\";\n" in output \
            else output
        status, output, _ = run(paths["gicv2"], "--diff", paths["gicv2"])
        yield "diff-of-one", None if (status, output) == (0, "") else output
        broken = Path(folder) / "broken.dtb"
        broken.write_bytes(paths["gicv2"].read_bytes()[:5000])
        status, _, errors = run(broken)
        yield "truncated", None if status == 2 and "longer than the file" in errors else errors
        data = bytearray(paths["gicv2"].read_bytes())
        at = data.index(b"pl011@9000000")
        spot = data.index(bytes.fromhex("000000000000000100000004"), at)  # its interrupt: type 0
        data[spot + 3] = 9
        broken.write_bytes(data)
        status, _, errors = run("--summary", broken)
        said = "/pl011@9000000: interrupts [0]: is a line that the controller does not have\n"
        yield from forms(folder)
        yield "located", None if status == 1 and errors == said else errors


# ---- the long form


def boards():
    return sorted((DEPS / "boards").rglob("*.dtb"))


def read_boards(paths):
    """{path: summary}, and the complaints with their number."""
    found, causes, wrong = {}, Counter(), []

    def batch(some):
        return run("--summary", *some)

    with ThreadPoolExecutor(2) as pool:
        for status, output, errors in pool.map(batch, [paths[i:i + BATCH]
                                                       for i in range(0, len(paths), BATCH)]):
            found |= summaries(output)
            if status not in (0, 1):
                wrong.append(f"status {status}\n{errors}")
            causes.update(re.sub(r" \[\d+\]", "", line) for line in errors.splitlines())
    return found, causes, wrong


def print_boards(found, causes):
    """The figures of each board, for people."""
    lines = []
    for path, summary in sorted(found.items()):
        lines.append(f"{Path(path).relative_to(DEPS / 'boards')}: " +
                     "; ".join(f"{key} {value}" for key, value in summary.items()))
    lines += [f"{count:5} {line}" for line, count in causes.most_common()]
    (TOP / "build" / "boards.txt").write_text("\n".join(lines) + "\n")


def against_derived(found):
    wrong = []
    with ThreadPoolExecutor(2) as pool:
        for path, expected in zip(found, pool.map(derive.derive, found)):
            wrong += [f"{path}: {line}" for line in differences(found[path], expected)]
    return wrong


def one_against_nodes(path):
    _, source, _ = run(path)
    counts, wrong = derive_nodes.compare(derive.read(path), derive.parse(source))
    return counts, [f"{path}: {line}" for line in wrong]


def against_nodes(paths):
    ranges = interrupts = 0
    wrong = []
    with ProcessPoolExecutor(2) as pool:
        for counts, some in pool.map(one_against_nodes, paths, chunksize=8):
            ranges, interrupts, wrong = ranges + counts[0], interrupts + counts[1], wrong + some
    return ranges, interrupts, wrong


def against_table(found):
    wrong = []
    with open(HERE / "boards.toml", "rb") as file:
        table = tomllib.load(file)["board"]
    for board in table:
        path = str(DEPS / "boards" / board["file"])
        if path not in found:
            wrong.append(f"{board['file']} is not in the package any more")
        else:
            wrong += [f"{path}: {line}" for line in differences(found[path], board)]
    return len(table), wrong


def again(path, summary):
    """The printed tree, compiled and read again, says the same."""
    with tempfile.TemporaryDirectory(prefix="skerry-") as folder:
        blob = Path(folder) / "again.dtb"
        _, source, _ = run(path)
        # dtc 1.6.1 aborts in this check where an address has two cells.
        result = subprocess.run([derive.DTC, "-q", "-W", "no-graph_child_address", "-I", "dts", "-O",
                                 "dtb", "-o", blob, "-"], input=source, capture_output=True, text=True)
        if result.returncode:
            return [f"{path}: dtc does not take what is printed: {result.stderr[:300]}"]
        _, output, _ = run("--summary", blob)
    got = summaries(output)[str(blob)]
    keys = ("cpus", "memory", "timer", "interrupts", "nodes")
    return [f"{path}: {key} is {got.get(key)} when it is read again, {summary[key]} before"
            for key in keys
            if re.sub(" and.*", "", got.get(key, "?")) != re.sub(" and.*", "", summary[key])]


def all_again(found):
    with open(HERE / "boards.toml", "rb") as file:
        table = tomllib.load(file)["board"]
    paths = [str(DEPS / "boards" / board["file"]) for board in table]
    with ThreadPoolExecutor(2) as pool:
        return [line for some in pool.map(lambda p: again(p, found[p]), paths) for line in some]


# IORT of QEMU 7.2 names an ITS whatever the interrupt controller is; with a GICv2 there is none.
ACPI_UNRESOLVED = {"virt": "no-target 1"}


def acpi():
    """The tables of each machine in each variant, against derive_acpi.py."""
    wrong, count = [], 0
    for machine in ("pc", "q35", "microvm", "virt"):
        folder = DEPS / "acpi-tables" / machine
        for variant in sorted({p.name.partition(".")[2] for p in folder.iterdir()}):
            count += 1
            name = f"{machine}/{variant}" if variant else machine
            status, output, errors = run("--summary", "--acpi", folder, "--variant", variant)
            got = summaries(output).get(str(folder), {})
            expected = derive_acpi.derive(folder, variant)
            iort = machine == "virt" and "IORT" in derive_acpi.tables(folder, variant)
            expected["unresolved"] = ACPI_UNRESOLVED[machine] if iort else "none"
            wrong += [f"{name}: {key} is {got.get(key)}, expected {value}"
                      for key, value in expected.items() if got.get(key) != str(value)]
            if status != (expected["unresolved"] != "none"):
                wrong.append(f"{name}: status {status}\n{errors}")
    return count, wrong


def long():
    paths = boards()
    found, causes, wrong = read_boards(paths)
    print_boards(found, causes)
    if len(found) != len(paths) or len(paths) < 500:
        wrong.append(f"{len(found)} of {len(paths)} device trees were read")
    clean = sum(1 for s in found.values() if s["unresolved"] == "none")
    print(f"note: {len(found)} device trees, {clean} resolved without a rest, "
          f"{len(causes)} complaints; build/boards.txt")
    yield "boards", "\n".join(wrong) or None
    yield "boards-derived", "\n".join(against_derived(found)) or None
    ranges, interrupts, wrong = against_nodes(paths)
    print(f"note: {ranges} ranges of registers and {interrupts} interrupts resolved anew")
    yield "boards-nodes", "\n".join(wrong) or None
    count, wrong = against_table(found)
    print(f"note: {count} boards in the table")
    yield "boards-table", "\n".join(wrong) or None
    yield "boards-again", "\n".join(all_again(found)) or None
    count, wrong = acpi()
    print(f"note: {count} sets of ACPI tables")
    yield "acpi", "\n".join(wrong) or None


def main():
    failed = False
    for name, why in (long() if "--long" in sys.argv[1:] else short()):
        print(f"{'ok  ' if why is None else 'FAIL'} {name}", flush=True)
        if why is not None:
            failed = True
            print(why, flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
