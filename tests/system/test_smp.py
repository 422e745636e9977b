# SPDX-License-Identifier: MIT
"""The system on several CPUs: everything as on one, kills included."""

import re

from harness import TOP, check, equal, limit, note
from session import Session
from test_hostile import VIRTUAL_TIME
from test_restart import Work, after_first_restart, clients_die, everybody_dies, kill_driver, \
    make_disk, same_figures, wait_for_reads
from test_supervision import build_with

CPUS, KILLS = 4, 10


@limit(240)
def test_kills_on_four_cpus(arch, tmp, seed):
    disk, sums = make_disk(tmp, seed)
    with Session(arch, disk=disk, cpus=CPUS) as shell:
        check(f"{CPUS} of {CPUS} CPUs run" in shell.log(), "not all CPUs run")
        rows = shell.cpus()
        equal(len(rows), CPUS, "the CPUs that cpus lists")
        check(all(row["switches"] > 0 for row in rows), f"a CPU never ran a thread: {rows}")
        before = after_first_restart(shell, sums)
        work = Work(shell, sums)
        for _ in range(KILLS):
            wait_for_reads(shell)
            kill_driver(shell)
        work.finish()
        same_figures(shell, before, f"after {KILLS} kills")
        equal(shell.ps()["virtio-blk"]["restarts"], KILLS + 1, "restarts in ps")


@limit(240)
def test_clients_die_on_four_cpus(arch, tmp, seed):
    clients_die(arch, tmp, seed, CPUS)


@limit(240)
def test_everybody_dies_on_four_cpus(arch, tmp, seed):
    everybody_dies(arch, tmp, seed, CPUS)


def test_resting_cpus_have_no_load(arch, tmp, seed):
    """In virtual time: what a resting CPU does is not stretched by a busy host."""
    disk, _ = make_disk(tmp, seed)
    with Session(arch, disk=disk, cpus=CPUS, extra=VIRTUAL_TIME) as shell:
        shell.ask("sleep 1")
        shell.cpus()
        shell.ask("sleep 2")
        equal([row["load"] for row in shell.cpus()], [0] * CPUS, "the load of CPUs that rest")


@limit(180)
def test_what_the_shell_shows(arch, tmp, seed):
    disk, sums = make_disk(tmp, seed)
    with Session(arch, disk=disk, cpus=CPUS) as shell:
        equal(shell.sums(sums), sums, "the first sums")
        homes = {name: row["cpu"] for name, row in shell.ps().items()}
        equal(homes.pop("init"), None, "the CPU of init, which cannot know it")
        running = [cpu for cpu in homes.values() if cpu is not None]
        equal(sorted(set(running)), list(range(CPUS)), f"the CPUs that services are on: {homes}")
        equal(homes["crash"], None, "the CPU of what does not run")

        shell.cpus()
        equal(shell.sums(sums), sums, "the sums")
        busy = [row["load"] for row in shell.cpus()]
        check(10 <= max(busy) <= 100, f"the load of CPUs that work: {busy}")
        note(f"load of the CPUs at work: {busy}")

        text = shell.ask("irq")
        rows = re.findall(r"^(\d+) +(\d+) +(\d+) +(\d+) +\d+\n", text, re.MULTILINE)
        equal(len(rows), CPUS, f"the CPUs in irq:\n{text}")
        devices, timer, asked = ([int(row[i]) for row in rows] for i in (1, 2, 3))
        lines = re.findall(r"^\d+ +(?:message|line) +(\d+) +(\d+)  ", text, re.MULTILINE)
        for cpu in range(CPUS):
            known = sum(int(count) for taker, count in lines if int(taker) == cpu)
            check(known <= devices[cpu], f"CPU {cpu} took fewer interrupts than its lines:\n{text}")
        check(len(lines) >= 2 and devices[0] > 0, f"no lines:\n{text}")
        check(all(asked[1:]) and sum(timer) > 0, f"nobody asked, or no timer:\n{text}")


def test_services_name_their_cpu(arch, tmp):
    system = (TOP / "user" / "system.toml").read_text()
    for name, cpu in (("files", 3), ("console", 1), ("shell", CPUS + 2)):
        equal(system.count(f'name = "{name}"\n'), 1, name)
        system = system.replace(f'name = "{name}"\n', f'name = "{name}"\ncpu = {cpu}\n')
    programs = [path.name for path in (TOP / "build" / f"{arch}-dev" / "bundle").iterdir()
                if path.name in {*re.findall(r'^program = "(.+)"', system, re.MULTILINE),
                                 *re.findall(r'^name = "(.+)"', system, re.MULTILINE)}]
    with Session(arch, build_folder=build_with(arch, tmp, system, programs), cpus=CPUS) as shell:
        for _ in range(2):
            homes = {name: row["cpu"] for name, row in shell.ps().items()}
            equal([homes["files"], homes["console"], homes["shell"]], [3, 1, 2], "the CPUs they are on")
            shell.ask("kill files; sleep 1")
        shell.machine.send("kill shell\r")
        shell.machine.expect(b"Skerry is up", 20)
        shell.machine.expect(b"skerry> ", 20)
        equal(shell.ps()["shell"]["cpu"], 2, "the shell's CPU after its restart")
        told = [line for line in shell.log().split("\n") if "there is no CPU" in line]
        equal(told, [f"init: shell: there is no CPU {CPUS + 2} here; it runs on CPU 2"], "what init says")
