# SPDX-License-Identifier: MIT
"""tools/gdb/skerry.py in a debugger that is attached to a running machine: what it says of the
kernel's tables is what the shell says."""

import re
import subprocess

from harness import TOP, check, equal
from session import Session

CPUS = 2
SCRIPT = TOP / "tools" / "gdb" / "skerry.py"
# Each is printed after a line of its own, to be told apart.
COMMANDS = ["skerry cpus", "skerry threads", "skerry objects thread", "skerry objects", "skerry accounts",
            "skerry handles shell", "skerry invariants", "print cpus[1]", "print *cpus[0]->aspace",
            "print $handle(0x500000003)", "print $rights(0x80000403)", "print $status(3)",
            "print $signals(0x90001)"]


def ask_debugger(shell, socket, commands):
    """{command: what gdb printed}"""
    words = ["gdb-multiarch", "-nx", "-batch", "-iex", "set pagination off",
             str(shell.machine.folder / "kernel.elf"), "-x", str(SCRIPT), "-ex", f"target remote {socket}"]
    for command in commands:
        words += ["-ex", f"echo -- {command}\\n", "-ex", command]
    done = subprocess.run([*words, "-ex", "detach"], cwd=TOP, capture_output=True, text=True, timeout=60)
    equal((done.returncode, done.stderr), (0, ""), f"gdb after\n{done.stdout}")
    parts = re.split(r"^-- (.*)\n", done.stdout, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def check_threads(text, services):
    rows = re.findall(r"^ *(\d+)  (\S+) +([A-Z]+) +(\S+) +(\d+) +(\d+) +\d+\.\d{3}  0x[0-9a-f]+$", text,
                      re.MULTILINE)
    equal(len(rows), text.count("\n") - 1, f"lines that say something:\n{text}")
    for name, service in services.items():
        homes = [int(row[5]) for row in rows if row[1] == name]
        if service["cpu"] is not None:
            check(service["cpu"] in homes, f"{name} is on CPU {service['cpu']}, not {homes}")
        elif name != "init":
            equal(homes, [], f"CPUs of {name}, which does not run")
    # The first thread of each waits for a port, as all that serve do.
    check(all(any(row[1:4] == (name, "BLOCKED", "port") for row in rows) for name in ("init", "devd", "files")),
          f"who waits:\n{text}")
    return rows


def test_tables(arch, tmp):
    socket = tmp / "gdb"
    extra = ["-chardev", f"socket,id=gdb,path={socket},server=on,wait=off", "-gdb", "chardev:gdb"]
    with Session(arch, cpus=CPUS, extra=extra) as shell:
        services = shell.ps()
        limits = dict(re.findall(r"^(\w+) +\d+ +\d+ +(\d+) ", shell.ask("mem"), re.MULTILINE))
        said = ask_debugger(shell, socket, COMMANDS)
        equal(shell.ask("echo still here"), "still here\n", "the shell after the debugger has gone")

    equal(re.findall(r"^ +(\d)  ", said["skerry cpus"], re.MULTILINE), list("01"), "CPUs")
    rows = check_threads(said["skerry threads"], services)
    one_by_one = re.findall(r"^0x[0-9a-f]+ thread (\d+) ([A-Z]+) \((\S+), \2\b.*, CPU (\d)\)",
                            said["skerry objects thread"], re.MULTILINE)
    equal(sorted(one_by_one), sorted((r[0], r[2], r[1], r[5]) for r in rows), "threads, object by object")
    total = int(re.search(r"^(\d+) objects$", said["skerry objects"], re.MULTILINE)[1])
    check(total > 60 and said["skerry objects"].count("\n") == total + 1, "objects that are listed")
    check(re.search(r" interrupt \d+ [A-Z]+ \(line \d+, \d+ times\)", said["skerry objects"]), "no interrupt")
    check("?" not in said["skerry objects"], "something has no name")
    for name, limit in limits.items():
        check(re.search(rf"^{name} +LIVE +\d+ \(\d+\) {limit} ", said["skerry accounts"], re.MULTILINE),
              f"{name}, limit {limit}:\n{said['skerry accounts']}")
    check(re.search(r"^slot \d+: LIVE generation \d+: log \d+ LIVE, TRANSFER\|READ\|WRITE$",
                    said["skerry handles shell"], re.MULTILINE), said["skerry handles shell"])
    checked = dict(re.findall(r"^(\w\d) +(\d+)  ", said["skerry invariants"], re.MULTILINE))
    check(len(checked) > 20 and int(checked["L1"]) > 100, said["skerry invariants"])
    check(re.search(r"^\$\d+ = 0x[0-9a-f]+ CPU 1, ", said["print cpus[1]"]), said["print cpus[1]"])
    words = said["print *cpus[0]->aspace"]
    check(re.search(r"object = aspace \d+ LIVE, .*process = 0x[0-9a-f]+ process \d+ RUNNING \(\w+\)", words), words)
    for command, words in (("handle(0x500000003)", "slot 3 generation 5"),
                           ("rights(0x80000403)", "DUPLICATE|TRANSFER|RECEIVE|0x80000000"),
                           ("status(3)", "NO_RIGHT"), ("signals(0x90001)", "READABLE|FIRED|0x1")):
        check(f'"{words}"' in said[f"print ${command}"], said[f"print ${command}"])
