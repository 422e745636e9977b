# SPDX-License-Identifier: MIT
"""Turns code addresses that the guest prints into function, file and line.

The guest prints {{pc:0xADDRESS:IMAGE}} for an instruction and
{{ra:0xADDRESS:IMAGE}} for a return address, where IMAGE is `kernel` or the
name of a program. A return address points behind the call, maybe into the next
function, so the line looked up is that of the byte before it.
"""

import json
import re
import subprocess
from pathlib import Path

TOKEN = re.compile(rb"\{\{(pc|ra):0x([0-9a-fA-F]{1,16}):([A-Za-z0-9_.-]{1,64})\}\}")
# What may become a token with the bytes that come next.
TOKEN_BEGINNING = re.compile(rb"\{(?:\{(?:[pr][A-Za-z0-9:_.-]{0,90}\}?)?)?\Z")


class Symbolizer:
    """Looks addresses up in the unstripped images of one build."""

    def __init__(self, build_folder):
        self.folder = Path(build_folder)
        self.processes = {}  # one llvm-symbolizer for each image, or None

    def image(self, name):
        return self.folder / ("kernel.elf" if name == "kernel" else f"user/{name}")

    def process(self, name):
        if name not in self.processes:
            self.processes[name] = self.image(name).is_file() and subprocess.Popen(
                ["llvm-symbolizer-22", "--output-style=JSON", f"--obj={self.image(name)}"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self.processes[name]

    def describe(self, kind, address, name):
        """`0xADDRESS function file:line`, with as much of it as is known."""
        process = self.process(name)
        if not process:
            return f"0x{address:x} in {name}"
        process.stdin.write(f"0x{max(address - (kind == 'ra'), 0):x}\n")
        process.stdin.flush()
        frames = json.loads(process.stdout.readline()).get("Symbol", [])
        frames = [f for f in frames if f["FunctionName"]]
        if not frames:
            return f"0x{address:x} in {name}"
        text = f"0x{address:x} {frames[0]['FunctionName']}"
        if frames[0]["FileName"]:
            file = frames[0]["FileName"].removeprefix("./")
            text += f" {file}:{frames[0]['Line']}"
        if len(frames) > 1:
            text += f" (inlined in {frames[-1]['FunctionName']})"
        return text

    def replace(self, data):
        """All complete tokens of some bytes, replaced."""
        return TOKEN.sub(
            lambda m: self.describe(m[1].decode(), int(m[2], 16), m[3].decode()).encode(), data)

    def close(self):
        for process in self.processes.values():
            if process:
                process.stdin.close()
                process.wait()
                process.stdout.close()
        self.processes = {}


class Stream:
    """Replaces tokens in bytes that arrive in pieces, holding back only what may be one."""

    def __init__(self, symbolizer):
        self.symbolizer, self.held = symbolizer, b""

    def feed(self, data):
        data = self.held + data
        beginning = TOKEN_BEGINNING.search(data)
        cut = beginning.start() if beginning else len(data)
        self.held = data[cut:]
        return self.symbolizer.replace(data[:cut])

    def flush(self):
        held, self.held = self.held, b""
        return held
