# SPDX-License-Identifier: MIT
"""The system as a person meets it: what the commands say, how `make run CMD=` ends, machines of
other sizes."""

import os
import re
import subprocess
import sys
import tarfile
import time

import commands
from harness import TOP, Machine, arches, check, equal, run, sha256

DISK = TOP / "build" / "disk.tar"
SERVICES = ("init", "devd", "console", "virtio-blk", "files", "shell")


def run_tool(arch, command, timeout=30):
    """`make run CMD=... TIMEOUT=...` behind make: status, stdout, stderr, seconds."""
    environment = dict(os.environ, ARCH=arch, BUILD="dev", CMD=command, TIMEOUT=str(timeout))
    began = time.monotonic()
    done = subprocess.run([sys.executable, str(TOP / "tools" / "run.py")], env=environment,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr, time.monotonic() - began


def test_files_are_the_archive(arch, tmp):
    with tarfile.open(DISK) as archive:
        archive.extractall(tmp)
    files = sorted(path for path in tmp.rglob("*") if path.is_file())
    names = [f"/disk/{path.relative_to(tmp)}" for path in files]
    status, text = run(arch, "sha256sum " + " ".join(names), disk=DISK)
    sums = dict(reversed(line.split(maxsplit=1)) for line in text.splitlines())
    equal((status, sums), (0, {name: sha256(path) for name, path in zip(names, files)}), "sums")
    status, text = run(arch, "cat /disk/README; ls /disk", disk=DISK)
    expected = (tmp / "README").read_text()
    listing = "".join(f"{path.name}{'/' * path.is_dir()}\n" for path in sorted(tmp.iterdir()))
    equal((status, text), (0, expected + listing), "cat and ls")


def test_tables(arch):
    status, text = run(arch, "help; ps; mem; drivers; irq; log", disk=DISK)
    equal(status, 0, "status")
    for command in ("help", "ls", "cat", "sha256sum", "ps", "mem", "drivers", "hwtree", "irq", "log",
                    "kill", "crash", "sleep", "poweroff", "reboot"):
        check(re.search(rf"^ *{command}\b", text, re.MULTILINE), f"help does not know {command}")
    for service in SERVICES:
        check(re.search(rf"^{service} +ready\b", text, re.MULTILINE), f"ps: {service}:\n{text}")
    for account in SERVICES[1:]:
        check(re.search(rf"^{account}( +\d+){{9}}$", text, re.MULTILINE), f"mem: {account}:\n{text}")
    check(re.search(r"^pci@\S+ +pci:1af4:1042 +virtio-blk +driven", text, re.MULTILINE), "drivers")
    check(re.search(r"^\d+ +(message|line) +0 +[1-9]\d* +\d+ +virtio-blk", text, re.MULTILINE),
          f"irq: the disk raised none:\n{text}")
    check("starting init" in text and "0 pages quarantined" in text, "log and mem")


# The console and the disk as the hardware tree has them.
CONSOLE = {
    "x86_64": r"\tcom1 \{\n\t\tcompatible = \"ns16550a\";\n(?:\t\t.*\n)*"
              r"\t\tskerry,io = <0x0 0x3f8 0x0 0x8>;\n"
              r"\t\tinterrupts-extended = <&\{/io-apic@fec00000\} 0x0 0x4 1>;\n",
    "aarch64": r"\tpl011@9000000 \{\n\t\tcompatible = \"arm,pl011\", \"arm,primecell\";\n"
               r"(?:\t\t.*\n)*\t\treg = <0x0 0x9000000 0x0 0x1000>;\n"
               r"\t\tinterrupts-extended = <&\{/intc@8000000\} 0 1 4>;\n",
}


def test_hardware_tree(arch):
    status, text = run(arch, "hwtree; hwtree short", disk=DISK, cpus=3)
    equal(status, 0, "status")
    check(text.startswith("/dts-v1/;\n\n/ {\n"), f"the beginning:\n{text[:200]}")
    check(re.search(CONSOLE[arch], text), f"the console:\n{text}")
    check(re.search(r"pci@00,0\d\.0 \{\n\t+compatible = \"pci:1af4:1042\", \"pci-class:010000\";\n", text),
          f"the disk:\n{text}")
    equal(len(re.findall(r"device_type = \"cpu\"", text)), 3, "CPUs")
    equal(re.findall(r"^cpus: (\d+)$", text, re.MULTILINE), ["3"], "CPUs in short")
    equal(re.findall(r"^unresolved: (.*)$", text, re.MULTILINE), ["none"], "unresolved")


def test_sleep_is_long_enough(arch):
    began = time.monotonic()
    equal(run(arch, "sleep 1.5; echo woke"), (0, "woke\n"), "sleep")
    check(time.monotonic() - began > 1.5, "it slept too short")


def test_status_of_the_tool(arch):
    status, out, err, _ = run_tool(arch, "echo good; echo news")
    # Services may still be starting: what they log comes between, on the other stream.
    err = re.sub(r"^\x1b\[2m\[ *[\d.]+\] .*\n", "", err, flags=re.MULTILINE)
    equal((status, out, err), (0, "good\nnews\n", ""), "success")
    status, out, _, _ = run_tool(arch, "echo before; cat /disk/nothing; echo after")
    check(status != 0, "a command failed, and the status is 0")
    check(out.startswith("before\n") and out.endswith("after\n") and "nothing" in out, out)
    status, out, err, seconds = run_tool(arch, "echo begun; sleep 1000", timeout=4)
    check(status != 0 and out == "begun\n" and "TIMEOUT" in err, f"{status} {out!r} {err!r}")
    check(4 <= seconds < 12, f"a timeout of 4 s took {seconds:.1f} s")


def test_panic_ends_a_run(arch, tmp):
    """Without a first process the kernel cannot go on; it says so, and the run ends at once."""
    broken = tmp / "boot.img"
    broken.write_bytes(bytes(8192))
    began = time.monotonic()
    todo = commands.Commands("echo never")
    machine = Machine(arch=arch, command_line=todo.command_line,
                      extra=["-initrd", str(broken)])
    equal(commands.run_commands(machine, todo, 30), "the kernel panicked", "the end of the run")
    check(time.monotonic() - began < 15, "it was not noticed at once")
    text = machine.text()
    check("PANIC: the boot bundle" in text, f"no reason was given:\n{text}")
    check(re.search(r"0x[0-9a-f]+ kernel_main kernel/main\.c:\d+", text),
          f"no backtrace with lines:\n{text}")


def test_other_sizes(arch):
    for machine in ({"memory": "128M"}, {"memory": "2G"}, {"cpus": 4}):
        status, text = run(arch, "ls /disk", disk=DISK, **machine)
        check(status == 0 and "README" in text, f"{machine}: {status} {text!r}")


@arches("aarch64")
def test_newest_processor(arch):
    status, text = run(arch, "ls /disk", disk=DISK, cpu="max")
    check(status == 0 and "README" in text, f"{status} {text!r}")
