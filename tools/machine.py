# SPDX-License-Identifier: MIT
"""One QEMU machine that runs Skerry: started, talked to, watched, stopped.

    with Machine(arch="aarch64", disk="disk.tar") as m:
        m.expect(rb"skerry> ", timeout=20)
        m.send("ps\\n")

The serial line is QEMU's standard input and output, QMP a socket pair that it
inherits, so there are no files to name and nothing to wait for. A thread reads
the serial line all the time; addresses in it are symbolised before anybody
sees them.
"""

import fcntl
import json
import os
import re
import select
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import bundle
import image
from symbols import Stream, Symbolizer

TOP = Path(__file__).resolve().parent.parent
ARCHES = ("x86_64", "aarch64")
FIRMWARES = ("direct", "uefi")  # QEMU loads the kernel; or a UEFI from a disk does
UEFI = {"x86_64": "/usr/share/ovmf/OVMF.fd",
        "aarch64": "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"}
# A guest that prints faster than it is read meets a UART that takes no more, and
# gives up on it after a while. A pipe has room for many single bytes; a socket,
# which counts some hundreds of bytes for each, has not.
PIPE_BYTES = 1 << 20
COMMAND_LINE_MAX = 1023  # ABI_COMMAND_LINE, less its terminator


class MachineError(Exception):
    """The machine did not do what was asked; the text says what."""


MACHINES = {"x86_64": ("q35", "pc", "microvm"), "aarch64": ("virt", "raspi4b")}
QEMU10 = TOP / "build" / "deps" / "qemu10"
BOARD_TREES = TOP / "build" / "deps" / "boards"
MEMORY, CPUS = "512M", 1  # where nobody says

# Boards that the emulator has as they are: their memory and CPUs cannot be chosen. `tree`: the device tree that
# their firmware would give, among Debian's; `serial`: which of the emulator's serial lines is the
# console that it names; `disk`: how a disk is reached.
BOARDS = {"raspi4b": {"memory": "2G", "cpus": 4, "cpu": "cortex-a72", "gic": 2, "serial": 1, "disk": "ram",
                      "tree": "broadcom/bcm2711-rpi-4-b.dtb"}}
DISKS = ("pci", "mmio", "ram")


def machine_argument(arch, machine, gic):
    """What -M takes: a machine's name, and behind commas options of it that are QEMU's."""
    machine = machine or MACHINES[arch][0]
    name = machine.split(",")[0]
    if name not in MACHINES[arch]:
        raise MachineError(f"there is no machine {name} for {arch}: choose one of {', '.join(MACHINES[arch])}")
    if gic and arch == "x86_64":
        raise MachineError("a PC has no GIC")
    if name in BOARDS and int(gic or BOARDS[name]["gic"]) != BOARDS[name]["gic"]:
        raise MachineError(f"{name} has a GICv{BOARDS[name]['gic']}")
    return f"{machine},gic-version={gic or 2}" if name == "virt" else machine


def qemu_arguments(arch, machine, memory, cpus, cpu, gic):
    if not re.fullmatch("[1-9][0-9]*(,.*)?", str(cpus)):
        raise MachineError(f"{cpus} is no number of CPUs")
    # `max` has SMEP, SMAP and UMIP; the named models that do also name
    # features that emulation lacks, and QEMU warns about each.
    board = BOARDS.get((machine or "").split(",")[0], {})
    model = cpu or board.get("cpu") or ("max" if arch == "x86_64" else "cortex-a57")
    return ["-M", machine_argument(arch, machine, gic), "-accel", "tcg", "-cpu", model, "-m",
            str(memory), "-smp", str(cpus), "-nodefaults", "-display", "none", "-no-reboot",
            "-no-user-config"]


def qemu_program(arch, qemu10):
    """The emulator: how its command line begins, and its environment."""
    name = f"qemu-system-{arch}"
    if not qemu10:
        return [name], None
    if subprocess.run(["sh", str(TOP / "tools" / "qemu10.sh")], stdin=subprocess.DEVNULL).returncode != 0:
        raise MachineError("QEMU 10 could not be fetched; see above")
    # It was not installed: its firmware, modules and libraries are where it does not look.
    usr = QEMU10 / "usr"
    libraries = next((usr / "lib").glob("*-linux-gnu"))
    folders = [word for name in ("qemu", "seabios") for word in ("-L", str(usr / "share" / name))]
    return [str(usr / "bin" / name), *folders], os.environ | {
        "LD_LIBRARY_PATH": str(libraries), "QEMU_MODULE_DIR": str(libraries / "qemu")}


def disk_arguments(path, iops, mmio):
    # Absolute, or a colon in the name would be taken for a protocol; in an
    # option's value a comma is written twice.
    value = str(Path(path).resolve()).replace(",", ",,")
    drive = f"if=none,id=disk,format=raw,readonly=on,file={value}"
    if iops:
        drive += f",throttling.iops-total={iops}"
    if mmio:
        return ["-drive", drive, "-global", "virtio-mmio.force-legacy=false",
                "-device", "virtio-blk-device,drive=disk"]
    return ["-drive", drive, "-device", "virtio-blk-pci,disable-legacy=on,drive=disk"]


def board_tree(name):
    """The device tree of a board: Debian's, fetched where it is not there yet."""
    path = BOARD_TREES / BOARDS[name]["tree"]
    if not path.is_file():
        path.parent.parent.parent.mkdir(parents=True, exist_ok=True)
        with open(BOARD_TREES.parent / "boards.lock", "w") as lock:  # tests that run at the same time want it once
            fcntl.flock(lock, fcntl.LOCK_EX)
            done = subprocess.run(["sh", str(TOP / "tools" / "setup.sh"), "+boards"], stdin=subprocess.DEVNULL)
        if done.returncode != 0 or not path.is_file():
            raise MachineError(f"the device tree of {name} could not be fetched; see above")
    return path


def with_disk(boot_bundle, disk, folder):
    """A copy of a boot bundle that holds a disk too, for the driver `ram-disk`."""
    try:
        files = bundle.files_of(boot_bundle.read_bytes())
    except ValueError as error:
        raise MachineError(f"{boot_bundle}: {error}") from None
    path = folder / "bundle.img"
    path.write_bytes(bundle.bundle([*files, ("disk", Path(disk).read_bytes())]))
    return path


def uefi_arguments(arch, disk):
    """The firmware, and the disk that it starts from as a stick: the guest has no driver for it."""
    return ["-bios", UEFI[arch], "-device", "qemu-xhci", "-drive",
            f"if=none,id=boot,format=raw,file={str(disk).replace(',', ',,')}",
            "-device", "usb-storage,drive=boot,bootindex=0"]


class Machine:
    """A guest. Every wait is bounded and raises MachineError when it is over."""

    started_here = []  # every one of this process: a failed test shows what they said

    def __init__(self, arch="x86_64", build="dev", disk=None, memory=None, cpus=None, cpu=None,
                 gic=None, command_line="", iops=None, extra=(), build_folder=None, machine=None,
                 qemu10=False, bus=None, firmware="direct", boot_files=None):
        """`machine`: its name, and behind commas options of QEMU's -M. `firmware`: see FIRMWARES; uefi
        starts a copy of `make image`'s disk, with files of it replaced: `boot_files` is {path: bytes, or
        None to remove it}. An AArch64 firmware describes the machine by ACPI, with
        machine="virt,acpi=off" by the device tree. `bus` is how the guest reaches its disk (DISKS):
        ram puts it into the boot bundle."""
        self.arch = arch
        self.folder = Path(build_folder or TOP / "build" / f"{arch}-{build}")
        self.kernel = self.folder / ("kernel.elf" if arch == "x86_64" else "Image")
        self.machine, self.qemu10 = machine or MACHINES[arch][0], qemu10
        self.name = self.machine.split(",")[0]
        self.board = BOARDS.get(self.name, {})
        if self.board and not qemu10:
            raise MachineError(f"{self.name} needs QEMU10=1: a newer emulator, which is fetched")
        if self.board and firmware != "direct":
            raise MachineError(f"there is no UEFI for {self.name}")
        memory = memory or self.board.get("memory", MEMORY)
        cpus = self.board.get("cpus", CPUS) if cpus is None else cpus
        self.arguments = qemu_arguments(arch, machine, memory, cpus, cpu, gic)
        if firmware not in FIRMWARES:
            raise MachineError(f"FIRMWARE={firmware} is not known: {' or '.join(FIRMWARES)}")
        self.firmware, self.boot_files = firmware, dict(boot_files or {})
        self.image = TOP / "build" / f"skerry-{build}.img"
        self.disk, self.iops, self.extra = disk, iops, list(extra)
        self.bus = bus or self.board.get("disk") or ("mmio" if self.name == "microvm" else "pci")  # of the disk
        if self.bus not in DISKS or (self.board and self.bus != self.board["disk"]):
            raise MachineError(f"{self.name} has no disk by {self.bus}")
        if self.bus == "ram" and (iops or firmware != "direct"):
            raise MachineError("a disk in the boot bundle cannot be slowed down, nor put into `make image`'s")
        self.command_line = command_line
        self.symbolizer = Symbolizer(self.folder)
        self.output = bytearray()  # all that the guest ever printed, symbolised
        self.position = 0  # how far expect() has consumed it
        self.changed = threading.Condition()
        self.ended = False  # the serial line is at its end
        self.process = self.shutdown_reason = None

    # --- life ---------------------------------------------------------------

    def start(self):
        if len(self.command_line.encode()) > COMMAND_LINE_MAX:
            raise MachineError(f"the kernel command line is longer than {COMMAND_LINE_MAX} bytes")
        if self.disk is not None and not os.path.isfile(self.disk):
            what = "is not a regular file" if os.path.exists(self.disk) else "does not exist"
            raise MachineError(f"the disk {self.disk} {what}")
        if not self.kernel.is_file():
            raise MachineError(f"{self.kernel} is not built")
        with tempfile.TemporaryDirectory() as folder:  # QEMU has its files open when it answers
            return self._start(Path(folder))

    def _loading(self, folder):
        """QEMU's arguments for what is started, and by whom."""
        if self.firmware == "direct":
            arguments = ["-kernel", str(self.kernel), "-append", self.command_line]
            if self.board:
                arguments += ["-dtb", str(board_tree(self.name))]
            boot_bundle = self.folder / "boot.img"
            if self.disk is not None and self.bus == "ram":
                boot_bundle = with_disk(boot_bundle, self.disk, folder)
            return arguments + (["-initrd", str(boot_bundle)] if boot_bundle.is_file() else [])
        if not self.image.is_file():
            raise MachineError(f"{self.image} is not built (make image)")
        disk = folder / "boot.img"
        subprocess.run(["cp", "--sparse=always", str(self.image), str(disk)], check=True)
        try:
            image.set_command_line(disk, self.arch, self.command_line)
            for path, data in self.boot_files.items():
                image.replace(disk, path, data)
        except image.ImageError as error:
            raise MachineError(f"{self.image}: {error}") from None
        return uefi_arguments(self.arch, disk)

    def _start(self, folder):
        program, environment = qemu_program(self.arch, self.qemu10)
        self.monitor, monitor = socket.socketpair()
        arguments = program + self.arguments + [
            "-chardev", "stdio,id=serial,signal=off", *["-serial", "null"] * self.board.get("serial", 0),
            "-serial", "chardev:serial",
            "-chardev", f"socket,id=qmp,fd={monitor.fileno()}", "-mon", "chardev=qmp,mode=control",
            "-S"]  # until it has answered below: a short program may be over before
        arguments += self._loading(folder)
        if self.disk is not None and self.bus != "ram":
            arguments += disk_arguments(self.disk, self.iops, self.bus == "mmio")
        arguments += self.extra
        self.process = subprocess.Popen(
            arguments, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, pass_fds=[monitor.fileno()], env=environment)
        fcntl.fcntl(self.process.stdout, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        monitor.close()
        self.started = time.monotonic()
        Machine.started_here.append(self)
        self.replies = []
        self.said = bytearray()  # what QEMU itself has to say
        self.threads = [threading.Thread(target=f, daemon=True)
                        for f in (self._read_serial, self._read_monitor, self._read_process)]
        for thread in self.threads:
            thread.start()
        try:
            self.qmp("qmp_capabilities")
            if "-S" not in self.extra:
                self.qmp("cont")
        except MachineError:
            self.stop()
            raise
        return self

    def stop(self):
        """Ends the machine, whatever it is doing; does nothing when it has ended."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for thread in self.threads:
            thread.join(5)
        for thing in (self.monitor, self.process.stdin, self.process.stdout, self.process.stderr):
            thing.close()
        self.symbolizer.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def running(self):
        return self.process is not None and self.process.poll() is None

    def wait(self, timeout):
        """Waits for the guest to end by itself: its reason ('guest-shutdown', 'guest-reset')."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise MachineError(f"the machine still ran after {timeout} s") from None
        for thread in self.threads:
            thread.join(5)
        return self.shutdown_reason

    # --- the serial line ----------------------------------------------------

    def _read_serial(self):
        stream = Stream(self.symbolizer)
        line = self.process.stdout.fileno()
        while True:
            if select.select([line], [], [], 0.2)[0]:
                data = os.read(line, 65536)
                text = stream.feed(data) if data else stream.flush()
                ended = not data
            else:
                # Half a token and then silence: it was not a token.
                text, ended = stream.flush(), False
            if text or ended:
                with self.changed:
                    self.output += text
                    self.ended = ended
                    self.changed.notify_all()
            if ended:
                return

    def _read_process(self):
        while data := os.read(self.process.stderr.fileno(), 4096):
            self.said += data

    def send(self, text):
        """Types on the serial line."""
        try:
            self.process.stdin.write(text.encode() if isinstance(text, str) else text)
        except OSError as error:
            raise MachineError(f"the machine has ended: {error}") from None

    def expect(self, pattern, timeout=10):
        """Waits until the output not yet consumed holds `pattern`; consumes up to its end."""
        pattern = re.compile(pattern.encode() if isinstance(pattern, str) else pattern)
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                match = pattern.search(self.output, self.position)
                if match:
                    self.position = match.end()
                    return match
                left = deadline - time.monotonic()
                if self.ended or left <= 0:
                    why = "the machine ended" if self.ended else f"nothing in {timeout} s"
                    raise MachineError(f"expected {pattern.pattern!r}: {why}")
                self.changed.wait(left)

    def since(self, position):
        """The output from a position in self.output on, as text."""
        with self.changed:
            return bytes(self.output[position:]).decode(errors="replace")

    def tail(self, lines=30):
        with self.changed:
            text = bytes(self.output[-8192:] + self.said).decode(errors="replace")
        # Control sequences are for terminals and tools, not for a report.
        text = re.sub(r"\x1b\][^\x07]*\x07|\x1b\[[0-9;]*[A-Za-z]|\r", "", text)
        return "\n".join(text.split("\n")[-lines:])

    def text(self):
        return self.since(0).replace("\r\n", "\n")

    # --- QEMU's own monitor ---------------------------------------------------

    def _read_monitor(self):
        try:
            for line in self.monitor.makefile("rb"):
                message = json.loads(line)
                with self.changed:
                    if message.get("event") == "SHUTDOWN":
                        self.shutdown_reason = message["data"]["reason"]
                    elif "return" in message or "error" in message:
                        self.replies.append(message)
                    self.changed.notify_all()
        except OSError:
            pass  # QEMU ended without a farewell
        with self.changed:
            self.replies.append(None)
            self.changed.notify_all()

    def qmp(self, command, **arguments):
        """One QMP command; its answer. Called from one thread at a time."""
        request = {"execute": command} | ({"arguments": arguments} if arguments else {})
        with self.changed:
            try:
                self.monitor.sendall(json.dumps(request).encode() + b"\n")
            except OSError:
                pass  # the reader sees the end
            if not self.changed.wait_for(lambda: self.replies, 10):
                raise MachineError(f"QEMU did not answer {command}")
            reply = self.replies[0]
            if reply is not None:
                self.replies.pop(0)
        if reply is None:
            self.process.wait()
            self.threads[-1].join(1)  # has its last words
            raise MachineError(f"QEMU ended with status {self.process.returncode}: {self.said.decode(errors='replace').strip()}")
        if "error" in reply:
            raise MachineError(f"{command}: {reply['error']['desc']}")
        return reply["return"]

    def block_stats(self):
        """What QEMU itself counted on the disk: rd_bytes, rd_operations..."""
        for device in self.qmp("query-blockstats"):
            if device.get("device") == "disk":
                return device["stats"]
        raise MachineError("the machine has no disk")

    def set_iops(self, iops):
        """Limits the disk to so many requests a second from now on; 0: no limit."""
        limits = dict(bps=0, bps_rd=0, bps_wr=0, iops=iops, iops_rd=0, iops_wr=0)
        self.qmp("block_set_io_throttle", device="disk", **limits)
