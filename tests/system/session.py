# SPDX-License-Identifier: MIT
"""A shell session whose answers are safe to take apart, and the figures in them.

Lines of the log may come in the middle of anything, and after one the prompt
is drawn again. So each command is sent between two marks, and what the console
prints between the marks of a log line is left out of its answer.
"""

import itertools
import re

from harness import Shell, check

LOG = re.compile(r"\x1b\]skerry;log\x07.*?\x1b\]skerry;end\x07\n", re.DOTALL)
LINE_MAX = 460  # of the shell's line, less the marks


def without_log(text):
    return LOG.sub("", text.replace("\r", ""))


class Session(Shell):
    """`ask` answers a command's output alone; `begin` and `end` do so in two steps."""

    def __init__(self, arch, **machine):
        super().__init__(arch, **machine)
        self.numbers = itertools.count()

    def begin(self, command):
        check(len(command.encode()) <= LINE_MAX, f"too long for a line: {command}")
        self.number = next(self.numbers)
        self.machine.send(f"echo begin-{self.number}; {command}; echo end-{self.number}\r")
        self.machine.expect(rf"(?m)^begin-{self.number}\r?\n", 10)
        self.at = self.machine.position

    def end(self, timeout=60):
        match = self.machine.expect(rf"(?m)^end-{self.number}\r?\n", timeout)
        text = self.machine.since(self.at)
        return without_log(text[:match.start() - self.at])

    def ask(self, command, timeout=60):
        self.begin(command)
        return self.end(timeout)

    def survive(self, command):
        """A command that may end the console, which takes with it what it has not printed yet, and what
        is typed meanwhile: there is no mark before it, and no answer. It is over when the next console
        prints what the log has said of the end."""
        ends = {"kill devd": rb"nodes in the hardware tree", "kill console": rb"devd: console: cleared away"}
        number = next(self.numbers)
        for end, told in ends.items():
            if end in command:
                self.machine.send(f"{command}\r")
                self.machine.expect(told, 20)
                command = "echo"
        self.machine.send(f"{command}; echo survived-{number}\r")
        self.machine.expect(rf"(?m)^survived-{number}\r?\n", 20)

    def log(self):
        """The kernel's log, whole lines without their times."""
        return re.sub(r"(?m)^\[ *\d+\.\d+\] ", "", self.ask("log"))

    def wait_for(self, text, timeout=30):
        """Waits for text in the log as the console prints it, from the last answer on."""
        return self.machine.expect(re.escape(text), timeout)

    def sums(self, paths, timeout=120):
        """{path: sha256} of files below /disk, as many in a command as a line takes."""
        found, paths = {}, list(paths)
        while paths:
            line = "sha256sum"
            while paths and len(line) + len(f" /disk/{paths[0]}") <= LINE_MAX and \
                    line.count(" ") < 30:
                line += f" /disk/{paths.pop(0)}"
            text = self.ask(line, timeout)
            rows = re.findall(r"^([0-9a-f]{64})  /disk/(.*)\n", text, re.MULTILINE)
            check(len(rows) == line.count(" "), f"sha256sum said {text!r}")
            found |= {name: total for total, name in rows}
        return found

    def ps(self):
        """{service: {state, cpu (its home, None if it has none), threads, cpu_ms, share (of each CPU, in
        percent) and throttled_ms (None if it is not limited), restarts, up (whole seconds)}}"""
        rows = re.findall(
            r"^(\S+) +([a-z-]+) +\d+ +(\d+|-) +(\d+) +\d+ +(\d+\.\d+) +(?:(\d+\.\d)%|-) +(?:(\d+\.\d+)|-)"
            r" +(\d+) +(\d+)\n", self.ask("ps"), re.MULTILINE)
        check(rows, "ps shows nothing")
        return {name: {"state": state, "cpu": None if cpu == "-" else int(cpu), "threads": int(threads),
                       "cpu_ms": float(cpu_ms), "share": float(share) if share else None,
                       "throttled_ms": float(throttled) if throttled else None, "restarts": int(restarts),
                       "up": int(up)}
                for name, state, cpu, threads, cpu_ms, share, throttled, restarts, up in rows}

    def mem(self):
        """{account: (pages, objects)} in use, and what the machine has free and in quarantine."""
        text = self.ask("mem")
        rows = re.findall(r"^(\S+) +(\d+) +\d+ +\d+ +(\d+) +\d+ +\d+ +(\d+) +\d+ +\d+\n", text, re.MULTILINE)
        machine = re.search(r"; (\d+) of \d+ pages free, (\d+) of \d+ objects, (\d+) pages quar",
                            text)
        check(rows and machine, f"mem said {text!r}")
        figures = {name: (int(pages), int(objects), int(quarantined))
                   for name, pages, objects, quarantined in rows}
        return figures | {"machine": tuple(map(int, machine.groups()))}

    def drivers(self):
        """{driver: {device, state, starts}}"""
        rows = re.findall(r"^(\S+) +(\S+) +(\S+) +(\S+) +(\d+) \S+\n", self.ask("drivers"),
                          re.MULTILINE)
        return {driver: {"device": device, "state": state, "starts": int(starts)}
                for device, _, driver, state, starts in rows}

    def cpus(self):
        """[{load (percent, since the last look), switches, posts, flushes, shares (percent) and throttled_ms
        of the services that run}], of each CPU"""
        rows = re.findall(r"^(\d+) +[0-9a-f]+ +(\d+)% +\w+ +(\d+) +(\d+) +(\d+) +(\d+\.\d)% +(\d+\.\d+)\n",
                          self.ask("cpus"), re.MULTILINE)
        check([row[0] for row in rows] == [str(i) for i in range(len(rows))], f"cpus shows {rows}")
        return [dict(zip(("load", "switches", "posts", "flushes", "shares", "throttled_ms"),
                         (*map(int, row[1:5]), *map(float, row[5:])))) for row in rows]

    def interrupts(self, service):
        row = re.search(rf"^\d+ +\S+ +\d+ +(\d+) +\d+  {re.escape(service)} ", self.ask("irq"), re.MULTILINE)
        check(row, f"irq does not show {service}")
        return int(row[1])
