# SPDX-License-Identifier: MIT
"""docs/first-service.md, typed as it stands, in a copy of the tree."""

import os
import re
import shutil
import subprocess

from harness import TOP, Machine, arches, check, equal, limit, _commands


@arches("x86_64")
@limit(400)
def test_as_the_page_says(arch, tmp):
    tree = tmp / "tree"
    shutil.copytree(TOP, tree, symlinks=True, ignore=shutil.ignore_patterns("build", ".git"))
    (tree / "build").mkdir()
    for name in ("deps", "setup.stamp"):
        (tree / "build" / name).symlink_to(TOP / "build" / name)

    page = (TOP / "docs" / "first-service.md").read_text()
    blocks = re.findall(r"```(?:toml|c)\n(.*?)```", page, re.DOTALL)
    files = re.findall(r"^## .*`((?:proto|user)/\S+)`$", page, re.MULTILINE)
    equal(files, ["proto/counter.toml", "user/services/counter/main.c", "user/apps/count/main.c",
                  "user/system.toml"], "files that the page names")
    for name, block in zip(files, blocks):
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((path.read_text() + "\n" if path.exists() else "") + block)

    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    built = subprocess.run(["make", f"ARCH={arch}", "all"], cwd=tree, env=environment,
                           capture_output=True, text=True)
    equal(built.returncode, 0, built.stderr[-2000:])
    commands = _commands.Commands("run count 5; run count 2; run count 13; run count 1")
    machine = Machine(arch=arch, build_folder=tree / "build" / f"{arch}-dev",
                      command_line=commands.command_line)
    wrong = _commands.run_commands(machine, commands, 60)
    check(wrong is None, wrong)
    text = machine.text()
    equal(re.findall(r"the number is (\d+)", text), ["5", "7", "8"], "numbers")
    check(re.search(r"crash of counter .*undefined or privileged instruction", text)
          and "on_next user/services/counter/main.c" in text, "no crash report")
