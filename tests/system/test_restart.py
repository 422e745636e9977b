# SPDX-License-Identifier: MIT
"""Services killed and crashed at every step: the work goes on, and nothing is lost or left over.

The disk driver dies with requests at the device: the drive is throttled, so that they stay there.
After each round the figures of every account are those after the first restart, to the unit.
"""

import hashlib
import random
import re
import tarfile
import time
from io import BytesIO
from pathlib import Path

from harness import TOP, check, equal, limit, note
from session import Session

KIB = 1024
IOPS = 40  # slow enough to keep the device's hands full, whatever the host does besides
FILES = {"a": 3000 * KIB, "b": 1, "c": 70000, "folder/d": 400 * KIB + 17, "e": 0}

ROUNDS, KILLS_A_ROUND = 5, 10
CLEARED = rb"devd: virtio-blk: cleared away, (\d+) requests were in flight, (\d+) pages let go"


def make_disk(tmp, seed, **sizes):
    """An archive of FILES, some of other sizes; the sums of its files."""
    draw, sums = random.Random(seed), {}
    with tarfile.open(tmp / "disk.tar", "w") as tar:
        for name, size in (FILES | sizes).items():
            data = draw.randbytes(size)
            info = tarfile.TarInfo(name)
            info.size = size
            tar.addfile(info, BytesIO(data))
            sums[name] = hashlib.sha256(data).hexdigest()
    return tmp / "disk.tar", sums


class Work:
    """Sums of all files by a job, while something else happens."""

    def __init__(self, shell, sums):
        self.shell, self.sums = shell, sums
        self.throttled = shell.machine.bus != "ram"
        if self.throttled:
            shell.machine.set_iops(IOPS)
        self.start = len(shell.machine.output)
        shell.ask("sha256sum " + " ".join(f"/disk/{name}" for name in sums) + " &")

    def finish(self):
        """Lets it come to its end, unthrottled: every sum is right."""
        shell = self.shell
        if self.throttled:
            shell.machine.set_iops(0)
        shell.ask("wait", timeout=60)
        text = shell.machine.since(self.start)
        got = {n: s for s, n in re.findall(r"([0-9a-f]{64})  /disk/(\S*)", text)}
        equal(got, self.sums, "the sums that the job printed")


def settled(shell, expected=None):
    """The figures of all accounts at rest: what ended may take a moment to be put away.

    The shell's own channels to other services are part of them, so it uses each one first.
    """
    for _ in range(20):
        shell.ask("ls /disk; drivers; sleep 0.1")
        figures = shell.mem()
        if expected is None or figures == expected:
            break
    return figures


def same_figures(shell, expected, when):
    figures = settled(shell, expected)
    wrong = [f"{name}: {figures.get(name)}, was {was}" for name, was in expected.items()
             if figures.get(name) != was]
    check(figures == expected, f"{when}: (pages, objects, quarantined) of " + "; ".join(wrong))


def after_first_restart(shell, sums, services=("virtio-blk",)):
    """Work is done once and each service has restarted once: the figures to be kept."""
    work = Work(shell, sums)
    for name in services:
        shell.survive(f"kill {name}")
    work.finish()
    return settled(shell)


def kill_driver(shell):
    """Kills the disk driver; how many requests were in flight at the device. It is up again then."""
    shell.machine.send("kill virtio-blk\r")
    cleared = shell.machine.expect(CLEARED, 20)
    shell.machine.expect(rb"virtio-blk: \d+ sectors", 20)
    return int(cleared[1])


def wait_for_reads(shell):
    """Until the device has answered something, so that the work is going on."""
    def count():
        return shell.machine.block_stats()["rd_operations"]
    before, deadline = count(), time.monotonic() + 20
    while count() == before:
        check(time.monotonic() < deadline, "nothing is read")
        time.sleep(0.005)


@limit(240)
def test_fifty_kills(arch, tmp, seed):
    disk, sums = make_disk(tmp, seed)
    draw = random.Random(seed)
    with Session(arch, disk=disk) as shell:
        before = after_first_restart(shell, sums)
        in_flight = []
        for turn in range(ROUNDS):
            work = Work(shell, sums)
            for _ in range(KILLS_A_ROUND):
                wait_for_reads(shell)
                time.sleep(draw.uniform(0, 0.25))
                in_flight.append(kill_driver(shell))
            work.finish()
            same_figures(shell, before, f"after {len(in_flight)} kills")
        check("starts again in" not in shell.log(), "an operator's kill waited for a back-off")
        kills = ROUNDS * KILLS_A_ROUND + 1
        equal(shell.ps()["virtio-blk"]["restarts"], kills, "restarts in ps")
        equal(shell.drivers()["virtio-blk"], {"device": shell.drivers()["virtio-blk"]["device"],
                                              "state": "driven", "starts": kills + 1}, "drivers")
        for name in ("files", "devd", "console", "shell"):
            equal(shell.ps()[name]["restarts"], 0, f"restarts of {name}")
    note("in flight at each kill: " + " ".join(map(str, in_flight)))
    check(sum(n >= 1 for n in in_flight) >= 45, f"too few kills with a request in flight: {in_flight}")
    check(sum(n >= 4 for n in in_flight) >= 20, f"too few with four in flight: {in_flight}")


# ---- every step of the driver


def fault_points():
    """{name: its constant}, from the driver's own source."""
    text = (TOP / "user/drivers/virtio-blk/fault.c").read_text()
    return {name: constant for constant, name in re.findall(r"\[(FAULT_\w+)\] = \"([^\"]+)\"", text)}


def report_of(text, service):
    """The last crash report of a service in a log."""
    found = re.findall(rf"init: crash of {service} \(.*?init: {service} crashed\n", text, re.DOTALL)
    check(found, f"no crash report of {service} in:\n{text[-2000:]}")
    return found[-1]


def source_lines(report):
    """The lines of the source that a backtrace names."""
    lines = []
    for file, number in re.findall(r" (?:at|link|from) 0x[0-9a-f]+ \S+ (\S+):(\d+)", report):
        path = TOP / file
        if path.is_file() and int(number) > 0:
            lines.append(path.read_text().split("\n")[int(number) - 1].strip())
    return lines


@limit(240)
def test_a_crash_at_every_step(arch, tmp, seed):
    disk, sums = make_disk(tmp, seed)
    draw = random.Random(seed)
    with Session(arch, disk=disk) as shell:
        before = after_first_restart(shell, sums)
        for name, constant in fault_points().items():
            restarts = shell.ps()["virtio-blk"]["restarts"]
            early = name.startswith(("start-", "attach-"))
            work = Work(shell, sums)
            time.sleep(0.2)
            start = shell.machine.position
            shell.ask(f"run fault {name} {0 if early else draw.randrange(12)}")
            shell.machine.position = start
            for _ in range(1 + early):  # these act in the next start, which a crash brings about
                shell.machine.expect(rb"init: virtio-blk crashed", 20)
            cleared = shell.machine.expect(CLEARED, 20)
            work.finish()
            same_figures(shell, before, f"after a crash at {name}")
            equal(shell.ps()["virtio-blk"]["restarts"] - restarts, 1 + early,
                  f"restarts after a crash at {name}")
            report = report_of(shell.log(), "virtio-blk")
            check(any(constant in line for line in source_lines(report)),
                  f"the report of a crash at {name} does not lead to it:\n{report}")
            note(f"{name}: {int(cleared[1])} in flight")
            shell.ask("kill virtio-blk")  # so that the next one has no back-off


# ---- the others


def clients_die(arch, tmp, seed, cpus):
    disk, sums = make_disk(tmp, seed)
    draw = random.Random(seed)
    with Session(arch, disk=disk, cpus=cpus) as shell:
        before = after_first_restart(shell, sums, ("files",))
        restarts = shell.ps()["virtio-blk"]["restarts"]
        for _ in range(8):
            work = Work(shell, sums)
            time.sleep(draw.uniform(0, 0.5))
            shell.ask("kill files")
            work.finish()
            same_figures(shell, before, "after kill files")
        for _ in range(4):
            Work(shell, sums)
            time.sleep(draw.uniform(0, 0.5))
            shell.ask("kill job1")
            shell.machine.set_iops(0)
            check("job1 was killed" in shell.ask("wait"), "wait does not tell that job1 was killed")
            same_figures(shell, before, "after kill job1")
        # Both at once, and one just after the other.
        for command in ("kill files; kill virtio-blk", "kill virtio-blk; kill files",
                        "kill files; kill files; kill virtio-blk; kill virtio-blk"):
            work = Work(shell, sums)
            time.sleep(0.3)
            shell.ask(command)
            work.finish()
            same_figures(shell, before, f"after {command}")
        log = shell.log()
        check("crash of" not in log, f"something crashed:\n{log}")
        check("a client is cut off" not in log, f"the driver cut a client off:\n{log}")


@limit(240)
def test_clients_die_in_the_middle(arch, tmp, seed):
    """The file service, and who reads through it: the driver goes on, and all is given back."""
    clients_die(arch, tmp, seed, cpus=1)


def everybody_dies(arch, tmp, seed, cpus):
    disk, sums = make_disk(tmp, seed)
    services = ("devd", "files", "virtio-blk", "console")
    with Session(arch, disk=disk, cpus=cpus) as shell:
        before = after_first_restart(shell, sums, services)
        for name in services + services[::-1]:
            work = Work(shell, sums)
            time.sleep(0.3)
            shell.survive(f"kill {name}")
            work.finish()
            same_figures(shell, before, f"after kill {name}")
        # devd in the middle of clearing the driver away, at whatever step it is.
        for pause in ("0", "0.001", "0.002", "0.003", "0.005", "0.01", "0.02"):
            work = Work(shell, sums)
            time.sleep(0.3)
            shell.survive(f"kill virtio-blk; sleep {pause}; kill devd")
            work.finish()
            same_figures(shell, before, f"after kill devd {pause} s after its driver")
        # The shell's own end takes its job's watcher along, not the job.
        shell.machine.set_iops(0)
        shell.machine.send("kill shell\r")
        shell.machine.expect(rb"Skerry is up", 20)
        shell.machine.expect(rb"skerry> ", 20)
        equal(shell.sums(sums), sums, "the sums after kill shell")
        shell.ask("sleep 0.1 &")
        shell.ask("wait")
        same_figures(shell, before, "after kill shell")


@limit(240)
def test_everybody_dies_in_the_middle(arch, tmp, seed):
    everybody_dies(arch, tmp, seed, cpus=1)


# ---- a driver that cannot be helped


def device_status(shell):
    """The bits of the disk's status register, from QEMU itself; none after a reset."""
    path = next(d["path"] for d in shell.machine.qmp("x-query-virtio") if "blk" in d["name"])
    return shell.machine.qmp("x-query-virtio-status", path=path)["status"]["statuses"]


@limit(240)
def test_a_driver_that_keeps_crashing(arch, tmp, seed):
    disk, sums = make_disk(tmp, seed)
    with Session(arch, disk=disk) as shell:
        before = after_first_restart(shell, sums)
        check("VIRTIO_CONFIG_S_DRIVER_OK" in " ".join(device_status(shell)), "no status from QEMU")
        Work(shell, sums)
        held = rb"init: virtio-blk crashed (\d+) times in a row and is held; 'kill virtio-blk'"
        start = shell.machine.position
        for _ in range(6):  # each is a crash now and one at the next start
            shell.ask("run fault start-run", timeout=30)
        shell.machine.position = start
        times = int(shell.machine.expect(held, 30)[1])
        waits = [int(ms) for ms in re.findall(r"virtio-blk starts again in (\d+) ms", shell.log())]
        equal(waits[:6], [100 << i for i in range(6)], "back-off")
        check(max(waits) == waits[-1] == 5000, f"the back-off's cap: {waits}")
        equal(shell.ps()["virtio-blk"]["state"], "held", "what ps says")
        equal(shell.drivers()["virtio-blk"]["state"], "failed", "what drivers says")
        note(f"held after {times} crashes; waits {waits} ms; "
             f"{shell.drivers()['virtio-blk']['starts']} starts")
        check("cannot be used: its driver is held" in shell.log(), "devd does not say it is held")
        text = shell.ask("wait; cat /disk/a; echo shell lives")
        check("cat: /disk/a: the disk's driver is not there" in text and "shell lives" in text,
              f"reading said {text!r}")
        equal(shell.mem().get("virtio-blk"), None, "the account of a driver that is held")
        equal(shell.mem()["machine"][2], 0, "pages in quarantine while the driver is held")
        equal(device_status(shell), [], "what QEMU says that the device's status is")
        shell.ask("kill virtio-blk")
        work = Work(shell, sums)
        work.finish()
        same_figures(shell, before, "after the held driver was started again")
        equal(shell.ps()["virtio-blk"]["state"], "ready", "what ps says at the end")
        equal(shell.drivers()["virtio-blk"]["state"], "driven", "what drivers says at the end")


# ---- what is told about a crash


def test_a_report_is_complete(arch):
    disk = TOP / "build" / "disk.tar"
    with Session(arch, disk=disk) as shell:
        shell.ask("crash write")
        report = report_of(shell.log(), "crash")
    lines = report.split("\n")
    check(re.match(r"init: crash of crash \(program crash, thread \d+\): write to 0x[0-9a-f]+, "
                   r"code 0x[0-9a-f]+$", lines[0]), f"the first line: {lines[0]!r}")
    registers = dict(re.findall(r" ([a-z][a-z0-9]*) ([0-9a-f]{16})\b", report))
    wanted = {"x86_64": {"rax", "rsp", "rbp", "r15", "rip", "rflags"},
              "aarch64": {"x0", "x19", "x30", "sp", "pc"}}[arch]
    check(wanted <= set(registers), f"registers {sorted(registers)} of:\n{report}")
    trace = re.findall(r" (?:at|link|from) 0x[0-9a-f]+ (\w+) (user/\S+):(\d+)", report)
    functions = [function for function, _, _ in trace]
    equal(functions[0], "crash_write", f"the first function of:\n{report}")
    # main may have swallowed crash_write.
    check(re.search(r"\bmain\b", report) and "sdk_entry" in functions, f"no way back in:\n{report}")
    check(all(Path(TOP / file).is_file() for _, file, _ in trace), f"files in:\n{report}")
