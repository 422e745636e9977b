#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The rules of the tree that no compiler checks. Each check prints what breaks it.

usage: lint.py [CHECK]...      all of them without a name; --list names them

It reads what the last builds of both machines left (`make lint` makes them).
"""

import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import load_buffering

TOP = Path(__file__).resolve().parent.parent
ARCHES = ("x86_64", "aarch64")
BUILD = "dev"
LAYERS = ("abi", "arch", "boot", "hal", "kernel", "lib", "platform", "user", "proto", "tests", "tools")

# Which folders the sources of a layer may include from; {arch} is the machine
# that is built. A layer's own folder needs no mention, nor do the compiler's
# own headers. `deps` is what setup unpacked.
MAY_INCLUDE = {
    "lib": ["abi/include", "gen/include", "lib/include"],
    # What reads firmware's tables.
    "lib/tables": ["abi/include", "gen/include", "lib/include", "deps", "tools/freestanding"],
    "kernel": ["abi/include", "gen/include", "gen/kernel", "lib/include", "arch/include",
               "arch/{arch}/include", "hal/include"],
    "arch": ["abi/include", "gen/include", "lib/include", "arch/include", "arch/{arch}",
             "gen/arch/entry", "kernel/include/entry"],
    "hal": ["abi/include", "gen/include", "lib/include", "arch/include", "arch/{arch}/include"],
    "platform": ["abi/include", "gen/include", "lib/include", "arch/include",
                 "arch/{arch}/include", "hal/include", "kernel/include", "deps"],
    # A loader is a program of its own: it shares what is in lib/, and the handover.
    "boot": ["abi/include", "gen/include", "lib/include", "deps", "tools/freestanding"],
    # A program sees its own folder and the SDK, not another program.
    "user": ["abi/include", "gen/include", "gen/user", "lib/include", "user/sdk", "deps",
             "tools/freestanding"],
}

# The headers that may declare what kernel/ leaves undefined.
CONTRACT = ["arch/include", "arch/{arch}/include", "hal/include"]

FORBIDDEN_WORDS = re.compile(
    r"(?i)(/" r"work\b|/" r"farm\b|\.lib" r"rary\b|before-" r"stop|\bdeb\.deb" r"ian\.org|"
    r"registry\.np" r"mjs|this sess" r"ion\b)")


def tracked(*patterns):
    """Files of the tree, new ones too, but nothing that git ignores."""
    out = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=TOP, capture_output=True, text=True, check=True).stdout
    return [p for p in sorted(set(out.split("\n"))) if p and (TOP / p).is_file()]


def read(path):
    return (TOP / path).read_text(errors="replace")


def c_files(*folders):
    return [p for p in tracked(*folders) if p.endswith((".c", ".h", ".S", ".def", ".inc"))]


# --- who includes whom -----------------------------------------------------------


def dependency_files():
    """(arch, source, the files that its compilation read) of each object of the last builds."""
    for arch in ARCHES:
        for path in sorted((TOP / "build" / f"{arch}-{BUILD}").rglob("*.d")):
            text = path.read_text().replace("\\\n", " ")
            words = text.split("\n", 1)[0].split(":", 1)[1].split()
            if words and (TOP / words[0]).is_file():
                yield arch, words[0], words[1:]


def allowed(source, header, arch):
    layer = source.split("/")[0]
    rules = MAY_INCLUDE["lib/tables" if source.startswith(("lib/hwtree/", "lib/firmware/")) else layer]
    header = header.removeprefix("./")
    if header.startswith("/"):
        return "/lib/clang/" in header or "/lib/llvm-" in header
    place = header.removeprefix("build/")
    if layer == "user":
        own = source.split("/")[:3 if source.split("/")[1] in ("drivers", "services", "apps") else 2]
        if header.startswith("/".join(own) + "/"):
            return True
    elif layer == "arch":
        pass
    elif header.startswith(layer + "/"):
        return True
    return any(place == folder or place.startswith(folder + "/")
               for folder in (f.format(arch=arch) for f in rules))


def check_layering():
    count = 0
    for arch, source, headers in dependency_files():
        layer = source.split("/")[0]
        if layer not in MAY_INCLUDE:
            continue
        count += 1
        for header in headers:
            # The compiler's paths may go up and down again.
            real = re.sub(r"[^/]+/\.\./", "", header)
            if not allowed(source, real, arch):
                yield f"{source} includes {real} ({arch})"
    if not count:
        yield f"there is no build to look at: run make lint, or make both BUILD={BUILD}"


# --- the architecture stays in arch/ ----------------------------------------------

ARCH_MACRO = re.compile(
    r"^\s*#\s*(?:el)?if.*\b(__x86_64__|__i386__|__amd64__|__aarch64__|__arm__|__ARM_\w+|"
    r"CONFIG_ARCH\w*|ARCH_(?:X86_64|AARCH64))\b")


def check_no_arch_conditions():
    for path in c_files("abi", "boot", "hal", "kernel", "lib", "platform", "user"):
        for number, line in enumerate(read(path).split("\n"), 1):
            if ARCH_MACRO.search(line):
                yield f"{path}:{number}: {line.strip()}"


# --- what kernel/ asks of the rest ------------------------------------------------


def undefined_symbols(arch):
    """What a link of kernel/ and lib/ alone leaves open; platform/ has lib/firmware for itself."""
    objects = TOP / "build" / f"{arch}-{BUILD}" / "kernel.o"
    files = [str(p) for layer in ("kernel", "lib") for p in sorted((objects / layer).rglob("*.o"))
             if "firmware" not in p.parts and (TOP / layer / p.relative_to(objects / layer)).with_suffix(".c").is_file()]
    if not files:
        return []
    with tempfile.TemporaryDirectory() as tmp:
        linked = f"{tmp}/kernel.o"
        subprocess.run(["ld.lld-22", "-r", "-o", linked, *files], check=True)
        out = subprocess.run(["llvm-nm-22", "--undefined-only", "--just-symbol-name", linked],
                             capture_output=True, text=True, check=True).stdout
    return out.split()


def check_kernel_contract():
    for arch in ARCHES:
        headers = [h for folder in CONTRACT for h in c_files(folder.format(arch=arch))]
        words = {word for header in headers
                 for word in re.findall(r"\w+", re.sub(r"//.*", "", read(header)))}
        # The stack protector's, which the compiler calls.
        words |= {"__stack_chk_guard", "__stack_chk_fail"}
        for symbol in undefined_symbols(arch):
            if symbol not in words:
                yield f"kernel/ needs {symbol}, which no header of arch/ or hal/ declares ({arch})"


# --- locks -------------------------------------------------------------------------


def kernel_flags(arch):
    """What make would compile kernel/ with."""
    out = subprocess.run(
        ["make", "-s", "--no-print-directory", f"ARCH={arch}", f"BUILD={BUILD}", "print-kernel-flags"],
        cwd=TOP, capture_output=True, text=True, check=True).stdout
    return out.split()


def check_locks():
    """Clang's thread-safety analysis; not -precise, which cannot see embedded headers' locks."""
    flags = kernel_flags("x86_64")
    for source in tracked("kernel/*.c"):
        result = subprocess.run(
            ["clang-22", *flags, "-Wthread-safety", "-Wno-thread-safety-precise", "-fsyntax-only",
             source], cwd=TOP, capture_output=True, text=True)
        if result.returncode:
            yield result.stderr.strip()


# --- what the explorer relies on -----------------------------------------------------


def check_load_buffering():
    yield from load_buffering.check(tracked("kernel/*.c"), kernel_flags("x86_64"))


ASSEMBLY = re.compile(r"\b(?:asm|__asm__|__asm)\b\s*(?:volatile|__volatile__|goto|inline|\()")


def check_no_assembly():
    """The explorer sees no inline assembly: what kernel/ needs of it is in arch/ and hal/."""
    for path in c_files("abi", "kernel", "lib"):
        for number, line in enumerate(read(path).split("\n"), 1):
            if ASSEMBLY.search(line.split("//")[0]):
                yield f"{path}:{number}: {line.strip()}"


# --- documents ---------------------------------------------------------------------


def check_documents():
    yield from said_by("tools/documents.py", "--check")


def check_clauses():
    yield from said_by("tests/clauses.py")


def said_by(script, *arguments):
    result = subprocess.run([sys.executable, TOP / script, *arguments],
                            capture_output=True, text=True)
    if result.returncode != 0:
        yield from (result.stdout + result.stderr).rstrip("\n").split("\n")


# --- looks --------------------------------------------------------------------------


def check_format():
    files = [p for p in c_files(*LAYERS) if p.endswith((".c", ".h"))]
    if not files:
        return
    result = subprocess.run(["clang-format-22", "--dry-run", "-Werror", "--ferror-limit=1", *files],
                            cwd=TOP, capture_output=True, text=True)
    bad = sorted(set(re.findall(r"^(\S+?):\d+:\d+: error", result.stderr, re.MULTILINE)))
    for path in bad:
        yield f"{path} is not formatted (make format)"


def check_spdx():
    for path in tracked():
        if not path.endswith((".c", ".h", ".S", ".ld", ".py", ".sh", ".mk", ".toml", ".def")) \
                and Path(path).name not in ("Makefile", ".clang-format", "run"):
            continue
        lines = read(path).split("\n")[:2]
        first = lines[1] if lines[0].startswith("#!") and len(lines) > 1 else lines[0]
        if "SPDX-License-Identifier: MIT" not in first:
            yield f"{path}: its first line is not 'SPDX-License-Identifier: MIT'"


def check_words():
    """What is true only where the tree was written has no place in it."""
    for path in tracked():
        for number, line in enumerate(read(path).split("\n"), 1):
            if FORBIDDEN_WORDS.search(line):
                yield f"{path}:{number}: {line.strip()[:120]}"


# ---- machine facts

# Registers and ports of the PCs that QEMU makes; those of its `virt` are read off its device tree.
PC_PLACES = (0x2F8, 0x3F8, 0x402, 0x501, 0x600, 0x604, 0xCF8, 0xCFC, 0xB0000000, 0xE0000000, 0xFEB00000,
             0xFEB02A00, 0xFEC00000, 0xFEC10000, 0xFED00000, 0xFED90000, 0xFEE00000)
# What is the architecture's all the same, or where a rule of the PC stands that no table states.
MAY_KNOW = {
    "hal/x86_64/apic.c": {0xFEE00000},  # messages to local APICs: SDM volume 3, 10.11.1
    "user/devd/isa_facts.h": {0x3F8, 0xCF8},
}
NUMBER = re.compile(r"(?<![\w'.])0[xX]([0-9a-fA-F']+)[uUlL]*(?![\w'.])")


def registers_of_virt():
    """The first address of each "reg" of the device trees that QEMU's virt has."""
    found = set()
    with tempfile.TemporaryDirectory() as folder:
        blob = Path(folder) / "dtb"
        for version in ("2", "3"):
            subprocess.run(["qemu-system-aarch64", "-M", f"virt,gic-version={version},dumpdtb={blob}"],
                           check=True, stdin=subprocess.DEVNULL, capture_output=True)
            data = blob.read_bytes()
            structure, strings = struct.unpack_from(">II", data, 8)
            at, depth, memory = structure, 0, False
            while (token := struct.unpack_from(">I", data, at)[0]) != 9:
                at += 4
                if token == 1:  # a node: its name
                    depth += 1
                    memory = data[at:].startswith(b"memory@")  # no device
                    at = (data.index(b"\0", at) + 4) & ~3
                elif token == 2:
                    depth -= 1
                elif token == 3:  # a property: length, place of its name
                    size, name = struct.unpack_from(">II", data, at)
                    is_reg = not memory and data[strings + name:].startswith(b"reg\0")
                    if is_reg and depth in (2, 3) and size % 16 == 0:  # two cells each
                        found |= {struct.unpack_from(">Q", data, at + 8 + i)[0] for i in range(0, size, 16)}
                    at = (at + 8 + size + 3) & ~3
    return {address for address in found if address >= 0x1000}


def check_machine_facts():
    places = registers_of_virt() | set(PC_PLACES)
    if len(places) < len(PC_PLACES) + 20:
        yield "the device tree of QEMU's virt was not understood"
    for path in c_files("arch", "boot", "hal", "kernel", "lib", "user"):
        if path.startswith("arch/host/"):
            continue  # a machine of its own
        text = re.sub(r"/\*.*?\*/|//[^\n]*", lambda m: re.sub(r"[^\n]", " ", m[0]), read(path), flags=re.DOTALL)
        for number, line in enumerate(text.split("\n"), 1):
            for match in NUMBER.finditer(line):
                if int(match[1].replace("'", ""), 16) in places - MAY_KNOW.get(path, set()):
                    yield f"{path}:{number}: {match[0]} is where a device of some machine is: that is for its tables to say"


CHECKS = {
    "layering": check_layering,
    "no-arch-conditions": check_no_arch_conditions,
    "kernel-contract": check_kernel_contract,
    "locks": check_locks,
    "load-buffering": check_load_buffering,
    "no-assembly": check_no_assembly,
    "documents": check_documents,
    "clauses": check_clauses,
    "format": check_format,
    "spdx": check_spdx,
    "words": check_words,
    "machine-facts": check_machine_facts,
}


def main():
    names = sys.argv[1:] or list(CHECKS)
    if names == ["--list"]:
        print("\n".join(CHECKS))
        return
    failed = 0
    for name in names:
        found = list(CHECKS[name]())
        print(f"{'FAIL' if found else 'ok  '} {name}")
        for line in found:
            print(f"     {line}")
        failed += bool(found)
    if len(names) > 1:
        print(f"{len(names) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
