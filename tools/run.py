#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`make run`: boots Skerry in QEMU, at the terminal or for a few commands.

Takes its settings from the environment, as make passes them: ARCH BUILD DISK
CMD MEM SMP TIMEOUT MACHINE CPU GIC FIRMWARE THROTTLE QEMU10.

At the terminal every key goes to the guest, Ctrl-C too; Ctrl-A x quits and
Ctrl-A Ctrl-A sends one Ctrl-A. With CMD, only the commands' output is printed,
and the exit status is 0 if every one of them succeeded.
"""

import os
import select
import sys
import termios
import time
import tty

from commands import Commands, run_commands
from machine import ARCHES, TOP, Machine, MachineError

DEFAULT_DISK = TOP / "build" / "disk.tar"
ESCAPE = b"\x01"  # Ctrl-A


def setting(name, default):
    return os.environ.get(name) or default


def machine_from_environment(command_line="", extra=()):
    arch = setting("ARCH", "x86_64")
    if arch not in ARCHES:
        raise MachineError(f"ARCH={arch} is not known")
    return Machine(
        arch=arch, build=setting("BUILD", "dev"), disk=setting("DISK", str(DEFAULT_DISK)),
        memory=setting("MEM", None), cpus=setting("SMP", None), cpu=setting("CPU", None),
        gic=setting("GIC", None), machine=setting("MACHINE", None),
        firmware=setting("FIRMWARE", "direct"), qemu10=setting("QEMU10", "0") != "0",
        iops=setting("THROTTLE", None), command_line=command_line, extra=extra)


def report(text):
    print(f"run: {text}", file=sys.stderr, flush=True)


# --- commands -----------------------------------------------------------------


def run_batch(command):
    try:
        timeout = float(setting("TIMEOUT", "60"))
    except ValueError:
        raise MachineError(f"TIMEOUT={os.environ['TIMEOUT']} is not a number of seconds") from None
    commands = Commands(command)
    machine = machine_from_environment(commands.command_line)

    def show(data):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        if data.endswith(b"\n"):
            show_log()

    def show_log():
        sys.stderr.buffer.write(commands.log)
        sys.stderr.flush()
        commands.log = b""

    wrong = run_commands(machine, commands, timeout, show)
    show_log()
    if wrong is None:
        return min(abs(commands.status), 125)
    # What the person has not seen yet: everything, if no command ever ran.
    hidden = commands.pending if commands.began else machine.text().encode()
    if hidden:
        sys.stderr.write(hidden.decode(errors="replace").rstrip("\n") + "\n")
    report(wrong)
    return 1


# --- the terminal ---------------------------------------------------------------


class Terminal:
    """Standard input key by key, while in use."""

    def __enter__(self):
        self.saved = None
        if sys.stdin.isatty():
            self.saved = termios.tcgetattr(0)
            raw = termios.tcgetattr(0)
            tty.setraw(0, termios.TCSANOW)
            now = termios.tcgetattr(0)
            # Output stays cooked: a bare line feed from the guest returns the carriage.
            now[tty.OFLAG] = raw[tty.OFLAG]
            termios.tcsetattr(0, termios.TCSANOW, now)
        return self

    def __exit__(self, *_):
        if self.saved is not None:
            termios.tcsetattr(0, termios.TCSANOW, self.saved)


def converse(machine):
    """Passes keys and output on until the machine ends or the person quits. True: quit."""
    shown, escaped, reading = 0, False, True
    while True:
        with machine.changed:
            machine.changed.wait_for(lambda: len(machine.output) > shown or machine.ended, 0.01)
            data, ended = bytes(machine.output[shown:]), machine.ended
        if data:
            shown += len(data)
            os.write(1, data)
        if ended:
            return False
        while reading and select.select([0], [], [], 0)[0]:
            keys = os.read(0, 1024)
            reading = bool(keys)  # at the end of a pipe the guest goes on alone
            typed = b""
            for key in (keys[i:i + 1] for i in range(len(keys))):
                if escaped:
                    escaped = False
                    if key in b"xX":
                        return True
                    if key in (ESCAPE, b"a"):
                        typed += ESCAPE
                elif key == ESCAPE and machine_is_at_terminal():
                    escaped = True
                else:
                    typed += key
            if typed:
                machine.send(typed)


def machine_is_at_terminal():
    return sys.stdin.isatty()


def run_interactive():
    report("Ctrl-A x quits; every other key goes to the guest")
    with Terminal():
        while True:
            machine = machine_from_environment()
            machine.start()
            try:
                quit_wanted = converse(machine)
                if quit_wanted:
                    sys.stderr.write("\n")
                    return 0
                machine.wait(10)
            finally:
                machine.stop()
            if machine.said:
                report(machine.said.decode(errors="replace").strip())
            if machine.shutdown_reason != "guest-reset":
                return machine.process.returncode
            # QEMU ends at a reset instead of doing it, so that a machine that
            # cannot start does not reset for ever.
            if time.monotonic() - machine.started < 2:
                report("the machine reset itself right after its start")
                return 1
            report("the machine restarts")


def run_debug():
    machine = machine_from_environment(extra=["-s", "-S"])
    kernel = machine.folder.relative_to(TOP) / "kernel.elf"
    report("waiting; in another terminal:  "
           f"gdb-multiarch {kernel} -x tools/gdb/skerry.py -ex 'target remote :1234'")
    report("Ctrl-A x quits; every other key goes to the guest")
    machine.start()
    try:
        with Terminal():
            converse(machine)
    finally:
        machine.stop()
    return 0


def main():
    command = os.environ.get("CMD")
    try:
        if "--debug" in sys.argv[1:]:
            status = run_debug()
        elif command:
            status = run_batch(command)
        else:
            status = run_interactive()
    except MachineError as error:
        report(error)
        status = 1
    except (KeyboardInterrupt, BrokenPipeError):
        status = 130
    sys.exit(status)


if __name__ == "__main__":
    main()
