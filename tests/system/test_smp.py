# SPDX-License-Identifier: MIT
"""The system on several CPUs: everything as on one, kills included."""

from harness import check, equal, limit
from session import Session
from test_restart import Work, after_first_restart, kill_driver, make_disk, same_figures, \
    wait_for_reads

CPUS, KILLS = 4, 10


@limit(240)
def test_kills_on_four_cpus(arch, tmp, seed):
    disk, sums = make_disk(tmp, seed)
    with Session(arch, disk=disk, cpus=CPUS) as shell:
        check(f"{CPUS} of {CPUS} CPUs run" in shell.log(), "not all CPUs run")
        lines = shell.ask("cpus").strip().split("\n")[1:]
        equal([line.split()[0] for line in lines], list("0123"), "the CPUs that cpus lists")
        check(all(int(line.split()[3]) > 0 for line in lines), f"a CPU never ran a thread: {lines}")
        before = after_first_restart(shell, sums)
        work = Work(shell, sums)
        for _ in range(KILLS):
            wait_for_reads(shell)
            kill_driver(shell)
        work.finish()
        same_figures(shell, before, f"after {KILLS} kills")
        equal(shell.ps()["virtio-blk"]["restarts"], KILLS + 1, "restarts in ps")
