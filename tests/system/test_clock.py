# SPDX-License-Identifier: MIT
"""The time of day by the machine's clock: a PL031 or a PC's CMOS, each with a user driver."""

import datetime
import re

from harness import check
from session import Session

LEAP_DAY = "2028-02-29T23:59:57"


def ask_date(shell):
    text = shell.ask("date")
    match = re.search(r"^(\d+-\d+-\d+ \d+:\d+:\d+) UTC$", text, re.MULTILINE)
    check(match, f"no date: {text}")
    return datetime.datetime.fromisoformat(match[1])


def test_time_of_day(arch):
    with Session(arch, extra=["-rtc", f"base={LEAP_DAY},clock=vm"]) as shell:
        first = ask_date(shell)
        late = first - datetime.datetime.fromisoformat(LEAP_DAY)
        check(0 <= late.total_seconds() < 60, f"{late} late")
        shell.ask("sleep 4")
        then = ask_date(shell) - first
        check(4 <= then.total_seconds() < 60, f"4 seconds later it is {then} later")
        check(ask_date(shell).month == 3, "the leap day does not end")
        shell.ask("kill rtc")
        check(ask_date(shell) >= first, "not after its driver was killed")
        check("init: rtc was killed" in shell.log(), "its driver was not killed")
