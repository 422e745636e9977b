#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks user/system.toml and compiles it into what init reads (user/init/manifest.h).

usage: manifest.py user/system.toml OUT PROGRAM...   the programs that the bundle will have
       manifest.py --graph user/system.toml          who can talk to whom, for graphviz

Refused, with a message that names the service and the key: unknown keys, names, roles, rights;
a right that a role's object does not have; a service with less priority than a client; a circle
of connections; accounts that together exceed what [system] sets aside.
"""

import re
import struct
import sys
import tomllib
from fractions import Fraction
from pathlib import Path

MAGIC, VERSION = b"SKSYSTEM", 3
SERVICES_MAX, MATCHES_MAX, MATCH_BYTES = 32, 8, 64
CPUS_MAX, CPU_ANY = 64, 0xffffffff  # kernel/cpu.h; user/init/manifest.h
BUDGET_MIN_US, PERIOD_MIN_US, PERIOD_MAX_US = 50, 1000, 1000000  # abi/layout.h
HEADER = struct.Struct("<8sIIQQQ")
# name, program, family; start, restart, priority, roles; role[8]; rights[8]; allows, heartbeat_ms, cpu;
# pages, objects, contiguous, connects, shape; argument; match count, budget_us, period_us, pad; matches
SERVICE = struct.Struct("<16s48s16s4B8B8IIIIQQQQQ256sIIII" + f"{MATCH_BYTES}s" * MATCHES_MAX)

STARTS = ["boot", "device", "hand"]
RESTARTS = ["never", "always"]
ALLOWS = ["drivers", "services", "power"]
# Role: object type, and the rights that it has when none are named. Order: enum start_role.
ROLES = {
    "account": ("account", ["CHARGE", "INSPECT"]),
    "aspace": ("aspace", ["MAP", "INSPECT"]),
    "process": ("process", ["CHARGE", "INSPECT"]),
    "log": ("log", ["WRITE"]),
    "machine": ("machine", ["INSPECT"]),
    "disk": ("vmo", ["READ", "MAP", "INSPECT"]),
}
KEYS = {"name", "program", "start", "priority", "pages", "objects", "contiguous", "handles", "connects", "allows",
        "channel", "restart", "heartbeat_ms", "cpu", "share", "matches", "instances", "argument"}
CHANNEL = {"depth": (1, 64, 4), "bytes": (64, 3584, 512), "handles": (0, 8, 0), "calls": (0, 64, 4)}


class Refused(Exception):
    pass


def rights_table():
    """Right name → bit, and object type → names of the rights that it can have."""
    abi = tomllib.loads((Path(__file__).resolve().parent.parent / "abi" / "abi.toml").read_text())
    bits = {r["name"]: 1 << i for i, r in enumerate(abi["right"])}
    common = ["DUPLICATE", "TRANSFER", "INSPECT", "WAIT", "MANAGE"]
    return bits, {o["name"]: common + o["rights"] for o in abi["object"]}


def number(where, row, key, low, high, default=None):
    value = row.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise Refused(f"{where}: {key} must be a number from {low} to {high}")
    return value


def choice(where, what, value, known):
    if value not in known:
        raise Refused(f"{where}: {what} {value!r} is not known; choose from {', '.join(known)}")
    return value


def text(where, key, value, limit):
    if not isinstance(value, str) or len(value.encode()) > limit:
        raise Refused(f"{where}: {key} must be a text of at most {limit} bytes")
    return value


class Service:
    def __init__(self, row, programs, bits, objects):
        self.name = self.family = row.get("name", "")
        if not re.fullmatch(r"[a-z][a-z0-9_-]{0,12}", self.name):
            raise Refused(f"service {self.name!r}: a name is 1 to 13 letters, digits, '-' and '_'")
        where = f"service {self.name!r}"
        for key in row:
            choice(where, "key", key, sorted(KEYS))
        self.program = text(where, "program", row.get("program", self.name), 47)
        if programs is not None:
            choice(where, "program", self.program, programs)
        self.start = choice(where, "start", row.get("start", "boot"), STARTS)
        self.restart = choice(where, "restart", row.get("restart", "always"), RESTARTS)
        self.priority = number(where, row, "priority", 0, 62)
        self.pages = number(where, row, "pages", 32, 1 << 30)
        self.objects = number(where, row, "objects", 16, 1 << 20)
        self.contiguous = number(where, row, "contiguous", 0, 1 << 18, 0)
        self.heartbeat_ms = number(where, row, "heartbeat_ms", 0, 60000, 0)
        self.cpu = number(where, row, "cpu", 0, CPUS_MAX - 1) if "cpu" in row else CPU_ANY
        self.budget_us, self.period_us = self.share(where, row["share"]) if "share" in row else (0, 0)
        self.instances = number(where, row, "instances", 1, 8, 1)
        self.argument = text(where, "argument", row.get("argument", ""), 255)
        self.handles = [self.role(where, h, bits, objects) for h in row.get("handles", [])]
        if len(self.handles) > 8 or len({r for r, _ in self.handles}) != len(self.handles):
            raise Refused(f"{where}: handles: at most 8, each role once")
        self.connects = row.get("connects", [])
        self.allows = [choice(where, "allows", a, ALLOWS) for a in row.get("allows", [])]
        self.matches = [text(where, "matches", m, MATCH_BYTES - 1) for m in row.get("matches", [])]
        if len(self.matches) > MATCHES_MAX:
            raise Refused(f"{where}: at most {MATCHES_MAX} matches")
        if self.start != "device" and (self.matches or self.instances != 1):
            raise Refused(f"{where}: matches and instances are for start = \"device\"")
        if self.start == "device" and not self.matches:
            raise Refused(f"{where}: start = \"device\" needs matches")
        channel = row.get("channel", {})
        for key in channel:
            choice(f"{where}: channel", "key", key, list(CHANNEL))
        self.channel = {k: number(f"{where}: channel", channel, k, *limits) for k, limits in CHANNEL.items()}

    @staticmethod
    def role(where, declared, bits, objects):
        name, _, names = declared.partition(":")
        choice(where, "handle", name, list(ROLES))
        kind, rights = ROLES[name]
        for right in (names.split("|") if names else []):
            choice(where, f"right of {name}", right, objects[kind])
        rights = names.split("|") if names else rights
        return list(ROLES).index(name) + 1, sum(bits[r] for r in rights)

    def share(self, where, table):
        if not isinstance(table, dict) or set(table) != {"budget_us", "period_us"}:
            raise Refused(f"{where}: share = {{budget_us = ..., period_us = ...}}")
        period_us = number(where, table, "period_us", PERIOD_MIN_US, PERIOD_MAX_US)
        return number(where, table, "budget_us", BUDGET_MIN_US, period_us), period_us

    def shape(self):
        c = self.channel
        return c["depth"] | c["bytes"] << 16 | c["handles"] << 32 | c["calls"] << 48


def check_circles(services):
    """No service waits for another that waits for it."""
    graph = {s.name: s.connects for s in services}
    state = {}

    def visit(name, path):
        if state.get(name) == "done":
            return
        if name in path:
            raise Refused(f"connections go in a circle: {' -> '.join(path[path.index(name):] + [name])}")
        for peer in graph[name]:
            visit(peer, path + [name])
        state[name] = "done"

    for name in graph:
        visit(name, [])


def load(path, programs):
    table = tomllib.loads(Path(path).read_text())
    for key in table:
        choice("system.toml", "key", key, ["system", "service"])
    bits, objects = rights_table()
    services = [Service(row, programs, bits, objects) for row in table.get("service", [])]
    by_name = {s.name: s for s in services}
    if len(by_name) != len(services):
        raise Refused("two services with the same name")
    matched = [m for s in services for m in s.matches]
    for match in matched:
        if matched.count(match) > 1:
            raise Refused(f"two drivers match {match!r}")
    for s in services:
        where = f"service {s.name!r}"
        for peer in s.connects:
            choice(where, "connects to", peer, list(by_name))
            if by_name[peer].priority < s.priority:
                raise Refused(f"{where}: its priority {s.priority} is above that of {peer!r}, "
                              f"{by_name[peer].priority}, which it connects to")
    check_circles(services)
    system = table.get("system", {})
    system.setdefault("contiguous", 0)
    for key in ("pages", "objects", "contiguous"):
        limit = number("[system]", system, key, 0 if key == "contiguous" else 1, 1 << 30)
        total = sum(getattr(s, key) * s.instances for s in services)
        if total > limit:
            raise Refused(f"{key} of all services add up to {total}; [system] sets aside {limit}")
    total = sum(Fraction(s.budget_us, s.period_us) * s.instances for s in services if s.period_us)
    if total > 1:
        raise Refused(f"shares of all services add up to {float(total):.0%} of each CPU")
    return system, services


def expand(services):
    """One row for each instance: NAME, NAME.2, NAME.3..."""
    for s in services:
        for i in range(1, s.instances + 1):
            yield (s.name if i == 1 else f"{s.name}.{i}"), s


def compiled(system, services):
    rows = list(expand(services))
    if len(rows) > SERVICES_MAX:
        raise Refused(f"{len(rows)} services; init has room for {SERVICES_MAX}")
    index = {name: i for i, (name, _) in enumerate(rows)}
    out = HEADER.pack(MAGIC, VERSION, len(rows), system["pages"], system["objects"],
                      system["contiguous"])
    for name, s in rows:
        roles = [r for r, _ in s.handles] + [0] * (8 - len(s.handles))
        rights = [r for _, r in s.handles] + [0] * (8 - len(s.handles))
        connects = sum(1 << index[peer] for peer in s.connects)
        matches = [m.encode() for m in s.matches] + [b""] * (MATCHES_MAX - len(s.matches))
        out += SERVICE.pack(name.encode(), s.program.encode(), s.family.encode(),
                            STARTS.index(s.start), RESTARTS.index(s.restart), s.priority, len(s.handles),
                            *roles, *rights, sum(1 << ALLOWS.index(a) for a in s.allows), s.heartbeat_ms,
                            s.cpu, s.pages, s.objects, s.contiguous, connects, s.shape(), s.argument.encode(),
                            len(s.matches), s.budget_us, s.period_us, 0, *matches)
    return out


def graph(services):
    out = ["digraph skerry {", "    rankdir = LR;", "    node [shape = box, fontname = monospace];"]
    for s in services:
        rights = ", ".join(s.allows)
        label = f"{s.name}\\npriority {s.priority}\\n{s.pages} pages, {s.objects} objects"
        out.append(f'    "{s.name}" [label = "{label}"{", style = bold" if s.start == "device" else ""}];')
        out.append(f'    "{s.name}" -> "init" [style = dotted{f", label = {chr(34)}{rights}{chr(34)}" if rights else ""}];')
        out += [f'    "{s.name}" -> "{peer}";' for peer in s.connects]
    return "\n".join(out + ["}"])


def main():
    try:
        if sys.argv[1] == "--graph":
            print(graph(load(sys.argv[2], None)[1]))
            return
        system, services = load(sys.argv[1], sys.argv[3:])
        Path(sys.argv[2]).write_bytes(compiled(system, services))
    except (Refused, tomllib.TOMLDecodeError) as error:
        sys.exit(f"system.toml: {error}")


if __name__ == "__main__":
    main()
