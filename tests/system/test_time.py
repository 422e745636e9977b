# SPDX-License-Identifier: MIT
"""Time as programs see it: never early, how late, and as long as the host's (tests/programs/time).
"""

import time

from harness import TOP, Machine, alone, check, limit, note
from test_hostile import VIRTUAL_TIME, run_program

WALL_SECONDS = 10
TOLERANCE = 0.02


@limit(60)
def test_lateness(arch, seed):
    for line in run_program(arch, "time", f"seed={seed}", VIRTUAL_TIME, timeout=50):
        if line.startswith("ok "):
            note(line.removeprefix("ok "))


@alone
def test_wall_clock(arch):
    """Ten seconds in the guest are ten seconds on the host."""
    bundle = TOP / "build" / f"{arch}-dev" / "tests" / "time.img"
    with Machine(arch=arch, command_line=f"wall={WALL_SECONDS}",
                 extra=["-initrd", str(bundle)]) as machine:
        machine.expect(rb"the watch starts", 20)
        began = time.monotonic()
        match = machine.expect(rb"the watch stops after (\d+) ns", WALL_SECONDS + 10)
        host = time.monotonic() - began
    guest = int(match[1]) / 1e9
    note(f"{guest:.4f} s in the guest were {host:.4f} s on the host")
    check(abs(guest / host - 1) < TOLERANCE, f"the guest's {guest} s were {host} s on the host")


@limit(60)
def test_budget(arch, seed):
    """Shares of a CPU, measured (tests/programs/budget)."""
    for line in run_program(arch, "budget", f"seed={seed}", VIRTUAL_TIME, timeout=50):
        if line.startswith("ok "):
            note(line.removeprefix("ok "))
