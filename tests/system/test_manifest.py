# SPDX-License-Identifier: MIT
"""system.toml is refused, with words that name the mistake, when it does not add up."""

import subprocess
import sys

from harness import TOP, check, equal

GOOD = """
[system]
pages = 1000
objects = 200
[[service]]
name = "server"
priority = 20
pages = 100
objects = 50
handles = ["account", "log:READ|WRITE"]
[[service]]
name = "client"
priority = 10
pages = 100
objects = 50
handles = ["account"]
connects = ["server"]
"""

# What is replaced by what, and a word that the refusal must hold.
REFUSED = [
    ('name = "client"', 'name = "server"', "same name"),
    ('name = "client"', 'name = "A client"', "a name is"),
    ('name = "client"', 'name = "client"\nprogram = "other"', "'other'"),
    ('name = "client"', 'name = "client"\nprogramme = "client"', "'programme'"),
    ('connects = ["server"]', 'connects = ["nobody"]', "'nobody'"),
    ('priority = 10', 'priority = 21', "priority 21 is above"),
    ('priority = 10', 'priority = 63', "0 to 62"),
    ('priority = 10', 'priority = "high"', "must be a number"),
    ('handles = ["account"]', 'handles = ["root"]', "'root'"),
    ('handles = ["account"]', 'handles = ["account", "account"]', "each role once"),
    ('handles = ["account"]', 'handles = ["account:READ"]', "'READ'"),
    ('"log:READ|WRITE"', '"log:READ|WRIET"', "'WRIET'"),
    ('pages = 1000', 'pages = 199', "add up to 200"),
    ('objects = 200', 'objects = 99', "add up to 100"),
    ('connects = ["server"]', 'allows = ["everything"]', "'everything'"),
    ('connects = ["server"]', 'restart = "sometimes"', "'sometimes'"),
    ('connects = ["server"]', 'start = "device"', "needs matches"),
    ('connects = ["server"]', 'matches = ["x"]', 'start = "device"'),
    ('connects = ["server"]', 'channel = {depth = 0}', "depth"),
    ('connects = ["server"]', 'connects = ["client"]', "circle"),
    ('[system]', '[sytem]', "'sytem'"),
    ('priority = 20', 'priority = 20\nconnects = ["client"]', "priority 20 is above"),
    ('priority = 10', 'priority = ', "line"),
    ('priority = 10', 'priority = 10\ncpu = -1', "cpu must be a number from 0 to 63"),
    ('priority = 10', 'priority = 10\ncpu = 64', "cpu must be a number from 0 to 63"),
    ('priority = 10', 'priority = 10\ncpu = "any"', "cpu must be a number from 0 to 63"),
    ('priority = 10', 'priority = 10\nshare = 20', "share = {"),
    ('priority = 10', 'priority = 10\nshare = {budget_us = 2000}', "share = {"),
    ('priority = 10', 'priority = 10\nshare = {budget_us = 49, period_us = 1000}', "budget_us must be"),
    ('priority = 10', 'priority = 10\nshare = {budget_us = 1001, period_us = 1000}', "from 50 to 1000"),
    ('priority = 10', 'priority = 10\nshare = {budget_us = 500, period_us = 999}', "period_us must be"),
    ('handles = ["account"]', 'handles = ["account"]\nstart = "device"\nmatches = ["x"]\ninstances = 3\n'
     'share = {budget_us = 4000, period_us = 10000}', "add up to 120%"),
]


def compile_manifest(tmp, text, *programs):
    source = tmp / "system.toml"
    source.write_text(text)
    return subprocess.run([sys.executable, str(TOP / "tools" / "manifest.py"), str(source),
                           str(tmp / "system.bin"), *programs], capture_output=True, text=True)


def test_good_is_taken(tmp):
    done = compile_manifest(tmp, GOOD, "server", "client")
    equal(done.returncode, 0, done.stderr)
    check((tmp / "system.bin").stat().st_size > 1000, "nothing was compiled")


def test_bad_is_refused(tmp):
    for old, new, word in REFUSED:
        check(old in GOOD, f"{old} is not in the example")
        done = compile_manifest(tmp, GOOD.replace(old, new), "server", "client")
        check(done.returncode != 0, f"{new}: was taken")
        check(done.stderr.startswith("system.toml: ") and word in done.stderr,
              f"{new}: refused with {done.stderr!r}, which lacks {word!r}")
        equal(done.stderr.count("\n"), 1, f"{new}: lines of the message")


def test_ours_is_taken_and_drawn(tmp):
    done = subprocess.run([sys.executable, str(TOP / "tools" / "manifest.py"), "--graph",
                           str(TOP / "user" / "system.toml")], capture_output=True, text=True)
    equal(done.returncode, 0, done.stderr)
    check('"files" -> "virtio-blk"' in done.stdout, "the graph lacks an edge")
