# SPDX-License-Identifier: MIT
"""Runs shell commands in a guest and finds out how they ended.

The commands travel on the kernel command line: cmd=<percent-encoded> and
nonce=<random hex>. The guest's shell prints ESC ] skerry;NONCE;begin BEL just
before the first command and ESC ] skerry;NONCE;STATUS BEL after the last; what
stands between is the commands' output. A nonce, so that nothing that a command
prints can be taken for it.
"""

import re
import secrets
import time
from urllib.parse import quote

from machine import MachineError

# How a kernel panic begins and ends. The machine stands still behind it.
PANIC = re.compile(rb"^\[ *\d+\.\d+\] PANIC: ", re.MULTILINE)
PANIC_END = b"PANIC: the machine is stopped\n"
PANIC_GRACE = 3  # seconds for the rest of its report
POWER_OFF_GRACE = 10

# Between these the console prints lines of the kernel's log: not the commands' output.
LOG_BEGIN = b"\x1b]skerry;log\x07"
LOG = re.compile(LOG_BEGIN + rb"(.*?)\x1b\]skerry;end\x07\n", re.DOTALL)


class Commands:
    """The state of one run: feed() takes the guest's output as it comes."""

    def __init__(self, command):
        self.nonce = secrets.token_hex(8)
        self.command_line = f"cmd={quote(command, safe='')} nonce={self.nonce}"
        self.begin = f"\x1b]skerry;{self.nonce};begin\x07".encode()
        self.end = re.compile(rb"\x1b\]skerry;%s;(-?\d+)\x07" % self.nonce.encode())
        self.before = b""  # boot messages
        self.pending = b""
        self.began = False
        self.log = b""  # lines of the kernel's log that came between
        self.status = None  # of the commands, once they ended

    def feed(self, data):
        """Returns the commands' output among these bytes."""
        data = data.replace(b"\r", b"")
        if self.status is not None:
            return b""
        self.pending += data
        if not self.began:
            head, found, rest = self.pending.partition(self.begin)
            if not found:
                return b""
            self.before, self.pending, self.began = head, rest, True
        self.pending = LOG.sub(self._keep_log, self.pending)
        match = self.end.search(self.pending)
        if match:
            out, self.pending = self.pending[:match.start()], b""
            self.status = int(match[1])
            return out
        # Hold back what may be the beginning of the end, or of a piece of the log.
        cut = self.pending.find(LOG_BEGIN)
        if cut < 0:
            cut = self.pending.rfind(b"\x1b")
            if cut < 0 or len(self.pending) - cut > 64:
                cut = len(self.pending)
        out, self.pending = self.pending[:cut], self.pending[cut:]
        return out

    def _keep_log(self, match):
        self.log += match[1] + b"\n"
        return b""


def run_commands(machine, commands, timeout, show=lambda data: None):
    """Starts `machine`, whose command line is commands.command_line, and waits for the end.

    `show` gets the output as it comes. Returns None, or says what went wrong
    (commands.status tells how the commands themselves ended).
    """
    seen, panicked = 0, None
    machine.start()  # what has to be fetched first is not part of the time
    deadline = time.monotonic() + timeout
    try:
        while True:
            with machine.changed:
                machine.changed.wait_for(
                    lambda: len(machine.output) > seen or machine.ended,
                    max(0, min(panicked or deadline, deadline) - time.monotonic()))
                data, ended = bytes(machine.output[seen:]), machine.ended
                recent = bytes(machine.output[max(0, seen - 64):]).replace(b"\r", b"")
            seen += len(data)
            out = commands.feed(data)
            if out:
                show(out)
            now = time.monotonic()
            if commands.status is not None:
                try:
                    machine.wait(POWER_OFF_GRACE)
                except MachineError:
                    return f"the commands ended ({commands.status}), the machine did not power off"
                return None
            if panicked is None and PANIC.search(recent):
                panicked = now + PANIC_GRACE
            if panicked is not None and PANIC_END in recent:
                panicked = now
            if ended:
                machine.wait(5)
                if panicked:
                    return "the kernel panicked"
                reason = {"guest-reset": "reset itself", "guest-shutdown": "powered off"}
                return (f"the machine {reason.get(machine.shutdown_reason, 'ended')} "
                        "before the commands were done")
            if panicked is not None and now >= panicked:
                return "the kernel panicked"
            if now >= deadline:
                return f"the commands were not done after {timeout:g} s (TIMEOUT)"
    finally:
        machine.stop()
