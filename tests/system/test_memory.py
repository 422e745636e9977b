# SPDX-License-Identifier: MIT
"""Contiguous memory and large pages on a machine: a program takes and maps 4 MiB (tests/programs/memory).
"""

from harness import check
from test_hostile import run_program


def test_contiguous_memory(arch):
    lines = run_program(arch, "memory", "contiguous=8M")
    check("pool 2048" in lines and lines.count("ok contiguous") == 2, "\n".join(lines))


def test_the_pool_is_a_part_of_ram(arch):
    lines = run_program(arch, "memory", "")
    # A 32nd of 512 MiB, of which a PC keeps a little for itself.
    check({"pool 4096", "pool 3584"} & set(lines), "\n".join(lines))
    check(lines.count("ok contiguous") == 2, "\n".join(lines))
