# SPDX-License-Identifier: MIT
"""The shell as a person and as a script use it; what crashes, and comes back."""

import re
import time

from harness import ARCHES, Machine, TOP, Shell, check, equal, note, run  # noqa: F401

CRASHES = {
    "null": "read of 0x0",
    "kernel": "read of 0xffff800000100000",
    "write": "write to 0x4",
    "execute": "jump to 0x4",
    "stack": "write to 0x1e",
    "undefined": "undefined or privileged instruction at 0x4",
    "privileged": "undefined or privileged instruction at 0x4",
    "breakpoint": "breakpoint at 0x4",
}
LOG = re.compile(r"\x1b\]skerry;log\x07.*?\x1b\]skerry;end\x07\r?\n", re.DOTALL)


def clean(text):
    """Output without the lines of the log that came between."""
    return LOG.sub("", text)


def test_editing_and_history(arch):
    with Shell(arch) as shell:
        equal(shell("echo helo\x7flo"), "hello\n", "backspace")
        equal(shell("echo ac\x1b[Db"), "abc\n", "left")
        equal(shell("echo one\x15echo two"), "two\n", "Ctrl-U")
        equal(shell("\x1b[A\x1b[A"), "abc\n", "up twice")
        equal(shell("echo 'a  b' \"c;d\" e\\ f"), "a  b c;d e f\n", "quotes")
        equal(shell("echo a; echo b"), "a\nb\n", "two commands")
        check("no such command" in shell("nonsense"), "an unknown command is not named")
        shell.machine.send("half a line\x03")
        shell.finish()
        equal(shell("echo after"), "after\n", "after Ctrl-C at the prompt")


def test_interrupting(arch):
    with Shell(arch) as shell:
        for command in ("sleep 1000", "sleep 1 & sleep 1000"):
            started = time.monotonic()
            shell.type(command)
            time.sleep(0.3)
            shell.machine.send("\x03")
            check("^C" in shell.finish(10), f"{command}: no ^C was shown")
            check(time.monotonic() - started < 10, f"{command}: was not interrupted")
        shell.type("sleep 0.5")
        shell.machine.send("echo typed ahead\r")
        shell.finish()
        check("typed ahead" in shell.finish(), "what was typed ahead is lost")


def test_status_of_commands(arch):
    for command, expected in (("echo ok", 0), ("nonsense", 1), ("nonsense; echo ok", 1),
                              ("echo 'open", 1), ("cat /nowhere", 1), ("sleep x", 1),
                              ("kill nobody", 1), ("sleep 0.1 & wait", 0), ("cat /no & wait", 1)):
        status, _ = run(arch, command)
        equal(status, expected, command)


def test_crash_reports(arch):
    with Shell(arch) as shell:
        for how, words in CRASHES.items():
            text = shell(f"crash {how}")
            check("no crash is named" not in text, f"{how} is not known")
            text = shell.machine.text()
            report = text[text.rindex("crash of crash"):]
            check(words in report, f"{how}: the report lacks {words!r}:\n{report}")
            check("user/apps/crash/" in report, f"{how}: no line of the source:\n{report}")
        check("no crash is named" in shell("crash nothing"), "an unknown crash is not refused")


def account(text, name):
    """Pages and objects in use, from the table of `mem`."""
    row = re.search(rf"^{re.escape(name)} +(\d+) +\d+ +\d+ +(\d+)", clean(text), re.MULTILINE)
    check(row, f"no account {name} in {text!r}")
    return int(row[1]), int(row[2])


def test_nothing_is_lost_by_crashes(arch):
    with Shell(arch) as shell:
        shell("crash null")
        before = account(shell("mem"), "(root)")
        for how in CRASHES:
            shell(f"crash {how}")
        equal(account(shell("mem"), "(root)"), before, "pages and objects of the root account")


def test_console_comes_back(arch):
    with Shell(arch) as shell:
        for i in range(3):
            shell("kill console")
            equal(clean(shell(f"echo line {i}")), f"line {i}\n", "after the console's restart")
        row = re.search(r"^console +ready .*?(\d+) +\d+$", clean(shell("ps")), re.MULTILINE)
        equal(row and row[1], "3", "restarts of the console")


def test_every_service_comes_back(arch):
    with Shell(arch, disk=TOP / "build" / "disk.tar") as shell:
        for name in ("files", "virtio-blk", "devd", "console"):
            shell(f"kill {name}")
            text = clean(shell("ls /disk"))
            check("README" in text, f"after kill {name}: ls /disk said {text!r}")


def test_a_job_beside_the_shell(arch):
    status, text = run(arch, "sleep 0.5 & sleep 0.5 & sleep 0.5 & echo two run; wait; echo done")
    equal((status, clean(text)), (1, "shell: 2 jobs run already; 'wait' for them\ntwo run\ndone\n"),
          "a third job")
    status, text = run(arch, "sleep 100 & sleep 0.2; kill job1; wait; echo on")
    check("on\n" in text and status == 1, f"a killed job: {status} {text!r}")


def test_power(arch):
    for command, reason in (("poweroff", "guest-shutdown"), ("reboot", "guest-reset")):
        with Shell(arch) as shell:
            shell.machine.send(command + "\r")
            equal(shell.machine.wait(10), reason, command)
