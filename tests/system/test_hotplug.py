# SPDX-License-Identifier: MIT
"""Devices that come and go while the machine runs, in slots of PCI Express ports.

QMP's device_del presses the slot's button, and takes the device out once the guest has switched
the slot off; to take the realised state from a device makes it vanish without a word to anybody.
"""

import hashlib
import random
import re
import tarfile
import time
from io import BytesIO

from harness import arches, check, equal, limit, long, note
from session import Session
from test_restart import same_figures, settled

KIB = 1024
IOPS = 40  # slow enough to keep the device's hands full
FILES = {"a": 2000 * KIB, "b": 1, "folder/c": 70000}
ROUNDS = 3
OUT = "the disk was taken out"
CLEARED = r"devd: virtio-blk: cleared away, (\d+) requests were in flight, (\d+) pages let go"
DEVICE = r"pci@0*(\d+),00\.0"


def make_disk(path, seed, files=None):
    draw, sums = random.Random(seed), {}
    with tarfile.open(path, "w") as tar:
        for name, size in (files or FILES).items():
            data = draw.randbytes(size)
            info = tarfile.TarInfo(name)
            info.size = size
            tar.addfile(info, BytesIO(data))
            sums[name] = hashlib.sha256(data).hexdigest()
    return sums


class Slots(Session):
    """A machine with two slots; `disks` are there to be plugged in, each behind a throttle."""

    def __init__(self, arch, disks, plugged=None, port="pcie-root-port", **machine):
        extra = []
        if arch == "x86_64":  # else the ports leave plugging to ACPI, whose methods nobody runs
            extra += ["-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"]
        extra += ["-object", f"throttle-group,id=pace,x-iops-total={IOPS}"]
        for slot in (1, 2):
            extra += ["-device", f"{port},id=port{slot},chassis={slot},slot={slot}"]
        for i, path in enumerate(disks):
            extra += ["-blockdev", f"driver=raw,node-name=file{i},read-only=on,"
                      f"file.driver=file,file.filename={path}",
                      "-blockdev", f"driver=throttle,node-name=disk{i},throttle-group=pace,"
                      f"read-only=on,file=file{i}"]
        if plugged is not None:
            extra += ["-device", "virtio-blk-pci,disable-legacy=on,id=device,bus=port1,"
                      f"drive=disk{plugged}"]
        super().__init__(arch, extra=extra, **machine)
        self.mark = 0

    def told(self, pattern, timeout=30):
        """Waits until the console has printed it, since the last thing that was done to a slot."""
        deadline = time.monotonic() + timeout
        while not (match := re.search(pattern, self.machine.since(self.mark))):
            check(time.monotonic() < deadline, f"nobody said {pattern!r} in {timeout} s")
            time.sleep(0.05)
        return match

    def act(self, command, **arguments):
        self.mark = len(self.machine.output)
        self.machine.qmp(command, **arguments)

    def pace(self, iops):
        limits = {"iops-total": iops}
        self.machine.qmp("qom-set", path="/objects/pace", property="limits", value=limits)

    def plug(self, driver="virtio-blk-pci", name="device", slot=1, **options):
        if driver == "virtio-blk-pci":
            options = {"disable-legacy": "on", "drive": "disk0"} | options
        self.act("device_add", driver=driver, id=name, bus=f"port{slot}", **options)
        self.told(f"slot {slot}: plugged in")

    def press(self, name="device"):
        self.act("device_del", id=name)

    def out(self, slot=1, name=None):
        """Waits until the emulator says that nothing is behind the port, and the device's name is free."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            ports = {d.get("qdev_id"): d for d in self.machine.qmp("query-pci")[0]["devices"]}
            names = [d["name"] for d in self.machine.qmp("qom-list", path="/machine/peripheral")]
            if not ports[f"port{slot}"]["pci_bridge"].get("devices") and name not in names:
                return
            time.sleep(0.02)
        check(False, f"there is a device in slot {slot}")

    def is_empty(self, slot=1):
        """Waits until it is, and sees that the emulator agrees."""
        self.told(f"devd: slot {slot} is empty")
        self.out(slot)

    def vanish(self, name="device"):
        self.act("qom-set", path=f"/machine/peripheral/{name}", property="realized", value=False)

    def functions(self):
        """{requester: first compatible name} of what the hardware tree shows behind ports."""
        text = self.ask("hwtree")
        return {int(bus): kind for bus, kind in
                re.findall(rf"{DEVICE} {{\n\s*compatible = \"([^\"]*)\"", text) if int(bus) != 0}

    def states(self):
        """{kind: (driver, state)} of devices in slots, as `drivers` shows them."""
        rows = re.findall(rf"^{DEVICE} +(\S+) +(\S+) +(\S+) +\d+ \S+\n", self.ask("drivers"),
                          re.MULTILINE)
        return {kind: (driver, state) for bus, kind, driver, state in rows if int(bus) != 0}

    def right(self, sums):
        self.pace(0)
        equal(self.sums(sums), sums, "the sums")


DISK = "pci:1af4:1042"


def load(shell, sums):
    """Sums by a job, of a disk so slow that requests are at the device all the time."""
    shell.pace(IOPS)
    start = len(shell.machine.output)
    shell.ask("sha256sum " + " ".join(f"/disk/{name}" for name in sums) + " &")
    return start


def ended_cleanly(shell, start, sums):
    """The job ends by itself, and says why it has no sum."""
    shell.ask("wait", timeout=30)
    text = shell.machine.since(start)
    check(f"sha256sum: /disk/a: {OUT}" in text, f"the job said {text[-2000:]}")
    for total, name in re.findall(r"([0-9a-f]{64})  /disk/(\S*)", text):
        equal(total, sums[name], f"the sum of {name} while the disk went")


def took_out(shell):
    match = shell.told(CLEARED)
    return int(match[1]), int(match[2])


@limit(240)
def test_taken_out_under_load(arch, tmp, seed):
    """Requests are in flight each time; clients hear of it at once; nothing is left over."""
    sums = make_disk(tmp / "disk.tar", seed)
    in_flight, figures = [], None
    with Slots(arch, [tmp / "disk.tar"], plugged=0, cpus=2) as shell:
        shell.right(sums)
        equal(shell.states(), {DISK: ("virtio-blk", "driven")}, "drivers")
        for _ in range(ROUNDS):
            start = load(shell, sums)
            shell.press()
            shell.told("leaves: its button was pressed")
            flying, pages = took_out(shell)
            check(flying > 0 and pages > 0, f"{flying} requests in flight, {pages} pages")
            in_flight.append(flying)
            ended_cleanly(shell, start, sums)
            shell.is_empty()
            equal(shell.functions(), {}, "the hardware tree of an empty slot")
            equal(shell.states(), {DISK: ("virtio-blk", "gone")}, "drivers of an empty slot")
            check(OUT in shell.ask("ls /disk; cat /disk/b"), "an empty slot can be read")
            equal(shell.ps()["virtio-blk"]["state"], "stopped", "the driver")
            shell.plug()
            shell.right(sums)
            equal(shell.states(), {DISK: ("virtio-blk", "driven")}, "drivers")
            check(DISK in shell.functions().values(), "the hardware tree lacks the disk")
            if figures is None:
                figures = settled(shell)
            else:
                same_figures(shell, figures, "after a disk came back")
        equal(shell.mem()["machine"][2], 0, "pages in quarantine")
    note(f"requests in flight when it left: {in_flight}")


@limit(240)
def test_vanishes_under_load(arch, tmp, seed):
    """No button, no event, no interrupt: registers read as all ones, and nothing answers."""
    sums = make_disk(tmp / "disk.tar", seed)
    with Slots(arch, [tmp / "disk.tar"], plugged=0, cpus=2) as shell:
        shell.right(sums)
        for number in range(ROUNDS):
            start = load(shell, sums)
            time.sleep(0.5)
            shell.vanish("device" if number == 0 else f"device{number}")
            shell.told("virtio-blk: the device is gone", 20)
            shell.told("leaves: it does not answer any more")
            flying, pages = took_out(shell)
            check(flying > 0 and pages > 0, f"{flying} requests in flight, {pages} pages")
            ended_cleanly(shell, start, sums)
            shell.is_empty()
            equal(shell.states(), {DISK: ("virtio-blk", "gone")}, "drivers of an empty slot")
            shell.plug(name=f"device{number + 1}")
            shell.right(sums)
        equal(shell.mem()["machine"][2], 0, "pages in quarantine")


@limit(180)
def test_taken_out_while_its_driver_starts(arch, tmp, seed):
    """The driver is between two crashes, and init holds its objects: it is not started any more."""
    sums = make_disk(tmp / "disk.tar", seed)
    with Slots(arch, [tmp / "disk.tar"], plugged=0) as shell:
        shell.right(sums)
        shell.type("; ".join(["run fault start-run"] * 4))
        shell.wait_for("virtio-blk starts again in 3200 ms", 30)
        shell.press()  # takes 5 s, and the next start after this one is 8 s away
        shell.wait_for("virtio-blk starts again in 5000 ms", 30)
        shell.is_empty()
        equal(shell.states(), {DISK: ("virtio-blk", "gone")}, "drivers of an empty slot")
        check(OUT in shell.ask("cat /disk/a", 30), "an empty slot can be read")
        before = shell.ps()["virtio-blk"]
        shell.ask("sleep 6")
        equal(shell.ps()["virtio-blk"], before, "the driver of what is not there")
        shell.plug()
        shell.right(sums)
        equal(shell.mem()["machine"][2], 0, "pages in quarantine")


@long
@limit(240)
def test_killed_around_its_removal(arch, tmp, seed):
    """The driver is killed again and again while it is taken out, and the disk is back at once."""
    draw, figures = random.Random(seed), None
    sums = make_disk(tmp / "disk.tar", seed)
    with Slots(arch, [tmp / "disk.tar"], plugged=0, cpus=2) as shell:
        shell.right(sums)
        for _ in range(ROUNDS):
            load(shell, sums)
            shell.press()
            time.sleep(4.9)  # of the 5 s
            for _ in range(10):
                shell.machine.send("kill virtio-blk\r")
                time.sleep(draw.uniform(0.005, 0.06))
            shell.told("leaves: its button was pressed")
            shell.out(name="device")
            shell.plug()  # before the second is over in which the slot gets dark
            shell.ask("wait; echo")
            shell.right(sums)
            if figures is None:
                figures = settled(shell)
            else:
                same_figures(shell, figures, "after a disk came back")


@limit(180)
def test_other_things_in_the_slot(arch, tmp, seed):
    """What nobody drives comes and goes; another disk is another archive; what was open is not."""
    first = make_disk(tmp / "first.tar", seed)
    second = make_disk(tmp / "second.tar", seed + 1, FILES | {"a": FILES["a"] + 512})
    with Slots(arch, [tmp / "first.tar", tmp / "second.tar"]) as shell:
        shell.pace(0)
        equal(shell.functions(), {}, "the hardware tree of empty slots")
        shell.plug("virtio-rng-pci", "noise", slot=2, **{"disable-legacy": "on"})
        equal(list(shell.functions().values()), ["pci:1af4:1044"], "what is in the slots")
        shell.plug()
        shell.right(first)
        shell.press("noise")
        shell.is_empty(2)
        equal(list(shell.functions().values()), [DISK], "what is in the slots")
        shell.press()
        shell.is_empty()
        shell.plug("virtio-rng-pci", "noise", **{"disable-legacy": "on"})
        equal(list(shell.functions().values()), ["pci:1af4:1044"], "what is in the slots")
        equal(shell.states(), {"pci:1af4:1044": ("-", "-")}, "a device without a driver")
        check(OUT in shell.ask("cat /disk/b"), "a noise source can be read as a disk")
        shell.press("noise")
        shell.is_empty()
        shell.plug("e1000e", "net")
        text = shell.ask("hwtree")
        check(re.search(rf"{DEVICE} {{\n\s*compatible = \"pci:8086:10d3\"[^}}]*bar0", text),
              "the registers of a network card have no place")
        shell.press("net")
        shell.is_empty()
        shell.plug(drive="disk1")
        shell.right(second)


@limit(120)
def test_another_disk_of_the_same_size(arch, tmp, seed):
    """Small enough to be all in the file service's memory: nothing of it is taken for the other one."""
    disks = [tmp / "first.tar", tmp / "second.tar"]
    first = make_disk(disks[0], seed, {"a": 3000, "same": 700})
    second = make_disk(disks[1], seed + 1, {"a": 3000, "same": 700})
    equal(disks[0].stat().st_size, disks[1].stat().st_size, "the sizes")
    with Slots(arch, disks, plugged=0) as shell:
        shell.right(first)
        shell.press()
        shell.is_empty()
        shell.plug(drive="disk1")
        shell.right(second)


@limit(180)
def test_devd_dies_meanwhile(arch, tmp, seed):
    """The next devd finds slots as they are: full, just leaving, or empty."""
    sums = make_disk(tmp / "disk.tar", seed)
    with Slots(arch, [tmp / "disk.tar"], plugged=0) as shell:
        shell.right(sums)
        shell.press()
        shell.survive("kill devd")  # in the 5 s in which the button can be pressed again
        shell.right(sums)
        time.sleep(5)  # the emulator counts as well
        shell.press()
        shell.is_empty()
        shell.survive("kill devd")
        equal(shell.functions(), {}, "the hardware tree of an empty slot")
        shell.plug()
        shell.right(sums)


def comes_and_goes(arch, tmp, seed, polled=False, options=None, **machine):
    sums = make_disk(tmp / "disk.tar", seed)
    with Slots(arch, [tmp / "disk.tar"], **machine) as shell:
        for _ in range(2):
            shell.plug(**(options or {}))
            shell.right(sums)
            shell.press()
            shell.is_empty()
        equal("is looked at every 250 ms" in shell.machine.text(), polled, "the port has no interrupt")


@limit(120)
def test_vanishes_and_is_missed_later(arch, tmp, seed):
    """It had nothing to do; what it is given next is not answered, and nothing interrupts."""
    sums = make_disk(tmp / "disk.tar", seed)
    with Slots(arch, [tmp / "disk.tar"], plugged=0) as shell:
        shell.right(sums)
        shell.vanish()
        shell.ask("sleep 2")
        equal(shell.states(), {DISK: ("virtio-blk", "driven")}, "what nobody has missed")
        start = load(shell, sums)
        shell.told("virtio-blk: the device is gone", 20)
        ended_cleanly(shell, start, sums)
        shell.is_empty()
        shell.plug(name="other")
        shell.right(sums)
        equal(shell.mem()["machine"][2], 0, "pages in quarantine")


@limit(120)
def test_vanishes_while_its_driver_starts(arch, tmp, seed):
    """The driver finds registers that make no sense, whatever they read as, and ends."""
    sums = make_disk(tmp / "disk.tar", seed)
    with Slots(arch, [tmp / "disk.tar"], plugged=0) as shell:
        shell.right(sums)
        shell.type("; ".join(["run fault start-run"] * 3))
        shell.told("virtio-blk starts again in 800 ms")
        shell.vanish()
        shell.told("leaves: it does not answer any more")
        shell.is_empty()
        equal(shell.states(), {DISK: ("virtio-blk", "gone")}, "drivers of an empty slot")
        shell.plug(name="other")
        shell.right(sums)
        equal(shell.mem()["machine"][2], 0, "pages in quarantine")


@limit(120)
@arches("aarch64")
def test_by_an_its(arch, tmp, seed):
    comes_and_goes(arch, tmp, seed, gic=3, cpus=2)


@limit(120)
def test_by_an_msi_capability(arch, tmp, seed):
    """A port that has an MSI capability and no MSI-X."""
    comes_and_goes(arch, tmp, seed, port="ioh3420")


@long
@limit(120)
@arches("aarch64")
def test_without_messages(arch, tmp, seed):
    """Where nothing takes messages a port is looked at, and a disk interrupts by the line that its port passes on."""
    comes_and_goes(arch, tmp, seed, polled=True, command_line="messages=off")


@long
@limit(240)
def test_of_a_newer_emulator(arch, tmp, seed):
    comes_and_goes(arch, tmp, seed, qemu10=True)


@long
@limit(240)
def test_numbers_and_windows_of_a_uefi(arch, tmp, seed):
    comes_and_goes(arch, tmp, seed, firmware="uefi", boot_timeout=90)
