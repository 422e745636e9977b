# SPDX-License-Identifier: MIT
"""How long the kernel is away: the most instructions between two looks for interrupts.

A release kernel, in virtual time; the method is in tests/bench/entries.py.
"""

import sys

from harness import TOP, check, limit, long, note

sys.path.append(str(TOP / "tests" / "bench"))

import entries  # noqa: E402


def none_too_long(stretches):
    longest = max(stretches, key=lambda s: s.most)
    note(f"{longest.most} instructions at most: {entries.described(longest)}, in {longest.where}")
    check(not (found := list(entries.too_long(stretches))), "\n".join(found))
    return longest


@limit(100)
def test_longest_entry(arch):
    stretches = entries.measure(arch, "longest", programs="dev")
    none_too_long(stretches)
    # What must have been met, if it was measured at all.
    most = {call: stretch.most for call, stretch in entries.worst(stretches, entries.call_of).items()}
    for call, least in (("channel_create", 5000), ("vm_map", 5000), ("pin_create", 3000),
                        ("log_read", 3000), ("vmo_create", 3000), ("thread_cancel", 300),
                        ("machine_device_quiet", 3000)):
        check(most.get(call, 0) > least, f"{call} took {most.get(call, 0)}: was it measured?")


@long
@limit(600)
def test_longest_entries_of_all_programs(arch):
    for program in entries.programs(seeds=6):
        none_too_long(entries.measure(arch, *program, programs="dev"))
