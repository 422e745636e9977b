# SPDX-License-Identifier: MIT
"""A storm of interrupts of a real device (tests/programs/storm), in virtual time: it is put aside, and
another driver is as fast as before."""

from harness import arches, check, note
from test_hostile import VIRTUAL_TIME, run_program

DEVICES = ["-serial", "null", "-device", "e1000e,addr=5,romfile=", "-device", "edu,addr=6"]


def check_storms(arch, *more):
    lines = run_program(arch, "storm", "", [*VIRTUAL_TIME, *DEVICES, *more])
    told = [line for line in lines if line.startswith("over a ")]
    check(len(told) == 10, "not all has been tried")
    for line in told:
        note(line)


def test_storms(arch, seed):
    check_storms(arch)


@arches("aarch64")
def test_storms_through_an_its(arch, seed):
    check_storms(arch, "-M", "virt,gic-version=3")
