# SPDX-License-Identifier: MIT
"""The hostile program (tests/programs/hostile) attacks the kernel from user space.

It is the whole user space of its machine. Time is virtual: one nanosecond an
instruction, so that the watcher's figures say what the kernel did, and a run
repeats exactly: SEED chooses the attack, and a failure prints it.
"""

import re

from harness import TOP, Machine, arches, check, limit, long, note

VIRTUAL_TIME = ["-icount", "shift=0,sleep=off"]


def run_program(arch, name, command_line, extra=(), build="dev", cpu=None,
                cpus=1, timeout=100, **machine):
    """Runs a test program to its end; its own lines, without time and name."""
    lines = program_lines(arch, name, command_line, extra, build, cpu, cpus, timeout, **machine)
    wrong = [line for line in lines if line.startswith("FAIL")]
    check(not wrong and lines[-1] == "END 0", "\n".join(wrong or lines[-1:]))
    return lines


def program_lines(arch, name, command_line, extra=(), build="dev", cpu=None, cpus=1, timeout=100,
                  bug=None, **machine):
    """What a test program says to its end, whatever that is; on a kernel with a planted bug."""
    bundle = TOP / "build" / f"{arch}-{build}" / "tests" / f"{name}.img"
    check(bundle.is_file(), f"{bundle} is not built")
    # The last -initrd counts.
    machine = Machine(arch=arch, build=build, cpu=cpu, cpus=cpus, command_line=command_line, **machine,
                      build_folder=bug and TOP / "build" / f"{arch}-{build}-bug-{bug.replace(' ', '-')}",
                      extra=[*extra, "-initrd", str(bundle)])
    with machine:
        machine.expect(rf"{name}: END \d+\r?\n|PANIC".encode(), timeout)
        if "PANIC" in machine.text():
            machine.expect(rb"the machine is stopped", 5)
        machine.wait(10)
    text = machine.text()
    check("PANIC" not in text, "the kernel panicked")
    return re.findall(rf"^\[ *[\d.]+\] {name}: (.*)$", text, re.MULTILINE)


@limit(150)
def test_attack(arch, seed):
    lines = run_program(arch, "hostile", f"seed={seed}", VIRTUAL_TIME)
    print("\n".join(lines))
    done = [line.removeprefix("ok ") for line in lines if line.startswith("ok ")]
    for what in ("crashes", "guess", "fill", "calls", "watcher", "figures"):
        check(any(line.startswith(what) for line in done), f"nothing was said about {what}")
    for line in done:
        note(line)
    rows = [line for line in lines if line.startswith("call ")]
    check(len(rows) > 50, "the table of calls is not there")
    (TOP / "build" / f"hostile-{arch}.txt").write_text("\n".join(lines) + "\n")


@arches("aarch64")
@limit(60)
def test_newest_processor(arch):
    """More instructions to refuse, and PAN."""
    lines = run_program(arch, "hostile", "only=3", VIRTUAL_TIME, cpu="max")
    note("\n".join(line for line in lines if line.startswith(("ok crashes", "ok sweep"))))


@long
@limit(900)
def test_long_attack(arch, seed):
    for round in range(5):
        note(run_program(arch, "hostile", f"seed={seed + round} only=16 calls=1000000",
                         VIRTUAL_TIME, timeout=170)[-4])
