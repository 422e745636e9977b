# SPDX-License-Identifier: MIT
"""What the tests that drive QEMU share.

A test is a function test_* in a file test_*.py beside this one. It takes by
name what it needs:

    arch    the machine; the test runs once for each (see @arches)
    tmp     an empty folder of its own, removed afterwards
    seed    a number, new in every run and printed when the test fails

and fails by raising. What it prints is shown only when it fails, except lines
that it gives to note(), which stand in the report of every run.

    @arches("x86_64")    only on these machines
    @limit(seconds)      its time (default 120 s), after which it counts as hung
    @alone               no other test runs beside it: it looks at the host's clock
    @long                only in `make test-long`
"""

import hashlib
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(TOP / "tools"))

import commands as _commands  # noqa: E402
from machine import ARCHES, Machine, MachineError  # noqa: E402, F401
from mkdisk import FORMATS, make_archive  # noqa: E402, F401

PROMPT = rb"skerry> "


def arches(*names):
    def mark(function):
        function.arches = names
        return function
    return mark


def limit(seconds):
    def mark(function):
        function.limit = seconds
        return function
    return mark


def alone(function):
    function.alone = True
    return function


def long(function):
    function.long = True
    return function


def note(text):
    """A line for the report, whether the test passes or not: a measured value, a table's row."""
    for line in str(text).split("\n"):
        print(f"note: {line}", flush=True)


def check(condition, text):
    if not condition:
        raise AssertionError(text)


def equal(got, expected, text):
    check(got == expected, f"{text}: got {got!r}, expected {expected!r}")


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run(arch, command, timeout=60, **machine):
    """What `make run CMD=...` does: (status, output text); fails if the machine does."""
    commands = _commands.Commands(command)
    extra = machine.pop("command_line", "")
    guest = Machine(arch=arch, command_line=f"{commands.command_line} {extra}".strip(), **machine)
    output = []
    wrong = _commands.run_commands(guest, commands, timeout, output.append)
    text = b"".join(output).decode(errors="replace")
    if wrong:
        raise MachineError(wrong)
    return commands.status, text


class Shell:
    """A machine with somebody at its shell.

        with Shell(arch, disk=archive) as shell:
            print(shell("ls /disk"))
            shell.machine.block_stats()
    """

    def __init__(self, arch, boot_timeout=30, **machine):
        self.machine = Machine(arch=arch, **machine)
        self.boot_timeout = boot_timeout

    def __enter__(self):
        self.machine.start()
        try:
            self.machine.expect(PROMPT, self.boot_timeout)
        except BaseException:
            self.machine.stop()
            raise
        return self

    def __exit__(self, *_):
        self.machine.stop()

    def type(self, command):
        """Types a command and does not wait for it."""
        self.machine.send(command + "\r")
        # The echo is not part of the output.
        self.machine.expect(rb"\r?\n", 10)

    def finish(self, timeout=30):
        """Waits for the next prompt; the text before it."""
        start = self.machine.position
        self.machine.expect(rb"(?m)^" + PROMPT, timeout)
        text = self.machine.since(start)
        return text[:text.rindex(PROMPT.decode(), 0, self.machine.position - start)].replace(
            "\r\n", "\n")

    def __call__(self, command, timeout=30):
        self.type(command)
        return self.finish(timeout)
