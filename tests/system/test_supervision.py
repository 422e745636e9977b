# SPDX-License-Identifier: MIT
"""What init does with services that do not behave, on a machine with a manifest of its own."""

import re
import shutil
import subprocess
import sys
import time

from harness import TOP, Machine, Shell, check, equal

SYSTEM = """
[system]
pages = 2000
objects = 400
[[service]]
name = "victim"
program = "crash"
start = "boot"
priority = 8
pages = 96
objects = 48
handles = ["account", "aspace", "process", "log"]
"""


def build_with(arch, tmp, text, programs):
    """The folder of a machine whose bundle has only init, these programs and this manifest."""
    built, folder = TOP / "build" / f"{arch}-dev", tmp / "build"
    folder.mkdir()
    (tmp / "system.toml").write_text(text)
    tool = [sys.executable, str(TOP / "tools" / "manifest.py"), str(tmp / "system.toml"),
            str(folder / "system.bin"), *programs]
    subprocess.run(tool, check=True)
    subprocess.run([sys.executable, str(TOP / "tools" / "bundle.py"), str(folder / "boot.img"),
                    *(f"{name}={built}/bundle/{name}" for name in ("init", *programs)),
                    f"system.bin={folder}/system.bin"], check=True)
    for name in ("kernel.elf", "Image", "user"):
        if (built / name).exists():
            (folder / name).symlink_to(built / name)
    return folder


def machine_with(arch, tmp, text):
    """A machine with the program `crash` and this manifest."""
    return Machine(arch=arch, build_folder=build_with(arch, tmp, text, ["crash"]))


def stamps(text, line):
    """When lines that end so were logged, in seconds."""
    return [float(t) for t in re.findall(rf"^\[ *(\d+\.\d+)\] {line}\r?$", text, re.MULTILINE)]


def test_back_off_and_hold(arch, tmp):
    with machine_with(arch, tmp, SYSTEM + 'argument = "null"\n') as machine:
        machine.expect(rb"victim crashed 11 times in a row and is held", 60)
        crashes = stamps(machine.text(), "init: victim crashed")
    equal(len(crashes), 11, "crashes before it is held")
    gaps = [b - a for a, b in zip(crashes, crashes[1:])]
    wanted = [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5]
    for gap, want in zip(gaps, wanted):
        check(want <= gap < want + 0.3, f"waits between crashes {gaps}, wanted {wanted}")


def test_missed_heartbeat(arch, tmp):
    with machine_with(arch, tmp, SYSTEM + 'argument = "hang"\nheartbeat_ms = 100\n') as machine:
        machine.expect(rb"victim missed its heartbeat.*victim missed its heartbeat"
                       .replace(b".*", rb"[\s\S]*"), 20)
        missed = stamps(machine.text(), "init: victim missed its heartbeat")
    check(0.29 < missed[1] - missed[0] < 0.8, f"heartbeats missed at {missed}")


def test_too_small_an_account(arch, tmp):
    text = SYSTEM.replace("pages = 96", "pages = 32")
    with machine_with(arch, tmp, text + 'restart = "never"\n') as machine:
        machine.expect(rb"victim could not be started: NO_PAGES", 20)


def test_bundle_without_manifest(arch, tmp):
    with_manifest = machine_with(arch, tmp, SYSTEM)
    folder = with_manifest.folder
    shutil.copy(folder / "boot.img", folder / "whole.img")
    whole = (folder / "whole.img").read_bytes()
    # The first is the bundle's own entry, the second stands in init's code.
    (folder / "boot.img").write_bytes(whole.replace(b"system.bin", b"system.bim", 1))
    with Machine(arch=arch, build_folder=folder) as machine:
        machine.expect(rb"init: system.bin: missing", 20)
    at = whole.rindex(b"SKSYSTEM")  # the file itself; init's code holds the word too
    (folder / "boot.img").write_bytes(whole[:at] + b"SKSYSTEN" + whole[at + 8:])
    with Machine(arch=arch, build_folder=folder) as machine:
        machine.expect(rb"init: system.bin: not a manifest", 20)


def test_interrupting_a_program_that_hangs(arch):
    with Shell(arch) as shell:
        shell.type("crash hang")
        time.sleep(0.3)
        shell.machine.send("\x03")
        shell.finish(10)
        shell("sleep 0.2")
        check("stopped" in re.search(r"crash .*", shell("ps"))[0], "it still runs")
